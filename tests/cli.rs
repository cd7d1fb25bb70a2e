//! The command line is a contract: the real program, without a screen, against a real gateway.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "support/bucket.rs"]
mod bucket;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/series.rs"]
mod series;
mod support;

use bucket::Bucket;
use cli::{Program, assert_harmless, until};
use rustix::process::Signal;
use secchi::raster::{Grid, Samples, write_cog};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::time::Duration;
use support::{Ceph, Fault};

const MIB: usize = 1 << 20;

fn program(ceph: &Ceph) -> Program {
    Program::new().with_keys(&ceph.endpoint, &ceph.key, &ceph.secret)
}

/// The gateway, a program that may use it, and a bucket.
fn setup() -> Option<(Ceph, Program, Bucket)> {
    let ceph = Ceph::find()?;
    let (program, bucket) = (program(&ceph), Bucket::new(&ceph));
    Some((ceph, program, bucket))
}

/// Bytes without a pattern.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn keys_of(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["key"].as_str().expect("a key")).collect()
}

#[test]
fn listings_are_lines_of_json_or_a_table() {
    let Some((_, program, bucket)) = setup() else { return };
    for n in 0..30 {
        bucket.put(&format!("many/{n:02}"), vec![b'x'; n]);
    }
    bucket.put("top.txt", "hello");

    let buckets = program.run(&["ls", "s3://", "--json"]).ok().json();
    let mine = buckets.iter().find(|line| line["key"] == bucket.name.as_str()).expect("the bucket is listed");
    assert_eq!((&mine["kind"], &mine["location"]), (&json!("bucket"), &json!(bucket.at(""))));

    let level = program.run(&["ls", &bucket.at(""), "--json"]).ok().json();
    assert_eq!(keys_of(&level), ["many/", "top.txt"]);
    assert_eq!((&level[0]["kind"], &level[0]["size"]), (&json!("prefix"), &Value::Null));
    assert_eq!((&level[1]["kind"], &level[1]["size"]), (&json!("object"), &json!(5)));
    assert!(level[1]["modified"].is_string() && level[1]["etag"].is_string());

    // Options go before a command, too.
    let all = program.run(&["--json", "ls", "-r", &bucket.at("")]).ok().json();
    assert_eq!((all.len(), all[7]["key"].as_str()), (31, Some("many/07")));
    let some = program.run(&["ls", "-r", &bucket.at("many/"), "--json", "--limit", "7"]).ok().json();
    assert_eq!(keys_of(&some), (0..7).map(|n| format!("many/{n:02}")).collect::<Vec<_>>());

    let table = program.run(&["ls", &bucket.at("")]).ok();
    let lines: Vec<&str> = table.text().lines().collect();
    assert_eq!(lines.len(), 2, "{}", table.text());
    assert!(lines[0].ends_with("  many/") && lines[1].trim_start().starts_with("5 B  20"), "{lines:?}");
    assert_eq!(lines[0].find("many/"), lines[1].find("top.txt"), "names stand below each other");
    assert_eq!(table.stderr, "");

    // One object is listed as itself; below nothing is nothing.
    assert_eq!(program.run(&["ls", &bucket.at("top.txt"), "--json"]).ok().object()["key"], "top.txt");
    for nothing in ["nothing", "nothing/"] {
        program.run(&["ls", &bucket.at(nothing)]).refused(3, &["nothing"]);
    }
    program.keeps_secrets();
}

#[test]
fn strange_keys_come_back_as_they_are() {
    let Some((_, program, bucket)) = setup() else { return };
    let mut keys: Vec<String> = [
        "a//b",
        "//",
        "/lead",
        "../up",
        "a/../b",
        "a/./c",
        " spaces in it ",
        "é/日本 ü",
        "new\nline",
        "tab\t",
        "esc\u{1b}[31mred\u{1b}]0;title\u{7}",
        "c1\u{9b}2J",
        "\u{202e}txt.exe",
        "q\"'\\<>&?#%20+",
        "--help",
        "-",
    ]
    .map(str::to_owned)
    .into();
    keys.push("k".repeat(1000));
    keys.sort();
    for key in &keys {
        bucket.put(key, format!("body of {key}"));
    }
    let listed = program.run(&["ls", "-r", &bucket.at(""), "--json"]).ok();
    assert_harmless(listed.text());
    let found: BTreeMap<String, String> = listed
        .json()
        .iter()
        .map(|line| {
            (line["key"].as_str().expect("a key").to_owned(), line["location"].as_str().expect("a place").to_owned())
        })
        .collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), keys.iter().collect::<Vec<_>>());
    for (key, location) in &found {
        let stat = program.run(&["stat", location, "--json"]).ok().object();
        assert_eq!((&stat["location"], &stat["size"]), (&json!(location), &json!(key.len() + 8)), "{key:?}");
        assert_eq!(program.run(&["cat", location]).ok().text(), format!("body of {key}"));
    }
    for args in [vec!["ls", "-r"], vec!["ls"]] {
        let location = bucket.at("");
        let table = program.run(&[args, vec![&location]].concat()).ok();
        assert_harmless(table.text());
    }
    let table = program.run(&["ls", "-r", &bucket.at("")]).ok();
    assert_eq!(table.text().lines().count(), keys.len(), "a line each");
    assert_harmless(program.run(&["stat", &bucket.at("esc\u{1b}[31mred\u{1b}]0;title\u{7}")]).ok().text());
    program.run(&["stat", &bucket.at("no\u{1b}[2Jsuch\nkey")]).refused(3, &["no␛[2Jsuch␊key"]);
}

