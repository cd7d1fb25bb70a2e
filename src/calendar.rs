//! Times as numbers: `days since 1850-01-01` in the calendars of climate models.
//!
//! CF conventions 1.11, section 4.4 <https://cfconventions.org/cf-conventions/cf-conventions.html#calendar>.
//! Days are counted as Julian day numbers (E. G. Richards, "Calendars", Explanatory Supplement to the
//! Astronomical Almanac, 2013) in the calendars with weeks, and as plain multiples in those without.

use std::fmt;

/// Milliseconds of a day.
const DAY: i128 = 86_400_000;
/// The first Julian day number of the Gregorian calendar: 1582-10-15.
const REFORM: i64 = 2_299_161;
/// Days before each month of a year without a leap day, and with one.
const BEFORE: [[i64; 13]; 2] = [
    [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365],
    [0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366],
];
/// Years that are told: beyond, a number says more.
const YEARS: std::ops::RangeInclusive<i64> = -99_999..=999_999;

/// How days make months and years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calendar {
    /// Julian until 1582-10-04, Gregorian from 1582-10-15 on: what no attribute says otherwise.
    Standard,
    /// Gregorian for all times.
    Proleptic,
    /// Julian for all times.
    Julian,
    /// No year has a leap day.
    NoLeap,
    /// Every year has one.
    AllLeap,
    /// Twelve months of 30 days.
    Days360,
}

/// A time on a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// The year, astronomically: before 1 comes 0.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// Milliseconds since midnight.
    pub ms: u32,
}

/// `days since 1850-01-01` on a calendar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    calendar: Calendar,
    /// Milliseconds of one.
    unit: f64,
    /// Milliseconds from day 0 of the calendar to the reference.
    origin: i128,
}

impl Calendar {
    /// By its name in CF.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "" | "standard" | "gregorian" => Self::Standard,
            "proleptic_gregorian" => Self::Proleptic,
            "julian" => Self::Julian,
            "noleap" | "365_day" => Self::NoLeap,
            "all_leap" | "366_day" => Self::AllLeap,
            "360_day" => Self::Days360,
            _ => return None,
        })
    }

    /// The number of a day; `None` where the calendar has no such day.
    fn number(self, year: i64, month: u8, day: u8) -> Option<i64> {
        let fits = YEARS.contains(&year) && (1..=12).contains(&month) && day >= 1;
        let days = self.month_days(year, month)?;
        (fits && i64::from(day) <= days).then_some(())?;
        let (m, d) = (i64::from(month), i64::from(day));
        Some(match self {
            Self::Standard if (year, month, day) >= (1582, 10, 15) => gregorian(year, m, d),
            // The ten days that never were.
            Self::Standard if (year, month, day) > (1582, 10, 4) => return None,
            Self::Proleptic => gregorian(year, m, d),
            Self::Standard | Self::Julian => julian(year, m, d),
            Self::NoLeap => year * 365 + BEFORE[0][m as usize - 1] + d - 1,
            Self::AllLeap => year * 366 + BEFORE[1][m as usize - 1] + d - 1,
            Self::Days360 => year * 360 + (m - 1) * 30 + d - 1,
        })
    }

    fn month_days(self, year: i64, month: u8) -> Option<i64> {
        let at = usize::from(month).checked_sub(1).filter(|at| *at < 12)?;
        let leap = match self {
            Self::Days360 => return Some(30),
            Self::NoLeap => false,
            Self::AllLeap => true,
            Self::Julian => year.rem_euclid(4) == 0,
            Self::Standard if year < 1582 => year.rem_euclid(4) == 0,
            Self::Standard | Self::Proleptic => {
                year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
            }
        };
        let before = BEFORE[usize::from(leap)];
        Some(before[at + 1] - before[at])
    }

    /// Year, month and day of a day's number.
    fn day(self, number: i64) -> (i64, u8, u8) {
        let plain = |length: i64, leap: usize| {
            let (year, rest) = (number.div_euclid(length), number.rem_euclid(length));
            let month = BEFORE[leap].partition_point(|before| *before <= rest);
            (year, month as u8, (rest - BEFORE[leap][month - 1] + 1) as u8)
        };
        match self {
            Self::NoLeap => plain(365, 0),
            Self::AllLeap => plain(366, 1),
            Self::Days360 => {
                let (year, rest) = (number.div_euclid(360), number.rem_euclid(360));
                (year, (rest / 30 + 1) as u8, (rest % 30 + 1) as u8)
            }
            Self::Julian => from_number(number, false),
            Self::Proleptic => from_number(number, true),
            Self::Standard => from_number(number, number >= REFORM),
        }
    }
}

