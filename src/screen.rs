//! What is on the screen: the contract of a [`Screen`], and what every screen is given in [`Cx`].
//! The table of them is [`crate::screens`].

use crate::action::Action;
use crate::basket::Basket;
use crate::config::{Config, Folders, Place};
use crate::demo::{self, Demo};
use crate::du::Sizes;
use crate::error::{Error, Kind, Result};
use crate::job::{JobId, Jobs};
use crate::keymap::{Key, Keymap};
use crate::location::{Location, Scheme, StoreId};
use crate::preview::Probe;
use crate::scene::Scene;
use crate::store::Stores;
use crate::table::Rows;
use crate::task::{Control, Waker};
use crate::terminal::Gallery;
use crate::theme::Theme;
use crate::transfer::{AbortSpec, Target as Doomed};
use crate::widgets::input::Edit;
use crate::zarr::{self, Zarr};
use futures::StreamExt as _;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

mod hits;
pub(crate) mod popup;

pub use hits::{Hits, Target};

/// What every screen is given: shared things to read and to start work with.
#[expect(clippy::struct_excessive_bools, reason = "they have nothing to do with each other")]
pub struct Cx {
    /// The data plane.
    pub stores: Stores,
    /// The job engine.
    pub jobs: Jobs,
    /// The configuration.
    pub config: Arc<Config>,
    /// Where things are kept.
    pub folders: Folders,
    /// Keys, for hints and help.
    pub keymap: Arc<Keymap>,
    /// Colours.
    pub theme: Arc<Theme>,
    /// Wakes the loop when background work has something.
    pub waker: Waker,
    /// Messages that show for some seconds, newest last.
    pub toasts: Vec<Toast>,
    /// The command line that does what was done last, without the program's name.
    pub last_command: Option<Vec<String>>,
    /// Places visited in this and earlier sessions, newest first.
    pub recents: Vec<Location>,
    /// Places to come back to.
    pub bookmarks: Vec<Location>,
    /// Stores that the user has allowed to write to in this session
    /// (for what a place itself allows, see [`Cx::is_writable`]).
    pub writable: BTreeSet<StoreId>,
    /// What is selected, in all folders and tabs.
    pub basket: Basket,
    /// Sizes of prefixes: what was counted, and what is being counted.
    pub sizes: Sizes,
    /// Whether the terminal is to report the mouse.
    pub mouse: bool,
    /// Where things that can be clicked were drawn.
    pub hits: Hits,
    /// Stores that the user has locked in this session, although their place may be written to.
    pub locked: BTreeSet<StoreId>,
    /// The embedded demo, once it was opened.
    pub demo: Option<Demo>,
    /// Text to be put on the clipboard by the loop.
    pub clipboard: Option<String>,
    /// Whether the terminal is known to take it; else the text is shown as well.
    pub clipboard_works: bool,
    /// The user has agreed to leave although jobs run.
    pub confirmed_quit: bool,
    /// Where pictures are put while a frame is drawn.
    pub gallery: Gallery,
    /// Whether the terminal shows more than ASCII.
    pub unicode: bool,
}

/// A message that shows for some seconds.
#[derive(Clone, Debug)]
pub struct Toast {
    /// One or two sentences.
    pub text: String,
    /// Whether something went wrong.
    pub bad: bool,
    /// When it appeared.
    pub since: Instant,
}

impl Cx {
    /// Starts the embedded demo, if it does not run yet; gives its bucket. The loop is woken whenever
    /// there are more samples.
    pub fn open_demo(&mut self) -> Result<Location> {
        if let Some(demo) = &self.demo {
            return Ok(demo.location());
        }
        let demo = demo::start(None)?;
        self.stores.give(demo::PROFILE, demo.given());
        self.writable.insert(demo.location().store().clone());
        let (changes, waker) = (demo.changes(), self.waker.clone());
        tokio::spawn(changes.for_each(move |()| {
            waker.wake();
            std::future::ready(())
        }));
        let location = demo.location();
        self.demo = Some(demo);
        Ok(location)
    }

    /// Whether a store may be written to from the screen: the program's start goes before the session's
    /// switch, of the bucket and then of its whole place, and that before what the place itself says.
    /// Commands know the first and the last alone.
    pub fn is_writable(&self, id: &StoreId) -> bool {
        if self.stores.options().read_only {
            return false;
        }
        let account = account_of(id);
        for id in [id, &account] {
            if self.locked.contains(id) {
                return false;
            }
            if self.writable.contains(id) {
                return true;
            }
        }
        self.stores.lock(id) == Some(false)
    }

    /// Allows or forbids writing to a store for this session. An id without a bucket stands for all of
    /// its place.
    pub fn set_writable(&mut self, id: &StoreId, on: bool) {
        if id.authority.is_empty() {
            let whole = |other: &StoreId| account_of(other) != *id;
            self.writable.retain(whole);
            self.locked.retain(whole);
        }
        let (to, from) =
            if on { (&mut self.writable, &mut self.locked) } else { (&mut self.locked, &mut self.writable) };
        from.remove(id);
        to.insert(id.clone());
        self.stores.unlock(id, on);
    }

