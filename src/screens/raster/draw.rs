//! The picture, and what stands around it. See the picture in `mod.rs`.

use super::{Over, RasterScreen, Shows, act, locate, side, status};
use crate::screen::{Cx, Screen as _};
use crate::screens::popup;
use crate::terminal::Graphics;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph};

/// Dots of a picture at most: a screen of high resolution has more than a look needs.
const MOST_DOTS: f64 = 1_500_000.0;
/// Narrower than this there is nothing beside the picture.
const FOLDS: u16 = 64;

/// Whether pictures are made of characters.
pub(super) fn is_of_characters(cx: &Cx) -> bool {
    let (graphics, _) = cx.gallery.shows();
    graphics.is_characters() || graphics == Graphics::None
}

/// A style's foreground and weight, without its ground.
pub(super) fn plain(style: Style) -> Style {
    Style { bg: None, ..style }
}

pub(super) fn draw(screen: &mut RasterScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let foot = if matches!(screen.over, Some(Over::Prompt(_))) { 2 } else { 1 };
    let [header, body, below, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(below(screen, area)),
        Constraint::Length(foot),
    ])
    .areas(area);
    match &mut screen.shows {
        Shows::Sheets(sheets) if screen.layer.is_some() => {
            let inner = Rect { x: body.x + 1.min(body.width), width: body.width.saturating_sub(2), ..body };
            let body = Rect {
                y: inner.y + 1.min(inner.height),
                height: (inner.height + below.height).saturating_sub(1),
                ..inner
            };
            if let Some(layer) = &screen.layer {
                sheets.draw(&layer.scene.about().sheets, frame, body, cx);
            }
        }
        Shows::World => locate::draw_large(screen, frame, Rect { height: body.height + below.height, ..body }, cx),
        _ => {
            draw_body(screen, frame, body, cx);
            let lines = status::below(screen, below, cx);
            frame.render_widget(Paragraph::new(lines), below);
        }
    }
    status::draw_header(screen, frame, header, cx);
    draw_footer(screen, frame, footer, cx);
    let contexts = screen.contexts();
    match &mut screen.over {
        Some(Over::Bands(picker)) => picker.draw(contexts, frame, body, cx),
        Some(Over::Parts(picker)) => picker.draw(contexts, frame, body, cx),
        _ => {}
    }
}

/// Lines between the picture and the foot: axes, the legend where nothing stands beside, the cursor.
fn below(screen: &RasterScreen, area: Rect) -> u16 {
    if screen.layer.is_none() {
        return 0;
    }
    let room = area.height.saturating_sub(8);
    let axes = screen.layer.as_ref().map_or(0, |l| l.scene.about().axes.len() as u16);
    let legend = u16::from(side_width(screen, area.width) == 0 && area.height >= 8);
    (axes + legend + u16::from(screen.has_cursor)).min(room.max(2))
}

/// Columns beside the picture.
pub(super) fn side_width(screen: &RasterScreen, width: u16) -> u16 {
    match width {
        _ if !screen.has_side => 0,
        0..FOLDS => 0,
        FOLDS..110 => 27,
        110..160 => 34,
        _ => 44,
    }
}

fn draw_body(screen: &mut RasterScreen, frame: &mut Frame, body: Rect, cx: &Cx) {
    if screen.layer.is_none() {
        return draw_waiting(screen, frame, body, cx);
    }
    let width = side_width(screen, body.width);
    let [left, gap, right] =
        Layout::horizontal([Constraint::Min(1), Constraint::Length(u16::from(width > 0)), Constraint::Length(width)])
            .areas(body);
    draw_pictures(screen, frame, left, cx);
    if width > 0 {
        let line = Block::default().borders(Borders::LEFT).border_style(plain(cx.theme.style(Role::Border)));
        frame.render_widget(line, Rect { width: 1, ..gap });
        let inner = Rect { x: right.x + 1, width: right.width.saturating_sub(2), ..right };
        side::draw(screen, frame, inner, cx);
    }
}

fn draw_pictures(screen: &mut RasterScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    if !screen.compare.is_beside() {
        take_dots(screen, area, cx);
        draw_one(screen, screen.compare.shows_second(), frame, area, 0, cx);
        return;
    }
    let half = area.width.saturating_sub(1) / 2;
    for (second, x) in [(false, area.x), (true, area.right().saturating_sub(half))] {
        let one = Rect { x, width: half, ..area };
        let [name, picture] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(one);
        let title = if second { screen.compare.layer.as_ref() } else { screen.layer.as_ref() };
        let title = title.map(|l| text::clean(&l.scene.about().title).into_owned()).unwrap_or_default();
        let title = format!(" {}", text::fit_middle(&title, usize::from(half.saturating_sub(1))));
        frame.render_widget(Paragraph::new(Line::styled(title, plain(cx.theme.style(Role::Title)))), name);
        take_dots(screen, picture, cx);
        draw_one(screen, second, frame, picture, u64::from(second), cx);
    }
}

