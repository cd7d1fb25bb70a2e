//! Benchmarks of random patch reads, over small series that the tests write: `GeoTIFF` scenes and a
//! Zarr array of the same pixels.

use secchi::bench::{self, Event, Format, PatchSize, Report, Series, Spec};
use secchi::error::Kind;
use secchi::job::{Job, JobCx};
use secchi::jobs::bench::Bench;
use secchi::location::Location;
use secchi::meter::Meter;
use secchi::store::{Options, Stores};
use secchi::task::Control;
use std::path::Path;
use std::sync::Mutex;

#[path = "support/series.rs"]
mod series;
use series::{SIDE, pixel, write_cogs, write_zarr};

fn at(path: &Path) -> Location {
    Location::file(path)
}

/// Both series, written, and a benchmark of them.
fn series(folder: &Path) -> Spec {
    write_cogs(&folder.join("cog"));
    write_zarr(&folder.join("x.zarr"), None, None);
    Spec {
        repeats: 4,
        patch: PatchSize::Pixels(200),
        series: vec![
            Series::new("cog", Format::Cog, at(&folder.join("cog"))),
            Series::new("zarr", Format::Zarr, at(&folder.join("x.zarr"))),
        ],
        ..Spec::default()
    }
}

async fn measure(spec: &Spec) -> secchi::error::Result<(Report, Vec<Event>)> {
    let events = Mutex::new(Vec::new());
    let stores = Stores::new(Options::default());
    let control = Control::default();
    let report = bench::run(spec, &stores, &control, &|event| events.lock().expect("not poisoned").push(event)).await?;
    let (done, total) = control.progress();
    assert_eq!(done, total);
    Ok((report, events.into_inner().expect("not poisoned")))
}

