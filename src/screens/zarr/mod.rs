//! A Zarr full screen: groups and arrays as a tree, what is known of the one under the cursor beside it.
//! From here arrays become pictures, plots and chunk maps.
//!
//! ```text
//!  climate.zarr   Zarr v3 · 5 arrays · consolidated                             3 requests · 12.3 KiB
//!   ▾ ocean/                           │ tas
//!     ▪ salinity   365×180×360 f32     │ Air temperature in K
//!   ▪ tas          365×180×360 i16     │
//!   ▪ time         365 i64             │ Shape       365×180×360
//!   ▪ lat          180 f64             │ Chunks      1×180×360
//!                                      │ time        2000-01-01 … 2000-12-31
//!  Enter picture  p plot  c chunks  x other dimensions  e files  y copy
//! ```

mod chunks;
mod curve;
mod detail;
mod draw;
mod plot;
mod tree;

use crate::action::Action;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::screen::{Cx, Flow, Open, Screen};
use crate::task::{Control, Pending, poll_slot};
use crate::zarr::{self, Choice, Form, Path, Plane, Zarr};
use detail::Detail;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tree::Tree;

pub(super) use chunks::ChunkMap;
pub(super) use plot::Plot;

/// Bytes of one metadata document at most.
const MOST_METADATA: u64 = 64 << 20;
/// The cursor rests so long before coordinates are read.
const REST: Duration = Duration::from_millis(150);
/// Names that are listed of an array of text.
const NAMES: u64 = 2_000;

/// Told to stop with its screen.
struct Stops(Control);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The screen.
pub(super) struct ZarrScreen {
    location: Location,
    /// Where the cursor is first.
    start_at: Path,
    control: Stops,
    opening: Option<Pending<(Zarr, Location, Path)>>,
    zarr: Option<Zarr>,
    tree: Tree,
    /// What is known of members that the cursor was on.
    details: HashMap<Path, Result<Arc<Detail>>>,
    reading: Option<(Path, Pending<Detail>)>,
    /// Which dimensions are seen, where others than the natural ones were chosen.
    choices: HashMap<Path, Choice>,
    picture: Option<Pending<Plane>>,
    names: Option<Pending<Vec<String>>>,
    to_open: Option<Open>,
    error: Option<Error>,
    /// First line of the details, and whether the keys scroll them.
    scroll: usize,
    in_details: bool,
    height: usize,
}

impl ZarrScreen {
    pub(super) fn open(location: &Location, cx: &Cx) -> Self {
        let mut screen = Self {
            location: location.clone(),
            start_at: Path::new(),
            control: Stops(Control::new(cx.stores.meter().child())),
            opening: None,
            zarr: None,
            tree: Tree::default(),
            details: HashMap::new(),
            reading: None,
            choices: HashMap::new(),
            picture: None,
            names: None,
            to_open: None,
            error: None,
            scroll: 0,
            in_details: false,
            height: 20,
        };
        screen.start(cx);
        screen
    }

    fn start(&mut self, cx: &Cx) {
        let (stores, control) = (cx.stores.clone(), self.control.0.clone());
        let location = self.location.clone();
        self.error = None;
        // Of a member the whole is opened: it has the coordinates.
        let open = async move { Zarr::find(&stores, &location, &control, MOST_METADATA).await };
        self.opening = Some(Pending::spawn(&cx.waker, open));
    }

    /// The array under the cursor.
    fn array(&self) -> Option<(Path, &zarr::About)> {
        let path = self.tree.path()?;
        let (_, about) = self.zarr.as_ref()?.hierarchy().array(&path)?;
        Some((path, about))
    }

    fn take_zarr(&mut self, result: Result<(Zarr, Location, Path)>) {
        match result {
            Ok((zarr, root, path)) => {
                // Opened again, it stays where it is.
                if self.location != root {
                    (self.location, self.start_at) = (root, path);
                }
                self.tree = Tree::of(zarr.hierarchy());
                self.tree.go_to(&self.start_at);
                self.zarr = Some(zarr);
            }
            Err(err) => self.error = Some(err),
        }
    }

    /// Has what is under the cursor read, if it is not known.
    fn look(&mut self, cx: &Cx) {
        let Some((path, _)) = self.array() else {
            self.reading = None;
            return;
        };
        let under_way = self.reading.as_ref().is_some_and(|(at, _)| *at == path);
        if under_way || self.details.contains_key(&path) {
            return;
        }
        let (Some(zarr), control) = (self.zarr.clone(), self.control.0.clone()) else { return };
        let at = path.clone();
        self.reading = Some((
            path,
            Pending::spawn(&cx.waker, async move {
                tokio::time::sleep(REST).await;
                Detail::read(&zarr, &at, &control).await
            }),
        ));
    }

