//! Zarr in all its forms: values as their sources document them, requests counted, and what lies or is cut off
//! told of in a sentence.

#[path = "support/bucket.rs"]
mod bucket;
#[path = "support/mod.rs"]
mod support;
#[path = "support/zarrs.rs"]
mod zarrs;

use futures::StreamExt as _;
use secchi::error::{Kind, Result};
use secchi::location::Location;
use secchi::preview::{Ask, Preview, Probe};
use secchi::scene::{Place, Scene as _, Wish};
use secchi::store::{Environment, Options, Stores};
use secchi::zarr::{Afford, Form, Plane, Ruler, Span, Zarr, stored};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use zarrs::{Made, array_v3, climate, counted, f32s, gzip};

/// Bytes of metadata that are read at most.
const MOST: u64 = 64 << 20;

fn bare() -> Stores {
    Stores::new(Options { environment: Environment::fixed([("HOME", "/nonexistent")]), ..Options::default() })
}

fn at(text: &str) -> Location {
    Location::parse(text).expect(text)
}

fn path(name: &str) -> Vec<String> {
    if name.is_empty() { Vec::new() } else { name.split('/').map(str::to_owned).collect() }
}

async fn in_memory(made: &Made) -> (Stores, Location) {
    let (stores, root) = (bare(), at("memory:///d/x.zarr/"));
    made.write(&stores, &root).await;
    (stores, root)
}

async fn open(stores: &Stores, root: &Location) -> Result<Zarr> {
    Zarr::open(stores, root, &counted(stores), MOST).await
}

/// All values of an array, decoded.
async fn all(zarr: &Zarr, name: &str, stores: &Stores) -> Result<Vec<f64>> {
    let array = zarr.array(&path(name))?;
    let spans: Vec<Span> = array.about().shape.iter().map(|len| Span::all(*len)).collect();
    Ok(array.read(&counted(stores), &spans, Afford::EXACT).await?.numbers)
}

/// The real files, where there are some.
fn data() -> Option<PathBuf> {
    let found = std::env::var_os("SECCHI_DATA").map(PathBuf::from).filter(|p| p.join("zarr").is_dir());
    if found.is_none() {
        #[expect(clippy::print_stderr, reason = "says why the test looks at nothing")]
        {
            eprintln!("skipped: SECCHI_DATA names no folder with zarr/");
        }
    }
    found
}

#[tokio::test]
async fn real_arrays_have_the_values_that_zarr_python_reads() {
    let Some(data) = data() else { return };
    let expected: Value = serde_json::from_str(include_str!("fixtures/zarr_values.json")).expect("a fixture");
    let stores = bare();
    for (name, known) in expected.as_object().expect("a map") {
        let folder = at(&format!("{}/zarr/{name}/", data.display()));
        let zarr = open(&stores, &folder).await.expect(name);
        let array = zarr.array(&[]).expect(name);
        let shape: Vec<u64> = serde_json::from_value(known["shape"].clone()).expect("a shape");
        assert_eq!(array.about().shape, shape, "{name}");
        let (step, wanted) =
            (known["step"].as_u64().expect("a step") as usize, known["values"].as_array().expect("values"));
        if array.is_text() {
            let words = array.read_text(&counted(&stores), u64::MAX).await.expect(name);
            assert_eq!(words.len() as u64, shape[0]);
            let wanted: Vec<&str> = wanted.iter().filter_map(Value::as_str).collect();
            assert_eq!(words.iter().step_by(step).collect::<Vec<_>>(), wanted, "{name}");
            continue;
        }
        let numbers = all(&zarr, "", &stores).await.expect(name);
        assert_eq!(numbers.len() as u64, shape.iter().product::<u64>(), "{name}");
        for (number, wanted) in numbers.iter().step_by(step).zip(wanted) {
            let same = wanted.as_f64().map_or(number.is_nan(), |wanted| (number - wanted).abs() < 1e-12);
            assert!(same, "{name}: {number} is not {wanted}");
        }
    }
}

