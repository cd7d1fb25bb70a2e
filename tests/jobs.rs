//! The job engine: what runs, what waits, what is left on disk, and what is known of it afterwards.

#[path = "support/cx.rs"]
mod cx;

use futures::future::BoxFuture;
use secchi::action::Action;
use secchi::error::{Error, Kind, Result};
use secchi::job::{Job, JobCx, JobSpec, JobView, Jobs, Outcome, State};
use secchi::store::{Options, Stores};
use secchi::task::Waker;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

type Work = Box<dyn Fn(JobCx2) -> BoxFuture<'static, Result<Outcome>> + Send + Sync>;

/// What a test job works with: owned parts of its context, and what its former attempts recorded.
struct JobCx2 {
    control: secchi::task::Control,
    events: tokio::sync::mpsc::UnboundedSender<Value>,
    earlier: Vec<Value>,
}

/// A job that does what the test says.
struct TestJob {
    name: String,
    work: Work,
}

impl TestJob {
    fn boxed<F>(name: &str, work: impl Fn(JobCx2) -> F + Send + Sync + 'static) -> Box<dyn Job>
    where
        F: Future<Output = Result<Outcome>> + Send + 'static,
    {
        Box::new(Self { name: name.to_owned(), work: Box::new(move |cx| Box::pin(work(cx))) })
    }
}

impl Job for TestJob {
    fn title(&self) -> String {
        self.name.clone()
    }
    fn spec(&self) -> JobSpec {
        JobSpec { kind: "test".into(), params: json!({ "name": self.name }) }
    }
    fn command(&self) -> Vec<String> {
        vec!["test".into(), self.name.clone()]
    }
    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>> {
        let (control, events) = (cx.control.clone(), cx.events.clone());
        (self.work)(JobCx2 { control, events, earlier: cx.earlier.clone() })
    }
}

/// The kind of the table that the tests have.
#[allow(clippy::unnecessary_wraps, clippy::needless_pass_by_value)] // the table's signature
fn from_spec(spec: JobSpec) -> Result<Box<dyn Job>> {
    let name = spec.params["name"].as_str().expect("a name").to_owned();
    Ok(TestJob::boxed(&name, |cx| async move {
        Ok(Outcome { summary: format!("after {} events", cx.earlier.len()), ..Outcome::default() })
    }))
}

fn engine(state: &Path) -> (Jobs, Waker) {
    let waker = Waker::new();
    (Jobs::new(Stores::new(Options::default()), state.to_owned(), waker.clone()).with_kinds(from_spec), waker)
}

fn state() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Whatever takes longer hangs.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.unwrap_or_else(|_| panic!("in time: {what}"))
}

async fn ended(jobs: &Jobs, id: &str) -> JobView {
    soon("the end", jobs.wait(id)).await.expect("a view")
}

/// Waits on the waker, as the screen does, until a view is as wished.
async fn until(jobs: &Jobs, waker: &Waker, id: &str, wish: impl Fn(&JobView) -> bool) -> JobView {
    soon("a view", async {
        loop {
            if let Some(view) = jobs.view(id).filter(|v| wish(v)) {
                return view;
            }
            waker.woken().await;
        }
    })
    .await
}

fn run_dir(state: &Path, id: &str) -> PathBuf {
    state.join("runs").join(id)
}

