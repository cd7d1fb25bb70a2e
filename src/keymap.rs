//! Keys to actions, per context, from `assets/keymap.toml` and the user's own file.

use crate::action::Action;
use crate::config::lines;
use crate::error::{Context as _, Error, Result};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

mod rebind;

pub use rebind::{Binding, Change, Conflict};

/// The user's file in the configuration folder.
const FILE: &str = "keymap.toml";

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

    /// The key as the file writes it: `<C-d>`.
    pub fn spelled(&self) -> String {
        let name = match self.code {
            KeyCode::Char(c) if !self.ctrl && !self.alt && !self.shift && c != '<' && c != ' ' => return c.to_string(),
            code => match (NAMES.iter().find(|(_, known)| *known == code), code) {
                (Some((name, _)), _) => (*name).to_owned(),
                (None, KeyCode::F(n)) => format!("F{n}"),
                (None, KeyCode::Char(c)) => c.to_string(),
                (None, other) => other.to_string(),
            },
        };
        let mods: String = [(self.ctrl, "C-"), (self.alt, "A-"), (self.shift, "S-")]
            .iter()
            .filter_map(|(held, mark)| held.then_some(*mark))
            .collect();
        format!("<{mods}{name}>")
    }

    /// Whether it is the key of this name (`Enter`), without modifiers.
    pub fn is_plain(&self, name: &str) -> bool {
        !self.ctrl && !self.alt && !self.shift && NAMES.iter().any(|(n, code)| *n == name && *code == self.code)
    }

    /// Whether the key file can name it.
    pub fn can_be_bound(&self) -> bool {
        Self::sequence(&self.spelled()).is_ok_and(|keys| keys == [*self])
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

/// An action and its sequences as shipped.
type Declared = (Action, Vec<Vec<Key>>);
type Section = BTreeMap<String, Vec<String>>;

/// The keys of every context.
#[derive(Clone, Debug)]
pub struct Keymap {
    contexts: BTreeMap<String, Vec<(Vec<Key>, Action)>>,
    /// The actions of each section with the keys as shipped, those without any too.
    declared: BTreeMap<String, Vec<Declared>>,
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
            toml::from_str(text).map_err(|err| {
                let line = err.span().map_or(0, |span| text.bytes().take(span.start).filter(|b| *b == b'\n').count());
                Error::usage(format!("{whose}, line {}: {}", line + 1, err.message()))
            })
        };
        let shipped = parse(DEFAULT, "assets/keymap.toml")?;
        let mut sections = shipped.clone();
        for (name, lines) in parse(user, FILE)? {
            let section =
                sections.get_mut(&name).ok_or_else(|| Error::usage(format!("{FILE}: there is no section [{name}]")))?;
            section.extend(lines);
        }
        let (mut contexts, mut declared) = (BTreeMap::new(), BTreeMap::new());
        for (name, lines) in sections {
            declared.insert(name.clone(), Self::declared(&lines, shipped.get(&name)));
            contexts.insert(name.clone(), Self::section(&name, lines, user)?);
        }
        Ok(Self { contexts, declared })
    }

    /// Reads the user's file; a missing one changes nothing.
    pub fn load(file: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(file) {
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(Error::from).context(|| file.display().to_string())?,
        };
        Self::with_overrides(&text).map_err(|err| match file.parent() {
            Some(folder) => err.context(format!("the keys of {}", folder.display())),
            None => err,
        })
    }

    fn declared(lines: &Section, shipped: Option<&Section>) -> Vec<Declared> {
        let keys = |name: &String| -> Vec<Vec<Key>> {
            let texts = shipped.and_then(|s| s.get(name)).map(Vec::as_slice).unwrap_or_default();
            texts.iter().filter_map(|text| Key::sequence(text).ok()).collect()
        };
        let mut out: Vec<_> = lines.keys().filter_map(|name| Some((Action::from_name(name)?, keys(name)))).collect();
        out.sort_by_key(|(action, _)| *action);
        out
    }

    fn section(name: &str, lines: Section, user: &str) -> Result<Vec<(Vec<Key>, Action)>> {
        let at = |action: &str| match lines::line_of(user, Some(name), action) {
            Some(line) => format!("{FILE}, line {line}: [{name}]"),
            None => format!("{FILE}: [{name}]"),
        };
        let mut keys: Vec<(Vec<Key>, Action)> = Vec::new();
        for (action_name, sequences) in lines {
            let action = Action::from_name(&action_name)
                .ok_or_else(|| Error::usage(format!("{} `{action_name}` is not an action", at(&action_name))))?;
            for text in sequences {
                let sequence = Key::sequence(&text).map_err(|err| err.context(at(&action_name)))?;
                if let Some((_, other)) = keys.iter().find(|(k, _)| k.starts_with(&sequence) || sequence.starts_with(k))
                {
                    // The line that the user wrote is named, not the one that was shipped.
                    let line = if lines::line_of(user, Some(name), &action_name).is_some() {
                        at(&action_name)
                    } else {
                        at(other.name())
                    };
                    return Err(Error::usage(format!(
                        "{line} `{text}` is both {} and {}",
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

    /// Actions of these contexts with all their keys, each action once, those without keys last: for help
    /// and the palette.
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
        for (action, _) in contexts.iter().filter_map(|c| self.declared.get(*c)).flatten() {
            if out.iter().all(|(known, _)| known != action) {
                out.push((*action, Vec::new()));
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
        let keymap = Keymap::with_overrides("[browse]\nupload = [\"E\"]").expect("fits");
        assert_eq!(keymap.find(&["browse"], &typed("u")), Found::Nothing);
        let err = Keymap::with_overrides("[browse]\nupload = [\"c\"]").expect_err("c converts");
        assert_eq!(err.to_string(), "keymap.toml, line 2: [browse] `c` is both convert and upload");
        let err = Keymap::with_overrides("# mine\n\n[browse]\nbookmark = [\"s\"]").expect_err("s sorts");
        assert_eq!(err.to_string(), "keymap.toml, line 4: [browse] `s` is both bookmark and sort");
        let err = Keymap::with_overrides("[browse]\nupload = \"U\"").expect_err("not a list");
        assert!(err.to_string().starts_with("keymap.toml, line 2: "), "{err}");
        assert!(Keymap::with_overrides("[browse]\nfly = [\"f\"]").is_err());
        assert!(Keymap::with_overrides("[brwose]\nupload = [\"f\"]").is_err());
        assert!(Keymap::with_overrides("[list]\nup = [\"g\"]").is_err(), "g begins gg");
    }
}
