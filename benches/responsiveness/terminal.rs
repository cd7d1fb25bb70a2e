//! A program in a pseudo-terminal whose output is taken with the time of its arrival.

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) const COLUMNS: u16 = 120;
pub(crate) const ROWS: u16 = 36;

/// The end of a frame: synchronized output is switched off.
const FRAME_END: &[u8] = b"\x1b[?2026l";

/// What this terminal answers: an xterm with synchronized output.
const ANSWERS: [(&[u8], &[u8]); 5] = [
    (b"\x1b[6n", b"\x1b[1;2R"),
    (b"\x1b[>0q", b"\x1bP>|bench(1)\x1b\\"),
    (b"\x1b[?2026$p", b"\x1b[?2026;2$y"),
    (b"\x1b[c", b"\x1b[?64;1;2;6;9;15;16;17;18;21;22;28c"),
    (b"\x1b[5n", b"\x1b[0n"),
];
const LONGEST_QUERY: usize = 9;

/// A running program and what it shows.
pub(crate) struct Program {
    // Closing it would hang up on the program.
    _master: Box<dyn MasterPty + Send>,
    writer: Arc<Mutex<Box<dyn Write + Send>>>,
    child: Box<dyn Child + Send + Sync>,
    output: Receiver<(Instant, Vec<u8>)>,
    /// What of the last read was not shown yet.
    rest: (Instant, Vec<u8>),
    matched: usize,
    parser: vt100::Parser,
    /// Bytes shown so far.
    pub(crate) bytes: usize,
    /// Just before it was spawned.
    pub(crate) spawned: Instant,
}

impl Program {
    /// Starts secchi. A terminal that does not answer ends no frames, see [`Program::frame`].
    pub(crate) fn secchi(args: &[&str], env: &[(String, String)], answers: bool) -> Self {
        Self::start(super::program(), args, env, answers)
    }

    /// Starts any program.
    pub(crate) fn start(
        program: impl AsRef<std::ffi::OsStr>,
        args: &[&str],
        env: &[(String, String)],
        answers: bool,
    ) -> Self {
        let size = PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env_clear();
        for (name, value) in env {
            command.env(name, value);
        }
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let writer = Arc::new(Mutex::new(pair.master.take_writer().expect("a writer")));
        let (send, output) = channel();
        let answering = answers.then(|| writer.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 16384];
            let mut tail = Vec::new();
            // The read fails once the program is gone.
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                let now = Instant::now();
                if let Some(writer) = &answering {
                    answer(&mut tail, &buffer[..n], writer);
                }
                if send.send((now, buffer[..n].to_vec())).is_err() {
                    break;
                }
            }
        });
        let spawned = Instant::now();
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        Self {
            _master: pair.master,
            writer,
            child,
            output,
            rest: (spawned, Vec::new()),
            matched: 0,
            parser: vt100::Parser::new(ROWS, COLUMNS, 0),
            bytes: 0,
            spawned,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().expect("it was started")
    }

    /// Types; gives the time just before.
    pub(crate) fn send(&mut self, keys: impl AsRef<[u8]>) -> Instant {
        let mut writer = self.writer.lock().expect("no panic");
        let now = Instant::now();
        writer.write_all(keys.as_ref()).and_then(|()| writer.flush()).expect("typed");
        now
    }

    /// Shows what arrives up to the end of the next frame; gives the time at which that was read, or
    /// `None` where none ended until `deadline`.
    pub(crate) fn frame(&mut self, deadline: Instant) -> Option<Instant> {
        loop {
            let (at, bytes) = std::mem::replace(&mut self.rest, (self.spawned, Vec::new()));
            if let Some(end) = self.find_end(&bytes) {
                self.show(&bytes[..end]);
                self.rest = (at, bytes[end..].to_vec());
                return Some(at);
            }
            self.show(&bytes);
            self.rest = self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
        }
    }

    /// Shows what arrives until the screen is so; gives the time at which the last of it was read.
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut(&vt100::Screen) -> bool) -> Instant {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let (at, bytes) = std::mem::replace(&mut self.rest, (self.spawned, Vec::new()));
            self.matched = 0;
            self.show(&bytes);
            if is_so(self.parser.screen()) {
                return at;
            }
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(read) => self.rest = read,
                Err(why) => panic!("{why} without {what}:\n{}", self.parser.screen().contents()),
            }
        }
    }

    /// Waits for words on the screen.
    pub(crate) fn until_text(&mut self, words: &str) -> Instant {
        self.until(words, |screen| screen.contents().contains(words))
    }

    /// Shows what arrives in this time; gives the number of its bytes.
    pub(crate) fn listen(&mut self, time: Duration) -> usize {
        let (before, deadline) = (self.bytes, Instant::now() + time);
        while self.frame(deadline).is_some() {}
        self.bytes - before
    }

    /// Waits until nothing was written for a while.
    pub(crate) fn settle(&mut self, quiet: Duration) {
        let deadline = Instant::now() + Duration::from_mins(2);
        while self.listen(quiet) > 0 {
            assert!(Instant::now() < deadline, "it does not settle:\n{}", self.parser.screen().contents());
        }
    }

    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// The text of a line of the screen.
    pub(crate) fn line(&self, row: u16) -> String {
        line(self.parser.screen(), row)
    }

    fn show(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.bytes += bytes.len();
    }

    /// Where the end of a frame that began in earlier bytes or these ends.
    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (i, byte) in bytes.iter().enumerate() {
            // ESC stands only at its start.
            self.matched = if *byte == FRAME_END[self.matched] { self.matched + 1 } else { usize::from(*byte == 0x1b) };
            if self.matched == FRAME_END.len() {
                self.matched = 0;
                return Some(i + 1);
            }
        }
        None
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of a line of a screen.
pub(crate) fn line(screen: &vt100::Screen, row: u16) -> String {
    (0..COLUMNS).filter_map(|column| Some(screen.cell(row, column)?.contents())).collect()
}

/// Answers the queries in what was read. `tail` keeps the start of one that was cut.
fn answer(tail: &mut Vec<u8>, bytes: &[u8], writer: &Mutex<Box<dyn Write + Send>>) {
    tail.extend_from_slice(bytes);
    let find = |rest: &[u8], query: &[u8]| rest.windows(query.len()).position(|w| w == query);
    let next = |rest: &[u8]| ANSWERS.iter().filter_map(|(q, a)| Some((find(rest, q)? + q.len(), *a))).min();
    while let Some((end, answer)) = next(tail) {
        tail.drain(..end);
        let mut writer = writer.lock().expect("no panic");
        // The program may be gone by now.
        let _ = writer.write_all(answer).and_then(|()| writer.flush());
    }
    tail.drain(..tail.len().saturating_sub(LONGEST_QUERY));
}
