//! What a benchmark has found so far: from its events while it runs, from its report once it is done.

use crate::bench::{Event, Report, Sample, SeriesFacts, Summary, summary};
use crate::error::{Error, Kind, Result};
use crate::job::JobView;
use crate::task::{Pending, Waker, poll_slot};
use serde::Deserialize as _;
use std::collections::BTreeMap;

/// The state of a benchmark on the screen.
#[derive(Default)]
pub(super) struct Data {
    /// Series as they were found, in the order of the spec.
    pub(super) series: Vec<SeriesFacts>,
    /// How many values of each series were compared.
    pub(super) verified: Option<u64>,
    /// Reads that warmed up.
    pub(super) warmups: usize,
    /// Timed reads.
    pub(super) samples: Vec<Sample>,
    /// Of the samples that were there when it was begun.
    pub(super) summary: Summary,
    /// Once the benchmark is done.
    pub(super) report: Option<Box<Report>>,
    /// Patches that all series have read, and those at which they hold equal pixels.
    pub(super) checked: (usize, usize),
    /// Events that were looked at.
    seen: usize,
    /// Samples that the summary, or the one under way, is of.
    summed: usize,
    pending: Option<Pending<Summary>>,
}

impl Data {
    /// Takes what is new in a snapshot of the job.
    pub(super) fn take(&mut self, view: &JobView, waker: &Waker) {
        if let Some(report) = view.outcome.as_ref().filter(|_| self.report.is_none())
            && let Ok(report) = Report::deserialize(&report.data)
        {
            self.finish(report);
        }
        if view.events.len() < self.seen {
            *self = Self { report: self.report.take(), ..Self::default() };
        }
        let before = self.samples.len();
        for event in &view.events[self.seen..] {
            if let Ok(event) = Event::deserialize(event) {
                self.event(event);
            }
        }
        self.seen = view.events.len();
        if self.samples.len() != before {
            self.checked = check(&self.samples, self.series.len());
        }
        self.sum_up(waker);
    }

    fn finish(&mut self, report: Report) {
        self.pending = None;
        self.series.clone_from(&report.series);
        self.samples.clone_from(&report.samples);
        self.summary = report.summary.clone();
        self.summed = self.samples.len();
        self.checked = check(&self.samples, self.series.len());
        self.report = Some(Box::new(report));
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Series(facts) => {
                // The same series again: another attempt has begun.
                if self.report.is_none() && self.series.iter().any(|s| s.name == facts.name) {
                    let seen = self.seen;
                    *self = Self { seen, ..Self::default() };
                }
                if !self.series.iter().any(|s| s.name == facts.name) {
                    self.series.push(facts);
                }
            }
            Event::Verify { values, .. } => self.verified = Some(values),
            Event::Warmup { .. } => self.warmups += 1,
            Event::Sample(sample) if self.report.is_none() => self.samples.push(sample),
            Event::Sample(_) => {}
        }
    }

    /// Bootstraps take their time: beside the loop, one at a time, the newest samples next.
    fn sum_up(&mut self, waker: &Waker) {
        if let Some(Ok(summary)) = poll_slot(&mut self.pending) {
            self.summary = summary;
        }
        if self.pending.is_none() && self.summed != self.samples.len() {
            self.summed = self.samples.len();
            let samples = self.samples.clone();
            self.pending = Some(Pending::spawn(waker, async move { beside(samples).await }));
        }
    }

    /// The place of a series in the spec, which gives its mark and colour.
    pub(super) fn index(&self, name: &str) -> usize {
        self.series.iter().position(|s| s.name == name).unwrap_or(0)
    }

    /// Names in the order of the spec.
    pub(super) fn names(&self) -> Vec<&str> {
        self.series.iter().map(|s| s.name.as_str()).collect()
    }

    /// Milliseconds of all reads of a series.
    pub(super) fn times(&self, name: &str) -> Vec<f64> {
        self.samples.iter().filter(|s| s.series == name).map(|s| s.total_ms).collect()
    }
}

async fn beside(samples: Vec<Sample>) -> Result<Summary> {
    tokio::task::spawn_blocking(move || summary(&samples))
        .await
        .map_err(|err| Error::new(Kind::Failed, "summing up the benchmark failed").with_source(err))
}

/// Patches that `series` series have read, and at how many of them the checksums of all agree.
fn check(samples: &[Sample], series: usize) -> (usize, usize) {
    let mut by_repeat: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for sample in samples {
        by_repeat.entry(sample.repeat).or_default().push(&sample.checksum);
    }
    let whole: Vec<_> = by_repeat.values().filter(|sums| sums.len() >= series.max(2)).collect();
    (whole.len(), whole.iter().filter(|sums| sums.windows(2).all(|w| w[0] == w[1])).count())
}
