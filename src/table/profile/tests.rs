//! Profiles of columns whose values are known.

use super::*;
use crate::table::{Chunk, Group};
use arrow::array::{
    BooleanArray, Decimal128Array, DictionaryArray, Float32Array, ListArray, StringArray, Time32SecondArray,
    TimestampMillisecondArray, UInt64Array,
};

fn profile(arrays: &[ArrayRef]) -> Profile {
    let kind = arrays[0].data_type().clone();
    let mut profiler = Profiler::new("a", "words", &kind);
    for array in arrays {
        profiler.add(array);
    }
    profiler.finish()
}

fn quantile(profile: &Profile, q: f64) -> f64 {
    let found = profile.quantiles.iter().find(|(share, _)| (share - q).abs() < 1e-9).expect("told");
    found.1.parse().expect("a number")
}

#[test]
fn a_small_column_is_told_exactly() {
    let one: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(4.0), Some(f64::NAN)]));
    let two: ArrayRef = Arc::new(Float64Array::from(vec![Some(-2.5), Some(4.0), Some(-0.0), Some(0.0)]));
    let p = profile(&[one, two]);
    assert_eq!((p.rows, p.nulls, p.nans), (8, Some(1), 1));
    assert_eq!((p.min.as_deref(), p.max.as_deref()), (Some("-2.5"), Some("4")));
    assert!((p.mean.expect("a mean") - 6.5 / 6.0).abs() < 1e-12);
    let expected =
        ([1.0, 4.0, -2.5, 4.0, 0.0, 0.0].iter().map(|v: &f64| (v - 6.5 / 6.0).powi(2)).sum::<f64>() / 6.0).sqrt();
    assert!((p.deviation.expect("a deviation") - expected).abs() < 1e-12);
    assert_eq!(p.distinct, Some(Distinct::Exact(4)));
    assert_eq!(p.top, [("0".to_owned(), 2), ("4".to_owned(), 2)]);
    assert!(p.rank_error == 0.0 && (quantile(&p, 0.5)).abs() < 1e-12);
}

#[test]
fn ten_million_values_stay_within_the_bounds_that_are_told() {
    // A permutation of 0..n, so that every rank is known.
    let n = 3_000_017_u64;
    let mut profiler = Profiler::new("a", "u64", &DataType::UInt64);
    let values: Vec<u64> = (0..n).map(|i| (i * 1_000_003) % n).collect();
    for chunk in values.chunks(65_536) {
        profiler.add(&(Arc::new(UInt64Array::from(chunk.to_vec())) as ArrayRef));
    }
    let p = profiler.finish();
    assert_eq!((p.min.as_deref(), p.max.as_deref()), (Some("0"), Some("3000016")));
    assert!((p.mean.expect("a mean") - (n - 1) as f64 / 2.0).abs() < 1e-3);
    assert!(p.rank_error > 0.0 && p.rank_error < 2e-4, "{}", p.rank_error);
    for q in QUANTILES {
        let off = (quantile(&p, q) / n as f64 - q).abs();
        assert!(off <= p.rank_error + 1e-6, "{q} is off by {off}, told was {}", p.rank_error);
    }
    let Some(Distinct::About(distinct)) = p.distinct else { panic!("{:?}", p.distinct) };
    assert!((distinct as f64 / n as f64 - 1.0).abs() < 0.03, "{distinct}");
    let histogram = p.histogram.expect("bins");
    assert_eq!((histogram.counts.len(), histogram.below, histogram.above), (60, 0, 0));
    assert!(histogram.counts.iter().all(|c| (*c as f64 / (n as f64 / 60.0) - 1.0).abs() < 0.02));
}

