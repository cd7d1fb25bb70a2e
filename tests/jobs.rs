//! The job engine: what runs, what waits, what is left on disk, and what is known of it afterwards.

use futures::future::BoxFuture;
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
        self.resume(cx, &[])
    }
    fn resume<'a>(&'a self, cx: &'a JobCx, earlier: &'a [Value]) -> BoxFuture<'a, Result<Outcome>> {
        let (control, events) = (cx.control.clone(), cx.events.clone());
        (self.work)(JobCx2 { control, events, earlier: earlier.to_vec() })
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
