//! Rasters that GDAL opens: `GeoTIFF`, COG, JPEG 2000, GRIB, HDF5.

use crate::error::{Error, Kind, Result};
use crate::preview::{Ask, Band, Facts, Picture, Preview, Previewer, Probe, Raster};
use crate::raster::color::{self, Painted};
use crate::raster::{self, BandInfo, Info, View};
use crate::store::{Head, Stores};
use crate::text;

/// Suffixes of what GDAL is asked to open.
const SUFFIXES: &[&str] = &[
    "tif", "tiff", "gtiff", "jp2", "j2k", "j2c", "grb", "grb2", "grib", "grib2", "hgt", "dt0", "dt1", "dt2", "nc",
    "nc4", "h5", "hdf5", "he5",
];

/// First bytes: TIFF and `BigTIFF` of both byte orders, JP2 and its bare codestream, GRIB, HDF5, netCDF.
const MAGIC: &[&[u8]] = &[
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    b"GRIB",
    b"\x89HDF\r\n\x1a\n",
    b"CDF\x01",
    b"CDF\x02",
];

/// Media types that catalogs give.
const MEDIA: &[&str] =
    &["image/tiff", "image/jp2", "image/vnd.stac.geotiff", "application/x-geotiff", "application/x-hdf5"];

/// Rows of metadata shown, and columns of each: netCDF has much of both.
const MOST_METADATA: usize = 40;
const LONGEST_VALUE: usize = 200;

pub(super) const PREVIEWER: Previewer =
    Previewer { name: "raster", matches, load: |stores, ask| Box::pin(load(stores, ask)) };

fn matches(probe: &Probe) -> bool {
    if probe.location.is_container() {
        return false;
    }
    let media = probe.media_type.as_deref().unwrap_or_default().to_ascii_lowercase();
    probe.has_extension(SUFFIXES)
        || MEDIA.iter().any(|m| media.starts_with(m))
        || MAGIC.iter().any(|m| probe.starts_with(m))
}

async fn load(stores: Stores, ask: Ask) -> Result<Preview> {
    let location = &ask.probe.location;
    let head = match (ask.probe.head.clone(), ask.probe.size) {
        (Some(bytes), Some(size)) => Some(Head { bytes, size, etag: ask.probe.etag.clone() }),
        _ => None,
    };
    let raster = raster::open_with_head(&stores, location, &ask.control, ask.max_bytes, head).await?;
    let info = raster.info();
    let bands = match ask.bands.clone() {
        Some(bands) if bands.len() == 1 || bands.len() == 3 => bands,
        Some(_) => return Err(Error::usage("a picture is made of one band, or of three for red, green and blue")),
        None => color::default_bands(info, location.name()),
    };
    let pixels = match raster.view(&ask.control, View { bands, window: None, pixels: ask.pixels }).await {
        Ok(pixels) => pixels,
        // What the header tells is worth showing without a picture.
        Err(err) if err.kind() == Kind::Limit => {
            let mut facts = facts(info);
            facts.rows.insert(0, ("Picture".into(), format!("none: {err}")));
            facts.rows.extend(err.hint().map(|hint| ("Hint".into(), hint.to_owned())));
            return Ok(Preview::Facts(facts));
        }
        Err(err) => return Err(err),
    };
    let control = ask.control.clone();
    let known = info.clone();
    let (pixels, painted) = control
        .blocking(move |_| {
            let painted = color::paint(&known, &pixels);
            Ok((pixels, painted))
        })
        .await?;
    let mut facts = facts(info);
    if let Some(index) = pixels.overview {
        facts.rows.push(("Shown".into(), format!("overview {} of {}", index + 1, info.overviews.len())));
    }
    Ok(Preview::Raster(Raster {
        facts,
        size: info.size,
        bands: bands_of(info, &pixels.bands, &painted),
        crs: info.crs.clone(),
        bounds: info.bounds,
        transform: info.transform,
        stretch: painted.stretch,
        picture: Picture { width: pixels.width as u32, height: pixels.height as u32, rgba: painted.rgba.into() },
    }))
}

fn bands_of(info: &Info, read: &[usize], painted: &Painted) -> Vec<Band> {
    let range = |number| read.iter().position(|&n| n == number).and_then(|i| painted.ranges.get(i)?.extremes);
    let numbered = info.bands.iter().enumerate().map(|(i, b)| (i + 1, b));
    numbered
        .map(|(number, band)| Band {
            name: band_name(number, band),
            dtype: band.dtype.clone(),
            nodata: band.nodata,
            min: range(number).map(|(min, _)| f64::from(min)),
            max: range(number).map(|(_, max)| f64::from(max)),
        })
        .collect()
}

fn band_name(number: usize, band: &BandInfo) -> String {
    band.description.clone().unwrap_or_else(|| format!("band {number}"))
}

/// What a raster is, as names and values.
fn facts(info: &Info) -> Facts {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    row("Format", info.format().to_owned());
    if let Some(part) = &info.part {
        row("Part", part.clone());
    }
    let bytes = if info.file_size > 0 { format!(" · {}", text::bytes(info.file_size)) } else { String::new() };
    row("Size", format!("{} × {} px{bytes}", info.size.0, info.size.1));
    if let Some(crs) = &info.crs {
        row("CRS", crs.clone());
    }
    if let Some(t) = info.transform {
        row("Pixel", format!("{} × {}", trimmed(t[1].hypot(t[4])), trimmed(t[2].hypot(t[5]))));
        row("Origin", format!("{}, {}", trimmed(t[0]), trimmed(t[3])));
    }
    if let Some([west, south, east, north]) = info.bounds {
        row("Bounds", format!("{west:.4} {south:.4} {east:.4} {north:.4}"));
    }
    row("Blocks", format!("{} × {}", info.block.0, info.block.1));
    row("Compression", info.compression.clone().unwrap_or_else(|| "none".into()).to_ascii_lowercase());
    if info.bands.len() > 1 {
        row("Interleave", if info.pixel_interleaved { "pixel" } else { "band" }.to_owned());
    }
    let overviews: Vec<String> = info.overviews.iter().map(|(w, h)| format!("{w}×{h}")).collect();
    row("Overviews", if overviews.is_empty() { "none".into() } else { overviews.join(" ") });
    row("Bands", String::new());
    for (i, band) in info.bands.iter().enumerate() {
        row(&band_name(i + 1, band), band_detail(band));
    }
    if !info.metadata.is_empty() {
        row("Metadata", String::new());
        for (key, value) in info.metadata.iter().take(MOST_METADATA) {
            row(key, text::fit(value, LONGEST_VALUE).into_owned());
        }
    }
    Facts { title: info.title(), rows }
}

fn band_detail(band: &BandInfo) -> String {
    let mut parts = vec![raster::short_type(&band.dtype)];
    parts.extend(band.nodata.map(|n| format!("nodata {}", plain(n))));
    parts.extend(band.palette.as_ref().map(|p| format!("palette of {}", p.len())));
    parts.extend(band.scale.map(|(scale, offset)| format!("×{scale} {offset:+}")));
    parts.extend(band.unit.clone());
    parts.extend(
        band.metadata.iter().filter(|(key, _)| key != "DESCRIPTION").map(|(key, value)| format!("{key}={value}")),
    );
    parts.join(" · ")
}

/// A number as short as it is exact: `-9999`, `9.97e36`.
fn plain(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value}") } else { format!("{value:?}") }
}

/// A coordinate without digits that say nothing.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.8}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
