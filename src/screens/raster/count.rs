//! Exact statistics: every pixel of the bands shown, read piece by piece in the background.

use super::layer::{Layer, Stops};
use super::pieces::Key;
use crate::error::Result;
use crate::raster::color::Tally;
use crate::scene::{Scene, Window};
use crate::screen::Cx;
use crate::task::{Control, Pending, poll_slot};
use std::sync::Arc;

/// Values of a band that are read at once.
const AT_ONCE: u64 = 4 << 20;

/// Statistics that are being made, or were.
#[derive(Default)]
pub(super) struct Count {
    running: Option<(Key, Pending<Vec<Tally>>, Stops)>,
    done: Option<(Key, Vec<Tally>)>,
}

impl Count {
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The share that is done, 0 to 1.
    pub(super) fn progress(&self) -> Option<f64> {
        let (_, _, control) = self.running.as_ref()?;
        let (done, total) = control.0.progress();
        Some(done as f64 / total.max(1) as f64)
    }

    /// The statistics of the bands shown, once they were made.
    pub(super) fn of(&self, layer: &Layer) -> Option<&[Tally]> {
        self.done.as_ref().filter(|(key, _)| *key == layer.key()).map(|(_, tallies)| tallies.as_slice())
    }

    /// Stops; tells whether there was something to be stopped.
    pub(super) fn stop(&mut self) -> bool {
        self.running.take().is_some()
    }

    /// Begins.
    pub(super) fn start(&mut self, layer: &Layer, control: &Control, cx: &Cx) {
        let (key, control) = (layer.key(), Control::new(control.meter.clone()));
        let (scene, own, of) = (layer.scene.clone(), control.clone(), key.clone());
        let value = Pending::spawn(&cx.waker, async move { tally(scene, of, own).await });
        self.running = Some((key, value, Stops(control)));
    }

    pub(super) fn poll(&mut self, cx: &mut Cx) {
        let Some((key, value, control)) = self.running.take() else { return };
        let mut slot = Some(value);
        match poll_slot(&mut slot) {
            Some(Ok(tallies)) => self.done = Some((key, tallies)),
            Some(Err(err)) => cx.fail(&err.context("the exact statistics")),
            None => self.running = slot.map(|value| (key, value, control)),
        }
    }
}

/// Windows that cover the plane, along its blocks, none larger than [`AT_ONCE`].
fn windows(size: (u64, u64), block: (u64, u64)) -> impl Iterator<Item = Window> {
    // A block that is wider than it may be is cut: it is decoded more than once then.
    let width = block
        .0
        .clamp(1, AT_ONCE)
        .max(size.0.min(4_096) / block.0.max(1) * block.0.max(1))
        .min(size.0.max(1))
        .min(AT_ONCE);
    let rows = (AT_ONCE / width.max(1)).max(1);
    let whole = rows / block.1.max(1) * block.1.max(1);
    let height = if whole > 0 { whole } else { rows }.min(size.1.max(1));
    let (across, down) = (size.0.div_ceil(width), size.1.div_ceil(height));
    (0..down).flat_map(move |row| {
        (0..across).map(move |column| {
            let (x, y) = (column * width, row * height);
            Window { x, y, width: width.min(size.0 - x), height: height.min(size.1 - y) }
        })
    })
}

async fn tally(scene: Arc<dyn Scene>, key: Key, control: Control) -> Result<Vec<Tally>> {
    let about = scene.about();
    let (size, block) = (about.size, about.block);
    let total = size.0.saturating_mul(size.1).saturating_mul(key.bands.len() as u64);
    control.set_total(total);
    let mut tallies = vec![Tally::default(); key.bands.len()];
    for window in windows(size, block) {
        for (band, tally) in key.bands.iter().zip(&mut tallies) {
            control.check()?;
            let values = scene.values(&control, vec![*band], window, key.at.clone()).await?;
            let mut counted = *tally;
            counted = control
                .blocking(move |_| {
                    values.iter().flatten().for_each(|value| counted.add(*value));
                    Ok(counted)
                })
                .await?;
            *tally = counted;
            control.advance(window.width * window.height);
        }
    }
    Ok(tallies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_each_pixel_once_and_stay_small() {
        for (size, block) in [
            ((10_980, 10_980), (512, 512)),
            ((10_980, 10_980), (10_980, 1)),
            ((1, 1), (256, 256)),
            ((50_000, 3), (50_000, 3)),
            ((300, 70_000), (0, 0)),
        ] {
            let all: Vec<Window> = windows(size, block).collect();
            let pixels: u64 = all.iter().map(|w| w.width * w.height).sum();
            assert_eq!(pixels, size.0 * size.1, "{size:?} {block:?}");
            assert!(all.iter().all(|w| w.width * w.height <= AT_ONCE && w.width > 0 && w.height > 0));
            assert!(all.iter().all(|w| w.x + w.width <= size.0 && w.y + w.height <= size.1));
        }
    }
}
