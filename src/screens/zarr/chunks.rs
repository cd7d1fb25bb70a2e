//! Which chunks of an array exist, as a map of the two dimensions that have most of them; how much of it is stored.
//!
//! ```text
//!  cube   chunk map                                                     3 of 1,000,000 chunks
//!  ········································   Stored     3 of 1,000,000 chunks
//!  ····█···································   Share      0.0003 %
//!  ··················▒·····················   Bytes      1.2 MiB
//! ```

use super::Stops;
use super::draw::{bar, error_lines, plain};
use crate::action::Action;
use crate::error::Error;
use crate::screen::{Cx, Flow, Screen};
use crate::screens::popup;
use crate::task::{Control, Feed};
use crate::text;
use crate::theme::Role;
use crate::zarr::{About, Path, Stored, Zarr, stored};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};
use std::ops::Range;

/// Columns of the facts beside the map.
const BESIDE: u16 = 36;
/// Narrower than this they stand below it.
const FOLDS: u16 = 72;
/// Lines that they take there.
const BELOW: u16 = 9;
/// From nothing to all of a cell's chunks.
const SHADES: [&str; 5] = ["·", "░", "▒", "▓", "█"];
const SHADES_ASCII: [&str; 5] = [".", "-", "+", "x", "#"];

/// The screen.
pub(in crate::screens) struct ChunkMap {
    path: Path,
    about: About,
    control: Stops,
    feed: Option<Feed<Stored>>,
    stored: Option<Stored>,
    error: Option<Error>,
    zarr: Zarr,
}

impl ChunkMap {
    pub(in crate::screens) fn open(zarr: Zarr, path: Path, cx: &Cx) -> Self {
        let about = zarr.hierarchy().array(&path).map(|(_, about)| about.clone()).unwrap_or_default();
        let control = Stops(Control::new(cx.stores.meter().child()));
        let mut map = Self { path, about, control, feed: None, stored: None, error: None, zarr };
        map.begin(cx);
        map
    }

    fn begin(&mut self, cx: &Cx) {
        self.error = None;
        match self.zarr.array(&self.path) {
            Ok(array) => self.feed = Some(Feed::spawn(&cx.waker, stored(&array, &self.control.0))),
            Err(err) => self.error = Some(err),
        }
    }

    /// `1 chunk`, `12 shards`.
    fn count(&self, n: u64) -> String {
        let word = if self.about.shards.is_some() { "shard" } else { "chunk" };
        format!("{} {word}{}", text::count(n), if n == 1 { "" } else { "s" })
    }
}

impl Screen for ChunkMap {
    fn contexts(&self) -> &'static [&'static str] {
        &["chunks", "list", "global"]
    }

    fn title(&self) -> String {
        format!("{} chunks", self.path.last().map_or("array", String::as_str))
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.feed.is_some()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        match action {
            Action::Leave | Action::Back | Action::ChunkMap => Flow::Close,
            Action::Refresh => {
                self.begin(cx);
                Flow::Done
            }
            _ => Flow::Ignored,
        }
    }

    fn poll(&mut self, _cx: &mut Cx) {
        let Some(feed) = &mut self.feed else { return };
        while let Some(found) = feed.take() {
            match found {
                Ok(stored) => self.stored = Some(stored),
                Err(err) => self.error = Some(err),
            }
        }
        if feed.is_done() {
            self.feed = None;
        }
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let [header, body, footer] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(area);
        let name = text::clean(self.path.last().map_or("array", String::as_str)).into_owned();
        bar(&name, &format!("chunk map · {}", self.about.shape_and_type()), &self.control.0, frame, header, cx);
        let key = |action| cx.keymap.label(self.contexts(), action);
        let pairs = [(key(Action::Leave), "back"), (key(Action::Refresh), "count again")];
        let mut line = Line::raw(" ");
        line.spans.extend(popup::hints(&pairs, footer.width.saturating_sub(2), cx).spans);
        frame.render_widget(Paragraph::new(line), footer);
        let (map, facts) = if area.width >= FOLDS {
            let [map, facts] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(BESIDE)]).areas(body);
            let block = Block::default().borders(Borders::LEFT).border_style(plain(cx.theme.style(Role::Border)));
            let inner = block.inner(facts);
            frame.render_widget(block, facts);
            (map, Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner })
        } else {
            let [map, facts] = Layout::vertical([Constraint::Fill(1), Constraint::Length(BELOW)]).areas(body);
            (map, Rect { x: facts.x + 1, width: facts.width.saturating_sub(2), ..facts })
        };
        self.draw_map(frame, Rect { x: map.x + 1, width: map.width.saturating_sub(2), ..map }, cx);
        self.draw_facts(frame, facts, cx);
    }
}

