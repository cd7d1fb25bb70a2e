//! Where a raster's pixels lie on earth (PROJ through GDAL), and values as they are stored.

use super::view::check_bands;
use super::{Info, LARGEST_WINDOW, Raster, Window, refuse_giant_blocks};
use crate::error::{Error, Kind, Result};
use crate::task::Control;
use gdal::raster::ResampleAlg;
use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};
use gdal::{Dataset, Metadata};

/// Which way coordinates are turned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    ToDegrees,
    FromDegrees,
}

impl Raster {
    /// Values of a window as they are stored, at full resolution: for each band (from 1) row by row; NaN
    /// where nodata or a mask says that there are none.
    pub async fn values(&self, control: &Control, bands: Vec<usize>, window: Window) -> Result<Vec<Vec<f64>>> {
        self.run(control, "reading", move |inner, info| {
            afford(info, &bands, window)?;
            let origin = (isize::try_from(window.x), isize::try_from(window.y));
            let (Ok(x), Ok(y)) = origin else { return Err(Error::usage("the window is not inside the raster")) };
            let size = (window.width as usize, window.height as usize);
            let plane = |&number: &usize| {
                inner.mount.call(|| {
                    let known = &info.bands[number - 1];
                    let band = inner.dataset.rasterband(number)?;
                    let nearest = Some(ResampleAlg::NearestNeighbour);
                    let mut values = band.read_as::<f64>((x, y), size, size, nearest)?.into_shape_and_vec().1;
                    if let Some(nodata) = known.nodata {
                        let is_nodata = |v: &f64| (*v - nodata).abs() <= 0.0 || is_same_f32(known, *v, nodata);
                        values.iter_mut().filter(|v| is_nodata(v)).for_each(|v| *v = f64::NAN);
                    } else if !known.all_valid {
                        let mask = band.open_mask_band()?;
                        let mask = mask.read_as::<u8>((x, y), size, size, nearest)?.into_shape_and_vec().1;
                        values.iter_mut().zip(mask).filter(|(_, m)| *m == 0).for_each(|(v, _)| *v = f64::NAN);
                    }
                    Ok(values)
                })
            };
            bands.iter().map(plane).collect()
        })
        .await
    }

    /// Longitude and latitude of coordinates of its own reference system; `None` where that fails.
    pub async fn to_degrees(&self, control: &Control, at: Vec<[f64; 2]>) -> Result<Vec<Option<[f64; 2]>>> {
        self.project(control, at, Way::ToDegrees).await
    }

    /// The inverse of [`Raster::to_degrees`].
    pub async fn from_degrees(&self, control: &Control, at: Vec<[f64; 2]>) -> Result<Vec<Option<[f64; 2]>>> {
        self.project(control, at, Way::FromDegrees).await
    }

    async fn project(&self, control: &Control, at: Vec<[f64; 2]>, way: Way) -> Result<Vec<Option<[f64; 2]>>> {
        self.run(control, "placing", move |inner, _| {
            let nowhere = vec![None; at.len()];
            let Some(own) = inner.reference() else { return Ok(nowhere) };
            let Some(transform) = between(&own, way) else { return Ok(nowhere) };
            Ok(at.into_iter().map(|at| turned(&transform, at)).collect())
        })
        .await
    }

    /// What a header tells beyond [`Info`]: without a request.
    pub async fn details(&self, control: &Control) -> Result<Details> {
        self.run(control, "describing", |inner, info| Ok(details(&inner.dataset, inner.reference().as_ref(), info)))
            .await
    }
}

/// What a header tells beyond [`Info`].
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// Whether its own coordinates are longitude and latitude.
    pub is_degrees: bool,
    /// Its outline in longitude and latitude, around; empty where that is not known.
    pub outline: Vec<[f64; 2]>,
    /// The reference system in words: names and values, the WKT last, line by line.
    pub reference: Vec<(String, String)>,
    /// The unit of its coordinates.
    pub unit: Option<String>,
    /// Metadata by domain, each `(name, values)`; that of bands is called `band 1 · IMAGERY`.
    pub domains: Vec<(String, Vec<(String, String)>)>,
}

/// Points of the outline on each edge.
const EDGE: usize = 21;
/// Rows of metadata that are kept of a domain, and bands looked at: netCDF and GRIB have thousands.
const MOST_ROWS: usize = 2_000;
const MOST_BANDS: usize = 64;

