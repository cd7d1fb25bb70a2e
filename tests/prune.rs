//! What takes away takes no more than was meant: deleting, unfinished uploads, syncing. On a real Ceph gateway
//! where `SECCHI_CEPH` names one, on the server of the demo, and on the local disk.

#[path = "support/bucket.rs"]
mod bucket;
#[path = "support/cli.rs"]
mod cli;
mod support;

use bucket::Bucket;
use bytes::Bytes;
use cli::{Program, until};
use futures::{StreamExt as _, TryStreamExt as _};
use secchi::error::Kind;
use secchi::location::Location;
use secchi::store::{Stores, UploadMeta, Victim};
use secchi::task::Control;
use secchi::transfer::{DeleteSpec, Gone, Survey, Target, delete, survey};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use support::{Ceph, entries, odd_keys};

fn below(location: &Location) -> Target {
    Target { location: location.clone(), below: true }
}

fn one(location: &Location) -> Target {
    Target { location: location.clone(), below: false }
}

fn spec(targets: &[Target]) -> DeleteSpec {
    DeleteSpec { targets: targets.to_vec(), ..DeleteSpec::default() }
}

async fn put(stores: &Stores, root: &Location, keys: &[String]) {
    let handle = stores.open(root, stores.meter()).await.expect("opens");
    let meta = UploadMeta::default();
    let writes =
        futures::stream::iter(keys).map(|key| handle.put_object(key, Bytes::from_static(b"12345"), &meta, false));
    writes.buffer_unordered(16).try_for_each(|_| async { Ok(()) }).await.expect("writes");
}

