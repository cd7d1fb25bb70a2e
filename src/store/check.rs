//! Whether a place works: does it answer, is it trusted, how far is it, who am I there, which buckets
//! are mine. Each answer is told as it comes, and what fails says so in its own sentence.

use super::clock;
use super::errors::{Doing, Fault, Site, chain};
use super::profiles::Profiles;
use super::{Stores, other, places, transport};
use crate::error::{Error, Result};
use crate::location::{Location, Scheme};
use crate::text;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use http::{Method, header};
use object_store::client::{HttpClient, HttpRequestBody};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Requests whose median is the round-trip time, after a first one that opens the connection.
const KNOCKS: usize = 5;
/// How long one of them is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// From here on it is worth a word.
const DRIFT: i64 = 60;
/// Bytes of an answer's body that are read, so that its connection can be used again.
const BODY: usize = 64 * 1024;
/// Bytes of a document on the web that are looked at.
const LOOK: u64 = 256 * 1024;

/// What a finding is about, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Whether anybody answers, and what it calls itself.
    Server,
    /// TLS.
    Trust,
    /// The clocks.
    Clock,
    /// Round-trip time.
    Time,
    /// Where the credentials come from, and until when they last.
    Keys,
    /// Who the server says one is.
    Who,
    /// The region.
    Region,
    /// The buckets of the account.
    Buckets,
    /// Where the place starts.
    Start,
}

impl Topic {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Trust => "TLS",
            Self::Clock => "clock",
            Self::Time => "round trip",
            Self::Keys => "keys",
            Self::Who => "who am I",
            Self::Region => "region",
            Self::Buckets => "buckets",
            Self::Start => "starts at",
        }
    }
}

/// One answer of a check. Holds no secret.
#[derive(Debug)]
pub struct Finding {
    /// What it is about.
    pub topic: Topic,
    /// What was found, in words.
    pub result: Result<String>,
    /// It works, and the user should know all the same.
    pub warns: bool,
    /// The same as data, for scripts; null where the words are all.
    pub data: Value,
}

/// Where findings are told.
pub(super) struct Report(mpsc::UnboundedSender<Finding>);

impl Report {
    fn tell(&self, topic: Topic, result: Result<String>, warns: bool, data: Value) {
        // Nobody listens any more: the check ends with its stream.
        let _ = self.0.send(Finding { topic, result, warns, data });
    }

    pub(super) fn good(&self, topic: Topic, words: impl Into<String>) {
        self.tell(topic, Ok(words.into()), false, Value::Null);
    }

    pub(super) fn with(&self, topic: Topic, words: impl Into<String>, data: Value) {
        self.tell(topic, Ok(words.into()), false, data);
    }

    pub(super) fn warn(&self, topic: Topic, words: impl Into<String>) {
        self.tell(topic, Ok(words.into()), true, Value::Null);
    }

    pub(super) fn bad(&self, topic: Topic, err: Error) {
        self.tell(topic, Err(err), false, Value::Null);
    }
}

