//! Which groups and arrays there are: from consolidated metadata in one request, else from one document
//! for each member.

use super::document::{self, MEMBER_BYTES, ROOT_BYTES};
use super::member::{self, About, Form, Member};
use super::source::{Source, is_name};
use crate::error::{Context as _, Error, Kind, Result};
use crate::task::Control;
use futures::stream::{self, StreamExt as _};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Members that are read one by one, and levels that are listed for them.
const READ: usize = 200;
const LEVELS: usize = 3;
/// Requests under way at once.
const AT_ONCE: usize = 8;
/// Members kept of consolidated metadata, and how deep their names may lead.
const SHOWN: usize = 5_000;
const DEEPEST: usize = 16;

/// Names from the root down to a member; empty for the root.
pub type Path = Vec<String>;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Hierarchy {
    /// 2 or 3.
    pub version: u8,
    /// The members by their path.
    pub members: BTreeMap<Path, Member>,
    /// Whether one document told of all.
    pub consolidated: bool,
    /// What is missing, in sentences.
    pub notes: Vec<String>,
}

impl Hierarchy {
    /// Reads it. No document of more than `max_bytes` is read.
    pub async fn read(source: &Source, control: &Control, max_bytes: u64) -> Result<Self> {
        let reader = Reader { source, control, max_bytes };
        control.race(reader.read()).await
    }

    /// The root: a group, or an array that stands alone.
    pub fn root(&self) -> Option<&Member> {
        self.members.get(&Path::new())
    }

    /// An array's metadata.
    pub fn array(&self, path: &[String]) -> Option<(&Member, &About)> {
        let member = self.members.get(path)?;
        Some((member, member.array()?))
    }

    /// Arrays and groups below the root; a root that is an array counts.
    pub fn counts(&self) -> (usize, usize) {
        let arrays = self.members.values().filter(|m| matches!(m.form, Form::Array(_))).count();
        let groups = self.members.iter().filter(|(path, m)| !path.is_empty() && matches!(m.form, Form::Group)).count();
        (arrays, groups)
    }

    /// The path of the array that holds the coordinates of a dimension: called like it, one-dimensional and
    /// as long; in the array's group or one above.
    pub fn coordinate(&self, array: &[String], dimension: &str, len: u64) -> Option<Path> {
        self.nearby(array, dimension).filter(|path| {
            let about = self.array(path).map(|(_, about)| about);
            about.is_some_and(|about| about.shape == [len])
        })
    }

    /// The array called `name` in the group of `array`, or in one above.
    pub fn nearby(&self, array: &[String], name: &str) -> Option<Path> {
        let above = array.len().saturating_sub(1);
        (0..=above).rev().find_map(|depth| {
            let mut path = array[..depth.min(array.len())].to_vec();
            path.extend(name.split('/').map(str::to_owned));
            self.array(&path).is_some().then_some(path)
        })
    }

    /// Takes a member of consolidated metadata, unless its path is none that leads down from here.
    fn insert(&mut self, path: &str, member: Member) {
        let parts: Path = if path.is_empty() { Path::new() } else { path.split('/').map(str::to_owned).collect() };
        let bad = parts.len() > DEEPEST || !parts.iter().all(|part| is_name(part));
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
}

/// Reads the metadata below a folder.
struct Reader<'a> {
    source: &'a Source,
    control: &'a Control,
    max_bytes: u64,
}

