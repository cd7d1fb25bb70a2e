//! Facts on the screen: an object with metadata, tags and versions, all versions below a prefix, a
//! bucket; driven by keys on the real loop.

use crate::cx;
use crate::drive;
use crate::drive::Drive;
use crate::support;
use crate::support::{Ceph, S3s, new_bucket};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectCannedAcl, VersioningConfiguration};
use bytes::Bytes;
use proptest::prelude::*;
use secchi::location::Location;
use secchi::screen::Open;
use secchi::store::{Stores, UploadMeta};
use std::collections::BTreeMap;
use tokio::task::LocalSet;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

async fn put(stores: &Stores, at: &Location, body: &'static [u8], meta: &UploadMeta) {
    let handle = stores.open(at, stores.meter()).await.expect("opens");
    handle.put_object(at.key(), Bytes::from_static(body), meta, false).await.expect("written");
}

/// A bucket that keeps versions, with one object that has had two lives, and one that was deleted.
async fn lives(ceph: &Ceph) -> (Stores, Location) {
    let (stores, root) = ceph.bucket().await;
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new(&ceph.key, &ceph.secret, None, None, "test"))
        .region(Region::new("us-east-1"))
        .endpoint_url(&ceph.endpoint)
        .force_path_style(true)
        .build();
    let client = Client::from_conf(config);
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket(root.bucket()).versioning_configuration(on).send().await.expect("versioning");
    let meta = UploadMeta {
        content_type: Some("text/csv".into()),
        metadata: map(&[("fairease.catalog.mediatype", "CSV"), ("title", "Secchi depths of Lake Vesijarvi")]),
        tags: map(&[("project", "lakes"), ("state", "raw")]),
        ..UploadMeta::default()
    };
    let at = root.child("lakes/depths.csv");
    put(&stores, &at, b"lake,depth\nold,1\n", &UploadMeta::default()).await;
    put(&stores, &at, b"lake,depth\nnew,2\nnew,3\n", &meta).await;
    let acl = client.put_object_acl().bucket(root.bucket()).key(at.key()).acl(ObjectCannedAcl::PublicRead);
    acl.send().await.expect("public");
    let gone = root.child("lakes/gone.txt");
    put(&stores, &gone, b"it was here\n", &UploadMeta::default()).await;
    stores.open(&gone, stores.meter()).await.expect("opens").delete(gone.key()).await.expect("deletes");
    (stores, root)
}

/// A screen without what differs from run to run: the bucket's name, ids, times.
fn steady(screen: &str, root: &Location) -> String {
    let text = screen.replace(root.bucket(), &"b".repeat(root.bucket().len()));
    let lines = text.lines().enumerate().map(|(i, line)| {
        let words: String = line.split_inclusive(' ').map(|part| steady_word(part, i == 0)).collect();
        mask_day(&words)
    });
    drive::steady(&lines.collect::<Vec<_>>().join("\n"))
}

/// An id, an address that was cut, a time of day; in the place of it what is as long.
fn steady_word(part: &str, title: bool) -> String {
    let word = part.trim_end_matches([' ', '│']);
    let whole = word.trim_end_matches('…');
    let is_id = whole.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let id = is_id && (matches!(whole.len(), 31 | 32) || (whole.len() == 11 && word.ends_with('…')));
    let cut = title && word.contains('…');
    let is_time = |(i, c): (usize, char)| if i % 3 == 2 { c == ':' } else { c.is_ascii_digit() };
    if id || cut {
        part.replace(word, &"#".repeat(word.chars().count()))
    } else if whole.len() == 8 && whole.chars().enumerate().all(is_time) {
        part.replace(whole, "hh:mm:ss")
    } else {
        part.to_owned()
    }
}

