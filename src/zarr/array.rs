//! An array that is open: parts of it are read as numbers, decoded as its attributes say.

use super::cf::Encoding;
use super::codec::{Codec, Decoded, Shards};
use super::hierarchy::Path;
use super::member::{About, Member};
use super::source::Source;
use super::values::Item;
use crate::error::{Error, Kind, Result};
use crate::text;
use serde_json::Value;
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use zarrs::array::{Array as Metadata, ArrayCreateError, ArrayMetadata};
use zarrs::plugin::PluginCreateError;

/// Bytes of one decoded chunk that is still read: metadata can claim any size.
const LARGEST_CHUNK: u64 = 1 << 30;
/// Bytes of decoded chunks that are kept.
const KEPT: u64 = 256 << 20;
/// Dimensions that are read.
const MOST_DIMENSIONS: usize = 32;

/// An open array. Clones share what was read.
#[derive(Clone)]
pub struct Array(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) source: Source,
    pub(super) path: Path,
    pub(super) about: About,
    pub(super) attributes: serde_json::Map<String, Value>,
    pub(super) encoding: Encoding,
    pub(super) kind: Kinds,
    pub(super) codec: Codec,
    pub(super) shards: Option<Shards>,
    metadata: Metadata<()>,
    pub(super) cache: Mutex<Cache>,
    /// Which keys there are below a folder, with their sizes; `None`: too many to be told.
    pub(super) known: Mutex<HashMap<String, Known>>,
}

/// Keys with their sizes; none where there are too many to be told.
pub(super) type Known = Option<Arc<HashMap<String, u64>>>;

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kinds {
    /// Numbers, and what stands where nothing is stored.
    Numbers(Item, f64),
    /// Text.
    Text,
}

/// Decoded chunks, the latest last.
#[derive(Default)]
pub(super) struct Cache {
    chunks: HashMap<Vec<u64>, (u64, Decoded)>,
    clock: u64,
    bytes: u64,
    indexes: HashMap<Vec<u64>, Index>,
}

/// Offset and length of each chunk in a shard; none for a shard that is not stored.
pub(super) type Places = Option<Arc<[(u64, u64)]>>;
type Index = Arc<tokio::sync::OnceCell<Places>>;
/// Indexes that are kept.
const INDEXES: usize = 256;

impl Cache {
    /// Where the index of a shard is kept, once it was read.
    pub(super) fn index(&mut self, shard: &[u64]) -> Index {
        if self.indexes.len() >= INDEXES && !self.indexes.contains_key(shard) {
            self.indexes.clear();
        }
        self.indexes.entry(shard.to_vec()).or_default().clone()
    }

    pub(super) fn get(&mut self, chunk: &[u64]) -> Option<Decoded> {
        self.clock += 1;
        let clock = self.clock;
        let (used, decoded) = self.chunks.get_mut(chunk)?;
        *used = clock;
        Some(decoded.clone())
    }

    pub(super) fn put(&mut self, chunk: Vec<u64>, decoded: Decoded) {
        self.clock += 1;
        self.bytes += decoded.memory();
        if let Some((_, old)) = self.chunks.insert(chunk, (self.clock, decoded)) {
            self.bytes -= old.memory();
        }
        if self.bytes <= KEPT {
            return;
        }
        let mut ages: Vec<u64> = self.chunks.values().map(|(used, _)| *used).collect();
        ages.sort_unstable();
        // The older half goes, so that this is done rarely; the newest always stays.
        let limit = ages[ages.len() / 2];
        let newest = self.clock;
        self.chunks.retain(|_, (used, _)| *used > limit || *used == newest);
        self.bytes = self.chunks.values().map(|(_, decoded)| decoded.memory()).sum();
    }
}

impl Array {
    /// Opens an array of which the metadata are known. Nothing is read.
    pub fn open(source: &Source, path: &[String], member: &Member) -> Result<Self> {
        let about = member.array().ok_or_else(|| Error::usage("only arrays have values"))?;
        if about.is_compound() {
            return Err(neither(about));
        }
        let metadata = metadata(about)?;
        let (data_type, fill) = (metadata.data_type().clone(), metadata.fill_value().clone());
        refuse(about)?;
        let kind = match Item::of(about) {
            Some(item) if data_type.fixed_size() == Some(item.size()) => {
                Kinds::Numbers(item, item.at(fill.as_ne_bytes(), 0))
            }
            _ if data_type.fixed_size().is_none() || about.dtype.starts_with('U') => Kinds::Text,
            _ => return Err(neither(about)),
        };
        let chain = metadata.codecs();
        let codec = Codec::new(&chain, data_type.clone(), fill.clone());
        let shards = match (&about.shards, sharding(about)) {
            (Some(shard), Some(configuration)) => {
                if !chain.array_to_array_codecs().is_empty() || !chain.bytes_to_bytes_codecs().is_empty() {
                    return Err(Error::unsupported("shards that are packed or turned as a whole are not read"));
                }
                Some(Shards::new(configuration, shard, &about.chunks, data_type, fill)?)
            }
            _ => None,
        };
        Ok(Self(Arc::new(Inner {
            source: source.clone(),
            path: path.to_vec(),
            about: about.clone(),
            attributes: member.attributes.clone(),
            encoding: Encoding::of(member, about),
            kind,
            codec,
            shards,
            metadata,
            cache: Mutex::default(),
            known: Mutex::default(),
        })))
    }

    /// Its metadata.
    pub fn about(&self) -> &About {
        &self.0.about
    }

    /// How its numbers are meant.
    pub fn encoding(&self) -> &Encoding {
        &self.0.encoding
    }

    /// Its path below the root.
    pub fn path(&self) -> &[String] {
        &self.0.path
    }

