//! Batches of a table to features: geometry columns in every encoding, or a pair of columns of longitude
//! and latitude, and beside it the column that colours.

use super::features::{Features, Values};
use super::plane::wrap;
use super::project::Reference;
use crate::error::{Error, Result};
use crate::table::wkt::{Native, Stop, Visit as _, visit_wkb};
use crate::table::{About, Coordinates, Encoding, coordinates, shape};
use arrow::array::{Array as _, ArrayRef, AsArray as _, BinaryArray, Float64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Words that are held apart; others are one.
const MOST_WORDS: usize = 4_096;
/// Bytes of a point in WKB.
const POINT: usize = 21;

/// Where the geometry of a table stands.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    Wkb(String),
    Wkt(String),
    Native(String, String),
    Pair(String, String),
}

/// What is read of a table for a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    source: Source,
    /// The column that colours.
    pub colour: Option<String>,
    /// The reference system.
    pub reference: Reference,
}

impl Plan {
    /// Whether a table of this kind can be shown on a map.
    pub fn fits(about: &About) -> bool {
        source(about).is_some()
    }

    /// For a table: its primary geometry column, else its columns of longitude and latitude; coloured by
    /// the column that seems to say most.
    pub fn of(about: &About) -> Result<Self> {
        let Some((source, reference)) = source(about) else {
            let names: Vec<&str> = about.columns.iter().take(12).map(|c| c.name.as_str()).collect();
            let why = format!("it has no geometry, nor columns of longitude and latitude, among {}", names.join(", "));
            return Err(Error::unsupported(why).with_hint(
                "GeoParquet, GeoArrow, columns of WKT, and columns called lon and lat, longitude and latitude, x and y are shown",
            ));
        };
        let mut plan = Self { source, colour: None, reference };
        plan.colour = plan.choices(about).into_iter().max_by_key(|name| promise(about, name));
        Ok(plan)
    }

    /// The columns that can colour, in the table's order.
    pub fn choices(&self, about: &About) -> Vec<String> {
        let taken = self.geometry();
        let fields = about.schema.fields().iter();
        let fits = fields.filter(|f| !taken.contains(f.name()) && about.geo.column(f.name()).is_none());
        fits.filter(|f| can_colour(f.data_type())).map(|f| f.name().clone()).collect()
    }

    /// The columns that hold the geometry.
    pub fn geometry(&self) -> Vec<String> {
        match &self.source {
            Source::Wkb(name) | Source::Wkt(name) | Source::Native(name, _) => vec![name.clone()],
            Source::Pair(lon, lat) => vec![lon.clone(), lat.clone()],
        }
    }

    /// All columns that are read.
    pub fn columns(&self) -> Vec<String> {
        let mut columns = self.geometry();
        columns.extend(self.colour.clone());
        columns
    }
}

fn source(about: &About) -> Option<(Source, Reference)> {
    for column in &about.geo.columns {
        let Ok(field) = about.schema.field_with_name(&column.name) else { continue };
        let source = match &column.encoding {
            Encoding::Wkb => Source::Wkb(column.name.clone()),
            Encoding::Native(kind) if Native::of(field.data_type(), kind).is_some() => {
                Source::Native(column.name.clone(), kind.clone())
            }
            Encoding::Wkt => Source::Wkt(column.name.clone()),
            Encoding::Native(_) => continue,
        };
        return Some((source, Reference::of(about, column)));
    }
    let numeric: Vec<&String> =
        about.schema.fields().iter().filter(|f| f.data_type().is_numeric()).map(|f| f.name()).collect();
    let Coordinates::Found(lon, lat) = coordinates(&numeric) else { return None };
    Some((Source::Pair(numeric[lon].clone(), numeric[lat].clone()), Reference::degrees()))
}

fn can_colour(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => can_colour(value),
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Boolean
        | DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Decimal128(..) => true,
        other => other.is_numeric(),
    }
}

/// How much a column seems to say: a measured quantity more than a number of something.
fn promise(about: &About, name: &str) -> (u8, std::cmp::Reverse<usize>) {
    const TELLING: [&str; 10] =
        ["h_mean", "elev", "height", "depth", "temp", "salin", "value", "altitude", "h_li", "concentration"];
    let at = about.schema.fields().iter().position(|f| f.name() == name).unwrap_or(usize::MAX);
    let kind = about.schema.fields().get(at).map(|f| f.data_type().clone());
    let lower = name.to_lowercase();
    let identifies = lower == "id" || lower.ends_with("_id") || lower.ends_with("index") || lower.starts_with("fid");
    let rank = match kind {
        Some(DataType::Float64 | DataType::Float32) if TELLING.iter().any(|t| lower.contains(t)) => 6,
        Some(DataType::Float64 | DataType::Float32) => 5,
        _ if identifies => 0,
        Some(k) if k.is_integer() => 3,
        Some(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..)) => 2,
        _ => 1,
    };
    (rank, std::cmp::Reverse(at))
}

