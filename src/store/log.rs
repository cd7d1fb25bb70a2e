//! What was asked of servers and what they answered, without secrets: a ring for the log screen and,
//! where the user wants one, a file.
//!
//! An [`Exchange`] is built from named parts alone (a few headers, the parameters of [`redact::SHOWN`]), so that
//! what nobody thought of stays out.

use super::redact;
use crate::error::{Error, Result};
use crate::task::Waker;
use chrono::{DateTime, Utc};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

/// Requests kept for the log screen.
const KEPT: usize = 1000;
/// How far back the try before this one is looked for: more than are under way at once.
const TRIES_WITHIN: usize = 64;
/// Lines that may wait for a slow disk; what comes then is counted and left out.
const WAITING: usize = 20_000;
/// Longest explanation of a server that is kept, in bytes.
const LONGEST_MESSAGE: usize = 2_000;

/// One request as the log screen shows it. Holds no secret: see the top of this file.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Exchange {
    /// Counts up from 1 in the order of the answers.
    pub number: u64,
    /// When it was sent.
    pub at: DateTime<Utc>,
    /// `GET`.
    pub method: String,
    /// The address without its query.
    pub address: String,
    /// Its query, values that may be secret left out; empty where there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The range of bytes that was asked for: `bytes=0-99`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// HTTP status; `None` where nothing was answered.
    pub status: Option<u16>,
    /// Milliseconds until the head of the answer.
    pub ms: u64,
    /// Bytes of the request's body.
    pub sent: u64,
    /// Bytes of the answer's body, where its head told.
    pub received: Option<u64>,
    /// How often it was sent by now: 2 is the first repetition.
    pub tries: u32,
    /// The server's code of an error (`NoSuchKey`), or ours where nothing was answered (`Timeout`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What the server said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The server's request id.
    pub request_id: Option<String>,
    /// The second id of Amazon (`x-amz-id-2`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_id: Option<String>,
    /// The server's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_date: Option<String>,
}

impl Exchange {
    /// One that is about to be sent.
    pub(super) fn begin(method: &str, uri: &str, range: Option<&str>, sent: u64) -> Self {
        let (address, query) = redact::split(uri);
        let range = range.map(str::to_owned);
        Self { at: Utc::now(), method: method.to_owned(), address, query, range, sent, tries: 1, ..Self::default() }
    }

    /// Takes the status and what is worth it of the headers.
    pub(super) fn answered<'a>(&mut self, status: u16, header: impl Fn(&str) -> Option<&'a str>) {
        let text = |name| header(name).map(str::to_owned);
        self.status = Some(status);
        self.received = header("content-length").and_then(|n| n.parse().ok());
        self.request_id = text("x-amz-request-id").or_else(|| text("x-goog-request-id"));
        self.request_id = self.request_id.take().or_else(|| text("x-ms-request-id"));
        self.host_id = text("x-amz-id-2");
        self.server_date = text("date");
    }

    /// Takes code and message out of the XML of an error.
    pub(super) fn refused(&mut self, body: &[u8]) {
        let body = String::from_utf8_lossy(&body[..body.len().min(64 << 10)]);
        let element = |name: &str| {
            let (_, rest) = body.split_once(&format!("<{name}>"))?;
            Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
        };
        self.code = element("Code").map(|code| cut(&code, 100).to_owned());
        self.message = element("Message").map(|text| redact::text(cut(&text, LONGEST_MESSAGE)));
    }

    /// That nothing was answered, and why.
    pub(super) fn unanswered(&mut self, code: &str, why: &str) {
        self.code = Some(code.to_owned());
        self.message = Some(redact::text(cut(why, LONGEST_MESSAGE)));
    }

    /// Whether it did not do what was asked.
    pub fn is_failure(&self) -> bool {
        self.status.is_none_or(|status| status >= 400)
    }

    /// Why it failed, in a few words; empty where it did not.
    pub fn verdict(&self) -> String {
        if !self.is_failure() {
            return String::new();
        }
        let words = match self.code.as_deref().unwrap_or_default() {
            "NoSuchKey" => "no such key",
            "NoSuchBucket" => "no such bucket",
            "NoSuchUpload" => "no such upload",
            "AccessDenied" => "denied",
            "InvalidAccessKeyId" => "unknown access key",
            "SignatureDoesNotMatch" => "wrong secret key",
            "RequestTimeTooSkewed" => "clocks differ",
            "ExpiredToken" | "TokenExpired" => "credentials have ended",
            "SlowDown" => "server asks to slow down",
            "BucketAlreadyExists" => "bucket exists",
            "PermanentRedirect" | "AuthorizationHeaderMalformed" => "other region",
            "Timeout" => "no answer in time",
            "Refused" => "nothing listens there",
            "Reset" => "connection broke off",
            "Dns" => "no such host",
            "NoRoute" => "no way to that host",
            "Certificate" => "certificate not trusted",
            "Tls" => "no TLS spoken there",
            "" => match self.status {
                Some(401 | 403) => "denied",
                Some(404) => "not there",
                Some(409) => "conflict",
                Some(412) => "changed meanwhile",
                Some(416) => "no such range",
                Some(429 | 503) => "server is busy",
                Some(500..) => "server failed",
                Some(_) => "refused",
                None => "no answer",
            },
            other => return other.to_owned(),
        };
        words.to_owned()
    }

    /// One of which nothing came and that may be sent again.
    fn is_repeatable(&self) -> bool {
        self.status.is_none_or(|status| status == 429 || status >= 500)
    }

    fn is_same_request(&self, other: &Self) -> bool {
        self.method == other.method
            && self.address == other.address
            && self.query == other.query
            && self.range == other.range
    }
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The last requests, newest last. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    ring: Mutex<Ring>,
    watchers: Mutex<Vec<Weak<Waker>>>,
    file: Mutex<Option<Sink>>,
}

