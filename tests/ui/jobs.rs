//! Pictures of jobs and charts, drawn from made-up numbers; and what jobs ask, in the real loop.

use crate::cx;
use crate::cx::run;
use crate::drive::{Drive, steady};
use chrono::{Duration as Age, Utc};
use futures::future::BoxFuture;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::Widget;
use secchi::action::Action;
use secchi::job::{Job, JobCx, JobSpec, JobView, Outcome, State};
use secchi::meter::{Counts, Latencies, Sample, Throughput};
use secchi::screen::{Flow, Open, Screen};
use secchi::screens::jobs::{JobsScreen, strip};
use secchi::task::{Choice, Question};
use secchi::theme::Theme;
use secchi::widgets::chart::{Chart, Look, Series, Unit};
use std::sync::Arc;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// A job without traffic that began some minutes ago.
fn job(id: &str, kind: &str, title: &str, state: State, minutes: i64) -> JobView {
    JobView {
        id: id.to_owned(),
        kind: kind.to_owned(),
        title: title.to_owned(),
        command: vec!["put".to_owned(), "x".to_owned()],
        state,
        place: None,
        attempt: 1,
        question: None,
        journal: None,
        started: Utc::now() - Age::minutes(minutes) - Age::seconds(20),
        elapsed: Duration::from_secs(41),
        done: 0,
        total: 0,
        step: String::new(),
        counts: Counts::default(),
        in_flight: 0,
        throughput: Throughput::new(512),
        latency: None,
        latencies: Latencies::new(512),
        eta: None,
        eta_range: None,
        log: Arc::default(),
        events: Arc::default(),
        outcome: None,
        failure: None,
    }
}

/// An upload under way, whose rate rises, dips and settles.
fn upload() -> JobView {
    let mut view = job("u", "upload", "upload glodap_v2.2023.csv.zip", State::Running, 1);
    let mut bytes = 0_u64;
    for i in 0..=160_u32 {
        let t = f64::from(i) * 0.5;
        let rate = 84.0 * (1.0 - (-t / 6.0).exp()) + 9.0 * (t * 0.7).sin() - 45.0 * (-((t - 42.0) / 4.0).powi(2)).exp();
        bytes += (rate.max(0.0) * 0.5 * MIB as f64) as u64;
        let received = u64::from(i) * 250;
        view.throughput.push(Sample { t, bytes: bytes + received, requests: u64::from(i) * 5, sent: bytes });
        if i % 2 == 0 {
            let slow = 182_000.0 + 90_000.0 * (t * 0.4).sin();
            view.latencies.push(t, [11_800, 30_400, slow as u64, 400_000]);
        }
    }
    view.counts = Counts { requests: 812, errors: 2, retries: 3, bytes_in: 41_000, bytes_out: bytes };
    view.elapsed = Duration::from_secs(80);
    (view.done, view.total) = (6_120 * MIB, 9_870 * MIB);
    view.in_flight = 8;
    view.step = String::from("part 765 of 1,234");
    view.eta = Some(Duration::from_secs(45));
    view.eta_range = Some((Duration::from_secs(38), Duration::from_secs(52)));
    view.latency = Some([11_800, 30_400, 182_000, 1_240_000]);
    let at = |s: i64| view.started + Age::seconds(s);
    view.log = Arc::new(vec![
        (at(0), "multipart upload of 1,234 parts of 8.0 MiB".to_owned()),
        (at(42), "part 401: the server said SlowDown; sent again after 200 ms".to_owned()),
        (at(71), "checksum of the first 700 parts agrees".to_owned()),
    ]);
    view
}

