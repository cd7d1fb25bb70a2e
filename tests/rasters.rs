//! Every raster through the store: pixels as GDAL itself reads them, at every level, from the disk, from memory and
//! from a real gateway; few requests; and files that mean harm.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "support/bucket.rs"]
mod bucket;
#[path = "support/cli.rs"]
mod cli;
#[path = "rasters/foreign.rs"]
mod foreign;
#[path = "rasters/formats.rs"]
mod formats;
#[path = "rasters/output.rs"]
mod output;
mod support;

use bytes::Bytes;
use cli::Program;
use gdal::Metadata as _;
use object_store::ObjectStoreExt as _;
use secchi::error::{Error, Kind};
use secchi::location::Location;
use secchi::meter::Meter;
use secchi::preview::{Ask, Facts, Loaded, Preview, Probe};
use secchi::raster::{self, Grid, NO_LIMIT, Raster, Samples, View, safe};
use secchi::scene;
use secchi::store::{Options, Stores};
use secchi::task::Control;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::Ceph;

/// Longer than a look at any bad file may take on two busy cores.
const PATIENCE: Duration = Duration::from_secs(20);

fn stores() -> Stores {
    Stores::new(Options::default())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A wavy surface without symmetry.
fn wave(i: usize, width: usize) -> f64 {
    let (x, y) = ((i % width) as f64, (i / width) as f64);
    (x / 37.0).sin() * 40.0 + (y / 23.0).cos() * 25.0 + (x * y / 90_000.0).sin() * 9.0
}

fn grid(width: usize, height: usize, bands: usize, block: usize) -> Grid {
    let plane = width * height;
    let value = |i: usize| (wave(i % plane, width) * 20.0 + 2_000.0 + 300.0 * (i / plane) as f64) as u16;
    Grid {
        width,
        height,
        samples: Samples::U16((0..plane * bands).map(value).collect()),
        names: Vec::new(),
        epsg: Some(32635),
        transform: Some([300_000.0, 10.0, 0.0, 6_800_040.0, 0.0, -10.0]),
        nodata: None,
        rgb: false,
        block,
    }
}

fn memory(name: &str) -> Location {
    Location::parse(&format!("memory:///{name}")).expect("location")
}

/// Puts bytes where they are asked for.
async fn put(stores: &Stores, location: &Location, bytes: impl Into<Bytes>) {
    let handle = stores.open(location, &Meter::new()).await.expect("a store");
    handle.object_store().put(&handle.path(location.key()), bytes.into().into()).await.expect("put");
}

async fn in_memory(stores: &Stores, name: &str, bytes: impl Into<Bytes>) -> Location {
    let location = memory(name);
    put(stores, &location, bytes).await;
    location
}

async fn preview(stores: &Stores, location: &Location) -> Result<Loaded, Error> {
    let ask = Ask::new(Probe::new(location.clone()), Meter::new());
    tokio::time::timeout(PATIENCE, secchi::previews::load(stores.clone(), ask)).await.expect("in time")
}

fn row<'a>(facts: &'a Facts, name: &str) -> &'a str {
    facts.rows.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap_or_default()
}

fn data() -> Option<PathBuf> {
    let data = std::env::var_os("SECCHI_DATA").map(PathBuf::from)?;
    data.join("raster").is_dir().then_some(data)
}

/// The places that a file is read from: the disk, memory, the gateway if there is one.
async fn everywhere(path: &Path, stores: &Stores, gateway: Option<&(Stores, Location)>) -> Vec<(Stores, Location)> {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let bytes = std::fs::read(path).expect("reads");
    let memory = in_memory(stores, &name, bytes.clone()).await;
    let mut out = vec![(stores.clone(), Location::file(path)), (stores.clone(), memory)];
    if let Some((stores, root)) = gateway {
        let location = root.child(&name);
        put(stores, &location, bytes).await;
        out.push((stores.clone(), location));
    }
    out
}

