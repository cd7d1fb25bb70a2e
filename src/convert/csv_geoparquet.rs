//! CSV to `GeoParquet` 1.1, streaming: text in, row groups out, points from columns of longitude and
//! latitude. Rows keep their order; of the text no more than a few pieces are in memory, of the table no
//! more than a row group.

pub use super::options::{Infer, Options};

use super::both;
use super::names::{column, coordinates, free_names};
use super::parquet::{failed, properties};
use super::points::{BBOX, GEOMETRY, Points, fields};
use super::sink::{Parts, Sink, exists};
use super::source::{Piece, Source};
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::{StoreHandle, Stores, UploadMeta};
use crate::table::csv::{Columns, Guess, Hints, Kind as Type, Layout, Misfit, Missing, Record, Records, Unpack};
use crate::table::csv::{delimiter_name, inspect};
use crate::task::Control;
use crate::text;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// Text looked at before the types of columns are decided.
const SAMPLE: usize = 4 << 20;
/// Rows converted in one go.
const BATCH: usize = 8_192;
/// Text of rows converted in one go.
const BATCH_TEXT: usize = 16 << 20;
/// Memory of a row group of very long rows.
const GROUP_BYTES: usize = 256 << 20;
/// The media type of what is written.
const MEDIA_TYPE: &str = "application/vnd.apache.parquet";

/// What a conversion has done.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Report {
    /// Rows written.
    pub rows: u64,
    /// Rows without a point: a coordinate is missing, or is no place on earth.
    pub null_geometries: u64,
    /// Rows with a longitude above 180, whose point got the negative one.
    pub wrapped_longitudes: u64,
    /// Rows that had fewer fields than there are columns; the others are null.
    pub short_rows: u64,
    /// Bytes of the source, as it is packed.
    pub bytes_read: u64,
    /// Bytes of the destination.
    pub bytes_written: u64,
    /// Row groups written.
    pub row_groups: u64,
    /// The source's columns, in its order.
    pub columns: Vec<ColumnReport>,
    /// Column of longitudes.
    pub lon: String,
    /// Column of latitudes.
    pub lat: String,
    /// What stood between fields: `comma`.
    pub delimiter: String,
    /// West, south, east, north of the points.
    pub bbox: Option<[f64; 4]>,
    /// How long it took.
    pub seconds: f64,
}

/// What became of a column.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// Its type: `f64`.
    pub kind: String,
    /// Rows without a value.
    pub nulls: u64,
}

