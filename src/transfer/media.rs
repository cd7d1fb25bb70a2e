//! What is kept beside the bytes: content types by suffix, with those of the field, and what S3 takes at all.

use crate::error::{Error, Result};
use crate::store::UploadMeta;

/// Suffixes in lower case and the types that their files are served as. Sources: the IANA registry;
/// `GeoParquet` 1.1 and OGC for what is not registered there.
const TYPES: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("avif", "image/avif"),
    ("bz2", "application/x-bzip2"),
    ("cdf", "application/x-cdf"),
    ("cog", "image/tiff"),
    ("csv", "text/csv"),
    ("fgb", "application/vnd.flatgeobuf"),
    ("geojson", "application/geo+json"),
    ("geojsonl", "application/geo+json-seq"),
    ("gif", "image/gif"),
    ("gml", "application/gml+xml"),
    ("gpkg", "application/geopackage+sqlite3"),
    ("grb", "application/x-grib"),
    ("grb2", "application/x-grib2"),
    ("grib", "application/x-grib"),
    ("grib2", "application/x-grib2"),
    ("gz", "application/gzip"),
    ("h5", "application/x-hdf5"),
    ("hdf", "application/x-hdf"),
    ("hdf5", "application/x-hdf5"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ipynb", "application/x-ipynb+json"),
    ("j2k", "image/jp2"),
    ("jp2", "image/jp2"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("jsonl", "application/x-ndjson"),
    ("kml", "application/vnd.google-earth.kml+xml"),
    ("kmz", "application/vnd.google-earth.kmz"),
    ("laz", "application/vnd.laszip"),
    ("md", "text/markdown"),
    ("nc", "application/netcdf"),
    ("nc4", "application/netcdf"),
    ("ndjson", "application/x-ndjson"),
    ("parquet", "application/vnd.apache.parquet"),
    ("geoparquet", "application/vnd.apache.parquet"),
    ("pdf", "application/pdf"),
    ("pmtiles", "application/vnd.pmtiles"),
    ("png", "image/png"),
    ("py", "text/x-python"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("tsv", "text/tab-separated-values"),
    ("txt", "text/plain"),
    ("vrt", "application/xml"),
    ("webp", "image/webp"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zarr", "application/vnd+zarr"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// Names of Zarr's metadata documents, which have no suffix of their own.
const ZARR_DOCUMENTS: [&str; 4] = [".zarray", ".zattrs", ".zgroup", ".zmetadata"];

/// The content type that the name of a file or key suggests.
pub fn content_type(name: &str) -> Option<&'static str> {
    let name = name.rsplit('/').next().unwrap_or(name);
    if ZARR_DOCUMENTS.contains(&name) {
        return Some("application/json");
    }
    let (stem, suffix) = name.rsplit_once('.')?;
    if stem.is_empty() {
        return None;
    }
    let suffix = suffix.to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| *known == suffix).map(|(_, kind)| *kind)
}

/// What S3 does not take is refused before anything is sent.
pub(super) fn check_meta(meta: &UploadMeta) -> Result<()> {
    let mut size = 0;
    for (key, value) in &meta.metadata {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if key.is_empty() || !key.bytes().all(is_token) {
            return Err(Error::usage(format!("`{key}` is not a metadata key"))
                .with_hint("use letters, digits, dots, dashes and underscores"));
        }
        if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) || value.trim() != value {
            return Err(Error::usage(format!("the metadata value of `{key}` cannot be sent as it is"))
                .with_hint("use printable ASCII without spaces at its ends"));
        }
        size += key.len() + value.len();
    }
    if size > 2048 {
        return Err(Error::usage(format!("{size} bytes of metadata; S3 keeps at most 2048")));
    }
    if meta.tags.len() > 10 {
        return Err(Error::usage(format!("{} tags; S3 keeps at most 10", meta.tags.len())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn metadata_that_cannot_be_sent_is_refused_first() {
        let meta = |key: &str, value: &str| UploadMeta {
            metadata: [(key.to_owned(), value.to_owned())].into(),
            ..UploadMeta::default()
        };
        check_meta(&meta("fairease.catalog.mediatype", "COG")).expect("is fine");
        for bad in [meta("a b", "x"), meta("", "x"), meta("k", "Järvi"), meta("k", "a\r\nb: c"), meta("k", " x")] {
            assert_eq!(check_meta(&bad).map_err(|e| e.kind()), Err(Kind::Usage), "{bad:?}");
        }
        assert!(check_meta(&meta("k", &"x".repeat(2048))).is_err());
    }

    #[test]
    fn suffixes_of_the_field_are_known() {
        assert_eq!(content_type("a/B02.TIF"), Some("image/tiff"));
        assert_eq!(content_type("x.parquet"), Some("application/vnd.apache.parquet"));
        assert_eq!(content_type("glodap.csv.zip"), Some("application/zip"));
        assert_eq!(content_type("s.zarr/.zarray"), Some("application/json"));
        assert_eq!(content_type("s.zarr/0.1"), None);
        assert_eq!(content_type(".tif"), None);
        assert_eq!(content_type("a.d/README"), None);
    }
}
