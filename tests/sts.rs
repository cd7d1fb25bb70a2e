//! Temporary credentials, from the STS of a real Ceph gateway: they list and read, they are renewed
//! when they end in the middle of something, and where they cannot be, a sentence says so.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/sts.rs"]
mod sts;
mod support;
#[path = "support/wire.rs"]
mod wire;

use bytes::Bytes;
use cli::Program;
use futures::{StreamExt as _, TryStreamExt as _};
use secchi::error::{Error, Kind};
use secchi::location::Location;
use secchi::store::{Environment, Method, Options, Stores, UploadMeta};
use std::time::Duration;
use sts::{Session, Sts};
use support::Ceph;
use wire::{Reply, Wire};

/// A bucket with one object.
async fn bucket(ceph: &Ceph) -> Location {
    let (stores, root) = ceph.bucket().await;
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    let meta = UploadMeta { metadata: [("depth".to_owned(), "4.2".to_owned())].into(), ..UploadMeta::default() };
    handle.put_object("a//x", Bytes::from_static(b"odd"), &meta, false).await.expect("writes");
    handle.put_object("x", Bytes::from_static(b"plain"), &meta, false).await.expect("writes");
    root
}

/// Stores that know the home's files only.
fn stores(sts: &Sts) -> Stores {
    let environment = Environment::fixed([("HOME", sts.home.path().to_string_lossy())]);
    Stores::new(Options { environment, ..Options::default() })
}

fn of_profile(name: &str, root: &Location) -> Location {
    Location::parse(&format!("s3://{name}@{}/", root.bucket())).expect("a location")
}

async fn keys(stores: &Stores, at: &Location) -> Result<Vec<String>, Error> {
    let pages: Vec<_> = stores.list_all(at).try_collect().await?;
    let entries = pages.into_iter().flat_map(|page: secchi::listing::Page| page.into_block().to_entries());
    Ok(entries.map(|entry| entry.location(at).key().to_owned()).collect())
}

