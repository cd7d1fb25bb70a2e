//! Checksums from the file to the server, and who vouches for what arrived.
//!
//! A CRC-32C of every part is always taken while it is read (it costs a hundredth of the reading) and journalled:
//! it tells whether a part that was sent before is still what the file holds. What travels with the bytes is that
//! CRC where the server keeps it (Amazon, `MinIO`, recent Ceph: their answers say so), else their MD5, which is
//! what their `ETag` is on most servers. Where neither comes back, the object is read again and compared.

use crate::error::{Context as _, Error, Kind, Result};
use crate::store::{Kept, Sums, Taken};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use md5::{Digest as _, Md5};
use sha2::Sha256;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Bytes read before they are hashed: they are still in the processor's cache then.
const STEP: u64 = 256 << 10;

/// How what arrives is proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// The best that the server keeps: CRC-32C, else MD5 by its `ETag`, else reading again.
    #[default]
    Auto,
    /// CRC-32C, kept by the server; where it keeps none, reading again.
    Crc32c,
    /// SHA-256, likewise.
    Sha256,
    /// `Content-MD5`, and the `ETag` compared.
    Md5,
    /// Nothing but the size is compared.
    None,
}

impl Checksum {
    /// All, as forms and the command line offer them.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Crc32c, Self::Sha256, Self::Md5, Self::None];

    /// As it is written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Crc32c => "crc32c",
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
            Self::None => "none",
        }
    }
}

impl std::str::FromStr for Checksum {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|checksum| checksum.as_str() == text);
        known.ok_or_else(|| Error::usage(format!("`{text}` is not one of auto, crc32c, sha256, md5, none")))
    }
}

/// What vouches for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// The server keeps the CRC-32C that the file has.
    Crc32c,
    /// The server keeps the SHA-256 that the file has.
    Sha256,
    /// The server's `ETag` is the MD5 that the file has, or the MD5 of its parts' MD5s.
    Md5,
    /// It was read again and compared.
    ReadBack,
    /// Only its size was compared.
    Size,
}

impl Proof {
    /// "by MD5"
    pub fn words(self) -> &'static str {
        match self {
            Self::Crc32c => "proved by CRC-32C",
            Self::Sha256 => "proved by SHA-256",
            Self::Md5 => "proved by MD5",
            Self::ReadBack => "proved by reading it again",
            Self::Size => "only the size was compared",
        }
    }
}

/// What is computed besides the CRC.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Want {
    pub(super) md5: bool,
    pub(super) sha256: bool,
}

/// The checksums of a piece of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) crc32c: u32,
    pub(super) md5: Option<[u8; 16]>,
    pub(super) sha256: Option<[u8; 32]>,
}

/// Bytes `offset..offset + len` of a file with their checksums. Blocks. A file that ends before is
/// [`Kind::Changed`] by `changed`.
pub(super) fn read(
    path: &Path,
    offset: u64,
    len: u64,
    want: Want,
    changed: impl Fn() -> Error,
) -> Result<(Bytes, Digests)> {
    let doing = || format!("reading {}", path.display());
    let size = usize::try_from(len).map_err(|_| Error::new(Kind::Limit, "a part is larger than memory"))?;
    let mut file = File::open(path).context(|| format!("opening {}", path.display()))?;
    if offset > 0 {
        file.seek(SeekFrom::Start(offset)).context(doing)?;
    }
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(size).map_err(|_| Error::new(Kind::Limit, "there is no memory left for a part"))?;
    let mut crc = crc_fast::Digest::new(Crc32Iscsi);
    let (mut md5, mut sha) = (want.md5.then(Md5::new), want.sha256.then(Sha256::new));
    while buffer.len() < size {
        let from = buffer.len();
        // Into memory that was not written before: nothing is copied and nothing filled with zeros first.
        file.by_ref().take(STEP.min((size - from) as u64)).read_to_end(&mut buffer).context(doing)?;
        let piece = buffer.get(from..).unwrap_or_default();
        if piece.is_empty() {
            return Err(changed());
        }
        crc.update(piece);
        if let Some(md5) = &mut md5 {
            md5.update(piece);
        }
        if let Some(sha) = &mut sha {
            sha.update(piece);
        }
    }
    let digests = Digests {
        crc32c: crc.finalize() as u32,
        md5: md5.map(|md5| md5.finalize().into()),
        sha256: sha.map(|sha| sha.finalize().into()),
    };
    Ok((buffer.into(), digests))
}

/// What a server's answer tells of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It arrived as it was.
    Right(Proof),
    /// It did not, or the server's `ETag` is something else than it seems.
    Altered,
    /// Nothing.
    Silent,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A whole object.
    Whole,
    /// A part of an upload that was begun for keeping such checksums, or none.
    Part(Option<Kept>),
}

