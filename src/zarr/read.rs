//! Parts of an array: which chunks hold them, which of these are read when all are too many, and how
//! their values come into place.

use super::array::{Array, Inner, Kinds, Known};
use super::codec::Decoded;
use super::stored::index_of;
use super::values::Item;
use crate::error::{Error, Kind, Result};
use crate::task::Control;
use crate::text;
use futures::{StreamExt as _, TryStreamExt as _};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

/// Requests under way at once for one read.
const AT_ONCE: usize = 16;
/// Values of one read.
const MOST_VALUES: u64 = 16 << 20;
/// More chunks than these are asked for only after it is known which exist.
const ASK_FIRST: u64 = 16;
/// Chunks of one read, whatever it is for.
const MOST_CHUNKS: u64 = 16 << 10;
/// Keys that are listed to know which chunks exist: two pages of a server's answer.
const LISTED: usize = 2_000;

/// Positions along one dimension: `count` of the `len` from `start` on, evenly; each in the middle of what it
/// stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first position that is stood for.
    pub start: u64,
    /// How many positions are.
    pub len: u64,
    /// How many are read; as many as `len` are all.
    pub count: u64,
}

impl Span {
    /// One position.
    pub fn one(at: u64) -> Self {
        Self { start: at, len: 1, count: 1 }
    }

    /// All of `len` positions.
    pub fn all(len: u64) -> Self {
        Self { start: 0, len, count: len }
    }

    /// At most `most` of the `len` positions from `start` on.
    pub fn at_most(start: u64, len: u64, most: u64) -> Self {
        Self { start, len, count: len.min(most.max(1)) }
    }

    /// The `i`th position read.
    pub fn position(&self, i: u64) -> u64 {
        let middle = (2 * u128::from(i) + 1) * u128::from(self.len) / (2 * u128::from(self.count.max(1)));
        self.start + middle as u64
    }
}

/// What may be spent on one read.
#[derive(Clone, Copy, Debug)]
pub struct Afford {
    /// Chunks that are fetched.
    pub chunks: u64,
    /// Bytes that these decode to.
    pub bytes: u64,
}

impl Afford {
    /// For a picture or a plot that is waited for.
    pub const LOOK: Self = Self { chunks: 256, bytes: 512 << 20 };
    /// Without skipping chunks: fails where it is too much.
    pub const EXACT: Self = Self { chunks: u64::MAX, bytes: 2 << 30 };
}

/// Numbers that were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// How many along each dimension.
    pub shape: Vec<u64>,
    /// One after the other, the last dimension fastest; NaN for nothing.
    pub numbers: Vec<f64>,
    /// Chunks that were looked at, and that hold the positions wished: fewer when all are too many. The rest has
    /// the value of the nearest that was read.
    pub chunks: (u64, u64),
}

/// The positions of one dimension in chunks.
struct Lane {
    /// For each position wished: which of `chunks`, and where in it.
    at: Vec<(u32, u32)>,
    /// Chunks along this dimension that are read.
    chunks: Vec<u64>,
    /// Chunks that hold the positions.
    wished: u64,
}

impl Lane {
    /// `most`: chunks to be read; the middle one of each group stands for the others.
    fn new(span: Span, chunk: u64, len: u64, most: u64) -> Self {
        let mut wished: Vec<u64> = (0..span.count).map(|i| span.position(i) / chunk).collect();
        wished.dedup();
        let group = (wished.len() as u64).div_ceil(most.max(1)).max(1);
        let chunks: Vec<u64> = wished.chunks(group as usize).map(|group| group[group.len() / 2]).collect();
        let mut order: HashMap<u64, u32> = HashMap::new();
        for (i, one) in wished.iter().enumerate() {
            order.insert(*one, (i as u64 / group) as u32);
        }
        let at = (0..span.count).map(|i| {
            let position = span.position(i);
            let slot = order.get(&(position / chunk)).copied().unwrap_or(0);
            let first = chunks[slot as usize] * chunk;
            let last = first.saturating_add(chunk - 1).min(len - 1);
            (slot, (position.clamp(first, last) - first) as u32)
        });
        Self { at: at.collect(), wished: wished.len() as u64, chunks: chunks.clone() }
    }
}

