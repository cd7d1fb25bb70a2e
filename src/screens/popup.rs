//! Popups: help, the palette, a message, an address to type, ways to copy, a question.

use crate::action::Action;
use crate::location::{Location, Scheme};
use crate::screen::{Cx, Flow, Open, Screen};
use crate::text;
use crate::theme::Role;
use crate::widgets::input::{Edit, Input};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Clear, Paragraph, Wrap};

/// A framed box in the middle of `area`, at most so large; gives its inside.
fn framed(frame: &mut Frame, area: Rect, width: u16, height: u16, title: &str, cx: &Cx) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    let rect = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    let theme = &cx.theme;
    let block = Block::default()
        .borders(Borders::ALL)
        .border_type(BorderType::Rounded)
        .border_style(theme.style(Role::Focus))
        .style(theme.style(Role::Text))
        .title(Span::styled(format!(" {} ", text::clean(title)), theme.style(Role::Title)));
    let inner = block.inner(rect);
    frame.render_widget(Clear, rect);
    frame.render_widget(block, rect);
    Rect { x: inner.x + 1.min(inner.width), width: inner.width.saturating_sub(2), ..inner }
}

/// A list with a cursor, in a window.
#[derive(Default)]
struct Cursor {
    at: usize,
    top: usize,
}

impl Cursor {
    /// Applies a movement; tells whether it was one.
    fn update(&mut self, action: Action, n: usize, page: usize) -> bool {
        let last = n.saturating_sub(1);
        self.at = match action {
            Action::Up => self.at.saturating_sub(1),
            Action::Down => self.at + 1,
            Action::PageUp | Action::HalfUp => self.at.saturating_sub(page),
            Action::PageDown | Action::HalfDown => self.at + page,
            Action::Top => 0,
            Action::Bottom => last,
            _ => return false,
        }
        .min(last);
        true
    }

    fn window(&mut self, height: usize) -> usize {
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(height));
        self.top
    }
}

/// Keys of the screen below.
pub(super) struct Help {
    contexts: &'static [&'static str],
    scroll: usize,
}

impl Help {
    pub(super) fn open(contexts: &'static [&'static str]) -> Self {
        Self { contexts, scroll: 0 }
    }
}

impl Screen for Help {
    fn contexts(&self) -> &'static [&'static str] {
        &["list", "global"]
    }
    fn title(&self) -> String {
        "help".into()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn update(&mut self, action: Action, _cx: &mut Cx) -> Flow {
        match action {
            Action::Up => self.scroll = self.scroll.saturating_sub(1),
            Action::Down => self.scroll += 1,
            Action::PageUp | Action::HalfUp => self.scroll = self.scroll.saturating_sub(10),
            Action::PageDown | Action::HalfDown => self.scroll += 10,
            Action::Top => self.scroll = 0,
            Action::Help | Action::Enter | Action::Close => return Flow::Close,
            _ => return Flow::Ignored,
        }
        Flow::Done
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let keys = cx.keymap.list(self.contexts);
        // Two columns where there is room, read downwards.
        let columns = if area.width >= 96 { 2 } else { 1 };
        let per_column = keys.len().div_ceil(columns);
        let (lines, room) = (per_column as u16 + 2, area.height);
        let title = if lines > room { "Keys · j k scroll" } else { "Keys" };
        let title = if cx.unicode { title.to_owned() } else { title.replace('·', "-") };
        let inner = framed(frame, area, 156, lines, &title, cx);
        self.scroll = self.scroll.min(per_column.saturating_sub(inner.height as usize));
        let width = inner.width / columns as u16;
        for (column, chunk) in keys.chunks(per_column.max(1)).enumerate() {
            let lines = chunk.iter().skip(self.scroll).map(|(action, labels)| {
                let labels = text::fit(&labels.join(" "), 16).into_owned();
                let pad = " ".repeat(17 - text::width(&labels));
                Line::from(vec![
                    Span::styled(labels, theme.style(Role::Key)),
                    Span::raw(pad),
                    Span::raw(text::fit(action.about(), usize::from(width).saturating_sub(18)).into_owned()),
                ])
            });
            let at = Rect { x: inner.x + column as u16 * width, width: width.saturating_sub(1), ..inner };
            frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), at);
        }
    }
}

