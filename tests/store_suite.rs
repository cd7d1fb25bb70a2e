//! One suite for every store. Each check is one function, run for each store as a test of its own, so
//! that a failure names both: `ceph::parts_become_one_object_or_none`.
//!
//! What a store cannot hold is said once, in [`Can`], and a check asks there: none is passed over in
//! silence because of a name.

mod support;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use secchi::entry::EntryKind;
use secchi::error::{Error, Kind};
use secchi::location::Location;
use secchi::meter::Meter;
use secchi::store::{Method, Options, StoreHandle, Stores, UploadMeta};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use support::{Ceph, Fault, S3s, entries, s3_options};

/// What a store can do.
#[derive(Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "a list of answers")]
struct Can {
    /// Keys that are no paths of files: `a//b`, `dir` beside `dir/x`, line breaks, 1,024 bytes.
    any_key: bool,
    /// Content type and metadata.
    metadata: bool,
    /// Tags.
    tags: bool,
    /// Links for others.
    links: bool,
    /// What is not there can be listed, and is empty.
    empty_prefixes: bool,
    /// An upload may be dropped twice.
    aborts_twice: bool,
    /// A listing whose keys are said to be percent-encoded has them so. That server's are as they are.
    encodes: bool,
    /// Names of metadata keep their `_`, which Ceph makes a `-`.
    underscores: bool,
    /// Every request is answered the first time.
    steady: bool,
}

const S3S: Can = Can {
    any_key: false,
    metadata: true,
    tags: false,
    links: true,
    empty_prefixes: true,
    // That server answers a second time that access is denied.
    aborts_twice: false,
    encodes: false,
    underscores: true,
    steady: true,
};

const CEPH: Can = Can { any_key: true, tags: true, aborts_twice: true, encodes: true, underscores: false, ..S3S };

/// One store under test, with an empty container in it.
struct Place {
    can: Can,
    stores: Stores,
    root: Location,
    folder: Option<tempfile::TempDir>,
    _servers: (Option<S3s>, Option<Fault>),
}

impl Place {
    fn new(can: Can, (stores, root): (Stores, Location)) -> Self {
        Self { can, stores, root, folder: None, _servers: (None, None) }
    }

    async fn open(&self) -> StoreHandle {
        self.stores.open(&self.root, &self.stores.meter().child()).await.expect("opens")
    }

    fn at(&self, key: &str) -> Location {
        self.root.child(key)
    }
}

async fn memory() -> Option<Place> {
    let can = Can {
        any_key: false,
        metadata: true,
        tags: false,
        links: false,
        empty_prefixes: true,
        aborts_twice: true,
        encodes: true,
        underscores: true,
        steady: true,
    };
    let root = Location::parse("memory:///root/").expect("a location");
    Some(Place::new(can, (Stores::new(Options::default()), root)))
}

async fn folder() -> Option<Place> {
    let can = Can {
        any_key: false,
        metadata: false,
        tags: false,
        links: false,
        empty_prefixes: false,
        aborts_twice: true,
        encodes: true,
        underscores: true,
        steady: true,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let root = Location::file(folder.path()).as_container();
    Some(Place { folder: Some(folder), ..Place::new(can, (Stores::new(Options::default()), root)) })
}

async fn s3s() -> Option<Place> {
    let server = S3s::start().await;
    let made = support::new_bucket(Stores::new(server.options())).await;
    Some(Place { _servers: (Some(server), None), ..Place::new(S3S, made) })
}

/// Every answer comes late, and the first connections are reset in the middle of one.
async fn faulty() -> Option<Place> {
    let server = S3s::start().await;
    let (_, root) = support::new_bucket(Stores::new(server.options())).await;
    let fault = Fault::start(server.port(), &["latency=3", "reset=2500", "times=3"]);
    let stores = Stores::new(s3_options(&fault.endpoint(), "key", "secret"));
    Some(Place { _servers: (Some(server), Some(fault)), ..Place::new(Can { steady: false, ..S3S }, (stores, root)) })
}

async fn ceph() -> Option<Place> {
    Some(Place::new(CEPH, Ceph::find()?.bucket().await))
}

async fn ceph_tls() -> Option<Place> {
    let ceph = Ceph::find()?;
    let (endpoint, ca) = ceph.tls.clone()?;
    let options = Options { ca_bundle: Some(ca.into()), ..s3_options(&endpoint, &ceph.key, &ceph.secret) };
    Some(Place::new(CEPH, support::new_bucket(Stores::new(options)).await))
}

/// A test for each check in each store.
macro_rules! suite {
    ($store:ident [$($check:ident)*]) => {
        mod $store {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                if let Some(place) = super::$store().await {
                    super::$check(&place).await;
                }
            })*
        }
    };
    ([$($store:ident)*] $checks:tt) => { $(suite! { $store $checks })* };
}

