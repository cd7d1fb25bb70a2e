//! The raster screen driven by keys on the real loop: files written here, whose values are known at every
//! pixel, and a made-up scene with further dimensions.

use crate::cx;
use crate::drive::Drive;
use futures::future::BoxFuture;
use ratatui::style::Color;
use secchi::error::Result;
use secchi::location::Location;
use secchi::probe::Probe;
use secchi::raster::{Grid, Samples, write_cog};
use secchi::scene::{About, Axis, Band, Pixels, Scene, Window, Wish, Words};
use secchi::screen::Open;
use secchi::task::Control;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::task::LocalSet;

const SIZE: (usize, usize) = (600, 400);
const NODATA: f32 = -9999.0;

/// A slope with a lake, which has no data in its middle.
fn height(column: usize, row: usize) -> f32 {
    let (x, y) = (column as f32 - 150.0, row as f32 - 120.0);
    if x.hypot(y) < 60.0 { NODATA } else { column as f32 * 0.5 + row as f32 * 0.125 - 50.0 }
}

fn grid(samples: Samples, names: &[&str]) -> Grid {
    Grid {
        width: SIZE.0,
        height: SIZE.1,
        samples,
        names: names.iter().map(|n| (*n).to_owned()).collect(),
        epsg: Some(32635),
        transform: Some([300_000.0, 10.0, 0.0, 6_800_040.0, 0.0, -10.0]),
        nodata: None,
        rgb: false,
        block: 128,
    }
}

fn dem(folder: &Path) -> PathBuf {
    let path = folder.join("dem.tif");
    let values = (0..SIZE.0 * SIZE.1).map(|i| height(i % SIZE.0, i / SIZE.0)).collect();
    let grid = Grid { nodata: Some(f64::from(NODATA)), ..grid(Samples::F32(values), &["height"]) };
    write_cog(&path, &grid).expect("a COG");
    path
}

/// The value of each band tells the band, the column and the row.
fn counts(band: usize, column: usize, row: usize) -> u16 {
    (band * 10_000 + column * 10 + row % 10) as u16
}

fn bands(folder: &Path) -> PathBuf {
    let path = folder.join("bands.tif");
    let values = (0..4).flat_map(|b| (0..SIZE.0 * SIZE.1).map(move |i| counts(b, i % SIZE.0, i / SIZE.0))).collect();
    write_cog(&path, &grid(Samples::U16(values), &["B02", "B03", "B04", "B08"])).expect("a COG");
    path
}

fn open(path: &Path) -> Open {
    Open::Raster(Probe::new(Location::parse(&path.to_string_lossy()).expect("a path")))
}

/// Runs `test` with a folder and a screen that shows what `open` gives.
async fn with(open: impl FnOnce(&Path) -> Open, size: (u16, u16), test: impl AsyncFnOnce(&mut Drive, &Path)) {
    let state = tempfile::tempdir().expect("a folder");
    let open = open(state.path());
    let context = cx::for_tests(state.path());
    LocalSet::new()
        .run_until(async {
            let mut drive = Drive::start(open, context, size);
            test(&mut drive, state.path()).await;
        })
        .await;
}

/// Without what reading has cost: it ends the first line.
fn steady(screen: &str) -> String {
    let (head, rest) = screen.split_once('\n').expect("lines");
    let is_zoom =
        |word: &&str| word.split_once(':').is_some_and(|(a, b)| a.parse::<f64>().is_ok() && b.parse::<f64>().is_ok());
    let zoom = head.split_whitespace().find(is_zoom).unwrap_or_default();
    let before = head.rsplit_once(zoom).map_or(head, |(before, _)| before);
    let rows: Vec<String> = rest.lines().map(without_dots).collect();
    format!("{}  {zoom}  (cost)\n{}", before.trim_end(), rows.join("\n"))
}

/// The dots of the picture are looked at elsewhere: here only what stands around it.
fn without_dots(line: &str) -> String {
    let (picture, side) = line.split_once('│').map_or((line, None), |(picture, side)| (picture, Some(side)));
    let is_picture = |c: char| matches!(c, '▀' | '▄' | '▌' | '▐' | '█' | ' ' | '┼');
    if !picture.chars().all(is_picture) {
        return line.to_owned();
    }
    let cursor = if picture.contains('┼') { "(cursor)" } else { "" };
    match side {
        Some(side) => format!("{cursor:<8} │{side}"),
        None => cursor.to_owned(),
    }
}

/// Waits until all is read and drawn.
async fn whole(drive: &mut Drive) -> String {
    drive.settle("a whole picture", is_whole).await;
    // The picture may follow the words by a frame.
    drive.quiet(std::time::Duration::from_millis(300)).await;
    drive.settle("a whole picture", is_whole).await
}

