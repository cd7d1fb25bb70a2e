//! The series of scenes as one Zarr v3 group, laid out as xarray writes it: the array `data`
//! (time, band, y, x) with its coordinates, metadata consolidated in the group.

use super::landscape::{BANDS, PIXEL};
use super::scenes::{SCENES, SERIES};
use super::sink::{About, Sink};
use crate::error::{Error, Kind, Result};
use gdal::spatial_ref::SpatialRef;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use zarrs::array::{Array, IntoArrayBytes};
use zarrs::filesystem::FilesystemStore;
use zarrs::metadata::ArrayMetadata;

/// Key of the group, ending in `/`.
pub(super) const KEY: &str = "zarr/35VLH.zarr/";
/// Rows and columns of a chunk of `data`; as the blocks of the COGs.
const CHUNK: usize = 256;

/// Writes the group. `stack` holds all dates, bands and rows one after another.
pub(super) fn write(sink: &Sink, stack: &[u16]) -> Result<()> {
    sink.control.step("35VLH.zarr");
    let folder = sink.scratch("35VLH.zarr");
    std::fs::create_dir_all(&folder)?;
    let store = Arc::new(FilesystemStore::new(&folder).map_err(failed)?);
    let series: Vec<_> = SCENES.iter().filter(|s| s.in_series()).collect();
    let [_, _, _, north, ..] = SERIES.transform();
    let west = SERIES.transform()[0];
    let centre = |i: usize| (i as f64 + 0.5) * PIXEL;

    let arrays = [
        ("data", data_metadata(series.len())?),
        ("time", time_metadata(series.len())),
        ("band", band_metadata()),
        ("y", metre_metadata("y")),
        ("x", metre_metadata("x")),
        ("spatial_ref", spatial_ref_metadata()?),
    ];
    for (name, metadata) in &arrays {
        write_json(&folder.join(name), metadata)?;
    }
    let open = |name: &str| -> Result<Array<FilesystemStore>> {
        let metadata = arrays.iter().find(|(n, _)| *n == name).map(|(_, m)| m.clone()).unwrap_or_default();
        let metadata: ArrayMetadata = serde_json::from_value(metadata)?;
        Array::new_with_metadata(store.clone(), &format!("/{name}"), metadata).map_err(failed)
    };
    fill(&open("time")?, series.iter().map(|s| s.seconds()).collect::<Vec<_>>())?;
    fill(&open("band")?, BANDS.map(str::to_owned).to_vec())?;
    fill(&open("y")?, (0..SERIES.side).map(|i| north - centre(i)).collect::<Vec<_>>())?;
    fill(&open("x")?, (0..SERIES.side).map(|i| west + centre(i)).collect::<Vec<_>>())?;
    let data = open("data")?;
    let steps = SERIES.side.div_ceil(CHUNK);
    for row in 0..steps {
        for column in 0..steps {
            sink.control.check()?;
            let chunk = cut(stack, series.len() * BANDS.len(), row * CHUNK, column * CHUNK);
            data.store_chunk(&[0, 0, row as u64, column as u64], chunk).map_err(failed)?;
        }
    }
    write_json(&folder, &group_metadata(&arrays))?;
    adopt(sink, &folder, &folder)?;
    sink.control.advance(1);
    Ok(())
}

/// One chunk of all planes, beyond the edge filled with the fill value 0.
fn cut(stack: &[u16], planes: usize, top: usize, left: usize) -> Vec<u16> {
    let side = SERIES.side;
    let (rows, columns) = (CHUNK.min(side - top), CHUNK.min(side - left));
    let mut chunk = vec![0; planes * CHUNK * CHUNK];
    for plane in 0..planes {
        for row in 0..rows {
            let from = (plane * side + top + row) * side + left;
            let to = (plane * CHUNK + row) * CHUNK;
            if let (Some(source), Some(target)) = (stack.get(from..from + columns), chunk.get_mut(to..to + columns)) {
                target.copy_from_slice(source);
            }
        }
    }
    chunk
}

/// Writes an array of one chunk.
fn fill<'a>(array: &Array<FilesystemStore>, values: impl IntoArrayBytes<'a>) -> Result<()> {
    array.store_chunk(&vec![0; array.dimensionality()], values).map_err(failed)
}

/// Moves the group's files to their keys, data before the metadata that announces them.
fn adopt(sink: &Sink, root: &Path, folder: &Path) -> Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            adopt(sink, root, &entry.path())?;
        } else {
            files.push(entry.path());
        }
    }
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
        let json = file.extension().is_some_and(|e| e == "json");
        let about = About::of(if json { "application/json" } else { "application/octet-stream" });
        sink.adopt(&format!("{KEY}{name}"), &file, about)?;
    }
    Ok(())
}

