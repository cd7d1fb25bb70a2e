//! Two dimensions of an array as a picture, the others as axes with positions. North is up where the
//! coordinates tell; coarser levels (OME-NGFF and ndpyramid's `multiscales`) serve as overviews.
//!
//! A plane is opened with what its picture needs: which way its rows lead. All other coordinates are read when the
//! picture is there ([`Scene::rest`]): each of them costs a request.

mod about;

use super::Zarr;
use super::array::Array;
use super::grid::Grid;
use super::pyramid::levels;
use super::read::{Afford, Span, Values};
use super::ruler::Ruler;
use crate::error::{Error, Kind, Result};
use crate::scene::{self, Pixels, Place, Rest, Scene, Window, Wish};
use crate::task::Control;
use futures::future::BoxFuture;
use std::sync::{Arc, OnceLock};

/// Longest dimension of names that are bands instead of positions on an axis.
const MOST_BANDS: u64 = 16;
/// Names of such dimensions.
const BANDS: [&str; 5] = ["band", "bands", "channel", "channels", "c"];

/// Which dimensions are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The one that leads down.
    pub y: usize,
    /// The one that leads to the right.
    pub x: usize,
}

/// A plane of an array. Clones share.
#[derive(Clone)]
pub struct Plane(Arc<Inner>);

/// What was read of coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// What the picture needs.
    Upright,
    /// Where its pixels lie, and what its bands are called.
    Placed,
    /// Also what the positions on its axes are called.
    Named,
}

#[derive(Clone)]
struct Inner {
    zarr: Zarr,
    array: Array,
    /// From fine to coarse, without the array itself.
    levels: Vec<Array>,
    choice: Choice,
    /// The dimension whose positions are bands.
    band: Option<usize>,
    /// The dimensions of the scene's axes.
    axes: Vec<usize>,
    /// Whether rows and columns are turned round.
    flip: (bool, bool),
    about: scene::About,
    /// Coordinates of all dimensions, as far as they were read.
    rulers: Arc<[OnceLock<Ruler>]>,
    /// Coordinates in both dimensions, where it has such.
    grid: Option<Grid>,
    known: Known,
}

impl Plane {
    /// Opens a plane of an array: by its coordinates, else the last two dimensions. Reads no values but those
    /// coordinates that tell which way its rows lead.
    pub async fn open(zarr: &Zarr, path: &[String], choice: Option<Choice>, control: &Control) -> Result<Self> {
        let array = zarr.array(path)?;
        let shape = &array.about().shape;
        if array.is_text() {
            return Err(Error::unsupported("its values are text: there is no picture of them"));
        }
        if shape.len() < 2 {
            return Err(Error::usage("a picture needs two dimensions"));
        }
        if shape.contains(&0) {
            return Err(Error::invalid("the array is empty"));
        }
        let bare: Vec<Ruler> = (0..shape.len()).map(|at| Ruler::bare(zarr, &array, at)).collect();
        let choice = choice.unwrap_or_else(|| chosen(&bare));
        if choice.y == choice.x || choice.y.max(choice.x) >= shape.len() {
            return Err(Error::usage("a picture needs two different dimensions"));
        }
        let band = bare.iter().enumerate().position(|(at, ruler)| {
            let is_free = at != choice.y && at != choice.x && (2..=MOST_BANDS).contains(&ruler.len);
            is_free && BANDS.contains(&ruler.name.to_ascii_lowercase().as_str())
        });
        let rulers: Arc<[OnceLock<Ruler>]> = (0..shape.len()).map(|_| OnceLock::new()).collect();
        let axes: Vec<usize> =
            (0..shape.len()).filter(|at| ![Some(choice.y), Some(choice.x), band].contains(&Some(*at))).collect();
        let mut plane = Inner {
            zarr: zarr.clone(),
            levels: levels(zarr, &array, choice),
            grid: Grid::find(zarr, &array, choice),
            array,
            choice,
            band,
            axes,
            flip: (false, false),
            about: scene::About::default(),
            rulers,
            known: Known::Upright,
        };
        plane.flip.0 = control.race(async { Ok::<_, Error>(plane.is_south_up(control).await) }).await?;
        plane.about = plane.describe();
        Ok(Self(Arc::new(plane)))
    }

    /// The dimensions that are seen where nobody chooses; `None` where there is no picture.
    pub fn natural(zarr: &Zarr, array: &Array) -> Option<Choice> {
        let dimensions = array.about().shape.len();
        let rulers: Vec<Ruler> = (0..dimensions).map(|at| Ruler::bare(zarr, array, at)).collect();
        (dimensions > 1 && !array.is_text()).then(|| chosen(&rulers))
    }

    /// The array.
    pub fn array(&self) -> &Array {
        &self.0.array
    }

    /// Which dimensions are seen.
    pub fn choice(&self) -> Choice {
        self.0.choice
    }

