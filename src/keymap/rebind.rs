//! Giving an action other keys: what stands where, what would be in the way, and the changed file.

use super::{Key, Keymap};
use crate::action::Action;
use crate::config::lines;
use crate::error::Result;

/// An action of a section and the sequences that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The section of the key file: `browse`.
    pub section: String,
    /// What it does.
    pub action: Action,
    /// All its sequences; empty where it has none.
    pub keys: Vec<Vec<Key>>,
    /// Whether they differ from those shipped.
    pub is_own: bool,
}

/// Something that a new sequence meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Where it stands.
    pub section: String,
    /// What it leads to now.
    pub action: Action,
    /// The sequence that stands there: the same one, its start, or one that starts with it.
    pub keys: Vec<Key>,
    /// Whether the new sequence would only hide it, because its own section goes first.
    pub is_hidden: bool,
}

/// A line to be written: `None` for the keys as shipped.
pub type Change = (String, Action, Option<Vec<Vec<Key>>>);

impl Keymap {
    /// What stands in these sections, in their order, actions without keys too.
    pub fn bindings(&self, contexts: &[&str]) -> Vec<Binding> {
        let mut out = Vec::new();
        for section in contexts {
            let Some(list) = self.contexts.get(*section) else { continue };
            let Some(declared) = self.declared.get(*section) else { continue };
            for (action, shipped) in declared {
                let keys: Vec<Vec<Key>> = list.iter().filter(|(_, a)| a == action).map(|(k, _)| k.clone()).collect();
                let is_own = keys != *shipped;
                out.push(Binding { section: (*section).to_owned(), action: *action, keys, is_own });
            }
        }
        out
    }

    /// What the new sequence `typed` for `action` of `section` meets where `contexts` are looked through.
    pub fn conflicts(&self, contexts: &[&str], section: &str, action: Action, typed: &[Key]) -> Vec<Conflict> {
        let place = |name: &str| contexts.iter().position(|c| *c == name);
        let mut out = Vec::new();
        for context in contexts {
            for (keys, other) in self.contexts.get(*context).into_iter().flatten() {
                let is_itself = *context == section && *other == action;
                if !is_itself && (keys.starts_with(typed) || typed.starts_with(keys)) {
                    out.push(Conflict {
                        section: (*context).to_owned(),
                        action: *other,
                        keys: keys.clone(),
                        is_hidden: place(section) < place(context),
                    });
                }
            }
        }
        out
    }