/// The Julian day number of noon of a day of the Gregorian calendar.
fn gregorian(year: i64, month: i64, day: i64) -> i64 {
    let a = (14 - month) / 12;
    let (y, m) = (year + 4800 - a, month + 12 * a - 3);
    day + (153 * m + 2) / 5 + 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) - 32_045
}

/// The same of the Julian calendar.
fn julian(year: i64, month: i64, day: i64) -> i64 {
    let a = (14 - month) / 12;
    let (y, m) = (year + 4800 - a, month + 12 * a - 3);
    day + (153 * m + 2) / 5 + 365 * y + y.div_euclid(4) - 32_083
}

/// The inverse of both.
fn from_number(number: i64, is_gregorian: bool) -> (i64, u8, u8) {
    let (centuries, rest) = if is_gregorian {
        let all = number + 32_044;
        let centuries = (4 * all + 3).div_euclid(146_097);
        (centuries, all - (146_097 * centuries).div_euclid(4))
    } else {
        (0, number + 32_082)
    };
    let years = (4 * rest + 3).div_euclid(1461);
    let days = rest - (1461 * years).div_euclid(4);
    // Counted from March, so that the leap day is the last.
    let months = (5 * days + 2) / 153;
    let (day, month) = (days - (153 * months + 2) / 5 + 1, months + 3 - 12 * (months / 10));
    (100 * centuries + years - 4800 + months / 10, month as u8, day as u8)
}

impl Times {
    /// From `units` and `calendar`; `None` where these are no times, or of a kind that has no length (months
    /// of a calendar whose months differ).
    pub fn parse(units: &str, calendar: Option<&str>) -> Option<Self> {
        let (unit, reference) = split_since(units)?;
        let calendar = Calendar::named(calendar.unwrap_or_default())?;
        let unit = milliseconds(&unit.trim().to_ascii_lowercase(), calendar)?;
        Some(Self { calendar, unit, origin: reference_ms(reference.trim(), calendar)? })
    }

    /// Of `numpy`'s `datetime64`, whose unit is `D`, `ns`, …: counted from 1970.
    pub fn numpy(unit: &str) -> Option<Self> {
        let (count, unit) = unit.split_at(unit.find(|c: char| !c.is_ascii_digit())?);
        let count = if count.is_empty() { 1.0 } else { count.parse().ok()? };
        let unit = match unit {
            "W" => 7.0 * DAY as f64,
            "D" => DAY as f64,
            "h" => 3_600_000.0,
            "m" => 60_000.0,
            "s" => 1000.0,
            "ms" => 1.0,
            "us" | "μs" => 1e-3,
            "ns" => 1e-6,
            _ => return None,
        };
        let origin = i128::from(gregorian(1970, 1, 1)) * DAY;
        Some(Self { calendar: Calendar::Proleptic, unit: count * unit, origin })
    }

    /// The time that a number stands for, to the millisecond.
    pub fn date(&self, value: f64) -> Option<Date> {
        let ms = (value * self.unit).round();
        // 10^17 ms are three million years.
        (ms.abs() < 1e17).then_some(())?;
        let ms = self.origin + ms as i128;
        let (year, month, day) = self.calendar.day(ms.div_euclid(DAY) as i64);
        YEARS.contains(&year).then_some(Date { year, month, day, ms: ms.rem_euclid(DAY) as u32 })
    }

    /// Seconds from the reference.
    pub fn seconds(&self, value: f64) -> f64 {
        value * self.unit / 1000.0
    }
}

fn split_since(units: &str) -> Option<(&str, &str)> {
    // Longer ones, and those with other letters, are no units of time.
    let units = (units.len() < 200 && units.is_ascii()).then_some(units)?;
    let at = units.to_ascii_lowercase().find(" since ")?;
    Some((units.get(..at)?, units.get(at + 7..)?))
}

