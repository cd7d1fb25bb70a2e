//! Pictures for people: PNG, JPEG, WebP, GIF.

use crate::error::{Error, Kind, Result};
use crate::location::Scheme;
use crate::preview::{Ask, Facts, Picture, Preview, Previewer, Probe, Raster};
use crate::raster::world;
use crate::store::Stores;
use crate::text;
use bytes::Bytes;
use image::{ColorType, DynamicImage, ImageDecoder as _, ImageError, ImageReader, Limits};
use std::io::Cursor;

const SUFFIXES: &[&str] = &["png", "jpg", "jpeg", "jpe", "webp", "gif"];

const MAGIC: &[&[u8]] = &[b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"];

const MEDIA: &[&str] = &["image/png", "image/jpeg", "image/webp", "image/gif"];

/// Pixels across or down that are still decoded.
const LARGEST_SIDE: u32 = 32_768;

/// Bytes that decoding may take in memory.
const LARGEST_DECODED: u64 = 512 << 20;

/// Bytes of the first request: all of a thumbnail and of most pictures.
const FIRST: u64 = 1 << 20;

pub(super) const PREVIEWER: Previewer =
    Previewer { name: "image", matches, load: |stores, ask| Box::pin(load(stores, ask)) };

fn matches(probe: &Probe) -> bool {
    let media = probe.media_type.as_deref().unwrap_or_default().to_ascii_lowercase();
    let webp = probe.head.as_ref().is_some_and(|h| h.starts_with(b"RIFF") && h.get(8..12) == Some(b"WEBP"));
    !probe.location.is_container()
        && (probe.has_extension(SUFFIXES)
            || MEDIA.iter().any(|m| media.starts_with(m))
            || MAGIC.iter().any(|m| probe.starts_with(m))
            || webp)
}

async fn load(stores: Stores, ask: Ask) -> Result<Preview> {
    let bytes = fetch(&stores, &ask).await.map_err(|err| err.context(format!("reading {}", ask.probe.location)))?;
    let (width, height) = ask.pixels;
    let location = ask.probe.location.clone();
    // Looking beside it costs nothing here; elsewhere a thumbnail is not worth four requests more.
    let near = matches!(location.scheme(), Scheme::File | Scheme::Memory);
    let placed = if near { world::find(&stores, &location, &ask.control).await } else { None };
    ask.control
        .blocking(move |_| {
            let shown = show(&bytes, width, height).map(|raster| match placed {
                Some(placed) => Raster { transform: Some(placed.transform), ..raster },
                None => raster,
            });
            shown.map(Preview::Raster).map_err(|err| err.context(format!("opening {location}")))
        })
        .await
}

/// The whole object, in one request or two.
async fn fetch(stores: &Stores, ask: &Ask) -> Result<Bytes> {
    let too_big = |size: u64| {
        let (size, limit) = (text::bytes(size), text::bytes(ask.max_bytes));
        Error::new(Kind::Limit, format!("the picture has {size}, and the limit is {limit}"))
    };
    if let Some(size) = ask.probe.size.filter(|&size| size > ask.max_bytes) {
        return Err(too_big(size));
    }
    let location = &ask.probe.location;
    let handle = stores.open(location, &ask.control.meter).await?;
    let (head, size) = if let (Some(head), Some(size)) = (&ask.probe.head, ask.probe.size) {
        (head.clone(), size)
    } else {
        let head = ask.control.race(handle.read_head(location, FIRST)).await?;
        (head.bytes, head.size)
    };
    if size > ask.max_bytes {
        return Err(too_big(size));
    }
    let have = head.len() as u64;
    if have >= size {
        return Ok(head);
    }
    let rest = ask.control.race(handle.read_range(location, have..size)).await?;
    Ok([head, rest].concat().into())
}

fn show(bytes: &Bytes, width: u32, height: u32) -> Result<Raster> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(LARGEST_DECODED);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let format = reader.format().and_then(|f| f.extensions_str().first().copied());
    let format = format.ok_or_else(|| Error::invalid("it is not a picture of a kind that can be read here"))?;
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(explain)?;
    let (size, color) = (decoder.dimensions(), decoder.color_type());
    limits.check_dimensions(size.0, size.1).map_err(explain)?;
    limits.reserve(decoder.total_bytes()).map_err(explain)?;
    decoder.set_limits(limits).map_err(explain)?;
    // A broken note about its orientation does not spoil a picture.
    let orientation = decoder.orientation().ok();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(explain)?;
    if picture.width() > width || picture.height() > height {
        picture = picture.thumbnail(width.max(1), height.max(1));
    }
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    let rgba = picture.into_rgba8();
    let name = match format {
        "jpg" | "jpeg" => "JPEG".to_owned(),
        "webp" => "WebP".to_owned(),
        other => other.to_ascii_uppercase(),
    };
    let facts = Facts {
        title: format!("{name} {}×{} {}", size.0, size.1, color_name(color)),
        rows: vec![
            ("Format".into(), name),
            ("Size".into(), format!("{} × {} px · {}", size.0, size.1, text::bytes(bytes.len() as u64))),
            ("Colour".into(), color_name(color)),
        ],
    };
    Ok(Raster {
        facts,
        picture: Picture { width: rgba.width(), height: rgba.height(), rgba: rgba.into_raw().into() },
        size: (u64::from(size.0), u64::from(size.1)),
        bands: Vec::new(),
        crs: None,
        bounds: None,
        transform: None,
        stretch: String::new(),
    })
}

fn color_name(color: ColorType) -> String {
    let bits = u16::from(color.bytes_per_pixel()) * 8 / u16::from(color.channel_count().max(1));
    let channels = match color.channel_count() {
        1 => "gray",
        2 => "gray + alpha",
        3 => "RGB",
        _ => "RGBA",
    };
    format!("{channels} {bits} bit")
}

fn explain(err: ImageError) -> Error {
    let error = match &err {
        ImageError::Limits(_) => Error::new(Kind::Limit, "the picture is too large to be decoded here"),
        ImageError::Unsupported(_) => Error::unsupported(format!("the picture cannot be decoded: {err}")),
        _ => Error::invalid("the picture is damaged or cut off"),
    };
    error.with_source(err)
}
