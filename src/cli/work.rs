//! Jobs without a screen: `put`, `convert`, `bench run`, and `jobs`.

use super::out;
use crate::bench::{Report, Spec, compare};
use crate::config::Folders;
use crate::error::{Context as _, Error, Kind, Result};
use crate::job::{Job, JobSpec, JobView, Jobs, State};
use crate::jobs;
use crate::location::Location;
use crate::store::Stores;
use crate::task::Waker;
use crate::terminal::{Signal, Signals};
use crate::text;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Options of `put`.
#[derive(Args, Debug)]
pub struct Put {
    /// Files and folders, then where they go: s3://bucket/prefix/ or, for one file, its key
    #[arg(required = true, num_args = 2.., value_names = ["FILE", "LOCATION"])]
    pub paths: Vec<String>,
    /// User metadata, kept with the object
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub metadata: Vec<(String, String)>,
    /// A tag
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub tag: Vec<(String, String)>,
    /// Content type, instead of the one that the suffix tells
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// Storage class
    #[arg(long, value_name = "CLASS")]
    pub storage_class: Option<String>,
    /// Where something stands already: fail, skip, overwrite, rename, ask
    #[arg(long, value_name = "RULE", default_value = "fail", hide_possible_values = true, value_parser = ["fail", "skip", "overwrite", "rename", "ask"])]
    pub if_exists: String,
}

/// Options of `convert`.
#[derive(Args, Debug)]
pub struct Convert {
    /// What is read
    pub source: String,
    /// What is written
    pub destination: String,
    /// The format
    #[arg(long, value_name = "FORMAT", default_value = "geoparquet")]
    pub to: String,
    /// An option of the conversion: lon, lat, missing, …
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = pair)]
    pub options: Vec<(String, String)>,
    /// Where something stands already: fail, skip, overwrite, rename, ask
    #[arg(long, value_name = "RULE", default_value = "fail", hide_possible_values = true, value_parser = ["fail", "skip", "overwrite", "rename", "ask"])]
    pub if_exists: String,
}

/// Verbs of `bench`.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Run a benchmark that a TOML or JSON file describes
    Run {
        /// The file, or the JSON itself
        spec: String,
        /// Where the result goes, with its raw samples
        #[arg(long, value_name = "LOCATION")]
        out: Option<String>,
        /// Replace a result that is there
        #[arg(long)]
        overwrite: bool,
    },
    /// Compare two results
    Compare {
        /// One
        a: PathBuf,
        /// The other
        b: PathBuf,
    },
    /// A result as a Markdown table, or its samples as CSV
    Report {
        /// The result
        file: PathBuf,
        /// CSV of the raw samples
        #[arg(long)]
        csv: bool,
    },
}