async fn keys(stores: &Stores, root: &Location) -> BTreeSet<String> {
    entries(stores.list_all(root)).await.iter().map(|e| e.location(root).key().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_are_deleted_and_only_what_was_named() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let odd = odd_keys();
    put(&stores, &root, &odd).await;
    let (control, gone) = (Control::default(), Gone::default());
    // An object that is called like a folder does not take the folder along, nor the other way round.
    delete(&stores, &spec(&[one(&root.with_key("dir/"))]), &control, &gone).await.expect("the object dir/");
    let mut left: BTreeSet<String> = odd.iter().filter(|k| *k != "dir/").cloned().collect();
    assert_eq!(keys(&stores, &root).await, left);
    let found = Survey::default();
    let counted = survey(&stores, &spec(&[below(&root.with_key("dir/"))]), &control, &found).await.expect("counts");
    delete(&stores, &spec(&[below(&root.with_key("dir/"))]), &control, &gone).await.expect("below dir/");
    left.retain(|key| !key.starts_with("dir/"));
    assert_eq!(keys(&stores, &root).await, left);
    assert!(left.contains("dir") && counted.objects > 0);
    let all = delete(&stores, &spec(&[below(&root)]), &control, &gone).await.expect("all");
    assert_eq!(all.tally.objects as usize, left.len());
    assert!(keys(&stores, &root).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_that_cannot_go_is_told() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    put(&stores, &root, &["a".to_owned(), "b".to_owned()]).await;
    let mut victims = vec![Victim::object("a", 5), Victim::object("never was", 0), Victim::object("b", 5)];
    victims[0].version = Some("no-such-version".to_owned());
    let failed = handle.delete_many(&victims).await.expect("is answered");
    // What was never there is no error; a version of another make is one, and stays.
    assert!(failed.iter().all(|(i, _)| *i == 0), "{failed:?}");
    assert!(!keys(&stores, &root).await.contains("b"));
    let nobody = stores.open(&root.child("x"), stores.meter()).await.expect("opens");
    assert!(nobody.delete_many(&[]).await.expect("nothing").is_empty());
}

#[test]
fn versions_are_kept_unless_they_are_meant() {
    let Some(ceph) = Ceph::find() else { return };
    let bucket = Bucket::new(&ceph);
    bucket.keep_versions();
    tokio::runtime::Runtime::new().expect("a runtime").block_on(versions(&ceph, &bucket));
}

async fn versions(ceph: &Ceph, bucket: &Bucket) {
    let stores = Stores::new(ceph.options());
    let root = Location::parse(&bucket.at("")).expect("an address");
    let (control, gone) = (Control::default(), Gone::default());
    for _ in 0..2 {
        put(&stores, &root, &["d/x".to_owned(), "d/y".to_owned()]).await;
    }
    let deleted = delete(&stores, &spec(&[below(&root.with_key("d/"))]), &control, &gone).await.expect("marks");
    assert!(deleted.marked && deleted.tally.objects == 2);
    assert!(keys(&stores, &root).await.is_empty());
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    assert_eq!(handle.undelete("d/x").await.expect("comes back"), 1);
    // One version of one object.
    let versions: Vec<_> = handle.versions(&root.with_key("d/x"), false).try_concat().await.expect("versions");
    let old = versions.iter().find(|v| !v.current).expect("an old one");
    delete(&stores, &spec(&[one(&old.location)]), &control, &gone).await.expect("the old one");
    let versions: Vec<_> = handle.versions(&root.with_key("d/x"), false).try_concat().await.expect("versions");
    assert!(versions.len() == 1 && versions[0].current);
    let all = DeleteSpec { versions: true, confirmed: Some(4), exact: true, ..spec(&[below(&root)]) };
    // d/x, and two versions and a mark of d/y.
    delete(&stores, &all, &control, &gone).await.expect("for good");
    let versions: Vec<_> = handle.versions(&root, true).try_concat().await.expect("versions");
    assert!(versions.is_empty());
}

/// A program with the gateway's keys.
fn program(ceph: &Ceph) -> Program {
    Program::new().with_keys(&ceph.endpoint, &ceph.key, &ceph.secret)
}

#[test]
fn the_command_asks_for_the_number() {
    let Some(ceph) = Ceph::find() else { return };
    let (bucket, program) = (Bucket::new(&ceph), program(&ceph));
    for key in ["d/1", "d/2", "d/3", "dd", "single"] {
        bucket.put(key, "12345");
    }
    program.run(&["rm", &bucket.at("d/")]).refused(3, &["there is no object", "-r"]);
    program.run(&["rm", "-r", &bucket.at("d/")]).refused(2, &["3 objects", "--count 3", "--yes"]);
    program
        .run(&["rm", "-r", "--count", "4", &bucket.at("d/")])
        .refused(1, &["there are 3 objects", "nothing was deleted"]);
    program.run(&["--read-only", "rm", "-r", "--yes", &bucket.at("d/")]).refused(4, &["read-only"]);
    program.run(&["rm", &bucket.at("none")]).refused(3, &["there is no object"]);
    program.run(&["rm", "-r", "--yes", &bucket.at("none/")]).refused(3, &["nothing at or below"]);
    program.run(&["rm", "-r", "--yes", "s3://"]).refused(2, &["buckets are not deleted"]);
    assert_eq!(bucket.keys().len(), 5);
    let end = program.run(&["rm", &bucket.at("single"), "--json"]).ok().object();
    assert_eq!((&end["data"]["objects"], &end["data"]["marked"]), (&json!(1), &json!(false)));
    program.run(&["rm", "-r", "--count", "3", &bucket.at("d/")]).ok();
    assert_eq!(bucket.keys(), ["dd"]);
    program.keeps_secrets();
}

#[test]
fn a_killed_deletion_goes_on_and_touches_nothing_else() {
    let Some(ceph) = Ceph::find() else { return };
    let (bucket, program) = (Bucket::new(&ceph), program(&ceph));
    let inside: Vec<String> = (0..2_500).map(|i| format!("gone/{i:05}")).collect();
    let outside = ["gone", "gone-too", "a", "z/1"].map(str::to_owned);
    let stores = Stores::new(ceph.options());
    let root = Location::parse(&bucket.at("")).expect("an address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        put(&stores, &root, &inside).await;
        put(&stores, &root, &outside).await;
    });
    let mut run = program.start(&["--concurrency", "1", "rm", "-r", "--count", "2500", &bucket.at("gone/")]);
    let count = || runtime.block_on(keys(&stores, &root)).len();
    until("the first batch goes", || count() < 2_504);
    run.kill();
    drop(run);
    let left = count();
    assert!(left >= 4, "{left}");
    let jobs = program.run(&["jobs", "ls", "--json"]).ok().json();
    let job = jobs.iter().find(|job| job["kind"] == "delete").expect("the job");
    let end = program.run(&["jobs", "resume", job["job"].as_str().expect("an id"), "--json"]).ok();
    let last: Value = end.json().pop().expect("an end");
    assert_eq!(last["state"], "done", "{last}");
    assert_eq!(runtime.block_on(keys(&stores, &root)), outside.into_iter().collect());
}

#[test]
fn the_server_of_the_demo_deletes_and_says_what_it_cannot() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let demo = secchi::demo::start(None).expect("starts");
        demo.ready().await.expect("fills");
        let stores = Stores::new(secchi::store::Options::default());
        stores.give(secchi::demo::PROFILE, demo.given());
        let at = demo.location().child("many/");
        let all = keys(&stores, &at).await.len() as u64;
        let confirmed = DeleteSpec { confirmed: Some(all), exact: true, ..spec(&[below(&at)]) };
        let done = delete(&stores, &confirmed, &Control::default(), &Gone::default()).await.expect("deletes");
        assert_eq!((done.tally.objects, done.marked), (all, false));
        assert!(!keys(&stores, &demo.location()).await.is_empty());
        let handle = stores.open(&at, stores.meter()).await.expect("opens");
        let err = handle.unfinished(&at).try_next().await.expect_err("no such listing");
        assert_eq!(err.kind(), Kind::Unsupported, "{err}");
        assert!(err.to_string().contains("does not list unfinished uploads"), "{err}");
    });
}

