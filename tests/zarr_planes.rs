//! Planes of Zarr arrays: few requests before the picture is there, coordinates of one and two dimensions after it, and
//! values of types that there is no picture of.

#[path = "support/zarrs.rs"]
mod zarrs;

use secchi::location::Location;
use secchi::scene::{Place, Scene, Wish};
use secchi::store::{Environment, Options, Stores};
use secchi::task::Control;
use secchi::zarr::{Afford, Plane, Span, Zarr};
use serde_json::{Value, json};
use std::sync::Arc;
use zarrs::{Made, array_v3, climate, counted, f32s, f64s, gzip};

const MOST: u64 = 64 << 20;

fn bare() -> Stores {
    Stores::new(Options { environment: Environment::fixed([("HOME", "/nonexistent")]), ..Options::default() })
}

fn root() -> Location {
    Location::parse("memory:///d/x.zarr/").expect("an address")
}

fn named(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

/// The picture of all of a plane, at the first positions.
async fn picture(plane: &dyn Scene, control: &Control) -> Vec<f32> {
    let about = plane.about();
    let wish = Wish { bands: vec![1], window: about.whole(), pixels: (512, 512), at: about.start() };
    plane.read(control, wish).await.expect("a picture").values.remove(0)
}

/// All that was left for after the picture.
async fn rest(plane: Plane, control: &Control) -> (Arc<dyn Scene>, Vec<bool>) {
    let (mut scene, mut same): (Arc<dyn Scene>, _) = (Arc::new(plane), Vec::new());
    while let Some(rest) = scene.rest(control) {
        let rest = rest.await.expect("the rest");
        same.push(rest.same_pixels);
        scene = rest.scene;
    }
    (scene, same)
}

/// The same as `climate` in version 2, consolidated.
fn climate_v2(days: usize, rows: usize, columns: usize) -> Made {
    let array = |shape: &[usize], dtype: &str| {
        json!({ "zarr_format": 2, "shape": shape, "chunks": shape, "dtype": dtype, "compressor": null, "filters": null,
                "fill_value": null, "order": "C" })
    };
    let attributes = |names: &[&str], units: &str| json!({ "_ARRAY_DIMENSIONS": names, "units": units });
    let mut made = Made::default();
    made.json(
        ".zmetadata",
        &json!({ "zarr_consolidated_format": 1, "metadata": {
            ".zgroup": { "zarr_format": 2 },
            "tas/.zarray": array(&[days, rows, columns], "<f4"), "tas/.zattrs": attributes(&["time", "lat", "lon"], "K"),
            "time/.zarray": array(&[days], "<f8"), "time/.zattrs": attributes(&["time"], "days since 2000-01-01"),
            "lat/.zarray": array(&[rows], "<f8"), "lat/.zattrs": attributes(&["lat"], "degrees_north"),
            "lon/.zarray": array(&[columns], "<f8"), "lon/.zattrs": attributes(&["lon"], "degrees_east"),
        } }),
    );
    made.put("tas/0.0.0", f32s((0..days * rows * columns).map(|v| v as f32)));
    made.put("time/0", f64s((0..days).map(|v| v as f64)));
    made.put("lat/0", f64s((0..rows).map(|v| v as f64)));
    made.put("lon/0", f64s((0..columns).map(|v| v as f64 * 2.0)));
    made
}

#[tokio::test]
async fn the_first_picture_takes_four_requests_and_coordinates_come_after_it() {
    for (version, most, made) in [(2, 4, climate_v2(3, 6, 8)), (3, 3, climate(3, 6, 8))] {
        let (stores, root) = (bare(), root());
        made.write(&stores, &root).await;
        let control = counted(&stores);
        let zarr = Zarr::open(&stores, &root, &control, MOST).await.expect("opened");
        let plane = Plane::open(&zarr, &named("tas"), None, &control).await.expect("a plane");
        let seen = picture(&plane, &control).await;
        let requests = control.meter.counts().requests;
        assert!(requests <= most, "version {version}: {requests} requests");
        assert_eq!(plane.about().place, Place::Nowhere, "not read yet");
        let (scene, same) = rest(plane, &control).await;
        let about = scene.about();
        assert!(matches!(about.place, Place::Affine(_)) && about.is_degrees, "{:?}", about.place);
        assert_eq!((about.outline.len(), same), (4, vec![true, true]), "the picture is still the same");
        assert!(about.axes[0].words.of(1).starts_with("2000-0"), "{}", about.axes[0].words.of(1));
        assert_eq!(picture(scene.as_ref(), &control).await[0].to_bits(), seen[0].to_bits());
        // Lon and time, and nothing twice.
        assert!(control.meter.counts().requests <= requests + 3, "{:?}", control.meter.counts());
    }
}

#[tokio::test]
async fn longitudes_that_fall_turn_the_picture_when_they_are_known() {
    let mut made = climate_v2(1, 2, 3);
    made.put("lon/0", f64s([20.0, 10.0, 0.0]));
    let (stores, root) = (bare(), root());
    made.write(&stores, &root).await;
    let control = counted(&stores);
    let zarr = Zarr::open(&stores, &root, &control, MOST).await.expect("opened");
    let plane = Plane::open(&zarr, &named("tas"), None, &control).await.expect("a plane");
    assert_eq!(picture(&plane, &control).await, [3.0, 4.0, 5.0, 0.0, 1.0, 2.0], "north is up");
    let (scene, same) = rest(plane, &control).await;
    assert_eq!(same, [false, true]);
    assert_eq!(picture(scene.as_ref(), &control).await, [5.0, 4.0, 3.0, 2.0, 1.0, 0.0], "east is right");
}

const ROWS: usize = 5;
const COLUMNS: usize = 7;

/// Latitude and longitude of a cell: rows lead north and a little west, over the antimeridian.
fn cell(row: usize, column: usize) -> (f64, f64) {
    (50.0 + row as f64 + 0.1 * column as f64, 178.0 + column as f64 - 0.2 * row as f64)
}

/// An ocean's surface on a grid of its own.
fn ocean(transposed: bool) -> Made {
    let mut made = Made::default();
    let cells = || (0..ROWS * COLUMNS).map(|i| (i / COLUMNS, i % COLUMNS));
    let (rows, columns) = (ROWS as u64, COLUMNS as u64);
    let about = json!({ "units": "degC", "coordinates": "nav_lat nav_lon time_counter" });
    made.array("sst", array_v3(&[rows, columns], &[2, 4], "float32", &["y", "x"], about));
    for (top, left) in [(0, 0), (0, 4), (2, 0), (2, 4), (4, 0), (4, 4)] {
        let values = (top..top + 2).flat_map(|row| (left..left + 4).map(move |column| (row * 10 + column) as f32));
        made.put(&format!("sst/c/{}/{}", top / 2, left / 4), gzip(&f32s(values)));
    }
    let (shape, names) = if transposed { ([columns, rows], ["x", "y"]) } else { ([rows, columns], ["y", "x"]) };
    let across: Vec<(usize, usize)> = (0..ROWS * COLUMNS).map(|i| (i % ROWS, i / ROWS)).collect();
    for (name, units) in [("nav_lat", "degrees_north"), ("nav_lon", "degrees_east")] {
        let value = |(row, column)| if name == "nav_lat" { cell(row, column).0 } else { cell(row, column).1 };
        let values: Vec<f64> =
            if transposed { across.iter().map(|at| value(*at)).collect() } else { cells().map(value).collect() };
        made.array(name, array_v3(&shape, &shape, "float64", &names, json!({ "units": units })));
        made.put(&format!("{name}/c/0/0"), gzip(&f64s(values)));
    }
    made.consolidate(&json!({}));
    made
}

#[tokio::test]
async fn a_grid_of_its_own_tells_where_each_pixel_lies() {
    for transposed in [false, true] {
        let (stores, root) = (bare(), root());
        ocean(transposed).write(&stores, &root).await;
        let control = counted(&stores);
        let zarr = Zarr::open(&stores, &root, &control, MOST).await.expect("opened");
        let plane = Plane::open(&zarr, &named("sst"), None, &control).await.expect("a plane");
        assert_eq!(control.meter.counts().requests, 2, "the metadata and the latitudes");
        let seen = picture(&plane, &control).await;
        assert_eq!((seen[0], seen[COLUMNS * (ROWS - 1)]), (40.0, 0.0), "the last row is the northernmost");
        let (scene, _) = rest(plane, &control).await;
        let about = scene.about();
        assert!(!about.is_degrees && about.place != Place::Affine([0.0; 6]));
        let extent = secchi::map::Extent::around(&about.outline).expect("an outline");
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(extent.south, 50.0) && near(extent.north, 54.6), "{extent:?}");
        assert!(near(extent.west, 177.2) && near(extent.east, -176.0), "over the antimeridian: {extent:?}");
        let pixels = vec![[0.5, 0.5], [6.9, 4.1], [3.0, 2.0], [7.5, 1.0], [-0.1, 0.0]];
        let found = scene.degrees(&control, pixels).await.expect("places");
        for (found, wanted) in found.iter().zip([Some(cell(4, 0)), Some(cell(0, 6)), Some(cell(2, 3)), None, None]) {
            let same = match (found, wanted) {
                (Some([lon, lat]), Some((lat_wanted, lon_wanted))) => {
                    near(*lat, lat_wanted) && near((lon - lon_wanted).rem_euclid(360.0), 0.0)
                }
                (found, wanted) => found.is_none() && wanted.is_none(),
            };
            assert!(same, "{found:?} is not {wanted:?}");
        }
    }
}

