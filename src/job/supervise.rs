//! One run, from its spec on disk to its end on disk.

use super::engine::Engine;
use super::history;
use super::journal::{self, Journal, RunDir};
use super::watch::{PERIOD, Watch};
use super::{Job, JobCx, JobId, Outcome, State};
use crate::error::{Error, Kind, Result};
use crate::task::Control;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How long a cancelled job may clean up before its task is dropped.
const GRACE: Duration = Duration::from_secs(20);
/// How long the task of a job that is left may take to let go.
const LETTING_GO: Duration = Duration::from_secs(1);
/// How often a job that waits looks for the wishes of other programs.
const LOOK: Duration = Duration::from_secs(1);

/// How an attempt came to its end.
enum End {
    /// By itself, or because the user wanted it to stop.
    Ended(Result<Outcome>),
    /// This program ends before it.
    Left,
}

/// A run that this program works on; dropped, it is released.
struct Hold {
    engine: Arc<Engine>,
    id: JobId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.engine.release(&self.id);
    }
}

impl Engine {
    /// Runs a job from its spec on disk to its end on disk.
    pub(super) async fn supervise(
        self: Arc<Self>,
        id: JobId,
        job: Arc<dyn Job>,
        control: Control,
        is_new: bool,
        turn: oneshot::Receiver<()>,
    ) {
        let _hold = Hold { engine: self.clone(), id: id.clone() };
        let (dir, problem) = match self.prepare(&id, is_new).await {
            Ok(dir) => (Some(dir), None),
            Err(err) if err.kind() == Kind::Exists => {
                return Watch::new(self, id, control, None).end(Err(err)).await;
            }
            Err(err) => (None, Some(format!("this job is not journalled and cannot be resumed: {err}"))),
        };
        let path = dir.as_ref().map(|dir| dir.path().to_owned());
        let waited = self.await_turn(&id, &control, turn, path).await;
        if matches!(waited, Err(End::Left)) {
            // Nothing was begun: it is as it was found.
            drop(dir);
            return self.left(&id);
        }
        let (journal, earlier) = match dir {
            Some(dir) => open_journal(dir, is_new).await,
            None => (Ok(None), Vec::new()),
        };
        let (journal, problem) = match journal {
            Ok(journal) => (journal, problem),
            Err(err) => (None, Some(format!("this job is not journalled: {err}"))),
        };
        let mut watch = Watch::new(self.clone(), id.clone(), control.clone(), journal);
        watch.start();
        if let Some(problem) = problem {
            watch.problem(problem);
        }
        let end = match waited {
            Ok(()) => self.work(&id, job, &control, earlier, &mut watch).await,
            Err(end) => end,
        };
        match end {
            End::Ended(result) => watch.end(result).await,
            End::Left => watch.leave().await,
        }
    }

    async fn prepare(self: &Arc<Self>, id: &str, is_new: bool) -> Result<RunDir> {
        let header = self.lock().runs.get(id).map(|run| run.header.clone());
        let (engine, id) = (self.clone(), id.to_owned());
        let prepare = move || {
            let folder = &engine.folder;
            let dir = match header {
                Some(header) if is_new || !has_spec(folder, &id) => RunDir::create(folder, &header),
                _ => RunDir::reopen(folder, &id),
            }?;
            engine.keep_rank(&id);
            Ok(dir)
        };
        tokio::task::spawn_blocking(prepare)
            .await
            .map_err(|err| Error::new(Kind::Failed, "the run directory could not be made").with_source(err))?
    }

    /// Waits for a place, and looks meanwhile whether another program wishes something.
    async fn await_turn(
        &self,
        id: &str,
        control: &Control,
        mut turn: oneshot::Receiver<()>,
        dir: Option<PathBuf>,
    ) -> std::result::Result<(), End> {
        let cancelled = || End::Ended(Err(Error::cancelled()));
        loop {
            tokio::select! {
                biased;
                () = self.leaving.cancelled() => return Err(End::Left),
                waited = control.race(async { (&mut turn).await.map_err(|_| Error::cancelled()) }) => {
                    return waited.map_err(|_| cancelled());
                }
                () = tokio::time::sleep(LOOK), if dir.is_some() => {
                    let dir = dir.clone().unwrap_or_default();
                    let wish = tokio::task::spawn_blocking(move || journal::take_wish(&dir)).await;
                    if let Some(wish) = wish.ok().flatten() {
                        self.obey(id, wish);
                    }
                }
            }
        }
    }

    /// The work itself, watched.
    async fn work(
        &self,
        id: &str,
        job: Arc<dyn Job>,
        control: &Control,
        earlier: Vec<Value>,
        watch: &mut Watch,
    ) -> End {
        if let Some(run) = self.lock().runs.get_mut(id) {
            run.began = Some(Instant::now());
        }
        self.changed(true, true);
        let (events, mut recorded) = mpsc::unbounded_channel();
        let cx = JobCx { stores: self.stores.clone(), control: control.clone(), events, earlier };
        let mut task = tokio::spawn(async move { job.run(&cx).await });
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        let mut cancelled: Option<Instant> = None;
        let joined = loop {
            tokio::select! {
                joined = &mut task => break Some(joined),
                () = self.leaving.cancelled(), if !control.is_cancelled() => {
                    // It stops where it stands, as if the program were killed: what it cleaned up now, it
                    // could not resume. Threads that it started hear of it after.
                    task.abort();
                    let joined = tokio::time::timeout(LETTING_GO, &mut task).await.ok();
                    control.cancel();
                    // It may just have ended.
                    break joined.filter(|joined| joined.as_ref().map_or_else(|err| !err.is_cancelled(), |_| true));
                }
                n = recorded.recv_many(&mut batch, 256), if !recorded.is_closed() || !recorded.is_empty() => {
                    if n > 0 {
                        watch.record(&mut batch);
                    }
                }
                _ = ticks.tick() => {
                    watch.tick();
                    if control.is_cancelled() && cancelled.get_or_insert_with(Instant::now).elapsed() > GRACE {
                        task.abort();
                    }
                }
            }
        };
        while let Ok(event) = recorded.try_recv() {
            batch.push(event);
        }
        watch.record(&mut batch);
        joined.map_or(End::Left, |joined| End::Ended(joined.unwrap_or_else(|err| Err(broken(err)))))
    }

    /// This program ends before a run has begun.
    fn left(&self, id: &str) {
        self.update(id, |view| view.state = State::Interrupted);
        self.ended(id);
    }
}

fn has_spec(folder: &Path, id: &str) -> bool {
    folder.join(id).join(journal::SPEC).exists()
}

/// Opens the journal of the next attempt, and reads what the former ones recorded.
async fn open_journal(dir: RunDir, is_new: bool) -> (Result<Option<Journal>>, Vec<Value>) {
    let open = move || {
        let earlier = if is_new { Vec::new() } else { history::earlier(dir.path()) };
        (Journal::open(dir).map(Some), earlier)
    };
    tokio::task::spawn_blocking(open).await.unwrap_or_else(|err| {
        (Err(Error::new(Kind::Failed, "its events could not be read").with_source(err)), Vec::new())
    })
}

/// The sentence for a task that did not return.
fn broken(err: tokio::task::JoinError) -> Error {
    if err.is_cancelled() {
        return Error::cancelled();
    }
    let payload = err.into_panic();
    let text = payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Error::new(Kind::Failed, format!("the job broke down: {text}"))
        .with_hint("this is a mistake in secchi; please report it with this log")
}
