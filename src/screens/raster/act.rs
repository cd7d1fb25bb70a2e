//! What keys do.

use super::compare::How;
use super::prompt::{Answer, Prompt};
use super::{Over, RasterScreen, Shows, bands, sheet};
use crate::action::Action;
use crate::location::Location;
use crate::raster::color::Stretch;
use crate::screen::{Cx, Flow, Open, Screen as _};
use crate::screens::popup;

/// By how much one key goes closer.
const CLOSER: f64 = 2.0;
/// The parts of the window by which it is moved: by a step, and by a large one.
const STEP: f64 = 0.1;
const LEAP: f64 = 0.5;
/// How many steps of the cursor a large one is.
const STRIDE: f64 = 10.0;

impl RasterScreen {
    pub(super) fn act(&mut self, action: Action, count: usize, cx: &mut Cx) -> Flow {
        let flow = match (&self.over, &self.shows) {
            (Some(Over::Prompt(_)), _) => self.act_prompt(action, cx),
            (Some(Over::Bands(_)), _) => self.act_bands(action),
            (Some(Over::Parts(_)), _) => self.act_parts(action, cx),
            (None, Shows::Sheets(_)) => self.act_sheets(action),
            (None, Shows::World) => self.act_world(action),
            (None, Shows::Picture) => self.act_picture(action, count as f64, cx),
        };
        self.advance(cx);
        flow
    }

    fn act_picture(&mut self, action: Action, count: f64, cx: &mut Cx) -> Flow {
        if self.layer.is_none() {
            return self.act_without(action, cx);
        }
        match action {
            Action::Left => self.go([-count, 0.0], false),
            Action::Right => self.go([count, 0.0], false),
            Action::Up => self.go([0.0, -count], false),
            Action::Down => self.go([0.0, count], false),
            Action::PanLeft => self.go([-count, 0.0], true),
            Action::PanRight => self.go([count, 0.0], true),
            Action::PanUp | Action::PageUp => self.go([0.0, -count], true),
            Action::PanDown | Action::PageDown => self.go([0.0, count], true),
            Action::ZoomIn => self.zoom(CLOSER.powf(count.min(60.0))),
            Action::ZoomOut => self.zoom(CLOSER.powf(-count.min(60.0))),
            Action::ZoomAll => self.fit(),
            Action::TrueSize => self.true_size(),
            Action::Cursor => self.toggle_cursor(),
            Action::Side => self.has_side = !self.has_side,
            Action::Map => self.show_world(cx),
            Action::ViewNext => self.shows = Shows::Sheets(sheet::Sheets::default()),
            Action::Leave => return Flow::Close,
            Action::Back => return self.back(),
            _ => return self.act_look(action, cx),
        }
        Flow::Done
    }

    /// How it is coloured, which bands, where on the axes.
    fn act_look(&mut self, action: Action, cx: &mut Cx) -> Flow {
        match action {
            Action::ColourNext | Action::ColourPrev => self.next_map(action == Action::ColourNext, cx),
            Action::Invert => {
                self.ink.inverted = !self.ink.inverted;
                self.say_single(cx);
            }
            Action::StretchNext => self.stretch(self.ink.stretch.next(true)),
            Action::StretchPrev => self.stretch(self.ink.stretch.next(false)),
            Action::StretchScope => {
                self.ink.visible = !self.ink.visible;
                self.thaw();
            }
            Action::StretchType => self.over = self.layer.as_ref().map(|layer| Over::Prompt(Prompt::range(layer))),
            Action::Bands => self.over = self.layer.as_ref().map(|layer| Over::Bands(bands::Bands::open(layer))),
            Action::Parts => self.open_parts(cx),
            Action::BandNext => self.next_band(1),
            Action::BandPrev => self.next_band(-1),
            Action::NextPane => self.next_axis(true),
            Action::PrevPane => self.next_axis(false),
            Action::StepBack => self.step_axis(-1, false),
            Action::StepForward => self.step_axis(1, false),
            Action::LeapBack => self.step_axis(-self.leap(), false),
            Action::LeapForward => self.step_axis(self.leap(), false),
            Action::Play => self.toggle_play(cx),
            _ => return self.act_file(action, cx),
        }
        Flow::Done
    }

