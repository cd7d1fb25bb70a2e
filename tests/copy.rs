//! Copies and moves: within a real Ceph gateway, through this computer to another server and back, on the disk;
//! nothing lost, nothing twice, also when the program is killed.

#![allow(clippy::print_stderr)] // a skipped test says so

#[path = "support/bucket.rs"]
mod bucket;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/cx.rs"]
mod cx;
#[path = "support/kill.rs"]
mod kill;
#[path = "support/mod.rs"]
mod support;
#[path = "support/wire.rs"]
mod wire;

use bytes::Bytes;
use secchi::action::Action;
use secchi::error::{Kind, Result};
use secchi::location::Location;
use secchi::screen::Open;
use secchi::store::{Given, Options, Stores, UploadMeta};
use secchi::task::Control;
use secchi::transfer::{CopyRecord, CopyReport, CopySpec, IfExists, copy};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Ceph, S3s};

const MIB: usize = 1 << 20;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// All that can stand beside bytes on every server here.
fn meta() -> UploadMeta {
    UploadMeta {
        content_type: Some("image/tiff".into()),
        metadata: map(&[("fairease.catalog.mediatype", "COG"), ("depth", "4.2 m")]),
        content_encoding: Some("zstd".into()),
        content_language: Some("fi".into()),
        content_disposition: Some("attachment; filename=\"x y.tif\"".into()),
        cache_control: Some("max-age=60".into()),
        ..UploadMeta::default()
    }
}

fn with_tags() -> UploadMeta {
    UploadMeta { tags: map(&[("project", "lakes & rivers"), ("year", "2024")]), ..meta() }
}

/// No period that divides a part, so that exchanged parts are noticed.
fn bytes(size: usize) -> Bytes {
    let block: Vec<u8> = (0..=250).cycle().take(100_003).collect();
    let mut all = block.repeat(size / block.len() + 1);
    all.truncate(size);
    all.into()
}

async fn put(stores: &Stores, at: &Location, body: Bytes, meta: &UploadMeta) {
    let handle = stores.open(at, stores.meter()).await.expect("opens");
    handle.put_object(at.key(), body, meta, false).await.unwrap_or_else(|e| panic!("{at}: {e:?}"));
}

async fn get(stores: &Stores, at: &Location) -> Vec<u8> {
    let handle = stores.open(at, stores.meter()).await.expect("opens");
    let size = stores.stat(at, stores.meter()).await.unwrap_or_else(|e| panic!("{at}: {e:?}")).size;
    handle.read_range(at, 0..size).await.expect("reads").to_vec()
}

async fn is_absent(stores: &Stores, at: &Location) -> bool {
    matches!(stores.stat(at, stores.meter()).await, Err(err) if err.kind() == Kind::NotFound)
}

async fn keys(stores: &Stores, at: &Location) -> Vec<String> {
    let mut keys: Vec<String> =
        support::entries(stores.list_all(at)).await.into_iter().map(|entry| entry.name.into()).collect();
    keys.sort();
    keys
}

async fn run(stores: &Stores, spec: &CopySpec) -> Result<CopyReport> {
    copy(stores, spec, &Control::new(stores.meter().child()), &CopyRecord::default()).await
}

/// A record, and something to do at the first event of a name.
fn recording(
    earlier: &[Value],
    name: &'static str,
    act: impl Fn() + Send + Sync + 'static,
) -> (CopyRecord, Arc<Mutex<Vec<Value>>>) {
    let events: Arc<Mutex<Vec<Value>>> = Arc::default();
    let sink = events.clone();
    let record = CopyRecord::new(earlier, move |event| {
        let is_it = event["event"] == name;
        let mut events = sink.lock().expect("lock");
        let is_first = is_it && !events.iter().any(|e| e["event"] == name);
        events.push(event);
        drop(events);
        if is_first {
            act();
        }
    });
    (record, events)
}

fn count(events: &Mutex<Vec<Value>>, name: &str) -> usize {
    events.lock().expect("lock").iter().filter(|e| e["event"] == name).count()
}

/// What is copied in parts of 5 MiB.
fn in_parts(spec: CopySpec) -> CopySpec {
    CopySpec { whole: 6 * MIB as u64, part: 5 * MIB as u64, ..spec }
}

