//! Whole listings by several programs, one after the other, round by round.

use super::server::{BUCKET, Server};
use super::{memory_mb, program, rounded};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Names a Python that has obstore.
const PYTHON: &str = "SECCHI_BENCH_PYTHON";

const OBSTORE: &str = "
import sys, obstore
from obstore.store import S3Store
store = S3Store('many', endpoint=sys.argv[1], client_options={'allow_http': True}, virtual_hosted_style_request=False,
                access_key_id='a', secret_access_key='b', region='us-east-1')
out = sys.stdout
for batch in obstore.list(store, chunk_size=10000):
    for one in batch:
        out.write('%s\\t%d\\t%s\\n' % (one['path'], one['size'], one['last_modified']))
";

struct Run {
    seconds: f64,
    memory: f64,
    lines: usize,
}

pub(crate) fn measure(server: &Server, home: &Path, runs: usize) -> Value {
    let (endpoint, url) = (server.endpoint(), format!("s3://{BUCKET}/"));
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let secchi = program().to_string_lossy().into_owned();
    let rclone = format!(
        ":s3,provider=Other,list_version=2,access_key_id=a,secret_access_key=b,endpoint=\"{endpoint}\",\
         force_path_style=true,no_check_bucket=true,region=us-east-1:{BUCKET}"
    );
    let all = format!("{url}*");
    let contenders: Vec<(&str, &str, Vec<&str>)> = vec![
        ("secchi", &secchi, vec!["--endpoint-url", &endpoint, "ls", &url]),
        ("secchi_json", &secchi, vec!["--endpoint-url", &endpoint, "ls", &url, "--json"]),
        ("obstore", &python, vec!["-c", OBSTORE, &endpoint]),
        ("s5cmd", "s5cmd", vec!["--endpoint-url", &endpoint, "ls", &all]),
        ("rclone", "rclone", vec!["lsf", "--fast-list", &rclone]),
    ];
    let (mut result, mut missing) = (json!({}), Vec::new());
    let mut measured: Vec<Vec<Run>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..runs {
        for ((name, program, args), measured) in contenders.iter().zip(&mut measured) {
            match run(program, args, home) {
                Some(run) if run.lines == server.keys => measured.push(run),
                Some(run) if run.lines > 0 => panic!("{name} listed {} of {} keys", run.lines, server.keys),
                _ if !missing.contains(name) => missing.push(*name),
                _ => {}
            }
        }
    }
    for ((name, ..), mut runs) in contenders.iter().zip(measured) {
        runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let (Some(best), Some(median)) = (runs.first(), runs.get(runs.len() / 2)) else { continue };
        let memory = runs.iter().map(|r| r.memory).fold(0.0, f64::max);
        result[*name] = json!({
            "median_s": rounded(median.seconds), "best_s": rounded(best.seconds), "memory_mb": rounded(memory),
        });
    }
    result["missing"] = json!(missing);
    result
}

/// Runs a program and counts the lines that it writes; `None` where there is no such program.
fn run(program: &str, args: &[&str], home: &Path) -> Option<Run> {
    let mut command = Command::new(program);
    command.args(args).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    for name in ["PATH", "LD_LIBRARY_PATH"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    let variables = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "us-east-1")];
    command.envs(variables).env("HOME", home);
    let began = Instant::now();
    let mut child = command.spawn().ok()?;
    let mut out = child.stdout.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let (mut buffer, mut lines) = (vec![0; 1 << 20], 0);
        while let Ok(n @ 1..) = out.read(&mut buffer) {
            lines += memchr::memchr_iter(b'\n', &buffer[..n]).count();
        }
        lines
    });
    let mut memory = 0.0;
    while child.try_wait().expect("a child").is_none() {
        // It can be asked only while it runs.
        memory = memory_mb(child.id()).unwrap_or(memory);
        std::thread::sleep(Duration::from_millis(2));
    }
    let seconds = began.elapsed().as_secs_f64();
    Some(Run { seconds, memory, lines: reader.join().expect("no panic") })
}
