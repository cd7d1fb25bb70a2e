//! Listings that are hit by what happens to them: every key is there once, and what happened is told.

#[path = "support/canned.rs"]
mod canned;
mod support;

use canned::{Act, Canned, key};
use futures::StreamExt as _;
use secchi::error::{Error, Kind};
use secchi::listing::{Page, Pages};
use secchi::location::Location;
use secchi::store::{Environment, Options, Stores, UploadMeta};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use support::{Ceph, Fault, S3s};

/// Silence that is borne here; pauses between tries begin with a fiftieth of it.
const SILENCE: Duration = Duration::from_millis(500);
const KEYS: usize = 12_345;

/// Names in the order they came, the notes between them, and how it ended.
struct Listed {
    names: Vec<String>,
    notes: Vec<String>,
    end: Result<(), Error>,
}

async fn listed(mut pages: Pages) -> Listed {
    let mut listed = Listed { names: Vec::new(), notes: Vec::new(), end: Ok(()) };
    while let Some(page) = pages.next().await {
        match page {
            Ok(Page::Entries(block)) => listed.names.extend(block.rows().map(|row| row.name().to_owned())),
            Ok(Page::Note(note)) => listed.notes.push(note),
            Err(err) => listed.end = Err(err),
        }
    }
    listed
}

fn stores(endpoint: &str) -> Stores {
    Stores::new(Options { silence: Some(SILENCE), ..support::s3_options(endpoint, "key", "secret") })
}

fn many() -> Location {
    Location::parse("s3://many/").expect("an address")
}

