//! Statistics of one column: from the statistics of a file at once, and exactly over all its batches in
//! bounded memory.
//!
//! - Counts, smallest, largest, mean and deviation are exact (Welford's method, D. E. Knuth, *The Art of
//!   Computer Programming* 2, 4.2.2).
//! - Quantiles and the histogram are exact up to 65,536 values, then off by at most
//!   [`Profile::rank_error`] of all rows ([`sketch`], after the compactors of Karnin, Lang and Liberty, 2016).
//! - Distinct values are exact up to 65,536, then estimated (`HyperLogLog`, standard error 0.8 %).
//! - Frequent values are exact up to as many distinct ones, then lower bounds (Misra and Gries, 1982).

mod count;
mod sketch;
mod words;

pub(crate) use words::rounded;

use super::{About, Layout, Rows, Scan, format_cell};
use crate::error::{Error, Result};
use crate::task::Control;
use arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Array, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, UInt64Type};
use count::{Counter, Sample, hash_bytes, hash_int};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use sketch::Sketch;
use std::sync::Arc;

/// Bins of a histogram, at most.
const BINS: usize = 60;
/// Frequent values that are told.
const TOP: usize = 20;
/// Characters of a value that is told.
const MOST: usize = 120;
/// Which quantiles are told.
const QUANTILES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];

/// What is known of a column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub column: String,
    /// Its type in words.
    pub kind: String,
    /// Whether all rows were read; else it is what the statistics of the file tell.
    pub exact: bool,
    /// Rows, nulls among them.
    pub rows: u64,
    /// Nulls, where known.
    pub nulls: Option<u64>,
    /// Values that are no numbers.
    #[serde(default)]
    pub nans: u64,
    /// Smallest value.
    pub min: Option<String>,
    /// Largest value.
    pub max: Option<String>,
    /// Mean of numbers.
    pub mean: Option<f64>,
    /// Standard deviation of numbers (of the population).
    pub deviation: Option<f64>,
    /// Shares of the rows and the values that so many do not exceed.
    #[serde(default)]
    pub quantiles: Vec<(f64, String)>,
    /// By how much of all rows a quantile may be off; 0 where they are exact.
    #[serde(default)]
    pub rank_error: f64,
    /// Distinct values.
    pub distinct: Option<Distinct>,
    /// Shortest and longest value: characters of text, bytes of binaries, items of lists.
    pub lengths: Option<(u64, u64)>,
    /// How values are spread.
    pub histogram: Option<Histogram>,
    /// Frequent values and how often they stand there (at least, where distinct values are estimated).
    #[serde(default)]
    pub top: Vec<(String, u64)>,
}

/// How many distinct values there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distinct {
    /// So many.
    Exact(u64),
    /// About so many, with a standard error of 0.8 %.
    About(u64),
}

/// How values are spread over bins of equal width.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Lower edge of the first bin, as text.
    pub from: String,
    /// Upper edge of the last bin.
    pub to: String,
    /// Values of each bin.
    pub counts: Vec<u64>,
    /// Values below the first bin: rare ones far away.
    pub below: u64,
    /// Values above the last bin.
    pub above: u64,
}

/// Reads a column from end to end. Progress in rows; stops and pauses as `control` says.
pub async fn over(rows: &Arc<dyn Rows>, column: &str, control: &Control) -> Result<Profile> {
    super::settled(rows, || once(rows, column, control)).await
}

async fn once(rows: &Arc<dyn Rows>, column: &str, control: &Control) -> Result<Profile> {
    let about = rows.about();
    let field = about.schema.field_with_name(column);
    let field = field.map_err(|_| {
        let some: Vec<&str> = about.columns.iter().take(20).map(|c| c.name.as_str()).collect();
        let more = if about.columns.len() > some.len() { ", …" } else { "" };
        let hint = format!("it has {}{more}", some.join(", "));
        Error::usage(format!("there is no column `{column}`")).with_hint(hint)
    })?;
    let kind = about.columns.iter().find(|c| c.name == column).map(|c| c.kind.clone()).unwrap_or_default();
    let mut profiler = Profiler::new(column, &kind, field.data_type());
    control.set_done(0);
    control.set_total(about.total_rows.unwrap_or(0));
    let mut batches = rows.scan(Scan { columns: Some(vec![column.to_owned()]), rows: None }, control);
    while let Some(batch) = control.race(async { Ok::<_, Error>(batches.next().await) }).await? {
        let batch = batch?;
        control.turn().await?;
        let read = batch.num_rows() as u64;
        profiler = control
            .blocking(move |_| {
                batch.columns().first().into_iter().for_each(|array| profiler.add(array));
                Ok(profiler)
            })
            .await?;
        control.advance(read);
    }
    control.blocking(move |_| Ok(profiler.finish())).await
}

