//! Shards within shards. `zarrs` would decode them whole, whatever the chunks within unpack to: here each is decoded as
//! any other chunk is, to no more than its shape allows.
//!
//! <https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html>: the `codecs` of
//! `sharding_indexed` may hold another `sharding_indexed`.

use super::codec::{Decoded, Shards};
use crate::error::{Error, Result};
use bytes::Bytes;
use serde_json::Value;
use std::num::NonZeroU64;
use zarrs::array::{DataType, FillValue};

/// The shard that is a chunk of another.
#[derive(Clone)]
pub(super) struct Nested {
    shards: Box<Shards>,
    /// Extents of the chunks within.
    chunk: Vec<u64>,
    fill: Vec<u8>,
}

impl Nested {
    /// From the `codecs` of a shard, whose chunks have these extents; `None` where these chunks are none themselves.
    pub(super) fn of(codecs: &Value, outer: &[u64], data_type: &DataType, fill: &FillValue) -> Result<Option<Self>> {
        let codecs = codecs.as_array().map(Vec::as_slice).unwrap_or_default();
        let is_shard = |codec: &&Value| codec.get("name").and_then(Value::as_str) == Some("sharding_indexed");
        let Some(found) = codecs.iter().find(is_shard) else { return Ok(None) };
        if codecs.len() > 1 || data_type.fixed_size().is_none() {
            return Err(Error::unsupported("shards within shards are read only where they are plain ones of numbers"));
        }
        let configuration = found.get("configuration").cloned().unwrap_or_default();
        let chunk: Option<Vec<u64>> = configuration
            .get("chunk_shape")
            .and_then(Value::as_array)
            .and_then(|sides| sides.iter().map(Value::as_u64).collect());
        let chunk = chunk.ok_or_else(|| Error::invalid("a shard does not tell the shape of its chunks"))?;
        let shards = Shards::new(&configuration, outer, &chunk, data_type.clone(), fill.clone())?;
        Ok(Some(Self { shards: Box::new(shards), chunk, fill: fill.as_ne_bytes().to_vec() }))
    }

    /// The values of the shard, which is a chunk of `shape`. Blocks.
    pub(super) fn decode(&self, bytes: &[u8], shape: &[NonZeroU64]) -> Result<Bytes> {
        let shards = &self.shards;
        let index = usize::try_from(shards.index_bytes).ok().filter(|n| *n <= bytes.len());
        let index = index.ok_or_else(|| Error::invalid("a shard is cut off: it is shorter than its index"))?;
        let index = if shards.at_end { &bytes[bytes.len() - index..] } else { &bytes[..index] };
        let count = shape.iter().fold(1_usize, |n, side| n.saturating_mul(side.get() as usize));
        let mut out = self.fill.repeat(count);
        let sides: Vec<NonZeroU64> = super::array::non_zero(&self.chunk);
        for (at, (offset, length)) in shards.decode_index(index)?.into_iter().enumerate() {
            if (offset, length) == (u64::MAX, u64::MAX) {
                continue;
            }
            let range = usize::try_from(offset).ok().zip(usize::try_from(offset.saturating_add(length)).ok());
            let packed = range.and_then(|(from, to)| bytes.get(from..to));
            let packed = packed.ok_or_else(|| Error::invalid("a shard's index leads beyond its end"))?;
            if let Decoded::Fixed(values) = shards.inner.decode(packed, &sides)? {
                self.place(&mut out, &values, at, shape);
            }
        }
        Ok(out.into())
    }

    /// Copies the values of the chunk with the number `at` to where they belong, row by row.
    fn place(&self, out: &mut [u8], values: &[u8], at: usize, shape: &[NonZeroU64]) {
        let item = self.fill.len();
        let mut rest = at;
        let mut first = vec![0_usize; self.chunk.len()];
        for (slot, (count, side)) in first.iter_mut().zip(self.shards.counts.iter().zip(&self.chunk)).rev() {
            *slot = rest % *count as usize * *side as usize;
            rest /= *count as usize;
        }
        let row = self.chunk.last().map_or(1, |side| *side as usize) * item;
        for (number, values) in values.chunks_exact(row.max(1)).enumerate() {
            // The row's place in each dimension but the last, from the last to the first.
            let (mut left, mut to, mut step) = (number, 0, 1);
            for dimension in (0..shape.len()).rev() {
                let mut position = first[dimension];
                if dimension + 1 < shape.len() {
                    position += left % self.chunk[dimension] as usize;
                    left /= self.chunk[dimension] as usize;
                }
                to += position * step;
                step *= shape[dimension].get() as usize;
            }
            if let Some(slot) = out.get_mut(to * item..to * item + row) {
                slot.copy_from_slice(values);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Write as _;
    use zarrs::array::data_type;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).expect("packed");
        packer.finish().expect("packed")
    }

    /// A shard of 4 x 4 numbers of 16 bits in chunks of 2 x 2; its index at the end.
    fn nested() -> Nested {
        let little = json!({ "name": "bytes", "configuration": { "endian": "little" } });
        let gzip = json!({ "name": "gzip", "configuration": { "level": 1 } });
        let codecs = json!([{ "name": "sharding_indexed", "configuration": {
            "chunk_shape": [2, 2], "codecs": [little, gzip], "index_codecs": [little], "index_location": "end",
        } }]);
        let found = Nested::of(&codecs, &[4, 4], &data_type::uint16(), &FillValue::from(7_u16)).expect("understood");
        found.expect("a shard")
    }

    fn shard(chunks: [Option<Vec<u8>>; 4]) -> Vec<u8> {
        let (mut bytes, mut index) = (Vec::new(), Vec::new());
        for chunk in chunks {
            let place = chunk.as_ref().map_or((u64::MAX, u64::MAX), |chunk| (bytes.len() as u64, chunk.len() as u64));
            index.extend(place.0.to_le_bytes().into_iter().chain(place.1.to_le_bytes()));
            bytes.extend(chunk.unwrap_or_default());
        }
        [bytes, index].concat()
    }

    fn sides() -> Vec<NonZeroU64> {
        vec![NonZeroU64::new(4).expect("4"); 2]
    }

    #[test]
    fn chunks_come_to_their_places() {
        let chunk = |from: u16| Some(gzip(&(from..from + 4).flat_map(u16::to_le_bytes).collect::<Vec<u8>>()));
        let bytes = shard([chunk(10), chunk(20), None, chunk(40)]);
        let values = nested().decode(&bytes, &sides()).expect("decoded");
        let values: Vec<u16> = values.chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]])).collect();
        assert_eq!(values, [10, 11, 20, 21, 12, 13, 22, 23, 7, 7, 40, 41, 7, 7, 42, 43]);
    }

    #[test]
    fn what_lies_within_is_bounded() {
        let bomb = shard([Some(gzip(&vec![0; 8 << 20])), None, None, None]);
        let err = nested().decode(&bomb, &sides()).expect_err("a bomb").to_string();
        assert!(err.contains("lies about its size"), "{err}");
        let err = nested().decode(&[0; 10], &sides()).expect_err("cut").to_string();
        assert!(err.contains("cut off"), "{err}");
        let mut astray = shard([None, None, None, None]);
        astray[..16].copy_from_slice(&[1; 16]);
        let err = nested().decode(&astray, &sides()).expect_err("astray").to_string();
        assert!(err.contains("beyond its end"), "{err}");
    }
}