fn views() -> Vec<JobView> {
    let mut convert = job("c", "convert", "convert stations\u{1b}[2J.csv to stations.parquet", State::Running, 0);
    (convert.done, convert.total) = (31 * MIB, 110 * MIB);
    for i in 0..20_u32 {
        convert.throughput.push(Sample {
            t: f64::from(i),
            bytes: u64::from(i) * 2 * MIB,
            requests: u64::from(i),
            sent: u64::from(i) * MIB,
        });
    }
    (convert.counts.bytes_in, convert.counts.bytes_out) = (20 * MIB, 20 * MIB);
    convert.eta = Some(Duration::from_secs(39));
    let mut done = job("d", "bench", "bench COG vs Zarr", State::Done, 190);
    done.outcome =
        Some(Outcome { summary: "zarr is 11.0 times as fast as cog; 30 patches".into(), ..Outcome::default() });
    done.outcome.as_mut().expect("done").data = serde_json::json!({ "proof": "pixels equal: 12,582,912 compared" });
    let mut paused = job("p", "copy", "copy s3://allas@bucket/2023/ to s3://mahti@archive/2023/", State::Paused, 31);
    (paused.done, paused.total) = (420 * MIB, 9_000 * MIB);
    let mut next = job("q2", "download", "download s3://allas@bucket/dem.tif", State::Queued, 1);
    next.place = Some(0);
    let mut queued = job("q", "upload", "upload 3 files to s3://allas@bucket/incoming/", State::Queued, 0);
    queued.place = Some(1);
    let mut interrupted = job("i", "convert", "convert glodap.csv.zip", State::Interrupted, 60 * 24 * 9);
    (interrupted.done, interrupted.total) = (62, 100);
    let why = "putting s3://allas@bucket/big.tif: the bucket refuses writing (AccessDenied)".to_owned();
    vec![
        queued,
        paused,
        next,
        convert,
        done,
        upload(),
        job("f", "upload", "upload big.tif", State::Failed(why), 60 * 50),
        interrupted,
        job("x", "upload", "upload B02_B03_B04_B08.tif", State::Cancelled, 12),
    ]
}

fn screen(context: &secchi::screen::Cx) -> JobsScreen {
    let mut screen = JobsScreen::new(Some("u".to_owned()), context);
    screen.take(views());
    screen
}

#[test]
fn jobs_at_every_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut context = cx::for_tests(folder.path());
    let mut jobs = screen(&context);
    insta::assert_snapshot!("jobs_80x24", cx::picture(&mut jobs, &context, 80, 24));
    insta::assert_snapshot!("jobs_120x36", cx::picture(&mut jobs, &context, 120, 36));
    insta::assert_snapshot!("jobs_200x60", cx::picture(&mut jobs, &context, 200, 60));
    for _ in 0..2 {
        jobs.update(Action::ViewNext, &mut context);
    }
    insta::assert_snapshot!("jobs_latency_80x24", cx::picture(&mut jobs, &context, 80, 24));
    jobs.update(Action::ViewNext, &mut context);
    insta::assert_snapshot!("jobs_log_80x24", cx::picture(&mut jobs, &context, 80, 24));
    jobs.update(Action::ViewNext, &mut context);
    context.unicode = false;
    jobs.update(Action::ZoomIn, &mut context);
    jobs.update(Action::Freeze, &mut context);
    let ascii = cx::picture(&mut jobs, &context, 80, 24);
    assert!(ascii.chars().all(|c| c.is_ascii() || "…±␛".contains(c)), "{ascii}");
    insta::assert_snapshot!("jobs_ascii_80x24", ascii);
    context.unicode = true;
    for width in [1, 7, 20, 40, 64, 100, 150] {
        for height in [1, 2, 3, 6, 12, 40] {
            cx::picture(&mut jobs, &context, width, height);
        }
    }
    insta::assert_snapshot!("jobs_40x12", cx::picture(&mut jobs, &context, 40, 12));
    let mut none = JobsScreen::new(None, &context);
    insta::assert_snapshot!("jobs_none_80x24", cx::picture(&mut none, &context, 80, 24));
}

#[test]
fn the_cursor_stays_on_its_job_and_the_chart_can_be_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut context = cx::for_tests(folder.path());
    let mut jobs = screen(&context);
    assert!(jobs.is_moving(&context));
    jobs.update(Action::Freeze, &mut context);
    let before = cx::picture(&mut jobs, &context, 80, 24);
    let mut later = views();
    later.insert(0, job("n", "upload", "upload new", State::Running, 0));
    jobs.take(later);
    let after = cx::picture(&mut jobs, &context, 80, 24);
    assert!(after.contains("── upload glodap_v2.2023.csv.zip"), "{after}");
    assert!(before.contains("held") && after.contains("held"));
    assert!(matches!(jobs.update(Action::Bottom, &mut context), Flow::Done));
    assert!(!cx::picture(&mut jobs, &context, 80, 24).contains("held"), "another job, another chart");
    jobs.take(views().into_iter().filter(|v| !v.state.is_active()).collect());
    assert!(!jobs.is_moving(&context));
}

