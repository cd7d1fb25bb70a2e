//! A bucket of many COGs, all with the bytes of one: an S3 server that waits before each answer and counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const BUCKET: &str = "lake";

/// A running server; it ends with the process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    bytes: Vec<u8>,
    objects: usize,
    wait: Duration,
    seen: Mutex<Seen>,
}

/// What was asked for since the last look.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// Requests for each object.
    pub(crate) requests: BTreeMap<usize, u64>,
    /// Bytes of bodies that were sent to the end.
    pub(crate) bytes: u64,
    /// Answers whose reader had gone.
    pub(crate) cancelled: u64,
}

/// What the `i`th object is called.
pub(crate) fn name(i: usize) -> String {
    format!("cog-{i:04}.tif")
}

/// The number in a name that begins `text`.
pub(crate) fn number(text: &str) -> Option<usize> {
    text.strip_prefix("cog-")?.get(..4)?.parse().ok()
}

impl Server {
    pub(crate) fn start(bytes: Vec<u8>, objects: usize, wait: Duration) -> Self {
        let shared = Arc::new(Shared { bytes, objects, wait, seen: Mutex::default() });
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

    pub(crate) fn taken(&self) -> Seen {
        std::mem::take(&mut *self.shared.seen.lock().expect("no panic"))
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
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        std::thread::sleep(shared.wait);
        let object = path.rsplit('/').next().and_then(number).filter(|&i| i < shared.objects);
        let Some(object) = object else {
            let xml = if query.contains("location") { LOCATION.to_owned() } else { page(shared) };
            write!(out, "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n", xml.len())?;
            out.write_all(xml.as_bytes())?;
            continue;
        };
        *shared.seen.lock().expect("no panic").requests.entry(object).or_default() += 1;
        let size = shared.bytes.len();
        let (from, end) = parse(range.as_deref(), size);
        let sent = write!(
            out,
            "HTTP/1.1 {}\r\nETag: \"{object:032x}\"\r\nAccept-Ranges: bytes\r\nLast-Modified: Fri, 20 Nov 2026 10:00:00 GMT\r\n\
             x-amz-request-id: 1\r\nContent-Range: bytes {from}-{}/{size}\r\nContent-Length: {}\r\n\r\n",
            if range.is_some() { "206 Partial Content" } else { "200 OK" },
            end.saturating_sub(1),
            end - from
        )
        .and_then(|()| if method == "HEAD" { Ok(()) } else { out.write_all(&shared.bytes[from..end]) });
        let mut seen = shared.seen.lock().expect("no panic");
        match sent {
            Ok(()) => seen.bytes += (end - from) as u64,
            Err(err) => {
                seen.cancelled += 1;
                return Err(err);
            }
        }
    }
}

/// One range, of `bytes=2-5`.
fn parse(range: Option<&str>, size: usize) -> (usize, usize) {
    let ends = || range?.strip_prefix("bytes=")?.split_once('-');
    let Some((from, last)) = ends() else { return (0, size) };
    let from = from.parse().unwrap_or(0).min(size);
    (from, last.parse().map_or(size, |last: usize| (last + 1).clamp(from, size)))
}

const LOCATION: &str = "<?xml version=\"1.0\"?><LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";

/// The listing, as Amazon writes it.
fn page(shared: &Shared) -> String {
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{BUCKET}</Name><Prefix></Prefix>\
         <KeyCount>{0}</KeyCount><MaxKeys>{0}</MaxKeys><IsTruncated>false</IsTruncated>",
        shared.objects
    );
    for i in 0..shared.objects {
        write!(
            xml,
            "<Contents><Key>{}</Key><LastModified>2026-11-20T10:00:00.000Z</LastModified>\
             <ETag>&quot;{i:032x}&quot;</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            name(i),
            shared.bytes.len()
        )
        .expect("to a string");
    }
    xml + "</ListBucketResult>"
}
