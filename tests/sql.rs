//! SQL over tables: what is read is counted, areas leave out row groups, memory is kept to, results are tables.
#![allow(missing_docs)]

#[path = "support/cx.rs"]
mod cx;

use arrow::array::{Array, ArrayRef, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use futures::StreamExt as _;
use object_store::{ObjectStoreExt as _, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use secchi::action::Action;
use secchi::convert::table::{self, Form, Input};
use secchi::error::{Kind, Result};
use secchi::location::Location;
use secchi::query::{Engine, Order, Reading, Settings, Source};
use secchi::screen::{Cx, Flow, Open, Screen};
use secchi::store::{Options, Stores};
use secchi::table::{Rows, Scan, Window, json_rows};
use secchi::task::Control;
use secchi::widgets::input::Edit;
use serde_json::{Value, json};
use std::sync::Arc;

const ROWS: i64 = 100_000;
const GROUP: usize = 10_000;

fn point(x: f64, y: f64) -> Vec<u8> {
    let mut wkb = vec![1, 1, 0, 0, 0];
    wkb.extend(x.to_le_bytes());
    wkb.extend(y.to_le_bytes());
    wkb
}

/// Points on a line from (0, 0) to (100, 10), with a covering, in ten row groups of many pages.
fn file() -> Vec<u8> {
    let at = |i: i64| (i as f64 / 1000.0, i as f64 / 10_000.0);
    let shapes: Vec<Vec<u8>> = (0..ROWS).map(|i| point(at(i).0, at(i).1)).collect();
    let xs: ArrayRef = Arc::new(Float64Array::from_iter_values((0..ROWS).map(|i| at(i).0)));
    let ys: ArrayRef = Arc::new(Float64Array::from_iter_values((0..ROWS).map(|i| at(i).1)));
    let corners: Fields =
        ["xmin", "ymin", "xmax", "ymax"].map(|n| Field::new(n, DataType::Float64, false)).into_iter().collect();
    let bbox = StructArray::new(corners, vec![xs.clone(), ys.clone(), xs, ys], None);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS))),
        ("H_mean", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|i| ((i * 7919) % 10_007) as f64)))),
        ("name", Arc::new(StringArray::from_iter_values((0..ROWS).map(|i| format!("station {:06}", (i * 31) % ROWS))))),
        ("geometry", Arc::new(BinaryArray::from_iter_values(shapes.iter()))),
        ("bbox", Arc::new(bbox)),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("rows");
    let side = |n: &str| json!(["bbox", n]);
    let geo = json!({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {
        "encoding": "WKB", "geometry_types": ["Point"], "crs": {"name": "a plane", "id": {"authority": "EPSG", "code": 3067}},
        "covering": {"bbox": {"xmin": side("xmin"), "ymin": side("ymin"), "xmax": side("xmax"), "ymax": side("ymax")}}}}});
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP))
        .set_data_page_row_count_limit(1000)
        .set_write_batch_size(500)
        .set_key_value_metadata(Some(vec![KeyValue::new("geo".to_owned(), geo.to_string())]))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bytes
}

struct World {
    stores: Stores,
    engine: Engine,
    size: u64,
}

fn settings() -> Settings {
    Settings { threads: 2, ..Settings::here() }
}

impl World {
    async fn new(settings: Settings) -> Self {
        let stores = Stores::new(Options::default());
        let bytes = file();
        let size = bytes.len() as u64;
        let world = Self { engine: Engine::new(stores.clone(), settings).expect("an engine"), stores, size };
        world.put("points.parquet", bytes).await;
        world
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) {
        let at = Location::parse(&format!("memory:///{key}")).expect("an address");
        let handle = self.stores.open(&at, self.stores.meter()).await.expect("memory");
        handle.object_store().put(&handle.path(at.key()), PutPayload::from(bytes)).await.expect("put");
    }

    async fn ask(&self, sql: &str) -> Result<(Vec<Value>, Reading)> {
        let control = Control::new(self.stores.meter().child());
        let mut running = self.engine.run(sql, &control).await?;
        let mut rows = Vec::new();
        while let Some(batch) = running.next().await? {
            rows.extend(json_rows(&batch));
        }
        Ok((rows, running.reading()))
    }