#[test]
fn the_strip_says_what_runs_in_any_width() {
    let theme = Theme::named("deep").expect("shipped");
    let views = views();
    let mut lines = Vec::new();
    for width in [10, 26, 40, 60, 80, 120, 200] {
        let line = strip(&views, width, &theme, true, "W");
        assert!(line.width() <= usize::from(width), "{width}: {line}");
        lines.push(format!("{width:>3} {line}"));
    }
    let ascii = strip(&views, 80, &theme, false, "W").to_string();
    assert!(ascii.chars().all(|c| c.is_ascii() || c == '…' || c == '␛'), "{ascii}");
    let mut asking = views.clone();
    for view in asking.iter_mut().filter(|v| v.id == "u") {
        view.question = Some(question(1));
    }
    for width in [10, 26, 40, 60, 80, 120] {
        let line = strip(&asking, width, &theme, true, "W");
        assert!(line.width() <= usize::from(width), "{width}: {line}");
        lines.push(format!("{width:>3} {line}"));
    }
    insta::assert_snapshot!("strip", lines.join("\n"));
    assert_eq!(strip(&[], 80, &theme, true, "W").width(), 0);
}

#[test]
fn the_list_is_ordered_filtered_and_tells_how_each_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut context = cx::for_tests(folder.path());
    let mut jobs = screen(&context);
    let picture = cx::picture(&mut jobs, &context, 120, 36);
    let line = |words: &str| {
        let at = picture.lines().position(|l| l.contains(words));
        at.unwrap_or_else(|| panic!("no {words} in\n{picture}"))
    };
    let order = ["↑ glodap_v2", "⟳ stations", "↓ s3://", "↑ 3 files", "→ s3://", "4 earlier", "↑ B02"];
    let found: Vec<usize> = order.iter().map(|words| line(words)).collect();
    assert!(found.is_sorted(), "{found:?}\n{picture}");
    jobs.update(Action::Filter, &mut context);
    assert!(jobs.wants_text());
    jobs.edit(&secchi::widgets::input::Edit::Insert("upload fail".to_owned()), &mut context);
    let picture = cx::picture(&mut jobs, &context, 80, 24);
    insta::assert_snapshot!("jobs_failed_80x24", picture);
    jobs.edit(&secchi::widgets::input::Edit::Insert("x".to_owned()), &mut context);
    assert!(cx::picture(&mut jobs, &context, 80, 24).contains("no job matches"));
    jobs.update(Action::Back, &mut context);
    assert!(!jobs.wants_text() && cx::picture(&mut jobs, &context, 80, 24).contains("glodap_v2"));
    assert!(matches!(jobs.update(Action::Back, &mut context), Flow::Close));
}

#[test]
fn what_is_done_shows_its_proof_and_what_is_paused_how_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let context = cx::for_tests(folder.path());
    for (id, words) in [
        ("d", "pixels equal: 12,582,912 compared"),
        ("p", "p goes on"),
        ("q", "one job is before it"),
        ("q2", "it is next"),
        ("i", "its program ended before it at 62 %; r resumes it"),
        ("f", "the bucket refuses writing (AccessDenied)"),
        ("x", "stopped after 41 s; r runs it again"),
    ] {
        for (width, height) in [(80, 24), (120, 36), (200, 60)] {
            let mut jobs = JobsScreen::new(Some(id.to_owned()), &context);
            jobs.take(views());
            let picture = cx::picture(&mut jobs, &context, width, height);
            let text = picture.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            assert!(text.contains(words), "{words}:\n{picture}");
        }
    }
}

fn question(n: u32) -> Question {
    let choice = |key, name, words: &str| Choice { key, name, words: words.to_owned() };
    Question {
        text: format!("s3://b/lake{n}.tif exists already: 12 MiB, 2026-11-20 10:11; the new one has 14 MiB"),
        choices: vec![
            choice('s', "skip", "leave what stands there"),
            choice('S', "skip-all", "leave it, and all others like it"),
            choice('o', "overwrite", "replace what stands there"),
            choice('O', "overwrite-all", "replace it, and all others like it"),
            choice('x', "stop", "stop the whole job"),
        ],
    }
}

/// Asks so often, and ends with what was answered.
struct Asks(u32);

