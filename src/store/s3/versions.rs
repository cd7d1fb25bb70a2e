//! Versions of objects: listed with the marks of deletion, restored by a copy, undeleted.
//!
//! Ceph 16 sends the next key marker as it is even where keys were asked for percent-encoded; Amazon
//! encodes it. So the marker is made of the last key of the page instead.

use super::blank::spelled;
use super::edit::Copying;
use super::xml::decoded;
use super::{S3, time};
use crate::entry::{Stat, Version};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::errors::Doing;
use crate::store::facts::Fact;
use crate::store::metered::Traffic;
use aws_sdk_s3::types::{DeleteMarkerEntry, EncodingType, ObjectVersion};
use futures::stream::{BoxStream, StreamExt as _};
use std::cmp::Reverse;
use std::sync::Arc;

/// A key with more marks of deletion than this on top is given up.
const MARKS: usize = 1000;

/// One page of a listing of versions.
struct Page {
    versions: Vec<Version>,
    /// Key and version with which the next page is asked for.
    next: Option<(String, String)>,
}

impl S3 {
    fn version(base: &Location, entry: ObjectVersion, encoded: bool) -> Option<Version> {
        let id = entry.version_id.unwrap_or_else(|| "null".to_owned());
        Some(Version {
            location: base.with_key(decoded(entry.key.as_deref()?, encoded)).with_version(Some(&id)),
            id,
            current: entry.is_latest.unwrap_or_default(),
            deleted: false,
            size: Some(entry.size.unwrap_or_default().max(0).unsigned_abs()),
            modified: entry.last_modified.as_ref().and_then(time),
            etag: entry.e_tag,
            storage_class: entry.storage_class.map(|c| c.as_str().to_owned()).filter(|c| c != "STANDARD"),
        })
    }

    fn mark(base: &Location, entry: DeleteMarkerEntry, encoded: bool) -> Option<Version> {
        let id = entry.version_id.unwrap_or_else(|| "null".to_owned());
        Some(Version {
            location: base.with_key(decoded(entry.key.as_deref()?, encoded)).with_version(Some(&id)),
            id,
            current: entry.is_latest.unwrap_or_default(),
            deleted: true,
            size: None,
            modified: entry.last_modified.as_ref().and_then(time),
            etag: None,
            storage_class: None,
        })
    }

    /// One page of versions and marks of keys that begin with that of `base`, which is a bucket's or a
    /// prefix' location. They come in two lists: put together by key, newest first.
    async fn versions_page(
        &self,
        traffic: &Traffic,
        base: &Location,
        after: Option<&(String, String)>,
    ) -> Result<Page> {
        let answer = self.call(Some(traffic), 0, |tap| {
            self.client
                .list_object_versions()
                .bucket(self.bucket())
                .prefix(base.key())
                .set_key_marker(after.map(|(key, _)| key.clone()))
                .set_version_id_marker(after.map(|(_, id)| id.clone()).filter(|id| !id.is_empty()))
                .encoding_type(EncodingType::Url)
                .customize()
                .interceptor(tap)
                .send()
        });
        let answer = answer.await.map_err(|failure| match failure.fault.status {
            Some(405 | 501) => Error::unsupported(format!("{} does not offer versions", self.site.host)),
            _ => self.sentence(&failure, Doing::List, base.key()),
        })?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let truncated = answer.is_truncated().unwrap_or_default();
        let (key_marker, id_marker) = (answer.next_key_marker, answer.next_version_id_marker);
        let versions = answer.versions.unwrap_or_default().into_iter();
        let mut versions: Vec<Version> = versions.filter_map(|v| Self::version(base, v, encoded)).collect();
        let marks = answer.delete_markers.unwrap_or_default().into_iter();
        versions.extend(marks.filter_map(|m| Self::mark(base, m, encoded)));
        // Stable: what was written within one second stays in the order of the server.
        versions.sort_by(|a, b| {
            let rank = |v: &Version| (Reverse(v.current), Reverse(v.modified));
            a.location.key().cmp(b.location.key()).then_with(|| rank(a).cmp(&rank(b)))
        });
        let last = versions.last().map(|v| v.location.key().to_owned());
        let next = last.or(key_marker).map(|key| (key, id_marker.unwrap_or_default())).filter(|_| truncated);
        if truncated && (next.is_none() || next.as_ref() == after) {
            return Err(Error::new(Kind::Failed, format!("{} does not say how its listing goes on", self.site.host)));
        }
        Ok(Page { versions, next })
    }

