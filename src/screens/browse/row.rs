//! One line of a list: mark, name, what matches in it, size, time.

use super::mark;
use super::needle::Needle;
use crate::du::{Size, Tally};
use crate::entry::EntryKind;
use crate::listing::Row;
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use chrono::{DateTime, Utc};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use std::cell::RefCell;
use std::ops::Range;

/// Columns of a size: `1023.9 MiB`.
const SIZE: usize = 10;
/// Columns of a list from which each fact is shown.
const SIZES: usize = 26;
const AGES: usize = 48;
const TIMES: usize = 62;
const CLASSES: usize = 84;

/// What is emphasized in names: what is searched, or else what the filter matched.
pub(super) struct Emphasis<'a> {
    needle: Option<&'a Needle>,
    fuzzy: Option<(Pattern, RefCell<Matcher>)>,
}

impl<'a> Emphasis<'a> {
    pub(super) fn new(needle: Option<&'a Needle>, filter: &str) -> Self {
        let fuzzy = (needle.is_none() && !filter.is_empty()).then(|| {
            let pattern = Pattern::parse(filter, CaseMatching::Smart, Normalization::Smart);
            (pattern, RefCell::new(Matcher::new(Config::DEFAULT.match_paths())))
        });
        Self { needle, fuzzy }
    }

    /// Nothing.
    pub(super) fn none() -> Self {
        Self { needle: None, fuzzy: None }
    }

    /// Parts of a name, in order, that stand out.
    fn find(&self, name: &str) -> Vec<Range<usize>> {
        if let Some(needle) = self.needle {
            return needle.find_in(name).into_iter().collect();
        }
        let Some((pattern, matcher)) = self.fuzzy.as_ref().filter(|_| name.is_ascii()) else { return Vec::new() };
        let mut at = Vec::new();
        let found = pattern.indices(Utf32Str::Ascii(name.as_bytes()), &mut matcher.borrow_mut(), &mut at);
        at.sort_unstable();
        at.dedup();
        let mut out: Vec<Range<usize>> = Vec::new();
        for i in at.into_iter().filter(|_| found.is_some()).map(|i| i as usize).filter(|i| *i < name.len()) {
            match out.last_mut() {
                Some(last) if last.end == i => last.end += 1,
                _ => out.push(i..i + 1),
            }
        }
        out
    }
}

/// How a line stands in its list.
pub(super) struct Place {
    pub(super) width: usize,
    pub(super) selected: bool,
    /// It is under the cursor of the list that has the keys.
    pub(super) cursor: bool,
    /// Sizes and times are shown, where there is room.
    pub(super) facts: bool,
    /// What is known of the size of a prefix.
    pub(super) size: Option<Size>,
}

/// The size of a prefix in the size column.
fn measured(size: &Size) -> String {
    match size {
        Size::Waiting => "…".to_owned(),
        Size::Counting(Tally { bytes, .. }) => format!("{}…", text::bytes(*bytes)),
        Size::Known(Tally { bytes, .. }) => text::bytes(*bytes),
        Size::Partial(Tally { bytes, .. }, _) => format!("≥ {}", text::bytes(*bytes)),
    }
}

/// How long ago, in a few columns: `4 min`, `12 d`, `3 y`.
fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let s = (now - then).num_seconds();
    match s {
        ..0 => "soon".to_owned(),
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min", s / 60),
        3_600..86_400 => format!("{} h", s / 3_600),
        86_400..31_536_000 => format!("{} d", s / 86_400),
        _ => format!("{} y", s / 31_536_000),
    }
}

