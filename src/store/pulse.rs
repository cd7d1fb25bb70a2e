//! How long is waited for a server, and how a request shows that it still goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer may take to begin, and how long its body may be silent.
const ANSWER: Duration = Duration::from_mins(1);
/// So many times a silence that somebody wished.
const SILENCES: u32 = 6;
/// Bytes per second below which a line counts as broken.
const SLOWEST: u64 = 64 << 10;
/// Of a body, so much may be on its way when its last byte was taken: what systems buffer.
const BUFFERED: u64 = 4 << 20;

/// How long is waited for answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits(Duration);

impl Default for Waits {
    fn default() -> Self {
        Self(ANSWER)
    }
}

impl Waits {
    /// A minute where nobody said how long silence may last.
    pub(super) fn new(silence: Option<Duration>) -> Self {
        Self(silence.map_or(ANSWER, |silence| silence.saturating_mul(SILENCES)))
    }

    /// For an answer to what has no body, and for the next bytes of it.
    pub(super) fn answer(self) -> Duration {
        self.0
    }

    /// For the answer to a body of `length` bytes, of which nothing tells how it goes on.
    pub(super) fn whole(self, length: u64) -> Duration {
        self.0 + Duration::from_secs(length / SLOWEST)
    }

    /// For the next sign of a request whose body tells how it goes on, or the answer to it.
    pub(super) fn rest(self, length: u64) -> Duration {
        self.0 + self.0.mul_f64(length.min(BUFFERED) as f64 / BUFFERED as f64)
    }
}

/// When something of a body was last taken. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Pulse(Arc<Mutex<Instant>>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Pulse {
    /// Something goes now, or will at a time that is set.
    pub(super) fn beat(&self, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `future` until nothing has beaten for so long.
    pub(super) async fn watch<T>(&self, quiet: Duration, future: impl Future<Output = T>) -> Result<T, ()> {
        let mut future = std::pin::pin!(future);
        loop {
            let last = self.last();
            match tokio::time::timeout_at(last + quiet, future.as_mut()).await {
                Ok(value) => return Ok(value),
                Err(_) if self.last() > last => {}
                Err(_) => return Err(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_goes_on_is_waited_for_and_what_stands_still_is_not() {
        let (pulse, quiet) = (Pulse::default(), Duration::from_millis(20));
        assert_eq!(pulse.watch(quiet, std::future::pending::<()>()).await, Err(()));
        // A limit on bandwidth that has something wait is no silence; nor is a sign after the wait began.
        let hour = Duration::from_hours(1);
        pulse.beat(Instant::now() + Duration::from_millis(20));
        let beating = async {
            pulse.beat(Instant::now() + hour);
            tokio::time::sleep(quiet * 4).await;
        };
        assert_eq!(pulse.watch(quiet, beating).await, Ok(()));
        assert_eq!(pulse.watch(Duration::ZERO, tokio::time::sleep(quiet)).await, Ok(()));
    }

    #[test]
    fn waits_grow_with_what_may_be_on_its_way() {
        let waits = Waits::new(None);
        assert_eq!((waits.answer(), waits.rest(0)), (ANSWER, ANSWER));
        assert_eq!(waits.rest(500 << 20), ANSWER * 2);
        assert_eq!(waits.whole(64 << 20), ANSWER + Duration::from_secs(1024));
        assert_eq!(Waits::new(Some(Duration::from_millis(100))).answer(), Duration::from_millis(600));
    }
}
