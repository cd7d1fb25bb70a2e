//! The two HTTP stacks below the stores, set up alike: who is trusted, how long is waited, and a
//! log of what was sent. One connection pool serves all buckets of a profile.

use crate::error::{Error, Kind, Result};
use async_trait::async_trait;
use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use chrono::{DateTime, Utc};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a connection may take to come about.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// A connection that took longer than this to fail is not tried again: the user waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long an answer may take, besides the time for sending the body at [`SLOWEST`].
const ANSWER: Duration = Duration::from_mins(1);

/// Bytes per second below which a line counts as broken.
const SLOWEST: u64 = 64 * 1024;

/// Requests kept for the log screen.
const KEPT: usize = 1000;

/// One request as the log screen shows it. Holds no secret: signatures travel in headers, and what
/// follows `?` is left out.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Exchange {
    /// When it was sent.
    pub at: DateTime<Utc>,
    /// `GET`.
    pub method: String,
    /// The address without its query.
    pub address: String,
    /// HTTP status; `None` where nothing was answered.
    pub status: Option<u16>,
    /// Milliseconds until the head of the answer.
    pub ms: u64,
    /// The server's request id.
    pub request_id: Option<String>,
}

/// The last requests, newest last.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<VecDeque<Exchange>>>);

impl Log {
    pub(super) fn push(&self, exchange: Exchange) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(exchange);
    }

    pub(super) fn snapshot(&self) -> Vec<Exchange> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// The address without what may hold a signature.
pub(super) fn without_query(uri: &str) -> String {
    uri.split_once('?').map_or(uri, |(path, _)| path).to_owned()
}

/// How long the answer to a request with a body of `length` bytes is waited for.
pub(super) fn patience(length: u64) -> Duration {
    ANSWER + Duration::from_secs(length / SLOWEST)
}

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
pub(super) fn client(options: &ClientOptions, log: &Log) -> Result<HttpClient> {
    let inner = ReqwestConnector::default().connect(options).map_err(Error::from)?;
    Ok(HttpClient::new(Transport { inner, log: log.clone() }))
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
    log: Log,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transport")
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let (at, started) = (Utc::now(), Instant::now());
        let method = request.method().to_string();
        let address = without_query(&request.uri().to_string());
        let wait = patience(request.body().content_length() as u64);
        let answer = match tokio::time::timeout(wait, self.inner.execute(request)).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(HttpError::new(HttpErrorKind::Timeout, elapsed)),
        };
        let answer = answer.map_err(|err| {
            let waited = started.elapsed() > PATIENCE && err.kind() == HttpErrorKind::Connect;
            if waited { HttpError::new(HttpErrorKind::Unknown, err) } else { err }
        });
        self.log.push(Exchange {
            at,
            method,
            address,
            status: answer.as_ref().ok().map(|r| r.status().as_u16()),
            ms: started.elapsed().as_millis() as u64,
            request_id: answer.as_ref().ok().and_then(|r| {
                Some(String::from_utf8_lossy(r.headers().get("x-amz-request-id")?.as_bytes()).into_owned())
            }),
        });
        answer
    }
}
