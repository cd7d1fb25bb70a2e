//! `cp` and `mv`: between any two places.

use super::jobs::run as run_job;
use crate::error::{Error, Result};
use crate::jobs;
use crate::location::Location;
use crate::store::Stores;
use crate::transfer::CopySpec;
use serde_json::json;

/// Options of `cp` and `mv`.
#[derive(clap::Args, Debug)]
pub struct Copy {
    /// Objects, prefixes, files and folders, then where they go: s3://bucket/prefix/ or, for one, its new name
    #[arg(required = true, num_args = 2.., value_names = ["SRC", "DST"])]
    pub locations: Vec<String>,
    /// All that lies below prefixes and folders
    #[arg(short, long)]
    pub recursive: bool,
    /// If something stands there: fail, skip, overwrite, rename, ask
    #[arg(long, value_name = "RULE", default_value = "fail", hide_possible_values = true, value_parser = ["fail", "skip", "overwrite", "rename", "ask"])]
    pub if_exists: String,
    /// Bytes of the largest object that is copied whole within a server
    #[arg(long, value_name = "BYTES", hide = true)]
    pub whole: Option<u64>,
    /// Bytes of a part of larger ones
    #[arg(long, value_name = "BYTES", hide = true)]
    pub part: Option<u64>,
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
    let destination = stores.resolve(&destination).await;
    let spec = CopySpec {
        moves,
        recursive: args.recursive,
        if_exists: args.if_exists.parse()?,
        ..CopySpec::new(sources, destination)
    };
    let mut spec = jobs::copy::job_for(&spec);
    for (name, bytes) in [("whole", args.whole), ("part", args.part)] {
        if let Some(bytes) = bytes.filter(|_| spec.kind == "copy") {
            spec.params[name] = json!(bytes);
        }
    }
    run_job(stores, jobs::from_spec(spec)?, json).await
}
