//! A web server that answers whatever a test wants, byte for byte, or hands on to another.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of it")]

use futures::future::BoxFuture;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Of a body, the log keeps so much.
const KEPT: usize = 1 << 20;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Request line and headers, with the line ends.
    pub head: String,
    /// As much as `Content-Length` says.
    pub body: Vec<u8>,
}

impl Asked {
    /// `GET`
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// `/bucket?list-type=2&…`
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.split("\r\n").skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What is answered. The connection is closed behind it.
pub enum Reply {
    /// These bytes, headers and all.
    Raw(Vec<u8>),
    /// Whatever the server at this port of this computer answers.
    Of(u16),
}

impl Reply {
    /// A whole answer of XML.
    pub fn xml(status: u16, body: &str) -> Self {
        Self::whole(status, "application/xml", body.as_bytes())
    }

    /// A whole answer.
    pub fn whole(status: u16, kind: &str, body: &[u8]) -> Self {
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        Self::Raw([head.as_bytes(), body].concat())
    }
}

impl Reply {
    /// The bytes of an answer that is none of another server.
    pub fn raw(self) -> Vec<u8> {
        match self {
            Self::Raw(bytes) => bytes,
            Self::Of(_) => Vec::new(),
        }
    }
}

type Handler = dyn Fn(Asked) -> BoxFuture<'static, Reply> + Send + Sync;

/// The server; it ends when it is dropped.
pub struct Wire {
    /// Where it listens.
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Wire {
    /// Starts it.
    pub async fn start(handler: impl Fn(Asked) -> BoxFuture<'static, Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (handler, log): (Arc<Handler>, _) = (Arc::new(handler), asked.clone());
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                open.spawn(serve(socket, handler.clone(), log.clone()));
                while open.try_join_next().is_some() {}
            }
        });
        Self { port, asked, task }
    }

    /// One that always gives the same answer.
    pub async fn always(raw: Vec<u8>) -> Self {
        let raw = Arc::new(raw);
        Self::start(move |_| {
            let raw = raw.clone();
            Box::pin(async move { Reply::Raw(raw.to_vec()) })
        })
        .await
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("requests").clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request and its answer. A client that goes away is none of ours.
async fn serve(mut socket: TcpStream, handler: Arc<Handler>, log: Arc<Mutex<Vec<Asked>>>) {
    let Some(asked) = read(&mut socket).await else { return };
    let beginning = asked.body[..asked.body.len().min(KEPT)].to_vec();
    log.lock().expect("requests").push(Asked { head: asked.head.clone(), body: beginning });
    let raw = match handler(asked.clone()).await {
        Reply::Raw(raw) => raw,
        Reply::Of(port) => forward(&asked, port).await.unwrap_or_default(),
    };
    let _ = socket.write_all(&raw).await;
    let _ = socket.shutdown().await;
    // What the client still sends is read, or closing would reset what it has not read yet.
    let mut rest = [0; 4096];
    while socket.read(&mut rest).await.is_ok_and(|n| n > 0) {}
}

async fn read(socket: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut asked = Asked { head, body: bytes.split_off(end) };
    let length = asked.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    if asked.header("expect").is_some() {
        socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    while asked.body.len() < length {
        if socket.read_buf(&mut asked.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(asked)
}

/// The whole answer of another server. Signatures hold: they speak of the `Host` that the client sent.
pub async fn forward(asked: &Asked, port: u16) -> Option<Vec<u8>> {
    let mut far = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let lines = asked.head.trim_end().split("\r\n");
    let kept = lines.filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let head = kept.collect::<Vec<_>>().join("\r\n") + "\r\nConnection: close\r\n\r\n";
    let (mut from, mut to) = far.split();
    let mut answer = Vec::new();
    // A server may refuse before it has read all.
    let send = async {
        to.write_all(head.as_bytes()).await?;
        to.write_all(&asked.body).await
    };
    let _ = tokio::join!(send, from.read_to_end(&mut answer));
    (!answer.is_empty()).then_some(answer)
}