    /// The same with all that tells where its pixels lie: coordinates across, names of bands, the grid's edges.
    pub async fn placed(&self, control: &Control) -> Result<Self> {
        let mut plane = Inner::clone(&self.0);
        let names = async {
            if let Some(band) = plane.band {
                plane.learn(band, control).await;
            }
        };
        let outline = async { Box::pin(plane.grid.as_ref()?.outline(control)).await.ok() };
        let (choice, known) = (plane.choice, &plane);
        let all = async {
            Ok::<_, Error>(futures::join!(
                known.learn(choice.y, control),
                known.learn(choice.x, control),
                names,
                outline
            ))
        };
        let (.., outline) = control.race(all).await?;
        plane.flip.1 = is_turned(&plane.ruler(choice.x), 'X', true);
        plane.known = Known::Placed;
        plane.about = plane.describe();
        if let Some(outline) = outline {
            plane.about.outline = outline;
        }
        Ok(Self(Arc::new(plane)))
    }

    /// Reads the coordinates of the axes, so that their positions have words from then on.
    pub async fn name_axes(&self, control: &Control) -> Result<()> {
        for &at in &self.0.axes {
            let learned = async {
                self.0.learn(at, control).await;
                Ok::<_, Error>(())
            };
            control.race(learned).await?;
        }
        Ok(())
    }
}

/// The dimensions that lead north and east; the last two where nothing tells.
fn chosen(rulers: &[Ruler]) -> Choice {
    let last = rulers.len() - 1;
    let find = |axis: char| rulers.iter().rposition(|ruler| ruler.axis == Some(axis) && ruler.len > 1);
    match (find('Y'), find('X')) {
        (Some(y), Some(x)) => Choice { y, x },
        (Some(y), None) if y != last => Choice { y, x: last },
        (None, Some(x)) if x != last => Choice { y: last, x },
        _ => Choice { y: last - 1, x: last },
    }
}

/// Whether positions are counted against the way they are drawn: north up, east to the right.
fn is_turned(ruler: &Ruler, axis: char, rises: bool) -> bool {
    ruler.axis == Some(axis) && ruler.rises().is_some_and(|r| r != rises)
}

impl Inner {
    /// Reads the coordinates of a dimension once. Those that cannot be read are no reason to show nothing.
    async fn learn(&self, at: usize, control: &Control) {
        if self.rulers[at].get().is_none() {
            let read = Box::pin(Ruler::read(&self.zarr, &self.array, at, control)).await;
            let _ = self.rulers[at].set(read.unwrap_or_else(|_| Ruler::bare(&self.zarr, &self.array, at)));
        }
    }

    /// Whether its rows lead north, so that they are drawn from the last to the first.
    async fn is_south_up(&self, control: &Control) -> bool {
        let at = self.choice.y;
        let bare = Ruler::bare(&self.zarr, &self.array, at);
        // The rows of a grid may lead anywhere: it tells itself.
        if let Some(grid) = self.grid.as_ref().filter(|_| !bare.has_values) {
            return grid.rises(control).await.unwrap_or_default().unwrap_or_default();
        }
        if bare.axis != Some('Y') {
            return false;
        }
        self.learn(at, control).await;
        is_turned(&self.ruler(at), 'Y', false)
    }

    /// The column and row of the array that pixel coordinates lie in.
    fn cell(&self, at: [f64; 2]) -> Option<(u64, u64)> {
        let (width, height) = self.about.size;
        let inside = (0.0..width as f64).contains(&at[0]) && (0.0..height as f64).contains(&at[1]);
        let turn = |at: f64, len: u64, turned: bool| if turned { len - 1 - at as u64 } else { at as u64 };
        inside.then(|| (turn(at[0], width, self.flip.1), turn(at[1], height, self.flip.0)))
    }

    /// The array whose resolution is just enough for `pixels` of the window, and its number.
    fn level(&self, window: Window, pixels: (u64, u64)) -> (Option<usize>, &Array) {
        let full = self.about.size;
        let enough = |level: &&Array| {
            let (columns, rows) = (level.about().shape[self.choice.x], level.about().shape[self.choice.y]);
            let seen =
                |part: u64, all: u64, whole: u64| (u128::from(part) * u128::from(all) / u128::from(whole)) as u64;
            seen(window.width, columns, full.0) >= pixels.0 && seen(window.height, rows, full.1) >= pixels.1
        };
        match self.levels.iter().rposition(|level| enough(&level)) {
            Some(at) => (Some(at), &self.levels[at]),
            None => (None, &self.array),
        }
    }

    /// The part of a level that a window is, with at most so many positions.
    fn spans(&self, level: &Array, window: Window, pixels: (u64, u64), band: u64, at: &[u64]) -> Vec<Span> {
        let shape = &level.about().shape;
        let full = self.about.size;
        let span = |dimension: usize, start: u64, len: u64, whole: u64, most: u64, turned: bool| {
            let size = shape[dimension];
            let start = if turned { whole - start - len } else { start };
            let scaled = |n: u64| (u128::from(n) * u128::from(size) / u128::from(whole)) as u64;
            let first = scaled(start).min(size - 1);
            let end = scaled(start + len).max(first + 1).min(size);
            Span::at_most(first, end - first, most)
        };
        let mut spans: Vec<Span> = shape.iter().map(|_| Span::one(0)).collect();
        spans[self.choice.y] = span(self.choice.y, window.y, window.height, full.1, pixels.1, self.flip.0);
        spans[self.choice.x] = span(self.choice.x, window.x, window.width, full.0, pixels.0, self.flip.1);
        for (dimension, position) in self.axes.iter().zip(at) {
            spans[*dimension] = Span::one((*position).min(shape[*dimension] - 1));
        }
        if let Some(dimension) = self.band {
            spans[dimension] = Span::one(band.min(shape[dimension] - 1));
        }
        spans
    }

