//! What was asked of servers, and what they answered: every request, newest at the bottom.
//!
//! ```text
//!  12:03:44.120 GET    206    48 ms  212.0 KiB  /lake/s2/B02.tif  bytes=0-32767
//!  12:03:44.201 HEAD   404    12 ms             /lake/s2/B02.tif.ovr   not there
//! ```

use super::popup;
use crate::action::Action;
use crate::screen::{Cx, Flow, Open, Screen};
use crate::store::{Exchange, LogWatch};
use crate::text;
use crate::theme::{Role, Theme};
use crate::widgets::input::{Edit, Input};
use percent_encoding::percent_decode_str;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};
use std::sync::Arc;
use std::time::Duration;

/// The screen.
pub(super) struct Log {
    /// Wakes the loop for every request while the screen is there.
    _watch: LogWatch,
    /// The number of the last request that was looked at.
    seen: u64,
    all: Vec<Arc<Exchange>>,
    /// Those that are shown.
    shown: Vec<Arc<Exchange>>,
    /// The number of the request under the cursor.
    at: u64,
    top: usize,
    /// Whether the cursor goes with the newest.
    follows: bool,
    errors_only: bool,
    needle: String,
    typing: Option<Input>,
    height: usize,
}

impl Log {
    pub(super) fn open(cx: &Cx) -> Self {
        let mut log = Self {
            _watch: cx.stores.watch_log(&cx.waker),
            seen: 0,
            all: Vec::new(),
            shown: Vec::new(),
            at: 0,
            top: 0,
            follows: true,
            errors_only: false,
            needle: String::new(),
            typing: None,
            height: 10,
        };
        log.read(cx);
        log
    }

    fn read(&mut self, cx: &Cx) {
        self.all = cx.stores.log();
        self.seen = self.all.last().map_or(0, |x| x.number);
        self.arrange();
    }

    /// Chooses what is shown; the cursor stays on its request, or near it.
    fn arrange(&mut self) {
        let needle = self.needle.to_lowercase();
        let fits = |x: &&Arc<Exchange>| {
            (!self.errors_only || x.is_failure()) && (needle.is_empty() || words(x).to_lowercase().contains(&needle))
        };
        self.shown = self.all.iter().filter(fits).cloned().collect();
        self.follows |= self.shown.is_empty();
        if self.follows {
            self.at = self.shown.last().map_or(0, |x| x.number);
        }
    }

    fn cursor(&self) -> usize {
        self.shown.partition_point(|x| x.number < self.at).min(self.shown.len().saturating_sub(1))
    }

    fn step(&mut self, by: isize) {
        let to = self.cursor().saturating_add_signed(by).min(self.shown.len().saturating_sub(1));
        self.at = self.shown.get(to).map_or(0, |x| x.number);
        self.follows = to + 1 >= self.shown.len();
    }

    fn chosen(&self) -> Option<&Arc<Exchange>> {
        self.shown.get(self.cursor())
    }
}

/// What a filter looks at.
fn words(x: &Exchange) -> String {
    let status = x.status.map(|s| s.to_string()).unwrap_or_default();
    let id = x.request_id.as_deref().unwrap_or_default();
    format!("{} {status} {} {} {id} {}", x.method, decoded(&x.address), x.query, x.verdict())
}

/// An address as people write keys.
fn decoded(address: &str) -> String {
    percent_decode_str(address).decode_utf8_lossy().into_owned()
}

/// Parameters that every listing has: the table goes without them.
const DULL: [&str; 5] = ["encoding-type", "fetch-owner", "list-type", "max-keys", "x-id"];

