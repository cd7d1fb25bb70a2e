//! The table screen driven by keys on the real loop: a file with all that cells can hold, a billion rows
//! that are made up as they are looked at, rows that do not come.

#[path = "support/cx.rs"]
mod cx;
#[path = "support/drive.rs"]
mod drive;

use arrow::array::{
    ArrayRef, BinaryArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use drive::Drive;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use secchi::error::Result;
use secchi::facts::Facts;
use secchi::location::Location;
use secchi::probe::Probe;
use secchi::screen::Open;
use secchi::table::{About, Chunk, Column, Geo, Group, Layout, Page, Rows, Scan, Window};
use secchi::task::Control;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

/// A point as Well-Known Binary.
fn point(x: f64, y: f64) -> Vec<u8> {
    let mut wkb = vec![1, 1, 0, 0, 0];
    wkb.extend(x.to_le_bytes());
    wkb.extend(y.to_le_bytes());
    wkb
}

/// Three hundred measurements with cells of every kind.
fn buoys(folder: &Path) -> PathBuf {
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
struct Numbers {
    about: Arc<About>,
    gate: Arc<Semaphore>,
    asked: Mutex<Vec<Window>>,
    /// Reads that were given up.
    given_up: Arc<AtomicUsize>,
}

impl Numbers {
    fn new(rows: u64, columns: usize, open: bool) -> Arc<Self> {
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
        Arc::new(Self { about: Arc::new(about), gate, asked: Mutex::default(), given_up: Arc::default() })
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
        starts.map(move |offset| Ok(Self::batch(&window(offset), total))).boxed()
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

fn probe(path: &Path) -> Probe {
    Probe::new(Location::parse(&path.to_string_lossy()).expect("a path"))
}

/// Without what reading has cost, which is a matter of how tables are read.
fn steady(screen: &str) -> String {
    let line = |line: &str| match line.find(" request") {
        Some(at) => {
            let before = line[..at].trim_end_matches(|c: char| c.is_ascii_digit() || c == ',').trim_end();
            format!("{before}  (cost)")
        }
        None => line.to_owned(),
    };
    screen.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Whether all cells in sight are there; the bars above and below have dots of their own.
fn is_whole(screen: &str) -> bool {
    let lines: Vec<&str> = screen.lines().collect();
    lines.len() > 5 && !screen.contains("reading…") && lines[1..lines.len() - 2].iter().all(|line| !line.contains('·'))
}

/// Runs `test` with a folder and a screen that shows `open`.
async fn with(open: impl FnOnce(&Path) -> Open, size: (u16, u16), test: impl AsyncFnOnce(&mut Drive)) {
    let state = tempfile::tempdir().expect("a folder");
    let open = open(state.path());
    let context = cx::for_tests(state.path());
    LocalSet::new()
        .run_until(async {
            let mut drive = Drive::start(open, context, size);
            test(&mut drive).await;
        })
        .await;
}

fn file(folder: &Path) -> Open {
    Open::Table { probe: probe(&buoys(folder)) }
}

fn numbers(rows: &Arc<Numbers>) -> Open {
    Open::Rows { title: "numbers".into(), rows: rows.clone(), control: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_seen_in_every_size() {
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60"), ((40, 12), "40x12")] {
        with(file, size, async |drive| {
            drive.see("612000").await;
            let screen = drive.settle("all cells", is_whole).await;
            insta::assert_snapshot!(format!("rows_{name}"), steady(&screen));
            drive.keys("$G").await;
            drive.see("first line 299").await;
            let screen = drive.settle("all cells", is_whole).await;
            insta::assert_snapshot!(format!("end_{name}"), steady(&screen));
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cell_a_row_and_the_metadata_are_seen_in_full() {
    with(file, (80, 24), async |drive| {
        drive.see("612000").await;
        drive.keys("5l<Enter>").await;
        drive.see("vertices").await;
        let screen = drive.settle("all cells", |s| is_whole(&s.replace("geometry · row", ""))).await;
        insta::assert_snapshot!("cell_geometry", steady(&screen));
        drive.keys("y").await;
        assert_eq!(drive.copied(), ["POINT (25 61.5)"]);
        drive.keys("<Esc><Esc>").await;
        drive.gone("vertices").await;
        drive.keys("2l<Enter>").await;
        drive.settle("members below each other", |s| s.contains("quality  0") && s.contains("by       boat")).await;
        drive.keys("<Esc>l<Enter>").await;
        drive.see("second ␛[31mline").await;
        drive.keys("<Esc>r").await;
        drive.see("{quality: 0, by: boat}").await;
        drive.keys("l").await;
        drive.see("{quality: 1, by: buoy}").await;
        let screen = drive.settle("all values", is_whole).await;
        insta::assert_snapshot!("record", steady(&screen));
        drive.keys("<Esc>vv").await;
        let screen = drive.see("v4.3.2").await;
        insta::assert_snapshot!("metadata", steady(&screen));
        drive.keys("gg<Enter>").await;
        drive.gone("primary_column").await;
        drive.keys("v").await;
        drive.see("created by").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_are_moved_hidden_frozen_and_found() {
    with(file, (80, 24), async |drive| {
        drive.see("612000").await;
        drive.keys("L").await;
        let heads = |screen: &str| screen.lines().nth(1).unwrap_or_default().to_owned();
        let before = |screen: &str, a: &str, b: &str| {
            heads(screen).find(a).zip(heads(screen).find(b)).is_some_and(|(a, b)| a < b)
        };
        drive.settle("id behind lake", |s| before(s, "lake", "id")).await;
        drive.keys("-").await;
        drive.settle("id is hidden", |s| !heads(s).contains("id") && s.contains("1 hidden")).await;
        drive.keys("0z$").await;
        drive
            .settle("lake is frozen", |s| {
                heads(s).trim_start().starts_with("lake") && s.contains("│") && s.contains("note")
            })
            .await;
        drive.keys("f").await;
        drive.text("secc").await;
        drive.see("Columns: 1 of 9").await;
        drive.keys("<Enter>").await;
        drive.settle("at secchi", |s| heads(s).contains("secchi") && s.contains("column 4 of 8")).await;
        drive.keys("f").await;
        drive.text("id").await;
        drive.see("hidden").await;
        drive.keys("<Enter>").await;
        drive.see("column 2 of 9").await;
        drive.keys(">>").await;
        drive.settle("id is wider", |s| before(s, "lake", "id") && s.contains("        612000")).await;
        drive.keys("z").await;
        drive.keys("#").await;
        drive.text("50%").await;
        drive.keys("<Enter>").await;
        drive.see("row 151 of 300").await;
        drive.keys("12G").await;
        drive.see("row 12 of 300").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_billion_rows_and_a_thousand_columns_are_read_only_where_they_are_looked_at() {
    let rows = Numbers::new(1_000_000_000, 1000, true);
    let open = numbers(&rows);
    with(
        |_| open,
        (100, 30),
        async |drive| {
            drive.see("column 1 of 1,000").await;
            drive.keys("G$").await;
            drive.see("row 1,000,000,000 of 1,000,000,000 · column 1,000 of 1,000").await;
            drive.see("9999999999").await;
            drive.keys("500000000G").await;
            drive.see("4999999999").await;
            drive.settle("all cells", is_whole).await;
        },
    )
    .await;
    let asked = rows.asked.lock().expect("asked");
    let cells: usize = asked.iter().map(|w| w.rows * w.columns.as_ref().map_or(0, Vec::len)).sum();
    assert!(asked.iter().all(|w| w.rows <= 256 && w.columns.as_ref().is_some_and(|c| c.len() < 60)), "{asked:?}");
    assert!(cells < 60_000, "{cells} cells for three looks: {asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_never_wait_for_rows_and_what_was_passed_by_is_given_up() {
    let rows = Numbers::new(1_000_000, 5, false);
    let open = numbers(&rows);
    with(
        |_| open,
        (80, 24),
        async |drive| {
            drive.see("row 1 of 1,000,000").await;
            for row in [1000, 5000, 90_000, 400_000, 777_777] {
                // Each is answered by a frame although no read ever ends.
                drive.keys(&format!("{row}G")).await;
            }
            let screen = drive.see("row 777,777 of 1,000,000").await;
            assert!(screen.contains('·') && !screen.contains("7777760"), "{screen}");
            let given_up = rows.given_up.load(Relaxed);
            assert!(given_up >= 3, "{given_up} of the reads passed by were given up");
            rows.gate.add_permits(1000);
            drive.see("7777760").await;
            drive.settle("all cells", is_whole).await;
        },
    )
    .await;
    let last = rows.asked.lock().expect("asked").len();
    assert!(last < 20, "{last} reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_layout_is_unfolded_down_to_pages() {
    let rows = Numbers::new(200, 3, true);
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60")] {
        let open = numbers(&rows);
        with(
            |_| open,
            size,
            async |drive| {
                drive.see("column 1 of 3").await;
                drive.keys("v").await;
                drive.see("row group 2").await;
                drive.keys("<Enter>jj<Enter>").await;
                let screen = drive.see("first row").await;
                insta::assert_snapshot!(format!("layout_{name}"), screen);
                drive.keys("hh").await;
                drive.gone("first row").await;
            },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_starts_with_statistics_and_becomes_exact() {
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60"), ((40, 12), "40x12")] {
        let open = numbers(&Numbers::new(20_000, 3, true));
        with(
            |_| open,
            size,
            async |drive| {
                drive.see("row 1 of").await;
                drive.keys("p").await;
                // Small enough to be read without asking.
                let screen = drive.see("exact").await;
                insta::assert_snapshot!(format!("profile_{name}"), screen);
                drive.keys("l").await;
                drive.settle("the next column", |s| s.contains("c1") && s.contains("exact")).await;
            },
        )
        .await;
    }
    with(file, (80, 24), async |drive| {
        drive.see("612000").await;
        drive.keys("3lp").await;
        drive.settle("told or offered", |s| s.contains("exact") || s.contains("reads all rows")).await;
        drive.keys("<Enter>").await;
        drive.see("exact").await;
        let screen = drive.see("median").await;
        assert!(screen.contains("nulls       6  2.0 %") && screen.contains("frequent values"), "{screen}");
        drive.keys("<Esc>").await;
        drive.gone("median").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_table_says_so_and_shows_what_it_can() {
    let broken = |folder: &Path| {
        let path = folder.join("broken.parquet");
        std::fs::write(&path, "these are words, not rows\n".repeat(20)).expect("written");
        Open::Table { probe: probe(&path) }
    };
    with(broken, (80, 24), async |drive| {
        drive.see("shows what else can be seen of it").await;
        drive.keys("<Enter>").await;
        drive.gone("shows what else can be seen of it").await;
    })
    .await;
}
