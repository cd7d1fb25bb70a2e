//! Rasters that GDAL opens: `GeoTIFF`, COG, JPEG 2000, GRIB, HDF5, netCDF, VRT; and Sentinel-2 products.

use crate::error::{Context as _, Error, Kind, Result};
use crate::location::Location;
use crate::preview::{Ask, Band, Facts, Node, Picture, Preview, Previewer, Probe, Raster, Tree};
use crate::raster::color::{self, Painted, Tally};
use crate::raster::{self, BandInfo, Info, View, safe};
use crate::store::{Head, Stores};
use crate::text;
use bytes::Bytes;

/// Suffixes of what GDAL is asked to open.
const SUFFIXES: &[&str] = &[
    "tif", "tiff", "gtiff", "jp2", "j2k", "j2c", "grb", "grb2", "grib", "grib2", "hgt", "dt0", "dt1", "dt2", "nc",
    "nc4", "h5", "hdf5", "he5", "vrt",
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
    b"CDF\x05",
    b"<VRTDataset",
];

/// Media types that catalogs give.
const MEDIA: &[&str] =
    &["image/tiff", "image/jp2", "image/vnd.stac.geotiff", "application/x-geotiff", "application/x-hdf5"];

/// Rows of metadata shown, and columns of each: netCDF has much of both.
const MOST_METADATA: usize = 40;
const LONGEST_VALUE: usize = 200;

/// Rasters of one object that are listed, and reasons of a report.
const MOST_PARTS: usize = 2000;
const MOST_REASONS: usize = 8;

pub(super) const PREVIEWER: Previewer =
    Previewer { name: "raster", matches, load: |stores, ask| Box::pin(load(stores, ask)) };

fn matches(probe: &Probe) -> bool {
    let (place, _) = raster::split(&probe.location);
    if safe::is_product(&place) {
        return true;
    }
    if probe.location.is_container() {
        return false;
    }
    let media = probe.media_type.as_deref().unwrap_or_default().to_ascii_lowercase();
    SUFFIXES.contains(&place.extension().as_str())
        || MEDIA.iter().any(|m| media.starts_with(m))
        || MAGIC.iter().any(|m| probe.starts_with(m))
}

async fn load(stores: Stores, ask: Ask) -> Result<Preview> {
    let location = &ask.probe.location;
    let (place, part) = raster::split(location);
    if safe::is_product(&place) {
        return product(&stores, &ask, &place, part.as_deref()).await;
    }
    let head = match (ask.probe.head.clone(), ask.probe.size) {
        (Some(bytes), Some(size)) => Some(Head { bytes, size, etag: ask.probe.etag.clone() }),
        // What was looked at a moment ago needs no request.
        (None, Some(size)) if ask.probe.etag.is_some() => {
            Some(Head { bytes: Bytes::new(), size, etag: ask.probe.etag.clone() })
        }
        _ => None,
    };
    let first = raster::First { bands: ask.bands.clone(), pixels: ask.pixels };
    let first = (!has_wrong_bands(&ask)).then_some(first);
    let raster = raster::open_with_head(&stores, location, &ask.control, ask.max_bytes, head, first).await?;
    let info = raster.info();
    if info.parts.len() > 1 && part.is_none() && info.part.is_some() {
        return Ok(Preview::Tree(parts(info, &place)));
    }
    shown(&ask, &raster, facts(info)).await
}

/// What an object of several rasters holds, to choose from.
fn parts(info: &Info, place: &Location) -> Tree {
    let format = info.format();
    let mut rows = vec![
        ("Format".to_owned(), format.to_owned()),
        ("Size".to_owned(), text::bytes(info.file_size)),
        ("Rasters".to_owned(), info.parts.len().to_string()),
    ];
    rows.extend(metadata(info));
    let facts = Facts { title: format!("{format} · {} rasters", info.parts.len()), rows };
    Tree { facts, nodes: nodes(&info.parts, place) }
}

