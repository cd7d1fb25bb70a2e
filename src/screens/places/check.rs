//! A check of a place while it runs, and what it has found.

use crate::location::Location;
use crate::screen::Cx;
use crate::store::{Finding, Topic};
use crate::task::Feed;
use futures::StreamExt as _;

/// What is known of one check.
pub(super) struct Check {
    feed: Feed<Finding>,
    /// In the order of their topics.
    pub(super) findings: Vec<Finding>,
}

/// How a check stands, for the mark beside its line.
pub(super) enum Stand {
    Runs,
    Works(String),
    Fails,
}

impl Check {
    pub(super) fn start(location: &Location, cx: &Cx) -> Self {
        let feed = Feed::spawn(&cx.waker, cx.stores.check(location).map(Ok));
        Self { feed, findings: Vec::new() }
    }

    pub(super) fn poll(&mut self) {
        while let Some(Ok(finding)) = self.feed.take() {
            let at = self.findings.partition_point(|f| f.topic <= finding.topic);
            self.findings.insert(at, finding);
        }
    }

    pub(super) fn runs(&self) -> bool {
        !self.feed.is_done()
    }

    pub(super) fn stand(&self) -> Stand {
        if self.runs() {
            return Stand::Runs;
        }
        if self.findings.iter().any(|f| f.result.is_err()) {
            return Stand::Fails;
        }
        let time = self.findings.iter().find(|f| f.topic == Topic::Time);
        let words = time.and_then(|f| f.result.as_ref().ok()).and_then(|w| w.split(" (").next());
        Stand::Works(words.unwrap_or("works").to_owned())
    }
}