#[tokio::test]
async fn a_group_is_read_whole_with_what_its_arrays_mean() {
    let (stores, root) = in_memory(&climate(5, 6, 8)).await;
    let zarr = open(&stores, &root).await.expect("opened");
    let hierarchy = zarr.hierarchy();
    assert!(hierarchy.consolidated);
    assert_eq!(hierarchy.counts(), (5, 0));
    let array = zarr.array(&path("tas")).expect("an array");
    let values = all(&zarr, "tas", &stores).await.expect("values");
    assert!(
        (values[0]
            - (273.15 + f64::from(((0.5_f64 / 6.0 * std::f64::consts::PI).sin() * 4500.0 - 2500.0) as i16) * 0.01))
            .abs()
            < 0.011
    );
    assert!(values[3 * 8].is_nan(), "a missing value");
    assert!(values[2 * 48..3 * 48].iter().all(|v| v.is_nan()), "a chunk that is not stored");
    let time = Ruler::read(&zarr, &array, 0, &counted(&stores)).await.expect("times");
    assert_eq!((time.words(2), time.words(3)), ("2000-02-28".to_owned(), "2000-03-01".to_owned()));
    assert!(time.is_time());
    assert_eq!(all(&zarr, "level", &stores).await.expect("a scalar"), [850.0]);
    let Form::Array(about) = &hierarchy.members[&path("tas")].form else { panic!("an array") };
    assert_eq!(about.detail(), "5×6×8 i16  chunks 1×6×8  gzip  time,lat,lon");
}

#[tokio::test]
async fn a_plane_is_a_picture_with_north_up() {
    let (stores, root) = in_memory(&climate(5, 6, 8)).await;
    let zarr = open(&stores, &root).await.expect("opened");
    let control = counted(&stores);
    let plane = Plane::open(&zarr, &path("tas"), None, &control).await.expect("a plane");
    let plane = plane.placed(&control).await.expect("its place");
    let about = plane.about();
    assert_eq!((about.size, about.axes.len(), about.is_degrees), ((8, 6), 1, true));
    let Place::Affine(t) = about.place else { panic!("{:?}", about.place) };
    for (found, wanted) in t.iter().zip([0.0, 45.0, 0.0, 90.0, 0.0, -30.0]) {
        assert!((found - wanted).abs() < 1e-9, "{t:?}");
    }
    let wish = |pixels, at| Wish { bands: vec![1], window: about.whole(), pixels, at: vec![at] };
    let picture = plane.read(&control, wish((100, 100), 1)).await.expect("a picture");
    assert_eq!((picture.width, picture.height), (8, 6));
    let south_first = all(&zarr, "tas", &stores).await.expect("values");
    assert!((f64::from(picture.values[0][0]) - south_first[48 + 5 * 8]).abs() < 1e-4, "the last row is on top");
    let small = plane.read(&control, wish((4, 4), 1)).await.expect("a small picture");
    assert_eq!((small.width, small.height), (4, 3));
    let exact = plane.values(&control, vec![1], secchi::scene::Window { x: 0, y: 5, width: 1, height: 1 }, vec![1]);
    assert!((exact.await.expect("a value")[0][0] - south_first[48]).abs() < 1e-12);
    assert_eq!(about.axes[0].words.of(3), "3", "not read yet");
    plane.name_axes(&control).await.expect("names");
    assert_eq!(about.axes[0].words.of(3), "2000-03-01");
    assert!(plane.read(&control, wish((4, 4), 5)).await.is_err(), "beyond the axis");
}

#[tokio::test]
async fn previews_of_members_are_a_picture_a_plot_or_a_tree() {
    let (stores, root) = in_memory(&climate(5, 6, 8)).await;
    let asked = async |name: &str, whole: bool| {
        let mut ask = Ask::new(Probe::new(root.child(name)), stores.meter().child());
        (ask.pixels, ask.whole) = ((64, 64), whole);
        secchi::previews::load(stores.clone(), ask).await.expect(name)
    };
    let preview = async |name: &str| asked(name, false).await;
    let tas = preview("tas/").await;
    assert!(tas.cost.requests <= 4, "{:?}", tas.cost);
    let Preview::Raster(raster) = tas.preview else { panic!("a picture") };
    assert_eq!((raster.picture.width, raster.picture.height, raster.size), (8, 6, (8, 6)));
    assert_eq!(raster.bounds, None, "it would take another request");
    let Preview::Raster(whole) = asked("tas/", true).await.preview else { panic!("a picture") };
    assert_eq!((whole.bounds, whole.picture.rgba), (Some([0.0, -90.0, 360.0, 90.0]), raster.picture.rgba));
    assert!(raster.stretch.ends_with(" K · time 1 of 5"), "{}", raster.stretch);
    assert_eq!(raster.facts.title, "5×6×8 i16 · Air temperature");
    let Preview::Raster(raster) = preview("time/").await.preview else { panic!("a plot") };
    assert_eq!(raster.stretch, "2000-02-26 … 2000-03-02");
    assert!(raster.picture.rgba.chunks_exact(4).any(|pixel| pixel[3] > 0));
    for name in ["level/", "", "tas/zarr.json"] {
        assert!(matches!(preview(name).await.preview, Preview::Tree(_) | Preview::Raster(_)), "{name}");
    }
    let chunks = Probe::new(root.child("tas/c/"));
    assert!(!secchi::previews::claims(&chunks), "a folder of chunks is listed");
}

