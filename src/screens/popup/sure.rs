//! Before something goes for good: what it is, how much, and the number to type.
//!
//! ```text
//! ╭ Delete? ────────────────────────────────────────────────────────────╮
//! │ s3://allas@bucket/incoming/                                          │
//! │ 1,204 objects · 3.1 GiB                                              │
//! │                                                                      │
//! │   incoming/B02.tif                                                   │
//! │   incoming/B03.tif                                                   │
//! │   … and 1,202 more                                                   │
//! │                                                                      │
//! │ The bucket keeps versions: undelete brings these objects back.       │
//! │                                                                      │
//! │  Leave it     Type 1204 to delete: 12▏     Delete                    │
//! ╰ Tab next  Ctrl-n for good, with all versions  Esc leave it ──────────╯
//! ```

use super::{hints, wrapped};
use crate::action::Action;
use crate::du::Tally;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::jobs::{abort::Abort, delete::Delete};
use crate::location::Scheme;
use crate::screen::{Cx, Doom, Flow, Screen};
use crate::store::Stores;
use crate::task::{Control, Pending, Waker, poll_slot};
use crate::text;
use crate::theme::Role;
use crate::transfer::{DeleteSpec, Survey, Target, keeps_versions, objects, survey};
use crate::widgets::input::{Edit, Input};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Clear, Paragraph};

/// Widest it gets.
const WIDTH: u16 = 84;
/// Names that are shown.
const NAMES: usize = 6;

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Leave,
    Number,
    Go,
}

/// The popup.
#[expect(clippy::struct_excessive_bools, reason = "they have nothing to do with each other")]
pub(in crate::screens) struct Sure {
    doom: Doom,
    versions: bool,
    /// Whether the bucket keeps versions, once that is known.
    keeps: bool,
    asked: Option<Pending<bool>>,
    found: Survey,
    counting: Option<(Control, Pending<Tally>)>,
    counted: Option<Result<Tally>>,
    input: Input,
    focus: Focus,
    /// Another number was typed.
    wrong: bool,
    /// Its basket goes with it.
    of_basket: bool,
}

impl Sure {
    pub(in crate::screens) fn open(doom: Doom, cx: &Cx) -> Self {
        let of_basket = matches!(doom, Doom::Delete(_)) && !cx.basket.is_empty();
        let mut sure = Self {
            doom,
            versions: false,
            keeps: false,
            asked: None,
            found: Survey::default(),
            counting: None,
            counted: None,
            input: Input::default(),
            focus: Focus::Leave,
            wrong: false,
            of_basket,
        };
        if let Doom::Delete(targets) = &sure.doom
            && let Some(first) = targets.first()
        {
            sure.asked = Some(ask(&cx.stores, first, &cx.waker));
        }
        sure.count(cx);
        sure
    }

    fn spec(&self, targets: &[Target]) -> DeleteSpec {
        let confirmed = self.number();
        DeleteSpec { targets: targets.to_vec(), versions: self.versions, confirmed, exact: false }
    }

    /// Counts what would go, anew.
    fn count(&mut self, cx: &Cx) {
        match &self.doom {
            Doom::Abort(spec, _) => {
                self.counted = Some(Ok(Tally { objects: spec.uploads.len() as u64, bytes: 0 }));
            }
            Doom::Delete(targets) => {
                let spec = DeleteSpec { confirmed: None, ..self.spec(targets) };
                self.found = Survey::default();
                let (stores, found) = (cx.stores.clone(), self.found.clone());
                let control = Control::new(cx.stores.meter().child());
                let worker = control.clone();
                let work = async move { survey(&stores, &spec, &worker, &found).await };
                (self.counting, self.counted) = (Some((control, Pending::spawn(&cx.waker, work))), None);
            }
        }
    }

    fn is_on_disk(&self) -> bool {
        let Doom::Delete(targets) = &self.doom else { return false };
        targets.iter().any(|target| target.location.scheme() == Scheme::File)
    }

    /// How many will go, once that is known.
    fn number(&self) -> Option<u64> {
        self.counted.as_ref()?.as_ref().ok().map(|tally| tally.objects)
    }

    /// Whether the number has to be typed.
    fn is_typed(&self) -> bool {
        self.number().is_none_or(|n| n > 1) || self.versions
    }

    fn turn(&mut self, forward: bool) {
        let order: &[Focus] =
            if self.is_typed() { &[Focus::Leave, Focus::Number, Focus::Go] } else { &[Focus::Leave, Focus::Go] };
        let at = order.iter().position(|focus| *focus == self.focus).unwrap_or(0);
        let step = if forward { 1 } else { order.len() - 1 };
        self.focus = order[(at + step) % order.len()];
    }