/// What the statistics of a file tell of a column, without reading it; `None` where they tell nothing.
pub fn from_layout(column: &str, about: &About, layout: &Layout) -> Option<Profile> {
    let known = about.columns.iter().find(|c| c.name == column)?;
    let chunks: Vec<_> = layout.groups.iter().flat_map(|g| &g.chunks).filter(|c| c.column == column).collect();
    if chunks.is_empty() {
        return None;
    }
    let less = |a: &str, b: &str| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) if known.numeric => a < b,
        _ => a < b,
    };
    let all = |of: fn(&super::Chunk) -> Option<&String>| chunks.iter().map(|c| of(c)).collect::<Option<Vec<_>>>();
    let min = all(|c| c.min.as_ref())
        .and_then(|values| values.into_iter().reduce(|a, b| if less(b, a) { b } else { a }).cloned());
    let max = all(|c| c.max.as_ref())
        .and_then(|values| values.into_iter().reduce(|a, b| if less(a, b) { b } else { a }).cloned());
    let distinct = match chunks.as_slice() {
        [one] => one.distinct.map(Distinct::Exact),
        _ => None,
    };
    Some(Profile {
        column: column.to_owned(),
        kind: known.kind.clone(),
        rows: layout.groups.iter().map(|g| g.rows).sum(),
        nulls: chunks.iter().map(|c| c.nulls).sum(),
        min,
        max,
        distinct,
        ..Profile::default()
    })
}

/// How the values of a column are taken.
#[derive(Clone, Debug, PartialEq)]
enum Take {
    /// Whole numbers, times and dates by their number.
    Int,
    Float,
    Text,
    Bytes,
    Bool,
    /// Nothing but nulls and lengths.
    Other,
}

/// Takes batch after batch of a column into account. Its memory is bounded, some 10 MB.
pub struct Profiler {
    profile: Profile,
    kind: DataType,
    take: Take,
    ints: Option<(i128, i128)>,
    floats: Option<(f64, f64)>,
    texts: Option<(Box<str>, Box<str>)>,
    /// Numbers so far, their mean, the sum of squared differences from it.
    moments: (f64, f64, f64),
    sketch: Sketch,
    counter: Counter,
}