#[tokio::test(flavor = "multi_thread")]
async fn cog_zarr_and_shards_hold_the_same_pixels_and_every_sample_is_kept() {
    let folder = tempfile::tempdir().expect("folder");
    let mut spec = series(folder.path());
    write_zarr(&folder.path().join("s.zarr"), Some(vec![1, 1, 128, 128]), None);
    spec.series.push(Series::new("shards", Format::Zarr, at(&folder.path().join("s.zarr"))));
    let (report, events) = measure(&spec).await.expect("measured");

    assert_eq!(report.samples.len(), 3 * 4);
    let of = |name: &str| events.iter().filter(|e| serde_json::to_value(e).expect("json")["event"] == name).count();
    assert_eq!((of("series"), of("verify"), of("warmup"), of("sample")), (3, 1, 3, 12));
    for repeat in report.samples.chunks(3) {
        assert!(repeat.iter().all(|s| s.checksum == repeat[0].checksum && (s.x, s.y) == (repeat[0].x, repeat[0].y)));
        assert_eq!(repeat.iter().map(|s| s.order).collect::<Vec<_>>(), [0, 1, 2]);
    }
    assert!(report.samples.iter().all(|s| s.total_ms > 0.0 && s.x + s.w <= SIDE && s.y + s.h <= SIDE));
    assert!(report.samples.iter().all(|s| s.requests >= 3 && s.bytes > 1000), "counted: {:?}", report.samples[0]);
    let latencies = report.histogram("zarr").expect("kept").expect("read");
    let requests: u64 = report.samples.iter().filter(|s| s.series == "zarr").map(|s| s.requests).sum();
    assert_eq!(latencies.len(), requests, "of the timed reads alone, without warm-up");
    assert!(report.samples.windows(2).all(|pair| pair[0].t_ms < pair[1].t_ms));
    assert_eq!(report.series[2].layout, "chunks 1 x 1 x 128 x 128 in shards 2 x 4 x 256 x 256");
    assert_eq!(report.series[0].extent, report.series[1].extent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_gives_the_same_patches_in_the_same_order() {
    let folder = tempfile::tempdir().expect("folder");
    let mut spec = series(folder.path());
    let plan = |report: &Report| -> Vec<(String, u32, u64, u64, String)> {
        report.samples.iter().map(|s| (s.series.clone(), s.repeat, s.x, s.y, s.checksum.clone())).collect()
    };
    let (one, _) = measure(&spec).await.expect("measured");
    let (same, _) = measure(&spec).await.expect("measured");
    assert_eq!(plan(&one), plan(&same));
    spec.seed = 7;
    let (other, _) = measure(&spec).await.expect("measured");
    assert_ne!(plan(&one), plan(&other));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_can_be_recomputed_from_the_file() {
    let folder = tempfile::tempdir().expect("folder");
    let (report, _) = measure(&series(folder.path())).await.expect("measured");
    let text = report.to_json().expect("json");
    let read = Report::from_json(&text).expect("read");
    assert_eq!(bench::summary(&read.samples), report.summary);
    let mut shuffled = read.samples.clone();
    shuffled.reverse();
    assert_eq!(bench::summary(&shuffled), report.summary);

    let mean = |name: &str| {
        let times: Vec<f64> = read.samples.iter().filter(|s| s.series == name).map(|s| s.total_ms).collect();
        times.iter().sum::<f64>() / times.len() as f64
    };
    for s in &report.summary.series {
        assert!((s.mean - mean(&s.series)).abs() < 1e-9);
        assert!(s.min <= s.median && s.median <= s.p90 && s.p90 <= s.p99 && s.p99 <= s.max);
        assert!(s.mean_ci95.low <= s.mean && s.mean <= s.mean_ci95.high);
    }
    assert_eq!(report.csv().lines().count(), 1 + read.samples.len());
    let markdown = report.markdown();
    assert!(markdown.contains("| cog | 4 |") && markdown.contains("times as long as"), "{markdown}");

    let comparison = bench::compare(&report, &read);
    assert_eq!(comparison.series.len(), 2);
    assert!(comparison.series.iter().all(|s| !s.significant && (s.change.ratio - 1.0).abs() < 1e-12));
    assert!(comparison.warnings.is_empty() && comparison.markdown().contains("no clear difference"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_altered_pixel_is_found_and_named() {
    let folder = tempfile::tempdir().expect("folder");
    let mut spec = series(folder.path());
    // The patch is the whole image, so that the pixel is in it.
    spec.patch = PatchSize::Pixels(SIDE);
    write_zarr(&folder.path().join("x.zarr"), None, Some([2, 1, 599, 123]));
    let err = measure(&spec).await.expect_err("they differ");
    assert_eq!(err.kind(), Kind::Invalid);
    let words = err.to_string();
    let (was, is) = (pixel(2, 1, 599, 123), pixel(2, 1, 599, 123) + 1);
    for part in ["series `zarr`", "`cog`", "date 3", "20240103.tif", "band 2", "column 123", "row 599"] {
        assert!(words.contains(part), "{part} in {words}");
    }
    assert!(words.contains(&format!("has {is} where `cog` has {was}")), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixel_that_only_a_timed_patch_holds_is_found_too() {
    let folder = tempfile::tempdir().expect("folder");
    let mut spec = series(folder.path());
    spec.repeats = 40;
    let (report, events) = measure(&spec).await.expect("equal");
    let proved = events.iter().find_map(|e| if let Event::Verify { window, .. } = e { Some(*window) } else { None });
    let proved = proved.expect("verified");
    let sample = report.samples.iter().find(|s| s.x.abs_diff(proved.x) >= 200).expect("a patch beside the first");
    write_zarr(&folder.path().join("x.zarr"), None, Some([0, 0, sample.y, sample.x]));
    let err = measure(&spec).await.expect_err("they differ").to_string();
    assert!(err.contains("date 1 ") && err.contains("band 1"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_measured_is_said_in_a_sentence() {
    let folder = tempfile::tempdir().expect("folder");
    let good = series(folder.path());
    let refused = async |change: &dyn Fn(&mut Spec)| {
        let mut spec = good.clone();
        change(&mut spec);
        measure(&spec).await.expect_err("refused")
    };

    let zero = refused(&|s| s.patch = PatchSize::Pixels(0)).await;
    assert_eq!((zero.kind(), zero.to_string()), (Kind::Usage, "a patch of 0 pixels holds nothing to read".into()));
    let large = refused(&|s| s.patch = PatchSize::Pixels(601)).await;
    assert!(large.to_string().contains("601 x 601 pixels does not fit into series `cog`, which has 600 x 600"));
    assert_eq!(large.hint(), Some("choose a patch of at most 600 pixels"));

    let nothing = refused(&|s| s.series[0].suffix = Some("B02.tif".into())).await;
    assert!(nothing.to_string().contains("series `cog`: no file ends in `B02.tif`"), "{nothing}");
    let gone = refused(&|s| s.series[1].array = Some("dada".into())).await;
    assert_eq!(gone.kind(), Kind::NotFound, "{gone}");
    assert!(gone.to_string().contains("series `zarr`: opening "), "{gone}");

    let fewer = refused(&|s| s.series[0].files = vec!["S2B_20240101.tif".into()]).await;
    assert!(fewer.to_string().contains("has 3 dates x 4 bands x 600 x 600 pixels, but `cog` has 1 dates"), "{fewer}");

    let chunk = folder.path().join("x.zarr/data/c/0/0/1/1");
    std::fs::write(&chunk, b"not zstd").expect("written");
    let broken = refused(&|s| s.patch = PatchSize::Pixels(SIDE)).await;
    assert_eq!(broken.kind(), Kind::Invalid, "{broken}");
    std::fs::write(folder.path().join("cog/S2A_20240102.tif"), b"II*\0 no more").expect("written");
    let broken = refused(&|_| ()).await;
    assert!(broken.to_string().contains("S2A_20240102.tif"), "{broken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metres_are_pixels_of_the_scenes() {
    let folder = tempfile::tempdir().expect("folder");
    let mut spec = series(folder.path());
    spec.patch = PatchSize::Metres { metres: 1500.0, snap: 60.0 };
    let (report, _) = measure(&spec).await.expect("measured");
    assert!(report.samples.iter().all(|s| s.w == 150 && s.x % 6 == 0 && s.y % 6 == 0));
}

/// A job's context, and what it records.
fn context() -> (JobCx, tokio::sync::mpsc::UnboundedReceiver<serde_json::Value>) {
    let (events, heard) = tokio::sync::mpsc::unbounded_channel();
    (
        JobCx {
            stores: Stores::new(Options::default()),
            control: Control::new(Meter::new()),
            events,
            earlier: Vec::new(),
        },
        heard,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_writes_its_result_once_and_can_be_made_again() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("result.json");
    let job = Bench { spec: series(folder.path()), out: Some(at(&out)), overwrite: false, spec_file: None };
    let again = secchi::jobs::from_spec(job.spec()).expect("made again");
    assert_eq!(again.spec(), job.spec());
    assert_eq!(again.title(), "bench COG vs Zarr");
    let words = again.command();
    assert_eq!((&*words[0], &*words[1], &*words[3]), ("bench", "run", "--out"));
    assert_eq!(Spec::parse(&words[2]).expect("a description"), job.spec);

    let (cx, mut heard) = context();
    let outcome = again.run(&cx).await.expect("done");
    assert_eq!(outcome.written, [at(&out)]);
    let file = Report::from_json(&std::fs::read_to_string(&out).expect("read")).expect("report");
    assert_eq!(serde_json::to_value(&file).expect("json"), outcome.data);
    let mut samples = 0;
    while let Ok(event) = heard.try_recv() {
        samples += usize::from(event["event"] == "sample");
    }
    assert_eq!(samples, file.samples.len());
    assert!(outcome.summary.contains("times as fast as"), "{}", outcome.summary);

    let refused = again.run(&context().0).await.expect_err("it is there");
    assert_eq!(refused.kind(), Kind::Exists);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_the_run_at_once_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let mut spec = series(folder.path());
    spec.repeats = 100_000;
    let out = folder.path().join("result.json");
    let job = Bench { spec, out: Some(at(&out)), overwrite: false, spec_file: None };
    let (cx, mut heard) = context();
    let control = cx.control.clone();
    let run = tokio::spawn(async move { job.run(&cx).await });
    while let Some(event) = heard.recv().await {
        if event["event"] == "sample" {
            control.cancel();
            break;
        }
    }
    let err = run.await.expect("joins").expect_err("cancelled");
    assert_eq!(err.kind(), Kind::Cancelled);
    assert!(!out.exists());
}
