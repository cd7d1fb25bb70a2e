//! Pictures of jobs, charts and forms, drawn from made-up numbers.

#[path = "support/cx.rs"]
mod cx;

use chrono::{Duration as Age, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::Widget;
use secchi::action::Action;
use secchi::job::{JobView, Outcome, State};
use secchi::meter::{Counts, Sample, Throughput};
use secchi::screen::{Flow, Screen};
use secchi::screens::jobs::{JobsScreen, strip};
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
        started: Utc::now() - Age::minutes(minutes) - Age::seconds(20),
        elapsed: Duration::from_secs(41),
        done: 0,
        total: 0,
        step: String::new(),
        counts: Counts::default(),
        in_flight: 0,
        throughput: Throughput::new(512),
        latency: None,
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
        view.throughput.push(Sample { t, bytes, requests: u64::from(i) * 5 });
    }
    view.counts = Counts { requests: 812, errors: 2, retries: 3, bytes_in: 41_000, bytes_out: bytes };
    view.elapsed = Duration::from_secs(80);
    (view.done, view.total) = (6_120 * MIB, 9_870 * MIB);
    view.in_flight = 8;
    view.step = String::from("part 765 of 1,234");
    view.eta = Some(Duration::from_secs(45));
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
        convert.throughput.push(Sample { t: f64::from(i), bytes: u64::from(i) * 2 * MIB, requests: u64::from(i) });
    }
    convert.eta = Some(Duration::from_secs(39));
    let mut done = job("d", "bench", "bench COG vs Zarr", State::Done, 190);
    done.outcome =
        Some(Outcome { summary: "zarr is 11.0 times as fast as cog; 30 patches".into(), ..Outcome::default() });
    let why = "putting s3://allas@bucket/big.tif: the bucket refuses writing (AccessDenied)".to_owned();
    vec![
        job("q", "upload", "upload 3 files to s3://allas@bucket/incoming/", State::Queued, 0),
        convert,
        done,
        upload(),
        job("f", "upload", "upload big.tif", State::Failed(why), 60 * 50),
        job("i", "convert", "convert glodap.csv.zip", State::Interrupted, 60 * 24 * 9),
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
        let line = strip(&views, width, &theme, true);
        assert!(line.width() <= usize::from(width), "{width}: {line}");
        lines.push(format!("{width:>3} {line}"));
    }
    let ascii = strip(&views, 80, &theme, false).to_string();
    assert!(ascii.chars().all(|c| c.is_ascii() || c == '…' || c == '␛'), "{ascii}");
    insta::assert_snapshot!("strip", lines.join("\n"));
    assert_eq!(strip(&[], 80, &theme, true).width(), 0);
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
fn charts() {
    insta::assert_snapshot!("chart_area", chart(72, 12, 1, true));
    insta::assert_snapshot!("chart_lines", chart(72, 14, 3, true));
    insta::assert_snapshot!("chart_ascii", chart(72, 14, 2, false));
    insta::assert_snapshot!("chart_empty", chart(72, 8, 0, true));
}
