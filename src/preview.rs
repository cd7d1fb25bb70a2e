//! A look at one thing: the contract of a [`Previewer`] and the few shapes a [`Preview`] has.
//! The table of formats is [`crate::previews`].

use crate::error::Result;
use crate::location::Location;
use crate::meter::{Cost, Meter};
use crate::store::Stores;
use crate::task::Control;
use bytes::Bytes;
use futures::future::BoxFuture;

pub use crate::facts::Facts;
pub use crate::picture::Picture;
pub use crate::probe::Probe;
pub use crate::table::{Column, Table};

/// What is wished to be seen, and how the loading is counted and stopped.
#[derive(Clone)]
pub struct Ask {
    /// The thing.
    pub probe: Probe,
    /// Rows of a table wanted.
    pub rows: usize,
    /// Lines of a text wanted; `None` for all that its first read holds.
    pub lines: Option<usize>,
    /// Rows or lines to skip first.
    pub offset: u64,
    /// Columns wanted, by name; `None` for all (a previewer may stop at a number that it tells).
    pub columns: Option<Vec<String>>,
    /// Bands shown as red, green, blue (one-based), or one band; `None` for the format's default.
    pub bands: Option<Vec<usize>>,
    /// Width and height in pixels that the picture should not exceed.
    pub pixels: (u32, u32),
    /// Bytes that a preview may read before it gives up with [`crate::error::Kind::Limit`].
    pub max_bytes: u64,
    /// Whether all that is told of a picture is wanted, such as where it lies, even if it costs more requests.
    pub whole: bool,
    /// Counts requests and bytes; cancels.
    pub control: Control,
}

impl Ask {
    /// With the usual limits: 100 rows, 512 x 512 pixels, 64 MiB.
    pub fn new(probe: Probe, meter: Meter) -> Self {
        Self {
            probe,
            rows: 100,
            lines: None,
            offset: 0,
            columns: None,
            bands: None,
            pixels: (512, 512),
            max_bytes: 64 << 20,
            whole: false,
            control: Control::new(meter),
        }
    }
}

/// A format that can be looked at.
pub struct Previewer {
    /// Its name: `parquet`.
    pub name: &'static str,
    /// Whether it is for this thing. Asked first with the name alone, then with the first bytes.
    pub matches: fn(&Probe) -> bool,
    /// Loads what was asked for.
    pub load: fn(Stores, Ask) -> BoxFuture<'static, Result<Preview>>,
}

/// A preview with what it cost.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Name of the format that made it.
    pub format: &'static str,
    /// What is shown.
    pub preview: Preview,
    /// Requests, bytes, milliseconds.
    pub cost: Cost,
}

/// The shapes of a preview.
#[derive(Clone, Debug)]
pub enum Preview {
    /// Lines of text.
    Text(Text),
    /// Names and values.
    Facts(Facts),
    /// Bytes.
    Hex(Hex),
    /// Rows and columns.
    Table(Table),
    /// A picture, with or without georeferencing.
    Raster(Raster),
    /// Nested things: a Zarr group, a JSON document, a STAC item.
    Tree(Tree),
}

/// Text, decoded and cut.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// Lines, not cleaned of control characters: drawing does that.
    pub lines: Vec<String>,
    /// How it is coloured.
    pub language: Language,
    /// Whether there is more than is held here.
    pub truncated: bool,
}

/// How a text is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Not at all.
    #[default]
    Plain,
    /// JSON.
    Json,
    /// XML.
    Xml,
    /// Markdown.
    Markdown,
    /// TOML and INI.
    Toml,
}

/// Bytes as they are.
#[derive(Clone, Debug, Default)]
pub struct Hex {
    /// Offset of the first byte.
    pub offset: u64,
    /// The bytes.
    pub bytes: Bytes,
    /// Size of the whole, where known.
    pub size: Option<u64>,
}

/// A picture and what it is of.
#[derive(Clone, Debug)]
pub struct Raster {
    /// Format, size, bands, CRS, codec, blocks, overviews.
    pub facts: Facts,
    /// The picture, already stretched and coloured; nodata is transparent.
    pub picture: Picture,
    /// Width and height of the whole in its own pixels.
    pub size: (u64, u64),
    /// Its bands.
    pub bands: Vec<Band>,
    /// Authority and code (`EPSG:32635`) or a name.
    pub crs: Option<String>,
    /// West, south, east, north in degrees (CRS84), where it is georeferenced.
    pub bounds: Option<[f64; 4]>,
    /// Affine geotransform in GDAL's order, in units of the CRS.
    pub transform: Option<[f64; 6]>,
    /// How values became colours: "bands 1,2,3 · 2–98 %".
    pub stretch: String,
}

/// A band of a raster.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Band {
    /// Its description, or `band 1`.
    pub name: String,
    /// Data type: `UInt16`.
    pub dtype: String,
    /// Value that means no data.
    pub nodata: Option<f64>,
    /// Smallest value of the pixels read.
    pub min: Option<f64>,
    /// Largest value of the pixels read.
    pub max: Option<f64>,
    /// Mean of the pixels read.
    pub mean: Option<f64>,
    /// Standard deviation of the pixels read, of all of them (divided by their number).
    pub std: Option<f64>,
    /// Whether every pixel was read; otherwise what is said of values is of an overview, and approximate.
    pub exact: Option<bool>,
}

/// Nested things, flattened depth first.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// What stands above them.
    pub facts: Facts,
    /// The nodes in the order drawn.
    pub nodes: Vec<Node>,
}

/// A node of a [`Tree`].
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Node {
    /// 0 for the root's children.
    pub depth: u16,
    /// Its name.
    pub name: String,
    /// What stands beside it: shape, type, chunks; a value.
    pub detail: String,
    /// Where it leads, if anywhere.
    pub target: Option<Location>,
}