fn milliseconds(unit: &str, calendar: Calendar) -> Option<f64> {
    Some(match unit {
        "microseconds" | "microsecond" | "microsec" | "microsecs" | "us" => 1e-3,
        "nanoseconds" | "nanosecond" | "ns" => 1e-6,
        "milliseconds" | "millisecond" | "millisec" | "millisecs" | "msec" | "msecs" | "ms" => 1.0,
        "seconds" | "second" | "sec" | "secs" | "s" => 1000.0,
        "minutes" | "minute" | "min" | "mins" => 60_000.0,
        "hours" | "hour" | "hr" | "hrs" | "h" => 3_600_000.0,
        "days" | "day" | "d" => DAY as f64,
        "weeks" | "week" => 7.0 * DAY as f64,
        "months" | "month" if calendar == Calendar::Days360 => 30.0 * DAY as f64,
        "years" | "year" if calendar == Calendar::Days360 => 360.0 * DAY as f64,
        "common_years" | "common_year" | "years" | "year" if calendar == Calendar::NoLeap => 365.0 * DAY as f64,
        "years" | "year" if calendar == Calendar::AllLeap => 366.0 * DAY as f64,
        _ => return None,
    })
}

/// `1850-1-1`, `1970-01-01T00:00:00Z`, `2000-01-01 12:00:00.5 -6:00` as milliseconds since the calendar's day 0.
fn reference_ms(text: &str, calendar: Calendar) -> Option<i128> {
    let (date, rest) = match text.find(|c: char| c == 'T' || c.is_whitespace()) {
        Some(at) => (&text[..at], text[at + 1..].trim()),
        None => (text, ""),
    };
    let (sign, digits) = match date.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, date.strip_prefix('+').unwrap_or(date)),
    };
    let mut parts = digits.split('-');
    let year = sign * parts.next()?.parse::<i64>().ok()?;
    let month = parts.next().map_or(Some(1), |m| m.parse().ok())?;
    let day = parts.next().map_or(Some(1), |d| d.parse().ok())?;
    parts.next().is_none().then_some(())?;
    let (clock, zone) = match rest.find(|c: char| c.is_whitespace() || matches!(c, 'Z' | 'z' | 'U' | '+' | '-')) {
        Some(at) => (&rest[..at], rest[at..].trim()),
        None => (rest, ""),
    };
    let number = calendar.number(year, month, day)?;
    Some(i128::from(number) * DAY + i128::from(clock_ms(clock)?) - i128::from(zone_ms(zone)?))
}

fn clock_ms(clock: &str) -> Option<i64> {
    let mut ms = 0.0;
    for (part, unit) in clock.split(':').zip([3_600_000.0, 60_000.0, 1000.0]) {
        let value: f64 = if part.is_empty() { 0.0 } else { part.parse().ok()? };
        (0.0..=60.0).contains(&value).then_some(())?;
        ms += value * unit;
    }
    Some(ms.round() as i64)
}

