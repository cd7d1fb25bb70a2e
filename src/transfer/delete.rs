//! Deleting objects, prefixes and folders.
//!
//! All that would go is counted first. A number that was confirmed is a limit: where there is more by now,
//! nothing is deleted, and where more comes while it runs, it stops. What is deleted is recorded batch by
//! batch, and a later attempt lists again what is left; so a crash costs one batch that is asked for twice,
//! which deletes nothing more.
//!
//! | event | fields |
//! |---|---|
//! | `counted` | `objects`, `bytes`: what there was before the first deletion |
//! | `deleted` | `objects`, `bytes` of one batch |

use crate::du::Tally;
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::{self, StoreHandle, Stores, Victim};
use crate::task::Control;
use crate::text;
use futures::stream::{BoxStream, FuturesUnordered, StreamExt as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Batches under way at once.
const HANDS: usize = 4;
/// How often what a server refused is tried in all.
const TRIES: u32 = 3;
/// Names that a survey keeps, and failures that are told one by one.
const TOLD: usize = 20;

/// What is to go.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Target {
    /// An object, or what all of it begins with.
    pub location: Location,
    /// All that lies below it, and not the one object of this key.
    #[serde(default)]
    pub below: bool,
}

/// What to delete, and how much of it at most. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeleteSpec {
    /// Objects and prefixes.
    pub targets: Vec<Target>,
    /// Every version and mark of deletion, for good.
    #[serde(default)]
    pub versions: bool,
    /// The number that the user has confirmed; `None`: as many as there are.
    #[serde(default)]
    pub confirmed: Option<u64>,
    /// Fewer than confirmed are refused too.
    #[serde(default)]
    pub exact: bool,
}

/// What was deleted, by all attempts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Deleted {
    /// Objects (or versions) and their bytes.
    #[serde(flatten)]
    pub tally: Tally,
    /// They are only marked as deleted: the bucket keeps their versions.
    pub marked: bool,
}

/// A count under way of what would go. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Survey(Arc<Mutex<Found>>);

#[derive(Clone, Debug, Default)]
struct Found {
    tally: Tally,
    names: Vec<String>,
}

impl Survey {
    /// The total so far, and the first names.
    pub fn now(&self) -> (Tally, Vec<String>) {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (found.tally, found.names.clone())
    }

    fn add(&self, page: &[Victim]) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.tally.add(tally(page));
        let room = TOLD.saturating_sub(found.names.len());
        found.names.extend(page.iter().filter(|v| !v.folder).take(room).map(|v| v.key.clone()));
    }
}

/// What former attempts deleted, and where this one's events go.
#[derive(Default)]
pub struct Gone {
    begun: bool,
    before: Tally,
    record: Option<Box<dyn Fn(Value) + Send + Sync>>,
}

impl Gone {
    /// What former attempts recorded, and a sink for what this one records.
    pub fn new(earlier: &[Value], record: impl Fn(Value) + Send + Sync + 'static) -> Self {
        let mut gone = Self { record: Some(Box::new(record)), ..Self::default() };
        for event in earlier {
            let number = |name: &str| event.get(name).and_then(Value::as_u64).unwrap_or(0);
            match event.get("event").and_then(Value::as_str) {
                Some("counted") => gone.begun = true,
                Some("deleted") => gone.before.add(Tally { objects: number("objects"), bytes: number("bytes") }),
                _ => {}
            }
        }
        gone
    }

    /// What former attempts deleted.
    pub(super) fn before(&self) -> Tally {
        self.before
    }

    fn record(&self, event: &str, tally: Tally) {
        if let Some(record) = &self.record {
            record(json!({ "event": event, "objects": tally.objects, "bytes": tally.bytes }));
        }
    }
}

fn tally(page: &[Victim]) -> Tally {
    let mut sum = Tally::default();
    page.iter().filter(|v| !v.folder).for_each(|v| sum.add(Tally { objects: 1, bytes: v.size }));
    sum
}

/// `1 object`, `1,204 objects`.
pub fn objects(n: u64) -> String {
    if n == 1 { "1 object".to_owned() } else { format!("{} objects", text::count(n)) }
}

/// Whether deleting without `versions` only sets marks there.
pub async fn keeps_versions(handle: &StoreHandle) -> bool {
    handle.versioning().await.known().is_some_and(|told| told.value == json!("Enabled"))
}