fn moving(spec: CopySpec) -> CopySpec {
    CopySpec { moves: true, ..spec }
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_server_all_is_kept_whole_and_in_parts() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, one) = ceph.bucket().await;
    let (_, two) = support::new_bucket(stores.clone()).await;
    for (name, size) in [("small.tif", 100_000), ("empty", 0), ("large.tif", 17 * MIB + 5)] {
        let (from, to) = (one.child(name), two.child(&format!("in/{name}")));
        put(&stores, &from, bytes(size), &with_tags()).await;
        let control = Control::new(stores.meter().child());
        let spec = in_parts(CopySpec::new(vec![from.clone()], two.child("in/")));
        let (record, events) = recording(&[], "part", || {});
        let done = copy(&stores, &spec, &control, &record).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!((done.objects, done.within, done.bytes), (1, 1, size as u64));
        assert_eq!(done.written, std::slice::from_ref(&to));
        assert!(control.meter.counts().bytes_in < 100_000, "no byte of it comes through here");
        assert_eq!(count(&events, "part"), if size > 6 * MIB { 4 } else { 0 });
        let stat = done.stat.expect("a proof");
        let was = stores.stat(&from, stores.meter()).await.expect("is there");
        assert_eq!(UploadMeta::of(&stat), UploadMeta::of(&was), "{name}");
        assert_eq!(UploadMeta::of(&stat), with_tags(), "{name}");
        assert_eq!(get(&stores, &to).await, bytes(size));

        // And away from there, to another name.
        let spec = in_parts(moving(CopySpec::new(vec![to.clone()], one.child(&format!("moved-{name}")))));
        let done = run(&stores, &spec).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(UploadMeta::of(&done.stat.expect("a proof")), with_tags());
        assert!(is_absent(&stores, &to).await, "{name} was moved");
        assert_eq!(get(&stores, &one.child(&format!("moved-{name}"))).await, bytes(size));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_are_copied_and_moved_as_they_are() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, one) = ceph.bucket().await;
    let (_, two) = support::new_bucket(stores.clone()).await;
    let mut all = support::odd_keys();
    for key in &all {
        put(&stores, &one.with_key(key), Bytes::from(key.clone()), &meta()).await;
    }
    let done = run(&stores, &CopySpec::new(vec![one.clone()], two.clone())).await.expect("copies a bucket");
    all.sort();
    assert_eq!((done.objects as usize, done.within as usize), (all.len(), all.len()));
    assert_eq!(keys(&stores, &two).await, all);
    let long = |key: &String| key.len() > 900;
    for key in &all {
        assert_eq!(get(&stores, &two.with_key(key)).await, key.as_bytes(), "{key:?}");
        // One alone, to another odd name.
        if !long(key) && !key.ends_with('/') {
            let spec = moving(CopySpec::new(vec![two.with_key(key)], two.with_key(format!("{key}?versionId=%2F"))));
            run(&stores, &spec).await.unwrap_or_else(|e| panic!("{key:?}: {e:?}"));
            assert!(is_absent(&stores, &two.with_key(key)).await, "{key:?}");
            assert_eq!(get(&stores, &two.with_key(format!("{key}?versionId=%2F"))).await, key.as_bytes());
        }
    }
}

