//! Transfers where lines, servers, disks, sources, keys and clocks fail: all arrives byte for byte, or a true
//! sentence says why, nothing half stands under a final name, and it goes on when the cause is gone. Against `s3s-fs`
//! in this process, and a real Ceph gateway where the environment names one.

#![allow(clippy::print_stderr)] // a skipped test says so

#[path = "support/carry.rs"]
mod carry;
mod support;
#[path = "support/wire.rs"]
mod wire;

use carry::{Case, Op, Place};
use secchi::error::Kind;
use secchi::store::Stores;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use support::Fault;
use wire::{Asked, Reply, Wire, forward};

/// A silence that is none.
const LONG: Duration = Duration::from_secs(10);
/// A silence that a test waits for; answers are waited for six times as long.
const SHORT: Duration = Duration::from_millis(300);

/// Carries the files by every kind of transfer over a line with these faults, which pass.
async fn over(fault: &[&str], ops: &[Op], silence: Duration) {
    for place in Place::all().await {
        for op in ops {
            let line = Fault::start(place.port, fault);
            let case = Case::new(&place, *op);
            let stores = place.through(&line.endpoint(), silence);
            let began = std::time::Instant::now();
            let done = case.run(&stores).await;
            eprintln!("{fault:?}: {op:?} at {}: {:?}", place.name, began.elapsed());
            done.unwrap_or_else(|err| panic!("{fault:?}: {op:?} at {}: {err:?}", place.name));
            case.assert_whole(&case.arrived().await, &format!("{fault:?} at {}", place.name));
        }
        place.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_line_only_takes_longer() {
    over(&["latency=100", "rate=8000000"], &Op::ALL, LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_break_off_in_their_head_are_asked_for_again() {
    over(&["reset=90", "times=3"], &Op::ALL, LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_reset_go_on() {
    over(&["reset=2500000", "times=6"], &[Op::Download, Op::Through, Op::SyncDown], LONG).await;
    over(&["reset=2500000", "times=6", "sent=1"], &[Op::Upload, Op::SyncUp], LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_closed_go_on() {
    over(&["close=2500000", "times=6"], &[Op::Download, Op::Through, Op::SyncDown], LONG).await;
    over(&["close=2500000", "times=6", "sent=1"], &[Op::Upload, Op::SyncUp], LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_fall_silent_are_left() {
    over(&["stall=2500000", "times=3"], &[Op::Download, Op::Through, Op::SyncDown], SHORT).await;
    over(&["stall=2500000", "times=3", "sent=1"], &[Op::Upload, Op::SyncUp], SHORT).await;
    over(&["stall=90", "times=2"], &[Op::Upload, Op::Within], SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_never_heals_ends_with_a_sentence_and_what_was_carried_is_gone_on_with() {
    for place in Place::all().await {
        for (op, fault) in [
            (Op::Upload, ["reset=3000000", "sent=1"]),
            (Op::SyncUp, ["close=3000000", "sent=1"]),
            (Op::Download, ["reset=20000", "times=1000"]),
            (Op::Through, ["reset=3000000", "times=1000"]),
            (Op::Within, ["reset=90", "times=1000"]),
        ] {
            let line = Fault::start(place.port, &fault);
            let bad = place.through(&line.endpoint(), LONG);
            let case = Case::new(&place, op);
            let err = match case.run(&bad).await {
                // So much came through in each try that it came to its end.
                Ok(()) => {
                    case.assert_whole(&case.arrived().await, "all the same");
                    continue;
                }
                Err(err) => err,
            };
            let words = err.to_string();
            assert_eq!(err.kind(), Kind::Unreachable, "{op:?} at {}: {err:?}", place.name);
            assert!(words.contains("closed the connection") || words.contains("broke off"), "{words}");
            case.assert_none_wrong(&case.arrived().await, &words);
            let again = case.run(&place.stores).await;
            again.unwrap_or_else(|then| panic!("{op:?} at {} after `{err}`: {then:?}", place.name));
            case.assert_whole(&case.arrived().await, &words);
        }
        place.remove().await;
    }
}

/// In front of a server: each request is given to `act` with its number, which may answer it.
async fn gate(port: u16, act: impl Fn(usize, &Asked) -> Option<Reply> + Send + Sync + 'static) -> Wire {
    let asked = AtomicUsize::new(0);
    Wire::start(move |request| {
        let answer = act(asked.fetch_add(1, Relaxed), &request).unwrap_or(Reply::Of(port));
        Box::pin(async move { answer })
    })
    .await
}

fn busy() -> Reply {
    Reply::xml(503, "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Slow.</Message></Error>")
}

#[tokio::test(flavor = "multi_thread")]
async fn storms_of_503_are_weathered_and_one_without_end_is_told() {
    for place in Place::all().await {
        for op in Op::ALL {
            // Two of five, and for a while all: no request is sent so seldom that this is its last try.
            let wire = gate(place.port, |n, _| (n % 5 < 2 && n < 60 || (4..9).contains(&n)).then(busy)).await;
            let case = Case::new(&place, op);
            let done = case.run(&place.through(&wire.endpoint(), LONG)).await;
            done.unwrap_or_else(|err| panic!("{op:?} at {}: {err:?}", place.name));
            case.assert_whole(&case.arrived().await, "a storm");
        }
        for op in [Op::Upload, Op::Within, Op::SyncDown] {
            let wire = gate(place.port, |n, _| (n > 3).then(busy)).await;
            let case = Case::new(&place, op);
            let err = case.fails_and_goes_on(&place.through(&wire.endpoint(), LONG), "503 without end").await;
            assert_eq!(err.kind(), Kind::Limit, "{op:?}: {err:?}");
            assert!(err.to_string().contains("asks for fewer requests"), "{err}");
        }
        place.remove().await;
    }
}

/// What a gate does to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    /// A bit of a body that is sent.
    Sent,
    /// A bit of a body that comes.
    Came,
    /// Half of a body that comes, although its whole length was said.
    Cut,
    /// The `ETag` of an answer to bytes that were sent.
    Etag,
}

/// In front of a server: does harm to the first `times` bodies that have a megabyte or more.
async fn harmful(port: u16, harm: Harm, times: usize) -> (Wire, Arc<AtomicUsize>) {
    let done = Arc::new(AtomicUsize::new(0));
    let count = done.clone();
    let wire = Wire::start(move |mut request: Asked| {
        let done = done.clone();
        Box::pin(async move {
            let large = |bytes: &[u8]| bytes.len() > 1 << 20;
            let next = || done.fetch_update(Relaxed, Relaxed, |n| (n < times).then_some(n + 1)).is_ok();
            let sends = large(&request.body);
            if harm == Harm::Sent && sends && next() {
                let middle = request.body.len() / 2;
                request.body[middle] ^= 4;
            }
            let mut raw = forward(&request, port).await.unwrap_or_default();
            let head = raw.windows(4).position(|w| w == b"\r\n\r\n").map_or(raw.len(), |at| at + 4);
            match harm {
                Harm::Came if large(&raw) && next() => {
                    let middle = head + (raw.len() - head) / 2;
                    raw[middle] ^= 4;
                }
                Harm::Cut if large(&raw) && next() => raw.truncate(head + (raw.len() - head) / 2),
                Harm::Etag if sends && next() => {
                    let text = String::from_utf8_lossy(&raw).into_owned();
                    let at = text.to_ascii_lowercase().find("etag: \"").map(|at| at + 7);
                    if let Some(at) = at {
                        raw[at] = if raw[at] == b'0' { b'1' } else { b'0' };
                    }
                }
                _ => {}
            }
            Reply::Raw(raw)
        })
    })
    .await;
    (wire, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_altered_or_missing_are_always_noticed() {
    const ALWAYS: usize = usize::MAX;
    for place in Place::all().await {
        for (harm, ops) in [
            (Harm::Sent, &[Op::Upload, Op::SyncUp][..]),
            (Harm::Came, &[Op::Download, Op::Through, Op::SyncDown]),
            (Harm::Cut, &[Op::Download, Op::Through, Op::SyncDown]),
            (Harm::Etag, &[Op::Upload]),
        ] {
            for (op, times) in ops.iter().flat_map(|op| [(*op, 1), (*op, ALWAYS)]) {
                let (wire, harmed) = harmful(place.port, harm, times).await;
                let case = Case::new(&place, op);
                let result = case.run(&place.through(&wire.endpoint(), LONG)).await;
                let what = format!("{harm:?}, {op:?} at {}: {result:?}", place.name);
                assert!(harmed.load(Relaxed) > 0, "{what}: nothing was harmed");
                case.assert_none_wrong(&case.arrived().await, &what);
                eprintln!("{what}, {} harmed", harmed.load(Relaxed));
                match result {
                    Ok(()) => case.assert_whole(&case.arrived().await, &what),
                    Err(err) => {
                        assert!(times == ALWAYS, "once is borne: {what}");
                        assert!(matches!(err.kind(), Kind::Invalid | Kind::Unreachable), "{what}");
                        case.run(&place.stores).await.expect(&what);
                        case.assert_whole(&case.arrived().await, &what);
                    }
                }
            }
        }
        place.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_transfer_is_faster_than_the_limit_of_bandwidth() {
    const RATE: u64 = 12_000_000;
    let place = Place::s3s().await;
    let bytes: usize = carry::files().values().map(Vec::len).sum();
    for ops in [&[Op::Upload][..], &[Op::Download], &[Op::SyncUp, Op::SyncDown]] {
        let stores: Stores = place.through(&format!("http://127.0.0.1:{}", place.port), LONG);
        stores.set_bandwidth(Some(RATE));
        let cases: Vec<Case<'_>> = ops.iter().map(|op| Case::new(&place, *op)).collect();
        let began = tokio::time::Instant::now();
        futures::future::try_join_all(cases.iter().map(|case| case.run(&stores))).await.expect("carries");
        // A busy computer only makes it slower; a fifth of a second may be caught up.
        let least = Duration::from_secs_f64((bytes * ops.len()) as f64 / RATE as f64) - Duration::from_millis(250);
        assert!(began.elapsed() >= least, "{ops:?}: {:?} for {bytes} bytes each", began.elapsed());
    }
}