/// Without what is named twice, or lies below another of them.
fn distinct(targets: &[Target]) -> Vec<Target> {
    let below: BTreeSet<Location> = targets.iter().filter(|t| t.below).map(|t| t.location.as_container()).collect();
    let is_covered = |target: &Target| {
        let (at, key) = (&target.location, target.location.key());
        let own = target.below.then(|| at.as_container());
        let above = std::iter::once(0).chain(key.match_indices('/').map(|(i, _)| i + 1));
        above.map(|end| at.with_key(&key[..end])).any(|above| own.as_ref() != Some(&above) && below.contains(&above))
    };
    let mut seen = BTreeSet::new();
    let kept = targets.iter().filter(|target| !is_covered(target));
    kept.filter(|t| seen.insert((t.location.clone(), t.below))).cloned().collect()
}

/// Refuses what nobody may delete, before anything is asked.
fn check(spec: &DeleteSpec) -> Result<()> {
    if spec.targets.is_empty() {
        return Err(Error::usage("nothing is named that could be deleted"));
    }
    for Target { location, below } in &spec.targets {
        if location.is_account() {
            return Err(Error::usage("buckets are not deleted: name what is in them"));
        }
        if let Some(path) = location.to_path() {
            let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
            if *below && store::is_precious(&path, home.as_deref()) {
                return Err(store::refused(&path));
            }
        }
        if !below && location.key().is_empty() {
            return Err(Error::usage(format!("{location} is not an object")).with_hint("-r deletes all that is in it"));
        }
    }
    Ok(())
}

type Pages = BoxStream<'static, Result<Vec<Victim>>>;

fn only(victim: Victim) -> Pages {
    futures::stream::iter([Ok(vec![victim])]).boxed()
}

/// All that goes with a target.
async fn doomed(handle: &StoreHandle, target: &Target, versions: bool) -> Result<Pages> {
    let at = &target.location;
    if at.scheme() == Scheme::File {
        return on_disk(handle, target);
    }
    if at.version().is_some() || (versions && !target.below) {
        return Ok(handle.victims_of_one(at));
    }
    if !target.below {
        let size = handle.stat(at).await.map_err(|err| missing(err, at))?.size;
        return Ok(only(Victim::object(at.key(), size)));
    }
    let mut pages = handle.victims(at, versions);
    loop {
        match pages.next().await {
            Some(Ok(page)) if page.is_empty() => {}
            Some(first) => return Ok(futures::stream::iter([first]).chain(pages).boxed()),
            None if at.is_container() => return Ok(pages),
            // Nothing lies below: it may be an object itself, as it is to `du`.
            None if versions => return Ok(handle.victims_of_one(at)),
            None => return Ok(handle.stat(at).await.map_or(pages, |stat| only(Victim::object(at.key(), stat.size)))),
        }
    }
}

/// A link goes by itself, whatever it leads to and however it is written.
fn on_disk(handle: &StoreHandle, target: &Target) -> Result<Pages> {
    let plain = target.location.key().trim_end_matches('/');
    let about = Path::new(plain).symlink_metadata().map_err(|err| missing(err.into(), &target.location))?;
    if !about.is_dir() {
        return Ok(only(Victim::object(plain, about.len())));
    }
    if !target.below {
        return Err(
            Error::usage(format!("{} is a folder", target.location)).with_hint("-r deletes it with its contents")
        );
    }
    Ok(handle.victims(&target.location.with_key(plain), false))
}

fn missing(err: Error, at: &Location) -> Error {
    if err.kind() != Kind::NotFound {
        return err;
    }
    let hint = if at.is_container() { "-r deletes all that lies below it" } else { "check its name" };
    Error::new(Kind::NotFound, format!("there is no object {at}")).with_hint(hint)
}

/// Counts what would go; the total so far is in `survey`.
pub async fn survey(stores: &Stores, spec: &DeleteSpec, control: &Control, survey: &Survey) -> Result<Tally> {
    check(spec)?;
    let mut sum = Tally::default();
    for target in distinct(&spec.targets) {
        let handle = control.race(stores.open(&target.location, &control.meter)).await?;
        handle.may_delete(&target.location)?;
        let mut pages = control.race(doomed(&handle, &target, spec.versions)).await?;
        while let Some(page) = control.race(async { Ok::<_, Error>(pages.next().await) }).await? {
            let page = page?;
            control.turn().await?;
            survey.add(&page);
            sum.add(tally(&page));
        }
    }
    Ok(sum)
}