/// What is known of how a store vouches for what it was given.
pub(super) struct Method {
    wish: Checksum,
    is_s3: bool,
    found: AtomicU8,
}

impl Method {
    const UNKNOWN: u8 = 0;
    const KEEPS_CRC: u8 = 1;
    const MD5: u8 = 2;
    const OPAQUE: u8 = 3;

    pub(super) fn new(wish: Checksum, is_s3: bool) -> Self {
        Self { wish, is_s3, found: AtomicU8::new(Self::UNKNOWN) }
    }

    fn found(&self) -> u8 {
        self.found.load(Relaxed)
    }

    /// What an upload in parts asks the server to keep.
    pub(super) fn keep(&self) -> Option<Kept> {
        match self.wish {
            Checksum::Crc32c => Some(Kept::Crc32c),
            Checksum::Sha256 => Some(Kept::Sha256),
            Checksum::Auto if matches!(self.found(), Self::UNKNOWN | Self::KEEPS_CRC) => Some(Kept::Crc32c),
            _ => None,
        }
        .filter(|_| self.is_s3)
    }

    /// What is computed besides the CRC.
    pub(super) fn want(&self, piece: Piece) -> Want {
        if !self.is_s3 {
            return Want::default();
        }
        let (none, md5) = (Want::default(), Want { md5: true, sha256: false });
        let sha256 = Want { md5: false, sha256: true };
        match (self.wish, piece) {
            (_, Piece::Part(Some(Kept::Sha256))) | (Checksum::Sha256, Piece::Whole) => sha256,
            (Checksum::Md5, _) | (Checksum::Auto, Piece::Part(None)) => md5,
            (Checksum::Auto, Piece::Whole) if self.found() != Self::KEEPS_CRC => md5,
            _ => none,
        }
    }

    /// What travels with it.
    pub(super) fn sums(&self, digests: &Digests, piece: Piece) -> Sums {
        let crc = match (self.wish, piece) {
            (_, Piece::Part(kept)) => kept == Some(Kept::Crc32c),
            (Checksum::Crc32c, Piece::Whole) => true,
            (Checksum::Auto, Piece::Whole) => matches!(self.found(), Self::UNKNOWN | Self::KEEPS_CRC),
            _ => false,
        };
        Sums { md5: digests.md5, sha256: digests.sha256, crc32c: (crc && self.is_s3).then_some(digests.crc32c) }
    }

    /// The server does not even take a checksum along.
    pub(super) fn refuses_sums(&self) {
        let _ = self.found.compare_exchange(Self::UNKNOWN, Self::MD5, Relaxed, Relaxed);
    }

    /// What the answer says of what was sent with `sums`.
    pub(super) fn judge(&self, sums: &Sums, taken: &Taken) -> Word {
        if self.wish == Checksum::None || !self.is_s3 {
            return Word::Right(Proof::Size);
        }
        if let (Some(ours), Some(theirs)) = (sums.crc32c, &taken.crc32c) {
            let right = BASE64_STANDARD.encode(ours.to_be_bytes()) == *theirs;
            if right && self.wish == Checksum::Auto {
                self.found.store(Self::KEEPS_CRC, Relaxed);
            }
            return if right { Word::Right(Proof::Crc32c) } else { Word::Altered };
        }
        if let (Some(ours), Some(theirs)) = (sums.sha256, &taken.sha256) {
            return if BASE64_STANDARD.encode(ours) == *theirs { Word::Right(Proof::Sha256) } else { Word::Altered };
        }
        let Some(ours) = sums.md5 else { return Word::Silent };
        match md5_of(&taken.etag) {
            Some(theirs) if theirs == ours => {
                self.found.store(Self::MD5, Relaxed);
                Word::Right(Proof::Md5)
            }
            Some(_) if self.found() != Self::OPAQUE => Word::Altered,
            _ => Word::Silent,
        }
    }

    /// Of two sendings neither came back as its MD5: whether that means that the bytes were altered, because
    /// `ETag`s were MD5s before. Else they are something else there.
    pub(super) fn is_altered(&self) -> bool {
        self.found.compare_exchange(Self::UNKNOWN, Self::OPAQUE, Relaxed, Relaxed) == Err(Self::MD5)
    }
}

/// The MD5 that an `ETag` is, if it looks like one.
pub(super) fn md5_of(etag: &str) -> Option<[u8; 16]> {
    let hex = etag.trim_matches('"');
    let mut out = [0; 16];
    // Signs are numbers to the parser too.
    if hex.len() != 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// The `ETag` that S3 gives to an object of these parts, without quotes; `None` where they are not MD5 sums.
pub(super) fn whole_etag<'a>(parts: impl ExactSizeIterator<Item = &'a str>) -> Option<String> {
    let (mut all, count) = (Md5::new(), parts.len());
    for etag in parts {
        all.update(md5_of(etag)?);
    }
    Some(format!("{}-{count}", hex(&all.finalize())))
}