suite! {
    [memory folder s3s faulty ceph ceph_tls]
    [
        what_is_put_can_be_read_in_ranges_and_is_counted
        bytes_arrive_whole_or_not_at_all
        stat_tells_exact_metadata
        tags_are_kept_or_refused
        an_object_that_stands_is_kept_where_it_is_wished
        parts_become_one_object_or_none
        listings_hold_every_key_once_over_many_pages
        libraries_list_what_the_program_lists
        strange_names_are_what_they_are
        keys_that_are_no_paths_are_what_they_are
        whatever_is_written_comes_back
        one_and_many_are_deleted
        objects_are_copied_and_renamed
        links_read_without_credentials_where_they_are_offered
        missing_things_are_called_by_their_names
        read_only_refuses_every_write
    ]
}

async fn put(handle: &StoreHandle, at: &Location, body: &'static [u8]) {
    let done = handle.put_object(at.key(), Bytes::from_static(body), &UploadMeta::default(), false).await;
    done.unwrap_or_else(|err| panic!("{at:?}: {err}"));
}

async fn put_all(place: &Place, keys: &[String]) {
    let handle = place.open().await;
    futures::stream::iter(keys.iter().map(|key| place.at(key)))
        .for_each_concurrent(16, |at| {
            let handle = &handle;
            async move { put(handle, &at, b"x").await }
        })
        .await;
}

/// Keys below the root, as a listing of everything leads to them.
async fn all_keys(place: &Place) -> Vec<String> {
    let listed = entries(place.stores.list_all(&place.root)).await;
    let base = place.root.key().len();
    let mut keys: Vec<String> = listed.iter().map(|e| e.location(&place.root).key()[base..].to_owned()).collect();
    keys.sort();
    keys
}

/// Keys below the root, level by level, as a user walks.
async fn walked_keys(place: &Place) -> Vec<String> {
    let (mut open, mut keys) = (vec![place.root.clone()], Vec::new());
    while let Some(at) = open.pop() {
        for entry in entries(place.stores.list(&at)).await {
            let child = entry.location(&at);
            match entry.kind {
                EntryKind::Prefix => open.push(child),
                _ => keys.push(child.key()[place.root.key().len()..].to_owned()),
            }
        }
    }
    keys.sort();
    keys
}

fn meta() -> UploadMeta {
    UploadMeta {
        content_type: Some("image/tiff; application=geotiff; profile=cloud-optimized".to_owned()),
        metadata: [("fairease.catalog.mediatype".to_owned(), "COG".to_owned())].into(),
        ..UploadMeta::default()
    }
}

async fn what_is_put_can_be_read_in_ranges_and_is_counted(place: &Place) {
    let handle = place.open().await;
    let at = place.at("a b/obs é 2020.bin");
    put(&handle, &at, b"0123456789").await;
    let before = handle.meter().counts();
    let head = handle.read_head(&at, 4).await.expect("reads");
    assert_eq!((head.bytes.as_ref(), head.size), (&b"0123"[..], 10));
    assert_eq!(handle.read_range(&at, 7..10).await.expect("reads").as_ref(), b"789");
    let counts = handle.meter().counts();
    if place.can.steady {
        assert_eq!(counts.requests - before.requests, 2);
        assert_eq!(counts.bytes_in - before.bytes_in, 7);
        assert_eq!((counts.errors, handle.meter().in_flight()), (0, 0));
    }
    let many = handle.object_store().get_ranges(&handle.path(at.key()), &[0..2, 8..10]).await.expect("reads");
    assert_eq!(many.concat(), b"0189");
    assert_eq!(handle.read_range(&at, 3..3).await.expect("nothing is asked for").len(), 0);
    let empty = place.at("empty");
    put(&handle, &empty, b"").await;
    assert_eq!(handle.read_head(&empty, 100).await.expect("reads").size, 0);
    assert!(place.stores.meter().counts().requests >= counts.requests);
}

