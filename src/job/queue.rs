//! The queue: who has a place, who waits for one and in which order, who was told to wait.
//!
//! Every run has a rank, a ULID: those that wait are let in by rank. A new run's rank is its name, and one
//! that is started again gets a new rank; moving a run exchanges ranks, which are kept in its directory, so
//! that the order outlives this program.

use super::JobId;
use super::engine::{Engine, Inner};
use super::journal::{self, Wish};
use crate::task::Control;
use std::sync::{Arc, PoisonError};

/// Where a run of this program stands in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stand {
    /// It waits for a place.
    #[default]
    Waiting,
    /// It has one.
    Placed,
    /// It was told to wait, and has none.
    Paused,
}

impl Inner {
    /// Puts a run among those that wait.
    pub(super) fn enqueue(&mut self, id: &str) {
        let rank = |id: &str| self.runs.get(id).map(|run| run.rank.clone()).unwrap_or_default();
        let mine = rank(id);
        let at = self.queue.iter().position(|other| rank(other) > mine).unwrap_or(self.queue.len());
        self.queue.insert(at, id.to_owned());
        if let Some(run) = self.runs.get_mut(id) {
            run.stand = Stand::Waiting;
        }
    }

    /// Gives free places to those that wait.
    pub(super) fn let_in(&mut self) {
        while self.running < self.limit {
            let Some(id) = self.queue.pop_front() else { return };
            let Some(run) = self.runs.get_mut(&id) else { continue };
            let Some(control) = &run.control else { continue };
            let taken = match run.turn.take() {
                // Whoever was to take it may have been cancelled: the place goes to the next.
                Some(turn) => turn.send(()).is_ok(),
                None => {
                    control.go_on();
                    true
                }
            };
            if taken {
                run.stand = Stand::Placed;
                self.running += 1;
            }
        }
    }

    /// Takes a run out of the queue, and its place from it.
    fn take_out(&mut self, id: &str) {
        self.queue.retain(|queued| queued != id);
        if let Some(run) = self.runs.get_mut(id)
            && run.stand == Stand::Placed
        {
            run.stand = Stand::Paused;
            self.running = self.running.saturating_sub(1);
        }
    }

    /// The control of a run that this program works on.
    fn control(&self, id: &str) -> Option<Control> {
        self.runs.get(id)?.control.clone()
    }
}

impl Engine {
    /// Gives free places to those that wait.
    pub(super) fn pump(&self) {
        self.lock().let_in();
        self.changed(true, true);
    }

    /// This program no longer works on a run: its place goes to the next.
    pub(super) fn release(&self, id: &str) {
        let mut inner = self.lock();
        inner.take_out(id);
        let waiting = !inner.queue.is_empty();
        inner.let_in();
        drop(inner);
        self.changed(waiting, waiting);
    }

    /// Has a run stop.
    pub(super) fn cancel(&self, id: &str) {
        let control = self.lock().control(id);
        match control {
            Some(control) => control.cancel(),
            None => self.wish(id, Wish::Cancel),
        }
    }

    /// Has a run wait; its place goes to the next.
    pub(super) fn pause(&self, id: &str) {
        let mut inner = self.lock();
        let Some(control) = inner.control(id) else {
            drop(inner);
            return self.wish(id, Wish::Pause);
        };
        // One that has not begun needs only not be let in.
        if inner.runs.get(id).is_some_and(|run| run.turn.is_none()) {
            control.pause();
        }
        inner.take_out(id);
        if let Some(run) = inner.runs.get_mut(id) {
            run.stand = Stand::Paused;
        }
        inner.let_in();
        drop(inner);
        self.changed(true, true);
    }

    /// Lets a run that was told to wait have a place again.
    pub(super) fn go_on(&self, id: &str) {
        let mut inner = self.lock();
        if inner.control(id).is_none() {
            drop(inner);
            return self.wish(id, Wish::GoOn);
        }
        if inner.runs.get(id).is_some_and(|run| run.stand == Stand::Paused) {
            inner.enqueue(id);
            inner.let_in();
        }
        drop(inner);
        self.changed(true, true);
    }

    /// Does to a run of this program what another one wishes.
    pub(super) fn obey(&self, id: &str, wish: Wish) {
        match wish {
            Wish::Cancel => self.cancel(id),
            Wish::Pause => self.pause(id),
            Wish::GoOn => self.go_on(id),
        }
    }

    /// Tells the program that works on a run what is wished. It may have gone: then nothing comes of it.
    fn wish(&self, id: &str, wish: Wish) {
        let held_elsewhere = self.lock().runs.get(id).is_some_and(|run| !run.is_ours() && run.view.state.is_active());
        if held_elsewhere {
            journal::wish(&self.folder.join(id), wish);
        }
    }

    /// Moves a run among those that wait, by so many places; whether it moved.
    pub(super) fn prioritise(self: &Arc<Self>, id: &str, by: isize) -> bool {
        let mut inner = self.lock();
        let Some(from) = inner.queue.iter().position(|queued| queued == id) else { return false };
        let to = from.saturating_add_signed(by).min(inner.queue.len() - 1);
        if from == to {
            return false;
        }
        // The ranks stay as they are; who has them changes.
        let (first, last) = (from.min(to), from.max(to));
        let ranks: Vec<String> =
            inner.queue.range(first..=last).filter_map(|id| inner.runs.get(id)).map(|run| run.rank.clone()).collect();
        let Some(moved) = inner.queue.remove(from) else { return false };
        inner.queue.insert(to, moved);
        let ids: Vec<JobId> = inner.queue.range(first..=last).cloned().collect();
        for (id, rank) in ids.iter().zip(ranks) {
            if let Some(run) = inner.runs.get_mut(id) {
                run.rank = rank;
            }
        }
        drop(inner);
        self.changed(true, true);
        let engine = self.clone();
        let keep = move || ids.iter().for_each(|id| engine.keep_rank(id));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(keep)),
            Err(_) => keep(),
        }
        true
    }

    /// Writes the rank of a run into its directory, where it is not its name. Blocks.
    pub(super) fn keep_rank(&self, id: &str) {
        // One at a time, and what is so now: the last to write is right.
        let _alone = self.ranks.lock().unwrap_or_else(PoisonError::into_inner);
        let rank = self.lock().runs.get(id).map(|run| run.rank.clone());
        if let Some(rank) = rank {
            journal::keep_rank(&self.folder.join(id), &rank);
        }
    }
}
