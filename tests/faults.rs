//! Transfers where lines, servers, disks, sources, keys and clocks fail: all arrives byte for byte, or a true
//! sentence says why, nothing half stands under a final name, and it goes on when the cause is gone. Against `s3s-fs`
//! in this process, and a real Ceph gateway where the environment names one.

#![allow(clippy::print_stderr)] // a skipped test says so

#[path = "support/carry.rs"]
mod carry;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/disk.rs"]
mod disk;
#[path = "support/sts.rs"]
mod sts;
mod support;
#[path = "support/wire.rs"]
mod wire;

use carry::{Case, Op, Place, body};
use cli::Program;
use disk::Disk;
use secchi::error::Kind;
use secchi::store::{Environment, Options, Stores};
use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use sts::Sts;
use support::{Ceph, Fault};
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
            let done = case.run(&stores).await;
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
    over(&["stall=90", "times=2"], &[Op::Upload], SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_never_heals_ends_with_a_sentence_and_what_was_carried_is_gone_on_with() {
    for place in Place::all().await {
        for (op, fault) in [
            (Op::Upload, ["reset=3000000", "sent=1"]),
            (Op::SyncUp, ["close=3000000", "sent=1"]),
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
            // Two of five, and for a while all, but none so often that it was its last try.
            let refused = Mutex::new(HashMap::<String, u32>::new());
            let storm = move |n: usize, asked: &Asked| {
                let mut refused = refused.lock().expect("a lock");
                let times = refused.entry(asked.head.lines().next().unwrap_or_default().to_owned()).or_default();
                let is_busy = (n % 5 < 2 && n < 60 || (4..9).contains(&n)) && *times < 3;
                *times += u32::from(is_busy);
                is_busy.then(busy)
            };
            let wire = gate(place.port, storm).await;
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

/// In front of a server: does harm to the first `times` bodies of some size.
async fn harmful(port: u16, harm: Harm, times: usize) -> (Wire, Arc<AtomicUsize>) {
    let done = Arc::new(AtomicUsize::new(0));
    let count = done.clone();
    let wire = Wire::start(move |mut request: Asked| {
        let done = done.clone();
        Box::pin(async move {
            let large = |bytes: &[u8]| bytes.len() > 100_000;
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
            // s3s-fs compares what was sent only when it has put it in its place, and leaves what it refuses there.
            if (harm, place.name) == (Harm::Sent, "s3s") {
                continue;
            }
            for (op, times) in ops.iter().flat_map(|op| [(*op, 1), (*op, ALWAYS)]) {
                let (wire, harmed) = harmful(place.port, harm, times).await;
                let case = Case::new(&place, op);
                let result = case.run(&place.through(&wire.endpoint(), LONG)).await;
                let what = format!("{harm:?}, {op:?} at {}: {result:?}", place.name);
                assert!(harmed.load(Relaxed) > 0, "{what}: nothing was harmed");
                case.assert_none_wrong(&case.arrived().await, &what);
                match result {
                    Ok(()) => case.assert_whole(&case.arrived().await, &what),
                    Err(err) => {
                        // An ETag that is not what was sent is told at once: somebody else may have written.
                        assert!(times == ALWAYS || harm == Harm::Etag, "once is borne: {what}");
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
        let stores: Stores = place.through(&place.endpoint(), LONG);
        stores.set_bandwidth(Some(RATE));
        let cases: Vec<Case<'_>> = ops.iter().map(|op| Case::new(&place, *op)).collect();
        let began = tokio::time::Instant::now();
        futures::future::try_join_all(cases.iter().map(|case| case.run(&stores))).await.expect("carries");
        // A busy computer only makes it slower; a fifth of a second may be caught up.
        let least = Duration::from_secs_f64((bytes * ops.len()) as f64 / RATE as f64 - 0.25);
        assert!(began.elapsed() >= least, "{ops:?}: {:?} for {bytes} bytes each", began.elapsed());
    }
}

fn program(place: &Place) -> Program {
    Program::new().with_keys(&place.endpoint(), &place.key, &place.secret)
}

/// The id of its last job.
fn last_job(program: &Program) -> String {
    let jobs = program.run(&["jobs", "ls", "--json"]).ok().json();
    jobs[0]["job"].as_str().expect("its id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_gone_on_with_when_there_is_room() {
    let place = Place::s3s().await;
    for (op, event) in [(Op::Download, "range"), (Op::SyncDown, "part")] {
        let case = Case::new(&place, op);
        let out = case.out();
        let Some(_disk) = Disk::mount(&out, 40 << 10) else { return };
        // There is room for all when it begins; and for the small files later.
        let (folder, left) = (out.clone(), if op == Op::Download { 1 << 10 } else { 0 });
        case.at(event, move || Disk::fill(&folder, left));
        let ended = case.run(&place.stores).await;
        if op == Op::Download {
            // A large file has its room from the beginning.
            ended.expect("has its room");
            case.assert_whole(&case.arrived().await, "others filled the disk");
            continue;
        }
        let err = ended.expect_err("is full");
        assert_eq!(err.kind(), Kind::Limit, "{op:?}: {err:?}");
        assert!(err.to_string().contains("the disk is full"), "{op:?}: {err}");
        assert!(err.hint().is_some_and(|hint| hint.contains("room")), "{op:?}: {err:?}");
        case.assert_none_wrong(&case.arrived().await, "a full disk");
        Disk::empty(&out);
        case.run(&place.stores).await.unwrap_or_else(|err| panic!("{op:?}: {err:?}"));
        case.assert_whole(&case.arrived().await, "there is room again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversion_and_a_journal_without_room_are_told() {
    let place = Place::s3s().await;
    let program = program(&place);
    let rows: Vec<String> = (0..40_000_u32).map(|n| format!("{},{},{n}", n % 360, n % 89)).collect();
    let table = program.write("table.csv", format!("lon,lat,value\n{}\n", rows.join("\n")));
    let Some(disk) = Disk::mount(&program.folder("small"), 64) else { return };
    let target = program.folder("small/table.parquet").to_string_lossy().into_owned();
    program.run(&["convert", &table, &target]).refused(1, &["the disk is full", "room"]);
    assert_eq!(std::fs::read_dir(program.folder("small")).expect("lists").count(), 0, "nothing is left");
    drop(disk);

    // What is written down of a job is worth less than the job.
    let Some(_disk) = Disk::mount(&program.folder("state"), 64) else { return };
    Disk::fill(&program.folder("state"), 0);
    let run = program.run(&["put", &table, &format!("{}table.csv", place.root)]).ok();
    assert!(run.stderr.contains("not journalled") && run.stderr.contains("the disk is full"), "{}", run.stderr);
    let run = program.run(&["get", &format!("{}table.csv", place.root), "back/"]).ok();
    assert!(run.stderr.contains("not journalled"), "{}", run.stderr);
    assert_eq!(std::fs::read(program.folder("back/table.csv")).ok(), std::fs::read(&table).ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn room_that_is_refused_is_told_before_anything_is_read() {
    let place = Place::s3s().await;
    let mut program = program(&place);
    let file = program.write("large.bin", vec![7; 24 << 20]);
    let object = format!("{}large.bin", place.root);
    program.run(&["put", &file, &object]).ok();
    // Not full, and none would know before it asks: what is told is the answer to the reservation.
    program.under(&["sh", "-c", "trap '' XFSZ; ulimit -f 20000; exec \"$@\"", "sh"]);
    program.run(&["get", &object, "back/"]).refused(1, &["writing", "large.bin", "so large", "ulimit", "jobs resume"]);
    let back = program.folder("back");
    let left = std::fs::read_dir(&back).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing is left, and nothing has its name");
    program.under(&[]);
    program.run(&["get", &object, "back/"]).ok();
    assert_eq!(std::fs::read(back.join("large.bin")).expect("reads"), std::fs::read(&file).expect("reads"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_becomes_read_only_is_told() {
    let place = Place::s3s().await;
    for (op, event) in [(Op::Download, "range"), (Op::SyncDown, "part")] {
        let case = Case::new(&place, op);
        let Some(disk) = Disk::mount(&case.out(), 64 << 10) else { return };
        let disk = Arc::new(Mutex::new(disk));
        // Nobody may have a file open for writing then: so it is done before the first is made.
        disk.lock().expect("disk").protect(true);
        let err = case.run(&place.stores).await.expect_err("is read-only");
        assert!(err.to_string().contains("read-only"), "{op:?} {event}: {err:?}");
        disk.lock().expect("disk").protect(false);
        case.run(&place.stores).await.unwrap_or_else(|err| panic!("{op:?}: {err:?}"));
        case.assert_whole(&case.arrived().await, "it may be written again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_change_or_vanish_are_never_taken_for_whole() {
    type Change = fn(&Path);
    let touch: Change = |path| {
        let file = std::fs::File::options().append(true).open(path).expect("opens");
        file.set_modified(std::time::SystemTime::now() + Duration::from_secs(5)).expect("touches");
    };
    let rewrite: Change = |path| {
        let mut file = std::fs::File::options().write(true).open(path).expect("opens");
        file.write_all(b"other").expect("writes");
    };
    let shorten: Change = |path| std::fs::File::options().write(true).open(path).expect("x").set_len(9).expect("cuts");
    let remove: Change = |path| std::fs::remove_file(path).expect("removes");
    for place in Place::all().await {
        for (name, change) in [("touched", touch), ("rewritten", rewrite), ("cut", shorten), ("removed", remove)] {
            for op in [Op::Upload, Op::SyncUp] {
                let case = Case::new(&place, op);
                let path = case.source("large.tif");
                case.at("part", move || change(&path));
                let what = format!("{op:?}, {name}");
                match case.run(&place.stores).await {
                    // A sync looks once more, and takes it as it is now.
                    Ok(()) if op == Op::SyncUp => {}
                    Ok(()) => panic!("{what}: it was taken"),
                    Err(err) => {
                        let is_told = err.kind() == Kind::Changed && err.to_string().contains("changed while");
                        let is_gone = op == Op::SyncUp && err.kind() == Kind::NotFound;
                        assert!(is_told || is_gone, "{what}: {err:?}");
                        assert!(!case.arrived().await.contains_key("large.tif"), "{what}");
                        // Whoever resumes finds it as it is now, or that it is gone.
                        case.run(&place.stores).await.unwrap_or_else(|err| panic!("{what}: {err:?}"));
                    }
                }
                let now = std::fs::read(case.source("large.tif")).ok();
                assert!(case.arrived().await.get("large.tif") == now.as_ref(), "{what}");
            }
        }
        place.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_another_after_a_kill_is_sent_as_it_is_now() {
    for place in Place::all().await {
        let case = Arc::new(Case::new(&place, Op::Upload));
        let (killed, told) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let tell = told.clone();
        case.at("part", move || tell.notify_one());
        tokio::select! {
            result = case.run(&place.stores) => panic!("{result:?}"),
            () = told.notified() => killed.notify_one(),
        }
        let path = case.source("large.tif");
        let before = std::fs::metadata(&path).expect("is there").modified().expect("a time");
        let bytes = std::fs::read(&path).expect("reads");
        std::fs::remove_file(&path).expect("removes");
        std::fs::create_dir(&path).expect("something else");
        let err = case.run(&place.stores).await.err();
        assert!(!case.arrived().await.contains_key("large.tif"), "{err:?}");
        std::fs::remove_dir(&path).expect("removes");
        // The same size and time, and other content.
        let other: Vec<u8> = bytes.iter().map(|byte| byte ^ 1).collect();
        std::fs::write(&path, &other).expect("writes");
        std::fs::File::options().append(true).open(&path).expect("opens").set_modified(before).expect("a time");
        case.run(&place.stores).await.unwrap_or_else(|err| panic!("{}: {err:?}", place.name));
        assert!(case.arrived().await["large.tif"] == other, "{}", place.name);
        place.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_or_written_here_is_named() {
    let Some(words) = disk::as_anybody() else { return };
    let place = Place::s3s().await;
    let mut program = program(&place);
    let allow = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("a mode");
    };
    for name in ["a.csv", "b.csv", "c.csv"] {
        program.write(&format!("set/{name}"), name);
    }
    let (secret, set) = (program.folder("set/b.csv"), program.folder("set").to_string_lossy().into_owned());
    allow(&secret, 0);
    program.under(&words);
    let (up, synced) = (format!("{}up/", place.root), format!("{}synced/", place.root));
    program.run(&["put", &set, &up]).refused(4, &["b.csv", "permission denied"]);
    let upload = last_job(&program);
    program.run(&["sync", &set, &synced]).refused(4, &["b.csv", "permission denied"]);
    let sync = last_job(&program);
    let there = program.run(&["ls", "-r", &synced]).ok();
    assert!(there.text().contains("a.csv") && there.text().contains("c.csv"), "{}", there.text());
    allow(&secret, 0o600);
    for job in [&upload, &sync] {
        program.run(&["jobs", "resume", job]).ok();
    }
    for at in [format!("{up}set/"), synced.clone()] {
        assert_eq!(program.run(&["ls", "-r", "--json", &at]).ok().json().len(), 3);
    }
    // A folder that may not be written to.
    std::fs::create_dir(program.folder("closed")).expect("a folder");
    allow(&program.folder("closed"), 0o555);
    program.run(&["get", &synced, "closed/"]).refused(4, &["closed", "permission denied"]);
    let download = last_job(&program);
    allow(&program.folder("closed"), 0o755);
    program.run(&["jobs", "resume", &download]).ok();
    assert_eq!(carry::below(&program.folder("closed")).len(), 3);
}

/// Stores that take their keys from the default profile of a home.
fn of_home(sts: &Sts, endpoint: &str, settings: &str) -> Stores {
    sts.write(".aws/config", &format!("[default]\nendpoint_url = {endpoint}\nregion = us-east-1\n{settings}"));
    let environment = Environment::fixed([("HOME", sts.home.path().to_string_lossy())]);
    Stores::new(Options { environment, ..Options::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_may_not_be_written_to_any_more_is_told() {
    let (Some(ceph), Some(place)) = (Ceph::find(), Place::ceph().await) else { return };
    let sts = Arc::new(Mutex::new(Sts::start(&ceph)));
    for op in [Op::Upload, Op::SyncUp] {
        let case = Case::new(&place, op);
        let stores = {
            let sts = sts.lock().expect("sts");
            let settings = format!("role_arn = {}\nweb_identity_token_file = {}\n", sts.role, sts.token.display());
            of_home(&sts, &place.endpoint(), &settings)
        };
        let other = sts.clone();
        case.at("part", move || other.lock().expect("sts").refuse());
        let err = case.run(&stores).await.expect_err("may not");
        assert_eq!(err.kind(), Kind::Denied, "{err:?}");
        assert!(err.to_string().contains("or may not "), "{err}");
        sts.lock().expect("sts").allow();
        // What a role has written only the role may read here.
        case.assert_none_wrong(&case.arrived_by(&stores).await, "refused");
        case.run(&stores).await.unwrap_or_else(|err| panic!("{op:?}: {err:?}"));
        case.assert_whole(&case.arrived_by(&stores).await, "allowed again");
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_end_in_the_middle_are_renewed_or_told() {
    let (Some(ceph), Some(place)) = (Ceph::find(), Place::ceph().await) else { return };
    let mut sts = Sts::start(&ceph);
    for op in [Op::Upload, Op::Download, Op::SyncUp, Op::SyncDown] {
        for renewed in [true, false] {
            let case = Case::new(&place, op);
            let short = sts.lasting(3.0);
            // Whatever belongs to the large one waits until the keys have ended.
            let ends = tokio::time::Instant::now() + Duration::from_secs(4);
            let port = place.port;
            let wire = Wire::start(move |asked: Asked| {
                let waits = asked.target().contains("partNumber=2") || asked.header("range").is_some();
                Box::pin(async move {
                    if waits {
                        tokio::time::sleep_until(ends).await;
                    }
                    Reply::Of(port)
                })
            })
            .await;
            let lasts = "2100-01-01T00:00:00Z";
            let (first, then) = (short.process(lasts), sts.session.process(lasts));
            let (first, then) = (sts.write("first", &first), sts.write("then", if renewed { &then } else { &first }));
            let script = format!("cat {0} 2>/dev/null || cat {1}\nrm -f {0}\n", first.display(), then.display());
            let script = sts.write("keys.sh", &script);
            let settings = format!("credential_process = /bin/sh {}\n", script.display());
            let stores = of_home(&sts, &wire.endpoint(), &settings);
            let result = case.run(&stores).await;
            let what = format!("{op:?}, renewed: {renewed}");
            case.assert_none_wrong(&case.arrived().await, &what);
            if renewed {
                result.unwrap_or_else(|err| panic!("{what}: {err:?}"));
            } else {
                let err = result.expect_err(&what);
                assert_eq!(err.kind(), Kind::Denied, "{what}: {err:?}");
                assert!(err.to_string().contains("expired"), "{what}: {err}");
                assert!(err.hint().is_some_and(|hint| hint.contains("get new ones")), "{what}: {err:?}");
                case.run(&place.stores).await.expect(&what);
            }
            case.assert_whole(&case.arrived().await, &what);
        }
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_told_with_both_times() {
    let place = Place::s3s().await;
    let wrong = chrono::Utc::now() + chrono::TimeDelta::minutes(20);
    let date = wrong.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for op in Op::ALL {
        // As Ceph does it: to a HEAD without a word.
        let date = date.clone();
        let wire = gate(place.port, move |_, asked| {
            let body = if asked.method() == "HEAD" { "" } else { "<Error><Code>RequestTimeTooSkewed</Code></Error>" };
            let head = format!("HTTP/1.1 403 Forbidden\r\ndate: {date}\r\ncontent-length: {}\r\n", body.len());
            Some(Reply::Raw(format!("{head}connection: close\r\n\r\n{body}").into_bytes()))
        })
        .await;
        let case = Case::new(&place, op);
        let err = case.fails_and_goes_on(&place.through(&wire.endpoint(), LONG), "a wrong clock").await;
        let words = err.to_string();
        assert_eq!(err.kind(), Kind::Denied, "{op:?}: {err:?}");
        assert!(words.contains("this computer's clock is 20 min behind that of 127.0.0.1:"), "{op:?}: {words}");
        assert!(words.contains(&wrong.format("there %Y-%m-%d %H:%M").to_string()), "{op:?}: {words}");
        assert!(err.hint().is_some_and(|hint| hint.contains("NTP")), "{op:?}: {err:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_with_a_wrong_clock_says_so_and_its_jobs_go_on_with_a_right_one() {
    let Some(place) = Place::ceph().await else { return };
    if !disk::has("faketime") {
        return;
    }
    for (off, words) in [("-20m", "20 min behind"), ("+20m", "20 min ahead of")] {
        let mut program = program(&place);
        program.write("set/small", "small");
        let large = program.write("set/large", body(17 << 20));
        let (at, from) = (format!("{}{off}/", place.root), format!("{}src/large.tif", place.root));
        let told = ["this computer's clock is", words, "NTP"];
        program.under(&["faketime", "-f", off]);
        let mut jobs = Vec::new();
        for args in [
            &["put", &large, &at][..],
            &["put", &program.folder("set").to_string_lossy(), &at],
            &["get", &from, "out/"],
            &["cp", &from, &at],
            &["sync", &program.folder("set").to_string_lossy(), &format!("{at}synced/")],
        ] {
            program.run(args).refused(4, &told);
            jobs.push(last_job(&program));
        }
        program.run(&["ls", &at]).refused(4, &told);
        program.run(&["cat", &from]).refused(4, &told);
        program.under(&[]);
        for job in jobs {
            program.run(&["jobs", "resume", &job]).ok();
        }
        assert!(std::fs::read(program.folder("out/large.tif")).expect("is there") == carry::files()["large.tif"]);
        assert_eq!(program.run(&["ls", "-r", "--json", &at]).ok().json().len(), 6);
    }
    place.remove().await;
}
