//! What a raster is, from its header alone.

use super::place::{Way, between};
use super::report::Report;
use super::world::Placed;
use crate::error::{Error, Result};
use crate::store::gdal as vsi;
use gdal::raster::{ColorInterpretation, GdalDataType, RasterBand};
use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, Metadata};

/// What a raster is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Info {
    /// GDAL's short name of the format: `GTiff`.
    pub driver: String,
    /// Whether its parts are laid out as a cloud-optimised `GeoTIFF`, as its writer declared.
    pub cog: bool,
    /// Pixels across and down.
    pub size: (u64, u64),
    /// Its bands.
    pub bands: Vec<BandInfo>,
    /// Authority and code (`EPSG:32635`), or the name of the system.
    pub crs: Option<String>,
    /// Affine geotransform in GDAL's order, in units of the CRS.
    pub transform: Option<[f64; 6]>,
    /// West, south, east, north in degrees (CRS84). West is greater than east where it crosses the
    /// antimeridian (RFC 7946, 5.2).
    pub bounds: Option<[f64; 4]>,
    /// Pixels across and down of each overview, largest first.
    pub overviews: Vec<(u64, u64)>,
    /// Pixels across and down of a block.
    pub block: (u64, u64),
    /// Codec: `DEFLATE`.
    pub compression: Option<String>,
    /// Whether all bands of a pixel are stored together.
    pub pixel_interleaved: bool,
    /// Dataset metadata, `(key, value)`.
    pub metadata: Vec<(String, String)>,
    /// Bytes of the object.
    pub file_size: u64,
    /// The part that was opened, where the object holds several rasters.
    pub part: Option<String>,
    /// All parts of such an object; [`super::part_of`] gives their addresses.
    pub parts: Vec<Part>,
    /// The coordinate reference system in words: name, kind, unit, datum, ellipsoid, area.
    pub crs_words: Vec<(String, String)>,
    /// How a TIFF is laid out, as far as its header told when it was opened: see [`super::Raster::report`].
    pub report: Option<Report>,
}

/// One raster of an object that holds several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Its name within: `sst`, `grid/height`.
    pub name: String,
    /// What the format's driver says of it.
    pub about: String,
}

/// What a band is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BandInfo {
    /// Its description, if it has one: `B04`.
    pub description: Option<String>,
    /// GDAL's name of its type: `UInt16`.
    pub dtype: String,
    /// Bytes of a value.
    pub bytes: u64,
    /// Value that means no data.
    pub nodata: Option<f64>,
    /// What it means in a picture.
    pub interpretation: Interpretation,
    /// RGBA by value, for a palette.
    pub palette: Option<Vec<[u8; 4]>>,
    /// Factor and offset that turn stored values into physical ones, where they do something.
    pub scale: Option<(f64, f64)>,
    /// Unit of the physical value.
    pub unit: Option<String>,
    /// Whether every pixel is valid: no alpha, mask or nodata value.
    pub all_valid: bool,
    /// Band metadata, `(key, value)`.
    pub metadata: Vec<(String, String)>,
    /// Names of its values, from 0 on.
    pub categories: Vec<String>,
    /// Its raster attribute table.
    pub attributes: Option<Attributes>,
}

/// A raster attribute table: a row for each value or range of values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Values of each row, as text.
    pub rows: Vec<Vec<String>>,
}

/// What a band means in a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpretation {
    /// Nothing in particular, or gray.
    #[default]
    Gray,
    /// An index into a palette.
    Palette,
    /// Red.
    Red,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Opacity.
    Alpha,
    /// A component of another colour space.
    Other,
}

impl Info {
    /// Type in short: `u16`, `f32`; the first band's.
    pub fn short_type(&self) -> String {
        self.bands.first().map(|b| short_type(&b.dtype)).unwrap_or_default()
    }

    /// Format in words: `COG`, `GeoTIFF`, `JPEG 2000`.
    pub fn format(&self) -> &str {
        match self.driver.as_str() {
            "GTiff" if self.cog => "COG",
            "GTiff" if self.transform.is_some() || self.crs.is_some() => "GeoTIFF",
            "GTiff" => "TIFF",
            "JP2OpenJPEG" => "JPEG 2000",
            "HDF5Image" => "HDF5",
            other => other,
        }
    }

    /// One line: `COG 10980×10980 u16 ×4 EPSG:32635 deflate`.
    pub fn title(&self) -> String {
        let mut parts = vec![self.format().to_owned(), format!("{}×{}", self.size.0, self.size.1), self.short_type()];
        if self.bands.len() > 1 {
            parts.push(format!("×{}", self.bands.len()));
        }
        parts.extend(self.crs.clone());
        parts.extend(self.compression.as_ref().map(|c| c.to_ascii_lowercase()));
        parts.join(" ")
    }

