//! The footer: found by the last eight bytes, looked through before it is decoded.

use super::{int96, thrift};
use crate::error::{Context as _, Error, Result};
use crate::table::ranged::View;
use crate::task::caught;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use ::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Bytes read from the end in the first request: the footer of most files, and of large files the page index
/// before it.
const TAIL: u64 = 64 << 10;
const LARGE_TAIL: u64 = 320 << 10;
/// Files of this size have row groups enough for a long index.
const LARGE: u64 = 64 << 20;
/// No footer is longer than this: a wide file of many row groups has some 100 MB.
const MOST_FOOTER: u64 = 256 << 20;

/// How much of the end the first request asks for.
pub(super) fn tail(size: Option<u64>) -> u64 {
    if size.is_some_and(|size| size >= LARGE) { LARGE_TAIL } else { TAIL }
}

/// Reads and decodes the footer.
pub(super) async fn read(view: &View) -> Result<(Arc<ParquetMetaData>, ArrowReaderMetadata)> {
    let size = view.size();
    if size < 12 {
        return Err(Error::invalid(format!("not a Parquet file: it has only {size} bytes")));
    }
    view.fetch(std::slice::from_ref(&(size - 8..size))).await?;
    let end = view.at_hand(&(size - 8..size));
    let (length, magic) = end.split_at_checked(4).unwrap_or_default();
    match magic {
        b"PAR1" => {}
        b"PARE" => return Err(Error::unsupported("its footer is encrypted")),
        _ => {
            view.fetch(std::slice::from_ref(&(0..4))).await?;
            return Err(if view.at_hand(&(0..4)).as_ref() == b"PAR1" {
                Error::invalid("the Parquet file is cut short: its footer is missing")
                    .with_hint("copy or download it again")
            } else {
                Error::invalid("not a Parquet file: it does not start and end with PAR1")
            });
        }
    }
    let length = length.try_into().map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes)));
    if length > size - 8 || length > MOST_FOOTER {
        return Err(Error::invalid(format!("its footer claims to have {length} bytes: corrupt, or cut short")));
    }
    let extent = size - 8 - length..size - 8;
    view.fetch(std::slice::from_ref(&extent)).await?;
    let bytes = view.at_hand(&extent);
    let decoded = view.control().blocking(move |_| caught(|| decode(&bytes)));
    decoded.await.context(|| "its footer".into())
}

fn decode(bytes: &[u8]) -> Result<(Arc<ParquetMetaData>, ArrowReaderMetadata)> {
    if !thrift::is_whole(bytes) {
        return Err(Error::invalid("its bytes make no sense: corrupt"));
    }
    let metadata = ParquetMetaDataReader::decode_metadata(bytes).map_err(crate::table::ranged::unknown_form)?;
    let leaves = metadata.file_metadata().schema_descr().num_columns();
    if metadata.row_groups().iter().any(|group| group.num_columns() != leaves) {
        return Err(Error::invalid("a row group has not the columns of the schema: corrupt"));
    }
    let metadata = Arc::new(metadata);
    let reader = arrow_metadata(&metadata).map_err(crate::table::ranged::unknown_form);
    Ok((metadata, reader.context(|| "its schema".into())?))
}

/// The schema as Arrow's. Some writers add Arrow's own beside Parquet's: where that is broken (its
/// decoder may panic then), the file is read without it. Times of 96 bits are read as microseconds.
fn arrow_metadata(metadata: &Arc<ParquetMetaData>) -> ::parquet::errors::Result<ArrowReaderMetadata> {
    let reader = told_metadata(metadata)?;
    let Some(schema) = int96::with_micros(reader.schema(), metadata.file_metadata()) else { return Ok(reader) };
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    Ok(ArrowReaderMetadata::try_new(metadata.clone(), options).unwrap_or(reader))
}

fn told_metadata(metadata: &Arc<ParquetMetaData>) -> ::parquet::errors::Result<ArrowReaderMetadata> {
    let load = |skip| {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(skip);
        ArrowReaderMetadata::try_new(metadata.clone(), options)
    };
    match catch_unwind(AssertUnwindSafe(|| load(false))) {
        Ok(Ok(reader)) => Ok(reader),
        _ => load(true),
    }
}