/// The numbers of the rows that ranges give, one after the other.
pub(super) struct Numbers {
    ranges: std::vec::IntoIter<Range<u64>>,
    now: Range<u64>,
}

impl Numbers {
    pub(super) fn new(ranges: Option<Vec<Range<u64>>>) -> Self {
        let all = std::iter::once(0..u64::MAX).collect();
        Self { ranges: ranges.unwrap_or(all).into_iter(), now: 0..0 }
    }
}

impl Iterator for Numbers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        while self.now.is_empty() {
            self.now = self.ranges.next()?;
        }
        self.now.next()
    }
}

/// Takes batches in.
pub struct Reader {
    plan: Plan,
    features: Features,
    numbers: Numbers,
    words: HashMap<String, u32>,
    /// Rows that were taken in.
    pub rows: u64,
}

impl Reader {
    /// For rows of these ranges (`None`: from the first on).
    pub fn new(plan: Plan, ranges: Option<Vec<Range<u64>>>) -> Self {
        let (features, numbers) = (Features::new(), Numbers::new(ranges));
        Self { plan, features, numbers, words: HashMap::new(), rows: 0 }
    }

    /// What was read so far.
    pub fn finish(self) -> Features {
        self.features
    }

    /// Whether no more can be held.
    pub fn is_full(&self) -> bool {
        self.features.is_full()
    }

    /// Takes in the rows that follow. Blocks: on a thread for such work.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows: Vec<u64> = self.numbers.by_ref().take(batch.num_rows()).collect();
        self.rows += batch.num_rows() as u64;
        let mut chunk = Features::new();
        // Which of the batch's rows each feature is.
        let mut local = match &self.plan.source {
            Source::Wkb(name) => add_wkb(&mut chunk, column(batch, name)?, &rows)?,
            Source::Wkt(name) => add_wkt(&mut chunk, column(batch, name)?, &rows)?,
            Source::Native(name, kind) => add_native(&mut chunk, column(batch, name)?, kind, &rows)?,
            Source::Pair(x, y) => add_pair(&mut chunk, column(batch, x)?, column(batch, y)?, &rows)?,
        };
        self.plan.reference.project(chunk.positions_mut())?;
        settle(&mut chunk, &mut local, self.plan.reference.is_earth());
        self.add_values(batch, &local)?;
        self.features.append(&chunk);
        Ok(())
    }

    fn add_values(&mut self, batch: &RecordBatch, local: &[u32]) -> Result<()> {
        let Some(name) = &self.plan.colour else { return Ok(()) };
        let array = column(batch, name)?;
        if is_number(array.data_type()) {
            let numbers = numbers(array)?;
            let Values::Numbers(all) = or_numbers(&mut self.features.values) else { return Ok(()) };
            all.extend(local.iter().map(|&row| {
                let row = row as usize;
                if numbers.is_valid(row) { numbers.value(row) } else { f64::NAN }
            }));
            return Ok(());
        }
        let text = cast(array, &DataType::Utf8).map_err(|err| {
            Error::invalid(format!("`{name}` cannot colour: its values are no text")).with_source(err)
        })?;
        let text: &StringArray = text.as_string();
        let Values::Words { codes, names } = or_words(&mut self.features.values) else { return Ok(()) };
        for &row in local {
            let row = row as usize;
            if text.is_null(row) {
                codes.push(Values::MISSING);
                continue;
            }
            let word = text.value(row);
            let code = match self.words.get(word) {
                Some(code) => *code,
                None if names.len() >= MOST_WORDS => Values::OTHER,
                None => {
                    let code = names.len() as u32;
                    names.push(word.to_owned());
                    self.words.insert(word.to_owned(), code);
                    code
                }
            };
            codes.push(code);
        }
        Ok(())
    }
}

fn or_numbers(values: &mut Values) -> &mut Values {
    if matches!(values, Values::None) {
        *values = Values::Numbers(Vec::new());
    }
    values
}

fn or_words(values: &mut Values) -> &mut Values {
    if matches!(values, Values::None) {
        *values = Values::Words { codes: Vec::new(), names: Vec::new() };
    }
    values
}

fn is_number(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => is_number(value),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Decimal128(..) => true,
        other => other.is_numeric(),
    }
}

