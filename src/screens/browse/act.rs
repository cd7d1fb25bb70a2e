//! What is done with entries: selecting and measuring them, forms that begin with them.

use super::Browse;
use super::pane::Pane;
use crate::action::Action;
use crate::basket::{self, Change};
use crate::entry::{EntryKind, More};
use crate::location::{Location, Scheme};
use crate::probe::Probe;
use crate::screen::{Cx, Doom, Flow, Open, Screen as _};
use crate::tables::is_folder_of_tables;
use crate::text;
use crate::transfer::Target;

/// Prefixes that are measured by one key.
const MEASURED: usize = 2_000;
/// Names that tell whether a folder is a table in many files.
const TELLING: usize = 64;
/// Selected things that a form or a menu is given; it could not show more.
const GIVEN: usize = 10_000;

impl Browse {
    /// What is selected anywhere, or else what is under the cursor.
    pub(super) fn chosen(&self, cx: &Cx) -> Vec<Location> {
        if cx.basket.is_empty() {
            let row = self.pane.row();
            return row.map(|row| basket::location(&self.pane.location, &row)).into_iter().collect();
        }
        cx.basket.locations().take(GIVEN).collect()
    }

    pub(super) fn select(&mut self, action: Action, cx: &mut Cx) {
        let (all, basket) = (0..self.pane.shown(), &mut cx.basket);
        match action {
            Action::SelectRange => self.pane.toggle_range(basket),
            Action::SelectAll => self.pane.change(all, Change::Add, basket),
            Action::SelectInvert => self.pane.change(all, Change::Invert, basket),
            Action::SelectNone => basket.clear(),
            _ if self.pane.range().is_some() => self.pane.toggle_range(basket),
            _ => {
                self.pane.change([self.pane.cursor()], Change::Invert, basket);
                self.pane.step(1);
            }
        }
        if action != Action::SelectRange {
            self.pane.drop_range();
        }
    }

    pub(super) fn measure(&mut self, action: Action, cx: &mut Cx) {
        if action == Action::MeasureStop {
            let stopped = cx.sizes.stop() + usize::from(self.deep.take().is_some());
            return cx.toast(if stopped == 0 { "nothing is being counted" } else { "stopped counting" });
        }
        let here = &self.pane.location;
        let names: Vec<(String, Location)> = {
            let folder = cx.basket.folder(here);
            let listed = |at: usize| self.pane.shown_row(at).map(|(_, row)| row);
            let wanted = |row: &crate::listing::Row<'_>| basket::can_be_measured(row);
            let key = |row: crate::listing::Row<'_>| (row.name().to_owned(), basket::location(here, &row));
            let selected: Vec<(String, Location)> = folder
                .into_iter()
                .flat_map(crate::basket::Folder::rows)
                .filter(wanted)
                .take(MEASURED + 1)
                .map(key)
                .collect();
            let lines = match (action, self.pane.range()) {
                (Action::MeasureAll, _) => 0..self.pane.shown(),
                (_, Some(lines)) => *lines.start()..lines.end() + 1,
                (_, None) => self.pane.cursor()..self.pane.cursor() + 1,
            };
            if action == Action::Measure && self.pane.range().is_none() && !selected.is_empty() {
                selected
            } else {
                lines.filter_map(listed).filter(wanted).take(MEASURED + 1).map(key).collect()
            }
        };
        if names.is_empty() {
            return cx.toast("there is no prefix to count below here");
        }
        if names.len() > MEASURED {
            return cx.toast(format!("more than {} prefixes: filter or select some", text::count(MEASURED as u64)));
        }
        let targets = names.iter().map(|(_, target)| target.to_string());
        cx.last_command = Some(std::iter::once("du".to_owned()).chain(targets).collect());
        for (name, target) in names {
            cx.sizes.ask(here, &name, target);
        }
        cx.sizes.poll(&cx.stores, &cx.waker);
    }

