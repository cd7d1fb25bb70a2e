//! Numbers that mean something, in words: a time, a latitude, a value with its unit.
//!
//! Units as CF conventions 1.11 write them, sections 3.1, 4.1 and 4.2
//! <https://cfconventions.org/cf-conventions/cf-conventions.html>.

use crate::calendar::Times;
use crate::text;

/// A value in words: a date where numbers are `times`, else a number with its `unit`.
pub fn words(value: f64, unit: &str, times: Option<&Times>) -> String {
    if let Some(date) = times.and_then(|times| times.date(value)) {
        return date.to_string();
    }
    if value.is_nan() {
        return "none".to_owned();
    }
    let number = plain(value);
    match unit {
        "" | "1" => number,
        "degrees_north" | "degree_north" | "degrees_N" if value.abs() <= 90.0 => degrees(value, "N", "S"),
        "degrees_east" | "degree_east" | "degrees_E" => degrees(value, "E", "W"),
        unit => format!("{number} {unit}"),
    }
}

/// `45.25°N`.
fn degrees(value: f64, positive: &str, negative: &str) -> String {
    let side = if value > 0.0 {
        positive
    } else if value < 0.0 {
        negative
    } else {
        ""
    };
    format!("{}°{side}", plain(value.abs()))
}

/// A number in as few digits as tell it: `0.1`, `273.15`, `1.5e-9`.
pub fn plain(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return if value.is_nan() { "none".to_owned() } else { value.to_string() };
    }
    let size = value.abs().log10().floor();
    if !(-5.0..15.0).contains(&size) {
        let words = format!("{value:.5e}");
        let (digits, power) = words.split_once('e').unwrap_or((&words, "0"));
        return format!("{}e{power}", trimmed(digits));
    }
    // Seven digits are what 32 bits hold.
    let places = (6.0 - size).clamp(0.0, 12.0) as usize;
    trimmed(&format!("{value:.places$}")).to_owned()
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// A name or a unit as it is shown: cut, without control characters.
pub(crate) fn shown(name: &str) -> String {
    text::fit(&text::clean(name), 40).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_in_few_digits() {
        for (value, words) in [
            (0.1, "0.1"),
            (273.15, "273.15"),
            (1.5e-9, "1.5e-9"),
            (1e20, "1e20"),
            (-2.0, "-2"),
            (0.0, "0"),
            (101_325.0, "101325"),
        ] {
            assert_eq!(plain(value), words);
        }
        assert_eq!(plain(f64::from(0.1_f32)), "0.1");
    }

    #[test]
    fn units_make_places_and_times() {
        assert_eq!(words(-45.25, "degrees_north", None), "45.25°S");
        assert_eq!(words(0.0, "degrees_north", None), "0°");
        assert_eq!(words(200.5, "degrees_east", None), "200.5°E");
        assert_eq!(words(1.5, "K", None), "1.5 K");
        assert_eq!(words(f64::NAN, "K", None), "none");
        let units = "days since 2000-01-01";
        assert_eq!(words(59.0, units, Times::parse(units, Some("noleap")).as_ref()), "2000-03-01");
    }
}
