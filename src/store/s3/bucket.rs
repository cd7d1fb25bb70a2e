//! Facts of a bucket, each by a request of its own: a server has it, has it not set, does not offer
//! it, or denies it. See [`super::ask`] for how servers say so.

use super::ask::Peek;
use super::{S3, rules, stat};
use crate::error::Result;
use crate::store::errors::{Doing, element};
use crate::store::facts::{Aspect, Fact, Grant, Told};
use crate::store::metered::Traffic;
use crate::text;
use aws_sdk_s3::types::{
    self, BucketVersioningStatus, ObjectLockConfiguration, ObjectLockRetentionMode, ServerSideEncryption,
};
use futures::stream::{BoxStream, StreamExt as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Questions under way at once.
const AT_ONCE: usize = 6;

fn told(line: impl Into<String>, value: Value) -> Told {
    Told { lines: vec![line.into()], value }
}

/// Lines and data of a list; an empty one is not set.
fn list(items: impl IntoIterator<Item = (String, Value)>) -> Fact<Told> {
    let (lines, values): (Vec<String>, Vec<Value>) = items.into_iter().unzip();
    if lines.is_empty() { Fact::NotSet } else { Fact::Known(Told { lines, value: Value::Array(values) }) }
}

/// Flattens a fact of which the answer itself says that nothing is set.
fn flat(fact: Fact<Fact<Told>>) -> Fact<Told> {
    match fact {
        Fact::Known(inner) => inner,
        Fact::NotSet => Fact::NotSet,
        Fact::NotOffered => Fact::NotOffered,
        Fact::Denied => Fact::Denied,
        Fact::Failed(why) => Fact::Failed(why),
    }
}

/// One question: the SDK's call, the root elements of its answer, and what is made of it.
macro_rules! ask {
    ($s3:ident, $traffic:ident, $call:ident, $roots:expr, $make:expr) => {{
        let answer = $s3.ask($traffic, "", &$roots, |tap, peek| {
            $s3.client.$call().bucket($s3.bucket()).customize().interceptor(tap).interceptor(peek).send()
        });
        flat(answer.await.map($make))
    }};
}

impl S3 {
    /// All facts, each as it arrives.
    pub(in crate::store) fn bucket_facts(
        self: Arc<Self>,
        traffic: Traffic,
    ) -> BoxStream<'static, (Aspect, Fact<Told>)> {
        // One HEAD tells two of them.
        let rest = Aspect::ALL.iter().copied().filter(|a| !matches!(a, Aspect::Content | Aspect::Quota));
        let asked = std::iter::once(None).chain(rest.map(Some));
        futures::stream::iter(asked)
            .map(move |aspect| {
                let (s3, traffic) = (self.clone(), traffic.clone());
                async move {
                    match aspect {
                        Some(aspect) => vec![(aspect, s3.bucket_fact(&traffic, aspect).await)],
                        None => s3.counts(&traffic).await,
                    }
                }
            })
            .buffer_unordered(AT_ONCE)
            .flat_map(futures::stream::iter)
            .boxed()
    }

    /// One of them, by a request or two.
    pub(in crate::store) async fn bucket_fact(self: &Arc<Self>, traffic: &Traffic, aspect: Aspect) -> Fact<Told> {
        let s3 = self;
        match aspect {
            Aspect::Region => ask!(s3, traffic, get_bucket_location, ["LocationConstraint"], |a| {
                // Amazon says nothing of its first region.
                let region =
                    a.location_constraint().map(types::BucketLocationConstraint::as_str).filter(|r| !r.is_empty());
                let region = region.unwrap_or("us-east-1").to_owned();
                Fact::Known(told(region.clone(), json!(region)))
            }),
            Aspect::Content | Aspect::Quota => {
                let found = self.counts(traffic).await;
                found.into_iter().find(|(a, _)| *a == aspect).map_or(Fact::NotOffered, |(_, fact)| fact)
            }
            Aspect::Access => ask!(s3, traffic, get_bucket_acl, ["AccessControlPolicy"], |a| {
                let access = stat::access(a.owner, a.grants);
                let mut lines = vec![access.owner.clone()];
                if !access.is_default() {
                    lines.extend(access.grants.iter().map(Grant::words));
                }
                Fact::Known(Told { lines, value: json!(access) })
            }),
            Aspect::Versioning => ask!(s3, traffic, get_bucket_versioning, ["VersioningConfiguration"], |a| {
                Fact::Known(match a.status() {
                    Some(BucketVersioningStatus::Enabled) => told("on: old versions are kept", json!("Enabled")),
                    Some(BucketVersioningStatus::Suspended) => {
                        told("suspended: what was kept stays, nothing new is kept", json!("Suspended"))
                    }
                    Some(other) => told(other.as_str(), json!(other.as_str())),
                    None => told("off: what is overwritten or deleted is gone", Value::Null),
                })
            }),
            Aspect::ObjectLock => {
                ask!(s3, traffic, get_object_lock_configuration, ["ObjectLockConfiguration"], |a| {
                    a.object_lock_configuration().map_or(Fact::NotSet, |lock| Fact::Known(object_lock(lock)))
                })
            }
            Aspect::Encryption => {
                ask!(s3, traffic, get_bucket_encryption, ["ServerSideEncryptionConfiguration"], |a| {
                    let config = a.server_side_encryption_configuration();
                    let rules = config.map(types::ServerSideEncryptionConfiguration::rules).unwrap_or_default();
                    let defaults = rules.iter().filter_map(|r| r.apply_server_side_encryption_by_default());
                    list(defaults.map(|d| {
                        let words = match d.sse_algorithm() {
                            ServerSideEncryption::Aes256 => "with keys of the server (AES256)".to_owned(),
                            other => other.as_str().to_owned(),
                        };
                        let key = d.kms_master_key_id();
                        let with = key.map(|k| format!(", key {k}")).unwrap_or_default();
                        (format!("{words}{with}"), json!({ "algorithm": d.sse_algorithm().as_str(), "key": key }))
                    }))
                })
            }
            Aspect::Public => self.public(traffic).await,
            Aspect::Policy => ask!(s3, traffic, get_bucket_policy, [], |a| policy(a.policy().unwrap_or_default())),
            Aspect::Lifecycle => {
                let roots = ["LifecycleConfiguration"];
                ask!(s3, traffic, get_bucket_lifecycle_configuration, roots, |a| {
                    list(a.rules().iter().map(rules::lifecycle))
                })
            }
            Aspect::Cors => ask!(s3, traffic, get_bucket_cors, ["CORSConfiguration"], |a| {
                list(a.cors_rules().iter().map(rules::cors))
            }),
            Aspect::Tags => ask!(s3, traffic, get_bucket_tagging, ["Tagging"], |a| {
                let tags: BTreeMap<&str, &str> = a.tag_set().iter().map(|t| (t.key(), t.value())).collect();
                let lines: Vec<String> = tags.iter().map(|(k, v)| format!("{k} = {v}")).collect();
                if lines.is_empty() { Fact::NotSet } else { Fact::Known(Told { lines, value: json!(tags) }) }
            }),
            Aspect::Notifications => {
                let roots = ["NotificationConfiguration"];
                ask!(s3, traffic, get_bucket_notification_configuration, roots, |a| {
                    let topics = a.topic_configurations().iter();
                    let topics = topics.map(|t| rules::notification("topic", t.id(), t.topic_arn(), t.events()));
                    let queues = a.queue_configurations().iter();
                    let queues = queues.map(|q| rules::notification("queue", q.id(), q.queue_arn(), q.events()));
                    let functions = a.lambda_function_configurations().iter();
                    let functions =
                        functions.map(|f| rules::notification("function", f.id(), f.lambda_function_arn(), f.events()));
                    list(topics.chain(queues).chain(functions))
                })
            }
            Aspect::Website => ask!(s3, traffic, get_bucket_website, ["WebsiteConfiguration"], |a| {
                let to = a.redirect_all_requests_to().map(|r| format!("leads to {}", r.host_name()));
                let pages = [
                    a.index_document().map(|d| format!("{} in each folder", d.suffix())),
                    a.error_document().map(|d| format!("{} for errors", d.key())),
                ];
                let lines: Vec<String> = to.into_iter().chain(pages.into_iter().flatten()).collect();
                if lines.is_empty() { Fact::NotSet } else { Fact::Known(Told { value: json!(lines), lines }) }
            }),
            Aspect::Logging => ask!(s3, traffic, get_bucket_logging, ["BucketLoggingStatus"], |a| {
                a.logging_enabled().map_or(Fact::NotSet, |log| {
                    let to = format!("s3://{}/{}", log.target_bucket(), log.target_prefix());
                    Fact::Known(told(format!("to {to}"), json!(to)))
                })
            }),
            Aspect::Replication => ask!(s3, traffic, get_bucket_replication, ["ReplicationConfiguration"], |a| {
                // Ceph sends one without rules and with an empty role where there is none.
                let config = a.replication_configuration();
                let rules = config.map(types::ReplicationConfiguration::rules).unwrap_or_default();
                list(rules.iter().map(|r| {
                    let to = r.destination().map_or("?", |d| d.bucket());
                    let id = r.id().map(|id| format!("{id}: ")).unwrap_or_default();
                    (format!("{id}to {to} ({})", r.status().as_str()), json!({ "id": r.id(), "to": to }))
                }))
            }),
        }
    }

    /// Whether it is there and may be seen.
    pub(in crate::store) async fn check_bucket(&self, traffic: &Traffic) -> Result<()> {
        let answer = self.call(Some(traffic), 0, |tap| {
            self.client.head_bucket().bucket(self.bucket()).customize().interceptor(tap).send()
        });
        answer.await.map(drop).map_err(|mut failure| {
            // The answer to a HEAD has no body that would say it.
            if failure.fault.status == Some(404) {
                "NoSuchBucket".clone_into(&mut failure.fault.code);
            }
            self.sentence(&failure, Doing::Read, "")
        })
    }

    /// What Ceph tells of a bucket in the headers of a HEAD: nobody else does.
    async fn counts(&self, traffic: &Traffic) -> Vec<(Aspect, Fact<Told>)> {
        let peek = Peek::default();
        let answer = self.call(Some(traffic), 0, |tap| {
            let request = self.client.head_bucket().bucket(self.bucket());
            request.customize().interceptor(tap).interceptor(peek.clone()).send()
        });
        if let Err(mut failure) = answer.await {
            if failure.fault.status == Some(404) {
                "NoSuchBucket".clone_into(&mut failure.fault.code);
            }
            let why = self.sentence(&failure, Doing::Read, "").to_string();
            return vec![(Aspect::Content, Fact::Failed(why)), (Aspect::Quota, Fact::NotOffered)];
        }
        let headers = peek.seen().headers;
        let number = |name: &str| headers.get(name).and_then(|v| v.parse::<i64>().ok());
        let content = match (number("x-rgw-object-count"), number("x-rgw-bytes-used")) {
            (Some(objects), Some(bytes)) => {
                let (objects, bytes) = (objects.max(0).unsigned_abs(), bytes.max(0).unsigned_abs());
                let s = if objects == 1 { "" } else { "s" };
                let line =
                    format!("{} object{s}, {}; old versions count too", text::count(objects), text::bytes(bytes));
                Fact::Known(told(line, json!({ "objects": objects, "bytes": bytes })))
            }
            _ => Fact::NotOffered,
        };
        vec![(Aspect::Content, content), (Aspect::Quota, quota(number))]
    }

    /// Whether the policy makes it public, and what forbids that.
    ///
    /// Ceph 16 names the root of its answer about forbidding otherwise than Amazon, so that the SDK may
    /// find nothing in it: it is read here.
    async fn public(self: &Arc<Self>, traffic: &Traffic) -> Fact<Told> {
        let status = self.ask(traffic, "", &["PolicyStatus"], |tap, peek| {
            let request = self.client.get_bucket_policy_status().bucket(self.bucket());
            request.customize().interceptor(tap).interceptor(peek).send()
        });
        let peek = Peek::default();
        let block = self.call(Some(traffic), 0, |tap| {
            let request = self.client.get_public_access_block().bucket(self.bucket());
            request.customize().interceptor(tap).interceptor(peek.clone()).send()
        });
        let (status, block) = tokio::join!(status, block);
        let body = peek.seen().body;
        let status = status.map(|s| s.policy_status().and_then(types::PolicyStatus::is_public).unwrap_or_default());
        let well = match &block {
            Ok(_) => true,
            Err(failure) => matches!(failure.fault.status, Some(200..300)),
        };
        let rules = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
        let rules: Vec<&str> = rules
            .into_iter()
            .filter(|rule| well && element(&body, rule).is_some_and(|on| on.trim().eq_ignore_ascii_case("true")))
            .collect();
        let words = match &status {
            Fact::Known(true) => "public by its policy",
            Fact::Known(false) | Fact::NotSet => "not public by its policy",
            _ if rules.is_empty() => return status.map(|_| told("", Value::Null)),
            _ => "whether its policy makes it public is not known",
        };
        let mut lines = vec![words.to_owned()];
        if !rules.is_empty() {
            lines.push(format!("forbidden by {}", rules.join(", ")));
        }
        Fact::Known(Told { lines, value: json!({ "policy_is_public": status.known(), "forbidden_by": rules }) })
    }
}

