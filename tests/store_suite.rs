//! One suite for every store: memory, a folder, s3s-fs in this process, and a real Ceph gateway.

mod support;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;
use secchi::entry::{Entry, EntryKind};
use secchi::error::{Error, Kind};
use secchi::listing::{Page, Pages};
use secchi::location::Location;
use secchi::meter::Meter;
use secchi::store::{Options, StoreHandle, Stores, UploadMeta};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::{Ceph, S3s};

/// One store under test, with an empty container in it.
struct Place {
    name: &'static str,
    stores: Stores,
    root: Location,
    _server: Option<S3s>,
    folder: Option<tempfile::TempDir>,
}

impl Place {
    async fn open(&self) -> StoreHandle {
        self.stores.open(&self.root, &self.stores.meter().child()).await.expect(self.name)
    }

    fn at(&self, key: &str) -> Location {
        self.root.child(key)
    }
}

async fn places() -> Vec<Place> {
    let memory = Stores::new(Options::default());
    let root = Location::parse("memory:///root/").expect("a location");
    let mut places = vec![Place { name: "memory", stores: memory, root, _server: None, folder: None }];

    let folder = tempfile::tempdir().expect("a folder");
    let root = Location::file(folder.path()).as_container();
    let stores = Stores::new(Options::default());
    places.push(Place { name: "folder", stores, root, _server: None, folder: Some(folder) });

    let server = S3s::start().await;
    let (stores, root) = support::new_bucket(Stores::new(server.options())).await;
    places.push(Place { name: "s3s", stores, root, _server: Some(server), folder: None });

    if let Some(ceph) = Ceph::find() {
        let (stores, root) = ceph.bucket().await;
        places.push(Place { name: "ceph", stores, root, _server: None, folder: None });
    }
    places
}

async fn put(handle: &StoreHandle, at: &Location, body: &'static [u8]) {
    let done = handle.put_object(at.key(), Bytes::from_static(body), &UploadMeta::default(), false).await;
    done.unwrap_or_else(|err| panic!("{at:?}: {err}"));
}

async fn entries(pages: Pages) -> Vec<Entry> {
    let pages: Vec<Page> = pages.try_collect().await.expect("a listing");
    pages.into_iter().flat_map(|page| page.into_block().to_entries()).collect()
}

fn names(entries: &[Entry]) -> Vec<String> {
    let mut names: Vec<String> = entries.iter().map(|e| e.name.to_string()).collect();
    names.sort();
    names
}