/// Runs curl, which knows nothing of S3; `None` where there is none.
fn curl(args: &[&str]) -> Option<Vec<u8>> {
    let out = std::process::Command::new("curl").args(["-sS", "-f", "--path-as-is"]).args(args).output().ok()?;
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    Some(out.stdout)
}

#[test]
fn links_to_any_key_are_read_and_written_without_credentials() {
    let Some((_, program, bucket)) = setup() else { return };
    let mut keys: Vec<String> =
        ["plain.txt", "a//b", "//", "/lead", "..", "../up", "a/../b", "a/./c", "./d", " end ", "new\nline", "é/日本 ü"]
            .map(str::to_owned)
            .into();
    keys.extend([
        "q\"'\\<>&?#%20+=;:@!*()[]{}|^`~$,".to_owned(),
        "tab\t\u{1b}[31m".to_owned(),
        "é".repeat(512),
        "--help".to_owned(),
    ]);
    let file = program.write("body.txt", "written by a link");
    let places: Vec<String> = keys.iter().map(|key| bucket.at(key)).collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    let get = program.run(&[&["presign", "--json", "--expires", "15min"], &places[..]].concat()).ok().json();
    let put = program.run(&[&["presign", "--put"], &places[..]].concat()).ok();
    let put: Vec<&str> = put.text().lines().collect();
    assert_eq!((get.len(), put.len()), (keys.len(), keys.len()), "a line each");
    for (n, key) in keys.iter().enumerate() {
        assert_eq!((&get[n]["location"], &get[n]["method"]), (&json!(places[n]), &json!("GET")));
        let expires =
            chrono::DateTime::parse_from_rfc3339(get[n]["expires"].as_str().expect("a time")).expect("a time");
        let left = (expires.to_utc() - chrono::Utc::now()).num_seconds();
        assert!((600..=900).contains(&left), "{left}");
        let url = get[n]["url"].as_str().expect("a link");
        assert!(url.is_ascii() && put[n].is_ascii() && !url.contains(' '), "{url}");
        bucket.put(key, format!("body of {key}"));
        let Some(body) = curl(&[url]) else { return eprintln!("skipped: no curl") };
        assert_eq!(String::from_utf8_lossy(&body), format!("body of {key}"), "{key:?}");
        // With `-T`, curl adds the file's name to a path that ends without one.
        if matches!(key.rsplit('/').next(), Some("" | "." | "..")) {
            curl(&["-X", "PUT", "--data-binary", &format!("@{file}"), put[n]]);
        } else {
            curl(&["-T", &file, put[n]]);
        }
        assert_eq!(bucket.get(key).as_deref(), Some(&b"written by a link"[..]), "{key:?}");
    }
}

#[test]
fn links_have_limits_that_are_said() {
    let Some((ceph, program, bucket)) = setup() else { return };
    let x = bucket.at("x");
    for (time, words) in
        [("8d", "at most 7 days"), ("0", "at least a second"), ("soon", "`soon` is not a length of time")]
    {
        program.run(&["presign", &x, "--expires", time]).refused(2, &[words]);
    }
    program.run(&["presign", &bucket.at("")]).refused(2, &["name a key"]);
    program.run(&["presign", "/tmp/x"]).refused(1, &["not on S3"]);
    program.run(&["presign", &x, "--no-sign-request"]).refused(4, &["without credentials no link can be signed"]);
    program.run(&["presign", "--put", &x, "--read-only"]).refused(4, &["read-only"]);
    program.run(&["presign", &x, "--read-only"]).ok();
    program.run(&["presign"]).refused(2, &["LOCATION"]);
    // Nothing is sent: a bucket that nobody has is no error.
    program.run(&["presign", "s3://secchi-no-such-bucket/x"]).ok();
    // Temporary credentials: the token is part of the link, and of nothing that is written down.
    let temporary =
        Program::new().with_keys(&ceph.endpoint, &ceph.key, "other-secret").with("AWS_SESSION_TOKEN", "t0ken");
    assert!(temporary.run(&["presign", &x]).ok().text().contains("X-Amz-Security-Token=t0ken"));
    temporary.keeps_secrets();
    program.keeps_secrets();
}

