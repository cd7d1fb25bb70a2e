//! Numbers from the bytes of decoded chunks.

use super::member::About;

/// How a value lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    Bf16,
    F32,
    F64,
    /// `numpy`'s times: the smallest number is none.
    Time,
}

impl Item {
    /// By the short name of the type; `None` for what is no number.
    pub(super) fn of(about: &About) -> Option<Self> {
        Some(match about.dtype.as_str() {
            "bool" => Self::Bool,
            "i8" => Self::I8,
            "i16" => Self::I16,
            "i32" => Self::I32,
            "i64" => Self::I64,
            "u8" => Self::U8,
            "u16" => Self::U16,
            "u32" => Self::U32,
            "u64" => Self::U64,
            "f16" => Self::F16,
            "bfloat16" => Self::Bf16,
            "f32" => Self::F32,
            "f64" => Self::F64,
            name if name.starts_with("datetime64") || name.starts_with("timedelta64") => Self::Time,
            _ => return None,
        })
    }

    /// Bytes of one.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 | Self::Bf16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 | Self::Time => 8,
        }
    }

    /// The value at a position; NaN beyond the end.
    pub(super) fn at(self, bytes: &[u8], position: usize) -> f64 {
        let size = self.size();
        let Some(b) = bytes.get(position * size..(position + 1) * size) else { return f64::NAN };
        match self {
            Self::Bool | Self::U8 => f64::from(b[0]),
            Self::I8 => f64::from(b[0].cast_signed()),
            Self::I16 => b.try_into().map_or(f64::NAN, |b| f64::from(i16::from_ne_bytes(b))),
            Self::U16 => b.try_into().map_or(f64::NAN, |b| f64::from(u16::from_ne_bytes(b))),
            Self::F16 => b.try_into().map_or(f64::NAN, |b| half(u16::from_ne_bytes(b))),
            Self::Bf16 => {
                b.try_into().map_or(f64::NAN, |b| f64::from(f32::from_bits(u32::from(u16::from_ne_bytes(b)) << 16)))
            }
            Self::I32 => b.try_into().map_or(f64::NAN, |b| f64::from(i32::from_ne_bytes(b))),
            Self::U32 => b.try_into().map_or(f64::NAN, |b| f64::from(u32::from_ne_bytes(b))),
            Self::F32 => b.try_into().map_or(f64::NAN, |b| f64::from(f32::from_ne_bytes(b))),
            Self::I64 => b.try_into().map_or(f64::NAN, |b| i64::from_ne_bytes(b) as f64),
            Self::U64 => b.try_into().map_or(f64::NAN, |b| u64::from_ne_bytes(b) as f64),
            Self::F64 => b.try_into().map_or(f64::NAN, f64::from_ne_bytes),
            Self::Time => match b.try_into().map_or(i64::MIN, i64::from_ne_bytes) {
                i64::MIN => f64::NAN,
                time => time as f64,
            },
        }
    }
}

/// A number of 16 bits (IEEE 754-2019, binary16).
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_16_bits_are_read() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_953_125), (0x0001, 5.960_464_477_539_063e-8)]
        {
            assert!((half(bits) - value).abs() < 1e-15, "{bits:x}");
        }
        assert!(half(0x7e00).is_nan() && half(0xfc00) < f64::MIN);
    }

    #[test]
    fn no_time_is_no_number() {
        assert!(Item::Time.at(&i64::MIN.to_ne_bytes(), 0).is_nan());
        assert!(Item::F32.at(&[0; 4], 1).is_nan());
    }
}
