//! MD5 sums of pieces in memory that come one after another. Who comes while others are being summed up goes along
//! with them, a lane each: many together take little longer than one.

use super::lanes::{self, LANES, STEP, Sum};
use crate::error::{Error, Kind, Result};
use bytes::Bytes;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Bytes of each piece between two looks at who came: those of all lanes stay in the processor's cache.
const STRIDE: usize = 32 << 10;
/// So many are company, and so long it is waited for: next to nothing for who sends what was summed up.
const COMPANY: usize = 4;
const PATIENCE: Duration = Duration::from_millis(10);

/// Who sums up. Clones share the thread.
#[derive(Clone, Default)]
pub(super) struct Together(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Piece>,
    is_running: bool,
}

struct Piece {
    bytes: Bytes,
    at: usize,
    sum: Sum,
    answer: oneshot::Sender<[u8; 16]>,
}

impl Together {
    /// The MD5 of a piece. Dropped, it is not summed up to its end.
    pub(super) async fn md5(&self, bytes: Bytes) -> Result<[u8; 16]> {
        let (answer, sum) = oneshot::channel();
        let is_running = {
            let mut state = self.0.lock();
            state.waiting.push(Piece { bytes, at: 0, sum: Sum::new(), answer });
            std::mem::replace(&mut state.is_running, true)
        };
        self.0.came.notify_one();
        if !is_running {
            let running = Running(self.0.clone());
            tokio::task::spawn_blocking(move || running.go());
        }
        sum.await.map_err(|_| Error::new(Kind::Failed, "a summing thread failed"))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes along who came; `false` where there is nothing to do.
    fn join(&self, going: &mut Vec<Piece>) -> bool {
        let mut state = self.lock();
        if going.is_empty() {
            let alone = |state: &mut State| state.waiting.len() < COMPANY;
            (state, _) = self.came.wait_timeout_while(state, PATIENCE, alone).unwrap_or_else(PoisonError::into_inner);
        }
        let n = state.waiting.len().min(LANES - going.len());
        going.extend(state.waiting.drain(..n));
        state.is_running = !going.is_empty();
        state.is_running
    }
}

/// The thread at work. However it ends, nobody waits for it in vain.
struct Running(Arc<Shared>);

impl Running {
    fn go(self) {
        let mut going = Vec::with_capacity(LANES);
        while self.0.join(&mut going) {
            advance(&mut going);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.0.lock();
            state.waiting.clear();
            state.is_running = false;
        }
    }
}

/// Goes on with all as far as the shortest goes, and answers for those that are at their end.
fn advance(going: &mut Vec<Piece>) {
    going.retain(|piece| !piece.answer.is_closed());
    let n = going.iter().map(|piece| (piece.bytes.len() - piece.at) / STEP * STEP).min().unwrap_or(0).min(STRIDE);
    let (mut sums, bytes): (Vec<&mut Sum>, Vec<&[u8]>) =
        going.iter_mut().map(|piece| (&mut piece.sum, &piece.bytes[piece.at..piece.at + n])).unzip();
    lanes::add(&mut sums, &bytes);
    for piece in &mut *going {
        piece.at += n;
    }
    for piece in going.extract_if(.., |piece| piece.bytes.len() - piece.at < STEP) {
        // Who does not wait any more needs no answer.
        let _ = piece.answer.send(piece.sum.finish(&piece.bytes[piece.at..]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream::{FuturesUnordered, StreamExt as _};
    use md5::{Digest as _, Md5};

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_comes_gets_the_sum_of_what_it_brought() {
        let together = Together::default();
        let body = |n: usize| Bytes::from((0..n * 37_001 % 900_000).map(|i| (i * n % 253) as u8).collect::<Vec<_>>());
        let mut asked: FuturesUnordered<_> = (0..60)
            .map(|n| {
                let together = &together;
                async move { (n, together.md5(body(n)).await) }
            })
            .collect();
        while let Some((n, sum)) = asked.next().await {
            assert_eq!(sum.expect("a sum"), <[u8; 16]>::from(Md5::digest(body(n))), "{n}");
        }
        drop(asked);
        // One that is not wanted any more is in nobody's way, and after a rest it goes on.
        drop(together.md5(body(7)));
        let gone = tokio::spawn({
            let together = together.clone();
            async move { together.md5(Bytes::from(vec![1; 8 << 20])).await }
        });
        gone.abort();
        let again = together.md5(body(9)).await.expect("a sum");
        assert_eq!(again, <[u8; 16]>::from(Md5::digest(body(9))));
    }
}
