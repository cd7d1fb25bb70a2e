//! Tables that are text: CSV, newline-delimited JSON, `GeoJSON`. They have no directory: rows are found by
//! reading. What all of them share is here: the text of an object, unpacked and decoded (`Packing`,
//! `Encoding`), cut into whole records (`Split`), indexed while one scrolls and read on from end to end
//! (`Lines`). What a record means is said by a `Form`.

mod encoding;
mod form;
mod index;
mod lines;
mod object;
mod opened;
mod packing;
mod scan;
mod zipped;

pub(crate) use encoding::{Encoding, windows_1252};
pub(crate) use form::{Fail, Form, Split, projected};
pub(crate) use object::{Object, Stop, blocking};
pub(crate) use opened::open;
pub(crate) use packing::base_name;
