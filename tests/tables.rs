//! Tables through the store: first rows in few requests and few bytes, geometry as text, and a
//! sentence for every file that is not what it claims to be.
#![allow(clippy::print_stdout)] // what was skipped or measured
#![allow(clippy::format_push_string)]

#[path = "../benches/rows/server.rs"]
mod server;

use arrow::array::AsArray as _;
use arrow::array::{
    ArrayRef, BinaryArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use secchi::error::{Error, Kind};
use secchi::location::Location;
use secchi::meter::Meter;
use secchi::preview::{Ask, Loaded, Preview, Probe, Table};
use secchi::previews;
use secchi::store::{Options, Stores};
use secchi::table::{Open, Rows, Scan, Window, format_cell, to_json_rows};
use secchi::tables;
use secchi::task::Control;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

fn point(x: f64, y: f64) -> Vec<u8> {
    [&[1_u8, 1, 0, 0, 0][..], &x.to_le_bytes(), &y.to_le_bytes()].concat()
}

/// Rows `start..start + n` of a table with a geometry, nulls, text, times, lists and structs.
fn rows(start: usize, n: usize) -> RecordBatch {
    let range = start..start + n;
    let id = Int64Array::from_iter_values(range.clone().map(|i| i as i64));
    let h: Float64Array = range.clone().map(|i| (i % 10 != 3).then(|| (i as f64 * 0.37).sin() * 1000.0)).collect();
    let name: StringArray = range.clone().map(|i| Some(format!("station {}", i % 100))).collect();
    let time = TimestampMicrosecondArray::from_iter_values(range.clone().map(|i| i as i64 * 1_000_000));
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(
        range.clone().map(|i| Some((0..i % 4).map(|j| Some(j as i32)).collect::<Vec<_>>())),
    );
    let lon: ArrayRef = Arc::new(Float64Array::from_iter_values(range.clone().map(|i| (i % 360) as f64 - 180.0)));
    let both = StructArray::try_from(vec![("lon", lon)]).expect("a struct");
    let geometry: BinaryArray =
        range.map(|i| (i % 7 != 5).then(|| point((i % 360) as f64 - 180.0, (i % 180) as f64 - 90.0))).collect();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(id), false),
        ("h", Arc::new(h), true),
        ("name", Arc::new(name), true),
        ("time", Arc::new(time.with_timezone("UTC")), false),
        ("list", Arc::new(list), true),
        ("both", Arc::new(both), true),
        ("geometry", Arc::new(geometry), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).expect("a batch")
}

fn geo() -> KeyValue {
    let geo = json!({
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": { "geometry": {
            "encoding": "WKB",
            "geometry_types": ["Point"],
            "bbox": [-180.0, -90.0, 179.0, 89.0],
            "crs": { "name": "WGS 84", "id": { "authority": "EPSG", "code": 4326 } },
        }},
    });
    KeyValue::new("geo".to_owned(), geo.to_string())
}

fn zstd() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(vec![geo()]))
}

/// A file of `n` rows.
fn file(n: usize, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let properties = properties.build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows(0, 0).schema(), Some(properties)).expect("a writer");
    let mut at = 0;
    while at < n {
        let step = (n - at).min(10_000);
        writer.write(&rows(at, step)).expect("rows");
        at += step;
    }
    writer.into_inner().expect("a file")
}

/// A store in memory that holds `bytes` under `name`.
async fn store(name: &str, bytes: impl Into<Bytes>) -> (Stores, Location) {
    let stores = Stores::new(Options::default());
    let location = Location::parse(&format!("memory:///{name}")).expect("an address");
    let handle = stores.open(&location, &Meter::new()).await.expect("a store");
    handle.object_store().put(&handle.path(location.key()), bytes.into().into()).await.expect("written");
    (stores, location)
}

fn ask(stores: &Stores, location: &Location, rows: usize) -> Ask {
    let mut ask = Ask::new(Probe::new(location.clone()), stores.meter().child());
    ask.rows = rows;
    ask
}

async fn load(stores: &Stores, ask: Ask) -> Result<(Table, Loaded), Error> {
    let loaded = previews::load(stores.clone(), ask).await?;
    match &loaded.preview {
        Preview::Table(table) => Ok((table.clone(), loaded)),
        other => panic!("not a table: {other:?}"),
    }
}

