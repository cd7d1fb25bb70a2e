//! A folder of Parquet files as one table: the rows of its files one after the other, in the order of their
//! names, with the columns that stand in the names of folders (`year=2024/month=1/`) after their own.
//!
//! A column that a file lacks is null there; one that is of several types has the type that holds the values
//! of all, where there is one, and else the type that it had first. Footers are read as they are needed: those of
//! the first files when it is opened, which is all of a small folder, the rest when a window lies beyond,
//! [`AT_ONCE`] at a time.

use crate::error::{Context as _, Error, Kind, Result};
use crate::facts::Facts;
use crate::location::Location;
use crate::probe::Probe;
use crate::store::Stores;
use crate::table::parquet::File;
use crate::table::{About, Column, Group, Layout, Open, Rows, Scan, Window, keys, type_name, widened, wider};
use crate::task::Control;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, FieldRef, Schema};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Files of one table.
const MOST_FILES: usize = 100_000;
/// Names below a folder that are looked at for them: it may be the wrong folder, of a bucket of millions.
const MOST_NAMES: usize = 500_000;
/// Footers that are read when it is opened.
const FIRST: usize = 32;
/// Footers that are read at once.
const AT_ONCE: usize = 16;
/// Files that stay open; what was fetched of each is bounded too.
const OPEN: usize = 16;
const KEPT: u64 = 4 << 20;
/// Columns shown when none were asked for.
const MOST_COLUMNS: usize = 50;
/// Row groups that a layout tells.
const MOST_GROUPS: usize = 10_000;

/// Whether a listing of one level looks like a table in many files: folders named `key=value/`, or nothing but
/// Parquet files (and what their writers leave beside them). Names as they are listed, folders with their slash.
pub fn is_folder_of_tables<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let (mut files, mut keys) = (0, 0);
    for name in names.filter(|name| !is_hidden(name)) {
        match name.strip_suffix('/') {
            Some(folder) if folder.split_once('=').is_some_and(|(key, _)| !key.is_empty()) => keys += 1,
            None if is_parquet(name) => files += 1,
            _ => return false,
        }
    }
    keys > 0 || files > 1
}

fn is_parquet(name: &str) -> bool {
    let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    matches!(end.as_deref(), Some("parquet" | "geoparquet" | "pq" | "parq"))
}

/// `_SUCCESS`, `_metadata`, `.part-0.crc`: left by writers.
fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with(['_', '.']))
}

/// Opens all Parquet files below a folder as one table. `open.probe` names the folder; `open.max_bytes` holds for
/// each file that a window touches.
pub async fn open_folder(stores: Stores, open: Open) -> Result<Arc<dyn Rows>> {
    let base = open.probe.location.as_container();
    let table = load(stores, &open, &base).await.context(|| format!("opening {base} as one table"))?;
    Ok(Arc::new(table))
}

/// A file of the table.
#[derive(Debug)]
struct Part {
    probe: Probe,
    values: Vec<(String, Option<String>)>,
}

/// A table of many files. Clones share everything.
#[derive(Clone)]
struct Folder(Arc<Inner>);

struct Inner {
    stores: Stores,
    control: Control,
    max_bytes: u64,
    name: String,
    parts: Vec<Part>,
    /// The columns of folders.
    keys: Vec<FieldRef>,
    state: Mutex<State>,
}

struct State {
    /// Rows of each file, where its footer was read.
    rows: Vec<Option<u64>>,
    /// Columns of the files, as found so far.
    fields: Vec<FieldRef>,
    about: Arc<About>,
    /// Files that are open, the last used last.
    open: Vec<(usize, File)>,
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder").field("name", &self.0.name).field("files", &self.0.parts.len()).finish_non_exhaustive()
    }
}

