//! What a server keeps beside the bytes: versions, metadata and tags to be changed, facts of a
//! bucket. S3 has them, or says that it has not; the other stores say so here.

use super::{Backend, StoreHandle, Stores};
use crate::entry::{Stat, Version};
use crate::error::{Error, Result};
use crate::location::Location;
use futures::stream::{BoxStream, StreamExt as _};
use serde_json::Value;
use std::collections::BTreeMap;

/// Something that a server may have, may not have, or may not tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact<T> {
    /// This is it.
    Known(T),
    /// It could be set, and is not.
    NotSet,
    /// This server does not know of such a thing.
    NotOffered,
    /// The credentials may not see it.
    Denied,
    /// Asking for it failed, with this sentence.
    Failed(String),
}

impl<T> Fact<T> {
    /// The value, where there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }

    /// The fact made of the value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Known(value) => Fact::Known(f(value)),
            Self::NotSet => Fact::NotSet,
            Self::NotOffered => Fact::NotOffered,
            Self::Denied => Fact::Denied,
            Self::Failed(why) => Fact::Failed(why),
        }
    }

    /// What stands in the place of a value that is not there; `None` where it is.
    pub fn words(&self) -> Option<&str> {
        Some(match self {
            Self::Known(_) => return None,
            Self::NotSet => "not set",
            Self::NotOffered => "this server does not offer it",
            Self::Denied => "these credentials may not see it",
            Self::Failed(why) => why,
        })
    }
}

/// A fact of a bucket in words and as data.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// At least one line.
    pub lines: Vec<String>,
    /// The same for `--json`.
    pub value: Value,
}

macro_rules! aspects {
    ($($variant:ident, $name:literal, $title:literal;)*) => {
        /// What can be asked of a bucket.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Aspect {
            $(#[doc = $title] $variant,)*
        }

        impl Aspect {
            /// All of them, in the order to be shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in JSON.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its name for a person.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

aspects! {
    Region, "region", "region";
    Content, "content", "content";
    Quota, "quota", "quota";
    Access, "access", "owner";
    Versioning, "versioning", "versioning";
    ObjectLock, "object_lock", "object lock";
    Encryption, "encryption", "encryption";
    Public, "public_access", "public access";
    Policy, "policy", "policy";
    Lifecycle, "lifecycle", "lifecycle";
    Cors, "cors", "CORS";
    Tags, "tags", "tags";
    Notifications, "notifications", "notifications";
    Website, "website", "website";
    Logging, "logging", "access log";
    Replication, "replication", "replication";
}

/// Who may do what with an object or a bucket: its access control list.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Access {
    /// Who owns it, as the server names them.
    pub owner: String,
    /// Id of the owner.
    #[serde(skip)]
    pub(super) owner_id: String,
    /// Who may do what.
    pub grants: Vec<Grant>,
}

/// A line of an access control list.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Grant {
    /// `id`, `uri` or `emailAddress`: what `grantee` is.
    pub kind: &'static str,
    /// An account, a group, an address.
    pub grantee: String,
    /// The name of an account, where the server tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `FULL_CONTROL`, `READ`, `WRITE`, `READ_ACP`, `WRITE_ACP`.
    pub permission: String,
}

impl Grant {
    /// The line in words: `everyone may read`.
    pub fn words(&self) -> String {
        let who = match self.grantee.rsplit_once("/groups/global/").map(|(_, group)| group) {
            Some("AllUsers") => "everyone",
            Some("AuthenticatedUsers") => "everyone with an account",
            Some(group) => group,
            None => self.name.as_deref().filter(|n| !n.is_empty()).unwrap_or(&self.grantee),
        };
        let what = match self.permission.as_str() {
            "FULL_CONTROL" => "do everything",
            "READ" => "read",
            "WRITE" => "write",
            "READ_ACP" => "read this list",
            "WRITE_ACP" => "change this list",
            other => other,
        };
        format!("{who} may {what}")
    }
}

impl Access {
    /// Whether it is what an object has when nobody says anything: its owner may do everything, nobody
    /// else anything.
    pub fn is_default(&self) -> bool {
        let mine = |g: &Grant| g.kind == "id" && g.grantee == self.owner_id && g.permission == "FULL_CONTROL";
        self.grants.iter().all(mine)
    }
}

/// What is to stand beside an object's bytes: the part of a [`Stat`] that can be changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// `Content-Type`; the server's default where absent.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Expires`, as it is sent.
    pub expires: Option<String>,
    /// User metadata, keys without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

impl Change {
    /// What an object has: a change that changes nothing.
    pub fn of(stat: &Stat) -> Self {
        let detail = stat.detail.clone();
        Self {
            content_type: stat.content_type.clone(),
            content_encoding: detail.content_encoding,
            content_language: detail.content_language,
            content_disposition: detail.content_disposition,
            cache_control: detail.cache_control,
            expires: detail.expires,
            metadata: stat.metadata.clone(),
            tags: stat.tags.clone(),
        }
    }
}

impl Stores {
    /// The versions of the object at `location`, newest first, in pages; with `below`, those of all
    /// objects whose key begins with that of `location`, in the order of keys.
    pub fn versions(&self, location: &Location, below: bool) -> BoxStream<'static, Result<Vec<Version>>> {
        let (stores, location) = (self.clone(), location.clone());
        futures::stream::once(async move {
            match stores.open(&location, stores.meter()).await {
                Ok(handle) => handle.versions(&location, below),
                Err(err) => futures::stream::iter([Err(err)]).boxed(),
            }
        })
        .flatten()
        .boxed()
    }
}

