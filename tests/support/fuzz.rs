//! Files that are broken at random and opened as tables: each gives rows or a sentence, in bounded time and memory,
//! and no thread of it panics. `SECCHI_FUZZ_SECONDS` says for how long (a few seconds where it is not set),
//! `SECCHI_FUZZ_SEED` names one input to try again by itself.
//!
//! The inputs are opened by this program started anew, with a limit on its memory; before each it writes down the
//! number of the input, so that one that kills it or never ends is known.

use arrow::array::{ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use bytes::Bytes;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use secchi::error::Error;
use secchi::location::Location;
use secchi::meter::Meter;
use secchi::preview::Probe;
use secchi::store::{Options, Stores};
use secchi::table::{Open, Scan, Window, format_cell, with_wkt};
use secchi::tables;
use secchi::task::Control;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Memory that is addressed at most, in KiB; and used at most.
const ADDRESSED: u64 = 3 << 20;
const USED: u64 = 1 << 20;
/// One input may take this long, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_mins(1);

fn batch(start: usize, rows: usize) -> RecordBatch {
    let range = start..start + rows;
    let id = Int64Array::from_iter_values(range.clone().map(|i| i as i64));
    // A file has one dictionary for all of its batches.
    let stations: StringArray = (0..100).map(|i| Some(format!("station {i}"))).collect();
    let keys = Int32Array::from_iter_values(range.clone().map(|i| (i % 100) as i32));
    let name = DictionaryArray::new(keys, Arc::new(stations));
    let h: Float64Array = range.clone().map(|i| (i % 10 != 3).then_some(i as f64 / 4.0)).collect();
    let text: StringArray = range.map(|i| Some(format!("row {i}"))).collect();
    let columns: [(&str, ArrayRef); 4] =
        [("id", Arc::new(id)), ("name", Arc::new(name)), ("h", Arc::new(h)), ("text", Arc::new(text))];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

/// Arrow files and streams of three batches of `rows` each.
pub(crate) fn ipc_seeds(rows: usize) -> Vec<(&'static str, Vec<u8>)> {
    let mut out = Vec::new();
    let batches: Vec<RecordBatch> = (0..3).map(|i| batch(i * rows, rows)).collect();
    let packed = |codec| IpcWriteOptions::default().try_with_compression(codec).expect("options");
    for codec in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let schema = batches[0].schema();
        let mut file = FileWriter::try_new_with_options(Vec::new(), &schema, packed(codec)).expect("a writer");
        let mut stream = StreamWriter::try_new_with_options(Vec::new(), &schema, packed(codec)).expect("a writer");
        for batch in &batches {
            file.write(batch).expect("a batch");
            stream.write(batch).expect("a batch");
        }
        out.push(("a.arrow", file.into_inner().expect("a file")));
        out.push(("a.arrows", stream.into_inner().expect("a stream")));
    }
    out
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut out = ipc_seeds(50);
    for codec in
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default()), Compression::LZ4_RAW]
    {
        let properties = WriterProperties::builder().set_compression(codec).set_max_row_group_row_count(Some(40));
        let properties = properties.set_data_page_row_count_limit(20).build();
        let rows = batch(0, 100);
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).expect("a writer");
        writer.write(&rows).expect("rows");
        out.push(("a.parquet", writer.into_inner().expect("a file")));
    }
    let text = super::csv(60).into_bytes();
    out.push(("a.csv", text.clone()));
    out.push(("a.csv.gz", super::gzip(&text)));
    let entries: [(&str, &[u8]); 2] = [("a.csv", &text), ("b.tsv", b"a\tb\n1\t2\n")];
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated, zip::CompressionMethod::Zstd] {
        out.push(("a.csv.zip", super::zip(&entries, method)));
    }
    out.push(("a.csv.zip", super::zip(&entries, zip::CompressionMethod::Bzip2)));
    let lines = "{\"a\":1,\"b\":\"x\\u00e4\",\"c\":[1,{\"d\":null}],\"e\":{\"f\":1.5}}\n".repeat(20);
    out.push(("a.ndjson", lines.into_bytes()));
    let feature = "{\"type\":\"Feature\",\"properties\":{\"n\":1},\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,0],[1,1],[0,0]]]}}";
    let document = format!("{{\"type\":\"FeatureCollection\",\"features\":[{feature},{feature},{feature}]}}");
    out.push(("a.geojson", document.into_bytes()));
    out
}

/// Numbers that lengths and offsets should not be.
const ODD: [u64; 10] = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

fn broken(mut bytes: Vec<u8>, others: &[(&'static str, Vec<u8>)], random: &mut SmallRng) -> Vec<u8> {
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            break;
        }
        // Most of what a file means is said at its start and end.
        let length = bytes.len();
        let at = match random.random_range(0..4) {
            0 => random.random_range(0..length.min(64)),
            1 | 2 => length - random.random_range(1..=length.min(1_500)),
            _ => random.random_range(0..length),
        };
        let n = random.random_range(1..=64_usize).min(length - at);
        match random.random_range(0..9) {
            0 | 1 => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes[at] = random.random(),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..at + n)),
            5 => {
                let piece = bytes[at..at + n].to_vec();
                bytes.splice(at..at, piece);
            }
            6 | 7 => {
                let width = [1, 2, 4, 8][random.random_range(0..4)].min(length - at);
                let odd = ODD[random.random_range(0..ODD.len())].to_le_bytes();
                bytes[at..at + width].copy_from_slice(&odd[..width]);
            }
            _ => {
                let other = &others[random.random_range(0..others.len())].1;
                let from = random.random_range(0..other.len());
                let piece = other[from..(from + n).min(other.len())].to_vec();
                bytes.splice(at..at + n, piece);
            }
        }
    }
    bytes
}

