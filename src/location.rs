//! One parsed address of anything secchi can open.
//!
//! | written | means |
//! |---|---|
//! | `s3://bucket/key` | an object; with the default credentials |
//! | `s3://allas@bucket/key` | the same with the profile `allas` |
//! | `s3://bucket/key?versionId=ID` | one version of an object |
//! | `s3://` or `s3://allas@` | the buckets of an account |
//! | `gs://bucket/key`, `az://container/key` | Google and Azure |
//! | `https://host/path` | a web server |
//! | `memory:///key` | a store in this process, for tests |
//! | `file:///path`, `/path`, `./path`, `~/path` | the local disk |
//!
//! Keys are kept as the server knows them: nothing is decoded, normalised or trimmed, so that
//! `a//b`, `../x`, a leading `/` and a trailing space name what they name. A key that ends in `/`
//! (or is empty) is a container; an object whose key ends in `/` is told apart by its listing.
//!
//! A key may itself end in what looks like a version (`a?versionId=b` is legal). The last
//! `?versionId=` of an address of S3 is always the version's, so such a key is written with an empty
//! one behind it: `s3://bucket/a?versionId=b?versionId=`. What follows it and is no id (anything but
//! letters, digits, `-._~` and percent signs) belongs to the key.

use crate::error::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// What stands between a key and the id of its version.
const VERSION: &str = "?versionId=";
/// What an id is written with.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The kind of store behind a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Amazon's protocol, whoever serves it.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob Storage.
    Az,
    /// A web server without TLS.
    Http,
    /// A web server.
    Https,
    /// The local disk.
    File,
    /// This process.
    Memory,
}

impl Scheme {
    /// As it stands before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
            Self::Http => "http",
            Self::Https => "https",
            Self::File => "file",
            Self::Memory => "memory",
        }
    }
}

/// The store a location lies in: what a client is made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId {
    /// Kind of store.
    pub scheme: Scheme,
    /// The profile whose credentials are used; `None` for the default.
    pub profile: Option<String>,
    /// Bucket, container or `host:port`; empty for local disk, memory and lists of buckets.
    pub authority: String,
}

/// An address: a store and a key within it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    store: StoreId,
    key: String,
    /// The version of the object; `None` for the current one.
    version: Option<Box<str>>,
}

/// Key and version of what stands behind the bucket in an address of S3: see the top of this file.
fn key_and_version(text: &str) -> (&str, Option<Box<str>>) {
    let is_id = |id: &str| id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b));
    match text.rsplit_once(VERSION) {
        Some((key, id)) if !key.is_empty() && is_id(id) => {
            let id = percent_decode_str(id).decode_utf8_lossy().into_owned();
            (key, (!id.is_empty()).then(|| id.into()))
        }
        _ => (text, None),
    }
}

