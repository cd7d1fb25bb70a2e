//! The key-value metadata of the file: `geo`, `pandas`, `sliderule`, folded; JSON as a tree.

use super::tree::{Twig, twigs};
use crate::action::Action;
use crate::screen::popup::moved;
use crate::screen::{Cx, Target};
use crate::table::About;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use serde_json::Value;

/// Characters of a value that is no JSON.
const MOST: usize = 64 << 10;
/// A value of at most so many lines is open from the start.
const SHORT: usize = 40;

/// A line, with its pair where it is a heading.
type Drawn = (Option<usize>, Line<'static>);

struct Pair {
    name: String,
    /// `JSON, 1,204 bytes`.
    words: String,
    twigs: Vec<Twig>,
    open: bool,
}

/// The view.
pub(super) struct Meta {
    pairs: Vec<Pair>,
    /// The line under the cursor, counted over all that are drawn.
    at: usize,
    top: usize,
    height: usize,
    /// The lines as they were made last: for this width, each with its pair where it is a heading.
    lines: Option<(u16, Vec<Drawn>)>,
}

impl Meta {
    pub(super) fn new(about: &About) -> Self {
        let pairs = about.pairs.iter().map(|(name, value)| Pair::new(name, value)).collect();
        Self { pairs, at: 0, top: 0, height: 10, lines: None }
    }

    /// Moves or folds; tells whether it was that.
    pub(super) fn update(&mut self, action: Action) -> bool {
        let page = self.height.max(2) - 1;
        let lines = self.lines.as_ref().map_or(0, |(_, lines)| lines.len());
        match action {
            Action::Enter => return self.fold(None),
            Action::Right => return self.fold(Some(true)),
            Action::Left => return self.fold(Some(false)),
            _ => {}
        }
        let to = moved(self.at, action, lines, page, page / 2);
        self.at = to.unwrap_or(self.at);
        to.is_some()
    }

    /// The pair that the line under the cursor belongs to, and the line of its heading.
    fn pair(&self) -> Option<(usize, usize)> {
        let (_, lines) = self.lines.as_ref()?;
        let before = lines.get(..=self.at)?;
        before.iter().enumerate().rev().find_map(|(at, (pair, _))| Some(((*pair)?, at)))
    }

    fn fold(&mut self, open: Option<bool>) -> bool {
        if let Some((pair, at)) = self.pair() {
            let pair = &mut self.pairs[pair];
            pair.open = open.unwrap_or(!pair.open);
            if !pair.open {
                self.at = at;
            }
            self.lines = None;
        }
        true
    }

    /// The value under the cursor as it stands in the file, and its name.
    pub(super) fn copy(&self, about: &About) -> Option<(String, String)> {
        let (pair, _) = self.pair()?;
        about.pairs.get(pair).cloned()
    }

    /// Puts the cursor on the line so many below the first in sight.
    pub(super) fn click(&mut self, from_top: usize) {
        let again = self.at == self.top + from_top;
        self.at = self.top + from_top;
        if again {
            self.fold(None);
        }
    }

    pub(super) fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        if self.pairs.is_empty() {
            let words = Paragraph::new(" The file has no key-value metadata.").style(theme.style(Role::Dim));
            return frame.render_widget(words, area);
        }
        if self.lines.as_ref().is_none_or(|(width, _)| *width != area.width) {
            self.lines = Some((area.width, self.render(area.width.into(), cx)));
        }
        let Some((_, lines)) = &self.lines else { return };
        self.height = usize::from(area.height.max(1));
        self.at = self.at.min(lines.len().saturating_sub(1));
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(self.height));
        for ((i, (_, line)), y) in lines.iter().enumerate().skip(self.top).zip(area.y..area.bottom()) {
            let at = Rect { y, height: 1, ..area };
            let is_at = i == self.at;
            let style = if is_at { theme.style(Role::CursorDim) } else { Style::default() };
            frame.render_widget(Paragraph::new(line.clone()).style(style), at);
            if is_at {
                frame.buffer_mut().set_style(at, theme.style(Role::CursorDim));
            }
            if cx.mouse {
                cx.hits.add(at, Target::Row(i - self.top));
            }
        }
    }

    fn render(&self, width: usize, cx: &Cx) -> Vec<Drawn> {
        let theme = &cx.theme;
        let names = self.pairs.iter().map(|p| text::width(&p.name)).max().unwrap_or(0).min(width / 2);
        let mut out = Vec::new();
        for (i, pair) in self.pairs.iter().enumerate() {
            let mark = match (pair.open, cx.unicode) {
                (true, true) => "▾",
                (false, true) => "▸",
                (true, false) => "v",
                (false, false) => ">",
            };
            let name = text::fit(&pair.name, names).into_owned();
            let pad = " ".repeat((names + 2).saturating_sub(text::width(&name)));
            let head = Line::from(vec![
                Span::styled(format!(" {mark} "), theme.style(Role::Accent)),
                Span::styled(name, theme.style(Role::Title)),
                Span::raw(pad),
                Span::styled(pair.words.clone(), theme.style(Role::Dim)),
            ]);
            out.push((Some(i), head));
            if pair.open {
                for line in pair.twigs.iter().flat_map(|twig| twig.lines(width.saturating_sub(6), cx)) {
                    let mut spans = vec![Span::raw("     ")];
                    spans.extend(line.spans);
                    out.push((None, Line::from(spans)));
                }
                out.push((None, Line::raw("")));
            }
        }
        out
    }
}

impl Pair {
    fn new(name: &str, value: &str) -> Self {
        let size = format!("{} bytes", text::count(value.len() as u64));
        let parsed = if value.trim_start().starts_with(['{', '[']) { serde_json::from_str(value).ok() } else { None };
        let (words, twigs) = if let Some(value @ (Value::Object(_) | Value::Array(_))) = parsed {
            (format!("JSON, {size}"), twigs(&value))
        } else {
            let cut = value.char_indices().nth(MOST).map_or(value, |(at, _)| &value[..at]);
            let binary = name == "ARROW:schema";
            let words = if binary { format!("the Arrow schema in base64, {size}") } else { size };
            (words, vec![Twig::line(cut.to_owned(), Role::Text)])
        };
        let open = twigs.len() <= SHORT && name != "ARROW:schema";
        Self { name: text::clean(name).into_owned(), words, twigs, open }
    }
}