async fn bytes_arrive_whole_or_not_at_all(place: &Place) {
    let handle = place.open().await;
    let at = place.at("big.bin");
    let body: Vec<u8> = (0..700_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    handle.put_object(at.key(), Bytes::from(body.clone()), &meta(), false).await.expect("writes");
    let got = handle.object_store().get(&handle.path(at.key())).await.expect("answers");
    assert!(got.bytes().await.map_err(Error::from).expect("reads") == body);
    for beyond in [699_990..700_010, 700_000..700_001, 1 << 40..(1 << 40) + 5] {
        let err = handle.read_range(&at, beyond.clone()).await.expect_err("there are no such bytes");
        assert_eq!(err.kind(), Kind::Invalid, "{beyond:?}: {err:?}");
    }
    // What became shorter behind somebody's back is told, not filled up.
    put(&handle, &at, b"short").await;
    assert_eq!(handle.read_range(&at, 0..700_000).await.expect_err("it is shorter").kind(), Kind::Invalid);
}

async fn stat_tells_exact_metadata(place: &Place) {
    let handle = place.open().await;
    let at = place.at("cog.tif");
    handle.put_object(at.key(), Bytes::from_static(b"II*"), &meta(), false).await.expect("writes");
    let stat = place.stores.stat(&at, place.stores.meter()).await.expect("stat");
    assert_eq!((stat.size, &stat.location), (3, &at));
    assert!(stat.modified.is_some() && stat.etag.is_some());
    if place.can.metadata {
        assert_eq!((&stat.content_type, &stat.metadata), (&meta().content_type, &meta().metadata));
    }
}

async fn tags_are_kept_or_refused(place: &Place) {
    let handle = place.open().await;
    let at = place.at("tagged");
    put(&handle, &at, b"x").await;
    let tags: BTreeMap<String, String> = [("project".to_owned(), "a b&c=é+%20".to_owned())].into();
    let set = handle.set_tags(at.key(), &tags).await;
    if place.can.tags {
        set.expect("tags");
        assert_eq!(handle.stat(&at).await.expect("stat").tags, tags);
    } else {
        assert_eq!(set.expect_err("none are kept").kind(), Kind::Unsupported);
        assert!(handle.stat(&at).await.expect("stat").tags.is_empty());
    }
}

async fn an_object_that_stands_is_kept_where_it_is_wished(place: &Place) {
    let handle = place.open().await;
    let at = place.at("once");
    let first = handle.put_object(at.key(), Bytes::from_static(b"1"), &meta(), true).await;
    first.expect("writes");
    let second = handle.put_object(at.key(), Bytes::from_static(b"2"), &meta(), true).await;
    assert_eq!(second.expect_err("it stands").kind(), Kind::Exists);
    assert_eq!(handle.read_range(&at, 0..1).await.expect("reads").as_ref(), b"1");
    put(&handle, &at, b"3").await;
    assert_eq!(handle.read_range(&at, 0..1).await.expect("reads").as_ref(), b"3");
}

async fn parts_become_one_object_or_none(place: &Place) {
    let part = |n: u8| Bytes::from(vec![n; if n == 3 { 1000 } else { 5 << 20 }]);
    let handle = place.open().await;
    let at = place.at("whole.bin");
    let id = handle.create_upload(at.key(), &meta()).await.expect("starts");
    let mut parts = Vec::new();
    for n in [3_u8, 1, 2] {
        let etag = handle.put_part(at.key(), &id, n.into(), part(n)).await.expect("a part");
        parts.push((u32::from(n), etag));
    }
    parts.sort();
    assert_eq!(handle.stat(&at).await.expect_err("nothing is seen before").kind(), Kind::NotFound);
    handle.complete_upload(at.key(), &id, &parts, true).await.expect("completes");
    let stat = handle.stat(&at).await.expect("stat");
    assert_eq!(stat.size, (10 << 20) + 1000);
    if place.can.metadata {
        assert_eq!(stat.metadata, meta().metadata);
    }
    let seam = handle.read_range(&at, (5 << 20) - 1..(5 << 20) + 1).await.expect("reads");
    assert_eq!(seam.as_ref(), [1, 2]);

    let again = handle.create_upload(at.key(), &meta()).await.expect("starts");
    let etag = handle.put_part(at.key(), &again, 1, part(3)).await.expect("a part");
    let refused = handle.complete_upload(at.key(), &again, &[(1, etag)], true).await;
    assert_eq!(refused.expect_err("it stands").kind(), Kind::Exists);
    let aborted = handle.abort_upload(at.key(), &again).await;
    if place.can.aborts_twice || place.can.steady {
        aborted.expect("aborts");
    }
    if place.can.aborts_twice {
        handle.abort_upload(at.key(), &again).await.expect("aborting again is no error");
    }
    assert_eq!(handle.stat(&at).await.expect("stat").size, (10 << 20) + 1000);
    if let Some(folder) = &place.folder {
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "no parts are left");
    }
}

