//! Which chunks of an array exist: what its folder holds, counted while it is listed.

use super::array::Array;
use crate::error::{Error, Result};
use crate::task::Control;
use futures::stream::{self, BoxStream, StreamExt as _};
use std::time::{Duration, Instant};

/// Cells of the map along one side at most, and of one that is a line.
const CELLS: u64 = 256;
const LINE: u64 = 4_096;
/// Shards whose index is read to tell how full they are.
const LOOKED_INTO: usize = 24;
/// Objects that are listed.
const MOST: u64 = 20_000_000;
/// So often what was found is told.
const EVERY: Duration = Duration::from_millis(200);

/// What is stored of an array, as far as it was listed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    /// Objects (shards or chunks) along each dimension, if all were stored.
    pub grid: Vec<u64>,
    /// How many exist.
    pub objects: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Keys that are no chunks of it.
    pub stray: u64,
    /// The dimensions that lead down and to the right on the map: the two with most objects, none where there are
    /// not two with several.
    pub sides: (Option<usize>, Option<usize>),
    /// Rows and columns of the map; several positions in one cell where there are many.
    pub size: (usize, usize),
    /// Objects found in each cell, over all other dimensions, row by row.
    pub cells: Vec<u32>,
    /// Chunks found in the shards that were looked into, and how many these could hold.
    pub inner: Option<(u64, u64)>,
    /// Whether all was listed.
    pub done: bool,
}

impl Stored {
    fn new(grid: Vec<u64>) -> Self {
        let mut order: Vec<usize> = (0..grid.len()).filter(|at| grid[*at] > 1).collect();
        // Of dimensions that are as long the last are those of a plane.
        order.sort_by_key(|at| (grid[*at], *at));
        let mut longest = order.split_off(order.len().saturating_sub(2));
        longest.sort_unstable();
        let sides = match longest[..] {
            [y, x] => (Some(y), Some(x)),
            [x] => (None, Some(x)),
            _ => (None, None),
        };
        let most = if sides.0.is_some() { CELLS } else { LINE };
        let side = |at: Option<usize>| at.map_or(1, |at| grid[at]).clamp(1, most) as usize;
        let size = (side(sides.0), side(sides.1));
        Self { cells: vec![0; size.0 * size.1], sides, size, grid, ..Self::default() }
    }

    /// How many objects there are if all are stored; saturates.
    pub fn whole(&self) -> u64 {
        self.grid.iter().fold(1, |n, side| n.saturating_mul(*side))
    }

    /// The share that exists, 0 to 1.
    pub fn share(&self) -> f64 {
        self.objects as f64 / self.whole().max(1) as f64
    }

    /// The share of a cell's objects that exists, 0 to 1.
    pub fn cell(&self, row: usize, column: usize) -> f64 {
        let side = |at: Option<usize>| at.map_or(1, |at| self.grid[at]);
        let in_bin = |position: usize, bins: usize, len: u64| {
            let edge = |i: usize| (i as u128 * u128::from(len)).div_ceil(bins as u128);
            (edge(position + 1) - edge(position)) as f64
        };
        let others = self.grid.iter().enumerate().filter(|(at, _)| ![self.sides.0, self.sides.1].contains(&Some(*at)));
        let others: f64 = others.map(|(_, side)| *side as f64).product();
        let here =
            in_bin(row, self.size.0, side(self.sides.0)) * in_bin(column, self.size.1, side(self.sides.1)) * others;
        f64::from(self.cells.get(row * self.size.1 + column).copied().unwrap_or(0)) / here.max(1.0)
    }

    fn add(&mut self, name: &str, size: u64) {
        let Some(index) = index_of(name, &self.grid) else {
            self.stray += u64::from(!is_document(name));
            return;
        };
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(size);
        let bin = |at: Option<usize>, bins: usize| {
            at.map_or(0, |at| (u128::from(index[at]) * bins as u128 / u128::from(self.grid[at].max(1))) as usize)
        };
        let (row, column) = (bin(self.sides.0, self.size.0), bin(self.sides.1, self.size.1));
        let cell = row * self.size.1 + column;
        if let Some(cell) = self.cells.get_mut(cell) {
            *cell = cell.saturating_add(1);
        }
    }
}

fn is_document(name: &str) -> bool {
    [".zarray", ".zattrs", "zarr.json", ".zgroup", ".zmetadata"].contains(&name)
}

