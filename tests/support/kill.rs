//! Kills the real program with -9 again and again, and lets `jobs resume` go on until the job is done.
//!
//! The moments come from a seed, which is printed: `SECCHI_SEED` repeats a run, `SECCHI_KILLS` and
//! `SECCHI_KILL_MIB` make it longer.
#![allow(dead_code, unreachable_pub, clippy::print_stderr, reason = "each test binary uses its part of it")]

use super::cli::{Program, Run};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a journal is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// Longer than any attempt takes.
const PATIENCE: Duration = Duration::from_mins(10);

/// A number of the environment.
pub fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// How often to kill: `SECCHI_KILLS`.
pub fn kills(otherwise: u64) -> usize {
    number("SECCHI_KILLS", otherwise) as usize
}

/// How large to make what is transferred, in MiB: `SECCHI_KILL_MIB`.
pub fn mib(otherwise: u64) -> usize {
    number("SECCHI_KILL_MIB", otherwise) as usize
}

/// What happened until the job was done.
pub struct Story {
    /// The run's id.
    pub id: String,
    /// How often it was killed before it was done.
    pub kills: usize,
    /// What each attempt wrote into its journal, in order.
    pub attempts: Vec<Vec<Value>>,
    /// The last attempt, which came to its end.
    pub last: Run,
}

impl Story {
    /// All events of a name, of all attempts.
    pub fn events<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.attempts.iter().flatten().filter(move |event| event["event"] == name)
    }

    /// How many there are.
    pub fn count(&self, name: &str) -> usize {
        self.events(name).count()
    }
}

/// Kills at moments that a seed tells.
pub struct Killer<'a> {
    program: &'a Program,
    rng: SmallRng,
}

impl<'a> Killer<'a> {
    /// With the seed of `SECCHI_SEED`, else one of the clock; it is printed.
    pub fn new(program: &'a Program) -> Self {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let seed = number("SECCHI_SEED", clock.as_micros() as u64);
        eprintln!("SECCHI_SEED={seed}");
        Self { program, rng: SmallRng::seed_from_u64(seed) }
    }

    /// Starts the program with `args`, kills it about evenly over `expected` events named `event` (`part`,
    /// `file`), each time at a random moment, and resumes it until it is done. Each kill comes after a random
    /// number of further events and up to `jitter` later; one attempt in five is killed at any moment after its start.
    pub fn run(
        &mut self,
        args: &[impl AsRef<OsStr>],
        kills: usize,
        event: &str,
        expected: usize,
        jitter: Duration,
    ) -> Story {
        let mut args: Vec<std::ffi::OsString> = args.iter().map(|a| a.as_ref().to_owned()).collect();
        let (mut done, mut id, known) = (0, None, runs(self.program));
        let last = loop {
            if done == kills {
                break self.program.start(&args).end().ok();
            }
            let mut started = self.program.start(&args);
            let seen = count(&journals(self.program, id.as_deref()), event);
            let share = expected.saturating_sub(seen) / (kills - done + 1);
            let wanted = seen + if self.rng.random_range(0..5) == 0 { 0 } else { self.rng.random_range(0..=share * 2) };
            let after = self.rng.random_range(Duration::ZERO..=jitter);
            let began = Instant::now();
            let ended = loop {
                assert!(began.elapsed() < PATIENCE, "an attempt does not end");
                id = id.or_else(|| runs(self.program).into_iter().find(|run| !known.contains(run)));
                if started.child.try_wait().expect("waits").is_some() {
                    break true;
                }
                // Before its run is journalled there is nothing to resume.
                if id.is_some() && (wanted <= seen || count(&journals(self.program, id.as_deref()), event) >= wanted) {
                    std::thread::sleep(after);
                    break started.child.try_wait().expect("waits").is_some();
                }
                std::thread::sleep(LOOK);
            };
            if ended {
                break started.end().ok();
            }
            started.kill();
            // It may have come to its end just before: what is done would begin anew.
            let is_end = |line: &Value| line["event"] == "end" && line["state"] == "done";
            if journals(self.program, id.as_deref()).iter().any(|file| lines(file).iter().any(is_end)) {
                break Run { code: 0, stdout: Vec::new(), stderr: String::new(), took: began.elapsed() };
            }
            done += 1;
            let run = id.clone().expect("a run was begun");
            args = ["jobs", "resume", &run].map(Into::into).into();
        };
        let id = id.or_else(|| runs(self.program).into_iter().find(|run| !known.contains(run))).expect("a run");
        let attempts: Vec<Vec<Value>> = journals(self.program, Some(&id)).iter().map(|file| lines(file)).collect();
        let each: Vec<usize> =
            attempts.iter().map(|lines| lines.iter().filter(|line| line["event"] == event).count()).collect();
        eprintln!("killed {done} times; `{event}` of each attempt: {each:?}");
        Story { id, kills: done, attempts, last }
    }
}

/// The runs that have their spec on disk.
fn runs(program: &Program) -> Vec<String> {
    let folder = std::fs::read_dir(program.folder("state").join("runs"));
    let runs = folder.into_iter().flatten().flatten().filter(|run| run.path().join("spec.json").exists());
    runs.map(|run| run.file_name().to_string_lossy().into_owned()).collect()
}

/// The journals of a run, one an attempt, in order.
fn journals(program: &Program, id: Option<&str>) -> Vec<PathBuf> {
    let Some(id) = id else { return Vec::new() };
    let folder = program.folder("state").join("runs").join(id).join("ev");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|f| f.path()).collect();
    let attempt = |path: &Path| -> u32 {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        name.rsplit('.').next().and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    files.sort_by_key(|path| attempt(path));
    files
}

/// The whole lines of a journal.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn count(journals: &[PathBuf], event: &str) -> usize {
    let needle = format!("\"event\":\"{event}\"");
    let of = |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_default().matches(&needle).count();
    journals.iter().map(of).sum()
}
