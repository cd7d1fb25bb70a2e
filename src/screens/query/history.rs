//! What was asked before: kept in the state folder, for its owner alone, without what looks like a signed link.

use crate::config::Folders;
use crate::error::{Context as _, Result};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Queries kept.
const MOST: usize = 500;
/// Letters of a query that is kept.
const LONGEST: usize = 8_192;
/// In links that work without credentials.
const SECRETS: [&str; 6] = ["x-amz-signature", "x-amz-credential", "signature=", "sig=", "token=", "x-goog-signature"];

/// Queries, the oldest first, and which of them is looked at.
#[derive(Default)]
pub(super) struct History {
    all: Vec<String>,
    at: Option<usize>,
    /// What was being typed before one looked.
    draft: String,
}

fn file(state: &Path) -> PathBuf {
    state.join("sql-history.ndjson")
}

/// Reads it; a history that cannot be read is none.
pub(super) fn load(folders: &Folders) -> Vec<String> {
    let text = std::fs::read_to_string(file(&folders.state)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Writes it: whole or not at all.
pub(super) fn save(folders: &Folders, all: &[String]) -> Result<()> {
    let file = file(&folders.state);
    let what = || format!("writing {}", file.display());
    std::fs::create_dir_all(&folders.state).context(what)?;
    // A temporary file is its owner's alone.
    let mut new = tempfile::NamedTempFile::new_in(&folders.state).context(what)?;
    for sql in all {
        writeln!(new, "{}", serde_json::to_string(sql)?).context(what)?;
    }
    new.persist(&file).map_err(|err| crate::error::Error::from(err.error)).context(what)?;
    Ok(())
}

impl History {
    pub(super) fn set(&mut self, earlier: Vec<String>) {
        let now = std::mem::replace(&mut self.all, earlier);
        for sql in now {
            self.add(&sql);
        }
    }

    /// Remembers a query; tells whether it is to be written.
    pub(super) fn add(&mut self, sql: &str) -> bool {
        self.at = None;
        let lower = sql.to_ascii_lowercase();
        if sql.trim().is_empty() || sql.len() > LONGEST || SECRETS.iter().any(|secret| lower.contains(secret)) {
            return false;
        }
        self.all.retain(|earlier| earlier != sql);
        self.all.push(sql.to_owned());
        let old = self.all.len().saturating_sub(MOST);
        self.all.drain(..old);
        true
    }

    pub(super) fn all(&self) -> &[String] {
        &self.all
    }

    /// The one before, or after; `None` at the ends. `now` is what is typed.
    pub(super) fn step(&mut self, back: bool, now: &str) -> Option<String> {
        let at = self.at.unwrap_or(self.all.len());
        if self.at.is_none() {
            now.clone_into(&mut self.draft);
        }
        let next = if back { at.checked_sub(1)? } else { at + 1 };
        if next > self.all.len() || (self.at.is_none() && !back) {
            return None;
        }
        self.at = (next < self.all.len()).then_some(next);
        Some(self.at.map_or_else(|| self.draft.clone(), |at| self.all[at].clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_back_and_returns_to_what_was_typed() {
        let mut history = History::default();
        history.set(vec!["a".into(), "b".into()]);
        assert!(history.add("c") && history.add("a"));
        assert_eq!(history.all(), ["b", "c", "a"]);
        assert_eq!(history.step(false, "draft"), None);
        assert_eq!(history.step(true, "draft").as_deref(), Some("a"));
        assert_eq!(history.step(true, "a").as_deref(), Some("c"));
        assert_eq!(history.step(false, "c").as_deref(), Some("a"));
        assert_eq!(history.step(false, "a").as_deref(), Some("draft"));
    }

    #[test]
    fn signed_links_are_not_remembered() {
        let mut history = History::default();
        assert!(!history.add("SELECT * FROM 'https://h/x.parquet?X-Amz-Signature=abc'"));
        assert!(!history.add("  "));
        assert!(history.all().is_empty());
    }

    #[test]
    fn it_is_kept_for_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let folders = Folders { config: folder.path().join("c"), state: folder.path().join("s") };
        save(&folders, &["SELECT 'a\nb'".to_owned()]).expect("saved");
        assert_eq!(load(&folders), ["SELECT 'a\nb'"]);
        let mode = std::fs::metadata(file(&folders.state)).expect("there").permissions().mode();
        assert_eq!(mode & 0o77, 0);
    }
}
