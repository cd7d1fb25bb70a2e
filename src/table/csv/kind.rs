//! What a field can be, and what a column of them is.

use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, Utc};
use std::str;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// `true`, `false` in any case.
    Bool,
    /// 64-bit integers.
    Int,
    /// 64-bit floats.
    Float,
    /// Days, `2020-12-31`.
    Date,
    /// Times in ISO 8601: in nanoseconds (else microseconds), with a zone (kept as UTC) or without.
    Time {
        /// Finer than microseconds.
        nanos: bool,
        /// With a zone.
        zoned: bool,
    },
    /// Anything.
    Text,
}

impl Kind {
    /// The type of Arrow columns of it.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Time { nanos, zoned } => {
                let unit = if nanos { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
                DataType::Timestamp(unit, zoned.then(|| "UTC".into()))
            }
            Self::Text => DataType::Utf8,
        }
    }

    /// Its name above a column, as a Parquet file's columns are named.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "i64",
            Self::Float => "f64",
            Self::Date => "date",
            Self::Time { nanos: true, zoned: true } => "timestamp[ns, UTC]",
            Self::Time { nanos: true, zoned: false } => "timestamp[ns]",
            Self::Time { nanos: false, zoned: true } => "timestamp[us, UTC]",
            Self::Time { nanos: false, zoned: false } => "timestamp[us]",
            Self::Text => "text",
        }
    }

    /// Its name in a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bool => "a truth value",
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Date => "a date",
            Self::Time { .. } => "a time",
            Self::Text => "text",
        }
    }

    /// Whether it is computed with.
    pub(crate) fn is_numeric(self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }
}

/// What stands for a missing value besides nothing at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Missing {
    texts: Vec<Vec<u8>>,
    numbers: Vec<f64>,
}

impl Missing {
    /// These, as they are written; a number also in any other way of writing it.
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let texts: Vec<Vec<u8>> = values.into_iter().map(|v| v.trim().as_bytes().to_vec()).collect();
        let numbers = texts.iter().filter_map(|t| float(t)).collect();
        Self { texts, numbers }
    }

    /// Whether a field (trimmed) is one of them.
    pub(crate) fn is_text(&self, field: &[u8]) -> bool {
        field.is_empty() || self.texts.iter().any(|t| t == field)
    }

    /// Whether a field that should be a value of a type other than text stands for none.
    pub(crate) fn is_value(&self, field: &[u8]) -> bool {
        self.is_text(field) || matches!(field, b"NA" | b"N/A" | b"n/a" | b"NaN" | b"nan" | b"null" | b"NULL" | b"None")
    }

    /// Whether a number is one of them.
    pub(crate) fn is_number(&self, value: f64) -> bool {
        self.numbers.contains(&value)
    }
}

/// What a column can still be after the fields seen so far.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // one for each type that is still possible
pub(crate) struct Guess {
    seen: bool,
    /// A number that stands for a missing value was seen.
    absent: bool,
    bool: bool,
    int: bool,
    float: bool,
    date: bool,
    time: bool,
    nanos: bool,
    zoned: bool,
    naive: bool,
}

impl Default for Guess {
    fn default() -> Self {
        Self {
            seen: false,
            absent: false,
            bool: true,
            int: true,
            float: true,
            date: true,
            time: true,
            nanos: false,
            zoned: false,
            naive: false,
        }
    }
}

impl Guess {
    /// Looks at one more field.
    pub(crate) fn observe(&mut self, field: &[u8], missing: &Missing) {
        let field = field.trim_ascii();
        let settled = self.seen && !(self.bool || self.int || self.float || self.date || self.time);
        if settled {
            return;
        }
        if missing.is_value(field) {
            self.absent |= float(field).is_some_and(|n| missing.is_number(n));
            return;
        }
        if self.int || self.float {
            let number = float(field);
            if number.is_some_and(|n| missing.is_number(n)) {
                self.absent = true;
                return;
            }
            // A number with zeros in front is a name (`03005`, a station): they must not be lost.
            let name = has_leading_zeros(field);
            self.int &= !name && int(field).is_some();
            self.float &= !name && number.is_some_and(|value| !is_lossy(field, value));
        }
        self.seen = true;
        self.bool &= boolean(field).is_some();
        self.date &= date(field).is_some();
        if self.time {
            match time(field) {
                Some((_, form)) => {
                    self.nanos |= form.nanos;
                    self.zoned |= form.zoned;
                    self.naive |= !form.zoned;
                    self.time = !(self.zoned && self.naive);
                }
                None => self.time = false,
            }
        }
    }

    /// Whether no value was seen that tells a type.
    pub(crate) fn is_empty(&self) -> bool {
        !self.seen && !self.absent
    }

    /// The narrowest type that holds all that was seen.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            // Where numbers stand for missing values, the others will be numbers too.
            Self { seen: false, absent: true, .. } => Kind::Float,
            Self { seen: false, .. } => Kind::Text,
            Self { bool: true, .. } => Kind::Bool,
            Self { int: true, .. } => Kind::Int,
            Self { float: true, .. } => Kind::Float,
            Self { date: true, .. } => Kind::Date,
            Self { time: true, nanos, zoned, .. } => Kind::Time { nanos: *nanos, zoned: *zoned },
            _ => Kind::Text,
        }
    }
}

fn digits(field: &[u8]) -> &[u8] {
    match field {
        [b'+' | b'-', rest @ ..] => rest,
        all => all,
    }
}

