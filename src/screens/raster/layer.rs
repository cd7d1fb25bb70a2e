//! A scene on the screen: what of it was read, what is being read, and the picture of it. Each newer wish
//! lets go of the one before; what is there is drawn meanwhile.

use super::compose::Recipe;
use super::pieces::{Key, Piece, Pieces};
use super::view::{TILE, Tiles, View, level_for, tiles_of};
use super::warp::Warp;
use crate::error::{Error, Result};
use crate::picture::Picture;
use crate::raster::color::{Brush, ColorMap, Stretch, Summary, lift};
use crate::scene::{Rest, Scene, Wish};
use crate::screen::Cx;
use crate::task::{Control, Pending, poll_slot};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pixels of the first picture, in its longer direction, at most.
const FIRST: u64 = 512;
/// Failures that are remembered.
const MOST_FAILED: usize = 64;
/// What is seen rests so long before more is read for it.
const REST: Duration = Duration::from_millis(40);

/// Told to stop when it is no longer wanted.
pub(super) struct Stops(pub(super) Control);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// How values become colours, as the user chose.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ink {
    pub(super) map: ColorMap,
    pub(super) inverted: bool,
    pub(super) stretch: Stretch,
    /// Whether the stretch follows what is in sight.
    pub(super) visible: bool,
}

/// Limits of each band shown, and the exponent that brightens.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Limits {
    pub(super) each: Vec<(f64, f64)>,
    pub(super) gamma: f64,
}

/// A picture, and what it is of.
pub(super) struct Composed {
    pub(super) made: Made,
    pub(super) picture: Picture,
    /// Of the values in sight, for each band.
    pub(super) visible: Vec<Summary>,
    pub(super) limits: Limits,
    pub(super) level: Level,
}

/// What the sharpest part of a picture came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// There is no picture.
    Nothing,
    /// Full resolution.
    Full,
    /// This overview, from 0.
    Overview(usize),
}

/// What limits are made for: bands, stretch, and whether 0 is to be in the middle.
type LimitsOf = (Vec<usize>, Stretch, bool);

/// What a picture depends on: another is made when this is another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Made {
    pub(super) view: View,
    pub(super) key: Key,
    generation: u64,
    ink: Ink,
    limits: Option<Limits>,
    cross: Option<[f64; 2]>,
}

struct Reading {
    key: Key,
    tiles: Tiles,
    value: Pending<Arrived>,
    /// Ends its reads with it.
    _stops: Stops,
    since: Instant,
}

struct Arrived {
    piece: Piece,
    /// Of a piece of the whole plane, for each band.
    summaries: Option<Vec<Summary>>,
}

/// A scene on the screen.
pub(super) struct Layer {
    pub(super) scene: Arc<dyn Scene>,
    pub(super) bands: Vec<usize>,
    pub(super) at: Vec<u64>,
    pub(super) pieces: Pieces,
    reading: Option<Reading>,
    /// What could not be read, and why: it is not asked for again by itself.
    failed: Vec<(Key, Tiles, Error)>,
    /// Which of it is in sight.
    trouble: Option<(Key, Tiles)>,
    /// Of all of the plane, from an overview.
    pub(super) whole: Option<(Key, Vec<Summary>)>,
    /// The limits that stay while one pans, and what they were made for.
    frozen: Option<(LimitsOf, Limits)>,
    composing: Option<(Made, Pending<Composed>)>,
    pub(super) composed: Option<Composed>,
    /// From the pixels of the first scene, where this is another one beside it.
    pub(super) warp: Option<Arc<Warp>>,
    /// Limits of the first scene, where they hold for this one beside it.
    pub(super) shares: Option<Limits>,
    /// Whether what was left for after the first picture is asked for.
    pub(super) wants_rest: bool,
    /// How long the last reading took.
    pub(super) took: Option<Duration>,
}

impl Layer {
    pub(super) fn new(scene: Arc<dyn Scene>) -> Self {
        let about = scene.about();
        let (bands, at) = (about.first.clone(), about.start());
        Self {
            scene,
            bands,
            at,
            pieces: Pieces::default(),
            reading: None,
            failed: Vec::new(),
            trouble: None,
            whole: None,
            frozen: None,
            composing: None,
            composed: None,
            warp: None,
            shares: None,
            wants_rest: true,
            took: None,
        }
    }

    pub(super) fn key(&self) -> Key {
        Key { bands: self.bands.clone(), at: self.at.clone() }
    }

