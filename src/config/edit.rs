//! Changes of `config.toml` that leave all else as the user wrote it: comments, order, spaces.

use super::place::{Place, check_name};
use crate::error::{Context as _, Error, Kind, Result};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Table, TableLike, value};

/// Writes a place into the file, in the place of `former` where that is another name.
pub fn save_place(file: &Path, former: Option<&str>, name: &str, place: &Place) -> Result<()> {
    change(file, |text| {
        let text = match former {
            Some(former) if former != name => without_place(text, former)?,
            _ => text.to_owned(),
        };
        with_place(&text, name, place)
    })
}

/// Takes a place out of the file.
pub fn remove_place(file: &Path, name: &str) -> Result<()> {
    change(file, |text| without_place(text, name))
}

fn change(file: &Path, change: impl FnOnce(&str) -> Result<String>) -> Result<()> {
    let whole = || format!("writing {}", file.display());
    let text = read_or_empty(file).context(whole)?;
    let new = change(&text).context(whole)?;
    if new == text {
        return Ok(());
    }
    // Nothing is written that the next start would refuse.
    super::Config::from_toml(&new).context(whole)?;
    replace(file, new.as_bytes(), None).context(whole)
}

/// The text of a file; a missing one is empty.
pub(super) fn read_or_empty(file: &Path) -> Result<String> {
    match std::fs::read_to_string(file) {
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => Ok(other?),
    }
}

/// Replaces a file whole; its folder is made where it is missing. A link is followed, so that it stays
/// one. `mode` is the file's permissions; `None` keeps those it has (of a new one: its owner's alone).
pub(super) fn replace(file: &Path, bytes: &[u8], mode: Option<u32>) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let file: PathBuf = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        std::fs::create_dir_all(folder)?;
        if mode.is_some() {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        }
    }
    // A temporary file is its owner's alone from its first byte.
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(bytes)?;
    let permissions = match mode {
        Some(mode) => Some(std::fs::Permissions::from_mode(mode)),
        None => std::fs::metadata(&file).ok().map(|about| about.permissions()),
    };
    if let Some(permissions) = permissions {
        new.as_file().set_permissions(permissions)?;
    }
    new.as_file().sync_all()?;
    new.persist(&file).map_err(|err| Error::from(err.error))?;
    Ok(())
}

fn document(text: &str) -> Result<DocumentMut> {
    text.parse().map_err(|err: toml_edit::TomlError| Error::usage(err.message().to_owned()))
}

/// `text` with the place in it. A place that is there keeps its comments; lines that say the same stay.
fn with_place(text: &str, name: &str, place: &Place) -> Result<String> {
    check_name(name)?;
    let mut document = document(text)?;
    let places = document.entry("places").or_insert_with(|| {
        let mut table = Table::new();
        // `[places]` alone need not be written.
        table.set_implicit(true);
        Item::Table(table)
    });
    let Some(places) = places.as_table_like_mut() else {
        return Err(Error::usage("`places` is no table"));
    };
    if !place.needs_table() && !places.get(name).is_some_and(Item::is_table_like) {
        set(places, name, place.address.as_deref().map(value));
        return Ok(document.to_string());
    }
    if !places.get(name).is_some_and(Item::is_table_like) {
        places.remove(name);
        places.insert(name, Item::Table(Table::new()));
    }
    let Some(table) = places.get_mut(name).and_then(Item::as_table_like_mut) else {
        return Err(Error::new(Kind::Failed, format!("`places` takes no table `{name}`"))
            .with_hint("write it as [places] with a line for each place"));
    };
    let ca = place.ca_bundle.as_ref().map(|p| p.to_string_lossy().into_owned());
    for (key, text) in [
        ("template", place.template.as_deref()),
        ("address", place.address.as_deref()),
        ("endpoint", place.endpoint.as_deref()),
        ("region", place.region.as_deref()),
        ("addressing", place.addressing.map(super::Addressing::as_str)),
        ("profile", place.profile.as_deref()),
        ("account", place.account.as_deref()),
        ("ca_bundle", ca.as_deref()),
        ("note", place.note.as_deref()),
    ] {
        set(table, key, text.map(value));
    }
    set(table, "anonymous", place.anonymous.then(|| value(true)));
    set(table, "read_only", place.read_only.map(value));
    Ok(document.to_string())
}

