//! Tables of every format but Parquet: the same rows however they are packed, written and cut; no more read than is
//! needed; types that become wider and values that stay true. Of Parquet: the values that pyarrow reads.
#![allow(clippy::print_stdout)] // what was skipped or measured

#[path = "support/fuzz.rs"]
mod fuzz;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;
use secchi::error::{Error, Kind};
use secchi::facts::Facts;
use secchi::location::Location;
use secchi::meter::Meter;
use secchi::preview::{Ask, Preview, Probe};
use secchi::previews;
use secchi::store::{Options, Stores};
use secchi::table::{Open, Rows, Scan, Table, Window, format_cell, to_json_rows, with_wkt};
use secchi::tables;
use secchi::task::Control;
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// A table in memory, and what counts its reading.
async fn opened(name: &str, bytes: impl Into<Bytes>) -> Result<(Arc<dyn Rows>, Meter), Error> {
    let stores = Stores::new(Options::default());
    let location = Location::parse(&format!("memory:///{name}")).expect("an address");
    let archive =
        Location::parse(&format!("memory:///{}", name.split('#').next().expect("a name"))).expect("an address");
    let handle = stores.open(&archive, &Meter::new()).await.expect("a store");
    handle.object_store().put(&handle.path(archive.key()), bytes.into().into()).await.expect("written");
    let meter = stores.meter().child();
    let open = Open { probe: Probe::new(location), control: Control::new(meter.clone()), max_bytes: 64 << 20 };
    Ok((tables::open(stores, open).await?, meter))
}

async fn table(name: &str, bytes: impl Into<Bytes>) -> Arc<dyn Rows> {
    opened(name, bytes).await.expect("a table").0
}

async fn refused(name: &str, bytes: impl Into<Bytes>) -> Error {
    opened(name, bytes).await.map(|(rows, _)| rows).expect_err(name)
}

async fn window(rows: &Arc<dyn Rows>, offset: u64, n: usize) -> RecordBatch {
    rows.window(Window { rows: n, offset, columns: None }).await.expect("rows")
}

fn cells(batch: &RecordBatch, row: usize) -> Vec<String> {
    (0..batch.num_columns()).map(|column| format_cell(batch, row, column)).collect()
}

fn kinds(rows: &Arc<dyn Rows>) -> Vec<String> {
    rows.about().columns.iter().map(|c| c.kind.clone()).collect()
}

/// All rows of a scan, as text.
async fn scanned(rows: &Arc<dyn Rows>, scan: Scan) -> Result<Vec<Vec<String>>, Error> {
    let mut out = Vec::new();
    let mut batches = rows.scan(scan, &Control::default());
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        out.extend((0..batch.num_rows()).map(|row| cells(&batch, row)));
    }
    Ok(out)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).expect("written");
    encoder.finish().expect("finished")
}

fn zip(entries: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).expect("an entry");
        writer.write_all(bytes).expect("written");
    }
    writer.finish().expect("finished").into_inner()
}

/// Delimited text of `n` rows: `id,name,value`; names are quoted and hold commas, quotes and line ends.
fn csv(n: usize) -> String {
    let row = |i: usize| format!("{i},\"lake {i}, \"\"deep\"\"\n{}\",{}.25\n", i % 7, i % 90);
    std::iter::once("id,name,value\n".to_owned()).chain((0..n).map(row)).collect()
}

fn expected(i: usize) -> Vec<String> {
    vec![i.to_string(), format!("lake {i}, \"deep\"\n{}", i % 7), format!("{}.25", i % 90)]
}