impl Location {
    /// Reads an address. Relative paths are completed with the current folder.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::usage("an empty location"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::file(Path::new(text)));
        };
        let scheme = match scheme {
            "s3" | "s3a" => Scheme::S3,
            "gs" | "gcs" => Scheme::Gs,
            "az" | "abfs" | "abfss" => Scheme::Az,
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "memory" => Scheme::Memory,
            "file" => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
                return Ok(Self::file(Path::new(&path)));
            }
            other => {
                return Err(Error::usage(format!("`{other}://` is not a kind of location"))
                    .with_hint("use s3://, gs://, az://, https://, or a path"));
            }
        };
        if scheme == Scheme::Memory {
            return Ok(Self::new(scheme, None, "", rest.strip_prefix('/').unwrap_or(rest)));
        }
        let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
        let (profile, authority) = match authority.rsplit_once('@') {
            Some((profile, host)) if !matches!(scheme, Scheme::Http | Scheme::Https) => {
                (Some(profile.to_owned()), host)
            }
            Some(_) => return Err(Error::usage("a web address with a password in it is not accepted")),
            None => (None, authority),
        };
        if authority.is_empty() && scheme != Scheme::S3 {
            return Err(Error::usage(format!("`{text}` names no host or bucket")));
        }
        if authority.is_empty() && !key.is_empty() {
            return Err(Error::usage(format!("`{text}` names no bucket")));
        }
        let (key, version) = if scheme == Scheme::S3 { key_and_version(key) } else { (key, None) };
        Ok(Self { version, ..Self::new(scheme, profile, authority, key) })
    }

    /// An address from its parts.
    pub fn new(scheme: Scheme, profile: Option<String>, authority: &str, key: &str) -> Self {
        let store = StoreId { scheme, profile, authority: authority.to_owned() };
        Self { store, key: key.to_owned(), version: None }
    }

    /// A place on the local disk, made absolute; a trailing slash is kept.
    pub fn file(path: &Path) -> Self {
        let text = path.to_string_lossy();
        let expanded = match text.strip_prefix("~/").or((text == "~").then_some("")) {
            Some(rest) => {
                directories::BaseDirs::new().map_or_else(|| path.to_path_buf(), |dirs| dirs.home_dir().join(rest))
            }
            None => path.to_path_buf(),
        };
        let absolute = std::path::absolute(&expanded).unwrap_or(expanded);
        let mut clean = PathBuf::new();
        for part in absolute.components() {
            match part {
                Component::ParentDir => {
                    clean.pop();
                }
                Component::CurDir => {}
                other => clean.push(other),
            }
        }
        let mut key = clean.to_string_lossy().into_owned();
        if (text.ends_with('/') || text == "." || text.ends_with("/.") || text == "~") && !key.ends_with('/') {
            key.push('/');
        }
        Self::new(Scheme::File, None, "", &key)
    }

    /// The store it lies in.
    pub fn store(&self) -> &StoreId {
        &self.store
    }

    /// Kind of store.
    pub fn scheme(&self) -> Scheme {
        self.store.scheme
    }

    /// The profile it names, if any.
    pub fn profile(&self) -> Option<&str> {
        self.store.profile.as_deref()
    }

    /// The bucket, container or host; empty where there is none.
    pub fn bucket(&self) -> &str {
        &self.store.authority
    }

    /// The key within the store, as the server knows it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The version of the object that it names; `None` for the current one.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The same object in this version; the current one with `None`. Only S3 has versions.
    #[must_use]
    pub fn with_version(&self, version: Option<&str>) -> Self {
        let version = version.filter(|v| !v.is_empty() && self.scheme() == Scheme::S3 && !self.key.is_empty());
        Self { version: version.map(Into::into), ..self.with_key(&self.key) }
    }

    /// The path on the local disk, for a location there.
    pub fn to_path(&self) -> Option<PathBuf> {
        (self.store.scheme == Scheme::File).then(|| PathBuf::from(&self.key))
    }

    /// Whether it stands for a list of buckets.
    pub fn is_account(&self) -> bool {
        self.store.scheme == Scheme::S3 && self.store.authority.is_empty()
    }

    /// Whether it is something to list rather than to read: no key, or one that ends in `/`.
    pub fn is_container(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// The same store with another key.
    #[must_use]
    pub fn with_key(&self, key: impl Into<String>) -> Self {
        Self { store: self.store.clone(), key: key.into(), version: None }
    }

    /// What is called `name` in this container; a bucket where this is an account.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.is_account() {
            return Self::new(self.store.scheme, self.store.profile.clone(), name.trim_end_matches('/'), "");
        }
        let slash = if self.is_container() { "" } else { "/" };
        self.with_key(format!("{}{slash}{name}", self.key))
    }

    /// As a container: with a `/` at its end.
    #[must_use]
    pub fn as_container(&self) -> Self {
        if self.is_container() { self.clone() } else { self.with_key(format!("{}/", self.key)) }
    }

    /// The container above; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        if self.key.is_empty() || self.key == "/" {
            let s3_bucket = self.store.scheme == Scheme::S3 && !self.store.authority.is_empty();
            return s3_bucket.then(|| Self::new(Scheme::S3, self.store.profile.clone(), "", ""));
        }
        let body = self.key.strip_suffix('/').unwrap_or(&self.key);
        let cut = body.rfind('/').map_or(0, |i| i + 1);
        Some(self.with_key(&self.key[..cut]))
    }

    /// The last part of the key (with its `/` for a container), else the bucket, else the scheme.
    pub fn name(&self) -> &str {
        if self.key.is_empty() {
            return if self.store.authority.is_empty() { self.store.scheme.as_str() } else { &self.store.authority };
        }
        let body = self.key.strip_suffix('/').unwrap_or(&self.key);
        let cut = body.rfind('/').map_or(0, |i| i + 1);
        &self.key[cut..]
    }

    /// The suffix of the name in lower case, without its dot: `tif`, `parquet`; of `x.csv.gz`, `gz`.
    pub fn extension(&self) -> String {
        let name = self.name();
        let name = name.split_once('?').map_or(name, |(path, _)| path);
        match name.rsplit_once('.') {
            Some((stem, ext)) if !stem.is_empty() && !ext.ends_with('/') => ext.to_ascii_lowercase(),
            _ => String::new(),
        }
    }

    /// Resolves a link found in a document at this location: absolute, or relative to its folder.
    /// The path of a relative link is resolved (`../`), as a browser does it.
    pub fn resolve(&self, href: &str) -> Result<Self> {
        if href.contains("://") {
            let mut found = Self::parse(href)?;
            if found.scheme() == Scheme::File && self.scheme() != Scheme::File {
                // Whoever wrote it knows nothing of this computer, and shall not learn of it.
                return Err(Error::invalid(format!("the link `{href}` leads from a server to this computer")));
            }
            // A catalog read with one profile names its own bucket without it.
            if found.store.profile.is_none() && found.scheme() == self.scheme() && found.bucket() == self.bucket() {
                found.store.profile.clone_from(&self.store.profile);
            }
            return Ok(found);
        }
        let base = &self.key[..self.key.rfind('/').map_or(0, |i| i + 1)];
        let joined = if let Some(absolute) = href.strip_prefix('/') {
            if self.scheme() == Scheme::File { href.to_owned() } else { absolute.to_owned() }
        } else {
            format!("{base}{href}")
        };
        let rooted = joined.starts_with('/');
        let mut parts: Vec<&str> = Vec::new();
        for part in joined.trim_start_matches('/').split('/') {
            match part {
                "." => {}
                ".." => {
                    if parts.pop().is_none() {
                        return Err(Error::invalid(format!("the link `{href}` leaves its store")));
                    }
                }
                other => parts.push(other),
            }
        }
        let key = parts.join("/");
        Ok(self.with_key(if rooted { format!("/{key}") } else { key }))
    }
}