async fn load(stores: Stores, open: &Open, base: &Location) -> Result<Folder> {
    let parts = list(&stores, base, &open.control).await?;
    let mut names: Vec<&str> = Vec::new();
    for (key, _) in parts.iter().flat_map(|part| &part.values) {
        if !names.contains(&key.as_str()) {
            names.push(key);
        }
    }
    let key = |name: &str| {
        let all = parts.iter().flat_map(|part| &part.values).filter(move |(key, _)| key == name);
        let kind = keys::kind(all.filter_map(|(_, value)| value.as_deref()));
        Arc::new(Field::new(name, kind, true))
    };
    let keys: Vec<FieldRef> = names.into_iter().map(key).collect();
    let first = parts.first().ok_or_else(|| {
        Error::new(Kind::NotFound, "there is no Parquet file in it")
            .with_hint("open a folder that holds .parquet files")
    })?;
    let file = File::open(&stores, &first.probe, &open.control, open.max_bytes, KEPT).await;
    let file = file.context(|| first.probe.location.to_string())?;
    let about = Arc::new(file.about());
    let count = parts.len();
    let state = State { rows: vec![None; count], fields: Vec::new(), about, open: Vec::new() };
    let folder = Folder(Arc::new(Inner {
        stores,
        control: open.control.clone(),
        max_bytes: open.max_bytes,
        name: base.to_string(),
        parts,
        keys,
        state: Mutex::new(state),
    }));
    folder.learn(0, file);
    // The last file often has the columns that were added.
    let mut ahead: Vec<usize> = (1..count.min(FIRST)).collect();
    if count > FIRST {
        ahead.push(count - 1);
    }
    folder.open_all(&ahead).await?;
    Ok(folder)
}

/// The Parquet files below a folder, in the order of their names.
async fn list(stores: &Stores, base: &Location, control: &Control) -> Result<Vec<Part>> {
    let handle = stores.open(base, &control.meter).await?;
    let mut pages = handle.list_all(base);
    let mut found: Vec<(String, Option<u64>)> = Vec::new();
    let mut names = 0;
    while let Some(page) = control.race(pages.next().map(Ok::<_, Error>)).await? {
        let block = page?.into_block();
        for row in (0..block.len()).map(|i| block.row(i)) {
            if is_parquet(row.name()) && !is_hidden(row.name()) && row.size() != Some(0) {
                found.push((row.name().to_owned(), row.size()));
            }
        }
        names += block.len();
        if found.len() > MOST_FILES || names > MOST_NAMES {
            let most = crate::text::count(if names > MOST_NAMES { MOST_NAMES } else { MOST_FILES } as u64);
            return Err(Error::new(Kind::Limit, format!("it has more than {most} files"))
                .with_hint("open a folder further down"));
        }
    }
    found.sort_by(|a, b| keys::natural(&a.0, &b.0));
    let part = |(name, size): (String, Option<u64>)| {
        let mut probe = Probe::new(base.child(&name));
        probe.size = size;
        Part { probe, values: keys::keys(&name) }
    };
    Ok(found.into_iter().map(part).collect())
}

impl Folder {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file, where it is open.
    fn opened(&self, part: usize) -> Option<File> {
        let mut state = self.state();
        let at = state.open.iter().position(|(open, _)| *open == part)?;
        let found = state.open.remove(at);
        let file = found.1.clone();
        state.open.push(found);
        Some(file)
    }

    async fn open(&self, part: usize) -> Result<File> {
        if let Some(file) = self.opened(part) {
            return Ok(file);
        }
        let inner = &self.0;
        let probe = &inner.parts[part].probe;
        let file = File::open(&inner.stores, probe, &inner.control, inner.max_bytes, KEPT).await;
        file.context(|| probe.location.to_string())
    }

    /// The file, opened where it is not.
    async fn file(&self, part: usize) -> Result<File> {
        let file = self.open(part).await?;
        self.learn(part, file.clone());
        Ok(file)
    }

    /// Opens files at once, and learns of them in their order: columns stand in the same order every time.
    async fn open_all(&self, parts: &[usize]) -> Result<()> {
        let opening: Vec<BoxFuture<'_, Result<File>>> = parts.iter().map(|part| self.open(*part).boxed()).collect();
        let mut opened = futures::stream::iter(opening).buffered(AT_ONCE);
        for part in parts {
            if let Some(file) = opened.try_next().await? {
                self.learn(*part, file);
            }
        }
        Ok(())
    }

