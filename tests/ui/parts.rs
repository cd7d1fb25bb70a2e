//! A file of several rasters: chosen in the tree of its preview, and among the others on the screen.

use crate::cx;
use crate::drive::Drive;
use secchi::location::Location;
use secchi::screen::Open;
use tokio::task::LocalSet;

/// Runs `test` in a folder with a netCDF file of three variables, where there is one.
#[expect(clippy::print_stderr, reason = "says why the test looks at nothing")]
async fn with(size: (u16, u16), test: impl AsyncFnOnce(&mut Drive)) {
    let file = std::env::var_os("SECCHI_DATA").map(|data| std::path::PathBuf::from(data).join("raster/RGB.nc"));
    let Some(file) = file.filter(|file| file.is_file()) else {
        return eprintln!("skipped: SECCHI_DATA names no folder with raster/RGB.nc");
    };
    let state = tempfile::tempdir().expect("a folder");
    let folder = state.path().join("rasters");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::copy(file, folder.join("sea.nc")).expect("a copy");
    let context = cx::for_tests(state.path());
    let place = Location::parse(&format!("{}/", folder.display())).expect("a path");
    LocalSet::new().run_until(async { test(&mut Drive::start(Open::Browse(place), context, size)).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_is_opened_from_the_tree_of_a_preview() {
    with((120, 36), async |drive| {
        let screen = drive.see("netCDF · 3 rasters").await;
        assert!(screen.contains("Tab choose"), "{screen}");
        let before = drive.styles();
        drive.keys("<Tab>").await;
        drive.see("Enter opens").await;
        assert_ne!(drive.styles(), before, "a cursor stands in the tree");
        drive.keys("j<Enter>").await;
        drive.see("sea.nc ▸ Band2").await;
        drive.keys("<Backspace>").await;
        // The cursor is where it was.
        drive.see("netCDF · 3 rasters").await;
        drive.keys("j<Enter>").await;
        drive.see("sea.nc ▸ Band3").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_rasters_of_the_file_are_one_key_away() {
    with((80, 24), async |drive| {
        drive.see("netCDF · 3 rasters").await;
        drive.keys("<Enter>").await;
        drive.see("sea.nc ▸ Band1").await;
        let screen = drive.see("V other rasters").await;
        assert!(screen.contains("sea.nc"), "{screen}");
        drive.keys("V").await;
        let screen = drive.see("Rasters of this file").await;
        assert!(screen.contains("● Band1") && screen.contains("Band3  718 × 791"), "{screen}");
        drive.keys("G<Enter>").await;
        drive.see("sea.nc ▸ Band3").await;
        drive.gone("Rasters of this file").await;
        drive.keys("V").await;
        drive.see("● Band3").await;
        drive.keys("<Esc>").await;
        drive.gone("Rasters of this file").await;
    })
    .await;
}
