//! Listing a million objects, measured from outside: the release binary beside obstore, s5cmd and rclone
//! on the same server, and in a pseudo-terminal of 120 x 36 cells beside stu.
//!
//! ```text
//! cargo bench --bench listing                    all of it, about five minutes
//! cargo bench --bench listing -- ls screen       only these: ls, screen, stu
//! SECCHI_BENCH_PYTHON=/venv/bin/python           a Python that has obstore
//! SECCHI_BENCH_KEYS=100000 SECCHI_BENCH_RUNS=5   other than 1,000,000 keys and three runs
//! ```
//! Prints one JSON object. The server is a part of this process and answers pages made before. Peers that
//! are not on the `PATH` are left out and named under `missing`. A limit that is not kept fails nothing:
//! `limits` says what is wanted, `ratios` how much of each was needed (1 is all of it).
//!
//! - `ls`: seconds of wall time (median and best of the runs) and peak memory in MB, until all keys are
//!   written to a pipe that is read here. `secchi` prints a line for people, `secchi_json` an object each,
//!   with every fact. Client and server share the cores of the machine.
//! - `screen.first_rows_ms`: from the last byte of the first answer (as it is handed to the kernel) to the
//!   end of the frame with its rows.
//! - `screen.listed_s`, `screen.memory_mb`: until all keys are in the list, and the peak until the end of
//!   everything here.
//! - `screen.filter_ms`: from a key typed into the filter to the frame with what was typed (`echo`), with the
//!   first rows that the new filter lets through (`first`) and with all of them, counted and in order
//!   (`whole`), over filters that let through all, some and few.
//! - `screen.bytes_per_key`: what the terminal is sent for a key, scrolling and filtering; `stu` for the same
//!   keys on the same list, as far as it can (it lists at most 1,000 objects of a folder at once).

mod common;
#[path = "listing/peers.rs"]
mod peers;
#[path = "listing/screen.rs"]
mod screen;
#[path = "listing/server.rs"]
mod server;
#[path = "responsiveness/terminal.rs"]
mod terminal;

use common::{build, machine, number, wanted};
pub(crate) use common::{env_with, program, quantiles, rounded};
use serde_json::{Value, json};
use std::io::Write as _;

const WALL_OF_OBSTORE: f64 = 1.2;
const WALL_OF_OTHERS: f64 = 1.0 / 3.0;
const MEMORY_MB: f64 = 200.0;
const FIRST_ROWS_MS: f64 = 50.0;
const FILTER_MS: f64 = 16.0;

fn main() {
    let is_wanted = wanted();
    let (keys, runs) = (number("SECCHI_BENCH_KEYS", 1_000_000), number("SECCHI_BENCH_RUNS", 3));
    let mut report = json!({
        "bench": "listing",
        "keys": keys,
        "runs": runs,
        "build": build(),
        "machine": machine(),
    });
    let server = server::Server::start(keys);
    let home = tempfile::Builder::new().prefix("secchi-bench-").tempdir().expect("a temporary folder");
    if is_wanted("screen") {
        report["screen"] = screen::measure(&server, home.path());
    }
    if is_wanted("stu") {
        report["stu"] = screen::stu(&server, home.path());
    }
    if is_wanted("ls") {
        report["ls"] = peers::measure(&server, home.path(), runs);
    }
    report["limits"] = json!({
        "ls_wall_of_obstore": WALL_OF_OBSTORE,
        "ls_wall_of_s5cmd_and_rclone": rounded(WALL_OF_OTHERS),
        "memory_mb": MEMORY_MB,
        "first_rows_ms": FIRST_ROWS_MS,
        "filter_p99_ms": FILTER_MS,
    });
    report["ratios"] = ratios(&report);
    writeln!(std::io::stdout(), "{report:#}").expect("printed");
}

/// How much of each limit was needed.
fn ratios(report: &Value) -> Value {
    let wall = |who: &str| report["ls"][who]["median_s"].as_f64();
    let ours = wall("secchi_json").into_iter().chain(wall("secchi")).max_by(f64::total_cmp);
    let beside = |who: &str, limit: f64| Some(rounded(ours? / (wall(who)? * limit)));
    let of = |value: Option<f64>, limit: f64| value.map(|v| rounded(v / limit));
    let memory = [&report["ls"]["secchi"], &report["ls"]["secchi_json"], &report["screen"]];
    let memory = memory.iter().filter_map(|v| v["memory_mb"].as_f64()).max_by(f64::total_cmp);
    json!({
        "ls_wall_of_obstore": beside("obstore", WALL_OF_OBSTORE),
        "ls_wall_of_s5cmd": beside("s5cmd", WALL_OF_OTHERS),
        "ls_wall_of_rclone": beside("rclone", WALL_OF_OTHERS),
        "memory": of(memory, MEMORY_MB),
        "first_rows_p50": of(report["screen"]["first_rows_ms"]["p50"].as_f64(), FIRST_ROWS_MS),
        "filter_echo_p99": of(report["screen"]["filter_ms"]["echo"]["p99"].as_f64(), FILTER_MS),
        "filter_first_p99": of(report["screen"]["filter_ms"]["first"]["p99"].as_f64(), FILTER_MS),
        "filter_whole_p99": of(report["screen"]["filter_ms"]["whole"]["p99"].as_f64(), FILTER_MS),
        "bytes_per_key_of_stu": of(
            report["screen"]["bytes_per_key"]["scrolling"].as_f64(),
            report["stu"]["bytes_per_key"]["scrolling"].as_f64().unwrap_or(f64::NAN),
        ),
    })
}

/// The peak of a process's memory so far, in MB.
pub(crate) fn memory_mb(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().split(' ').next()?.parse::<f64>().ok()? / 1000.0)
}
