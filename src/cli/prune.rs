//! `rm` and `uploads`: taking away, asked first.

use super::{jobs, out};
use crate::error::{Error, Kind, Result};
use crate::jobs::{abort, abort::Abort, delete::Delete};
use crate::location::Location;
use crate::store::{Stores, Unfinished};
use crate::task::Control;
use crate::text;
use crate::transfer::{
    AbortSpec, DeleteSpec, Orphan, Survey, Target, is_older, keeps_versions, objects, parse_age, survey, unfinished,
};
use chrono::Utc;
use clap::{Args, Subcommand};
use futures::stream::StreamExt as _;
use serde_json::json;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

/// How a number that is to be deleted is confirmed.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Sure {
    /// Delete without a question, however many there are
    #[arg(long, short = 'y', conflicts_with = "count")]
    pub yes: bool,
    /// Delete without a question if there are exactly so many
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
}

/// Options of `rm`.
#[derive(Args, Debug)]
pub struct Rm {
    /// Objects, versions of them (s3://bucket/key?versionId=ID) or, with -r, prefixes and folders
    #[arg(required = true, value_name = "LOCATION")]
    pub locations: Vec<String>,
    /// All that lies below; asks for the number of objects first
    #[arg(short, long)]
    pub recursive: bool,
    /// Every version and mark of deletion too, for good; asks first
    #[arg(long)]
    pub versions: bool,
    /// How it is confirmed.
    #[command(flatten)]
    pub sure: Sure,
}

/// Verbs of `uploads`.
#[derive(Debug, Subcommand)]
pub enum Uploads {
    /// Uploads in parts that were neither completed nor aborted
    Ls {
        /// A bucket, a prefix or a key
        location: String,
        /// Also how many parts and bytes each holds: a request for each
        #[arg(long)]
        parts: bool,
    },
    /// Abort them, so that their parts go
    Abort {
        /// A bucket, a prefix or a key
        location: String,
        /// All that were started so long ago, but for those that a job may still go on with: 12h, 7d, 2w
        #[arg(long, value_name = "AGE", required_unless_present = "upload_id")]
        older_than: Option<String>,
        /// This one
        #[arg(long, value_name = "ID", conflicts_with = "older_than")]
        upload_id: Vec<String>,
        /// How it is confirmed.
        #[command(flatten)]
        sure: Sure,
    },
}

/// Asks for the number on a terminal: `what` is "1,204 objects, 3.1 GiB".
pub(super) fn confirm(n: u64, what: &str, verb: &str) -> Result<()> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let what = what.lines().next().unwrap_or_default();
        return Err(Error::usage(format!("{what}: this needs a confirmation"))
            .with_hint(format!("--count {n} {verb} them if there are still so many; --yes whatever there is")));
    }
    what.lines().for_each(|line| out::say(&text::clean(line)));
    out::progress(&format!("type {n} and Enter to {verb}, anything else to leave it: "));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let typed = line.trim().replace([',', ' '], "");
    if typed == n.to_string() { Ok(()) } else { Err(Error::usage("not confirmed: nothing was done")) }
}

/// Deletes.
pub(super) async fn rm(stores: Stores, args: Rm, json: bool) -> Result<()> {
    let mut spec = DeleteSpec { versions: args.versions, ..DeleteSpec::default() };
    for text in &args.locations {
        let location = Location::parse(text)?;
        let below = args.recursive && location.version().is_none();
        spec.targets.push(Target { location, below });
    }
    (spec.confirmed, spec.exact) = (args.sure.count, args.sure.count.is_some());
    let asks = (args.recursive || args.versions) && !args.sure.yes && args.sure.count.is_none();
    if asks {
        let control = Control::new(stores.meter().child());
        let found = Survey::default();
        let counted = out::counting(survey(&stores, &spec, &control, &found), || found.now().0).await?;
        let what = question(&stores, &spec, &found, counted).await;
        if counted.objects > 0 {
            confirm(counted.objects, &what, "delete")?;
        }
        spec.confirmed = Some(counted.objects);
    }
    jobs::run(stores, Box::new(Delete::new(spec)), json).await
}