#[test]
fn folders_of_the_disk_go_without_what_links_lead_to() {
    let program = Program::new();
    program.write("in/a", "1");
    program.write("in/deep/b", "22");
    let kept = program.write("out/keep", "333");
    std::os::unix::fs::symlink(program.folder("out"), program.folder("in/link")).expect("a link");
    std::os::unix::fs::symlink(program.folder("in"), program.folder("to-in")).expect("a link");
    let at = |name: &str| program.folder(name).to_string_lossy().into_owned();
    program.run(&["rm", &at("in")]).refused(2, &["is a folder", "-r"]);
    program.run(&["rm", "-r", "--count", "2", &at("in")]).refused(1, &["there are 3 objects"]);
    for precious in ["/", "~", &at(""), &at("..")] {
        program.run(&["rm", "-r", "--yes", precious]).refused(4, &["is not deleted"]);
    }
    program.run(&["rm", "-r", "--count", "1", &format!("{}/", at("to-in"))]).ok();
    assert!(!program.folder("to-in").is_symlink() && program.folder("in/a").exists(), "the link alone");
    program.run(&["rm", "-r", "--count", "3", &at("in")]).ok();
    assert!(!program.folder("in").exists() && Path::new(&kept).exists());
    program.run(&["rm", &kept]).ok();
    assert!(!Path::new(&kept).exists());
}

