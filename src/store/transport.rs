//! The two HTTP stacks below the stores, set up alike: who is trusted, how long is waited, and a
//! log of what was sent. One connection pool serves all buckets of a profile.

use super::clock::{self, Clocks};
use super::log::{Exchange, Log};
use super::pulse::Waits;
use crate::error::{Error, Kind, Result};
use async_trait::async_trait;
use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a connection may take to come about.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// A connection that took longer than this to fail is not tried again: the user waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How `object_store` tries again: a few times, quickly.
pub(super) fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 3.0,
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(30),
    }
}

/// Reads a file of trusted certificates.
fn certificates(ca: Option<&Path>) -> Result<Option<Vec<u8>>> {
    ca.map(|path| {
        std::fs::read(path)
            .map_err(|err| Error::from(err).context(format!("reading certificates of {}", path.display())))
    })
    .transpose()
}

/// The options under which `object_store` makes its clients.
pub(super) fn client_options(ca: Option<&Path>) -> Result<ClientOptions> {
    let mut options = ClientOptions::new()
        .with_allow_http(true)
        .with_connect_timeout(CONNECT)
        // It would cut long bodies; `Transport` and `Metered` watch over answers and stalls.
        .with_timeout_disabled()
        .with_pool_idle_timeout(Duration::from_mins(1));
    if let Some(pem) = certificates(ca)? {
        let found = Certificate::from_pem_bundle(&pem).map_err(|_| not_certificates(ca))?;
        for certificate in found {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

fn not_certificates(ca: Option<&Path>) -> Error {
    let path = ca.map(|p| p.display().to_string()).unwrap_or_default();
    Error::new(Kind::Invalid, format!("{path} does not hold certificates in PEM form"))
}

/// A client for `object_store` that waits no longer than it should, and logs.
pub(super) fn client(options: &ClientOptions, waits: Waits, log: &Log) -> Result<HttpClient> {
    let inner = ReqwestConnector::default().connect(options).map_err(Error::from)?;
    let alone = OnceLock::new();
    Ok(HttpClient::new(Transport { inner, alone, options: options.clone(), waits, log: log.clone() }))
}

/// What a request carries that was lost once: it goes over a connection that nothing has used before. After a laptop
/// slept, or a firewall forgot, all that are kept are dead, and each try would find another one of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewLine;

impl NewLine {
    /// For an `object_store` request: this where it is sent `again`.
    pub(crate) fn extensions(again: bool) -> http::Extensions {
        let mut extensions = http::Extensions::new();
        if again {
            extensions.insert(Self);
        }
        extensions
    }
}

/// A client for the AWS SDK.
pub(super) fn sdk_client(ca: Option<&Path>) -> Result<SharedHttpClient> {
    let mut trusted = TrustStore::default();
    if let Some(pem) = certificates(ca)? {
        trusted.add_pem_certificate(pem);
    }
    let context = TlsContext::builder().with_trust_store(trusted).build().map_err(|_| not_certificates(ca))?;
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder()
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context.clone());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(aws_sdk_s3::config::RuntimeComponents::sleep_impl));
        builder.build()
    }))
}

/// Hands the one client to every bucket.
#[derive(Clone, Debug)]
pub(super) struct Shared(pub(super) HttpClient);

impl HttpConnector for Shared {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

struct Transport {
    inner: HttpClient,
    /// For [`NewLine`]: keeps no connection.
    alone: OnceLock<HttpClient>,
    options: ClientOptions,
    waits: Waits,
    log: Log,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transport")
    }
}

impl Transport {
    /// What sends a request.
    fn client(&self, request: &HttpRequest) -> &HttpClient {
        if request.extensions().get::<NewLine>().is_none() {
            return &self.inner;
        }
        self.alone.get_or_init(|| {
            let options = self.options.clone().with_pool_max_idle_per_host(0);
            // The same options were good for the other one.
            ReqwestConnector::default().connect(&options).unwrap_or_else(|_| self.inner.clone())
        })
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let started = Instant::now();
        let length = request.body().content_length() as u64;
        let range = request.headers().get("range").and_then(|range| range.to_str().ok());
        let mut seen = Exchange::begin(request.method().as_str(), &request.uri().to_string(), range, length);
        let is_signed = request.headers().contains_key(http::header::AUTHORIZATION);
        let answer = match tokio::time::timeout(self.waits.whole(length), self.client(&request).execute(request)).await
        {
            Ok(answer) => answer,
            Err(elapsed) => Err(HttpError::new(HttpErrorKind::Timeout, elapsed)),
        };
        let answer = answer.map_err(|err| {
            let waited = started.elapsed() > PATIENCE && err.kind() == HttpErrorKind::Connect;
            if waited { HttpError::new(HttpErrorKind::Unknown, err) } else { err }
        });
        seen.ms = started.elapsed().as_millis() as u64;
        let answer = watched(answer, &mut seen, is_signed, self.waits.answer()).await;
        self.log.push(seen);
        answer
    }
}

/// Notes what an answer tells. The body of a refusal is read for that, and given on as it was; one that is owed to
/// a wrong clock is given words, since `object_store` hands on no headers.
async fn watched(
    answer: std::result::Result<HttpResponse, HttpError>,
    seen: &mut Exchange,
    is_signed: bool,
    wait: Duration,
) -> std::result::Result<HttpResponse, HttpError> {
    let response = answer.inspect_err(|err| {
        let why = super::errors::chain(err);
        let code = match err.kind() {
            HttpErrorKind::Timeout => "Timeout",
            _ => super::errors::transport(&why).unwrap_or_default(),
        };
        seen.unanswered(code, &why);
    })?;
    let headers = response.headers();
    seen.answered(response.status().as_u16(), |name| headers.get(name)?.to_str().ok());
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = match tokio::time::timeout(wait, body.bytes()).await {
        Ok(body) => body?,
        Err(elapsed) => return Err(HttpError::new(HttpErrorKind::Timeout, elapsed)),
    };
    let body = match skewed(&parts, &body).filter(|_| is_signed) {
        Some(clocks) => clock::refusal(clocks, seen.request_id.as_deref()).into(),
        None => body,
    };
    seen.refused(&body);
    Ok(HttpResponse::from_parts(parts, body.into()))
}

/// Both clocks, where a signed request was refused for them.
fn skewed(head: &http::response::Parts, body: &[u8]) -> Option<Clocks> {
    const CODE: &[u8] = b"<Code>RequestTimeTooSkewed</Code>";
    let is_refused = matches!(head.status.as_u16(), 400 | 401 | 403);
    let says_so = body.is_empty() || body.windows(CODE.len()).any(|window| window == CODE);
    let date = head.headers.get(http::header::DATE).filter(|_| is_refused && says_so)?;
    Clocks::of_date(date.to_str().ok()).filter(|clocks| clocks.is_too_far())
}