/// `1,204 objects, 3.1 GiB: s3://b/a, s3://b/c, …`, and whether they come back.
async fn question(stores: &Stores, spec: &DeleteSpec, found: &Survey, counted: crate::du::Tally) -> String {
    let (_, names) = found.now();
    let first = spec.targets.first().map(|target| target.location.clone());
    let mut what = format!("{}, {}", objects(counted.objects), text::bytes(counted.bytes));
    if let [target] = spec.targets.as_slice() {
        let _ = write!(what, " at or below {}", target.location);
    }
    for name in names.iter().take(5) {
        let _ = write!(what, "\n  {}", text::clean(name));
    }
    if counted.objects > 5 {
        let _ = write!(what, "\n  … and {} more", text::count(counted.objects - 5));
    }
    if let Some(first) = first
        && let Ok(handle) = stores.open(&first, stores.meter()).await
        && keeps_versions(&handle).await
    {
        what.push_str(if spec.versions {
            "\nThe bucket keeps versions: all of them go, for good."
        } else {
            "\nThe bucket keeps versions: marks of deletion are set, and undelete brings the objects back."
        });
    }
    what
}

/// Lists and aborts unfinished uploads.
pub(super) async fn uploads(stores: Stores, verb: Uploads, json: bool) -> Result<()> {
    let jobs = jobs::engine(stores.clone(), crate::task::Waker::new())?;
    jobs.loaded().await;
    let claims = abort::claims(&jobs.views());
    match verb {
        Uploads::Ls { location, parts } => {
            let location = Location::parse(&location)?;
            let handle = stores.open(&location, stores.meter()).await?;
            let mut pages = handle.unfinished(&location);
            while let Some(page) = pages.next().await {
                for upload in out::about(page, "listing uploads of", &location)? {
                    let held = if parts { Some(handle.held(&upload.key, &upload.upload_id).await?) } else { None };
                    print(&location, &upload, held, claims.holds(&upload.upload_id), json)?;
                }
            }
            Ok(())
        }
        Uploads::Abort { location, older_than, upload_id, sure } => {
            let location = Location::parse(&location)?;
            let control = Control::new(stores.meter().child());
            let all = out::about(unfinished(&stores, &location, &control).await, "listing uploads of", &location)?;
            let (chosen, left): (Vec<&Unfinished>, usize) = if let Some(age) = &older_than {
                let (age, now) = (parse_age(age)?, Utc::now());
                let old: Vec<&Unfinished> = all.iter().filter(|upload| is_older(upload, age, now)).collect();
                let (held, free): (Vec<_>, Vec<_>) = old.into_iter().partition(|u| claims.holds(&u.upload_id));
                (free, held.len())
            } else {
                for id in &upload_id {
                    if !all.iter().any(|upload| upload.upload_id == *id) {
                        return Err(Error::new(
                            Kind::NotFound,
                            format!("there is no upload {id} at or below {location}"),
                        ));
                    }
                }
                (all.iter().filter(|upload| upload_id.contains(&upload.upload_id)).collect(), 0)
            };
            if left > 0 {
                out::say(&format!("{left} left alone: jobs may still go on with them (`secchi jobs ls`)"));
            }
            if chosen.is_empty() {
                out::say("there is nothing to abort");
                return Ok(());
            }
            let n = chosen.len() as u64;
            match sure.count {
                Some(count) if count != n => {
                    let why = format!("there are {n} such uploads, and {count} confirmed: nothing was aborted");
                    return Err(Error::new(Kind::Changed, why));
                }
                None if !sure.yes && n > 1 => {
                    confirm(n, &format!("{n} unfinished uploads at or below {location}"), "abort")?;
                }
                _ => {}
            }
            let uploads = chosen.into_iter().map(Orphan::from).collect();
            jobs::run(stores, Box::new(Abort::new(AbortSpec { location, uploads, older_than })), json).await
        }
    }
}

fn print(
    at: &Location,
    upload: &Unfinished,
    held: Option<crate::store::Held>,
    claimed: bool,
    json: bool,
) -> Result<()> {
    let location = at.with_key(upload.key.clone());
    if json {
        let mut object = json!({
            "location": location,
            "key": upload.key,
            "upload_id": upload.upload_id,
            "started": upload.started,
            "storage_class": upload.storage_class,
            "initiator": upload.initiator,
            "held_by_job": claimed,
        });
        if let Some(held) = held {
            object["parts"] = json!(held.parts);
            object["bytes"] = json!(held.bytes);
        }
        return out::json(&object);
    }
    let started = upload.started.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M").to_string());
    let held =
        held.map(|held| format!("  {:>6} parts  {:>10}", held.parts, text::bytes(held.bytes))).unwrap_or_default();
    let note = if claimed { "  (a job may go on with it)" } else { "" };
    let (location, id) = (location.to_string(), text::clean(&upload.upload_id));
    out::line(&format!("{started}{held}  {}  {id}{note}", text::clean(&location)))
}
