//! secchi.

pub mod bench;
pub mod entry;
pub mod error;
pub mod job;
pub mod jobs;
pub mod location;
pub mod meter;
pub mod preview;
pub mod previews;
pub mod raster;
pub mod source;
pub mod sources;
pub mod store;
pub mod task;
pub mod text;
