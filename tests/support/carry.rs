//! The same files carried by every kind of transfer, over a line that may misbehave, and looked at over a good one.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of it")]

use super::support::{Ceph, S3s, entries, new_bucket, s3_options};
use secchi::error::Result;
use secchi::location::Location;
use secchi::store::{Given, Options, Stores, UploadMeta};
use secchi::task::Control;
use secchi::transfer::{
    Checksum, CopyRecord, CopySpec, DownloadSpec, IfExists, Past, Resume, Source, SyncSpec, Trail, UploadSpec, copy,
    download, sync, upload,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MIB: usize = 1 << 20;

/// Names below `src/`, and bytes.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Bytes without a period that divides a part or range.
pub fn body(size: usize) -> Vec<u8> {
    let block: Vec<u8> = (0..=250).cycle().take(100_003).collect();
    let mut bytes = block.repeat(size / block.len() + 1);
    bytes.truncate(size);
    bytes
}

/// Small ones, and one that goes in parts.
pub fn files() -> Files {
    let sizes = [("a.csv", 300_000), ("d/b.json", 1_000), ("d/empty", 0), ("large.tif", 17 * MIB + 3)];
    sizes.map(|(name, size)| (name.to_owned(), body(size))).into()
}

/// A server with a bucket of its own.
pub struct Place {
    /// Which.
    pub name: &'static str,
    /// Over a good line.
    pub stores: Stores,
    /// The bucket.
    pub root: Location,
    /// Of the server.
    pub port: u16,
    /// Access key.
    pub key: String,
    /// Secret key.
    pub secret: String,
    _server: Option<S3s>,
}

impl Place {
    /// `s3s-fs` in this process.
    pub async fn s3s() -> Self {
        let server = S3s::start().await;
        let place = Self::at("s3s", server.options(), server.port(), "key", "secret").await;
        Self { _server: Some(server), ..place }
    }

    /// The gateway, if there is one.
    pub async fn ceph() -> Option<Self> {
        let ceph = Ceph::find()?;
        Some(Self::at("Ceph", ceph.options(), ceph.port(), &ceph.key, &ceph.secret).await)
    }

    /// Both.
    pub async fn all() -> Vec<Self> {
        let mut all = vec![Self::s3s().await];
        all.extend(Self::ceph().await);
        all
    }

    async fn at(name: &'static str, options: Options, port: u16, key: &str, secret: &str) -> Self {
        let (stores, root) = new_bucket(Stores::new(options)).await;
        let place = Self { name, stores, root, port, key: key.to_owned(), secret: secret.to_owned(), _server: None };
        place.know_other(&place.stores);
        let handle = place.stores.open(&place.root, place.stores.meter()).await.expect("opens");
        for (name, bytes) in files() {
            let meta = UploadMeta::default();
            handle.put_object(&format!("src/{name}"), bytes.into(), &meta, false).await.expect("writes");
        }
        place
    }

    /// The same server by another name, which makes it another one: `s3://other@bucket/`.
    fn know_other(&self, stores: &Stores) {
        let given = Given {
            endpoint: format!("http://localhost:{}", self.port),
            region: "us-east-1".into(),
            access_key: self.key.clone(),
            secret_key: self.secret.clone(),
        };
        stores.give("other", given);
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Stores that reach it over another line, and how long that may be silent.
    pub fn through(&self, endpoint: &str, silence: Duration) -> Stores {
        let options = Options { silence: Some(silence), ..s3_options(endpoint, &self.key, &self.secret) };
        let stores = Stores::new(options);
        self.know_other(&stores);
        stores
    }

    /// Deletes all that it holds.
    pub async fn remove(self) {
        let handle = self.stores.open(&self.root, self.stores.meter()).await.expect("opens");
        for entry in entries(self.stores.list_all(&self.root)).await {
            handle.delete(entry.location(&self.root).key()).await.expect("deletes");
        }
    }
}

/// A kind of transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Upload,
    Download,
    /// A copy that the server makes by itself.
    Within,
    /// One through this computer.
    Through,
    SyncUp,
    SyncDown,
}

impl Op {
    pub const ALL: [Self; 6] =
        [Self::Upload, Self::Download, Self::Within, Self::Through, Self::SyncUp, Self::SyncDown];
}

/// One transfer of [`files`].
pub struct Case<'a> {
    pub place: &'a Place,
    pub op: Op,
    /// Below which it writes.
    prefix: String,
    pub dir: tempfile::TempDir,
    /// What its attempts recorded.
    pub events: Arc<Mutex<Vec<Value>>>,
    hook: Hook,
}