    /// Takes over what the footer of a file tells.
    fn learn(&self, part: usize, file: File) {
        let told = file.about();
        let mut state = self.state();
        let news = state.rows[part].is_none();
        state.rows[part] = told.total_rows;
        for field in told.schema.fields() {
            match state.fields.iter_mut().find(|f| f.name() == field.name()) {
                Some(known) => {
                    if let Some(wide) = wider(known.data_type(), field.data_type()) {
                        *known = Arc::new(Field::clone(known).with_data_type(wide));
                    }
                }
                None => state.fields.push(Arc::new(field.as_ref().clone().with_nullable(true))),
            }
        }
        if news {
            state.about = Arc::new(self.tell(&state, &told));
        }
        state.open.retain(|(open, _)| *open != part);
        state.open.push((part, file));
        if state.open.len() > OPEN {
            state.open.remove(0);
        }
    }

    /// What is known of the whole, now that `told` is known of one file.
    fn tell(&self, state: &State, told: &About) -> About {
        let inner = &self.0;
        let keys: Vec<FieldRef> = inner.keys.iter().filter(|k| !has(&state.fields, k.name())).cloned().collect();
        let fields: Vec<FieldRef> = state.fields.iter().chain(&keys).cloned().collect();
        let known = |field: &FieldRef| {
            let abouts = [&*state.about, told].into_iter();
            let same = |about: &&About| {
                about.schema.field_with_name(field.name()).is_ok_and(|f| f.data_type() == field.data_type())
            };
            abouts.filter(same).flat_map(|about| &about.columns).find(|c| c.name == *field.name())
        };
        let columns = fields.iter().map(|field| {
            let plain = || Column {
                name: field.name().clone(),
                kind: type_name(field.data_type()),
                numeric: field.data_type().is_numeric(),
                ..Column::default()
            };
            let partition = keys.iter().any(|key| Arc::ptr_eq(key, field));
            // Nulls are told of single files only.
            Column { nulls: None, partition, ..known(field).cloned().unwrap_or_else(plain) }
        });
        let total: Option<u64> = state.rows.iter().try_fold(0_u64, |sum, rows| Some(sum.saturating_add((*rows)?)));
        let seen = state.rows.iter().map_while(|rows| *rows).fold(0, u64::saturating_add);
        let files = crate::text::count(inner.parts.len() as u64);
        let stored = inner.parts.iter().filter_map(|part| part.probe.size).fold(0, u64::saturating_add);
        let rows = total.map_or_else(|| format!("{} or more", crate::text::count(seen)), crate::text::count);
        let first = if state.about.geo.columns.is_empty() { told } else { &state.about };
        let standard = if first.geo.standard.is_empty() { "Parquet" } else { &first.geo.standard };
        let mut facts = vec![
            ("files".to_owned(), format!("{files}, {}", crate::text::bytes(stored))),
            ("rows".to_owned(), rows.clone()),
            ("columns".to_owned(), crate::text::count(fields.len() as u64)),
        ];
        let mut by = inner.keys.iter().map(|k| k.name().as_str()).collect::<Vec<_>>().join(", ");
        if !by.is_empty() {
            facts.push(("partitioned by".to_owned(), by.clone()));
            by.insert_str(0, " · by ");
        }
        let same = ["compression", "created by", "encoding", "CRS"];
        facts.extend(state.about.facts.rows.iter().filter(|(name, _)| same.contains(&name.as_str())).cloned());
        About {
            facts: Facts {
                title: format!("{standard} · {files} files · {rows} rows × {} columns{by}", fields.len()),
                rows: facts,
            },
            columns: columns.collect(),
            schema: Arc::new(Schema::new(fields)),
            geo: first.geo.clone(),
            total_rows: total,
            seen_rows: seen,
            pairs: if state.about.pairs.is_empty() { told.pairs.clone() } else { state.about.pairs.clone() },
        }
    }

