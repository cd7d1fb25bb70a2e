//! Pages for the decoder, out of what a view holds of the file: those that hold the rows, and of a
//! dictionary no more than they ask for.

use super::header::{Header, Kind, Pages, location};
use super::prefix;
use crate::error::{Error, Result};
use crate::table::ranged::View;
use ::parquet::arrow::arrow_reader::RowGroups;
use ::parquet::basic::Type;
use ::parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use ::parquet::errors::{ParquetError, Result as Decoded};
use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use ::parquet::file::serialized_reader::SerializedPageReader;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// How a header is read when nothing is known of its length.
const HEADER: u64 = 8 << 10;
/// Longer headers are nonsense: statistics are cut by writers.
const LONGEST_HEADER: u64 = 16 << 20;

/// How a column chunk is read.
#[derive(Clone)]
pub(super) struct Plan {
    /// Its data pages, at least up to the last row that is read; `None`: one after the other from the start.
    pub(super) pages: Option<Arc<Pages>>,
    /// The rows that are read lie between these, counted within the row group.
    pub(super) rows: Range<u64>,
    /// Whether the beginning of its dictionary may do.
    pub(super) partial: bool,
}

/// A row group, some columns of it, for the decoder.
pub(super) struct Source {
    pub(super) view: View,
    pub(super) metadata: Arc<ParquetMetaData>,
    pub(super) group: usize,
    pub(super) plans: HashMap<usize, Plan>,
}

/// The bytes of a column chunk; `None` where its metadata are nonsense.
pub(super) fn extent(chunk: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let start = u64::try_from(chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset())).ok()?;
    let end = start.checked_add(u64::try_from(chunk.compressed_size()).ok()?)?;
    Some(start..end)
}

/// Where the dictionary of a chunk lies, if it has one before its data.
pub(super) fn dictionary_extent(chunk: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let start = u64::try_from(chunk.dictionary_page_offset()?).ok()?;
    let data = u64::try_from(chunk.data_page_offset()).ok()?;
    (start < data).then_some(start..data)
}

/// Bytes that an entry of a dictionary takes at least.
fn narrowest(chunk: &ColumnChunkMetaData) -> u64 {
    match chunk.column_type() {
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(chunk.column_descr().type_length()).unwrap_or(0).max(1),
        _ => 4,
    }
}

/// The header at `at`, read as far as needed.
fn header(view: &View, at: u64, end: u64) -> Result<Header> {
    let mut length = HEADER;
    loop {
        let to = at.saturating_add(length).min(end).min(view.size());
        if to <= at {
            return Err(Error::invalid("a page of it starts beyond its end: truncated or corrupt"));
        }
        let there = view.at_hand(&(at..to));
        if let Some(header) = Header::parse(&there) {
            return Ok(header);
        }
        let bytes = view.read(at..to)?;
        match Header::parse(&bytes) {
            Some(header) => return Ok(header),
            None if at + length >= end || length >= LONGEST_HEADER => {
                return Err(Error::invalid("the header of a page makes no sense: corrupt"));
            }
            None => length *= 4,
        }
    }
}

impl RowGroups for Source {
    fn num_rows(&self) -> usize {
        self.row().map_or(0, |group| usize::try_from(group.num_rows()).unwrap_or(0))
    }

