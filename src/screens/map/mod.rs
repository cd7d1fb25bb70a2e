//! The geometry of a table on a map: a sample of its rows, coloured by a column, over outlines of the
//! world; what lies under the cursor is told beside it.
//!
//! ```text
//!  atl06.parquet ▸ map   United States of America                      12 requests · 3.1 MiB · 40 ms
//!  39.2°N ┤      ⢀⣀⣤⣶⣿⣶⣤⡀                                │ 1,000 of 328,557 rows
//!         │    ⢠⣿⣿⣿⣿⣿⣿⣿⣿⣦     ┼                          │ 108.300°W – 107.700°W
//!  39.0°N ┤    ⠈⠻⣿⣿⣿⣿⣿⡿⠟                                 │ ▁▂▅▇█▆▃▁  h_mean
//!         └──────┬────────────┬────────────┬──────        │ row 12,345
//!            108.2°W      108.0°W      107.8°W            │ h_mean  1702.3
//!  39.015°N 107.902°W   ├────┤ 10 km       z closer  a all  + more rows
//! ```

mod act;
mod draw;
mod ink;
mod side;
mod work;

use crate::action::Action;
use crate::error::Error;
use crate::map::load::Loaded;
use crate::map::read::Plan;
use crate::map::sample::Want;
use crate::map::{Pick, Plane, Scene, View};
use crate::preview::Probe;
use crate::screen::{Cx, Flow, Screen};
use crate::table::Rows;
use crate::task::{Control, Pending};
use crate::widgets::map::{Canvas, DOTS};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::sync::Arc;
use work::{Built, Painted, Row, Stops};

/// How many dots from the cursor a feature may lie that is told of.
const REACH: f64 = 6.0;

/// The screen.
pub(super) struct MapScreen {
    probe: Probe,
    /// Counts what is read, and ends it with the screen.
    control: Stops,
    opening: Option<Pending<Arc<dyn Rows>>>,
    table: Option<Arc<dyn Rows>>,
    plan: Option<Plan>,
    /// Columns that can colour.
    choices: Vec<String>,
    want: Want,
    reading: Option<Reading>,
    loaded: Option<Loaded>,
    building: Option<Pending<Built>>,
    built: Option<Built>,
    /// The plane that the user wishes for.
    wished: Option<Plane>,
    view: Option<View>,
    /// Whether all is shown, and has to be when the map's size changes.
    is_fitted: bool,
    /// What the row under the cursor was looked up for.
    looked_up: Option<(View, (u16, u16))>,
    /// Column and row of the cursor within the map.
    cursor: (u16, u16),
    /// Where the map was drawn.
    inner: Rect,
    /// Columns for labels beside it.
    gutter: u16,
    /// What was drawn last: drawn anew only when it is another.
    drawn: Option<(View, Arc<Scene>, Canvas)>,
    /// Whether a picture is wished for where the terminal shows one.
    wants_picture: bool,
    painting: Option<Pending<Painted>>,
    painted: Option<Painted>,
    pick: Option<Pick>,
    asking: Option<(u64, Pending<arrow::record_batch::RecordBatch>)>,
    row: Option<Row>,
    /// Where a box was begun, on the plane.
    corner: Option<[f64; 2]>,
    error: Option<Error>,
}

/// A sample that is being read.
struct Reading {
    value: Pending<Loaded>,
    control: Stops,
}

impl MapScreen {
    /// For a table, which is opened if it is not open yet.
    pub(super) fn open(probe: Probe, rows: Option<Arc<dyn Rows>>, cx: &Cx) -> Self {
        let mut map = Self {
            probe,
            control: Stops(Control::new(cx.stores.meter().child())),
            opening: None,
            table: None,
            plan: None,
            choices: Vec::new(),
            want: Want::default(),
            reading: None,
            loaded: None,
            building: None,
            built: None,
            wished: None,
            view: None,
            is_fitted: true,
            looked_up: None,
            cursor: (0, 0),
            inner: Rect::ZERO,
            gutter: draw::GUTTER,
            drawn: None,
            wants_picture: false,
            painting: None,
            painted: None,
            pick: None,
            asking: None,
            row: None,
            corner: None,
            error: None,
        };
        match rows {
            Some(rows) => map.take_table(rows, cx),
            None => map.open_table(cx),
        }
        map
    }

    /// The middle of the cell under the cursor, in dots.
    fn cursor_dot(&self) -> [f64; 2] {
        let middle = |cell: u16, dots: u16| f64::from(cell * dots) + f64::from(dots) / 2.0;
        [middle(self.cursor.0, DOTS.0), middle(self.cursor.1, DOTS.1)]
    }

    /// Longitude and latitude (own coordinates) under the cursor.
    fn cursor_place(&self) -> Option<[f64; 2]> {
        let view = self.view?;
        view.plane.locate(view.at(self.cursor_dot()))
    }

    /// Whether a picture is shown: wished for, and something that the terminal can do.
    fn is_pictured(&self, cx: &Cx) -> bool {
        use crate::terminal::Graphics;
        let (graphics, _) = cx.gallery.shows();
        self.wants_picture && matches!(graphics, Graphics::Kitty | Graphics::Sixel | Graphics::Iterm2)
    }

    /// Whether anything is under way.
    fn is_busy(&self) -> bool {
        self.opening.is_some() || self.reading.is_some() || self.building.is_some()
    }
}

impl Screen for MapScreen {
    fn contexts(&self) -> &'static [&'static str] {
        &["map", "global"]
    }

    fn title(&self) -> String {
        format!("{} map", self.probe.location.name())
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        // The first frame tells how large the map is, and so what lies under the cursor.
        let is_new = self.view.is_some() && self.looked_up != self.view.map(|view| (view, self.cursor));
        self.is_busy() || self.painting.is_some() || is_new
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        self.act(action, 1, cx)
    }

    fn update_counted(&mut self, action: Action, count: usize, cx: &mut Cx) -> Flow {
        match action {
            Action::Up | Action::Down | Action::Left | Action::Right | Action::ZoomIn | Action::ZoomOut => {
                self.act(action, count.min(1_000), cx)
            }
            _ => Flow::Ignored,
        }
    }

    fn wheel(&mut self, _pane: Option<usize>, by: isize, cx: &mut Cx) -> Flow {
        let action = if by < 0 { Action::ZoomIn } else { Action::ZoomOut };
        self.act(action, 1, cx)
    }

    fn poll(&mut self, cx: &mut Cx) {
        self.take_work(cx);
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        draw::draw(self, frame, area, cx);
    }
}
