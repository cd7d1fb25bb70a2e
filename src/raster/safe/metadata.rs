//! What a Sentinel-2 product says of itself: `MTD_MSIL1C.xml`, `MTD_MSIL2A.xml` and `MTD_TL.xml`.
//!
//! Elements as in the Sentinel-2 Products Specification Document, annexes A and B. Offsets are read from the
//! documents and never inferred from a date: reflectance = (DN + offset) / quantification.

use crate::error::{Error, Result};
use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::BTreeMap;

/// Elements may be nested so deep.
const DEEPEST: usize = 64;

/// The bands by their number, where nothing else tells it.
const ORDER: [&str; 13] = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"];

/// What the product's document says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Product {
    /// `S2A_MSIL1C_20201031T004711_N0209_R102_T53JQJ_20201031T022859.SAFE`.
    pub name: String,
    /// `Level-1C`.
    pub level: String,
    /// When sensing began, as it is written there (UTC).
    pub sensed: String,
    /// `Sentinel-2A`.
    pub spacecraft: String,
    /// `05.10`.
    pub baseline: String,
    /// Relative orbit and its direction: `102 DESCENDING`.
    pub orbit: String,
    /// Per cent of clouds.
    pub clouds: Option<f64>,
    /// By what values are divided.
    pub quantification: f64,
    /// Value that means no data.
    pub nodata: Option<f64>,
    /// Value that means too bright.
    pub saturated: Option<f64>,
    /// Its images, by the name that ends the file's, with their paths below the product, without suffix.
    pub images: Vec<Image>,
    /// By the name of the band, `B04`.
    pub bands: BTreeMap<String, Spectral>,
}

/// A file of a product.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// `B04`, `TCI`, `SCL`.
    pub name: String,
    /// Metres of a pixel.
    pub resolution: u32,
    /// Path below the product.
    pub path: String,
}

/// What is known of a band.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spectral {
    /// Metres of a pixel, as the instrument has it.
    pub resolution: u32,
    /// Nanometres: smallest, middle, largest.
    pub wavelength: Option<[f64; 3]>,
    /// What is added to values before they are divided.
    pub offset: f64,
}

/// Where a granule lies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tile {
    /// `EPSG:32635`.
    pub crs: String,
    /// West and north edge, in units of the CRS.
    pub origin: (f64, f64),
    /// Pixels across and down by metres of a pixel.
    pub sizes: BTreeMap<u32, (u64, u64)>,
    /// Per cent of clouds.
    pub clouds: Option<f64>,
}

/// An element: its name without prefix, and its attributes.
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
}

impl Element {
    fn number<T: std::str::FromStr>(&self, attribute: &str) -> Option<T> {
        self.attributes.get(attribute)?.trim().parse().ok()
    }
}

