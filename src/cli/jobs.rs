//! The job engine without a screen: running a job, and `jobs ls|show|resume|cancel|pause|go-on`.

use super::out;
use super::progress::{as_json, follow, word};
use crate::config::Folders;
use crate::error::{Error, Kind, Result};
use crate::job::{Job, JobId, JobView, Jobs, State};
use crate::jobs;
use crate::store::Stores;
use crate::task::Waker;
use crate::text;
use clap::Subcommand;
use serde_json::{Value, json};

/// Letters of an id on a terminal: its time and some of its chance.
const SHORT: usize = 14;

/// Verbs of `jobs`. An id may be given by its start.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// What ran, runs, and can be resumed
    Ls,
    /// One of them, with its log
    Show {
        /// Its id, or the start of it
        id: String,
    },
    /// Go on with interrupted or failed ones; all that were interrupted, where none is named
    Resume {
        /// Their ids, or the starts of them
        id: Vec<String>,
    },
    /// Ask those that run to stop and clean up; give up those that were interrupted
    Cancel {
        /// Their ids, or the starts of them
        #[arg(required = true)]
        id: Vec<String>,
    },
    /// Ask those that run to wait after what is under way
    Pause {
        /// Their ids, or the starts of them
        #[arg(required = true)]
        id: Vec<String>,
    },
    /// Let those that wait go on
    GoOn {
        /// Their ids, or the starts of them
        #[arg(required = true)]
        id: Vec<String>,
    },
}

impl Verb {
    /// Whether it does a job's work.
    pub(super) fn is_work(&self) -> bool {
        matches!(self, Self::Resume { .. })
    }
}

pub(super) fn engine(stores: Stores, waker: Waker) -> Result<Jobs> {
    Ok(answering(Jobs::new(stores, Folders::find()?.state, waker).with_kinds(jobs::from_spec)))
}

fn answering(jobs: Jobs) -> Jobs {
    if out::can_ask() { jobs.with_answers() } else { jobs }
}

/// Runs a job to its end, journalled as one of the screen is.
pub(super) async fn run(stores: Stores, job: Box<dyn Job>, json: bool) -> Result<()> {
    found(stores, job, json).await.map(drop)
}

/// The same; gives what the job found out.
pub(super) async fn found(stores: Stores, job: Box<dyn Job>, json: bool) -> Result<Value> {
    let waker = Waker::new();
    let jobs = answering(Jobs::fresh(stores, Folders::find()?.state, waker.clone()));
    let id = jobs.start(job)?;
    follow(&jobs, std::slice::from_ref(&id), &waker, json).await?;
    Ok(jobs.view(&id).and_then(|view| view.outcome).map(|outcome| outcome.data).unwrap_or_default())
}

/// Lists, shows, resumes, cancels, pauses. `limit`: jobs at once.
pub(super) async fn manage(stores: Stores, verb: Verb, limit: Option<usize>, json: bool) -> Result<()> {
    let waker = Waker::new();
    let jobs = engine(stores, waker.clone())?;
    if let Some(limit) = limit {
        jobs.set_limit(limit);
    }
    jobs.loaded().await;
    match verb {
        Verb::Ls => jobs.views().iter().try_for_each(|view| print_line(view, json)),
        Verb::Show { id } => print_whole(&find(&jobs, &id)?, json),
        Verb::Resume { id } => resume(&jobs, &id, &waker, json).await,
        Verb::Cancel { id } => {
            for view in find_all(&jobs, &id)? {
                cancel(&jobs, &view, json).await?;
            }
            Ok(())
        }
        Verb::Pause { id } => find_all(&jobs, &id)?.iter().try_for_each(|view| {
            if !matches!(view.state, State::Running | State::Queued | State::Paused) {
                return Err(not_at_work(view));
            }
            jobs.pause(&view.id);
            asked(view, "wait", json)
        }),
        Verb::GoOn { id } => find_all(&jobs, &id)?.iter().try_for_each(|view| {
            if !view.state.is_active() {
                return Err(not_at_work(view));
            }
            jobs.go_on(&view.id);
            asked(view, "go on", json)
        }),
    }
}

fn find(jobs: &Jobs, id: &str) -> Result<JobView> {
    let mut found: Vec<JobView> = jobs.views().into_iter().filter(|v| v.id.starts_with(&id.to_uppercase())).collect();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Error::new(Kind::NotFound, format!("there is no job {id}")).with_hint("`secchi jobs ls` lists them")),
        _ => Err(Error::usage(format!("several jobs begin with {id}"))),
    }
}

fn find_all(jobs: &Jobs, ids: &[String]) -> Result<Vec<JobView>> {
    ids.iter().map(|id| find(jobs, id)).collect()
}