/// Converts `source` into `destination`. The destination is there when this succeeds, and is as it was
/// where it does not.
pub async fn run(
    stores: &Stores,
    source: &Location,
    destination: &Location,
    options: &Options,
    control: &Control,
) -> Result<Report> {
    let began = Instant::now();
    check(stores, source, destination)?;
    control.step("looking at the source");
    let handle = control.race(stores.open(destination, &control.meter)).await?;
    if !options.overwrite {
        check_absent(&handle, destination, control).await?;
    }
    let input = Source::open(stores, source, control).await?;
    let passes = if options.infer == Infer::All { 2 } else { 1 };
    control.set_total(input.size.saturating_mul(passes));
    let missing = Missing::new(options.missing.iter().map(String::as_str));
    let hints = Hints { delimiter: options.delimiter, header: options.header, missing };
    let at_source = || source.to_string();

    let guesses = if options.infer == Infer::All {
        let (to, from) = mpsc::channel(1);
        let text = Text::new(from, control);
        let hints = hints.clone();
        let scan =
            control.blocking(move |_| Ok(each_row(text, &hints, |layout| Ok(Scan::new(&layout, &hints)))?.0.guesses));
        let (fed, scanned) = tokio::join!(input.feed(control, to), scan);
        Some(both(fed, scanned.context(at_source))?.1)
    } else {
        None
    };

    let (to_worker, from_source) = mpsc::channel(1);
    let (to_sink, from_worker) = mpsc::channel(1);
    let text = Text::new(from_source, control);
    let parts = Parts::new(to_sink);
    let settings = options.clone();
    let work = control.blocking(move |control| encode(text, &hints, &settings, guesses, parts, &control));
    let meta = UploadMeta { content_type: Some(MEDIA_TYPE.to_owned()), ..UploadMeta::default() };
    let sink = Sink { handle: &handle, location: destination, meta, if_absent: !options.overwrite, control };
    // Each of the three ends soon after another has failed: its channel is closed then.
    let (fed, worked, written) = tokio::join!(input.feed(control, to_worker), work, sink.write(from_worker));
    let ((), (mut report, bytes)) = both(fed, both(worked.context(at_source), written))?;
    report.bytes_written = bytes;
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

/// Refuses what cannot be meant.
fn check(stores: &Stores, source: &Location, destination: &Location) -> Result<()> {
    for (location, what) in [(source, "read"), (destination, "written")] {
        if location.is_container() || location.is_account() {
            return Err(Error::usage(format!("{location} is a folder, which cannot be {what} as a file"))
                .with_hint("name the file"));
        }
    }
    let options = stores.options();
    if options.read_only {
        return Err(Error::new(Kind::Denied, format!("{destination} cannot be written: this is a read-only session"))
            .with_hint("start without --read-only"));
    }
    let place = |l: &Location| {
        let profile = l.profile().or(options.profile.as_deref()).map(str::to_owned);
        let file = l.to_path().and_then(|path| std::fs::canonicalize(path).ok());
        let key = file.map_or_else(|| l.key().to_owned(), |path| path.to_string_lossy().into_owned());
        (l.scheme(), profile.filter(|_| l.scheme() == Scheme::S3), l.bucket().to_owned(), key)
    };
    if place(source) == place(destination) {
        return Err(Error::usage(format!("{destination} is the source itself")).with_hint("choose another name"));
    }
    Ok(())
}

async fn check_absent(handle: &StoreHandle, destination: &Location, control: &Control) -> Result<()> {
    match control.race(handle.stat(destination)).await {
        Ok(_) => Err(exists(destination)),
        Err(err) if err.kind() == Kind::Cancelled => Err(err),
        // Whatever else is wrong, writing will tell it better.
        Err(_) => Ok(()),
    }
}

/// The source as text, for a blocking thread.
struct Text {
    from: mpsc::Receiver<Piece>,
    unpack: Unpack,
    control: Control,
    bytes: u64,
}

impl Text {
    fn new(from: mpsc::Receiver<Piece>, control: &Control) -> Self {
        Self { from, unpack: Unpack::new(), control: control.clone(), bytes: 0 }
    }

    /// Gives the text to `each` until it ends.
    fn each(&mut self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        loop {
            match self.from.blocking_recv() {
                Some(Piece::Bytes(bytes)) => {
                    self.control.check()?;
                    self.unpack.feed(&bytes, &mut each)?;
                    self.bytes += bytes.len() as u64;
                    self.control.advance(bytes.len() as u64);
                }
                Some(Piece::End) => return self.unpack.finish(&mut each),
                // The reader has failed, and says why itself.
                None => return Err(Error::cancelled()),
            }
        }
    }
}

/// What is done with rows.
trait Rows {
    /// Takes one; its line is counted from the start of the file.
    fn row(&mut self, record: Record<'_>, line: u64) -> Result<()>;
}

/// Reads text to its end: its start tells how it is written, `begin` makes of that what takes the rows.
/// Gives the taker back, and the bytes read.
fn each_row<R: Rows>(mut text: Text, hints: &Hints, begin: impl FnOnce(Layout) -> Result<R>) -> Result<(R, u64)> {
    let mut sample = Vec::new();
    let mut begin = Some(begin);
    let mut reading: Option<Reading<R>> = None;
    text.each(|piece| {
        let Some(reading) = &mut reading else {
            sample.extend_from_slice(piece);
            if sample.len() >= SAMPLE
                && let Some(begin) = begin.take()
            {
                let layout = inspect(sample.get(..SAMPLE).unwrap_or(&sample), false, hints)?;
                let taken = std::mem::take(&mut sample);
                reading.insert(Reading::new(&layout.clone(), begin(layout)?)).feed(&taken, true)?;
            }
            return Ok(());
        };
        reading.feed(piece, false)
    })?;
    let mut reading = match (reading, begin) {
        (None, Some(begin)) => {
            let layout = inspect(&sample, true, hints)?;
            let mut reading = Reading::new(&layout.clone(), begin(layout)?);
            reading.feed(&sample, true)?;
            reading
        }
        (Some(reading), _) => reading,
        (None, None) => return Err(Error::invalid("the text could not be read")),
    };
    reading.finish()?;
    Ok((reading.rows, text.bytes))
}

/// Text on its way to rows.
struct Reading<R> {
    records: Records,
    skip: usize,
    /// Lines before the first record.
    before: u64,
    header: bool,
    rows: R,
}

impl<R: Rows> Reading<R> {
    fn new(layout: &Layout, rows: R) -> Self {
        let dialect = layout.dialect;
        let records = Records::new(dialect.delimiter);
        Self { records, skip: dialect.skip, before: dialect.skip_lines, header: dialect.header, rows }
    }

    fn feed(&mut self, text: &[u8], first: bool) -> Result<()> {
        let Self { records, skip, before, header, rows } = self;
        let text = if first { text.get(*skip..).unwrap_or_default() } else { text };
        records.feed(text, |record| take(record, *before, header, rows))?;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let Self { records, before, header, rows, .. } = self;
        records.finish(|record| take(record, *before, header, rows))?;
        Ok(())
    }
}

fn take<R: Rows>(record: Record<'_>, before: u64, header: &mut bool, rows: &mut R) -> Result<bool> {
    if std::mem::take(header) {
        return Ok(true);
    }
    rows.row(record, record.line + before)?;
    Ok(true)
}

/// Looks at all rows, to know what each column is.
struct Scan {
    guesses: Vec<Guess>,
    missing: Missing,
}

impl Scan {
    fn new(layout: &Layout, hints: &Hints) -> Self {
        Self { guesses: vec![Guess::default(); layout.names.len()], missing: hints.missing.clone() }
    }
}

impl Rows for Scan {
    fn row(&mut self, record: Record<'_>, _: u64) -> Result<()> {
        for (guess, field) in self.guesses.iter_mut().zip(record.iter()) {
            guess.observe(field, &self.missing);
        }
        Ok(())
    }
}

/// Writes rows as a `GeoParquet` file.
struct Encoder {
    names: Vec<String>,
    columns: Columns,
    report: Report,
    points: Points,
    schema: SchemaRef,
    writer: ArrowWriter<Parts>,
    control: Control,
}

fn encode(
    text: Text,
    hints: &Hints,
    options: &Options,
    guesses: Option<Vec<Guess>>,
    parts: Parts,
    control: &Control,
) -> Result<Report> {
    let (encoder, bytes) = each_row(text, hints, |mut layout| {
        if let Some(guesses) = guesses {
            layout.guesses = guesses;
        }
        Encoder::new(&layout, hints, options, parts, control)
    })?;
    encoder.finish(bytes)
}

impl Encoder {
    fn new(layout: &Layout, hints: &Hints, options: &Options, parts: Parts, control: &Control) -> Result<Self> {
        let names = free_names(&layout.names, control);
        let find = |name: &String| column(&layout.names, name);
        let (lon, lat) = match (&options.lon, &options.lat) {
            (Some(lon), Some(lat)) => (find(lon)?, find(lat)?),
            _ => coordinates(&layout.names)?,
        };
        let mut kinds = layout.kinds();
        for name in &options.strings {
            kinds[find(name)?] = Type::Text;
        }
        for at in [lon, lat] {
            // Degrees are numbers with a fraction, also where the first are whole or there are none.
            if kinds[at] == Type::Int || layout.guesses[at].is_empty() {
                kinds[at] = Type::Float;
            }
            if kinds[at] != Type::Float {
                return Err(Error::invalid(format!("the column `{}` is {}, not degrees", names[at], kinds[at].name()))
                    .with_hint("name the columns of longitude and latitude: -o lon=COLUMN -o lat=COLUMN"));
            }
        }
        note_unknown(layout, &kinds, (lon, lat), control);
        let plan: Vec<_> = names.iter().cloned().zip(&kinds).enumerate().map(|(i, (name, k))| (i, name, *k)).collect();
        let columns = Columns::new(&plan, hints.missing.clone());
        let added = fields().map(Arc::new);
        let schema = Arc::new(Schema::new(columns.schema().fields().iter().cloned().chain(added).collect::<Vec<_>>()));
        let properties = properties(options.rows_per_group, GROUP_BYTES, std::iter::once((GEOMETRY, BBOX)))?;
        let writer = ArrowWriter::try_new(parts, schema.clone(), Some(properties)).map_err(|e| failed(e, false))?;
        let report = Report {
            rows: 0,
            null_geometries: 0,
            wrapped_longitudes: 0,
            short_rows: 0,
            bytes_read: 0,
            bytes_written: 0,
            row_groups: 0,
            columns: plan
                .iter()
                .map(|(_, name, kind)| ColumnReport { name: name.clone(), kind: kind.label().to_owned(), nulls: 0 })
                .collect(),
            lon: names[lon].clone(),
            lat: names[lat].clone(),
            delimiter: delimiter_name(layout.dialect.delimiter),
            bbox: None,
            seconds: 0.0,
        };
        Ok(Self { names, columns, report, points: Points::new(lon, lat), schema, writer, control: control.clone() })
    }

    /// Converts the rows that are waiting.
    fn flush(&mut self) -> Result<()> {
        self.control.check()?;
        let batch = self.columns.take().map_err(|e| Error::invalid("the rows cannot be kept").with_source(e))?;
        for (column, report) in batch.columns().iter().zip(&mut self.report.columns) {
            report.nulls += column.null_count() as u64;
        }
        let mut all = batch.columns().to_vec();
        all.extend(self.points.of(&batch)?);
        self.report.rows += batch.num_rows() as u64;
        let batch = RecordBatch::try_new(self.schema.clone(), all)
            .map_err(|e| Error::invalid("the rows cannot be kept").with_source(e))?;
        self.writer.write(&batch).map_err(|e| failed(e, self.writer.inner().is_closed()))?;
        self.control.step(format!("{} rows", text::count(self.report.rows)));
        Ok(())
    }

    fn finish(mut self, bytes: u64) -> Result<Report> {
        if self.columns.rows() > 0 {
            self.flush()?;
        }
        let geo = KeyValue::new("geo".to_owned(), self.points.metadata().to_string());
        self.writer.append_key_value_metadata(geo);
        let finished = self.writer.finish();
        let metadata = finished.map_err(|e| failed(e, self.writer.inner().is_closed()))?;
        self.writer.inner_mut().finish()?;
        let mut report = self.report;
        report.row_groups = metadata.num_row_groups() as u64;
        report.null_geometries = self.points.nulls;
        report.wrapped_longitudes = self.points.wrapped;
        report.bbox = self.points.bounds;
        report.bytes_read = bytes;
        if self.columns.latin > 0 {
            let fields = text::count(self.columns.latin);
            self.control.note(format!("{fields} fields were not UTF-8: they were read as Latin-1"));
        }
        Ok(report)
    }

    fn misfit(&self, misfit: &Misfit, line: u64, kind: &str) -> Error {
        let name = self.names.get(misfit.column).map_or("", String::as_str);
        let field: String = misfit.field.chars().take(60).collect();
        let line = text::count(line);
        Error::invalid(format!("line {line}, column `{name}`: `{field}` is not {kind}, as those before it"))
            .with_hint(format!("-o infer=all looks at the whole file first; -o strings={name} keeps it as text"))
    }
}

impl Rows for Encoder {
    fn row(&mut self, record: Record<'_>, line: u64) -> Result<()> {
        let width = self.names.len();
        if record.len() > width && record.iter().skip(width).any(|field| !field.is_empty()) {
            let (line, fields) = (text::count(line), record.len());
            return Err(Error::invalid(format!("line {line} has {fields} fields, but there are {width} columns"))
                .with_hint("is a quote or a -o delimiter=… missing?"));
        }
        self.report.short_rows += u64::from(record.len() < width);
        if let Err(misfit) = self.columns.push(record) {
            let kind = self.columns.kind(misfit.column).map_or("of its type", Type::name);
            return Err(self.misfit(&misfit, line, kind));
        }
        if self.columns.rows() >= BATCH || self.columns.text_bytes() >= BATCH_TEXT {
            self.flush()?;
        }
        Ok(())
    }
}

/// Says which columns are text only because nothing stood in them.
fn note_unknown(layout: &Layout, kinds: &[Type], coordinates: (usize, usize), control: &Control) {
    let empty = |at: usize| layout.guesses[at].is_empty() && kinds[at] == Type::Text;
    let names: Vec<&str> = (0..kinds.len())
        .filter(|at| *at != coordinates.0 && *at != coordinates.1 && empty(*at))
        .map(|at| layout.names[at].as_str())
        .collect();
    if !names.is_empty() && layout.rows > 0 {
        let some = names.iter().take(10).copied().collect::<Vec<_>>().join(", ");
        let more = if names.len() > 10 { ", …" } else { "" };
        control.note(format!("kept as text, since nothing was found in them: {some}{more}"));
    }
}