    async fn rows(&self, sql: &str) -> Vec<Value> {
        self.ask(sql).await.expect(sql).0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_extremes_come_from_the_footer_alone() {
    let world = World::new(settings()).await;
    let sql = "SELECT count(*) AS n, min(h_mean) AS low, max(H_MEAN) AS high FROM 'memory:///points.parquet'";
    let (rows, reading) = world.ask(sql).await.expect("an answer");
    assert_eq!(rows, [json!({"n": ROWS, "low": 0.0, "high": 10_006.0})]);
    assert_eq!((reading.cost.requests, reading.rows_scanned, reading.row_groups_read), (1, 0, 0), "{reading}");
    assert!(reading.cost.bytes <= 128 << 10, "{reading}");
    assert_eq!((reading.files, reading.row_groups), (1, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_may_fulfil_a_condition_is_read() {
    let world = World::new(settings()).await;
    let sql = "SELECT id, name FROM 'memory:///points.parquet' WHERE id BETWEEN 55000 AND 55004";
    let (rows, reading) = world.ask(sql).await.expect("an answer");
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[1]["name"], format!("station {:06}", (55_001 * 31) % ROWS));
    assert_eq!(reading.row_groups_read, 1, "{reading}");
    assert!(reading.cost.bytes < world.size / 10, "{reading} of {}", world.size);
    // Pages too: a thousand rows of ten thousand.
    assert!(reading.rows_scanned <= 2_000, "{reading}");

    // A column alone costs that column alone.
    let (rows, reading) = world.ask("SELECT sum(h_mean) AS s FROM 'memory:///points.parquet'").await.expect("a sum");
    let sum: i64 = (0..ROWS).map(|i| (i * 7919) % 10_007).sum();
    assert_eq!(rows, [json!({"s": sum as f64})]);
    assert!(reading.cost.bytes < world.size / 2, "{reading} of {}", world.size);

    // The first rows: not all of a row group.
    let (rows, reading) = world.ask("SELECT * FROM 'memory:///points.parquet' LIMIT 10").await.expect("rows");
    assert_eq!((rows.len(), rows[9]["id"].as_i64()), (10, Some(9)));
    assert!(reading.cost.bytes < world.size / 5, "{reading} of {}", world.size);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_area_leaves_out_row_groups_and_gives_the_same() {
    let world = World::new(settings()).await;
    let from = "FROM 'memory:///points.parquet'";
    let whole = world.rows(&format!("SELECT id {from} WHERE st_x(geometry) BETWEEN 42 AND 42.5 ORDER BY id")).await;
    assert_eq!(whole.len(), 501);
    for condition in [
        "st_intersects_bbox(geometry, 42, 0, 42.5, 90)",
        "st_intersects(geometry, st_makeenvelope(42, 0, 42.5, 90))",
        "st_intersects(st_geomfromtext('POLYGON ((42 0, 42.5 0, 42.5 90, 42 90, 42 0))'), geometry)",
        "st_intersects(geometry, 'POLYGON ((42 0, 42.5 0, 42.5 90, 42 90, 42 0))') AND id >= 0",
    ] {
        let (rows, reading) =
            world.ask(&format!("SELECT id {from} WHERE {condition} ORDER BY id")).await.expect(condition);
        assert_eq!(rows, whole, "{condition}");
        assert_eq!(reading.row_groups_read, 1, "{condition}: {reading}");
        assert!(reading.rows_scanned <= 3_000, "{condition}: {reading}");
    }
    let near = "st_dwithin(geometry, st_point(42, 4.2), 0.1)";
    let (rows, reading) = world.ask(&format!("SELECT count(*) AS n {from} WHERE {near}")).await.expect(near);
    // The points are 0.001005 apart along the line.
    assert_eq!((rows[0]["n"].as_i64(), reading.row_groups_read), (Some(199), 1), "{reading}");
    let none = format!("SELECT count(*) AS n {from} WHERE st_intersects_bbox(geometry, 200, 0, 300, 1)");
    let (rows, reading) = world.ask(&none).await.expect("none");
    assert_eq!((rows[0]["n"].as_i64(), reading.row_groups_read), (Some(0), 0), "{reading}");
}

/// Values that shapely 2 gives; distances on the sphere by the haversine formula with 6,371,008.8 m.
#[tokio::test(flavor = "multi_thread")]
async fn spatial_functions_give_what_shapely_gives() {
    let world = World::new(settings()).await;
    let ring = "'POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0), (4 4, 6 4, 6 6, 4 6, 4 4))'";
    let line = "'LINESTRING (-5 5, 15 5)'";
    let many = "'MULTIPOLYGON (((0 0, 2 0, 2 2, 0 2, 0 0)), ((10 10, 14 10, 14 13, 10 13, 10 10)))'";
    let expected = [
        (format!("st_area({ring})"), json!(96.0)),
        (format!("st_area({many})"), json!(16.0)),
        (format!("st_length({line})"), json!(20.0)),
        (format!("st_length({ring})"), json!(0.0)),
        (format!("st_distance({ring}, 'POINT (13 14)')"), json!(5.0)),
        (format!("st_distance({ring}, 'POINT (5 5)')"), json!(1.0)),
        (format!("st_distance({line}, 'POINT (20 5)')"), json!(5.0)),
        (format!("st_contains({ring}, 'POINT (1 1)')"), json!(true)),
        (format!("st_contains({ring}, 'POINT (5 5)')"), json!(false)),
        (format!("st_contains({ring}, 'POINT (0 5)')"), json!(false)),
        (format!("st_intersects({ring}, 'POINT (0 5)')"), json!(true)),
        (format!("st_within('POINT (4 4)', {ring})"), json!(false)),
        (format!("st_contains({ring}, 'LINESTRING (1 1, 9 1)')"), json!(true)),
        (format!("st_contains({ring}, 'LINESTRING (0 0, 10 0)')"), json!(false)),
        (format!("st_intersects({line}, {ring})"), json!(true)),
        (format!("st_contains({ring}, {ring})"), json!(true)),
        (format!("st_astext(st_centroid({many}))"), json!("POINT (9.25 8.875)")),
        (format!("st_xmax({many})"), json!(14.0)),
        (format!("st_ymax({many})"), json!(13.0)),
        (format!("st_geometrytype({many})"), json!("MULTIPOLYGON")),
        ("st_astext(st_point(25, 60.5))".to_owned(), json!("POINT (25 60.5)")),
        ("st_x('POINT Z (1 2 3)')".to_owned(), json!(1.0)),
        ("st_y(st_geomfromtext('POINT EMPTY'))".to_owned(), Value::Null),
        ("st_area(NULL)".to_owned(), Value::Null),
        ("st_intersects_bbox('POINT (1 1)', 1, 1, 2, 2)".to_owned(), json!(true)),
        ("st_intersects_bbox('POINT (1 1)', 1.1, 1, 2, 2)".to_owned(), json!(false)),
    ];
    for (call, value) in expected {
        let rows = world.rows(&format!("SELECT {call} AS v")).await;
        assert_eq!(rows, [json!({ "v": value })], "{call}");
    }
    let rows =
        world.rows("SELECT st_distance_sphere(st_point(24.9384, 60.1699), 'POINT (18.0686 59.3293)') AS m").await;
    let metres = rows[0]["m"].as_f64().expect("metres");
    assert!((metres - 395_820.105_857).abs() < 0.01, "{metres}");
    // The same from a column as from a literal.
    let rows = world
        .rows("SELECT sum(st_x(geometry)) AS x, max(st_ymax(geometry)) AS y FROM 'memory:///points.parquet'")
        .await;
    let sum: f64 = (0..ROWS).map(|i| i as f64 / 1000.0).sum();
    assert!((rows[0]["x"].as_f64().expect("x") - sum).abs() < 1e-3 && rows[0]["y"] == json!(9.9999));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_in_a_sentence_with_its_place() {
    let world = World::new(settings()).await;
    let from = "FROM 'memory:///points.parquet'";
    for (sql, kind, words) in [
        (
            format!("SELECT hmean {from}"),
            Kind::Usage,
            "there is no column `hmean`; the nearest is `H_mean` (at column 8",
        ),
        (format!("SELECT id,\n \"H_MEAN\" {from}"), Kind::Usage, "(at line 2, column 2"),
        ("SELECT id FORM 'memory:///points.parquet'".to_owned(), Kind::Usage, "the SQL is not understood at column 16"),
        ("SELECT".to_owned(), Kind::Usage, "not the end"),
        (format!("SELECT medain(id) {from}"), Kind::Usage, "there is no function `medain`; the nearest is `median`"),
        (format!("SELECT st_x(id) {from}"), Kind::Usage, "argument 1 is i64, not a point"),
        ("SELECT st_area('POLYGON (1 2)')".to_owned(), Kind::Invalid, "the WKT is not understood at character 10"),
        ("SELECT * FROM 'memory:///nothing.parquet'".to_owned(), Kind::NotFound, "memory:///nothing.parquet"),
        ("SELECT * FROM nothing".to_owned(), Kind::NotFound, "there is no table `nothing`"),
        ("DROP TABLE x".to_owned(), Kind::Usage, "only statements that read"),
        (format!("SELECT count(*) AS n, name {from}"), Kind::Usage, "name"),
        ("SELECT CAST('x' AS INT)".to_owned(), Kind::Invalid, "x"),
    ] {
        let err = world.ask(&sql).await.map(|(rows, _)| rows.len()).expect_err(&sql);
        let said = err.to_string();
        assert!(said.contains(words), "{sql}: {said}");
        assert_eq!(err.kind(), kind, "{sql}: {said}");
        assert!(!said.contains('\n') && said.len() < 400, "{sql}: {said}");
    }
    // A sum of very many terms nests as deeply: an answer or a sentence, never the end of the program.
    let deep = format!("SELECT {}1 AS v", "1 + ".repeat(2_000));
    match world.ask(&deep).await {
        Ok((rows, _)) => assert_eq!(rows, [json!({"v": 2_001})]),
        Err(err) => assert!(!err.to_string().is_empty()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_with_partitions_and_patterns_are_one_table() {
    let world = World::new(settings()).await;
    for (year, month) in [(2023, 5), (2023, 12), (2024, 5)] {
        let batch = RecordBatch::try_from_iter([(
            "v",
            Arc::new(Int64Array::from_iter_values((0..1000).map(|i| i + year * 10_000 + month * 100_000_000)))
                as ArrayRef,
        )]);
        let batch = batch.expect("rows");
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
        world.put(&format!("hive/year={year}/month={month:02}/it's a part.parquet"), bytes).await;
    }
    let rows = world.rows("SELECT year, count(*) AS n FROM 'memory:///hive/' GROUP BY year ORDER BY year").await;
    assert_eq!(rows, [json!({"year": 2023, "n": 2000}), json!({"year": 2024, "n": 1000})]);
    let (rows, reading) = world
        .ask("SELECT sum(v - v) AS z, count(*) AS n FROM 'memory:///hive/' WHERE year = 2024 AND month = 5")
        .await
        .expect("a part");
    assert_eq!(rows, [json!({"z": 0, "n": 1000})]);
    assert_eq!((reading.files, reading.row_groups_read), (3, 1), "{reading}");
    let rows = world.rows("SELECT count(*) AS n FROM 'memory:///hive/year=2023/**/*.parquet'").await;
    assert_eq!(rows, [json!({"n": 2000})]);
    let err = world.ask("SELECT 1 FROM 'memory:///hive/*.csv'").await.expect_err("nothing");
    assert!(err.kind() == Kind::NotFound && err.to_string().contains("nothing is called like"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sorting_keeps_to_its_memory_and_goes_to_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let small = Settings { memory: 6 << 20, temporary: Some(folder.path().to_owned()), ..settings() };
    let world = World::new(small.clone()).await;
    let sql = "SELECT name, H_mean, id FROM 'memory:///points.parquet' ORDER BY name, id";
    let (rows, reading) = world.ask(sql).await.expect("sorted");
    assert!(reading.spilled > 0, "{reading}");
    assert_eq!(rows.len(), ROWS as usize);
    assert!(rows.windows(2).all(|w| w[0]["name"].as_str() <= w[1]["name"].as_str()), "in order");
    assert!(std::fs::read_dir(folder.path()).expect("listed").count() <= 1, "one private folder");

    let none = Settings { disk: 1, ..small };
    let world = World::new(none).await;
    let err = world.ask(sql).await.map(|(rows, _)| rows.len()).expect_err("no room");
    assert_eq!(err.kind(), Kind::Limit, "{err}");
    drop(world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_a_table_that_stays_open() {
    let world = World::new(Settings { result: 64 << 10, ..settings() }).await;
    let control = Control::new(world.stores.meter().child());
    let sql = "SELECT id, geometry, id AS again, 2 * id FROM 'memory:///points.parquet'";
    let running = world.engine.run(sql, &control).await.expect("runs");
    let answer = running.into_rows();
    let first = answer.window(Window { rows: 5, offset: 0, columns: None }).await.expect("rows");
    assert_eq!((first.num_rows(), first.num_columns()), (5, 4));
    let about = answer.about();
    assert_eq!(about.total_rows, None, "not all was made yet");
    assert!(about.seen_rows >= 5 && about.seen_rows < ROWS as u64);
    assert_eq!(about.geo.columns[0].crs, "EPSG:3067 (a plane)");
    // From the file on disk, over the ends of batches, in another order of columns.
    let columns = Some(vec!["again".to_owned(), "id".to_owned()]);
    let middle = answer.window(Window { rows: 20_000, offset: 60_000, columns }).await.expect("rows");
    assert_eq!(middle.num_rows(), 20_000);
    let ids: &Int64Array = middle.column(1).as_any().downcast_ref().expect("numbers");
    assert!((0..20_000).all(|i| ids.value(i) == 60_000 + i as i64));
    let mut scan =
        answer.scan(Scan { columns: Some(vec!["id".to_owned()]), rows: Some(vec![10..12, 99_998..100_010]) }, &control);
    let mut found = Vec::new();
    while let Some(batch) = scan.next().await {
        found.extend(json_rows(&batch.expect("rows")).into_iter().map(|row| row["id"].as_i64().expect("a number")));
    }
    assert_eq!(found, [10, 11, 99_998, 99_999]);
    assert_eq!(answer.about().total_rows, Some(ROWS as u64));

    // And it can be asked itself.
    let rows: Arc<dyn Rows> = answer;
    let order = [Order { column: "id".to_owned(), descending: true }];
    let over =
        world.engine.filter(&Source::Open(rows), "st_x(geometry) < 0.004", &order, &control).await.expect("filters");
    let left =
        over.into_rows().window(Window { rows: 10, offset: 0, columns: Some(vec!["id".into()]) }).await.expect("rows");
    assert_eq!(json_rows(&left), [json!({"id": 3}), json!({"id": 2}), json!({"id": 1}), json!({"id": 0})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_pushed_down_and_keeps_the_order() {
    let world = World::new(settings()).await;
    let control = Control::new(world.stores.meter().child());
    let source = Source::At(Location::parse("memory:///points.parquet").expect("an address"));
    let running = world.engine.filter(&source, "ID > 99990 and name like 'station%' -- why", &[], &control).await;
    let answer = running.expect("filters").into_rows();
    let rows = answer.window(Window { rows: 100, offset: 0, columns: Some(vec!["id".into()]) }).await.expect("rows");
    let ids: Vec<i64> = json_rows(&rows).iter().map(|r| r["id"].as_i64().expect("a number")).collect();
    assert_eq!(ids, (99_991..ROWS).collect::<Vec<_>>());
    assert_eq!(answer.reading().row_groups_read, 1);
    let err = world.engine.filter(&source, "idd > 3", &[], &control).await.expect_err("no such column");
    assert_eq!(err.to_string(), "there is no column `idd`; the nearest is `id` (at column 1, `idd > 3`)");
    let err = world.engine.filter(&source, "id > ORDER BY 1", &[], &control).await.expect_err("no condition");
    assert!(err.to_string().contains("not understood at column 12"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_stopped_stops() {
    let world = World::new(settings()).await;
    let control = Control::new(world.stores.meter().child());
    let sql =
        "SELECT count(*) FROM 'memory:///points.parquet' a JOIN 'memory:///points.parquet' b ON a.id % 7 = b.id % 7";
    let mut running = world.engine.run(sql, &control).await.expect("begins");
    let stop = control.clone();
    let (next, ()) = tokio::join!(running.next(), async move {
        tokio::task::yield_now().await;
        stop.cancel();
    });
    assert_eq!(next.expect_err("stopped").kind(), Kind::Cancelled);
    drop(running);
    // The engine is free for the next.
    assert_eq!(world.rows("SELECT 1 AS one").await, [json!({"one": 1})]);
}

async fn write(world: &World, sql: &str, to: &str, overwrite: bool, control: &Control) -> Result<table::Report> {
    let running = world.engine.run(sql, control).await?;
    let (schema, geo) = (running.schema().clone(), running.geo());
    let rows = futures::stream::unfold(running, |mut running| async move {
        running.next().await.transpose().map(|batch| (batch, running))
    });
    let input = Input { schema, geo, rows: rows.boxed() };
    let at = Location::parse(to)?;
    table::write(&world.stores, input, &at, Form::of(&at)?, overwrite, control).await
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_written_and_read_again() {
    let world = World::new(settings()).await;
    let control = Control::new(world.stores.meter().child());
    let sql = "SELECT id, geometry, st_centroid(geometry) AS flat, st_setcrs(st_point(id, 1), 'OGC:CRS84') AS made FROM 'memory:///points.parquet' WHERE id < 3000";
    let report = write(&world, sql, "memory:///out.parquet", false, &control).await.expect("written");
    assert_eq!((report.rows, report.row_groups, report.bbox), (3000, 1, Some([0.0, 0.0, 2.999, 0.2999])));
    let err = write(&world, sql, "memory:///out.parquet", false, &control).await.expect_err("it is there");
    assert_eq!(err.kind(), Kind::Exists);
    write(&world, sql, "memory:///out.parquet", true, &control).await.expect("replaced");

    // The file says what it is: reference system, covering, types.
    let at = Location::parse("memory:///out.parquet").expect("an address");
    let handle = world.stores.open(&at, world.stores.meter()).await.expect("memory");
    let bytes = handle.object_store().get(&handle.path(at.key())).await.expect("there").bytes().await.expect("bytes");
    let builder = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet");
    let pairs = builder.metadata().file_metadata().key_value_metadata().expect("pairs").clone();
    let geo: Value =
        serde_json::from_str(pairs.iter().find(|p| p.key == "geo").and_then(|p| p.value.as_deref()).expect("geo"))
            .expect("JSON");
    assert_eq!((geo["version"].as_str(), geo["primary_column"].as_str()), (Some("1.1.0"), Some("geometry")));
    let column = &geo["columns"]["geometry"];
    assert_eq!(column["crs"]["id"]["code"], 3067);
    assert_eq!(column["geometry_types"], json!(["Point"]));
    assert_eq!(column["covering"]["bbox"]["xmax"], json!(["bbox", "xmax"]));
    assert_eq!(geo["columns"]["flat"]["crs"]["id"]["code"], 3067, "what is made of it lies in its reference system");
    assert_eq!(geo["columns"]["made"].get("crs"), None, "absent is CRS84");
    let names: Vec<String> = builder.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["id", "geometry", "flat", "made", "bbox", "flat_bbox", "made_bbox"]);

    let again = "FROM 'memory:///out.parquet' WHERE st_intersects_bbox(geometry, 1, 0, 1.0095, 1)";
    assert_eq!(world.rows(&format!("SELECT count(*) AS n {again}")).await, [json!({"n": 10})]);

    write(
        &world,
        "SELECT id, st_point(id, 2) AS g FROM 'memory:///points.parquet' LIMIT 2",
        "memory:///o.csv",
        false,
        &control,
    )
    .await
    .expect("CSV");
    let text = |key: &'static str| {
        let stores = world.stores.clone();
        async move {
            let at = Location::parse(key).expect("an address");
            let handle = stores.open(&at, stores.meter()).await.expect("memory");
            let got =
                handle.object_store().get(&handle.path(at.key())).await.expect("there").bytes().await.expect("bytes");
            String::from_utf8(got.to_vec()).expect("text")
        }
    };
    assert_eq!(text("memory:///o.csv").await, "id,g\n0,POINT (0 2)\n1,POINT (1 2)\n");
    write(&world, "SELECT 1 AS a, NULL AS b, 'x' AS c", "memory:///o.ndjson", false, &control).await.expect("NDJSON");
    assert_eq!(text("memory:///o.ndjson").await, "{\"a\":1,\"b\":null,\"c\":\"x\"}\n");
    let err = write(&world, "SELECT make_array(1) AS l", "memory:///l.csv", false, &control).await.expect_err("nested");
    assert!(err.to_string().contains("`l` is nested"), "{err}");

    // What fails or is stopped on its way leaves nothing.
    let failing = "SELECT CAST(CASE WHEN id < 90000 THEN '1' ELSE 'x' END AS INT) AS v FROM 'memory:///points.parquet'";
    write(&world, failing, "memory:///broken.parquet", false, &control).await.expect_err("a value that is no number");
    let stopped = Control::new(world.stores.meter().child());
    stopped.cancel();
    write(&world, sql, "memory:///stopped.parquet", false, &stopped).await.expect_err("stopped");
    for key in ["memory:///broken.parquet", "memory:///stopped.parquet"] {
        let at = Location::parse(key).expect("an address");
        let found = world.stores.stat(&at, world.stores.meter()).await;
        assert_eq!(found.map(|_| ()).map_err(|err| err.kind()), Err(Kind::NotFound), "{key}");
    }
}

/// Waits until a screen shows some words, and gives its picture.
async fn until(screen: &mut dyn Screen, context: &mut Cx, words: &str) -> String {
    let all = async {
        loop {
            screen.poll(context);
            let picture = cx::picture(screen, context, 100, 24);
            if picture.contains(words) {
                return picture;
            }
            context.waker.woken().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), all).await.expect(words)
}

#[test]
fn the_screen_completes_runs_explains_and_remembers() {
    cx::run(async {
        let folder = tempfile::tempdir().expect("a folder");
        let world = World::new(settings()).await;
        let mut context = cx::with_stores(folder.path(), world.stores.clone());
        let table = cx::loc("memory:///points.parquet");
        let mut screen = secchi::screens::open(Open::Query { table: Some(table), sql: None }, &mut context);
        until(screen.as_mut(), &mut context, "SELECT * FROM 'memory:///points.parquet' LIMIT 100").await;
        screen.update(Action::Enter, &mut context);
        let result = until(screen.as_mut(), &mut context, "POINT (0.001 0.0001)").await;
        assert!(result.contains("H_mean") && result.contains("rows scanned"), "{result}");

        // Esc leads back to what is typed, which is replaced by another question.
        screen.update(Action::Back, &mut context);
        for _ in 0..80 {
            screen.edit(&Edit::Backspace, &mut context);
        }
        screen.edit(&Edit::Insert("SELECT max(h_".into()), &mut context);
        screen.edit(&Edit::Home, &mut context);
        screen.edit(&Edit::End, &mut context);
        screen.edit(&Edit::Insert(") FROM 'memory:///points.parquet'".into()), &mut context);
        for _ in 0..33 {
            screen.edit(&Edit::Left, &mut context);
        }
        let offered = until(screen.as_mut(), &mut context, "H_mean f64").await;
        assert!(!offered.contains("stopped"), "{offered}");
        screen.update(Action::Complete, &mut context);
        until(screen.as_mut(), &mut context, "SELECT max(H_mean) FROM").await;
        screen.update(Action::Enter, &mut context);
        let result = until(screen.as_mut(), &mut context, "10006").await;
        assert!(result.contains("0 rows scanned"), "{result}");

        screen.update(Action::Explain, &mut context);
        let lines = loop {
            screen.poll(&mut context);
            if let Some(Open::Message { lines, .. }) = screen.take_open() {
                break lines;
            }
            context.waker.woken().await;
        };
        assert!(lines.iter().any(|line| line.contains("nothing is read") || line.contains("row group")), "{lines:?}");

        screen.update(Action::Back, &mut context);
        screen.update(Action::Up, &mut context);
        screen.update(Action::Up, &mut context);
        until(screen.as_mut(), &mut context, "SELECT * FROM 'memory:///points.parquet' LIMIT 100").await;

        // What is wrong is said, and what is asked is written by a form.
        screen.edit(&Edit::Insert(" x".into()), &mut context);
        screen.update(Action::Enter, &mut context);
        until(screen.as_mut(), &mut context, "the SQL is not understood").await;
        let Flow::Open(Open::QueryForm { sql }) = screen.update(Action::Export, &mut context) else { panic!("a form") };
        assert!(sql.starts_with("SELECT * FROM"), "{sql}");
        let mut form = secchi::screens::open(Open::QueryForm { sql }, &mut context);
        until(form.as_mut(), &mut context, "write the result").await;
        let kept = std::fs::read_to_string(folder.path().join("state/sql-history.ndjson")).expect("a history");
        assert_eq!(kept.lines().count(), 3, "{kept}");
    });
}
