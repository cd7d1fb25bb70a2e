//! The Zarr screens driven by keys on the real loop: tree, picture, plot, chunk map.

use crate::cx;
use crate::drive::Drive;
use crate::zarrs::{Made, array_v3, climate, f32s, gzip};
use secchi::location::Location;
use secchi::screen::Open;
use serde_json::json;
use std::path::Path;
use tokio::task::LocalSet;

/// Runs `test` with a screen that shows `made`, in a folder of its own.
async fn with(made: &Made, name: &str, size: (u16, u16), test: impl AsyncFnOnce(&mut Drive)) {
    let state = tempfile::tempdir().expect("a folder");
    let root = state.path().join(name);
    made.write_files(&root);
    let context = cx::for_tests(state.path());
    LocalSet::new()
        .run_until(async {
            let mut drive = Drive::start(Open::Zarr(at(&root)), context, size);
            test(&mut drive).await;
        })
        .await;
}

fn at(path: &Path) -> Location {
    Location::parse(&format!("{}/", path.display())).expect("a path")
}

/// Without what reading has cost.
fn steady(screen: &str) -> String {
    let line = |line: &str| match line.find(" request") {
        Some(at) => {
            let before = line[..at].trim_end_matches(|c: char| c.is_ascii_digit() || c == ',').trim_end();
            format!("{before}  (cost)")
        }
        None => line.to_owned(),
    };
    screen.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// With a group below, an array that cannot be read, and names.
fn many() -> Made {
    let mut made = climate(120, 36, 72);
    made.keys.retain(|(key, _)| key != "zarr.json");
    made.array(
        "ocean/salt",
        array_v3(&[8, 8], &[4, 4], "float32", &["y", "x"], json!({ "units": "1e-3", "long_name": "Salinity" })),
    );
    made.put("ocean/salt/c/0/0", gzip(&f32s((0..16).map(|v| v as f32))))
        .put("ocean/salt/c/1/1", gzip(&f32s([35.0; 16])));
    let mut odd = array_v3(&[4], &[4], "float32", &["x"], json!({}));
    odd["codecs"] = json!([{ "name": "numcodecs.wavelets", "configuration": {} }]);
    made.array("ocean/odd", odd);
    made.json(
        "ocean/zarr.json",
        &json!({ "zarr_format": 3, "node_type": "group", "attributes": { "depth": "surface" } }),
    );
    made.consolidate(&json!({ "title": "A small climate", "Conventions": "CF-1.11", "history": "made by a test" }));
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_with_what_is_known_of_each_array() {
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60"), ((40, 12), "40x12")] {
        with(&many(), "small.zarr", size, async |drive| {
            let screen = if size.1 > 12 { drive.see("2000-02-26 …").await } else { drive.see("120×36×72").await };
            insta::assert_snapshot!(format!("tree_{name}"), steady(&screen));
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_fold_dimensions_are_chosen_and_what_cannot_be_read_says_why() {
    with(&many(), "small.zarr", (80, 24), async |drive| {
        drive.see("2000-02-26 …").await;
        drive.see("↓ lat").await;
        drive.keys("x").await;
        drive.see("→ lat").await;
        drive.keys("v").await;
        drive.see("↓ lat").await;
        drive.keys("ggj").await;
        drive.see("850 hPa").await.contains("Value").then_some(()).expect("the value of a scalar");
        drive.keys("jjh").await;
        drive.see("▸ ocean/").await;
        drive.keys("l").await;
        drive.see("▾ ocean/").await;
        drive.keys("j").await;
        let screen = drive.see("its chunks are packed").await;
        insta::assert_snapshot!("broken_80x24", steady(&screen));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_array_becomes_a_picture_with_dates_on_its_slider() {
    with(&many(), "small.zarr", (80, 24), async |drive| {
        drive.see("2000-02-26 …").await;
        drive.keys("<Enter>").await;
        drive.settle("the picture and the date", |s| s.contains("2000-02-26") && s.contains('▀')).await;
        drive.keys("...").await;
        drive.see("2000-03-01").await;
        drive.keys("q").await;
        drive.see("2000-02-26 …").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_along_a_dimension_are_a_line() {
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60")] {
        with(&many(), "small.zarr", size, async |drive| {
            drive.see("2000-02-26 …").await;
            drive.keys("p").await;
            let screen = drive
                .settle("a line with dates and sliders", |s| {
                    s.contains("2000-03") && s.contains("max ") && s.contains("°N")
                })
                .await;
            insta::assert_snapshot!(format!("plot_{name}"), steady(&screen));
            drive.keys(".").await;
            drive.see("20 of 36").await;
            drive.keys("j>").await;
            drive.see("44 of 72").await;
            drive.keys("x").await;
            drive.see("along lat").await;
            drive.keys("++gg").await;
            drive.see("1 of 36").await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coordinates_are_plotted_too() {
    with(&many(), "small.zarr", (80, 24), async |drive| {
        drive.see("2000-02-26 …").await;
        drive.keys("G").await;
        drive.see("in days since").await;
        drive.see("2000-06-25").await;
        drive.keys("<Enter>").await;
        let screen = drive.see("max 2000-06-25").await;
        insta::assert_snapshot!("plot_time_80x24", steady(&screen));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chunks_that_exist_are_a_map() {
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60")] {
        with(&many(), "small.zarr", size, async |drive| {
            drive.see("2000-02-26 …").await;
            drive.keys("ggjjjjjc").await;
            drive.gone("listing…").await;
            let screen = drive.see("all listed").await;
            assert!(screen.contains("50.0 %"), "{screen}");
            insta::assert_snapshot!(format!("chunks_{name}"), steady(&screen));
            drive.keys("q").await;
            drive.see("Salinity").await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_zarr_is_told_in_a_sentence() {
    let mut made = Made::default();
    made.put("readme.txt", "nothing");
    with(&made, "empty.zarr", (80, 24), async |drive| {
        let screen = drive.see("is not a Zarr").await;
        assert!(screen.contains("check the address"), "{screen}");
        drive.keys("<F5>").await;
        drive.see("is not a Zarr").await;
    })
    .await;
}
