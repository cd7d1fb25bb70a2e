//! The start screen: places are added, checked, locked, edited and forgotten in the real loop, where
//! there is one against a real Ceph gateway; secrets stay out of every frame and file but the one.

use crate::cx;
use crate::cx::run;
use crate::drive::{Drive, steady};
use crate::support::{Ceph, Fault};
use secchi::config::Config;
use secchi::location::Location;
use secchi::screen::{Cx, Open};
use secchi::store::{Environment, Options, Stores};
use std::path::{Path, PathBuf};

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 60);
const TINY: (u16, u16) = (40, 12);

/// A secret that must be nowhere but in the file of credentials.
const SECRET: &str = "s3cr3t/that+nobody=sees";

/// A home of its own, with files in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new(files: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = home.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        Self(home)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("config/config.toml")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// What a screen is given: this home's files and nothing of the computer's.
    fn cx(&self, read_only: bool) -> Cx {
        let environment = Environment::fixed([("HOME", self.0.path().to_string_lossy())]);
        let config = Config::load(&self.config()).expect("a configuration");
        let places = config.places.clone();
        let stores = Stores::new(Options { environment, places, read_only, ..Options::default() });
        let mut cx = cx::with_stores(self.0.path(), stores);
        cx.config = std::sync::Arc::new(config);
        cx
    }

    fn start(&self, size: (u16, u16)) -> Drive {
        Drive::start(Open::Places, self.cx(false), size)
    }
}

/// Every file below a folder with its text.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()) {
        if entry.is_dir() {
            out.extend(files(&entry));
        } else {
            out.push((entry.clone(), String::from_utf8_lossy(&std::fs::read(&entry).expect("a file")).into_owned()));
        }
    }
    out
}

/// A screen without what differs from computer to computer: folders of this one.
fn shot(screen: &str) -> String {
    let line = |line: &str| {
        let name = ["This folder", "Home"].iter().find_map(|name| Some(line.find(name)? + name.len()));
        match (name, line.find('│')) {
            (Some(end), Some(rule)) if rule > end => {
                format!("{} /…{}{}", &line[..end], " ".repeat(8), &line[rule..])
            }
            (Some(end), _) => format!("{} /…", &line[..end]),
            (None, _) => line.to_owned(),
        }
    };
    steady(screen).lines().map(line).collect::<Vec<_>>().join("\n")
}

const CREDENTIALS: &str =
    "[allas]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = s3cr3t/that+nobody=sees\n";
const S3CFG: &str =
    "[default]\naccess_key = ABCDEF\nsecret_key = s3cr3t/that+nobody=sees\nhost_base = s3.mesocentre.uca.fr\n";
const CONFIG: &str = "# mine\ntheme = \"deep\"\n\n[places]\neodata = \"s3://allas@eodata/\"\n\n# Finland\n[places.lab]\n\
                      endpoint = \"https://a3s.fi\"\nregion = \"regionOne\"\nprofile = \"allas\"\nread_only = false\n\
                      note = \"the project's share\"\n\n[places.archive]\nendpoint = \"https://a3s.fi\"\nprofile = \"allas\"\n\
                      read_only = true\n";

#[test]
fn all_groups_at_every_size() {
    run(async {
        let home =
            Home::new(&[(".aws/credentials", CREDENTIALS), (".s3cfg-uca", S3CFG), ("config/config.toml", CONFIG)]);
        for (name, size) in [("80x24", SMALL), ("200x60", LARGE), ("40x12", TINY)] {
            let mut cx = home.cx(false);
            cx.bookmarks = vec![Location::parse("s3://lab@bucket/2024/").expect("an address")];
            cx.recents = vec![Location::parse("https://example.org/stac/catalog.json").expect("an address")];
            let mut drive = Drive::start(Open::Places, cx, size);
            drive.see("Bookmarks").await;
            drive.keys("jjj").await;
            insta::assert_snapshot!(format!("places_{name}"), shot(&drive.screen()));
            assert!(!drive.screen().contains(SECRET));
        }
    });
}