/// Verbs of `jobs`.
#[derive(Debug, Subcommand)]
pub enum JobsVerb {
    /// What ran, runs, and can be resumed
    Ls,
    /// One of them, with its log
    Show {
        /// Its id, or the start of it
        id: String,
    },
    /// Go on with an interrupted or failed one
    Resume {
        /// Its id, or the start of it
        id: String,
    },
    /// Ask one that runs to stop
    Cancel {
        /// Its id, or the start of it
        id: String,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not KEY=VALUE"))?;
    if key.is_empty() { Err(format!("`{text}` has no key")) } else { Ok((key.to_owned(), value.to_owned())) }
}

fn object(pairs: Vec<(String, String)>) -> Value {
    Value::Object(pairs.into_iter().map(|(k, v)| (k, Value::String(v))).collect())
}

/// Uploads.
pub(super) async fn put(stores: Stores, args: Put, json: bool) -> Result<()> {
    let mut paths = args.paths;
    let destination = Location::parse(&paths.pop().unwrap_or_default())?;
    let many = paths.len() > 1 || paths.iter().any(|p| Path::new(p).is_dir());
    let destination = if many { destination.as_container() } else { destination };
    let params = json!({
        "files": paths.iter().map(|p| json!({ "path": p })).collect::<Vec<_>>(),
        "destination": destination,
        "meta": {
            "content_type": args.content_type,
            "metadata": object(args.metadata),
            "tags": object(args.tag),
            "storage_class": args.storage_class,
        },
        "if_exists": args.if_exists.parse::<crate::transfer::IfExists>()?,
    });
    run(stores, jobs::from_spec(JobSpec { kind: "upload".into(), params })?, json).await
}

/// Converts.
pub(super) async fn convert(stores: Stores, args: Convert, json: bool) -> Result<()> {
    let params = json!({
        "source": Location::parse(&args.source)?,
        "destination": Location::parse(&args.destination)?,
        "to": args.to,
        "options": object(args.options),
        "if_exists": args.if_exists,
    });
    run(stores, jobs::from_spec(JobSpec { kind: "convert".into(), params })?, json).await
}

/// Benchmarks.
pub(super) async fn bench(stores: Stores, verb: Bench, json: bool) -> Result<()> {
    let read = |file: &Path| -> Result<Report> {
        let text = std::fs::read_to_string(file).context(|| format!("reading {}", file.display()))?;
        Report::from_json(&text).context(|| file.display().to_string())
    };
    match verb {
        Bench::Run { spec, out, overwrite } => {
            let inline = spec.trim_start().starts_with('{');
            let text = if inline {
                spec.clone()
            } else {
                std::fs::read_to_string(&spec).context(|| format!("reading {spec}"))?
            };
            let job = crate::jobs::bench::Bench {
                spec: Spec::parse(&text).context(|| if inline { "the description".into() } else { spec.clone() })?,
                out: out.as_deref().map(Location::parse).transpose()?,
                overwrite,
                spec_file: (!inline).then_some(spec),
            };
            job.spec.validate()?;
            run(stores, Box::new(job), json).await
        }
        Bench::Compare { a, b } => {
            let comparison = compare(&read(&a)?, &read(&b)?);
            if json { out::json(&comparison) } else { out::line(&comparison.markdown()) }
        }
        Bench::Report { file, csv } => {
            let report = read(&file)?;
            match (csv, json) {
                (true, _) => out::line(report.csv().trim_end()),
                (false, true) => out::json(&report.summary),
                (false, false) => out::line(&report.markdown()),
            }
        }
    }
}

/// Lists, shows, resumes, cancels.
pub(super) async fn manage(stores: Stores, verb: JobsVerb, json: bool) -> Result<()> {
    let jobs = engine(stores, Waker::new())?;
    jobs.loaded().await;
    let find =
        |id: &str| -> Result<JobView> {
            let mut found: Vec<JobView> =
                jobs.views().into_iter().filter(|v| v.id.starts_with(&id.to_uppercase())).collect();
            match found.len() {
                1 => Ok(found.remove(0)),
                0 => Err(Error::new(Kind::NotFound, format!("there is no job {id}"))
                    .with_hint("`secchi jobs ls` lists them")),
                _ => Err(Error::usage(format!("several jobs begin with {id}"))),
            }
        };
    match verb {
        JobsVerb::Ls => jobs.views().iter().try_for_each(|view| print_line(view, json)),
        JobsVerb::Show { id } => print_whole(&find(&id)?, json),
        JobsVerb::Cancel { id } => {
            jobs.cancel(&find(&id)?.id);
            Ok(())
        }
        JobsVerb::Resume { id } => {
            let id = jobs.retry(&find(&id)?.id)?;
            watch(&jobs, &id, &Waker::new(), json).await
        }
    }
}

fn engine(stores: Stores, waker: Waker) -> Result<Jobs> {
    Ok(Jobs::new(stores, Folders::find()?.state, waker).with_kinds(jobs::from_spec))
}

/// Runs a job to its end, journalled as one of the screen is.
async fn run(stores: Stores, job: Box<dyn Job>, json: bool) -> Result<()> {
    let waker = Waker::new();
    let jobs = engine(stores, waker.clone())?;
    let id = jobs.start(job)?;
    watch(&jobs, &id, &waker, json).await
}

/// Shows progress until the job has ended; a signal cancels it, so that it cleans up.
async fn watch(jobs: &Jobs, id: &str, waker: &Waker, json: bool) -> Result<()> {
    let mut signals = Signals::new()?;
    let mut wait = std::pin::pin!(jobs.wait(id));
    let shown = !json && out::is_progress_shown();
    let ended = loop {
        tokio::select! {
            ended = &mut wait => break ended,
            Signal::Terminate(_) = signals.next() => jobs.cancel(id),
            () = waker.woken() => {
                if let Some(view) = jobs.view(id) {
                    if shown {
                        out::progress(&progress(&view));
                    } else if json {
                        out::say_json(&as_json(&view, "progress"));
                    }
                }
            }
        }
    };
    if shown {
        out::progress("");
    }
    let view = ended.ok_or_else(|| Error::new(Kind::Failed, "the job is gone"))?;
    match (&view.state, &view.failure) {
        (State::Done, _) if json => out::json(&as_json(&view, "end")),
        (State::Done, _) => {
            let outcome = view.outcome.unwrap_or_default();
            for location in &outcome.written {
                out::line(&text::clean(&location.to_string()))?;
            }
            out::say(&text::clean(&outcome.summary));
            Ok(())
        }
        (State::Cancelled, _) => Err(Error::cancelled()),
        (_, Some(failure)) => Err(failure.again()),
        (State::Failed(why), None) => Err(Error::new(Kind::Failed, why.clone())),
        _ => Err(Error::new(Kind::Failed, "the job did not end")),
    }
}

fn progress(view: &JobView) -> String {
    let done = match view.total {
        0 => text::count(view.done),
        total => format!("{:3} %", (view.done as f64 / total as f64 * 100.0).min(100.0) as u64),
    };
    let bar = if view.total > 0 {
        let (full, rest) = crate::widgets::gauge::bar(Some(view.done as f64 / view.total as f64), 24, true);
        format!("{full}{rest} ")
    } else {
        String::new()
    };
    let eta = view.eta.map_or_else(String::new, |eta| format!("  eta {}", text::duration(eta)));
    let rate = text::rate(view.throughput.recent(5.0));
    let title = text::fit_middle(&view.title, 30).into_owned();
    text::clean(&format!("{title}  {bar}{done}  {rate}{eta}  {}", view.step)).into_owned()
}

fn as_json(view: &JobView, event: &str) -> Value {
    let mut object = json!({
        "event": event,
        "job": view.id,
        "kind": view.kind,
        "title": view.title,
        "state": match view.state {
            State::Failed(_) => "failed",
            State::Interrupted => "interrupted",
            ref other => state_word(other),
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

fn state_word(state: &State) -> &'static str {
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

fn print_line(view: &JobView, json: bool) -> Result<()> {
    if json {
        let mut object = as_json(view, "job");
        object["started"] = json!(view.started);
        return out::json(&object);
    }
    let state = state_word(&view.state);
    out::line(&format!(
        "{}  {:<14}  {}  {}",
        view.id,
        state,
        view.started.format("%Y-%m-%d %H:%M"),
        text::clean(&view.title)
    ))
}

fn print_whole(view: &JobView, json: bool) -> Result<()> {
    if json {
        let mut object = as_json(view, "job");
        object["started"] = json!(view.started);
        object["command"] = json!(text::command_line(&view.command));
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
    view.log
        .iter()
        .try_for_each(|(time, line)| out::line(&format!("{}  {}", time.format("%H:%M:%S"), text::clean(line))))
}
