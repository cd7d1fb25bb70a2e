//! Zarr groups and arrays, versions 2 and 3, as a tree of shapes, types, chunks and codecs.
//! Only metadata are read: the consolidated ones in one request, else one document a member.

use crate::entry::EntryKind;
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::Location;
use crate::preview::{Ask, Facts, Node, Preview, Previewer, Probe, Tree};
use crate::store::{StoreHandle, Stores};
use crate::text;
use futures::stream::{self, StreamExt as _};
use member::{Form, Member};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

mod member;

/// Documents that stand in the folder of a group or an array.
const DOCUMENTS: &[&str] = &["zarr.json", ".zgroup", ".zarray", ".zmetadata"];

/// Bytes of the root's metadata at most: consolidated ones of thousands of arrays have some MiB.
const ROOT_BYTES: u64 = 16 << 20;
/// Bytes of a member's metadata at most.
const MEMBER_BYTES: u64 = 1 << 20;
/// Members that are read one by one, and levels that are listed for them.
const READ: usize = 200;
const LEVELS: usize = 3;
/// Requests under way at once.
const AT_ONCE: usize = 8;
/// Entries of a level that are looked through.
const LISTED: usize = 10_000;
/// Members shown of consolidated metadata, and how deep their names may lead.
const SHOWN: usize = 5_000;
const DEEPEST: usize = 16;
/// Attributes shown of one member.
const ATTRIBUTES: usize = 60;

pub(super) const PREVIEWER: Previewer =
    Previewer { name: "zarr", matches, load: |stores, ask| Box::pin(load(stores, ask)) };

fn matches(probe: &Probe) -> bool {
    let name = probe.location.name().trim_end_matches('/');
    let suffix = name.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && end.eq_ignore_ascii_case("zarr"));
    suffix || (!probe.location.is_container() && DOCUMENTS.contains(&name))
}

/// The members by their path below the root; the root's path is empty.
type Members = BTreeMap<Vec<String>, Member>;

/// What was found.
#[derive(Default)]
struct Found {
    version: u8,
    members: Members,
    consolidated: bool,
    /// What is missing, in sentences.
    notes: Vec<String>,
}

async fn load(stores: Stores, ask: Ask) -> Result<Preview> {
    let location = &ask.probe.location;
    let folder = match location.parent() {
        Some(parent) if DOCUMENTS.contains(&location.name()) => parent,
        _ => location.as_container(),
    };
    let handle = stores.open(&folder, &ask.control.meter).await?;
    let reader = Reader { handle, folder, max_bytes: ask.max_bytes };
    let found = ask.control.race(reader.read()).await?;
    Ok(Preview::Tree(tree(&reader.folder, &found)))
}

/// Reads the metadata below a folder.
struct Reader {
    handle: StoreHandle,
    folder: Location,
    max_bytes: u64,
}

impl Reader {
    async fn read(&self) -> Result<Found> {
        let mut first_error = None;
        match self.document(&self.folder.child("zarr.json"), ROOT_BYTES).await {
            Ok(Some(root)) => return self.read_v3(&root).await,
            Ok(None) => {}
            // Who may not list is told so of keys that do not exist.
            Err(err) if err.kind() == Kind::Denied => first_error = Some(err),
            Err(err) => return Err(err),
        }
        if let Some(all) = self.document(&self.folder.child(".zmetadata"), ROOT_BYTES).await.or_else(denied_is_none)? {
            return self.consolidated_v2(&all);
        }
        if let Some(root) = self.member_v2(&self.folder).await.or_else(denied_is_none)? {
            let mut found = Found { version: 2, ..Found::default() };
            found.members.insert(Vec::new(), root);
            self.walk(&mut found).await;
            return Ok(found);
        }
        Err(first_error.unwrap_or_else(|| {
            let why = format!("{} is not a Zarr: it holds no zarr.json, .zgroup or .zarray", self.folder);
            Error::new(Kind::NotFound, why).with_hint("check the address, or list the folder for a Zarr below it")
        }))
    }

    async fn read_v3(&self, root: &Value) -> Result<Found> {
        let at = self.folder.child("zarr.json");
        let member = member::of_v3(root).context(|| at.to_string())?;
        let is_group = matches!(member.form, Form::Group);
        let mut found = Found { version: 3, ..Found::default() };
        found.members.insert(Vec::new(), member);
        if let Some(all) = root.pointer("/consolidated_metadata/metadata").and_then(Value::as_object) {
            found.consolidated = true;
            for (path, document) in all {
                let member = member::of_v3(document).unwrap_or_else(|err| Member::broken(&err));
                found.insert(path, member);
            }
        } else if is_group {
            self.walk(&mut found).await;
        }
        Ok(found)
    }

