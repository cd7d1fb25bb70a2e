//! The whole program without a terminal: keys go into the real event loop, frames are looked at.

use crate::cx;
use crate::cx::{bare, loc, run};
use crate::drive::{Drive, steady};
use crate::support::{Ceph, S3s, new_bucket, s3_options};
use secchi::app::Exit;
use secchi::app::Input;
use secchi::demo::{self, Demo};
use secchi::location::Location;
use secchi::preview::Probe;
use secchi::screen::{Cx, Open};
use secchi::store::Stores;
use secchi::theme::Theme;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 60);
const TINY: (u16, u16) = (40, 12);

fn folder_of(path: &Path) -> Location {
    Location::file(path).as_container()
}

/// The demo on a folder that all tests share: it is filled once, by whoever comes first.
struct Lake {
    demo: Demo,
    state: tempfile::TempDir,
}

impl Lake {
    async fn open() -> Self {
        let root = lake_folder();
        std::fs::create_dir_all(&root).expect("a folder");
        let lock = std::fs::File::create(root.with_extension("lock")).expect("a lock");
        lock.lock().expect("locked");
        // What a test that was killed has left half filled is of no use.
        let demo = demo::start(Some(root.clone())).or_else(|_| {
            std::fs::remove_dir_all(&root).expect("removed");
            demo::start(Some(root))
        });
        let demo = demo.expect("starts");
        demo.ready().await.expect("fills");
        drop(lock);
        Self { demo, state: tempfile::tempdir().expect("a folder") }
    }

    fn cx(&self) -> Cx {
        let stores = bare();
        stores.give(demo::PROFILE, self.demo.given());
        cx::with_stores(self.state.path(), stores)
    }

    /// The program at a place below the bucket.
    fn at(&self, key: &str, size: (u16, u16)) -> Drive {
        Drive::start(secchi::screens::open_of(self.demo.location().with_key(key)), self.cx(), size)
    }
}

/// One folder for each version of what the demo is made by.
fn lake_folder() -> PathBuf {
    let mut hasher = std::hash::DefaultHasher::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(sources.join("demo")).expect("sources").map(|e| e.expect("an entry").path()).collect();
    files.push(sources.join("demo.rs"));
    files.sort();
    for file in files {
        std::fs::read(file).expect("a source").hash(&mut hasher);
    }
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lake-{:016x}", hasher.finish()))
}

/// The name that the cursor is on, where there are one or two panes.
fn cursor(screen: &str) -> String {
    let line = screen.lines().find_map(|l| l.strip_prefix('▸')).unwrap_or_default();
    line.split(['│', ' ']).next().unwrap_or_default().to_owned()
}

/// Which line of the list the cursor is on.
fn cursor_line(screen: &str) -> Option<usize> {
    screen.lines().skip(1).position(|l| l.starts_with('▸'))
}

/// Whether the list is there to its end, as the header says.
fn is_whole(screen: &str) -> bool {
    !screen.lines().next().unwrap_or_default().contains("… entr")
}

macro_rules! shot {
    ($name:expr, $drive:expr) => {
        insta::assert_snapshot!($name, steady(&$drive.screen()))
    };
}

#[test]
fn places() {
    run(async {
        let lake = Lake::open().await;
        for (name, size) in [("80x24", SMALL), ("200x60", LARGE), ("40x12", TINY)] {
            let mut cx = lake.cx();
            cx.recents = vec![lake.demo.location(), loc("https://example.org/stac/catalog.json")];
            let mut drive = Drive::start(Open::Places, cx, size);
            drive.see("Recent").await;
            // Folders of this computer.
            let screen: Vec<String> = steady(&drive.screen())
                .lines()
                .map(|line| match ["This folder", "Home"].iter().find_map(|n| Some(line.find(n)? + n.len())) {
                    Some(end) => format!("{} /…", &line[..end]),
                    None => line.to_owned(),
                })
                .collect();
            insta::assert_snapshot!(format!("places_{name}"), screen.join("\n"));
            drive.keys("j<Esc>gg<Enter>").await;
            drive.see("README.md").await;
        }
    });
}