#[tokio::test]
async fn the_first_rows_come_with_types_nulls_geometry_and_facts() {
    let (stores, at) = store("t.parquet", file(5_000, zstd())).await;
    let (table, loaded) = load(&stores, ask(&stores, &at, 10)).await.expect("a table");
    assert_eq!(loaded.format, "parquet");
    assert_eq!((table.batch.num_rows(), table.total_rows, table.total_columns), (10, Some(5_000), 7));
    let kinds: Vec<&str> = table.columns.iter().map(|c| c.kind.as_str()).collect();
    assert_eq!(kinds, ["i64", "f64", "text", "timestamp[us, UTC]", "list<i32>", "struct<lon: f64>", "geometry"],);
    let nulls: Vec<Option<u64>> = table.columns.iter().map(|c| c.nulls).collect();
    assert_eq!(nulls, [Some(0), Some(500), Some(0), Some(0), None, Some(0), Some(714)]);
    assert!(table.columns[0].numeric && !table.columns[6].numeric);
    assert!(table.facts.title.starts_with("GeoParquet 1.1.0 · 5,000 rows × 7 columns · zstd"), "{}", table.facts.title);
    let fact = |name: &str| table.facts.rows.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(fact("CRS"), Some("EPSG:4326 (WGS 84)"));
    assert_eq!(fact("bbox"), Some("-180, -90, 179, 89"));
    let row: Vec<String> = (0..7).map(|c| format_cell(&table.batch, 3, c)).collect();
    assert_eq!(row, ["3", "∅", "station 3", "1970-01-01T00:00:03Z", "[0, 1, 2]", "{lon: -177}", "POINT (-177 -87)"]);
    let json = to_json_rows(&table);
    assert_eq!(json[5]["geometry"], Value::Null);
    assert_eq!(json[3]["both"], json!({"lon": -177.0}));
    assert_eq!(json[3]["list"], json!([0, 1, 2]));
}

#[tokio::test]
async fn any_window_of_rows_and_columns_is_read() {
    for properties in [zstd(), zstd().set_offset_index_disabled(true).set_statistics_enabled(EnabledStatistics::Chunk)]
    {
        let properties = properties.set_max_row_group_row_count(Some(3_000)).set_data_page_row_count_limit(500);
        let (stores, at) = store("t.parquet", file(10_000, properties)).await;
        for (offset, rows, expected) in
            [(0, 5, 5), (2_998, 5, 5), (8_999, 3_000, 1_001), (10_000, 5, 0), (1 << 60, 5, 0)]
        {
            let mut ask = ask(&stores, &at, rows);
            ask.offset = offset;
            ask.columns = Some(vec!["NAME".to_owned(), "id".to_owned(), "list".to_owned()]);
            let (table, _) = load(&stores, ask).await.expect("a table");
            let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
            assert_eq!(names, ["name", "id", "list"], "in the order asked for");
            assert_eq!(table.batch.num_rows(), expected, "at {offset}");
            if expected > 0 {
                assert_eq!(format_cell(&table.batch, expected - 1, 1), (offset + expected as u64 - 1).to_string());
            }
        }
    }
    let (stores, at) = store("t.parquet", file(10, zstd())).await;
    let mut wrong = ask(&stores, &at, 5);
    wrong.columns = Some(vec!["depth".to_owned()]);
    let err = load(&stores, wrong).await.expect_err("no such column");
    assert_eq!(err.kind(), Kind::Usage);
    assert!(err.hint().is_some_and(|h| h.contains("geometry")), "{err:?}");
    let (table, _) = load(&stores, ask(&stores, &at, 0)).await.expect("no rows");
    assert_eq!((table.batch.num_rows(), table.columns.len()), (0, 7));
}

#[tokio::test]
async fn a_large_file_costs_little() {
    let big = |properties: WriterPropertiesBuilder| {
        // Incompressible as measurements are.
        file(600_000, properties.set_compression(Compression::UNCOMPRESSED).set_dictionary_enabled(false))
    };
    for (index, properties) in [(true, zstd()), (false, zstd().set_offset_index_disabled(true))] {
        let bytes = big(properties.set_max_row_group_row_count(Some(300_000)));
        let size = bytes.len() as u64;
        let (stores, at) = store("big.parquet", bytes).await;
        let (table, loaded) = load(&stores, ask(&stores, &at, 50)).await.expect("a table");
        assert_eq!(table.batch.num_rows(), 50);
        println!("offset index {index}: {} of {}", loaded.cost, secchi::text::bytes(size));
        assert!(loaded.cost.bytes < if index { 4 << 20 } else { 12 << 20 }, "{}", loaded.cost);
        assert!(loaded.cost.requests <= 16, "{}", loaded.cost);
    }
}

