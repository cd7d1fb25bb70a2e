//! Drives the real event loop: keys go in, frames come out. Nothing here waits for time to pass:
//! every wait ends with the frame that shows what it waits for, or fails at its deadline.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub use super::cx::text;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use futures::Stream;
use futures::future::BoxFuture;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::{Frame, Terminal};
use secchi::app::{App, Canvas, Exit, Input};
use secchi::screen::{Cx, Open};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::watch;

/// Long enough for an unoptimised build on a busy computer; nothing waits so long when all is well.
pub const SOON: Duration = Duration::from_mins(1);

/// What is typed and not yet read. Like crossterm's stream it keeps the waker of the first poll
/// that found nothing until it has woken it: a loop that polls with any other waker hears no key.
#[derive(Default)]
struct Typed {
    waiting: VecDeque<Input>,
    waker: Option<Waker>,
    read: usize,
    sent: usize,
}

struct Keys(Arc<Mutex<Typed>>);

impl Stream for Keys {
    type Item = io::Result<Input>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut typed = self.0.lock().expect("keys");
        if let Some(input) = typed.waiting.pop_front() {
            typed.read += 1;
            return Poll::Ready(Some(Ok(input)));
        }
        typed.waker.get_or_insert_with(|| cx.waker().clone());
        Poll::Pending
    }
}

/// A frame as it was drawn.
#[derive(Clone)]
pub struct Shot {
    pub buffer: Arc<Buffer>,
    /// How many inputs had been read when it was drawn.
    read: usize,
    /// How many frames there were, this one included.
    pub frames: usize,
}

struct Shown {
    terminal: Terminal<TestBackend>,
    shots: watch::Sender<Shot>,
    typed: Arc<Mutex<Typed>>,
    copied: Arc<Mutex<Vec<String>>>,
    /// What every frame is looked at for.
    check: fn(&Buffer),
}

impl Canvas for Shown {
    fn draw(&mut self, render: &mut dyn FnMut(&mut Frame)) -> io::Result<()> {
        let Ok(frame) = self.terminal.draw(|frame| render(frame));
        (self.check)(frame.buffer);
        let buffer = Arc::new(frame.buffer.clone());
        let read = self.typed.lock().expect("keys").read;
        self.shots.send_modify(|shot| *shot = Shot { buffer, read, frames: shot.frames + 1 });
        Ok(())
    }

    fn suspend(&mut self) -> BoxFuture<'_, secchi::error::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        self.copied.lock().expect("copied").push(text.to_owned());
        Ok(())
    }
}

/// The running program. Inside a `LocalSet` only.
pub struct Drive {
    typed: Arc<Mutex<Typed>>,
    shots: watch::Receiver<Shot>,
    copied: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<(App, secchi::error::Result<Exit>)>,
}

impl Drive {
    /// Starts the loop on a terminal of `size` that shows `open` first.
    pub fn start(open: Open, cx: Cx, size: (u16, u16)) -> Self {
        let typed = Arc::new(Mutex::new(Typed::default()));
        let copied = Arc::new(Mutex::new(Vec::new()));
        let empty = Arc::new(Buffer::empty(ratatui::layout::Rect::new(0, 0, size.0, size.1)));
        let (sender, shots) = watch::channel(Shot { buffer: empty, read: 0, frames: 0 });
        let mut canvas = Shown {
            terminal: Terminal::new(TestBackend::new(size.0, size.1)).expect("a test terminal"),
            shots: sender,
            typed: typed.clone(),
            copied: copied.clone(),
            check: no_control_characters,
        };
        let keys = Keys(typed.clone());
        let task = tokio::task::spawn_local(async move {
            let mut app = App::new(open, cx);
            let exit = app.run(&mut canvas, keys).await;
            (app, exit)
        });
        Self { typed, shots, copied, task }
    }

    /// Sends one input, without waiting for anything.
    pub fn send(&self, input: Input) {
        let mut typed = self.typed.lock().expect("keys");
        typed.waiting.push_back(input);
        typed.sent += 1;
        if let Some(waker) = typed.waker.take() {
            waker.wake();
        }
    }

    /// Queues keys as `keymap.toml` writes them, `jj<Enter>`, without waiting.
    pub fn queue(&self, keys: &str) {
        for key in parse(keys) {
            self.send(Input::Terminal(Event::Key(key)));
        }
    }

    /// Types keys and waits for the frame that is drawn after the last of them.
    pub async fn keys(&mut self, keys: &str) {
        self.queue(keys);
        self.answered().await;
    }

