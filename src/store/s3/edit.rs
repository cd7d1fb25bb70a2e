//! Changing what stands beside an object's bytes: a copy onto itself, within the server.
//!
//! What Ceph 16 does, and drove this:
//! - it ignores `x-amz-copy-source-if-match` and looks at `x-amz-copy-if-match` (and
//!   `x-amz-copy-if-unmodified-since`) instead: both are sent to all but Amazon;
//! - with the directive REPLACE it drops the tags, whatever `x-amz-tagging-directive` and
//!   `x-amz-tagging` say: they are set again afterwards;
//! - it gives the copy the default access control list: the grants are sent along, which it honours;
//! - it keeps the metadata `a_b` as `a-b`.

use super::blank::spelled;
use super::versions::known;
use super::{Answer, Failure, S3, control};
use crate::entry::Stat;
use crate::error::{Error, Kind, Result};
use crate::store::errors::Doing;
use crate::store::facts::{Access, Change};
use crate::store::metered::Traffic;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{MetadataDirective, ObjectLockMode, StorageClass, TaggingDirective};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// The largest object that a server copies in one request.
const LARGEST: u64 = 5 << 30;

/// Refuses what only a copy in parts could do.
pub(super) fn check_size(size: u64, address: &str) -> Result<()> {
    if size <= LARGEST {
        return Ok(());
    }
    let size = crate::text::bytes(size);
    Err(Error::new(Kind::Limit, format!("{address} has {size}: a server copies at most 5 GiB at once"))
        .with_hint("upload it again with what it should have"))
}

/// Says which tags are gone, so that nothing is lost.
pub(super) fn without_tags(err: Error, tags: &BTreeMap<String, String>) -> Error {
    let list: Vec<String> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    err.context(format!("it was written, but its tags could not be set again ({})", list.join(", ")))
}

/// A copy of an object onto its own key.
pub(super) struct Copying<'a> {
    pub(super) key: &'a str,
    /// The version that is copied; the current one with `None`.
    pub(super) version: Option<&'a str>,
    /// What that version has: kept.
    pub(super) head: &'a HeadObjectOutput,
    /// Kept too, where it is known.
    pub(super) access: Option<&'a Access>,
    /// What it shall have instead, on condition that it is still what `head` says.
    pub(super) wish: Option<&'a Change>,
}

/// Headers that an SDK does not send, or not as they are: name and value.
type Extra = Vec<(&'static str, String)>;

impl Copying<'_> {
    /// The grants, by header: `id="a", uri="b"`. The default needs none; a bucket without such lists
    /// refuses any.
    fn grants(&self) -> HashMap<&str, String> {
        let mut headers: HashMap<&str, String> = HashMap::new();
        for grant in self.access.filter(|a| !a.is_default()).into_iter().flat_map(|a| &a.grants) {
            let list = headers.entry(grant.permission.as_str()).or_default();
            let comma = if list.is_empty() { "" } else { ", " };
            let _ = write!(list, "{comma}{}=\"{}\"", grant.kind, grant.grantee.replace('"', ""));
        }
        headers
    }

    /// Headers that go round the SDK: conditions as Ceph knows them, `Expires` as it stands there.
    fn extra(&self, amazon: bool) -> Extra {
        let Some(wish) = self.wish else { return Vec::new() };
        let mut extra = Vec::new();
        if let Some(expires) = &wish.expires {
            extra.push(("expires", expires.clone()));
        }
        if !amazon {
            if let Some(etag) = self.head.e_tag() {
                extra.push(("x-amz-copy-if-match", etag.to_owned()));
            }
            let http = aws_sdk_s3::primitives::DateTimeFormat::HttpDate;
            if let Some(at) = self.head.last_modified().and_then(|at| at.fmt(http).ok()) {
                extra.push(("x-amz-copy-if-unmodified-since", at));
            }
        }
        extra
    }
}

impl S3 {
    /// The `x-amz-copy-source` of a key.
    pub(super) fn copy_source(&self, key: &str, version: Option<&str>) -> String {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let version = version.map(|id| format!("?versionId={}", encoded(id))).unwrap_or_default();
        format!("{}/{}{version}", self.bucket(), encoded(key))
    }

