//! What S3 says of one object: a HEAD with all it tells, tags, the access control list.

use super::blank::spelled;
use super::{Answer, Failure, S3, time};
use crate::entry::{Detail, Stat};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::errors::Doing;
use crate::store::facts::{Access, Fact, Grant};
use crate::store::metered::Traffic;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{self, ChecksumMode};
use std::collections::BTreeMap;

/// Parts that an `ETag` tells of: 38 of `"5d41…-38"`.
fn parts_of(etag: &str) -> Option<u32> {
    let (digest, parts) = etag.trim_matches('"').rsplit_once('-')?;
    let is_md5 = digest.len() == 32 && digest.bytes().all(|b| b.is_ascii_hexdigit());
    is_md5.then(|| parts.parse().ok())?
}

fn owned(text: Option<&str>) -> Option<String> {
    text.filter(|t| !t.is_empty()).map(str::to_owned)
}

fn detail(head: &HeadObjectOutput) -> Detail {
    let checksums = [
        ("crc32", head.checksum_crc32()),
        ("crc32c", head.checksum_crc32_c()),
        ("crc64nvme", head.checksum_crc64_nvme()),
        ("sha1", head.checksum_sha1()),
        ("sha256", head.checksum_sha256()),
    ];
    Detail {
        content_encoding: owned(head.content_encoding()),
        content_language: owned(head.content_language()),
        content_disposition: owned(head.content_disposition()),
        cache_control: owned(head.cache_control()),
        expires: owned(head.expires_string()),
        website_redirect: owned(head.website_redirect_location()),
        encryption: owned(head.server_side_encryption().map(types::ServerSideEncryption::as_str))
            .or_else(|| head.sse_customer_algorithm().map(|a| format!("{a} with a key of the owner"))),
        encryption_key: owned(head.ssekms_key_id()),
        checksums: checksums.into_iter().filter_map(|(name, sum)| Some((name.to_owned(), sum?.to_owned()))).collect(),
        parts: head.e_tag().and_then(parts_of),
        tag_count: head.tag_count().and_then(|n| u32::try_from(n).ok()),
        restore: owned(head.restore()),
        expiration: owned(head.expiration()),
        replication: owned(head.replication_status().map(types::ReplicationStatus::as_str)),
        lock_mode: owned(head.object_lock_mode().map(types::ObjectLockMode::as_str)),
        lock_until: head.object_lock_retain_until_date().and_then(time),
        legal_hold: owned(head.object_lock_legal_hold_status().map(types::ObjectLockLegalHoldStatus::as_str))
            .filter(|hold| hold != "OFF"),
    }
}

fn grant(grant: types::Grant) -> Option<Grant> {
    let grantee = grant.grantee?;
    let (kind, who) = match (grantee.id, grantee.uri, grantee.email_address) {
        (_, Some(uri), _) => ("uri", uri),
        (Some(id), ..) => ("id", id),
        (_, _, Some(address)) => ("emailAddress", address),
        _ => return None,
    };
    let permission = grant.permission?.as_str().to_owned();
    Some(Grant { kind, grantee: who, name: grantee.display_name, permission })
}

/// An access control list as ours.
pub(super) fn access(owner: Option<types::Owner>, grants: Option<Vec<types::Grant>>) -> Access {
    let owner_id = owner.as_ref().and_then(|o| o.id().map(str::to_owned)).unwrap_or_default();
    let name = owner.and_then(|o| o.display_name).filter(|name| !name.is_empty());
    Access {
        owner: name.unwrap_or_else(|| owner_id.clone()),
        owner_id,
        grants: grants.unwrap_or_default().into_iter().filter_map(grant).collect(),
    }
}

impl S3 {
    /// The answer to a HEAD, or the sentence why there is none.
    pub(super) async fn head(&self, traffic: &Traffic, key: &str, version: Option<&str>) -> Result<HeadObjectOutput> {
        let mode = Some(ChecksumMode::Enabled);
        let mut head = self.head_once(traffic, key, version, mode).await;
        // Amazon wants the right to decrypt from whoever asks for checksums of what a key service
        // encrypted: the rest may be seen without.
        if self.amazon && head.as_ref().is_err_and(|failure| failure.fault.status == Some(403)) {
            head = self.head_once(traffic, key, version, None).await;
        }
        match head {
            Ok(head) => Ok(head),
            // Amazon's answer to a question for a mark of deletion; Ceph's is 404.
            Err(failure) if version.is_some() && failure.fault.status == Some(405) => {
                Err(Error::usage(format!("this version of {} marks that it was deleted", self.site.address(key)))
                    .with_hint("undelete it, or open an older version"))
            }
            Err(failure) => Err(self.missing(traffic, failure, key, version).await),
        }
    }