    fn go(&mut self, cx: &mut Cx) -> Flow {
        let Some(number) = self.number() else { return Flow::Done };
        let typed = self.input.text().replace([',', ' ', '.'], "");
        if self.is_typed() && typed != number.to_string() {
            self.wrong = true;
            self.focus = Focus::Number;
            return Flow::Done;
        }
        let job: Box<dyn Job> = match &self.doom {
            Doom::Delete(targets) => Box::new(Delete::new(self.spec(targets))),
            Doom::Abort(spec, _) => Box::new(Abort::new(spec.clone())),
        };
        let (title, command) = (job.title(), job.command());
        if let Err(err) = cx.jobs.start(job) {
            cx.fail(&err);
            return Flow::Done;
        }
        cx.last_command = Some(command);
        let key = cx.keymap.label(&["global"], Action::Jobs);
        cx.toast(format!("{} has started; {key} shows how it goes", text::clean(&title)));
        if self.of_basket {
            cx.basket.clear();
        }
        Flow::Close
    }

    fn verb(&self) -> &'static str {
        if matches!(self.doom, Doom::Delete(_)) { "delete" } else { "abort" }
    }

    fn title(&self) -> &'static str {
        match self.doom {
            Doom::Delete(_) => " Delete? ",
            Doom::Abort(..) => " Abort uploads? ",
        }
    }

    /// What goes, and how much of it.
    fn body<'a>(&self, room: usize, cx: &Cx) -> Vec<Line<'a>> {
        let theme = &cx.theme;
        let (tally, names) = self.found.now();
        let styled = |text: String, role| Line::styled(text, theme.style(role));
        let fit = |text: &str, room| text::fit_middle(&text::clean(text), room).into_owned();
        let (places, total, names): (Vec<String>, String, Vec<String>) = match &self.doom {
            Doom::Abort(spec, _) => {
                let n = spec.uploads.len();
                let s = if n == 1 { "" } else { "s" };
                let keys = spec.uploads.iter().take(NAMES).map(|upload| upload.key.clone()).collect();
                let total = format!("{} unfinished upload{s}: the parts that were sent go", text::count(n as u64));
                (vec![spec.location.to_string()], total, keys)
            }
            Doom::Delete(targets) => {
                let what = if self.versions {
                    format!("{} versions", text::count(tally.objects))
                } else {
                    objects(tally.objects)
                };
                let more = if self.counted.is_none() { "  counting…" } else { "" };
                let places = targets.iter().map(|target| target.location.to_string()).collect();
                (places, format!("{what} · {}{more}", text::bytes(tally.bytes)), names)
            }
        };
        let mut lines: Vec<Line> = places.iter().take(3).map(|place| styled(fit(place, room), Role::Name)).collect();
        if places.len() > 3 {
            lines.push(styled(format!("… and {} more places", text::count(places.len() as u64 - 3)), Role::Dim));
        }
        lines.push(styled(total, Role::Number));
        let all = if let Doom::Abort(spec, _) = &self.doom { spec.uploads.len() as u64 } else { tally.objects };
        // The one object that it is was named above.
        if all > 1 {
            lines.push(Line::raw(""));
            let shown = names.iter().take(NAMES);
            lines.extend(shown.map(|name| Line::raw(format!("  {}", fit(name, room.saturating_sub(2))))));
            let left = all.saturating_sub(names.len().min(NAMES) as u64);
            if left > 0 {
                lines.push(styled(format!("  … and {} more", text::count(left)), Role::Dim));
            }
        }
        lines
    }

    /// What has to be known before.
    fn warning(&self, cx: &Cx) -> Option<(String, Role)> {
        if let Some(Err(err)) = &self.counted {
            let hint = err.hint().map(|hint| format!(" — {hint}")).unwrap_or_default();
            return Some((format!("{err}{hint}"), Role::Bad));
        }
        match &self.doom {
            Doom::Abort(_, 0) => None,
            Doom::Abort(_, held) => {
                Some((format!("{held} of them a job may still go on with; it would have to begin anew."), Role::Warn))
            }
            Doom::Delete(_) if self.versions => {
                Some(("All versions and marks of deletion go too. Nothing brings them back.".to_owned(), Role::Bad))
            }
            Doom::Delete(_) if self.keeps => {
                let key = cx.keymap.label(&["facts"], Action::Undelete);
                let words = format!(
                    "The bucket keeps versions: a mark of deletion is set, and undelete ({key} in Versions) brings them back."
                );
                Some((words, Role::Good))
            }
            Doom::Delete(_) => Some(("Nothing brings them back.".to_owned(), Role::Warn)),
        }
    }

    fn buttons<'a>(&self, cx: &Cx) -> Line<'a> {
        let theme = &cx.theme;
        let button = |label: String, on: bool| {
            Span::styled(format!(" {label} "), if on { theme.style(Role::Cursor) } else { theme.style(Role::Bar) })
        };
        let mut spans = vec![button("Leave it".to_owned(), self.focus == Focus::Leave), Span::raw("  ")];
        let Some(number) = self.number().filter(|_| self.counted.as_ref().is_some_and(Result::is_ok)) else {
            return Line::from(spans);
        };
        let verb = self.verb();
        if self.is_typed() {
            let on = self.focus == Focus::Number;
            spans.push(Span::styled(format!("type {number} to {verb}: "), theme.style(Role::Text)));
            let (before, after) = self.input.split();
            let mark = if !on {
                ""
            } else if cx.unicode {
                "▏"
            } else {
                "_"
            };
            let typed = format!("{}{mark}{}", text::clean(before), text::clean(after));
            let width = number.to_string().len() + 2;
            let role = if self.wrong {
                Role::Bad
            } else if on {
                Role::Focus
            } else {
                Role::Dim
            };
            spans.push(Span::styled(format!("{typed:<width$}"), theme.style(role)));
            spans.push(Span::raw("  "));
        }
        let label = if verb == "delete" { "Delete" } else { "Abort" };
        spans.push(button(label.to_owned(), self.focus == Focus::Go));
        Line::from(spans)
    }
}

