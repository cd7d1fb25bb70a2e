//! What is known of an array beyond its metadata: its coordinates, its value or its first names.

use crate::error::Result;
use crate::task::Control;
use crate::text;
use crate::zarr::{Afford, Choice, Grid, Path, Plane, Ruler, Zarr};

/// Names that are shown of an array of text.
const NAMES: u64 = 6;

/// What was read of an array.
#[derive(Default)]
pub(super) struct Detail {
    /// Name, length, and first and last coordinate of each dimension.
    pub(super) dimensions: Vec<(String, u64, Option<String>)>,
    /// The one value of an array without dimensions.
    pub(super) value: Option<String>,
    /// The first names of an array of text.
    pub(super) names: Vec<String>,
    /// The dimensions of a picture of it.
    pub(super) choice: Option<Choice>,
    /// Longitudes and latitudes of a picture's edges, where each of its pixels has its own.
    pub(super) edges: Vec<[f64; 2]>,
}

impl Detail {
    pub(super) async fn read(zarr: &Zarr, path: &Path, control: &Control) -> Result<Self> {
        let array = zarr.array(path)?;
        let shape = array.about().shape.clone();
        let mut detail = Self { choice: Plane::natural(zarr, &array), ..Self::default() };
        if shape.is_empty() && !array.is_text() {
            let read = array.read(control, &[], Afford::LOOK).await?;
            detail.value = read.numbers.first().map(|value| array.encoding().words(*value));
        }
        if shape.len() == 1 && array.is_text() {
            let names = array.read_text(control, NAMES.min(shape[0])).await?;
            detail.names = names.iter().map(|name| text::fit(&text::clean(name), 60).into_owned()).collect();
        }
        for (at, len) in shape.iter().enumerate() {
            // Coordinates that cannot be read are no reason to show nothing.
            let ruler = Ruler::read(zarr, &array, at, control).await.unwrap_or_else(|_| Ruler::bare(zarr, &array, at));
            let own = ruler.range();
            let range = match own {
                None if shape.len() == 1 && !array.is_text() && array.about().dimensions.first() == path.last() => {
                    let values = Ruler::of_values(&array, control).await?;
                    values.range()
                }
                known => known,
            };
            detail.dimensions.push((ruler.name.clone(), *len, range));
        }
        if let Some(grid) = detail.choice.and_then(|choice| Grid::find(zarr, &array, choice)) {
            detail.edges = grid.outline(control).await.unwrap_or_default();
        }
        Ok(detail)
    }
}
