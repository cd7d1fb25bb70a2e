//! How much of the machine a query takes.

use crate::error::{Error, Result};
use std::path::PathBuf;

/// Most memory of a query, where nobody said a number.
const MOST: u64 = 2 << 30;
/// The same on a login node.
const MOST_LOGIN: u64 = 512 << 20;
/// Least memory that is worth to begin with.
const LEAST: u64 = 1 << 20;
/// Threads at most, where nobody said a number.
const THREADS: usize = 8;
/// The same on a login node.
const THREADS_LOGIN: usize = 2;
/// Room on disk for what does not fit into memory.
const DISK: u64 = 100 << 30;
/// A result is kept in memory up to here, then on disk.
const RESULT: u64 = 64 << 20;

/// Limits of an [`super::Engine`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes for sorting, grouping and joining; what needs more goes to disk. Decoding comes on top: a row group's
    /// columns for each thread.
    pub memory: u64,
    /// Threads that decode and calculate.
    pub threads: usize,
    /// Bytes on disk for what does not fit into memory, and as many for a result.
    pub disk: u64,
    /// Bytes of a result kept in memory.
    pub result: u64,
    /// Where a private folder is made; the system's temporary folder where `None`.
    pub temporary: Option<PathBuf>,
    /// The folder that relative paths in SQL begin at; the current one where `None`.
    pub folder: Option<PathBuf>,
}

impl Settings {
    /// A quarter of the memory there is, at most 2 GiB; on a login node an eighth, at most 512 MiB, and two threads.
    pub fn here() -> Self {
        let is_login = crate::config::is_login_node();
        let there = memory_there().unwrap_or(4 << 30);
        let memory = if is_login { (there / 8).min(MOST_LOGIN) } else { (there / 4).min(MOST) };
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let threads = threads.min(if is_login { THREADS_LOGIN } else { THREADS });
        Self {
            memory: memory.max(LEAST),
            threads,
            disk: DISK,
            result: RESULT.min(memory),
            temporary: None,
            folder: None,
        }
    }

    /// With another limit on memory; `None` leaves it.
    #[must_use]
    pub fn with_memory(self, memory: Option<u64>) -> Self {
        let memory = memory.unwrap_or(self.memory).max(LEAST);
        Self { memory, result: RESULT.min(memory), ..self }
    }
}

/// Bytes of memory that this process may use: the machine's, or less where a control group says so.
fn memory_there() -> Option<u64> {
    let total = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    });
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
    match (total, group) {
        (Some(total), Some(group)) => Some(total.min(group)),
        (one, other) => one.or(other),
    }
}

/// Bytes as a person writes them: `512M`, `2G`, `1.5GiB`, `64k`. K, M, G are powers of 1024.
pub fn parse_bytes(text: &str) -> Result<u64> {
    let wrong = || Error::usage(format!("`{}` is not a size", crate::text::clean(text))).with_hint("write 512M or 2G");
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let shift = match unit.trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(wrong()),
    };
    let bytes = number * (1_u64 << shift) as f64;
    if (1.0..1e15).contains(&bytes) { Ok(bytes as u64) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        assert_eq!(parse_bytes("512M").ok(), Some(512 << 20));
        assert_eq!(parse_bytes("1.5 GiB").ok(), Some(3 << 29));
        assert_eq!(parse_bytes("4096").ok(), Some(4096));
        for wrong in ["", "x", "5 apples", "-1", "0", "1e9"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_taken_here_is_modest() {
        let here = Settings::here();
        assert!((LEAST..=MOST).contains(&here.memory) && (1..=THREADS).contains(&here.threads));
    }
}
