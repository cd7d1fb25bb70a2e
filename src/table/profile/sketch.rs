//! Quantiles of any number of values in bounded memory: values are kept as they are; each time a level is
//! full it is sorted and every second value goes up a level, where it stands for twice as many.

/// Values of a level.
const LEVEL: usize = 1 << 16;

/// The values seen, thinned.
#[derive(Debug, Default)]
pub(super) struct Sketch {
    /// Values by level; one at level `n` stands for `2^n`.
    levels: Vec<Vec<f64>>,
    /// Whether the first or the second of each pair goes up next, in turns so that no side is favoured.
    odd: bool,
}

impl Sketch {
    pub(super) fn add(&mut self, value: f64) {
        if self.levels.is_empty() {
            self.levels.push(Vec::new());
        }
        self.levels[0].push(value);
        let mut level = 0;
        while self.levels[level].len() >= LEVEL {
            if self.levels.len() == level + 1 {
                self.levels.push(Vec::new());
            }
            let mut full = std::mem::take(&mut self.levels[level]);
            full.sort_unstable_by(f64::total_cmp);
            self.levels[level + 1].extend(full.iter().skip(usize::from(self.odd)).step_by(2));
            self.odd = !self.odd;
            full.clear();
            self.levels[level] = full;
            level += 1;
        }
    }

    /// The share of all values by which a rank may be off: a compaction at level `n` moves a rank by at
    /// most `2^n`, and there are `values / (LEVEL 2^n)` of them.
    pub(super) fn rank_error(&self) -> f64 {
        self.levels.len().saturating_sub(1) as f64 / LEVEL as f64
    }

    /// The values in order, each with how many it stands for.
    pub(super) fn sorted(&self) -> Vec<(f64, u64)> {
        let level = |(n, values): (usize, &Vec<f64>)| values.iter().map(move |v| (*v, 1 << n)).collect::<Vec<_>>();
        let mut all: Vec<(f64, u64)> = self.levels.iter().enumerate().flat_map(level).collect();
        all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        all
    }
}

/// The smallest value that at least the share `q` of all does not exceed.
pub(super) fn quantile(sorted: &[(f64, u64)], q: f64) -> Option<f64> {
    let n: u64 = sorted.iter().map(|(_, weight)| weight).sum();
    let rank = ((q * n as f64).ceil() as u64).clamp(1, n.max(1));
    let mut seen = 0;
    sorted
        .iter()
        .find(|(_, weight)| {
            seen += weight;
            seen >= rank
        })
        .map(|(value, _)| *value)
}
