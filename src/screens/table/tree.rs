//! Nested values as an indented tree, a line each.

use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use ratatui::text::{Line, Span};
use serde_json::Value;

/// Lines of one value; more are counted, not shown.
const MOST: usize = 20_000;
/// Columns by which a level is indented.
const STEP: usize = 2;

/// A line of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Twig {
    pub(super) depth: usize,
    /// Name of a member, number of an item.
    pub(super) name: String,
    /// Columns of the longest name beside it, so that their values stand below each other.
    pub(super) names: usize,
    pub(super) value: String,
    pub(super) role: Role,
}

/// Names longer than this do not move the values of those beside them.
const LONG: usize = 24;

/// A value as lines.
pub(super) fn twigs(value: &Value) -> Vec<Twig> {
    let mut out = Vec::new();
    match value {
        Value::Object(_) | Value::Array(_) => below(value, 0, &mut out),
        leaf => out.push(twig(0, String::new(), 0, leaf)),
    }
    if out.len() >= MOST {
        let value = "… more than can be shown here".to_owned();
        out.push(Twig::line(value, Role::Dim));
    }
    out
}

fn below(value: &Value, depth: usize, out: &mut Vec<Twig>) {
    let lengths = |map: &serde_json::Map<String, Value>| map.keys().map(|name| text::width(name)).max().unwrap_or(0);
    let names = match value {
        Value::Object(map) => lengths(map).min(LONG),
        Value::Array(items) => items.len().saturating_sub(1).to_string().len(),
        _ => 0,
    };
    let mut add = |name: String, value: &Value| {
        if out.len() >= MOST {
            return;
        }
        out.push(twig(depth, name, names, value));
        if depth < 64 {
            below(value, depth + 1, out);
        }
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| add(name.clone(), value)),
        Value::Array(items) if is_short(items) => {}
        Value::Array(items) => items.iter().enumerate().for_each(|(i, value)| add(i.to_string(), value)),
        _ => {}
    }
}

/// Numbers that read best in one line: a bounding box.
fn is_short(items: &[Value]) -> bool {
    items.len() <= 8 && items.iter().all(|item| item.is_number() || item.is_null())
}

fn twig(depth: usize, name: String, names: usize, value: &Value) -> Twig {
    let (value, role) = match value {
        Value::Null => ("∅".to_owned(), Role::Faint),
        Value::Bool(b) => (b.to_string(), Role::Accent),
        Value::Number(n) => (n.to_string(), Role::Number),
        Value::String(s) => (s.clone(), Role::String),
        Value::Array(items) if items.is_empty() => ("empty".to_owned(), Role::Faint),
        Value::Array(items) if is_short(items) => {
            (items.iter().map(Value::to_string).collect::<Vec<_>>().join(", "), Role::Number)
        }
        Value::Array(items) => (counted(items.len(), "item"), Role::Dim),
        Value::Object(map) if map.is_empty() => ("empty".to_owned(), Role::Faint),
        Value::Object(map) => (counted(map.len(), "member"), Role::Dim),
    };
    Twig { depth, name, names, value, role }
}

fn counted(n: usize, what: &str) -> String {
    format!("{} {what}{}", text::count(n as u64), if n == 1 { "" } else { "s" })
}

impl Twig {
    /// A value that is all there is.
    pub(super) fn line(value: String, role: Role) -> Self {
        Self { depth: 0, name: String::new(), names: 0, value, role }
    }

    /// In so many columns; what is longer goes on in further lines.
    pub(super) fn lines(&self, width: usize, cx: &Cx) -> Vec<Line<'static>> {
        let indent = (self.depth * STEP).min(width / 2);
        let name = text::clean(&self.name).into_owned();
        let gap = if name.is_empty() { 0 } else { 2 };
        let before = indent + text::width(&name).max(self.names) + gap;
        let before = if before > width * 2 / 3 { indent + STEP } else { before };
        let rows = wrapped(&self.value, width.saturating_sub(before).max(8));
        let mut lines = Vec::with_capacity(rows.len());
        let style = cx.theme.style(self.role);
        for (i, row) in rows.into_iter().enumerate() {
            let head = if i == 0 { format!("{}{name}", " ".repeat(indent)) } else { String::new() };
            let pad = before.saturating_sub(text::width(&head)).max(usize::from(i == 0 && gap > 0));
            lines.push(Line::from(vec![
                Span::styled(head, cx.theme.style(Role::Name)),
                Span::raw(" ".repeat(pad)),
                Span::styled(row, style),
            ]));
        }
        lines
    }
}

/// `text` in rows of at most `width` columns, broken at spaces or commas where there are some; takes time in
/// proportion to its length, however long a line is.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut rows = Vec::new();
    for line in text.split('\n') {
        let (mut row, mut used, mut at_break) = (String::new(), 0, None);
        for c in text::clean(line).chars() {
            let wide = text::width(c.encode_utf8(&mut [0; 4]));
            if used + wide > width {
                let rest = match at_break.take() {
                    Some(at) if at > row.len() / 2 => row.split_off(at),
                    _ => String::new(),
                };
                rows.push(std::mem::replace(&mut row, rest));
                used = text::width(&row);
            }
            row.push(c);
            used += wide;
            if matches!(c, ' ' | ',') {
                at_break = Some(row.len());
            }
        }
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nested_values_become_an_indented_tree() {
        let value = json!({"a": {"bbox": [1, 2, 3, 4], "x": null}, "b": ["one", {"c": true}], "e": []});
        let lines: Vec<String> =
            twigs(&value).iter().map(|t| format!("{}{}={}", " ".repeat(t.depth), t.name, t.value)).collect();
        assert_eq!(
            lines,
            ["a=2 members", " bbox=1, 2, 3, 4", " x=∅", "b=2 items", " 0=one", " 1=1 member", "  c=true", "e=empty",]
        );
        assert_eq!(twigs(&json!(vec![vec!["x"; 9]; MOST])).len(), MOST + 1, "what is endless ends");
    }

    #[test]
    fn long_text_is_broken_at_spaces_and_loses_nothing() {
        assert_eq!(wrapped("POINT (1 2)", 7), ["POINT ", "(1 2)"]);
        assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
        let long = "12.5 7.25, ".repeat(20_000);
        assert_eq!(wrapped(&long, 80).concat(), long);
    }
}
