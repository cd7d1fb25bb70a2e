//! CSV to `GeoParquet`: what is read back is what was written, for every store: memory, the local disk, and a
//! real Ceph gateway where `SECCHI_CEPH`, `SECCHI_CEPH_KEY` and `SECCHI_CEPH_SECRET` name one.

#![allow(clippy::print_stderr)] // a test that is skipped says so

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use proptest::prelude::*;
use secchi::convert::csv_geoparquet::{Infer, Options, Report, run};
use secchi::error::{Error, Kind, Result};
use secchi::job::{Jobs, State};
use secchi::jobs::convert::Convert;
use secchi::location::Location;
use secchi::store::{self, Environment, Stores, UploadMeta};
use secchi::task::{Control, Waker};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;

const MIB: usize = 1 << 20;

/// A store to read from and write to.
struct Bench {
    stores: Stores,
    base: Location,
    dir: tempfile::TempDir,
    ceph: Option<aws_sdk_s3::Client>,
}

impl Bench {
    async fn put(&self, name: &str, text: impl Into<Bytes>) -> Location {
        let location = self.base.child(name);
        let handle = self.stores.open(&location, self.stores.meter()).await.expect("opens");
        handle.put_object(location.key(), text.into(), &UploadMeta::default(), false).await.expect("puts");
        location
    }

    async fn convert(&self, source: &Location, name: &str, options: &Options) -> Result<Report> {
        let control = Control::new(self.stores.meter().child());
        run(&self.stores, source, &self.base.child(name), options, &control).await
    }

    async fn bytes(&self, name: &str) -> Bytes {
        let location = self.base.child(name);
        let handle = self.stores.open(&location, self.stores.meter()).await.expect("opens");
        let size = self.stores.stat(&location, self.stores.meter()).await.expect("is there").size;
        handle.read_range(&location, 0..size).await.expect("reads")
    }

    async fn is_absent(&self, name: &str) -> bool {
        let found = self.stores.stat(&self.base.child(name), self.stores.meter()).await;
        matches!(found, Err(err) if err.kind() == Kind::NotFound)
    }

    /// What an upload that was not aborted would leave: parts on the server, hidden files on the disk.
    async fn leftovers(&self) -> usize {
        let files = std::fs::read_dir(self.dir.path()).expect("lists");
        let hidden =
            files.filter(|f| f.as_ref().is_ok_and(|f| f.file_name().to_string_lossy().starts_with('.'))).count();
        let Some(client) = &self.ceph else { return hidden };
        let listed = client.list_multipart_uploads().bucket(self.base.bucket()).send().await.expect("lists");
        hidden + listed.uploads().len()
    }
}

fn bench(base: Option<Location>, environment: Environment, endpoint: Option<String>) -> Bench {
    let region = Some("us-east-1".to_owned());
    let stores =
        Stores::new(store::Options { environment, endpoint_url: endpoint, region, ..store::Options::default() });
    let dir = tempfile::tempdir().expect("a folder");
    let base = base.unwrap_or_else(|| Location::file(dir.path()).as_container());
    Bench { stores, base, dir, ceph: None }
}

fn memory() -> Bench {
    let base = Location::parse("memory:///up/").expect("location");
    bench(Some(base), Environment::fixed([("HOME", "/nowhere")]), None)
}

fn local() -> Bench {
    bench(None, Environment::fixed([("HOME", "/nowhere")]), None)
}

/// A bucket of its own on the gateway of the environment.
async fn ceph() -> Option<Bench> {
    let (Ok(endpoint), Ok(key), Ok(secret)) =
        (std::env::var("SECCHI_CEPH"), std::env::var("SECCHI_CEPH_KEY"), std::env::var("SECCHI_CEPH_SECRET"))
    else {
        eprintln!("skipped: SECCHI_CEPH, SECCHI_CEPH_KEY and SECCHI_CEPH_SECRET name no gateway");
        return None;
    };
    let bucket = format!("convert-{}", ulid::Ulid::new().to_string().to_lowercase());
    let environment = Environment::fixed([("AWS_ACCESS_KEY_ID", &key), ("AWS_SECRET_ACCESS_KEY", &secret)]);
    let base = Location::parse(&format!("s3://{bucket}/")).expect("location");
    let mut bench = bench(Some(base), environment, Some(endpoint.clone()));
    let handle = bench.stores.open(&bench.base, bench.stores.meter()).await.expect("opens");
    handle.create_bucket().await.expect("creates the bucket");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .credentials_provider(aws_sdk_s3::config::Credentials::new(key, secret, None, None, "test"))
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .build();
    bench.ceph = Some(aws_sdk_s3::Client::from_conf(config));
    Some(bench)
}