    /// Facts of what is under the cursor: an object, or the bucket of a prefix.
    pub(super) fn facts(&self, cx: &mut Cx) -> Flow {
        let here = &self.pane.location;
        let entry = self.pane.row().map(|r| r.to_entry());
        let at = entry.as_ref().map_or_else(|| here.clone(), |e| e.location(here));
        if at.scheme() == Scheme::S3 && entry.is_none_or(|e| matches!(e.kind, EntryKind::Bucket | EntryKind::Prefix)) {
            if at.is_account() {
                cx.toast("choose a bucket first");
                return Flow::Done;
            }
            return Flow::Open(Open::BucketFacts(at));
        }
        Flow::Open(Open::Facts(at))
    }

    /// The question before what is selected, or under the cursor, is deleted. What is listed tells prefixes
    /// from objects that are called like them.
    pub(super) fn delete(&self, cx: &mut Cx) -> Flow {
        let mut targets = Vec::new();
        let mut other = None;
        let mut add = |container: &Location, row: &crate::listing::Row<'_>| match row.kind() {
            kind @ (EntryKind::Object | EntryKind::Prefix) => {
                targets.push(Target { location: basket::location(container, row), below: kind == EntryKind::Prefix });
            }
            EntryKind::Bucket => other = Some("a bucket is emptied from within: open it first"),
            _ => other = Some("only objects, prefixes and files are deleted"),
        };
        if cx.basket.is_empty() {
            self.pane.row().iter().for_each(|row| add(&self.pane.location, row));
        } else {
            cx.basket.entries().take(GIVEN + 1).for_each(|(container, row)| add(container, &row));
        }
        if let Some(why) = other {
            cx.toast(why);
        } else if targets.len() > GIVEN {
            cx.toast(format!("more than {} selected: select their folders instead", text::count(GIVEN as u64)));
        } else if let Some(locked) = targets.iter().find(|t| !cx.is_writable(t.location.store())) {
            // On this computer's disk too: the header says read-only, and a deletion is the last to pass over it.
            let place = locked.location.with_key("").to_string();
            let key = cx.keymap.label(self.contexts(), Action::ReadOnly);
            cx.toast(format!("{} is read-only: {key} in its list allows writing", text::clean(&place)));
        } else if !targets.is_empty() {
            return Flow::Open(Open::Sure(Doom::Delete(targets)));
        }
        Flow::Done
    }

    /// The form for syncing the prefix under the cursor, or what is listed.
    pub(super) fn sync(&self, cx: &mut Cx) -> Flow {
        let row = self.pane.row().filter(|row| matches!(row.kind(), EntryKind::Prefix | EntryKind::Bucket));
        let source = row.map_or_else(|| self.pane.location.clone(), |row| basket::location(&self.pane.location, &row));
        if source.is_account() {
            cx.toast("choose a bucket first");
            return Flow::Done;
        }
        Flow::Open(Open::SyncForm { source, other: None })
    }

    pub(super) fn is_writable(&self, cx: &Cx) -> bool {
        cx.is_writable(self.pane.location.store())
    }

    pub(super) fn toggle_read_only(&self, cx: &mut Cx) {
        let id = self.pane.location.store().clone();
        let place = self.pane.location.with_key("").to_string();
        if cx.stores.options().read_only {
            cx.toast("everything is read-only: the program was started with --read-only");
        } else if cx.is_writable(&id) {
            cx.set_writable(&id, false);
            cx.toast(format!("{place} is read-only again: nothing can be changed there"));
        } else {
            cx.set_writable(&id, true);
            cx.toast(format!("{place} can be written to until you leave or press the key again"));
        }
    }

    pub(super) fn bookmark(&self, cx: &mut Cx) {
        let here = self.pane.location.clone();
        if cx.bookmarks.contains(&here) {
            cx.bookmarks.retain(|l| *l != here);
            cx.toast("bookmark removed");
        } else {
            cx.bookmarks.push(here);
            cx.toast("bookmarked: it stands on the Places screen");
        }
    }

    pub(super) fn copy_menu(&self, cx: &Cx) -> Flow {
        let row = self.pane.row().filter(|_| cx.basket.is_empty());
        let media_type = row.and_then(|row| row.more().and_then(|more: &More| more.media_type.clone()));
        let mut locations = self.chosen(cx);
        if locations.is_empty() {
            locations.push(self.pane.location.clone());
        }
        Flow::Open(Open::CopyMenu { locations, media_type })
    }

    /// The form for copying or moving what is chosen.
    fn copy_form(&self, moves: bool, cx: &mut Cx) -> Flow {
        let count = cx.basket.total().count;
        if count > GIVEN {
            let (n, most) = (text::count(count as u64), text::count(GIVEN as u64));
            cx.toast(format!("{n} are selected; at most {most} go at once: select the folder that holds them instead"));
            return Flow::Done;
        }
        let sources = self.chosen(cx);
        if sources.is_empty() {
            cx.toast("there is nothing here to copy or move");
            return Flow::Done;
        }
        if let Some(locked) = sources.iter().find(|at| moves && !cx.is_writable(at.store()) && at.to_path().is_none()) {
            let place = locked.with_key("").to_string();
            let key = cx.keymap.label(self.contexts(), Action::ReadOnly);
            cx.toast(format!("{place} is read-only: what is moved is deleted there; {key} allows writing"));
            return Flow::Done;
        }
        Flow::Open(Open::CopyForm { sources, here: self.pane.location.clone(), other: None, moves })
    }

    /// The folder whose files look like parts of one table: this one, or that under the cursor.
    pub(super) fn folder_of_tables(&self) -> Option<Location> {
        let looks = |pane: &Pane| {
            let names = (0..pane.listing.len().min(TELLING)).map(|i| pane.listing.row(i).name());
            !pane.location.is_account() && is_folder_of_tables(names)
        };
        let panes = std::iter::once(&self.pane).chain(&self.peek);
        panes.filter(|pane| looks(pane)).map(|pane| pane.location.clone()).next()
    }

    /// Opens a folder of files as one table: what looks like one, else what is under the cursor.
    pub(super) fn open_table(&self, cx: &mut Cx) -> Flow {
        let under = || {
            let row = self.pane.row().filter(|row| row.kind() == EntryKind::Prefix)?;
            Some(basket::location(&self.pane.location, &row))
        };
        let Some(folder) = self.folder_of_tables().or_else(under) else {
            cx.toast("put the cursor on a folder of Parquet files: all of them are opened as one table");
            return Flow::Done;
        };
        Flow::Open(Open::Table { probe: Probe::new(folder) })
    }

    pub(super) fn form(&self, action: Action, cx: &mut Cx) -> Flow {
        let here = self.pane.location.clone();
        match action {
            Action::Benchmark => {
                let candidates = self.chosen(cx).into_iter().filter(can_be_benchmarked).collect();
                Flow::Open(Open::BenchForm { candidates })
            }
            Action::Convert => {
                let chosen = self.chosen(cx);
                if chosen.len() > 1 {
                    let n = text::count(chosen.len() as u64);
                    cx.toast(format!("one is converted at a time: this is the first of {n} selected"));
                }
                chosen.into_iter().next().map_or(Flow::Done, |source| Flow::Open(Open::ConvertForm { source }))
            }
            Action::Query => {
                let table = self.chosen(cx).into_iter().next().filter(|at| !at.is_account());
                Flow::Open(Open::Query { table, sql: None })
            }
            Action::CopyTo | Action::MoveTo => self.copy_form(action == Action::MoveTo, cx),
            Action::Download => {
                let (mut sources, local): (Vec<_>, Vec<_>) =
                    self.chosen(cx).into_iter().partition(|source| source.scheme() != Scheme::File);
                // Its own bucket, where an account is listed, and never all buckets.
                sources.retain(|source| !source.is_account());
                if sources.is_empty() {
                    let here = !local.is_empty();
                    cx.toast(if here { "this lies on your computer already" } else { "there is nothing to download" });
                    return Flow::Done;
                }
                Flow::Open(Open::DownloadForm { sources })
            }
            _ if here.is_account() => {
                cx.toast("choose a bucket first");
                Flow::Done
            }
            _ if !self.is_writable(cx) => {
                let key = cx.keymap.label(self.contexts(), Action::ReadOnly);
                cx.toast(format!("this place is read-only: {key} allows writing"));
                Flow::Done
            }
            _ => Flow::Open(Open::UploadForm { destination: here.as_container() }),
        }
    }
}

/// Whether it may be a series of a benchmark: COGs, a Zarr, or a folder that may hold COGs.
fn can_be_benchmarked(location: &Location) -> bool {
    location.is_container() || matches!(location.extension().as_str(), "tif" | "tiff" | "zarr")
}
