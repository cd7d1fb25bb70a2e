//! What is done to the job under the cursor.

use super::{CONTEXTS, JobsScreen, report};
use crate::action::Action;
use crate::job::{JobId, State};
use crate::location::{Location, Scheme};
use crate::screen::{Cx, Flow, Open};
use crate::task::Pending;
use crate::text;

/// A key that waits to be pressed again, and the jobs that it concerns.
pub(super) type Unlocking = (Action, Vec<JobId>);

impl JobsScreen {
    /// Pauses the job under the cursor, or lets it go on.
    pub(super) fn pause(&mut self, cx: &mut Cx) {
        let Some(view) = self.current() else { return };
        let title = text::clean(&view.title).into_owned();
        match view.state {
            State::Paused => {
                cx.jobs.go_on(&view.id);
                cx.toast(format!("{title} goes on"));
            }
            State::Running | State::Queued => {
                cx.jobs.pause(&view.id);
                cx.toast(format!("{title} pauses once what is under way has ended; {} lets it go on", self.pause));
            }
            _ => cx.toast(format!("this job has ended; {} runs it again", self.retry)),
        }
        self.take(cx.jobs.views());
    }

    /// Moves the job under the cursor in the queue.
    pub(super) fn reorder(&mut self, by: isize, cx: &mut Cx) {
        let Some(view) = self.current() else { return };
        if view.state != State::Queued {
            cx.toast("only jobs that wait have an order");
        } else if cx.jobs.prioritise(&view.id, by) {
            self.take(cx.jobs.views());
        }
    }

    pub(super) fn cancel(&mut self, cx: &mut Cx) {
        let Some(view) = self.current() else { return };
        if view.state.is_active() {
            cx.jobs.cancel(&view.id);
            cx.toast(format!("{} is told to stop; {} starts it again", text::clean(&view.title), self.retry));
        } else {
            cx.toast("this job has ended already");
        }
    }

    /// Runs the job under the cursor again. `unlocking`: what waited for its key to be pressed again.
    pub(super) fn retry(&mut self, unlocking: Option<&Unlocking>, cx: &mut Cx) {
        let Some(view) = self.current() else { return };
        if view.state.is_active() {
            cx.toast("this job runs already");
            return;
        }
        let verb = if view.state == State::Interrupted { "goes on" } else { "runs again" };
        let words = format!("{} {verb}", text::clean(&view.title));
        let (id, command) = (view.id.clone(), view.command.clone());
        if !self.may_write(Action::Retry, std::slice::from_ref(&id), unlocking, cx) {
            return;
        }
        cx.last_command = Some(command);
        match cx.resume(&id) {
            Ok(id) => {
                cx.toast(words);
                self.wanted = Some(id);
                self.take(cx.jobs.views());
            }
            Err(err) => cx.fail(&err),
        }
    }

    /// Goes on with all that were interrupted, in the order in which they ran.
    pub(super) fn resume_all(&mut self, unlocking: Option<&Unlocking>, cx: &mut Cx) {
        let ids: Vec<JobId> = cx.jobs.interrupted().into_iter().map(|view| view.id).collect();
        if ids.is_empty() {
            cx.toast("no job was interrupted");
            return;
        }
        if !self.may_write(Action::ResumeAll, &ids, unlocking, cx) {
            return;
        }
        let mut resumed = 0;
        for id in &ids {
            match cx.resume(id) {
                Ok(_) => resumed += 1,
                Err(err) => cx.fail(&err),
            }
        }
        if resumed > 0 {
            cx.toast(format!("{resumed} {} on", if resumed == 1 { "job goes" } else { "jobs go" }));
        }
        self.take(cx.jobs.views());
    }

    /// Whether jobs may be started again that write somewhere: a place that this session may not write to is
    /// unlocked by the same key pressed again.
    fn may_write(&mut self, key: Action, ids: &[JobId], unlocking: Option<&Unlocking>, cx: &mut Cx) -> bool {
        let mut places: Vec<Location> = Vec::new();
        for id in ids {
            match cx.jobs.writes(id) {
                Ok(more) => places.extend(more),
                Err(err) => {
                    cx.fail(&err);
                    return false;
                }
            }
        }
        // Files of this computer are the user's own.
        places.retain(|place| place.scheme() != Scheme::File && !cx.is_writable(place.store()));
        let Some(first) = places.first() else { return true };
        if cx.stores.options().read_only {
            cx.toast("everything is read-only: the program was started with --read-only");
            return false;
        }
        let now = (key, ids.to_vec());
        if unlocking == Some(&now) {
            for place in &places {
                cx.set_writable(place.store(), true);
            }
            return true;
        }
        let label = cx.keymap.label(CONTEXTS, key);
        cx.toast(format!("{first} is read-only: {label} once more allows writing there and goes on"));
        self.unlocking = Some(now);
        false
    }

    /// Forgets that the job under the cursor could be resumed.
    pub(super) fn give_up(&mut self, cx: &mut Cx) {
        let Some(view) = self.current() else { return };
        if view.state != State::Interrupted {
            cx.toast("only what was interrupted can be given up");
            return;
        }
        let (jobs, id) = (cx.jobs.clone(), view.id.clone());
        self.giving_up = Some(Pending::spawn(&cx.waker, async move { jobs.give_up(&id).await }));
    }

    pub(super) fn export(&mut self, cx: &mut Cx) {
        let Some(view) = self.current() else { return };
        match std::env::current_dir() {
            Ok(folder) => self.export = Some(Pending::spawn(&cx.waker, report::write(view.clone(), folder))),
            Err(err) => cx.fail(&err.into()),
        }
    }

    pub(super) fn open(&self, cx: &Cx) -> Flow {
        match self.current() {
            Some(view) if view.question.is_some() => {
                Flow::Open(Open::Question { job: Some(view.id.clone()), by_itself: false })
            }
            Some(view) if view.kind == "bench" => Flow::Open(Open::BenchDashboard(view.id.clone())),
            Some(view) => {
                let run = cx.folders.state.join("runs").join(&view.id);
                let lines = report::lines(view, &self.retry, &run);
                Flow::Open(Open::Message { title: text::clean(&view.title).into_owned(), lines })
            }
            None => Flow::Done,
        }
    }
}
