//! The rules of a bucket in words: lifecycle, CORS, notifications.

use super::time;
use aws_sdk_s3::types::{
    self, CorsRule, LifecycleRule, LifecycleRuleAndOperator as And, LifecycleRuleFilter as Filter,
};
use serde_json::{Value, json};
use std::fmt::Write as _;

fn days(n: i32) -> String {
    if n == 1 { "1 day".to_owned() } else { format!("{n} days") }
}

/// When something happens: after days, or on a date.
fn when(after: Option<i32>, date: Option<&aws_sdk_s3::primitives::DateTime>) -> String {
    match (after, date.and_then(time)) {
        (Some(n), _) => format!("after {}", days(n)),
        (None, Some(at)) => format!("on {}", at.format("%Y-%m-%d")),
        (None, None) => "at once".to_owned(),
    }
}

/// What a rule of a lifecycle is about: `objects below "tmp/" with the tag a=b`.
fn subject(rule: &LifecycleRule) -> String {
    let filter = rule.filter();
    let and = filter.and_then(|f| f.and());
    #[allow(deprecated)] // older buckets have it here
    let own = rule.prefix();
    let prefix = and.and_then(|a| a.prefix()).or(filter.and_then(|f| f.prefix())).or(own).unwrap_or_default();
    let tags = and.map(And::tags).unwrap_or_default().iter().chain(filter.and_then(|f| f.tag()));
    let tags: Vec<String> = tags.map(|t| format!("{}={}", t.key(), t.value())).collect();
    let above = and.and_then(And::object_size_greater_than).or(filter.and_then(Filter::object_size_greater_than));
    let below = and.and_then(And::object_size_less_than).or(filter.and_then(Filter::object_size_less_than));
    let size = |n: i64| crate::text::bytes(n.max(0).unsigned_abs());
    let mut out = if prefix.is_empty() { "all objects".to_owned() } else { format!("objects below \"{prefix}\"") };
    if !tags.is_empty() {
        let _ = write!(out, " with the tag {}", tags.join(" and "));
    }
    if let Some(n) = above {
        let _ = write!(out, " above {}", size(n));
    }
    if let Some(n) = below {
        let _ = write!(out, " below {}", size(n));
    }
    out
}

/// What a rule does, a clause each.
fn clauses(rule: &LifecycleRule) -> Vec<String> {
    let mut out = Vec::new();
    for to in rule.transitions() {
        let class = to.storage_class().map_or("another class", types::TransitionStorageClass::as_str);
        out.push(format!("move to {class} {}", when(to.days(), to.date())));
    }
    if let Some(end) = rule.expiration() {
        if end.days().is_some() || end.date().is_some() {
            out.push(format!("are deleted {}", when(end.days(), end.date())));
        }
        if end.expired_object_delete_marker() == Some(true) {
            out.push("marks of deletion with nothing below go".to_owned());
        }
    }
    for to in rule.noncurrent_version_transitions() {
        let class = to.storage_class().map_or("another class", types::TransitionStorageClass::as_str);
        out.push(format!("old versions move to {class} {}", when(to.noncurrent_days(), None)));
    }
    if let Some(end) = rule.noncurrent_version_expiration() {
        let kept = end.newer_noncurrent_versions().map(|n| format!(", the newest {n} stay")).unwrap_or_default();
        out.push(format!("old versions are deleted {}{kept}", when(end.noncurrent_days(), None)));
    }
    let abort = rule.abort_incomplete_multipart_upload();
    if let Some(n) = abort.and_then(types::AbortIncompleteMultipartUpload::days_after_initiation) {
        out.push(format!("uploads not completed go after {}", days(n)));
    }
    out
}

/// A rule of a lifecycle in one line, and as data.
pub(super) fn lifecycle(rule: &LifecycleRule) -> (String, Value) {
    let on = rule.status() == &types::ExpirationStatus::Enabled;
    let does = clauses(rule);
    let subject = subject(rule);
    let words = if does.is_empty() { "nothing happens".to_owned() } else { does.join("; ") };
    let off = if on { "" } else { " (switched off)" };
    let id = rule.id().filter(|id| !id.is_empty()).map(|id| format!("{id}{off}: "));
    let line = format!(
        "{}{subject}: {words}",
        id.unwrap_or_else(|| if on { String::new() } else { format!("{}: ", off.trim()) })
    );
    (line, json!({ "id": rule.id(), "enabled": on, "about": subject, "does": does }))
}

/// A rule of CORS in lines, and as data.
pub(super) fn cors(rule: &CorsRule) -> (String, Value) {
    let methods = rule.allowed_methods().join(" ");
    let mut line = format!("{methods} from {}", rule.allowed_origins().join(", "));
    for (what, list) in [("headers", rule.allowed_headers()), ("shows", rule.expose_headers())] {
        if !list.is_empty() {
            let _ = write!(line, "; {what} {}", list.join(", "));
        }
    }
    if let Some(seconds) = rule.max_age_seconds() {
        let _ = write!(line, "; remembered for {seconds} s");
    }
    let value = json!({
        "id": rule.id(),
        "methods": rule.allowed_methods(),
        "origins": rule.allowed_origins(),
        "headers": rule.allowed_headers(),
        "expose_headers": rule.expose_headers(),
        "max_age_seconds": rule.max_age_seconds(),
    });
    (line, value)
}

/// Where a notification goes and when, and as data.
pub(super) fn notification(kind: &str, id: Option<&str>, to: &str, events: &[types::Event]) -> (String, Value) {
    let events: Vec<&str> = events.iter().map(types::Event::as_str).collect();
    let when = if events.is_empty() { "everything".to_owned() } else { events.join(" ") };
    let id = id.map(|id| format!("{id}: ")).unwrap_or_default();
    (format!("{id}{when} to the {kind} {to}"), json!({ "id": id, "kind": kind, "to": to, "events": events }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::types::{
        AbortIncompleteMultipartUpload, ExpirationStatus, LifecycleExpiration, LifecycleRuleFilter,
        NoncurrentVersionExpiration, Transition, TransitionStorageClass,
    };

    #[test]
    fn a_rule_reads_as_a_sentence() {
        let rule = LifecycleRule::builder()
            .id("tidy")
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix("tmp/").build())
            .transitions(Transition::builder().days(3).storage_class(TransitionStorageClass::Glacier).build())
            .expiration(LifecycleExpiration::builder().days(30).build())
            .noncurrent_version_expiration(NoncurrentVersionExpiration::builder().noncurrent_days(1).build())
            .abort_incomplete_multipart_upload(
                AbortIncompleteMultipartUpload::builder().days_after_initiation(7).build(),
            )
            .build()
            .expect("a rule");
        assert_eq!(
            lifecycle(&rule).0,
            "tidy: objects below \"tmp/\": move to GLACIER after 3 days; are deleted after 30 days; \
             old versions are deleted after 1 day; uploads not completed go after 7 days"
        );
        let off = LifecycleRule::builder().status(ExpirationStatus::Disabled).build().expect("a rule");
        assert_eq!(lifecycle(&off).0, "(switched off): all objects: nothing happens");
    }

    #[test]
    fn cors_reads_as_a_sentence() {
        let rule = CorsRule::builder()
            .allowed_methods("GET")
            .allowed_origins("https://map.example")
            .allowed_headers("*")
            .max_age_seconds(60)
            .build()
            .expect("a rule");
        assert_eq!(cors(&rule).0, "GET from https://map.example; headers *; remembered for 60 s");
    }
}
