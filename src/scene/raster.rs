//! A raster as a scene.

use super::{About, Band, Class, Direction, Part, Place, Scene, Sheet, Window, Wish, axes};
use crate::error::Result;
use crate::location::Location;
use crate::raster::{self, BandInfo, Details, Info, Pixels, Raster, Report, View};
use crate::store::Stores;
use crate::task::Control;
use crate::text;
use futures::future::BoxFuture;
use std::sync::Arc;

/// Bands that are told of in a table.
const MOST_BANDS: usize = 10_000;
/// Other rasters of the object that are told of.
const MOST_PARTS: usize = 2_000;

/// Opens a raster as a scene. Each read fails with [`crate::error::Kind::Limit`] once it has read more than
/// `limit` bytes.
pub async fn open(stores: &Stores, location: &Location, control: &Control, limit: u64) -> Result<Arc<dyn Scene>> {
    let raster = raster::open(stores, location, control, limit).await?;
    of_raster(raster, location, control).await
}

/// A raster that is open as a scene.
pub async fn of_raster(raster: Raster, location: &Location, control: &Control) -> Result<Arc<dyn Scene>> {
    let details = raster.details(control).await?;
    let about = about(raster.info(), &details, location);
    Ok(Arc::new(RasterScene { raster, about }))
}

struct RasterScene {
    raster: Raster,
    about: About,
}

impl RasterScene {
    /// The bands of the file: with axes, a position on them is one.
    fn stored(&self, bands: &[usize], at: &[u64]) -> Vec<usize> {
        if self.about.axes.is_empty() { bands.to_vec() } else { vec![axes::band(&self.about.axes, at); bands.len()] }
    }
}

impl Scene for RasterScene {
    fn about(&self) -> &About {
        &self.about
    }

    fn read(&self, control: &Control, wish: Wish) -> BoxFuture<'static, Result<Pixels>> {
        let (raster, control) = (self.raster.clone(), control.clone());
        let bands = self.stored(&wish.bands, &wish.at);
        let view = View { bands, window: Some(wish.window), pixels: wish.pixels };
        Box::pin(async move { Ok(Pixels { bands: wish.bands, ..raster.view(&control, view).await? }) })
    }

    fn values(
        &self,
        control: &Control,
        bands: Vec<usize>,
        window: Window,
        at: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Vec<f64>>>> {
        let (raster, control, bands) = (self.raster.clone(), control.clone(), self.stored(&bands, &at));
        Box::pin(async move { raster.values(&control, bands, window).await })
    }

    fn degrees(&self, control: &Control, pixels: Vec<[f64; 2]>) -> BoxFuture<'static, Result<Vec<Option<[f64; 2]>>>> {
        let (raster, control, place) = (self.raster.clone(), control.clone(), self.about.place.clone());
        Box::pin(async move {
            let Some(world) = pixels.iter().map(|at| place.world(*at)).collect() else {
                return Ok(vec![None; pixels.len()]);
            };
            raster.to_degrees(&control, world).await
        })
    }

    fn pixels(&self, control: &Control, degrees: Vec<[f64; 2]>) -> BoxFuture<'static, Result<Vec<Option<[f64; 2]>>>> {
        let (raster, control, place) = (self.raster.clone(), control.clone(), self.about.place.clone());
        Box::pin(async move {
            let world = raster.from_degrees(&control, degrees).await?;
            Ok(world.into_iter().map(|at| place.pixel(at?)).collect())
        })
    }
}

