//! What GDAL writes through the store: read back as it was, under its name at once or not at all.

use super::*;
use futures::TryStreamExt as _;
use gdal::raster::RasterCreationOptions;
use gdal::{Dataset, DriverManager};
use secchi::raster::Output;
use secchi::store::UploadMeta;

/// Pixels that no codec packs away: more than one part of an upload.
fn noise() -> Grid {
    let mut grid = grid(1300, 1200, 3, 256);
    if let Samples::U16(values) = &mut grid.samples {
        let mut seed = 7_u64;
        for value in values {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *value ^= (seed >> 50) as u16;
        }
    }
    grid
}

fn options(pairs: &[(&str, &str)]) -> RasterCreationOptions {
    let mut out = RasterCreationOptions::new();
    for (key, value) in pairs {
        out.set_name_value(key, value).expect("an option");
    }
    out
}

fn write_cog(source: &Dataset, output: &Output) -> Result<(), Error> {
    let cog = DriverManager::get_driver_by_name("COG").expect("COG");
    output.call(|| source.create_copy(&cog, output.path(), &options(&[("COMPRESS", "DEFLATE")]))?.close())
}

fn write_tiff_with_overviews(source: &Dataset, output: &Output) -> Result<(), Error> {
    let tiff = DriverManager::get_driver_by_name("GTiff").expect("GTiff");
    output.call(|| {
        source.create_copy(&tiff, output.path(), &options(&[("TILED", "YES")]))?.close()?;
        let mut written = Dataset::open(output.path())?;
        written.build_overviews("AVERAGE", &[2, 4], &[1, 2, 3])?;
        written.close()
    })
}

async fn keys(stores: &Stores, place: &Location) -> Vec<String> {
    let handle = stores.open(place, &Meter::new()).await.expect("a store");
    let listed = handle.object_store().list(None).map_ok(|m| m.location.to_string());
    let mut names: Vec<String> = listed.try_collect().await.unwrap_or_default();
    names.retain(|name| name.contains("out/"));
    names.sort();
    names
}

/// A local folder, memory, the gateway if there is one.
async fn everywhere(folder: &Path) -> (Vec<(Stores, Location)>, Option<(Ceph, Location)>) {
    let mut out =
        vec![(stores(), Location::file(&folder.join("out")).as_container()), (stores(), memory("out/").as_container())];
    std::fs::create_dir(folder.join("out")).expect("a folder");
    let Some(ceph) = Ceph::find() else { return (out, None) };
    let (stores, root) = ceph.bucket().await;
    out.push((stores, root.child("out/")));
    (out, Some((ceph, root)))
}