fn is_whole(screen: &str) -> bool {
    screen.contains(['▀', '▌']) && !screen.contains("reading…") && !screen.contains("opening…")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raster_is_seen_in_every_size() {
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60"), ((40, 12), "40x12")] {
        with(
            |f| open(&dem(f)),
            size,
            async |drive, _| {
                let screen = whole(drive).await;
                insta::assert_snapshot!(format!("whole_{name}"), steady(&screen));
                drive.keys("<Enter>+++").await;
                drive.see("125 ").await;
                let screen = whole(drive).await;
                insta::assert_snapshot!(format!("close_{name}"), steady(&screen));
            },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_under_the_cursor_are_those_that_were_written() {
    with(
        |f| open(&dem(f)),
        (80, 24),
        async |drive, _| {
            whole(drive).await;
            drive.keys("<Enter>").await;
            let (mut column, mut row) = (SIZE.0 / 2, SIZE.1 / 2);
            drive.see(&format!("{} ", height(column, row))).await;
            drive.see("column 300 row 200").await;
            drive.keys("A").await;
            for (keys, by) in
                [("lll", (3, 0)), ("jj", (0, 2)), ("H", (-10, 0)), ("K", (0, -10)), ("h", (-1, 0)), ("k", (0, -1))]
            {
                drive.keys(keys).await;
                (column, row) = (column.saturating_add_signed(by.0), row.saturating_add_signed(by.1));
                drive.see(&format!("column {column} row {row}")).await;
                drive.see(&format!(" {}   ", height(column, row))).await;
            }
            // Into the lake, and off to the corner.
            for _ in 0..15 {
                drive.keys("H").await;
            }
            for _ in 0..7 {
                drive.keys("K").await;
            }
            drive.see("no data").await;
            for _ in 0..70 {
                drive.keys("HK").await;
            }
            drive.see(" -50   ").await;
            let screen = drive.see("column 0 row 0").await;
            // gdaltransform has 23.26759638 61.28308347 there.
            assert!(screen.contains("61.28308°N 23.26760°E"), "{screen}");
            drive.keys("y").await;
            assert!(drive.copied().last().expect("copied").contains("23.2675964,61.2830835"), "{:?}", drive.copied());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moving_and_zooming_show_the_part_that_is_meant() {
    with(
        |f| open(&dem(f)),
        (60, 24),
        async |drive, _| {
            let first = whole(drive).await;
            assert!(first.contains("1:5 "), "{first}");
            let fitted = drive.styles();
            drive.keys("++").await;
            let screen = drive.see("1:1.2").await;
            assert!(!screen.contains("1:5 "), "{screen}");
            whole(drive).await;
            let middle = drive.styles();
            drive.keys("LLLLLLLL").await;
            whole(drive).await;
            let east = drive.styles();
            assert_ne!(middle, east);
            drive.keys("HHHHHHHHHHHH").await;
            whole(drive).await;
            assert_ne!(drive.styles(), east);
            drive.keys("a").await;
            drive.see("1:5 ").await;
            whole(drive).await;
            assert_eq!(drive.styles(), fitted, "all of it again looks as before");
            drive.keys("A").await;
            drive.see("1:1 ").await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colours_and_stretches_change_what_is_drawn() {
    with(
        |f| open(&dem(f)),
        (100, 24),
        async |drive, _| {
            whole(drive).await;
            let viridis = drive.styles();
            drive.keys("c").await;
            drive.see("magma").await;
            whole(drive).await;
            assert_ne!(drive.styles(), viridis);
            drive.keys("Cr").await;
            drive.see("turned round").await;
            whole(drive).await;
            assert_ne!(drive.styles(), viridis);
            drive.keys("r").await;
            drive.gone("turned round").await;
            whole(drive).await;
            assert_eq!(drive.styles(), viridis);
            for name in ["min–max of all", "mean ± 2σ of all", "as stored of all", "2–98 % of all"] {
                drive.keys("s").await;
                drive.see(name).await;
            }
            drive.keys("v").await;
            drive.see("in sight").await;
            drive.keys("R").await;
            drive.see("the values of the first and the last colour").await;
            drive.keys("<C-u>").await;
            drive.text("0 nothing").await;
            drive.keys("<Enter>").await;
            drive.see("two numbers are needed").await;
            drive.keys("<C-u>").await;
            drive.text("0 100").await;
            drive.keys("<Enter>").await;
            drive.see("typed of all").await;
            let screen = whole(drive).await;
            insta::assert_snapshot!("typed_stretch", steady(&screen));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bands_are_chosen() {
    with(
        |f| open(&bands(f)),
        (100, 30),
        async |drive, _| {
            // True colour by the names of the bands.
            drive.see("R B04").await;
            whole(drive).await;
            drive.keys("b").await;
            let screen = drive.see("shows the three").await;
            insta::assert_snapshot!("bands", steady(&screen).lines().skip(3).take(12).collect::<Vec<_>>().join("\n"));
            drive.keys("Gr<Enter>").await;
            drive.see("R B08").await;
            drive.keys("n").await;
            drive.see("B08 ──").await;
            drive.keys("n").await;
            drive.see("B02 ──").await;
            drive.keys("<Enter>").await;
            for band in 0..4 {
                // All bands are told, not only the one that is shown.
                drive.see(&counts(band, 300, 200).to_string()).await;
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_of_all_pixels_are_exact() {
    with(
        |f| open(&dem(f)),
        (100, 30),
        async |drive, _| {
            whole(drive).await;
            drive.see("in sight, about").await;
            drive.keys("p").await;
            let screen = drive.see("all pixels, exact").await;
            let values: Vec<f32> =
                (0..SIZE.0 * SIZE.1).map(|i| height(i % SIZE.0, i / SIZE.0)).filter(|v| *v > NODATA).collect();
            let most = values.iter().copied().fold(f32::MIN, f32::max);
            let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
            for words in [
                "least                 -50".to_owned(),
                format!("{most:.1}"),
                format!("{mean:.1}"),
                "deviation".to_owned(),
            ] {
                assert!(screen.contains(&words), "{words}:\n{screen}");
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_and_the_map_stand_behind_the_picture() {
    with(
        |f| open(&dem(f)),
        (80, 24),
        async |drive, _| {
            whole(drive).await;
            drive.keys("e").await;
            let screen = drive.see("geotransform").await;
            let steadied: Vec<&str> =
                screen.lines().filter(|line| !line.contains("size of the object")).skip(1).collect();
            insta::assert_snapshot!("layout", steadied.join("\n"));
            drive.keys("<Tab>").await;
            drive.see("nodata").await;
            drive.keys("<Tab>").await;
            drive.see("1 : 2").await;
            drive.keys("<Tab>").await;
            drive.see("IFDS_BEFORE_DATA").await;
            drive.keys("<Tab>").await;
            drive.see("UTM zone 35N").await;
            drive.keys("<Esc>m").await;
            let screen = drive.see("Finland").await;
            assert!(screen.contains("EPSG:32635") && screen.contains("°E"), "{screen}");
            drive.keys("m").await;
            whole(drive).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_rasters_are_compared_beside_each_other_and_in_one_place() {
    with(
        |f| open(&dem(f)),
        (120, 30),
        async |drive, folder| {
            // The same slope, shifted by 100 columns and told so.
            let values = (0..SIZE.0 * SIZE.1).map(|i| height(i % SIZE.0 + 100, i / SIZE.0)).collect();
            let transform = Some([301_000.0, 10.0, 0.0, 6_800_040.0, 0.0, -10.0]);
            let other = Grid { nodata: Some(f64::from(NODATA)), transform, ..grid(Samples::F32(values), &["height"]) };
            let path = folder.join("other.tif");
            write_cog(&path, &other).expect("a COG");
            whole(drive).await;
            drive.keys("|").await;
            drive.see("the address of a raster").await;
            drive.keys("<C-u>").await;
            drive.text(&path.to_string_lossy()).await;
            drive.keys("<Enter>").await;
            drive.see("other.tif").await;
            let screen = whole(drive).await;
            insta::assert_snapshot!("beside", steady(&screen));
            // The same place has the same colour: the second lies a sixth of the width to the east, and ends later.
            let buffer = drive.buffer();
            let (left, right) = (&buffer[(35_u16, 15_u16)], &buffer[(35_u16 + 43, 15_u16)]);
            let channels = |color: Color| match color {
                Color::Rgb(red, green, blue) => [red, green, blue],
                _ => [0; 3],
            };
            let near = |a: Color, b: Color| channels(a).iter().zip(channels(b)).all(|(a, b)| a.abs_diff(b) < 40);
            assert!(near(left.fg, right.fg) && near(left.bg, right.bg), "{left:?} {right:?}\n{screen}");
            drive.keys("f").await;
            drive.see("▸ other.tif").await;
            drive.keys("f").await;
            drive.see("◂ dem.tif").await;
            drive.keys("<Esc>").await;
            drive.gone("◂ dem.tif").await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_broken_is_told_in_a_sentence() {
    let cut = |folder: &Path| {
        let whole = std::fs::read(dem(folder)).expect("a file");
        let path = folder.join("cut.tif");
        std::fs::write(&path, &whole[..whole.len() / 3]).expect("written");
        open(&path)
    };
    with(cut, (80, 24), async |drive, _| {
        // A COG begins with its overviews: those are there.
        whole(drive).await;
        drive.keys("LLL+++").await;
        drive.see("damaged").await;
        drive.keys("+lcnsv").await;
        drive.keys("a").await;
        drive.gone("damaged").await;
    })
    .await;
    let nothing = |folder: &Path| open(&folder.join("nothing.tif"));
    with(nothing, (80, 24), async |drive, _| {
        let screen = drive.see("no such file").await;
        assert!(screen.contains("check the spelling"), "{screen}");
        drive.keys("+-lcsbnvRp|f").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_pixel_fills_the_screen() {
    let one = |folder: &Path| {
        let path = folder.join("one.tif");
        let grid = Grid { width: 1, height: 1, block: 16, ..grid(Samples::U8(vec![42]), &[]) };
        secchi::raster::write_tiff(&path, &grid, &[]).expect("a file");
        open(&path)
    };
    with(one, (80, 24), async |drive, _| {
        drive.see("least").await;
        drive.keys("<Enter>").await;
        drive.see(" 42   ").await;
        drive.keys("++--HJKLhjklA").await;
        drive.see("column 0 row 0").await;
        drive.keys("pcCsSvaA").await;
        drive.see("all pixels, exact").await;
    })
    .await;
}

/// Two dimensions beyond the plane; each value tells where it is.
struct Cube {
    about: About,
    reads: Arc<AtomicUsize>,
}

impl Cube {
    fn new(reads: &Arc<AtomicUsize>) -> Self {
        let axis = |name: &str, len: u64, words: Words| Axis { name: name.to_owned(), len, first: 0, words };
        let about = About {
            title: "temperature".to_owned(),
            summary: "array 5 × 3 × 40 × 60".to_owned(),
            size: (60, 40),
            bands: vec![Band {
                name: "temperature".to_owned(),
                dtype: "f32".to_owned(),
                unit: Some("K".to_owned()),
                ..Band::default()
            }],
            first: vec![1],
            axes: vec![
                axis("time", 5, Words::new(|at| format!("2024-06-0{}", at + 1))),
                axis("level", 3, Words::new(|at| format!("{} hPa", 1000 - at * 250))),
            ],
            block: (16, 16),
            ..About::default()
        };
        Self { about, reads: reads.clone() }
    }
}

fn kelvin(x: u64, y: u64, at: &[u64]) -> f64 {
    (at[0] * 1_000 + at[1] * 100) as f64 + x as f64 + y as f64 / 100.0
}

impl Scene for Cube {
    fn about(&self) -> &About {
        &self.about
    }

    fn read(&self, _control: &Control, wish: Wish) -> BoxFuture<'static, Result<Pixels>> {
        self.reads.fetch_add(1, Relaxed);
        let checked = self.about.check(&wish);
        Box::pin(async move {
            checked?;
            let (width, height) = (wish.window.width as usize, wish.window.height as usize);
            let values = (0..width * height).map(|i| kelvin((i % width) as u64, (i / width) as u64, &wish.at) as f32);
            let values = vec![values.collect()];
            Ok(Pixels { width, height, bands: wish.bands, values, alpha: None, overview: None })
        })
    }

    fn values(
        &self,
        _control: &Control,
        bands: Vec<usize>,
        window: Window,
        at: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Vec<f64>>>> {
        let row = move |y: u64| (window.x..window.x + window.width).map(move |x| (x, y));
        let all = (window.y..window.y + window.height).flat_map(row);
        let values: Vec<f64> = all.map(|(x, y)| kelvin(x, y, &at)).collect();
        Box::pin(std::future::ready(Ok(bands.iter().map(|_| values.clone()).collect())))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn further_dimensions_are_stepped_along_and_played() {
    let reads = Arc::new(AtomicUsize::new(0));
    let scene: Arc<dyn Scene> = Arc::new(Cube::new(&reads));
    with(
        |_| Open::Scene { scene, control: None },
        (80, 24),
        async |drive, _| {
            drive.see("2024-06-01").await;
            let screen = whole(drive).await;
            insta::assert_snapshot!("axes", steady(&screen));
            drive.keys(".").await;
            drive.see("750 hPa").await;
            drive.keys("<Enter>").await;
            drive.see("130.2 K").await;
            drive.keys("<Tab>.").await;
            drive.see("2024-06-02").await;
            drive.see("1130.2 K").await;
            drive.keys(",,,").await;
            drive.see("2024-06-01").await;
            // What was seen before is not read again. Beyond the stretch it all has one colour.
            drive.quiet(std::time::Duration::from_millis(300)).await;
            let before = reads.load(Relaxed);
            drive.keys(".").await;
            drive.see("2024-06-02").await;
            drive.quiet(std::time::Duration::from_millis(300)).await;
            assert_eq!(reads.load(Relaxed), before);
            drive.keys("<Space>").await;
            drive.see("2024-06-04").await;
            drive.see("2024-06-01").await;
            drive.keys("<Space>").await;
            drive.keys("+").await;
            drive.see("play").await;
        },
    )
    .await;
}
