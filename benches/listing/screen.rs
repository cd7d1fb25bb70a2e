//! The same list on the screen: its first rows, filtering it, what is written for a key.

use super::server::{BUCKET, Server, lock, name};
use super::terminal::{self, Program};
use super::{env_with, memory_mb, quantiles, rounded};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Starts whose first rows are timed.
const STARTS: usize = 10;
/// Typed letter by letter: filters that let through all, some, few and none.
const FILTERS: [&str; 8] = ["k0", "999", "parquet", "7654321", "k1234 9", "^k0005", "k000123456.p", "xyz"];
/// Between keys, so that each has frames of its own.
const PAUSE: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(20);

fn open(server: &Server, home: &Path) -> Program {
    Program::secchi(&[&format!("s3://{BUCKET}/")], &env_with(&server.endpoint(), home), true)
}

pub(crate) fn measure(server: &Server, home: &Path) -> Value {
    let first: Vec<f64> = (0..STARTS).map(|_| first_rows(server, home)).collect();
    let mut program = open(server, home);
    let began = Instant::now();
    let all = count(server.keys);
    let listed = program.until("all keys", |screen| {
        let header = terminal::line(screen, 0);
        header.contains(&format!("{all} ")) && !header.contains('…')
    });
    let listed = listed.saturating_duration_since(began).as_secs_f64();
    program.settle(Duration::from_secs(1));
    let scrolling = scroll(&mut program, 100);
    let (filter, filtering) = filter(&mut program, server);
    json!({
        "first_rows_ms": quantiles(&first),
        "listed_s": rounded(listed),
        "filter_ms": filter,
        "bytes_per_key": { "scrolling": rounded(scrolling), "filtering": rounded(filtering) },
        "memory_mb": memory_mb(program.pid()).map(rounded),
    })
}

fn first_rows(server: &Server, home: &Path) -> f64 {
    *lock(&server.first_sent) = None;
    let mut program = open(server, home);
    let first = name(0);
    let at = program.until("the first rows", |screen| (1..4).any(|row| terminal::line(screen, row).contains(&first)));
    let sent = lock(&server.first_sent).expect("a page was sent");
    at.saturating_duration_since(sent).as_secs_f64() * 1e3
}

/// Bytes for each of so many steps down.
fn scroll(program: &mut Program, steps: usize) -> f64 {
    let before = program.bytes;
    for _ in 0..steps {
        program.send("j");
        program.listen(PAUSE);
    }
    (program.bytes - before) as f64 / steps as f64
}

/// Milliseconds until what was typed, the first and all results are shown; and bytes for a key.
fn filter(program: &mut Program, server: &Server) -> (Value, f64) {
    let names: Vec<String> = (0..server.keys).map(name).collect();
    let (mut echo, mut first, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bytes, mut keys) = (0, 0);
    for text in FILTERS {
        program.send("/");
        program.until("the filter", |screen| (0..terminal::ROWS).any(|row| terminal::line(screen, row).contains("▏")));
        program.listen(PAUSE);
        for end in 1..=text.len() {
            let typed = &text[..end];
            let shown = matching(&names, typed);
            let counted = if shown == server.keys {
                format!(" {} ", count(shown))
            } else {
                format!(" {} of {} ", count(shown), count(server.keys))
            };
            let header = program.line(0);
            let before = program.bytes;
            let pressed = program.send(&text[end - 1..end]);
            let ms = |at: Instant| at.saturating_duration_since(pressed).as_secs_f64() * 1e3;
            let (mut echoed, mut begun) = (None, None);
            let deadline = pressed + PATIENCE;
            let done = loop {
                let at = program
                    .frame(deadline)
                    .unwrap_or_else(|| panic!("no result of `{typed}` ({counted}):\n{}", program.screen().contents()));
                if echoed.is_none() && shows(program, typed) {
                    echoed = Some(at);
                }
                let now = program.line(0);
                let is_whole = echoed.is_some() && now.contains(&counted);
                if begun.is_none() && echoed.is_some() && (is_whole || now != header) {
                    begun = Some(at);
                }
                if is_whole {
                    break at;
                }
            };
            echo.push(ms(echoed.unwrap_or(done)));
            first.push(ms(begun.unwrap_or(done)));
            whole.push(ms(done));
            program.listen(PAUSE);
            bytes += program.bytes - before;
            keys += 1;
        }
        program.send("\x1b");
        let all = format!(" {} entries", count(server.keys));
        program.until("all again", |screen| terminal::line(screen, 0).contains(&all));
        program.settle(Duration::from_millis(300));
    }
    let times = json!({ "echo": quantiles(&echo), "first": quantiles(&first), "whole": quantiles(&whole) });
    (times, bytes as f64 / f64::from(keys))
}

/// Whether the filter line holds what was typed.
fn shows(program: &Program, typed: &str) -> bool {
    let line = format!("/ {typed}▏");
    (0..terminal::ROWS).any(|row| program.line(row).contains(&line))
}

/// How many names the filter should let through: words of letters in order, `^` for the beginning.
fn matching(names: &[String], filter: &str) -> usize {
    let has = |name: &str, word: &str| {
        if let Some(start) = word.strip_prefix('^') {
            return name.starts_with(start);
        }
        let mut letters = word.chars().peekable();
        for c in name.chars() {
            letters.next_if_eq(&c);
        }
        letters.peek().is_none()
    };
    names.iter().filter(|name| filter.split(' ').all(|word| has(name, word))).count()
}

/// `1,000,000`
fn count(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).expect("digits")).collect();
    groups.join(",")
}

/// What stu writes for a step down in the same list, and its memory.
pub(crate) fn stu(server: &Server, home: &Path) -> Value {
    let there = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("stu").is_file()));
    if !there {
        return json!({ "missing": "stu is not on the PATH" });
    }
    let endpoint = server.endpoint();
    let args = ["--endpoint-url", &endpoint, "--region", "us-east-1", "--bucket", BUCKET, "--path-style", "always"];
    let mut program = Program::start("stu", &args, &env_with(&server.endpoint(), home), true);
    let first = name(0);
    let began = Instant::now();
    let at = program.until_text(&first);
    program.settle(Duration::from_secs(2));
    let scrolling = scroll(&mut program, 100);
    json!({
        "rows_s": rounded(at.saturating_duration_since(began).as_secs_f64()),
        "bytes_per_key": { "scrolling": rounded(scrolling) },
        "memory_mb": memory_mb(program.pid()).map(rounded),
    })
}
