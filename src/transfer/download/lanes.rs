//! Several MD5 sums at once. One MD5 cannot use the width of a processor, since each step waits for the one
//! before; the parts of a large object are independent, so that eight go side by side, a lane each. RFC 1321.

// All of it goes into the one function that is compiled for several processors.
#![allow(clippy::inline_always)]

use md5::{Digest as _, Md5};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// Sums that are made side by side.
pub(super) const LANES: usize = 8;
/// Bytes of a step of MD5.
const STEP: usize = 64;
/// Bytes read of each part at once.
const BLOCK: usize = 64 << 10;

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

#[inline(always)]
fn map(f: impl Fn(usize) -> u32) -> Lane {
    std::array::from_fn(f)
}

/// The MD5s of parts of a file, at most [`LANES`]. Blocks.
pub(super) fn sums(file: &File, parts: &[Range<u64>]) -> std::io::Result<Vec<[u8; 16]>> {
    // Without optimisation lanes are loops, and slower than one sum after the other.
    if cfg!(debug_assertions) { one_by_one(file, parts) } else { together(file, parts) }
}

fn one_by_one(file: &File, parts: &[Range<u64>]) -> std::io::Result<Vec<[u8; 16]>> {
    parts.iter().map(|part| alone(file, part)).collect()
}

/// As many side by side as have one length: the last part of an object is shorter.
fn together(file: &File, parts: &[Range<u64>]) -> std::io::Result<Vec<[u8; 16]>> {
    let Some(length) = parts.first().map(|p| p.end - p.start) else { return Ok(Vec::new()) };
    let equal = parts.iter().take_while(|p| p.end - p.start == length).count();
    // Below that the lanes that go along for nothing cost more than they save.
    if equal < LANES / 2 || parts.len() > LANES || !length.is_multiple_of(STEP as u64) || length == 0 {
        return one_by_one(file, parts);
    }
    let filled: Vec<Range<u64>> = (0..LANES).map(|lane| parts[if lane < equal { lane } else { 0 }].clone()).collect();
    let mut all = side_by_side(file, &filled, length)?;
    all.truncate(equal);
    all.extend(one_by_one(file, &parts[equal..])?);
    Ok(all)
}

/// The MD5s of [`LANES`] parts of one length, which is a multiple of [`STEP`].
fn side_by_side(file: &File, parts: &[Range<u64>], length: u64) -> std::io::Result<Vec<[u8; 16]>> {
    let mut state: [Lane; 4] = START.map(|word| [word; LANES]);
    let mut buffers = vec![vec![0; BLOCK]; LANES];
    let mut at = 0;
    while at < length {
        let n = (length - at).min(BLOCK as u64) as usize;
        for (buffer, part) in buffers.iter_mut().zip(parts) {
            file.read_exact_at(&mut buffer[..n], part.start + at)?;
        }
        blocks(&mut state, &buffers, n);
        at += n as u64;
    }
    // RFC 1321, 3.1 and 3.2: a bit, zeros, and the length in bits.
    let bits = length * 8;
    let mut last = [[0; LANES]; 16];
    last[0] = [0x80; LANES];
    last[14] = [bits as u32; LANES];
    last[15] = [(bits >> 32) as u32; LANES];
    round(&mut state, &last);
    Ok((0..LANES)
        .map(|lane| {
            let mut sum = [0; 16];
            for (bytes, word) in sum.chunks_exact_mut(4).zip(&state) {
                bytes.copy_from_slice(&word[lane].to_le_bytes());
            }
            sum
        })
        .collect())
}

/// So many bytes of every lane. Compiled for each width of processor, of which the right one is taken.
#[multiversion::multiversion(targets("x86_64+avx+avx2+avx512f+avx512vl", "x86_64+avx+avx2", "aarch64+neon"))]
fn blocks(state: &mut [Lane; 4], buffers: &[Vec<u8>], n: usize) {
    let mut lanes: [_; LANES] = std::array::from_fn(|lane| buffers[lane][..n].as_chunks::<STEP>().0.iter());
    for _ in 0..n / STEP {
        // All lanes are as long: none ends before the others.
        let steps: [&[u8; STEP]; LANES] = lanes.each_mut().map(|lane| lane.next().unwrap_or(&[0; STEP]));
        let words: [Lane; 16] = std::array::from_fn(|w| map(|lane| word(steps[lane], w * 4)));
        round(state, &words);
    }
}

#[inline(always)]
fn word(bytes: &[u8; STEP], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The MD5 of a part alone.
fn alone(file: &File, part: &Range<u64>) -> std::io::Result<[u8; 16]> {
    let mut sum = Md5::new();
    let mut buffer = vec![0; BLOCK];
    let mut at = part.start;
    while at < part.end {
        let n = (part.end - at).min(BLOCK as u64) as usize;
        file.read_exact_at(&mut buffer[..n], at)?;
        sum.update(&buffer[..n]);
        at += n as u64;
    }
    Ok(sum.finalize().into())
}

/// One step of 64 bytes in every lane. The compiler makes vector instructions of the loops over lanes.
#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "the names are those of the RFC")]
fn round(state: &mut [Lane; 4], words: &[Lane; 16]) {
    let [mut a, mut b, mut c, mut d] = *state;
    for i in 0..64 {
        let (f, w): (Lane, usize) = match i / 16 {
            0 => (map(|l| d[l] ^ (b[l] & (c[l] ^ d[l]))), i),
            1 => (map(|l| c[l] ^ (d[l] & (b[l] ^ c[l]))), (5 * i + 1) % 16),
            2 => (map(|l| b[l] ^ c[l] ^ d[l]), (3 * i + 5) % 16),
            _ => (map(|l| c[l] ^ (b[l] | !d[l])), 7 * i % 16),
        };
        let turn = TURN[i / 16][i % 4];
        let next = map(|l| {
            let sum = a[l].wrapping_add(f[l]).wrapping_add(K[i]).wrapping_add(words[w][l]);
            b[l].wrapping_add(sum.rotate_left(turn))
        });
        (a, b, c, d) = (d, next, b, c);
    }
    for (word, new) in state.iter_mut().zip([a, b, c, d]) {
        *word = map(|l| word[l].wrapping_add(new[l]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn lanes_give_what_one_alone_gives() {
        let body: Vec<u8> = (0..8 * 70_400_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&body).expect("writes");
        for part in [70_400, 64, 65_536, 63, 100] {
            let parts: Vec<_> = (0..8_u64).map(|n| n * part..(n + 1) * part).collect();
            let expected: Vec<[u8; 16]> =
                parts.iter().map(|p| Md5::digest(&body[p.start as usize..p.end as usize]).into()).collect();
            assert_eq!(sums(&file, &parts).expect("reads"), expected, "{part}");
            for some in [8, 7, 5, 4, 3, 1] {
                assert_eq!(together(&file, &parts[..some]).expect("reads"), expected[..some], "{some} of {part}");
            }
            let mut shorter = parts.clone();
            shorter[6] = parts[6].start..parts[6].end - 3;
            assert_eq!(together(&file, &shorter[..7]).expect("reads")[..6], expected[..6], "{part}");
            assert_eq!(together(&file, &shorter[..7]).expect("reads")[6], alone(&file, &shorter[6]).expect("reads"));
        }
        let empty = std::slice::from_ref(&(0..0));
        assert_eq!(sums(&file, empty).expect("reads"), [<[u8; 16]>::from(Md5::digest(b""))]);
    }
}
