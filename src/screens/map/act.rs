//! What keys do on the map.

use super::MapScreen;
use crate::action::Action;
use crate::map::graticule::degrees;
use crate::map::sample::Want;
use crate::map::{Plane, View};
use crate::screen::{Cx, Flow, Screen as _};
use crate::terminal::Graphics;
use crate::widgets::map::DOTS;

/// By how much one key goes closer.
const CLOSER: f64 = 1.6;
/// The part of the window by which it is moved.
const PAN: f64 = 0.25;

impl MapScreen {
    pub(super) fn act(&mut self, action: Action, count: usize, cx: &mut Cx) -> Flow {
        let total = self.loaded.as_ref().and_then(|l| l.total);
        match action {
            Action::Up => self.step(0, -(count as i32)),
            Action::Down => self.step(0, count as i32),
            Action::Left => self.step(-(count as i32), 0),
            Action::Right => self.step(count as i32, 0),
            Action::PanLeft => self.pan(-PAN, 0.0),
            Action::PanRight => self.pan(PAN, 0.0),
            Action::PanUp => self.pan(0.0, -PAN),
            Action::PanDown => self.pan(0.0, PAN),
            Action::ZoomIn | Action::ZoomOut => {
                let factor = if action == Action::ZoomIn { CLOSER } else { 1.0 / CLOSER };
                let dot = self.cursor_dot();
                self.see(|view| (0..count.min(60)).fold(view, |view, _| view.closer(factor, dot)));
            }
            Action::ZoomAll => self.fit(),
            Action::MoreRows => self.want(self.want.more(total), cx),
            Action::FewerRows => self.want(self.want.fewer(total), cx),
            Action::AllRows => self.want(Want::All, cx),
            Action::ColourNext | Action::ColourPrev => self.next_colour(action == Action::ColourNext, cx),
            Action::Projection => self.next_plane(cx),
            Action::Drawing => self.toggle_picture(cx),
            Action::ChooseBox => self.choose_box(cx),
            Action::Yank => self.copy(cx),
            Action::Cancel => {
                if self.reading.take().is_some() {
                    cx.toast("stopped reading; what was shown stays");
                }
            }
            Action::Refresh => {
                self.row = None;
                match self.table {
                    Some(_) => self.read(cx),
                    None => self.open_table(cx),
                }
            }
            Action::Back if self.corner.take().is_some() => {}
            Action::Back | Action::Leave => return Flow::Close,
            _ => return Flow::Ignored,
        }
        self.identify(cx);
        self.paint(cx);
        Flow::Done
    }

    fn see(&mut self, change: impl FnOnce(View) -> View) {
        self.is_fitted = false;
        self.view = self.view.map(change);
    }

    /// Moves the cursor by cells; at an edge the window moves instead.
    fn step(&mut self, columns: i32, rows: i32) {
        let last = (i32::from(self.inner.width.max(1)) - 1, i32::from(self.inner.height.max(1)) - 1);
        let to = (i32::from(self.cursor.0) + columns, i32::from(self.cursor.1) + rows);
        let kept = (to.0.clamp(0, last.0), to.1.clamp(0, last.1));
        let over = [f64::from((to.0 - kept.0) * i32::from(DOTS.0)), f64::from((to.1 - kept.1) * i32::from(DOTS.1))];
        self.cursor = (kept.0 as u16, kept.1 as u16);
        if kept != to {
            self.see(|view| view.moved(over));
        }
    }

    /// Moves the window by parts of it.
    fn pan(&mut self, across: f64, down: f64) {
        self.see(|view| view.moved([f64::from(view.dots.0) * across, f64::from(view.dots.1) * down]));
    }

    /// Shows all, the cursor in the middle.
    pub(super) fn fit(&mut self) {
        let dots = (u32::from(self.inner.width * DOTS.0), u32::from(self.inner.height * DOTS.1));
        let (Some(built), Some(loaded)) = (&self.built, &self.loaded) else { return };
        let Some(extent) = loaded.extent.or(built.scene.extent) else { return };
        if dots.0 == 0 || dots.1 == 0 {
            return;
        }
        self.view = Some(View::fit(built.scene.plane, &extent, dots));
        self.cursor = (self.inner.width / 2, self.inner.height / 2);
        self.is_fitted = true;
    }

    fn next_colour(&mut self, forward: bool, cx: &mut Cx) {
        let Some(plan) = &mut self.plan else { return };
        // The columns in their order, then none.
        let n = self.choices.len() + 1;
        let now = plan.colour.as_ref().and_then(|c| self.choices.iter().position(|x| x == c)).unwrap_or(n - 1);
        let next = if forward { (now + 1) % n } else { (now + n - 1) % n };
        plan.colour = self.choices.get(next).cloned();
        self.read(cx);
    }

    fn next_plane(&mut self, cx: &mut Cx) {
        let Some(built) = &self.built else { return };
        let next = match built.scene.plane {
            Plane::Own => return cx.toast("the reference system is not known: there is only its own plane"),
            Plane::Degrees => Plane::North,
            Plane::North => Plane::South,
            Plane::South => Plane::Degrees,
        };
        self.wished = Some(next);
        self.build(cx);
        cx.toast(format!("{} projection", next.name()));
    }

    fn toggle_picture(&mut self, cx: &mut Cx) {
        self.wants_picture = !self.wants_picture;
        let (graphics, _) = cx.gallery.shows();
        if self.wants_picture && (graphics.is_characters() || graphics == Graphics::None) {
            self.wants_picture = false;
            cx.toast("this terminal shows no pictures (kitty, sixel or iTerm2): the map stays drawn in dots");
        }
    }

    /// Begins a box at the cursor, or ends it and copies `west,south,east,north`.
    fn choose_box(&mut self, cx: &mut Cx) {
        let Some(view) = self.view else { return };
        let here = view.at(self.cursor_dot());
        let Some(corner) = self.corner.take() else {
            self.corner = Some(here);
            let key = cx.keymap.label(self.contexts(), Action::ChooseBox);
            return cx.toast(format!("move to the opposite corner, {key} copies the bounds"));
        };
        let text = match view.plane {
            Plane::North | Plane::South => {
                return cx.toast("a box has no bounds around a pole: choose the flat projection first");
            }
            _ => bounds(&view, corner, here),
        };
        cx.toast(format!("copied: {text}"));
        cx.clipboard = Some(text);
    }

    fn copy(&mut self, cx: &mut Cx) {
        let Some([x, y]) = self.cursor_place() else { return };
        let text = format!("{x:.6},{y:.6}");
        let earth = self.view.is_some_and(|view| view.plane.is_earth());
        let words = if earth { format!(" ({} {})", degrees(y, false, 4), degrees(x, true, 4)) } else { String::new() };
        cx.toast(format!("copied: {text}{words}"));
        cx.clipboard = Some(text);
    }
}

/// West, south, east, north of two corners on the plane; west is greater than east over the antimeridian.
fn bounds(view: &View, a: [f64; 2], b: [f64; 2]) -> String {
    let wrap = |x: f64| if view.plane == Plane::Degrees { crate::map::wrap(x) } else { x };
    let limit = |y: f64| if view.plane == Plane::Degrees { y.clamp(-90.0, 90.0) } else { y };
    let (west, east) = (wrap(a[0].min(b[0])), wrap(a[0].max(b[0])));
    let (south, north) = (limit(a[1].min(b[1])), limit(a[1].max(b[1])));
    // As many places as a dot has a meaning.
    let places = (1.0 - view.unit.log10()).ceil().clamp(0.0, 7.0) as usize;
    format!("{west:.places$},{south:.places$},{east:.places$},{north:.places$}")
}
