//! An S3 server that takes uploads and keeps nothing of them but size and MD5.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

pub(crate) const BUCKET: &str = "sink";

/// A running server; it ends with the process.
pub(crate) struct Sink {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Size and `ETag` of what stands there, by key.
    objects: HashMap<String, (u64, String)>,
    /// Sizes and MD5s of parts, by upload.
    uploads: HashMap<String, BTreeMap<u32, (u64, [u8; 16])>>,
    started: u64,
    first: Option<Instant>,
    /// When the last object was whole, and its size.
    last: Option<(Instant, u64)>,
}

/// A request as far as it matters here.
struct Request {
    method: String,
    /// Empty where the account is asked.
    bucket: String,
    key: String,
    query: String,
    headers: HashMap<String, String>,
}

impl Request {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|p| {
            let (key, value) = p.split_once('=').unwrap_or((p, ""));
            (key == name).then_some(value)
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What is answered.
#[derive(Default)]
struct Answer {
    status: &'static str,
    headers: String,
    body: String,
    /// Of a HEAD, whose body is not sent.
    length: Option<u64>,
}

impl Sink {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                // A client that goes away ends its connection, no more.
                std::thread::spawn(move || drop(converse(&stream, &shared)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Forgets all: the next upload is measured.
    pub(crate) fn forget(&self) {
        *lock(&self.state) = State::default();
    }

    /// 10^6 bytes a second of the object that has become whole since, if one has.
    pub(crate) fn rate(&self) -> Option<f64> {
        let state = lock(&self.state);
        let ((end, size), first) = (state.last?, state.first?);
        Some(size as f64 / 1e6 / end.duration_since(first).as_secs_f64().max(1e-9))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no panic")
}

fn converse(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(256 << 10, stream.try_clone()?);
    let mut out = stream.try_clone()?;
    while let Some(request) = head(&mut reader)? {
        if request.header("expect").is_some_and(|e| e.eq_ignore_ascii_case("100-continue")) {
            out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = body(&request, &mut reader, state)?;
        let answer = answer(&request, body, &mut lock(state));
        let length = answer.length.unwrap_or(answer.body.len() as u64);
        let text = format!("HTTP/1.1 {}\r\n{}Content-Length: {length}\r\n\r\n", answer.status, answer.headers);
        out.write_all(text.as_bytes())?;
        if request.method != "HEAD" {
            out.write_all(answer.body.as_bytes())?;
        }
    }
    Ok(())
}

fn head(reader: &mut impl std::io::BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let (bucket, key) = (bucket.to_owned(), key.to_owned());
    let (method, query) = (method.to_owned(), query.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Some(Request { method, bucket, key, query, headers }))
}

/// Reads a body to its end: its size and MD5, without the frames of `aws-chunked`.
fn body(
    request: &Request,
    reader: &mut impl std::io::BufRead,
    state: &Mutex<State>,
) -> std::io::Result<(u64, [u8; 16])> {
    let length: u64 = request.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut rest = reader.take(length);
    if request.method == "PUT" && length > 0 {
        lock(state).first.get_or_insert_with(Instant::now);
    }
    let mut sum = Md5::new();
    let mut size = 0;
    // A sum that the client has sent is the one that is due.
    let told: Option<[u8; 16]> =
        request.header("content-md5").and_then(|m| BASE64_STANDARD.decode(m).ok()?.try_into().ok());
    let mut buffer = vec![0; 256 << 10];
    let mut take = |from: &mut dyn std::io::Read| -> std::io::Result<()> {
        loop {
            let n = from.read(&mut buffer)?;
            if n == 0 {
                return Ok(());
            }
            size += n as u64;
            if told.is_none() {
                sum.update(&buffer[..n]);
            }
        }
    };
    if request.header("x-amz-decoded-content-length").is_some() {
        loop {
            let mut line = String::new();
            rest.read_line(&mut line)?;
            let chunk = line.split(';').next().map(str::trim).and_then(|n| u64::from_str_radix(n, 16).ok());
            let Some(chunk @ 1..) = chunk else { break };
            take(&mut (&mut rest).take(chunk))?;
            rest.read_line(&mut String::new())?;
        }
        // What follows the last chunk.
        std::io::copy(&mut rest, &mut std::io::sink())?;
    } else {
        take(&mut rest)?;
    }
    Ok((size, told.unwrap_or_else(|| sum.finalize().into())))
}

fn hex(sum: &[u8]) -> String {
    sum.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("to a string");
        text
    })
}

fn ok(body: String) -> Answer {
    Answer { status: "200 OK", headers: "Content-Type: application/xml\r\n".to_owned(), body, length: None }
}

fn missing() -> Answer {
    let body = "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>".to_owned();
    Answer { status: "404 Not Found", body, ..Answer::default() }
}

fn answer(request: &Request, (size, sum): (u64, [u8; 16]), state: &mut State) -> Answer {
    let upload = request.parameter("uploadId").map(str::to_owned);
    let key = request.key.as_str();
    match (request.method.as_str(), key) {
        (_, "") => ok(bucket(request)),
        ("POST", _) if request.parameter("uploads").is_some() => {
            state.started += 1;
            let id = format!("upload-{}", state.started);
            state.uploads.insert(id.clone(), BTreeMap::new());
            ok(format!(
                "<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{key}</Key>\
                 <UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            ))
        }
        ("POST", _) => upload.and_then(|id| complete(key, &id, state)).unwrap_or_else(missing),
        ("PUT", _) => {
            let number = request.parameter("partNumber").and_then(|n| n.parse().ok());
            match (upload.and_then(|id| state.uploads.get_mut(&id)), number) {
                (Some(parts), Some(number)) => {
                    parts.insert(number, (size, sum));
                }
                _ => whole(key, size, hex(&sum), state),
            }
            // Checksums that came with the bytes are kept, as S3 says that it does.
            let mut headers = format!("ETag: \"{}\"\r\n", hex(&sum));
            for (name, value) in request.headers.iter().filter(|(name, _)| name.starts_with("x-amz-checksum-")) {
                write!(headers, "{name}: {value}\r\n").expect("to a string");
            }
            Answer { status: "200 OK", headers, ..Answer::default() }
        }
        ("DELETE", _) => {
            upload.map(|id| state.uploads.remove(&id));
            Answer { status: "204 No Content", ..Answer::default() }
        }
        ("GET", _) if request.parameter("tagging").is_some() => ok("<Tagging><TagSet></TagSet></Tagging>".to_owned()),
        ("HEAD", _) => state.objects.get(key).map_or_else(missing, |(size, etag)| Answer {
            status: "200 OK",
            headers: format!("ETag: \"{etag}\"\r\nLast-Modified: Sat, 06 Apr 2024 08:00:00 GMT\r\n"),
            length: Some(*size),
            ..Answer::default()
        }),
        _ => missing(),
    }
}

fn whole(key: &str, size: u64, etag: String, state: &mut State) {
    state.objects.insert(key.to_owned(), (size, etag));
    state.last = Some((Instant::now(), size));
}

/// Makes an object of the parts of an upload.
fn complete(key: &str, id: &str, state: &mut State) -> Option<Answer> {
    let parts = state.uploads.remove(id)?;
    let mut all = Md5::new();
    for (_, sum) in parts.values() {
        all.update(sum);
    }
    let etag = format!("{}-{}", hex(&all.finalize()), parts.len());
    whole(key, parts.values().map(|(size, _)| size).sum(), etag.clone(), state);
    Some(ok(format!(
        "<CompleteMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{key}</Key>\
         <ETag>&quot;{etag}&quot;</ETag></CompleteMultipartUploadResult>"
    )))
}

/// What is asked of the bucket: it is empty and stands nowhere in particular.
fn bucket(request: &Request) -> String {
    if request.bucket.is_empty() {
        return format!(
            "<ListAllMyBucketsResult><Owner><ID>x</ID></Owner><Buckets><Bucket><Name>{BUCKET}</Name>\
             <CreationDate>2024-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>"
        );
    }
    if request.parameter("location").is_some() {
        return "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>".to_owned();
    }
    if request.parameter("uploads").is_some() {
        return format!("<ListMultipartUploadsResult><Bucket>{BUCKET}</Bucket></ListMultipartUploadsResult>");
    }
    format!("<ListBucketResult><Name>{BUCKET}</Name><IsTruncated>false</IsTruncated></ListBucketResult>")
}
