//! Pictures of the benchmark's dashboard, drawn from made-up samples.

use crate::cx;
use secchi::action::Action;
use secchi::job::{JobView, Outcome, State};
use secchi::meter::{Counts, Throughput};
use secchi::screen::{Cx, Flow, Open, Screen};
use secchi::screens::bench::Dashboard;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What a run of COG against two Zarr layouts records; the last repeat is not whole.
fn events(repeats: u32) -> Vec<Value> {
    let series = [("cog", "cog", 900.0), ("zarr", "zarr", 120.0), ("zarr sharded", "zarr", 95.0)];
    let mut events: Vec<Value> = series
        .iter()
        .map(|(name, format, _)| {
            json!({
                "event": "series", "name": name, "format": format, "location": format!("s3://allas@bucket/{format}/"),
                "dates": 12, "bands": 4, "height": 10980, "width": 10980, "layout": "blocks 512 x 512",
            })
        })
        .collect();
    events.push(json!({ "event": "verify", "x": 100, "y": 220, "w": 512, "h": 512, "values": 12_582_912,
        "series": ["cog", "zarr", "zarr sharded"] }));
    let mut t = 0.0;
    for repeat in 0..repeats {
        for (order, (name, _, base)) in series.iter().enumerate() {
            if repeat + 1 == repeats && order == 2 {
                break;
            }
            let wobble =
                (f64::from(repeat) * 1.7 + order as f64).sin() * 0.25 + if repeat % 7 == 3 { 0.6 } else { 0.0 };
            let total = base * (1.0 + wobble);
            events.push(json!({
                "event": "sample", "series": name, "repeat": repeat, "order": order, "t_ms": t, "x": 1, "y": 2,
                "w": 512, "h": 512, "bytes": 6_291_456 / (order + 1), "requests": 48 / (order + 1),
                "open_ms": total * 0.3, "total_ms": total, "checksum": format!("{repeat:016x}"),
            }));
            t += total;
        }
    }
    events
}

fn view(state: State, repeats: u32) -> JobView {
    JobView {
        id: "b".to_owned(),
        kind: "bench".to_owned(),
        title: "bench COG vs Zarr".to_owned(),
        command: vec!["bench".to_owned(), "run".to_owned(), "{}".to_owned()],
        state,
        place: None,
        attempt: 1,
        question: None,
        journal: None,
        started: chrono::Utc::now(),
        elapsed: Duration::from_secs(41),
        done: u64::from(repeats) * 3 + 5,
        total: 96,
        step: format!("patch {repeats} of 30: zarr"),
        counts: Counts::default(),
        in_flight: 1,
        throughput: Throughput::new(64),
        latency: None,
        latencies: secchi::meter::Latencies::new(64),
        eta: Some(Duration::from_secs(17)),
        eta_range: None,
        log: Arc::default(),
        events: Arc::new(events(repeats)),
        outcome: None,
        failure: None,
    }
}

/// The dashboard with its statistics, which are made beside the loop.
async fn dashboard(view: JobView, context: &mut Cx) -> Dashboard {
    let mut dashboard = Dashboard::new("b".to_owned(), context);
    let all = async {
        loop {
            dashboard.take(view.clone(), context);
            if cx::picture(&mut dashboard, context, 80, 24).contains("fastest") {
                break;
            }
            context.waker.woken().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), all).await.expect("statistics");
    dashboard
}

#[tokio::test]
async fn a_running_benchmark_at_every_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut context = cx::for_tests(folder.path());
    let mut screen = dashboard(view(State::Running, 23), &mut context).await;
    assert!(screen.is_moving(&context));
    insta::assert_snapshot!("running_80x24", cx::picture(&mut screen, &context, 80, 24));
    insta::assert_snapshot!("running_200x60", cx::picture(&mut screen, &context, 200, 60));
    insta::assert_snapshot!("running_120x40", cx::picture(&mut screen, &context, 120, 40));
    for name in ["matrix", "times", "rates"] {
        screen.update(Action::ViewNext, &mut context);
        insta::assert_snapshot!(format!("{name}_80x24"), cx::picture(&mut screen, &context, 80, 24));
    }
    screen.update(Action::ViewNext, &mut context);
    for width in [1, 7, 20, 40, 64, 100, 150] {
        for height in [1, 2, 3, 6, 12, 40, 70] {
            cx::picture(&mut screen, &context, width, height);
        }
    }
    context.unicode = false;
    let ascii = cx::picture(&mut screen, &context, 200, 60);
    assert!(ascii.chars().all(|c| c.is_ascii() || "…×–".contains(c)), "{ascii}");
}

