//! Tables for tests of their screen: a file with all that cells can hold, rows that are made up as they are looked
//! at, a table in many files.
#![allow(dead_code, missing_docs, unreachable_pub)]

use arrow::array::{
    ArrayRef, BinaryArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use secchi::error::Result;
use secchi::facts::Facts;
use secchi::table::{About, Chunk, Column, Geo, Group, Layout, Page, Rows, Scan, Window};
use secchi::task::Control;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// A point as Well-Known Binary.
pub fn point(x: f64, y: f64) -> Vec<u8> {
    let mut wkb = vec![1, 1, 0, 0, 0];
    wkb.extend(x.to_le_bytes());
    wkb.extend(y.to_le_bytes());
    wkb
}

/// Three hundred measurements with cells of every kind.
pub fn buoys(folder: &Path) -> PathBuf {
    let n = 300_i32;
    let points: Vec<Vec<u8>> = (0..n).map(|i| point(25.0 + f64::from(i) / 64.0, 61.5)).collect();
    let quality: ArrayRef = Arc::new(Int32Array::from_iter_values((0..n).map(|i| i % 3)));
    let by: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..n).map(|i| if i % 2 == 0 { "boat" } else { "buoy" })));
    let flags = StructArray::from(vec![
        (Arc::new(Field::new("quality", DataType::Int32, true)), quality),
        (Arc::new(Field::new("by", DataType::Utf8, true)), by),
    ]);
    let profile = (0..n).map(|i| Some((0..i % 5).map(move |k| Some(f64::from(i - k) / 4.0)).collect::<Vec<_>>()));
    let depth = (0..n).map(|i| (i % 50 != 7).then(|| f64::from(i % 40) * 0.125 - 1.0));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values((0..n).map(|i| i64::from(i) + 612_000)))),
        ("lake", Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("Lake {}", i % 7))))),
        (
            "time",
            Arc::new(
                TimestampMillisecondArray::from_iter_values(
                    (0..n).map(|i| 1_577_836_800_000 + i64::from(i) * 3_600_500),
                )
                .with_timezone("UTC"),
            ),
        ),
        ("depth", Arc::new(depth.collect::<Float64Array>())),
        ("secchi", Arc::new(Float32Array::from_iter_values((0..n).map(|i| (i % 11) as f32 * 0.1)))),
        ("geometry", Arc::new(BinaryArray::from_iter_values(points))),
        ("profile", Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(profile))),
        ("flags", Arc::new(flags)),
        (
            "note",
            Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("first line {i}\nsecond \u{1b}[31mline")))),
        ),
    ];
    let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays).expect("a batch");
    let geo = r#"{"version": "1.1.0", "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Point"]}}}"#;
    let pairs = vec![
        KeyValue::new("geo".to_owned(), geo.to_owned()),
        KeyValue::new("sliderule".to_owned(), r#"{"server": {"version": "v4.3.2"}}"#.to_owned()),
    ];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(pairs)).build();
    let path = folder.join("buoys.parquet");
    let file = std::fs::File::create(&path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    path
}

/// Rows that are made up as they are looked at, once they are let through.
#[derive(Debug)]
pub struct Numbers {
    about: Arc<About>,
    pub gate: Arc<Semaphore>,
    /// Lets batches of a scan through.
    pub scans: Arc<Semaphore>,
    pub asked: Mutex<Vec<Window>>,
    /// Reads that were given up.
    pub given_up: Arc<AtomicUsize>,
}

impl Numbers {
    pub fn new(rows: u64, columns: usize, open: bool) -> Arc<Self> {
        let names = (0..columns).map(|i| format!("c{i}"));
        let fields: Vec<Field> = names.clone().map(|name| Field::new(name, DataType::Int64, true)).collect();
        let column = |name| Column { name, kind: "i64".into(), numeric: true, ..Column::default() };
        let about = About {
            facts: Facts { title: "numbers".into(), rows: vec![("rows".into(), rows.to_string())] },
            schema: Arc::new(Schema::new(fields)),
            columns: names.map(column).collect(),
            geo: Geo::default(),
            total_rows: Some(rows),
            seen_rows: rows,
            pairs: Vec::new(),
        };
        let gate = Arc::new(Semaphore::new(if open { Semaphore::MAX_PERMITS } else { 0 }));
        let scans = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Arc::new(Self { about: Arc::new(about), gate, scans, asked: Mutex::default(), given_up: Arc::default() })
    }

