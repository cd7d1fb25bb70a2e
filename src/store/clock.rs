//! Clocks that differ. S3 refuses what was signed more than a quarter of an hour from its own time; to a HEAD it
//! says so without a word, so that its `Date` has to tell what is wrong.

use chrono::{DateTime, TimeDelta, Utc};

/// S3 refuses signatures when the clocks differ by more (AWS: `RequestTimeTooSkewed`).
pub(super) const SKEW: TimeDelta = TimeDelta::minutes(15);

/// This computer's clock and a server's, when its answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clocks {
    pub(super) here: DateTime<Utc>,
    pub(super) there: DateTime<Utc>,
}

impl Clocks {
    /// From the `Date` of an answer that has just come: `Sat, 21 Nov 2026 11:04:42 GMT`.
    pub(super) fn of_date(date: Option<&str>) -> Option<Self> {
        let there = DateTime::parse_from_rfc2822(date?.trim()).ok()?;
        Some(Self { here: Utc::now(), there: there.to_utc() })
    }

    /// From the `ServerTime` of a refusal that has just come: `2026-11-21T11:04:42Z`.
    pub(super) fn of_element(time: Option<&str>) -> Option<Self> {
        let there = DateTime::parse_from_rfc3339(time?.trim()).ok()?;
        Some(Self { here: Utc::now(), there: there.to_utc() })
    }

    /// How far the server's is ahead of ours.
    pub(super) fn ahead(self) -> TimeDelta {
        self.there - self.here
    }

    /// Whether a server refuses for it whatever is signed here.
    pub(super) fn is_too_far(self) -> bool {
        self.ahead().abs() >= SKEW
    }

    /// `20 min behind`, and the times of both.
    pub(super) fn words(self, host: &str) -> String {
        let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
        format!(
            "this computer's clock is {} that of {host}: here it is {}, there {}",
            apart(self.ahead().num_seconds()),
            time(self.here),
            time(self.there)
        )
    }
}

/// `20 min behind`, for a server that is so many seconds ahead.
pub(super) fn apart(ahead: i64) -> String {
    let by = match ahead.unsigned_abs() {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7200 => format!("{} min", (seconds + 30) / 60),
        seconds if seconds < 172_800 => format!("{} h", (seconds + 1800) / 3600),
        seconds => format!("{} days", (seconds + 43_200) / 86_400),
    };
    format!("{by} {}", if ahead > 0 { "behind" } else { "ahead of" })
}

/// A refusal that tells in XML what an answer without words means.
pub(super) fn refusal(clocks: Clocks, request_id: Option<&str>) -> String {
    let id = request_id.filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
    let there = clocks.there.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    format!(
        "<Error><Code>RequestTimeTooSkewed</Code><ServerTime>{there}</ServerTime><RequestId>{}</RequestId></Error>",
        id.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_and_told() {
        let clocks = Clocks::of_date(Some("Sat, 21 Nov 2026 11:04:42 GMT")).expect("a date");
        assert_eq!(clocks.there.timestamp(), 1_795_259_082);
        let clocks = Clocks { here: clocks.there - TimeDelta::minutes(20), ..clocks };
        assert!(clocks.is_too_far());
        let words = "this computer's clock is 20 min behind that of h: here it is 2026-11-21 10:44:42 UTC, there \
                     2026-11-21 11:04:42 UTC";
        assert_eq!(clocks.words("h"), words);
        assert!(!Clocks { here: clocks.there + TimeDelta::minutes(14), ..clocks }.is_too_far());
        assert_eq!((apart(-100).as_str(), apart(90_000).as_str()), ("100 s ahead of", "25 h behind"));
        for bad in ["", "yesterday", "2026-11-21T11:04:42Z"] {
            assert_eq!(Clocks::of_date(Some(bad)), None, "{bad}");
        }
        let told = refusal(clocks, Some("tx1-a<b"));
        assert!(told.contains("<ServerTime>2026-11-21T11:04:42Z</ServerTime>") && !told.contains("a<b"), "{told}");
    }
}
