//! Sentinel-2 products: a SAFE folder on any store, or a zip of one read by ranges, opened as rasters.
//!
//! | part | what it shows |
//! |---|---|
//! | `10m`, `20m`, `60m` | all bands of that resolution; `10m` where none is named |
//! | `all` | all bands on the finest grid, the coarser ones with their pixels repeated |
//! | `TCI` | the true-colour picture; without one B04, B03, B02 |
//! | `PVI` | the small preview picture |
//! | `B8A`, `SCL` | one image |
//!
//! Values are those stored; `scale` and `offset` of a band make them reflectance:
//! (DN + `RADIO_ADD_OFFSET`) / `QUANTIFICATION_VALUE`, both read from the product's metadata.

use super::{Mounted, Part, Raster, finish};
use crate::error::{Context, Error, Kind, Result};
use crate::location::Location;
use crate::store::gdal::{Content, Member, Mount};
use crate::store::{StoreHandle, Stores};
use crate::task::Control;
use archive::Archive;
use bytes::Bytes;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use std::fmt::Write as _;

mod archive;
mod metadata;

pub use metadata::{Image, Product, Spectral, Tile};

/// Bytes of a metadata document, and of the beginning of that of a tile.
const LARGEST_DOCUMENT: u64 = 8 << 20;
const TILE_BYTES: u64 = 32 << 10;

/// Documents of a product, by its level.
const DOCUMENTS: [&str; 2] = ["MTD_MSIL1C.xml", "MTD_MSIL2A.xml"];

/// Members whose places in a zip are asked for at once.
const PARALLEL: usize = 16;

/// The part that is opened where none is named.
pub const DEFAULT: &str = "10m";

/// Whether an address is, by its name, a Sentinel-2 product: a folder, or a zip of one.
pub fn is_product(location: &Location) -> bool {
    let name = location.name().trim_end_matches('/').to_ascii_uppercase();
    let stem = name.strip_prefix("S2").unwrap_or_default();
    let level = stem.get(1..).is_some_and(|rest| rest.starts_with("_MSIL1C_") || rest.starts_with("_MSIL2A_"));
    level && (if location.is_container() { is_folder(&name) } else { is_zip(location) })
}

/// Whether this is what the folder of a product is called.
pub(super) fn is_folder(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, suffix)| suffix.eq_ignore_ascii_case("SAFE"))
}

fn is_zip(location: &Location) -> bool {
    location.extension() == "zip"
}

/// A product whose metadata were read.
pub struct Safe {
    location: Location,
    place: Place,
    /// What it says of itself.
    pub product: Product,
    /// Where it lies.
    pub tile: Tile,
}

/// Where its files are.
enum Place {
    Folder(StoreHandle),
    /// With the folder that all its entries lie in, which ends in `/`.
    Zip(Archive, String),
}

impl Place {
    async fn read(&self, home: &Location, path: &str, limit: u64, control: &Control) -> Result<Bytes> {
        match self {
            Self::Folder(handle) => {
                let location = home.with_key(format!("{}{path}", home.key()));
                let head = control.race(handle.read_head(&location, limit)).await?;
                Ok(head.bytes)
            }
            Self::Zip(archive, root) => archive.read(&format!("{root}{path}"), limit, control).await,
        }
    }

    async fn content(&self, home: &Location, path: &str, control: &Control) -> Result<Content> {
        match self {
            Self::Folder(_) => {
                let location = home.with_key(format!("{}{path}", home.key()));
                Ok(Content::Object { location, part: None })
            }
            Self::Zip(archive, root) => archive.content(&format!("{root}{path}"), control).await,
        }
    }

    /// Whether a file is there, as far as that is known without a request.
    fn has(&self, path: &str) -> bool {
        match self {
            Self::Folder(_) => true,
            Self::Zip(archive, root) => archive.names().any(|name| name.strip_prefix(root) == Some(path)),
        }
    }
}

