//! Downloads: byte for byte, checked, resumed, and never outside their folder. On a real Ceph gateway where the
//! environment names one, on `s3s-fs` in this process, and on servers that misbehave.

#![allow(clippy::print_stderr)] // a skipped test says so

#[path = "support/bucket.rs"]
mod bucket;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/cx.rs"]
mod cx;
#[path = "support/kill.rs"]
mod kill;
mod support;
#[path = "support/wire.rs"]
mod wire;

use bucket::Bucket;
use bytes::Bytes;
use cli::Program;
use kill::Killer;
use md5::{Digest as _, Md5};
use secchi::action::Action;
use secchi::error::{Kind, Result};
use secchi::job::State;
use secchi::location::Location;
use secchi::screen::{Flow, Open};
use secchi::store::{Options, Stores, UploadMeta};
use secchi::task::Control;
use secchi::transfer::{Check, Checksum, DownloadSpec, Downloads, IfExists, Resume, Source, Trail, UploadSpec, Why};
use secchi::transfer::{download, upload};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Ceph, Fault, S3s, new_bucket, odd_keys, s3_options};
use wire::{Asked, Reply, Wire};

const MIB: usize = 1 << 20;

/// Bytes without a period that divides a part or range.
fn body(size: usize) -> Vec<u8> {
    let block: Vec<u8> = (0..=250).cycle().take(100_003).collect();
    let mut bytes = block.repeat(size / block.len() + 1);
    bytes.truncate(size);
    bytes
}

/// Stores, a bucket, and a folder to download to.
struct Place {
    stores: Stores,
    root: Location,
    dir: tempfile::TempDir,
    _server: Option<S3s>,
}

impl Place {
    fn new(stores: Stores, root: Location) -> Self {
        Self { stores, root, dir: tempfile::tempdir().expect("a folder"), _server: None }
    }

    fn memory() -> Self {
        Self::new(Stores::new(Options::default()), Location::parse("memory:///b/").expect("a location"))
    }

    async fn s3s() -> Self {
        let server = S3s::start().await;
        let (stores, root) = new_bucket(Stores::new(server.options())).await;
        Self { _server: Some(server), ..Self::new(stores, root) }
    }

    async fn ceph() -> Option<Self> {
        let (stores, root) = Ceph::find()?.bucket().await;
        Some(Self::new(stores, root))
    }

    async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Location {
        let handle = self.stores.open(&self.root, self.stores.meter()).await.expect("opens");
        let at = self.root.with_key(format!("{}{key}", self.root.key()));
        handle.put_object(at.key(), bytes.into(), &UploadMeta::default(), false).await.expect(key);
        at
    }

    async fn put_in_parts(&self, key: &str, bytes: &[u8]) -> Location {
        let (path, to) = (self.dir.path().join("source"), self.root.child(key));
        std::fs::write(&path, bytes).expect("writes");
        let spec = UploadSpec {
            files: vec![Source::new(path)],
            destination: to.clone(),
            meta: UploadMeta::default(),
            if_exists: IfExists::Fail,
            checksum: Checksum::default(),
        };
        upload(&self.stores, &spec, &Control::default(), &Resume::default()).await.expect(key);
        to
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("target")
    }

    fn spec(&self, sources: &[Location]) -> DownloadSpec {
        DownloadSpec {
            sources: sources.to_vec(),
            destination: Location::file(&self.target()).as_container(),
            if_exists: IfExists::Fail,
            check: true,
        }
    }

    async fn get(&self, spec: &DownloadSpec) -> Result<Downloads> {
        download(&self.stores, spec, &Control::new(self.stores.meter().child()), &Trail::default()).await
    }

    /// All files below the target, hidden ones too.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.target())
    }
}

fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().expect("a type").is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
                found.insert(name, std::fs::read(&path).unwrap_or_default());
            }
        }
    }
    found
}

fn modified(path: &Path) -> i64 {
    chrono::DateTime::<chrono::Utc>::from(std::fs::metadata(path).expect("is there").modified().expect("a time"))
        .timestamp()
}