    /// Whether its values are names.
    pub(super) fn is_classes(&self) -> bool {
        self.bands.len() == 1 && self.band(0).is_some_and(|b| !b.classes.is_empty())
    }

    /// The `i`th of the bands shown.
    pub(super) fn band(&self, i: usize) -> Option<&crate::scene::Band> {
        self.bands.get(i).and_then(|&number| self.scene.about().bands.get(number.wrapping_sub(1)))
    }

    /// Why a part that is in sight could not be read.
    pub(super) fn trouble(&self) -> Option<&Error> {
        let (key, tiles) = self.trouble.as_ref()?;
        self.failed.iter().find(|(k, t, _)| k == key && t == tiles).map(|(_, _, err)| err)
    }

    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    pub(super) fn is_busy(&self) -> bool {
        self.reading.is_some() || self.composing.is_some()
    }

    /// Whether the picture is of what is wished for now, and nothing more comes.
    pub(super) fn is_settled(&self, view: &View) -> bool {
        !self.is_busy() && self.composed.as_ref().is_some_and(|c| c.made.view == *view && c.made.key == self.key())
    }

    /// Whether there is a picture of what was wished first.
    pub(super) fn has_picture(&self) -> bool {
        self.composed.as_ref().is_some_and(|composed| composed.level != Level::Nothing)
    }

    /// Takes the same scene, of which more is known than before.
    pub(super) fn know_more(&mut self, rest: Rest) {
        self.scene = rest.scene;
        if !rest.same_pixels {
            self.forget();
        }
    }

    /// Forgets what was read.
    pub(super) fn forget(&mut self) {
        self.pieces.clear();
        self.reading = None;
        self.failed.clear();
        self.whole = None;
        self.frozen = None;
    }

    /// Has the limits made anew, from what is shown now.
    pub(super) fn thaw(&mut self) {
        self.frozen = None;
    }

    /// Takes what has arrived.
    pub(super) fn poll(&mut self) {
        if let Some(reading) = &mut self.reading
            && let Some(result) = reading.value.take()
        {
            let (key, tiles, since) = (reading.key.clone(), reading.tiles, reading.since);
            self.reading = None;
            match result {
                Ok(arrived) => self.take(arrived, since),
                Err(err) => {
                    if self.failed.len() >= MOST_FAILED {
                        self.failed.remove(0);
                    }
                    self.failed.push((key, tiles, err));
                }
            }
        }
        let mut slot = self.composing.take().map(|(made, value)| (made, Some(value)));
        if let Some((made, value)) = &mut slot {
            match poll_slot(value) {
                Some(Ok(composed)) => self.composed = Some(composed),
                Some(Err(_)) => {}
                None => self.composing = value.take().map(|value| (made.clone(), value)),
            }
        }
    }

    fn take(&mut self, arrived: Arrived, since: Instant) {
        self.took = Some(since.elapsed());
        if let Some(summaries) = arrived.summaries {
            self.whole = Some((arrived.piece.key.clone(), summaries));
        }
        self.pieces.add(Arc::new(arrived.piece));
    }

    /// Reads and draws what is missing.
    pub(super) fn advance(&mut self, view: &View, ink: Ink, cross: Option<[f64; 2]>, control: &Control, cx: &Cx) {
        let size = self.scene.about().size;
        let seen = match &self.warp {
            None => Some((view.seen(), view.tiles())),
            Some(warp) => warp.seen(view, size).map(|(part, step)| (part, tiles_of(level_for(step), part, size))),
        };
        self.read_missing(view, seen.map(|(_, tiles)| tiles), control, cx);
        let (part, level) = seen.map_or(([0.0; 4], 0), |(part, tiles)| (part, tiles.level));
        self.compose_anew(view, part, level, ink, cross, cx);
    }