/// 100 bands of 50,000 x 50,000 numbers of 32 bits: a terabyte, of which three chunks are stored.
fn terabyte() -> Made {
    let mut made = Made::default();
    let mut metadata = array_v3(
        &[100, 50_000, 50_000],
        &[1, 500, 500],
        "float32",
        &["band", "y", "x"],
        json!({ "grid_mapping": "spatial_ref" }),
    );
    metadata["fill_value"] = json!("NaN");
    made.array("cube", metadata);
    let chunk = gzip(&f32s((0..250_000).map(|at| at as f32)));
    for key in ["cube/c/0/50/50", "cube/c/0/99/0", "cube/c/7/0/0"] {
        made.put(key, chunk.clone());
    }
    let attributes = json!({ "GeoTransform": "300000 10 0 7000000 0 -10", "crs_wkt": "PROJCS[\"x\",AUTHORITY[\"EPSG\",\"32635\"]]" });
    made.array("spatial_ref", array_v3(&[], &[], "int64", &[], attributes));
    made.consolidate(&json!({}));
    made
}

#[tokio::test]
async fn the_first_picture_of_a_sparse_terabyte_takes_four_requests() {
    let (stores, root) = in_memory(&terabyte()).await;
    let control = counted(&stores);
    let zarr = Zarr::open(&stores, &root, &control, MOST).await.expect("opened");
    let plane = Plane::open(&zarr, &path("cube"), None, &control).await.expect("a plane");
    let about = plane.about();
    assert_eq!(about.place, Place::Affine([300_000.0, 10.0, 0.0, 7_000_000.0, 0.0, -10.0]));
    assert_eq!(about.crs.as_deref(), Some("EPSG:32635"));
    let wish = Wish { bands: vec![1], window: about.whole(), pixels: (500, 500), at: vec![0] };
    let picture = plane.read(&control, wish).await.expect("a picture");
    let counts = control.meter.counts();
    assert!(counts.requests <= 4, "{} requests", counts.requests);
    assert_eq!(picture.values[0].iter().filter(|v| !v.is_nan()).count(), 50, "two chunks of 5 x 5 pixels");
}

#[tokio::test]
async fn levels_serve_as_overviews() {
    let mut made = Made::default();
    for (level, side) in [(0_u32, 8_192_u64), (1, 1_024), (2, 128)] {
        made.array(&format!("{level}"), array_v3(&[side, side], &[128, 128], "float32", &["y", "x"], json!({})));
        made.put(&format!("{level}/c/0/0"), gzip(&f32s(vec![level as f32 + 1.0; 128 * 128])));
    }
    let datasets = json!([{ "path": "0" }, { "path": "1" }, { "path": "2" }]);
    made.consolidate(&json!({ "ome": { "multiscales": [{ "datasets": datasets }] } }));
    let (stores, root) = in_memory(&made).await;
    let control = counted(&stores);
    let zarr = Zarr::open(&stores, &root, &control, MOST).await.expect("opened");
    let plane = Plane::open(&zarr, &path("0"), None, &control).await.expect("a plane");
    let about = plane.about();
    assert_eq!(about.overviews, [(1_024, 1_024), (128, 128)]);
    let wish = Wish { bands: vec![1], window: about.whole(), pixels: (100, 100), at: vec![] };
    let picture = plane.read(&control, wish).await.expect("a picture");
    assert_eq!((picture.overview, picture.values[0][0]), (Some(1), 3.0));
    assert_eq!(control.meter.counts().requests, 2, "the metadata and one chunk");
}