impl Array {
    /// Reads the positions wished of each dimension as decoded numbers.
    pub async fn read(&self, control: &Control, spans: &[Span], afford: Afford) -> Result<Values> {
        let Kinds::Numbers(item, fill) = self.0.kind else {
            return Err(Error::unsupported("its values are text, not numbers"));
        };
        let shape: Vec<u64> = spans.iter().map(|span| span.count).collect();
        let total = shape.iter().fold(1_u64, |n, side| n.saturating_mul(*side));
        if total > MOST_VALUES {
            let (total, most) = (text::count(total), text::count(MOST_VALUES));
            return Err(Error::new(Kind::Limit, format!("{total} values are too many at once: at most {most}")));
        }
        self.check(spans)?;
        if total == 0 {
            return Ok(Values { shape, numbers: Vec::new(), chunks: (0, 0) });
        }
        let plan = control.race(self.plan(control, spans, afford)).await?;
        let read = plan.reads.len() as u64;
        let encoding = self.0.encoding.clone();
        let missing = encoding.decode(fill);
        let mut numbers = vec![missing; total as usize];
        let lanes = Arc::new(plan.lanes);
        let pieces = futures::stream::iter(plan.reads).map(|slots| {
            let (inner, lanes, control) = (self.0.clone(), lanes.clone(), control.clone());
            async move {
                let chunk: Vec<u64> =
                    slots.iter().zip(lanes.iter()).map(|(s, lane)| lane.chunks[*s as usize]).collect();
                let decoded = inner.clone().chunk(&chunk, &control).await?;
                Ok::<_, Error>((slots, decoded))
            }
        });
        let mut pieces = pieces.buffer_unordered(AT_ONCE);
        while let Some((slots, decoded)) = control.race(pieces.try_next()).await? {
            if let Decoded::Fixed(bytes) = decoded {
                let (lanes, encoding, chunks) = (lanes.clone(), encoding.clone(), self.0.about.chunks.clone());
                numbers = control
                    .blocking(move |control| {
                        control.check()?;
                        place(&mut numbers, &bytes, item, &slots, &lanes, &chunks, &encoding);
                        Ok(numbers)
                    })
                    .await?;
            }
        }
        Ok(Values { shape, numbers, chunks: (read.min(plan.wished), plan.wished) })
    }

    /// Reads the text of a one-dimensional array, at most `most` of it.
    pub async fn read_text(&self, control: &Control, most: u64) -> Result<Vec<String>> {
        let [len] = self.0.about.shape[..] else { return Err(Error::usage("only lists of names are read as text")) };
        let chunk = self.0.about.chunks[0];
        let mut words = Vec::new();
        for at in 0..len.min(most).div_ceil(chunk) {
            let here = (len - at * chunk).min(chunk) as usize;
            match control.race(self.0.clone().chunk(&[at], control)).await? {
                Decoded::Text(found) => words.extend(found.iter().take(here).cloned()),
                Decoded::Fixed(bytes) => words.extend(utf32(&bytes, chunk).into_iter().take(here)),
                Decoded::Missing => words.extend(vec![String::new(); here]),
            }
        }
        words.truncate(most as usize);
        Ok(words)
    }

    fn check(&self, spans: &[Span]) -> Result<()> {
        let shape = &self.0.about.shape;
        let inside = |(span, len): (&Span, &u64)| {
            span.count <= span.len && span.start.checked_add(span.len).is_some_and(|end| end <= *len)
        };
        let fits = spans.len() == shape.len() && spans.iter().zip(shape).all(inside);
        if fits { Ok(()) } else { Err(Error::usage("there is no such part of the array")) }
    }

    /// Which chunks are read.
    async fn plan(&self, control: &Control, spans: &[Span], afford: Afford) -> Result<Plan> {
        let about = &self.0.about;
        let most = afford.chunks.min(MOST_CHUNKS).min(afford.bytes / self.0.chunk_bytes().max(1)).max(1);
        let lanes = |limits: &[u64]| -> Vec<Lane> {
            let dimensions = spans.iter().zip(&about.chunks).zip(&about.shape).zip(limits);
            dimensions.map(|(((span, chunk), len), most)| Lane::new(*span, *chunk, *len, *most)).collect()
        };
        let all = lanes(&vec![u64::MAX; spans.len()]);
        let wished = all.iter().fold(1_u64, |n, lane| n.saturating_mul(lane.wished));
        if wished > ASK_FIRST
            && let Some(keys) = self.known(control, &all).await
        {
            let reads = self.stored(&all, &keys, most);
            if let Some(reads) = reads {
                return Ok(Plan { lanes: all, reads, wished });
            }
        }
        if wished <= most {
            let reads = products(&all);
            return Ok(Plan { lanes: all, reads, wished });
        }
        if afford.chunks == u64::MAX {
            let (count, size) = (text::count(wished), text::bytes(wished.saturating_mul(self.0.chunk_bytes())));
            return Err(Error::new(Kind::Limit, format!("this needs {count} chunks of {size} together"))
                .with_hint("look at a smaller part"));
        }
        let fewer = lanes(&limits(&all, most));
        let reads = products(&fewer);
        Ok(Plan { lanes: fewer, reads, wished })
    }