#[derive(Default)]
struct Ring {
    kept: VecDeque<Arc<Exchange>>,
    last: u64,
}

struct Sink {
    lines: SyncSender<Arc<Exchange>>,
    lost: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    pub(super) fn push(&self, mut exchange: Exchange) {
        let exchange = {
            let mut ring = lock(&self.0.ring);
            ring.last += 1;
            exchange.number = ring.last;
            let before = ring.kept.iter().rev().take(TRIES_WITHIN).find(|old| old.is_same_request(&exchange));
            exchange.tries = before.filter(|old| old.is_repeatable()).map_or(1, |old| old.tries + 1);
            if ring.kept.len() >= KEPT {
                ring.kept.pop_front();
            }
            let exchange = Arc::new(exchange);
            ring.kept.push_back(exchange.clone());
            exchange
        };
        if let Some(sink) = lock(&self.0.file).as_mut()
            && let Err(TrySendError::Full(_)) = sink.lines.try_send(exchange)
        {
            sink.lost += 1;
        }
        lock(&self.0.watchers).retain(|watcher| {
            watcher.upgrade().is_some_and(|waker| {
                waker.wake();
                true
            })
        });
    }

    pub(super) fn snapshot(&self) -> Vec<Arc<Exchange>> {
        lock(&self.0.ring).kept.iter().cloned().collect()
    }

    pub(super) fn last(&self) -> u64 {
        lock(&self.0.ring).last
    }

    pub(super) fn watch(&self, waker: &Waker) -> LogWatch {
        let watch = Arc::new(waker.clone());
        lock(&self.0.watchers).push(Arc::downgrade(&watch));
        LogWatch(watch)
    }

    /// Appends every exchange from now on to a file that only its owner may read.
    pub(super) fn write_to(&self, path: &Path) -> Result<LogFile> {
        let mut options = File::options();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(path)
            .map_err(|err| Error::from(err).context(format!("opening the log {}", path.display())))?;
        let (lines, waiting) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("request log".into()).spawn(move || write(file, &waiting));
        *lock(&self.0.file) = Some(Sink { lines, lost: 0 });
        Ok(LogFile { log: self.clone(), thread: Some(thread.map_err(Error::from)?) })
    }
}

