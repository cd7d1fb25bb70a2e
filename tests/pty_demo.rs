//! The whole program in a pseudo-terminal: what a user does on the first day.

#[path = "support/pty.rs"]
mod pty;

use pty::Pty;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::time::Duration;

/// Long enough for an unoptimised build on a busy computer.
const SOON: Duration = Duration::from_mins(1);
const PROGRAM: &str = env!("CARGO_BIN_EXE_secchi");

/// Starts the program; it knows nothing but what lies in `home`.
fn start(args: &[&str], home: &Path, env: &[(&str, &str)], size: (u16, u16)) -> Pty {
    let path = |name: &str| home.join(name).to_string_lossy().into_owned();
    let (state, config, home) = (path("state"), path("config"), path(""));
    let own = [("SECCHI_STATE_DIR", &*state), ("SECCHI_CONFIG_DIR", &*config), ("HOME", &*home), ("TMPDIR", &*home)];
    Pty::spawn(PROGRAM, args, &[&own, env].concat(), size.0, size.1)
}

/// No file of the demo is left in its temporary folder.
fn assert_no_demo_left(home: &Path) {
    let names = std::fs::read_dir(home).expect("a folder").map(|e| e.expect("an entry").file_name());
    let left: Vec<_> = names.filter(|n| n.to_string_lossy().starts_with("secchi-demo-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_first_day() {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("water samples.csv");
    std::fs::write(&file, "lon,lat,depth\n24.5,61.2,3\n".repeat(200_000)).expect("a file");
    let mut pty = start(&["demo"], home.path(), &[], (100, 30));
    pty.wait_for("README.md", SOON);
    pty.wait_for("A lake of samples", SOON);
    pty.send("\r");
    pty.wait_for("s3://demo@lake/README.md", SOON);
    pty.wait_for("1 request", SOON);
    pty.send("q");
    pty.wait_for("writable", SOON);
    pty.send("u");
    pty.wait_for("upload to s3://demo@lake/", SOON);
    // The whole path is typed: the picker is driven in `screens.rs`, where no frame is missed.
    pty.send(file.to_str().expect("its path"));
    pty.wait_for("text/csv", SOON);
    pty.send("\x13");
    pty.wait_for("has started", SOON);
    pty.send("w");
    pty.wait_for("upload water samples.csv", SOON);
    pty.send("q");
    pty.wait_until("an empty strip: the upload has ended", SOON, |s| {
        s.contains("rtt") && s.lines().last().is_some_and(|strip| strip.trim_start().starts_with("? help"))
    });
    pty.send("\x1b[15~");
    pty.wait_until("the new object", SOON, |s| s.contains(" water samples.csv"));
    pty.send("Q");
    assert_eq!(pty.wait_exit(SOON).exit_code(), 0, "{}", pty.screen());
    pty.assert_restored();
    assert_no_demo_left(home.path());
}

#[test]
fn leaving_while_a_job_runs_is_asked_about() {
    let home = tempfile::tempdir().expect("a folder");
    // A server that takes the connection and never answers keeps the upload going.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    std::fs::write(home.path().join("lake.bin"), vec![1; 1 << 20]).expect("a file");
    let keys = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_ENDPOINT_URL", &*endpoint)];
    let mut pty = start(&["s3://lake/"], home.path(), &keys, (100, 30));
    pty.wait_for("read-only", SOON);
    pty.send("Ru");
    pty.wait_for("upload to s3://lake/", SOON);
    pty.send(format!("{}/lake.bin", home.path().display()));
    pty.wait_for("1.0 MiB", SOON);
    pty.send("\x13");
    pty.wait_for("has started", SOON);
    pty.send("Q");
    pty.wait_for("Jobs are running", SOON);
    pty.wait_for("upload lake.bin", SOON);
    pty.send("n");
    pty.wait_until("no question", SOON, |s| !s.contains("Jobs are running"));
    pty.send("\x03");
    pty.wait_for("Jobs are running", SOON);
    pty.send("y");
    assert_eq!(pty.wait_exit(SOON).exit_code(), 0, "{}", pty.screen());
    pty.assert_restored();
    drop(silent);
}

#[test]
fn a_signal_ends_it_and_leaves_the_terminal_as_it_was() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let home = tempfile::tempdir().expect("a folder");
        let mut pty = start(&["demo"], home.path(), &[], (80, 24));
        pty.wait_for("README.md", SOON);
        pty.send("?");
        pty.wait_for("Keys", SOON);
        kill_process(Pid::from_raw(pty.pid().cast_signed()).expect("a process"), signal).expect("sent");
        assert_eq!(pty.wait_exit(SOON).exit_code(), code, "{}", pty.screen());
        pty.assert_restored();
        assert_no_demo_left(home.path());
    }
}

#[test]
fn a_resized_terminal_is_drawn_anew() {
    let home = tempfile::tempdir().expect("a folder");
    let mut pty = start(&[], home.path(), &[], (120, 40));
    pty.wait_for("how deep can you see", SOON);
    pty.resize(40, 12);
    pty.wait_until("the bar on the last line", SOON, |s| s.lines().nth(11).is_some_and(|l| l.contains("? help")));
    pty.resize(100, 30);
    pty.wait_until("the bar on the last line", SOON, |s| s.lines().nth(29).is_some_and(|l| l.contains("? help")));
    pty.send("q");
    assert_eq!(pty.wait_exit(SOON).exit_code(), 0);
    pty.assert_restored();
}

#[test]
fn a_terminal_that_cannot_show_it_is_refused_in_a_sentence() {
    let home = tempfile::tempdir().expect("a folder");
    let mut pty = start(&[], home.path(), &[("TERM", "dumb")], (100, 24));
    assert_eq!(pty.wait_exit(SOON).exit_code(), 1);
    assert!(pty.screen().contains("this terminal cannot show a full-screen program"), "{}", pty.screen());
    assert!(!pty.raw_tail().contains('\u{1b}'));
    pty.assert_restored();
}

#[test]
fn a_place_that_is_none_is_a_sentence_and_a_code_for_scripts() {
    let home = tempfile::tempdir().expect("a folder");
    let mut pty = start(&["gopher://lake/"], home.path(), &[], (100, 24));
    assert_eq!(pty.wait_exit(SOON).exit_code(), 2);
    assert!(pty.screen().contains("`gopher://` is not a kind of location"), "{}", pty.screen());
    pty.assert_restored();
}