/// Gives each text with the elements it stands in, the innermost last. A document that breaks off is no error
/// where `partly`: then what is whole of it is given.
fn walk(xml: &[u8], partly: bool, mut see: impl FnMut(&[Element], &str)) -> Result<()> {
    let flawed = |why: String| Error::invalid(format!("its metadata are no proper XML: {why}"));
    let mut reader = Reader::from_reader(xml);
    reader.config_mut().trim_text(true);
    let mut stack: Vec<Element> = Vec::new();
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(_) if partly => return Ok(()),
            Err(err) => return Err(flawed(err.to_string())),
        };
        match event {
            Event::Start(start) => {
                if stack.len() >= DEEPEST {
                    return Err(flawed("elements are nested too deep".to_owned()));
                }
                let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                let attributes = start.attributes().flatten().map(|a| {
                    let key = String::from_utf8_lossy(a.key.local_name().as_ref()).into_owned();
                    (key, String::from_utf8_lossy(&a.value).into_owned())
                });
                stack.push(Element { name, attributes: attributes.collect() });
            }
            Event::End(_) => {
                stack.pop();
            }
            Event::Text(text) => see(&stack, text.decode().unwrap_or_default().trim()),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// `B4` as files are called: `B04`.
fn file_name(physical: &str) -> String {
    match physical.strip_prefix('B') {
        Some(digit) if digit.len() == 1 => format!("B0{digit}"),
        _ => physical.to_owned(),
    }
}

/// The resolution of an instrument's band where nothing says it.
fn native(name: &str) -> u32 {
    match name {
        "B02" | "B03" | "B04" | "B08" | "TCI" => 10,
        "B01" | "B09" | "B10" => 60,
        _ => 20,
    }
}

/// Reads `MTD_MSIL1C.xml` or `MTD_MSIL2A.xml`.
pub(super) fn product(xml: &[u8]) -> Result<Product> {
    let mut out = Product { quantification: 10_000.0, ..Product::default() };
    let mut paths: Vec<String> = Vec::new();
    let mut offsets: BTreeMap<u32, f64> = BTreeMap::new();
    let mut spectral: BTreeMap<u32, (String, Spectral)> = BTreeMap::new();
    let mut special = String::new();
    let mut waves: BTreeMap<u32, [Option<f64>; 3]> = BTreeMap::new();
    walk(xml, false, |stack, text| {
        let Some(last) = stack.last() else { return };
        let band = || stack.iter().rev().find(|e| e.name == "Spectral_Information");
        match last.name.as_str() {
            "PRODUCT_URI" | "PRODUCT_URI_1C" | "PRODUCT_URI_2A" => text.clone_into(&mut out.name),
            "PROCESSING_LEVEL" => text.clone_into(&mut out.level),
            "PRODUCT_START_TIME" => text.clone_into(&mut out.sensed),
            "SPACECRAFT_NAME" => text.clone_into(&mut out.spacecraft),
            "PROCESSING_BASELINE" => text.clone_into(&mut out.baseline),
            "SENSING_ORBIT_NUMBER" | "SENSING_ORBIT_DIRECTION" => {
                format!("{} {text}", out.orbit).trim().clone_into(&mut out.orbit);
            }
            "Cloud_Coverage_Assessment" => out.clouds = text.parse().ok(),
            "QUANTIFICATION_VALUE" | "BOA_QUANTIFICATION_VALUE" => {
                out.quantification = text.parse().ok().filter(|&q: &f64| q > 0.0).unwrap_or(10_000.0);
            }
            "SPECIAL_VALUE_TEXT" => text.clone_into(&mut special),
            "SPECIAL_VALUE_INDEX" => match special.as_str() {
                "NODATA" => out.nodata = text.parse().ok(),
                "SATURATED" => out.saturated = text.parse().ok(),
                _ => {}
            },
            "IMAGE_FILE" | "IMAGE_ID" => paths.push(text.to_owned()),
            "RADIO_ADD_OFFSET" | "BOA_ADD_OFFSET" => {
                if let (Some(id), Ok(offset)) = (last.number("band_id"), text.parse()) {
                    offsets.insert(id, offset);
                }
            }
            "RESOLUTION" => {
                if let Some(element) = band()
                    && let (Some(id), Some(name)) = (element.number("bandId"), element.attributes.get("physicalBand"))
                {
                    let resolution = text.parse().unwrap_or_default();
                    spectral.insert(id, (file_name(name), Spectral { resolution, ..Spectral::default() }));
                }
            }
            which @ ("MIN" | "CENTRAL" | "MAX") => {
                if let Some(id) = band().and_then(|e| e.number("bandId")) {
                    let at = ["MIN", "CENTRAL", "MAX"].iter().position(|w| *w == which).unwrap_or_default();
                    waves.entry(id).or_default()[at] = text.parse().ok();
                }
            }
            _ => {}
        }
    })?;
    for (id, name) in ORDER.iter().enumerate() {
        let id = id as u32;
        let unknown = || ((*name).to_owned(), Spectral { resolution: native(name), ..Spectral::default() });
        let (name, mut band) = spectral.get(&id).cloned().unwrap_or_else(unknown);
        band.offset = offsets.get(&id).copied().unwrap_or_default();
        band.wavelength = waves.get(&id).and_then(|w| Some([w[0]?, w[1]?, w[2]?]));
        out.bands.insert(name, band);
    }
    out.images = paths.iter().filter_map(|path| image(path)).collect();
    if out.images.is_empty() {
        return Err(Error::invalid("its metadata name no images"));
    }
    Ok(out)
}

/// `GRANULE/X/IMG_DATA/T53JQJ_20201031T004711_B04`, or `…/IMG_DATA/R10m/T35VLH_20240623T095031_B04_10m`.
fn image(path: &str) -> Option<Image> {
    // It is joined to the product's address.
    if path.starts_with('/') || path.split('/').any(|part| part.is_empty() || part == "..") {
        return None;
    }
    let mut words = path.rsplit('/').next()?.rsplit('_');
    let last = words.next()?;
    let metres = last.strip_suffix('m').and_then(|m| m.parse().ok());
    let name = if metres.is_some() { words.next()? } else { last }.to_owned();
    Some(Image { resolution: metres.unwrap_or_else(|| native(&name)), name, path: format!("{path}.jp2") })
}

/// Reads `MTD_TL.xml`, or its beginning: the place stands in front of megabytes of angles.
pub(super) fn tile(xml: &[u8]) -> Result<Tile> {
    let mut out = Tile::default();
    let mut rows: BTreeMap<u32, u64> = BTreeMap::new();
    let (mut x, mut y) = (None, None);
    walk(xml, true, |stack, text| {
        let Some(last) = stack.last() else { return };
        let resolution = || stack.iter().rev().find_map(|e| e.number::<u32>("resolution"));
        match last.name.as_str() {
            "HORIZONTAL_CS_CODE" => text.clone_into(&mut out.crs),
            "NROWS" => {
                rows.extend(resolution().zip(text.parse().ok()));
            }
            "NCOLS" => {
                let size = resolution().and_then(|r| Some((r, (text.parse().ok()?, *rows.get(&r)?))));
                out.sizes.extend(size);
            }
            "ULX" => x = x.or(text.parse().ok()),
            "ULY" => y = y.or(text.parse().ok()),
            "CLOUDY_PIXEL_PERCENTAGE" => out.clouds = text.parse().ok(),
            _ => {}
        }
    })?;
    let (Some(x), Some(y)) = (x, y) else { return Err(Error::invalid("its metadata do not say where it lies")) };
    out.origin = (x, y);
    let known = out.crs.strip_prefix("EPSG:").is_some_and(|code| code.bytes().all(|b| b.is_ascii_digit()));
    if !known || out.sizes.is_empty() {
        return Err(Error::invalid("its metadata do not say where it lies"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCT: &str = r#"<?xml version="1.0"?><n1:P xmlns:n1="x"><PROCESSING_LEVEL>Level-2A</PROCESSING_LEVEL>
      <IMAGE_FILE>GRANULE/G/IMG_DATA/R10m/T35VLH_20240623T095031_B04_10m</IMAGE_FILE>
      <IMAGE_FILE>GRANULE/G/IMG_DATA/R60m/T35VLH_20240623T095031_B04_60m</IMAGE_FILE>
      <IMAGE_FILE>GRANULE/G/IMG_DATA/R10m/T35VLH_20240623T095031_TCI_10m</IMAGE_FILE>
      <IMAGE_FILE>../../etc/x_B02</IMAGE_FILE>
      <Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>
      <BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
      <BOA_ADD_OFFSET band_id="3">-1000</BOA_ADD_OFFSET>
      <Spectral_Information bandId="3" physicalBand="B4"><RESOLUTION>10</RESOLUTION><Wavelength><MIN unit="nm">646</MIN>
      <MAX unit="nm">684</MAX><CENTRAL unit="nm">664.6</CENTRAL></Wavelength></Spectral_Information></n1:P>"#;

    #[test]
    fn a_product_names_its_images_and_offsets() {
        let product = product(PRODUCT.as_bytes()).expect("a product");
        let names: Vec<(&str, u32)> = product.images.iter().map(|i| (i.name.as_str(), i.resolution)).collect();
        assert_eq!(names, [("B04", 10), ("B04", 60), ("TCI", 10)], "what leads out of the product is left out");
        let red = product.bands["B04"];
        assert_eq!(red, Spectral { resolution: 10, wavelength: Some([646.0, 664.6, 684.0]), offset: -1000.0 });
        assert!((product.bands["B11"].offset).abs() < f64::EPSILON);
        assert_eq!((product.nodata, product.saturated), (Some(0.0), None));
        for cut in 0..PRODUCT.len() {
            let _ = super::product(&PRODUCT.as_bytes()[..cut]);
        }
    }

    #[test]
    fn the_beginning_of_a_tile_says_where_it_lies() {
        let xml = r#"<a><HORIZONTAL_CS_CODE>EPSG:32635</HORIZONTAL_CS_CODE><Size resolution="10"><NROWS>9</NROWS><NCOLS>8</NCOLS></Size>
          <Geoposition resolution="10"><ULX>300000</ULX><ULY>6800040</ULY></Geoposition><VALUES>1 2"#;
        let tile = tile(xml.as_bytes()).expect("a tile");
        assert_eq!((tile.origin, tile.sizes[&10]), ((300_000.0, 6_800_040.0), (8, 9)));
        assert!(super::tile(b"<a></a>").is_err());
    }
}
