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
        if let Some((id, question)) = views.iter().find_map(|view| Some((&view.id, view.question.clone()?))) {
            shown.clear();
            asker.ask(id, question);
        } else {
            asker.withdraw();
            shown.show(&views);
        }
        tokio::select! {
            Signal::Terminate(code) = signals.next() => {
                shown.clear();
                if code == INTERRUPT && !stopping {
                    stopping = true;
                    for id in ids {
                        jobs.cancel(id);
                    }
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
        if let Some(problem) = &view.journal {
            out::say(&text::clean(problem));
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
            let typed = lines.recv().await.flatten();
            if let Some(name) = chosen(question, typed.as_deref()) {
                return Some((id.clone(), name));
            }
            say_question(question);
        }
    }
}

/// What was typed as one of the choices: its letter, small or large as it stands there, or its name. `None` typed:
/// nobody can type any more, and the first choice is the safest.
fn chosen(question: &Question, typed: Option<&str>) -> Option<&'static str> {
    let Some(typed) = typed.map(str::trim) else { return question.choices.first().map(|choice| choice.name) };
    let mut letters = typed.chars();
    let letter = letters.next().filter(|_| letters.next().is_none());
    question.choices.iter().find(|choice| Some(choice.key) == letter || choice.name == typed).map(|choice| choice.name)
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
        _ => Some(view.throughput.recent(5.0)).filter(|rate| *rate >= 1.0).map(text::rate).unwrap_or_default(),
    };
    let eta = view.eta.map(|eta| format!("eta {}", text::duration(eta)));
    let dash = if unicode { "–" } else { "-" };
    let range = view.eta_range.filter(|(low, high)| high.as_secs() > low.as_secs());
    let range = range.map(|(low, high)| format!("({}{dash}{})", text::duration(low), text::duration(high)));
    let gauge = (view.total > 0).then(|| {
        let (full, rest) = gauge::bar(Some(view.done as f64 / view.total as f64), 16, unicode);
        full + &rest
    });
    let title = text::clean(&view.title).into_owned();
    let least = text::fit_middle(&title, (columns / 3).max(12)).into_owned();
    let step = Some(text::clean(&view.step).into_owned());
    // In the order of the line, each with how much it matters.
    let parts = [(Some(least), 0), (gauge, 3), (Some(done), 0), (Some(state), 1), (eta, 2), (range, 4), (step, 5)];
    let mut parts: Vec<(String, u8)> =
        parts.into_iter().filter_map(|(part, rank)| Some((part.filter(|part| !part.is_empty())?, rank))).collect();
    let width = |parts: &[(String, u8)]| parts.iter().map(|(part, _)| text::width(part) + 2).sum::<usize>();
    while width(&parts) > columns + 2
        && let Some(least) = parts.iter().map(|(_, rank)| *rank).max().filter(|rank| *rank > 0)
    {
        parts.retain(|(_, rank)| *rank != least);
    }
    // What is left over is the title's.
    let spare = (columns + 2).saturating_sub(width(&parts));
    if let Some((first, _)) = parts.first_mut() {
        *first = text::fit_middle(&title, text::width(first) + spare).into_owned();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::{Sample, Throughput};
    use std::sync::Arc;

    fn view() -> JobView {
        let mut throughput = Throughput::new(16);
        for second in 0..4_u32 {
            throughput.push(Sample {
                t: f64::from(second),
                bytes: u64::from(second) * 88_080_384,
                ..Sample::default()
            });
        }
        JobView {
            id: "01".into(),
            kind: "upload".into(),
            title: "upload a_long_name_of_a_scene_20260711T094031.tif → bucket\u{1b}[2J".into(),
            command: vec![],
            state: State::Running,
            place: None,
            attempt: 1,
            question: None,
            journal: None,
            started: chrono::Utc::now(),
            elapsed: Duration::from_secs(4),
            done: 52,
            total: 100,
            step: "part 16 of 32".into(),
            counts: crate::meter::Counts::default(),
            in_flight: 4,
            throughput,
            latency: None,
            latencies: crate::meter::Latencies::new(16),
            eta: Some(Duration::from_secs(12)),
            eta_range: Some((Duration::from_secs(10), Duration::from_secs(16))),
            log: Arc::default(),
            events: Arc::default(),
            outcome: None,
            failure: None,
        }
    }

    #[test]
    fn the_bar_fits_and_what_matters_least_goes_first() {
        let view = view();
        for columns in [20, 40, 60, 79, 100, 200] {
            let line = bar(&view, columns, true);
            assert!(text::width(&line) <= columns, "{columns}: {line}");
            assert!(line.contains("52 %") && !line.contains('\u{1b}'), "{columns}: {line}");
        }
        assert_eq!(
            bar(&view, 79, true),
            "upload a_long_na…if → bucket␛[2J  ████████▎·······   52 %  84.0 MiB/s  eta 12 s"
        );
        let wide = bar(&view, 200, true);
        assert!(wide.contains("(10 s–16 s)") && wide.ends_with("part 16 of 32"), "{wide}");
        assert!(bar(&view, 79, false).contains("  ########"), "no blocks without Unicode");
        let paused = JobView { state: State::Paused, eta: None, eta_range: None, ..view };
        assert!(bar(&paused, 79, true).contains("paused"));
    }

    #[test]
    fn a_small_letter_is_not_a_large_one() {
        use crate::task::Choice;
        let choice = |key, name| Choice { key, name, words: String::new() };
        let choices = vec![choice('s', "skip"), choice('S', "skip-all"), choice('O', "overwrite-all")];
        let question = Question { text: "b/x exists".into(), choices };
        assert_eq!(chosen(&question, Some("s")), Some("skip"));
        assert_eq!(chosen(&question, Some(" S ")), Some("skip-all"));
        assert_eq!(chosen(&question, Some("skip-all")), Some("skip-all"));
        assert_eq!(chosen(&question, None), Some("skip"), "the first is the safest");
        for typed in ["o", "", "x", "SS", "\u{1b}"] {
            assert_eq!(chosen(&question, Some(typed)), None, "{typed}");
        }
    }

    #[test]
    fn the_objects_tell_what_scripts_need() {
        let object = as_json(&view(), "progress");
        assert_eq!(
            (&object["state"], &object["eta"], &object["eta_range"]),
            (&json!("running"), &json!(12.0), &json!([10.0, 16.0]))
        );
        assert_eq!((&object["rate"], &object["in_flight"]), (&json!(88_080_384), &json!(4)));
        let ended = as_json(&JobView { state: State::Failed("no".into()), ..view() }, "end");
        assert_eq!(
            (&ended["event"], &ended["state"], &ended["error"]),
            (&json!("end"), &json!("failed"), &json!("no"))
        );
        assert!(ended.get("eta").is_none());
    }
}