fn not_at_work(view: &JobView) -> Error {
    let title = text::clean(&view.title);
    Error::usage(format!(
        "{title} is not at work: it {}",
        match &view.state {
            State::Interrupted => "was interrupted".to_owned(),
            State::Failed(_) => "has failed".to_owned(),
            other => format!("is {}", word(other)),
        }
    ))
    .with_hint(format!("`secchi jobs resume {}` starts it again", view.id))
}

/// Says what was asked of the program that works on a job.
fn asked(view: &JobView, what: &str, json: bool) -> Result<()> {
    if json {
        return out::json(&json!({ "event": "asked", "job": view.id, "to": what }));
    }
    out::say(&format!("{} was asked to {what}: its program looks once a second", text::clean(&view.title)));
    Ok(())
}

async fn cancel(jobs: &Jobs, view: &JobView, json: bool) -> Result<()> {
    match view.state {
        State::Queued | State::Running | State::Paused => {
            jobs.cancel(&view.id);
            asked(view, "stop", json)
        }
        State::Interrupted | State::Failed(_) => {
            jobs.give_up(&view.id).await?;
            if json {
                return out::json(&json!({ "event": "given-up", "job": view.id }));
            }
            out::say(&format!("{} is given up; what it had written stays", text::clean(&view.title)));
            Ok(())
        }
        State::Done | State::Cancelled => Err(not_at_work(view)),
    }
}

async fn resume(jobs: &Jobs, ids: &[String], waker: &Waker, json: bool) -> Result<()> {
    let wanted: Vec<JobView> = if ids.is_empty() { jobs.interrupted() } else { find_all(jobs, ids)? };
    if wanted.is_empty() {
        if !json {
            out::say("nothing was interrupted");
        }
        return Ok(());
    }
    let started: Vec<JobId> = wanted.iter().map(|view| jobs.retry(&view.id)).collect::<Result<_>>()?;
    follow(jobs, &started, waker, json).await
}

fn print_line(view: &JobView, json: bool) -> Result<()> {
    if json {
        let mut object = as_json(view, "job");
        object["started"] = json!(view.started);
        object["attempt"] = json!(view.attempt);
        return out::json(&object);
    }
    let title = text::clean(&view.title);
    let (state, percent) = (word(&view.state), percent(view));
    if !out::is_terminal() {
        let began = view.started.format("%Y-%m-%d %H:%M");
        return out::line(&format!("{}  {state:<14}  {percent:>5}  {began}  {title}", view.id));
    }
    // A line for each; the start of an id is enough to name it.
    let id: String = view.id.chars().take(SHORT).collect();
    let began = view.started.with_timezone(&chrono::Local).format("%m-%d %H:%M");
    let line = format!("{id}  {state:<14}  {percent:>5}  {began}  ");
    let room = out::columns().saturating_sub(line.len()).max(20);
    out::line(&format!("{line}{}", text::fit_middle(&title, room)))
}

fn percent(view: &JobView) -> String {
    let percent = view.done.saturating_mul(100).checked_div(view.total).filter(|_| view.state != State::Done);
    percent.map_or_else(String::new, |percent| format!("{} %", percent.min(100)))
}

fn print_whole(view: &JobView, json: bool) -> Result<()> {
    if json {
        let mut object = as_json(view, "job");
        object["started"] = json!(view.started);
        object["attempt"] = json!(view.attempt);
        object["command"] = json!(text::command_line(&view.command));
        object["latency_us"] = json!(view.latency);
        let line = |(time, line): &(_, String)| json!({ "time": time, "line": line });
        object["log"] = view.log.iter().map(line).collect();
        return out::json(&object);
    }
    print_line(view, json)?;
    if let State::Failed(why) = &view.state {
        out::line(&text::clean(why))?;
    }
    if let Some(outcome) = &view.outcome {
        out::line(&text::clean(&outcome.summary))?;
    }
    out::line(&text::clean(&text::command_line(&view.command)))?;
    if let Some(traffic) = traffic(view) {
        out::line(&traffic)?;
    }
    view.log
        .iter()
        .try_for_each(|(time, line)| out::line(&format!("{}  {}", time.format("%H:%M:%S"), text::clean(line))))
}

/// `812 requests (2 failed, 3 sent again), 6.0 GiB sent, 40.0 KiB received, 80 s, attempt 2`.
fn traffic(view: &JobView) -> Option<String> {
    let counts = &view.counts;
    (counts.requests > 0).then(|| {
        let again = match (counts.errors, counts.retries) {
            (0, 0) => String::new(),
            (errors, retries) => format!(" ({errors} failed, {retries} sent again)"),
        };
        format!(
            "{} requests{again}, {} sent, {} received, {}, attempt {}",
            text::count(counts.requests),
            text::bytes(counts.bytes_out),
            text::bytes(counts.bytes_in),
            text::duration(view.elapsed),
            view.attempt
        )
    })
}
