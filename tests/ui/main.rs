//! Screens, driven by keys on the real event loop: what each shows, and what it does with what is pressed.
//! One program, as each would link the whole library again.

#[path = "../support/bucket.rs"]
mod bucket;
#[path = "../support/cli.rs"]
mod cli;
#[path = "../support/cx.rs"]
mod cx;
#[path = "../support/drive.rs"]
mod drive;
#[path = "../support/rows.rs"]
mod rows;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/trickle.rs"]
mod trickle;
#[path = "../support/wire.rs"]
mod wire;
#[path = "../support/zarrs.rs"]
mod zarrs;

mod bench;
mod browse;
mod drawing;
mod facts;
mod forms;
mod jobs;
mod leaving;
mod map;
mod menus;
mod parts;
mod places;
mod raster;
mod screens;
mod table;
mod zarr;
