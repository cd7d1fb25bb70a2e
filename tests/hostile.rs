//! Whatever a server answers: nothing panics, everything ends, and every failure is a sentence.

mod support;
#[path = "support/wire.rs"]
mod wire;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use secchi::error::Error;
use secchi::listing::Pages;
use secchi::location::Location;
use secchi::store::{Options, StoreHandle, Stores, UploadMeta};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use support::s3_options;
use wire::{Reply, Wire};

/// Longer than a dozen requests with four tries each take on a busy computer.
const SOON: Duration = Duration::from_secs(100);

/// The same values in each run.
fn runner(seed: u8) -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
}

/// Counts panics wherever they happen: one in a task of its own would only end a stream.
fn panics() -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let (seen, before) = (count.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |about| {
        seen.fetch_add(1, Relaxed);
        before(about);
    }));
    count
}

/// A sentence: short, and of characters that move no cursor.
#[track_caller]
fn assert_sentence(err: &Error, of: &str) {
    let hostile = |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
    for text in [err.to_string(), err.hint().unwrap_or("none").to_owned()] {
        assert!(!text.trim().is_empty() && !text.contains(hostile), "{of}: {text:?}");
        assert!(text.chars().count() < 700, "{of}: {} characters: {text}", text.chars().count());
    }
}

/// Reads a listing as far as a person would.
async fn some_pages(mut pages: Pages) -> Result<(), Error> {
    let mut seen = 0;
    while let Some(page) = pages.next().await {
        for row in page?.into_block().rows() {
            seen += row.name().len() + 1;
        }
        if seen > 10_000 {
            break;
        }
    }
    Ok(())
}

async fn some_versions(handle: &StoreHandle, at: &Location) -> Result<(), Error> {
    let mut pages = handle.versions(at, true).take(20);
    while let Some(page) = pages.next().await {
        page?;
    }
    Ok(())
}

/// All that can be asked of a bucket, at once. Each ends, and each failure is a sentence.
async fn ask_everything(stores: &Stores, root: &Location, what: &str) {
    let handle = stores.open(root, stores.meter()).await.expect("opens");
    let (plain, odd) = (root.with_key("dir/x.tif"), root.with_key("dir//x"));
    let body = || Bytes::from_static(b"body");
    let meta = UploadMeta { tags: [("a".to_owned(), "b".to_owned())].into(), ..UploadMeta::default() };
    let parts = [(1, "\"e\"".to_owned())];
    let (h, meta, parts) = (&handle, &meta, &parts);
    let store = h.object_store();
    let work: Vec<(&'static str, BoxFuture<Result<(), Error>>)> = vec![
        ("list", Box::pin(some_pages(stores.list(root)))),
        ("list dir", Box::pin(some_pages(stores.list(&root.with_key("dir/"))))),
        ("list all", Box::pin(some_pages(stores.list_all(root)))),
        ("stat", Box::pin(async { h.stat(&plain).await.map(drop) })),
        ("head", Box::pin(async { h.read_head(&plain, 100).await.map(drop) })),
        ("head odd", Box::pin(async { h.read_head(&odd, 100).await.map(drop) })),
        ("range", Box::pin(async { h.read_range(&plain, 5..10).await.map(drop) })),
        ("ranges", Box::pin(async { Ok(store.get_ranges(&h.path(odd.key()), &[0..4, 6..9]).await.map(drop)?) })),
        ("put", Box::pin(async { h.put_object(plain.key(), body(), meta, true).await.map(drop) })),
        ("upload", Box::pin(async { h.create_upload(odd.key(), meta).await.map(drop) })),
        ("part", Box::pin(async { h.put_part(odd.key(), "id", 1, body()).await.map(drop) })),
        ("complete", Box::pin(async { h.complete_upload(odd.key(), "id", parts, false).await.map(drop) })),
        ("tags", Box::pin(async { h.set_tags(plain.key(), &meta.tags).await })),
        ("versions", Box::pin(async { some_versions(h, root).await })),
        ("versions of one", Box::pin(async { some_versions(h, &odd).await })),
        ("versioning", Box::pin(h.versioning().map(|_| Ok(())))),
        ("facts", Box::pin(h.bucket_facts().collect::<Vec<_>>().map(|_| Ok(())))),
        ("tags of", Box::pin(h.tags(&plain).map(|_| Ok(())))),
        ("access", Box::pin(h.access(&plain).map(|_| Ok(())))),
        ("delete", Box::pin(async { h.delete(plain.key()).await })),
        ("bucket", Box::pin(async { h.create_bucket().await })),
    ];
    futures::future::join_all(work.into_iter().map(|(name, future)| async move {
        let result = tokio::time::timeout(SOON, future).await;
        let result = result.unwrap_or_else(|_| panic!("{name} does not end with {what}"));
        if let Err(err) = &result {
            assert_sentence(err, &format!("{name}, {what}"));
        }
    }))
    .await;
}

