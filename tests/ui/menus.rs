//! The copy menu, the log of requests, the command lines, keys and themes, in the real loop; and what
//! was copied, run by the tools it is for.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use crate::cx;
use crate::cx::{bare, loc, run};
use crate::drive::{Drive, steady};
use crate::support;
use crate::support::{Ceph, S3s};
use bytes::Bytes;
use secchi::config::Config;
use secchi::location::Location;
use secchi::raster::{Grid, Samples, write_cog};
use secchi::screen::{Cx, Open};
use secchi::store::{Environment, Given, Options, Stores, UploadMeta};
use secchi::theme::Theme;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 60);
const TINY: (u16, u16) = (40, 12);

/// A bucket `pond` with a few things, on a server in this process, and a home for what is configured.
struct Pond {
    server: S3s,
    home: tempfile::TempDir,
}

impl Pond {
    async fn open() -> Self {
        let pond = Self { server: S3s::start().await, home: tempfile::tempdir().expect("a folder") };
        let stores = pond.stores();
        let handle = stores.open(&loc("s3://pond@pond/"), stores.meter()).await.expect("opens");
        handle.create_bucket().await.expect("a bucket");
        for key in ["stations.csv", "deep/a b'c.txt", "deep/z.txt"] {
            let body = Bytes::from_static(b"id,lon,lat\n1,24.9,60.1\n");
            handle.put_object(key, body, &UploadMeta::default(), false).await.expect("writes");
        }
        pond
    }

    fn stores(&self) -> Stores {
        let stores = bare();
        stores.give(
            "pond",
            Given {
                endpoint: self.server.endpoint.clone(),
                region: "us-east-1".into(),
                access_key: "key".into(),
                secret_key: "secret".into(),
            },
        );
        stores
    }

    fn cx(&self) -> Cx {
        let mut cx = cx::with_stores(self.home.path(), self.stores());
        let config = self.home.path().join("config");
        std::fs::create_dir_all(&config).expect("a folder");
        cx.config = Arc::new(Config::load(&config.join("config.toml")).expect("none"));
        cx
    }

    async fn at(&self, key: &str, size: (u16, u16)) -> Drive {
        self.with(key, size, |_| ()).await
    }

    async fn with(&self, key: &str, size: (u16, u16), change: impl FnOnce(&mut Cx)) -> Drive {
        let mut cx = self.cx();
        change(&mut cx);
        let mut drive = Drive::start(Open::Browse(loc("s3://pond@pond/").with_key(key)), cx, size);
        drive.see(if key.is_empty() { "stations.csv" } else { "z.txt" }).await;
        drive.settle("an end of the listing", |s| !s.lines().next().unwrap_or_default().contains('…')).await;
        if key.is_empty() && size.0 >= 80 {
            // What is beside the list comes a moment later.
            drive.see("a b'c.txt").await;
        }
        drive
    }

    fn written(&self, name: &str) -> String {
        std::fs::read_to_string(self.home.path().join("config").join(name)).unwrap_or_default()
    }
}

macro_rules! shot {
    ($name:expr, $drive:expr) => {
        insta::assert_snapshot!($name, unsigned(&steady(&$drive.screen())))
    };
}

/// What a signature makes differ from run to run.
fn unsigned(screen: &str) -> String {
    let mut out = String::new();
    let mut rest = screen;
    while let Some(at) = ["X-Amz-Date=", "X-Amz-Signature="].iter().filter_map(|n| Some(rest.find(n)? + n.len())).min()
    {
        out.push_str(&rest[..at]);
        let end = rest[at..].find(['&', ' ', '\n']).unwrap_or(rest.len() - at);
        out.push('#');
        rest = &rest[at + end..];
    }
    out + rest
}