    /// Reads footers, from the first on, until row `end` is covered or all are read.
    async fn reach(&self, end: u64) -> Result<()> {
        loop {
            let unknown: Vec<usize> = {
                let state = self.state();
                let seen = state.rows.iter().map_while(|rows| *rows).fold(0, u64::saturating_add);
                if seen >= end {
                    return Ok(());
                }
                let lacking = state.rows.iter().enumerate().filter(|(_, rows)| rows.is_none());
                lacking.map(|(part, _)| part).take(AT_ONCE).collect()
            };
            if unknown.is_empty() {
                return Ok(());
            }
            self.0.control.check()?;
            self.open_all(&unknown).await?;
        }
    }

    /// The files that hold ranges of rows which ascend, with the rows counted within each.
    fn parts_of(&self, ranges: &[Range<u64>]) -> Vec<(usize, Vec<Range<u64>>)> {
        let rows = self.state().rows.clone();
        let (mut out, mut first) = (Vec::new(), 0_u64);
        for (part, rows) in rows.into_iter().enumerate() {
            let end = first.saturating_add(rows.unwrap_or(0));
            let inside = ranges.iter().map(|r| r.start.max(first)..r.end.min(end)).filter(|r| r.start < r.end);
            let inside: Vec<Range<u64>> = inside.map(|r| r.start - first..r.end - first).collect();
            if !inside.is_empty() {
                out.push((part, inside));
            }
            first = end;
        }
        out
    }

    /// The columns asked for, with their types.
    fn choose(&self, wanted: Option<&[String]>, most: usize) -> Result<Vec<FieldRef>> {
        let schema = self.about().schema.clone();
        let Some(wanted) = wanted else {
            // Those of the folders are few, and tell most.
            let (own, keys) = schema.fields().split_at(schema.fields().len() - self.own_keys(&schema));
            return Ok(own.iter().take(most.saturating_sub(keys.len()).max(1)).chain(keys).cloned().collect());
        };
        let mut out: Vec<FieldRef> = Vec::new();
        for name in wanted {
            let found = schema.fields().iter().find(|f| f.name() == name);
            let found = found.or_else(|| schema.fields().iter().find(|f| f.name().eq_ignore_ascii_case(name)));
            let field = found.ok_or_else(|| Error::usage(format!("there is no column `{name}`")))?;
            if !has(&out, field.name()) {
                out.push(field.clone());
            }
        }
        Ok(out)
    }

    /// How many columns of the whole come from folders: a file that has such a column itself keeps it.
    fn own_keys(&self, schema: &Schema) -> usize {
        let is_key = |field: &&FieldRef| self.0.keys.iter().any(|k| Arc::ptr_eq(k, field));
        schema.fields().iter().filter(is_key).count()
    }

