//! A web server of a few files whose bodies come slowly, and that counts what it was asked and what it could send: a
//! client that has gone away is seen by what it no longer takes.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of it")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Bytes that are sent at once, and how long after each is waited.
const PIECE: usize = 8 << 10;
const PAUSE: Duration = Duration::from_millis(10);

/// Files by their paths.
type Files = Mutex<HashMap<String, Arc<Vec<u8>>>>;

/// What is counted.
#[derive(Default)]
pub struct Counts {
    pub requests: AtomicUsize,
    pub bytes: AtomicU64,
    /// Answers under way.
    pub open: AtomicUsize,
}

/// The server; it ends with the process.
pub struct Trickle {
    pub address: SocketAddr,
    pub counts: Arc<Counts>,
    files: Arc<Files>,
}

impl Trickle {
    /// Sends the first `quick` bytes of each file at once: what comes from there slowly.
    pub fn start(quick: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (files, counts): (Arc<Files>, Arc<Counts>) = Default::default();
        let (served, counted) = (files.clone(), counts.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (served, counted) = (served.clone(), counted.clone());
                std::thread::spawn(move || {
                    counted.open.fetch_add(1, Relaxed);
                    let _ = answer(&stream, &served, &counted, quick);
                    counted.open.fetch_sub(1, Relaxed);
                });
            }
        });
        Self { address, counts, files }
    }

    /// Adds a file, and tells its address.
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> String {
        self.files.lock().expect("files").insert(format!("/{name}"), Arc::new(bytes));
        format!("http://{}/{name}", self.address)
    }

    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Relaxed)
    }

    pub fn requests(&self) -> usize {
        self.counts.requests.load(Relaxed)
    }

    /// Waits until more than `bytes` were sent.
    pub async fn until(&self, bytes: u64) {
        let began = Instant::now();
        while self.bytes() <= bytes {
            assert!(began.elapsed() < Duration::from_mins(1), "only {} bytes were sent", self.bytes());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Fails unless all answers under way end soon, and nothing more is asked for after that.
    pub async fn is_left(&self, most: Duration) {
        let began = Instant::now();
        while self.counts.open.load(Relaxed) > 0 {
            assert!(began.elapsed() < most, "{} answers are still taken", self.counts.open.load(Relaxed));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let before = (self.requests(), self.bytes());
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!((self.requests(), self.bytes()), before, "it was asked for more");
    }
}

fn answer(mut stream: &TcpStream, files: &Files, counts: &Counts, quick: usize) -> Option<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let first = lines.next()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let headers: HashMap<String, String> =
        lines.filter_map(|l| l.split_once(": ").map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned()))).collect();
    counts.requests.fetch_add(1, Relaxed);
    let Some(bytes) = files.lock().ok()?.get(path).cloned() else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok();
    };
    let range = headers.get("range").cloned().unwrap_or_default();
    let (from, to) = range.strip_prefix("bytes=").and_then(|r| r.split_once('-')).unwrap_or(("0", ""));
    let (from, to) = match from {
        "" => (bytes.len().saturating_sub(to.parse().ok()?), bytes.len()),
        _ => (from.parse().ok()?, to.parse().map_or(bytes.len(), |last: usize| (last + 1).min(bytes.len()))),
    };
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\netag: \"{}\"\r\naccept-ranges: bytes\r\ncontent-range: bytes {from}-{}/{}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        bytes.len(),
        to.saturating_sub(1),
        bytes.len(),
        to - from
    );
    stream.write_all(head.as_bytes()).ok()?;
    if method != "GET" {
        return Some(());
    }
    let slow = from.max(quick).min(to);
    stream.write_all(&bytes[from..slow]).ok()?;
    counts.bytes.fetch_add((slow - from) as u64, Relaxed);
    for piece in bytes[slow..to].chunks(PIECE) {
        stream.write_all(piece).ok()?;
        counts.bytes.fetch_add(piece.len() as u64, Relaxed);
        std::thread::sleep(PAUSE);
    }
    Some(())
}
