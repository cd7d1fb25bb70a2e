//! The loop and the stack of screens: one task owns the terminal and all state.
//!
//! It waits for terminal events, for a wake from background work, and for a tick that exists only
//! while something moves. Nothing changed, nothing drawn, no byte written.
//!
//! ```text
//!  1 demo ▸ lake   2 places                                      (tabs, when there are several)
//!  ┌──────────────────────────────────────────────────────────┐
//!  │ the screen on top of the stack; popups over the one below │
//!  └──────────────────────────────────────────────────────────┘
//!  ↑ jobs that run, with their rate                       ? help  : command
//!    (or, for some seconds, what just happened)
//! ```

use crate::action::Action;
use crate::error::{Context as _, Error, Result};
use crate::job::JobId;
use crate::keymap::Key;
use crate::location::{Location, Scheme};
use crate::screen::{Cx, Flow, Open, Screen};
use crate::screens;
use crate::store::redacted;
use crate::task::Waker;
use crate::terminal::{Caps, Colours, Gallery, Session, Signal};
use crate::theme::Theme;
use crossterm::event::Event;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use ratatui::Frame;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

mod draw;
mod keys;
mod watch;

/// Frames that background work asks for come at most so often; a key is answered at once.
const FRAME_FLOOR: Duration = Duration::from_millis(25);
/// And soon after a key, because it may have set that work going.
const SOON: Duration = Duration::from_millis(10);
const AFTER_KEY: Duration = Duration::from_millis(100);
/// While something moves.
const TICK: Duration = Duration::from_millis(200);
/// How long a message stays, and an error.
const TOAST: Duration = Duration::from_secs(4);
const TOAST_BAD: Duration = Duration::from_secs(12);

/// Command lines that are remembered.
const COMMANDS: usize = 10;

/// What the loop draws on.
pub trait Canvas {
    /// Draws a frame; an unchanged one costs nothing.
    fn draw(&mut self, render: &mut dyn FnMut(&mut Frame)) -> io::Result<()>;
    /// Gives the terminal back to the shell, waits to be continued, takes it again.
    fn suspend(&mut self) -> BoxFuture<'_, Result<()>>;
    /// Puts text on the clipboard, where the terminal can.
    fn copy(&mut self, text: &str) -> io::Result<()>;
    /// Has the mouse reported, or leaves it to the terminal.
    fn set_mouse(&mut self, _on: bool) -> io::Result<()> {
        Ok(())
    }
    /// Takes in what has become known of the terminal since the last frame.
    fn adapt(&mut self, _cx: &mut Cx) {}
}

/// The user's terminal.
pub struct TerminalCanvas {
    session: Session,
    screen: crate::terminal::Screen,
    /// What it was taken for.
    known: Caps,
    /// Whether the theme is ours to choose.
    chooses_theme: bool,
}

/// The theme for so many colours, where the user names none.
pub fn theme_for(colours: Colours) -> Result<Theme> {
    Theme::named(match colours {
        Colours::None => "mono",
        Colours::Ansi16 => "ansi",
        Colours::Indexed256 | Colours::TrueColour => "deep",
    })
}

impl TerminalCanvas {
    /// On an entered session. `chooses_theme` where the user has named none.
    pub fn new(session: Session, waker: Waker, chooses_theme: bool) -> Result<Self> {
        let (screen, known) = (session.screen(waker)?, session.caps());
        Ok(Self { session, screen, known, chooses_theme })
    }

    /// Where pictures are put.
    pub fn gallery(&self) -> Gallery {
        self.screen.gallery()
    }

    /// Keys and signals, as the loop wants them.
    pub fn input(&mut self) -> Result<BoxStream<'static, io::Result<Input>>> {
        let events = self.session.events()?.map(|event| event.map(Input::Terminal));
        let signals = futures::stream::unfold(self.session.signals()?, |mut signals| async move {
            let Signal::Terminate(code) = signals.next().await;
            Some((Ok(Input::Terminate(code)), signals))
        });
        // The signals never end; the end of the events must be seen all the same.
        let events = events.map(Some).chain(futures::stream::once(async { None }));
        let all = futures::stream::select(events, signals.map(Some));
        Ok(all.take_while(|input| std::future::ready(input.is_some())).filter_map(std::future::ready).boxed())
    }
}

