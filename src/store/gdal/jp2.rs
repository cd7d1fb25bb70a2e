//! The bytes of a JPEG 2000 that a picture of it needs, asked for at once.
//!
//! `OpenJPEG` finds a tile by going from one to the next, and reads all of it, for the smallest overview too: of a
//! Sentinel-2 band 110 MB for 700 pixels, in hundreds of requests one after the other. But tiles tell the lengths of
//! their packets (PLT), and where packets are in the order of their resolution, the coarse ones come first. So the
//! places of all tiles are found, from TLM at once, else from one to the next; of each the packets up to the
//! resolution wished are fetched, side by side; and what lies behind them reads as zeros, which are packets without
//! anything in them, and of which `OpenJPEG` makes no use at this resolution.
//!
//! Format: ISO/IEC 15444-1, annex A (markers), B.6 to B.12 (precincts, packets, progression).

use super::remote::{Known, Remote};
use crate::error::{Error, Kind, Result};
use futures::stream::{StreamExt as _, TryStreamExt as _};
use std::ops::Range;
use std::sync::Arc;

/// Tiles of an image whose places are looked for.
const MOST_TILES: usize = 4096;

/// Bytes of a tile that are fetched to begin with: its header, and in it the packets of the coarsest resolutions.
const START: u64 = 16 << 10;

/// Requests that are under way at once.
const PARALLEL: usize = 24;

/// What is read of whole tiles beforehand: as much as is surely kept.
const MOST_WHOLE: u64 = 32 << 20;

const SOC_SIZ: &[u8] = b"\xff\x4f\xff\x51";
const SOT: u16 = 0xff90;
const SOD: u16 = 0xff93;
const COD: u16 = 0xff52;
const COC: u16 = 0xff53;
const TLM: u16 = 0xff55;
const PLT: u16 = 0xff58;
const POC: u16 = 0xff5f;
const PPM: u16 = 0xff60;
const PPT: u16 = 0xff61;

/// What is wished of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// How often width and height are halved, at most.
    pub(crate) halved: u32,
    /// The part of it, in pixels of the whole: x, y, across, down.
    pub(crate) window: [u64; 4],
    /// Only of an image of so many pixels.
    pub(crate) size: (u64, u64),
}

/// The main header.
#[derive(Debug, Default, PartialEq)]
struct Header {
    /// Of the image, of the first tile, and the size of tiles: x, y.
    size: [u64; 2],
    origin: [u64; 2],
    tile_origin: [u64; 2],
    tile: [u64; 2],
    components: u64,
    levels: u32,
    /// Exponents of the precincts of each resolution, the coarsest first: x, y.
    precincts: Vec<[u32; 2]>,
    /// Packets for each precinct.
    layers: u64,
    /// Whether packets are in the order of their resolution, so that the first make a coarse picture.
    coarse_first: bool,
    /// Where the first tile begins, and the lengths of all, if they are told.
    first: u64,
    lengths: Vec<u64>,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes).map(u64::from)
}

impl Header {
    /// Reads it; `None` where it is not whole, or says what is not known here.
    fn read(head: &[u8]) -> Option<Self> {
        let start = memchr::memmem::find(head, SOC_SIZ)?;
        let mut header = Self::default();
        let mut at = start + 2;
        let mut told: Vec<(u8, Vec<u64>)> = Vec::new();
        loop {
            let (marker, length) = (u16_at(head, at)?, usize::from(u16_at(head, at + 2)?));
            let body = head.get(at + 4..at + 2 + length);
            match marker {
                SOT => break,
                0xff51 => header.sizes(body?)?,
                COD => header.coding(body?)?,
                TLM => told.push((*body?.first()?, lengths(body?)?)),
                COC | POC | PPM => return None,
                _ => {}
            }
            at += 2 + length;
        }
        header.first = at as u64;
        told.sort_by_key(|(number, _)| *number);
        header.lengths = told.into_iter().flat_map(|(_, lengths)| lengths).collect();
        let [x, y] = header.tiles();
        (!header.precincts.is_empty() && x.checked_mul(y)? <= MOST_TILES as u64).then_some(header)
    }

