//! Browsing: the container above, this one, and a look at what is under the cursor.
//!
//! ```text
//!  demo ▸ lake ▸ s2                    read-only   rtt 12 ms   name ↑   1,204,331 objects
//!  2023/           │▸ B02_B03_B04_B08.tif     312.4 MiB │ COG 10980² u16 ×4  EPSG:32635
//!  2024/           │  MTD_MSIL1C.xml           44.1 KiB │ ▀▄▀▄
//! ```

mod arranging;
mod draw;
mod pane;

use crate::action::Action;
use crate::catalog;
use crate::entry::{Entry, EntryKind};
use crate::listing::Arrangement;
use crate::location::{Location, Scheme};
use crate::look::Look;
use crate::preview::Probe;
use crate::previews;
use crate::screen::{Cx, Flow, Open, Screen};
use crate::widgets::input::{Edit, Input};
use pane::Pane;
use ratatui::Frame;
use ratatui::layout::Rect;

/// Entries of the container above that are read; it is there to show where one is.
const PARENT_LIMIT: usize = 5_000;
/// Entries of a container under the cursor that are read to show what is in it.
const PEEK_LIMIT: usize = 500;

/// The screen.
pub(super) struct Browse {
    pane: Pane,
    parent: Option<Pane>,
    /// What is under the cursor: a container's first entries, or a preview.
    peek: Option<Pane>,
    look: Look,
    /// What the right pane shows: avoids loading the same thing again.
    shown: Option<Entry>,
    /// How one came here, for going out again where addresses do not tell (catalogs).
    trail: Vec<Location>,
    back: Vec<Location>,
    forward: Vec<Location>,
    /// Whether the keys scroll the look instead of moving in the list.
    in_look: bool,
    /// The filter being typed.
    filter: Option<Input>,
    /// Lines of the list, known since the last frame.
    height: usize,
}

impl Browse {
    /// Lists `location`.
    pub(super) fn open(location: &Location, cx: &mut Cx) -> Self {
        cx.recents.retain(|l| l != location);
        cx.recents.insert(0, location.clone());
        cx.recents.truncate(50);
        let pane = Pane::open(location.clone(), None, usize::MAX, cx);
        let mut browse = Self {
            pane,
            parent: None,
            peek: None,
            look: Look::default(),
            shown: None,
            trail: Vec::new(),
            back: Vec::new(),
            forward: Vec::new(),
            in_look: false,
            filter: None,
            height: 20,
        };
        browse.open_parent(cx);
        browse
    }

    fn go(&mut self, location: Location, cursor: Option<String>, cx: &mut Cx) {
        let old = self.pane.location.clone();
        self.back.push(old);
        self.forward.clear();
        self.show(location, cursor, cx);
    }

    fn show(&mut self, location: Location, cursor: Option<String>, cx: &mut Cx) {
        self.pane = Pane::open(location, cursor, usize::MAX, cx);
        self.shown = None;
        self.peek = None;
        self.filter = None;
        self.look.show(None, cx);
        self.open_parent(cx);
    }

    fn open_parent(&mut self, cx: &Cx) {
        let here = &self.pane.location;
        let above = self.trail.last().cloned().or_else(|| here.parent());
        let name = if above.as_ref().is_some_and(Location::is_account) {
            here.bucket().to_owned()
        } else {
            here.name().to_owned()
        };
        let same = self.parent.as_ref().is_some_and(|p| Some(&p.location) == above.as_ref());
        match above {
            Some(above) if !same => self.parent = Some(Pane::open(above, Some(name), PARENT_LIMIT, cx)),
            Some(_) => {}
            None => self.parent = None,
        }
    }

    fn enter(&mut self, cx: &mut Cx) -> Flow {
        let Some(entry) = self.pane.row().map(|r| r.to_entry()) else { return Flow::Done };
        let target = entry.location(&self.pane.location);
        if entry.kind.is_container() {
            self.trail.push(self.pane.location.clone());
            self.go(target, None, cx);
            return Flow::Done;
        }
        if catalog::is_entry_point(&target) {
            self.trail.push(self.pane.location.clone());
            self.go(target, None, cx);
            return Flow::Done;
        }
        Flow::Open(Open::Preview(probe_of(&entry, target)))
    }

