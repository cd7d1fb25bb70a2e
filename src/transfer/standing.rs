//! Whether what was written stands there: by one HEAD, or for many by listings.

use super::source::File;
use super::upload::Transfer;
use crate::entry::{Detail, Stat};
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::UploadMeta;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::collections::{BTreeMap, HashMap};

/// Fewer than these are asked for one by one.
const FEW: usize = 8;
/// Questions under way at once.
const AT_ONCE: usize = 8;
/// So many others between ours, and listing is not worth it any more.
const OTHERS: usize = 3_000;

/// What should stand there.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) location: Location,
    pub(super) size: u64,
    /// `None`: any.
    pub(super) etag: Option<String>,
}

impl Wanted {
    fn is(&self, size: u64, etag: Option<&str>) -> bool {
        let plain = |text: &str| text.trim_matches('"').to_owned();
        let same = self.etag.as_deref().is_none_or(|ours| etag.is_none_or(|theirs| plain(ours) == plain(theirs)));
        size == self.size && same
    }
}

/// What a server said when it took something.
pub(super) fn stat_of(location: &Location, size: u64, etag: &str, meta: &UploadMeta) -> Stat {
    Stat {
        location: location.clone(),
        size,
        etag: Some(etag.to_owned()).filter(|etag| !etag.is_empty()),
        modified: None,
        content_type: meta.content_type.clone(),
        storage_class: meta.storage_class.clone(),
        version: None,
        metadata: meta.metadata.clone(),
        tags: meta.tags.clone(),
        detail: Detail::default(),
    }
}

/// A text right before `key` in the order of a listing.
fn just_before(key: &str) -> &str {
    key.char_indices().next_back().map_or("", |(at, _)| &key[..at])
}

impl Transfer {
    /// Of what is wanted, what stands there, with the `ETag`s.
    pub(super) async fn standing(&self, mut wanted: Vec<Wanted>) -> Result<HashMap<Location, String>> {
        let mut found = HashMap::with_capacity(wanted.len());
        wanted.sort_by(|a, b| a.location.key().cmp(b.location.key()));
        let asked = if self.is_s3() && wanted.len() >= FEW {
            match self.race(self.listed(&wanted, &mut found)).await {
                Ok(listed) => wanted.split_off(listed),
                // Who may write need not be allowed to list.
                Err(err) if matches!(err.kind(), Kind::Denied | Kind::Unsupported) => wanted,
                Err(err) => return Err(err),
            }
        } else {
            wanted
        };
        let mut waiting = asked.iter();
        let mut running = FuturesUnordered::new();
        loop {
            running.extend(waiting.by_ref().take(AT_ONCE - running.len()).map(|one| self.look(one)));
            let Some(answer) = running.next().await else { break };
            if let (one, Some(stat)) = answer?
                && one.is(stat.size, stat.etag.as_deref())
            {
                found.insert(one.location.clone(), stat.etag.unwrap_or_default());
            }
        }
        Ok(found)
    }

    async fn look<'a>(&self, one: &'a Wanted) -> Result<(&'a Wanted, Option<Stat>)> {
        Ok((one, self.find(&one.location).await?))
    }

    /// Looks for what is wanted, sorted by key, in a listing; how many of them it has passed.
    async fn listed(&self, wanted: &[Wanted], found: &mut HashMap<Location, String>) -> Result<usize> {
        let Some(first) = wanted.first() else { return Ok(0) };
        let after = self.handle.path(just_before(first.location.key()));
        let store = self.handle.object_store();
        let mut entries = store.list_with_offset(None, &after);
        let (mut at, mut others) = (0, 0);
        while at < wanted.len() && others < OTHERS {
            let Some(entry) = entries.next().await else { return Ok(wanted.len()) };
            let entry = entry?;
            let key = self.handle.key(&entry.location);
            // What the listing has passed does not stand there.
            while wanted.get(at).is_some_and(|one| one.location.key() < key.as_str()) {
                at += 1;
            }
            match wanted.get(at) {
                Some(one) if one.location.key() == key => {
                    if one.is(entry.size, entry.e_tag.as_deref()) {
                        found.insert(one.location.clone(), entry.e_tag.unwrap_or_default());
                    }
                    at += 1;
                }
                _ => others += 1,
            }
        }
        Ok(at)
    }

    /// Asks the server what it has, and compares: some accept a write and keep something else.
    pub(super) async fn proof_of_head(&self, file: &File, location: &Location, etag: &str) -> Result<Stat> {
        let mut stat = self.there(location).await?;
        let wished = &self.spec.meta.tags;
        if stat.tags != *wished && !wished.is_empty() && self.is_s3() {
            // Ceph 16 forgets the tags that an upload in parts was begun with.
            self.race(self.handle.set_tags(location.key(), wished)).await?;
            stat = self.there(location).await?;
        }
        match self.differs(&stat, file, etag) {
            Some(why) => Err(Error::invalid(format!("{location} is not what was sent: {why}"))),
            None => Ok(stat),
        }
    }

    async fn there(&self, location: &Location) -> Result<Stat> {
        let found = if self.spec.meta.tags.is_empty() {
            self.find(location).await?
        } else {
            match self.race(self.handle.stat(location)).await {
                Err(err) if err.kind() == Kind::NotFound => None,
                other => Some(other?),
            }
        };
        found.ok_or_else(|| Error::invalid(format!("the server took {location} but does not have it")))
    }

    fn differs(&self, stat: &Stat, file: &File, etag: &str) -> Option<String> {
        if stat.size != file.stamp.size {
            return Some(format!("it has {} bytes, the file {}", stat.size, file.stamp.size));
        }
        let theirs = stat.etag.as_deref().unwrap_or(etag);
        if !etag.is_empty() && theirs.trim_matches('"') != etag.trim_matches('"') {
            return Some(format!("its ETag is {theirs}, that of another write; ours was {etag}"));
        }
        if stat.location.scheme() == Scheme::File {
            return None;
        }
        let meta = &self.spec.meta;
        // Header names are not case-sensitive, and servers keep them in lower case.
        let kept = |key: &str| stat.metadata.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v);
        for (key, value) in &meta.metadata {
            if kept(key) != Some(value) {
                return Some(format!("its metadata `{key}` is {:?}", kept(key).map_or("absent", String::as_str)));
            }
        }
        if let Some(wish) = &meta.content_type
            && stat.content_type.as_ref() != Some(wish)
        {
            return Some(format!("its content type is {:?}", stat.content_type.as_deref().unwrap_or("absent")));
        }
        if let Some(wish) = &meta.encryption
            && stat.detail.encryption.as_ref() != Some(wish)
        {
            let is = stat.detail.encryption.as_deref().unwrap_or("none");
            return Some(format!("its encryption is {is}, not {wish}"));
        }
        let no_tags = BTreeMap::new();
        let tags = if meta.tags.is_empty() { &no_tags } else { &stat.tags };
        (*tags != meta.tags).then(|| "its tags are others".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_begins_right_before_a_key() {
        for key in ["a/b.txt", "x", "d/\u{e9}", "d/\u{1f9ad}"] {
            let before = just_before(key);
            assert!(before < key && key.starts_with(before), "{key}");
        }
    }
}