    /// Starts a job again that has ended, or resumes it, where this session may write to where it writes. Files of
    /// this computer are the user's own; what is guarded are the places.
    pub fn resume(&mut self, id: &str) -> Result<JobId> {
        let places = self.jobs.writes(id)?;
        let locked = places.iter().find(|at| at.scheme() != Scheme::File && !self.is_writable(at.store()));
        if let Some(at) = locked {
            let refused = Error::new(Kind::Denied, format!("{at} is read-only here, and the job writes to it"));
            return Err(refused.with_hint(if self.stores.options().read_only {
                "start secchi without --read-only".to_owned()
            } else {
                let key = self.keymap.label(&["browse", "global"], Action::ReadOnly);
                format!("open it and press {key} to allow writing")
            }));
        }
        self.jobs.retry(id)
    }

    /// A configuration that was edited: its places are known from now on.
    pub fn set_config(&mut self, config: Config) {
        self.stores.set_places(config.places.clone());
        self.config = Arc::new(config);
    }

    /// Shows a message.
    pub fn toast(&mut self, text: impl Into<String>) {
        self.toasts.push(Toast { text: text.into(), bad: false, since: Instant::now() });
    }

    /// Shows an error: what failed, why, and what to do.
    pub fn fail(&mut self, error: &Error) {
        let hint = error.hint().map(|h| format!(" — {h}")).unwrap_or_default();
        self.toasts.push(Toast { text: format!("{error}{hint}"), bad: true, since: Instant::now() });
    }
}

/// The account that a bucket belongs to.
fn account_of(id: &StoreId) -> StoreId {
    StoreId { authority: String::new(), ..id.clone() }
}

/// What a form for a place begins with.
#[derive(Clone, Debug, Default)]
pub struct PlaceDraft {
    /// Its name in the configuration, where it stands there already.
    pub former: Option<String>,
    /// The name proposed.
    pub name: String,
    /// As far as it is known.
    pub place: Place,
    /// What a user must have, and where it is got.
    pub needs: String,
}

/// What became of an action.
pub enum Flow {
    /// It was done.
    Done,
    /// It means nothing here: the app may act on it.
    Ignored,
    /// Open this on top.
    Open(Open),
    /// Close this screen and open that in its place.
    Replace(Open),
    /// Close this screen.
    Close,
    /// Leave the program, asking first when jobs run.
    Quit,
}

/// What is about to go, and has to be confirmed.
pub enum Doom {
    /// Objects, prefixes, folders.
    Delete(Vec<Doomed>),
    /// Unfinished uploads; so many of them a job may still go on with.
    Abort(AbortSpec, usize),
}

/// What can be opened. A new screen: a variant here, an arm in [`crate::screens::open`].
pub enum Open {
    /// The start screen.
    Places,
    /// A container.
    Browse(Location),
    /// One thing, full screen.
    Preview(Probe),
    /// A table, full screen.
    Table {
        /// The file.
        probe: Probe,
    },
    /// Rows that are open already, such as the result of a query.
    Rows {
        /// What they are.
        title: String,
        /// The rows.
        rows: Arc<dyn Rows>,
        /// Counts what reading them costs.
        control: Option<Control>,
    },
    /// The geometry of a table on a map.
    Map {
        /// The table.
        probe: Probe,
        /// It, where it is open already.
        rows: Option<Arc<dyn Rows>>,
    },
    /// A raster, full screen.
    Raster(Probe),
    /// Anything that is open already and whose values are drawn as a picture, full screen: a slice of an array.
    Scene {
        /// What is shown.
        scene: Arc<dyn Scene>,
        /// Counts what reading it costs.
        control: Option<Control>,
    },
    /// A Zarr: its groups and arrays.
    Zarr(Location),
    /// The values of an array along a dimension.
    Plot {
        /// What holds it.
        zarr: Zarr,
        /// Where in it.
        path: zarr::Path,
    },
    /// Which chunks of an array exist.
    ChunkMap {
        /// What holds it.
        zarr: Zarr,
        /// Where in it.
        path: zarr::Path,
    },
    /// What is known of an object, or of one version of it.
    Facts(Location),
    /// What is known of the bucket that this lies in.
    BucketFacts(Location),
    /// All versions below a prefix.
    Versions(Location),
    /// The jobs; the cursor on one of them.
    Jobs(Option<JobId>),
    /// The form for uploading to a container.
    UploadForm {
        /// Where to.
        destination: Location,
    },
    /// The form for copying or moving things.
    CopyForm {
        /// What: objects and containers.
        sources: Vec<Location>,
        /// Where they lie: the folder above is proposed.
        here: Location,
        /// What another tab shows, which is proposed first.
        other: Option<Location>,
        /// Whether they are moved.
        moves: bool,
    },
    /// The form for making one place like another.
    SyncForm {
        /// What is read.
        source: Location,
        /// What another tab shows, which is proposed.
        other: Option<Location>,
    },
    /// Uploads in parts below a prefix that nobody completed.
    Uploads(Location),
    /// The question before something goes for good.
    Sure(Doom),
    /// The form for downloading objects and prefixes.
    DownloadForm {
        /// What.
        sources: Vec<Location>,
    },
    /// Asking with SQL.
    Query {
        /// What is asked first: a file, or a folder of files.
        table: Option<Location>,
        /// What the line holds to begin with; without it, the first rows of the table are asked for.
        sql: Option<String>,
    },
    /// The form for writing a query's result.
    QueryForm {
        /// The query.
        sql: String,
    },
    /// The form for converting a thing.
    ConvertForm {
        /// What.
        source: Location,
    },
    /// The form for a benchmark.
    BenchForm {
        /// What is at hand: COG prefixes and Zarr arrays under the cursor or selected.
        candidates: Vec<Location>,
    },
    /// The dashboard of a benchmark that runs or has run.
    BenchDashboard(JobId),
    /// Keys of these contexts.
    Help(&'static [&'static str]),
    /// Commands of these contexts, by name. Its choice is delivered as an action to the screen below.
    Palette(&'static [&'static str]),
    /// What is selected, in all folders.
    Basket,
    /// A line of text with a title.
    Message {
        /// Above it.
        title: String,
        /// Lines.
        lines: Vec<String>,
    },
    /// A line to type an address into.
    GoTo,
    /// Text that was copied, without a frame, so that the mouse selects it clean.
    Plain {
        /// Above it.
        title: String,
        /// As it was copied.
        text: String,
    },
    /// Ways to copy one or several things.
    CopyMenu {
        /// What.
        locations: Vec<Location>,
        /// The media type of the one, where a catalog told.
        media_type: Option<String>,
    },
    /// The command lines that do what was done last, newest first, without the program's name.
    Commands(Vec<Vec<String>>),
    /// Other keys for the actions of these contexts.
    Keys(&'static [&'static str]),
    /// The colours.
    Themes,
    /// The log of requests.
    Log,
    /// Leave although jobs run?
    ConfirmQuit,
    /// What a job wants to know.
    Question {
        /// Which; else the one that has waited longest.
        job: Option<JobId>,
        /// Whether it opens without a key pressed for it.
        by_itself: bool,
    },
    /// Resume what was interrupted?
    Interrupted,
    /// Templates to add a place from.
    PlaceTemplates,
    /// The form for adding or editing a place.
    PlaceForm(Box<PlaceDraft>),
}