fn all_keys() -> Vec<String> {
    (0..KEYS).map(key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_goes_on_after_whatever_hits_it() {
    for (act, words) in [
        (Act::Refuse(503, "SlowDown"), "asks for fewer requests"),
        (Act::Refuse(500, "InternalError"), "InternalError"),
        (Act::Cut, "closed the connection"),
        (Act::CutSilently, "broke off"),
        (Act::ErrorInside, "InternalError"),
        (Act::Stall, "fell silent"),
    ] {
        // Requests go wrong in pairs, so that a second try fails too; the first ones are good.
        let server = Canned::start(KEYS, move |asked| if asked.number % 5 >= 3 { act } else { Act::Serve });
        for pages in [stores(&server.endpoint()).list(&many()), stores(&server.endpoint()).list_all(&many())] {
            let listed = listed(pages).await;
            assert!(listed.end.is_ok(), "{act:?}: {:?} {:?}", listed.end, listed.notes);
            assert!(listed.names == all_keys(), "{act:?}: {} keys", listed.names.len());
            assert!(listed.notes.iter().any(|n| n.contains(words)), "{act:?}: {:?}", listed.notes);
            assert!(listed.notes.iter().all(|n| n.contains("try of 6 in")), "{act:?}: {:?}", listed.notes);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stays_away_ends_the_listing_and_what_is_listed_stays() {
    let server = Canned::start(KEYS, |asked| if asked.number < 4 { Act::Serve } else { Act::Refuse(503, "SlowDown") });
    let listed = listed(stores(&server.endpoint()).list(&many())).await;
    assert!(listed.names.len() >= 2_000 && all_keys().starts_with(&listed.names), "{}", listed.names.len());
    let err = listed.end.expect_err("it stays away");
    assert_eq!((err.kind(), err.hint()), (Kind::Limit, Some("what was listed stays; list it again later")));
    assert_eq!(listed.notes.len(), 5, "{:?}", listed.notes);
    assert!(listed.notes[4].contains("6th try of 6 in") && listed.notes[4].contains("000 entries so far"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_told_at_once() {
    let started = Instant::now();
    for (act, kind) in
        [(Act::Refuse(403, "AccessDenied"), Kind::Denied), (Act::Refuse(404, "NoSuchBucket"), Kind::NotFound)]
    {
        let server = Canned::start(KEYS, move |_| act);
        let listed = listed(stores(&server.endpoint()).list(&many())).await;
        assert_eq!(listed.end.map_err(|e| e.kind()), Err(kind));
        assert_eq!(server.asked.load(Relaxed), 1);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_end_in_the_middle_are_read_again() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join(".aws")).expect("a folder");
    let write = |key: &str| {
        let text = format!("[p]\naws_access_key_id = {key}\naws_secret_access_key = s\naws_session_token = t-{key}\n");
        std::fs::write(home.path().join(".aws/credentials"), text).expect("a file");
    };
    write("old");
    let server = Canned::start(KEYS, |asked| {
        if asked.access_key == "old" && asked.number >= 4 { Act::Refuse(400, "ExpiredToken") } else { Act::Serve }
    });
    let environment = Environment::fixed([("HOME", home.path().to_string_lossy().into_owned())]);
    let stores = || {
        Stores::new(Options {
            environment: environment.clone(),
            endpoint_url: Some(server.endpoint()),
            silence: Some(SILENCE),
            ..Options::default()
        })
    };
    let there = Location::parse("s3://p@many/").expect("an address");
    let mut pages = stores().list(&there);
    let first = pages.next().await.expect("a page").expect("a page").into_block();
    write("new");
    let rest = listed(pages).await;
    assert!(rest.end.is_ok(), "{:?}", rest.end);
    assert_eq!(first.len() + rest.names.len(), KEYS);
    assert!(rest.names == all_keys()[first.len()..]);
    assert!(rest.notes.iter().any(|n| n.contains("new ones were got")), "{:?}", rest.notes);

    // Where there are no others it says so.
    write("old");
    let refused = listed(stores().list(&there)).await.end.expect_err("expired");
    assert_eq!(refused.to_string(), "the temporary credentials of the profile `p` have expired");
}

/// Keys in folders of several depths, and beside them.
fn tree() -> Vec<String> {
    let mut keys: Vec<String> = (0..7).flat_map(|y| (0..900).map(move |i| format!("d/{y}/{i:04}.nc"))).collect();
    keys.extend((0..300).map(|i| format!("d/{i:03}-beside")));
    keys.extend((0..200).map(|i| format!("d/small/{i:03}/one")));
    keys.extend(["d/0-", "d/0.", "d/00", "d/3/deep/er/x", "d/z"].map(str::to_owned));
    keys.sort();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_is_listed_by_several_hands_in_order_through_every_fault() {
    let server = S3s::start().await;
    let keys = tree();
    for key in &keys {
        let path = server.folder().join("lake").join(key);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, "x").expect("a file");
    }
    let bucket = Location::parse("s3://lake/").expect("an address");
    for fault in [None, Some("reset=300000"), Some("close=280000"), Some("stall=290000")] {
        let proxy = fault.map(|fault| Fault::start(server.port(), &[fault]));
        let endpoint = proxy.as_ref().map_or_else(|| server.endpoint.clone(), Fault::endpoint);
        // The server lists slowly, and more so where other tests run.
        let options = Options { silence: Some(SILENCE * 4), ..server.options() };
        let stores = Stores::new(Options {
            environment: support::s3_options(&endpoint, "key", "secret").environment,
            ..options
        });
        let listed = listed(stores.list_all(&bucket)).await;
        assert!(listed.end.is_ok(), "{fault:?}: {:?}", listed.end);
        assert_eq!(listed.names.len(), keys.len(), "{fault:?}: {:?}", listed.notes);
        assert!(listed.names == keys, "{fault:?}");
        assert!(fault.is_none() || !listed.notes.is_empty(), "{fault:?}");
        // What is lost is asked for over a new line, not over the next one that was kept and is as bad.
        assert!(!listed.notes.iter().any(|note| note.contains("4th try")), "{fault:?}: {:?}", listed.notes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ceph_lists_a_tree_through_every_fault() {
    let Some(ceph) = Ceph::find() else { return };
    let (all, root) = ceph.bucket().await;
    let handle = all.open(&root, all.meter()).await.expect("opens");
    let keys: Vec<String> = (0..4).flat_map(|y| (0..900).map(move |i| format!("{y}/ä b+{i:04}"))).collect();
    futures::stream::iter(&keys)
        .for_each_concurrent(32, |key| {
            let handle = &handle;
            async move {
                let body = bytes::Bytes::from_static(b"x");
                handle.put_object(key, body, &UploadMeta::default(), false).await.expect("an object");
            }
        })
        .await;
    let mut expected = keys.clone();
    expected.sort();
    for fault in [None, Some("reset=500000"), Some("close=600000"), Some("stall=700000")] {
        let proxy = fault.map(|fault| Fault::start(ceph.port(), &[fault]));
        let endpoint = proxy.as_ref().map_or_else(|| ceph.endpoint.clone(), Fault::endpoint);
        let stores = Stores::new(Options {
            // The gateway itself may be busy.
            silence: Some(SILENCE * 4),
            ..support::s3_options(&endpoint, &ceph.key, &ceph.secret)
        });
        let listed = listed(stores.list_all(&root)).await;
        assert!(listed.end.is_ok(), "{fault:?}: {:?}", listed.end);
        assert!(listed.names == expected, "{fault:?}: {} keys, {:?}", listed.names.len(), listed.notes);
    }
    futures::stream::iter(&keys)
        .for_each_concurrent(32, |key| {
            let handle = &handle;
            async move { handle.delete(key).await.expect("deleted") }
        })
        .await;
}