#[tokio::test]
async fn the_same_rows_however_they_are_packed() {
    use zip::CompressionMethod as M;
    const ROWS: usize = 40_000;
    let text = csv(ROWS).into_bytes();
    let utf16: Vec<u8> = String::from_utf8_lossy(&text).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut all =
        vec![("a.csv", text.clone()), ("a.csv.gz", gzip(&text)), ("u.csv", [&[0xff, 0xfe][..], &utf16].concat())];
    for method in [M::Stored, M::Deflated, M::Bzip2, M::Zstd] {
        all.push(("a.csv.zip", zip(&[("data/a.csv", &text)], method)));
    }
    for (name, bytes) in all {
        let size = bytes.len() as u64;
        let (rows, meter) = opened(name, bytes).await.expect(name);
        assert_eq!(kinds(&rows), ["i64", "text", "f64"], "{name}");
        assert_eq!(cells(&window(&rows, 0, 3).await, 2), expected(2), "{name}");
        assert!(meter.counts().bytes_in <= (size + (64 << 10)).min(900 << 10), "{name}: {:?}", meter.counts());
        assert!(meter.counts().requests <= 3, "{name}: {:?}", meter.counts());
        // Forwards, backwards, behind the end.
        for at in [20_000_usize, 39_999, 5, 12_000, 35_000, 0] {
            let batch = window(&rows, at as u64, 3).await;
            assert_eq!(batch.num_rows(), 3.min(ROWS - at), "{name} at {at}");
            assert_eq!(cells(&batch, 0), expected(at), "{name} at {at}");
        }
        assert_eq!(window(&rows, 1 << 40, 3).await.num_rows(), 0);
        let about = rows.about();
        assert_eq!((about.total_rows, about.seen_rows), (Some(ROWS as u64), ROWS as u64), "{name}");
        let named = vec!["value".to_owned(), "ID".to_owned()];
        let some = rows.window(Window { rows: 1, offset: 7, columns: Some(named.clone()) }).await.expect("two columns");
        assert_eq!(cells(&some, 0), ["7.25", "7"], "in the order asked for");
        let all = scanned(&rows, Scan::default()).await.expect("a scan");
        assert!(all.len() == ROWS && all.iter().enumerate().all(|(i, row)| *row == expected(i)), "{name}");
        let scan = Scan { columns: Some(vec!["id".to_owned()]), rows: Some(vec![2..4, 30_000..30_002]) };
        assert_eq!(scanned(&rows, scan).await.expect("parts").concat(), ["2", "3", "30000", "30001"], "{name}");
        let mut count = rows.scan(Scan { columns: Some(Vec::new()), rows: None }, &Control::default());
        let mut counted = 0;
        while let Some(batch) = count.next().await {
            counted += batch.expect("counts").num_rows();
        }
        assert_eq!(counted, ROWS, "{name}");
    }
}

#[tokio::test]
async fn of_a_large_plain_text_only_what_is_looked_at_is_read_again() {
    let text = csv(600_000).into_bytes();
    let size = text.len() as u64;
    let (rows, meter) = opened("big.csv", text).await.expect("a table");
    window(&rows, 0, 50).await;
    assert_eq!((meter.counts().requests, meter.counts().bytes_in), (1, 256 << 10));
    window(&rows, 590_000, 50).await;
    let there = meter.counts().bytes_in;
    assert!(there <= size + (1 << 20), "{there} of {size}");
    // What was let go is read again from the mark before it.
    window(&rows, 100, 50).await;
    window(&rows, 300_000, 50).await;
    assert!(meter.counts().bytes_in - there <= 5 << 20, "{} more", meter.counts().bytes_in - there);
}

#[tokio::test]
async fn a_zip_of_several_tables_is_asked_for_one_of_them() {
    let large = csv(2_000);
    let entries: [(&str, &[u8]); 4] = [
        ("README.txt", b"x"),
        ("small.csv", b"a,b\n1,2\n"),
        ("data/large.csv", large.as_bytes()),
        ("x.tsv", b"c\td\n3\t4\n"),
    ];
    let archive = zip(&entries, zip::CompressionMethod::Deflated);
    let rows = table("all.csv.zip", archive.clone()).await;
    let about = rows.about();
    assert_eq!(about.total_rows.or(Some(about.seen_rows)), Some(2_000));
    let fact =
        |name: &str| about.facts.rows.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default();
    assert!(fact("entry").starts_with("data/large.csv"), "{:?}", about.facts);
    assert!(
        fact("other entries").contains("small.csv") && fact("other entries").contains("x.tsv"),
        "{:?}",
        about.facts
    );
    for (name, first) in [
        ("all.zip#small.csv", ["1", "2"]),
        ("all.zip#x.tsv", ["3", "4"]),
        ("all.zip#data/large.csv", ["0", "lake 0, \"deep\"\n0"]),
    ] {
        assert_eq!(cells(&window(&table(name, archive.clone()).await, 0, 1).await, 0)[..2], first, "{name}");
    }
    let err = refused("all.zip#none.csv", archive).await;
    assert!(err.kind() == Kind::NotFound && err.hint().is_some_and(|h| h.contains("small.csv")), "{err:?}");
    let mut secret = zip(&[("a.csv", b"a\n1\n")], zip::CompressionMethod::Stored);
    // The flag of encryption in the central directory.
    let directory = secret.windows(4).position(|w| w == b"PK\x01\x02").expect("a directory");
    secret[directory + 8] |= 1;
    let err = refused("a.csv.zip", secret).await;
    assert!(err.to_string().contains("encrypted"), "{err}");
}