    fn leave(&mut self, cx: &mut Cx) -> Flow {
        let here = self.pane.location.clone();
        match self.trail.pop().or_else(|| here.parent()) {
            Some(above) => {
                let name = if above.is_account() { here.bucket() } else { here.name() };
                self.go(above, Some(name.to_owned()), cx);
                Flow::Done
            }
            None => Flow::Open(Open::Places),
        }
    }

    /// Shows what is under the cursor in the right pane, if it is not shown already.
    fn update_look(&mut self, cx: &Cx) {
        let entry = self.pane.row().map(|r| r.to_entry());
        if entry == self.shown {
            return;
        }
        self.shown.clone_from(&entry);
        self.peek = None;
        self.in_look = false;
        let Some(entry) = entry else {
            self.look.show(None, cx);
            return;
        };
        let probe = probe_of(&entry, entry.location(&self.pane.location));
        let folder = entry.kind.is_container() && !previews::claims(&probe);
        if folder {
            self.look.show(None, cx);
            self.peek = Some(Pane::open(probe.location, None, PEEK_LIMIT, cx));
        } else {
            self.look.show(Some(probe), cx);
        }
    }

    /// Scrolls the look; `None` for what concerns the list all the same.
    fn update_in_look(&mut self, action: Action, page: isize) -> Option<Flow> {
        if action == Action::Back {
            self.in_look = false;
        } else if !self.look.update(action, page) {
            return None;
        }
        Some(Flow::Done)
    }

    fn is_writable(&self, cx: &Cx) -> bool {
        !cx.stores.options().read_only && cx.writable.contains(self.pane.location.store())
    }

    fn arrange(&mut self, change: impl FnOnce(&mut Arrangement), cx: &Cx) {
        let mut arrangement = self.pane.arrangement.clone();
        change(&mut arrangement);
        self.pane.arrange_as(arrangement, cx);
    }

