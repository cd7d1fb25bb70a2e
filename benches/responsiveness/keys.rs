//! From a key to the frame that shows its effect, while much else goes on.

use super::listing;
use super::quiet::{cpu_time, main_thread};
use super::terminal::{self, Program};
use super::{Home, quantiles, rounded};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const PAGES: usize = 100;
/// So that the listing takes about as long as the keys.
const PAGE_DELAY: Duration = Duration::from_millis(110);
/// One large file, and its names: more than can be sent meanwhile. Not a hole, whose pages the kernel
/// would have to clear.
const UPLOAD_BYTES: usize = 256 << 20;
const UPLOAD_NAMES: usize = 40;
const MOST_KEYS: usize = 2_000;

/// `secchi demo --serve`.
pub(crate) struct Server {
    child: Child,
    endpoint: String,
    access_key: String,
    secret_key: String,
    /// From its start until it said that all is there.
    pub(crate) ready: Duration,
}

impl Server {
    /// `is_remote` for one that stands for another machine: it must not keep the program or this process,
    /// the terminal, from a core.
    pub(crate) fn start(home: &Home, is_remote: bool) -> Self {
        let began = Instant::now();
        let program = super::program();
        let mut command = if is_remote {
            // Linux divides cores among sessions first: it gets one of its own.
            let mut command = Command::new("setsid");
            command.args(["nice", "-n", "10"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let mut child = command
            .args(["demo", "--serve"])
            .env_clear()
            .envs(home.env())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let ready = began.elapsed();
        if is_remote {
            // Where cores are not divided so, there is no such file, and `nice` does it alone.
            let _ = std::fs::write(format!("/proc/{}/autogroup", child.id()), "19");
        }
        let said: Value = serde_json::from_str(&line).expect("one JSON object");
        let text = |name: &str| said[name].as_str().expect(name).to_owned();
        Self {
            endpoint: text("endpoint"),
            access_key: text("access_key"),
            secret_key: text("secret_key"),
            child,
            ready,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn key_to_frame(home: &Home) -> Value {
    let server = Server::start(home, true);
    let listing = listing::serve(PAGES, PAGE_DELAY);
    profiles(home, &server, &format!("http://{}", listing.address));
    let folder = large_files(home);

    let mut program = Program::secchi(&["s3://uploads@lake/"], &home.env(), true);
    program.until_text("uploads");
    start_upload(&mut program, &folder.to_string_lossy());
    let asked = Instant::now();
    open_listing(&mut program);
    program.until("the first page", |screen| cursor(screen) == Some(0));
    let (cpu, main) = (cpu_time(program.pid()), main_thread(program.pid()));
    let began = Instant::now();
    let measured = press_keys(&mut program, &listing);
    let (took, cpu) = (began.elapsed(), cpu_time(program.pid()).saturating_sub(cpu));
    let after = main_thread(program.pid());
    program.until("all pages", |screen| terminal::line(screen, 0).contains("100,000 "));
    let streamed = asked.elapsed();

    let all: Vec<f64> = measured.iter().map(|m| m.ms).collect();
    let mut result = quantiles(&all);
    for kind in [Key::Down, Key::Up, Key::PageDown, Key::Bottom, Key::Top] {
        let of_kind: Vec<f64> = measured.iter().filter(|m| m.key == kind).map(|m| m.ms).collect();
        result[kind.label()] = quantiles(&of_kind);
    }
    let share = |is_so: fn(&Measured) -> bool| {
        rounded(measured.iter().filter(|m| is_so(m)).count() as f64 / measured.len().max(1) as f64)
    };
    result["over_16_ms"] = json!(all.iter().filter(|ms| **ms > super::KEY_LIMIT_MS).count());
    result["share_while_listing"] = share(|m| m.listing).into();
    result["share_while_uploading"] = share(|m| m.uploading).into();
    result["mean_frame_bytes"] =
        rounded(measured.iter().map(|m| m.bytes as f64).sum::<f64>() / measured.len().max(1) as f64).into();
    result["keys_took_s"] = rounded(took.as_secs_f64()).into();
    // Of the thread that runs the loop: what it did itself, and what others kept it from doing.
    let a_key = |before: f64, after: f64| rounded((after - before) / measured.len().max(1) as f64);
    result["loop_cpu_ms_a_key"] = a_key(main.0, after.0).into();
    result["loop_waited_for_a_core_ms_a_key"] = a_key(main.1, after.1).into();
    result["program_cores"] = rounded(cpu.as_secs_f64() / took.as_secs_f64()).into();
    result["listing_took_s"] = rounded(streamed.as_secs_f64()).into();
    result
}

/// Two profiles: the server that takes the upload and the one that lists.
fn profiles(home: &Home, server: &Server, listing: &str) {
    let folder = home.folder(".aws");
    let one = |name: &str, endpoint: &str| format!("[profile {name}]\nregion = us-east-1\nendpoint_url = {endpoint}\n");
    let config = one("uploads", &server.endpoint) + &one("listing", listing);
    let keys =
        |name: &str, a: &str, s: &str| format!("[{name}]\naws_access_key_id = {a}\naws_secret_access_key = {s}\n");
    let credentials = keys("uploads", &server.access_key, &server.secret_key) + &keys("listing", "a", "b");
    std::fs::write(folder.join("config"), config).expect("a file");
    std::fs::write(folder.join("credentials"), credentials).expect("a file");
}

fn large_files(home: &Home) -> std::path::PathBuf {
    let folder = home.folder("large");
    let mut dice = Dice(2);
    let bytes: Vec<u8> = (0..UPLOAD_BYTES).map(|_| dice.below(256) as u8).collect();
    let first = folder.join("0.bin");
    std::fs::write(&first, bytes).expect("a large file");
    for i in 1..UPLOAD_NAMES {
        std::fs::hard_link(&first, folder.join(format!("{i}.bin"))).expect("another name for it");
    }
    folder
}

fn start_upload(program: &mut Program, file: &str) {
    program.send("R");
    program.until_text("writing is allowed");
    upload(program, file);
    // The message lies over the last line of the list, where the cursor is after `G`.
    program.until("an upload that runs, no message", |screen| {
        is_uploading(screen) && !screen.contents().contains("has started")
    });
}

/// Fills in the upload form and submits it.
pub(crate) fn upload(program: &mut Program, file: &str) {
    program.send("u");
    program.until_text("content type");
    program.send(file);
    let name = file.rsplit('/').next().unwrap_or_default().to_owned();
    program.until_text(&name);
    program.send("\x13");
    program.until_text("has started");
}

fn open_listing(program: &mut Program) {
    program.send("o");
    program.settle(Duration::from_millis(0));
    program.send(format!("s3://listing@{}/", listing::BUCKET));
    program.until_text(&format!("listing@{}/", listing::BUCKET));
    program.send("\r");
}

struct Measured {
    key: Key,
    ms: f64,
    /// Of the frame that showed it.
    bytes: usize,
    listing: bool,
    uploading: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Down,
    Up,
    PageDown,
    Top,
    Bottom,
}

impl Key {
    fn bytes(self) -> &'static str {
        match self {
            Self::Down => "j",
            Self::Up => "k",
            Self::PageDown => "\x1b[6~",
            Self::Top => "gg",
            Self::Bottom => "G",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Down => "j",
            Self::Up => "k",
            Self::PageDown => "page_down",
            Self::Top => "gg",
            Self::Bottom => "G",
        }
    }

    /// Whether a cursor that stood at `before` and now stands at `now` shows its effect.
    fn is_done(self, before: usize, now: usize) -> bool {
        match self {
            Self::Down => now == before + 1,
            Self::Up => now + 1 == before,
            Self::PageDown => now > before + 1,
            Self::Top => now == 0,
            Self::Bottom => now > before,
        }
    }
}

/// Keys at a quick reader's pace, some of them after a rest in which a preview is asked for, until
/// the listing is complete.
fn press_keys(program: &mut Program, listing: &listing::Server) -> Vec<Measured> {
    let mut measured = Vec::new();
    let mut dice = Dice(1);
    // How far above the end the cursor stands after `G`; there, not every key would have an effect.
    let mut below_end: Option<usize> = None;
    while listing.sent.load(Relaxed) < PAGES && measured.len() < MOST_KEYS {
        let rest = if dice.below(25) == 0 { 120 } else { 3 + dice.below(18) };
        program.listen(Duration::from_millis(rest));
        let before = cursor(program.screen()).expect("a cursor in the list");
        let key = match (dice.below(20), below_end) {
            _ if before == 0 && below_end.is_some() => Key::Down,
            (0..=2, Some(_)) | (0, None) if before > 0 => Key::Top,
            (3..=9, Some(1..)) => Key::Down,
            (_, Some(_)) => Key::Up,
            (1, None) => Key::Bottom,
            (2..=5, None) => Key::PageDown,
            (6..=10, None) if before > 0 => Key::Up,
            (_, None) => Key::Down,
        };
        below_end = match (key, below_end) {
            (Key::Bottom, _) => Some(0),
            (Key::Top, _) => None,
            (Key::Up, Some(n)) => Some(n + 1),
            (Key::Down, Some(n)) => Some(n - 1),
            (_, same) => same,
        };
        let pressed = program.send(key.bytes());
        let deadline = pressed + Duration::from_secs(10);
        loop {
            let from = program.bytes;
            let at = program.frame(deadline).unwrap_or_else(|| {
                panic!("no effect of {:?} at {before}:\n{}", key.bytes(), program.screen().contents())
            });
            if cursor(program.screen()).is_some_and(|now| key.is_done(before, now)) {
                measured.push(Measured {
                    key,
                    ms: at.saturating_duration_since(pressed).as_secs_f64() * 1e3,
                    bytes: program.bytes - from,
                    listing: program.line(0).contains('…'),
                    uploading: is_uploading(program.screen()),
                });
                break;
            }
        }
    }
    measured
}

/// Whether the strip at the bottom tells of the upload.
fn is_uploading(screen: &vt100::Screen) -> bool {
    let strip = terminal::line(screen, terminal::ROWS - 1);
    strip.contains("large") && strip.contains('%')
}

/// Which object has the cursor.
fn cursor(screen: &vt100::Screen) -> Option<usize> {
    // The first line is the way here, whose arrows look the same.
    for row in 1..terminal::ROWS - 1 {
        for column in 1..terminal::COLUMNS {
            let mark = |c: u16| screen.cell(row, c).map(vt100::Cell::contents).unwrap_or_default();
            if mark(column) == "o" && mark(column - 1) == "▸" {
                let text: String = (column..column + 12).map(mark).collect();
                return listing::number(&text);
            }
        }
    }
    None
}

/// Always the same throws.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        // Constants of Knuth's MMIX.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}
