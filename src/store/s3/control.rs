//! Single requests of the control plane: uploads in parts, deletion, buckets, links for others.

use super::blank::spelled;
use super::{Failure, S3};
use crate::error::{Error, Kind, Result};
use crate::store::errors::{Doing, Fault};
use crate::store::link::{Link, Method};
use crate::store::metered::Traffic;
use crate::store::{PartSent, Sums, UploadMeta};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, Tag, Tagging};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use md5::{Digest as _, Md5};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

/// MD5 of a body. Large ones are worked on where blocking is allowed.
async fn digest(body: &Bytes) -> [u8; 16] {
    let shared = body.clone();
    if body.len() < 1 << 20 {
        return Md5::digest(&shared).into();
    }
    let work = tokio::task::spawn_blocking(move || Md5::digest(&shared).into());
    work.await.unwrap_or_else(|_| Md5::digest(body).into())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// What can be sent as a header, or the sentence why not.
pub(super) fn headers(metadata: &BTreeMap<String, String>) -> Result<HashMap<String, String>> {
    for (key, value) in metadata {
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
            return Err(Error::usage(format!("`{key}` cannot be the name of metadata"))
                .with_hint("use letters, digits, dots, dashes and underscores"));
        }
        if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(Error::usage(format!("the metadata `{key}` holds characters that S3 does not carry"))
                .with_hint("use plain ASCII, or percent-encode the value"));
        }
    }
    Ok(metadata.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
}

