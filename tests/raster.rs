//! Rasters and pictures through the store: what is read is what GDAL reads from the disk, in few
//! requests, and bad files give sentences.
#![allow(clippy::print_stdout)] // what was skipped or measured

use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use secchi::error::{Error, Kind};
use secchi::location::Location;
use secchi::meter::Meter;
use secchi::preview::{Ask, Loaded, Preview, Probe, Raster};
use secchi::raster::{self, Grid, NO_LIMIT, Samples, View};
use secchi::store::{Options, Stores};
use secchi::task::Control;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn stores() -> Stores {
    Stores::new(Options::default())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A wavy surface without symmetry, the same for the same coordinates.
fn wave(x: usize, y: usize) -> f64 {
    let (x, y) = (x as f64, y as f64);
    (x / 37.0).sin() * 40.0 + (y / 23.0).cos() * 25.0 + (x * y / 90_000.0).sin() * 9.0
}

fn grid(width: usize, height: usize, block: usize, samples: Samples) -> Grid {
    Grid {
        width,
        height,
        samples,
        names: Vec::new(),
        epsg: Some(32635),
        transform: Some([300_000.0, 10.0, 0.0, 6_800_040.0, 0.0, -10.0]),
        nodata: None,
        rgb: false,
        block,
    }
}

fn floats(width: usize, height: usize) -> Samples {
    Samples::F32((0..width * height).map(|i| wave(i % width, i / width) as f32).collect())
}

fn shorts(width: usize, height: usize, bands: usize) -> Samples {
    let value = |i: usize| {
        let (band, i) = (i / (width * height), i % (width * height));
        (wave(i % width + 100 * band, i / width) * 20.0 + 2_000.0) as u16
    };
    Samples::U16((0..width * height * bands).map(value).collect())
}

/// Puts a file's bytes under `memory:///name`.
async fn in_memory(stores: &Stores, name: &str, bytes: impl Into<Bytes>) -> Location {
    let location = Location::parse(&format!("memory:///{name}")).expect("location");
    let handle = stores.open(&location, &Meter::new()).await.expect("memory");
    handle.object_store().put(&handle.path(location.key()), bytes.into().into()).await.expect("put");
    location
}

async fn preview(stores: &Stores, location: &Location) -> Result<Loaded, Error> {
    secchi::previews::load(stores.clone(), Ask::new(Probe::new(location.clone()), Meter::new())).await
}

async fn picture(stores: &Stores, location: &Location) -> Raster {
    match preview(stores, location).await.expect("a preview").preview {
        Preview::Raster(raster) => raster,
        other => panic!("not a picture: {other:?}"),
    }
}

#[tokio::test]
async fn an_overview_is_what_gdal_reads_from_the_disk() {
    let folder = folder();
    let path = folder.path().join("dem.tif");
    raster::write_cog(&path, &grid(2000, 1500, 256, floats(2000, 1500))).expect("a COG");
    let direct = gdal::Dataset::open(&path).expect("opens");
    let band = direct.rasterband(1).expect("band");
    let stores = stores();
    let memory = in_memory(&stores, "dem.tif", std::fs::read(&path).expect("reads")).await;
    for location in [Location::file(&path), memory] {
        let control = Control::default();
        let opened = raster::open(&stores, &location, &control, NO_LIMIT).await.expect("opens");
        assert_eq!(opened.info().title(), "COG 2000×1500 f32 EPSG:32635 deflate");
        assert_eq!(opened.info().overviews, [(1000, 750), (500, 375), (250, 187)]);
        for (index, pixels) in [(0, 1000), (1, 512), (2, 250)] {
            let view = View { bands: vec![1], window: None, pixels: (pixels, pixels) };
            let read = opened.view(&control, view).await.expect("reads");
            let overview = band.overview(index).expect("overview");
            let expected = overview.read_band_as::<f32>().expect("reads");
            assert_eq!(read.overview, Some(index));
            assert_eq!((read.width, read.height), overview.size());
            assert_eq!(read.values[0], expected.data(), "overview {index} of {location}");
        }
    }
}

#[tokio::test]
async fn a_window_is_what_gdal_reads_from_the_disk() {
    let folder = folder();
    let stores = stores();
    let grid = grid(700, 600, 256, shorts(700, 600, 4));
    let path = folder.path().join("B02_B03_B04_B08.tif");
    raster::write_cog(&path, &grid).expect("a COG");
    let planar = folder.path().join("planar.tif");
    raster::write_tiff(&planar, &grid, &[("INTERLEAVE", "BAND"), ("TILED", "YES")]).expect("a TIFF");
    for path in [path, planar] {
        let location = in_memory(&stores, "x/y z/ä.tif", std::fs::read(&path).expect("reads")).await;
        let control = Control::default();
        let opened = raster::open(&stores, &location, &control, NO_LIMIT).await.expect("opens");
        let read = opened.read_window_u16(&control, 33, 240, 510, 300).await.expect("reads");
        let direct = gdal::Dataset::open(&path).expect("opens");
        let mut expected = Vec::new();
        for band in direct.rasterbands() {
            let band = band.expect("band").read_as::<u16>((33, 240), (510, 300), (510, 300), None).expect("reads");
            expected.extend_from_slice(band.data());
        }
        assert_eq!(read, expected);
        for (x, y, w, h) in [(300, 0, 510, 300), (usize::MAX, 0, 2, 2), (0, 0, 0, 1)] {
            let refused = opened.read_window_u16(&control, x, y, w, h).await.expect_err("outside");
            assert_eq!(refused.kind(), Kind::Usage, "{refused}");
        }
    }
}

#[tokio::test]
async fn a_sentinel_stack_is_shown_in_true_colour_with_its_place() {
    let folder = folder();
    let path = folder.path().join("stack.tif");
    let mut grid = grid(1098, 1098, 512, shorts(1098, 1098, 4));
    grid.names = ["B02", "B03", "B04", "B08"].map(str::to_owned).into();
    grid.transform = Some([300_000.0, 100.0, 0.0, 6_800_040.0, 0.0, -100.0]);
    raster::write_cog(&path, &grid).expect("a COG");
    let stores = stores();
    let seen = picture(&stores, &Location::file(&path)).await;
    assert_eq!(seen.facts.title, "COG 1098×1098 u16 ×4 EPSG:32635 deflate");
    assert_eq!(seen.stretch, "bands 3,2,1 · 2–98 %");
    assert_eq!(seen.bands[2].name, "B04");
    assert_eq!(seen.bands[0].dtype, "UInt16");
    assert!(seen.bands[0].max > seen.bands[0].min && seen.bands[3].max.is_none());
    // The corners of tile 35VLH by gdaltransform, each to within the bend of its edges.
    let [west, south, east, north] = seen.bounds.expect("bounds");
    for (found, known) in [(west, 23.266), (south, 60.318), (east, 25.370), (north, 61.332)] {
        assert!((found - known).abs() < 0.05, "{:?}", seen.bounds);
    }
    assert_eq!(seen.picture.rgba.len() as u32, seen.picture.width * seen.picture.height * 4);
    assert!(seen.picture.rgba.chunks(4).all(|p| p[3] == 255));
}

#[tokio::test]
async fn nodata_is_transparent() {
    let folder = folder();
    let path = folder.path().join("gap.tif");
    let mut grid = grid(64, 64, 64, floats(64, 64));
    if let Samples::F32(values) = &mut grid.samples {
        values[..64 * 16].fill(-9999.0);
        values[64 * 16] = f32::NAN;
    }
    grid.nodata = Some(-9999.0);
    raster::write_tiff(&path, &grid, &[]).expect("a TIFF");
    let seen = picture(&stores(), &Location::file(&path)).await;
    let alpha: Vec<u8> = seen.picture.rgba.chunks(4).map(|p| p[3]).collect();
    assert!(alpha[..=64 * 16].iter().all(|&a| a == 0) && alpha[64 * 16 + 1..].iter().all(|&a| a == 255));
    assert!(seen.bands[0].min.is_some_and(|min| min > -100.0), "nodata is no minimum");
}

/// Runs one test of this file again in a process of its own, and gives what it printed.
fn alone(test: &str, variable: (&str, &Path)) -> std::process::Output {
    let this = std::env::current_exe().expect("a path");
    let run = std::process::Command::new(this)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(variable.0, variable.1)
        .output()
        .expect("runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    run
}

#[tokio::test]
async fn the_first_raster_of_an_hdf5_file_is_shown() {
    let folder = folder();
    let Some(path) = std::env::var_os("SECCHI_TEST_NETCDF").map(PathBuf::from) else {
        let (source, path) = (folder.path().join("a.tif"), folder.path().join("a.nc"));
        raster::write_tiff(&source, &grid(90, 60, 0, floats(90, 60)), &[]).expect("a TIFF");
        let mut options = gdal::raster::RasterCreationOptions::new();
        options.set_name_value("FORMAT", "NC4").expect("an option");
        let driver = gdal::DriverManager::get_driver_by_name("netCDF").expect("netCDF");
        let tiff = gdal::Dataset::open(&source).expect("opens");
        tiff.create_copy(&driver, &path, &options).expect("copies").close().expect("closes");
        // HDF5 prints while it writes, which is not our business: reading must not.
        let run = alone("the_first_raster_of_an_hdf5_file_is_shown", ("SECCHI_TEST_NETCDF", &path));
        assert_eq!(String::from_utf8_lossy(&run.stderr), "");
        return;
    };
    let stores = stores();
    let memory = in_memory(&stores, "a.h5", std::fs::read(&path).expect("reads")).await;
    for location in [Location::file(&path), memory] {
        let seen = picture(&stores, &location).await;
        assert_eq!(seen.size, (90, 60), "{location}");
    }
}

#[tokio::test]
async fn an_object_that_changes_in_the_middle_is_an_error() {
    let folder = folder();
    let stores = stores();
    let path = folder.path().join("dem.tif");
    raster::write_cog(&path, &grid(1000, 1000, 256, floats(1000, 1000))).expect("a COG");
    let bytes = std::fs::read(&path).expect("reads");
    let location = in_memory(&stores, "dem.tif", bytes.clone()).await;
    let control = Control::default();
    let opened = raster::open(&stores, &location, &control, NO_LIMIT).await.expect("opens");
    in_memory(&stores, "dem.tif", bytes).await;
    let view = View { bands: vec![1], window: None, pixels: (500, 500) };
    let changed = opened.view(&control, view).await.expect_err("changed");
    assert_eq!(changed.kind(), Kind::Changed, "{changed}");
}

#[tokio::test]
async fn cancelled_work_reads_nothing() {
    let folder = folder();
    let path = folder.path().join("dem.tif");
    raster::write_cog(&path, &grid(1000, 1000, 256, floats(1000, 1000))).expect("a COG");
    let stores = stores();
    let control = Control::default();
    let opened = raster::open(&stores, &Location::file(&path), &control, NO_LIMIT).await.expect("opens");
    control.cancel();
    let view = View { bands: vec![1], window: None, pixels: (500, 500) };
    assert_eq!(opened.view(&control, view.clone()).await.expect_err("cancelled").kind(), Kind::Cancelled);
    // Others that hold the same raster go on.
    opened.view(&Control::default(), view).await.expect("reads");
}

#[tokio::test]
async fn what_is_too_much_for_a_look_still_tells_what_it_is() {
    let folder = folder();
    let path = folder.path().join("strips.tif");
    raster::write_tiff(&path, &grid(2000, 2000, 0, floats(2000, 2000)), &[]).expect("a TIFF");
    let mut ask = Ask::new(Probe::new(Location::file(&path)), Meter::new());
    ask.max_bytes = 1 << 20;
    let loaded = secchi::previews::load(stores(), ask).await.expect("facts");
    let Preview::Facts(facts) = loaded.preview else { panic!("not facts") };
    assert!(facts.rows[0].1.contains("it has no overviews"), "{:?}", facts.rows[0]);
    assert!(facts.title.starts_with("GeoTIFF 2000×2000 f32"), "{}", facts.title);
}

/// A TIFF of one band whose header claims what is not there.
fn claims(width: u32, height: u32, tile: u32) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        let mut e = Vec::from(tag.to_le_bytes());
        e.extend(kind.to_le_bytes());
        e.extend(count.to_le_bytes());
        e.extend(value.to_le_bytes());
        e
    };
    let tiles = width.div_ceil(tile).saturating_mul(height.div_ceil(tile));
    let entries = [
        entry(256, 4, 1, width),
        entry(257, 4, 1, height),
        entry(258, 3, 1, 8),
        entry(259, 3, 1, 1),
        entry(262, 3, 1, 1),
        entry(277, 3, 1, 1),
        entry(322, 4, 1, tile),
        entry(323, 4, 1, tile),
        entry(324, 4, tiles, 200),
        entry(325, 4, tiles, 200),
    ];
    let mut out = Vec::from(*b"II*\0\x08\0\0\0");
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend(entries.concat());
    out.extend([0; 4096]);
    out
}