/// Writes lines as they come, and to the disk whenever none waits.
fn write(file: File, waiting: &Receiver<Arc<Exchange>>) {
    let mut file = BufWriter::new(file);
    let mut take = |first: Arc<Exchange>| -> std::io::Result<()> {
        for exchange in std::iter::once(first).chain(waiting.try_iter()) {
            serde_json::to_writer(&mut file, &*exchange)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    };
    // A disk that is full must not end the work that is logged; the lines are lost.
    while let Ok(first) = waiting.recv() {
        let _ = take(first);
    }
}

/// While it lives, its waker is woken for every exchange.
pub struct LogWatch(#[allow(dead_code, reason = "kept alive")] Arc<Waker>);

/// The log in a file: dropped, it is written to its end.
pub struct LogFile {
    log: Log,
    thread: Option<JoinHandle<()>>,
}

impl LogFile {
    /// Lines that were left out because the disk was too slow.
    pub fn lost(&self) -> u64 {
        lock(&self.log.0.file).as_ref().map_or(0, |sink| sink.lost)
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        lock(&self.log.0.file).take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get(uri: &str, status: Option<u16>) -> Exchange {
        Exchange { status, ..Exchange::begin("GET", uri, None, 0) }
    }

    #[test]
    fn the_ring_keeps_the_last_and_counts_tries() {
        let log = Log::default();
        for status in [Some(503), None, Some(200), Some(200)] {
            log.push(get("http://h/b/k", status));
            log.push(get("http://h/b/other", Some(404)));
        }
        let tries: Vec<u32> = log.snapshot().iter().filter(|x| x.address.ends_with("/k")).map(|x| x.tries).collect();
        assert_eq!(tries, [1, 2, 3, 1], "a request that was answered is not sent again, but asked anew");
        assert!(log.snapshot().iter().filter(|x| x.address.ends_with("other")).all(|x| x.tries == 1));
        for n in 0..KEPT {
            log.push(get(&format!("http://h/{n}"), Some(200)));
        }
        let kept = log.snapshot();
        assert_eq!((kept.len(), kept[0].address.as_str(), log.last()), (KEPT, "http://h/0", 8 + KEPT as u64));
    }

    #[test]
    fn errors_have_words() {
        let mut denied = get("http://h/b", Some(403));
        denied.refused(b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>");
        assert_eq!((denied.verdict().as_str(), denied.message.as_deref()), ("denied", Some("no")));
        assert_eq!(get("http://h/b", Some(404)).verdict(), "not there");
        assert_eq!(get("http://h/b", None).verdict(), "no answer");
        assert_eq!(get("http://h/b", Some(206)).verdict(), "");
        assert_eq!(Exchange { code: Some("Odd".into()), ..get("http://h", Some(400)) }.verdict(), "Odd");
    }

    #[test]
    fn the_file_is_for_its_owner_and_whole_at_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("requests.ndjson");
        for round in 1..=2 {
            let log = Log::default();
            let file = log.write_to(&path).expect("opens");
            for n in 0..500 {
                log.push(get(&format!("http://h/b/{n}?list-type=2&X-Amz-Signature=s3cr3t"), Some(200)));
            }
            assert_eq!(file.lost(), 0);
            // It is there while the program runs, too.
            let soon = std::time::Instant::now() + std::time::Duration::from_secs(30);
            while std::fs::read_to_string(&path).expect("reads").lines().count() < 500 * round {
                assert!(std::time::Instant::now() < soon, "lines wait in memory");
                std::thread::yield_now();
            }
            drop(file);
            log.push(get("http://h/after", Some(200)));
            let text = std::fs::read_to_string(&path).expect("reads");
            assert_eq!(text.lines().count(), 500 * round, "it is appended to");
            let last: serde_json::Value = serde_json::from_str(text.lines().last().expect("a line")).expect("json");
            assert_eq!((&last["address"], &last["status"]), (&"http://h/b/499".into(), &200.into()));
            assert!(!text.contains("s3cr3t"));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
        assert!(Log::default().write_to(&folder.path().join("no/such/folder")).is_err());
    }

    #[test]
    fn a_watch_wakes_while_it_lives() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (log, waker) = (Log::default(), Waker::new());
        let watch = log.watch(&waker);
        log.push(get("http://h/1", Some(200)));
        runtime.block_on(waker.woken());
        drop(watch);
        log.push(get("http://h/2", Some(200)));
        assert!(lock(&log.0.watchers).is_empty());
    }

    proptest! {
        #[test]
        fn no_secret_of_a_request_or_an_answer_comes_out(
            secret in "[A-Za-z0-9]{16,40}",
            name in "(X-Amz-Signature|X-Amz-Security-Token|X-Amz-Credential|AWSAccessKeyId|Signature|sig|sv|se|token|[a-z]{1,12})",
            place in 0..8,
        ) {
            prop_assume!(!redact::is_shown(&name));
            let uri = match place {
                0 => format!("https://h/b/k?{name}={secret}"),
                1 => format!("https://h/b/k?list-type=2&{name}={secret}&prefix=a"),
                2 => format!("https://h/b/k?{secret}"),
                3 => format!("https://h/b/k?{secret}=1&a=b"),
                4 => format!("https://user:{secret}@h/b/k"),
                5 => format!("https://h/b/k#{secret}"),
                6 => format!("https://h/b/k?x=1;{name}={secret}?{secret}"),
                _ => "https://h/b/k".to_owned(),
            };
            let mut exchange = Exchange::begin("GET", &uri, None, 0);
            let headers = ["authorization", "x-amz-security-token", "cookie", "set-cookie", "www-authenticate", "location"];
            exchange.answered(403, |asked| headers.contains(&asked).then_some(secret.as_str()));
            // Bare names are known, not guessed: texts of a server hold many an `a=b`.
            let bare = if redact::is_secret(&name) { format!("{name}={secret}") } else { String::new() };
            let body = format!(
                "<Error><Code>SignatureDoesNotMatch</Code><Message>at {uri} {bare}</Message>\
                 <SignatureProvided>{secret}</SignatureProvided></Error>"
            );
            exchange.refused(body.as_bytes());
            let out = format!("{}{exchange:?}", serde_json::to_string(&exchange).expect("json"));
            prop_assert!(!out.contains(&secret), "{out}");
        }
    }
}
