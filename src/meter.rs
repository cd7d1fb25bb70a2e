//! Counting what goes over the wire: requests, bytes, latencies, throughput. Pure; no I/O.
//!
//! A [`Meter`] may have a parent: what a preview counts, its store and the whole program count too.

use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shared counters; clones count into the same place.
#[derive(Clone)]
pub struct Meter(Arc<Inner>);

struct Inner {
    parent: Option<Meter>,
    started: Instant,
    requests: AtomicU64,
    errors: AtomicU64,
    retries: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    in_flight: AtomicU64,
    latency: Mutex<Histogram<u64>>,
}

/// A snapshot of a [`Meter`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Requests sent, retries by the client library not included.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Requests that were sent again by us.
    pub retries: u64,
    /// Bytes of bodies received.
    pub bytes_in: u64,
    /// Bytes of bodies sent.
    pub bytes_out: u64,
}

impl Counts {
    /// `3 requests · 212.0 KiB`: what was received, with `dot` between.
    pub fn received(&self, dot: &str) -> String {
        let s = if self.requests == 1 { "" } else { "s" };
        format!("{} request{s}{dot}{}", crate::text::count(self.requests), crate::text::bytes(self.bytes_in))
    }
}

/// What an answer cost: shown under every preview, given with `--json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cost {
    /// Requests sent.
    pub requests: u64,
    /// Bytes received and sent.
    pub bytes: u64,
    /// Milliseconds from the wish to the answer.
    pub ms: u64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = if self.requests == 1 { "" } else { "s" };
        write!(f, "{} request{s} · {} · {} ms", self.requests, crate::text::bytes(self.bytes), self.ms)
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter {
    /// A meter of its own.
    pub fn new() -> Self {
        Self::with_parent(None)
    }

    /// A meter whose counts are also counted here.
    #[must_use]
    pub fn child(&self) -> Self {
        Self::with_parent(Some(self.clone()))
    }

    fn with_parent(parent: Option<Self>) -> Self {
        Self(Arc::new(Inner {
            parent,
            started: Instant::now(),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            latency: Mutex::new(latency_histogram()),
        }))
    }

    fn each(&self, f: impl Fn(&Inner)) {
        let mut next = Some(self);
        while let Some(meter) = next {
            f(&meter.0);
            next = meter.0.parent.as_ref();
        }
    }

    /// Counts a request from its start until the guard is finished or dropped.
    pub fn request(&self) -> Request {
        self.each(|m| {
            m.requests.fetch_add(1, Relaxed);
            m.in_flight.fetch_add(1, Relaxed);
        });
        Request { meter: self.clone(), started: Instant::now(), failed: true }
    }

    /// Counts bytes of a body received.
    pub fn received(&self, bytes: u64) {
        self.each(|m| {
            m.bytes_in.fetch_add(bytes, Relaxed);
        });
    }

    /// Counts bytes of a body sent.
    pub fn sent(&self, bytes: u64) {
        self.each(|m| {
            m.bytes_out.fetch_add(bytes, Relaxed);
        });
    }

    /// Counts a request that is sent again.
    pub fn retried(&self) {
        self.each(|m| {
            m.retries.fetch_add(1, Relaxed);
        });
    }

    /// Records a latency that no [`Request`] measured.
    pub fn record_latency(&self, took: Duration) {
        let us = took.as_micros().min(u128::from(u64::MAX)) as u64;
        self.each(|m| {
            m.latency.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(us.max(1));
        });
    }

    /// Requests that are under way now.
    pub fn in_flight(&self) -> u64 {
        self.0.in_flight.load(Relaxed)
    }

    /// The counters now.
    pub fn counts(&self) -> Counts {
        let m = &self.0;
        Counts {
            requests: m.requests.load(Relaxed),
            errors: m.errors.load(Relaxed),
            retries: m.retries.load(Relaxed),
            bytes_in: m.bytes_in.load(Relaxed),
            bytes_out: m.bytes_out.load(Relaxed),
        }
    }

    /// What was spent since the meter was made.
    pub fn cost(&self) -> Cost {
        let c = self.counts();
        Cost { requests: c.requests, bytes: c.bytes_in + c.bytes_out, ms: self.0.started.elapsed().as_millis() as u64 }
    }

    /// Request latencies so far, in microseconds.
    pub fn latency(&self) -> Histogram<u64> {
        self.0.latency.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An empty histogram of microseconds: 1 µs to 1 hour, three significant digits.
pub fn latency_histogram() -> Histogram<u64> {
    #[allow(clippy::expect_used)] // the three constants are valid by the library's documentation
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("constant bounds")
}

/// A request under way. Call [`Request::done`] when it succeeded; dropped, it counts as failed.
pub struct Request {
    meter: Meter,
    started: Instant,
    failed: bool,
}

impl Request {
    /// It succeeded: its latency counts.
    pub fn done(mut self) -> Duration {
        self.failed = false;
        let took = self.started.elapsed();
        self.meter.record_latency(took);
        took
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let failed = self.failed;
        self.meter.each(|m| {
            m.in_flight.fetch_sub(1, Relaxed);
            if failed {
                m.errors.fetch_add(1, Relaxed);
            }
        });
    }
}

/// One sample of a [`Throughput`]: cumulative counters at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Sample {
    /// Seconds since the series began.
    pub t: f64,
    /// Bytes so far, both ways.
    pub bytes: u64,
    /// Requests so far.
    pub requests: u64,
    /// Those of `bytes` that were sent.
    #[serde(default)]
    pub sent: u64,
}

/// A series of cumulative samples in bounded memory: when it is full, the sample goes that is missed
/// least, which is the one with the closest neighbours for its age. So the whole run stays visible, the
/// last minutes at full resolution. Rates are differences, so nothing is lost by thinning.
#[derive(Clone, Debug)]
pub struct Throughput {
    /// Shared by its clones until one of them grows: snapshots for the screen are taken often.
    samples: Arc<VecDeque<Sample>>,
    capacity: usize,
}

impl Throughput {
    /// A series of at most `capacity` samples.
    pub fn new(capacity: usize) -> Self {
        Self { samples: Arc::default(), capacity: capacity.max(8) }
    }

    /// Adds a sample; one that goes back in time is dropped.
    pub fn push(&mut self, sample: Sample) {
        if self.samples.back().is_some_and(|last| sample.t <= last.t) {
            return;
        }
        let samples = Arc::make_mut(&mut self.samples);
        samples.push_back(sample);
        if samples.len() > self.capacity {
            thin(samples, |s| s.t);
        }
    }

    /// The samples kept, oldest first.
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = &Sample> + ExactSizeIterator {
        self.samples.iter()
    }

    /// `(seconds, bytes per second)` between neighbouring samples, at the later one's time.
    pub fn byte_rates(&self) -> Vec<(f64, f64)> {
        self.rates(|s| s.bytes)
    }

    /// `(seconds, bytes sent per second)` between neighbouring samples.
    pub fn sent_rates(&self) -> Vec<(f64, f64)> {
        self.rates(|s| s.sent)
    }

    /// `(seconds, bytes received per second)` between neighbouring samples.
    pub fn received_rates(&self) -> Vec<(f64, f64)> {
        self.rates(|s| s.bytes.saturating_sub(s.sent))
    }

    /// `(seconds, requests per second)` between neighbouring samples.
    pub fn request_rates(&self) -> Vec<(f64, f64)> {
        self.rates(|s| s.requests)
    }

    fn rates(&self, of: impl Fn(&Sample) -> u64) -> Vec<(f64, f64)> {
        self.samples
            .iter()
            .zip(self.samples.iter().skip(1))
            .map(|(a, b)| (b.t, of(b).saturating_sub(of(a)) as f64 / (b.t - a.t)))
            .collect()
    }

    /// Bytes per second over the last `window` seconds.
    pub fn recent(&self, window: f64) -> f64 {
        let Some(last) = self.samples.back() else { return 0.0 };
        let first = self.samples.iter().rev().take_while(|s| last.t - s.t <= window).last().unwrap_or(last);
        if last.t > first.t { (last.bytes - first.bytes) as f64 / (last.t - first.t) } else { 0.0 }
    }
}

/// Request latencies over time: p50, p90, p99 and maximum of each interval, in microseconds. Bounded and
/// thinned as a [`Throughput`] is.
#[derive(Clone, Debug)]
pub struct Latencies {
    points: Arc<VecDeque<(f64, [u64; 4])>>,
    capacity: usize,
}

impl Latencies {
    /// A series of at most `capacity` points.
    pub fn new(capacity: usize) -> Self {
        Self { points: Arc::default(), capacity: capacity.max(8) }
    }

    /// Adds the percentiles of the interval that ended `t` seconds after the start; a point that goes back in
    /// time is dropped.
    pub fn push(&mut self, t: f64, percentiles: [u64; 4]) {
        if self.points.back().is_some_and(|last| t <= last.0) {
            return;
        }
        let points = Arc::make_mut(&mut self.points);
        points.push_back((t, percentiles));
        if points.len() > self.capacity {
            thin(points, |p| p.0);
        }
    }

    /// The points kept, oldest first.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = &(f64, [u64; 4])> + ExactSizeIterator {
        self.points.iter()
    }
}

