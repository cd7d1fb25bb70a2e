//! What forms read from the local disk: names for the picker, and what the chosen paths hold.

use crate::error::{Context as _, Error, Kind, Result};
use crate::location::Location;
use crate::text;
use crate::widgets::form::Item;
use std::path::{Path, PathBuf};

/// Names of one folder that the picker is given.
const NAMES: usize = 20_000;
/// Entries that are looked at to tell how much is chosen.
const ENTRIES: usize = 20_000;

/// What is known of local paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Files, those in folders counted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// There were too many to count them all.
    pub more: bool,
    /// A folder that is being typed was not looked into.
    pub open: bool,
    /// Paths that are not there, with why.
    pub missing: Vec<(String, String)>,
    /// The first path that is a file.
    pub first_file: Option<String>,
}

/// A path as a person types it.
pub(super) fn to_path(typed: &str) -> PathBuf {
    let typed = if typed.is_empty() { "." } else { typed };
    Location::file(Path::new(typed)).to_path().unwrap_or_else(|| PathBuf::from(typed))
}

/// Runs blocking code of this module beside the loop.
async fn beside<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(f)
        .await
        .map_err(|err| Error::new(Kind::Failed, "looking at the disk failed").with_source(err))?
}

/// The names in a folder as typed: folders first, each by name.
pub(super) async fn names(folder: String) -> Result<Vec<Item>> {
    beside(move || {
        let mut items = Vec::new();
        for entry in std::fs::read_dir(to_path(&folder)).context(|| folder.clone())?.take(NAMES).flatten() {
            // Following links: a link to a folder is one to the picker.
            let meta = std::fs::metadata(entry.path()).ok();
            let is_folder = meta.as_ref().is_some_and(std::fs::Metadata::is_dir);
            let size = meta.filter(|_| !is_folder).map(|m| text::bytes(m.len())).unwrap_or_default();
            // A name that is not UTF-8 cannot be typed, and none of our jobs could write it down.
            if let Ok(name) = entry.file_name().into_string() {
                items.push(Item { name, is_folder, size });
            }
        }
        items.sort_by(|a, b| {
            b.is_folder.cmp(&a.is_folder).then_with(|| a.name.to_lowercase().cmp(&b.name.to_lowercase()))
        });
        Ok(items)
    })
    .await
}

/// Looks at files and folders. What is still being typed is not walked through: it would be half the disk
/// on the way to a path.
pub(super) async fn facts(paths: Vec<String>, typing: String) -> Result<Facts> {
    beside(move || {
        let mut facts = Facts::default();
        let mut left = ENTRIES;
        for typed in paths {
            let path = to_path(&typed);
            match std::fs::metadata(&path) {
                Ok(meta) if meta.is_dir() && typed == typing => facts.open = true,
                Ok(meta) if meta.is_dir() => walk(&path, &mut facts, &mut left),
                Ok(meta) => {
                    facts.files += 1;
                    facts.bytes = facts.bytes.saturating_add(meta.len());
                    facts.first_file.get_or_insert(typed);
                }
                Err(err) => facts.missing.push((typed, Error::from(err).to_string())),
            }
        }
        Ok(facts)
    })
    .await
}

/// Counts what is below a folder; links are not followed, so that it ends.
fn walk(folder: &Path, facts: &mut Facts, left: &mut usize) {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if *left == 0 {
                facts.more = true;
                return;
            }
            *left -= 1;
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) => {
                    facts.files += 1;
                    facts.bytes = facts.bytes.saturating_add(meta.len());
                }
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn folders_stand_first_and_are_counted_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        std::fs::create_dir_all(root.join("sub/deep")).expect("folders");
        std::fs::write(root.join("a.csv"), "12345").expect("a file");
        std::fs::write(root.join("sub/deep/b.csv"), "123").expect("a file");
        let typed = format!("{}/", root.display());
        let items = names(typed.clone()).await.expect("listed");
        let listed: Vec<_> = items.iter().map(|i| (i.name.as_str(), i.is_folder, i.size.as_str())).collect();
        assert_eq!(listed, [("sub", true, ""), ("a.csv", false, "5 B")]);
        let gone = format!("{typed}gone");
        let found = facts(vec![typed.clone(), gone.clone()], String::new()).await.expect("looked at");
        assert_eq!((found.files, found.bytes, found.more), (2, 8, false));
        assert_eq!(found.missing, [(gone, "no such file or folder".to_owned())]);
        let found = facts(vec![typed.clone()], typed.clone()).await.expect("looked at");
        assert_eq!((found.files, found.open), (0, true));
        assert!(names(format!("{typed}none/")).await.is_err());
    }
}