    /// The dimensions that a picture shows.
    fn choice(&self, path: &Path) -> Option<Choice> {
        let chosen = self.choices.get(path).copied();
        chosen.or_else(|| self.details.get(path)?.as_ref().ok()?.choice)
    }

    fn enter(&mut self, cx: &mut Cx) -> Flow {
        let Some(path) = self.tree.path() else { return Flow::Done };
        let Some(zarr) = self.zarr.clone() else { return Flow::Done };
        let Some((_, about)) = zarr.hierarchy().array(&path) else {
            self.tree.toggle();
            return Flow::Done;
        };
        if !about.is_number() {
            return self.open_names(&zarr, &path, cx);
        }
        match about.shape.len() {
            0 => cx.toast("it holds one value, which stands beside the tree"),
            1 => return Flow::Open(Open::Plot { zarr, path }),
            _ => {
                let (control, choice) = (self.control.0.beneath(), self.choices.get(&path).copied());
                self.picture =
                    Some(Pending::spawn(&cx.waker, async move { Plane::open(&zarr, &path, choice, &control).await }));
            }
        }
        Flow::Done
    }

    fn open_names(&mut self, zarr: &Zarr, path: &Path, cx: &mut Cx) -> Flow {
        let array = match zarr.array(path) {
            Ok(array) if array.is_text() && array.about().shape.len() == 1 => array,
            Ok(_) => {
                cx.toast("its values are no numbers: there is no picture of them");
                return Flow::Done;
            }
            Err(err) => {
                cx.fail(&err);
                return Flow::Done;
            }
        };
        let control = self.control.0.clone();
        self.names = Some(Pending::spawn(&cx.waker, async move { array.read_text(&control, NAMES).await }));
        Flow::Done
    }

    /// The next pair of dimensions for a picture, or the same turned round.
    fn choose(&mut self, turn: bool, cx: &mut Cx) {
        let Some((path, about)) = self.array() else { return };
        let n = about.shape.len();
        if n < 2 {
            return cx.toast("a picture needs two dimensions");
        }
        let now = self.choice(&path).unwrap_or(Choice { y: n - 2, x: n - 1 });
        let next = if turn {
            Choice { y: now.x, x: now.y }
        } else {
            let pairs: Vec<(usize, usize)> = (0..n).flat_map(|y| (y + 1..n).map(move |x| (y, x))).collect();
            let (low, high) = (now.y.min(now.x), now.y.max(now.x));
            let at = pairs.iter().position(|pair| *pair == (low, high)).unwrap_or(0);
            let (y, x) = pairs[(at + 1) % pairs.len()];
            if now.y < now.x { Choice { y, x } } else { Choice { y: x, x: y } }
        };
        self.choices.insert(path, next);
    }

    /// Opens something of the array under the cursor.
    fn open_array(&self, what: fn(Zarr, Path) -> Open, cx: &mut Cx) -> Flow {
        if let (Some(zarr), Some((path, _))) = (self.zarr.clone(), self.array()) {
            return Flow::Open(what(zarr, path));
        }
        cx.toast("put the cursor on an array");
        Flow::Done
    }

    fn plot(&self, cx: &mut Cx) -> Flow {
        match self.array() {
            Some((_, about)) if about.is_number() && !about.shape.is_empty() => {
                self.open_array(|zarr, path| Open::Plot { zarr, path }, cx)
            }
            Some(_) => {
                cx.toast("there is no plot of this: it needs numbers along a dimension");
                Flow::Done
            }
            None => self.open_array(|zarr, path| Open::Plot { zarr, path }, cx),
        }
    }

    fn scroll(&mut self, action: Action) -> bool {
        let page = self.height.max(2) - 1;
        let to = match action {
            Action::Up => self.scroll.saturating_sub(1),
            Action::Down => self.scroll + 1,
            Action::HalfUp => self.scroll.saturating_sub(page / 2),
            Action::HalfDown => self.scroll + page / 2,
            Action::PageUp => self.scroll.saturating_sub(page),
            Action::PageDown => self.scroll + page,
            Action::Top => 0,
            Action::Bottom => usize::MAX / 2,
            Action::Left | Action::Back => {
                self.in_details = false;
                return true;
            }
            _ => return false,
        };
        // Drawing keeps it within the lines that there are.
        self.scroll = to;
        true
    }

    /// Whether the address is that of a folder, whose files can be listed.
    fn folder(&self) -> Option<Location> {
        let zarr = self.zarr.as_ref()?;
        zarr.source().member(&[])
    }
}

