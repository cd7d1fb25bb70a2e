//! Headers of pages, and where the pages of a column chunk lie: from the offset index, or learned from header
//! to header. <https://parquet.apache.org/docs/file-format/data-pages/>

use super::thrift::Reader;
use crate::error::{Error, Result};
use std::ops::Range;

/// No writer makes pages of more than this unpacked; a header that claims it is wrong.
const MOST_UNPACKED: u64 = 512 << 20;

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Index,
    Dictionary,
    DataV2,
}

/// The header of a page.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Bytes that the header takes itself.
    pub(super) length: u64,
    /// Bytes of the page that follow it.
    pub(super) packed: u64,
    pub(super) unpacked: u64,
    /// Values (nulls included) of a data page, entries of a dictionary.
    pub(super) values: u64,
    /// Number of the encoding in Parquet's enumeration.
    pub(super) encoding: i64,
    pub(super) sorted: bool,
}

impl Header {
    /// Reads the header that `bytes` start with; `None` where they are too few, or none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let (mut kind, mut packed, mut unpacked) = (None, None, None);
        let (mut values, mut encoding, mut sorted) = (None, None, false);
        reader.structure(|r, field| {
            match field.id {
                1 => kind = Some(r.integer()?),
                2 => unpacked = Some(r.count()?),
                3 => packed = Some(r.count()?),
                // Data page, dictionary page, data page of the second version.
                5 | 7 => r.structure(|r, inner| {
                    match inner.id {
                        1 => values = Some(r.count()?),
                        2 => encoding = Some(r.integer()?),
                        3 if field.id == 7 => sorted = inner.kind == 1,
                        _ => return Some(false),
                    }
                    Some(true)
                })?,
                8 => r.structure(|r, inner| {
                    match inner.id {
                        1 => values = Some(r.count()?),
                        4 => encoding = Some(r.integer()?),
                        _ => return Some(false),
                    }
                    Some(true)
                })?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        let kind = match kind? {
            0 => Kind::Data,
            1 => Kind::Index,
            2 => Kind::Dictionary,
            3 => Kind::DataV2,
            _ => return None,
        };
        Some(Self {
            kind,
            length: reader.position() as u64,
            packed: packed?,
            unpacked: unpacked?,
            values: values.unwrap_or(0),
            encoding: encoding.unwrap_or(0),
            sorted,
        })
    }

    /// Bytes of header and page.
    pub(super) fn whole(&self) -> u64 {
        self.length + self.packed
    }

    /// Whether its values are places in the dictionary: `PLAIN_DICTIONARY`, `RLE_DICTIONARY`.
    pub(super) fn is_by_dictionary(&self) -> bool {
        matches!(self.encoding, 2 | 8)
    }

    /// Whether it is a page of data.
    pub(super) fn is_data(&self) -> bool {
        matches!(self.kind, Kind::Data | Kind::DataV2)
    }

    /// Refuses what would have the decoder make room for things that cannot be there. `narrowest`: bytes
    /// that an entry of a dictionary takes at least.
    pub(super) fn check(&self, left: u64, narrowest: u64) -> Result<()> {
        let wrong = |what: String| Err(Error::invalid(format!("a page of it is corrupt: {what}")));
        if self.whole() > left {
            return wrong(format!("it claims {} bytes where {left} are left", self.whole()));
        }
        if self.unpacked > MOST_UNPACKED {
            return wrong(format!("it claims to unpack to {}", crate::text::bytes(self.unpacked)));
        }
        if self.kind == Kind::Dictionary && self.values.saturating_mul(narrowest) > self.unpacked {
            return wrong(format!("its dictionary claims {} entries in {} bytes", self.values, self.unpacked));
        }
        Ok(())
    }
}

/// A data page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageAt {
    /// Where its header starts in the file.
    pub(super) offset: u64,
    /// Bytes of header and page.
    pub(super) size: u64,
    /// Its rows, counted within the row group.
    pub(super) rows: Range<u64>,
}

/// The data pages of a column chunk, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    pub(super) data: Vec<PageAt>,
    /// Where the header after the last of them starts, unless all are known.
    pub(super) next: Option<u64>,
    /// Where the dictionary lies. Some old writers do not tell.
    pub(super) dictionary: Option<Range<u64>>,
}

impl Pages {
    /// The row after the last known page.
    pub(super) fn known_rows(&self) -> u64 {
        self.data.last().map_or(0, |page| page.rows.end)
    }

    /// From an offset index, as the file holds it, of a chunk with `rows` rows whose bytes are `extent`.
    /// `None` where it does not fit the chunk.
    pub(super) fn from_index(bytes: &[u8], rows: u64, extent: &Range<u64>) -> Option<Self> {
        let mut found: Vec<(u64, u64, u64)> = Vec::new();
        Reader::new(bytes).structure(|r, field| {
            if field.id != 1 {
                return Some(false);
            }
            let (_, size) = r.list()?;
            for _ in 0..size {
                let (mut offset, mut length, mut first) = (None, None, None);
                r.structure(|r, inner| {
                    match inner.id {
                        1 => offset = Some(r.count()?),
                        2 => length = Some(r.count()?),
                        3 => first = Some(r.count()?),
                        _ => return Some(false),
                    }
                    Some(true)
                })?;
                found.push((offset?, length?, first?));
            }
            Some(true)
        })?;
        let mut pages = Vec::with_capacity(found.len());
        for (i, &(offset, size, first)) in found.iter().enumerate() {
            let end = found.get(i + 1).map_or(rows, |next| next.2);
            let inside = extent.start <= offset && offset.checked_add(size)? <= extent.end;
            if !inside || first > end || end > rows || (i == 0 && first != 0) {
                return None;
            }
            pages.push(PageAt { offset, size, rows: first..end });
        }
        // What stands before the first page of data can only be a dictionary.
        let dictionary = pages.first().map(|page| extent.start..page.offset).filter(|range| !range.is_empty());
        (!pages.is_empty() || rows == 0).then_some(Self { data: pages, next: None, dictionary })
    }
}

/// The bytes of the pages, of the dictionary too, that an arrow decoder calls by these names.
pub(super) fn location(page: &PageAt) -> ::parquet::file::page_index::offset_index::PageLocation {
    ::parquet::file::page_index::offset_index::PageLocation {
        offset: page.offset as i64,
        compressed_page_size: i32::try_from(page.size).unwrap_or(i32::MAX),
        first_row_index: page.rows.start as i64,
    }
}
