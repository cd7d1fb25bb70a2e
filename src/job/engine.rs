//! [`Jobs`]: the queue, the running jobs, and what is known of those that ran before.

use super::history::{self, Past};
use super::journal::{self, Header, Journal, RunDir};
use super::watch::{PERIOD, Watch};
use super::{Job, JobCx, JobId, JobSpec, JobView, Outcome, State};
use crate::error::{Error, Kind, Result};
use crate::meter::Throughput;
use crate::store::Stores;
use crate::task::{Control, Waker};
use chrono::Utc;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// Jobs that run at once; more wait.
const RUNNING: usize = 2;
/// Runs of the past that are shown.
const HISTORY: usize = 200;
/// Samples kept of a run: at most ten minutes at full resolution, then thinned.
const SERIES: usize = 600;
/// How long a cancelled job may clean up before its task is dropped.
const GRACE: Duration = Duration::from_secs(20);

/// Makes a job again from its spec: [`crate::jobs`] has the table, which lies above this floor.
pub(super) type Kinds = fn(JobSpec) -> Result<Box<dyn Job>>;

/// Runs jobs in the background, journals them, and tells how they stand. Clones share.
#[derive(Clone)]
pub struct Jobs {
    engine: Arc<Engine>,
}

impl Jobs {
    /// An engine whose run directories lie in `state/runs`; `waker` is woken when something changed
    /// (at most five times a second while jobs run). Runs of the past are read in the background.
    pub fn new(stores: Stores, state: PathBuf, waker: Waker) -> Self {
        let mut folder = state;
        folder.push("runs");
        let engine = Arc::new(Engine {
            stores,
            folder,
            waker,
            woken: Mutex::new((Instant::now(), false)),
            changes: watch::Sender::new(Changes::default()),
            inner: Mutex::new(Inner {
                kinds: None,
                limit: RUNNING,
                running: 0,
                queue: VecDeque::new(),
                runs: BTreeMap::new(),
                ids: ulid::Generator::new(),
            }),
        });
        let jobs = Self { engine };
        jobs.refresh();
        jobs
    }

    /// Reads the runs that this program did not start again, in the background: others may have gone on.
    pub fn refresh(&self) {
        let reader = self.engine.clone();
        let read = std::thread::Builder::new().name("secchi-history".into()).spawn(move || reader.read_history());
        if read.is_err() {
            self.engine.changes.send_modify(|c| c.loaded = true);
        }
    }

    /// Tells how jobs are made from their specs, so that runs of the past can be retried.
    #[must_use]
    pub fn with_kinds(self, kinds: Kinds) -> Self {
        self.engine.lock().kinds = Some(kinds);
        self
    }

    /// Changes how many jobs run at once (2); running ones go on.
    pub fn set_limit(&self, jobs: usize) {
        self.engine.lock().limit = jobs.max(1);
        self.engine.pump();
    }

    /// Queues a job. Needs a tokio runtime.
    pub fn start(&self, job: Box<dyn Job>) -> Result<JobId> {
        self.engine.begin(Arc::from(job))
    }

    /// Asks a job to stop and clean up. One that another program runs is asked through its run directory.
    pub fn cancel(&self, id: &str) {
        self.engine.cancel(id);
    }

    /// Starts an ended, failed or interrupted job again. One that was done becomes a new run; another
    /// goes on under its name, and may use what its former attempts recorded.
    pub fn retry(&self, id: &str) -> Result<JobId> {
        self.engine.retry(id)
    }

    /// All jobs, newest first: this program's and those found in the state folder.
    pub fn views(&self) -> Vec<JobView> {
        let inner = self.engine.lock();
        let mut views: Vec<JobView> = inner.runs.values().map(Run::snapshot).collect();
        drop(inner);
        sort(&mut views);
        views
    }

    /// Those of [`Jobs::views`] that this program works on, or that wait for it: cheap enough for every frame,
    /// however many ran before.
    pub fn active_views(&self) -> Vec<JobView> {
        let inner = self.engine.lock();
        let mut views: Vec<JobView> = inner.runs.values().filter(|run| run.is_ours()).map(Run::snapshot).collect();
        drop(inner);
        sort(&mut views);
        views
    }