/// Reads the metadata of a product: two requests for a folder, a few more for a zip.
pub async fn open(stores: &Stores, location: &Location, size: Option<u64>, control: &Control) -> Result<Safe> {
    let handle = stores.open(location, &control.meter).await?;
    let place = if is_zip(location) {
        let archive = Archive::open(handle, location, size, control).await?;
        let document =
            |name: &&str| DOCUMENTS.iter().any(|d| name.strip_suffix(d).is_some_and(|r| r.matches('/').count() <= 1));
        let root =
            archive.names().find(document).and_then(|name| Some(&name[..name.rfind("MTD_")?])).map(str::to_owned);
        let root = root.ok_or_else(|| Error::invalid("no metadata of a Sentinel-2 product are in it"))?;
        Place::Zip(archive, root)
    } else {
        Place::Folder(handle)
    };
    let second = usize::from(location.name().to_ascii_uppercase().contains("MSIL2A"));
    let document = DOCUMENTS[second];
    let xml = place.read(location, document, LARGEST_DOCUMENT, control).await.context(|| document.to_owned())?;
    let product = metadata::product(&xml).context(|| document.to_owned())?;
    let granule = product.images.iter().find_map(|image| image.path.split_once("/IMG_DATA/")).map(|(front, _)| front);
    let granule = granule.ok_or_else(|| Error::invalid("its metadata do not say where its granule is"))?;
    let document = format!("{granule}/MTD_TL.xml");
    let xml = place.read(location, &document, TILE_BYTES, control).await.context(|| "MTD_TL.xml".to_owned())?;
    let tile = metadata::tile(&xml).context(|| "MTD_TL.xml".to_owned())?;
    Ok(Safe { location: location.clone(), place, product, tile })
}

/// What a part is made of.
struct Choice<'a> {
    name: String,
    resolution: u32,
    images: Vec<&'a Image>,
}

impl Safe {
    /// The names of its parts, and what they are.
    pub fn parts(&self) -> Vec<Part> {
        let mut out: Vec<Part> = Vec::new();
        let mut add = |name: &str, about: String| out.push(Part { name: name.to_owned(), about });
        let size = |metres: u32| {
            self.tile.sizes.get(&metres).map(|(w, h)| format!("{w}×{h} px of {metres} m")).unwrap_or_default()
        };
        for &metres in self.tile.sizes.keys() {
            let names: Vec<&str> = self.bands(metres).iter().map(|i| i.name.as_str()).collect();
            if !names.is_empty() {
                add(&format!("{metres}m"), format!("{} · {}", names.join(" "), size(metres)));
            }
        }
        let finest = self.finest();
        add("all", format!("all bands · {}", size(finest)));
        if self.image("TCI").is_some() {
            add("TCI", format!("true colour · {}", size(self.image("TCI").map_or(finest, |i| i.resolution))));
        }
        add("PVI", "the preview picture".to_owned());
        let mut seen: Vec<&str> = Vec::new();
        for image in self.product.images.iter().filter(|image| image.name != "TCI") {
            if !seen.contains(&image.name.as_str()) {
                seen.push(&image.name);
                let wave = self.product.bands.get(&image.name).and_then(|b| b.wavelength);
                let wave = wave.map(|[_, middle, _]| format!("{middle} nm · ")).unwrap_or_default();
                let metres = self.image(&image.name).map_or(image.resolution, |i| i.resolution);
                add(&image.name, format!("{wave}{}", size(metres)));
            }
        }
        out
    }

    fn finest(&self) -> u32 {
        self.tile.sizes.keys().next().copied().unwrap_or(10)
    }

    /// The image of a name at its finest.
    fn image(&self, name: &str) -> Option<&Image> {
        let of_name = self.product.images.iter().filter(|image| image.name == name);
        of_name.min_by_key(|image| image.resolution)
    }

    /// The bands of the instrument with pixels of so many metres.
    fn bands(&self, metres: u32) -> Vec<&Image> {
        let images = self.product.images.iter();
        images.filter(|i| i.resolution == metres && self.product.bands.contains_key(&i.name)).collect()
    }

