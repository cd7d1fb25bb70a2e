//! An S3 server that knows one thing, the listing of a bucket of many keys, and misbehaves as it is told.
#![allow(unreachable_pub, reason = "part of a test")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Keys of a page.
pub const PAGE: usize = 1000;

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// As it should be.
    Serve,
    /// With this status and code.
    Refuse(u16, &'static str),
    /// With half a body that says its length, then the connection is closed.
    Cut,
    /// With half a body of no said length, so that only what it holds tells that it is not whole.
    CutSilently,
    /// With status 200 and an error in the body.
    ErrorInside,
    /// With half a body, then nothing more.
    Stall,
}

/// A request as far as it matters here.
pub struct Asked {
    /// Of all that this server was asked, beginning with 0.
    pub number: usize,
    /// Whose key signed it.
    pub access_key: String,
}

/// A running server; it ends with the process.
pub struct Canned {
    /// Where it listens.
    pub address: SocketAddr,
    /// Requests so far.
    pub asked: Arc<AtomicUsize>,
}

/// The `i`th key.
pub fn key(i: usize) -> String {
    format!("obs/{i:07}.nc")
}

impl Canned {
    /// Serves `keys` keys; `act` decides about each request.
    pub fn start(keys: usize, act: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (asked, act) = (Arc::new(AtomicUsize::new(0)), Arc::new(act));
        let counter = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counter, act) = (counter.clone(), act.clone());
                std::thread::spawn(move || drop(converse(&stream, keys, &counter, &*act)));
            }
        });
        Self { address, asked }
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn converse(
    stream: &TcpStream,
    keys: usize,
    counter: &AtomicUsize,
    act: &dyn Fn(&Asked) -> Act,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream.try_clone()?;
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut access_key = String::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            if let Some((_, rest)) = header.split_once("Credential=") {
                rest.split('/').next().unwrap_or_default().clone_into(&mut access_key);
            }
        }
        let query = request.split(' ').nth(1).and_then(|target| target.split_once('?')).map_or("", |(_, query)| query);
        let act = act(&Asked { number: counter.fetch_add(1, Relaxed), access_key });
        let xml = match act {
            Act::Refuse(_, code) => format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>"),
            Act::ErrorInside => "<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>".to_owned(),
            _ => page(query, keys),
        };
        let status = if let Act::Refuse(status, _) = act { status } else { 200 };
        write!(out, "HTTP/1.1 {status} X\r\nContent-Type: application/xml\r\n")?;
        match act {
            Act::CutSilently => write!(out, "Connection: close\r\n\r\n")?,
            _ => write!(out, "Content-Length: {}\r\n\r\n", xml.len())?,
        }
        let half = &xml.as_bytes()[..xml.len() / 2];
        match act {
            Act::Cut | Act::CutSilently => {
                out.write_all(half)?;
                return stream.shutdown(Shutdown::Both);
            }
            Act::Stall => {
                out.write_all(half)?;
                // Until the other side has had enough.
                let _ = reader.read_line(&mut String::new())?;
                return Ok(());
            }
            _ => out.write_all(xml.as_bytes())?,
        }
    }
}

/// A page of the listing, as `max-keys` of 1,000 gives it.
fn page(query: &str, keys: usize) -> String {
    let parameter = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
    let start = parameter("continuation-token").and_then(|token| token.parse().ok());
    // `obs%2F0002999.nc`
    let after = parameter("start-after").and_then(|key| key.rsplit("%2F").next()?.get(..7)?.parse::<usize>().ok());
    let start = start.or(after.map(|i| i + 1)).unwrap_or(0_usize);
    let (end, more) = ((start + PAGE).min(keys), start + PAGE < keys);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult><Name>many</Name><IsTruncated>{more}</IsTruncated>"
    );
    if more {
        write!(xml, "<NextContinuationToken>{end}</NextContinuationToken>").expect("to a string");
    }
    for i in start..end {
        write!(
            xml,
            "<Contents><Key>{}</Key><LastModified>2024-05-01T06:30:00.000Z</LastModified>\
             <ETag>&quot;{i:032x}&quot;</ETag><Size>{i}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            key(i)
        )
        .expect("to a string");
    }
    xml.push_str("</ListBucketResult>");
    xml
}
