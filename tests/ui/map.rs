//! Maps: what is read of a table, and the screen that shows it.

use crate::cx;
use crate::drive::Drive;
use arrow::array::{ArrayRef, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use secchi::location::Location;
use secchi::map::load::{Ask, Loaded, load};
use secchi::map::read::Plan;
use secchi::map::sample::Want;
use secchi::map::{Extent, Kind, Plane, Scene, Values, View};
use secchi::preview::Probe;
use secchi::screen::Open as Show;
use secchi::store::{Environment, Options, Stores, UploadMeta};
use secchi::table::{Open, Rows};
use secchi::task::Control;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;

/// Runs a test whose loop stays on this thread.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    tokio::task::LocalSet::new().block_on(&runtime.expect("a runtime"), test);
}

fn bare() -> Stores {
    Stores::new(Options { environment: Environment::fixed([("HOME", "/nonexistent")]), ..Options::default() })
}

fn loc(text: &str) -> Location {
    Location::parse(text).expect(text)
}

fn wkb([x, y]: [f64; 2]) -> Vec<u8> {
    [&[1, 1, 0, 0, 0][..], &x.to_le_bytes(), &y.to_le_bytes()].concat()
}

/// A file with a `geo` key whose bounds are a lie, as `SlideRule` writes it.
fn geoparquet(columns: Vec<(&str, ArrayRef)>, crs: Option<Value>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let mut out = Vec::new();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(5_000)).build();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    let mut geometry = json!({ "encoding": "WKB", "geometry_types": [], "bbox": [-180.0, -90.0, 180.0, 90.0] });
    if let Some(crs) = crs {
        geometry["crs"] = crs;
    }
    let geo = json!({ "version": "1.0.0-beta.1", "primary_column": "geometry", "columns": { "geometry": geometry } });
    writer.append_key_value_metadata(KeyValue::new("geo".to_owned(), geo.to_string()));
    writer.close().expect("closed");
    out
}

/// The place of the `i`th point of a spiral over Finland.
fn spiral(i: usize, n: usize) -> [f64; 2] {
    let t = i as f64 / n as f64;
    let (sin, cos) = (t * 40.0).sin_cos();
    [26.0 + cos * t * 4.0, 64.5 + sin * t * 4.0]
}

fn spirals(n: usize) -> Vec<u8> {
    let geometry: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..n).map(|i| wkb(spiral(i, n)))));
    let height: ArrayRef = Arc::new(Float64Array::from_iter_values((0..n).map(|i| i as f64 / n as f64 * 300.0)));
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values((0..n).map(|i| i as i64 + 70_000)));
    let kind: ArrayRef =
        Arc::new((0..n).map(|i| (i % 10 != 9).then_some(["lake", "sea", "river"][i % 3])).collect::<StringArray>());
    geoparquet(vec![("id", id), ("h_mean", height), ("kind", kind), ("geometry", geometry)], None)
}

async fn put(stores: &Stores, name: &str, bytes: Vec<u8>) -> Probe {
    let location = loc("memory:///").with_key(name);
    let handle = stores.open(&location, stores.meter()).await.expect("opens");
    let size = bytes.len() as u64;
    handle.put_object(name, bytes.into(), &UploadMeta::default(), true).await.expect("put");
    Probe { size: Some(size), ..Probe::new(location) }
}

async fn table(stores: &Stores, probe: Probe) -> Arc<dyn Rows> {
    let open = Open { probe, control: Control::default(), max_bytes: 64 << 20 };
    secchi::tables::open(stores.clone(), open).await.expect("a table")
}

async fn read(rows: &Arc<dyn Rows>, want: Want, far: bool) -> Loaded {
    let plan = Plan::of(&rows.about()).expect("geometry");
    let size = Some(if far { 1 << 40 } else { 1_000 });
    load(Ask { rows: rows.clone(), plan, want, near: !far, size, seed: 7 }, Control::default()).await.expect("read")
}

