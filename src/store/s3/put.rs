//! Bytes on their way to a server: whole objects and parts, with the checksums that travel along, and what it
//! takes to go on with an upload that was left.
//!
//! Bodies are not hashed for the signature (`UNSIGNED-PAYLOAD`, which Ceph accepts over plain HTTP too): the
//! checksum beside a body is a signed header, and so holds it.

use super::blank::spelled;
use super::control::{headers, hex, tagging, with_headers};
use super::{Answer, Failure, S3, Tap, time};
use crate::entry::Stat;
use crate::error::{Error, Kind, Result};
use crate::store::errors::Doing;
use crate::store::metered::Traffic;
use crate::store::{Kept, PartSent, Sums, Taken, UploadMeta};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ObjectCannedAcl, ServerSideEncryption, StorageClass,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use md5::{Digest as _, Md5};
use std::collections::BTreeMap;
use std::sync::PoisonError;

impl Sums {
    pub(super) fn content_md5(&self) -> Option<String> {
        self.md5.map(|sum| BASE64_STANDARD.encode(sum))
    }

    pub(super) fn crc32c_text(&self) -> Option<String> {
        self.crc32c.map(|sum| BASE64_STANDARD.encode(sum.to_be_bytes()))
    }

    pub(super) fn sha256_text(&self) -> Option<String> {
        self.sha256.map(|sum| BASE64_STANDARD.encode(sum))
    }
}

/// What a part was sent with, from what a server lists of it.
fn sums_of(crc32c: Option<&str>, sha256: Option<&str>) -> Sums {
    let bytes = |text: Option<&str>| BASE64_STANDARD.decode(text?).ok();
    Sums {
        md5: None,
        crc32c: bytes(crc32c).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes),
        sha256: bytes(sha256).and_then(|b| b.try_into().ok()),
    }
}

/// The `ETag` that S3 and Ceph give to an object of these parts: the MD5 of their MD5s, and their number.
fn whole_etag(parts: &[PartSent]) -> String {
    let mut sum = Md5::new();
    for part in parts {
        let digits = part.etag.trim_matches('"').as_bytes();
        for pair in digits.chunks(2) {
            let text = std::str::from_utf8(pair).unwrap_or_default();
            sum.update([u8::from_str_radix(text, 16).unwrap_or_default()]);
        }
    }
    format!("{}-{}", hex(&sum.finalize()), parts.len())
}

/// A body to send: counted while it goes, and as fast as is allowed; both done by its caller without `traffic`.
fn stream(traffic: Option<&Traffic>, body: &Bytes, tap: &Tap) -> ByteStream {
    match traffic {
        Some(traffic) => ByteStream::from_body_1_x(traffic.throttle.body(body, &traffic.meter, &tap.pulse)),
        None => ByteStream::from(body.clone()),
    }
}

/// Whether it wishes for what not every server offers.
fn asks_much(meta: &UploadMeta) -> bool {
    meta.encryption.is_some() || meta.acl.is_some() || meta.storage_class.is_some()
}

impl S3 {
    pub(in crate::store) fn is_amazon(&self) -> bool {
        self.amazon
    }

    /// The sentence for a refusal of something that not every server offers.
    fn does_not_take(&self, failure: &Failure, meta: &UploadMeta, key: &str) -> Error {
        let wishes = [
            meta.encryption.as_ref().map(|kind| format!("encryption {kind}")),
            meta.acl.as_ref().map(|acl| format!("the access `{acl}`")),
            meta.storage_class.as_ref().map(|class| format!("the storage class {class}")),
        ];
        let wishes: Vec<String> = wishes.into_iter().flatten().collect();
        let why = self.sentence(failure, Doing::Write, key);
        Error::unsupported(format!("{} does not take {}", self.site.host, wishes.join(" or ")))
            .with_hint("leave it as the bucket has it; some servers encrypt only over https")
            .with_source(why)
    }

    fn algorithm(keep: Option<Kept>) -> Option<ChecksumAlgorithm> {
        keep.map(|keep| match keep {
            Kept::Crc32c => ChecksumAlgorithm::Crc32C,
            Kept::Sha256 => ChecksumAlgorithm::Sha256,
        })
    }

    pub(in crate::store) async fn send_object(
        &self,
        traffic: &Traffic,
        key: &str,
        body: Bytes,
        meta: &UploadMeta,
        if_absent: bool,
        sums: &Sums,
    ) -> Result<Taken> {
        let answer = match self.send_small(traffic, key, &body, meta, if_absent, sums).await? {
            Some(answer) => answer,
            None => self.send_whole(traffic, key, &body, meta, if_absent, sums).await?,
        };
        match answer {
            Ok(taken) => Ok(taken),
            Err(failure) => {
                let md5 =
                    sums.md5.unwrap_or_else(|| if failure.ambiguous { Md5::digest(&body).into() } else { [0; 16] });
                let etag = self.or_ours(traffic, failure, key, &hex(&md5)).await?;
                Ok(Taken { etag, ..Taken::default() })
            }
        }
    }

