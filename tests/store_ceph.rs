//! What must be true on the server that the users have: odd keys, refusals, broken connections.

#[path = "support/bucket.rs"]
mod bucket;
#[path = "support/cli.rs"]
mod cli;
mod support;

use bucket::Bucket;
use bytes::Bytes;
use cli::{Program, assert_harmless};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;
use secchi::entry::EntryKind;
use secchi::error::{Error, Kind};
use secchi::location::Location;
use secchi::store::{Environment, Method, Options, Stores, UploadMeta, cause};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;
use support::{Ceph, Fault, entries, odd_keys, s3_options};

#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_what_it_is() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    let meta = UploadMeta {
        metadata: [("fairease.catalog.mediatype".to_owned(), "COG".to_owned())].into(),
        content_type: Some("image/tiff".to_owned()),
        ..UploadMeta::default()
    };
    for (n, key) in odd_keys().iter().enumerate() {
        let body = Bytes::from(format!("body of {n:04}"));
        let at = root.with_key(key.clone());
        handle.put_object(key, body.clone(), &meta, false).await.unwrap_or_else(|err| panic!("{key:?}: {err:?}"));
        let head = handle.read_head(&at, 4).await.unwrap_or_else(|err| panic!("{key:?}: {err:?}"));
        assert_eq!((head.bytes.as_ref(), head.size), (&b"body"[..], 12), "{key:?}");
        assert_eq!(handle.read_range(&at, 8..12).await.expect(key), format!("{n:04}"), "{key:?}");
        let stat = handle.stat(&at).await.unwrap_or_else(|err| panic!("{key:?}: {err:?}"));
        assert_eq!((stat.metadata, stat.location), (meta.metadata.clone(), at), "{key:?}");
        let (store, path) = (handle.object_store(), handle.path(key));
        assert_eq!(store.head(&path).await.expect(key).size, 12, "{key:?}");
        assert_eq!(store.get(&path).await.expect(key).bytes().await.expect(key), body, "{key:?}");
    }
    for (n, key) in odd_keys().iter().enumerate() {
        let link = handle
            .presign(Method::Get, key, Duration::from_mins(1))
            .await
            .unwrap_or_else(|err| panic!("{key:?}: {err:?}"));
        assert_eq!(fetched(&link.url), format!("body of {n:04}"), "{key:?}: {}", link.url);
        let link = handle.presign(Method::Put, key, Duration::from_mins(1)).await.expect("a link");
        curl(&["-H", "Content-Type: image/tiff", "-X", "PUT", "--data-binary", &format!("sent {n:07}"), &link.url]);
        assert_eq!(handle.read_range(&root.with_key(key.clone()), 0..12).await.expect(key), format!("sent {n:07}"));
    }
    // What a listing shows leads back to each of them.
    let all: BTreeSet<String> =
        entries(stores.list_all(&root)).await.iter().map(|e| e.location(&root).key().to_owned()).collect();
    assert_eq!(all, odd_keys().into_iter().collect());
    let walked = walk(&stores, root.clone()).await;
    assert_eq!(walked, all);
    let listed: Vec<_> = handle.object_store().list(None).try_collect().await.expect("a listing");
    assert_eq!(listed.iter().map(|m| handle.key(&m.location)).collect::<BTreeSet<_>>(), all);
    let own = entries(stores.list(&root.child("dir/"))).await;
    assert_eq!(own.iter().map(|e| &*e.name).collect::<BTreeSet<_>>(), ["./", "/", "x"].into());

    let key = "parts//of/../one";
    let mut upload = handle.object_store().put_multipart(&handle.path(key)).await.expect("starts");
    for n in [0_u8, 1] {
        upload.put_part(Bytes::from(vec![n; 5 << 20]).into()).await.expect("a part");
    }
    upload.complete().await.expect("completes");
    assert_eq!(
        handle.read_range(&root.with_key(key), (5 << 20) - 1..(5 << 20) + 1).await.expect("reads").as_ref(),
        [0, 1]
    );
    handle.delete(key).await.expect("deletes");

    let paths = odd_keys().iter().map(|key| Ok(handle.path(key))).collect::<Vec<_>>();
    let gone: Vec<_> =
        handle.object_store().delete_stream(futures::stream::iter(paths).boxed()).try_collect().await.expect("deletes");
    assert_eq!(gone.len(), odd_keys().len());
    assert!(entries(stores.list_all(&root)).await.is_empty());
}