/// Run a second time as a child by the test below.
#[tokio::test]
async fn bad_files_give_sentences() {
    let folder = folder();
    let path = folder.path().join("dem.tif");
    raster::write_cog(&path, &grid(1000, 1000, 256, floats(1000, 1000))).expect("a COG");
    let whole = std::fs::read(&path).expect("reads");
    let jp2 = folder.path().join("b.jp2");
    raster::write_jp2(&jp2, &grid(512, 512, 256, shorts(512, 512, 1))).expect("a JP2");
    let jp2 = std::fs::read(jp2).expect("reads");
    let plain = folder.path().join("plain.tif");
    raster::write_tiff(&plain, &grid(1000, 1000, 0, floats(1000, 1000)), &[]).expect("a TIFF");
    let plain = std::fs::read(plain).expect("reads");
    let mut flipped = whole.clone();
    flipped.iter_mut().skip(40).step_by(7).take(400).for_each(|b| *b ^= 0xff);
    let stores = stores();
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("text.tif", b"this is not a TIFF at all, whatever its name says\n".repeat(30)),
        ("head.tif", whole[..16].to_vec()),
        ("cut.tif", plain[..plain.len() / 3].to_vec()),
        ("cut_cog.tif", whole[..whole.len() / 3].to_vec()),
        ("cut_early_cog.tif", whole[..60_000].to_vec()),
        ("empty.tif", Vec::new()),
        ("flipped.tif", flipped),
        ("huge.tif", claims(1_000_000, 1_000_000, 256)),
        ("block.tif", claims(1_000_000, 1_000_000, 1_000_000)),
        ("giant.tif", claims(60_000, 60_000, 60_000)),
        ("wide.tif", claims(u32::MAX, u32::MAX, 16)),
        ("cut.jp2", jp2[..jp2.len() / 4].to_vec()),
        ("head.jp2", jp2[..60].to_vec()),
        ("fake.h5", [b"\x89HDF\r\n\x1a\n".as_slice(), &[7; 3000]].concat()),
        ("fake.grib2", [b"GRIB\0\0\0\x02".as_slice(), &[9; 3000]].concat()),
        ("fake.nc", [b"CDF\x01".as_slice(), &[0xff; 3000]].concat()),
        ("fake.png", [b"\x89PNG\r\n\x1a\n".as_slice(), &[1; 300]].concat()),
        ("text.jpg", b"no picture".to_vec()),
        ("names.vrt.tif", b"<VRTDataset rasterXSize=\"9\" rasterYSize=\"9\"></VRTDataset>".to_vec()),
    ];
    for (name, bytes) in bad {
        let location = in_memory(&stores, name, bytes).await;
        let said = match preview(&stores, &location).await {
            Err(err) => err.to_string(),
            Ok(Loaded { preview: Preview::Facts(facts), .. }) => facts.rows[0].1.clone(),
            // What is broken only in parts that are not shown may be shown.
            Ok(loaded) if ["flipped.tif", "cut_cog.tif", "cut.jp2"].contains(&name) => format!("{:?}", loaded.cost),
            Ok(loaded) => panic!("{name}: {:?}", loaded.preview),
        };
        assert!(!said.contains("vsisecchi") && said.len() < 300 && !said.contains('\n'), "{name}: {said}");
        println!("{name}: {said}");
    }
}