#[test]
fn unfinished_uploads_are_listed_and_aborted() {
    let Some(ceph) = Ceph::find() else { return };
    let (bucket, program) = (Bucket::new(&ceph), program(&ceph));
    let stores = Stores::new(ceph.options());
    let root = Location::parse(&bucket.at("")).expect("an address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let keys = ["a/one", "a/one", "a//two\u{1}", "ab", "b/three"];
    let ids: Vec<String> = runtime.block_on(async {
        let handle = stores.open(&root, stores.meter()).await.expect("opens");
        let mut ids = Vec::new();
        for key in keys {
            let id = handle.create_upload(key, &UploadMeta::default()).await.expect("begins");
            handle.put_part(key, &id, 1, Bytes::from(vec![7; 1000])).await.expect("a part");
            ids.push(id);
        }
        ids
    });
    let listed = |at: &str| program.run(&["uploads", "ls", "--parts", "--json", &bucket.at(at)]).ok().json();
    let all = listed("");
    assert_eq!(all.len(), 5);
    assert!(all.iter().all(|u| u["parts"] == 1 && u["bytes"] == 1000 && u["held_by_job"] == false), "{all:?}");
    let found: BTreeSet<&str> = all.iter().filter_map(|u| u["key"].as_str()).collect();
    assert_eq!(found, keys.into_iter().collect());
    // A prefix is a folder here: `ab` does not lie in `a`.
    assert_eq!((listed("a").len(), listed("a/").len(), listed("ab").len()), (3, 3, 1));

    program.run(&["uploads", "abort", &bucket.at("")]).refused(2, &["--older-than"]);
    program.run(&["uploads", "abort", &bucket.at(""), "--upload-id", "no-such"]).refused(3, &["there is no upload"]);
    let end = program.run(&["uploads", "abort", &bucket.at(""), "--upload-id", &ids[0], "--json"]).ok();
    assert_eq!(end.json().pop().expect("an end")["data"]["aborted"], 1);
    program.run(&["uploads", "abort", &bucket.at(""), "--older-than", "7d"]).ok();
    assert_eq!(listed("").len(), 4, "they are younger than that");
    program.run(&["uploads", "abort", &bucket.at(""), "--older-than", "0s"]).refused(2, &["4 unfinished", "--count 4"]);

    // What an interrupted job may go on with is not offered.
    let runs = program.folder("state/runs");
    let run = runs.join(ulid::Ulid::new().to_string());
    std::fs::create_dir_all(run.join("ev")).expect("a run");
    let header = json!({
        "id": run.file_name().expect("a name").to_string_lossy(), "kind": "upload", "params": {}, "title": "upload x",
        "command": ["put"], "created": "2026-01-01T00:00:00Z", "version": "0.1.0",
    });
    std::fs::write(run.join("spec.json"), header.to_string()).expect("a spec");
    let begun = json!({ "seq": 0, "t": "2026-01-01T00:00:00Z", "mono": 0, "event": "begun", "upload_id": ids[4] });
    std::fs::write(run.join("ev/0.1.ndjson"), format!("{begun}\n")).expect("events");
    let held: Vec<Value> = listed("").into_iter().filter(|u| u["held_by_job"] == true).collect();
    assert_eq!((held.len(), held[0]["key"].as_str()), (1, Some("b/three")));
    let end = program.run(&["uploads", "abort", &bucket.at(""), "--older-than", "0s", "--count", "3"]).ok();
    assert!(end.stderr.contains("1 left alone"), "{}", end.stderr);
    assert_eq!(listed("").len(), 1);
    program
        .run(&["--read-only", "uploads", "abort", &bucket.at(""), "--upload-id", &ids[4]])
        .refused(4, &["read-only"]);
    program.run(&["uploads", "ls", "/tmp"]).refused(1, &["keeps no list of uploads"]);

    // More than a page of them.
    runtime.block_on(async {
        let handle = stores.open(&root, stores.meter()).await.expect("opens");
        let begun = futures::stream::iter(0..1_010).map(|i| {
            let handle = &handle;
            async move { handle.create_upload(&format!("many/{:02} %41+/x", i % 50), &UploadMeta::default()).await }
        });
        begun.buffer_unordered(16).try_for_each(|_| async { Ok(()) }).await.expect("begins");
    });
    let many = program.run(&["uploads", "ls", "--json", &bucket.at("many/")]).ok().json();
    let ids: BTreeSet<&str> = many.iter().filter_map(|u| u["upload_id"].as_str()).collect();
    assert_eq!((many.len(), ids.len()), (1_010, 1_010));
    program.run(&["uploads", "abort", &bucket.at("many/"), "--older-than", "0s", "--count", "1010"]).ok();
    assert_eq!(listed("").len(), 1);
}

/// A plan as the command prints it: what is done with which name, but for what is the same.
fn plan(program: &Program, args: &[&str]) -> Vec<(String, String)> {
    let run = program.run(&[&["sync", "--dry-run", "--json"], args].concat()).ok();
    let steps = run.json().into_iter().filter(|step| step["do"].is_string() && step["do"] != "same");
    steps.map(|s| (s["do"].as_str().expect("a verb").into(), s["name"].as_str().expect("a name").into())).collect()
}

fn steps(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(verb, name)| ((*verb).to_owned(), (*name).to_owned())).collect()
}

