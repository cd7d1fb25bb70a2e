//! Whatever things are called and hold: no panic at any size of the screen, and no control character
//! on it (`Drive` looks at each cell of each frame).

use crate::cx;
use crate::cx::run;
use crate::drive::Drive;
use crate::support;
use crate::support::{Ceph, odd_keys, s3_options};
use crate::wire::{Asked, Reply, Wire};
use bytes::Bytes;
use futures::future::BoxFuture;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use secchi::error::{Error, Kind, Result};
use secchi::job::{Job, JobCx, JobSpec, Outcome};
use secchi::location::{Location, Scheme};
use secchi::preview::Probe;
use secchi::screen::{Cx, Open};
use secchi::store::{Stores, UploadMeta};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The same values in each run.
struct Chance(TestRunner);

impl Chance {
    fn new(seed: u8) -> Self {
        Self(TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32])))
    }

    fn any<T: std::fmt::Debug>(&mut self, of: impl Strategy<Value = T>) -> T {
        of.new_tree(&mut self.0).expect("a value").current()
    }

    fn size(&mut self) -> (u16, u16) {
        self.any(prop_oneof![(1_u16..=200, 1_u16..=60), (1_u16..=12, 1_u16..=6), (60_u16..=120, 20_u16..=40)])
    }
}

/// What can harm a screen, and what is wide, narrow, joined or right to left.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ".{0,40}",
        2 => "[\\x00-\\x1f\\x7f-\\u{9f}\\u{200b}-\\u{202e}\\u{2066}-\\u{2069}\\u{feff}a/]{1,20}",
        2 => "[a-z]{1,12}\\.(txt|csv|json|tif|zarr|parquet|bin|png|md|gz)",
        1 => "[日本語湖🦭👨‍👩‍👧e\\u{301}\\u{e9}ﷺ\\u{1f1eb}\\u{1f1ee}\\u{fe0f}\\u{200d}]{1,30}",
        1 => "([a-z]{1,3}/){0,4}[a-z/]{0,3}",
        1 => Just("x".repeat(600)),
        1 => Just("湖".repeat(200)),
    ]
}

/// What is in a file, of any kind that is looked into.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let cell = prop_oneof!["[a-z0-9.,\"\\n\\x00-\\x1f]{0,12}", text()];
    let table = proptest::collection::vec(proptest::collection::vec(cell, 1..8), 1..12);
    let csv =
        table.prop_map(|rows| rows.into_iter().map(|row| row.join(",")).collect::<Vec<_>>().join("\n").into_bytes());
    let value = (text(), text(), text()).prop_map(|(a, b, c)| {
        json!({
            "type": "Feature", "stac_version": "1.0.0", "id": a, "properties": {"datetime": b, "title": c, "x\u{1b}[2J": [a, b, null, 1e300]},
            "geometry": {"type": "Point", "coordinates": [1e308, -1e308]}, "bbox": [0, 0, 1e9],
            "assets": {a.clone(): {"href": b, "title": c, "type": a}, "x": {"href": "../x.tif"}},
            "links": [{"rel": "item", "href": c, "title": a}, {"rel": "child", "href": b}, {"rel": "next", "href": "?"}],
        })
        .to_string()
        .into_bytes()
    });
    prop_oneof![
        3 => csv,
        3 => value,
        2 => text().prop_map(String::into_bytes),
        2 => proptest::collection::vec(any::<u8>(), 0..3000),
        1 => proptest::collection::vec(text(), 0..60).prop_map(|lines| lines.join("\n").into_bytes()),
    ]
}

/// A bucket that is only said to be one.
#[derive(Debug)]
struct Bazaar {
    keys: Vec<(String, i64, String)>,
    contents: Vec<Vec<u8>>,
    header: String,
}

