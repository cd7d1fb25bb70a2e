//! Turning one format into another, from any location to any location, without keeping the whole in
//! memory: no screens, no job; testable alone.
//!
//! Three workers side by side, each waiting for the next where it is slow: one reads the source
//! ([`source`]), one thread decodes and encodes, one writes the destination in parts ([`sink`]). The
//! destination exists whole or not at all.

pub mod csv_geoparquet;
mod names;
mod options;
mod points;
mod sink;
mod source;
