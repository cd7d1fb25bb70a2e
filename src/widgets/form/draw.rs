//! How a [`Form`] looks: lines of all fields, of which as many are shown as fit around the focus.

use super::{Focus, Form, Kind, Paths, Rows};
use crate::text::{clean, fit, fit_middle, width};
use crate::widgets::input::Input;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use unicode_width::UnicodeWidthChar;

/// Lines of a picker's list.
const LIST: usize = 6;
/// Lines for buttons and help, with those between.
const FOOT: u16 = 5;
/// Taken paths that are shown.
const TAKEN: usize = 4;

/// The styles of a form.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Values.
    pub text: Style,
    /// Labels, placeholders, help.
    pub dim: Style,
    /// Rules.
    pub faint: Style,
    /// The mark and the label of the field in focus.
    pub focus: Style,
    /// The ground of the value in focus.
    pub field: Style,
    /// A button in focus, the line of a list under the cursor.
    pub cursor: Style,
    /// What was chosen or taken.
    pub accent: Style,
    /// Folders.
    pub container: Style,
    /// What is wrong.
    pub bad: Style,
    /// Notes that all is well.
    pub good: Style,
    /// Line drawing or ASCII.
    pub unicode: bool,
}

impl Look {
    fn glyph(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }
}

/// A line of the form and whether the view must hold it.
struct Row {
    spans: Vec<Span<'static>>,
    focus: bool,
}

struct Canvas<'a> {
    look: &'a Look,
    /// Columns of labels, and of values.
    label: usize,
    value: usize,
    rows: Vec<Row>,
}

impl Form {
    /// Lines it takes at this width, buttons and help included: to size a popup.
    pub fn height(&self, columns: u16, look: &Look) -> u16 {
        (self.lay_out(columns, look).len() as u16).saturating_add(FOOT)
    }

    fn lay_out(&self, columns: u16, look: &Look) -> Vec<Row> {
        let columns = usize::from(columns);
        let longest = self.fields.iter().filter(|f| !f.hidden).map(|f| width(&f.label)).max().unwrap_or(0);
        let label = longest.min(columns / 3);
        let value = columns.saturating_sub(label + 5);
        let mut canvas = Canvas { look, label, value, rows: Vec::new() };
        for (i, field) in self.fields.iter().enumerate().filter(|(_, f)| !f.hidden) {
            let focused = self.focus == Focus::Field(i);
            canvas.field(field, focused);
        }
        canvas.rows
    }

    /// Draws it; `hint` stands at the right of the buttons when there is room.
    pub fn draw(&mut self, area: Rect, buf: &mut Buffer, look: &Look, hint: &str) {
        if area.width < 8 || area.height < 2 {
            return;
        }
        let foot = match area.height {
            14.. => FOOT,
            8..14 => 4,
            low => low.min(2),
        };
        let body = Rect { height: area.height - foot, ..area };
        let rows = self.lay_out(area.width, look);
        let shown = usize::from(body.height);
        let top = rows.iter().position(|r| r.focus).unwrap_or(rows.len());
        let bottom = rows.iter().rposition(|r| r.focus).map_or(rows.len(), |i| i + 1);
        // The whole of the field in focus, its start before its end.
        if bottom > self.scroll + shown {
            self.scroll = bottom - shown;
        }
        self.scroll = self.scroll.min(top).min(rows.len().saturating_sub(shown));
        let more = rows.len().saturating_sub(self.scroll + shown);
        for (y, row) in rows.into_iter().skip(self.scroll).take(shown).enumerate() {
            let area = Rect { y: body.y + y as u16, height: 1, ..body };
            Line::from(row.spans).render(area, buf);
        }
        self.scroll_marks(body, more, buf, look);
        self.foot(Rect { y: body.bottom(), height: foot, ..area }, buf, look, hint);
    }

    fn scroll_marks(&self, area: Rect, more: usize, buf: &mut Buffer, look: &Look) {
        let x = area.right() - 1;
        if self.scroll > 0 && area.height > 0 {
            buf.set_string(x, area.y, look.glyph("↑", "^"), look.dim);
        }
        if more > 0 && area.height > 1 {
            buf.set_string(x, area.bottom() - 1, look.glyph("↓", "v"), look.dim);
        }
    }

