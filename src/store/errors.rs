//! What went wrong, in words: the answers of servers, of the network and of libraries become one
//! sentence each, with what the user can do about it.
//!
//! Codes: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>; Ceph's are the same
//! where it has them, often without a message.

use super::clock::Clocks;
use super::credentials::ANONYMOUS_HINT;
use crate::error::{Error, Kind};
use crate::location::{Location, Scheme};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use std::error::Error as StdError;

/// Columns of a server's own words in a sentence; the details hold them all.
const SAID: usize = 300;

/// The server and bucket that a sentence speaks of.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) scheme: Scheme,
    pub(super) bucket: String,
    /// Host and port.
    pub(super) host: String,
    pub(super) region: String,
    /// The profile as the address names it.
    pub(super) profile: Option<String>,
    /// The profile whose credentials are used, named or not.
    pub(super) owner: Option<String>,
    pub(super) anonymous: bool,
    /// Whether the credentials end some time: Ceph says of those that have no more than that it refuses.
    pub(super) temporary: bool,
}

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    List,
    ListBuckets,
    Read,
    Write,
    Delete,
    CreateBucket,
}

/// What came back instead of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fault {
    /// HTTP status; `None` where nothing was answered.
    pub(super) status: Option<u16>,
    /// The code of the XML: `NoSuchKey`; or of ours: see [`transport`].
    pub(super) code: String,
    pub(super) message: String,
    pub(super) request_id: Option<String>,
    /// Where the bucket really is.
    pub(super) region: Option<String>,
    /// What time it was, as far as the answer tells.
    pub(super) clocks: Option<Clocks>,
}