    async fn send_whole(
        &self,
        traffic: &Traffic,
        key: &str,
        body: &Bytes,
        meta: &UploadMeta,
        if_absent: bool,
        sums: &Sums,
    ) -> Result<Answer<Taken>> {
        let metadata = headers(&meta.metadata)?;
        let answer = self.call(Some(traffic), body.len() as u64, |tap| {
            self.client
                .put_object()
                .bucket(self.bucket())
                .key(spelled(key))
                .set_content_md5(sums.content_md5())
                .set_checksum_crc32_c(sums.crc32c_text())
                .set_checksum_sha256(sums.sha256_text())
                .set_content_type(meta.content_type.clone())
                .set_metadata(Some(metadata.clone()))
                .set_tagging(tagging(meta))
                .set_storage_class(meta.storage_class.as_deref().map(StorageClass::from))
                .set_server_side_encryption(meta.encryption.as_deref().map(ServerSideEncryption::from))
                .set_ssekms_key_id(meta.encryption_key.clone())
                .set_acl(meta.acl.as_deref().map(ObjectCannedAcl::from))
                .set_if_none_match(if_absent.then(|| "*".to_owned()))
                .body(stream(Some(traffic), body, &tap))
                .customize()
                .mutate_request(with_headers(meta.headers()))
                .disable_payload_signing()
                .interceptor(tap)
                .send()
        });
        Ok(answer.await.map(|answer| Taken {
            etag: answer.e_tag.unwrap_or_default(),
            crc32c: answer.checksum_crc32_c,
            sha256: answer.checksum_sha256,
        }))
    }