#[tokio::test]
async fn shards_are_read_by_their_index() {
    let mut made = Made::default();
    let inner = [gzip(&f32s([1.0, 2.0, 3.0, 4.0])), gzip(&f32s([5.0, 6.0, 7.0, 8.0]))];
    let mut shard: Vec<u8> = inner.concat();
    let places = [
        0,
        inner[0].len() as u64,
        u64::MAX,
        u64::MAX,
        inner[0].len() as u64,
        inner[1].len() as u64,
        u64::MAX,
        u64::MAX,
    ];
    let index: Vec<u8> = places.into_iter().flat_map(u64::to_le_bytes).collect();
    shard.extend(&index);
    let bytes = json!({ "name": "bytes", "configuration": { "endian": "little" } });
    let mut metadata = array_v3(&[4, 8], &[4, 4], "float32", &["y", "x"], json!({}));
    metadata["codecs"] = json!([{ "name": "sharding_indexed", "configuration": {
        "chunk_shape": [2, 2], "codecs": [bytes.clone(), { "name": "gzip", "configuration": { "level": 1 } }],
        "index_codecs": [bytes], "index_location": "end",
    } }]);
    made.array("a", metadata).put("a/c/0/0", shard).consolidate(&json!({}));
    let (stores, root) = in_memory(&made).await;
    let control = counted(&stores);
    let zarr = Zarr::open(&stores, &root, &control, MOST).await.expect("opened");
    let array = zarr.array(&path("a")).expect("an array");
    let values = array.read(&control, &[Span::all(4), Span::all(8)], Afford::EXACT).await.expect("values").numbers;
    assert_eq!(values[..4], [1.0, 2.0, 0.0, 0.0]);
    assert_eq!(values[16..20], [5.0, 6.0, 0.0, 0.0]);
    // The metadata, two indexes (one of a shard that is not there), two chunks; what is known is not asked again.
    assert_eq!(control.meter.counts().requests, 5);
    let last = stored(&array, &control).filter_map(async |s| s.ok()).collect::<Vec<_>>().await.pop().expect("counted");
    assert_eq!((last.objects, last.whole(), last.inner, last.done), (1, 2, Some((2, 4)), true));
}

/// Version 2 with what xarray writes, not consolidated, order F, and keys with dots.
fn version_2() -> Made {
    let mut made = Made::default();
    made.json(".zgroup", &json!({ "zarr_format": 2 }));
    let metadata = json!({
        "zarr_format": 2, "shape": [3, 4], "chunks": [2, 4], "dtype": ">f4", "order": "F", "compressor": { "id": "zlib", "level": 1 },
        "filters": null, "fill_value": -1.0,
    });
    made.json("t/.zarray", &metadata).json("t/.zattrs", &json!({ "_ARRAY_DIMENSIONS": ["y", "x"] }));
    let turned: Vec<u8> =
        (0..4).flat_map(|x| (0..2).map(move |y| (y * 4 + x) as f32)).flat_map(f32::to_be_bytes).collect();
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&turned).expect("packed");
    made.put("t/0.0", packer.finish().expect("packed"));
    made
}

#[tokio::test]
async fn version_2_is_read_with_and_without_consolidated_metadata() {
    let mut made = version_2();
    let (stores, root) = in_memory(&made).await;
    let wanted = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    for consolidated in [false, true] {
        if consolidated {
            let documents: serde_json::Map<String, Value> = made
                .keys
                .iter()
                .filter(|(key, _)| key.contains(".z"))
                .map(|(key, bytes)| (key.clone(), serde_json::from_slice(bytes).expect("JSON")))
                .collect();
            made = Made::default();
            made.json(".zmetadata", &json!({ "zarr_consolidated_format": 1, "metadata": documents }));
            made.write(&stores, &root).await;
        }
        let control = counted(&stores);
        let zarr = Zarr::open(&stores, &root, &control, MOST).await.expect("opened");
        assert_eq!(zarr.hierarchy().consolidated, consolidated);
        let values = all(&zarr, "t", &stores).await.expect("values");
        assert_eq!(values[..8], wanted);
        assert!(values[8..].iter().all(|v| v.is_nan()), "xarray's fill value is a missing one");
        if consolidated {
            assert_eq!(control.meter.counts().requests, 4, "zarr.json, which is not there, .zmetadata, two chunks");
        }
    }
}