#[test]
fn bad_files_print_nothing() {
    let run = alone("bad_files_give_sentences", ("CPL_DEBUG", Path::new("ON")));
    assert_eq!(String::from_utf8_lossy(&run.stderr), "");
    // GDAL's own words would start so; the sentences of the test contain ours only.
    assert!(!String::from_utf8_lossy(&run.stdout).contains("ERROR "));
}

#[tokio::test]
async fn a_tiff_cannot_lead_to_another_file() {
    use gdal::Metadata as _;
    let folder = folder();
    let path = folder.path().join("lure.tif");
    raster::write_tiff(&path, &grid(64, 64, 0, floats(64, 64)), &[]).expect("a TIFF");
    let options =
        gdal::DatasetOptions { open_flags: gdal::GdalOpenFlags::GDAL_OF_UPDATE, ..gdal::DatasetOptions::default() };
    let mut lure = gdal::Dataset::open_ex(&path, options).expect("opens");
    lure.set_metadata_item("OVERVIEW_FILE", "/vsistdin/", "OVERVIEWS").expect("sets");
    drop(lure);
    assert!(String::from_utf8_lossy(&std::fs::read(&path).expect("reads")).contains("vsistdin"));
    let refused = preview(&stores(), &Location::file(&path)).await.expect_err("refused");
    assert_eq!(refused.kind(), Kind::Unsupported, "{refused}");
}