    /// Those chunks wished whose objects exist, in their order; `None` where even these are too many.
    fn stored(&self, lanes: &[Lane], keys: &HashMap<String, u64>, most: u64) -> Option<Vec<Vec<u32>>> {
        let grid = self.0.about.grid_shape();
        let own: String = self.0.path.iter().flat_map(|name| [name.as_str(), "/"]).collect();
        let mut reads = Vec::new();
        for key in keys.keys() {
            let Some(object) = key.strip_prefix(&own).and_then(|name| index_of(name, &grid)) else { continue };
            // The places in each lane of the chunks that lie in this object: one, or those of a shard.
            let count = |at: usize| self.0.shards.as_ref().map_or(1, |shards| shards.counts[at]);
            let inside: Vec<Range<u32>> = lanes
                .iter()
                .zip(&object)
                .enumerate()
                .map(|(at, (lane, object))| {
                    let first = lane.chunks.partition_point(|chunk| chunk / count(at) < *object);
                    let end = lane.chunks.partition_point(|chunk| chunk / count(at) <= *object);
                    first as u32..end as u32
                })
                .collect();
            reads.extend(Products::new(inside));
            if reads.len() as u64 > most {
                return None;
            }
        }
        reads.sort_unstable();
        Some(reads)
    }

    /// The keys that exist where the chunks wished would lie, if a page or two of a listing tell of them.
    async fn known(&self, control: &Control, lanes: &[Lane]) -> Known {
        if !self.0.source.can_list() {
            return None;
        }
        let folder = self.folder(lanes);
        let lock = |inner: &Inner| inner.known.lock().unwrap_or_else(PoisonError::into_inner).get(&folder).cloned();
        if let Some(known) = lock(&self.0) {
            return known;
        }
        let found = match control.race(self.listed(&folder)).await {
            Ok(found) => found.map(Arc::new),
            // A folder that is not there holds nothing.
            Err(err) if err.kind() == Kind::NotFound => Some(Arc::default()),
            Err(_) => None,
        };
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).insert(folder, found.clone());
        found
    }

    /// The folder below which all chunks wished lie: the leading dimensions that have one chunk each.
    fn folder(&self, lanes: &[Lane]) -> String {
        let first: Vec<u64> = lanes.iter().map(|lane| lane.chunks.first().copied().unwrap_or(0)).collect();
        let object: Vec<u64> = match &self.0.shards {
            Some(shards) => first.iter().zip(&shards.counts).map(|(at, count)| at / count).collect(),
            None => first,
        };
        let key = self.0.key(&object);
        let single = lanes.iter().take_while(|lane| lane.chunks.len() == 1).count().min(lanes.len().saturating_sub(1));
        // From the end, as many parts are left out as dimensions have several chunks.
        let mut end = key.len();
        for _ in 0..lanes.len() - single {
            end = key[..end].rfind('/').unwrap_or(0);
        }
        let own: String = self.0.path.iter().flat_map(|name| [name.as_str(), "/"]).collect();
        if end >= own.len() && end > 0 { format!("{}/", &key[..end]) } else { own }
    }

    async fn listed(&self, folder: &str) -> Result<Option<HashMap<String, u64>>> {
        let mut pages = self.0.source.list(folder);
        let mut keys = HashMap::new();
        while let Some(page) = pages.next().await {
            keys.extend(page?.into_iter().map(|(name, size)| (format!("{folder}{name}"), size)));
            if keys.len() > LISTED && !self.0.source.lists_for_free() {
                return Ok(None);
            }
        }
        Ok(Some(keys))
    }
}

struct Plan {
    lanes: Vec<Lane>,
    /// For each chunk to be read its place in the lanes.
    reads: Vec<Vec<u32>>,
    wished: u64,
}

/// How many chunks may be read along each dimension, so that all are at most `most`.
fn limits(lanes: &[Lane], most: u64) -> Vec<u64> {
    let mut limits: Vec<u64> = lanes.iter().map(|lane| lane.wished).collect();
    while limits.iter().fold(1_u64, |n, side| n.saturating_mul(*side)) > most {
        // The longest is thinned first, so that what is read is spread evenly.
        let Some(longest) = limits.iter_mut().max() else { break };
        *longest = longest.div_ceil(2).max(1);
    }
    limits
}

/// All places in some ranges, the last fastest.
struct Products {
    ranges: Vec<Range<u32>>,
    next: Option<Vec<u32>>,
}

impl Products {
    fn new(ranges: Vec<Range<u32>>) -> Self {
        let some = ranges.iter().all(|range| !range.is_empty());
        Self { next: some.then(|| ranges.iter().map(|range| range.start).collect()), ranges }
    }
}

impl Iterator for Products {
    type Item = Vec<u32>;

    fn next(&mut self) -> Option<Vec<u32>> {
        let now = self.next.take()?;
        let mut next = now.clone();
        for (slot, range) in next.iter_mut().zip(&self.ranges).rev() {
            *slot += 1;
            if *slot < range.end {
                self.next = Some(next);
                break;
            }
            *slot = range.start;
        }
        Some(now)
    }
}