/// What another program than ours reads of a link.
fn fetched(link: &str) -> String {
    curl(&[link])
}

fn curl(args: &[&str]) -> String {
    let curl = Command::new("curl").args(["-fsSg", "--path-as-is"]).args(args).output().expect("curl runs");
    assert!(curl.status.success(), "{}", String::from_utf8_lossy(&curl.stderr));
    String::from_utf8(curl.stdout).expect("text")
}

#[test]
fn the_program_opens_every_key() {
    let Some(ceph) = Ceph::find() else { return };
    let bucket = Bucket::new(&ceph);
    let program = Program::new().with_keys(&ceph.endpoint, &ceph.key, &ceph.secret);
    let keys = odd_keys();
    let body = |key: &str| format!("body of {:04}", keys.iter().position(|k| k == key).expect("a key"));
    // The SDK of the other client does not take keys of white space.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let stores = Stores::new(ceph.options());
    let root = Location::parse(&bucket.at("")).expect("a location");
    let handle = runtime.block_on(stores.open(&root, stores.meter())).expect("opens");
    let plain = UploadMeta::default();
    for key in &keys {
        let put = handle.put_object(key, body(key).into(), &plain, false);
        runtime.block_on(put).unwrap_or_else(|err| panic!("{key:?}: {err:?}"));
    }
    let listed = program.run(&["ls", "-r", &bucket.at(""), "--json"]).ok().json();
    let of = |line: &Value, name: &str| line[name].as_str().expect(name).to_owned();
    let found: BTreeSet<(String, String)> = listed.iter().map(|l| (of(l, "key"), of(l, "location"))).collect();
    let expected: BTreeSet<(String, String)> = keys.iter().map(|key| (key.clone(), bucket.at(key))).collect();
    assert_eq!(found, expected);
    // A level: what stands beside a folder of its name, and what is called as the folder itself.
    let level = |at: &str| -> BTreeSet<(String, String)> {
        let listed = program.run(&["ls", &bucket.at(at), "--json"]).ok().json();
        listed.iter().map(|line| (of(line, "kind"), of(line, "key"))).collect()
    };
    let pairs =
        |all: &[(&str, &str)]| all.iter().map(|(k, n)| ((*k).to_owned(), (*n).to_owned())).collect::<BTreeSet<_>>();
    let root = level("");
    assert!(
        pairs(&[("object", "dir"), ("prefix", "dir/"), ("prefix", "/"), ("object", ".."), ("prefix", "../")])
            .is_subset(&root)
    );
    assert_eq!(level("dir/"), pairs(&[("object", "dir/"), ("object", "dir/x"), ("prefix", "dir//")]));
    assert_eq!(level("dir//"), pairs(&[("object", "dir//")]));
    assert_eq!(level("/"), pairs(&[("prefix", "//"), ("object", "/lead")]));
    assert_eq!(level("//"), pairs(&[("object", "//"), ("prefix", "///")]));
    assert_eq!(level("./"), pairs(&[("object", "./"), ("object", "./z")]));
    let two = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|threads| {
        for part in keys.chunks(keys.len().div_ceil(two)) {
            let (program, bucket, body) = (&program, &bucket, &body);
            threads.spawn(move || {
                for key in part {
                    let location = bucket.at(key);
                    assert_eq!(program.run(&["cat", &location]).ok().text(), body(key));
                    let shown = program.run(&["preview", &location]).ok();
                    assert_harmless(shown.text());
                    assert!(shown.text().contains(&body(key)), "{key:?}: {}", shown.text());
                    // What is signed is tested for each key elsewhere: here, that it is printed whole.
                    if key.contains(['\'', '"', '\\', '%', '\n', ' ', '?']) {
                        let link = program.run(&["presign", &location]).ok();
                        assert_eq!(fetched(link.text().trim_end()), body(key));
                    }
                }
            });
        }
    });
    for key in keys.iter().filter(|key| key.trim().is_empty()) {
        runtime.block_on(handle.delete(key)).expect("deletes");
    }
}

