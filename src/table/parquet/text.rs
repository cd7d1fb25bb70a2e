//! Values of statistics as text, by the type that the column has: they are stored as plain bytes.
//! <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md>

use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use ::parquet::schema::types::ColumnDescriptor;
use chrono::{DateTime, Days, NaiveDate, NaiveTime};
use std::fmt::Write as _;

/// Characters of a text or of hex that are given.
const MOST: usize = 64;

/// A value of a column in words; `None` where the bytes do not fit its type.
pub(super) fn value(bytes: &[u8], column: &ColumnDescriptor) -> Option<String> {
    let logical = column.logical_type_ref();
    let signed = || match bytes.len() {
        4 => Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        8 => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
        _ => None,
    };
    Some(match column.physical_type() {
        Type::BOOLEAN => (*bytes.first()? != 0).to_string(),
        Type::INT32 | Type::INT64 => integer(signed()?, bytes.len(), column)?,
        Type::INT96 => int96(bytes)?,
        Type::FLOAT => f32::from_le_bytes(bytes.try_into().ok()?).to_string(),
        Type::DOUBLE => f64::from_le_bytes(bytes.try_into().ok()?).to_string(),
        Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => match logical {
            Some(LogicalType::Decimal { scale, .. }) => decimal(big_endian(bytes)?, *scale),
            Some(LogicalType::Uuid) if bytes.len() == 16 => uuid(bytes),
            Some(LogicalType::Float16) => half(bytes)?,
            Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => text(bytes),
            None if matches!(
                column.converted_type(),
                ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON
            ) =>
            {
                text(bytes)
            }
            None if column.converted_type() == ConvertedType::DECIMAL => {
                decimal(big_endian(bytes)?, column.type_scale())
            }
            _ => hex(bytes),
        },
    })
}

fn integer(value: i64, width: usize, column: &ColumnDescriptor) -> Option<String> {
    let converted = column.converted_type();
    let unsigned = || if width == 4 { u64::from(value as u32) } else { value as u64 };
    Some(match column.logical_type_ref() {
        Some(LogicalType::Date) => date(value)?,
        Some(LogicalType::Timestamp { unit, is_adjusted_to_u_t_c }) => timestamp(value, *unit, *is_adjusted_to_u_t_c)?,
        Some(LogicalType::Time { unit, .. }) => time(value, *unit)?,
        Some(LogicalType::Decimal { scale, .. }) => decimal(i128::from(value), *scale),
        Some(LogicalType::Integer { is_signed: false, .. }) => unsigned().to_string(),
        Some(_) => value.to_string(),
        None => match converted {
            ConvertedType::DATE => date(value)?,
            ConvertedType::TIMESTAMP_MILLIS => timestamp(value, TimeUnit::MILLIS, true)?,
            ConvertedType::TIMESTAMP_MICROS => timestamp(value, TimeUnit::MICROS, true)?,
            ConvertedType::TIME_MILLIS => time(value, TimeUnit::MILLIS)?,
            ConvertedType::TIME_MICROS => time(value, TimeUnit::MICROS)?,
            ConvertedType::DECIMAL => decimal(i128::from(value), column.type_scale()),
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
                unsigned().to_string()
            }
            _ => value.to_string(),
        },
    })
}

fn date(days: i64) -> Option<String> {
    let start = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let by = Days::new(days.unsigned_abs());
    let day = if days < 0 { start.checked_sub_days(by) } else { start.checked_add_days(by) };
    Some(day?.to_string())
}

/// Units in a second.
fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    }
}

fn timestamp(value: i64, unit: TimeUnit, utc: bool) -> Option<String> {
    let per = per_second(unit);
    let nanos = value.rem_euclid(per) * (1_000_000_000 / per);
    let at = DateTime::from_timestamp(value.div_euclid(per), u32::try_from(nanos).ok()?)?;
    Some(format!("{}{}", at.format("%Y-%m-%dT%H:%M:%S%.f"), if utc { "Z" } else { "" }))
}

fn time(value: i64, unit: TimeUnit) -> Option<String> {
    let per = per_second(unit);
    let nanos = value.rem_euclid(per) * (1_000_000_000 / per);
    let seconds = u32::try_from(value.div_euclid(per)).ok()?;
    Some(NaiveTime::from_num_seconds_from_midnight_opt(seconds, u32::try_from(nanos).ok()?)?.to_string())
}

