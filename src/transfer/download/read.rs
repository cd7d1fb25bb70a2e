//! Reading one version of an object, range by range: every answer is held against what is known of it, a body
//! that breaks off or falls silent is gone on with where it ended.

use super::sink::Sink;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::NewLine;
use crate::task::Control;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{Attribute, Attributes, GetOptions, GetRange, GetResult, ObjectStore};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often a range is asked for without getting a byte of it.
const TRIES: u32 = 7;
/// The first and the longest wait before it is asked for again.
const WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Which version of an object is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pin {
    pub(super) size: u64,
    pub(super) etag: Option<String>,
    pub(super) modified: Option<DateTime<Utc>>,
}

impl Pin {
    pub(super) fn of(got: &GetResult) -> Self {
        let modified = Some(got.meta.last_modified).filter(|at| at.timestamp() != 0);
        Self { size: got.meta.size, etag: got.meta.e_tag.clone(), modified }
    }

    /// A strong `ETag`: a weak one does not promise the same bytes.
    fn strong(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/") && !etag.is_empty())
    }

    fn options(&self, range: GetRange, again: bool) -> GetOptions {
        let mut options = options(again).with_range(Some(range));
        match self.strong() {
            Some(etag) => options.if_match = Some(etag.to_owned()),
            None => options.if_unmodified_since = self.modified,
        }
        options
    }

    /// Whether the version can be told from another one at all.
    pub(super) fn is_known(&self) -> bool {
        self.strong().is_some() || self.modified.is_some()
    }

    /// Whether this is the same version, so far as both tell.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let plain = |etag: &str| etag.trim_start_matches("W/").trim_matches('"').to_owned();
        let same = match (&self.etag, &other.etag) {
            (Some(one), Some(two)) => plain(one) == plain(two),
            // Times of listings have milliseconds, those of answers whole seconds.
            _ => match (self.modified, other.modified) {
                (Some(one), Some(two)) => one.timestamp() == two.timestamp(),
                _ => true,
            },
        };
        same && self.size == other.size
    }
}

/// An object to read.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    pub(super) location: Location,
    /// How long a body may be silent.
    pub(super) silence: Duration,
}

/// What a request is sent with, `again` over another connection than those that may be the reason.
fn options(again: bool) -> GetOptions {
    GetOptions::new().with_extensions(NewLine::extensions(again))
}

/// What ended a try.
pub(super) enum Fault {
    /// Asking again may help: the network, or a busy server.
    Passing(Error),
    /// It does not.
    Final(Error),
}

impl Fault {
    pub(super) fn of(err: Error) -> Self {
        match err.kind() {
            Kind::Unreachable | Kind::Failed | Kind::Limit | Kind::Invalid => Self::Passing(err),
            _ => Self::Final(err),
        }
    }
}

/// The wait before try `n`, from 1, with some chance in it so that many do not come back at once.
pub(super) fn pause(n: u32) -> Duration {
    let wait = WAIT.saturating_mul(1 << n.saturating_sub(1).min(10)).min(LONGEST_WAIT);
    wait.mul_f64(rand::random_range(0.7..1.3))
}

/// Counts tries that brought nothing.
#[derive(Default)]
pub(super) struct Patience {
    tries: u32,
}

impl Patience {
    /// Whether something was tried before without a byte of it.
    pub(super) fn is_again(&self) -> bool {
        self.tries > 0
    }

    /// Waits before the next try; fails with the error where there were enough.
    pub(super) async fn wait(&mut self, err: Error, progress: bool) -> Result<()> {
        self.tries = if progress { 1 } else { self.tries + 1 };
        if self.tries >= TRIES {
            return Err(err);
        }
        tokio::time::sleep(pause(self.tries)).await;
        Ok(())
    }
}

/// Asks until there is an answer: where a server is `only` busy, else also where it cannot be reached.
pub(super) async fn patiently<T, F>(control: &Control, only_busy: bool, ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut patience = Patience::default();
    loop {
        match control.race(Box::pin(ask())).await.map_err(Fault::of) {
            Ok(answer) => return Ok(answer),
            Err(Fault::Passing(err)) if !only_busy || err.kind() == Kind::Limit => {
                control.race(patience.wait(err, false)).await?;
            }
            Err(Fault::Passing(err) | Fault::Final(err)) => return Err(err),
        }
    }
}

impl Reader {
    /// Asks for all of the object, whichever version it has now.
    pub(super) async fn whole(&self, again: bool) -> Result<GetResult> {
        Ok(self.store.get_opts(&self.path, options(again)).await?)
    }

    /// Asks for a range of this version.
    pub(super) async fn range(&self, pin: &Pin, range: Range<u64>, again: bool) -> Result<GetResult> {
        let options = pin.options(GetRange::Bounded(range.clone()), again);
        let got = self.store.get_opts(&self.path, options).await?;
        let found = Pin::of(&got);
        if !pin.is_same(&found) {
            return Err(changed(&self.location));
        }
        if got.range != range {
            return Err(Error::invalid(format!(
                "the server sent bytes {}–{} of {} where {}–{} were asked for",
                got.range.start, got.range.end, self.location, range.start, range.end
            )));
        }
        Ok(got)
    }

