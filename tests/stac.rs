//! Static STAC catalogs on a disk and in memory: listed, and previewed.

#![allow(clippy::print_stdout)] // what was measured, or skipped, is for whoever reads the test's output

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;
use secchi::entry::{Entry, EntryKind};
use secchi::error::{Kind, Result};
use secchi::listing::Page;
use secchi::location::Location;
use secchi::meter::Meter;
use secchi::preview::{Ask, Preview, Probe};
use secchi::store::{Options, Stores};
use std::path::{Path, PathBuf};

/// The folder of catalogs of others; `None` where it is not there.
fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("SECCHI_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from)
        .join("stac");
    if !folder.is_dir() {
        println!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

async fn list(stores: &Stores, location: &Location) -> Result<Vec<Entry>> {
    let source = secchi::sources::of(location)?;
    let pages: Vec<Page> = (source.list)(stores.clone(), location.clone()).try_collect().await?;
    Ok(pages.into_iter().flat_map(|page| page.into_block().to_entries()).collect())
}

/// Everything below a location, by kind.
async fn walk(stores: &Stores, root: Location) -> Vec<Entry> {
    let (mut open, mut seen) = (vec![root], Vec::new());
    while let Some(container) = open.pop() {
        for entry in list(stores, &container).await.expect("a listing") {
            if entry.kind.is_container() {
                open.push(entry.location(&container));
            }
            seen.push(entry);
        }
    }
    seen
}

fn count(entries: &[Entry], kind: EntryKind) -> usize {
    entries.iter().filter(|e| e.kind == kind).count()
}

#[tokio::test]
async fn the_test_cases_of_pystac_open_from_root_to_asset() {
    let Some(data) = data() else { return };
    let stores = Stores::new(Options::default());
    let one = walk(&stores, Location::file(&data.join("test-case-1/catalog.json"))).await;
    assert_eq!(count(&one, EntryKind::Catalog), 2);
    assert_eq!(count(&one, EntryKind::Collection), 4);
    assert_eq!(count(&one, EntryKind::Item), 8);
    assert!(one.iter().any(|e| &*e.name == "area-1-1-imagery" && e.kind == EntryKind::Item));

    let four = walk(&stores, Location::file(&data.join("test-case-4/catalog.json"))).await;
    assert!(count(&four, EntryKind::Collection) >= 7, "{}", count(&four, EntryKind::Collection));
    assert!(count(&four, EntryKind::Asset) > 0);
}

#[tokio::test]
async fn the_examples_of_the_specification_list_and_preview() {
    let Some(data) = data() else { return };
    let stores = Stores::new(Options::default());
    let examples = data.join("spec-examples");
    let root = Location::file(&examples.join("catalog.json"));
    let entries = list(&stores, &root).await.expect("a listing");
    assert!(entries.iter().any(|e| e.kind == EntryKind::Collection), "{entries:?}");
    assert!(entries.iter().any(|e| e.kind == EntryKind::Item), "{entries:?}");

    let core = Location::file(&examples.join("core-item.json"));
    let assets = list(&stores, &core).await.expect("assets");
    assert!(assets.iter().all(|a| a.kind == EntryKind::Asset && a.more.as_ref().is_some_and(|m| m.target.is_some())));

    for file in ["catalog.json", "collection.json", "core-item.json", "extended-item.json", "collectionless-item.json"]
    {
        let location = Location::file(&examples.join(file));
        let loaded =
            secchi::previews::load(stores.clone(), Ask::new(Probe::new(location), Meter::new())).await.expect(file);
        assert_eq!(loaded.format, "stac", "{file}");
        let Preview::Tree(tree) = loaded.preview else { panic!("{file} is no tree") };
        assert!(tree.facts.rows.iter().all(|(name, _)| name != "not as specified"), "{file}: {:?}", tree.facts);
    }
}

async fn put(stores: &Stores, key: &str, text: &str) -> Location {
    let location = Location::parse(&format!("memory:///{key}")).expect("a location");
    let handle = stores.open(&location, &Meter::new()).await.expect("opens");
    handle.object_store().put(&handle.path(key), text.to_owned().into()).await.expect("puts");
    location
}

#[tokio::test]
async fn a_thousand_items_cost_one_request_and_are_named_by_their_links() {
    let stores = Stores::new(Options::default());
    let links: Vec<_> = (0..1000)
        .map(
            |i| serde_json::json!({ "rel": "item", "href": format!("./i{i}/i{i}.json"), "title": format!("Item {i}") }),
        )
        .collect();
    let document = serde_json::json!({
        "type": "Collection", "stac_version": "1.0.0", "id": "c", "description": "d", "license": "x",
        "extent": { "spatial": { "bbox": [[0, 0, 1, 1]] }, "temporal": { "interval": [[null, null]] } }, "links": links,
    });
    let location = put(&stores, "c/collection.json", &document.to_string()).await;
    // None of the items exists: had one been asked for, it would say so.
    let pages: Vec<_> =
        (secchi::sources::of(&location).expect("a source").list)(stores.clone(), location).collect().await;
    let entries: Vec<Entry> = pages.into_iter().flat_map(|p| p.expect("a page").into_block().to_entries()).collect();
    assert_eq!(entries.len(), 1000);
    assert_eq!(&*entries[999].name, "i999");
    assert_eq!(entries[999].more.as_ref().and_then(|m| m.detail.as_deref()), Some("Item 999"));
    assert!(entries.iter().all(|e| e.kind == EntryKind::Item));
}

#[tokio::test]
async fn a_child_that_is_missing_or_broken_is_listed_with_the_reason() {
    let stores = Stores::new(Options::default());
    put(&stores, "broken/catalog.json", "{\"type\":").await;
    let root = put(
        &stores,
        "catalog.json",
        r#"{"type":"Catalog","stac_version":"1.1.0","id":"r","description":"d","links":[
            {"rel":"child","href":"./broken/catalog.json"},{"rel":"item","href":"./missing/missing.json"}]}"#,
    )
    .await;
    let entries = list(&stores, &root).await.expect("a listing");
    let details: Vec<_> = entries.iter().filter_map(|e| e.more.as_ref()?.detail.as_deref()).collect();
    assert_eq!(entries.iter().map(|e| &*e.name).collect::<Vec<_>>(), ["broken", "missing"]);
    assert!(details[0].contains("not a STAC document"), "{}", details[0]);
    assert_eq!(details.len(), 2);
}

#[tokio::test]
async fn json_that_is_no_stac_says_so_and_is_previewed_by_others() {
    let stores = Stores::new(Options::default());
    for (key, text) in
        [("a.json", "{\"a\":1}"), ("b.json", "[1,2]"), ("c.json", "\u{1b}[2J"), ("d.geojson", "{\"type\":\"Feature\"}")]
    {
        let location = put(&stores, key, text).await;
        let err = list(&stores, &location).await.expect_err(key);
        assert_eq!(err.kind(), Kind::Invalid, "{err}");
        assert!(!err.to_string().contains('\u{1b}'), "{err}");
        let loaded =
            secchi::previews::load(stores.clone(), Ask::new(Probe::new(location), Meter::new())).await.expect(key);
        assert_ne!(loaded.format, "stac");
    }
}
