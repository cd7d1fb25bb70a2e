//! The start screen: what can be opened from here, whether it may be written to, and whether it works.
//!
//! ```text
//!   Places                                          │ allas
//! ▸ ○ ro allas       https://a3s.fi         12 ms   │ endpoint   https://a3s.fi
//!   ● rw lab         http://lab:7480                │ keys       key AKIA…LE of profile allas
//!                                                   │ ✓ round trip  12 ms (median of 5 …)
//! ```

mod check;
mod draw;
mod list;
mod templates;

pub(super) use templates::Templates;

use crate::action::Action;
use crate::config::{self, Config, Place};
use crate::location::{Location, Scheme};
use crate::screen::popup::moved;
use crate::screen::{Cx, Flow, Open, PlaceDraft, Screen};
use crate::widgets::input::{Edit, Input};
use check::Check;
use list::{Group, Line, What};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The screen.
pub(super) struct Places {
    lines: Vec<Line>,
    /// Indices of the lines that are shown.
    shown: Vec<usize>,
    /// Whether the user has set anything up.
    is_set_up: bool,
    /// Into `shown`.
    cursor: usize,
    top: usize,
    height: usize,
    /// What is typed to filter; `Some` while it is typed or holds.
    filter: Option<Input>,
    typing: bool,
    checks: BTreeMap<Location, Check>,
    /// The sheet with the check is open, where there is no pane for it.
    sheet: bool,
    /// The line that the user is asked about before it is forgotten, and whether Yes has the focus.
    asked: Option<(Line, bool)>,
    /// The configuration whose places are listed.
    config: Arc<Config>,
}

impl Places {
    pub(super) fn open(cx: &Cx) -> Self {
        let mut places = Self {
            lines: Vec::new(),
            shown: Vec::new(),
            is_set_up: true,
            cursor: 0,
            top: 0,
            height: 20,
            filter: None,
            typing: false,
            checks: BTreeMap::new(),
            sheet: false,
            asked: None,
            config: cx.config.clone(),
        };
        places.read(cx);
        places
    }

    /// Reads the user's files; the cursor stays on what it is on.
    fn read(&mut self, cx: &Cx) {
        let here = self.here().map(|line| (line.group, line.what.clone()));
        (self.lines, self.is_set_up) = list::collect(cx);
        self.config = cx.config.clone();
        self.arrange();
        let again = self.shown.iter().position(|&i| Some((self.lines[i].group, self.lines[i].what.clone())) == here);
        self.cursor = again.unwrap_or(self.cursor).min(self.shown.len().saturating_sub(1));
    }

    fn arrange(&mut self) {
        let pattern = self.filter.as_ref().map_or("", Input::text);
        self.shown = list::matching(&self.lines, pattern);
        self.cursor = self.cursor.min(self.shown.len().saturating_sub(1));
    }

    /// The line under the cursor.
    fn here(&self) -> Option<&Line> {
        self.lines.get(*self.shown.get(self.cursor)?)
    }

    /// The check of the line under the cursor.
    fn check_here(&self) -> Option<&Check> {
        self.checks.get(self.here()?.location()?)
    }

    fn enter(&mut self, cx: &mut Cx) -> Flow {
        let Some(line) = self.here() else { return Flow::Done };
        match line.what.clone() {
            What::Add => Flow::Open(Open::PlaceTemplates),
            What::At(location) => Flow::Open(super::open_of(location)),
            What::Demo => match cx.open_demo() {
                Ok(location) => Flow::Open(Open::Browse(location)),
                Err(err) => {
                    cx.fail(&err);
                    Flow::Done
                }
            },
        }
    }

    fn start_check(&mut self, cx: &mut Cx) {
        let Some(location) = self.here().and_then(Line::location).cloned() else {
            cx.toast("nothing to check here: choose a place");
            return;
        };
        cx.last_command = Some(vec!["places".into(), "test".into(), location.to_string()]);
        self.checks.insert(location.clone(), Check::start(&location, cx));
        self.sheet = true;
    }

