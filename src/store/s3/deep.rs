//! Everything below a prefix, in the order of keys, by several hands.
//!
//! The first pages are asked for one after the other; most listings end with them. Where more is to
//! come, the delimiter shows how the keys are divided, and parts of them are listed at once: whole
//! prefixes where they are few and nothing lies between them, else ranges of keys that hold several,
//! so that a thousand small folders do not cost a thousand requests. Where the delimiter divides
//! nothing, the pages follow one another as for one level.
//!
//! Pages of later parts wait in memory until those before them are sent: at most [`HANDS`] x
//! [`WAITING`] pages, about 30 MB.

use super::lister::Query;
use super::pages::{Chain, Retry, Until, Work, key};
use crate::error::Result;
use crate::listing::Block;
use crate::store::listing::Sender;
use std::collections::VecDeque;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Pages that are asked for before others help.
const ALONE: usize = 3;
/// Parts that are listed at once.
const HANDS: usize = 8;
/// Pages of a part that may wait until those before it are sent.
const WAITING: usize = 48;
/// So many prefixes at most are listed one by one.
const ONE_BY_ONE: usize = 64;
/// Into so many ranges a page of prefixes is divided.
const RANGES: usize = 32;
/// Levels that are gone down where there is but one way.
const LEVELS: usize = 16;

/// A part of the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    prefix: String,
    after: Option<String>,
    until: Option<Until>,
}

/// Where the rest of a listing may be divided.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seams {
    /// Common prefixes, in order. The first may have been begun already.
    prefixes: Vec<String>,
    /// Whether keys of the same level lie between them.
    has_objects: bool,
    /// Whether there are more than were asked for.
    has_more: bool,
}

/// Sends all keys of `query`.
pub(super) async fn send(work: Work, query: Query, sender: &Sender) -> Result<()> {
    let mut chain = Chain::new(work.clone(), query.clone());
    let mut last = None;
    for _ in 0..ALONE {
        let Some(block) = chain.next().await? else { return Ok(()) };
        last = block.rows().next_back().map(|row| key(query.base.key(), &row)).or(last);
        if !sender.send(Ok(block.into())).await {
            return Ok(());
        }
    }
    let mut parts = VecDeque::new();
    let mut rest = None;
    if let Some(last) = last.filter(|_| !chain.is_done()) {
        // Meanwhile the next pages are under way.
        let seams = seams(&work, &query, &last).await;
        (chain.until, parts, rest) = divided(&query, &seams);
    }
    if !send_chain(&mut chain, sender).await? {
        return Ok(());
    }
    // Whose pages are sent next stands first.
    let mut hands: VecDeque<Hand> = VecDeque::new();
    loop {
        while hands.len() < HANDS {
            if parts.is_empty()
                && let Some(after) = rest.take()
            {
                let seams = seams(&work, &query, &after).await;
                let until;
                (until, parts, rest) = divided(&query, &seams);
                parts.push_front(Part { prefix: query.prefix.clone(), after: Some(after), until });
            }
            let Some(part) = parts.pop_front() else { break };
            hands.push_back(Hand::start(&work, &query, part));
        }
        let Some(mut hand) = hands.pop_front() else { return Ok(()) };
        while let Some(block) = hand.pages.recv().await {
            if !sender.send(block.map(Into::into)).await {
                return Ok(());
            }
        }
    }
}

