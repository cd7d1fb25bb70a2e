//! The line above: where one is, whether it may be written to, how the list is sorted, how long it is.

use super::Browse;
use crate::location::{Location, Scheme};
use crate::screen::{Cx, Target};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

/// A place keeps at least so many columns of its name.
const LEAST: usize = 8;

pub(super) fn draw(browse: &Browse, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    frame.render_widget(Block::default().style(theme.style(Role::Bar)), area);
    // Where there is little room the order goes first, then the round trip; lock and count stay.
    let room = area.width * 2 / 3;
    let detail = (0..3).rev().find(|n| right(browse, *n, cx).width() <= usize::from(room)).unwrap_or(0);
    let line = right(browse, detail, cx);
    let width = (line.width() as u16).min(room);
    let left = Rect { width: area.width.saturating_sub(width), ..area };
    draw_crumbs(&browse.pane.location, frame, left, cx);
    let at = Rect { x: area.right() - width, width, ..area };
    frame.render_widget(Paragraph::new(line).alignment(Alignment::Right), at);
}

/// `detail`: 0 leaves out order and round trip, 1 the order.
fn right<'a>(browse: &Browse, detail: usize, cx: &Cx) -> Line<'a> {
    let (theme, pane) = (&cx.theme, &browse.pane);
    // A closed ring and an open one: colour is not the only carrier.
    let (word, role) = match (browse.is_writable(cx), cx.unicode) {
        (true, true) => ("● writable", Role::Warn),
        (true, false) => ("* writable", Role::Warn),
        (false, true) => ("○ read-only", Role::Good),
        (false, false) => ("o read-only", Role::Good),
    };
    let mut spans = vec![Span::styled(format!(" {word}  "), theme.style(role))];
    if let Some(first) = pane.first.filter(|_| detail > 0) {
        spans.push(Span::styled(format!("rtt {}  ", text::duration(first)), theme.style(Role::Dim)));
    }
    let arrow = match (pane.arrangement.reverse, cx.unicode) {
        (false, true) => "↑",
        (true, true) => "↓",
        (false, false) => "^",
        (true, false) => "v",
    };
    if detail > 1 {
        spans.push(Span::styled(format!("{} {arrow}  ", pane.arrangement.by.word()), theme.style(Role::Dim)));
    }
    let total = text::count(pane.listing.len() as u64);
    let count = if pane.shown() == pane.listing.len() {
        total
    } else {
        format!("{} of {total}", text::count(pane.shown() as u64))
    };
    let more = if pane.is_loading() { "…" } else { "" };
    spans.push(Span::styled(format!("{count}{more} "), theme.style(Role::Number)));
    spans.push(Span::styled(if pane.listing.len() == 1 { "entry " } else { "entries " }, theme.style(Role::Dim)));
    Line::from(spans)
}

/// The parts of an address with where each leads: place, bucket, prefixes.
fn parts(location: &Location) -> Vec<(String, Location)> {
    let account = match location.scheme() {
        Scheme::S3 => Location::new(Scheme::S3, location.profile().map(str::to_owned), "", ""),
        Scheme::File => location.with_key("/"),
        _ => location.with_key(""),
    };
    let place = location.profile().unwrap_or_else(|| location.scheme().as_str()).to_owned();
    let mut out = vec![(place, account)];
    if !location.bucket().is_empty() {
        out.push((location.bucket().to_owned(), location.with_key("")));
    }
    let key = location.key();
    let mut start = usize::from(location.scheme() == Scheme::File && key.starts_with('/'));
    while let Some(rest) = key.get(start..).filter(|rest| !rest.is_empty()) {
        let end = rest.find('/').map_or(key.len(), |at| start + at + 1);
        let name = key[start..end].trim_end_matches('/');
        // A level without a name (`a//b`) is one all the same.
        let name = if name.is_empty() { "''" } else { name };
        out.push((name.to_owned(), location.with_key(&key[..end])));
        start = end;
    }
    out
}

