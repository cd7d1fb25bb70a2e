//! Browsing: the container above, this one, and a look at what is under the cursor.
//!
//! ```text
//!  demo ▸ lake ▸ s2                    read-only   rtt 12 ms   name ↑   1,204,331 objects
//!  2023/           │▸ B02_B03_B04_B08.tif     312.4 MiB │ COG 10980² u16 ×4  EPSG:32635
//!  2024/           │  MTD_MSIL1C.xml           44.1 KiB │ ▀▄▀▄
//! ```

mod act;
mod arranging;
mod draw;
mod header;
mod needle;
mod pane;
mod prompt;
mod row;
mod selection;

use crate::action::Action;
use crate::catalog;
use crate::entry::{Entry, EntryKind};
use crate::listing::Arrangement;
use crate::location::Location;
use crate::look::Look;
use crate::preview::Probe;
use crate::previews;
use crate::screen::{Cx, Flow, Open, Screen, Target};
use crate::widgets::input::Edit;
use needle::Needle;
use pane::Pane;
use prompt::{Ask, Deep, Prompt};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::HashMap;

pub(super) use selection::BasketList;

/// Entries of the container above that are read; it is there to show where one is.
const PARENT_LIMIT: usize = 5_000;
/// Entries of a container under the cursor that are read to show what is in it.
const PEEK_LIMIT: usize = 500;
/// Containers whose cursor is remembered for coming back, and steps back that are.
const REMEMBERED: usize = 1_000;

/// The panes that the wheel scrolls.
const LIST: usize = 0;
const ABOVE: usize = 1;
const RIGHT: usize = 2;

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
    back: Vec<Step>,
    forward: Vec<Step>,
    /// The names that the cursor was on in containers that were left.
    cursors: HashMap<Location, String>,
    /// Whether the keys scroll the look instead of moving in the list.
    in_look: bool,
    /// What is being typed.
    prompt: Option<Prompt>,
    /// What is searched in names.
    needle: Option<Needle>,
    /// A pattern that is matched with everything below.
    deep: Option<Deep>,
    /// Lines of the list, known since the last frame.
    height: usize,
}