/// Stores that reach Ceph without a profile and another server as `other`, with a bucket on each.
async fn two_servers(ceph: &Ceph) -> (Stores, Location, Location, S3s) {
    let server = S3s::start().await;
    let stores = Stores::new(ceph.options());
    stores.give(
        "other",
        Given {
            endpoint: server.endpoint.clone(),
            region: "us-east-1".into(),
            access_key: "key".into(),
            secret_key: "secret".into(),
        },
    );
    let (_, near) = support::new_bucket(stores.clone()).await;
    let far = Location::parse(&format!("s3://other@far-{}/", ulid::Ulid::new().to_string().to_lowercase())).expect("x");
    stores.open(&far, stores.meter()).await.expect("opens").create_bucket().await.expect("a bucket");
    (stores, near, far, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn between_servers_it_goes_through_here_and_back() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, near, far, _server) = two_servers(&ceph).await;
    for (name, size) in [("small.tif", 100_000), ("empty", 0), ("large.tif", 33 * MIB + 5)] {
        put(&stores, &near.child(name), bytes(size), &meta()).await;
        let spec = CopySpec::new(vec![near.child(name)], far.child("in/"));
        let done = run(&stores, &spec).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!((done.objects, done.within), (1, 0));
        assert_eq!(get(&stores, &far.child(&format!("in/{name}"))).await, bytes(size));
        let spec = moving(CopySpec::new(vec![far.child(&format!("in/{name}"))], near.child("back/")));
        let done = run(&stores, &spec).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let stat = done.stat.expect("a proof");
        assert_eq!(stat.metadata, meta().metadata);
        assert_eq!(stat.content_type, meta().content_type);
        assert!(is_absent(&stores, &far.child(&format!("in/{name}"))).await, "{name} was moved");
        assert_eq!(get(&stores, &near.child(&format!("back/{name}"))).await, bytes(size));
    }
    // Tags would be lost there: a copy says so, a move does not delete.
    put(&stores, &near.child("tagged"), bytes(10), &with_tags()).await;
    let control = Control::new(stores.meter().child());
    let spec = CopySpec::new(vec![near.child("tagged")], far.clone());
    copy(&stores, &spec, &control, &CopyRecord::default()).await.expect("copies");
    assert!(control.take_notes().iter().any(|note| note.contains("tags were not kept")));
    let spec = CopySpec { if_exists: IfExists::Overwrite, ..moving(spec) };
    let err = run(&stores, &spec).await.expect_err("would lose them");
    assert!(err.to_string().contains("its tags cannot be kept"), "{err}");
    assert!(!is_absent(&stores, &near.child("tagged")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_goes_with_all_that_is_below() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, near, far, _server) = two_servers(&ceph).await;
    let names: Vec<String> = (0..60).map(|n| format!("{}/{n:03}.json", n % 3)).collect();
    for name in &names {
        put(&stores, &near.child(&format!("set/{name}")), Bytes::from(name.clone()), &meta()).await;
    }
    put(&stores, &near.child("set/1/"), Bytes::new(), &meta()).await;
    put(&stores, &near.child("settings"), Bytes::new(), &meta()).await;
    let below = |prefix: &str| -> Vec<String> { names.iter().map(|name| format!("{prefix}{name}")).collect() };
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let (record, events) = recording(&[], "file", || {});
    let control = Control::new(stores.meter().child());
    let spec = CopySpec::new(vec![near.child("set/")], near.child("into/"));
    let done = copy(&stores, &spec, &control, &record).await.expect("copies");
    assert_eq!((done.objects, done.within, count(&events, "file")), (61, 61, 61));
    assert_eq!(control.progress(), (done.bytes, done.bytes));
    assert_eq!(control.current_step(), "61 of 61 objects");
    assert_eq!(keys(&stores, &near.child("into/set/")).await.len(), 61);

    // Again: what is there is in the way, or left out.
    assert_eq!(run(&stores, &spec).await.expect_err("stands there").kind(), Kind::Exists);
    let skipped = run(&stores, &CopySpec { if_exists: IfExists::Skip, ..spec.clone() }).await.expect("left out");
    assert_eq!((skipped.objects, skipped.skipped), (0, 61));
    let again = run(&stores, &CopySpec { if_exists: IfExists::Overwrite, ..spec }).await.expect("replaced");
    assert_eq!(again.objects, 61);

    // Without a slash it is a new name; a name without an object is a prefix.
    let spec = moving(CopySpec::new(vec![near.child("into/set")], near.child("renamed")));
    assert_eq!(run(&stores, &spec).await.expect("moves").objects, 61);
    assert_eq!(keys(&stores, &near.child("into/")).await, Vec::<String>::new());
    let err = run(&stores, &CopySpec { recursive: false, ..spec }).await.expect_err("is no object");
    assert_eq!(err.kind(), Kind::NotFound);
    put(&stores, &near.child("renamed/x"), Bytes::new(), &meta()).await;
    let spec = CopySpec { recursive: false, ..CopySpec::new(vec![near.child("renamed")], far.clone()) };
    assert!(run(&stores, &spec).await.expect_err("a prefix").hint().is_some_and(|hint| hint.contains("-r")));

    // To another server, to the disk, and from there.
    let spec = CopySpec::new(vec![near.child("set/0/"), near.child("set/2/")], far.clone());
    assert_eq!(run(&stores, &spec).await.expect("copies").objects, 40);
    let dir = tempfile::tempdir().expect("a folder");
    let local = Location::file(dir.path()).as_container();
    let spec = moving(CopySpec::new(vec![far.child("0/"), far.child("2/")], local.clone()));
    assert_eq!(run(&stores, &spec).await.expect("moves").objects, 40);
    assert_eq!(std::fs::read(dir.path().join("2/002.json")).expect("reads"), b"2/002.json");
    let back = moving(CopySpec::new(vec![local.child("0/"), local.child("2/")], near.child("back/")));
    assert_eq!(run(&stores, &back).await.expect("moves").objects, 40);
    assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 0, "folders go when they are empty");
    let expected: Vec<String> = below("").into_iter().filter(|name| !name.starts_with('1')).collect();
    assert_eq!(keys(&stores, &near.child("back/")).await, sorted(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_harm_is_refused_before_anything_is_written() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    put(&stores, &root.child("a/x"), bytes(10), &meta()).await;
    put(&stores, &root.child("b/x"), bytes(11), &meta()).await;
    let spec = |from: &[&str], to: &str| {
        moving(CopySpec::new(from.iter().map(|key| root.with_key(*key)).collect(), root.with_key(to)))
    };
    let secret = ceph.secret.clone();
    // The same bucket under another profile, at an address that is written otherwise.
    let endpoint = ceph.endpoint.replace("127.0.0.1", "localhost");
    let given = Given { endpoint, region: "us-east-1".into(), access_key: ceph.key.clone(), secret_key: secret };
    stores.give("alias", given);
    for (spec, words) in [
        (spec(&["a/x"], "a/x"), "onto itself"),
        (spec(&["a/x"], "a/"), "onto itself"),
        (spec(&["a/"], ""), "onto itself"),
        (spec(&["a/"], "a"), "onto itself"),
        (spec(&["a/"], "a/"), "into itself"),
        (spec(&["a/"], "a/deep/er"), "into itself"),
        (spec(&["a/x", "b/x"], "c/"), "would both become"),
        (spec(&["none"], "c/"), "there is no"),
        (spec(&["none/"], "c/"), "nothing below"),
    ] {
        let err = run(&stores, &spec).await.expect_err(words);
        assert!(err.to_string().contains(words), "{err}");
    }
    let alias = Location::parse(&format!("s3://alias@{}/a/x", root.bucket())).expect("location");
    let onto = CopySpec { if_exists: IfExists::Overwrite, ..moving(CopySpec::new(vec![root.child("a/x")], alias)) };
    let err = run(&stores, &onto).await.expect_err("is the same object");
    eprintln!("{err}");
    assert_eq!(get(&stores, &root.child("a/x")).await, bytes(10), "it is still there");

    let locked = Stores::new(Options { read_only: true, ..ceph.options() });
    let err = run(&locked, &CopySpec::new(vec![root.child("a/x")], root.child("c/"))).await.expect_err("read-only");
    assert_eq!(err.kind(), Kind::Denied);
    let config = secchi::config::Config::from_toml(&format!(
        "[places.vault]\naddress = \"s3://\"\nendpoint = \"{}\"\nread_only = true\n",
        ceph.endpoint
    ))
    .expect("a configuration");
    let locked = Stores::new(Options { places: config.places, ..ceph.options() });
    let vault = Location::parse(&format!("s3://vault@{}/a/x", root.bucket())).expect("location");
    for (moves, from, to) in [(true, vault.clone(), root.child("c/")), (false, root.child("a/x"), vault.child("c"))] {
        let spec = CopySpec { moves, ..CopySpec::new(vec![from], to) };
        let err = run(&locked, &spec).await.expect_err("is locked");
        assert!(err.to_string().contains("read-only"), "{err}");
    }
    assert_eq!(keys(&stores, &root).await, ["a/x", "b/x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changes_is_noticed() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, near, far, _server) = two_servers(&ceph).await;
    for (name, target) in [("within", near.clone()), ("through", far.clone())] {
        let from = near.child(name);
        put(&stores, &from, bytes(80 * MIB), &meta()).await;
        let spec = in_parts(moving(CopySpec::new(vec![from.clone()], target.child("new"))));
        let (other, at, runtime) = (stores.clone(), from.clone(), tokio::runtime::Handle::current());
        let (record, _) = recording(&[], "part", move || {
            let (other, at) = (other.clone(), at.clone());
            // It is another from the first part on.
            let write = async move { put(&other, &at, bytes(79 * MIB), &meta()).await };
            tokio::task::block_in_place(|| runtime.block_on(write));
        });
        let result = copy(&stores, &spec, &Control::new(stores.meter().child()), &record).await;
        let err = result.map(drop).expect_err("it changed");
        assert_eq!(err.kind(), Kind::Changed, "{err}");
        assert!(is_absent(&stores, &target.child("new")).await, "nothing is in its place");
        assert_eq!(stores.stat(&from, stores.meter()).await.expect("is there").size, 79 * MIB as u64);
    }
    let bucket = bucket::Bucket::again(&ceph, near.bucket());
    tokio::task::block_in_place(|| {
        assert_eq!(bucket.uploads(), []);
        drop(bucket);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_goes_on_and_nothing_is_done_twice() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, near, far, _server) = two_servers(&ceph).await;
    for (name, target) in [("within", near.clone()), ("through", far.clone())] {
        let from = near.child(name);
        put(&stores, &from, bytes(60 * MIB), &meta()).await;
        let spec = in_parts(moving(CopySpec::new(vec![from.clone()], target.child("new"))));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stop = Mutex::new(Some(stop));
        let (record, events) = recording(&[], "part", move || drop(stop.lock().expect("lock").take()));
        let task = tokio::spawn({
            let (stores, spec) = (stores.clone(), spec.clone());
            async move { copy(&stores, &spec, &Control::default(), &record).await.map(drop) }
        });
        let _ = stopped.await;
        // Nothing is cleaned up when this is dropped, as if the program were killed.
        task.abort();
        let _ = task.await;
        let earlier = events.lock().expect("lock").clone();
        let known = count(&events, "part");
        let (record, events) = recording(&earlier, "copied", || {});
        let done = copy(&stores, &spec, &Control::default(), &record).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!((done.objects, known + count(&events, "part")), (1, 12), "{name}: only what was missing");
        assert_eq!(get(&stores, &target.child("new")).await, bytes(60 * MIB));
        assert!(is_absent(&stores, &from).await);

        // Cut off before the deletion: it is made up for; after it: it is known.
        put(&stores, &from, bytes(60 * MIB), &meta()).await;
        let all: Vec<Value> = earlier.iter().cloned().chain(events.lock().expect("lock").clone()).collect();
        let before: Vec<Value> = all.iter().filter(|event| event["event"] != "file").cloned().collect();
        for earlier in [before.clone(), before, all] {
            let (record, events) = recording(&earlier, "file", || {});
            let done = copy(&stores, &spec, &Control::default(), &record).await.unwrap_or_else(|e| panic!("{e:?}"));
            assert_eq!((done.objects, count(&events, "part")), (1, 0));
            assert!(is_absent(&stores, &from).await);
            assert_eq!(get(&stores, &target.child("new")).await, bytes(60 * MIB));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_copied_and_moved_on_the_disk() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = Location::file(dir.path()).as_container();
    let stores = Stores::new(Options::default());
    let write = |name: &str, size: usize| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, bytes(size)).expect("writes");
    };
    let names = || {
        let mut found = Vec::new();
        let mut left = vec![dir.path().to_owned()];
        while let Some(folder) = left.pop() {
            for entry in std::fs::read_dir(folder).expect("lists").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    left.push(path);
                } else {
                    found.push(path.strip_prefix(dir.path()).expect("below").to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    };
    write("set/a", 0);
    write("set/deep/b", 40 * MIB + 1);
    let spec = CopySpec::new(vec![root.child("set")], root.child("copy"));
    let (record, events) = recording(&[], "file", || {});
    let control = Control::default();
    let done = copy(&stores, &spec, &control, &record).await.expect("copies");
    assert_eq!((done.objects, count(&events, "file")), (2, 2));
    assert_eq!(control.progress().0, 40 * MIB as u64 + 1);
    assert_eq!(names(), ["copy/a", "copy/deep/b", "set/a", "set/deep/b"]);
    assert_eq!(std::fs::read(dir.path().join("copy/deep/b")).expect("reads"), bytes(40 * MIB + 1));
    assert_eq!(run(&stores, &CopySpec { destination: root.child("copy"), ..spec }).await.expect("into").objects, 2);
    assert_eq!(names().len(), 6, "a folder that is there is gone into");
    for _ in 0..2 {
        let spec =
            CopySpec { if_exists: IfExists::Rename, ..CopySpec::new(vec![root.child("copy/a")], root.child("set/")) };
        run(&stores, &spec).await.expect("another name");
    }
    run(&stores, &moving(CopySpec::new(vec![root.child("copy/")], root.child("moved")))).await.expect("moves");
    let expected =
        ["moved/a", "moved/deep/b", "moved/set/a", "moved/set/deep/b", "set/a", "set/a (1)", "set/a (2)", "set/deep/b"];
    assert_eq!(names(), expected);
    std::os::unix::fs::symlink(dir.path().join("set"), dir.path().join("link")).expect("a link");
    let err = run(&stores, &moving(CopySpec::new(vec![root.child("set/a")], root.child("link/a")))).await;
    assert!(err.expect_err("by another way").to_string().contains("onto itself"));
    let err = run(&stores, &CopySpec::new(vec![root.child("set/")], root.child("link/deep/"))).await;
    assert!(err.expect_err("by another way").to_string().contains("into itself"));
    std::fs::remove_file(dir.path().join("link")).expect("removes");
    let control = Control::default();
    let stop = control.clone();
    let (record, _) = recording(&[], "begun", move || stop.cancel());
    let spec = CopySpec::new(vec![root.child("set/deep/b")], root.child("never"));
    let result = copy(&stores, &spec, &control, &record).await;
    assert_eq!(result.map(drop).map_err(|e| e.kind()), Err(Kind::Cancelled));
    assert_eq!(names(), expected, "nothing is left of it");
}

/// A program that reaches Ceph by its environment, and another server by a profile.
fn program(ceph: &Ceph, other: &str) -> cli::Program {
    let program = cli::Program::new().with_keys(&ceph.endpoint, &ceph.key, &ceph.secret);
    let profile = format!(
        "[profile other]\nendpoint_url = {other}\nregion = us-east-1\naws_access_key_id = key\naws_secret_access_key = secret\n"
    );
    program.write(".aws/config", profile);
    program
}

#[test]
fn a_killed_copy_or_move_is_whole_in_the_end() {
    let Some(ceph) = Ceph::find() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(S3s::start());
    // As other servers do, what stands before it brings to its end what was asked for, although who asked has gone.
    let port = server.port();
    let wire = runtime.block_on(wire::Wire::start(move |_| Box::pin(async move { wire::Reply::Of(port) })));
    let program = program(&ceph, &wire.endpoint());
    let bucket = bucket::Bucket::new(&ceph);
    let size = kill::mib(64) * MIB;
    let parts = size.div_ceil(5 * MIB);
    let far = format!("s3://other@far-{}", bucket.name);
    program.run(&["mb", &format!("{far}/")]).ok();
    let mut killer = kill::Killer::new(&program);
    let options = ["--json", "--whole", "6000000", "--part", "5242880"];
    let mut go = |verb: &str, from: &str, to: &str, parts: usize| {
        let args: Vec<&str> = [verb, from, to].into_iter().chain(options).collect();
        let story = killer.run(&args, kill::kills(3), "part", parts, Duration::from_millis(100));
        let written: BTreeMap<u64, usize> = story.events("part").fold(BTreeMap::new(), |mut all, event| {
            *all.entry(event["part"].as_u64().expect("a number")).or_default() += 1;
            all
        });
        assert!(written.len() == parts && written.values().all(|n| *n == 1), "each part once: {written:?}");
        assert_eq!(story.events("end").last().expect("an end")["outcome"]["data"]["objects"], 1);
    };
    bucket.put("source.tif", bytes(size));
    go("cp", &bucket.at("source.tif"), &bucket.at("copy.tif"), parts);
    go("mv", &bucket.at("copy.tif"), &bucket.at("moved.tif"), parts);
    go("mv", &bucket.at("moved.tif"), &format!("{far}/moved.tif"), parts);
    go("mv", &format!("{far}/moved.tif"), &bucket.at("back.tif"), parts);
    assert_eq!(bucket.keys(), ["back.tif", "source.tif"]);
    assert!(bucket.get("back.tif").expect("is there") == bytes(size), "byte by byte");
    assert_eq!(bucket.uploads(), [], "none is orphaned");
    program.keeps_secrets();
}

#[test]
fn a_killed_move_of_many_loses_none() {
    let Some(ceph) = Ceph::find() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(S3s::start());
    let program = program(&ceph, &server.endpoint);
    let bucket = bucket::Bucket::new(&ceph);
    let names: Vec<String> = (0..300).map(|n| format!("{}/ö {n:03}.json", n % 7)).collect();
    for name in &names {
        bucket.put(&format!("set/{name}"), name.as_bytes());
    }
    let far = format!("s3://other@far-{}", bucket.name);
    program.run(&["mb", &format!("{far}/")]).ok();
    let mut killer = kill::Killer::new(&program);
    for (from, to) in [
        (bucket.at("set/"), bucket.at("new")),
        (bucket.at("new/"), format!("{far}/there")),
        (format!("{far}/there/"), bucket.at("back")),
    ] {
        let args = ["mv", "-r", &from, &to, "--json"];
        let story = killer.run(&args, kill::kills(4), "file", names.len(), Duration::from_millis(30));
        let data = &story.events("end").last().expect("an end")["outcome"]["data"];
        assert_eq!((&data["skipped"], &data["objects"]), (&json!(0), &json!(names.len())));
    }
    let mut expected: Vec<String> = names.iter().map(|name| format!("back/{name}")).collect();
    expected.sort();
    assert_eq!(bucket.keys(), expected);
    for name in &names {
        assert_eq!(bucket.get(&format!("back/{name}")).as_deref(), Some(name.as_bytes()), "{name}");
    }
}

#[tokio::test]
async fn the_form_says_what_will_become_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut context = cx::for_tests(folder.path());
    let at = |text: &str| Location::parse(text).expect(text);
    let open = |sources: &[&str], other: Option<&str>, moves, context: &mut secchi::screen::Cx| {
        let sources = sources.iter().map(|text| at(text)).collect();
        let (here, other) = (at("s3://allas@lakes/2024/"), other.map(at));
        secchi::screens::open(Open::CopyForm { sources, here, other, moves }, context)
    };
    let mut form = open(&["s3://allas@lakes/2024/B02.tif"], None, false, &mut context);
    insta::assert_snapshot!("form_80x24", cx::picture(form.as_mut(), &context, 80, 24));
    let many = ["s3://allas@lakes/2024/a/", "s3://allas@lakes/2024/b", "s3://allas@lakes/2024/c.tif"];
    let mut form = open(&many, Some("s3://eodata@in/"), true, &mut context);
    insta::assert_snapshot!("form_moves_100x30", cx::picture(form.as_mut(), &context, 100, 30));
    for width in [1, 5, 9, 20, 40, 51] {
        for height in [1, 2, 3, 7, 13, 15] {
            cx::picture(form.as_mut(), &context, width, height);
        }
    }
    form.update(Action::Submit, &mut context);
    assert!(cx::picture(form.as_mut(), &context, 100, 30).contains("✗ s3://eodata@in is locked"));
    let id = at("s3://eodata@in/").store().clone();
    context.set_writable(&id, true);
    form.update(Action::Submit, &mut context);
    let picture = cx::picture(form.as_mut(), &context, 100, 30);
    assert!(picture.contains("✗ s3://allas@lakes is locked"), "what is moved is deleted there: {picture}");
    let mut form = open(&["s3://allas@lakes/2024/"], Some("s3://allas@lakes/2024/"), false, &mut context);
    form.update(Action::Submit, &mut context);
    let picture = cx::picture(form.as_mut(), &context, 100, 30);
    assert!(picture.contains("becomes s3://allas@lakes/2024/") || picture.contains("onto itself"), "{picture}");
}