#[test]
fn parts_of_an_object_come_alone() {
    let Some((_, program, bucket)) = setup() else { return };
    for key in ["plain", "a//odd"] {
        bucket.put(key, "0123456789");
        let at = bucket.at(key);
        let cat = |args: &[&str]| program.run(&[&["cat", &at], args].concat()).ok().text().to_owned();
        assert_eq!(cat(&[]), "0123456789");
        assert_eq!(cat(&["--range", "2-4"]), "234");
        assert_eq!(cat(&["--range", "7-"]), "789");
        assert_eq!(cat(&["--range", "-3"]), "789");
        assert_eq!(cat(&["--range", "8-100"]), "89", "what there is");
        assert_eq!(cat(&["--head", "4"]), "0123");
        assert_eq!(cat(&["--head", "0"]), "");
        assert_eq!(cat(&["--head", "99"]), "0123456789");
    }
    let at = bucket.at("plain");
    program.run(&["cat", &at, "--range", "4-2"]).refused(2, &["is not a range"]);
    assert_eq!(program.run(&["cat", &at, "--range", "1-2", "--head", "3"]).code, 2);
    assert_eq!(program.run(&["cat", &at, "--range", "50-60"]).code, 1, "nothing is there");
}

#[test]
fn every_request_goes_into_the_log_and_no_secret_does() {
    let Some((ceph, program, bucket)) = setup() else { return };
    bucket.put("dir/a b", "x");
    let log = program.file("requests.ndjson");
    let path = log.to_string_lossy().into_owned();
    program.run(&["--log", &path, "ls", &bucket.at("dir/")]).ok();
    program.run(&["cat", &bucket.at("dir/a b"), "--log", &path]).ok();
    program.run(&["cat", &bucket.at("no"), "--log", &path]).refused(3, &[]);
    let text = std::fs::read_to_string(&log).expect("written");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    let list =
        lines.iter().find(|l| l["query"].as_str().is_some_and(|q| q.contains("prefix=dir"))).expect("the listing");
    assert_eq!((&list["method"], &list["status"], &list["tries"]), (&json!("GET"), &json!(200), &json!(1)));
    assert!(list["request_id"].is_string() && list["ms"].is_u64() && list["at"].is_string());
    let read =
        lines.iter().find(|l| l["address"].as_str().is_some_and(|a| a.ends_with("/dir/a%20b"))).expect("the read");
    assert_eq!(read["received"], json!(1));
    let failed = lines.last().expect("a line");
    assert_eq!((&failed["status"], &failed["code"]), (&json!(404), &json!("NoSuchKey")), "{failed}");
    for secret in [ceph.secret.as_str(), "Signature", "Credential", "uthorization"] {
        assert!(!text.contains(secret), "{secret}");
    }
    program.run(&["ls", &bucket.at(""), "--log", "/no/such/folder/x"]).refused(3, &["opening the log"]);
}

#[test]
fn a_bucket_is_made_and_said() {
    let Some((_, program, bucket)) = setup() else { return };
    // Ours already: no error.
    assert_eq!(program.run(&["mb", &bucket.at(""), "--json"]).ok().object()["location"], bucket.at("").as_str());
    program.run(&["mb", "s3://Not_A_Bucket_Name_/"]).refused(2, &["is not a name for a bucket"]);
    program.run(&["mb", &bucket.at(""), "--read-only"]).refused(4, &["read-only"]);
}

#[test]
fn refusals_are_sentences_with_exit_codes() {
    let Some((ceph, program, bucket)) = setup() else { return };
    bucket.put("x", "x");
    let (root, x) = (bucket.at(""), bucket.at("x"));
    let file = program.write("file.txt", "text");

    for args in [vec!["ls", &root], vec!["stat", &x], vec!["cat", &x], vec!["preview", &x], vec!["put", &file, &root]] {
        let args = [vec!["--no-sign-request"], args].concat();
        program.run(&args).refused(4, &["is not public: it needs credentials", "name a profile"]);
    }
    let wrong = Program::new().with_keys(&ceph.endpoint, &ceph.key, "a-secret-that-is-wrong");
    for args in [vec!["ls", &root], vec!["ls", "s3://"], vec!["stat", &x], vec!["put", &file, &root]] {
        let sentence = wrong.run(&args).refused(4, &["the credentials in the environment are wrong"]);
        assert!(sentence.starts_with("secchi: "), "{sentence}");
    }
    wrong.keeps_secrets();

    for (location, words) in [
        ("s3://secchi-no-such-bucket/x", "there is no bucket `secchi-no-such-bucket`"),
        (&*bucket.at("nokey"), "nokey"),
    ] {
        for verb in ["stat", "cat", "preview"] {
            let sentence = program.run(&[verb, location]).refused(3, &[words]);
            assert_eq!(sentence.matches(location).count().max(1), 1, "said once: {sentence}");
        }
    }
    let error: Value =
        serde_json::from_str(&program.run(&["stat", &bucket.at("nokey"), "--json"]).refused(3, &[])).expect("json");
    assert_eq!((&error["kind"], error["request_id"].is_string()), (&json!("notfound"), true), "{error}");

    // A port at which nothing listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    let endpoint = format!("http://127.0.0.1:{port}");
    for args in [vec!["ls", &root], vec!["cat", &x], vec!["preview", &x], vec!["put", &file, &root]] {
        let run = program.run(&[args, vec!["--endpoint-url", &endpoint]].concat());
        run.refused(5, &[&format!("nothing listens at 127.0.0.1:{port}")]);
        assert!(run.took < Duration::from_secs(20), "{:?}", run.took);
    }

    for args in [
        vec!["ls"],
        vec!["ls", "ftp://host/x"],
        vec!["ls", ""],
        vec!["put", &file],
        vec!["put", &file, &root, "--if-exists", "perhaps"],
        vec!["put", &file, &root, "--metadata", "novalue"],
        vec!["preview", &x, "--size", "0x0"],
        vec!["preview", &x, "--band", "1", "--rgb", "1,2,3"],
        vec!["--no-such-option"],
        vec![&root, "ls", &root],
    ] {
        assert_eq!(program.run(&args).code, 2, "{args:?}");
    }
    program.run(&["put", &file, &root, "--read-only"]).refused(4, &["read-only"]);
    program.keeps_secrets();
}

