//! VRTs, made harmless: a description of a raster made of others, written anew with nothing in it but what is known
//! here, and with names of our own for its members.
//!
//! GDAL would open whatever a VRT names, wherever it is. So a member must lie in the same store, on the local disk
//! below the folder of the VRT that was opened; `/vsicurl/`, `/vsistdin/` and all other file systems of GDAL are not
//! followed. Elements that compute, warp, read raw files or name further files are refused by name.
//!
//! Format: <https://gdal.org/drivers/raster/vrt.html>.

use crate::error::{Error, Result};
use crate::location::{Location, Scheme};
use quick_xml::events::{BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};

/// Members of one VRT.
const MOST_MEMBERS: usize = 20_000;

/// Elements that are copied.
const KNOWN: &[&str] = &[
    "VRTDataset",
    "SRS",
    "GeoTransform",
    "Metadata",
    "MDI",
    "VRTRasterBand",
    "ColorInterp",
    "NoDataValue",
    "ColorTable",
    "Entry",
    "CategoryNames",
    "Category",
    "Description",
    "UnitType",
    "Offset",
    "Scale",
    "HideNoDataValue",
    "SimpleSource",
    "ComplexSource",
    "AveragedSource",
    "SourceFilename",
    "SourceBand",
    "SourceProperties",
    "SrcRect",
    "DstRect",
    "NODATA",
    "ScaleOffset",
    "ScaleRatio",
    "LUT",
    "UseMaskBand",
    "ColorTableComponent",
    "SrcMin",
    "SrcMax",
    "DstMin",
    "DstMax",
    "Exponent",
    "Clamp",
    "MaskBand",
    "OverviewList",
    "Overview",
    "BlockXSize",
    "BlockYSize",
];

/// Elements that are left out with all that is in them: pictures and values do not depend on them.
const DROPPED: &[&str] = &["GCPList", "Histograms", "GDALRasterAttributeTable", "OpenOptions"];

/// Whether these are the first bytes of what GDAL takes for a VRT.
pub(super) fn is_one(head: &[u8]) -> bool {
    memchr::memmem::find(&head[..head.len().min(1024)], b"<VRTDataset").is_some()
}

