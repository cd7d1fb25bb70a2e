//! What the map does in the background: opening the table, reading a sample, arranging it, painting a
//! picture, asking for the row under the cursor. Each newer wish lets go of the one before.

use super::ink::{self, Means};
use super::{MapScreen, Reading};
use crate::error::{Error, Result};
use crate::location::Scheme;
use crate::map::load::{Ask, Loaded, load};
use crate::map::read::{Plan, is_time};
use crate::map::sample::{self, Want};
use crate::map::{Colours, Plane, Scale, Scene, View, World, paint};
use crate::picture::Picture;
use crate::screen::Cx;
use crate::table::{self, Rows, Window, with_wkt};
use crate::tables;
use crate::task::{Control, Pending, poll_slot};
use arrow::record_batch::RecordBatch;
use std::sync::Arc;
use std::time::Duration;

/// Chooses the sample: any number, always the same.
const SEED: u64 = 0x05ec_c415;
/// Bytes that one reading of a window may cost.
const MOST_BYTES: u64 = 256 << 20;
/// The cursor rests so long before its row is asked for.
const REST: Duration = Duration::from_millis(150);

/// A sample arranged for drawing.
pub(super) struct Built {
    pub(super) scene: Arc<Scene>,
    pub(super) scale: Scale,
    /// How many features have each ink.
    pub(super) counts: Vec<u64>,
    pub(super) world: Arc<World>,
}

/// A picture of a view.
pub(super) struct Painted {
    pub(super) view: View,
    pub(super) scene: Arc<Scene>,
    pub(super) picture: Picture,
}

/// The row under the cursor.
pub(super) struct Row {
    pub(super) number: u64,
    pub(super) batch: RecordBatch,
}

/// Told to stop when it is no longer wanted.
pub(super) struct Stops(pub(super) Control);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl MapScreen {
    pub(super) fn open_table(&mut self, cx: &Cx) {
        let (stores, probe, control) = (cx.stores.clone(), self.probe.clone(), self.control.0.clone());
        self.opening = Some(Pending::spawn(&cx.waker, async move {
            tables::open(stores, table::Open { probe, control, max_bytes: MOST_BYTES }).await
        }));
    }

    /// Looks what the table is like, and begins to read.
    pub(super) fn take_table(&mut self, rows: Arc<dyn Rows>, cx: &Cx) {
        let about = rows.about();
        match Plan::of(&about) {
            Ok(plan) => {
                self.choices = plan.choices(&about);
                self.plan = Some(plan);
                self.table = Some(rows);
                self.read(cx);
            }
            Err(err) => self.error = Some(err),
        }
    }

    /// Reads as much as is wanted. What is shown stays until that is there.
    pub(super) fn read(&mut self, cx: &Cx) {
        let (Some(rows), Some(plan)) = (self.table.clone(), self.plan.clone()) else { return };
        self.error = None;
        let control = Control::new(self.control.0.meter.clone());
        let location = &self.probe.location;
        let near = matches!(location.scheme(), Scheme::File | Scheme::Memory);
        let ask = Ask { rows, plan, want: self.want, near, size: self.probe.size, seed: SEED };
        let value = Pending::spawn(&cx.waker, load(ask, control.clone()));
        self.reading = Some(Reading { value, control: Stops(control) });
    }

    /// Reads more or less of the table, or shows more or less of what was read.
    pub(super) fn want(&mut self, want: Want, cx: &Cx) {
        if want == self.want && self.reading.is_none() {
            return;
        }
        self.want = want;
        if self.loaded.as_ref().is_some_and(|l| l.whole || l.full) {
            self.build(cx);
        } else {
            self.read(cx);
        }
    }

    /// Arranges what was read.
    pub(super) fn build(&mut self, cx: &Cx) {
        let Some(loaded) = self.loaded.clone() else { return };
        let means = Means::of(cx);
        let plane = self.wished.unwrap_or_else(|| natural(&loaded));
        let world = self.built.as_ref().map(|b| b.world.clone());
        let want = self.want;
        let control = Control::default();
        self.building = Some(Pending::spawn(&cx.waker, async move {
            control.blocking(move |_| Ok(arrange(&loaded, want, means, plane, world))).await
        }));
    }

    /// Has a picture painted of what is seen, where pictures are shown and there is none of it yet.
    pub(super) fn paint(&mut self, cx: &Cx) {
        let (true, Some(view), Some(built)) = (self.is_pictured(cx), self.view, &self.built) else { return };
        let (width, height) = cx.gallery.pixels(self.inner);
        if width == 0 || height == 0 || self.painting.is_some() {
            return;
        }
        let wanted = view.resized((width, height));
        let is_there = |p: &Painted| p.view == wanted && Arc::ptr_eq(&p.scene, &built.scene);
        if self.painted.as_ref().is_some_and(is_there) {
            return;
        }
        let colours: Colours = ink::colours(&built.scale, cx);
        let (scene, world) = (built.scene.clone(), built.world.clone());
        let control = Control::default();
        self.painting = Some(Pending::spawn(&cx.waker, async move {
            let paint = move |_| {
                let picture = paint(&scene, &world, &wanted, &colours);
                Ok(Painted { view: wanted, scene, picture })
            };
            control.blocking(paint).await
        }));
    }