    /// What a part is made of; see the top of this page.
    fn choose(&self, part: &str) -> Result<Choice<'_>> {
        let choice = |resolution, images| Ok(Choice { name: part.to_owned(), resolution, images });
        if let Some(metres) = part.strip_suffix('m').and_then(|m| m.parse().ok())
            && self.tile.sizes.contains_key(&metres)
        {
            return choice(metres, self.bands(metres));
        }
        if part == "all" {
            let names: Vec<&String> = self.product.bands.keys().collect();
            return choice(self.finest(), names.iter().filter_map(|name| self.image(name)).collect());
        }
        if let Some(image) = self.image(part) {
            return choice(image.resolution, vec![image]);
        }
        if part == "TCI" {
            return choice(self.finest(), ["B04", "B03", "B02"].iter().filter_map(|name| self.image(name)).collect());
        }
        let names: Vec<String> = self.parts().into_iter().map(|p| p.name).collect();
        Err(Error::usage(format!("it has no part `{part}`")).with_hint(format!("there are {}", names.join(", "))))
    }

    /// The file of the preview picture: beside the images, named like them.
    fn preview_file(&self) -> Option<String> {
        let image = self.product.images.iter().find(|i| i.name == "TCI").or(self.product.images.first())?;
        let (granule, file) = image.path.split_once("/IMG_DATA/")?;
        let file = file.rsplit('/').next()?;
        let stem = file.split_once(&format!("_{}", image.name))?.0;
        let path = format!("{granule}/QI_DATA/{stem}_PVI.jp2");
        self.place.has(&path).then_some(path)
    }

    /// Opens a part as a raster.
    pub async fn raster(&self, stores: &Stores, part: &str, control: &Control, limit: u64) -> Result<Raster> {
        if part == "PVI" {
            let path = self.preview_file().ok_or_else(|| Error::new(Kind::NotFound, "it has no preview picture"))?;
            return self.single(stores, &path, part, control, limit).await;
        }
        let choice = self.choose(part)?;
        if let [image] = choice.images[..]
            && image.name == "TCI"
        {
            return self.single(stores, &image.path, part, control, limit).await;
        }
        if choice.images.is_empty() {
            return Err(Error::new(Kind::NotFound, format!("it has no bands of {}", choice.name)));
        }
        let paths: Vec<String> = choice.images.iter().map(|image| image.path.clone()).collect();
        let members = futures::stream::iter(paths)
            .map(|path| async move { self.place.content(&self.location, &path, control).await })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        let write = |members: &[Member]| self.vrt(&choice, members);
        let mounting = Mount::assembled(stores, &self.location, control, limit, members, write);
        self.finished(mounting, part, control, limit).await
    }

    /// One of its files, as it is.
    async fn single(&self, stores: &Stores, path: &str, part: &str, control: &Control, limit: u64) -> Result<Raster> {
        let content = self.place.content(&self.location, path, control).await?;
        let mounting = Mount::of(stores, &self.location, control, limit, content, "image.jp2");
        self.finished(mounting, part, control, limit).await
    }

    async fn finished(
        &self,
        mounting: impl Future<Output = Result<Mount>>,
        part: &str,
        control: &Control,
        limit: u64,
    ) -> Result<Raster> {
        let mounting = async { Ok(Mounted { mount: mounting.await?, placed: None, coming: None }) };
        let mut raster = finish(mounting, &self.location, None, control, limit).await?;
        let mut info = (*raster.info).clone();
        info.part = Some(part.to_owned());
        info.parts = self.parts();
        info.metadata = self.facts();
        raster.info = info.into();
        Ok(raster)
    }

    /// What it says of itself, as names and values.
    pub fn facts(&self) -> Vec<(String, String)> {
        let product = &self.product;
        let mut out: Vec<(String, String)> = Vec::new();
        let mut row = |name: &str, value: String| {
            if !value.is_empty() {
                out.push((name.to_owned(), value));
            }
        };
        row("Product", product.name.clone());
        row("Level", product.level.clone());
        row("Sensed", product.sensed.clone());
        row("Satellite", product.spacecraft.clone());
        row("Orbit", product.orbit.clone());
        row("Baseline", product.baseline.clone());
        let clouds = product.clouds.or(self.tile.clouds);
        row("Clouds", clouds.map(|c| format!("{c:.1} %")).unwrap_or_default());
        row("Reflectance", self.formula());
        let nodata = product.nodata.map(|n| format!("nodata {n}"));
        let saturated = product.saturated.map(|n| format!("saturated {n}"));
        row("Special values", [nodata, saturated].into_iter().flatten().collect::<Vec<_>>().join(" · "));
        out
    }

    fn formula(&self) -> String {
        let divisor = self.product.quantification;
        let mut offsets: Vec<f64> = self.product.bands.values().map(|b| b.offset).collect();
        offsets.dedup();
        match offsets[..] {
            [0.0] | [] => format!("value / {divisor}"),
            [offset] => format!("(value {offset:+}) / {divisor}"),
            _ => format!("(value + an offset of each band) / {divisor}"),
        }
    }

    /// The bands of a part as one raster. The files themselves say how large they are: samples of products are cut.
    fn vrt(&self, choice: &Choice<'_>, members: &[Member]) -> String {
        let claimed = self.tile.sizes.get(&choice.resolution).copied().unwrap_or((1, 1));
        let own: Vec<(u64, u64)> = choice
            .images
            .iter()
            .zip(members)
            .map(|(image, member)| {
                let claimed = self.tile.sizes.get(&image.resolution).copied().unwrap_or(claimed);
                jp2_size(&member.head).unwrap_or(claimed)
            })
            .collect();
        let (width, height) = own.iter().copied().max().unwrap_or(claimed);
        let (x, y) = self.tile.origin;
        let step = |claimed: u64, found: u64| f64::from(choice.resolution) * claimed as f64 / found.max(1) as f64;
        let mut out = format!(
            "<VRTDataset rasterXSize=\"{width}\" rasterYSize=\"{height}\"><SRS>{}</SRS>\
             <GeoTransform>{x},{},0,{y},0,-{}</GeoTransform>",
            self.tile.crs,
            step(claimed.0, width),
            step(claimed.1, height)
        );
        for (index, ((image, member), own)) in choice.images.iter().zip(members).zip(own).enumerate() {
            self.write_band(&mut out, index + 1, image, &member.path, own, (width, height));
        }
        out.push_str("</VRTDataset>");
        out
    }

    fn write_band(
        &self,
        out: &mut String,
        number: usize,
        image: &Image,
        path: &str,
        (own_width, own_height): (u64, u64),
        (width, height): (u64, u64),
    ) {
        let escape = |text: &str| quick_xml::escape::escape(text).into_owned();
        let spectral = self.product.bands.get(&image.name);
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<VRTRasterBand dataType=\"{}\" band=\"{number}\"><Description>{}</Description>",
            if spectral.is_some() || matches!(image.name.as_str(), "AOT" | "WVP") { "UInt16" } else { "Byte" },
            escape(&image.name)
        );
        if let Some(band) = spectral {
            let scale = 1.0 / self.product.quantification;
            let nodata = self.product.nodata.map(|n| format!("<NoDataValue>{n}</NoDataValue>")).unwrap_or_default();
            let _ = write!(out, "{nodata}<Offset>{}</Offset><Scale>{scale}</Scale>", band.offset * scale);
            if let Some([smallest, middle, largest]) = band.wavelength {
                let _ = write!(
                    out,
                    "<Metadata><MDI key=\"WAVELENGTH\">{middle}</MDI><MDI key=\"WAVELENGTH_UNIT\">nm</MDI>\
                     <MDI key=\"MIN_WAVELENGTH\">{smallest}</MDI><MDI key=\"MAX_WAVELENGTH\">{largest}</MDI></Metadata>"
                );
            }
        }
        let _ = write!(
            out,
            "<SimpleSource><SourceFilename relativeToVRT=\"0\">{}</SourceFilename><SourceBand>1</SourceBand>\
             <SrcRect xOff=\"0\" yOff=\"0\" xSize=\"{own_width}\" ySize=\"{own_height}\"/>\
             <DstRect xOff=\"0\" yOff=\"0\" xSize=\"{width}\" ySize=\"{height}\"/></SimpleSource></VRTRasterBand>",
            escape(path)
        );
    }
}

