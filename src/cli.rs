//! The command line: every job and preview also runs without a screen.
//!
//! Output is a table on a terminal and NDJSON with `--json`; progress goes to stderr. Exit codes:
//! 0 done, 1 failed, 2 usage, 3 not found, 4 denied or bad credentials, 5 unreachable, 6 exists,
//! 130 cancelled.
#![allow(clippy::doc_markdown)] // these comments are what --help prints

use crate::config::{Config, Folders, Limits, Rate};
use crate::error::{Error, Result};
use crate::store::{Options, Stores};
use clap::{Args, Parser, Subcommand};
use object_store::GetRange;
use std::path::PathBuf;

mod copy;
mod du;
mod get;
mod jobs;
mod ls;
mod out;
mod places;
mod presign;
mod preview;
mod profile;
mod progress;
mod prune;
mod rows;
mod sql;
mod stat;
mod sync;
mod tui;
mod work;

/// Look into object storage and STAC catalogs of environmental data, and work on what is there.
#[derive(Debug, Parser)]
#[command(name = "secchi", version, override_usage = "secchi [OPTIONS] [LOCATION]\n       secchi [OPTIONS] <COMMAND>")]
pub struct Cli {
    /// What to open.
    #[arg(help = "What to open: s3://[profile@]bucket/prefix, https://…/catalog.json, a folder, a file")]
    pub location: Option<String>,
    /// What to do instead of opening the screen.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// For all.
    #[command(flatten)]
    pub global: Global,
}

impl Cli {
    /// Whether it opens the screen.
    pub fn has_screen(&self) -> bool {
        matches!(self.verb, None | Some(Verb::Demo { serve: false }))
    }
}

/// Options of every verb and of the screen.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
#[allow(clippy::struct_excessive_bools)] // switches of a command line
pub struct Global {
    /// Profile of ~/.aws for locations that name none
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// S3 endpoint, instead of the profile's
    #[arg(long, global = true, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Region, instead of the profile's
    #[arg(long, global = true, value_name = "NAME")]
    pub region: Option<String>,
    /// Send requests unsigned: public data
    #[arg(long, global = true)]
    pub no_sign_request: bool,
    /// Address buckets as host/bucket
    #[arg(long, global = true)]
    pub path_style: bool,
    /// Trust the certificates in this PEM file too
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Refuse every write
    #[arg(long, global = true)]
    pub read_only: bool,
    /// Requests under way at once
    #[arg(long, global = true, value_name = "N")]
    pub concurrency: Option<usize>,
    /// Bytes a second over the network, received and sent: 80M, 10MiB/s, 800Mbit/s, none
    #[arg(long, global = true, value_name = "RATE")]
    pub bandwidth: Option<Rate>,
    /// Pictures: auto, kitty, sixel, iterm2, halfblocks, sextants, braille, none
    #[arg(long, global = true, value_name = "MODE", default_value = "auto", hide_default_value = true)]
    pub graphics: String,
    /// Colours: deep, shallow, boreal, paper, contrast, ansi, mono, or one of your own
    #[arg(long, global = true, value_name = "NAME")]
    pub theme: Option<String>,
    /// Append every request to this file, a JSON object a line, without secrets
    #[arg(long, global = true, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// One JSON object a line on stdout
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Open an embedded S3 server with samples
    Demo {
        /// No screen: print one JSON line with endpoint and keys, and serve until stopped
        #[arg(long)]
        serve: bool,
    },
    /// List buckets, prefixes and objects, or what a catalog holds
    Ls {
        /// What to list
        location: String,
        /// All objects below, not one level
        #[arg(short, long)]
        recursive: bool,
        /// Stop after so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// What is known of an object or a bucket: size, times, metadata, tags, versions, rules
    Stat(stat::Args),
    /// How much lies below: objects and bytes
    Du(du::Du),
    /// The bytes of an object
    Cat {
        /// The object
        location: String,
        /// Only these bytes, counted from 0, the last included: 0-99, 100-, -100 for the last hundred
        #[arg(long, value_name = "A-B", allow_hyphen_values = true, conflicts_with = "head")]
        range: Option<String>,
        /// Only the first so many bytes
        #[arg(long, value_name = "N")]
        head: Option<u64>,
    },
    /// A link to an object that works without credentials until it expires
    Presign(presign::Presign),
    /// A look at a file: rows, a picture, a tree, text
    Preview(preview::Args),
    /// Ask tables anywhere: SELECT … FROM 's3://bucket/file.parquet'
    Sql(sql::Args),
    /// Upload files and folders with metadata
    Put(work::Put),
    /// Download objects and all below prefixes into a folder
    Get(get::Get),
    /// Statistics of a table's column: range, mean, quantiles, distinct and frequent values
    Profile(profile::Args),
    /// Copy objects and all below prefixes from any place to another
    Cp(copy::Copy),
    /// Move them: copy, compare, then delete the source
    Mv(copy::Copy),
    /// Delete objects, prefixes and folders
    Rm(prune::Rm),
    /// Make one place like another: copy what is new or differs
    Sync(sync::Options),
    /// Uploads in parts that nobody completed: list them, abort them
    #[command(subcommand)]
    Uploads(prune::Uploads),
    /// Convert a table to GeoParquet
    Convert(work::Convert),
    /// Benchmark random patch reads of formats and storages
    #[command(subcommand)]
    Bench(work::Bench),
    /// What ran, runs, and can be resumed
    #[command(subcommand)]
    Jobs(jobs::Verb),
    /// Places: list them, or check whether one works
    #[command(subcommand)]
    Places(places::Verb),
    /// Make a bucket
    Mb {
        /// s3://bucket/
        location: String,
    },
}

impl Verb {
    /// Whether it may move many bytes, so that limits are worth a word.
    fn is_work(&self) -> bool {
        !matches!(
            self,
            Self::Ls { .. }
                | Self::Stat(_)
                | Self::Du(_)
                | Self::Cat { .. }
                | Self::Presign(_)
                | Self::Preview(_)
                | Self::Sql(_)
                | Self::Places(_)
                | Self::Mb { .. }
                | Self::Demo { .. }
        ) && !matches!(self, Self::Jobs(verb) if !verb.is_work())
    }
}

impl Global {
    /// The limits that they and the configuration set.
    fn limits(&self, config: &Config) -> Limits {
        Limits::find(config, self.concurrency, self.bandwidth)
    }

