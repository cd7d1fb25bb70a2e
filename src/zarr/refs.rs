//! Kerchunk's references: keys of a Zarr that stand for parts of other files.
//!
//! <https://fsspec.github.io/kerchunk/spec.html>: version 0 is a map from keys to references, version 1
//! has it below `refs`, with `templates` for addresses. A reference is text (`base64:…` for bytes), or
//! `[url]`, or `[url, offset, length]`.

use super::document;
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
    refs: BTreeMap<String, Reference>,
    files: Vec<Location>,
    open: Mutex<HashMap<StoreId, StoreHandle>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Reference {
    Inline(Bytes),
    Whole(usize),
    Part(usize, u64, u64),
}

impl References {
    pub(super) async fn open(stores: &Stores, at: &Location, control: &Control) -> Result<Self> {
        let handle = stores.open(at, &control.meter).await?;
        let head = handle.read_head(at, MOST).await?;
        if head.size > MOST {
            return Err(too_large(&at.to_string(), head.size, MOST)
                .with_hint("references so large are kept in Parquet, which is not read yet"));
        }
        let base = at.clone();
        let (refs, files) = control.blocking(move |_| parse(&head.bytes, &base)).await.context(|| at.to_string())?;
        Ok(Self(Arc::new(Inner {
            stores: stores.clone(),
            control: control.clone(),
            refs,
            files,
            open: Mutex::default(),
        })))
    }

    /// All keys with their sizes; 0 where the file is meant whole.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, u64)> {
        let size = |reference: &Reference| match reference {
            Reference::Inline(bytes) => bytes.len() as u64,
            Reference::Whole(_) => 0,
            Reference::Part(_, _, length) => *length,
        };
        self.0.refs.iter().map(move |(key, reference)| (key.as_str(), size(reference)))
    }

    pub(super) async fn get(&self, key: &str, most: u64) -> Result<Option<Bytes>> {
        match self.0.refs.get(key) {
            None => Ok(None),
            Some(Reference::Inline(bytes)) => Ok(Some(bytes.clone())),
            Some(Reference::Part(file, offset, length)) => {
                if *length > most {
                    return Err(too_large(&format!("what `{key}` stands for"), *length, most));
                }
                self.read(*file, *offset..offset.saturating_add(*length)).await.map(Some)
            }
            Some(Reference::Whole(file)) => {
                let at = &self.0.files[*file];
                let head = self.handle(at).await?.read_head(at, most).await?;
                if head.size > most {
                    return Err(too_large(&at.to_string(), head.size, most));
                }
                Ok(Some(head.bytes))
            }
        }
    }

    pub(super) async fn range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>> {
        match self.0.refs.get(key) {
            None => Ok(None),
            Some(Reference::Inline(bytes)) => {
                let part =
                    (range.end <= bytes.len() as u64).then(|| bytes.slice(range.start as usize..range.end as usize));
                part.map(Some).ok_or_else(|| Error::invalid(format!("`{key}` ends before what was asked for")))
            }
            Some(Reference::Whole(file)) => self.read(*file, range).await.map(Some),
            Some(Reference::Part(_, _, length)) if range.end > *length => {
                Err(Error::invalid(format!("`{key}` ends before what was asked for")))
            }
            Some(Reference::Part(file, offset, _)) => {
                self.read(*file, offset.saturating_add(range.start)..offset.saturating_add(range.end)).await.map(Some)
            }
        }
    }

    async fn read(&self, file: usize, range: Range<u64>) -> Result<Bytes> {
        let at = &self.0.files[file];
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

/// The references of a document at `base`, and the files that they lead to.
fn parse(bytes: &[u8], base: &Location) -> Result<(BTreeMap<String, Reference>, Vec<Location>)> {
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
    let (mut out, mut files, mut numbers) = (BTreeMap::new(), Vec::new(), HashMap::new());
    for (key, value) in refs {
        let mut file = |url: &str| -> Result<usize> {
            if let Some(&number) = numbers.get(url) {
                return Ok(number);
            }
            files.push(base.resolve(&filled(url, templates)?)?);
            numbers.insert(url.to_owned(), files.len() - 1);
            Ok(files.len() - 1)
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
    Ok((out, files))
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
        let (refs, files) = parse(one.as_bytes(), &base).expect("read");
        assert_eq!(refs["a/0"], Reference::Part(0, 10, 20));
        assert_eq!(refs["a/1"], Reference::Inline(Bytes::from_static(&[0, 1])));
        assert_eq!(refs["a/2"], Reference::Whole(1));
        assert_eq!(files.iter().map(ToString::to_string).collect::<Vec<_>>(), ["s3://b/d/f.nc", "s3://b/d/g.nc"]);
        let (refs, _) = parse(br#"{".zgroup": {"zarr_format": 2}}"#, &base).expect("read");
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