    /// Rows of one file as rows of the whole.
    fn fit(&self, part: usize, batch: &RecordBatch, fields: &[FieldRef]) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for field in fields {
            let kind = field.data_type();
            columns.push(match batch.column_by_name(field.name()) {
                Some(array) if array.data_type() == kind => array.clone(),
                Some(array) => widened(array, kind).map_err(|err| {
                    let (here, there) = (type_name(array.data_type()), type_name(kind));
                    let place = &self.0.parts[part].probe.location;
                    Error::invalid(format!("column `{}` is {here} in {place}, {there} elsewhere", field.name()))
                        .with_source(err)
                })?,
                None => match self.0.parts[part].values.iter().find(|(key, _)| key == field.name()) {
                    Some((_, value)) => keys::column(value.as_deref(), kind, rows),
                    None => new_null_array(kind, rows),
                },
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(|err| Error::new(Kind::Failed, "rows of several files do not fit together").with_source(err))
    }

    async fn read(&self, window: Window) -> Result<RecordBatch> {
        let end = window.offset.saturating_add(window.rows as u64);
        self.reach(end).await?;
        let fields = self.choose(window.columns.as_deref(), MOST_COLUMNS)?;
        let mut batches = Vec::new();
        for (part, ranges) in self.parts_of(std::slice::from_ref(&(window.offset..end))) {
            let file = self.file(part).await?;
            let columns = columns_of(&file, &fields);
            for range in ranges {
                let rows = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                let window = Window { rows, offset: range.start, columns: Some(columns.clone()) };
                let batch = file.window(&window, &self.0.control).await;
                batches.push(self.fit(
                    part,
                    &batch.context(|| self.0.parts[part].probe.location.to_string())?,
                    &fields,
                )?);
            }
        }
        concat_batches(&Arc::new(Schema::new(fields)), &batches)
            .map_err(|err| Error::new(Kind::Failed, "rows of several files do not fit together").with_source(err))
    }

    /// The files to scan, with their rows.
    async fn plan(&self, scan: &Scan) -> Result<(Vec<FieldRef>, Vec<(usize, Vec<Range<u64>>)>)> {
        // All columns and rows are known only once all footers are.
        self.reach(scan.rows.as_ref().map_or(u64::MAX, |rows| rows.iter().map(|r| r.end).max().unwrap_or(0))).await?;
        let fields = self.choose(scan.columns.as_deref(), usize::MAX)?;
        let ranges = scan.rows.clone().unwrap_or_else(|| std::iter::once(0..u64::MAX).collect());
        Ok((fields, self.parts_of(&ranges)))
    }
}

/// Which of these columns a file has.
fn columns_of(file: &File, fields: &[FieldRef]) -> Vec<String> {
    let schema = file.schema();
    fields.iter().map(|f| f.name()).filter(|name| schema.index_of(name).is_ok()).cloned().collect()
}

fn has(fields: &[FieldRef], name: &str) -> bool {
    fields.iter().any(|f| f.name() == name)
}

impl Rows for Folder {
    fn about(&self) -> Arc<About> {
        self.state().about.clone()
    }

    fn window(&self, window: Window) -> BoxFuture<'_, Result<RecordBatch>> {
        self.read(window).boxed()
    }

    fn scan(&self, scan: Scan, control: &Control) -> BoxStream<'static, Result<RecordBatch>> {
        let (folder, control) = (self.clone(), control.clone());
        let start = async move {
            let (fields, parts) = folder.plan(&scan).await?;
            let fields: Arc<[FieldRef]> = fields.into();
            let files = futures::stream::iter(parts).then(move |(part, rows)| {
                let (folder, control, fields) = (folder.clone(), control.clone(), fields.clone());
                async move {
                    let file = folder.file(part).await?;
                    let scan = Scan { columns: Some(columns_of(&file, &fields)), rows: Some(rows) };
                    let batches = file.scan(scan, &control);
                    Ok::<_, Error>(batches.map(move |batch| folder.fit(part, &batch?, &fields)))
                }
            });
            Ok::<_, Error>(files.try_flatten())
        };
        futures::stream::once(start).try_flatten().boxed()
    }

    fn layout(&self) -> BoxFuture<'_, Result<Option<Layout>>> {
        async move {
            self.reach(u64::MAX).await?;
            let mut groups: Vec<Group> = Vec::new();
            for part in 0..self.0.parts.len() {
                let file = self.file(part).await?;
                groups.extend(file.layout(&self.0.control).await?.groups);
                if groups.len() > MOST_GROUPS {
                    groups.truncate(MOST_GROUPS);
                    break;
                }
            }
            Ok(Some(Layout { groups }))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_one_table_are_known_by_their_names() {
        let is = |names: &[&str]| is_folder_of_tables(names.iter().copied());
        assert!(is(&["year=2023/", "year=2024/", "_SUCCESS"]));
        assert!(is(&["part-0.parquet", "part-1.parquet", ".part-0.parquet.crc", "_metadata"]));
        assert!(!is(&["a.parquet"]), "one file is a file");
        assert!(!is(&["a.parquet", "b.tif"]));
        assert!(!is(&["year=2023/", "other/"]));
        assert!(!is(&[]));
    }
}
