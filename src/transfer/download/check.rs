//! Whether the bytes are those that the server keeps: what it tells of them, and how that is compared.

use super::sink::{CRC32C, Sums};
use crate::entry::Detail;
use crate::transfer::digest::md5_of;
use crate::transfer::etag::USUAL;
use base64::Engine as _;
use crc_fast::{CrcAlgorithm, checksum_combine};

const MIB: u64 = 1 << 20;
/// Sizes that are tried where several fit.
const TRIED: usize = 6;

/// By what a file was compared with the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A checksum that the server keeps of the whole object.
    Checksum,
    /// Its `ETag`, which is the MD5 of the bytes.
    Md5,
    /// Its `ETag`, which is the MD5 of the MD5s of its parts.
    PartsMd5,
    /// It was read twice, and came alike.
    ReadTwice,
    /// Its length, and that every answer came from the same version of it.
    Length,
}

impl Check {
    /// All, the strongest first.
    pub const ALL: [Self; 5] = [Self::Checksum, Self::Md5, Self::PartsMd5, Self::ReadTwice, Self::Length];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Checksum => "by the server's checksum",
            Self::Md5 => "by MD5",
            Self::PartsMd5 => "by the MD5 of its parts",
            Self::ReadTwice => "by reading it twice",
            Self::Length => "by length and version alone",
        }
    }
}

/// What the bytes can be compared with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Proof {
    /// A CRC of all bytes.
    Crc(CrcAlgorithm, u64),
    Md5([u8; 16]),
    /// The `ETag`'s digest, and so many parts.
    Parts([u8; 16], u32),
    None,
}

impl Proof {
    /// What an `ETag` proves, if it is one of MD5s.
    pub(super) fn of_etag(etag: Option<&str>) -> Self {
        let Some(text) = etag.map(|etag| etag.trim_matches('"')) else { return Self::None };
        match text.split_once('-') {
            None => md5_of(text).map_or(Self::None, Self::Md5),
            Some((hex, parts)) => match (md5_of(hex), parts.parse()) {
                (Some(digest), Ok(parts @ 1..=10_000)) => Self::Parts(digest, parts),
                _ => Self::None,
            },
        }
    }

    /// What a server tells by a HEAD: a checksum goes before the `ETag`, which is no MD5 with keys of others.
    pub(super) fn of_facts(etag: Option<&str>, detail: &Detail) -> Self {
        let kept = [
            ("crc64nvme", CrcAlgorithm::Crc64Nvme, 8),
            ("crc32c", CRC32C, 4),
            ("crc32", CrcAlgorithm::Crc32IsoHdlc, 4),
        ];
        for (name, algorithm, bytes) in kept {
            // That of parts has their number behind it.
            let Some(sum) = detail.checksums.get(name).filter(|sum| !sum.contains('-')) else { continue };
            if let Ok(sum) = base64::engine::general_purpose::STANDARD.decode(sum)
                && sum.len() == bytes
            {
                return Self::Crc(algorithm, sum.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)));
            }
        }
        if is_sealed(detail) { Self::None } else { Self::of_etag(etag) }
    }

    /// The CRC that ranges are summed up with besides CRC32C.
    pub(super) fn algorithm(&self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc(algorithm, _) => Some(*algorithm),
            _ => None,
        }
    }
}

/// Whether it is encrypted by a key service or with a key of the owner: its `ETag` is no MD5 then.
pub(in crate::transfer) fn is_sealed(detail: &Detail) -> bool {
    detail.encryption.as_deref().is_some_and(|how| how != "AES256")
}

/// The CRC of ranges that follow each other.
pub(super) fn combined(algorithm: CrcAlgorithm, ranges: impl IntoIterator<Item = (u64, Sums)>) -> u64 {
    let own = |sums: &Sums| if algorithm == CRC32C { u64::from(sums.crc32c) } else { sums.other.unwrap_or_default() };
    let mut all: Option<u64> = None;
    for (length, sums) in ranges {
        all = Some(match all {
            None => own(&sums),
            Some(before) => checksum_combine(algorithm, before, own(&sums), length),
        });
    }
    all.unwrap_or_else(|| crc_fast::checksum(algorithm, b""))
}

