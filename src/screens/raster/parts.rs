//! Choosing among the rasters of one object: variables of a netCDF file, pages of a TIFF, resolutions of a product.

use super::{Over, RasterScreen};
use crate::action::Action;
use crate::preview::Probe;
use crate::scene::{About, Part};
use crate::screen::popup::framed;
use crate::screen::{Cx, Flow};
use crate::screens::popup::{self, Cursor};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// The picker.
pub(super) struct Parts {
    all: Vec<Part>,
    /// The one that is shown.
    shown: Option<usize>,
    cursor: Cursor,
    page: usize,
}

impl Parts {
    fn of(about: &About) -> Self {
        Self { all: about.parts.clone(), shown: about.part, cursor: Cursor::new(about.part.unwrap_or(0)), page: 10 }
    }

    pub(super) fn draw(&mut self, contexts: &[&str], frame: &mut Frame, area: Rect, cx: &Cx) {
        let height = (self.all.len() as u16).saturating_add(4).clamp(6, 24);
        let inner = framed(frame, area, 72, height, "Rasters of this file", cx);
        let [list, foot] = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).areas(inner);
        self.page = usize::from(list.height.max(1));
        let names = self.all.iter().map(|part| text::width(&text::clean(&part.name))).max().unwrap_or(0);
        let names = names.min(usize::from(list.width) / 2);
        for (i, y) in (self.cursor.window(self.page)..self.all.len()).zip(list.y..list.bottom()) {
            let style = if i == self.cursor.at { cx.theme.style(Role::Cursor) } else { Style::default() };
            let line = self.line(i, names, usize::from(list.width), cx);
            frame.render_widget(Paragraph::new(line).style(style), Rect { y, height: 1, ..list });
        }
        let key = |action| cx.keymap.label(contexts, action);
        let hints = [(key(Action::Enter), "opens it"), (key(Action::Back), "back")];
        frame.render_widget(Paragraph::new(popup::hints(&hints, foot.width, cx)), foot);
    }

    fn line<'a>(&self, i: usize, names: usize, width: usize, cx: &Cx) -> Line<'a> {
        let ink = |role| if i == self.cursor.at { Style::default() } else { cx.theme.style(role) };
        let part = &self.all[i];
        let mark = match (self.shown == Some(i), cx.unicode) {
            (true, true) => " ● ",
            (true, false) => " * ",
            (false, _) => "   ",
        };
        let name = text::fit(&text::clean(&part.name), names).into_owned();
        let gap = " ".repeat(names.saturating_sub(text::width(&name)) + 2);
        let about = text::fit(&text::clean(&part.about), width.saturating_sub(names + 6)).into_owned();
        Line::from(vec![
            Span::styled(mark, ink(Role::Accent)),
            Span::styled(name, ink(Role::Name)),
            Span::raw(gap),
            Span::styled(about, ink(Role::Dim)),
        ])
    }
}

impl RasterScreen {
    /// Shows what else the object holds.
    pub(super) fn open_parts(&mut self, cx: &mut Cx) {
        match self.layer.as_ref().map(|layer| layer.scene.about()) {
            Some(about) if about.parts.len() > 1 => self.over = Some(Over::Parts(Parts::of(about))),
            _ => cx.toast("the file holds this one raster"),
        }
    }

    pub(super) fn act_parts(&mut self, action: Action, cx: &Cx) -> Flow {
        let Some(Over::Parts(picker)) = &mut self.over else { return Flow::Ignored };
        match action {
            Action::Back | Action::Leave | Action::Close | Action::Parts => self.over = None,
            Action::Enter => {
                let chosen = picker.all.get(picker.cursor.at).filter(|_| picker.shown != Some(picker.cursor.at));
                let location = chosen.map(|part| part.location.clone());
                self.over = None;
                if let Some(location) = location {
                    // The one before stays in sight until this one is open.
                    self.probe = Some(Probe::new(location));
                    self.read(cx);
                }
            }
            _ if picker.cursor.update(action, picker.all.len(), picker.page) => {}
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    /// Whether the object holds more than what is shown.
    pub(super) fn has_parts(&self) -> bool {
        self.layer.as_ref().is_some_and(|layer| layer.scene.about().parts.len() > 1)
    }
}