#[test]
fn the_extent_is_that_of_the_data_and_not_what_the_file_says() {
    run(async {
        let stores = bare();
        let rows = table(&stores, put(&stores, "spiral.parquet", spirals(20_000)).await).await;
        assert_eq!(rows.about().geo.columns[0].bbox, [-180.0, -90.0, 180.0, 90.0], "the lie");
        let loaded = read(&rows, Want::default(), false).await;
        let points: Vec<[f64; 2]> = (0..20_000).map(|i| spiral(i, 20_000)).collect();
        let most =
            |axis: usize, sign: f64| points.iter().map(|p| p[axis] * sign).fold(f64::NEG_INFINITY, f64::max) * sign;
        let wanted = Extent { west: most(0, -1.0), south: most(1, -1.0), east: most(0, 1.0), north: most(1, 1.0) };
        assert_eq!((loaded.extent, loaded.whole), (Some(wanted), true));
        assert_eq!((loaded.total, loaded.features.len()), (Some(20_000), 20_000));
        assert_eq!(loaded.features.row(12_345), 12_345);
        assert_eq!(loaded.features.point(12_345), Some(spiral(12_345, 20_000)));
        let Values::Numbers(values) = &loaded.features.values else { panic!("it is coloured by h_mean") };
        assert!((values[10_000] - 150.0).abs() < 1e-9);
    });
}

#[test]
fn a_sample_of_a_large_file_far_away_reads_only_some_rows_and_always_the_same() {
    run(async {
        let stores = bare();
        let rows = table(&stores, put(&stores, "spiral.parquet", spirals(20_000)).await).await;
        let loaded = read(&rows, Want::Sample(1_000), true).await;
        assert_eq!((loaded.rows, loaded.features.len(), loaded.whole), (1_000, 1_000, false));
        for i in 0..1_000 {
            let row = loaded.features.row(i) as usize;
            assert_eq!(loaded.features.point(i), Some(spiral(row, 20_000)), "row {row}");
        }
        let again = read(&rows, Want::Sample(1_000), true).await;
        assert!((0..1_000).all(|i| again.features.row(i) == loaded.features.row(i)));
        assert_eq!(read(&rows, Want::All, true).await.features.len(), 20_000);
    });
}

#[test]
fn identify_finds_the_right_feature() {
    run(async {
        let stores = bare();
        let rows = table(&stores, put(&stores, "spiral.parquet", spirals(3_000)).await).await;
        let loaded = read(&rows, Want::All, false).await;
        let scene = Scene::new(loaded.features.clone(), None, &[], Plane::Degrees);
        let view = View::fit(Plane::Degrees, &loaded.extent.expect("an extent"), (2_000, 2_000));
        for row in [400, 777, 1_500, 2_999] {
            let dot = view.dot(spiral(row, 3_000));
            let pick = scene.pick(&view, [dot[0] + 0.2, dot[1] - 0.2], 4.0).expect("a feature");
            assert_eq!(loaded.features.row(pick.feature), row as u64);
        }
        assert!(scene.pick(&view, view.dot([40.0, 50.0]), 4.0).is_none());
    });
}

#[test]
fn areas_are_picked_by_what_lies_in_them_the_smallest_first() {
    fn square(west: f64, south: f64, size: f64) -> Vec<u8> {
        let ring = [[0.0, 0.0], [size, 0.0], [size, size], [0.0, size], [0.0, 0.0]];
        let mut out = [&[1, 3, 0, 0, 0][..], &1_u32.to_le_bytes(), &5_u32.to_le_bytes()].concat();
        for [x, y] in ring {
            out.extend((west + x).to_le_bytes());
            out.extend((south + y).to_le_bytes());
        }
        out
    }
    run(async {
        let stores = bare();
        let shapes = [square(10.0, 50.0, 10.0), square(12.0, 52.0, 2.0), square(30.0, 50.0, 5.0)];
        let geometry: ArrayRef = Arc::new(BinaryArray::from_iter_values(shapes));
        let probe = put(&stores, "areas.parquet", geoparquet(vec![("geometry", geometry)], None)).await;
        let loaded = read(&table(&stores, probe).await, Want::default(), false).await;
        assert!(loaded.features.parts(0).all(|(kind, _)| kind == Kind::Ring));
        let scene = Scene::new(loaded.features.clone(), None, &[], Plane::Degrees);
        let view = View::fit(Plane::Degrees, &loaded.extent.expect("an extent"), (800, 600));
        let at = |lon, lat| scene.pick(&view, view.dot([lon, lat]), 3.0).map(|p| p.feature);
        assert_eq!((at(13.0, 53.0), at(18.0, 58.0), at(32.0, 52.0), at(25.0, 52.0)), (Some(1), Some(0), Some(2), None));
    });
}

