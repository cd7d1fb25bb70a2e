//! Geometry in compact arrays and what a map needs of it, without a screen and independent of where it
//! came from: a table's rows, footprints of a catalog.
//!
//! ```text
//! Features           positions, parts, the row each came from, a value to be coloured by
//! read::Reader       batches of a table to features: WKB, native encodings, pairs of columns
//! load::load         a sample, or all, of a table that is open
//! Extent             true bounds, over the antimeridian too
//! Scale              values to inks, and what a legend says of it
//! Scene::new         features on a plane, in bins of several sizes: drawn and picked in no time
//! View               which part of the plane is seen
//! World              outlines of countries
//! paint              a scene as a picture
//! ```

mod draw;
mod extent;
mod features;
pub mod graticule;
pub mod load;
mod paint;
mod plane;
mod project;
pub mod read;
pub mod sample;
mod scale;
mod scene;
mod view;
mod world;

pub use draw::{draw_features, draw_world};
pub use extent::Extent;
pub use features::{Features, Kind, Values};
pub use paint::{Colours, paint};
pub use plane::{Plane, wrap};
pub use scale::{Entry, Scale, short};
pub use scene::{Pick, Scene};
pub use view::View;
pub use world::World;
