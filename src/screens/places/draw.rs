//! How the start screen looks.

use super::check::{Check, Stand};
use super::list::{Group, Line as Entry, What, shown};
use super::{Places, lock_of};
use crate::action::Action;
use crate::screen::Cx;
use crate::screen::popup::framed;
use crate::text::{clean, fit, width};
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// From this width on, what is known of a place stands beside the list.
const WIDE: u16 = 100;
/// Frames of the mark of a running check.
const TURNS: [&str; 4] = ["◐", "◓", "◑", "◒"];

impl Places {
    pub(super) fn render(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let title_lines = if area.height < 16 { 2 } else { 3 };
        let [title, body] = Layout::vertical([Constraint::Length(title_lines), Constraint::Min(1)]).areas(area);
        self.title_line(frame, title, cx);
        if area.width >= WIDE {
            let [list, gap, side] =
                Layout::horizontal([Constraint::Percentage(56), Constraint::Length(3), Constraint::Min(1)]).areas(body);
            self.list(frame, list, cx);
            let rule = vec![Line::styled(" │", cx.theme.style(Role::Border)); usize::from(gap.height)];
            frame.render_widget(Paragraph::new(rule), gap);
            let lines = self.about(usize::from(side.width.saturating_sub(1)), cx);
            frame.render_widget(Paragraph::new(lines), side);
        } else {
            self.narrow(frame, body, cx);
        }
        if let Some((line, yes)) = &self.asked {
            question(frame, area, line, *yes, cx);
        }
    }

    /// Without room for a pane: a line below the list, or a sheet with the check.
    fn narrow(&mut self, frame: &mut Frame, body: Rect, cx: &Cx) {
        let sheet = self.sheet && self.check_here().is_some();
        let most = body.height * 2 / 3;
        let lines = if sheet { self.sheet_lines(usize::from(body.width.saturating_sub(3)), cx) } else { Vec::new() };
        let below = if sheet { (lines.len() as u16 + 1).min(most) } else { u16::from(body.height > 8) * 2 };
        let [list, foot] = Layout::vertical([Constraint::Min(1), Constraint::Length(below)]).areas(body);
        self.list(frame, list, cx);
        if foot.height == 0 {
            return;
        }
        let theme = &cx.theme;
        let rule = Rect { height: 1, ..foot };
        let rest = Rect { x: foot.x + 2, y: foot.y + 1, width: foot.width.saturating_sub(3), height: foot.height - 1 };
        let head = if sheet { self.here().map(|l| format!(" check of {} ", clean(&l.name))) } else { None };
        let head = fit(&head.unwrap_or_default(), usize::from(foot.width.saturating_sub(8))).into_owned();
        let line = "─".repeat(usize::from(foot.width).saturating_sub(2 + width(&head)));
        let words = Line::from(vec![
            Span::styled("──", theme.style(Role::Border)),
            Span::styled(head, theme.style(Role::Title)),
            Span::styled(line, theme.style(Role::Border)),
        ]);
        frame.render_widget(Paragraph::new(words), rule);
        if sheet {
            // The end is what matters where it does not fit: who, which buckets, what to do.
            let cut = lines.len().saturating_sub(usize::from(rest.height));
            frame.render_widget(Paragraph::new(lines.into_iter().skip(cut).collect::<Vec<_>>()), rest);
        } else {
            frame.render_widget(Paragraph::new(self.folded(usize::from(rest.width), cx)), rest);
        }
    }

    fn title_line(&self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let question = if area.width < 50 { "" } else { "   how deep can you see into a bucket?" };
        let mut spans =
            vec![Span::styled("  ◐ secchi", theme.style(Role::Title)), Span::styled(question, theme.style(Role::Dim))];
        if let Some(filter) = &self.filter {
            spans.truncate(1);
            let (before, after) = filter.split();
            spans.push(Span::styled("   / ", theme.style(Role::Key)));
            spans.push(Span::raw(clean(before).into_owned()));
            if self.typing {
                spans.push(Span::styled("▏", theme.style(Role::Accent)));
            }
            spans.push(Span::raw(clean(after).into_owned()));
            let words = format!("   {} of {}", self.shown.len(), self.lines.len());
            spans.push(Span::styled(words, theme.style(Role::Dim)));
        }
        frame.render_widget(Paragraph::new(vec![Line::raw(""), Line::from(spans)]), area);
    }