    /// The changes that give `keys` to an action, and take them from those in the way.
    pub fn taking(&self, binding: &Binding, keys: Vec<Vec<Key>>, conflicts: &[Conflict]) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        for conflict in conflicts.iter().filter(|c| !c.is_hidden) {
            let same = |(section, action, _): &&mut Change| *section == conflict.section && *action == conflict.action;
            if let Some((_, _, Some(left))) = changes.iter_mut().find(same) {
                left.retain(|k| *k != conflict.keys);
                continue;
            }
            let list = self.contexts.get(&conflict.section).map(Vec::as_slice).unwrap_or_default();
            let left = list.iter().filter(|(k, a)| *a == conflict.action && *k != conflict.keys);
            changes.push((conflict.section.clone(), conflict.action, Some(left.map(|(k, _)| k.clone()).collect())));
        }
        changes.push((binding.section.clone(), binding.action, Some(keys)));
        changes
    }

    /// The user's file with these changes, and the keys it makes.
    pub fn changed(user: &str, changes: &[Change]) -> Result<(String, Self)> {
        let mut text = user.to_owned();
        for (section, action, keys) in changes {
            let value = keys.as_ref().map(|keys| {
                let sequences: Vec<String> = keys
                    .iter()
                    .map(|keys| toml::Value::String(keys.iter().map(Key::spelled).collect()).to_string())
                    .collect();
                format!("[{}]", sequences.join(", "))
            });
            text = lines::set(&text, Some(section), action.name(), value.as_deref())?;
        }
        let keymap = Self::with_overrides(&text)?;
        Ok((text, keymap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keymap::Found;

    fn keys(text: &str) -> Vec<Key> {
        Key::sequence(text).expect(text)
    }

    fn of(keymap: &Keymap, section: &str, action: Action) -> Binding {
        let all = keymap.bindings(&[section]);
        all.into_iter().find(|b| b.action == action).expect("declared")
    }

    const CHAIN: &[&str] = &["browse", "list", "global"];

    #[test]
    fn conflicts_are_found_in_the_whole_chain() {
        let keymap = Keymap::shipped().expect("shipped");
        let met = |section: &str, action, typed: &str| -> Vec<(String, Action, bool)> {
            let all = keymap.conflicts(CHAIN, section, action, &keys(typed));
            all.into_iter().map(|c| (c.section, c.action, c.is_hidden)).collect()
        };
        assert_eq!(met("browse", Action::Convert, "u"), [("browse".into(), Action::Upload, false)]);
        assert_eq!(met("browse", Action::Convert, "q"), [("global".into(), Action::Close, true)]);
        assert_eq!(met("global", Action::GoTo, "y"), [("browse".into(), Action::Yank, false)]);
        let begun = [("browse".into(), Action::MeasureAll, false), ("list".into(), Action::Top, true)];
        assert_eq!(met("browse", Action::Convert, "g"), begun, "g begins g= and gg");
        assert_eq!(met("browse", Action::Upload, "u"), [], "its own key is no conflict");
        assert_eq!(met("browse", Action::Upload, "<F9>"), []);
    }

    #[test]
    fn a_key_that_is_taken_over_leaves_the_other_its_rest() {
        let shipped = Keymap::shipped().expect("shipped");
        let convert = of(&shipped, "browse", Action::Convert);
        let met = shipped.conflicts(CHAIN, "browse", Action::Convert, &keys("u"));
        let user = "# mine\n[browse]\nsort = [\"o\"] # hand-made\n";
        let changes = shipped.taking(&convert, vec![keys("u"), keys("<C-x>g")], &met);
        let (text, keymap) = Keymap::changed(user, &changes).expect("fits");
        assert!(text.starts_with(user), "what stood there stays: {text}");
        assert!(text.contains("upload = []\n") && text.contains("convert = [\"u\", \"<C-x>g\"]\n"), "{text}");
        assert_eq!(keymap.find(&["browse"], &keys("u")), Found::Action(Action::Convert));
        assert_eq!(keymap.find(&["browse"], &keys("<C-x>g")), Found::Action(Action::Convert));
        // What has no key any more is still found by its name.
        let listed = keymap.list(CHAIN);
        assert!(listed.iter().any(|(a, labels)| *a == Action::Upload && labels.is_empty()));
        // Back to what was shipped: upload first, whose key is still taken.
        let back = [("browse".to_owned(), Action::Upload, None)];
        assert!(Keymap::changed(&text, &back).expect_err("u is taken").to_string().contains("both"));
        let both = [("browse".to_owned(), Action::Convert, None), back[0].clone()];
        let (text, keymap) = Keymap::changed(&text, &both).expect("fits");
        assert_eq!(text.trim_end(), user.trim_end());
        assert!(!of(&keymap, "browse", Action::Upload).is_own && of(&keymap, "browse", Action::SortNext).is_own);
    }

    #[test]
    fn every_shipped_key_is_spelled_as_it_is_read() {
        let keymap = Keymap::shipped().expect("shipped");
        for (section, list) in &keymap.contexts {
            for (sequence, action) in list {
                let spelled: String = sequence.iter().map(Key::spelled).collect();
                assert_eq!(keys(&spelled), *sequence, "[{section}] {}", action.name());
            }
        }
        for hard in ["<", "<<>", "<C-<>", "\"", "\\", "<C-S-F5>", "<A-Left>"] {
            let sequence = keys(hard);
            let spelled: String = sequence.iter().map(Key::spelled).collect();
            assert_eq!(keys(&spelled), sequence, "{hard}");
        }
    }
}