#[tokio::test]
async fn columns_become_wider_and_values_stay_true() {
    let plain = |i: usize| format!("{i},{i},{i},2020-01-01,true,{i}\n");
    let mut text = "a,b,c,d,e,f\n".to_owned();
    text.extend((0..40_000).map(plain));
    text.push_str("9007199254740993,2.5,x,2020-01-01T10:00:00,maybe,007\n");
    let rows = table("w.csv", text.clone()).await;
    assert_eq!(kinds(&rows), ["i64", "i64", "i64", "date", "bool", "i64"]);
    // A scan gives one type to all: it says what it met, and can then be done again.
    let err = scanned(&rows, Scan { columns: Some(vec!["c".to_owned()]), rows: None }).await.expect_err("wider");
    assert!(err.kind() == Kind::Changed && err.to_string().contains("`x` in column `c`"), "{err:?}");
    assert_eq!(kinds(&rows)[2], "text");
    let all = scanned(&rows, Scan { columns: Some(vec!["c".to_owned()]), rows: None }).await.expect("again");
    assert_eq!((all.len(), all[40_000][0].as_str()), (40_001, "x"));
    // A window takes it in by itself.
    let batch = window(&rows, 40_000, 5).await;
    assert_eq!(cells(&batch, 0), ["9007199254740993", "2.5", "x", "2020-01-01T10:00:00", "maybe", "007"]);
    assert_eq!(kinds(&rows), ["i64", "f64", "text", "timestamp[us]", "text", "text"]);
    assert_eq!(cells(&window(&rows, 3, 1).await, 0), ["3", "3", "3", "2020-01-01T00:00:00", "true", "3"]);
    let big = "v\n".to_owned() + &"1\n".repeat(200_000) + "9007199254740993\n0.5\n";
    let rows = table("big.csv", big).await;
    assert_eq!(cells(&window(&rows, 200_001, 1).await, 0), ["0.5"]);
    assert_eq!(cells(&window(&rows, 200_000, 1).await, 0), ["9007199254740993"], "no float is that integer");
}

#[tokio::test]
async fn encodings_and_dialects_are_found() {
    let rows = table("w.csv", &b"st\xe4dt;tiefe\nK\xf6ln;\"1,5\"\n\x80uro;2\n"[..]).await;
    assert_eq!(rows.about().columns[0].name, "städt");
    let batch = window(&rows, 0, 2).await;
    assert_eq!((cells(&batch, 0), cells(&batch, 1)[0].as_str()), (vec!["Köln".to_owned(), "1,5".to_owned()], "€uro"));
    assert!(rows.about().facts.rows.contains(&("encoding".to_owned(), "Windows-1252".to_owned())));
    let rows = table("r.tsv", &b"a\tb\tc\n1\t2\t3\n4\n5\t6\t7\t8\n"[..]).await;
    assert_eq!((rows.about().total_rows, rows.about().columns[1].nulls), (Some(3), Some(1)));
    assert_eq!(window(&table("h.csv", &b"a,b\n"[..]).await, 0, 10).await.num_rows(), 0);
}

#[tokio::test]
async fn lines_of_json_are_tables() {
    let row = |i: usize| {
        format!(
            "{{\"id\":{i},\"name\":\"n\\u00e4 {i}\",\"v\":{}.5,\"tags\":[\"a\",{i}],\"at\":{{\"x\":{i}}}}}\n",
            i % 9
        )
    };
    let mut text: String = (0..30_000).map(row).collect();
    text.push_str(
        "{\"id\":18446744073709551615,\"name\":null,\"v\":\"none\",\"tags\":7,\"at\":{\"y\":1},\"late\":true}\n",
    );
    for (name, bytes) in [("a.ndjson", text.clone().into_bytes()), ("a.jsonl.gz", gzip(text.as_bytes()))] {
        let rows = table(name, bytes).await;
        assert_eq!(kinds(&rows), ["i64", "text", "f64", "list<text>", "struct<x: i64>"], "{name}");
        assert_eq!(cells(&window(&rows, 2, 1).await, 0), ["2", "nä 2", "2.5", "[a, 2]", "{x: 2}"]);
        let err = scanned(&rows, Scan::default()).await.expect_err("wider");
        assert_eq!(err.kind(), Kind::Changed, "{err:?}");
        let last = window(&rows, 30_000, 5).await;
        assert_eq!(
            cells(&last, 0),
            ["18446744073709551615", "∅", "none", "7", "{x: ∅, y: 1}", "true"],
            "what fits no type is as it is written"
        );
        assert_eq!(rows.about().total_rows, Some(30_001));
        let all = scanned(&rows, Scan::default()).await.expect("again");
        assert_eq!((all.len(), all[7][5].as_str(), all[7][3].as_str()), (30_001, "∅", "[\"a\",7]"));
    }
    let bad = refused("b.ndjson", "{\"a\":1}\n{\"a\":2}\n{\"a\":\n").await;
    assert!(bad.to_string().contains("row 3 is not valid JSON"), "{bad}");
    assert!(refused("b.ndjson", "[1]\n[2]\n").await.to_string().contains("not an object"));
}

