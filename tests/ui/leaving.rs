//! What is left in mid-transfer is no longer read: a raster, an array, a preview; and nothing is asked for afterwards.

use crate::cx;
use crate::drive::Drive;
use crate::trickle::Trickle;
use crate::zarrs::{Made, array_v3, f32s};
use secchi::location::Location;
use secchi::look::Look;
use secchi::preview::Probe;
use secchi::raster::{Grid, Samples, write_cog};
use secchi::screen::Open;
use serde_json::json;
use std::time::Duration;
use tokio::task::LocalSet;

/// The head of a file comes at once, so that opening it is no part of what is left.
const QUICK: usize = 64 << 10;
/// A read that was left ends within this, GDAL's too. An unoptimised build on a busy computer.
const SOON: Duration = Duration::from_secs(3);

/// Values that cannot be packed.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32
    })
    .take(count)
    .collect()
}

/// A raster of 9 MB, without overviews of less than a screen.
fn raster() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("noise.tif");
    let grid = Grid {
        width: 1_500,
        height: 1_500,
        samples: Samples::F32(noise(1_500 * 1_500)),
        names: vec!["noise".to_owned()],
        epsg: Some(32635),
        transform: Some([300_000.0, 10.0, 0.0, 6_800_040.0, 0.0, -10.0]),
        nodata: None,
        rgb: false,
        block: 256,
    };
    write_cog(&path, &grid).expect("a COG");
    std::fs::read(path).expect("the COG")
}

/// An array in chunks of 1 MB.
fn array(server: &Trickle) -> String {
    let mut made = Made::default();
    let mut metadata = array_v3(&[1_024, 1_024], &[512, 512], "float32", &["y", "x"], json!({}));
    metadata["codecs"] = json!([{ "name": "bytes", "configuration": { "endian": "little" } }]);
    made.array("noise", metadata);
    made.consolidate(&json!({}));
    for chunk in ["0/0", "0/1", "1/0", "1/1"] {
        made.put(&format!("noise/c/{chunk}"), f32s(noise(512 * 512)));
    }
    for (key, bytes) in &made.keys {
        server.put(&format!("x.zarr/{key}"), bytes.clone());
    }
    format!("http://{}/x.zarr/", server.address)
}

/// Starts on the list of places, and opens an address from there: so a screen is left to come back to.
async fn at(address: &str, test: impl AsyncFnOnce(&mut Drive)) {
    let state = tempfile::tempdir().expect("a folder");
    let context = cx::for_tests(state.path());
    LocalSet::new()
        .run_until(async {
            let mut drive = Drive::start(Open::Places, context, (80, 24));
            drive.quiet(Duration::from_millis(200)).await;
            drive.keys("o").await;
            drive.text(address).await;
            drive.keys("<Enter>").await;
            test(&mut drive).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raster_that_is_left_is_no_longer_read() {
    let server = Trickle::start(QUICK);
    let address = server.put("noise.tif", raster());
    at(&address, async |drive| {
        server.until(QUICK as u64 + (64 << 10)).await;
        drive.keys("<Backspace>").await;
        drive.gone("noise.tif").await;
        server.is_left(SOON).await;
        assert!(server.bytes() < 4 << 20, "{} bytes were sent", server.bytes());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_of_an_array_that_is_left_is_no_longer_read() {
    let server = Trickle::start(4 << 10);
    let address = array(&server);
    at(&address, async |drive| {
        drive.see("1024×1024").await;
        drive.keys("<Enter>").await;
        server.until(128 << 10).await;
        drive.keys("<Backspace>").await;
        server.is_left(SOON).await;
        assert!(server.bytes() < 4 << 20, "{} bytes were sent", server.bytes());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_under_a_cursor_that_moves_on_is_no_longer_read() {
    let server = Trickle::start(QUICK);
    let folder = tempfile::tempdir().expect("a folder");
    let context = cx::for_tests(folder.path());
    for address in [server.put("noise.tif", raster()), array(&server) + "noise/"] {
        let before = server.bytes();
        let mut look = Look::default();
        look.show(Some(Probe::new(Location::parse(&address).expect("an address"))), &context);
        server.until(before + QUICK as u64 + (64 << 10)).await;
        look.show(None, &context);
        server.is_left(SOON).await;
        assert!(server.bytes() - before < 4 << 20, "{address}: {} bytes were sent", server.bytes() - before);
    }
}
