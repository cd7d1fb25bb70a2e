//! Which bytes hold some rows of some columns, found and fetched in as few rounds as can be: of a file with
//! an offset index it is told, of others it is learned from header to header, of lists without an index it
//! is guessed, and the decoder fetches the rest.

use super::File;
use super::header::{Header, Kind, PageAt, Pages};
use super::prefix;
use super::reader::{Plan, Source, dictionary_extent, extent};
use crate::error::{Error, Result};
use crate::table::ranged::View;
use ::parquet::basic::Type;
use ::parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Writers end a page at this size before compression.
const PAGE: u64 = 1 << 20;
/// Asked for where a header is expected, in the hope that its page comes along.
const HOP: u64 = 48 << 10;
/// A header alone.
const HEADER: u64 = 1 << 10;
/// Where pages are smaller than this, several are read over at once on the way to a row.
const SMALL_PAGE: u64 = 96 << 10;
const STRIDE: u64 = 256 << 10;
/// Smaller chunks are fetched whole.
const SMALL_CHUNK: u64 = 32 << 10;
/// An offset index larger than this is not believed.
const MOST_INDEX: u64 = 16 << 20;
/// Headers that are read in a row for one window: a chunk of endless tiny pages is no reason to hang.
const MOST_HOPS: usize = 20_000;

/// What is wanted of a row group.
pub(super) struct Part {
    pub(super) group: usize,
    /// Ascending, not overlapping, counted within the group.
    pub(super) rows: Vec<Range<u64>>,
}

impl Part {
    /// From the first row to the last.
    pub(super) fn hull(&self) -> Range<u64> {
        self.rows.first().map_or(0, |r| r.start)..self.rows.last().map_or(0, |r| r.end)
    }

    fn wants(&self, rows: &Range<u64>) -> bool {
        let at = self.rows.partition_point(|r| r.end <= rows.start);
        self.rows.get(at).is_some_and(|r| r.start < rows.end)
    }
}

/// A leaf column of a part, while it is found out where it lies.
struct Leaf<'a> {
    index: usize,
    chunk: &'a ColumnChunkMetaData,
    extent: Range<u64>,
    pages: Option<Arc<Pages>>,
    /// Whether rows are values: no lists above it.
    flat: bool,
}

impl Leaf<'_> {
    fn dictionary(&self) -> Option<Range<u64>> {
        match &self.pages {
            Some(pages) => pages.dictionary.clone(),
            None => dictionary_extent(self.chunk),
        }
    }
}

pub(super) fn rows_of(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or(0)
}

impl File {
    /// Fetches what `part` needs of these leaf columns.
    pub(super) async fn prepare(&self, view: &View, part: &Part, leaves: &[usize]) -> Result<Source> {
        let group = self.metadata.row_groups().get(part.group);
        let group = group.ok_or_else(|| Error::invalid("a row group that is not there"))?;
        let mut found = Vec::new();
        for &leaf in leaves {
            let Some(chunk) = group.columns().get(leaf) else {
                return Err(Error::invalid("its footer is corrupt: a row group lacks a column"));
            };
            let extent = extent(chunk).filter(|extent| extent.end <= view.size()).ok_or_else(|| {
                Error::invalid(format!("its footer is corrupt: column `{}` starts nowhere", chunk.column_path()))
            })?;
            let pages = self.known(part.group, leaf);
            let flat = chunk.column_descr().max_rep_level() == 0;
            found.push(Leaf { index: leaf, chunk, extent, pages, flat });
        }
        self.read_indexes(view, part.group, rows_of(group), &mut found).await?;
        self.walk(view, part, &mut found).await?;
        let ranges: Vec<Range<u64>> = found.iter().flat_map(|leaf| data_ranges(leaf, part, rows_of(group))).collect();
        view.fetch(&ranges).await?;
        let mut plans = HashMap::new();
        let mut dictionaries = Vec::new();
        for leaf in found {
            let partial = self.may_be_partial(&leaf, part);
            if leaf.pages.is_some() {
                dictionaries.extend(dictionary_ranges(view, &leaf, part, partial));
            }
            plans.insert(leaf.index, Plan { pages: leaf.pages, rows: part.hull(), partial });
        }
        view.fetch(&dictionaries).await?;
        Ok(Source { view: view.clone(), metadata: self.metadata.clone(), group: part.group, plans })
    }

