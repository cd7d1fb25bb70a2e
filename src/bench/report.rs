//! What a benchmark found: raw samples, a summary that can be recomputed from them, files of it,
//! and the comparison of two.

use super::histogram;
use super::patch::Extent;
use super::spec::{Format, Spec};
use super::stats::{self, BOOTSTRAP_SEED, Interval, MannWhitney, MeanRatio};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::text::{self, clean};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One timed read of one patch of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Name of the series.
    pub series: String,
    /// Which patch, from 0; all series read the same one.
    pub repeat: u32,
    /// Which of the series was read as the how-manyth of this repeat, from 0.
    pub order: u32,
    /// Milliseconds from the start of the run to the start of this read.
    pub t_ms: f64,
    /// Column of the patch's left edge.
    pub x: u64,
    /// Row of its upper edge.
    pub y: u64,
    /// Columns.
    pub w: u64,
    /// Rows.
    pub h: u64,
    /// Bytes received for it.
    pub bytes: u64,
    /// Requests sent for it.
    pub requests: u64,
    /// Milliseconds spent on opening: of files opened at the same time, the sum.
    pub open_ms: f64,
    /// Milliseconds for open, slice and decode together, by the wall clock.
    pub total_ms: f64,
    /// Of the pixels: equal in all series at the same patch. FNV-1a, 64 bits.
    pub checksum: String,
}

/// A series as it was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesFacts {
    /// Its name.
    pub name: String,
    /// How it is stored.
    pub format: Format,
    /// Where.
    pub location: Location,
    /// How large it is.
    #[serde(flatten)]
    pub extent: Extent,
    /// The inner layout in words: "blocks 512 x 512", "chunks 20 x 4 x 512 x 512".
    pub layout: String,
}

/// Where and with what it was measured. The host is left out: reports are shared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of secchi.
    pub version: String,
    /// `release`, or `debug`, whose times mean nothing.
    pub build: String,
    /// Version of GDAL.
    pub gdal: String,
    /// Operating system and architecture.
    pub system: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// When it began.
    pub started: chrono::DateTime<chrono::Utc>,
}

/// The statistics of a series, times in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesSummary {
    /// Its name.
    pub series: String,
    /// Samples.
    pub n: usize,
    /// Mean of [`Sample::total_ms`].
    pub mean: f64,
    /// Its bootstrap 95 % confidence interval.
    pub mean_ci95: Interval,
    /// Median.
    pub median: f64,
    /// Its bootstrap 95 % confidence interval.
    pub median_ci95: Interval,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Fastest.
    pub min: f64,
    /// Slowest.
    pub max: f64,
    /// Standard deviation.
    pub std: f64,
    /// Standard error of the mean.
    pub stderr: f64,
    /// Mean of [`Sample::open_ms`].
    pub open_mean: f64,
    /// Bytes received for a patch, mean.
    pub bytes: f64,
    /// Requests for a patch, mean.
    pub requests: f64,
    /// Bytes received a second, over all its reads.
    pub bytes_per_second: f64,
    /// Patches a second.
    pub patches_per_second: f64,
}

/// How many times as long one series takes as another, over the patches that both read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesRatio {
    /// The slower one.
    pub slow: String,
    /// The faster one.
    pub fast: String,
    /// Ratio of their means, with its interval.
    #[serde(flatten)]
    pub means: MeanRatio,
}

/// What the samples say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// By name of the series.
    pub series: Vec<SeriesSummary>,
    /// Every pair of series.
    pub ratios: Vec<SeriesRatio>,
}

/// The summary of raw samples. Pure: the same samples, in any order, give the same summary.
pub fn summary(samples: &[Sample]) -> Summary {
    summary_with(samples, stats::RESAMPLES)
}

/// [`summary`] with another number of bootstrap resamples; 0, for a screen that follows a run, makes
/// every interval the value itself.
pub fn summary_with(samples: &[Sample], resamples: usize) -> Summary {
    let mut by_name: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        by_name.entry(&sample.series).or_default().push(sample);
    }
    for group in by_name.values_mut() {
        group.sort_by_key(|s| s.repeat);
    }
    let series: Vec<SeriesSummary> = by_name.iter().map(|(name, group)| of_series(name, group, resamples)).collect();
    let mut ratios = Vec::new();
    for (i, one) in series.iter().enumerate() {
        for other in &series[i + 1..] {
            let (slow, fast) = if one.mean >= other.mean { (one, other) } else { (other, one) };
            let fast_by_repeat: BTreeMap<u32, f64> =
                by_name[fast.series.as_str()].iter().map(|s| (s.repeat, s.total_ms)).collect();
            let pairs: Vec<(f64, f64)> = by_name[slow.series.as_str()]
                .iter()
                .filter_map(|s| Some((s.total_ms, *fast_by_repeat.get(&s.repeat)?)))
                .collect();
            if !pairs.is_empty() {
                let means = stats::paired_ratio(&pairs, resamples, BOOTSTRAP_SEED);
                ratios.push(SeriesRatio { slow: slow.series.clone(), fast: fast.series.clone(), means });
            }
        }
    }
    Summary { series, ratios }
}