/// All bands of all levels of an open raster against GDAL's own of the same dataset.
async fn assert_same(raster: &Raster, direct: &gdal::Dataset, what: &str) {
    let control = Control::default();
    let info = raster.info();
    assert_eq!(info.bands.len(), direct.raster_count(), "{what}");
    let levels = std::iter::once(info.size).chain(info.overviews.iter().copied());
    for (width, height) in levels.filter(|(w, h)| w * h <= 16 << 20) {
        for number in 1..=info.bands.len() {
            let view = View { bands: vec![number], window: None, pixels: (width as u32, height as u32) };
            let read = match raster.view(&control, view).await {
                Ok(read) => read,
                // Its last block is damaged.
                Err(err) if what.contains("corrupt") => {
                    assert_eq!(err.kind(), Kind::Invalid, "{err}");
                    continue;
                }
                Err(err) => panic!("{what}: {err}"),
            };
            let band = direct.rasterband(number).expect("band");
            let level = read.overview.map(|index| band.overview(index).expect("overview"));
            let level = level.as_ref().unwrap_or(&band);
            assert_eq!((read.width, read.height), level.size(), "{what}");
            let nodata = info.bands[number - 1].nodata.map(|n| n as f32);
            let expected = level.read_band_as::<f32>().expect("reads");
            let differ = |(a, b): (&f32, &f32)| {
                let same = a.to_bits() == b.to_bits() || (a.is_nan() && (b.is_nan() || nodata == Some(*b)));
                !same
            };
            let differing = read.values[0].iter().zip(expected.data()).filter(|&pair| differ(pair)).count();
            assert_eq!(differing, 0, "{what}, band {number}, {width}×{height}");
            if let Some(alpha) = &read.alpha {
                let mask = level.open_mask_band().expect("mask").read_band_as::<u8>().expect("reads");
                assert_eq!(alpha, mask.data(), "{what}, mask, {width}×{height}");
            }
        }
    }
    assert_alike(raster, what).await;
}

/// Several bands at once, which several threads may decode, are what each of them is alone.
async fn assert_alike(raster: &Raster, what: &str) {
    let control = Control::default();
    let bands: Vec<usize> = (1..=raster.info().bands.len()).rev().take(5).collect();
    let view = |bands: Vec<usize>| View { bands, window: None, pixels: (300, 200) };
    let together = match raster.view(&control, view(bands.clone())).await {
        Ok(together) => together,
        Err(err) if what.contains("corrupt") && err.kind() == Kind::Invalid => return,
        Err(err) => panic!("{what}: {err}"),
    };
    assert_eq!(together.values.len(), bands.len());
    for (number, values) in bands.into_iter().zip(together.values) {
        let alone = raster.view(&control, view(vec![number])).await.expect("reads");
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert!(bits(&values) == bits(&alone.values[0]), "{what}: band {number} among others");
    }
}

