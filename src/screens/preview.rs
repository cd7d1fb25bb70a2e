//! One thing, full screen.

use crate::action::Action;
use crate::look::Look;
use crate::preview::Probe;
use crate::screen::{Cx, Flow, Open, Screen};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

/// The screen.
pub(super) struct Preview {
    probe: Probe,
    look: Look,
    asked: bool,
    height: usize,
}

impl Preview {
    pub(super) fn open(probe: Probe) -> Self {
        let mut look = Look::default();
        look.focus(true);
        Self { probe, look, asked: false, height: 20 }
    }
}

/// The map of what is looked at, where it is a table.
pub(super) fn map_of(probe: Option<Probe>, cx: &mut Cx) -> Flow {
    if let Some(probe) = probe.filter(crate::tables::claims) {
        Flow::Open(Open::Map { probe, rows: None })
    } else {
        cx.toast("only tables with geometry, or with longitudes and latitudes, have a map");
        Flow::Done
    }
}

impl Screen for Preview {
    fn contexts(&self) -> &'static [&'static str] {
        &["preview", "list", "global"]
    }

    fn title(&self) -> String {
        self.probe.location.name().to_owned()
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.look.is_loading()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let page = self.height.max(2) as isize - 1;
        if self.look.update(action, page) {
            return Flow::Done;
        }
        match action {
            Action::Enter => return self.look.target().map_or(Flow::Ignored, |at| Flow::Open(super::open_part(at))),
            Action::ViewNext => self.look.next_view(),
            Action::Refresh => self.look.refresh(cx),
            Action::Leave | Action::Back => return Flow::Close,
            Action::Map => return map_of(Some(self.probe.clone()), cx),
            Action::Convert => return Flow::Open(Open::ConvertForm { source: self.probe.location.clone() }),
            Action::Query => return Flow::Open(Open::Query { table: Some(self.probe.location.clone()), sql: None }),
            Action::CopyTo | Action::MoveTo => {
                let location = self.probe.location.clone();
                let here = location.parent().unwrap_or_else(|| location.clone());
                let moves = action == Action::MoveTo;
                return Flow::Open(Open::CopyForm { sources: vec![location], here, other: None, moves });
            }
            Action::Download => return Flow::Open(Open::DownloadForm { sources: vec![self.probe.location.clone()] }),
            Action::Yank => {
                return Flow::Open(Open::CopyMenu {
                    locations: vec![self.probe.location.clone()],
                    media_type: self.probe.media_type.clone(),
                });
            }
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn poll(&mut self, cx: &mut Cx) {
        self.look.poll(cx);
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let [header, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
        frame.render_widget(Block::default().style(theme.style(Role::Bar)), header);
        let address = text::clean(&self.probe.location.to_string()).into_owned();
        let address = text::fit_middle(&address, header.width.saturating_sub(2) as usize).into_owned();
        let line = Line::from(vec![Span::raw(" "), Span::styled(address, theme.style(Role::Title))]);
        frame.render_widget(Paragraph::new(line), header);
        let body = Rect { x: body.x + 1.min(body.width), width: body.width.saturating_sub(2), ..body };
        self.height = body.height as usize;
        self.look.draw(frame, body, cx);
        if !self.asked {
            // Loaded for the size it is drawn at, which the first frame tells.
            self.asked = true;
            self.look.show(Some(self.probe.clone()), cx);
        }
    }
}