async fn listings_hold_every_key_once_over_many_pages(place: &Place) {
    const N: usize = 1010;
    let mut keys: Vec<String> = (0..N).flat_map(|i| [format!("m/f{i:04}"), format!("m/d{i:04}/x")]).collect();
    put_all(place, &keys).await;
    keys.sort();
    let level = entries(place.stores.list(&place.at("m/"))).await;
    assert_eq!(level.len(), 2 * N);
    assert_eq!(level.iter().filter(|e| e.kind == EntryKind::Prefix).count(), N);
    assert_eq!(level.iter().map(|e| &e.name).collect::<BTreeSet<_>>().len(), 2 * N);
    let file = level.iter().find(|e| &*e.name == "f0000").expect("the first file");
    assert_eq!((file.size, file.modified.is_some()), (Some(1), true));
    assert_eq!(file.location(&place.at("m/")), place.at("m/f0000"));
    let listed = entries(place.stores.list_all(&place.root)).await;
    assert_eq!(listed.len(), keys.len(), "none comes twice");
    assert_eq!(all_keys(place).await, keys);
    let nothing = place.stores.list(&place.at("nothing/")).try_collect::<Vec<_>>().await;
    match nothing {
        Ok(pages) => assert!(place.can.empty_prefixes && pages.into_iter().all(|p| p.into_block().is_empty())),
        Err(err) => assert!(!place.can.empty_prefixes && err.kind() == Kind::NotFound, "{err:?}"),
    }
    if place.can.any_key {
        // 2020 entries are three pages of a thousand.
        let meter = Meter::new();
        let counted = place.stores.open(&place.root, &meter).await.expect("opens");
        entries(counted.list_all(&place.root)).await;
        assert_eq!(meter.counts().requests, 3);
        assert!(meter.counts().bytes_in > 100_000);
    }
}

async fn libraries_list_what_the_program_lists(place: &Place) {
    let keys = ["a/1", "a/2", "b c/3", "b c/d/4", "top"].map(str::to_owned);
    put_all(place, &keys).await;
    let handle = place.open().await;
    let store = handle.object_store();
    let base = place.root.key().len();
    let plain = |path: &object_store::path::Path| handle.key(path)[base..].to_owned();
    let root = handle.path(place.root.key());
    let root = (!root.as_ref().is_empty()).then_some(&root);
    let listed: Vec<_> = store.list(root).try_collect().await.expect("a listing");
    assert_eq!(listed.iter().map(|m| plain(&m.location)).collect::<BTreeSet<_>>(), keys.clone().into());
    let after = handle.path(place.at("b c/3").key());
    let rest: Vec<_> = store.list_with_offset(root, &after).try_collect().await.expect("a listing");
    assert_eq!(rest.iter().map(|m| plain(&m.location)).collect::<BTreeSet<_>>(), keys[3..].iter().cloned().collect());
    let level = store.list_with_delimiter(root).await.expect("a listing");
    assert_eq!(level.objects.iter().map(|m| plain(&m.location)).collect::<Vec<_>>(), ["top"]);
    assert_eq!(
        level.common_prefixes.iter().map(plain).collect::<BTreeSet<_>>(),
        ["a", "b c"].map(str::to_owned).into()
    );
}