/// Commands by name.
pub(super) struct Palette {
    contexts: &'static [&'static str],
    input: Input,
    cursor: Cursor,
    found: Vec<Action>,
    choice: Option<Action>,
}

impl Palette {
    pub(super) fn open(contexts: &'static [&'static str], cx: &Cx) -> Self {
        let mut palette =
            Self { contexts, input: Input::default(), cursor: Cursor::default(), found: Vec::new(), choice: None };
        palette.find(cx);
        palette
    }

    fn find(&mut self, cx: &Cx) {
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(self.input.text(), CaseMatching::Ignore, Normalization::Smart);
        let mut buffer = Vec::new();
        let mut found: Vec<(u32, Action)> = cx
            .keymap
            .list(self.contexts)
            .into_iter()
            .filter_map(|(action, _)| {
                let words = format!("{} {}", action.name(), action.about());
                pattern.score(Utf32Str::new(&words, &mut buffer), &mut matcher).map(|score| (score, action))
            })
            .collect();
        found.sort_by_key(|(score, action)| (std::cmp::Reverse(*score), *action));
        self.found = found.into_iter().map(|(_, action)| action).collect();
        self.cursor = Cursor::default();
    }
}

impl Screen for Palette {
    fn contexts(&self) -> &'static [&'static str] {
        &["prompt"]
    }
    fn title(&self) -> String {
        "commands".into()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn update(&mut self, action: Action, _cx: &mut Cx) -> Flow {
        if self.cursor.update(action, self.found.len(), 10) {
            return Flow::Done;
        }
        match action {
            Action::Enter => {
                self.choice = self.found.get(self.cursor.at).copied();
                Flow::Close
            }
            _ => Flow::Ignored,
        }
    }
    fn edit(&mut self, edit: &Edit, cx: &mut Cx) -> Flow {
        if self.input.apply(edit) {
            self.find(cx);
        }
        Flow::Done
    }
    fn take_choice(&mut self) -> Option<Action> {
        self.choice.take()
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let inner = framed(frame, area, 84, 18, "Commands", cx);
        frame.render_widget(Paragraph::new(input_line(&self.input, inner.width, ":", cx)), inner);
        let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
        let top = self.cursor.window(list.height as usize);
        for (i, action) in self.found.iter().enumerate().skip(top).take(list.height as usize) {
            let style = if i == self.cursor.at { theme.style(Role::Cursor) } else { Style::default() };
            let key = cx.keymap.label(self.contexts, *action);
            let about = text::fit(action.about(), list.width.saturating_sub(32) as usize).into_owned();
            let line = Line::from(vec![
                Span::raw(format!(" {:<16} ", action.name())),
                Span::styled(format!("{key:>10}  "), theme.style(Role::Key)),
                Span::styled(about, if i == self.cursor.at { Style::default() } else { theme.style(Role::Dim) }),
            ]);
            let at = Rect { y: list.y + (i - top) as u16, height: 1, ..list };
            frame.render_widget(Paragraph::new(line).style(style), at);
        }
    }
}

/// A line being typed, its end kept in sight.
fn input_line<'a>(input: &Input, width: u16, mark: &'a str, cx: &Cx) -> Line<'a> {
    let (before, after) = input.split();
    let room = (width as usize).saturating_sub(4);
    let before: Vec<char> = before.chars().collect();
    let start = before.len().saturating_sub(room);
    let before: String = before[start..].iter().collect();
    Line::from(vec![
        Span::styled(format!("{mark} "), cx.theme.style(Role::Key)),
        Span::raw(text::clean(&before).into_owned()),
        Span::styled(if cx.unicode { "▏" } else { "_" }, cx.theme.style(Role::Focus)),
        Span::raw(text::clean(after).into_owned()),
    ])
}

/// An address being typed.
pub(super) struct GoTo {
    input: Input,
    error: Option<String>,
}

impl GoTo {
    pub(super) fn open() -> Self {
        Self { input: Input::default(), error: None }
    }
}