/// Path, query and range in so many columns; with the host where there is room for it. The path is cut
/// in its middle before the rest is cut at its end.
fn target(x: &Exchange, with_host: bool, columns: usize) -> String {
    let rest = x.address.split_once("://").map_or(x.address.as_str(), |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    let path = decoded(if with_host { rest } else { path });
    let told = |pair: &&str| !DULL.contains(&pair.split('=').next().unwrap_or_default()) && !pair.ends_with('=');
    let query: Vec<&str> = x.query.split('&').filter(|pair| !pair.is_empty()).filter(told).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", decoded(&query.join("&"))) };
    let range = x.range.as_deref().map(|r| format!("  {}", r.trim_start_matches("bytes="))).unwrap_or_default();
    let (path, tail) = (text::clean(&path).into_owned(), format!("{query}{range}"));
    let tail = text::clean(&tail);
    let tail = text::fit(&tail, columns / 2);
    format!("{}{tail}", text::fit_middle(&path, columns.saturating_sub(text::width(&tail))))
}

/// One request as a line, for the clipboard.
fn line(x: &Exchange) -> String {
    let query = if x.query.is_empty() { String::new() } else { format!("?{}", x.query) };
    let mut out = format!("{} {} {}{query}", x.at.format("%Y-%m-%dT%H:%M:%S%.3fZ"), x.method, x.address);
    let status = x.status.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
    for part in [x.range.clone(), Some(status), x.code.clone(), Some(format!("{} ms", x.ms)), x.request_id.clone()] {
        out.extend(part.iter().flat_map(|part| [" ", part]));
    }
    out
}

/// Everything about one request, a line each.
fn details(x: &Exchange) -> Vec<String> {
    let mut lines = Vec::new();
    let mut row = |name: &str, value: Option<String>| lines.extend(value.map(|value| format!("{name:<12} {value}")));
    let answer = match (x.status, x.verdict()) {
        (Some(status), why) if why.is_empty() => status.to_string(),
        (Some(status), why) => format!("{status}: {why}"),
        (None, why) => why,
    };
    row("answer", Some(answer));
    row("code", x.code.clone());
    row("message", x.message.clone());
    row("sent at", Some(x.at.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()));
    row("took", Some(format!("{} until the head of the answer", text::duration(Duration::from_millis(x.ms)))));
    row("try", (x.tries > 1).then(|| format!("{}: it was sent again", x.tries)));
    row("address", Some(x.address.clone()));
    let plain = decoded(&x.address);
    row("in words", (plain != x.address).then_some(plain));
    row("query", Some(x.query.clone()).filter(|q| !q.is_empty()));
    row("range", x.range.clone());
    row("sent", (x.sent > 0).then(|| text::bytes(x.sent)));
    row("received", x.received.map(text::bytes));
    row("request id", x.request_id.clone());
    row("x-amz-id-2", x.host_id.clone());
    row("server date", x.server_date.clone());
    row("clocks", clocks(x));
    lines
}

/// That the server's clock differs: signatures end at a quarter of an hour.
fn clocks(x: &Exchange) -> Option<String> {
    let theirs = chrono::DateTime::parse_from_rfc2822(x.server_date.as_deref()?).ok()?;
    let seconds = (theirs.to_utc() - x.at).num_seconds() - (x.ms / 1000).cast_signed();
    let apart = text::duration(Duration::from_secs(seconds.unsigned_abs()));
    (seconds.abs() > 10).then(|| {
        let way = if seconds > 0 { "behind" } else { "ahead of" };
        format!("this computer is {apart} {way} the server")
    })
}

impl Screen for Log {
    fn contexts(&self) -> &'static [&'static str] {
        if self.typing.is_some() { &["prompt"] } else { &["log", "list", "global"] }
    }

    fn title(&self) -> String {
        "requests".into()
    }

    fn wants_text(&self) -> bool {
        self.typing.is_some()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let page = self.height.max(2) as isize - 1;
        match action {
            Action::Enter if self.typing.is_some() => self.typing = None,
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::PageUp => self.step(-page),
            Action::PageDown => self.step(page),
            Action::HalfUp => self.step(-(page / 2).max(1)),
            Action::HalfDown => self.step((page / 2).max(1)),
            Action::Top => self.step(isize::MIN),
            Action::Bottom => self.step(isize::MAX),
            Action::ErrorsOnly => {
                self.errors_only = !self.errors_only;
                self.arrange();
            }
            Action::Filter => self.typing = Some(Input::new(self.needle.clone())),
            Action::Enter | Action::Right => {
                let Some(x) = self.chosen() else { return Flow::Done };
                let title = format!("{} {}", x.method, target(x, false, 60));
                return Flow::Open(Open::Message { title, lines: details(x) });
            }
            Action::Yank => {
                let Some(line) = self.chosen().map(|x| line(x)) else { return Flow::Done };
                return popup::copied(cx, "request", line).map_or(Flow::Done, Flow::Open);
            }
            Action::Back => {
                let was_filtered = self.typing.take().is_some() || !self.needle.is_empty() || self.errors_only;
                if !was_filtered {
                    return Flow::Close;
                }
                self.needle.clear();
                self.errors_only = false;
                self.arrange();
            }
            Action::Leave | Action::Left => return Flow::Close,
            // It is this one.
            Action::Log => {}
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn edit(&mut self, edit: &Edit, _cx: &mut Cx) -> Flow {
        let Some(input) = &mut self.typing else { return Flow::Ignored };
        if *edit == Edit::Backspace && input.text().is_empty() {
            self.typing = None;
        } else if input.apply(edit) {
            input.text().clone_into(&mut self.needle);
            self.arrange();
        }
        Flow::Done
    }

    fn poll(&mut self, cx: &mut Cx) {
        if cx.stores.last_request() != self.seen {
            self.read(cx);
        }
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let [bar, names, body] =
            Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(1)]).areas(area);
        frame.render_widget(Block::default().style(theme.style(Role::Bar)), bar);
        frame.render_widget(Paragraph::new(self.bar(bar.width, cx)), bar);
        let columns = Columns::of(area.width);
        frame.render_widget(Paragraph::new(columns.names()).style(theme.style(Role::Dim)), names);
        self.height = usize::from(body.height.max(1));
        let at = self.cursor();
        self.top = self.top.min(at).max((at + 1).saturating_sub(self.height));
        // No gap at the bottom while there is more above.
        self.top = self.top.min(self.shown.len().saturating_sub(self.height));
        for (i, x) in self.shown.iter().enumerate().skip(self.top).take(self.height) {
            let line_at = Rect { y: body.y + (i - self.top) as u16, height: 1, ..body };
            let is_at = i == at;
            let style = if is_at { theme.style(Role::Cursor) } else { Style::default() };
            frame.render_widget(Paragraph::new(columns.row(x, is_at, theme)).style(style), line_at);
        }
        if self.shown.is_empty() {
            let words = if self.all.is_empty() {
                "Nothing was asked of a server yet. Files of this computer need no requests."
            } else {
                "No request fits."
            };
            let at = Rect { x: body.x + 1, width: body.width.saturating_sub(2), ..body };
            let paragraph = Paragraph::new(words).style(theme.style(Role::Dim));
            frame.render_widget(paragraph.wrap(ratatui::widgets::Wrap { trim: true }), at);
        }
    }
}