/// The index of a chunk by its name: `c/0/1`, `0.1`, `0/1`; `None` for what is none, or outside the grid.
pub(super) fn index_of(name: &str, grid: &[u64]) -> Option<Vec<u64>> {
    let rest = match name.strip_prefix('c') {
        Some(rest) => rest.strip_prefix(['/', '.']).unwrap_or(rest),
        None => name,
    };
    if grid.is_empty() {
        return matches!(rest, "" | "0").then(Vec::new);
    }
    let index: Vec<u64> = rest.split(['/', '.']).map(str::parse).collect::<Result<_, _>>().ok()?;
    let inside = index.len() == grid.len() && index.iter().zip(grid).all(|(at, side)| at < side);
    inside.then_some(index)
}

/// Lists an array's chunks: what was found so far, now and then, and at last all of it.
pub fn stored(array: &Array, control: &Control) -> BoxStream<'static, Result<Stored>> {
    let inner = array.0.clone();
    if !inner.source.can_list() {
        let why = match inner.source.kind() {
            "" => "a web server does not tell which chunks exist",
            _ => "references in tables tell which chunks exist only as they are read",
        };
        let err = Error::unsupported(why);
        return stream::once(std::future::ready(Err(err))).boxed();
    }
    let folder: String = inner.path.iter().flat_map(|name| [name.as_str(), "/"]).collect();
    let keys = inner.source.list(&folder);
    let state = (Stored::new(inner.about.grid_shape()), Some(keys), Vec::<Vec<u64>>::new());
    let control = control.clone();
    stream::unfold(state, move |(mut stored, mut keys, mut shards)| {
        let (inner, control) = (inner.clone(), control.clone());
        async move {
            let mut pages = keys.take()?;
            let started = Instant::now();
            loop {
                match control.race(async { Ok::<_, Error>(pages.next().await) }).await {
                    Ok(Some(Ok(page))) => {
                        for (name, size) in &page {
                            stored.add(name, *size);
                            if shards.len() < LOOKED_INTO && inner.shards.is_some() {
                                shards.extend(index_of(name, &stored.grid));
                            }
                        }
                    }
                    Ok(Some(Err(err))) | Err(err) => return Some((Err(err), (stored, None, shards))),
                    Ok(None) => break,
                }
                if stored.objects > MOST {
                    break;
                }
                if started.elapsed() > EVERY {
                    return Some((Ok(stored.clone()), (stored, Some(pages), shards)));
                }
            }
            stored.done = true;
            if let Some(codec) = &inner.shards {
                let capacity: u64 = codec.counts.iter().product();
                let mut found = (0, 0);
                for shard in &shards {
                    let Ok(Some(index)) = inner.index(shard, &control).await else { continue };
                    found.0 += index.iter().filter(|place| **place != (u64::MAX, u64::MAX)).count() as u64;
                    found.1 += capacity;
                }
                stored.inner = Some(found);
            }
            Some((Ok(stored.clone()), (stored, None, shards)))
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_chunks_are_told_from_others() {
        let grid = [2, 3];
        for name in ["c/1/2", "c.1.2", "1.2", "1/2"] {
            assert_eq!(index_of(name, &grid), Some(vec![1, 2]), "{name}");
        }
        for name in ["c/2/0", "1", "1.2.3", "zarr.json", "c/a/b", "c/1/-1", ""] {
            assert_eq!(index_of(name, &grid), None, "{name}");
        }
        assert_eq!((index_of("c", &[]), index_of("0", &[])), (Some(vec![]), Some(vec![])));
    }

    #[test]
    fn cells_tell_the_share_that_exists() {
        let mut stored = Stored::new(vec![4, 1000, 3]);
        for name in ["c/0/0/0", "c/1/0/0", "c/0/1/0", "zarr.json", "junk"] {
            stored.add(name, 10);
        }
        assert_eq!((stored.objects, stored.bytes, stored.stray), (3, 30, 1));
        assert_eq!((stored.sides, stored.size, stored.whole()), ((Some(0), Some(1)), (4, 256), 12_000));
        // Four positions in the first cell, over three of the last dimension.
        assert!((stored.cell(0, 0) - 2.0 / 12.0).abs() < 1e-9 && stored.cell(2, 0) < 1e-9);
        assert_eq!(Stored::new(vec![5, 1, 7, 1]).sides, (Some(0), Some(2)));
        assert_eq!((Stored::new(vec![9_000, 1]).size, Stored::new(vec![3_000]).sides), ((1, 4_096), (None, Some(0))));
        assert_eq!(Stored::new(vec![]).size, (1, 1));
        assert_eq!(Stored::new(vec![0]).whole(), 0);
    }
}
