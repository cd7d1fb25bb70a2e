//! The values of an array along one dimension, the others held at a position.

use super::array::Array;
use super::read::{Afford, Span};
use crate::error::{Error, Result};
use crate::task::Control;

/// Values of one series that are read: more than a screen has dots.
const MOST: u64 = 1 << 16;

/// Values along a dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The positions that were read.
    pub span: Span,
    /// Decoded, one for each; NaN for nothing.
    pub values: Vec<f64>,
}

impl Series {
    /// Reads the part of `len` positions from `start` on along `dimension`; `at` is a position on every dimension, of
    /// which that one does not count. Where there are too many chunks, values are taken from some of them.
    pub async fn read(
        array: &Array,
        control: &Control,
        dimension: usize,
        at: &[u64],
        (start, len): (u64, u64),
    ) -> Result<Self> {
        let about = array.about();
        let (Some(chunk), true) = (about.chunks.get(dimension), at.len() == about.shape.len()) else {
            return Err(Error::usage("there is no such dimension"));
        };
        let wished = len.div_ceil(*chunk).saturating_add(1);
        let affordable = Afford::LOOK.chunks.min(Afford::LOOK.bytes / array.0.chunk_bytes().max(1)).max(1);
        // Of chunks that are too many each that is read gives one value, so that none is repeated.
        let most = if wished <= affordable { MOST } else { affordable };
        let span = Span::at_most(start, len, most);
        let mut spans: Vec<Span> = at.iter().map(|position| Span::one(*position)).collect();
        spans[dimension] = span;
        let read = array.read(control, &spans, Afford::LOOK).await?;
        Ok(Self { span, values: read.numbers })
    }

    /// Smallest, largest and mean value, and how many there are; `None` without any.
    pub fn statistics(&self) -> Option<(f64, f64, f64, usize)> {
        let known = self.values.iter().filter(|v| v.is_finite());
        let start = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0_usize);
        let (low, high, sum, count) =
            known.fold(start, |(low, high, sum, n), v| (low.min(*v), high.max(*v), sum + v, n + 1));
        (count > 0).then(|| (low, high, sum / count as f64, count))
    }

    /// Whether there are positions between those that were read.
    pub fn is_thinned(&self) -> bool {
        self.span.count < self.span.len
    }
}
