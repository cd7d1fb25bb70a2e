//! The directories of a TIFF, as far as its bytes are at hand: TIFF 6.0 and `BigTIFF`, of both byte orders.
//!
//! Whoever looks gives a function that hands out ranges, or nothing where they are not at hand: so a report reads the
//! whole file, and what is asked ahead ([`super::ahead`]) only what its first request brought. Nothing is allocated by
//! what a header claims, nothing is read but what is asked for: values of a tag stay where they are until one of them
//! is wanted. The crate `async-tiff` does neither (0.3.0: it fetches all values of all tags, allocates by their count
//! and panics on types that it does not know).

use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;

/// Directories of a file that are looked at.
const MOST_DIRECTORIES: usize = 256;
/// Entries of a directory.
const MOST_ENTRIES: u64 = 4096;

/// One image of a TIFF.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Directory {
    /// What it is.
    pub kind: DirectoryKind,
    /// Pixels across and down.
    pub size: (u64, u64),
    /// Pixels across and down of a tile or strip.
    pub block: (u64, u64),
    /// Whether it is made of tiles.
    pub tiled: bool,
    /// Name of the codec: `DEFLATE`.
    pub codec: String,
    /// What is done before it is packed: 1 nothing, 2 differences, 3 of floating-point values.
    pub predictor: u64,
    /// Bits of a value, and of how many there are.
    pub bits: u64,
    /// Values of a pixel.
    pub samples: u64,
    /// Whether values of a pixel lie together.
    pub interleaved: bool,
    /// Where the directory begins.
    pub offset: u64,
    /// Where its first block begins; `None` where there is none, or it was not looked at.
    pub data: Option<u64>,
    /// Tiles or strips.
    pub blocks: u64,
}

/// What an image of a TIFF is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectoryKind {
    /// The raster itself, or a further page.
    #[default]
    Main,
    /// The same with fewer pixels.
    Overview,
    /// A mask of the raster.
    Mask,
    /// A mask with fewer pixels.
    MaskOverview,
}

impl DirectoryKind {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "image",
            Self::Overview => "overview",
            Self::Mask => "mask",
            Self::MaskOverview => "mask overview",
        }
    }
}

/// Reads numbers of a file in its byte order. `get` gives a range, or nothing where it is not at hand.
pub(super) struct Tiff<'a> {
    get: &'a mut dyn FnMut(Range<u64>) -> Option<Bytes>,
    /// Whether numbers begin with what weighs least.
    pub(super) little: bool,
    /// Whether offsets are of 64 bits.
    pub(super) big: bool,
    /// Where the first directory is.
    first: u64,
}

/// An entry of a directory: how many values, and the bytes that hold them or say where they are.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Bytes of a value.
    width: u64,
    /// Values.
    pub(super) count: u64,
    inline: Bytes,
}

/// A directory with all of its entries.
pub(super) struct Image {
    pub(super) directory: Directory,
    /// By tag.
    pub(super) entries: BTreeMap<u64, Entry>,
    /// Whether it was to be seen where its first block is.
    pub(super) first_known: bool,
}

/// Why the row of directories ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There are no more, or more than anybody looks at.
    Whole,
    /// One leads back to another.
    Circle,
    /// The next is not at hand, or is none.
    Missing,
}

/// Tags: where blocks are, and how many bytes each has; of tiles and of strips.
pub(super) const TILE_OFFSETS: u64 = 324;
pub(super) const TILE_SIZES: u64 = 325;
const STRIP_OFFSETS: u64 = 273;

