//! Keys that a user types are kept where every tool looks for them: a profile of
//! `~/.aws/credentials`. Every byte of the file that is not theirs stays as it is.
//!
//! Format: <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>.

use super::edit::{read_or_empty, replace};
use super::place::check_name;
use crate::error::{Context as _, Error, Kind, Result};
use std::fmt;
use std::path::Path;

/// Permissions of the file: its owner's alone.
const PRIVATE: u32 = 0o600;

/// What goes into a profile. `Debug` shows none of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NewKeys {
    /// `aws_access_key_id`
    pub id: String,
    /// `aws_secret_access_key`
    pub secret: String,
    /// `aws_session_token`, for temporary ones.
    pub token: Option<String>,
}

impl fmt::Debug for NewKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewKeys")
    }
}

/// Writes keys as the profile `name` of `file`, with mode 0600. A profile that is there is an error
/// of [`Kind::Exists`], unless its keys are to be replaced.
pub fn save_keys(file: &Path, name: &str, keys: &NewKeys, replacing: bool) -> Result<()> {
    let whole = || format!("writing {}", file.display());
    let text = read_or_empty(file).context(whole)?;
    let new = with_keys(&text, name, keys, replacing)?;
    replace(file, new.as_bytes(), Some(PRIVATE)).context(whole)
}

/// A value that can stand behind `=`: one word.
fn check_value(what: &str, value: &str) -> Result<()> {
    if value.is_empty() || value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        // The value itself is never said.
        return Err(Error::usage(format!("the {what} is empty, or holds a space")));
    }
    Ok(())
}

fn with_keys(text: &str, name: &str, keys: &NewKeys, replacing: bool) -> Result<String> {
    check_name(name)?;
    check_value("access key", &keys.id)?;
    check_value("secret key", &keys.secret)?;
    if let Some(token) = &keys.token {
        check_value("session token", token)?;
    }
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let line = |key: &str, value: &str| format!("{key} = {value}{end}");
    let mut ours = line("aws_access_key_id", &keys.id) + &line("aws_secret_access_key", &keys.secret);
    if let Some(token) = &keys.token {
        ours += &line("aws_session_token", token);
    }
    let Some(section) = section(text, name) else {
        let gap = match text {
            "" => "",
            _ if text.ends_with('\n') => end,
            _ => &end.repeat(2),
        };
        return Ok(format!("{text}{gap}[{name}]{end}{ours}"));
    };
    if !replacing {
        return Err(Error::new(Kind::Exists, format!("the profile `{name}` is there already"))
            .with_hint("choose it as the profile, or give the place another name"));
    }
    let body = text.get(section.clone()).unwrap_or_default();
    let kept: String = body.split_inclusive('\n').filter(|line| !is_key(line)).collect();
    let (before, after) = (&text[..section.start], &text[section.end..]);
    // A heading that ends the file without a line's end.
    let gap = if before.ends_with('\n') { "" } else { end };
    Ok(format!("{before}{gap}{ours}{kept}{after}"))
}

/// Whether a line sets one of the three.
fn is_key(line: &str) -> bool {
    let key = line.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
    line.contains('=') && matches!(key.as_str(), "aws_access_key_id" | "aws_secret_access_key" | "aws_session_token")
}

/// The bytes of the section's lines, behind its heading.
fn section(text: &str, name: &str) -> Option<std::ops::Range<usize>> {
    let (mut at, mut start) = (0, None);
    for line in text.split_inclusive('\n') {
        let heading = line.trim().strip_prefix('[').and_then(|l| l.split_once(']')).map(|(h, _)| h.trim());
        if let Some(heading) = heading {
            if let Some(start) = start {
                return Some(start..at);
            }
            if heading.trim_matches('"') == name {
                start = Some(at + line.len());
            }
        }
        at += line.len();
    }
    start.map(|start| start..text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn keys() -> NewKeys {
        NewKeys { id: "AKIAID".into(), secret: "S/e=c#r;et+".into(), token: None }
    }

    #[test]
    fn keys_are_appended_and_the_file_is_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(".aws/credentials");
        save_keys(&file, "allas", &keys(), false).expect("saved");
        let ours = "[allas]\naws_access_key_id = AKIAID\naws_secret_access_key = S/e=c#r;et+\n";
        assert_eq!(std::fs::read_to_string(&file).expect("read"), ours);
        let before = "# mine\n[default]\naws_access_key_id=K\r\n  odd\taws = 1";
        std::fs::write(&file, before).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("set");
        let token = NewKeys { token: Some("T".into()), ..keys() };
        save_keys(&file, "lab", &token, false).expect("saved");
        let text = std::fs::read_to_string(&file).expect("read");
        assert!(text.starts_with(before) && text.ends_with("aws_session_token = T\r\n"), "{text:?}");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().expect("a folder"))), (0o600, 0o700));
        assert_eq!(
            std::fs::read_dir(file.parent().expect("a folder")).expect("read").count(),
            1,
            "nothing is left over"
        );
        let again = save_keys(&file, "lab", &keys(), false).expect_err("there already");
        assert_eq!(again.kind(), Kind::Exists);
        assert!(!format!("{:?}{again:?}", keys()).contains("S/e="));
    }

    #[test]
    fn replacing_changes_the_keys_alone() {
        let text = "[a]\naws_access_key_id = old\n[lab] ; mine\n# a word\nAWS_ACCESS_KEY_ID=old\nregion = x\n\
                    aws_secret_access_key=old\naws_session_token = old\n\n[z]\naws_access_key_id = z\n";
        let new = with_keys(text, "lab", &keys(), true).expect("replaced");
        assert_eq!(
            new,
            "[a]\naws_access_key_id = old\n[lab] ; mine\naws_access_key_id = AKIAID\n\
             aws_secret_access_key = S/e=c#r;et+\n# a word\nregion = x\n\n[z]\naws_access_key_id = z\n"
        );
        assert!(with_keys("[lab]", "lab", &keys(), true).expect("replaced").starts_with("[lab]\naws_access_key_id"));
        let bad = NewKeys { secret: "a b".into(), ..keys() };
        let err = with_keys("", "lab", &bad, false).expect_err("a space");
        assert!(!err.to_string().contains("a b"), "{err}");
        assert!(with_keys("", "a]\n[b", &keys(), false).is_err());
    }

    proptest! {
        /// Whatever a file holds, an appended profile leaves it as it was before it.
        #[test]
        fn every_other_byte_stays(text in any::<String>(), secret in "[!-~]{1,40}") {
            let keys = NewKeys { secret, ..keys() };
            if let Ok(new) = with_keys(&text, "lab-x", &keys, false) {
                prop_assert!(new.starts_with(&text));
                prop_assert!(section(&new, "lab-x").is_some());
                let replaced = with_keys(&new, "lab-x", &keys, true).expect("replaced");
                prop_assert_eq!(replaced, new);
            }
        }
    }
}
