//! The table of kinds of jobs. A new one: a file here and a line below.

pub mod abort;
pub mod bench;
pub mod convert;
pub mod copy;
pub mod delete;
pub mod download;
pub mod profile;
pub mod query;
pub mod sync;
pub mod upload;

use crate::error::{Error, Result};
use crate::job::{Job, JobSpec};
use serde_json::Value;

/// A kind of job: its name in specs and how it is made again from one.
pub struct Kind {
    /// Its name: `upload`.
    pub name: &'static str,
    /// Makes the job from [`JobSpec::params`].
    pub from_params: fn(Value) -> Result<Box<dyn Job>>,
}

/// The kinds.
pub const KINDS: &[Kind] = &[
    Kind { name: "upload", from_params: upload::Upload::from_params },
    Kind { name: "copy", from_params: copy::Copy::from_params },
    Kind { name: "delete", from_params: delete::Delete::from_params },
    Kind { name: "abort-uploads", from_params: abort::Abort::from_params },
    Kind { name: "sync", from_params: sync::Sync::from_params },
    Kind { name: "download", from_params: download::Download::from_params },
    Kind { name: "bench", from_params: bench::from_params },
    Kind { name: "profile", from_params: profile::Profile::from_params },
    Kind { name: "query", from_params: query::Query::from_params },
    Kind { name: "convert", from_params: convert::Convert::from_params },
];

/// The job that a spec describes.
pub fn from_spec(spec: JobSpec) -> Result<Box<dyn Job>> {
    let kind = KINDS
        .iter()
        .find(|k| k.name == spec.kind)
        .ok_or_else(|| Error::unsupported(format!("`{}` is not a kind of job of this version", spec.kind)))?;
    (kind.from_params)(spec.params)
}