    /// `.zmetadata`: all documents by their key.
    fn consolidated_v2(&self, all: &Value) -> Result<Found> {
        let mut found = Found { version: 2, consolidated: true, ..Found::default() };
        let documents = all.get("metadata").and_then(Value::as_object);
        let Some(documents) = documents else {
            let at = self.folder.child(".zmetadata");
            return Err(Error::invalid(format!("{at} is not consolidated Zarr metadata: it has no `metadata`")));
        };
        for (key, document) in documents {
            let (path, name) = key.rsplit_once('/').unwrap_or(("", key));
            if name != ".zarray" && name != ".zgroup" {
                continue;
            }
            let beside = if path.is_empty() { ".zattrs".to_owned() } else { format!("{path}/.zattrs") };
            let attributes = documents.get(&beside).and_then(Value::as_object).cloned().unwrap_or_default();
            let member = member::of_v2(name == ".zarray", document, attributes);
            found.insert(path, member.unwrap_or_else(|err| Member::broken(&err)));
        }
        found.members.entry(Vec::new()).or_default();
        Ok(found)
    }

    /// Finds members level by level: the folders of each group, then their metadata.
    async fn walk(&self, found: &mut Found) {
        let mut groups = match found.members.get(&Vec::new()) {
            Some(Member { form: Form::Group, .. }) => vec![Vec::new()],
            _ => return,
        };
        let mut room = READ;
        for level in 0..LEVELS {
            let lists =
                stream::iter(std::mem::take(&mut groups)).map(|path| self.folders(path, room)).buffered(AT_ONCE);
            let mut paths: Vec<Vec<String>> = Vec::new();
            for (listed, err) in lists.collect::<Vec<_>>().await {
                paths.extend(listed);
                found.notes.extend(err.map(|err| format!("members cannot be listed: {err}")));
            }
            if paths.len() > room {
                found.notes.push(format!("more than {READ} members: the rest is not shown"));
                paths.truncate(room);
            }
            room -= paths.len();
            let version = found.version;
            let reads = stream::iter(paths).map(|path| async move { (self.member(&path, version).await, path) });
            for (member, path) in reads.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
                let Some(member) = member else { continue };
                if matches!(member.form, Form::Group) {
                    groups.push(path.clone());
                }
                found.members.insert(path, member);
            }
            groups.sort();
            if groups.is_empty() {
                return;
            }
            if level + 1 == LEVELS {
                found.notes.push(format!("groups below level {LEVELS} are not opened"));
            }
        }
    }

    /// The folders in a group, one more than there is room for at most, and why not all.
    async fn folders(&self, path: Vec<String>, room: usize) -> (Vec<Vec<String>>, Option<Error>) {
        let mut pages = self.handle.list(&self.at(&path));
        let (mut folders, mut seen) = (Vec::new(), 0);
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page.into_block(),
                Err(err) => return (folders, Some(err)),
            };
            seen += page.len();
            for entry in page.rows().filter(|e| e.kind() == EntryKind::Prefix) {
                let name = entry.name().trim_end_matches('/');
                if !name.is_empty() && name != "." && name != ".." {
                    folders.push(path.iter().cloned().chain([name.to_owned()]).collect());
                }
            }
            if folders.len() > room || seen > LISTED {
                break;
            }
        }
        // A local folder is listed in no order: which members are left out must not be chance.
        folders.sort();
        folders.truncate(room.saturating_add(1));
        (folders, None)
    }

    /// A member; `None` for a folder that is none. One that cannot be read says why in its place.
    async fn member(&self, path: &[String], version: u8) -> Option<Member> {
        let folder = self.at(path);
        let read = async {
            if version == 2 {
                return self.member_v2(&folder).await;
            }
            let document = self.document(&folder.child("zarr.json"), MEMBER_BYTES).await?;
            document.map(|document| member::of_v3(&document)).transpose()
        };
        read.await.unwrap_or_else(|err| Some(Member::broken(&err)))
    }

    async fn member_v2(&self, folder: &Location) -> Result<Option<Member>> {
        let (array, group, attributes) = (folder.child(".zarray"), folder.child(".zgroup"), folder.child(".zattrs"));
        let (array, group, attributes) = futures::join!(
            self.document(&array, MEMBER_BYTES),
            self.document(&group, MEMBER_BYTES),
            self.document(&attributes, MEMBER_BYTES)
        );
        let array = array.or_else(denied_is_none)?;
        let is_array = array.is_some();
        let Some(document) = (if is_array { array } else { group? }) else { return Ok(None) };
        let attributes = match attributes.or_else(denied_is_none)? {
            Some(Value::Object(attributes)) => attributes,
            _ => Map::new(),
        };
        let at = folder.child(if is_array { ".zarray" } else { ".zgroup" });
        member::of_v2(is_array, &document, attributes).context(|| at.to_string()).map(Some)
    }

    /// A JSON document; `None` where there is none.
    async fn document(&self, at: &Location, most: u64) -> Result<Option<Value>> {
        let most = most.min(self.max_bytes);
        let head = match self.handle.read_head(at, most).await {
            Ok(head) => head,
            Err(err) if err.kind() == Kind::NotFound => return Ok(None),
            Err(err) => return Err(err.context(format!("reading {at}"))),
        };
        if head.size > most {
            let (size, most) = (text::bytes(head.size), text::bytes(most));
            return Err(Error::new(Kind::Limit, format!("{at} has {size}, and at most {most} are read")));
        }
        member::parse(&head.bytes).map(Some).context(|| at.to_string())
    }

    fn at(&self, path: &[String]) -> Location {
        at(&self.folder, path)
    }
}

