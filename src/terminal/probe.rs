//! Asking the terminal, with a deadline and without a thread that stays behind on its input.

use super::caps::{Caps, Env, Graphics};
use super::replies::{Replies, parse, queries};
use crate::error::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long the first frame waits for answers. A terminal on this machine answers within
/// milliseconds; for others the picture gets better when the answers come. Loading GDAL's hundred
/// libraries has taken most of the 60 ms that the first frame may take.
pub(super) const FIRST_FRAME: Duration = Duration::from_millis(10);

/// Queries under way. Owns the terminal's input until it is done: start crossterm's reader after.
pub(super) struct Probe {
    tty: File,
    bytes: Vec<u8>,
    replies: Replies,
    deadline: Instant,
    env: Env,
    wish: Option<Graphics>,
}

/// What a probe leaves behind.
pub(super) struct Found {
    /// What was typed meanwhile.
    pub(super) typed: Vec<u8>,
    /// The start of an answer that was cut by the deadline.
    pub(super) unfinished: Vec<u8>,
    /// Whether all answers came.
    pub(super) complete: bool,
}

impl Probe {
    /// Sends the queries to `out`, which must be the terminal in raw mode.
    pub(super) fn start(env: &Env, wish: Option<Graphics>, out: &mut impl Write) -> Result<Self> {
        let tty = open_tty().context(|| "opening the terminal".into())?;
        out.write_all(&queries(env.ask())).and_then(|()| out.flush()).context(|| "asking the terminal".into())?;
        let patience = Duration::from_millis(if env.is_remote() { 1000 } else { 300 });
        let deadline = Instant::now() + patience;
        Ok(Self { tty, bytes: Vec::new(), replies: Replies::default(), deadline, env: env.clone(), wish })
    }

    /// Reads answers until all are there (`true`), `patience` or the deadline has passed, or `stop`.
    pub(super) fn wait(&mut self, patience: Duration, stop: &AtomicBool) -> bool {
        let end = self.deadline.min(Instant::now() + patience);
        while !self.replies.done && !stop.load(Relaxed) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // Short naps, so that a program that ends is not kept by this one.
            let nap = left.min(Duration::from_millis(20));
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(nap.subsec_nanos()) };
            let mut fds = [PollFd::new(&self.tty, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(_) => break,
            }
            let mut buffer = [0; 1024];
            match self.tty.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => self.bytes.extend_from_slice(&buffer[..n]),
                Err(err) if err.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            }
            self.replies = parse(&self.bytes).replies;
        }
        self.replies.done
    }

    /// What is known by now.
    pub(super) fn caps(&self) -> Caps {
        Caps::decide_again(&self.env, &self.replies, self.wish)
    }

    /// Ends the probe.
    pub(super) fn finish(self) -> (Caps, Found) {
        let parsed = parse(&self.bytes);
        let found = Found { typed: parsed.typed, unfinished: parsed.unfinished, complete: self.replies.done };
        (self.caps(), found)
    }

    /// What late answers need: the environment, what is known, the user's wish.
    pub(super) fn knowledge(&self) -> (Env, Replies, Option<Graphics>) {
        (self.env.clone(), self.replies.clone(), self.wish)
    }
}

impl Caps {
    /// [`Caps::decide`] with the cell size that the system knows where the terminal told none.
    pub(super) fn decide_again(env: &Env, replies: &Replies, wish: Option<Graphics>) -> Self {
        let mut caps = Self::decide(env, replies, wish);
        caps.cell_pixels = caps.cell_pixels.or_else(window_cell);
        caps
    }
}

/// The cell size from the window size that the kernel keeps (xterm sets it; most others too).
pub(super) fn window_cell() -> Option<(u16, u16)> {
    let size = crossterm::terminal::window_size().ok()?;
    let cell = (size.width.checked_div(size.columns)?, size.height.checked_div(size.rows)?);
    (cell.0 > 1 && cell.1 > 1).then_some(cell)
}

/// The terminal's input, as crossterm chooses it.
fn open_tty() -> std::io::Result<File> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Ok(File::from(stdin.as_fd().try_clone_to_owned()?));
    }
    File::open("/dev/tty")
}