    fn sizes(&mut self, body: &[u8]) -> Option<()> {
        let pair = |at: usize| Some([u32_at(body, at)?, u32_at(body, at + 4)?]);
        (self.size, self.origin) = (pair(2)?, pair(10)?);
        (self.tile, self.tile_origin) = (pair(18)?, pair(26)?);
        self.components = u16_at(body, 34)?.into();
        let subsampled = (0..self.components as usize).any(|c| body.get(37 + c * 3..39 + c * 3) != Some(&[1, 1]));
        let sound = self.tile.iter().all(|&n| n > 0) && (0..2).all(|i| self.tile_origin[i] <= self.origin[i]);
        (sound && !subsampled).then_some(())
    }

    fn coding(&mut self, body: &[u8]) -> Option<()> {
        let (style, order) = (*body.first()?, *body.get(1)?);
        self.layers = u16_at(body, 2)?.into();
        self.levels = (*body.get(5)?).into();
        // LRCP with one layer, RLCP, RPCL.
        self.coarse_first = matches!((order, self.layers), (0, 1) | (1 | 2, _));
        let exponents = |byte: &u8| [u32::from(byte & 15), u32::from(byte >> 4)];
        self.precincts = if style & 1 == 0 {
            vec![[15, 15]; self.levels as usize + 1]
        } else {
            body.get(10..11 + self.levels as usize)?.iter().map(exponents).collect()
        };
        (self.levels <= 32).then_some(())
    }

    /// Tiles across and down.
    fn tiles(&self) -> [u64; 2] {
        [0, 1].map(|i| self.size[i].saturating_sub(self.tile_origin[i]).div_ceil(self.tile[i].max(1)))
    }

    /// Where a tile begins and ends, x and y.
    fn bounds(&self, tile: u64) -> [Range<u64>; 2] {
        let across = self.tiles()[0].max(1);
        let place = [tile % across, tile / across];
        [0, 1].map(|i| {
            let start = self.tile_origin[i] + place[i] * self.tile[i];
            start.max(self.origin[i])..(start + self.tile[i]).min(self.size[i])
        })
    }

    /// Packets of a tile that are needed for it, halved so often.
    fn packets(&self, tile: u64, halved: u32) -> u64 {
        let bounds = self.bounds(tile);
        let finest = self.levels.saturating_sub(halved);
        let of_resolution = |resolution: u32| {
            let precincts: u64 = [0, 1]
                .map(|i| {
                    let halve = |n: u64| n.div_ceil(1 << (self.levels - resolution));
                    let (start, end) = (halve(bounds[i].start), halve(bounds[i].end));
                    let power = 1_u64 << self.precincts[resolution as usize][i];
                    if end > start { end.div_ceil(power) - start / power } else { 0 }
                })
                .iter()
                .product();
            precincts * self.components * self.layers
        };
        (0..=finest).map(of_resolution).sum()
    }
}

/// The lengths of tile-parts from a TLM segment.
fn lengths(body: &[u8]) -> Option<Vec<u64>> {
    let kinds = *body.get(1)?;
    let index = usize::from(kinds >> 4 & 3);
    let wide = kinds >> 6 & 1 == 1;
    let entry = index + if wide { 4 } else { 2 };
    let length = |entry: &[u8]| if wide { u32_at(entry, index) } else { u16_at(entry, index).map(u64::from) };
    (index < 3).then(|| body[2..].chunks_exact(entry).map(length).collect()).flatten()
}

/// A tile that is stored in one piece.
#[derive(Clone, Debug, PartialEq)]
struct Tile {
    number: u64,
    range: Range<u64>,
}

/// The tile-part that begins with these bytes, at `at` in a file of so many bytes. `None` where it is none; a tile in
/// several parts is no tile.
fn tile_part(bytes: &[u8], at: u64, size: u64) -> Option<(Range<u64>, Option<u64>)> {
    let length = u32_at(bytes, 6).filter(|_| u16_at(bytes, 0) == Some(SOT) && u16_at(bytes, 2) == Some(10))?;
    let end = if length == 0 { size } else { at.checked_add(length).filter(|&end| end <= size && length >= 14)? };
    let is_whole = bytes.get(10..12)? == [0, 1];
    Some((at..end, is_whole.then_some(u16_at(bytes, 4)?.into())))
}