/// At this age, in seconds, a series may be half as dense as at its end.
const FRESH: f64 = 30.0;

/// Drops the one of `series` that leaves the smallest gap for its age; never its first or last.
fn thin<T>(series: &mut VecDeque<T>, time: impl Fn(&T) -> f64) {
    let Some(end) = series.back().map(&time) else { return };
    let gap = |i: usize| (time(&series[i + 1]) - time(&series[i - 1])) / (end - time(&series[i]) + FRESH);
    let least = (1..series.len().saturating_sub(1)).min_by(|a, b| gap(*a).total_cmp(&gap(*b)));
    if let Some(least) = least {
        series.remove(least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_counts_into_its_parents() {
        let all = Meter::new();
        let one = all.child();
        let request = one.request();
        assert_eq!(all.in_flight(), 1);
        one.received(10);
        request.done();
        drop(one.request());
        assert_eq!(all.counts(), Counts { requests: 2, errors: 1, bytes_in: 10, ..Counts::default() });
        assert_eq!(all.latency().len(), 1);
        assert_eq!(all.in_flight(), 0);
    }

    #[test]
    fn thinning_keeps_the_whole_run_and_its_rates() {
        let mut series = Throughput::new(16);
        for i in 0..1000_u64 {
            series.push(Sample { t: i as f64, bytes: i * 100, requests: i, sent: i * 25 });
        }
        assert!(series.samples().len() <= 16);
        assert_eq!(series.samples().next().map(|s| s.t), Some(0.0));
        assert!(series.byte_rates().iter().all(|(_, r)| (r - 100.0).abs() < 1e-9));
        assert!((series.recent(2000.0) - 100.0).abs() < 1e-9);
        assert!(series.sent_rates().iter().all(|(_, r)| (r - 25.0).abs() < 1e-9));
        assert!(series.received_rates().iter().all(|(_, r)| (r - 75.0).abs() < 1e-9));
    }

    #[test]
    fn what_is_recent_is_kept_finer_than_what_is_long_ago() {
        let (mut series, mut latencies) = (Throughput::new(600), Latencies::new(60));
        for i in 0..18_000_u32 {
            let t = f64::from(i) * 0.2;
            series.push(Sample { t, ..Sample::default() });
            latencies.push(t, [1, 2, 3, 4]);
        }
        let times: Vec<f64> = series.samples().map(|s| s.t).collect();
        assert_eq!((times.len(), times[0]), (600, 0.0));
        let recent = times.iter().filter(|t| **t > 3590.0).count();
        let longest = times.windows(2).map(|w| w[1] - w[0]).fold(0.0, f64::max);
        assert!(recent >= 20, "{recent} samples of the last ten seconds");
        assert!(longest < 60.0, "a gap of {longest} s");
        assert_eq!(latencies.points().len(), 60);
        assert_eq!(latencies.points().next().map(|p| p.0), Some(0.0));
    }
}
