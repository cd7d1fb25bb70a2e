//! Where on earth it lies: its outline on a map of the world, small beside the picture or in its place.

use super::RasterScreen;
use super::draw::plain;
use crate::map::graticule::degrees;
use crate::map::{Extent, Plane, View, World, draw_world};
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use crate::widgets::map::dots::{Dots, line, point};
use crate::widgets::map::{Canvas, DOTS, Look, Map};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// How much more than the outline a large map shows.
const AROUND: f64 = 4.0;

/// Leaves out what is drawn with the ink of borders.
struct Coasts<'a>(crate::widgets::map::Layer<'a>);

impl Dots for Coasts<'_> {
    fn size(&self) -> (i32, i32) {
        self.0.size()
    }

    fn set(&mut self, x: i32, y: i32, ink: u8) {
        if ink > 1 {
            self.0.set(x, y, ink);
        }
    }
}

fn draw_outline(outline: &[[f64; 2]], view: &View, dots: &mut impl Dots) {
    let placed: Vec<[f64; 2]> = outline.iter().map(|at| view.dot(*at)).collect();
    for (i, from) in placed.iter().enumerate() {
        let to = placed[(i + 1) % placed.len()];
        // What goes round the back of the earth is no line across it.
        if (from[0] - to[0]).abs() < f64::from(view.dots.0) / 2.0 {
            line(dots, *from, to, 1);
        }
        point(dots, *from, 1);
    }
}

fn show(canvas: &Canvas, frame: &mut Frame, area: Rect, cx: &Cx) {
    let ink = |role| plain(cx.theme.style(role));
    let ground = vec![ink(Role::Faint), ink(Role::Faint), ink(Role::Dim)];
    let look = Look { inks: vec![ink(Role::Key)], ground, ..Look::default() };
    let widget =
        Map { canvas: Some(canvas), below: &[], beside: &[], gutter: 0, cursor: None, chosen: None, look: &look };
    widget.draw_only(area, frame.buffer_mut());
}

/// The world in small.
pub(super) fn draw_small(outline: &[[f64; 2]], world: &World, frame: &mut Frame, area: Rect, cx: &Cx) {
    let all = Extent { west: -180.0, south: -58.0, east: 180.0, north: 80.0 };
    let dots = (u32::from(area.width * DOTS.0), u32::from(area.height * DOTS.1));
    let view = View::fit(Plane::Degrees, &all, dots);
    let mut canvas = Canvas::new(area.width, area.height);
    draw_world(world, &view, &mut Coasts(canvas.ground()), 1, 2);
    draw_outline(outline, &view, &mut canvas.data());
    show(&canvas, frame, area, cx);
    let Some(extent) = Extent::around(outline) else { return };
    let middle = view.dot([extent.west + extent.width() / 2.0, f64::midpoint(extent.south, extent.north)]);
    let is_small = extent.width() / view.unit < 6.0 && (extent.north - extent.south) / view.unit < 12.0;
    let cell = |v: f64, dots: u16, most: u16| (v / f64::from(dots)).clamp(0.0, f64::from(most.max(1) - 1)) as u16;
    let at = (area.x + cell(middle[0], DOTS.0, area.width), area.y + cell(middle[1], DOTS.1, area.height));
    if let Some(cell) = frame.buffer_mut().cell_mut(at).filter(|_| is_small) {
        cell.set_char(if cx.unicode { '◉' } else { 'o' }).set_style(plain(cx.theme.style(Role::Key)));
    }
}

/// The surroundings in large, with the bounds in words.
pub(super) fn draw_large(screen: &RasterScreen, frame: &mut Frame, area: Rect, cx: &Cx) {
    let (Some(layer), Some(world)) = (&screen.layer, &screen.world) else { return };
    let about = layer.scene.about();
    let [map, words] = Layout::vertical([Constraint::Min(1), Constraint::Length(2)]).areas(area);
    let Some(found) = Extent::around(&about.outline) else { return };
    let dots = (u32::from(map.width * DOTS.0), u32::from(map.height * DOTS.1));
    // Outlines of the world are coarse: closer than this there would be nothing to know a place by.
    let least = |size: f64| (size * AROUND).clamp(30.0, 180.0);
    let middle = [found.west + found.width() / 2.0, f64::midpoint(found.south, found.north)];
    let (wide, high) = (least(found.width()) / 2.0, least(found.north - found.south) / 2.0);
    let around = Extent {
        west: middle[0] - wide,
        east: middle[0] + wide,
        south: (middle[1] - high).max(-90.0),
        north: (middle[1] + high).min(90.0),
    };
    let view = View::fit(Plane::Degrees, &around, dots);
    let mut canvas = Canvas::new(map.width, map.height);
    draw_world(world, &view, &mut canvas.ground(), 2, 3);
    draw_outline(&about.outline, &view, &mut canvas.data());
    show(&canvas, frame, map, cx);
    frame.render_widget(Paragraph::new(bounds(screen, &found, world, usize::from(words.width), cx)), words);
}

/// Where it lies, in words.
fn bounds<'a>(screen: &RasterScreen, found: &Extent, world: &World, width: usize, cx: &Cx) -> Vec<Line<'a>> {
    let ink = |role| plain(cx.theme.style(role));
    let places = (2.0 - found.width().max(1e-6).log10()).ceil().clamp(0.0, 6.0) as usize;
    let range = |a: f64, b: f64, lon: bool| format!("{} – {}", degrees(a, lon, places), degrees(b, lon, places));
    let middle = [crate::map::wrap(found.west + found.width() / 2.0), f64::midpoint(found.south, found.north)];
    let country = world.country(middle).unwrap_or("");
    let crs = screen.layer.as_ref().and_then(|l| l.scene.about().crs.clone()).unwrap_or_default();
    let words = format!(" {}   {}", range(found.west, found.east, true), range(found.south, found.north, false));
    let more = format!(" {country}   {}", text::clean(&crs));
    vec![
        Line::from(Span::styled(text::fit(&words, width).into_owned(), ink(Role::Accent))),
        Line::from(Span::styled(text::fit(&more, width).into_owned(), ink(Role::Dim))),
    ]
}
