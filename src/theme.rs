//! Colours by role, from `themes/*.toml`.

use crate::error::{Error, Result};
use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The themes as shipped: name and text.
const SHIPPED: &[(&str, &str)] = &[
    ("deep", include_str!("../themes/deep.toml")),
    ("shallow", include_str!("../themes/shallow.toml")),
    ("boreal", include_str!("../themes/boreal.toml")),
    ("paper", include_str!("../themes/paper.toml")),
    ("contrast", include_str!("../themes/contrast.toml")),
    ("ansi", include_str!("../themes/ansi.toml")),
    ("mono", include_str!("../themes/mono.toml")),
];

/// What a thing on the screen is; the theme says how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Ordinary text, and the ground of the screen.
    Text,
    /// Less important text: units, times.
    Dim,
    /// Barely there: rules, empty cells.
    Faint,
    /// What draws the eye: the mark of a thing, a link.
    Accent,
    /// Titles of panes.
    Title,
    /// Borders.
    Border,
    /// The border of the pane that has the keys.
    Focus,
    /// The line under the cursor.
    Cursor,
    /// The line under the cursor in a pane that does not have the keys.
    CursorDim,
    /// Selected lines.
    Selected,
    /// Containers: buckets, prefixes, collections.
    Container,
    /// Numbers and sizes.
    Number,
    /// Strings in data.
    String,
    /// Names in data: keys, columns.
    Name,
    /// Done, writable by intent, equal.
    Good,
    /// Waits, needs a look.
    Warn,
    /// Failed, dangerous.
    Bad,
    /// The bars at the top and at the bottom.
    Bar,
    /// A key in a hint.
    Key,
}

impl Role {
    const ALL: [Self; 19] = [
        Self::Text,
        Self::Dim,
        Self::Faint,
        Self::Accent,
        Self::Title,
        Self::Border,
        Self::Focus,
        Self::Cursor,
        Self::CursorDim,
        Self::Selected,
        Self::Container,
        Self::Number,
        Self::String,
        Self::Name,
        Self::Good,
        Self::Warn,
        Self::Bad,
        Self::Bar,
        Self::Key,
    ];
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    dark: bool,
    chart: Vec<String>,
    roles: BTreeMap<Role, Look>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools)] // one switch for each modifier of a terminal
struct Look {
    fg: Option<String>,
    bg: Option<String>,
    bold: bool,
    italic: bool,
    underline: bool,
    reverse: bool,
    dim: bool,
}

/// Styles by role and a palette for charts.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    name: String,
    dark: bool,
    styles: [Style; Role::ALL.len()],
    chart: Vec<Color>,
}

impl Theme {
    /// Names of the themes as shipped.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    /// A theme as shipped, by name.
    pub fn named(name: &str) -> Result<Self> {
        let text = SHIPPED.iter().find(|(n, _)| *n == name).ok_or_else(|| {
            let names: Vec<_> = Self::names().collect();
            Error::usage(format!("there is no theme `{name}`")).with_hint(format!("choose one of {}", names.join(", ")))
        })?;
        Self::from_toml(text.1)
    }

    /// The theme of this name: of the user's folder `themes/`, else as shipped.
    pub fn find(name: &str, own: &Path) -> Result<Self> {
        // A name, not a path.
        let is_name = !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
        let file = own.join(format!("{name}.toml"));
        match std::fs::read_to_string(&file) {
            Ok(text) if is_name => Self::from_toml(&text)
                .map(|theme| Self { name: name.to_owned(), ..theme })
                .map_err(|err| err.context(file.display().to_string())),
            _ => Self::named(name),
        }
    }

    /// All there are: as shipped, then those of the user's folder by name, each with what is wrong with
    /// it. One of the user's stands in the place of a shipped one of its name. Reads the folder.
    pub fn all(own: &Path) -> Vec<(String, Result<Self>)> {
        let mut names: Vec<String> = Self::names().map(str::to_owned).collect();
        let files = std::fs::read_dir(own).into_iter().flatten().flatten();
        let mut found: Vec<String> = files
            .filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
            .filter(|name| !name.is_empty() && !name.starts_with('.') && !names.contains(name))
            .collect();
        found.sort();
        names.append(&mut found);
        names
            .into_iter()
            .map(|name| {
                let theme = Self::find(&name, own);
                (name, theme)
            })
            .collect()
    }

    /// Reads a theme file. Every role must be there.
    pub fn from_toml(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|e| Error::usage(format!("theme: {}", e.message())))?;
        let mut styles = [Style::default(); Role::ALL.len()];
        for role in Role::ALL {
            let look = file
                .roles
                .get(&role)
                .ok_or_else(|| Error::usage(format!("theme `{}` says nothing of {role:?}", file.name)))?;
            styles[role as usize] = look.style()?;
        }
        let chart: Vec<Color> = file.chart.iter().map(|c| colour(c)).collect::<Result<_>>()?;
        if chart.is_empty() {
            return Err(Error::usage(format!("theme `{}` has no chart colours", file.name)));
        }
        Ok(Self { name: file.name, dark: file.dark, styles, chart })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its ground is dark.
    pub fn is_dark(&self) -> bool {
        self.dark
    }

    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// The colour of the `i`th series of a chart.
    pub fn chart(&self, i: usize) -> Style {
        Style::default().fg(self.chart[i % self.chart.len()])
    }
}

impl Look {
    fn style(&self) -> Result<Style> {
        let mut style = Style::default();
        if let Some(fg) = &self.fg {
            style = style.fg(colour(fg)?);
        }
        if let Some(bg) = &self.bg {
            style = style.bg(colour(bg)?);
        }
        for (on, modifier) in [
            (self.bold, Modifier::BOLD),
            (self.italic, Modifier::ITALIC),
            (self.underline, Modifier::UNDERLINED),
            (self.reverse, Modifier::REVERSED),
            (self.dim, Modifier::DIM),
        ] {
            if on {
                style = style.add_modifier(modifier);
            }
        }
        Ok(style)
    }
}

/// `#rrggbb`, an ANSI name (`red`, `light-blue`, `default`) or an index.
fn colour(text: &str) -> Result<Color> {
    if text == "default" {
        return Ok(Color::Reset);
    }
    text.parse().map_err(|_| Error::usage(format!("theme: `{text}` is not a colour")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_theme_is_whole_and_named_as_its_file() {
        for (name, text) in SHIPPED {
            let theme = Theme::from_toml(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(theme.name(), *name);
            assert!(theme.chart.len() >= 4);
            assert_ne!(theme.style(Role::Cursor), theme.style(Role::Text), "{name}: the cursor must show");
        }
    }

    #[test]
    fn themes_of_the_user_are_found_and_bad_ones_named() {
        let own = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(own.path().join(name), text).expect("written");
        write("mine.toml", SHIPPED[1].1);
        write("broken.toml", "name = 1");
        write("deep.toml", SHIPPED[3].1);
        write(".hidden.toml", "");
        let all = Theme::all(own.path());
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[SHIPPED.len()..], ["broken", "mine"]);
        assert_eq!(Theme::find("mine", own.path()).expect("there").name(), "mine");
        assert!(!Theme::find("deep", own.path()).expect("there").is_dark(), "the user's goes first");
        let err = Theme::find("broken", own.path()).expect_err("broken");
        assert!(err.to_string().contains("broken.toml"), "{err}");
        assert!(Theme::find("../mine", own.path()).is_err() && Theme::find("none", own.path()).is_err());
        assert_eq!(Theme::all(&own.path().join("no")).len(), SHIPPED.len());
    }
}
