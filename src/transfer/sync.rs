//! Making one place like another: [`super::plan`] says what, the neighbours carry it.
//!
//! What is new or differs is carried first. Deletions come last, only where all of the source could be read,
//! and never more than were confirmed. A later attempt plans anew: what was carried is the same by then, and
//! what was begun in parts goes on, by what `upload` and `copy` recorded.

use super::copy::{CopyRecord, CopySpec, copy};
use super::delete::{self, Gone, objects};
use super::digest::Checksum;
use super::exists::IfExists;
use super::plan::{Planner, Step, SyncSpec, Verb};
use super::resume::Resume;
use super::source::Source;
use super::upload::{UploadSpec, upload};
use crate::du::Tally;
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::{self, Stores, UploadMeta, Victim};
use crate::task::Control;
use crate::text;
use futures::stream::{FuturesUnordered, StreamExt as _};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Files of one upload.
const BATCH: usize = 500;
/// Batches of files, or objects, that are carried at once.
const BATCHES: usize = 1;
const OBJECTS: usize = 16;
/// Failures after which nothing new begins.
const FAILURES: usize = 100;
/// How often progress is summed up.
const TICK: Duration = Duration::from_millis(200);

/// What a sync did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Synced {
    /// By verb: `copy`, `update`, `delete`, `same`, `skip`.
    #[serde(flatten)]
    pub steps: BTreeMap<Verb, Tally>,
}

impl Synced {
    /// Counts a step.
    pub fn add(&mut self, verb: Verb, bytes: u64) {
        self.steps.entry(verb).or_default().add(Tally { objects: 1, bytes });
    }

    /// How many, and their bytes.
    pub fn of(&self, verb: Verb) -> Tally {
        self.steps.get(&verb).copied().unwrap_or_default()
    }

    /// `3 copied, 1.2 GiB; 1 deleted; 40 the same`.
    pub fn words(&self, done: bool) -> String {
        let mut parts = Vec::new();
        for (verb, past, future) in [
            (Verb::Copy, "copied", "to copy"),
            (Verb::Update, "updated", "to update"),
            (Verb::Delete, "deleted", "to delete"),
            (Verb::Skip, "left out", "to leave out"),
            (Verb::Same, "the same", "the same"),
        ] {
            let Tally { objects, bytes } = self.of(verb);
            if objects > 0 {
                let words = if done { past } else { future };
                parts.push(format!("{} {words}, {}", text::count(objects), text::bytes(bytes)));
            }
        }
        if parts.is_empty() { "there is nothing on either side".to_owned() } else { parts.join("; ") }
    }
}

/// What former attempts recorded, and where this one's events go.
pub struct Past {
    gone: Gone,
    /// By what is carried: a path, or an address.
    of: HashMap<String, Vec<Value>>,
    record: Arc<dyn Fn(Value) + Send + Sync>,
}

impl Past {
    /// See [`Past`].
    pub fn new(earlier: &[Value], record: impl Fn(Value) + Send + Sync + 'static) -> Self {
        let record: Arc<dyn Fn(Value) + Send + Sync> = Arc::new(record);
        let sink = record.clone();
        let mut of = by_owner(earlier);
        // It was carried; that it is to be carried again means that it has changed since.
        of.retain(|_, events| {
            let file = events.iter().rposition(|event| event["event"] == "file");
            events.drain(..file.map_or(0, |at| at + 1));
            !events.is_empty()
        });
        Self { gone: Gone::new(earlier, move |event| sink(event)), of, record }
    }
}

/// Events by the path or address that they speak of, parts by that of their upload.
fn by_owner(events: &[Value]) -> HashMap<String, Vec<Value>> {
    let (mut of, mut owners) = (HashMap::<String, Vec<Value>>::new(), HashMap::<String, String>::new());
    for event in events {
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let owner = text("path").or(text("from")).map(str::to_owned);
        let Some(owner) = owner.or_else(|| owners.get(text("upload_id")?).cloned()) else { continue };
        if let Some(id) = text("upload_id") {
            owners.insert(id.to_owned(), owner.clone());
        }
        of.entry(owner).or_default().push(event.clone());
    }
    of
}

