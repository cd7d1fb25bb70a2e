//! MD5 sums side by side. One MD5 cannot use the width of a processor, since each step waits for the one
//! before; the parts of a large object, or many small files, are independent, so that sixteen go side by side, a
//! lane each. RFC 1321.

// All of it goes into the one function that is compiled for several processors.
#![allow(clippy::inline_always)]

use md5::{Digest as _, Md5};

/// Sums that are made side by side.
pub(super) const LANES: usize = 16;
/// Bytes of a step of MD5.
pub(super) const STEP: usize = 64;
/// Below so many the lanes that go along for nothing cost more than they save.
const FEW: usize = 3;
/// Steps whose words are laid side by side before they are summed up: 8 KiB, which stay next to the processor. Read
/// back at once, they would wait for each of the small writes they consist of.
const AHEAD: usize = 8;

type Lane = [u32; LANES];

/// The constants of the 64 steps: `floor(2^32 * abs(sin(i + 1)))`.
const K: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];
/// By how much each step of the four rounds turns.
const TURN: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// A sum that goes on, by whole steps of [`STEP`] bytes until its end.
#[derive(Clone)]
pub(super) struct Sum {
    state: [u32; 4],
    length: u64,
    /// Goes its own way where lanes would not be faster.
    alone: Option<Md5>,
}

impl Sum {
    /// Of nothing yet.
    pub(super) fn new() -> Self {
        // Without optimisation lanes are loops, and slower than one sum after the other.
        Self { state: START, length: 0, alone: cfg!(debug_assertions).then(Md5::new) }
    }

    /// The sum, with the last bytes of what it is of.
    pub(super) fn finish(mut self, rest: &[u8]) -> [u8; 16] {
        if let Some(alone) = self.alone {
            return alone.chain_update(rest).finalize().into();
        }
        let whole = rest.len() / STEP * STEP;
        add(&mut [&mut self], &[&rest[..whole]]);
        // RFC 1321, 3.1 and 3.2: a bit, zeros, and the length in bits.
        let bits = (self.length + (rest.len() - whole) as u64).wrapping_mul(8);
        let mut last = rest[whole..].to_vec();
        last.push(0x80);
        let zeros = (2 * STEP - 8 - last.len()) % STEP;
        last.resize(last.len() + zeros, 0);
        last.extend(bits.to_le_bytes());
        add(&mut [&mut self], &[&last]);
        let mut sum = [0; 16];
        for (bytes, word) in sum.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        sum
    }
}

/// Adds bytes to sums, to each as many: a whole number of steps. At most [`LANES`] sums.
pub(super) fn add(sums: &mut [&mut Sum], bytes: &[&[u8]]) {
    let n = bytes.first().map_or(0, |bytes| bytes.len()) / STEP * STEP;
    if n == 0 {
        return;
    }
    for (sum, bytes) in sums.iter_mut().zip(bytes) {
        sum.length += n as u64;
        if let Some(alone) = &mut sum.alone {
            alone.update(&bytes[..n]);
        }
    }
    let mut together: Vec<(&mut [u32; 4], &[u8])> = sums
        .iter_mut()
        .zip(bytes)
        .filter(|(sum, _)| sum.alone.is_none())
        .map(|(sum, bytes)| (&mut sum.state, &bytes[..n]))
        .collect();
    if together.len() < FEW {
        for (state, bytes) in &mut together {
            one(state, bytes);
        }
    } else {
        let Some(&(_, first)) = together.first() else { return };
        let lanes: [&[u8]; LANES] = std::array::from_fn(|lane| together.get(lane).map_or(first, |(_, bytes)| *bytes));
        let mut state: [Lane; 4] =
            std::array::from_fn(|w| map(|lane| together.get(lane).map_or(START[w], |(state, _)| state[w])));
        blocks(&mut state, &lanes);
        for (lane, (own, _)) in together.iter_mut().enumerate() {
            **own = std::array::from_fn(|w| state[w][lane]);
        }
    }
}

/// The MD5s of several things at once, in their order.
pub(super) fn sums(of: &[&[u8]]) -> Vec<[u8; 16]> {
    let mut order: Vec<usize> = (0..of.len()).collect();
    // Those of one length go well together.
    order.sort_by_key(|i| std::cmp::Reverse(of[*i].len()));
    let mut out = vec![[0; 16]; of.len()];
    for group in order.chunks(LANES) {
        let mut open: Vec<(usize, Sum)> = group.iter().map(|i| (*i, Sum::new())).collect();
        let mut at = 0;
        while let Some((last, _)) = open.last() {
            // The shortest is the last: as far as it goes, all go.
            let end = of[*last].len() / STEP * STEP;
            let mut going: Vec<&mut Sum> = open.iter_mut().map(|(_, sum)| sum).collect();
            let bytes: Vec<&[u8]> = group[..going.len()].iter().map(|i| &of[*i][at..end]).collect();
            add(&mut going, &bytes);
            at = end;
            while let Some((i, sum)) = open.pop_if(|(i, _)| of[*i].len() - at < STEP) {
                out[i] = sum.finish(&of[i][at..]);
            }
        }
    }
    out
}

#[inline(always)]
fn map(f: impl Fn(usize) -> u32) -> Lane {
    std::array::from_fn(f)
}

