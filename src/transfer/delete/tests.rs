use super::*;
use crate::store::{Options, UploadMeta};

fn at(text: &str) -> Location {
    Location::parse(text).expect(text)
}

fn below(text: &str) -> Target {
    Target { location: at(text), below: true }
}

fn one(text: &str) -> Target {
    Target { location: at(text), below: false }
}

fn spec(targets: &[Target]) -> DeleteSpec {
    DeleteSpec { targets: targets.to_vec(), ..DeleteSpec::default() }
}

async fn filled() -> Stores {
    let stores = Stores::new(Options::default());
    let handle = stores.open(&at("memory:///"), stores.meter()).await.expect("opens");
    for key in ["a/1", "a/b/2", "a/b/c/3", "ab", "z/4"] {
        handle.put_object(key, "12345".into(), &UploadMeta::default(), false).await.expect(key);
    }
    stores
}

async fn keys(stores: &Stores) -> Vec<String> {
    let mut keys = Vec::new();
    let mut pages = stores.list_all(&at("memory:///"));
    while let Some(page) = pages.next().await {
        keys.extend(page.expect("page").into_block().rows().map(|row| row.name().to_owned()));
    }
    keys
}

#[test]
fn what_is_named_twice_goes_once() {
    let targets = [below("s3://b/a/"), one("s3://b/a/x"), below("s3://b/a"), one("s3://b/ab"), one("s3://b/ab")];
    let kept = distinct(&targets);
    assert_eq!(kept, [below("s3://b/a/"), below("s3://b/a"), one("s3://b/ab")][..]);
    assert_eq!(distinct(&[below("s3://b"), one("s3://b/x"), below("s3://b/c/")]), [below("s3://b")]);
    assert_eq!(distinct(&[below("s3://b/x/"), one("s3://c/x/y")]).len(), 2);
}

#[tokio::test]
async fn only_what_lies_below_goes() {
    let (stores, control) = (filled().await, Control::default());
    let deleted = delete(&stores, &spec(&[below("memory:///a/")]), &control, &Gone::default()).await.expect("goes");
    assert_eq!(deleted.tally, Tally { objects: 3, bytes: 15 });
    assert_eq!(keys(&stores).await, ["ab", "z/4"]);
    let err = delete(&stores, &spec(&[below("memory:///a/")]), &control, &Gone::default()).await.expect_err("gone");
    assert_eq!(err.kind(), Kind::NotFound);
    delete(&stores, &spec(&[one("memory:///ab"), one("memory:///z/4")]), &control, &Gone::default())
        .await
        .expect("goes");
    assert!(keys(&stores).await.is_empty());
}

#[tokio::test]
async fn another_number_than_the_confirmed_one_deletes_nothing() {
    let (stores, control) = (filled().await, Control::default());
    for (confirmed, exact, kind) in [(2, false, Err(Kind::Changed)), (4, true, Err(Kind::Changed)), (4, false, Ok(3))] {
        let spec = DeleteSpec { confirmed: Some(confirmed), exact, ..spec(&[below("memory:///a/")]) };
        let done = delete(&stores, &spec, &control, &Gone::default()).await;
        assert_eq!(done.map(|d| d.tally.objects).map_err(|e| e.kind()), kind, "{confirmed}");
    }
}

#[tokio::test]
async fn a_later_attempt_is_done_with_what_is_left() {
    let (stores, control) = (filled().await, Control::default());
    let earlier = [
        json!({ "event": "counted", "objects": 5, "bytes": 25 }),
        json!({ "event": "deleted", "objects": 2, "bytes": 10 }),
    ];
    let spec = DeleteSpec { confirmed: Some(5), exact: true, ..spec(&[below("memory:///a/")]) };
    let done = delete(&stores, &spec, &control, &Gone::new(&earlier, |_| {})).await.expect("goes on");
    assert_eq!(done.tally, Tally { objects: 5, bytes: 25 });
    delete(&stores, &spec, &control, &Gone::new(&earlier, |_| {})).await.expect("nothing is left, and that is fine");
}

#[tokio::test]
async fn homes_and_accounts_are_refused() {
    let (stores, control) = (Stores::new(Options::default()), Control::default());
    let home = directories::BaseDirs::new().expect("a home").home_dir().to_owned();
    for target in [below("/"), below("s3://"), Target { location: Location::file(&home), below: true }] {
        let err = delete(&stores, &spec(&[target]), &control, &Gone::default()).await.expect_err("refused");
        assert!(matches!(err.kind(), Kind::Denied | Kind::Usage), "{err}");
    }
}