#[test]
fn the_copy_menu_shows_what_it_copies() {
    run(async {
        let pond = Pond::open().await;
        for (name, size) in [("80x24", SMALL), ("200x60", LARGE), ("40x12", TINY)] {
            let mut drive = pond.at("", size).await;
            drive.keys("G").await;
            if size.0 >= 80 {
                drive.see("1 request").await;
            }
            drive.keys("y").await;
            drive.see("Copy: stations.csv").await;
            shot!(format!("copy_{name}"), drive);
            drive.keys("jjj").await;
            drive.see("Whoever has").await;
            shot!(format!("copy_link_{name}"), drive);
            // A letter copies at once; the text stands alone on the screen, at the left edge.
            drive.keys("D").await;
            let screen = drive.see("sent to the clipboard").await;
            let copied = drive.copied().pop().expect("something");
            assert!(copied.contains("SELECT * FROM read_csv('s3://pond/stations.csv') LIMIT 10;"), "{copied}");
            assert!(screen.lines().nth(1).is_some_and(|l| l.starts_with("INSTALL httpfs")), "{screen}");
            drive.keys("y").await;
            assert_eq!(drive.copied().len(), 2);
            drive.keys("<Esc>").await;
            drive.gone("INSTALL").await;
            drive.keys("yy").await;
            drive.see("address: sent").await;
            assert_eq!(drive.copied().pop().as_deref(), Some("s3://pond@pond/stations.csv"));
            drive.keys("q").await;
            drive.gone("address: sent").await;
        }
    });
}

#[test]
fn a_link_is_signed_on_demand_and_kept_nowhere() {
    run(async {
        let pond = Pond::open().await;
        let mut drive = pond.at("", SMALL).await;
        drive.keys("Gyjjj").await;
        drive.see("‹1 h›").await;
        drive.keys("l").await;
        drive.see("‹1 day›").await;
        drive.keys("hh").await;
        drive.see("‹15 min›").await;
        // One's own length: what is none is said, what is too long too.
        drive.keys("36<Enter>").await;
        drive.see("valid   36 s").await;
        drive.keys("9d").await;
        drive.keys("<Enter>").await;
        drive.see("at most 7 days").await;
        drive.keys("<Backspace><Backspace>2h<Enter>").await;
        drive.see("valid   2 h 00 min").await;
        assert!(drive.copied().is_empty(), "nothing is signed yet");
        drive.keys("<Enter>").await;
        let screen = drive.see("X-Amz-Signature").await;
        assert!(screen.contains("link to read, valid until 20"), "{screen}");
        let link = drive.copied().pop().expect("a link");
        assert!(link.contains("/pond/stations.csv?") && link.contains("X-Amz-Expires=7200"), "{link}");
        let signature = link.rsplit("X-Amz-Signature=").next().expect("signed").to_owned();
        drive.keys("<Esc>").await;
        drive.gone("X-Amz").await;
        // It reads without credentials.
        let web = Stores::new(Options::default());
        let at = loc(&link);
        let reader = web.open(&at, web.meter()).await.expect("opens");
        assert_eq!(reader.read_range(&at, 0..2).await.expect("reads").as_ref(), b"id");
        // The command line has no link, the log no signature.
        drive.keys("@").await;
        let screen = drive.see("secchi presign s3://pond@pond/stations.csv --expires 2h").await;
        assert!(!screen.contains(&signature));
        drive.keys("<Esc>Q").await;
        let (app, _) = drive.end().await;
        let log = format!("{:?}", app.cx.stores.log());
        assert!(!log.contains(&signature) && !log.contains("X-Amz"), "{log}");
        for file in walk(pond.home.path()) {
            let text = String::from_utf8_lossy(&std::fs::read(&file).expect("reads")).into_owned();
            assert!(!text.contains(&signature), "{}", file.display());
        }
    });
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.flat_map(|e| if e.path().is_dir() { walk(&e.path()) } else { vec![e.path()] }).collect()
}

#[test]
fn several_are_copied_a_line_each_and_a_good_terminal_needs_no_second_look() {
    run(async {
        let pond = Pond::open().await;
        let mut drive = pond.with("deep/", SMALL, |cx| cx.clipboard_works = true).await;
        drive.keys("ay").await;
        let screen = drive.see("Copy: 2 things").await;
        assert!(!screen.contains("pandas"), "{screen}");
        drive.keys("S").await;
        drive.see("copied: secchi").await;
        assert_eq!(
            drive.copied().pop().as_deref(),
            Some("secchi preview 's3://pond@pond/deep/a b'\\''c.txt'\nsecchi preview s3://pond@pond/deep/z.txt")
        );
        drive.gone("Copy:").await;
        drive.keys("yr").await;
        drive.see("copied: link to read, valid until").await;
        drive.gone("Copy:").await;
        let links = drive.copied().pop().expect("links");
        assert_eq!(links.lines().count(), 2);
        assert!(links.contains("/pond/deep/a%20b%27c.txt?"), "{links}");
    });
}

