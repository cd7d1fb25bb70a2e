//! What several tests start: servers, and stores to reach them.
#![allow(dead_code, unreachable_pub, clippy::print_stderr, reason = "each test binary uses its part of it")]

use futures::TryStreamExt as _;
use secchi::entry::Entry;
use secchi::listing::{Page, Pages};
use secchi::location::Location;
use secchi::store::{Environment, Options, Stores};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A real Ceph gateway that somebody started (`tests/services/ceph-up.sh`).
#[derive(Clone)]
pub struct Ceph {
    /// `http://127.0.0.1:7480`
    pub endpoint: String,
    /// The same over TLS, and the file of its certificate.
    pub tls: Option<(String, String)>,
    /// Access key.
    pub key: String,
    /// Secret key.
    pub secret: String,
}

impl Ceph {
    /// The gateway, or a line that says why the test is skipped.
    pub fn find() -> Option<Self> {
        let var = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let Some(endpoint) = var("SECCHI_CEPH") else {
            eprintln!("skipped: no Ceph gateway (run tests/services/ceph-up.sh)");
            return None;
        };
        Some(Self {
            endpoint,
            tls: var("SECCHI_CEPH_TLS").zip(var("SECCHI_CEPH_CA")),
            key: var("SECCHI_CEPH_KEY").unwrap_or_else(|| "testkey".to_owned()),
            secret: var("SECCHI_CEPH_SECRET").unwrap_or_else(|| "testsecret".to_owned()),
        })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.endpoint.rsplit(':').next().and_then(|p| p.trim_end_matches('/').parse().ok()).expect("a port")
    }

    /// Options that reach it with its keys.
    pub fn options(&self) -> Options {
        s3_options(&self.endpoint, &self.key, &self.secret)
    }

    /// A new bucket of its own, and stores to reach it.
    pub async fn bucket(&self) -> (Stores, Location) {
        new_bucket(Stores::new(self.options())).await
    }
}

/// Options with keys that come from a fixed environment.
pub fn s3_options(endpoint: &str, key: &str, secret: &str) -> Options {
    Options {
        environment: Environment::fixed([
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_ENDPOINT_URL", endpoint),
            ("HOME", "/nonexistent"),
        ]),
        ..Options::default()
    }
}

/// All entries of a listing.
pub async fn entries(pages: Pages) -> Vec<Entry> {
    let pages: Vec<Page> = pages.try_collect().await.expect("a listing");
    pages.into_iter().flat_map(|page| page.into_block().to_entries()).collect()
}

/// Keys that S3 allows and that are no paths of files, or look like something else. None begins like
/// another's container but where that is the point.
pub fn odd_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "a//b.txt",
        "//",
        "///x",
        "/lead",
        "a/../b",
        "x/../y",
        "../x",
        "..",
        "../",
        ".",
        "./",
        "./z",
        "a/./b",
        "dir",
        "dir/",
        "dir/x",
        "dir//",
        "trail ",
        "trail /in it",
        " lead",
        " ",
        "   ",
        "\t",
        "\u{3000}\n",
        "~secchi~blank~20",
        "d/~secchi~blank~20",
        "new\nline",
        "return\r",
        "tab\tand\u{1b}[31mred\u{7}",
        "\u{1}\u{8}\u{1f}",
        "\u{7f}",
        "c1\u{9b}2J",
        "\u{202e}txt.exe",
        "e\u{301}/nfd",
        "\u{e9}/nfc",
        "🦭 日本",
        "a+b c%20&=?#;",
        "+",
        "&",
        "?",
        "?x=1",
        "#",
        "*",
        "a*[b]?",
        "100%",
        "%",
        "%2F",
        "%2e%2e/y",
        "%00",
        "q\"'<>`{}|\\^",
        "\\",
        "'",
        "\"",
        "&amp;&#10;<Key>",
        "]]>",
        "~secchi~x",
        "--help",
        "-",
        "s3://other/key",
        "http://other/key",
    ]
    .map(str::to_owned)
    .into();
    keys.push(format!("long/{}", "k".repeat(1019)));
    keys.push(format!("long//{}", "é".repeat(509)));
    keys
}

/// Creates a bucket with a name that nobody else uses.
pub async fn new_bucket(stores: Stores) -> (Stores, Location) {
    let name = format!("secchi-{}", ulid::Ulid::new().to_string().to_lowercase());
    let root = Location::parse(&format!("s3://{name}/")).expect("a location");
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    handle.create_bucket().await.expect("a bucket");
    (stores, root)
}

/// An S3 server in this process, on a folder that goes with it.
pub struct S3s {
    /// Its address.
    pub endpoint: String,
    folder: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl S3s {
    /// Starts it on a free port; its keys are `key` and `secret`.
    pub async fn start() -> Self {
        use hyper_util::rt::{TokioExecutor, TokioIo};
        let folder = tempfile::tempdir().expect("a folder");
        let mut builder =
            s3s::service::S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).expect("a folder"));
        builder.set_auth(s3s::auth::SimpleAuth::from_single("key", "secret"));
        let service = builder.build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move {
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            while let Ok((socket, _)) = listener.accept().await {
                let connection = server.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
                tokio::spawn(connection);
            }
        });
        Self { endpoint, folder, task }
    }

    /// Its folder: what lies in it are buckets.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Options that reach it.
    pub fn options(&self) -> Options {
        s3_options(&self.endpoint, "key", "secret")
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.endpoint.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }
}

impl Drop for S3s {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A proxy that misbehaves, in front of a port of this computer. It ends when it is dropped.
pub struct Fault {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Fault {
    /// Starts it with the options of `tests/services/fault.py`.
    pub fn start(target: u16, options: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/services/fault.py");
        let mut child = Command::new("python3")
            .arg(script)
            .args(["0", &target.to_string()])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let port = line.trim().strip_prefix("ready ").and_then(|p| p.parse().ok()).expect("its port");
        Self { child, port }
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