fn products(lanes: &[Lane]) -> Vec<Vec<u32>> {
    Products::new(lanes.iter().map(|lane| 0..lane.chunks.len() as u32).collect()).collect()
}

/// Puts the values of one chunk, which is at `slots` in the lanes, where they are wished.
fn place(
    out: &mut [f64],
    bytes: &[u8],
    item: Item,
    slots: &[u32],
    lanes: &[Lane],
    chunk: &[u64],
    encoding: &super::cf::Encoding,
) {
    let plain = encoding.is_plain();
    // For each dimension the positions that lie in this chunk, as (offset in the result, offset in the chunk).
    let (mut wide, mut deep) = (1, 1);
    let mut offsets: Vec<Vec<(usize, usize)>> = Vec::with_capacity(lanes.len());
    for ((lane, slot), side) in lanes.iter().zip(slots).zip(chunk).rev() {
        let here = lane.at.iter().enumerate().filter(|(_, (s, _))| s == slot);
        offsets.push(here.map(|(i, (_, at))| (i * wide, *at as usize * deep)).collect());
        wide *= lane.at.len();
        deep *= *side as usize;
    }
    offsets.reverse();
    let Some((last, leading)) = offsets.split_last() else {
        if let Some(first) = out.first_mut() {
            *first = encoding.decode(item.at(bytes, 0));
        }
        return;
    };
    let mut counter = vec![0; leading.len()];
    if leading.iter().any(Vec::is_empty) {
        return;
    }
    loop {
        let (to, from) = counter.iter().zip(leading).fold((0, 0), |(to, from), (i, lane): (&usize, _)| {
            let (a, b): (usize, usize) = lane[*i];
            (to + a, from + b)
        });
        for (a, b) in last {
            let stored = item.at(bytes, from + b);
            out[to + a] = if plain { stored } else { encoding.decode(stored) };
        }
        let mut done = true;
        for (i, lane) in counter.iter_mut().zip(leading).rev() {
            *i += 1;
            if *i < lane.len() {
                done = false;
                break;
            }
            *i = 0;
        }
        if done {
            return;
        }
    }
}

/// Text of fixed length as `NumPy` keeps it: so many code points of 32 bits each.
fn utf32(bytes: &[u8], count: u64) -> Vec<String> {
    let width = bytes.len() / (count.max(1) as usize);
    if width == 0 {
        return Vec::new();
    }
    let letter = |b: &[u8]| b.try_into().ok().map(u32::from_ne_bytes).filter(|n| *n > 0).and_then(char::from_u32);
    bytes.chunks_exact(width).map(|word| word.chunks_exact(4).filter_map(letter).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_spread_and_never_beyond_the_end() {
        for (len, most) in [(10, 10), (10, 3), (7, 2), (1, 1), (1_000_003, 512), (5, 0)] {
            let span = Span::at_most(100, len, most);
            assert!(span.count <= most.max(1) && span.count > 0, "{len} {most}: {span:?}");
            assert!(span.position(span.count - 1) < 100 + len, "{len} {most}: {span:?}");
        }
        let three: Vec<u64> = (0..3).map(|i| Span::at_most(0, 9, 3).position(i)).collect();
        assert_eq!(three, [1, 4, 7]);
        assert!((0..100).all(|i| Span::all(100).position(i) == i));
        assert_eq!(Span::at_most(0, u64::MAX, 2).position(1), u64::MAX / 4 * 3 + 2);
    }

    #[test]
    fn the_middle_of_a_group_of_chunks_stands_for_it() {
        let lane = Lane::new(Span::all(100), 10, 95 + 5, 3);
        assert_eq!((lane.wished, lane.chunks.clone()), (10, vec![2, 6, 9]));
        assert_eq!(lane.at[0], (0, 0), "the edge of what was read");
        assert_eq!(lane.at[25], (0, 5));
        assert_eq!(lane.at[39], (0, 9));
        assert_eq!(lane.at[99], (2, 9));
    }

    #[test]
    fn places_are_counted_like_digits() {
        assert_eq!(
            Products::new(vec![1..3, 5..6, 0..2]).collect::<Vec<_>>(),
            [[1, 5, 0], [1, 5, 1], [2, 5, 0], [2, 5, 1]]
        );
        assert_eq!(Products::new(vec![0..2, 1..1]).count(), 0);
        assert_eq!(Products::new(Vec::new()).collect::<Vec<_>>(), [Vec::<u32>::new()], "the one value of a scalar");
    }

    #[test]
    fn the_longest_side_is_thinned_first() {
        let lanes = [Lane::new(Span::all(4), 1, 4, u64::MAX), Lane::new(Span::all(100), 1, 100, u64::MAX)];
        let limits = limits(&lanes, 40);
        assert_eq!(limits, [4, 7]);
    }
}