async fn all() -> Vec<Bench> {
    let mut all = vec![memory(), local()];
    all.extend(ceph().await);
    all
}

fn read(bytes: Bytes) -> (RecordBatch, std::sync::Arc<ParquetMetaData>) {
    let options =
        parquet::arrow::arrow_reader::ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).expect("a Parquet file");
    let (metadata, schema) = (builder.metadata().clone(), builder.schema().clone());
    let batches: Vec<RecordBatch> = builder.build().expect("reads").map(|b| b.expect("a batch")).collect();
    (concat_batches(&schema, &batches).expect("one batch"), metadata)
}

fn geo(metadata: &ParquetMetaData) -> Value {
    let pairs = metadata.file_metadata().key_value_metadata().expect("pairs");
    let text = pairs.iter().find(|kv| kv.key == "geo").and_then(|kv| kv.value.clone()).expect("geo");
    serde_json::from_str(&text).expect("JSON")
}

/// The point of a row; `None` where it is null.
fn point(batch: &RecordBatch, row: usize) -> Option<(f64, f64)> {
    let column = batch.column_by_name("geometry").expect("geometry").as_binary::<i32>();
    column.is_valid(row).then(|| {
        let wkb = column.value(row);
        assert_eq!((wkb.len(), &wkb[..5]), (21, &[1, 1, 0, 0, 0][..]));
        let at = |i: usize| f64::from_le_bytes(wkb[i..i + 8].try_into().expect("eight bytes"));
        (at(5), at(13))
    })
}

fn text(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(column).expect("a column").as_string::<i32>();
    column.is_valid(row).then(|| column.value(row).to_owned())
}

/// Rows as of bottle data; `pad` makes them long and hard to compress.
fn bottles(rows: usize, pad: usize) -> String {
    let mut out = String::from("G2cruise,G2latitude,G2longitude,time,G2oxygen,note\r\n");
    let mut state = 1_u64;
    for i in 0..rows {
        let lat = if i % 1000 == 7 { -9999.0 } else { (i % 180) as f64 - 89.5 };
        let oxygen = if i % 3 == 0 { "-9999".to_owned() } else { format!("{:.2}", 150.0 + (i % 977) as f64 / 7.0) };
        write!(out, "{},{lat},{:.4},2020-01-02T03:04:{:02}Z,{oxygen},", i / 50, (i % 3600) as f64 / 10.0, i % 60)
            .expect("text");
        for _ in 0..pad {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            write!(out, "{:016x}", state ^ (state >> 29)).expect("text");
        }
        out.push_str("\r\n");
    }
    out
}

fn missing(values: &[&str]) -> Options {
    Options { missing: values.iter().map(|v| (*v).to_owned()).collect(), ..Options::default() }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).expect("write");
    encoder.finish().expect("finish")
}