/// The VRT at `at` with other names: `mount` gives that of a member. `home` is the VRT that was opened first.
pub(super) fn rewritten(
    text: &[u8],
    at: &Location,
    home: &Location,
    mut mount: impl FnMut(Location) -> Result<String>,
) -> Result<Vec<u8>> {
    let flawed = |err: &dyn std::fmt::Display| Error::invalid(format!("the VRT is no proper XML: {err}"));
    let mut reader = Reader::from_reader(text);
    let mut writer = Writer::new(Vec::with_capacity(text.len()));
    let mut members = 0;
    loop {
        let event = reader.read_event().map_err(|err| flawed(&err))?;
        let (start, empty) = match &event {
            Event::Eof => break,
            Event::Start(start) => (start, false),
            Event::Empty(start) => (start, true),
            Event::Text(_) | Event::End(_) | Event::CData(_) | Event::GeneralRef(_) => {
                writer.write_event(event).map_err(|err| flawed(&err))?;
                continue;
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
            Event::DocType(_) => return Err(Error::invalid("the VRT declares a document type")),
        };
        let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
        if is_dropped(&name, start) {
            if !empty {
                reader.read_to_end(start.name()).map_err(|err| flawed(&err))?;
            }
            continue;
        }
        admit(&name, start)?;
        if name == "SourceFilename" || name == "SRS" {
            let content = if empty { String::new() } else { text_of(&mut reader).map_err(|err| flawed(&err))? };
            if name == "SRS" {
                write_srs(&mut writer, start, &content).map_err(|err| flawed(&err))?;
                continue;
            }
            members += 1;
            if members > MOST_MEMBERS {
                return Err(Error::unsupported(format!("the VRT has more than {MOST_MEMBERS} members")));
            }
            let path = mount(member(&content, at, home)?)?;
            let mut element = BytesStart::new("SourceFilename");
            element.push_attribute(("relativeToVRT", "0"));
            element.push_attribute(("shared", "1"));
            write(&mut writer, element, &path).map_err(|err| flawed(&err))?;
            continue;
        }
        writer.write_event(event).map_err(|err| flawed(&err))?;
    }
    Ok(writer.into_inner())
}

fn write(writer: &mut Writer<Vec<u8>>, element: BytesStart<'_>, text: &str) -> std::io::Result<()> {
    let end = element.to_end().into_owned();
    writer.write_event(Event::Start(element))?;
    writer.write_event(Event::Text(BytesText::new(text)))?;
    writer.write_event(Event::End(end))
}

/// Only definitions: GDAL would also read them from files and from the web.
fn write_srs(writer: &mut Writer<Vec<u8>>, start: &BytesStart<'_>, text: &str) -> std::io::Result<()> {
    let text = text.trim();
    let word = text.split(['[', '(']).next().unwrap_or_default();
    let wkt = word.len() < text.len() && !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let code = |prefix: &str| {
        text.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    if wkt || code("EPSG:") || code("OGC:") || code("ESRI:") {
        write(writer, start.to_owned(), text)?;
    }
    Ok(())
}

fn attribute(start: &BytesStart<'_>, name: &str) -> String {
    let found = start.try_get_attribute(name).ok().flatten();
    found.map(|a| String::from_utf8_lossy(&a.value).into_owned()).unwrap_or_default()
}

/// Metadata of other domains lead to further files: geolocation arrays, sources.
fn is_dropped(name: &str, start: &BytesStart<'_>) -> bool {
    let foreign = name == "Metadata" && !matches!(attribute(start, "domain").as_str(), "" | "IMAGE_STRUCTURE");
    foreign || DROPPED.contains(&name)
}

fn admit(name: &str, start: &BytesStart<'_>) -> Result<()> {
    let class = attribute(start, "subClass");
    if !class.is_empty() && class != "VRTSourcedRasterBand" {
        return Err(Error::unsupported(format!("a VRT of the class {} is not followed", crate::text::clean(&class)))
            .with_hint("write it to a GeoTIFF with gdal_translate"));
    }
    if !KNOWN.contains(&name) {
        let name = crate::text::fit(name, 40).into_owned();
        return Err(Error::unsupported(format!("the VRT has an element <{name}>, which is not followed"))
            .with_hint("write it to a GeoTIFF with gdal_translate"));
    }
    Ok(())
}

/// The text up to the end of an element that holds nothing else.
fn text_of(reader: &mut Reader<&[u8]>) -> std::result::Result<String, String> {
    let mut out = String::new();
    loop {
        match reader.read_event().map_err(|err| err.to_string())? {
            Event::Text(text) => out.push_str(&text.decode().map_err(|err| err.to_string())?),
            Event::CData(text) => out.push_str(&String::from_utf8_lossy(&text)),
            Event::GeneralRef(entity) => {
                let name = entity.decode().map_err(|err| err.to_string())?;
                let whole = format!("&{name};");
                out.push_str(&quick_xml::escape::unescape(&whole).map_err(|err| err.to_string())?);
            }
            Event::Comment(_) => {}
            Event::End(_) => return Ok(out),
            _ => return Err("an element where a name should be".to_owned()),
        }
    }
}

/// Where a member lies, if it may be read.
fn member(name: &str, at: &Location, home: &Location) -> Result<Location> {
    let outside = |why: &str| {
        let name = crate::text::fit(name, 80).into_owned();
        Error::unsupported(format!("the VRT names `{name}`, {why}, which is not followed"))
            .with_hint("members must lie beside the VRT, in its own store")
    };
    let local = home.scheme() == Scheme::File;
    if name.is_empty() || name.contains('\0') || name.starts_with('<') {
        return Err(outside("which is no name of a file"));
    }
    // The same bucket by GDAL's name of it is the same place.
    let inside = name.strip_prefix("/vsis3/").filter(|_| home.scheme() == Scheme::S3);
    let inside = inside.and_then(|rest| rest.strip_prefix(home.bucket())?.strip_prefix('/'));
    if let Some(key) = inside.filter(|key| !key.split('/').any(|part| part == "..")) {
        return Ok(at.with_key(key));
    }
    if name.starts_with("/vsi") {
        return Err(outside("a file system of GDAL's"));
    }
    let before = name.split(['/', '\\']).next().unwrap_or_default();
    if before.contains(':') || name.contains("://") {
        return Err(outside("another place"));
    }
    if name.starts_with('/') && !local {
        return Err(outside("a file of this computer"));
    }
    let found = at.resolve(name).map_err(|_| outside("a place outside its store"))?;
    let folder = &home.key()[..home.key().rfind('/').map_or(0, |i| i + 1)];
    if local && !found.key().starts_with(folder) {
        return Err(outside("a file outside its folder"));
    }
    if found.store() != home.store() || found.is_container() {
        return Err(outside("another place"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str, at: &str) -> std::result::Result<(String, Vec<String>), String> {
        let at = Location::parse(at).expect("location");
        let mut members = Vec::new();
        let out = rewritten(text.as_bytes(), &at, &at, |member| {
            members.push(member.to_string());
            Ok(format!("/vsisecchi/{}/x", members.len()))
        });
        out.map(|out| (String::from_utf8(out).expect("text"), members)).map_err(|err| err.to_string())
    }

    fn with(name: &str) -> String {
        format!(
            "<VRTDataset rasterXSize=\"2\" rasterYSize=\"2\"><SRS>EPSG:4326</SRS><VRTRasterBand dataType=\"Byte\" band=\"1\">\
             <SimpleSource><SourceFilename relativeToVRT=\"1\">{name}</SourceFilename><SourceBand>1</SourceBand>\
             </SimpleSource></VRTRasterBand></VRTDataset>"
        )
    }

    #[test]
    fn members_beside_it_are_mounted() {
        let (text, members) = run(&with("tiles/a &amp; b.tif"), "s3://lake/x/all.vrt").expect("rewritten");
        assert_eq!(members, ["s3://lake/x/tiles/a & b.tif"]);
        assert!(text.contains("shared=\"1\">/vsisecchi/1/x</SourceFilename>"), "{text}");
        assert!(text.contains("<SRS>EPSG:4326</SRS>"), "{text}");
        assert_eq!(run(&with("../b.tif"), "s3://lake/x/all.vrt").expect("up").1, ["s3://lake/b.tif"]);
        assert_eq!(run(&with("/vsis3/lake/b.tif"), "s3://lake/x/all.vrt").expect("same").1, ["s3://lake/b.tif"]);
        assert_eq!(run(&with("/data/t/b.tif"), "/data/all.vrt").expect("below").1, ["/data/t/b.tif"]);
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for name in [
            "/vsicurl/http://10.0.0.1/x.tif",
            "/vsistdin/",
            "/vsis3/other/x.tif",
            "/vsizip/a.zip/b.tif",
            "/etc/passwd",
            "http://h/x.tif",
            "NETCDF:a.nc:b",
            "&lt;VRTDataset/>",
            "",
        ] {
            let refused = run(&with(name), "s3://lake/x/all.vrt").expect_err(name);
            assert!(refused.contains("not followed"), "{refused}");
        }
        for name in ["../b.tif", "/etc/passwd", "/data/../etc/passwd", "/database/x"] {
            let refused = run(&with(name), "/data/all.vrt").expect_err(name);
            assert!(refused.contains("not followed"), "{refused}");
        }
    }

    #[test]
    fn what_computes_or_reads_raw_files_is_refused_and_the_rest_dropped() {
        for text in [
            "<VRTDataset subClass=\"VRTWarpedDataset\"><GDALWarpOptions/></VRTDataset>",
            "<VRTDataset><VRTRasterBand subClass=\"VRTRawRasterBand\"/></VRTDataset>",
            "<VRTDataset><Group/></VRTDataset>",
            "<!DOCTYPE x [<!ENTITY a \"b\">]><VRTDataset/>",
            "<VRTDataset><SRS>x</VRTDataset>",
        ] {
            assert!(run(text, "/a/b.vrt").is_err(), "{text}");
        }
        let text = "<VRTDataset><SRS>/etc/passwd</SRS><Metadata domain=\"GEOLOCATION\"><MDI key=\"X_DATASET\">/x</MDI>\
                    </Metadata><Metadata><MDI key=\"a\">b</MDI></Metadata></VRTDataset>";
        let (text, _) = run(text, "/a/b.vrt").expect("rewritten");
        assert_eq!(text, "<VRTDataset><Metadata><MDI key=\"a\">b</MDI></Metadata></VRTDataset>");
    }
}