/// Counts what `spec` would delete: by names alone, nothing is compared.
pub async fn count_extras(stores: &Stores, spec: &SyncSpec, control: &Control) -> Result<Tally> {
    let mut sum = Tally::default();
    let mut planner = Planner::new(stores, spec, true, control).await?;
    while let Some(step) = planner.next().await? {
        sum.add(Tally { objects: 1, bytes: step.size });
    }
    planner.unread.map_or(Ok(sum), |err| Err(unread(&err)))
}

fn unread(err: &Error) -> Error {
    Error::new(err.kind(), format!("nothing is deleted, since not all of the source could be read: {err}"))
        .with_hint("make it readable, or sync without deleting")
}

/// Does what the plan says; each step is told to `tell` before it is done, and nothing else where `spec` is a
/// dry run.
pub async fn sync(
    stores: &Stores,
    spec: &SyncSpec,
    control: &Control,
    past: &Past,
    mut tell: impl FnMut(&Step) -> Result<()> + Send,
) -> Result<Synced> {
    spec.check()?;
    let handle = control.race(stores.open(&spec.destination, &control.meter)).await?;
    let mut done = Synced::default();
    if spec.dry_run {
        let mut planner = Planner::new(stores, spec, false, control).await?;
        while let Some(step) = planner.next().await? {
            tell(&step)?;
            done.add(step.verb, step.size);
        }
        return planner.unread.map_or(Ok(done), Err);
    }
    handle.may_delete(&spec.destination)?;
    if spec.delete {
        control.step("counting what would be deleted");
        permitted(spec, &past.gone, count_extras(stores, spec, control).await?)?;
    }
    let carrying = Carrying::new(stores, spec, control, past);
    let unread = carrying.all(&mut done, &mut tell).await?;
    if let Some(err) = unread {
        return Err(err.context("all that could be read is synced; the rest is not"));
    }
    if spec.delete {
        control.step("deleting what is not in the source");
        let gone = extras(stores, spec, control, &past.gone, &mut tell).await?;
        done.steps.insert(Verb::Delete, gone);
    }
    Ok(done)
}

/// Whether so much may be deleted.
fn permitted(spec: &SyncSpec, gone: &Gone, counted: Tally) -> Result<()> {
    let Some(confirmed) = spec.confirmed else { return Ok(()) };
    let left = confirmed.saturating_sub(gone.before().objects);
    if counted.objects > left || (spec.exact && gone.before().objects == 0 && counted.objects != left) {
        let why = format!("{} would be deleted, and {left} confirmed: nothing was done", objects(counted.objects));
        return Err(Error::new(Kind::Changed, why).with_hint("look at the plan (--dry-run), and confirm that number"));
    }
    Ok(())
}

/// Deletes what is not in the source.
async fn extras(
    stores: &Stores,
    spec: &SyncSpec,
    control: &Control,
    gone: &Gone,
    tell: &mut (impl FnMut(&Step) -> Result<()> + Send),
) -> Result<Tally> {
    let handle = stores.open(&spec.destination, &control.meter).await?;
    let base = spec.destination.as_container();
    let most = spec.confirmed.map(|n| n.saturating_sub(gone.before().objects));
    let mut planner = Planner::new(stores, spec, true, control).await?;
    let (mut sum, mut batch) = (Tally::default(), Vec::new());
    loop {
        let step = planner.next().await?;
        let ended = step.is_none();
        if let Some(step) = step {
            tell(&step)?;
            batch.push(Victim::object(format!("{}{}", base.key(), step.name), step.size));
        }
        if batch.len() < store::BATCH && !ended {
            continue;
        }
        if let Some(err) = &planner.unread {
            return Err(unread(err));
        }
        if most.is_some_and(|most| sum.objects + batch.len() as u64 > most) {
            let why = format!("more than the {} confirmed would be deleted: it stopped", most.unwrap_or_default());
            return Err(Error::new(Kind::Changed, why).with_hint("something is being written there: look at it again"));
        }
        control.turn().await?;
        sum.add(delete::batch(&handle, std::mem::take(&mut batch), control, gone).await?);
        if ended {
            return Ok(sum);
        }
    }
}

