//! Events of the terminal: what was typed while it was asked, then crossterm's stream with
//! late answers taken out.

use super::caps::{Caps, Env, Graphics};
use super::probe::{Found, Probe};
use super::replies::{Replies, parse};
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures::{FutureExt, Stream, StreamExt};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long after the start answers may still come in.
const LATE: Duration = Duration::from_secs(20);
/// How long an Alt+P or Alt+_ waits to turn out as the start of an answer: an answer comes whole.
const HELD: Duration = Duration::from_millis(40);
/// No answer is longer.
const LONGEST: usize = 256;

/// The events of the terminal. A change of what is known of it shows as [`Event::Resize`] with
/// the unchanged size: everything is to be drawn anew.
pub struct Events {
    ready: VecDeque<Event>,
    probing: Option<tokio::task::JoinHandle<Probe>>,
    stop: Arc<AtomicBool>,
    stream: Option<EventStream>,
    filter: ReplyFilter,
    late_until: Instant,
    release: Pin<Box<tokio::time::Sleep>>,
    caps: watch::Sender<Caps>,
    known: (Env, Replies, Option<Graphics>),
}

impl Events {
    /// Goes on with `probe`, on a thread of its own, then starts crossterm's reader.
    pub(super) fn new(probe: Probe, done: bool, caps: watch::Sender<Caps>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut events = Self {
            ready: VecDeque::new(),
            probing: None,
            stop: Arc::clone(&stop),
            stream: None,
            filter: ReplyFilter::default(),
            late_until: Instant::now() + LATE,
            release: Box::pin(tokio::time::sleep(Duration::ZERO)),
            caps,
            known: probe.knowledge(),
        };
        if done {
            events.probed(probe);
        } else {
            let mut probe = probe;
            events.probing = Some(tokio::task::spawn_blocking(move || {
                probe.wait(Duration::from_secs(5), &stop);
                probe
            }));
        }
        events
    }

    fn probed(&mut self, probe: Probe) {
        self.known = probe.knowledge();
        let (caps, Found { mut typed, unfinished, complete }) = probe.finish();
        self.learn(caps);
        if is_start_of_answer(&unfinished) {
            self.filter = ReplyFilter::inside(&unfinished);
        } else {
            typed.extend_from_slice(&unfinished);
        }
        if complete {
            self.late_until = Instant::now();
        }
        self.ready.extend(decode(&typed));
        self.stream = Some(EventStream::new());
    }

    fn learn(&mut self, caps: Caps) {
        let changed = self.caps.send_if_modified(|old| {
            let changed = *old != caps;
            *old = caps;
            changed
        });
        if changed && let Ok((columns, rows)) = crossterm::terminal::size() {
            self.ready.push_back(Event::Resize(columns, rows));
        }
    }

    fn filtered(&mut self, event: Event) {
        if self.filter.is_idle() && Instant::now() > self.late_until {
            self.ready.push_back(event);
            return;
        }
        self.ready.extend(self.filter.push(event));
        if let Some(answer) = self.filter.take_answer() {
            let (env, replies, wish) = &mut self.known;
            replies.merge(parse(&answer).replies);
            let caps = Caps::decide_again(env, replies, *wish);
            self.learn(caps);
        }
        self.release.as_mut().reset(tokio::time::Instant::now() + HELD);
    }
}

impl Stream for Events {
    type Item = std::io::Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.ready.pop_front() {
                if matches!(event, Event::Resize(..)) {
                    this.caps.send_if_modified(|caps| match super::probe::window_cell() {
                        // The font may have changed. What the terminal told at the start then is wrong too.
                        Some(cell) if caps.cell_pixels != Some(cell) => {
                            caps.cell_pixels = Some(cell);
                            true
                        }
                        _ => false,
                    });
                }
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(task) = &mut this.probing {
                match futures::ready!(task.poll_unpin(cx)) {
                    Ok(probe) => {
                        this.probing = None;
                        this.probed(probe);
                        // The terminal may have been resized while nobody listened.
                        if let Ok((columns, rows)) = crossterm::terminal::size() {
                            this.ready.push_back(Event::Resize(columns, rows));
                        }
                        continue;
                    }
                    Err(err) => return Poll::Ready(Some(Err(std::io::Error::other(err)))),
                }
            }
            let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
            match stream.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(event))) => this.filtered(event),
                Poll::Ready(other) => return Poll::Ready(other),
                Poll::Pending => {
                    if this.filter.is_idle() || this.release.poll_unpin(cx).is_pending() {
                        return Poll::Pending;
                    }
                    this.ready.extend(this.filter.release());
                }
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