#[test]
fn text_that_is_too_long_is_only_shown() {
    run(async {
        let pond = Pond::open().await;
        let many: Vec<Location> = (0..3000).map(|n| loc(&format!("s3://pond@pond/a-rather-long-name/{n}"))).collect();
        let open = Open::CopyMenu { locations: many, media_type: None };
        let mut drive = Drive::start(open, pond.cx(), SMALL);
        drive.keys("a").await;
        drive.see("longer than the 74 kB that terminals take").await;
        assert!(drive.copied().is_empty());
        drive.keys("G").await;
        drive.see("/2999").await;
    });
}

#[test]
fn the_log_tells_every_request() {
    run(async {
        let pond = Pond::open().await;
        for (name, size) in [("80x24", SMALL), ("200x60", LARGE), ("40x12", TINY)] {
            let mut drive = pond.at("", size).await;
            let stores = pond.stores();
            drop(stores);
            drive.keys("!").await;
            let screen = drive.see("Requests").await;
            assert!(screen.contains("GET"), "{screen}");
            drive.keys("gg").await;
            drive.see("stands still").await;
            drive.keys("<Enter>").await;
            let screen = drive.see("took").await;
            assert!(screen.contains("address"), "{screen}");
            drive.keys("<Esc>").await;
            drive.gone("took").await;
            // What cannot be found is there at once, without a key.
            drive.keys("G/").await;
            drive.text("no-such").await;
            drive.keys("<Enter>").await;
            drive.see("No request fits").await;
            drive.keys("<Esc>e").await;
            if name != "40x12" {
                drive.see("failed only").await;
            }
            drive.keys("<Esc>").await;
            drive.keys("y").await;
            drive.see("request: sent to the clipboard").await;
            let line = drive.copied().pop().expect("a line");
            assert!(line.contains(" GET http://127.0.0.1:") && line.contains(" ms"), "{line}");
            drive.keys("<Esc><Esc>").await;
            drive.gone("Requests").await;
        }
    });
}

#[test]
fn the_log_is_live_keeps_its_place_and_costs_nothing_when_idle() {
    run(async {
        let pond = Pond::open().await;
        let context = pond.cx();
        let stores = context.stores.clone();
        let mut drive = Drive::start(Open::Log, context, SMALL);
        drive.see("Nothing was asked of a server yet").await;
        let (frames, began) = (drive.frames(), std::time::Instant::now());
        let at = loc("s3://pond@pond/stations.csv");
        let handle = stores.open(&at, stores.meter()).await.expect("opens");
        for n in 0..1200_u64 {
            let missing = n % 10 == 0;
            let key = if missing { at.with_key(format!("gone-{n}")) } else { at.clone() };
            let _ = handle.read_range(&key, n % 5..6).await;
        }
        drive.see("1,000").await;
        let screen = drive.see("100 failed").await;
        assert!(screen.contains("404") && screen.contains("no such key"), "{screen}");
        let most = frames + (began.elapsed().as_millis() / 25) as usize + 5;
        assert!(drive.frames() < most, "bursts are drawn together: {} of {most}", drive.frames());
        drive.keys("e").await;
        drive.see("100 of 1,000").await;
        shot_masked("log_errors_80x24", &drive);
        drive.keys("gg<Enter>").await;
        let screen = drive.see("NoSuchKey").await;
        assert!(screen.contains("gone-200"), "{screen}");
        drive.keys("<Esc><Esc>").await;
        // The cursor stays on its request while new ones come in.
        drive.keys("kkk").await;
        drive.see("stands still").await;
        let drawn = drive.frames();
        let _ = handle.read_range(&at, 0..3).await;
        drive.frame(drawn + 1).await;
        let quiet = drive.frames();
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        assert_eq!(drive.frames(), quiet, "nothing asked, nothing drawn");
    });
}

