//! Deleting by the thousand, and uploads that nobody completed.
//!
//! `DeleteObjects` carries keys in XML. Characters that XML 1.0 has not make a document that servers
//! refuse as a whole, and white space at the ends is trimmed by some: such keys go by requests of their
//! own. Old gateways (Ceph 16) want the MD5 of the body, newer servers a checksum: both are sent.

use super::blank::spelled;
use super::xml::decoded;
use super::{S3, time};
use crate::error::{Error, Kind, Result};
use crate::store::errors::{Doing, Fault};
use crate::store::metered::Traffic;
use crate::store::prune::{Held, Unfinished, Victim};
use aws_sdk_s3::types::{Delete, EncodingType, MultipartUpload, ObjectIdentifier};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::stream::{BoxStream, StreamExt as _};
use md5::{Digest as _, Md5};
use std::collections::HashMap;
use std::sync::Arc;

/// Deletions under way at once where each is a request of its own.
const SINGLE: usize = 8;
/// About what a key takes in the request, besides itself.
const WRAPPING: usize = 64;

/// Whether XML carries the key to every server as it is.
fn is_spoken(key: &str) -> bool {
    let odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}');
    !key.is_empty() && key.trim() == key && !key.contains(odd)
}

/// Whether the server says that it has no such request.
fn is_unknown(fault: &Fault) -> bool {
    matches!(fault.status, Some(405 | 501))
        || matches!(fault.code.as_str(), "NotImplemented" | "MethodNotAllowed" | "MalformedXML")
}

/// What is gone already is as it should be.
fn is_gone(code: &str) -> bool {
    matches!(code, "NoSuchKey" | "NoSuchVersion")
}

impl S3 {
    /// See [`crate::store::StoreHandle::delete_many`].
    pub(in crate::store) async fn delete_many(
        &self,
        traffic: &Traffic,
        victims: &[Victim],
    ) -> Result<Vec<(usize, Error)>> {
        let (bulk, single): (Vec<usize>, Vec<usize>) = (0..victims.len()).partition(|i| is_spoken(&victims[*i].key));
        let mut failed = Vec::new();
        match bulk.as_slice() {
            [] => {}
            [one] => failed.extend(self.delete_each(traffic, victims, &[*one]).await),
            _ => match self.delete_bulk(traffic, victims, &bulk).await? {
                Some(refused) => failed.extend(refused),
                None => failed.extend(self.delete_each(traffic, victims, &bulk).await),
            },
        }
        failed.extend(self.delete_each(traffic, victims, &single).await);
        Ok(failed)
    }

    /// By one request; `None` where the server has none for it.
    async fn delete_bulk(
        &self,
        traffic: &Traffic,
        victims: &[Victim],
        which: &[usize],
    ) -> Result<Option<Vec<(usize, Error)>>> {
        let id = |i: &usize| {
            let victim = &victims[*i];
            ObjectIdentifier::builder().key(&victim.key).set_version_id(victim.version.clone()).build()
        };
        let ids: std::result::Result<Vec<_>, _> = which.iter().map(id).collect();
        let wish = ids.and_then(|ids| Delete::builder().set_objects(Some(ids)).quiet(true).build());
        let wish = wish.map_err(|err| Error::new(Kind::Failed, "these keys cannot be sent").with_source(err))?;
        let size: usize = which.iter().map(|i| victims[*i].key.len() + WRAPPING).sum();
        let answer = self.call(Some(traffic), size as u64, |tap| {
            let request = self.client.delete_objects().bucket(self.bucket()).delete(wish.clone());
            let digested = request.customize().mutate_request(|request| {
                if let Some(body) = request.body().bytes() {
                    let digest = BASE64_STANDARD.encode(Md5::digest(body));
                    request.headers_mut().insert("content-md5", digest);
                }
            });
            digested.interceptor(tap).send()
        });
        let answer = match answer.await {
            Ok(answer) => answer,
            Err(failure) if is_unknown(&failure.fault) => return Ok(None),
            Err(failure) => return Err(self.sentence(&failure, Doing::Delete, &victims[which[0]].key)),
        };
        let errors = answer.errors();
        if errors.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let places: HashMap<(&str, Option<&str>), usize> =
            which.iter().map(|i| ((victims[*i].key.as_str(), victims[*i].version.as_deref()), *i)).collect();
        let mut failed = Vec::new();
        for err in errors.iter().filter(|err| !is_gone(err.code().unwrap_or_default())) {
            let key = err.key().unwrap_or_default();
            let named = err.version_id().filter(|id| !id.is_empty());
            let place = places.get(&(key, named)).or_else(|| places.get(&(key, None)));
            let fault = Fault {
                code: err.code().unwrap_or_default().to_owned(),
                message: err.message().unwrap_or_default().to_owned(),
                ..Fault::default()
            };
            let told = self.site.sentence(&fault, Doing::Delete, key);
            match place {
                Some(place) => failed.push((*place, told)),
                // It speaks of a key that was not sent: then nothing is certain.
                None => return Err(told),
            }
        }
        Ok(Some(failed))
    }

    async fn delete_each(&self, traffic: &Traffic, victims: &[Victim], which: &[usize]) -> Vec<(usize, Error)> {
        let one = |i: usize| async move { (i, self.delete_one(traffic, &victims[i]).await) };
        let answers = futures::stream::iter(which.to_vec()).map(one).buffer_unordered(SINGLE);
        answers.filter_map(|(i, answer)| std::future::ready(answer.err().map(|err| (i, err)))).collect().await
    }

