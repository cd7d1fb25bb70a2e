//! Lines of JSON and features of `GeoJSON` as an open table.

use super::columns::{Builder, Kind};
use super::scan::{Scan, members};
use super::split::{Array, Ends, array_of};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::store::Stores;
use crate::table::text::{Fail, Form, Split as _, base_name, open};
use crate::table::written::{LOOKED_AT, written};
use crate::table::{Column, Encoding, Geo, GeoColumn, Open, Rows, type_name};
use crate::text;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Columns of a table that is one.
const MOST_COLUMNS: usize = 10_000;
/// The column of geometries.
const GEOMETRY: &str = "geometry";

/// Where a column's value stands in a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// A member of the record.
    Top(String),
    /// A member of a feature's `properties`.
    Property(String),
}

/// The columns as they are known now.
#[derive(Clone, Default)]
struct Types {
    names: Vec<String>,
    kinds: Vec<Kind>,
    places: HashMap<Place, usize>,
    schema: Option<SchemaRef>,
}

/// Records of JSON.
pub(crate) struct Json {
    /// Whether records are features of `GeoJSON`.
    features: bool,
    geo: Geo,
    types: Mutex<Arc<Types>>,
    /// Whether members were met that no column is of.
    met: AtomicBool,
}

/// Whether a name is one of lines of JSON or of `GeoJSON`.
pub(crate) fn is_named(name: &str) -> bool {
    let name = base_name(name);
    let suffixes = [".ndjson", ".jsonl", ".geojsonl", ".geojsons", ".geojsonseq", ".geojson"];
    suffixes.iter().any(|suffix| name.ends_with(suffix))
}

/// Opens lines of JSON, or the features of a document.
pub(crate) async fn open_json(stores: Stores, asked: Open) -> Result<Arc<dyn Rows>> {
    let document = base_name(asked.probe.location.name()).ends_with(".geojson");
    let text = open(stores, asked, is_named, if document { has_features } else { has_a_line }).await?;
    let (sample, complete) = (text.sample.clone(), text.complete);
    let (form, ends, start, rows) = text.blocking(move || look(&sample, complete, document)).await?;
    let title = if form.features { "GeoJSON" } else { "NDJSON" }.to_owned();
    let mut facts = vec![("size".to_owned(), text::bytes(text.size))];
    if let Some(column) = form.geo.columns.first() {
        facts.push(("CRS".to_owned(), column.crs.clone()));
        if !column.bbox.is_empty() {
            let bbox: Vec<String> = column.bbox.iter().map(f64::to_string).collect();
            facts.push(("bbox".to_owned(), bbox.join(", ")));
        }
    }
    facts.extend(text.facts());
    if !text.complete {
        facts.push(("types".to_owned(), format!("by the first {} rows", text::count(rows))));
    }
    text.lines(form, ends, start, title, facts).await
}

fn has_a_line(sample: &[u8]) -> bool {
    memchr::memchr(b'\n', sample).is_some()
}

/// Whether a feature ends in it, or it is lines.
fn has_features(sample: &[u8]) -> bool {
    match array_of(sample, "features") {
        Some(start) => Array::default().feed(&sample[start..]).0 > 0,
        None => is_lines(sample),
    }
}

