//! What a click of the mouse leads to: whatever draws something that can be clicked says so while it
//! draws, and the loop looks up what lies under the pointer.

use crate::action::Action;
use crate::location::Location;
use ratatui::layout::{Position, Rect};
use std::sync::{Arc, Mutex, PoisonError};

/// What lies somewhere on the screen.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The same as pressing the key of this action.
    Act(Action),
    /// A row of the screen's list, counted as the screen counts them.
    Row(usize),
    /// A tab.
    Tab(usize),
    /// A container to go to: a part of an address.
    Place(Location),
    /// A part of the screen that the wheel scrolls, numbered as the screen numbers them.
    Pane(usize),
}

/// Where things were drawn in the last frame. Clones share.
#[derive(Clone, Default)]
pub struct Hits(Arc<Mutex<Vec<(Rect, Target)>>>);

impl Hits {
    /// Says what lies in `area`; what is said later lies on top.
    pub fn add(&self, area: Rect, target: Target) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((area, target));
    }

    /// Forgets all: a new frame, or something that covers what was drawn.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What a click there leads to.
    pub fn at(&self, column: u16, row: u16) -> Option<Target> {
        self.find(column, row, |target| !matches!(target, Target::Pane(_)))
    }

    /// The pane that the wheel scrolls there.
    pub fn pane_at(&self, column: u16, row: u16) -> Option<usize> {
        match self.find(column, row, |target| matches!(target, Target::Pane(_)))? {
            Target::Pane(pane) => Some(pane),
            _ => None,
        }
    }

    fn find(&self, column: u16, row: u16, is: impl Fn(&Target) -> bool) -> Option<Target> {
        let hits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = |area: &Rect| area.contains(Position { x: column, y: row });
        hits.iter().rev().find(|(area, target)| there(area) && is(target)).map(|(_, target)| target.clone())
    }
}