/// What xarray makes and reads of such a grid, in both versions, where a Python with it is named.
#[tokio::test]
#[expect(clippy::print_stderr, reason = "says why the test looks at nothing")]
async fn places_and_values_are_those_of_xarray() {
    let Some(python) = std::env::var_os("SECCHI_PYTHON") else {
        return eprintln!("skipped: SECCHI_PYTHON names no Python with xarray and zarr");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/zarr_grids.py");
    let output = std::process::Command::new(python).arg(script).arg(folder.path()).output().expect("Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (name, wanted) in told.as_object().expect("stores") {
        let root = Location::parse(&format!("{}/{name}/", folder.path().display())).expect("a path");
        let stores = bare();
        let control = counted(&stores);
        let zarr = Zarr::open(&stores, &root, &control, MOST).await.expect(name);
        let plane = Plane::open(&zarr, &named("sst"), None, &control).await.expect(name);
        let (scene, _) = rest(plane, &control).await;
        let about = scene.about();
        let number = |value: &Value| value.as_f64().expect("a number");
        for one in wanted.as_array().expect("pixels") {
            // As xarray has them, rows from the first; the picture has the northernmost on top.
            let (row, column) = (one["row"].as_u64().expect("a row"), one["column"].as_u64().expect("a column"));
            let (x, y) = (column, about.size.1 - 1 - row);
            let found = scene.degrees(&control, vec![[x as f64 + 0.5, y as f64 + 0.5]]).await.expect(name)[0];
            let [lon, lat] = found.expect("a place");
            assert!(
                (lat - number(&one["lat"])).abs() < 1e-9 && (lon - number(&one["lon"])).abs() < 1e-9,
                "{name} {one}"
            );
            let window = secchi::scene::Window { x, y, width: 1, height: 1 };
            let at = vec![one["time"].as_u64().expect("a time")];
            let value = scene.values(&control, vec![1], window, at).await.expect(name)[0][0];
            assert!((value - number(&one["value"])).abs() < 1e-6, "{name} {one}: {value}");
        }
    }
}

#[tokio::test]
async fn values_of_several_numbers_are_named() {
    let (stores, root) = (bare(), root());
    let mut made = Made::default();
    let array = |dtype: Value, fill: Value| {
        json!({ "zarr_format": 2, "shape": [4], "chunks": [2], "dtype": dtype, "compressor": null, "filters": null,
                "fill_value": fill, "order": "C" })
    };
    let fields = json!([["height", "<f4"], ["when", "<M8[s]"], ["quality", "|u1"], ["a", "<i2"], ["b", "<i2"]]);
    made.json(
        ".zmetadata",
        &json!({ "zarr_consolidated_format": 1, "metadata": {
            ".zgroup": { "zarr_format": 2 },
            "wave/.zarray": array(json!("<c8"), json!([0.0, 0.0])),
            "photon/.zarray": array(fields, json!("AAAAAAAAAAAAAAAAAAAAAAAA")),
        } }),
    );
    made.write(&stores, &root).await;
    let zarr = Zarr::open(&stores, &root, &counted(&stores), MOST).await.expect("opened");
    let why = |name: &str| {
        let err = zarr.array(&named(name)).err().expect("no numbers");
        assert!(err.hint().is_some(), "{err}");
        err.to_string()
    };
    assert_eq!(why("wave"), "its values are complex numbers (c64): only real ones are drawn");
    assert_eq!(
        why("photon"),
        "each of its values is a record (height f32, when datetime64[s], quality u8, a i16, 1 more): only single numbers \
         are drawn"
    );
}

/// Path, offset and size, bytes.
type Row<'a> = (Option<&'a str>, i64, i64, Option<&'a [u8]>);

/// A table of Kerchunk's.
fn table(rows: &[Row<'_>]) -> Vec<u8> {
    use arrow::array::{ArrayRef, BinaryArray, DictionaryArray, Int64Array, RecordBatch};
    use arrow::datatypes::Int32Type;
    let path: DictionaryArray<Int32Type> = rows.iter().map(|row| row.0).collect();
    let columns: [(&str, ArrayRef); 4] = [
        ("path", Arc::new(path)),
        ("offset", Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int64Array>())),
        ("size", Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int64Array>())),
        ("raw", Arc::new(rows.iter().map(|row| row.3).collect::<BinaryArray>())),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)));
    let batch = batch.expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bytes
}