#[test]
fn the_bucket_of_the_demo() {
    run(async {
        let lake = Lake::open().await;
        for (name, size) in [("80x24", SMALL), ("200x60", LARGE), ("40x12", TINY)] {
            let mut texts = Vec::new();
            for theme in ["deep", "paper"] {
                let mut cx = lake.cx();
                cx.theme = Arc::new(Theme::named(theme).expect("shipped"));
                let mut drive = Drive::start(Open::Browse(lake.demo.location()), cx, size);
                drive.see("stac/").await;
                drive.keys("jgg").await;
                if size != TINY {
                    drive.see("A lake of samples").await;
                }
                if size == LARGE {
                    drive.see("▣ lake").await;
                }
                drive.settle("the whole list", is_whole).await;
                shot!(format!("bucket_{name}"), drive);
                if size == SMALL {
                    insta::assert_snapshot!(format!("bucket_{name}_{theme}_styles"), drive.styles());
                }
                texts.push(steady(&drive.screen()));
            }
            assert_eq!(texts[0], texts[1], "a theme changes colours alone");
        }
    });
}

#[test]
fn a_filter_narrows_the_list() {
    run(async {
        let lake = Lake::open().await;
        let mut drive = lake.at("many/", SMALL);
        drive.see("5,000").await;
        drive.settle("the whole list", |s| !s.contains("5,000…")).await;
        drive.keys("/").await;
        drive.text("49").await;
        let screen = drive.see(" of 5,000").await;
        assert!(screen.contains("/ 49"), "{screen}");
        drive.see("\"secchi_m\": 3.8").await;
        shot!("filter_typed_80x24", drive);
        drive.keys("<Enter>j").await;
        drive.see("Esc shows all").await;
        drive.keys("<Esc>").await;
        drive.gone(" of 5,000").await;
        drive.keys("/").await;
        drive.text("no such thing").await;
        drive.see("no name matches").await;
        shot!("filter_nothing_80x24", drive);
    });
}

const SCENE: &str = "s2/35VLH/2024/06/S2A_35VLH_20240623_0_L1C/";

#[test]
fn previews() {
    run(async {
        let lake = Lake::open().await;
        // A new format: a line here. The last tells whether it has facts beside its content.
        let files = [
            ("cog", format!("{SCENE}B02_B03_B04_B08.tif"), true),
            ("text", "README.md".to_owned(), false),
            ("json", "stac/catalog.json".to_owned(), false),
            ("parquet", "ctd/stations.parquet".to_owned(), true),
            ("csv", "ctd/glodap-like.csv".to_owned(), false),
            ("png", "pictures/secchi-disk.png".to_owned(), true),
        ];
        for (name, key, has_facts) in files {
            for (size_name, size) in [("80x24", SMALL), ("200x60", LARGE)] {
                let probe = Probe::new(lake.demo.location().with_key(key.clone()));
                let mut drive = Drive::start(Open::Preview(probe), lake.cx(), size);
                drive.see("request").await;
                shot!(format!("preview_{name}_{size_name}"), drive);
                if has_facts && size == SMALL {
                    drive.keys("e").await;
                    shot!(format!("preview_{name}_facts_{size_name}"), drive);
                }
            }
        }
        let mut drive = lake.at("zarr/", SMALL);
        drive.see("request").await;
        shot!("browse_zarr_80x24", drive);
        let mut drive = lake.at(SCENE, LARGE);
        drive.see("request").await;
        drive.see("S2A_35VLH_20240628_0_L1C/").await;
        shot!("browse_cog_200x60", drive);
        let colours: std::collections::HashSet<_> =
            drive.buffer().content().iter().filter(|c| "▀▄".contains(c.symbol())).map(|c| (c.fg, c.bg)).collect();
        assert!(colours.len() > 100, "{} colours of a landscape", colours.len());
    });
}

#[test]
fn a_catalog_leads_to_the_raster_of_an_asset() {
    run(async {
        let lake = Lake::open().await;
        let mut drive = Drive::start(Open::Browse(lake.demo.location()), lake.cx(), SMALL);
        drive.see("zarr/").await;
        drive.see("A lake of samples").await;
        drive.keys("o").await;
        drive.text("s3://demo@lake/stac/catalog.json").await;
        shot!("go_to_80x24", drive);
        drive.keys("<Enter>").await;
        drive.see("sentinel-2-l1c").await;
        drive.see("◇ secchi-dem").await;
        drive.settle("the whole list", is_whole).await;
        shot!("stac_catalog_80x24", drive);
        drive.keys("/").await;
        drive.text("sentinel").await;
        drive.keys("<Enter><Enter>").await;
        drive.see("◇ S2A_35VLH_20240623").await;
        drive.see("▪ thumbnail").await;
        drive.settle("the whole list", is_whole).await;
        shot!("stac_collection_80x24", drive);
        drive.keys("/").await;
        drive.text("20240623").await;
        drive.keys("<Enter><Enter>").await;
        drive.see("▪ ").await;
        drive.see("request").await;
        drive.settle("the assets", is_whole).await;
        shot!("stac_item_80x24", drive);
        drive.keys("<Enter>").await;
        drive.see("B02_B03_B04_B08.tif").await;
        drive.see("▀").await;
        shot!("stac_asset_80x24", drive);
        drive.keys("<Esc>").await;
        drive.see("▪ ").await;
        drive.keys("<Backspace>").await;
        drive.see("◇ S2A_35VLH_20240623").await;
        drive.keys("<Backspace>").await;
        drive.see("◈ ").await;
    });
}

