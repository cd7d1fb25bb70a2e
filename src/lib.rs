//! secchi.

pub mod convert;
pub mod entry;
pub mod error;
pub mod job;
pub mod jobs;
pub mod location;
pub mod meter;
pub mod preview;
pub mod previews;
pub mod source;
pub mod sources;
pub mod store;
pub mod table;
pub mod task;
pub mod text;
