//! What is downloaded: objects, and all below prefixes, each with a path of its own below the target.

use super::names::{self, Name, Places, Why};
use super::read::{Pin, patiently};
use super::target::{Standing, Target};
use super::trail::Trail;
use super::{DownloadSpec, Refused};
use crate::entry::{EntryKind, Stat};
use crate::error::{Context as _, Error, Kind, Result};
use crate::listing::Page;
use crate::location::{Location, Scheme};
use crate::store::Stores;
use crate::task::Control;
use crate::text;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;
use percent_encoding::percent_decode_str;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Objects named one by one that are asked for at once.
const ASKED: usize = 16;
/// So many named objects are asked about thoroughly.
const FEW: usize = 4;

/// An object, and where it goes.
#[derive(Clone, Debug)]
pub(super) struct Item {
    base: Arc<Location>,
    /// The rest of its key behind that of `base`; `None`: it is `base`.
    rest: Option<Box<str>>,
    /// Below the target.
    pub(super) path: String,
    /// Why the path is not the key.
    pub(super) why: Option<Why>,
    pub(super) size: u64,
    pub(super) etag: Option<Box<str>>,
    pub(super) modified: Option<DateTime<Utc>>,
    /// What a HEAD told, where one was asked for.
    pub(super) stat: Option<Box<Stat>>,
    /// It only stands for a folder.
    pub(super) is_folder: bool,
    /// What stands at its path already.
    pub(super) standing: Option<Standing>,
}

impl Item {
    /// Its address.
    pub(super) fn location(&self) -> Location {
        match &self.rest {
            None => (*self.base).clone(),
            Some(rest) => self.base.with_key(format!("{}{rest}", self.base.key())),
        }
    }

    pub(super) fn pin(&self) -> Pin {
        Pin { size: self.size, etag: self.etag.as_deref().map(str::to_owned), modified: self.modified }
    }

    pub(super) fn learn(&mut self, stat: Stat) {
        self.size = stat.size;
        self.etag = stat.etag.as_deref().map(Into::into);
        self.modified = stat.modified;
        self.stat = Some(Box::new(stat));
    }

    fn of(base: &Arc<Location>) -> Self {
        let Name { path, why } = name_of(base);
        Self {
            base: base.clone(),
            rest: None,
            path,
            why,
            size: 0,
            etag: None,
            modified: None,
            stat: None,
            is_folder: false,
            standing: None,
        }
    }
}

/// What a single object is called, without the folders of its key.
fn name_of(location: &Location) -> Name {
    match location.scheme() {
        Scheme::Http | Scheme::Https => {
            let path = location.key().split(['?', '#']).next().unwrap_or_default();
            let name = path.rsplit('/').next().unwrap_or_default();
            let name = percent_decode_str(name).decode_utf8_lossy();
            names::one(if name.is_empty() { location.bucket() } else { &name })
        }
        _ => names::one(location.key().rsplit('/').next().unwrap_or_default()),
    }
}