/// The texts of an error and of all below it.
pub(super) fn chain(err: &(dyn StdError + 'static)) -> String {
    let mut out = err.to_string();
    let mut next = err.source();
    while let Some(err) = next {
        let text = err.to_string();
        if !out.ends_with(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        next = err.source();
    }
    out
}

/// The innermost text: usually the one that says why.
pub(super) fn deepest(err: &(dyn StdError + 'static)) -> String {
    let mut err = err;
    while let Some(next) = err.source() {
        err = next;
    }
    err.to_string()
}

/// What a service of Amazon's kind said, somewhere below an error.
pub(super) fn metadata<'a>(err: &'a (dyn StdError + 'static)) -> Option<&'a ErrorMetadata> {
    below(err).find_map(|err| err.downcast_ref())
}

/// An error of ours somewhere below one of a library, rebuilt; what stores return holds one.
pub fn cause(err: &(dyn StdError + 'static)) -> Option<Error> {
    let ours = below(err).find_map(|err| err.downcast_ref::<Error>()).map(copy);
    ours.or_else(|| below(err).find_map(|err| err.downcast_ref::<object_store::Error>()).and_then(plain))
}

/// An error and all below it.
fn below<'a>(err: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(err);
    std::iter::from_fn(move || {
        let err = next?;
        next = err.source();
        Some(err)
    })
}

fn copy(err: &Error) -> Error {
    let mut out = Error::new(err.kind(), err.to_string());
    if let Some(hint) = err.hint() {
        out = out.with_hint(hint);
    }
    if let Some(id) = err.request_id() {
        out = out.with_request_id(id);
    }
    let details = err.details();
    if details.is_empty() { out } else { out.with_source(details) }
}

/// Errors that speak for themselves, without a server.
fn plain(err: &object_store::Error) -> Option<Error> {
    use object_store::Error as E;
    let (kind, why) = match err {
        E::NotFound { path, .. } => (Kind::NotFound, format!("there is no `{path}`")),
        E::AlreadyExists { path, .. } => (Kind::Exists, format!("`{path}` exists already")),
        E::Precondition { path, .. } | E::NotModified { path, .. } => (Kind::Changed, format!("`{path}` has changed")),
        E::PermissionDenied { path, .. } | E::Unauthenticated { path, .. } => {
            (Kind::Denied, format!("access to `{path}` was denied"))
        }
        E::NotSupported { source } => (Kind::Unsupported, source.to_string()),
        E::NotImplemented { operation, .. } => (Kind::Unsupported, format!("{operation} is not offered here")),
        _ => return None,
    };
    Some(Error::new(kind, why))
}

impl From<object_store::Error> for Error {
    fn from(err: object_store::Error) -> Self {
        let found = err.source().and_then(cause).or_else(|| plain(&err));
        found.unwrap_or_else(|| Self::new(Kind::Failed, deepest(&err))).with_source(err)
    }
}

impl Fault {
    /// From an error of the AWS SDK.
    pub(super) fn of_sdk<E>(err: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let answer = |raw: &HttpResponse| Self {
            status: Some(raw.status().as_u16()),
            request_id: raw.headers().get("x-amz-request-id").map(str::to_owned),
            region: raw.headers().get("x-amz-bucket-region").map(str::to_owned),
            clocks: Clocks::of_date(raw.headers().get("date")),
            ..Self::default()
        };
        match err {
            SdkError::ServiceError(service) => {
                let mut fault = answer(service.raw());
                service.err().code().unwrap_or_default().clone_into(&mut fault.code);
                service.err().message().unwrap_or_default().clone_into(&mut fault.message);
                if fault.region.is_none() {
                    let body = service.raw().body().bytes().unwrap_or_default();
                    fault.region = element(&String::from_utf8_lossy(body), "Region");
                }
                fault
            }
            SdkError::ResponseError(response) => {
                let text = chain(err);
                // A body that broke off is the network's fault, not an answer.
                match transport(&text) {
                    Some(code) => Self { code: code.to_owned(), message: text, ..Self::default() },
                    None => Self { message: text, ..answer(response.raw()) },
                }
            }
            _ => Self::of_text(&chain(err)),
        }
    }

    /// From an answer that was read by ourselves: its status, headers and the beginning of its body.
    pub(super) fn of_answer(status: u16, headers: &http::HeaderMap, body: &str) -> Self {
        let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Self {
            status: Some(status),
            code: element(body, "Code").unwrap_or_default(),
            message: element(body, "Message").unwrap_or_default(),
            request_id: header("x-amz-request-id").or_else(|| element(body, "RequestId")),
            region: header("x-amz-bucket-region").or_else(|| element(body, "Region")),
            clocks: Clocks::of_date(header("date").as_deref()),
        }
    }

    /// A failure that no answer tells, by a code of ours: see [`Site::sentence`].
    pub(super) fn of_code(code: &str) -> Self {
        Self { code: code.to_owned(), ..Self::default() }
    }

    /// From an error of `object_store` about an answer or the network.
    pub(super) fn of_store(err: &object_store::Error) -> Self {
        use object_store::Error as E;
        let mut fault = Self::of_text(&chain(err));
        if fault.status.is_none() && fault.code.is_empty() {
            fault.status = match err {
                E::NotFound { .. } => Some(404),
                E::AlreadyExists { .. } => Some(409),
                E::Precondition { .. } => Some(412),
                E::NotModified { .. } => Some(304),
                E::PermissionDenied { .. } => Some(403),
                E::Unauthenticated { .. } => Some(401),
                // What `object_store` says of a range that it has checked itself.
                _ if fault.message.contains("Wanted range starting at") => Some(416),
                _ => None,
            };
        }
        fault
    }

    /// From the text in which `object_store` (and our web store) hide status and body.
    pub(super) fn of_text(text: &str) -> Self {
        // What stands before is the address, which may hold any word, and how often was tried.
        let text = text.split_once(" - HTTP error: ").map_or(text, |(_, rest)| rest);
        let status =
            text.split_once("status code: ").and_then(|(_, rest)| rest.get(..3)).and_then(|digits| digits.parse().ok());
        let code = element(text, "Code").or_else(|| {
            let known = if text.contains("Received redirect without LOCATION") {
                Some("PermanentRedirect")
            } else if status.is_none() {
                transport(text)
            } else {
                None
            };
            known.map(str::to_owned)
        });
        Self {
            status,
            code: code.unwrap_or_default(),
            message: element(text, "Message")
                .unwrap_or_else(|| if status.is_none() { text.to_owned() } else { String::new() }),
            request_id: element(text, "RequestId"),
            region: element(text, "Region"),
            clocks: Clocks::of_element(element(text, "ServerTime").as_deref()),
        }
    }

    /// Whether the same request may well succeed when sent again.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.status, Some(429 | 500 | 502 | 503 | 504))
            || matches!(self.code.as_str(), "SlowDown" | "RequestTimeout" | "InternalError" | "Refused" | "Reset")
    }

    /// Whether the server asks for fewer requests.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.status, Some(429 | 503)) || self.code == "SlowDown"
    }

    /// Whether it was refused since the clocks differ; to a HEAD that is said by the status alone.
    fn is_of_clocks(&self) -> bool {
        let is_mute = matches!(self.code.as_str(), "" | "Forbidden" | "BadRequest" | "Unauthorized");
        let is_refused = matches!(self.status, Some(400 | 401 | 403));
        self.code == "RequestTimeTooSkewed" || is_mute && is_refused && self.clocks.is_some_and(Clocks::is_too_far)
    }

    /// Whether the request may have been carried out although no answer came.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.status.is_none_or(|s| s >= 500)
    }
}

/// The text of an XML element, wherever it stands. Error bodies are small and flat.
pub(super) fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    let inner = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Some(inner.replace("&amp;", "&")).filter(|s| !s.is_empty())
}

