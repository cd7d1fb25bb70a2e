//! `profile`: statistics of a column.

use super::jobs;
use crate::error::Result;
use crate::jobs::profile::Profile;
use crate::location::Location;
use crate::store::Stores;
use clap::Args as Arguments;

/// Options of `profile`.
#[derive(Arguments, Debug)]
pub struct Args {
    /// The table
    pub location: String,
    /// The column
    pub column: String,
}

/// Reads the column from end to end.
pub(super) async fn run(stores: Stores, args: Args, json: bool) -> Result<()> {
    let source = Location::parse(&args.location)?;
    jobs::run(stores, Box::new(Profile { source, column: args.column, rows: None }), json).await
}