/// Whether values of this type are points in time: seconds since 1970 once they were read.
pub fn is_time(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| Error::invalid(format!("the column `{name}` is missing")))
}

fn numbers(array: &ArrayRef) -> Result<Float64Array> {
    let not = |err| Error::invalid("values are not numbers").with_source(err);
    let seconds = if is_time(array.data_type()) {
        let ms = cast(array, &DataType::Timestamp(TimeUnit::Millisecond, None)).map_err(not)?;
        Some(cast(&ms, &DataType::Int64).map_err(not)?)
    } else {
        None
    };
    let floats = cast(seconds.as_ref().unwrap_or(array), &DataType::Float64).map_err(not)?;
    let floats: &Float64Array = floats.as_primitive::<Float64Type>();
    Ok(if seconds.is_some() { floats.unary(|ms| ms / 1_000.0) } else { floats.clone() })
}

fn add_wkb(chunk: &mut Features, array: &ArrayRef, rows: &[u64]) -> Result<Vec<u32>> {
    let not = |err| Error::invalid("the geometry column holds no bytes").with_source(err);
    let array = if array.data_type() == &DataType::Binary {
        array.clone()
    } else {
        cast(array, &DataType::Binary).map_err(not)?
    };
    let array: &BinaryArray = array.as_binary::<i32>();
    let mut local = Vec::with_capacity(rows.len());
    for (at, &row) in rows.iter().enumerate() {
        if array.is_null(at) {
            chunk.without += 1;
            continue;
        }
        let bytes = array.value(at);
        if let Some(point) = little_point(bytes) {
            chunk.push_point(row, point);
        } else if !chunk.push(row, |collect| visit_wkb(bytes, collect)) {
            continue;
        }
        local.push(at as u32);
    }
    Ok(local)
}

/// Rows whose text is no geometry have none.
fn add_wkt(chunk: &mut Features, array: &ArrayRef, rows: &[u64]) -> Result<Vec<u32>> {
    let not = |err| Error::invalid("the geometry column holds no text").with_source(err);
    let text = cast(array, &DataType::Utf8).map_err(not)?;
    let text: &StringArray = text.as_string();
    let shapes: BinaryArray =
        text.iter().map(|text| text.and_then(|text| shape::from_wkt(text).ok()).map(|s| shape::to_wkb(&s))).collect();
    let shapes: ArrayRef = Arc::new(shapes);
    add_wkb(chunk, &shapes, rows)
}

/// The most common form: a little-endian point without z.
fn little_point(bytes: &[u8]) -> Option<[f64; 2]> {
    let bytes: &[u8; POINT] = bytes.try_into().ok()?;
    let (head, rest) = bytes.split_first_chunk::<5>()?;
    let (x, rest) = rest.split_first_chunk::<8>()?;
    let at = [f64::from_le_bytes(*x), f64::from_le_bytes(*rest.first_chunk::<8>()?)];
    (*head == [1, 1, 0, 0, 0] && !at[0].is_nan()).then_some(at)
}

fn add_native(chunk: &mut Features, array: &ArrayRef, kind: &str, rows: &[u64]) -> Result<Vec<u32>> {
    let form = Native::of(array.data_type(), kind)
        .ok_or_else(|| Error::invalid(format!("the geometry column is no {kind}, as its metadata tell")))?;
    let mut local = Vec::with_capacity(rows.len());
    for (at, &row) in rows.iter().enumerate() {
        if array.is_null(at) {
            chunk.without += 1;
        } else if chunk.push(row, |collect| form.visit(array, at, collect)) {
            local.push(at as u32);
        }
    }
    Ok(local)
}

fn add_pair(chunk: &mut Features, x: &ArrayRef, y: &ArrayRef, rows: &[u64]) -> Result<Vec<u32>> {
    let (x, y) = (numbers(x)?, numbers(y)?);
    let mut local = Vec::with_capacity(rows.len());
    for (at, &row) in rows.iter().enumerate() {
        if x.is_null(at) || y.is_null(at) {
            chunk.without += 1;
            continue;
        }
        chunk.push(row, |collect| {
            collect.begin(1, false, false).and_then(|()| point(collect, x.value(at), y.value(at)))
        });
        local.push(at as u32);
    }
    Ok(local)
}

fn point(collect: &mut super::features::Collect<'_>, x: f64, y: f64) -> std::result::Result<(), Stop> {
    collect.position(&[x, y], true)
}