impl<'a> Tiff<'a> {
    /// What begins as a TIFF.
    pub(super) fn new(get: &'a mut dyn FnMut(Range<u64>) -> Option<Bytes>) -> Option<Self> {
        let head = get(0..16)?;
        let little = match head.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let mut tiff = Self { get, little, big: false, first: 0 };
        tiff.first = match tiff.number(head.get(2..4)?) {
            42 => tiff.number(head.get(4..8)?),
            43 => {
                tiff.big = true;
                tiff.number(head.get(8..16)?)
            }
            _ => return None,
        };
        Some(tiff)
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let fold = |n: u64, b: &u8| n << 8 | u64::from(*b);
        if self.little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) }
    }

    /// A range of the file, if all of it is at hand.
    pub(super) fn bytes(&mut self, range: Range<u64>) -> Option<Bytes> {
        let length = range.end.checked_sub(range.start)?;
        (self.get)(range).filter(|bytes| bytes.len() as u64 == length)
    }

    fn at(&mut self, offset: u64, length: u64) -> Option<u64> {
        let bytes = self.bytes(offset..offset.checked_add(length)?)?;
        Some(self.number(&bytes))
    }

    /// Bytes of a count, an entry, an offset.
    fn widths(&self) -> (u64, u64, u64) {
        if self.big { (8, 20, 8) } else { (2, 12, 4) }
    }

    /// All directories that are at hand, in their order.
    pub(super) fn images(&mut self) -> (Vec<Image>, End) {
        let mut images: Vec<Image> = Vec::new();
        let mut next = self.first;
        while next != 0 && images.len() < MOST_DIRECTORIES {
            if images.iter().any(|image| image.directory.offset == next) {
                return (images, End::Circle);
            }
            let Some((image, following)) = self.image(next) else { return (images, End::Missing) };
            images.push(image);
            next = following;
        }
        (images, End::Whole)
    }

    fn image(&mut self, offset: u64) -> Option<(Image, u64)> {
        let (count_width, entry_width, offset_width) = self.widths();
        let count = self.at(offset, count_width)?;
        if count == 0 || count > MOST_ENTRIES {
            return None;
        }
        let start = offset.checked_add(count_width)?;
        let end = start.checked_add(count * entry_width)?;
        let table = self.bytes(start..end.checked_add(offset_width)?)?;
        let values = if self.big { 12 } else { 8 };
        let mut entries = BTreeMap::new();
        for at in (0..(count * entry_width) as usize).step_by(entry_width as usize) {
            let raw = table.slice(at..at + entry_width as usize);
            let width = match self.number(&raw[2..4]) {
                3 | 8 => 2,
                4 | 9 | 13 => 4,
                16..=18 => 8,
                _ => 1,
            };
            let entry = Entry { width, count: self.number(&raw[4..values]), inline: raw.slice(values..) };
            entries.insert(self.number(&raw[..2]), entry);
        }
        let next = self.number(table.get((count * entry_width) as usize..)?);
        let (directory, first_known) = self.described(offset, &entries);
        Some((Image { directory, entries, first_known }, next))
    }

    /// What the entries of a directory say, and whether it was to be seen where its first block is.
    fn described(&mut self, offset: u64, entries: &BTreeMap<u64, Entry>) -> (Directory, bool) {
        let inline = |tag: u64| {
            let entry = entries.get(&tag)?;
            entry.inline.get(..entry.width as usize).map(|bytes| self.number(bytes))
        };
        let size = (inline(256).unwrap_or(0), inline(257).unwrap_or(0));
        let tile = inline(322).map(|width| (width, inline(323).unwrap_or(0)));
        let subfile = inline(254).unwrap_or(0);
        let mut out = Directory {
            kind: match (subfile & 1 != 0, subfile & 4 != 0) {
                (false, false) => DirectoryKind::Main,
                (true, false) => DirectoryKind::Overview,
                (false, true) => DirectoryKind::Mask,
                (true, true) => DirectoryKind::MaskOverview,
            },
            size,
            block: tile.unwrap_or_else(|| (size.0, inline(278).unwrap_or(size.1).min(size.1))),
            tiled: tile.is_some(),
            codec: codec(inline(259).unwrap_or(1)),
            predictor: inline(317).unwrap_or(1),
            samples: inline(277).unwrap_or(1),
            interleaved: inline(284) != Some(2),
            offset,
            ..Directory::default()
        };
        out.bits = entries.get(&258).and_then(|bits| self.value(bits, 0)).unwrap_or(0);
        let Some(blocks) = entries.get(&TILE_OFFSETS).or_else(|| entries.get(&STRIP_OFFSETS)) else {
            return (out, true);
        };
        out.blocks = blocks.count;
        let first = self.value(blocks, 0);
        // 0 stands for a block that is not stored.
        out.data = first.filter(|&at| at != 0);
        (out, first.is_some())
    }

    /// One of an entry's values, counted from 0.
    pub(super) fn value(&mut self, entry: &Entry, index: u64) -> Option<u64> {
        let start = index.checked_mul(entry.width).filter(|_| index < entry.count)?;
        if entry.count.checked_mul(entry.width)? <= self.widths().2 {
            let start = start as usize;
            return entry.inline.get(start..start + entry.width as usize).map(|bytes| self.number(bytes));
        }
        let at = self.number(&entry.inline);
        self.at(at.checked_add(start)?, entry.width)
    }

    /// All bytes of an entry, as they are: of a text.
    pub(super) fn raw(&mut self, entry: &Entry) -> Option<Bytes> {
        let length = entry.count.checked_mul(entry.width)?;
        if length <= self.widths().2 {
            return Some(entry.inline.slice(..length as usize));
        }
        let at = self.number(&entry.inline);
        self.bytes(at..at.checked_add(length)?)
    }
}

/// Registered numbers of the tag Compression.
fn codec(number: u64) -> String {
    let name = match number {
        1 => "none",
        2..=4 => "CCITT",
        5 => "LZW",
        6 | 7 => "JPEG",
        8 | 32_946 => "DEFLATE",
        32_773 => "PackBits",
        34_712 => "JPEG 2000",
        34_887 => "LERC",
        34_925 => "LZMA",
        50_000 => "ZSTD",
        50_001 => "WebP",
        50_002 | 52_546 => "JPEG XL",
        other => return format!("codec {other}"),
    };
    name.to_owned()
}
