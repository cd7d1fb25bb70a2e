//! Small Zarrs made in memory: keys and their bytes.
#![allow(dead_code, missing_docs, unreachable_pub)]

use secchi::location::Location;
use secchi::store::Stores;
use secchi::task::Control;
use serde_json::{Value, json};
use std::io::Write as _;

/// Keys below the root, with their bytes.
#[derive(Clone, Default)]
pub struct Made {
    pub keys: Vec<(String, Vec<u8>)>,
    /// Documents of the members for consolidated metadata.
    documents: Vec<(String, Value)>,
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).expect("packed");
    packer.finish().expect("packed")
}

pub fn f32s(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

pub fn f64s(values: impl IntoIterator<Item = f64>) -> Vec<u8> {
    values.into_iter().flat_map(f64::to_le_bytes).collect()
}

pub fn i16s(values: impl IntoIterator<Item = i16>) -> Vec<u8> {
    values.into_iter().flat_map(i16::to_le_bytes).collect()
}

pub fn i64s(values: impl IntoIterator<Item = i64>) -> Vec<u8> {
    values.into_iter().flat_map(i64::to_le_bytes).collect()
}

/// Metadata of an array of version 3, its chunks packed by gzip.
#[expect(clippy::needless_pass_by_value, reason = "written in place")]
pub fn array_v3(shape: &[u64], chunks: &[u64], dtype: &str, names: &[&str], attributes: Value) -> Value {
    json!({
        "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": dtype, "fill_value": 0,
        "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": chunks } },
        "chunk_key_encoding": { "name": "default", "configuration": { "separator": "/" } },
        "codecs": [{ "name": "bytes", "configuration": { "endian": "little" } }, { "name": "gzip", "configuration": { "level": 1 } }],
        "dimension_names": names, "attributes": attributes,
    })
}

impl Made {
    pub fn put(&mut self, key: &str, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.keys.push((key.to_owned(), bytes.into()));
        self
    }

    pub fn json(&mut self, key: &str, document: &Value) -> &mut Self {
        self.put(key, serde_json::to_vec(document).expect("JSON"))
    }

    /// An array of version 3, in a group that is consolidated in the end.
    pub fn array(&mut self, path: &str, metadata: Value) -> &mut Self {
        self.json(&format!("{path}/zarr.json"), &metadata);
        self.documents.push((path.to_owned(), metadata));
        self
    }

    /// The root of version 3, with what all arrays say.
    pub fn consolidate(&mut self, attributes: &Value) -> &mut Self {
        let members: serde_json::Map<String, Value> = self.documents.iter().cloned().collect();
        self.json(
            "zarr.json",
            &json!({
                "zarr_format": 3, "node_type": "group", "attributes": attributes,
                "consolidated_metadata": { "kind": "inline", "must_understand": false, "metadata": members },
            }),
        )
    }

    /// Writes it below a location that ends in `/`.
    pub async fn write(&self, stores: &Stores, root: &Location) {
        use object_store::ObjectStoreExt as _;
        let handle = stores.open(root, stores.meter()).await.expect("a store");
        for (key, bytes) in &self.keys {
            let at = root.child(key);
            let path = handle.path(at.key());
            handle.object_store().put(&path, bytes.clone().into()).await.expect(key);
        }
    }

    /// Writes it as files below a folder.
    pub fn write_files(&self, folder: &std::path::Path) {
        for (key, bytes) in &self.keys {
            let file = folder.join(key);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(file, bytes).expect(key);
        }
    }
}

/// What counts from now on.
pub fn counted(stores: &Stores) -> Control {
    Control::new(stores.meter().child())
}

/// Air temperature as a climate model writes it: (time, lat, lon) packed into 16 bits, latitudes that rise,
/// one day of which nothing is stored.
pub fn climate(days: u64, rows: u64, columns: u64) -> Made {
    let mut made = Made::default();
    let attributes = json!({
        "long_name": "Air temperature", "standard_name": "air_temperature", "units": "K", "scale_factor": 0.01,
        "add_offset": 273.15, "_FillValue": -32767,
    });
    let mut metadata =
        array_v3(&[days, rows, columns], &[1, rows, columns], "int16", &["time", "lat", "lon"], attributes);
    metadata["fill_value"] = json!(-32767);
    made.array("tas", metadata);
    for day in (0..days).filter(|day| *day != 2) {
        made.put(
            &format!("tas/c/{day}/0/0"),
            gzip(&i16s((0..rows * columns).map(|at| packed(day, at / columns, at % columns, rows)))),
        );
    }
    let units = json!({ "units": "days since 2000-02-26", "calendar": "noleap", "axis": "T" });
    made.array("time", array_v3(&[days], &[days], "int64", &["time"], units));
    made.put("time/c/0", gzip(&i64s(0..days as i64)));
    let north = |row: u64| -90.0 + 180.0 * (row as f64 + 0.5) / rows as f64;
    made.array("lat", array_v3(&[rows], &[rows], "float64", &["lat"], json!({ "units": "degrees_north" })));
    made.put("lat/c/0", gzip(&f64s((0..rows).map(north))));
    let east = |column: u64| 360.0 * (column as f64 + 0.5) / columns as f64;
    made.array("lon", array_v3(&[columns], &[columns], "float64", &["lon"], json!({ "units": "degrees_east" })));
    made.put("lon/c/0", gzip(&f64s((0..columns).map(east))));
    made.array("level", {
        let mut scalar = array_v3(&[], &[], "float64", &[], json!({ "units": "hPa" }));
        scalar["codecs"] = json!([{ "name": "bytes", "configuration": { "endian": "little" } }]);
        scalar
    });
    made.put("level/c", f64s([850.0]));
    made.consolidate(&json!({ "title": "A small climate", "Conventions": "CF-1.11" }));
    made
}

/// The packed temperature of a place and a day: warm at the equator, a wave that goes east.
fn packed(day: u64, row: u64, column: u64, rows: u64) -> i16 {
    if row == rows / 2 && column == 0 {
        return -32767;
    }
    let lat = (row as f64 + 0.5) / rows as f64 * std::f64::consts::PI;
    let wave = (column as f64 / 7.0 + day as f64 / 3.0).sin();
    (lat.sin() * 4500.0 - 2500.0 + wave * 400.0) as i16
}
