//! Pictures on the terminal: by its own protocol where it has one, by characters until then.
//!
//! A screen calls [`Gallery::place`] while it draws. [`Gallery::finish`] runs on the whole frame,
//! knows what covers what, and decides: a picture that is encoded and that nothing covers is shown
//! by the protocol, every other one by characters. [`Gallery::flush`] writes what has changed since
//! the last frame: a picture that stays where it is costs no byte.
//!
//! The cells below a picture are marked [`CellDiffOption::Skip`]. That keeps ratatui from writing
//! over it, and makes it write them when the picture has gone, since a cell with the mark differs
//! from one without: so nothing of a sixel picture is left behind.

mod fit;
mod iterm2;
mod kitty;
mod mosaic;
mod shades;
mod sixel;

use super::caps::{Caps, Colours, Graphics};
use super::colour::nearest;
use super::encode::colour;
use crate::picture::Picture;
use crate::task::Waker;
pub use fit::{Fit, fit};
use mosaic::{Glyphs, Tile};
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use shades::Shades;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Encoded pictures that are kept, in bytes.
const KEPT_BYTES: usize = 32 << 20;
/// Pictures made of characters that are kept.
const KEPT_SMALL: usize = 8;

/// The pictures on the screen. Clones share.
#[derive(Clone)]
pub struct Gallery {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    waker: Waker,
    look: Look,
    /// Registered for the frame that is being drawn.
    now: Vec<Placement>,
    /// What the frame that was finished shows by the protocol.
    frame: Vec<Placement>,
    /// What the terminal shows by the protocol.
    shown: Vec<Placement>,
    /// Images of kitty's to be deleted with the next flush.
    dead: Vec<u32>,
    encoded: Vec<Encoded>,
    made: Vec<Made>,
    next_image: u32,
}

/// How pictures look on this terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    graphics: Graphics,
    colours: Colours,
    glyphs: Glyphs,
    cell: (u16, u16),
    sixel_colours: u16,
}

/// A picture out of characters.
struct Made {
    of: Picture,
    dots: (u16, u16),
    tiles: Arc<[Tile]>,
}

#[derive(Clone)]
struct Placement {
    slot: u64,
    /// Whether the picture shown before in its place stays until it is encoded.
    follows: bool,
    picture: Picture,
    fit: Fit,
    background: Color,
}

impl Placement {
    fn is_same(&self, other: &Self) -> bool {
        self.fit == other.fit && self.background == other.background && self.needs_same_bytes(other)
    }

    fn needs_same_bytes(&self, other: &Self) -> bool {
        self.slot == other.slot && is_same(&self.picture, &other.picture) && self.fit.pixels == other.fit.pixels
    }
}

fn is_same(a: &Picture, b: &Picture) -> bool {
    // Both hold their pixels, so that an address cannot be reused for others.
    (a.width, a.height) == (b.width, b.height) && Arc::ptr_eq(&a.rgba, &b.rgba)
}

struct Encoded {
    of: Placement,
    look: Look,
    image: u32,
    state: State,
}

enum State {
    Running,
    Ready(Arc<[u8]>),
    /// It cannot be encoded: characters for ever.
    Failed,
}