impl Canvas for TerminalCanvas {
    fn draw(&mut self, render: &mut dyn FnMut(&mut Frame)) -> io::Result<()> {
        self.screen.draw(render).map(|_| ())
    }

    fn suspend(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.session.suspend().await?;
            self.screen.invalidate().map_err(Error::from)
        })
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        self.session.caps().clipboard.copy(text).map_or(Ok(()), |bytes| self.screen.send(&bytes))
    }

    fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.session.set_mouse(on)
    }

    fn adapt(&mut self, cx: &mut Cx) {
        // Over a slow line the terminal answers after the first frame.
        let caps = self.session.caps();
        if caps == self.known {
            return;
        }
        (cx.unicode, cx.clipboard_works) = (caps.unicode, caps.clipboard.is_sure());
        if self.chooses_theme
            && caps.colours != self.known.colours
            && let Ok(theme) = theme_for(caps.colours)
        {
            cx.theme = Arc::new(theme);
        }
        self.known = caps;
        // Pictures may now be worth more pixels.
        cx.waker.wake();
    }
}

/// What drives the loop.
#[derive(Debug)]
pub enum Input {
    /// A key, a paste, a resize.
    Terminal(Event),
    /// A signal asks for the end, with this exit code.
    Terminate(u8),
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The user left.
    Quit,
    /// A signal, or the end of the input, with this exit code.
    Ended(u8),
}

/// The stack of screens of every tab.
pub struct App {
    tabs: Vec<Vec<Box<dyn Screen>>>,
    current: usize,
    typed: Vec<Key>,
    /// The number typed before a key.
    count: Option<usize>,
    exit: Option<Exit>,
    suspend: bool,
    /// Jobs that were active at the last look.
    active: BTreeSet<JobId>,
    /// Command lines that do what was done last, newest first.
    commands: VecDeque<Vec<String>>,
    /// The container that the screen on top showed at the last look.
    here: Option<Location>,
    /// Samples that the demo had at the last look, and whether that is all of them.
    samples: (u64, bool),
    /// Jobs of earlier sessions that can be resumed, until they were looked at; `None`: not known yet.
    interrupted: Option<usize>,
    /// Shared things.
    pub cx: Cx,
}

impl App {
    /// With one tab that shows `first`.
    pub fn new(first: Open, mut cx: Cx) -> Self {
        note_opened(&first, &mut cx);
        let screen = screens::open(first, &mut cx);
        Self {
            tabs: vec![vec![screen]],
            current: 0,
            typed: Vec::new(),
            count: None,
            exit: None,
            suspend: false,
            active: BTreeSet::new(),
            commands: VecDeque::new(),
            here: None,
            samples: (0, false),
            interrupted: None,
            cx,
        }
    }

    /// Runs until the user leaves or the input ends.
    pub async fn run(&mut self, canvas: &mut dyn Canvas, input: impl Stream<Item = io::Result<Input>>) -> Result<Exit> {
        let mut input = std::pin::pin!(input);
        let waker = self.cx.waker.clone();
        let mut drawn = Instant::now();
        let (mut background, mut answered) = (drawn, drawn);
        let mut mouse = self.cx.mouse;
        self.draw(canvas)?;
        let mut dirty = false;
        while self.exit.is_none() {
            let timer = self.next_timer(dirty, drawn, background, answered);
            tokio::select! {
                biased;
                next = input.next() => {
                    self.take_input(next);
                    // All that is queued becomes one frame. Polled with this task's own waker: the
                    // stream keeps the first one it is given.
                    while self.exit.is_none() && let Poll::Ready(next) = futures::poll!(input.next()) {
                        self.take_input(next);
                    }
                    if self.suspend {
                        self.suspend = false;
                        canvas.suspend().await?;
                    }
                    self.poll();
                    self.draw(canvas)?;
                    (dirty, drawn) = (false, Instant::now());
                    answered = drawn;
                }
                () = waker.woken() => {
                    self.poll();
                    dirty = true;
                }
                () = tokio::time::sleep(timer.unwrap_or(Duration::MAX)), if timer.is_some() => {
                    self.poll();
                    self.draw(canvas)?;
                    (dirty, drawn) = (false, Instant::now());
                    background = drawn;
                }
            }
            if let Some(text) = self.cx.clipboard.take() {
                canvas.copy(&text).map_err(Error::from)?;
            }
            if mouse != self.cx.mouse {
                mouse = self.cx.mouse;
                canvas.set_mouse(mouse).map_err(Error::from)?;
            }
        }
        Ok(self.exit.unwrap_or(Exit::Quit))
    }