/// Names that a file can have too.
async fn strange_names_are_what_they_are(place: &Place) {
    let keys = [
        "a b+c%20&=?#;,@!$*()",
        "q\"'<>`{}|\\^~[]",
        "100%",
        "%2F/%2f",
        " lead and trail ",
        "e\u{301} and \u{e9}",
        "e\u{301}",
        "\u{e9}",
        "日本/🦭",
        "\u{200f}rtl\u{202e}",
        "...",
        "-",
        "~secchi~x",
        "x.csv?versionId=1",
    ];
    let holds = |key: &&str| place.can.encodes || !key.contains(['+', '%']);
    let mut keys: Vec<String> = keys.into_iter().filter(holds).map(str::to_owned).collect();
    keys.sort();
    put_all(place, &keys).await;
    assert_eq!(all_keys(place).await, keys);
    assert_eq!(walked_keys(place).await, keys);
    let handle = place.open().await;
    for key in &keys {
        let at = place.at(key);
        assert_eq!(handle.key(&handle.path(at.key())), at.key());
        assert_eq!(handle.stat(&at).await.unwrap_or_else(|err| panic!("{key:?}: {err:?}")).size, 1);
        assert_eq!(
            handle.read_head(&at, 9).await.unwrap_or_else(|err| panic!("{key:?}: {err:?}")).bytes.as_ref(),
            b"x"
        );
        handle.delete(at.key()).await.unwrap_or_else(|err| panic!("{key:?}: {err:?}"));
    }
    assert!(all_keys(place).await.is_empty());
}

/// Names that only an object can have. What cannot hold them is not asked to.
async fn keys_that_are_no_paths_are_what_they_are(place: &Place) {
    if !place.can.any_key {
        return;
    }
    let mut keys = support::odd_keys();
    put_all(place, &keys).await;
    keys.sort();
    assert_eq!(all_keys(place).await, keys);
    assert_eq!(walked_keys(place).await, keys);
    let own = entries(place.stores.list(&place.at("dir/"))).await;
    assert_eq!(own.iter().map(|e| &*e.name).collect::<BTreeSet<_>>(), ["./", "/", "x"].into());
    let handle = place.open().await;
    let listed: Vec<_> = handle.object_store().list(None).try_collect().await.expect("a listing");
    let listed: BTreeSet<String> = listed.iter().map(|m| handle.key(&m.location)).collect();
    assert_eq!(listed, keys.iter().cloned().collect());
}

/// A key of at most 1,024 bytes, which a store that knows only paths takes too if `paths` is wished.
fn any_key(paths: bool) -> impl Strategy<Value = String> {
    let key = if paths {
        "[^/\\p{Cc}]{1,20}(/[^/\\p{Cc}]{1,20}){0,3}"
    } else {
        "\\PC{1,60}|[a./~%+ \\x00-\\x1f\u{7f}]{1,12}|.{1,250}"
    };
    key.prop_filter("a key", move |key: &String| {
        let parts = || key.split('/');
        // No XML and no URL carries U+FFFE and U+FFFF everywhere; a NUL ends a C string.
        let legal = key.len() <= 1024 && !key.contains(['\0', '\u{fffe}', '\u{ffff}']);
        legal && (!paths || parts().all(|part| !part.is_empty() && part != "." && part != ".." && part.len() < 100))
    })
}