fn of_series(name: &str, group: &[&Sample], resamples: usize) -> SeriesSummary {
    let of = |f: fn(&Sample) -> f64| group.iter().map(|s| f(s)).collect::<Vec<f64>>();
    let times = of(|s| s.total_ms);
    let (mean_ci95, median_ci95) = stats::bootstrap(&times, resamples, BOOTSTRAP_SEED);
    let bytes = of(|s| s.bytes as f64);
    let seconds = times.iter().sum::<f64>() / 1e3;
    let per_second = |n: f64| if seconds > 0.0 { n / seconds } else { 0.0 };
    SeriesSummary {
        series: name.to_owned(),
        n: times.len(),
        mean: stats::mean(&times),
        mean_ci95,
        median: stats::median(&times),
        median_ci95,
        p90: stats::quantile(&times, 0.9),
        p99: stats::quantile(&times, 0.99),
        min: stats::quantile(&times, 0.0),
        max: stats::quantile(&times, 1.0),
        std: stats::standard_deviation(&times),
        stderr: stats::standard_error(&times),
        open_mean: stats::mean(&of(|s| s.open_ms)),
        bytes: stats::mean(&bytes),
        requests: stats::mean(&of(|s| s.requests as f64)),
        bytes_per_second: per_second(bytes.iter().sum()),
        patches_per_second: per_second(times.len() as f64),
    }
}

/// A benchmark's result: the content of its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the file format: 1.
    pub secchi_bench: u32,
    /// What was asked.
    pub spec: Spec,
    /// Where it was measured.
    pub environment: Environment,
    /// What was read.
    pub series: Vec<SeriesFacts>,
    /// Every timed read, in the order of time.
    pub samples: Vec<Sample>,
    /// [`summary`] of the samples.
    pub summary: Summary,
    /// Latencies of single requests by series, in microseconds: `HdrHistogram` V2, deflated, base64.
    pub histograms: BTreeMap<String, String>,
}

impl Report {
    /// The file's text.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads a file.
    pub fn from_json(text: &str) -> Result<Self> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        match value.get("secchi_bench").and_then(serde_json::Value::as_u64) {
            Some(1) => Ok(serde_json::from_value(value)?),
            Some(n) => Err(Error::unsupported(format!("a benchmark of format {n}; this version reads format 1"))),
            None => {
                Err(Error::invalid("this is not the result of a benchmark").with_hint("`secchi bench run` writes one"))
            }
        }
    }

    /// Latencies of the requests of a series, in microseconds; `None` where there is none of this name.
    pub fn histogram(&self, series: &str) -> Option<Result<hdrhistogram::Histogram<u64>>> {
        self.histograms.get(series).map(|text| histogram::decode(text))
    }

    /// The samples as CSV (RFC 4180), a header first.
    pub fn csv(&self) -> String {
        let mut out = "series,repeat,order,t_ms,x,y,w,h,bytes,requests,open_ms,total_ms,checksum\r\n".to_owned();
        for s in &self.samples {
            let _ = write!(
                out,
                "{},{},{},{:.3},{},{},{},{},{},{},{:.3},{:.3},{}\r\n",
                field(&s.series),
                s.repeat,
                s.order,
                s.t_ms,
                s.x,
                s.y,
                s.w,
                s.h,
                s.bytes,
                s.requests,
                s.open_ms,
                s.total_ms,
                s.checksum
            );
        }
        out
    }

    /// The summary as Markdown.
    pub fn markdown(&self) -> String {
        let (spec, env) = (&self.spec, &self.environment);
        let mut out = format!("# {}\n\n", cell(&spec.label()));
        for facts in &self.series {
            let e = facts.extent;
            let _ = writeln!(
                out,
                "- `{}`: {} at {}, {} dates x {} bands x {} x {} pixels, {}",
                cell(&facts.name),
                facts.format.label(),
                cell(&facts.location.to_string()),
                e.dates,
                e.bands,
                e.height,
                e.width,
                cell(&facts.layout),
            );
        }
        let patch = self.samples.first().map_or_else(String::new, |s| format!(" of {} x {} pixels", s.w, s.h));
        let _ = writeln!(
            out,
            "\n{} random patches{patch}, seed {}, {} read at once; secchi {} ({}), {} cores, {}.\n",
            spec.repeats,
            spec.seed,
            spec.concurrency,
            env.version,
            env.build,
            env.cores,
            env.started.format("%Y-%m-%d %H:%M UTC")
        );
        out.push_str("| series | n | mean ms | 95 % of mean | median ms | 95 % of median | p90 | p99 | std | stderr | requests | received | rate |\n");
        out.push_str("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
        for s in &self.summary.series {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} | {} | {} |",
                cell(&s.series),
                s.n,
                ms(s.mean),
                interval(s.mean_ci95),
                ms(s.median),
                interval(s.median_ci95),
                ms(s.p90),
                ms(s.p99),
                ms(s.std),
                ms(s.stderr),
                s.requests,
                text::bytes(s.bytes as u64),
                text::rate(s.bytes_per_second),
            );
        }
        out.push('\n');
        for r in &self.summary.ratios {
            let _ = writeln!(
                out,
                "- {} takes {:.2} times as long as {} (95 %: {:.2} to {:.2})",
                cell(&r.slow),
                r.means.ratio,
                cell(&r.fast),
                r.means.ci95.low,
                r.means.ci95.high
            );
        }
        out
    }
}