/// The checksum that S3 keeps of an object of these parts: that of their checksums. Base64, without the number.
pub(super) fn whole_sum(kept: Kept, parts: &[Digests]) -> Option<String> {
    match kept {
        Kept::Crc32c => {
            let mut crc = crc_fast::Digest::new(Crc32Iscsi);
            for part in parts {
                crc.update(&part.crc32c.to_be_bytes());
            }
            Some(BASE64_STANDARD.encode((crc.finalize() as u32).to_be_bytes()))
        }
        Kept::Sha256 => {
            let mut sha = Sha256::new();
            for part in parts {
                sha.update(part.sha256?);
            }
            Some(BASE64_STANDARD.encode(sha.finalize()))
        }
    }
}

/// Lower-case digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(etag: &str, crc32c: Option<&str>) -> Taken {
        Taken { etag: etag.to_owned(), crc32c: crc32c.map(str::to_owned), sha256: None }
    }

    #[test]
    fn etags_of_parts_tell_that_of_the_whole() {
        // printf abc | md5sum; the md5 of those 16 bytes twice by `xxd -r -p | md5sum`.
        let etag = "\"900150983cd24fb0d6963f7d28e17f72\"";
        assert_eq!(md5_of(etag), Some(Md5::digest(b"abc").into()));
        let sum = Md5::digest([Md5::digest(b"abc"), Md5::digest(b"abc")].concat());
        assert_eq!(whole_etag([etag, etag].into_iter()), Some(format!("{}-2", hex(&sum))));
        assert_eq!(whole_etag(["\"7\""].into_iter()), None);
        assert_eq!(md5_of("ü0150983cd24fb0d6963f7d28e17f72"), None);
        assert_eq!(md5_of("+00150983cd24fb0d6963f7d28e17f72"), None);
    }

    #[test]
    fn pieces_are_read_with_their_checksums() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("x");
        let bytes: Vec<u8> = (0..700_000u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).expect("writes");
        let gone = || Error::new(Kind::Changed, "shorter");
        let want = Want { md5: true, sha256: true };
        let (body, digests) = read(&path, 100, 600_000, want, gone).expect("reads");
        assert_eq!(body, &bytes[100..600_100]);
        assert_eq!(digests.md5, Some(Md5::digest(&body).into()));
        assert_eq!(digests.sha256, Some(Sha256::digest(&body).into()));
        assert_eq!(u64::from(digests.crc32c), crc_fast::checksum(Crc32Iscsi, &body));
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc_fast::checksum(Crc32Iscsi, &[0; 32]), 0x8a91_36aa);
        assert_eq!(read(&path, 0, 700_001, Want::default(), gone).map_err(|e| e.kind()), Err(Kind::Changed));
        assert!(read(&path, 0, 0, want, gone).expect("nothing").0.is_empty());
    }

    #[test]
    fn the_first_answer_tells_what_a_server_keeps() {
        let digests = Digests { crc32c: 0xe306_9283, md5: Some(Md5::digest(b"abc").into()), sha256: None };
        let abc = "\"900150983cd24fb0d6963f7d28e17f72\"";
        let auto = || Method::new(Checksum::Auto, true);

        let keeps = auto();
        let sums = keeps.sums(&digests, Piece::Whole);
        assert!(sums.md5.is_some() && sums.crc32c.is_some(), "both, until it is known");
        assert_eq!(keeps.judge(&sums, &taken("\"kms\"", Some("4waSgw=="))), Word::Right(Proof::Crc32c));
        assert!(!keeps.want(Piece::Whole).md5, "MD5 is not needed any more");

        let plain = auto();
        assert_eq!(plain.judge(&sums, &taken(abc, None)), Word::Right(Proof::Md5));
        assert!(plain.sums(&digests, Piece::Whole).crc32c.is_none() && plain.keep().is_none());
        let other = "\"00000000000000000000000000000000\"";
        assert_eq!(plain.judge(&sums, &taken(other, None)), Word::Altered);
        assert!(plain.is_altered());

        let opaque = auto();
        assert_eq!(opaque.judge(&sums, &taken(other, None)), Word::Altered);
        assert!(!opaque.is_altered(), "it never was an MD5 there");
        assert_eq!(opaque.judge(&sums, &taken(other, None)), Word::Silent);
        assert_eq!(Method::new(Checksum::None, true).judge(&sums, &taken("", None)), Word::Right(Proof::Size));
        let wished = Method::new(Checksum::Crc32c, true);
        let digests = Digests { md5: None, ..digests };
        assert_eq!(
            wished.judge(&wished.sums(&digests, Piece::Whole), &taken(abc, None)),
            Word::Silent,
            "to be read again"
        );
    }
}