impl Job for Asks {
    fn title(&self) -> String {
        "upload lakes".to_owned()
    }
    fn spec(&self) -> JobSpec {
        JobSpec { kind: "upload".to_owned(), params: serde_json::Value::Null }
    }
    fn command(&self) -> Vec<String> {
        vec!["put".to_owned(), "lakes".to_owned()]
    }
    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, secchi::error::Result<Outcome>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for n in 1..=self.0 {
                answers.push(cx.control.ask(question(n)).await?.unwrap_or("nobody"));
            }
            Ok(Outcome { summary: format!("answered {}", answers.join(", ")), ..Outcome::default() })
        })
    }
}

#[test]
fn a_question_is_answered_from_anywhere_and_steals_no_key() {
    run(async {
        let folder = tempfile::tempdir().expect("a folder");
        let mut cx = cx::for_tests(folder.path());
        cx.jobs = cx.jobs.with_answers();
        let jobs = cx.jobs.clone();
        let mut drive = Drive::start(Open::Log, cx, (80, 24));
        drive.see("? help").await;
        let id = jobs.start(Box::new(Asks(4))).expect("starts");
        // Elsewhere it only says so; keys mean what they mean there.
        drive.see("lakes asks: W answers").await;
        drive.keys("j").await;
        assert!(!drive.screen().contains("lake1.tif"));
        drive.keys("W").await;
        let popup = drive.see("lake1.tif").await;
        assert!(popup.contains("upload lakes asks") && popup.contains("has 14 MiB"), "{popup}");
        insta::assert_snapshot!("question_80x24", steady(&popup.lines().take(20).collect::<Vec<_>>().join("\n")));
        // The safest is chosen.
        drive.keys("<Enter>").await;
        drive.gone("lake1.tif").await;
        drive.see("asks: W").await;
        drive.keys("W").await;
        drive.see("lake2.tif").await;
        drive.keys("O").await;
        drive.gone("lake2.tif").await;
        // On the screen of jobs it opens by itself, and not again once it was put off.
        drive.keys("w").await;
        drive.see("lake3.tif").await;
        drive.see("leave what stands there").await;
        drive.keys("<Esc>").await;
        drive.gone("leave what stands there").await;
        drive.see("W answers").await;
        drive.keys("<Enter>").await;
        drive.see("leave what stands there").await;
        drive.keys("<Down><Down><Enter>").await;
        drive.see("lake4.tif").await;
        drive.see("leave what stands there").await;
        // What is typed as it appears was meant for what stood there before.
        drive.keys("x").await;
        assert!(drive.screen().contains("lake4.tif"));
        while jobs.active() > 0 {
            drive.queue("S");
            drive.answered().await;
        }
        let view = jobs.wait(&id).await.expect("there");
        assert_eq!(view.outcome.expect("done").summary, "answered skip, overwrite-all, overwrite, skip-all");
        drive.see("done: answered skip").await;
    });
}

fn wave(phase: f64, height: f64) -> Vec<(f64, f64)> {
    (0..600).map(|i| (f64::from(i) * 0.2, height * (1.0 + (f64::from(i) * 0.05 + phase).sin()))).collect()
}

fn chart(width: u16, height: u16, count: usize, unicode: bool) -> String {
    let (one, two, three) = (wave(0.0, 40.0), wave(2.0, 25.0), wave(4.0, 10.0));
    let series = [("cog", &one), ("zarr", &two), ("zarr sharded", &three)].map(|(name, points)| Series {
        name,
        style: Style::default(),
        points,
    });
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    Chart {
        series: &series[..count],
        range: (0.0, 120.0),
        unit: Unit::Decimal,
        y_label: &|v, _| format!("{v:.0} req/s"),
        filled: true,
        empty: "no data yet",
        look: Look { label: Style::default(), grid: Style::default(), unicode },
    }
    .render(area, &mut buf);
    cx::text(&buf)
}

