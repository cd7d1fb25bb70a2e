//! An S3 server that knows one bucket, whose pages were made before.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

pub(crate) const BUCKET: &str = "many";
const PAGE: usize = 1_000;

/// A running server; it ends with the process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) keys: usize,
    /// When the last first page was handed to the kernel.
    pub(crate) first_sent: Arc<Mutex<Option<Instant>>>,
}

struct Shared {
    pages: Vec<String>,
    first_sent: Arc<Mutex<Option<Instant>>>,
}

/// What the `i`th object is called.
pub(crate) fn name(i: usize) -> String {
    format!("k{i:09}.parquet")
}

impl Server {
    pub(crate) fn start(keys: usize) -> Self {
        let first_sent = Arc::new(Mutex::new(None));
        let pages = (0..keys.div_ceil(PAGE).max(1)).map(|number| page(number, keys)).collect();
        let shared = Arc::new(Shared { pages, first_sent: first_sent.clone() });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                // A client that goes away ends its connection, no more.
                std::thread::spawn(move || drop(converse(&stream, &shared)));
            }
        });
        Self { address, keys, first_sent }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn converse(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream.try_clone()?;
    let (mut request, mut header) = (String::new(), String::new());
    loop {
        request.clear();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        header.clear();
        while reader.read_line(&mut header)? > 2 {
            header.clear();
        }
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let number = page_number(query);
        let (status, xml) = match (method, path.trim_matches('/')) {
            ("GET", "") => ("200 OK", BUCKETS),
            ("GET" | "HEAD", BUCKET) if query.contains("location") => ("200 OK", LOCATION),
            ("GET" | "HEAD", BUCKET) => ("200 OK", shared.pages.get(number).map_or("", String::as_str)),
            _ => ("404 Not Found", "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"),
        };
        write!(out, "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n", xml.len())?;
        if method != "HEAD" {
            out.write_all(xml.as_bytes())?;
        }
        if query.contains("list-type=2") && number == 0 {
            *self::lock(&shared.first_sent) = Some(Instant::now());
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no panic")
}

/// The token is the number of the page. A page that begins after a key is not offered, nor any delimiter.
fn page_number(query: &str) -> usize {
    let parameter = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
    parameter("continuation-token").and_then(|t| t.parse().ok()).unwrap_or(0)
}

const BUCKETS: &str = "<?xml version=\"1.0\"?><ListAllMyBucketsResult><Owner><ID>x</ID></Owner><Buckets><Bucket><Name>many</Name>\
    <CreationDate>2024-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>";
const LOCATION: &str = "<?xml version=\"1.0\"?><LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";

/// As Amazon writes them.
fn page(number: usize, keys: usize) -> String {
    let (start, end) = (number * PAGE, ((number + 1) * PAGE).min(keys));
    let more = end < keys;
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{BUCKET}</Name><Prefix></Prefix>\
         <KeyCount>{}</KeyCount><MaxKeys>{PAGE}</MaxKeys><IsTruncated>{more}</IsTruncated>",
        end - start
    );
    if more {
        let next = number + 1;
        write!(xml, "<NextContinuationToken>{next}</NextContinuationToken>").expect("to a string");
    }
    for i in start..end {
        write!(
            xml,
            "<Contents><Key>{}</Key><LastModified>2024-04-{:02}T08:{:02}:24.000Z</LastModified>\
             <ETag>&quot;{i:032x}&quot;</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            name(i),
            i / 1000 % 28 + 1,
            i / 10 % 60,
            i * 7919 % 50_000_000
        )
        .expect("to a string");
    }
    xml.push_str("</ListBucketResult>");
    xml
}
