//! The map of a large table of points, without a screen: reading, arranging, a frame while panning.
//!
//! ```text
//! cargo bench --bench map
//! SECCHI_BENCH_ROWS=328557      other than as many rows as a SlideRule file of one region has
//! SECCHI_BENCH_FILE=x.parquet   a file of one's own instead of points made here
//! ```
//! Prints one JSON object; times in milliseconds. `sample` and `all` begin when the batches are in memory
//! and end when the scene is ready to be drawn; `read` is opening the file and decoding it all before. A
//! frame is everything that is drawn in braille: graticule, outlines, points. A limit that is not kept
//! fails nothing: `limits` says what is wanted, `ratios` how much of each was needed (1 is all of it).

use arrow::array::{ArrayRef, BinaryArray, Float64Array, RecordBatch};
use futures::TryStreamExt as _;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use secchi::location::Location;
use secchi::map::graticule::Graticule;
use secchi::map::read::{Plan, Reader};
use secchi::map::{Colours, Plane, Scale, Scene, View, World, draw_features, draw_world, paint, sample};
use secchi::probe::Probe;
use secchi::store::{Options, Stores};
use secchi::table::{Open, Rows, Scan};
use secchi::task::Control;
use secchi::widgets::map::Canvas;
use serde_json::{Value, json};
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

const SAMPLE_MS: f64 = 100.0;
const ALL_MS: f64 = 500.0;
const FRAME_MS: f64 = 16.0;
const SEED: u64 = 5;

fn main() {
    let rows = std::env::var("SECCHI_BENCH_ROWS").ok().and_then(|v| v.parse().ok()).unwrap_or(328_557);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = std::env::var("SECCHI_BENCH_FILE").map_or_else(
        |_| {
            let file = folder.path().join("points.parquet");
            write(&file, rows);
            file
        },
        Into::into,
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let began = Instant::now();
    let (plan, batches) = runtime.block_on(read(&file));
    let read = ms(began);
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();

    let some: Vec<RecordBatch> = batches.iter().take(1).map(|b| b.slice(0, b.num_rows().min(1_000))).collect();
    let sample = best(|| arrange(&plan, &some, None));
    let chosen = best(|| arrange(&plan, &batches, Some(1_000)));
    let all = best(|| arrange(&plan, &batches, None));
    let scene = arrange(&plan, &batches, None);
    let world = World::load();
    let frames: Vec<Value> = [(46, 19), (150, 55)].into_iter().map(|size| pan(&scene, &world, size)).collect();
    let slowest = frames.iter().filter_map(|f| f["max"].as_f64()).fold(0.0, f64::max);
    let extent = scene.extent.expect("points");
    let view = View::fit(Plane::Degrees, &extent, (1_200, 900));
    let inks = vec![[255, 200, 0]; 25];
    let colours = Colours { sea: [0; 3], land: [20; 3], lines: [[60; 3]; 3], inks };
    let picture = best(|| paint(&scene, &world, &view, &colours));
    let centre = [600.0, 450.0];
    let pick = best(|| (0..100).filter_map(|i| scene.pick(&view, [centre[0] + f64::from(i), centre[1]], 6.0)).count());
    let report = json!({
        "bench": "map",
        "rows": rows,
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "machine": {
            "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            "load": load.split(' ').next().and_then(|l| l.parse::<f64>().ok()),
        },
        "read_ms": read,
        "sample_ms": sample,
        "sample_of_all_ms": chosen,
        "all_ms": all,
        "frames": frames,
        "picture_ms": picture,
        "pick_ms": pick / 100.0,
        "limits": { "sample_ms": SAMPLE_MS, "all_ms": ALL_MS, "frame_ms": FRAME_MS },
        "ratios": {
            "sample": sample / SAMPLE_MS,
            "all": all / ALL_MS,
            "frame": slowest / FRAME_MS,
        },
    });
    let _ = writeln!(std::io::stdout(), "{report:#}");
}

fn ms(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 100_000.0).round() / 100.0
}

/// The best of some runs.
fn best<T>(mut f: impl FnMut() -> T) -> f64 {
    let run = |f: &mut dyn FnMut() -> T| {
        let began = Instant::now();
        std::hint::black_box(f());
        ms(began)
    };
    (0..7).map(|_| run(&mut f)).fold(f64::INFINITY, f64::min)
}

