//! How the values of a tile are packed: without compression, or by DEFLATE, LZW or Zstandard; with the predictors of
//! TIFF 6.0 and of its Technical Note 3 (<https://chriscox.org/TIFFTN3d1.pdf>).

use crate::raster::report::Directory;

/// How tiles are packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packing {
    codec: Codec,
    predictor: Predictor,
    /// Whether the bytes of a value are in the other order than here.
    is_swapped: bool,
    /// Bytes of a value.
    pub(super) width: usize,
    /// Values of a pixel in one tile: 1 where bands lie apart.
    pub(super) samples: usize,
}

#[derive(Clone, Copy, Debug)]
enum Codec {
    Nothing,
    Deflate,
    Lzw,
    Zstd,
}

/// What was done to values before they were packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Predictor {
    Nothing,
    /// Each is the difference to the one before.
    Difference,
    /// Bytes of the same weight stand together, each as a difference.
    Float,
}

impl Packing {
    /// That of an image, whose numbers begin with what weighs least if they are `little`; nothing for others.
    pub(super) fn of(image: &Directory, little: bool) -> Option<Self> {
        let codec = match image.codec.as_str() {
            "none" => Codec::Nothing,
            "DEFLATE" => Codec::Deflate,
            "LZW" => Codec::Lzw,
            "ZSTD" => Codec::Zstd,
            _ => return None,
        };
        let predictor = match (image.predictor, image.bits) {
            (1, 8 | 16 | 32 | 64) => Predictor::Nothing,
            (2, 8 | 16 | 32) => Predictor::Difference,
            (3, 32 | 64) => Predictor::Float,
            _ => return None,
        };
        let samples = if image.interleaved { usize::try_from(image.samples).ok()? } else { 1 };
        let is_swapped = little != cfg!(target_endian = "little");
        Some(Self { codec, predictor, is_swapped, width: usize::try_from(image.bits / 8).ok()?, samples })
    }

    /// Fills `values` with those of a tile, in this machine's order of bytes, `line` bytes from left to right; nothing
    /// where there are fewer.
    pub(super) fn unpack(&self, packed: &[u8], line: usize, values: &mut [u8]) -> Option<()> {
        let filled = match self.codec {
            Codec::Nothing => {
                values.copy_from_slice(packed.get(..values.len())?);
                values.len()
            }
            // Three times as fast as what reads streams: a tile is there whole.
            Codec::Deflate => libdeflater::Decompressor::new().zlib_decompress(packed, values).ok()?,
            Codec::Lzw => lzw(packed, values),
            Codec::Zstd => zstd::bulk::decompress_to_buffer(packed, values).ok()?,
        };
        if filled < values.len() {
            return None;
        }
        let mut spare = Vec::new();
        for line in values.chunks_exact_mut(line) {
            self.restore(line, &mut spare);
        }
        Some(())
    }

    /// Makes of a line of a tile what it was before it was packed.
    fn restore(&self, line: &mut [u8], spare: &mut Vec<u8>) {
        if self.is_swapped && self.predictor != Predictor::Float {
            line.chunks_exact_mut(self.width).for_each(<[u8]>::reverse);
        }
        match (self.predictor, self.width) {
            (Predictor::Nothing, _) => {}
            (Predictor::Float, _) => {
                add_up::<1>(line, self.samples, |a, b| [a[0].wrapping_add(b[0])]);
                spare.clear();
                spare.extend_from_slice(line);
                if self.width == 4 { together::<4>(spare, line) } else { together::<8>(spare, line) }
            }
            (Predictor::Difference, 1) => add_up::<1>(line, self.samples, |a, b| [a[0].wrapping_add(b[0])]),
            (Predictor::Difference, 2) => add_up::<2>(line, self.samples, |a, b| {
                u16::from_ne_bytes(a).wrapping_add(u16::from_ne_bytes(b)).to_ne_bytes()
            }),
            (Predictor::Difference, _) => add_up::<4>(line, self.samples, |a, b| {
                u32::from_ne_bytes(a).wrapping_add(u32::from_ne_bytes(b)).to_ne_bytes()
            }),
        }
    }
}

/// Fills `out` as far as it goes; gives how far.
fn lzw(packed: &[u8], out: &mut [u8]) -> usize {
    let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8);
    let (mut read, mut filled) = (0, 0);
    // It stops in between, and may have made nothing by then.
    while filled < out.len() {
        let step = decoder.decode_bytes(&packed[read..], &mut out[filled..]);
        (read, filled) = (read + step.consumed_in, filled + step.consumed_out);
        if !matches!(step.status, Ok(weezl::LzwStatus::Ok)) {
            break;
        }
    }
    filled
}

/// Each value becomes the sum of it and the one `step` before.
fn add_up<const N: usize>(line: &mut [u8], step: usize, add: impl Fn([u8; N], [u8; N]) -> [u8; N]) {
    let (values, _) = line.as_chunks_mut::<N>();
    if step == 1 {
        // The sum stays at hand: what was written a moment ago is slow to be read back.
        let mut sum = [0; N];
        for value in values {
            sum = add(*value, sum);
            *value = sum;
        }
        return;
    }
    for index in step..values.len() {
        values[index] = add(values[index], values[index - step]);
    }
}

/// Makes values of their bytes, of which all of the same weight stand together, the heaviest first.
fn together<const N: usize>(apart: &[u8], values: &mut [u8]) {
    let count = apart.len() / N;
    let weights: [&[u8]; N] = std::array::from_fn(|weight| &apart[weight * count..(weight + 1) * count]);
    for (index, value) in values.as_chunks_mut::<N>().0.iter_mut().enumerate() {
        *value = std::array::from_fn(|weight| weights[weight][index]);
        if cfg!(target_endian = "little") {
            value.reverse();
        }
    }
}