#[tokio::test]
async fn real_files_open_or_give_a_sentence() {
    let data = std::env::var_os("SECCHI_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let Ok(files) = std::fs::read_dir(data.join("raster")) else {
        println!("skipped: no data in {}", data.display());
        return;
    };
    let mut paths: Vec<PathBuf> = files.filter_map(|f| Some(f.ok()?.path())).collect();
    let folder = folder();
    // Whoever has no unzip does without the tiny JPEG 2000 files.
    let zip = data.join("sentinel2/S2A_MSIL1C_20201031_T53JQJ.SAFE.zip");
    let mut unzip = std::process::Command::new("unzip");
    unzip.arg("-qqj").arg(zip).arg("*.jp2").arg("-d").arg(folder.path());
    if unzip.status().is_ok_and(|s| s.success()) {
        paths.extend(std::fs::read_dir(folder.path()).expect("lists").filter_map(|f| Some(f.ok()?.path())));
    }
    paths.sort();
    let stores = stores();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match preview(&stores, &Location::file(&path)).await {
            Ok(Loaded { preview: Preview::Raster(seen), cost, .. }) => {
                assert!(seen.picture.rgba.chunks(4).any(|p| p[3] > 0), "{name} is not empty");
                println!("{name}: {} · {} · {cost}", seen.facts.title, seen.stretch);
            }
            Ok(Loaded { preview: Preview::Tree(tree), .. }) if name == "RGB.nc" => assert_eq!(tree.nodes.len(), 3),
            Ok(other) => panic!("{name}: {:?}", other.preview),
            Err(err) => {
                assert_eq!(name, "corrupt.tif", "{err}");
                assert_eq!(err.kind(), Kind::Invalid);
                println!("{name}: {err}");
            }
        }
    }
    // Its overviews are whole, its last block is not.
    let corrupt = Location::file(&data.join("raster/corrupt.tif"));
    let control = Control::default();
    let opened = raster::open(&stores, &corrupt, &control, NO_LIMIT).await.expect("opens");
    let view = View { bands: vec![1], window: None, pixels: (1024, 1024) };
    let damaged = opened.view(&control, view).await.expect_err("damaged");
    assert_eq!(damaged.kind(), Kind::Invalid, "{damaged}");
    println!("{damaged}");
}

