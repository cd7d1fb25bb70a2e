//! How fast a picture of a remote raster is there, and what scrolling through a folder of them costs.
//!
//! ```text
//! cargo bench --bench pictures                    all of it
//! cargo bench --bench pictures -- thumbnails      only these: thumbnails, scrolling, looking
//! SECCHI_BENCH_PYTHON=/venv/bin/python            a Python with rasterio; GDAL's own programs are found by PATH
//! SECCHI_BENCH_DATA=/folder                       keeps the files there; else they are made each time (a minute)
//! SECCHI_BENCH_RUNS=5  SECCHI_BENCH_KEYS=1000     other than five runs, other than a thousand keys
//! ```
//! Prints one JSON object. Who is not there is named under `missing`. A limit that is not kept fails nothing:
//! `limits` says what is wanted, `ratios` how much of each was needed (1 is all of it), and how long the program
//! took beside others.
//!
//! - `dem`: 3600 x 3600, float32, blocks of 1024, predictor 3. `stack`: 10980 x 10980, four bands of uint16, blocks
//!   of 512. Both are COGs behind a web server that answers each request after 30 ms. Of each contender the median and
//!   the most of `requests`, `mb` of bodies, and `ms`. `secchi` has two times: `ms` from the wish to the picture,
//!   as it tells it itself, and `process_ms` from its start to its end, with the PNG on the disk; others: `gdal` is
//!   `gdal_translate` as a whole process, `rasterio` only the reading, without the start of Python. All others are
//!   tuned: no sidecars, 32 KiB at once for the header.
//! - `scrolling`: the screen on a bucket of 1,000 COGs, the preview beside them. `held`: a key every 30 ms, as a
//!   terminal repeats them; `stepped`: one every 250 ms, each long enough for its picture. From a key to the frame
//!   that shows it, and what was asked for.
//! - `looking`: keys on the screen of `stack` behind that server, of a float raster of 5490 x 5490 on the disk, and of
//!   an array of 24 days that is played: closer and farther, the cursor and the window moved, colours, stretch, the
//!   position on the axis; while pictures are read, decoded and drawn.

#[path = "pictures/bucket.rs"]
mod bucket;
mod common;
#[path = "pictures/data.rs"]
mod data;
#[path = "pictures/looking.rs"]
mod looking;
#[path = "pictures/scrolling.rs"]
mod scrolling;
#[path = "rows/server.rs"]
mod server;
#[allow(dead_code, reason = "each bench uses its part of it")]
#[path = "responsiveness/terminal.rs"]
mod terminal;

pub(crate) use common::program;
use common::{build, machine, number, rounded, wanted};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PYTHON: &str = "SECCHI_BENCH_PYTHON";
const DATA: &str = "SECCHI_BENCH_DATA";
const LATENCY: Duration = Duration::from_millis(30);
const REQUESTS: f64 = 2.0;
const THUMBNAIL_MS: f64 = 130.0;
const KEY_MS: f64 = 16.0;

/// What GDAL's users are told to set.
const TUNED: [(&str, &str); 5] = [
    ("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR"),
    ("GDAL_INGESTED_BYTES_AT_OPEN", "32768"),
    ("CPL_VSIL_CURL_USE_HEAD", "NO"),
    ("GDAL_HTTP_MERGE_CONSECUTIVE_RANGES", "YES"),
    ("VSI_CACHE", "TRUE"),
];

const RASTERIO: &str = "
import sys, time, rasterio
began = time.perf_counter()
bands = [int(b) for b in sys.argv[2].split(',')]
with rasterio.open('/vsicurl/' + sys.argv[1]) as d:
    scale = 512 / max(d.width, d.height)
    a = d.read(bands, out_shape=(len(bands), round(d.height * scale), round(d.width * scale)))
print(time.perf_counter() - began)
";

fn main() {
    let is_wanted = wanted();
    let made = tempfile::Builder::new().prefix("secchi-bench-").tempdir().expect("a temporary folder");
    let folder = std::env::var_os(DATA).map_or_else(|| made.path().to_path_buf(), PathBuf::from);
    let files = data::files(&folder);
    let mut report = json!({
        "bench": "pictures",
        "build": build(),
        "machine": machine(),
        "latency_ms": LATENCY.as_millis() as u64,
        "mb": files.iter().map(|f| rounded(f.metadata().map_or(0.0, |m| m.len() as f64) / 1e6)).collect::<Vec<_>>(),
    });
    if is_wanted("thumbnails") {
        let server = server::Server::start(&files, LATENCY);
        for ((key, bands), file) in [("dem", "1"), ("stack", "3,2,1")].iter().zip(&files) {
            report[*key] = thumbnails(&server, file, bands, made.path());
        }
    }
    if is_wanted("scrolling") {
        report["scrolling"] = scrolling::measure(&files[0], made.path(), LATENCY, number("SECCHI_BENCH_KEYS", 1000));
    }
    if is_wanted("looking") {
        let server = server::Server::start(&files, LATENCY);
        let name = files[1].file_name().expect("a name").to_string_lossy().into_owned();
        let (remote, float) = (format!("http://{}/web/{name}", server.address), data::float(&folder));
        let keys = number("SECCHI_BENCH_KEYS", 1000).div_ceil(2);
        report["looking"] = looking::measure(&remote, &float, &folder, made.path(), keys);
    }
    report["limits"] = json!({ "requests": REQUESTS, "ms": THUMBNAIL_MS, "key_p99_ms": KEY_MS });
    report["ratios"] = ratios(&report);
    writeln!(std::io::stdout(), "{report:#}").expect("printed");
}

