//! One page of a listing, asked for: signed as `object_store` signs, sent over the connections that it
//! uses, and read by ourselves, because the SDK makes a `String` of every field of every key.

use super::xml::{self, Answer, Flaw};
use crate::error::Error;
use crate::location::Location;
use crate::store::credentials::Keys;
use crate::store::errors::{Fault, chain};
use crate::store::metered::Traffic;
use crate::store::transport::NewLine;
use aws_credential_types::Credentials;
use futures::StreamExt as _;
use http::Method;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody, HttpResponse};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// What a query may hold as it is, by the rules of Amazon's signature.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Of an answer, or of a refusal, no more is read: a thousand of the longest keys take 10 MB.
const MOST: usize = 64 << 20;
const MOST_OF_REFUSAL: usize = 64 << 10;

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Patience {
    /// For the beginning of an answer: a large bucket takes its time.
    pub(in crate::store) head: Duration,
    /// For the next bytes of it.
    pub(in crate::store) silence: Duration,
    /// Before the second try.
    pub(in crate::store) pause: Duration,
}

impl Patience {
    /// A silence of ten seconds where nobody said another; three times as long until the beginning, and a
    /// fiftieth of it before the second try.
    pub(in crate::store) fn new(silence: Option<Duration>) -> Self {
        let silence = silence.unwrap_or(Duration::from_secs(10));
        Self { head: silence * 3, silence, pause: silence / 50 }
    }
}

/// How a bucket is asked for its listing.
pub(super) struct Lister {
    pub(super) http: HttpClient,
    /// `None`: unsigned.
    pub(super) keys: Option<Arc<Keys>>,
    pub(super) region: String,
    /// Up to the `?`.
    pub(super) address: String,
    pub(super) patience: Patience,
}

/// Where a bucket is listed.
pub(super) fn address(endpoint: Option<&str>, bucket: &str, region: &str, path_style: bool) -> String {
    let bucket = utf8_percent_encode(bucket, QUERY);
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let amazon = format!("https://s3.{region}.{domain}");
    let endpoint = endpoint.unwrap_or(&amazon).trim_end_matches('/');
    match endpoint.split_once("://") {
        Some((scheme, host)) if !path_style => format!("{scheme}://{bucket}.{host}/"),
        _ => format!("{endpoint}/{bucket}/"),
    }
}

/// Which page.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// What names are relative to.
    pub(super) base: Location,
    /// Keys that begin so.
    pub(super) prefix: String,
    /// Whether those below a further `/` come as prefixes.
    pub(super) delimited: bool,
    /// As the page before gave it.
    pub(super) token: Option<String>,
    /// Only keys after this one; without a token.
    pub(super) after: Option<String>,
}

impl Query {
    fn to_text(&self) -> String {
        // In the order of their names, as they are signed.
        let mut text = String::new();
        let mut add = |name: &str, value: &str| {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            text.extend(utf8_percent_encode(value, QUERY));
        };
        if let Some(token) = &self.token {
            add("continuation-token", token);
        }
        if self.delimited {
            add("delimiter", "/");
        }
        add("encoding-type", "url");
        add("list-type", "2");
        add("prefix", &self.prefix);
        if let Some(after) = self.after.as_ref().filter(|_| self.token.is_none()) {
            add("start-after", after);
        }
        text
    }
}

/// Why there is no page.
pub(super) enum Trouble {
    /// Of the server or the network, with the keys that were used.
    Fault(Fault, Option<Credentials>),
    /// Before anything was sent.
    Error(Error),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault, None)
    }
}

impl Lister {
    /// Asks for a page, once. `early` is told the token of the next one as soon as it is known; it is
    /// dropped where that is only at the end. With `traffic` the request is counted and limited. `again`: it was
    /// lost before, and goes another way.
    pub(super) async fn ask(
        &self,
        traffic: Option<&Traffic>,
        query: &Query,
        again: bool,
        early: Option<oneshot::Sender<String>>,
    ) -> Result<Answer, Trouble> {
        let _permit = match traffic {
            Some(traffic) => traffic.permit().await,
            None => None,
        };
        let keys = match &self.keys {
            Some(keys) => Some(keys.get().await.map_err(Trouble::Error)?),
            None => None,
        };
        let counted = traffic.map(|t| t.meter.request());
        let mut request = self.request(query, keys.as_ref()).map_err(Trouble::Error)?;
        *request.extensions_mut() = NewLine::extensions(again);
        let answer = self.answered(traffic, query, request, early).await;
        match answer {
            Ok(answer) => {
                counted.map(crate::meter::Request::done);
                Ok(answer)
            }
            Err(fault) => {
                // That nothing is there is an answer, not a failure.
                if fault.status == Some(404) {
                    counted.map(crate::meter::Request::done);
                }
                Err(Trouble::Fault(fault, keys))
            }
        }
    }

    fn request(&self, query: &Query, keys: Option<&Credentials>) -> Result<HttpRequest, Error> {
        let address = format!("{}?{}", self.address, query.to_text());
        // What parses here parses for those below, who take it for granted.
        let parsed = url::Url::parse(&address).ok().filter(url::Url::has_host);
        let built = parsed.and_then(|_| {
            http::Request::builder().method(Method::GET).uri(address).body(HttpRequestBody::empty()).ok()
        });
        let mut request =
            built.ok_or_else(|| Error::usage(format!("`{}` is not an address for a bucket", self.address)))?;
        if let Some(keys) = keys {
            signed(&mut request, keys, &self.region, true);
        }
        Ok(request)
    }