impl Reader<'_> {
    async fn read(&self) -> Result<Hierarchy> {
        let mut first_error = None;
        match self.document("zarr.json", ROOT_BYTES).await {
            Ok(Some(root)) => return self.read_v3(root).await,
            Ok(None) => {}
            // Who may not list is told so of keys that do not exist.
            Err(err) if err.kind() == Kind::Denied => first_error = Some(err),
            Err(err) => return Err(err),
        }
        if let Some(all) = self.document(".zmetadata", ROOT_BYTES).await.or_else(denied_is_none)? {
            return self.consolidated_v2(&all);
        }
        if let Some(root) = self.member_v2(&[]).await.or_else(denied_is_none)? {
            let mut found = Hierarchy { version: 2, ..Hierarchy::default() };
            found.members.insert(Path::new(), root);
            self.walk(&mut found).await;
            return Ok(found);
        }
        match first_error {
            Some(err) => Err(err),
            None => Err(self.no_zarr().await),
        }
    }

    /// Why nothing was found: a folder of something else, or an Icechunk repository.
    async fn no_zarr(&self) -> Error {
        let at = self.source.location();
        let (folders, _) = self.source.folders(&[], 50).await;
        let has = |name: &str| folders.iter().any(|folder| folder == name);
        if has("snapshots") && has("manifests") && (has("refs") || has("transactions")) {
            let why = format!("{at} is an Icechunk repository: its Zarr is kept in snapshots, which are not read");
            return Error::unsupported(why).with_hint("open it with icechunk and xarray, or write out a Zarr from it");
        }
        let why = format!("{at} is not a Zarr: it holds no zarr.json, .zgroup or .zarray");
        Error::new(Kind::NotFound, why).with_hint("check the address, or list the folder for a Zarr below it")
    }

    async fn read_v3(&self, mut root: Value) -> Result<Hierarchy> {
        let all = root.get_mut("consolidated_metadata").map(Value::take);
        let member = member::of_v3(&root).context(|| self.at("zarr.json"))?;
        let is_group = matches!(member.form, Form::Group);
        let mut found = Hierarchy { version: 3, ..Hierarchy::default() };
        found.members.insert(Path::new(), member);
        if let Some(all) = all.as_ref().and_then(|all| all.get("metadata")).and_then(Value::as_object) {
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
    fn consolidated_v2(&self, all: &Value) -> Result<Hierarchy> {
        let mut found = Hierarchy { version: 2, consolidated: true, ..Hierarchy::default() };
        let Some(documents) = all.get("metadata").and_then(Value::as_object) else {
            let at = self.at(".zmetadata");
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
        found.members.entry(Path::new()).or_default();
        Ok(found)
    }

    /// Finds members level by level: the folders of each group, then their metadata.
    async fn walk(&self, found: &mut Hierarchy) {
        let mut groups = match found.root() {
            Some(Member { form: Form::Group, .. }) => vec![Path::new()],
            _ => return,
        };
        let mut room = READ;
        for level in 0..LEVELS {
            let lists =
                stream::iter(std::mem::take(&mut groups)).map(|path| self.folders(path, room)).buffered(AT_ONCE);
            let mut paths: Vec<Path> = Vec::new();
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
    async fn folders(&self, path: Path, room: usize) -> (Vec<Path>, Option<Error>) {
        let (names, error) = self.source.folders(&path, room).await;
        (names.into_iter().map(|name| path.iter().cloned().chain([name]).collect()).collect(), error)
    }

    /// A member; `None` for a folder that is none. One that cannot be read says why in its place.
    async fn member(&self, path: &[String], version: u8) -> Option<Member> {
        let read = async {
            if version == 2 {
                return self.member_v2(path).await;
            }
            let document = self.document(&key(path, "zarr.json"), MEMBER_BYTES).await?;
            document.map(|document| member::of_v3(&document)).transpose()
        };
        read.await.unwrap_or_else(|err| Some(Member::broken(&err)))
    }

    async fn member_v2(&self, path: &[String]) -> Result<Option<Member>> {
        let (array, group, attributes) = (key(path, ".zarray"), key(path, ".zgroup"), key(path, ".zattrs"));
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
        let name = if is_array { ".zarray" } else { ".zgroup" };
        member::of_v2(is_array, &document, attributes).context(|| self.at(&key(path, name))).map(Some)
    }

    /// A JSON document; `None` where there is none.
    async fn document(&self, key: &str, most: u64) -> Result<Option<Value>> {
        let Some(bytes) = self.source.get(key, most.min(self.max_bytes)).await? else { return Ok(None) };
        let parse = move |_| document::parse(&bytes);
        self.control.blocking(parse).await.map(Some).context(|| self.at(key))
    }

    /// The address of a key, for sentences.
    fn at(&self, key: &str) -> String {
        let at = self.source.location();
        if at.is_container() { at.child(key).to_string() } else { format!("{key} in {at}") }
    }
}

fn denied_is_none<T>(err: Error) -> Result<Option<T>> {
    if err.kind() == Kind::Denied { Ok(None) } else { Err(err) }
}

/// The key of a member's document.
pub(super) fn key(path: &[String], name: &str) -> String {
    path.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("/")
}
