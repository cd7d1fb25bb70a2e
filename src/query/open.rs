//! From a location in SQL to a table: a file, a folder, or a pattern of names.

use super::covering;
use super::faults::Faults;
use super::file::{File, Footers};
use super::parquet::{AsRows, ParquetTable, merged, read_footers};
use super::plain::{RowsTable, Texts};
use super::tally::Tally;
use crate::entry::EntryKind;
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::probe::Probe;
use crate::store::Stores;
use crate::table::parquet::with_micros;
use crate::table::{Encoding, Geo, Open, Rows, keys};
use crate::tables;
use crate::task::Control;
use datafusion::arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::scalar::ScalarValue;
use futures::{FutureExt as _, StreamExt as _};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Files of one table.
const MOST_FILES: usize = 10_000;
/// Files whose columns are compared; of more, the first so many speak for all.
const COMPARED: usize = 64;
/// Bytes a window of another format may cost: what is read from end to end is not bounded by it.
const WINDOW: u64 = 1 << 30;
/// Bytes read to recognise what has no telling name.
const HEAD: u64 = 32 << 10;

/// What is needed to open tables.
#[derive(Clone)]
pub(super) struct Opening {
    pub(super) stores: Stores,
    pub(super) control: Control,
    pub(super) footers: Footers,
    pub(super) faults: Faults,
    pub(super) tally: Tally,
    pub(super) texts: Texts,
    /// Where relative paths begin.
    pub(super) folder: Option<PathBuf>,
}

impl Opening {
    /// The table that a name in SQL stands for.
    pub(super) async fn table(&self, name: &str) -> Result<Arc<dyn TableProvider>> {
        let is_place = name.contains("://") || name.contains('/') || name.contains('.') || name.contains('*');
        let location = match &self.folder {
            Some(folder) if !name.contains("://") && !name.starts_with('~') => {
                // Joining keeps what is absolute already.
                Location::parse(&folder.join(name).to_string_lossy())?
            }
            _ => Location::parse(name)?,
        };
        if !is_place && !location.to_path().is_some_and(|path| path.exists()) {
            return Err(Error::new(Kind::NotFound, format!("there is no table `{name}`"))
                .with_hint("a table is a location in quotes: FROM 's3://bucket/file.parquet' or FROM './file.csv'"));
        }
        self.at(&location).await
    }

    /// The table at a location: a file, a folder, a pattern of names.
    pub(super) async fn at(&self, location: &Location) -> Result<Arc<dyn TableProvider>> {
        let location = self.stores.resolve(location).await;
        if is_pattern(&location) {
            return self.files(&location, self.matching(&location).await?).await;
        }
        if location.is_container() {
            return self.files(&location, self.below(&location).await?).await;
        }
        let mut probe = Probe::new(location);
        if is_parquet(&probe) {
            return self.parquet(vec![probe], None).await;
        }
        if !tables::claims(&probe) {
            let handle = self.control.race(self.stores.open(&probe.location, &self.control.meter)).await?;
            let head = self.control.race(handle.read_head(&probe.location, HEAD)).await?;
            probe.size = Some(head.size);
            probe.etag = head.etag;
            probe.head = Some(head.bytes);
        }
        if is_parquet(&probe) {
            return self.parquet(vec![probe], None).await;
        }
        self.rows(vec![probe]).await
    }

    /// An open table, to be asked by a name.
    pub(super) fn given(&self, rows: Arc<dyn Rows>) -> Result<Arc<dyn TableProvider>> {
        self.plain(vec![rows])
    }

    fn plain(&self, tables: Vec<Arc<dyn Rows>>) -> Result<Arc<dyn TableProvider>> {
        let table = Arc::new(RowsTable::new(tables, &self.control, &self.tally)?);
        self.texts.add(&table);
        Ok(table)
    }

    async fn files(&self, location: &Location, probes: Vec<Probe>) -> Result<Arc<dyn TableProvider>> {
        let (parquet, other): (Vec<Probe>, Vec<Probe>) = probes.into_iter().partition(is_parquet);
        if !parquet.is_empty() {
            return self.parquet(parquet, Some(location)).await;
        }
        let tables: Vec<Probe> = other.into_iter().filter(tables::claims).collect();
        if tables.is_empty() {
            return Err(Error::new(Kind::NotFound, format!("{location} holds no table"))
                .with_hint("tables are Parquet, CSV, NDJSON and Arrow files"));
        }
        self.rows(tables).await
    }

    async fn below(&self, location: &Location) -> Result<Vec<Probe>> {
        self.listed(location, |name| !name.split('/').any(|part| part.starts_with(['_', '.']))).await
    }

    async fn matching(&self, location: &Location) -> Result<Vec<Probe>> {
        let key = location.key();
        let wild = key.find(['*', '?', '[', '{']).unwrap_or(key.len());
        let base = key[..wild].rfind('/').map_or(0, |i| i + 1);
        let pattern = crate::glob::Glob::parse(&key[base..])?;
        let found = self.listed(&location.with_key(&key[..base]), |name| pattern.matches(name)).await?;
        if found.is_empty() {
            return Err(Error::new(Kind::NotFound, format!("nothing is called like {location}")));
        }
        Ok(found)
    }

