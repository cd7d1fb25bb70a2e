//! Kerchunk's references: keys of a Zarr that stand for parts of other files.
//!
//! <https://fsspec.github.io/kerchunk/spec.html>: version 0 is a map from keys to references, version 1
//! has it below `refs`, with `templates` for addresses. A reference is text (`base64:…` for bytes), or
//! `[url]`, or `[url, offset, length]`. Very many references are kept in Parquet: see [`super::records`].

use super::document;
use super::records::{Records, is_records};
use super::source::too_large;
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::{Location, StoreId};
use crate::store::{StoreHandle, Stores};
use crate::task::Control;
use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a file of references that is read.
const MOST: u64 = 64 << 20;
/// Keys that are held.
const MOST_KEYS: usize = 4_000_000;

/// Keys and what they stand for. Clones share.
#[derive(Clone)]
pub(super) struct References(Arc<Inner>);

struct Inner {
    stores: Stores,
    control: Control,
    table: Table,
    open: Mutex<HashMap<StoreId, StoreHandle>>,
}

/// Where the references are.
enum Table {
    /// All of them, by their keys.
    All(BTreeMap<String, Reference>),
    /// In tables that are read when they are needed.
    Records(Box<Records>),
}

/// What a key stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reference {
    Inline(Bytes),
    Whole(Arc<Location>),
    /// Offset and length.
    Part(Arc<Location>, u64, u64),
}

impl References {
    pub(super) async fn open(stores: &Stores, at: &Location, control: &Control) -> Result<Self> {
        let table = if at.is_container() && is_records(at.name()) {
            Table::Records(Box::new(Records::open(stores, at, control).await?))
        } else {
            Table::All(Self::read_all(stores, at, control).await?)
        };
        let (stores, control) = (stores.clone(), control.clone());
        Ok(Self(Arc::new(Inner { stores, control, table, open: Mutex::default() })))
    }

    async fn read_all(stores: &Stores, at: &Location, control: &Control) -> Result<BTreeMap<String, Reference>> {
        let handle = stores.open(at, &control.meter).await?;
        let head = handle.read_head(at, MOST).await?;
        if head.size > MOST {
            return Err(too_large(&at.to_string(), head.size, MOST).with_hint(
                "references so large are better kept in Parquet: write them so with kerchunk or VirtualiZarr",
            ));
        }
        let base = at.clone();
        control.blocking(move |_| parse(&head.bytes, &base)).await.context(|| at.to_string())
    }

    /// Whether all keys are known: of tables they are not.
    pub(super) fn can_list(&self) -> bool {
        matches!(self.0.table, Table::All(_))
    }

    /// All keys with their sizes; 0 where the file is meant whole.
    pub(super) fn keys(&self) -> Box<dyn Iterator<Item = (&str, u64)> + '_> {
        let size = |reference: &Reference| match reference {
            Reference::Inline(bytes) => bytes.len() as u64,
            Reference::Whole(_) => 0,
            Reference::Part(_, _, length) => *length,
        };
        match &self.0.table {
            Table::All(refs) => Box::new(refs.iter().map(move |(key, reference)| (key.as_str(), size(reference)))),
            Table::Records(records) => Box::new(records.keys()),
        }
    }

    async fn find(&self, key: &str) -> Result<Option<Reference>> {
        match &self.0.table {
            Table::All(refs) => Ok(refs.get(key).cloned()),
            Table::Records(records) => records.find(key, &self.0.control).await,
        }
    }

    pub(super) async fn get(&self, key: &str, most: u64) -> Result<Option<Bytes>> {
        match self.find(key).await? {
            None => Ok(None),
            Some(Reference::Inline(bytes)) => Ok(Some(bytes)),
            Some(Reference::Part(file, offset, length)) => {
                if length > most {
                    return Err(too_large(&format!("what `{key}` stands for"), length, most));
                }
                self.read(&file, offset..offset.saturating_add(length)).await.map(Some)
            }
            Some(Reference::Whole(at)) => {
                let head = self.handle(&at).await?.read_head(&at, most).await?;
                if head.size > most {
                    return Err(too_large(&at.to_string(), head.size, most));
                }
                Ok(Some(head.bytes))
            }
        }
    }

    pub(super) async fn range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>> {
        let ends = || Error::invalid(format!("`{key}` ends before what was asked for"));
        match self.find(key).await? {
            None => Ok(None),
            Some(Reference::Inline(bytes)) if range.end > bytes.len() as u64 => Err(ends()),
            Some(Reference::Inline(bytes)) => Ok(Some(bytes.slice(range.start as usize..range.end as usize))),
            Some(Reference::Whole(file)) => self.read(&file, range).await.map(Some),
            Some(Reference::Part(_, _, length)) if range.end > length => Err(ends()),
            Some(Reference::Part(file, offset, _)) => {
                let part = offset.saturating_add(range.start)..offset.saturating_add(range.end);
                self.read(&file, part).await.map(Some)
            }
        }
    }

    async fn read(&self, at: &Location, range: Range<u64>) -> Result<Bytes> {
        // A file that is referred to and is not there is no missing chunk.
        self.handle(at).await?.read_range(at, range).await.map_err(|err| match err.kind() {
            Kind::NotFound => {
                Error::new(Kind::Failed, format!("{at}, which the references lead to, is not there")).with_source(err)
            }
            _ => err,
        })
    }

    async fn handle(&self, at: &Location) -> Result<StoreHandle> {
        let known = self.0.open.lock().unwrap_or_else(PoisonError::into_inner).get(at.store()).cloned();
        if let Some(handle) = known {
            return Ok(handle);
        }
        let handle = self.0.stores.open(at, &self.0.control.meter).await?;
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner).insert(at.store().clone(), handle.clone());
        Ok(handle)
    }
}