    /// Lines with the headings of their groups between them.
    fn list(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let mut lines: Vec<(Option<usize>, Line)> = Vec::new();
        let mut group: Option<Group> = None;
        let names = self.shown.iter().map(|&i| width(&self.lines[i].name)).max().unwrap_or(0);
        let most = match area.width {
            ..60 => 18,
            60..WIDE => 26,
            _ => 36,
        };
        let names = names.clamp(12, most);
        for (n, &i) in self.shown.iter().enumerate() {
            let entry = &self.lines[i];
            if group != Some(entry.group) {
                if group.is_some() {
                    lines.push((None, Line::raw("")));
                }
                group = Some(entry.group);
                lines.push((None, Line::styled(format!("  {}", entry.group.title()), theme.style(Role::Accent))));
            }
            lines.push((Some(n), self.entry(entry, n == self.cursor, names, area.width, cx)));
        }
        if self.shown.is_empty() {
            lines.push((None, Line::styled("  nothing matches; Esc shows all", theme.style(Role::Dim))));
        } else if !self.is_set_up && self.filter.is_none() {
            let key = cx.keymap.label(&["places"], Action::AddPlace);
            let go = cx.keymap.label(&["global"], Action::GoTo);
            let words = format!(
                "  Nothing is set up yet: {key} adds an endpoint, {go} takes an address. ~/.aws and ~/.s3cfg are read."
            );
            let mut first: Vec<(Option<usize>, Line)> = wrap(&words, usize::from(area.width.saturating_sub(3)))
                .into_iter()
                .map(|words| (None, Line::styled(format!("  {}", words.trim()), theme.style(Role::Dim))))
                .collect();
            first.push((None, Line::raw("")));
            lines.splice(0..0, first);
        }
        self.height = usize::from(area.height);
        let here = lines.iter().position(|(i, _)| *i == Some(self.cursor)).unwrap_or(0);
        // The heading above the first line of a group stays with it; at the top all that is above it.
        let above = if self.cursor == 0 { here } else { 1 };
        self.top = self.top.min(here.saturating_sub(above)).max((here + 2).saturating_sub(self.height));
        for (n, (i, line)) in lines.into_iter().enumerate().skip(self.top).take(self.height) {
            let style = if i == Some(self.cursor) { theme.style(Role::Cursor) } else { Style::default() };
            let at = Rect { y: area.y + (n - self.top) as u16, height: 1, ..area };
            frame.render_widget(Paragraph::new(line).style(style), at);
        }
    }

    fn entry<'a>(&self, entry: &Entry, at: bool, names: usize, columns: u16, cx: &Cx) -> Line<'a> {
        let theme = &cx.theme;
        let role = |r| if at { Style::default() } else { theme.style(r) };
        let lock = match &entry.what {
            What::At(location) => lock_of(location, cx),
            What::Demo => Some(true),
            What::Add => None,
        };
        let (lock, lock_role) = match lock {
            Some(true) => ("● rw ", Role::Warn),
            None if matches!(entry.what, What::Add) => ("  +  ", Role::Accent),
            Some(false) | None => ("○ ro ", Role::Good),
        };
        let name = shown(&entry.name, names);
        let pad = " ".repeat(names + 2 - width(&name));
        let (mark, mark_role) = match entry.location().and_then(|at| self.checks.get(at)).map(Check::stand) {
            None => (String::new(), Role::Dim),
            Some(Stand::Runs) => (" ⟳ ".to_owned(), Role::Accent),
            Some(Stand::Works(words)) => (format!(" ✓ {words} "), Role::Good),
            Some(Stand::Fails) => (" ✗ ".to_owned(), Role::Bad),
        };
        let room = usize::from(columns).saturating_sub(names + 10 + width(&mark));
        let detail = shown(&entry.detail, room);
        let fill = " ".repeat((room + 1).saturating_sub(width(&detail)));
        Line::from(vec![
            Span::styled(if at { "▸ " } else { "  " }, role(Role::Accent)),
            Span::styled(lock, role(lock_role)),
            Span::styled(name, role(Role::Container)),
            Span::raw(pad),
            Span::styled(detail, role(Role::Dim)),
            Span::raw(fill),
            Span::styled(mark, role(mark_role)),
        ])
    }