fn failed(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Kind::Failed, format!("writing the Zarr sample failed: {err}")).with_source(err)
}

fn write_json(folder: &Path, metadata: &Value) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    Ok(std::fs::write(folder.join("zarr.json"), serde_json::to_vec_pretty(metadata)?)?)
}

fn array_metadata(shape: &[usize], chunk: &[usize], data_type: &str, fill: &Value) -> Value {
    json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": data_type,
        "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": chunk } },
        "chunk_key_encoding": { "name": "default", "configuration": { "separator": "/" } },
        "fill_value": fill,
        "codecs": [{ "name": "bytes", "configuration": { "endian": "little" } }],
        "attributes": {},
        "dimension_names": [],
        "storage_transformers": [],
    })
}

fn data_metadata(times: usize) -> Result<Value> {
    let shape = [times, BANDS.len(), SERIES.side, SERIES.side];
    let mut metadata = array_metadata(&shape, &[times, BANDS.len(), CHUNK, CHUNK], "uint16", &json!(0));
    metadata["codecs"] = json!([
        { "name": "bytes", "configuration": { "endian": "little" } },
        { "name": "blosc", "configuration":
            { "cname": "lz4", "clevel": 5, "shuffle": "bitshuffle", "typesize": 2, "blocksize": 0 } },
    ]);
    metadata["dimension_names"] = json!(["time", "band", "y", "x"]);
    metadata["attributes"] = json!({
        "long_name": "top-of-atmosphere reflectance, an invented landscape",
        "units": "1",
        "scale_factor": 0.0001,
        "add_offset": -0.1,
        "grid_mapping": "spatial_ref",
        "proj:code": "EPSG:32635",
        "spatial:transform": transform()?,
    });
    Ok(metadata)
}

/// The affine transform in the order of rasterio and STAC.
fn transform() -> Result<Value> {
    let [west, dx, rx, north, ry, dy] = SERIES.transform();
    Ok(serde_json::to_value([dx, rx, west, ry, dy, north])?)
}

fn time_metadata(times: usize) -> Value {
    let mut metadata = array_metadata(&[times], &[times], "int64", &json!(0));
    metadata["dimension_names"] = json!(["time"]);
    metadata["attributes"] = json!({
        "standard_name": "time", "units": "seconds since 1970-01-01T00:00:00", "calendar": "proleptic_gregorian",
    });
    metadata
}

fn band_metadata() -> Value {
    let mut metadata = array_metadata(&[BANDS.len()], &[BANDS.len()], "string", &json!(""));
    metadata["codecs"] = json!([{ "name": "vlen-utf8" }]);
    metadata["dimension_names"] = json!(["band"]);
    metadata["attributes"] = json!({ "long_name": "band of the multispectral instrument" });
    metadata
}

fn metre_metadata(axis: &str) -> Value {
    let mut metadata = array_metadata(&[SERIES.side], &[SERIES.side], "float64", &json!(0.0));
    metadata["dimension_names"] = json!([axis]);
    metadata["attributes"] = json!({ "standard_name": format!("projection_{axis}_coordinate"), "units": "metre", "axis": axis.to_uppercase() });
    metadata
}

/// The grid mapping of the CF conventions: a scalar without values, only attributes.
fn spatial_ref_metadata() -> Result<Value> {
    let wkt = SpatialRef::from_epsg(32635).and_then(|s| s.to_wkt()).map_err(super::sink::gdal)?;
    let geo_transform = SERIES.transform().map(|v| v.to_string()).join(" ");
    let mut metadata = array_metadata(&[], &[], "int64", &json!(0));
    metadata["attributes"] = json!({
        "grid_mapping_name": "transverse_mercator", "crs_wkt": wkt, "spatial_ref": wkt, "GeoTransform": geo_transform,
    });
    Ok(metadata)
}

fn group_metadata(arrays: &[(&str, Value)]) -> Value {
    let members: serde_json::Map<String, Value> = arrays.iter().map(|(n, m)| ((*n).to_owned(), m.clone())).collect();
    json!({
        "zarr_format": 3,
        "node_type": "group",
        "attributes": { "title": "Sentinel-2-like series of tile 35VLH, June 2024 (sample data of secchi)", "Conventions": "CF-1.11" },
        "consolidated_metadata": { "kind": "inline", "must_understand": false, "metadata": members },
    })
}