impl Profiler {
    /// For a column of this name and type.
    pub fn new(column: &str, words: &str, kind: &DataType) -> Self {
        let kind = match kind {
            DataType::Dictionary(_, value) => value.as_ref().clone(),
            other => other.clone(),
        };
        let take = match &kind {
            k if k.is_integer() || k.is_temporal() => Take::Int,
            k if k.is_numeric() => Take::Float,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Take::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Take::Bytes
            }
            DataType::Boolean => Take::Bool,
            _ => Take::Other,
        };
        let profile = Profile {
            column: column.to_owned(),
            kind: words.to_owned(),
            exact: true,
            nulls: Some(0),
            ..Profile::default()
        };
        Self {
            profile,
            kind,
            take,
            ints: None,
            floats: None,
            texts: None,
            moments: (0.0, 0.0, 0.0),
            sketch: Sketch::default(),
            counter: Counter::default(),
        }
    }

    /// Takes more rows into account.
    pub fn add(&mut self, array: &ArrayRef) {
        let nulls = array.logical_null_count() as u64;
        self.profile.rows += array.len() as u64;
        self.profile.nulls = self.profile.nulls.map(|n| n + nulls);
        let to = |kind: &DataType| cast(array, kind);
        match self.take {
            Take::Int if self.kind == DataType::UInt64 => {
                if let Ok(array) = to(&DataType::UInt64) {
                    array.as_primitive::<UInt64Type>().iter().flatten().for_each(|v| self.int(i128::from(v)));
                }
            }
            // Of 32 bits, and cast only to its own kind of number.
            Take::Int if matches!(self.kind, DataType::Time32(_)) => {
                if let Ok(array) = to(&self.kind).and_then(|array| cast(&array, &DataType::Int32)) {
                    array.as_primitive::<Int32Type>().iter().flatten().for_each(|v| self.int(i128::from(v)));
                }
            }
            Take::Int => {
                if let Ok(array) = to(&self.kind).and_then(|array| cast(&array, &DataType::Int64)) {
                    array.as_primitive::<Int64Type>().iter().flatten().for_each(|v| self.int(i128::from(v)));
                }
            }
            Take::Float => {
                if let Ok(array) = to(&DataType::Float64) {
                    array.as_primitive::<Float64Type>().iter().flatten().for_each(|v| self.float(v));
                }
            }
            Take::Text => {
                if let Ok(array) = to(&DataType::LargeUtf8) {
                    array.as_string::<i64>().iter().flatten().for_each(|v| self.text(v));
                }
            }
            Take::Bytes => {
                if let Ok(array) = to(&DataType::LargeBinary) {
                    for value in array.as_binary::<i64>().iter().flatten() {
                        self.length(value.len() as u64);
                        self.counter.add(hash_bytes(value), || Sample::Nothing);
                    }
                }
            }
            Take::Bool => {
                if let Ok(array) = to(&DataType::Boolean) {
                    for value in array.as_boolean().iter().flatten() {
                        self.counter.add(hash_int(i128::from(value)), || Sample::Text(value.to_string().into()));
                    }
                }
            }
            Take::Other => self.items(array),
        }
    }

    fn int(&mut self, value: i128) {
        let (min, max) = self.ints.get_or_insert((value, value));
        (*min, *max) = ((*min).min(value), (*max).max(value));
        self.number(value as f64);
        self.counter.add(hash_int(value), || Sample::Int(value));
    }

    fn float(&mut self, value: f64) {
        if value.is_nan() {
            self.profile.nans += 1;
            return;
        }
        // Both zeros are one value.
        let value = value + 0.0;
        let (min, max) = self.floats.get_or_insert((value, value));
        (*min, *max) = (min.min(value), max.max(value));
        self.number(value);
        self.counter.add(hash_int(i128::from(value.to_bits())), || Sample::Float(value));
    }

    fn number(&mut self, value: f64) {
        self.sketch.add(value);
        if value.is_finite() {
            let (n, mean, squares) = &mut self.moments;
            *n += 1.0;
            let before = value - *mean;
            *mean += before / *n;
            *squares += before * (value - *mean);
        }
    }

    fn text(&mut self, value: &str) {
        self.length(value.chars().count() as u64);
        match &mut self.texts {
            None => self.texts = Some((value.into(), value.into())),
            Some((min, max)) => {
                if value < &**min {
                    *min = value.into();
                }
                if value > &**max {
                    *max = value.into();
                }
            }
        }
        self.counter.add(hash_bytes(value.as_bytes()), || Sample::Text(short(value).into()));
    }

    fn length(&mut self, length: u64) {
        let (min, max) = self.profile.lengths.get_or_insert((length, length));
        (*min, *max) = ((*min).min(length), (*max).max(length));
    }

    fn items(&mut self, array: &ArrayRef) {
        let lengths = arrow::compute::kernels::length::length(array.as_ref()).and_then(|l| cast(&l, &DataType::Int64));
        if let Ok(lengths) = lengths {
            lengths.as_primitive::<Int64Type>().iter().flatten().for_each(|n| self.length(n.unsigned_abs()));
        }
    }

    /// What has come of it.
    pub fn finish(self) -> Profile {
        let Self { mut profile, kind, take, ints, floats, texts, moments, sketch, counter } = self;
        let as_text = |value: f64| number_text(value, &take, &kind);
        if let Some((min, max)) = ints {
            (profile.min, profile.max) = (Some(int_text(min, &kind)), Some(int_text(max, &kind)));
        } else if let Some((min, max)) = floats {
            (profile.min, profile.max) = (Some(as_text(min)), Some(as_text(max)));
        } else if let Some((min, max)) = texts {
            (profile.min, profile.max) = (Some(short(&min)), Some(short(&max)));
        }
        if moments.0 > 0.0 && !kind.is_temporal() {
            profile.mean = Some(moments.1);
            profile.deviation = Some((moments.2 / moments.0).max(0.0).sqrt());
        }
        let sorted = sketch.sorted();
        profile.rank_error = sketch.rank_error();
        profile.quantiles =
            QUANTILES.iter().filter_map(|q| Some((*q, as_text(sketch::quantile(&sorted, *q)?)))).collect();
        profile.histogram = histogram(&sorted, take == Take::Int, as_text);
        if take != Take::Other {
            profile.distinct = Some(match counter.distinct() {
                (n, true) => Distinct::Exact(n),
                (n, false) => Distinct::About(n),
            });
        }
        profile.top = counter
            .top(TOP)
            .into_iter()
            .filter_map(|(sample, n)| match sample {
                Sample::Int(value) => Some((int_text(value, &kind), n)),
                Sample::Float(value) => Some((as_text(value), n)),
                Sample::Text(text) => Some((text.into_string(), n)),
                Sample::Nothing => None,
            })
            .collect();
        profile
    }
}