/// Sets or takes out one line; one that says the same already is not touched.
fn set(table: &mut dyn TableLike, key: &str, new: Option<Item>) {
    match (table.get_mut(key), new) {
        (Some(old), Some(mut new)) => {
            let same = old.as_str().is_some() && old.as_str() == new.as_str()
                || old.as_bool().is_some() && old.as_bool() == new.as_bool();
            if !same {
                // The comment behind it and the space before it stay.
                if let (Some(was), Some(is)) = (old.as_value(), new.as_value_mut()) {
                    *is.decor_mut() = was.decor().clone();
                }
                *old = new;
            }
        }
        (None, Some(new)) => {
            table.insert(key, new);
        }
        (Some(_), None) => {
            table.remove(key);
        }
        (None, None) => {}
    }
}

/// `text` without the place; what it does not hold is no error.
fn without_place(text: &str, name: &str) -> Result<String> {
    let mut document = document(text)?;
    if let Some(places) = document.get_mut("places").and_then(Item::as_table_like_mut) {
        places.remove(name);
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Addressing, Config};
    use proptest::prelude::*;

    const WRITTEN: &str = "# my configuration\ntheme = \"deep\"   # as the lake\n\n[places]\n# the archive\n\
                           eodata = \"s3://cdse@eodata/\"\n\n# Finland\n[places.allas]\nendpoint = \"https://a3s.fi\" # Ceph\n\
                           region  =  \"regionOne\"\n\n[metadata_templates.\"FAIR-EASE COG\"]\n\"a.b\" = \"COG\" # kept\n";

    fn place() -> Place {
        Place {
            address: Some("s3://data/x/".into()),
            endpoint: Some("http://127.0.0.1:7480".into()),
            addressing: Some(Addressing::Path),
            read_only: Some(false),
            note: Some("\"quoted\" and \\ more".into()),
            is_table: true,
            ..Place::default()
        }
    }

    #[test]
    fn a_place_comes_and_goes_and_all_else_stays() {
        let with = with_place(WRITTEN, "lab", &place()).expect("added");
        for line in WRITTEN.lines() {
            assert!(with.contains(line), "{line} is gone from:\n{with}");
        }
        assert_eq!(Config::from_toml(&with).expect("read").places["lab"], place());
        assert_eq!(without_place(&with, "lab").expect("removed"), WRITTEN);
        let from_nothing = with_place("", "lab", &place()).expect("added");
        assert!(from_nothing.starts_with("[places.lab]\n"), "{from_nothing}");
    }

    #[test]
    fn an_edit_changes_its_line_alone() {
        let mut allas = Config::from_toml(WRITTEN).expect("read").places["allas"].clone();
        allas.region = Some("other".into());
        let edited = with_place(WRITTEN, "allas", &allas).expect("edited");
        assert_eq!(edited, WRITTEN.replace("\"regionOne\"", "\"other\""));
        let inline = "places = { a = \"s3://b/\" }\n";
        let edited = with_place(inline, "lab", &place()).map(|text| Config::from_toml(&text).expect(&text));
        assert_eq!(edited.expect("edited").places.len(), 2);
        assert!(with_place("places = 3", "lab", &place()).is_err());
        assert!(with_place("theme = ", "lab", &place()).is_err());
    }

    #[test]
    fn a_place_gets_another_name_and_the_file_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("real.toml"), folder.path().join("config.toml"));
        std::fs::write(&file, WRITTEN).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("set");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        save_place(&link, Some("allas"), "lab", &place()).expect("saved");
        let config = Config::load(&link).expect("read");
        assert!(config.places.contains_key("lab") && !config.places.contains_key("allas"));
        assert!(std::fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o644);
        remove_place(&link, "lab").expect("removed");
        assert!(!Config::load(&link).expect("read").places.contains_key("lab"));
    }

    proptest! {
        /// Whatever comments and notes a file holds, adding and removing a place gives it back.
        #[test]
        fn adding_and_removing_is_nothing(
            comment in "[^\\p{Cc}]{0,40}", note in any::<String>(), theme in "[a-z]{1,8}", spaces in 0..4_usize,
        ) {
            let text = format!(
                "# {comment}\ntheme{} = \"{theme}\" # {comment}\n\n[places]\n# {comment}\na = \"s3://b/\"\n",
                " ".repeat(spaces)
            );
            let place = Place { note: Some(note), ..place() };
            let with = with_place(&text, "new", &place).expect("added");
            prop_assert_eq!(&Config::from_toml(&with).expect("read").places["new"], &place);
            prop_assert_eq!(without_place(&with, "new").expect("removed"), text);
        }
    }
}