#[test]
fn nothing_set_up_offers_the_demo_first_and_says_how_to_add_an_endpoint() {
    run(async {
        for (name, size) in [("80x24", SMALL), ("40x12", TINY)] {
            let mut drive = Home::new(&[]).start(size);
            drive.settle("the first words", |s| s.contains("Nothing is set up yet")).await;
            drive.see("▸ ● rw A lake").await;
            insta::assert_snapshot!(format!("first_{name}"), shot(&drive.screen()));
            drive.keys("a").await;
            drive.see("CSC Allas").await;
            insta::assert_snapshot!(format!("templates_{name}"), steady(&drive.screen()));
        }
    });
}

#[test]
fn the_form_of_a_template_at_every_size() {
    run(async {
        for (name, size) in [("80x24", SMALL), ("200x60", LARGE), ("40x12", TINY)] {
            let home = Home::new(&[]);
            let mut drive = home.start(size);
            drive.keys("a<Enter>").await;
            drive.see("allas").await;
            drive.keys("<Tab><Tab><Tab><Tab><Tab>").await;
            drive.text("AKIA").await;
            drive.keys("<Tab>").await;
            drive.text(SECRET).await;
            insta::assert_snapshot!(format!("form_{name}"), shot(&drive.screen()));
            drive.keys("<Esc>").await;
            drive.see("Esc again leaves it").await;
            drive.keys("<Esc>").await;
            drive.see("secchi").await;
            assert!(files(home.0.path()).iter().all(|(_, text)| !text.contains(SECRET)), "nothing was saved");
        }
    });
}

/// Types a server of one's own into the form, from the start screen.
async fn add_server(drive: &mut Drive, name: &str, endpoint: &str, key: &str, secret: &str) {
    drive.keys("a").await;
    drive.see("which kind?").await;
    drive.keys("jjjjjjjjj<Enter>").await;
    drive.see("from whoever runs it").await;
    drive.keys("<C-u>").await;
    drive.text(name).await;
    drive.keys("<Tab>").await;
    drive.text(endpoint).await;
    drive.keys("<Tab><Tab><Tab><Tab>").await;
    drive.text(key).await;
    drive.keys("<Tab>").await;
    drive.text(secret).await;
    assert!(!drive.screen().contains(secret), "{}", drive.screen());
    drive.keys("<C-s>").await;
}

#[test]
fn a_place_is_added_from_the_form_and_checked_on_ceph() {
    let Some(ceph) = Ceph::find() else { return };
    run(async {
        let (stores, bucket) = ceph.bucket().await;
        drop(stores);
        let home = Home::new(&[(".aws/credentials", CREDENTIALS), ("config/config.toml", CONFIG)]);
        let mut drive = home.start(LARGE);
        add_server(&mut drive, "ceph", &ceph.endpoint, &ceph.key, &ceph.secret).await;
        let screen = drive.settle("the end of the check", |s| s.contains("who am I") && !s.contains("asking")).await;
        assert!(screen.contains("median of 5") && screen.contains("✓ buckets"), "{screen}");
        assert!(screen.contains("agrees with the server's") && !screen.contains('✗'), "{screen}");
        assert!(!screen.contains(&ceph.secret), "{screen}");
        // Keys went to one file, and all else is as it was.
        let credentials = home.read(".aws/credentials");
        assert!(credentials.starts_with(CREDENTIALS) && credentials.contains(&ceph.secret), "appended");
        let config = home.read("config/config.toml");
        assert!(CONFIG.lines().all(|line| config.contains(line)), "{config}");
        for (path, text) in files(home.0.path()) {
            assert!(!text.contains(&ceph.secret) || path.ends_with(".aws/credentials"), "{}", path.display());
        }
        // It is a profile everywhere, at once and after a new start.
        let name = bucket.bucket().to_owned();
        drive.keys("o").await;
        drive.text(&format!("s3://ceph@{name}/")).await;
        drive.keys("<Enter>").await;
        drive.settle("the bucket", |s| s.contains("read-only") && s.contains(&name)).await;
        let stores = home.cx(false).stores;
        let at = Location::parse(&format!("s3://ceph@{name}/x")).expect("an address");
        let handle = stores.open(&at, stores.meter()).await.expect("opens");
        handle.put_object("x", "y".into(), &secchi::store::UploadMeta::default(), false).await.expect("written");
    });
}