/// The first characters of a text.
fn short(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A whole number as its column writes it: a date, a time.
fn int_text(value: i128, kind: &DataType) -> String {
    let text = |value: i64| {
        let number: ArrayRef = Arc::new(Int64Array::from(vec![value]));
        let number = if matches!(kind, DataType::Time32(_)) { cast(&number, &DataType::Int32).ok()? } else { number };
        let array = cast(&number, kind).ok()?;
        let batch = RecordBatch::try_from_iter([("", array)]).ok()?;
        Some(format_cell(&batch, 0, 0))
    };
    let time = if kind.is_temporal() { i64::try_from(value).ok().and_then(text) } else { None };
    time.unwrap_or_else(|| value.to_string())
}

fn number_text(value: f64, take: &Take, kind: &DataType) -> String {
    if *take == Take::Int {
        return int_text(value.round() as i128, kind);
    }
    // As narrow as the column is: 0.1 of an f32 is not 0.10000000149011612.
    let array: ArrayRef = Arc::new(Float64Array::from(vec![value]));
    let array = if kind.is_floating() { cast(&array, kind).unwrap_or(array) } else { array };
    RecordBatch::try_from_iter([("", array)]).map_or_else(|_| value.to_string(), |batch| format_cell(&batch, 0, 0))
}

/// Bins over the values, without the rare ones far away that would squeeze all others into one bin.
fn histogram(sorted: &[(f64, u64)], whole: bool, text: impl Fn(f64) -> String) -> Option<Histogram> {
    let finite: Vec<(f64, u64)> = sorted.iter().copied().filter(|(v, _)| v.is_finite()).collect();
    let (first, last) = (finite.first()?.0, finite.last()?.0);
    let (low, high) = (sketch::quantile(&finite, 0.01)?, sketch::quantile(&finite, 0.99)?);
    let inner = high - low;
    let from = if inner > 0.0 && low - first > inner { low } else { first };
    let to = if inner > 0.0 && last - high > inner { high } else { last };
    let span = to - from;
    if !span.is_finite() {
        return None;
    }
    // Whole numbers of a small range have a bin each.
    let bins = match (span, whole) {
        (0.0, _) => 1,
        (span, true) if span < BINS as f64 => span as usize + 1,
        _ => BINS,
    };
    let width = if whole && bins < BINS { 1.0 } else { span / bins as f64 };
    let mut out = Histogram { from: text(from), to: text(to), counts: vec![0; bins], ..Histogram::default() };
    for (value, n) in finite {
        if value < from {
            out.below += n;
        } else if value > to {
            out.above += n;
        } else {
            let bin = if width > 0.0 { ((value - from) / width) as usize } else { 0 };
            out.counts[bin.min(bins - 1)] += n;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests;
