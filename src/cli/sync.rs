//! `sync`: one place becomes like another; the plan of it.

use super::prune::{Sure, confirm};
use super::{jobs, out};
use crate::error::Result;
use crate::jobs::sync::Sync;
use crate::location::Location;
use crate::store::Stores;
use crate::task::Control;
use crate::text;
use crate::transfer::{Compare, Past, Step, SyncSpec, Verb, count_extras, objects, sync};
use clap::Args;
use serde_json::json;

/// Options of `sync`.
#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools)] // switches of a command line
pub struct Options {
    /// The folder, bucket or prefix that is read
    pub source: String,
    /// The one that becomes like it
    pub destination: String,
    /// Print what would be copied, updated and deleted, and why; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Delete at the destination what is not in the source; asks for the number of objects first
    #[arg(long)]
    pub delete: bool,
    /// Compare by checksum: reads every local file whose size is the same
    #[arg(long, conflicts_with = "size_only")]
    pub checksum: bool,
    /// Compare by size alone
    #[arg(long)]
    pub size_only: bool,
    /// Only names that match: *.tif for names, 2024/** for paths. May be repeated
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// No names that match; at the destination they stay as they are. May be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// How deletions are confirmed.
    #[command(flatten)]
    pub sure: Sure,
}

/// Syncs, or prints the plan.
pub(super) async fn run(stores: Stores, args: Options, json: bool) -> Result<()> {
    let (source, destination) = (Location::parse(&args.source)?, Location::parse(&args.destination)?);
    let compare = match (args.checksum, args.size_only) {
        (true, _) => Compare::Checksum,
        (_, true) => Compare::SizeOnly,
        _ => Compare::Auto,
    };
    let mut spec = SyncSpec {
        delete: args.delete,
        compare,
        include: args.include,
        exclude: args.exclude,
        confirmed: args.sure.count,
        exact: args.sure.count.is_some(),
        dry_run: args.dry_run,
        ..SyncSpec::new(&source, &destination)
    };
    if args.dry_run {
        return plan(&stores, &spec, json).await;
    }
    if spec.delete && !args.sure.yes && args.sure.count.is_none() {
        let control = Control::new(stores.meter().child());
        let counted = count_extras(&stores, &spec, &control).await?;
        if counted.objects > 0 {
            let (many, bytes) = (objects(counted.objects), text::bytes(counted.bytes));
            let what = format!("{many}, {bytes}, at or below {} not in the source", spec.destination);
            confirm(counted.objects, &what, "delete")?;
        }
        spec.confirmed = Some(counted.objects);
    }
    jobs::run(stores, Box::new(Sync::new(spec)), json).await
}

/// A line for each step; what is the same only as JSON.
async fn plan(stores: &Stores, spec: &SyncSpec, json: bool) -> Result<()> {
    let control = Control::new(stores.meter().child());
    let past = Past::new(&[], |_| {});
    let synced = sync(stores, spec, &control, &past, |step: &Step| match (json, step.verb) {
        (true, _) => out::json(step),
        (false, Verb::Same) => Ok(()),
        (false, verb) => {
            let size = text::bytes(step.size);
            out::line(&format!("{:<6}  {size:>10}  {}  ({})", verb.as_str(), text::clean(&step.name), step.reason))
        }
    });
    let synced = synced.await?;
    control.take_notes().iter().for_each(|note| out::say(&text::clean(note)));
    if json {
        return out::json(&json!({ "plan": synced, "changed": false }));
    }
    out::say(&format!("{}; nothing was changed", synced.words(false)));
    Ok(())
}