#[test]
fn wrong_keys_and_a_dead_endpoint_say_so_and_can_be_corrected() {
    let Some(ceph) = Ceph::find() else { return };
    run(async {
        let home = Home::new(&[]);
        let mut drive = home.start(SMALL);
        add_server(&mut drive, "ceph", &ceph.endpoint, &ceph.key, SECRET).await;
        let screen = drive.settle("the refusal", |s| s.contains("✗ buckets") && !s.contains("asking")).await;
        assert!(screen.contains("→ check both keys and the endpoint"), "{screen}");
        // The keys are typed again, and replace those that were wrong.
        drive.keys("<Esc>e").await;
        drive.see("edit the place ceph").await;
        drive.keys("<Tab><Tab><Tab><Tab>").await;
        drive.text("t").await;
        drive.see("replace those of the profile `ceph`").await;
        drive.keys("<Tab>").await;
        drive.text(&ceph.key).await;
        drive.keys("<Tab>").await;
        drive.text(&ceph.secret).await;
        drive.keys("<C-s>").await;
        drive.settle("the end of the check", |s| s.contains("✓ buckets") && !s.contains("asking")).await;
        assert_eq!(home.read(".aws/credentials").matches("aws_secret_access_key").count(), 1);
        assert!(!home.read(".aws/credentials").contains(SECRET));
        drive.keys("<Esc>").await;
        // Nobody listens at this port.
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
        add_server(&mut drive, "dead", &format!("http://{free}"), "k", SECRET).await;
        drive.see("nothing listens at 127.0.0.1").await;
        let screen = drive.settle("the end of the check", |s| !s.contains("asking")).await;
        assert!(screen.contains("→ check the endpoint and the network") && !screen.contains("buckets"), "{screen}");
        // A certificate that nobody vouches for, then its authority.
        if let Some((tls, ca)) = &ceph.tls {
            drive.keys("<Esc>").await;
            add_server(&mut drive, "tls", tls, &ceph.key, &ceph.secret).await;
            drive.see("is not trusted").await;
            drive.settle("the end of the check", |s| !s.contains("asking")).await;
            drive.keys("<Esc>e").await;
            drive.see("certificates").await;
            drive.keys("<Tab><Tab><Tab><Tab><Tab><Tab><Tab>").await;
            drive.text(ca).await;
            drive.keys("<C-s>").await;
            let screen =
                drive.settle("the end of the check", |s| s.contains("who am I") && !s.contains("asking")).await;
            assert!(screen.contains("the certificate is trusted"), "{screen}");
        }
    });
}

#[test]
fn findings_come_one_by_one_from_a_slow_server() {
    let Some(ceph) = Ceph::find() else { return };
    run(async {
        let fault = Fault::start(ceph.port(), &["latency=150"]);
        let home = Home::new(&[]);
        let mut drive = home.start(SMALL);
        add_server(&mut drive, "far", &fault.endpoint(), &ceph.key, &ceph.secret).await;
        drive.settle("the first answer", |s| s.contains("✓ server") && s.contains("asking")).await;
        drive.keys("jk").await;
        let screen = drive.settle("the mark beside the place", |s| s.contains(" ms") && !s.contains("⟳")).await;
        assert!(!screen.contains("check of far"), "moving puts the sheet away: {screen}");
    });
}

