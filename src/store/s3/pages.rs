//! Listings of S3, page by page: buckets, one level, everything below a prefix.
//!
//! Pages are asked for ahead: the token of the next one stands at the beginning of an answer, so that
//! its request is under way while this one arrives. A page that breaks off, stalls or is refused for
//! the moment is asked for again from its token, with growing pauses; what comes of it is exact,
//! because a page counts only once it is whole.

use super::lister::{Lister, Query, Trouble};
use super::xml::Answer;
use super::{S3, time};
use crate::entry::{Entry, EntryKind};
use crate::error::{Kind, Result};
use crate::listing::{Block, Page, Row};
use crate::location::Location;
use crate::store::errors::{Doing, Fault};
use crate::store::listing::Sender;
use crate::store::metered::Traffic;
use crate::text;
use chrono::{DateTime, Utc};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

/// Pages that are under way at once, one after the other. Each holds its answer until it is whole:
/// about 0.4 MB, with the longest keys 10.
const AHEAD: usize = 3;
/// So often the first page is asked for: one waits for it.
const TRIES_FIRST: u32 = 4;
/// So often a later page is: 18 seconds in all, in which a server may start again.
const TRIES: u32 = 6;
/// Pauses grow threefold, from the first to so many times that.
const LONGEST_PAUSE: u32 = 50;

/// An object as a listing knows it.
pub(in crate::store) struct Found {
    pub(in crate::store) key: String,
    pub(in crate::store) size: u64,
    pub(in crate::store) modified: Option<DateTime<Utc>>,
    pub(in crate::store) etag: Option<String>,
}

/// One page of a listing.
#[derive(Default)]
pub(in crate::store) struct Found1000 {
    pub(in crate::store) prefixes: Vec<String>,
    pub(in crate::store) objects: Vec<Found>,
    /// With what the next page is asked for.
    pub(in crate::store) next: Option<String>,
}

/// What several chains of one listing share.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) s3: Arc<S3>,
    pub(super) traffic: Option<Traffic>,
    /// Who is told what happens.
    pub(super) notes: Option<Sender>,
    /// Entries so far.
    pub(super) listed: Arc<AtomicU64>,
}

impl Work {
    pub(super) fn lister(&self) -> &Lister {
        &self.s3.lister
    }

    async fn note(&self, note: String) {
        if let Some(notes) = &self.notes {
            notes.send(Ok(Page::Note(note))).await;
        }
    }

    /// Asks for a page until it is there or there is no hope.
    pub(super) async fn page(&self, query: &Query, retry: &mut Retry) -> Result<Answer> {
        loop {
            match self.lister().ask(self.traffic.as_ref(), query, retry.tries > 0, None).await {
                Ok(answer) => {
                    *retry = Retry::default();
                    return Ok(answer);
                }
                Err(trouble) => retry.after(trouble, query, self).await?,
            }
        }
    }
}

/// What was tried since the last page.
#[derive(Default)]
pub(super) struct Retry {
    tries: u32,
    renewed: bool,
}