    /// The form for the line under the cursor: a place as it is, a profile with a place put before it.
    fn edit_place(&self, cx: &mut Cx) -> Flow {
        let draft = match self.here() {
            Some(line) if line.group == Group::Places => {
                let place = cx.config.places.get(&line.name).cloned().unwrap_or_default();
                Some(PlaceDraft {
                    former: Some(line.name.clone()),
                    name: line.name.clone(),
                    place,
                    needs: String::new(),
                })
            }
            Some(line) if matches!(line.group, Group::Aws | Group::S3cfg) => Some(PlaceDraft {
                former: None,
                name: line.name.clone(),
                place: Place { is_table: true, ..Place::default() },
                needs: "nothing more: its keys stay where they are, and this gives it a start, a lock, a note".into(),
            }),
            Some(line) => line.location().map(|at| PlaceDraft {
                former: None,
                name: line.name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
                place: as_place(at),
                needs: "a name".into(),
            }),
            None => None,
        };
        match draft {
            Some(draft) => Flow::Open(Open::PlaceForm(Box::new(draft))),
            None => self.nothing(cx, "edit"),
        }
    }

    #[allow(clippy::unused_self)] // reads as what it says
    fn nothing(&self, cx: &mut Cx, verb: &str) -> Flow {
        let key = cx.keymap.label(&["places"], Action::AddPlace);
        cx.toast(format!("nothing to {verb} here; {key} adds a place"));
        Flow::Done
    }

    fn ask_to_forget(&mut self, cx: &mut Cx) -> Flow {
        let Some(line) = self.here().cloned() else { return Flow::Done };
        match line.group {
            Group::Recent => self.forget(&line, cx),
            Group::Places | Group::Bookmarks => self.asked = Some((line, false)),
            Group::Aws | Group::S3cfg => cx.toast("it is kept in a file of ~/.aws or s3cmd: remove it there"),
            _ => return self.nothing(cx, "forget"),
        }
        Flow::Done
    }

    fn forget(&mut self, line: &Line, cx: &mut Cx) {
        let at = line.location();
        match line.group {
            Group::Recent => cx.recents.retain(|l| Some(l) != at),
            Group::Bookmarks => cx.bookmarks.retain(|l| Some(l) != at),
            _ => {
                let file = cx.config.file(&cx.folders);
                match config::remove_place(&file, &line.name).and_then(|()| Config::load(&file)) {
                    Ok(config) => cx.set_config(config),
                    Err(err) => cx.fail(&err),
                }
            }
        }
        self.read(cx);
    }

    /// Switches the lock of all that lies in the place.
    fn switch_lock(&self, cx: &mut Cx) {
        let Some(at) = self.here().and_then(Line::location).filter(|at| lock_of(at, cx).is_some()) else {
            cx.toast("this is never written to");
            return;
        };
        // A place under a bookmark's bucket is locked as a whole.
        let mut id = at.store().clone();
        id.authority.clear();
        if cx.stores.options().read_only {
            cx.toast("everything is read-only: the program was started with --read-only");
            return;
        }
        let on = !cx.is_writable(at.store());
        cx.set_writable(&id, on);
        let name = at.profile().map_or_else(|| "what has no profile".to_owned(), |p| format!("`{p}`"));
        let words = if on { "writing is allowed until you leave or press the key again" } else { "read-only again" };
        cx.toast(format!("{name}: {words}"));
    }

    fn bookmark(&mut self, cx: &mut Cx) {
        let Some(at) = self.here().and_then(Line::location).cloned() else { return };
        if cx.bookmarks.contains(&at) {
            cx.bookmarks.retain(|l| *l != at);
            cx.toast("bookmark removed");
        } else {
            cx.bookmarks.push(at);
            cx.toast("bookmarked");
        }
        self.read(cx);
    }

    fn leave_filter(&mut self) {
        self.filter = None;
        self.typing = false;
        let here = self.shown.get(self.cursor).copied();
        self.arrange();
        self.cursor = here.and_then(|i| self.shown.iter().position(|&s| s == i)).unwrap_or(0);
    }

