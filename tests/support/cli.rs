//! The real program, run without a terminal: what it prints, how it ends, and that it tells no secret.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of it")]

use serde_json::Value;
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes on two busy cores.
const PATIENCE: Duration = Duration::from_secs(150);

/// A home of its own, and the variables that the program sees: no others.
pub struct Program {
    /// Home, state, configuration and temporary files lie in it.
    pub home: tempfile::TempDir,
    environment: Vec<(String, String)>,
    secrets: Vec<String>,
    /// A program that runs it, with its arguments.
    under: Vec<String>,
}

/// How a run ended.
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// As it came.
    pub stdout: Vec<u8>,
    /// Always text.
    pub stderr: String,
    /// By the wall clock.
    pub took: Duration,
}

impl Run {
    /// Stdout as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is UTF-8")
    }

    /// Stdout, an object a line.
    pub fn json(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// The one object, besides those that tell progress.
    pub fn object(&self) -> Value {
        let mut all = self.json();
        all.retain(|object| object["event"] != "progress");
        assert_eq!(all.len(), 1, "{}", self.text());
        all.remove(0)
    }

    /// Ended well.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", String::from_utf8_lossy(&self.stdout), self.stderr);
        self
    }

    /// Ended with this code, nothing on stdout but what a job tells of itself, and a sentence with these words,
    /// which it gives.
    #[track_caller]
    pub fn refused(&self, code: i32, words: &[&str]) -> String {
        assert_eq!(self.code, code, "{}", self.stderr);
        let stdout = String::from_utf8_lossy(&self.stdout);
        let other: Vec<&str> = stdout.lines().filter(|line| !line.starts_with(r#"{"event":"#)).collect();
        assert_eq!(other, [""; 0]);
        let sentence = self.stderr.lines().next().unwrap_or_default().to_owned();
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` in {}", self.stderr);
        }
        sentence
    }
}

impl Program {
    /// A program that knows nothing.
    pub fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let mut program = Self { home, environment: Vec::new(), secrets: Vec::new(), under: Vec::new() };
        for (name, folder) in
            [("HOME", ""), ("SECCHI_STATE_DIR", "state"), ("SECCHI_CONFIG_DIR", "config"), ("TMPDIR", "tmp")]
        {
            let path = program.home.path().join(folder);
            std::fs::create_dir_all(&path).expect("a folder");
            program = program.with(name, &path.to_string_lossy());
        }
        program.with("PATH", &std::env::var("PATH").unwrap_or_default())
    }

    /// With a variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With keys and an endpoint in the environment.
    pub fn with_keys(self, endpoint: &str, key: &str, secret: &str) -> Self {
        let mut program = self
            .with("AWS_ENDPOINT_URL", endpoint)
            .with("AWS_ACCESS_KEY_ID", key)
            .with("AWS_SECRET_ACCESS_KEY", secret);
        program.secrets.push(secret.to_owned());
        program
    }

    /// With something that must never be printed nor written down.
    pub fn with_secret(mut self, secret: &str) -> Self {
        self.secrets.push(secret.to_owned());
        self
    }

    /// From now on, run by another program: `faketime -f -20m`; nothing: by none.
    pub fn under(&mut self, words: &[&str]) {
        self.under = words.iter().map(|word| (*word).to_owned()).collect();
    }

    /// A file in its home.
    pub fn file(&self, name: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        path
    }

    /// A file in its home, written; its path as an argument.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.file(name);
        std::fs::write(&path, bytes).expect("writes");
        path.to_string_lossy().into_owned()
    }

    /// A folder of its home.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, args: &[impl AsRef<OsStr>]) -> Command {
        let program = env!("CARGO_BIN_EXE_secchi");
        let mut command = Command::new(self.under.first().map_or(program, String::as_str));
        if !self.under.is_empty() {
            command.args(&self.under[1..]).arg(program);
        }
        command.args(args).env_clear().envs(self.environment.iter().map(|(k, v)| (k, v)));
        command.current_dir(self.home.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it.
    pub fn start(&self, args: &[impl AsRef<OsStr>]) -> Started<'_> {
        let child = self.command(args).spawn().expect("the program starts");
        Started { program: self, child, began: Instant::now() }
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[impl AsRef<OsStr>]) -> Run {
        self.start(args).end()
    }

    /// Fails if a secret was written down.
    pub fn keeps_secrets(&self) {
        for folder in ["state", "config", "tmp"] {
            self.look_into(&self.home.path().join(folder));
        }
    }

    fn look_into(&self, folder: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.look_into(&path);
            } else {
                let bytes = std::fs::read(&path).unwrap_or_default();
                self.assert_no_secret(&bytes, &path.to_string_lossy());
            }
        }
    }

    fn assert_no_secret(&self, bytes: &[u8], place: &str) {
        for secret in &self.secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret stands in {place}");
        }
    }
}

/// A run under way. It is killed if it is dropped.
pub struct Started<'a> {
    program: &'a Program,
    /// The process.
    pub child: Child,
    began: Instant,
}

impl Started<'_> {
    /// Asks it to end.
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// Waits for its end and reads what it printed.
    pub fn end(mut self) -> Run {
        let read = |stream: Option<Box<dyn std::io::Read + Send>>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut stream) = stream {
                    stream.read_to_end(&mut bytes).expect("reads");
                }
                bytes
            })
        };
        let stdout = read(self.child.stdout.take().map(|s| Box::new(s) as _));
        let stderr = read(self.child.stderr.take().map(|s| Box::new(s) as _));
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("waits") {
                break status;
            }
            assert!(self.began.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let took = self.began.elapsed();
        let (stdout, stderr) = (stdout.join().expect("read"), stderr.join().expect("read"));
        let stderr = String::from_utf8(stderr).expect("stderr is UTF-8");
        // Bytes of an object may be anything; secrets are in none that these tests write.
        if stdout.len() < 1 << 20 {
            self.program.assert_no_secret(&stdout, "stdout");
        }
        self.program.assert_no_secret(stderr.as_bytes(), "stderr");
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert_harmless(&stderr);
        Run { code: status.code().unwrap_or(-1), stdout, stderr, took }
    }
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fails where something but a line end could move a cursor.
#[track_caller]
pub fn assert_harmless(text: &str) {
    let hostile = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!text.contains(hostile), "{text:?}");
}

/// Waits for something that another process does.
#[track_caller]
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
