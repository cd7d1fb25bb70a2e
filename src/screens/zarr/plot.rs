//! The values of an array along one dimension, the others held: a line over time, or over anything else.
//!
//! ```text
//!  tas   Air temperature, in K                                          5 requests · 1.2 MiB
//!  300 ┤      ⢀⣀⠤⠒⠉⠉⠑⠢⣀
//!      │  ⢀⠔⠊⠁          ⠉⠢⣀   ⣀⠔
//!  280 ┤⡠⠊                 ⠉⠉⠁
//!      └──┬────────┬────────┬────
//!       2000-02  2000-03  2000-04
//!  time 12 of 365  2000-01-12   291.3 K          min 260.1  max 301.2  mean 285.0
//!  lat ├────────●──────┤ 90 of 180  0.5°N
//! ```

use super::Stops;
use super::curve::{self, Curve};
use crate::action::Action;
use crate::error::{Error, Result};
use crate::screen::{Cx, Flow, Screen};
use crate::task::{Control, Pending, poll_slot};
use crate::zarr::{Array, Path, Plane, Ruler, Series, Zarr};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::time::Duration;

/// The sliders rest so long before values are read for their new place.
const REST: Duration = Duration::from_millis(60);
/// Fewest positions that are seen.
const CLOSEST: u64 = 8;

/// The screen.
pub(in crate::screens) struct Plot {
    zarr: Zarr,
    pub(super) path: Path,
    pub(super) control: Stops,
    pub(super) array: Result<Array>,
    /// The dimension along which values are seen.
    pub(super) along: usize,
    /// A position on every dimension; on the one seen, that of the cursor.
    pub(super) at: Vec<u64>,
    /// Start and length of what is seen of it.
    pub(super) window: (u64, u64),
    /// Coordinates of the dimensions, once they were read.
    pub(super) rulers: Vec<Ruler>,
    naming: Option<Pending<Vec<Ruler>>>,
    reading: Option<Pending<Series>>,
    pub(super) series: Option<Series>,
    pub(super) error: Option<Error>,
    /// The dimension whose slider the keys move, among those that are held.
    pub(super) slider: usize,
    /// The line as it was drawn last.
    pub(super) curve: Option<Curve>,
    /// Columns of the plot when it was drawn.
    pub(super) columns: u16,
}

impl Plot {
    pub(in crate::screens) fn open(zarr: Zarr, path: Path, cx: &Cx) -> Self {
        let array = zarr.array(&path);
        let shape = array.as_ref().map(|array| array.about().shape.clone()).unwrap_or_default();
        let rulers: Vec<Ruler> = match &array {
            Ok(array) => (0..shape.len()).map(|at| Ruler::bare(&zarr, array, at)).collect(),
            Err(_) => Vec::new(),
        };
        let along = rulers.iter().position(|ruler| ruler.axis == Some('T') && ruler.len > 1);
        let along = along.or_else(|| rulers.iter().position(|ruler| ruler.len > 1)).unwrap_or(0);
        // In the middle of a map there is mostly something; levels and times begin at their start.
        let map = array.as_ref().ok().and_then(|array| Plane::natural(&zarr, array));
        let is_map = |at: usize| map.is_some_and(|map| at == map.y || at == map.x);
        let at = rulers.iter().enumerate().map(|(at, ruler)| if is_map(at) { ruler.len / 2 } else { 0 }).collect();
        let mut plot = Self {
            zarr,
            path,
            control: Stops(Control::new(cx.stores.meter().child())),
            array,
            along,
            at,
            window: (0, shape.get(along).copied().unwrap_or(0)),
            rulers,
            naming: None,
            reading: None,
            series: None,
            error: None,
            slider: usize::from(along == 0),
            curve: None,
            columns: 0,
        };
        plot.begin(cx);
        plot
    }

    fn begin(&mut self, cx: &Cx) {
        let Ok(array) = &self.array else { return };
        if self.at.contains(&0) && array.about().shape.contains(&0) {
            self.error = Some(Error::invalid("the array is empty"));
            return;
        }
        self.at[self.along] = self.window.1 / 2;
        let (zarr, array, control) = (self.zarr.clone(), array.clone(), self.control.0.clone());
        let count = self.rulers.len();
        self.naming = Some(Pending::spawn(&cx.waker, async move {
            let read = (0..count).map(|at| Ruler::read(&zarr, &array, at, &control));
            futures::future::try_join_all(read).await
        }));
        self.read(Duration::ZERO, cx);
    }

    /// Reads what is seen; the newest wish wins.
    fn read(&mut self, after: Duration, cx: &Cx) {
        let Ok(array) = &self.array else { return };
        let (array, control, at) = (array.clone(), self.control.0.clone(), self.at.clone());
        let (along, window) = (self.along, self.window);
        self.error = None;
        self.reading = Some(Pending::spawn(&cx.waker, async move {
            tokio::time::sleep(after).await;
            Series::read(&array, &control, along, &at, window).await
        }));
    }

    /// What the plot seen along another dimension.
    fn turn(&mut self, cx: &Cx) {
        let n = self.rulers.len();
        let next = (1..=n).map(|by| (self.along + by) % n).find(|at| self.rulers[*at].len > 1);
        let Some(next) = next.filter(|next| *next != self.along) else { return };
        self.along = next;
        self.window = (0, self.rulers[next].len);
        if self.slider == next {
            self.slide(1);
        }
        self.series = None;
        self.read(Duration::ZERO, cx);
    }

    /// The next slider.
    fn slide(&mut self, by: isize) {
        let n = self.rulers.len() as isize;
        let others = (1..=n).map(|i| (self.slider as isize + by * i).rem_euclid(n) as usize);
        if let Some(next) = others.into_iter().find(|at| *at != self.along) {
            self.slider = next;
        }
    }

