//! Columns that stand in the names of folders: `year=2024/month=1/`, as Hive and everything after it
//! partitions tables. <https://hive.apache.org/docs/latest/user/tutorial/>

use arrow::array::{ArrayRef, Date32Array, Int64Array, StringArray, new_null_array};
use arrow::datatypes::DataType;
use chrono::NaiveDate;
use percent_encoding::percent_decode_str;
use std::sync::Arc;

/// What a null value is called.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The keys and values in the folders of a file's name, in order; `None` is null.
pub(crate) fn keys(name: &str) -> Vec<(String, Option<String>)> {
    let folders = name.rsplit_once('/').map_or("", |(folders, _)| folders);
    let pairs = folders.split('/').filter_map(|folder| folder.split_once('=')).filter(|(key, _)| !key.is_empty());
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    pairs.map(|(key, value)| (decoded(key), (value != NULL).then(|| decoded(value)))).collect()
}

/// The type that fits all values of a key: whole numbers, days, else text.
pub(crate) fn kind<'a>(values: impl Iterator<Item = &'a str>) -> DataType {
    let (mut any, mut numbers, mut days) = (false, true, true);
    for value in values {
        any = true;
        numbers &= value.parse::<i64>().is_ok();
        days &= value.parse::<NaiveDate>().is_ok();
    }
    match (any, numbers, days) {
        (true, true, _) => DataType::Int64,
        (true, _, true) => DataType::Date32,
        _ => DataType::Utf8,
    }
}

/// A column of one value.
pub(crate) fn column(value: Option<&str>, kind: &DataType, rows: usize) -> ArrayRef {
    let array: Option<ArrayRef> = value.and_then(|value| {
        Some(match kind {
            DataType::Int64 => Arc::new(Int64Array::from_value(value.parse().ok()?, rows)) as ArrayRef,
            DataType::Date32 => {
                let day = value.parse::<NaiveDate>().ok()?.signed_duration_since(NaiveDate::default()).num_days();
                Arc::new(Date32Array::from_value(i32::try_from(day).ok()?, rows))
            }
            _ => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, rows))),
        })
    });
    array.unwrap_or_else(|| new_null_array(kind, rows))
}

/// Names with their numbers in order: `month=9` before `month=10`.
pub(crate) fn natural(one: &str, other: &str) -> std::cmp::Ordering {
    let (mut left, mut right) = (one, other);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    while !left.is_empty() && !right.is_empty() {
        let (n, m) = (digits(left), digits(right));
        let order = if n > 0 && m > 0 {
            let (number, than) = (left[..n].trim_start_matches('0'), right[..m].trim_start_matches('0'));
            (left, right) = (&left[n..], &right[m..]);
            number.len().cmp(&than.len()).then_with(|| number.cmp(than))
        } else {
            let (mut rest, mut others) = (left.chars(), right.chars());
            let order = rest.next().cmp(&others.next());
            (left, right) = (rest.as_str(), others.as_str());
            order
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_folders() {
        let found = keys("year=2024/region=Fj%C3%A4ll%2F1/empty=/none=__HIVE_DEFAULT_PARTITION__/a=b.parquet");
        let some = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        assert_eq!(
            found,
            [some("year", "2024"), some("region", "Fjäll/1"), some("empty", ""), ("none".to_owned(), None)]
        );
        assert!(keys("plain/x.parquet").is_empty());
    }

    #[test]
    fn types_fit_all_values() {
        assert_eq!(kind(["1", "02", "-3"].into_iter()), DataType::Int64);
        assert_eq!(kind(["2024-01-31", "2024-02-01"].into_iter()), DataType::Date32);
        assert_eq!(kind(["1", "x"].into_iter()), DataType::Utf8);
        let days = column(Some("1970-01-02"), &DataType::Date32, 2);
        assert_eq!(days.as_ref(), &Date32Array::from(vec![1, 1]));
        assert_eq!(column(None, &DataType::Int64, 3).null_count(), 3);
    }

    #[test]
    fn numbers_in_names_are_in_order() {
        let mut names = ["m=10/a", "m=9/b", "m=9/a", "m=09/a", "m=x/a", "m=1/part-11", "m=1/part-2"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["m=1/part-2", "m=1/part-11", "m=09/a", "m=9/a", "m=9/b", "m=10/a", "m=x/a"]);
    }
}
