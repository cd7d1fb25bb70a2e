//! A large list filtered and sorted on other threads: what is found first is shown first.

use crate::error::Result;
use crate::listing::{Arrangement, Listing, Sieve};
use crate::task::{Feed, Waker};
use std::sync::Arc;
use tokio::sync::mpsc;

/// An order of a list, perhaps of its first part only.
pub(super) struct Outcome {
    pub(super) arrangement: Arrangement,
    pub(super) order: Vec<u32>,
    /// With how many entries this is all, and what the next filter may start from; `None` where more is to come.
    pub(super) whole: Option<(usize, Option<Arc<Sieve>>)>,
}

/// The work under way. Dropping it ends it.
pub(super) struct Arranging(Feed<Outcome>);

impl Arranging {
    /// Starts it; `before` is what the last run for this list kept.
    pub(super) fn start(arrangement: Arrangement, listing: Listing, before: Option<Arc<Sieve>>, waker: &Waker) -> Self {
        let (sender, outcomes) = mpsc::channel(2);
        tokio::task::spawn_blocking(move || {
            let tell = |order: Vec<u32>, whole| {
                // Nobody may be there any more.
                let _ = sender.blocking_send(Ok(Outcome { arrangement: arrangement.clone(), order, whole }));
            };
            let done = arrangement.run(&listing, before.as_deref(), &|| !sender.is_closed(), &mut |order| {
                tell(order, None);
            });
            if let Some((order, sieve)) = done {
                tell(order, Some((listing.len(), sieve.map(Arc::new))));
            }
        });
        let stream = futures::stream::unfold(outcomes, async |mut outcomes: mpsc::Receiver<Result<Outcome>>| {
            outcomes.recv().await.map(|outcome| (outcome, outcomes))
        });
        Self(Feed::spawn(waker, stream))
    }

    /// What it has found since.
    pub(super) fn take(&mut self) -> Option<Outcome> {
        self.0.take().and_then(Result::ok)
    }
}