    /// Bytes of one decoded block, with all bands that are stored in it.
    pub(super) fn block_bytes(&self) -> u64 {
        let bands = if self.pixel_interleaved { self.bands.len() as u64 } else { 1 };
        let value = self.bands.iter().map(|b| b.bytes).max().unwrap_or(1);
        [self.block.1, bands, value].iter().fold(self.block.0, |n, &f| n.saturating_mul(f))
    }
}

/// `UInt16` as `u16`.
pub fn short_type(name: &str) -> String {
    let short = match name {
        "Byte" | "UInt8" => "u8",
        "Int8" => "i8",
        "UInt16" => "u16",
        "Int16" => "i16",
        "UInt32" => "u32",
        "Int32" => "i32",
        "UInt64" => "u64",
        "Int64" => "i64",
        "Float32" => "f32",
        "Float64" => "f64",
        other => other,
    };
    short.to_owned()
}

/// Reads everything from an open dataset, and from its overviews' headers.
pub(super) fn read(dataset: &Dataset) -> Result<Info> {
    let size = dataset.raster_size();
    let first = dataset.rasterband(1).map_err(|err| Error::invalid("it has no bands").with_source(err))?;
    let overviews = overviews(&first);
    let block = first.block_size();
    let bands: Vec<BandInfo> =
        dataset.rasterbands().enumerate().filter_map(|(i, b)| b.ok().map(|b| band(&b, i < MOST_CLOSELY))).collect();
    let structure = |key: &str| dataset.metadata_item(key, "IMAGE_STRUCTURE");
    let transform = dataset.geo_transform().ok().filter(is_meaningful);
    let srs = dataset.spatial_ref().ok();
    let size = (size.0 as u64, size.1 as u64);
    let mut info = Info {
        driver: dataset.driver().short_name(),
        cog: structure("LAYOUT").is_some_and(|l| l == "COG"),
        size,
        crs: None,
        bounds: None,
        transform,
        overviews,
        block: (block.0 as u64, block.1 as u64),
        compression: structure("COMPRESSION"),
        pixel_interleaved: bands.len() > 1 && structure("INTERLEAVE").is_some_and(|i| i == "PIXEL"),
        bands,
        metadata: pairs(dataset),
        file_size: 0,
        part: None,
        parts: Vec::new(),
        crs_words: Vec::new(),
        report: None,
    };
    refer(&mut info, srs.as_ref());
    Ok(info)
}

/// Has GDAL set up, and does once what a reference system needs of PROJ, which opens its database for each thread: that
/// takes milliseconds, which can pass while the first bytes of a raster are on their way. Again it costs little.
pub(super) fn warm() {
    // Any that is projected, and a place in it.
    const EPSG: u32 = 32_632;
    const PLACE: [f64; 6] = [500_000.0, 10.0, 0.0, 5_500_000.0, 0.0, -10.0];
    vsi::quietly(|| {
        let Ok(srs) = SpatialRef::from_epsg(EPSG) else { return };
        let _ = (name_of(&srs), words(&srs), bounds(&srs, &PLACE, (1, 1)));
    });
}

/// Overviews that are looked at, and bands whose values have names.
const MOST_OVERVIEWS: i32 = 64;
const MOST_CLOSELY: usize = 64;

fn overviews(band: &RasterBand<'_>) -> Vec<(u64, u64)> {
    let count = band.overview_count().unwrap_or(0).clamp(0, MOST_OVERVIEWS);
    let found = (0..usize::try_from(count).unwrap_or(0)).filter_map(|i| band.overview(i).ok());
    found.map(|o| (o.x_size() as u64, o.y_size() as u64)).collect()
}

/// A coordinate reference system as a person would tell it.
pub(super) fn words(srs: &SpatialRef) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut row = |name: &str, value: Option<String>| {
        out.extend(value.filter(|v| !v.is_empty()).map(|value| (name.to_owned(), value)));
    };
    row("Name", srs.name());
    let kinds = [
        (srs.is_compound(), "compound"),
        (srs.is_geocentric(), "geocentric"),
        (srs.is_projected(), "projected"),
        (srs.is_geographic(), "geographic"),
        (srs.is_local(), "local"),
    ];
    row("Kind", kinds.iter().find(|(is, _)| *is).map(|(_, word)| (*word).to_owned()));
    let attribute = |path: &str| srs.get_attr_value(path, 0).ok().flatten().map(|v| v.replace('_', " "));
    row("Projection", attribute("PROJECTION"));
    row("Unit", if srs.is_geographic() { srs.angular_units_name() } else { srs.linear_units_name() });
    row("Datum", attribute("DATUM"));
    row("Ellipsoid", attribute("SPHEROID"));
    row("Prime meridian", attribute("PRIMEM"));
    let area = srs.area_of_use().map(|a| {
        format!(
            "{} ({:.1} {:.1} {:.1} {:.1})",
            a.name, a.west_lon_degree, a.south_lat_degree, a.east_lon_degree, a.north_lat_degree
        )
    });
    row("Area of use", area);
    out
}