    fn column_chunks(&self, leaf: usize) -> Decoded<Box<dyn PageIterator>> {
        let (Some(plan), Some(group)) = (self.plans.get(&leaf), self.row()) else {
            return Err(ParquetError::General("a column that was not asked for".to_owned()));
        };
        let reader = Reader::new(&self.view, group, leaf, plan.clone())?;
        Ok(Box::new(One(Some(Box::new(reader)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.row().into_iter())
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

impl Source {
    fn row(&self) -> Option<&RowGroupMetaData> {
        self.metadata.row_groups().get(self.group)
    }

    /// What of dictionaries must be fetched besides, after all else was: where their beginnings do not do.
    pub(super) fn lacking(&self) -> Result<Vec<Range<u64>>> {
        let Some(group) = self.row() else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        for (leaf, plan) in self.plans.iter().filter(|(_, plan)| plan.partial) {
            let reader = Reader::new(&self.view, group, *leaf, plan.clone());
            let mut reader = reader.map_err(|err| self.view.explain(err))?;
            reader.only_asking = true;
            reader.skip_to(plan.rows.start).map_err(|err| self.view.explain(err))?;
            reader.get_next_page().map_err(|err| self.view.explain(err))?;
            out.extend(reader.whole_dictionary);
        }
        Ok(out)
    }
}

/// The chunk of the one row group.
struct One(Option<Box<dyn PageReader>>);

impl Iterator for One {
    type Item = Decoded<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for One {}

/// The pages of a column chunk.
struct Reader {
    view: View,
    chunk: ColumnChunkMetaData,
    extent: Range<u64>,
    plan: Plan,
    inner: SerializedPageReader<View>,
    /// The number of the next page, of those that are known.
    next: usize,
    /// Where the next header is, where pages are read one after the other.
    at: u64,
    /// Whether the decoder was given the dictionary, or there is none.
    has_dictionary: bool,
    /// A page that waits for its dictionary to go first.
    waiting: Option<Page>,
    /// Only find out whether the beginning of the dictionary does …
    only_asking: bool,
    /// … and where the whole lies, if not.
    whole_dictionary: Option<Range<u64>>,
}

impl Reader {
    fn new(view: &View, group: &RowGroupMetaData, leaf: usize, plan: Plan) -> Decoded<Self> {
        let chunk = group.column(leaf).clone();
        let extent = extent(&chunk).filter(|extent| extent.end <= view.size());
        let extent = extent.ok_or_else(|| {
            ParquetError::General(format!("column `{}` lies beyond the end of the file", chunk.column_path()))
        })?;
        let file = Arc::new(view.clone());
        let inner = match &plan.pages {
            None => {
                let rows = usize::try_from(group.num_rows()).unwrap_or(0);
                SerializedPageReader::new(file, &chunk, rows, None)?
            }
            Some(pages) => {
                let rows = usize::try_from(pages.known_rows()).unwrap_or(0);
                let locations: Vec<_> = pages.data.iter().map(location).collect();
                // Without its dictionary: that is given out here.
                let first = locations.first().map_or(extent.start as i64, |l| l.offset);
                let bare = chunk.clone().into_builder().set_dictionary_page_offset(None).set_data_page_offset(first);
                SerializedPageReader::new(file, &bare.build()?, rows, Some(locations))?
            }
        };
        let has_dictionary = plan.pages.as_ref().is_none_or(|pages| pages.dictionary.is_none());
        Ok(Self {
            view: view.clone(),
            at: extent.start,
            chunk,
            extent,
            plan,
            inner,
            next: 0,
            has_dictionary,
            waiting: None,
            only_asking: false,
            whole_dictionary: None,
        })
    }

    /// Skips the pages that end before a row.
    fn skip_to(&mut self, row: u64) -> Decoded<()> {
        let Some(pages) = self.plan.pages.clone() else { return Ok(()) };
        while pages.data.get(self.next).is_some_and(|page| page.rows.end <= row) {
            self.skip_next_page()?;
        }
        Ok(())
    }

    /// Looks at the next header before the decoder makes room for what it claims; goes on behind its page.
    fn look(&mut self) -> Result<Option<Header>> {
        let narrowest = narrowest(&self.chunk);
        if let Some(pages) = &self.plan.pages {
            let Some(page) = pages.data.get(self.next) else { return Ok(None) };
            let header = header(&self.view, page.offset, page.offset + page.size)?;
            header.check(page.size, narrowest)?;
            self.next += 1;
            return Ok(Some(header));
        }
        while self.at < self.extent.end {
            let header = header(&self.view, self.at, self.extent.end)?;
            header.check(self.extent.end - self.at, narrowest)?;
            self.at += header.whole();
            if header.kind != Kind::Index {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// The dictionary for a page of which these rows are read; `None` where it is only asked for.
    fn dictionary(&mut self, page: &Page, rows: &Range<u64>) -> Decoded<Option<Page>> {
        let Some(extent) = self.plan.pages.as_ref().and_then(|pages| pages.dictionary.clone()) else {
            return Err(ParquetError::General("its dictionary is missing".to_owned()));
        };
        let there = self.view.at_hand(&extent);
        if self.plan.partial && (there.len() as u64) < extent.end - extent.start {
            let nullable = self.chunk.column_descr().max_def_level() > 0;
            let width = usize::try_from(self.chunk.column_descr().type_length()).unwrap_or(0);
            let kind = self.chunk.column_type();
            let part = prefix::entries_needed(page, rows, nullable)
                .and_then(|needed| prefix::dictionary(&there, needed, self.chunk.compression(), kind, width));
            if part.is_some() {
                return Ok(part);
            }
        }
        if self.only_asking {
            self.whole_dictionary = Some(extent);
            return Ok(None);
        }
        let head = header(&self.view, extent.start, extent.end).map_err(|err| self.view.told(err))?;
        head.check(extent.end - extent.start, narrowest(&self.chunk)).map_err(|err| self.view.told(err))?;
        let mut whole = SerializedPageReader::new(Arc::new(self.view.clone()), &self.chunk, 0, None)?;
        match whole.get_next_page()? {
            Some(page @ Page::DictionaryPage { .. }) => Ok(Some(page)),
            _ => Err(ParquetError::General("its dictionary is missing".to_owned())),
        }
    }
}

impl PageReader for Reader {
    fn get_next_page(&mut self) -> Decoded<Option<Page>> {
        if let Some(page) = self.waiting.take() {
            return Ok(Some(page));
        }
        self.view.check().map_err(|err| self.view.told(err))?;
        let looked = self.look();
        let Some(header) = looked.map_err(|err| self.view.told(err))? else { return Ok(None) };
        let Some(page) = self.inner.get_next_page()? else { return Ok(None) };
        if self.has_dictionary || !header.is_by_dictionary() {
            return Ok(Some(page));
        }
        let all = self.plan.pages.as_ref().and_then(|pages| pages.data.get(self.next - 1)).map(|p| p.rows.clone());
        let all = all.unwrap_or(0..u64::MAX);
        let rows = self.plan.rows.start.max(all.start) - all.start..self.plan.rows.end.min(all.end) - all.start;
        let dictionary = self.dictionary(&page, &rows)?;
        self.has_dictionary = true;
        if dictionary.is_some() {
            self.waiting = Some(page);
        }
        Ok(dictionary)
    }

    fn peek_next_page(&mut self) -> Decoded<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Decoded<()> {
        if self.plan.pages.is_some() {
            self.next += 1;
        } else {
            let looked = self.look();
            looked.map_err(|err| self.view.told(err))?;
        }
        self.inner.skip_next_page()
    }
}

impl Iterator for Reader {
    type Item = Decoded<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