/// Times are different in every run.
fn shot_masked(name: &str, drive: &Drive) {
    let screen: Vec<String> = drive
        .screen()
        .lines()
        .map(|line| {
            let mut masked: Vec<char> = line.chars().collect();
            for at in 0..masked.len().saturating_sub(7) {
                let is_time = masked[at..at + 8]
                    .iter()
                    .zip("dd:dd:dd".chars())
                    .all(|(c, s)| if s == 'd' { c.is_ascii_digit() } else { *c == s });
                if is_time {
                    masked[at..at + 8].copy_from_slice(&['h', 'h', ':', 'm', 'm', ':', 's', 's']);
                }
            }
            let line: String = masked.into_iter().collect();
            match (line.find("404 "), line.find(" ms")) {
                (Some(from), Some(to)) if from < to => format!("{}{:>11}{}", &line[..from + 3], "#", &line[to..]),
                _ => line,
            }
        })
        .collect();
    insta::assert_snapshot!(name, screen.join("\n"));
}

#[test]
fn the_command_lines_of_the_last_ten_are_there() {
    run(async {
        let pond = Pond::open().await;
        let mut drive = pond.at("", SMALL).await;
        drive.keys("gg<Enter>").await;
        drive.see("z.txt").await;
        drive.keys("gg<Enter>").await;
        drive.see("24.9").await;
        drive.keys("@").await;
        let screen = drive.see("The same on the command line").await;
        let at = |words: &str| screen.find(words).unwrap_or_else(|| panic!("{words} in\n{screen}"));
        let newest = at(r"secchi preview 's3://pond@pond/deep/a b'\''c.txt'");
        let (deep, top) = (at("secchi ls s3://pond@pond/deep/"), at("secchi ls s3://pond@pond/ "));
        assert!(newest < deep && deep < top, "{screen}");
        shot!("commands_80x24", drive);
        drive.keys("<Enter>").await;
        drive.see("command line: sent").await;
        assert_eq!(drive.copied().pop().as_deref(), Some(r"secchi preview 's3://pond@pond/deep/a b'\''c.txt'"));
    });
}

#[test]
fn keys_are_changed_while_it_runs() {
    run(async {
        let pond = Pond::open().await;
        std::fs::create_dir_all(pond.home.path().join("config")).expect("a folder");
        std::fs::write(
            pond.home.path().join("config/keymap.toml"),
            "# my keys\n[browse]\nsort = [\"o\"]  # o for order\n",
        )
        .expect("written");
        let keymap = secchi::keymap::Keymap::load(&pond.home.path().join("config/keymap.toml")).expect("fits");
        let mut drive = pond.with("", SMALL, |cx| cx.keymap = Arc::new(keymap)).await;
        drive.keys("?").await;
        drive.see("Enter changes them").await;
        drive.keys("<Enter>").await;
        drive.see("Change keys").await;
        shot!("keys_80x24", drive);
        // To `select`, then its new key.
        let mut steps = 0;
        while !drive.screen().contains("Select or unselect") {
            drive.keys("j").await;
            steps += 1;
            assert!(steps < 60, "{}", drive.screen());
        }
        drive.keys("<Enter>").await;
        drive.see("Press the new key for select").await;
        drive.keys("u").await;
        drive.keys("<Enter>").await;
        let screen = drive.see("`u` is upload in browse").await;
        assert!(screen.contains("Enter takes it"), "{screen}");
        shot!("keys_conflict_80x24", drive);
        drive.keys("<Esc>").await;
        drive.gone("`u` is upload").await;
        assert!(!pond.written("keymap.toml").contains("select"), "nothing was taken over");
        drive.keys("<Enter>u<Enter><Enter>").await;
        drive.see("select is `u` now").await;
        drive.keys("a").await;
        drive.keys("zz<Enter>").await;
        drive.see("select is `u` `zz` now").await;
        let text = pond.written("keymap.toml");
        assert!(text.starts_with("# my keys\n[browse]\nsort = [\"o\"]  # o for order\n"), "{text}");
        assert!(text.contains("upload = []\n") && text.contains("select = [\"u\", \"zz\"]\n"), "{text}");
        // It takes effect at once.
        drive.keys("<Esc>gg").await;
        drive.keys("u").await;
        drive.see("1 selected").await;
        drive.keys("gg").await;
        drive.keys("zz").await;
        drive.gone("1 selected").await;
        drive.keys("<F1>").await;
        drive.see("u zz").await;
    });
}