/// Whether the end of these bytes is still to be swallowed. A key cut in two here is rarer than an answer.
fn is_start_of_answer(bytes: &[u8]) -> bool {
    matches!(bytes, [0x1b, b'P' | b'_', ..] | [0x1b, b'[', b'?' | b'0'..=b'9', ..])
}

/// Takes answers of the terminal out of a stream of events: a control string arrives as Alt+P or
/// Alt+_, its text as keys, and Alt+\ at its end.
#[derive(Default)]
pub struct ReplyFilter {
    /// Events that may turn out to be an answer.
    held: Vec<Event>,
    /// The answer as bytes.
    text: Vec<u8>,
    /// Whether it certainly is one.
    certain: bool,
    /// Ends at a final byte instead of at ST.
    csi: bool,
    answer: Option<Vec<u8>>,
}

impl ReplyFilter {
    /// A filter for what follows these first bytes of an answer.
    pub fn inside(start: &[u8]) -> Self {
        Self { text: start.to_vec(), certain: true, csi: start.starts_with(b"\x1b["), ..Self::default() }
    }

    /// Whether nothing is held back.
    pub fn is_idle(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes an event; gives those that were typed.
    pub fn push(&mut self, event: Event) -> Vec<Event> {
        let Event::Key(key) = &event else { return vec![event] };
        if key.kind != KeyEventKind::Press {
            return vec![event];
        }
        let KeyEvent { code, modifiers, .. } = *key;
        let alt = modifiers.contains(KeyModifiers::ALT);
        if self.is_idle() {
            return match code {
                KeyCode::Char(c @ ('P' | '_')) if alt => {
                    self.text = vec![0x1b, c as u8];
                    self.held.push(event);
                    Vec::new()
                }
                _ => vec![event],
            };
        }
        match code {
            KeyCode::Char('\\') if alt => self.text.extend_from_slice(b"\x1b\\"),
            KeyCode::Char(c) if c.is_ascii() && !alt && !modifiers.contains(KeyModifiers::CONTROL) => {
                self.text.push(c as u8);
            }
            _ => {
                let mut out = self.release();
                out.push(event);
                return out;
            }
        }
        self.held.push(event);
        if !self.certain {
            match self.text.get(1..3) {
                Some(b"_G" | b"P>" | b"P0" | b"P1") => self.certain = true,
                Some(_) => return self.release(),
                None => return Vec::new(),
            }
        }
        let ended = if self.csi {
            self.text.last().is_some_and(|b| (0x40..=0x7e).contains(b))
        } else {
            self.text.ends_with(b"\x1b\\")
        };
        if ended {
            self.answer = Some(std::mem::take(&mut self.text));
        }
        if ended || self.text.len() > LONGEST {
            *self = Self { answer: self.answer.take(), ..Self::default() };
        }
        Vec::new()
    }

    /// The answer that was taken out last, as bytes.
    pub fn take_answer(&mut self) -> Option<Vec<u8>> {
        self.answer.take()
    }

    /// Gives back what is held, unless it certainly is an answer: nothing more came in time.
    pub fn release(&mut self) -> Vec<Event> {
        let held = std::mem::take(&mut self.held);
        let certain = self.certain;
        *self = Self { answer: self.answer.take(), ..Self::default() };
        if certain { Vec::new() } else { held }
    }
}

/// Keys from bytes that were read before crossterm was. Knows what is typed in the first moment:
/// characters, control keys, arrows, Alt and Esc. Sequences that it does not know are dropped.
pub(super) fn decode(bytes: &[u8]) -> Vec<Event> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let (key, used) = if first == 0x1b { escape(rest) } else { character(rest) };
        out.extend(key.map(Event::Key));
        rest = &rest[used.clamp(1, rest.len())..];
    }
    out
}