fn details(dataset: &Dataset, srs: Option<&SpatialRef>, info: &Info) -> Details {
    let is_degrees = srs.is_some_and(SpatialRef::is_geographic);
    let outline = srs.zip(info.transform).map(|(srs, t)| outline(srs, &t, info.size)).unwrap_or_default();
    let unit = srs.and_then(|srs| match (is_degrees, srs.is_projected()) {
        (true, _) => Some("°".to_owned()),
        (_, true) => srs.linear_units_name().map(|name| if name == "metre" { "m".to_owned() } else { name }),
        _ => None,
    });
    let mut domains = of(dataset, "dataset");
    for (index, band) in dataset.rasterbands().flatten().take(MOST_BANDS).enumerate() {
        domains.extend(of(&band, &format!("band {}", index + 1)));
    }
    Details { is_degrees, outline, unit, reference: srs.map(|srs| reference(srs, info)).unwrap_or_default(), domains }
}

fn of(object: &impl Metadata, name: &str) -> Vec<(String, Vec<(String, String)>)> {
    // What a driver makes up of the file's name, or is as long as the file, is not looked at.
    let skipped = |domain: &String| domain.starts_with("xml:") || domain == "DERIVED_SUBDATASETS";
    let mut names: Vec<String> = object.metadata_domains();
    if !names.iter().any(String::is_empty) {
        names.insert(0, String::new());
    }
    let domain = |domain: String| {
        let lines = object.metadata_domain(&domain)?;
        let pair = |line: &String| line.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
        let rows: Vec<(String, String)> = lines.iter().filter_map(pair).take(MOST_ROWS).collect();
        let title = if domain.is_empty() { name.to_owned() } else { format!("{name} · {domain}") };
        (!rows.is_empty()).then_some((title, rows))
    };
    names.into_iter().filter(|d| !skipped(d)).filter_map(domain).collect()
}

/// Its corners and points between them: edges that are straight here bend in degrees.
fn outline(srs: &SpatialRef, t: &[f64; 6], size: (u64, u64)) -> Vec<[f64; 2]> {
    let Some(transform) = between(srs, Way::ToDegrees) else { return Vec::new() };
    let (right, bottom) = (size.0 as f64, size.1 as f64);
    let corners = [[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]];
    let mut ring = Vec::with_capacity(4 * EDGE);
    for (i, from) in corners.iter().enumerate() {
        let to = corners[(i + 1) % 4];
        for k in 0..EDGE {
            let share = k as f64 / EDGE as f64;
            let [column, row] = [0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * share);
            let world = [t[0] + column * t[1] + row * t[2], t[3] + column * t[4] + row * t[5]];
            ring.extend(turned(&transform, world));
        }
    }
    ring
}

/// A nodata value of 32 bits is told with the digits of 64.
fn is_same_f32(band: &super::BandInfo, value: f64, nodata: f64) -> bool {
    band.dtype == "Float32" && (value as f32).to_bits() == (nodata as f32).to_bits()
}

fn afford(info: &Info, bands: &[usize], window: Window) -> Result<()> {
    check_bands(bands, info.bands.len())?;
    window.check(info.size)?;
    let bytes = [window.width, window.height, bands.len() as u64].iter().fold(8_u64, |n, &f| n.saturating_mul(f));
    if bytes > LARGEST_WINDOW {
        let size = crate::text::bytes(bytes);
        return Err(Error::new(Kind::Limit, format!("the window takes {size} of memory")));
    }
    refuse_giant_blocks(info)
}

/// Between a reference system, x first, and longitude and latitude.
pub(super) fn between(own: &SpatialRef, way: Way) -> Option<CoordTransform> {
    let mut own = own.clone();
    own.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    let mut degrees = SpatialRef::from_epsg(4326).ok()?;
    degrees.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    match way {
        Way::ToDegrees => CoordTransform::new(&own, &degrees).ok(),
        Way::FromDegrees => CoordTransform::new(&degrees, &own).ok(),
    }
}

fn turned(transform: &CoordTransform, at: [f64; 2]) -> Option<[f64; 2]> {
    let ([mut x], [mut y]) = ([at[0]], [at[1]]);
    let (xs, ys) = (std::slice::from_mut(&mut x), std::slice::from_mut(&mut y));
    transform.transform_coords(xs, ys, &mut []).ok()?;
    (x.is_finite() && y.is_finite()).then_some([x, y])
}

/// A reference system in words, with its code, and as other programs are told of it.
fn reference(srs: &SpatialRef, info: &Info) -> Vec<(String, String)> {
    let mut rows = info.crs_words.clone();
    for (name, _) in &mut rows {
        *name = name.to_lowercase();
    }
    let mut more = |name: &str, value: Option<String>| {
        rows.extend(value.filter(|v| !v.is_empty()).map(|value| (name.to_owned(), value)));
    };
    more("code", srs.authority().ok());
    more("PROJ", srs.to_proj4().ok().map(|p| p.trim().to_owned()));
    if let Ok(wkt) = srs.to_pretty_wkt() {
        rows.push(("WKT".to_owned(), String::new()));
        rows.extend(wkt.lines().map(|line| (line.to_owned(), String::new())));
    }
    rows
}