#[tokio::test]
async fn a_small_file_of_known_size_is_one_request() {
    let bytes = file(300, zstd());
    let size = bytes.len() as u64;
    assert!(size < 64 << 10);
    let (stores, at) = store("small.parquet", bytes).await;
    let mut ask = ask(&stores, &at, 300);
    ask.probe.size = Some(size);
    let (_, loaded) = load(&stores, ask).await.expect("a table");
    assert_eq!((loaded.cost.requests, loaded.cost.bytes), (1, size));
}

#[tokio::test]
async fn limits_and_cancelling_are_heard() {
    let plain = || zstd().set_compression(Compression::UNCOMPRESSED).set_dictionary_enabled(false);
    // With an index the whole need is known beforehand, without one it is met on the way.
    for properties in [plain().set_offset_index_disabled(true), plain()] {
        let (stores, at) = store("big.parquet", file(200_000, properties)).await;
        let mut small = ask(&stores, &at, 100_000);
        small.max_bytes = 1 << 20;
        let err = load(&stores, small).await.expect_err("too much");
        assert_eq!(err.kind(), Kind::Limit, "{err:?}");
    }
    let (stores, at) = store("small.parquet", file(10, zstd())).await;
    let cancelled = ask(&stores, &at, 50);
    cancelled.control.cancel();
    assert_eq!(load(&stores, cancelled).await.expect_err("cancelled").kind(), Kind::Cancelled);
}

#[tokio::test]
async fn a_cell_that_is_not_wkb_says_so() {
    let geometry: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"\x01\x02\0\0\0\xff\xff\xff\xff", b"", b"hello"]));
    let batch = RecordBatch::try_from_iter([("geometry", geometry)]).expect("a batch");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(zstd().build())).expect("a writer");
    writer.write(&batch).expect("rows");
    let (stores, at) = store("g.parquet", writer.into_inner().expect("a file")).await;
    let (table, _) = load(&stores, ask(&stores, &at, 5)).await.expect("a table");
    for row in 0..3 {
        assert_eq!(format_cell(&table.batch, row, 0), "invalid WKB");
    }
}

#[tokio::test]
async fn a_wide_table_shows_fifty_columns_and_its_geometry() {
    let mut columns: Vec<(String, ArrayRef)> =
        (0..1_000).map(|i| (format!("c{i}"), Arc::new(Int64Array::from(vec![i])) as ArrayRef)).collect();
    columns.push(("geometry".to_owned(), Arc::new(BinaryArray::from_vec(vec![&point(1.0, 2.0)]))));
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(zstd().build())).expect("a writer");
    writer.write(&batch).expect("rows");
    let (stores, at) = store("wide.parquet", writer.into_inner().expect("a file")).await;
    let (table, _) = load(&stores, ask(&stores, &at, 5)).await.expect("a table");
    assert_eq!((table.columns.len(), table.total_columns), (50, 1_001));
    assert_eq!(table.columns.last().map(|c| c.name.as_str()), Some("geometry"));
    assert_eq!(format_cell(&table.batch, 0, 49), "POINT (1 2)");
}

/// Loads bytes as Parquet; whatever they are, a table or a sentence is the answer.
async fn survive(bytes: Vec<u8>, what: &str) -> Option<Error> {
    let (stores, at) = store("x.parquet", bytes).await;
    let answer = load(&stores, ask(&stores, &at, 100)).await;
    match answer {
        Ok(_) => None,
        Err(err) => {
            let text = err.to_string();
            assert!(text.len() > 20 && !text.contains("panicked") && !text.contains('\u{1b}'), "{what}: {text}");
            assert!(matches!(err.kind(), Kind::Invalid | Kind::Unsupported | Kind::Limit), "{what}: {err:?}");
            Some(err)
        }
    }
}

