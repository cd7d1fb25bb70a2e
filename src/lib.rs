//! secchi: a full-screen terminal program to look into object storage and STAC catalogs of
//! environmental data, and to work on what is there. This page is the map; it is kept true.
//!
//! # Where things live
//!
//! From the ground up; a module imports only those above it in this list (`tests/architecture.rs`
//! reads the sources and says so).
//!
//! | floor | what it is |
//! |---|---|
//! | [`text`], [`picture`], [`facts`], [`calendar`], [`quantity`], [`error`] | foreign text made harmless, sizes in words; RGBA pixels; names and values; times as numbers; numbers with units in words; the one error: what failed, why, what to do |
//! | [`location`], [`probe`], [`entry`], [`listing`], [`meter`] | an address; what is known of a thing before it is opened; a listed thing; a million of them held compactly; counting requests, bytes, latencies |
//! | [`glob`], [`basket`] | patterns for names; what is selected over all folders |
//! | [`task`] | the value-free `Waker`, `Pending` and `Feed` (dropped means aborted), `Control` of a piece of work, several threads for one |
//! | [`action`], [`theme`], [`terminal`], [`widgets`], [`config`], [`keymap`] | what a person can do; colours by role; the terminal and pictures on it; widgets that know nothing of ours; files of the user |
//! | [`store`] | the one data plane: `Stores` opens a location, everything is metered, limited, explained; `store/gdal` lets GDAL read through it |
//! | [`raster`], [`catalog`], [`snippet`] | reading rasters and STAC documents through the stores; lines of code that open a thing elsewhere |
//! | [`scene`] | anything whose values are drawn as a picture: rasters, slices of arrays |
//! | [`zarr`] | groups and arrays of Zarr: parts of them as numbers with what these mean, planes as scenes, which chunks exist |
//! | [`source`], [`sources`], [`du`] | what can be listed; how much lies below |
//! | [`table`], [`tables`] | a table that stays open while it is looked at, read a piece at a time; the formats |
//! | [`preview`], [`previews`] | what can be looked at: few shapes, many formats |
//! | [`transfer`], [`convert`], [`query`], [`mod@bench`], [`demo`] | the work itself, without a screen, testable alone: SQL too; the embedded server with its samples |
//! | [`map`] | geometry of a table in compact arrays: sampling, true extents, colours, what lies under a cursor |
//! | [`job`], [`jobs`] | a `Job` wraps one piece of work; `Jobs` queues, journals, meters, cancels, resumes |
//! | [`screen`], [`look`], [`screens`] | the contract of a screen; how a preview is loaded under a cursor and drawn; the screens |
//! | [`app`] | the loop and the stack of screens |
//! | [`cli`] | every job and preview without a screen; setting up the screen |
//!
//! A singular file is a contract; the plural folder holds the implementations, and its `mod.rs` is
//! only a table of them. Siblings in a plural folder do not import each other.
//!
//! # Adding things
//!
//! | add | touch |
//! |---|---|
//! | a format of tables | `tables/x.rs` and one line of its table |
//! | a format to preview | `previews/x.rs` and one line of its table |
//! | something to list | `sources/x.rs` and one line |
//! | a kind of job | `jobs/x.rs` and one line; the form that opens it |
//! | something drawn as a picture | a type that is a [`scene::Scene`]; `Open::Scene` shows it, what opens it builds it |
//! | a screen | `screens/x.rs`, a variant of [`screen::Open`], an arm, a section of `assets/keymap.toml` |
//! | an action | one line in [`action`] and one in `assets/keymap.toml` |
//! | a template of a place, open data | a table in `assets/places.toml` |
//! | a theme | `themes/x.toml` and one line in [`theme`] |
//!
//! # The loop
//!
//! One task owns the terminal and all state. It waits for events, for a wake, and for a tick that
//! exists only while something moves. `update` and `poll` never wait; `draw` starts nothing and
//! touches no disk. Background work delivers into a `Pending` or `Feed` that its screen owns and
//! pulls; there is no message type with a variant for each result. Nothing changed, nothing drawn,
//! no byte written.
//!
//! # Invariants
//!
//! 1. Floors: no import goes up, no import goes in a circle.
//! 2. Cloud builders are named only in `store`, the AWS SDK only below `store/`, the `stac` crate
//!    only where catalogs are read; `gdal` and `zarrs` never where things are drawn; key events only
//!    in `keymap`, `app`, `terminal` and the input widget.
//! 3. `unsafe` only in `store/gdal`, the virtual file system and what guards HDF5.
//! 4. No secret is rendered, logged, journalled or put on a command line; `Debug` of keys is redacted.
//! 5. Every string from outside is drawn without control characters ([`text::clean`]).
//! 6. A destination exists whole or not at all: temporary name then rename, multipart then
//!    complete, a conditional put where the user did not say overwrite.
//! 7. No statics but constants. The exceptions are the registry behind GDAL's table of file systems, which is itself
//!    one for the whole process, and GDAL's library, which is loaded once for it (`store/gdal/library`).
//!
//! # Where this differs from the first plan
//!
//! - Listing S3 goes through neither `object_store` nor the SDK: `store/s3/ask` signs and sends the
//!   requests itself and reads the answers straight into the blocks of a [`listing`]. Only so do keys
//!   such as `a//b`, `../x` or a leading `/` come back as the server knows them, pages as they arrive,
//!   and a million of them in about a second. Such keys are read and written through the same
//!   `ObjectStore` handle, escaped in its paths.
//! - Pictures are placed by [`terminal::Gallery`] and not by a widget library: it encodes off the
//!   drawing thread, sends a picture only when it changed, and draws half-blocks until then.
//! - `catalog` stands below `sources`, which list what it reads.

pub mod action;
pub mod app;
pub mod basket;
pub mod bench;
pub mod calendar;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod convert;
pub mod demo;
pub mod du;
pub mod entry;
pub mod error;
pub mod facts;
pub mod glob;
pub mod job;
pub mod jobs;
pub mod keymap;
pub mod listing;
pub mod location;
pub mod look;
pub mod map;
pub mod meter;
pub mod picture;
pub mod preview;
pub mod previews;
pub mod probe;
pub mod quantity;
pub mod query;
pub mod raster;
pub mod scene;
pub mod screen;
pub mod screens;
pub mod snippet;
pub mod source;
pub mod sources;
pub mod store;
pub mod table;
pub mod tables;
pub mod task;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod transfer;
pub mod widgets;
pub mod zarr;