impl ChunkMap {
    fn draw_map(&self, frame: &mut Frame, area: Rect, cx: &Cx) {
        if let (Some(err), None) = (&self.error, &self.stored) {
            let mut lines = vec![Line::raw("")];
            lines.extend(error_lines(err, usize::from(area.width), cx));
            frame.render_widget(Paragraph::new(lines), area);
            return;
        }
        let Some(stored) = &self.stored else {
            let dim = plain(cx.theme.style(Role::Dim));
            frame.render_widget(Paragraph::new(vec![Line::raw(""), Line::styled("listing…", dim)]), area);
            return;
        };
        let dim = plain(cx.theme.style(Role::Dim));
        let title = text::fit(&self.sides(stored, cx), usize::from(area.width)).into_owned();
        frame.render_widget(Paragraph::new(Line::styled(title, dim)), Rect { height: 1, ..area });
        let map = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
        let lines = if stored.size.0 == 1 { folded(stored, map, cx) } else { cells(stored, map, cx) };
        frame.render_widget(Paragraph::new(lines), map);
    }

    /// Which dimensions are seen: `↓ time (120)   → depth (4)`.
    fn sides(&self, stored: &Stored, cx: &Cx) -> String {
        let name = |at: usize| format!("{} ({})", self.about.dimension(at), text::count(stored.grid[at]));
        let arrows = if cx.unicode { ["↓ ", "→ "] } else { ["v ", "> "] };
        match stored.sides {
            (Some(y), Some(x)) => format!("{}{}   {}{}", arrows[0], name(y), arrows[1], name(x)),
            (_, Some(x)) => format!("{}, line by line", name(x)),
            _ => "one alone".to_owned(),
        }
    }

    fn draw_facts(&self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let style = |role| plain(theme.style(role));
        let mut lines = Vec::new();
        let mut row = |name: &str, value: String, role: Role| {
            lines.push(Line::from(vec![
                Span::styled(format!("{name:<10} "), style(Role::Dim)),
                Span::styled(value, style(role)),
            ]));
        };
        if let Some(stored) = &self.stored {
            row("Stored", self.count(stored.objects), Role::Number);
            row("of", self.count(stored.whole()), Role::Number);
            row("Share", percent(stored.share()), Role::Number);
            row("Bytes", text::bytes(stored.bytes), Role::Number);
            if let Some(mean) = stored.bytes.checked_div(stored.objects) {
                row("Mean", format!("{} each", text::bytes(mean)), Role::Text);
            }
            let item = self.about.item().unwrap_or(0);
            let one = self.about.object().iter().fold(item, |n, side| n.saturating_mul(*side));
            if one > 0 && stored.bytes > 0 {
                let ratio = stored.objects as f64 * one as f64 / stored.bytes as f64;
                row("Packed", format!("1 : {ratio:.1}"), Role::Text);
            }
            if let Some((found, of)) = stored.inner.filter(|(_, of)| *of > 0) {
                row("In shards", format!("{} chunks", percent(found as f64 / of as f64)), Role::Text);
            }
            if stored.stray > 0 {
                row("Other keys", text::count(stored.stray), Role::Warn);
            }
            let state = match (&self.error, stored.done) {
                (Some(_), _) => "stopped",
                (None, true) => "all listed",
                (None, false) => "listing…",
            };
            row("State", state.to_owned(), if stored.done { Role::Good } else { Role::Dim });
            if area.height > BELOW {
                lines.push(Line::raw(""));
                lines.push(legend(cx));
            }
        }
        frame.render_widget(Paragraph::new(lines), area);
    }
}