    /// The store options they make.
    pub fn store_options(&self, limits: &Limits) -> Options {
        Options {
            profile: self.profile.clone(),
            endpoint_url: self.endpoint_url.clone(),
            region: self.region.clone(),
            no_sign_request: self.no_sign_request,
            path_style: self.path_style.then_some(true),
            ca_bundle: self.ca_bundle.clone(),
            read_only: self.read_only,
            concurrency: limits.concurrency,
            bandwidth: limits.bandwidth,
            ..Options::default()
        }
    }
}

/// Runs what the command line asks for; gives the exit code.
pub async fn run(cli: Cli) -> Result<u8> {
    let Cli { location, verb, global } = cli;
    if let (Some(location), Some(_)) = (&location, &verb) {
        return Err(
            Error::usage(format!("`{location}` stands before a command")).with_hint("name it after the command")
        );
    }
    match verb {
        None => tui::run(tui::Start::At(location), &global).await,
        Some(Verb::Demo { serve: false }) => tui::run(tui::Start::Demo, &global).await,
        Some(Verb::Demo { serve: true }) => tui::serve_demo().await,
        Some(verb) => run_verb(verb, &global).await.map(|()| 0),
    }
}

/// The configuration. A computer without a home folder has none.
fn config(global: &Global) -> Result<Config> {
    match (&global.config, Folders::find()) {
        (Some(file), _) => Config::load(file),
        (None, Ok(folders)) => Config::load(&folders.config.join("config.toml")),
        (None, Err(_)) => Ok(Config::default()),
    }
}

async fn run_verb(verb: Verb, global: &Global) -> Result<()> {
    if let Verb::Preview(args) = &verb {
        preview::prepare(args);
    }
    let config = config(global)?;
    let limits = global.limits(&config);
    let mut options = global.store_options(&limits);
    options.places = config.places;
    let stores = Stores::new(options);
    // Written to its end when it is dropped.
    let _log = global.log.as_deref().map(|file| stores.log_to(file)).transpose()?;
    if verb.is_work()
        && out::is_progress_shown()
        && let Some(words) = limits.words()
    {
        out::say(&words);
    }
    match verb {
        Verb::Ls { location, recursive, limit } => ls::ls(&stores, &location, recursive, limit, global.json).await,
        Verb::Stat(args) => stat::run(&stores, args, global.json).await,
        Verb::Du(args) => du::du(&stores, args, global.json).await,
        Verb::Cat { location, range, head } => {
            let range = match (range, head) {
                (Some(range), _) => Some(ls::parse_range(&range)?),
                (None, n) => n.map(|n| GetRange::Bounded(0..n)),
            };
            ls::cat(&stores, &location, range).await
        }
        Verb::Presign(args) => presign::run(&stores, args, global.json).await,
        Verb::Preview(args) => preview::run(&stores, args, global.json).await,
        Verb::Sql(args) => sql::run(stores, args, global.json).await,
        Verb::Put(args) => work::put(stores, args, global.json).await,
        Verb::Get(args) => get::get(stores, args, global.json).await,
        Verb::Profile(args) => profile::run(stores, args, global.json).await,
        Verb::Cp(args) => copy::run(stores, args, false, global.json).await,
        Verb::Mv(args) => copy::run(stores, args, true, global.json).await,
        Verb::Rm(args) => prune::rm(stores, args, global.json).await,
        Verb::Sync(args) => sync::run(stores, args, global.json).await,
        Verb::Uploads(verb) => prune::uploads(stores, verb, global.json).await,
        Verb::Convert(args) => work::convert(stores, args, global.json).await,
        Verb::Bench(verb) => work::bench(stores, verb, global.json).await,
        Verb::Jobs(verb) => jobs::manage(stores, verb, limits.jobs, global.json).await,
        Verb::Mb { location } => ls::mb(&stores, &location, global.json).await,
        Verb::Places(verb) => places::run(&stores, verb, global.json).await,
        Verb::Demo { .. } => Err(Error::usage("the demo is started by the program itself")),
    }
}

/// Says an error on stderr as the command line does it, and gives its exit code.
pub fn report(err: &Error, json: bool) -> u8 {
    if out::is_closed_pipe(err) {
        return 0;
    }
    out::error(err, json);
    err.exit_code()
}