fn bazaar() -> impl Strategy<Value = Bazaar> {
    const TIMES: [&str; 4] = ["2024-06-03T09:40:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "never"];
    // One listing in ten holds times that are none, for which the whole of it may be refused.
    let times = prop_oneof![9 => Just(&TIMES[..3]), 1 => Just(&TIMES[..])];
    let size = prop_oneof![3 => 0_i64..10_000, 1 => 0..=i64::MAX];
    let entries = proptest::collection::vec((text(), size, any::<proptest::sample::Index>()), 0..30);
    let keys = (times, entries).prop_map(|(times, entries)| {
        entries.into_iter().map(|(name, size, at)| (name, size, (*at.get(times)).to_owned())).collect()
    });
    (keys, proptest::collection::vec(content(), 1..6), "[ -~]{0,200}").prop_map(|(keys, contents, header)| Bazaar {
        keys,
        contents,
        header,
    })
}

impl Bazaar {
    fn answer(&self, asked: &Asked) -> Reply {
        let (path, query) = asked.target().split_once('?').unwrap_or((asked.target(), ""));
        if query.contains("list-type=2") {
            return Reply::xml(200, &self.listing(query));
        }
        if path == "/" {
            let names = self.keys.iter().fold(String::new(), |mut out, (name, _, time)| {
                let name: String =
                    name.chars().filter(|c| !c.is_control() && !"<&>\u{fffe}\u{ffff}".contains(*c)).collect();
                let _ = write!(out, "<Bucket><Name>{name}</Name><CreationDate>{time}</CreationDate></Bucket>");
                out
            });
            return Reply::xml(
                200,
                &format!("<ListAllMyBucketsResult><Buckets>{names}</Buckets></ListAllMyBucketsResult>"),
            );
        }
        if query.contains("tagging") {
            return Reply::xml(
                200,
                "<Tagging><TagSet><Tag><Key>&#x9b;2J</Key><Value>&#x202e;</Value></Tag></TagSet></Tagging>",
            );
        }
        if !query.is_empty() && !query.contains("x-id=") {
            return Reply::xml(501, "<Error><Code>NotImplemented</Code></Error>");
        }
        let key = percent_decode_str(path).decode_utf8_lossy().into_owned();
        let content = &self.contents[key.len() % self.contents.len()];
        self.object(asked, content)
    }

    fn listing(&self, query: &str) -> String {
        let pick = |name: &str| {
            let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            percent_decode_str(found.unwrap_or_default()).decode_utf8_lossy().into_owned()
        };
        let prefix = pick("prefix");
        let mut out = "<ListBucketResult><EncodingType>url</EncodingType>".to_owned();
        for (name, size, time) in &self.keys {
            let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
            let before = utf8_percent_encode(&prefix, NON_ALPHANUMERIC);
            let _ = if name.ends_with('/') {
                write!(out, "<CommonPrefixes><Prefix>{before}{encoded}</Prefix></CommonPrefixes>")
            } else {
                write!(
                    out,
                    "<Contents><Key>{before}{encoded}</Key><Size>{size}</Size><LastModified>{time}</LastModified><ETag>\"e\"</ETag></Contents>"
                )
            };
        }
        out + "</ListBucketResult>"
    }

    fn object(&self, asked: &Asked, content: &[u8]) -> Reply {
        let range = asked.header("range").and_then(|r| {
            let (start, end) = r.strip_prefix("bytes=")?.split_once('-')?;
            let start = start.parse::<usize>().ok()?;
            Some((start, end.parse::<usize>().map_or(content.len(), |end| end.saturating_add(1)).min(content.len())))
        });
        let (status, (start, end)) = match range {
            Some((start, _)) if start >= content.len() => {
                return Reply::xml(416, "<Error><Code>InvalidRange</Code></Error>");
            }
            Some(range) => (206, range),
            None => (200, (0, content.len())),
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\ncontent-range: bytes {start}-{}/{}\r\netag: \"e\"\r\n\
             last-modified: Mon, 03 Jun 2024 09:40:00 GMT\r\ncontent-type: {header}\r\nx-amz-meta-a: {header}\r\nx-amz-storage-class: {header}\r\n\
             x-amz-version-id: {header}\r\nconnection: close\r\n\r\n",
            end - start,
            end.saturating_sub(1),
            content.len(),
            header = self.header,
        );
        let body = if asked.method() == "HEAD" { &[][..] } else { &content[start..end] };
        Reply::Raw([head.as_bytes(), body].concat())
    }
}

/// One server for all bazaars, one after the other: making a client takes longer than all else.
struct Fair {
    now: Arc<Mutex<Arc<Bazaar>>>,
    wire: Wire,
    stores: Stores,
}

impl Fair {
    async fn open(first: Bazaar) -> Self {
        let now = Arc::new(Mutex::new(Arc::new(first)));
        let shown = now.clone();
        let wire = Wire::start(move |asked| {
            let bazaar = shown.lock().expect("the bazaar").clone();
            Box::pin(async move { bazaar.answer(&asked) })
        })
        .await;
        let stores = Stores::new(s3_options(&wire.endpoint(), "k", "s"));
        Self { now, wire, stores }
    }

    fn show(&self, next: Bazaar) {
        *self.now.lock().expect("the bazaar") = Arc::new(next);
    }
}

/// Keys that lead everywhere but out, and to no file of this computer.
fn presses() -> impl Strategy<Value = Vec<&'static str>> {
    let keys = [
        "j",
        "k",
        "jjj",
        "G",
        "gg",
        "l",
        "h",
        "<Enter>",
        "<Esc>",
        "<Backspace>",
        "<Tab>",
        "<S-Tab>",
        "m",
        "s",
        "S",
        "i",
        "y",
        "n",
        "N",
        "v",
        "a",
        "<Space>",
        "b",
        "H",
        "L",
        "/",
        "a",
        "e",
        "<PageDown>",
        "<C-d>",
        "<C-u>",
        "R",
        "w",
        "+",
        "-",
        "f",
        "T",
        "t",
        "]",
        "[",
        "1",
        "?",
        ":",
        "@",
        "o",
        "B",
        "c",
        "<F5>",
        "<Up>",
        "<Home>",
        "<End>",
        "<Left>",
        "<Right>",
    ];
    proptest::collection::vec(proptest::sample::select(keys.to_vec()), 10..28)
}