#[tokio::test]
async fn pictures_are_shown_and_bounded() {
    use image::{ImageFormat, RgbImage};
    let stores = stores();
    let photo = RgbImage::from_fn(1200, 800, |x, y| image::Rgb([x as u8, y as u8, 7]));
    for (name, format) in [
        ("a.png", ImageFormat::Png),
        ("a.jpg", ImageFormat::Jpeg),
        ("a.webp", ImageFormat::WebP),
        ("a.gif", ImageFormat::Gif),
    ] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        photo.write_to(&mut bytes, format).expect("encodes");
        let location = in_memory(&stores, name, bytes.into_inner()).await;
        let seen = picture(&stores, &location).await;
        assert_eq!((seen.picture.width, seen.picture.height), (512, 341), "{name}");
        assert!(seen.facts.title.contains("1200×800"), "{}", seen.facts.title);
    }
    // A header alone must not take memory: 65535 x 65535 in a GIF, a million squared in a PNG.
    let gif = in_memory(&stores, "b.gif", [b"GIF89a\xff\xff\xff\xff\0\0\0".as_slice(), &[0; 64]].concat()).await;
    let mut png = Vec::from(*b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    png.extend([0, 0x0f, 0x42, 0x40, 0, 0x0f, 0x42, 0x40, 8, 6, 0, 0, 0, 0x30, 0x3e, 0x1a, 0xa6]);
    let png = in_memory(&stores, "b.png", png).await;
    for location in [gif, png] {
        let refused = preview(&stores, &location).await.expect_err("too large");
        assert!(matches!(refused.kind(), Kind::Limit | Kind::Invalid), "{refused}");
    }
}