    pub(super) async fn copy(&self, traffic: &Traffic, copying: &Copying<'_>) -> Answer<()> {
        let Copying { key, version, head, wish, .. } = copying;
        let source = self.copy_source(key, *version);
        let grants = copying.grants();
        let grant = |permission: &str| grants.get(permission).cloned();
        let metadata = wish.map(|w| w.metadata.clone().into_iter().collect::<HashMap<_, _>>());
        let extra = copying.extra(self.amazon);
        let answer = self.call(Some(traffic), 0, |tap| {
            let mut request = self
                .client
                .copy_object()
                .bucket(self.bucket())
                .key(spelled(key))
                .copy_source(&source)
                .tagging_directive(TaggingDirective::Copy)
                .metadata_directive(if wish.is_some() { MetadataDirective::Replace } else { MetadataDirective::Copy })
                .set_storage_class(head.storage_class().map(|c| StorageClass::from(c.as_str())))
                .set_server_side_encryption(head.server_side_encryption().cloned())
                .set_ssekms_key_id(head.ssekms_key_id().map(str::to_owned))
                .set_bucket_key_enabled(head.bucket_key_enabled().filter(|on| *on))
                .set_website_redirect_location(head.website_redirect_location().map(str::to_owned))
                .set_object_lock_mode(head.object_lock_mode().map(|m| ObjectLockMode::from(m.as_str())))
                .set_object_lock_retain_until_date(head.object_lock_retain_until_date().copied())
                .set_object_lock_legal_hold_status(head.object_lock_legal_hold_status().cloned())
                .set_grant_full_control(grant("FULL_CONTROL"))
                .set_grant_read(grant("READ"))
                .set_grant_read_acp(grant("READ_ACP"))
                .set_grant_write_acp(grant("WRITE_ACP"));
            if let Some(wish) = wish {
                request = request
                    .set_copy_source_if_match(head.e_tag().map(str::to_owned))
                    .set_metadata(metadata.clone())
                    .set_content_type(wish.content_type.clone())
                    .set_content_encoding(wish.content_encoding.clone())
                    .set_content_language(wish.content_language.clone())
                    .set_content_disposition(wish.content_disposition.clone())
                    .set_cache_control(wish.cache_control.clone());
            }
            // A value that is no header was refused before.
            request.customize().mutate_request(control::with_headers(extra.clone())).interceptor(tap).send()
        });
        answer.await.map(drop)
    }

    fn changed(&self, key: &str) -> Error {
        Error::new(Kind::Changed, format!("{} changed since you looked", self.site.address(key)))
            .with_hint("reload it, then edit again: nothing was written")
    }

    /// See [`crate::store::StoreHandle::edit`].
    pub(in crate::store) async fn edit(
        &self,
        traffic: &Traffic,
        seen: &Stat,
        wish: &Change,
    ) -> Result<(Stat, Vec<String>)> {
        let key = seen.location.key();
        let wish = &checked(wish)?;
        let (head, tags) = tokio::join!(self.head(traffic, key, None), self.tags(traffic, key, None));
        let head = head?;
        let now = self.stat_of(key, None, head.clone(), tags.known().cloned().unwrap_or_default());
        if Change::of(&now) != Change::of(seen) || (now.size, &now.etag) != (seen.size, &seen.etag) {
            return Err(self.changed(key));
        }
        let mut notes = Vec::new();
        let copies = Change { tags: now.tags.clone(), ..wish.clone() } != Change::of(&now);
        if copies {
            check_size(now.size, &self.site.address(key))?;
            if !self.amazon && !known(&tags) && now.detail.tag_count != Some(0) {
                let why = tags.words().unwrap_or_default();
                return Err(Error::new(Kind::Denied, format!("its tags would be lost: {why}"))
                    .with_hint("nothing was written; the tags must be readable, so that they can be set again"));
            }
            let access = self.access(traffic, key, None).await;
            if access.known().is_none() && !matches!(access, crate::store::Fact::NotOffered) {
                notes.push("who may read it could not be seen: it has the default list now".to_owned());
            }
            let copying = Copying { key, version: None, head: &head, access: access.known(), wish: Some(wish) };
            self.copy_or_sentence(traffic, &copying, &now).await?;
        }
        let mut after = self.stat(traffic, key, None).await?;
        if after.tags != wish.tags {
            let set = self.set_tags(traffic, key, &wish.tags).await;
            set.map_err(|err| if copies { without_tags(err, &wish.tags) } else { err })?;
            after = self.stat(traffic, key, None).await?;
        }
        self.verify(&after, wish, now.size, &mut notes)?;
        if after.version.is_some() && after.version != now.version {
            notes.push("it is a new version; the former one stays".to_owned());
        }
        Ok((after, notes))
    }