impl Log {
    fn bar<'a>(&self, width: u16, cx: &Cx) -> Line<'a> {
        let theme = &cx.theme;
        let failed = self.all.iter().filter(|x| x.is_failure()).count();
        let mut spans = vec![Span::styled(" Requests ", theme.style(Role::Title))];
        let all = text::count(self.all.len() as u64);
        let count = if self.shown.len() == self.all.len() { all } else { format!("{} of {all}", self.shown.len()) };
        spans.push(Span::styled(format!(" {count}"), theme.style(Role::Number)));
        let bad = if failed > 0 { theme.style(Role::Bad) } else { theme.style(Role::Dim) };
        spans.push(Span::styled(format!("  {failed} failed"), bad));
        if let Some(input) = &self.typing {
            let (before, after) = input.split();
            let typed = format!("{}▏{}", text::clean(before), text::clean(after));
            spans.push(Span::styled(format!("  /{typed}"), theme.style(Role::Accent)));
        } else if !self.needle.is_empty() {
            spans.push(Span::styled(format!("  /{}", text::clean(&self.needle)), theme.style(Role::Accent)));
        }
        if self.errors_only {
            spans.push(Span::styled("  failed only", theme.style(Role::Warn)));
        }
        if !self.follows {
            spans.push(Span::styled("  stands still", theme.style(Role::Dim)));
        }
        let label = |action| cx.keymap.label(self.contexts(), action);
        let pairs = [
            (label(Action::Enter), "details"),
            (label(Action::ErrorsOnly), "failed only"),
            (label(Action::Filter), "filter"),
            (label(Action::Yank), "copy"),
        ];
        let used: usize = spans.iter().map(Span::width).sum();
        let room = usize::from(width).saturating_sub(used + 3);
        let hints = popup::hints(&pairs, room as u16, cx);
        let gap = usize::from(width).saturating_sub(used + hints.width() + 1);
        spans.push(Span::raw(" ".repeat(gap)));
        spans.extend(hints.spans);
        Line::from(spans)
    }
}

/// Which columns there is room for.
struct Columns {
    width: usize,
    /// `12:03:44.120`, `12:03:44`, nothing.
    time: usize,
    has_bytes: bool,
    has_tries: bool,
    has_host: bool,
    /// Columns of the request id; 0 without.
    id: usize,
}

