//! Which jobs are listed, and in which order: those at work, the queue, those that wait for their user,
//! then what has ended.

use crate::job::{JobView, State};

/// A group of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Running,
    Queued,
    Paused,
    Past,
}

pub(super) fn group(view: &JobView) -> Group {
    match view.state {
        State::Running => Group::Running,
        State::Queued => Group::Queued,
        State::Paused => Group::Paused,
        _ => Group::Past,
    }
}

/// Puts those that the filter lets through first, and says how many these are: running jobs as they began, so
/// that none moves while it runs, the queue as it goes, the past newest first.
pub(super) fn arrange(views: &mut [JobView], filter: &str) -> usize {
    let needles: Vec<String> = filter.split_whitespace().map(str::to_lowercase).collect();
    views.sort_by_cached_key(|view| {
        let group = group(view);
        let (since, place) = (view.started.timestamp_micros(), place(view));
        let rank = match group {
            Group::Past => (-since, 0),
            Group::Queued => (0, place),
            Group::Running | Group::Paused => (since, 0),
        };
        (!fits(view, &needles), group, rank, view.id.clone())
    });
    views.partition_point(|view| fits(view, &needles))
}

/// Those of other programs, whose queue is not known, come last.
fn place(view: &JobView) -> usize {
    view.place.unwrap_or(usize::MAX)
}

/// Whether every word stands in its title, its state, its command line or its name.
fn fits(view: &JobView, needles: &[String]) -> bool {
    if needles.is_empty() {
        return true;
    }
    let word = super::words::state(view).2;
    let all = format!("{} {word} {} {}", view.title, view.command.join(" "), view.id).to_lowercase();
    needles.iter().all(|needle| all.contains(needle.as_str()))
}