fn about(info: &Info, details: &Details, location: &Location) -> About {
    let direction = |name: &str| Direction { name: name.to_owned(), unit: details.unit.clone(), words: None };
    let names = match (info.transform.is_some(), details.is_degrees) {
        (true, true) => ["lon", "lat"],
        (true, false) => ["x", "y"],
        (false, _) => ["column", "row"],
    };
    let place = info.transform.map_or(Place::Nowhere, Place::Affine);
    let mut title = raster::split(location).0.name().to_owned();
    if let Some(part) = &info.part {
        title = format!("{title} ▸ {part}");
    }
    let axes = axes::axes(info);
    let mut bands: Vec<Band> = info.bands.iter().enumerate().map(|(i, b)| band(i + 1, b)).collect();
    if !axes.is_empty() {
        bands.truncate(1);
        // What it is called, and not what one of its positions is.
        let variable =
            info.bands.first().and_then(|band| band.metadata.iter().find(|(key, _)| key == "NETCDF_VARNAME"));
        let name = info.part.clone().or_else(|| variable.map(|(_, name)| name.clone()));
        for band in &mut bands {
            band.name = name.clone().unwrap_or_else(|| "values".to_owned());
        }
    }
    About {
        title,
        summary: info.title(),
        location: Some(location.clone()),
        size: info.size,
        directions: names.map(direction),
        first: if axes.is_empty() { raster::color::default_bands(info, location.name()) } else { vec![1] },
        bands,
        axes,
        aspect: place.aspect(info.size, details.is_degrees),
        place,
        crs: info.crs.clone(),
        is_degrees: details.is_degrees && info.transform.is_some(),
        outline: details.outline.clone(),
        overviews: info.overviews.clone(),
        block: info.block,
        sheets: sheets(info, details),
        parts: parts(info, location),
        part: info.parts.iter().position(|part| Some(&part.name) == info.part.as_ref()),
    }
}

fn parts(info: &Info, location: &Location) -> Vec<Part> {
    let (place, _) = raster::split(location);
    let part = |part: &raster::Part| Part {
        name: part.name.clone(),
        about: part.about.clone(),
        location: raster::part_of(&place, &part.name),
    };
    info.parts.iter().take(MOST_PARTS).map(part).collect()
}

fn band(number: usize, info: &BandInfo) -> Band {
    let name = |value: usize| info.categories.get(value).filter(|name| !name.is_empty()).cloned();
    let class = |(value, color): (usize, &[u8; 4])| Class { value: value as f64, name: name(value), color: *color };
    Band {
        name: info.description.clone().unwrap_or_else(|| format!("band {number}")),
        dtype: raster::short_type(&info.dtype),
        nodata: info.nodata,
        unit: info.unit.clone(),
        scale: info.scale,
        interpretation: info.interpretation,
        classes: info.palette.iter().flatten().enumerate().map(class).collect(),
    }
}

fn sheets(info: &Info, details: &Details) -> Vec<Sheet> {
    let mut sheets = vec![layout(info), bands(info)];
    if !info.overviews.is_empty() {
        sheets.push(overviews(info));
    }
    sheets.extend(info.report.as_ref().map(report));
    sheets.extend(info.bands.iter().enumerate().filter_map(attributes));
    if !details.reference.is_empty() {
        sheets.push(Sheet::list("reference system", details.reference.clone()));
    }
    let mut metadata = Vec::new();
    for (title, rows) in &details.domains {
        metadata.push((title.clone(), String::new()));
        metadata.extend(rows.iter().cloned());
    }
    if !metadata.is_empty() {
        sheets.push(Sheet::list("metadata", metadata));
    }
    sheets
}