    /// While it is asked whether to forget a place.
    fn answer(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let Some((line, yes)) = &mut self.asked else { return Flow::Done };
        match action {
            Action::NextPane | Action::PrevPane => *yes = !*yes,
            Action::Yes => {
                let line = line.clone();
                self.asked = None;
                self.forget(&line, cx);
            }
            Action::Enter if *yes => {
                let line = line.clone();
                self.asked = None;
                self.forget(&line, cx);
            }
            Action::No | Action::Back | Action::Enter => self.asked = None,
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    /// Moves the cursor; `false` for what is no movement.
    fn go(&mut self, action: Action) -> bool {
        let half = (self.height / 2).max(1);
        let to = moved(self.cursor, action, self.shown.len(), half, half);
        self.cursor = to.unwrap_or(self.cursor);
        to.is_some()
    }
}

/// A place made of an address that is no place yet.
fn as_place(at: &Location) -> Place {
    let plain = Location::new(at.scheme(), None, at.bucket(), at.key()).to_string();
    let open = at.profile().and_then(Place::built_in);
    let profile = at.profile().filter(|_| open.is_none() && at.scheme() == Scheme::S3).map(str::to_owned);
    let account = at.profile().filter(|_| at.scheme() == Scheme::Az).map(str::to_owned);
    Place { address: Some(plain), profile, account, is_table: true, ..open.unwrap_or_default() }
}

/// Whether a place may be written to; `None` for what is never written to.
fn lock_of(at: &Location, cx: &Cx) -> Option<bool> {
    let never = matches!(at.scheme(), Scheme::Http | Scheme::Https);
    let open = at.profile().is_some_and(|p| Place::built_in(p).is_some() && !cx.config.places.contains_key(p));
    (!never && !open).then(|| cx.is_writable(at.store()))
}

impl Screen for Places {
    fn contexts(&self) -> &'static [&'static str] {
        match (&self.asked, self.typing) {
            (Some(_), _) => &["confirm"],
            (None, true) => &["prompt"],
            (None, false) => &["places", "list", "global"],
        }
    }

    fn title(&self) -> String {
        "places".into()
    }

    fn wants_text(&self) -> bool {
        self.typing
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if self.asked.is_some() {
            return self.answer(action, cx);
        }
        if self.go(action) {
            self.sheet = false;
            return Flow::Done;
        }
        match action {
            Action::Enter if self.typing => self.typing = false,
            Action::Enter | Action::Right => return self.enter(cx),
            Action::Back if self.sheet => self.sheet = false,
            Action::Back if self.filter.is_some() => self.leave_filter(),
            Action::Filter => {
                self.filter.get_or_insert_default();
                self.typing = true;
            }
            Action::Refresh => self.read(cx),
            Action::AddPlace => return Flow::Open(Open::PlaceTemplates),
            Action::EditPlace => return self.edit_place(cx),
            Action::RemovePlace => return self.ask_to_forget(cx),
            Action::CheckPlace => self.start_check(cx),
            Action::ReadOnly => self.switch_lock(cx),
            Action::Bookmark => self.bookmark(cx),
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn edit(&mut self, edit: &Edit, _cx: &mut Cx) -> Flow {
        if let Some(filter) = &mut self.filter
            && filter.apply(edit)
        {
            self.cursor = 0;
            self.arrange();
        }
        Flow::Done
    }

    fn poll(&mut self, cx: &mut Cx) {
        self.checks.values_mut().for_each(Check::poll);
        if Arc::ptr_eq(&self.config, &cx.config) {
            return;
        }
        // A form has saved: the cursor goes to what is new, and it is checked at once.
        let before = self.config.clone();
        self.filter = None;
        self.typing = false;
        self.read(cx);
        let is_new = |line: &Line| {
            line.group == Group::Places && before.places.get(&line.name) != cx.config.places.get(&line.name)
        };
        if let Some(at) = self.shown.iter().position(|&i| is_new(&self.lines[i])) {
            self.cursor = at;
        }
        // Where nothing differs, the keys do.
        if self.here().is_some_and(|line| line.group == Group::Places) {
            self.start_check(cx);
        }
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.checks.values().any(Check::runs)
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        self.render(frame, area, cx);
    }
}
