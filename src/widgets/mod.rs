//! Widgets that know a style and nothing of secchi.

pub mod chart;
pub mod form;
pub mod gauge;
pub mod grid;
pub mod input;
pub mod map;
pub mod sparkline;