/// A Python with geopandas reads it too, where `SECCHI_PYTHON` names one.
fn check_with_geopandas(bytes: &[u8], rows: u64, geometries: u64) {
    let Ok(python) = std::env::var("SECCHI_PYTHON") else {
        eprintln!("skipped: SECCHI_PYTHON names no Python with geopandas");
        return;
    };
    let file = tempfile::Builder::new().suffix(".parquet").tempfile().expect("file");
    std::fs::write(file.path(), bytes).expect("writes");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/check_geoparquet.py");
    let mut command = std::process::Command::new(python);
    let output = command.arg(script).arg(file.path()).args([rows.to_string(), geometries.to_string()]).output();
    let output = output.expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("geopandas: {}", String::from_utf8_lossy(&output.stdout).trim());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_station_file_in_which_everything_is_quoted() {
    let csv = "\u{feff}\"STATION\",\"DATE\",\"LATITUDE\",\"LONGITUDE\",\"ELEVATION\",\"NAME\",\"TMP\"\n\
        \"98646099999\",\"2020-01-01T00:00:00\",\"10.3075\",\"123.9793889\",\"9.4\",\"MACTAN CEBU INTL, RP\",\"+0273,1\"\n\
        \"98646099999\",\"2020-01-01T01:00:00\",\"10.3075\",\"123.9793889\",\"9.4\",\"MACTAN \"\"CEBU\"\"\nINTL, RP\",\"+9999,9\"\n\
        \"98646099999\",\"2020-01-01T02:00:00\",\"\",\"\",\"9.4\",\"\",\"+0268,1\"\n";
    let bench = memory();
    let source = bench.put("2020.csv", csv).await;
    let report = bench.convert(&source, "2020.parquet", &missing(&["+9999,9"])).await.expect("converts");
    assert_eq!((report.rows, report.null_geometries, report.delimiter.as_str()), (3, 1, "comma"));
    assert_eq!((report.lon.as_str(), report.lat.as_str()), ("LONGITUDE", "LATITUDE"));
    let (batch, metadata) = read(bench.bytes("2020.parquet").await);
    let kinds: Vec<DataType> = batch.schema().fields().iter().map(|f| f.data_type().clone()).collect();
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let (i64, f64, utf8) = (DataType::Int64, DataType::Float64, DataType::Utf8);
    assert_eq!(kinds[..7], [i64, time, f64.clone(), f64.clone(), f64, utf8.clone(), utf8]);
    assert_eq!(text(&batch, "NAME", 0).as_deref(), Some("MACTAN CEBU INTL, RP"));
    assert_eq!(text(&batch, "NAME", 1).as_deref(), Some("MACTAN \"CEBU\"\nINTL, RP"));
    assert_eq!(text(&batch, "TMP", 0).as_deref(), Some("+0273,1"));
    assert_eq!((text(&batch, "TMP", 1), text(&batch, "NAME", 2)), (None, None));
    assert_eq!(point(&batch, 0), Some((123.979_388_9, 10.3075)));
    assert_eq!(point(&batch, 2), None);
    let geo = geo(&metadata);
    assert_eq!(geo["version"], "1.1.0");
    assert_eq!(geo["columns"]["geometry"]["covering"]["bbox"]["xmax"], json!(["bbox", "xmax"]));
    assert!(geo["columns"]["geometry"].get("crs").is_none());
    check_with_geopandas(&bench.bytes("2020.parquet").await, 3, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_keep_their_order_over_parts_and_row_groups() {
    const ROWS: usize = 200_000;
    let csv = Bytes::from(bottles(ROWS, 6));
    for bench in all().await {
        let source = bench.put("bottles.csv", csv.clone()).await;
        let control = Control::new(bench.stores.meter().child());
        let destination = bench.base.child("deep/bottles.parquet");
        let report = run(&bench.stores, &source, &destination, &missing(&["-9999"]), &control).await.expect("converts");
        assert_eq!((report.rows, report.row_groups, report.null_geometries), (ROWS as u64, 2, 200));
        assert_eq!(report.bytes_read, csv.len() as u64);
        assert_eq!(control.progress(), (csv.len() as u64, csv.len() as u64));
        let bytes = bench.bytes("deep/bottles.parquet").await;
        assert_eq!(report.bytes_written, bytes.len() as u64);
        assert!(bytes.len() > 9 * MIB, "several parts: {}", bytes.len());
        let (batch, metadata) = read(bytes.clone());
        assert_eq!(batch.num_rows(), ROWS);
        assert_eq!(metadata.row_group(0).num_rows(), 131_072);
        let cruise = batch.column_by_name("G2cruise").expect("column").as_primitive::<Int64Type>();
        assert!((0..ROWS).all(|i| cruise.value(i) == (i / 50) as i64), "rows keep their order");
        let oxygen = batch.column_by_name("G2oxygen").expect("column").as_primitive::<Float64Type>();
        assert!((0..ROWS).all(|i| oxygen.is_null(i) == (i % 3 == 0)), "missing is null");
        assert_eq!(point(&batch, 7), None);
        assert_eq!(point(&batch, 3599), Some((359.9 - 360.0, 89.5)), "0 to 360 becomes -180 to 180");
        let bbox = &geo(&metadata)["columns"]["geometry"]["bbox"];
        assert_eq!(bbox, &json!(report.bbox));
        assert_eq!((bbox[1].as_f64(), bbox[3].as_f64()), (Some(-89.5), Some(89.5)));
        let covering = batch.column_by_name("bbox").expect("bbox").as_struct();
        assert_eq!(covering.null_count(), 200);
        assert_eq!(bench.leftovers().await, 0);
        if bench.base.to_path().is_none() {
            let stat = bench.stores.stat(&destination, bench.stores.meter()).await.expect("stat");
            assert_eq!(stat.content_type.as_deref(), Some("application/vnd.apache.parquet"));
        }
        check_with_geopandas(&bytes, ROWS as u64, ROWS as u64 - 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_sources_and_other_delimiters() {
    let bench = local();
    let csv = bottles(30_000, 2);
    let plain = bench.put("a.csv", csv.clone()).await;
    let packed = bench.put("a.csv.gz", gzip(csv.as_bytes())).await;
    let options = missing(&["-9999"]);
    let one = bench.convert(&plain, "one.parquet", &options).await.expect("plain");
    let two = bench.convert(&packed, "two.parquet", &options).await.expect("gzip");
    assert_eq!((one.rows, one.columns, one.bbox), (two.rows, two.columns, two.bbox));
    assert!(two.bytes_read < one.bytes_read);
    assert_eq!(bench.bytes("one.parquet").await, bench.bytes("two.parquet").await);
    let cut = bench.put("cut.csv.gz", gzip(csv.as_bytes())[..100_000].to_vec()).await;
    let err = bench.convert(&cut, "cut.parquet", &options).await.expect_err("cut off");
    assert_eq!(err.kind(), Kind::Invalid, "{err}");
    assert!(bench.is_absent("cut.parquet").await);

    let tabs = bench.put("t.tsv", "x\ty\tgeometry\n1\t2\tPOINT\n").await;
    let report = bench.convert(&tabs, "t.parquet", &Options::default()).await.expect("tabs");
    assert_eq!((report.delimiter.as_str(), report.columns[2].name.as_str()), ("tab", "geometry_source"));
    let bare = bench.put("bare.csv", "25.0,60.1,7\n25.5,60.2,8\n").await;
    let named = Options { lon: Some("column_1".into()), lat: Some("column_2".into()), ..Options::default() };
    assert_eq!(bench.convert(&bare, "bare.parquet", &named).await.expect("no header").rows, 2);
    let only = bench.put("only.csv", "lon,lat\n").await;
    assert_eq!(bench.convert(&only, "only.parquet", &Options::default()).await.expect("no rows").rows, 0);
    check_with_geopandas(&bench.bytes("only.parquet").await, 0, 0);
}

/// Two columns of coordinates, then whole numbers, of which a late one is none.
fn late(value: &str) -> String {
    let mut out = String::from("lon,lat,depth\r\n");
    for i in 0..400_000 {
        write!(out, "{},{},{}\r\n", i % 180, i % 90, 1000 + i % 500).expect("text");
    }
    write!(out, "1,2,{value}\r\n").expect("text");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_misfit_names_its_line_and_column() {
    let bench = memory();
    let source = bench.put("late.csv", late("10.5")).await;
    let err = bench.convert(&source, "late.parquet", &Options::default()).await.expect_err("does not fit");
    let said = err.to_string();
    assert!(said.contains("line 400,002") && said.contains("`depth`") && said.contains("10.5"), "{said}");
    assert!(err.hint().is_some_and(|h| h.contains("-o infer=all") && h.contains("-o strings=depth")), "{err:?}");
    assert!(bench.is_absent("late.parquet").await);

    let whole = Options { infer: Infer::All, ..Options::default() };
    let report = bench.convert(&source, "late.parquet", &whole).await.expect("two passes");
    assert_eq!((report.rows, report.columns[2].kind.as_str()), (400_001, "f64"));
    let strings = Options { strings: vec!["depth".into()], overwrite: true, ..Options::default() };
    let report = bench.convert(&source, "late.parquet", &strings).await.expect("as text");
    assert_eq!(report.columns[2].kind, "text");
    // What a type would quietly change is a misfit too.
    for value in ["007", "x"] {
        let source = bench.put("late2.csv", late(value)).await;
        let err = bench.convert(&source, "late2.parquet", &Options::default()).await.expect_err("does not fit");
        assert!(err.to_string().contains(value), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_refused() {
    let bench = local();
    let source = bench.put("a.csv", "lon,lat,v\n1,2,3\n").await;
    let plain = Options::default();
    let convert = |name: &'static str| bench.convert(&source, name, &plain);
    assert_eq!(convert("a.csv").await.expect_err("itself").kind(), Kind::Usage);
    std::os::unix::fs::symlink(bench.dir.path().join("a.csv"), bench.dir.path().join("link")).expect("links");
    assert_eq!(convert("link").await.expect_err("itself by another name").kind(), Kind::Usage);
    convert("b.parquet").await.expect("converts");
    assert_eq!(convert("b.parquet").await.expect_err("exists").kind(), Kind::Exists);
    let over = Options { overwrite: true, ..Options::default() };
    bench.convert(&source, "b.parquet", &over).await.expect("replaces");
    let none = bench.base.child("none.csv");
    assert_eq!(bench.convert(&none, "c.parquet", &over).await.expect_err("none").kind(), Kind::NotFound);
    let wrong = Options { lon: Some("lng".into()), lat: Some("lat".into()), ..Options::default() };
    let err = bench.convert(&source, "c.parquet", &wrong).await.expect_err("no such column");
    assert!(err.to_string().contains("`lng`") && err.to_string().contains("lon, lat, v"), "{err}");
    for (text, said) in [
        ("lon,lat\n1,2,3\n", "line 2 has 3 fields"),
        ("lon,lat\nwest,south\n", "not degrees"),
        ("a,b\nx,y\n", "no columns of longitude and latitude"),
        ("lon,lat\n1,\"2\n", "2"),
        ("", "empty"),
        ("\u{0}\u{1}\u{2}\u{3}binary", "zero bytes"),
    ] {
        let bad = bench.put("bad.csv", text).await;
        let result: Result<Report> = bench.convert(&bad, "c.parquet", &over).await;
        if let Err(err) = result {
            assert!(err.to_string().contains(said), "{text:?}: {err}");
            assert!(bench.is_absent("c.parquet").await, "{text:?}");
        } else {
            // An open quote at the end of the file ends with it.
            assert!(text.ends_with("\"2\n"), "{text:?}");
            std::fs::remove_file(bench.dir.path().join("c.parquet")).expect("removes");
        }
    }
    assert_eq!(bench.leftovers().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_or_failed_after_the_first_part_nothing_is_left() {
    let mut csv = bottles(150_000, 12);
    for bench in all().await {
        let source = bench.put("a.csv", csv.clone()).await;
        let before = bench.put("there.parquet", "as it was").await;
        let options = Options { overwrite: true, rows_per_group: 20_000, ..missing(&["-9999"]) };
        for destination in [bench.base.child("x.parquet"), before.clone()] {
            let control = Control::new(bench.stores.meter().child());
            let stop = control.clone();
            let watch = tokio::spawn(async move {
                // A part is out when more bytes were sent than the requests before it hold.
                while stop.meter.counts().bytes_out < (8 * MIB) as u64 {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                stop.cancel();
            });
            let result = run(&bench.stores, &source, &destination, &options, &control).await;
            assert_eq!(result.map_err(|e: Error| e.kind()), Err(Kind::Cancelled), "{destination}");
            watch.await.expect("cancelled it");
            assert_eq!(control.take_notes(), Vec::<String>::new());
        }
        assert!(bench.is_absent("x.parquet").await);
        assert_eq!(bench.bytes("there.parquet").await, "as it was");
        assert_eq!(bench.leftovers().await, 0, "{}", bench.base);
    }
    csv.push_str("1,2,3,4,5,6,7\r\n");
    for bench in all().await {
        let source = bench.put("a.csv", csv.clone()).await;
        let options = Options { rows_per_group: 20_000, ..missing(&["-9999"]) };
        let err = bench.convert(&source, "x.parquet", &options).await.expect_err("a late error");
        assert!(err.to_string().contains("line 150,002 has 7 fields"), "{err}");
        assert!(bench.is_absent("x.parquet").await);
        assert_eq!(bench.leftovers().await, 0, "{}", bench.base);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_does_what_the_form_says() {
    let bench = local();
    bench.put("a.csv", "lon,lat,v\n1,2,-99\n3,,4\n").await;
    let state = bench.dir.path().join("state");
    let jobs = Jobs::new(bench.stores.clone(), state, Waker::new());
    for (rule, written) in
        [("fail", "b.parquet"), ("overwrite", "b.parquet"), ("rename", "b (1).parquet"), ("skip", "")]
    {
        let job = Convert::from_params(json!({
            "source": bench.base.child("a.csv"), "destination": bench.base.child("b.parquet"), "to": "geoparquet",
            "options": { "missing": "-99" }, "if_exists": rule,
        }))
        .expect("a job");
        let id = jobs.start(job).expect("starts");
        let view = loop {
            let view = jobs.views().into_iter().find(|v| v.id == id).expect("is listed");
            if !view.state.is_active() {
                break view;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        assert_eq!(view.state, State::Done, "{rule}");
        let outcome = view.outcome.expect("an outcome");
        if rule == "skip" {
            assert!(outcome.written.is_empty(), "{outcome:?}");
            continue;
        }
        assert_eq!(outcome.written, [bench.base.child(written)]);
        assert_eq!((&outcome.data["rows"], &outcome.data["null_geometries"]), (&json!(2), &json!(1)));
        assert_eq!(outcome.data["bbox"], json!([1.0, 2.0, 1.0, 2.0]));
        assert!(outcome.summary.starts_with("2 rows, 1 without a place"), "{}", outcome.summary);
    }
}

/// A field as a program writes it that quotes when it must, or when it likes to.
fn quoted(field: &str, delimiter: char, always: bool) -> String {
    let must = field.contains([delimiter, '"', '\r', '\n']) || field.is_empty();
    if must || always { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.to_owned() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_comes_back_as_it_was(
        rows in prop::collection::vec((prop::collection::vec("[a-c,;\"\r\n\t ü€|]{0,8}", 3), any::<bool>()), 1..40),
        semicolon in any::<bool>(), crlf in any::<bool>(), mark in any::<bool>(), last in any::<bool>(),
    ) {
        let delimiter = if semicolon { ';' } else { ',' };
        let end = if crlf { "\r\n" } else { "\n" };
        let mut csv = if mark { "\u{feff}".to_owned() } else { String::new() };
        csv += &["lon", "lat", "a", "b", "c"].join(&delimiter.to_string());
        for (fields, always) in &rows {
            csv += end;
            let fields: Vec<String> = fields.iter().map(|f| quoted(f, delimiter, *always)).collect();
write!(csv, "1{delimiter}2{delimiter}{}", fields.join(&delimiter.to_string())).expect("text");
        }
        if last {
            csv += end;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        runtime.block_on(async {
            let bench = memory();
            let source = bench.put("a.csv", csv).await;
            let options = Options {
                strings: ["a", "b", "c"].map(str::to_owned).to_vec(),
                delimiter: Some(delimiter as u8),
                header: Some(true),
                ..Options::default()
            };
            bench.convert(&source, "a.parquet", &options).await.expect("converts");
            let (batch, _) = read(bench.bytes("a.parquet").await);
            assert_eq!(batch.num_rows(), rows.len());
            for (row, (fields, _)) in rows.iter().enumerate() {
                for (field, name) in fields.iter().zip(["a", "b", "c"]) {
                    // Nothing but white space is a missing value.
                    let expected = (!field.trim_ascii().is_empty()).then(|| field.clone());
                    assert_eq!(text(&batch, name, row), expected, "row {row}, {name}");
                }
            }
        });
    }
}