    /// What is done with the whole of it.
    fn act_file(&mut self, action: Action, cx: &mut Cx) -> Flow {
        match action {
            Action::Statistics => {
                if let Some(layer) = &self.layer {
                    self.count.start(layer, &self.control.0, cx);
                }
            }
            Action::Cancel => {
                if self.count.stop() {
                    cx.toast("stopped counting");
                }
            }
            Action::Compare => self.compare_as(How::Beside, cx),
            Action::Flicker if self.compare.is_flicker() => self.compare.swap(),
            Action::Flicker => self.compare_as(How::Flicker { second: true }, cx),
            Action::Refresh => {
                self.spot.forget();
                if let Some(layer) = &mut self.layer {
                    layer.forget();
                }
                if let Some(layer) = &mut self.compare.layer {
                    layer.forget();
                }
            }
            Action::Yank if self.has_cursor => self.copy_place(cx),
            _ => return self.act_elsewhere(action, cx),
        }
        Flow::Done
    }

    /// What other screens do with the file.
    fn act_elsewhere(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let Some(location) = self.location() else {
            let is_meant = matches!(action, Action::Yank | Action::Facts | Action::Download | Action::Convert);
            if is_meant {
                cx.toast("this is no file of its own");
                return Flow::Done;
            }
            return Flow::Ignored;
        };
        match action {
            Action::Yank => {
                let media_type = self.probe.as_ref().and_then(|probe| probe.media_type.clone());
                Flow::Open(Open::CopyMenu { locations: vec![location], media_type })
            }
            Action::Facts => Flow::Open(Open::Facts(location)),
            Action::Download => Flow::Open(Open::DownloadForm { sources: vec![location] }),
            Action::Convert => Flow::Open(Open::ConvertForm { source: location }),
            _ => Flow::Ignored,
        }
    }

    /// Before there is a picture, or instead of one.
    fn act_without(&mut self, action: Action, cx: &mut Cx) -> Flow {
        match action {
            Action::Back | Action::Leave => Flow::Close,
            Action::Refresh => {
                self.read(cx);
                Flow::Done
            }
            // It is no raster after all: what else can be seen of it.
            Action::ViewNext | Action::Cursor if self.error.is_some() => {
                self.probe.clone().map_or(Flow::Close, |probe| Flow::Replace(Open::Preview(probe)))
            }
            _ => self.act_elsewhere(action, cx),
        }
    }

    fn act_world(&mut self, action: Action) -> Flow {
        match action {
            Action::Map | Action::Back | Action::Leave | Action::ViewNext => {
                self.shows = Shows::Picture;
                Flow::Done
            }
            _ => Flow::Ignored,
        }
    }

