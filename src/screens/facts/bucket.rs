//! A bucket: where it is, who may what, what its rules do. Each fact shows as it arrives.

use super::rows::{Panes, Row};
use super::{CONTEXTS, bars, copy, toggle_read_only};
use crate::action::Action;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::screen::{Cx, Flow, Open, Screen};
use crate::store::{Aspect, Fact, Stores, Told};
use crate::task::Feed;
use crate::text;
use crate::theme::Role;
use futures::stream::{self, BoxStream, StreamExt as _};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::BTreeMap;

type Piece = (Aspect, Fact<Told>);

fn facts(stores: Stores, at: Location) -> BoxStream<'static, Result<Piece>> {
    stream::once(async move {
        match stores.open(&at, stores.meter()).await {
            Ok(handle) => handle.bucket_facts(),
            Err(err) => stream::iter([Err(err)]).boxed(),
        }
    })
    .flatten()
    .boxed()
}

/// Facts with much to say stand in the second list.
fn is_long(aspect: Aspect) -> bool {
    matches!(aspect, Aspect::Policy | Aspect::Lifecycle | Aspect::Cors | Aspect::Notifications | Aspect::Replication)
}

/// The screen.
pub(in crate::screens) struct BucketFacts {
    /// The bucket itself, without a key.
    location: Location,
    feed: Feed<Piece>,
    known: BTreeMap<Aspect, Fact<Told>>,
    error: Option<Error>,
    panes: Panes,
}

impl BucketFacts {
    /// Facts of the bucket that `at` lies in.
    pub(in crate::screens) fn open(at: &Location, cx: &mut Cx) -> Self {
        let location = at.with_key("");
        cx.last_command = Some(vec!["stat".to_owned(), location.to_string()]);
        let feed = Feed::spawn(&cx.waker, facts(cx.stores.clone(), location.clone()));
        let mut screen = Self { location, feed, known: BTreeMap::new(), error: None, panes: Panes::default() };
        screen.lay_out();
        screen
    }

    fn lay_out(&mut self) {
        let mut short = vec![Row::heading("Bucket", "")];
        let mut long = Vec::new();
        if let Some(err) = &self.error {
            short.push(Row::new("", err.to_string()).role(Role::Bad));
            short.extend(err.hint().map(|hint| Row::note("", hint)));
            self.panes.set(short, long);
            return;
        }
        for aspect in Aspect::ALL {
            let fact = self.known.get(aspect);
            if is_long(*aspect) {
                long.extend(long_rows(*aspect, fact));
            } else {
                short.extend(short_rows(*aspect, fact));
            }
        }
        self.panes.set(short, long);
    }
}

/// What stands there while there is no value.
fn place(fact: Option<&Fact<Told>>) -> String {
    fact.map_or_else(|| "asking…".to_owned(), |fact| fact.words().unwrap_or_default().to_owned())
}

fn is_failure(fact: Option<&Fact<Told>>) -> bool {
    matches!(fact, Some(Fact::Failed(_)))
}

fn note(name: &str, fact: Option<&Fact<Told>>) -> Row {
    let row = Row::note(name, place(fact));
    if is_failure(fact) { row.role(Role::Bad) } else { row }
}

fn short_rows(aspect: Aspect, fact: Option<&Fact<Told>>) -> Vec<Row> {
    let Some(told) = fact.and_then(Fact::known) else { return vec![note(aspect.title(), fact)] };
    let whole = told.lines.join("\n");
    let rows = told.lines.iter().enumerate();
    rows.map(|(i, line)| Row::new(if i == 0 { aspect.title() } else { "" }, line).copied_as(&whole)).collect()
}

fn long_rows(aspect: Aspect, fact: Option<&Fact<Told>>) -> Vec<Row> {
    let title = capital(aspect.title());
    let Some(told) = fact.and_then(Fact::known) else {
        if is_failure(fact) {
            return vec![Row::heading(&title, ""), note("", fact)];
        }
        return vec![Row::heading(&title, place(fact))];
    };
    let whole = told.lines.join("\n");
    let count = if aspect == Aspect::Policy { String::new() } else { text::count(told.lines.len() as u64) };
    let rows = told.lines.iter().map(|line| match line.split_once(": ") {
        // A rule with a name.
        Some((name, rest)) if aspect != Aspect::Policy && !name.contains(' ') => Row::new(name, rest).copied_as(&whole),
        _ => Row::new("", line).copied_as(&whole),
    });
    std::iter::once(Row::heading(&title, count)).chain(rows).collect()
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

impl Screen for BucketFacts {
    fn contexts(&self) -> &'static [&'static str] {
        CONTEXTS
    }

    fn title(&self) -> String {
        format!("facts of {}", self.location.name())
    }

    fn here(&self) -> Option<Location> {
        Some(self.location.clone())
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        !self.feed.is_done()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if self.panes.update(action) {
            return Flow::Done;
        }
        match action {
            Action::Back | Action::Leave | Action::Left | Action::Facts => return Flow::Close,
            Action::Refresh => {
                self.feed = Feed::spawn(&cx.waker, facts(cx.stores.clone(), self.location.clone()));
                self.error = None;
            }
            Action::ReadOnly => toggle_read_only(&self.location, cx),
            Action::Versions => return Flow::Open(Open::Versions(self.location.clone())),
            Action::Yank => {
                if let Some(value) = self.panes.row().map(|row| row.to_copy().to_owned()) {
                    copy(&value, cx);
                }
            }
            Action::EditFacts | Action::Restore | Action::Undelete => cx.toast("a bucket is only looked at here"),
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn poll(&mut self, _cx: &mut Cx) {
        let mut changed = false;
        while let Some(piece) = self.feed.take() {
            changed = true;
            match piece {
                Ok((aspect, fact)) => drop(self.known.insert(aspect, fact)),
                Err(err) => self.error = Some(err),
            }
        }
        if changed {
            self.lay_out();
        }
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let hints = [
            (Action::Yank, "copy"),
            (Action::Versions, "versions of all objects"),
            (Action::Refresh, "ask again"),
            (Action::Back, "back"),
            (Action::Help, "all keys"),
        ];
        let asked = if self.feed.is_done() { "" } else { "asking…" };
        let body = bars(&self.location.to_string(), &self.location, asked, &hints, frame, area, cx);
        self.panes.draw(frame, body, cx);
    }
}