impl Gallery {
    /// An empty one that shows half-blocks until [`Gallery::adapt`] tells it more.
    pub fn new(waker: Waker) -> Self {
        let look = Look {
            graphics: Graphics::HalfBlocks,
            colours: Colours::TrueColour,
            glyphs: Glyphs::HalfBlocks,
            cell: (8, 16),
            sixel_colours: 256,
        };
        let inner = Inner {
            waker,
            look,
            now: Vec::new(),
            frame: Vec::new(),
            shown: Vec::new(),
            dead: Vec::new(),
            encoded: Vec::new(),
            made: Vec::new(),
            next_image: 0,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what is known of the terminal.
    pub fn adapt(&self, caps: &Caps) {
        let glyphs = Glyphs::of(caps.graphics, caps.unicode, caps.colours);
        let look = Look {
            graphics: caps.graphics,
            colours: caps.colours,
            glyphs,
            cell: caps.cell(),
            sixel_colours: caps.sixel_colours,
        };
        let mut inner = self.lock();
        if inner.look != look {
            inner.forget_shown();
            inner.made.clear();
            inner.look = look;
        }
    }

    /// How pictures are shown, and how many colours there are.
    pub fn shows(&self) -> (Graphics, Colours) {
        let look = self.lock().look;
        (look.graphics, look.colours)
    }

    /// Width and height in pixels that a picture in `area` can make use of.
    pub fn pixels(&self, area: Rect) -> (u32, u32) {
        let look = self.lock().look;
        let (columns, rows) = (u32::from(area.width), u32::from(area.height));
        match look.graphics {
            Graphics::None => (0, 0),
            // Dots are about as wide as they are high.
            graphics if graphics.is_characters() => (columns * 2, rows * 4),
            _ => (columns * u32::from(look.cell.0), rows * u32::from(look.cell.1)),
        }
    }

    /// Cells of these colours, for a legend: as pictures of the same colours have them.
    pub fn swatches(&self, colours: impl Iterator<Item = [u8; 3]>) -> Vec<(char, Style)> {
        let mut shades = (self.lock().look.glyphs == Glyphs::Shades).then(Shades::new);
        let rgb = |[r, g, b]: [u8; 3]| Color::Rgb(r, g, b);
        let cell = |colour| match &mut shades {
            Some(shades) => {
                let (glyph, front, back) = shades.cell([colour; 2]);
                (glyph, Style::default().fg(rgb(front)).bg(rgb(back)))
            }
            None => (' ', Style::default().bg(rgb(colour))),
        };
        colours.map(cell).collect()
    }

    /// Puts `picture` into `area` of the frame that is being drawn, as large as fits, centred.
    /// `slot` tells one place for pictures from another (0 for a screen's only one): in a slot at
    /// most one picture is encoded at a time. Returns the cells that it takes.
    pub fn place(&self, buffer: &mut Buffer, area: Rect, slot: u64, picture: &Picture) -> Rect {
        self.put(buffer, area, (slot, false), picture)
    }

    /// The same for a picture that follows another of the same thing, moved or coloured anew: the one before
    /// stays until this one is encoded, so that nothing flickers.
    pub fn follow(&self, buffer: &mut Buffer, area: Rect, slot: u64, picture: &Picture) -> Rect {
        self.put(buffer, area, (slot, true), picture)
    }

    fn put(&self, buffer: &mut Buffer, area: Rect, (slot, follows): (u64, bool), picture: &Picture) -> Rect {
        let mut inner = self.lock();
        let look = inner.look;
        let screen = buffer.area;
        let Some(fit) = fit(picture, area.intersection(screen), screen, look.cell, look.graphics) else {
            return Rect { width: 0, height: 0, ..area };
        };
        if look.graphics.is_characters() {
            mosaic::draw(buffer, &fit, &inner.tiles(picture, &fit), |_| true);
            return fit.cells;
        }
        for position in fit.cells.positions() {
            if let Some(cell) = buffer.cell_mut(position) {
                cell.set_char(' ').set_diff_option(CellDiffOption::Skip);
            }
        }
        inner.now.push(Placement { slot, follows, picture: picture.clone(), fit, background: Color::Reset });
        fit.cells
    }

    /// Decides how the pictures of the frame in `buffer` are shown. Call it when all is drawn.
    pub fn finish(&self, buffer: &mut Buffer) {
        let mut inner = self.lock();
        let look = inner.look;
        let mut frame = Vec::new();
        for mut placement in std::mem::take(&mut inner.now) {
            let cells = placement.fit.cells;
            let is_free = |position| buffer.cell(position).is_some_and(|c| c.diff_option == CellDiffOption::Skip);
            let covered = !cells.positions().all(is_free);
            if !covered && inner.is_encoded(&placement, &self.inner) {
                let background = buffer.cell((cells.x, cells.y)).map_or(Color::Reset, |c| c.bg);
                placement.background = nearest(background, look.colours);
                frame.push(placement);
                continue;
            }
            let before = inner.shown.iter().find(|s| s.slot == placement.slot && s.follows && s.fit.cells == cells);
            if let Some(before) = before.filter(|_| placement.follows && !covered) {
                frame.push(before.clone());
                continue;
            }
            let tiles = inner.tiles(&placement.picture, &placement.fit);
            mosaic::draw(buffer, &placement.fit, &tiles, |cell| {
                let free = cell.diff_option == CellDiffOption::Skip;
                if free {
                    cell.set_diff_option(CellDiffOption::None);
                }
                free
            });
        }
        inner.frame = frame;
    }

    /// Writes what has changed since the last frame, after the cells of this one.
    pub fn flush(&self, out: &mut Vec<u8>) {
        self.lock().flush(out);
    }

    /// Forgets what the terminal shows: it was cleared.
    pub fn invalidate(&self) {
        self.lock().forget_shown();
    }
}

impl Inner {
    /// The picture out of characters.
    fn tiles(&mut self, picture: &Picture, fit: &Fit) -> Arc<[Tile]> {
        if let Some(made) = self.made.iter().find(|made| is_same(&made.of, picture) && made.dots == fit.dots) {
            return made.tiles.clone();
        }
        let small = picture.resized(u32::from(fit.dots.0), u32::from(fit.dots.1));
        let (look, cells) = (self.look, (fit.cells.width, fit.cells.height));
        let tiles: Arc<[Tile]> = mosaic::tiles(&small, cells, look.graphics.grid(), look.glyphs, look.colours).into();
        if self.made.len() >= KEPT_SMALL {
            self.made.remove(0);
        }
        self.made.push(Made { of: picture.clone(), dots: fit.dots, tiles: tiles.clone() });
        tiles
    }

    /// Whether the bytes for it are there. Has them made if they are not.
    fn is_encoded(&mut self, placement: &Placement, shared: &Arc<Mutex<Self>>) -> bool {
        let look = self.look;
        let mut busy = false;
        for one in &self.encoded {
            if one.of.needs_same_bytes(placement) && one.look == look {
                return matches!(one.state, State::Ready(_));
            }
            // While the area changes quickly only the newest size is made: when this one wakes us.
            busy |= one.of.slot == placement.slot && matches!(one.state, State::Running);
        }
        if busy || !matches!(look.graphics, Graphics::Kitty | Graphics::Sixel | Graphics::Iterm2) {
            return false;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
        self.next_image = self.next_image % 0xff_ffff + 1;
        let image = (std::process::id() << 24) | self.next_image;
        self.encoded.push(Encoded { of: placement.clone(), look, image, state: State::Running });
        let (shared, waker, placement) = (Arc::downgrade(shared), self.waker.clone(), placement.clone());
        runtime.spawn_blocking(move || {
            let (width, height) = placement.fit.pixels;
            let picture = placement.picture.resized(width, height);
            let bytes = match look.graphics {
                Graphics::Kitty => kitty::encode(&picture, image),
                Graphics::Sixel => sixel::encode(&picture, look.sixel_colours),
                _ => iterm2::encode(&picture, (placement.fit.cells.width, placement.fit.cells.height)),
            };
            if let Some(shared) = shared.upgrade() {
                shared.lock().unwrap_or_else(PoisonError::into_inner).store(image, bytes);
                waker.wake();
            }
        });
        false
    }

    fn store(&mut self, image: u32, bytes: Option<Vec<u8>>) {
        if let Some(one) = self.encoded.iter_mut().find(|e| e.image == image) {
            one.state = bytes.map_or(State::Failed, |b| State::Ready(b.into()));
        }
        let size = |e: &Encoded| match &e.state {
            State::Ready(bytes) => bytes.len() + e.of.picture.rgba.len(),
            _ => 0,
        };
        let mut total: usize = self.encoded.iter().map(size).sum();
        while total > KEPT_BYTES && self.encoded.len() > 1 {
            total -= size(&self.encoded.remove(0));
        }
    }

    fn forget_shown(&mut self) {
        for placement in std::mem::take(&mut self.shown) {
            self.bury(&placement);
        }
    }

    /// Kitty keeps an image until it is told; the others' lives in the cells that are rewritten.
    fn bury(&mut self, placement: &Placement) {
        let image =
            self.encoded.iter().find(|e| e.look.graphics == Graphics::Kitty && e.of.needs_same_bytes(placement));
        if let Some(image) = image.map(|e| e.image) {
            self.dead.push(image);
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        let frame = std::mem::take(&mut self.frame);
        let (stays, goes): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.shown).into_iter().partition(|s| frame.iter().any(|f| f.is_same(s)));
        for placement in &goes {
            self.bury(placement);
        }
        for image in self.dead.drain(..) {
            kitty::delete(image, out);
        }
        for placement in &frame {
            if stays.iter().any(|s| s.is_same(placement)) {
                continue;
            }
            let bytes = self.encoded.iter().find(|e| e.look == self.look && e.of.needs_same_bytes(placement));
            if let Some(State::Ready(bytes)) = bytes.map(|e| &e.state) {
                show(placement, bytes, out);
            }
        }
        self.shown = frame;
    }
}

/// Blanks the cells, which still show half-blocks or another picture, and writes the bytes there.
fn show(placement: &Placement, bytes: &[u8], out: &mut Vec<u8>) {
    let cells = placement.fit.cells;
    out.extend_from_slice(b"\x1b7\x1b[m");
    let _ = write!(out, "\x1b[{}m", colour(placement.background, 40));
    for row in cells.top()..cells.bottom() {
        // Writing to a vector cannot fail.
        let _ = write!(out, "\x1b[{};{}H{:width$}", row + 1, cells.x + 1, "", width = cells.width as usize);
    }
    let _ = write!(out, "\x1b[{};{}H", cells.y + 1, cells.x + 1);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\x1b[m\x1b8");
}

#[cfg(test)]
mod tests;