    async fn listed(&self, base: &Location, wanted: impl Fn(&str) -> bool) -> Result<Vec<Probe>> {
        let handle = self.control.race(self.stores.open(base, &self.control.meter)).await?;
        let mut pages = handle.list_all(base);
        let mut found = Vec::new();
        while let Some(page) = self.control.race(async { pages.next().await.transpose() }).await? {
            for row in page.into_block().rows() {
                if row.kind() == EntryKind::Object && row.size() != Some(0) && wanted(row.name()) {
                    let mut probe = Probe::new(base.child(row.name()));
                    probe.size = row.size();
                    probe.etag = row.etag().map(str::to_owned);
                    found.push(probe);
                }
            }
            if found.len() > MOST_FILES {
                return Err(Error::new(Kind::Limit, format!("{base} holds more than {MOST_FILES} files"))
                    .with_hint("name a folder below it, or a part of the names: 's3://bucket/prefix/*.parquet'"));
            }
        }
        // As the table screen has them: `month=9` before `month=10`.
        found.sort_by(|a, b| keys::natural(a.location.key(), b.location.key()));
        Ok(found)
    }

    async fn rows(&self, probes: Vec<Probe>) -> Result<Arc<dyn TableProvider>> {
        let mut tables = Vec::with_capacity(probes.len());
        for probe in probes {
            tables.push(self.open_rows(probe).await?);
        }
        self.plain(tables)
    }

    async fn open_rows(&self, probe: Probe) -> Result<Arc<dyn Rows>> {
        let open = Open { probe, control: self.control.clone(), max_bytes: WINDOW };
        self.control.race(tables::open(self.stores.clone(), open)).await
    }

    async fn parquet(&self, probes: Vec<Probe>, base: Option<&Location>) -> Result<Arc<dyn TableProvider>> {
        let as_rows = (probes.len() == 1).then(|| self.as_rows(probes[0].clone()));
        let mut files = Vec::with_capacity(probes.len());
        for probe in &probes {
            files.push(Arc::new(File::new(&self.stores, probe, &self.control, &self.footers, &self.faults).await?));
        }
        self.tally.add(&files);
        let compared = &files[..files.len().min(COMPARED)];
        read_footers(compared).await?;
        let mut schemas = Vec::with_capacity(compared.len());
        for file in compared {
            let metadata = &file.footer().await?.metadata;
            let (schema, ..) = described(metadata).map_err(|err| err.context(file.location.to_string()))?;
            schemas.push(schema);
        }
        let first = &files[0].footer().await?.metadata;
        let (plain, geo, json) = described(first)?;
        let in_micros = with_micros(&plain, first.file_metadata()).is_some();
        let schema = with_geometry(&merged(&schemas, &files)?, &geo, json.as_ref());
        let paths: Vec<&str> = probes.iter().map(|p| base.map_or("", |base| relative(base, &p.location))).collect();
        let (partitions, values) = partitions(&paths, &schema);
        let whole = schema.fields().iter().cloned().chain(partitions.iter().cloned()).collect::<Vec<FieldRef>>();
        let coverings = covering::of(&geo.columns, json.as_ref());
        Ok(Arc::new(ParquetTable {
            files,
            values,
            whole: Arc::new(Schema::new(whole)),
            schema,
            partitions,
            coverings,
            as_rows,
            in_micros,
            tally: self.tally.clone(),
        }))
    }

    fn as_rows(&self, probe: Probe) -> AsRows {
        let opening = self.clone();
        let io = tokio::runtime::Handle::current();
        Arc::new(move || {
            let (opening, probe, io) = (opening.clone(), probe.clone(), io.clone());
            async move {
                let task = io.spawn(async move { opening.open_rows(probe).await });
                let task = tokio_util::task::AbortOnDropHandle::new(task);
                task.await.map_err(|err| Error::new(Kind::Failed, "a worker failed").with_source(err))?
            }
            .boxed()
        })
    }
}

fn is_pattern(location: &Location) -> bool {
    let key = location.key();
    // On the web a question mark begins a query.
    let is_web = matches!(location.scheme(), Scheme::Http | Scheme::Https);
    let exists = || location.to_path().is_some_and(|path| path.exists());
    !is_web && key.contains(['*', '?', '[', '{']) && !exists()
}

fn is_parquet(probe: &Probe) -> bool {
    probe.has_extension(&["parquet", "geoparquet", "pq", "parq"])
        || probe.media_type.as_deref().unwrap_or_default().contains("parquet")
        || probe.starts_with(b"PAR1")
}

/// The path of `location` below the part of `base` that is no pattern.
fn relative<'a>(base: &Location, location: &'a Location) -> &'a str {
    let same = base.key().bytes().zip(location.key().bytes()).take_while(|(a, b)| a == b).count();
    let start = location.key().get(..same).and_then(|s| s.rfind('/')).map_or(0, |i| i + 1);
    location.key().get(start..).unwrap_or_default()
}