    /// What is known of the place under the cursor, `columns` wide.
    fn about<'a>(&self, columns: usize, cx: &Cx) -> Vec<Line<'a>> {
        let theme = &cx.theme;
        let Some(entry) = self.here() else { return Vec::new() };
        let mut lines = vec![Line::styled(shown(&entry.name, columns), theme.style(Role::Title)), Line::raw("")];
        let facts = entry.facts.iter().map(|(word, said)| (*word, said.clone())).chain(lock_fact(entry, cx));
        for (word, said) in facts {
            for (i, part) in wrap(&clean(&said), columns.saturating_sub(14)).into_iter().enumerate() {
                let word = if i == 0 { word } else { "" };
                lines.push(Line::from(vec![
                    Span::styled(format!("{word:<14}"), theme.style(Role::Dim)),
                    Span::raw(part),
                ]));
            }
        }
        lines.push(Line::raw(""));
        if self.check_here().is_some() {
            lines.push(Line::styled("check", theme.style(Role::Accent)));
            lines.extend(self.sheet_lines(columns, cx));
            lines.push(Line::raw(""));
        }
        lines.extend(Self::keys(entry, columns, cx));
        lines
    }

    /// The keys that mean something here, in lines.
    fn keys<'a>(entry: &Entry, columns: usize, cx: &Cx) -> Vec<Line<'a>> {
        let mut hints = vec![(Action::Enter, "open")];
        if entry.location().is_some() {
            let edit = if entry.group == Group::Places { "edit" } else { "make it a place" };
            hints.extend([(Action::CheckPlace, "check"), (Action::EditPlace, edit)]);
        }
        if matches!(entry.group, Group::Places | Group::Bookmarks | Group::Recent) {
            hints.push((Action::RemovePlace, "forget"));
        }
        if entry.location().is_some_and(|at| lock_of(at, cx).is_some()) {
            hints.push((Action::ReadOnly, "lock or unlock"));
        }
        hints.extend([(Action::AddPlace, "add a place"), (Action::Filter, "filter")]);
        let mut lines = vec![Vec::new()];
        let mut used = 0;
        for (action, word) in hints {
            let key = cx.keymap.label(&["places", "list", "global"], action);
            let wide = width(&key) + width(word) + 3;
            if used + wide > columns && used > 0 {
                lines.push(Vec::new());
                used = 0;
            }
            used += wide;
            if let Some(line) = lines.last_mut() {
                line.push(Span::styled(key, cx.theme.style(Role::Key)));
                line.push(Span::styled(format!(" {word}  "), cx.theme.style(Role::Dim)));
            }
        }
        lines.into_iter().map(Line::from).collect()
    }

    /// What is known of the place under the cursor, in one line.
    fn folded<'a>(&self, columns: usize, cx: &Cx) -> Line<'a> {
        let Some(entry) = self.here() else { return Line::raw("") };
        let known = |word: &str| entry.facts.iter().find(|(w, _)| *w == word).map(|(_, said)| clean(said).into_owned());
        let parts = ["keys", "region", "address", "is", "needs", "first", "note"];
        let mut line = String::new();
        for part in parts.into_iter().filter_map(known) {
            let longer = if line.is_empty() { part } else { format!("{line} · {part}") };
            if line.is_empty() || width(&longer) <= columns {
                line = longer;
            }
        }
        let style = cx.theme.style(Role::Dim);
        let key = cx.keymap.label(&["places"], Action::CheckPlace);
        let hint = format!("{key} check");
        if entry.location().is_none() || width(&line) + width(&hint) + 2 > columns {
            return Line::styled(fit(&line, columns).into_owned(), style);
        }
        let gap = " ".repeat(columns - width(&line) - width(&hint));
        Line::from(vec![
            Span::styled(line, style),
            Span::raw(gap),
            Span::styled(key, cx.theme.style(Role::Key)),
            Span::styled(" check", style),
        ])
    }

