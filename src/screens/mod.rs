//! The table of screens. A new one: a file here, a variant of [`Open`] and an arm below.

pub mod jobs;

use crate::screen::{Cx, Open, Screen};

/// The screen for what is to be opened; `None` for what is not there yet.
pub fn open(open: Open, cx: &mut Cx) -> Option<Box<dyn Screen>> {
    match open {
        Open::Jobs(at) => Some(Box::new(jobs::JobsScreen::new(at, cx))),
        _ => None,
    }
}