    /// The text of an answer that holds little; what is lost of it is left out.
    pub(super) async fn refusal(&self, traffic: &Traffic, response: HttpResponse, most: usize) -> String {
        let body = self.body(Some(traffic), response, most, None).await;
        String::from_utf8_lossy(&body.unwrap_or_default()).into_owned()
    }

    async fn answered(
        &self,
        traffic: Option<&Traffic>,
        query: &Query,
        request: HttpRequest,
        early: Option<oneshot::Sender<String>>,
    ) -> Result<Answer, Fault> {
        let response = match tokio::time::timeout(self.patience.head, self.http.execute(request)).await {
            Ok(response) => response.map_err(|err| Fault::of_text(&chain(&err)))?,
            Err(_) => return Err(Fault::of_code("Timeout")),
        };
        let status = response.status();
        if !status.is_success() {
            let (headers, body) =
                (response.headers().clone(), self.body(traffic, response, MOST_OF_REFUSAL, None).await);
            // A refusal whose body is lost is one all the same.
            let text = body.unwrap_or_default();
            return Err(Fault::of_answer(status.as_u16(), &headers, &String::from_utf8_lossy(&text)));
        }
        let headers = response.headers().clone();
        let body = self.body(traffic, response, MOST, early).await?;
        xml::parse(&body, &query.base).map_err(|flaw| match flaw {
            Flaw::Truncated => Fault::of_code("Truncated"),
            Flaw::NoNext => Fault::of_code("NoNext"),
            // Some servers begin to answer before they know that they cannot.
            Flaw::Other(root) if root == "Error" => {
                Fault::of_answer(status.as_u16(), &headers, &String::from_utf8_lossy(&body))
            }
            Flaw::Other(root) => {
                let message = format!("it sent `{root}`");
                Fault { status: Some(status.as_u16()), message, ..Fault::of_code("NotS3") }
            }
        })
    }

    /// Reads a body of `most` bytes at most; what is longer is cut, which the parser notices.
    async fn body(
        &self,
        traffic: Option<&Traffic>,
        response: HttpResponse,
        most: usize,
        mut early: Option<oneshot::Sender<String>>,
    ) -> Result<Vec<u8>, Fault> {
        let announced =
            response.headers().get(http::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        let mut body = Vec::with_capacity(announced.unwrap_or(0_usize).min(1 << 20));
        let mut chunks = response.into_body().bytes_stream();
        loop {
            let chunk = match tokio::time::timeout(self.patience.silence, chunks.next()).await {
                Ok(Some(chunk)) => chunk.map_err(|err| body_fault(&chain(&err)))?,
                Ok(None) => return Ok(body),
                Err(_) => return Err(Fault::of_code("Stalled")),
            };
            if let Some(traffic) = traffic {
                traffic.meter.received(chunk.len() as u64);
                traffic.throttle.pass(chunk.len() as u64).await;
            }
            body.extend_from_slice(&chunk);
            if early.is_some() {
                match xml::early_token(&body) {
                    Ok(None) => {}
                    Ok(Some(token)) => drop(early.take().map(|early| early.send(token))),
                    Err(()) => early = None,
                }
            }
            if body.len() > most {
                return Ok(body);
            }
        }
    }
}

/// Signs a request, with what it carries (`body`) or without.
pub(super) fn signed(request: &mut HttpRequest, keys: &Credentials, region: &str, body: bool) {
    let credential = AwsCredential {
        key_id: keys.access_key_id().to_owned(),
        secret_key: keys.secret_access_key().to_owned(),
        token: keys.session_token().map(str::to_owned),
    };
    AwsAuthorizer::new(&credential, "s3", region).with_sign_payload(body).authorize(request, None);
}

/// A body that does not come whole broke off, whatever the library calls it.
fn body_fault(text: &str) -> Fault {
    let fault = Fault::of_text(text);
    if fault.code.is_empty() { Fault { message: fault.message, ..Fault::of_code("Truncated") } } else { fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_listed_at_its_address() {
        for (endpoint, path_style, expected) in [
            (None, false, "https://lake.s3.eu-west-1.amazonaws.com/"),
            (None, true, "https://s3.eu-west-1.amazonaws.com/lake/"),
            (Some("http://h:9000/"), true, "http://h:9000/lake/"),
            (Some("https://h/s3"), false, "https://lake.h/s3/"),
        ] {
            assert_eq!(address(endpoint, "lake", "eu-west-1", path_style), expected);
        }
        assert_eq!(address(None, "x", "cn-north-1", false), "https://x.s3.cn-north-1.amazonaws.com.cn/");
    }

    #[test]
    fn a_query_is_encoded_strictly() {
        let base = Location::parse("s3://b/").expect("an address");
        let query = Query { base, prefix: "a b/ü+%".into(), delimited: true, token: None, after: Some("a/&".into()) };
        let text = "delimiter=%2F&encoding-type=url&list-type=2&prefix=a%20b%2F%C3%BC%2B%25&start-after=a%2F%26";
        assert_eq!(query.to_text(), text);
        let next = Query { token: Some("t=/".into()), ..query };
        assert!(next.to_text().starts_with("continuation-token=t%3D%2F&") && !next.to_text().contains("start-after"));
    }
}