/// How often each was done.
fn done(run: &cli::Run) -> [u64; 4] {
    let end = run.json().pop().expect("an end");
    assert_eq!(end["state"], "done", "{end}");
    ["copy", "update", "delete", "same"].map(|verb| end["data"][verb]["objects"].as_u64().unwrap_or(0))
}

#[test]
fn a_folder_is_synced_to_a_bucket_and_back() {
    let Some(ceph) = Ceph::find() else { return };
    let (bucket, program) = (Bucket::new(&ceph), program(&ceph));
    for (name, bytes) in [("set/a.txt", "one"), ("set/a/b", "two"), ("set/deep/er/ä b", "three"), ("set/x.tmp", "no")]
    {
        program.write(name, bytes);
    }
    let set = format!("{}/", program.folder("set").to_string_lossy());
    let there = bucket.at("copy/");
    bucket.put("copyright", "stays");
    let args = [set.as_str(), there.as_str(), "--exclude", "*.tmp"];
    let all = steps(&[("copy", "a.txt"), ("copy", "a/b"), ("copy", "deep/er/ä b")]);
    assert_eq!(plan(&program, &args), all);
    assert_eq!(bucket.keys(), ["copyright"], "a dry run changes nothing");
    let sync = |args: &[&str]| program.run(&[&["sync", "--json"], args].concat());
    assert_eq!(done(&sync(&args).ok()), [3, 0, 0, 0]);
    assert_eq!(done(&sync(&args).ok()), [0, 0, 0, 3], "the second run copies nothing");
    assert_eq!(bucket.get("copy/deep/er/ä b").as_deref(), Some(&b"three"[..]));

    // Touched, and not changed: its checksum tells.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(100);
    let touch =
        |name: &str, at| std::fs::File::open(program.folder(name)).and_then(|f| f.set_modified(at)).expect("touches");
    touch("set/a/b", later);
    assert_eq!(plan(&program, &args), []);
    // Changed without another size, and made to look old: only reading tells.
    program.write("set/a.txt", "eno");
    touch("set/a.txt", std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000));
    assert_eq!(plan(&program, &args), []);
    assert_eq!(plan(&program, &[&args[..], &["--checksum"]].concat()), steps(&[("update", "a.txt")]));
    touch("set/a.txt", later);
    assert_eq!(plan(&program, &[&args[..], &["--size-only"]].concat()), []);
    program.write("set/new", "four");
    std::fs::remove_file(program.folder("set/a/b")).expect("removes");
    bucket.put("copy/kept.tmp", "excluded at both sides");
    let more = steps(&[("update", "a.txt"), ("copy", "new")]);
    assert_eq!(plan(&program, &args), more);
    let args = [&args[..], &["--delete"]].concat();
    let mut with = more;
    with.insert(1, ("delete".into(), "a/b".into()));
    assert_eq!(plan(&program, &args), with);
    sync(&args).refused(2, &["1 object", "--count 1"]);
    sync(&[&args[..], &["--count", "2"]].concat()).refused(1, &["1 object would be deleted", "nothing was done"]);
    assert!(bucket.get("copy/a/b").is_some() && bucket.get("copy/new").is_none());
    program.run(&[&["--read-only", "sync"], &args[..], &["--yes"]].concat()).refused(4, &["read-only"]);
    assert_eq!(done(&sync(&[&args[..], &["--count", "1"]].concat()).ok()), [1, 1, 1, 1]);
    assert_eq!(bucket.keys(), ["copy/a.txt", "copy/deep/er/ä b", "copy/kept.tmp", "copy/new", "copyright"]);

    // And back, into another folder.
    let back = format!("{}/", program.folder("back").to_string_lossy());
    std::fs::create_dir_all(&back).expect("a folder");
    bucket.put("copy/../out", "must not leave the folder");
    let args = [there.as_str(), back.as_str()];
    let run = sync(&args).ok();
    assert_eq!(done(&run), [4, 0, 0, 0]);
    assert!(!program.folder("out").exists());
    let read = |name: &str| std::fs::read_to_string(program.folder(name)).expect(name);
    assert_eq!((read("back/a.txt"), read("back/deep/er/ä b")), ("eno".into(), "three".into()));
    assert_eq!(done(&sync(&args).ok()), [0, 0, 0, 4]);
    bucket.put("copy/a.txt", "changed there");
    program.write("back/extra", "goes");
    assert_eq!(done(&sync(&[&args[..], &["--delete", "--yes"]].concat()).ok()), [0, 1, 1, 3]);
    assert_eq!((read("back/a.txt"), program.folder("back/extra").exists()), ("changed there".into(), false));

    // Between buckets.
    let other = bucket.at("other/");
    let args = [there.as_str(), other.as_str(), "--include", "a*", "--include", "deep"];
    assert_eq!(done(&sync(&args).ok()), [2, 0, 0, 0]);
    assert_eq!(done(&sync(&args).ok()), [0, 0, 0, 2]);
    assert_eq!(bucket.get("other/a.txt").as_deref(), Some(&b"changed there"[..]));
    program.run(&["sync", &there, &bucket.at("copy/deep/")]).refused(2, &["overlap"]);
    program.run(&["sync", "/no/such/folder", &there, "--delete", "--yes"]).refused(3, &["no folder"]);
    program.keeps_secrets();
}