/// Types until the program ends by itself or the keys do.
async fn play(mut drive: Drive, keys: &[&str]) {
    // What is asked for arrives while the keys go on: most of it, so that there is something to go on with.
    drive.quiet(Duration::from_millis(60)).await;
    for key in keys {
        if drive.has_ended() || !drive.press(key).await {
            return;
        }
        drive.quiet(Duration::from_millis(10)).await;
    }
}

#[test]
fn any_bucket_is_drawn_at_any_size() {
    run(async {
        let mut chance = Chance::new(11);
        let fair = Fair::open(chance.any(bazaar())).await;
        for n in 0..24 {
            fair.show(chance.any(bazaar()));
            let state = tempfile::tempdir().expect("a folder");
            let mut cx = cx::with_stores(state.path(), fair.stores.clone());
            cx.unicode = n % 5 != 0;
            let root = Location::parse(if n % 4 == 3 { "s3://" } else { "s3://bucket/" }).expect("a location");
            let drive = Drive::start(Open::Browse(root), cx, chance.size());
            play(drive, &chance.any(presses())).await;
        }
        let asked = fair.wire.asked();
        let listings = asked.iter().filter(|asked| asked.target().contains("list-type=2")).count();
        let looks = asked.iter().filter(|asked| asked.header("range").is_some()).count();
        assert!(listings > 20 && looks > 5, "{listings} listings and {looks} looks are no walk");
    });
}

#[test]
fn any_content_is_looked_at_at_any_size() {
    run(async {
        let mut chance = Chance::new(12);
        let names = [
            "x.txt",
            "x.csv",
            "x.json",
            "item.json",
            "catalog.json",
            "x.bin",
            "x",
            "x.tif",
            "x.png",
            "x.parquet",
            "x.zarr/",
            "x.csv.gz",
            "x.md",
        ];
        let fair = Fair::open(chance.any(bazaar())).await;
        for n in 0..39 {
            let mut of = chance.any(bazaar());
            of.contents.truncate(1);
            fair.show(of);
            let state = tempfile::tempdir().expect("a folder");
            let cx = cx::with_stores(state.path(), fair.stores.clone());
            let at = Location::parse("s3://bucket/").expect("a location").with_key(names[n % names.len()]);
            let open = if n % 3 == 0 { secchi::screens::open_of(at) } else { Open::Preview(Probe::new(at)) };
            let keys =
                ["j", "G", "gg", "e", "e", "l", "e", "<C-d>", "i", "<Esc>", "y", "<Esc>", "h", "e", "<PageDown>"];
            let mut drive = Drive::start(open, cx, chance.size());
            drive.settle("a look, or why there is none", |screen| !screen.contains("loading")).await;
            play(drive, &keys).await;
        }
    });
}

/// Work whose every word comes from elsewhere.
struct Shout(Vec<String>);

impl Job for Shout {
    fn title(&self) -> String {
        self.0[0].clone()
    }

    fn spec(&self) -> JobSpec {
        JobSpec { kind: "upload".to_owned(), params: json!({ "text": self.0 }) }
    }

    fn command(&self) -> Vec<String> {
        self.0.clone()
    }

    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            for text in &self.0 {
                cx.control.note(text.clone());
                cx.control.step(text.clone());
                cx.event(json!({ "event": text, text: text }));
            }
            cx.control.set_total(u64::MAX);
            cx.control.set_done(u64::MAX - 1);
            if self.0[1].len().is_multiple_of(2) {
                return Err(Error::new(Kind::Failed, self.0[1].clone()).with_hint(self.0[2].clone()));
            }
            let at = Location::new(Scheme::S3, Some(self.0[1].clone()), &self.0[2], &self.0[0]);
            Ok(Outcome { summary: self.0[2].clone(), written: vec![at], data: json!(self.0) })
        })
    }
}