#[test]
fn locks_are_seen_and_hold() {
    run(async {
        let home = Home::new(&[(".aws/credentials", CREDENTIALS), ("config/config.toml", CONFIG)]);
        let mut drive = home.start(SMALL);
        let screen = drive.see("● rw lab").await;
        assert!(screen.contains("○ ro archive") && screen.contains("○ ro eodata"), "{screen}");
        drive.keys("R").await;
        drive.see("● rw archive").await;
        drive.keys("R").await;
        drive.see("○ ro archive").await;
        drive.keys("jjR").await;
        drive.see("○ ro lab").await;
        // The start of the program goes before everything.
        let mut drive = Drive::start(Open::Places, home.cx(true), SMALL);
        drive.see("○ ro lab").await;
        drive.keys("jjR").await;
        drive.see("--read-only").await;
        // A form may not write to what is locked.
        let cx = home.cx(false);
        let source = Location::parse("/nowhere/x.csv").expect("an address");
        let mut drive = Drive::start(Open::ConvertForm { source }, cx, (100, 30));
        drive.see("convert x.csv").await;
        drive.keys("<Tab><Tab><C-u>").await;
        drive.text("s3://archive@b/x.parquet").await;
        drive.keys("<C-s>").await;
        drive.see("s3://archive@b is locked: R in its list").await;
    });
}

#[test]
fn places_are_filtered_bookmarked_and_forgotten() {
    run(async {
        let home = Home::new(&[(".aws/credentials", CREDENTIALS), ("config/config.toml", CONFIG)]);
        let mut drive = home.start(SMALL);
        drive.keys("/").await;
        drive.text("ghcn").await;
        let screen = drive.see("1 of ").await;
        assert!(screen.contains("▸ ○ ro NOAA GHCN daily"), "{screen}");
        drive.keys("<Enter><Esc>").await;
        drive.see("Local folders").await;
        drive.keys("gg").await;
        drive.keys("x").await;
        drive.see("Forget this place?").await;
        insta::assert_snapshot!("forget_80x24", shot(&drive.screen()));
        drive.keys("<Enter>").await;
        drive.gone("Forget this place?").await;
        assert_eq!(home.read("config/config.toml"), CONFIG, "Keep has the focus");
        drive.keys("xy").await;
        drive.gone("ro archive").await;
        let config = home.read("config/config.toml");
        assert!(config.contains("# Finland\n[places.lab]") && !config.contains("archive"), "{config}");
        assert_eq!(home.read(".aws/credentials"), CREDENTIALS);
        drive.keys("b").await;
        drive.see("Bookmarks").await;
        drive.keys("ggxy").await;
        drive.gone("Bookmarks").await;
        drive.keys("q").await;
        let (app, _) = drive.end().await;
        assert!(app.cx.bookmarks.is_empty() && !app.cx.config.places.contains_key("archive"));
    });
}

#[test]
fn what_is_wrong_in_the_form_is_said_at_its_field() {
    run(async {
        let home = Home::new(&[(".aws/credentials", CREDENTIALS), ("config/config.toml", CONFIG)]);
        let mut drive = home.start(LARGE);
        add_server(&mut drive, "lab", "http://127.0.0.1:1", "k", "sec ret").await;
        drive.see("a place of this name is there already").await;
        drive.see("the secret key is needed").await;
        drive.keys("<C-u>").await;
        drive.text("a b").await;
        drive.keys("<Tab><C-u>").await;
        drive.text("ftp://h").await;
        drive.keys("<C-s>").await;
        drive.see("is no name for a place").await;
        // A profile that is there is never written over by a new place.
        drive.keys("<C-u>").await;
        drive.text("allas").await;
        drive.keys("<Tab><C-u>").await;
        drive.text("http://127.0.0.1:1").await;
        drive.keys("<Tab><Tab><Tab><Tab><Tab><C-u>").await;
        drive.text("word").await;
        drive.keys("<C-s>").await;
        drive.see("the profile `allas` is there already").await;
        assert_eq!(home.read(".aws/credentials"), CREDENTIALS);
        assert_eq!(home.read("config/config.toml"), CONFIG);
    });
}