fn denied_is_none<T>(err: Error) -> Result<Option<T>> {
    if err.kind() == Kind::Denied { Ok(None) } else { Err(err) }
}

fn at(folder: &Location, path: &[String]) -> Location {
    path.iter().fold(folder.clone(), |at, name| at.child(&format!("{name}/")))
}

impl Found {
    /// Takes a member of consolidated metadata, unless its path is none that leads down from here.
    fn insert(&mut self, path: &str, member: Member) {
        let parts: Vec<String> =
            if path.is_empty() { Vec::new() } else { path.split('/').map(str::to_owned).collect() };
        let bad = parts.len() > DEEPEST || parts.iter().any(|part| part.is_empty() || part == "." || part == "..");
        let note = if bad {
            "members with impossible names are not shown".to_owned()
        } else if self.members.len() > SHOWN {
            format!("more than {SHOWN} members: the rest is not shown")
        } else {
            for end in 0..parts.len() {
                self.members.entry(parts[..end].to_vec()).or_default();
            }
            self.members.insert(parts, member);
            return;
        };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Arrays and groups below the root; a root that is an array counts.
    fn counts(&self) -> (usize, usize) {
        let arrays = self.members.values().filter(|m| matches!(m.form, Form::Array(_))).count();
        let groups = self.members.iter().filter(|(path, m)| !path.is_empty() && matches!(m.form, Form::Group)).count();
        (arrays, groups)
    }
}

fn tree(folder: &Location, found: &Found) -> Tree {
    let mut nodes = Vec::new();
    let root = found.members.get(&Vec::new()).cloned().unwrap_or_default();
    for (path, member) in &found.members {
        let (depth, name) = match path.split_last() {
            Some((name, above)) => (above.len(), name.as_str()),
            None if matches!(root.form, Form::Group) => continue,
            None => (0, folder.name().trim_end_matches('/')),
        };
        let depth = depth as u16;
        let target = Some(at(folder, path));
        nodes.push(Node { depth, name: text::fit(name, member::VALUE).into_owned(), detail: member.detail(), target });
        push_attributes(&mut nodes, depth + 1, member);
    }
    // A group's own attributes are many lines in files of climate models: its members come first.
    if matches!(root.form, Form::Group) && !root.attributes.is_empty() {
        let count = text::count(root.attributes.len() as u64);
        nodes.push(Node { depth: 0, name: "attributes".into(), detail: count, target: None });
        push_attributes(&mut nodes, 1, &root);
    }
    Tree { facts: facts(found, &root), nodes }
}

fn push_attributes(nodes: &mut Vec<Node>, depth: u16, member: &Member) {
    let attributes = member.shown_attributes();
    for (name, value) in attributes.iter().take(ATTRIBUTES) {
        nodes.push(Node { depth, name: name.clone(), detail: value.clone(), target: None });
    }
    if attributes.len() > ATTRIBUTES {
        let more = format!("and {} more", text::count((attributes.len() - ATTRIBUTES) as u64));
        nodes.push(Node { depth, name: "…".into(), detail: more, target: None });
    }
}

fn facts(found: &Found, root: &Member) -> Facts {
    let (arrays, groups) = found.counts();
    let format = format!("Zarr v{}", found.version);
    let count = |n: usize, one: &str| format!("{} {one}{}", text::count(n as u64), if n == 1 { "" } else { "s" });
    let title = match &root.form {
        Form::Array(array) => format!("{format} array {}", array.shape_and_type()),
        _ if groups > 0 => format!("{format} group · {}, {}", count(arrays, "array"), count(groups, "group")),
        _ => format!("{format} group · {}", count(arrays, "array")),
    };
    let metadata = if found.consolidated { "consolidated" } else { "one document for each member" };
    let mut rows = vec![
        ("Format".to_owned(), format),
        ("Arrays".to_owned(), text::count(arrays as u64)),
        ("Groups".to_owned(), text::count(groups as u64)),
        ("Metadata".to_owned(), metadata.to_owned()),
    ];
    if let Form::Array(array) = &root.form {
        rows.extend(array.facts());
    }
    rows.push(("Stored bytes".to_owned(), "not computed".to_owned()));
    rows.extend(found.notes.iter().take(10).map(|note| ("Note".to_owned(), note.clone())));
    Facts { title, rows }
}