/// One full-screen view or popup. All methods run on the loop's task and never wait.
pub trait Screen {
    /// The key contexts, most particular first: `["browse", "list", "global"]`.
    fn contexts(&self) -> &'static [&'static str];

    /// A few words for the tab line: where it is.
    fn title(&self) -> String;

    /// The container it shows, for a new tab at the same place.
    fn here(&self) -> Option<Location> {
        None
    }

    /// The container under its cursor, for a new tab there.
    fn under(&self) -> Option<Location> {
        None
    }

    /// Whether it covers only a part: the screen below is drawn first.
    fn is_popup(&self) -> bool {
        false
    }

    /// Whether keys without an action are text for [`Screen::edit`].
    fn wants_text(&self) -> bool {
        false
    }

    /// Whether the next keys are taken as they are, before any meaning, by [`Screen::key`].
    fn wants_keys(&self) -> bool {
        false
    }

    /// Takes a key as it is, where it wants that.
    fn key(&mut self, _key: Key, _cx: &mut Cx) -> Flow {
        Flow::Ignored
    }

    /// Does what was asked.
    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow;

    /// Does what was asked, with a number typed before it: `120G`, `50%`. Ignored: the number means nothing.
    fn update_counted(&mut self, _action: Action, _count: usize, _cx: &mut Cx) -> Flow {
        Flow::Ignored
    }

    /// Something it drew was clicked: see [`Hits`].
    fn click(&mut self, _target: &Target, _cx: &mut Cx) -> Flow {
        Flow::Ignored
    }

    /// The wheel was turned by so many lines over one of its panes; `None`: beside them.
    fn wheel(&mut self, _pane: Option<usize>, by: isize, cx: &mut Cx) -> Flow {
        let action = if by < 0 { Action::Up } else { Action::Down };
        (0..by.unsigned_abs()).map(|_| self.update(action, cx)).last().unwrap_or(Flow::Done)
    }

    /// Takes typed or pasted text.
    fn edit(&mut self, _edit: &Edit, _cx: &mut Cx) -> Flow {
        Flow::Ignored
    }

    /// Pulls what background work has delivered.
    fn poll(&mut self, _cx: &mut Cx) {}

    /// Whether something moves, so that the loop ticks (five times a second).
    fn is_moving(&self, _cx: &Cx) -> bool {
        false
    }

    /// An action chosen in a popup that it opened, to be done after the popup has closed.
    fn take_choice(&mut self) -> Option<Action> {
        None
    }

    /// Whether its background work has ended what it was opened for: it is closed then.
    fn is_over(&self) -> bool {
        false
    }

    /// Something that its background work has found worth opening on top.
    fn take_open(&mut self) -> Option<Open> {
        None
    }

    /// Draws itself; starts nothing.
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx);
}