#[test]
fn a_location_names_its_profile() {
    let Some((ceph, _, bucket)) = setup() else { return };
    bucket.put("x", "hello");
    let program = Program::new().with_secret(&ceph.secret);
    let config = program.write(
        "aws/config",
        format!(
            "[profile sea]\nendpoint_url = {e}\nregion = default\n[profile lake]\nendpoint_url = {e}\n",
            e = ceph.endpoint
        ),
    );
    let keys = program.write(
        "aws/credentials",
        format!("[sea]\naws_access_key_id = {}\naws_secret_access_key = {}\n", ceph.key, ceph.secret),
    );
    let program = program.with("AWS_CONFIG_FILE", &config).with("AWS_SHARED_CREDENTIALS_FILE", &keys);
    let named = format!("s3://sea@{}/x", bucket.name);
    assert_eq!(program.run(&["cat", &named]).ok().text(), "hello");
    assert_eq!(program.run(&["--profile", "sea", "cat", &bucket.at("x")]).ok().text(), "hello");
    let listed = program.run(&["ls", "--json", &format!("s3://sea@{}/", bucket.name)]).ok().object();
    assert_eq!(listed["location"], named);
    let file = program.write("file.txt", "from a profile");
    program.run(&["put", &file, &format!("s3://sea@{}/put.txt", bucket.name)]).ok();
    assert_eq!(bucket.get("put.txt").as_deref(), Some(&b"from a profile"[..]));

    let unknown = program.run(&["ls", "s3://see@bucket/"]);
    unknown.refused(2.max(unknown.code), &["there is no profile `see`", "sea", "lake"]);
    assert!([2, 3].contains(&unknown.code), "{}", unknown.code);
    program.run(&["--profile", "see", "ls", "s3://bucket/"]).refused(unknown.code, &["there is no profile `see`"]);
    program.keeps_secrets();
}

#[test]
fn a_large_upload_keeps_its_bytes_its_type_and_its_metadata() {
    let Some((_, program, bucket)) = setup() else { return };
    let bytes = noise(256 * MIB);
    let file = program.write("large.tif", &bytes);
    let at = bucket.at("deep/large.tif");
    let metadata = ["--metadata", "fairease.catalog.mediatype=COG", "--content-type", "image/tiff"];
    let put = program.run(&[&["put", &file, &at][..], &metadata].concat()).ok();
    assert_eq!(put.text(), format!("{at}\n"));
    // Not a terminal: no bar.
    assert_eq!(put.stderr.lines().count(), 1, "{}", put.stderr);
    let stat = program.run(&["stat", &at, "--json"]).ok().object();
    assert_eq!(stat["metadata"], json!({ "fairease.catalog.mediatype": "COG" }));
    assert_eq!((&stat["content_type"], &stat["size"]), (&json!("image/tiff"), &json!(256 * MIB)));
    assert!(bucket.uploads().is_empty());
    let cat = program.run(&["cat", &at]).ok();
    assert!(cat.stdout == bytes, "the bytes are the same");

    // Whoever has seen enough closes the pipe.
    for args in [vec!["cat", &at], vec!["cat", &at, "--json"]] {
        let mut run = program.start(&args);
        let mut some = [0; 1000];
        run.child.stdout.take().expect("its output").read_exact(&mut some).expect("reads");
        let run = run.end();
        assert_eq!((run.code, &*run.stderr, &some[..]), (0, "", &bytes[..1000]));
    }
    program.keeps_secrets();
}