impl Stores {
    /// Checks a place. Nothing is written. The work ends with the stream.
    pub fn check(&self, location: &Location) -> BoxStream<'static, Finding> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (stores, location) = (self.clone(), location.clone());
        let work = async move { stores.look_into(&location, &Report(sender)).await };
        let found = futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let work = work.into_stream().filter_map(|()| std::future::ready(None));
        futures::stream::select(found, work).boxed()
    }

    async fn look_into(&self, location: &Location, report: &Report) {
        match location.scheme() {
            Scheme::S3 => match self.account(location.store()) {
                Ok(account) => account.look_into(self, location, report).await,
                Err(err) => report.bad(Topic::Keys, err),
            },
            Scheme::Gs | Scheme::Az => {
                let options = self.options_now();
                match other::endpoint(&options, location.store()) {
                    Ok(endpoint) => {
                        if self.knock_at(location, &endpoint, report).await {
                            self.list_start(location, report).await;
                        }
                    }
                    Err(err) => report.bad(Topic::Server, err),
                }
            }
            Scheme::Http | Scheme::Https => {
                if self.knock_at(location, &location.to_string(), report).await {
                    self.read_start(location, report).await;
                }
            }
            Scheme::File | Scheme::Memory => self.list_start(location, report).await,
        }
    }

    /// Knocks at what is not S3; tells whether it answers.
    async fn knock_at(&self, location: &Location, url: &str, report: &Report) -> bool {
        let host = super::s3::host_of(url).to_owned();
        let site = Site {
            scheme: location.scheme(),
            bucket: location.bucket().to_owned(),
            host,
            region: String::new(),
            profile: location.profile().map(str::to_owned),
            owner: None,
            anonymous: true,
            temporary: false,
        };
        let options = self.options();
        let client = transport::client_options(options.ca_bundle.as_deref())
            .and_then(|options| transport::client(&options, self.waits(), &self.0.log));
        match client {
            Ok(http) => knock(self, &http, url, &site, report).await,
            Err(err) => {
                report.bad(Topic::Server, err);
                false
            }
        }
    }

    /// The first page of the place.
    pub(super) async fn list_start(&self, location: &Location, report: &Report) {
        let at = location.as_container();
        match self.list(&at).next().await {
            Some(Ok(page)) => {
                let page = page.into_block();
                let names: Vec<String> = page.rows().take(3).map(|row| row.name().to_owned()).collect();
                let words = match names.as_slice() {
                    [] => format!("{at} is empty"),
                    names => format!("{at} can be listed: {}", some_of(names, page.len())),
                };
                report.with(Topic::Start, words, json!({ "location": at, "first": names }));
            }
            Some(Err(err)) => report.bad(Topic::Start, err),
            None => report.good(Topic::Start, format!("{at} is empty")),
        }
    }

    /// A document on the web: STAC, or something else.
    async fn read_start(&self, location: &Location, report: &Report) {
        let read = async { self.open(location, self.meter()).await?.read_head(location, LOOK).await };
        match read.await {
            Ok(head) => {
                let document: Option<Value> = serde_json::from_slice(&head.bytes).ok();
                let stac = document.as_ref().and_then(|d| d.get("stac_version")).and_then(Value::as_str);
                let words = match (stac, &document) {
                    (Some(version), Some(document)) => {
                        let name = ["title", "id"].iter().find_map(|k| document.get(k)?.as_str()).unwrap_or("unnamed");
                        format!("STAC {version}: {name}")
                    }
                    _ => format!("a document of {}, not STAC as far as it was read", text::bytes(head.size)),
                };
                report.with(Topic::Start, words, json!({ "location": location, "stac_version": stac }));
            }
            Err(err) => report.bad(Topic::Start, err),
        }
    }

    /// Where the credentials of a name come from, in words.
    pub(super) fn credentials_words(&self, name: &str) -> String {
        let options = self.options_now();
        let found = places::profiles(&options).into_iter().find(|p| p.name == name);
        found.map_or_else(|| Profiles::load(&options.environment).credentials(name), |p| p.credentials)
    }
}

/// `a, b, c and 7 more`.
pub(super) fn some_of(names: &[String], all: usize) -> String {
    let shown = names.join(", ");
    match all.saturating_sub(names.len()) {
        0 => shown,
        more => format!("{shown} and {} more", text::count(more as u64)),
    }
}

/// Sends the same unsigned request a few times, and tells what the answers say; any status is an answer.
pub(super) async fn knock(stores: &Stores, http: &HttpClient, url: &str, site: &Site, report: &Report) -> bool {
    let (first, answer) = match once(stores, http, url, site).await {
        Ok(first) => first,
        Err(fault) => {
            report.bad(Topic::Server, site.sentence(&fault, Doing::Read, ""));
            return false;
        }
    };
    let header = |name| answer.headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    let software = header(header::SERVER);
    let called = software.as_ref().map(|s| format!(": {s}")).unwrap_or_default();
    let data = json!({ "host": site.host, "software": software, "status": answer.status.as_u16() });
    report.with(Topic::Server, format!("{} answers{called}", site.host), data);
    let local = ["127.", "localhost", "[::1]"].iter().any(|h| site.host.starts_with(h));
    match url.starts_with("https://") {
        true => report.good(Topic::Trust, "encrypted; the certificate is trusted"),
        false if local => report.good(Topic::Trust, "none; it is on this computer"),
        false => report.warn(Topic::Trust, "none: whoever is on the way can read along"),
    }
    if let Some(at) = header(header::DATE).and_then(|d| DateTime::parse_from_rfc2822(&d).ok()) {
        tell_clock((at.with_timezone(&Utc) - Utc::now()).num_seconds(), site, report);
    }
    let mut times = Vec::with_capacity(KNOCKS);
    for _ in 0..KNOCKS {
        match once(stores, http, url, site).await {
            Ok((time, _)) => times.push(time),
            Err(fault) => {
                report.bad(Topic::Time, site.sentence(&fault, Doing::Read, ""));
                return true;
            }
        }
    }
    times.sort_unstable();
    if let (Some(least), Some(median), Some(most)) = (times.first(), times.get(times.len() / 2), times.last()) {
        let words = format!(
            "{} (median of {KNOCKS}: {} to {}); {} with the connection",
            millis(*median),
            millis(*least),
            millis(*most),
            millis(first)
        );
        let ms = |time: &Duration| (time.as_secs_f64() * 1e5).round() / 100.0;
        let all: Vec<f64> = times.iter().map(ms).collect();
        report.with(Topic::Time, words, json!({ "median_ms": ms(median), "ms": all, "first_ms": ms(&first) }));
    }
    true
}

