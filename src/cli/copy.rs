//! `cp` and `mv`: between any two places.

use super::work;
use crate::error::{Error, Result};
use crate::job::JobSpec;
use crate::jobs;
use crate::location::{Location, Scheme};
use crate::store::Stores;
use crate::transfer::IfExists;
use serde_json::{Value, json};

/// Options of `cp` and `mv`.
#[derive(clap::Args, Debug)]
pub struct Copy {
    /// Objects, prefixes, files and folders, then where they go: s3://bucket/prefix/ or, for one, its new name
    #[arg(required = true, num_args = 2.., value_names = ["SRC", "DST"])]
    pub locations: Vec<String>,
    /// All that lies below prefixes and folders
    #[arg(short, long)]
    pub recursive: bool,
    /// Where something stands already: fail, skip, overwrite, rename, ask
    #[arg(long, value_name = "RULE", default_value = "fail", hide_possible_values = true, value_parser = ["fail", "skip", "overwrite", "rename", "ask"])]
    pub if_exists: String,
}

/// Copies, or moves.
pub(super) async fn run(stores: Stores, args: Copy, moves: bool, json: bool) -> Result<()> {
    let mut locations = args.locations.iter().map(|text| Location::parse(text)).collect::<Result<Vec<_>>>()?;
    let destination = locations.pop().ok_or_else(|| Error::usage("name a source and a destination"))?;
    let mut sources = Vec::with_capacity(locations.len());
    for location in locations {
        let source = stores.resolve(&location).await;
        if source.is_container() && !args.recursive {
            return Err(Error::usage(format!("{source} is a folder")).with_hint("-r takes all that lies below it"));
        }
        sources.push(source);
    }
    let spec = spec(&stores, sources, destination, args.recursive, moves, args.if_exists.parse()?).await;
    work::run(stores, jobs::from_spec(spec)?, json).await
}

/// The job that does it: files to a store are uploaded, which tells their content types; all else is copied.
async fn spec(
    stores: &Stores,
    sources: Vec<Location>,
    destination: Location,
    recursive: bool,
    moves: bool,
    if_exists: IfExists,
) -> JobSpec {
    let is_file = |location: &Location| location.scheme() == Scheme::File;
    // A folder under a new name is for the copy: an upload puts it below the destination under its own.
    let exact = sources.len() == 1 && sources[0].is_container() && !destination.is_container();
    if !moves && !exact && sources.iter().all(is_file) && !is_file(&destination) {
        let files: Vec<Value> = sources.iter().map(|l| json!({ "path": l.key().trim_end_matches('/') })).collect();
        let destination = if files.len() > 1 { destination.as_container() } else { destination };
        let params = json!({ "files": files, "destination": destination, "if_exists": if_exists });
        return JobSpec { kind: "upload".into(), params };
    }
    let destination = stores.resolve(&destination).await;
    let params = json!({
        "sources": sources, "destination": destination, "move": moves,
        "recursive": recursive, "if_exists": if_exists,
    });
    JobSpec { kind: "copy".into(), params }
}