#[test]
fn what_stands_there_is_treated_as_asked() {
    let Some((_, program, bucket)) = setup() else { return };
    let one = program.write("one/x.txt", "one");
    let two = program.write("two/x.txt", "two");
    let at = bucket.at("x.txt");
    program.run(&["put", &one, &at]).ok();
    program.run(&["put", &two, &at]).refused(6, &["exists already", "--if-exists"]);
    program.run(&["put", &two, &at, "--if-exists", "fail"]).refused(6, &["exists already"]);
    assert_eq!(program.run(&["put", &two, &at, "--if-exists", "skip"]).ok().text(), "");
    assert_eq!(bucket.get("x.txt").expect("it is there"), b"one");
    let renamed = program.run(&["put", &two, &at, "--if-exists", "rename"]).ok();
    assert_eq!(renamed.text(), format!("{}\n", bucket.at("x (1).txt")));
    assert_eq!(bucket.get("x (1).txt").expect("it is there"), b"two");
    let run = program.run(&["put", &two, &at, "--if-exists", "overwrite", "--json"]).ok();
    assert_eq!((&run.object()["state"], &run.object()["written"]), (&json!("done"), &json!([at])));
    assert_eq!(bucket.get("x.txt").expect("it is there"), b"two");

    // Folders keep their names, and tags and odd names arrive.
    program.write("tree/a/b c.txt", "b");
    program.write("tree/ü.txt", "ü");
    let tree = program.folder("tree").to_string_lossy().into_owned();
    program.run(&["put", &tree, &bucket.at("in/"), "--tag", "project=a b"]).ok();
    let below: Vec<String> = bucket.keys().into_iter().filter(|key| key.starts_with("in/")).collect();
    assert_eq!(below, ["in/tree/a/b c.txt", "in/tree/ü.txt"]);
    let stat = program.run(&["stat", &bucket.at("in/tree/ü.txt"), "--json"]).ok().object();
    assert_eq!((&stat["tags"], &stat["content_type"]), (&json!({ "project": "a b" }), &json!("text/plain")));
    program.keeps_secrets();
}

#[test]
fn a_bucket_is_made() {
    let Some((_, program, bucket)) = setup() else { return };
    // In another account's name nothing can be made; the bucket goes when the test ends.
    let name = bucket.name.clone();
    drop(bucket);
    program.run(&["ls", &format!("s3://{name}/")]).refused(3, &["there is no bucket"]);
    assert_eq!(program.run(&["mb", &format!("s3://{name}/")]).ok().text(), format!("s3://{name}/\n"));
    program.run(&["ls", &format!("s3://{name}/")]).ok();
    program.run(&["mb", "s3://Not_A_Bucket!/"]).refused(2, &["is not a name for a bucket"]);
    Bucket::again(&Ceph::find().expect("a gateway"), &name);
}

/// Starts an upload that takes a while, and comes back once a part has arrived. The rate is that of each connection:
/// two parts at a time go through it, so that many seconds are left until the last ones arrive.
fn begin_slowly<'a>(program: &'a Program, bucket: &Bucket, slow: &Fault, file: &str) -> cli::Started<'a> {
    let run =
        program.start(&["put", file, &bucket.at("slow.bin"), "--endpoint-url", &slow.endpoint(), "--concurrency", "2"]);
    until("a part arrives", || bucket.uploads().iter().any(|(_, parts)| *parts > 0));
    run
}

#[test]
fn an_interrupted_upload_leaves_nothing() {
    let Some((ceph, program, bucket)) = setup() else { return };
    let file = program.write("slow.bin", noise(96 * MIB));
    let slow = Fault::start(ceph.port(), &["rate=1500000"]);
    let run = begin_slowly(&program, &bucket, &slow, &file);
    run.signal(Signal::INT);
    let run = run.end();
    assert_eq!((run.code, run.stdout.len()), (130, 0), "{}", run.stderr);
    assert!(bucket.uploads().is_empty(), "{:?}", bucket.uploads());
    assert!(bucket.keys().is_empty());
    let job = program.run(&["jobs", "ls", "--json"]).ok().object();
    assert_eq!(job["state"], "cancelled", "{job}");
    program.keeps_secrets();
}

#[test]
fn an_upload_whose_session_ends_is_left_to_be_resumed() {
    let Some((ceph, program, _)) = setup() else { return };
    let bytes = noise(96 * MIB);
    let file = program.write("slow.bin", &bytes);
    for signal in [Signal::HUP, Signal::TERM] {
        let bucket = Bucket::new(&ceph);
        let slow = Fault::start(ceph.port(), &["rate=1500000"]);
        let run = begin_slowly(&program, &bucket, &slow, &file);
        let job = program.run(&["jobs", "ls", "--json"]).ok().json().remove(0);
        assert_eq!(job["state"], "running", "{job}");
        let id = job["job"].as_str().expect("its id").to_owned();
        program.run(&["jobs", "resume", &id]).refused(6, &["another program works on this job"]);
        run.signal(signal);
        let run = run.end();
        assert_eq!((run.code, run.stdout.len()), (130, 0), "{}", run.stderr);
        assert!(run.took < Duration::from_mins(1) && run.stderr.contains("jobs resume"), "{}", run.stderr);
        assert_eq!(bucket.uploads().len(), 1, "its parts stay");
        let job = program.run(&["jobs", "ls", "--json"]).ok().json().remove(0);
        assert_eq!(job["state"], "interrupted", "{job}");
        program.run(&["jobs", "resume"]).ok();
        assert!(bucket.get("slow.bin").expect("it is there") == bytes, "the bytes are the same");
        assert!(bucket.uploads().is_empty());
    }
}

