//! A band over values that are in memory already: GDAL reads them where they are.

use gdal::DriverManager;
use gdal::cpl::CslStringList;
use gdal::errors::{GdalError, Result};
use gdal::raster::{GdalDataType, RasterBand};

/// Works with a band of `size` pixels across and down, whose values are `bytes`: row by row, in the order of bytes of this
/// machine. Fails where there are more or fewer of them.
pub(crate) fn with_band<R>(
    bytes: &[u8],
    size: (usize, usize),
    kind: GdalDataType,
    nodata: Option<f64>,
    work: impl FnOnce(&RasterBand<'_>) -> Result<R>,
) -> Result<R> {
    let width = usize::from(kind.bytes());
    if bytes.len() != size.0 * size.1 * width || !bytes.as_ptr().addr().is_multiple_of(width.max(1)) {
        return Err(GdalError::BadArgument("these are not the values of a band".to_owned()));
    }
    let driver = DriverManager::get_driver_by_name("MEM")?;
    let dataset = driver.create_with_band_type::<u8, _>("", size.0, size.1, 0)?;
    let mut options = CslStringList::new();
    options.set_name_value("DATAPOINTER", &format!("{:p}", bytes.as_ptr()))?;
    // SAFETY: the dataset is open, the options are a terminated list. The values are longer there than the dataset, which
    // is closed below; nobody writes to them, as the band is only lent out to be read.
    let added = unsafe { gdal_sys::GDALAddBand(dataset.c_dataset(), kind as u32, options.as_ptr()) };
    if added != gdal_sys::CPLErr::CE_None {
        return Err(GdalError::BadArgument("GDAL takes no values from memory".to_owned()));
    }
    let mut band = dataset.rasterband(1)?;
    band.set_no_data_value(nodata)?;
    work(&band)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_where_they_are() {
        super::super::set_up();
        let values: Vec<u8> = (0..24_u16).flat_map(|n| (n * 300).to_ne_bytes()).collect();
        let read = |bytes: &[u8], kind| {
            with_band(bytes, (6, 4), kind, Some(7.0), |band| {
                assert_eq!(band.no_data_value(), Some(7.0));
                Ok(band.read_as::<u16>((1, 2), (2, 2), (2, 2), None)?.data().to_vec())
            })
        };
        assert_eq!(read(&values, GdalDataType::UInt16).expect("reads"), [13, 14, 19, 20].map(|n| n * 300));
        assert!(read(&values[2..], GdalDataType::UInt16).is_err());
        assert!(read(&values, GdalDataType::Float32).is_err());
    }
}
