//! S3, whoever serves it: the clients of a profile and of a bucket.
//!
//! Bytes travel through `object_store`, and listings beside it over the same connections; what it does
//! not know (lists of buckets, keys it cannot spell, uploads with metadata, tags, versions) through
//! `aws-sdk-s3`. All share credentials, settings and trust.
//!
//! | file of `s3/` | what it knows |
//! |---|---|
//! | `lister`, `xml` | one page of a listing: the request, the answer |
//! | `pages`, `deep` | pages in a row, ahead and again; everything below a prefix by several hands |
//! | `keys` | the `ObjectStore` that spells every key |
//! | `ask`, `bucket`, `rules`, `stat`, `versions` | facts, also where a server does not understand the question |
//! | `copies` | copies between keys and buckets, whole and in parts; deletion of what is still the same |
//! | `put` | bytes on their way there, with checksums; uploads that were left |
//! | `prune` | deleting by the thousand; uploads that nobody completed |
//! | `control`, `edit`, `blank` | everything else; keys of blanks, which the SDK would trim |

use super::credentials::{Access, Again, Keys};
use super::errors::{Doing, Fault, Site};
use super::link::{Keyring, Reach};
use super::log::{Exchange, Log};
use super::metered::Traffic;
use super::pulse::{Pulse, Waits};
use super::transport;
use crate::error::{Error, Kind, Result};
use crate::location::{Scheme, StoreId};
use crate::meter::Meter;
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_s3::config::{
    BehaviorVersion, ConfigBag, IdentityCache, Intercept, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, RuntimeComponents, SharedCredentialsProvider, SharedHttpClient,
    StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata, SdkError};
use chrono::{DateTime, Utc};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut, resolve_bucket_region};
use object_store::client::HttpClient;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

mod ask;
mod blank;
mod bucket;
mod check;
pub(super) mod control;
mod copies;
mod deep;
mod edit;
pub(super) mod keys;
mod lister;
pub(super) mod pages;
mod prune;
mod put;
mod rules;
mod small;
mod stat;
mod versions;
mod xml;

pub(super) use lister::Patience;

/// A request of the control plane is sent at most so often.
const TRIES: u32 = 4;

/// What all buckets of a profile share.
pub(super) struct Account {
    access: Access,
    keys: Option<Arc<Keys>>,
    http: HttpClient,
    sdk_http: SharedHttpClient,
    patience: Patience,
    waits: Waits,
    log: Log,
}

/// One bucket, or the account above it when the bucket's name is empty.
pub(super) struct S3 {
    pub(super) site: Arc<Site>,
    /// For bytes; `None` for an account.
    data: Option<AmazonS3>,
    client: Client,
    /// How listings are asked for.
    lister: lister::Lister,
    /// Whether Amazon itself serves it: only there a bucket is created in a region.
    amazon: bool,
    /// Tags of uploads under way: some servers forget them, see `control`.
    tags: Mutex<HashMap<String, BTreeMap<String, String>>>,
    /// `None` where requests are not signed.
    keys: Option<Arc<Keys>>,
    waits: Waits,
    log: Log,
}

impl Account {
    /// `again` reads the credentials anew where they are plain keys: somebody may have renewed them.
    pub(super) fn new(access: Access, again: Again, (patience, waits): (Patience, Waits), log: &Log) -> Result<Self> {
        let options = transport::client_options(access.ca.as_deref())?;
        let sdk_http = transport::sdk_client(access.ca.as_deref())?;
        let keys = access.source.clone().map(|source| Keys::new(source, again, &access, &sdk_http));
        Ok(Self {
            http: transport::client(&options, waits, log)?,
            access,
            keys,
            sdk_http,
            patience,
            waits,
            log: log.clone(),
        })
    }

    /// Makes the clients for `id`'s bucket. Fails early where no credentials can be had.
    pub(super) async fn open(&self, id: &StoreId) -> Result<S3> {
        let keys = match &self.keys {
            Some(keys) => Some(keys.get().await?),
            None => None,
        };
        let bucket = id.authority.as_str();
        let region = self.region(bucket).await?;
        let temporary = keys.is_some_and(|keys| keys.session_token().is_some());
        let site = Arc::new(self.site(id, &region, temporary));
        // A dot in the bucket's name does not fit the certificate for `*.s3.amazonaws.com`.
        let path_style = self.access.path_style() || bucket.contains('.');
        let data = if bucket.is_empty() { None } else { Some(self.data(bucket, &region, path_style)?) };
        let lister = self.lister(bucket, &region, path_style);
        let client = self.client(region, path_style);
        Ok(S3 {
            site,
            data,
            client,
            lister,
            amazon: self.access.endpoint.is_none(),
            tags: Mutex::default(),
            keys: self.keys.clone(),
            waits: self.waits,
            log: self.log.clone(),
        })
    }

