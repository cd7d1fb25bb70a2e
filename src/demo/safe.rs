//! A small Sentinel-2 Level-1C product in its SAFE folder: thirteen JPEG 2000 bands at their three
//! resolutions, a true-colour picture, and the metadata that readers look for.

use super::landscape::{Landscape, PIXEL, Window};
use super::scenes::SCENES;
use super::sink::{About, Sink, gdal};
use crate::error::Result;
use gdal::DriverManager;
use gdal::raster::{Buffer, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;
use std::fmt::Write as _;
use std::path::Path;

/// 342 pixels of 10 m are 171 of 20 m and 57 of 60 m.
const WINDOW: Window = Window { x: 300, y: 300, side: 342 };
const SENSED: &str = "20240623T095031";
const GRANULE: &str = "L1C_T35VLH_A047030_20240623T095028";
/// Its folder, ending in `/`.
pub(super) const KEY: &str = "safe/S2A_MSIL1C_20240623T095031_N0510_R079_T35VLH_20240623T115320.SAFE/";

/// A band: its file's name, its name in the XML, pixels of 10 m that make one of its own, and the
/// weights of B02, B03, B04, B08 that stand in for it.
type Band = (&'static str, &'static str, usize, [f32; 4]);

const BANDS: [Band; 13] = [
    ("B01", "B1", 6, [1.15, -0.1, 0.0, 0.0]),
    ("B02", "B2", 1, [1.0, 0.0, 0.0, 0.0]),
    ("B03", "B3", 1, [0.0, 1.0, 0.0, 0.0]),
    ("B04", "B4", 1, [0.0, 0.0, 1.0, 0.0]),
    ("B05", "B5", 2, [0.0, 0.2, 0.55, 0.25]),
    ("B06", "B6", 2, [0.0, 0.1, 0.2, 0.7]),
    ("B07", "B7", 2, [0.0, 0.0, 0.1, 0.9]),
    ("B08", "B8", 1, [0.0, 0.0, 0.0, 1.0]),
    ("B8A", "B8A", 2, [0.0, 0.0, -0.05, 1.05]),
    ("B09", "B9", 6, [0.0, 0.0, 0.1, 0.3]),
    ("B10", "B10", 6, [0.01, 0.0, 0.0, 0.0]),
    ("B11", "B11", 2, [0.0, 0.0, 0.6, 0.45]),
    ("B12", "B12", 2, [0.0, 0.0, 0.7, 0.15]),
];

/// Writes the product; its metadata come last, so that what they name is there.
pub(super) fn write(sink: &Sink, land: &Landscape) -> Result<()> {
    sink.control.step("a SAFE product");
    let Some(scene) = SCENES.iter().find(|s| s.day == 23 && s.month == 6) else { return Ok(()) };
    let pixels = land.scene(WINDOW, &scene.sky);
    let images = format!("{KEY}GRANULE/{GRANULE}/IMG_DATA/");
    for band in &BANDS {
        let plane = derive(&pixels, band);
        jp2(sink, &images, band.0, band.2, &[plane], "REVERSIBLE=YES")?;
    }
    let colour: Vec<Vec<u8>> = [2, 1, 0].map(|band| visible(&pixels, band)).into();
    jp2(sink, &images, "TCI", 1, &colour, "REVERSIBLE=NO")?;

    let xml = About::of("application/xml");
    sink.put(&format!("{KEY}GRANULE/{GRANULE}/MTD_TL.xml"), tile_metadata().as_bytes(), xml)?;
    sink.put(&format!("{KEY}manifest.safe"), manifest().as_bytes(), xml)?;
    sink.put(&format!("{KEY}MTD_MSIL1C.xml"), product_metadata().as_bytes(), xml)?;
    sink.control.advance(1);
    Ok(())
}

/// A band at its own resolution: the mean of the 10 m pixels below each of its own.
fn derive(pixels: &[u16], (_, _, factor, weights): &Band) -> Vec<u16> {
    let side = WINDOW.side;
    let small = side / factor;
    let at = |band: usize, x: usize, y: usize| pixels.get((band * side + y) * side + x).copied().unwrap_or_default();
    let mut out = Vec::with_capacity(small * small);
    for y in 0..small {
        for x in 0..small {
            let mut sum = 0.0;
            for (band, weight) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                for i in 0..factor * factor {
                    let value = f32::from(at(band, x * factor + i % factor, y * factor + i / factor));
                    // Weights are of reflectance; 1000 is its zero.
                    sum += weight * (value - 1000.0);
                }
            }
            out.push((1000.0 + sum / (factor * factor) as f32).round().clamp(1.0, 65_534.0) as u16);
        }
    }
    out
}