/// Steps on their way.
struct Carrying<'a> {
    stores: &'a Stores,
    spec: &'a SyncSpec,
    control: &'a Control,
    past: &'a Past,
    /// Those that are under way; their progress makes up ours.
    under_way: Mutex<Vec<Control>>,
}

/// What the plan gives.
enum Planned {
    Step(Step),
    /// With what of the source could not be read.
    End(Option<Error>),
}

/// What became of a load: bytes that were done, and errors.
type Carried = (Vec<Step>, Vec<Error>);

impl<'a> Carrying<'a> {
    fn new(stores: &'a Stores, spec: &'a SyncSpec, control: &'a Control, past: &'a Past) -> Self {
        Self { stores, spec, control, past, under_way: Mutex::default() }
    }

    /// Whether the neighbours take files of this computer in batches.
    fn is_upload(&self) -> bool {
        self.spec.source.scheme() == Scheme::File
    }

    /// Plans and carries; gives what of the source could not be read.
    async fn all(
        &self,
        done: &mut Synced,
        tell: &mut (impl FnMut(&Step) -> Result<()> + Send),
    ) -> Result<Option<Error>> {
        let planner = Planner::new(self.stores, self.spec, false, self.control).await?;
        // A stream, so that a comparison under way goes on while something else is waited for.
        let mut steps = std::pin::pin!(futures::stream::try_unfold(Some(planner), |planner| async move {
            let Some(mut planner) = planner else { return Ok(None) };
            Ok::<_, Error>(Some(match planner.next().await? {
                Some(step) => (Planned::Step(step), Some(planner)),
                None => (Planned::End(planner.unread), None),
            }))
        }));
        let mut unread = None;
        let (load, at_once) = if self.is_upload() { (BATCH, BATCHES) } else { (1, OBJECTS) };
        let mut waiting: Vec<Step> = Vec::new();
        let mut running = FuturesUnordered::new();
        let (mut finished, mut total, mut planned) = (0, 0, false);
        let mut failed: Vec<Error> = Vec::new();
        let mut tick = tokio::time::interval(TICK);
        loop {
            let full = waiting.len() >= load;
            if (full || (planned && !waiting.is_empty())) && running.len() < at_once {
                running.push(self.carry(std::mem::take(&mut waiting)));
                continue;
            }
            if planned && running.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                Some((steps, errors)) = running.next(), if !running.is_empty() => {
                    for step in &steps {
                        done.add(step.verb, step.size);
                        finished += step.size;
                    }
                    for err in errors {
                        if err.kind() == Kind::Cancelled {
                            return Err(err);
                        }
                        self.control.note(err.to_string());
                        failed.push(err);
                    }
                    planned |= failed.len() >= FAILURES || failed.iter().any(|err| err.kind() == Kind::Unreachable);
                    self.sum_up(finished);
                }
                Some(step) = steps.next(), if !planned && !full => match step? {
                    Planned::End(error) => (planned, unread) = (true, error),
                    Planned::Step(step) => {
                        match step.verb {
                            Verb::Copy | Verb::Update => {
                                tell(&step)?;
                                total += step.size;
                                self.control.set_total(total);
                                waiting.push(step);
                            }
                            Verb::Same => done.add(Verb::Same, step.size),
                            Verb::Skip => {
                                tell(&step)?;
                                self.control.note(format!("left out: {} ({})", step.name, step.reason));
                                done.add(Verb::Skip, step.size);
                            }
                            Verb::Delete => {}
                        }
                    }
                },
                _ = tick.tick(), if !running.is_empty() => self.sum_up(finished),
            }
        }
        if let Some(first) = failed.first() {
            let n = failed.len();
            let which = if n == 1 { String::new() } else { format!("{n} failed; the first: ") };
            return Err(first.again().context(format!("{which}syncing")));
        }
        Ok(unread)
    }

    fn sum_up(&self, finished: u64) {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let moving: u64 = under_way.iter().map(|control| control.progress().0).sum();
        let (before, _) = self.control.progress();
        // What was carried a moment ago is counted by its step; it must not seem to go back.
        self.control.set_done((finished + moving).max(before));
        for control in under_way.iter() {
            control.take_notes().into_iter().for_each(|note| self.control.note(note));
        }
    }

    /// Carries a load; gives the steps that are done, and what went wrong.
    async fn carry(&self, steps: Vec<Step>) -> Carried {
        let control = self.control.beneath();
        if let [one] = steps.as_slice() {
            self.control.step(one.name.clone());
        } else {
            self.control.step(format!("{} files", steps.len()));
        }
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).push(control.clone());
        let mut seen = HashMap::new();
        let result = if self.is_upload() {
            self.upload(&steps, &control, &self.past.of, &mut seen).await
        } else {
            self.copy(&steps[0], &control).await
        };
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| !other.is_same(&control));
        match result {
            Ok(()) => (steps, Vec::new()),
            Err(err) if steps.len() == 1 || err.kind() == Kind::Cancelled => (Vec::new(), vec![err]),
            // One file that cannot be sent does not keep the others from it.
            Err(_) => self.one_by_one(steps, seen).await,
        }
    }

    /// `seen` is what the attempt together recorded: those that were sent then are not sent again.
    async fn one_by_one(&self, steps: Vec<Step>, seen: HashMap<String, Vec<Value>>) -> Carried {
        let (mut done, mut errors) = (Vec::new(), Vec::new());
        for step in steps {
            let control = self.control.beneath();
            match self.upload(std::slice::from_ref(&step), &control, &seen, &mut HashMap::new()).await {
                Ok(()) => done.push(step),
                Err(err) => {
                    let ends = matches!(err.kind(), Kind::Cancelled | Kind::Unreachable);
                    errors.push(err);
                    if ends || errors.len() >= FAILURES {
                        break;
                    }
                }
            }
        }
        (done, errors)
    }

    /// From this computer.
    async fn upload(
        &self,
        steps: &[Step],
        control: &Control,
        past: &HashMap<String, Vec<Value>>,
        seen: &mut HashMap<String, Vec<Value>>,
    ) -> Result<()> {
        let folder = self.spec.source.to_path().unwrap_or_default();
        let files: Vec<Source> =
            steps.iter().map(|step| Source { path: folder.join(&step.name), key: Some(step.name.clone()) }).collect();
        let owners = files.iter().filter_map(|file| past.get(file.path.to_str()?));
        let earlier: Vec<Value> = owners.flatten().cloned().collect();
        let (record, recorded) = (self.past.record.clone(), Arc::new(Mutex::new(earlier.clone())));
        let kept = recorded.clone();
        let resume = Resume::new(&earlier, move |event| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
            record(event);
        });
        let spec = UploadSpec {
            files,
            destination: self.spec.destination.as_container(),
            meta: UploadMeta::default(),
            if_exists: IfExists::Overwrite,
            checksum: Checksum::default(),
        };
        let result = upload(self.stores, &spec, control, &resume).await;
        if result.is_err() {
            *seen = by_owner(&recorded.lock().unwrap_or_else(PoisonError::into_inner));
        }
        result.map(drop)
    }

    /// From a store: within the server where it can, else through this computer.
    async fn copy(&self, step: &Step, control: &Control) -> Result<()> {
        let at = |base: &Location| {
            let base = base.as_container();
            base.with_key(format!("{}{}", base.key(), step.name))
        };
        let from = at(&self.spec.source);
        let earlier = self.past.of.get(&from.to_string()).cloned().unwrap_or_default();
        let record = self.past.record.clone();
        let record = CopyRecord::new(&earlier, move |event| record(event));
        let spec = CopySpec {
            recursive: false,
            if_exists: IfExists::Overwrite,
            ..CopySpec::new(vec![from], at(&self.spec.destination))
        };
        copy(self.stores, &spec, control, &record).await.map(drop)
    }
}