/// `Z`, `UTC`, `+02:00`, `-6`, `0530`.
fn zone_ms(zone: &str) -> Option<i64> {
    if zone.is_empty() || ["z", "utc", "gmt"].iter().any(|name| zone.eq_ignore_ascii_case(name)) {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits = zone.trim_start_matches(['+', '-']);
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 && digits.is_ascii() => digits.split_at(2),
        None => (digits, "0"),
    };
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

impl Date {
    /// Whether it is midnight.
    pub fn is_midnight(&self) -> bool {
        self.ms == 0
    }

    /// The day alone: `2020-02-29`.
    pub fn day(&self) -> String {
        format!("{}-{:02}-{:02}", self.year_words(), self.month, self.day)
    }

    fn year_words(&self) -> String {
        let sign = if self.year < 0 { "-" } else { "" };
        format!("{sign}{:04}", self.year.abs())
    }
}

impl fmt::Display for Date {
    /// `2020-02-29`, `2020-02-29 06:00`, `2020-02-29 06:00:30.5`: as exact as it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.day())?;
        if self.is_midnight() {
            return Ok(());
        }
        let (minutes, ms) = (self.ms / 60_000, self.ms % 60_000);
        write!(f, " {:02}:{:02}", minutes / 60, minutes % 60)?;
        if ms > 0 {
            write!(f, ":{:02}", ms / 1000)?;
        }
        if ms % 1000 > 0 {
            let digits = format!("{:03}", ms % 1000);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(units: &str, calendar: &str, value: f64) -> String {
        let times = Times::parse(units, Some(calendar)).unwrap_or_else(|| panic!("{units} in {calendar}"));
        times.date(value).map_or_else(|| "none".to_owned(), |date| date.to_string())
    }

    /// Dates that the documentation of netCDF4 and cftime gives, and some that follow from CF's definitions.
    #[test]
    fn known_dates_are_told_in_every_calendar() {
        for (units, calendar, value, date) in [
            // netCDF4's tutorial: hours since 0001-01-01, gregorian.
            ("hours since 0001-01-01 00:00:00.0", "gregorian", 17_533_104.0, "2001-03-01"),
            ("hours since 0001-01-01 00:00:00.0", "gregorian", 17_533_116.0, "2001-03-01 12:00"),
            // cftime's documentation of num2date and of the reform.
            ("days since 1582-10-04", "standard", 1.0, "1582-10-15"),
            ("days since 1582-10-15", "gregorian", -1.0, "1582-10-04"),
            ("days since 1582-10-04", "proleptic_gregorian", 1.0, "1582-10-05"),
            ("days since 1582-10-04", "julian", 1.0, "1582-10-05"),
            // The epoch of the Julian day numbers.
            ("days since -4712-01-01 12:00", "julian", 2_451_545.0, "1999-12-19 12:00"),
            ("days since -4712-01-01 12:00", "standard", 2_451_545.0, "2000-01-01 12:00"),
            ("days since -4713-11-24 12:00", "proleptic_gregorian", 2_451_545.0, "2000-01-01 12:00"),
            ("days since 2000-02-28", "noleap", 1.0, "2000-03-01"),
            ("days since 2001-02-28", "all_leap", 1.0, "2001-02-29"),
            ("days since 2001-02-28", "366_day", 2.0, "2001-03-01"),
            ("days since 2000-01-01", "360_day", 59.0, "2000-02-30"),
            ("months since 2000-01-01", "360_day", 13.0, "2001-02-01"),
            ("days since 1850-01-01", "365_day", 365.0 * 150.0 + 59.0, "2000-03-01"),
            ("seconds since 1970-01-01T00:00:00Z", "standard", 1_700_000_000.0, "2023-11-14 22:13:20"),
            ("days since 1900-01-01", "standard", 43_829.25, "2020-01-01 06:00"),
            ("hours since 1900-01-01 00:00:0.0", "gregorian", 1_051_896.0, "2020-01-01"),
            ("minutes since 2000-1-1 00:00 -6:00", "standard", 0.0, "2000-01-01 06:00"),
            ("milliseconds since 2000-01-01", "standard", 1.0, "2000-01-01 00:00:00.001"),
            ("days since 2000-01-01", "standard", -0.5, "1999-12-31 12:00"),
            ("days since 2000-01-01", "standard", 1e30, "none"),
            ("days since 2000-01-01", "standard", f64::NAN, "none"),
        ] {
            assert_eq!(told(units, calendar, value), date, "{value} {units} {calendar}");
        }
        let epoch = Times::numpy("ns").expect("nanoseconds").date(1.7e18).expect("a date").to_string();
        assert_eq!(epoch, "2023-11-14 22:13:20");
        assert_eq!(Times::numpy("D").expect("days").date(0.0).expect("a date").to_string(), "1970-01-01");
    }

    #[test]
    fn what_is_no_time_stays_a_number() {
        for (units, calendar) in [
            ("K", ""),
            ("days", ""),
            ("days since", ""),
            ("days since yesterday", ""),
            ("days since 2000-13-01", ""),
            ("days since 2000-02-30", "standard"),
            ("days since 1582-10-10", "standard"),
            ("months since 2000-01-01", "standard"),
            ("days since 2000-01-01", "lunar"),
            ("days since 2000-01-01 99:00", ""),
            ("days since 9999999-01-01", ""),
        ] {
            assert_eq!(Times::parse(units, Some(calendar)), None, "{units} {calendar}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_day_has_one_number(number in -2_000_000_i64..5_000_000, which in 0_usize..6) {
            use Calendar::*;
            let calendar = [Standard, Proleptic, Julian, NoLeap, AllLeap, Days360][which];
            let (year, month, day) = calendar.day(number);
            proptest::prop_assert_eq!(calendar.number(year, month, day), Some(number));
        }
    }
}
