//! Stations as `GeoParquet` 1.1 (<https://geoparquet.org/releases/v1.1.0/>): WKB points with a bounding
//! box column that readers may filter by, several row groups in the order of place, page indexes.

use super::ctd::Station;
use super::sink::{About, Sink};
use crate::error::{Error, Kind, Result};
use arrow::array::{
    ArrayRef, BinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, RecordBatch, StringArray, StructArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Fields};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::sync::Arc;

/// Its key.
pub(super) const KEY: &str = "ctd/stations.parquet";
/// Rows of a row group: small, so that a map's window needs only some of them.
const GROUP: usize = 256;

/// Writes the stations, near ones near each other.
pub(super) fn write(sink: &Sink, mut stations: Vec<Station>) -> Result<()> {
    stations.sort_by_key(|s| (((s.lon + 180.0) / 24.0) as i32, ((s.lat + 90.0) * 1000.0) as i32));
    let bytes = encode(&stations)
        .map_err(|err| Error::new(Kind::Failed, "writing the GeoParquet sample failed").with_source(err))?;
    sink.put(KEY, &bytes, About::of("application/vnd.apache.parquet"))?;
    sink.control.advance(1);
    Ok(())
}

fn encode(stations: &[Station]) -> Result<Vec<u8>, parquet::errors::ParquetError> {
    let batch = batch(stations)?;
    let level = ZstdLevel::try_new(3)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(GROUP))
        .set_data_page_row_count_limit(64)
        .set_write_batch_size(64)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_key_value_metadata(Some(vec![KeyValue::new("geo".to_owned(), geo(stations).to_string())]))
        .build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(out)
}

/// Metadata of the `geo` key.
fn geo(stations: &[Station]) -> serde_json::Value {
    let bounds = stations.iter().fold([180.0_f64, 90.0, -180.0, -90.0], |b, s| {
        [b[0].min(s.lon), b[1].min(s.lat), b[2].max(s.lon), b[3].max(s.lat)]
    });
    serde_json::json!({
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": { "geometry": {
            "encoding": "WKB",
            "geometry_types": ["Point"],
            "bbox": bounds,
            "covering": { "bbox": {
                "xmin": ["bbox", "xmin"], "ymin": ["bbox", "ymin"], "xmax": ["bbox", "xmax"], "ymax": ["bbox", "ymax"],
            } },
        } },
    })
}

fn batch(stations: &[Station]) -> Result<RecordBatch, arrow::error::ArrowError> {
    fn column<T>(stations: &[Station], f: impl Fn(&Station) -> T) -> impl Iterator<Item = T> {
        stations.iter().map(f)
    }
    let first = |f: fn(&super::ctd::Bottle) -> Option<f64>| {
        stations.iter().map(|s| s.bottles.first().and_then(f).map(|v| v as f32)).collect::<Float32Array>()
    };
    let least_oxygen =
        stations.iter().map(|s| s.bottles.iter().filter_map(|b| b.oxygen).min_by(f64::total_cmp).map(|v| v as f32));
    let times = TimestampMillisecondArray::from_iter_values(column(stations, |s| s.time * 1000)).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("expocode", Arc::new(StringArray::from_iter_values(column(stations, |s| s.expocode)))),
        ("cruise", Arc::new(Int32Array::from_iter_values(column(stations, |s| s.cruise)))),
        ("station", Arc::new(Int32Array::from_iter_values(column(stations, |s| s.number)))),
        ("time", Arc::new(times)),
        ("latitude", Arc::new(Float64Array::from_iter_values(column(stations, |s| s.lat)))),
        ("longitude", Arc::new(Float64Array::from_iter_values(column(stations, |s| s.lon)))),
        ("bottom_depth", Arc::new(Float32Array::from_iter_values(column(stations, |s| s.bottom as f32)))),
        ("bottles", Arc::new(Int16Array::from_iter_values(column(stations, |s| s.bottles.len() as i16)))),
        ("surface_temperature", Arc::new(first(|b| Some(b.temperature)))),
        ("surface_salinity", Arc::new(first(|b| b.salinity))),
        ("surface_nitrate", Arc::new(first(|b| b.nitrate))),
        ("least_oxygen", Arc::new(least_oxygen.collect::<Float32Array>())),
        ("geometry", Arc::new(BinaryArray::from_iter_values(column(stations, wkb)))),
        ("bbox", Arc::new(boxes(stations)?)),
    ];
    RecordBatch::try_from_iter(columns)
}

fn boxes(stations: &[Station]) -> Result<StructArray, arrow::error::ArrowError> {
    let fields: Fields =
        ["xmin", "ymin", "xmax", "ymax"].map(|name| Field::new(name, DataType::Float64, false)).into_iter().collect();
    let lon: ArrayRef = Arc::new(Float64Array::from_iter_values(stations.iter().map(|s| s.lon)));
    let lat: ArrayRef = Arc::new(Float64Array::from_iter_values(stations.iter().map(|s| s.lat)));
    StructArray::try_new(fields, vec![lon.clone(), lat.clone(), lon, lat], None)
}

/// A point as well-known binary, little-endian.
fn wkb(station: &Station) -> Vec<u8> {
    let mut out = vec![1, 1, 0, 0, 0];
    out.extend_from_slice(&station.lon.to_le_bytes());
    out.extend_from_slice(&station.lat.to_le_bytes());
    out
}