impl Retry {
    /// Waits until the page of `query` may be asked for again; fails where that is of no use.
    async fn after(&mut self, trouble: Trouble, query: &Query, work: &Work) -> Result<()> {
        let (fault, keys) = match trouble {
            Trouble::Error(err) => return Err(err),
            Trouble::Fault(fault, keys) => (fault, keys),
        };
        let begun = query.token.is_some() || work.listed.load(Relaxed) > 0;
        if let (Some(keys), Some(source)) = (&keys, &work.lister().keys)
            && !self.renewed
            && is_about_keys(&fault, begun || work.s3.site.temporary)
        {
            self.renewed = true;
            if source.renew(keys).await? {
                work.note("the credentials were no longer accepted: new ones were got".to_owned()).await;
                return Ok(());
            }
        }
        let sentence = work.s3.site.sentence(&fault, Doing::List, &query.prefix);
        self.tries += 1;
        // A server that says that it is busy is there, and asks for patience.
        let tries = if begun || fault.is_busy() { TRIES } else { TRIES_FIRST };
        if !is_passing(&fault, begun) || self.tries >= tries {
            // A refusal keeps its own advice: waiting is of no use there.
            return Err(if begun && sentence.kind() != Kind::Denied {
                sentence.with_hint("what was listed stays; list it again later")
            } else {
                sentence
            });
        }
        let pause = pause(work.lister().patience.pause, self.tries);
        // The first page is not waited for long enough to speak of it.
        if begun {
            let so_far = text::count(work.listed.load(Relaxed));
            let (again, words) = (ordinal(self.tries + 1), text::duration(pause));
            work.note(format!("{sentence}: {again} try of {tries} in {words}, {so_far} entries so far")).await;
        }
        if let Some(traffic) = &work.traffic {
            traffic.meter.retried();
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

fn ordinal(n: u32) -> String {
    match n {
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        n => format!("{n}th"),
    }
}

/// The pause after so many tries: growing, and never the same for all who wait.
fn pause(first: Duration, tries: u32) -> Duration {
    let whole = first * 3_u32.saturating_pow(tries.saturating_sub(1)).min(LONGEST_PAUSE);
    whole.mul_f64(rand::random_range(0.75..1.0))
}

/// Whether the same request may well succeed later. A server that has answered already is believed to
/// come back; one that was never reached is not waited for.
fn is_passing(fault: &Fault, begun: bool) -> bool {
    fault.is_passing()
        || matches!(fault.code.as_str(), "Truncated" | "Stalled")
        || (begun && matches!(fault.code.as_str(), "Timeout" | "NoRoute" | "Dns"))
}

/// Whether other keys may help. A refusal in mid-listing, or of keys that end some time, is most often
/// about those that have run out; some servers only say that they refuse.
pub(super) fn is_about_keys(fault: &Fault, suspicious: bool) -> bool {
    let codes = ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired", "InvalidToken"];
    codes.contains(&fault.code.as_str()) || (suspicious && matches!(fault.status, Some(401 | 403)))
}

/// A request under way.
struct Fetch {
    token: Option<String>,
    page: AbortOnDropHandle<std::result::Result<Answer, Trouble>>,
}

/// Where a chain ends before its prefix does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Until {
    pub(super) key: String,
    pub(super) inclusive: bool,
}

impl Until {
    fn is_before(&self, key: &str) -> bool {
        if self.inclusive { key > self.key.as_str() } else { key >= self.key.as_str() }
    }
}

/// The pages of one query, one after the other.
pub(super) struct Chain {
    work: Work,
    /// Of the next page to be delivered.
    query: Query,
    pub(super) until: Option<Until>,
    /// At most so many requests are under way.
    ahead: usize,
    under_way: VecDeque<Fetch>,
    /// The token that follows the last of those under way.
    early: Option<oneshot::Receiver<String>>,
    retry: Retry,
    last_prefix: Option<String>,
    is_done: bool,
}

impl Chain {
    pub(super) fn new(work: Work, query: Query) -> Self {
        Self {
            work,
            query,
            until: None,
            ahead: AHEAD,
            under_way: VecDeque::new(),
            early: None,
            retry: Retry::default(),
            last_prefix: None,
            is_done: false,
        }
    }

    /// One that asks for nothing that it may not need.
    pub(super) fn frugal(work: Work, query: Query, until: Option<Until>) -> Self {
        Self { ahead: if until.is_some() { 1 } else { 2 }, until, ..Self::new(work, query) }
    }

    /// Whether the last page was delivered.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    fn start(&mut self, token: Option<String>) {
        let (sender, early) = oneshot::channel();
        let (work, query) = (self.work.clone(), Query { token: token.clone(), ..self.query.clone() });
        let again = self.retry.tries > 0;
        let ask = async move { work.lister().ask(work.traffic.as_ref(), &query, again, Some(sender)).await };
        let page = tokio::spawn(ask);
        self.under_way.push_back(Fetch { token, page: AbortOnDropHandle::new(page) });
        self.early = Some(early);
    }

    fn forget_ahead(&mut self) {
        self.under_way.clear();
        self.early = None;
    }

    /// The answer to the first request under way; others are started meanwhile.
    async fn answer(&mut self) -> std::result::Result<Answer, Trouble> {
        if self.under_way.is_empty() {
            self.start(self.query.token.clone());
        }
        loop {
            let room = self.under_way.len() < self.ahead;
            let Some(front) = self.under_way.front_mut() else {
                return Err(Fault::of_code("Truncated").into());
            };
            tokio::select! {
                biased;
                token = async { self.early.as_mut()?.await.ok() }, if room && self.early.is_some() => {
                    self.early = None;
                    if token.is_some() {
                        self.start(token);
                    }
                }
                page = &mut front.page => {
                    self.under_way.pop_front();
                    // A task that failed is a request that broke off.
                    return match page {
                        Ok(answer) => answer,
                        Err(_) => Err(Fault::of_code("Truncated").into()),
                    };
                }
            }
        }
    }

    /// The next entries; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Block>> {
        while !self.is_done {
            let answer = match self.answer().await {
                Ok(answer) => answer,
                Err(trouble) => {
                    self.forget_ahead();
                    self.retry.after(trouble, &self.query, &self.work).await?;
                    continue;
                }
            };
            self.retry = Retry::default();
            if answer.next.is_some() && answer.next == self.query.token {
                return Err(self.work.s3.site.sentence(&Fault::of_code("NoNext"), Doing::List, ""));
            }
            // What was asked for ahead counts only where it is what follows.
            if self.under_way.front().is_some_and(|fetch| fetch.token != answer.next) {
                self.forget_ahead();
            }
            self.query.token.clone_from(&answer.next);
            self.is_done = answer.next.is_none();
            let block = self.cut(self.merged(answer));
            if self.is_done {
                self.forget_ahead();
            }
            if let Some(last) = block.len().checked_sub(1).map(|i| block.row(i))
                && last.kind() == EntryKind::Prefix
            {
                self.last_prefix = Some(last.name().to_owned());
            }
            self.work.listed.fetch_add(block.len() as u64, Relaxed);
            return Ok(Some(block));
        }
        Ok(None)
    }