    /// An attribute.
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.0.attributes.get(name)
    }

    /// Where its keys are read.
    pub fn source(&self) -> &Source {
        &self.0.source
    }

    /// Whether its values are text.
    pub fn is_text(&self) -> bool {
        self.0.kind == Kinds::Text
    }
}

impl Inner {
    /// The key of a chunk, or of a shard.
    pub(super) fn key(&self, object: &[u64]) -> String {
        let name = self.metadata.chunk_key(object);
        self.path.iter().map(String::as_str).chain([name.as_str()]).collect::<Vec<_>>().join("/")
    }

    pub(super) fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that a decoded chunk takes.
    pub(super) fn chunk_bytes(&self) -> u64 {
        let item = match self.kind {
            Kinds::Numbers(item, _) => item.size() as u64,
            Kinds::Text => 32,
        };
        self.about.chunks.iter().fold(item, |n, side| n.saturating_mul(*side))
    }
}

/// What cannot be read within bounds, or at all.
fn refuse(about: &About) -> Result<()> {
    let dimensions = about.shape.len();
    if dimensions > MOST_DIMENSIONS {
        return Err(Error::new(Kind::Limit, format!("it has {dimensions} dimensions, more than are read")));
    }
    if about.chunks.len() != dimensions || about.chunks.contains(&0) {
        let grid = if about.grid.is_empty() { "of another shape" } else { &about.grid };
        return Err(Error::unsupported(format!("its chunks are no equal boxes: the grid is {grid}")));
    }
    let item = about.item().unwrap_or(8);
    let bytes = about.chunks.iter().fold(item, |n, side| n.saturating_mul(*side));
    if bytes > LARGEST_CHUNK {
        let (size, most) = (text::bytes(bytes), text::bytes(LARGEST_CHUNK));
        return Err(Error::new(
            Kind::Limit,
            format!("one chunk of it takes {size} of memory, and at most {most} are read"),
        )
        .with_hint("such an array has to be written again with smaller chunks"));
    }
    Ok(())
}

/// Why there is nothing to be drawn of the values of a type.
fn neither(about: &About) -> Error {
    let dtype = text::fit(&about.dtype, 120).into_owned();
    if about.is_complex() {
        return Error::unsupported(format!("its values are complex numbers ({dtype}): only real ones are drawn"))
            .with_hint("write their amplitude or phase into an array of its own");
    }
    if about.is_compound() {
        return Error::unsupported(format!("each of its values is a {dtype}: only single numbers are drawn"))
            .with_hint("write the field that is wanted into an array of its own");
    }
    Error::unsupported(format!("values of the type {dtype} are neither numbers nor text"))
}

/// The metadata as `zarrs` understands them.
fn metadata(about: &About) -> Result<Metadata<()>> {
    let mut document = about.document.clone();
    if let Some(document) = document.as_object_mut() {
        if about.version == 3 {
            // Names are ours to read, and one that is wrong is no reason to show nothing.
            document.remove("dimension_names");
        }
        plain_fill(document);
    }
    let parsed: ArrayMetadata = serde_json::from_value(document)
        .map_err(|err| Error::invalid(format!("its metadata are not those of a Zarr array: {err}")).with_source(err))?;
    Metadata::new_with_metadata(Arc::new(()), "/", parsed).map_err(|err| explained(about, err))
}

/// A fill value that Python wrote bare: of version 2, `NaN` is told in quotes.
fn plain_fill(document: &mut serde_json::Map<String, Value>) {
    if let Some(Value::Array(one)) = document.get("fill_value")
        && one.len() == 1
        && one[0].is_number()
    {
        let value = one[0].clone();
        document.insert("fill_value".into(), value);
    }
}

fn explained(about: &About, err: ArrayCreateError) -> Error {
    match err {
        ArrayCreateError::CodecsCreateError(err) => unreadable(&err),
        ArrayCreateError::DataTypeCreateError(err) => {
            let dtype = text::fit(&about.dtype, 40).into_owned();
            Error::unsupported(format!("values of the type {dtype} are not read")).with_source(err)
        }
        ArrayCreateError::InvalidFillValueMetadata { .. } | ArrayCreateError::InvalidFillValue { .. } => {
            let fill = text::fit(&about.fill.to_string(), 40).into_owned();
            Error::invalid(format!("its fill value {fill} is none of the type {}", text::fit(&about.dtype, 40)))
        }
        other => {
            let known = about.codecs.iter().find(|codec| other.to_string().contains(base(codec)));
            match known {
                Some(codec) => unknown(codec).with_source(other),
                None => Error::unsupported(format!("this array cannot be read: {other}")).with_source(other),
            }
        }
    }
}

fn base(codec: &str) -> &str {
    codec.split('(').next().unwrap_or(codec)
}

/// Which codec is not known.
pub(super) fn unreadable(err: &PluginCreateError) -> Error {
    match err {
        PluginCreateError::Unsupported(what) => unknown(&what.to_string()),
        other => Error::unsupported(format!("its codecs cannot be used: {other}")),
    }
}

fn unknown(codec: &str) -> Error {
    let codec = text::fit(codec, 120).into_owned();
    Error::unsupported(format!("its chunks are packed by a codec that is not read here: {codec}"))
        .with_hint("read it in Python with numcodecs, or write it again with zstd, gzip or blosc")
}

/// The configuration of the codec that makes shards.
fn sharding(about: &About) -> Option<&Value> {
    let codecs = about.document.get("codecs")?.as_array()?;
    let found = codecs.iter().find(|c| c.get("name").and_then(Value::as_str) == Some("sharding_indexed"))?;
    found.get("configuration")
}

/// Extents without zeros.
pub(super) fn non_zero(sides: &[u64]) -> Vec<NonZeroU64> {
    sides.iter().filter_map(|side| NonZeroU64::new(*side)).collect()
}