fn input(number: u64, seeds: &[(&'static str, Vec<u8>)]) -> (&'static str, Vec<u8>) {
    let mut random = SmallRng::seed_from_u64(number);
    let (name, bytes) = &seeds[random.random_range(0..seeds.len())];
    (name, broken(bytes.clone(), seeds, &mut random))
}

/// Looks at a table from all sides; cells are made text, as a screen does.
async fn look(name: &str, bytes: Vec<u8>) -> Result<(), Error> {
    let stores = Stores::new(Options::default());
    let location = Location::parse(&format!("memory:///{name}")).expect("an address");
    let handle = stores.open(&location, &Meter::new()).await?;
    handle.object_store().put(&handle.path(name), Bytes::from(bytes).into()).await.expect("written");
    let control = Control::default();
    let open = Open { probe: Probe::new(location), control: control.clone(), max_bytes: 64 << 20 };
    let rows = tables::open(stores, open).await?;
    let mut outcome = Ok(());
    for (offset, n) in [(0, 40), (70, 10), (1_000_000, 1)] {
        match rows.window(Window { rows: n, offset, columns: None }).await {
            Ok(batch) => {
                let batch = with_wkt(&batch, &rows.about().geo);
                for row in 0..batch.num_rows() {
                    (0..batch.num_columns()).for_each(|column| drop(format_cell(&batch, row, column)));
                }
            }
            Err(err) => outcome = Err(err),
        }
    }
    if let Err(err) = rows.layout().await {
        outcome = Err(err);
    }
    let mut batches = rows.scan(Scan::default(), &control);
    while let Some(batch) = batches.next().await {
        if let Err(err) = batch {
            outcome = Err(err);
            break;
        }
    }
    outcome
}

fn is_sentence(err: &Error) -> bool {
    let text = err.to_string();
    text.len() > 15 && !text.chars().any(char::is_control) && !text.contains("a worker thread failed")
}

/// What the program does that is started anew.
#[test]
#[ignore = "started by the other"]
fn child() {
    let Ok(folder) = std::env::var("SECCHI_FUZZ_FOLDER") else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let (seconds, first) = (number("SECCHI_FUZZ_SECONDS").unwrap_or(5), number("SECCHI_FUZZ_FIRST").unwrap_or(1));
    let only = number("SECCHI_FUZZ_SEED");
    let panics: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let kept = panics.clone();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let mut kept = kept.lock().expect("a list");
        let count = kept.entry(place).or_default();
        *count += 1;
        if *count == 1 {
            println!("{info}");
        }
        if only.is_some() {
            println!("{info}\n{}", std::backtrace::Backtrace::force_capture());
        }
    }));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (seeds, began) = (seeds(), Instant::now());
    let (mut seed, mut bad, mut good) = (only.unwrap_or(first), 0_u64, 0_u64);
    while began.elapsed().as_secs() < seconds {
        std::fs::write(Path::new(&folder).join("seed"), seed.to_string()).expect("written");
        let (name, bytes) = input(seed, &seeds);
        match runtime.block_on(look(name, bytes)) {
            Ok(()) => good += 1,
            Err(err) => {
                bad += 1;
                if only.is_some() {
                    println!("{name}: {err}");
                }
                assert!(is_sentence(&err), "input {seed} ({name}): {err}");
            }
        }
        if only.is_some() {
            break;
        }
        seed += 1;
    }
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let (tried, panics) = (good + bad, panics.lock().expect("a list").clone());
    println!("{tried} inputs, {bad} of them refused; at most {} MiB", peak.unwrap_or(0) >> 10);
    println!("panics of libraries that were caught: {panics:?}");
    assert!(peak.unwrap_or(0) < USED, "more memory than is allowed");
}

#[test]
fn broken_files_give_sentences() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = std::env::current_exe().expect("this program");
    let seconds = std::env::var("SECCHI_FUZZ_SECONDS").unwrap_or_else(|_| "4".to_owned());
    let line = format!("ulimit -v {ADDRESSED} && exec \"$0\" fuzz::child --exact --ignored --nocapture");
    let mut child = Command::new("bash")
        .args(["-c", &line])
        .arg(&program)
        .env("SECCHI_FUZZ_FOLDER", folder.path())
        .env("SECCHI_FUZZ_SECONDS", &seconds)
        .env("MALLOC_ARENA_MAX", "2")
        .env("RUST_MIN_STACK", "2097152")
        .stdin(Stdio::null())
        .spawn()
        .expect("started");
    let seed = || std::fs::read_to_string(folder.path().join("seed")).unwrap_or_default();
    let (mut last, mut since) = (seed(), Instant::now());
    let status = loop {
        if let Some(status) = child.try_wait().expect("a status") {
            break Some(status);
        }
        std::thread::sleep(Duration::from_millis(50));
        let now = seed();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            child.kill().expect("stopped");
            break None;
        }
    };
    let again = format!("try it alone with SECCHI_FUZZ_SEED={}", seed());
    match status {
        Some(status) => assert!(status.success(), "it ended with {status}: {again}"),
        None => panic!("one input took longer than {PATIENCE:?}: {again}"),
    }
}
