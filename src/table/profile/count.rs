//! Distinct and frequent values in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Distinct values that are counted one by one.
const MOST: usize = 1 << 16;
/// Bits of a hash that choose a register of the `HyperLogLog`: 2^14 registers, a standard error of
/// 1.04 / sqrt(2^14) = 0.8 % (Flajolet et al., 2007).
const BITS: u32 = 14;

/// A value, to be named later.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sample {
    Int(i128),
    Float(f64),
    Text(Box<str>),
    /// One that is not worth showing.
    Nothing,
}

/// The keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_bytes(bytes);
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// Counts values by their hash.
pub(super) struct Counter {
    counts: HashMap<u64, (u64, Sample), BuildHasherDefault<AsIs>>,
    /// Whether every value is still in `counts`.
    complete: bool,
    registers: Vec<u8>,
}

impl Default for Counter {
    fn default() -> Self {
        Self { counts: HashMap::default(), complete: true, registers: vec![0; 1 << BITS] }
    }
}

/// Spreads bits (the finisher of `SplitMix64`, Steele et al., 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The hash of a number.
pub(super) fn hash_int(value: i128) -> u64 {
    let (low, high) = (value as u64, (value >> 64) as u64);
    mix(low.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ mix(high))
}

/// The hash of bytes: eight at a time.
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15_u64 ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash ^ u64::from_le_bytes(word)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
    mix(hash)
}

/// What values of one frequency are sorted by.
fn order(sample: &Sample) -> (f64, &str) {
    match sample {
        Sample::Int(value) => (*value as f64, ""),
        Sample::Float(value) => (*value, ""),
        Sample::Text(text) => (0.0, text),
        Sample::Nothing => (0.0, ""),
    }
}

impl Counter {
    pub(super) fn add(&mut self, hash: u64, sample: impl FnOnce() -> Sample) {
        let register = (hash >> (u64::BITS - BITS)) as usize;
        let zeros = ((hash << BITS) | (1 << (BITS - 1))).leading_zeros() as u8 + 1;
        self.registers[register] = self.registers[register].max(zeros);
        self.counts.entry(hash).or_insert_with(|| (0, sample())).0 += 1;
        if self.counts.len() > MOST {
            self.thin();
        }
    }

    /// Makes room: takes the median count off all, and drops what is left with nothing. What stays is
    /// counted too low by at most what was taken off.
    fn thin(&mut self) {
        self.complete = false;
        let mut counts: Vec<u64> = self.counts.values().map(|(n, _)| *n).collect();
        let middle = counts.len() / 2;
        let (_, median, _) = counts.select_nth_unstable(middle);
        let median = *median;
        self.counts.retain(|_, (n, _)| {
            *n = n.saturating_sub(median);
            *n > 0
        });
    }

    /// How many distinct values there are, and whether that is exact.
    pub(super) fn distinct(&self) -> (u64, bool) {
        if self.complete {
            return (self.counts.len() as u64, true);
        }
        let m = self.registers.len() as f64;
        let sum: f64 = self.registers.iter().map(|r| 0.5_f64.powi(i32::from(*r))).sum();
        let alpha = 0.7213 / (1.0 + 1.079 / m);
        ((alpha * m * m / sum).round() as u64, false)
    }

    /// The most frequent values, those that stand there once left out where there are others.
    pub(super) fn top(&self, most: usize) -> Vec<(Sample, u64)> {
        let mut all: Vec<&(u64, Sample)> = self.counts.values().filter(|(n, _)| *n > 1).collect();
        all.sort_by(|a, b| {
            let ((x, s), (y, t)) = (order(&a.1), order(&b.1));
            b.0.cmp(&a.0).then(x.total_cmp(&y)).then_with(|| s.cmp(t))
        });
        all.truncate(most);
        all.into_iter().map(|(n, sample)| (sample.clone(), *n)).collect()
    }
}