    /// Types each character as it is, `<` too.
    pub async fn text(&mut self, text: &str) {
        for c in text.chars() {
            self.send(Input::Terminal(Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE))));
        }
        self.answered().await;
    }

    /// Waits until nothing is drawn for `calm`, or until the program has ended; not for ever.
    pub async fn quiet(&mut self, calm: Duration) {
        for _ in 0..20 {
            if !matches!(tokio::time::timeout(calm, self.shots.changed()).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// Types keys, whatever they do. Whether the program still runs after them.
    pub async fn press(&mut self, keys: &str) -> bool {
        self.queue(keys);
        let sent = self.typed.lock().expect("keys").sent;
        let found = tokio::time::timeout(SOON, self.shots.wait_for(|shot| shot.read >= sent)).await;
        let found = found.map(|shot| shot.is_ok());
        if let Ok(true) = found {
            return true;
        }
        assert!(found.is_ok(), "the deadline has passed without an answer to {keys}:\n{}", self.screen());
        let screen = self.screen();
        let ended = (&mut self.task).await;
        let (_, exit) = ended.unwrap_or_else(|err| panic!("the loop failed after {keys}: {err}\n{screen}"));
        exit.unwrap_or_else(|err| panic!("the loop failed after {keys}: {err}\n{screen}"));
        false
    }

    /// Waits for the frame that follows all that was sent.
    pub async fn answered(&mut self) {
        let sent = self.typed.lock().expect("keys").sent;
        self.shot("an answer to the last key", |shot| shot.read >= sent).await;
    }

    /// Waits until the screen's text satisfies `until`.
    pub async fn settle(&mut self, what: &str, until: impl Fn(&str) -> bool) -> String {
        let shot = self.shot(what, |shot| until(&text(&shot.buffer))).await;
        text(&shot.buffer)
    }

    /// Waits until `words` are on the screen.
    pub async fn see(&mut self, words: &str) -> String {
        self.settle(&format!("“{words}”"), |screen| screen.contains(words)).await
    }

    /// Waits until `words` are not on the screen any more.
    pub async fn gone(&mut self, words: &str) -> String {
        self.settle(&format!("no “{words}”"), |screen| !screen.contains(words)).await
    }

    async fn shot(&mut self, what: &str, until: impl Fn(&Shot) -> bool) -> Shot {
        let found = tokio::time::timeout(SOON, self.shots.wait_for(|shot| until(shot))).await;
        match found.map(|shot| shot.map(|shot| shot.clone())) {
            Ok(Ok(shot)) => return shot,
            // The loop has ended: perhaps by a panic, which tells more.
            Ok(Err(_)) => {}
            Err(late) => panic!("{late}: the deadline has passed without {what}:\n{}", self.screen()),
        }
        let screen = self.screen();
        match (&mut self.task).await {
            Ok((_, exit)) => panic!("the loop ended ({exit:?}) without {what}:\n{screen}"),
            Err(err) => panic!("the loop failed without {what}: {err}\n{screen}"),
        }
    }

    /// The characters on the screen now.
    pub fn screen(&self) -> String {
        text(&self.shots.borrow().buffer)
    }

    /// The cells on the screen now.
    pub fn buffer(&self) -> Arc<Buffer> {
        self.shots.borrow().buffer.clone()
    }

    /// Waits until so many frames were drawn.
    pub async fn frame(&mut self, n: usize) {
        self.shot("more frames", |shot| shot.frames >= n).await;
    }

    /// How many frames were drawn.
    pub fn frames(&self) -> usize {
        self.shots.borrow().frames
    }

    /// The colours on the screen now, see [`styles`].
    pub fn styles(&self) -> String {
        styles(&self.shots.borrow().buffer)
    }

    /// What was put on the clipboard.
    pub fn copied(&self) -> Vec<String> {
        self.copied.lock().expect("copied").clone()
    }

    /// Whether the loop has ended.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the end of the loop.
    pub async fn end(self) -> (App, Exit) {
        let (app, exit) = tokio::time::timeout(SOON, self.task).await.expect("the loop ends").expect("without a panic");
        (app, exit.expect("without an error"))
    }
}

/// No frame holds a control character or one that turns the direction of what follows.
fn no_control_characters(buffer: &Buffer) {
    for cell in buffer.content() {
        let bad = |c: char| {
            c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!cell.symbol().chars().any(bad), "{:?} on the screen:\n{}", cell.symbol(), text(buffer));
    }
}

const NAMES: [(&str, KeyCode); 16] = [
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Space", KeyCode::Char(' ')),
    ("Tab", KeyCode::Tab),
    ("S-Tab", KeyCode::BackTab),
    ("Backspace", KeyCode::Backspace),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PageUp", KeyCode::PageUp),
    ("PageDown", KeyCode::PageDown),
    ("F1", KeyCode::F(1)),
    ("F5", KeyCode::F(5)),
];

/// `jj<C-d><Enter>` as the terminal sends it.
fn parse(keys: &str) -> Vec<KeyEvent> {
    let mut out = Vec::new();
    let mut rest = keys;
    while let Some(c) = rest.chars().next() {
        let bracket = rest.strip_prefix('<').and_then(|r| r.split_once('>')).filter(|(name, _)| !name.is_empty());
        let Some((name, after)) = bracket else {
            out.push(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = after;
        if let Some((_, code)) = NAMES.iter().find(|(n, _)| *n == name) {
            out.push(KeyEvent::new(*code, KeyModifiers::NONE));
        } else if let Some(c) = name.strip_prefix("C-").and_then(|c| c.chars().next()) {
            out.push(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
        } else {
            panic!("<{name}> is not a key");
        }
    }
    out
}

/// The colours of a buffer, line by line: `80 fg/bg` for each run of equal cells, modifiers behind.
pub fn styles(buffer: &Buffer) -> String {
    let area = buffer.area;
    let text = text(buffer);
    let lines: Vec<&str> = text.split('\n').collect();
    let mut out = String::new();
    for y in 0..area.height {
        let mut runs: Vec<(String, usize)> = Vec::new();
        for x in 0..area.width {
            let cell = &buffer[(x, y)];
            let mut style = format!("{}/{}", cell.fg, cell.bg);
            if !cell.modifier.is_empty() {
                let _ = write!(style, "+{:?}", cell.modifier);
            }
            match runs.last_mut() {
                Some((last, n)) if *last == style => *n += 1,
                _ => runs.push((style, 1)),
            }
        }
        // What was measured is wider or narrower from run to run.
        let measured = runs.len() > 1 && ["request", "rtt "].iter().any(|word| lines[usize::from(y)].contains(word));
        let run = |(style, n): &(String, usize)| if measured { style.clone() } else { format!("{n} {style}") };
        let runs: Vec<String> = runs.iter().map(run).collect();
        let _ = writeln!(out, "{y:>2}  {}", runs.join("  "));
    }
    out
}

/// Makes what differs from run to run the same, without moving what stands behind it.
///
/// Durations (`12 ms`, `1.2 s`), dates and times, ports of this computer.
pub fn steady(screen: &str) -> String {
    screen.lines().map(steady_line).collect::<Vec<_>>().join("\n")
}

fn steady_line(line: &str) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    mask_dates(&mut chars);
    mask_ports(&mut chars);
    let mut line: String = chars.into_iter().collect();
    for mark in ["rtt ", "· "] {
        line = mask_duration(&line, mark);
    }
    line.trim_end().to_owned()
}

/// `2024-06-03 09:40` becomes `YYYY-MM-DD hh:mm` where the year is not one of the samples'.
fn mask_dates(chars: &mut [char]) {
    const SHAPE: &str = "dddd-dd-dd dd:dd";
    let shape: Vec<char> = SHAPE.chars().collect();
    for at in 0..chars.len().saturating_sub(shape.len() - 1) {
        let fits = shape.iter().zip(&chars[at..]).all(|(s, c)| if *s == 'd' { c.is_ascii_digit() } else { s == c });
        if fits {
            for (to, from) in chars[at..].iter_mut().zip("YYYY-MM-DD hh:mm".chars()) {
                *to = from;
            }
        }
    }
}

/// `127.0.0.1:40123`, also where its middle was cut out.
fn mask_ports(chars: &mut [char]) {
    const SHAPE: [char; 8] = ['.', '1', ':', 'd', 'd', 'd', 'd', 'd'];
    for at in 0..chars.len().saturating_sub(SHAPE.len() - 1) {
        if SHAPE.iter().zip(&chars[at..]).all(|(s, c)| if *s == 'd' { c.is_ascii_digit() } else { s == c }) {
            chars[at + 3..at + SHAPE.len()].fill('#');
        }
    }
}

/// What stands behind `mark` and is a duration; the longest gap before it makes up for its width.
fn mask_duration(line: &str, mark: &str) -> String {
    let Some((before, rest)) = line.split_once(mark) else { return line.to_owned() };
    let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let unit: String = rest[number.len()..].trim_start().chars().take_while(|c| c.is_alphabetic()).collect();
    if number.is_empty() || !["ms", "s", "µs"].contains(&unit.as_str()) {
        let rest = mask_duration(rest, mark);
        return format!("{before}{mark}{rest}");
    }
    let after = &rest[number.len()..].trim_start()[unit.len()..];
    let (old, new) = (number.chars().count() + unit.chars().count(), "###".len() + "ms".len());
    let mut before = before.to_owned();
    if let (Some((gap, _)), true) = (before.rmatch_indices("   ").next(), mark == "rtt ") {
        if old > new {
            before.insert_str(gap, &" ".repeat(old - new));
        } else if before[gap..].len() > new - old {
            before.replace_range(gap..gap + (new - old).min(2), "");
        }
    }
    format!("{before}{mark}### ms{after}")
}