#[tokio::test]
async fn a_truncated_file_says_that_it_is_cut_short() {
    let whole = file(2_000, zstd());
    let step = (whole.len() / 150).max(1);
    for length in (0..whole.len()).step_by(step).chain(whole.len() - 20..whole.len()) {
        let err = survive(whole[..length].to_vec(), &format!("cut at {length}")).await;
        let err = err.unwrap_or_else(|| panic!("a table of {length} bytes"));
        if length > 12 {
            assert!(err.to_string().contains("cut short"), "cut at {length}: {err}");
        }
    }
}

#[tokio::test]
async fn flipped_bytes_never_panic() {
    let small = zstd().set_max_row_group_row_count(Some(100)).set_data_page_row_count_limit(50);
    for whole in [file(200, small), file(200, zstd().set_compression(Compression::SNAPPY))] {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed as usize
        };
        // Most of the meaning is in the footer: half of the flips go there.
        let footer =
            whole.len() - 8 - u32::from_le_bytes(whole[whole.len() - 8..][..4].try_into().expect("4")) as usize;
        for round in 0..400 {
            let mut bytes = whole.clone();
            let from = if round % 2 == 0 { footer } else { 0 };
            for _ in 0..=(round % 3) {
                let at = from + random() % (bytes.len() - from);
                bytes[at] ^= 1 << (random() % 8);
            }
            survive(bytes, &format!("round {round}")).await;
        }
    }
}

#[tokio::test]
async fn what_is_not_parquet_is_named() {
    for (bytes, word) in [
        (&b""[..], "0 bytes"),
        (b"PAR1", "4 bytes"),
        (b"a,b,c\n1,2,3\n4,5,6\n", "not a Parquet file"),
        (b"PAR1\0\0\0\0\0\0\0\0PARE", "encrypted"),
        (b"PAR1\xff\xff\xff\x7fPAR1", ""),
    ] {
        let err = survive(bytes.to_vec(), word).await.expect("no table");
        assert!(err.to_string().contains(word), "{err}");
    }
}

/// Opens a table for as long as it is looked at.
async fn open(stores: &Stores, location: &Location, max_bytes: u64) -> (Arc<dyn Rows>, Control) {
    let control = Control::new(stores.meter().child());
    let open = Open { probe: Probe::new(location.clone()), control: control.clone(), max_bytes };
    (tables::open(stores.clone(), open).await.expect("a table"), control)
}

fn window(offset: u64, rows: usize, columns: &[&str]) -> Window {
    Window { rows, offset, columns: Some(columns.iter().map(|c| (*c).to_owned()).collect()) }
}

/// Numbers without a pattern, the same in every run.
fn noise(start: usize, n: usize) -> impl Iterator<Item = f64> {
    (start..start + n).map(|i| {
        let mut x = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ (x >> 27)) as f64 / u64::MAX as f64
    })
}

/// Columns as `SlideRule`'s ATL06: many distinct values, so that dictionaries grow until they are given up.
fn atl06(start: usize, n: usize) -> RecordBatch {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    columns.push(("extent_id".into(), Arc::new(Int64Array::from_iter_values((start..start + n).map(|i| i as i64)))));
    for i in 0..8 {
        let values = noise(start * 9 + i, n).map(move |v| v * 10_f64.powi(i as i32));
        columns.push((format!("h{i}"), Arc::new(Float64Array::from_iter_values(values))));
    }
    for i in 0..7_i64 {
        let values = noise(start * 7 + i as usize, n).map(move |v| (v * 10_f64.powi(i as i32)) as i64);
        columns.push((format!("n{i}"), Arc::new(Int64Array::from_iter_values(values))));
    }
    let points = noise(start, n).zip(noise(start + 99, n)).map(|(x, y)| point(x, y));
    columns.push(("geometry".into(), Arc::new(BinaryArray::from_iter_values(points))));
    RecordBatch::try_from_iter(columns).expect("a batch")
}

/// A file of 17 columns and row groups of some 45 MB, with snappy, as pyarrow writes them.
fn atl06_file(groups: usize, index: bool) -> Vec<u8> {
    let group = 400_000;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(group))
        .set_data_page_row_count_limit(20_000)
        .set_key_value_metadata(Some(vec![geo()]))
        .set_offset_index_disabled(!index)
        .set_statistics_enabled(if index { EnabledStatistics::Page } else { EnabledStatistics::Chunk })
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), atl06(0, 0).schema(), Some(properties)).expect("a writer");
    for at in (0..group * groups).step_by(20_000) {
        writer.write(&atl06(at, 20_000)).expect("rows");
    }
    writer.into_inner().expect("a file")
}

