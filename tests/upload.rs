//! Uploads: whole, proved, and without leftovers. One suite for every store: memory, the local disk, and a
//! real Ceph gateway where `SECCHI_CEPH`, `SECCHI_CEPH_KEY` and `SECCHI_CEPH_SECRET` name one.

#![allow(clippy::print_stderr)] // a skipped test says so

#[path = "support/cli.rs"]
mod cli;
#[path = "support/kill.rs"]
mod kill;
mod support;
#[path = "support/wire.rs"]
mod wire;

use secchi::error::{Kind, Result};
use secchi::job::{Job as _, Jobs, State};
use secchi::jobs::upload::Upload;
use secchi::location::{Location, Scheme};
use secchi::store::{Environment, Options, Stores, UploadMeta};
use secchi::task::{Control, Waker};
use secchi::transfer::{IfExists, Resume, Source, UploadSpec, Uploaded, upload};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

const MIB: usize = 1 << 20;
/// Stands nowhere but in the credentials.
const SECRET: &str = "a-secret-that-must-not-be-written";

/// A store to write to, and a folder for sources.
struct Bench {
    stores: Stores,
    base: Location,
    dir: tempfile::TempDir,
    ceph: Option<aws_sdk_s3::Client>,
}

impl Bench {
    fn source(&self, name: &str, size: usize) -> PathBuf {
        let path = self.dir.path().join(name);
        // No period that divides a part, so that exchanged parts are noticed.
        let block: Vec<u8> = (0..=250).cycle().take(100_003).collect();
        let mut bytes = block.repeat(size / block.len() + 1);
        bytes.truncate(size);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(&path, bytes).expect("writes");
        path
    }

    fn to(&self, key: &str) -> Location {
        self.base.child(key)
    }

    fn spec(&self, path: &Path, key: &str) -> UploadSpec {
        UploadSpec {
            files: vec![Source::new(path)],
            destination: self.to(key),
            meta: UploadMeta::default(),
            if_exists: IfExists::Fail,
            checksum: secchi::transfer::Checksum::Auto,
        }
    }

    async fn put(&self, spec: &UploadSpec) -> Result<Vec<Uploaded>> {
        upload(&self.stores, spec, &Control::new(self.stores.meter().child()), &Resume::default()).await
    }

    async fn bytes(&self, location: &Location) -> Vec<u8> {
        let handle = self.stores.open(location, self.stores.meter()).await.expect("opens");
        let size = self.stores.stat(location, self.stores.meter()).await.expect("is there").size;
        if size == 0 {
            return Vec::new();
        }
        handle.read_range(location, 0..size).await.expect("reads").to_vec()
    }

    async fn is_absent(&self, location: &Location) -> bool {
        matches!(self.stores.stat(location, self.stores.meter()).await, Err(err) if err.kind() == Kind::NotFound)
    }

    /// Unfinished uploads on the server, or what is left of them on the disk.
    async fn orphans(&self) -> usize {
        if let Some(folder) = self.base.to_path() {
            let files = std::fs::read_dir(folder).expect("lists").flatten();
            return files.filter(|f| f.file_name().to_string_lossy().starts_with('.')).count();
        }
        let Some(client) = &self.ceph else { return 0 };
        let listed = client.list_multipart_uploads().bucket(self.base.bucket()).send().await.expect("lists");
        listed.uploads().len()
    }
}

fn bench(base: Location, environment: Environment, endpoint: Option<String>) -> Bench {
    let region = Some("us-east-1".to_owned());
    let stores = Stores::new(Options { environment, endpoint_url: endpoint, region, ..Options::default() });
    Bench { stores, base, dir: tempfile::tempdir().expect("a folder"), ceph: None }
}

fn secrets() -> Environment {
    Environment::fixed([("AWS_ACCESS_KEY_ID", "an-access-key"), ("AWS_SECRET_ACCESS_KEY", SECRET)])
}

fn memory() -> Bench {
    bench(Location::parse("memory:///up/").expect("location"), secrets(), None)
}

fn local() -> Bench {
    let bench = bench(Location::parse("memory:///").expect("location"), secrets(), None);
    let folder = bench.dir.path().join("target");
    std::fs::create_dir(&folder).expect("folder");
    Bench { base: Location::file(&folder).as_container(), ..bench }
}

