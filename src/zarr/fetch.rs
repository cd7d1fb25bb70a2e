//! One chunk: its bytes from the store, or from a shard by its index; decoded once, and kept.

use super::array::{Inner, Places, non_zero};
use super::codec::Decoded;
use crate::error::{Context as _, Error, Result};
use crate::task::Control;
use std::sync::Arc;

/// Bytes of an encoded chunk beyond what it decodes to.
const SLACK: u64 = 1 << 20;

impl Inner {
    /// A chunk's values, read once.
    pub(super) async fn chunk(self: Arc<Self>, at: &[u64], control: &Control) -> Result<Decoded> {
        if let Some(known) = self.cache().get(at) {
            return Ok(known);
        }
        let encoded = match &self.shards {
            Some(_) => self.inner_chunk(at, control).await?,
            None => self.source.get(&self.key(at), self.most_encoded()).await?,
        };
        let decoded = match encoded {
            None => Decoded::Missing,
            Some(bytes) => {
                let (this, index) = (self.clone(), at.to_vec());
                let decode = move |control: Control| {
                    control.check()?;
                    let codec = this.shards.as_ref().map_or(&this.codec, |shards| &shards.inner);
                    codec.decode(&bytes, &non_zero(&this.about.chunks)).context(|| format!("chunk {}", named(&index)))
                };
                control.blocking(decode).await?
            }
        };
        self.cache().put(at.to_vec(), decoded.clone());
        Ok(decoded)
    }

    fn most_encoded(&self) -> u64 {
        self.chunk_bytes().saturating_mul(2).saturating_add(SLACK)
    }

    /// The bytes of a chunk in a shard: its place from the shard's index, then its range.
    async fn inner_chunk(&self, at: &[u64], control: &Control) -> Result<Option<bytes::Bytes>> {
        let Some(shards) = &self.shards else { return Ok(None) };
        let object: Vec<u64> = at.iter().zip(&shards.counts).map(|(at, count)| at / count).collect();
        let Some(index) = self.index(&object, control).await? else { return Ok(None) };
        let inside = at.iter().zip(&shards.counts).fold(0, |n, (at, count)| n * count + at % count);
        let Some(&(offset, length)) = index.get(inside as usize) else { return Ok(None) };
        if (offset, length) == (u64::MAX, u64::MAX) {
            return Ok(None);
        }
        let what = || format!("chunk {} of its shard", named(at));
        if length > self.most_encoded() {
            return Err(super::source::too_large(&what(), length, self.most_encoded()));
        }
        let end = offset.checked_add(length).ok_or_else(|| Error::invalid("a shard's index leads beyond its end"))?;
        self.source.range(&self.key(&object), offset..end).await.context(what)
    }

    /// Where the chunks of a shard lie; `None` for a shard that is not stored. Read once.
    pub(super) async fn index(&self, object: &[u64], control: &Control) -> Result<Places> {
        let Some(shards) = &self.shards else { return Ok(None) };
        let cell = self.cache().index(object);
        // Chunks of one shard are asked for side by side: the first asks for their places.
        let found = cell.get_or_try_init(|| async {
            let key = self.key(object);
            let bytes = if shards.at_end {
                self.source.tail(&key, shards.index_bytes).await?.map(|(bytes, _)| bytes)
            } else {
                self.source.range(&key, 0..shards.index_bytes).await?
            };
            let Some(bytes) = bytes else { return Ok(None) };
            let shards = shards.clone();
            let found = control.blocking(move |_| shards.decode_index(&bytes)).await;
            Ok::<_, Error>(Some(found.context(|| format!("the index of shard {}", named(object)))?.into()))
        });
        Ok(found.await?.clone())
    }
}

/// `2,0,5`.
fn named(index: &[u64]) -> String {
    index.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}