/// Deletes what `spec` names; see the top of this file.
pub async fn delete(stores: &Stores, spec: &DeleteSpec, control: &Control, gone: &Gone) -> Result<Deleted> {
    control.step("counting what is there");
    let counted = match survey(stores, spec, control, &Survey::default()).await {
        // An attempt before has ended with it.
        Err(err) if err.kind() == Kind::NotFound && gone.begun => Tally::default(),
        other => other?,
    };
    permitted(spec, gone, counted)?;
    if !gone.begun {
        gone.record("counted", counted);
    }
    control.set_total(gone.before.objects + counted.objects);
    control.set_done(gone.before.objects);
    let mut work = Work { spec, control, gone, taken: 0, deleted: Tally::default(), failed: Vec::new(), failures: 0 };
    let mut marked = BTreeMap::new();
    for target in distinct(&spec.targets) {
        let handle = control.race(stores.open(&target.location, &control.meter)).await?;
        let store = target.location.store().clone();
        if !spec.versions && target.location.version().is_none() && !marked.contains_key(&store) {
            marked.insert(store, keeps_versions(&handle).await);
        }
        match work.target(&handle, &target).await {
            Err(err) if err.kind() == Kind::NotFound && gone.begun => {}
            other => other?,
        }
    }
    let mut sum = gone.before;
    sum.add(work.deleted);
    work.end(counted)?;
    Ok(Deleted { tally: sum, marked: marked.values().any(|marked| *marked) })
}

/// Whether so much may be deleted.
fn permitted(spec: &DeleteSpec, gone: &Gone, counted: Tally) -> Result<()> {
    if counted.objects == 0 && !gone.begun {
        // Folders without a file in them go without a question.
        let at = &spec.targets[0].location;
        if at.scheme() != Scheme::File {
            return Err(Error::new(Kind::NotFound, format!("there is nothing at or below {at}")));
        }
    }
    let Some(confirmed) = spec.confirmed else { return Ok(()) };
    let left = confirmed.saturating_sub(gone.before.objects);
    let differs = counted.objects > left || (spec.exact && !gone.begun && counted.objects != left);
    if !differs {
        return Ok(());
    }
    let verb = if counted.objects == 1 { "is" } else { "are" };
    let (now, said) = (objects(counted.objects), text::count(left));
    Err(Error::new(Kind::Changed, format!("there {verb} {now}, and {said} confirmed: nothing was deleted"))
        .with_hint("look at what is there, and confirm that number"))
}

/// A deletion under way.
struct Work<'a> {
    spec: &'a DeleteSpec,
    control: &'a Control,
    gone: &'a Gone,
    /// Objects that were taken on, deleted or not.
    taken: u64,
    deleted: Tally,
    failed: Vec<Error>,
    failures: u64,
}