    fn read_missing(&mut self, view: &View, wished: Option<Tiles>, control: &Control, cx: &Cx) {
        let (key, size) = (self.key(), self.scene.about().size);
        let own = View { size, ..*view };
        let first = first_tiles(&own);
        let mut wish = None;
        let failed = |tiles: &Tiles| self.failed.iter().any(|(k, t, _)| *k == key && t == tiles);
        let mut trouble = None;
        if self.pieces.whole(&key, &own).is_none() && !failed(&first) {
            wish = Some(first);
        } else if let Some(missing) = wished.and_then(|tiles| self.pieces.missing(&key, tiles)) {
            if failed(&missing) {
                trouble = Some((key.clone(), missing));
            } else {
                wish = Some(missing);
            }
        }
        self.trouble = trouble;
        let Some(tiles) = wish else {
            self.reading = None;
            return;
        };
        if self.reading.as_ref().is_some_and(|r| r.key == key && r.tiles == tiles) {
            return;
        }
        // Something is there to be looked at: the next key may ask for something else.
        let rest = if self.composed.is_some() { REST } else { Duration::ZERO };
        self.reading = None;
        let control = Control::new(control.meter.clone());
        let window = tiles.window(size);
        let wish = Wish { bands: key.bands.clone(), window, pixels: tiles.pixels(size), at: key.at.clone() };
        let is_whole = (window.width, window.height) == size;
        let (scene, asked, of) = (self.scene.clone(), control.clone(), key.clone());
        let value = Pending::spawn(&cx.waker, async move {
            if !rest.is_zero() {
                tokio::time::sleep(rest).await;
            }
            let pixels = scene.read(&asked, wish).await?;
            let piece = Piece { key: of, tiles, window, pixels };
            asked.blocking(move |_| sound(piece, is_whole)).await
        });
        self.reading = Some(Reading { key, tiles, value, _stops: Stops(control), since: Instant::now() });
    }

    fn compose_anew(&mut self, view: &View, part: [f64; 4], level: u32, ink: Ink, cross: Option<[f64; 2]>, cx: &Cx) {
        let key = self.key();
        let made = Made {
            view: *view,
            limits: match &self.shares {
                Some(shared) => Some(shared.clone()),
                None if ink.visible => None,
                None => self.whole_limits(ink),
            },
            key: key.clone(),
            generation: self.pieces.generation,
            ink,
            cross,
        };
        let is_made = self.composed.as_ref().is_some_and(|c| c.made == made);
        let nothing = self.pieces.generation == 0;
        // One at a time: what is under way wakes us when it is there.
        if is_made || nothing || self.composing.is_some() {
            return;
        }
        let recipe = Recipe {
            view: *view,
            pieces: self.pieces.draw(&key, level, part),
            bands: self.bands.len(),
            warp: self.warp.clone(),
            averages: !self.is_classes(),
        };
        if recipe.pieces.is_empty() && self.composed.as_ref().is_some_and(|c| c.made.key != key) && self.is_reading() {
            // Another band, another time: the one before stays until there is something.
            return;
        }
        let palette = self.palette();
        let known = made.clone();
        let types: Vec<String> =
            (0..self.bands.len()).map(|i| self.band(i).map_or_else(String::new, |b| b.dtype.clone())).collect();
        let control = Control::default();
        let value = Pending::spawn(&cx.waker, async move {
            control.blocking(move |_| Ok(compose(&recipe, known, palette, &types))).await
        });
        self.composing = Some((made, value));
    }

    fn palette(&self) -> Option<Brush> {
        let classes = &self.band(0).filter(|_| self.is_classes())?.classes;
        Some(Brush::classes(classes.iter().map(|c| (c.value, c.color))))
    }

    /// The limits by the whole picture; they stay as they are while one pans and steps along an axis.
    fn whole_limits(&mut self, ink: Ink) -> Option<Limits> {
        let centred = ink.map.is_diverging() && self.bands.len() == 1;
        let of = (self.bands.clone(), ink.stretch, centred);
        if let Some((known, limits)) = &self.frozen
            && *known == of
        {
            return Some(limits.clone());
        }
        let (_, summaries) = self.whole.as_ref().filter(|(key, _)| key.bands == self.bands)?;
        let types: Vec<String> =
            (0..self.bands.len()).map(|i| self.band(i).map_or_else(String::new, |b| b.dtype.clone())).collect();
        let limits = limits_of(summaries, &types, ink, self.is_picture());
        self.frozen = Some((of, limits.clone()));
        Some(limits)
    }

    /// Whether its bands are colours already.
    pub(super) fn is_picture(&self) -> bool {
        use crate::scene::Interpretation::{Blue, Green, Red};
        let colors: Vec<_> = (0..self.bands.len()).filter_map(|i| self.band(i)).collect();
        colors.len() == 3
            && colors.iter().all(|b| b.dtype == "u8")
            && colors.iter().map(|b| b.interpretation).eq([Red, Green, Blue])
    }
}

