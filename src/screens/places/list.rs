//! What can be opened from the start screen, in groups. Reads the user's files.

use crate::config::Shipped;
use crate::demo;
use crate::location::{Location, Scheme};
use crate::screen::Cx;
use crate::store::{Origin, Profile};
use crate::text;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config as Fuzzy, Matcher, Utf32Str};

/// Recent places that are shown.
const RECENT: usize = 8;

/// What a line stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An address.
    At(Location),
    /// The demo, which is started first.
    Demo,
    /// Templates to add a place from.
    Add,
}

/// The heading that a line stands under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Bookmarks,
    Places,
    Aws,
    S3cfg,
    Recent,
    Folders,
    Add,
    Demo,
    Open,
}

impl Group {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Bookmarks => "Bookmarks",
            Self::Places => "Places",
            Self::Aws => "AWS profiles",
            Self::S3cfg => "s3cfg files",
            Self::Recent => "Recent",
            Self::Folders => "Local folders",
            Self::Add => "Add",
            Self::Demo => "Demo",
            Self::Open => "Open data, without credentials",
        }
    }
}

/// A line of the list.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) group: Group,
    pub(super) name: String,
    /// Beside the name.
    pub(super) detail: String,
    pub(super) what: What,
    /// What is known of it: a word and what it says.
    pub(super) facts: Vec<(&'static str, String)>,
}

impl Line {
    /// By which a check is found again.
    pub(super) fn location(&self) -> Option<&Location> {
        match &self.what {
            What::At(location) => Some(location),
            _ => None,
        }
    }
}

/// All lines, and whether the user has set anything up.
pub(super) fn collect(cx: &Cx) -> (Vec<Line>, bool) {
    // The demo has a line of its own.
    let profiles: Vec<Profile> = cx.stores.profiles().into_iter().filter(|p| p.name != demo::PROFILE).collect();
    let mut lines = Vec::new();
    lines.extend(cx.bookmarks.iter().map(|at| visited(Group::Bookmarks, at)));
    lines.extend(configured(cx, &profiles));
    for (group, origin) in [(Group::Aws, Origin::Aws), (Group::S3cfg, Origin::S3cfg)] {
        lines.extend(profiles.iter().filter(|p| p.origin == origin).map(|p| of_profile(group, p)));
    }
    lines.extend(cx.recents.iter().take(RECENT).map(|at| visited(Group::Recent, at)));
    let is_set_up = !lines.is_empty();
    let first = [demo_line(), add_line()];
    let [demo, add] = first;
    if is_set_up {
        lines.extend(folders());
        lines.extend([add, demo]);
    } else {
        lines.extend([demo, add]);
        lines.extend(folders());
    }
    lines.extend(ready());
    (lines, is_set_up)
}