impl Work<'_> {
    async fn target(&mut self, handle: &StoreHandle, target: &Target) -> Result<()> {
        let mut pages = self.control.race(doomed(handle, target, self.spec.versions)).await?;
        // A folder goes behind its contents.
        let hands = if target.location.scheme() == Scheme::File { 1 } else { HANDS };
        let mut running = FuturesUnordered::new();
        let mut ended = Ok(());
        loop {
            while running.len() >= hands {
                self.take(running.next().await);
            }
            let page = match self.page(&mut pages, target).await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(err) => {
                    ended = Err(err);
                    break;
                }
            };
            for batch in page.chunks(store::BATCH) {
                running.push(batch_of(handle, batch.to_vec(), self.control));
            }
        }
        // What was sent is not taken back: its answers are waited for, and recorded.
        let mut broken = None;
        while let Some(answer) = running.next().await {
            broken = self.take(Some(answer)).or(broken);
        }
        ended?;
        broken.map_or(Ok(()), Err)
    }

    /// The next page, as far as it may be deleted.
    async fn page(&mut self, pages: &mut Pages, target: &Target) -> Result<Option<Vec<Victim>>> {
        self.control.turn().await?;
        if let Some(err) = self.failed.iter().find(|err| is_hopeless(err.kind())) {
            return Err(err.again());
        }
        let Some(page) = self.control.race(async { Ok::<_, Error>(pages.next().await) }).await? else {
            return Ok(None);
        };
        let page = page?;
        let key = target.location.key().trim_end_matches('/');
        if let Some(stray) = page.iter().find(|victim| !victim.key.starts_with(key)) {
            // Nothing else may be lost by the mistake of a server.
            let at = target.location.with_key(stray.key.clone());
            return Err(Error::invalid(format!(
                "the server listed {at}, which does not lie below {}",
                target.location
            )));
        }
        self.taken += tally(&page).objects;
        let most = self.spec.confirmed.map(|n| n.saturating_sub(self.gone.before.objects));
        if most.is_some_and(|most| self.taken > most) {
            let confirmed = self.spec.confirmed.unwrap_or_default();
            return Err(Error::new(
                Kind::Changed,
                format!("there are more objects than the {} confirmed: it stopped", text::count(confirmed)),
            )
            .with_hint("something is being written there: look again, and confirm the new number"));
        }
        Ok(Some(page))
    }

    /// Keeps what became of a batch; an error is that of the whole batch.
    fn take(&mut self, answer: Option<Answer>) -> Option<Error> {
        let answer = answer?;
        self.deleted.add(answer.deleted);
        if answer.deleted != Tally::default() {
            self.gone.record("deleted", answer.deleted);
        }
        self.control.advance(answer.deleted.objects);
        let (done, total) = self.control.progress();
        self.control.step(format!("{} of {} objects", text::count(done), text::count(total)));
        self.failures += answer.failed.len() as u64 + u64::from(answer.broken.is_some());
        for err in answer.failed {
            if self.failed.len() < TOLD {
                self.control.note(err.to_string());
                self.failed.push(err);
            }
        }
        let broken = answer.broken?;
        self.failed.push(broken.again());
        Some(broken)
    }

    /// Says what could not be deleted.
    fn end(&self, counted: Tally) -> Result<()> {
        let Some(first) = self.failed.first() else { return Ok(()) };
        let (failures, all) = (text::count(self.failures), objects(counted.objects));
        Err(Error::new(first.kind(), format!("{failures} of {all} could not be deleted: {first}"))
            .with_hint("the others are gone; resume the job to try these again"))
    }
}

/// Whether every further request would end like this one.
fn is_hopeless(kind: Kind) -> bool {
    matches!(kind, Kind::Unreachable | Kind::Cancelled)
}

/// What became of a batch.
#[derive(Default)]
struct Answer {
    deleted: Tally,
    failed: Vec<Error>,
    /// The request itself failed.
    broken: Option<Error>,
}

/// Deletes a batch, and records it; all of it or an error.
pub(super) async fn batch(handle: &StoreHandle, victims: Vec<Victim>, control: &Control, gone: &Gone) -> Result<Tally> {
    let answer = batch_of(handle, victims, control).await;
    if answer.deleted != Tally::default() {
        gone.record("deleted", answer.deleted);
    }
    answer.broken.or(answer.failed.into_iter().next()).map_or(Ok(answer.deleted), Err)
}

/// Deletes a batch; what failed is tried again, and only that.
async fn batch_of(handle: &StoreHandle, mut left: Vec<Victim>, control: &Control) -> Answer {
    let mut answer = Answer::default();
    for attempt in 1..=TRIES {
        let refused = match handle.delete_many(&left).await {
            Ok(refused) => refused,
            Err(err) => {
                answer.broken = Some(err);
                return answer;
            }
        };
        let mut sum = tally(&left);
        let mut again = Vec::new();
        for (i, err) in refused {
            let lost = tally(std::slice::from_ref(&left[i]));
            sum.objects -= lost.objects;
            sum.bytes -= lost.bytes;
            let passing = matches!(err.kind(), Kind::Failed | Kind::Unreachable | Kind::Limit);
            if passing && attempt < TRIES && !control.is_cancelled() {
                again.push(left[i].clone());
            } else {
                answer.failed.push(err);
            }
        }
        answer.deleted.add(sum);
        if again.is_empty() {
            return answer;
        }
        left = again;
        tokio::time::sleep(Duration::from_millis(200) * attempt).await;
    }
    answer
}

#[cfg(test)]
mod tests;