/// A band as the agency's true-colour picture shows it: reflectance 0..0.3551 as 1..255.
fn visible(pixels: &[u16], band: usize) -> Vec<u8> {
    let plane = WINDOW.side * WINDOW.side;
    let shade = |dn: &u16| (((f32::from(*dn) - 1000.0) / 3551.0 * 254.0) + 1.0).clamp(1.0, 255.0) as u8;
    pixels.get(band * plane..(band + 1) * plane).unwrap_or_default().iter().map(shade).collect()
}

fn jp2<T: gdal::raster::GdalType + Copy>(
    sink: &Sink,
    folder: &str,
    name: &str,
    factor: usize,
    planes: &[Vec<T>],
    mode: &str,
) -> Result<()> {
    sink.control.check()?;
    let scratch = sink.scratch(&format!("{name}.jp2"));
    encode(&scratch, factor, planes, mode).map_err(gdal)?;
    sink.adopt(&format!("{folder}T35VLH_{SENSED}_{name}.jp2"), &scratch, About::of("image/jp2"))
}

fn encode<T: gdal::raster::GdalType + Copy>(
    path: &Path,
    factor: usize,
    planes: &[Vec<T>],
    mode: &str,
) -> gdal::errors::Result<()> {
    let side = WINDOW.side / factor;
    let memory = DriverManager::get_driver_by_name("MEM")?;
    let mut image = memory.create_with_band_type::<T, _>("", side, side, planes.len())?;
    image.set_spatial_ref(&SpatialRef::from_epsg(32635)?)?;
    let [west, dx, rx, north, ry, dy] = WINDOW.transform();
    image.set_geo_transform(&[west, dx * factor as f64, rx, north, ry, dy * factor as f64])?;
    for (i, plane) in planes.iter().enumerate() {
        let mut buffer = Buffer::new((side, side), plane.clone());
        image.rasterband(i + 1)?.write((0, 0), (side, side), &mut buffer)?;
    }
    let quality = if mode == "REVERSIBLE=YES" { "QUALITY=100" } else { "QUALITY=25" };
    let options = RasterCreationOptions::from_iter([quality, mode, "BLOCKXSIZE=192", "BLOCKYSIZE=192", "GMLJP2=YES"]);
    image.create_copy(&DriverManager::get_driver_by_name("JP2OpenJPEG")?, path, &options)?.close()
}

fn product_metadata() -> String {
    let mut images = String::new();
    let mut offsets = String::new();
    for (id, (name, ..)) in BANDS.iter().enumerate() {
        let _ =
            write!(images, "\n            <IMAGE_FILE>GRANULE/{GRANULE}/IMG_DATA/T35VLH_{SENSED}_{name}</IMAGE_FILE>");
        let _ = write!(offsets, "\n        <RADIO_ADD_OFFSET band_id=\"{id}\">-1000</RADIO_ADD_OFFSET>");
    }
    let product = KEY.trim_start_matches("safe/").trim_end_matches('/');
    format!(
        r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-1C.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>2024-06-23T09:50:31.024Z</PRODUCT_START_TIME>
      <PRODUCT_STOP_TIME>2024-06-23T09:50:31.024Z</PRODUCT_STOP_TIME>
      <PRODUCT_URI>{product}</PRODUCT_URI>
      <PROCESSING_LEVEL>Level-1C</PROCESSING_LEVEL>
      <PRODUCT_TYPE>S2MSI1C</PRODUCT_TYPE>
      <PROCESSING_BASELINE>05.10</PROCESSING_BASELINE>
      <GENERATION_TIME>2024-06-23T11:53:20.000000Z</GENERATION_TIME>
      <Datatake datatakeIdentifier="GS2A_20240623T095031_047030_N05.10">
        <SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME>
        <DATATAKE_TYPE>INS-NOBS</DATATAKE_TYPE>
        <SENSING_ORBIT_NUMBER>79</SENSING_ORBIT_NUMBER>
        <SENSING_ORBIT_DIRECTION>DESCENDING</SENSING_ORBIT_DIRECTION>
      </Datatake>
      <Product_Organisation>
        <Granule_List>
          <Granule granuleIdentifier="S2A_OPER_MSI_L1C_TL_DEMO_20240623T115320_A047030_T35VLH_N05.10" imageFormat="JPEG2000">{images}
            <IMAGE_FILE>GRANULE/{GRANULE}/IMG_DATA/T35VLH_{SENSED}_TCI</IMAGE_FILE>
          </Granule>
        </Granule_List>
      </Product_Organisation>
    </Product_Info>
    <Product_Image_Characteristics>
      <Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>
      <Special_Values><SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX></Special_Values>
      <QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>
      <Radiometric_Offset_List>{offsets}
      </Radiometric_Offset_List>
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level-1C_User_Product>
"#
    )
}

