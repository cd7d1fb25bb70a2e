//! Any key as a `Path` and back. `object_store` cannot spell `a//b`, a leading or trailing `/`,
//! `..` or a line break; S3 and Ceph hold such keys. They travel percent-encoded behind a mark in
//! the first segment, and the stores of this folder take the mark off again.

use crate::location::Scheme;
use object_store::path::{DELIMITER, Path};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// A key that begins with it is itself sent marked, so that nothing is ambiguous.
const MARK: &str = "~secchi~";

/// Ends the id of a version behind the mark, before the key. Neither holds one: it is encoded there.
const VERSION_END: char = '~';

/// Dots stay, so that the suffix of a marked key is still seen by libraries.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

/// The path that stands for `key`.
pub(super) fn to_path(scheme: Scheme, key: &str) -> Path {
    let plain = match scheme {
        // Keys of local files are absolute; a folder's trailing slash says nothing more.
        Scheme::File => key.strip_prefix('/').unwrap_or(key).trim_end_matches('/'),
        Scheme::Memory => key.trim_end_matches('/'),
        _ => key,
    };
    match Path::parse(plain) {
        Ok(path) if path.as_ref() == plain && !plain.starts_with(MARK) => path,
        _ => Path::parse(format!("{MARK}{}", utf8_percent_encode(plain, ENCODED))).unwrap_or_default(),
    }
}

/// The path that stands for one version of `key`.
pub(super) fn to_version(key: &str, version: &str) -> Path {
    let encoded = |text| utf8_percent_encode(text, ENCODED);
    Path::parse(format!("{MARK}{}{VERSION_END}{}", encoded(version), encoded(key))).unwrap_or_default()
}

/// The version that `path` stands for. What a library has joined to its path is another object, of
/// which that version is none.
pub(super) fn version_of(path: &Path) -> Option<String> {
    let marked = path.as_ref().strip_prefix(MARK).filter(|marked| !marked.contains(DELIMITER))?;
    let (version, _) = marked.split_once(VERSION_END)?;
    Some(percent_decode_str(version).decode_utf8_lossy().into_owned())
}

/// Whether `path` stands for a key that `object_store` cannot spell.
pub(super) fn is_marked(path: &Path) -> bool {
    path.as_ref().starts_with(MARK)
}

/// The key that `path` stands for. What a library has joined to a marked path is joined to its key.
pub(super) fn to_key(scheme: Scheme, path: &Path) -> String {
    let raw = path.as_ref();
    let mut key = match raw.strip_prefix(MARK) {
        None => raw.to_owned(),
        Some(marked) => {
            let (first, rest) = marked.split_once(DELIMITER).map_or((marked, None), |(a, b)| (a, Some(b)));
            let first = first.split_once(VERSION_END).map_or(first, |(_, key)| key);
            let mut key = percent_decode_str(first).decode_utf8_lossy().into_owned();
            if let Some(rest) = rest {
                if !key.ends_with('/') {
                    key.push('/');
                }
                key.push_str(rest);
            }
            key
        }
    };
    if scheme == Scheme::File && !key.starts_with('/') {
        key.insert(0, '/');
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_keys_stay_as_they_are() {
        for key in ["a/b.tif", "a b", "é/ü", "100%", "x#1", "..."] {
            let path = to_path(Scheme::S3, key);
            assert!(!is_marked(&path), "{key}");
            assert_eq!(path.as_ref(), key);
        }
        assert_eq!(to_path(Scheme::File, "/tmp/a b").as_ref(), "tmp/a b");
    }

    #[test]
    fn libraries_may_join_to_a_marked_path() {
        let root = to_path(Scheme::S3, "a//b.zarr");
        assert_eq!(to_key(Scheme::S3, &root.clone().join("zarr.json")), "a//b.zarr/zarr.json");
        assert_eq!(to_key(Scheme::S3, &to_path(Scheme::S3, "/lead/").join("x")), "/lead/x");
        assert_eq!(to_path(Scheme::S3, "a//b.tif").extension(), Some("tif"));
    }

    proptest! {
        #[test]
        fn every_key_survives(key in ".{0,40}|[a./~%]{0,12}|(~secchi~)?[a-z/.]{1,9}") {
            let path = to_path(Scheme::S3, &key);
            prop_assert_eq!(to_key(Scheme::S3, &path), key);
            prop_assert_eq!(version_of(&path), None);
        }

        #[test]
        fn every_version_of_every_key_survives(key in ".{1,40}|[a./~%]{1,12}", version in ".{1,20}|[a-z~%]{1,9}") {
            let path = to_version(&key, &version);
            prop_assert!(is_marked(&path));
            prop_assert_eq!(to_key(Scheme::S3, &path), key);
            prop_assert_eq!(version_of(&path), Some(version));
            prop_assert_eq!(version_of(&path.join("x")), None);
        }
    }
}