    fn foot(&self, area: Rect, buf: &mut Buffer, look: &Look, hint: &str) {
        let room = usize::from(area.width);
        let y = area.y + u16::from(area.height >= 4);
        let mut spans = vec![Span::raw(" ")];
        for (focus, words) in [(Focus::Submit, self.submit.as_str()), (Focus::Cancel, "Cancel")] {
            if self.focus == focus {
                spans.push(Span::styled(look.glyph("▸", ">"), look.focus));
                spans.push(Span::styled(format!("[ {words} ]"), look.cursor));
            } else {
                spans.push(Span::raw(" "));
                spans.push(Span::styled(format!("[ {words} ]"), look.text));
            }
            spans.push(Span::raw(" "));
        }
        let line = Line::from(spans);
        let used = line.width();
        line.render(Rect { y, height: 1, ..area }, buf);
        if used + width(hint) + 2 <= room {
            buf.set_string(area.right() - width(hint) as u16 - 1, y, hint, look.dim);
        }
        let help = self.focused().map_or("", |f| f.help.as_str());
        let rows = match area.height {
            FOOT.. => 2,
            2..FOOT => 1,
            _ => 0,
        };
        let mut lines = wrap(help, room.saturating_sub(5));
        if lines.len() > usize::from(rows) {
            lines = vec![help.to_owned()];
        }
        for (i, line) in lines.iter().take(usize::from(rows)).enumerate() {
            let y = area.bottom() - rows + i as u16;
            buf.set_string(area.x + 2, y, fit(line, room.saturating_sub(3)), look.dim);
        }
    }
}

