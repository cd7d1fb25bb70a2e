//! Chunks from their bytes. What packs bytes is undone here, never to more than the chunk's shape allows:
//! a few bytes can claim to hold gigabytes. What orders and types values is left to `zarrs`.

use super::nested::Nested;
use crate::error::{Error, Kind, Result};
use crate::text;
use bytes::Bytes;
use serde_json::Value;
use std::borrow::Cow;
use std::io::Read;
use std::num::NonZeroU64;
use std::sync::Arc;
use zarrs::array::codec::api::BytesToBytesCodecTraits;
use zarrs::array::codec::{BloscCodec, Bz2Codec, GzipCodec, ZlibCodec, ZstdCodec};
use zarrs::array::{
    ArrayBytes, ArrayToBytesCodecTraits as _, BytesRepresentation, CodecChain, CodecOptions, DataType, FillValue,
    data_type,
};
use zarrs::metadata::v3::MetadataV3;

/// Bytes that a chunk of values of no fixed size may unpack to.
const MOST_VARIABLE: u64 = 256 << 20;
/// Chunks in one shard whose places are looked up.
const MOST_INNER: u64 = 4 << 20;

/// Undoes what packed the chunks of one array.
#[derive(Clone)]
pub(super) struct Codec {
    values: CodecChain,
    /// In the order of writing.
    bytes: Vec<Arc<dyn BytesToBytesCodecTraits>>,
    data_type: DataType,
    fill: FillValue,
    /// Where the chunks are shards themselves.
    nested: Option<Nested>,
}

/// The values of a chunk.
#[derive(Clone, Debug)]
pub(super) enum Decoded {
    /// Nothing is stored: all are the fill value.
    Missing,
    /// One after the other in this machine's order of bytes.
    Fixed(Bytes),
    /// Text.
    Text(Arc<[String]>),
}

impl Decoded {
    /// Bytes that it takes in memory.
    pub(super) fn memory(&self) -> u64 {
        match self {
            Self::Missing => 64,
            Self::Fixed(bytes) => bytes.len() as u64,
            Self::Text(words) => words.iter().map(|w| w.len() as u64 + 24).sum(),
        }
    }
}

impl Codec {
    pub(super) fn new(chain: &CodecChain, data_type: DataType, fill: FillValue) -> Self {
        let values =
            CodecChain::new(chain.array_to_array_codecs().to_vec(), chain.array_to_bytes_codec().clone(), Vec::new());
        Self { values, bytes: chain.bytes_to_bytes_codecs().to_vec(), data_type, fill, nested: None }
    }

    /// The values of a chunk of `shape`. Blocks.
    pub(super) fn decode(&self, encoded: &[u8], shape: &[NonZeroU64]) -> Result<Decoded> {
        if let Some(nested) = &self.nested {
            return nested.decode(encoded, shape).map(Decoded::Fixed);
        }
        let first = self.values.encoded_representation(shape, &self.data_type, &self.fill).map_err(bad)?;
        let mut stages = vec![first];
        for codec in &self.bytes {
            let next = stages.last().map(|last| codec.encoded_representation(last));
            stages.extend(next);
        }
        let mut bytes = Cow::Borrowed(encoded);
        for (codec, stage) in self.bytes.iter().zip(&stages).rev() {
            bytes = Cow::Owned(unpack(codec.as_ref(), &bytes, stage)?);
        }
        if let BytesRepresentation::FixedSize(size) = stages[0]
            && size != bytes.len() as u64
        {
            return Err(lies(size, bytes.len() as u64));
        }
        let options = CodecOptions::default().with_concurrent_target(1);
        let values = self.values.decode(bytes, shape, &self.data_type, &self.fill, &options).map_err(bad)?;
        let count = shape.iter().fold(1_u64, |n, side| n.saturating_mul(side.get()));
        values.validate(count, &self.data_type).map_err(bad)?;
        match values {
            ArrayBytes::Fixed(bytes) => Ok(Decoded::Fixed(bytes.into_owned().into())),
            ArrayBytes::Variable(words) => {
                let (bytes, offsets) = words.into_parts();
                let word = |pair: &[usize]| bytes.get(pair[0]..pair[1]).map(String::from_utf8_lossy);
                let words = offsets.windows(2).map(|pair| word(pair).unwrap_or_default().into_owned());
                Ok(Decoded::Text(words.collect()))
            }
            ArrayBytes::Optional(_) => Err(Error::unsupported("values that may be absent are not read")),
        }
    }
}