fn lines(state: &Path, id: &str, attempt: u32) -> Vec<Value> {
    let text = std::fs::read_to_string(run_dir(state, id).join(format!("ev/0.{attempt}.ndjson"))).expect("events");
    assert!(text.ends_with('\n'), "whole lines");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_to_its_end_and_is_known_after_a_restart() {
    let state = state();
    let (jobs, _) = engine(state.path());
    let id = jobs
        .start(TestJob::boxed("good", |cx| async move {
            cx.control.set_total(10);
            cx.control.note("half way");
            cx.control.advance(10);
            let request = cx.control.meter.request();
            cx.control.meter.sent(1_000);
            request.done();
            cx.events.send(json!({ "event": "part", "part": 1 })).expect("heard");
            cx.events.send(json!([1, 2])).expect("heard");
            Ok(Outcome { summary: "ten of ten".into(), data: json!({ "a": 1 }), ..Outcome::default() })
        }))
        .expect("starts");
    let view = ended(&jobs, &id).await;
    assert_eq!((&view.state, view.done, view.total), (&State::Done, 10, 10));
    assert_eq!(view.counts.bytes_out, 1_000);
    assert_eq!(view.log.iter().map(|(_, l)| l.as_str()).collect::<Vec<_>>(), ["half way"]);
    assert_eq!(view.events[..], [json!({ "event": "part", "part": 1 }), json!([1, 2])]);
    assert!(view.latency.is_some() && view.eta.is_none() && view.throughput.samples().len() >= 2);

    let spec: Value =
        serde_json::from_slice(&std::fs::read(run_dir(state.path(), &id).join("spec.json")).expect("spec"))
            .expect("JSON");
    assert_eq!(
        (&spec["kind"], &spec["params"]["name"], &spec["title"]),
        (&json!("test"), &json!("good"), &json!("good"))
    );
    let lines = lines(state.path(), &id, 1);
    let kinds: Vec<_> = lines.iter().map(|l| l["event"].as_str().expect("a name")).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("start", "end"));
    assert!(["note", "part", "sample"].iter().all(|k| kinds.contains(k)), "{kinds:?}");
    assert!(lines.iter().enumerate().all(|(i, l)| l["seq"] == i), "numbered without gaps");
    assert_eq!(lines[lines.len() - 1]["state"], "done");

    let (again, _) = engine(state.path());
    soon("the history", again.loaded()).await;
    let past = again.view(&id).expect("is known");
    assert_eq!((past.state, past.done, past.total, past.counts), (State::Done, 10, 10, view.counts));
    assert_eq!((past.title, past.command, past.latency), (view.title, view.command, view.latency));
    assert_eq!((past.log.len(), past.events, past.outcome), (1, view.events, view.outcome));
    assert_eq!(again.active(), 0);

    let new = again.retry(&id).expect("runs again");
    assert_ne!(new, id, "what was done stays, and a new run begins");
    assert_eq!(ended(&again, &new).await.state, State::Done);
    assert_eq!(again.views().iter().map(|v| v.id.clone()).collect::<Vec<_>>(), [new, id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_and_panics_become_sentences() {
    let state = state();
    let (jobs, _) = engine(state.path());
    let fails = jobs.start(TestJob::boxed("fails", |_| async {
        Err(Error::new(Kind::Denied, "the server says no").with_request_id("tx-1"))
    }));
    let panics = jobs.start(TestJob::boxed("panics", |_| async { panic!("index out of order") }));
    let (fails, panics) = (fails.expect("starts"), panics.expect("starts"));
    let failed = ended(&jobs, &fails).await;
    assert_eq!(failed.state, State::Failed("the server says no".into()));
    assert!(failed.log.iter().any(|(_, l)| l.contains("tx-1")), "the request id is in the log");
    let State::Failed(sentence) = ended(&jobs, &panics).await.state else { panic!("it failed") };
    assert_eq!(sentence, "the job broke down: index out of order");
    let end = lines(state.path(), &fails, 1).pop().expect("an end");
    assert_eq!((&end["state"], &end["error"]["kind"]), (&json!("failed"), &json!("denied")));
    assert_eq!(end["error"]["exit_code"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_limit_wait_in_their_order_and_can_be_cancelled() {
    let state = state();
    let (jobs, waker) = engine(state.path());
    let gate = Arc::new(Semaphore::new(0));
    let ids: Vec<_> = (0..5)
        .map(|n| {
            let gate = gate.clone();
            let work = move |cx: JobCx2| {
                let gate = gate.clone();
                async move {
                    cx.control
                        .race(async {
                            gate.acquire()
                                .await
                                .map(tokio::sync::SemaphorePermit::forget)
                                .map_err(|_| Error::cancelled())
                        })
                        .await?;
                    Ok(Outcome::default())
                }
            };
            jobs.start(TestJob::boxed(&format!("job {n}"), work)).expect("starts")
        })
        .collect();
    for id in &ids[..2] {
        until(&jobs, &waker, id, |v| v.state == State::Running).await;
    }
    assert!(ids[2..].iter().all(|id| jobs.view(id).expect("view").state == State::Queued));
    assert_eq!(jobs.active(), 5);

    jobs.cancel(&ids[3]);
    assert_eq!(ended(&jobs, &ids[3]).await.state, State::Cancelled, "while it waits");
    jobs.cancel(&ids[0]);
    assert_eq!(ended(&jobs, &ids[0]).await.state, State::Cancelled, "while it runs");
    until(&jobs, &waker, &ids[2], |v| v.state == State::Running).await;
    assert_eq!(jobs.view(&ids[4]).expect("view").state, State::Queued);
    gate.add_permits(3);
    for id in [&ids[1], &ids[2], &ids[4]] {
        assert_eq!(ended(&jobs, id).await.state, State::Done);
    }
    assert_eq!(jobs.active(), 0);
    assert_eq!(lines(state.path(), &ids[0], 1).pop().expect("end")["state"], "cancelled");
    let retried = jobs.retry(&ids[0]).expect("again");
    assert_eq!(retried, ids[0], "it goes on under its name");
    gate.add_permits(1);
    assert_eq!(ended(&jobs, &retried).await.state, State::Done);
    assert_eq!(lines(state.path(), &ids[0], 2).pop().expect("end")["state"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_an_end_is_interrupted_and_goes_on_with_what_it_recorded() {
    let state = state();
    let id = "01JD0000000000000000000000";
    let dir = run_dir(state.path(), id);
    std::fs::create_dir_all(dir.join("ev")).expect("folders");
    let spec = json!({ "id": id, "kind": "test", "params": { "name": "left" }, "title": "left alone",
        "command": ["test", "left"], "created": "2026-01-02T03:04:05Z", "version": "0" });
    std::fs::write(dir.join("spec.json"), spec.to_string()).expect("spec");
    let events = [
        json!({ "seq": 0, "t": "2026-01-02T03:04:06Z", "mono": 0.0, "event": "start" }).to_string(),
        json!({ "seq": 1, "t": "2026-01-02T03:04:07Z", "mono": 1.0, "event": "part", "part": 1 }).to_string(),
        "\u{0}\u{0}not JSON".into(),
        json!({ "seq": 2, "t": "never", "mono": -1e300, "event": "progress", "done": -4, "total": "x" }).to_string(),
        json!({ "seq": 3, "t": "2026-01-02T03:04:08Z", "mono": 2.0, "event": "progress", "done": 50, "total": 100,
            "step": "part 2 of 4", "requests": 2, "bytes_out": 500, "latency": "AAAA" })
        .to_string(),
        r#"{"seq":4,"t":"2026-01-02T03:04:09Z","event":"en"#.into(),
    ];
    std::fs::write(dir.join("ev/0.1.ndjson"), events.join("\n")).expect("events");
    // Things that are no runs are passed over.
    std::fs::create_dir_all(run_dir(state.path(), "01JD0000000000000000000001")).expect("folder");
    std::fs::create_dir_all(run_dir(state.path(), "lost+found")).expect("folder");

    let (jobs, _) = engine(state.path());
    soon("the history", jobs.loaded()).await;
    let views = jobs.views();
    assert_eq!(views.len(), 1);
    let view = &views[0];
    assert_eq!((&view.state, view.done, view.total, view.counts.bytes_out), (&State::Interrupted, 50, 100, 500));
    assert_eq!((view.title.as_str(), view.step.as_str()), ("left alone", "part 2 of 4"));
    assert_eq!(view.events[..], [json!({ "event": "part", "part": 1 })]);
    assert_eq!(jobs.active(), 0);
    assert_eq!(jobs.retry("01JD0000000000000000000001").map_err(|e| e.kind()), Err(Kind::NotFound));

    assert_eq!(jobs.retry(id).expect("goes on"), id);
    let view = ended(&jobs, id).await;
    assert_eq!(view.state, State::Done);
    assert_eq!(view.outcome.expect("an outcome").summary, "after 1 events");
    assert!(dir.join("ev/0.2.ndjson").exists(), "the first attempt's events stay as they are");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_never_work_on_one_job() {
    let state = state();
    let (first, waker) = engine(state.path());
    let id = first
        .start(TestJob::boxed(
            "held",
            |cx| async move { cx.control.race(std::future::pending::<Result<Outcome>>()).await },
        ))
        .expect("starts");
    until(&first, &waker, &id, |v| v.state == State::Running).await;

    let (second, _) = engine(state.path());
    soon("the history", second.loaded()).await;
    let view = second.view(&id).expect("is seen");
    assert_eq!((view.state, view.step.as_str()), (State::Running, "in another program"));
    assert_eq!(second.active(), 0, "it is not ours");
    second.retry(&id).expect("is queued");
    let State::Failed(sentence) = ended(&second, &id).await.state else { panic!("it must not run twice") };
    assert_eq!(sentence, "another program works on this job");

    let (third, waker) = engine(state.path());
    soon("the history", third.loaded()).await;
    third.cancel(&id);
    assert_eq!(ended(&first, &id).await.state, State::Cancelled, "asked through the run directory");
    third.refresh();
    until(&third, &waker, &id, |v| v.state == State::Cancelled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_state_folder_jobs_still_run_and_say_so() {
    let state = state();
    let file = state.path().join("a file");
    std::fs::write(&file, "").expect("writes");
    let (jobs, _) = engine(&file);
    let id = jobs.start(TestJob::boxed("bare", |_| async { Ok(Outcome::default()) })).expect("starts");
    let view = ended(&jobs, &id).await;
    assert_eq!(view.state, State::Done);
    assert!(view.log.iter().any(|(_, l)| l.contains("not journalled")), "{:?}", view.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_sampled_and_idleness_is_silent() {
    let state = state();
    let (jobs, waker) = engine(state.path());
    soon("the history", jobs.loaded()).await;
    let go = Arc::new(Semaphore::new(0));
    let gate = go.clone();
    let id = jobs
        .start(TestJob::boxed("steps", move |cx| {
            let gate = gate.clone();
            async move {
                cx.control.set_total(1_000_000);
                // As fast as it can: the screen must still be woken at most five times a second.
                while gate.available_permits() == 0 {
                    cx.control.advance(1);
                    cx.control.meter.sent(100);
                    tokio::task::yield_now().await;
                }
                Ok(Outcome::default())
            }
        }))
        .expect("starts");
    let began = std::time::Instant::now();
    let mut wakes = 0_u32;
    soon("an eta", async {
        while jobs.view(&id).expect("view").eta.is_none() {
            waker.woken().await;
            wakes += 1;
        }
    })
    .await;
    let seconds = began.elapsed().as_secs_f64();
    // Three more: history, queued, running.
    assert!(f64::from(wakes) <= seconds / 0.18 + 3.0, "{wakes} wakes in {seconds} s");
    let view = jobs.view(&id).expect("view");
    assert!(view.throughput.recent(1.0) > 0.0 && view.done > 0 && view.elapsed > Duration::ZERO);
    go.add_permits(1);
    ended(&jobs, &id).await;
    let progress = lines(state.path(), &id, 1).iter().filter(|l| l["event"] == "progress").count() as f64;
    assert!((1.0..=seconds + 2.0).contains(&progress), "about one line a second: {progress} in {seconds}");

    // A wake that came with the end may wait; then nothing more comes.
    let _ = tokio::time::timeout(Duration::from_millis(50), waker.woken()).await;
    assert!(tokio::time::timeout(Duration::from_secs(1), waker.woken()).await.is_err(), "nothing ticks when idle");
}

/// A job that takes a step each time the gate gives it leave, and records each.
fn stepper(name: &str, gate: &Arc<Semaphore>, steps: usize) -> Box<dyn Job> {
    let gate = gate.clone();
    TestJob::boxed(name, move |cx| {
        let gate = gate.clone();
        async move {
            for step in cx.earlier.len()..steps {
                cx.control.turn().await?;
                let leave = async { gate.acquire().await.map_err(|_| Error::cancelled()) };
                cx.control.race(leave).await?.forget();
                cx.events.send(json!({ "event": "part", "part": step })).expect("heard");
            }
            Ok(Outcome::default())
        }
    })
}

fn parts(state: &Path, id: &str, attempt: u32) -> Vec<Value> {
    lines(state, id, attempt).into_iter().filter(|l| l["event"] == "part").map(|l| l["part"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_gives_its_place_to_the_next_and_goes_on_where_it_was() {
    let state = state();
    let (jobs, waker) = engine(state.path());
    jobs.set_limit(1);
    let (one, two) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(0)));
    let first = jobs.start(stepper("first", &one, 3)).expect("starts");
    until(&jobs, &waker, &first, |v| v.events.len() == 1).await;
    let second = jobs.start(stepper("second", &two, 1)).expect("starts");
    assert_eq!(jobs.view(&second).map(|v| (v.state, v.place)), Some((State::Queued, Some(0))));

    jobs.pause(&first);
    assert_eq!(jobs.view(&first).map(|v| v.state), Some(State::Paused));
    until(&jobs, &waker, &second, |v| v.state == State::Running).await;
    // What was under way comes to its end, and nothing new begins.
    one.add_permits(2);
    let view = until(&jobs, &waker, &first, |v| v.events.len() == 2).await;
    assert_eq!((view.state, view.eta, one.available_permits()), (State::Paused, None, 1));
    jobs.go_on(&first);
    assert_eq!(jobs.view(&first).map(|v| v.state), Some(State::Queued), "the place is taken");
    two.add_permits(1);
    assert_eq!(ended(&jobs, &second).await.state, State::Done);
    assert_eq!(ended(&jobs, &first).await.state, State::Done);
    let names: Vec<Value> = lines(state.path(), &first, 1).into_iter().map(|l| l["event"].clone()).collect();
    assert!(names.contains(&json!("pause")) && names.contains(&json!("go-on")), "{names:?}");

    // One that has not begun can wait, too, and be stopped meanwhile.
    let (gate, never) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let running = jobs.start(stepper("running", &gate, 1)).expect("starts");
    let waiting = jobs.start(stepper("waiting", &never, 1)).expect("starts");
    jobs.pause(&waiting);
    gate.add_permits(1);
    assert_eq!(ended(&jobs, &running).await.state, State::Done);
    assert_eq!(jobs.view(&waiting).map(|v| v.state), Some(State::Paused), "although there is a place");
    jobs.cancel(&waiting);
    assert_eq!(ended(&jobs, &waiting).await.state, State::Cancelled);
    assert_eq!(jobs.active(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_resumed_by_the_next_program_in_the_order_the_user_gave() {
    let state = state();
    let (jobs, waker) = engine(state.path());
    jobs.set_limit(1);
    let gate = Arc::new(Semaphore::new(2));
    let ids: Vec<String> =
        ["a", "b", "c", "d"].into_iter().map(|n| jobs.start(stepper(n, &gate, 5)).expect("starts")).collect();
    let [a, b, c, d] = &ids[..] else { panic!("four") };
    until(&jobs, &waker, a, |v| v.events.len() == 2).await;
    assert!(jobs.prioritise(d, -2), "before b and c");
    assert!(jobs.prioritise(b, 1), "behind c");
    assert!(!jobs.prioritise(d, -1) && !jobs.prioritise(b, 9) && !jobs.prioritise(a, -1), "no further");
    let place = |id: &str| jobs.view(id).and_then(|v| v.place);
    assert_eq!([a, d, c, b].map(|id| place(id)), [None, Some(0), Some(1), Some(2)]);

    soon("leaving", jobs.leave()).await;
    assert!(ids.iter().all(|id| jobs.view(id).is_some_and(|v| v.state == State::Interrupted)));
    assert_eq!(jobs.start(stepper("late", &gate, 1)).map_err(|e| e.kind()), Err(Kind::Cancelled));
    let last = lines(state.path(), a, 1).pop().expect("lines");
    assert_eq!(last["event"], "left", "no end");

    let (next, _) = engine(state.path());
    next.set_limit(1);
    soon("the history", next.loaded()).await;
    let found: Vec<String> = next.interrupted().into_iter().map(|v| v.id).collect();
    assert_eq!(found, [a, d, c, b].map(Clone::clone), "the one that ran, then as they waited");
    let view = next.view(a).expect("is known");
    assert_eq!((view.attempt, view.events.len()), (1, 2));
    for id in &found {
        assert_eq!(&next.retry(id).expect("goes on"), id);
    }
    assert_eq!(ended(&next, a).await.outcome.expect("an outcome").summary, "after 2 events");
    for id in &found {
        assert_eq!(ended(&next, id).await.state, State::Done);
    }
    let began = |id: &str| lines(state.path(), id, last_attempt(state.path(), id))[0]["t"].to_string();
    assert!([d, c, b].windows(2).all(|two| began(two[0]) <= began(two[1])), "the order is kept");
}

fn last_attempt(state: &Path, id: &str) -> u32 {
    std::fs::read_dir(run_dir(state, id).join("ev")).expect("lists").count() as u32
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_can_have_a_job_wait_and_go_on_and_stop() {
    let state = state();
    let (ours, waker) = engine(state.path());
    ours.set_limit(1);
    let gate = Arc::new(Semaphore::new(1));
    let running = ours.start(stepper("running", &gate, 5)).expect("starts");
    let waiting = ours.start(stepper("waiting", &gate, 5)).expect("starts");
    until(&ours, &waker, &running, |v| v.events.len() == 1).await;

    let look = async || {
        let (theirs, _) = engine(state.path());
        soon("the history", theirs.loaded()).await;
        theirs
    };
    let theirs = look().await;
    assert_eq!(theirs.view(&running).map(|v| v.state), Some(State::Running));
    until(&ours, &waker, &waiting, |v| v.state == State::Queued).await;
    assert!(theirs.interrupted().is_empty(), "nobody else's work is offered");
    theirs.pause(&running);
    until(&ours, &waker, &running, |v| v.state == State::Paused).await;
    until(&ours, &waker, &waiting, |v| v.state == State::Running).await;
    soon("the pause is seen", async {
        while look().await.view(&running).map(|v| v.state) != Some(State::Paused) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let theirs = look().await;
    theirs.go_on(&running);
    until(&ours, &waker, &running, |v| v.state == State::Queued).await;
    theirs.cancel(&running);
    theirs.cancel(&waiting);
    assert_eq!(ended(&ours, &running).await.state, State::Cancelled);
    assert_eq!(ended(&ours, &waiting).await.state, State::Cancelled);
    assert_eq!(parts(state.path(), &running, 1), [0]);
    assert!(!run_dir(state.path(), &running).join("CANCEL").exists(), "wishes are taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_asks_where_somebody_answers() {
    use secchi::task::{Choice, Question};
    let asker = || {
        TestJob::boxed("asks", |cx| async move {
            let choice = |key, name, words: &str| Choice { key, name, words: words.to_owned() };
            let choices = vec![choice('s', "skip", "leave it"), choice('o', "overwrite", "replace it")];
            let answer = cx.control.ask(Question { text: "b/x exists".into(), choices }).await?;
            Ok(Outcome { summary: answer.unwrap_or("nobody").into(), ..Outcome::default() })
        })
    };
    let state = state();
    let (alone, _) = engine(state.path());
    let id = alone.start(asker()).expect("starts");
    assert_eq!(ended(&alone, &id).await.outcome.expect("an outcome").summary, "nobody");

    let (jobs, waker) = engine(state.path());
    let jobs = jobs.with_answers();
    let id = jobs.start(asker()).expect("starts");
    let view = until(&jobs, &waker, &id, |v| v.question.is_some()).await;
    assert_eq!(view.question.map(|q| q.text).as_deref(), Some("b/x exists"));
    jobs.answer(&id, "burn it");
    assert!(jobs.view(&id).expect("view").question.is_some(), "no such choice");
    jobs.answer(&id, "overwrite");
    assert_eq!(ended(&jobs, &id).await.outcome.expect("an outcome").summary, "overwrite");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_interrupted_can_be_given_up() {
    let state = state();
    let (jobs, waker) = engine(state.path());
    let gate = Arc::new(Semaphore::new(1));
    let id = jobs.start(stepper("given up", &gate, 5)).expect("starts");
    until(&jobs, &waker, &id, |v| v.events.len() == 1).await;
    assert_eq!(jobs.give_up(&id).await.map_err(|e| e.kind()), Err(Kind::Usage), "it runs");
    soon("leaving", jobs.leave()).await;

    let (next, _) = engine(state.path());
    soon("the history", next.loaded()).await;
    next.give_up(&id).await.expect("written");
    assert!(next.interrupted().is_empty());
    let (again, _) = engine(state.path());
    soon("the history", again.loaded()).await;
    assert_eq!(again.view(&id).map(|v| v.state), Some(State::Cancelled));
    assert_eq!(again.retry(&id).expect("after all"), id);
    assert_eq!(ended(&again, &id).await.outcome.expect("an outcome").summary, "after 1 events");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_interrupted_is_offered_and_asks_for_leave_to_write() {
    use secchi::location::Location;
    use secchi::screen::{Flow, Open};
    let state = state();
    let (id, file) = ("01JD0000000000000000000000", state.path().join("lake.csv"));
    std::fs::write(&file, "a,b\n1,2\n").expect("a file");
    let dir = run_dir(state.path(), id);
    std::fs::create_dir_all(dir.join("ev")).expect("folders");
    let spec = json!({ "id": id, "kind": "upload", "title": "upload lake.csv → memory", "command": ["put"],
        "params": { "files": [{ "path": file }], "destination": "memory:///in/" },
        "created": "2026-01-02T03:04:05Z", "version": "0" });
    std::fs::write(dir.join("spec.json"), spec.to_string()).expect("spec");
    let events = [
        json!({ "seq": 0, "t": "2026-01-02T03:04:06Z", "mono": 0.0, "event": "start" }),
        json!({ "seq": 1, "t": "2026-01-02T03:04:07Z", "mono": 1.0, "event": "progress", "done": 5, "total": 8 }),
    ];
    std::fs::write(dir.join("ev/0.1.ndjson"), format!("{}\n{}\n", events[0], events[1])).expect("events");

    let mut cx = cx::for_tests(state.path());
    soon("the history", cx.jobs.loaded()).await;
    let mut popup = secchi::screens::open(Open::Interrupted, &mut cx);
    let picture = cx::picture(popup.as_mut(), &cx, 80, 24);
    for words in ["A job was interrupted", "upload lake.csv → memory", "62 %", "Resume (y)", "Look (w)", "Not now (n)"]
    {
        assert!(picture.contains(words), "{words} in\n{picture}");
    }
    assert!(cx::picture(popup.as_mut(), &cx, 40, 12).contains("62 %"));
    assert!(matches!(popup.update(Action::Jobs, &mut cx), Flow::Replace(Open::Jobs(Some(at))) if at == id));

    let place = Location::parse("memory:///in/").expect("an address");
    assert_eq!(cx.jobs.writes(id).expect("its spec"), std::slice::from_ref(&place));
    assert!(matches!(popup.update(Action::Yes, &mut cx), Flow::Close));
    assert!(cx.toasts.last().is_some_and(|toast| toast.bad && toast.text.contains("read-only")), "{:?}", cx.toasts);
    assert_eq!(cx.jobs.view(id).map(|v| v.state), Some(State::Interrupted), "nothing was started");

    cx.set_writable(place.store(), true);
    let mut popup = secchi::screens::open(Open::Interrupted, &mut cx);
    assert!(matches!(popup.update(Action::Enter, &mut cx), Flow::Close));
    assert_eq!(cx.toasts.last().map(|toast| &*toast.text), Some("one job goes on"));
    assert_eq!(ended(&cx.jobs, id).await.state, State::Done);
    assert!(cx.jobs.interrupted().is_empty());
}