#[tokio::test]
async fn features_are_rows_with_a_geometry() {
    let feature = |i: usize| {
        format!(
            "{{\"type\":\"Feature\",\"id\":{i},\"properties\":{{\"name\":\"f{i}\",\"deep\":{{\"a\":[{i}]}}}},\"geometry\":{{\"type\":\"Point\",\"coordinates\":[{i}.125,60.1699]}}}}"
        )
    };
    let many: Vec<String> = (0..20_000).map(feature).collect();
    let head = "{\"type\":\"FeatureCollection\",\"crs\":{\"type\":\"name\",\"properties\":{\"name\":\"urn:ogc:def:crs:EPSG::3067\"}},\"features\":[\n";
    let document = format!("{head}{}\n],\"more\":{{\"features\":[1]}}}}", many.join(",\n"));
    for (name, text, crs) in [("a.geojson", document, "EPSG:3067"), ("a.geojsonl", many.join("\n"), "OGC:CRS84")] {
        let rows = table(name, text).await;
        let about = rows.about();
        assert_eq!(about.geo.columns[0].crs, crs, "{name}");
        assert_eq!(kinds(&rows), ["geometry", "i64", "text", "struct<a: list<i64>>"], "{name}");
        let batch = with_wkt(&window(&rows, 19_999, 5).await, &about.geo);
        assert_eq!(batch.num_rows(), 1);
        assert_eq!(cells(&batch, 0), ["POINT (19999.125 60.1699)", "19999", "f19999", "{a: [19999]}"], "{name}");
        assert_eq!(scanned(&rows, Scan::default()).await.expect("a scan").len(), 20_000);
    }
    let one = table("one.geojson", feature(5)).await;
    assert_eq!(one.about().total_rows, Some(1));
}

#[tokio::test]
async fn what_is_no_table_says_so_in_bounded_memory() {
    let wide = (0..1_000_000).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",") + "\n1\n";
    let bomb = gzip(&vec![b'a'; 40 << 20]);
    let packed = zip(&[("a.csv", &vec![b'"'; 40 << 20])], zip::CompressionMethod::Deflated);
    let endless = format!("a,b\n1,2\n3,\"{}", "x\n".repeat(40 << 20));
    for (name, bytes, kind, word) in [
        ("wide.csv", wide.into_bytes(), Kind::Limit, "columns"),
        ("bomb.csv.gz", bomb, Kind::Limit, "first record"),
        ("bomb.csv.zip", packed, Kind::Limit, "first record"),
        ("zeros.csv", vec![0; 1 << 20], Kind::Invalid, "zero bytes"),
        ("empty.csv", Vec::new(), Kind::Invalid, "empty"),
        ("empty.csv.zip", Vec::new(), Kind::Invalid, ""),
        ("cut.csv.gz", gzip(csv(100_000).as_bytes())[..2_000].to_vec(), Kind::Invalid, "cut off"),
        ("not.csv.zip", csv(10).into_bytes(), Kind::Invalid, "not a zip"),
        ("a.ndjson", b"hello\n".to_vec(), Kind::Invalid, "not JSON"),
        ("a.geojson", b"{\"type\":\"Topology\"}".to_vec(), Kind::Invalid, ""),
        ("a.arrow", b"ARROW1\0\0 and no more".to_vec(), Kind::Invalid, "cut short"),
        ("a.arrows", csv(10).into_bytes(), Kind::Invalid, "not Arrow IPC"),
    ] {
        match opened(name, bytes).await {
            Err(err) => assert!(err.kind() == kind && err.to_string().contains(word), "{name}: {err:?}"),
            Ok(_) if word.is_empty() => {}
            Ok((rows, _)) => panic!("{name}: {rows:?}"),
        }
    }
    let rows = table("endless.csv", endless).await;
    let err = rows.window(Window { rows: 5, offset: 0, columns: None }).await.expect_err("too long");
    assert!(err.kind() == Kind::Limit && err.to_string().contains('1'), "{err:?}");
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", peak.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("peak unknown"));
}