    /// What a tool outside must know. Whether `~/.aws` holds the profile, its caller knows.
    pub(super) fn reach(&self) -> Reach {
        Reach {
            endpoint: self.access.endpoint.as_ref().map(|e| e.trim_end_matches('/').to_owned()),
            region: self.access.region.clone(),
            profile: self.access.profile.clone(),
            path_style: self.access.path_style(),
            ca: self.access.ca.clone(),
            origin: match (&self.keys, &self.access.profile) {
                (None, _) => Keyring::Nobody,
                (Some(_), Some(_)) => Keyring::Profile,
                (Some(_), None) => Keyring::Environment,
            },
        }
    }

    /// What sentences about `id` speak of.
    fn site(&self, id: &StoreId, region: &str, temporary: bool) -> Site {
        Site {
            scheme: Scheme::S3,
            bucket: id.authority.clone(),
            host: host_of(&self.endpoint(region)).to_owned(),
            region: region.to_owned(),
            profile: id.profile.clone(),
            owner: self.access.profile.clone(),
            anonymous: self.keys.is_none(),
            temporary,
        }
    }

    /// The endpoint that was set, else Amazon's.
    fn endpoint(&self, region: &str) -> String {
        self.access.endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"))
    }

    /// The region that was set; on Amazon, the one that the bucket says it is in.
    async fn region(&self, bucket: &str) -> Result<String> {
        let set = self.access.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        if bucket.is_empty() || self.access.endpoint.is_some() {
            return Ok(set);
        }
        let options = transport::client_options(self.access.ca.as_deref())?.with_timeout(Duration::from_secs(5));
        Ok(resolve_bucket_region(bucket, &options).await.unwrap_or(set))
    }

    fn data(&self, bucket: &str, region: &str, path_style: bool) -> Result<AmazonS3> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_virtual_hosted_style_request(!path_style)
            .with_client_options(transport::client_options(None)?)
            .with_http_connector(transport::Shared(self.http.clone()))
            .with_retry(transport::retry())
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_unsigned_payload(true);
        if let Some(endpoint) = &self.access.endpoint {
            let endpoint = endpoint.trim_end_matches('/');
            builder = builder.with_endpoint(match endpoint.split_once("://") {
                Some((scheme, host)) if !path_style => format!("{scheme}://{bucket}.{host}"),
                _ => endpoint.to_owned(),
            });
        }
        builder = match &self.keys {
            Some(keys) => builder.with_credentials(keys.clone()),
            None => builder.with_skip_signature(true),
        };
        builder.build().map_err(Error::from)
    }

    fn lister(&self, bucket: &str, region: &str, path_style: bool) -> lister::Lister {
        lister::Lister {
            http: self.http.clone(),
            keys: self.keys.clone(),
            region: region.to_owned(),
            address: lister::address(self.access.endpoint.as_deref(), bucket, region, path_style),
            patience: self.patience,
        }
    }

    fn client(&self, region: String, path_style: bool) -> Client {
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .interceptor(blank::Blank)
            .force_path_style(path_style)
            .http_client(self.sdk_http.clone())
            .timeout_config(TimeoutConfig::builder().connect_timeout(transport::CONNECT).build())
            // `S3::call` tries again, so that it is counted and keeps its place under the limit.
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // Ceph fails on checksums in trailers.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            // `Keys` keeps them itself, and lets go of those that were refused.
            .identity_cache(IdentityCache::no_cache())
            .disable_s3_express_session_auth(true);
        if let Some(endpoint) = &self.access.endpoint {
            config = config.endpoint_url(endpoint);
        }
        config = match &self.keys {
            Some(keys) => config.credentials_provider(SharedCredentialsProvider::new(KeysOf(keys.clone()))),
            None => config.allow_no_auth(),
        };
        Client::from_conf(config.build())
    }
}

/// `host:port` of an endpoint.
pub(super) fn host_of(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// The SDK wants to own its provider.
#[derive(Debug)]
struct KeysOf(Arc<Keys>);

impl aws_credential_types::provider::ProvideCredentials for KeysOf {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.0.provide_credentials()
    }
}

/// Watches one request of the SDK: the bytes of its answer go to the meter, the rest to the log.
#[derive(Clone)]
struct Tap {
    meter: Option<Meter>,
    /// When something of the request's body was last taken.
    pulse: Pulse,
    seen: Arc<Mutex<Exchange>>,
}

impl Tap {
    fn new(meter: Option<Meter>) -> Self {
        Self { meter, pulse: Pulse::default(), seen: Arc::default() }
    }

