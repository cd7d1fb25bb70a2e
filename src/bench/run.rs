//! Runs a benchmark: finds the series, proves them equal, warms up, and times random patches.

use super::cog::{self, CogSeries};
use super::histogram;
use super::patch::{Extent, Pixels, Window};
use super::report::{Environment, Report, Sample, SeriesFacts, summary};
use super::rng::Rng;
use super::spec::{Format, PatchSize, Series, Spec};
use super::zarr::{self, ZarrSeries};
use crate::error::{Context as _, Error, Kind, Result};
use crate::meter::Meter;
use crate::store::Stores;
use crate::task::Control;
use gdal::version::VersionInfo;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What happens in a run, as it happens: `{"event":"sample", ...}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A series was found.
    Series(SeriesFacts),
    /// All series hold equal pixels at this patch.
    Verify {
        /// The patch.
        #[serde(flatten)]
        window: Window,
        /// Values compared, of each series.
        values: u64,
        /// Series compared.
        series: Vec<String>,
    },
    /// A read that is not reported.
    Warmup {
        /// Name of the series.
        series: String,
        /// How long it took, in milliseconds.
        total_ms: f64,
    },
    /// A timed read.
    Sample(Sample),
}

/// A series that was found.
enum Reader {
    Cog(CogSeries),
    Zarr(ZarrSeries),
}

impl Reader {
    async fn open(series: &Series, stores: &Stores, control: &Control) -> Result<Self> {
        Ok(match series.format {
            Format::Cog => Self::Cog(cog::open(series, stores, control).await?),
            Format::Zarr => Self::Zarr(zarr::open(series, stores, control).await?),
        })
    }

    fn extent(&self) -> Extent {
        match self {
            Self::Cog(s) => s.extent,
            Self::Zarr(s) => s.extent,
        }
    }

    fn layout(&self) -> &str {
        match self {
            Self::Cog(s) => &s.layout,
            Self::Zarr(s) => &s.layout,
        }
    }

    fn pixel(&self) -> Option<f64> {
        match self {
            Self::Cog(s) => s.pixel,
            Self::Zarr(_) => None,
        }
    }

    fn date_name(&self, date: usize) -> String {
        match self {
            Self::Cog(s) => s.date_name(date),
            Self::Zarr(s) => s.date_name(date),
        }
    }
}

/// Which patches are read, and in which order.
#[derive(Clone, Debug, PartialEq)]
struct Plan {
    verify: Window,
    warmup: Vec<(Window, Vec<usize>)>,
    repeats: Vec<(Window, Vec<usize>)>,
}

/// Side of a patch and distance of its possible corners, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    side: u64,
    step: u64,
}

impl Grid {
    fn new(size: PatchSize, pixel: Option<f64>) -> Result<Self> {
        match size {
            PatchSize::Pixels(side) => Ok(Self { side, step: 1 }),
            PatchSize::Metres { metres, snap } => {
                let pixel = pixel.filter(|p| p.is_finite() && *p > 0.0).ok_or_else(|| {
                    Error::usage("the patch is given in metres, but no series tells the size of its pixels")
                        .with_hint("give `patch` in pixels")
                })?;
                let side = (metres / pixel).round();
                if side < 1.0 {
                    return Err(Error::usage(format!("a patch of {metres} metres is less than a pixel of {pixel}")));
                }
                Ok(Self { side: side as u64, step: ((snap / pixel).round() as u64).max(1) })
            }
        }
    }

    fn draw(self, width: u64, height: u64, rng: &mut Rng) -> Window {
        let mut corner = |length: u64| rng.below(length.saturating_sub(self.side) / self.step + 1) * self.step;
        Window { x: corner(width), y: corner(height), w: self.side, h: self.side }
    }
}

impl Plan {
    /// Patches, warm-up and order each have their own stream of the seed: another number of series
    /// or of warm-up rounds does not move the patches.
    fn new(spec: &Spec, grid: Grid, width: u64, height: u64) -> Self {
        let mut order = Rng::new(spec.seed, 1);
        let mut rounds = |count: u32, stream: u64| -> Vec<(Window, Vec<usize>)> {
            let mut patches = Rng::new(spec.seed, stream);
            let round = |_| {
                let mut series: Vec<usize> = (0..spec.series.len()).collect();
                order.shuffle(&mut series);
                (grid.draw(width, height, &mut patches), series)
            };
            (0..count).map(round).collect()
        };
        let repeats = rounds(spec.repeats, 0);
        let warmup = rounds(spec.warmup, 2);
        Self { verify: grid.draw(width, height, &mut Rng::new(spec.seed, 3)), warmup, repeats }
    }
}

/// What a run holds on to.
struct Run<'a> {
    spec: &'a Spec,
    readers: Vec<Reader>,
    stores: &'a Stores,
    control: &'a Control,
    on_event: &'a (dyn Fn(Event) + Send + Sync),
}

/// Runs `spec`. Progress and cancellation go through `control`, whose meter counts all traffic;
/// `on_event` hears of every sample at once.
pub async fn run(
    spec: &Spec,
    stores: &Stores,
    control: &Control,
    on_event: &(dyn Fn(Event) + Send + Sync),
) -> Result<Report> {
    spec.validate()?;
    let environment = environment();
    if environment.build == "debug" {
        control.note("this is a debug build: its times say nothing of what a release build needs");
    }
    let (readers, facts) = find(spec, stores, control, on_event).await?;
    let run = Run { spec, readers, stores, control, on_event };
    let plan = run.plan()?;
    let rounds = u64::from(spec.repeats) + u64::from(spec.warmup) + u64::from(spec.verify);
    control.set_total(rounds * spec.series.len() as u64);
    if spec.verify {
        run.verify(plan.verify).await?;
    }
    run.warm_up(&plan).await?;
    let (samples, histograms) = run.measure(&plan).await?;
    control.step("summing up");
    let (samples, summary) = control.blocking(move |_| Ok((summary(&samples), samples))).await.map(|(s, n)| (n, s))?;
    Ok(Report { secchi_bench: 1, spec: spec.clone(), environment, series: facts, samples, summary, histograms })
}

/// Opens every series once.
async fn find(
    spec: &Spec,
    stores: &Stores,
    control: &Control,
    on_event: &(dyn Fn(Event) + Send + Sync),
) -> Result<(Vec<Reader>, Vec<SeriesFacts>)> {
    let (mut readers, mut facts) = (Vec::new(), Vec::new());
    for series in &spec.series {
        control.check()?;
        control.step(format!("looking at {}", series.name));
        let reader = Reader::open(series, stores, control).await.context(|| format!("series `{}`", series.name))?;
        let found = SeriesFacts {
            name: series.name.clone(),
            format: series.format,
            location: series.location.clone(),
            extent: reader.extent(),
            layout: reader.layout().to_owned(),
        };
        on_event(Event::Series(found.clone()));
        facts.push(found);
        readers.push(reader);
    }
    Ok((readers, facts))
}

impl Run<'_> {
    fn name(&self, index: usize) -> &str {
        self.spec.series.get(index).map_or("", |s| &s.name)
    }

    /// Checks that the patches fit everywhere, and draws them.
    fn plan(&self) -> Result<Plan> {
        let grid = Grid::new(self.spec.patch, self.readers.iter().find_map(Reader::pixel))?;
        for (i, reader) in self.readers.iter().enumerate() {
            let e = reader.extent();
            if grid.side > e.width.min(e.height) {
                return Err(Error::usage(format!(
                    "a patch of {0} x {0} pixels does not fit into series `{1}`, which has {2} x {3} pixels",
                    grid.side,
                    self.name(i),
                    e.width,
                    e.height
                ))
                .with_hint(format!("choose a patch of at most {} pixels", e.width.min(e.height))));
            }
        }
        self.check_extents()?;
        let smallest = |of: fn(Extent) -> u64| self.readers.iter().map(|r| of(r.extent())).min().unwrap_or(0);
        Ok(Plan::new(self.spec, grid, smallest(|e| e.width), smallest(|e| e.height)))
    }

    /// Series of different sizes cannot be equal; unverified ones are read as they are, with a note.
    fn check_extents(&self) -> Result<()> {
        let Some(first) = self.readers.first().map(Reader::extent) else { return Ok(()) };
        let words = |e: Extent| format!("{} dates x {} bands x {} x {} pixels", e.dates, e.bands, e.height, e.width);
        for (i, reader) in self.readers.iter().enumerate().skip(1) {
            let extent = reader.extent();
            if extent == first {
                continue;
            }
            let why =
                format!("series `{}` has {}, but `{}` has {}", self.name(i), words(extent), self.name(0), words(first));
            if self.spec.verify {
                return Err(Error::invalid(why).with_hint("compare series of the same images, or set `verify = false`"));
            }
            self.control.note(format!("{why}: their times are not comparable"));
        }
        Ok(())
    }

    async fn read(&self, index: usize, window: Window, meter: &Meter) -> Result<(Pixels, Duration)> {
        let (stores, control, concurrency) = (self.stores, self.control, self.spec.concurrency);
        let Some(reader) = self.readers.get(index) else { return Err(Error::new(Kind::Failed, "no such series")) };
        match reader {
            Reader::Cog(s) => s.read(window, stores, meter, control, concurrency).await,
            Reader::Zarr(s) => s.read(window, stores, meter, control, concurrency).await,
        }
        .context(|| format!("series `{}`", self.name(index)))
    }

    /// Reads the patch from all series; fails at the first value that differs from the first series'.
    async fn verify(&self, window: Window) -> Result<()> {
        let mut first: Option<Pixels> = None;
        for index in 0..self.readers.len() {
            self.control.step(format!("verifying {}", self.name(index)));
            let (pixels, _) = self.read(index, window, &self.control.meter).await?;
            self.control.advance(1);
            let Some(expected) = first.take() else {
                first = Some(pixels);
                continue;
            };
            let (expected, found) = self
                .control
                .blocking(move |_| {
                    let found = expected.difference(&pixels);
                    Ok((expected, found))
                })
                .await?;
            if let Some(found) = found {
                let dates = |i: usize| self.readers.get(i).map(|r| r.date_name(found.date)).unwrap_or_default();
                return Err(Error::invalid(format!(
                    "series `{}` does not hold the same pixels as `{}`: at date {} ({}; {}), band {}, column {}, \
                     row {} it has {} where `{}` has {}; {} values of this patch differ",
                    self.name(index),
                    self.name(0),
                    found.date + 1,
                    dates(index),
                    dates(0),
                    found.band + 1,
                    found.x,
                    found.y,
                    found.values.1,
                    self.name(0),
                    found.values.0,
                    crate::text::count(found.count)
                ))
                .with_hint("compare series of the same images, or set `verify = false`"));
            }
            first = Some(expected);
        }
        let values = first.map_or(0, |p| p.dates.iter().map(|d| d.len() as u64).sum());
        let series = self.spec.series.iter().map(|s| s.name.clone()).collect();
        (self.on_event)(Event::Verify { window, values, series });
        Ok(())
    }

    async fn warm_up(&self, plan: &Plan) -> Result<()> {
        for (window, order) in &plan.warmup {
            for &index in order {
                self.control.step(format!("warming up {}", self.name(index)));
                let started = Instant::now();
                self.read(index, *window, &self.control.meter.child()).await?;
                let total_ms = milliseconds(started.elapsed());
                self.control.advance(1);
                (self.on_event)(Event::Warmup { series: self.name(index).to_owned(), total_ms });
            }
        }
        Ok(())
    }

    async fn measure(&self, plan: &Plan) -> Result<(Vec<Sample>, BTreeMap<String, String>)> {
        let started = Instant::now();
        let meters: Vec<Meter> = self.readers.iter().map(|_| self.control.meter.child()).collect();
        let mut samples = Vec::new();
        for (repeat, (window, order)) in plan.repeats.iter().enumerate() {
            let first = samples.len();
            for (place, (&index, meter)) in order.iter().filter_map(|i| Some((i, meters.get(*i)?))).enumerate() {
                self.control.check()?;
                self.control.step(format!("patch {} of {}: {}", repeat + 1, plan.repeats.len(), self.name(index)));
                let sample = self.sample(index, *window, (repeat, place), meter, started).await?;
                self.control.advance(1);
                (self.on_event)(Event::Sample(sample.clone()));
                samples.push(sample);
            }
            if self.spec.verify && samples[first..].windows(2).any(|pair| pair[0].checksum != pair[1].checksum) {
                // Read again to say where.
                self.verify(*window).await?;
                let why = format!("the pixels of patch {} changed between two reads", repeat + 1);
                return Err(Error::new(Kind::Changed, why));
            }
        }
        let histograms = meters
            .iter()
            .enumerate()
            .map(|(i, meter)| Ok((self.name(i).to_owned(), histogram::encode(&meter.latency())?)))
            .collect::<Result<_>>()?;
        Ok((samples, histograms))
    }

    async fn sample(
        &self,
        index: usize,
        window: Window,
        (repeat, order): (usize, usize),
        meter: &Meter,
        run_started: Instant,
    ) -> Result<Sample> {
        let meter = meter.child();
        let started = Instant::now();
        let (pixels, opening) = self.read(index, window, &meter).await?;
        let total = started.elapsed();
        let counts = meter.counts();
        let checksum = self.control.blocking(move |_| Ok(pixels.checksum())).await?;
        Ok(Sample {
            series: self.name(index).to_owned(),
            repeat: repeat as u32,
            order: order as u32,
            t_ms: milliseconds(started.duration_since(run_started)),
            x: window.x,
            y: window.y,
            w: window.w,
            h: window.h,
            bytes: counts.bytes_in,
            requests: counts.requests,
            open_ms: milliseconds(opening),
            total_ms: milliseconds(total),
            checksum,
        })
    }
}

/// Milliseconds to the microsecond: a file then holds the number exactly, and a summary made from
/// the file is that made in memory.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

fn environment() -> Environment {
    Environment {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        gdal: crate::store::gdal::load().map_or_else(|_| "none".into(), |()| VersionInfo::release_name()),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        started: chrono::Utc::now(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;

    fn spec(series: usize, warmup: u32) -> Spec {
        let location = Location::parse("memory:///x").expect("location");
        let series = (0..series).map(|i| Series::new(i.to_string(), Format::Zarr, location.clone())).collect();
        Spec { warmup, repeats: 50, series, ..Spec::default() }
    }

    #[test]
    fn a_seed_draws_the_same_patches_whatever_is_compared() {
        let grid = Grid { side: 100, step: 1 };
        let plan = Plan::new(&spec(2, 1), grid, 1000, 300);
        assert_eq!(plan, Plan::new(&spec(2, 1), grid, 1000, 300));
        let patches = |p: &Plan| p.repeats.iter().map(|r| r.0).collect::<Vec<_>>();
        assert_eq!(patches(&plan), patches(&Plan::new(&spec(5, 3), grid, 1000, 300)));
        assert!(plan.repeats.iter().all(|(w, _)| w.x + w.w <= 1000 && w.y + w.h <= 300));
        let firsts = plan.repeats.iter().filter(|(_, order)| order[0] == 0).count();
        assert!((10..40).contains(&firsts), "shuffled: {firsts} of 50");
        let other = Spec { seed: 43, ..spec(2, 1) };
        assert_ne!(patches(&plan), patches(&Plan::new(&other, grid, 1000, 300)));
    }

    #[test]
    fn patches_in_metres_are_snapped() {
        let size = PatchSize::Metres { metres: 5100.0, snap: 60.0 };
        let grid = Grid::new(size, Some(10.0)).expect("grid");
        assert_eq!(grid, Grid { side: 510, step: 6 });
        let plan = Plan::new(&spec(1, 0), grid, 10_980, 10_980);
        assert!(plan.repeats.iter().all(|(w, _)| w.x % 6 == 0 && w.y % 6 == 0 && w.x + 510 <= 10_980));
        assert_eq!(Grid::new(size, Some(60.0)).expect("grid"), Grid { side: 85, step: 1 });
        assert!(Grid::new(size, None).is_err());
        assert!(Grid::new(size, Some(1e9)).is_err());
    }
}