    /// The next bytes of a body; `None` at its end.
    pub(super) async fn next(
        &self,
        body: &mut futures::stream::BoxStream<'static, object_store::Result<Bytes>>,
    ) -> Result<Option<Bytes>> {
        match tokio::time::timeout(self.silence, body.next()).await {
            Ok(next) => Ok(next.transpose()?),
            Err(_) => Err(Error::new(
                Kind::Unreachable,
                format!("{} fell silent in the middle of {}", self.host(), self.location.name()),
            )),
        }
    }

    fn host(&self) -> &str {
        let host = self.location.bucket();
        if host.is_empty() { "the store" } else { host }
    }

    /// Reads what a sink is missing, once; tells each piece that has come.
    pub(super) async fn fill(
        &self,
        pin: &Pin,
        sink: &mut Sink,
        again: bool,
        mut came: impl FnMut(u64),
        mut told: impl FnMut(&Attributes),
    ) -> std::result::Result<(), Fault> {
        let got = self.range(pin, sink.rest(), again).await.map_err(Fault::of)?;
        told(&got.attributes);
        let mut body = got.into_stream();
        while let Some(bytes) = self.next(&mut body).await.map_err(Fault::of)? {
            if !sink.takes(&bytes) {
                return Err(Fault::of(Error::invalid(format!("more of {} came than was asked for", self.location))));
            }
            came(bytes.len() as u64);
            // What the disk does not take, it takes no better the next time.
            sink.push(bytes).await.map_err(Fault::Final)?;
        }
        if sink.rest().is_empty() {
            return Ok(());
        }
        let missing = sink.rest();
        Err(Fault::Passing(Error::new(
            Kind::Unreachable,
            format!("the answer broke off: {} bytes of {} are missing", missing.end - missing.start, self.location),
        )))
    }
}

/// The error for an object that is not what it was.
pub(super) fn changed(location: &Location) -> Error {
    Error::new(Kind::Changed, format!("{location} changed while it was read")).with_hint("try again")
}

/// When the file that became this object was changed: as rclone (`mtime`: seconds since 1970) or s3cmd
/// (`s3cmd-attrs`: `…/mtime:1700000000/…`) note it.
pub(super) fn noted_time<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<SystemTime> {
    metadata.into_iter().find_map(|(key, value)| {
        if key.eq_ignore_ascii_case("mtime") {
            return seconds(value);
        }
        let is_s3cmd = key.eq_ignore_ascii_case("s3cmd-attrs");
        is_s3cmd.then(|| value.split('/').find_map(|field| seconds(field.strip_prefix("mtime:")?)))?
    })
}

/// The same, from the attributes of an answer.
pub(super) fn time_of(attributes: &Attributes) -> Option<SystemTime> {
    noted_time(attributes.iter().filter_map(|(name, value)| match name {
        Attribute::Metadata(key) => Some((key.as_ref(), value.as_ref())),
        _ => None,
    }))
}

/// `1700000000.25`, after 1970 and before the year 10,000.
fn seconds(text: &str) -> Option<SystemTime> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    let digits = rest.get(..9.min(rest.len())).filter(|r| !r.is_empty() && r.bytes().all(|b| b.is_ascii_digit()))?;
    let nanos = digits.parse::<u32>().ok()? * 10_u32.pow(9 - digits.len() as u32);
    let whole: u64 = whole.parse().ok().filter(|s| *s < 253_402_300_800)?;
    Some(SystemTime::UNIX_EPOCH + Duration::new(whole, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_other_programs_noted_are_read() {
        let at = |key: &str, value: &str| {
            noted_time([("other", "1"), (key, value)])
                .map(|at| at.duration_since(SystemTime::UNIX_EPOCH).expect("after").as_secs_f64())
        };
        assert_eq!(at("mtime", "1700000000.25"), Some(1_700_000_000.25));
        assert_eq!(at("Mtime", "1700000000"), Some(1_700_000_000.0));
        assert_eq!(at("s3cmd-attrs", "atime:5/gid:0/mtime:1600000000/uid:0"), Some(1_600_000_000.0));
        for bad in ["", "-1", "yesterday", "1e9", "999999999999999", "5.x", "5.é"] {
            assert_eq!(at("mtime", bad), None, "{bad}");
        }
    }

    #[test]
    fn versions_are_told_apart() {
        let pin = |size, etag: Option<&str>, modified: i64| Pin {
            size,
            etag: etag.map(str::to_owned),
            modified: DateTime::from_timestamp(modified, 5_000_000),
        };
        assert!(pin(1, Some("\"a\""), 1).is_same(&pin(1, Some("a"), 2)));
        assert!(!pin(1, Some("\"a\""), 1).is_same(&pin(1, Some("\"b\""), 1)));
        assert!(!pin(1, None, 1).is_same(&pin(1, Some("\"b\""), 2)));
        assert!(!pin(1, Some("\"a\""), 1).is_same(&pin(2, Some("\"a\""), 1)));
        assert!(pin(1, Some("W/\"a\""), 1).options(GetRange::Offset(0), false).if_match.is_none());
    }
}