fn band(band: &RasterBand<'_>, closely: bool) -> BandInfo {
    let kind = band.band_type();
    let (scale, offset) = (band.scale().unwrap_or(1.0), band.offset().unwrap_or(0.0));
    let moved = (scale - 1.0).abs() > f64::EPSILON || offset != 0.0;
    let metadata = pairs(band);
    let description = band.description().ok().filter(|d| !d.is_empty());
    let grib = grib(&metadata, description.as_deref().unwrap_or_default());
    let (description, unit) = grib.map_or((description, band.unit()), |(name, unit)| (Some(name), unit));
    BandInfo {
        description,
        dtype: if kind == GdalDataType::UInt8 { "UInt8".to_owned() } else { kind.name() },
        bytes: u64::from(kind.bytes()),
        nodata: nodata(band, kind),
        interpretation: match band.color_interpretation() {
            ColorInterpretation::Undefined | ColorInterpretation::GrayIndex => Interpretation::Gray,
            ColorInterpretation::PaletteIndex => Interpretation::Palette,
            ColorInterpretation::RedBand => Interpretation::Red,
            ColorInterpretation::GreenBand => Interpretation::Green,
            ColorInterpretation::BlueBand => Interpretation::Blue,
            ColorInterpretation::AlphaBand => Interpretation::Alpha,
            _ => Interpretation::Other,
        },
        palette: palette(band),
        scale: moved.then_some((scale, offset)),
        unit: Some(unit).filter(|u| !u.is_empty()),
        all_valid: band.mask_flags().is_ok_and(|f| f.is_all_valid()),
        metadata,
        categories: if closely { vsi::category_names(band) } else { Vec::new() },
        attributes: if closely {
            vsi::attribute_table(band).map(|(columns, rows)| Attributes { columns, rows })
        } else {
            None
        },
    }
}

/// What GDAL's driver of GRIB tells of a band, as its name, `TMP 2 m HTGL 2024-06-03 06:00`, and its unit; GDAL's own
/// description is the level alone: `2[m] HTGL="Specified height level above ground"`.
fn grib(metadata: &[(String, String)], level: &str) -> Option<(String, String)> {
    let item = |name: &str| metadata.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let level = level.split('=').next().unwrap_or_default();
    let level = level.replace("0[-] ", "").replace("[-]", "").replace('[', " ").replace(']', "");
    let seconds = item("GRIB_VALID_TIME").and_then(|text| text.split_whitespace().next()?.parse().ok());
    let time = seconds.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    let time = time.map(|time| time.format("%Y-%m-%d %H:%M").to_string()).unwrap_or_default();
    let name = [item("GRIB_ELEMENT")?, level.trim(), &time];
    let name: Vec<&str> = name.into_iter().filter(|part| !part.is_empty()).collect();
    let unit = item("GRIB_UNIT").unwrap_or_default().trim_matches(['[', ']', '-', ' ']);
    Some((name.join(" "), unit.to_owned()))
}

fn nodata(band: &RasterBand<'_>, kind: GdalDataType) -> Option<f64> {
    match kind {
        GdalDataType::UInt64 => band.no_data_value_u64().map(|n| n as f64),
        GdalDataType::Int64 => band.no_data_value_i64().map(|n| n as f64),
        _ => band.no_data_value(),
    }
}

fn palette(band: &RasterBand<'_>) -> Option<Vec<[u8; 4]>> {
    let table = band.color_table()?;
    let byte = |v: i16| v.clamp(0, 255) as u8;
    let entry = |i| table.entry_as_rgb(i).map_or([0; 4], |e| [byte(e.r), byte(e.g), byte(e.b), byte(e.a)]);
    Some((0..table.entry_count().min(1 << 16)).map(entry).collect())
}