    /// One job.
    pub fn view(&self, id: &str) -> Option<JobView> {
        self.engine.lock().runs.get(id).map(Run::snapshot)
    }

    /// What a job is, to fill a form with.
    pub fn spec(&self, id: &str) -> Option<JobSpec> {
        self.engine.lock().runs.get(id).map(|run| run.header.spec.clone())
    }

    /// How many hold a place among the running ones, or wait for it, in this program.
    pub fn active(&self) -> usize {
        self.engine.lock().runs.values().filter(|run| run.is_ours()).count()
    }

    /// Waits until the runs of the past have been read.
    pub async fn loaded(&self) {
        // The sender lives as long as we do.
        let _ = self.engine.changes.subscribe().wait_for(|c| c.loaded).await;
    }

    /// Waits until a job of this program has ended, and tells how; `None` where there is no such job.
    pub async fn wait(&self, id: &str) -> Option<JobView> {
        let mut changes = self.engine.changes.subscribe();
        loop {
            let is_ours = self.engine.lock().runs.get(id)?.is_ours();
            if !is_ours {
                return self.view(id);
            }
            if changes.changed().await.is_err() {
                return None;
            }
        }
    }

    /// Cancels all jobs of this program and waits until they have cleaned up: before quitting.
    pub async fn stop(&self) {
        let ids: Vec<JobId> =
            self.engine.lock().runs.iter().filter(|(_, run)| run.is_ours()).map(|(id, _)| id.clone()).collect();
        for id in &ids {
            self.cancel(id);
        }
        for id in &ids {
            self.wait(id).await;
        }
    }
}

/// Newest first.
fn sort(views: &mut [JobView]) {
    views.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| b.id.cmp(&a.id)));
}

/// What a [`Jobs`] shares with the tasks that run its jobs.
pub(super) struct Engine {
    stores: Stores,
    folder: PathBuf,
    waker: Waker,
    /// When the screen was last woken, and whether it missed something since.
    woken: Mutex<(Instant, bool)>,
    changes: watch::Sender<Changes>,
    inner: Mutex<Inner>,
}

/// Told to those who wait for a job.
#[derive(Default)]
struct Changes {
    loaded: bool,
}

struct Inner {
    kinds: Option<Kinds>,
    limit: usize,
    running: usize,
    queue: VecDeque<(JobId, oneshot::Sender<Slot>)>,
    runs: BTreeMap<JobId, Run>,
    ids: ulid::Generator,
}

impl Inner {
    /// Whether a run was started or retried here: then we know more of it than its directory tells.
    fn knows(&self, id: &str) -> bool {
        self.runs.get(id).is_some_and(|run| run.job.is_some())
    }
}

struct Run {
    header: Header,
    view: JobView,
    job: Option<Arc<dyn Job>>,
    /// There while this program works on it.
    control: Option<Control>,
    began: Option<Instant>,
}

impl Run {
    fn is_ours(&self) -> bool {
        self.control.is_some()
    }

    /// The view, with what changes between two looks read now.
    fn snapshot(&self) -> JobView {
        let mut view = self.view.clone();
        if let (Some(control), Some(began)) = (&self.control, self.began) {
            (view.done, view.total) = control.progress();
            view.step = control.current_step();
            view.counts = control.meter.counts();
            view.in_flight = control.meter.in_flight();
            view.elapsed = began.elapsed();
        }
        view
    }
}

/// A place among the running jobs; dropping it lets the next one in.
struct Slot(Arc<Engine>);

impl Drop for Slot {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.running = inner.running.saturating_sub(1);
        drop(inner);
        self.0.pump();
    }
}

impl Engine {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of a run.
    pub(super) fn update(&self, id: &str, change: impl FnOnce(&mut JobView)) {
        if let Some(run) = self.lock().runs.get_mut(id) {
            change(&mut run.view);
        }
    }

