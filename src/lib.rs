//! secchi.

pub mod action;
pub mod bench;
pub mod config;
pub mod entry;
pub mod error;
pub mod job;
pub mod jobs;
pub mod keymap;
pub mod location;
pub mod meter;
pub mod preview;
pub mod previews;
pub mod screen;
pub mod screens;
pub mod source;
pub mod sources;
pub mod store;
pub mod task;
pub mod text;
pub mod theme;
pub mod transfer;
pub mod widgets;