    /// Asks for the values of the row under the cursor.
    pub(super) fn identify(&mut self, cx: &Cx) {
        self.looked_up = self.view.map(|view| (view, self.cursor));
        let pick = self
            .view
            .zip(self.built.as_ref())
            .and_then(|(view, built)| built.scene.pick(&view, self.cursor_dot(), super::REACH));
        self.pick = pick;
        let (Some(pick), Some(built), Some(rows)) = (pick, &self.built, self.table.clone()) else {
            self.asking = None;
            return;
        };
        let number = built.scene.features.row(pick.feature);
        let known = self.row.as_ref().is_some_and(|row| row.number == number);
        let asked = self.asking.as_ref().is_some_and(|(asked, _)| *asked == number);
        if known || asked {
            return;
        }
        let asking = async move {
            tokio::time::sleep(REST).await;
            let batch = rows.window(Window { rows: 1, offset: number, columns: None }).await?;
            Ok(with_wkt(&batch, &rows.about().geo))
        };
        self.asking = Some((number, Pending::spawn(&cx.waker, asking)));
    }

    /// Takes what has arrived.
    pub(super) fn take_work(&mut self, cx: &mut Cx) {
        match poll_slot(&mut self.opening) {
            Some(Ok(rows)) => self.take_table(rows, cx),
            Some(Err(err)) => self.error = Some(err),
            None => {}
        }
        let read = self.reading.as_mut().and_then(|reading| reading.value.take());
        if let Some(result) = read {
            self.reading = None;
            self.take_read(result, cx);
        }
        match poll_slot(&mut self.building) {
            Some(Ok(built)) => {
                self.take_built(built);
                self.identify(cx);
            }
            Some(Err(err)) => self.error = Some(err),
            None => {}
        }
        match poll_slot(&mut self.painting) {
            Some(Ok(painted)) => self.painted = Some(painted),
            Some(Err(err)) => cx.fail(&err),
            None => {}
        }
        let answer = self.asking.as_mut().and_then(|(number, pending)| pending.take().map(|batch| (*number, batch)));
        if let Some((number, batch)) = answer {
            self.asking = None;
            match batch {
                Ok(batch) => self.row = Some(Row { number, batch }),
                Err(err) => cx.fail(&err),
            }
        }
        if self.looked_up != self.view.map(|view| (view, self.cursor)) {
            self.identify(cx);
        }
        self.paint(cx);
    }

    fn take_read(&mut self, result: Result<Loaded>, cx: &mut Cx) {
        match result {
            Ok(loaded) if loaded.features.is_empty() => {
                let why = format!("none of the {} rows that were read has a place on the map", loaded.rows);
                self.error = Some(Error::unsupported(why));
            }
            Ok(loaded) => {
                self.loaded = Some(loaded);
                self.build(cx);
            }
            Err(err) if self.loaded.is_some() => cx.fail(&err),
            Err(err) => self.error = Some(err),
        }
    }

    fn take_built(&mut self, built: Built) {
        let plane = built.scene.plane;
        if self.view.is_none_or(|view| view.plane != plane) {
            self.is_fitted = true;
            self.view = None;
        }
        self.built = Some(built);
        if self.is_fitted {
            self.fit();
        }
    }

    /// Whether the column that colours holds points in time.
    pub(super) fn is_time(&self) -> bool {
        let field = |name: &String| {
            let about = self.table.as_ref()?.about();
            Some(is_time(about.schema.field_with_name(name).ok()?.data_type()))
        };
        self.plan.as_ref().and_then(|plan| plan.colour.as_ref()).and_then(field).unwrap_or(false)
    }
}

/// The plane that suits what was read.
pub(super) fn natural(loaded: &Loaded) -> Plane {
    if loaded.earth { loaded.extent.map_or(Plane::Degrees, |e| e.plane()) } else { Plane::Own }
}

fn arrange(loaded: &Loaded, want: Want, means: Means, plane: Plane, world: Option<Arc<World>>) -> Built {
    let features = &loaded.features;
    let scale = Scale::of(&features.values, means.steps(), ink::WORDS);
    let inks = scale.ink_all(&features.values, features.len());
    // A table that was read whole is shown in part.
    let chosen = match want {
        Want::Sample(n) if (n as usize) < features.len() => Some(sample::choose(features.len(), n as usize, SEED)),
        _ => None,
    };
    let mut counts = vec![0; usize::from(scale.missing()) + 1];
    let mut count = |feature: usize| counts[usize::from(inks[feature])] += 1;
    match &chosen {
        Some(chosen) => chosen.iter().for_each(|f| count(*f as usize)),
        None => (0..features.len()).for_each(count),
    }
    let scene = Arc::new(Scene::new(features.clone(), chosen.as_deref(), &inks, plane));
    Built { scene, scale, counts, world: world.unwrap_or_else(|| Arc::new(World::load())) }
}