/// `ahead`: seconds by which the server's clock is ahead of ours. Its header counts whole seconds.
fn tell_clock(ahead: i64, site: &Site, report: &Report) {
    let apart = clock::apart(ahead);
    let data = json!({ "server_ahead_s": ahead });
    match ahead.abs() {
        0..=2 => report.with(Topic::Clock, "agrees with the server's", data),
        off if off < DRIFT => report.with(Topic::Clock, format!("{apart} the server's"), data),
        off if off < clock::SKEW.num_seconds() => {
            report.warn(Topic::Clock, format!("{apart} the server's; set it, best with NTP"));
        }
        _ => {
            let fault = Fault { code: "RequestTimeTooSkewed".to_owned(), ..Fault::default() };
            let err = site.sentence(&fault, Doing::Read, "");
            report.bad(Topic::Clock, err.context(format!("this computer's clock is {apart} the server's")));
        }
    }
}

/// One round trip: the time until the head of the answer. Ceph sends a body to a HEAD of its root, and
/// breaks the connection by it; Amazon sends a GET of its root elsewhere.
async fn once(
    stores: &Stores,
    http: &HttpClient,
    url: &str,
    site: &Site,
) -> std::result::Result<(Duration, http::response::Parts), Fault> {
    let is_amazon = site.host.ends_with(".amazonaws.com");
    let method = if site.scheme == Scheme::S3 && !is_amazon { Method::GET } else { Method::HEAD };
    let request = http::Request::builder().method(method).uri(url).body(HttpRequestBody::empty());
    let request = request.map_err(|err| Fault { message: err.to_string(), ..Fault::default() })?;
    let counted = stores.meter().request();
    let started = Instant::now();
    match tokio::time::timeout(PATIENCE, http.execute(request)).await {
        Ok(Ok(answer)) => {
            let time = started.elapsed();
            let (head, body) = answer.into_parts();
            let mut body = body.bytes_stream();
            let mut read = 0;
            while let Ok(Some(Ok(chunk))) = tokio::time::timeout(PATIENCE, body.next()).await {
                read += chunk.len();
                stores.meter().received(chunk.len() as u64);
                if read > BODY {
                    break;
                }
            }
            counted.done();
            Ok((time, head))
        }
        Ok(Err(err)) => Err(Fault::of_text(&chain(&err))),
        Err(_) => Err(Fault { code: "Timeout".to_owned(), ..Fault::default() }),
    }
}

/// `0.8 ms`, `12 ms`, `1.2 s`.
fn millis(time: Duration) -> String {
    match time.as_secs_f64() * 1e3 {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn told(ahead: i64) -> Finding {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let site = Site {
            scheme: Scheme::S3,
            bucket: String::new(),
            host: "h".into(),
            region: String::new(),
            profile: None,
            owner: None,
            anonymous: false,
            temporary: false,
        };
        tell_clock(ahead, &site, &Report(sender));
        receiver.try_recv().expect("a finding")
    }

    #[test]
    fn a_clock_that_is_off_is_said_with_its_direction() {
        assert_eq!(told(1).result.expect("agrees"), "agrees with the server's");
        assert_eq!(told(30).result.expect("near"), "30 s behind the server's");
        let off = told(-600);
        assert!(off.warns && off.result.expect("works").starts_with("10 min ahead of"));
        let err = told(3600).result.expect_err("refused");
        assert_eq!(err.kind(), Kind::Denied);
        assert!(err.hint().is_some_and(|h| h.contains("NTP")), "{err}");
    }

    #[tokio::test]
    async fn a_folder_and_a_place_without_a_name_say_what_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.csv"), "x").expect("a file");
        let stores = Stores::new(super::super::Options {
            environment: super::super::Environment::fixed([("HOME", "/nonexistent")]),
            ..super::super::Options::default()
        });
        let at = Location::file(folder.path()).as_container();
        let found: Vec<Finding> = stores.check(&at).collect().await;
        assert!(found.iter().any(|f| f.result.as_ref().is_ok_and(|w| w.contains("a.csv"))), "{found:?}");
        let nobody = Location::parse("s3://nobody@").expect("an address");
        let found: Vec<Finding> = stores.check(&nobody).collect().await;
        assert_eq!(found.len(), 1);
        assert!(found[0].result.as_ref().is_err_and(|e| e.kind() == Kind::NotFound), "{found:?}");
    }
}