#[tokio::test]
async fn a_zip_and_references_hold_the_same_values() {
    let made = climate(3, 4, 4);
    let (stores, root) = in_memory(&made).await;
    let wanted = all(&open(&stores, &root).await.expect("opened"), "tas", &stores).await.expect("values");
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (key, bytes) in &made.keys {
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            zip.start_file(format!("x.zarr/{key}"), options).expect("an entry");
            zip.write_all(bytes).expect("written");
        }
        let archive = zip.finish().expect("a zip").into_inner();
        let mut one = Made::default();
        one.put("x.zarr.zip", archive.clone()).put("cut.zarr.zip", archive[..archive.len() - 10].to_vec());
        one.write(&stores, &at("memory:///z/")).await;
        let control = counted(&stores);
        let zarr = Zarr::open(&stores, &at("memory:///z/x.zarr.zip"), &control, MOST).await.expect("opened");
        let found = all(&zarr, "tas", &stores).await.expect("values");
        assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
        // The directory, the metadata, two chunks: the third is not there, which the directory tells.
        assert_eq!(control.meter.counts().requests, 4, "{method:?}");
        let cut = open(&stores, &at("memory:///z/cut.zarr.zip")).await.err().expect("cut off").to_string();
        assert!(cut.contains("cut off"), "{cut}");
    }
    let (mut packed, mut refs) = (Vec::new(), serde_json::Map::new());
    for (key, bytes) in &made.keys {
        let reference = if key.rsplit('.').next() == Some("json") {
            json!(String::from_utf8(bytes.clone()).expect("text"))
        } else {
            json!(["{{f}}", packed.len(), bytes.len()])
        };
        packed.extend(bytes);
        refs.insert(key.clone(), reference);
    }
    let mut files = Made::default();
    files.put("one.bin", packed);
    files.json("references.json", &json!({ "version": 1, "templates": { "f": "one.bin" }, "refs": refs }));
    files.write(&stores, &at("memory:///k/")).await;
    let control = counted(&stores);
    let zarr = Zarr::open(&stores, &at("memory:///k/references.json"), &control, MOST).await.expect("opened");
    let found = all(&zarr, "tas", &stores).await.expect("values");
    assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
    assert_eq!(control.meter.counts().requests, 3, "the references and two chunks");
}

/// What is said of an array with these metadata and this first chunk.
async fn said(metadata: Value, chunk: &[u8]) -> (Kind, String) {
    let mut made = Made::default();
    let key = if metadata["zarr_format"] == 2 { ".zarray" } else { "zarr.json" };
    made.json(key, &metadata).put("c/0/0", chunk).put("0.0", chunk);
    let (stores, root) = in_memory(&made).await;
    let read = async {
        let zarr = open(&stores, &root).await?;
        let array = zarr.array(&[])?;
        let spans: Vec<Span> = array.about().shape.iter().map(|len| Span::at_most(0, *len, 4)).collect();
        array.read(&counted(&stores), &spans, Afford::LOOK).await
    };
    match read.await {
        Ok(values) => (Kind::Failed, format!("read: {:?}", values.numbers.iter().take(4).collect::<Vec<_>>())),
        Err(err) => (err.kind(), err.to_string()),
    }
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut metadata = array_v3(&[4, 4], &[2, 2], "float32", &["y", "x"], json!({}));
    change(&mut metadata);
    metadata
}

#[tokio::test]
async fn what_lies_or_is_not_known_is_told_in_a_sentence() {
    let fine = gzip(&f32s([1.0; 4]));
    let bomb = gzip(&vec![0; 32 << 20]);
    let codec = |name: &str| json!([{ "name": "bytes", "configuration": { "endian": "little" } }, { "name": name, "configuration": {} }]);
    let cases: Vec<(Value, &[u8], Kind, &str)> = vec![
        (with(|_| ()), &bomb, Kind::Invalid, "lies about its size"),
        (with(|_| ()), &fine[..10], Kind::Invalid, "cut off"),
        (with(|_| ()), b"not gzip at all", Kind::Invalid, "no gzip"),
        (with(|m| m["codecs"] = codec("numcodecs.jpegxl")), &fine, Kind::Unsupported, "numcodecs.jpegxl"),
        (with(|m| m["data_type"] = json!("float13")), &fine, Kind::Unsupported, "f13"),
        (with(|m| m["fill_value"] = json!("a lot")), &fine, Kind::Invalid, "fill value \"a lot\""),
        (with(|m| m["fill_value"] = json!({ "a": [1] })), &fine, Kind::Invalid, "fill value"),
        (with(|m| m["chunk_grid"] = json!({ "name": "hexagons" })), &fine, Kind::Unsupported, "hexagons"),
        (
            with(|m| m["chunk_grid"]["configuration"]["chunk_shape"] = json!([100_000, 100_000])),
            &fine,
            Kind::Limit,
            "37.3 GiB",
        ),
        (
            with(|m| m["chunk_grid"]["configuration"]["chunk_shape"] = json!([0, 2])),
            &fine,
            Kind::Unsupported,
            "cannot be read",
        ),
        (with(|m| m["shape"] = json!([-4, 4])), &fine, Kind::Invalid, "no `shape`"),
        (with(|m| m["data_type"] = json!("complex64")), &fine, Kind::Unsupported, "complex numbers (c64)"),
        (with(|m| m["codecs"] = codec("numcodecs.pcodec")), &fine, Kind::Unsupported, "numcodecs.pcodec"),
        (with(|m| m["codecs"] = codec("zfp")), &fine, Kind::Unsupported, "zfp"),
        (with(|m| m["codecs"] = json!([])), &fine, Kind::Unsupported, "codec"),
    ];
    for (metadata, chunk, kind, words) in cases {
        let (found, said) = said(metadata.clone(), chunk).await;
        assert!(said.contains(words), "{metadata}\n{words:?} is not in: {said}");
        assert_eq!(found, kind, "{said}");
    }
    let blosc = json!({ "zarr_format": 2, "shape": [4, 4], "chunks": [2, 2], "dtype": "<f4", "order": "C", "filters": null,
        "compressor": { "id": "lz77", "level": 1 }, "fill_value": null });
    let (kind, said) = said(blosc, &fine).await;
    assert!(kind == Kind::Unsupported && said.contains("lz77"), "{said}");
}

