//! Dimensions beyond the plane of a netCDF variable, which GDAL lays one after the other into bands.
//!
//! The driver tells them in the metadata: `NETCDF_DIM_EXTRA={time,level}`, the slowest first; of each its length and
//! type, `NETCDF_DIM_time_DEF={12,6}`; its coordinates, `NETCDF_DIM_time_VALUES={0,31,...}`; and attributes of these,
//! `time#units=days since 2000-01-01`. <https://gdal.org/drivers/raster/netcdf.html>

use super::{Axis, Words};
use crate::calendar::Times;
use crate::quantity;
use crate::raster::Info;

/// The axes; none unless they account for every band.
pub(super) fn axes(info: &Info) -> Vec<Axis> {
    let item = |key: &str| info.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let axis = |name: &str| {
        let len = list(item(&format!("NETCDF_DIM_{name}_DEF"))?).next()?.parse().ok()?;
        let values: Vec<f64> = list(item(&format!("NETCDF_DIM_{name}_VALUES")).unwrap_or_default())
            .map_while(|value| value.parse().ok())
            .collect();
        let values = if values.len() as u64 == len { values } else { Vec::new() };
        let unit = item(&format!("{name}#units")).unwrap_or_default();
        let times = Times::parse(unit, item(&format!("{name}#calendar")));
        let unit = quantity::shown(unit);
        let words = move |position: u64| match values.get(position as usize) {
            Some(value) => quantity::words(*value, &unit, times.as_ref()),
            None => position.to_string(),
        };
        Some(Axis { name: quantity::shown(name), len, first: 0, words: Words::new(words) })
    };
    let extra = item("NETCDF_DIM_EXTRA").unwrap_or_default();
    let axes: Vec<Axis> = list(extra).map(axis).collect::<Option<_>>().unwrap_or_default();
    let positions = axes.iter().try_fold(1_u64, |n, axis| n.checked_mul(axis.len));
    if positions == Some(info.bands.len() as u64) { axes } else { Vec::new() }
}

/// `{a,b}` or `a`.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.trim_matches(['{', '}']).split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// The band of a position on each axis, from 1; the last axis is the fastest.
pub(super) fn band(axes: &[Axis], at: &[u64]) -> usize {
    axes.iter().zip(at).fold(0, |band, (axis, at)| band * axis.len + at) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::BandInfo;

    fn info(bands: usize, items: &[(&str, &str)]) -> Info {
        let metadata = items.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Info { metadata, bands: vec![BandInfo::default(); bands], ..Info::default() }
    }

    #[test]
    fn bands_are_positions_in_time_and_depth() {
        let items = [
            ("NETCDF_DIM_EXTRA", "{time,depth}"),
            ("NETCDF_DIM_depth_DEF", "{2,5}"),
            ("NETCDF_DIM_depth_VALUES", "{0.5,10}"),
            ("NETCDF_DIM_time_DEF", "{3,6}"),
            ("NETCDF_DIM_time_VALUES", "{0,31,59}"),
            ("depth#units", "m"),
            ("time#units", "days since 2001-01-01"),
            ("time#calendar", "noleap"),
        ];
        let axes = axes(&info(6, &items));
        assert_eq!(axes.iter().map(|axis| (&*axis.name, axis.len)).collect::<Vec<_>>(), [("time", 3), ("depth", 2)]);
        assert_eq!([0, 1, 2].map(|at| axes[0].words.of(at)), ["2001-01-01", "2001-02-01", "2001-03-01"]);
        assert_eq!([0, 1].map(|at| axes[1].words.of(at)), ["0.5 m", "10 m"]);
        assert_eq!([[0, 0], [0, 1], [1, 0], [2, 1]].map(|at| band(&axes, &at)), [1, 2, 3, 6]);
        // They are not all that bands are.
        assert!(super::axes(&info(7, &items)).is_empty());
    }

    #[test]
    fn what_is_not_told_is_counted_and_what_is_nonsense_is_left() {
        let one = [("NETCDF_DIM_EXTRA", "{t}"), ("NETCDF_DIM_t_DEF", "{2,6}"), ("NETCDF_DIM_t_VALUES", "7")];
        assert_eq!(axes(&info(2, &one))[0].words.of(1), "1");
        for def in ["", "{}", "{x}", "{-1,6}", "{18446744073709551616}"] {
            let items = [("NETCDF_DIM_EXTRA", "{t,t}"), ("NETCDF_DIM_t_DEF", def)];
            assert!(axes(&info(2, &items)).is_empty(), "{def}");
        }
        assert!(axes(&info(1, &[])).is_empty() || axes(&info(1, &[]))[0].len == 1);
    }
}