/// All keys below, level by level, as a user walks.
async fn walk(stores: &Stores, root: Location) -> BTreeSet<String> {
    let (mut open, mut keys) = (vec![root], BTreeSet::new());
    while let Some(at) = open.pop() {
        for entry in entries(stores.list(&at)).await {
            let child = entry.location(&at);
            if entry.kind == EntryKind::Prefix {
                open.push(child);
            } else {
                keys.insert(child.key().to_owned());
            }
        }
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_who_and_why() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let bucket = root.bucket().to_owned();
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    handle.put_object("x", Bytes::from_static(b"x"), &UploadMeta::default(), false).await.expect("writes");
    let at = root.child("x");

    let failures = |options: Options, at: Location| async move {
        let stores = Stores::new(options);
        let handle = stores.open(&at, stores.meter()).await.expect("opens");
        let library = handle.object_store().get(&handle.path(at.key())).await.expect_err("a failure");
        [
            stores.list(&at.with_key("")).next().await.expect("an answer").expect_err("a failure"),
            handle.read_head(&at, 10).await.map(drop).expect_err("a failure"),
            handle.stat(&at).await.map(drop).expect_err("a failure"),
            cause(&library).expect("ours is inside"),
        ]
    };
    for err in failures(s3_options(&ceph.endpoint, &ceph.key, "wrong"), at.clone()).await {
        assert_eq!(err.kind(), Kind::Denied, "{err}");
        assert!(err.to_string().contains("are wrong, or may not"), "{err}");
    }
    let anonymous = Options { no_sign_request: true, ..ceph.options() };
    for err in failures(anonymous.clone(), at.clone()).await {
        assert_eq!(err.kind(), Kind::Denied, "{err}");
        assert!(err.to_string().ends_with("is not public: it needs credentials"), "{err}");
    }
    let buckets = Stores::new(anonymous).list(&Location::parse("s3://").expect("a location")).next().await;
    match buckets.expect("an answer") {
        // The gateway answers an anonymous list of buckets with the (empty) list of nobody.
        Ok(entries) => assert!(entries.into_block().is_empty()),
        Err(err) => assert_eq!(err.kind(), Kind::Denied, "{err}"),
    }
    let missing = Location::parse("s3://secchi-no-such-bucket/x").expect("a location");
    for err in failures(ceph.options(), missing).await {
        assert_eq!(err.kind(), Kind::NotFound, "{err}");
        assert!(err.to_string().contains("there is no bucket `secchi-no-such-bucket`"), "{err}");
        assert!(err.request_id().is_some(), "{err}");
    }
    let mine = entries(stores.list(&Location::parse("s3://").expect("a location"))).await;
    assert!(mine.iter().any(|e| *e.name == bucket && e.kind == EntryKind::Bucket && e.modified.is_some()));
    let log = stores.log();
    assert!(log.iter().any(|x| x.method == "PUT" && x.status == Some(200) && x.request_id.is_some()), "{log:?}");
    assert!(log.iter().all(|x| !x.address.contains('?')));
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_and_certificates_lead_to_the_gateway() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    handle.put_object("x", Bytes::from_static(b"x"), &UploadMeta::default(), false).await.expect("writes");

    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join(".aws")).expect("a folder");
    let (tls, ca) = ceph.tls.clone().unwrap_or_default();
    let write = |name: &str, text: String| std::fs::write(home.path().join(name), text).expect("a file");
    write(
        ".aws/config",
        format!(
            "[profile plain]\nendpoint_url = {e}\nregion = default\n[profile tls]\nendpoint_url = {tls}\nca_bundle = {ca}\n\
             [profile stranger]\nendpoint_url = {tls}\n[profile process]\nendpoint_url = {e}\n\
             credential_process = /bin/echo '{{\"Version\":1,\"AccessKeyId\":\"{k}\",\"SecretAccessKey\":\"{s}\"}}'\n",
            e = ceph.endpoint,
            k = ceph.key,
            s = ceph.secret
        ),
    );
    let keys = format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", ceph.key, ceph.secret);
    write(".aws/credentials", format!("[plain]\n{keys}[tls]\n{keys}[stranger]\n{keys}"));
    write(
        ".s3cfg-local",
        format!(
            "[default]\naccess_key = {}\nsecret_key = {}\nhost_base = {}\nuse_https = False\n",
            ceph.key,
            ceph.secret,
            ceph.endpoint.trim_start_matches("http://")
        ),
    );
    let environment = Environment::fixed([("HOME", home.path().to_string_lossy())]);
    let stores = Stores::new(Options { environment, ..Options::default() });
    let profiles: Vec<String> = stores.profiles().into_iter().map(|p| p.name).collect();
    assert_eq!(profiles, ["plain", "process", "stranger", "tls", "s3cfg-local"]);
    let read = |profile: &'static str| {
        let (stores, root) = (stores.clone(), root.clone());
        async move {
            let at = Location::parse(&format!("s3://{profile}@{}/x", root.bucket())).expect("a location");
            let handle = stores.open(&at, stores.meter()).await?;
            handle.stat(&at).await?;
            handle.read_head(&at, 5).await
        }
    };
    for profile in ["plain", "process", "s3cfg-local"] {
        assert_eq!(read(profile).await.expect(profile).bytes.as_ref(), b"x");
    }
    if ceph.tls.is_some() {
        assert_eq!(read("tls").await.expect("tls").bytes.as_ref(), b"x");
        let err = read("stranger").await.expect_err("its certificate is unknown");
        assert_eq!(err.kind(), Kind::Unreachable, "{err:?}");
        assert!(err.to_string().contains("the certificate of localhost"), "{err:?}");
    }
    let unknown = read("nobody").await.expect_err("unknown");
    assert_eq!(unknown.to_string(), "there is no profile `nobody`");
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_classes_and_links_are_kept() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    let meta = UploadMeta { tags: [("project".to_owned(), "a b&c=é".to_owned())].into(), ..UploadMeta::default() };
    handle.put_object("tagged", Bytes::from_static(b"0123456789"), &meta, false).await.expect("writes");
    assert_eq!(handle.stat(&root.child("tagged")).await.expect("stat").tags, meta.tags);
    let id = handle.create_upload("parts", &meta).await.expect("starts");
    let etag = handle.put_part("parts", &id, 1, Bytes::from_static(b"x")).await.expect("a part");
    handle.complete_upload("parts", &id, &[(1, etag)], false).await.expect("completes");
    assert_eq!(handle.stat(&root.child("parts")).await.expect("stat").tags, meta.tags);

    let link = handle.presign(Method::Get, "tagged", Duration::from_mins(1)).await.expect("a link");
    let link = Location::parse(&link.url).expect("a location");
    let web = Stores::new(Options::default());
    let reader = web.open(&link, web.meter()).await.expect("opens");
    assert_eq!(reader.read_range(&link, 2..5).await.expect("reads").as_ref(), b"234");
    assert_eq!(reader.stat(&link).await.expect("stat").size, 10);
    let err = web.list(&link).next().await.expect("an answer").expect_err("cannot be listed");
    assert_eq!(err.kind(), Kind::Unsupported);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_connections_lose_and_double_nothing() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    futures::stream::iter(0..1500)
        .for_each_concurrent(16, |n| {
            let handle = &handle;
            async move {
                let done = handle.put_object(&format!("k{n:04}"), Bytes::new(), &UploadMeta::default(), false).await;
                done.expect("writes");
            }
        })
        .await;
    let big: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    handle.put_object("big", Bytes::from(big.clone()), &UploadMeta::default(), false).await.expect("writes");

    // Each of the first connections is cut in the middle of an answer.
    for cut in ["reset=200000", "close=100000"] {
        let fault = Fault::start(ceph.port(), &[cut, "times=2"]);
        let stores = Stores::new(s3_options(&fault.endpoint(), &ceph.key, &ceph.secret));
        let keys: Vec<String> = entries(stores.list_all(&root)).await.iter().map(|e| e.name.to_string()).collect();
        assert_eq!(keys.len(), 1501, "{cut}");
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 1501, "{cut}");
        assert!(stores.meter().counts().retries > 0, "{cut}");

        let fault = Fault::start(ceph.port(), &[cut, "times=2"]);
        let stores = Stores::new(s3_options(&fault.endpoint(), &ceph.key, &ceph.secret));
        let handle = stores.open(&root, stores.meter()).await.expect("opens");
        let whole = handle.object_store().get(&handle.path("big")).await.expect("answers").bytes().await;
        assert!(whole.map_err(Error::from).expect(cut).as_ref() == big, "{cut}: the bytes are the same");
    }

    // The server does what it is told, but its answer never comes: it is found out, not done twice.
    let id = handle.create_upload("once", &UploadMeta::default()).await.expect("starts");
    let etag = handle.put_part("once", &id, 1, Bytes::from_static(b"part")).await.expect("a part");
    let fault = Fault::start(ceph.port(), &["reset=0", "times=1"]);
    let broken = Stores::new(s3_options(&fault.endpoint(), &ceph.key, &ceph.secret));
    let through = broken.open(&root, broken.meter()).await.expect("opens");
    through.complete_upload("once", &id, &[(1, etag)], false).await.expect("it was completed");
    assert_eq!(handle.read_range(&root.child("once"), 0..4).await.expect("reads").as_ref(), b"part");
}