/// The limit of the first rows, and that they are the right ones, of a file served as a web server and as object
/// storage do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_rows_of_large_row_groups_keep_to_few_requests_and_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    for (index, most) in [(true, 4 << 20), (false, 12 << 20)] {
        let path = folder.path().join("atl06.parquet");
        std::fs::write(&path, atl06_file(2, index)).expect("written");
        let server = server::Server::start(&[path], std::time::Duration::ZERO);
        for web in [true, false] {
            let endpoint_url = Some(format!("http://{}", server.address));
            let stores = Stores::new(Options { endpoint_url, no_sign_request: true, ..Options::default() });
            let at = if web {
                format!("http://{}/web/atl06.parquet", server.address)
            } else {
                "s3://s3/atl06.parquet".to_owned()
            };
            let (rows, control) = open(&stores, &Location::parse(&at).expect("an address"), 64 << 20).await;
            let batch = rows.window(Window { rows: 50, offset: 0, columns: None }).await.expect("rows");
            let (requests, bytes, ranges) = server.taken();
            println!("index {index}, web {web}: {requests} requests, {bytes} bytes, {}", control.meter.cost());
            assert_eq!(batch, atl06(0, 50), "index {index}, web {web}");
            assert!(bytes <= most, "{bytes} bytes: {ranges:#?}");
            assert!(requests <= if web { 4 } else { 40 }, "{requests} requests: {ranges:#?}");
            // The next screens are there already; those after cost only their pages.
            for offset in [50, 100, 150] {
                let batch = rows.window(Window { rows: 50, offset, columns: None }).await.expect("rows");
                assert_eq!(batch.columns(), atl06(0, 200).slice(offset as usize, 50).columns());
            }
            let (more, more_bytes, _) = server.taken();
            println!("    three screens on: {more} requests, {more_bytes} bytes");
            assert!(more_bytes <= 1 << 20, "{more_bytes} bytes for three screens");
            for offset in [25_000, 399_990, 700_123] {
                let batch = rows.window(window(offset, 20, &["geometry", "h3", "extent_id"])).await.expect("rows");
                let expected = atl06(offset as usize / 20_000 * 20_000, 20_000);
                let cut = expected.slice(offset as usize % 20_000, 10).project(&[16, 4, 0]).expect("columns");
                assert_eq!(batch.slice(0, 10), cut, "at {offset}");
                let (requests, bytes, _) = server.taken();
                println!("    at {offset}: {requests} requests, {bytes} bytes");
            }
        }
    }
}

async fn all(rows: &Arc<dyn Rows>, scan: Scan) -> Result<Vec<RecordBatch>, Error> {
    rows.scan(scan, &Control::default()).try_collect().await
}

#[tokio::test]
async fn scans_give_every_row_once_in_order_and_only_what_is_asked_for() {
    for index in [true, false] {
        let properties = zstd().set_max_row_group_row_count(Some(3_000)).set_data_page_row_count_limit(500);
        let (stores, at) = store("t.parquet", file(10_000, properties.set_offset_index_disabled(!index))).await;
        let (open, _) = open(&stores, &at, 64 << 20).await;
        let batches = all(&open, Scan::default()).await.expect("rows");
        let whole = concat_batches(&batches[0].schema(), &batches).expect("one");
        assert_eq!(whole.columns(), rows(0, 10_000).columns());
        let picked = vec![5..7, 2_999..3_001, 9_998..20_000];
        let columns = Some(vec!["name".to_owned(), "id".to_owned()]);
        let batches = all(&open, Scan { columns, rows: Some(picked) }).await.expect("rows");
        let one = concat_batches(&batches[0].schema(), &batches).expect("one");
        let ids: Vec<i64> = one.column(1).as_primitive::<Int64Type>().values().to_vec();
        assert_eq!((ids, one.schema().field(0).name().as_str()), (vec![5, 6, 2_999, 3_000, 9_998, 9_999], "name"));
        let counted = all(&open, Scan { columns: Some(vec![]), rows: None }).await.expect("rows");
        assert_eq!(counted.iter().map(RecordBatch::num_rows).sum::<usize>(), 10_000);
        let stopped = Control::default();
        stopped.cancel();
        let err = open.scan(Scan::default(), &stopped).try_collect::<Vec<_>>().await.expect_err("stopped");
        assert_eq!(err.kind(), Kind::Cancelled);
    }
}

