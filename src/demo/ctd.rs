//! Bottle data of invented cruises along the lines that ships really sail: a CSV in the columns of
//! GLODAP, and its stations as `GeoParquet`.

use super::noise::{hash, unit};
use super::sink::{About, Sink};
use super::stations;
use crate::error::Result;
use std::fmt::Write as _;

/// Key of the CSV.
pub(super) const KEY: &str = "ctd/glodap-like.csv";
/// Bottles of a cast.
const BOTTLES: u32 = 12;
/// GLODAP's number for a missing value.
const MISSING: f64 = -9999.0;

/// A line: expocode, year, month, region (GLODAP: 1 Atlantic, 4 Arctic, 8 Pacific,
/// 16 Indian), start and end as longitude and latitude, stations.
type Line = (&'static str, i32, u32, u8, (f64, f64), (f64, f64), u32);

const LINES: [Line; 15] = [
    ("33RO20130803", 2013, 8, 1, (-20.0, 62.0), (-28.0, 2.0), 160),
    ("33RO20131223", 2013, 12, 1, (-28.0, 2.0), (-34.0, -58.0), 150),
    ("74DI20100106", 2010, 1, 1, (-75.0, 24.5), (-17.0, 25.5), 120),
    ("06MT20110405", 2011, 4, 1, (-39.0, -30.0), (13.0, -30.0), 110),
    ("29AH20160617", 2016, 6, 1, (-10.5, 40.3), (-42.0, 59.5), 100),
    ("06AQ20150817", 2015, 8, 4, (10.0, 79.0), (110.0, 84.0), 70),
    ("33RR20160208", 2016, 2, 16, (95.0, -28.0), (88.0, 14.0), 110),
    ("09AR20041223", 2005, 1, 16, (115.0, -62.0), (115.0, -37.0), 70),
    ("33RR20090320", 2009, 3, 16, (37.0, -33.5), (108.0, -33.0), 130),
    ("49NZ20051031", 2005, 11, 8, (149.0, 24.2), (-118.0, 30.5), 140),
    ("318M20091121", 2009, 12, 8, (155.5, -31.0), (-75.0, -32.5), 150),
    ("33RO20150410", 2015, 4, 8, (-151.5, 55.0), (-152.0, -16.0), 150),
    ("320620140320", 2014, 3, 8, (-150.0, -18.0), (-150.0, -66.0), 90),
    ("49NZ20070724", 2007, 8, 8, (150.0, 45.5), (-130.0, 48.0), 80),
    ("74JC20181103", 2018, 11, 1, (-64.0, -56.0), (-57.0, -61.5), 40),
];

/// One cast of bottles.
#[derive(Clone, Debug)]
pub(super) struct Station {
    /// Ship, year and day of departure.
    pub(super) expocode: &'static str,
    /// Number of the cruise.
    pub(super) cruise: i32,
    /// Number of the station on its cruise.
    pub(super) number: i32,
    /// GLODAP's number of the ocean.
    pub(super) region: u8,
    /// Seconds since 1970.
    pub(super) time: i64,
    /// Degrees east.
    pub(super) lon: f64,
    /// Degrees north.
    pub(super) lat: f64,
    /// Depth of the sea, metres.
    pub(super) bottom: f64,
    /// From the surface down.
    pub(super) bottles: Vec<Bottle>,
}

/// The water of one bottle; `None` was not measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bottle {
    pub(super) depth: f64,
    pub(super) temperature: f64,
    pub(super) salinity: Option<f64>,
    pub(super) oxygen: Option<f64>,
    pub(super) nitrate: Option<f64>,
    pub(super) phosphate: Option<f64>,
    pub(super) silicate: Option<f64>,
    pub(super) tco2: Option<f64>,
    pub(super) talk: Option<f64>,
}

