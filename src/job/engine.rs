//! [`Jobs`]: the queue, the running jobs, and what is known of those that ran before.

use super::history::{self, Past};
use super::journal::Header;
use super::queue::Stand;
use super::watch::PERIOD;
use super::{Job, JobId, JobSpec, JobView, State};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::meter::{Latencies, Throughput};
use crate::store::Stores;
use crate::task::{Control, Waker};
use chrono::Utc;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Jobs that run at once; more wait.
const RUNNING: usize = 2;
/// Runs of the past that are shown.
const HISTORY: usize = 200;
/// Samples kept of a run: the last minute or two at full resolution, what is older ever thinner.
const SERIES: usize = 600;
/// How long [`Jobs::leave`] waits for journals on a slow disk.
const LEAVING: Duration = Duration::from_secs(3);

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
        let jobs = Self::without_history(stores, state, waker);
        jobs.refresh();
        jobs
    }

    /// The same for a program that runs a job of its own and asks for no other: runs of the past are not read.
    pub fn fresh(stores: Stores, state: PathBuf, waker: Waker) -> Self {
        let jobs = Self::without_history(stores, state, waker);
        let folder = jobs.engine.folder.clone();
        // Without a thread the next program does it.
        let _ = std::thread::Builder::new().name("secchi-history".into()).spawn(move || {
            history::prune(&folder, &history::newest(&folder));
        });
        jobs.engine.changes.send_modify(|c| c.loaded = true);
        jobs
    }

    fn without_history(stores: Stores, state: PathBuf, waker: Waker) -> Self {
        let mut folder = state;
        folder.push("runs");
        let engine = Arc::new(Engine {
            stores,
            folder,
            waker,
            woken: Mutex::new((Instant::now(), false)),
            changes: watch::Sender::new(Changes::default()),
            ranks: Mutex::default(),
            leaving: CancellationToken::new(),
            inner: Mutex::new(Inner {
                kinds: None,
                answers: false,
                limit: RUNNING,
                running: 0,
                queue: VecDeque::new(),
                runs: BTreeMap::new(),
                ids: ulid::Generator::new(),
            }),
        });
        Self { engine }
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

    /// Says that somebody is there to answer what jobs ask: see [`JobView::question`].
    #[must_use]
    pub fn with_answers(self) -> Self {
        self.engine.lock().answers = true;
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

    /// Has a job wait at its next part, file or page; its place goes to the next one. One that another program
    /// works on is asked through its run directory, which that program looks into once a second.
    pub fn pause(&self, id: &str) {
        self.engine.pause(id);
    }

    /// Lets a paused job go on as soon as there is a place.
    pub fn go_on(&self, id: &str) {
        self.engine.go_on(id);
    }

    /// Moves a job among those that wait, by so many places: negative is sooner. Whether it moved. The order is
    /// kept on disk, for a later program.
    pub fn prioritise(&self, id: &str, by: isize) -> bool {
        self.engine.prioritise(id, by)
    }

    /// Answers what a job of this program asks, with the name of one of the choices.
    pub fn answer(&self, id: &str, name: &str) {
        let control = self.engine.lock().runs.get(id).and_then(|run| run.control.clone());
        if let Some(control) = control {
            control.answer(name);
            self.engine.changed(true, true);
        }
    }

    /// Those whose program ended before they did, in the order in which they ran or waited. Complete once
    /// [`Jobs::is_loaded`].
    pub fn interrupted(&self) -> Vec<JobView> {
        let inner = self.engine.lock();
        let mut found: Vec<(&String, JobView)> = inner
            .runs
            .values()
            .filter(|run| !run.is_ours() && run.view.state == State::Interrupted)
            .map(|run| (&run.rank, run.snapshot()))
            .collect();
        found.sort_by(|a, b| a.0.cmp(b.0));
        found.into_iter().map(|(_, view)| view).collect()
    }

    /// Where a job writes or deletes, so that a screen can ask whether it may before it starts it again.
    pub fn writes(&self, id: &str) -> Result<Vec<Location>> {
        Ok(self.engine.job(id)?.writes())
    }

    /// Gives up a job that was interrupted or has failed: it is not offered to be resumed again. What it left
    /// behind stays (parts of uploads that nobody completed are listed by `uploads ls`).
    pub async fn give_up(&self, id: &str) -> Result<()> {
        self.engine.clone().give_up(id.to_owned()).await
    }

    /// Starts an ended, failed or interrupted job again. One that was done becomes a new run; another
    /// goes on under its name, and may use what its former attempts recorded.
    pub fn retry(&self, id: &str) -> Result<JobId> {
        self.engine.retry(id)
    }

    /// All jobs, newest first: this program's and those found in the state folder.
    pub fn views(&self) -> Vec<JobView> {
        let inner = self.engine.lock();
        let mut views: Vec<JobView> = inner.runs.keys().filter_map(|id| inner.look(id)).collect();
        drop(inner);
        sort(&mut views);
        views
    }

    /// Those of [`Jobs::views`] that this program works on, or that wait for it: cheap enough for every frame,
    /// however many ran before.
    pub fn active_views(&self) -> Vec<JobView> {
        let inner = self.engine.lock();
        let ours = inner.runs.iter().filter(|(_, run)| run.is_ours());
        let mut views: Vec<JobView> = ours.filter_map(|(id, _)| inner.look(id)).collect();
        drop(inner);
        sort(&mut views);
        views
    }

    /// Whether the runs of the past have been read.
    pub fn is_loaded(&self) -> bool {
        self.engine.changes.borrow().loaded
    }

    /// One job.
    pub fn view(&self, id: &str) -> Option<JobView> {
        self.engine.lock().look(id)
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

    /// Leaves the jobs of this program where they stand, their journals on disk, so that the next one can resume
    /// them: before the program ends. Nothing is started after.
    pub async fn leave(&self) {
        self.engine.leaving.cancel();
        let ids: Vec<JobId> =
            self.engine.lock().runs.iter().filter(|(_, run)| run.is_ours()).map(|(id, _)| id.clone()).collect();
        let all = async {
            for id in &ids {
                self.wait(id).await;
            }
        };
        // Whatever is late is left as a crash would leave it.
        let _ = tokio::time::timeout(LEAVING, all).await;
    }
}

/// Newest first.
fn sort(views: &mut [JobView]) {
    views.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| b.id.cmp(&a.id)));
}