impl Screen for ZarrScreen {
    fn contexts(&self) -> &'static [&'static str] {
        &["zarr", "list", "global"]
    }

    fn title(&self) -> String {
        self.location.name().trim_end_matches('/').to_owned()
    }

    fn here(&self) -> Option<Location> {
        self.folder()
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.opening.is_some() || self.reading.is_some() || self.picture.is_some() || self.names.is_some()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if self.in_details && self.scroll(action) {
            return Flow::Done;
        }
        let before = self.tree.path();
        let page = self.height.max(2) as isize - 1;
        match action {
            Action::Up => self.tree.step(-1),
            Action::Down => self.tree.step(1),
            Action::HalfUp => self.tree.step(-page / 2),
            Action::HalfDown => self.tree.step(page / 2),
            Action::PageUp => self.tree.step(-page),
            Action::PageDown => self.tree.step(page),
            Action::Top => self.tree.step(isize::MIN),
            Action::Bottom => self.tree.step(isize::MAX),
            Action::Left => self.tree.fold(),
            Action::Right if self.tree.unfold() => {}
            Action::Right | Action::Enter => return self.enter(cx),
            Action::NextPane | Action::PrevPane => self.in_details = !self.in_details,
            Action::Plot => return self.plot(cx),
            Action::ChunkMap => return self.open_array(|zarr, path| Open::ChunkMap { zarr, path }, cx),
            Action::PlaneNext | Action::PlaneTurn => self.choose(action == Action::PlaneTurn, cx),
            Action::ViewNext => match self.folder() {
                Some(folder) => return Flow::Replace(Open::Browse(folder)),
                None => cx.toast("it is one file: there is no folder to list"),
            },
            Action::Refresh => {
                self.details.clear();
                self.reading = None;
                self.start(cx);
            }
            Action::Yank => {
                let path = self.tree.path().unwrap_or_default();
                let at = self.zarr.as_ref().and_then(|zarr| zarr.source().member(&path));
                let locations = vec![at.unwrap_or_else(|| self.location.clone())];
                return Flow::Open(Open::CopyMenu { locations, media_type: None });
            }
            Action::Leave | Action::Back => return Flow::Close,
            _ => return Flow::Ignored,
        }
        if self.tree.path() != before {
            self.scroll = 0;
        }
        self.look(cx);
        Flow::Done
    }

    fn update_counted(&mut self, action: Action, count: usize, cx: &mut Cx) -> Flow {
        match action {
            Action::Up => self.tree.step(-(count as isize)),
            Action::Down => self.tree.step(count as isize),
            _ => return Flow::Ignored,
        }
        self.scroll = 0;
        self.look(cx);
        Flow::Done
    }

    fn poll(&mut self, cx: &mut Cx) {
        if let Some(result) = poll_slot(&mut self.opening) {
            self.take_zarr(result);
        }
        if let Some((path, pending)) = &mut self.reading
            && let Some(result) = pending.take()
        {
            self.details.insert(path.clone(), result.map(Arc::new));
            self.reading = None;
        }
        match poll_slot(&mut self.picture) {
            Some(Ok(plane)) => {
                // The picture is told to stop when it is left, which is no end for what is below it.
                let control = Some(Control::new(self.control.0.meter.clone()));
                self.to_open = Some(Open::Scene { scene: Arc::new(plane), control });
            }
            Some(Err(err)) => cx.fail(&err),
            None => {}
        }
        match poll_slot(&mut self.names) {
            Some(Ok(names)) => {
                // An array that is the whole store has no path in it.
                let path = self.tree.path().unwrap_or_default().join("/");
                let title = if path.is_empty() { self.title() } else { path };
                let lines = names.iter().enumerate().map(|(at, name)| format!("{at:>6}  {name}")).collect();
                self.to_open = Some(Open::Message { title, lines });
            }
            Some(Err(err)) => cx.fail(&err),
            None => {}
        }
        self.look(cx);
    }

    fn take_open(&mut self) -> Option<Open> {
        self.to_open.take()
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        draw::draw(self, frame, area, cx);
    }
}

/// What a member is, as its mark.
fn mark(form: &Form, unicode: bool) -> &'static str {
    match (form, unicode) {
        (Form::Array(about), true) if about.shape.len() > 1 => "▦ ",
        (Form::Array(about), true) if about.shape.len() == 1 => "╌ ",
        (Form::Array(_), true) => "∙ ",
        (Form::Array(_), false) => "- ",
        (Form::Broken(_), true) => "✗ ",
        (Form::Broken(_), false) => "! ",
        (Form::Group, _) => "",
    }
}
