//! A raster, or any other plane of values, full screen: zoomed, moved, coloured, looked into, compared.
//!
//! ```text
//!  dem.tif  COG 3600×3600 f32 EPSG:4326 deflate      1 : 16  overview 4 of 5   6 requests · 812.4 KiB
//!  ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄│ band 1 ────────────────────────────
//!  ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄┼▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄│ ▁▂▅▇█▆▃▂▁
//!  ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄│ ██████████████████████ viridis
//!  ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄│ 12      200       400     612 m
//!  time ├──────────●───────────────┤ 12 of 365  2024-01-12
//!  column 1,234  row 567   60.5123°N 24.1234°E   412.25 m
//!  +- zoom  a all of it  Enter cursor  c colours  s stretch  b bands  e tables  ? help
//! ```

mod act;
mod bands;
mod compare;
mod compose;
mod count;
mod draw;
mod layer;
mod locate;
mod parts;
mod pieces;
mod play;
mod prompt;
mod sheet;
mod side;
mod spot;
mod status;
mod view;
mod warp;

use crate::action::Action;
use crate::error::Error;
use crate::location::Location;
use crate::map::World;
use crate::preview::Probe;
use crate::scene::{self, Rest, Scene};
use crate::screen::{Cx, Flow, Screen};
use crate::task::{Control, Pending, poll_slot};
use crate::widgets::input::Edit;
use compare::Compare;
use layer::{Ink, Layer, Stops};
use ratatui::Frame;
use ratatui::layout::Rect;
use spot::Spot;
use std::sync::Arc;
use view::View;

/// Bytes that one read may cost.
const MOST_BYTES: u64 = 256 << 20;

/// The screen.
pub(super) struct RasterScreen {
    /// Where it lies, for opening it again and for what can be done with files.
    probe: Option<Probe>,
    name: String,
    /// Counts what is read, and ends it with the screen.
    control: Stops,
    opening: Option<Pending<Arc<dyn Scene>>>,
    layer: Option<Layer>,
    compare: Compare,
    ink: Ink,
    view: Option<View>,
    /// Whether all is shown, and has to be when the screen's size changes.
    is_fitted: bool,
    /// Dots of the place for the picture, and whether a cell has two of them.
    dots: (u32, u32),
    /// Pixel coordinates of the cursor, in the middle of a pixel; kept while it is put away.
    cursor: [f64; 2],
    has_cursor: bool,
    spot: Spot,
    shows: Shows,
    has_side: bool,
    over: Option<Over>,
    /// The axis that the keys step along.
    axis: usize,
    play: play::Play,
    count: count::Count,
    /// What was left for after the first picture.
    rest: Option<Pending<Rest>>,
    world: Option<Arc<World>>,
    loading_world: Option<Pending<Arc<World>>>,
    error: Option<Error>,
}

/// What takes the place of the picture.
#[derive(Default)]
enum Shows {
    #[default]
    Picture,
    /// Tables about it.
    Sheets(sheet::Sheets),
    /// Where on earth it lies.
    World,
}

/// What lies over the picture and has the keys.
enum Over {
    Bands(bands::Bands),
    Parts(parts::Parts),
    Prompt(prompt::Prompt),
}

impl RasterScreen {
    /// For a file, which is opened.
    pub(super) fn open(probe: Probe, cx: &Cx) -> Self {
        let mut screen = Self::new(probe.location.name().to_owned(), &Control::new(cx.stores.meter().child()));
        screen.probe = Some(probe);
        screen.read(cx);
        screen
    }

    /// For a scene that is open already; `control` counts what reading it costs.
    pub(super) fn of_scene(scene: Arc<dyn Scene>, control: Option<Control>, cx: &Cx) -> Self {
        let control = control.unwrap_or_else(|| Control::new(cx.stores.meter().child()));
        let mut screen = Self::new(scene.about().title.clone(), &control);
        screen.probe = scene.about().location.clone().map(Probe::new);
        screen.take_scene(scene, cx);
        screen
    }

    fn new(name: String, control: &Control) -> Self {
        Self {
            probe: None,
            name,
            control: Stops(control.beneath()),
            opening: None,
            layer: None,
            compare: Compare::default(),
            ink: Ink::default(),
            view: None,
            is_fitted: true,
            dots: (0, 0),
            cursor: [0.0; 2],
            has_cursor: false,
            spot: Spot::default(),
            shows: Shows::default(),
            has_side: true,
            over: None,
            axis: 0,
            play: play::Play::default(),
            count: count::Count::default(),
            rest: None,
            world: None,
            loading_world: None,
            error: None,
        }
    }

    /// Opens it, again.
    fn read(&mut self, cx: &Cx) {
        let Some(probe) = &self.probe else { return };
        let (stores, location, control) = (cx.stores.clone(), probe.location.clone(), self.control.0.clone());
        self.error = None;
        self.opening =
            Some(Pending::spawn(&cx.waker, async move { scene::open(&stores, &location, &control, MOST_BYTES).await }));
    }

    fn take_scene(&mut self, scene: Arc<dyn Scene>, cx: &Cx) {
        let about = scene.about();
        self.name.clone_from(&about.title);
        self.axis = about.axes.len().saturating_sub(1);
        let middle = |n: u64| (n / 2) as f64 + 0.5;
        self.cursor = [middle(about.size.0), middle(about.size.1)];
        self.rest = None;
        self.load_world(about, cx);
        self.layer = Some(Layer::new(scene));
        self.view = None;
        self.is_fitted = true;
        self.arrange();
    }

    fn load_world(&mut self, about: &scene::About, cx: &Cx) {
        if !about.outline.is_empty() && self.world.is_none() && self.loading_world.is_none() {
            let control = self.control.0.clone();
            self.loading_world =
                Some(Pending::spawn(&cx.waker, async move { control.blocking(|_| Ok(Arc::new(World::load()))).await }));
        }
    }

