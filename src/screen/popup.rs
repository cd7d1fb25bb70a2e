//! What popups of all screens share: their frames, a form in one, and a cursor in a list.

use super::Cx;
use crate::action::Action;
use crate::text::{self, clean};
use crate::theme::{Role, Theme};
use crate::widgets::form::{Form, Look};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::Span;
use ratatui::widgets::{Block, BorderType, Borders, Clear, Widget as _};

/// Widest form, in columns.
const FORM: u16 = 100;

/// A framed box in the middle of `area`, at most so large; gives its inside.
pub(crate) fn framed(frame: &mut Frame, area: Rect, width: u16, height: u16, title: &str, cx: &Cx) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    let rect = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    let theme = &cx.theme;
    let block = Block::default()
        .borders(Borders::ALL)
        .border_type(BorderType::Rounded)
        .border_style(theme.style(Role::Focus))
        .style(theme.style(Role::Text))
        .title(Span::styled(format!(" {} ", clean(title)), theme.style(Role::Title)));
    let inner = block.inner(rect);
    frame.render_widget(Clear, rect);
    frame.render_widget(block, rect);
    Rect { x: inner.x + 1.min(inner.width), width: inner.width.saturating_sub(2), ..inner }
}

/// Draws a form as a popup in `area`, with a frame where there is room. `height` is what it had before: it grows
/// with its content and does not shrink, so that it does not jump. Gives the free line below the title; `None` where
/// there is no frame.
pub(crate) fn form(
    frame: &mut Frame,
    area: Rect,
    form: &mut Form,
    height: &mut u16,
    (title, hint): (&str, &str),
    cx: &Cx,
) -> Option<Rect> {
    let look = look(&cx.theme, cx.unicode);
    let buf = frame.buffer_mut();
    let framed = area.width >= 50 && area.height >= 14;
    let width = if framed { area.width.min(FORM) } else { area.width };
    let inside = if framed { width - 4 } else { width };
    *height = (*height).max(form.height(inside, &look) + if framed { 3 } else { 1 });
    let tall = (*height).min(area.height);
    let y = area.y + (area.height / 8).min((area.height - tall) / 2);
    let popup = Rect { x: area.x + (area.width - width) / 2, y, width, height: tall };
    Clear.render(popup, buf);
    buf.set_style(popup, cx.theme.style(Role::Text));
    let body = boxed(title, popup, framed, buf, cx);
    form.draw(body, buf, &look, hint);
    framed.then_some(Rect { y: popup.y + 1, height: 1, ..body })
}

/// Border and title; returns what is inside.
fn boxed(title: &str, area: Rect, framed: bool, buf: &mut Buffer, cx: &Cx) -> Rect {
    let title = clean(title).into_owned();
    let title = text::fit_middle(&title, usize::from(area.width.saturating_sub(8))).into_owned();
    if !framed {
        buf.set_stringn(area.x + 1, area.y, title, usize::from(area.width), cx.theme.style(Role::Title));
        let used = area.height.min(1);
        return Rect { y: area.y + used, height: area.height - used, ..area };
    }
    let kind = if cx.unicode { BorderType::Rounded } else { BorderType::Plain };
    let mut block = Block::bordered().border_type(kind).border_style(cx.theme.style(Role::Focus));
    if !cx.unicode {
        block = block.border_set(ASCII_BORDER);
    }
    block.render(area, buf);
    buf.set_string(area.x + 2, area.y, format!(" {title} "), cx.theme.style(Role::Title));
    Rect { x: area.x + 2, y: area.y + 2, width: area.width - 4, height: area.height - 3 }
}

const ASCII_BORDER: ratatui::symbols::border::Set = ratatui::symbols::border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// The theme, for a form.
fn look(theme: &Theme, unicode: bool) -> Look {
    let style = |role| {
        let mut style = theme.style(role);
        // The ground of the popup stays below all that is no ground itself.
        if role == Role::Text {
            style.bg = None;
        }
        style
    };
    Look {
        text: style(Role::Text),
        dim: style(Role::Dim),
        faint: style(Role::Faint),
        focus: style(Role::Focus).add_modifier(Modifier::BOLD),
        field: style(Role::CursorDim),
        cursor: style(Role::Cursor),
        accent: style(Role::Accent),
        container: style(Role::Container),
        bad: style(Role::Bad),
        good: style(Role::Good),
        unicode,
    }
}

/// Where a cursor at `at` of `n` lines goes; `None` for what is no movement. `page` and `half`: how many lines the
/// two larger steps are.
pub(crate) fn moved(at: usize, action: Action, n: usize, page: usize, half: usize) -> Option<usize> {
    let last = n.saturating_sub(1);
    let to = match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => at + 1,
        Action::HalfUp => at.saturating_sub(half),
        Action::HalfDown => at + half,
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => at + page,
        Action::Top => 0,
        Action::Bottom => last,
        _ => return None,
    };
    Some(to.min(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_stays_within_its_list() {
        assert_eq!(moved(0, Action::Up, 3, 10, 5), Some(0));
        assert_eq!(moved(1, Action::PageDown, 30, 10, 5), Some(11));
        assert_eq!(moved(1, Action::HalfDown, 3, 10, 5), Some(2));
        assert_eq!(moved(0, Action::Bottom, 0, 10, 5), Some(0), "a list of nothing");
        assert_eq!(moved(1, Action::Enter, 3, 10, 5), None);
    }
}