#[test]
fn metres_become_degrees_and_what_is_not_known_stays_as_it_is() {
    run(async {
        let stores = bare();
        let geometry = || -> ArrayRef {
            let metres = [[385_595.0, 6_672_125.0], [428_000.0, 7_210_000.0]];
            Arc::new(BinaryArray::from_iter_values(metres.map(wkb)))
        };
        let finnish = json!({ "type": "ProjectedCRS", "name": "ETRS89 / TM35FIN(E,N)",
            "id": { "authority": "EPSG", "code": 3067 } });
        let bytes = geoparquet(vec![("geometry", geometry())], Some(finnish));
        let loaded = read(&table(&stores, put(&stores, "fin.parquet", bytes).await).await, Want::All, false).await;
        let extent = loaded.extent.expect("an extent");
        assert!(
            loaded.earth && (extent.south - 60.17).abs() < 0.01 && (extent.west - 24.94).abs() < 0.01,
            "{extent:?}"
        );
        let bytes = geoparquet(vec![("geometry", geometry())], Some(Value::Null));
        let loaded = read(&table(&stores, put(&stores, "own.parquet", bytes).await).await, Want::All, false).await;
        assert!(!loaded.earth);
        assert_eq!(loaded.extent.map(|e| e.west), Some(385_595.0));
    });
}

