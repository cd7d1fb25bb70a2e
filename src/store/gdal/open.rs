//! Opening what is mounted as a raster, and saying in words why it cannot be.

use super::{FORMATS, Mount, hdf5, mount, quietly};
use crate::error::{Error, Result};
use crate::location::{Location, Scheme};
use gdal::errors::GdalError;

/// Formats whose libraries open the local disk themselves.
const LOCAL_DRIVERS: &[&str] = &["netCDF"];

/// What is said of what no format takes for its own.
const UNKNOWN: &str = "it is not a raster of a kind that can be read here";

/// One raster of an object that holds several.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Part {
    /// Its name within: `sst`, `group/var`.
    pub(crate) name: String,
    /// Its shape and type, `4 × 720 × 1440 f32`, or what GDAL says of it.
    pub(crate) about: String,
    /// How GDAL opens it.
    path: String,
}

/// Opens a mounted object as a raster; `part` is one of its [`parts`].
pub(crate) fn open(mount: &Mount, location: &Location, part: Option<&Part>) -> Result<gdal::Dataset> {
    super::load()?;
    let head = mount.head()?;
    let mut drivers = FORMATS;
    if head.starts_with(b"GRIB") {
        // It has no index: it is looked through from field to field.
        mount.call(|| Ok(mount.fetch_small()))??;
    }
    let mut path = mount.path().to_owned();
    let is_hdf5 = hdf5::is_one(&head);
    let link = if is_hdf5 { mount.foreign_link()? } else { None };
    if mount.resolve()? {
        drivers = &["VRT"];
    } else if let Some(classic) = mount::netcdf(&head, location) {
        // Its library opens no file of which it cannot follow all links.
        if let Some(link) = link {
            return Err(Error::unsupported(format!("its `{link}` is a link to another file, which is not followed"))
                .with_hint("write all into one file where both are, with h5repack or xarray"));
        }
        let local = (location.scheme() == Scheme::File).then(|| location.key().to_owned());
        match local.map_or_else(|| mount.copied(), |local| Ok(Some(local)))? {
            Some(copy) => (path, drivers) = (copy, LOCAL_DRIVERS),
            None if classic => return Err(mount::too_large(mount.size())),
            // By ranges, without what its conventions say.
            None => {}
        }
    }
    let path = part.map_or(&*path, |part| &part.path);
    let options = gdal::DatasetOptions {
        open_flags: gdal::GdalOpenFlags::GDAL_OF_RASTER | gdal::GdalOpenFlags::GDAL_OF_VERBOSE_ERROR,
        allowed_drivers: Some(drivers),
        ..gdal::DatasetOptions::default()
    };
    let format = if drivers == LOCAL_DRIVERS { Some("netCDF") } else { is_hdf5.then_some("HDF5") };
    let dataset = mount.call(|| gdal::Dataset::open_ex(path, options)).map_err(|err| match format {
        // What it begins with is known, and was looked through.
        Some(format) if err.to_string() == UNKNOWN => {
            Error::invalid(format!("it is a {format} in which no raster can be read: there is none, or it is damaged"))
                .with_source(err)
        }
        _ => err,
    })?;
    // What was found to be one in another way than by its signature.
    if !is_hdf5 && matches!(dataset.driver().short_name().as_str(), "HDF5" | "HDF5Image") {
        mount.foreign_link()?;
    }
    refuse_references(&dataset)?;
    Ok(dataset)
}

/// The rasters of an object that holds several; none for others.
pub(crate) fn parts(mount: &Mount, location: &Location, dataset: &gdal::Dataset) -> Vec<Part> {
    use gdal::Metadata as _;
    let lines = quietly(|| dataset.metadata_domain("SUBDATASETS")).0.unwrap_or_default();
    let value = |key: &str| lines.iter().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
    let copy = mount.copy_path();
    let own = [Some(mount.path()), copy.as_deref(), location.to_path().map(|_| location.key())];
    (1..=lines.len())
        .map_while(|n| Some((n, value(&format!("SUBDATASET_{n}_NAME"))?)))
        .filter_map(|(n, path)| {
            // Made by the driver from the name it was given: nothing else is followed.
            let file = own.iter().flatten().find(|own| path.contains(**own))?;
            let (_, rest) = path.split_once(file)?;
            let page = || path.strip_prefix("GTIFF_DIR:")?.split(':').next();
            let name = rest.trim_start_matches(['"', ':']).trim_matches('/');
            let name = if name.is_empty() { page().unwrap_or_default() } else { name }.to_owned();
            let about = value(&format!("SUBDATASET_{n}_DESC")).unwrap_or_default();
            let about = shape_and_type(about).unwrap_or_else(|| about.to_owned());
            (!name.is_empty()).then(|| Part { name, about, path: path.to_owned() })
        })
        .collect()
}