    fn note(&self, f: impl FnOnce(&mut Exchange)) {
        f(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Puts the request into the log. One that was refused before it was sent is none.
    fn done(&self, log: &Log, ms: u64, fault: Option<&Fault>) {
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        if let (Some(fault), None) = (fault, seen.status) {
            seen.unanswered(&fault.code, &fault.message);
        }
        seen.ms = ms;
        if !seen.method.is_empty() {
            log.push(seen);
        }
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tap")
    }
}

impl Intercept for Tap {
    fn name(&self) -> &'static str {
        "secchi"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let request = context.request();
        self.note(|seen| {
            let sent = request.body().content_length().unwrap_or_default();
            *seen = Exchange::begin(request.method(), request.uri(), request.headers().get("range"), sent);
        });
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let response = context.response();
        if let (Some(meter), Some(body)) = (&self.meter, response.body().bytes()) {
            meter.received(body.len() as u64);
        }
        self.note(|seen| {
            let status = response.status().as_u16();
            seen.answered(status, |name| response.headers().get(name));
            if status >= 400 {
                seen.refused(response.body().bytes().unwrap_or_default());
            }
        });
        Ok(())
    }
}

/// An answer, or the fault that [`S3::sentence`] puts into words.
type Answer<T> = std::result::Result<T, Failure>;

/// A fault, and whether an earlier try may have been carried out without an answer.
struct Failure {
    fault: Fault,
    ambiguous: bool,
}

impl S3 {
    /// The client for bytes.
    pub(super) fn data(&self) -> Result<&AmazonS3> {
        self.data.as_ref().ok_or_else(|| Error::new(Kind::Usage, "a list of buckets holds no bytes: name a bucket"))
    }

    /// The keys that the next request is signed with, where they may end.
    async fn used(&self) -> Option<Credentials> {
        self.keys.as_ref().filter(|_| self.site.temporary)?.get().await.ok()
    }

    /// Whether there are other keys than those that were refused.
    async fn renew(&self, refused: Option<Credentials>) -> bool {
        match (&self.keys, refused) {
            (Some(keys), Some(refused)) => keys.renew(&refused).await.unwrap_or(false),
            _ => false,
        }
    }

    fn bucket(&self) -> &str {
        &self.site.bucket
    }

    /// Sends a request, again after a passing failure. With `traffic` it is counted and limited;
    /// without, its caller does that. `out` is the size of its body, which counts itself.
    async fn call<T, E, F, Fut>(&self, traffic: Option<&Traffic>, out: u64, send: F) -> Answer<T>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Fn(Tap) -> Fut,
        Fut: Future<Output = std::result::Result<T, SdkError<E, HttpResponse>>>,
    {
        // A body that is counted shows how it goes on: its time begins with what went last.
        let patience = if traffic.is_some() { self.waits.rest(out) } else { self.waits.whole(out) };
        self.call_within(traffic, patience, send).await
    }

    /// The same, where an answer takes its time for another reason than the body of its request.
    async fn call_within<T, E, F, Fut>(&self, traffic: Option<&Traffic>, patience: Duration, send: F) -> Answer<T>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Fn(Tap) -> Fut,
        Fut: Future<Output = std::result::Result<T, SdkError<E, HttpResponse>>>,
    {
        let attempt = || async {
            let started = Instant::now();
            let tap = Tap::new(traffic.map(|t| t.meter.clone()));
            let answer = tap.pulse.watch(patience, send(tap.clone())).await;
            let ms = started.elapsed().as_millis() as u64;
            let fault = match answer {
                Ok(Ok(value)) => {
                    tap.done(&self.log, ms, None);
                    return Ok(value);
                }
                Ok(Err(err)) => Fault::of_sdk(&err),
                Err(()) => Fault { code: "Timeout".to_owned(), ..Fault::default() },
            };
            tap.done(&self.log, ms, Some(&fault));
            Err(fault)
        };
        self.tried(traffic, attempt).await
    }

    /// Makes attempts until one succeeds or fails for good, each with its place, counted, and with keys that hold.
    async fn tried<T, Fut>(&self, traffic: Option<&Traffic>, attempt: impl Fn() -> Fut) -> Answer<T>
    where
        Fut: Future<Output = std::result::Result<T, Fault>>,
    {
        let (mut tries, mut ambiguous, mut renewed) = (0, false, false);
        loop {
            tries += 1;
            let used = self.used().await;
            let permit = match traffic {
                Some(traffic) => traffic.permit().await,
                None => None,
            };
            let request = traffic.map(|t| t.meter.request());
            let fault = match attempt().await {
                Ok(value) => {
                    if let Some(request) = request {
                        request.done();
                    }
                    return Ok(value);
                }
                Err(fault) => fault,
            };
            match request {
                // That nothing is there is an answer, not a failure.
                Some(request) if fault.status == Some(404) => drop(request.done()),
                other => drop(other),
            }
            drop(permit);
            ambiguous |= fault.is_ambiguous();
            if !renewed && pages::is_about_keys(&fault, self.site.temporary) && self.renew(used).await {
                renewed = true;
                continue;
            }
            if !fault.is_passing() || tries >= TRIES {
                return Err(Failure { fault, ambiguous });
            }
            if let Some(traffic) = traffic {
                traffic.meter.retried();
            }
            let jitter = rand::random_range(0..100);
            tokio::time::sleep(Duration::from_millis((100 << tries) + jitter)).await;
        }
    }

    fn sentence(&self, failure: &Failure, doing: Doing, key: &str) -> Error {
        self.site.sentence(&failure.fault, doing, key)
    }
}

/// A time of the SDK as ours.
fn time(at: &aws_sdk_s3::primitives::DateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.secs(), at.subsec_nanos())
}
