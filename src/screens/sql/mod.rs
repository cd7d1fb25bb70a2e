//! SQL being typed, for the query screen and the filter line of a table: colours, completion, what was typed before.

mod editor;
mod history;

pub(super) use editor::Editor;
pub(super) use history::{CONDITIONS, History, QUERIES};