#[test]
fn a_killed_upload_is_resumed() {
    let Some((ceph, program, bucket)) = setup() else { return };
    let bytes = noise(96 * MIB);
    let file = program.write("slow.bin", &bytes);
    let slow = Fault::start(ceph.port(), &["rate=1500000"]);
    let mut run = begin_slowly(&program, &bucket, &slow, &file);
    run.kill();
    drop(run);
    assert_eq!(bucket.uploads().len(), 1);
    assert!(bucket.keys().is_empty());

    let job = program.run(&["jobs", "ls", "--json"]).ok().object();
    let id = job["job"].as_str().expect("its id").to_owned();
    assert_eq!((&job["state"], &job["kind"]), (&json!("interrupted"), &json!("upload")), "{job}");
    let table = program.run(&["jobs", "ls"]).ok();
    assert!(table.text().contains(&id) && table.text().contains("can be resumed"), "{}", table.text());
    program.run(&["jobs", "resume", "nosuchjob"]).refused(3, &["there is no job nosuchjob"]);

    let resumed = program.run(&["jobs", "resume", &id[..20].to_lowercase()]).ok();
    assert_eq!(resumed.text(), format!("{}\n", bucket.at("slow.bin")));
    assert!(bucket.get("slow.bin").expect("it is there") == bytes, "the bytes are the same");
    assert!(bucket.uploads().is_empty());

    let shown = program.run(&["jobs", "show", &id, "--json"]).ok().object();
    assert_eq!((&shown["state"], &shown["written"]), (&json!("done"), &json!([bucket.at("slow.bin")])), "{shown}");
    assert!(shown["command"].as_str().expect("a command").starts_with("secchi put "), "{shown}");
    let words = program.run(&["jobs", "show", &id]).ok();
    assert!(words.text().contains("done") && words.text().contains("secchi put "), "{}", words.text());
    assert_harmless(words.text());
    program.keeps_secrets();
}

fn write_scene(path: &Path) {
    const SIDE: usize = 2048;
    let grid = Grid {
        width: SIDE,
        height: SIDE,
        samples: Samples::U16((0..SIDE * SIDE).map(|i| ((i % SIDE) * (i / SIDE) % 9973) as u16).collect()),
        names: vec!["red".to_owned()],
        epsg: Some(32635),
        transform: Some([500_000.0, 10.0, 0.0, 7_000_000.0, 0.0, -10.0]),
        nodata: Some(0.0),
        rgb: false,
        block: 512,
    };
    write_cog(path, &grid).expect("a COG");
}

#[test]
fn previews_tell_what_is_there_and_what_it_cost() {
    let Some((_, program, bucket)) = setup() else { return };
    bucket.put("words.txt", "first line\nsecond\u{1b}[31m line\n");
    let mut png = Vec::new();
    let picture = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8, y as u8, 7]));
    picture.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).expect("a PNG");
    bucket.put("picture.png", png);
    let cog = program.file("scene.tif");
    write_scene(&cog);
    bucket.put("scene.tif", std::fs::read(&cog).expect("reads"));

    let text = program.run(&["preview", &bucket.at("words.txt"), "--json"]).ok().object();
    assert_eq!(
        (&text["kind"], &text["lines"][0], &text["cost"]["requests"]),
        (&json!("text"), &json!("first line"), &json!(1)),
        "{text}"
    );
    let human = program.run(&["preview", &bucket.at("words.txt")]).ok();
    assert_harmless(human.text());
    assert!(human.text().starts_with("first line\n") && human.stderr.starts_with("1 request · "), "{}", human.stderr);

    let picture = program.run(&["preview", &bucket.at("picture.png"), "--json"]).ok().object();
    assert_eq!(
        (&picture["kind"], &picture["width"], &picture["height"]),
        (&json!("image"), &json!(40), &json!(30)),
        "{picture}"
    );

    let scene = program.run(&["preview", &bucket.at("scene.tif"), "--json", "--size", "256x256"]).ok().object();
    assert_eq!(
        (&scene["kind"], &scene["width"], &scene["cost"]["requests"]),
        (&json!("raster"), &json!(2048), &json!(2)),
        "{scene}"
    );
    assert!(scene["crs"].as_str().is_some_and(|crs| crs.contains("32635")), "{}", scene["crs"]);
    assert!(scene["cost"]["bytes"].as_u64() < Some(600_000), "{}", scene["cost"]);
    let file = program.file("out.png");
    let asked =
        ["preview", &bucket.at("scene.tif"), "--size", "300x200", "--png", &file.to_string_lossy()].map(str::to_owned);
    program.run(&asked).ok();
    let drawn = image::open(&file).expect("a PNG");
    assert_eq!((drawn.width(), drawn.height()), (200, 200));
    let refused = ["preview", &bucket.at("words.txt"), "--png", &file.to_string_lossy()].map(str::to_owned);
    program.run(&refused).refused(2, &["is not a picture"]);
    program.keeps_secrets();
}

