//! What lies under the cursor: values as they are stored, and where on earth that is. Read off the loop; the
//! newest place wins.

use super::layer::Layer;
use crate::error::Result;
use crate::scene::Window;
use crate::screen::Cx;
use crate::task::{Control, Pending, poll_slot};
use std::time::Duration;

/// The cursor rests so long before values are read for it.
const REST: Duration = Duration::from_millis(60);
/// Bands whose values are read.
const MOST_BANDS: usize = 64;

/// What is known of a pixel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    /// Values as stored of the first bands, NaN where there are none.
    pub(super) values: Vec<f64>,
    /// Longitude and latitude of its middle.
    pub(super) degrees: Option<[f64; 2]>,
}

/// A pixel, and positions on the axes.
type Place = ((u64, u64), Vec<u64>);

/// What lies under the cursor.
#[derive(Default)]
pub(super) struct Spot {
    asking: Option<(Place, Pending<Known>)>,
    known: Option<(Place, Result<Known>)>,
}

/// The pixel at pixel coordinates.
pub(super) fn pixel(at: [f64; 2]) -> (u64, u64) {
    (at[0].max(0.0) as u64, at[1].max(0.0) as u64)
}

impl Spot {
    pub(super) fn is_busy(&self) -> bool {
        self.asking.is_some()
    }

    /// What is known of the pixel at `at`, once it was read.
    pub(super) fn of(&self, at: [f64; 2], layer: &Layer) -> Option<&Result<Known>> {
        let wanted = (pixel(at), &layer.at);
        self.known.as_ref().filter(|(place, _)| (place.0, &place.1) == wanted).map(|(_, known)| known)
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn poll(&mut self) {
        let Some((place, value)) = self.asking.take() else { return };
        let mut slot = Some(value);
        match poll_slot(&mut slot) {
            Some(result) => self.known = Some((place, result)),
            None => self.asking = slot.map(|value| (place, value)),
        }
    }

    /// Asks for what lies at `at`.
    pub(super) fn advance(&mut self, at: Option<[f64; 2]>, layer: &Layer, control: &Control, cx: &Cx) {
        let Some(at) = at else {
            self.asking = None;
            return;
        };
        let place = (pixel(at), layer.at.clone());
        let is_wanted = |known: &Place| *known == place;
        if self.known.as_ref().is_some_and(|(p, _)| is_wanted(p))
            || self.asking.as_ref().is_some_and(|(p, _)| is_wanted(p))
        {
            return;
        }
        let (scene, control) = (layer.scene.clone(), Control::new(control.meter.clone()));
        let bands: Vec<usize> = (1..=scene.about().bands.len().min(MOST_BANDS)).collect();
        let ((x, y), positions) = place.clone();
        let window = Window { x, y, width: 1, height: 1 };
        let value = Pending::spawn(&cx.waker, async move {
            tokio::time::sleep(REST).await;
            let middle = vec![[x as f64 + 0.5, y as f64 + 0.5]];
            // Where it is needs no bytes: that is told even if the values cannot be read.
            let degrees = scene.degrees(&control, middle).await?.first().copied().flatten();
            let values = scene.values(&control, bands, window, positions).await?;
            let values = values.into_iter().map(|v| v.first().copied().unwrap_or(f64::NAN)).collect();
            Ok(Known { values, degrees })
        });
        self.asking = Some((place, value));
    }
}