fn listing(inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</ListBucketResult>"
    )
}

/// A whole answer as bytes.
fn whole(status: u16, kind: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    match Reply::whole(status, kind, body.as_ref()) {
        Reply::Raw(raw) => raw,
        Reply::Of(_) => Vec::new(),
    }
}

/// Answers that servers, proxies and captive portals have been seen to give, and worse ones.
fn answers() -> Vec<(&'static str, Vec<u8>)> {
    let xml = |status, body: &str| whole(status, "application/xml", body);
    let error = |inner: &str| format!("<?xml version=\"1.0\"?><Error>{inner}</Error>");
    let steer = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\r\n";
    let nested = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">\
                <!ENTITY c SYSTEM \"file:///etc/passwd\">]>";
    let head = |rest: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\n{rest}\r\n").into_bytes();
    let with = |rest: &str, body: &str| [head(rest), body.as_bytes().to_vec()].concat();
    let one = listing("<Contents><Key>k</Key><Size>1</Size></Contents>");
    vec![
        ("nothing", Vec::new()),
        ("half a head", b"HTTP/1.1 200 O".to_vec()),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("TLS", b"\x15\x03\x01\x00\x02\x02\x46".to_vec()),
        ("an empty body", xml(200, "")),
        ("a page of a portal", whole(200, "text/html", "<html><body>Please <b>log in<br></body></html>")),
        ("a page of a proxy", whole(502, "text/html", "<html>\n<h1>502 Bad Gateway</h1>\u{1b}[31m</html>")),
        ("JSON", whole(200, "application/json", "{\"error\": \"\\u001b[2J\"}")),
        ("an error that is called well", xml(200, &error("<Code>InternalError</Code><Message>x</Message>"))),
        ("an error without a message", xml(403, &error("<Code>AccessDenied</Code>"))),
        ("an error without a code", xml(400, &error("<Message>no</Message>"))),
        ("an empty error", xml(500, &error(""))),
        ("an error that steers", xml(400, &error(&format!("<Code>{steer}</Code><Message>{steer}</Message>")))),
        ("an error that steers by entities", xml(400, &error("<Code>X</Code><Message>&#27;[2J&#x9b;&#x202e;</Message>"))),
        ("a long error", xml(400, &error(&format!("<Code>X</Code><Message>{}</Message>", "long ".repeat(20_000))))),
        ("not implemented", xml(501, &error("<Code>NotImplemented</Code>"))),
        ("a redirect to nowhere", whole(301, "application/xml", error("<Code>PermanentRedirect</Code>"))),
        ("a status of none", whole(999, "application/xml", &one)),
        ("a status of nothing", whole(204, "application/xml", "")),
        ("not modified", whole(304, "application/xml", "")),
        ("a part of nothing", whole(206, "application/xml", &one)),
        ("no range", whole(416, "application/xml", error("<Code>InvalidRange</Code>"))),
        ("half a listing", xml(200, &one[..one.len() / 2])),
        ("a longer body than said", with("content-length: 10\r\n", &one)),
        ("a shorter body than said", with("content-length: 100000\r\n", &one)),
        ("a length that is no number", with("content-length: -1\r\n", &one)),
        ("a length of everything", with("content-length: 18446744073709551615\r\n", &one)),
        ("no chunks", with("transfer-encoding: chunked\r\n", &one)),
        ("a chunk of everything", with("transfer-encoding: chunked\r\n", "FFFFFFFFFFFFFFFF\r\nx")),
        ("gzip that is none", with("content-encoding: gzip\r\n", &one)),
        ("headers of bytes", [b"HTTP/1.1 200 \xff\r\nx: \xff\xfe\r\netag: \xff\r\n\r\n".to_vec(), one.clone().into()].concat()),
        ("bytes", whole(200, "application/xml", [0xff_u8; 5000])),
        ("bad UTF-8", whole(200, "application/xml", [listing("<Contents><Key>").as_bytes(), b"\xff\xfe</Key>"].concat())),
        ("nesting", xml(200, &listing(&nested))),
        ("nesting without an end", xml(200, &"<ListBucketResult>".repeat(50_000))),
        ("nested errors", xml(400, &"<Error>".repeat(50_000))),
        ("entities", xml(200, &format!("{bomb}{}", listing("<Contents><Key>&b;&c;</Key></Contents>")))),
        ("an unknown entity", xml(200, &listing("<Contents><Key>&nbsp;&#0;&#xFFFFFFFF;</Key></Contents>"))),
        ("a listing that never goes on", xml(200, &listing("<IsTruncated>true</IsTruncated>"))),
        (
            "a listing in a circle",
            xml(200, &listing("<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>")),
        ),
        (
            "keys that are no part of what was asked",
            xml(200, &listing("<Contents><Key></Key></Contents><Contents><Key>é</Key></Contents><Contents/>\
                 <CommonPrefixes><Prefix></Prefix></CommonPrefixes><CommonPrefixes/><CommonPrefixes><Prefix>d</Prefix></CommonPrefixes>")),
        ),
        (
            "escapes that are none",
            xml(200, &listing("<EncodingType>url</EncodingType><Contents><Key>%</Key></Contents><Contents><Key>%ff%fe%0</Key></Contents>\
                 <Contents><Key>%1b[2J%zz+%2</Key></Contents><CommonPrefixes><Prefix>%ff/</Prefix></CommonPrefixes>")),
        ),
        (
            "sizes and times that are none",
            xml(200, &listing("<Contents><Key>a</Key><Size>-5</Size><LastModified>yesterday</LastModified></Contents>")),
        ),
        (
            "sizes beyond everything",
            xml(200, &listing("<Contents><Key>a</Key><Size>9223372036854775807</Size><LastModified>9999-12-31T23:59:59Z</LastModified>\
                 </Contents><Contents><Key>b</Key><Size>9223372036854775807</Size></Contents>")),
        ),
        ("tags in a listing", xml(200, "<Tagging><TagSet><Tag><Key>\u{7}</Key></Tag></TagSet></Tagging>")),
        (
            "an object where facts were asked for",
            [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\netag: \"\r\ncontent-range: bytes 9-2/1\r\nlast-modified: never\r\n\r\n".to_vec(), b"II*\0".to_vec()].concat(),
        ),
        (
            "an upload without an id",
            xml(200, "<InitiateMultipartUploadResult><Bucket>b</Bucket></InitiateMultipartUploadResult>"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_server_answers_is_borne() {
    let panics = panics();
    for_all(answers().into_iter().map(|(name, raw)| (name.to_owned(), raw)).collect()).await;
    assert_eq!(panics.load(Relaxed), 0, "something panicked in a task");
}

/// One server gives each bucket its own answer, because making a client takes longer than all else;
/// the list of buckets, which has no name, gets one after the other.
async fn for_all(answers: Vec<(String, Vec<u8>)>) {
    let answers = Arc::new(answers);
    let (known, now) = (answers.clone(), Arc::new(AtomicUsize::new(0)));
    let shown = now.clone();
    let wire = Wire::start(move |asked| {
        let bucket = asked.target().trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
        let n = bucket.strip_prefix("case-").and_then(|n| n.parse().ok()).unwrap_or_else(|| shown.load(Relaxed));
        let raw = known[n].1.clone();
        Box::pin(async move { Reply::Raw(raw) })
    })
    .await;
    let stores = Stores::new(Options { concurrency: Some(64), ..s3_options(&wire.endpoint(), "k", "s") });
    let buckets = Location::parse("s3://").expect("a location");
    futures::stream::iter(answers.iter().enumerate())
        .for_each_concurrent(12, |(n, (name, _))| {
            let stores = stores.clone();
            async move {
                let root = Location::parse(&format!("s3://case-{n}/")).expect("a location");
                ask_everything(&stores, &root, name).await;
            }
        })
        .await;
    for (n, (name, _)) in answers.iter().enumerate() {
        // What passes is tried again, which takes a second: the lists of buckets of some are enough of that.
        if n % 12 == 0 {
            now.store(n, Relaxed);
            let listed = tokio::time::timeout(SOON, some_pages(stores.list(&buckets))).await;
            if let Err(err) = listed.unwrap_or_else(|_| panic!("a list of buckets does not end with {name}")) {
                assert_sentence(&err, &format!("buckets, {name}"));
            }
        }
    }
}

/// Pieces of answers, well formed by chance only.
fn any_answer() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "<ListBucketResult>",
        "</ListBucketResult>",
        "<ListAllMyBucketsResult>",
        "<Buckets>",
        "<Bucket>",
        "<Name>",
        "</Name>",
        "</Bucket>",
        "</Buckets>",
        "</ListAllMyBucketsResult>",
        "<Contents>",
        "</Contents>",
        "<Key>",
        "</Key>",
        "<Size>",
        "</Size>",
        "<LastModified>2024-01-01T00:00:00Z</LastModified>",
        "<ETag>&quot;x&quot;</ETag>",
        "<CommonPrefixes><Prefix>",
        "</Prefix></CommonPrefixes>",
        "<IsTruncated>true</IsTruncated>",
        "<NextContinuationToken>n</NextContinuationToken>",
        "<EncodingType>url</EncodingType>",
        "<Error><Code>",
        "</Code>",
        "<Message>",
        "</Message></Error>",
        "<UploadId>u</UploadId>",
        "<TagSet><Tag>",
        "<Value>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?xml",
        "?>",
        "&#27;",
        "&amp",
        "\u{1b}[2J",
        "\u{202e}",
        "\0",
        "%1b%00%ff",
        "+",
        "é",
        "12345",
        "-1",
        "dir/x",
        "<Owner/>",
        "< >",
        "<a b='c'",
        ">",
        "\r\n",
        "SlowDown",
        "NoSuchKey",
        "NoSuchBucket",
    ];
    let word = prop_oneof![
        6 => proptest::sample::select(words.to_vec()).prop_map(|w| w.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => "\\PC{0,30}".prop_map(String::into_bytes),
    ];
    let body = proptest::collection::vec(word, 0..40).prop_map(|words| words.concat());
    let status = prop_oneof![4 => Just(200_u16), 4 => 100_u16..600, 1 => Just(403), 1 => Just(404)];
    let length = prop_oneof![3 => Just(None), 1 => (0_usize..3000).prop_map(Some)];
    (status, body, length, any::<bool>(), "[ -~]{0,20}").prop_map(|(status, body, length, chunked, header)| {
        let length = length.unwrap_or(body.len());
        let framing =
            if chunked { "transfer-encoding: chunked".to_owned() } else { format!("content-length: {length}") };
        let head = format!("HTTP/1.1 {status} X\r\n{framing}\r\nx-amz-meta-a: {header}\r\netag: {header}\r\n\r\n");
        [head.into_bytes(), body].concat()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_bytes_a_server_sends_are_borne() {
    let panics = panics();
    let mut runner = runner(3);
    let strategy = any_answer();
    let mut next = || strategy.new_tree(&mut runner).expect("an answer").current();
    let cases = (0..96).map(|n| (format!("random answer {n}"), next())).collect();
    for_all(cases).await;
    assert_eq!(panics.load(Relaxed), 0, "something panicked in a task");
}
