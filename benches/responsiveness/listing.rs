//! An S3 server that knows one thing: the listing of a bucket with many objects, page by page.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

pub(crate) const BUCKET: &str = "many";
const PAGE: usize = 1_000;

/// A running server; it ends with the process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Pages sent so far.
    pub(crate) sent: Arc<AtomicUsize>,
}

/// Serves `pages` pages of 1,000 objects, each after `delay`.
pub(crate) fn serve(pages: usize, delay: Duration) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counter = counter.clone();
            // A client that goes away ends its connection, no more.
            std::thread::spawn(move || drop(converse(&stream, pages, delay, &counter)));
        }
    });
    Server { address, sent }
}

/// What the `i`th object is called.
pub(crate) fn name(i: usize) -> String {
    format!("obs-{i:06}.csv")
}

/// The number in a name that begins `text`.
pub(crate) fn number(text: &str) -> Option<usize> {
    text.strip_prefix("obs-")?.get(..6)?.parse().ok()
}

fn converse(stream: &TcpStream, pages: usize, delay: Duration, sent: &AtomicUsize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream.try_clone()?;
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut body = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((key, value)) = header.split_once(':') else { break };
            if key.eq_ignore_ascii_case("content-length") {
                body = value.trim().parse().unwrap_or(0);
            }
        }
        std::io::copy(&mut reader.by_ref().take(body), &mut std::io::sink())?;
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (status, xml) = match (method, path.trim_matches('/')) {
            ("GET", "") => ("200 OK", buckets()),
            ("GET", BUCKET) => {
                std::thread::sleep(delay);
                ("200 OK", page(query, pages))
            }
            _ => ("404 Not Found", "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>".to_owned()),
        };
        write!(out, "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n", xml.len())?;
        if method != "HEAD" {
            out.write_all(xml.as_bytes())?;
        }
        if path.trim_matches('/') == BUCKET {
            sent.fetch_add(1, Relaxed);
        }
    }
}

fn buckets() -> String {
    format!(
        "<?xml version=\"1.0\"?><ListAllMyBucketsResult><Buckets><Bucket><Name>{BUCKET}</Name>\
         <CreationDate>2024-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>"
    )
}

fn page(query: &str, pages: usize) -> String {
    let token = query.split('&').find_map(|p| p.strip_prefix("continuation-token="));
    let number: usize = token.and_then(|t| t.parse().ok()).unwrap_or(0);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>{BUCKET}</Name><Prefix></Prefix>\
         <KeyCount>{PAGE}</KeyCount><MaxKeys>{PAGE}</MaxKeys><EncodingType>url</EncodingType>"
    );
    if number + 1 < pages {
        let next = number + 1;
        write!(xml, "<IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>")
            .expect("to a string");
    } else {
        xml.push_str("<IsTruncated>false</IsTruncated>");
    }
    for i in number * PAGE..(number + 1) * PAGE {
        write!(
            xml,
            "<Contents><Key>{}</Key><LastModified>2024-05-{:02}T06:{:02}:00.000Z</LastModified>\
             <ETag>&quot;{i:032x}&quot;</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            name(i),
            i % 28 + 1,
            i % 60,
            i * 7919 % 50_000_000
        )
        .expect("to a string");
    }
    xml.push_str("</ListBucketResult>");
    xml
}