#[test]
fn popups_and_forms() {
    run(async {
        let lake = Lake::open().await;
        for (name, size) in [("80x24", SMALL), ("200x60", LARGE)] {
            let mut drive = lake.at("ctd/", size);
            drive.see("stations.parquet").await;
            drive.see("request").await;
            if size == LARGE {
                drive.see("notes.json").await;
            }
            drive.keys("?").await;
            shot!(format!("help_{name}"), drive);
            drive.keys("q:").await;
            drive.text("sort").await;
            shot!(format!("palette_{name}"), drive);
            // What is found is run on the screen below.
            drive.keys("<Enter>").await;
            drive.gone("Commands").await;
            drive.settle("another order", |s| !s.lines().next().unwrap_or_default().contains("name ↑")).await;
            drive.keys("ssG").await;
            drive.see("name ↑").await;
            drive.see("GeoParquet").await;
            drive.keys("y").await;
            shot!(format!("copy_{name}"), drive);
            drive.keys("j<Enter>").await;
            drive.see("sent to the clipboard").await;
            let copied = drive.copied().pop().expect("something");
            assert!(copied.starts_with("s3://lake/ctd/"), "{copied}");
            drive.keys("<Esc>").await;
            drive.keys("c").await;
            drive.see("convert stations.parquet").await;
            shot!(format!("convert_form_{name}"), drive);
            drive.keys("<Esc>B").await;
            shot!(format!("bench_form_{name}"), drive);
            drive.keys("<Esc><Esc>i").await;
            drive.see("content type").await;
            drive.keys("<Esc>").await;
            drive.gone("content type").await;
        }
    });
}

#[test]
fn what_is_read_only_stays_so_until_the_user_says_otherwise() {
    run(async {
        let lake = Lake::open().await;
        let mut drive = lake.at("pictures/", SMALL);
        drive.see("secchi-disk.png").await;
        drive.see("read-only").await;
        drive.keys("u").await;
        drive.see("this place is read-only: R allows writing").await;
        drive.keys("R").await;
        drive.see("writable").await;
        drive.keys("u").await;
        let screen = drive.see("upload to s3://demo@lake/pictures/").await;
        assert!(screen.contains("destination"), "{screen}");
        drive.keys("<Esc>R").await;
        drive.settle("read-only again", |s| s.contains("read-only  ")).await;
    });
}

