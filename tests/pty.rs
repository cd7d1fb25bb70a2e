//! The program in a real pseudo-terminal, and the helper that puts it there.

#[path = "support/pty.rs"]
mod pty;

use crossterm::event::{Event, KeyCode, KeyModifiers};
use futures::StreamExt;
use pty::Pty;
use rustix::process::{Pid, Signal as Raw, kill_process};
use secchi::task::Waker;
use secchi::terminal::{Env, Options, Session, Signal};
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Pty {
    Pty::spawn("/bin/sh", &["-c", script], &[], 80, 24)
}

fn fails(check: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(check)).is_err()
}

#[test]
fn what_is_typed_arrives_and_what_is_written_is_seen() {
    let mut pty = shell("read line; echo \"got <$line>\"; exit 3");
    pty.send("lake\n");
    pty.wait_for("got <lake>", SOON);
    assert_eq!(pty.wait_exit(SOON).exit_code(), 3);
    pty.assert_restored();
}

#[test]
fn a_terminal_left_in_disorder_is_noticed() {
    for mess in ["printf '\\033[?1049h'", "printf '\\033[?25l'", "printf '\\033[?2004h'", "stty raw -echo"] {
        let mut pty = shell(mess);
        pty.wait_exit(SOON);
        assert!(fails(|| pty.assert_restored()), "{mess}");
    }
    let mut pty = shell(
        "printf '\\033[?1049h\\033[?25l'; saved=$(stty -g); stty raw -echo; stty $saved; printf '\\033[?25h\\033[?1049l'",
    );
    pty.wait_exit(SOON);
    pty.assert_restored();
}

#[test]
fn queries_are_answered_by_one_terminal_and_not_by_the_other() {
    let ask =
        "stty raw -echo; printf '\\033[c\\033[5n'; dd bs=1 count=8 2>/dev/null | od -c | head -1; stty sane; echo done";
    let mut pty = shell(ask);
    pty.wait_for("033   [   ?   6   4", SOON);
    pty.wait_exit(SOON);
    let mut silent = Pty::spawn_silent("/bin/sh", &["-c", "printf '\\033[5n'; echo asked; read x"], &[], 80, 24);
    silent.wait_for("asked", SOON);
    assert!(silent.listen(Duration::from_millis(100)).is_empty());
}

#[test]
fn a_wait_ends_when_the_program_does() {
    let mut pty = shell("echo bye");
    assert!(fails(|| pty.wait_for("never", Duration::from_mins(1))));
}

/// The program inside the terminal of the tests below: this test binary, told so by a variable.
/// Shows what is typed; `q` ends it, `!` makes it panic, Ctrl-Z suspends it.
#[test]
fn inside() {
    if std::env::var_os("SECCHI_INSIDE").is_none() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let code = runtime.block_on(show());
    std::process::exit(code);
}

async fn show() -> i32 {
    let started = std::time::Instant::now();
    let mut session = match Session::enter(&Env::from_process(), Options::default()) {
        Ok(session) => session,
        Err(err) => {
            writeln!(std::io::stderr(), "{err}").expect("said");
            return i32::from(err.exit_code());
        }
    };
    let mut screen = session.screen(Waker::new()).expect("a screen");
    let mut events = session.events().expect("events");
    let mut signals = session.signals().expect("signals");
    let (mut keys, mut first) = (String::new(), None);
    loop {
        let first = *first.get_or_insert_with(|| started.elapsed());
        let name = session.caps().name.unwrap_or_default();
        let text = format!("▸ keys <{keys}>\nname <{name}>\nfirst frame {first:?}");
        screen.draw(|frame| frame.render_widget(text, frame.area())).expect("drawn");
        tokio::select! {
            event = events.next() => {
                let Some(Ok(Event::Key(key))) = event else { continue };
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                match key.code {
                    KeyCode::Char('q') => return 0,
                    KeyCode::Char('!') => panic!("as was wished"),
                    KeyCode::Char('z') if control => {
                        session.suspend().await.expect("continued");
                        screen.invalidate().expect("cleared");
                    }
                    KeyCode::Char(c) => keys.push(c),
                    other => write!(keys, "[{other}]").expect("to a string"),
                }
            }
            Signal::Terminate(code) = signals.next() => return i32::from(code),
        }
    }
}

const INSIDE: [&str; 4] = ["inside", "--exact", "--nocapture", "--test-threads=1"];

