//! Static STAC catalogs: a document lists the documents and assets that it links.

use crate::catalog::{self, Child, Document, Type};
use crate::entry::{Entry, EntryKind, More};
use crate::listing::{Block, Page, Pages};
use crate::location::Location;
use crate::source::Source;
use crate::store::Stores;
use futures::StreamExt as _;
use std::time::Duration;

/// Lists a STAC document. That the location ends in `.json` is all that can be known before it is
/// read; what is not STAC says so then.
pub(super) const SOURCE: Source = Source {
    name: "stac",
    matches: |location| !location.is_container() && matches!(location.extension().as_str(), "json" | "geojson"),
    list,
};

/// Children of a document that are read for their titles and times. With more of them only their
/// links are shown: a thousand items do not cost a thousand requests.
const READ_CHILDREN: usize = 24;
/// Of these at once.
const AT_ONCE: usize = 8;
/// For each; then its link has to do.
const PATIENCE: Duration = Duration::from_secs(4);
/// Entries of a page.
const PAGE: usize = 500;

fn list(stores: Stores, location: Location) -> Pages {
    let first = async move {
        match catalog::fetch(&stores, &location, stores.meter()).await {
            Ok(document) => pages(stores, &document),
            Err(err) => futures::stream::once(async { Err(err) }).boxed(),
        }
    };
    futures::stream::once(first).flatten().boxed()
}

fn pages(stores: Stores, document: &Document) -> Pages {
    let children = document.children();
    let assets: Vec<Entry> = document.assets.iter().map(asset).chain(document.items.iter().map(inline)).collect();
    let assets = futures::stream::iter((!assets.is_empty()).then_some(Ok(assets.into())));
    if children.len() > READ_CHILDREN {
        let pages: Vec<Page> =
            children.chunks(PAGE).map(|part| part.iter().map(linked).collect::<Block>().into()).collect();
        return futures::stream::iter(pages.into_iter().map(Ok)).chain(assets).boxed();
    }
    futures::stream::iter(children)
        .map(move |child| read(stores.clone(), child))
        .buffered(AT_ONCE)
        .ready_chunks(READ_CHILDREN)
        .map(|page| Ok(page.into()))
        .chain(assets)
        .boxed()
}

/// A child, read; as its link tells where it cannot be read.
async fn read(stores: Stores, child: Child) -> Entry {
    let mut entry = linked(&child);
    let fetched = tokio::time::timeout(PATIENCE, catalog::fetch(&stores, &child.target, stores.meter())).await;
    let more = entry.more.get_or_insert_default();
    match fetched {
        Ok(Ok(document)) => {
            entry.kind = kind(document.kind);
            if !document.id.is_empty() {
                entry.name = document.id.as_str().into();
            }
            more.detail = detail(&document).or_else(|| more.detail.take());
        }
        Ok(Err(err)) => more.detail = Some(err.to_string()),
        Err(_) => {}
    }
    entry
}

/// A child as its link tells.
fn linked(child: &Child) -> Entry {
    let detail = child.title.clone().filter(|title| *title != child.name);
    entry(kind(child.kind), &child.name, More { target: Some(child.target.clone()), detail, ..More::default() })
}

/// What stands beside a document: an item's time, else its title.
fn detail(document: &Document) -> Option<String> {
    let title = document.title.clone().filter(|title| *title != document.id);
    match document.kind {
        Type::Item => document.datetime.clone().or(title),
        _ => title,
    }
}

fn asset(asset: &catalog::Asset) -> Entry {
    let lost = || format!("the link {} leads nowhere secchi can go", asset.href);
    let detail = if asset.target.is_none() { Some(lost()) } else { asset.title.clone() };
    let more = More { target: asset.target.clone(), media_type: asset.media_type.clone(), detail, ..More::default() };
    let mut entry = entry(EntryKind::Asset, &asset.key, more);
    entry.size = asset.size;
    entry
}

/// An item that stands whole in its collection: it leads to its own document.
fn inline(item: &Document) -> Entry {
    let own = item.links.iter().find(|l| l.rel == "self").and_then(|l| l.target.clone());
    entry(EntryKind::Item, &item.id, More { target: own, detail: detail(item), ..More::default() })
}

fn entry(kind: EntryKind, name: &str, more: More) -> Entry {
    let mut entry = Entry::new(kind, name);
    entry.more = Some(Box::new(more));
    entry
}

fn kind(of: Type) -> EntryKind {
    match of {
        Type::Catalog => EntryKind::Catalog,
        Type::Collection | Type::Items => EntryKind::Collection,
        Type::Item => EntryKind::Item,
    }
}
