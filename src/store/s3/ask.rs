//! Questions that a server may not understand: an answer, or which of the many ways to have none.
//!
//! What servers do where they do not offer something: s3s answers 501; Ceph 16 answers `?website`
//! with 405, and `?encryption`, `?ownershipControls`, `?accelerate` with 200 and a listing of the
//! bucket, as if nothing had been asked. So the root element of each answer is looked at. (`?attributes`
//! of an object is answered by Ceph with the object's whole body: it is never asked for.)

use super::{Answer, S3, Tap};
use crate::store::errors::Doing;
use crate::store::facts::Fact;
use crate::store::metered::Traffic;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata, SdkError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So much of a body is kept.
const BODY: usize = 4096;

/// Codes of a 404 that say that the thing itself is gone, and not one of its facts.
const GONE: [&str; 5] = ["NoSuchBucket", "NoSuchKey", "NoSuchVersion", "NoSuchUpload", "NotFound"];

/// What an answer looked like before it was understood.
#[derive(Clone, Default)]
pub(super) struct Peek(Arc<Mutex<Seen>>);

#[derive(Clone, Default)]
pub(super) struct Seen {
    /// Ceph's own headers: `x-rgw-object-count`.
    pub(super) headers: BTreeMap<String, String>,
    /// The start of the body.
    pub(super) body: String,
}

impl Peek {
    pub(super) fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Peek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Peek")
    }
}

impl Intercept for Peek {
    fn name(&self) -> &'static str {
        "secchi-peek"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let body = response.body().bytes().unwrap_or_default();
        let body = String::from_utf8_lossy(&body[..body.len().min(BODY)]).into_owned();
        let own = response.headers().iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with("x-rgw-"));
        let headers = own.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Seen { headers, body };
        Ok(())
    }
}

/// The name of the root element of a document, without the prefix of its namespace.
pub(super) fn root(body: &str) -> Option<&str> {
    let mut rest = body.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    loop {
        rest = rest.strip_prefix('<')?;
        if !rest.starts_with(['?', '!']) {
            break;
        }
        rest = rest.split_once('>')?.1.trim_start();
    }
    let name = rest.split([' ', '\t', '\r', '\n', '/', '>']).next()?;
    let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
    (!name.is_empty()).then_some(name)
}

impl S3 {
    /// Asks; `roots` are the root elements that an answer may have (none: it is not XML).
    pub(super) async fn ask<T, E, F, Fut>(&self, traffic: &Traffic, key: &str, roots: &[&str], send: F) -> Fact<T>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Fn(Tap, Peek) -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let peek = Peek::default();
        let answer = self.call(Some(traffic), 0, |tap| send(tap, peek.clone())).await;
        self.fact(answer, &peek.seen().body, key, roots)
    }

    fn fact<T>(&self, answer: Answer<T>, body: &str, key: &str, roots: &[&str]) -> Fact<T> {
        let fits = || roots.is_empty() || root(body).is_some_and(|name| roots.contains(&name));
        let failure = match answer {
            Ok(value) if fits() => return Fact::Known(value),
            Ok(_) if body.trim().is_empty() => return Fact::NotSet,
            Ok(_) => return Fact::NotOffered,
            Err(failure) => failure,
        };
        let code = failure.fault.code.as_str();
        match failure.fault.status {
            // Ceph answers `?tagging` with nothing at all after a copy that has dropped the tags.
            Some(200..300) if body.trim().is_empty() => Fact::NotSet,
            Some(200..300) if !fits() => Fact::NotOffered,
            Some(405 | 501) => Fact::NotOffered,
            _ if matches!(code, "NotImplemented" | "MethodNotAllowed" | "UnsupportedOperation") => Fact::NotOffered,
            Some(404) if !code.is_empty() && !GONE.contains(&code) => Fact::NotSet,
            Some(401 | 403) => Fact::Denied,
            _ => Fact::Failed(self.sentence(&failure, Doing::Read, key).to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_root_of_an_answer_is_found() {
        let listing =
            "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://x/\"><Name>b</Name></ListBucketResult>";
        assert_eq!(root(listing), Some("ListBucketResult"));
        assert_eq!(root("<!-- a --><s3:Tagging/>"), Some("Tagging"));
        for text in ["", "hello", "<", "<?xml", "{}", "< a"] {
            assert_eq!(root(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_looked_at(body in "[<>?!/: a-zA-Z\\n\"=]{0,40}|.{0,40}") {
            let _ = root(&body);
        }
    }
}