/// The lines whose name matches fuzzily, or that hold the words elsewhere; all without a pattern.
pub(super) fn matching(lines: &[Line], pattern: &str) -> Vec<usize> {
    if pattern.is_empty() {
        return (0..lines.len()).collect();
    }
    let mut matcher = Matcher::new(Fuzzy::DEFAULT);
    let words = pattern.to_lowercase();
    let pattern = Pattern::parse(pattern, CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut fits = |line: &Line| {
        pattern.score(Utf32Str::new(&line.name, &mut buffer), &mut matcher).is_some()
            || line.detail.to_lowercase().contains(&words)
    };
    lines.iter().enumerate().filter(|(_, line)| fits(line)).map(|(i, _)| i).collect()
}

fn visited(group: Group, at: &Location) -> Line {
    let facts = vec![("address", at.to_string())];
    let name = at.name().trim_end_matches('/');
    let name = if name.is_empty() { at.name() } else { name };
    let name = if at.is_account() { at.profile().unwrap_or(name) } else { name };
    Line { group, name: name.to_owned(), detail: at.to_string(), what: What::At(at.clone()), facts }
}

/// The places of `config.toml`.
fn configured(cx: &Cx, profiles: &[Profile]) -> Vec<Line> {
    let lines = cx.config.places.iter().filter_map(|(name, place)| {
        let at = place.location(name).ok()?;
        let mut facts = vec![("address", at.to_string())];
        let profile = profiles.iter().find(|p| p.origin == Origin::Place && p.name == *name);
        if let Some(profile) = profile {
            facts.extend(about(profile));
            if let Some(addressing) = place.addressing {
                facts.push(("addressing", addressing.as_str().to_owned()));
            }
        }
        if let Some(account) = &place.account {
            facts.push(("account", account.clone()));
        }
        if matches!(at.scheme(), Scheme::Gs | Scheme::Az) {
            let words = if place.anonymous { "anonymous: requests are unsigned" } else { "the environment" };
            facts.push(("keys", words.to_owned()));
        }
        if let Some(ca) = &place.ca_bundle {
            facts.push(("certificates", ca.display().to_string()));
        }
        if let Some(note) = &place.note {
            facts.push(("note", note.clone()));
        }
        let start = (!at.bucket().is_empty() && profile.is_some()).then(|| format!("{}/{}", at.bucket(), at.key()));
        let detail = match (profile.and_then(|p| p.endpoint.clone()), start) {
            (Some(endpoint), Some(start)) => format!("{endpoint}  {start}"),
            (Some(endpoint), None) => endpoint,
            (None, _) => at.to_string(),
        };
        Some(Line { group: Group::Places, name: name.clone(), detail, what: What::At(at), facts })
    });
    lines.collect()
}

fn of_profile(group: Group, profile: &Profile) -> Line {
    let detail = match (&profile.endpoint, &profile.region) {
        (Some(endpoint), _) => endpoint.clone(),
        (None, Some(region)) => format!("Amazon {region}"),
        (None, None) => "Amazon".to_owned(),
    };
    let at = Location::new(Scheme::S3, Some(profile.name.clone()), "", "");
    let mut facts = vec![("address", at.to_string())];
    facts.extend(about(profile));
    Line { group, name: profile.name.clone(), detail, what: What::At(at), facts }
}

fn about(profile: &Profile) -> Vec<(&'static str, String)> {
    let mut facts = vec![("endpoint", profile.endpoint.clone().unwrap_or_else(|| "Amazon".to_owned()))];
    facts.extend(profile.region.clone().map(|region| ("region", region)));
    facts.push(("keys", profile.credentials.clone()));
    facts
}

fn folders() -> Vec<Line> {
    let known = [
        ("This folder", std::env::current_dir().ok()),
        ("Home", directories::BaseDirs::new().map(|d| d.home_dir().to_path_buf())),
    ];
    let lines = known.into_iter().filter_map(|(name, path)| {
        let at = Location::file(&path?).as_container();
        let facts = vec![("address", at.to_string())];
        Some(Line { group: Group::Folders, name: name.to_owned(), detail: at.to_string(), what: What::At(at), facts })
    });
    lines.collect()
}

fn demo_line() -> Line {
    let detail = "an S3 server in this program, with samples of every format; no network, no credentials";
    let facts = vec![
        ("address", format!("s3://{}@", demo::PROFILE)),
        ("needs", "nothing: it runs inside this program and ends with it".to_owned()),
    ];
    Line {
        group: Group::Demo,
        name: "A lake of samples".to_owned(),
        detail: detail.to_owned(),
        what: What::Demo,
        facts,
    }
}

fn add_line() -> Line {
    let detail = "CSC Allas, LUMI-O, Copernicus Data Space, DestinE ISLET, Amazon, Azure, Google, any S3 server";
    Line {
        group: Group::Add,
        name: "Add a place".to_owned(),
        detail: detail.to_owned(),
        what: What::Add,
        facts: vec![("first", "choose a template; then its form says what is needed".to_owned())],
    }
}

/// What ships cannot fail to be read: a test reads it.
fn ready() -> Vec<Line> {
    let shipped = Shipped::load().map(|s| s.ready).unwrap_or_default();
    let lines = shipped.into_iter().map(|ready| Line {
        group: Group::Open,
        name: ready.title,
        facts: vec![
            ("address", ready.address.to_string()),
            ("is", ready.about.clone()),
            ("keys", "none are needed".to_owned()),
        ],
        detail: ready.about,
        what: What::At(ready.address),
    });
    lines.collect()
}

/// A name that is shown, without what steers a terminal.
pub(super) fn shown(text: &str, columns: usize) -> String {
    text::fit_middle(&text::clean(text), columns).into_owned()
}