/// Writes both files.
pub(super) fn write(sink: &Sink) -> Result<()> {
    sink.control.step("bottle data");
    let stations = stations();
    sink.put(KEY, csv(&stations).as_bytes(), About::of("text/csv"))?;
    sink.control.advance(1);
    stations::write(sink, stations)
}

/// All stations, cruise after cruise.
fn stations() -> Vec<Station> {
    let mut out = Vec::new();
    for (line, (expocode, year, month, region, from, to, count)) in LINES.into_iter().enumerate() {
        // The short way around the globe.
        let east = if (to.0 - from.0).abs() > 180.0 {
            to.0 - from.0 + 360.0 * (from.0 - to.0).signum()
        } else {
            to.0 - from.0
        };
        let start = chrono::NaiveDate::from_ymd_opt(year, month, 3)
            .and_then(|d| d.and_hms_opt(4, 0, 0))
            .map_or(0, |t| t.and_utc().timestamp());
        for i in 0..count {
            let share = f64::from(i) / f64::from(count.max(2) - 1);
            let draw = |what: u32| f64::from(unit(hash(i as i32, line as i32, 500 + what)));
            let sway = (share * std::f64::consts::PI).sin() * 2.0;
            let lat = (from.1 + (to.1 - from.1) * share + sway * (draw(0) - 0.5)).clamp(-78.0, 89.0);
            let lon = from.0 + east * share + sway * (draw(1) - 0.5);
            let lon = if lon > 180.0 {
                lon - 360.0
            } else if lon < -180.0 {
                lon + 360.0
            } else {
                lon
            };
            let shelf = (share * 14.0).min((1.0 - share) * 14.0).min(1.0);
            let bottom = (180.0 + shelf * (3300.0 + 1900.0 * draw(2))).round();
            let mut station = Station {
                expocode,
                cruise: 1001 + line as i32,
                number: i as i32 + 1,
                region,
                time: start + i64::from(i) * 5 * 3600 + (draw(3) * 3600.0) as i64 / 60 * 60,
                lon: (lon * 1e4).round() / 1e4,
                lat: (lat * 1e4).round() / 1e4,
                bottom,
                bottles: Vec::with_capacity(BOTTLES as usize),
            };
            station.bottles = (0..BOTTLES).map(|b| bottle(&station, b, hash(i as i32, line as i32, b))).collect();
            out.push(station);
        }
    }
    out
}

/// Water as the oceans have it, roughly: warm and poor in nutrients above, cold and rich below, a
/// minimum of oxygen between, strongest in the North Pacific.
fn bottle(station: &Station, number: u32, seed: u32) -> Bottle {
    let draw = |what: i32| f64::from(unit(hash(what, 0, seed)));
    let depth = (5.0 + (station.bottom - 15.0) * (f64::from(number) / f64::from(BOTTLES - 1)).powf(1.8)).round();
    let warmth = station.lat.to_radians().cos().powf(1.6);
    // The Southern Ocean is colder than the same latitudes of the north.
    let polar = ((-station.lat - 38.0) / 20.0).clamp(0.0, 1.0);
    let surface = -1.6 + 29.5 * warmth - 8.5 * polar + 0.04 * (draw(1) - 0.5);
    let (shallow, middle) = ((-depth / 420.0).exp(), (-((depth - 800.0) / 650.0).powi(2)).exp());
    let temperature = 1.4 + (surface - 1.4) * shallow + 2.0 * middle * warmth + 0.05 * (draw(2) - 0.5);
    let pacific = if station.region == 8 { 1.0 } else { 0.35 };
    let subtropics = (-((station.lat.abs() - 24.0) / 13.0).powi(2)).exp();
    let salt = 34.72 + (2.1 - pacific) * (subtropics - 0.45) * shallow + 0.01 * (draw(3) - 0.5);
    let north = if station.lat > 0.0 { 1.0 } else { 0.6 };
    let used = 40.0 * (1.0 - shallow) + 190.0 * middle * pacific * north;
    let oxygen = (345.0 - 5.2 * temperature - used + 4.0 * (draw(4) - 0.5)).max(2.0);
    let nitrate = (0.1 + 30.0 * (1.0 - shallow) + 9.0 * middle * pacific + (1.0 - warmth) * 12.0 * shallow).min(46.0);
    let kept = |value: f64, what: i32, loss: f64| (draw(what) > loss).then_some(value);
    Bottle {
        depth,
        temperature,
        salinity: kept(salt, 5, 0.03),
        oxygen: kept(oxygen, 6, 0.08),
        nitrate: kept(nitrate, 7, 0.12),
        phosphate: kept(nitrate / 14.6 + 0.02, 8, 0.15),
        silicate: kept(nitrate * 2.4 * (0.4 + pacific) + 1.0, 9, 0.12),
        tco2: kept(1985.0 + nitrate * 7.2 - 4.0 * (temperature - 10.0), 10, 0.35),
        talk: kept(2300.0 + 55.0 * (salt - 34.7) + 40.0 * (1.0 - shallow), 11, 0.4),
    }
}