/// `2026-11-21 hh:mm` becomes `YYYY-MM-DD hh:mm`.
fn mask_day(line: &str) -> String {
    let mut out = line.to_owned();
    for (at, _) in line.match_indices(" hh:mm") {
        if at >= 10 && line.is_char_boundary(at - 10) && line[at - 10..at].starts_with("20") {
            out.replace_range(at - 10..at, "YYYY-MM-DD");
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_seen_edited_and_restored() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = lives(&ceph).await;
    let at = root.child("lakes/depths.csv");
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60"), ((40, 12), "40x12")] {
        let state = tempfile::tempdir().expect("a folder");
        let (open, context) = (Open::Facts(at.clone()), cx::with_stores(state.path(), stores.clone()));
        LocalSet::new()
            .run_until(async {
                let mut drive = Drive::start(open, context, size);
                let whole = |s: &str| {
                    let small = size.1 < 20 || s.contains("state");
                    small && s.contains("r restore") && !s.contains("asking…") && !s.contains("Versions  …")
                };
                let screen = drive.settle("all facts", whole).await;
                insta::assert_snapshot!(format!("object_{name}"), steady(&screen, &root));
                drive.keys("G").await;
                let screen = drive.see("old").await;
                // There the ids are broken over lines.
                if size.0 > 40 {
                    insta::assert_snapshot!(format!("object_end_{name}"), steady(&screen, &root));
                }
            })
            .await;
    }
    let state = tempfile::tempdir().expect("a folder");
    let context = cx::with_stores(state.path(), stores.clone());
    LocalSet::new()
        .run_until(async {
            let mut drive = Drive::start(Open::Facts(at.clone()), context, (100, 40));
            drive.see("lakes").await;
            drive.see("old").await;
            // Nothing is written before the user allows it.
            drive.keys("e").await;
            drive.see("this place is read-only: R allows writing").await;
            drive.keys("Gr").await;
            assert!(!drive.screen().contains("Restore this version?"));
            drive.keys("ggyRe").await;
            assert!(!drive.copied().is_empty());
            let form = drive.see("[ Save ]").await;
            assert!(form.contains("fairease.catalog.mediatype") && form.contains("text/csv"), "{form}");
            // A new row of metadata: the cursor stands in the first cell.
            drive.keys("<C-a>").await;
            drive.text("reader").await;
            drive.keys("<Tab>").await;
            drive.text("anybody").await;
            let form = drive.screen();
            insta::assert_snapshot!("edit_100x40", steady(&form, &root));
            drive.keys("<C-s>").await;
            drive.see("saved: depths.csv").await;
            drive
                .settle("the new metadata and a third version", |s| s.contains("anybody") && s.contains("Versions  3"))
                .await;
            // The oldest version is looked at, then restored.
            drive.keys("G<Enter>").await;
            drive.see("1 row").await;
            drive.keys("q").await;
            drive.see("Metadata").await;
            drive.keys("r").await;
            let question = drive.see("Restore this version?").await;
            insta::assert_snapshot!("restore_100x40", steady(&question, &root));
            drive.keys("y").await;
            drive.see("restored: depths.csv").await;
            drive.see("Versions  4").await;
        })
        .await;
    let stat = stores.stat(&at, stores.meter()).await.expect("stat");
    assert_eq!((stat.size, stat.metadata.len()), (17, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_else_s_change_is_told_and_what_was_typed_stays() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = lives(&ceph).await;
    let at = root.child("lakes/depths.csv");
    let state = tempfile::tempdir().expect("a folder");
    let mut context = cx::with_stores(state.path(), stores.clone());
    context.writable.insert(root.store().clone());
    LocalSet::new()
        .run_until(async {
            let mut drive = Drive::start(Open::Facts(at.clone()), context, (100, 40));
            drive.see("lakes").await;
            drive.keys("e").await;
            drive.see("[ Save ]").await;
            drive.keys("<C-a>").await;
            drive.text("mine").await;
            put(&stores, &at, b"another\n", &UploadMeta::default()).await;
            drive.keys("<C-s>").await;
            drive.see("changed since you looked").await;
            let form = drive.see("it has changed meanwhile: saving again").await;
            assert!(form.contains("mine"), "{form}");
            drive.keys("<C-s>").await;
            drive.see("saved: depths.csv").await;
        })
        .await;
    let stat = stores.stat(&at, stores.meter()).await.expect("stat");
    assert!(stat.size == 8 && stat.metadata.contains_key("mine"), "{stat:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_is_found_and_comes_back() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = lives(&ceph).await;
    for (size, name) in [((80, 24), "80x24"), ((40, 12), "40x12")] {
        let state = tempfile::tempdir().expect("a folder");
        let context = cx::with_stores(state.path(), stores.clone());
        let open = Open::Browse(root.child("lakes/"));
        LocalSet::new()
            .run_until(async {
                let mut drive = Drive::start(open, context, size);
                drive.see("depths.csv").await;
                drive.keys("V").await;
                let screen = drive.settle("all versions", |s| s.contains("gone.txt") && !s.contains("…   ")).await;
                insta::assert_snapshot!(format!("versions_{name}"), steady(&screen, &root));
                drive.keys("m").await;
                drive.settle("deleted ones", |s| !s.contains("depths.csv")).await;
            })
            .await;
    }
    let state = tempfile::tempdir().expect("a folder");
    let mut context = cx::with_stores(state.path(), stores.clone());
    context.writable.insert(root.store().clone());
    LocalSet::new()
        .run_until(async {
            let mut drive = Drive::start(Open::Versions(root.child("lakes/")), context, (100, 30));
            drive.see("gone.txt").await;
            drive.keys("m<Enter>").await;
            drive.see("a mark of deletion holds no bytes").await;
            drive.keys("i").await;
            drive.see("a mark of deletion hides it").await;
            drive.keys("z").await;
            let question = drive.see("Undelete it?").await;
            insta::assert_snapshot!("undelete_100x30", steady(&question, &root));
            drive.keys("y").await;
            drive.see("gone.txt is back: 1 mark of deletion removed").await;
            drive.see("content type").await;
        })
        .await;
    let back = stores.stat(&root.child("lakes/gone.txt"), stores.meter()).await.expect("it is back");
    assert_eq!(back.size, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_tells_what_it_has_and_what_its_server_lacks() {
    let Some(ceph) = Ceph::find() else { return };
    let (stores, root) = lives(&ceph).await;
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60"), ((40, 12), "40x12")] {
        let state = tempfile::tempdir().expect("a folder");
        let context = cx::with_stores(state.path(), stores.clone());
        let open = Open::Browse(root.clone());
        LocalSet::new()
            .run_until(async {
                let mut drive = Drive::start(open, context, size);
                drive.see("lakes/").await;
                drive.keys("i").await;
                let screen = drive.settle("all facts", |s| s.contains("region") && !s.contains("asking…")).await;
                insta::assert_snapshot!(format!("bucket_{name}"), steady(&screen, &root));
            })
            .await;
    }
    let s3s = S3s::start().await;
    let (stores, root) = new_bucket(Stores::new(s3s.options())).await;
    put(&stores, &root.child("k"), b"x", &UploadMeta::default()).await;
    let state = tempfile::tempdir().expect("a folder");
    LocalSet::new()
        .run_until(async {
            let context = cx::with_stores(state.path(), stores.clone());
            let mut drive = Drive::start(Open::Facts(root.child("k")), context, (100, 40));
            drive.see("does not offer versions").await;
            drive.settle("no tags", |s| s.matches("this server does not offer it").count() >= 2).await;
            let context = cx::with_stores(state.path(), stores.clone());
            let mut drive = Drive::start(Open::BucketFacts(root.clone()), context, (100, 50));
            drive.settle("little", |s| s.matches("this server does not offer it").count() > 8).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_have_facts_and_no_versions() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("x.txt"), "hello").expect("written");
    let state = tempfile::tempdir().expect("a folder");
    let stores = Stores::new(secchi::store::Options::default());
    LocalSet::new()
        .run_until(async {
            let at = Location::file(&folder.path().join("x.txt"));
            let context = cx::with_stores(state.path(), stores.clone());
            let mut drive = Drive::start(Open::Facts(at), context, (80, 24));
            let screen = drive.see("the local disk keeps no versions").await;
            assert!(screen.contains("5 bytes") && screen.contains("this store keeps none"), "{screen}");
            drive.keys("e").await;
            drive.see("this store keeps no metadata that could be changed").await;
        })
        .await;
}

/// A server that answers every question with the same bytes.
async fn says(body: String, headers: String) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (body, headers) = (body.clone(), headers.clone());
            tokio::spawn(async move {
                let mut asked = vec![0; 8192];
                while socket.read(&mut asked).await.is_ok_and(|n| n > 0) {
                    let head = asked.starts_with(b"HEAD");
                    let length = body.len();
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\netag: \"x\"\r\n{headers}\r\n");
                    let whole = if head { answer } else { format!("{answer}{body}") };
                    if socket.write_all(whole.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    endpoint
}

fn wild() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,30}", ".{0,30}", "[\\x00-\\x1f\u{80}-\u{9f}\u{202a}-\u{202e}a<>&;]{0,20}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever a server says, nothing panics and no control character is drawn: the driver looks at
    /// every frame for those.
    #[test]
    fn any_answer_is_drawn_without_control_characters(
        text in wild(),
        value in "[\\x20-\\x7e\u{80}-\u{ff}]{0,40}",
        shape in 0..6_usize,
        width in 20_u16..140,
        height in 3_u16..30,
    ) {
        let escaped = text.chars().map(|c| format!("&#x{:x};", c as u32)).collect::<Vec<_>>().concat();
        let body = match shape {
            0 => format!("<Tagging><TagSet><Tag><Key>{escaped}</Key><Value>{escaped}</Value></Tag></TagSet></Tagging>"),
            1 => format!("{{\"Statement\": {}}}", serde_json::Value::from(text.as_str())),
            2 => format!(
                "<ListVersionsResult><Version><Key>k</Key><VersionId>{escaped}</VersionId><Size>-5</Size></Version>\
                 <DeleteMarker><Key>k{escaped}</Key><VersionId>{escaped}</VersionId><IsLatest>true</IsLatest></DeleteMarker></ListVersionsResult>"
            ),
            3 => format!(
                "<LifecycleConfiguration><Rule><ID>{escaped}</ID><Prefix>{escaped}</Prefix><Status>{escaped}</Status>\
                 <Expiration><Days>-3</Days></Expiration></Rule></LifecycleConfiguration>"
            ),
            4 => format!(
                "<AccessControlPolicy><Owner><ID>{escaped}</ID></Owner><AccessControlList><Grant><Grantee><ID>{escaped}</ID>\
                 </Grantee><Permission>{escaped}</Permission></Grant></AccessControlList></AccessControlPolicy>"
            ),
            _ => text.clone(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, async {
            let endpoint = says(body, format!("x-amz-meta-x: {value}\r\ncontent-type: {value}\r\nx-amz-version-id: {value}\r\n")).await;
            let root = Location::parse("s3://b/").expect("an address");
            for open in [Open::Facts(root.child("k")), Open::BucketFacts(root.clone()), Open::Versions(root.clone())] {
                let state = tempfile::tempdir().expect("a folder");
                let context = cx::with_stores(state.path(), Stores::new(support::s3_options(&endpoint, "k", "s")));
                let mut drive = Drive::start(open, context, (width, height));
                drive.settle("an answer", |s| !s.contains("asking…") && !s.contains("listing versions…")).await;
                drive.keys("GjkggGm").await;
            }
        });
    }
}