    /// Time until the next frame that no event asks for; `None`: sleep until something happens. The last
    /// frame was `drawn` then, the last for `background` work, and the last that `answered` a key.
    fn next_timer(&self, dirty: bool, drawn: Instant, background: Instant, answered: Instant) -> Option<Duration> {
        let since = drawn.elapsed();
        if dirty {
            let floor = if answered.elapsed() < AFTER_KEY { SOON } else { FRAME_FLOOR };
            return Some(floor.saturating_sub(background.elapsed()));
        }
        let moving = self.top().is_moving(&self.cx) || self.cx.jobs.active() > 0 || self.cx.sizes.under_way() > 0;
        let tick = moving.then(|| TICK.saturating_sub(since));
        let toast = self.cx.toasts.iter().map(|t| toast_time(t.bad).saturating_sub(t.since.elapsed())).min();
        tick.into_iter().chain(toast).min()
    }

    fn top(&self) -> &dyn Screen {
        // A tab is never empty: `close` replaces the last screen or ends the loop.
        self.tabs[self.current][self.tabs[self.current].len() - 1].as_ref()
    }

    fn with_top<T>(&mut self, f: impl FnOnce(&mut dyn Screen, &mut Cx) -> T) -> T {
        let stack = &mut self.tabs[self.current];
        let last = stack.len() - 1;
        f(stack[last].as_mut(), &mut self.cx)
    }

    fn act(&mut self, action: Action) {
        let flow = self.with_top(|screen, cx| screen.update(action, cx));
        self.flow(flow, Some(action));
    }

    fn flow(&mut self, flow: Flow, action: Option<Action>) {
        match flow {
            Flow::Done => {}
            Flow::Ignored => {
                if let Some(action) = action {
                    self.global(action);
                }
            }
            Flow::Open(open) => self.open(open),
            Flow::Replace(open) => {
                self.note_looked(&open);
                note_opened(&open, &mut self.cx);
                let screen = screens::open(open, &mut self.cx);
                let stack = &mut self.tabs[self.current];
                stack.pop();
                stack.push(screen);
            }
            Flow::Close => self.close(),
            Flow::Quit => self.quit(),
        }
    }

    /// What was interrupted needs not be named any more once it was seen in the list of jobs.
    fn note_looked(&mut self, open: &Open) {
        if matches!(open, Open::Jobs(_)) {
            self.interrupted = self.interrupted.map(|_| 0);
        }
    }

    fn open(&mut self, mut open: Open) {
        if let Open::CopyForm { other, .. } | Open::SyncForm { other, .. } = &mut open {
            *other = self.other_place();
        }
        self.note_looked(&open);
        note_opened(&open, &mut self.cx);
        let screen = screens::open(open, &mut self.cx);
        self.tabs[self.current].push(screen);
    }

    /// The container that the next tab shows, of those that show one.
    fn other_place(&self) -> Option<Location> {
        let others = (1..self.tabs.len()).map(|n| &self.tabs[(self.current + n) % self.tabs.len()]);
        others.flat_map(|stack| stack.iter().rev()).find_map(|screen| screen.here())
    }

    fn close(&mut self) {
        let stack = &mut self.tabs[self.current];
        if stack.len() > 1 {
            let choice = stack.pop().and_then(|mut closed| closed.take_choice());
            if let Some(action) = choice {
                self.act(action);
            }
        } else if self.tabs.len() > 1 {
            self.tabs.remove(self.current);
            self.current = self.current.min(self.tabs.len() - 1);
        } else {
            self.quit();
        }
    }

    fn quit(&mut self) {
        if self.cx.confirmed_quit || self.cx.jobs.active() == 0 {
            self.exit = Some(Exit::Quit);
        } else {
            self.open(Open::ConfirmQuit);
        }
    }