    /// Facts of what is under the cursor: an object, or the bucket of a prefix.
    fn facts(&self, cx: &mut Cx) -> Flow {
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

    fn toggle_read_only(&mut self, cx: &mut Cx) {
        let id = self.pane.location.store().clone();
        if cx.stores.options().read_only {
            cx.toast("everything is read-only: the program was started with --read-only");
        } else if cx.writable.remove(&id) {
            cx.toast("read-only again");
        } else {
            cx.writable.insert(id);
            cx.toast("writing is allowed here until you leave or press the key again");
        }
    }

    fn form(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let here = self.pane.location.clone();
        let chosen: Vec<Location> = self.pane.chosen().iter().map(|e| e.location(&here)).collect();
        match action {
            Action::Benchmark => {
                let candidates = chosen.into_iter().filter(can_be_benchmarked).collect();
                Flow::Open(Open::BenchForm { candidates })
            }
            Action::Convert => match chosen.into_iter().next() {
                Some(source) => Flow::Open(Open::ConvertForm { source }),
                None => Flow::Done,
            },
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

fn probe_of(entry: &Entry, location: Location) -> Probe {
    Probe {
        size: entry.size,
        etag: entry.etag.as_deref().map(str::to_owned),
        media_type: entry.more.as_ref().and_then(|m| m.media_type.clone()),
        ..Probe::new(location)
    }
}

impl Screen for Browse {
    fn contexts(&self) -> &'static [&'static str] {
        if self.filter.is_some() { &["prompt"] } else { &["browse", "list", "global"] }
    }

    fn title(&self) -> String {
        self.pane.location.name().trim_end_matches('/').to_owned()
    }

    fn here(&self) -> Option<Location> {
        Some(self.pane.location.clone())
    }

    fn wants_text(&self) -> bool {
        self.filter.is_some()
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.pane.is_loading() || self.look.is_loading()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let page = self.height.max(1) as isize;
        if self.in_look
            && let Some(flow) = self.update_in_look(action, page)
        {
            return flow;
        }
        match action {
            Action::NextPane | Action::PrevPane => self.in_look = self.peek.is_none() && !self.in_look,
            Action::Up => self.pane.step(-1),
            Action::Down => self.pane.step(1),
            Action::HalfUp => self.pane.step(-(page / 2).max(1)),
            Action::HalfDown => self.pane.step((page / 2).max(1)),
            Action::PageUp => self.pane.step(-page),
            Action::PageDown => self.pane.step(page),
            Action::Top => self.pane.jump(0),
            Action::Bottom => self.pane.jump(usize::MAX),
            Action::Enter if self.filter.is_some() => self.filter = None,
            Action::Right | Action::Enter => return self.enter(cx),
            Action::Left | Action::Leave => return self.leave(cx),
            Action::HistoryBack => {
                if let Some(to) = self.back.pop() {
                    self.forward.push(self.pane.location.clone());
                    self.trail.clear();
                    self.show(to, None, cx);
                }
            }
            Action::HistoryForward => {
                if let Some(to) = self.forward.pop() {
                    self.back.push(self.pane.location.clone());
                    self.trail.clear();
                    self.show(to, None, cx);
                }
            }
            Action::Select => self.pane.toggle(),
            Action::SelectRange => self.pane.toggle_range(),
            Action::SelectAll => self.pane.select_all(),
            Action::Filter => self.filter = Some(Input::new(self.pane.arrangement.filter.clone())),
            Action::SearchNext | Action::SearchPrev => {
                let needle = self.pane.arrangement.filter.clone();
                if !self.pane.search(&needle, action == Action::SearchNext) {
                    cx.toast(format!("nothing here holds “{needle}”"));
                }
            }
            Action::SortNext => self.arrange(|a| a.by = a.by.next(), cx),
            Action::SortReverse => self.arrange(|a| a.reverse = !a.reverse, cx),
            Action::Refresh => {
                self.pane.refresh(cx);
                self.shown = None;
            }
            Action::Bookmark => {
                let here = self.pane.location.clone();
                if cx.bookmarks.contains(&here) {
                    cx.bookmarks.retain(|l| *l != here);
                    cx.toast("bookmark removed");
                } else {
                    cx.bookmarks.push(here);
                    cx.toast("bookmarked: it stands on the Places screen");
                }
            }
            Action::Yank => {
                let chosen = self.pane.chosen();
                let mut locations: Vec<_> = chosen.iter().map(|e| e.location(&self.pane.location)).collect();
                if locations.is_empty() {
                    locations.push(self.pane.location.clone());
                }
                let media_type = chosen.into_iter().next().and_then(|e| e.more).and_then(|m| m.media_type);
                return Flow::Open(Open::CopyMenu { locations, media_type });
            }
            Action::Facts => return self.facts(cx),
            Action::Versions if !self.pane.location.is_account() => {
                return Flow::Open(Open::Versions(self.pane.location.clone()));
            }
            Action::ReadOnly => self.toggle_read_only(cx),
            Action::Upload | Action::Convert | Action::Benchmark => return self.form(action, cx),
            Action::ViewNext => self.look.next_view(),
            Action::Back => {
                let filtered = !self.pane.arrangement.filter.is_empty();
                if self.filter.take().is_some() || filtered {
                    self.arrange(|a| a.filter.clear(), cx);
                } else if !self.pane.clear_selection() {
                    return Flow::Ignored;
                }
            }
            _ => return Flow::Ignored,
        }
        self.update_look(cx);
        Flow::Done
    }

    fn edit(&mut self, edit: &Edit, cx: &mut Cx) -> Flow {
        let Some(input) = &mut self.filter else { return Flow::Ignored };
        if *edit == Edit::Backspace && input.text().is_empty() {
            self.filter = None;
        } else if input.apply(edit) {
            let text = input.text().to_owned();
            self.arrange(|a| a.filter = text, cx);
        }
        self.update_look(cx);
        Flow::Done
    }

    fn poll(&mut self, cx: &mut Cx) {
        self.pane.poll(cx);
        if let Some(parent) = &mut self.parent {
            parent.poll(cx);
        }
        if let Some(peek) = &mut self.peek {
            peek.poll(cx);
        }
        self.look.poll(cx);
        self.update_look(cx);
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        draw::draw(self, frame, area, cx);
    }
}

/// Whether an entry can be entered: containers, and items of a catalog.
pub(super) fn mark(kind: EntryKind, unicode: bool) -> &'static str {
    match (kind, unicode) {
        (EntryKind::Bucket, true) => "▣ ",
        (EntryKind::Catalog | EntryKind::Collection, true) => "◈ ",
        (EntryKind::Item, true) => "◇ ",
        (EntryKind::Asset, true) => "▪ ",
        _ => "",
    }
}
