//! A static STAC catalog, version 1.1.0, of the samples; all links are relative, so that it can be
//! copied with them.

use super::landscape::BANDS;
use super::scenes::{SCENES, Scene};
use super::sink::{About, Sink, gdal};
use super::{ctd, dem, pictures, safe, stations, zarr};
use crate::error::Result;
use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};
use serde_json::{Value, json};

/// Key of the root.
pub(super) const ROOT: &str = "stac/catalog.json";
const VERSION: &str = "1.1.0";
const PROJECTION: &str = "https://stac-extensions.github.io/projection/v2.0.0/schema.json";
const CLOUDS: &str = "https://stac-extensions.github.io/eo/v2.0.0/schema.json";
const FILE: &str = "https://stac-extensions.github.io/file/v2.1.0/schema.json";
const COG_TYPE: &str = "image/tiff; application=geotiff; profile=cloud-optimized";
const PARQUET_TYPE: &str = "application/vnd.apache.parquet";

/// Writes the catalog. It may be written before what it leads to: then sizes are left out, and
/// written when it is written again.
pub(super) fn write(sink: &Sink) -> Result<()> {
    sink.control.step("a STAC catalog");
    let scenes: Vec<(String, Value)> = SCENES.iter().map(|s| Ok((s.id(), scene(sink, s)?))).collect::<Result<_>>()?;
    collection(
        sink,
        "sentinel-2-l1c",
        "Sentinel-2-like scenes of tile 35VLH",
        "Seven dates of one invented landscape, as cloud-optimized GeoTIFFs and as Zarr.",
        scenes,
        json!({
            "zarr": asset(sink, zarr::KEY, "Six dates as one Zarr v3 group", "application/vnd.zarr; version=3", &["data"]),
            "safe": asset(sink, &format!("{}manifest.safe", safe::KEY), "One date as a SAFE product", "application/xml", &["metadata"]),
        }),
    )?;
    let terrain = vec![("secchi-dem".to_owned(), terrain(sink)?)];
    collection(sink, "dem", "Elevation", "Heights around a lake without data.", terrain, json!({}))?;
    let bottles = vec![("bottles".to_owned(), bottles(sink))];
    collection(sink, "hydrography", "Hydrography", "Bottle data of invented cruises.", bottles, json!({}))?;

    let children = [
        ("sentinel-2-l1c", "Sentinel-2-like scenes of tile 35VLH"),
        ("dem", "Elevation"),
        ("hydrography", "Hydrography"),
    ];
    let mut links = vec![
        link("root", "./catalog.json", "application/json", None),
        link("self", "./catalog.json", "application/json", None),
    ];
    links.extend(
        children.map(|(id, title)| link("child", &format!("./{id}/collection.json"), "application/json", Some(title))),
    );
    let root = json!({
        "type": "Catalog",
        "stac_version": VERSION,
        "id": "secchi-demo",
        "title": "A lake of samples",
        "description": "Everything that `secchi demo` generates, by what it is. The places and values are invented.",
        "links": links,
    });
    put(sink, ROOT, &root)
}

fn put(sink: &Sink, key: &str, document: &Value) -> Result<()> {
    let geo = document["type"] == "Feature";
    let about = About::of(if geo { "application/geo+json" } else { "application/json" });
    sink.put(key, &serde_json::to_vec_pretty(document)?, about)
}

fn link(rel: &str, href: &str, media_type: &str, title: Option<&str>) -> Value {
    let mut link = json!({ "rel": rel, "href": href, "type": media_type });
    if let Some(title) = title {
        link["title"] = title.into();
    }
    link
}