/// The sizes that the parts of such an object may have, the likeliest first.
pub(in crate::transfer) fn part_sizes(size: u64, parts: u32) -> Vec<u64> {
    let parts = u64::from(parts);
    if parts <= 1 {
        return vec![size];
    }
    let fits = |part: &u64| *part > 0 && size.div_ceil(*part) == parts;
    let mut found: Vec<u64> = USUAL.iter().map(|n| n * MIB).filter(fits).collect();
    let least = size.div_ceil(parts).div_ceil(MIB) * MIB;
    for part in (0..TRIED as u64).map(|n| least + n * MIB).filter(fits) {
        if !found.contains(&part) {
            found.push(part);
        }
    }
    // All of the same size, to the byte.
    if size.is_multiple_of(parts) && !found.contains(&(size / parts)) {
        found.push(size / parts);
    }
    found.truncate(TRIED);
    found
}

/// The parts of an object, each with its offset and length.
pub(super) fn parts(size: u64, part: u64) -> Vec<std::ops::Range<u64>> {
    let part = part.max(1);
    (0..size.div_ceil(part).max(1)).map(|n| n * part..((n + 1) * part).min(size)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_tells_what_it_is() {
        let md5 = "\"5d41402abc4b2a76b9719d911017c592\"";
        assert!(matches!(Proof::of_etag(Some(md5)), Proof::Md5(sum) if sum[..2] == [0x5d, 0x41]));
        assert!(matches!(Proof::of_etag(Some("5d41402abc4b2a76b9719d911017c592-38")), Proof::Parts(_, 38)));
        for other in ["\"abc\"", "W/\"5d41402abc4b2a76b9719d911017c592\"", "\"5d41402abc4b2a76b9719d911017c592-0\"", ""]
        {
            assert_eq!(Proof::of_etag(Some(other)), Proof::None, "{other}");
        }
        let mut detail = Detail { encryption: Some("aws:kms".into()), ..Detail::default() };
        assert_eq!(Proof::of_facts(Some(md5), &detail), Proof::None);
        detail.checksums.insert("crc32c".into(), "yZRlqg==-2".into());
        assert_eq!(Proof::of_facts(Some(md5), &detail), Proof::None, "a checksum of checksums");
        detail.checksums.insert("crc32c".into(), "yZRlqg==".into());
        assert_eq!(Proof::of_facts(Some(md5), &detail), Proof::Crc(CRC32C, 0xc994_65aa));
    }

    #[test]
    fn sizes_of_parts_are_guessed() {
        assert_eq!(part_sizes(1 << 30, 128), [8 * MIB]);
        assert_eq!(part_sizes(100 * MIB, 2)[..2], [50 * MIB, 64 * MIB]);
        assert_eq!(part_sizes(7, 1), [7]);
        assert!(part_sizes(20_000_000, 4).contains(&5_000_000));
        assert_eq!(parts(20, 8), [0..8, 8..16, 16..20]);
        assert_eq!(parts(0, 8), std::iter::once(0..0).collect::<Vec<_>>());
    }

    #[test]
    fn the_crc_of_ranges_is_that_of_the_whole() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        for algorithm in [CRC32C, CrcAlgorithm::Crc64Nvme, CrcAlgorithm::Crc32IsoHdlc] {
            let pieces = bytes.chunks(33_333).map(|piece| {
                let mut summing = super::super::sink::Summing::new(Some(algorithm));
                summing.update(piece);
                (piece.len() as u64, summing.sums())
            });
            assert_eq!(combined(algorithm, pieces), crc_fast::checksum(algorithm, &bytes));
        }
        assert_eq!(combined(CRC32C, []), 0);
    }
}