/// Which parts are left out in the middle so that the rest fits into `room`: `(from, to)`.
fn elided(widths: &[usize], arrow: usize, room: usize) -> (usize, usize) {
    let n = widths.len();
    let total = |from: usize, to: usize| -> usize {
        let kept = widths[..from].iter().chain(&widths[to..]).sum::<usize>();
        let shown = from + n - to + usize::from(to > from);
        kept + usize::from(to > from) + arrow * shown.saturating_sub(1)
    };
    // The place and the bucket stay longest, and of the rest what is nearest to here.
    for head in (0..=2.min(n.saturating_sub(1))).rev() {
        if let Some(to) = (head..n).find(|to| total(head, *to) <= room) {
            return (head, to);
        }
    }
    (0, n.saturating_sub(1))
}

/// `demo ▸ lake ▸ … ▸ 2024`
fn draw_crumbs(location: &Location, frame: &mut Frame, area: Rect, cx: &Cx) {
    let (theme, arrow) = (&cx.theme, if cx.unicode { " ▸ " } else { " > " });
    let parts: Vec<(String, Location)> =
        parts(location).into_iter().map(|(name, at)| (text::clean(&name).into_owned(), at)).collect();
    let room = usize::from(area.width).saturating_sub(2);
    let widths: Vec<usize> = parts.iter().map(|(name, _)| text::width(name)).collect();
    let (from, to) = elided(&widths, text::width(arrow), room);
    let mut spans = vec![Span::raw(" ")];
    let mut x = area.x + 1.min(area.width);
    let mut push = |text: String, style: Style, leads: Option<&Location>| {
        let width = text::width(&text).min(usize::from(area.right().saturating_sub(x))) as u16;
        if let Some(leads) = leads.filter(|_| cx.mouse) {
            cx.hits.add(Rect { x, width, ..area }, Target::Place(leads.clone()));
        }
        x += width;
        spans.push(Span::styled(text, style));
    };
    let faint = theme.style(Role::Faint);
    for (i, (name, leads)) in parts.iter().enumerate() {
        if i == from && to > from {
            push("…".to_owned(), faint, None);
            push(arrow.to_owned(), faint, None);
        }
        if (from..to).contains(&i) {
            continue;
        }
        let last = i + 1 == parts.len();
        let role = if last { Role::Title } else { Role::Container };
        let used = if from == 0 && to == i && to > 0 { 1 + text::width(arrow) } else { 0 };
        let name =
            if last { text::fit_middle(name, room.saturating_sub(used).max(LEAST)).into_owned() } else { name.clone() };
        push(name, theme.style(role), Some(leads));
        if !last {
            push(arrow.to_owned(), faint, None);
        }
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_falls_into_parts_that_lead_somewhere() {
        let parts = |text: &str| -> Vec<String> {
            let location = Location::parse(text).expect(text);
            super::parts(&location).into_iter().map(|(name, at)| format!("{name}={at}")).collect()
        };
        assert_eq!(
            parts("s3://p@b/a//c/"),
            ["p=s3://p@", "b=s3://p@b/", "a=s3://p@b/a/", "''=s3://p@b/a//", "c=s3://p@b/a//c/"]
        );
        assert_eq!(parts("/tmp/x/"), ["file=/", "tmp=/tmp/", "x=/tmp/x/"]);
        assert_eq!(parts("s3://"), ["s3=s3://"]);
    }

    #[test]
    fn the_middle_goes_first() {
        // place, bucket, four prefixes of 4 columns, arrows of 3.
        let widths = [4, 4, 4, 4, 4, 4];
        assert_eq!(elided(&widths, 3, 39), (2, 2));
        assert_eq!(elided(&widths, 3, 38), (2, 3));
        assert_eq!(elided(&widths, 3, 22), (2, 5));
        assert_eq!(elided(&widths, 3, 18), (1, 5));
        assert_eq!(elided(&widths, 3, 9), (0, 5));
        assert_eq!(elided(&widths, 3, 0), (0, 5));
        assert_eq!(elided(&[4], 3, 0), (0, 0));
    }
}
