//! How others come to an object: its plain URL, links that carry a signature, and what a tool outside
//! must be told to reach the same server.

use crate::error::{Error, Result};
use crate::location::{Location, Scheme};
use chrono::{DateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The longest that a link may be valid: what signature version 4 allows.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html>
pub const LONGEST_LINK: Duration = Duration::from_hours(7 * 24);

/// What RFC 3986 lets stand as it is, and the slashes between the parts of a key.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// What a link allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reading the object.
    Get,
    /// Writing it.
    Put,
}

impl Method {
    /// `GET`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
        }
    }
}

/// A link with a signature: whoever has it may use it. It is a secret; `Debug` does not show it.
#[derive(Clone)]
pub struct Link {
    /// The link.
    pub url: String,
    /// What it allows.
    pub method: Method,
    /// When it ends.
    pub expires: DateTime<Utc>,
    /// Whether it ends earlier than was asked, because the credentials do.
    pub is_shortened: bool,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("method", &self.method).field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Reads how long a link shall be valid: `15min`, `1h`, `1d`, `36h`, `1h30m`, `3600` (seconds).
pub fn parse_expiry(text: &str) -> Result<Duration> {
    let bad = || {
        Error::usage(format!("`{}` is not a length of time", crate::text::clean(text)))
            .with_hint("write it as 15min, 1h, 36h or 7d")
    };
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    let mut rest = compact.as_str();
    let mut seconds: u64 = 0;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "" | "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3_600,
            "d" | "day" | "days" => 86_400,
            "w" | "week" | "weeks" => 604_800,
            _ => return Err(bad()),
        };
        rest = &rest[letters..];
        seconds = number.checked_mul(unit).and_then(|s| seconds.checked_add(s)).ok_or_else(bad)?;
    }
    let wished = Duration::from_secs(seconds);
    if wished.is_zero() {
        return Err(Error::usage("a link must be valid for at least a second"));
    }
    if wished > LONGEST_LINK {
        return Err(Error::usage(format!("{compact} is too long: a link is valid for at most 7 days"))
            .with_hint("make a new link when it has ended"));
    }
    Ok(wished)
}

/// Where the credentials of a place are, as tools outside must find them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// A profile of `~/.aws`.
    Profile,
    /// A file of s3cmd, which no other tool reads.
    S3cfg,
    /// The environment, or the default of `~/.aws`.
    Environment,
    /// This program alone: the demo.
    Program,
    /// There are none: public data.
    #[default]
    Nobody,
}

/// What a tool outside must know to reach a place. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// `https://host:port` without a slash at its end; `None` is Amazon.
    pub endpoint: Option<String>,
    /// The region, where one is known.
    pub region: Option<String>,
    /// The profile whose credentials are used.
    pub profile: Option<String>,
    /// Whether the bucket stands in the path and not in the host's name.
    pub path_style: bool,
    /// PEM file of certificates to trust.
    pub ca: Option<PathBuf>,
    /// Where the credentials are.
    pub origin: Origin,
}

impl Reach {
    /// The URL of an object, every byte of its key as the server must get it; `None` where a place has
    /// none (a disk, this program's memory, a list of buckets).
    pub fn url(&self, location: &Location) -> Option<String> {
        let key = utf8_percent_encode(location.key(), KEPT);
        let bucket = location.bucket();
        match location.scheme() {
            Scheme::S3 if bucket.is_empty() => None,
            Scheme::S3 => {
                let region = self.region.as_deref().unwrap_or("us-east-1");
                let amazon = || format!("https://s3.{region}.amazonaws.com");
                let endpoint = self.endpoint.clone().unwrap_or_else(amazon);
                let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", &endpoint));
                // A dot in the bucket's name does not fit a certificate for all buckets.
                Some(if self.path_style || bucket.contains('.') {
                    format!("{scheme}://{host}/{bucket}/{key}")
                } else {
                    format!("{scheme}://{bucket}.{host}/{key}")
                })
            }
            Scheme::Gs => Some(format!("https://storage.googleapis.com/{bucket}/{key}")),
            Scheme::Http | Scheme::Https => Some(location.to_string()),
            Scheme::Az | Scheme::File | Scheme::Memory => None,
        }
    }

    /// `host:port` and whether it speaks TLS, of an endpoint that is not Amazon's.
    pub fn host(&self) -> Option<(&str, bool)> {
        let endpoint = self.endpoint.as_deref()?;
        let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", endpoint));
        Some((host, scheme == "https"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_bounded() {
        for (text, seconds) in
            [("15min", 900), ("1h", 3600), ("1 h 30 m", 5400), ("7d", 604_800), ("1w", 604_800), ("90", 90)]
        {
            assert_eq!(parse_expiry(text).expect(text).as_secs(), seconds, "{text}");
        }
        for text in ["", "h", "1x", "-1h", "1.5h", "8d", "0", "99999999999999999999d", "9999999999999999999w", "é"] {
            let err = parse_expiry(text).expect_err(text);
            assert_eq!(err.exit_code(), 2, "{text}");
        }
        assert!(parse_expiry("8d").expect_err("too long").to_string().contains("at most 7 days"));
    }

    #[test]
    fn urls_are_those_of_the_place() {
        let loc = |s: &str| Location::parse(s).expect(s);
        let ceph = Reach { endpoint: Some("http://h:7480".into()), path_style: true, ..Reach::default() };
        assert_eq!(
            ceph.url(&loc("s3://p@b/a//b c/../é?#%+")).as_deref(),
            Some("http://h:7480/b/a//b%20c/../%C3%A9%3F%23%25%2B")
        );
        let amazon = Reach { region: Some("eu-north-1".into()), ..Reach::default() };
        assert_eq!(amazon.url(&loc("s3://b/k")).as_deref(), Some("https://b.s3.eu-north-1.amazonaws.com/k"));
        assert_eq!(amazon.url(&loc("s3://a.b/k")).as_deref(), Some("https://s3.eu-north-1.amazonaws.com/a.b/k"));
        assert_eq!(amazon.url(&loc("s3://")), None);
        assert_eq!(amazon.url(&loc("/tmp/x")), None);
        assert_eq!(amazon.url(&loc("https://h/x?y=1")).as_deref(), Some("https://h/x?y=1"));
    }
}