    /// Objects and prefixes of an answer in the order of their names.
    fn merged(&self, answer: Answer) -> Block {
        if answer.prefixes.is_empty() {
            return answer.objects;
        }
        let from = self.query.base.key().len();
        // Some servers begin a page with the prefix that ended the one before.
        let mut prefixes = answer
            .prefixes
            .iter()
            .map(|prefix| prefix.get(from..).unwrap_or(prefix))
            .filter(|name| self.last_prefix.as_deref() != Some(*name))
            .peekable();
        let objects = answer.objects;
        let mut block = Block::with_capacity(objects.len() + answer.prefixes.len(), 0);
        for row in objects.rows() {
            while let Some(name) = prefixes.next_if(|name| *name < row.name()) {
                block.push(EntryKind::Prefix, name);
            }
            block.push_row(&row);
        }
        prefixes.for_each(|name| block.push(EntryKind::Prefix, name));
        block
    }

    /// Only what lies within the range: some servers do not know where to start, none where to end.
    fn cut(&mut self, block: Block) -> Block {
        let base = self.query.base.key();
        let is_early = |row: &Row<'_>| self.query.after.as_ref().is_some_and(|after| key(base, row) <= *after);
        let is_late = |row: &Row<'_>| self.until.as_ref().is_some_and(|until| until.is_before(&key(base, row)));
        let (Some(first), Some(last)) = (block.rows().next(), block.rows().next_back()) else { return block };
        if !is_early(&first) && !is_late(&last) {
            return block;
        }
        let is_over = is_late(&last);
        let mut kept = Block::default();
        block.rows().filter(|row| !is_early(row) && !is_late(row)).for_each(|row| kept.push_row(&row));
        self.is_done |= is_over;
        kept
    }
}