fn ask(stores: &Stores, target: &Target, waker: &Waker) -> Pending<bool> {
    let (stores, at) = (stores.clone(), target.location.clone());
    Pending::spawn(waker, async move {
        let handle = stores.open(&at, stores.meter()).await?;
        Ok::<_, Error>(keeps_versions(&handle).await)
    })
}

impl Screen for Sure {
    fn contexts(&self) -> &'static [&'static str] {
        if self.is_typed() { &["form"] } else { &["confirm", "form"] }
    }

    fn title(&self) -> String {
        self.verb().to_owned()
    }

    fn is_popup(&self) -> bool {
        true
    }

    fn wants_text(&self) -> bool {
        self.is_typed()
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.counting.is_some()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        match action {
            Action::NextPane | Action::Down => self.turn(true),
            Action::PrevPane | Action::Up => self.turn(false),
            Action::NextChoice | Action::PrevChoice if self.keeps => {
                self.versions = !self.versions;
                self.input = Input::default();
                self.count(cx);
            }
            Action::Yes => return self.go(cx),
            Action::Enter | Action::Submit if self.focus != Focus::Leave => return self.go(cx),
            Action::No | Action::Back | Action::Close | Action::Enter | Action::Submit => return Flow::Close,
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn edit(&mut self, edit: &Edit, _cx: &mut Cx) -> Flow {
        self.wrong = false;
        self.focus = Focus::Number;
        match edit {
            Edit::Insert(text) => {
                let digits: String = text.chars().filter(char::is_ascii_digit).take(20).collect();
                self.input.apply(&Edit::Insert(digits));
            }
            other => {
                self.input.apply(other);
            }
        }
        Flow::Done
    }

    fn poll(&mut self, _cx: &mut Cx) {
        if let Some(Ok(keeps)) = poll_slot(&mut self.asked) {
            self.keeps = keeps;
        }
        if let Some(result) = self.counting.as_mut().and_then(|(_, pending)| pending.take()) {
            self.counting = None;
            self.counted = Some(match result {
                // Folders of the disk without a file in them are something.
                Ok(tally) if tally.objects == 0 && !self.is_on_disk() => {
                    Err(Error::new(crate::error::Kind::NotFound, "there is nothing to delete"))
                }
                other => other,
            });
        }
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let width = area.width.min(WIDTH);
        let room = usize::from(width.saturating_sub(4)).max(1);
        let mut lines = self.body(room, cx);
        if let Some((words, role)) = self.warning(cx) {
            lines.push(Line::raw(""));
            lines.extend(wrapped(&words, room).into_iter().map(|line| Line::styled(line, theme.style(role))));
        }
        let height = (lines.len() as u16 + 4).min(area.height);
        let rect = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
        let key = |action| cx.keymap.label(self.contexts(), action);
        let versions = if self.versions { "keep the versions" } else { "for good, with all versions" };
        let mut pairs = vec![(key(Action::NextPane), "next")];
        if self.keeps {
            pairs.push((key(Action::NextChoice), versions));
        }
        pairs.push((key(Action::Back), "leave it"));
        let mut foot = hints(&pairs, width.saturating_sub(6), cx);
        foot.spans.insert(0, Span::raw(" "));
        foot.push_span(Span::raw(" "));
        let block = Block::default()
            .borders(Borders::ALL)
            .border_type(if cx.unicode { BorderType::Rounded } else { BorderType::Plain })
            .border_style(theme.style(Role::Focus))
            .style(theme.style(Role::Text))
            .title(Span::styled(self.title(), theme.style(Role::Title)))
            .title_bottom(foot);
        let inner = block.inner(rect);
        frame.render_widget(Clear, rect);
        frame.render_widget(block, rect);
        let inner = Rect { x: inner.x + 1.min(inner.width), width: inner.width.saturating_sub(2), ..inner };
        let [body, buttons] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(inner);
        frame.render_widget(Paragraph::new(lines), body);
        frame.render_widget(Paragraph::new(self.buttons(cx)), buttons);
    }
}