    /// Something may have changed: wakes the screen, at most five times a second unless it is `urgent`.
    pub(super) fn changed(&self, changed: bool, urgent: bool) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        woken.1 |= changed || urgent;
        // A little less than the period, so that a tick that comes early is not put off by a whole one.
        if woken.1 && (urgent || woken.0.elapsed() >= PERIOD.mul_f32(0.9)) {
            *woken = (Instant::now(), false);
            self.waker.wake();
        }
        drop(woken);
        if urgent {
            self.changes.send_modify(|_| {});
        }
    }

    /// This program is done with a run.
    pub(super) fn ended(&self, id: &str) {
        if let Some(run) = self.lock().runs.get_mut(id) {
            run.control = None;
            run.began = None;
        }
        self.changed(true, true);
    }

    fn read_history(&self) {
        for id in history::newest(&self.folder, HISTORY) {
            if self.lock().knows(&id) {
                continue;
            }
            // A folder without a spec, or with one of another make, is no run to us.
            let Ok(Past { header, view }) = history::read(&self.folder.join(&id)) else { continue };
            if header.id != id {
                continue;
            }
            let mut inner = self.lock();
            // Between the two looks it may have become ours.
            if !inner.knows(&id) {
                inner.runs.insert(id, Run { header, view, job: None, control: None, began: None });
                drop(inner);
                self.changed(true, false);
            }
        }
        self.changes.send_modify(|c| c.loaded = true);
        self.changed(true, true);
    }

    fn begin(self: &Arc<Self>, job: Arc<dyn Job>) -> Result<JobId> {
        let mut inner = self.lock();
        // Two in one millisecond still sort by their start.
        let id = inner.ids.generate().unwrap_or_else(|_| ulid::Ulid::new()).to_string();
        let header = Header {
            id: id.clone(),
            spec: job.spec(),
            title: job.title(),
            command: job.command(),
            created: Utc::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut view = history::blank(&header, State::Queued);
        view.throughput = Throughput::new(SERIES);
        let run = Run { header, view, job: Some(job.clone()), control: None, began: None };
        inner.runs.insert(id.clone(), run);
        drop(inner);
        let launched = self.launch(&id, job, true);
        if launched.is_err() {
            self.lock().runs.remove(&id);
        }
        launched
    }

    fn retry(self: &Arc<Self>, id: &str) -> Result<JobId> {
        let mut inner = self.lock();
        let kinds = inner.kinds;
        let run = inner.runs.get_mut(id).ok_or_else(|| Error::new(Kind::NotFound, format!("no job {id}")))?;
        if run.is_ours() {
            return Err(Error::usage(format!("{} is still at work", run.header.title)));
        }
        let job = if let Some(job) = &run.job {
            job.clone()
        } else {
            let make = kinds.ok_or_else(|| Error::unsupported("jobs of the past cannot be started here"))?;
            Arc::from(make(run.header.spec.clone())?)
        };
        if run.view.state == State::Done {
            drop(inner);
            return self.begin(job);
        }
        run.job = Some(job.clone());
        let mut view = history::blank(&run.header, State::Queued);
        view.throughput = Throughput::new(SERIES);
        view.started = Utc::now();
        let before = std::mem::replace(&mut run.view, view);
        drop(inner);
        self.launch(id, job, false).inspect_err(|_| self.update(id, |view| *view = before))
    }

    /// Puts a run into the queue.
    fn launch(self: &Arc<Self>, id: &str, job: Arc<dyn Job>, is_new: bool) -> Result<JobId> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|err| Error::new(Kind::Failed, "jobs need a tokio runtime").with_source(err))?;
        let control = Control::new(self.stores.meter().child());
        let (turn, mine) = oneshot::channel();
        let mut inner = self.lock();
        let Some(run) = inner.runs.get_mut(id) else { return Err(Error::new(Kind::NotFound, "no such job")) };
        run.control = Some(control.clone());
        inner.queue.push_back((id.to_owned(), turn));
        drop(inner);
        runtime.spawn(self.clone().supervise(id.to_owned(), job, control, is_new, mine));
        self.pump();
        self.changed(true, true);
        Ok(id.to_owned())
    }

    /// Gives free places to those that wait.
    fn pump(self: &Arc<Self>) {
        loop {
            let mut inner = self.lock();
            if inner.running >= inner.limit {
                return;
            }
            let Some((_, turn)) = inner.queue.pop_front() else { return };
            inner.running += 1;
            drop(inner);
            // If it was cancelled while it waited, the slot comes back and is dropped here. Not while locked!
            drop(turn.send(Slot(self.clone())));
        }
    }

    fn cancel(&self, id: &str) {
        let inner = self.lock();
        match inner.runs.get(id) {
            Some(Run { control: Some(control), .. }) => control.cancel(),
            Some(run) if run.view.state.is_active() => {
                let path = self.folder.join(id).join(journal::CANCEL);
                drop(inner);
                // It is only a wish; the other program may have gone.
                let _ = std::fs::write(path, b"");
            }
            _ => {}
        }
    }

    /// Runs a job from its spec on disk to its end on disk.
    async fn supervise(
        self: Arc<Self>,
        id: JobId,
        job: Arc<dyn Job>,
        control: Control,
        is_new: bool,
        turn: oneshot::Receiver<Slot>,
    ) {
        let (dir, problem) = match self.prepare(&id, is_new).await {
            Ok(dir) => (Some(dir), None),
            Err(err) if err.kind() == Kind::Exists => {
                self.lock().queue.retain(|(queued, _)| *queued != id);
                return Watch::new(self, id, control, None).end(Err(err)).await;
            }
            Err(err) => (None, Some(format!("this job is not journalled and cannot be resumed: {err}"))),
        };
        let slot = control.race(async { turn.await.map_err(|_| Error::cancelled()) }).await;
        let (journal, earlier) = match dir {
            Some(dir) => open_journal(dir, &control, is_new).await,
            None => (Ok(None), Vec::new()),
        };
        let (journal, problem) = match journal {
            Ok(journal) => (journal, problem),
            Err(err) => (None, Some(format!("this job is not journalled: {err}"))),
        };
        let mut watch = Watch::new(self.clone(), id.clone(), control.clone(), journal);
        watch.start();
        if let Some(problem) = problem {
            watch.note(problem);
        }
        let result = if slot.is_ok() {
            self.work(&id, job, &control, earlier, &mut watch).await
        } else {
            self.lock().queue.retain(|(queued, _)| *queued != id);
            Err(Error::cancelled())
        };
        watch.end(result).await;
        drop(slot);
    }

    async fn prepare(&self, id: &str, is_new: bool) -> Result<RunDir> {
        let header = self.lock().runs.get(id).map(|run| run.header.clone());
        let (folder, id) = (self.folder.clone(), id.to_owned());
        let prepare = move || match header {
            Some(header) if is_new || !has_spec(&folder, &id) => RunDir::create(&folder, &header),
            _ => RunDir::reopen(&folder, &id),
        };
        tokio::task::spawn_blocking(prepare)
            .await
            .map_err(|err| Error::new(Kind::Failed, "the run directory could not be made").with_source(err))?
    }

    /// The work itself, watched.
    async fn work(
        &self,
        id: &str,
        job: Arc<dyn Job>,
        control: &Control,
        earlier: Vec<Value>,
        watch: &mut Watch,
    ) -> Result<Outcome> {
        if let Some(run) = self.lock().runs.get_mut(id) {
            run.view.state = State::Running;
            run.began = Some(Instant::now());
        }
        self.changed(true, true);
        let (events, mut recorded) = mpsc::unbounded_channel();
        let cx = JobCx { stores: self.stores.clone(), control: control.clone(), events };
        let mut task = tokio::spawn(async move { job.resume(&cx, &earlier).await });
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        let mut cancelled: Option<Instant> = None;
        let joined = loop {
            tokio::select! {
                joined = &mut task => break joined,
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
        joined.unwrap_or_else(|err| Err(broken(err)))
    }
}

fn has_spec(folder: &Path, id: &str) -> bool {
    folder.join(id).join(journal::SPEC).exists()
}

/// Opens the journal of the next attempt, and reads what the former ones recorded.
async fn open_journal(dir: RunDir, control: &Control, is_new: bool) -> (Result<Option<Journal>>, Vec<Value>) {
    let control = control.clone();
    let open = move || {
        let earlier = if is_new { Vec::new() } else { history::earlier(dir.path()) };
        (Journal::open(dir, &control).map(Some), earlier)
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