    /// A try that was not answered may have been carried out: then a later one finds another object.
    async fn copy_or_sentence(&self, traffic: &Traffic, copying: &Copying<'_>, before: &Stat) -> Result<()> {
        let key = copying.key;
        let Err(failure) = self.copy(traffic, copying).await else { return Ok(()) };
        let Failure { fault, ambiguous } = &failure;
        if *ambiguous && let Some(wish) = copying.wish {
            let now = self.stat(traffic, key, None).await;
            let done = |now: &Stat| {
                let (ours, theirs) = (plain(&wish.metadata), plain(&now.metadata));
                now.size == before.size && ours == theirs && now.modified >= before.modified
            };
            if now.is_ok_and(|now| done(&now)) {
                return Ok(());
            }
        }
        if fault.status == Some(412) {
            return Err(self.changed(key));
        }
        Err(self.sentence(&failure, Doing::Write, key))
    }

    /// Compares what stands there with what was wished.
    fn verify(&self, after: &Stat, wish: &Change, size: u64, notes: &mut Vec<String>) -> Result<()> {
        let host = &self.site.host;
        for name in wish.metadata.keys().filter(|name| !after.metadata.contains_key(*name)) {
            notes.push(format!("{host} keeps `{name}` as `{}`", kept_as(name)));
        }
        let is = Change::of(after);
        let differs = [
            ("the bytes", after.size != size),
            ("metadata", plain(&is.metadata) != plain(&wish.metadata)),
            ("tags", is.tags != wish.tags),
            ("the content type", wish.content_type.is_some() && is.content_type != wish.content_type),
            ("the content encoding", is.content_encoding != wish.content_encoding),
            ("the content language", is.content_language != wish.content_language),
            ("the content disposition", is.content_disposition != wish.content_disposition),
            ("the cache control", is.cache_control != wish.cache_control),
            ("the time it expires", is.expires != wish.expires),
        ];
        let differs: Vec<&str> = differs.iter().filter(|(_, differs)| *differs).map(|(what, _)| *what).collect();
        if differs.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Failed,
            format!("{host} took the change, and keeps something else: {}", differs.join(", ")),
        )
        .with_hint("reload it to see what it has now"))
    }
}

/// How Ceph (and whoever else sits behind CGI) spells the name of metadata: header names know no case.
fn kept_as(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// Metadata by names as the least careful server keeps them.
fn plain(metadata: &BTreeMap<String, String>) -> BTreeMap<String, &str> {
    metadata.iter().map(|(key, value)| (kept_as(key), value.trim())).collect()
}

/// A wish that headers can carry; empty lines mean nothing.
fn checked(wish: &Change) -> Result<Change> {
    control::headers(&wish.metadata)?;
    let line = |name: &str, text: &Option<String>| {
        let text = text.as_deref().map(str::trim).filter(|t| !t.is_empty());
        match text {
            Some(text) if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) => {
                Err(Error::usage(format!("the {name} holds characters that a header does not carry"))
                    .with_hint("use plain ASCII"))
            }
            text => Ok(text.map(str::to_owned)),
        }
    };
    Ok(Change {
        content_type: line("content type", &wish.content_type)?,
        content_encoding: line("content encoding", &wish.content_encoding)?,
        content_language: line("content language", &wish.content_language)?,
        content_disposition: line("content disposition", &wish.content_disposition)?,
        cache_control: line("cache control", &wish.cache_control)?,
        expires: line("time it expires", &wish.expires)?,
        metadata: wish.metadata.clone(),
        tags: wish.tags.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Grant;

    #[test]
    fn only_a_list_that_is_not_the_default_is_sent() {
        let head = HeadObjectOutput::builder().build();
        let grant = |kind, who: &str, what: &str| Grant {
            kind,
            grantee: who.to_owned(),
            name: None,
            permission: what.to_owned(),
        };
        let mut access = super::super::stat::access(None, None);
        access.grants = vec![grant("id", "", "FULL_CONTROL")];
        let of = |access: &Access| {
            Copying { key: "k", version: None, head: &head, access: Some(access), wish: None }
                .grants()
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<BTreeMap<_, _>>()
        };
        assert!(of(&access).is_empty());
        access.grants.push(grant("uri", "http://x/AllUsers", "READ"));
        access.grants.push(grant("id", "b", "READ"));
        assert_eq!(of(&access)["READ"], "uri=\"http://x/AllUsers\", id=\"b\"");
        assert_eq!(of(&access)["FULL_CONTROL"], "id=\"\"");
    }

    #[test]
    fn what_no_header_carries_is_refused_and_nothing_is_nothing() {
        let wish = Change { cache_control: Some("  ".into()), ..Change::default() };
        assert_eq!(checked(&wish).expect("fits").cache_control, None);
        let wish = Change { content_type: Some("a\r\nb: c".into()), ..Change::default() };
        assert_eq!(checked(&wish).map_err(|e| e.kind()).err(), Some(Kind::Usage));
        assert!(check_size(LARGEST, "x").is_ok() && check_size(LARGEST + 1, "x").is_err());
    }
}