#[test]
fn a_benchmark_keeps_its_samples_and_its_summary_follows_from_them() {
    let Some((_, program, bucket)) = setup() else { return };
    series::write_cogs(&program.folder("pair/cog"));
    series::write_zarr(&program.folder("pair/x.zarr"), None, None);
    let pair = program.folder("pair").to_string_lossy().into_owned();
    program.run(&["put", &pair, &bucket.at("")]).ok();
    let spec = program.write(
        "spec.toml",
        format!(
            "title = \"pair\"\nrepeats = 6\npatch = 200\nseed = 3\n\
             [[series]]\nname = \"cog\"\nformat = \"cog\"\nlocation = \"{}\"\n\
             [[series]]\nname = \"zarr\"\nformat = \"zarr\"\nlocation = \"{}\"\narray = \"data\"\n",
            bucket.at("pair/cog/"),
            bucket.at("pair/x.zarr"),
        ),
    );
    let result = program.file("result.json").to_string_lossy().into_owned();
    let run = program.run(&["bench", "run", &spec, "--out", &result, "--json"]).ok();
    assert_eq!(run.object()["state"], "done");
    program.run(&["bench", "run", &spec, "--out", &result]).refused(6, &["exists already"]);
    program.run(&["bench", "run", &spec, "--out", &bucket.at("result.json")]).ok();

    let file: Value = serde_json::from_slice(&std::fs::read(&result).expect("reads")).expect("json");
    let samples = file["samples"].as_array().expect("raw samples");
    assert_eq!(samples.len(), 12);
    for name in ["cog", "zarr"] {
        let mut times: Vec<f64> = samples
            .iter()
            .filter(|sample| sample["series"] == name)
            .map(|sample| sample["total_ms"].as_f64().expect("a time"))
            .collect();
        times.sort_by(f64::total_cmp);
        assert!(times.len() == 6 && times[0] > 0.0);
        let said =
            file["summary"]["series"].as_array().expect("series").iter().find(|s| s["series"] == name).expect("it");
        let is = |field: &str, value: f64| {
            let said = said[field].as_f64().expect("a number");
            assert!((said - value).abs() < 1e-9 * value, "{field} of {name}: {said} is not {value}");
        };
        is("mean", times.iter().sum::<f64>() / 6.0);
        is("median", f64::midpoint(times[2], times[3]));
        is("min", times[0]);
        is("max", times[5]);
    }
    let sums = |field: &str| samples.iter().map(|s| s[field].as_u64().expect("a count")).sum::<u64>();
    assert!(sums("requests") > 24 && sums("bytes") > 100_000);

    let report = program.run(&["bench", "report", &result]).ok();
    assert!(report.text().contains("| cog | 6 |"), "{}", report.text());
    assert_eq!(program.run(&["bench", "report", &result, "--csv"]).ok().text().lines().count(), 13);
    let other = program.write("other.json", bucket.get("result.json").expect("written to the bucket"));
    let compared = program.run(&["bench", "compare", &result, &other]).ok();
    assert!(compared.text().contains("zarr"), "{}", compared.text());
    assert_eq!(
        program.run(&["bench", "compare", &result, &other, "--json"]).ok().object()["series"].as_array().map(Vec::len),
        Some(2)
    );
    program.run(&["bench", "report", &spec]).refused(1, &["not valid JSON"]);
    program.run(&["bench", "report", "/nowhere.json"]).refused(3, &["/nowhere.json"]);
    program.keeps_secrets();
}

