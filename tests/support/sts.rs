//! Temporary credentials of a gateway: `tests/services/sts.py`, and files of settings that use them.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of it")]

use super::support::Ceph;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Temporary keys.
#[derive(Clone, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(clippy::struct_field_names, reason = "as they are called everywhere")]
pub struct Session {
    /// Access key.
    pub access_key_id: String,
    /// Secret key.
    pub secret_access_key: String,
    /// What says that they are temporary.
    pub session_token: String,
    /// Until when the gateway takes them.
    pub expiration: String,
}

impl Session {
    /// The three lines of a profile.
    pub fn lines(&self) -> String {
        format!(
            "aws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
            self.access_key_id, self.secret_access_key, self.session_token
        )
    }

    /// What a `credential_process` prints. `until` is what the client is told.
    pub fn process(&self, until: &str) -> String {
        serde_json::json!({
            "Version": 1, "AccessKeyId": self.access_key_id, "SecretAccessKey": self.secret_access_key,
            "SessionToken": self.session_token, "Expiration": until,
        })
        .to_string()
    }
}

#[derive(serde::Deserialize)]
struct Ready {
    role: String,
    token: PathBuf,
    session: Session,
}

/// An issuer of web identities with a role for them. It ends, and its role with it, when it is dropped.
pub struct Sts {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    /// `arn:aws:iam:::role/…`
    pub role: String,
    /// The file of the token.
    pub token: PathBuf,
    /// Keys of `GetSessionToken`, valid for an hour.
    pub session: Session,
    /// A home for settings.
    pub home: tempfile::TempDir,
}

impl Sts {
    /// Starts it for the user of `ceph`.
    pub fn start(ceph: &Ceph) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/services/sts.py");
        let mut child = Command::new("python3")
            .args([script, &ceph.endpoint, &ceph.key, &ceph.secret])
            .arg(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().expect("its output")).lines();
        let line = output.next().expect("a line: see the error above").expect("reads");
        let Ready { role, token, session } = serde_json::from_str(&line).expect("its answer");
        Self { child, input, output, role, token, session, home }
    }

    fn ask(&mut self, words: &str) -> String {
        writeln!(self.input.as_mut().expect("its input"), "{words}").expect("writes");
        self.output.next().expect("a line: see the error above").expect("reads")
    }

    /// Other keys, which the gateway takes for so many seconds; less than none: that have expired.
    pub fn lasting(&mut self, seconds: f64) -> Session {
        serde_json::from_str(&self.ask(&format!("session {seconds}"))).expect("a session")
    }

    /// Takes back what the role may do.
    pub fn refuse(&mut self) {
        self.ask("refuse");
    }

    /// Gives it back.
    pub fn allow(&mut self) {
        self.ask("allow");
    }

    /// Writes a file into the home.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Sts {
    fn drop(&mut self) {
        // It takes back what it has made at the gateway when its input ends.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
