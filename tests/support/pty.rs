//! A program in a pseudo-terminal: started, typed at, looked at, and asked whether it left the
//! terminal as it found it. Every wait has a deadline and ends as soon as what it waits for is there.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// What a terminal like xterm (without graphics) answers, for programs that ask.
const ANSWERS: [(&[u8], &[u8]); 4] = [
    (b"\x1b[6n", b"\x1b[1;2R"),
    (b"\x1b[>0q", b"\x1bP>|XTerm(379)\x1b\\"),
    (b"\x1b[c", b"\x1b[?64;1;2;6;9;15;16;17;18;21;22;28c"),
    (b"\x1b[5n", b"\x1b[0n"),
];

/// Modes that must be off again when a program has ended, and the cursor, which must be on.
const MODES: [u16; 10] = [1049, 1000, 1002, 1003, 1004, 1006, 1015, 2004, 2026, 25];

/// A running program and its terminal.
pub(crate) struct Pty {
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    output: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    raw: Vec<u8>,
    answered: usize,
    answers: bool,
    before: String,
}

impl Pty {
    /// Starts `program` with `args` and nothing of this environment but `PATH` and `env`, in a
    /// terminal of `columns` x `rows` that answers queries as xterm does.
    pub(crate) fn spawn(program: &str, args: &[&str], env: &[(&str, &str)], columns: u16, rows: u16) -> Self {
        Self::start(program, args, env, columns, rows, true)
    }

    /// The same in a terminal that never answers anything.
    pub(crate) fn spawn_silent(program: &str, args: &[&str], env: &[(&str, &str)], columns: u16, rows: u16) -> Self {
        Self::start(program, args, env, columns, rows, false)
    }

    fn start(program: &str, args: &[&str], env: &[(&str, &str)], columns: u16, rows: u16, answers: bool) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env_clear();
        command.env("PATH", std::env::var("PATH").unwrap_or_default());
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")].iter().chain(env) {
            command.env(name, value);
        }
        let master = pair.master;
        let before = modes(&*master);
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut reader = master.try_clone_reader().expect("reader");
        let writer = master.take_writer().expect("writer");
        let (send, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            // The read fails once the program and its children are gone.
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let parser = vt100::Parser::new(rows, columns, 0);
        Self { master, writer, child, output, parser, raw: Vec::new(), answered: 0, answers, before }
    }

    /// Types.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.writer.write_all(bytes.as_ref()).and_then(|()| self.writer.flush()).expect("typed");
    }

    /// Waits until `text` is on the screen. Panics with the screen when the deadline has passed.
    pub(crate) fn wait_for(&mut self, text: &str, deadline: Duration) {
        self.wait_until(&format!("\"{text}\" on the screen"), deadline, |screen| screen.contains(text));
    }

    /// Waits until the screen's text satisfies `is_so`.
    pub(crate) fn wait_until(&mut self, what: &str, deadline: Duration, mut is_so: impl FnMut(&str) -> bool) {
        let end = Instant::now() + deadline;
        loop {
            while let Ok(bytes) = self.output.try_recv() {
                self.take(&bytes);
            }
            if is_so(&self.screen()) {
                return;
            }
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(why) => {
                    let gone = why == RecvTimeoutError::Disconnected;
                    let why = if gone { "the program has ended" } else { "the deadline has passed" };
                    panic!("{why} without {what}:\n{}\nlast bytes: {:?}", self.screen(), self.raw_tail());
                }
            }
        }
    }

    /// Takes in output for a while, for instance to see that there is none; gives its bytes.
    pub(crate) fn listen(&mut self, time: Duration) -> Vec<u8> {
        let from = self.raw.len();
        let end = Instant::now() + time;
        while let Ok(bytes) = self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.take(&bytes);
        }
        self.raw[from..].to_vec()
    }

    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.raw.extend_from_slice(bytes);
        if !self.answers {
            return;
        }
        // In the order of the queries, each once. A query may be cut by the end of a read.
        let next = |rest: &[u8]| ANSWERS.iter().filter_map(|(query, answer)| Some((find(rest, query)?, *answer))).min();
        while let Some((end, answer)) = next(&self.raw[self.answered..]) {
            self.answered += end;
            // The program may be gone by now.
            let _ = self.writer.write_all(answer).and_then(|()| self.writer.flush());
        }
    }

    /// The text on the screen, line by line.
    pub(crate) fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    /// The screen with its colours, for closer looks.
    pub(crate) fn cells(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// The last bytes that the program wrote, as text.
    pub(crate) fn raw_tail(&self) -> String {
        String::from_utf8_lossy(&self.raw[self.raw.len().saturating_sub(400)..]).into_owned()
    }

    /// How many bytes the program has written.
    pub(crate) fn written(&self) -> usize {
        self.raw.len()
    }

    /// The program's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().expect("it was started")
    }

    /// Changes the size of the terminal.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).expect("resized");
        self.parser.screen_mut().set_size(rows, columns);
    }

    /// Waits until the program has ended and all it wrote was read.
    pub(crate) fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        let end = Instant::now() + deadline;
        let status = loop {
            match self.child.try_wait().expect("it is our child") {
                Some(status) => break status,
                None if Instant::now() > end => {
                    panic!("the program did not end:\n{}\nlast bytes: {:?}", self.screen(), self.raw_tail())
                }
                // Its output has to be read meanwhile, or it could not end.
                None => drop(self.listen(Duration::from_millis(10))),
            }
        };
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(500)) {
            self.take(&bytes);
        }
        status
    }

    /// Fails unless the terminal is as it was before: the line discipline (echo, line by line),
    /// no alternate screen, a cursor, no mouse, paste, focus or synchronized mode left on.
    pub(crate) fn assert_restored(&self) {
        assert_eq!(modes(&*self.master), self.before, "the line discipline; last bytes: {:?}", self.raw_tail());
        for mode in MODES {
            let set = self.last(&format!("\x1b[?{mode}h"));
            let reset = self.last(&format!("\x1b[?{mode}l"));
            // The cursor (25) is on at first, all the others are off.
            let restored = if mode == 25 { set >= reset } else { reset >= set };
            assert!(restored, "mode {mode} is left; last bytes: {:?}", self.raw_tail());
        }
        assert!(!self.parser.screen().alternate_screen() && !self.parser.screen().hide_cursor());
    }

    fn last(&self, sequence: &str) -> Option<usize> {
        self.raw.windows(sequence.len()).rposition(|w| w == sequence.as_bytes())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // A test that failed must not leave its program behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the first `needle` ends.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|w| w == needle).map(|at| at + needle.len())
}

/// The terminal's line discipline.
fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().map(|t| (t.local_flags, t.input_flags, t.output_flags)))
}
