//! `places ls` and `places test`: what is configured, and whether it works.

use super::out;
use crate::error::{Error, Result};
use crate::location::{Location, Scheme};
use crate::store::{Origin, Stores};
use crate::text;
use clap::Subcommand;
use futures::StreamExt as _;
use serde_json::json;

/// Verbs of `places`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Places of config.toml, profiles of ~/.aws, files of s3cmd
    Ls,
    /// Whether a place works: who am I, which buckets, round-trip time
    Test {
        /// Its name, or an address
        place: String,
    },
}

/// Runs one.
pub(super) async fn run(stores: &Stores, verb: Verb, json: bool) -> Result<()> {
    match verb {
        Verb::Ls => ls(stores, json),
        Verb::Test { place } => test(stores, &place, json).await,
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Program => "demo",
        Origin::Place => "place",
        Origin::Aws => "aws",
        Origin::S3cfg => "s3cfg",
    }
}

fn ls(stores: &Stores, json: bool) -> Result<()> {
    let places = stores.options().places.clone();
    for profile in stores.profiles() {
        let place = places.get(&profile.name).filter(|_| profile.origin == Origin::Place);
        let account = || Ok(Location::new(Scheme::S3, Some(profile.name.clone()), "", ""));
        let location = place.map_or_else(account, |place| place.location(&profile.name))?;
        let endpoint = profile.endpoint.as_deref().unwrap_or("Amazon");
        if json {
            out::json(&json!({
                "name": profile.name,
                "kind": origin(profile.origin),
                "location": location,
                "endpoint": profile.endpoint,
                "region": profile.region,
                "credentials": profile.credentials,
                "read_only": place.and_then(|p| p.read_only),
            }))?;
        } else {
            line(&profile.name, origin(profile.origin), &location, endpoint, &profile.credentials)?;
        }
    }
    // What is not S3, and addresses under a name.
    for (name, place) in places.iter().filter(|(_, p)| !p.is_account() || p.scheme() != Scheme::S3) {
        let location = place.location(name)?;
        if json {
            out::json(&json!({ "name": name, "kind": "place", "location": location, "read_only": place.read_only }))?;
        } else {
            line(name, "place", &location, "", "")?;
        }
    }
    Ok(())
}

fn line(name: &str, kind: &str, location: &Location, endpoint: &str, credentials: &str) -> Result<()> {
    let row = format!(
        "{name:<16}  {kind:<5}  {location:<28}  {endpoint:<32}  {credentials}",
        location = location.to_string()
    );
    out::line(text::clean(&row).trim_end())
}

/// A name of a place or profile, else an address.
fn find(stores: &Stores, name: &str) -> Result<Location> {
    if let Some(place) = stores.options().places.get(name) {
        return place.location(name);
    }
    let is_address = name.contains("://") || name.contains('/') || name.starts_with(['.', '~']);
    if is_address && !stores.profiles().iter().any(|p| p.name == name) {
        return Location::parse(name);
    }
    Ok(Location::new(Scheme::S3, Some(name.to_owned()), "", ""))
}

async fn test(stores: &Stores, name: &str, json: bool) -> Result<()> {
    let location = find(stores, name)?;
    let mut findings = stores.check(&location);
    let mut failed: Option<Error> = None;
    while let Some(finding) = findings.next().await {
        let topic = finding.topic.as_str();
        let state = match (&finding.result, finding.warns) {
            (Ok(_), false) => "ok",
            (Ok(_), true) => "warning",
            (Err(_), _) => "failed",
        };
        let words = finding.result.as_ref().map_or_else(ToString::to_string, Clone::clone);
        let hint = finding.result.as_ref().err().and_then(Error::hint).map(str::to_owned);
        if json {
            out::json(&json!({ "check": topic, "state": state, "said": words, "hint": hint, "data": finding.data }))?;
        } else {
            out::line(&format!("{state:<8}  {topic:<11}  {}", text::clean(&words)))?;
            if let Some(hint) = hint {
                out::line(&format!("{:23}{}", "", text::clean(&hint)))?;
            }
        }
        if let (Err(err), None) = (finding.result, &failed) {
            failed = Some(err);
        }
    }
    failed.map_or(Ok(()), |err| Err(err.context(format!("the place {name} does not work"))))
}