#[test]
fn columns_of_longitude_and_latitude_will_do() {
    run(async {
        let stores = bare();
        let column = |values: &[f64]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
        let columns = vec![
            ("G2latitude", column(&[60.0, -9999.0, -60.0])),
            ("G2longitude", column(&[200.0, -9999.0, -170.0])),
            ("G2salinity", column(&[35.0, 34.0, 33.0])),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("a batch");
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
        let rows = table(&stores, put(&stores, "glodap.parquet", bytes).await).await;
        assert!(Plan::fits(&rows.about()));
        let loaded = read(&rows, Want::All, false).await;
        assert_eq!((loaded.features.len(), loaded.features.without), (2, 1));
        assert_eq!(loaded.features.point(0), Some([-160.0, 60.0]));
        assert_eq!(loaded.features.row(1), 2);
    });
}

/// Real files in every encoding, where they are at hand: the native ones and the WKB ones are the same.
#[test]
fn every_encoding_gives_the_same_features() {
    let Some(data) = std::env::var_os("SECCHI_DATA") else { return };
    run(async {
        let stores = bare();
        for kind in ["point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"] {
            let mut both = Vec::new();
            for encoding in ["native", "wkb"] {
                let name = format!("geoparquet/data-{kind}-encoding_{encoding}.parquet");
                let path = std::path::Path::new(&data).join(name);
                let rows = table(&stores, Probe::new(loc(&path.to_string_lossy()))).await;
                let features = read(&rows, Want::All, false).await.features;
                let parts = |i| features.parts(i).map(|(kind, at)| (kind, at.to_vec())).collect::<Vec<_>>();
                both.push((0..features.len()).map(parts).collect::<Vec<_>>());
            }
            assert!(!both[0].is_empty() && both[0] == both[1], "{kind}: {both:?}");
        }
    });
}

struct Place {
    state: tempfile::TempDir,
    stores: Stores,
    probe: Probe,
}

impl Place {
    async fn new() -> Self {
        let stores = bare();
        let probe = put(&stores, "spiral.parquet", spirals(20_000)).await;
        Self { state: tempfile::tempdir().expect("a folder"), stores, probe }
    }

    fn show(&self, size: (u16, u16)) -> Drive {
        let cx = cx::with_stores(self.state.path(), self.stores.clone());
        Drive::start(Show::Map { probe: self.probe.clone(), rows: None }, cx, size)
    }
}

/// All that arrives has arrived: the sample, and the row under the cursor with its values.
async fn settled(drive: &mut Drive) -> String {
    drive.settle("a map with its row", |s| s.contains("row ") && s.contains("request") && s.contains("id  ")).await
}

/// How much was read depends on how the format reads, and is nothing that this is about.
fn steady(screen: &str) -> String {
    let (first, rest) = screen.split_once('\n').expect("lines");
    let cut = first.trim_end().rfind("   ").expect("a gap");
    format!("{}\n{rest}", first[..cut].trim_end())
}

#[test]
fn the_screen_shows_a_sample_its_legend_and_the_row_under_the_cursor() {
    run(async {
        let place = Place::new().await;
        for (name, size) in [("80x24", (80, 24)), ("200x60", (200, 60))] {
            let mut drive = place.show(size);
            drive.see("a random sample").await;
            let screen = settled(&mut drive).await;
            insta::assert_snapshot!(format!("map_{name}"), steady(&screen));
        }
    });
}

#[test]
fn keys_change_sample_colour_distance_and_copy_a_box() {
    run(async {
        let place = Place::new().await;
        let mut drive = place.show((100, 30));
        settled(&mut drive).await;
        drive.keys("+").await;
        drive.see("3,000 of 20,000 rows").await;
        drive.keys("A").await;
        drive.see("20,000 of 20,000 rows").await;
        drive.keys("-").await;
        drive.see("10,000 of 20,000 rows").await;
        drive.keys("c").await;
        let screen = drive.settle("words", |s| s.contains("● lake") || s.contains("river")).await;
        assert!(screen.contains("no value"), "{screen}");
        drive.keys("bllllljjjjb").await;
        let copied = drive.copied();
        let bounds: Vec<f64> = copied[0].split(',').map(|v| v.parse().expect("a number")).collect();
        assert!(bounds.len() == 4 && bounds[0] < bounds[2] && bounds[1] < bounds[3], "{copied:?}");
        assert!((25.0..28.0).contains(&bounds[0]) && (62.0..65.0).contains(&bounds[1]), "{copied:?}");
        let before = drive.screen();
        drive.keys("zz").await;
        assert_ne!(drive.screen(), before);
        drive.keys("a").await;
        drive.keys("p").await;
        drive.see("north polar").await;
        drive.keys("q").await;
        drive.end().await;
    });
}

#[test]
fn a_table_without_places_says_so() {
    run(async {
        let stores = bare();
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let batch = RecordBatch::try_from_iter([("a", column)]).expect("a batch");
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
        let probe = put(&stores, "plain.parquet", bytes).await;
        let state = tempfile::tempdir().expect("a folder");
        let cx = cx::with_stores(state.path(), stores);
        let mut drive = Drive::start(Show::Map { probe, rows: None }, cx, (80, 24));
        drive.see("no geometry").await;
        drive.keys("q").await;
        drive.end().await;
    });
}

/// Scanning a table counts, and stops when it is told to.
#[test]
fn reading_stops_when_it_is_told_to() {
    run(async {
        let stores = bare();
        let rows = table(&stores, put(&stores, "spiral.parquet", spirals(20_000)).await).await;
        let plan = Plan::of(&rows.about()).expect("geometry");
        let control = Control::default();
        control.cancel();
        let ask = Ask { rows, plan, want: Want::All, near: true, size: None, seed: 1 };
        let err = load(ask, control).await.expect_err("stopped");
        assert_eq!(err.kind(), secchi::error::Kind::Cancelled);
    });
}