#[tokio::test(flavor = "multi_thread")]
async fn gdal_writes_to_every_place() {
    let folder = folder();
    let path = folder.path().join("source.tif");
    raster::write_tiff(&path, &noise(), &[("TILED", "YES")]).expect("a TIFF");
    let (places, gateway) = everywhere(folder.path()).await;
    let control = Control::default();
    for (stores, place) in &places {
        type Write = fn(&Dataset, &Output) -> Result<(), Error>;
        for (name, write) in [("cog.tif", write_cog as Write), ("plain.tif", write_tiff_with_overviews as Write)] {
            let at = place.child(name);
            let output = Output::new(&at, &[".ovr", ".msk"]).expect("a place");
            let source = Dataset::open(&path).expect("opens");
            write(&source, &output).expect("written");
            assert!(raster::open(stores, &at, &control, NO_LIMIT).await.is_err(), "{at} is not there before its end");
            let files = output.finish(stores, &control, &UploadMeta::default(), true).await.expect("finished");
            let names: Vec<&str> = files.iter().map(|(at, _)| at.name()).collect();
            let known = if name == "cog.tif" { vec!["cog.tif"] } else { vec!["plain.tif.ovr", "plain.tif"] };
            assert_eq!(names, known);
            assert!(files.last().is_some_and(|(_, size)| *size > 8 << 20), "{files:?}: in parts");
            let opened = raster::open(stores, &at, &control, NO_LIMIT).await.expect("opens");
            assert_eq!(opened.info().cog, name == "cog.tif");
            for band in 1..=3 {
                let view = View { bands: vec![band], window: None, pixels: (1300, 1200) };
                let read = opened.view(&control, view).await.expect("reads");
                let direct = source.rasterband(band).expect("band").read_band_as::<f32>().expect("reads");
                assert_eq!(read.values[0], direct.data(), "{at}, band {band}");
            }
            if name == "plain.tif" {
                let overviews = raster::open(stores, &files[0].0, &control, NO_LIMIT).await.expect("opens");
                assert_eq!(overviews.info().size, (650, 600));
            }
        }
    }
    if let Some((ceph, root)) = gateway {
        cleared(ceph, &root).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_the_middle_leaves_nothing() {
    let folder = folder();
    let path = folder.path().join("source.tif");
    raster::write_tiff(&path, &noise(), &[("TILED", "YES"), ("COMPRESS", "DEFLATE")]).expect("a TIFF");
    let cut = folder.path().join("cut.tif");
    let whole = std::fs::read(&path).expect("reads");
    std::fs::write(&cut, &whole[..whole.len() / 2]).expect("writes");
    let (places, gateway) = everywhere(folder.path()).await;
    let meta = UploadMeta::default();
    for (stores, place) in &places {
        let control = Control::default();
        let at = place.child("x.tif");
        let source = Dataset::open(&path).expect("opens");
        // Dropped before its end.
        let output = Output::new(&at, &[".ovr"]).expect("a place");
        write_tiff_with_overviews(&source, &output).expect("written");
        let left = output.path().to_owned();
        drop(output);
        assert!(Dataset::open(&left).is_err(), "it is gone in GDAL's world, too");
        // Its source fails halfway.
        let output = Output::new(&at, &[".ovr"]).expect("a place");
        write_cog(&Dataset::open(&cut).expect("opens"), &output).expect_err("cut");
        output.finish(stores, &control, &meta, false).await.expect_err("not finished");
        // Still open.
        let output = Output::new(&at, &[".ovr"]).expect("a place");
        let tiff = DriverManager::get_driver_by_name("GTiff").expect("GTiff");
        let open = tiff.create(output.path(), 16, 16, 1).expect("created");
        output.finish(stores, &control, &meta, false).await.expect_err("not closed");
        drop(open);
        // Nobody waits any more.
        let output = Output::new(&at, &[".ovr"]).expect("a place");
        write_tiff_with_overviews(&source, &output).expect("written");
        let stopped = Control::default();
        stopped.cancel();
        let err = output.finish(stores, &stopped, &meta, false).await.expect_err("stopped");
        assert_eq!(err.kind(), Kind::Cancelled, "{err}");
        assert_eq!(keys(stores, place).await, Vec::<String>::new(), "{place}");
        // Something stands there: it is kept, and the sidecar that went before is taken back.
        put(stores, &at, "old").await;
        let output = Output::new(&at, &[".ovr"]).expect("a place");
        write_tiff_with_overviews(&source, &output).expect("written");
        let err = output.finish(stores, &control, &meta, true).await.expect_err("exists");
        assert_eq!(err.kind(), Kind::Exists, "{err}");
        let handle = stores.open(&at, &Meter::new()).await.expect("a store");
        let head = handle.read_head(&at, 99).await.expect("reads");
        assert_eq!(&head.bytes[..], b"old");
        assert!(handle.read_head(&place.child("x.tif.ovr"), 1).await.is_err(), "no sidecar is left at {place}");
    }
    assert_eq!(std::fs::read_dir(folder.path().join("out")).expect("lists").count(), 1);
    if let Some((ceph, root)) = gateway {
        cleared(ceph, &root).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_read_cannot_be_written() {
    let stores = stores();
    let folder = folder();
    let path = folder.path().join("cog.tif");
    raster::write_cog(&path, &grid(300, 300, 1, 128)).expect("a COG");
    let location = in_memory(&stores, "r/cog.tif", std::fs::read(&path).expect("reads")).await;
    let opened = raster::open(&stores, &location, &Control::default(), NO_LIMIT).await.expect("opens");
    let tiff = DriverManager::get_driver_by_name("GTiff").expect("GTiff");
    // Numbers of what may be mounted now: neither it nor a sidecar can be made.
    for id in 0..64 {
        for name in ["cog.tif", "cog.tif.aux.xml", "cog.tif.ovr", "new.tif"] {
            assert!(tiff.create(format!("/vsisecchi/{id}/{name}"), 8, 8, 1).is_err());
        }
    }
    assert!(Output::new(&memory("folder/").as_container(), &[]).is_err());
    drop(opened);
}