fn character(bytes: &[u8]) -> (Option<KeyEvent>, usize) {
    let control = |c: u8| Some(KeyEvent::new(KeyCode::Char(char::from(c)), KeyModifiers::CONTROL));
    let plain = |code| Some(KeyEvent::new(code, KeyModifiers::NONE));
    let first = bytes[0];
    match first {
        b'\r' => (plain(KeyCode::Enter), 1),
        b'\t' => (plain(KeyCode::Tab), 1),
        0x7f => (plain(KeyCode::Backspace), 1),
        0 => (control(b' '), 1),
        0x01..=0x1a => (control(first - 1 + b'a'), 1),
        0x1c..=0x1f => (control(first - 0x1c + b'4'), 1),
        _ => {
            let length = match first {
                0x00..=0x7f => 1,
                0x80..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            let text = bytes.get(..length).and_then(|b| std::str::from_utf8(b).ok());
            match text.and_then(|t| t.chars().next()) {
                Some(c) => {
                    let shift = if c.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
                    (Some(KeyEvent::new(KeyCode::Char(c), shift)), length)
                }
                None => (None, 1),
            }
        }
    }
}

fn escape(bytes: &[u8]) -> (Option<KeyEvent>, usize) {
    let plain = |code| Some(KeyEvent::new(code, KeyModifiers::NONE));
    match bytes.get(1) {
        None | Some(0x1b) => (plain(KeyCode::Esc), 1),
        Some(b'[' | b'O') => {
            let Some(length) = bytes.iter().skip(2).position(|b| (0x40..=0x7e).contains(b)) else {
                return (None, bytes.len());
            };
            let key = match &bytes[2..length + 3] {
                b"A" => plain(KeyCode::Up),
                b"B" => plain(KeyCode::Down),
                b"C" => plain(KeyCode::Right),
                b"D" => plain(KeyCode::Left),
                b"H" | b"1~" => plain(KeyCode::Home),
                b"F" | b"4~" => plain(KeyCode::End),
                b"5~" => plain(KeyCode::PageUp),
                b"6~" => plain(KeyCode::PageDown),
                b"3~" => plain(KeyCode::Delete),
                b"Z" => Some(KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT)),
                _ => None,
            };
            (key, length + 3)
        }
        Some(_) => {
            let (key, used) = character(&bytes[1..]);
            let key = key.map(|mut key| {
                key.modifiers |= KeyModifiers::ALT;
                key
            });
            (key, used + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As crossterm gives it: see `parse_event` in its `event/sys/unix/parse.rs`.
    fn as_crossterm_gives(bytes: &[u8]) -> Vec<Event> {
        decode(bytes)
    }

    fn through(filter: &mut ReplyFilter, bytes: &[u8]) -> Vec<Event> {
        as_crossterm_gives(bytes).into_iter().flat_map(|e| filter.push(e)).collect()
    }

    #[test]
    fn late_answers_are_swallowed_and_keys_around_them_are_not() {
        let mut filter = ReplyFilter::default();
        let out = through(&mut filter, b"j\x1bP>|kitty(0.26.5)\x1b\\k\x1b_Gi=31;OK\x1b\\\x1bP1$r0;48:2:1:2:3m\x1b\\G");
        assert_eq!(out, decode(b"jkG"));
        assert!(filter.is_idle());
        assert_eq!(filter.take_answer().as_deref(), Some(&b"\x1bP1$r0;48:2:1:2:3m\x1b\\"[..]));
    }

    #[test]
    fn alt_p_that_is_only_a_key_is_given_back() {
        let mut filter = ReplyFilter::default();
        assert!(through(&mut filter, b"\x1bP").is_empty());
        assert_eq!(through(&mut filter, b"x"), decode(b"\x1bPx"));
        assert!(through(&mut filter, b"\x1b_").is_empty());
        assert_eq!(filter.release(), decode(b"\x1b_"));
        assert!(filter.is_idle());
    }

    #[test]
    fn an_answer_cut_by_the_deadline_is_swallowed_to_its_end() {
        let mut filter = ReplyFilter::inside(b"\x1bP>|XTe");
        assert_eq!(through(&mut filter, b"rm(379)\x1b\\q"), decode(b"q"));
        let mut filter = ReplyFilter::inside(b"\x1b[?62;4");
        assert_eq!(through(&mut filter, b";22cq"), decode(b"q"));
    }

    #[test]
    fn an_answer_without_an_end_does_not_swallow_for_ever() {
        let mut filter = ReplyFilter::inside(b"\x1bP>|");
        let out = through(&mut filter, &[b'x'; 400]);
        assert!(out.len() > 100);
    }

    #[test]
    fn keys_typed_while_the_terminal_was_asked_become_events() {
        let expected = [
            KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT),
            KeyEvent::new(KeyCode::Char('d'), KeyModifiers::CONTROL),
            KeyEvent::new(KeyCode::Down, KeyModifiers::NONE),
            KeyEvent::new(KeyCode::Char('x'), KeyModifiers::ALT),
            KeyEvent::new(KeyCode::Char('é'), KeyModifiers::NONE),
            KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE),
            KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE),
        ];
        assert_eq!(decode("G\u{4}\u{1b}[B\u{1b}xé\r\u{1b}".as_bytes()), expected.map(Event::Key));
        assert!(decode(b"\xff\xc3\x1b[99;99x\x1b[").is_empty());
    }
}
