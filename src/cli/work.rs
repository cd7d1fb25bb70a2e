//! Work without a screen: `put`, `convert`, `bench run`.

use super::jobs::run;
use super::out;
use crate::bench::{Report, Spec, compare};
use crate::error::{Context as _, Result};
use crate::job::JobSpec;
use crate::jobs;
use crate::location::Location;
use crate::store::Stores;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Options of `put`. Folders go with all that is in them: links to files are followed, links to folders and empty
/// folders are left out, and that is said.
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
    /// Encryption on the server: AES256, aws:kms
    #[arg(long, value_name = "KIND", hide_possible_values = true, value_parser = ["AES256", "aws:kms", "aws:kms:dsse"])]
    pub sse: Option<String>,
    /// Id of the key, with --sse aws:kms; the bucket's own where none is given
    #[arg(long, value_name = "ID", requires = "sse")]
    pub sse_kms_key_id: Option<String>,
    /// Canned access control list: private, public-read, bucket-owner-full-control, …
    #[arg(long, value_name = "ACL", hide_possible_values = true, value_parser = crate::store::CANNED_ACLS)]
    pub acl: Option<String>,
    /// How what arrives is proved: auto, crc32c, sha256, md5, none
    #[arg(long, value_name = "KIND", default_value = "auto", hide_possible_values = true, value_parser = ["auto", "crc32c", "sha256", "md5", "none"])]
    pub checksum: String,
    /// If something stands there: fail, skip, overwrite, rename, ask
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
    /// If something stands there: fail, skip, overwrite, rename, ask
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
            "encryption": args.sse,
            "encryption_key": args.sse_kms_key_id,
            "acl": args.acl,
        },
        "if_exists": args.if_exists.parse::<crate::transfer::IfExists>()?,
        "checksum": args.checksum.parse::<crate::transfer::Checksum>()?,
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
