//! What is computed from tables is right: also where columns turn out wider in the middle, geometry is written as text,
//! decoders panic; spatial functions and profiles against values that others computed.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "support/cli.rs"]
mod cli;

use arrow::array::{ArrayRef, AsArray as _, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use cli::Program;
use futures::StreamExt as _;
use object_store::{ObjectStoreExt as _, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use secchi::convert::table::{self, Form, Input};
use secchi::error::{Error, Kind, Result};
use secchi::location::Location;
use secchi::map::load::{Ask, Loaded, load};
use secchi::map::read::Plan;
use secchi::map::sample::Want;
use secchi::probe::Probe;
use secchi::query::{Engine, Order, Settings, Source};
use secchi::store::{Options, Stores};
use secchi::table::profile::{self, Distinct, Profile};
use secchi::table::{Open, Rows, Scan, Window, format_cell, json_rows};
use secchi::task::Control;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

struct World {
    stores: Stores,
    engine: Engine,
}

impl World {
    fn new() -> Self {
        let stores = Stores::new(Options::default());
        let settings = Settings { threads: 2, ..Settings::here() };
        Self { engine: Engine::new(stores.clone(), settings).expect("an engine"), stores }
    }

    fn at(name: &str) -> Location {
        Location::parse(&format!("memory:///{name}")).expect("an address")
    }

    async fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        let at = Self::at(name);
        let handle = self.stores.open(&at, self.stores.meter()).await.expect("memory");
        handle.object_store().put(&handle.path(at.key()), PutPayload::from(bytes.into())).await.expect("put");
    }

    async fn get(&self, name: &str) -> Vec<u8> {
        let at = Self::at(name);
        let handle = self.stores.open(&at, self.stores.meter()).await.expect("memory");
        let got = handle.object_store().get(&handle.path(at.key())).await.expect("get");
        got.bytes().await.expect("bytes").to_vec()
    }

    async fn table(&self, location: &Location) -> Arc<dyn Rows> {
        let open = Open { probe: Probe::new(location.clone()), control: Control::default(), max_bytes: 256 << 20 };
        secchi::tables::open(self.stores.clone(), open).await.expect("a table")
    }

    async fn rows(&self, sql: &str) -> Vec<Value> {
        let asked = self.engine.ask(sql, &Control::default()).await.expect(sql);
        let all = asked.settled(async |mut running| {
            let mut rows = Vec::new();
            while let Some(batch) = running.next().await? {
                rows.extend(json_rows(&batch));
            }
            Ok(rows)
        });
        all.await.expect(sql)
    }

    async fn write(&self, sql: &str, to: &str) -> Result<table::Report> {
        let control = Control::default();
        let asked = self.engine.ask(sql, &control).await?;
        let to = Self::at(to);
        let (to, control) = (&to, &control);
        asked
            .settled(async |running| {
                let (schema, geo) = (running.schema().clone(), running.geo());
                let rows = futures::stream::unfold(running, async |mut running| {
                    Some((running.next().await.transpose()?, running))
                });
                let input = Input { schema, geo, rows: rows.boxed() };
                table::write(&self.stores, input, to, Form::of(to)?, true, control).await
            })
            .await
    }
}

async fn map(rows: &Arc<dyn Rows>, want: Want) -> Loaded {
    let plan = Plan::of(&rows.about()).expect("geometry");
    let ask = Ask { rows: rows.clone(), plan, want, near: true, size: Some(1 << 20), seed: 7 };
    load(ask, Control::default()).await.expect("read")
}

const LATE: usize = 150_000;

/// Whole numbers; far behind the first rows a fraction, then a word.
fn late() -> String {
    let line = |i: usize| {
        let place = format!("{},{}", i % 170, i % 80);
        match i {
            100_000 => format!("{place},0.5,{i}\n"),
            140_000 => format!("{place},7,x{i}\n"),
            _ => format!("{place},{},{i}\n", i % 10),
        }
    };
    std::iter::once("lon,lat,value,code\n".to_owned()).chain((0..LATE).map(line)).collect()
}

fn late_json() -> String {
    let line = |i: usize| match i {
        100_000 => "{\"value\":0.5}\n".to_owned(),
        140_000 => "{\"value\":\"none\",\"new\":1}\n".to_owned(),
        _ => format!("{{\"value\":{}}}\n", i % 10),
    };
    (0..LATE).map(line).collect()
}

fn sum() -> f64 {
    (0..LATE)
        .map(|i| {
            if i == 100_000 {
                0.5
            } else if i == 140_000 {
                7.0
            } else {
                (i % 10) as f64
            }
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_and_a_map_begin_again_where_a_column_turns_out_wider() {
    let world = World::new();
    world.put("late.csv", late()).await;
    let rows = world.table(&World::at("late.csv")).await;
    assert_eq!(rows.about().columns[2].kind, "i64");
    let found = profile::over(&rows, "value", &Control::default()).await.expect("a profile");
    assert_eq!((found.rows, found.kind.as_str(), found.exact), (LATE as u64, "f64", true));
    assert!((found.mean.expect("numbers") * LATE as f64 - sum()).abs() < 1e-3);
    let found = profile::over(&rows, "code", &Control::default()).await.expect("a profile");
    assert_eq!((found.rows, found.kind.as_str(), found.max.as_deref()), (LATE as u64, "text", Some("x140000")));

    // The map is coloured by `value` from a table that knows nothing of it yet.
    let loaded = map(&world.table(&World::at("late.csv")).await, Want::All).await;
    assert_eq!((loaded.rows, loaded.features.len(), loaded.whole), (LATE as u64, LATE, true));
    world.put("late.ndjson", late_json()).await;
    let rows = world.table(&World::at("late.ndjson")).await;
    let found = profile::over(&rows, "value", &Control::default()).await.expect("a profile");
    assert_eq!((found.rows, found.kind.as_str(), found.max.as_deref()), (LATE as u64, "text", Some("none")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_meanwhile_is_still_an_error() {
    let world = World::new();
    world.put("late.csv", late()).await;
    let rows = world.table(&World::at("late.csv")).await;
    world.put("late.csv", late().replace("0.5", "0.25")).await;
    let err = profile::over(&rows, "value", &Control::default()).await.expect_err("it was replaced");
    assert_eq!(err.kind(), Kind::Changed, "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_begins_again_where_a_column_turns_out_wider() {
    let world = World::new();
    world.put("late.csv", late()).await;
    world.put("late.ndjson", late_json()).await;
    let from = "FROM 'memory:///late.csv'";
    let rows = world.rows(&format!("SELECT count(*) AS n, sum(value) AS s, max(code) AS c {from}")).await;
    assert_eq!(rows, [json!({"n": LATE, "s": sum(), "c": "x140000"})]);
    let rows = world.rows(&format!("SELECT value, code {from}")).await;
    assert_eq!((rows.len(), &rows[100_000]), (LATE, &json!({"value": 0.5, "code": "100000"})));
    assert_eq!(rows[140_000], json!({"value": 7.0, "code": "x140000"}));
    let rows = world.rows("SELECT value FROM 'memory:///late.ndjson'").await;
    assert_eq!((rows.len(), &rows[100_000], &rows[3]), (LATE, &json!({"value": "0.5"}), &json!({"value": "3"})));

    // What is looked at and filtered, as the screen and `preview --filter` do.
    let source = Source::At(World::at("late.csv"));
    let running = world.engine.filter(&source, "value < 1", &[], &Control::default()).await.expect("planned");
    let answer = running.into_rows();
    let first = answer.window(Window { rows: 2, offset: 0, columns: None }).await.expect("the first rows");
    assert_eq!((format_cell(&first, 1, 2), answer.about().columns[2].kind.as_str()), ("0".to_owned(), "i64"));
    let (before, after) = (100_000 / 10, (LATE - 100_000) / 10 - 2);
    let far = answer.window(Window { rows: 20_000, offset: before as u64 - 1, columns: None }).await.expect("far rows");
    assert_eq!((format_cell(&far, 1, 2), far.num_rows()), ("0.5".to_owned(), after + 2));
    let about = answer.about();
    assert_eq!((about.columns[2].kind.as_str(), about.columns[3].kind.as_str()), ("f64", "text"));
    assert_eq!(about.total_rows, Some((before + after + 1) as u64));
    let order = [Order { column: "value".to_owned(), descending: false }];
    let running = world.engine.filter(&source, "value > 0", &order, &Control::default()).await.expect("planned");
    let first = running.into_rows().window(Window { rows: 1, offset: 0, columns: None }).await.expect("sorted");
    assert_eq!(format_cell(&first, 0, 2), "0.5");

    let report = world.write(&format!("SELECT value, code {from}"), "out.parquet").await.expect("written");
    assert_eq!(report.rows, LATE as u64);
    let kinds: Vec<String> =
        world.table(&World::at("out.parquet")).await.about().columns.iter().map(|c| c.kind.clone()).collect();
    assert_eq!(kinds, ["f64", "text"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_text_with_other_types_are_one_table_and_no_value_is_lost() {
    let world = World::new();
    world.put("many/a.csv", "id,value,name\n1,1,7\n2,2,8\n").await;
    world.put("many/b.csv", "id,value,name,more\n3,1.5,x,2020-01-01\n").await;
    let rows = world.rows("SELECT * FROM 'memory:///many/*.csv' ORDER BY id").await;
    assert_eq!(rows[0], json!({"id": 1, "value": 1.0, "name": "7", "more": null}));
    assert_eq!(rows[2], json!({"id": 3, "value": 1.5, "name": "x", "more": "2020-01-01"}));
    // Of Parquet too, as a folder that is looked at.
    let file = |column: ArrayRef| {
        let batch = RecordBatch::try_from_iter([("v", column)]).expect("a batch");
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
        bytes
    };
    world.put("parts/year=1/a.parquet", file(Arc::new(Int64Array::from(vec![1, 2])))).await;
    world.put("parts/year=2/b.parquet", file(Arc::new(arrow::array::Float64Array::from(vec![1.5])))).await;
    let open = Open { probe: Probe::new(World::at("parts/")), control: Control::default(), max_bytes: 1 << 20 };
    let folder = secchi::tables::open_folder(world.stores.clone(), open).await.expect("a folder");
    let batch = folder.window(Window { rows: 9, offset: 0, columns: None }).await.expect("rows");
    assert_eq!((0..3).map(|row| format_cell(&batch, row, 0)).collect::<Vec<_>>(), ["1", "2", "1.5"]);
    assert_eq!(folder.about().columns[0].kind, "f64");
}

#[tokio::test(flavor = "multi_thread")]
async fn geometry_written_as_text_is_on_the_map_and_in_functions() {
    let world = World::new();
    let line = |i: u32| {
        let (x, y) = (24.0 + f64::from(i) / 1_000.0, 60.0 + f64::from(i) / 5_000.0);
        match i % 10 {
            0 => format!("{i};{i}.5;\n"),
            1 => format!("{i};{i}.5;POLYGON (({x} {y}, {} {y}, {x} {}, {x} {y}))\n", x + 0.1, y + 0.1),
            _ => format!("{i};{i}.5;POINT ({x} {y})\n"),
        }
    };
    let text: String = std::iter::once("id;Depth;wkt\n".to_owned()).chain((0..5_000).map(line)).collect();
    world.put("lakes.csv", text).await;
    let rows = world.table(&World::at("lakes.csv")).await;
    let about = rows.about();
    assert_eq!((about.columns[2].kind.as_str(), about.geo.columns[0].crs.as_str()), ("geometry", "OGC:CRS84"));
    let loaded = map(&rows, Want::All).await;
    assert_eq!((loaded.features.len(), loaded.features.without, loaded.earth), (4_500, 500, true));
    assert_eq!(loaded.features.point(1), Some([24.002, 60.0004]), "row 2");
    let extent = loaded.extent.expect("an extent");
    assert!((extent.west - 24.001).abs() < 1e-9 && extent.north <= 61.1 + 1e-9, "{extent:?}");

    let from = "FROM 'memory:///lakes.csv'";
    let sql = format!("SELECT count(*) AS n {from} WHERE st_intersects(wkt, st_makeenvelope(24, 60, 25, 61))");
    assert_eq!(world.rows(&sql).await[0]["n"], json!((2..=1_000).filter(|i| i % 10 != 0).count() + 1));
    let report = world.write(&format!("SELECT id, wkt {from}"), "lakes.parquet").await.expect("written");
    assert_eq!(report.bbox.map(|b| b[0]), Some(24.001));
    let written = world.table(&World::at("lakes.parquet")).await.about();
    assert_eq!((written.geo.standard.as_str(), written.geo.columns[0].crs.as_str()), ("GeoParquet 1.1.0", "OGC:CRS84"));

    // Lines of JSON, in another reference system; a pair of columns.
    let line = |i: u32| {
        format!("{{\"geom\":\"SRID=3067;POINT ({} 6672125)\",\"lon\":{}.5,\"lat\":60}}\n", 385_595 + i, i % 100)
    };
    world.put("metres.ndjson", (0..500).map(line).collect::<String>()).await;
    let rows = world.table(&World::at("metres.ndjson")).await;
    assert_eq!(rows.about().geo.columns[0].crs, "EPSG:3067");
    let loaded = map(&rows, Want::All).await;
    let at = loaded.features.point(0).expect("a point");
    assert!((at[0] - 24.938).abs() < 0.01 && (at[1] - 60.17).abs() < 0.01, "{at:?}");
    let pairs = "SELECT max(st_x(st_point(lon, lat))) AS x FROM 'memory:///metres.ndjson'";
    assert_eq!(world.rows(pairs).await[0]["x"], json!(99.5));
    // What only begins like it is text.
    world.put("none.csv", "id,geometry\n1,POINT (1 2)\n2,somewhere\n").await;
    let about = world.table(&World::at("none.csv")).await.about();
    assert!(about.geo.columns.is_empty() && about.columns[1].kind == "text");
}

/// Of text, of WKB, and of one against the other.
#[tokio::test(flavor = "multi_thread")]
async fn spatial_functions_give_what_shapely_gives_for_all_kinds_of_geometry() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/spatial.json"));
    let expected: Value = serde_json::from_str(&text.expect("the fixture")).expect("JSON");
    let shapes: Vec<Option<&str>> = expected["shapes"].as_array().expect("shapes").iter().map(Value::as_str).collect();
    let world = World::new();
    let lines: Vec<String> =
        shapes.iter().enumerate().map(|(i, shape)| format!("{i}\t{}\n", shape.unwrap_or_default())).collect();
    world.put("text.tsv", format!("i\tg\n{}", lines.concat())).await;
    world.write("SELECT i, st_geomfromtext(g) AS g FROM 'memory:///text.tsv'", "wkb.parquet").await.expect("written");
    let near = &expected["distance"];
    let mut wrong = Vec::new();
    for table in ["memory:///text.tsv", "memory:///wkb.parquet"] {
        for (name, values) in expected["unary"].as_object().expect("functions") {
            let call = if name == "st_centroid" {
                "[st_x(st_centroid(g)), st_y(st_centroid(g))]".to_owned()
            } else {
                format!("{name}(g)")
            };
            let rows = world.rows(&format!("SELECT i, {call} AS v FROM '{table}' ORDER BY i")).await;
            for (i, (row, theirs)) in rows.iter().zip(values.as_array().expect("values")).enumerate() {
                let ours = if row["v"] == json!([null, null]) { &Value::Null } else { &row["v"] };
                if !is_near(ours, theirs) {
                    wrong.push(format!("{table} {name}({:?}): {ours}, but shapely gives {theirs}", shapes[i]));
                }
            }
        }
        for (name, values) in expected["binary"].as_object().expect("functions") {
            let call = match name.as_str() {
                "st_dwithin" => format!("st_dwithin(a.g, b.g, {near})"),
                "st_intersects_bbox" => {
                    format!("{name}(a.g, st_xmin(b.g), st_ymin(b.g), st_xmax(b.g), st_ymax(b.g))")
                }
                _ => format!("{name}(a.g, b.g)"),
            };
            // On a sphere only points have a distance.
            let only = if name == "st_distance_sphere" { "WHERE a.i < 6 AND b.i < 6" } else { "" };
            let other = "memory:///wkb.parquet";
            let sql = format!("SELECT a.i AS i, b.i AS j, {call} AS v FROM '{table}' a CROSS JOIN '{other}' b {only}");
            let rows = world.rows(&sql).await;
            assert_eq!(rows.len(), if only.is_empty() { shapes.len().pow(2) } else { 36 }, "{sql}");
            for row in rows {
                let at = |key: &str| usize::try_from(row[key].as_u64().expect("a number")).expect("small");
                let theirs = match &values[at("i")] {
                    Value::String(all) => match all.as_bytes()[at("j")] {
                        b't' => json!(true),
                        b'f' => json!(false),
                        _ => Value::Null,
                    },
                    numbers => numbers[at("j")].clone(),
                };
                if !is_near(&row["v"], &theirs) {
                    let (a, b) = (shapes[at("i")], shapes[at("j")]);
                    wrong.push(format!("{table} {name}({a:?}, {b:?}): {}, but shapely gives {theirs}", row["v"]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}: {}", wrong.len(), wrong.join("\n"));
}

fn is_near(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().expect("a number"), b.as_f64().expect("a number"));
            (a - b).abs() <= 1e-9 * (1.0 + b.abs())
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_near(a, b)),
        _ => ours == theirs,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_keeps_its_reference_system_and_its_heights() {
    let world = World::new();
    let sql = |crs: &str| format!("SELECT 1 AS id, st_setcrs(st_point(385595, 6672125), '{crs}') AS geometry");
    for (crs, code) in [("EPSG:3067", json!(3067)), ("EPSG:32635", json!(32635)), ("EPSG:4326", Value::Null)] {
        let name = format!("{}.parquet", crs.replace(':', "_"));
        world.write(&sql(crs), &name).await.expect("written");
        let bytes = world.get(&name).await;
        let column = geo(&bytes)["columns"]["geometry"].clone();
        assert_eq!(column["crs"]["id"]["code"], code, "{crs}: {column}");
        assert_eq!(column.get("crs").is_some(), crs != "EPSG:4326", "what is not said is CRS84");
        let again = world.table(&World::at(&name)).await.about();
        let told = if crs == "EPSG:4326" { "OGC:CRS84" } else { crs };
        assert!(again.geo.columns[0].crs.starts_with(told), "{:?}", again.geo.columns);
        geopandas_says(&bytes, if crs == "EPSG:4326" { "OGC:CRS84" } else { crs });
    }
    // Neither a code that nobody knows nor an address is made up, or gone after.
    for crs in ["EPSG:999999", "http://127.0.0.1:9/crs", "/etc/hostname", "somewhere"] {
        world.write(&sql(crs), "x.parquet").await.expect("written");
        let column = geo(&world.get("x.parquet").await)["columns"]["geometry"].clone();
        assert_eq!(column.get("crs"), Some(&Value::Null), "{crs}");
    }
    // PROJJSON goes through as it came, and z stays.
    let mut point = vec![1_u8];
    point.extend(1001_u32.to_le_bytes());
    point.extend([25.0_f64, 60.0, 12.5].into_iter().flat_map(f64::to_le_bytes));
    let batch = RecordBatch::try_from_iter([("g", Arc::new(BinaryArray::from_vec(vec![&point])) as ArrayRef)]);
    let batch = batch.expect("a batch");
    let crs = json!({"type": "GeographicCRS", "name": "of a lake", "odd": [1, 2.5]});
    let about = json!({"version": "1.0.0", "primary_column": "g", "columns": {
        "g": {"encoding": "WKB", "geometry_types": ["Point Z"], "crs": crs}}});
    let pairs = vec![KeyValue::new("geo".to_owned(), about.to_string())];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(pairs)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    world.put("odd.parquet", bytes).await;
    world.write("SELECT g FROM 'memory:///odd.parquet'", "kept.parquet").await.expect("written");
    let column = geo(&world.get("kept.parquet").await)["columns"]["g"].clone();
    assert_eq!((&column["crs"], &column["geometry_types"]), (&crs, &json!(["Point Z"])));
    let again = world.rows("SELECT st_astext(st_setcrs(g, 'EPSG:4326')) AS t FROM 'memory:///kept.parquet'").await;
    assert_eq!(again[0]["t"], "POINT Z (25 60 12.5)");
}

fn geo(bytes: &[u8]) -> Value {
    let reader = SerializedFileReader::new(bytes::Bytes::copy_from_slice(bytes)).expect("Parquet");
    let pairs = reader.metadata().file_metadata().key_value_metadata().expect("pairs");
    let text = pairs.iter().find(|kv| kv.key == "geo").and_then(|kv| kv.value.clone()).expect("geo");
    serde_json::from_str(&text).expect("JSON")
}

/// geopandas reads the same reference system, where `SECCHI_PYTHON` names a Python that has it.
fn geopandas_says(bytes: &[u8], crs: &str) {
    let Ok(python) = std::env::var("SECCHI_PYTHON") else {
        eprintln!("skipped: SECCHI_PYTHON names no Python with geopandas");
        return;
    };
    let file = tempfile::Builder::new().suffix(".parquet").tempfile().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    let code = "import sys, geopandas; print(':'.join(geopandas.read_parquet(sys.argv[1]).crs.to_authority()))";
    let output = std::process::Command::new(python).arg("-c").arg(code).arg(file.path()).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert_eq!(said, crs, "{}", String::from_utf8_lossy(&output.stderr));
}

/// A file whose Arrow schema makes its decoder panic: an integer of 63 bits.
fn panicking() -> Vec<u8> {
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from_iter_values(0..100)) as ArrayRef),
        ("name", Arc::new(StringArray::from_iter_values((0..100).map(|i| format!("n{i}"))))),
    ]);
    let batch = batch.expect("a batch");
    let written = |options: ArrowWriterOptions| {
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new_with_options(&mut bytes, batch.schema(), options).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
        bytes
    };
    let bytes = written(ArrowWriterOptions::new());
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("Parquet");
    let pairs = reader.metadata().file_metadata().key_value_metadata().expect("pairs").clone();
    let pair = pairs.into_iter().find(|kv| kv.key == "ARROW:schema").expect("Arrow's own");
    let bad = broken(&pair.value.expect("base64"));
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(vec![KeyValue::new("ARROW:schema".to_owned(), bad)]))
        .build();
    written(ArrowWriterOptions::new().with_skip_arrow_metadata(true).with_properties(properties))
}

/// The schema with 63 in place of the only 64 in 4 bytes.
fn broken(base64: &str) -> String {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let mut bytes = engine.decode(base64).expect("base64");
    let at: Vec<usize> = bytes.windows(4).enumerate().filter(|(_, w)| *w == [64, 0, 0, 0]).map(|(i, _)| i).collect();
    at.into_iter().filter(|i| i % 4 == 0).for_each(|i| bytes[i] = 63);
    engine.encode(bytes)
}

#[test]
fn a_decoder_that_panics_prints_nothing_of_it() {
    let bytes = panicking();
    let before = std::panic::catch_unwind(|| {
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes.clone()))
            .map(|_| ())
    });
    assert!(before.is_err(), "the decoder panics no more: another file is needed");
    let program = Program::new();
    let path = program.write("broken.parquet", &bytes);
    for args in [
        vec!["preview", &path, "--rows", "3"],
        vec!["profile", &path, "id"],
        vec!["sql", &format!("SELECT sum(id) AS s, count(name) AS n FROM '{path}' WHERE id > 1")],
    ] {
        let run = program.run(&args).ok();
        assert!(!run.stderr.contains("panicked"), "{args:?}: {}", run.stderr);
    }
    // What no decoder makes sense of is a sentence and nothing else.
    let mut cut = bytes;
    let end = cut.len() - 8;
    for at in (end - 400..end).step_by(7) {
        let byte = cut[at];
        cut[at] ^= 0x55;
        let path = program.write("cut.parquet", &cut);
        let run = program.run(&["preview", &path]);
        assert!(!run.stderr.contains("panicked"), "byte {at}: {}", run.stderr);
        cut[at] = byte;
    }
}

fn data() -> Option<PathBuf> {
    let root = std::env::var_os("SECCHI_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    if root.is_dir() {
        return Some(root);
    }
    eprintln!("skipped: the folder of real data is not there");
    None
}

/// All values of a column: as numbers where they are, and as text.
async fn values(rows: &Arc<dyn Rows>, column: &str) -> Result<(Vec<Option<f64>>, Vec<Option<String>>), Error> {
    let scan = Scan { columns: Some(vec![column.to_owned()]), rows: None };
    let mut batches = rows.scan(scan, &Control::default());
    let (mut numbers, mut texts) = (Vec::new(), Vec::new());
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let array = batch.column(0);
        if array.data_type().is_numeric() {
            let floats = cast(array, &DataType::Float64).expect("numbers");
            numbers.extend(floats.as_primitive::<Float64Type>().iter());
        }
        let text = |row| (!array.is_null(row)).then(|| format_cell(&batch, row, 0));
        texts.extend((0..batch.num_rows()).map(text));
    }
    Ok((numbers, texts))
}

/// A profile against what its column's values give.
fn check(name: &str, found: &Profile, numbers: &[Option<f64>], texts: &[Option<String>]) {
    assert_eq!(found.rows, texts.len() as u64, "{name}");
    assert_eq!(found.nulls, Some(texts.iter().filter(|t| t.is_none()).count() as u64), "{name}");
    if !numbers.is_empty() {
        let there: Vec<f64> = numbers.iter().flatten().copied().filter(|v| !v.is_nan()).collect();
        assert_eq!(found.nans, numbers.iter().flatten().filter(|v| v.is_nan()).count() as u64, "{name}");
        let read = |text: &Option<String>| text.as_ref().map(|t| t.parse::<f64>().expect("a number"));
        let same = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => a.total_cmp(&b).is_eq() || (a - b).abs() <= 1e-6 * b.abs(),
            (a, b) => a == b,
        };
        assert!(same(read(&found.min), there.iter().copied().reduce(f64::min)), "{name}: {found:?}");
        assert!(same(read(&found.max), there.iter().copied().reduce(f64::max)), "{name}: {found:?}");
        let finite: Vec<f64> = there.iter().copied().filter(|v| v.is_finite()).collect();
        if !finite.is_empty() {
            let mean = finite.iter().sum::<f64>() / finite.len() as f64;
            let spread = (finite.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / finite.len() as f64).sqrt();
            let near = |a: Option<f64>, b: f64| a.is_some_and(|a| (a - b).abs() <= 1e-9 * (1.0 + b.abs() + mean.abs()));
            assert!(near(found.mean, mean), "{name}: {:?} {mean}", found.mean);
            assert!(near(found.deviation, spread), "{name}: {:?} {spread}", found.deviation);
        }
        let mut sorted = there;
        sorted.sort_by(f64::total_cmp);
        for (share, value) in &found.quantiles {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            let (value, exact) = (value.parse::<f64>().expect("a number"), sorted[rank.clamp(1, sorted.len()) - 1]);
            assert!(same(Some(value), Some(exact)), "{name}: quantile {share} is {exact}, not {value}");
        }
    }
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    texts.iter().flatten().for_each(|text| *counts.entry(text).or_default() += 1);
    if let Some(Distinct::Exact(distinct)) = found.distinct
        && found.nans == 0
        && !counts.contains_key("-0")
        && !found.kind.contains("binary")
        && found.kind != "geometry"
    {
        assert_eq!(distinct, counts.len() as u64, "{name}");
        for (text, n) in &found.top {
            assert_eq!(counts.get(text.as_str()), Some(n), "{name}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_of_real_files_are_right() {
    let Some(root) = data() else { return };
    let world = World::new();
    let mut profiled = 0;
    for folder in ["parquet", "geoparquet", "sliderule"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("a folder").flatten() {
            let path = entry.path();
            let name = path.to_string_lossy().into_owned();
            if !path.extension().is_some_and(|end| end == "parquet" || end == "geoparquet") {
                continue;
            }
            let rows = world.table(&Location::file(&path)).await;
            for column in &rows.about().columns {
                let found = profile::over(&rows, &column.name, &Control::default()).await.expect(&name);
                let (numbers, texts) = values(&rows, &column.name).await.expect(&name);
                check(&format!("{name} {}", column.name), &found, &numbers, &texts);
                profiled += 1;
            }
        }
    }
    assert!(profiled > 100, "only {profiled} columns");
}

#[test]
fn a_profile_on_the_command_line() {
    let program = Program::new();
    let line = |i: usize| format!("{i},{}.5,lake {}\n", (i * 7) % 1_000, i % 30);
    let lines = std::iter::once("id,depth,name\n".to_owned()).chain((0..50_000).map(line));
    let text: String = lines.chain(std::iter::once("50000,,\n".to_owned())).collect();
    let path = program.write("lakes.csv", text);
    let objects = program.run(&["profile", &path, "depth", "--json"]).ok().json();
    let done = objects.last().expect("an object");
    let found: Profile = serde_json::from_value(done["data"].clone()).expect("a profile");
    assert_eq!((found.rows, found.nulls, found.distinct), (50_001, Some(1), Some(Distinct::Exact(1_000))));
    assert_eq!((found.min.as_deref(), found.max.as_deref()), (Some("0.5"), Some("999.5")));
    assert!((found.mean.expect("numbers") - 500.0).abs() < 1e-9);
    assert!((found.deviation.expect("numbers") - 288.674_990).abs() < 1e-5);
    assert!(found.quantiles.contains(&(0.5, "499.5".to_owned())), "{:?}", found.quantiles);
    let plain = program.run(&["profile", &path, "name"]).ok();
    for words in ["name  text", "rows       50,001", "nulls      1  0.0 %", "distinct   30", "1,667  lake 0"] {
        assert!(plain.text().contains(words), "{words} in {}", plain.text());
    }
    let plain = program.run(&["profile", &path, "depth"]).ok();
    for words in ["median     499.5", "deviation  288.675", "from … to  0.5 … 999.5"] {
        assert!(plain.text().contains(words), "{words} in {}", plain.text());
    }
    program.run(&["profile", &path, "deepness"]).refused(2, &["there is no column `deepness`", "id, depth, name"]);
    program.run(&["profile", "nowhere.csv", "depth"]).refused(3, &["nowhere.csv"]);
}

#[tokio::test]
async fn a_profile_that_is_stopped_stops() {
    let world = World::new();
    world.put("late.csv", late()).await;
    let rows = world.table(&World::at("late.csv")).await;
    let control = Control::default();
    control.cancel();
    let err = profile::over(&rows, "value", &control).await.expect_err("stopped");
    assert_eq!(err.kind(), Kind::Cancelled);
}