    /// Asks for what was left until the first picture is there.
    fn ask_rest(&mut self, cx: &Cx) {
        let asks = self.rest.is_none();
        if let Some(layer) = self.layer.as_ref().filter(|layer| asks && layer.wants_rest && layer.has_picture()) {
            let rest = layer.scene.rest(&self.control.0);
            self.rest = rest.map(|rest| Pending::spawn(&cx.waker, rest));
        }
    }

    /// Takes a scene of which more is known than before.
    fn take_rest(&mut self, rest: Rest, cx: &Cx) {
        let about = rest.scene.about();
        self.load_world(about, cx);
        if let Some(view) = &mut self.view {
            view.aspect = if about.aspect > 0.0 { about.aspect } else { 1.0 };
        }
        if let Some(layer) = &mut self.layer {
            layer.know_more(rest);
        }
        self.spot.forget();
        self.arrange();
    }

    /// Where it lies, as far as it lies in a file.
    fn location(&self) -> Option<Location> {
        self.probe.as_ref().map(|probe| probe.location.clone())
    }

    /// Fits the view to the dots there are.
    fn arrange(&mut self) {
        let Some(layer) = &self.layer else { return };
        if self.dots.0 == 0 || self.dots.1 == 0 {
            return;
        }
        let about = layer.scene.about();
        match self.view {
            Some(view) if !self.is_fitted => {
                if view.dots != self.dots {
                    self.view = Some(view.resized(self.dots));
                }
            }
            _ => self.view = Some(View::fit(about.size, about.aspect, self.dots)),
        }
    }

    /// Takes in how many dots there are for a picture. Called when drawing: what has to be read for them is read
    /// when the loop comes round.
    fn take_dots(&mut self, dots: (u32, u32), cx: &Cx) {
        if self.dots != dots {
            self.dots = dots;
            self.arrange();
            cx.waker.wake();
        }
    }

    /// The dot under the cursor, for terminals that show pictures: there the cursor is a part of it.
    fn cross(&self, cx: &Cx) -> Option<[f64; 2]> {
        let view = self.view.filter(|_| self.has_cursor && !draw::is_of_characters(cx))?;
        Some(view.dot(self.cursor).map(f64::floor))
    }

    /// Reads and draws what is missing.
    fn advance(&mut self, cx: &Cx) {
        let Some(view) = self.view else { return };
        let cross = self.cross(cx);
        let Some(layer) = &mut self.layer else { return };
        layer.advance(&view, self.ink, cross, &self.control.0, cx);
        self.compare.advance(&view, self.ink, layer, cross, &self.control.0, cx);
        self.spot.advance(self.has_cursor.then_some(self.cursor), layer, &self.control.0, cx);
    }

    /// Whether anything is under way.
    fn is_busy(&self) -> bool {
        let reads = self.layer.as_ref().is_some_and(Layer::is_busy);
        self.opening.is_some() || reads || self.compare.is_busy()
    }
}

impl Screen for RasterScreen {
    fn contexts(&self) -> &'static [&'static str] {
        match (&self.over, &self.shows) {
            (Some(Over::Prompt(_)), _) => &["prompt"],
            (Some(Over::Bands(_)), _) => &["bands", "list", "global"],
            (Some(Over::Parts(_)), _) => &["list", "global"],
            (None, Shows::Sheets(_)) => &["sheets", "list", "global"],
            (None, _) => &["raster", "global"],
        }
    }

    fn title(&self) -> String {
        self.name.clone()
    }

    fn wants_text(&self) -> bool {
        matches!(self.over, Some(Over::Prompt(_)))
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.is_busy() || self.play.is_on() || self.count.is_running() || self.spot.is_busy()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        self.act(action, 1, cx)
    }

    fn update_counted(&mut self, action: Action, count: usize, cx: &mut Cx) -> Flow {
        self.act(action, count.min(100_000), cx)
    }

    fn edit(&mut self, edit: &Edit, _cx: &mut Cx) -> Flow {
        match &mut self.over {
            Some(Over::Prompt(prompt)) => {
                prompt.edit(edit);
                Flow::Done
            }
            _ => Flow::Ignored,
        }
    }

    fn wheel(&mut self, _pane: Option<usize>, by: isize, cx: &mut Cx) -> Flow {
        let action = if by < 0 { Action::ZoomIn } else { Action::ZoomOut };
        self.act(action, 1, cx)
    }

    fn poll(&mut self, cx: &mut Cx) {
        match poll_slot(&mut self.opening) {
            Some(Ok(scene)) => self.take_scene(scene, cx),
            // What is there stays in sight.
            Some(Err(err)) if self.layer.is_some() => cx.fail(&err),
            Some(Err(err)) => self.error = Some(err),
            None => {}
        }
        if let Some(Ok(world)) = poll_slot(&mut self.loading_world) {
            self.world = Some(world);
        }
        if let Some(layer) = &mut self.layer {
            layer.poll();
        }
        match poll_slot(&mut self.rest) {
            Some(Ok(rest)) => self.take_rest(rest, cx),
            // Coordinates that cannot be read are no reason to show nothing, and not asked for again.
            Some(Err(_)) => {
                if let Some(layer) = &mut self.layer {
                    layer.wants_rest = false;
                }
            }
            None => {}
        }
        self.ask_rest(cx);
        if let Some(err) = self.compare.poll(self.layer.as_ref()) {
            cx.fail(&err);
        }
        self.spot.poll();
        self.count.poll(cx);
        self.step_by_itself();
        self.advance(cx);
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        draw::draw(self, frame, area, cx);
    }
}