/// Lists, asks for and reads both objects: one goes through each of the two clients.
async fn lists_and_reads(stores: &Stores, root: &Location, who: &str) {
    assert_eq!(keys(stores, root).await.expect(who), ["a//x", "x"], "{who}");
    let handle = stores.open(root, stores.meter()).await.expect(who);
    for (key, body) in [("a//x", "odd"), ("x", "plain")] {
        let at = root.with_key(key);
        assert_eq!(handle.stat(&at).await.expect(who).metadata["depth"], "4.2", "{who}");
        assert_eq!(handle.read_range(&at, 0..body.len() as u64).await.expect(who), body, "{who}");
    }
    let buckets = stores.list(&Location::parse(&format!("s3://{who}@")).expect("a location"));
    assert!(support::entries(buckets).await.iter().all(|entry| !entry.name.is_empty()), "{who}");
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_credentials_list_and_read() {
    let Some(ceph) = Ceph::find() else { return };
    let root = bucket(&ceph).await;
    let sts = Sts::start(&ceph);
    let (endpoint, role, token) = (&ceph.endpoint, &sts.role, sts.token.display());
    sts.write(
        ".aws/credentials",
        &format!(
            "[session]\n{}[user]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            sts.session.lines(),
            ceph.key,
            ceph.secret
        ),
    );
    sts.write(
        ".aws/config",
        &format!(
            "[profile session]\nendpoint_url = {endpoint}\n\
             [profile user]\nendpoint_url = {endpoint}\n\
             [profile web]\nendpoint_url = {endpoint}\nrole_arn = {role}\nweb_identity_token_file = {token}\n\
             [profile apart]\nservices = here\nrole_arn = {role}\nweb_identity_token_file = {token}\n\
             role_session_name = someone\n\
             [services here]\ns3 =\n  endpoint_url = {endpoint}\nsts =\n  endpoint_url = {endpoint}\n\
             [profile assumed]\nendpoint_url = {endpoint}\nrole_arn = {role}\nsource_profile = user\n\
             [profile process]\nendpoint_url = {endpoint}\ncredential_process = /bin/cat {}\n",
            sts.write("session.json", &sts.session.process("2100-01-01T00:00:00Z")).display()
        ),
    );
    for profile in ["session", "web", "apart", "assumed", "process"] {
        lists_and_reads(&stores(&sts), &of_profile(profile, &root), profile).await;
    }
    // A command is not run for each request, also where its keys end soon.
    let soon = chrono::Utc::now() + Duration::from_mins(2);
    let answer = sts.write("soon.json", &sts.session.process(&soon.to_rfc3339()));
    let runs = sts.home.path().join("runs");
    let script = sts.write("soon.sh", &format!("echo x >>{}; cat {}\n", runs.display(), answer.display()));
    sts.write(
        ".aws/config",
        &format!("[profile soon]\nendpoint_url = {endpoint}\ncredential_process = /bin/sh {}\n", script.display()),
    );
    lists_and_reads(&stores(&sts), &of_profile("soon", &root), "soon").await;
    assert_eq!(std::fs::read_to_string(runs).expect("it ran").lines().count(), 1);
    // A link signed with them carries their token.
    sts.write(".aws/config", &format!("[profile session]\nendpoint_url = {endpoint}\n"));
    let session = stores(&sts).open(&of_profile("session", &root), stores(&sts).meter()).await.expect("opens");
    let link = session.presign(Method::Get, "x", Duration::from_mins(1)).await.expect("a link");
    let link = Location::parse(&link.url).expect("a location");
    let web = Stores::new(Options::default());
    let reader = web.open(&link, web.meter()).await.expect("opens");
    assert_eq!(reader.read_range(&link, 0..5).await.expect("reads"), "plain");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_takes_them_from_its_environment() {
    let Some(ceph) = Ceph::find() else { return };
    let root = bucket(&ceph).await;
    let sts = Sts::start(&ceph);
    let object = root.with_key("a//x").to_string();
    let Session { access_key_id, secret_access_key, session_token, .. } = &sts.session;
    let with_session = Program::new()
        .with_keys(&ceph.endpoint, access_key_id, secret_access_key)
        .with("AWS_SESSION_TOKEN", session_token)
        .with_secret(session_token);
    let token = std::fs::read_to_string(&sts.token).expect("the token");
    let with_role = Program::new()
        .with("AWS_ENDPOINT_URL", &ceph.endpoint)
        .with("AWS_ROLE_ARN", &sts.role)
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", &sts.token.to_string_lossy())
        .with_secret(&token);
    let with_two_endpoints = Program::new()
        .with("AWS_ENDPOINT_URL_S3", &ceph.endpoint)
        .with("AWS_ENDPOINT_URL_STS", &ceph.endpoint)
        .with("AWS_ROLE_ARN", &sts.role)
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", &sts.token.to_string_lossy());
    for program in [with_session, with_role, with_two_endpoints] {
        assert_eq!(program.run(&["ls", "-r", "--json", &root.to_string()]).ok().json().len(), 2);
        assert_eq!(program.run(&["cat", &object]).ok().text(), "odd");
        assert_eq!(program.run(&["stat", "--json", &object]).ok().object()["metadata"]["depth"], "4.2");
        program.keeps_secrets();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_and_a_token_that_is_none_are_told() {
    let Some(ceph) = Ceph::find() else { return };
    let root = bucket(&ceph).await;
    let mut sts = Sts::start(&ceph);
    let (endpoint, role) = (&ceph.endpoint, &sts.role);
    let forged = sts.write("forged", "eyJhbGciOiJub25lIn0.e30.");
    sts.write(
        ".aws/config",
        &format!(
            "[profile web]\nendpoint_url = {endpoint}\nrole_arn = {role}\nweb_identity_token_file = {}\n\
             [profile forged]\nendpoint_url = {endpoint}\nrole_arn = {role}\nweb_identity_token_file = {}\n\
             [profile nofile]\nendpoint_url = {endpoint}\nrole_arn = {role}\nweb_identity_token_file = /nonexistent\n\
             [profile norole]\nendpoint_url = {endpoint}\nrole_arn = {role}-no\nweb_identity_token_file = {0}\n",
            sts.token.display(),
            forged.display(),
        ),
    );
    for (profile, why, hint) in [
        ("forged", "the server refused", "token"),
        ("nofile", "No such file", "web_identity_token_file"),
        ("norole", "the server refused", "role_arn"),
    ] {
        let err = keys(&stores(&sts), &of_profile(profile, &root)).await.expect_err(profile);
        assert_eq!(err.kind(), Kind::Denied, "{profile}: {err:?}");
        let text = err.to_string();
        assert!(text.starts_with(&format!("the credentials of the profile `{profile}` could not be had: ")), "{text}");
        assert!(text.contains(why) && err.hint().is_some_and(|h| h.contains(hint)), "{err:?}");
    }
    sts.refuse();
    let err = keys(&stores(&sts), &of_profile("web", &root)).await.expect_err("it may not");
    assert_eq!(err.kind(), Kind::Denied, "{err:?}");
    assert!(err.to_string().contains("of the profile `web`"), "{err}");
}

/// In front of the gateway: every page of a listing after the first comes when `expired` is over.
async fn slow_pages(port: u16, expired: Duration) -> Wire {
    let started = std::time::Instant::now();
    Wire::start(move |asked| {
        Box::pin(async move {
            if asked.target().contains("continuation-token") {
                tokio::time::sleep(expired.saturating_sub(started.elapsed())).await;
            }
            Reply::Of(port)
        })
    })
    .await
}

/// More keys than a page holds.
const MANY: usize = 2100;

async fn many(ceph: &Ceph) -> Location {
    let (stores, root) = ceph.bucket().await;
    let handle = stores.open(&root, stores.meter()).await.expect("opens");
    futures::stream::iter(0..MANY)
        .for_each_concurrent(32, |n| {
            let handle = &handle;
            async move {
                let put = handle.put_object(&format!("k{n:05}"), Bytes::new(), &UploadMeta::default(), false).await;
                put.expect("writes");
            }
        })
        .await;
    root
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_have_ended_for_good_are_told() {
    let Some(ceph) = Ceph::find() else { return };
    let root = many(&ceph).await;
    let mut sts = Sts::start(&ceph);
    let short = sts.lasting(2.0);
    let wire = slow_pages(ceph.port(), Duration::from_secs(3)).await;
    sts.write(".aws/credentials", &format!("[short]\n{}endpoint_url = {}\n", short.lines(), wire.endpoint()));
    let at = of_profile("short", &root);
    let mut pages = stores(&sts).list_all(&at);
    let (mut seen, mut failed) = (0, None);
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => seen += page.into_block().len(),
            Err(err) => failed = Some(err),
        }
    }
    let err = failed.expect("it ends with a sentence");
    assert!((1..MANY).contains(&seen), "{seen}");
    assert_eq!(err.kind(), Kind::Denied, "{err:?}");
    assert!(err.to_string().contains("expired") && err.to_string().contains("`short`"), "{err}");
    assert!(err.hint().is_some_and(|hint| hint.contains("new")), "{err:?}");
}

/// What a user has who logs in by a command: its first answer is `first`, each later one `then`.
fn process(sts: &Sts, name: &str, first: &str, then: &str) -> String {
    let (first, then) = (sts.write(&format!("{name}.1"), first), sts.write(&format!("{name}.2"), then));
    let (first, then) = (first.display(), then.display());
    sts.write(&format!("{name}.sh"), &format!("cat {first} 2>/dev/null || cat {then}\nrm -f {first}\n"))
        .display()
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_goes_on_with_new_credentials_when_the_old_ones_end() {
    let Some(ceph) = Ceph::find() else { return };
    let root = many(&ceph).await;
    let mut sts = Sts::start(&ceph);
    // The command says that its keys last: the gateway ends them early, as one does that was told to.
    let lasts = "2100-01-01T00:00:00Z";
    let short = sts.lasting(2.0);
    let wire = slow_pages(ceph.port(), Duration::from_secs(3)).await;
    let script = process(&sts, "early", &short.process(lasts), &sts.session.process(lasts));
    let endpoint = wire.endpoint();
    sts.write(
        ".aws/config",
        &format!("[profile early]\nendpoint_url = {endpoint}\ncredential_process = /bin/sh {script}\n"),
    );
    let at = of_profile("early", &root);
    let stores = stores(&sts);
    let listed = keys(&stores, &at).await.expect("it goes on");
    assert_eq!(listed.len(), MANY);
    assert_eq!(listed.iter().collect::<std::collections::BTreeSet<_>>().len(), MANY, "no key comes twice");
    let old = |asked: &&wire::Asked| asked.header("x-amz-security-token") == Some(&short.session_token);
    let asked = wire.asked();
    assert!(asked.iter().filter(old).count() >= 2, "the old ones were refused");
    assert!(asked.len() < 12, "each page is asked for once more at most: {}", asked.len());
    // What reads bytes has them too.
    let handle = stores.open(&at, stores.meter()).await.expect("opens");
    assert_eq!(handle.stat(&at.with_key("k00000")).await.expect("stat").size, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_with_new_credentials_when_the_old_ones_end() {
    let Some(ceph) = Ceph::find() else { return };
    let root = bucket(&ceph).await;
    let mut sts = Sts::start(&ceph);
    let lasts = "2100-01-01T00:00:00Z";
    for key in ["x", "a//x"] {
        let ended = sts.lasting(-5.0);
        let script = process(&sts, "ended", &ended.process(lasts), &sts.session.process(lasts));
        let endpoint = &ceph.endpoint;
        sts.write(
            ".aws/config",
            &format!("[profile early]\nendpoint_url = {endpoint}\ncredential_process = /bin/sh {script}\n"),
        );
        let at = of_profile("early", &root).with_key(key);
        let stores = stores(&sts);
        let handle = stores.open(&at, stores.meter()).await.expect("opens");
        assert!(!handle.read_head(&at, 10).await.expect(key).bytes.is_empty(), "{key}");
    }
}