#[tokio::test]
async fn batches_of_arrow_are_read_by_columns() {
    for (name, bytes) in fuzz::ipc_seeds(20_000) {
        let size = bytes.len() as u64;
        let (rows, meter) = opened(name, bytes).await.expect(name);
        let batch = window(&rows, 39_999, 3).await;
        assert_eq!(batch.num_rows(), 3, "{name}");
        assert_eq!(cells(&batch, 0)[..2], ["39999".to_owned(), "station 99".to_owned()], "{name}");
        assert_eq!(cells(&batch, 1)[..2], ["40000".to_owned(), "station 0".to_owned()], "{name}");
        let (rows, _) = (rows, meter);
        let all = scanned(&rows, Scan { columns: Some(vec!["id".to_owned()]), rows: Some(vec![1..3, 59_999..70_000]) });
        assert_eq!(all.await.expect("a scan").concat(), ["1", "2", "59999"], "{name}");
        assert_eq!(rows.about().total_rows, Some(60_000), "{name}");
        let layout = rows.layout().await.expect("a layout").expect("one");
        assert_eq!((layout.groups.len(), layout.groups[1].rows), (3, 20_000), "{name}");
        let stored: u64 = layout.groups.iter().map(|g| g.stored).sum();
        assert!(stored <= size && layout.groups[0].chunks[0].stored > 0, "{name}: {stored} of {size}");
    }
}

fn data() -> Option<PathBuf> {
    let root = std::env::var_os("SECCHI_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    if root.is_dir() {
        return Some(root);
    }
    println!("skipped: the folder of real data is not there");
    None
}

/// Whether a cell is what pyarrow reads: floats are compared as numbers, exactly.
fn is_same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (_, Value::String(unknown)) if unknown == "?" => true,
        (Value::Number(number), Value::String(text)) => number.as_f64() == text.parse().ok(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((k, a), (l, b))| k == l && is_same(a, b))
        }
        _ => ours == theirs,
    }
}

#[tokio::test]
async fn parquet_has_the_values_that_pyarrow_reads() {
    let Some(root) = data() else { return };
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/expected.json"));
    let all: Value = serde_json::from_str(&text.expect("the fixture")).expect("JSON");
    let stores = Stores::new(Options::default());
    let mut wrong = Vec::new();
    for (name, file) in all.as_object().expect("files") {
        let probe = Probe::new(Location::file(&root.join(name)));
        let open = Open { probe, control: Control::default(), max_bytes: 64 << 20 };
        let rows = tables::open(stores.clone(), open).await.expect(name);
        let total = file["rows"].as_u64().expect("rows");
        assert_eq!(rows.about().total_rows, Some(total), "{name}");
        let first = file["first"].as_array().expect("rows");
        let pieces = first.iter().enumerate().map(|(i, row)| (i as u64, row)).chain([(total - 1, &file["last"])]);
        for (offset, theirs) in pieces {
            let batch = window(&rows, offset, 1).await;
            let about = rows.about();
            let shown = Table {
                facts: Facts::default(),
                columns: about.columns.clone(),
                batch,
                offset,
                total_rows: Some(total),
                total_columns: about.columns.len(),
                rows: None,
            };
            let ours = to_json_rows(&shown).remove(0);
            let names: Vec<&str> = ours.as_object().expect("a row").keys().map(String::as_str).collect();
            assert_eq!(Value::from(names), file["columns"], "{name}");
            for (column, theirs) in
                file["columns"].as_array().expect("names").iter().zip(theirs.as_array().expect("a row"))
            {
                let ours = &ours[column.as_str().expect("a name")];
                if !is_same(ours, theirs) {
                    wrong.push(format!("{name} row {offset} {column}: {ours}, but pyarrow reads {theirs}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_preview_is_named_by_its_format() {
    let stores = Stores::new(Options::default());
    for (name, bytes, format) in [
        ("a.csv", &b"a,b\n1,2\n"[..], "csv"),
        ("a.ndjson", b"{\"a\":1}\n", "ndjson"),
        ("a.geojson", b"{\"type\":\"FeatureCollection\",\"features\":[]}", "ndjson"),
    ] {
        let location = Location::parse(&format!("memory:///{name}")).expect("an address");
        let handle = stores.open(&location, &Meter::new()).await.expect("a store");
        handle.object_store().put(&handle.path(name), Bytes::from_static(bytes).into()).await.expect("written");
        let loaded = previews::load(stores.clone(), Ask::new(Probe::new(location), Meter::new())).await.expect(name);
        assert_eq!(loaded.format, format);
        assert!(matches!(loaded.preview, Preview::Table(_)));
    }
}