impl Canvas<'_> {
    /// The start of a line: the mark of the focus and a label.
    fn start(&self, label: &str, focused: bool, mark: bool) -> Vec<Span<'static>> {
        let look = self.look;
        let mark = if mark { look.glyph("▸", ">") } else { " " };
        let label = fit(label, self.label).into_owned();
        let pad = self.label - width(&label).min(self.label);
        vec![
            Span::styled(format!("{mark} "), look.focus),
            Span::styled(label, if focused { look.focus } else { look.dim }),
            Span::raw(" ".repeat(pad + 2)),
        ]
    }

    fn push(&mut self, label: &str, focused: bool, mark: bool, value: Vec<Span<'static>>) {
        let mut spans = self.start(label, focused, mark);
        spans.extend(value);
        self.rows.push(Row { spans, focus: focused });
    }

    fn field(&mut self, field: &super::Field, focused: bool) {
        let look = *self.look;
        let label = field.label.as_str();
        match &field.kind {
            Kind::Text { input, placeholder } => {
                let value = self.input(input, placeholder, focused, self.value);
                self.push(label, focused, focused, value);
            }
            Kind::Secret { input, placeholder } => {
                let value = self.input(&dots(input, look.unicode), placeholder, focused, self.value);
                self.push(label, focused, focused, value);
            }
            Kind::Choice { items, at } => {
                let value = self.choice(items, *at, focused);
                self.push(label, focused, focused, value);
            }
            Kind::Toggle { on, words } => {
                let mark = if *on { look.glyph("[✓]", "[x]") } else { "[ ]" };
                let style = if *on { look.accent } else { look.text };
                let mut value = vec![Span::styled(mark, style), Span::styled(format!(" {words}"), look.text)];
                self.ground(&mut value, focused);
                self.push(label, focused, focused, value);
            }
            Kind::Rows(rows) => self.table(label, rows, focused),
            Kind::Paths(paths) => self.paths(label, paths, focused),
            Kind::Info(lines) => {
                for (i, line) in lines.iter().enumerate() {
                    let text = fit(&clean(line), self.value).into_owned();
                    self.push(if i == 0 { label } else { "" }, false, false, vec![Span::styled(text, look.dim)]);
                }
            }
        }
        let said = match (&field.error, &field.note) {
            (Some(error), _) => Some((look.glyph("✗", "!"), error, look.bad)),
            (None, Some(note)) => Some((look.glyph("·", "-"), note, look.dim)),
            (None, None) => None,
        };
        if let Some((mark, words, style)) = said {
            for (i, line) in wrap(&clean(words), self.value.saturating_sub(2)).into_iter().enumerate() {
                let mark = if i == 0 { mark } else { " " };
                let mut spans = self.start("", false, false);
                spans.push(Span::styled(format!("{mark} {line}"), style));
                self.rows.push(Row { spans, focus: focused });
            }
        }
    }

    /// Gives the value in focus a ground as wide as all values.
    fn ground(&self, value: &mut Vec<Span<'static>>, focused: bool) {
        if focused {
            let used: usize = value.iter().map(Span::width).sum();
            value.push(Span::raw(" ".repeat(self.value.saturating_sub(used))));
            for span in value {
                span.style = span.style.patch(self.look.field);
            }
        }
    }

    /// A line of text, cut so that its cursor is seen, `columns` wide.
    fn input(&self, input: &Input, placeholder: &str, focused: bool, columns: usize) -> Vec<Span<'static>> {
        let look = self.look;
        if columns == 0 {
            return Vec::new();
        }
        let (before, after) = input.split();
        let (before, after) = (clean(before), clean(after));
        if !focused {
            let whole = format!("{before}{after}");
            let (text, style) = if whole.is_empty() { (placeholder, look.dim) } else { (whole.as_str(), look.text) };
            let text = fit_middle(text, columns).into_owned();
            let pad = columns - width(&text).min(columns);
            return vec![Span::styled(text, style), Span::raw(" ".repeat(pad))];
        }
        let ground = look.text.patch(look.field);
        let block = ground.add_modifier(Modifier::REVERSED);
        if before.is_empty() && after.is_empty() {
            let mut chars = placeholder.chars();
            let first = chars.next().unwrap_or(' ');
            let rest = fit(chars.as_str(), columns.saturating_sub(1)).into_owned();
            let pad = columns.saturating_sub(1 + width(&rest));
            return vec![
                Span::styled(first.to_string(), look.dim.patch(look.field).add_modifier(Modifier::REVERSED)),
                Span::styled(rest, look.dim.patch(look.field)),
                Span::styled(" ".repeat(pad), ground),
            ];
        }
        // The text before the cursor gets at most three quarters when there is more behind it.
        let room = if after.is_empty() { columns - 1 } else { (columns - 1).min(columns * 3 / 4) };
        let head = tail_of(&before, room);
        let mut after_chars = after.chars();
        let under = after_chars.next().unwrap_or(' ');
        let used = width(&head) + under.width().unwrap_or(1);
        let rest = fit(after_chars.as_str(), columns.saturating_sub(used)).into_owned();
        let pad = columns.saturating_sub(used + width(&rest));
        vec![
            Span::styled(head, ground),
            Span::styled(under.to_string(), block),
            Span::styled(rest, ground),
            Span::styled(" ".repeat(pad), ground),
        ]
    }

    /// All choices in a line when they fit, else the one taken between arrows.
    fn choice(&self, items: &[String], at: usize, focused: bool) -> Vec<Span<'static>> {
        let look = self.look;
        let (on, off) = if look.unicode { ("● ", "○ ") } else { ("(x) ", "( ) ") };
        let all: usize = items.iter().map(|i| width(i) + width(off) + 2).sum();
        let mut value = Vec::new();
        if all <= self.value + 2 {
            for (i, item) in items.iter().enumerate() {
                let (mark, style) = if i == at { (on, look.accent) } else { (off, look.dim) };
                value.push(Span::styled(format!("{mark}{}", clean(item)), style));
                if i + 1 < items.len() {
                    value.push(Span::raw("  "));
                }
            }
        } else {
            let (left, right) = if look.unicode { ("‹ ", " ›") } else { ("< ", " >") };
            let item =
                items.get(at).map_or(String::new(), |i| fit(&clean(i), self.value.saturating_sub(12)).into_owned());
            value.push(Span::styled(left, look.dim));
            value.push(Span::styled(item, look.accent));
            value.push(Span::styled(format!("{right}  {}/{}", at + 1, items.len()), look.dim));
        }
        self.ground(&mut value, focused);
        value
    }

    fn table(&mut self, label: &str, rows: &Rows, focused: bool) {
        let look = *self.look;
        let gaps = rows.columns.len().saturating_sub(1) * 2;
        let room = self.value.saturating_sub(gaps);
        let shares: usize = rows.columns.iter().map(|c| usize::from(c.weight)).sum::<usize>().max(1);
        let mut widths: Vec<usize> = rows.columns.iter().map(|c| room * usize::from(c.weight) / shares).collect();
        if let Some(last) = widths.last_mut() {
            *last = 0;
            let rest: usize = widths.iter().sum();
            if let Some(last) = widths.last_mut() {
                *last = room - rest;
            }
        }
        let mut head = Vec::new();
        for (i, (column, w)) in rows.columns.iter().zip(&widths).enumerate() {
            let gap = if i + 1 < rows.columns.len() { 2 } else { 0 };
            let title = fit(&column.title, *w);
            head.push(Span::styled(format!("{title:<w$}{:gap$}", "", w = *w), look.faint.patch(look.dim)));
        }
        self.push(label, focused, false, head);
        for (r, row) in rows.cells.iter().enumerate() {
            let here = focused && rows.at.0 == r;
            let mut value = Vec::new();
            for (c, (cell, w)) in row.iter().zip(&widths).enumerate() {
                let here = here && rows.at.1 == c;
                let turns = !rows.columns[c].choices.is_empty();
                if turns {
                    let arrows = here && *w > 6;
                    let text = fit(&clean(cell.text()), w.saturating_sub(if arrows { 4 } else { 0 })).into_owned();
                    let (l, e) = if look.unicode { ("‹ ", " ›") } else { ("< ", " >") };
                    let text = if arrows { format!("{l}{text}{e}") } else { text };
                    let pad = w.saturating_sub(width(&text));
                    let style = if here { look.accent.patch(look.field) } else { look.text };
                    value.push(Span::styled(format!("{text}{}", " ".repeat(pad)), style));
                } else {
                    let empty = if rows.cells.len() == 1 || here { "…" } else { "" };
                    let empty = if look.unicode { empty } else { "" };
                    value.extend(self.input(cell, empty, here, *w));
                }
                if c + 1 < row.len() {
                    value.push(Span::raw("  "));
                }
            }
            self.push("", focused, here, value);
        }
    }

    fn paths(&mut self, label: &str, paths: &Paths, focused: bool) {
        let look = *self.look;
        let hidden = paths.taken.len().saturating_sub(TAKEN);
        let mut label = label;
        if hidden > 0 {
            let words = format!("{hidden} before these");
            self.push(label, focused, false, vec![Span::styled(words, look.dim)]);
            label = "";
        }
        for path in &paths.taken[hidden..] {
            let text = fit_middle(&clean(path), self.value.saturating_sub(2)).into_owned();
            let mark = Span::styled(look.glyph("✓ ", "+ "), look.good);
            let style = if path.ends_with('/') { look.container } else { look.text };
            self.push(label, focused, false, vec![mark, Span::styled(text, style)]);
            label = "";
        }
        if !focused && paths.is_left_over() {
            return;
        }
        let placeholder = if paths.taken.is_empty() { "a path; letters find names" } else { "another one" };
        let value = self.input(&paths.input, placeholder, focused, self.value);
        self.push(label, focused, focused && paths.cursor.is_none(), value);
        if focused {
            self.list(paths);
        }
    }

    fn list(&mut self, paths: &Paths) {
        let look = *self.look;
        if let Some(problem) = &paths.problem {
            let text = fit(&clean(problem), self.value.saturating_sub(2)).into_owned();
            self.push("", true, false, vec![Span::styled(format!("  {text}"), look.dim)]);
            return;
        }
        let total = paths.matches().len();
        let cursor = paths.cursor.unwrap_or(0);
        let from = cursor.saturating_sub(LIST / 2).min(total.saturating_sub(LIST));
        for (i, item) in paths.matches().enumerate().skip(from).take(LIST) {
            let here = paths.cursor == Some(i);
            let slash = if item.is_folder { "/" } else { "" };
            let room = self.value.saturating_sub(width(&item.size) + 4);
            let name = fit_middle(&format!("{}{slash}", clean(&item.name)), room).into_owned();
            let pad = self.value.saturating_sub(width(&name) + width(&item.size) + 3);
            let style = if item.is_folder { look.container } else { look.text };
            let mut value = vec![
                Span::styled(format!("  {name}"), style),
                Span::styled(format!("{}{} ", " ".repeat(pad), item.size), look.dim),
            ];
            if here {
                for span in &mut value {
                    span.style = span.style.patch(look.cursor);
                }
            }
            self.push("", true, here, value);
        }
        if total > LIST {
            let words = format!("  {} of {total}", (cursor + 1).min(total));
            self.push("", true, false, vec![Span::styled(words, look.dim)]);
        }
    }
}

/// A dot for each character, the cursor where it is.
fn dots(input: &Input, unicode: bool) -> Input {
    let dot = if unicode { "•" } else { "*" };
    let (before, after) = input.split();
    let mut shown = Input::new(dot.repeat(before.chars().count() + after.chars().count()));
    for _ in after.chars() {
        shown.apply(&crate::widgets::input::Edit::Left);
    }
    shown
}

/// The end of `text` that fits `columns`, with an ellipsis in front where something is cut.
fn tail_of(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut used = 1;
    let mut start = text.len();
    for (i, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        start = i;
    }
    format!("…{}", &text[start..])
}

/// Words in lines of at most `columns`.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().filter(|l| l.is_empty() || width(l) + 1 + width(word) <= columns);
        match last {
            Some(line) => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(&fit(word, columns.max(1)));
            }
            None => lines.push(fit(word, columns.max(1)).into_owned()),
        }
    }
    lines
}