#[test]
fn leaving_names_the_jobs_and_can_clean_them_up() {
    run(async {
        let folder = tempfile::tempdir().expect("a folder");
        let mut cx = cx::for_tests(folder.path());
        cx.jobs = cx.jobs.with_answers();
        let jobs = cx.jobs.clone();
        let mut drive = Drive::start(Open::Log, cx, (80, 24));
        drive.see("? help").await;
        let id = jobs.start(Box::new(Asks(1))).expect("starts");
        drive.see("asks: W").await;
        drive.keys("Q").await;
        let popup = drive.see("Jobs are running").await;
        assert!(popup.contains("upload lakes") && popup.contains("asks"), "{popup}");
        insta::assert_snapshot!("quit_80x24", steady(&popup.lines().take(20).collect::<Vec<_>>().join("\n")));
        drive.keys("n").await;
        drive.gone("Jobs are running").await;
        assert_eq!(jobs.active(), 1);
        drive.keys("Q").await;
        drive.see("Jobs are running").await;
        drive.queue("c");
        drive.end().await;
        assert_eq!(jobs.view(&id).expect("there").state, State::Cancelled);
    });
}

#[test]
fn what_was_interrupted_is_offered_at_the_next_start() {
    run(async {
        let folder = tempfile::tempdir().expect("a folder");
        let mut cx = cx::for_tests(folder.path());
        cx.jobs = cx.jobs.with_answers();
        let first = cx.jobs.clone();
        first.start(Box::new(Asks(1))).expect("starts");
        while first.active_views().iter().all(|view| view.question.is_none()) {
            cx.waker.woken().await;
        }
        first.leave().await;
        drop((first, cx));
        let cx = cx::for_tests(folder.path());
        let mut drive = Drive::start(Open::Log, cx, (80, 24));
        drive.see("A job was interrupted").await;
        drive.see("upload lakes").await;
        drive.keys("n").await;
        drive.gone("A job was interrupted").await;
        drive.see("1 interrupted job ").await;
        drive.keys("w").await;
        drive.see("r resumes it").await;
        drive.keys("q").await;
        drive.gone("resumes it").await;
        assert!(!drive.screen().contains("1 interrupted job "), "{}", drive.screen());
    });
}

fn picture(points: &[(f64, f64)], range: (f64, f64)) -> String {
    let area = Rect::new(0, 0, 60, 7);
    let mut buf = Buffer::empty(area);
    Chart {
        series: &[Series { name: "", style: Style::default(), points }],
        range,
        unit: Unit::Decimal,
        y_label: &|v, _| if v >= 1e6 { format!("{v:.0e} B/s") } else { format!("{v:.1} B/s") },
        filled: true,
        empty: "no data yet",
        look: Look { label: Style::default(), grid: Style::default(), unicode: true },
    }
    .render(area, &mut buf);
    cx::text(&buf)
}

#[test]
fn charts_of_odd_numbers() {
    let waves = wave(0.0, 40.0);
    let gap: Vec<(f64, f64)> =
        waves.iter().map(|(t, y)| (*t, if (40.0..80.0).contains(t) { f64::NAN } else { *y })).collect();
    let huge: Vec<(f64, f64)> = waves.iter().map(|(t, y)| (*t, y * 1e17)).collect();
    let reversed: Vec<(f64, f64)> = waves.iter().rev().copied().collect();
    let mut stutters = waves.clone();
    stutters[300].0 = -5.0;
    let pictures = [
        ("zoomed to the last ten seconds", picture(&waves, (110.0, 120.0))),
        ("a gap", picture(&gap, (0.0, 120.0))),
        ("all zero", picture(&[(0.0, 0.0), (60.0, 0.0), (120.0, 0.0)], (0.0, 120.0))),
        ("one sample", picture(&[(60.0, 3.0)], (0.0, 120.0))),
        ("huge", picture(&huge, (0.0, 120.0))),
        ("time that goes back", picture(&reversed, (0.0, 120.0))),
        ("one sample that goes back", picture(&stutters, (0.0, 120.0))),
        ("infinite", picture(&[(0.0, f64::INFINITY), (60.0, 2.0), (90.0, 1.0)], (0.0, 120.0))),
        ("nothing", picture(&[], (0.0, 120.0))),
        ("no time at all", picture(&waves, (5.0, 5.0))),
    ];
    let all: Vec<String> = pictures.iter().map(|(name, picture)| format!("{name}:\n{picture}")).collect();
    insta::assert_snapshot!("chart_odd", all.join("\n\n"));
}

#[test]
fn charts() {
    insta::assert_snapshot!("chart_area", chart(72, 12, 1, true));
    insta::assert_snapshot!("chart_lines", chart(72, 14, 3, true));
    insta::assert_snapshot!("chart_ascii", chart(72, 14, 2, false));
    insta::assert_snapshot!("chart_empty", chart(72, 8, 0, true));
}