/// The references of a document at `base`.
fn parse(bytes: &[u8], base: &Location) -> Result<BTreeMap<String, Reference>> {
    let whole = document::parse(bytes)?;
    let none = Map::new();
    let (refs, templates) = match whole.get("refs") {
        Some(refs) => (refs.as_object(), whole.get("templates").and_then(Value::as_object).unwrap_or(&none)),
        None => (whole.as_object(), &none),
    };
    let refs = refs.ok_or_else(|| Error::invalid("these are no references: there is no map of keys"))?;
    if whole.get("gen").and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
        return Err(Error::unsupported("these references are written as a rule (`gen`), which is not read")
            .with_hint("write them out with kerchunk or fsspec first"));
    }
    if refs.len() > MOST_KEYS {
        return Err(Error::new(Kind::Limit, "there are more references than are held"));
    }
    let (mut out, mut files) = (BTreeMap::new(), HashMap::<String, Arc<Location>>::new());
    for (key, value) in refs {
        let mut file = |url: &str| -> Result<Arc<Location>> {
            if let Some(file) = files.get(url) {
                return Ok(file.clone());
            }
            let file = Arc::new(base.resolve(&filled(url, templates)?)?);
            files.insert(url.to_owned(), file.clone());
            Ok(file)
        };
        let bad = || Error::invalid(format!("the reference of `{key}` is neither text nor a part of a file"));
        let reference = match value {
            Value::String(words) => Reference::Inline(inline(words)?),
            Value::Object(_) => Reference::Inline(serde_json::to_vec(value)?.into()),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(url)] => Reference::Whole(file(url)?),
                [Value::String(url), offset, length] => {
                    let (offset, length) = (offset.as_u64().ok_or_else(bad)?, length.as_u64().ok_or_else(bad)?);
                    Reference::Part(file(url)?, offset, length)
                }
                _ => return Err(bad()),
            },
            _ => return Err(bad()),
        };
        out.insert(key.clone(), reference);
    }
    Ok(out)
}

fn inline(words: &str) -> Result<Bytes> {
    match words.strip_prefix("base64:") {
        Some(code) => base64::engine::general_purpose::STANDARD
            .decode(code)
            .map(Bytes::from)
            .map_err(|err| Error::invalid("a reference holds bytes that are no base64").with_source(err)),
        None => Ok(Bytes::copy_from_slice(words.as_bytes())),
    }
}

/// `{{u}}/a.nc` with what the templates say for `u`; templates that call functions are not known.
fn filled(url: &str, templates: &Map<String, Value>) -> Result<String> {
    let (mut out, mut rest) = (String::new(), url);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        let value = templates.get(name.trim()).and_then(Value::as_str);
        let value =
            value.ok_or_else(|| Error::unsupported(format!("the template `{name}` of the references is not known")))?;
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_both_versions_are_read() {
        let base = Location::parse("s3://b/d/refs.json").expect("an address");
        let one = r#"{"version": 1, "templates": {"u": "s3://b/d/f.nc"},
            "refs": {".zgroup": "{\"zarr_format\": 2}", "a/0": ["{{u}}", 10, 20], "a/1": "base64:AAE=", "a/2": ["g.nc"]}}"#;
        let refs = parse(one.as_bytes(), &base).expect("read");
        let file = |name: &str| Arc::new(Location::parse(name).expect("an address"));
        assert_eq!(refs["a/0"], Reference::Part(file("s3://b/d/f.nc"), 10, 20));
        assert_eq!(refs["a/1"], Reference::Inline(Bytes::from_static(&[0, 1])));
        assert_eq!(refs["a/2"], Reference::Whole(file("s3://b/d/g.nc")));
        let refs = parse(br#"{".zgroup": {"zarr_format": 2}}"#, &base).expect("read");
        assert_eq!(refs[".zgroup"], Reference::Inline(Bytes::from_static(br#"{"zarr_format":2}"#)));
    }

    #[test]
    fn references_that_lead_astray_are_refused() {
        let base = Location::parse("s3://b/d/refs.json").expect("an address");
        for (text, word) in [
            (r#"{"refs": {"a/0": ["file:///etc/passwd"]}}"#, "this computer"),
            (r#"{"refs": {"a/0": ["{{v}}", 0, 1]}}"#, "template"),
            (r#"{"refs": {"a/0": [1, 2]}}"#, "neither"),
            (r#"{"refs": {"a/0": "base64:?"}}"#, "base64"),
            (r#"{"refs": {}, "gen": [{}]}"#, "rule"),
            ("[]", "no map"),
        ] {
            let err = parse(text.as_bytes(), &base).expect_err(text).to_string();
            assert!(err.contains(word), "{text}: {err}");
        }
    }
}
