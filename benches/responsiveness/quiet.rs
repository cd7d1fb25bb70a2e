//! What is measured with nothing else going on: idling, starting, bytes for a key.

use super::keys::upload;
use super::terminal::{self, Program};
use super::{Home, quantiles, rounded};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

/// Samples of each start.
const STARTS: usize = 20;
/// For so long idling is watched.
const IDLE: Duration = Duration::from_secs(10);
/// Messages go away after four seconds; what was not written for longer is settled.
const SETTLED: Duration = Duration::from_secs(6);

/// Processor time that the threads of a process have used.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let of = |task: &Path| {
        let text = std::fs::read_to_string(task.join("schedstat")).ok()?;
        text.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.flatten().filter_map(|task| of(&task.path())).sum())
}

/// Milliseconds that the first thread of a process has run, and that it was ready to and had no core.
pub(crate) fn main_thread(pid: u32) -> (f64, f64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("the process runs");
    let mut times = text.split_ascii_whitespace().filter_map(|n| n.parse::<f64>().ok()).map(|ns| ns / 1e6);
    (times.next().unwrap_or_default(), times.next().unwrap_or_default())
}

pub(crate) fn start(home: &Home) -> Value {
    let folder = texts(home);
    let folder = folder.to_string_lossy();
    let mut result = Map::new();
    for (name, args, header, answers) in [
        ("folder", vec![&*folder], "texts", true),
        ("demo", vec!["demo"], "lake", true),
        ("places", vec![], "secchi", true),
        ("folder_silent_terminal", vec![&*folder], "texts", false),
        ("demo_silent_terminal", vec!["demo"], "lake", false),
    ] {
        let times: Vec<f64> = (0..STARTS).map(|_| first_frame(&args, header, answers, home)).collect();
        let mut of_all = quantiles(&times);
        of_all["first"] = rounded(times[0]).into();
        result.insert(name.to_owned(), of_all);
    }
    result.into()
}

fn first_frame(args: &[&str], header: &str, answers: bool, home: &Home) -> f64 {
    let mut program = Program::secchi(args, &home.env(), answers);
    // Places has its title in the second line.
    let at = program.until(header, |screen| (0..2).any(|row| terminal::line(screen, row).contains(header)));
    at.duration_since(program.spawned).as_secs_f64() * 1e3
}

/// Cursor keys in a folder, slow enough that each has a frame of its own.
pub(crate) fn bytes_per_key(home: &Home) -> Value {
    let folder = texts(home);
    let mut result = json!({});
    for (name, pause) in [("scrolling", 30), ("with_previews", 200)] {
        let mut program = Program::secchi(&[&folder.to_string_lossy()], &home.env(), true);
        program.until_text("note-001");
        program.settle(Duration::from_secs(1));
        let (before, mut keys) = (program.bytes, 0);
        for _ in 0..100 {
            program.send("j");
            program.listen(Duration::from_millis(pause));
            keys += 1;
        }
        program.listen(Duration::from_millis(300));
        result[name] = rounded((program.bytes - before) as f64 / f64::from(keys)).into();
    }
    result
}

pub(crate) fn idle(home: &Home) -> Value {
    let texts = texts(home);
    let pictures = pictures(home);
    let copies = home.folder("copies");
    let spawn = |args: &[&str]| Program::secchi(args, &home.env(), true);

    let mut demo = spawn(&["demo"]);
    let mut job = spawn(&[&copies.to_string_lossy()]);
    job.until_text("copies");
    job.send("R");
    job.until_text("writing is allowed");
    upload(&mut job, &texts.join("note-000.txt").to_string_lossy());
    job.settle(SETTLED);
    job.send("w");
    job.until_text("note-000.txt");
    let pictures = pictures.to_string_lossy();
    let picture = spawn(&[&pictures]);
    let sixel = spawn(&["--graphics", "sixel", &pictures]);
    let folder = spawn(&[&texts.to_string_lossy()]);
    demo.until_text("lake");

    let mut programs =
        [("folder", folder), ("picture", picture), ("picture_sixel", sixel), ("finished_job", job), ("demo", demo)];
    for (_, program) in &mut programs {
        program.settle(SETTLED);
    }
    // All at once: programs that are idle do not disturb each other.
    let before: Vec<_> = programs.iter().map(|(_, p)| (p.bytes, cpu_time(p.pid()))).collect();
    std::thread::sleep(IDLE);
    let cpu: Vec<_> = programs.iter().map(|(_, p)| cpu_time(p.pid())).collect();
    let mut result = Map::new();
    for (((name, program), (bytes, cpu_before)), cpu) in programs.iter_mut().zip(before).zip(cpu) {
        program.listen(Duration::from_millis(1));
        let used = cpu.saturating_sub(cpu_before).as_secs_f64();
        result.insert(
            (*name).to_owned(),
            json!({
                "bytes": program.bytes - bytes,
                "cpu_percent": rounded(100.0 * used / IDLE.as_secs_f64()),
                "seconds": IDLE.as_secs(),
            }),
        );
    }
    result.into()
}

fn texts(home: &Home) -> std::path::PathBuf {
    let folder = home.folder("texts");
    for i in 0..200 {
        let text = format!("note {i}\n{}", "depth,temperature,salinity\n10,6.4,35.1\n".repeat(40));
        std::fs::write(folder.join(format!("note-{i:03}.txt")), text).expect("a file");
    }
    folder
}

fn pictures(home: &Home) -> std::path::PathBuf {
    let folder = home.folder("pictures");
    let picture = image::RgbImage::from_fn(900, 600, |x, y| image::Rgb([(x / 4) as u8, (y / 3) as u8, (x ^ y) as u8]));
    picture.save(folder.join("lake.png")).expect("a picture");
    folder
}
