//! How Parquet is written here, whatever its rows come from.

use crate::error::{Error, Kind, Result};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// Row groups of at most so many rows and bytes of memory; `shapes` are the columns of geometry, each with the
/// column of its bounds.
pub(super) fn properties<'a>(
    rows: usize,
    bytes: usize,
    shapes: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(3).map_err(|err| failed(err, false))?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(rows))
        .set_max_row_group_bytes(Some(bytes))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_created_by(format!("secchi {}", env!("CARGO_PKG_VERSION")));
    for (geometry, covering) in shapes {
        let path = ColumnPath::from(geometry);
        // The smallest and largest of binary shapes tell nothing; a shape is seldom there twice.
        properties = properties
            .set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
            .set_column_dictionary_enabled(path, false);
        for corner in ["xmin", "ymin", "xmax", "ymax"] {
            let path = ColumnPath::from(vec![covering.to_owned(), corner.to_owned()]);
            properties = properties.set_column_dictionary_enabled(path, false);
        }
    }
    Ok(properties.build())
}

/// Why a writer failed; whoever takes no more (`closed`) says why itself.
pub(super) fn failed(err: ParquetError, closed: bool) -> Error {
    if closed {
        Error::cancelled()
    } else {
        Error::new(Kind::Failed, "the Parquet file cannot be written").with_source(err)
    }
}