#[tokio::test]
async fn windows_may_overlap_in_time_and_each_has_its_own_limit() {
    let plain = zstd().set_compression(Compression::UNCOMPRESSED).set_dictionary_enabled(false);
    let plain = plain.set_data_page_row_count_limit(1_000);
    let (stores, at) = store("t.parquet", file(60_000, plain)).await;
    // One window costs much less than this, all of them more.
    let (open, control) = open(&stores, &at, 400_000).await;
    let offsets: Vec<u64> = (0..60).map(|i| i * 997).collect();
    let windows = offsets.iter().map(|offset| open.window(window(*offset, 40, &["h", "geometry", "id"])));
    let batches = futures::future::try_join_all(windows).await.expect("rows");
    for (offset, batch) in offsets.iter().zip(&batches) {
        let expected = rows(*offset as usize, 40);
        assert_eq!(batch.columns(), expected.project(&[1, 6, 0]).expect("columns").columns(), "at {offset}");
    }
    assert!(control.meter.cost().bytes > 400_000, "{}", control.meter.cost());
    let before = control.meter.cost().requests;
    open.window(window(997, 40, &["h", "geometry", "id"])).await.expect("rows");
    assert_eq!(control.meter.cost().requests, before, "what was read is kept");
    let err = open.window(Window { rows: 60_000, offset: 0, columns: None }).await.expect_err("too much");
    assert_eq!(err.kind(), Kind::Limit);
    assert!(open.window(window(3, 4, &["h"])).await.is_ok(), "and nothing is broken by it");
}

#[tokio::test]
async fn a_dropped_window_asks_for_nothing_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("atl06.parquet");
    // Without an index a far row takes one request after the other.
    std::fs::write(&path, atl06_file(1, false)).expect("written");
    let server = server::Server::start(&[path], std::time::Duration::from_millis(20));
    let stores = Stores::new(Options::default());
    let at = Location::parse(&format!("http://{}/web/atl06.parquet", server.address)).expect("an address");
    let (rows, control) = open(&stores, &at, 64 << 20).await;
    let far = || rows.window(window(390_000, 10, &["h1", "h2"]));
    {
        let mut reading = std::pin::pin!(far());
        while control.meter.cost().requests < 4 {
            assert!(futures::poll!(&mut reading).is_pending(), "it is far");
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
    let asked = control.meter.cost().requests;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(control.meter.cost().requests, asked);
    assert_eq!(far().await.expect("rows").num_rows(), 10);
}

#[tokio::test]
async fn a_dictionary_of_long_words_is_read_as_far_as_needed() {
    let words: StringArray = (0..3_000).map(|i| Some(format!("{i:05} {}", "x".repeat(200)))).collect();
    let early = Int64Array::from_iter_values((0..3_000).map(|i| i % 7));
    let columns: Vec<(&str, ArrayRef)> = vec![("word", Arc::new(words)), ("early", Arc::new(early))];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(parquet::basic::GzipLevel::default()),
        Compression::LZ4_RAW,
    ] {
        let properties = zstd().set_compression(codec).set_data_page_row_count_limit(1_000);
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).expect("a writer");
        writer.write(&batch).expect("rows");
        let (stores, at) = store("w.parquet", writer.into_inner().expect("a file")).await;
        let (rows, _) = open(&stores, &at, 64 << 20).await;
        for offset in [0, 990, 2_950] {
            let read = rows.window(Window { rows: 50, offset, columns: None }).await.expect("rows");
            assert_eq!(read.columns(), batch.slice(offset as usize, 50).columns(), "{codec} at {offset}");
        }
    }
}

