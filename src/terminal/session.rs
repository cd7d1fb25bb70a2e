//! Entering the terminal and leaving it: on return, on drop, on panic, on a signal.

use super::caps::{Caps, Env, Graphics, HEADLESS};
use super::input::Events;
use super::probe::{FIRST_FRAME, Probe};
use super::screen::Screen;
use crate::error::{Context as _, Error, Kind, Result};
use rustix::process::{Signal as Raw, kill_current_process_group};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::watch;

/// Alternate screen, no cursor, bracketed paste.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[2J\x1b[H\x1b[?25l\x1b[?2004h";
/// Mouse: clicks and wheel, with SGR coordinates.
const MOUSE: &[u8] = b"\x1b[?1000h\x1b[?1006h";
/// The mouse left to the terminal.
const NO_MOUSE: &[u8] = b"\x1b[?1006l\x1b[?1000l";
/// All that this program or a library may have switched on, off: synchronized output, mouse,
/// focus, paste; then colours, cursor, screen.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[?1006l\x1b[?1015l\x1b[?1003l\x1b[?1002l\x1b[?1000l\x1b[?1004l\x1b[?2004l\x1b[m\x1b[?25h\x1b[?1049l";

/// What the user wishes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether the mouse is reported.
    pub mouse: bool,
    /// `--graphics`; `None` to find out.
    pub graphics: Option<Graphics>,
}

/// A terminal that shows this program. Leaving it restores what was there before.
pub struct Session {
    shared: Arc<Shared>,
    probe: Option<(Probe, bool)>,
    caps: watch::Sender<Caps>,
}

struct Shared {
    active: AtomicBool,
    mouse: AtomicBool,
    /// The thread that draws: a panic there ends the program.
    owner: std::thread::ThreadId,
    panics: Mutex<Vec<String>>,
}

impl Session {
    /// Enters the full screen and asks the terminal what it can do, for at most 10 ms: answers
    /// that come later are taken in by [`Session::events`]. Call it on the thread that draws.
    /// Fails with a sentence where no screen can be shown.
    pub fn enter(env: &Env, options: Options) -> Result<Self> {
        env.check()?;
        let mut stdout = std::io::stdout();
        if !stdout.is_terminal() {
            return Err(Error::unsupported("the output is not a terminal").with_hint(HEADLESS));
        }
        if !std::io::stdin().is_terminal() && std::fs::File::open("/dev/tty").is_err() {
            return Err(Error::unsupported("there is no terminal to read keys from").with_hint(HEADLESS));
        }
        let shared = Arc::new(Shared {
            active: AtomicBool::new(false),
            mouse: AtomicBool::new(options.mouse),
            owner: std::thread::current().id(),
            panics: Mutex::default(),
        });
        shared.enter().context(|| "preparing the terminal".into())?;
        // From here on, dropping the session restores the terminal.
        let caps = watch::Sender::new(Caps::from_env(env, options.graphics));
        let mut session = Self { shared, probe: None, caps };
        session.hook_panics();
        let mut probe = Probe::start(env, options.graphics, &mut stdout)?;
        let done = probe.wait(FIRST_FRAME, &AtomicBool::new(false));
        session.caps.send_replace(probe.caps());
        session.probe = Some((probe, done));
        Ok(session)
    }

    /// What the terminal can do, as far as is known now.
    pub fn caps(&self) -> Caps {
        self.caps.borrow().clone()
    }

    /// Frames on this terminal.
    pub fn screen(&self, waker: crate::task::Waker) -> Result<Screen> {
        Screen::new(Box::new(std::io::stdout()), None, self.caps.subscribe(), waker)
            .context(|| "preparing the screen".into())
    }

    /// Events of this terminal, once: its input has one reader.
    pub fn events(&mut self) -> Result<Events> {
        let (probe, done) =
            self.probe.take().ok_or_else(|| Error::new(Kind::Failed, "the terminal's input is already being read"))?;
        Ok(Events::new(probe, done, self.caps.clone()))
    }

    /// The signals that end the program. Taken once, they no longer kill it: the caller must end.
    pub fn signals(&self) -> Result<Signals> {
        Signals::new().context(|| "listening for signals".into())
    }