fn is_digits(field: &[u8]) -> bool {
    let digits = digits(field);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Whether it is digits that a number would not keep: `03005`.
pub(super) fn has_leading_zeros(field: &[u8]) -> bool {
    let digits = digits(field);
    digits.len() > 1 && digits[0] == b'0' && digits.iter().all(u8::is_ascii_digit)
}

/// A truth value.
pub(super) fn boolean(field: &[u8]) -> Option<bool> {
    if field.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if field.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// An integer that fits into 64 bits.
pub(crate) fn int(field: &[u8]) -> Option<i64> {
    let (negative, digits) = match field {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut value: i64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        let digit = i64::from(digit - b'0');
        value = value.checked_mul(10)?;
        value = if negative { value.checked_sub(digit)? } else { value.checked_add(digit)? };
    }
    Some(value)
}

/// A number as programs write it: `-1.5e-3`, `NaN`, `inf`.
pub(crate) fn float(field: &[u8]) -> Option<f64> {
    let first = *digits(field).first()?;
    if !(first.is_ascii_digit() || matches!(first, b'.' | b'n' | b'N' | b'i' | b'I')) {
        return None;
    }
    str::from_utf8(field).ok()?.parse().ok()
}

/// Whether `value`, read from `field`, is not the number that is written there: an integer of which a float
/// keeps only the first digits, or one beyond its range.
pub(crate) fn is_lossy(field: &[u8], value: f64) -> bool {
    if is_digits(field) {
        // Beyond 64 bits, or between two floats.
        return int(field).is_none_or(|exact| value as i128 != i128::from(exact));
    }
    value.is_infinite() && digits(field).first().is_some_and(u8::is_ascii_digit)
}

fn is_date(field: &[u8]) -> bool {
    field.len() == 10
        && field.iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() })
}

/// Days since 1970-01-01.
pub(super) fn date(field: &[u8]) -> Option<i32> {
    if !is_date(field) {
        return None;
    }
    let date: NaiveDate = str::from_utf8(field).ok()?.parse().ok()?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// How a time is written.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) nanos: bool,
    pub(super) zoned: bool,
}

/// A time in ISO 8601 (or with a space for the `T`); one without a zone as if in UTC.
pub(super) fn time(field: &[u8]) -> Option<(DateTime<Utc>, Form)> {
    let day = field.get(..10)?;
    if !is_date(day) {
        return None;
    }
    let clock = match field.get(10) {
        None => &[][..],
        Some(b'T' | b't' | b' ') => field.get(11..)?,
        Some(_) => return None,
    };
    let zoned = clock.iter().any(|b| matches!(b, b'Z' | b'z' | b'+' | b'-'));
    let fraction = clock
        .iter()
        .position(|b| *b == b'.')
        .map_or(0, |dot| clock[dot + 1..].iter().take_while(|b| b.is_ascii_digit()).count());
    let text = str::from_utf8(field).ok()?;
    let value = string_to_datetime(&Utc, text).ok()?;
    Some((value, Form { nanos: fraction > 6, zoned }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(fields: &[&str], missing: &[&str]) -> Kind {
        let missing = Missing::new(missing.iter().copied());
        let mut guess = Guess::default();
        for field in fields {
            guess.observe(field.as_bytes(), &missing);
        }
        guess.kind()
    }

    #[test]
    fn a_column_is_the_narrowest_type_that_holds_it() {
        assert_eq!(kind(&["1", "-2", "", "NA"], &[]), Kind::Int);
        assert_eq!(kind(&["1", "2.5", "1e-3", "NaN"], &[]), Kind::Float);
        assert_eq!(kind(&["1", "-9999.0"], &["-9999"]), Kind::Int, "a missing value says nothing of the type");
        assert_eq!(kind(&["True", "false"], &[]), Kind::Bool);
        assert_eq!(kind(&["2020-02-29"], &[]), Kind::Date);
        assert_eq!(kind(&["2020-02-29", "2020-02-29T10:00:00"], &[]), Kind::Time { nanos: false, zoned: false });
        assert_eq!(kind(&["2020-02-29T10:00:00.1234567Z"], &[]), Kind::Time { nanos: true, zoned: true });
        assert_eq!(kind(&["2020-02-29T10:00Z", "2020-02-29T10:00"], &[]), Kind::Text, "zones cannot be guessed");
        assert_eq!(kind(&["2020-02-30"], &[]), Kind::Text);
        assert_eq!(kind(&["+0123,1", "+9999,9"], &["+9999,9"]), Kind::Text);
        assert_eq!(kind(&["", ""], &[]), Kind::Text);
        assert_eq!(kind(&["", "-9999"], &["-9999"]), Kind::Float, "missing numbers are those of a column of numbers");
    }

    #[test]
    fn nothing_is_lost_by_a_guess() {
        assert_eq!(kind(&["03005", "12345"], &[]), Kind::Text, "station codes keep their zeros");
        assert_eq!(kind(&["99999999999999999999"], &[]), Kind::Text, "too large for 64 bits");
        assert_eq!(int(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(int(b"9223372036854775808"), None);
        assert_eq!(kind(&["0", "0.5", "+10.3075"], &[]), Kind::Float);
        assert_eq!(kind(&["infinite"], &[]), Kind::Text);
        assert_eq!(kind(&["9007199254740993", "0.5"], &[]), Kind::Text, "no float is that integer");
        assert_eq!(kind(&["9007199254740992", "0.5"], &[]), Kind::Float);
        assert_eq!(kind(&["1e400"], &[]), Kind::Text, "beyond the range of floats");
    }
}
