//! Numbers of a benchmark in words.

use crate::bench::stats::{Interval, MeanRatio};

/// Milliseconds for a table: three digits at least, thousands grouped.
pub(super) fn ms(value: f64) -> String {
    match value.abs() {
        v if v < 10.0 => format!("{value:.2}"),
        v if v < 100.0 => format!("{value:.1}"),
        v if v < 1e15 => crate::text::count(value.round() as u64),
        _ => "–".to_owned(),
    }
}

/// `1,100 – 1,350`.
pub(super) fn interval(i: Interval) -> String {
    format!("{} – {}", ms(i.low), ms(i.high))
}

/// `11.0×`.
pub(super) fn times(r: f64) -> String {
    if r < 10.0 { format!("{r:.2}×") } else { format!("{r:.1}×") }
}

/// `11.0× (10.2 – 11.9)`.
pub(super) fn ratio(r: MeanRatio) -> String {
    let n = |v: f64| if v < 10.0 { format!("{v:.2}") } else { format!("{v:.1}") };
    format!("{} ({} – {})", times(r.ratio), n(r.ci95.low), n(r.ci95.high))
}

/// A time on an axis: `20 ms`, `1.5 s`.
pub(super) fn axis_ms(value: f64) -> String {
    let short = |v: f64| {
        let text = format!("{v:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match value {
        v if v <= 0.0 => "0".to_owned(),
        v if v < 1.0 => format!("{} µs", short((v * 1e3).round())),
        v if v < 10.0 => format!("{} ms", short((v * 10.0).round() / 10.0)),
        v if v < 1e3 => format!("{v:.0} ms"),
        v => format!("{} s", short((v / 10.0).round() / 100.0)),
    }
}

/// Bytes a second on an axis, in the unit of its largest label.
pub(super) fn axis_rate(value: f64, top: f64) -> String {
    const UNITS: [&str; 5] = ["B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"];
    if value <= 0.0 {
        return "0".to_owned();
    }
    let power = ((top.max(1.0) * 1.000_001).ln() / 1024_f64.ln()).floor().clamp(0.0, 4.0);
    let n = value / 1024_f64.powf(power);
    let text = if n >= 10.0 { format!("{n:.0}") } else { format!("{n:.2}") };
    let text = if n >= 10.0 { text.as_str() } else { text.trim_end_matches('0').trim_end_matches('.') };
    format!("{text} {}", UNITS[power as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_count() {
        assert_eq!([ms(1.234), ms(12.34), ms(123.4), ms(1_234.5)], ["1.23", "12.3", "123", "1,235"]);
        assert_eq!(
            [axis_ms(0.5), axis_ms(2.5), axis_ms(200.0), axis_ms(1250.0)],
            ["500 µs", "2.5 ms", "200 ms", "1.25 s"]
        );
        assert_eq!(axis_rate(52_428_800.0, 104_857_600.0), "50 MiB/s");
        assert_eq!(times(11.04), "11.0×");
    }
}