    /// What an action means where the screen on top has no meaning of its own for it.
    fn global(&mut self, action: Action) {
        let contexts = self.top().contexts();
        match action {
            Action::Close => self.close(),
            Action::Quit => self.quit(),
            Action::Back if self.top().is_popup() => self.close(),
            Action::Help => self.open(Open::Help(contexts)),
            Action::Palette => self.open(Open::Palette(contexts)),
            Action::Jobs => self.open(Open::Jobs(None)),
            Action::Answer if self.cx.jobs.active_views().iter().all(|view| view.question.is_none()) => {
                self.cx.toast("no job asks anything");
            }
            Action::Answer => self.open(Open::Question { job: None, by_itself: false }),
            Action::Places => self.open(Open::Places),
            Action::GoTo => self.open(Open::GoTo),
            Action::Benchmark => self.open(Open::BenchForm { candidates: Vec::new() }),
            Action::Command => {
                self.note_command();
                self.open(Open::Commands(self.commands.iter().cloned().collect()));
            }
            Action::Themes => self.open(Open::Themes),
            Action::Rebind => self.open(Open::Keys(contexts)),
            Action::Log => self.open(Open::Log),
            Action::Mouse => {
                self.cx.mouse = !self.cx.mouse;
                self.cx.toast(if self.cx.mouse {
                    "the mouse is used here: hold Shift to select text with it"
                } else {
                    "the mouse is left to the terminal"
                });
            }
            Action::TabNew | Action::TabOpen => {
                // A popup stands over the place that is meant.
                let at = match action {
                    Action::TabOpen => self.top().under(),
                    _ => self.tabs[self.current].iter().rev().find_map(|screen| screen.here()),
                };
                let open = match (at, action) {
                    (Some(at), _) => Open::Browse(at),
                    (None, Action::TabOpen) => return self.cx.toast("only a container can be opened in a tab"),
                    (None, _) => Open::Places,
                };
                let screen = screens::open(open, &mut self.cx);
                self.tabs.insert(self.current + 1, vec![screen]);
                self.current += 1;
            }
            Action::TabNext => self.current = (self.current + 1) % self.tabs.len(),
            Action::TabPrev => self.current = (self.current + self.tabs.len() - 1) % self.tabs.len(),
            other => {
                if let Some(n) = tab_number(other) {
                    self.current = (n - 1).min(self.tabs.len() - 1);
                }
            }
        }
    }

    fn poll(&mut self) {
        self.watch_jobs();
        self.offer_interrupted();
        self.watch_sizes();
        self.watch_demo();
        self.cx.toasts.retain(|t| t.since.elapsed() < toast_time(t.bad));
        // Screens below the top and in other tabs pull too: their listings go on.
        for stack in &mut self.tabs {
            for screen in stack {
                screen.poll(&mut self.cx);
            }
        }
        let open = self.with_top(|screen, _| screen.take_open());
        match (open, self.top().is_over()) {
            (Some(open), true) => self.flow(Flow::Replace(open), None),
            (Some(open), false) => self.open(open),
            (None, true) => self.close(),
            (None, false) => {}
        }
        self.note_command();
    }

    /// Remembers the command line of what was done last: what screens have told, and where one has come.
    fn note_command(&mut self) {
        let here = self.top().here();
        if here.is_some() && here != self.here {
            self.here = here;
            if let Some(location) = &self.here {
                self.cx.last_command = Some(vec!["ls".to_owned(), without_signature(location)]);
            }
        }
        let Some(last) = &self.cx.last_command else { return };
        if self.commands.front() != Some(last) {
            self.commands.retain(|known| known != last);
            self.commands.push_front(last.clone());
            self.commands.truncate(COMMANDS);
        }
    }

    fn draw(&mut self, canvas: &mut dyn Canvas) -> Result<()> {
        canvas.adapt(&mut self.cx);
        canvas.draw(&mut |frame| self.render(frame)).context(|| "drawing on the terminal".into())
    }
}

/// The number of the tab that an action goes to, counted from 1.
fn tab_number(action: Action) -> Option<usize> {
    action.name().strip_prefix("tab-").and_then(|n| n.parse().ok())
}

/// The address for a command line: a signature in the query of a web address is not repeated.
fn without_signature(location: &Location) -> String {
    match location.scheme() {
        Scheme::Http | Scheme::Https => redacted(&location.to_string()),
        _ => location.to_string(),
    }
}

/// What looking at a thing is on the command line.
fn note_opened(open: &Open, cx: &mut Cx) {
    if let Open::Preview(probe) | Open::Table { probe } | Open::Raster(probe) = open {
        cx.last_command = Some(vec!["preview".to_owned(), without_signature(&probe.location)]);
    }
}

fn toast_time(bad: bool) -> Duration {
    if bad { TOAST_BAD } else { TOAST }
}