/// `(endpoint, gate)`: lets so many bytes to the server through, and the rest once the gate is open.
async fn gated(target: &str, limit: u64) -> (String, watch::Sender<bool>) {
    let target = target.trim_start_matches("http://").to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let (gate, open) = watch::channel(false);
    let passed = Arc::new(AtomicU64::new(0));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = tokio::net::TcpStream::connect(&target).await else { return };
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let (mut open, passed) = (open.clone(), passed.clone());
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut buffer = vec![0; 16 << 10];
                while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
                    if passed.fetch_add(n as u64, Relaxed) + n as u64 > limit
                        && open.wait_for(|open| *open).await.is_err()
                    {
                        return;
                    }
                    if to_server.write_all(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (endpoint, gate)
}

#[test]
fn an_upload_runs_behind_the_screens_and_is_not_left_without_a_question() {
    run(async {
        let server = S3s::start().await;
        let (endpoint, gate) = gated(&server.endpoint, 1 << 20).await;
        let (stores, root) = new_bucket(Stores::new(s3_options(&endpoint, "key", "secret"))).await;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("lake.bin"), vec![7; 6 << 20]).expect("a file");
        let state = tempfile::tempdir().expect("a folder");
        let mut cx = cx::with_stores(state.path(), stores);
        cx.writable.insert(root.store().clone());
        let mut drive = Drive::start(Open::Browse(root), cx, SMALL);
        drive.see("uploads files to this place").await;
        drive.keys("u").await;
        drive.text(&format!("{}/", folder.path().display())).await;
        drive.see("lake.bin").await;
        drive.text("lake.bin").await;
        drive.keys("<Down><Enter>").await;
        drive.see("6.0 MiB").await;
        drive.keys("<C-s>").await;
        drive.see("has started").await;
        drive.keys("w").await;
        let jobs = drive.see("running").await;
        assert!(jobs.contains("upload lake.bin"), "{jobs}");
        // It runs: the screen moves, its frame stays.
        let frame =
            |s: &str| s.lines().enumerate().filter(|(_, l)| l.contains("──")).map(|(y, _)| y).collect::<Vec<_>>();
        let frames = drive.frames();
        drive.frame(frames + 4).await;
        assert_eq!(frame(&jobs), frame(&drive.screen()), "{jobs}\n{}", drive.screen());
        for keys in ["Q", "<C-c>"] {
            drive.keys(keys).await;
            let question = drive.see("Jobs are running").await;
            assert!(question.contains("upload lake.bin") && question.contains("nothing is stopped"), "{question}");
            drive.keys("<Esc>").await;
            drive.gone("Jobs are running").await;
        }
        assert!(!drive.has_ended());
        drive.keys("<Esc>").await;
        drive.see("rtt").await;
        // The list below knows nothing of it yet; the strip does.
        let strip = drive.settle("the strip", |s| s.lines().last().is_some_and(|l| l.contains("lake.bin"))).await;
        assert!(strip.lines().last().expect("a line").contains("jobs"), "{strip}");
        gate.send(true).expect("opened");
        drive.settle("an empty strip", |s| s.lines().last().is_some_and(|l| !l.contains("lake.bin"))).await;
        drive.keys("w").await;
        let done = drive.see("done").await;
        assert!(done.contains("upload lake.bin"), "{done}");
        drive.keys("<Esc><F5>").await;
        drive.settle("the new object", |s| s.lines().nth(1).is_some_and(|l| l.contains("lake.bin"))).await;
        drive.keys("@").await;
        drive.see("secchi put").await;
        drive.keys("<Esc>").await;
        drive.keys("Q").await;
        assert_eq!(drive.end().await.1, Exit::Quit);
    });
}

fn many_files(n: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..n {
        std::fs::write(folder.path().join(format!("file-{i:04}.txt")), format!("{i}\n")).expect("a file");
    }
    folder
}

fn local(folder: &Path, state: &Path) -> Drive {
    Drive::start(Open::Browse(folder_of(folder)), cx::with_stores(state, bare()), SMALL)
}

#[test]
fn keys_that_are_queued_at_once_are_all_heard_and_so_are_those_that_come_later() {
    run(async {
        let (folder, state) = (many_files(300), tempfile::tempdir().expect("a folder"));
        let mut drive = local(folder.path(), state.path());
        drive.see("300 entries").await;
        drive.keys("gg").await;
        let before = drive.frames();
        drive.keys(&"j".repeat(200)).await;
        assert_eq!(cursor(&drive.screen()), "file-0200.txt", "{}", drive.screen());
        assert!(drive.frames() - before < 30, "{} frames for keys that came at once", drive.frames() - before);
        for i in 201..240 {
            drive.keys("j").await;
            assert_eq!(cursor(&drive.screen()), format!("file-{i:04}.txt"));
        }
        // The first key of a sequence shows that it waits for the second.
        drive.keys("g").await;
        drive.see(" g…").await;
        drive.keys("g").await;
        assert_eq!(cursor(&drive.screen()), "file-0000.txt");
        drive.send(Input::Terminate(143));
        assert_eq!(drive.end().await.1, Exit::Ended(143));
    });
}

#[test]
fn the_cursor_stays_at_the_top_while_a_list_comes_in() {
    run(async {
        let lake = Lake::open().await;
        let mut drive = lake.at("many/", SMALL);
        // Sorted from the first page on, so that every page comes in between.
        drive.keys("S").await;
        drive.see("5,000").await;
        let screen = drive.settle("the whole list", is_whole).await;
        assert_eq!(cursor_line(&screen), Some(0), "{screen}");
        let last = drive.screen();
        drive.keys("Sgg").await;
        drive.keys("G").await;
        assert_eq!(cursor(&drive.screen()), cursor(&last), "the first of the reversed list is the last");
    });
}