/// Bytes from the start of a tile up to the end of its first packets, so many of them; from its first bytes.
fn prefix(bytes: &[u8], packets: u64) -> Option<u64> {
    let mut at = 12;
    let mut told: Vec<(u8, &[u8])> = Vec::new();
    loop {
        let marker = u16_at(bytes, at)?;
        if marker == SOD {
            break;
        }
        let length = usize::from(u16_at(bytes, at + 2)?);
        let body = bytes.get(at + 4..at + 2 + length)?;
        match marker {
            PLT => told.push((*body.first()?, &body[1..])),
            COD | COC | POC | PPT => return None,
            _ => {}
        }
        at += 2 + length;
    }
    told.sort_by_key(|(number, _)| *number);
    let (mut end, mut count, mut length) = (at as u64 + 2, 0, 0_u64);
    for byte in told.iter().flat_map(|(_, body)| body.iter()) {
        if count == packets {
            break;
        }
        length = length.checked_mul(128)? + u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            (end, count, length) = (end.checked_add(length)?, count + 1, 0);
        }
    }
    (count == packets).then_some(end)
}

/// Where the tiles of an image are, once somebody looked.
#[derive(Debug)]
pub(super) struct Index {
    header: Header,
    tiles: Vec<Tile>,
}

impl Index {
    /// `None` for what is no JPEG 2000 of the usual kind.
    async fn find(remote: &Remote, known: &Known) -> Result<Option<Self>> {
        let Some(header) = Header::read(&known.head) else { return Ok(None) };
        let tiles = if header.lengths.is_empty() {
            Self::walk(remote, known, &header).await?
        } else {
            Self::told(remote, known, &header).await?
        };
        Ok(tiles.map(|tiles| Self { header, tiles }))
    }

    async fn told(remote: &Remote, known: &Known, header: &Header) -> Result<Option<Vec<Tile>>> {
        let mut at = header.first;
        let mut starts = Vec::new();
        for length in header.lengths.iter().take(MOST_TILES) {
            starts.push(at);
            at = at.saturating_add(*length);
        }
        let looks = starts.into_iter().filter(|&at| at < known.size).map(|at| async move {
            let bytes = remote.part(known, at..known.size.min(at + START)).await?;
            Ok::<_, Error>(tile_part(&bytes, at, known.size))
        });
        let found: Vec<_> = futures::stream::iter(looks).buffered(PARALLEL).try_collect().await?;
        let Some(parts) = found.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
        Ok(Some(parts.into_iter().filter_map(|(range, number)| Some(Tile { number: number?, range })).collect()))
    }

    async fn walk(remote: &Remote, known: &Known, header: &Header) -> Result<Option<Vec<Tile>>> {
        let [across, down] = header.tiles();
        let (mut tiles, mut at) = (Vec::new(), header.first);
        // Tiles in parts are more than tiles: their places are of no use, but they are stepped over.
        for _ in 0..across * down {
            if at + 12 > known.size {
                break;
            }
            let bytes = remote.part(known, at..known.size.min(at + START)).await?;
            let Some((range, number)) = tile_part(&bytes, at, known.size) else { break };
            at = range.end;
            tiles.extend(number.map(|number| Tile { number, range }));
        }
        Ok(Some(tiles))
    }
}