/// A value as a field of CSV.
fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Foreign text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    clean(text).replace('\\', "\\\\").replace('|', "\\|").replace('`', "'").replace('<', "&lt;")
}

/// Milliseconds with a sensible number of digits.
fn ms(value: f64) -> String {
    if value < 10.0 { format!("{value:.3}") } else { format!("{value:.1}") }
}

fn interval(i: Interval) -> String {
    format!("{} – {}", ms(i.low), ms(i.high))
}

/// How a series fared in two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesComparison {
    /// The series, of this name in both.
    pub series: String,
    /// Mean milliseconds in the first run.
    pub mean_a: f64,
    /// Mean milliseconds in the second.
    pub mean_b: f64,
    /// Mean of the second over mean of the first, with its interval: below 1, it became faster.
    pub change: MeanRatio,
    /// Whether that may be chance; of the second against the first.
    pub test: MannWhitney,
    /// `p` below 0.05.
    pub significant: bool,
    /// Too few samples for the test's approximation: fewer than 8 in one of the runs.
    pub few: bool,
}

/// Two runs side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Series that both hold.
    pub series: Vec<SeriesComparison>,
    /// Series that only the first holds.
    pub only_a: Vec<String>,
    /// Series that only the second holds.
    pub only_b: Vec<String>,
    /// What makes the two hard to compare, in sentences.
    pub warnings: Vec<String>,
}

/// Compares two runs, series by name.
pub fn compare(a: &Report, b: &Report) -> Comparison {
    let times = |report: &Report, name: &str| -> Vec<f64> {
        report.samples.iter().filter(|s| s.series == name).map(|s| s.total_ms).collect()
    };
    let names = |report: &Report| report.summary.series.iter().map(|s| s.series.clone()).collect::<Vec<_>>();
    let (names_a, names_b) = (names(a), names(b));
    let mut series = Vec::new();
    for name in names_a.iter().filter(|n| names_b.contains(n)) {
        let (before, after) = (times(a, name), times(b, name));
        let Some(test) = stats::mann_whitney(&after, &before) else { continue };
        series.push(SeriesComparison {
            series: name.clone(),
            mean_a: stats::mean(&before),
            mean_b: stats::mean(&after),
            change: stats::independent_ratio(&after, &before, BOOTSTRAP_SEED),
            test,
            significant: test.p < 0.05,
            few: before.len().min(after.len()) < 8,
        });
    }
    Comparison {
        series,
        only_a: names_a.iter().filter(|n| !names_b.contains(n)).cloned().collect(),
        only_b: names_b.iter().filter(|n| !names_a.contains(n)).cloned().collect(),
        warnings: warnings(a, b),
    }
}

fn warnings(a: &Report, b: &Report) -> Vec<String> {
    let mut out = Vec::new();
    let mut differ = |what: &str, one: String, other: String| {
        if one != other {
            out.push(format!("{what} differ: {one} and {other}"));
        }
    };
    let size = |r: &Report| r.samples.first().map_or_else(String::new, |s| format!("{} x {}", s.w, s.h));
    differ("patch sizes", size(a), size(b));
    differ("seeds", a.spec.seed.to_string(), b.spec.seed.to_string());
    differ("concurrencies", a.spec.concurrency.to_string(), b.spec.concurrency.to_string());
    differ("numbers of cores", a.environment.cores.to_string(), b.environment.cores.to_string());
    differ("builds", a.environment.build.clone(), b.environment.build.clone());
    out
}

impl Comparison {
    /// As a Markdown table.
    pub fn markdown(&self) -> String {
        let mut out = "| series | before ms | after ms | after / before | 95 % | p | |\n".to_owned();
        out.push_str("|---|--:|--:|--:|--:|--:|---|\n");
        for s in &self.series {
            let verdict = match (s.significant, s.change.ratio < 1.0) {
                (false, _) => "no clear difference",
                (true, true) => "faster",
                (true, false) => "slower",
            };
            let few = if s.few { ", few samples" } else { "" };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {:.3} | {:.3} – {:.3} | {} | {verdict}{few} |",
                cell(&s.series),
                ms(s.mean_a),
                ms(s.mean_b),
                s.change.ratio,
                s.change.ci95.low,
                s.change.ci95.high,
                probability(s.test.p)
            );
        }
        for (which, names) in [("first", &self.only_a), ("second", &self.only_b)] {
            for name in names {
                let _ = writeln!(out, "\n- `{}` is only in the {which} run", cell(name));
            }
        }
        for warning in &self.warnings {
            let _ = writeln!(out, "\n- {warning}");
        }
        out
    }
}

/// A probability as papers print it.
fn probability(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}
