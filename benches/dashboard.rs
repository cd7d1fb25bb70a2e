//! What it costs to show a transfer: the same upload through the program in a pseudo-terminal of 120 x 36 cells
//! with the screen of jobs shown, and headless by `put --json`, in turns, to one server in this process.
//!
//! ```text
//! cargo bench --bench dashboard
//! SECCHI_BENCH_MIB=4096 SECCHI_BENCH_RUNS=7     other than 2,048 MiB and five runs of each
//! ```
//! Prints one JSON object. The server reads what it is sent, computes its MD5 as S3 does, and keeps nothing; the
//! rate of a run is taken there, from the first byte of the first part to the answer that completes the upload,
//! so that starting the program and drawing its first frame count for neither. Client, server and terminal share
//! the machine's cores. A limit that is not kept fails nothing: `limits` says what is wanted.
//!
//! - `shown`, `headless`: MB a second (10^6 bytes), and the program's processor seconds for each upload, of its
//!   whole life; `frames` and `bytes` are what the terminal was sent while the upload ran.
//! - `ratio`: the median of the rates of `shown` by that of `headless`; `cost_percent` is what is missing to 1.
//! - `pairs`: the same of each run of one with its neighbour of the other, which others at work on the machine
//!   disturb less.

mod common;
#[path = "dashboard/sink.rs"]
mod sink;
#[path = "responsiveness/terminal.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod terminal;

pub(crate) use common::program;
use common::{build, env_with, machine, number, rounded};
use serde_json::{Value, json};
use sink::Sink;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use terminal::Program;

const COST_LIMIT_PERCENT: f64 = 3.0;
/// Of one upload, on a machine with others at work.
const PATIENCE: Duration = Duration::from_mins(20);

/// What one upload was like.
struct Run {
    /// 10^6 bytes a second, as the server saw it.
    rate: f64,
    cpu_s: f64,
    frames: usize,
    bytes: usize,
}

fn main() {
    let (mib, runs) = (number("SECCHI_BENCH_MIB", 2048), number("SECCHI_BENCH_RUNS", 5));
    let home = tempfile::Builder::new().prefix("secchi-bench-").tempdir().expect("a temporary folder");
    let file = made(home.path(), mib);
    let sink = Sink::start();
    // Once for the page cache, counted for neither.
    headless(&sink, home.path(), &file);
    let (mut shown_runs, mut headless_runs) = (Vec::new(), Vec::new());
    for i in 0..runs {
        // Which goes first changes, so that what drifts favours neither.
        if i % 2 == 0 {
            shown_runs.push(shown(&sink, home.path(), &file));
            headless_runs.push(headless(&sink, home.path(), &file));
        } else {
            headless_runs.push(headless(&sink, home.path(), &file));
            shown_runs.push(shown(&sink, home.path(), &file));
        }
    }
    let pairs: Vec<f64> = shown_runs.iter().zip(&headless_runs).map(|(s, h)| s.rate / h.rate).collect();
    let ratio = median(shown_runs.iter().map(|r| r.rate)) / median(headless_runs.iter().map(|r| r.rate));
    let of_pairs = median(pairs.iter().copied());
    let report = json!({
        "bench": "dashboard",
        "build": build(),
        "machine": machine(),
        "terminal": { "columns": terminal::COLUMNS, "rows": terminal::ROWS },
        "mib": mib,
        "runs": runs,
        "shown": summary(&shown_runs),
        "headless": summary(&headless_runs),
        "ratio": rounded(ratio),
        "pairs": { "ratios": pairs.iter().map(|r| rounded(*r)).collect::<Vec<_>>(), "median": rounded(of_pairs) },
        "cost_percent": rounded(100.0 * (1.0 - ratio)),
        "cost_percent_of_pairs": rounded(100.0 * (1.0 - of_pairs)),
        "limits": { "cost_percent": COST_LIMIT_PERCENT },
    });
    writeln!(std::io::stdout(), "{report:#}").expect("printed");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

fn summary(runs: &[Run]) -> Value {
    let rates: Vec<f64> = runs.iter().map(|r| rounded(r.rate)).collect();
    let mut summary = json!({
        "mb_per_s": rates,
        "mb_per_s_median": rounded(median(runs.iter().map(|r| r.rate))),
        "cpu_s_median": rounded(median(runs.iter().map(|r| r.cpu_s))),
    });
    if runs.iter().any(|r| r.bytes > 0) {
        summary["frames"] = runs.iter().map(|r| r.frames).collect::<Vec<_>>().into();
        summary["bytes"] = runs.iter().map(|r| r.bytes).collect::<Vec<_>>().into();
    }
    summary
}

/// A file that no layer below can guess.
fn made(home: &Path, mib: usize) -> PathBuf {
    let path = home.join("lake.bin");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = vec![0; 1 << 20];
    for _ in 0..mib {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block).expect("written");
    }
    file.flush().expect("written");
    path
}

fn destination() -> String {
    format!("s3://{}/", sink::BUCKET)
}

fn headless(sink: &Sink, home: &Path, file: &Path) -> Run {
    sink.forget();
    let mut child = Command::new(program())
        .args([Path::new("put"), file, Path::new(&destination())])
        .args(["--json", "--if-exists", "overwrite"])
        .env_clear()
        .envs(env_with(&sink.endpoint(), home))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut stderr = child.stderr.take().expect("a pipe");
    // The progress must be read, or the program waits for us.
    let said = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let mut out = String::new();
    stdout.read_to_string(&mut out).expect("its result");
    let cpu_s = until_zombie(child.id());
    let status = child.wait().expect("it ends");
    let said = said.join().expect("read");
    assert!(status.success(), "put failed: {status}\n{out}\n{said}");
    Run { rate: sink.rate().expect("an upload arrived"), cpu_s, frames: 0, bytes: 0 }
}

fn shown(sink: &Sink, home: &Path, file: &Path) -> Run {
    sink.forget();
    let mut program = Program::secchi(&[&destination()], &env_with(&sink.endpoint(), home), true);
    program.until_text("read-only");
    program.send("R");
    program.until_text("writable");
    program.send("u");
    program.until_text("content type");
    program.send(file.to_string_lossy().as_bytes());
    program.until_text("lake.bin");
    program.send("\x13");
    program.until_text("has started");
    program.send("w");
    program.until_text("zoom");
    let (before, deadline) = (program.bytes, Instant::now() + PATIENCE);
    let mut frames = 0;
    while sink.rate().is_none() {
        assert!(Instant::now() < deadline, "the upload does not end:\n{}", program.screen().contents());
        if program.frame(Instant::now() + Duration::from_millis(100)).is_some() {
            frames += 1;
        }
    }
    let bytes = program.bytes - before;
    program.until_text("done:");
    let cpu_s = cpu(program.pid()).map_or(0.0, |(_, seconds)| seconds);
    Run { rate: sink.rate().expect("it arrived"), cpu_s, frames, bytes }
}

/// Waits until a child has ended, before it is waited for: until then its times can be read.
fn until_zombie(pid: u32) -> f64 {
    loop {
        match cpu(pid) {
            Some(('Z', seconds)) => return seconds,
            Some(_) => std::thread::sleep(Duration::from_millis(5)),
            None => return 0.0,
        }
    }
}

/// A process's state and the processor seconds that all its threads have used.
fn cpu(pid: u32) -> Option<(char, f64)> {
    /// `USER_HZ`, which Linux promises to programs.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    Some((fields.first()?.chars().next()?, (ticks(11)? + ticks(12)?) / TICKS))
}