/// What a [`Jobs`] shares with the tasks that run its jobs.
pub(super) struct Engine {
    pub(super) stores: Stores,
    /// `STATE/runs`.
    pub(super) folder: PathBuf,
    /// Held by whoever writes ranks.
    pub(super) ranks: Mutex<()>,
    /// This program ends.
    pub(super) leaving: CancellationToken,
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

pub(super) struct Inner {
    kinds: Option<Kinds>,
    /// Somebody is there to answer.
    answers: bool,
    pub(super) limit: usize,
    pub(super) running: usize,
    /// Those that wait, by rank.
    pub(super) queue: VecDeque<JobId>,
    pub(super) runs: BTreeMap<JobId, Run>,
    ids: ulid::Generator,
}

impl Inner {
    /// A new ULID: two in one millisecond still sort by their time.
    fn ulid(&mut self) -> String {
        self.ids.generate().unwrap_or_else(|_| ulid::Ulid::new()).to_string()
    }

    /// How a run stands now.
    fn look(&self, id: &str) -> Option<JobView> {
        let mut view = self.runs.get(id)?.snapshot();
        if view.state == State::Queued {
            view.place = self.queue.iter().position(|queued| queued == id);
        }
        Some(view)
    }

    /// Whether a run was started or retried here: then we know more of it than its directory tells.
    fn knows(&self, id: &str) -> bool {
        self.runs.get(id).is_some_and(|run| run.job.is_some())
    }
}

pub(super) struct Run {
    pub(super) header: Header,
    pub(super) view: JobView,
    pub(super) job: Option<Arc<dyn Job>>,
    /// There while this program works on it, or it waits here.
    pub(super) control: Option<Control>,
    pub(super) began: Option<Instant>,
    /// A ULID: those that wait are let in by it.
    pub(super) rank: String,
    pub(super) stand: Stand,
    /// Lets it begin; gone once it has.
    pub(super) turn: Option<oneshot::Sender<()>>,
}

impl Run {
    fn new(header: Header, view: JobView, rank: String, job: Option<Arc<dyn Job>>) -> Self {
        Self { header, view, job, rank, control: None, began: None, stand: Stand::default(), turn: None }
    }

    pub(super) fn is_ours(&self) -> bool {
        self.control.is_some()
    }

