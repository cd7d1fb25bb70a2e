//! What can be listed: the contract of a [`Source`]. The table of them is [`crate::sources`].

use crate::listing::Pages;
use crate::location::Location;
use crate::store::Stores;

/// Something that can list a container.
pub struct Source {
    /// Its name, for the log.
    pub name: &'static str,
    /// Whether it lists this location; the first in the table that says so does.
    pub matches: fn(&Location) -> bool,
    /// Lists one level below the location.
    pub list: fn(Stores, Location) -> Pages,
}
