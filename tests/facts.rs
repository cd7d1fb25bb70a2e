//! What is kept beside the bytes, on the server that the users have: metadata and tags changed with
//! all the rest kept, versions restored and undeleted, facts of a bucket.

mod support;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{
    BucketVersioningStatus, CorsConfiguration, CorsRule, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, ObjectCannedAcl, VersioningConfiguration,
};
use bytes::Bytes;
use futures::TryStreamExt as _;
use secchi::entry::Version;
use secchi::error::Kind;
use secchi::location::Location;
use secchi::meter::Meter;
use secchi::preview::{Ask, Preview, Probe};
use secchi::store::{Aspect, Change, Fact, Options, Stores, Told, UploadMeta};
use std::collections::BTreeMap;
use support::{Ceph, S3s, new_bucket};

/// Another client than secchi's own.
fn other(endpoint: &str, key: &str, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new(key, secret, None, None, "test"))
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .build();
    Client::from_conf(config)
}

async fn versions_on(client: &Client, bucket: &str, status: BucketVersioningStatus) {
    let on = VersioningConfiguration::builder().status(status).build();
    client.put_bucket_versioning().bucket(bucket).versioning_configuration(on).send().await.expect("versioning");
}

async fn versions(stores: &Stores, at: &Location, below: bool) -> Vec<Version> {
    let pages: Vec<Vec<Version>> = stores.versions(at, below).try_collect().await.expect("versions");
    pages.into_iter().flatten().collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_changed_is_kept() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let client = other(&ceph.endpoint, &ceph.key, &ceph.secret);
    for key in ["k.csv", "a//b", "/lead", "new\nline"] {
        let put = client
            .put_object()
            .bucket(root.bucket())
            .key(key)
            .body(Bytes::from_static(b"a,b\n1,2\n").into())
            .content_type("text/csv")
            .content_encoding("identity")
            .content_language("fi")
            .content_disposition("attachment; filename=\"x.csv\"")
            .cache_control("max-age=60")
            .customize()
            .mutate_request(|r| {
                r.headers_mut().insert("expires", "Tue, 01 Jan 2030 00:00:00 GMT");
            });
        put.send().await.expect("written");
        let handle = stores.open(&root, stores.meter()).await.expect("opens");
        let at = root.with_key(key);
        handle.set_tags(key, &map(&[("project", "a b&c=é"), ("n", "1")])).await.expect("tagged");
        let acl = client.put_object_acl().bucket(root.bucket()).key(key).acl(ObjectCannedAcl::PublicRead);
        acl.send().await.expect("public");
        let seen = handle.stat(&at).await.expect("stat");
        assert_eq!(seen.tags.len(), 2);
        assert_eq!(seen.detail.content_language.as_deref(), Some("fi"));
        let access = handle.access(&at).await;
        assert!(
            access.known().is_some_and(|a| a.grants.iter().any(|g| g.words() == "everyone may read")),
            "{access:?}"
        );

        let mut wish = Change::of(&seen);
        wish.metadata = map(&[("fairease.catalog.mediatype", "COG"), ("with_line", "x")]);
        let (now, notes) = handle.edit(&seen, &wish).await.unwrap_or_else(|err| panic!("{key:?}: {err:?}"));
        assert_eq!(now.metadata, map(&[("fairease.catalog.mediatype", "COG"), ("with-line", "x")]), "{key:?}");
        assert!(notes.iter().any(|n| n.contains("keeps `with_line` as `with-line`")), "{notes:?}");
        assert_eq!((now.size, &now.etag, &now.tags), (seen.size, &seen.etag, &seen.tags), "{key:?}");
        assert_eq!(now.content_type, seen.content_type);
        assert_eq!(now.detail.cache_control.as_deref(), Some("max-age=60"));
        assert_eq!(now.detail.expires.as_deref(), Some("Tue, 01 Jan 2030 00:00:00 GMT"));
        assert_eq!(Change { metadata: seen.metadata.clone(), ..Change::of(&now) }, Change::of(&seen), "{key:?}");
        let (before, after) = (access.known().expect("known").clone(), handle.access(&at).await);
        assert_eq!(after.known(), Some(&before), "{key:?}");

        // Only a header, then only tags, then none.
        let wish = Change { cache_control: None, content_type: Some("text/plain".into()), ..Change::of(&now) };
        let (now, _) = handle.edit(&now, &wish).await.expect("edited");
        assert_eq!((now.content_type.as_deref(), &now.detail.cache_control), (Some("text/plain"), &None));
        assert_eq!(now.tags, seen.tags);
        let wish = Change { tags: map(&[("n", "2")]), ..Change::of(&now) };
        let (now, _) = handle.edit(&now, &wish).await.expect("tagged");
        assert_eq!(now.tags, map(&[("n", "2")]));
        let (now, _) = handle.edit(&now, &Change { tags: map(&[]), ..Change::of(&now) }).await.expect("untagged");
        assert!(now.tags.is_empty());
        assert_eq!(now.metadata.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_s_change_is_overwritten() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    let put = |body: &'static [u8], meta: UploadMeta| {
        let handle = handle.clone();
        async move { handle.put_object("k", Bytes::from_static(body), &meta, false).await.expect("written") }
    };
    let at = root.child("k");
    let meta = |value: &str| UploadMeta { metadata: map(&[("m", value)]), ..UploadMeta::default() };
    put(b"one", meta("1")).await;
    let seen = handle.stat(&at).await.expect("stat");
    let wish = Change { metadata: map(&[("mine", "x")]), ..Change::of(&seen) };

    put(b"two", meta("1")).await;
    let err = handle.edit(&seen, &wish).await.expect_err("the bytes have changed");
    assert_eq!(err.kind(), Kind::Changed);
    assert!(err.to_string().ends_with("changed since you looked"), "{err}");
    assert!(err.hint().is_some_and(|h| h.contains("reload")), "{err:?}");
    put(b"one", meta("2")).await;
    let err = handle.edit(&seen, &wish).await.expect_err("the metadata have changed");
    assert_eq!(err.kind(), Kind::Changed);
    put(b"one", meta("1")).await;
    handle.set_tags("k", &map(&[("t", "1")])).await.expect("tagged");
    let err = handle.edit(&seen, &wish).await.expect_err("the tags have changed");
    assert_eq!(err.kind(), Kind::Changed);
    let now = handle.stat(&at).await.expect("stat");
    assert_eq!((now.metadata, now.tags), (map(&[("m", "1")]), map(&[("t", "1")])), "nothing is lost");

    let read_only = Stores::new(Options { read_only: true, ..ceph.options() });
    let closed = read_only.open(&root, read_only.meter()).await.expect("opens");
    assert!(closed.edit(&seen, &wish).await.is_err());
    assert!(closed.undelete("k").await.is_err());
    assert!(closed.restore("k", "null", None).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_parts_is_edited_as_a_whole() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    let meta = UploadMeta { tags: map(&[("t", "1")]), ..UploadMeta::default() };
    let id = handle.create_upload("parts", &meta).await.expect("starts");
    let mut parts = Vec::new();
    for n in 1..=2_u8 {
        let body = Bytes::from(vec![n; 5 << 20]);
        parts.push((u32::from(n), handle.put_part("parts", &id, u32::from(n), body).await.expect("a part")));
    }
    handle.complete_upload("parts", &id, &parts, false).await.expect("completes");
    let at = root.child("parts");
    let seen = handle.stat(&at).await.expect("stat");
    assert_eq!(seen.detail.parts, Some(2));
    let wish = Change { metadata: map(&[("m", "1")]), ..Change::of(&seen) };
    let (now, _) = handle.edit(&seen, &wish).await.expect("edited");
    assert_eq!((now.size, now.tags, now.metadata), (10 << 20, map(&[("t", "1")]), map(&[("m", "1")])));
    let edge = handle.read_range(&at, (5 << 20) - 1..(5 << 20) + 1).await.expect("reads");
    assert_eq!(edge.as_ref(), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_are_seen_restored_and_undeleted() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let client = other(&ceph.endpoint, &ceph.key, &ceph.secret);
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    let first = UploadMeta {
        content_type: Some("text/csv".into()),
        metadata: map(&[("m", "1")]),
        tags: map(&[("t", "1")]),
        ..UploadMeta::default()
    };
    let keys = ["d/x.csv", "a//b.csv", "/lead.csv", "new\nline.csv", "d/x.csv.bak"];
    for key in keys {
        handle.put_object(key, Bytes::from_static(b"before\n"), &UploadMeta::default(), false).await.expect("written");
    }
    versions_on(&client, root.bucket(), BucketVersioningStatus::Enabled).await;
    for key in keys {
        handle.put_object(key, Bytes::from_static(b"name,n\nold,1\n"), &first, false).await.expect("written");
        let acl = client.put_object_acl().bucket(root.bucket()).key(key).acl(ObjectCannedAcl::PublicRead);
        acl.send().await.expect("public");
        handle
            .put_object(key, Bytes::from_static(b"name,n\nnew,2\nnew,3\n"), &UploadMeta::default(), false)
            .await
            .expect("written");
    }
    for key in &keys[..4] {
        let at = root.with_key(*key);
        let found = versions(&stores, &at, false).await;
        assert_eq!(found.iter().map(|v| v.size).collect::<Vec<_>>(), [Some(19), Some(13), Some(7)], "{key:?}");
        assert_eq!(found.iter().map(|v| v.current).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(found[2].id, "null");
        let old = found[1].location.clone();
        assert_eq!(Location::parse(&old.to_string()).expect("parses"), old, "{key:?}");

        // Every previewer reads it, by the same handle.
        let mut probe = Probe::new(old.clone());
        probe.size = found[1].size;
        let loaded = secchi::previews::load(stores.clone(), Ask::new(probe, Meter::new())).await;
        match loaded.unwrap_or_else(|err| panic!("{key:?}: {err:?}")).preview {
            Preview::Table(table) => assert_eq!(table.batch.num_rows(), 1, "{key:?}"),
            other => panic!("{key:?}: {other:?}"),
        }
        let stat = stores.stat(&old, stores.meter()).await.expect("stat");
        assert_eq!((stat.size, &stat.metadata, &stat.tags), (13, &first.metadata, &first.tags), "{key:?}");
        assert_eq!(stat.location, old);
        let err = stores.stat(&at.with_version(Some("nonsense")), stores.meter()).await.expect_err("no such version");
        assert!(err.to_string().contains("no such version"), "{err}");
        let pinned = stores.open(&old, stores.meter()).await.expect("opens");
        assert_eq!(pinned.read_range(&old, 0..4).await.expect("reads").as_ref(), b"name");
        let path = pinned.path(old.key());
        assert!(
            pinned
                .object_store()
                .put_opts(&path, Bytes::new().into(), object_store::PutOptions::default())
                .await
                .is_err()
        );
        assert!(object_store::ObjectStoreExt::delete(&*pinned.object_store(), &path).await.is_err());

        // Somebody was faster: nothing happens. Else the old one is there again, with all it had.
        let err = handle.restore(key, &found[1].id, Some("null")).await.expect_err("another is current");
        assert_eq!(err.kind(), Kind::Changed);
        assert!(handle.restore(key, &found[0].id, None).await.is_err(), "it is current already");
        let now =
            handle.restore(key, &found[1].id, Some(&found[0].id)).await.unwrap_or_else(|e| panic!("{key:?}: {e:?}"));
        assert_eq!((now.size, &now.metadata, &now.tags), (13, &first.metadata, &first.tags), "{key:?}");
        assert_eq!(now.content_type.as_deref(), Some("text/csv"));
        let access = handle.access(&at).await;
        assert!(
            access.known().is_some_and(|a| a.grants.iter().any(|g| g.words() == "everyone may read")),
            "{access:?}"
        );
        assert_eq!(versions(&stores, &at, false).await.len(), 4, "nothing is gone");

        // Deleted twice, and back.
        assert!(handle.undelete(key).await.is_err(), "it is not deleted");
        handle.delete(key).await.expect("deletes");
        handle.delete(key).await.expect("deletes");
        let found = versions(&stores, &at, false).await;
        assert!(found[0].deleted && found[0].current && found[0].size.is_none(), "{found:?}");
        assert_eq!(stores.stat(&at, stores.meter()).await.map_err(|e| e.kind()).err(), Some(Kind::NotFound));
        let err = stores.stat(&found[0].location, stores.meter()).await.expect_err("a mark has no bytes");
        assert!(err.to_string().contains("version"), "{err}");
        let marks = found.iter().filter(|v| v.deleted).count();
        assert_eq!(handle.undelete(key).await.expect("undeleted"), marks, "{key:?}");
        assert_eq!(stores.stat(&at, stores.meter()).await.expect("back").size, 13, "{key:?}");

        // What is deleted can also be restored from an older version.
        handle.delete(key).await.expect("deletes");
        let found = versions(&stores, &at, false).await;
        let oldest = found.last().expect("one");
        let now = handle.restore(key, &oldest.id, Some(&found[0].id)).await.expect("restored");
        assert_eq!(now.size, 7, "{key:?}");
    }
    let all = versions(&stores, &root.child("d/"), true).await;
    assert!(
        all.iter().any(|v| v.location.key() == "d/x.csv.bak") && all.iter().all(|v| v.location.key().starts_with("d/"))
    );
    handle.delete("gone").await.expect("a mark over nothing");
    let err = handle.undelete("gone").await.expect_err("nothing is left");
    assert_eq!(err.kind(), Kind::NotFound);
    assert_eq!(versions(&stores, &root.child("gone"), false).await.len(), 1, "the mark stays");

    // An edit makes a new version.
    let seen = handle.stat(&root.child("d/x.csv.bak")).await.expect("stat");
    let wish = Change { metadata: map(&[("m", "9")]), ..Change::of(&seen) };
    let (now, notes) = handle.edit(&seen, &wish).await.expect("edited");
    assert_ne!(now.version, seen.version);
    assert!(notes.iter().any(|n| n.contains("a new version")), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_versions_come_in_pages_and_each_once() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let client = other(&ceph.endpoint, &ceph.key, &ceph.secret);
    versions_on(&client, root.bucket(), BucketVersioningStatus::Enabled).await;
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    // A page ends within the versions of a key that has to be encoded.
    futures::future::join_all((0..16).map(|n| {
        let handle = handle.clone();
        async move {
            for i in 0..70 {
                let key = if n % 2 == 0 { "a b+c/\u{1b}é".to_owned() } else { format!("k{n}/{}", i % 7) };
                handle.put_object(&key, Bytes::new(), &UploadMeta::default(), false).await.expect("written");
            }
        }
    }))
    .await;
    let all = versions(&stores, &root, true).await;
    assert_eq!(all.len(), 1120);
    let ids: std::collections::BTreeSet<_> = all.iter().map(|v| (v.location.key(), &v.id)).collect();
    assert_eq!(ids.len(), 1120);
    assert_eq!(versions(&stores, &root.child("a b+c/\u{1b}é"), false).await.len(), 560);
}

async fn facts(stores: &Stores, root: &Location) -> BTreeMap<Aspect, Fact<Told>> {
    let handle = stores.open(root, stores.meter()).await.expect("opens");
    handle.bucket_facts().try_collect().await.expect("facts")
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_of_a_bucket_are_told_or_said_to_be_missing() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = ceph.bucket().await;
    let client = other(&ceph.endpoint, &ceph.key, &ceph.secret);
    let found = facts(&stores, &root).await;
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), Aspect::ALL);
    for aspect in
        [Aspect::Policy, Aspect::Lifecycle, Aspect::Cors, Aspect::Tags, Aspect::ObjectLock, Aspect::Notifications]
    {
        assert_eq!(found[&aspect], Fact::NotSet, "{aspect:?}");
    }
    for aspect in [Aspect::Logging, Aspect::Replication, Aspect::Quota] {
        assert_eq!(found[&aspect], Fact::NotSet, "{aspect:?}");
    }
    // A listing of the bucket is no answer to these.
    for aspect in [Aspect::Encryption, Aspect::Website] {
        assert_eq!(found[&aspect], Fact::NotOffered, "{aspect:?}");
    }
    let lines = |found: &BTreeMap<Aspect, Fact<Told>>, a: Aspect| {
        found[&a].known().map_or_else(|| panic!("{a:?}: {:?}", found[&a]), |t| t.lines.clone())
    };
    assert_eq!(lines(&found, Aspect::Region), ["default"]);
    assert_eq!(lines(&found, Aspect::Public), ["not public by its policy"]);
    assert!(lines(&found, Aspect::Versioning)[0].starts_with("off"));

    let bucket = root.bucket();
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}}]}}"#
    );
    client.put_bucket_policy().bucket(bucket).policy(policy).send().await.expect("policy");
    versions_on(&client, bucket, BucketVersioningStatus::Suspended).await;
    let rule = CorsRule::builder().allowed_methods("GET").allowed_origins("https://map.example").build().expect("rule");
    let cors = CorsConfiguration::builder().cors_rules(rule).build().expect("cors");
    client.put_bucket_cors().bucket(bucket).cors_configuration(cors).send().await.expect("cors");
    let rule = LifecycleRule::builder()
        .id("tidy")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("tmp/").build())
        .expiration(LifecycleExpiration::builder().days(30).build())
        .build()
        .expect("rule");
    let lifecycle = aws_sdk_s3::types::BucketLifecycleConfiguration::builder().rules(rule).build().expect("lifecycle");
    let put = client.put_bucket_lifecycle_configuration().bucket(bucket).lifecycle_configuration(lifecycle);
    put.send().await.expect("lifecycle");
    let found = facts(&stores, &root).await;
    assert!(lines(&found, Aspect::Policy).iter().any(|l| l.contains("s3:GetObject")));
    assert_eq!(found[&Aspect::Policy].known().expect("known").value["Version"], "2012-10-17");
    assert_eq!(lines(&found, Aspect::Public)[0], "public by its policy");
    assert_eq!(lines(&found, Aspect::Cors), ["GET from https://map.example"]);
    assert_eq!(lines(&found, Aspect::Lifecycle), ["tidy: objects below \"tmp/\": are deleted after 30 days"]);
    assert!(lines(&found, Aspect::Versioning)[0].starts_with("suspended"));

    // Who may not see them is told so; a bucket that is not there is not a bucket without facts.
    let anonymous = Stores::new(Options { no_sign_request: true, ..ceph.options() });
    let found = facts(&anonymous, &root).await;
    assert_eq!(found[&Aspect::Policy], Fact::Denied);
    let missing = Location::parse("s3://secchi-no-such-bucket/").expect("an address");
    let found = facts(&stores, &missing).await;
    match &found[&Aspect::Policy] {
        Fact::Failed(why) => assert!(why.contains("there is no bucket"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_offers_little_says_so() {
    let s3s = S3s::start().await;
    let (stores, root) = new_bucket(Stores::new(s3s.options())).await;
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    handle.put_object("k", Bytes::from_static(b"x"), &UploadMeta::default(), false).await.expect("written");
    let at = root.child("k");
    assert_eq!(handle.tags(&at).await, Fact::NotOffered);
    assert_eq!(handle.access(&at).await, Fact::NotOffered);
    let err = stores.versions(&at, false).try_collect::<Vec<_>>().await.expect_err("none");
    assert_eq!(err.kind(), Kind::Unsupported);
    assert!(err.to_string().ends_with("does not offer versions"), "{err}");
    let found = facts(&stores, &root).await;
    for aspect in [Aspect::Policy, Aspect::Lifecycle, Aspect::Cors, Aspect::Versioning, Aspect::Quota] {
        assert_eq!(found[&aspect], Fact::NotOffered, "{aspect:?}");
        assert_eq!(found[&aspect].words(), Some("this server does not offer it"));
    }
    let seen = handle.stat(&at).await.expect("stat");
    let wish = Change { metadata: map(&[("m", "1")]), ..Change::of(&seen) };
    match handle.edit(&seen, &wish).await {
        Ok((now, _)) => assert_eq!(now.metadata, wish.metadata),
        Err(err) => assert!(err.to_string().contains("keeps something else"), "{err}"),
    }
    for text in ["memory:///x", "/tmp"] {
        let at = Location::parse(text).expect(text);
        let err = stores.versions(&at, false).try_collect::<Vec<_>>().await.expect_err("none");
        assert!(err.to_string().contains("keeps no versions"), "{err}");
    }
}