    /// The same, but nothing comes of reading it from end to end.
    pub fn held(rows: u64, columns: usize) -> Arc<Self> {
        let numbers = Self::new(rows, columns, true);
        numbers.scans.forget_permits(Semaphore::MAX_PERMITS);
        numbers
    }

    fn batch(window: &Window, total: u64) -> RecordBatch {
        let end = (window.offset + window.rows as u64).min(total);
        let names = window.columns.clone().expect("columns are named");
        let columns = names.into_iter().map(|name| {
            let id: i64 = name[1..].parse().expect("a number");
            let rows = window.offset.min(end)..end;
            let values = rows.map(|row| row as i64 * 10 + id % 10);
            (name, Arc::new(Int64Array::from_iter_values(values)) as ArrayRef)
        });
        RecordBatch::try_from_iter(columns).expect("a batch")
    }
}

/// Counts a read that was dropped before it had an answer.
struct Waits(Arc<AtomicUsize>, bool);

impl Drop for Waits {
    fn drop(&mut self) {
        if self.1 {
            self.0.fetch_add(1, Relaxed);
        }
    }
}

impl Rows for Numbers {
    fn about(&self) -> Arc<About> {
        self.about.clone()
    }

    fn window(&self, window: Window) -> BoxFuture<'_, Result<RecordBatch>> {
        self.asked.lock().expect("asked").push(window.clone());
        let waits = Waits(self.given_up.clone(), true);
        Box::pin(async move {
            let mut waits = waits;
            let pass = self.gate.acquire().await;
            waits.1 = pass.is_err();
            Ok(Self::batch(&window, self.about.seen_rows))
        })
    }

    fn scan(&self, scan: Scan, _control: &Control) -> BoxStream<'static, Result<RecordBatch>> {
        let total = self.about.seen_rows;
        let starts = futures::stream::iter((0..total).step_by(1000));
        let window = move |offset| Window { rows: 1000, offset, columns: scan.columns.clone() };
        let scans = self.scans.clone();
        let batch = move |offset| {
            let (scans, window) = (scans.clone(), window(offset));
            async move {
                let _pass = scans.acquire().await;
                Ok(Self::batch(&window, total))
            }
        };
        starts.then(batch).boxed()
    }

    fn layout(&self) -> BoxFuture<'_, Result<Option<Layout>>> {
        let page =
            |n: u64| Page { first_row: n * 50, offset: 4 + n * 512, stored: 512, nulls: Some(0), ..Page::default() };
        let chunk = |name: &Column| Chunk {
            column: name.name.clone(),
            kind: "INT64".into(),
            encodings: "PLAIN, RLE".into(),
            codec: "zstd".into(),
            stored: 1024,
            plain: 4096,
            nulls: Some(3),
            min: Some("0".into()),
            max: Some("999".into()),
            pages: vec![page(0), page(1)],
            ..Chunk::default()
        };
        let group = Group { rows: 100, stored: 4096, chunks: self.about.columns.iter().map(chunk).collect() };
        Box::pin(async move { Ok(Some(Layout { groups: vec![group.clone(), group] })) })
    }
}

/// A table in four files of a hundred rows, by year and month; under `folder/lake/`.
pub fn lake(folder: &Path) -> PathBuf {
    let base = folder.join("lake");
    for (i, part) in ["2023/month=9", "2023/month=10", "2024/month=1", "2024/month=2"].iter().enumerate() {
        let ids = i as i64 * 100..(i as i64 + 1) * 100;
        let columns: [(&str, ArrayRef); 2] = [
            ("id", Arc::new(Int64Array::from_iter_values(ids.clone()))),
            ("depth", Arc::new(Float64Array::from_iter_values(ids.map(|id| id as f64 / 8.0)))),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("a batch");
        let inside = base.join(format!("year={part}"));
        std::fs::create_dir_all(&inside).expect("a folder");
        let file = std::fs::File::create(inside.join("part-0.parquet")).expect("a file");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
    }
    base
}