impl fmt::Display for Location {
    /// The address as [`Location::parse`] reads it. Not cleaned for the screen: see [`crate::text::clean`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.store.scheme == Scheme::File {
            return f.write_str(&self.key);
        }
        write!(f, "{}://", self.store.scheme.as_str())?;
        if let Some(profile) = &self.store.profile {
            write!(f, "{profile}@")?;
        }
        write!(f, "{}", self.store.authority)?;
        if !self.store.authority.is_empty() || self.store.scheme == Scheme::Memory {
            write!(f, "/{}", self.key)?;
        }
        match &self.version {
            Some(id) => write!(f, "{VERSION}{}", utf8_percent_encode(id, PLAIN)),
            // Else the end of the key would be read as a version.
            None if self.store.scheme == Scheme::S3 && self.key.contains(VERSION) => f.write_str(VERSION),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", crate::text::clean(&self.to_string()))
    }
}

impl std::str::FromStr for Location {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Self::parse(s)
    }
}

impl serde::Serialize for Location {
    fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Location {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loc(s: &str) -> Location {
        Location::parse(s).expect(s)
    }

    #[test]
    fn addresses_survive_a_round_trip() {
        for text in [
            "s3://b/k",
            "s3://allas@b/a//b",
            "s3://b//lead",
            "s3://b/../x",
            "s3://b/dir/",
            "s3://b/ trailing ",
            "s3://",
            "s3://allas@",
            "https://h:8/p?q=1",
            "memory:///a/b",
            "/tmp/x",
            "/tmp/d/",
            "gs://b/k",
        ] {
            assert_eq!(loc(text).to_string(), text);
        }
        assert_eq!(loc("s3://b").to_string(), "s3://b/");
    }

    #[test]
    fn a_version_is_told_from_a_key_that_looks_like_one() {
        let old = loc("s3://p@b/d/x.csv?versionId=3HL4kqtJ.lcpXroDTDmJ-rmSpXd_3");
        assert_eq!((old.key(), old.version()), ("d/x.csv", Some("3HL4kqtJ.lcpXroDTDmJ-rmSpXd_3")));
        assert_eq!((old.extension().as_str(), old.name()), ("csv", "x.csv"));
        assert_eq!(old.with_version(None), loc("s3://p@b/d/x.csv"));
        assert_eq!(old.parent().and_then(|p| p.version().map(str::to_owned)), None);
        for (text, key) in [
            ("s3://b/a?versionId=b?versionId=", "a?versionId=b"),
            ("s3://b/a?versionId=b c", "a?versionId=b c"),
            ("s3://b/?versionId=b", "?versionId=b"),
            ("https://h/a?versionId=b", "a?versionId=b"),
        ] {
            let found = loc(text);
            assert_eq!((found.key(), found.version()), (key, None), "{text}");
        }
        assert_eq!(loc("s3://b/k").with_version(Some("a/b c")).to_string(), "s3://b/k?versionId=a%2Fb%20c");
    }

    proptest::proptest! {
        #[test]
        fn any_key_in_any_version_survives(
            key in "(.{1,12}|a|\\?versionId=|%2f|/){1,4}",
            version in proptest::option::of("[a-zA-Z0-9._~-]{1,12}|.{1,6}"),
        ) {
            let at = Location::new(Scheme::S3, None, "b", &key).with_version(version.as_deref());
            proptest::prop_assert_eq!(loc(&at.to_string()), at);
        }
    }

    #[test]
    fn going_down_and_up_again_is_the_same_place() {
        let bucket = loc("s3://p@").child("data");
        assert_eq!(bucket.to_string(), "s3://p@data/");
        let deep = bucket.child("a/").child("/").child("x");
        assert_eq!(deep.key(), "a//x");
        assert_eq!(deep.parent().and_then(|p| p.parent()).map(|p| p.key().to_owned()), Some("a/".into()));
        assert_eq!(bucket.parent(), Some(loc("s3://p@")));
        assert_eq!(loc("s3://").parent(), None);
        assert_eq!(loc("/").parent(), None);
    }

    #[test]
    fn names_and_suffixes() {
        assert_eq!(loc("s3://b/a/B02.TIF").extension(), "tif");
        assert_eq!(loc("s3://b/a/.hidden").extension(), "");
        assert_eq!(loc("s3://b/a/x.zarr/").name(), "x.zarr/");
        assert_eq!(loc("https://h/a.tif?sig=1.x").extension(), "tif");
    }

    #[test]
    fn links_resolve_like_a_browser_and_keep_the_profile() {
        let item = loc("s3://p@b/cat/item/item.json");
        assert_eq!(item.resolve("./x.tif").expect("link"), loc("s3://p@b/cat/item/x.tif"));
        assert_eq!(item.resolve("../catalog.json").expect("link"), loc("s3://p@b/cat/catalog.json"));
        assert_eq!(item.resolve("s3://b/y").expect("link"), loc("s3://p@b/y"));
        assert_eq!(loc("/d/c.json").resolve("i/i.json").expect("link"), loc("/d/i/i.json"));
        assert!(item.resolve("../../../../etc").is_err());
        assert!(item.resolve("file:///etc/passwd").is_err());
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        for text in ["", "ftp://x/y", "https:///x", "s3:///key", "https://u:p@h/x"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }
}
