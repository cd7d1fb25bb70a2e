//! Choosing bands: one alone, or three for red, green and blue.

use super::layer::Layer;
use crate::action::Action;
use crate::scene::Band;
use crate::screen::Cx;
use crate::screen::popup::framed;
use crate::screens::popup::{self, Cursor};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// The picker.
pub(super) struct Bands {
    all: Vec<Band>,
    /// Bands, from 1, of red, green and blue, once one was chosen.
    channels: [Option<usize>; 3],
    cursor: Cursor,
    page: usize,
}

impl Bands {
    pub(super) fn open(layer: &Layer) -> Self {
        let channels = match layer.bands[..] {
            [r, g, b] => [Some(r), Some(g), Some(b)],
            _ => [None; 3],
        };
        let at = layer.bands.first().map_or(0, |band| band - 1);
        Self { all: layer.scene.about().bands.clone(), channels, cursor: Cursor::new(at), page: 10 }
    }

    /// What is to be shown: three bands where three were chosen, else the one under the cursor.
    pub(super) fn chosen(&self) -> Vec<usize> {
        match self.channels {
            [Some(r), Some(g), Some(b)] => vec![r, g, b],
            _ => vec![self.cursor.at + 1],
        }
    }

    /// Moves or chooses; tells whether the action means something here.
    pub(super) fn update(&mut self, action: Action) -> bool {
        let channel = match action {
            Action::BandRed => 0,
            Action::BandGreen => 1,
            Action::BandBlue => 2,
            Action::BandAlone => {
                self.channels = [None; 3];
                return true;
            }
            _ => return self.cursor.update(action, self.all.len(), self.page),
        };
        self.channels[channel] = Some(self.cursor.at + 1);
        true
    }

    pub(super) fn draw(&mut self, contexts: &[&str], frame: &mut Frame, area: Rect, cx: &Cx) {
        let height = (self.all.len() as u16).saturating_add(4).clamp(6, 24);
        let inner = framed(frame, area, 64, height, "Bands", cx);
        let [list, foot] = ratatui::layout::Layout::vertical([
            ratatui::layout::Constraint::Min(1),
            ratatui::layout::Constraint::Length(1),
        ])
        .areas(inner);
        self.page = usize::from(list.height.max(1));
        for (i, y) in (self.cursor.window(self.page)..self.all.len()).zip(list.y..list.bottom()) {
            let style = if i == self.cursor.at { cx.theme.style(Role::Cursor) } else { Style::default() };
            let line = self.line(i, usize::from(list.width), cx);
            frame.render_widget(Paragraph::new(line).style(style), Rect { y, height: 1, ..list });
        }
        let key = |action| cx.keymap.label(contexts, action);
        let three = format!("{}{}{}", key(Action::BandRed), key(Action::BandGreen), key(Action::BandBlue));
        let shows = if self.chosen().len() == 3 { "shows the three" } else { "shows it alone" };
        let hints = [
            (three, "red green blue"),
            (key(Action::Enter), shows),
            (key(Action::BandAlone), "one alone"),
            (key(Action::Back), "back"),
        ];
        frame.render_widget(Paragraph::new(popup::hints(&hints, foot.width, cx)), foot);
    }

    fn line<'a>(&self, i: usize, width: usize, cx: &Cx) -> Line<'a> {
        let theme = &cx.theme;
        let is_at = i == self.cursor.at;
        let ink = |role| if is_at { Style::default() } else { theme.style(role) };
        let band = &self.all[i];
        let channel = |at: usize, letter: &'static str, role| {
            let is_on = self.channels[at] == Some(i + 1);
            Span::styled(if is_on { letter } else { " " }, if is_on { theme.style(role) } else { Style::default() })
        };
        let mut detail = vec![band.dtype.clone()];
        detail.extend(band.unit.clone());
        detail.extend((!band.classes.is_empty()).then(|| format!("{} classes", band.classes.len())));
        let detail = text::clean(&detail.join(" · ")).into_owned();
        let number = format!("{:>4} ", i + 1);
        let room = width.saturating_sub(number.len() + 5 + text::width(&detail) + 1);
        let name = text::fit(&text::clean(&band.name), room).into_owned();
        let gap = " ".repeat(room.saturating_sub(text::width(&name)) + 1);
        Line::from(vec![
            Span::raw(" "),
            channel(0, "R", Role::Bad),
            channel(1, "G", Role::Good),
            channel(2, "B", Role::Accent),
            Span::styled(number, ink(Role::Dim)),
            Span::styled(name, ink(Role::Name)),
            Span::raw(gap),
            Span::styled(detail, ink(Role::Dim)),
        ])
    }
}