/// Everything that `sources` name.
pub(super) async fn expand(stores: &Stores, sources: &[Location], control: &Control) -> Result<Vec<Item>> {
    let mut seen = HashSet::new();
    let sources: Vec<&Location> = sources.iter().filter(|source| seen.insert(*source)).collect();
    for source in &sources {
        if source.is_account() {
            return Err(Error::usage(format!("{source} names no bucket")));
        }
        if source.scheme() == Scheme::File {
            return Err(Error::usage(format!("{source} lies on this computer already")).with_hint("use `secchi cp`"));
        }
    }
    // For a few, everything that can be known; for many, one short request each.
    let few = sources.len() <= FEW;
    let ask = |source: Location| async move {
        control.turn().await?;
        if source.is_container() && can_list(&source) {
            below(stores, &source, control).await
        } else {
            single(stores, &source, few, control).await
        }
    };
    let asked = futures::stream::iter(sources.into_iter().cloned().map(ask));
    let found: Vec<Vec<Item>> = asked.buffered(ASKED).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// One object; where there is none, all below the prefix of that name.
async fn single(stores: &Stores, source: &Location, few: bool, control: &Control) -> Result<Vec<Item>> {
    let base = Arc::new(source.clone());
    let found = async {
        if few {
            let mut item = Item::of(&base);
            // A host that is not there is told at once; one that is busy is waited for.
            item.learn(patiently(control, true, || stores.stat(source, &control.meter)).await?);
            return Ok(item);
        }
        let handle = control.race(stores.open(source, &control.meter)).await?;
        let (store, path) = (handle.object_store(), handle.path(source.key()));
        let meta = patiently(control, true, || async { Ok(store.head(&path).await?) }).await?;
        let mut item = Item::of(&base);
        (item.size, item.etag) = (meta.size, meta.e_tag.map(Into::into));
        item.modified = Some(meta.last_modified).filter(|at| at.timestamp() != 0);
        Ok::<_, Error>(item)
    };
    match found.await {
        Ok(item) => Ok(vec![item]),
        Err(err) if err.kind() == Kind::NotFound && source.version().is_none() && can_list(source) => {
            let found = below(stores, &source.as_container(), control).await;
            found.map_err(|other| if other.kind() == Kind::NotFound { err } else { other })
        }
        Err(err) => Err(err),
    }
}

fn can_list(source: &Location) -> bool {
    !matches!(source.scheme(), Scheme::Http | Scheme::Https)
}

/// All objects below a prefix; they go into a folder of its name.
async fn below(stores: &Stores, source: &Location, control: &Control) -> Result<Vec<Item>> {
    let base = Arc::new(source.clone());
    let top = names::one(source.name().strip_suffix('/').unwrap_or(source.name()));
    let mut pages = control.race(stores.open(source, &control.meter)).await?.list_all(source);
    let mut items = Vec::new();
    while let Some(page) = control.race(async { pages.next().await.transpose() }).await? {
        let block = match page {
            Page::Note(note) => {
                control.note(note);
                continue;
            }
            page @ Page::Entries(_) => page.into_block(),
        };
        for row in block.rows().filter(|row| row.kind() == EntryKind::Object) {
            let size = row.size().unwrap_or_default();
            let rest = row.name();
            // What others make to show a folder in a browser.
            let is_folder = size == 0 && (rest.is_empty() || rest.ends_with('/'));
            let inside = match rest.strip_suffix('/').filter(|_| is_folder) {
                Some(folder) => names::name(folder),
                None => names::name(rest),
            };
            let path =
                if is_folder && rest.is_empty() { top.path.clone() } else { format!("{}/{}", top.path, inside.path) };
            items.push(Item {
                base: base.clone(),
                rest: Some(rest.into()),
                path,
                why: inside.why.or(top.why),
                size,
                etag: row.etag().map(Into::into),
                modified: row.modified(),
                stat: None,
                is_folder,
                standing: None,
            });
        }
        control.step(format!("listing: {} objects", text::count(items.len() as u64)));
    }
    if items.is_empty() {
        return Err(Error::new(Kind::NotFound, format!("there is nothing below {source}")));
    }
    Ok(items)
}

/// The folder that is written to; a single object may name its file instead.
pub(super) fn root(spec: &DownloadSpec, items: &mut [Item]) -> Result<PathBuf> {
    let Some(path) = spec.destination.to_path() else {
        return Err(Error::usage(format!("{} is not a folder of this computer", spec.destination))
            .with_hint("use `secchi cp` from one store to another"));
    };
    let is_folder = spec.destination.is_container() || path.is_dir();
    match (&mut *items, path.file_name().and_then(|name| name.to_str()), path.parent()) {
        ([one], Some(name), Some(parent)) if !is_folder && one.rest.is_none() => {
            let named = names::one(name);
            (one.path, one.why) = (named.path, named.why);
            Ok(parent.to_owned())
        }
        _ => Ok(path),
    }
}

/// Gives each its path, and looks at what stands there. Those that cannot be written are told apart. Blocks.
pub(super) fn arrange(
    mut items: Vec<Item>,
    target: &Target,
    trail: &Trail,
    control: &Control,
) -> Result<(Vec<Item>, Places, Vec<Refused>)> {
    let root = target.path("").as_os_str().len();
    let mut places = Places::new(target.folding(), root);
    let mut refused = Vec::new();
    for item in &items {
        if item.is_folder {
            places.needs(&format!("{}/", item.path));
        } else {
            places.needs(&item.path);
        }
    }
    // What was begun before keeps its name, whatever came meanwhile: it takes it first.
    let before = |item: &Item| {
        let location = item.location();
        trail.done(&location).map(|done| &done.path).or_else(|| trail.left(&location).map(|left| &left.path)).cloned()
    };
    let mut known = vec![false; items.len()];
    for (item, known) in items.iter_mut().zip(&mut known).filter(|(item, _)| trail.knows() && !item.is_folder) {
        let Some(path) = before(item) else { continue };
        let why = item.why.or_else(|| (path != item.path).then_some(Why::Taken));
        if let Some(name) = places.take(Name { path, why }) {
            (item.path, item.why, *known) = (name.path, name.why, true);
        }
    }
    let mut kept = Vec::with_capacity(items.len());
    for (mut item, known) in items.into_iter().zip(known) {
        control.check()?;
        if !item.is_folder {
            let wished = Name { path: std::mem::take(&mut item.path), why: item.why };
            let shown = wished.path.clone();
            let named = if known { Some(wished) } else { places.take(wished) };
            let named = named.ok_or_else(|| Error::new(Kind::Limit, format!("{shown} is too long for a path here")));
            match named.and_then(|name| Ok((target.look(&name.path)?, name))) {
                Ok((standing, name)) => (item.path, item.why, item.standing) = (name.path, name.why, standing),
                Err(err) => {
                    refused.push(Refused { location: item.location(), why: err.to_string() });
                    continue;
                }
            }
        }
        kept.push(item);
    }
    Ok((kept, places, refused))
}

/// Fails where there is less room than is needed. What is there already of a former attempt needs none.
pub(super) fn check_room(needed: u64, target: &Target) -> Result<()> {
    let Some(free) = target.free().filter(|free| *free < needed) else { return Ok(()) };
    let (needed, free, at) = (text::bytes(needed), text::bytes(free), target.path(""));
    Err(Error::new(Kind::Limit, format!("{needed} are to be written to {}, where {free} are free", at.display()))
        .with_hint("make room, or choose another disk"))
}

/// What stands already, where nothing may be replaced: told before anything is read.
pub(super) fn refuse_standing(items: &[Item], target: &Target) -> Result<()> {
    let mut standing = items.iter().filter(|item| item.standing.is_some());
    let Some(first) = standing.next() else { return Ok(()) };
    let more = standing.count() as u64;
    let first = target.path(&first.path).display().to_string();
    let words = match more {
        0 => format!("{first} exists already"),
        1 => format!("{first} and one more of {} exist already", items.len()),
        _ => format!("{first} and {} more of {} exist already", text::count(more), text::count(items.len() as u64)),
    };
    Err(Error::new(Kind::Exists, words)
        .with_hint("choose another folder, or --if-exists skip, overwrite, rename or ask"))
}

/// The folder, opened, on a thread that may block.
pub(super) async fn open(root: PathBuf, control: &Control) -> Result<Arc<Target>> {
    control.blocking(move |_| Target::open(&root).context(|| "the destination".into())).await.map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_as_their_objects_are() {
        let name = |text: &str| name_of(&Location::parse(text).expect(text)).path;
        assert_eq!(name("s3://b/a/x.tif"), "x.tif");
        assert_eq!(name("s3://b/a/.."), "%2E%2E");
        assert_eq!(name("https://h/d/a%20b.csv?sig=x/y#z"), "a b.csv");
        assert_eq!(name("https://h/%2e%2e%2fetc"), "..%2Fetc");
        assert_eq!(name("https://h/"), "h");
        assert_eq!(name("https://h/%2e%2e"), "%2E%2E");
    }
}
