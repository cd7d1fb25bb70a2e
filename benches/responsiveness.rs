//! How fast the program answers, measured from outside: the release binary in a pseudo-terminal of
//! 120 x 36 cells, as a person has it before them.
//!
//! ```text
//! cargo bench --bench responsiveness                   all of it, about two minutes
//! cargo bench --bench responsiveness -- keys idle      only these: keys, bytes, idle, start, serve
//! ```
//! Prints one JSON object. Times are milliseconds, from just before the bytes are written to the
//! terminal (or the program is spawned) until a read returned the end of the frame that shows the
//! effect. A limit that is not kept fails nothing: `limits` says what is wanted, `ratios` how much of
//! each limit was needed (1 is all of it). The exit code is other than 0 only where nothing could be
//! measured.
//!
//! - `key_to_frame_ms`: keys that move the cursor while an upload goes to an S3 server in another
//!   process (`secchi demo --serve`) and a listing of 100,000 objects streams in from a server in this
//!   one, page by page. The terminal offers synchronized output (mode 2026), so that the end of a frame
//!   is known exactly. Client, servers and terminal share the machine's cores, as they do nowhere else;
//!   the server of the upload stands back (`nice`, and a session of its own), since it stands for another
//!   machine. `loop_cpu_ms_a_key` and `loop_waited_for_a_core_ms_a_key` tell work from waiting: on a
//!   machine with others at work, look at the first.
//! - `bytes_per_key`: what the terminal is sent for a key in a folder, nothing else going on.
//! - `idle`: bytes written and processor time used in ten seconds after everything has settled.
//! - `start_to_first_frame_ms`: until the header line stands, on a terminal that answers queries and on
//!   one that never does.
//! - `serve_ready_s`: until `secchi demo --serve` has made all samples.

mod common;
#[path = "responsiveness/keys.rs"]
mod keys;
#[path = "responsiveness/listing.rs"]
mod listing;
#[path = "responsiveness/quiet.rs"]
mod quiet;
#[path = "responsiveness/terminal.rs"]
mod terminal;

use common::{build, machine, wanted};
pub(crate) use common::{program, quantiles, rounded};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Of a frame at 60 Hz.
const KEY_LIMIT_MS: f64 = 16.0;
const START_LIMIT_MS: f64 = 60.0;
const IDLE_CPU_LIMIT_PERCENT: f64 = 0.2;
const SERVE_LIMIT_S: f64 = 2.0;

/// A home of its own for the programs that are measured; everything that they write lies below it.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::Builder::new().prefix("secchi-bench-").tempdir().expect("a temporary folder"));
        home.folder("tmp");
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A new folder.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.path().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// The environment of the programs: nothing of this one's but `PATH`.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        common::env(self.path(), &self.path().join("tmp"))
    }
}

fn main() {
    let is_wanted = wanted();
    let mut report = json!({
        "bench": "responsiveness",
        "build": build(),
        "machine": machine(),
        "terminal": { "columns": terminal::COLUMNS, "rows": terminal::ROWS },
    });
    // The quiet ones first: what uses little must not be measured beside what uses much.
    if is_wanted("start") {
        report["start_to_first_frame_ms"] = quiet::start(&Home::new());
    }
    if is_wanted("bytes") {
        report["bytes_per_key"] = quiet::bytes_per_key(&Home::new());
    }
    if is_wanted("idle") {
        report["idle"] = quiet::idle(&Home::new());
    }
    if is_wanted("serve") {
        report["serve_ready_s"] = json!(rounded(keys::Server::start(&Home::new(), false).ready.as_secs_f64()));
    }
    if is_wanted("keys") {
        report["key_to_frame_ms"] = keys::key_to_frame(&Home::new());
    }
    report["limits"] = json!({
        "key_to_frame_p99_ms": KEY_LIMIT_MS,
        "start_to_first_frame_p50_ms": START_LIMIT_MS,
        "idle_bytes": 0,
        "idle_cpu_percent": IDLE_CPU_LIMIT_PERCENT,
        "serve_ready_s": SERVE_LIMIT_S,
    });
    report["ratios"] = ratios(&report);
    writeln!(std::io::stdout(), "{report:#}").expect("printed");
}

/// How much of each limit was needed, at worst.
fn ratios(report: &Value) -> Value {
    let worst = |section: &str, name: &str| {
        let variants = report[section].as_object()?;
        variants.values().filter_map(|v| v[name].as_f64()).max_by(f64::total_cmp)
    };
    let of = |value: Option<f64>, limit: f64| value.map(|v| rounded(v / limit));
    json!({
        "key_to_frame_p99": of(report["key_to_frame_ms"]["p99"].as_f64(), KEY_LIMIT_MS),
        "start_to_first_frame_p50": of(worst("start_to_first_frame_ms", "p50"), START_LIMIT_MS),
        "idle_cpu": of(worst("idle", "cpu_percent"), IDLE_CPU_LIMIT_PERCENT),
        "idle_bytes": worst("idle", "bytes"),
        "serve_ready": of(report["serve_ready_s"].as_f64(), SERVE_LIMIT_S),
    })
}
