//! What a check asks of an S3 server: see [`crate::store::Stores::check`].

use super::{Account, KeysOf, S3};
use crate::error::{Error, Kind};
use crate::location::Location;
use crate::store::Stores;
use crate::store::check::{Report, Topic, knock, some_of};
use crate::store::errors::{Doing, Fault};
use crate::store::metered::Traffic;
use crate::store::profiles::masked;
use aws_sdk_s3::config::{BehaviorVersion, Region, SharedCredentialsProvider, retry::RetryConfig};
use serde_json::json;
use std::time::{Duration, SystemTime};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Names of buckets that are told.
const NAMES: usize = 5;

/// Who the list of buckets says one is.
struct Owner {
    id: String,
    name: Option<String>,
}

impl Account {
    /// Checks the place at `location`.
    pub(in crate::store) async fn look_into(&self, stores: &Stores, location: &Location, report: &Report) {
        let id = location.store();
        let region = self.access.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        let site = self.site(id, &region, false);
        let endpoint = self.endpoint(&region);
        let keys = self.tell_keys(stores, location, report).await;
        // Whoever does not answer is not asked who one is: a dead host is said once.
        if knock(stores, &self.http, endpoint.trim_end_matches('/'), &site, report).await && keys {
            self.ask(stores, location, report).await;
        }
    }

    /// Where the keys come from, and until when they last; `false` where they cannot be had.
    async fn tell_keys(&self, stores: &Stores, location: &Location, report: &Report) -> bool {
        let Some(keys) = &self.keys else {
            report.good(Topic::Keys, "none: requests are unsigned");
            return true;
        };
        match tokio::time::timeout(PATIENCE, keys.get()).await {
            Ok(Ok(found)) => {
                let name = location.profile().map(str::to_owned).or_else(|| self.access.profile.clone());
                let from = match name {
                    Some(name) => stores.credentials_words(&name),
                    None => "the environment".to_owned(),
                };
                let id = masked(found.access_key_id());
                let id = if from.contains(&id) { from } else { format!("key {id} from {from}") };
                let ends = found.expiry().and_then(|at| at.duration_since(SystemTime::now()).ok());
                let words = match ends {
                    Some(left) => format!("{id}; ends in {}", crate::text::duration(left)),
                    None => id,
                };
                report.good(Topic::Keys, words);
                true
            }
            Ok(Err(err)) => {
                report.bad(Topic::Keys, err);
                false
            }
            Err(_) => {
                report.bad(Topic::Keys, Error::new(Kind::Unreachable, "the credentials could not be had in time"));
                false
            }
        }
    }

    async fn ask(&self, stores: &Stores, location: &Location, report: &Report) {
        let traffic = Traffic {
            meter: stores.meter().clone(),
            gate: stores.0.gate.clone(),
            throttle: stores.0.throttle.clone(),
            waits: stores.waits(),
        };
        let account = crate::location::StoreId { authority: String::new(), ..location.store().clone() };
        // Amazon shows nobody a list of all public buckets.
        let lists = self.keys.is_some() || self.access.endpoint.is_some();
        let buckets = async {
            match self.open(&account).await {
                Ok(s3) if lists => s3.tell_buckets(&traffic, location, report).await,
                Ok(_) => None,
                Err(err) => {
                    report.bad(Topic::Buckets, err);
                    None
                }
            }
        };
        let start = async {
            if location.bucket().is_empty() {
                return;
            }
            if let Ok(s3) = self.open(location.store()).await {
                report.with(Topic::Region, s3.site.region.clone(), json!({ "region": s3.site.region }));
            }
            stores.list_start(location, report).await;
        };
        let (owner, caller, ()) = tokio::join!(buckets, self.caller(), start);
        match (caller, owner) {
            (Some((arn, account)), _) => {
                report.with(Topic::Who, format!("{arn}, account {account}"), json!({ "arn": arn, "account": account }));
            }
            (None, Some(owner)) => {
                let words = match &owner.name {
                    Some(name) if *name != owner.id => format!("{name} ({})", owner.id),
                    _ => owner.id.clone(),
                };
                report.with(Topic::Who, words, json!({ "owner": owner.id, "name": owner.name }));
            }
            // The server has refused the keys, or told nothing; the other findings say which.
            (None, None) => {}
        }
    }

    /// Who STS says one is, where the server has it: name and account.
    async fn caller(&self) -> Option<(String, String)> {
        let keys = self.keys.as_ref()?;
        let region = self.access.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        let mut config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .http_client(self.sdk_http.clone())
            .retry_config(RetryConfig::disabled())
            .credentials_provider(SharedCredentialsProvider::new(KeysOf(keys.clone())));
        if let Some(endpoint) = &self.access.endpoint {
            config = config.endpoint_url(endpoint);
        }
        let client = aws_sdk_sts::Client::from_conf(config.build());
        let answer = tokio::time::timeout(PATIENCE, client.get_caller_identity().send()).await.ok()?.ok()?;
        Some((answer.arn()?.to_owned(), answer.account()?.to_owned()))
    }
}

impl S3 {
    /// Counts and names the buckets; gives their owner.
    async fn tell_buckets(&self, traffic: &Traffic, location: &Location, report: &Report) -> Option<Owner> {
        let answer = self.call(Some(traffic), 0, |tap| self.client.list_buckets().customize().interceptor(tap).send());
        let answer = match answer.await {
            Ok(answer) => answer,
            Err(failure) => {
                let mut err = self.sentence(&failure, Doing::ListBuckets, "");
                if matches!(failure.fault.code.as_str(), "AccessDenied" | "") && err.kind() == Kind::Denied {
                    err = err.with_hint("check both keys and the endpoint; e on Places edits them");
                }
                // Many keys may read one bucket and list none.
                if !location.bucket().is_empty() && is_forbidden(&failure.fault) {
                    report.warn(Topic::Buckets, "these keys may not list them");
                } else {
                    report.bad(Topic::Buckets, err);
                }
                return None;
            }
        };
        let names: Vec<String> = answer.buckets().iter().filter_map(|b| b.name().map(str::to_owned)).collect();
        let more = if answer.continuation_token().is_some() { "more than " } else { "" };
        let words = match names.len() {
            0 => "none yet".to_owned(),
            1 => format!("1: {}", names[0]),
            n => format!("{more}{n}: {}", some_of(&names[..n.min(NAMES)], n)),
        };
        report.with(Topic::Buckets, words, json!({ "count": names.len(), "names": names }));
        let owner = answer.owner()?;
        Some(Owner { id: owner.id()?.to_owned(), name: owner.display_name().map(str::to_owned) })
    }
}

/// Refused for what one may do, and not for who one is.
fn is_forbidden(fault: &Fault) -> bool {
    matches!(fault.code.as_str(), "AccessDenied" | "AllAccessDisabled")
        || fault.code.is_empty() && fault.status == Some(403)
}
