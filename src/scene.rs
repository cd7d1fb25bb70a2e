//! What is drawn as a picture: a plane of values in one or several bands, with positions on further
//! dimensions where there are some. Rasters that GDAL reads are scenes (`scene/raster`), and so is a
//! slice of an array; the raster screen knows nothing else of what it shows.
//!
//! ```text
//! about()   what it is, known when it is opened: nothing is read for it
//! read()    values for a picture: a window, decimated to so many pixels, from the overview that suits
//! values()  values as they are stored: under the cursor, for exact statistics
//! rest()    what was left for after the first picture
//! degrees() pixels to longitude and latitude, pixels() back
//! ```
//!
//! Pixel coordinates are continuous: the upper left corner of the plane is `[0, 0]`, the middle of its
//! first pixel `[0.5, 0.5]`. Bands are counted from 1, as GDAL counts them; positions on axes from 0.

mod axes;
mod place;
mod raster;

use crate::error::{Error, Result};
use crate::location::Location;
use crate::task::Control;
use futures::future::BoxFuture;
use std::sync::Arc;

pub use crate::raster::{Interpretation, Pixels, Window};
pub use place::Place;
pub use raster::{of_raster, open};

/// Anything whose values are drawn as a picture.
///
/// The futures own what they need, so that a screen can drop a scene while one runs; dropping a future
/// ends its reads.
pub trait Scene: Send + Sync {
    /// What it is.
    fn about(&self) -> &About;

    /// Values for a picture; NaN where there are none. One plane for each band wished.
    fn read(&self, control: &Control, wish: Wish) -> BoxFuture<'static, Result<Pixels>>;

    /// Values as stored, of a window at full resolution: for each band `width * height` of them, row by
    /// row, NaN where there are none. Fails with [`crate::error::Kind::Limit`] where that is too much.
    fn values(
        &self,
        control: &Control,
        bands: Vec<usize>,
        window: Window,
        at: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Vec<f64>>>>;

    /// The same with what was left for after its first picture, coordinates mostly, until `None` says that nothing is
    /// left: a screen asks once the picture is there, and shows what it is given from then on.
    fn rest(&self, _control: &Control) -> Option<BoxFuture<'static, Result<Rest>>> {
        None
    }

    /// Longitude and latitude of pixel coordinates; `None` where there is no place on earth. As it
    /// stands it serves scenes whose own coordinates are degrees.
    fn degrees(&self, _control: &Control, pixels: Vec<[f64; 2]>) -> BoxFuture<'static, Result<Vec<Option<[f64; 2]>>>> {
        let about = self.about();
        let place = if about.is_degrees { about.place.clone() } else { Place::Nowhere };
        let found = pixels.into_iter().map(|at| place.world(at)).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    /// Pixel coordinates of longitudes and latitudes, also outside the plane: the inverse of
    /// [`Scene::degrees`].
    fn pixels(&self, _control: &Control, degrees: Vec<[f64; 2]>) -> BoxFuture<'static, Result<Vec<Option<[f64; 2]>>>> {
        let about = self.about();
        let place = if about.is_degrees { about.place.clone() } else { Place::Nowhere };
        let found = degrees.into_iter().map(|at| place.pixel(at)).collect();
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// A scene of which more is known than before.
pub struct Rest {
    /// It, with the same size, bands and axes.
    pub scene: Arc<dyn Scene>,
    /// Whether its pixels lie where they lay, so that what was read of them holds.
    pub same_pixels: bool,
}

/// What is wished to be seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Bands, from 1, in the order wished.
    pub bands: Vec<usize>,
    /// The part of the plane, in its pixels; inside it.
    pub window: Window,
    /// Pixels across and down that are not to be exceeded. The shape of the window is kept, and nothing
    /// is enlarged.
    pub pixels: (u32, u32),
    /// A position on each of [`About::axes`].
    pub at: Vec<u64>,
}

/// What a scene is.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Its name: that of the file, or of the array.
    pub title: String,
    /// One line: `COG 10980×10980 u16 ×4 EPSG:32635 deflate`.
    pub summary: String,
    /// Where it lies, for what can be done with files.
    pub location: Option<Location>,
    /// Pixels across and down.
    pub size: (u64, u64),
    /// What its two directions are called, across and down: `x`, `y`; `lon`, `lat`; `time`, `depth`.
    pub directions: [Direction; 2],
    /// Its bands; at least one.
    pub bands: Vec<Band>,
    /// Bands of the first picture, from 1: one, or three for red, green and blue.
    pub first: Vec<usize>,
    /// Dimensions beyond the plane, the slowest first.
    pub axes: Vec<Axis>,
    /// Its own coordinates, in units of [`About::crs`].
    pub place: Place,
    /// Authority and code of its coordinates (`EPSG:32635`), or a name.
    pub crs: Option<String>,
    /// Whether its own coordinates are longitude and latitude.
    pub is_degrees: bool,
    /// Its outline in longitude and latitude, around, without the first position again; empty where it
    /// is not known.
    pub outline: Vec<[f64; 2]>,
    /// How many times as high as wide a pixel is drawn; 0 counts as 1.
    pub aspect: f64,
    /// Pixels across and down of each overview, largest first.
    pub overviews: Vec<(u64, u64)>,
    /// Pixels across and down of what is read as one: a block, a chunk.
    pub block: (u64, u64),
    /// Tables about it: bands, overviews, codec, metadata, the reference system in words.
    pub sheets: Vec<Sheet>,
    /// The rasters that lie in the same object, in its order: variables, pages, resolutions of a product.
    pub parts: Vec<Part>,
    /// Which of them this is.
    pub part: Option<usize>,
}

