//! How work goes on, without a screen: one line on stderr of a terminal, or NDJSON on stdout; and questions.
//!
//! ```text
//! upload lake.tif → bucket  ███████▌······  52 %  84.0 MiB/s  eta 12 s (9–16 s)  part 16 of 32
//! ```

use super::out;
use crate::error::{Error, Kind, Result};
use crate::job::{JobId, JobView, Jobs, State};
use crate::task::{Question, Waker};
use crate::terminal::{Signal, Signals};
use crate::text;
use crate::widgets::gauge;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead as _;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A bar is drawn at most so often; a little less than how often the engine wakes us.
const REDRAW: Duration = Duration::from_millis(180);
/// A line of JSON about a job comes at most so often.
const TELL: Duration = Duration::from_secs(1);
/// `128 + SIGINT`.
const INTERRUPT: u8 = 130;

/// Shows jobs of this program until all have ended; the first failure is the answer.
///
/// Ctrl-C cancels them, so that they clean up, and a second one leaves them; a hang-up or a wish to end leaves them
/// where they stand, so that `jobs resume` can go on.
pub(super) async fn follow(jobs: &Jobs, ids: &[JobId], waker: &Waker, json: bool) -> Result<()> {
    let mut signals = Signals::new()?;
    let mut shown = Shown::new(json);
    let mut asker = Asker::default();
    let mut ended = Ended { json, ..Ended::default() };
    let mut stopping = false;
    loop {
        let views: Vec<JobView> = ids.iter().filter_map(|id| jobs.view(id)).collect();
        for view in views.iter().filter(|view| !view.state.is_active()) {
            ended.take(view, &mut shown, ids.len() > 1)?;
        }
        if views.iter().all(|view| !view.state.is_active()) {
            shown.clear();
            return ended.result;
        }
        match views.iter().find_map(|view| Some((&view.id, view.question.clone()?))) {
            Some((id, question)) => {
                shown.clear();
                asker.ask(id, question);
            }
            None => {
                asker.withdraw();
                shown.show(&views);
            }
        }
        tokio::select! {
            Signal::Terminate(code) = signals.next() => {
                shown.clear();
                if code == INTERRUPT && !stopping {
                    stopping = true;
                    ids.iter().for_each(|id| jobs.cancel(id));
                    shown.say("cleaning up; once more to leave it as it is");
                } else {
                    jobs.leave().await;
                    return Err(left(jobs, ids));
                }
            }
            () = waker.woken() => {}
            Some((id, name)) = asker.answered() => jobs.answer(&id, name),
        }
    }
}

/// Says what was left and how it goes on.
fn left(jobs: &Jobs, ids: &[JobId]) -> Error {
    let left = ids.iter().filter(|id| jobs.view(id).is_some_and(|view| view.state == State::Interrupted));
    for id in left {
        out::say(&format!("interrupted; `secchi jobs resume {id}` goes on with it"));
    }
    Error::cancelled()
}

/// What has come of those that have ended.
struct Ended {
    json: bool,
    told: BTreeSet<JobId>,
    result: Result<()>,
}

impl Default for Ended {
    fn default() -> Self {
        Self { json: false, told: BTreeSet::new(), result: Ok(()) }
    }
}

impl Ended {
    /// Tells the end of a job, once.
    fn take(&mut self, view: &JobView, shown: &mut Shown, several: bool) -> Result<()> {
        if !self.told.insert(view.id.clone()) {
            return Ok(());
        }
        shown.clear();
        if self.json {
            out::json(&as_json(view, "end"))?;
        }
        let failure = match (&view.state, &view.failure) {
            (State::Done, _) => {
                return if self.json { Ok(()) } else { tell_outcome(view) };
            }
            (State::Cancelled, _) => Error::cancelled(),
            (_, Some(failure)) => failure.again(),
            (State::Failed(why), None) => Error::new(Kind::Failed, why.clone()),
            _ => Error::new(Kind::Failed, "the job did not end"),
        };
        let failure = if several { failure.context(&*view.title) } else { failure };
        match &self.result {
            Ok(()) => self.result = Err(failure),
            // The first is said at the end, by whoever we give it to.
            Err(_) => out::error(&failure, self.json),
        }
        Ok(())
    }
}

