//! Turning one format into another, from any location to any location, without keeping the whole in
//! memory: no screens, no job; testable alone.
//!
//! Three workers side by side, each waiting for the next where it is slow: one reads the source
//! ([`source`]), one thread decodes and encodes, one writes the destination in parts ([`sink`]). The
//! destination exists whole or not at all.

pub mod csv_geoparquet;
mod geoparquet;
mod names;
mod options;
mod parquet;
mod points;
mod sink;
mod source;
pub mod table;

use crate::error::{Kind, Result};

/// Both, or the error that is the cause of the other: one who was only cut off says that it was cancelled.
fn both<A, B>(a: Result<A>, b: Result<B>) -> Result<(A, B)> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(a), Err(b)) if a.kind() == Kind::Cancelled => Err(b),
        (Err(err), _) | (_, Err(err)) => Err(err),
    }
}
