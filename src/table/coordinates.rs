//! Which columns are longitude and latitude, by their names.

/// Names of coordinates in lower case, the surest first; a `*` in front stands for any start.
const LON: [&str; 8] = ["longitude", "lon", "lng", "long", "*longitude", "*_lon", "*_lng", "x"];
const LAT: [&str; 8] = ["latitude", "lat", "lat", "lat", "*latitude", "*_lat", "*_lat", "y"];

/// What was found among the names of columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Coordinates {
    /// Longitude and latitude.
    Found(usize, usize),
    /// Several could be: longitudes and latitudes.
    Several(Vec<usize>),
    /// None could be.
    Missing,
}

/// The columns of longitude and latitude.
pub(crate) fn coordinates<S: AsRef<str>>(names: &[S]) -> Coordinates {
    let lower: Vec<String> = names.iter().map(|name| name.as_ref().trim().to_lowercase()).collect();
    let like = |pattern: &str| -> Vec<usize> {
        let fits = |name: &String| match pattern.strip_prefix('*') {
            Some(end) => name.ends_with(end),
            None => name == pattern,
        };
        (0..lower.len()).filter(|at| fits(&lower[*at])).collect()
    };
    for (lon, lat) in LON.into_iter().zip(LAT) {
        match (like(lon).as_slice(), like(lat).as_slice()) {
            ([lon], [lat]) => return Coordinates::Found(*lon, *lat),
            ([], _) | (_, []) => {}
            (lons, lats) => return Coordinates::Several([lons, lats].concat()),
        }
    }
    Coordinates::Missing
}