/// Tags as a query string. A space is `%20`: Ceph takes a `+` for itself.
pub(super) fn tagging(meta: &UploadMeta) -> Option<String> {
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> = meta.tags.iter().map(|(k, v)| format!("{}={}", encoded(k), encoded(v))).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

impl S3 {
    /// The `ETag` of what stands at `key`, without its quotes; `None` where nothing stands.
    pub(super) async fn standing(&self, traffic: &Traffic, key: &str) -> Result<Option<String>> {
        let head = self.call(Some(traffic), 0, |tap| {
            self.client.head_object().bucket(self.bucket()).key(spelled(key)).customize().interceptor(tap).send()
        });
        match head.await {
            Ok(head) => Ok(Some(head.e_tag().unwrap_or_default().trim_matches('"').to_owned())),
            Err(failure) if failure.fault.status == Some(404) => Ok(None),
            Err(failure) => Err(self.sentence(&failure, Doing::Write, key)),
        }
    }

    pub(super) fn exists(&self, key: &str) -> Error {
        Error::new(Kind::Exists, format!("{} exists already", self.site.address(key)))
    }

    pub(in crate::store) async fn create_upload(
        &self,
        traffic: Option<&Traffic>,
        key: &str,
        meta: &UploadMeta,
    ) -> Result<String> {
        Ok(self.begin_upload(traffic, key, meta, None).await?.0)
    }

    pub(in crate::store) async fn put_part(
        &self,
        traffic: Option<&Traffic>,
        key: &str,
        id: &str,
        number: u32,
        body: Bytes,
    ) -> Result<String> {
        let sums = Sums { md5: Some(digest(&body).await), ..Sums::default() };
        Ok(self.send_part(traffic, key, id, number, body, &sums).await?.etag)
    }

    /// Completes an upload, see [`S3::finish_upload`].
    pub(in crate::store) async fn complete_upload(
        &self,
        traffic: &Traffic,
        key: &str,
        id: &str,
        parts: &[(u32, String)],
        if_absent: bool,
    ) -> Result<String> {
        let sent =
            |(number, etag): &(u32, String)| PartSent { number: *number, etag: etag.clone(), ..PartSent::default() };
        let parts: Vec<PartSent> = parts.iter().map(sent).collect();
        Ok(self.finish_upload(traffic, key, id, &parts, if_absent).await?.etag)
    }

    pub(in crate::store) async fn set_tags(
        &self,
        traffic: &Traffic,
        key: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<()> {
        let tags: std::result::Result<Vec<Tag>, _> =
            tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        let set = tags.and_then(|tags| Tagging::builder().set_tag_set(Some(tags)).build());
        let set = set.map_err(|err| Error::new(Kind::Usage, "these tags cannot be sent").with_source(err))?;
        let answer = self.call(Some(traffic), 0, |tap| {
            let request = self.client.put_object_tagging().bucket(self.bucket()).key(spelled(key)).tagging(set.clone());
            request.customize().interceptor(tap).send()
        });
        answer.await.map(drop).map_err(|failure| self.sentence(&failure, Doing::Write, key))
    }

    /// The answer to a write that failed: success all the same where what stands is what was sent.
    pub(super) async fn or_ours(&self, traffic: &Traffic, failure: Failure, key: &str, etag: &str) -> Result<String> {
        if failure.ambiguous && self.standing(traffic, key).await.ok().flatten().as_deref() == Some(etag) {
            return Ok(format!("\"{etag}\""));
        }
        Err(self.sentence(&failure, Doing::Write, key))
    }

    pub(in crate::store) async fn abort_upload(&self, traffic: Option<&Traffic>, key: &str, id: &str) -> Result<()> {
        let answer = self.call(traffic, 0, |tap| {
            let request = self.client.abort_multipart_upload().bucket(self.bucket()).key(spelled(key)).upload_id(id);
            request.customize().interceptor(tap).send()
        });
        self.tags.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        match answer.await {
            Err(failure) if failure.fault.status != Some(404) => Err(self.sentence(&failure, Doing::Write, key)),
            _ => Ok(()),
        }
    }

    pub(in crate::store) async fn put_object(
        &self,
        traffic: &Traffic,
        key: &str,
        body: Bytes,
        meta: &UploadMeta,
        if_absent: bool,
    ) -> Result<String> {
        headers(&meta.metadata)?;
        if if_absent && self.standing(traffic, key).await?.is_some() {
            return Err(self.exists(key));
        }
        let sums = Sums { md5: Some(digest(&body).await), ..Sums::default() };
        Ok(self.send_object(traffic, key, body, meta, if_absent, &sums).await?.etag)
    }

    pub(in crate::store) async fn delete(&self, traffic: Option<&Traffic>, key: &str) -> Result<()> {
        let answer = self.call(traffic, 0, |tap| {
            self.client.delete_object().bucket(self.bucket()).key(spelled(key)).customize().interceptor(tap).send()
        });
        match answer.await {
            Err(failure) if failure.fault.code == "NoSuchKey" => Ok(()),
            Err(failure) => Err(self.sentence(&failure, Doing::Delete, key)),
            Ok(_) => Ok(()),
        }
    }

    pub(in crate::store) async fn create_bucket(&self, traffic: &Traffic) -> Result<()> {
        let region = &self.site.region;
        let place = (self.amazon && region != "us-east-1").then(|| {
            let place = BucketLocationConstraint::from(region.as_str());
            CreateBucketConfiguration::builder().location_constraint(place).build()
        });
        let answer = self.call(Some(traffic), 0, |tap| {
            let request = self.client.create_bucket().bucket(self.bucket());
            request.set_create_bucket_configuration(place.clone()).customize().interceptor(tap).send()
        });
        match answer.await {
            Err(failure) if failure.fault.code == "BucketAlreadyOwnedByYou" => Ok(()),
            Err(failure) => Err(self.sentence(&failure, Doing::CreateBucket, "")),
            Ok(_) => Ok(()),
        }
    }

    /// A link to `key` that works without credentials until it expires; it ends with the credentials it
    /// was signed with, where those are temporary.
    pub(in crate::store) async fn presign(&self, method: Method, key: &str, valid: Duration) -> Result<Link> {
        let limit = || Error::usage("a link is valid for a second to 7 days").with_hint("make a new link when it ends");
        let start = SystemTime::now();
        let config = PresigningConfig::builder().start_time(start).expires_in(valid).build().map_err(|_| limit())?;
        let keys = match &self.keys {
            Some(keys) => keys.get().await?,
            None => return Err(Error::new(Kind::Denied, "without credentials no link can be signed")),
        };
        let failed = |fault: Fault, doing| self.site.sentence(&fault, doing, key);
        let signed = match method {
            Method::Get => {
                let request = self.client.get_object().bucket(self.bucket()).key(spelled(key));
                request.presigned(config).await.map_err(|err| failed(Fault::of_sdk(&err), Doing::Read))?
            }
            Method::Put => {
                let request = self.client.put_object().bucket(self.bucket()).key(spelled(key));
                request.presigned(config).await.map_err(|err| failed(Fault::of_sdk(&err), Doing::Write))?
            }
        };
        let (wished, credentials_end) = (start + valid, keys.expiry());
        let expires = credentials_end.map_or(wished, |end| end.min(wished));
        Ok(Link {
            url: signed.uri().to_owned(),
            method,
            expires: DateTime::<Utc>::from(expires),
            is_shortened: expires < wished,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_that_no_header_carries_is_refused_in_words() {
        let meta = |k: &str, v: &str| BTreeMap::from([(k.to_owned(), v.to_owned())]);
        assert!(headers(&meta("fairease.catalog.mediatype", "COG")).is_ok());
        for (key, value) in [("a b", "x"), ("", "x"), ("k", "caf\u{e9}"), ("k", "a\r\nb: c")] {
            assert_eq!(headers(&meta(key, value)).map_err(|e| e.kind()).err(), Some(Kind::Usage), "{key}");
        }
    }
}