/// Another raster in the same object.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its name: `sst`, `grid/height`, `10m`.
    pub name: String,
    /// What it is, as its format tells.
    pub about: String,
    /// Its address.
    pub location: Location,
}

/// What one direction of the plane is.
#[derive(Clone, Debug, Default)]
pub struct Direction {
    /// Its name.
    pub name: String,
    /// Unit of its coordinates, where it is known: `m`, `degrees_north`.
    pub unit: Option<String>,
    /// Words for a position that is not told best by a number: a time.
    pub words: Option<Words>,
}

/// A dimension beyond the plane.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Its name: `time`.
    pub name: String,
    /// How many positions there are.
    pub len: u64,
    /// The position shown first.
    pub first: u64,
    /// What a position is: `2024-06-01`, `500 hPa`.
    pub words: Words,
}

/// Words for positions, made when they are drawn.
#[derive(Clone)]
pub struct Words(Arc<dyn Fn(u64) -> String + Send + Sync>);

impl Words {
    /// By a function that is quick: it is called for each frame.
    pub fn new(f: impl Fn(u64) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }

    /// The words for a position.
    pub fn of(&self, position: u64) -> String {
        (self.0)(position)
    }
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Words")
    }
}

/// A band.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Band {
    /// Its description, or `band 1`.
    pub name: String,
    /// Type of its values in short: `u16`.
    pub dtype: String,
    /// The value that means no data.
    pub nodata: Option<f64>,
    /// Unit of the physical value.
    pub unit: Option<String>,
    /// Factor and offset that make what is read physical, where that is still to be done.
    pub scale: Option<(f64, f64)>,
    /// What it means in a picture.
    pub interpretation: Interpretation,
    /// Values that are names and not quantities, each with its colour; empty for quantities. Ordered by value.
    pub classes: Vec<Class>,
}

impl Band {
    /// The physical value of one that was read.
    pub fn physical(&self, value: f64) -> f64 {
        self.scale.map_or(value, |(factor, offset)| value * factor + offset)
    }

    /// The value that is stored for a physical one: the inverse of [`Band::physical`].
    pub fn stored(&self, physical: f64) -> f64 {
        match self.scale {
            Some((factor, offset)) if factor != 0.0 => (physical - offset) / factor,
            _ => physical,
        }
    }
}

/// A value that stands for a thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// The value.
    pub value: f64,
    /// What it stands for, where that is known.
    pub name: Option<String>,
    /// RGBA.
    pub color: [u8; 4],
}

/// A table about a scene: short enough to be held whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sheet {
    /// `bands`, `overviews`.
    pub title: String,
    /// Heads of its columns; without any it is a list of names and values.
    pub columns: Vec<String>,
    /// Rows of as many cells; a row with one cell is a heading.
    pub rows: Vec<Vec<String>>,
}

impl Sheet {
    /// A list of names and values.
    pub fn list(title: &str, rows: impl IntoIterator<Item = (String, String)>) -> Self {
        let row = |(name, value): (String, String)| if value.is_empty() { vec![name] } else { vec![name, value] };
        Self { title: title.to_owned(), columns: Vec::new(), rows: rows.into_iter().map(row).collect() }
    }

    /// A table.
    pub fn table(title: &str, columns: &[&str], rows: Vec<Vec<String>>) -> Self {
        Self { title: title.to_owned(), columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows }
    }
}

impl About {
    /// All of the plane.
    pub fn whole(&self) -> Window {
        Window { x: 0, y: 0, width: self.size.0, height: self.size.1 }
    }

    /// The positions shown first.
    pub fn start(&self) -> Vec<u64> {
        self.axes.iter().map(|axis| axis.first.min(axis.len.saturating_sub(1))).collect()
    }

    /// Fails where a wish is for what is not there.
    pub fn check(&self, wish: &Wish) -> Result<()> {
        crate::raster::check_bands(&wish.bands, self.bands.len())?;
        wish.window.check(self.size)?;
        let fits = wish.at.len() == self.axes.len() && wish.at.iter().zip(&self.axes).all(|(&at, axis)| at < axis.len);
        if fits { Ok(()) } else { Err(Error::usage("there is no such position on its axes")) }
    }
}
