//! GRIB and JPEG 2000: bands by their names, pixels as GDAL reads them, few requests.

use super::*;
use gdal::raster::RasterCreationOptions;

/// Three fields on one grid: two levels, then another time, as weather services write them.
fn grib(path: &Path) {
    let folder = folder();
    let source = folder.path().join("source.tif");
    let mut fields = grid(90, 60, 3, 0);
    fields.epsg = Some(4326);
    fields.transform = Some([10.0, 0.5, 0.0, 70.0, 0.0, -0.5]);
    raster::write_tiff(&source, &fields, &[]).expect("a TIFF");
    let mut options = RasterCreationOptions::new();
    // Discipline 0: meteorology. The templates: category, element, ..., hours, kind of level, its value.
    let template = |element: u8, hours: u8, level: &str| format!("{element} 2 0 96 0 0 1 {hours} {level} 255 0 0");
    let bands = [("0 0", 0, "103 0 2"), ("0 0", 6, "100 0 85000"), ("1 1", 6, "103 0 2")];
    for (index, (category, hours, level)) in bands.iter().enumerate() {
        let (category, element) = category.split_once(' ').expect("two");
        let text = format!("{category} {}", template(element.parse().expect("a number"), *hours, level));
        let mut set = |key: &str, value: &str| {
            options.set_name_value(&format!("BAND_{}_{key}", index + 1), value).expect("an option");
        };
        set("PDS_PDTN", "0");
        set("DISCIPLINE", "0");
        set("PDS_TEMPLATE_ASSEMBLED_VALUES", &text);
        set("IDS_REF_TIME", "2024-06-03T00:00:00Z");
    }
    let driver = gdal::DriverManager::get_driver_by_name("GRIB").expect("GRIB");
    let tiff = gdal::Dataset::open(&source).expect("opens");
    tiff.create_copy(&driver, path, &options).expect("copies").close().expect("closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn bands_of_grib_are_named_by_element_level_and_time() {
    let folder = folder();
    let stores = stores();
    let path = folder.path().join("weather.grib2");
    // The first use of the library registers the drivers.
    raster::write_tiff(&folder.path().join("x.tif"), &grid(16, 16, 1, 0), &[]).expect("a TIFF");
    grib(&path);
    let direct = gdal::Dataset::open(&path).expect("opens");
    for (stores, location) in everywhere(&path, &stores, None).await {
        let opened = raster::open(&stores, &location, &Control::default(), NO_LIMIT).await.expect("opens");
        assert_same(&opened, &direct, &location.to_string()).await;
        let Preview::Raster(seen) = preview(&stores, &location).await.expect("a preview").preview else {
            panic!("no picture of {location}")
        };
        let names: Vec<&str> = seen.bands.iter().map(|b| b.name.as_str()).collect();
        let known =
            ["TMP 2 m HTGL 2024-06-03 00:00", "TMP 85000 Pa ISBL 2024-06-03 06:00", "RH 2 m HTGL 2024-06-03 06:00"];
        assert_eq!(names, known, "{location}");
        assert!(seen.facts.title.starts_with("GRIB 90×60"), "{}", seen.facts.title);
        let detail = row(&seen.facts, known[0]);
        assert!(detail.contains("°C") || detail.contains(" C") || detail.contains(" K"), "{detail}");
        assert!(detail.contains("Temperature") && !detail.contains("GRIB_"), "{detail}");
        // One element is shown: three are no colours.
        assert!(seen.stretch.starts_with("band 1"), "{}", seen.stretch);
    }
}

/// A JPEG 2000 as those of Sentinel-2: tiles, precincts, the lengths of packets; of tiles, too, if wished.
fn jp2(path: &Path, grid: &Grid, pairs: &[(&str, &str)]) {
    let folder = folder();
    let source = folder.path().join("source.tif");
    raster::write_tiff(&source, grid, &[]).expect("a TIFF");
    let usual = [("REVERSIBLE", "YES"), ("QUALITY", "100"), ("RESOLUTIONS", "4"), ("BLOCKXSIZE", "256")];
    let more = [("BLOCKYSIZE", "256"), ("PRECINCTS", "{64,64},{64,64},{64,64},{64,64}"), ("YCBCR420", "NO")];
    let mut options = RasterCreationOptions::new();
    for (key, value) in usual.iter().chain(&more).chain(pairs) {
        options.set_name_value(key, value).expect("an option");
    }
    let driver = gdal::DriverManager::get_driver_by_name("JP2OpenJPEG").expect("JPEG 2000");
    let tiff = gdal::Dataset::open(&source).expect("opens");
    tiff.create_copy(&driver, path, &options).expect("copies").close().expect("closes");
}

/// What no codec packs away, of another kind in each band.
fn rough(width: usize, height: usize, bands: usize) -> Grid {
    let mut out = grid(width, height, bands, 0);
    if let Samples::U16(values) = &mut out.samples {
        let mut seed = 3_u64;
        for value in values {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *value += (seed >> 55) as u16;
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_netcdf_of_latitudes_and_longitudes_lies_where_they_say() {
    let (stores, folder) = (stores(), folder());
    let source = folder.path().join("source.tif");
    let mut world = grid(36, 18, 1, 0);
    world.epsg = Some(4326);
    // From 0 to 360 degrees, as models of the atmosphere have it.
    world.transform = Some([0.0, 10.0, 0.0, 90.0, 0.0, -10.0]);
    raster::write_tiff(&source, &world, &[]).expect("a TIFF");
    let named = folder.path().join("named.nc");
    let driver = gdal::DriverManager::get_driver_by_name("netCDF").expect("netCDF");
    let tiff = gdal::Dataset::open(&source).expect("opens");
    let mut classic = RasterCreationOptions::new();
    classic.set_name_value("FORMAT", "NC").expect("an option");
    tiff.create_copy(&driver, &named, &classic).expect("copies").close().expect("closes");
    let bytes = std::fs::read(&named).expect("reads");
    let open = async |name: &str, changes: &[(&str, &str)]| {
        let changed = changes.iter().fold(bytes.clone(), |bytes, (from, to)| {
            assert_eq!(from.len(), to.len());
            let mut changed = bytes.clone();
            let at: Vec<usize> = memchr::memmem::find_iter(&bytes, from.as_bytes()).collect();
            assert!(!at.is_empty(), "no {from}");
            for at in at {
                changed[at..at + from.len()].copy_from_slice(to.as_bytes());
            }
            changed
        });
        let location = in_memory(&stores, name, changed).await;
        raster::open(&stores, &location, &Control::default(), NO_LIMIT).await.expect("opens")
    };
    // Nothing names a reference system any more.
    let plain = ("grid_mapping", "grid_nothing");
    let named = open("named.nc", &[]).await;
    let assumed = open("plain.nc", &[plain]).await;
    for (raster, is_named) in [(&named, true), (&assumed, false)] {
        let info = raster.info();
        assert_eq!(info.crs.as_deref(), Some("EPSG:4326"));
        assert_eq!(info.bounds, Some([-180.0, -90.0, 180.0, 90.0]));
        let details = raster.details(&Control::default()).await.expect("details");
        assert!(details.is_degrees && !details.outline.is_empty());
        let said = details.reference.iter().any(|(_, value)| value.contains("units of its axes"));
        assert_eq!(said, !is_named, "{:?}", details.reference);
        let places = raster.to_degrees(&Control::default(), vec![[200.0, 45.0]]).await.expect("places");
        let [lon, lat] = places[0].expect("a place");
        assert!((lon.rem_euclid(360.0) - 200.0).abs() < 1e-9 && (lat - 45.0).abs() < 1e-9, "{lon} {lat}");
    }
    let other = open("other.nc", &[plain, ("degrees_east", "parts_of_pie")]).await;
    assert_eq!((&other.info().crs, other.info().bounds), (&None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_object_of_an_hdf5_is_no_link() {
    let (stores, folder) = (stores(), folder());
    let (source, path) = (folder.path().join("source.tif"), folder.path().join("made.nc"));
    raster::write_tiff(&source, &grid(16, 16, 1, 0), &[]).expect("a TIFF");
    let mut form = RasterCreationOptions::new();
    form.set_name_value("FORMAT", "NC4").expect("an option");
    let driver = gdal::DriverManager::get_driver_by_name("netCDF").expect("netCDF");
    let tiff = gdal::Dataset::open(&source).expect("opens");
    tiff.create_copy(&driver, &path, &form).expect("copies").close().expect("closes");
    let mut bytes = std::fs::read(&path).expect("reads");
    // Within the header of an object, which has a checksum.
    let at = memchr::memmem::find(&bytes, b"grid_mapping_name").expect("an attribute");
    bytes[at] = b'x';
    let damaged = in_memory(&stores, "damaged.nc", bytes).await;
    let said = preview(&stores, &damaged).await.expect_err("is damaged").to_string();
    assert!(said.contains("damaged.nc: it is a netCDF") && said.contains("or it is damaged"), "{said}");
    assert!(!said.contains("link"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_jpeg_2000_a_picture_reads_only_what_it_needs() {
    let folder = folder();
    let stores = stores();
    let kinds: [(&str, &[(&str, &str)]); 5] = [
        ("told", &[("PLT", "YES"), ("TLM", "YES")]),
        ("walked", &[("PLT", "YES")]),
        ("by_resolution", &[("PLT", "YES"), ("PROGRESSION", "RPCL")]),
        ("by_position", &[("PLT", "YES"), ("PROGRESSION", "PCRL")]),
        ("plain", &[]),
    ];
    for bands in [1, 3] {
        for (name, options) in kinds {
            let path = folder.path().join(format!("{name}{bands}.jp2"));
            jp2(&path, &rough(700, 600, bands), options);
            let size = std::fs::metadata(&path).expect("there").len();
            let location =
                in_memory(&stores, &format!("{name}{bands}.jp2"), std::fs::read(&path).expect("reads")).await;
            let direct = gdal::Dataset::open(&path).expect("opens");
            let control = Control::default();
            // The coarsest first, when nothing was read before.
            let opened = raster::open(&stores, &location, &control, 64 << 20).await.expect("opens");
            let overviews = opened.info().overviews.clone();
            let view = View { bands: vec![1], window: None, pixels: (90, 90) };
            opened.view(&control, view).await.expect("reads");
            let read = control.meter.counts().bytes_in;
            let coarse_first = !matches!(name, "by_position" | "plain");
            assert_eq!(
                read < size / 2,
                coarse_first,
                "{name} {bands}: {read} of {size} bytes, overviews {overviews:?}"
            );
            assert_same(&opened, &direct, &location.to_string()).await;
            // Windows, at every level, and values as they are stored.
            let window = raster::Window { x: 150, y: 100, width: 500, height: 450 };
            for pixels in [60, 125, 250, 600] {
                let view = View { bands: vec![bands], window: Some(window), pixels: (pixels, pixels) };
                let part = opened.view(&control, view.clone()).await.expect("reads");
                let local = raster::open(&stores, &Location::file(&path), &control, NO_LIMIT).await.expect("opens");
                let plain = local.values(&control, vec![bands], window).await.expect("reads");
                let same = opened.values(&control, vec![bands], window).await.expect("reads");
                assert_eq!(same, plain, "{name}");
                if part.overview.is_none() && part.values[0].len() == plain[0].len() {
                    assert!(
                        part.values[0].iter().zip(&plain[0]).all(|(a, b)| f64::from(*a).to_bits() == b.to_bits()),
                        "{name}"
                    );
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_take_too_much_is_refused_at_once() {
    let folder = folder();
    let stores = stores();
    let path = folder.path().join("plain.jp2");
    jp2(&path, &rough(700, 600, 1), &[]);
    let location = in_memory(&stores, "too-large.jp2", std::fs::read(&path).expect("reads")).await;
    let control = Control::default();
    let opened = raster::open(&stores, &location, &control, 100 << 10).await.expect("opens");
    let view = View { bands: vec![1], window: None, pixels: (90, 90) };
    let err = opened.view(&control, view).await.expect_err("too much");
    assert_eq!(err.kind(), Kind::Limit, "{err}");
    assert!(err.to_string().contains("packets") && err.hint().is_some(), "{err}");
    assert!(control.meter.counts().bytes_in < 100 << 10, "{:?}", control.meter.counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn bands_of_a_product_are_the_same_however_they_are_read() {
    let Some(data) = data() else { return eprintln!("skipped: SECCHI_DATA names no folder with data") };
    let zip = data.join("sentinel2/S2A_MSIL1C_20201031_T53JQJ.SAFE.zip");
    let control = Control::default();
    let mut seen: Vec<Vec<Vec<f32>>> = Vec::new();
    for options in [&[][..], &[("PLT", "YES")], &[("PLT", "YES"), ("TLM", "YES")]] {
        let unpacked = folder();
        let mut archive = zip::ZipArchive::new(std::fs::File::open(&zip).expect("opens")).expect("a zip");
        archive.extract(unpacked.path()).expect("unpacks");
        let safe = std::fs::read_dir(unpacked.path()).expect("lists").next().expect("one").expect("entry").path();
        for (name, side) in [("B02", 1090), ("B03", 1090), ("B04", 1090), ("B08", 1090), ("B05", 545)] {
            let file = walk(&safe).into_iter().find(|f| f.to_string_lossy().ends_with(&format!("_{name}.jp2")));
            jp2(&file.expect("a band"), &rough(side, side, 1), options);
        }
        let stores = stores();
        let location = Location::file(&safe).as_container();
        let mut all = Vec::new();
        for part in ["10m", "B03", "all"] {
            let at = raster::part_of(&location, part);
            for pixels in [90, 137, 273, 545, 700] {
                let opened = raster::open(&stores, &at, &control, NO_LIMIT).await.expect("opens");
                let last = opened.info().bands.len().min(5);
                let window = raster::Window { x: 100, y: 60, width: 900, height: 1000 };
                for window in [None, Some(window)] {
                    let view = View { bands: vec![1, last], window, pixels: (pixels, pixels) };
                    all.extend(opened.view(&control, view).await.expect("reads").values);
                }
            }
        }
        seen.push(all);
    }
    for (kind, values) in seen.iter().enumerate().skip(1) {
        for (index, (plain, thin)) in seen[0].iter().zip(values).enumerate() {
            let same = plain.iter().zip(thin).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same && plain.len() == thin.len(), "kind {kind}, view {index}");
        }
    }
}
