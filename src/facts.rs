//! Names and values, as they stand above and beside what is looked at.

/// Names and values in groups, in the order to be shown.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Facts {
    /// A line above them: "COG 10980² u16 ×4 EPSG:32635 deflate".
    pub title: String,
    /// `(name, value)`; a name with an empty value is a heading.
    pub rows: Vec<(String, String)>,
}