    /// Reads the offset indexes that are not known yet, in one round.
    async fn read_indexes(&self, view: &View, group: usize, rows: u64, leaves: &mut [Leaf<'_>]) -> Result<()> {
        let index = |leaf: &Leaf<'_>| -> Option<Range<u64>> {
            if leaf.pages.is_some() {
                return None;
            }
            let start = u64::try_from(leaf.chunk.offset_index_offset()?).ok()?;
            let length = u64::try_from(leaf.chunk.offset_index_length()?).ok().filter(|n| *n <= MOST_INDEX)?;
            let end = start.checked_add(length).filter(|end| *end <= view.size())?;
            Some(start..end)
        };
        let ranges: Vec<Range<u64>> = leaves.iter().filter_map(index).collect();
        view.fetch(&ranges).await?;
        for leaf in leaves.iter_mut() {
            let Some(range) = index(leaf) else { continue };
            // A broken index is no reason not to read the rows.
            if let Some(pages) = Pages::from_index(&view.at_hand(&range), rows, &leaf.extent) {
                leaf.pages = Some(self.learn(group, leaf.index, pages));
            }
        }
        Ok(())
    }

    /// Goes from header to header, of all columns at once, until the pages of the rows are known.
    async fn walk(&self, view: &View, part: &Part, leaves: &mut [Leaf<'_>]) -> Result<()> {
        let hull = part.hull();
        let mut walks: Vec<(usize, Pages)> = Vec::new();
        for (i, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| leaf.flat && !hull.is_empty()) {
            let start = u64::try_from(leaf.chunk.data_page_offset()).unwrap_or(u64::MAX);
            let start = if leaf.extent.contains(&start) { start } else { leaf.extent.start };
            let pages = leaf.pages.as_deref().cloned().unwrap_or_else(|| Pages {
                data: Vec::new(),
                next: Some(start),
                dictionary: dictionary_extent(leaf.chunk),
            });
            if pages.next.is_some() && pages.known_rows() < hull.end {
                walks.push((i, pages));
            }
        }
        for hops in 0.. {
            let mut wanted = Vec::new();
            for (i, pages) in &mut walks {
                let Some(leaf) = leaves.get(*i) else { continue };
                if let Some(range) = go_on(view, leaf, pages, hull.end)? {
                    if hops == 0 && pages.data.is_empty() {
                        wanted.extend(self.guess_of_dictionary(leaf, part));
                    }
                    wanted.push(range);
                }
            }
            if wanted.is_empty() {
                break;
            }
            view.check()?;
            if hops > MOST_HOPS {
                return Err(Error::invalid("its pages are too small to be read over"));
            }
            view.fetch(&wanted).await?;
        }
        for (i, pages) in walks {
            if let Some(leaf) = leaves.get_mut(i) {
                leaf.pages = Some(self.learn(part.group, leaf.index, pages));
            }
        }
        Ok(())
    }

    /// The dictionary, or as much of its beginning as the first rows of a chunk are expected to need.
    fn guess_of_dictionary(&self, leaf: &Leaf<'_>, part: &Part) -> Option<Range<u64>> {
        let extent = leaf.dictionary()?;
        Some(beginning(leaf, &extent, part, self.may_be_partial(leaf, part)))
    }

    /// Whether the beginning of a column's dictionary may do: entries come in the order in which values were
    /// first seen, so that the first rows ask for the first entries.
    fn may_be_partial(&self, leaf: &Leaf<'_>, part: &Part) -> bool {
        let hull = part.hull();
        let one = leaf.pages.as_ref().is_none_or(|pages| {
            let wanted = pages.data.iter().filter(|page| part.wants(&page.rows));
            wanted.count() == 1
        });
        leaf.flat
            && one
            && hull.end <= 65_536
            && prefix::is_streamed(leaf.chunk.compression())
            && !self.is_arrow_dictionary(leaf.index)
    }
}

/// The beginning of a dictionary that rows up to the end of `part` may need; the whole where that is most of it.
fn beginning(leaf: &Leaf<'_>, extent: &Range<u64>, part: &Part, partial: bool) -> Range<u64> {
    let width = match leaf.chunk.column_type() {
        Type::INT32 | Type::FLOAT => 4,
        Type::BYTE_ARRAY => 48,
        Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(leaf.chunk.column_descr().type_length()).unwrap_or(0),
        _ => 12,
    };
    // More than these rows need, so that the next ones down find it there.
    let needed = (part.hull().end.saturating_mul(width) + 1024).max(8 << 10).next_power_of_two();
    let whole = extent.end - extent.start;
    if partial && needed < whole / 2 { extent.start..extent.start + needed } else { extent.clone() }
}

/// Parses the headers that are at hand, until the pages up to row `end` are known; else what to fetch next.
fn go_on(view: &View, leaf: &Leaf<'_>, pages: &mut Pages, end: u64) -> Result<Option<Range<u64>>> {
    let corrupt = |what: &str| Error::invalid(format!("column `{}` is corrupt: {what}", leaf.chunk.column_path()));
    while pages.known_rows() < end {
        let Some(at) = pages.next else { break };
        if at >= leaf.extent.end {
            return Err(corrupt("it ends before its last row"));
        }
        let there = view.at_hand(&(at..(at + HOP).min(leaf.extent.end)));
        let Some(header) = Header::parse(&there) else {
            if there.len() as u64 >= HOP.min(leaf.extent.end - at) {
                return Err(corrupt("the header of a page makes no sense"));
            }
            // The first page is likely wanted; further on a header is enough, but small pages come together.
            let size = pages.data.last().map_or(HOP, |page| if page.size < SMALL_PAGE { STRIDE } else { HEADER });
            let size = size.max(there.len() as u64 * 4);
            return Ok(Some(at..at.saturating_add(size).min(leaf.extent.end)));
        };
        header.check(leaf.extent.end - at, 0)?;
        let next = at + header.whole();
        if header.is_data() {
            let first = pages.known_rows();
            let rows = first..first.saturating_add(header.values);
            pages.data.push(PageAt { offset: at, size: header.whole(), rows });
        }
        if header.kind == Kind::Dictionary {
            pages.dictionary = Some(at..next);
        }
        pages.next = (next < leaf.extent.end).then_some(next);
    }
    if pages.known_rows() < end {
        return Err(corrupt("it ends before its last row"));
    }
    Ok(None)
}

/// Where the rows of a part lie in a chunk, as far as it can be told.
fn data_ranges(leaf: &Leaf<'_>, part: &Part, rows: u64) -> Vec<Range<u64>> {
    let whole = leaf.extent.end - leaf.extent.start;
    let hull = part.hull();
    if hull.is_empty() {
        return Vec::new();
    }
    if whole <= SMALL_CHUNK || (part.rows.len() == 1 && hull == (0..rows)) {
        return std::iter::once(leaf.extent.clone()).collect();
    }
    let Some(pages) = &leaf.pages else {
        // Lists without an index: their rows are counted from the start.
        let share = hull.end as f64 / rows.max(1) as f64;
        let guess = (whole as f64 * share * 1.2) as u64 + PAGE / 4;
        let dictionary = dictionary_extent(leaf.chunk).map_or(0, |d| d.end - d.start);
        let end = leaf.extent.start.saturating_add(dictionary).saturating_add(guess);
        return std::iter::once(leaf.extent.start..end.min(leaf.extent.end)).collect();
    };
    let wanted = pages.data.iter().filter(|page| part.wants(&page.rows));
    let mut out: Vec<Range<u64>> = wanted.map(|page| page.offset..page.offset + page.size).collect();
    // One round less where the first page asks for the dictionary, as it does when there is one.
    if hull.start == 0
        && out.len() == 1
        && let Some(dictionary) = leaf.dictionary()
    {
        out.push(beginning(leaf, &dictionary, part, leaf.flat && prefix::is_streamed(leaf.chunk.compression())));
    }
    out
}

/// What is needed of the dictionary by the pages that are at hand.
fn dictionary_ranges(view: &View, leaf: &Leaf<'_>, part: &Part, partial: bool) -> Option<Range<u64>> {
    let extent = leaf.dictionary()?;
    let pages = leaf.pages.as_ref()?;
    let asks = pages.data.iter().filter(|page| part.wants(&page.rows)).any(|page| {
        let there = view.at_hand(&(page.offset..page.offset + page.size.min(HOP)));
        Header::parse(&there).is_none_or(|header| header.is_by_dictionary())
    });
    asks.then(|| beginning(leaf, &extent, part, partial))
}
