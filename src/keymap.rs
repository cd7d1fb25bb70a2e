//! Keys to actions, per context, from `assets/keymap.toml` and the user's own file.

use crate::action::Action;
use crate::error::{Error, Result};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;
use std::fmt;

/// The keys as shipped.
const DEFAULT: &str = include_str!("../assets/keymap.toml");

/// One key press, as the key file writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    ctrl: bool,
    alt: bool,
    shift: bool,
}

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        let mods = event.modifiers;
        let (code, shift) = match event.code {
            KeyCode::BackTab => (KeyCode::Tab, true),
            // The character itself tells whether Shift was held.
            KeyCode::Char(c) => (KeyCode::Char(c), false),
            other => (other, mods.contains(KeyModifiers::SHIFT)),
        };
        Self { code, ctrl: mods.contains(KeyModifiers::CONTROL), alt: mods.contains(KeyModifiers::ALT), shift }
    }
}

/// The names of keys that are not characters.
const NAMES: &[(&str, KeyCode)] = &[
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Space", KeyCode::Char(' ')),
    ("Tab", KeyCode::Tab),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Insert", KeyCode::Insert),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PageUp", KeyCode::PageUp),
    ("PageDown", KeyCode::PageDown),
];

impl Key {
    fn parse_bracketed(inner: &str) -> Option<Self> {
        let mut rest = inner;
        let (mut ctrl, mut alt, mut shift) = (false, false, false);
        loop {
            let flag = match rest.get(..2) {
                Some("C-") => &mut ctrl,
                Some("A-") => &mut alt,
                Some("S-") => &mut shift,
                _ => break,
            };
            *flag = true;
            rest = &rest[2..];
        }
        let code = if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == rest) {
            *code
        } else if let Some(n) = rest.strip_prefix('F').and_then(|n| n.parse().ok()) {
            KeyCode::F(n)
        } else {
            let mut chars = rest.chars();
            let c = chars.next()?;
            chars.next().is_none().then_some(KeyCode::Char(c))?
        };
        Some(Self { code, ctrl, alt, shift })
    }

    /// Reads a sequence of keys: `gg`, `<C-d>`, `g<Enter>`.
    pub fn sequence(text: &str) -> Result<Vec<Self>> {
        let bad = || Error::usage(format!("`{text}` is not a key"));
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let bracket = rest.strip_prefix('<').and_then(|r| r.split_once('>'));
            if let Some((inner, after)) = bracket.filter(|(inner, _)| !inner.is_empty()) {
                keys.push(Self::parse_bracketed(inner).ok_or_else(bad)?);
                rest = after;
            } else {
                keys.push(Self { code: KeyCode::Char(c), ctrl: false, alt: false, shift: false });
                rest = &rest[c.len_utf8()..];
            }
        }
        if keys.is_empty() { Err(bad()) } else { Ok(keys) }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("Ctrl-")?;
        }
        if self.alt {
            f.write_str("Alt-")?;
        }
        if self.shift {
            f.write_str("Shift-")?;
        }
        if let Some((name, _)) = NAMES.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(match *name {
                "Up" => "↑",
                "Down" => "↓",
                "Left" => "←",
                "Right" => "→",
                other => other,
            });
        }
        match self.code {
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(n) => write!(f, "F{n}"),
            other => write!(f, "{other}"),
        }
    }
}

/// Whether a key asks for the program to be stopped and the shell shown: Ctrl-Z, which raw mode
/// delivers as a key.
pub fn is_suspend(event: KeyEvent) -> bool {
    event.code == KeyCode::Char('z') && event.modifiers.contains(KeyModifiers::CONTROL)
}

/// What a key led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// This action.
    Action(Action),
    /// The start of a longer sequence: more keys are awaited.
    Prefix,
    /// Nothing.
    Nothing,
}

type Section = BTreeMap<String, Vec<String>>;

/// The keys of every context.
#[derive(Clone, Debug)]
pub struct Keymap {
    contexts: BTreeMap<String, Vec<(Vec<Key>, Action)>>,
}

impl Keymap {
    /// The keys as shipped.
    pub fn shipped() -> Result<Self> {
        Self::with_overrides("")
    }

    /// The keys as shipped, with lines of the user's file in their place. Refuses unknown actions,
    /// unknown keys and keys that stand twice in one section.
    pub fn with_overrides(user: &str) -> Result<Self> {
        let parse = |text: &str, whose: &str| -> Result<BTreeMap<String, Section>> {
            toml::from_str(text).map_err(|err| Error::usage(format!("{whose}: {}", err.message())))
        };
        let mut sections = parse(DEFAULT, "assets/keymap.toml")?;
        for (name, lines) in parse(user, "keymap.toml")? {
            let section = sections
                .get_mut(&name)
                .ok_or_else(|| Error::usage(format!("keymap.toml: there is no section [{name}]")))?;
            section.extend(lines);
        }
        let mut contexts = BTreeMap::new();
        for (name, lines) in sections {
            contexts.insert(name.clone(), Self::section(&name, lines)?);
        }
        Ok(Self { contexts })
    }