fn meta() -> UploadMeta {
    UploadMeta {
        content_type: Some("image/tiff; application=geotiff; profile=cloud-optimized".to_owned()),
        metadata: [("fairease.catalog.mediatype".to_owned(), "COG".to_owned())].into(),
        ..UploadMeta::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_can_be_read_in_ranges_and_is_counted() {
    for place in places().await {
        let handle = place.open().await;
        let at = place.at("a b/obs é 2020.bin");
        put(&handle, &at, b"0123456789").await;
        let before = handle.meter().counts();
        let head = handle.read_head(&at, 4).await.expect(place.name);
        assert_eq!((head.bytes.as_ref(), head.size), (&b"0123"[..], 10), "{}", place.name);
        assert_eq!(handle.read_range(&at, 7..10).await.expect(place.name).as_ref(), b"789");
        let counts = handle.meter().counts();
        assert_eq!(counts.requests - before.requests, 2, "{}", place.name);
        assert_eq!(counts.bytes_in - before.bytes_in, 7, "{}", place.name);
        assert_eq!((counts.errors, handle.meter().in_flight()), (0, 0), "{}", place.name);
        let many = handle.object_store().get_ranges(&handle.path(at.key()), &[0..2, 8..10]).await.expect(place.name);
        assert_eq!(many.concat(), b"0189");
        assert!(handle.read_range(&at, 8..20).await.is_err(), "{}", place.name);
        let empty = place.at("empty");
        put(&handle, &empty, b"").await;
        assert_eq!(handle.read_head(&empty, 100).await.expect(place.name).size, 0);
        assert!(place.stores.meter().counts().requests >= counts.requests);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stat_tells_exact_metadata() {
    for place in places().await {
        let handle = place.open().await;
        let at = place.at("cog.tif");
        handle.put_object(at.key(), Bytes::from_static(b"II*"), &meta(), false).await.expect(place.name);
        let stat = place.stores.stat(&at, place.stores.meter()).await.expect(place.name);
        assert_eq!((stat.size, &stat.location), (3, &at), "{}", place.name);
        assert!(stat.modified.is_some() && stat.etag.is_some(), "{}", place.name);
        if place.name != "folder" {
            assert_eq!(stat.content_type, meta().content_type, "{}", place.name);
            assert_eq!(stat.metadata, meta().metadata, "{}", place.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_stands_is_kept_where_it_is_wished() {
    for place in places().await {
        let handle = place.open().await;
        let at = place.at("once");
        let first = handle.put_object(at.key(), Bytes::from_static(b"1"), &meta(), true).await;
        first.expect(place.name);
        let second = handle.put_object(at.key(), Bytes::from_static(b"2"), &meta(), true).await;
        assert_eq!(second.expect_err(place.name).kind(), Kind::Exists, "{}", place.name);
        assert_eq!(handle.read_range(&at, 0..1).await.expect(place.name).as_ref(), b"1");
        put(&handle, &at, b"3").await;
        assert_eq!(handle.read_range(&at, 0..1).await.expect(place.name).as_ref(), b"3");
        handle.delete(at.key()).await.expect(place.name);
        handle.delete(at.key()).await.expect("deleting again is no error");
        assert_eq!(handle.stat(&at).await.expect_err(place.name).kind(), Kind::NotFound, "{}", place.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_become_one_object_or_none() {
    let part = |n: u8| Bytes::from(vec![n; if n == 3 { 1000 } else { 5 << 20 }]);
    for place in places().await {
        let handle = place.open().await;
        let at = place.at("whole.bin");
        let id = handle.create_upload(at.key(), &meta()).await.expect(place.name);
        let mut parts = Vec::new();
        for n in [3_u8, 1, 2] {
            let etag = handle.put_part(at.key(), &id, n.into(), part(n)).await.expect(place.name);
            parts.push((u32::from(n), etag));
        }
        parts.sort();
        assert_eq!(handle.stat(&at).await.expect_err(place.name).kind(), Kind::NotFound, "nothing is seen before");
        handle.complete_upload(at.key(), &id, &parts, true).await.expect(place.name);
        let stat = handle.stat(&at).await.expect(place.name);
        assert_eq!(stat.size, (10 << 20) + 1000, "{}", place.name);
        if place.name != "folder" {
            assert_eq!(stat.metadata, meta().metadata, "{}", place.name);
        }
        let seam = handle.read_range(&at, (5 << 20) - 1..(5 << 20) + 1).await.expect(place.name);
        assert_eq!(seam.as_ref(), [1, 2], "{}", place.name);

        let again = handle.create_upload(at.key(), &meta()).await.expect(place.name);
        let etag = handle.put_part(at.key(), &again, 1, part(3)).await.expect(place.name);
        let refused = handle.complete_upload(at.key(), &again, &[(1, etag)], true).await;
        assert_eq!(refused.expect_err(place.name).kind(), Kind::Exists, "{}", place.name);
        handle.abort_upload(at.key(), &again).await.expect(place.name);
        if place.name != "s3s" {
            // That server answers a second time that access is denied.
            handle.abort_upload(at.key(), &again).await.expect("aborting again is no error");
        }
        assert_eq!(handle.stat(&at).await.expect(place.name).size, (10 << 20) + 1000);
        if let Some(folder) = &place.folder {
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "no parts are left");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_hold_every_key_once_over_many_pages() {
    const N: usize = 1010;
    for place in places().await {
        let handle = place.open().await;
        let keys: Vec<String> = (0..N).flat_map(|i| [format!("m/f{i:04}"), format!("m/d{i:04}/x")]).collect();
        futures::stream::iter(keys.iter().map(|key| place.at(key)))
            .for_each_concurrent(16, |at| {
                let handle = &handle;
                async move { put(handle, &at, b"x").await }
            })
            .await;
        let level = entries(handle.list(&place.at("m/"))).await;
        assert_eq!(level.len(), 2 * N, "{}", place.name);
        let prefixes = level.iter().filter(|e| e.kind == EntryKind::Prefix).count();
        assert_eq!(prefixes, N, "{}", place.name);
        assert_eq!(level.iter().map(|e| &e.name).collect::<BTreeSet<_>>().len(), 2 * N, "{}", place.name);
        let all = names(&entries(place.stores.list_all(&place.root)).await);
        let mut expected = keys;
        expected.sort();
        assert_eq!(all, expected, "{}", place.name);
        let file = level.iter().find(|e| &*e.name == "f0000").expect(place.name);
        assert_eq!(file.size, Some(1));
        assert!(file.modified.is_some());
        assert_eq!(file.location(&place.at("m/")), place.at("m/f0000"));
        if place.name == "ceph" {
            // 2020 entries are three pages of a thousand.
            let meter = Meter::new();
            let counted = place.stores.open(&place.root, &meter).await.expect("opens");
            entries(counted.list_all(&place.root)).await;
            assert_eq!(meter.counts().requests, 3);
            assert!(meter.counts().bytes_in > 100_000);
            let listed: Vec<_> = counted.object_store().list(None).try_collect().await.expect("a listing");
            assert_eq!(listed.len(), 2 * N);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_things_are_called_by_their_names() {
    for place in places().await {
        let handle = place.open().await;
        let at = place.at("nothing.tif");
        for err in [
            handle.stat(&at).await.map(drop).expect_err(place.name),
            handle.read_head(&at, 10).await.map(drop).expect_err(place.name),
            handle.read_range(&at, 0..1).await.map(drop).expect_err(place.name),
            handle
                .object_store()
                .head(&handle.path(at.key()))
                .await
                .map_err(Error::from)
                .map(drop)
                .expect_err(place.name),
        ] {
            assert_eq!(err.kind(), Kind::NotFound, "{}: {err}", place.name);
            assert!(err.to_string().contains("nothing.tif"), "{}: {err}", place.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_refuses_every_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let stores = Stores::new(Options { read_only: true, ..Options::default() });
    for root in [Location::parse("memory:///").expect("a location"), Location::file(folder.path()).as_container()] {
        let handle = stores.open(&root, stores.meter()).await.expect("opens");
        let key = root.child("x").key().to_owned();
        let (store, path) = (handle.object_store(), handle.path(&key));
        for err in [
            handle.put_object(&key, Bytes::new(), &meta(), false).await.map(drop).expect_err("refused"),
            handle.create_upload(&key, &meta()).await.map(drop).expect_err("refused"),
            handle.delete(&key).await.expect_err("refused"),
            store.put(&path, Bytes::new().into()).await.map_err(Error::from).map(drop).expect_err("refused"),
            store.put_multipart(&path).await.map_err(Error::from).map(drop).expect_err("refused"),
            store.delete(&path).await.map_err(Error::from).expect_err("refused"),
            store.rename(&path, &path).await.map_err(Error::from).expect_err("refused"),
        ] {
            assert!(err.to_string().contains("read-only"), "{err}");
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
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