/// The gateway of the environment: credentials and endpoint.
fn gateway() -> Option<(Environment, String)> {
    let variable = |name| std::env::var(name).ok();
    let (key, secret) = (variable("SECCHI_CEPH_KEY")?, variable("SECCHI_CEPH_SECRET")?);
    let credentials = Environment::fixed([("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)]);
    Some((credentials, variable("SECCHI_CEPH")?))
}

/// A client that is not ours, to look at what we left.
fn client(endpoint: &str, key: &str, secret: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .credentials_provider(aws_sdk_s3::config::Credentials::new(key, secret, None, None, "test"))
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// A bucket of its own on the gateway of the environment.
async fn ceph() -> Option<Bench> {
    let Some((environment, endpoint)) = gateway() else {
        eprintln!("skipped: SECCHI_CEPH, SECCHI_CEPH_KEY and SECCHI_CEPH_SECRET name no gateway");
        return None;
    };
    let variable = |name| std::env::var(name).expect("is set");
    let (key, secret) = (variable("SECCHI_CEPH_KEY"), variable("SECCHI_CEPH_SECRET"));
    let bucket = format!("upload-{}", ulid::Ulid::new().to_string().to_lowercase());
    let base = Location::parse(&format!("s3://{bucket}/")).expect("location");
    let mut bench = bench(base, environment, Some(endpoint.clone()));
    let handle = bench.stores.open(&bench.base, bench.stores.meter()).await.expect("opens");
    handle.create_bucket().await.expect("creates the bucket");
    bench.ceph = Some(client(&endpoint, &key, &secret));
    Some(bench)
}

async fn stores() -> Vec<Bench> {
    let mut all = vec![memory(), local()];
    all.extend(ceph().await);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_arrive_with_what_belongs_to_them() {
    for bench in stores().await {
        let path = bench.source("B02.tif", 100_000);
        let mut spec = bench.spec(&path, "");
        spec.meta.metadata = [("fairease.catalog.mediatype".to_owned(), "COG".to_owned())].into();
        let done = bench.put(&spec).await.unwrap_or_else(|e| panic!("{}: {e:?}", bench.base));
        assert_eq!((done.len(), &done[0].location, done[0].size), (1, &bench.to("B02.tif"), 100_000));
        assert_eq!(bench.bytes(&done[0].location).await, std::fs::read(&path).expect("reads"));
        if bench.base.scheme() != Scheme::File {
            assert_eq!(done[0].stat.content_type.as_deref(), Some("image/tiff"));
            assert_eq!(done[0].stat.metadata, spec.meta.metadata);
        }
        let empty = bench.source("empty.csv", 0);
        assert_eq!(bench.put(&bench.spec(&empty, "")).await.expect("an empty file")[0].size, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_go_in_parts_and_come_out_whole() {
    for bench in stores().await {
        let path = bench.source("large.parquet", 40 * MIB + 17);
        let mut spec = bench.spec(&path, "deep/er/large.parquet");
        spec.meta.metadata = [("fairease.catalog.mediatype".to_owned(), "COG".to_owned())].into();
        if bench.ceph.is_some() {
            spec.meta.tags = [("project".to_owned(), "lakes".to_owned())].into();
        }
        let control = Control::new(bench.stores.meter().child());
        let done = upload(&bench.stores, &spec, &control, &Resume::default())
            .await
            .unwrap_or_else(|e| panic!("{}: {e:?}", bench.base));
        let stat = &done[0].stat;
        assert_eq!(stat.size, 40 * MIB as u64 + 17);
        assert_eq!(bench.bytes(&stat.location).await, std::fs::read(&path).expect("reads"));
        assert_eq!(control.progress(), (stat.size, stat.size));
        if bench.base.scheme() != Scheme::File {
            assert_eq!(stat.metadata, spec.meta.metadata);
            assert_eq!(stat.content_type.as_deref(), Some("application/vnd.apache.parquet"));
        }
        if bench.ceph.is_some() {
            assert_eq!(stat.tags, spec.meta.tags);
            assert!(stat.etag.as_deref().expect("an ETag").trim_matches('"').ends_with("-6"), "six parts");
            assert!(control.meter.counts().bytes_out >= stat.size);
            assert!(control.take_notes().is_empty(), "nothing was sent twice");
        }
        assert_eq!(bench.orphans().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_there_is_kept_unless_the_user_says_otherwise() {
    for bench in stores().await {
        for size in [10, 17 * MIB] {
            let name = format!("x{size}.csv");
            let (first, second) = (bench.source("first", size), bench.source("second", size + 1));
            let mut spec = bench.spec(&first, &name);
            bench.put(&spec).await.expect("is free");
            spec.files = vec![Source::new(&second)];

            let err = bench.put(&spec).await.expect_err("is taken");
            assert_eq!((err.kind(), err.exit_code()), (Kind::Exists, 6), "{err}");
            spec.if_exists = IfExists::Skip;
            let skipped = bench.put(&spec).await.expect("is left out");
            assert!(skipped[0].skipped && skipped[0].size == size as u64);
            spec.if_exists = IfExists::Rename;
            for expected in [format!("x{size} (1).csv"), format!("x{size} (2).csv")] {
                let renamed = bench.put(&spec).await.unwrap_or_else(|e| panic!("{}: {e:?}", bench.base));
                assert_eq!((&renamed[0].location, renamed[0].size), (&bench.to(&expected), size as u64 + 1));
            }
            assert_eq!(bench.bytes(&bench.to(&name)).await.len(), size, "the first is as it was");
            spec.if_exists = IfExists::Overwrite;
            assert_eq!(bench.put(&spec).await.expect("is replaced")[0].size, size as u64 + 1);
        }
        assert_eq!(bench.orphans().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_keep_their_shape() {
    for bench in stores().await {
        for n in 0..30 {
            bench.source(&format!("set/{}/{n}.json", n % 3), 100 + n);
        }
        bench.source("set/top.txt", 5);
        let mut spec = bench.spec(&bench.dir.path().join("set"), "into/");
        let control = Control::new(bench.stores.meter().child());
        let done = upload(&bench.stores, &spec, &control, &Resume::default())
            .await
            .unwrap_or_else(|e| panic!("{}: {e:?}", bench.base));
        assert_eq!(done.len(), 31);
        assert_eq!(done[0].location, bench.to("into/set/0/0.json"));
        assert_eq!(bench.bytes(&bench.to("into/set/2/29.json")).await.len(), 129);
        assert_eq!(control.current_step(), "31 of 31 files");
        let err = bench.put(&spec).await.expect_err("all are taken");
        assert_eq!(err.kind(), Kind::Exists, "not the cancellation of the others");
        spec.if_exists = IfExists::Skip;
        assert!(bench.put(&spec).await.expect("is left out").iter().all(|f| f.skipped));
    }
}

/// Events of an upload, and something to do at the first part.
fn at_first_part(act: impl Fn() + Send + Sync + 'static) -> (Resume, Arc<Mutex<Vec<Value>>>) {
    resume_at_first_part(&[], act)
}

fn resume_at_first_part(earlier: &[Value], act: impl Fn() + Send + Sync + 'static) -> (Resume, Arc<Mutex<Vec<Value>>>) {
    let events: Arc<Mutex<Vec<Value>>> = Arc::default();
    let sink = events.clone();
    let resume = Resume::new(earlier, move |event| {
        let is_part = event["event"] == "part";
        let mut events = sink.lock().expect("lock");
        let is_first = is_part && !events.iter().any(|e| e["event"] == "part");
        events.push(event);
        drop(events);
        if is_first {
            act();
        }
    });
    (resume, events)
}

fn parts(events: &Mutex<Vec<Value>>) -> usize {
    events.lock().expect("lock").iter().filter(|e| e["event"] == "part").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_upload_leaves_nothing() {
    for bench in stores().await {
        let spec = bench.spec(&bench.source("big.bin", 64 * MIB), "big.bin");
        let control = Control::new(bench.stores.meter().child());
        let stop = control.clone();
        let (resume, events) = at_first_part(move || stop.cancel());
        let result = upload(&bench.stores, &spec, &control, &resume).await;
        assert_eq!(result.map(|_| ()).map_err(|e| e.kind()), Err(Kind::Cancelled));
        assert_eq!(events.lock().expect("lock").last().map(|e| e["event"].clone()), Some(json!("aborted")));
        assert!(bench.is_absent(&bench.to("big.bin")).await);
        assert_eq!(bench.orphans().await, 0, "{}", bench.base);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_is_not_uploaded() {
    for bench in stores().await {
        let path = bench.source("growing.nc", 40 * MIB);
        let spec = bench.spec(&path, "growing.nc");
        let (resume, _) = at_first_part(move || {
            use std::io::Write as _;
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("opens");
            file.write_all(b"more").expect("appends");
        });
        let result = upload(&bench.stores, &spec, &Control::default(), &resume).await;
        let err = result.map(|_| ()).expect_err("it changed");
        assert_eq!(err.kind(), Kind::Changed);
        assert!(err.to_string().contains("changed while it was uploaded"), "{err}");
        assert!(bench.is_absent(&bench.to("growing.nc")).await);
        assert_eq!(bench.orphans().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_upload_goes_on_where_it_was() {
    for bench in [Some(memory()), ceph().await].into_iter().flatten() {
        let path = bench.source("long.tif", 80 * MIB);
        let spec = bench.spec(&path, "long.tif");
        let killed = Arc::new(tokio::sync::Notify::new());
        let kill = killed.clone();
        let (resume, events) = at_first_part(move || kill.notify_one());
        let (stores, first) = (bench.stores.clone(), spec.clone());
        let task = tokio::spawn(async move {
            // Nothing is cleaned up when this is dropped, as if the program were killed.
            let _ = upload(&stores, &first, &Control::default(), &resume).await;
        });
        killed.notified().await;
        task.abort();
        let _ = task.await;
        assert!(bench.is_absent(&bench.to("long.tif")).await);
        let (known, earlier) = (parts(&events), events.lock().expect("lock").clone());
        assert!((1..10).contains(&known), "{known}");
        if bench.ceph.is_some() {
            assert_eq!(bench.orphans().await, 1);
        }

        let (resume, events) = resume_at_first_part(&earlier, || {});
        let control = Control::default();
        let done =
            upload(&bench.stores, &spec, &control, &resume).await.unwrap_or_else(|e| panic!("{}: {e:?}", bench.base));
        assert_eq!(parts(&events), 10 - known, "only what was missing is sent");
        assert_eq!(control.progress(), (80 << 20, 80 << 20));
        assert_eq!(bench.bytes(&done[0].location).await, std::fs::read(&path).expect("reads"));
        assert_eq!(bench.orphans().await, 0);

        // A third attempt finds it whole and sends nothing.
        let all: Vec<Value> = earlier.iter().chain(events.lock().expect("lock").iter()).cloned().collect();
        let (resume, events) = resume_at_first_part(&all, || {});
        upload(&bench.stores, &spec, &Control::default(), &resume).await.expect("is whole");
        assert_eq!(parts(&events), 0);

        // With another source the old upload is removed, not orphaned.
        std::fs::write(&path, "short").expect("writes");
        let (resume, _) = resume_at_first_part(&earlier, || {});
        let again = UploadSpec { destination: bench.to("other.tif"), ..spec };
        upload(&bench.stores, &again, &Control::default(), &resume).await.expect("starts over");
        assert_eq!(bench.orphans().await, 0);
    }
}

/// Not a test: the program that [`a_program_killed_with_9_is_resumed_by_the_next`] kills.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let (Ok(state), Ok(spec)) = (std::env::var("SECCHI_TEST_STATE"), std::env::var("SECCHI_TEST_SPEC")) else { return };
    let (environment, endpoint) = match std::env::var("SECCHI_TEST_CEPH") {
        Ok(_) => gateway().expect("a gateway"),
        Err(_) => (secrets(), String::new()),
    };
    let endpoint_url = Some(endpoint).filter(|e| !e.is_empty());
    let region = Some("us-east-1".to_owned());
    let stores = Stores::new(Options { environment, endpoint_url, region, ..Options::default() });
    let jobs = Jobs::new(stores, state.into(), Waker::new());
    let job = Upload::from_params(serde_json::from_str(&spec).expect("JSON")).expect("a job");
    let id = jobs.start(job).expect("starts");
    jobs.wait(&id).await.expect("ends, unless it is killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_killed_with_9_is_resumed_by_the_next() {
    for bench in [Some(local()), ceph().await].into_iter().flatten() {
        let state = tempfile::tempdir().expect("folder");
        let path = bench.source("scene.tif", 256 * MIB);
        let mut spec = bench.spec(&path, "scene.tif");
        if bench.ceph.is_some() {
            spec.meta.metadata = [("fairease.catalog.mediatype".to_owned(), "COG".to_owned())].into();
            spec.meta.tags = [("project".to_owned(), "lakes".to_owned())].into();
        }
        let mut program = std::process::Command::new(std::env::current_exe().expect("this test"));
        program.args(["--exact", "victim"]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        program.env("SECCHI_TEST_STATE", state.path());
        program.env("SECCHI_TEST_SPEC", serde_json::to_string(&spec).expect("JSON"));
        if bench.ceph.is_some() {
            program.env("SECCHI_TEST_CEPH", "1");
        }
        let mut child = program.spawn().expect("starts");
        let journalled = || {
            let run = std::fs::read_dir(state.path().join("runs")).ok()?.next()?.ok()?;
            std::fs::read_to_string(run.path().join("ev/0.1.ndjson")).ok()
        };
        let first_part = async {
            while !journalled().is_some_and(|text| text.contains("\"part\"")) {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_mins(1), first_part).await.expect("a part is sent in time");
        // SIGKILL: nothing is cleaned up.
        child.kill().expect("kills");
        child.wait().expect("is gone");
        let known = journalled().expect("events").matches("\"event\":\"part\"").count();
        assert!(known < 32, "it was killed too late");
        assert!(bench.is_absent(&bench.to("scene.tif")).await, "nothing stands under the final name");

        let jobs =
            Jobs::new(bench.stores.clone(), state.path().to_owned(), Waker::new()).with_kinds(secchi::jobs::from_spec);
        jobs.loaded().await;
        let view = jobs.views().pop().expect("the run is known");
        assert_eq!((&view.state, view.title.contains("scene.tif")), (&State::Interrupted, true));
        assert_eq!(jobs.retry(&view.id).expect("goes on"), view.id);
        let view = jobs.wait(&view.id).await.expect("a view");
        assert_eq!(view.state, State::Done, "{:?}", view.log);
        let sent = view.events.iter().filter(|e| e["event"] == "part").count();
        // The first attempt's last parts may have been sent without coming to be written down.
        assert_eq!(sent + known, 32, "what was sent and written down is not sent again");
        assert!(bench.bytes(&bench.to("scene.tif")).await == std::fs::read(&path).expect("reads"), "byte-equal");
        let stat = bench.stores.stat(&bench.to("scene.tif"), bench.stores.meter()).await.expect("stands");
        assert_eq!((stat.metadata, stat.tags), (spec.meta.metadata, spec.meta.tags));
        assert_eq!(bench.orphans().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_gives_the_proof_and_writes_no_secret() {
    for bench in stores().await {
        let state = tempfile::tempdir().expect("folder");
        let jobs =
            Jobs::new(bench.stores.clone(), state.path().to_owned(), Waker::new()).with_kinds(secchi::jobs::from_spec);
        let path = bench.source("scene.tif", 20 * MIB);
        let mut spec = bench.spec(&path, "");
        spec.meta.metadata = [("fairease.catalog.mediatype".to_owned(), "COG".to_owned())].into();
        let job = Upload::new(spec);
        assert_eq!(job.command()[..2], ["put".to_owned(), path.display().to_string()]);
        let id = jobs.start(Box::new(job)).expect("starts");
        let view = jobs.wait(&id).await.expect("a view");
        assert_eq!(view.state, State::Done, "{:?}", view.log);
        let outcome = view.outcome.expect("an outcome");
        assert_eq!(outcome.written, [bench.to("scene.tif")]);
        assert_eq!(outcome.data["stat"]["size"], 20 * MIB);
        if bench.base.scheme() != Scheme::File {
            assert_eq!(outcome.data["stat"]["metadata"]["fairease.catalog.mediatype"], "COG");
        }
        assert!(view.counts.bytes_out >= 20 * MIB as u64, "its traffic is counted: {:?}", view.counts);

        let failing = jobs.retry(&id).expect("as a new run");
        assert!(
            matches!(jobs.wait(&failing).await.expect("a view").state, State::Failed(why) if why.contains("exists"))
        );
        let secret = std::env::var("SECCHI_CEPH_SECRET").unwrap_or_else(|_| SECRET.to_owned());
        let mut files = 0;
        for run in std::fs::read_dir(state.path().join("runs")).expect("runs") {
            let run = run.expect("a run").path();
            for file in [run.join("spec.json"), run.join("ev/0.1.ndjson")] {
                let text = std::fs::read_to_string(file).expect("reads");
                assert!(!text.contains(&secret) && !text.contains(SECRET), "{text}");
                files += 1;
            }
        }
        assert_eq!(files, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said() {
    let here = memory();
    for (path, kind) in [("/no/such/file", Kind::NotFound), ("/", Kind::Usage)] {
        let err = here.put(&here.spec(Path::new(path), "x/")).await.expect_err(path);
        assert_eq!(err.kind(), kind, "{err}");
    }
    let nowhere = Environment::fixed([("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", SECRET)]);
    let bench = bench(Location::parse("s3://bucket/").expect("location"), nowhere, Some("http://127.0.0.1:9".into()));
    let err = bench.put(&bench.spec(&bench.source("x", 10), "x")).await.expect_err("nothing answers");
    assert_eq!(err.kind(), Kind::Unreachable, "{err:?}");
}

/// A server that the real program writes to, and that tells what it was sent.
struct Target {
    program: cli::Program,
    /// Requests that came to the server as a whole.
    wire: wire::Wire,
    bench: Bench,
    _server: Option<support::S3s>,
}

impl Target {
    async fn new(port: u16, key: &str, secret: &str, server: Option<support::S3s>) -> Self {
        let wire = wire::Wire::start(move |_| Box::pin(async move { wire::Reply::Of(port) })).await;
        let program = cli::Program::new().with_keys(&wire.endpoint(), key, secret).with("AWS_REGION", "us-east-1");
        let environment = Environment::fixed([("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)]);
        let bucket = format!("kill-{}", ulid::Ulid::new().to_string().to_lowercase());
        let base = Location::parse(&format!("s3://{bucket}/")).expect("location");
        let bench = bench(base, environment, Some(format!("http://127.0.0.1:{port}")));
        let handle = bench.stores.open(&bench.base, bench.stores.meter()).await.expect("opens");
        handle.create_bucket().await.expect("creates the bucket");
        Self { program, wire, bench, _server: server }
    }

    /// s3s-fs, and Ceph where there is one.
    async fn all() -> Vec<Self> {
        let server = support::S3s::start().await;
        let mut all = vec![Self::new(server.port(), "key", "secret", Some(server)).await];
        if let Some(ceph) = support::Ceph::find() {
            let mut target = Self::new(ceph.port(), &ceph.key, &ceph.secret, None).await;
            target.bench.ceph = Some(client(&ceph.endpoint, &ceph.key, &ceph.secret));
            all.push(target);
        }
        all
    }

    /// Bodies that came to the server as a whole, by what follows the bucket in the address.
    fn puts(&self) -> Vec<String> {
        let of = |asked: wire::Asked| asked.target().rsplit_once(self.bench.base.bucket()).map(|(_, k)| k.to_owned());
        self.wire.asked().into_iter().filter(|asked| asked.method() == "PUT").filter_map(of).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_killed_again_and_again_loses_and_repeats_nothing() {
    for target in Target::all().await {
        let size = kill::mib(96) * MIB + 17;
        let path = target.bench.source("scene.tif", size);
        let to = target.bench.to("scene.tif");
        let mut args = vec!["put".to_owned(), path.display().to_string(), to.to_string()];
        args.extend(["--metadata", "fairease.catalog.mediatype=COG"].map(str::to_owned));
        let is_ceph = target.bench.ceph.is_some();
        if is_ceph {
            args.extend(["--tag", "project=lakes"].map(str::to_owned));
        }
        let parts = size.div_ceil(8 * MIB);
        let story = tokio::task::block_in_place(|| {
            let mut killer = kill::Killer::new(&target.program);
            killer.run(&args, kill::kills(5), "part", parts, std::time::Duration::from_millis(30))
        });
        assert!(target.bench.bytes(&to).await == std::fs::read(&path).expect("reads"), "byte-equal");
        let stat = target.bench.stores.stat(&to, target.bench.stores.meter()).await.expect("stands");
        assert_eq!(stat.metadata["fairease.catalog.mediatype"], "COG");
        if is_ceph {
            assert_eq!(stat.tags["project"], "lakes");
        }
        assert_eq!(target.bench.orphans().await, 0);
        let sent = target.puts().iter().filter(|put| put.contains("partNumber=")).count();
        eprintln!("{}: {sent} parts sent, {parts} needed, {} kills", target.bench.base, story.kills);
        assert!(sent * 10 <= parts * 11, "{sent} of {parts}");
    }
}

/// The server works on what the killed attempt has asked for at last, while the next attempt looks what there is.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_still_being_completed_is_not_sent_again() {
    let server = support::S3s::start().await;
    let port = server.port();
    // With all that was sent written down, and without the first and the last part of it.
    for forgotten in [vec![], vec![1], vec![5], vec![1, 2, 3, 4, 5]] {
        let (held, released) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let (hold, release) = (held.clone(), released.clone());
        let is_held = Arc::new(AtomicBool::new(false));
        let wire = wire::Wire::start(move |asked| {
            let (hold, release, is_held) = (hold.clone(), release.clone(), is_held.clone());
            Box::pin(async move {
                if asked.method() == "POST" && asked.target().contains("uploadId=") && !is_held.swap(true, Relaxed) {
                    hold.notify_one();
                    release.notified().await;
                } else if asked.method() == "GET" && asked.target().contains("uploadId=") {
                    release.notify_one();
                }
                wire::Reply::Of(port)
            })
        })
        .await;
        let keys = Environment::fixed([("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
        let bucket = format!("slow-{}", ulid::Ulid::new().to_string().to_lowercase());
        let base = Location::parse(&format!("s3://{bucket}/")).expect("location");
        let bench = bench(base, keys, Some(wire.endpoint()));
        let handle = bench.stores.open(&bench.base, bench.stores.meter()).await.expect("opens");
        handle.create_bucket().await.expect("creates the bucket");
        let path = bench.source("slow.tif", 36 * MIB);
        let spec = bench.spec(&path, "slow.tif");
        let (resume, events) = resume_at_first_part(&[], || {});
        let (stores, first) = (bench.stores.clone(), spec.clone());
        let task = tokio::spawn(async move {
            let _ = upload(&stores, &first, &Control::default(), &resume).await;
        });
        held.notified().await;
        task.abort();
        let _ = task.await;
        let is_forgotten = |event: &&Value| {
            event["event"] == "part" && event["part"].as_u64().is_some_and(|part| forgotten.contains(&part))
        };
        let all = events.lock().expect("lock").clone();
        let earlier: Vec<Value> = all.iter().filter(|event| !is_forgotten(event)).cloned().collect();
        let (resume, _) = resume_at_first_part(&earlier, || {});
        let control = Control::default();
        let done = upload(&bench.stores, &spec, &control, &resume).await;
        let done = done.unwrap_or_else(|e| panic!("without {forgotten:?}: {e:?}, {:?}", control.take_notes()));
        assert!(bench.bytes(&done[0].location).await == std::fs::read(&path).expect("reads"), "byte-equal");
        assert_eq!(control.progress(), (36 << 20, 36 << 20));
        let notes = control.take_notes().join("\n");
        assert!(!notes.contains("all is sent again"), "without {forgotten:?}: {notes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_killed_again_and_again_arrives_once() {
    for target in Target::all().await {
        let files = kill::number("SECCHI_KILL_FILES", 200) as usize;
        for n in 0..files {
            target.bench.source(&format!("set/{}/{n:04}.json", n % 7), 1_000 + n * 31);
        }
        let folder = target.bench.dir.path().join("set");
        let args = ["put".to_owned(), folder.display().to_string(), target.bench.to("in/").to_string()];
        let story = tokio::task::block_in_place(|| {
            let mut killer = kill::Killer::new(&target.program);
            killer.run(&args, kill::kills(5), "file", files, std::time::Duration::from_millis(5))
        });
        for n in 0..files {
            let name = format!("set/{}/{n:04}.json", n % 7);
            let there = target.bench.bytes(&target.bench.to(&format!("in/{name}"))).await;
            assert!(there == std::fs::read(target.bench.dir.path().join(&name)).expect("reads"), "{name}");
        }
        let listed = support::entries(target.bench.stores.list_all(&target.bench.base)).await;
        assert_eq!(listed.len(), files, "nothing more");
        assert_eq!(story.count("file"), files, "each is told of once");
        let puts = target.puts().iter().filter(|put| put.contains("/in/")).count();
        eprintln!("{}: {puts} puts of {files} files, {} kills", target.bench.base, story.kills);
        assert!(puts * 10 <= files * 11, "{puts} of {files}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_among_many_costs_no_other_file() {
    let server = support::S3s::start().await;
    let keys = Environment::fixed([("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
    let base = Location::parse("s3://taken-among-many/").expect("location");
    let bench = bench(base, keys, Some(server.endpoint.clone()));
    let handle = bench.stores.open(&bench.base, bench.stores.meter()).await.expect("opens");
    handle.create_bucket().await.expect("creates the bucket");
    let files = 120;
    for n in 0..files {
        bench.source(&format!("set/{n:04}.json"), 1_000 + n);
    }
    // The first two tell how the server behaves; those after them are read ahead when this one is met.
    let stands = bench.source("other.json", 77);
    bench.put(&bench.spec(&stands, "set/0005.json")).await.expect("is free");
    let mut spec = bench.spec(&bench.dir.path().join("set"), "");
    spec.if_exists = IfExists::Rename;
    let done = bench.put(&spec).await.expect("goes through");
    assert_eq!(done.len(), files);
    assert_eq!(done[5].location, bench.to("set/0005 (1).json"));
    for one in &done {
        assert!(bench.bytes(&one.location).await == std::fs::read(&one.path).expect("reads"), "{}", one.location);
    }
    assert_eq!(bench.bytes(&bench.to("set/0005.json")).await.len(), 77, "what stood there is as it was");
    assert_eq!(support::entries(bench.stores.list_all(&bench.base)).await.len(), files + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_content_of_the_same_size_and_time_is_not_mixed_in() {
    for bench in [Some(memory()), ceph().await].into_iter().flatten() {
        let path = bench.source("spliced.tif", 40 * MIB);
        let modified = std::fs::metadata(&path).and_then(|about| about.modified()).expect("a time");
        let spec = bench.spec(&path, "spliced.tif");
        let killed = Arc::new(tokio::sync::Notify::new());
        let kill = killed.clone();
        let (resume, events) = at_first_part(move || kill.notify_one());
        let (stores, first) = (bench.stores.clone(), spec.clone());
        let task = tokio::spawn(async move {
            let _ = upload(&stores, &first, &Control::default(), &resume).await;
        });
        killed.notified().await;
        task.abort();
        let _ = task.await;
        let earlier = events.lock().expect("lock").clone();
        std::fs::write(&path, vec![7; 40 * MIB]).expect("writes");
        std::fs::File::options().write(true).open(&path).and_then(|f| f.set_modified(modified)).expect("sets the time");
        let (resume, _) = resume_at_first_part(&earlier, || {});
        let control = Control::default();
        upload(&bench.stores, &spec, &control, &resume).await.expect("starts over");
        let notes = control.take_notes().join("\n");
        assert!(notes.contains("has other content than before, although its size and time are the same"), "{notes}");
        assert!(bench.bytes(&bench.to("spliced.tif")).await == std::fs::read(&path).expect("reads"));
        assert_eq!(bench.orphans().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_cost_one_request_each() {
    let Some(bench) = ceph().await else { return };
    let files = 100;
    for n in 0..files {
        bench.source(&format!("many/{n:03}.bin"), 65_536);
    }
    let spec = bench.spec(&bench.dir.path().join("many"), "");
    let control = Control::new(bench.stores.meter().child());
    let done = upload(&bench.stores, &spec, &control, &Resume::default()).await.expect("goes through");
    assert!(done.iter().all(|one| one.proof == secchi::transfer::Proof::Md5));
    let requests = control.meter.counts().requests;
    eprintln!("{requests} requests for {files} files");
    assert!(requests <= files + 6, "{requests}");
    // What stands there is asked for once more, and nothing is sent twice.
    let control = Control::new(bench.stores.meter().child());
    let skip = UploadSpec { if_exists: IfExists::Skip, ..spec };
    assert!(upload(&bench.stores, &skip, &control, &Resume::default()).await.expect("skips").iter().all(|f| f.skipped));
    assert!(control.meter.counts().requests <= files + 2 && control.meter.counts().bytes_out == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_checksum_proves_what_arrived() {
    use secchi::transfer::{Checksum, Proof};
    let Some(bench) = ceph().await else { return };
    for (checksum, expected) in [
        (Checksum::Auto, Proof::Md5),
        (Checksum::Md5, Proof::Md5),
        // Ceph 16 keeps no checksums: what it has is read again.
        (Checksum::Crc32c, Proof::ReadBack),
        (Checksum::Sha256, Proof::ReadBack),
        (Checksum::None, Proof::Size),
    ] {
        for size in [1_000, 20 * MIB] {
            let name = format!("{}-{size}", checksum.as_str());
            let spec = UploadSpec { checksum, ..bench.spec(&bench.source(&name, size), &name) };
            let done = bench.put(&spec).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
            assert_eq!(done[0].proof, expected, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_is_asked_and_an_answer_holds_for_all() {
    let bench = memory();
    for n in 0..6 {
        bench.source(&format!("asked/{n}.txt"), 10 + n);
    }
    let mut spec = bench.spec(&bench.dir.path().join("asked"), "a/");
    bench.put(&spec).await.expect("is written");
    spec.if_exists = IfExists::Ask;
    let err = bench.put(&spec).await.expect_err("nobody is there");
    assert_eq!(err.kind(), Kind::Exists);
    let control = Control::default();
    control.can_answer();
    let (resume, events) = resume_at_first_part(&[], || {});
    let answers = async {
        for answer in ["overwrite", "rename-all"] {
            // Once answered, only another question stands open, perhaps before we look again.
            control.asked().await.expect("asked");
            control.answer(answer);
        }
        std::future::pending::<()>().await;
    };
    let done = tokio::select! {
        done = upload(&bench.stores, &spec, &control, &resume) => done.expect("is written"),
        () = answers => unreachable!(),
    };
    let renamed = done.iter().filter(|one| one.location.key().contains(" (1)")).count();
    assert_eq!(renamed, 5);
    assert!(events.lock().expect("lock").iter().any(|e| e["event"] == "for-all" && e["verdict"] == "rename"));
}