#[tokio::test]
async fn giant_shapes_are_read_within_bounds() {
    let side = 1_000_000_000_000_000_000_u64;
    let metadata = with(|m| {
        m["shape"] = json!([side, side]);
        m["fill_value"] = json!("NaN");
    });
    let (_, said) = said(metadata, &gzip(&f32s([1.0; 4]))).await;
    assert!(said.starts_with("read: [NaN"), "{said}");
}

#[tokio::test]
async fn metadata_of_many_megabytes_are_refused_in_a_sentence() {
    let mut made = Made::default();
    made.put("zarr.json", vec![b' '; 17 << 20]);
    let (stores, root) = in_memory(&made).await;
    let err = open(&stores, &root).await.err().expect("refused");
    assert_eq!(err.kind(), Kind::Limit);
    assert!(err.to_string().contains("17.0 MiB"), "{err}");
    let deep = "[".repeat(100_000);
    made.keys.clear();
    made.put("zarr.json", deep);
    made.write(&stores, &root).await;
    assert_eq!(open(&stores, &root).await.err().expect("refused").kind(), Kind::Invalid);
}

#[tokio::test]
async fn an_icechunk_repository_is_told_from_an_empty_folder() {
    let stores = bare();
    let mut made = Made::default();
    made.put("snapshots/1CECHNKREP0F1RSTCMT0", "x").put("manifests/M", "x").put("refs/branch.main/ref.json", "{}");
    made.write(&stores, &at("memory:///i/x.zarr/")).await;
    let err = open(&stores, &at("memory:///i/x.zarr/")).await.err().expect("not read");
    assert!(err.kind() == Kind::Unsupported && err.to_string().contains("Icechunk"), "{err}");
    let err = open(&stores, &at("memory:///nothing.zarr/")).await.err().expect("not there");
    assert!(err.kind() == Kind::NotFound && err.to_string().contains("is not a Zarr"), "{err}");
}

#[test]
fn a_gateway_serves_the_same_and_counts_the_same() {
    let Some(ceph) = support::Ceph::find() else { return };
    let bucket = bucket::Bucket::new(&ceph);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(pictures(&Stores::new(ceph.options()), &at(&bucket.at(""))));
}

async fn pictures(stores: &Stores, bucket: &Location) {
    for made in [terabyte(), climate(5, 6, 8)] {
        made.write(stores, &bucket.child("x.zarr/")).await;
        let control = counted(stores);
        let zarr = Zarr::open(stores, &bucket.child("x.zarr/"), &control, MOST).await.expect("opened");
        let name = if zarr.hierarchy().array(&path("cube")).is_some() { "cube" } else { "tas" };
        let plane = Plane::open(&zarr, &path(name), None, &control).await.expect("a plane");
        let wish = Wish { bands: vec![1], window: plane.about().whole(), pixels: (500, 500), at: vec![0] };
        let picture = plane.read(&control, wish).await.expect("a picture");
        assert!(picture.values[0].iter().any(|v| !v.is_nan()));
        let counts = control.meter.counts();
        assert!(counts.requests <= 4, "{name}: {} requests", counts.requests);
    }
}
