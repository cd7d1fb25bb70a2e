//! `stat`: what is known of an object, of a bucket, of all versions.

use super::out;
use crate::entry::{Stat, Version};
use crate::error::Result;
use crate::location::{Location, Scheme};
use crate::store::{Fact, Stores};
use crate::text;
use futures::TryStreamExt as _;
use serde_json::{Map, Value, json};

/// What is asked for.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// An object, one version of it (…?versionId=ID), or a bucket (s3://bucket/)
    pub location: String,
    /// List the versions of the object, or of all objects below a prefix, deleted ones too
    #[arg(long)]
    pub versions: bool,
}

pub(super) async fn run(stores: &Stores, args: Args, json: bool) -> Result<()> {
    let location = Location::parse(&args.location)?;
    if args.versions {
        return versions(stores, &location, json).await;
    }
    if location.scheme() == Scheme::S3 && location.key().is_empty() && !location.is_account() {
        return bucket(stores, &location, json).await;
    }
    let stat = out::about(stores.stat(&location, stores.meter()).await, "asking for", &location)?;
    if json { out::json(&stat) } else { object(&stat) }
}

fn row(name: &str, value: &str) -> Result<()> {
    out::line(&format!("{name:<16} {}", text::clean(value)))
}

fn object(stat: &Stat) -> Result<()> {
    row("location", &stat.location.to_string())?;
    row("size", &format!("{} ({} bytes)", text::bytes(stat.size), stat.size))?;
    let detail = &stat.detail;
    let facts = [
        ("modified", stat.modified.map(|t| t.to_rfc3339())),
        ("content type", stat.content_type.clone()),
        ("encoding", detail.content_encoding.clone()),
        ("language", detail.content_language.clone()),
        ("disposition", detail.content_disposition.clone()),
        ("cache control", detail.cache_control.clone()),
        ("expires", detail.expires.clone()),
        ("redirects to", detail.website_redirect.clone()),
        ("ETag", stat.etag.clone()),
        ("parts", detail.parts.map(|n| n.to_string())),
        ("storage class", stat.storage_class.clone()),
        ("encryption", detail.encryption.clone()),
        ("key", detail.encryption_key.clone()),
        ("version", stat.version.clone()),
        ("archive", detail.restore.clone()),
        ("deleted by rule", detail.expiration.clone()),
        ("replication", detail.replication.clone()),
        ("locked", detail.lock_mode.clone()),
        ("locked until", detail.lock_until.map(|t| t.to_rfc3339())),
        ("legal hold", detail.legal_hold.clone()),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            row(name, &value)?;
        }
    }
    for (name, sum) in &detail.checksums {
        row(name, sum)?;
    }
    for (title, map) in [("metadata", &stat.metadata), ("tag", &stat.tags)] {
        for (key, value) in map {
            row(title, &format!("{key} = {value}"))?;
        }
    }
    Ok(())
}

/// All facts of a bucket. In JSON a fact that is not set is `null`; those that the server does not
/// offer, denies, or failed to tell are named in lists of their own.
async fn bucket(stores: &Stores, location: &Location, json: bool) -> Result<()> {
    let handle = out::about(stores.open(location, stores.meter()).await, "asking for", location)?;
    // A bucket that is not there, or may not be seen, has no facts at all.
    out::about(handle.check_bucket().await, "asking for", location)?;
    let mut facts: Vec<_> = out::about(handle.bucket_facts().try_collect().await, "asking for", location)?;
    facts.sort_by_key(|(aspect, _)| *aspect);
    if !json {
        row("location", &location.to_string())?;
        for (aspect, fact) in facts {
            let lines = fact.known().map(|told| told.lines.clone());
            let lines = lines.unwrap_or_else(|| vec![format!("({})", fact.words().unwrap_or_default())]);
            for (i, line) in lines.iter().enumerate() {
                row(if i == 0 { aspect.title() } else { "" }, line)?;
            }
        }
        return Ok(());
    }
    let mut object = Map::new();
    object.insert("location".into(), json!(location));
    let (mut not_offered, mut denied, mut failed) = (Vec::new(), Vec::new(), Map::new());
    for (aspect, fact) in facts {
        let name = aspect.name();
        let value = match fact {
            Fact::Known(told) => told.value,
            Fact::NotSet => Value::Null,
            Fact::NotOffered => {
                not_offered.push(name);
                continue;
            }
            Fact::Denied => {
                denied.push(name);
                continue;
            }
            Fact::Failed(why) => {
                failed.insert(name.into(), Value::String(why));
                continue;
            }
        };
        object.insert(name.into(), value);
    }
    object.insert("not_offered".into(), json!(not_offered));
    object.insert("denied".into(), json!(denied));
    object.insert("failed".into(), Value::Object(failed));
    out::json(&Value::Object(object))
}

async fn versions(stores: &Stores, location: &Location, json: bool) -> Result<()> {
    let mut pages = stores.versions(location, location.is_container());
    let mut any = false;
    while let Some(page) = out::about(pages.try_next().await, "listing the versions of", location)? {
        any |= !page.is_empty();
        for version in &page {
            if json { out::json(version)? } else { line(version)? }
        }
    }
    if !any && !location.is_container() {
        // There never was such a key: said as for any other question.
        out::about(stores.stat(location, stores.meter()).await, "asking for", location)?;
    }
    Ok(())
}

fn line(version: &Version) -> Result<()> {
    let state = if version.deleted {
        "deleted"
    } else if version.current {
        "current"
    } else {
        "old"
    };
    let size = version.size.map_or_else(|| "-".to_owned(), text::bytes);
    let time = version.modified.map_or_else(|| "-".to_owned(), |t| t.format("%Y-%m-%d %H:%M").to_string());
    let key = text::clean(version.location.key());
    out::line(&format!("{state:<7} {size:>10}  {time:<16}  {:<32}  {key}", text::clean(&version.id)))
}