#[test]
fn folders_are_synced_and_a_killed_sync_goes_on() {
    let Some(ceph) = Ceph::find() else { return };
    let (bucket, program) = (Bucket::new(&ceph), program(&ceph));
    let block: Vec<u8> = (0..=250).cycle().take(100_003).collect();
    let big = block.repeat(600);
    for i in 0..40 {
        program.write(&format!("set/{i:03}"), &big[i..5_000 + i]);
    }
    program.write("set/999 large", &big);
    let set = program.folder("set").to_string_lossy().into_owned();
    let there = bucket.at("s/");
    let mut run = program.start(&["--concurrency", "1", "sync", &set, &there]);
    until("something is there", || !bucket.keys().is_empty());
    run.kill();
    drop(run);
    let jobs = program.run(&["jobs", "ls", "--json"]).ok().json();
    let job = jobs.iter().find(|job| job["kind"] == "sync").expect("the job");
    program.run(&["jobs", "resume", job["job"].as_str().expect("an id"), "--json"]).ok();
    assert_eq!((bucket.keys().len(), bucket.uploads().len()), (41, 0));
    assert!(bucket.get("s/999 large").expect("it is there") == big, "byte for byte");
    assert_eq!(plan(&program, &[&set, &there, "--checksum"]), [], "parts are told by their sums");
    let copy = program.folder("copy").to_string_lossy().into_owned();
    let run = program.run(&["sync", "--json", &set, &copy]).ok();
    assert_eq!(done(&run), [41, 0, 0, 0]);
    assert_eq!(plan(&program, &[&set, &copy, "--checksum"]), []);
}