fn pairs(of: &impl Metadata) -> Vec<(String, String)> {
    let lines = of.metadata_domain("").unwrap_or_default();
    lines.iter().filter_map(|l| l.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Whether a geotransform places the raster: finite, and not the default of a plain picture.
fn is_meaningful(t: &[f64; 6]) -> bool {
    let finite = t.iter().all(|v| v.is_finite());
    let area = t[1] * t[5] - t[2] * t[4];
    let default = [0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    finite && area != 0.0 && t.iter().zip(default).any(|(a, b)| (a - b).abs() > f64::EPSILON)
}

fn name_of(srs: &SpatialRef) -> Option<String> {
    let code = srs.authority().ok().or_else(|| {
        let mut known = srs.clone();
        known.auto_identify_epsg().ok()?;
        known.authority().ok()
    });
    let named = code.or_else(|| srs.name()).filter(|n| !matches!(n.as_str(), "" | "unnamed" | "unknown"));
    // One that nobody named is told by its parameters.
    named.or_else(|| srs.to_proj4().ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// Gives a picture the place that a world file beside it tells; the reference system is returned.
pub(super) fn place(info: &mut Info, placed: &Placed) -> Option<SpatialRef> {
    info.transform = Some(placed.transform).filter(is_meaningful);
    let srs = placed.wkt.as_deref().and_then(|wkt| vsi::quietly(|| SpatialRef::from_esri(wkt)).0.ok());
    refer(info, srs.as_ref());
    srs
}

/// What else follows from a reference system.
fn refer(info: &mut Info, srs: Option<&SpatialRef>) {
    info.crs = srs.and_then(name_of);
    info.bounds = srs.zip(info.transform).and_then(|(srs, t)| bounds(srs, &t, info.size));
    info.crs_words = srs.map(words).unwrap_or_default();
}

/// Units of latitudes and longitudes (CF 1.11, 4.1 and 4.2).
const NORTH: [&str; 6] = ["degrees_north", "degree_north", "degree_N", "degrees_N", "degreeN", "degreesN"];
const EAST: [&str; 6] = ["degrees_east", "degree_east", "degree_E", "degrees_E", "degreeE", "degreesE"];

/// The reference system of a netCDF that names none and whose axes are latitudes and longitudes, as CF allows: on which
/// ellipsoid is left open there, and that of WGS 84 is what everybody takes.
pub(super) fn refer_to_degrees(dataset: &Dataset, info: &mut Info) -> Option<SpatialRef> {
    let [x, dx, shear_x, y, shear_y, dy] = info.transform?;
    // Two-dimensional latitudes and longitudes say nothing of the axes.
    let is_curved = dataset.metadata_domain("GEOLOCATION").is_some_and(|domain| !domain.is_empty());
    if info.driver != "netCDF" || info.crs.is_some() || is_curved || shear_x != 0.0 || shear_y != 0.0 {
        return None;
    }
    let units = |known: [&str; 6]| {
        info.metadata.iter().any(|(key, unit)| key.ends_with("#units") && known.contains(&unit.as_str()))
    };
    let within = |from: f64, step: f64, count: u64, limit: f64| {
        let most = limit + step.abs();
        [from, from + step * count as f64].iter().all(|at| at.abs() <= most)
    };
    if !units(NORTH) || !units(EAST) || !within(x, dx, info.size.0, 360.0) || !within(y, dy, info.size.1, 90.0) {
        return None;
    }
    let srs = SpatialRef::from_epsg(4326).ok()?;
    refer(info, Some(&srs));
    info.crs_words.push(("Known from".to_owned(), "the units of its axes; no datum is named".to_owned()));
    Some(srs)
}

/// Bounds in degrees: the outline with 21 points on each edge, so that edges that bend in degrees
/// are not cut; poles and the antimeridian are GDAL's business.
fn bounds(srs: &SpatialRef, t: &[f64; 6], size: (u64, u64)) -> Option<[f64; 4]> {
    const POINTS: i32 = 21;
    let (w, h) = (size.0 as f64, size.1 as f64);
    let corners =
        [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)].map(|(x, y)| (t[0] + x * t[1] + y * t[2], t[3] + x * t[4] + y * t[5]));
    let mut b = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    for (x, y) in corners {
        b = [b[0].min(x), b[1].min(y), b[2].max(x), b[3].max(y)];
    }
    let b = between(srs, Way::ToDegrees)?.transform_bounds(&b, POINTS).ok()?;
    if !b.iter().all(|v| v.is_finite()) {
        return None;
    }
    let [mut west, south, mut east, north] = b;
    if east - west >= 360.0 {
        (west, east) = (-180.0, 180.0);
    } else if west >= 180.0 {
        (west, east) = (west - 360.0, east - 360.0);
    } else if east > 180.0 {
        east -= 360.0;
    }
    Some([west, south.max(-90.0), east, north.min(90.0)])
}
