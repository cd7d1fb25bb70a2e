//! World files: six numbers beside a picture that say where it lies, and a `.prj` with the system they are of.
//!
//! `a.png` has `a.pgw`, `a.pngw` or `a.wld`. Lines: x step, rotation of y, rotation of x, y step, and the centre of
//! the upper left pixel. <https://gdal.org/drivers/raster/wld.html>

use crate::location::Location;
use crate::store::Stores;
use crate::task::Control;

/// Bytes of a world file or a `.prj`.
const LARGEST: u64 = 64 << 10;

/// Suffixes of pictures that can have one.
const PICTURES: &[&str] = &["png", "jpg", "jpeg", "bmp", "gif", "webp"];

/// Where a picture lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed {
    /// Affine geotransform in GDAL's order.
    pub(crate) transform: [f64; 6],
    /// The system as a `.prj` gives it: WKT.
    pub(crate) wkt: Option<String>,
}

/// Looks beside a picture, by one round of small requests; nothing for other files.
pub(crate) async fn find(stores: &Stores, location: &Location, control: &Control) -> Option<Placed> {
    let suffix = location.extension();
    if !PICTURES.contains(&suffix.as_str()) || location.key().contains('?') {
        return None;
    }
    let handle = stores.open(location, &control.meter).await.ok()?;
    let stem = &location.key()[..location.key().len() - suffix.len()];
    let short = format!("{}{}w", suffix.get(..1)?, suffix.get(suffix.len() - 1..)?);
    let read = |suffix: String| {
        let (handle, beside) = (handle.clone(), location.with_key(format!("{stem}{suffix}")));
        async move {
            let head = control.race(handle.read_head(&beside, LARGEST)).await.ok()?;
            (head.size <= LARGEST).then(|| String::from_utf8_lossy(&head.bytes).into_owned())
        }
    };
    let names = [short, format!("{suffix}w"), "wld".to_owned(), "prj".to_owned()];
    let mut found = futures::future::join_all(names.map(read)).await;
    let wkt = found.pop().flatten();
    let transform = found.into_iter().flatten().find_map(|text| parse(&text))?;
    Some(Placed { transform, wkt })
}

/// The geotransform that a world file stands for: GDAL's is of the corner of the first pixel.
fn parse(text: &str) -> Option<[f64; 6]> {
    let mut numbers = text.split_whitespace().map(|word| word.replace(',', ".").parse::<f64>());
    let mut next = || numbers.next()?.ok().filter(|n| n.is_finite());
    let ([x_step, y_skew], [x_skew, y_step]) = ([next()?, next()?], [next()?, next()?]);
    let (x, y) = (next()?, next()?);
    let sound = (x_step * y_step - x_skew * y_skew).abs() > 0.0;
    let corner = (x - f64::midpoint(x_step, x_skew), y - f64::midpoint(y_skew, y_step));
    sound.then_some([corner.0, x_step, x_skew, corner.1, y_skew, y_step])
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_world_file_is_of_the_centre_and_a_geotransform_of_the_corner() {
        assert_eq!(
            parse("10.0\n0\n0\n-10.0\n300005\n6800035\n"),
            Some([300_000.0, 10.0, 0.0, 6_800_040.0, 0.0, -10.0])
        );
        for bad in ["", "1 2 3", "0 0 0 0 1 1", "a b c d e f", "1 0 0 inf 0 0"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