/// A web server of a few files that counts its requests: ranges, `ETag`, `If-Match`.
struct Server {
    address: SocketAddr,
    files: Arc<Mutex<HashMap<String, Arc<Vec<u8>>>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("an address");
        let files: Arc<Mutex<HashMap<String, Arc<Vec<u8>>>>> = Arc::default();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (served, noted) = (files.clone(), log.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (served, noted) = (served.clone(), noted.clone());
                std::thread::spawn(move || while answer(&stream, &served, &noted, delay).is_some() {});
            }
        });
        Self { address, files, log }
    }

    fn put(&self, name: &str, bytes: Vec<u8>) -> Location {
        self.files.lock().expect("lock").insert(format!("/{name}"), Arc::new(bytes));
        Location::parse(&format!("http://{}/{name}", self.address)).expect("location")
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().expect("lock"))
    }
}

fn answer(
    mut stream: &TcpStream,
    files: &Mutex<HashMap<String, Arc<Vec<u8>>>>,
    log: &Mutex<Vec<String>>,
    delay: Duration,
) -> Option<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|l| !l.is_empty());
    let first = lines.next()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let headers: HashMap<String, String> =
        lines.filter_map(|l| l.split_once(": ").map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned()))).collect();
    let range = headers.get("range").cloned().unwrap_or_default();
    log.lock().ok()?.push(format!("{method} {path} {range}"));
    std::thread::sleep(delay);
    let Some(bytes) = files.lock().ok()?.get(path).cloned() else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").ok();
    };
    let (from, to) = range.strip_prefix("bytes=").and_then(|r| r.split_once('-')).unwrap_or(("0", ""));
    let from: usize = from.parse().ok()?;
    let end = to.parse().map_or(bytes.len(), |last: usize| (last + 1).min(bytes.len()));
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\netag: \"{}\"\r\naccept-ranges: bytes\r\nlast-modified: Fri, 01 Nov 2024 10:00:00 \
         GMT\r\ncontent-range: bytes {from}-{}/{}\r\ncontent-length: {}\r\n\r\n",
        bytes.len(),
        end - 1,
        bytes.len(),
        end - from
    );
    stream.write_all(head.as_bytes()).ok()?;
    if method == "GET" { stream.write_all(&bytes[from..end]).ok() } else { Some(()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thumbnail_takes_two_requests() {
    let folder = folder();
    let server = Server::start(Duration::from_millis(1));
    let stores = stores();
    let dem = folder.path().join("dem.tif");
    raster::write_cog(&dem, &grid(3600, 1800, 1024, floats(3600, 1800))).expect("a COG");
    let stack = folder.path().join("B02_B03_B04_B08.tif");
    raster::write_cog(&stack, &grid(2196, 2196, 512, shorts(2196, 2196, 4))).expect("a COG");
    for path in [dem, stack] {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let location = server.put(&name, std::fs::read(&path).expect("reads"));
        match preview(&stores, &location).await {
            Ok(loaded) => {
                let log = server.requests();
                println!("{name}: {} {log:?}", loaded.cost);
                assert!(matches!(loaded.preview, Preview::Raster(_)), "{name}");
                assert!((1..=2).contains(&log.len()), "{name}: {log:?}");
            }
            Err(err) if err.kind() == Kind::Unsupported => println!("skipped: {err}"),
            Err(err) => panic!("{err}"),
        }
    }
}

/// The only thread that may block is taken until the second request is there: so GDAL has opened nothing by then.
#[test]
fn blocks_are_asked_for_before_gdal_opens_the_file() {
    let folder = folder();
    let server = Server::start(Duration::ZERO);
    let path = folder.path().join("stack.tif");
    raster::write_cog(&path, &grid(2196, 2196, 512, shorts(2196, 2196, 4))).expect("a COG");
    let location = server.put("stack.tif", std::fs::read(&path).expect("reads"));
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).max_blocking_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stores = stores();
        // Whatever the store needs for its first request.
        stores.stat(&location, &Meter::new()).await.expect("stat");
        server.requests();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let holding = tokio::task::spawn_blocking(move || held.recv().is_err());
        let asked = location.clone();
        let loading = tokio::spawn(async move { preview(&stores, &asked).await });
        let two = async {
            while server.log.lock().expect("lock").len() < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), two).await.expect("a second request without GDAL");
        drop(release);
        holding.await.expect("no panic");
        let loaded = loading.await.expect("no panic").expect("a preview");
        assert!(matches!(loaded.preview, Preview::Raster(_)));
        let log = server.requests();
        assert_eq!((log.len(), loaded.cost.requests), (2, 2), "{log:?}");
    });
}

