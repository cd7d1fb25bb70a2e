//! A second raster beside the first, or in its place: the same window of the world.

use super::layer::{Ink, Layer};
use super::view::View;
use super::warp::Warp;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::scene::{self, Place, Scene};
use crate::screen::Cx;
use crate::task::{Control, Pending, poll_slot};
use std::sync::Arc;

/// How two are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum How {
    /// Beside each other.
    #[default]
    Beside,
    /// The one or the other in the same place.
    Flicker {
        /// Whether the second is shown.
        second: bool,
    },
}

/// The second raster, if there is one.
#[derive(Default)]
pub(super) struct Compare {
    opening: Option<Pending<(Arc<dyn Scene>, Warp)>>,
    pub(super) layer: Option<Layer>,
    pub(super) how: How,
}

impl Compare {
    pub(super) fn is_busy(&self) -> bool {
        self.opening.is_some() || self.layer.as_ref().is_some_and(Layer::is_busy)
    }

    /// Whether there is a second one, and it is shown in the place of the first.
    pub(super) fn is_flicker(&self) -> bool {
        self.layer.is_some() && matches!(self.how, How::Flicker { .. })
    }

    /// Whether both are seen.
    pub(super) fn is_beside(&self) -> bool {
        self.layer.is_some() && self.how == How::Beside
    }

    /// Whether the second is seen in the place of the first.
    pub(super) fn shows_second(&self) -> bool {
        self.layer.is_some() && self.how == How::Flicker { second: true }
    }

    /// The other one in the same place.
    pub(super) fn swap(&mut self) {
        if let How::Flicker { second } = &mut self.how {
            *second = !*second;
        }
    }

    /// Puts the second away; tells whether there was one.
    pub(super) fn close(&mut self) -> bool {
        self.opening.take().is_some() | self.layer.take().is_some()
    }

    /// Opens the second.
    pub(super) fn open(&mut self, location: Location, first: Arc<dyn Scene>, control: &Control, cx: &Cx) {
        let (stores, control) = (cx.stores.clone(), Control::new(control.meter.clone()));
        self.opening = Some(Pending::spawn(&cx.waker, async move {
            let second = scene::open(&stores, &location, &control, super::MOST_BYTES).await?;
            let warp = warp(&*first, &*second, &control).await?;
            Ok((second, warp))
        }));
    }

    /// Takes what has arrived; gives what went wrong.
    pub(super) fn poll(&mut self, first: Option<&Layer>) -> Option<Error> {
        let mut failed = None;
        match poll_slot(&mut self.opening) {
            Some(Ok((scene, warp))) => {
                let mut layer = Layer::new(scene);
                layer.warp = Some(Arc::new(warp));
                // The same bands as of the first, where it has them.
                if let Some(first) = first.filter(|f| f.scene.about().bands.len() == layer.scene.about().bands.len()) {
                    layer.bands.clone_from(&first.bands);
                }
                self.layer = Some(layer);
            }
            Some(Err(err)) => failed = Some(err.context("the second raster")),
            None => {}
        }
        if let Some(layer) = &mut self.layer {
            layer.poll();
        }
        failed
    }

    pub(super) fn advance(
        &mut self,
        view: &View,
        ink: Ink,
        first: &Layer,
        cross: Option<[f64; 2]>,
        control: &Control,
        cx: &Cx,
    ) {
        if let Some(layer) = &mut self.layer {
            layer.shares = is_alike(first, layer).then(|| first.composed.as_ref().map(|c| c.limits.clone())).flatten();
            layer.advance(view, ink, cross, control, cx);
        }
    }
}

/// Whether the same colours mean the same in both: quantities of one kind.
fn is_alike(a: &Layer, b: &Layer) -> bool {
    let same = |i: usize| match (a.band(i), b.band(i)) {
        (Some(a), Some(b)) => a.dtype == b.dtype && a.unit == b.unit && a.classes.is_empty() && b.classes.is_empty(),
        _ => false,
    };
    a.bands.len() == b.bands.len() && (0..a.bands.len()).all(same)
}

/// From the pixels of the one to those of the other: by their own coordinates where both have the same reference
/// system, else over longitude and latitude. Plain pictures are laid over each other as they are.
async fn warp(first: &dyn Scene, second: &dyn Scene, control: &Control) -> Result<Warp> {
    let (a, b) = (first.about(), second.about());
    let size = a.size;
    let is_plain = a.place == Place::Nowhere && b.place == Place::Nowhere;
    if is_plain {
        let (x, y) = (b.size.0 as f64 / a.size.0.max(1) as f64, b.size.1 as f64 / a.size.1.max(1) as f64);
        return Ok(Warp::of(size, &|at: [f64; 2]| Some([at[0] * x, at[1] * y])));
    }
    if a.crs == b.crs && a.place != Place::Nowhere && b.place != Place::Nowhere {
        return Ok(Warp::of(size, &|at: [f64; 2]| b.place.pixel(a.place.world(at)?)));
    }
    let corners = Warp::corners(size);
    let count = corners.len();
    let degrees = first.degrees(control, corners).await?;
    let known: Vec<[f64; 2]> = degrees.iter().copied().flatten().collect();
    let mut placed = second.pixels(control, known).await?.into_iter();
    let nodes: Vec<Option<[f64; 2]>> = degrees.iter().map(|d| d.and_then(|_| placed.next().flatten())).collect();
    if count != nodes.len() || nodes.iter().all(Option::is_none) {
        return Err(Error::unsupported("one of both does not tell where on earth it lies")
            .with_hint("compare two rasters that have a reference system, or two that have none"));
    }
    Ok(Warp::new(size, nodes))
}