/// The density of sea water at the surface less 1000, near enough for a sample: kg/m³.
fn sigma(temperature: f64, salinity: f64) -> f64 {
    28.11 - 0.0735 * temperature - 0.00469 * temperature.powi(2) + 0.8 * (salinity - 35.0)
}

fn csv(stations: &[Station]) -> String {
    let mut out = String::with_capacity(5 << 20);
    out.push_str(
        "G2expocode,G2cruise,G2station,G2region,G2cast,G2year,G2month,G2day,G2hour,G2minute,G2latitude,G2longitude,\
         G2bottomdepth,G2maxsampdepth,G2bottle,G2pressure,G2depth,G2temperature,G2theta,G2salinity,G2salinityf,\
         G2salinityqc,G2sigma0,G2oxygen,G2oxygenf,G2oxygenqc,G2nitrate,G2nitratef,G2nitrateqc,G2phosphate,\
         G2phosphatef,G2silicate,G2silicatef,G2tco2,G2tco2f,G2talk,G2talkf,G2doi\n",
    );
    for s in stations {
        let deepest = s.bottles.last().map_or(0.0, |b| b.depth);
        let when =
            chrono::DateTime::from_timestamp(s.time, 0).unwrap_or_default().format("%Y,%-m,%-d,%-H,%-M").to_string();
        for (i, b) in s.bottles.iter().enumerate() {
            let theta = b.temperature - b.depth * 0.00011;
            let sigma0 = b.salinity.map(|salt| sigma(theta, salt));
            // A `String` takes all that is written.
            let _ = write!(
                out,
                "{},{},{},{},1,{when},{},{},{},{deepest},{},{:.1},{},{:.3},{theta:.3},",
                s.expocode,
                s.cruise,
                s.number,
                s.region,
                s.lat,
                s.lon,
                s.bottom,
                i + 1,
                b.depth * 1.0105,
                b.depth,
                b.temperature,
            );
            measured(&mut out, b.salinity, 3, true);
            let _ = write!(out, "{},", number(sigma0, 3));
            measured(&mut out, b.oxygen, 1, true);
            measured(&mut out, b.nitrate, 2, true);
            measured(&mut out, b.phosphate, 2, false);
            measured(&mut out, b.silicate, 1, false);
            measured(&mut out, b.tco2, 1, false);
            measured(&mut out, b.talk, 1, false);
            out.push_str("10.0000/secchi-demo\n");
        }
    }
    out
}

/// A value, its flag (2 good, 9 not measured) and, for some, whether it passed the second quality control.
fn measured(out: &mut String, value: Option<f64>, digits: usize, with_qc: bool) {
    let _ = write!(out, "{},{},", number(value, digits), if value.is_some() { 2 } else { 9 });
    if with_qc {
        out.push_str(if value.is_some() { "1," } else { "0," });
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| MISSING.to_string(), |v| format!("{v:.digits$}"))
}