impl Screen for GoTo {
    fn contexts(&self) -> &'static [&'static str] {
        &["prompt"]
    }
    fn title(&self) -> String {
        "go to".into()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn update(&mut self, action: Action, _cx: &mut Cx) -> Flow {
        if action != Action::Enter {
            return Flow::Ignored;
        }
        match Location::parse(self.input.text().trim()) {
            Ok(location) => Flow::Replace(super::open_of(location)),
            Err(err) => {
                self.error = Some(err.to_string());
                Flow::Done
            }
        }
    }
    fn edit(&mut self, edit: &Edit, _cx: &mut Cx) -> Flow {
        self.input.apply(edit);
        self.error = None;
        Flow::Done
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let inner = framed(frame, area, 90, 5, "Go to", cx);
        let help = self
            .error
            .clone()
            .unwrap_or_else(|| "s3://bucket/prefix/   s3://profile@bucket/   https://…/catalog.json   ./folder".into());
        let role = if self.error.is_some() { Role::Bad } else { Role::Dim };
        let lines = vec![
            input_line(&self.input, inner.width, "→", cx),
            Line::raw(""),
            Line::styled(text::fit(&help, inner.width as usize).into_owned(), cx.theme.style(role)),
        ];
        frame.render_widget(Paragraph::new(lines), inner);
    }
}

/// Lines to read.
pub(super) struct Message {
    title: String,
    lines: Vec<String>,
}

impl Message {
    pub(super) fn open(title: String, lines: Vec<String>) -> Self {
        Self { title, lines }
    }
}

impl Screen for Message {
    fn contexts(&self) -> &'static [&'static str] {
        &["list", "global"]
    }
    fn title(&self) -> String {
        self.title.clone()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn update(&mut self, action: Action, _cx: &mut Cx) -> Flow {
        match action {
            Action::Enter | Action::Close | Action::Back => Flow::Close,
            _ => Flow::Ignored,
        }
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let width = area.width.saturating_sub(4).min(100);
        let wrapped: usize =
            self.lines.iter().map(|l| text::width(l).max(1).div_ceil(width.saturating_sub(4).max(1) as usize)).sum();
        let inner = framed(frame, area, width, wrapped as u16 + 2, &self.title, cx);
        let lines: Vec<Line> = self.lines.iter().map(|l| Line::raw(text::clean(l).into_owned())).collect();
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), inner);
    }
}