#[tokio::test]
async fn the_layout_tells_groups_chunks_and_pages() {
    let properties = zstd().set_max_row_group_row_count(Some(3_000)).set_data_page_row_count_limit(500);
    let properties = properties.set_write_batch_size(500).set_column_bloom_filter_enabled("name".into(), true);
    let (stores, at) = store("t.parquet", file(5_000, properties)).await;
    let (rows, _) = open(&stores, &at, 64 << 20).await;
    let layout = rows.layout().await.expect("a layout").expect("one");
    let groups: Vec<u64> = layout.groups.iter().map(|g| g.rows).collect();
    assert_eq!(groups, [3_000, 2_000]);
    let chunks = &layout.groups[1].chunks;
    let names: Vec<&str> = chunks.iter().map(|c| c.column.as_str()).collect();
    assert_eq!(names, ["id", "h", "name", "time", "list.list.item", "both.lon", "geometry"]);
    let (id, h, name, time) = (&chunks[0], &chunks[1], &chunks[2], &chunks[3]);
    assert_eq!((id.min.as_deref(), id.max.as_deref(), id.nulls), (Some("3000"), Some("4999"), Some(0)));
    assert_eq!((id.codec.as_str(), id.kind.as_str()), ("zstd", "INT64"));
    assert_eq!((name.kind.as_str(), name.bloom, id.bloom), ("BYTE_ARRAY (String)", true, false));
    assert_eq!(time.max.as_deref(), Some("1970-01-01T01:23:19Z"));
    assert_eq!(h.nulls, Some(200));
    let starts: Vec<u64> = id.pages.iter().map(|p| p.first_row).collect();
    assert_eq!((starts, id.pages[1].min.as_deref()), (vec![0, 500, 1_000, 1_500], Some("3500")));
}

#[tokio::test]
async fn metadata_give_units_pairs_and_reference_systems() {
    let h = Field::new("h", DataType::Float64, true).with_metadata([("units".to_owned(), "m".to_owned())].into());
    let schema = Arc::new(Schema::new(vec![h, Field::new("geometry", DataType::Binary, true)]));
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Float64Array::from(vec![1.5])), Arc::new(BinaryArray::from_vec(vec![&point(1.0, 2.0)]))];
    let batch = RecordBatch::try_new(schema, columns).expect("a batch");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(zstd().build())).expect("a writer");
    writer.write(&batch).expect("rows");
    let (stores, at) = store("u.parquet", writer.into_inner().expect("a file")).await;
    let (rows, _) = open(&stores, &at, 64 << 20).await;
    let about = rows.about();
    assert_eq!(about.columns[0].unit.as_deref(), Some("m"));
    let keys: Vec<&str> = about.pairs.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["geo", "ARROW:schema"]);
    let crs: Value = serde_json::from_str(about.geo.columns[0].definition.as_deref().expect("told")).expect("JSON");
    assert_eq!(crs["id"]["code"], 4326);
}

#[tokio::test]
async fn a_folder_of_files_is_one_table() {
    let stores = Stores::new(Options::default());
    let base = Location::parse("memory:///lake/").expect("an address");
    let handle = stores.open(&base, &Meter::new()).await.expect("a store");
    for (i, name) in ["month=9/a", "month=10/a", "month=10/b", "month=__HIVE_DEFAULT_PARTITION__/a"].iter().enumerate()
    {
        let part = rows(i * 100, 100);
        // One lacks columns, one has a column of its own.
        let part = match i {
            1 => part.project(&[0, 2]).expect("columns"),
            2 => part.project(&[0, 1, 2, 3, 4, 5, 6]).expect("columns"),
            _ => part,
        };
        let mut writer = ArrowWriter::try_new(Vec::new(), part.schema(), Some(zstd().build())).expect("a writer");
        writer.write(&part).expect("rows");
        let at = base.child(&format!("year=2024/{name}.parquet"));
        let bytes = writer.into_inner().expect("a file");
        handle.object_store().put(&handle.path(at.key()), bytes.into()).await.expect("written");
    }
    let ignored = base.child("year=2024/_SUCCESS");
    handle.object_store().put(&handle.path(ignored.key()), Bytes::new().into()).await.expect("written");
    let shown = load(&stores, ask(&stores, &base, 3)).await.expect("the folder as it is previewed").0;
    assert_eq!((shown.batch.num_rows(), shown.total_rows), (3, Some(400)));
    let open = Open { probe: Probe::new(base), control: Control::default(), max_bytes: 64 << 20 };
    let table = tables::open(stores, open).await.expect("a table");
    let about = table.about();
    assert_eq!(about.total_rows, Some(400));
    let keys: Vec<&str> = about.columns.iter().filter(|c| c.partition).map(|c| c.name.as_str()).collect();
    assert_eq!(keys, ["year", "month"]);
    let names: Vec<&str> = about.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["id", "h", "name", "time", "list", "both", "geometry", "year", "month"]);
    assert_eq!(about.geo.columns.len(), 1);
    assert!(
        about.facts.title.starts_with("GeoParquet 1.1.0 · 4 files · 400 rows × 9 columns"),
        "{}",
        about.facts.title
    );
    let batch = table.window(window(98, 204, &["month", "id", "h", "year"])).await.expect("rows");
    let ids: Vec<i64> = batch.column(1).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(ids, (98..302).collect::<Vec<i64>>());
    let months: Vec<Option<i64>> = batch.column(0).as_primitive::<Int64Type>().iter().collect();
    assert_eq!((months[0], months[2], months[203]), (Some(9), Some(10), None));
    assert_eq!(batch.column(2).slice(2, 100).null_count(), 100, "the file without it gives nulls");
    assert_eq!(batch.column(3).as_primitive::<Int64Type>().value(0), 2024);
    let batches = all(&table, Scan { columns: Some(vec!["id".to_owned(), "month".to_owned()]), rows: None }).await;
    let ids: Vec<i64> =
        batches.expect("rows").iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(ids, (0..400).collect::<Vec<i64>>());
}