/// Nanoseconds of a day and a Julian day, as Impala and old Spark write times.
fn int96(bytes: &[u8]) -> Option<String> {
    let nanos = i64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let day = i64::from(u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?)) - 2_440_588;
    let seconds = day.checked_mul(86_400)?.checked_add(nanos.div_euclid(1_000_000_000))?;
    let at = DateTime::from_timestamp(seconds, u32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?)?;
    Some(at.format("%Y-%m-%dT%H:%M:%S%.f").to_string())
}

fn big_endian(bytes: &[u8]) -> Option<i128> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
    Some(bytes.iter().fold(sign, |value, byte| value << 8 | i128::from(*byte)))
}

fn decimal(value: i128, scale: i32) -> String {
    let Ok(scale @ 1..) = usize::try_from(scale) else { return value.to_string() };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale.min(100) + 1);
    let (whole, part) = digits.split_at(digits.len() - scale.min(100));
    format!("{}{whole}.{part}", if value < 0 { "-" } else { "" })
}

fn uuid(bytes: &[u8]) -> String {
    let digits = plain_hex(bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn half(bytes: &[u8]) -> Option<String> {
    let bits = u16::from_le_bytes(bytes.try_into().ok()?);
    let (exponent, part) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let value = match exponent {
        0 => part * 2_f32.powi(-24),
        31 if part == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + part) * 2_f32.powi(exponent - 25),
    };
    Some((sign * value).to_string())
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out: String = text.chars().take(MOST).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

fn plain_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn hex(bytes: &[u8]) -> String {
    let cut = bytes.len() > MOST / 2;
    format!("0x{}{}", plain_hex(&bytes[..bytes.len().min(MOST / 2)]), if cut { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::parquet::schema::types::{ColumnPath, Type as Schema};
    use std::sync::Arc;

    fn column(kind: Type, logical: Option<LogicalType>, length: i32, precision: i32, scale: i32) -> ColumnDescriptor {
        let schema = Schema::primitive_type_builder("c", kind)
            .with_logical_type(logical)
            .with_length(length)
            .with_precision(precision)
            .with_scale(scale)
            .build();
        ColumnDescriptor::new(Arc::new(schema.expect("a type")), 0, 0, ColumnPath::new(vec!["c".to_owned()]))
    }

    #[test]
    fn statistics_are_read_by_their_type() {
        let plain = |kind| column(kind, None, 0, 0, 0);
        let show = |bytes: &[u8], column: &ColumnDescriptor| value(bytes, column).unwrap_or_default();
        assert_eq!(show(&(-5_i32).to_le_bytes(), &plain(Type::INT32)), "-5");
        assert_eq!(show(&1.5_f64.to_le_bytes(), &plain(Type::DOUBLE)), "1.5");
        let unsigned = column(Type::INT64, Some(LogicalType::Integer { bit_width: 64, is_signed: false }), 0, 0, 0);
        assert_eq!(show(&u64::MAX.to_le_bytes(), &unsigned), "18446744073709551615");
        assert_eq!(show(&(-1_i32).to_le_bytes(), &column(Type::INT32, Some(LogicalType::Date), 0, 0, 0)), "1969-12-31");
        let nanos = LogicalType::Timestamp { is_adjusted_to_u_t_c: false, unit: TimeUnit::NANOS };
        let nanos = column(Type::INT64, Some(nanos), 0, 0, 0);
        assert_eq!(show(&1_539_648_000_500_000_000_i64.to_le_bytes(), &nanos), "2018-10-16T00:00:00.500");
        let decimal = column(Type::INT32, Some(LogicalType::Decimal { precision: 9, scale: 2 }), 0, 9, 2);
        assert_eq!(show(&(-7_i32).to_le_bytes(), &decimal), "-0.07");
        let bytes = LogicalType::Decimal { precision: 4, scale: 1 };
        assert_eq!(show(&[0xff, 0x85], &column(Type::FIXED_LEN_BYTE_ARRAY, Some(bytes), 2, 4, 1)), "-12.3");
        assert_eq!(show(b"lake", &column(Type::BYTE_ARRAY, Some(LogicalType::String), 0, 0, 0)), "lake");
        assert_eq!(show(&[1, 255], &plain(Type::BYTE_ARRAY)), "0x01ff");
        let half = column(Type::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Float16), 2, 0, 0);
        assert_eq!(show(&[0x00, 0xc1], &half), "-2.5");
        assert_eq!(value(&[1, 2], &plain(Type::DOUBLE)), None);
        assert_eq!(show(&[0, 0, 0, 0, 0, 0, 0, 0, 0x8c, 0x3d, 0x25, 0], &plain(Type::INT96)), "1970-01-01T00:00:00");
    }
}