async fn whatever_is_written_comes_back(place: &Place) {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let keys = proptest::collection::btree_set(any_key(!place.can.any_key), 48..=48);
    let value = "[ -~]{0,30}".prop_map(|value: String| value.trim().to_owned());
    let name = if place.can.underscores { "[a-z0-9][a-z0-9._-]{0,15}" } else { "[a-z0-9][a-z0-9.-]{0,15}" };
    let meta = proptest::collection::btree_map(name, value.clone(), 0..4);
    let tags = proptest::collection::btree_map("[A-Za-z0-9 +=._:/@-]{1,20}", "[A-Za-z0-9é +=._:/@-]{0,20}", 0..4);
    let keys = keys.new_tree(&mut runner).expect("keys").current();
    // Where a name is a file it cannot be a folder as well.
    let inside = |key: &str| keys.iter().any(|other| other != key && key.starts_with(&format!("{other}/")));
    let holds = |key: &&String| (place.can.any_key || !inside(key)) && (place.can.encodes || !key.contains(['+', '%']));
    let keys: Vec<String> = keys.iter().filter(holds).cloned().collect();
    let handle = place.open().await;
    let mut written = BTreeMap::new();
    for key in &keys {
        let meta = UploadMeta {
            content_type: Some("text/plain".to_owned()),
            metadata: meta.new_tree(&mut runner).expect("metadata").current(),
            tags: if place.can.tags { tags.new_tree(&mut runner).expect("tags").current() } else { BTreeMap::new() },
            ..UploadMeta::default()
        };
        let at = place.at(key);
        let body = Bytes::from(key.clone());
        handle.put_object(at.key(), body, &meta, false).await.unwrap_or_else(|err| panic!("{key:?} {meta:?}: {err:?}"));
        written.insert(key.clone(), meta);
    }
    assert_eq!(all_keys(place).await, keys);
    for (key, meta) in &written {
        let at = place.at(key);
        let stat = handle.stat(&at).await.unwrap_or_else(|err| panic!("{key:?}: {err:?}"));
        assert_eq!(stat.size, key.len() as u64, "{key:?}");
        if place.can.metadata {
            assert_eq!((&stat.metadata, &stat.tags), (&meta.metadata, &meta.tags), "{key:?}");
        }
        let head = handle.read_head(&at, 2000).await.unwrap_or_else(|err| panic!("{key:?}: {err:?}"));
        assert_eq!(head.bytes, key.as_bytes(), "{key:?}");
    }
    for key in &keys {
        handle.delete(place.at(key).key()).await.unwrap_or_else(|err| panic!("{key:?}: {err:?}"));
    }
    assert!(all_keys(place).await.is_empty());
}

async fn one_and_many_are_deleted(place: &Place) {
    let keys: Vec<String> = (0..20).map(|n| format!("d/{n} é")).collect();
    put_all(place, &keys).await;
    let handle = place.open().await;
    let store = handle.object_store();
    handle.delete(place.at(&keys[0]).key()).await.expect("deletes");
    handle.delete(place.at(&keys[0]).key()).await.expect("deleting again is no error");
    assert_eq!(handle.stat(&place.at(&keys[0])).await.expect_err("it is gone").kind(), Kind::NotFound);
    store.delete(&handle.path(place.at(&keys[1]).key())).await.expect("deletes");
    let paths: Vec<_> = keys[2..15].iter().map(|key| Ok(handle.path(place.at(key).key()))).collect();
    let gone: Vec<_> = store.delete_stream(futures::stream::iter(paths).boxed()).try_collect().await.expect("deletes");
    assert_eq!(gone.len(), 13);
    let mut left = keys[15..].to_vec();
    left.sort();
    assert_eq!(all_keys(place).await, left);
}

async fn objects_are_copied_and_renamed(place: &Place) {
    let handle = place.open().await;
    let store = handle.object_store();
    put(&handle, &place.at("from é"), b"bytes").await;
    let path = |key: &str| handle.path(place.at(key).key());
    store.copy(&path("from é"), &path("to/copy %")).await.map_err(Error::from).expect("copies");
    assert_eq!(handle.read_range(&place.at("to/copy %"), 0..5).await.expect("reads"), "bytes");
    store.rename(&path("to/copy %"), &path("to/other")).await.map_err(Error::from).expect("renames");
    assert_eq!(all_keys(place).await, ["from é", "to/other"]);
    let err = store.copy(&path("nothing"), &path("x")).await.map_err(Error::from).expect_err("nothing is there");
    assert_eq!(err.kind(), Kind::NotFound, "{err:?}");
}

async fn links_read_without_credentials_where_they_are_offered(place: &Place) {
    let handle = place.open().await;
    let at = place.at("a b/é+%20?#&.txt");
    put(&handle, &at, b"0123456789").await;
    let link = handle.presign(Method::Get, at.key(), Duration::from_mins(1)).await;
    if !place.can.links {
        assert_eq!(link.expect_err("none are offered").kind(), Kind::Unsupported);
        return;
    }
    let link = Location::parse(&link.expect("a link").url).expect("a location");
    let options = Options { ca_bundle: place.stores.options().ca_bundle.clone(), ..Options::default() };
    let web = Stores::new(options);
    let reader = web.open(&link, web.meter()).await.expect("opens");
    assert_eq!(reader.read_range(&link, 2..5).await.expect("reads").as_ref(), b"234");
    let week = handle.presign(Method::Get, at.key(), Duration::from_hours(24 * 8)).await;
    assert_eq!(week.expect_err("no link lasts so long").kind(), Kind::Usage);
}