/// Columns, geometry, and the `geo` metadata of a file.
fn described(metadata: &ParquetMetaData) -> Result<(SchemaRef, Geo, Option<Value>)> {
    let file = metadata.file_metadata();
    let pairs = file.key_value_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), pairs)
        .map_err(|err| Error::invalid(format!("its columns are of a form that is not known: {err}")))?;
    let schema = with_micros(&schema, file).unwrap_or(schema);
    let geo = Geo::read(file, &schema);
    let json = pairs.and_then(|pairs| pairs.iter().find(|kv| kv.key == "geo")?.value.as_deref());
    let json = json.and_then(|text| serde_json::from_str(text).ok());
    Ok((Arc::new(schema.with_metadata(HashMap::new())), geo, json))
}

/// The columns with what is known of their geometry in the fields' metadata, as `GeoArrow` names it: so it goes
/// through every query, into its result.
pub(super) fn with_geometry(schema: &SchemaRef, geo: &Geo, json: Option<&Value>) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let Some(column) = geo.column(field.name()) else { return field.clone() };
        let kind = match &column.encoding {
            Encoding::Wkb => "wkb",
            Encoding::Wkt => "wkt",
            Encoding::Native(kind) => kind.as_str(),
        };
        let mut about = serde_json::Map::new();
        let told = json.and_then(|j| j.get("columns")?.get(field.name()));
        let crs = match told {
            Some(told) => told.get("crs").cloned().unwrap_or_else(|| json!("OGC:CRS84")),
            None if column.crs == "unknown" => Value::Null,
            None => kept_crs(field).unwrap_or_else(|| match &column.definition {
                Some(text) => serde_json::from_str(text).ok().filter(Value::is_object).unwrap_or_else(|| json!(text)),
                None => json!(column.crs),
            }),
        };
        if !crs.is_null() {
            about.insert("crs".into(), crs);
        }
        if column.geography {
            about.insert("edges".into(), json!("spherical"));
        }
        let mut metadata = field.metadata().clone();
        metadata.insert("ARROW:extension:name".into(), format!("geoarrow.{kind}"));
        metadata.insert("ARROW:extension:metadata".into(), Value::Object(about).to_string());
        Arc::new(field.as_ref().clone().with_metadata(metadata))
    });
    Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>()))
}

fn kept_crs(field: &Field) -> Option<Value> {
    let about: Value = serde_json::from_str(field.metadata().get("ARROW:extension:metadata")?).ok()?;
    about.get("crs").cloned()
}

/// Columns that stand in paths (`year=2024/month=05/x.parquet`), with their values for each path. A name is one
/// only where every path has it and no file does.
fn partitions(paths: &[&str], schema: &SchemaRef) -> (Vec<FieldRef>, Vec<Vec<ScalarValue>>) {
    let pairs: Vec<Vec<Pair>> = paths.iter().map(|path| keys::keys(path)).collect();
    let Some((first, rest)) = pairs.split_first() else { return (Vec::new(), Vec::new()) };
    let names: Vec<&String> = first
        .iter()
        .map(|(name, _)| name)
        .filter(|name| schema.column_with_name(name).is_none())
        .filter(|name| rest.iter().all(|pairs| pairs.iter().any(|(n, _)| n == *name)))
        .collect();
    let mut fields = Vec::new();
    let mut values: Vec<Vec<ScalarValue>> = vec![Vec::new(); paths.len()];
    for name in names {
        let text = |pairs: &Vec<Pair>| pairs.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.clone());
        let texts: Vec<Option<String>> = pairs.iter().map(text).collect();
        let kind = keys::kind(texts.iter().flatten().map(String::as_str));
        for (values, text) in values.iter_mut().zip(&texts) {
            let one = keys::column(text.as_deref(), &kind, 1);
            // One row of a type that was chosen for it.
            values.push(ScalarValue::try_from_array(&one, 0).unwrap_or(ScalarValue::Null));
        }
        fields.push(Arc::new(Field::new(name, kind, true)));
    }
    (fields, values)
}

/// A name in a path and its value there.
type Pair = (String, Option<String>);

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::DataType;

    #[test]
    fn paths_have_columns() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("v", DataType::Int32, true)]));
        let paths = ["year=2023/month=05/a.parquet", "year=2024/month=12/b%3D.parquet"];
        let (fields, values) = partitions(&paths, &schema);
        let kinds: Vec<_> = fields.iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
        assert_eq!(kinds, [("year", DataType::Int64), ("month", DataType::Int64)]);
        assert_eq!(values[1], [ScalarValue::Int64(Some(2024)), ScalarValue::Int64(Some(12))]);
        assert!(partitions(&["a=1/x", "b=1/y"], &schema).0.is_empty());
        assert!(partitions(&["v=1/x"], &schema).0.is_empty(), "the file's own column wins");
    }
}
