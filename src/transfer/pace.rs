//! How much is under way at once: as much as makes the whole faster, and no more.
//!
//! The window starts modest and doubles as long as the goodput grows by a tenth. Then it holds, and from time
//! to time tries a quarter more (kept where that is faster) or a quarter less (kept where that is as fast: the
//! rest was only waiting in a queue, which is what inflated latency is). A failure that tells of too much (503,
//! `SlowDown`, a timeout) halves it, once for all that was under way at that time. Goodput is bytes, with a fixed
//! weight for each piece, so that many small files count too.

use crate::meter::Meter;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Where the window starts.
const START: usize = 8;
/// What one piece weighs besides its bytes: the time of a request that carries nothing.
const WEIGHT: u64 = 64 << 10;
/// The goodput has to grow by this factor for the window to double again.
const RISE: f64 = 1.10;
/// A larger window is kept if it is so much faster, a smaller one if it is not slower than that.
const FASTER: f64 = 1.04;
const AS_FAST: f64 = 0.98;
/// Rounds between two trials, and after something failed.
const HOLD: u32 = 6;
const HOLD_AFTER_FAILURE: u32 = 2;
/// A round of many small pieces lasts at least so long, to be more than noise.
const ROUND: Duration = Duration::from_millis(150);

/// Places for pieces of work (parts, small files), as many as serve the whole. Shared by the workers of a job.
pub struct Pace {
    state: Mutex<State>,
    free: Notify,
    began: Instant,
    meter: Option<Meter>,
}

struct State {
    climb: Climb,
    in_flight: usize,
    /// Requests that were sent again, as far as that was taken into account.
    retries: u64,
}

impl Pace {
    /// At most `limit` places, which is at least one.
    pub fn new(limit: usize) -> Self {
        let state = State { climb: Climb::new(limit), in_flight: 0, retries: 0 };
        Self { state: Mutex::new(state), free: Notify::new(), began: Instant::now(), meter: None }
    }

    /// The same; what the stores send again by themselves, because a server is busy, slows it down too.
    #[must_use]
    pub fn watching(mut self, meter: &Meter) -> Self {
        self.lock().retries = meter.counts().retries;
        self.meter = Some(meter.clone());
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Places there are now.
    pub fn window(&self) -> usize {
        self.lock().climb.window
    }

    /// Places taken now.
    pub fn in_flight(&self) -> usize {
        self.lock().in_flight
    }

    /// Waits for a place.
    pub async fn place(&self) -> Place<'_> {
        loop {
            let free = self.free.notified();
            let mut free = std::pin::pin!(free);
            free.as_mut().enable();
            if let Some(place) = self.try_place() {
                return place;
            }
            free.await;
        }
    }

    /// A place, if one is free.
    pub fn try_place(&self) -> Option<Place<'_>> {
        let mut state = self.lock();
        if state.in_flight >= state.climb.window {
            return None;
        }
        state.in_flight += 1;
        let (window, in_flight) = (state.climb.window, state.in_flight);
        state.climb.full |= in_flight >= window;
        drop(state);
        Some(Place { pace: self, since: self.began.elapsed() })
    }

    /// Gives a place back; `end` tells the climb how it went.
    fn free(&self, end: impl FnOnce(&mut Climb, Duration)) {
        let now = self.began.elapsed();
        let mut state = self.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        if let Some(meter) = &self.meter {
            let retries = meter.counts().retries;
            if retries > state.retries {
                state.retries = retries;
                state.climb.failed(now, now);
            }
        }
        end(&mut state.climb, now);
        let room = state.climb.window.saturating_sub(state.in_flight);
        drop(state);
        for _ in 0..room {
            self.free.notify_one();
        }
    }
}

/// A place among what is under way. Dropped, it is free again and nothing is concluded.
#[must_use]
pub struct Place<'a> {
    pace: &'a Pace,
    since: Duration,
}

impl Place<'_> {
    /// The piece went through, with so many bytes.
    pub fn done(self, bytes: u64) {
        self.pace.free(|climb, now| climb.done(now, bytes));
        std::mem::forget(self);
    }

    /// It did not, since the server or the network has too much to do.
    pub fn failed(self) {
        let since = self.since;
        self.pace.free(|climb, now| climb.failed(now, since));
        std::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.pace.free(|_, _| {});
    }
}

/// What the window does next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// It doubles; the goodput of the round before, and its window.
    Rising { before: Option<(f64, usize)> },
    /// It holds for so many more rounds.
    Holding { rounds: u32 },
    /// It tries another size; where it came from, with the goodput there.
    Trying { from: usize, goodput: f64 },
}

