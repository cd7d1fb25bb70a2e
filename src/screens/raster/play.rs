//! Stepping along the axes, by keys and by itself.

use super::RasterScreen;
use crate::action::Action;
use crate::screen::{Cx, Screen as _};
use std::time::{Duration, Instant};

/// A picture is shown at least so long.
const BEAT: Duration = Duration::from_millis(180);
/// In comparing, each of both is shown so long.
const FLICKER: Duration = Duration::from_millis(600);

/// Whether it steps by itself.
#[derive(Default)]
pub(super) struct Play {
    since: Option<Instant>,
}

impl Play {
    pub(super) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    pub(super) fn stop(&mut self) -> bool {
        self.since.take().is_some()
    }
}

impl RasterScreen {
    /// Starts or stops.
    pub(super) fn toggle_play(&mut self, cx: &mut Cx) {
        let has_axes = self.layer.as_ref().is_some_and(|l| !l.scene.about().axes.is_empty());
        if self.play.stop() {
            return;
        }
        if has_axes || self.compare.is_flicker() {
            self.play.since = Some(Instant::now());
        } else {
            let key = cx.keymap.label(self.contexts(), Action::Flicker);
            cx.toast(format!("there is nothing to play: it has no further dimension ({key} compares two rasters)"));
        }
    }

    /// The next step, once the picture before is there and was seen.
    pub(super) fn step_by_itself(&mut self) {
        let (Some(since), Some(view)) = (self.play.since, self.view) else { return };
        let is_flicker = self.compare.is_flicker();
        let is_there = self.layer.as_ref().is_some_and(|layer| layer.is_settled(&view) || layer.trouble().is_some());
        if since.elapsed() < if is_flicker { FLICKER } else { BEAT } || !is_there {
            return;
        }
        self.play.since = Some(Instant::now());
        if is_flicker {
            self.compare.swap();
        } else {
            self.step_axis(1, true);
        }
    }

    /// Steps along the chosen axis; past its end to its start where it goes round.
    pub(super) fn step_axis(&mut self, by: i64, round: bool) {
        let Some(layer) = &mut self.layer else { return };
        let len = layer.scene.about().axes.get(self.axis).map_or(0, |axis| axis.len) as i64;
        let Some(at) = layer.at.get_mut(self.axis).filter(|_| len > 0) else { return };
        let to = *at as i64 + by;
        *at = if round { to.rem_euclid(len) } else { to.clamp(0, len - 1) } as u64;
    }

    /// A tenth of the axis, at least two.
    pub(super) fn leap(&self) -> i64 {
        let len = self.layer.as_ref().and_then(|l| l.scene.about().axes.get(self.axis)).map_or(0, |axis| axis.len);
        (len as i64 / 10).max(2)
    }

    /// Another axis has the keys.
    pub(super) fn next_axis(&mut self, forward: bool) {
        let n = self.layer.as_ref().map_or(0, |l| l.scene.about().axes.len());
        if n > 0 {
            self.axis = (self.axis + if forward { 1 } else { n - 1 }) % n;
        }
    }
}
