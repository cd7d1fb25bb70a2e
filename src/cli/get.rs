//! `get`: downloads.

use super::jobs;
use crate::error::{Error, Result};
use crate::jobs::download::Download;
use crate::location::{Location, Scheme};
use crate::store::Stores;
use crate::transfer::{DownloadSpec, IfExists};
use clap::Args;

/// Options of `get`.
#[derive(Args, Debug)]
pub struct Get {
    /// Objects (s3://b/key, https://…, s3://b/key?versionId=ID) and prefixes (s3://b/p/), then the folder they go to;
    /// for one object, the file
    #[arg(required = true, num_args = 2.., value_names = ["LOCATION", "DIR"])]
    pub paths: Vec<String>,
    /// If something stands there: fail, skip, overwrite, rename, ask
    #[arg(long, value_name = "RULE", default_value = "fail", hide_possible_values = true, value_parser = ["fail", "skip", "overwrite", "rename", "ask"])]
    pub if_exists: String,
    /// Do not compare the bytes with the checksum or ETag of the server
    #[arg(long)]
    pub no_check: bool,
}

/// Downloads.
pub(super) async fn get(stores: Stores, args: Get, json: bool) -> Result<()> {
    let mut paths = args.paths;
    let to = paths.pop().unwrap_or_default();
    let destination = Location::parse(&to)?;
    if destination.scheme() != Scheme::File {
        return Err(Error::usage(format!("`{to}` is not a folder of this computer"))
            .with_hint("the folder stands last; use `secchi cp` from one store to another"));
    }
    let spec = DownloadSpec {
        sources: paths.iter().map(|path| Location::parse(path)).collect::<Result<_>>()?,
        destination,
        if_exists: args.if_exists.parse::<IfExists>()?,
        check: !args.no_check,
    };
    jobs::run(stores, Box::new(Download::new(spec)), json).await
}