/// Which failure of the network a text of hyper, rustls or the system speaks of.
pub(super) fn transport(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    Some(if has(&["dns error", "failed to lookup", "name or service not known", "no such host"]) {
        "Dns"
    } else if has(&["certificate", "unknownissuer", "certnotvalid"]) {
        "Certificate"
    } else if has(&["tls handshake", "corrupt message", "received corrupt", "invalidcontenttype", "record overflow"]) {
        "Tls"
    } else if has(&["connection refused"]) {
        "Refused"
    } else if has(&["timed out", "timeout", "deadline"]) {
        "Timeout"
    } else if has(&["unreachable", "no route"]) {
        "NoRoute"
    } else if has(&[
        "reset",
        "closed before",
        "broken pipe",
        "unexpected eof",
        "incomplete",
        "end of file",
        "aborted",
        "connection error",
        "connection closed",
    ]) {
        "Reset"
    } else {
        return None;
    })
}

impl Site {
    /// The address of a key (or of the bucket) as the user writes it.
    pub(super) fn address(&self, key: &str) -> String {
        Location::new(self.scheme, self.profile.clone(), &self.bucket, key).to_string()
    }

    fn owner(&self) -> String {
        self.owner.as_ref().map_or_else(|| "in the environment".to_owned(), |p| format!("of the profile `{p}`"))
    }

    /// The one sentence for `fault`.
    pub(super) fn sentence(&self, fault: &Fault, doing: Doing, key: &str) -> Error {
        let error = self
            .by_clocks(fault)
            .or_else(|| self.by_code(fault, doing, key))
            .or_else(|| self.by_status(fault, doing, key))
            .unwrap_or_else(|| Error::new(Kind::Failed, self.unknown(fault)));
        match &fault.request_id {
            Some(id) => error.with_request_id(id),
            None => error,
        }
    }

    fn unknown(&self, fault: &Fault) -> String {
        let status = fault.status.map(|s| s.to_string()).unwrap_or_default();
        let parts = [status.as_str(), fault.code.as_str(), fault.message.as_str()];
        let said = parts.iter().filter(|s| !s.is_empty()).copied().collect::<Vec<_>>().join(" ");
        format!("{} answered: {}", self.host, crate::text::fit(&said, SAID))
    }

    /// What is signed by a wrong clock is refused, whoever signs.
    fn by_clocks(&self, fault: &Fault) -> Option<Error> {
        if self.anonymous || !fault.is_of_clocks() {
            return None;
        }
        let host = &self.host;
        let why = match fault.clocks.filter(|clocks| clocks.is_too_far()) {
            Some(clocks) => clocks.words(host),
            None => format!("the clocks of this computer and of {host} differ too much"),
        };
        let hint = "set this computer's clock, best with NTP, then try again: a quarter of an hour is borne";
        Some(Error::new(Kind::Denied, why).with_hint(hint))
    }

