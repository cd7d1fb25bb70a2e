//! Copies between keys and buckets of one server, whole and in parts, and deletion of what is still the same.
//!
//! What servers do, and drove this:
//! - Ceph 16 ignores `x-amz-copy-source-if-match` and obeys `x-amz-copy-if-match`: both are sent to all but Amazon;
//!   for parts it may look at neither, so that whoever completes the upload looks once more;
//! - it wants a `Content-Length` with the copy of a part, which has no body;
//! - it ignores `If-None-Match` with a copy and `If-Match` with a deletion: what stands there is asked for first;
//! - a copy may answer 200 and tell in the body that it failed: the SDK reads that as the error it is;
//! - a long copy is answered when it is done: the wait grows with the size.

use super::blank::spelled;
use super::control::with_headers;
use super::{Failure, S3};
use crate::error::{Error, Kind, Result};
use crate::store::copy::{Pinned, changed};
use crate::store::errors::Doing;
use crate::store::metered::Traffic;
use aws_sdk_s3::types::{MetadataDirective, StorageClass, TaggingDirective};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Bytes per second below which a copy within a server counts as stuck.
const SLOWEST: u64 = 8 << 20;

impl S3 {
    /// How long the copy of so many bytes may take.
    fn copying(&self, size: u64) -> Duration {
        self.waits.answer() + Duration::from_secs(size / SLOWEST)
    }

    /// Whether both are buckets of one profile.
    pub(in crate::store) fn shares_account(&self, other: &Self) -> bool {
        matches!((&self.keys, &other.keys), (Some(one), Some(two)) if Arc::ptr_eq(one, two))
    }

    /// Whether both are on one server and asked for with the same keys, whatever their profiles are called.
    pub(in crate::store) async fn shares_keys(&self, other: &Self) -> bool {
        let same_server = self.amazon == other.amazon && (self.amazon || self.site.host == other.site.host);
        let (Some(one), Some(two), true) = (&self.keys, &other.keys, same_server) else { return false };
        match (one.get().await, two.get().await) {
            (Ok(one), Ok(two)) => one.access_key_id() == two.access_key_id(),
            _ => false,
        }
    }

    /// Headers by which Ceph notices that the source has changed.
    fn conditions(&self, etag: Option<&str>) -> Vec<(&'static str, String)> {
        let theirs = etag.filter(|_| !self.amazon);
        theirs.map(|etag| ("x-amz-copy-if-match", etag.to_owned())).into_iter().collect()
    }

    /// See [`crate::store::StoreHandle::copy_object`].
    pub(in crate::store) async fn copy_from(
        &self,
        traffic: &Traffic,
        source: &Self,
        from: Pinned<'_>,
        key: &str,
        class: Option<&str>,
        if_absent: bool,
    ) -> Result<String> {
        // Asked for also because some servers do not know conditional copies.
        if if_absent && self.standing(traffic, key).await?.is_some() {
            return Err(self.exists(key));
        }
        let origin = source.copy_source(from.location.key(), from.location.version());
        let conditions = self.conditions(from.etag);
        // An older Ceph refuses what it does not know; Amazon obeys.
        let only_absent = (if_absent && self.amazon).then(|| "*".to_owned());
        let answer = self.call_within(Some(traffic), self.copying(from.size), |tap| {
            self.client
                .copy_object()
                .bucket(self.bucket())
                .key(spelled(key))
                .copy_source(&origin)
                .set_copy_source_if_match(from.etag.map(str::to_owned))
                .set_if_none_match(only_absent.clone())
                .metadata_directive(MetadataDirective::Copy)
                .tagging_directive(TaggingDirective::Copy)
                .set_storage_class(class.map(StorageClass::from))
                .customize()
                .mutate_request(with_headers(conditions.clone()))
                .interceptor(tap)
                .send()
        });
        match answer.await {
            Ok(answer) => Ok(answer.copy_object_result.and_then(|result| result.e_tag).unwrap_or_default()),
            Err(failure) => self.or_copied(traffic, source, failure, from, key, if_absent).await,
        }
    }

