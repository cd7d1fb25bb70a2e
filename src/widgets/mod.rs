//! Widgets that know a style and nothing of secchi.

pub mod input;
pub mod picture;
