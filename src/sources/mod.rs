//! The table of things that can be listed. A new one: a file here and a line below.

use crate::error::Result;
use crate::location::Location;
use crate::source::Source;

mod stac;
mod store;

/// The sources, most particular first; the first that matches a location lists it.
pub const SOURCES: &[Source] = &[stac::SOURCE, store::SOURCE];

/// The source that lists `location`.
pub fn of(location: &Location) -> Result<&'static Source> {
    SOURCES
        .iter()
        .find(|s| (s.matches)(location))
        .ok_or_else(|| crate::error::Error::unsupported(format!("{location} cannot be listed")))
}
