//! What is known of a thing besides its bytes: an object with its metadata, tags and versions; all
//! versions below a prefix, deleted objects too; a bucket.
//!
//! ```text
//!  s3://allas@bucket/incoming/B02.tif                                                  read-only
//!  Object
//!    size           312.4 MiB  327,576,341 bytes
//!    modified       2024-06-03 09:40:12 UTC  5 months ago
//!  Metadata
//!    fairease.…     COG
//!  Versions  3
//!    current        2024-06-03 09:40   312.4 MiB   UjAQvIIFJX9X4b2Y…
//!    old            2024-06-02 09:40   312.4 MiB   cBHtbgxXWqZpOCzX…
//!  e edit  Enter look at it  r restore  z undelete  y copy  R allow writing
//! ```

mod act;
mod bucket;
mod edit;
mod object;
mod rows;
mod versions;

pub(super) use bucket::BucketFacts;
pub(super) use object::ObjectFacts;
pub(super) use versions::Versions;

use crate::action::Action;
use crate::location::Location;
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

/// The keys of all of them.
const CONTEXTS: &[&str] = &["facts", "list", "global"];

/// Whether a place may be written to.
fn is_writable(at: &Location, cx: &Cx) -> bool {
    !cx.stores.options().read_only && cx.writable.contains(at.store())
}

/// Allows or forbids writing.
fn toggle_read_only(at: &Location, cx: &mut Cx) {
    if cx.stores.options().read_only {
        cx.toast("everything is read-only: the program was started with --read-only");
    } else if cx.writable.remove(at.store()) {
        cx.toast("read-only again");
    } else {
        cx.writable.insert(at.store().clone());
        cx.toast("writing is allowed here until you leave or press the key again");
    }
}

/// Whether a place may be written to; where not, says so, and how it is allowed.
fn may_write(at: &Location, cx: &mut Cx) -> bool {
    let may = is_writable(at, cx);
    if cx.stores.options().read_only {
        cx.toast("everything is read-only: the program was started with --read-only");
    } else if !may {
        let key = cx.keymap.label(CONTEXTS, Action::ReadOnly);
        cx.toast(format!("this place is read-only: {key} allows writing"));
    }
    may
}

/// A value on the clipboard, and said.
fn copy(value: &str, cx: &mut Cx) {
    cx.clipboard = Some(value.to_owned());
    let shown = text::clean(value.lines().next().unwrap_or_default()).into_owned();
    cx.toast(format!("copied: {}", text::fit(&shown, 200)));
}

/// The bars above and below; gives what is between them. `hints` are shown as long as there is room.
fn bars(
    title: &str,
    at: &Location,
    note: &str,
    hints: &[(Action, &str)],
    frame: &mut Frame,
    area: Rect,
    cx: &Cx,
) -> Rect {
    let theme = &cx.theme;
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(area);
    frame.render_widget(Block::default().style(theme.style(Role::Bar)), header);
    let (word, role) = if is_writable(at, cx) { ("writable", Role::Warn) } else { ("read-only", Role::Good) };
    let mut right = vec![Span::styled(format!("{word} "), theme.style(role))];
    if !note.is_empty() && header.width >= 60 {
        right.insert(0, Span::styled(format!("{note}   "), theme.style(Role::Dim)));
    }
    let right = Line::from(right);
    let right_width = right.width() as u16 + 2;
    let left = Rect { width: header.width.saturating_sub(right_width), ..header };
    let title = text::clean(title);
    let title = text::fit_middle(&title, usize::from(left.width.saturating_sub(1))).into_owned();
    frame.render_widget(Paragraph::new(Span::styled(format!(" {title}"), theme.style(Role::Title))), left);
    let at = Rect { x: left.right(), width: header.width.min(right_width), ..header };
    frame.render_widget(Paragraph::new(right).alignment(Alignment::Right), at);

    let mut spans = vec![Span::raw(" ")];
    let mut used = 1;
    for (action, words) in hints {
        let key = cx.keymap.label(CONTEXTS, *action);
        if key.is_empty() {
            continue;
        }
        let width = text::width(&key) + text::width(words) + 3;
        if used + width > usize::from(footer.width) + 2 {
            break;
        }
        used += width;
        spans.push(Span::styled(key, theme.style(Role::Key)));
        spans.push(Span::styled(format!(" {words}  "), theme.style(Role::Dim)));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), footer);
    Rect { x: body.x + 1.min(body.width), width: body.width.saturating_sub(2), ..body }
}

/// A time as it is listed.
fn stamp(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "-".to_owned(), |t| t.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// How long ago that is: `5 months ago`.
fn age(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - at).num_seconds();
    let (n, unit) = match seconds {
        ..0 => return "in the future: are the clocks right?".to_owned(),
        0..60 => return "just now".to_owned(),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        86_400..5_184_000 => (seconds / 86_400, "day"),
        5_184_000..63_072_000 => (seconds / 2_592_000, "month"),
        _ => (seconds / 31_536_000, "year"),
    };
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {unit}{s} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_as_a_person_says_them() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        for (seconds, words) in [
            (5, "just now"),
            (60, "1 minute ago"),
            (7200, "2 hours ago"),
            (86_400 * 12, "12 days ago"),
            (86_400 * 150, "5 months ago"),
            (86_400 * 800, "2 years ago"),
        ] {
            assert_eq!(age(now - chrono::Duration::seconds(seconds), now), words);
        }
        assert!(age(now + chrono::Duration::seconds(100), now).contains("clocks"));
    }
}