/// Pixels across and down, from the image header box of a JP2 (ISO/IEC 15444-1, I.5.3.1).
fn jp2_size(head: &[u8]) -> Option<(u64, u64)> {
    let at = memchr::memmem::find(&head[..head.len().min(256)], b"ihdr")? + 4;
    let number = |from: usize| head.get(from..from + 4)?.try_into().ok().map(u32::from_be_bytes).map(u64::from);
    Some((number(at + 4)?, number(at)?)).filter(|&(w, h)| w > 0 && h > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_known_by_their_names() {
        let is = |text: &str| is_product(&Location::parse(text).expect("location"));
        assert!(is("s3://eodata/x/S2A_MSIL1C_20201031T004711_N0209_R102_T53JQJ_20201031T022859.SAFE/"));
        assert!(is("/a/S2B_MSIL2A_20201031_T53JQJ.SAFE.zip"));
        assert!(is("/a/S2B_MSIL2A_20201031_T53JQJ.zip"));
        assert!(!is("/a/S2B_MSIL2A_20201031_T53JQJ.SAFE.tif"));
        assert!(!is("s3://b/S1A_IW_GRDH_1SDV.SAFE/"));
        assert!(!is("s3://b/S2A_MSIL1C_x.SAFE/MTD_MSIL1C.xml"));
        assert!(!is("s3://b/S2"));
    }
}
