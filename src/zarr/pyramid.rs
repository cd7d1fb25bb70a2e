//! Coarser levels of an array, as `multiscales` name them.
//!
//! <https://ngff.openmicroscopy.org/0.5/index.html#multiscale-md>: `multiscales[0].datasets[].path`, the finest
//! first, in the attributes of the group (in those of version 0.5 below `ome`).

use super::Zarr;
use super::array::Array;
use super::plane::Choice;
use serde_json::Value;

/// Coarser levels that are used.
const LEVELS: usize = 32;

/// The coarser arrays of the pyramid that an array is the finest level of.
pub(super) fn levels(zarr: &Zarr, array: &Array, choice: Choice) -> Vec<Array> {
    let Some((name, mut group)) = array.path().split_last().map(|(name, above)| (name, above.to_vec())) else {
        return Vec::new();
    };
    let mut inner = name.clone();
    // ndpyramid keeps the variable in a group for each level; NGFF's levels are arrays.
    for _ in 0..2 {
        let multiscales = zarr.hierarchy().members.get(&group).and_then(|member| {
            let attributes = &member.attributes;
            attributes.get("multiscales").or_else(|| attributes.get("ome").and_then(|ome| ome.get("multiscales")))
        });
        if let Some(found) = multiscales.and_then(|m| pyramid(zarr, array, &group, &inner, m, choice)) {
            return found;
        }
        let Some(last) = group.pop() else { break };
        inner = format!("{last}/{inner}");
    }
    Vec::new()
}

/// `inner` is the array's path below the group that has the `multiscales`.
fn pyramid(
    zarr: &Zarr,
    array: &Array,
    group: &[String],
    inner: &str,
    multiscales: &Value,
    choice: Choice,
) -> Option<Vec<Array>> {
    let datasets = multiscales.as_array()?.first()?.get("datasets")?.as_array()?;
    let paths: Vec<&str> = datasets.iter().filter_map(|d| d.get("path")?.as_str()).take(LEVELS).collect();
    let own = paths.iter().position(|path| inner == *path || inner.starts_with(&format!("{path}/")))?;
    let below = &inner[paths[own].len()..];
    let mut last = array.about().shape.clone();
    let mut found = Vec::new();
    for path in &paths[own + 1..] {
        let whole: Vec<String> =
            group.iter().cloned().chain(format!("{path}{below}").split('/').map(str::to_owned)).collect();
        let Ok(level) = zarr.array(&whole) else { continue };
        let shape = level.about().shape.clone();
        let same = |(at, (a, b)): (usize, (&u64, &u64))| at == choice.y || at == choice.x || a == b;
        let coarser =
            shape.len() == last.len() && shape[choice.y] <= last[choice.y] && shape[choice.x] <= last[choice.x];
        if coarser && !shape.contains(&0) && shape.iter().zip(&last).enumerate().all(same) {
            found.push(level);
            last = shape;
        }
    }
    Some(found)
}