/// Whether a whole value ends before the first line does.
fn is_lines(sample: &[u8]) -> bool {
    let line = sample.split(|b| *b == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    line.len() < sample.len() && matches!(Scan::new(line).next_value(), Ok(Some(value)) if value.starts_with(b"{"))
}

/// What a text is, and its columns by its first records.
fn look(sample: &[u8], complete: bool, document: bool) -> Result<(Json, Ends, u64, u64)> {
    let mark = if sample.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let body = &sample[mark..];
    if body.trim_ascii().is_empty() {
        return Err(Error::invalid("there are no rows: the text is empty"));
    }
    if !matches!(body.trim_ascii_start().first(), Some(b'{' | b'[' | 0x1e)) {
        return Err(Error::invalid("it is not JSON: it starts with something else"));
    }
    let (ends, start, geo) = match array_of(body, "features").filter(|_| document) {
        Some(at) => (Ends::Array(Array::default()), mark + at, told(&body[..at])),
        None if document && !is_lines(body) => {
            if !complete {
                return Err(Error::invalid("it is not a FeatureCollection: its features are not at its start"));
            }
            (Ends::Whole { begun: false }, mark, geo_of("OGC:CRS84", Vec::new()))
        }
        None => (Ends::Lines { begun: false }, mark, geo_of("OGC:CRS84", Vec::new())),
    };
    let mut split = ends.clone();
    let (mut rows, cut) = split.feed(&sample[start..]);
    let mut end = cut.map_or(start, |at| start + at);
    if complete && split.finish() {
        rows += 1;
        end = sample.len();
    }
    let records = &sample[start..end];
    let first = Scan::new(records).next_value().ok().flatten();
    let collection = matches!(ends, Ends::Array(_));
    let features = collection || first.and_then(|raw| members(raw).ok()).is_some_and(|m| is_feature(&m));
    let geo = if features { geo } else { Geo::default() };
    let mut form = Json { features, geo, types: Mutex::default(), met: AtomicBool::new(false) };
    if features {
        let mut types = Types::default();
        types.add(Place::Top(GEOMETRY.to_owned()), Kind::Geometry)?;
        form.set(types);
    }
    let records = [Bytes::copy_from_slice(records)];
    form.observe(&records, 0)?;
    if !features {
        form.geo = form.geometry(&records)?;
    }
    Ok((form, ends, start as u64, rows))
}

fn is_feature(members: &[(String, &[u8])]) -> bool {
    members.iter().any(|(key, raw)| key == "type" && *raw == b"\"Feature\"")
}

fn geo_of(crs: &str, bbox: Vec<f64>) -> Geo {
    let column = GeoColumn {
        name: GEOMETRY.to_owned(),
        encoding: Encoding::Wkb,
        geography: false,
        crs: crs.to_owned(),
        definition: (crs != "OGC:CRS84").then(|| crs.to_owned()),
        covering: None,
        types: Vec::new(),
        bbox,
    };
    Geo { standard: "GeoJSON".to_owned(), columns: vec![column] }
}

/// What a collection tells in front of its features: its reference system (before RFC 7946 others than CRS84 were
/// allowed) and its bounds.
fn told(head: &[u8]) -> Geo {
    let head: Vec<u8> = [head, b"]}"].concat();
    let all = members(&head).unwrap_or_default();
    let find = |key: &str| all.iter().find(|(k, _)| k == key).map(|(_, raw)| *raw);
    let name = find("crs").and_then(|crs| {
        let value: serde_json::Value = serde_json::from_slice(crs).ok()?;
        Some(value.get("properties")?.get("name")?.as_str()?.to_owned())
    });
    let crs = match name.as_deref() {
        None => "OGC:CRS84".to_owned(),
        // `urn:ogc:def:crs:EPSG::3067`
        Some(name) => match name.strip_prefix("urn:ogc:def:crs:").and_then(|rest| rest.split_once(':')) {
            Some((authority, code)) => format!("{authority}:{}", code.rsplit(':').next().unwrap_or(code)),
            None => name.to_owned(),
        },
    };
    let bbox = find("bbox").and_then(|raw| super::scan::items(raw).ok()).unwrap_or_default();
    geo_of(&crs, bbox.into_iter().filter_map(super::scan::number).collect())
}

impl Types {
    fn add(&mut self, place: Place, kind: Kind) -> Result<usize> {
        if self.names.len() >= MOST_COLUMNS {
            let limit = text::count(MOST_COLUMNS as u64);
            return Err(Error::new(ErrorKind::Limit, format!("its records have more than {limit} different members")));
        }
        let (Place::Top(key) | Place::Property(key)) = &place;
        let mut name = if key.is_empty() { "(no name)".to_owned() } else { key.clone() };
        while self.names.contains(&name) || (name == GEOMETRY && matches!(place, Place::Property(_))) {
            name = if matches!(place, Place::Property(_)) { format!("properties.{name}") } else { format!("{name}_2") };
        }
        self.names.push(name);
        self.kinds.push(kind);
        self.places.insert(place, self.names.len() - 1);
        Ok(self.names.len() - 1)
    }
}

/// Why a record cannot be read.
fn no_json(row: u64) -> Error {
    Error::invalid(format!("row {} is not valid JSON", text::count(row + 1)))
}

impl Json {
    fn types(&self) -> Arc<Types> {
        self.types.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, mut types: Types) {
        let fields = types.names.iter().zip(&types.kinds).map(|(name, kind)| Field::new(name, kind.data_type(), true));
        types.schema = Some(Arc::new(Schema::new(fields.collect::<Vec<_>>())));
        *self.types.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(types);
    }

    /// Calls `each` with the place and text of every value of a record.
    fn values<'a>(
        &self,
        record: &'a [u8],
        row: u64,
        each: &mut dyn FnMut(Place, &'a [u8]) -> Result<()>,
    ) -> Result<()> {
        if !record.starts_with(b"{") {
            return Err(Error::invalid(format!("row {} is not an object of JSON", text::count(row + 1))));
        }
        let all = members(record).map_err(|_| no_json(row))?;
        let feature = self.features && is_feature(&all);
        for (key, raw) in all {
            match key.as_str() {
                "type" if feature => {}
                "properties" if feature && raw == b"null" => {}
                "properties" if feature && raw.starts_with(b"{") => {
                    for (key, raw) in members(raw).map_err(|_| no_json(row))? {
                        each(Place::Property(key), raw)?;
                    }
                }
                _ => each(Place::Top(key), raw)?,
            }
        }
        Ok(())
    }

    /// Calls `each` with every record of `pieces` and its number.
    fn records<'a>(pieces: &'a [Bytes], first: u64, mut each: impl FnMut(&'a [u8], u64) -> Result<bool>) -> Result<()> {
        let mut row = first;
        for piece in pieces {
            let mut scan = Scan::new(piece);
            while let Some(record) = scan.next_value().map_err(|_| no_json(row))? {
                if !each(record, row)? {
                    return Ok(());
                }
                row += 1;
            }
        }
        Ok(())
    }

    /// Makes the columns wide and many enough for all of these records.
    fn observe(&self, pieces: &[Bytes], first: u64) -> Result<()> {
        let mut types = (*self.types()).clone();
        let mut seen: Vec<Vec<&[u8]>> = vec![Vec::new(); types.names.len()];
        Self::records(pieces, first, |record, row| {
            self.values(record, row, &mut |place, raw| {
                let column = match types.places.get(&place) {
                    Some(column) => *column,
                    None => types.add(place, Kind::Null)?,
                };
                if seen.len() <= column {
                    seen.resize(column + 1, Vec::new());
                }
                seen[column].push(raw);
                Ok(())
            })?;
            Ok(true)
        })?;
        for (kind, values) in types.kinds.iter_mut().zip(&seen) {
            *kind = std::mem::replace(kind, Kind::Null).with(values);
        }
        self.set(types);
        Ok(())
    }

    /// The columns whose first values are Well-Known Text.
    fn geometry(&self, pieces: &[Bytes]) -> Result<Geo> {
        let types = self.types();
        let mut seen: Vec<Vec<String>> = vec![Vec::new(); types.names.len()];
        Self::records(pieces, 0, |record, row| {
            self.values(record, row, &mut |place, raw| {
                let column = types.places.get(&place).filter(|column| types.kinds[**column] == Kind::Text);
                if let Some(column) = column
                    && raw != b"null"
                {
                    seen[*column].push(super::scan::string(raw));
                }
                Ok(())
            })?;
            Ok(row < LOOKED_AT as u64)
        })?;
        let found =
            types.names.iter().zip(&seen).filter_map(|(name, values)| written(name, values.iter().map(String::as_str)));
        Ok(Geo::of_text("NDJSON with WKT", found.collect()))
    }

    /// After [`Json::observe`] nested values may still not fit: then they are shown as they are written.
    fn give_up(&self, column: usize) {
        let mut types = (*self.types()).clone();
        if let Some(kind) = types.kinds.get_mut(column) {
            *kind = Kind::Text;
        }
        self.set(types);
    }

    /// Looks again at records that did not fit.
    fn widen(&self, pieces: &[Bytes], first: u64, column: Option<usize>, why: &str) -> Fail {
        let before = self.types();
        if let Err(err) = self.observe(pieces, first) {
            return Fail::Bad(err);
        }
        if let Some(column) = column
            && before.kinds.get(column) == self.types().kinds.get(column)
        {
            self.give_up(column);
        }
        Fail::Widened(Error::new(ErrorKind::Changed, why).with_hint("try again: it is known now"))
    }
}

impl Form for Json {
    type Split = Ends;

    fn schema(&self) -> SchemaRef {
        self.types().schema.clone().unwrap_or_else(|| Arc::new(Schema::empty()))
    }

    fn columns(&self) -> Vec<Column> {
        let types = self.types();
        let column = |(name, kind): (&String, &Kind)| Column {
            name: name.clone(),
            kind: match self.geo.column(name) {
                Some(column) => column.kind().to_owned(),
                None => type_name(&kind.data_type()),
            },
            numeric: matches!(kind, Kind::Int | Kind::Float),
            ..Column::default()
        };
        types.names.iter().zip(&types.kinds).map(column).collect()
    }

    fn geo(&self) -> Geo {
        self.geo.clone()
    }

    fn learn(&self, pieces: &[Bytes], first: u64) -> Result<()> {
        if self.met.swap(false, Relaxed) { self.observe(pieces, first) } else { Ok(()) }
    }

    fn parse(
        &self,
        pieces: &[Bytes],
        first: u64,
        skip: usize,
        take: usize,
        columns: Option<&[usize]>,
    ) -> Result<RecordBatch, Fail> {
        let types = self.types();
        let all = columns.is_none();
        let chosen: Vec<usize> = columns.map_or_else(|| (0..types.names.len()).collect(), <[usize]>::to_vec);
        let mut builders: Vec<Builder> = chosen.iter().map(|i| Builder::new(&types.kinds[*i])).collect();
        let mut slots: Vec<Option<&[u8]>> = vec![None; types.names.len()];
        let (mut rows, mut misfit) = (0, None);
        if take > 0 {
            Self::records(pieces, first, |record, row| {
                if row < first.saturating_add(skip as u64) {
                    return Ok(true);
                }
                slots.fill(None);
                let mut unknown = None;
                self.values(record, row, &mut |place, raw| {
                    match types.places.get(&place) {
                        Some(column) => slots[*column] = Some(raw),
                        None => unknown = Some(place),
                    }
                    Ok(())
                })?;
                if let Some(Place::Top(key) | Place::Property(key)) = unknown {
                    self.met.store(true, Relaxed);
                    if all {
                        misfit = Some((None, format!("row {} has a new member `{key}`", text::count(row + 1))));
                        return Ok(false);
                    }
                }
                for (builder, column) in builders.iter_mut().zip(&chosen) {
                    if !builder.push(slots[*column], &types.kinds[*column]) {
                        let name = &types.names[*column];
                        misfit = Some((
                            Some(*column),
                            format!("row {} has a value of another type in `{name}`", text::count(row + 1)),
                        ));
                        return Ok(false);
                    }
                }
                rows += 1;
                Ok(rows < take)
            })?;
        }
        if let Some((column, why)) = misfit {
            return Err(self.widen(pieces, first, column, &why));
        }
        let mut arrays = Vec::with_capacity(chosen.len());
        for (builder, column) in builders.into_iter().zip(&chosen) {
            let Some(array) = builder.finish() else {
                let why = format!("`{}` has a value of another type", types.names[*column]);
                return Err(self.widen(pieces, first, Some(*column), &why));
            };
            arrays.push(array);
        }
        let fields: Vec<Field> =
            chosen.iter().map(|i| Field::new(&types.names[*i], types.kinds[*i].data_type(), true)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|err| Error::invalid("the rows cannot be shown").with_source(err))?;
        Ok(batch)
    }
}
