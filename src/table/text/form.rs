//! What a record of a text means: the contract of CSV and JSON with `Lines`.

use crate::error::{Error, Result};
use crate::table::{Column, Geo};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

/// Cuts a text into records: told of every byte once, from the first record on.
pub(crate) trait Split: Clone + Send + Sync + 'static {
    /// Looks at more text; gives the records that end in it and where the last of them ends.
    fn feed(&mut self, text: &[u8]) -> (u64, Option<usize>);

    /// Whether what stands after the last end is a record too, now that the text ends.
    fn finish(&mut self) -> bool;

    /// Whether all records were seen, whatever follows.
    fn is_over(&self) -> bool {
        false
    }
}

/// Why records could not be read.
#[derive(Debug)]
pub(crate) enum Fail {
    /// A value did not fit its column, which is of a wider type from now on: reading again will do. The error
    /// says so to somebody who cannot.
    Widened(Error),
    /// Anything else.
    Bad(Error),
}

impl From<Error> for Fail {
    fn from(err: Error) -> Self {
        Self::Bad(err)
    }
}

/// Records of a kind: their columns, which may become wider and more while they are read.
pub(crate) trait Form: Send + Sync + 'static {
    /// How its text is cut.
    type Split: Split;

    /// All columns as they are now.
    fn schema(&self) -> SchemaRef;

    /// The same in words.
    fn columns(&self) -> Vec<Column>;

    /// Which of them are geometry.
    fn geo(&self) -> Geo {
        Geo::default()
    }

    /// Takes in columns that [`Form::parse`] met beside those it was asked for.
    fn learn(&self, _pieces: &[Bytes], _first: u64) -> Result<()> {
        Ok(())
    }

    /// Reads whole records: `take` of those in `pieces` after the first `skip`, of these columns (numbers in the
    /// schema; `None` for all, those that are met only now included). `first` is the number of the first record
    /// in `pieces`, for sentences.
    fn parse(
        &self,
        pieces: &[Bytes],
        first: u64,
        skip: usize,
        take: usize,
        columns: Option<&[usize]>,
    ) -> Result<RecordBatch, Fail>;
}

/// Numbers of the columns called so.
pub(crate) fn projected(schema: &SchemaRef, names: &[String]) -> Result<Vec<usize>> {
    let find = |name: &String| {
        let fields = schema.fields();
        let exact = fields.iter().position(|f| f.name() == name);
        exact.or_else(|| fields.iter().position(|f| f.name().eq_ignore_ascii_case(name))).ok_or_else(|| {
            let some: Vec<&str> = fields.iter().take(20).map(|f| f.name().as_str()).collect();
            let more = if fields.len() > 20 { ", …" } else { "" };
            Error::usage(format!("there is no column `{name}`")).with_hint(format!("it has {}{more}", some.join(", ")))
        })
    };
    names.iter().map(find).collect()
}