#[test]
fn refreshing_keeps_the_cursor_on_its_name() {
    run(async {
        let (folder, state) = (many_files(50), tempfile::tempdir().expect("a folder"));
        let mut drive = local(folder.path(), state.path());
        drive.see("50 entries").await;
        drive.keys("ggjjjj").await;
        assert_eq!(cursor(&drive.screen()), "file-0004.txt");
        std::fs::write(folder.path().join("a-new-one.txt"), "new").expect("a file");
        drive.keys("<F5>").await;
        let screen = drive.settle("51 files", |s| s.contains(" 51 entries")).await;
        assert_eq!(cursor(&screen), "file-0004.txt", "{screen}");
        assert_eq!(cursor_line(&screen), Some(5), "{screen}");
    });
}

/// Every frame is looked at for control characters by the driver itself.
async fn walk_through(mut drive: Drive, n: usize) {
    drive.settle("all names", |s| s.lines().next().unwrap_or_default().contains(&format!(" {n} entries"))).await;
    drive.keys("gg").await;
    for _ in 0..n {
        drive.keys("y<Esc>i").await;
        drive.keys("<Esc>").await;
        drive.keys("j").await;
    }
    drive.keys("at").await;
    drive.keys("/").await;
    drive.text("red").await;
    drive.keys("<Esc><Esc>gg:q").await;
    drive.keys("<Esc>Q").await;
    assert_eq!(drive.end().await.1, Exit::Quit);
}

#[test]
fn names_of_files_never_reach_the_terminal_raw() {
    run(async {
        let (folder, state) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let long = "n".repeat(255);
        let names = [
            "red\u{1b}[31m.txt",
            "title\u{1b}]0;x\u{7}.txt",
            "new\nline.txt",
            "tab\tand\rreturn.txt",
            "turned\u{202e}fdp.txt",
            " leading and trailing ",
            "湖の透明度.txt",
            "e\u{301}\u{200d}👩‍🔬.txt",
            "\u{7f}\u{9b}31m",
            "q\"'`$(x)\\.txt",
            &long,
        ];
        for name in names {
            std::fs::write(folder.path().join(name), format!("{name}\u{1b}[2J\n")).expect(name);
        }
        walk_through(local(folder.path(), state.path()), names.len()).await;
    });
}

#[test]
fn keys_of_a_bucket_never_reach_the_terminal_raw() {
    run(async {
        let Some(ceph) = Ceph::find() else { return };
        let (stores, root) = ceph.bucket().await;
        let handle = stores.open(&root, stores.meter()).await.expect("opens");
        let long = "k".repeat(1000);
        let keys = ["red\u{1b}[31m", "new\nline", "turned\u{202e}fdp", "//", "../x", "a//b", "\u{7f}", &long];
        for key in keys {
            handle.put_object(key, "x\u{1b}[2J".into(), &secchi::store::UploadMeta::default(), false).await.expect(key);
        }
        let state = tempfile::tempdir().expect("a folder");
        let drive = Drive::start(Open::Browse(root), cx::with_stores(state.path(), stores), SMALL);
        walk_through(drive, keys.len()).await;
    });
}

#[test]
fn a_place_that_cannot_be_reached_says_why_and_what_to_do() {
    run(async {
        let (folder, state) = (many_files(3), tempfile::tempdir().expect("a folder"));
        // A port that nobody listens on.
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("an address").port()
        };
        let stores = Stores::new(s3_options(&format!("http://127.0.0.1:{port}"), "key", "secret"));
        let cx = cx::with_stores(state.path(), stores);
        let mut drive = Drive::start(Open::Browse(loc("s3://lake/")), cx, SMALL);
        // Keys are heard while it tries.
        drive.keys("?").await;
        drive.see("Keys").await;
        drive.keys("<Esc>").await;
        drive.see("127.0.0.1").await;
        let screen = drive.settle("an end of trying", is_whole).await;
        shot!("unreachable_80x24", drive);
        assert!(!screen.contains("Kind::") && !screen.contains("Error {"), "{screen}");
        drive.keys("jk<Enter>").await;
        drive.keys("o").await;
        drive.text("s3://nobody@lake/").await;
        drive.keys("<Enter>").await;
        drive.see("nobody").await;
        drive.settle("a sentence about the profile", |s| s.contains("there is no profile") && is_whole(s)).await;
        shot!("unknown_profile_80x24", drive);
        drive.keys("o").await;
        drive.text("gopher://x").await;
        drive.keys("<Enter>").await;
        shot!("bad_address_80x24", drive);
        drive.keys("<Esc>o").await;
        drive.text(&folder_of(folder.path()).to_string()).await;
        drive.keys("<Enter>").await;
        drive.see("file-0001.txt").await;
    });
}
