//! The limit on bandwidth: one for all bodies of all stores over the network, received and sent together.

use super::pulse::Pulse;
use crate::meter::Meter;
use bytes::Bytes;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// So long may be caught up at full speed after nobody wanted anything.
const BURST: Duration = Duration::from_millis(200);
/// Bodies that are sent are cut to pieces of so much time at the rate, but no larger and no smaller than this.
const PIECE: Duration = Duration::from_millis(25);
const LARGEST: u64 = 64 << 10;
const SMALLEST: u64 = 4 << 10;
/// Pieces where there is no limit.
const FREE: u64 = 256 << 10;

/// A token bucket. Those who want bytes are given times in the order in which they came, so that streams that
/// ask for a piece at a time share the rate evenly. Without a rate it costs one relaxed load.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// Bytes per second; 0: no limit.
    rate: AtomicU64,
    /// When all that was granted so far will have passed.
    free: Mutex<Option<Instant>>,
}

impl Throttle {
    pub(super) fn new(rate: Option<u64>) -> Self {
        Self { rate: AtomicU64::new(rate.unwrap_or(0)), free: Mutex::default() }
    }

    /// Sets another rate, from the next piece on.
    pub(super) fn set(&self, rate: Option<u64>) {
        self.rate.store(rate.unwrap_or(0), Relaxed);
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn rate(&self) -> Option<u64> {
        Some(self.rate.load(Relaxed)).filter(|rate| *rate > 0)
    }

    /// Waits until `bytes` more may pass.
    pub(super) async fn pass(&self, bytes: u64) {
        if let Some(at) = self.grant(bytes, Instant::now()) {
            tokio::time::sleep_until(at).await;
        }
    }

    /// When `bytes` more may pass for one who comes `now`; `None`: at once.
    fn grant(&self, bytes: u64, now: Instant) -> Option<Instant> {
        let rate = self.rate()?;
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // What nobody used is lost, but for a moment of it.
        let begin = free.map_or(now, |free| free.max(now.checked_sub(BURST).unwrap_or(now)));
        let end = begin + Duration::from_secs_f64(bytes as f64 / rate as f64);
        *free = Some(end);
        (end > now).then_some(end)
    }

    /// A body that passes a piece at a time, each counted when it goes, so that one can see how a long one goes on.
    pub(super) fn body(self: &Arc<Self>, bytes: &Bytes, meter: &Meter, pulse: &Pulse) -> Paced {
        let at_once = |rate: u64| (rate as f64 * PIECE.as_secs_f64()) as u64;
        let piece = self.rate().map_or(FREE, |rate| at_once(rate).clamp(SMALLEST, LARGEST)) as usize;
        let (throttle, meter, pulse) = (self.clone(), meter.clone(), pulse.clone());
        Paced { throttle, meter, pulse, left: bytes.clone(), piece, wait: None, granted: false }
    }
}

/// A body of known length in pieces, each of which waits for its time.
pub(super) struct Paced {
    throttle: Arc<Throttle>,
    meter: Meter,
    /// Told when a piece goes, or will.
    pulse: Pulse,
    left: Bytes,
    piece: usize,
    /// Until the next piece may go.
    wait: Option<Pin<Box<tokio::time::Sleep>>>,
    /// The next piece has its time.
    granted: bool,
}

impl Paced {
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.piece.min(self.left.len());
        if !std::mem::replace(&mut self.granted, true) {
            let now = Instant::now();
            let at = self.throttle.grant(length as u64, now);
            self.pulse.beat(at.unwrap_or(now));
            self.wait = at.map(|at| Box::pin(tokio::time::sleep_until(at)));
        }
        if let Some(wait) = &mut self.wait
            && wait.as_mut().poll(cx).is_pending()
        {
            return Poll::Pending;
        }
        (self.wait, self.granted) = (None, false);
        self.meter.sent(length as u64);
        Poll::Ready(Some(self.left.split_to(length)))
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.next(cx).map(|piece| piece.map(|piece| Ok(http_body::Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.left.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    /// Streams that each send `bytes` in pieces, one after the other's turn; when each piece of which stream passed.
    fn send(throttle: &Throttle, start: Instant, streams: &[u64], piece: u64) -> Vec<(Duration, usize)> {
        let mut ready: Vec<(Instant, usize, u64)> = streams.iter().enumerate().map(|(i, n)| (start, i, *n)).collect();
        let mut passed = Vec::new();
        while let Some(next) = (0..ready.len()).min_by_key(|i| ready[*i].0) {
            let (now, stream, left) = ready.remove(next);
            if left > 0 {
                let at = throttle.grant(piece, now).unwrap_or(now);
                passed.push((at - start, stream));
                ready.push((at, stream, left.saturating_sub(piece)));
            }
        }
        passed
    }

    #[test]
    fn a_transfer_takes_its_size_over_the_rate_whoever_shares_it() {
        let start = Instant::now();
        for streams in [&[100 * MB][..], &[60 * MB, 30 * MB, 10 * MB]] {
            let throttle = Throttle::new(Some(10 * MB));
            let passed = send(&throttle, start, streams, 50_000);
            let took = passed.iter().map(|(at, _)| *at).max().expect("pieces").as_secs_f64();
            assert!((9.7..=10.1).contains(&took), "{took} s for 100 MB at 10 MB/s");
        }
    }

    #[test]
    fn streams_share_evenly_and_no_second_holds_much_more_than_the_rate() {
        let start = Instant::now();
        let throttle = Throttle::new(Some(10 * MB));
        let first = send(&throttle, start, &[20 * MB, 20 * MB], 50_000);
        let in_time = |stream| first.iter().filter(|(at, s)| *s == stream && at.as_secs_f64() <= 2.0).count() as f64;
        assert!((in_time(0) / in_time(1) - 1.0).abs() < 0.05, "{} and {}", in_time(0), in_time(1));
        // After ten idle seconds no more than the moment that may be caught up.
        let again = start + Duration::from_secs(14);
        let second = send(&throttle, again, &[30 * MB], 50_000);
        for from in 0..2 {
            let window = f64::from(from)..f64::from(from + 1);
            let bytes = second.iter().filter(|(at, _)| window.contains(&at.as_secs_f64())).count() as u64 * 50_000;
            assert!(bytes <= 12_100_000, "{bytes} bytes in second {from}");
        }
    }

    #[test]
    fn without_a_rate_nothing_waits_and_one_can_be_set_later() {
        let throttle = Arc::new(Throttle::new(None));
        let now = Instant::now();
        assert_eq!(throttle.grant(u64::MAX, now), None);
        throttle.set(Some(1_000));
        assert!(throttle.grant(1_000, now).is_some_and(|at| at - now == Duration::from_secs(1)));
        throttle.set(None);
        assert_eq!(throttle.grant(1_000, now), None);
    }

    #[tokio::test]
    async fn a_paced_body_is_the_same_body() {
        let throttle = Arc::new(Throttle::new(Some(200 * MB)));
        let bytes: Bytes = (0..300_000_u32).map(|i| (i % 251) as u8).collect::<Vec<u8>>().into();
        let meter = Meter::new();
        let mut body = throttle.body(&bytes, &meter, &Pulse::default());
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(300_000));
        let mut got = Vec::new();
        while let Some(piece) = std::future::poll_fn(|cx| body.next(cx)).await {
            assert!(piece.len() <= LARGEST as usize);
            got.extend_from_slice(&piece);
            assert_eq!(meter.counts().bytes_out, got.len() as u64, "counted as it goes");
        }
        assert!(got == bytes && http_body::Body::is_end_stream(&body));
    }
}
