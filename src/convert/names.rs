//! Names of columns: which are coordinates, which must make room.

use super::points::{BBOX, GEOMETRY};
use crate::error::{Error, Result};
use crate::table::Coordinates;
use crate::task::Control;

/// The names, those aside that the added columns bear.
pub(super) fn free_names(names: &[String], control: &Control) -> Vec<String> {
    let mut out = names.to_vec();
    for at in 0..out.len() {
        if ![GEOMETRY, BBOX].iter().any(|taken| out[at].eq_ignore_ascii_case(taken)) {
            continue;
        }
        let mut free = format!("{}_source", out[at]);
        while out.contains(&free) {
            free.push('_');
        }
        control.note(format!("the column `{}` is now called `{free}`", out[at]));
        out[at] = free;
    }
    out
}

/// The column of this name, else of this name in another case.
pub(super) fn column(names: &[String], wanted: &str) -> Result<usize> {
    let exact = names.iter().position(|name| name == wanted);
    let found = exact.or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(wanted)));
    found.ok_or_else(|| {
        let some: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
        let more = if names.len() > some.len() { ", …" } else { "" };
        Error::usage(format!("there is no column `{wanted}`; there are {}{more}", some.join(", ")))
            .with_hint("names are those of the first row")
    })
}

/// The columns of longitude and latitude, by their names.
pub(super) fn coordinates(names: &[String]) -> Result<(usize, usize)> {
    let hint = "name them: -o lon=COLUMN -o lat=COLUMN";
    let why = match crate::table::coordinates(names) {
        Coordinates::Found(lon, lat) => return Ok((lon, lat)),
        Coordinates::Several(which) => {
            let all: Vec<&str> = which.iter().map(|at| names[*at].as_str()).collect();
            format!("several columns could be longitude and latitude: {}", all.join(", "))
        }
        Coordinates::Missing => {
            let some: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
            let more = if names.len() > some.len() { ", …" } else { "" };
            format!("no columns of longitude and latitude were found among {}{more}", some.join(", "))
        }
    };
    Err(Error::usage(why).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Result<(usize, usize)> {
        coordinates(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn coordinates_are_found_by_their_names() {
        assert_eq!(found(&["G2cruise", "G2latitude", "G2longitude"]).expect("GLODAP"), (2, 1));
        assert_eq!(found(&["STATION", "LATITUDE", "LONGITUDE"]).expect("ISD"), (2, 1));
        assert_eq!(found(&["decimalLatitude", "decimalLongitude"]).expect("Darwin Core"), (1, 0));
        assert_eq!(found(&["x", "lat", "y", "lon"]).expect("the surer"), (3, 1));
        assert_eq!(found(&["lng", "lat"]).expect("lng"), (0, 1));
        assert_eq!(found(&["X", "Y"]).expect("letters"), (0, 1));
        let err = found(&["start_longitude", "start_latitude", "end_longitude", "end_latitude"]).expect_err("two");
        assert!(err.to_string().contains("several"), "{err}");
        assert!(found(&["a", "b"]).expect_err("none").hint().is_some_and(|h| h.contains("lon=")));
    }
}
