//! Tables read from anywhere, a piece at a time: ranged Parquet, sniffed CSV, geometry as WKT, cells
//! as text and JSON. What previews and conversions share.

pub(crate) mod csv;
mod display;
pub(crate) mod geo;
pub(crate) mod parquet;
pub(crate) mod ranged;
pub(crate) mod wkt;

pub use display::{format_cell, to_json_rows, type_name};