impl StoreHandle {
    fn without(&self, what: &str) -> Error {
        match &self.backend {
            Backend::Local => Error::unsupported(format!("the local disk keeps no {what}")),
            _ => Error::unsupported(format!("this store ({}://) keeps no {what}", self.id.scheme.as_str())),
        }
    }

    /// See [`Stores::versions`].
    pub fn versions(&self, location: &Location, below: bool) -> BoxStream<'static, Result<Vec<Version>>> {
        match &self.backend {
            Backend::S3(s3) => s3.clone().versions(self.traffic.clone(), location.with_version(None), below),
            _ => futures::stream::iter([Err(self.without("versions"))]).boxed(),
        }
    }

    /// Whether the bucket keeps versions; see [`Aspect::Versioning`].
    pub async fn versioning(&self) -> Fact<Told> {
        match &self.backend {
            Backend::S3(s3) => s3.bucket_fact(&self.traffic, Aspect::Versioning).await,
            _ => Fact::NotOffered,
        }
    }

    /// Makes an old version the current one, by a copy within the server onto its key that keeps
    /// metadata, tags, storage class, encryption and access. `seen` is the id of what was the current
    /// one when the user looked: where it is another by now, nothing is written and the answer is
    /// [`crate::error::Kind::Changed`]. Objects above 5 GiB are refused: S3 copies those in parts only.
    pub async fn restore(&self, key: &str, version: &str, seen: Option<&str>) -> Result<Stat> {
        self.writable(key)?;
        match &self.backend {
            Backend::S3(s3) => s3.restore(&self.traffic, key, version, seen).await,
            _ => Err(self.without("versions")),
        }
    }

    /// Brings a deleted object back by removing the marks that hide it; gives how many. No version that
    /// holds bytes is ever removed.
    pub async fn undelete(&self, key: &str) -> Result<usize> {
        self.writable(key)?;
        match &self.backend {
            Backend::S3(s3) => s3.undelete(&self.traffic, key).await,
            _ => Err(self.without("versions")),
        }
    }

    /// Changes what stands beside the bytes of an object and keeps all the rest: by a copy within the
    /// server onto itself on condition that nobody has changed it since it was `seen`. Gives what the
    /// server says of it afterwards, and sentences about what is not quite as it was wished.
    pub async fn edit(&self, seen: &Stat, wish: &Change) -> Result<(Stat, Vec<String>)> {
        let location = &seen.location;
        self.writable(location.key())?;
        if location.version().is_some() {
            return Err(Error::usage("an old version cannot be changed").with_hint("restore it, then change it"));
        }
        match &self.backend {
            Backend::S3(s3) => s3.edit(&self.traffic, seen, wish).await,
            _ => Err(self.without("metadata that could be changed")),
        }
    }

    /// What the server says of one object, and why there are no tags where there are none.
    pub async fn stat_and_tags(&self, location: &Location) -> Result<(Stat, Fact<BTreeMap<String, String>>)> {
        match &self.backend {
            Backend::S3(s3) if !location.key().is_empty() => {
                s3.stat_and_tags(&self.traffic, location.key(), location.version()).await
            }
            _ => Ok((self.stat(location).await?, Fact::NotOffered)),
        }
    }

    /// The size of the first part of an object that was uploaded in parts, where the server tells it.
    pub(crate) async fn first_part(&self, location: &Location) -> Result<Option<u64>> {
        match &self.backend {
            Backend::S3(s3) => s3.first_part(&self.traffic, location.key(), location.version()).await,
            _ => Ok(None),
        }
    }

    /// The tags of an object, or why there are none.
    pub async fn tags(&self, location: &Location) -> Fact<BTreeMap<String, String>> {
        match &self.backend {
            Backend::S3(s3) => s3.tags(&self.traffic, location.key(), location.version()).await,
            _ => Fact::NotOffered,
        }
    }

    /// Who may do what with an object.
    pub async fn access(&self, location: &Location) -> Fact<Access> {
        match &self.backend {
            Backend::S3(s3) => s3.access(&self.traffic, location.key(), location.version()).await,
            _ => Fact::NotOffered,
        }
    }

    /// Whether the bucket is there and may be seen.
    pub async fn check_bucket(&self) -> Result<()> {
        match &self.backend {
            Backend::S3(s3) => s3.check_bucket(&self.traffic).await,
            _ => Ok(()),
        }
    }

    /// All facts of the bucket, each as it arrives.
    pub fn bucket_facts(&self) -> BoxStream<'static, Result<(Aspect, Fact<Told>)>> {
        match &self.backend {
            Backend::S3(s3) if !self.site.bucket.is_empty() => {
                s3.clone().bucket_facts(self.traffic.clone()).map(Ok).boxed()
            }
            Backend::S3(_) => {
                let err = Error::usage("name a bucket: s3://bucket/");
                futures::stream::iter([Err(err)]).boxed()
            }
            _ => futures::stream::iter([Err(self.without("buckets"))]).boxed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(kind: &'static str, grantee: &str, permission: &str) -> Grant {
        Grant { kind, grantee: grantee.into(), name: None, permission: permission.into() }
    }

    #[test]
    fn access_reads_as_a_sentence_and_the_default_is_known() {
        let everyone = grant("uri", "http://acs.amazonaws.com/groups/global/AllUsers", "READ");
        assert_eq!(everyone.words(), "everyone may read");
        let mut access =
            Access { owner: "Test".into(), owner_id: "test".into(), grants: vec![grant("id", "test", "FULL_CONTROL")] };
        assert!(access.is_default());
        access.grants.push(everyone);
        assert!(!access.is_default());
    }
}
