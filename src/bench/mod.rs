//! Benchmarks of random patch reads: how long does it take to load a small window of all dates of
//! a time series of images, from this store, in that format?
//!
//! A [`Spec`] names the series; [`run()`] finds how large they are, proves that they hold equal
//! pixels, warms up, and then reads one random patch after the other from all of them, in shuffled
//! order. Each read is timed from opening to decoded pixels and kept as a raw [`Sample`]; the
//! [`Report`] holds them all, and its [`Summary`] can be recomputed from them by [`summary`].
//!
//! The method is that of the Sentinel-2 storage benchmark of HAMK (`hamk-uas/datacube-storage-lab`):
//! the same random patches for all, shuffled within each repeat, one warm-up round.

mod cog;
mod histogram;
mod patch;
mod report;
mod rng;
mod run;
mod spec;
/// Means, quantiles, bootstrap intervals and a significance test.
pub mod stats;
mod zarr;

pub use patch::{Extent, Window};
pub use report::{
    Comparison, Environment, Report, Sample, SeriesComparison, SeriesFacts, SeriesRatio, SeriesSummary, Summary,
    compare, summary, summary_with,
};
pub use run::{Event, run};
pub use spec::{Format, PatchSize, Series, Spec};
