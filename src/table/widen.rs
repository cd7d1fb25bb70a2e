//! Columns of several tables brought together: the type that holds the values of both, and casts that lose nothing.

use arrow::array::{Array as _, ArrayRef};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::{ArrowError, Result};

/// Errors instead of nulls.
const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

/// The type that holds values of both, where there is one: numbers and numbers, text and text, dates and times.
pub(crate) fn wider(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Date32, Float64, Int64, LargeUtf8, Null, Timestamp, Utf8};
    let whole = |t: &DataType| t.is_integer() && *t != DataType::UInt64;
    match (a, b) {
        _ if a == b => Some(a.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        _ if whole(a) && whole(b) => Some(Int64),
        _ if a.is_numeric() && b.is_numeric() => Some(Float64),
        (Utf8 | LargeUtf8, Utf8 | LargeUtf8) => Some(LargeUtf8),
        (Timestamp(unit, None), Date32) | (Date32, Timestamp(unit, None)) => Some(Timestamp(*unit, None)),
        (Timestamp(one, zone), Timestamp(other, same)) if zone == same => {
            let finer = if digits(*one) < digits(*other) { *other } else { *one };
            Some(Timestamp(finer, zone.clone()))
        }
        _ => None,
    }
}

fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// The same values as another type. Fails where one of them would become another value: 1.5 as an integer, 2^53 + 1
/// as a float.
pub(crate) fn widened(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let from = array.data_type();
    if from == to {
        return Ok(array.clone());
    }
    let made = cast_with_options(array, to, &STRICT)?;
    if from.is_numeric() && to.is_numeric() {
        let back = cast_with_options(&made, from, &STRICT)?;
        if not_distinct(&back, array)?.true_count() != array.len() {
            return Err(ArrowError::CastError(format!("not every {from} is a {to}")));
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn no_value_becomes_another() {
        let floats = |values: &[f64]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
        let ints = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
        assert!(widened(&floats(&[1.0, 2.0]), &DataType::Int64).is_ok());
        assert!(widened(&floats(&[1.5]), &DataType::Int64).is_err());
        assert!(widened(&floats(&[1e300]), &DataType::Int64).is_err());
        assert!(widened(&ints(&[1, 1 << 53]), &DataType::Float64).is_ok());
        assert!(widened(&ints(&[(1 << 53) + 1]), &DataType::Float64).is_err());
        assert!(widened(&ints(&[i64::MAX]), &DataType::Float64).is_err());
        assert!(widened(&ints(&[300]), &DataType::Int8).is_err());
        assert!(widened(&floats(&[f64::NAN, -0.0]), &DataType::Float64).is_ok());
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("7"), None]));
        assert!(widened(&text, &DataType::LargeUtf8).is_ok_and(|a| a.null_count() == 1));
        let nothing: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(1)]));
        assert!(widened(&nothing, &DataType::Float64).is_ok_and(|a| a.null_count() == 1));
    }

    #[test]
    fn the_wider_of_two_types() {
        use DataType::{Boolean, Date32, Float32, Float64, Int8, Int64, UInt64, Utf8};
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert_eq!(wider(&Int8, &Int64), Some(Int64));
        assert_eq!(wider(&Int64, &Float32), Some(Float64));
        assert_eq!(wider(&UInt64, &Int8), Some(Float64));
        assert_eq!(wider(&Date32, &micros), Some(micros.clone()));
        assert_eq!(
            wider(&micros, &DataType::Timestamp(TimeUnit::Nanosecond, None)).map(|t| t.to_string()),
            Some("Timestamp(ns)".to_owned())
        );
        assert_eq!((wider(&Boolean, &Utf8), wider(&Boolean, &Boolean)), (None, Some(Boolean)));
    }
}