/// The tiles of the first picture: all of the plane, at the level that fits the screen or is coarser.
fn first_tiles(view: &View) -> Tiles {
    let longest = view.size.0.max(view.size.1);
    let small = (0..40_u32).find(|level| longest.div_ceil(1 << level) <= FIRST).unwrap_or(40);
    let fit = View::fit(view.size, view.aspect, view.dots).level();
    let level = small.max(fit);
    let edge = TILE << level;
    Tiles { level, columns: (0, view.size.0.div_ceil(edge).max(1)), rows: (0, view.size.1.div_ceil(edge).max(1)) }
}

/// Refuses what has fewer values than it says, and looks at those of a whole plane.
fn sound(piece: Piece, is_whole: bool) -> Result<Arrived> {
    let p = &piece.pixels;
    let count = p.width.saturating_mul(p.height);
    let alpha = p.alpha.as_ref().is_none_or(|a| a.len() >= count);
    if count == 0 || !alpha || p.values.is_empty() || p.values.iter().any(|v| v.len() < count) {
        return Err(Error::invalid("fewer values came than were asked for"));
    }
    let seen = |values: &Vec<f32>| match &p.alpha {
        Some(alpha) => {
            let kept = |(v, a): (&f32, &u8)| if *a > 0 { *v } else { f32::NAN };
            Summary::of(&values.iter().zip(alpha).map(kept).collect::<Vec<_>>())
        }
        None => Summary::of(values),
    };
    let summaries = is_whole.then(|| p.values.iter().map(seen).collect());
    Ok(Arrived { piece, summaries })
}

fn limits_of(summaries: &[Summary], types: &[String], ink: Ink, is_picture: bool) -> Limits {
    let single = summaries.len() == 1;
    let centred = ink.map.is_diverging() && single;
    // Colours stay as they are until another stretch is chosen.
    let stretch = if is_picture && ink.stretch == Stretch::Percentile { Stretch::Stored } else { ink.stretch };
    let each: Vec<(f64, f64)> = summaries
        .iter()
        .enumerate()
        .map(|(i, summary)| stretch.limits(summary, types.get(i).map_or("", String::as_str), centred))
        .collect();
    let gamma = if !single && stretch == Stretch::Percentile { lift(summaries, &each) } else { 1.0 };
    Limits { each, gamma }
}

fn compose(recipe: &Recipe, made: Made, palette: Option<Brush>, types: &[String]) -> Composed {
    let canvas = recipe.values();
    let visible = canvas.summaries();
    let limits = made.limits.clone().unwrap_or_else(|| limits_of(&visible, types, made.ink, false));
    let brush = palette.unwrap_or_else(|| match limits.each[..] {
        [a, b, c, ..] => Brush::Rgb { limits: [a, b, c], gamma: limits.gamma },
        [one, ..] => Brush::map(made.ink.map, made.ink.inverted, one),
        [] => Brush::map(made.ink.map, made.ink.inverted, (0.0, 1.0)),
    });
    let picture = canvas.paint(&brush, made.cross);
    let level = match recipe.pieces.last().map(|piece| piece.pixels.overview) {
        Some(Some(index)) => Level::Overview(index),
        Some(None) => Level::Full,
        None => Level::Nothing,
    };
    Composed { made, picture, visible, limits, level }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_picture_fits_the_screen_or_is_coarser() {
        // Half-blocks: what fits is all that is needed.
        let small = View::fit((10_980, 10_980), 1.0, (120, 120));
        assert_eq!((first_tiles(&small).level, first_tiles(&small)), (6, small.tiles()));
        // A terminal of pictures: a coarser one first.
        let large = View::fit((10_980, 10_980), 1.0, (1_600, 1_000));
        assert_eq!((large.level(), first_tiles(&large).level), (3, 5));
        let one = View::fit((1, 1), 1.0, (120, 120));
        assert_eq!(first_tiles(&one), one.tiles());
    }

    #[test]
    fn colours_stay_as_they_are_until_another_stretch_is_chosen() {
        let values = Summary::of(&[10.0, 20.0, 30.0]);
        let (three, types) = ([values.clone(), values.clone(), values], vec!["u8".to_owned(); 3]);
        let ink = Ink::default();
        assert_eq!(limits_of(&three, &types, ink, true).each, [(0.0, 255.0); 3]);
        let all = Ink { stretch: Stretch::MinMax, ..ink };
        assert_eq!(limits_of(&three, &types, all, true).each, [(10.0, 30.0); 3]);
        assert_eq!(limits_of(&three, &types, ink, false).each, [(10.0, 30.0); 3]);
    }
}