/// The second request is never answered; the connection is closed once nobody waits for the picture.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_ahead_ends_with_the_preview() {
    const PATIENCE: Duration = Duration::from_secs(20);
    let folder = folder();
    let path = folder.path().join("stack.tif");
    raster::write_cog(&path, &grid(2196, 2196, 512, shorts(2196, 2196, 4))).expect("a COG");
    let files = HashMap::from([("/stack.tif".to_owned(), Arc::new(std::fs::read(&path).expect("reads")))]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let location = format!("http://{}/stack.tif", listener.local_addr().expect("an address"));
    let (asked, was_asked) = std::sync::mpsc::channel();
    let (gone, is_gone) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (files, log) = (Mutex::new(files), Mutex::default());
        for (number, stream) in listener.incoming().flatten().enumerate() {
            if number == 0 {
                answer(&stream, &files, &log, Duration::ZERO);
            }
            // By this connection or by another.
            let (asked, gone) = (asked.clone(), gone.clone());
            std::thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines();
                if lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).count() > 0 {
                    asked.send(()).expect("somebody waits");
                    gone.send(lines.next().is_none_or(|line| line.is_err())).expect("somebody waits");
                }
            });
        }
    });
    let location = Location::parse(&location).expect("location");
    let loading = tokio::spawn(async move { preview(&stores(), &location).await });
    let was_asked = tokio::task::spawn_blocking(move || was_asked.recv_timeout(PATIENCE));
    was_asked.await.expect("no panic").expect("a second request");
    loading.abort();
    assert!(loading.await.is_err_and(|err| err.is_cancelled()));
    let is_gone = tokio::task::spawn_blocking(move || is_gone.recv_timeout(PATIENCE));
    assert!(is_gone.await.expect("no panic").expect("the connection ends"));
}

/// `cargo test --release --test raster -- --ignored --nocapture measure`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: half a minute and a gigabyte"]
async fn measure_large_files_over_30_ms() {
    let folder = folder();
    let server = Server::start(Duration::from_millis(30));
    let stores = stores();
    let dem = folder.path().join("dem.tif");
    raster::write_cog(&dem, &grid(3600, 3600, 1024, floats(3600, 3600))).expect("a COG");
    let stack = folder.path().join("B02_B03_B04_B08.tif");
    let Samples::U16(small) = shorts(1098, 1098, 4) else { unreachable!() };
    let tiled = (0..4 * 10_980 * 10_980).map(|i: usize| {
        let (band, row, column) = (i / 10_980 / 10_980, i / 10_980 % 10_980, i % 10_980);
        let noise = (i.wrapping_mul(2_654_435_761) >> 13) as u16 & 63;
        small[(band * 1098 + row % 1098) * 1098 + column % 1098] + noise
    });
    let samples = Samples::U16(tiled.collect());
    raster::write_cog(&stack, &grid(10_980, 10_980, 512, samples)).expect("a COG");
    for path in [dem, stack] {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).expect("reads");
        println!("{name}: {} bytes", bytes.len());
        let location = server.put(&name, bytes);
        for _ in 0..3 {
            match preview(&stores, &location).await {
                Ok(loaded) => println!("  {} {:?}", loaded.cost, server.requests()),
                Err(err) => println!("  {err}"),
            }
        }
        let control = Control::default();
        if let Ok(opened) = raster::open(&stores, &location, &control, NO_LIMIT).await {
            let started = std::time::Instant::now();
            let read = opened.read_window_u16(&control, 1_000, 1_000, 510, 510).await.expect("reads");
            println!("  a patch of {} values in {:?} {:?}", read.len(), started.elapsed(), server.requests());
        }
    }
}