/// Ways to copy an address.
pub(super) struct CopyMenu {
    choices: Vec<(&'static str, String)>,
    cursor: Cursor,
}

impl CopyMenu {
    pub(super) fn open(location: &Location, cx: &Cx) -> Self {
        Self { choices: choices(location, cx), cursor: Cursor::default() }
    }
}

/// What can be copied of a location. Never holds a secret.
fn choices(location: &Location, cx: &Cx) -> Vec<(&'static str, String)> {
    let uri = location.to_string();
    let mut out = vec![("address", uri.clone())];
    let plain = Location::new(location.scheme(), None, location.bucket(), location.key()).to_string();
    let path = match location.scheme() {
        Scheme::S3 => {
            if plain != uri {
                out.push(("address without profile", plain.clone()));
            }
            format!("/vsis3/{}/{}", location.bucket(), location.key())
        }
        Scheme::Http | Scheme::Https => format!("/vsicurl/{plain}"),
        _ => plain.clone(),
    };
    if location.is_container() && location.extension().is_empty() {
        out.push(("command line", text::command_line(&["ls".into(), uri])));
        return out;
    }
    out.push(("GDAL path", path.clone()));
    let quoted = serde_json::Value::from(plain.clone()).to_string();
    match location.extension().trim_end_matches('/') {
        "parquet" | "geoparquet" => {
            out.push(("DuckDB", format!("SELECT * FROM read_parquet('{}') LIMIT 10;", plain.replace('\'', "''"))));
            out.push(("geopandas", format!("import geopandas\ngdf = geopandas.read_parquet({quoted})")));
        }
        "csv" | "tsv" => {
            out.push(("DuckDB", format!("SELECT * FROM read_csv('{}') LIMIT 10;", plain.replace('\'', "''"))));
            out.push(("pandas", format!("import pandas\ndf = pandas.read_csv({quoted})")));
        }
        "tif" | "tiff" | "jp2" => {
            let path = serde_json::Value::from(path).to_string();
            out.push(("rasterio", format!("import rasterio\nsrc = rasterio.open({path})")));
        }
        "zarr" => out.push(("xarray", format!("import xarray\nds = xarray.open_zarr({quoted})"))),
        _ if matches!(location.name(), "catalog.json" | "collection.json") => {
            out.push(("pystac", format!("import pystac\ncat = pystac.read_file({quoted})")));
        }
        _ => {}
    }
    out.push(("command line", text::command_line(&["preview".into(), uri])));
    let _ = cx;
    out
}

impl Screen for CopyMenu {
    fn contexts(&self) -> &'static [&'static str] {
        &["list", "global"]
    }
    fn title(&self) -> String {
        "copy".into()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if self.cursor.update(action, self.choices.len(), 5) {
            return Flow::Done;
        }
        match action {
            Action::Enter | Action::Right => {
                let (name, text) = &self.choices[self.cursor.at];
                cx.clipboard = Some(text.clone());
                // The terminal may not take it: the text itself is the fallback.
                Flow::Replace(Open::Message {
                    title: format!("{name}: sent to the clipboard"),
                    lines: text.lines().map(str::to_owned).collect(),
                })
            }
            _ => Flow::Ignored,
        }
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let inner = framed(frame, area, 96, self.choices.len() as u16 + 2, "Copy", cx);
        for (i, (name, value)) in self.choices.iter().enumerate().take(inner.height as usize) {
            let at_cursor = i == self.cursor.at;
            let style = if at_cursor { theme.style(Role::Cursor) } else { Style::default() };
            let value = text::clean(&value.replace('\n', "; ")).into_owned();
            let value = text::fit(&value, inner.width.saturating_sub(26) as usize).into_owned();
            let line = Line::from(vec![
                Span::raw(format!(" {name:<24}")),
                Span::styled(value, if at_cursor { Style::default() } else { theme.style(Role::Dim) }),
            ]);
            frame.render_widget(Paragraph::new(line).style(style), Rect { y: inner.y + i as u16, height: 1, ..inner });
        }
    }
}

/// Leave although jobs run?
#[derive(Default)]
pub(super) struct ConfirmQuit {
    yes: bool,
}

impl Screen for ConfirmQuit {
    fn contexts(&self) -> &'static [&'static str] {
        &["confirm"]
    }
    fn title(&self) -> String {
        "quit".into()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        match action {
            Action::NextPane | Action::PrevPane => {
                self.yes = !self.yes;
                Flow::Done
            }
            Action::Yes => {
                cx.confirmed_quit = true;
                Flow::Quit
            }
            Action::Enter if self.yes => {
                cx.confirmed_quit = true;
                Flow::Quit
            }
            Action::No | Action::Back | Action::Enter => Flow::Close,
            _ => Flow::Ignored,
        }
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let running = cx.jobs.active_views();
        let inner = framed(frame, area, 72, running.len().clamp(1, 8) as u16 + 6, "Jobs are running", cx);
        let mut lines: Vec<Line> = running
            .iter()
            .take(8)
            .map(|v| {
                let done =
                    (v.done.saturating_mul(100)).checked_div(v.total).map_or_else(String::new, |p| format!("  {p} %"));
                let title =
                    text::fit_middle(&text::clean(&v.title), inner.width.saturating_sub(8) as usize).into_owned();
                Line::from(vec![Span::raw(title), Span::styled(done, theme.style(Role::Number))])
            })
            .collect();
        let words = if running.is_empty() {
            lines.push(Line::raw("They have all ended by now."));
            ""
        } else {
            "They stop now; the next start offers to resume them."
        };
        lines.push(Line::raw(""));
        lines.push(Line::styled(words, theme.style(Role::Dim)));
        lines.push(Line::raw(""));
        let button = |label: &str, on: bool| {
            Span::styled(format!(" {label} "), if on { theme.style(Role::Cursor) } else { theme.style(Role::Bar) })
        };
        lines.push(Line::from(vec![button("Stay (n)", !self.yes), Span::raw("   "), button("Quit (y)", self.yes)]));
        frame.render_widget(Paragraph::new(lines), inner);
    }
}
