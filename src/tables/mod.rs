//! The formats of tables. A new one: a file here and a line below.

use crate::error::{Context as _, Error, Result};
use crate::probe::Probe;
use crate::store::Stores;
use crate::table::{Format, Open, Rows};
use std::sync::Arc;

mod csv;
mod hive;
mod ipc;
mod ndjson;
mod parquet;

pub use hive::{is_folder_of_tables, open_folder};

/// The formats, most particular first: asked with the name alone, then with the first bytes.
pub const FORMATS: &[Format] = &[parquet::FORMAT, csv::FORMAT, ndjson::FORMAT, ipc::FORMAT];

/// Whether a format claims this thing.
pub fn claims(probe: &Probe) -> bool {
    FORMATS.iter().any(|format| (format.matches)(probe))
}

/// The name of the format that claims this thing.
pub fn format_name(probe: &Probe) -> Option<&'static str> {
    FORMATS.iter().find(|format| (format.matches)(probe)).map(|format| format.name)
}

/// Opens a table; of a container all its Parquet files as one. Only where `open.control` is cancelled or the table
/// dropped its reading ends.
pub async fn open(stores: Stores, open: Open) -> Result<Arc<dyn Rows>> {
    if open.probe.location.is_container() {
        return open_folder(stores, open).await;
    }
    let format = FORMATS.iter().find(|format| (format.matches)(&open.probe));
    let format = format.ok_or_else(|| Error::unsupported("it is not a table of a form that is known"))?;
    let location = open.probe.location.clone();
    (format.open)(stores, open).await.context(|| format!("opening {location}"))
}