/// Sends what a chain still has; `false` when nobody reads any more.
async fn send_chain(chain: &mut Chain, sender: &Sender) -> Result<bool> {
    while let Some(block) = chain.next().await? {
        if !sender.send(Ok(block.into())).await {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A part under way.
struct Hand {
    pages: mpsc::Receiver<Result<Block>>,
    _task: AbortOnDropHandle<()>,
}

impl Hand {
    fn start(work: &Work, query: &Query, part: Part) -> Self {
        let (sender, pages) = mpsc::channel(WAITING);
        let query = Query { prefix: part.prefix, after: part.after, ..query.clone() };
        let mut chain = Chain::frugal(work.clone(), query, part.until);
        let task = tokio::spawn(async move {
            loop {
                let page = match chain.next().await {
                    Ok(Some(block)) => Ok(block),
                    Ok(None) => return,
                    Err(err) => Err(err),
                };
                let failed = page.is_err();
                if sender.send(page).await.is_err() || failed {
                    return;
                }
            }
        });
        Self { pages, _task: AbortOnDropHandle::new(task) }
    }
}

/// Looks for seams behind the key `after`; a server that does not tell any has none.
async fn seams(work: &Work, query: &Query, after: &str) -> Seams {
    find_seams(work, query, after).await.unwrap_or_default()
}

/// Goes deeper where there is only one way.
async fn find_seams(work: &Work, query: &Query, after: &str) -> Result<Seams> {
    let mut ask = Query { delimited: true, token: None, after: Some(after.to_owned()), ..query.clone() };
    for _ in 0..LEVELS {
        let answer = work.page(&ask, &mut Retry::default()).await?;
        let seams = Seams {
            has_objects: !answer.objects.is_empty(),
            has_more: answer.next.is_some(),
            // A server that does not know where to start begins with what is done.
            prefixes: answer
                .prefixes
                .into_iter()
                .filter(|prefix| prefix.as_str() > after || after.starts_with(prefix.as_str()))
                .collect(),
        };
        match seams.prefixes.as_slice() {
            [only] if !seams.has_objects && !seams.has_more && *only != ask.prefix => ask.prefix.clone_from(only),
            _ => return Ok(seams),
        }
    }
    Ok(Seams::default())
}

/// The end of the part at work, the parts after it, and the key behind which nothing is known yet.
fn divided(query: &Query, seams: &Seams) -> (Option<Until>, VecDeque<Part>, Option<String>) {
    let whole = !seams.has_objects && !seams.has_more && seams.prefixes.len() <= ONE_BY_ONE;
    let (count, step) = (seams.prefixes.len(), if whole { 1 } else { seams.prefixes.len().div_ceil(RANGES).max(1) });
    // Each part begins behind the prefix at its seam; the key that is called like the prefix itself
    // ends the part before.
    let until = |i: usize| seams.prefixes.get(i).map(|key| Until { key: key.clone(), inclusive: !whole });
    let mut parts = VecDeque::new();
    let mut at = step;
    while at < count {
        let prefix = &seams.prefixes[at];
        parts.push_back(if whole {
            Part { prefix: prefix.clone(), after: None, until: None }
        } else {
            Part { prefix: query.prefix.clone(), after: Some(prefix.clone()), until: until(at + step) }
        });
        at += step;
    }
    // The last range is divided further when its turn comes.
    let rest = if seams.has_more && parts.len() > 1 { parts.pop_back().and_then(|part| part.after) } else { None };
    (until(step), parts, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;

    fn query() -> Query {
        let base = Location::parse("s3://b/d/").expect("an address");
        Query { prefix: base.key().to_owned(), base, delimited: false, token: None, after: None }
    }

    fn seams(n: usize, has_objects: bool, has_more: bool) -> Seams {
        Seams { prefixes: (0..n).map(|i| format!("d/{i:04}/")).collect(), has_objects, has_more }
    }

    #[test]
    fn few_prefixes_are_listed_one_by_one() {
        let (until, parts, rest) = divided(&query(), &seams(3, false, false));
        assert_eq!(until, Some(Until { key: "d/0001/".into(), inclusive: false }));
        let prefixes: Vec<&str> = parts.iter().map(|p| p.prefix.as_str()).collect();
        assert_eq!((prefixes, rest), (vec!["d/0001/", "d/0002/"], None));
        assert!(parts.iter().all(|p| p.after.is_none() && p.until.is_none()));
    }

    #[test]
    fn ranges_touch_each_other_and_leave_nothing_out() {
        for (n, has_objects, has_more) in [(2, true, false), (65, false, false), (1000, true, true), (999, false, true)]
        {
            let seams = seams(n, has_objects, has_more);
            let (until, parts, rest) = divided(&query(), &seams);
            let mut end = until;
            for part in &parts {
                assert_eq!(end, part.after.clone().map(|key| Until { key, inclusive: true }), "{n}");
                assert_eq!(part.prefix, "d/");
                end.clone_from(&part.until);
            }
            assert_eq!(end.map(|u| u.key), rest, "{n}");
            assert_eq!(rest.is_some(), has_more && n > 64, "{n}");
            assert!(parts.len() <= RANGES);
        }
    }

    #[test]
    fn without_prefixes_nothing_is_divided() {
        assert_eq!(divided(&query(), &seams(0, true, true)), (None, VecDeque::new(), None));
        assert_eq!(divided(&query(), &seams(1, true, true)), (None, VecDeque::new(), None));
    }
}