/// Writes a collection and its items.
fn collection(
    sink: &Sink,
    id: &str,
    title: &str,
    description: &str,
    items: Vec<(String, Value)>,
    mut assets: Value,
) -> Result<()> {
    let mut links = vec![
        link("root", "../catalog.json", "application/json", Some("A lake of samples")),
        link("parent", "../catalog.json", "application/json", Some("A lake of samples")),
        link("self", "./collection.json", "application/json", None),
    ];
    let mut bounds = [180.0_f64, 90.0, -180.0, -90.0];
    let mut times = Vec::new();
    for (item_id, mut item) in items {
        links.push(link(
            "item",
            &format!("./{item_id}/{item_id}.json"),
            "application/geo+json",
            item["properties"]["title"].as_str(),
        ));
        let side = |i: usize| item["bbox"][i].as_f64().unwrap_or_default();
        bounds = [bounds[0].min(side(0)), bounds[1].min(side(1)), bounds[2].max(side(2)), bounds[3].max(side(3))];
        for key in ["datetime", "start_datetime", "end_datetime"] {
            times.extend(item["properties"][key].as_str().map(str::to_owned));
        }
        item["collection"] = id.into();
        item["links"] = json!([
            link("root", "../../catalog.json", "application/json", Some("A lake of samples")),
            link("parent", "../collection.json", "application/json", Some(title)),
            link("collection", "../collection.json", "application/json", Some(title)),
            link("self", &format!("./{item_id}.json"), "application/geo+json", None),
        ]);
        climb(&mut item["assets"], "../../../");
        put(sink, &format!("stac/{id}/{item_id}/{item_id}.json"), &item)?;
    }
    times.sort();
    climb(&mut assets, "../../");
    let document = json!({
        "type": "Collection",
        "stac_version": VERSION,
        "stac_extensions": [FILE],
        "id": id,
        "title": title,
        "description": description,
        "keywords": ["sample", "invented"],
        "license": "CC0-1.0",
        "providers": [{ "name": "secchi demo", "roles": ["producer", "host"] }],
        "extent": {
            "spatial": { "bbox": [bounds] },
            "temporal": { "interval": [[times.first(), times.last()]] },
        },
        "links": links,
        "assets": assets,
    });
    put(sink, &format!("stac/{id}/collection.json"), &document)
}

/// An asset whose link is yet the key; [`climb`] makes it relative.
fn asset(sink: &Sink, key: &str, title: &str, media_type: &str, roles: &[&str]) -> Value {
    let mut asset = json!({ "href": key, "title": title, "type": media_type, "roles": roles });
    if let Some(size) = sink.size(key) {
        asset["file:size"] = size.into();
    }
    asset
}

fn climb(assets: &mut Value, up: &str) {
    for asset in assets.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        let key = asset["href"].as_str().unwrap_or_default();
        asset["href"] = format!("{up}{key}").into();
    }
}