async fn missing_things_are_called_by_their_names(place: &Place) {
    let handle = place.open().await;
    let at = place.at("nothing.tif");
    let path = handle.path(at.key());
    let errors = [
        handle.stat(&at).await.map(drop).expect_err("missing"),
        handle.read_head(&at, 10).await.map(drop).expect_err("missing"),
        handle.read_range(&at, 0..1).await.map(drop).expect_err("missing"),
        handle.object_store().head(&path).await.map_err(Error::from).map(drop).expect_err("missing"),
        handle.object_store().get(&path).await.map_err(Error::from).map(drop).expect_err("missing"),
    ];
    for err in errors {
        assert_eq!(err.kind(), Kind::NotFound, "{err}");
        assert!(err.to_string().contains("nothing.tif"), "{err}");
    }
}

async fn read_only_refuses_every_write(place: &Place) {
    put(&place.open().await, &place.at("stays"), b"x").await;
    let stores = Stores::new(Options { read_only: true, ..place.stores.options().clone() });
    let handle = stores.open(&place.root, stores.meter()).await.expect("opens");
    let key = place.at("new").key().to_owned();
    let (store, path) = (handle.object_store(), handle.path(&key));
    let other = handle.path(place.at("stays").key());
    for err in [
        handle.put_object(&key, Bytes::new(), &meta(), false).await.map(drop).expect_err("refused"),
        handle.create_upload(&key, &meta()).await.map(drop).expect_err("refused"),
        handle.put_part(&key, "id", 1, Bytes::new()).await.map(drop).expect_err("refused"),
        handle.complete_upload(&key, "id", &[], false).await.map(drop).expect_err("refused"),
        handle.set_tags(&key, &BTreeMap::new()).await.expect_err("refused"),
        handle.delete(place.at("stays").key()).await.expect_err("refused"),
        store.put(&path, Bytes::new().into()).await.map_err(Error::from).map(drop).expect_err("refused"),
        store.put_multipart(&path).await.map_err(Error::from).map(drop).expect_err("refused"),
        store.delete(&other).await.map_err(Error::from).expect_err("refused"),
        store.copy(&other, &path).await.map_err(Error::from).expect_err("refused"),
        store.rename(&other, &path).await.map_err(Error::from).expect_err("refused"),
    ] {
        assert_eq!(err.kind(), Kind::Denied, "{err}");
        assert!(err.to_string().contains("read-only"), "{err}");
    }
    assert_eq!(all_keys(place).await, ["stays"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_not_there_is_told_in_seconds() {
    for (endpoint, words) in [
        ("http://127.0.0.1:9", "nothing listens at 127.0.0.1:9"),
        ("http://secchi.invalid", "there is no host `secchi.invalid`"),
    ] {
        let stores = Stores::new(support::s3_options(endpoint, "k", "s"));
        let at = Location::parse("s3://bucket/key").expect("a location");
        let started = Instant::now();
        let listed = stores.list(&at.with_key("")).next().await.expect("an answer").expect_err("unreachable");
        let read =
            stores.open(&at, stores.meter()).await.expect("opens").read_head(&at, 10).await.expect_err("unreachable");
        for err in [listed, read] {
            assert_eq!((err.kind(), err.to_string().as_str()), (Kind::Unreachable, words));
        }
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_holds_for_all_stores_together() {
    let server = S3s::start().await;
    let (stores, root) = support::new_bucket(Stores::new(Options { concurrency: Some(2), ..server.options() })).await;
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    put(&handle, &root.child("x"), b"0123456789").await;
    // Bodies that nobody reads must not hold the places of others.
    let mut unread = Vec::new();
    for _ in 0..3 {
        unread.push(handle.object_store().get(&handle.path("x")).await.expect("answers"));
    }
    let work = futures::stream::iter(0..40).for_each_concurrent(40, |_| async {
        handle.read_range(&root.child("x"), 0..10).await.expect("reads");
    });
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("no one waits for ever");
}