    fn act_sheets(&mut self, action: Action) -> Flow {
        let Shows::Sheets(sheets) = &mut self.shows else { return Flow::Ignored };
        let n = self.layer.as_ref().map_or(0, |l| l.scene.about().sheets.len());
        match action {
            Action::ViewNext | Action::Back | Action::Leave => self.shows = Shows::Picture,
            _ if sheets.update(action, n) => {}
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn act_bands(&mut self, action: Action) -> Flow {
        let (Some(Over::Bands(picker)), Some(layer)) = (&mut self.over, &mut self.layer) else { return Flow::Ignored };
        match action {
            Action::Back | Action::Leave | Action::Close | Action::Bands => self.over = None,
            Action::Enter => {
                layer.bands = picker.chosen();
                self.over = None;
            }
            _ if picker.update(action) => {}
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn act_prompt(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let Some(Over::Prompt(prompt)) = &mut self.over else { return Flow::Ignored };
        match action {
            Action::Back => self.over = None,
            Action::Up => prompt.propose(false),
            Action::Down => prompt.propose(true),
            Action::Enter => match prompt.answer() {
                Some(Answer::Range(low, high)) => {
                    self.over = None;
                    self.ink.visible = false;
                    self.stretch(Stretch::Manual(low, high));
                }
                Some(Answer::Second(location, how)) => {
                    self.over = None;
                    self.open_second(location, how, cx);
                }
                None => {}
            },
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    /// Peels one layer.
    fn back(&mut self) -> Flow {
        let peeled =
            self.play.stop() || self.count.stop() || std::mem::take(&mut self.has_cursor) || self.compare.close();
        if peeled { Flow::Done } else { Flow::Close }
    }

    fn see(&mut self, change: impl FnOnce(super::View) -> super::View) {
        self.view = self.view.map(change);
        self.is_fitted = self.view.is_some_and(|view| view.is_whole());
    }

    /// Moves the cursor by a dot, at least by a pixel; without a cursor the window.
    fn go(&mut self, [across, down]: [f64; 2], far: bool) {
        let Some(view) = self.view else { return };
        if !self.has_cursor {
            let part = if far { LEAP } else { STEP };
            let dots = [f64::from(view.dots.0) * part * across, f64::from(view.dots.1) * part * down];
            return self.see(|view| view.moved(dots));
        }
        let times = if far { STRIDE } else { 1.0 };
        let (step, size) = (view.step(), [view.size.0 as f64, view.size.1 as f64]);
        for (axis, by) in [across, down].into_iter().enumerate() {
            let pixels = step[axis].round().max(1.0) * by * times;
            self.cursor[axis] = (self.cursor[axis] + pixels).clamp(0.5, (size[axis] - 0.5).max(0.5));
        }
        let at = self.cursor;
        self.see(|view| view.showing(at));
    }

    fn zoom(&mut self, factor: f64) {
        let at = if self.has_cursor { Some(self.cursor) } else { None };
        self.see(|view| view.closer(factor, at.unwrap_or(view.centre)));
    }

    fn fit(&mut self) {
        self.is_fitted = true;
        self.arrange();
    }

    fn true_size(&mut self) {
        let at = if self.has_cursor { Some(self.cursor) } else { None };
        self.see(|view| view.true_size(at.unwrap_or(view.centre)));
    }

    fn toggle_cursor(&mut self) {
        self.has_cursor = !self.has_cursor;
        let Some(view) = self.view.filter(|_| self.has_cursor) else { return };
        let [left, top, right, bottom] = view.seen();
        let [x, y] = self.cursor;
        if x < left || x >= right || y < top || y >= bottom {
            self.cursor = view.centre.map(|v| v.floor() + 0.5);
        }
    }

    fn show_world(&mut self, cx: &mut Cx) {
        let has_place = self.layer.as_ref().is_some_and(|l| !l.scene.about().outline.is_empty());
        if has_place {
            self.shows = Shows::World;
        } else {
            cx.toast("it does not tell where on earth it lies");
        }
    }

    fn next_map(&mut self, forward: bool, cx: &mut Cx) {
        self.ink.map = self.ink.map.next(forward);
        self.say_single(cx);
    }

    /// Says why a colour map changes nothing.
    fn say_single(&self, cx: &mut Cx) {
        let Some(layer) = &self.layer else { return };
        let key = |action| cx.keymap.label(self.contexts(), action);
        if layer.bands.len() > 1 {
            let words = format!("colour maps are for a single band: {} shows one alone", key(Action::BandNext));
            cx.toast(words);
        } else if layer.is_classes() {
            cx.toast("its values are names, with colours of their own");
        }
    }

    fn stretch(&mut self, stretch: Stretch) {
        self.ink.stretch = stretch;
        self.thaw();
    }

    fn thaw(&mut self) {
        if let Some(layer) = &mut self.layer {
            layer.thaw();
        }
        if let Some(layer) = &mut self.compare.layer {
            layer.thaw();
        }
    }

    /// The next band alone; from three bands the first of them.
    fn next_band(&mut self, by: i64) {
        let Some(layer) = &mut self.layer else { return };
        let n = layer.scene.about().bands.len() as i64;
        let now = layer.bands.first().copied().unwrap_or(1) as i64;
        let next = if layer.bands.len() > 1 { now } else { (now - 1 + by).rem_euclid(n.max(1)) + 1 };
        layer.bands = vec![next.clamp(1, n.max(1)) as usize];
    }

    /// Compares so: with the second there is, or asks for one.
    fn compare_as(&mut self, how: How, cx: &Cx) {
        if self.compare.layer.is_some() {
            if self.compare.how == how {
                self.compare.close();
            }
            self.compare.how = how;
            return;
        }
        let here = self.location();
        let selected: Vec<Location> = cx.basket.locations().filter(|l| Some(l) != here.as_ref()).take(100).collect();
        self.over = Some(Over::Prompt(Prompt::second(how, here.as_ref(), &selected)));
    }

    fn open_second(&mut self, location: Location, how: How, cx: &Cx) {
        let Some(layer) = &self.layer else { return };
        self.compare.how = how;
        self.compare.open(location, layer.scene.clone(), &self.control.0, cx);
    }

    /// Copies where the cursor is: longitude and latitude, else own coordinates, else the pixel.
    fn copy_place(&mut self, cx: &mut Cx) {
        let Some(layer) = &self.layer else { return };
        let about = layer.scene.about();
        let degrees = self.spot.of(self.cursor, layer).and_then(|k| k.as_ref().ok()?.degrees);
        let text = match (degrees, about.place.world(self.cursor)) {
            (Some([lon, lat]), _) => format!("{lon:.7},{lat:.7}"),
            (None, Some([x, y])) => format!("{x},{y}"),
            (None, None) => format!("{},{}", self.cursor[0].floor(), self.cursor[1].floor()),
        };
        cx.toast(format!("copied: {text}"));
        cx.clipboard = Some(text);
    }
}

/// The keys that matter now, for the foot of the screen.
pub(super) fn hints(screen: &RasterScreen, cx: &Cx) -> Vec<(String, &'static str)> {
    let key = |action| cx.keymap.label(screen.contexts(), action);
    let both = |a, b| format!("{}{}", key(a), key(b));
    let back = (key(Action::Leave), "back");
    let Some(layer) = &screen.layer else {
        if screen.error.is_none() {
            return vec![back];
        }
        let other =
            screen.error.as_ref().filter(|_| screen.probe.is_some()).map(|_| (key(Action::ViewNext), "other view"));
        return other.into_iter().chain([(key(Action::Refresh), "again"), back]).collect();
    };
    match &screen.shows {
        Shows::World => return vec![(key(Action::Map), "picture"), (key(Action::Back), "back")],
        Shows::Sheets(_) => {
            return vec![
                (key(Action::NextPane), "next table"),
                (both(Action::Down, Action::Up), "scroll"),
                (key(Action::ViewNext), "picture"),
            ];
        }
        Shows::Picture => {}
    }
    let mut hints = vec![(both(Action::ZoomIn, Action::ZoomOut), "zoom"), (key(Action::ZoomAll), "all")];
    hints.push((key(Action::Cursor), if screen.has_cursor { "no cursor" } else { "cursor" }));
    if screen.has_parts() {
        hints.push((key(Action::Parts), "other rasters"));
    }
    if !layer.scene.about().axes.is_empty() {
        hints.push((both(Action::StepBack, Action::StepForward), "step"));
        hints.push((key(Action::Play), if screen.play.is_on() { "stop" } else { "play" }));
    }
    if screen.compare.layer.is_some() {
        hints.push((key(Action::Flicker), "the other"));
        hints.push((key(Action::Compare), "beside"));
        hints.push((key(Action::Play), if screen.play.is_on() { "stop" } else { "flicker" }));
    }
    if layer.bands.len() == 1 && !layer.is_classes() {
        hints.push((key(Action::ColourNext), "colours"));
    }
    if !layer.is_classes() {
        hints.push((key(Action::StretchNext), "stretch"));
    }
    if layer.scene.about().bands.len() > 1 {
        hints.push((key(Action::Bands), "bands"));
    }
    hints.push((key(Action::ViewNext), "tables"));
    hints.push((key(Action::TrueSize), "1:1"));
    if screen.compare.layer.is_none() {
        hints.push((key(Action::Compare), "compare"));
    }
    hints.push((key(Action::Statistics), "statistics"));
    hints.push((key(Action::Map), "map"));
    hints.push((key(Action::Help), "help"));
    hints
}

/// The same as one line.
pub(super) fn hint_line<'a>(screen: &RasterScreen, width: u16, cx: &Cx) -> ratatui::text::Line<'a> {
    popup::hints(&hints(screen, cx), width, cx)
}