/// Leaves out what lies nowhere, and brings longitudes of 180 to 360, and lines over the antimeridian,
/// into one piece.
fn settle(chunk: &mut Features, local: &mut Vec<u32>, earth: bool) {
    let bad = |at: &[f64; 2]| {
        !(at[0].is_finite() && at[1].is_finite())
            || earth && !((-360.0..=360.0).contains(&at[0]) && at[1].abs() <= 90.0)
    };
    if chunk.positions_mut().iter().any(bad) {
        let kept = chunk.retain(|positions| !positions.iter().any(bad));
        let mut kept = kept.into_iter();
        local.retain(|_| kept.next().unwrap_or(true));
    }
    if !earth {
        return;
    }
    chunk.each_part(unfold);
    if chunk.positions() == chunk.len() {
        for at in chunk.positions_mut() {
            at[0] = wrap(at[0]);
        }
    }
}

/// A line or ring that jumps from one edge of the world to the other goes over the antimeridian: it is
/// continued beyond 180 instead. It stays as it is where nothing of it would be left (an edge as long as
/// the world is wide), and where it would not close any more (it goes around a pole).
fn unfold(positions: &mut [[f64; 2]]) {
    const JUMP: f64 = 270.0;
    let jumps = |p: &[[f64; 2]]| (p[1][0] - p[0][0]).abs() > JUMP;
    if positions.windows(2).any(jumps) {
        let mut turn = 0.0;
        let mut unfolded = positions.to_vec();
        for (i, pair) in positions.windows(2).enumerate() {
            if jumps(pair) {
                turn -= 360.0 * (pair[1][0] - pair[0][0]).signum();
            }
            unfolded[i + 1][0] += turn;
        }
        let was_closed = positions.first() == positions.last();
        let opens = was_closed && turn != 0.0;
        let first = unfolded[0][0];
        let is_flat = unfolded.iter().all(|p| (p[0] - first).abs() < 1e-6);
        if !opens && !is_flat {
            positions.copy_from_slice(&unfolded);
        }
    }
    let all = |low: f64, high: f64| positions.iter().all(|p| (low..=high).contains(&p[0]));
    let back = if all(180.0, 540.0) {
        -360.0
    } else if all(-540.0, -180.0) {
        360.0
    } else {
        return;
    };
    for at in positions {
        at[0] += back;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_over_the_antimeridian_is_in_one_piece() {
        let mut line = [[179.0, 1.0], [-179.0, 2.0], [-178.0, 3.0]];
        unfold(&mut line);
        assert_eq!(line, [[179.0, 1.0], [181.0, 2.0], [182.0, 3.0]]);
        let mut world = [[-180.0, -90.0], [180.0, -90.0], [180.0, 90.0], [-180.0, 90.0], [-180.0, -90.0]];
        let before = world;
        unfold(&mut world);
        assert_eq!(world, before);
        let mut chukotka = [[170.0, 60.0], [180.0, 60.0], [-180.0, 60.0], [-170.0, 65.0], [180.0, 66.0], [170.0, 60.0]];
        unfold(&mut chukotka);
        assert_eq!(chukotka.map(|p| p[0] as i32), [170, 180, 180, 190, 180, 170]);
        let mut pacific = [[190.0, 1.0], [200.0, 2.0]];
        unfold(&mut pacific);
        assert_eq!(pacific, [[-170.0, 1.0], [-160.0, 2.0]]);
    }

    #[test]
    fn row_numbers_follow_the_ranges() {
        let numbers: Vec<u64> = Numbers::new(Some(vec![2..4, 9..9, 10..12])).collect();
        assert_eq!(numbers, [2, 3, 10, 11]);
        assert_eq!(Numbers::new(None).nth(5), Some(5));
    }

    #[test]
    fn what_lies_nowhere_is_counted() {
        let pair: Vec<ArrayRef> =
            [[Some(25.0), Some(200.0), None, Some(-9999.0)], [Some(60.0), Some(-10.0), Some(1.0), Some(0.0)]]
                .into_iter()
                .map(|v| std::sync::Arc::new(Float64Array::from(v.to_vec())) as ArrayRef)
                .collect();
        let value: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0, 4.0]));
        let batch = RecordBatch::try_from_iter([("lon", pair[0].clone()), ("lat", pair[1].clone()), ("v", value)]);
        let plan = Plan {
            source: Source::Pair("lon".into(), "lat".into()),
            colour: Some("v".into()),
            reference: Reference::degrees(),
        };
        let mut reader = Reader::new(plan, Some(std::iter::once(100..104).collect()));
        reader.add(&batch.expect("a batch")).expect("read");
        let features = reader.finish();
        assert_eq!((features.len(), features.without), (2, 2));
        assert_eq!((features.point(1), features.row(1)), (Some([-160.0, -10.0]), 101));
        assert!(matches!(&features.values, Values::Numbers(v) if v == &[1.0, 2.0]));
    }
}
