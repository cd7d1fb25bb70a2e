//! What all benches need: what is measured, where, and how numbers are told.
#![allow(dead_code, reason = "each bench uses its part of it")]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Names another program to measure: an older one, to compare.
pub(crate) const PROGRAM: &str = "SECCHI_BENCH_PROGRAM";

/// The program that is measured.
pub(crate) fn program() -> PathBuf {
    std::env::var_os(PROGRAM).map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_secchi")), PathBuf::from)
}

/// How it was built, or which other it is.
pub(crate) fn build() -> String {
    match std::env::var_os(PROGRAM) {
        Some(given) => given.to_string_lossy().into_owned(),
        None if cfg!(debug_assertions) => "debug".to_owned(),
        None => "release".to_owned(),
    }
}

/// What it is measured on. The load is that of the last minute: others at work spoil the numbers.
pub(crate) fn machine() -> Value {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    json!({
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "load": load.split(' ').next().and_then(|l| l.parse::<f64>().ok()),
    })
}

/// The sections that are asked for on the command line; none means all.
pub(crate) fn wanted() -> impl Fn(&str) -> bool {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    move |name| wanted.is_empty() || wanted.iter().any(|w| w == name)
}

/// A number of the environment, at least 1.
pub(crate) fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|v| v.parse().ok()).unwrap_or(default).max(1)
}

/// To three digits.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Quantiles of what was measured, in its unit.
pub(crate) fn quantiles(values: &[f64]) -> Value {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    // The smallest value that so large a share of all does not exceed.
    let at = |q: f64| {
        let rank = ((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len().max(1));
        sorted.get(rank - 1).copied().map(rounded)
    };
    json!({ "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0), "n": sorted.len() })
}

/// The environment of a program in a terminal: nothing of this one's but `PATH`. All that it writes lies in `home`,
/// temporary files in `temporary`.
pub(crate) fn env(home: &Path, temporary: &Path) -> Vec<(String, String)> {
    let path = |p: &Path| p.to_string_lossy().into_owned();
    vec![
        ("PATH".to_owned(), std::env::var("PATH").unwrap_or_default()),
        ("TERM".to_owned(), "xterm-256color".to_owned()),
        ("COLORTERM".to_owned(), "truecolor".to_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("HOME".to_owned(), path(home)),
        ("TMPDIR".to_owned(), path(temporary)),
    ]
}

/// The same, with a server that takes any keys.
pub(crate) fn env_with(endpoint: &str, home: &Path) -> Vec<(String, String)> {
    let mut all = env(home, home);
    let keys = [
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", endpoint),
    ];
    all.extend(keys.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all
}
