//! Whether a local file has the bytes that an `ETag` speaks of.
//!
//! S3 and Ceph give the MD5 of an object that came in one piece, and `MD5(MD5s of the parts)-N` to one that
//! came in N parts (Amazon S3 User Guide, "Checking object integrity"). The size of the parts is not told:
//! the sizes that common tools use are tried, all in one reading.

use super::digest::md5_of;
use super::parts::part_size;
use crate::error::{Context as _, Result};
use crate::task::Control;
use md5::{Digest as _, Md5};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

const MIB: u64 = 1 << 20;
/// Bytes read at once.
const CHUNK: usize = 1 << 20;
/// Parts of boto3, aws, rclone, s5cmd, s3cmd and others, in MiB, the most usual first.
pub(super) const USUAL: [u64; 19] = [8, 5, 16, 50, 64, 10, 15, 32, 100, 128, 25, 6, 256, 512, 20, 200, 250, 500, 1024];

/// An `ETag` that is made of MD5 sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    sum: [u8; 16],
    /// `None`: it came in one piece.
    parts: Option<u64>,
}

impl Tag {
    /// Reads an `ETag`; `None` where it is no such sum.
    pub(super) fn parse(etag: &str) -> Option<Self> {
        let text = etag.trim_start_matches("W/").trim_matches('"');
        let (digits, parts) = match text.split_once('-') {
            Some((digits, parts)) => (digits, Some(parts.parse().ok().filter(|n| *n > 0)?)),
            None => (text, None),
        };
        Some(Self { sum: md5_of(digits)?, parts })
    }

    /// Whether two objects have the same bytes, as far as their tags tell: parts of other sizes make
    /// another tag of the same bytes.
    pub(super) fn is_same(&self, other: &Self) -> Option<bool> {
        match (self == other, self.parts, other.parts) {
            (true, ..) => Some(true),
            (false, None, None) => Some(false),
            _ => None,
        }
    }
}

/// The sizes of parts that make so many of a file.
fn candidates(size: u64, parts: u64) -> BTreeSet<u64> {
    let even = size.div_ceil(parts);
    let usual = USUAL.iter().map(|n| n * MIB).chain(part_size(size).ok());
    // Tools that make parts of equal size round them up to MiB, or not at all.
    let all = usual.chain([even, even.div_ceil(MIB) * MIB]);
    all.filter(|part| *part > 0 && size.div_ceil(*part).max(1) == parts).collect()
}

/// The sum of a file in parts of one size, so far.
struct Sum {
    part: u64,
    left: u64,
    inner: Md5,
    outer: Md5,
}

impl Sum {
    fn new(part: u64) -> Self {
        Self { part, left: part, inner: Md5::new(), outer: Md5::new() }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.inner.update(&bytes[..n]);
            self.left -= n as u64;
            bytes = &bytes[n..];
            if self.left == 0 {
                self.outer.update(self.inner.finalize_reset());
                self.left = self.part;
            }
        }
    }

    fn end(mut self) -> [u8; 16] {
        if self.left < self.part {
            self.outer.update(self.inner.finalize());
        }
        self.outer.finalize().into()
    }
}

/// Whether the file has these bytes. Reads all of it; blocks. A sum of parts whose size nobody uses is
/// told as another.
pub(super) fn fits(path: &Path, size: u64, tag: &Tag, control: &Control) -> Result<bool> {
    let mut file = std::fs::File::open(path).context(|| format!("opening {}", path.display()))?;
    let mut buffer = vec![0; CHUNK];
    let mut whole = Md5::new();
    let mut sums: Vec<Sum> =
        tag.parts.map(|parts| candidates(size, parts).into_iter().map(Sum::new).collect()).unwrap_or_default();
    if tag.parts.is_some() && sums.is_empty() {
        return Ok(false);
    }
    loop {
        control.check()?;
        let n = file.read(&mut buffer).context(|| format!("reading {}", path.display()))?;
        if n == 0 {
            break;
        }
        match tag.parts {
            None => whole.update(&buffer[..n]),
            Some(_) => sums.iter_mut().for_each(|sum| sum.update(&buffer[..n])),
        }
    }
    if tag.parts.is_none() {
        return Ok(whole.finalize()[..] == tag.sum);
    }
    Ok(sums.into_iter().any(|sum| sum.end() == tag.sum))
}

/// Whether two files have the same bytes. Blocks.
pub(super) fn equal(one: &Path, other: &Path, control: &Control) -> Result<bool> {
    let open = |path: &Path| std::fs::File::open(path).context(|| format!("opening {}", path.display()));
    let (mut one, mut other) = (std::io::BufReader::new(open(one)?), std::io::BufReader::new(open(other)?));
    let (mut a, mut b) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        control.check()?;
        let n = one.read(&mut a)?;
        if n == 0 {
            return Ok(other.read(&mut b)? == 0);
        }
        if other.read_exact(&mut b[..n]).is_err() || a[..n] != b[..n] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest::hex;
    use super::*;

    #[test]
    fn tags_are_told_from_other_words() {
        let sum = "d41d8cd98f00b204e9800998ecf8427e";
        let bytes: [u8; 16] = Md5::digest(b"").into();
        assert_eq!(Tag::parse(&format!("\"{sum}\"")), Some(Tag { sum: bytes, parts: None }));
        assert_eq!(Tag::parse(&format!("{sum}-12")), Some(Tag { sum: bytes, parts: Some(12) }));
        for other in ["", "0", "\"abc\"", &format!("{sum}-"), &format!("{sum}-0"), "12-34", &"g".repeat(32)] {
            assert_eq!(Tag::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_is_known_by_its_sum_in_parts_of_usual_size() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x");
        let bytes: Vec<u8> = (0..=250).cycle().take(17 << 20).collect();
        std::fs::write(&path, &bytes).expect("a file");
        let (size, control) = (bytes.len() as u64, Control::default());
        let plain = Tag::parse(&hex(&Md5::digest(&bytes))).expect("a tag");
        assert!(fits(&path, size, &plain, &control).expect("reads"));
        for part in [5, 8, 16] {
            let sums: Vec<u8> = bytes.chunks(part << 20).flat_map(|part| Md5::digest(part).to_vec()).collect();
            let tag = format!("{}-{}", hex(&Md5::digest(&sums)), bytes.len().div_ceil(part << 20));
            assert!(fits(&path, size, &Tag::parse(&tag).expect("a tag"), &control).expect("reads"), "{part}");
        }
        let mut other = bytes;
        other[1 << 20] ^= 1;
        std::fs::write(&path, &other).expect("a file");
        assert!(!fits(&path, size, &plain, &control).expect("reads"));
        assert!(equal(&path, &path, &control).expect("reads"));
    }

    #[test]
    fn an_empty_file_has_a_sum_too() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let tag = Tag::parse("d41d8cd98f00b204e9800998ecf8427e").expect("a tag");
        assert!(fits(file.path(), 0, &tag, &Control::default()).expect("reads"));
    }
}