/// Bands that lie apart are decoded by several handles: none of them asks again for what the first has read.
#[tokio::test(flavor = "multi_thread")]
async fn bands_that_lie_apart_are_the_same_at_once() {
    let folder = folder();
    let stores = stores();
    let path = folder.path().join("apart.tif");
    raster::write_tiff(&path, &grid(1500, 900, 5, 256), &[("INTERLEAVE", "BAND"), ("TILED", "YES")]).expect("a TIFF");
    // Their directories lie behind all values.
    let options =
        gdal::DatasetOptions { open_flags: gdal::GdalOpenFlags::GDAL_OF_UPDATE, ..gdal::DatasetOptions::default() };
    let mut dataset = gdal::Dataset::open_ex(&path, options).expect("opens");
    dataset.build_overviews("AVERAGE", &[2, 4], &[]).expect("overviews");
    dataset.close().expect("writes");
    let location = in_memory(&stores, "apart.tif", std::fs::read(&path).expect("reads")).await;
    let control = Control::default();
    let raster = raster::open(&stores, &location, &control, 64 << 20).await.expect("opens");
    assert!(!raster.info().pixel_interleaved && raster.info().overviews.len() == 2);
    let requests = || control.meter.counts().requests;
    let before = requests();
    let view = |bands: &[usize]| View { bands: bands.to_vec(), window: None, pixels: (375, 225) };
    raster.view(&control, view(&[5])).await.expect("reads");
    let alone = requests();
    raster.view(&control, view(&[3, 1, 4])).await.expect("reads");
    assert_eq!(requests() - alone, alone - before);
    assert_alike(&raster, "apart").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_level_of_every_file_is_what_gdal_reads() {
    let Some(data) = data() else { return eprintln!("skipped: SECCHI_DATA names no folder with data") };
    let stores = stores();
    let gateway = match Ceph::find() {
        Some(ceph) => Some(ceph.bucket().await),
        None => None,
    };
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(data.join("raster")).expect("lists").filter_map(|f| Some(f.ok()?.path())).collect();
    paths.sort();
    // What is opened first registers the drivers: the reference is opened behind it.
    for path in &paths {
        for (stores, location) in everywhere(path, &stores, gateway.as_ref()).await {
            let control = Control::default();
            let first = raster::open(&stores, &location, &control, 64 << 20).await.expect("opens");
            let parts: Vec<String> = first.info().parts.iter().map(|p| p.name.clone()).collect();
            if parts.is_empty() {
                let direct = gdal::Dataset::open(path).expect("opens");
                assert_same(&first, &direct, &location.to_string()).await;
            }
            for part in parts {
                let at = raster::part_of(&location, &part);
                let opened = raster::open(&stores, &at, &control, 64 << 20).await.expect("opens");
                assert_eq!(opened.info().part.as_deref(), Some(part.as_str()));
                let direct = gdal::Dataset::open(format!("NETCDF:\"{}\":{part}", path.display())).expect("opens");
                assert_same(&opened, &direct, &at.to_string()).await;
            }
        }
    }
    if let (Some((_, root)), Some(ceph)) = (gateway, Ceph::find()) {
        cleared(ceph, &root).await;
    }
}

/// Empties the bucket and takes it away.
async fn cleared(ceph: Ceph, root: &Location) {
    let name = root.bucket().to_owned();
    tokio::task::spawn_blocking(move || drop(bucket::Bucket::again(&ceph, &name))).await.expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_what_gdal_reads_of_its_files() {
    let Some(data) = data() else { return eprintln!("skipped: SECCHI_DATA names no folder with data") };
    let zip = data.join("sentinel2/S2A_MSIL1C_20201031_T53JQJ.SAFE.zip");
    let unpacked = folder();
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&zip).expect("opens")).expect("a zip");
    archive.extract(unpacked.path()).expect("unpacks");
    let safe = std::fs::read_dir(unpacked.path()).expect("lists").next().expect("one").expect("entry").path();
    let stores = stores();
    let mut places = everywhere(&zip, &stores, None).await;
    places.push((stores.clone(), Location::file(&safe).as_container()));
    let control = Control::default();
    for (stores, location) in &places {
        let product = safe::open(stores, location, None, &control).await.expect("a product");
        assert_eq!(product.product.level, "Level-1C");
        assert_eq!((product.product.quantification, product.product.nodata), (10_000.0, Some(0.0)));
        assert_eq!((product.tile.crs.as_str(), product.tile.origin), ("EPSG:32753", (699_960.0, 6_900_040.0)));
        let parts: Vec<String> = product.parts().into_iter().map(|p| p.name).collect();
        assert_eq!(parts[..6], ["10m", "20m", "60m", "all", "TCI", "PVI"]);
        assert_eq!(parts.len(), 6 + 13);
        let files: Vec<PathBuf> =
            walk(&safe).into_iter().filter(|p| p.extension().is_some_and(|e| e == "jp2")).collect();
        for name in ["B04", "B8A", "B09", "TCI", "PVI"] {
            let file = files.iter().find(|f| f.to_string_lossy().ends_with(&format!("_{name}.jp2"))).expect("a file");
            let opened =
                raster::open(stores, &raster::part_of(location, name), &control, NO_LIMIT).await.expect("opens");
            let direct = gdal::Dataset::open(file).expect("opens");
            for number in 1..=direct.raster_count() {
                let view = View { bands: vec![number], window: None, pixels: (512, 512) };
                let read = opened.view(&control, view).await.expect("reads");
                let expected = direct.rasterband(number).expect("band").read_band_as::<f32>().expect("reads");
                let zeroed: Vec<f32> = read.values[0].iter().map(|v| if v.is_nan() { 0.0 } else { *v }).collect();
                assert_eq!(zeroed, expected.data(), "{name} of {location}");
            }
        }
        let all = raster::open(stores, &raster::part_of(location, "all"), &control, NO_LIMIT).await.expect("opens");
        assert_eq!(all.info().bands.len(), 13);
        let red = all.info().bands.iter().find(|b| b.description.as_deref() == Some("B04")).expect("B04");
        assert_eq!(red.scale, Some((0.0001, 0.0)), "before baseline 04.00 nothing is added");
        let Preview::Raster(seen) = preview(stores, location).await.expect("a preview").preview else {
            panic!("no picture of {location}")
        };
        assert!(seen.facts.title.starts_with("Sentinel-2 Level-1C"), "{}", seen.facts.title);
        assert_eq!(row(&seen.facts, "Reflectance"), "value / 10000");
        assert!(row(&seen.facts, "10m").starts_with("B02 B03 B04 B08"), "{:?}", seen.facts.rows);
    }
    let wrong =
        raster::open(&stores, &raster::part_of(&places[0].1, "B99"), &control, NO_LIMIT).await.err().expect("none");
    assert!(wrong.hint().is_some_and(|h| h.contains("10m")), "{wrong}");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).expect("lists").flatten() {
        if entry.path().is_dir() { out.extend(walk(&entry.path())) } else { out.push(entry.path()) }
    }
    out
}