    /// All versions below `location`, or those of its own key alone: the smallest of those that begin
    /// with it, so that the first other key ends the listing.
    pub(in crate::store) fn versions(
        self: Arc<Self>,
        traffic: Traffic,
        location: Location,
        below: bool,
    ) -> BoxStream<'static, Result<Vec<Version>>> {
        futures::stream::try_unfold(Some(None), move |state: Option<Option<(String, String)>>| {
            let (s3, traffic, location) = (self.clone(), traffic.clone(), location.clone());
            async move {
                let Some(after) = state else { return Ok(None) };
                let mut page = s3.versions_page(&traffic, &location, after.as_ref()).await?;
                if !below {
                    let all = page.versions.len();
                    page.versions.retain(|v| v.location.key() == location.key());
                    page.next = page.next.filter(|_| page.versions.len() == all);
                }
                Ok(Some((page.versions, page.next.map(Some))))
            }
        })
        .boxed()
    }

    /// The first page of the versions of one key: the current one stands first.
    async fn newest(&self, traffic: &Traffic, key: &str) -> Result<Vec<Version>> {
        let at = Location::new(self.site.scheme, self.site.profile.clone(), self.bucket(), key);
        let page = self.versions_page(traffic, &at, None).await?;
        Ok(page.versions.into_iter().filter(|v| v.location.key() == key).collect())
    }

    /// See [`crate::store::StoreHandle::restore`]. Ceph 16 keeps the tags in such a copy (with the
    /// directive COPY), but not the access control list.
    pub(in crate::store) async fn restore(
        &self,
        traffic: &Traffic,
        key: &str,
        version: &str,
        seen: Option<&str>,
    ) -> Result<Stat> {
        let address = self.site.address(key);
        let current = self.newest(traffic, key).await?.into_iter().find(|v| v.current);
        let current = current.as_ref().map(|v| v.id.as_str());
        if seen.is_some() && current != seen {
            return Err(Error::new(Kind::Changed, format!("{address} changed since you looked"))
                .with_hint("reload it, then choose again: nothing was written"));
        }
        if current == Some(version) {
            return Err(Error::usage("this is the current version already"));
        }
        let head = self.head(traffic, key, Some(version)).await?;
        let size = head.content_length().unwrap_or_default().max(0).unsigned_abs();
        super::edit::check_size(size, &address)?;
        let (tags, access) =
            tokio::join!(self.tags(traffic, key, Some(version)), self.access(traffic, key, Some(version)));
        let copying = Copying { key, version: Some(version), head: &head, access: access.known(), wish: None };
        let copied = self.copy(traffic, &copying).await;
        if let Err(failure) = copied {
            return Err(self.sentence(&failure, Doing::Read, key));
        }
        let wished = tags.known().cloned().unwrap_or_default();
        let now = self.stat(traffic, key, None).await?;
        let old = self.stat_of(key, Some(version), head, wished.clone());
        // The ETag of an upload in parts is another when it is copied as a whole.
        let same_bytes = old.detail.parts.is_some() || now.detail.parts.is_some() || now.etag == old.etag;
        if now.size != old.size || !same_bytes || now.metadata != old.metadata {
            return Err(Error::new(Kind::Failed, format!("{address} was restored, and is not as that version was"))
                .with_hint("reload it and compare"));
        }
        if now.tags != wished {
            self.set_tags(traffic, key, &wished).await.map_err(|err| super::edit::without_tags(err, &wished))?;
            return self.stat(traffic, key, None).await;
        }
        Ok(now)
    }

    /// See [`crate::store::StoreHandle::undelete`]. What is on top is asked for each time, and only a mark
    /// is ever removed.
    pub(in crate::store) async fn undelete(&self, traffic: &Traffic, key: &str) -> Result<usize> {
        let address = self.site.address(key);
        let mut removed = 0;
        loop {
            let versions = self.newest(traffic, key).await?;
            let Some(top) = versions.iter().find(|v| v.current) else {
                return Err(Error::new(Kind::NotFound, format!("no version of {address} is left")));
            };
            if !top.deleted {
                if removed == 0 {
                    return Err(Error::usage(format!("{address} is not deleted")));
                }
                return Ok(removed);
            }
            if versions.iter().all(|v| v.deleted) && versions.len() < MARKS {
                return Err(Error::new(Kind::NotFound, format!("no version of {address} with bytes is left"))
                    .with_hint("there are only marks that it was deleted"));
            }
            if removed >= MARKS {
                return Err(Error::new(Kind::Limit, format!("{address} was deleted more than {MARKS} times over")));
            }
            let answer = self.call(Some(traffic), 0, |tap| {
                let request = self.client.delete_object().bucket(self.bucket()).key(spelled(key)).version_id(&top.id);
                request.customize().interceptor(tap).send()
            });
            answer.await.map_err(|failure| self.sentence(&failure, Doing::Delete, key))?;
            removed += 1;
        }
    }
}

/// Tags that may have to be set again, as far as they are known.
pub(super) fn known(tags: &Fact<std::collections::BTreeMap<String, String>>) -> bool {
    !matches!(tags, Fact::Denied | Fact::Failed(_))
}