/// Tells the screen how many dots there are.
fn take_dots(screen: &mut RasterScreen, area: Rect, cx: &Cx) {
    let (width, height) = cx.gallery.pixels(area);
    let over = (f64::from(width) * f64::from(height) / MOST_DOTS).sqrt().max(1.0);
    let dots = |n: u32| (f64::from(n) / over).floor() as u32;
    screen.take_dots((dots(width), dots(height)), cx);
}

fn draw_one(screen: &RasterScreen, second: bool, frame: &mut Frame, area: Rect, slot: u64, cx: &Cx) {
    let layer = if second { screen.compare.layer.as_ref() } else { screen.layer.as_ref() };
    let Some(layer) = layer else { return };
    let composed = layer.composed.as_ref().filter(|c| c.picture.width > 0);
    if let Some(composed) = composed {
        cx.gallery.follow(frame.buffer_mut(), area, slot, &composed.picture);
        if screen.has_cursor && is_of_characters(cx) {
            draw_cursor(screen, frame, area, cx);
        }
    }
    if let Some(err) = layer.trouble() {
        draw_failure(err, composed.is_some(), frame, area, cx);
    } else if cx.gallery.pixels(area) == (0, 0) {
        let words = "this terminal shows no pictures; the tables are there";
        frame.render_widget(Paragraph::new(Line::styled(words, plain(cx.theme.style(Role::Dim)))), area);
    } else if composed.is_none() && layer.is_reading() {
        draw_words(frame, area, &["reading…".to_owned()], Role::Dim, cx);
    }
}

/// The cursor on a picture of characters: a cross in its cell.
fn draw_cursor(screen: &RasterScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let Some(view) = screen.view else { return };
    let dot = view.dot(screen.cursor);
    let share = [dot[0] / f64::from(view.dots.0), dot[1] / f64::from(view.dots.1)];
    if !share.iter().all(|s| (0.0..1.0).contains(s)) {
        return;
    }
    let x = area.x + (share[0] * f64::from(area.width)) as u16;
    let y = area.y + (share[1] * f64::from(area.height)) as u16;
    if let Some(cell) = frame.buffer_mut().cell_mut((x, y)) {
        // A dot that stands for nothing has no colour to be seen against.
        let ground = cell.bg;
        let ink = match ground {
            Color::Rgb(red, green, blue) => {
                let light = u32::from(red) * 3 + u32::from(green) * 6 + u32::from(blue);
                if light > 1_300 { Color::Rgb(0, 0, 0) } else { Color::Rgb(255, 255, 255) }
            }
            _ => Color::Reset,
        };
        cell.set_char(if cx.unicode { '┼' } else { '+' });
        cell.set_style(Style::default().fg(ink).bg(ground).add_modifier(Modifier::BOLD));
    }
}

fn draw_failure(err: &crate::error::Error, over_picture: bool, frame: &mut Frame, area: Rect, cx: &Cx) {
    let width = usize::from(area.width.saturating_sub(4)).max(8);
    let mut rows = popup::wrapped(&err.to_string(), width);
    if let Some(hint) = err.hint().filter(|_| !over_picture) {
        rows.push(String::new());
        rows.extend(popup::wrapped(hint, width));
    }
    if over_picture {
        // What is there stays in sight.
        let height = (rows.len() as u16).min(area.height);
        let strip = Rect { y: area.bottom() - height, height, ..area };
        frame.render_widget(ratatui::widgets::Clear, strip);
        return draw_words(frame, strip, &rows, Role::Bad, cx);
    }
    draw_words(frame, area, &rows, Role::Bad, cx);
}

fn draw_words(frame: &mut Frame, area: Rect, rows: &[String], role: Role, cx: &Cx) {
    let top = u16::from(usize::from(area.height) > rows.len() + 1);
    let inner = Rect {
        x: area.x + 2.min(area.width),
        y: area.y + top,
        width: area.width.saturating_sub(4),
        height: area.height - top,
    };
    let style = plain(cx.theme.style(role));
    let lines: Vec<Line<'_>> = rows.iter().map(|row| Line::styled(row.clone(), style)).collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

/// What is said before there is a scene, or instead of one.
fn draw_waiting(screen: &mut RasterScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    // So that the first picture is read for the place it will have.
    let width = side_width(screen, area.width);
    let left = Rect { width: area.width.saturating_sub(width + u16::from(width > 0)), ..area };
    if let Some(err) = &screen.error {
        return draw_failure(err, false, frame, area, cx);
    }
    if screen.opening.is_some() {
        draw_words(frame, area, &["opening…".to_owned()], Role::Dim, cx);
    }
    take_dots(screen, left, cx);
}

fn draw_footer(screen: &RasterScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    if let Some(Over::Prompt(prompt)) = &screen.over {
        let lines = prompt.lines(area.width, cx);
        frame.render_widget(Paragraph::new(lines.to_vec()), area);
        return;
    }
    if screen.over.is_some() {
        return;
    }
    let inner = Rect { x: area.x + 1.min(area.width), width: area.width.saturating_sub(2), ..area };
    frame.render_widget(Paragraph::new(act::hint_line(screen, inner.width, cx)), inner);
}