/// Parts below the groups that they are in.
fn nodes(parts: &[raster::Part], place: &Location) -> Vec<Node> {
    let mut parts: Vec<(Vec<&str>, &raster::Part)> = parts
        .iter()
        .take(MOST_PARTS)
        .map(|part| (part.name.rsplit_once('/').map_or(Vec::new(), |(group, _)| group.split('/').collect()), part))
        .collect();
    // Those of a group stay in their order.
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    let mut nodes = Vec::new();
    let mut here: Vec<&str> = Vec::new();
    for (group, part) in parts {
        let same = here.iter().zip(&group).take_while(|(a, b)| a == b).count();
        for (depth, name) in group.iter().enumerate().skip(same) {
            let name = format!("{name}/");
            nodes.push(Node { depth: depth as u16, name, detail: String::new(), target: None });
        }
        nodes.push(Node {
            depth: group.len() as u16,
            name: part.name.rsplit('/').next().unwrap_or_default().to_owned(),
            detail: part.about.clone(),
            target: Some(raster::part_of(place, &part.name)),
        });
        here = group;
    }
    nodes
}

/// A Sentinel-2 product: its own preview picture where it has one, else the true-colour one.
async fn product(stores: &Stores, ask: &Ask, place: &Location, part: Option<&str>) -> Result<Preview> {
    let what = || format!("opening {place}");
    let (control, limit) = (&ask.control, ask.max_bytes);
    let product = safe::open(stores, place, ask.probe.size, control).await.context(what)?;
    let small = part.is_none() && ask.bands.is_none();
    let mut opened =
        product.raster(stores, part.unwrap_or(if small { "PVI" } else { safe::DEFAULT }), control, limit).await;
    if small && opened.as_ref().is_err_and(|err| err.kind() == Kind::NotFound) {
        opened = product.raster(stores, "TCI", control, limit).await;
    }
    let title = format!("Sentinel-2 {} · {}", product.product.level, place.name().trim_end_matches('/'));
    let mut parts = vec![("Parts".to_owned(), String::new())];
    parts.extend(product.parts().into_iter().map(|part| (part.name, part.about)));
    match opened {
        Ok(raster) => {
            let mut facts = facts(raster.info());
            facts.title = title;
            facts.rows.extend(parts);
            shown(ask, &raster, facts).await
        }
        // The metadata alone were delivered: they are worth showing.
        Err(err) if part.is_none() && matches!(err.kind(), Kind::NotFound | Kind::Limit) => {
            let mut rows = vec![("Picture".to_owned(), format!("none: {err}"))];
            rows.push(("CRS".to_owned(), product.tile.crs.clone()));
            rows.extend(product.facts());
            rows.extend(parts);
            Ok(Preview::Facts(Facts { title, rows }))
        }
        Err(err) => Err(err).context(what),
    }
}

fn has_wrong_bands(ask: &Ask) -> bool {
    ask.bands.as_ref().is_some_and(|bands| bands.len() != 1 && bands.len() != 3)
}

/// The picture of an open raster.
async fn shown(ask: &Ask, raster: &raster::Raster, mut facts: Facts) -> Result<Preview> {
    let info = raster.info();
    if has_wrong_bands(ask) {
        return Err(Error::usage("a picture is made of one band, or of three for red, green and blue"));
    }
    let bands = ask.bands.clone().unwrap_or_else(|| color::default_bands(info, ask.probe.location.name()));
    let pixels = match raster.view(&ask.control, View { bands, window: None, pixels: ask.pixels }).await {
        Ok(pixels) => pixels,
        // What the header tells is worth showing without a picture.
        Err(err) if err.kind() == Kind::Limit => {
            facts.rows.insert(0, ("Picture".into(), format!("none: {err}")));
            facts.rows.extend(err.hint().map(|hint| ("Hint".into(), hint.to_owned())));
            return Ok(Preview::Facts(facts));
        }
        Err(err) => return Err(err),
    };
    let known = info.clone();
    let (pixels, painted, statistics) = ask
        .control
        .blocking(move |_| {
            let tell =
                || -> Vec<_> { pixels.values.iter().map(|v| mean_and_deviation(v, pixels.alpha.as_deref())).collect() };
            let (painted, statistics) = std::thread::scope(|scope| {
                let told = scope.spawn(tell);
                (color::paint(&known, &pixels), told.join().unwrap_or_default())
            });
            Ok((pixels, painted, statistics))
        })
        .await?;
    if let Some(index) = pixels.overview {
        let shown = ("Shown".to_owned(), format!("overview {} of {}", index + 1, info.overviews.len()));
        let place = facts.rows.iter().position(|(name, _)| name == "Overviews").map_or(facts.rows.len(), |at| at + 1);
        facts.rows.insert(place, shown);
    }
    let exact = pixels.overview.is_none() && (pixels.width as u64, pixels.height as u64) == info.size;
    let mut bands = bands_of(info, &pixels.bands, &painted);
    for (number, found) in pixels.bands.iter().zip(statistics) {
        if let (Some(band), Some((mean, std))) = (bands.get_mut(number - 1), found) {
            (band.mean, band.std, band.exact) = (Some(mean), Some(std), Some(exact));
        }
    }
    Ok(Preview::Raster(Raster {
        facts,
        size: info.size,
        bands,
        crs: info.crs.clone(),
        bounds: info.bounds,
        transform: info.transform,
        stretch: painted.stretch,
        picture: Picture { width: pixels.width as u32, height: pixels.height as u32, rgba: painted.rgba.into() },
    }))
}