#[test]
fn a_folder_becomes_a_place_and_is_checked() {
    run(async {
        let home = Home::new(&[("data/a.csv", "x\n")]);
        let mut drive = home.start(SMALL);
        drive.keys("aG<Enter>").await;
        drive.see("only its path").await;
        drive.keys("<Tab><C-u>").await;
        drive.text(&format!("{}/", home.path("data").display())).await;
        drive.keys("<C-s>").await;
        drive.see("can be listed: a.csv").await;
        assert!(home.read("config/config.toml").contains("[places.data]"));
        drive.keys("<Enter>").await;
        drive.see("a.csv").await;
    });
}

/// The program without a screen, in a home of its own: exit code, stdout, stderr.
fn command(home: &Home, args: &[&str]) -> (i32, String, String) {
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_secchi"))
        .args(args)
        .env_clear()
        .env("HOME", home.0.path())
        .env("SECCHI_CONFIG_DIR", home.path("config"))
        .env("SECCHI_STATE_DIR", home.path("state"))
        .output()
        .expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (run.status.code().unwrap_or(-1), text(run.stdout), text(run.stderr))
}

#[test]
fn commands_know_the_places_and_their_locks() {
    let home = Home::new(&[(".aws/credentials", CREDENTIALS), (".s3cfg-uca", S3CFG), ("config/config.toml", CONFIG)]);
    let (code, listed, _) = command(&home, &["places", "ls", "--json"]);
    assert_eq!(code, 0);
    let places: Vec<serde_json::Value> =
        listed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let names: Vec<&str> = places.iter().filter_map(|p| p["name"].as_str()).collect();
    assert_eq!(names, ["archive", "lab", "allas", "s3cfg-uca", "eodata"]);
    assert_eq!((&places[0]["read_only"], &places[1]["region"]), (&true.into(), &"regionOne".into()));
    assert!(!listed.contains(SECRET) && !listed.contains("AKIAIOSFODNN7EXAMPLE"), "{listed}");
    // What the place forbids is refused before anything is asked of a server.
    let (code, _, err) = command(&home, &["mb", "s3://archive@new"]);
    assert!(code == 4 && err.contains("its place is read-only") && err.contains("read_only"), "{code}: {err}");
    let (code, _, err) = command(&home, &["places", "test", "nobody"]);
    assert!(code == 3 && err.contains("there is no profile `nobody`"), "{code}: {err}");
    std::fs::write(home.config(), "[places.x]\nendpiont = \"h\"").expect("written");
    let (code, _, err) = command(&home, &["places", "ls"]);
    assert!(code == 2 && err.contains("endpiont"), "{code}: {err}");
}

#[test]
fn commands_reach_a_configured_place_on_ceph() {
    let Some(ceph) = Ceph::find() else { return };
    let (key, secret, endpoint) = (&ceph.key, &ceph.secret, &ceph.endpoint);
    let keys = format!("[mine]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    let config = format!("[places.ceph]\nendpoint = \"{endpoint}\"\nprofile = \"mine\"\n");
    let home = Home::new(&[(".aws/credentials", &keys), ("config/config.toml", &config)]);
    let (code, told, err) = command(&home, &["places", "test", "ceph", "--json"]);
    assert_eq!(code, 0, "{told}{err}");
    let checks: Vec<serde_json::Value> = told.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let of = |name: &str| checks.iter().find(|c| c["check"] == name).unwrap_or_else(|| panic!("{name}: {told}"));
    assert!(of("round trip")["data"]["median_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{told}");
    assert!(of("buckets")["data"]["count"].is_number() && of("who am I")["state"] == "ok", "{told}");
    assert!(!told.contains(secret.as_str()), "{told}");
    assert_eq!(command(&home, &["ls", "s3://ceph@", "--limit", "1"]).0, 0);
}
