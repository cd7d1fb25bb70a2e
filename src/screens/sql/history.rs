//! What was asked before: kept in the state folder, for its owner alone, without what looks like a signed link.

use crate::config::Folders;
use crate::error::{Context as _, Error, Kind, Result};
use crate::screen::Cx;
use crate::task::{Pending, poll_slot};
use std::io::Write as _;

/// Queries, as a whole.
pub(in crate::screens) const QUERIES: &str = "sql-history.ndjson";
/// Conditions of filters.
pub(in crate::screens) const CONDITIONS: &str = "filter-history.ndjson";

/// Queries kept.
const MOST: usize = 500;
/// Letters of a query that is kept.
const LONGEST: usize = 8_192;
/// In links that work without credentials.
const SECRETS: [&str; 6] = ["x-amz-signature", "x-amz-credential", "signature=", "sig=", "token=", "x-goog-signature"];

/// What was typed before, read and written in the background.
pub(in crate::screens) struct History {
    /// Its name in the state folder.
    file: &'static str,
    past: Past,
    earlier: Option<Pending<Vec<String>>>,
    saving: Option<Pending<()>>,
}

/// Queries, the oldest first, and which of them is looked at.
#[derive(Default)]
struct Past {
    all: Vec<String>,
    at: Option<usize>,
    /// What was being typed before one looked.
    draft: String,
}

/// Reads it; a history that cannot be read is none.
fn load(folders: &Folders, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folders.state.join(name)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Writes it: whole or not at all.
fn save(folders: &Folders, name: &str, all: &[String]) -> Result<()> {
    let file = folders.state.join(name);
    let what = || format!("writing {}", file.display());
    std::fs::create_dir_all(&folders.state).context(what)?;
    // A temporary file is its owner's alone.
    let mut new = tempfile::NamedTempFile::new_in(&folders.state).context(what)?;
    for sql in all {
        writeln!(new, "{}", serde_json::to_string(sql)?).context(what)?;
    }
    new.persist(&file).map_err(|err| Error::from(err.error)).context(what)?;
    Ok(())
}

fn lost(err: tokio::task::JoinError) -> Error {
    Error::new(Kind::Failed, "a worker of the history failed").with_source(err)
}

impl History {
    /// That of a file of the state folder; what it holds arrives later.
    pub(in crate::screens) fn open(file: &'static str, cx: &Cx) -> Self {
        let folders = cx.folders.clone();
        let earlier = Pending::spawn(&cx.waker, async move {
            tokio::task::spawn_blocking(move || load(&folders, file)).await.map_err(lost)
        });
        Self { file, past: Past::default(), earlier: Some(earlier), saving: None }
    }

    /// Remembers what was asked, here and on disk.
    pub(in crate::screens) fn add(&mut self, sql: &str, cx: &Cx) {
        if self.past.add(sql) && self.earlier.is_none() {
            self.save(cx);
        }
    }

    fn save(&mut self, cx: &Cx) {
        let (folders, file, all) = (cx.folders.clone(), self.file, self.past.all.clone());
        self.saving = Some(Pending::spawn(&cx.waker, async move {
            tokio::task::spawn_blocking(move || save(&folders, file, &all)).await.map_err(lost)?
        }));
    }

    /// The one before, or after; `None` at the ends. `now` is what is typed.
    pub(in crate::screens) fn step(&mut self, back: bool, now: &str) -> Option<String> {
        self.past.step(back, now)
    }

    /// Takes what was read; says what could not be written.
    pub(in crate::screens) fn poll(&mut self, cx: &mut Cx) {
        if let Some(earlier) = poll_slot(&mut self.earlier) {
            // What was asked meanwhile is not lost, and not written over what was not read yet.
            let asked = !self.past.all.is_empty();
            self.past.set(earlier.unwrap_or_default());
            if asked {
                self.save(cx);
            }
        }
        if let Some(Err(err)) = poll_slot(&mut self.saving) {
            cx.fail(&err);
        }
    }
}

impl Past {
    fn set(&mut self, earlier: Vec<String>) {
        let now = std::mem::replace(&mut self.all, earlier);
        for sql in now {
            self.add(&sql);
        }
    }

    /// Remembers a query; tells whether it is to be written.
    fn add(&mut self, sql: &str) -> bool {
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

    /// The one before, or after; `None` at the ends. `now` is what is typed.
    fn step(&mut self, back: bool, now: &str) -> Option<String> {
        let at = self.at.unwrap_or(self.all.len());
        if self.at.is_none() {
            now.clone_into(&mut self.draft);
        }
        let mut next = if back { at.checked_sub(1)? } else { at + 1 };
        // What stands there already is no step.
        if self.at.is_none() && back && self.all[next] == now {
            next = next.checked_sub(1)?;
        }
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
        let mut history = Past::default();
        history.set(vec!["a".into(), "b".into()]);
        assert!(history.add("c") && history.add("a"));
        assert_eq!(history.all, ["b", "c", "a"]);
        assert_eq!(history.step(false, "draft"), None);
        assert_eq!(history.step(true, "draft").as_deref(), Some("a"));
        assert_eq!(history.step(true, "a").as_deref(), Some("c"));
        assert_eq!(history.step(false, "c").as_deref(), Some("a"));
        assert_eq!(history.step(false, "a").as_deref(), Some("draft"));
        assert_eq!(history.step(true, "a").as_deref(), Some("c"), "what was just asked is no step");
    }

    #[test]
    fn signed_links_are_not_remembered() {
        let mut history = Past::default();
        assert!(!history.add("SELECT * FROM 'https://h/x.parquet?X-Amz-Signature=abc'"));
        assert!(!history.add("  "));
        assert!(history.all.is_empty());
    }

    #[test]
    fn it_is_kept_for_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let folders = Folders { config: folder.path().join("c"), state: folder.path().join("s") };
        save(&folders, QUERIES, &["SELECT 'a\nb'".to_owned()]).expect("saved");
        assert_eq!(load(&folders, QUERIES), ["SELECT 'a\nb'"]);
        let mode = std::fs::metadata(folders.state.join(QUERIES)).expect("there").permissions().mode();
        assert_eq!(mode & 0o77, 0);
    }
}
