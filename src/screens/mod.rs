//! The table of screens. A new one: a file here, a variant of [`Open`] and an arm below.

pub mod bench;
pub mod forms;
pub mod jobs;

use crate::screen::{Cx, Open, Screen};

/// The screen for what is to be opened; `None` for what is not there yet.
pub fn open(open: Open, cx: &mut Cx) -> Option<Box<dyn Screen>> {
    match open {
        Open::Jobs(at) => Some(Box::new(jobs::JobsScreen::new(at, cx))),
        Open::UploadForm { destination } => Some(Box::new(forms::UploadPlan::screen(&destination, cx))),
        Open::ConvertForm { source } => Some(Box::new(forms::ConvertPlan::screen(&source, cx))),
        Open::BenchForm { candidates } => Some(Box::new(forms::BenchPlan::screen(&candidates, cx))),
        Open::BenchDashboard(id) => Some(Box::new(bench::Dashboard::new(id, cx))),
        _ => None,
    }
}