    /// The view, with what changes between two looks read now.
    fn snapshot(&self) -> JobView {
        let mut view = self.view.clone();
        let Some(control) = &self.control else { return view };
        if view.state.is_active() {
            view.state = match self.stand {
                Stand::Paused => State::Paused,
                Stand::Placed if self.began.is_some() => State::Running,
                _ => State::Queued,
            };
        }
        view.question = control.question();
        if let Some(began) = self.began {
            (view.done, view.total) = control.progress();
            view.step = control.current_step();
            view.counts = control.meter.counts();
            view.in_flight = control.meter.in_flight();
            view.elapsed = began.elapsed();
        }
        view
    }
}

impl Engine {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
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
            (run.control, run.began, run.turn) = (None, None, None);
        }
        self.changed(true, true);
    }

    fn read_history(&self) {
        let all = history::newest(&self.folder);
        for (age, id) in all.iter().enumerate() {
            let dir = self.folder.join(id);
            // Of those long ago only what can still be resumed.
            if self.lock().knows(id) || (age >= HISTORY && history::has_ended(&dir)) {
                continue;
            }
            // A folder without a spec, or with one of another make, is no run to us.
            let Ok(Past { header, view, rank }) = history::read(&dir) else { continue };
            if header.id != *id {
                continue;
            }
            let mut inner = self.lock();
            // Between the two looks it may have become ours.
            if !inner.knows(id) {
                inner.runs.insert(id.clone(), Run::new(header, view, rank, None));
                drop(inner);
                self.changed(true, false);
            }
        }
        self.changes.send_modify(|c| c.loaded = true);
        self.changed(true, true);
        history::prune(&self.folder, &all);
    }

    fn begin(self: &Arc<Self>, job: Arc<dyn Job>) -> Result<JobId> {
        let mut inner = self.lock();
        let id = inner.ulid();
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
        view.latencies = Latencies::new(SERIES);
        let run = Run::new(header, view, id.clone(), Some(job.clone()));
        inner.runs.insert(id.clone(), run);
        drop(inner);
        let launched = self.launch(&id, job, true);
        if launched.is_err() {
            self.lock().runs.remove(&id);
        }
        launched
    }

    /// The job of a run, made from its spec where this program did not start it.
    fn job(&self, id: &str) -> Result<Arc<dyn Job>> {
        let inner = self.lock();
        let run = inner.runs.get(id).ok_or_else(|| Error::new(Kind::NotFound, format!("no job {id}")))?;
        if let Some(job) = &run.job {
            return Ok(job.clone());
        }
        let make = inner.kinds.ok_or_else(|| Error::unsupported("jobs of the past cannot be started here"))?;
        let spec = run.header.spec.clone();
        drop(inner);
        Ok(Arc::from(make(spec)?))
    }

    fn retry(self: &Arc<Self>, id: &str) -> Result<JobId> {
        let job = self.job(id)?;
        let mut inner = self.lock();
        let rank = inner.ulid();
        let Some(run) = inner.runs.get_mut(id) else { return Err(Error::new(Kind::NotFound, "no such job")) };
        if run.is_ours() {
            return Err(Error::usage(format!("{} is still at work", run.header.title)));
        }
        if run.view.state == State::Done {
            drop(inner);
            return self.begin(job);
        }
        run.job = Some(job.clone());
        let mut view = history::blank(&run.header, State::Queued);
        view.throughput = Throughput::new(SERIES);
        view.latencies = Latencies::new(SERIES);
        view.started = Utc::now();
        view.attempt = run.view.attempt;
        // Until it begins, what is known of it stays in sight.
        (view.done, view.total) = (run.view.done, run.view.total);
        let before = std::mem::replace(&mut run.view, view);
        let former = std::mem::replace(&mut run.rank, rank);
        drop(inner);
        self.launch(id, job, false).inspect_err(|_| {
            if let Some(run) = self.lock().runs.get_mut(id) {
                (run.view, run.rank) = (before, former);
            }
        })
    }

    /// Writes that a run which nobody works on is not to be resumed.
    async fn give_up(self: Arc<Self>, id: String) -> Result<()> {
        let view = self.lock().look(&id).ok_or_else(|| Error::new(Kind::NotFound, format!("no job {id}")))?;
        if !matches!(view.state, State::Interrupted | State::Failed(_)) {
            return Err(Error::usage("only what was interrupted or has failed can be given up"));
        }
        let (folder, name) = (self.folder.clone(), id.clone());
        let write = move || history::give_up(&folder, &name, &view);
        tokio::task::spawn_blocking(write)
            .await
            .map_err(|err| Error::new(Kind::Failed, "its journal could not be written").with_source(err))??;
        self.update(&id, |view| view.state = State::Cancelled);
        self.changed(true, true);
        Ok(())
    }

    /// Puts a run into the queue.
    fn launch(self: &Arc<Self>, id: &str, job: Arc<dyn Job>, is_new: bool) -> Result<JobId> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|err| Error::new(Kind::Failed, "jobs need a tokio runtime").with_source(err))?;
        let control = Control::new(self.stores.meter().child());
        if self.leaving.is_cancelled() {
            return Err(Error::cancelled());
        }
        let (turn, mine) = oneshot::channel();
        let mut inner = self.lock();
        if inner.answers {
            control.can_answer();
        }
        let Some(run) = inner.runs.get_mut(id) else { return Err(Error::new(Kind::NotFound, "no such job")) };
        run.control = Some(control.clone());
        run.turn = Some(turn);
        inner.enqueue(id);
        drop(inner);
        runtime.spawn(self.clone().supervise(id.to_owned(), job, control, is_new, mine));
        self.pump();
        Ok(id.to_owned())
    }
}
