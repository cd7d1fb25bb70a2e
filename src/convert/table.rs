//! Rows written as they come: Parquet, `GeoParquet` 1.1 where there is geometry, CSV, NDJSON. Of the rows no more
//! than a row group is in memory; the destination exists whole or not at all.

use super::geoparquet::Shapes;
use super::parquet::{failed, properties};
use super::sink::{Parts, Sink, exists};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::{Stores, UploadMeta};
use crate::table::{Geo, json_rows, with_full_wkt};
use crate::task::Control;
use crate::text;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::{BoxStream, StreamExt as _};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use std::io::Write as _;
use std::time::Instant;
use tokio::sync::mpsc;

/// Rows of a row group.
const GROUP_ROWS: usize = 122_880;
/// Memory of a row group of very long rows.
const GROUP_BYTES: usize = 128 << 20;

/// A format that rows are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Parquet; `GeoParquet` 1.1 where there is geometry.
    Parquet,
    /// Comma separated, a header, geometry as WKT.
    Csv,
    /// A JSON object a line, geometry as WKT.
    Ndjson,
}

impl Form {
    /// All, as forms and the command line offer them.
    pub const ALL: [Self; 3] = [Self::Parquet, Self::Csv, Self::Ndjson];

    /// As it is written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// What the suffix of a name tells.
    pub fn of(location: &Location) -> Result<Self> {
        match location.extension().as_str() {
            "parquet" | "geoparquet" | "pq" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            "ndjson" | "jsonl" | "json" => Ok(Self::Ndjson),
            _ => Err(Error::usage(format!("the name of {location} tells no format that can be written"))
                .with_hint("end it with .parquet, .csv or .ndjson, or name the format: --to parquet")),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

impl std::str::FromStr for Form {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "parquet" | "geoparquet" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            "ndjson" | "jsonl" => Ok(Self::Ndjson),
            _ => Err(Error::usage(format!("`{text}` is not a format that can be written; parquet, csv, ndjson are"))),
        }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Report {
    /// Rows.
    pub rows: u64,
    /// Bytes of the destination.
    pub bytes_written: u64,
    /// Row groups, of Parquet.
    pub row_groups: u64,
    /// xmin, ymin, xmax, ymax of the first geometry column.
    pub bbox: Option<[f64; 4]>,
    /// How long it took.
    pub seconds: f64,
}

/// Rows on their way, and what they are.
pub struct Input {
    /// Their columns.
    pub schema: SchemaRef,
    /// Which are geometry.
    pub geo: Geo,
    /// The rows, each batch with the columns of `schema`.
    pub rows: BoxStream<'static, Result<RecordBatch>>,
}

/// Writes `input` to `destination`. It is there when this succeeds, and is as it was where it does not.
pub async fn write(
    stores: &Stores,
    input: Input,
    destination: &Location,
    form: Form,
    overwrite: bool,
    control: &Control,
) -> Result<Report> {
    let began = Instant::now();
    if destination.is_container() || destination.is_account() {
        return Err(Error::usage(format!("{destination} is a folder, which cannot be written as a file"))
            .with_hint("name the file"));
    }
    if stores.options().read_only {
        return Err(Error::new(Kind::Denied, format!("{destination} cannot be written: this is a read-only session"))
            .with_hint("start without --read-only"));
    }
    let handle = control.race(stores.open(destination, &control.meter)).await?;
    if !overwrite && control.race(handle.stat(destination)).await.is_ok() {
        return Err(exists(destination));
    }
    control.check()?;
    let Input { schema, geo, mut rows } = input;
    let (to_encoder, from_rows) = mpsc::channel(2);
    let (to_sink, from_encoder) = mpsc::channel(1);
    let parts = Parts::new(to_sink);
    let work = control.blocking(move |control| encode(form, &schema, &geo, from_rows, parts, &control));
    let meta = UploadMeta { content_type: Some(form.media_type().to_owned()), ..UploadMeta::default() };
    let sink = Sink { handle: &handle, location: destination, meta, if_absent: !overwrite, control };
    let feed = async move {
        while let Some(batch) = control.race(async { rows.next().await.transpose() }).await? {
            control.turn().await?;
            // The encoder has failed, and says why itself.
            to_encoder.send(Some(batch)).await.map_err(|_| Error::cancelled())?;
        }
        to_encoder.send(None).await.map_err(|_| Error::cancelled())
    };
    // Each of the three ends soon after another has failed: its channel is closed then.
    let (fed, worked, written) = tokio::join!(feed, work, sink.write(from_encoder));
    let ((), (mut report, bytes)) = super::both(fed, super::both(worked, written))?;
    report.bytes_written = bytes;
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

/// Encodes batches until `None` comes; a channel that ends without it was cut off.
fn encode(
    form: Form,
    schema: &SchemaRef,
    geo: &Geo,
    mut rows: mpsc::Receiver<Option<RecordBatch>>,
    parts: Parts,
    control: &Control,
) -> Result<Report> {
    let mut report = Report { rows: 0, bytes_written: 0, row_groups: 0, bbox: None, seconds: 0.0 };
    let mut encoder = Encoder::new(form, schema, geo, parts)?;
    loop {
        control.check()?;
        match rows.blocking_recv() {
            None => return Err(Error::cancelled()),
            Some(None) => break,
            Some(Some(batch)) => {
                encoder.write(&batch)?;
                report.rows += batch.num_rows() as u64;
                control.set_done(report.rows);
                control.step(format!("{} rows", text::count(report.rows)));
            }
        }
    }
    encoder.finish(&mut report)?;
    Ok(report)
}

enum Encoder {
    Parquet(Box<ArrowWriter<Parts>>, Shapes),
    Csv(Box<arrow::csv::Writer<Parts>>, Geo),
    Ndjson(Parts, Geo),
}

impl Encoder {
    fn new(form: Form, schema: &SchemaRef, geo: &Geo, parts: Parts) -> Result<Self> {
        Ok(match form {
            Form::Parquet => {
                let shapes = Shapes::new(schema, geo)?;
                let properties = properties(GROUP_ROWS, GROUP_BYTES, shapes.columns())?;
                let writer = ArrowWriter::try_new(parts, shapes.schema().clone(), Some(properties));
                Self::Parquet(Box::new(writer.map_err(|err| failed(err, false))?), shapes)
            }
            Form::Csv => {
                let nested =
                    schema.fields().iter().find(|f| f.data_type().is_nested() && geo.column(f.name()).is_none());
                if let Some(nested) = nested {
                    return Err(Error::unsupported(format!(
                        "the column `{}` is nested: CSV has no form for it",
                        nested.name()
                    ))
                    .with_hint("leave it out, name its parts, or write Parquet or NDJSON"));
                }
                Self::Csv(Box::new(arrow::csv::WriterBuilder::new().with_header(true).build(parts)), geo.clone())
            }
            Form::Ndjson => Self::Ndjson(parts, geo.clone()),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(writer, shapes) => {
                let batch = shapes.dress(batch)?;
                writer.write(&batch).map_err(|err| failed(err, writer.inner().is_closed()))
            }
            Self::Csv(writer, geo) => writer.write(&with_full_wkt(batch, geo)).map_err(|err| match err {
                arrow::error::ArrowError::IoError(..) => Error::cancelled(),
                err => Error::unsupported("these rows cannot be written as CSV").with_source(err),
            }),
            Self::Ndjson(parts, geo) => {
                let mut lines = Vec::new();
                for row in json_rows(&with_full_wkt(batch, geo)) {
                    serde_json::to_writer(&mut lines, &row)?;
                    lines.push(b'\n');
                }
                // Who takes no more says why itself.
                parts.write_all(&lines).map_err(|_| Error::cancelled())
            }
        }
    }

    fn finish(self, report: &mut Report) -> Result<()> {
        match self {
            Self::Parquet(mut writer, shapes) => {
                if let Some(geo) = shapes.metadata() {
                    writer.append_key_value_metadata(KeyValue::new("geo".to_owned(), geo.to_string()));
                }
                report.bbox = shapes.bounds();
                let finished = writer.finish().map_err(|err| failed(err, writer.inner().is_closed()))?;
                report.row_groups = finished.num_row_groups() as u64;
                writer.inner_mut().finish()
            }
            Self::Csv(writer, _) => writer.into_inner().finish(),
            Self::Ndjson(mut parts, _) => parts.finish(),
        }
    }
}
