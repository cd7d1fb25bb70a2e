//! A server of files that waits before each answer and counts. Below `/web/` it is a web server that knows
//! several ranges at once, below `/s3/` a bucket of object storage that does not.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A running server; it ends with the process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    files: HashMap<String, (File, u64)>,
    wait: Duration,
    requests: AtomicU64,
    bytes: AtomicU64,
    /// What was asked for, for who wants to look.
    ranges: Mutex<Vec<String>>,
}

impl Server {
    /// Serves each file under its name, after `wait`.
    pub(crate) fn start(files: &[PathBuf], wait: Duration) -> Self {
        let open = |path: &PathBuf| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let file = File::open(path).expect("a file");
            let size = file.metadata().expect("its size").len();
            (name, (file, size))
        };
        let shared = Arc::new(Shared {
            files: files.iter().map(open).collect(),
            wait,
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            ranges: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = serving.clone();
                // A client that goes away ends its connection, no more.
                std::thread::spawn(move || drop(converse(&stream, &shared)));
            }
        });
        Self { address, shared }
    }

    /// Requests, bytes of bodies and the ranges since the last call.
    pub(crate) fn taken(&self) -> (u64, u64, Vec<String>) {
        let ranges = std::mem::take(&mut *self.shared.ranges.lock().expect("no panic"));
        (self.shared.requests.swap(0, Relaxed), self.shared.bytes.swap(0, Relaxed), ranges)
    }
}

fn converse(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream.try_clone()?;
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut range = None;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? <= 2 {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("range")
            {
                range = Some(value.trim().to_owned());
            }
        }
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let target = target.split('?').next().unwrap_or_default();
        std::thread::sleep(shared.wait);
        shared.requests.fetch_add(1, Relaxed);
        let storage = target.starts_with("/s3/");
        let name = target.rsplit('/').next().unwrap_or_default();
        let Some((file, size)) = shared.files.get(name) else {
            out.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        };
        shared.ranges.lock().expect("no panic").push(format!("{method} {}", range.as_deref().unwrap_or("all")));
        let ranges = parse(range.as_deref(), *size).filter(|ranges| ranges.len() == 1 || !storage);
        let mut head =
            String::from("Accept-Ranges: bytes\r\nETag: \"1\"\r\nLast-Modified: Fri, 20 Nov 2026 10:00:00 GMT\r\n");
        if storage {
            head.push_str("x-amz-request-id: 1\r\n");
        }
        let (status, kind, pieces): (_, _, Vec<(String, Range<u64>)>) = match ranges {
            None => ("200 OK", "application/octet-stream", vec![(String::new(), 0..*size)]),
            Some(ranges) if ranges.len() == 1 => {
                let range = ranges[0].clone();
                let _ = write!(head, "Content-Range: bytes {}-{}/{size}\r\n", range.start, range.end - 1);
                ("206 Partial Content", "application/octet-stream", vec![(String::new(), range)])
            }
            Some(ranges) => {
                let part = |r: &Range<u64>| {
                    format!("\r\n--cut\r\nContent-Range: bytes {}-{}/{size}\r\n\r\n", r.start, r.end - 1)
                };
                let pieces = ranges.into_iter().map(|r| (part(&r), r)).collect();
                ("206 Partial Content", "multipart/byteranges; boundary=cut", pieces)
            }
        };
        let end = if kind.starts_with("multipart") { "\r\n--cut--\r\n" } else { "" };
        let length: u64 = pieces.iter().map(|(head, r)| head.len() as u64 + r.end - r.start).sum();
        let length = length + end.len() as u64;
        write!(out, "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{head}\r\n")?;
        if method == "HEAD" {
            continue;
        }
        let mut buffer = vec![0; 256 << 10];
        for (head, range) in pieces {
            out.write_all(head.as_bytes())?;
            let mut at = range.start;
            while at < range.end {
                let n = (range.end - at).min(buffer.len() as u64) as usize;
                file.read_exact_at(&mut buffer[..n], at)?;
                out.write_all(&buffer[..n])?;
                // What a client that hangs up has not taken is not counted.
                shared.bytes.fetch_add(n as u64, Relaxed);
                at += n as u64;
            }
        }
        out.write_all(end.as_bytes())?;
    }
}

/// `bytes=0-9,20-29`, `bytes=-100`, `bytes=5-`.
fn parse(range: Option<&str>, size: u64) -> Option<Vec<Range<u64>>> {
    let list = range?.strip_prefix("bytes=")?;
    list.split(',')
        .map(|one| {
            let (start, end) = one.trim().split_once('-')?;
            match (start.parse::<u64>(), end.parse::<u64>()) {
                (Ok(start), Ok(end)) => Some(start..(end + 1).min(size)),
                (Ok(start), Err(_)) => Some(start..size),
                (Err(_), Ok(last)) => Some(size.saturating_sub(last)..size),
                _ => None,
            }
        })
        .collect()
}