    /// Ctrl-Z: leaves the terminal, stops the program's process group as the terminal driver would,
    /// and enters again when the shell continues it. The screen must then be drawn anew
    /// ([`Screen::invalidate`]). Where nobody could continue it, the system does not stop it.
    pub async fn suspend(&mut self) -> Result<()> {
        let mut continued = signal(SignalKind::from_raw(Raw::CONT.as_raw()))?;
        self.leave();
        let stopped = kill_current_process_group(Raw::TSTP);
        // The stop may reach another thread of ours first: only the continuation tells that it is over.
        let _ = tokio::time::timeout(Duration::from_millis(100), continued.recv()).await;
        self.shared.enter().context(|| "entering the terminal again".into())?;
        stopped.map_err(std::io::Error::from).context(|| "stopping the program".into())
    }

    /// Has the mouse reported, or leaves it to the terminal. Leaving the terminal always gives it back, and
    /// entering it again asks for it again.
    pub fn set_mouse(&mut self, on: bool) -> std::io::Result<()> {
        if self.shared.mouse.swap(on, SeqCst) == on || !self.shared.active.load(SeqCst) {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        out.write_all(if on { MOUSE } else { NO_MOUSE })?;
        out.flush()
    }

    /// Restores the terminal. A second call does nothing.
    pub fn leave(&mut self) {
        self.shared.leave();
    }

    /// What background threads panicked about: it was kept from the screen.
    pub fn take_panics(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.panics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hook_panics(&self) {
        let shared = Arc::clone(&self.shared);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if crate::task::is_caught() {
                return;
            }
            if std::thread::current().id() == shared.owner {
                shared.leave();
            } else if shared.active.load(SeqCst) {
                let text = info.to_string();
                shared.panics.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                return;
            }
            before(info);
        }));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
        for panic in self.take_panics() {
            // The terminal is the user's again, and stderr may be gone: then nobody is left to read it.
            let _ = writeln!(std::io::stderr(), "{}", crate::text::clean(&panic));
        }
    }
}

impl Shared {
    fn enter(&self) -> std::io::Result<()> {
        if self.active.swap(true, SeqCst) {
            return Ok(());
        }
        crossterm::terminal::enable_raw_mode().inspect_err(|_| self.active.store(false, SeqCst))?;
        let mut out = std::io::stdout().lock();
        out.write_all(ENTER)?;
        if self.mouse.load(SeqCst) {
            out.write_all(MOUSE)?;
        }
        out.flush()
    }

    fn leave(&self) {
        if !self.active.swap(false, SeqCst) {
            return;
        }
        // The terminal may be gone (SIGHUP): then there is nothing to restore.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(LEAVE).and_then(|()| out.flush());
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End, with this exit code: 128 and the signal's number.
    Terminate(u8),
}

/// The signals that end the program, as values.
pub struct Signals {
    streams: Vec<(u8, Stream)>,
}

impl Signals {
    /// Takes TERM, INT, HUP and QUIT.
    pub fn new() -> std::io::Result<Self> {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()];
        let streams = kinds.into_iter().map(|kind| Ok((kind.as_raw_value() as u8, signal(kind)?)));
        Ok(Self { streams: streams.collect::<std::io::Result<_>>()? })
    }

    /// Waits for one. May be dropped without losing any.
    pub async fn next(&mut self) -> Signal {
        std::future::poll_fn(|cx| {
            for (number, stream) in &mut self.streams {
                if stream.poll_recv(cx).is_ready() {
                    return std::task::Poll::Ready(Signal::Terminate(128 + *number));
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_run_or_a_pipe_is_refused_in_a_sentence() {
        let env: Env = [("TERM", "dumb")].into_iter().collect();
        let err = Session::enter(&env, Options::default()).err().expect("refused");
        assert_eq!(err.kind(), Kind::Unsupported);
    }

    #[test]
    fn leaving_undoes_all_that_entering_does() {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ascii");
        let leave = text(LEAVE);
        for sequence in (text(ENTER) + &text(MOUSE)).split('\x1b').filter(|s| s.ends_with('h')) {
            assert!(leave.contains(&sequence.replace('h', "l")), "{sequence} is not undone");
        }
        for sequence in text(MOUSE).split('\x1b').filter(|s| !s.is_empty()) {
            assert!(text(NO_MOUSE).contains(&sequence.replace('h', "l")), "{sequence} is not undone");
        }
        assert!(leave.contains("[?25h") && leave.contains("[?1004l"));
    }

    #[tokio::test]
    async fn a_signal_arrives_as_its_exit_code() {
        let mut signals = Signals::new().expect("handlers");
        rustix::process::kill_process(rustix::process::getpid(), Raw::HUP).expect("sent");
        assert_eq!(signals.next().await, Signal::Terminate(129));
    }
}