fn layout(info: &Info) -> Sheet {
    let mut rows: Vec<(&str, String)> = vec![("format", info.format().to_owned())];
    if info.file_size > 0 {
        rows.push(("size of the object", text::bytes(info.file_size)));
    }
    let (width, height) = info.size;
    rows.push(("pixels", format!("{} × {}", text::count(width), text::count(height))));
    let decoded = info
        .bands
        .iter()
        .map(|b| b.bytes)
        .fold(0_u64, |n, b| n.saturating_add(width.saturating_mul(height).saturating_mul(b)));
    rows.push(("decoded", text::bytes(decoded)));
    rows.push(("blocks", format!("{} × {}", info.block.0, info.block.1)));
    let across = |n: u64, block: u64| n.div_ceil(block.max(1));
    let blocks = across(width, info.block.0).saturating_mul(across(height, info.block.1));
    rows.push(("number of blocks", text::count(blocks)));
    rows.push(("codec", info.compression.clone().unwrap_or_else(|| "none".to_owned()).to_ascii_lowercase()));
    if info.bands.len() > 1 {
        let how = if info.pixel_interleaved { "all bands of a pixel together" } else { "band after band" };
        rows.push(("interleave", how.to_owned()));
    }
    rows.extend(info.crs.clone().map(|crs| ("reference system", crs)));
    if let Some(t) = info.transform {
        let place = Place::Affine(t);
        if let Some([x, y]) = place.step(info.size) {
            rows.push(("pixel size", format!("{} × {}", text_of(x), text_of(y))));
        }
        rows.push(("origin", format!("{}, {}", text_of(t[0]), text_of(t[3]))));
        rows.push(("geotransform", t.map(text_of).join(", ")));
    }
    if let Some([west, south, east, north]) = info.bounds {
        rows.push(("west, south", format!("{west:.6}°, {south:.6}°")));
        rows.push(("east, north", format!("{east:.6}°, {north:.6}°")));
    }
    Sheet::list("layout", rows.into_iter().map(|(name, value)| (name.to_owned(), value)))
}

fn bands(info: &Info) -> Sheet {
    let row = |(index, band): (usize, &BandInfo)| {
        let colors = match &band.palette {
            Some(palette) => format!("palette of {}", palette.len()),
            None => format!("{:?}", band.interpretation).to_lowercase(),
        };
        vec![
            (index + 1).to_string(),
            band.description.clone().unwrap_or_default(),
            raster::short_type(&band.dtype),
            band.nodata.map(text_of).unwrap_or_default(),
            colors,
            band.scale.map(|(factor, offset)| format!("×{factor} {offset:+}")).unwrap_or_default(),
            band.unit.clone().unwrap_or_default(),
        ]
    };
    let rows = info.bands.iter().enumerate().take(MOST_BANDS).map(row).collect();
    Sheet::table("bands", &["band", "name", "type", "nodata", "colour", "scale", "unit"], rows)
}

fn overviews(info: &Info) -> Sheet {
    let row = |(index, (width, height)): (usize, &(u64, u64))| {
        let factor = info.size.0 as f64 / (*width).max(1) as f64;
        vec![
            (index + 1).to_string(),
            format!("{} × {}", text::count(*width), text::count(*height)),
            format!("1 : {}", text_of((factor * 100.0).round() / 100.0)),
        ]
    };
    let rows = info.overviews.iter().enumerate().map(row).collect();
    Sheet::table("overviews", &["overview", "pixels", "scale"], rows)
}

/// Whether it is cloud-optimised, and how its images lie in the file.
fn report(report: &Report) -> Sheet {
    let mut rows = vec![("cloud-optimised".to_owned(), report.verdict())];
    rows.extend(report.errors.iter().map(|why| ("not valid because".to_owned(), why.clone())));
    rows.extend(report.warnings.iter().map(|why| ("could be better".to_owned(), why.clone())));
    rows.extend(report.declared.iter().cloned());
    rows.extend(report.directories.iter().map(|image| {
        let layout = if image.tiled { "tiles" } else { "strips" };
        let what = format!(
            "{} × {} in {} {layout} of {} × {} · {} · at byte {}",
            text::count(image.size.0),
            text::count(image.size.1),
            text::count(image.blocks),
            image.block.0,
            image.block.1,
            image.codec.to_ascii_lowercase(),
            text::count(image.offset),
        );
        (image.kind.name().to_owned(), what)
    }));
    Sheet::list("cloud-optimised", rows)
}

/// The attribute table of a band.
fn attributes((index, band): (usize, &BandInfo)) -> Option<Sheet> {
    let table = band.attributes.as_ref()?;
    let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
    Some(Sheet::table(&format!("attributes of band {}", index + 1), &columns, table.rows.clone()))
}

/// A number as short as it is exact.
fn text_of(value: f64) -> String {
    if value == 0.0 || (1e-5..1e15).contains(&value.abs()) { format!("{value}") } else { format!("{value:e}") }
}
