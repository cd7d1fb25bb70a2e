//! Background work and how it reaches the screen: a value-free [`Waker`], a [`Pending`] value that
//! its owner pulls, and a [`Control`] through which work hears of cancellation and tells progress.

mod decode;
pub(crate) mod threads;

pub use decode::hush_decoders;
pub(crate) use decode::{SQL, caught, is_caught, senseless};

use crate::error::{Error, Kind, Result};
use crate::meter::Meter;
use futures::{Stream, StreamExt as _};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, mpsc, oneshot, watch};
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
    paused: Arc<watch::Sender<bool>>,
    asked: Arc<watch::Sender<Asked>>,
    /// Counts the work's requests and bytes.
    pub meter: Meter,
}

/// What work wants to know of its user before it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// "b/lake.tif exists already: 12 MiB, 2026-11-20; the new one has 14 MiB"
    pub text: String,
    /// What can be answered, the first the safest.
    pub choices: Vec<Choice>,
}

/// An answer that a user can choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What is typed for it.
    pub key: char,
    /// What [`Control::ask`] gives: `skip`, `skip-all`.
    pub name: &'static str,
    /// A few words: "leave it as it is".
    pub words: String,
}

/// The state of the only question that may stand open.
#[derive(Default)]
enum Asked {
    /// Nobody is there to answer.
    #[default]
    Nobody,
    /// Somebody is, and nothing is asked.
    Ready,
    Open(Question),
    Answered(&'static str),
}

/// Who asked may be gone before the answer: the question then goes too.
struct Withdrawn<'a>(&'a watch::Sender<Asked>);

impl Drop for Withdrawn<'_> {
    fn drop(&mut self) {
        self.0.send_if_modified(|asked| {
            let standing = matches!(asked, Asked::Open(_) | Asked::Answered(_));
            if standing {
                *asked = Asked::Ready;
            }
            standing
        });
    }
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
        Self {
            cancel: CancellationToken::new(),
            progress: Arc::default(),
            paused: Arc::new(watch::Sender::new(false)),
            asked: Arc::new(watch::Sender::new(Asked::default())),
            meter,
        }
    }

    /// For a part of the work: paused, stopped, asked and counted with the whole, but with progress, step and
    /// notes of its own.
    #[must_use]
    pub fn beneath(&self) -> Self {
        Self { progress: Arc::default(), ..self.clone() }
    }

    /// Whether both report the same progress.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.progress, &other.progress)
    }

    /// Has the work wait at its next [`Control::turn`].
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Lets paused work go on.
    pub fn go_on(&self) {
        self.paused.send_replace(false);
    }

    /// Whether it was told to wait.
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Waits as long as the work is paused; fails once it was asked to stop. Work calls it before each part,
    /// file or page, so that what is under way comes to its end and nothing new begins.
    pub async fn turn(&self) -> Result<()> {
        self.check()?;
        if !self.is_paused() {
            return Ok(());
        }
        let mut paused = self.paused.subscribe();
        // The sender lives as long as we do.
        self.race(async { paused.wait_for(|paused| !paused).await.map(|_| ()).map_err(|_| Error::cancelled()) }).await
    }

    /// Says that somebody can answer questions: a screen, or a terminal.
    pub fn can_answer(&self) {
        self.asked.send_if_modified(|asked| {
            let nobody = matches!(asked, Asked::Nobody);
            if nobody {
                *asked = Asked::Ready;
            }
            nobody
        });
    }

    /// The question that stands open.
    pub fn question(&self) -> Option<Question> {
        match &*self.asked.borrow() {
            Asked::Open(question) => Some(question.clone()),
            _ => None,
        }
    }

    /// Waits until a question stands open.
    pub async fn asked(&self) -> Option<Question> {
        let mut asked = self.asked.subscribe();
        let open = asked.wait_for(|asked| matches!(asked, Asked::Open(_))).await.ok()?;
        match &*open {
            Asked::Open(question) => Some(question.clone()),
            _ => None,
        }
    }

    /// Answers the open question with the name of one of its choices; anything else changes nothing.
    pub fn answer(&self, name: &str) {
        self.asked.send_if_modified(|asked| {
            let chosen = match asked {
                Asked::Open(question) => question.choices.iter().find(|choice| choice.name == name),
                _ => None,
            };
            let Some(name) = chosen.map(|choice| choice.name) else { return false };
            *asked = Asked::Answered(name);
            true
        });
    }

    /// Asks the user and waits for the name of the choice; `None` where nobody can answer. Others that ask
    /// meanwhile wait for their turn.
    pub async fn ask(&self, question: Question) -> Result<Option<&'static str>> {
        let mut asked = self.asked.subscribe();
        let mut question = Some(question);
        loop {
            let mut nobody = false;
            self.asked.send_if_modified(|asked| {
                nobody = matches!(asked, Asked::Nobody);
                let mine = matches!(asked, Asked::Ready).then(|| question.take()).flatten();
                mine.map(|question| *asked = Asked::Open(question)).is_some()
            });
            if nobody {
                return Ok(None);
            }
            let mine = question.is_none();
            let _withdrawn = mine.then(|| Withdrawn(&self.asked));
            let due =
                |asked: &Asked| if mine { matches!(asked, Asked::Answered(_)) } else { matches!(asked, Asked::Ready) };
            let wait = async { asked.wait_for(due).await.map(|_| ()).map_err(|_| Error::cancelled()) };
            self.race(wait).await?;
            if mine {
                let Asked::Answered(name) = *self.asked.borrow() else { continue };
                return Ok(Some(name));
            }
        }
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

    /// Takes back what was added to it and did not come to an end.
    pub fn take_back(&self, by: u64) {
        let _ = self.progress.done.fetch_update(Relaxed, Relaxed, |done| Some(done.saturating_sub(by)));
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
    async fn paused_work_waits_and_can_still_be_stopped() {
        let control = Control::default();
        assert!(control.turn().await.is_ok());
        control.pause();
        let worker = control.clone();
        let task = tokio::spawn(async move { worker.turn().await });
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        control.go_on();
        assert!(task.await.expect("joins").is_ok());
        control.pause();
        control.cancel();
        assert_eq!(control.turn().await.map_err(|e| e.kind()), Err(Kind::Cancelled));
    }

    #[tokio::test]
    async fn questions_are_asked_one_after_the_other() {
        let question = |text: &str| Question {
            text: text.to_owned(),
            choices: vec![Choice { key: 's', name: "skip", words: "leave it".to_owned() }],
        };
        let control = Control::default();
        assert_eq!(control.ask(question("one")).await.expect("asks"), None, "nobody is there");
        control.can_answer();
        let ask = |text: &'static str| {
            let control = control.clone();
            async move { control.ask(question(text)).await.expect("asks") }
        };
        let answer = async {
            for _ in 0..2 {
                control.asked().await.expect("asked");
                control.answer("no such choice");
                assert!(control.question().is_some());
                control.answer("skip");
            }
        };
        let (one, two, ()) = tokio::join!(ask("one"), ask("two"), answer);
        assert_eq!((one, two), (Some("skip"), Some("skip")));
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