    async fn delete_one(&self, traffic: &Traffic, victim: &Victim) -> Result<()> {
        let answer = self.call(Some(traffic), 0, |tap| {
            let request = self.client.delete_object().bucket(self.bucket()).key(spelled(&victim.key));
            request.set_version_id(victim.version.clone()).customize().interceptor(tap).send()
        });
        match answer.await {
            Err(failure) if is_gone(&failure.fault.code) => Ok(()),
            Err(failure) => Err(self.sentence(&failure, Doing::Delete, &victim.key)),
            Ok(_) => Ok(()),
        }
    }

    /// See [`crate::store::StoreHandle::unfinished`].
    pub(in crate::store) fn unfinished(
        self: Arc<Self>,
        traffic: Traffic,
        at: String,
    ) -> BoxStream<'static, Result<Vec<Unfinished>>> {
        futures::stream::try_unfold(Some(None), move |state: Option<Option<(String, String)>>| {
            let (s3, traffic, at) = (self.clone(), traffic.clone(), at.clone());
            async move {
                let Some(after) = state else { return Ok(None) };
                let (mut page, next) = s3.unfinished_page(&traffic, &at, after.as_ref()).await?;
                // A prefix of the protocol is no folder: `a` begins `ab` too.
                let below = if at.is_empty() || at.ends_with('/') { at.clone() } else { format!("{at}/") };
                page.retain(|upload| upload.key == at || upload.key.starts_with(&below));
                Ok(Some((page, next.map(Some))))
            }
        })
        .boxed()
    }

    async fn unfinished_page(
        &self,
        traffic: &Traffic,
        at: &str,
        after: Option<&(String, String)>,
    ) -> Result<(Vec<Unfinished>, Option<(String, String)>)> {
        let answer = self.call(Some(traffic), 0, |tap| {
            self.client
                .list_multipart_uploads()
                .bucket(self.bucket())
                .set_prefix((!at.is_empty()).then(|| at.to_owned()))
                .set_key_marker(after.map(|(key, _)| key.clone()))
                .set_upload_id_marker(after.map(|(_, id)| id.clone()).filter(|id| !id.is_empty()))
                .encoding_type(EncodingType::Url)
                .customize()
                .interceptor(tap)
                .send()
        });
        let answer = answer.await.map_err(|failure| {
            if is_unknown(&failure.fault) {
                return Error::unsupported(format!("{} does not list unfinished uploads", self.site.host))
                    .with_hint("a lifecycle rule of the bucket may remove them");
            }
            self.sentence(&failure, Doing::List, at)
        })?;
        let encoded = match answer.encoding_type() {
            Some(kind) => *kind == EncodingType::Url,
            None => self.is_encoded(traffic, answer.uploads()).await,
        };
        let uploads: Vec<Unfinished> = answer
            .uploads()
            .iter()
            .filter_map(|upload| {
                Some(Unfinished {
                    key: decoded(upload.key()?, encoded),
                    upload_id: upload.upload_id()?.to_owned(),
                    started: upload.initiated().and_then(time),
                    storage_class: upload.storage_class().map(|c| c.as_str().to_owned()).filter(|c| c != "STANDARD"),
                    initiator: upload.initiator().and_then(|i| i.display_name().or(i.id())).map(str::to_owned),
                })
            })
            .collect();
        // Made of the last upload and not of the marker: servers differ in whether they encode that.
        let last = uploads.last().map(|upload| (upload.key.clone(), upload.upload_id.clone()));
        let marker = answer.next_key_marker().map(|key| decoded(key, encoded));
        let marker = marker.map(|key| (key, answer.next_upload_id_marker().unwrap_or_default().to_owned()));
        let truncated = answer.is_truncated().unwrap_or_default();
        let next = last.or(marker).filter(|_| truncated);
        if truncated && (next.is_none() || next.as_ref() == after) {
            return Err(Error::new(Kind::Failed, format!("{} does not say how its listing goes on", self.site.host)));
        }
        Ok((uploads, next))
    }

    /// Whether keys came percent-encoded from a server that does not say so, as Ceph 16: one that can be read
    /// both ways is asked for. A key that was read wrongly would seem to be aborted already.
    async fn is_encoded(&self, traffic: &Traffic, uploads: &[MultipartUpload]) -> bool {
        let doubtful = uploads.iter().find_map(|upload| {
            let (key, id) = (upload.key()?, upload.upload_id()?);
            key.contains(['%', '+']).then_some((key, id))
        });
        let Some((key, id)) = doubtful else { return false };
        self.held(traffic, &decoded(key, true), id).await.is_ok()
    }

    /// See [`crate::store::StoreHandle::held`].
    pub(in crate::store) async fn held(&self, traffic: &Traffic, key: &str, id: &str) -> Result<Held> {
        let parts = self.parts_sent(traffic, key, id).await?;
        let bytes = parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.size));
        Ok(Held { parts: parts.len() as u64, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_xml_would_change_go_alone() {
        for key in ["a", "a//b", "/lead", "../x", "a b", "<&>'\"", "järvi", "湖", "a%20b", "~secchi~blank~20"] {
            assert!(is_spoken(key), "{key}");
        }
        for key in
            ["", " ", " a", "a ", "a\nb", "a\rb", "a\tb", "\u{1}", "a\u{7f}", "x\u{85}y", "\u{fffe}", "a\u{2028}b"]
        {
            assert!(!is_spoken(key), "{key:?}");
        }
    }
}