/// The name of an event, and what is done at the first of them.
type Hook = Arc<Mutex<Option<(&'static str, Box<dyn FnOnce() + Send>)>>>;

impl<'a> Case<'a> {
    pub fn new(place: &'a Place, op: Op) -> Self {
        let prefix = ulid::Ulid::new().to_string().to_lowercase();
        let dir = tempfile::tempdir().expect("a folder");
        for (name, bytes) in files() {
            let path = dir.path().join("src").join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, bytes).expect("writes");
        }
        Self { place, op, prefix, dir, events: Arc::default(), hook: Arc::default() }
    }

    /// Does something at the next event of a name.
    pub fn at(&self, event: &'static str, act: impl FnOnce() + Send + 'static) {
        *self.hook.lock().expect("hook") = Some((event, Box::new(act)));
    }

    /// Where it writes to a server.
    fn target(&self) -> Location {
        let root = &self.place.root;
        let at = root.with_key(format!("{}/", self.prefix));
        match self.op {
            Op::Through => Location::parse(&format!("s3://other@{}/{}/", root.bucket(), self.prefix)).expect("parses"),
            _ => at,
        }
    }

    /// Where it writes to this computer.
    pub fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// One of its files.
    pub fn source(&self, name: &str) -> PathBuf {
        self.dir.path().join("src").join(name)
    }

    fn folder(&self) -> Location {
        Location::file(&self.out()).as_container()
    }

    /// One attempt, which goes on with what those before recorded.
    pub async fn run(&self, stores: &Stores) -> Result<()> {
        Box::pin(self.run_as(stores, &Control::new(stores.meter().child()))).await
    }

    /// The same, with a control of the caller's.
    pub async fn run_as(&self, stores: &Stores, control: &Control) -> Result<()> {
        let earlier = self.events.lock().expect("events").clone();
        let (sink, hook) = (self.events.clone(), self.hook.clone());
        let record = move |event: Value| {
            let due = hook.lock().expect("hook").take_if(|(name, _)| event["event"] == **name);
            sink.lock().expect("events").push(event);
            if let Some((_, act)) = due {
                act();
            }
        };
        let (there, here) = (self.place.root.child("src/"), self.dir.path().join("src"));
        match self.op {
            Op::Upload => {
                let spec = UploadSpec {
                    files: vec![Source::new(here)],
                    destination: self.target(),
                    meta: UploadMeta::default(),
                    if_exists: IfExists::Fail,
                    checksum: Checksum::Auto,
                };
                Box::pin(upload(stores, &spec, control, &Resume::new(&earlier, record))).await.map(drop)
            }
            Op::Download => {
                let spec = DownloadSpec {
                    sources: vec![there],
                    destination: self.folder(),
                    if_exists: IfExists::Fail,
                    check: true,
                };
                Box::pin(download(stores, &spec, control, &Trail::new(&earlier, record))).await.map(drop)
            }
            Op::Within | Op::Through => {
                let spec = CopySpec::new(vec![there], self.target());
                Box::pin(copy(stores, &spec, control, &CopyRecord::new(&earlier, record))).await.map(drop)
            }
            Op::SyncUp | Op::SyncDown => {
                let (source, target) = match self.op {
                    Op::SyncUp => (Location::file(&here), self.target().child("src")),
                    _ => (there, self.folder().child("src")),
                };
                let past = Past::new(&earlier, record);
                Box::pin(sync(stores, &SyncSpec::new(&source, &target), control, &past, |_| Ok(()))).await.map(drop)
            }
        }
    }

    /// What stands at its destination, hidden files left out.
    pub async fn arrived(&self) -> Files {
        self.arrived_by(&self.place.stores).await
    }

    /// The same, as others see it.
    pub async fn arrived_by(&self, stores: &Stores) -> Files {
        if matches!(self.op, Op::Download | Op::SyncDown) {
            return below(&self.dir.path().join("out/src"));
        }
        let at = self.place.root.with_key(format!("{}/src/", self.prefix));
        let handle = stores.open(&at, stores.meter()).await.expect("opens");
        let mut found = Files::new();
        for entry in entries(stores.list_all(&at)).await {
            let one = entry.location(&at);
            let size = handle.stat(&one).await.expect("is there").size;
            let bytes =
                if size == 0 { Vec::new() } else { handle.read_range(&one, 0..size).await.expect("reads").into() };
            found.insert(one.key()[at.key().len()..].to_owned(), bytes);
        }
        found
    }

    /// All is there, byte for byte.
    #[track_caller]
    pub fn assert_whole(&self, found: &Files, why: &str) {
        self.assert_none_wrong(found, why);
        let (names, wished): (Vec<_>, Vec<_>) = (found.keys().collect(), files().into_keys().collect::<Vec<_>>());
        assert!(names.iter().copied().eq(wished.iter()), "{why}: {names:?}");
    }

    /// Whatever is there is whole.
    #[track_caller]
    pub fn assert_none_wrong(&self, found: &Files, why: &str) {
        let wished = files();
        for (name, bytes) in found {
            assert!(wished.get(name) == Some(bytes), "{why}: {:?} has left a wrong {name}", self.op);
        }
    }

    /// Fails over a bad line with a sentence, leaves nothing wrong, and goes on over a good one. The sentence.
    pub async fn fails_and_goes_on(&self, bad: &Stores, why: &str) -> secchi::error::Error {
        let err = self.run(bad).await.expect_err(why);
        self.assert_none_wrong(&self.arrived().await, why);
        let again = self.run(&self.place.stores).await;
        again.unwrap_or_else(|then| panic!("{why}: {:?} at {} after `{err}`: {then:?}", self.op, self.place.name));
        self.assert_whole(&self.arrived().await, why);
        err
    }
}

/// Files of a folder that have no hidden name.
pub fn below(root: &Path) -> Files {
    let (mut found, mut folders) = (Files::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
                found.insert(name, std::fs::read(&path).expect("reads"));
            }
        }
    }
    found
}