/// Batches to a scene, as the screen does it.
fn arrange(plan: &Plan, batches: &[RecordBatch], wanted: Option<usize>) -> Scene {
    let mut reader = Reader::new(plan.clone(), None);
    for batch in batches {
        reader.add(batch).expect("features");
    }
    let features = Arc::new(reader.finish());
    let scale = Scale::of(&features.values, 24, 6);
    let inks = scale.ink_all(&features.values, features.len());
    let chosen = wanted.map(|n| sample::choose(features.len(), n, SEED));
    Scene::new(features, chosen.as_deref(), &inks, Plane::Degrees)
}

/// Frames of a map of so many cells, going around at several distances.
fn pan(scene: &Scene, world: &World, (columns, rows): (u16, u16)) -> Value {
    let dots = (u32::from(columns) * 2, u32::from(rows) * 4);
    let all = View::fit(Plane::Degrees, &scene.extent.expect("points"), dots);
    let middle = [f64::from(dots.0) / 2.0, f64::from(dots.1) / 2.0];
    let mut times = Vec::new();
    for closer in [0.25, 1.0, 2.0, 4.0, 16.0] {
        let mut view = all.closer(closer, middle);
        for step in 0..24_u32 {
            let (sin, cos) = (f64::from(step) / 24.0 * std::f64::consts::TAU).sin_cos();
            view = view.moved([cos * 6.0, sin * 6.0]);
            let began = Instant::now();
            let mut canvas = Canvas::new(columns, rows);
            Graticule::new(&view, [26.0, 20.0]).draw(&view, &mut canvas.ground(), 1);
            draw_world(world, &view, &mut canvas.ground(), 2, 3);
            draw_features(scene, &view, &mut canvas.data());
            std::hint::black_box(&canvas);
            times.push(ms(began));
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    json!({ "cells": [columns, rows], "median": at(0.5), "p99": at(0.99), "max": at(1.0) })
}

async fn read(file: &std::path::Path) -> (Plan, Vec<RecordBatch>) {
    let stores = Stores::new(Options::default());
    let location = Location::parse(&file.to_string_lossy()).expect("a location");
    let control = Control::default();
    let open = Open { probe: Probe::new(location), control: control.clone(), max_bytes: 1 << 30 };
    let table: Arc<dyn Rows> = secchi::tables::open(stores, open).await.expect("a table");
    let plan = Plan::of(&table.about()).expect("geometry");
    let scan = table.scan(Scan { columns: Some(plan.columns()), rows: None }, &control);
    (plan, scan.try_collect().await.expect("rows"))
}

/// Points like those of `SlideRule`, scattered over a region, with a height and the metadata that such
/// files have: bounds of the whole world.
fn write(file: &std::path::Path, rows: usize) {
    let mut state = SEED;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let points: Vec<[u8; 21]> = (0..rows).map(|_| wkb(-108.3 + random() * 0.6, 38.8 + random() * 0.4)).collect();
    let geometry: ArrayRef = Arc::new(BinaryArray::from_iter_values(&points));
    let heights: ArrayRef = Arc::new(Float64Array::from_iter_values((0..rows).map(|i| {
        let along = i as f64 / 2_000.0;
        1_700.0 + along.sin() * 120.0
    })));
    let batch = RecordBatch::try_from_iter([("h_mean", heights), ("geometry", geometry)]).expect("a batch");
    let out = std::fs::File::create(file).expect("a file");
    let mut writer = ArrowWriter::try_new(out, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    let geo = json!({ "version": "1.0.0-beta.1", "primary_column": "geometry", "columns": { "geometry": {
        "encoding": "WKB", "geometry_types": ["Point"], "bbox": [-180.0, -90.0, 180.0, 90.0],
    } } });
    writer.append_key_value_metadata(KeyValue::new("geo".to_owned(), geo.to_string()));
    writer.close().expect("closed");
}

fn wkb(x: f64, y: f64) -> [u8; 21] {
    let mut out = [0; 21];
    (out[0], out[1]) = (1, 1);
    out[5..13].copy_from_slice(&x.to_le_bytes());
    out[13..].copy_from_slice(&y.to_le_bytes());
    out
}