#[tokio::test]
async fn before_the_first_sample_it_is_calm_and_a_failure_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut context = cx::for_tests(folder.path());
    let mut early = view(State::Running, 0);
    early.events = Arc::new(events(0)[..2].to_vec());
    let mut screen = Dashboard::new("b".to_owned(), &context);
    screen.take(early, &context);
    insta::assert_snapshot!("early_80x24", cx::picture(&mut screen, &context, 80, 24));
    let mut failed = view(State::Failed("series `zarr` does not hold the same pixels as `cog`".into()), 0);
    failed.events = Arc::new(events(0)[..2].to_vec());
    screen.take(failed, &context);
    let picture = cx::picture(&mut screen, &context, 100, 24);
    assert!(picture.contains("does not hold the same pixels"), "{picture}");
    screen.update(Action::Export, &mut context);
    assert!(context.toasts.last().is_some_and(|t| t.bad), "nothing to save");
    let mut unknown = Dashboard::new("none".to_owned(), &context);
    assert!(cx::picture(&mut unknown, &context, 80, 24).contains("not known"));
}

#[tokio::test]
async fn another_attempt_begins_anew_and_unequal_pixels_are_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut context = cx::for_tests(folder.path());
    let mut twice = view(State::Running, 4);
    let mut all = events(9);
    all.extend(events(4));
    twice.events = Arc::new(all);
    let mut screen = dashboard(twice.clone(), &mut context).await;
    let picture = cx::picture(&mut screen, &context, 100, 30);
    assert!(picture.contains("3 of 3 patches by checksum"), "{picture}");
    let mut wrong = events(4);
    wrong[5]["checksum"] = json!("other");
    twice.events = Arc::new(wrong);
    let mut screen = dashboard(twice, &mut context).await;
    let picture = cx::picture(&mut screen, &context, 100, 30);
    assert!(picture.contains("✗ pixels differ: only 2 of 3 patches"), "{picture}");
    assert!(matches!(screen.update(Action::Jobs, &mut context), Flow::Replace(Open::Jobs(Some(_)))));
}

#[tokio::test]
async fn a_finished_one_shows_its_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut context = cx::for_tests(folder.path());
    let mut done = view(State::Done, 30);
    let samples: Vec<secchi::bench::Sample> = events(30)
        .into_iter()
        .filter(|e| e["event"] == "sample")
        .map(|e| serde_json::from_value(e).expect("a sample"))
        .collect();
    let series: Vec<Value> = events(30).into_iter().filter(|e| e["event"] == "series").collect();
    let report = json!({
        "secchi_bench": 1,
        "spec": secchi::bench::Spec::default(),
        "environment": { "version": "0.1.0", "build": "debug", "gdal": "3.6.2", "system": "linux", "cores": 2,
            "started": "2024-06-01T12:00:00Z" },
        "series": series,
        "samples": samples,
        "summary": secchi::bench::summary(&samples),
        "histograms": {},
    });
    done.outcome = Some(Outcome { data: report, ..Outcome::default() });
    done.events = Arc::default();
    let mut screen = Dashboard::new("b".to_owned(), &context);
    screen.take(done, &context);
    assert!(!screen.is_moving(&context));
    insta::assert_snapshot!("done_100x30", cx::picture(&mut screen, &context, 100, 30));
    context.theme = Arc::new(secchi::theme::Theme::named("mono").expect("shipped"));
    cx::picture(&mut screen, &context, 100, 30);
}
