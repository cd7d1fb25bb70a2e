//! Uploads in parts that nobody completed: they are paid for, and no listing shows them.

use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::{Stores, Unfinished};
use crate::task::Control;
use chrono::{DateTime, Utc};
use futures::stream::StreamExt as _;
use serde_json::Value;
use std::collections::HashSet;
use std::time::Duration;

/// Aborted at once.
const HANDS: usize = 8;

/// One upload.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Orphan {
    /// What it would have become.
    pub key: String,
    /// Its name at the server.
    pub upload_id: String,
}

impl From<&Unfinished> for Orphan {
    fn from(upload: &Unfinished) -> Self {
        Self { key: upload.key.clone(), upload_id: upload.upload_id.clone() }
    }
}

/// Which uploads to abort: exactly those that the user has seen, so that none that was begun since goes
/// with them. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AbortSpec {
    /// The bucket, or a prefix in it.
    pub location: Location,
    /// The uploads.
    pub uploads: Vec<Orphan>,
    /// How they were chosen, for the command line: `7d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_than: Option<String>,
}

/// The uploads that jobs may still go on with, from what those recorded: every upload that was begun, and
/// neither aborted nor completed.
#[derive(Clone, Debug, Default)]
pub struct Claims(HashSet<String>);

impl Claims {
    /// Learns the events of one job.
    pub fn learn(&mut self, events: &[Value]) {
        let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut begun: Vec<(String, Option<String>)> = Vec::new();
        for event in events {
            let (id, location) = (text(event, "upload_id"), text(event, "location").or_else(|| text(event, "to")));
            match (text(event, "event").as_deref(), id) {
                (Some("aborted" | "completed"), Some(id)) => begun.retain(|(known, _)| *known != id),
                (_, Some(id)) if !begun.iter().any(|(known, _)| *known == id) => begun.push((id, location)),
                // It stands: what was begun for it was completed.
                (Some("file"), None) => begun.retain(|(_, known)| location.is_none() || *known != location),
                _ => {}
            }
        }
        self.0.extend(begun.into_iter().map(|(id, _)| id));
    }

    /// Whether a job may still go on with it.
    pub fn holds(&self, upload_id: &str) -> bool {
        self.0.contains(upload_id)
    }
}

/// Whether an upload was started before so much time. One whose start is not told is not old.
pub fn is_older(upload: &Unfinished, age: Duration, now: DateTime<Utc>) -> bool {
    let age = chrono::Duration::from_std(age).unwrap_or(chrono::Duration::MAX);
    upload.started.is_some_and(|started| now.signed_duration_since(started) >= age)
}

/// An age as it is typed: `30m`, `12h`, `7d`, `2w`; a bare number is days. A link's length is read elsewhere:
/// that has a limit.
pub fn parse_age(text: &str) -> Result<Duration> {
    let wrong = || Error::usage(format!("`{text}` is not an age")).with_hint("for example 12h, 7d or 2w");
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" | "" => 86_400,
        "w" => 604_800,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// Uploads at or below `location`, all of them.
pub async fn unfinished(stores: &Stores, location: &Location, control: &Control) -> Result<Vec<Unfinished>> {
    let handle = control.race(stores.open(location, &control.meter)).await?;
    let mut pages = handle.unfinished(location);
    let mut all = Vec::new();
    while let Some(page) = control.race(async { Ok::<_, Error>(pages.next().await) }).await? {
        all.extend(page?);
    }
    Ok(all)
}

/// Aborts the uploads of `spec`; gives how many. One that is gone already is fine, so that an interrupted
/// attempt is simply repeated.
pub async fn abort_uploads(stores: &Stores, spec: &AbortSpec, control: &Control) -> Result<u64> {
    let handle = control.race(stores.open(&spec.location, &control.meter)).await?;
    control.set_total(spec.uploads.len() as u64);
    let handle = &handle;
    let one = |upload: &'_ Orphan| {
        let upload = upload.clone();
        async move {
            control.turn().await?;
            handle.abort_upload(&upload.key, &upload.upload_id).await?;
            control.advance(1);
            Ok::<_, Error>(())
        }
    };
    let mut answers = futures::stream::iter(&spec.uploads).map(one).buffer_unordered(HANDS);
    let (mut done, mut failed, mut first) = (0_u64, 0_u64, None::<Error>);
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(()) => done += 1,
            Err(err) if err.kind() == Kind::Cancelled => return Err(err),
            Err(err) => {
                failed += 1;
                first.get_or_insert(err);
            }
        }
    }
    match first {
        None => Ok(done),
        Some(err) if done == 0 => Err(err),
        Some(err) => {
            Err(Error::new(err.kind(), format!("{failed} of {} uploads could not be aborted: {err}", done + failed)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ages_are_read() {
        for (text, seconds) in [("7d", 604_800), ("7", 604_800), ("12h", 43_200), ("30m", 1_800), ("2w", 1_209_600)] {
            assert_eq!(parse_age(text).expect(text).as_secs(), seconds);
        }
        for text in ["", "d", "-1d", "7y", "1.5d", "99999999999999999999d", "18446744073709551615w"] {
            assert!(parse_age(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_job_may_go_on_with_is_claimed() {
        let begun = |id: &str, at: &str| json!({ "event": "begun", "upload_id": id, "location": at, "path": "/x" });
        let mut claims = Claims::default();
        claims.learn(&[
            begun("one", "s3://b/1"),
            json!({ "event": "part", "upload_id": "one", "part": 1 }),
            begun("two", "s3://b/2"),
            json!({ "event": "aborted", "upload_id": "two" }),
            begun("three", "s3://b/3"),
            json!({ "event": "file", "location": "s3://b/3" }),
            // The start of a long journal may not be read.
            json!({ "event": "part", "upload_id": "four", "part": 900 }),
            json!({ "event": "progress" }),
        ]);
        assert_eq!(["one", "two", "three", "four"].map(|id| claims.holds(id)), [true, false, false, true]);
    }
}