/// The bytes of every lane, all as long. Compiled for each width of processor, of which the right one is taken.
#[multiversion::multiversion(targets("x86_64+avx+avx2+avx512f+avx512vl", "x86_64+avx+avx2", "aarch64+neon"))]
fn blocks(state: &mut [Lane; 4], bytes: &[&[u8]; LANES]) {
    let lanes: [&[[u8; STEP]]; LANES] = std::array::from_fn(|lane| bytes[lane].as_chunks::<STEP>().0);
    let steps = lanes.iter().map(|lane| lane.len()).min().unwrap_or(0);
    let mut words = [[[0; 4 * LANES]; 16]; AHEAD];
    for at in (0..steps).step_by(AHEAD) {
        let n = (steps - at).min(AHEAD);
        for (four, lanes) in lanes.as_chunks::<4>().0.iter().enumerate() {
            let [a, b, c, d] = lanes.map(|lane| &lane[at..at + n]);
            for ((((a, b), c), d), words) in a.iter().zip(b).zip(c).zip(d).zip(&mut words) {
                across([a, b, c, d], words, four);
            }
        }
        let mut touched = 0;
        for (i, words) in words[..n].iter().enumerate() {
            round(state, |w| {
                let of_lanes = words[w].as_chunks::<4>().0;
                std::array::from_fn(|lane| u32::from_le_bytes(of_lanes[lane]))
            });
            // What comes after the next is asked of the memory now, so that nothing waits for it then.
            if at + 2 * AHEAD + i < steps {
                for lane in &lanes {
                    touched ^= lane[at + 2 * AHEAD + i][0];
                }
            }
        }
        std::hint::black_box(touched);
    }
}

/// Lays the words of four lanes side by side, which have place `four` among the lanes: two words of each are read at
/// once, and those of all four are written at once, which is what takes the time.
#[inline(always)]
fn across(lanes: [&[u8; STEP]; 4], words: &mut [[u8; 4 * LANES]; 16], four: usize) {
    const LOW: u64 = 0xffff_ffff;
    let pairs = lanes.map(|lane| lane.as_chunks::<8>().0);
    for (pair, words) in words.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let [a, b, c, d] = pairs.map(|pairs| u64::from_le_bytes(pairs[pair]));
        let first = [(a & LOW) | b << 32, (c & LOW) | d << 32];
        let second = [a >> 32 | (b & !LOW), c >> 32 | (d & !LOW)];
        for (words, [low, high]) in words.iter_mut().zip([first, second]) {
            words.as_chunks_mut::<16>().0[four] = (u128::from(low) | u128::from(high) << 64).to_le_bytes();
        }
    }
}

#[inline(always)]
fn word(bytes: &[u8; STEP], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// One step of 64 bytes in every lane. Written out, each with its constants, so that the compiler makes one vector
/// instruction of every operation on all lanes; of a loop over the 64 it does not.
#[inline(always)]
fn round<const N: usize>(state: &mut [[u32; N]; 4], words: impl Fn(usize) -> [u32; N]) {
    let [mut a, mut b, mut c, mut d] = *state;
    macro_rules! steps {
        ($round:literal, $mix:expr, $word:expr, $($i:literal)*) => {$({
            let (mix, word): (fn(u32, u32, u32) -> u32, fn(usize) -> usize) = ($mix, $word);
            let words: [u32; N] = words(word($i) % 16);
            let next: [u32; N] = std::array::from_fn(|l: usize| {
                let sum = a[l].wrapping_add(mix(b[l], c[l], d[l]));
                let sum = sum.wrapping_add(K[$round * 16 + $i]).wrapping_add(words[l]);
                b[l].wrapping_add(sum.rotate_left(TURN[$round][$i % 4]))
            });
            (a, b, c, d) = (d, next, b, c);
        })*};
    }
    steps!(0, |b, c, d| d ^ (b & (c ^ d)), |i| i, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    steps!(1, |b, c, d| c ^ (d & (b ^ c)), |i| 5 * i + 1, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    steps!(2, |b, c, d| b ^ c ^ d, |i| 3 * i + 5, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    steps!(3, |b, c, d| c ^ (b | !d), |i| 7 * i, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    for (word, new) in state.iter_mut().zip([a, b, c, d]) {
        *word = std::array::from_fn(|l| word[l].wrapping_add(new[l]));
    }
}

/// The same for one sum alone.
fn one(state: &mut [u32; 4], bytes: &[u8]) {
    let mut lane = state.map(|word| [word]);
    for step in bytes.as_chunks::<STEP>().0 {
        round(&mut lane, |w| [word(step, w * 4)]);
    }
    *state = lane.map(|[word]| word);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(n: usize) -> Vec<u8> {
        (0..n as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    #[test]
    fn lanes_give_what_one_alone_gives() {
        let body = body(40_000);
        let lengths = [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000, 4096, 4097, 9999];
        for count in [1, 2, 3, 5, 16, 17, 40] {
            let of: Vec<&[u8]> = (0..count).map(|i| &body[i * 7..i * 7 + lengths[i % lengths.len()]]).collect();
            let expected: Vec<[u8; 16]> = of.iter().map(|bytes| Md5::digest(bytes).into()).collect();
            assert_eq!(sums(&of), expected, "{count}");
        }
    }

    #[test]
    fn sums_go_on_together_whatever_is_compiled() {
        let body = body(64 * 100);
        for count in [1, 3, 4, 16] {
            let mut sums: Vec<Sum> = (0..count).map(|_| Sum { alone: None, ..Sum::new() }).collect();
            for (from, to) in [(0, 64), (64, 640), (640, 64 * 50)] {
                let bytes: Vec<&[u8]> = (0..count).map(|lane| &body[lane * 64 + from..lane * 64 + to]).collect();
                add(&mut sums.iter_mut().collect::<Vec<_>>(), &bytes);
            }
            for (lane, sum) in sums.into_iter().enumerate() {
                let expected: [u8; 16] = Md5::digest(&body[lane * 64..lane * 64 + 64 * 50 + 13]).into();
                let rest = &body[lane * 64 + 64 * 50..lane * 64 + 64 * 50 + 13];
                assert_eq!(sum.finish(rest), expected, "{lane} of {count}");
            }
        }
    }
}