fn bad(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid(format!("a chunk cannot be decoded: {err}")).with_source(err)
}

fn lies(expected: u64, found: u64) -> Error {
    let (expected, found) = (text::bytes(expected), text::bytes(found));
    Error::invalid(format!("a chunk lies about its size: its shape needs {expected}, and it holds {found}"))
}

/// Undoes one codec; to no more than `stage` allows.
fn unpack(codec: &dyn BytesToBytesCodecTraits, packed: &[u8], stage: &BytesRepresentation) -> Result<Vec<u8>> {
    let most = stage.size().unwrap_or(MOST_VARIABLE);
    let any = codec.as_any();
    if any.is::<GzipCodec>() {
        return limited(flate2::read::MultiGzDecoder::new(packed), most, "gzip");
    }
    if any.is::<ZlibCodec>() {
        return limited(flate2::read::ZlibDecoder::new(packed), most, "zlib");
    }
    if any.is::<Bz2Codec>() {
        return limited(bzip2::read::MultiBzDecoder::new(packed), most, "bz2");
    }
    if any.is::<ZstdCodec>() {
        let reader = zstd::stream::read::Decoder::new(packed);
        return limited(reader.map_err(|err| broken(err, "zstd"))?, most, "zstd");
    }
    if any.is::<BloscCodec>() {
        // <https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst>: sizes of 32 bits at 4 and 12.
        let size = |at: usize| packed.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        let (Some(whole), Some(here)) = (size(4), size(12)) else {
            return Err(Error::invalid("a chunk is cut off: it is no blosc"));
        };
        if u64::from(whole) > most {
            return Err(bomb(most, "blosc"));
        }
        if u64::from(here) > packed.len() as u64 {
            return Err(Error::invalid("a chunk is cut off: it ends before its blosc header says"));
        }
    }
    let options = CodecOptions::default().with_concurrent_target(1);
    codec.decode(Cow::Borrowed(packed), stage, &options).map(Cow::into_owned).map_err(bad)
}

fn limited(reader: impl Read, most: u64, name: &str) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    reader.take(most.saturating_add(1)).read_to_end(&mut out).map_err(|err| broken(err, name))?;
    if out.len() as u64 > most { Err(bomb(most, name)) } else { Ok(out) }
}

fn broken(err: std::io::Error, name: &str) -> Error {
    Error::invalid(format!("a chunk is cut off or damaged: it is no {name}")).with_source(err)
}

fn bomb(most: u64, name: &str) -> Error {
    let most = text::bytes(most);
    Error::invalid(format!("a chunk lies about its size: its {name} unpacks to more than the {most} of its shape"))
}

/// How chunks lie in shards.
#[derive(Clone)]
pub(super) struct Shards {
    /// Undoes what packed the chunks within.
    pub(super) inner: Codec,
    /// Chunks along each dimension of a shard.
    pub(super) counts: Vec<u64>,
    index: CodecChain,
    /// Bytes of the index.
    pub(super) index_bytes: u64,
    /// Whether it stands at the end of the shard, or at its start.
    pub(super) at_end: bool,
}