    /// The answer to a copy that failed: success all the same where an unanswered try has made it.
    async fn or_copied(
        &self,
        traffic: &Traffic,
        source: &Self,
        failure: Failure,
        from: Pinned<'_>,
        key: &str,
        if_absent: bool,
    ) -> Result<String> {
        if failure.ambiguous
            && if_absent
            && let Ok(now) = self.head(traffic, key, None).await
            && now.content_length().is_some_and(|size| size.max(0).unsigned_abs() == from.size)
        {
            return Ok(now.e_tag.unwrap_or_default());
        }
        if failure.fault.status == Some(412) && if_absent && self.standing(traffic, key).await?.is_some() {
            return Err(self.exists(key));
        }
        Err(self.copy_failed(source, &failure, from, key))
    }

    /// The sentence for a copy that failed.
    fn copy_failed(&self, source: &Self, failure: &Failure, from: Pinned<'_>, key: &str) -> Error {
        let fault = &failure.fault;
        match (fault.status, fault.code.as_str()) {
            (Some(412), _) => changed(from.location),
            (_, "NoSuchKey" | "NoSuchVersion" | "InvalidRange") | (Some(416), _) => {
                source.sentence(failure, Doing::Read, from.location.key())
            }
            (_, "EntityTooLarge") => {
                Error::new(Kind::Limit, format!("{} does not copy so much at once", self.site.host))
            }
            _ => self.sentence(failure, Doing::Write, key),
        }
    }

    /// See [`crate::store::StoreHandle::copy_part`].
    #[expect(clippy::too_many_arguments, reason = "the request has as many")]
    pub(in crate::store) async fn copy_part(
        &self,
        traffic: &Traffic,
        source: &Self,
        from: Pinned<'_>,
        range: Range<u64>,
        key: &str,
        id: &str,
        number: u32,
    ) -> Result<String> {
        let number = i32::try_from(number).map_err(|_| Error::usage("an upload has at most 10,000 parts"))?;
        let origin = source.copy_source(from.location.key(), from.location.version());
        let mut headers = self.conditions(from.etag);
        headers.push(("content-length", "0".to_owned()));
        let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let answer = self.call_within(Some(traffic), self.copying(range.end - range.start), |tap| {
            self.client
                .upload_part_copy()
                .bucket(self.bucket())
                .key(spelled(key))
                .upload_id(id)
                .part_number(number)
                .copy_source(&origin)
                .copy_source_range(&bytes)
                .set_copy_source_if_match(from.etag.map(str::to_owned))
                .customize()
                .mutate_request(with_headers(headers.clone()))
                .interceptor(tap)
                .send()
        });
        let answer = answer.await.map_err(|failure| self.copy_failed(source, &failure, from, key))?;
        let etag = answer.copy_part_result.and_then(|part| part.e_tag);
        etag.ok_or_else(|| Error::new(Kind::Failed, format!("{} gave no ETag for a part", self.site.host)))
    }

    /// See [`crate::store::StoreHandle::delete_unchanged`].
    pub(in crate::store) async fn delete_unchanged(&self, traffic: &Traffic, key: &str, etag: &str) -> Result<()> {
        if !self.amazon {
            match self.standing(traffic, key).await? {
                None => return Ok(()),
                Some(now) if now != etag.trim_matches('"') => return Err(self.differs(key)),
                Some(_) => {}
            }
        }
        let mut condition = Some(etag.to_owned());
        loop {
            let answer = self.call(Some(traffic), 0, |tap| {
                let request = self.client.delete_object().bucket(self.bucket()).key(spelled(key));
                request.set_if_match(condition.clone()).customize().interceptor(tap).send()
            });
            let Err(failure) = answer.await else { return Ok(()) };
            let fault = &failure.fault;
            match (fault.status, fault.code.as_str()) {
                (_, "NoSuchKey") | (Some(404), "") => return Ok(()),
                (Some(412), _) => return Err(self.differs(key)),
                // A server that knows no conditional deletion: what stands there was looked at just now.
                (Some(501), _) if !self.amazon && condition.take().is_some() => {}
                _ => return Err(self.sentence(&failure, Doing::Delete, key)),
            }
        }
    }

    fn differs(&self, key: &str) -> Error {
        Error::new(Kind::Changed, format!("{} changed after it was copied: it was not deleted", self.site.address(key)))
            .with_hint("both are there now; compare them, and delete the one that is not needed")
    }
}