    fn by_code(&self, fault: &Fault, doing: Doing, key: &str) -> Option<Error> {
        let (host, owner) = (&self.host, self.owner());
        let new = |kind, why: String| Error::new(kind, why);
        Some(match fault.code.as_str() {
            "NoSuchBucket" => new(Kind::NotFound, format!("there is no bucket `{}` at {host}", self.bucket))
                .with_hint(format!("check the spelling, or list {}", self.account())),
            "NoSuchKey" | "NotFound" if fault.status != Some(403) => return Some(self.missing(key)),
            "NoSuchUpload" => new(Kind::NotFound, format!("the upload to {} is gone", self.address(key)))
                .with_hint("start the upload again"),
            "NoSuchVersion" => new(Kind::NotFound, format!("there is no such version of {}", self.address(key))),
            "InvalidAccessKeyId" => new(Kind::Denied, format!("{host} does not know the access key {owner}"))
                .with_hint("check aws_access_key_id and the endpoint"),
            "SignatureDoesNotMatch" => {
                new(Kind::Denied, format!("the secret key {owner} does not fit its access key at {host}"))
                    .with_hint("check aws_secret_access_key and the endpoint")
            }
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                new(Kind::Denied, format!("the temporary credentials {owner} have expired"))
                    .with_hint("get new ones (with single sign-on: `aws sso login`)")
            }
            "InvalidToken" => new(Kind::Denied, format!("{host} does not accept the session token {owner}"))
                .with_hint("get new temporary credentials"),
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "IllegalLocationConstraintException" => return Some(self.elsewhere(fault)),
            "InvalidObjectState" => new(Kind::Unsupported, format!("{} is archived", self.address(key)))
                .with_hint("restore it from the archive first"),
            "QuotaExceeded" => new(Kind::Limit, format!("the quota at {host} is used up")),
            "EntityTooLarge" => new(Kind::Limit, format!("{} would be larger than {host} takes", self.address(key))),
            "EntityTooSmall" => new(Kind::Invalid, "a part other than the last is below 5 MiB".to_owned()),
            "KeyTooLongError" | "KeyTooLong" => new(Kind::Usage, format!("the key is too long for {host}")),
            "InvalidBucketName" => new(Kind::Usage, format!("`{}` is not a name for a bucket", self.bucket)),
            "InvalidPart" | "InvalidPartOrder" => {
                new(Kind::Failed, format!("{host} does not have all parts of {}", self.address(key)))
            }
            "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" => {
                new(Kind::Invalid, format!("the bytes of {} were damaged on their way", self.address(key)))
                    .with_hint("try again")
            }
            "BucketAlreadyExists" | "BucketAlreadyOwnedByYou" => {
                new(Kind::Exists, format!("the bucket `{}` exists already", self.bucket))
            }
            "BucketNotEmpty" => new(Kind::Exists, format!("the bucket `{}` is not empty", self.bucket)),
            "Dns" => {
                new(Kind::Unreachable, format!("there is no host `{host}`")).with_hint("check the endpoint's spelling")
            }
            "Certificate" => {
                let reason = fault.message.rsplit(": ").next().unwrap_or_default();
                new(Kind::Unreachable, format!("the certificate of {host} is not trusted ({reason})"))
                    .with_hint("give its authority's certificate with --ca-bundle")
            }
            "Tls" => new(Kind::Unreachable, format!("{host} does not speak TLS as expected"))
                .with_hint("check whether the endpoint is http:// or https://"),
            "Refused" => new(Kind::Unreachable, format!("nothing listens at {host}")),
            "Timeout" => new(Kind::Unreachable, format!("{host} does not answer")),
            "NoRoute" => new(Kind::Unreachable, format!("there is no way to {host} from here")),
            "Reset" => new(Kind::Unreachable, format!("{host} closed the connection")),
            "Truncated" => new(Kind::Unreachable, format!("the answer of {host} broke off")),
            "Stalled" => new(Kind::Unreachable, format!("{host} fell silent in the middle of its answer")),
            "NotS3" => new(Kind::Failed, format!("{host} does not answer as S3 does: {}", fault.message))
                .with_hint("check the endpoint"),
            "NoNext" => new(Kind::Failed, format!("{host} does not say how its listing goes on")),
            "SlowDown" | "RequestLimitExceeded" => return Some(self.busy()),
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => return Some(self.denied(doing, key)),
            _ => return None,
        })
    }

    fn by_status(&self, fault: &Fault, doing: Doing, key: &str) -> Option<Error> {
        Some(match fault.status? {
            301 | 307 => self.elsewhere(fault),
            304 => Error::new(Kind::Changed, format!("{} is not modified", self.address(key))),
            401 | 403 => self.denied(doing, key),
            404 | 410 => self.missing(key),
            405 | 501 => Error::unsupported(format!("{} does not offer this", self.host)),
            409 | 412 if doing == Doing::Write => {
                Error::new(Kind::Exists, format!("{} exists already", self.address(key)))
            }
            412 => Error::new(Kind::Changed, format!("{} has changed in the meantime", self.address(key))),
            416 => Error::invalid(format!("{} ends before the bytes that were asked for", self.address(key))),
            429 | 503 => self.busy(),
            _ => return None,
        })
    }

    fn account(&self) -> String {
        self.profile.as_ref().map_or_else(|| "s3://".to_owned(), |p| format!("s3://{p}@"))
    }

    fn missing(&self, key: &str) -> Error {
        Error::new(Kind::NotFound, format!("there is no {}", self.address(key)))
    }

    fn busy(&self) -> Error {
        Error::new(Kind::Limit, format!("{} asks for fewer requests", self.host))
            .with_hint("try again later, or lower --concurrency")
    }

    fn elsewhere(&self, fault: &Fault) -> Error {
        let error =
            Error::new(Kind::Failed, format!("the bucket `{}` is not in the region {}", self.bucket, self.region));
        match &fault.region {
            Some(region) => error.with_hint(format!("try --region {region}")),
            None => error.with_hint("give the bucket's region with --region"),
        }
    }

    /// Servers with STS say the same to a wrong secret, an unknown key and a missing permission.
    fn denied(&self, doing: Doing, key: &str) -> Error {
        let address = self.address(key);
        if self.anonymous {
            let why = match doing {
                Doing::ListBuckets => format!("the list of buckets at {} needs credentials", self.host),
                _ => format!("{address} is not public: it needs credentials"),
            };
            return Error::new(Kind::Denied, why).with_hint("name a profile: s3://profile@bucket/");
        }
        if !matches!(self.scheme, Scheme::S3) {
            return Error::new(Kind::Denied, format!("access to {address} was denied"))
                .with_hint("it needs credentials");
        }
        let verb = match doing {
            Doing::List | Doing::ListBuckets => "list",
            Doing::Read => "read",
            Doing::Write => "write to",
            Doing::Delete => "delete",
            Doing::CreateBucket => "create",
        };
        let what = if doing == Doing::ListBuckets { format!("the buckets at {}", self.host) } else { address };
        if self.temporary {
            let why = format!("the temporary credentials {} have expired, or may not {verb} {what}", self.owner());
            return Error::new(Kind::Denied, why).with_hint("get new ones (with single sign-on: `aws sso login`)");
        }
        Error::new(Kind::Denied, format!("the credentials {} are wrong, or may not {verb} {what}", self.owner()))
            .with_hint(if doing == Doing::Write {
                "check the keys and the bucket's permissions"
            } else {
                ANONYMOUS_HINT
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(anonymous: bool) -> Site {
        Site {
            scheme: Scheme::S3,
            bucket: "b".into(),
            host: "127.0.0.1:7480".into(),
            region: "us-east-1".into(),
            profile: (!anonymous).then(|| "allas".to_owned()),
            owner: (!anonymous).then(|| "allas".to_owned()),
            anonymous,
            temporary: false,
        }
    }

    #[test]
    fn an_answer_without_a_message_is_understood() {
        let text = "Error performing GET http://h/b/k in 2ms - Server returned non-2xx status code: 403 Forbidden: \
                    <?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><RequestId>tx1-a</RequestId></Error>";
        let fault = Fault::of_text(text);
        assert_eq!(
            (fault.status, fault.code.as_str(), fault.message.as_str()),
            (Some(403), "SignatureDoesNotMatch", "")
        );
        let error = site(false).sentence(&fault, Doing::Read, "k");
        assert_eq!(error.kind(), Kind::Denied);
        assert_eq!(error.request_id(), Some("tx1-a"));
        assert_eq!(
            error.to_string(),
            "the secret key of the profile `allas` does not fit its access key at 127.0.0.1:7480"
        );
    }

    #[test]
    fn a_private_bucket_without_credentials_says_so() {
        let fault = Fault { status: Some(403), code: "AccessDenied".into(), ..Fault::default() };
        let error = site(true).sentence(&fault, Doing::List, "");
        assert_eq!(error.to_string(), "s3://b/ is not public: it needs credentials");
        let other = site(false).sentence(&fault, Doing::List, "");
        assert!(other.to_string().contains("are wrong, or may not list s3://allas@b/"), "{other}");
        let ended = Site { temporary: true, ..site(false) }.sentence(&fault, Doing::Read, "k");
        let why = "the temporary credentials of the profile `allas` have expired, or may not read s3://allas@b/k";
        assert_eq!(ended.to_string(), why);
    }

    #[test]
    fn each_fault_has_its_own_sentence_and_kind() {
        let mut seen = std::collections::BTreeSet::new();
        for (code, status, kind) in [
            ("InvalidAccessKeyId", 403, Kind::Denied),
            ("ExpiredToken", 400, Kind::Denied),
            ("AuthorizationHeaderMalformed", 400, Kind::Failed),
            ("RequestTimeTooSkewed", 403, Kind::Denied),
            ("NoSuchBucket", 404, Kind::NotFound),
            ("NoSuchKey", 404, Kind::NotFound),
            ("PreconditionFailed", 412, Kind::Exists),
            ("SlowDown", 503, Kind::Limit),
            ("NotImplemented", 501, Kind::Unsupported),
            ("QuotaExceeded", 403, Kind::Limit),
        ] {
            let fault = Fault { status: Some(status), code: code.into(), ..Fault::default() };
            let error = site(false).sentence(&fault, Doing::Write, "k");
            assert_eq!(error.kind(), kind, "{code}");
            assert!(seen.insert(error.to_string()), "{code}: {error}");
        }
        for (text, kind) in [
            ("error trying to connect: tcp connect error: Connection refused (os error 111)", "Refused"),
            ("client error (Connect): dns error: failed to lookup address information", "Dns"),
            ("invalid peer certificate: UnknownIssuer", "Certificate"),
            (
                "Error performing GET http://h/b/certificate.pem in 9ms, after 3 retries, max_retries: 3, retry_timeout: 30s \
                 - HTTP error: error sending request: client error (SendRequest): connection reset by peer",
                "Reset",
            ),
            ("operation timed out", "Timeout"),
            ("connection closed before message completed", "Reset"),
        ] {
            let fault = Fault::of_text(text);
            assert_eq!(fault.code, kind);
            assert_eq!(site(false).sentence(&fault, Doing::Read, "k").kind(), Kind::Unreachable);
        }
    }

    #[test]
    fn our_error_is_found_below_those_of_libraries() {
        let ours = Error::new(Kind::Denied, "no way").with_hint("do that").with_request_id("7");
        let store = object_store::Error::Generic { store: "S3", source: Box::new(ours) };
        let parquet = parquet::errors::ParquetError::External(Box::new(store));
        let found = cause(&parquet).expect("found");
        assert_eq!((found.kind(), found.to_string().as_str(), found.hint()), (Kind::Denied, "no way", Some("do that")));
    }
}