/// Mean and standard deviation of what is valid.
fn mean_and_deviation(values: &[f32], alpha: Option<&[u8]>) -> Option<(f64, f64)> {
    let mut tally = Tally::default();
    let opaque = |i: usize| alpha.is_none_or(|alpha| alpha.get(i).is_none_or(|&a| a > 0));
    values.iter().enumerate().filter(|(i, _)| opaque(*i)).for_each(|(_, value)| tally.add(f64::from(*value)));
    (tally.count > 0).then(|| (tally.mean, tally.deviation()))
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
            ..Band::default()
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
    let word = |name: &str| info.crs_words.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let words = [info.crs.clone(), word("Name").filter(|name| info.crs.as_ref() != Some(name)), word("Unit")];
    let words: Vec<String> = words.into_iter().flatten().collect();
    if !words.is_empty() {
        row("CRS", words.join(" · "));
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
    if let Some(report) = &info.report {
        row("COG", report.verdict());
        let rest = report.errors.iter().chain(&report.warnings).skip(1);
        for reason in rest.take(MOST_REASONS) {
            row("", format!("also {reason}"));
        }
    }
    row("Bands", String::new());
    for (i, band) in info.bands.iter().enumerate() {
        row(&band_name(i + 1, band), band_detail(band));
    }
    rows.extend(metadata(info));
    Facts { title: info.title(), rows }
}

/// The metadata, with a heading where there are some.
fn metadata(info: &Info) -> Vec<(String, String)> {
    let heading = (!info.metadata.is_empty()).then(|| ("Metadata".to_owned(), String::new()));
    let value = |value: &str| text::fit(value, LONGEST_VALUE).into_owned();
    let rows = info.metadata.iter().take(MOST_METADATA).map(|(key, v)| (key.clone(), value(v)));
    heading.into_iter().chain(rows).collect()
}

fn band_detail(band: &BandInfo) -> String {
    let mut parts = vec![raster::short_type(&band.dtype)];
    parts.extend(band.nodata.map(|n| format!("nodata {}", exact(n))));
    parts.extend(band.palette.as_ref().map(|p| format!("palette of {}", p.len())));
    parts.extend(band.scale.map(|(scale, offset)| format!("×{scale} {offset:+}")));
    parts.extend(band.unit.clone());
    for (key, value) in &band.metadata {
        match key.as_str() {
            "DESCRIPTION" => {}
            // What it is in words; its name tells the rest.
            "GRIB_COMMENT" => parts.push(value.clone()),
            _ if key.starts_with("GRIB_") => {}
            _ => parts.push(format!("{key}={value}")),
        }
    }
    parts.join(" · ")
}

/// A number as short as it is exact: `-9999`, `9.97e36`.
fn exact(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value}") } else { format!("{value:?}") }
}

/// A coordinate without digits that say nothing.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.8}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