    /// What the check of the place under the cursor has found.
    fn sheet_lines<'a>(&self, columns: usize, cx: &Cx) -> Vec<Line<'a>> {
        let theme = &cx.theme;
        let Some(check) = self.check_here() else { return Vec::new() };
        let mut lines = Vec::new();
        for finding in &check.findings {
            let (mark, role) = match (&finding.result, finding.warns) {
                (Ok(_), false) => ("✓ ", Role::Good),
                (Ok(_), true) => ("! ", Role::Warn),
                (Err(_), _) => ("✗ ", Role::Bad),
            };
            let words = finding.result.as_ref().map_or_else(ToString::to_string, Clone::clone);
            for (i, part) in wrap(&clean(&words), columns.saturating_sub(14)).into_iter().enumerate() {
                let (mark, topic) = if i == 0 { (mark, finding.topic.as_str()) } else { ("  ", "") };
                let style = if finding.result.is_err() { theme.style(Role::Bad) } else { Style::default() };
                lines.push(Line::from(vec![
                    Span::styled(mark, theme.style(role)),
                    Span::styled(format!("{topic:<12}"), theme.style(Role::Dim)),
                    Span::styled(part, style),
                ]));
            }
            if let Some(hint) = finding.result.as_ref().err().and_then(|err| err.hint()) {
                for (i, part) in wrap(&clean(hint), columns.saturating_sub(16)).into_iter().enumerate() {
                    let mark = if i == 0 { "→ " } else { "  " };
                    lines.push(Line::from(vec![
                        Span::raw(" ".repeat(14)),
                        Span::styled(mark, theme.style(Role::Accent)),
                        Span::raw(part),
                    ]));
                }
            }
        }
        if check.runs() {
            let turn = TURNS[check.findings.len() % TURNS.len()];
            lines.push(Line::styled(format!("{turn} asking…"), theme.style(Role::Dim)));
        }
        lines
    }
}

/// The lock in words, and who decides.
fn lock_fact(entry: &Entry, cx: &Cx) -> Option<(&'static str, String)> {
    let at = entry.location()?;
    let key = cx.keymap.label(&["places"], Action::ReadOnly);
    let words = match (lock_of(at, cx), cx.stores.options().read_only, cx.stores.lock(at.store())) {
        (None, ..) => "read-only: it cannot be written to from here".to_owned(),
        (_, true, _) => "read-only: the program was started so".to_owned(),
        (Some(true), _, Some(false)) => format!("may be written to, as its place says; {key} locks it"),
        (Some(true), ..) => format!("may be written to in this session; {key} locks it"),
        (Some(false), _, Some(true)) => format!("read-only, for commands too; {key} unlocks it for this session"),
        (Some(false), ..) => format!("read-only; {key} unlocks it for this session"),
    };
    Some(("writing", words))
}

fn question(frame: &mut Frame, area: Rect, line: &Entry, yes: bool, cx: &Cx) {
    let theme = &cx.theme;
    let title = if line.group == Group::Places { "Forget this place?" } else { "Forget this bookmark?" };
    let inner = framed(frame, area, 64, 8, title, cx);
    let columns = usize::from(inner.width);
    let words = match line.group {
        Group::Places => "It is taken out of config.toml. Its buckets, and keys in ~/.aws, stay as they are.",
        _ => "What it leads to stays as it is.",
    };
    let mut lines = vec![Line::raw(shown(&format!("{}  {}", line.name, line.detail), columns)), Line::raw("")];
    lines.extend(wrap(words, columns).into_iter().map(|words| Line::styled(words, theme.style(Role::Dim))));
    lines.push(Line::raw(""));
    let button = |label: &str, on: bool| {
        Span::styled(format!(" {label} "), if on { theme.style(Role::Cursor) } else { theme.style(Role::Bar) })
    };
    lines.push(Line::from(vec![button("Keep (n)", !yes), Span::raw("   "), button("Forget (y)", yes)]));
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Words in lines of at most `columns`; what is longer, such as an address, goes on in the next line.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut gap = " ";
        for piece in pieces(word, columns) {
            match lines.last_mut().filter(|l| l.is_empty() || width(l) + gap.len() + width(piece) <= columns) {
                Some(last) if last.is_empty() => last.push_str(piece),
                Some(last) => {
                    last.push_str(gap);
                    last.push_str(piece);
                }
                None => lines.push(piece.to_owned()),
            }
            gap = "";
        }
    }
    lines
}

/// A word in pieces of at most `columns`.
fn pieces(word: &str, columns: usize) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (i, c) in word.char_indices() {
        let wide = width(c.encode_utf8(&mut [0; 4]));
        if used + wide > columns && i > start {
            out.push(&word[start..i]);
            (start, used) = (i, 0);
        }
        used += wide;
    }
    out.push(&word[start..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_none_is_lost() {
        for text in ["", "a b c", "s3://a-very-long-bucket-name-indeed/prefix/ and more words follow here"] {
            for columns in [8, 12, 40] {
                let lines = wrap(text, columns);
                let joined: String = lines.concat().split_whitespace().collect();
                assert_eq!(joined, text.split_whitespace().collect::<String>(), "{columns}");
            }
        }
        assert!(wrap("one two three four", 9).iter().all(|l| width(l) <= 9));
    }
}