fn me() -> String {
    std::env::current_exe().expect("this test").to_str().expect("its path").to_owned()
}

fn enter(env: &[(&str, &str)]) -> Pty {
    Pty::spawn(&me(), &INSIDE, &[&[("SECCHI_INSIDE", "1")], env].concat(), 80, 24)
}

#[test]
fn the_terminal_is_restored_when_the_program_returns() {
    let mut pty = enter(&[]);
    pty.wait_for("name <XTerm(379)>", SOON);
    pty.send("lake");
    pty.wait_for("▸ keys <lake>", SOON);
    pty.send("q");
    assert_eq!(pty.wait_exit(SOON).exit_code(), 0);
    pty.assert_restored();
}

#[test]
fn the_terminal_is_restored_when_the_program_panics_and_the_message_is_seen() {
    let mut pty = enter(&[]);
    pty.wait_for("keys <", SOON);
    pty.send("!");
    assert_ne!(pty.wait_exit(SOON).exit_code(), 0);
    pty.assert_restored();
    assert!(pty.screen().contains("as was wished"), "{}", pty.screen());
}

#[test]
fn the_terminal_is_restored_when_a_signal_ends_the_program() {
    for (signal, code) in [(Raw::TERM, 143), (Raw::INT, 130), (Raw::HUP, 129), (Raw::QUIT, 131)] {
        let mut pty = enter(&[]);
        pty.wait_for("name <XTerm", SOON);
        kill_process(Pid::from_raw(pty.pid().cast_signed()).expect("a process"), signal).expect("sent");
        assert_eq!(pty.wait_exit(SOON).exit_code(), code);
        pty.assert_restored();
    }
}

#[test]
fn a_terminal_that_never_answers_loses_no_key() {
    let env = [("SECCHI_INSIDE", "1")];
    let mut pty = Pty::spawn_silent(&me(), &INSIDE, &env, 80, 24);
    pty.wait_for("keys <", SOON);
    for key in "deeplake".chars() {
        pty.send(key.to_string());
        pty.listen(Duration::from_millis(60));
    }
    pty.wait_for("keys <deeplake>", SOON);
    // The answers at last, when crossterm reads: swallowed, and one of them learnt from.
    pty.send("\x1b[1;2R\x1bP>|slow(1)\x1b\\\x1b_Gi=31;EINVAL\x1b\\\x1b[?2026;0$y\x1b[?62;c\x1b[0nS");
    pty.wait_for("keys <deeplakeS>", SOON);
    pty.wait_for("name <slow(1)>", SOON);
    pty.send("q");
    pty.wait_exit(SOON);
    pty.assert_restored();
}

#[test]
fn ctrl_z_gives_the_terminal_back_to_the_shell_and_fg_takes_it_again() {
    let mut pty = Pty::spawn("/bin/bash", &["--norc", "-i"], &[("SECCHI_INSIDE", "1"), ("PS1", "shell> ")], 80, 24);
    pty.wait_for("shell>", SOON);
    pty.send(format!("{} {}\n", me(), INSIDE.join(" ")));
    pty.wait_for("name <XTerm", SOON);
    pty.send("a\x1a");
    pty.wait_for("Stopped", SOON);
    // Bracketed paste is not looked at: the shell's own prompt switches it on.
    assert!(!pty.cells().alternate_screen() && !pty.cells().hide_cursor());
    pty.send("fg\n");
    pty.wait_for("keys <a>", SOON);
    pty.send("b");
    pty.wait_for("keys <ab>", SOON);
    pty.send("q");
    pty.wait_until("the shell", SOON, |screen| screen.trim_end().ends_with("shell>"));
    assert!(!pty.cells().alternate_screen() && !pty.cells().hide_cursor());
}

#[test]
fn a_terminal_that_cannot_show_it_is_refused_and_left_alone() {
    let mut pty = enter(&[("TERM", "dumb")]);
    assert_eq!(pty.wait_exit(SOON).exit_code(), 1);
    assert!(pty.screen().contains("this terminal cannot show a full-screen program"), "{}", pty.screen());
    assert!(!pty.raw_tail().contains('\u{1b}'));
}

#[test]
fn without_utf8_everything_is_ascii() {
    let mut pty = enter(&[("LANG", "C"), ("NO_COLOR", "1")]);
    pty.wait_for("> keys <", SOON);
    pty.send("q");
    pty.wait_exit(SOON);
    pty.assert_restored();
}