/// Fetches what is needed for the wish; the ranges that may be read as zeros until the next.
pub(super) async fn fetch(remote: &Arc<Remote>, known: &Known, wish: Wish) -> Result<Vec<Range<u64>>> {
    // What is told by the head alone: without lengths of packets, going from tile to tile is of no use.
    let Some(header) = Header::read(&known.head).filter(|h| (h.size[0], h.size[1]) == wish.size) else {
        return Ok(Vec::new());
    };
    let first = remote.part(known, header.first..known.size.min(header.first + START)).await?;
    let is_told = header.coarse_first && prefix(&first, header.packets(0, u32::MAX)).is_some();
    if !is_told {
        // Refused before megabytes of it were read.
        let share = wish.window[2] as f64 * wish.window[3] as f64 / (wish.size.0 as f64 * wish.size.1 as f64);
        let (needs, limit) = ((known.size as f64 * share.min(1.0)) as u64, remote.session.limit());
        if needs > limit {
            let (needs, limit) = (crate::text::bytes(needs), crate::text::bytes(limit));
            let why = "a coarse picture of it takes all of its bytes, as it does not tell the lengths of its packets";
            return Err(Error::new(Kind::Limit, format!("{why}: {needs}, and the limit is {limit}"))
                .with_hint("convert it to a cloud-optimised GeoTIFF"));
        }
        if known.size <= MOST_WHOLE {
            remote.fetch_whole(known).await?;
        }
        return Ok(Vec::new());
    }
    let index = match remote.index() {
        Some(index) => index,
        None => match Index::find(remote, known).await? {
            Some(index) => remote.keep_index(index),
            None => return Ok(Vec::new()),
        },
    };
    let [x, y, width, height] = wish.window;
    let wanted = |tile: &&Tile| {
        let [across, down] = index.header.bounds(tile.number);
        across.start < x + width && across.end > x && down.start < y + height && down.end > y
    };
    let tiles: Vec<&Tile> = index.tiles.iter().filter(wanted).collect();
    let whole: u64 = tiles.iter().map(|tile| tile.range.end - tile.range.start).sum();
    if wish.halved == 0 && whole > MOST_WHOLE {
        return Ok(Vec::new());
    }
    let fetches = tiles.into_iter().map(|tile| {
        let header = &index.header;
        async move {
            let range = tile.range.clone();
            let start = remote.part(known, range.start..range.end.min(range.start + START)).await?;
            let packets = header.packets(tile.number, wish.halved);
            let end = if wish.halved == 0 { None } else { prefix(&start, packets) };
            let end = end.map_or(range.end, |length| (range.start + length).min(range.end));
            let have = range.start + start.len() as u64;
            if end > have {
                remote.part(known, have..end).await?;
            }
            Ok::<_, Error>(end.max(have)..range.end)
        }
    });
    let rest: Vec<Range<u64>> = futures::stream::iter(fetches).buffered(PARALLEL).try_collect().await?;
    let mut rest: Vec<Range<u64>> = rest.into_iter().filter(|range| !range.is_empty()).collect();
    rest.sort_by_key(|range| range.start);
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            size: [10_980; 2],
            tile: [1024; 2],
            components: 1,
            levels: 4,
            precincts: vec![[8, 8]; 5],
            layers: 1,
            coarse_first: true,
            ..Header::default()
        }
    }

    #[test]
    fn packets_are_counted_as_in_a_band_of_sentinel_2() {
        // Of a whole tile: 1, 1, 1, 4 and 16 precincts of 256 × 256.
        let of = |halved| header().packets(0, halved);
        assert_eq!([4, 3, 2, 1, 0].map(of), [1, 2, 3, 7, 23]);
        assert_eq!(of(9), 1, "it is not halved more often than it has resolutions");
        // The last tile has 740 × 740 pixels.
        assert_eq!(header().packets(120, 0), 1 + 1 + 1 + 4 + 9);
        assert_eq!(header().tiles(), [11, 11]);
        assert_eq!(header().bounds(12), [1024..2048, 1024..2048]);
    }

    #[test]
    fn lengths_of_packets_are_added_up() {
        let mut bytes = vec![0xff, 0x90, 0, 10, 0, 3, 0, 0, 1, 0, 0, 1];
        // Lengths 5, 300, 7 in two segments, the second first; 300 goes over the seam.
        bytes.extend([0xff, 0x58, 0, 5, 1, 0x2c, 7]);
        bytes.extend([0xff, 0x58, 0, 5, 0, 5, 0x82]);
        bytes.extend([0xff, 0x93]);
        let data = bytes.len() as u64;
        assert_eq!([0, 1, 2, 3].map(|n| prefix(&bytes, n)), [0, 5, 305, 312].map(|n| Some(data + n)));
        assert_eq!(prefix(&bytes, 4), None);
        assert_eq!(tile_part(&bytes, 1000, 9999), Some((1000..1256, Some(3))));
        assert_eq!(tile_part(&bytes, 1000, 1100), None, "it is cut off");
        assert!((0..bytes.len()).all(|cut| prefix(&bytes[..cut], 1).is_none()));
    }

    #[test]
    fn lengths_of_tiles_are_read() {
        assert_eq!(lengths(&[0, 0x60, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 2, 0]), Some(vec![256, 512]));
        assert_eq!(lengths(&[0, 0x10, 0, 1, 0, 1, 2, 0]), Some(vec![256, 512]));
        assert_eq!(lengths(&[0, 0x30, 0]), None);
    }
}