#[test]
fn a_key_is_as_it_was_shipped_again() {
    run(async {
        let pond = Pond::open().await;
        for (name, size) in [("200x60", LARGE), ("40x12", TINY)] {
            let mut drive = pond.at("", size).await;
            drive.keys(":").await;
            drive.text("change-keys").await;
            drive.keys("<Enter>").await;
            drive.see("Change keys").await;
            shot!(format!("keys_{name}"), drive);
            drive.keys("a").await;
            drive.keys("<F5><Enter>").await;
            drive.see("is refresh").await;
            drive.keys("<Enter>").await;
            drive.see("written to").await;
            assert!(pond.written("keymap.toml").contains("<F5>"));
            drive.keys("r").await;
            drive.settle("the shipped key", |s| s.contains("written") && !s.contains("`F5`")).await;
            assert!(!pond.written("keymap.toml").contains("<F5>"), "{}", pond.written("keymap.toml"));
        }
    });
}

#[test]
fn themes_show_while_one_chooses() {
    run(async {
        let pond = Pond::open().await;
        let own = pond.home.path().join("config/themes");
        std::fs::create_dir_all(&own).expect("a folder");
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("themes/paper.toml")).expect("there");
        std::fs::write(own.join("mine.toml"), text).expect("written");
        std::fs::write(own.join("torn.toml"), "name = \"torn\"").expect("written");
        std::fs::write(pond.home.path().join("config/config.toml"), "# mine\njobs = 2\n").expect("written");
        let ground = |drive: &Drive| drive.buffer()[(0, 0)].bg;
        for (name, size) in [("80x24", SMALL), ("40x12", TINY)] {
            let mut drive = pond.at("", size).await;
            let dark = ground(&drive);
            drive.keys("T").await;
            drive.see("Themes").await;
            shot!(format!("themes_{name}"), drive);
            drive.keys("j").await;
            assert_ne!(ground(&drive), dark, "shallow shows at once");
            drive.keys("<Esc>").await;
            drive.gone("Themes").await;
            assert_eq!(ground(&drive), dark, "as it was");
            drive.keys("TG").await;
            drive.see("torn").await;
            drive.keys("<Enter>").await;
            drive.see("Themes").await;
            drive.keys("k<Enter>").await;
            drive.see("theme mine: remembered").await;
            drive.gone("Themes").await;
            assert_ne!(ground(&drive), dark);
            assert_eq!(pond.written("config.toml"), "# mine\njobs = 2\ntheme = \"mine\"\n");
            assert_eq!(Theme::find("mine", &own).expect("there").name(), "mine");
        }
    });
}

/// Copies what stands at `letter` of the menu for `location`.
async fn copied(stores: &Stores, home: &Path, location: &Location, letter: &str) -> String {
    let open = Open::CopyMenu { locations: vec![location.clone()], media_type: None };
    let mut drive = Drive::start(open, cx::with_stores(home, stores.clone()), SMALL);
    drive.keys(letter).await;
    drive.see("sent to the clipboard").await;
    drive.copied().pop().expect("something")
}

/// Runs a tool in its own home; `None` where it is not there.
fn tool(home: &Path, program: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("HOME", home).env("AWS_EC2_METADATA_DISABLED", "true").current_dir(home).args(args);
    command.env("AWS_CONFIG_FILE", home.join(".aws/config"));
    command.env("AWS_SHARED_CREDENTIALS_FILE", home.join(".aws/credentials"));
    let out = command.output().ok()?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    if out.status.code() == Some(127) || said.contains("No module named") || said.contains("pyenv:") {
        eprintln!("skipped: {program} {args:?}: {}", said.lines().last().unwrap_or_default());
        return None;
    }
    assert!(out.status.success(), "{program} {args:?}\n{said}");
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    found.is_ok_and(|out| out.status.success())
}

