//! The first 50 rows of a `GeoParquet` of 500 MB (row groups of some 70 MB) from a server that answers each
//! request after 30 ms: the program beside pyarrow, polars and `DuckDB`.
//!
//! ```text
//! cargo bench --bench rows
//! SECCHI_BENCH_PYTHON=/venv/bin/python           a Python with numpy, pyarrow, polars, duckdb
//! SECCHI_BENCH_DATA=/folder                      keeps the two files there; else they are made each time
//! SECCHI_BENCH_ROWS=7600000 SECCHI_BENCH_RUNS=5  another size, other than five runs
//! ```
//! Prints one JSON object. Who is not there is named under `missing`. A limit that is not kept fails nothing:
//! `limits` says what is wanted, `ratios` how much of each was needed (1 is all of it).
//!
//! For a file with a page index (`index`) and one without (`plain`), each contender has the median and the most of
//! `requests` and `bytes` (MB of bodies that were sent), and of `ms`: for the program the whole process, from start
//! to the last line of its output, for the others only the reading, without the start of Python and its imports.
//! `secchi` reads from a web server, `secchi_s3` and all others from object storage, which answers no two ranges
//! at once.

#[path = "rows/server.rs"]
mod server;

use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Names another program to measure: an older one, to compare.
const PROGRAM: &str = "SECCHI_BENCH_PROGRAM";
const PYTHON: &str = "SECCHI_BENCH_PYTHON";
const DATA: &str = "SECCHI_BENCH_DATA";
const LATENCY: Duration = Duration::from_millis(30);
const REQUESTS: f64 = 4.0;
const MB_WITH_INDEX: f64 = 4.0;
const MB_WITHOUT: f64 = 12.0;

const PYARROW: &str = "
import sys, time; from pyarrow import fs; import pyarrow.parquet as pq
began = time.perf_counter()
f = fs.S3FileSystem(access_key='a', secret_key='b', endpoint_override=sys.argv[1], scheme='http', region='us-east-1')
n = len(next(pq.ParquetFile(f.open_input_file('s3/' + sys.argv[2])).iter_batches(batch_size=50)))
print(n, time.perf_counter() - began)
";
const POLARS: &str = "
import sys, time; import polars as pl
began = time.perf_counter()
options = {'aws_access_key_id': 'a', 'aws_secret_access_key': 'b', 'aws_region': 'us-east-1',
           'aws_endpoint_url': 'http://' + sys.argv[1], 'aws_allow_http': 'true'}