/// The facts behind a name: text and role, each as wide as its column.
fn facts(row: &Row<'_>, place: &Place) -> Vec<(String, Role)> {
    let width = if place.facts { place.width } else { 0 };
    let mut out = Vec::new();
    let is_object = row.kind() == EntryKind::Object;
    if width >= CLASSES {
        let class = row.storage_class().unwrap_or_default();
        out.push((format!("  {:<12}", text::fit(&text::clean(class), 12)), Role::Warn));
    }
    if width >= SIZES {
        let size = place.size.as_ref().map(measured).or_else(|| row.size().map(text::bytes));
        match size {
            Some(size) => {
                let pad = " ".repeat(SIZE.saturating_sub(text::width(&size)));
                out.push((format!("{pad}{size}"), Role::Number));
            }
            None if is_object || width >= AGES => out.push((" ".repeat(SIZE), Role::Number)),
            None => {}
        }
    }
    let time = row.modified();
    if width >= TIMES {
        let time = time.map_or_else(|| " ".repeat(18), |t| t.format("  %Y-%m-%d %H:%M").to_string());
        out.push((time, Role::Dim));
    } else if width >= AGES {
        let age = time.map(|t| age(t, Utc::now())).unwrap_or_default();
        out.push((format!("  {age:>6}"), Role::Dim));
    }
    out
}

/// A line of `place.width` columns, the last of them empty.
pub(super) fn line<'a>(row: &Row<'_>, place: &Place, emphasis: &Emphasis<'_>, cx: &Cx) -> Line<'a> {
    let theme = &cx.theme;
    let plain = |role: Role| if place.cursor { Style::default() } else { theme.style(role) };
    let flag = match (place.selected, place.cursor, cx.unicode) {
        (true, _, true) => "●",
        (true, _, false) => "*",
        (false, true, true) => "▸",
        (false, true, false) => ">",
        _ => " ",
    };
    let kind = mark(row.kind(), cx.unicode);
    let facts = facts(row, place);
    let taken: usize = facts.iter().map(|(text, _)| text::width(text)).sum();
    let room = place.width.saturating_sub(3 + text::width(kind) + taken);
    let name = text::clean(row.name());
    let detail = match row.more().and_then(|m| m.detail.as_deref()) {
        Some(detail) if place.facts && text::width(&name) + 4 < room => {
            format!("  {}", text::fit(&text::clean(detail), room - text::width(&name) - 2))
        }
        _ => String::new(),
    };
    let name = text::fit_middle(&name, room).into_owned();
    let role = match row.kind() {
        EntryKind::Object | EntryKind::Asset => Role::Text,
        _ => Role::Container,
    };
    let style = if place.selected { plain(Role::Selected) } else { Style { bg: None, ..plain(role) } };
    let used = text::width(&name) + text::width(&detail);
    let mut spans = vec![
        Span::styled(flag, plain(if place.selected { Role::Selected } else { Role::Accent })),
        Span::styled(kind, plain(Role::Accent)),
    ];
    let strong = style.patch(plain(Role::Accent)).add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
    let mut from = 0;
    for part in emphasis.find(&name) {
        spans.push(Span::styled(name[from..part.start].to_owned(), style));
        spans.push(Span::styled(name[part.clone()].to_owned(), strong));
        from = part.end;
    }
    spans.push(Span::styled(name[from..].to_owned(), style));
    spans.push(Span::styled(detail, plain(Role::Dim)));
    spans.push(Span::raw(" ".repeat((room + 1).saturating_sub(used))));
    spans.extend(facts.into_iter().map(|(text, role)| Span::styled(text, plain(role))));
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now = DateTime::from_timestamp(2_000_000_000, 0).expect("a time");
        let ago = |s: i64| age(DateTime::from_timestamp(2_000_000_000 - s, 0).expect("a time"), now);
        assert_eq!([ago(5), ago(125), ago(7_300), ago(90_000), ago(70_000_000)], ["5 s", "2 min", "2 h", "1 d", "2 y"]);
        assert_eq!(ago(-9), "soon");
    }

    #[test]
    fn what_the_filter_matched_stands_out() {
        let found = Emphasis::new(None, "b3tif").find("S2_B03.tif");
        assert_eq!(found, [3..4, 5..6, 7..10]);
        let needle = Needle::new("tif", false);
        assert_eq!(Emphasis::new(Some(&needle), "").find("S2.TIF").pop(), Some(3..6));
        assert!(Emphasis::none().find("x").is_empty());
    }
}
