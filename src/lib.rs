//! secchi.

pub mod action;
pub mod app;
pub mod cli;
pub mod config;
pub mod entry;
pub mod error;
pub mod job;
pub mod jobs;
pub mod keymap;
pub mod listing;
pub mod location;
pub mod look;
pub mod meter;
pub mod picture;
pub mod preview;
pub mod previews;
pub mod screen;
pub mod screens;
pub mod source;
pub mod sources;
pub mod store;
pub mod task;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod widgets;