n = pl.scan_parquet('s3://s3/' + sys.argv[2], storage_options=options).head(50).collect().height
print(n, time.perf_counter() - began)
";
const DUCKDB: &str = "
import sys, time, glob, importlib.util; import duckdb
where = importlib.util.find_spec('duckdb_extension_httpfs').submodule_search_locations[0]
c = duckdb.connect(); c.execute(\"LOAD '\" + glob.glob(where + '/extensions/*/*.duckdb_extension')[0] + \"'\")
c.execute(\"CREATE SECRET (TYPE s3, KEY_ID 'a', SECRET 'b', ENDPOINT '\" + sys.argv[1]
          + \"', URL_STYLE 'path', USE_SSL false, REGION 'us-east-1')\")
began = time.perf_counter()
n = len(c.execute(\"SELECT * FROM read_parquet('s3://s3/\" + sys.argv[2] + \"') LIMIT 50\").fetchall())
print(n, time.perf_counter() - began)
";

fn main() {
    let (rows, runs) = (number("SECCHI_BENCH_ROWS", 7_600_000), number("SECCHI_BENCH_RUNS", 5));
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let made = tempfile::Builder::new().prefix("secchi-bench-").tempdir().expect("a temporary folder");
    let folder = std::env::var_os(DATA).map_or_else(|| made.path().to_path_buf(), PathBuf::from);
    let files = ["rows_index.parquet", "rows.parquet"].map(|name| folder.join(name));
    if !files.iter().all(|file| file.exists()) {
        let mut generate = Command::new(&python);
        generate.arg("-c").arg(include_str!("rows/generate.py")).arg(&folder).arg(rows.to_string());
        assert!(generate.status().is_ok_and(|s| s.success()), "{PYTHON} names no Python that can make the files");
    }
    let server = server::Server::start(&files, LATENCY);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut report = json!({
        "bench": "rows",
        "runs": runs,
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "mb": files.each_ref().map(|f| rounded(f.metadata().map_or(0.0, |m| m.len() as f64) / 1e6)),
        "latency_ms": LATENCY.as_millis() as u64,
        "machine": {
            "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            // Of the last minute, before the bench began: others at work spoil the numbers.
            "load": load.split(' ').next().and_then(|l| l.parse::<f64>().ok()),
        },
    });
    for (key, file) in ["index", "plain"].iter().zip(&files) {
        report[*key] = measure(&server, &python, file, made.path(), runs);
    }
    report["limits"] = json!({ "requests": REQUESTS, "mb_index": MB_WITH_INDEX, "mb_plain": MB_WITHOUT });
    report["ratios"] = ratios(&report);
    writeln!(std::io::stdout(), "{report:#}").expect("printed");
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// All contenders on one file, round by round.
fn measure(server: &server::Server, python: &str, file: &Path, home: &Path, runs: usize) -> Value {
    let program = std::env::var(PROGRAM).unwrap_or_else(|_| env!("CARGO_BIN_EXE_secchi").to_owned());
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    let endpoint = server.address.to_string();
    let (url, base) = (format!("http://{endpoint}/web/{name}"), format!("http://{endpoint}"));
    let s3 = format!("s3://s3/{name}");
    let ours = ["preview", "--rows", "50", "--json"];
    let script = |code: &'static str| (python.to_owned(), vec!["-c", code, &endpoint, &name]);
    let contenders: Vec<(&str, (String, Vec<&str>))> = vec![
        ("secchi", (program.clone(), [&ours[..], &[&url]].concat())),
        ("secchi_s3", (program, [&["--endpoint-url", &base], &ours[..], &[&s3]].concat())),
        ("pyarrow", script(PYARROW)),
        ("polars", script(POLARS)),
        ("duckdb", script(DUCKDB)),
    ];
    let mut measured: Vec<Vec<[f64; 3]>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..runs {
        for ((name, (program, args)), measured) in contenders.iter().zip(&mut measured) {
            let seconds = run(program, args, home, name.starts_with("secchi"));
            let (requests, bytes, _) = server.taken();
            measured.extend(seconds.map(|s| [requests as f64, bytes as f64 / 1e6, s * 1000.0]));
        }
    }
    let mut result = json!({});
    let mut missing = Vec::new();
    for ((name, _), runs) in contenders.iter().zip(measured) {
        if runs.is_empty() {
            missing.push(*name);
            continue;
        }
        for (i, what) in ["requests", "mb", "ms"].iter().enumerate() {
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

/// Seconds of one run; `None` where it is not there, or did not give 50 rows.
fn run(program: &str, args: &[&str], home: &Path, ours: bool) -> Option<f64> {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("HOME", home).stdin(Stdio::null()).stderr(Stdio::null());
    for name in ["PATH", "LD_LIBRARY_PATH"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "us-east-1")];
    command.envs(keys).env("AWS_EC2_METADATA_DISABLED", "true");
    let began = Instant::now();
    // DuckDB may fail after it has answered, on its way out.
    let output = command.output().ok().filter(|output| output.status.success() || !ours)?;
    let seconds = began.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if ours {
        return text.contains("extent_id").then_some(seconds);
    }
    let (rows, seconds) = text.trim().split_once(' ')?;
    seconds.parse().ok().filter(|_| rows == "50")
}

/// How much of each limit was needed.
fn ratios(report: &Value) -> Value {
    let of = |key: &str, who: &str, what: &str, which: &str| report[key][who][what][which].as_f64();
    let against = |value: Option<f64>, limit: Option<f64>| Some(rounded(value? / limit?));
    let mut out = json!({
        "requests_index": against(of("index", "secchi", "requests", "most"), Some(REQUESTS)),
        "mb_index": against(of("index", "secchi", "mb", "most"), Some(MB_WITH_INDEX)),
        "mb_plain": against(of("plain", "secchi", "mb", "most"), Some(MB_WITHOUT)),
        "mb_index_s3": against(of("index", "secchi_s3", "mb", "most"), Some(MB_WITH_INDEX)),
        "mb_plain_s3": against(of("plain", "secchi_s3", "mb", "most"), Some(MB_WITHOUT)),
    });
    for key in ["index", "plain"] {
        for (who, peer) in ["secchi", "secchi_s3"].iter().flat_map(|w| ["pyarrow", "polars", "duckdb"].map(|p| (w, p)))
        {
            let ratio = against(of(key, who, "ms", "median"), of(key, peer, "ms", "median"));
            out[format!("ms_{key}_{who}_of_{peer}")] = json!(ratio);
        }
    }
    out
}