impl Columns {
    fn of(width: u16) -> Self {
        Self {
            width: width.into(),
            time: match width {
                0..48 => 0,
                48..100 => 8,
                _ => 12,
            },
            has_bytes: width >= 76,
            has_tries: width >= 110,
            has_host: width >= 130,
            id: match width {
                0..150 => 0,
                150..190 => 20,
                _ => 36,
            },
        }
    }

    fn names(&self) -> String {
        let mut out = String::from(" ");
        if self.time > 0 {
            out.extend([format!("{:<1$} ", "UTC", self.time)]);
        }
        out.push_str("       ans       time");
        if self.has_bytes {
            out.push_str("      bytes");
        }
        if self.has_tries {
            out.push_str("  try");
        }
        if self.id > 0 {
            out.extend([format!("  {:<1$}", "request id", self.id)]);
        }
        out.push_str("  what");
        text::fit(&out, self.width).into_owned()
    }

    fn row<'a>(&self, x: &Exchange, is_at: bool, theme: &Theme) -> Line<'a> {
        let of = |role| if is_at { Style::default() } else { theme.style(role) };
        let mut spans = vec![Span::raw(" ")];
        if self.time > 0 {
            let time = x.at.format("%H:%M:%S%.3f").to_string();
            spans.push(Span::styled(format!("{} ", time.get(..self.time).unwrap_or(&time)), of(Role::Dim)));
        }
        let method = text::clean(&x.method).into_owned();
        spans.push(Span::raw(format!("{:<7}", text::fit(&method, 6))));
        let status = x.status.map_or_else(|| "---".to_owned(), |s| s.to_string());
        let role = match x.status {
            Some(0..400) => Role::Good,
            Some(404 | 412) => Role::Warn,
            _ => Role::Bad,
        };
        spans.push(Span::styled(format!("{status:<3}"), of(role)));
        spans.push(Span::styled(format!(" {:>10}", text::duration(Duration::from_millis(x.ms))), of(Role::Number)));
        if self.has_bytes {
            let bytes = if x.sent > 0 { Some(x.sent) } else { x.received.filter(|n| *n > 0) };
            spans.push(Span::styled(format!(" {:>10}", bytes.map(text::bytes).unwrap_or_default()), of(Role::Number)));
        }
        if self.has_tries {
            let tries = if x.tries > 1 { x.tries.to_string() } else { String::new() };
            spans.push(Span::styled(format!("  {tries:>3}"), of(Role::Warn)));
        }
        if self.id > 0 {
            let id = text::clean(x.request_id.as_deref().unwrap_or_default()).into_owned();
            spans.push(Span::styled(format!("  {:<1$}", text::fit_middle(&id, self.id), self.id), of(Role::Dim)));
        }
        let used: usize = spans.iter().map(Span::width).sum();
        let room = self.width.saturating_sub(used + 2);
        let verdict = x.verdict();
        let verdict = text::clean(&verdict).into_owned();
        let verdict = text::fit(&verdict, room / 2).into_owned();
        let left = room.saturating_sub(if verdict.is_empty() { 0 } else { text::width(&verdict) + 2 });
        spans.push(Span::raw(format!("  {}", target(x, self.has_host, left))));
        if !verdict.is_empty() {
            spans.push(Span::styled(format!("  {verdict}"), of(role)));
        }
        Line::from(spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_in_a_line_and_in_full() {
        let x = Exchange {
            method: "GET".into(),
            address: "http://h:1/b/a%20b%1B".into(),
            query: "list-type=2&…".into(),
            range: Some("bytes=0-9".into()),
            status: Some(403),
            code: Some("RequestTimeTooSkewed".into()),
            message: Some("too far".into()),
            server_date: Some("Thu, 01 Jan 1970 00:20:00 GMT".into()),
            request_id: Some("tx1".into()),
            ..Exchange::default()
        };
        assert_eq!(target(&x, false, 40), "/b/a b␛?…  0-9");
        assert_eq!(target(&x, true, 40), "h:1/b/a b␛?…  0-9");
        assert_eq!(target(&x, false, 12), "/b/…b␛?…  0…");
        assert_eq!(
            line(&x),
            "1970-01-01T00:00:00.000Z GET http://h:1/b/a%20b%1B?list-type=2&… bytes=0-9 403 RequestTimeTooSkewed 0 ms tx1"
        );
        let all = details(&x).join("\n");
        assert!(all.contains("403: clocks differ") && all.contains("too far"), "{all}");
        assert!(all.contains("this computer is 20 min 00 s behind the server"), "{all}");
    }
}