fn tell_outcome(view: &JobView) -> Result<()> {
    let outcome = view.outcome.clone().unwrap_or_default();
    for location in &outcome.written {
        out::line(&text::clean(&location.to_string()))?;
    }
    out::say(&text::clean(&outcome.summary));
    Ok(())
}

/// The line on stderr, or the lines of JSON.
struct Shown {
    /// Stderr is a terminal, and JSON was not asked for.
    bar: bool,
    json: bool,
    unicode: bool,
    drawn: Option<Instant>,
    /// When a job was last told of in JSON.
    told: BTreeMap<JobId, Instant>,
    began: Instant,
}

impl Shown {
    fn new(json: bool) -> Self {
        let bar = !json && out::is_progress_shown();
        let unicode = out::is_unicode();
        Self { bar, json, unicode, drawn: None, told: BTreeMap::new(), began: Instant::now() }
    }

    fn show(&mut self, views: &[JobView]) {
        if self.json {
            return self.tell(views);
        }
        if !self.bar || self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        // The one that has been at work for longest, and how many more there are.
        let active: Vec<&JobView> = views.iter().filter(|view| view.state.is_active()).collect();
        let first = active.iter().find(|view| view.state == State::Running).or(active.first());
        if let Some(view) = first {
            let columns = out::columns().saturating_sub(1);
            let more = if active.len() > 1 { format!("  and {} more", active.len() - 1) } else { String::new() };
            let room = columns.saturating_sub(text::width(&more));
            out::progress(&format!("{}{more}", bar(view, room, self.unicode)));
            self.drawn = Some(Instant::now());
        }
    }

    fn tell(&mut self, views: &[JobView]) {
        for view in views.iter().filter(|view| view.state.is_active()) {
            let last = self.told.get(&view.id).unwrap_or(&self.began);
            if last.elapsed() >= TELL {
                self.told.insert(view.id.clone(), Instant::now());
                // Nobody may listen any more; the end will notice.
                let _ = out::json(&as_json(view, "progress"));
            }
        }
    }

    /// Takes the bar away, before something else is written.
    fn clear(&mut self) {
        if self.drawn.take().is_some() {
            out::progress("");
        }
    }

    fn say(&self, words: &str) {
        if self.bar {
            out::say(words);
        }
    }
}

/// Asks on the terminal, and reads the letter that is typed.
#[derive(Default)]
struct Asker {
    open: Option<(JobId, Question)>,
    /// Lines of the terminal, from the thread that reads them; the thread is there from the first question on.
    lines: Option<mpsc::UnboundedReceiver<Option<String>>>,
}

impl Asker {
    /// Puts a question, where it does not stand open already.
    fn ask(&mut self, id: &JobId, question: Question) {
        if self.open.as_ref().is_some_and(|(job, open)| job == id && *open == question) {
            return;
        }
        if self.lines.is_none() {
            let (to, lines) = mpsc::unbounded_channel();
            self.lines = Some(lines);
            // It ends with the program: nothing stops a thread that waits for a terminal.
            std::thread::spawn(move || {
                for line in std::io::stdin().lock().lines() {
                    if to.send(line.ok()).is_err() {
                        return;
                    }
                }
                let _ = to.send(None);
            });
        }
        // What was typed before the question is no answer to it.
        while self.lines.as_mut().is_some_and(|lines| lines.try_recv().is_ok()) {}
        say_question(&question);
        self.open = Some((id.clone(), question));
    }

    fn withdraw(&mut self) {
        self.open = None;
    }

    /// The job and the name of the answer; never while nothing is asked.
    async fn answered(&mut self) -> Option<(JobId, &'static str)> {
        loop {
            let (Some((id, question)), Some(lines)) = (&self.open, &mut self.lines) else {
                return std::future::pending().await;
            };
            // Where nobody can type, the first choice is the safest.
            let typed = lines.recv().await.flatten();
            let letter = typed.as_ref().map(|line| line.trim().to_lowercase());
            let choice = question.choices.iter().find(|choice| {
                letter
                    .as_ref()
                    .is_none_or(|letter| *letter == choice.key.to_lowercase().to_string() || letter == choice.name)
            });
            if let Some(choice) = choice {
                return Some((id.clone(), choice.name));
            }
            say_question(question);
        }
    }
}

