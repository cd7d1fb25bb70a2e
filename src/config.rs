//! The user's configuration: `config.toml` in the configuration folder, and where things are kept.

use crate::error::{Context, Error, Result};
use crate::location::Location;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

mod edit;
mod keys;
mod limits;
pub mod lines;
mod place;
mod templates;

pub use edit::{remove_place, save_place};
pub use keys::{NewKeys, save_keys};
pub use limits::{Limits, Rate, is_login_node};
pub use place::{Addressing, Place};
pub use templates::{Ready, Shipped, Template};

/// The configuration file. Every field may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of a theme.
    pub theme: Option<String>,
    /// `auto`, `kitty`, `sixel`, `iterm2`, `halfblocks`, `sextants`, `braille`, `none`.
    pub graphics: Option<String>,
    /// Whether the mouse is used; the terminal's own selecting then needs Shift.
    pub mouse: bool,
    /// Places by name: an address alone, or a table with all that a [`Place`] knows.
    pub places: BTreeMap<String, Place>,
    /// Metadata templates of the upload form: a name, then keys and values.
    pub metadata_templates: BTreeMap<String, BTreeMap<String, String>>,
    /// Jobs that run at once.
    pub jobs: Option<usize>,
    /// Requests under way at once.
    pub concurrency: Option<usize>,
    /// Bytes per second over the network, received and sent together: `80M`, `10MiB/s`, `none`.
    pub bandwidth: Option<Rate>,
    /// The same on the login node of a cluster; 125 MB/s where nothing is said.
    pub bandwidth_login: Option<Rate>,
    /// The file that it was read from; where changes of places are written.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// The folders of secchi.
#[derive(Clone, Debug)]
pub struct Folders {
    /// `config.toml`, `keymap.toml`, `themes/`.
    pub config: PathBuf,
    /// Runs of jobs, recents, bookmarks.
    pub state: PathBuf,
}

impl Folders {
    /// The platform's folders; `SECCHI_CONFIG_DIR` and `SECCHI_STATE_DIR` stand before them.
    pub fn find() -> Result<Self> {
        let dirs = directories::ProjectDirs::from("", "", "secchi");
        let place = |variable: &str, found: Option<PathBuf>| {
            std::env::var_os(variable)
                .map(PathBuf::from)
                .or(found)
                .ok_or_else(|| Error::usage("there is no home folder").with_hint(format!("set {variable}")))
        };
        Ok(Self {
            config: place("SECCHI_CONFIG_DIR", dirs.as_ref().map(|d| d.config_dir().to_path_buf()))?,
            state: place(
                "SECCHI_STATE_DIR",
                dirs.as_ref().map(|d| d.state_dir().unwrap_or_else(|| d.data_local_dir()).to_path_buf()),
            )?,
        })
    }
}

/// The file of [`Memory`] in the state folder.
const MEMORY: &str = "places.json";

/// What is remembered from one session to the next.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Places visited, newest first.
    pub recents: Vec<Location>,
    /// Places to come back to.
    pub bookmarks: Vec<Location>,
}

impl Memory {
    /// What was remembered; nothing where there is nothing that can be read.
    pub fn load(state: &Path) -> Self {
        let text = std::fs::read(state.join(MEMORY)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Remembers: the file is replaced whole.
    pub fn save(&self, state: &Path) -> Result<()> {
        std::fs::create_dir_all(state)?;
        let mut file = tempfile::NamedTempFile::new_in(state)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.persist(state.join(MEMORY)).map_err(|err| Error::from(err.error))?;
        Ok(())
    }
}

impl Config {
    /// Reads `config.toml`; a missing one is an empty one.
    pub fn load(path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(err) => return Err(Error::from(err)).context(|| path.display().to_string()),
        };
        let mut config = Self::from_toml(&text).context(|| path.display().to_string())?;
        config.file = Some(path.to_owned());
        Ok(config)
    }

    /// The file that changes are written to.
    pub fn file(&self, folders: &Folders) -> PathBuf {
        self.file.clone().unwrap_or_else(|| folders.config.join("config.toml"))
    }

    /// Writes one line of a file of the user's: what `change` makes of its text, which may be empty.
    /// The file is replaced whole; links to it stay.
    pub fn rewrite(path: &Path, change: impl FnOnce(&str) -> Result<String>) -> Result<()> {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let inner = || -> Result<()> {
            let before = match std::fs::read_to_string(&path) {
                Err(err) if err.kind() == std::io::ErrorKind::NotFound => String::new(),
                read => read?,
            };
            let folder = path.parent().unwrap_or(Path::new("."));
            let after = change(&before)?;
            std::fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            std::io::Write::write_all(&mut file, after.as_bytes())?;
            if let Ok(about) = std::fs::metadata(&path) {
                file.as_file().set_permissions(about.permissions())?;
            }
            file.persist(&path).map_err(|err| Error::from(err.error))?;
            Ok(())
        };
        inner().context(|| format!("changing {}", path.display()))
    }

    /// Reads the text of a configuration file; the shipped metadata template is always there.
    pub fn from_toml(text: &str) -> Result<Self> {
        let mut config: Self = toml::from_str(text).map_err(|e| Error::usage(e.message()))?;
        for (name, place) in &config.places {
            place.check(name)?;
        }
        config
            .metadata_templates
            .entry("FAIR-EASE COG".to_owned())
            .or_insert_with(|| [("fairease.catalog.mediatype".to_owned(), "COG".to_owned())].into());
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_comes_back_and_garbage_is_forgotten() {
        let state = tempfile::tempdir().expect("a folder");
        let memory =
            Memory { bookmarks: vec![Location::parse("s3://allas@b/k/").expect("address")], ..Memory::default() };
        memory.save(state.path()).expect("saved");
        assert_eq!(Memory::load(state.path()), memory);
        std::fs::write(state.path().join(MEMORY), "{").expect("written");
        assert_eq!(Memory::load(state.path()), Memory::default());
    }

    #[test]
    fn the_fairease_template_ships_and_unknown_fields_are_named() {
        let config = Config::from_toml("").expect("empty");
        assert_eq!(config.metadata_templates["FAIR-EASE COG"]["fairease.catalog.mediatype"], "COG");
        let err = Config::from_toml("tehme = \"deep\"").expect_err("a typo");
        assert!(err.to_string().contains("tehme"), "{err}");
    }
}