/// What the projection extension says of a grid, and the item's geometry and box.
fn place(code: u32, transform: [f64; 6], side: usize) -> Result<(Value, Value, Value)> {
    let [west, dx, rx, north, ry, dy] = transform;
    let (east, south) = (west + dx * side as f64, north + dy * side as f64);
    let mut x = [west, east, east, west, west];
    let mut y = [south, south, north, north, south];
    let degrees = to_degrees(code, &mut x, &mut y);
    degrees.map_err(gdal)?;
    let round = |v: f64| (v * 1e6).round() / 1e6;
    let ring: Vec<[f64; 2]> = x.iter().zip(&y).map(|(x, y)| [round(*x), round(*y)]).collect();
    let low = |v: &[f64]| round(v.iter().copied().fold(f64::INFINITY, f64::min));
    let high = |v: &[f64]| round(v.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    let bbox = json!([low(&x), low(&y), high(&x), high(&y)]);
    let projection = json!({
        "proj:code": format!("EPSG:{code}"),
        "proj:shape": [side, side],
        "proj:transform": [dx, rx, west, ry, dy, north],
        "proj:bbox": [west, south, east, north],
    });
    Ok((projection, json!({ "type": "Polygon", "coordinates": [ring] }), bbox))
}

fn to_degrees(code: u32, x: &mut [f64], y: &mut [f64]) -> gdal::errors::Result<()> {
    let mut from = SpatialRef::from_epsg(code)?;
    let mut to = SpatialRef::from_epsg(4326)?;
    for reference in [&mut from, &mut to] {
        reference.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    }
    CoordTransform::new(&from, &to)?.transform_coords(x, y, &mut [])
}

fn item(id: &str, extensions: &[&str], geometry: &Value, bbox: &Value, properties: &Value, assets: &Value) -> Value {
    json!({
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": extensions,
        "id": id,
        "geometry": geometry,
        "bbox": bbox,
        "properties": properties,
        "links": [],
        "assets": assets,
    })
}

/// `properties` with the fields of `more`.
fn with(mut properties: Value, more: Value) -> Value {
    if let (Some(all), Value::Object(more)) = (properties.as_object_mut(), more) {
        all.extend(more);
    }
    properties
}

fn scene(sink: &Sink, scene: &Scene) -> Result<Value> {
    let (projection, geometry, bbox) = place(32635, scene.window.transform(), scene.window.side)?;
    let properties = json!({
        "title": format!("2024-{:02}-{:02}, {:.0} % clouds", scene.month, scene.day, scene.sky.clouds * 100.0),
        "datetime": scene.datetime(),
        "platform": "sentinel-2a",
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "gsd": 10,
        "eo:cloud_cover": scene.sky.clouds * 100.0,
        "s2:mgrs_tile": "35VLH",
    });
    let bands: Vec<Value> = BANDS
        .iter()
        .zip([("blue", 0.492), ("green", 0.560), ("red", 0.665), ("nir", 0.833)])
        .map(|(name, (common, centre))| json!({ "name": name, "eo:common_name": common, "eo:center_wavelength": centre }))
        .collect();
    let mut data = asset(sink, &scene.cog(), "Blue, green, red and near infrared, 10 m", COG_TYPE, &["data"]);
    data["bands"] = bands.into();
    data["data_type"] = "uint16".into();
    data["nodata"] = 0.into();
    data["raster:scale"] = json!(0.0001);
    data["raster:offset"] = json!(-0.1);
    let assets = json!({
        "data": data,
        "thumbnail": asset(sink, &scene.thumbnail(), "True colour", "image/png", &["thumbnail"]),
    });
    let raster = "https://stac-extensions.github.io/raster/v2.0.0/schema.json";
    let extensions = [PROJECTION, CLOUDS, raster, FILE];
    Ok(item(&scene.id(), &extensions, &geometry, &bbox, &with(properties, projection), &assets))
}

fn terrain(sink: &Sink) -> Result<Value> {
    let (projection, geometry, bbox) = place(3067, dem::TRANSFORM, dem::SIDE)?;
    let properties = json!({ "title": "Worn mountains around a lake", "datetime": "2024-01-01T00:00:00Z", "gsd": 10 });
    let mut data = asset(sink, dem::KEY, "Height in metres", COG_TYPE, &["data"]);
    data["data_type"] = "float32".into();
    data["nodata"] = json!(-9999);
    data["unit"] = "m".into();
    let assets = json!({ "data": data });
    Ok(item("secchi-dem", &[PROJECTION, FILE], &geometry, &bbox, &with(properties, projection), &assets))
}

fn bottles(sink: &Sink) -> Value {
    let properties = json!({
        "title": "Bottle data of fifteen invented cruises",
        "datetime": null,
        "start_datetime": "2005-01-03T04:00:00Z",
        "end_datetime": "2018-12-31T00:00:00Z",
    });
    let assets = json!({
        "stations": asset(sink, stations::KEY, "Stations as GeoParquet", PARQUET_TYPE, &["data"]),
        "bottles": asset(sink, ctd::KEY, "Bottles in the columns of GLODAP", "text/csv", &["data"]),
        "overview": asset(sink, pictures::DISK, "What it began with", "image/png", &["overview"]),
    });
    let ring = [[-180, -78], [180, -78], [180, 89], [-180, 89], [-180, -78]];
    let geometry = json!({ "type": "Polygon", "coordinates": [ring] });
    item("bottles", &[FILE], &geometry, &json!([-180, -78, 180, 89]), &properties, &assets)
}
