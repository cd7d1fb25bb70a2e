//! Uploads and downloads, measured from outside: the release binary beside s5cmd and rclone on the same server
//! in the same run.
//!
//! ```text
//! cargo bench --bench transfers                  all of it, about five minutes
//! cargo bench --bench transfers -- put2k get1g   only these: put2k, get2k, put1g, get1g
//! SECCHI_CEPH=http://127.0.0.1:7480              a server, with SECCHI_CEPH_KEY and SECCHI_CEPH_SECRET
//! SECCHI_BENCH_FILES=200 SECCHI_BENCH_MIB=64     other than 2,000 files and 1,024 MiB
//! SECCHI_BENCH_RUNS=5 SECCHI_BENCH_PROGRAM=FILE  other than three runs; an older program, to compare
//! ```
//! Prints one JSON object. Without `SECCHI_CEPH` the embedded server of the demo is measured. Peers that are
//! not on the `PATH` are left out and named under `missing`. A limit that is not kept fails nothing: `ratios`
//! says what part of the fastest peer's wall time was needed (below 1 is faster).
//!
//! - `put2k`, `get2k`: 2,000 files of 64 KiB; `put1g`, `get1g`: one file of 1 GiB. The bytes are random.
//! - `median_s`, `best_s` of wall time; `cpu_s`, user and system, of the median run; `memory_mb`, the largest
//!   resident set of all runs.
//! - The contenders take turns, round by round, and each starts with the next one, so that a server that
//!   grows tired is nobody's. What is written is removed after each run, and compared in size before.
//! - `rclone` as it comes, `rclone_tuned` with `--transfers 16 --s3-upload-concurrency 8 --s3-chunk-size 16M`.

mod common;

use common::{machine, number, program, rounded, wanted};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const BUCKET: &str = "secchi-bench-transfers";
const SMALL: usize = 64 << 10;