fn quota(number: impl Fn(&str) -> Option<i64>) -> Fact<Told> {
    let mut lines = Vec::new();
    let mut value = serde_json::Map::new();
    let mut any = false;
    for (name, title) in [("bucket", "this bucket"), ("user", "all buckets of the owner")] {
        let (size, objects) =
            (number(&format!("x-rgw-quota-{name}-size")), number(&format!("x-rgw-quota-{name}-objects")));
        any |= size.is_some() || objects.is_some();
        let limit = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
        let parts: Vec<String> =
            [limit(size).map(text::bytes), limit(objects).map(|n| format!("{} objects", text::count(n)))]
                .into_iter()
                .flatten()
                .collect();
        if !parts.is_empty() {
            lines.push(format!("{title}: {}", parts.join(", ")));
            value.insert(name.to_owned(), json!({ "bytes": limit(size), "objects": limit(objects) }));
        }
    }
    match (any, lines.is_empty()) {
        (false, _) => Fact::NotOffered,
        (true, true) => Fact::NotSet,
        (true, false) => Fact::Known(Told { lines, value: Value::Object(value) }),
    }
}

fn object_lock(lock: &ObjectLockConfiguration) -> Told {
    let default = lock.rule().and_then(|r| r.default_retention());
    let words = match default {
        Some(d) => {
            let mode = d.mode().map_or("locked", ObjectLockRetentionMode::as_str);
            let time = match (d.days(), d.years()) {
                (Some(n), _) => format!(" for {n} days"),
                (_, Some(n)) => format!(" for {n} years"),
                _ => String::new(),
            };
            format!("on: new objects are locked{time} ({mode})")
        }
        None => "on: objects can be locked".to_owned(),
    };
    let days = default.and_then(types::DefaultRetention::days);
    let years = default.and_then(types::DefaultRetention::years);
    let mode = default.and_then(|d| d.mode()).map(ObjectLockRetentionMode::as_str);
    told(words, json!({ "mode": mode, "days": days, "years": years }))
}