impl Shards {
    /// From the configuration of `sharding_indexed`. `shard` and `chunk` are their extents.
    pub(super) fn new(
        configuration: &Value,
        shard: &[u64],
        chunk: &[u64],
        data_type: DataType,
        fill: FillValue,
    ) -> Result<Self> {
        let chain = |name: &str| -> Result<CodecChain> {
            let codecs = configuration.get(name).cloned().unwrap_or_default();
            let codecs: Vec<MetadataV3> = serde_json::from_value(codecs)?;
            CodecChain::from_metadata(&codecs).map_err(|err| super::array::unreadable(&err))
        };
        let fits = shard.len() == chunk.len() && shard.iter().zip(chunk).all(|(s, c)| *c > 0 && *s > 0 && s % c == 0);
        if !fits {
            return Err(Error::invalid("the chunks do not fit into the shards"));
        }
        let counts: Vec<u64> = shard.iter().zip(chunk).map(|(s, c)| s / c).collect();
        let total = counts.iter().fold(1_u64, |n, side| n.saturating_mul(*side));
        if total > MOST_INNER {
            let total = text::count(total);
            return Err(Error::new(Kind::Limit, format!("a shard holds {total} chunks, more than are looked up")));
        }
        let index = chain("index_codecs")?;
        let shape = index_shape(&counts);
        let size =
            index.encoded_representation(&shape, &data_type::uint64(), &FillValue::from(u64::MAX)).map_err(bad)?;
        let Some(index_bytes) = size.size() else {
            return Err(Error::unsupported("the index of the shards is packed: its size is not known"));
        };
        let at_end = configuration.get("index_location").and_then(Value::as_str) != Some("start");
        let nested = Nested::of(configuration.get("codecs").unwrap_or(&Value::Null), chunk, &data_type, &fill)?;
        let inner = Codec { nested, ..Codec::new(&chain("codecs")?, data_type, fill) };
        Ok(Self { inner, counts, index, index_bytes, at_end })
    }

    /// Offset and length of each chunk in the shard; both the largest number for one that is not there.
    pub(super) fn decode_index(&self, bytes: &[u8]) -> Result<Vec<(u64, u64)>> {
        let codec = Codec::new(&self.index, data_type::uint64(), FillValue::from(u64::MAX));
        let Decoded::Fixed(bytes) = codec.decode(bytes, &index_shape(&self.counts))? else {
            return Err(Error::invalid("the index of a shard holds no numbers"));
        };
        let number = |b: &[u8]| b.try_into().map_or(u64::MAX, u64::from_ne_bytes);
        Ok(bytes.chunks_exact(16).map(|pair| (number(&pair[..8]), number(&pair[8..]))).collect())
    }
}

fn index_shape(counts: &[u64]) -> Vec<NonZeroU64> {
    counts.iter().chain(&[2]).filter_map(|n| NonZeroU64::new(*n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn codec(names: &str) -> Codec {
        let codecs: Vec<MetadataV3> = serde_json::from_str(names).expect("codecs");
        let chain = CodecChain::from_metadata(&codecs).expect("a chain");
        Codec::new(&chain, data_type::float32(), FillValue::from(0.0_f32))
    }

    fn shape(sides: &[u64]) -> Vec<NonZeroU64> {
        sides.iter().filter_map(|n| NonZeroU64::new(*n)).collect()
    }

    #[test]
    fn bombs_are_not_unpacked() {
        let zeros = vec![0_u8; 64 << 20];
        let little = r#"{"name": "bytes", "configuration": {"endian": "little"}}"#;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&zeros).expect("packed");
        let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz2.write_all(&zeros[..1 << 20]).expect("packed");
        let mut blosc = vec![2, 1, 1, 4];
        for size in [u32::MAX, 0, 16] {
            blosc.extend(size.to_le_bytes());
        }
        let blosc_codec = r#"{"name": "blosc", "configuration": {"cname": "lz4", "clevel": 1, "shuffle": "noshuffle", "blocksize": 0}}"#;
        for (name, packed) in [
            (r#"{"name": "gzip", "configuration": {"level": 1}}"#, gzip.finish().expect("packed")),
            (
                r#"{"name": "zstd", "configuration": {"level": 1, "checksum": false}}"#,
                zstd::encode_all(&zeros[..], 1).expect("packed"),
            ),
            (r#"{"name": "numcodecs.bz2", "configuration": {"level": 1}}"#, bz2.finish().expect("packed")),
            (blosc_codec, blosc),
        ] {
            let codec = codec(&format!("[{little}, {name}]"));
            let err = codec.decode(&packed, &shape(&[10, 10])).expect_err("a bomb").to_string();
            assert!(err.contains("lies about its size"), "{name}: {err}");
            let err = codec.decode(&packed[..packed.len().min(10)], &shape(&[10, 10])).expect_err("cut").to_string();
            assert!(err.contains("cut off"), "{name}: {err}");
        }
        let err = codec(&format!("[{little}]")).decode(&zeros[..7], &shape(&[2])).expect_err("short").to_string();
        assert!(err.contains("needs 8 B, and it holds 7 B"), "{err}");
    }
}