fn say_question(question: &Question) {
    out::say(&text::clean(&question.text));
    for choice in &question.choices {
        out::say(&format!("  {}  {}", choice.key, text::clean(&choice.words)));
    }
    let keys: Vec<String> = question.choices.iter().map(|choice| choice.key.to_string()).collect();
    out::prompt(&format!("[{}] ", keys.join("/")));
}

/// How far a job is, in one line of at most so many columns: what matters least goes first.
fn bar(view: &JobView, columns: usize, unicode: bool) -> String {
    let done = match view.total {
        0 if view.done > 0 => text::count(view.done),
        0 => String::new(),
        total => format!("{:3} %", (view.done as f64 / total as f64 * 100.0).min(100.0) as u64),
    };
    let state = match view.state {
        State::Queued => "waits for its turn".to_owned(),
        State::Paused => "paused".to_owned(),
        _ => text::rate(view.throughput.recent(5.0)),
    };
    let eta = view.eta.map(|eta| format!("eta {}", text::duration(eta)));
    let dash = if unicode { "–" } else { "-" };
    let range = view.eta_range.filter(|(low, high)| high.as_secs() > low.as_secs());
    let range = range.map(|(low, high)| format!("({}{dash}{})", text::duration(low), text::duration(high)));
    let gauge = (view.total > 0).then(|| {
        let (full, rest) = gauge::bar(Some(view.done as f64 / view.total as f64), 16, unicode);
        full + &rest
    });
    let title = text::fit_middle(&text::clean(&view.title), (columns / 3).max(12)).into_owned();
    let step = Some(text::clean(&view.step).into_owned());
    // In the order of the line, each with how much it matters.
    let parts = [(Some(title), 0), (gauge, 3), (Some(done), 0), (Some(state), 1), (eta, 2), (range, 4), (step, 5)];
    let mut parts: Vec<(String, u8)> =
        parts.into_iter().filter_map(|(part, rank)| Some((part.filter(|part| !part.is_empty())?, rank))).collect();
    let width = |parts: &[(String, u8)]| parts.iter().map(|(part, _)| text::width(part) + 2).sum::<usize>();
    while width(&parts) > columns + 2
        && let Some(least) = parts.iter().map(|(_, rank)| *rank).max().filter(|rank| *rank > 0)
    {
        parts.retain(|(_, rank)| *rank != least);
    }
    let words: Vec<String> = parts.into_iter().map(|(part, _)| part).collect();
    text::fit(&words.join("  "), columns).into_owned()
}

/// A job as an object: `event` is `progress`, `end`, or `job` in a list.
pub(super) fn as_json(view: &JobView, event: &str) -> Value {
    let mut object = json!({
        "event": event,
        "job": view.id,
        "kind": view.kind,
        "title": view.title,
        "state": match view.state {
            State::Failed(_) => "failed",
            State::Interrupted => "interrupted",
            ref other => word(other),
        },
        "done": view.done,
        "total": view.total,
        "requests": view.counts.requests,
        "errors": view.counts.errors,
        "retries": view.counts.retries,
        "bytes_in": view.counts.bytes_in,
        "bytes_out": view.counts.bytes_out,
        "ms": view.elapsed.as_millis() as u64,
    });
    if view.state.is_active() {
        object["step"] = json!(view.step);
        object["in_flight"] = json!(view.in_flight);
        object["rate"] = json!(view.throughput.recent(5.0) as u64);
        object["eta"] = json!(view.eta.map(|eta| eta.as_secs_f64().round()));
        let range = view.eta_range.map(|(low, high)| [low, high].map(|eta| eta.as_secs_f64().round()));
        object["eta_range"] = json!(range);
    }
    if let State::Failed(why) = &view.state {
        object["error"] = json!(why);
    }
    if let Some(outcome) = &view.outcome {
        object["summary"] = json!(outcome.summary);
        object["written"] = json!(outcome.written);
        object["data"] = outcome.data.clone();
    }
    object
}

/// A state as the table of jobs has it.
pub(super) fn word(state: &State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Running => "running",
        State::Paused => "paused",
        State::Done => "done",
        State::Failed(_) => "failed",
        State::Cancelled => "cancelled",
        State::Interrupted => "can be resumed",
    }
}