/// A policy, indented. What is no JSON is an answer to another question.
fn policy(body: &str) -> Fact<Told> {
    match serde_json::from_str::<Value>(body) {
        Ok(value) => {
            let pretty = serde_json::to_string_pretty(&value).unwrap_or_else(|_| body.to_owned());
            Fact::Known(Told { lines: pretty.lines().map(str::to_owned).collect(), value })
        }
        Err(_) if body.trim().is_empty() => Fact::NotSet,
        Err(_) => Fact::NotOffered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_read_from_the_headers_of_ceph() {
        let of = |pairs: &[(&str, i64)]| {
            let map: BTreeMap<String, i64> = pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
            quota(|name| map.get(name).copied())
        };
        assert_eq!(of(&[]), Fact::NotOffered);
        assert_eq!(of(&[("x-rgw-quota-user-size", -1)]), Fact::NotSet);
        let set = of(&[("x-rgw-quota-bucket-size", 1 << 30), ("x-rgw-quota-bucket-objects", 5000)]);
        assert_eq!(set.known().map(|t| t.lines.clone()), Some(vec!["this bucket: 1.0 GiB, 5,000 objects".to_owned()]));
    }

    #[test]
    fn a_policy_is_shown_as_json_or_not_at_all() {
        assert_eq!(policy("{\"a\":[1]}").known().map(|t| t.lines.len()), Some(5));
        assert_eq!(policy("<ListBucketResult/>"), Fact::NotOffered);
        assert_eq!(policy(" "), Fact::NotSet);
    }
}