struct Server {
    endpoint: String,
    key: String,
    secret: String,
    name: &'static str,
    embedded: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.embedded {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

struct Bench {
    server: Server,
    home: PathBuf,
    files: usize,
    mib: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Case {
    Put(&'static str),
    Get(&'static str),
}

impl Case {
    const ALL: [(&'static str, Self); 4] = [
        ("put2k", Self::Put("small")),
        ("get2k", Self::Get("small")),
        ("put1g", Self::Put("large")),
        ("get1g", Self::Get("large")),
    ];

    fn data(self) -> &'static str {
        match self {
            Self::Put(data) | Self::Get(data) => data,
        }
    }
}

#[derive(Clone, Copy)]
struct Run {
    seconds: f64,
    cpu: f64,
    memory: f64,
}

fn main() {
    let is_wanted = wanted();
    let runs = number("SECCHI_BENCH_RUNS", 3);
    let home = tempfile::Builder::new().prefix("secchi-bench-").tempdir().expect("a temporary folder");
    let bench = Bench {
        server: server(),
        home: home.path().to_owned(),
        files: number("SECCHI_BENCH_FILES", 2000),
        mib: number("SECCHI_BENCH_MIB", 1024),
    };
    bench.prepare();
    let mut report = json!({
        "bench": "transfers",
        "server": bench.server.name,
        "files": bench.files, "mib": bench.mib, "runs": runs,
        "machine": machine(),
    });
    for (name, case) in Case::ALL {
        if is_wanted(name) {
            report[name] = bench.measure(case, runs);
        }
    }
    report["ratios"] = Case::ALL.iter().map(|(name, _)| ((*name).to_owned(), ratio(&report[*name]))).collect();
    bench.remove(BUCKET);
    writeln!(std::io::stdout(), "{report:#}").expect("printed");
}

/// Our wall time by that of the fastest peer.
fn ratio(case: &Value) -> Value {
    let Some(all) = case.as_object() else { return Value::Null };
    let time = |v: &Value| v["median_s"].as_f64();
    let peers = all.iter().filter(|(name, _)| *name != "secchi").filter_map(|(_, v)| time(v)).min_by(f64::total_cmp);
    match (all.get("secchi").and_then(time), peers) {
        (Some(ours), Some(best)) => json!(rounded(ours / best)),
        _ => Value::Null,
    }
}

fn server() -> Server {
    let given = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    if let Some(endpoint) = given("SECCHI_CEPH") {
        let secret = |name: &str, default: &str| given(name).unwrap_or_else(|| default.to_owned());
        let (key, secret) = (secret("SECCHI_CEPH_KEY", "testkey"), secret("SECCHI_CEPH_SECRET", "testsecret"));
        return Server { endpoint, key, secret, name: "Ceph", embedded: None };
    }
    let mut child = Command::new(program())
        .args(["demo", "--serve"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the demo starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let told: Value = serde_json::from_str(&line).expect("JSON");
    let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    let (endpoint, key, secret) = (text("endpoint"), text("access_key"), text("secret_key"));
    Server { endpoint, key, secret, name: "demo", embedded: Some(child) }
}

impl Bench {
    fn prepare(&self) {
        let random = |path: &Path, bytes: usize| {
            let mut from = std::io::Read::take(std::fs::File::open("/dev/urandom").expect("random"), bytes as u64);
            let mut to = std::fs::File::create(path).expect("a file");
            std::io::copy(&mut from, &mut to).expect("written");
        };
        for folder in ["small", "large"] {
            std::fs::create_dir(self.home.join(folder)).expect("a folder");
        }
        for i in 0..self.files {
            random(&self.home.join(format!("small/tile-{i:05}.bin")), SMALL);
        }
        random(&self.home.join("large/scene.bin"), self.mib << 20);
        let made = self.command(&self.secchi(&["mb", &format!("s3://{BUCKET}")])).status().expect("runs");
        assert!(made.success(), "the bucket cannot be made");
    }

    fn measure(&self, case: Case, runs: usize) -> Value {
        if matches!(case, Case::Get(_)) {
            self.put_for_reading(case.data());
        }
        let contenders = ["secchi", "s5cmd", "rclone", "rclone_tuned"];
        let mut measured = contenders.map(|_| Vec::new());
        let mut missing = Vec::new();
        for round in 0..runs {
            for turn in 0..contenders.len() {
                let i = (round + turn) % contenders.len();
                match self.once(case, contenders[i]) {
                    Some(run) => measured[i].push(run),
                    None if !missing.contains(&contenders[i]) => missing.push(contenders[i]),
                    None => {}
                }
            }
        }
        let mut result = json!({ "missing": missing });
        for (name, mut runs) in contenders.iter().zip(measured) {
            runs.sort_by(|a: &Run, b| a.seconds.total_cmp(&b.seconds));
            let (Some(best), Some(median)) = (runs.first(), runs.get(runs.len() / 2)) else { continue };
            result[*name] = json!({
                "median_s": rounded(median.seconds), "best_s": rounded(best.seconds), "cpu_s": rounded(median.cpu),
                "memory_mb": rounded(runs.iter().map(|r| r.memory).fold(0.0, f64::max)),
            });
        }
        result
    }

    /// What is read is written once, by us.
    fn put_for_reading(&self, data: &str) {
        let words = self.words("secchi", Case::Put(if data == "small" { "small" } else { "large" }), "read");
        let status = self.command(&words).stdout(Stdio::null()).status().expect("runs");
        assert!(status.success(), "what is to be read cannot be written");
    }

    /// One contender once; `None` where it is not installed.
    fn once(&self, case: Case, who: &str) -> Option<Run> {
        let into = self.home.join("into");
        let _ = std::fs::remove_dir_all(&into);
        std::fs::create_dir(&into).expect("a folder");
        let words = self.words(who, case, "write");
        let mut command = self.command(&words);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let began = Instant::now();
        let child = command.spawn().ok()?;
        let (status, said, cpu, memory) = finish(child);
        let seconds = began.elapsed().as_secs_f64();
        assert!(status.success(), "{who} failed: {status} {said}");
        let wanted = if case.data() == "small" { self.files * SMALL } else { self.mib << 20 };
        let got = match case {
            Case::Get(_) => bytes_below(&into),
            Case::Put(data) => self.listed(&format!("{BUCKET}/write/{data}/")),
        };
        assert_eq!(got, wanted as u64, "{who} did not transfer all");
        if matches!(case, Case::Put(_)) {
            self.remove(&format!("{BUCKET}/write"));
        }
        Some(Run { seconds, cpu, memory })
    }

    fn words(&self, who: &str, case: Case, prefix: &str) -> Vec<String> {
        let folder = self.home.join(case.data()).to_string_lossy().into_owned();
        let into = self.home.join("into").to_string_lossy().into_owned();
        let data = case.data();
        let at = match case {
            Case::Put(_) => format!("s3://{BUCKET}/{prefix}/{data}/"),
            Case::Get(_) => format!("s3://{BUCKET}/read/{data}/"),
        };
        let remote = format!("bench:{}", at.trim_start_matches("s3://"));
        let tuned = ["--transfers", "16", "--s3-upload-concurrency", "8", "--s3-chunk-size", "16M"];
        match (who, case) {
            ("secchi", Case::Put(_)) => self.secchi(&["put", &format!("{folder}/"), &at, "--if-exists", "overwrite"]),
            ("secchi", Case::Get(_)) => self.secchi(&["get", &at, &into]),
            ("s5cmd", Case::Put(_)) => {
                let from = format!("{folder}/*");
                strings(&["s5cmd", "--log", "error", "--endpoint-url", &self.server.endpoint, "cp", &from, &at])
            }
            ("s5cmd", Case::Get(_)) => {
                let (from, to) = (format!("{at}*"), format!("{into}/"));
                strings(&["s5cmd", "--log", "error", "--endpoint-url", &self.server.endpoint, "cp", &from, &to])
            }
            (_, Case::Put(_)) => {
                let more: &[&str] = if who == "rclone" { &[] } else { &tuned };
                strings(&[&["rclone", "copy"], more, &[&folder, &remote]].concat())
            }
            (_, Case::Get(_)) => {
                let more: &[&str] = if who == "rclone" { &[] } else { &tuned[..2] };
                strings(&[&["rclone", "copy"], more, &[&remote, &into]].concat())
            }
        }
    }

    fn secchi(&self, args: &[&str]) -> Vec<String> {
        let mut words = vec![program().to_string_lossy().into_owned()];
        words.extend(strings(&["--endpoint-url", &self.server.endpoint, "--json"]));
        words.extend(args.iter().map(|word| (*word).to_owned()));
        words
    }

    fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
            .env("HOME", &self.home)
            .env("AWS_ACCESS_KEY_ID", &self.server.key)
            .env("AWS_SECRET_ACCESS_KEY", &self.server.secret)
            .env("AWS_REGION", "us-east-1")
            .envs([
                ("RCLONE_CONFIG_BENCH_TYPE", "s3"),
                ("RCLONE_CONFIG_BENCH_PROVIDER", "Ceph"),
                ("RCLONE_CONFIG_BENCH_ENDPOINT", &self.server.endpoint),
                ("RCLONE_CONFIG_BENCH_ACCESS_KEY_ID", &self.server.key),
                ("RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY", &self.server.secret),
                ("RCLONE_CONFIG_BENCH_FORCE_PATH_STYLE", "true"),
                ("RCLONE_CONFIG_BENCH_NO_CHECK_BUCKET", "true"),
                ("RCLONE_CONFIG", "/dev/null"),
            ]);
        command
    }

    fn listed(&self, below: &str) -> u64 {
        let words = self.secchi(&["du", &format!("s3://{below}")]);
        let out = self.command(&words).output().expect("runs").stdout;
        let last = String::from_utf8_lossy(&out).lines().last().unwrap_or_default().to_owned();
        serde_json::from_str::<Value>(&last).ok().and_then(|v| v["bytes"].as_u64()).unwrap_or(0)
    }

    fn remove(&self, below: &str) {
        let words = self.secchi(&["rm", "-r", "--yes", &format!("s3://{below}/")]);
        let removed = self.command(&words).stdout(Stdio::null()).status();
        assert!(removed.is_ok_and(|s| s.success()), "what was written cannot be removed");
    }
}

/// Waits for a child: its exit, what it said on stderr, its seconds of processor, its largest resident set in MB.
fn finish(mut child: Child) -> (std::process::ExitStatus, String, f64, f64) {
    let mut stderr = child.stderr.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        let _ = std::io::Read::read_to_string(&mut stderr, &mut said);
        said
    });
    let (cpu, mut memory) = (children_cpu(), 0.0_f64);
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = text.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        memory = memory.max(peak.unwrap_or(0.0) / 1000.0);
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    debug_assert!(status.signal().is_none());
    (status, reader.join().expect("no panic"), children_cpu() - cpu, memory)
}

/// Seconds of processor of all children that ended: fields 16 and 17 of proc(5)'s `stat`, in hundredths.
fn children_cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [13, 14].iter().filter_map(|i| fields.get(*i)?.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
