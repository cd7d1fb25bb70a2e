//! Lines of JSON and `GeoJSON` as open tables. Values are read from their own text ([`scan`]), so that what does
//! not fit a type is kept as it is written.

mod columns;
mod form;
mod geometry;
mod scan;
mod split;

pub(crate) use form::{is_named, open_json};