#[test]
fn what_is_frequent_is_found_among_a_flood_of_others() {
    let values: Vec<String> =
        (0..300_000).map(|i| if i % 10 == 0 { "often".to_owned() } else { format!("v{i}") }).collect();
    let array: ArrayRef = Arc::new(StringArray::from(values));
    let p = profile(&[array]);
    assert_eq!(p.top[0].0, "often");
    assert!(p.top[0].1 <= 30_000 && p.top[0].1 > 29_000, "a lower bound: {}", p.top[0].1);
    assert_eq!(p.lengths, Some((2, 7)));
    assert_eq!((p.min.as_deref(), p.max.as_deref()), (Some("often"), Some("v99999")));
}

#[test]
fn far_values_do_not_squeeze_the_histogram() {
    let values: Vec<f64> = (0..10_000).map(|i| if i % 1_000 == 0 { 3.4e38 } else { f64::from(i % 100) }).collect();
    let array: ArrayRef = Arc::new(Float64Array::from(values));
    let histogram = profile(&[array]).histogram.expect("bins");
    assert_eq!(histogram.above, 10);
    assert!(histogram.counts.iter().filter(|c| **c > 0).count() > 50);
}

#[test]
fn every_type_has_a_profile_of_its_own() {
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1_577_836_800_000, 0]).with_timezone("UTC"));
    let p = profile(&[times]);
    assert_eq!(p.max.as_deref(), Some("2020-01-01T00:00:00Z"));
    assert_eq!((p.mean, p.quantiles[3].1.as_str()), (None, "1970-01-01T00:00:00Z"));
    let clock: ArrayRef = Arc::new(Time32SecondArray::from(vec![61, 3600]));
    assert_eq!(profile(&[clock]).min.as_deref(), Some("00:01:01"));
    let decimal = Decimal128Array::from(vec![-12345, 100]).with_precision_and_scale(10, 2).expect("a scale");
    assert_eq!(profile(&[Arc::new(decimal)]).min.as_deref(), Some("-123.45"));
    let narrow: ArrayRef = Arc::new(Float32Array::from(vec![0.1, 0.1]));
    assert_eq!(profile(&[narrow]).top, [("0.1".to_owned(), 2)]);
    let bools: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(true), None, Some(false), Some(false)]));
    let p = profile(&[bools]);
    assert_eq!((p.nulls, p.distinct, p.top.len()), (Some(1), Some(Distinct::Exact(2)), 2));
    let words: DictionaryArray<Int32Type> = vec![Some("a"), Some("b"), None, Some("a")].into_iter().collect();
    let p = profile(&[Arc::new(words)]);
    assert_eq!((p.nulls, p.top.as_slice()), (Some(1), [("a".to_owned(), 2)].as_slice()));
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let p = profile(&[Arc::new(lists)]);
    assert_eq!((p.nulls, p.lengths, p.distinct), (Some(1), Some((0, 2)), None));
}

#[test]
fn statistics_of_row_groups_are_put_together() {
    let chunk = |min: &str, max: &str, nulls| Group {
        rows: 10,
        chunks: vec![Chunk {
            column: "h".into(),
            min: Some(min.into()),
            max: Some(max.into()),
            nulls,
            ..Chunk::default()
        }],
        ..Group::default()
    };
    let about = About {
        facts: crate::facts::Facts::default(),
        schema: Arc::new(arrow::datatypes::Schema::empty()),
        columns: vec![crate::table::Column { name: "h".into(), numeric: true, ..crate::table::Column::default() }],
        geo: crate::table::Geo::default(),
        total_rows: None,
        seen_rows: 0,
        pairs: Vec::new(),
    };
    let layout = Layout { groups: vec![chunk("9", "10", Some(1)), chunk("-1", "9.5", Some(2))] };
    let p = from_layout("h", &about, &layout).expect("told");
    assert_eq!((p.min.as_deref(), p.max.as_deref(), p.nulls, p.rows), (Some("-1"), Some("10"), Some(3), 20));
    assert!(!p.exact);
    let unsure = Layout { groups: vec![chunk("9", "10", Some(1)), chunk("1", "2", None)] };
    assert_eq!(from_layout("h", &about, &unsure).expect("told").nulls, None);
    assert_eq!(from_layout("x", &about, &layout), None);
}
