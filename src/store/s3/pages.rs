//! Listings of S3, page by page: buckets, one level, everything below a prefix.

use super::{S3, time};
use crate::entry::{Entry, EntryKind, More};
use crate::error::{Error, Kind, Result};
use crate::listing::Block;
use crate::location::Location;
use crate::store::errors::Doing;
use crate::store::listing::Sender;
use crate::store::metered::Traffic;
use aws_sdk_s3::types::{EncodingType, Object};
use chrono::{DateTime, Utc};

/// An object as a listing knows it.
pub(in crate::store) struct Found {
    pub(in crate::store) key: String,
    pub(in crate::store) size: u64,
    pub(in crate::store) modified: Option<DateTime<Utc>>,
    pub(in crate::store) etag: Option<String>,
    class: Option<String>,
}

/// One page of a listing.
#[derive(Default)]
pub(in crate::store) struct Page {
    pub(in crate::store) prefixes: Vec<String>,
    pub(in crate::store) objects: Vec<Found>,
    /// With what the next page is asked for.
    pub(in crate::store) next: Option<String>,
}

/// Keys come percent-encoded, because XML cannot hold all characters; a space may come as `+`.
pub(super) fn decoded(text: &str, encoded: bool) -> String {
    if !encoded {
        return text.to_owned();
    }
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

fn found(object: Object, encoded: bool) -> Option<Found> {
    Some(Found {
        key: decoded(object.key()?, encoded),
        size: object.size().unwrap_or_default().max(0).unsigned_abs(),
        modified: object.last_modified().and_then(time),
        class: object.storage_class().map(|c| c.as_str().to_owned()).filter(|c| c != "STANDARD"),
        etag: object.e_tag,
    })
}

impl S3 {
    /// One page of keys that begin with `prefix`; with `delimited`, those below a further `/` come as
    /// prefixes.
    pub(in crate::store) async fn page(
        &self,
        traffic: Option<&Traffic>,
        prefix: &str,
        delimited: bool,
        token: Option<&str>,
        after: Option<&str>,
    ) -> Result<Page> {
        let answer = self
            .call(traffic, 0, |tap| {
                self.client
                    .list_objects_v2()
                    .bucket(self.bucket())
                    .prefix(prefix)
                    .set_delimiter(delimited.then(|| "/".to_owned()))
                    .set_continuation_token(token.map(str::to_owned))
                    .set_start_after(after.filter(|_| token.is_none()).map(str::to_owned))
                    .encoding_type(EncodingType::Url)
                    .customize()
                    .interceptor(tap)
                    .send()
            })
            .await
            .map_err(|failure| self.sentence(&failure, Doing::List, prefix))?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let truncated = answer.is_truncated().unwrap_or_default();
        let next = answer.next_continuation_token.filter(|_| truncated);
        if truncated && (next.is_none() || next.as_deref() == token) {
            return Err(Error::new(Kind::Failed, format!("{} does not say how its listing goes on", self.site.host)));
        }
        Ok(Page {
            prefixes: answer
                .common_prefixes
                .unwrap_or_default()
                .into_iter()
                .filter_map(|p| Some(decoded(&p.prefix?, encoded)))
                .collect(),
            objects: answer.contents.unwrap_or_default().into_iter().filter_map(|o| found(o, encoded)).collect(),
            next,
        })
    }

    /// Sends all pages below `base` to `sender`; the next is asked for while the former is read.
    pub(in crate::store) async fn send_pages(&self, traffic: Traffic, base: Location, deep: bool, sender: Sender) {
        let (mut token, mut last) = (None::<String>, None::<String>);
        loop {
            let page = match self.page(Some(&traffic), base.key(), !deep, token.as_deref(), None).await {
                Ok(page) => page,
                Err(err) => {
                    sender.send(Err(err)).await;
                    return;
                }
            };
            let mut entries = Vec::with_capacity(page.prefixes.len() + page.objects.len());
            for prefix in page.prefixes {
                // Some servers begin a page with the prefix that ended the one before.
                if last.as_deref() != Some(prefix.as_str()) {
                    entries.push(Entry::new(EntryKind::Prefix, &prefix[base.key().len().min(prefix.len())..]));
                    last = Some(prefix);
                }
            }
            entries.extend(page.objects.into_iter().map(|found| entry(&base, found)));
            if !sender.send(Ok(entries.into())).await {
                return;
            }
            token = page.next;
            if token.is_none() {
                return;
            }
        }
    }

    /// Sends the buckets of the account.
    pub(in crate::store) async fn send_buckets(&self, traffic: Traffic, sender: Sender) {
        let mut token = None::<String>;
        loop {
            let answer = self
                .call(Some(&traffic), 0, |tap| {
                    let request = self.client.list_buckets().set_continuation_token(token.clone());
                    request.customize().interceptor(tap).send()
                })
                .await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(failure) => {
                    sender.send(Err(self.sentence(&failure, Doing::ListBuckets, ""))).await;
                    return;
                }
            };
            let entries = answer
                .buckets
                .unwrap_or_default()
                .into_iter()
                .filter_map(|bucket| {
                    let mut entry = Entry::new(EntryKind::Bucket, bucket.name()?);
                    entry.modified = bucket.creation_date().and_then(time);
                    Some(entry)
                })
                .collect::<Block>();
            if !sender.send(Ok(entries.into())).await
                || answer.continuation_token.is_none()
                || answer.continuation_token == token
            {
                return;
            }
            token = answer.continuation_token;
        }
    }
}

/// An object of a listing. One whose key is that of the listed prefix (`dir/` in `dir/`) has no name
/// there: it is shown as `./` and leads to itself.
fn entry(base: &Location, found: Found) -> Entry {
    let name = found.key.get(base.key().len()..).unwrap_or(&found.key);
    let own = name.is_empty();
    // In a listing without delimiter, and for `dir/` as an object, the name may end in `/`.
    let mut entry = Entry::new(EntryKind::Object, if own { "./" } else { name });
    entry.size = Some(found.size);
    entry.modified = found.modified;
    entry.etag = found.etag.map(Into::into);
    if own || found.class.is_some() {
        entry.more = Some(Box::new(More {
            target: own.then(|| base.clone()),
            detail: own.then(|| "an object with the name of this folder".to_owned()),
            storage_class: found.class,
            ..More::default()
        }));
    }
    entry
}