/// The whole key of an entry. One that stands for the listed prefix itself leads there.
pub(super) fn key(base: &str, row: &Row<'_>) -> String {
    match row.more().and_then(|more| more.target.as_ref()) {
        Some(target) => target.key().to_owned(),
        None => format!("{base}{}", row.name()),
    }
}

/// Sends all pages of one level below `base`, or with `deep` all keys below it.
pub(in crate::store) async fn send(s3: Arc<S3>, traffic: Traffic, base: Location, deep: bool, sender: Sender) {
    let work = Work { s3, traffic: Some(traffic), notes: Some(sender.clone()), listed: Arc::default() };
    let prefix = base.key().to_owned();
    let query = Query { base, prefix, delimited: !deep, token: None, after: None };
    let sent =
        if deep { super::deep::send(work, query, &sender).await } else { send_chain(work, query, &sender).await };
    if let Err(err) = sent {
        sender.send(Err(err)).await;
    }
}

async fn send_chain(work: Work, query: Query, sender: &Sender) -> Result<()> {
    let mut chain = Chain::new(work, query);
    while let Some(block) = chain.next().await? {
        if !sender.send(Ok(block.into())).await {
            break;
        }
    }
    Ok(())
}

/// One page of keys that begin with `prefix`; with `delimited`, those below a further `/` come as
/// prefixes. Its caller counts and limits it.
pub(in crate::store) async fn page(
    s3: &Arc<S3>,
    prefix: &str,
    delimited: bool,
    token: Option<String>,
    after: Option<String>,
) -> Result<Found1000> {
    let work = Work { s3: s3.clone(), traffic: None, notes: None, listed: Arc::default() };
    let base = Location::new(s3.site.scheme, s3.site.profile.clone(), &s3.site.bucket, "");
    let query = Query { base, prefix: prefix.to_owned(), delimited, token, after };
    let answer = work.page(&query, &mut Retry::default()).await?;
    let objects = answer.objects.rows().map(|row| Found {
        key: row.name().to_owned(),
        size: row.size().unwrap_or_default(),
        modified: row.modified(),
        etag: row.etag().map(str::to_owned),
    });
    Ok(Found1000 { objects: objects.collect(), prefixes: answer.prefixes, next: answer.next })
}

impl S3 {
    /// Sends the buckets of the account.
    pub(in crate::store) async fn send_buckets(&self, traffic: Traffic, sender: Sender) {
        let mut token = None::<String>;
        loop {
            let answer = self
                .call(Some(&traffic), 0, |tap| {
                    let request = self.client.list_buckets().set_continuation_token(token.clone());
                    request.customize().interceptor(tap).send()
                })
                .await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(failure) => {
                    sender.send(Err(self.sentence(&failure, Doing::ListBuckets, ""))).await;
                    return;
                }
            };
            let entries = answer
                .buckets
                .unwrap_or_default()
                .into_iter()
                .filter_map(|bucket| {
                    let mut entry = Entry::new(EntryKind::Bucket, bucket.name()?);
                    entry.modified = bucket.creation_date().and_then(time);
                    Some(entry)
                })
                .collect::<Block>();
            if !sender.send(Ok(entries.into())).await
                || answer.continuation_token.is_none()
                || answer.continuation_token == token
            {
                return;
            }
            token = answer.continuation_token;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        for (tries, longest) in [(1, 200), (2, 600), (3, 1800), (4, 5400), (5, 10_000), (40, 10_000)] {
            let pause = pause(Duration::from_millis(200), tries).as_millis();
            assert!(pause <= longest && pause >= longest * 3 / 4, "{tries}: {pause}");
        }
    }
}