    /// The answer to a HEAD, and nothing asked beside it.
    pub(super) async fn head_lean(&self, traffic: &Traffic, key: &str) -> Answer<HeadObjectOutput> {
        let head = self.head_once(traffic, key, None, Some(ChecksumMode::Enabled)).await;
        if self.amazon && head.as_ref().is_err_and(|failure| failure.fault.status == Some(403)) {
            return self.head_once(traffic, key, None, None).await;
        }
        head
    }

    async fn head_once(
        &self,
        traffic: &Traffic,
        key: &str,
        version: Option<&str>,
        mode: Option<ChecksumMode>,
    ) -> Answer<HeadObjectOutput> {
        let head = self.call(Some(traffic), 0, |tap| {
            self.client
                .head_object()
                .bucket(self.bucket())
                .key(spelled(key))
                .set_version_id(version.map(str::to_owned))
                .set_checksum_mode(mode.clone())
                .customize()
                .interceptor(tap)
                .send()
        });
        head.await
    }

    /// A HEAD and tags as ours.
    pub(super) fn stat_of(
        &self,
        key: &str,
        version: Option<&str>,
        head: HeadObjectOutput,
        tags: BTreeMap<String, String>,
    ) -> Stat {
        let location = Location::new(self.site.scheme, self.site.profile.clone(), self.bucket(), key);
        Stat {
            location: location.with_version(version),
            size: head.content_length().unwrap_or_default().max(0).unsigned_abs(),
            etag: head.e_tag().map(str::to_owned),
            modified: head.last_modified().and_then(time),
            content_type: head.content_type().map(str::to_owned),
            storage_class: head.storage_class().map(|c| c.as_str().to_owned()).filter(|c| c != "STANDARD"),
            version: head.version_id().filter(|v| *v != "null").map(str::to_owned),
            detail: detail(&head),
            metadata: head.metadata.unwrap_or_default().into_iter().collect(),
            tags,
        }
    }

    /// What the server says of one object, with its tags where it offers them.
    pub(in crate::store) async fn stat(&self, traffic: &Traffic, key: &str, version: Option<&str>) -> Result<Stat> {
        Ok(self.stat_and_tags(traffic, key, version).await?.0)
    }

    /// The same, and why there are no tags where there are none.
    pub(in crate::store) async fn stat_and_tags(
        &self,
        traffic: &Traffic,
        key: &str,
        version: Option<&str>,
    ) -> Result<(Stat, Fact<BTreeMap<String, String>>)> {
        let (head, tags) = tokio::join!(self.head(traffic, key, version), self.tags(traffic, key, version));
        let known = tags.known().cloned().unwrap_or_default();
        Ok((self.stat_of(key, version, head?, known), tags))
    }

    /// The tags of an object.
    pub(in crate::store) async fn tags(
        &self,
        traffic: &Traffic,
        key: &str,
        version: Option<&str>,
    ) -> Fact<BTreeMap<String, String>> {
        let answer = self.ask(traffic, key, &["Tagging"], |tap, peek| {
            self.client
                .get_object_tagging()
                .bucket(self.bucket())
                .key(spelled(key))
                .set_version_id(version.map(str::to_owned))
                .customize()
                .interceptor(tap)
                .interceptor(peek)
                .send()
        });
        match answer.await.map(|a| a.tag_set.into_iter().map(|t| (t.key, t.value)).collect::<BTreeMap<_, _>>()) {
            Fact::Known(none) if none.is_empty() => Fact::NotSet,
            other => other,
        }
    }

    /// The access control list of an object.
    pub(in crate::store) async fn access(&self, traffic: &Traffic, key: &str, version: Option<&str>) -> Fact<Access> {
        let answer = self.ask(traffic, key, &["AccessControlPolicy"], |tap, peek| {
            self.client
                .get_object_acl()
                .bucket(self.bucket())
                .key(spelled(key))
                .set_version_id(version.map(str::to_owned))
                .customize()
                .interceptor(tap)
                .interceptor(peek)
                .send()
        });
        answer.await.map(|a| access(a.owner, a.grants))
    }

    /// The answer to a HEAD has no body: whether key or bucket is missing is asked for.
    async fn missing(&self, traffic: &Traffic, mut failure: Failure, key: &str, version: Option<&str>) -> Error {
        if failure.fault.status == Some(404) {
            let bucket = self.call(Some(traffic), 0, |tap| {
                self.client.head_bucket().bucket(self.bucket()).customize().interceptor(tap).send()
            });
            let gone = bucket.await.is_err_and(|f| f.fault.status == Some(404));
            let missing = if version.is_some() { "NoSuchVersion" } else { "NoSuchKey" };
            failure.fault.code = String::from(if gone { "NoSuchBucket" } else { missing });
        }
        self.sentence(&failure, Doing::Read, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_tells_of_its_parts() {
        assert_eq!(parts_of("\"5d41402abc4b2a76b9719d911017c592-38\""), Some(38));
        assert_eq!(parts_of("\"5d41402abc4b2a76b9719d911017c592\""), None);
        assert_eq!(parts_of("\"a-b-7\""), None);
    }
}