/// `[4x720x1440] sst (32-bit floating-point)` as `4 × 720 × 1440 f32`.
fn shape_and_type(about: &str) -> Option<String> {
    let (shape, rest) = about.strip_prefix('[')?.split_once(']')?;
    let (_, words) = rest.strip_suffix(')')?.rsplit_once('(')?;
    let (bits, kind) = words.split_once("-bit ")?;
    let bits: u32 = bits.parse().ok()?;
    let shape = shape.replace('x', " × ");
    let letter = match kind {
        // The netCDF driver says so of bytes with and without a sign.
        "integer" if bits == 8 => return Some(format!("{shape} 8 bit")),
        "floating-point" => 'f',
        "integer" | "character" => 'i',
        "unsigned integer" | "unsigned character" => 'u',
        _ => return None,
    };
    Some(format!("{shape} {letter}{bits}"))
}

/// A TIFF can name a file of overviews, which GDAL would open whatever and wherever it is.
fn refuse_references(dataset: &gdal::Dataset) -> Result<()> {
    use gdal::Metadata as _;
    let names_one = quietly(|| dataset.metadata_item("OVERVIEW_FILE", "OVERVIEWS")).0.is_some();
    if names_one {
        return Err(Error::unsupported("it names another file for its overviews, which is not followed"));
    }
    Ok(())
}

/// Calls GDAL where no mounted object is involved.
pub(crate) fn call<T>(f: impl FnOnce() -> gdal::errors::Result<T>) -> Result<T> {
    let (result, messages) = quietly(f);
    result.map_err(|err| explain(err, &messages, ""))
}

/// The first thing that GDAL complained of: what follows is only its echo.
pub(super) fn explain(err: GdalError, messages: &[String], path: &str) -> Error {
    if let Err(missing) = super::load() {
        return missing;
    }
    let own = match &err {
        GdalError::CplError { msg, .. } | GdalError::NullPointer { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    let first = messages.iter().find(|m| !m.is_empty()).cloned().unwrap_or(own);
    let why = without_names(&if path.is_empty() { first } else { first.replace(path, "it") });
    let mut why = why.lines().next().unwrap_or_default().trim_end_matches('.');
    // "x.tif:TIFFFetchDirectory:x.tif: Can not read": names of functions help nobody.
    while let Some((front, rest)) = why.split_once(':')
        && !front.contains(' ')
    {
        why = rest.trim_start();
    }
    let error = if why.contains("not recognized as a supported file format") {
        Error::invalid(UNKNOWN)
    } else if why.is_empty() || why.starts_with("Read error at") {
        Error::invalid("GDAL cannot read it: it is damaged or cut off")
    } else {
        Error::invalid(format!("GDAL cannot read it: {why}"))
    };
    error.with_source(err)
}

/// Names of GDAL's world mean nothing to a person: of `/vsisecchi/17/b.tif` the end is left.
fn without_names(text: &str) -> String {
    let mut out = text.to_owned();
    for prefix in ["/vsisecchi/", "/vsimem/secchi/"] {
        while let Some(start) = out.find(prefix) {
            let number = out[start + prefix.len()..].bytes().take_while(u8::is_ascii_digit).count();
            let end = start + prefix.len() + number;
            let end = if out[end..].starts_with('/') { end + 1 } else { end };
            out.replace_range(start..end, "");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{shape_and_type, without_names};

    #[test]
    fn what_a_driver_says_of_a_part_becomes_short() {
        let of = |text: &str| shape_and_type(text);
        assert_eq!(of("[4x720x1440] sst (32-bit floating-point)").as_deref(), Some("4 × 720 × 1440 f32"));
        assert_eq!(of("[16x24] //a (b)/depth (8-bit unsigned character)").as_deref(), Some("16 × 24 u8"));
        assert_eq!(of("Page 1 (400P x 300L x 1B)"), None);
        assert_eq!(of("[2x2] z (complex, 64-bit floating-point)"), None);
    }

    #[test]
    fn names_of_gdals_world_are_shortened() {
        assert_eq!(without_names("a /vsisecchi/17/b.tif, /vsimem/secchi/3/c.nc: no"), "a b.tif, c.nc: no");
        assert_eq!(without_names("/vsisecchi//vsisecchi/1"), "vsisecchi/1");
    }
}