/// How a share is drawn: a single one among thousands is still something.
fn shade(share: f64, wide: usize, cx: &Cx) -> Span<'static> {
    let at = if share <= 0.0 { 0 } else { ((share * 4.0).ceil() as usize).clamp(1, 4) };
    let shades = if cx.unicode { SHADES } else { SHADES_ASCII };
    let style = if at == 0 { plain(cx.theme.style(Role::Faint)) } else { cx.theme.chart(0) };
    Span::styled(shades[at].repeat(wide), style)
}

/// The mean share of some cells.
fn mean(stored: &Stored, rows: Range<usize>, columns: Range<usize>) -> f64 {
    let count = rows.len() * columns.len();
    let shares = rows.flat_map(|row| columns.clone().map(move |column| stored.cell(row, column)));
    shares.sum::<f64>() / count.max(1) as f64
}

/// The part of `whole` that is the `at`th of `of` parts.
fn part(at: usize, of: usize, whole: usize) -> Range<usize> {
    let start = at * whole / of;
    start..((at + 1) * whole / of).max(start + 1)
}

/// The cells as large as there is room for, or several in one character.
fn cells(stored: &Stored, area: Rect, cx: &Cx) -> Vec<Line<'static>> {
    let ((rows, columns), (width, height)) = (stored.size, (usize::from(area.width), usize::from(area.height)));
    // A character is about twice as high as wide.
    let tall = (height / rows).min(width / columns / 2).clamp(1, 4);
    let wide = (width / columns).clamp(1, tall * 2);
    let (across, down) = (columns.min(width).max(1), rows.min(height).max(1));
    let line = |y: usize| {
        let shares = (0..across).map(|x| mean(stored, part(y, down, rows), part(x, across, columns)));
        Line::from(shares.map(|share| shade(share, wide, cx)).collect::<Vec<_>>())
    };
    (0..down).flat_map(|y| std::iter::repeat_n(line(y), tall)).collect()
}

/// Cells of one dimension one after the other, line by line.
fn folded(stored: &Stored, area: Rect, cx: &Cx) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(area.width).max(1), usize::from(area.height).max(1));
    let count = stored.size.1;
    let shown = count.min(width * height);
    let wide = if count * 2 <= width * height { 2 } else { 1 };
    let in_line = (width / wide).max(1);
    let spans: Vec<_> = (0..shown).map(|at| shade(mean(stored, 0..1, part(at, shown, count)), wide, cx)).collect();
    spans.chunks(in_line).map(|line| Line::from(line.to_vec())).collect()
}

/// `12.5 %`, with as many digits as tell it from nothing and from all.
fn percent(share: f64) -> String {
    let value = share * 100.0;
    match value {
        0.0 => "0 %".to_owned(),
        v if v >= 100.0 => "100 %".to_owned(),
        v if v > 99.9 => "99.9 %".to_owned(),
        v if v < 0.1 => format!("{v:.1e} %"),
        v => format!("{v:.1} %"),
    }
}

fn legend<'a>(cx: &Cx) -> Line<'a> {
    let dim = plain(cx.theme.style(Role::Dim));
    let shades = if cx.unicode { SHADES } else { SHADES_ASCII };
    let mut spans = vec![Span::styled("none ", dim), Span::styled(shades[0], plain(cx.theme.style(Role::Faint)))];
    spans.extend(shades[1..].iter().map(|shade| Span::styled(*shade, cx.theme.chart(0))));
    spans.push(Span::styled(" all of a cell's", dim));
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn shares_are_told_from_nothing_and_from_all() {
        for (share, words) in [(0.0, "0 %"), (1.0, "100 %"), (0.9999, "99.9 %"), (0.5, "50.0 %"), (3e-6, "3.0e-4 %")] {
            assert_eq!(percent(share), words);
        }
    }
}
