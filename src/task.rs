//! Background work and how it reaches the screen: a value-free [`Waker`], a [`Pending`] value that
//! its owner pulls, and a [`Control`] through which work hears of cancellation and tells progress.

use crate::error::{Error, Kind, Result};
use crate::meter::Meter;
use futures::{Stream, StreamExt as _};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Wakes the event loop. Carries no value: a thousand wakes cost one frame.
#[derive(Clone, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// A waker that nothing waits on yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a look at what has arrived.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits for the next wake; one that came in between is not lost.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}

/// A value that a background task will deliver. Dropping it aborts the task, so that nothing
/// stale can arrive.
pub struct Pending<T> {
    value: oneshot::Receiver<Result<T>>,
    task: tokio::task::AbortHandle,
}

impl<T: Send + 'static> Pending<T> {
    /// Starts `future`; `waker` is woken when it has ended.
    pub fn spawn(waker: &Waker, future: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        let (tx, value) = oneshot::channel();
        let waker = waker.clone();
        let task = tokio::spawn(async move {
            let result = future.await;
            // The receiver may be gone: then nobody wants the value.
            let _ = tx.send(result);
            waker.wake();
        });
        Self { value, task: task.abort_handle() }
    }

    /// The value, once. `None` while it is under way.
    pub fn take(&mut self) -> Option<Result<T>> {
        match self.value.try_recv() {
            Ok(result) => Some(result),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => {
                Some(Err(Error::new(Kind::Failed, "the background task ended without an answer")))
            }
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes the value out of a slot when it has arrived, leaving the slot empty.
pub fn poll_slot<T: Send + 'static>(slot: &mut Option<Pending<T>>) -> Option<Result<T>> {
    let result = slot.as_mut()?.take()?;
    *slot = None;
    Some(result)
}

/// Values that a background task delivers one after the other. Dropping it aborts the task.
pub struct Feed<T> {
    values: mpsc::Receiver<Result<T>>,
    task: tokio::task::AbortHandle,
    done: bool,
}

/// Values that may wait unpulled before the task has to wait.
const FEED_AHEAD: usize = 16;

impl<T: Send + 'static> Feed<T> {
    /// Starts reading `stream`; `waker` is woken for each value and at the end.
    pub fn spawn(waker: &Waker, stream: impl Stream<Item = Result<T>> + Send + 'static) -> Self {
        let (tx, values) = mpsc::channel(FEED_AHEAD);
        let waker = waker.clone();
        let task = tokio::spawn(async move {
            let mut stream = std::pin::pin!(stream);
            while let Some(value) = stream.next().await {
                if tx.send(value).await.is_err() {
                    return;
                }
                waker.wake();
            }
            drop(tx);
            waker.wake();
        });
        Self { values, task: task.abort_handle(), done: false }
    }

    /// The next value that has arrived.
    pub fn take(&mut self) -> Option<Result<T>> {
        match self.values.try_recv() {
            Ok(value) => Some(value),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => {
                self.done = true;
                None
            }
        }
    }

    /// Whether the last value was taken.
    pub fn is_done(&self) -> bool {
        self.done
    }
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a piece of work reports while it runs, and through which it is told to stop. Clones share.
#[derive(Clone)]
pub struct Control {
    cancel: CancellationToken,
    progress: Arc<Progress>,
    /// Counts the work's requests and bytes.
    pub meter: Meter,
}

#[derive(Default)]
struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    notes: Mutex<Vec<String>>,
    step: Mutex<String>,
}

impl Default for Control {
    fn default() -> Self {
        Self::new(Meter::new())
    }
}

impl Control {
    /// For work whose traffic is counted by `meter`.
    pub fn new(meter: Meter) -> Self {
        Self { cancel: CancellationToken::new(), progress: Arc::default(), meter }
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Fails with [`Kind::Cancelled`] once the work was asked to stop: for loops, blocking ones too.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Runs `future` unless the work is told to stop first.
    pub async fn race<T, E: Into<Error>>(&self, future: impl Future<Output = std::result::Result<T, E>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::cancelled()),
            result = future => result.map_err(Into::into),
        }
    }

    /// Runs blocking code on a thread of its own. Give it a clone of this control to check:
    /// a thread cannot be aborted.
    pub async fn blocking<T: Send + 'static>(&self, f: impl FnOnce(Self) -> Result<T> + Send + 'static) -> Result<T> {
        let control = self.clone();
        tokio::task::spawn_blocking(move || f(control))
            .await
            .map_err(|err| Error::new(Kind::Failed, "a worker thread failed").with_source(err))?
    }

    /// Sets what is known of the whole: bytes, rows or steps. 0 is unknown.
    pub fn set_total(&self, total: u64) {
        self.progress.total.store(total, Relaxed);
    }

    /// Sets what is done of it.
    pub fn set_done(&self, done: u64) {
        self.progress.done.store(done, Relaxed);
    }

    /// Adds to what is done.
    pub fn advance(&self, by: u64) {
        self.progress.done.fetch_add(by, Relaxed);
    }

    /// `(done, total)`; a total of 0 is unknown.
    pub fn progress(&self) -> (u64, u64) {
        (self.progress.done.load(Relaxed), self.progress.total.load(Relaxed))
    }

    /// Says what is being done now, in a few words: "part 3 of 32".
    pub fn step(&self, step: impl Into<String>) {
        *self.progress.step.lock().unwrap_or_else(PoisonError::into_inner) = step.into();
    }

    /// What is being done now.
    pub fn current_step(&self) -> String {
        self.progress.step.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds a line to the work's log. No secrets.
    pub fn note(&self, line: impl Into<String>) {
        self.progress.notes.lock().unwrap_or_else(PoisonError::into_inner).push(line.into());
    }

    /// The lines noted since the last call.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.progress.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_arrives_after_a_wake_and_only_once() {
        let waker = Waker::new();
        let mut slot = Some(Pending::spawn(&waker, async { Ok(7) }));
        waker.woken().await;
        assert_eq!(poll_slot(&mut slot).and_then(Result::ok), Some(7));
        assert!(slot.is_none());
    }

    #[tokio::test]
    async fn dropping_a_pending_value_stops_its_task() {
        let control = Control::default();
        let (tx, rx) = oneshot::channel::<()>();
        let pending: Pending<()> = Pending::spawn(&Waker::new(), async move {
            let _held = tx;
            std::future::pending().await
        });
        drop(pending);
        assert!(rx.await.is_err(), "the task was dropped with what it held");
        assert!(control.check().is_ok());
    }

    #[tokio::test]
    async fn cancelling_ends_a_race_and_a_blocking_loop() {
        let control = Control::default();
        let worker = control.clone();
        let task = tokio::spawn(async move {
            worker
                .blocking(|c| {
                    loop {
                        c.check()?;
                        std::thread::yield_now();
                    }
                })
                .await as Result<()>
        });
        control.cancel();
        assert_eq!(task.await.expect("joins").map_err(|e| e.kind()), Err(Kind::Cancelled));
        let never = control.race(std::future::pending::<Result<()>>()).await;
        assert_eq!(never.map_err(|e| e.kind()), Err(Kind::Cancelled));
    }
}