#[tokio::test]
async fn references_in_parquet_are_read_as_they_are_needed() {
    let stores = bare();
    let root = Location::parse("memory:///d/sea.parq/").expect("an address");
    let mut made = Made::default();
    let array = json!({ "zarr_format": 2, "shape": [4, 4], "chunks": [2, 2], "dtype": "<f4", "compressor": null,
                        "filters": null, "fill_value": -1.0, "order": "C" });
    made.json(
        ".zmetadata",
        &json!({ "record_size": 3, "metadata": { ".zgroup": { "zarr_format": 2 }, "deep/sst/.zarray": array,
                 "deep/.zgroup": { "zarr_format": 2 }, "deep/sst/.zattrs": { "units": "K" } } }),
    );
    let inline = f32s([4.0, 5.0, 6.0, 7.0]);
    let file = "memory:///d/model.nc";
    made.put(
        "deep/sst/refs.0.parq",
        table(&[(Some(file), 8, 16, None), (None, 0, 0, Some(&inline)), (None, 0, 0, None)]),
    );
    made.put("deep/sst/refs.1.parq", table(&[(Some("memory:///d/last.bin"), 0, 0, None)]));
    made.write(&stores, &root).await;
    let mut files = Made::default();
    files.put("model.nc", f32s([9.0, 9.0, 0.0, 1.0, 2.0, 3.0, 9.0])).put("last.bin", f32s([12.0, 13.0, 14.0, 15.0]));
    files.write(&stores, &Location::parse("memory:///d/").expect("an address")).await;
    assert!(secchi::zarr::is_root(&root) && secchi::previews::claims(&secchi::preview::Probe::new(root.clone())));
    let control = counted(&stores);
    let zarr = Zarr::open(&stores, &root, &control, MOST).await.expect("opened");
    assert_eq!(control.meter.counts().requests, 1, "no zarr.json is asked for");
    let array = zarr.array(&["deep".to_owned(), "sst".to_owned()]).expect("an array");
    let read = array.read(&control, &[Span::all(4), Span::all(4)], Afford::EXACT).await.expect("values");
    let wanted = [0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0, -1.0, -1.0, 12.0, 13.0, -1.0, -1.0, 14.0, 15.0];
    assert_eq!(read.numbers, wanted);
    assert_eq!(control.meter.counts().requests, 5, "two tables and two chunks");
    let err = secchi::zarr::stored(&array, &control);
    let err = futures::StreamExt::next(&mut std::pin::pin!(err)).await.expect("an answer").expect_err("refused");
    assert!(err.to_string().contains("as they are read"), "{err}");
}
