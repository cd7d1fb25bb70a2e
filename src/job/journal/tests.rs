//! Journals that are written, held and full.

use super::*;

#[test]
fn histograms_survive_the_journal() {
    let mut histogram = crate::meter::latency_histogram();
    for us in [10, 1_000, 50_000] {
        histogram.saturating_record(us);
    }
    let text = encode(&histogram).expect("not empty");
    assert_eq!(decode(&text).expect("decodes"), histogram);
    assert!(decode("AAAA").is_none());
    assert!(text.len() < 20_000, "{}", text.len());
}

#[test]
fn a_held_run_is_seen_and_cannot_be_taken() {
    let state = tempfile::tempdir().expect("folder");
    let header = Header {
        id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
        spec: JobSpec { kind: "test".into(), params: Value::Null },
        title: "t".into(),
        command: vec![],
        created: Utc::now(),
        version: "0".into(),
    };
    let dir = RunDir::create(state.path(), &header).expect("creates");
    assert!(is_held(dir.path()));
    assert_eq!(RunDir::reopen(state.path(), &header.id).map(|_| ()).map_err(|e| e.kind()), Err(Kind::Exists));
    let path = dir.path().to_owned();
    drop(dir);
    assert!(!is_held(&path));
    RunDir::reopen(state.path(), &header.id).expect("is free");
}

fn lines(path: &Path, file: File) -> Lines {
    let lock = File::create(path.join(LOCK)).expect("a lock");
    let dir = RunDir { path: path.to_owned(), _lock: lock };
    // Syncs that take for ever.
    let (sync, never) = mpsc::sync_channel(1);
    std::mem::forget(never);
    Lines { dir, file, told: Arc::default(), length: 0, waiting: Vec::new(), broken: false, sync }
}

fn told(lines: &Lines) -> Option<String> {
    lines.told.lock().expect("unlocked").problem.take()
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_once_and_nothing_that_was_done_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = OpenOptions::new().write(true).open("/dev/full").expect("it is there on Linux");
    let mut lines = lines(folder.path(), full);
    lines.take(Message::Line(json!({ "event": "part", "part": 1 }), true));
    lines.flush();
    assert!(told(&lines).is_some_and(|why| why.contains("cannot be written") && why.contains("goes on")));
    for part in 2..4 {
        lines.take(Message::Line(json!({ "event": "progress" }), false));
        lines.take(Message::Line(json!({ "event": "part", "part": part }), true));
        lines.flush();
        assert_eq!(told(&lines), None, "said once");
    }
    // There is room again.
    let path = folder.path().join("events");
    lines.file = File::create(&path).expect("a file");
    lines.take(Message::Line(json!({ "event": "end" }), false));
    lines.flush();
    assert!(told(&lines).is_some_and(|words| words.contains("written again")));
    let text = std::fs::read_to_string(&path).expect("reads");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("whole lines")).collect();
    assert_eq!(events.iter().filter(|event| event["event"] == "part").count(), 3);
    assert_eq!(events.last().map(|event| event["event"].clone()), Some(json!("end")));
}

#[test]
fn what_is_written_does_not_wait_for_a_sync() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events");
    let mut lines = lines(folder.path(), File::create(&path).expect("a file"));
    let (to, from) = mpsc::channel();
    let writer = std::thread::spawn(move || lines.write_all(&from));
    let began = Instant::now();
    for part in 1..4 {
        to.send(Message::Line(json!({ "event": "part", "part": part }), true)).expect("is taken");
        while std::fs::read_to_string(&path).expect("reads").lines().count() < part {
            assert!(began.elapsed() < Duration::from_secs(20), "part {part} waits");
            std::thread::yield_now();
        }
    }
    drop(to);
    writer.join().expect("ends");
}

#[test]
fn resume_points_are_in_the_file_before_the_journal_is_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join(EVENTS)).expect("a folder");
    let lock = File::create(folder.path().join(LOCK)).expect("a lock");
    let dir = RunDir { path: folder.path().to_owned(), _lock: lock };
    let mut journal = Journal::open(dir).expect("opens");
    for part in 0..5_000 {
        journal.recorded(&json!({ "event": "part", "part": part }));
    }
    let path = events_file(folder.path(), 1);
    let began = Instant::now();
    while std::fs::read_to_string(&path).expect("reads").lines().count() < 5_000 {
        assert!(began.elapsed() < Duration::from_secs(20), "they are written without a close");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(journal.close(), None);
}

#[test]
fn the_last_wish_counts_and_is_taken_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    assert_eq!(take_wish(dir), None);
    wish(dir, Wish::Pause);
    wish(dir, Wish::GoOn);
    assert_eq!((take_wish(dir), take_wish(dir)), (Some(Wish::GoOn), None));
    wish(dir, Wish::Pause);
    wish(dir, Wish::Cancel);
    assert_eq!((take_wish(dir), take_wish(dir)), (Some(Wish::Cancel), None));
}