fn data(folder: &str) -> Vec<PathBuf> {
    let root = std::env::var_os("SECCHI_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let mut found: Vec<PathBuf> = std::fs::read_dir(root.join(folder))
        .map(|entries| entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.is_file()).collect())
        .unwrap_or_default();
    found.sort();
    if found.is_empty() {
        println!("skipped: {folder} is not there");
    }
    found
}

#[tokio::test]
async fn published_files_are_shown() {
    let stores = Stores::new(Options::default());
    let folders = ["parquet", "geoparquet", "geoparquet/native", "sliderule"];
    for path in folders.iter().flat_map(|f| data(f)).filter(|p| p.extension().is_some_and(|e| e != "geojson")) {
        let (table, _) = load(&stores, ask(&stores, &Location::file(&path), 20)).await.expect("a table");
        assert!(table.batch.num_rows() > 0, "{}", path.display());
        for row in to_json_rows(&table) {
            let Value::Object(row) = row else { panic!("no object") };
            for column in table.columns.iter().filter(|c| c.kind == "geometry" || c.kind == "geography") {
                let text = row[&column.name].as_str().unwrap_or("POINT");
                let known = ["POINT", "LINESTRING", "POLYGON", "MULTI", "GEOMETRYCOLLECTION"];
                assert!(known.iter().any(|k| text.starts_with(k)), "{}: {text}", path.display());
            }
        }
        println!("{}: {}", path.file_name().unwrap_or_default().display(), table.facts.title);
        for row in 0..table.batch.num_rows().min(2) {
            let cells: Vec<String> = (0..table.columns.len()).map(|c| format_cell(&table.batch, row, c)).collect();
            println!("    {}", cells.join(" | "));
        }
    }
}

#[tokio::test]
async fn native_encodings_show_what_wkb_shows() {
    let stores = Stores::new(Options::default());
    for native in data("geoparquet").into_iter().filter(|p| p.to_string_lossy().contains("encoding_native")) {
        let wkb = PathBuf::from(native.to_string_lossy().replace("encoding_native", "encoding_wkb"));
        let mut texts = Vec::new();
        for path in [native, wkb] {
            let (table, _) = load(&stores, ask(&stores, &Location::file(&path), 20)).await.expect("a table");
            let column = table.columns.iter().position(|c| c.kind == "geometry").expect("a geometry");
            let cells = (0..table.batch.num_rows()).map(|row| format_cell(&table.batch, row, column));
            texts.push(cells.collect::<Vec<_>>());
        }
        assert_eq!(texts[0], texts[1]);
    }
}

#[tokio::test]
async fn published_bad_files_give_sentences() {
    for path in data("parquet/bad") {
        let bytes = std::fs::read(&path).expect("a file");
        let name = path.file_name().unwrap_or_default().display().to_string();
        match survive(bytes, &name).await {
            Some(err) => println!("{name}: {err}"),
            None => panic!("{name} was shown"),
        }
    }
}
