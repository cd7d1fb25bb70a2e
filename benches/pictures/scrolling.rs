//! The screen on a bucket of COGs, the preview open, the cursor going down.

use super::bucket::{self, Server};
use super::common::{env_with, quantiles, rounded};
use super::terminal::{self, Program};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const OBJECTS: usize = 1000;
/// As a terminal repeats a key, and as a person steps who wants to see each.
const HELD: Duration = Duration::from_millis(30);
const STEPPED: Duration = Duration::from_millis(250);

pub(crate) fn measure(file: &Path, home: &Path, wait: Duration, keys: usize) -> Value {
    let server = Server::start(std::fs::read(file).expect("a file"), OBJECTS, wait);
    let env = env_with(&format!("http://{}", server.address), home);
    json!({
        "objects": OBJECTS,
        "held": run(&server, &env, HELD, keys),
        "stepped": run(&server, &env, STEPPED, keys.div_ceil(10)),
    })
}

fn run(server: &Server, env: &[(String, String)], pause: Duration, keys: usize) -> Value {
    let mut program = Program::secchi(&[&format!("s3://{}/", bucket::BUCKET)], env, true);
    program.until("the listing", |screen| cursor(screen) == Some(0));
    program.settle(Duration::from_millis(500));
    let _ = server.taken();
    let mut latencies = Vec::new();
    // The last object stays below the cursor.
    for _ in 0..keys.min(OBJECTS - 2) {
        program.listen(pause);
        let Some(before) = cursor(program.screen()) else { continue };
        let pressed = program.send("j");
        let deadline = pressed + Duration::from_secs(10);
        while let Some(at) = program.frame(deadline) {
            if cursor(program.screen()) == Some(before + 1) {
                latencies.push(at.saturating_duration_since(pressed).as_secs_f64() * 1e3);
                break;
            }
        }
    }
    let rested = Instant::now();
    program.settle(Duration::from_millis(300));
    let shown = rested.elapsed().as_secs_f64() * 1e3 - 300.0;
    let seen = server.taken();
    let previews = seen.requests.len().max(1) as f64;
    let requests: u64 = seen.requests.values().sum();
    json!({
        "keys": latencies.len(),
        "key_ms": quantiles(&latencies),
        "previews_begun": seen.requests.len(),
        "requests_per_preview": rounded(requests as f64 / previews),
        "most_requests_of_one": seen.requests.values().max(),
        "mb_per_preview": rounded(seen.bytes as f64 / 1e6 / previews),
        "answers_nobody_read": seen.cancelled,
        "last_picture_ms": rounded(shown.max(0.0)),
        "peak_mb": peak(program.pid()),
    })
}

/// Megabytes of memory that a process had at most.
fn peak(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(rounded(line.split_whitespace().next()?.parse::<f64>().ok()? / 1e3))
}

/// Which object has the cursor.
fn cursor(screen: &vt100::Screen) -> Option<usize> {
    (1..terminal::ROWS - 1).find_map(|row| {
        let line = terminal::line(screen, row);
        bucket::number(line.split_once('▸')?.1)
    })
}