#[test]
fn a_table_becomes_geoparquet_that_others_read() {
    let Some((_, program, bucket)) = setup() else { return };
    let mut csv = "station,lon,lat,depth,temperature\n".to_owned();
    for n in 0..2000_i32 {
        let place = if n % 100 == 7 {
            ",".to_owned()
        } else {
            format!("{},{}", 18.0 + f64::from(n) * 0.003, 55.5 + f64::from(n % 50) * 0.1)
        };
        let temperature = if n % 10 == 3 { "-9999" } else { "4.5" };
        writeln!(csv, "S{n:04},{place},{},{temperature}", n % 200).expect("writes");
    }
    bucket.put("ctd.csv", csv);
    let (source, destination) = (bucket.at("ctd.csv"), bucket.at("out/ctd.parquet"));
    let run = program.run(&["convert", &source, &destination, "-o", "missing=-9999", "--json"]).ok();
    assert_eq!(
        (&run.object()["state"], &run.object()["written"]),
        (&json!("done"), &json!([destination])),
        "{}",
        run.object()
    );
    program.run(&["convert", &source, &destination]).refused(6, &["exists already"]);
    assert!(bucket.uploads().is_empty());

    let table = program.run(&["preview", &destination, "--json", "--rows", "5"]).ok().object();
    assert_eq!((&table["kind"], &table["total_rows"]), (&json!("table"), &json!(2000)), "{table}");
    assert_eq!(
        (&table["rows"][3]["temperature"], &table["rows"][4]["temperature"]),
        (&Value::Null, &json!(4.5)),
        "{table}"
    );
    let back = program.run(&["cat", &destination]).ok();
    let file = program.write("back.parquet", &back.stdout);
    let Some(python) = std::env::var_os("SECCHI_PYTHON") else {
        eprintln!("skipped: no Python with geopandas (SECCHI_PYTHON)");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/check_geoparquet.py");
    let checked =
        std::process::Command::new(python).args([script, &file, "2000", "1980"]).output().expect("Python runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    program.run(&["convert", &source, &bucket.at("no.parquet"), "-o", "lng=x"]).refused(2, &["`lng`"]);
    program
        .run(&["convert", &source, &bucket.at("no.parquet"), "-o", "lon=nowhere", "-o", "lat=lat"])
        .refused(2, &["nowhere"]);
    program.run(&["convert", &bucket.at("none.csv"), &bucket.at("no.parquet")]).refused(3, &["none.csv"]);
    program.run(&["convert", &source, &bucket.at("no.parquet"), "--to", "shapefile"]).refused(2, &["shapefile"]);
    assert_eq!(bucket.keys(), ["ctd.csv", "out/ctd.parquet"]);
    program.keeps_secrets();
}

#[test]
fn the_demo_is_served_until_it_is_stopped() {
    let program = Program::new();
    let mut run = program.start(&["demo", "--serve"]);
    let mut lines = BufReader::new(run.child.stdout.take().expect("its output"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    let told: Value = serde_json::from_str(&line).unwrap_or_else(|err| panic!("{err}: {line}"));
    assert_eq!(
        told.as_object().expect("an object").keys().collect::<Vec<_>>(),
        ["endpoint", "access_key", "secret_key", "bucket"]
    );
    let word = |name: &str| told[name].as_str().expect("a word").to_owned();

    let visitor = Program::new().with_keys(&word("endpoint"), &word("access_key"), &word("secret_key"));
    let root = format!("s3://{}/", word("bucket"));
    let listed = visitor.run(&["ls", &root, "--json"]).ok().json();
    assert!(listed.len() > 3, "{listed:?}");
    Program::new().with_keys(&word("endpoint"), &word("access_key"), "guessed").run(&["ls", &root]).refused(4, &[]);
    assert_eq!(std::fs::read_dir(program.folder("tmp")).expect("lists").count(), 1);

    run.signal(Signal::TERM);
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("reads");
    let run = run.end();
    assert_eq!((run.code, &*rest, &*run.stderr), (0, "", ""));
    assert_eq!(std::fs::read_dir(program.folder("tmp")).expect("lists").count(), 0, "its folder is gone");
}

#[test]
fn a_demo_that_is_stopped_early_leaves_nothing() {
    let program = Program::new();
    let run = program.start(&["demo", "--serve"]);
    until("samples are made", || {
        let folder = std::fs::read_dir(program.folder("tmp")).expect("lists").flatten().next();
        folder.is_some_and(|folder| std::fs::read_dir(folder.path()).is_ok_and(|inside| inside.count() > 0))
    });
    run.signal(Signal::INT);
    let run = run.end();
    assert_eq!((run.code, &*run.stderr), (0, ""));
    assert!(run.took < Duration::from_mins(1));
    assert_eq!(std::fs::read_dir(program.folder("tmp")).expect("lists").count(), 0, "its folder is gone");
}

#[test]
fn helps_are_short_and_name_every_verb() {
    let program = Program::new();
    let help = program.run(&["--help"]).ok();
    for verb in ["demo", "ls", "stat", "cat", "preview", "put", "convert", "bench", "jobs", "mb"] {
        assert!(help.text().contains(&format!("  {verb} ")), "{verb} in {}", help.text());
        let own = program.run(&[verb, "--help"]).ok();
        assert!(own.text().lines().count() < 45, "{}", own.text());
        assert!(own.text().contains(&format!("Usage: secchi {verb}")), "{}", own.text());
    }
    for text in [help.text(), program.run(&["put", "--help"]).ok().text()] {
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    }
}