    pub(in crate::store) async fn begin_upload(
        &self,
        traffic: Option<&Traffic>,
        key: &str,
        meta: &UploadMeta,
        keep: Option<Kept>,
    ) -> Result<(String, bool)> {
        let metadata = headers(&meta.metadata)?;
        let algorithm = Self::algorithm(keep);
        let answer = self.call(traffic, 0, |tap| {
            self.client
                .create_multipart_upload()
                .bucket(self.bucket())
                .key(spelled(key))
                .set_content_type(meta.content_type.clone())
                .set_metadata(Some(metadata.clone()))
                .set_tagging(tagging(meta))
                .set_storage_class(meta.storage_class.as_deref().map(StorageClass::from))
                .set_server_side_encryption(meta.encryption.as_deref().map(ServerSideEncryption::from))
                .set_ssekms_key_id(meta.encryption_key.clone())
                .set_acl(meta.acl.as_deref().map(ObjectCannedAcl::from))
                .set_checksum_algorithm(algorithm.clone())
                .customize()
                .mutate_request(with_headers(meta.headers()))
                .interceptor(tap)
                .send()
        });
        let answer = answer.await.map_err(|failure| match failure.fault.status {
            Some(400) if asks_much(meta) => self.does_not_take(&failure, meta, key),
            _ => self.sentence(&failure, Doing::Write, key),
        })?;
        let is_kept = algorithm.is_some() && answer.checksum_algorithm == algorithm;
        let id = answer.upload_id;
        let id = id.ok_or_else(|| Error::new(Kind::Failed, format!("{} gave no upload id", self.site.host)))?;
        if !meta.tags.is_empty() {
            self.tags.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), meta.tags.clone());
        }
        Ok((id, is_kept))
    }

    pub(in crate::store) async fn send_part(
        &self,
        traffic: Option<&Traffic>,
        key: &str,
        id: &str,
        number: u32,
        body: Bytes,
        sums: &Sums,
    ) -> Result<Taken> {
        let number = i32::try_from(number).map_err(|_| Error::usage("an upload has at most 10,000 parts"))?;
        let answer = self.call(traffic, body.len() as u64, |tap| {
            self.client
                .upload_part()
                .bucket(self.bucket())
                .key(spelled(key))
                .upload_id(id)
                .part_number(number)
                .set_content_md5(sums.content_md5())
                .set_checksum_crc32_c(sums.crc32c_text())
                .set_checksum_sha256(sums.sha256_text())
                .body(stream(traffic, &body, &tap))
                .customize()
                .disable_payload_signing()
                .interceptor(tap)
                .send()
        });
        let answer = answer.await.map_err(|failure| self.sentence(&failure, Doing::Write, key))?;
        let etag = answer.e_tag;
        let etag =
            etag.ok_or_else(|| Error::new(Kind::Failed, format!("{} gave no ETag for a part", self.site.host)))?;
        Ok(Taken { etag, crc32c: answer.checksum_crc32_c, sha256: answer.checksum_sha256 })
    }

    /// Completes an upload. Where a try was not answered, a later refusal may speak of our own object:
    /// its `ETag` tells.
    pub(in crate::store) async fn finish_upload(
        &self,
        traffic: &Traffic,
        key: &str,
        id: &str,
        parts: &[PartSent],
        if_absent: bool,
    ) -> Result<Taken> {
        // Asked for also because some servers do not know conditional writes.
        if if_absent && self.standing(traffic, key).await?.is_some() {
            return Err(self.exists(key));
        }
        let listed: Vec<CompletedPart> = parts
            .iter()
            .map(|part| {
                CompletedPart::builder()
                    .part_number(part.number.cast_signed())
                    .e_tag(part.etag.clone())
                    .set_checksum_crc32_c(part.sums.crc32c_text())
                    .set_checksum_sha256(part.sums.sha256_text())
                    .build()
            })
            .collect();
        let listed = CompletedMultipartUpload::builder().set_parts(Some(listed)).build();
        let answer = self.call(Some(traffic), 0, |tap| {
            self.client
                .complete_multipart_upload()
                .bucket(self.bucket())
                .key(spelled(key))
                .upload_id(id)
                .set_if_none_match(if_absent.then(|| "*".to_owned()))
                .multipart_upload(listed.clone())
                .customize()
                .interceptor(tap)
                .send()
        });
        let taken = match answer.await {
            Ok(answer) => Taken {
                etag: answer.e_tag.unwrap_or_default(),
                crc32c: answer.checksum_crc32_c,
                sha256: answer.checksum_sha256,
            },
            Err(failure) => {
                let etag = self.or_ours(traffic, failure, key, &whole_etag(parts)).await?;
                Taken { etag, ..Taken::default() }
            }
        };
        // Ceph (16) forgets the tags that an upload in parts was started with.
        let wished = self.tags.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.give_tags(traffic, key, wished).await?;
        Ok(taken)
    }

    async fn give_tags(&self, traffic: &Traffic, key: &str, wished: Option<BTreeMap<String, String>>) -> Result<()> {
        if let Some(wished) = wished
            && self.tags(traffic, key, None).await.known() != Some(&wished)
        {
            self.set_tags(traffic, key, &wished).await?;
        }
        Ok(())
    }

    /// See [`crate::store::StoreHandle::parts_sent`].
    pub(in crate::store) async fn parts_sent(&self, traffic: &Traffic, key: &str, id: &str) -> Result<Vec<PartSent>> {
        let (mut parts, mut after) = (Vec::new(), None);
        loop {
            let answer = self.call(Some(traffic), 0, |tap| {
                let request = self.client.list_parts().bucket(self.bucket()).key(spelled(key)).upload_id(id);
                request.set_part_number_marker(after.clone()).customize().interceptor(tap).send()
            });
            let answer = answer.await.map_err(|failure| self.sentence(&failure, Doing::List, key))?;
            for part in answer.parts() {
                parts.push(PartSent {
                    number: part.part_number().unwrap_or_default().max(0).unsigned_abs(),
                    size: part.size().unwrap_or_default().max(0).unsigned_abs(),
                    etag: part.e_tag().unwrap_or_default().to_owned(),
                    sums: sums_of(part.checksum_crc32_c(), part.checksum_sha256()),
                });
            }
            let next = answer.next_part_number_marker.filter(|_| answer.is_truncated == Some(true));
            // A server that repeats itself would be asked for ever.
            if next.is_none() || next == after {
                return Ok(parts);
            }
            after = next;
        }
    }

    /// See [`crate::store::StoreHandle::uploads_of`]. More than a page of them is not asked for.
    pub(in crate::store) async fn uploads_of(
        &self,
        traffic: &Traffic,
        key: &str,
    ) -> Result<Vec<(String, Option<DateTime<Utc>>)>> {
        let answer = self.call(Some(traffic), 0, |tap| {
            let request = self.client.list_multipart_uploads().bucket(self.bucket()).prefix(key);
            request.customize().interceptor(tap).send()
        });
        let answer = answer.await.map_err(|failure| self.sentence(&failure, Doing::List, key))?;
        let of_key = answer.uploads().iter().filter(|upload| upload.key() == Some(key));
        Ok(of_key.filter_map(|u| Some((u.upload_id()?.to_owned(), u.initiated().and_then(time)))).collect())
    }

    /// See [`crate::store::StoreHandle::find`].
    pub(in crate::store) async fn find(&self, traffic: &Traffic, key: &str) -> Result<Option<Stat>> {
        match self.head_lean(traffic, key).await {
            Ok(head) => Ok(Some(self.stat_of(key, None, head, BTreeMap::new()))),
            Err(failure) if failure.fault.status == Some(404) => Ok(None),
            Err(failure) => Err(self.sentence(&failure, Doing::Read, key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_etag_of_parts_is_that_of_s3() {
        // Two parts holding "a" and "b": md5(md5("a") + md5("b")).
        let part = |number, text: &str| {
            let etag = format!("\"{}\"", hex(&Md5::digest(text)));
            PartSent { number, etag, ..PartSent::default() }
        };
        let both = [Md5::digest("a"), Md5::digest("b")].concat();
        assert_eq!(whole_etag(&[part(1, "a"), part(2, "b")]), format!("{}-2", hex(&Md5::digest(both))));
    }

    #[test]
    fn checksums_are_written_as_s3_has_them() {
        // CRC-32C of "123456789" is 0xe3069283 (RFC 3720, B.4 has the algorithm).
        let sums = Sums { crc32c: Some(0xe306_9283), ..Sums::default() };
        assert_eq!(sums.crc32c_text().as_deref(), Some("4waSgw=="));
        assert_eq!(sums_of(Some("4waSgw=="), Some("not base64")), sums);
    }
}