    /// Rows from what was read, the first on top.
    fn rows(&self, values: Values) -> Vec<f64> {
        let (height, width) = (values.shape[self.choice.y] as usize, values.shape[self.choice.x] as usize);
        let upright = self.choice.y < self.choice.x;
        if upright && self.flip == (false, false) {
            return values.numbers;
        }
        let mut out = Vec::with_capacity(values.numbers.len());
        for row in 0..height {
            let row = if self.flip.0 { height - 1 - row } else { row };
            for column in 0..width {
                let column = if self.flip.1 { width - 1 - column } else { column };
                let at = if upright { row * width + column } else { column * height + row };
                out.push(values.numbers[at]);
            }
        }
        out
    }

    async fn picture(&self, control: &Control, wish: &Wish) -> Result<Pixels> {
        let pixels = fitted(wish.window, wish.pixels);
        let (overview, level) = self.level(wish.window, pixels);
        let mut values = Vec::new();
        let mut size = (0, 0);
        for band in &wish.bands {
            let spans = self.spans(level, wish.window, pixels, *band as u64 - 1, &wish.at);
            size = (spans[self.choice.x].count as usize, spans[self.choice.y].count as usize);
            let read = level.read(control, &spans, Afford::LOOK).await?;
            values.push(self.rows(read).into_iter().map(|v| v as f32).collect());
        }
        Ok(Pixels { width: size.0, height: size.1, bands: wish.bands.clone(), values, alpha: None, overview })
    }
}

/// Pixels across and down for a window: its shape kept, nothing enlarged.
fn fitted(window: Window, most: (u32, u32)) -> (u64, u64) {
    let scale = (f64::from(most.0.max(1)) / window.width as f64).min(f64::from(most.1.max(1)) / window.height as f64);
    let side = |n: u64| ((n as f64 * scale.min(1.0)).round() as u64).clamp(1, n);
    (side(window.width), side(window.height))
}

impl Scene for Plane {
    fn about(&self) -> &scene::About {
        &self.0.about
    }

    fn rest(&self, control: &Control) -> Option<BoxFuture<'static, Result<Rest>>> {
        let (plane, control) = (self.clone(), control.clone());
        match self.0.known {
            Known::Named => None,
            Known::Upright => Some(Box::pin(async move {
                let placed = plane.placed(&control).await?;
                let same_pixels = placed.0.flip == plane.0.flip;
                Ok(Rest { scene: Arc::new(placed), same_pixels })
            })),
            Known::Placed => Some(Box::pin(async move {
                plane.name_axes(&control).await?;
                let named = Inner { known: Known::Named, ..Inner::clone(&plane.0) };
                Ok(Rest { scene: Arc::new(Self(Arc::new(named))), same_pixels: true })
            })),
        }
    }

    fn degrees(&self, control: &Control, pixels: Vec<[f64; 2]>) -> BoxFuture<'static, Result<Vec<Option<[f64; 2]>>>> {
        let (inner, control) = (self.0.clone(), control.clone());
        Box::pin(async move {
            let Some(grid) = &inner.grid else {
                let place = if inner.about.is_degrees { &inner.about.place } else { &Place::Nowhere };
                return Ok(pixels.into_iter().map(|at| place.world(at)).collect());
            };
            let mut found = Vec::with_capacity(pixels.len());
            for at in pixels {
                found.push(match inner.cell(at) {
                    Some(cell) => grid.at(&control, cell).await?,
                    None => None,
                });
            }
            Ok(found)
        })
    }

    fn read(&self, control: &Control, wish: Wish) -> BoxFuture<'static, Result<Pixels>> {
        let (inner, control) = (self.0.clone(), control.clone());
        Box::pin(async move {
            inner.about.check(&wish)?;
            inner.picture(&control, &wish).await
        })
    }

    fn values(
        &self,
        control: &Control,
        bands: Vec<usize>,
        window: Window,
        at: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Vec<f64>>>> {
        let (inner, control) = (self.0.clone(), control.clone());
        Box::pin(async move {
            inner.about.check(&Wish { bands: bands.clone(), window, pixels: (1, 1), at: at.clone() })?;
            if window.width.saturating_mul(window.height) > 64 << 20 {
                return Err(Error::new(Kind::Limit, "so many values are not read at once"));
            }
            let mut out = Vec::with_capacity(bands.len());
            for band in bands {
                let spans = inner.spans(&inner.array, window, (window.width, window.height), band as u64 - 1, &at);
                let read = inner.array.read(&control, &spans, Afford::EXACT).await?;
                out.push(inner.rows(read));
            }
            Ok(out)
        })
    }
}
