//! The start screen: what can be opened from here.

use crate::action::Action;
use crate::demo;
use crate::location::Location;
use crate::screen::{Cx, Flow, Open, Screen};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// A line that can be opened.
struct Place {
    group: &'static str,
    name: String,
    detail: String,
    /// `None`: the demo, which is started first.
    open: Option<Location>,
}

/// The screen.
pub(super) struct Places {
    list: Vec<Place>,
    /// Whether files of the user name any; found when the list was, since drawing reads no disk.
    has_profiles: bool,
    cursor: usize,
    top: usize,
    height: usize,
}

impl Places {
    pub(super) fn open(cx: &Cx) -> Self {
        let (list, has_profiles) = collect(cx);
        Self { list, has_profiles, cursor: 0, top: 0, height: 20 }
    }
}

/// What can be opened, and whether there are any profiles. Reads the user's files.
fn collect(cx: &Cx) -> (Vec<Place>, bool) {
    let mut places = Vec::new();
    let mut add = |group, name: String, detail: String, open: Location| {
        places.push(Place { group, name, detail, open: Some(open) });
    };
    for location in &cx.bookmarks {
        add("Bookmarks", location.name().to_owned(), location.to_string(), location.clone());
    }
    for (name, address) in &cx.config.places {
        if let Ok(location) = Location::parse(address) {
            add("Places of config.toml", name.clone(), address.clone(), location);
        }
    }
    // The demo has a line of its own.
    let profiles = cx.stores.profiles();
    let has_profiles = !profiles.is_empty();
    for profile in profiles.into_iter().filter(|p| p.name != demo::PROFILE) {
        let detail = match (&profile.endpoint, &profile.region) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, Some(region)) => format!("AWS {region}"),
            (None, None) => "AWS".to_owned(),
        };
        let open = Location::new(crate::location::Scheme::S3, Some(profile.name.clone()), "", "");
        add("Profiles", profile.name.clone(), detail, open);
    }
    for location in cx.recents.iter().take(8) {
        add("Recent", location.name().to_owned(), location.to_string(), location.clone());
    }
    let folders = [
        ("This folder", std::env::current_dir().ok()),
        ("Home", directories::BaseDirs::new().map(|d| d.home_dir().to_path_buf())),
    ];
    for (name, path) in folders {
        if let Some(path) = path {
            let open = Location::file(&path).as_container();
            add("Local folders", name.to_owned(), open.to_string(), open);
        }
    }
    let detail = "an S3 server in this program, with samples of every format; no network, no credentials";
    places.push(Place { group: "Demo", name: "A lake of samples".to_owned(), detail: detail.to_owned(), open: None });
    (places, has_profiles)
}

impl Screen for Places {
    fn contexts(&self) -> &'static [&'static str] {
        &["list", "global"]
    }

    fn title(&self) -> String {
        "places".into()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let last = self.list.len().saturating_sub(1);
        self.cursor = match action {
            Action::Up => self.cursor.saturating_sub(1),
            Action::Down => self.cursor + 1,
            Action::PageUp | Action::HalfUp => self.cursor.saturating_sub(self.height / 2),
            Action::PageDown | Action::HalfDown => self.cursor + self.height / 2,
            Action::Top => 0,
            Action::Bottom => last,
            Action::Enter | Action::Right => {
                let Some(place) = self.list.get(self.cursor) else { return Flow::Done };
                return match place.open.clone().map_or_else(|| cx.open_demo(), Ok) {
                    Ok(location) => Flow::Open(Open::Browse(location)),
                    Err(err) => {
                        cx.fail(&err);
                        Flow::Done
                    }
                };
            }
            Action::Refresh => {
                (self.list, self.has_profiles) = collect(cx);
                self.cursor
            }
            _ => return Flow::Ignored,
        }
        .min(last);
        Flow::Done
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let [title, list] = Layout::vertical([Constraint::Length(3), Constraint::Min(1)]).areas(area);
        let mark = if cx.unicode { "◐" } else { "(|)" };
        let question = "   how deep can you see into a bucket?";
        let question = if area.width < 50 { "" } else { question };
        let lines = vec![
            Line::raw(""),
            Line::from(vec![
                Span::styled(format!("  {mark} secchi"), theme.style(Role::Title)),
                Span::styled(question, theme.style(Role::Dim)),
            ]),
        ];
        frame.render_widget(Paragraph::new(lines), title);
        // Lines with the headings of their groups between them.
        let mut lines: Vec<(Option<usize>, Line)> = Vec::new();
        let mut group = "";
        let names = self.list.iter().map(|p| text::width(&p.name)).max().unwrap_or(0).clamp(12, 36);
        for (i, place) in self.list.iter().enumerate() {
            if place.group != group {
                if !group.is_empty() {
                    lines.push((None, Line::raw("")));
                }
                group = place.group;
                lines.push((None, Line::styled(format!("  {group}"), theme.style(Role::Accent))));
            }
            let at = i == self.cursor;
            let name = text::fit_middle(&text::clean(&place.name), names).into_owned();
            let pad = " ".repeat(names + 2 - text::width(&name));
            let room = (list.width as usize).saturating_sub(names + 8);
            let detail = text::fit_middle(&text::clean(&place.detail), room).into_owned();
            let flag = if !at {
                "    "
            } else if cx.unicode {
                "  ▸ "
            } else {
                "  > "
            };
            let role = |r| if at { Style::default() } else { theme.style(r) };
            lines.push((
                Some(i),
                Line::from(vec![
                    Span::styled(flag, role(Role::Accent)),
                    Span::styled(name, role(Role::Container)),
                    Span::raw(pad),
                    Span::styled(detail, role(Role::Dim)),
                ]),
            ));
        }
        if !self.has_profiles {
            lines.push((None, Line::raw("")));
            let words = "  No profiles in ~/.aws or ~/.s3cfg yet: write one there, or press o to type an address.";
            lines.push((None, Line::styled(words, theme.style(Role::Dim))));
        }
        self.height = list.height as usize;
        let here = lines.iter().position(|(i, _)| *i == Some(self.cursor)).unwrap_or(0);
        self.top = self.top.min(here.saturating_sub(1)).max((here + 2).saturating_sub(self.height));
        for (n, (i, line)) in lines.into_iter().enumerate().skip(self.top).take(self.height) {
            let style = if i == Some(self.cursor) { theme.style(Role::Cursor) } else { Style::default() };
            let at = Rect { y: list.y + (n - self.top) as u16, height: 1, ..list };
            frame.render_widget(Paragraph::new(line).style(style), at);
        }
    }
}