/// The algorithm, without a clock: times are since the start.
struct Climb {
    limit: usize,
    window: usize,
    phase: Phase,
    /// Pieces that were begun under the former window and still have to end.
    settling: usize,
    /// When the round began, what ended in it, what that weighs, and whether all places were taken.
    round: Option<Duration>,
    pieces: usize,
    work: u64,
    full: bool,
    /// Goodput while holding: a mean that forgets.
    mean: Option<f64>,
    /// Whether the next trial is a larger window.
    upwards: bool,
    cut: Option<Duration>,
}

impl Climb {
    fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        Self {
            limit,
            window: START.min(limit),
            phase: Phase::Rising { before: None },
            settling: 0,
            round: None,
            pieces: 0,
            work: 0,
            full: false,
            mean: None,
            upwards: true,
            cut: None,
        }
    }

    fn done(&mut self, now: Duration, bytes: u64) {
        if self.settling > 0 {
            self.settling -= 1;
            return;
        }
        let Some(since) = self.round else {
            // The first to end only starts the clock.
            self.round = Some(now);
            return;
        };
        self.pieces += 1;
        self.work = self.work.saturating_add(bytes).saturating_add(WEIGHT);
        let took = now.saturating_sub(since);
        if self.pieces < self.window.max(4) || took < ROUND {
            return;
        }
        let goodput = self.work as f64 / took.as_secs_f64();
        let was_full = std::mem::take(&mut self.full);
        (self.round, self.pieces, self.work) = (Some(now), 0, 0);
        // With less to do than places, a round says nothing about the window.
        if was_full {
            self.judge(goodput);
        }
    }

    fn judge(&mut self, goodput: f64) {
        match self.phase {
            Phase::Rising { before } => match before {
                Some((slower, from)) if goodput < slower * RISE => {
                    self.resize(from, Phase::Holding { rounds: HOLD });
                    self.mean = Some(slower.max(goodput));
                }
                _ if self.window >= self.limit => self.hold(goodput),
                _ => {
                    let next = self.window.saturating_mul(2).min(self.limit);
                    self.resize(next, Phase::Rising { before: Some((goodput, self.window)) });
                }
            },
            Phase::Holding { rounds } => {
                let mean = self.mean.map_or(goodput, |mean| mean * 0.7 + goodput * 0.3);
                self.mean = Some(mean);
                self.phase = Phase::Holding { rounds: rounds.saturating_sub(1) };
                if rounds <= 1 {
                    self.try_another(mean);
                }
            }
            Phase::Trying { from, goodput: before } => {
                let larger = self.window > from;
                let keep = goodput > before * if larger { FASTER } else { AS_FAST };
                // What worked is tried again, in the same direction and soon.
                self.upwards = larger == keep;
                if keep {
                    self.hold(goodput);
                    self.phase = Phase::Holding { rounds: 1 };
                } else {
                    self.resize(from, Phase::Holding { rounds: HOLD });
                    self.mean = Some(before);
                }
            }
        }
    }

    fn hold(&mut self, goodput: f64) {
        self.phase = Phase::Holding { rounds: HOLD };
        self.mean = Some(goodput);
    }

    fn try_another(&mut self, goodput: f64) {
        let step = (self.window / 4).max(1);
        let larger = (self.window + step).min(self.limit);
        let smaller = self.window.saturating_sub(step).max(1);
        let next = match self.upwards {
            true if larger > self.window => larger,
            _ if smaller < self.window => smaller,
            _ => larger,
        };
        if next == self.window {
            return self.hold(goodput);
        }
        self.resize(next, Phase::Trying { from: self.window, goodput });
    }

    fn resize(&mut self, window: usize, phase: Phase) {
        self.settling = self.window;
        self.window = window.clamp(1, self.limit);
        self.phase = phase;
        (self.round, self.pieces, self.work, self.full) = (None, 0, 0, false);
    }

    /// Something that began at `since` failed.
    fn failed(&mut self, now: Duration, since: Duration) {
        // Those under way when the window was cut tell nothing new.
        if self.cut.is_some_and(|cut| since <= cut || now.saturating_sub(cut) < ROUND) {
            return;
        }
        self.cut = Some(now);
        self.resize((self.window / 2).max(1), Phase::Holding { rounds: HOLD_AFTER_FAILURE });
        self.mean = None;
        self.upwards = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    /// A server in simulated time. `serve(n)`: how long a piece takes, and whether it succeeds, with `n` under way.
    fn run(limit: usize, pieces: usize, bytes: u64, serve: impl Fn(usize, f64) -> (f64, bool)) -> Vec<usize> {
        let mut climb = Climb::new(limit);
        let mut under_way: BinaryHeap<Reverse<(u64, u64, bool)>> = BinaryHeap::new();
        let (mut begun, mut now, mut windows) = (0, 0u64, Vec::new());
        while windows.len() < pieces {
            while under_way.len() < climb.window {
                begun += 1;
                // A little unevenness, the same in every run.
                let jitter = 1.0 + 0.1 * (f64::from((begun * 7919) % 101) / 101.0 - 0.5);
                let (seconds, ok) = serve(under_way.len() + 1, now as f64 / 1e9);
                under_way.push(Reverse((now + (seconds * jitter * 1e9) as u64, now, ok)));
            }
            climb.full = true;
            let Some(Reverse((at, since, ok))) = under_way.pop() else { break };
            now = at;
            if ok {
                climb.done(Duration::from_nanos(now), bytes);
            } else {
                climb.failed(Duration::from_nanos(now), Duration::from_nanos(since));
            }
            windows.push(climb.window);
        }
        windows
    }

    fn mean(windows: &[usize]) -> f64 {
        windows.iter().sum::<usize>() as f64 / windows.len() as f64
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn it_starts_modest_and_fills_a_far_server() {
        // 100 ms whatever is under way: every place more makes the whole faster.
        let windows = run(32, 2_000, 64 << 10, |_, _| (0.1, true));
        assert_eq!(windows[0], START);
        assert!(windows.contains(&32));
        assert!(mean(&windows[1_000..]) > 26.0, "{}", mean(&windows[1_000..]));
    }

    #[test]
    fn it_stays_small_where_more_only_waits() {
        // One line of 100 MB/s: eight parts at once take twice as long as four.
        let windows = run(64, 3_000, 8 * MIB, |n, _| (0.01 + n as f64 * 8.0 * 1.048_576 / 100.0, true));
        assert!(mean(&windows[1_000..]) < 7.0, "{}", mean(&windows[1_000..]));
    }

    #[test]
    fn it_finds_the_knee() {
        // Sixteen are served at once, the rest waits.
        let windows = run(128, 20_000, MIB, |n, _| (0.05 * (n as f64 / 16.0).max(1.0), true));
        let at_end = mean(&windows[10_000..]);
        assert!((11.0..24.0).contains(&at_end), "{at_end}");
    }

    #[test]
    fn refusals_make_it_smaller_and_their_end_larger() {
        // Busy for the first twenty seconds: no more than three at once are taken.
        let serve = |n: usize, t: f64| if t < 20.0 && n > 3 { (0.01, false) } else { (0.1, true) };
        let windows = run(32, 6_000, MIB, serve);
        assert!(mean(&windows[200..400]) < 4.5, "{}", mean(&windows[200..400]));
        assert!(mean(&windows[4_000..]) > 20.0, "{}", mean(&windows[4_000..]));
    }

    #[test]
    fn a_server_that_slows_down_is_given_less() {
        // From the tenth second only four are served at once.
        let serve = |n: usize, t: f64| (0.05 * (n as f64 / if t < 10.0 { 32.0 } else { 4.0 }).max(1.0), true);
        let windows = run(32, 20_000, MIB, serve);
        assert!(mean(&windows[2_000..3_000]) > 20.0, "{}", mean(&windows[2_000..3_000]));
        assert!(mean(&windows[16_000..]) < 9.0, "{}", mean(&windows[16_000..]));
    }

    #[test]
    fn many_failures_at_once_are_one() {
        let mut climb = Climb::new(32);
        climb.window = 32;
        for n in 0..32 {
            climb.failed(Duration::from_secs(10) + Duration::from_millis(n), Duration::from_secs(9));
        }
        assert_eq!(climb.window, 16);
    }

    #[tokio::test]
    async fn places_are_given_back_however_work_ends() {
        let pace = Pace::new(2);
        let (one, two) = (pace.place().await, pace.place().await);
        assert!(pace.try_place().is_none());
        drop(one);
        let three = pace.place().await;
        let waiting = async {
            pace.place().await.done(1);
            true
        };
        let end = async {
            tokio::task::yield_now().await;
            two.done(10);
        };
        assert!(tokio::join!(waiting, end).0);
        three.failed();
        assert_eq!((pace.in_flight(), pace.window()), (0, 1));
        // A waiter that gives up does not take a place along.
        let last = pace.place().await;
        let gone = tokio::time::timeout(Duration::from_millis(20), pace.place()).await;
        assert!(gone.is_err());
        last.done(1);
        assert!(pace.try_place().is_some());
    }

    #[tokio::test]
    async fn what_the_stores_send_again_slows_it_down() {
        let meter = Meter::new();
        let pace = Pace::new(8).watching(&meter);
        let place = pace.place().await;
        meter.retried();
        place.done(1);
        assert_eq!(pace.window(), START / 2);
    }
}
