//! What goes on behind all screens: jobs that end, prefixes being counted, samples of the demo.

use super::App;
use crate::action::Action;
use crate::error::{Error, Kind};
use crate::job::{JobId, JobView, State};
use crate::location::Location;
use crate::screen::Open;
use std::collections::BTreeSet;

impl App {
    /// Offers once to resume what a former program left undone; until it was looked at, the strip names it.
    pub(super) fn offer_interrupted(&mut self) {
        if self.interrupted.is_some() || !self.cx.jobs.is_loaded() || self.top().is_popup() {
            return;
        }
        let found = self.cx.jobs.interrupted().len();
        self.interrupted = Some(found);
        if found > 0 {
            self.open(Open::Interrupted);
        }
    }

    /// Says how jobs ended, and lists again where they wrote.
    pub(super) fn watch_jobs(&mut self) {
        if self.active.is_empty() && self.cx.jobs.active() == 0 {
            return;
        }
        let active: BTreeSet<JobId> = self.cx.jobs.active_views().into_iter().map(|view| view.id).collect();
        let mut touched = Vec::new();
        let ended: Vec<JobView> = self.active.difference(&active).filter_map(|id| self.cx.jobs.view(id)).collect();
        // Those that ended well at once share a message; each failure has its own, which stays longer.
        let mut well: Vec<String> = Vec::new();
        for view in ended {
            let title = &view.title;
            // What failed may have done a part of it.
            touched.extend(self.cx.jobs.writes(&view.id).unwrap_or_default());
            match &view.state {
                State::Failed(why) => match &view.failure {
                    Some(err) => self.cx.fail(&err.again().context(title)),
                    None => self.cx.fail(&Error::new(Kind::Failed, why).context(title)),
                },
                State::Done => well.push(format!("{title}: {}", view.outcome.unwrap_or_default().summary)),
                _ => well.push(format!("{title}: stopped")),
            }
        }
        match well.as_slice() {
            [] => {}
            [one] => self.cx.toast(one.as_str()),
            [first, rest @ ..] => self.cx.toast(format!("{first}, and {} more ended", rest.len())),
        }
        self.active = active;
        for screen in self.tabs.iter_mut().flatten() {
            if screen.here().is_some_and(|here| touched.iter().any(|place| concerns(&here, place))) {
                screen.update(Action::Refresh, &mut self.cx);
            }
        }
    }

    /// Lists the demo again when it has more samples than at the last look.
    pub(super) fn watch_demo(&mut self) {
        let Some(demo) = &self.cx.demo else { return };
        let now = (demo.progress().0, demo.is_filled());
        if now == self.samples {
            return;
        }
        self.samples = now;
        let store = demo.location().store().clone();
        for screen in self.tabs.iter_mut().flatten() {
            if screen.here().is_some_and(|here| *here.store() == store) {
                screen.update(Action::Refresh, &mut self.cx);
            }
        }
    }

    /// Counts of prefixes go on behind all screens; what is selected learns its size.
    pub(super) fn watch_sizes(&mut self) {
        let before = self.cx.sizes.found().len();
        self.cx.sizes.poll(&self.cx.stores, &self.cx.waker);
        for ((container, name), bytes) in &self.cx.sizes.found()[before..] {
            self.cx.basket.measured(container, name, *bytes);
        }
    }
}

/// Whether a job that wrote or deleted at `place` may have changed what the container `here` lists.
fn concerns(here: &Location, place: &Location) -> bool {
    let (here_key, key) = (here.key(), place.key());
    here.store() == place.store() && (key.starts_with(here_key) || here_key.starts_with(key))
}