/// A place in the history, as it was left.
struct Step {
    location: Location,
    cursor: Option<String>,
    arrangement: Arrangement,
    trail: Vec<Location>,
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
            cursors: HashMap::new(),
            in_look: false,
            prompt: None,
            needle: None,
            deep: None,
            height: 20,
        };
        browse.open_parent(cx);
        browse
    }

    /// Where one is, to come back to.
    fn step(&self) -> Step {
        Step {
            location: self.pane.location.clone(),
            cursor: self.pane.row().map(|row| row.name().to_owned()),
            arrangement: self.pane.arrangement.clone(),
            trail: self.trail.clone(),
        }
    }

    /// Goes to another container; the cursor goes to where it was there, or to `cursor`.
    fn go(&mut self, location: Location, cursor: Option<String>, trail: Vec<Location>, cx: &mut Cx) {
        let step = self.step();
        if let Some(name) = &step.cursor
            && (self.cursors.len() < REMEMBERED || self.cursors.contains_key(&step.location))
        {
            self.cursors.insert(step.location.clone(), name.clone());
        }
        let cursor = cursor.or_else(|| self.cursors.get(&location).cloned());
        // How it is sorted goes along, what is filtered does not.
        let arrangement = Arrangement { filter: String::new(), ..step.arrangement.clone() };
        self.back.push(step);
        if self.back.len() > REMEMBERED {
            self.back.remove(0);
        }
        self.forward.clear();
        self.show(Step { location, cursor, arrangement, trail }, cx);
    }

    fn show(&mut self, step: Step, cx: &mut Cx) {
        self.pane = Pane::open(step.location, step.cursor, usize::MAX, cx);
        self.pane.arrange_as(step.arrangement, cx);
        self.trail = step.trail;
        self.shown = None;
        self.peek = None;
        self.prompt = None;
        self.deep = None;
        self.look.show(None, cx);
        self.open_parent(cx);
    }

    fn travel(&mut self, back: bool, cx: &mut Cx) {
        let here = self.step();
        let (from, to) = if back { (&mut self.back, &mut self.forward) } else { (&mut self.forward, &mut self.back) };
        match from.pop() {
            Some(step) => {
                to.push(here);
                self.show(step, cx);
            }
            None if back => cx.toast("there is no place before this one"),
            None => cx.toast("there is no place after this one"),
        }
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
        match (above, &mut self.parent) {
            (Some(_), Some(parent)) if same => parent.want(name),
            (Some(above), _) => self.parent = Some(Pane::open(above, Some(name), PARENT_LIMIT, cx)),
            (None, _) => self.parent = None,
        }
    }

    fn enter(&mut self, cx: &mut Cx) -> Flow {
        let Some(entry) = self.pane.row().map(|r| r.to_entry()) else { return Flow::Done };
        let target = entry.location(&self.pane.location);
        if crate::zarr::is_root(&target) {
            return Flow::Open(Open::Zarr(target));
        }
        if entry.kind.is_container() || catalog::is_entry_point(&target) {
            let mut trail = self.trail.clone();
            trail.push(self.pane.location.clone());
            self.go(target, None, trail, cx);
            return Flow::Done;
        }
        Flow::Open(super::open_thing(probe_of(&entry, target)))
    }

    fn leave(&mut self, cx: &mut Cx) -> Flow {
        let here = self.pane.location.clone();
        let mut trail = self.trail.clone();
        match trail.pop().or_else(|| here.parent()) {
            Some(above) => {
                let name = if above.is_account() { here.bucket() } else { here.name() };
                self.go(above, Some(name.to_owned()), trail, cx);
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
        // A prefix that was measured is still the same.
        let same = match (&entry, &self.shown) {
            (Some(new), Some(old)) => new.kind.is_container() && new.kind == old.kind && new.name == old.name,
            _ => false,
        };
        self.shown.clone_from(&entry);
        if same {
            return;
        }
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
        } else if let Action::Enter | Action::Right = action
            && let Some(target) = self.look.target()
        {
            return Some(Flow::Open(super::open_part(target)));
        } else if !self.look.update(action, page) {
            return None;
        }
        Some(Flow::Done)
    }

    fn arrange(&mut self, change: impl FnOnce(&mut Arrangement), cx: &Cx) {
        let mut arrangement = self.pane.arrangement.clone();
        change(&mut arrangement);
        self.pane.arrange_as(arrangement, cx);
    }

    /// Peels one layer: a range, what is searched, the filter, counting, what is selected here.
    fn peel(&mut self, cx: &mut Cx) -> Flow {
        if self.pane.drop_range() || self.needle.take().is_some() {
            return Flow::Done;
        }
        if !self.pane.arrangement.filter.is_empty() {
            self.arrange(|a| a.filter.clear(), cx);
        } else if self.deep.take().is_some() || cx.sizes.stop() > 0 {
            cx.toast("stopped counting");
        } else if !cx.basket.clear_folder(&self.pane.location) {
            if cx.basket.is_empty() {
                return Flow::Ignored;
            }
            let key = cx.keymap.label(self.contexts(), Action::SelectNone);
            cx.toast(format!("nothing is selected here; {key} unselects all in other folders"));
        }
        Flow::Done
    }

    /// Moves the cursor; `None` for what is no movement.
    fn movement(&mut self, action: Action) -> Option<()> {
        let page = self.height.max(1) as isize;
        match action {
            Action::Up => self.pane.step(-1),
            Action::Down => self.pane.step(1),
            Action::HalfUp => self.pane.step(-(page / 2).max(1)),
            Action::HalfDown => self.pane.step((page / 2).max(1)),
            Action::PageUp => self.pane.step(-page),
            Action::PageDown => self.pane.step(page),
            Action::Top => self.pane.jump(0),
            Action::Bottom => self.pane.jump(usize::MAX),
            _ => return None,
        }
        Some(())
    }
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
        if self.prompt.is_some() { &["prompt"] } else { &["browse", "list", "global"] }
    }

    fn title(&self) -> String {
        self.pane.location.name().trim_end_matches('/').to_owned()
    }

    fn here(&self) -> Option<Location> {
        Some(self.pane.location.clone())
    }

    fn under(&self) -> Option<Location> {
        let entry = self.pane.row()?.to_entry();
        let target = entry.location(&self.pane.location);
        (entry.kind.is_container() || catalog::is_entry_point(&target)).then_some(target)
    }

    fn wants_text(&self) -> bool {
        self.prompt.is_some()
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.pane.is_loading() || self.look.is_loading() || self.deep.is_some() || self.pane.is_seeking()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if self.in_look
            && let Some(flow) = self.update_in_look(action, self.height.max(1) as isize)
        {
            return flow;
        }
        if let Some(flow) = self.update_prompt(action, cx) {
            self.update_look(cx);
            return flow;
        }
        if self.movement(action).is_some() {
            self.update_look(cx);
            return Flow::Done;
        }
        match action {
            Action::NextPane | Action::PrevPane => self.in_look = self.peek.is_none() && !self.in_look,
            Action::Right | Action::Enter => return self.enter(cx),
            Action::Left | Action::Leave => return self.leave(cx),
            Action::HistoryBack | Action::HistoryForward => self.travel(action == Action::HistoryBack, cx),
            Action::Select | Action::SelectRange | Action::SelectAll | Action::SelectInvert | Action::SelectNone => {
                self.select(action, cx);
            }
            Action::Basket if cx.basket.is_empty() => {
                let key = cx.keymap.label(self.contexts(), Action::Select);
                cx.toast(format!("nothing is selected: {key} selects what is under the cursor"));
            }
            Action::Basket => return Flow::Open(Open::Basket),
            Action::SelectGlob => self.ask(Ask::Glob(crate::basket::Change::Add)),
            Action::UnselectGlob => self.ask(Ask::Glob(crate::basket::Change::Remove)),
            Action::Filter => self.ask(Ask::Filter),
            Action::Find => self.ask(Ask::Find),
            Action::JumpTo => self.ask(Ask::Jump),
            Action::SearchNext | Action::SearchPrev => self.seek_again(action == Action::SearchNext, cx),
            Action::Percent => cx.toast("type a number first: 50% goes to the middle"),
            Action::SortNext => self.arrange(|a| a.by = a.by.next(), cx),
            Action::SortReverse => self.arrange(|a| a.reverse = !a.reverse, cx),
            Action::Measure | Action::MeasureAll | Action::MeasureStop => self.measure(action, cx),
            Action::Refresh => {
                self.pane.refresh(cx);
                self.shown = None;
            }
            Action::Bookmark => self.bookmark(cx),
            Action::Yank => return self.copy_menu(cx),
            Action::Facts => return self.facts(cx),
            Action::Versions if !self.pane.location.is_account() => {
                return Flow::Open(Open::Versions(self.pane.location.clone()));
            }
            Action::ReadOnly => self.toggle_read_only(cx),
            Action::Upload
            | Action::Download
            | Action::Convert
            | Action::Query
            | Action::Benchmark
            | Action::CopyTo
            | Action::MoveTo => return self.form(action, cx),
            Action::Delete => return self.delete(cx),
            Action::Sync => return self.sync(cx),
            Action::Uploads if !self.pane.location.is_account() => {
                return Flow::Open(Open::Uploads(self.pane.location.clone()));
            }
            Action::ViewNext => self.look.next_view(),
            Action::OpenTable => return self.open_table(cx),
            Action::Map => {
                let entry = self.pane.row().map(|r| r.to_entry()).filter(|entry| !entry.kind.is_container());
                let probe = entry.map(|entry| probe_of(&entry, entry.location(&self.pane.location)));
                return super::preview::map_of(probe, cx);
            }
            Action::Back => return self.peel(cx),
            _ => return Flow::Ignored,
        }
        self.update_look(cx);
        Flow::Done
    }

    fn update_counted(&mut self, action: Action, count: usize, cx: &mut Cx) -> Flow {
        let n = self.pane.shown();
        match action {
            Action::Top | Action::Bottom => self.pane.jump(count.saturating_sub(1)),
            Action::Percent => self.pane.jump((n as u128 * count.min(100) as u128 / 100) as usize),
            Action::Up => self.pane.step(-(count as isize)),
            Action::Down => self.pane.step(count as isize),
            _ => return Flow::Ignored,
        }
        self.update_look(cx);
        Flow::Done
    }

    fn click(&mut self, target: &Target, cx: &mut Cx) -> Flow {
        match target {
            Target::Row(at) if *at == self.pane.cursor() => return self.update(Action::Enter, cx),
            Target::Row(at) => {
                self.in_look = false;
                self.pane.jump(*at);
            }
            Target::Place(location) if *location != self.pane.location => {
                // The place below which one is stands under the cursor.
                let below = |l: &Location| l.parent().is_some_and(|parent| parent == *location);
                let mut place = self.pane.location.clone();
                while !below(&place)
                    && let Some(above) = place.parent()
                {
                    place = above;
                }
                let name = if location.is_account() { place.bucket() } else { place.name() };
                let name = Some(name.to_owned()).filter(|_| below(&place));
                self.go(location.clone(), name, Vec::new(), cx);
            }
            _ => return Flow::Ignored,
        }
        self.update_look(cx);
        Flow::Done
    }

    fn wheel(&mut self, pane: Option<usize>, by: isize, cx: &mut Cx) -> Flow {
        match (pane, &mut self.parent, &mut self.peek) {
            (Some(ABOVE), Some(parent), _) => parent.scroll(by, self.height),
            (Some(RIGHT), _, Some(peek)) => peek.scroll(by, self.height),
            (Some(RIGHT), _, None) => {
                let action = if by < 0 { Action::Up } else { Action::Down };
                for _ in 0..by.unsigned_abs() {
                    self.look.update(action, self.height as isize);
                }
            }
            (Some(LIST), ..) => {
                self.pane.scroll(by, self.height);
                self.update_look(cx);
            }
            _ => {}
        }
        Flow::Done
    }

    fn edit(&mut self, edit: &Edit, cx: &mut Cx) -> Flow {
        let flow = self.edit_prompt(edit, cx);
        self.update_look(cx);
        flow
    }

    fn poll(&mut self, cx: &mut Cx) {
        let missing = self.pane.poll(cx);
        self.tell_missing(missing, cx);
        if let Some(parent) = &mut self.parent {
            parent.poll(cx);
        }
        if let Some(peek) = &mut self.peek {
            peek.poll(cx);
        }
        self.poll_deep(cx);
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