    fn section(name: &str, lines: Section) -> Result<Vec<(Vec<Key>, Action)>> {
        let mut keys: Vec<(Vec<Key>, Action)> = Vec::new();
        for (action, sequences) in lines {
            let action = Action::from_name(&action)
                .ok_or_else(|| Error::usage(format!("keymap.toml: [{name}] `{action}` is not an action")))?;
            for text in sequences {
                let sequence = Key::sequence(&text)?;
                if let Some((_, other)) = keys.iter().find(|(k, _)| k.starts_with(&sequence) || sequence.starts_with(k))
                {
                    return Err(Error::usage(format!(
                        "keymap.toml: [{name}] `{text}` is both {} and {}",
                        other.name(),
                        action.name()
                    ))
                    .with_hint("give one of them another key"));
                }
                keys.push((sequence, action));
            }
        }
        keys.sort_by_key(|(_, action)| *action);
        Ok(keys)
    }

    /// What the keys typed so far mean in these contexts; earlier contexts go first.
    pub fn find(&self, contexts: &[&str], typed: &[Key]) -> Found {
        let lists = || contexts.iter().filter_map(|c| self.contexts.get(*c));
        for list in lists() {
            for (keys, action) in list {
                if keys == typed {
                    return Found::Action(*action);
                }
                if keys.starts_with(typed) {
                    return Found::Prefix;
                }
            }
        }
        Found::Nothing
    }

    /// The first key of an action in these contexts, in words; empty where it has none.
    pub fn label(&self, contexts: &[&str], action: Action) -> String {
        let found = contexts
            .iter()
            .filter_map(|c| self.contexts.get(*c))
            .find_map(|list| list.iter().find(|(_, a)| *a == action));
        found.map_or_else(String::new, |(keys, _)| keys.iter().map(ToString::to_string).collect())
    }

    /// Actions of these contexts with all their keys, each action once: for help and the palette.
    pub fn list(&self, contexts: &[&str]) -> Vec<(Action, Vec<String>)> {
        let mut out: Vec<(Action, Vec<String>)> = Vec::new();
        for list in contexts.iter().filter_map(|c| self.contexts.get(*c)) {
            for (keys, action) in list {
                let label: String = keys.iter().map(ToString::to_string).collect();
                match out.iter_mut().find(|(a, _)| a == action) {
                    Some((_, labels)) => labels.push(label),
                    None => out.push((*action, vec![label])),
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Vec<Key> {
        Key::sequence(text).expect(text)
    }

    #[test]
    fn the_shipped_keys_are_whole() {
        let keymap = Keymap::shipped().expect("assets/keymap.toml");
        assert_eq!(keymap.find(&["browse", "list", "global"], &typed("j")), Found::Action(Action::Down));
        assert_eq!(keymap.find(&["list"], &typed("g")), Found::Prefix);
        assert_eq!(keymap.find(&["list"], &typed("gg")), Found::Action(Action::Top));
        assert_eq!(keymap.find(&["list"], &typed("gx")), Found::Nothing);
        assert_eq!(keymap.label(&["global"], Action::Refresh), "F5");
    }

    #[test]
    fn a_terminal_key_is_the_key_of_the_file() {
        let event = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(vec![Key::from(event)], typed("G"));
        let event = KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(vec![Key::from(event)], typed("<S-Tab>"));
        let event = KeyEvent::new(KeyCode::Char('d'), KeyModifiers::CONTROL);
        assert_eq!(vec![Key::from(event)], typed("<C-d>"));
    }

    #[test]
    fn overrides_replace_a_line_and_conflicts_are_named() {
        let keymap = Keymap::with_overrides("[browse]\nupload = [\"U\"]").expect("fits");
        assert_eq!(keymap.find(&["browse"], &typed("u")), Found::Nothing);
        let err = Keymap::with_overrides("[browse]\nupload = [\"c\"]").expect_err("c converts");
        assert!(err.to_string().contains("both"), "{err}");
        assert!(Keymap::with_overrides("[browse]\nfly = [\"f\"]").is_err());
        assert!(Keymap::with_overrides("[brwose]\nupload = [\"f\"]").is_err());
        assert!(Keymap::with_overrides("[list]\nup = [\"g\"]").is_err(), "g begins gg");
    }
}
