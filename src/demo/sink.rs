//! Where samples are put: the folder of a bucket, and the notes that the server keeps beside it.

use crate::error::{Context, Error, Kind, Result};
use crate::task::Control;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::crypto::{Checksum, Md5};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest name of a file on the common file systems.
const NAME_MAX: usize = 255;

/// A bucket that is being filled.
#[derive(Clone)]
pub(super) struct Sink {
    /// The server's folder.
    root: PathBuf,
    /// Name of the bucket, and of its folder in `root`.
    bucket: &'static str,
    /// Hears of cancellation, tells progress.
    pub(super) control: Control,
}

/// What the server tells of an object beside its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct About {
    /// Content type.
    pub(super) content_type: &'static str,
    /// User metadata.
    pub(super) metadata: &'static [(&'static str, &'static str)],
}

impl About {
    /// Of this content type, without metadata.
    pub(super) const fn of(content_type: &'static str) -> Self {
        Self { content_type, metadata: &[] }
    }
}

/// A cloud-optimized `GeoTIFF`, as FAIR-EASE's catalog wants it marked.
pub(super) const COG: About = About {
    content_type: "image/tiff; application=geotiff; profile=cloud-optimized",
    metadata: &[("fairease.catalog.mediatype", "COG")],
};

impl Sink {
    /// A sink for `bucket`, whose folder is made.
    pub(super) fn new(root: &Path, bucket: &'static str, control: Control) -> Result<Self> {
        let sink = Self { root: root.to_owned(), bucket, control };
        std::fs::create_dir_all(sink.path(""))?;
        std::fs::create_dir_all(sink.scratch(""))?;
        Ok(sink)
    }

    /// The file of a key.
    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.root.join(self.bucket).join(key)
    }

    /// A file on the same disk that the server does not show, for [`Sink::adopt`].
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.root.join(".scratch").join(name)
    }

    /// Size of an object that was put already.
    pub(super) fn size(&self, key: &str) -> Option<u64> {
        std::fs::metadata(self.path(key)).ok().filter(std::fs::Metadata::is_file).map(|m| m.len())
    }

    /// Puts an object; it appears whole.
    pub(super) fn put(&self, key: &str, bytes: &[u8], about: About) -> Result<()> {
        self.control.check()?;
        let scratch = self.scratch(&format!("{:016x}", fingerprint(key)));
        std::fs::write(&scratch, bytes).context(|| format!("writing the sample {key}"))?;
        self.adopt(key, &scratch, about)
    }

    /// Moves a finished file to its key.
    pub(super) fn adopt(&self, key: &str, file: &Path, about: About) -> Result<()> {
        self.control.check()?;
        let path = self.path(key);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        self.note(key, "internal", &serde_json::json!({ "e_tag": md5(file)? }))?;
        let metadata: serde_json::Map<String, serde_json::Value> =
            about.metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
        let mut attributes = serde_json::json!({ "content_type": about.content_type });
        if !metadata.is_empty() {
            attributes["user_metadata"] = metadata.into();
        }
        self.note(key, "metadata", &attributes)?;
        std::fs::rename(file, &path).context(|| format!("writing the sample {key}"))
    }

    /// Writes what s3s-fs 0.14 keeps of an object: `metadata` holds content type and user metadata,
    /// `internal` the `ETag`, without which it digests the whole file at every request (its `fs.rs`,
    /// `get_metadata_path` and `get_internal_info_path`).
    fn note(&self, key: &str, kind: &str, value: &serde_json::Value) -> Result<()> {
        let name = format!(
            ".bucket-{}.object-{}.{kind}.json",
            URL_SAFE_NO_PAD.encode(self.bucket),
            URL_SAFE_NO_PAD.encode(key)
        );
        if name.len() > NAME_MAX {
            return Ok(());
        }
        Ok(std::fs::write(self.root.join(name), value.to_string())?)
    }
}

/// A failure of GDAL's as ours.
pub(super) fn gdal(err: gdal::errors::GdalError) -> Error {
    if let Err(missing) = crate::store::gdal::load() {
        return missing.context("making a sample");
    }
    Error::new(Kind::Failed, format!("GDAL could not make a sample: {err}")).with_source(err)
}

/// MD5 of a file in hexadecimal digits.
fn md5(path: &Path) -> Result<String> {
    let mut digest = Md5::new();
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..n).filter(|p| !p.is_empty()) else { break };
        digest.update(part);
    }
    Ok(digest.finalize().iter().fold(String::with_capacity(32), |mut hex, byte| {
        use std::fmt::Write as _;
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// A name for the scratch file of a key: FNV-1a.
fn fingerprint(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}