/// A run: seconds by the clock, and as it tells them itself.
type Run = Option<(f64, Option<f64>)>;

/// All contenders on one file, round by round.
fn thumbnails(server: &server::Server, file: &Path, bands: &str, home: &Path) -> Value {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    let url = format!("http://{}/web/{name}", server.address);
    let png = home.join("out.png").to_string_lossy().into_owned();
    let secchi = vec!["preview", &url, "--png", &png, "--json", "--size", "512x512"];
    let curl = format!("/vsicurl/{url}");
    let mut translate = vec!["-q", "-outsize", "512", "0", "-r", "average", "-of", "PNG", "-ot", "Byte", "-scale"];
    bands.split(',').for_each(|band| translate.extend(["-b", band]));
    translate.extend([curl.as_str(), png.as_str()]);
    let program = common::program().to_string_lossy().into_owned();
    let contenders: Vec<(&str, String, Vec<&str>)> = vec![
        ("secchi", program, secchi),
        ("gdal", "gdal_translate".to_owned(), translate),
        ("rasterio", python, vec!["-c", RASTERIO, &url, bands]),
    ];
    let mut measured: Vec<Vec<[f64; 4]>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..number("SECCHI_BENCH_RUNS", 5) {
        for ((name, program, args), measured) in contenders.iter().zip(&mut measured) {
            let run = run(name, program, args, home);
            let (requests, bytes, _) = server.taken();
            measured.extend(run.map(|(process, own)| {
                [requests as f64, bytes as f64 / 1e6, own.unwrap_or(process) * 1e3, process * 1e3]
            }));
        }
    }
    let mut result = json!({});
    let mut missing = Vec::new();
    for ((name, ..), runs) in contenders.iter().zip(measured) {
        if runs.is_empty() {
            missing.push(*name);
            continue;
        }
        for (i, what) in ["requests", "mb", "ms", "process_ms"].iter().enumerate() {
            let mut values: Vec<f64> = runs.iter().map(|run| run[i]).collect();
            values.sort_by(f64::total_cmp);
            result[*name][*what] = json!({
                "median": rounded(values[values.len() / 2]),
                "most": values.last().copied().map(rounded),
            });
        }
    }
    result["missing"] = json!(missing);
    result
}

fn run(name: &str, program: &str, args: &[&str], home: &Path) -> Run {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("HOME", home).stdin(Stdio::null()).stderr(Stdio::null());
    for name in ["PATH", "LD_LIBRARY_PATH"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    if name != "secchi" {
        command.envs(TUNED);
    }
    let began = Instant::now();
    let output = command.output().ok().filter(|output| output.status.success())?;
    let seconds = began.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(match name {
        "secchi" => {
            let told: Value = serde_json::from_str(&text).ok()?;
            (seconds, Some(told["cost"]["ms"].as_f64()? / 1e3))
        }
        "rasterio" => (seconds, Some(text.trim().parse().ok()?)),
        _ => (seconds, None),
    })
}

/// How much of each limit was needed, and the time beside others.
fn ratios(report: &Value) -> Value {
    let of = |key: &str, who: &str, what: &str, which: &str| report[key][who][what][which].as_f64();
    let against = |value: Option<f64>, limit: Option<f64>| Some(rounded(value? / limit?));
    let mut out = json!({});
    for key in ["dem", "stack"] {
        out[format!("requests_{key}")] = json!(against(of(key, "secchi", "requests", "most"), Some(REQUESTS)));
        out[format!("ms_{key}")] = json!(against(of(key, "secchi", "ms", "median"), Some(THUMBNAIL_MS)));
        for (peer, what) in [("gdal", "process_ms"), ("rasterio", "ms")] {
            let ratio = against(of(key, "secchi", what, "median"), of(key, peer, what, "median"));
            out[format!("ms_{key}_of_{peer}")] = json!(ratio);
        }
    }
    for mode in ["held", "stepped"] {
        let p99 = report["scrolling"][mode]["key_ms"]["p99"].as_f64();
        out[format!("key_p99_{mode}")] = json!(against(p99, Some(KEY_MS)));
    }
    out["key_p99_looking"] = json!(against(looking::worst(&report["looking"]), Some(KEY_MS)));
    out
}
