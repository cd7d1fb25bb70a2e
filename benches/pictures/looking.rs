//! Keys on the screen of a raster and of an array while these are read, decoded and drawn.

use super::common::{env_with, quantiles, rounded};
use super::terminal::{self, Program};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// As a terminal repeats a key, and then long enough for pictures to come in between.
const PAUSES: [Duration; 2] = [Duration::from_millis(30), Duration::from_millis(150)];
/// A key without an effect by then is told of.
const PATIENCE: Duration = Duration::from_secs(2);
/// Closer, the cursor about, the window with it, colours, stretch, and back again.
const RASTER: &[&str] = &["+", "l", "j", "L", "c", "+", "J", "s", "-", "h", "k", "+", "H", "K", "c", "-", "s", "-"];
/// Along the axis, while it is played. None back by one: a step of the playing that falls into the same frame would
/// show the place of before.
const ARRAY: &[&str] = &[".", "+", ".", "c", ">", "l", "<", "-", ".", "s", "h"];

/// An array of this many days, and the sides of one.
const DAYS: usize = 24;
const SIDES: (usize, usize) = (721, 1440);

pub(crate) fn measure(remote: &str, float: &Path, folder: &Path, home: &Path, keys: usize) -> Value {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let zarr = array(folder);
    json!({
        "remote_cog": raster(remote, home, keys),
        "float_raster": raster(&path(float), home, keys),
        "played_array": played(&path(&zarr), home, keys),
    })
}

fn raster(address: &str, home: &Path, keys: usize) -> Value {
    let mut program = Program::secchi(&[address], &env_with("http://127.0.0.1:1", home), true);
    program.until("a scale", |screen| !zoom(screen).is_empty());
    // One band alone, so that colour maps mean something; and the cursor.
    program.send("n\r");
    program.until_text("column ");
    press(&mut program, RASTER, keys)
}

fn played(address: &str, home: &Path, keys: usize) -> Value {
    let mut program = Program::secchi(&[address], &env_with("http://127.0.0.1:1", home), true);
    program.until_text("tas");
    program.send("\r");
    program.until_text(" of 24");
    program.send("\r");
    program.until_text("column ");
    program.send(" ");
    press(&mut program, ARRAY, keys)
}

/// Presses keys in turn; each is answered by the frame that shows its effect.
fn press(program: &mut Program, turn: &[&str], keys: usize) -> Value {
    let (mut latencies, mut unanswered) = (Vec::new(), 0);
    for (i, key) in turn.iter().cycle().take(keys).enumerate() {
        program.listen(PAUSES[i / turn.len() % PAUSES.len()]);
        if is_in_vain(key, program.screen()) {
            continue;
        }
        let before = effect(key, program.screen());
        let pressed = program.send(key);
        let deadline = pressed + PATIENCE;
        loop {
            let Some(at) = program.frame(deadline) else {
                unanswered += 1;
                break;
            };
            if effect(key, program.screen()) != before {
                latencies.push(at.saturating_duration_since(pressed).as_secs_f64() * 1e3);
                break;
            }
        }
    }
    let over = latencies.iter().filter(|ms| **ms > super::KEY_MS).count();
    json!({ "keys": latencies.len(), "key_ms": quantiles(&latencies), "over_16_ms": over, "unanswered": unanswered,
            "longest_ms": rounded(latencies.iter().copied().fold(0.0, f64::max)) })
}

/// The part of the screen that a key changes.
fn effect(key: &str, screen: &vt100::Screen) -> String {
    let lines = || (0..terminal::ROWS).map(|row| terminal::line(screen, row));
    match key {
        "+" | "-" => zoom(screen),
        "c" | "s" => {
            // What stands beside the picture: the names of the colours and of the stretch.
            lines().skip(1).take(12).filter_map(|line| Some(line.split_once('│')?.1.to_owned())).collect()
        }
        "." | "," | "<" | ">" => lines().filter(|line| line.contains(" of 24")).collect(),
        _ => lines().filter_map(|line| Some(line.split_once("column ")?.1.to_owned())).collect(),
    }
}

/// Whether a key leads nowhere: on from the last day, or back from the first. Only the next step of the playing would
/// change anything then.
fn is_in_vain(key: &str, screen: &vt100::Screen) -> bool {
    let at = match key {
        "." | ">" => " 24 of 24",
        "<" => " 1 of 24",
        _ => return false,
    };
    (0..terminal::ROWS).any(|row| terminal::line(screen, row).contains(at))
}

/// `1:16`.
fn zoom(screen: &vt100::Screen) -> String {
    let head = terminal::line(screen, 0);
    let is_zoom =
        |word: &&str| word.split_once(':').is_some_and(|(a, b)| a.parse::<f64>().is_ok() && b.parse::<f64>().is_ok());
    head.split_whitespace().find(is_zoom).unwrap_or_default().to_owned()
}

/// A field over the whole earth, a day in a chunk of 4 MB.
fn array(folder: &Path) -> std::path::PathBuf {
    let root = folder.join("era.zarr");
    let (rows, columns) = SIDES;
    let document = json!({
        "zarr_format": 3, "node_type": "array", "shape": [DAYS, rows, columns], "data_type": "float32", "fill_value": 0,
        "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": [1, rows, columns] } },
        "chunk_key_encoding": { "name": "default", "configuration": { "separator": "/" } },
        "codecs": [{ "name": "bytes", "configuration": { "endian": "little" } }],
        "dimension_names": ["time", "lat", "lon"], "attributes": { "units": "K" },
    });
    let write = |name: &str, bytes: &[u8]| {
        let file = root.join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, bytes).expect("written");
    };
    let group = json!({ "zarr_format": 3, "node_type": "group", "attributes": {},
        "consolidated_metadata": { "kind": "inline", "must_understand": false, "metadata": { "tas": document } } });
    write("zarr.json", group.to_string().as_bytes());
    write("tas/zarr.json", document.to_string().as_bytes());
    for day in 0..DAYS {
        let value = |i: usize| {
            let (x, y) = ((i % columns) as f32 / 90.0, (i / columns) as f32 / 230.0);
            250.0 + 40.0 * y.sin() + 5.0 * (x + day as f32 / 3.0).sin() + (i * 7919 % 101) as f32 / 100.0
        };
        let bytes: Vec<u8> = (0..rows * columns).flat_map(|i| value(i).to_le_bytes()).collect();
        write(&format!("tas/c/{day}/0/0"), &bytes);
    }
    root
}

/// How much of the limit the slowest of them needed.
pub(crate) fn worst(report: &Value) -> Option<f64> {
    let each = ["remote_cog", "float_raster", "played_array"].iter();
    each.filter_map(|name| report[name]["key_ms"]["p99"].as_f64()).max_by(f64::total_cmp)
}