fn tile_metadata() -> String {
    let [west, _, _, north, ..] = WINDOW.transform();
    let mut sizes = String::new();
    let mut positions = String::new();
    for factor in [1, 2, 6] {
        let (metres, side) = (factor as f64 * PIXEL, WINDOW.side / factor);
        let _ =
            write!(sizes, "\n      <Size resolution=\"{metres}\"><NROWS>{side}</NROWS><NCOLS>{side}</NCOLS></Size>");
        let _ = write!(
            positions,
            "\n      <Geoposition resolution=\"{metres}\"><ULX>{west}</ULX><ULY>{north}</ULY><XDIM>{metres}</XDIM><YDIM>-{metres}</YDIM></Geoposition>"
        );
    }
    format!(
        r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-1C_Tile_Metadata.xsd">
  <n1:General_Info>
    <TILE_ID>S2A_OPER_MSI_L1C_TL_DEMO_20240623T115320_A047030_T35VLH_N05.10</TILE_ID>
    <SENSING_TIME>2024-06-23T09:50:31.024Z</SENSING_TIME>
  </n1:General_Info>
  <n1:Geometric_Info>
    <Tile_Geocoding metadataLevel="Brief">
      <HORIZONTAL_CS_NAME>WGS84 / UTM zone 35N</HORIZONTAL_CS_NAME>
      <HORIZONTAL_CS_CODE>EPSG:32635</HORIZONTAL_CS_CODE>{sizes}{positions}
    </Tile_Geocoding>
  </n1:Geometric_Info>
</n1:Level-1C_Tile_ID>
"#
    )
}

fn manifest() -> String {
    let mut objects = String::new();
    for (name, ..) in &BANDS {
        let _ = write!(
            objects,
            "\n    <dataObject ID=\"IMG_DATA_Band_{name}\"><byteStream mimeType=\"application/octet-stream\"><fileLocation locatorType=\"URL\" href=\"./GRANULE/{GRANULE}/IMG_DATA/T35VLH_{SENSED}_{name}.jp2\"/></byteStream></dataObject>"
        );
    }
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1" version="esa/safe/sentinel/1.1/sentinel-2/msi/archive_l1c_user_product">
  <informationPackageMap>
    <xfdu:contentUnit unitType="Product_Level-1C" textInfo="SENTINEL-2 MSI Level-1C User Product"/>
  </informationPackageMap>
  <dataObjectSection>
    <dataObject ID="S2_Level-1C_Product_Metadata"><byteStream mimeType="text/xml"><fileLocation locatorType="URL" href="./MTD_MSIL1C.xml"/></byteStream></dataObject>
    <dataObject ID="S2_Level-1C_Tile1_Metadata"><byteStream mimeType="text/xml"><fileLocation locatorType="URL" href="./GRANULE/{GRANULE}/MTD_TL.xml"/></byteStream></dataObject>{objects}
  </dataObjectSection>
</xfdu:XFDU>
"#
    )
}