/// Adds a mask inside the file to an RGB picture.
fn with_mask(path: &Path) {
    gdal::config::set_config_option("GDAL_TIFF_INTERNAL_MASK", "YES").expect("set");
    let source = folder();
    let plain = source.path().join("plain.tif");
    raster::write_tiff(&plain, &grid(1500, 1500, 3, 512), &[("TILED", "YES")]).expect("a TIFF");
    let flags = gdal::GdalOpenFlags::GDAL_OF_UPDATE;
    let update = gdal::DatasetOptions { open_flags: flags, ..gdal::DatasetOptions::default() };
    let masked = gdal::Dataset::open_ex(&plain, update).expect("opens");
    let mut band = masked.rasterband(1).expect("band");
    band.create_mask_band(true).expect("a mask");
    let mut mask = band.open_mask_band().expect("a mask");
    let valid = (0..1500 * 1500).map(|i| if i % 1500 < 300 { 0_u8 } else { 255 }).collect();
    mask.write((0, 0), (1500, 1500), &mut gdal::raster::Buffer::new((1500, 1500), valid)).expect("writes");
    masked.close().expect("closes");
    let cog = gdal::DriverManager::get_driver_by_name("COG").expect("COG");
    let mut options = gdal::raster::RasterCreationOptions::new();
    options.set_name_value("COMPRESS", "DEFLATE").expect("an option");
    let again = gdal::Dataset::open(&plain).expect("opens");
    again.create_copy(&cog, path, &options).expect("copies").close().expect("closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thumbnail_takes_two_requests_and_again_none() {
    let folder = folder();
    let stores = stores();
    let cog = folder.path().join("cog.tif");
    raster::write_cog(&cog, &grid(2196, 2196, 4, 512)).expect("a COG");
    let planar = folder.path().join("planar.tif");
    raster::write_tiff(&planar, &grid(700, 700, 4, 256), &[("INTERLEAVE", "BAND"), ("TILED", "YES")]).expect("a TIFF");
    let masked = folder.path().join("masked.tif");
    with_mask(&masked);
    for path in [cog, planar, masked] {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let location = in_memory(&stores, &name, std::fs::read(&path).expect("reads")).await;
        let seen = preview(&stores, &location).await.expect("a preview");
        assert!(seen.cost.requests <= 2, "{name}: {}", seen.cost);
        let Preview::Raster(first) = seen.preview else { panic!("no picture of {name}") };
        // As a listing tells it.
        let about = stores.stat(&location, &Meter::new()).await.expect("stat");
        let probe = Probe { size: Some(about.size), etag: about.etag, ..Probe::new(location) };
        let again = secchi::previews::load(stores.clone(), Ask::new(probe, Meter::new())).await.expect("again");
        assert_eq!(again.cost.requests, 0, "{name}: {}", again.cost);
        let Preview::Raster(second) = again.preview else { panic!("no picture of {name}") };
        assert_eq!(first.picture.rgba, second.picture.rgba);
    }
}

#[tokio::test]
async fn a_report_says_whether_it_is_cloud_optimised() {
    let folder = folder();
    let stores = stores();
    let control = Control::default();
    let cog = folder.path().join("cog.tif");
    raster::write_cog(&cog, &grid(2196, 2196, 1, 512)).expect("a COG");
    let strips = folder.path().join("strips.tif");
    raster::write_tiff(&strips, &grid(700, 700, 1, 0), &[]).expect("a TIFF");
    let opened = raster::open(&stores, &Location::file(&cog), &control, NO_LIMIT).await.expect("opens");
    let report = opened.report(&control).await.expect("a report").expect("of a TIFF");
    assert_eq!((report.verdict().as_str(), report.complete), ("valid", true), "{report:?}");
    assert!(report.declared.contains(&("LAYOUT".to_owned(), "IFDS_BEFORE_DATA".to_owned())), "{report:?}");
    assert_eq!(report.directories.len(), 1 + opened.info().overviews.len());
    assert_eq!(report.directories[0].codec, "DEFLATE");
    assert_eq!(opened.info().report.as_ref().map(raster::Report::is_valid), Some(true));
    assert!(opened.info().crs_words.contains(&("Kind".to_owned(), "projected".to_owned())));
    let opened = raster::open(&stores, &Location::file(&strips), &control, NO_LIMIT).await.expect("opens");
    let report = opened.report(&control).await.expect("a report").expect("of a TIFF");
    assert_eq!(report.errors, ["it is larger than 512 pixels and not tiled"]);
    let Preview::Raster(seen) = preview(&stores, &Location::file(&strips)).await.expect("a preview").preview else {
        panic!("no picture")
    };
    assert!(row(&seen.facts, "COG").starts_with("not valid: it is larger"), "{:?}", seen.facts.rows);
}

fn vrt(size: usize, members: &[(&str, usize)]) -> String {
    let mut out = format!(
        "<VRTDataset rasterXSize=\"{}\" rasterYSize=\"{size}\"><VRTRasterBand dataType=\"UInt16\" band=\"1\">",
        size * members.len().max(1)
    );
    for (name, offset) in members {
        let _ = write!(
            out,
            "<SimpleSource><SourceFilename relativeToVRT=\"1\">{name}</SourceFilename><SourceBand>1</SourceBand>\
             <SrcRect xOff=\"0\" yOff=\"0\" xSize=\"{size}\" ySize=\"{size}\"/>\
             <DstRect xOff=\"{offset}\" yOff=\"0\" xSize=\"{size}\" ySize=\"{size}\"/></SimpleSource>"
        );
    }
    out + "</VRTRasterBand></VRTDataset>"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vrt_beside_its_members_is_what_gdal_reads() {
    let folder = folder();
    let stores = stores();
    std::fs::create_dir(folder.path().join("tiles")).expect("a folder");
    for name in ["a.tif", "b.tif"] {
        let mut grid = grid(300, 300, 1, 128);
        if let (Samples::U16(values), "b.tif") = (&mut grid.samples, name) {
            values.reverse();
        }
        let path = folder.path().join("tiles").join(name);
        raster::write_cog(&path, &grid).expect("a COG");
        in_memory(&stores, &format!("m/tiles/{name}"), std::fs::read(path).expect("reads")).await;
    }
    let inner = vrt(300, &[("tiles/a.tif", 0), ("tiles/b.tif", 300)]);
    let outer = vrt(600, &[("inner.vrt", 0)])
        .replace("ySize=\"600\"", "ySize=\"300\"")
        .replace("rasterYSize=\"600\"", "rasterYSize=\"300\"");
    let path = folder.path().join("inner.vrt");
    for (name, text) in [("inner.vrt", &inner), ("outer.vrt", &outer)] {
        std::fs::write(folder.path().join(name), text).expect("writes");
        in_memory(&stores, &format!("m/{name}"), text.clone()).await;
    }
    let control = Control::default();
    for location in [Location::file(&path), memory("m/inner.vrt"), memory("m/outer.vrt")] {
        let opened = raster::open(&stores, &location, &control, NO_LIMIT).await.expect("opens");
        assert_eq!(opened.info().size, (600, 300));
        let view = View { bands: vec![1], window: None, pixels: (600, 600) };
        let read = opened.view(&control, view).await.expect("reads");
        let direct = gdal::Dataset::open(&path).expect("opens");
        let expected = direct.rasterband(1).expect("band").read_band_as::<f32>().expect("reads");
        assert_eq!(read.values[0], expected.data(), "{location}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_inside_files_lead_nowhere() {
    let stores = stores();
    let outside = folder();
    let secret = outside.path().join("secret.tif");
    raster::write_cog(&secret, &grid(300, 300, 1, 128)).expect("a COG");
    let secret = secret.to_string_lossy().into_owned();
    let inside = folder();
    let link = format!("../{}/secret.tif", outside.path().file_name().expect("a name").to_string_lossy());
    for name in [
        "/vsistdin/",
        "/vsicurl/http://127.0.0.1:1/x.tif",
        "/vsicurl_streaming/http://127.0.0.1:1/x.tif",
        "/vsis3/b/k.tif",
        "/vsigzip//etc/passwd",
        "/vsisubfile/0_100,/etc/passwd",
        "/vsisecchi/1/x.tif",
        "http://127.0.0.1:1/x.tif",
        "/etc/passwd",
        &secret,
        &link,
        "x.vrt",
        "NETCDF:x.nc:y",
        "WMS:http://127.0.0.1:1/",
    ] {
        let text = vrt(300, &[(name, 0)]);
        std::fs::write(inside.path().join("x.vrt"), &text).expect("writes");
        let local = Location::file(&inside.path().join("x.vrt"));
        let memory = in_memory(&stores, "d/x.vrt", text).await;
        for location in [local, memory] {
            let err = preview(&stores, &location).await.err().unwrap_or_else(|| panic!("{name} was followed"));
            let said = err.to_string();
            let clear = ["not followed", "names itself", "gone", "there is no", "leaves"];
            assert!(clear.iter().any(|c| said.contains(c)), "{name}: {said}");
        }
    }
    // Two that name each other, and one that names a chain.
    in_memory(&stores, "c/a.vrt", vrt(300, &[("b.vrt", 0)])).await;
    in_memory(&stores, "c/b.vrt", vrt(300, &[("a.vrt", 0)])).await;
    let circle = preview(&stores, &memory("c/a.vrt")).await.expect_err("a circle");
    assert!(circle.to_string().contains("names itself"), "{circle}");
    for i in 0..12 {
        in_memory(&stores, &format!("n/{i}.vrt"), vrt(300, &[(&format!("{}.vrt", i + 1), 0)])).await;
    }
    let chain = preview(&stores, &memory("n/0.vrt")).await.expect_err("too deep");
    assert!(chain.to_string().contains("deep"), "{chain}");
    // A member that is something else than it seems.
    for text in [
        "<GDAL_WMS><Service name=\"TMS\"><ServerUrl>http://127.0.0.1:1/${z}</ServerUrl></Service></GDAL_WMS>"
            .to_owned(),
        format!(
            "<VRTDataset rasterXSize=\"9\" rasterYSize=\"9\"><VRTRasterBand dataType=\"Byte\" band=\"1\" subClass=\"VRTRawRasterBand\"><SourceFilename>{secret}</SourceFilename></VRTRasterBand></VRTDataset>"
        ),
        format!("OziExplorer Map Data File Version 2.2\nx\n{secret}\n"),
    ] {
        in_memory(&stores, "t/x.tif", text).await;
        let location = in_memory(&stores, "t/all.vrt", vrt(300, &[("x.tif", 0)])).await;
        let err = preview(&stores, &location).await.expect_err("not followed");
        assert!(!err.to_string().contains("vsisecchi"), "{err}");
    }
    // What nobody mounted is not there for GDAL either, and its own network is off.
    assert!(gdal::Dataset::open("/vsisecchi/999999/x.tif").is_err());
    assert!(gdal::Dataset::open("/vsicurl/http://127.0.0.1:1/x.tif").is_err());
}

/// Bytes of memory that this process had at most.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or_default() << 10
}

/// A file is shown or refused in a sentence, in time.
async fn survives(stores: &Stores, name: &str, bytes: Vec<u8>) {
    let began = Instant::now();
    let location = in_memory(stores, name, bytes).await;
    if let Err(err) = preview(stores, &location).await {
        let said = err.to_string();
        assert!(!said.contains("vsisecchi") && !said.contains('\n') && said.len() < 400, "{name}: {said}");
        assert_ne!(err.kind(), Kind::Cancelled, "{name}: {said}");
    }
    assert!(began.elapsed() < PATIENCE, "{name} took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_and_broken_files_are_survived() {
    let folder = folder();
    let stores = stores();
    let mut wholes: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut add = |name: &'static str, write: &dyn Fn(&Path)| {
        let path = folder.path().join(name);
        write(&path);
        wholes.push((name, std::fs::read(&path).expect("reads")));
    };
    add("cog.tif", &|p| raster::write_cog(p, &grid(700, 600, 2, 256)).expect("a COG"));
    add("strips.tif", &|p| raster::write_tiff(p, &grid(200, 200, 1, 0), &[("COMPRESS", "LZW")]).expect("a TIFF"));
    add("big.tif", &|p| {
        raster::write_tiff(p, &grid(200, 200, 1, 64), &[("BIGTIFF", "YES"), ("TILED", "YES")]).expect("a TIFF");
    });
    add("b.jp2", &|p| raster::write_jp2(p, &grid(256, 256, 1, 64)).expect("a JP2"));
    for (driver, name, option) in [("netCDF", "three.nc", "NC"), ("netCDF", "four.nc", "NC4")] {
        let source = folder.path().join("source.tif");
        raster::write_tiff(&source, &grid(90, 60, 1, 0), &[]).expect("a TIFF");
        let tiff = gdal::Dataset::open(&source).expect("opens");
        let mut options = gdal::raster::RasterCreationOptions::new();
        options.set_name_value("FORMAT", option).expect("an option");
        let driver = gdal::DriverManager::get_driver_by_name(driver).expect("netCDF");
        add(name, &|p| tiff.create_copy(&driver, p, &options).expect("copies").close().expect("closes"));
    }
    for (name, whole) in &wholes {
        assert!(preview(&stores, &in_memory(&stores, name, whole.clone()).await).await.is_ok(), "{name} is whole");
        let early = (0..40.min(whole.len())).step_by(3);
        let spread = (1..20).map(|i| whole.len() * i / 20);
        for cut in early.chain(spread).chain([whole.len() - 1]) {
            survives(&stores, &format!("cut{cut}_{name}"), whole[..cut].to_vec()).await;
        }
        let mut seed = 42_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for round in 0..24 {
            let mut broken = whole.clone();
            // Half of the damage goes to the header.
            for _ in 0..=round % 8 {
                let reach = if round % 2 == 0 { broken.len().min(1024) } else { broken.len() };
                let at = random(reach);
                broken[at] = random(256) as u8;
            }
            survives(&stores, &format!("broken{round}_{name}"), broken).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_take_neither_memory_nor_time() {
    let folder = folder();
    let stores = stores();
    // 16,000 × 16,000 zeros in tiles that pack to nothing, without overviews: half a gigabyte of 16 bits.
    let path = folder.path().join("zeros.tif");
    let options = [("TILED", "YES"), ("COMPRESS", "DEFLATE"), ("BLOCKXSIZE", "4096"), ("BLOCKYSIZE", "4096")];
    let mut small = grid(64, 64, 1, 64);
    small.samples = Samples::U16(vec![0; 64 * 64]);
    raster::write_tiff(&path, &small, &options).expect("a TIFF");
    let before = peak();
    let mut claims = std::fs::read(&path).expect("reads");
    for tag in [256_u16, 257] {
        let entry = claims.windows(2).position(|w| w == tag.to_le_bytes()).expect("a tag");
        claims[entry + 2..entry + 4].copy_from_slice(&4_u16.to_le_bytes());
        claims[entry + 8..entry + 12].copy_from_slice(&1_000_000_u32.to_le_bytes());
    }
    survives(&stores, "million.tif", claims).await;
    // A member of a VRT that is a million pixels wide is read no further than the limit.
    in_memory(&stores, "z/small.tif", std::fs::read(&path).expect("reads")).await;
    let wide = vrt(64, &[("small.tif", 0)])
        .replace("xSize=\"64\"", "xSize=\"1000000\"")
        .replace("rasterXSize=\"64\"", "rasterXSize=\"1000000\"");
    survives(&stores, "z/wide.vrt", wide.into_bytes()).await;
    // A zip whose metadata unpack to a gigabyte.
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let name = "S2A_MSIL1C_20201031T004711_N0209_R102_T53JQJ_20201031T022859";
    let packed = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    out.start_file(format!("{name}.SAFE/MTD_MSIL1C.xml"), packed).expect("an entry");
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..1024 {
        out.write_all(&zeros).expect("writes");
    }
    let bomb = out.finish().expect("a zip").into_inner();
    assert!(bomb.len() < 4 << 20);
    let location = in_memory(&stores, &format!("{name}.zip"), bomb).await;
    let refused = preview(&stores, &location).await.expect_err("a bomb");
    assert!(matches!(refused.kind(), Kind::Limit | Kind::Invalid), "{refused}");
    let taken = peak().saturating_sub(before);
    assert!(taken < 700 << 20, "{taken} bytes more");
}

/// GDAL lays the times and depths of a netCDF variable into bands; on the screen they are axes again.
#[tokio::test]
async fn times_and_depths_of_netcdf_are_axes() {
    let folder = folder();
    let (source, path) = (folder.path().join("s.tif"), folder.path().join("sea.nc"));
    raster::write_tiff(&source, &grid(40, 30, 6, 0), &[]).expect("a TIFF");
    let memory = gdal::DriverManager::get_driver_by_name("MEM").expect("MEM");
    let options = gdal::raster::RasterCreationOptions::new();
    let tiff = gdal::Dataset::open(&source).expect("opens");
    let mut made = tiff.create_copy(&memory, "", &options).expect("copies");
    for (key, value) in [
        ("NETCDF_DIM_EXTRA", "{time,depth}"),
        ("NETCDF_DIM_time_DEF", "{3,6}"),
        ("NETCDF_DIM_time_VALUES", "{0,31,59.5}"),
        ("NETCDF_DIM_depth_DEF", "{2,6}"),
        ("NETCDF_DIM_depth_VALUES", "{0.5,10}"),
        ("time#units", "days since 2001-01-01"),
        ("time#calendar", "noleap"),
        ("depth#units", "m"),
    ] {
        made.set_metadata_item(key, value, "").expect("set");
    }
    let netcdf = gdal::DriverManager::get_driver_by_name("netCDF").expect("netCDF");
    made.create_copy(&netcdf, &path, &options).expect("copies").close().expect("closes");
    let (stores, control) = (stores(), Control::default());
    let scene = scene::open(&stores, &Location::file(&path), &control, 64 << 20).await.expect("a scene");
    let about = scene.about();
    assert_eq!((about.bands.len(), about.first.as_slice(), about.start()), (1, &[1][..], vec![0, 0]));
    assert_eq!(about.bands[0].name, "Band1");
    let [time, depth] = &about.axes[..] else { panic!("{:?}", about.axes) };
    assert_eq!([time.words.of(1), time.words.of(2)], ["2001-02-01", "2001-03-01 12:00"].map(String::from));
    assert_eq!([depth.words.of(0), depth.words.of(1)], ["0.5 m", "10 m"].map(String::from));
    for (at, number) in [([0, 0], 1), ([0, 1], 2), ([2, 1], 6)] {
        let band =
            tiff.rasterband(number).expect("a band").read_as::<f64>((3, 2), (2, 2), (2, 2), None).expect("reads");
        let window = scene::Window { x: 3, y: 2, width: 2, height: 2 };
        let values = scene.values(&control, vec![1], window, at.to_vec()).await.expect("values");
        assert_eq!(values, [band.data().to_vec()], "{at:?}");
        let wish = scene::Wish { bands: vec![1], window, pixels: (2, 2), at: at.to_vec() };
        let read = scene.read(&control, wish).await.expect("pixels");
        assert_eq!((read.bands, read.values[0][0]), (vec![1], band.data()[0] as f32), "{at:?}");
    }
}

#[tokio::test]
async fn subdatasets_are_a_tree_to_choose_from() {
    let Some(data) = data() else { return eprintln!("skipped: SECCHI_DATA names no folder with data") };
    let stores = stores();
    let path = data.join("raster/RGB.nc");
    let memory = in_memory(&stores, "RGB.nc", std::fs::read(&path).expect("reads")).await;
    for location in [Location::file(&path), memory] {
        let Preview::Tree(tree) = preview(&stores, &location).await.expect("a preview").preview else {
            panic!("no tree of {location}")
        };
        let names: Vec<&str> = tree.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["Band1", "Band2", "Band3"], "{location}");
        let target = tree.nodes[1].target.clone().expect("a target");
        assert_eq!(target, raster::part_of(&location, "Band2"));
        let Preview::Raster(seen) = preview(&stores, &target).await.expect("a preview").preview else {
            panic!("no picture of {target}")
        };
        assert_eq!(seen.size, (791, 718));
        let missing = preview(&stores, &raster::part_of(&location, "sst")).await.expect_err("not there");
        assert!(missing.hint().is_some_and(|h| h.contains("Band1")), "{missing}");
    }
}

#[test]
fn a_picture_and_its_numbers_come_without_a_screen() {
    let folder = folder();
    let path = folder.path().join("stack.tif");
    let mut stack = grid(400, 300, 4, 128);
    stack.names = ["B02", "B03", "B04", "B08"].map(str::to_owned).into();
    raster::write_cog(&path, &stack).expect("a COG");
    let program = Program::new();
    let png = folder.path().join("out.png");
    let (file, out) = (path.to_string_lossy().into_owned(), png.to_string_lossy().into_owned());
    let args = ["preview", &file, "--png", &out, "--bands", "4,3,2", "--size", "400x400", "--json"];
    let told = program.run(&args).ok().object();
    assert_eq!(told["crs"], "EPSG:32635");
    assert_eq!(told["transform"][0], 300_000.0);
    assert!(told["bounds"][0].as_f64().is_some_and(|w| w > 23.0 && w < 24.0), "{told}");
    assert_eq!(told["statistics"], "exact");
    let direct = gdal::Dataset::open(&path).expect("opens");
    let band = direct.rasterband(4).expect("band");
    let known = band.get_statistics(true, false).expect("statistics").expect("some");
    let near = |name: &str, value: f64| {
        let told = told["bands"][3][name].as_f64().expect("a number");
        assert!((told - value).abs() < 1e-3 * value.abs().max(1.0), "{name}: {told}, {value}");
    };
    near("min", known.min);
    near("max", known.max);
    near("mean", known.mean);
    near("std", known.std_dev);
    assert_eq!(told["bands"][3]["name"], "B08");
    let picture = image::open(&png).expect("a PNG");
    assert_eq!((picture.width(), picture.height()), (400, 300));
    let small = program.run(&["preview", &file, "--size", "100x100", "--json"]).ok().object();
    assert_eq!(small["statistics"], "approximate");
    // A world file beside a picture.
    std::fs::write(folder.path().join("out.pgw"), "10\n0\n0\n-10\n300005\n6800035\n").expect("writes");
    let placed = program.run(&["preview", &out, "--json"]).ok().object();
    assert_eq!(
        (placed["transform"][0].as_f64(), placed["transform"][3].as_f64()),
        (Some(300_000.0), Some(6_800_040.0))
    );
    assert_eq!(direct.metadata_item("LAYOUT", "IMAGE_STRUCTURE").as_deref(), Some("COG"));
}