#[test]
fn what_is_copied_runs_in_the_tools_it_is_for() {
    let Some(ceph) = Ceph::find() else { return };
    run(async {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join(".aws")).expect("a folder");
        let write = |name: &str, text: String| std::fs::write(home.path().join(name), text).expect("written");
        write(".aws/config", format!("[profile lake-1]\nendpoint_url = {}\nregion = us-east-1\n", ceph.endpoint));
        let keys = format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", ceph.key, ceph.secret);
        write(".aws/credentials", format!("[lake-1]\n{keys}"));
        let environment = Environment::fixed([("HOME", home.path().to_str().expect("a path"))]);
        let stores = Stores::new(Options { environment, profile: Some("lake-1".into()), ..Options::default() });
        let (stores, root) = support::new_bucket(stores).await;
        let handle = stores.open(&root, stores.meter()).await.expect("opens");
        let put = async |key: &str, body: Vec<u8>| {
            handle.put_object(key, body.into(), &UploadMeta::default(), false).await.expect("writes");
            root.with_key(key)
        };
        let odd = "it's \"odd\" é $HOME `x`";
        let text = put(&format!("{odd}/t.txt"), b"hello".to_vec()).await;

        for (letter, program) in [("c", "curl"), ("A", "aws"), ("R", "rclone")] {
            let line = copied(&stores, home.path(), &text, letter).await;
            assert!(line.starts_with(program) && !line.contains(&ceph.secret), "{line}");
            let _ = std::fs::remove_file(home.path().join("t.txt"));
            if has(program) && tool(home.path(), "bash", &["-c", &line]).is_some() {
                let got = std::fs::read(home.path().join("t.txt")).expect("downloaded");
                assert_eq!(got, b"hello", "{line}");
            }
        }
        if has("curl") {
            write("t.txt", "changed".into());
            let line = copied(&stores, home.path(), &text, "C").await;
            tool(home.path(), "bash", &["-c", &line]);
            assert_eq!(handle.read_range(&text, 0..7).await.expect("reads").as_ref(), b"changed");
        }

        let grid = Grid {
            width: 64,
            height: 32,
            samples: Samples::U16(vec![7; 64 * 32]),
            names: Vec::new(),
            epsg: Some(32635),
            transform: Some([400_000.0, 10.0, 0.0, 6_700_000.0, 0.0, -10.0]),
            nodata: None,
            rgb: false,
            block: 64,
        };
        let file = home.path().join("made.tif");
        write_cog(&file, &grid).expect("a raster");
        let raster = put(&format!("{odd}.tif"), std::fs::read(&file).expect("reads")).await;
        let line = copied(&stores, home.path(), &raster, "d").await;
        if has("gdalinfo")
            && let Some(said) = tool(home.path(), "bash", &["-c", &line])
        {
            assert!(said.contains("Size is 64, 32"), "{said}");
        }

        let python = std::env::var("SECCHI_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = copied(&stores, home.path(), &raster, "t").await;
        if let Some(said) = tool(home.path(), &python, &["-c", &script]) {
            assert!(said.contains("'width': 64"), "{said}");
        }
        let item = put(
            "cat/catalog.json",
            br#"{"type":"Catalog","stac_version":"1.0.0","id":"lake","description":"d","links":[]}"#.to_vec(),
        )
        .await;
        let script = copied(&stores, home.path(), &item, "p").await + "\nprint(catalog.id)";
        if let Some(said) = tool(home.path(), &python, &["-c", &script]) {
            assert_eq!(said.trim(), "lake");
        }
        let Ok(example) = std::fs::read(support_data().join("geoparquet/example.parquet")) else { return };
        let table = put(&format!("{odd}.parquet"), example).await;
        for (letter, name) in [("p", "gdf"), ("P", "table")] {
            let script = copied(&stores, home.path(), &table, letter).await;
            assert!(!script.contains(&ceph.secret) && !script.contains(&ceph.key), "{script}");
            if let Some(said) = tool(home.path(), &python, &["-c", &format!("{script}\nprint(len({name}))")]) {
                assert_eq!(said.trim(), "5", "{script}");
            }
        }
    });
}

fn support_data() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    std::env::var_os("SECCHI_DATA").map_or_else(beside, PathBuf::from)
}