    /// Moves the chosen slider.
    fn hold(&mut self, by: i64, cx: &Cx) {
        if self.slider == self.along || self.rulers.len() < 2 {
            return;
        }
        let last = self.rulers[self.slider].len.saturating_sub(1);
        let now = self.at[self.slider];
        let next = now.saturating_add_signed(by).min(last);
        if next != now {
            self.at[self.slider] = next;
            self.read(REST, cx);
        }
    }

    /// Moves the cursor by dots, the window with it.
    fn walk(&mut self, by: i64, cx: &Cx) {
        let (start, len) = self.window;
        let step = (len / (u64::from(self.columns).max(1) * 2)).max(1) as i64;
        let last = self.rulers[self.along].len.saturating_sub(1);
        let to = self.at[self.along].saturating_add_signed(by.saturating_mul(step)).min(last);
        self.at[self.along] = to;
        if to < start || to >= start + len {
            let start = if to < start { to } else { to + 1 - len };
            self.look_at((start, len), cx);
        }
    }

    /// Zooms about the cursor.
    fn zoom(&mut self, closer: bool, cx: &Cx) {
        let whole = self.rulers[self.along].len;
        let (start, len) = self.window;
        let next = if closer { (len / 2).max(CLOSEST) } else { len.saturating_mul(2) }.min(whole);
        let at = self.at[self.along];
        // The cursor stays where it is seen.
        let share = u128::from(at - start.min(at)) * u128::from(next) / u128::from(len.max(1));
        self.look_at((at.saturating_sub(share as u64).min(whole - next), next), cx);
    }

    fn look_at(&mut self, window: (u64, u64), cx: &Cx) {
        if window == self.window {
            return;
        }
        self.window = window;
        let known = self.series.as_ref().is_some_and(|series| {
            let inside = series.span.start <= window.0 && window.0 + window.1 <= series.span.start + series.span.len;
            inside && !series.is_thinned()
        });
        if !known {
            self.read(REST, cx);
        }
    }

    /// The value under the cursor, if it was read.
    pub(super) fn value(&self) -> Option<f64> {
        let series = self.series.as_ref()?;
        let at = self.at.get(self.along)?.checked_sub(series.span.start)?;
        let index = u128::from(at) * u128::from(series.span.count) / u128::from(series.span.len.max(1));
        series.values.get(index as usize).copied()
    }

    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    fn act(&mut self, action: Action, count: i64, cx: &mut Cx) -> Flow {
        let page = i64::from(self.columns.max(8) / 4) * 2;
        if self.array.is_err() || self.rulers.is_empty() {
            return if matches!(action, Action::Leave | Action::Back) { Flow::Close } else { Flow::Ignored };
        }
        let whole = self.rulers[self.along].len;
        match action {
            Action::Left => self.walk(-count, cx),
            Action::Right => self.walk(count, cx),
            Action::PageUp | Action::HalfUp => self.walk(-page, cx),
            Action::PageDown | Action::HalfDown => self.walk(page, cx),
            Action::Top => self.walk(i64::MIN / 2, cx),
            Action::Bottom => self.walk(i64::MAX / 2, cx),
            Action::Up => self.slide(-1),
            Action::Down => self.slide(1),
            Action::StepBack => self.hold(-count, cx),
            Action::StepForward => self.hold(count, cx),
            Action::LeapBack => self.hold(-((self.rulers[self.slider].len / 10).max(1) as i64), cx),
            Action::LeapForward => self.hold((self.rulers[self.slider].len / 10).max(1) as i64, cx),
            Action::ZoomIn => self.zoom(true, cx),
            Action::ZoomOut => self.zoom(false, cx),
            Action::ZoomAll => self.look_at((0, whole), cx),
            Action::PlaneNext => self.turn(cx),
            Action::Refresh => self.begin(cx),
            Action::Yank => return self.copy(cx),
            Action::Leave | Action::Back => return Flow::Close,
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    /// The value under the cursor for the clipboard.
    fn copy(&self, cx: &mut Cx) -> Flow {
        let words = self.value().map(|value| value.to_string()).unwrap_or_default();
        if words.is_empty() {
            cx.toast("there is no value under the cursor");
            return Flow::Done;
        }
        crate::screens::popup::copied(cx, "the value", words).map_or(Flow::Done, Flow::Open)
    }
}

impl Screen for Plot {
    fn contexts(&self) -> &'static [&'static str] {
        &["plot", "list", "global"]
    }

    fn title(&self) -> String {
        format!("{} plot", self.path.last().map_or("array", String::as_str))
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.reading.is_some() || self.naming.is_some()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        self.act(action, 1, cx)
    }

    fn update_counted(&mut self, action: Action, count: usize, cx: &mut Cx) -> Flow {
        match action {
            Action::Left | Action::Right | Action::StepBack | Action::StepForward => {
                self.act(action, count.min(1_000_000) as i64, cx)
            }
            _ => Flow::Ignored,
        }
    }

    fn wheel(&mut self, _pane: Option<usize>, by: isize, cx: &mut Cx) -> Flow {
        self.act(if by < 0 { Action::ZoomIn } else { Action::ZoomOut }, 1, cx)
    }

    fn poll(&mut self, cx: &mut Cx) {
        match poll_slot(&mut self.reading) {
            Some(Ok(series)) => {
                self.series = Some(series);
                self.curve = None;
            }
            Some(Err(err)) => self.error = Some(err),
            None => {}
        }
        match poll_slot(&mut self.naming) {
            Some(Ok(rulers)) => {
                self.rulers = rulers;
                self.curve = None;
            }
            Some(Err(err)) => cx.fail(&err),
            None => {}
        }
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        curve::draw(self, frame, area, cx);
    }
}
