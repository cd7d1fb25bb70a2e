//! A scene as a picture, for terminals that show one.

use super::draw::{draw_features, draw_world, fill_land};
use super::graticule::Graticule;
use super::scene::Scene;
use super::view::View;
use super::world::World;
use crate::picture::Picture;
use crate::widgets::map::dots::Dots;

/// Colours of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Colours {
    /// Sea, and the ground of maps of own coordinates.
    pub sea: [u8; 3],
    /// Land.
    pub land: [u8; 3],
    /// Graticule, land borders, coasts.
    pub lines: [[u8; 3]; 3],
    /// By ink, 1 first.
    pub inks: Vec<[u8; 3]>,
}

/// Points have this radius in pixels where there are few of them, and less where there are many.
const RADIUS: f64 = 3.2;

struct Canvas<'a> {
    width: i32,
    height: i32,
    rgba: &'a mut [u8],
    colours: &'a [[u8; 3]],
    /// Half the size of a point.
    radius: f64,
    /// How much of an area's colour covers what is below, of 255.
    cover: u32,
}

impl Canvas<'_> {
    fn blend(&mut self, x: i32, y: i32, ink: u8, cover: u32) {
        if x < 0 || y < 0 || x >= self.width || y >= self.height {
            return;
        }
        let at = (y as usize * self.width as usize + x as usize) * 4;
        let colour = self.colours.get(usize::from(ink).saturating_sub(1)).or(self.colours.last());
        if let (Some(pixel), Some(colour)) = (self.rgba.get_mut(at..at + 3), colour) {
            for (channel, new) in pixel.iter_mut().zip(colour) {
                *channel = ((u32::from(*channel) * (255 - cover) + u32::from(*new) * cover) / 255) as u8;
            }
        }
    }
}

impl Dots for Canvas<'_> {
    fn size(&self) -> (i32, i32) {
        (self.width, self.height)
    }

    fn set(&mut self, x: i32, y: i32, ink: u8) {
        self.blend(x, y, ink, 255);
    }

    fn mark(&mut self, x: i32, y: i32, ink: u8) {
        let reach = self.radius.ceil() as i32;
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                // A soft edge: what a pixel has of the disc.
                let share = (self.radius + 0.5 - f64::from(dx * dx + dy * dy).sqrt()).clamp(0.0, 1.0);
                if share > 0.0 {
                    self.blend(x + dx, y + dy, ink, (share * 235.0) as u32);
                }
            }
        }
    }

    fn shade(&mut self, x: i32, y: i32, ink: u8) {
        self.blend(x, y, ink, self.cover);
    }
}

/// Paints what a view shows, whose dots are the pixels. Blocks: for a thread for such work.
pub fn paint(scene: &Scene, world: &World, view: &View, colours: &Colours) -> Picture {
    let (width, height) = view.dots;
    let mut rgba: Vec<u8> = Vec::with_capacity(width as usize * height as usize * 4);
    for _ in 0..width as usize * height as usize {
        rgba.extend_from_slice(&[colours.sea[0], colours.sea[1], colours.sea[2], 255]);
    }
    let crowd = (scene.count as f64 / 3_000.0).max(1.0).log10();
    let radius = (RADIUS - crowd).clamp(0.6, RADIUS);
    let ground: Vec<[u8; 3]> = std::iter::once(colours.land).chain(colours.lines).collect();
    let mut canvas = Canvas {
        width: width as i32,
        height: height as i32,
        rgba: &mut rgba,
        colours: &ground,
        radius: 0.0,
        cover: 255,
    };
    fill_land(world, view, &mut canvas, 1);
    Graticule::new(view, [160.0, 120.0]).draw(view, &mut canvas, 2);
    draw_world(world, view, &mut canvas, 3, 4);
    let mut canvas = Canvas { colours: &colours.inks, radius, cover: 110, ..canvas };
    draw_features(scene, view, &mut canvas);
    Picture { width, height, rgba: rgba.into() }
}