async fn comes_as_it_is(place: &Place) {
    let objects = [("empty", 0), ("a/one", 1), ("a/two", 2 * MIB), ("b/single.bin", 20 * MIB + 7)];
    for (key, size) in objects {
        place.put(key, body(size)).await;
    }
    place.put_in_parts("b/parts.bin", &body(41 * MIB + 3)).await;
    let control = Control::new(place.stores.meter().child());
    let done =
        download(&place.stores, &place.spec(std::slice::from_ref(&place.root)), &control, &Trail::default()).await;
    let done = done.expect("downloads");
    let top = place.root.bucket().to_owned();
    let found = place.files();
    assert_eq!(found.len(), 5, "{:?}", found.keys());
    for (key, size) in objects.into_iter().chain([("b/parts.bin", 41 * MIB + 3)]) {
        assert!(found[&format!("{top}/{key}")] == body(size), "{key} is another");
        let stat = place.stores.stat(&place.root.child(key), place.stores.meter()).await.expect("is there");
        let at = place.target().join(&top).join(key);
        assert_eq!(modified(&at), stat.modified.expect("a time").timestamp(), "{key}");
    }
    let check = |key: &str| done.files.iter().find(|f| f.location.key() == key).and_then(|f| f.check);
    assert_eq!(check("a/one"), Some(Check::Md5));
    assert_eq!(check("b/single.bin"), Some(Check::Md5));
    assert!(matches!(check("b/parts.bin"), Some(Check::PartsMd5 | Check::Md5)), "{:?}", check("b/parts.bin"));
    let (done_bytes, total) = control.progress();
    assert_eq!(done_bytes, total);
    // One for each small file; two, a HEAD and its tags, besides the ranges for the others; and the listing.
    let ranges = 3 + 6;
    assert!(control.meter.counts().requests <= 3 + 2 * 2 + ranges + 2, "{:?}", control.meter.counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_come_as_they_are_from_s3s() {
    comes_as_it_is(&Place::s3s().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_come_as_they_are_from_ceph() {
    let Some(place) = Place::ceph().await else { return };
    comes_as_it_is(&place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_odd_key_becomes_a_file_of_its_own_below_the_target() {
    let Some(place) = Place::ceph().await else { return };
    let keys = odd_keys();
    for key in &keys {
        place.put(key, key.clone()).await;
    }
    let beside = files(place.dir.path());
    let done = place.get(&place.spec(std::slice::from_ref(&place.root))).await.expect("downloads");
    assert!(done.refused.is_empty(), "{:?}", done.refused);
    let mut bodies: Vec<Vec<u8>> = place.files().into_values().collect();
    let mut expected: Vec<Vec<u8>> = keys.iter().map(|key| key.clone().into_bytes()).collect();
    bodies.sort();
    expected.sort();
    assert!(bodies == expected, "{} files of {} keys", bodies.len(), expected.len());
    let outside: Vec<_> = files(place.dir.path()).into_keys().filter(|name| !name.starts_with("target/")).collect();
    assert_eq!(outside, beside.into_keys().collect::<Vec<_>>());
    for name in place.files().into_keys() {
        assert!(!name.contains(char::is_control), "{name:?}");
    }
    // One by one they come the same way.
    let one = place.spec(&[place.root.with_key("../x")]);
    let one = DownloadSpec { destination: Location::file(&place.dir.path().join("one")).as_container(), ..one };
    place.get(&one).await.expect("downloads");
    assert_eq!(files(&place.dir.path().join("one")).into_keys().collect::<Vec<_>>(), ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_collide_are_told() {
    let place = Place::memory();
    for key in ["p/dir", "p/dir/x", "p/dir (1)"] {
        place.put(key, key.to_owned()).await;
    }
    let mut spec = place.spec(&[place.root.child("p")]);
    let done = place.get(&spec).await.expect("downloads");
    assert_eq!(place.files().len(), 3);
    let renamed: Vec<_> = done.files.iter().filter_map(|f| f.renamed).collect();
    assert_eq!(renamed.len(), 2, "{renamed:?}");
    assert!(renamed.contains(&Why::Folder) && renamed.contains(&Why::Taken));

    // What stands there already is told before anything is read.
    let requests = place.stores.meter().counts().bytes_in;
    let err = place.get(&spec).await.map(drop).expect_err("exists");
    assert_eq!(err.kind(), Kind::Exists);
    assert_eq!(place.stores.meter().counts().bytes_in, requests);
    let before = place.files();
    spec.if_exists = IfExists::Skip;
    let done = place.get(&spec).await.expect("skips");
    assert!(done.files.iter().all(|f| f.skipped) && place.files() == before);
    spec.if_exists = IfExists::Rename;
    place.get(&spec).await.expect("renames");
    assert_eq!(place.files().len(), 6);
    std::fs::write(place.target().join("p/dir/x"), "mine").expect("writes");
    spec.if_exists = IfExists::Overwrite;
    place.get(&spec).await.expect("overwrites");
    assert_eq!(place.files().len(), 6);
    assert_eq!(place.files()["p/dir/x"], b"p/dir/x");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_below_the_target_is_written_through() {
    let place = Place::memory();
    place.put("p/out/x", "evil").await;
    place.put("p/y", "good").await;
    let outside = place.dir.path().join("outside");
    std::fs::create_dir_all(&outside).expect("a folder");
    std::fs::create_dir_all(place.target().join("p")).expect("a folder");
    std::os::unix::fs::symlink(&outside, place.target().join("p/out")).expect("a link");
    let mut spec = place.spec(&[place.root.child("p/")]);
    spec.if_exists = IfExists::Overwrite;
    let done = place.get(&spec).await.expect("downloads the rest");
    assert_eq!(done.files.len(), 1);
    assert!(done.refused[0].why.contains("is a link"), "{:?}", done.refused);
    assert_eq!(std::fs::read_dir(&outside).expect("lists").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_object_may_name_its_file_and_a_prefix_its_objects() {
    let place = Place::memory();
    let one = place.put("p/x.tif", "1").await;
    place.put("p/sub/y", "2").await;
    let mut spec = place.spec(std::slice::from_ref(&one));
    spec.destination = Location::file(&place.target().join("new.tif"));
    place.get(&spec).await.expect("downloads");
    assert_eq!(place.files().into_keys().collect::<Vec<_>>(), ["new.tif"]);
    // Without its slash it is a prefix all the same, since there is no such object.
    spec.sources = vec![place.root.child("p")];
    place.get(&spec).await.map(drop).expect_err("new.tif is a file");
    spec.destination = Location::file(&place.target());
    place.get(&spec).await.expect("downloads");
    assert_eq!(place.files().into_keys().collect::<Vec<_>>(), ["new.tif", "p/sub/y", "p/x.tif"]);
    spec.sources = vec![place.root.child("none")];
    assert_eq!(place.get(&spec).await.map(drop).map_err(|e| e.kind()), Err(Kind::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_goes_on_where_it_was() {
    let server = S3s::start().await;
    let (stores, root) = new_bucket(Stores::new(server.options())).await;
    let direct = Place::new(stores, root.clone());
    direct.put_in_parts("large", &body(24 * MIB + 11)).await;
    direct.put("small", body(900_000)).await;
    for fault in [["reset=3000000", "times=40"], ["close=3000000", "times=40"], ["stall=3000000", "times=6"]] {
        let proxy = Fault::start(server.port(), &fault);
        let mut options = s3_options(&proxy.endpoint(), "key", "secret");
        options.silence = Some(Duration::from_millis(400));
        let place = Place::new(Stores::new(options), root.clone());
        let done = place.get(&place.spec(std::slice::from_ref(&root))).await;
        done.unwrap_or_else(|err| panic!("{fault:?}: {err}"));
        let found = place.files();
        assert_eq!(found.len(), 2, "{:?}", found.keys());
        assert!(found[&format!("{}/large", root.bucket())] == body(24 * MIB + 11), "{fault:?}");
        assert!(found[&format!("{}/small", root.bucket())] == body(900_000), "{fault:?}");
        let read = place.stores.meter().counts().bytes_in;
        assert!(read < 32 * MIB as u64, "{fault:?}: {read} bytes were read");
    }
}

/// What a server of one object does wrong.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
struct Wrong {
    /// So many answers have a byte of another value.
    altered: usize,
    /// After so many answers the object is another one.
    changes: Option<usize>,
    /// The `ETag` of answers is not that of the object.
    other_etag: bool,
    /// Ranges are not known.
    no_ranges: bool,
    /// Nothing tells the version.
    no_version: bool,
    /// So many requests are answered with 503.
    busy: usize,
    /// Bodies end early although they say their length.
    short: bool,
}

/// A server of one object, `x.bin`, as S3 and the web have it.
async fn server(first: Vec<u8>, then: Vec<u8>, wrong: Wrong) -> Wire {
    let (asked, altered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let bodies = Arc::new([first, then]);
    Wire::start(move |request: Asked| {
        let (n, altered, bodies) = (asked.fetch_add(1, Relaxed), altered.clone(), bodies.clone());
        Box::pin(async move { Reply::Raw(answer(&request, n, &altered, &bodies, wrong)) })
    })
    .await
}

fn answer(request: &Asked, n: usize, altered: &AtomicUsize, bodies: &[Vec<u8>; 2], wrong: Wrong) -> Vec<u8> {
    let refuse = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    if n < wrong.busy {
        return refuse("503 Slow Down").into();
    }
    if request.target().contains("tagging") {
        return Reply::xml(200, "<Tagging><TagSet></TagSet></Tagging>").raw();
    }
    let body = &bodies[usize::from(wrong.changes.is_some_and(|at| n >= at))];
    let sum = Md5::digest(body).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let etag = if wrong.other_etag { format!("\"{}\"", "0".repeat(32)) } else { format!("\"{sum}\"") };
    if !wrong.no_version && request.header("if-match").is_some_and(|wanted| wanted != etag) {
        return refuse("412 Precondition Failed").into();
    }
    let range = request.header("range").filter(|_| !wrong.no_ranges).and_then(|range| {
        let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
        let end = if end.is_empty() { body.len() } else { end.parse::<usize>().ok()? + 1 };
        Some(start.parse::<usize>().ok()?..end.min(body.len()))
    });
    let mut head = match &range {
        Some(range) => {
            format!("HTTP/1.1 206 X\r\ncontent-range: bytes {}-{}/{}\r\n", range.start, range.end - 1, body.len())
        }
        None => "HTTP/1.1 200 X\r\n".to_owned(),
    };
    let range = range.unwrap_or(0..body.len());
    let _ = write!(head, "content-length: {}\r\nconnection: close\r\n", range.len());
    if !wrong.no_version {
        let _ = write!(head, "etag: {etag}\r\nlast-modified: Wed, 01 Nov 2023 10:00:00 GMT\r\n");
    }
    head.push_str("\r\n");
    if request.method() == "HEAD" {
        return head.into();
    }
    let mut bytes = body[range].to_vec();
    if bytes.len() > 1 && altered.fetch_add(1, Relaxed) < wrong.altered {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }
    if wrong.short {
        bytes.truncate(bytes.len() / 3);
    }
    [head.as_bytes(), &bytes].concat()
}

/// Downloads `x.bin` of such a server by S3; then what lies in the target.
async fn by_s3(size: usize, wrong: Wrong) -> (Result<Downloads>, BTreeMap<String, Vec<u8>>) {
    let mut other = body(size + 5);
    other.reverse();
    let wire = server(body(size), other, wrong).await;
    let place = Place::new(
        Stores::new(s3_options(&wire.endpoint(), "key", "secret")),
        Location::parse("s3://b/").expect("a location"),
    );
    let done = place.get(&place.spec(&[place.root.child("x.bin")])).await;
    (done, place.files())
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_bytes_are_never_taken() {
    for size in [100_000, 20 * MIB] {
        let (done, found) = by_s3(size, Wrong { altered: usize::MAX, ..Wrong::default() }).await;
        let err = done.map(drop).expect_err("is altered");
        assert_eq!(err.kind(), Kind::Invalid, "{err}");
        assert!(err.to_string().contains("altered"), "{err}");
        assert!(found.is_empty(), "{size}: {:?}", found.keys());
        // Once is borne.
        let (done, found) = by_s3(size, Wrong { altered: 1, ..Wrong::default() }).await;
        assert_eq!(done.expect("reads it again").files[0].check, Some(Check::Md5));
        assert!(found["x.bin"] == body(size));
        let (done, found) = by_s3(size, Wrong { other_etag: true, ..Wrong::default() }).await;
        assert_eq!(done.map(drop).map_err(|e| e.kind()), Err(Kind::Invalid), "a wrong ETag");
        assert!(found.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changes_is_read_again_as_it_is_now() {
    let (done, found) = by_s3(20 * MIB, Wrong { changes: Some(4), ..Wrong::default() }).await;
    let done = done.expect("reads the new one");
    let mut other = body(20 * MIB + 5);
    other.reverse();
    assert_eq!((done.files[0].size, done.files[0].check), (other.len() as u64, Some(Check::Md5)));
    assert!(found["x.bin"] == other);
    assert_eq!(found.len(), 1, "{:?}", found.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_waited_for_and_a_short_body_never_taken() {
    let (done, found) = by_s3(20 * MIB, Wrong { busy: 9, ..Wrong::default() }).await;
    done.expect("waits");
    assert!(found["x.bin"] == body(20 * MIB));
    let (done, found) = by_s3(100_000, Wrong { short: true, ..Wrong::default() }).await;
    // Each answer brings a third of what is missing: at its end it is whole.
    if done.is_ok() {
        assert!(found["x.bin"] == body(100_000));
    } else {
        assert!(found.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn web_servers_are_read_as_well_as_they_allow() {
    for (wrong, check, size) in [
        (Wrong::default(), Check::Md5, 20 * MIB),
        (Wrong { other_etag: true, ..Wrong::default() }, Check::Length, 20 * MIB),
        (Wrong { no_ranges: true, ..Wrong::default() }, Check::Md5, 20 * MIB),
        (Wrong { no_version: true, ..Wrong::default() }, Check::Length, 20 * MIB),
        (Wrong { no_version: true, ..Wrong::default() }, Check::Length, 1_000),
    ] {
        let wire = server(body(size), Vec::new(), wrong).await;
        let place = Place::new(Stores::new(Options::default()), Location::parse("memory:///").expect("a location"));
        let source = Location::parse(&format!("{}/d/x.bin?sig=secret", wire.endpoint())).expect("a location");
        let done = place.get(&place.spec(&[source])).await.unwrap_or_else(|err| panic!("{wrong:?}: {err}"));
        assert_eq!(done.files[0].check, Some(check), "{wrong:?}");
        assert!(place.files()["x.bin"] == body(size), "{wrong:?}");
        if !wrong.no_version {
            assert_eq!(modified(&place.target().join("x.bin")), 1_698_832_800);
        }
        let sent = wire.asked().len();
        assert!(sent <= 8, "{wrong:?}: {sent} requests");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_leaves_nothing_and_failing_leaves_what_goes_on() {
    let place = Place::s3s().await;
    let large = place.put_in_parts("large", &body(48 * MIB)).await;
    let spec = place.spec(std::slice::from_ref(&large));
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let control = Control::new(place.stores.meter().child());
    let (sink, stop) = (seen.clone(), control.clone());
    let trail = Trail::new(&[], move |event| {
        let mut seen = sink.lock().expect("events");
        if event["event"] == "range" && seen.iter().any(|e| e["event"] == "range") {
            stop.cancel();
        }
        seen.push(event);
    });
    let err = download(&place.stores, &spec, &control, &trail).await.map(drop).expect_err("cancelled");
    assert_eq!(err.kind(), Kind::Cancelled);
    assert!(place.files().is_empty(), "{:?}", place.files().keys());

    // The same, but dropped in the middle: what was read is not read again, what was damaged is.
    let again = seen.clone();
    again.lock().expect("events").clear();
    let gone = Arc::new(tokio::sync::Notify::new());
    let (sink, told) = (seen.clone(), gone.clone());
    let trail = Trail::new(&[], move |event| {
        let mut seen = sink.lock().expect("events");
        seen.push(event);
        if seen.iter().filter(|e| e["event"] == "range").count() == 3 {
            told.notify_one();
        }
    });
    let control = Control::new(place.stores.meter().child());
    tokio::select! {
        _ = download(&place.stores, &spec, &control, &trail) => panic!("was to be dropped"),
        () = gone.notified() => {}
    }
    let events = seen.lock().expect("events").clone();
    let hidden = place.target().join(events.iter().find_map(|e| e["temp"].as_str()).expect("begun"));
    let damaged = events.iter().find(|e| e["event"] == "range").expect("a range")["at"].as_u64().expect("a number");
    let file = std::fs::OpenOptions::new().write(true).open(&hidden).expect("the hidden file");
    std::os::unix::fs::FileExt::write_all_at(&file, b"damage", damaged + 77).expect("writes");
    let control = Control::new(place.stores.meter().child());
    let trail = Trail::new(&events, |_| {});
    let done = download(&place.stores, &spec, &control, &trail).await.expect("goes on");
    assert_eq!(done.files.len(), 1);
    assert!(place.files()["large"] == body(48 * MIB));
    assert_eq!(place.files().len(), 1);
    let ranges = events.iter().filter(|e| e["event"] == "range").count() as u64;
    let most = 48 * MIB as u64 - (ranges - 1) * 8 * MIB as u64 + 4096;
    assert!(control.meter.counts().bytes_in <= most, "{:?}", control.meter.counts());
}

#[test]
fn a_killed_download_is_resumed_until_it_is_whole() {
    let Some(ceph) = Ceph::find() else { return };
    let bucket = Bucket::new(&ceph);
    let program = Program::new().with_keys(&ceph.endpoint, &ceph.key, &ceph.secret);
    let size = kill::mib(160) * MIB;
    let source = program.write("source.bin", body(size));
    program.run(&["put", &source, &bucket.at("large.bin")]).ok();
    let (kills, ranges) = (kill::kills(6), size.div_ceil(8 * MIB));
    let args = ["get", &bucket.at("large.bin"), "out/"];
    let story = Killer::new(&program).run(&args, kills, "range", ranges, Duration::from_millis(30));
    assert!(std::fs::read(program.folder("out/large.bin")).expect("is there") == body(size));
    assert_eq!(files(&program.folder("out")).len(), 1, "no hidden file is left");
    // What was under way when it was killed is read again, and what the journal was about to say.
    let most = ranges + story.kills * 16;
    assert!(story.count("range") <= most, "{} ranges of {ranges}, {} kills", story.count("range"), story.kills);
    assert!(story.last.stderr.contains("by the MD5 of its parts"), "{}", story.last.stderr);
}

#[test]
fn a_killed_download_of_many_files_misses_none_and_has_none_twice() {
    let Some(ceph) = Ceph::find() else { return };
    let bucket = Bucket::new(&ceph);
    let program = Program::new().with_keys(&ceph.endpoint, &ceph.key, &ceph.secret);
    let count = kill::number("SECCHI_KILL_FILES", 300) as usize;
    for n in 0..count {
        program.write(&format!("set/d{}/{n:05}.bin", n % 7), format!("{n} ").repeat(500));
    }
    program.run(&["put", &program.folder("set").to_string_lossy(), &bucket.at("")]).ok();
    // Names are taken by the rule that would make doubles, were one file written twice.
    let args = ["get", &bucket.at("set/"), "out/", "--if-exists", "rename"];
    let story = Killer::new(&program).run(&args, kill::kills(6), "file", count, Duration::from_millis(20));
    let (sent, found) = (files(&program.folder("set")), files(&program.folder("out/set")));
    assert_eq!(found.len(), count);
    assert!(sent == found, "byte for byte, name for name");
    assert_eq!(story.count("file"), count, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_is_filled_in_already_and_starts_the_job() {
    let place = Place::memory();
    let sources = vec![place.put("p/x.tif", "1").await, place.root.child("p/")];
    let mut context = cx::with_stores(place.dir.path(), place.stores.clone());
    let mut form = secchi::screens::open(Open::DownloadForm { sources }, &mut context);
    let here = std::env::current_dir().expect("a folder").to_string_lossy().into_owned();
    let picture = cx::picture(form.as_mut(), &context, 140, 40);
    for words in ["download 2 selected", "memory:///b/p/  and all below it", &format!("{here}/"), "ask"] {
        assert!(picture.contains(words), "{words}: {picture}");
    }
    for (width, height) in [(80, 24), (40, 12), (1, 1), (9, 3), (51, 15)] {
        cx::picture(form.as_mut(), &context, width, height);
    }
    for _ in 0..=here.len() {
        form.edit(&secchi::widgets::input::Edit::Backspace, &mut context);
    }
    assert!(matches!(form.update(Action::Submit, &mut context), Flow::Done), "a folder is needed");
    let target = format!("{}/", place.target().display());
    form.edit(&secchi::widgets::input::Edit::Insert(target.clone()), &mut context);
    assert!(matches!(form.update(Action::Submit, &mut context), Flow::Close));
    let command = context.last_command.clone().expect("a command").join(" ");
    assert_eq!(command, format!("get memory:///b/p/x.tif memory:///b/p/ {target} --if-exists ask"));
    let id = context.jobs.views()[0].id.clone();
    let ended = context.jobs.wait(&id).await.expect("ends");
    assert_eq!(ended.state, State::Done, "{ended:?}");
    assert_eq!(place.files().into_keys().collect::<Vec<_>>(), ["p/x.tif", "x.tif"]);
}

#[test]
fn the_command_says_what_it_did() {
    let Some(ceph) = Ceph::find() else { return };
    let bucket = Bucket::new(&ceph);
    bucket.put("p/lake.csv", "depth\n1\n");
    bucket.put("p/../x", "odd");
    let program = Program::new().with_keys(&ceph.endpoint, &ceph.key, &ceph.secret);
    let run = program.run(&["get", &bucket.at("p/"), "out", "--json"]).ok();
    let end = run.json().pop().expect("an end");
    assert_eq!((end["event"].as_str(), end["data"]["files"].as_u64()), (Some("end"), Some(2)));
    assert_eq!(end["data"]["renamed"][0]["why"], "leads-elsewhere");
    assert_eq!(end["data"]["checked"]["md5"], 2);
    assert_eq!(end["title"], format!("download p/ ← {}", bucket.name));
    let again = program.run(&["get", &bucket.at("p/"), "out"]);
    assert_eq!(again.code, 6, "{}", again.stderr);
    let one = program.run(&["get", &bucket.at("p/lake.csv"), "out/depth.csv"]).ok();
    assert!(one.stderr.contains("checked by MD5"), "{}", one.stderr);
    assert_eq!(std::fs::read(program.folder("out/depth.csv")).expect("is there"), b"depth\n1\n");
    assert_eq!(program.run(&["get", &bucket.at("none"), "out"]).code, 3);
    assert_eq!(program.run(&["get", &bucket.at("p/"), "s3://other/"]).code, 2);
    program.keeps_secrets();
}
