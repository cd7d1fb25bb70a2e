//! Widgets that know a style and nothing of secchi.

pub mod picture;