/// A context all of whose texts come from elsewhere.
fn shouting(chance: &mut Chance, folder: &std::path::Path) -> Cx {
    let mut cx = cx::for_tests(folder);
    let at = |chance: &mut Chance| {
        let (profile, bucket, key) = chance.any((proptest::option::of(text()), text(), text()));
        Location::new(Scheme::S3, profile, &bucket, &key)
    };
    cx.recents = (0..6).map(|_| at(chance)).collect();
    cx.bookmarks = (0..6).map(|_| at(chance)).collect();
    for _ in 0..3 {
        cx.toast(chance.any(text()));
    }
    cx.fail(&Error::new(Kind::Failed, chance.any(text())).with_hint(chance.any(text())));
    cx.last_command = Some(chance.any(proptest::collection::vec(text(), 1..4)));
    cx
}

#[test]
fn places_jobs_and_popups_are_drawn_at_any_size() {
    run(async {
        let mut chance = Chance::new(13);
        for n in 0..24 {
            let state = tempfile::tempdir().expect("a folder");
            let cx = shouting(&mut chance, state.path());
            for _ in 0..3 {
                let words = chance.any(proptest::collection::vec(text(), 3..=3));
                if n % 3 == 1 {
                    // A job may be refused for its name; then there is nothing to draw.
                    if let Ok(id) = cx.jobs.start(Box::new(Shout(words))) {
                        cx.jobs.wait(&id).await;
                    }
                }
            }
            let (bucket, key) = chance.any((text(), text()));
            let location = Location::new(Scheme::S3, None, &bucket, &key);
            let open = match n % 6 {
                0 | 3 => Open::Places,
                1 | 4 => Open::Jobs(None),
                2 => Open::Message { title: bucket, lines: chance.any(proptest::collection::vec(text(), 0..40)) },
                _ => Open::CopyMenu { locations: vec![location], media_type: Some(key) },
            };
            let keys = [
                "j", "k", "G", "gg", "m", "m", "m", "m", "+", "-", "f", "y", "<Esc>", "?", "<Esc>", ":", "<Esc>", "@",
                "<Esc>", "T", "w", "j",
            ];
            play(Drive::start(open, cx, chance.size()), &keys).await;
        }
    });
}

/// The keys that no path can spell, in the real program on a real gateway: the cursor goes to each,
/// Enter opens it, and what is seen is what is in it.
#[test]
fn every_key_is_browsed() {
    let Some(ceph) = Ceph::find() else { return };
    run(async {
        let (stores, root) = ceph.bucket().await;
        let handle = stores.open(&root, stores.meter()).await.expect("opens");
        let keys: BTreeMap<String, String> =
            odd_keys().into_iter().enumerate().map(|(n, key)| (key, format!("content number {n:03}"))).collect();
        for (key, body) in &keys {
            let put = handle.put_object(key, Bytes::from(body.clone()), &UploadMeta::default(), false).await;
            put.unwrap_or_else(|err| panic!("{key:?}: {err:?}"));
        }
        let mut containers = vec![root.clone()];
        let mut seen = Vec::new();
        while let Some(at) = containers.pop() {
            let mut listed = support::entries(stores.list(&at)).await;
            listed.sort_by(|a, b| a.name.cmp(&b.name));
            let state = tempfile::tempdir().expect("a folder");
            let mut drive =
                Drive::start(Open::Browse(at.clone()), cx::with_stores(state.path(), stores.clone()), (160, 80));
            let entries = if listed.len() == 1 { "1 entr".to_owned() } else { format!("{} entr", listed.len()) };
            drive
                .settle("the whole list", |screen| {
                    screen.contains('▸') && !screen.contains('…') || screen.contains(&entries)
                })
                .await;
            for (n, entry) in listed.iter().enumerate() {
                let child = entry.location(&at);
                if n > 0 {
                    drive.keys("j").await;
                }
                let Some(body) = keys.get(child.key()).filter(|_| !entry.kind.is_container()) else {
                    containers.push(child);
                    continue;
                };
                drive.see(body).await;
                drive.keys("<Enter>").await;
                drive.settle("it alone", |screen| screen.contains(body.as_str()) && !screen.contains('▸')).await;
                drive.keys("<Esc>").await;
                drive.settle("the list again", |screen| screen.contains('▸')).await;
                seen.push(child.key().to_owned());
            }
        }
        seen.sort();
        assert_eq!(seen, keys.into_keys().collect::<Vec<_>>());
    });
}
