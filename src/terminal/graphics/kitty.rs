//! Kitty's graphics protocol (<https://sw.kovidgoyal.net/kitty/graphics-protocol/>): direct
//! placement, PNG, an id for each picture. No Unicode placeholders: kitty 0.26 says OK and draws boxes.

use crate::picture::Picture;
use base64::Engine as _;
use std::io::Write as _;

/// Base64 characters in one chunk, by the protocol.
const CHUNK: usize = 4096;

/// Transmits and places `picture` at the cursor, which stays (`C=1`), without an answer (`q=2`).
pub(super) fn encode(picture: &Picture, image: u32) -> Option<Vec<u8>> {
    let data = base64::engine::general_purpose::STANDARD.encode(png(picture)?);
    let chunks: Vec<&[u8]> = data.as_bytes().chunks(CHUNK).collect();
    let mut out = Vec::with_capacity(data.len() + chunks.len() * 16 + 64);
    for (i, chunk) in chunks.iter().enumerate() {
        let more = u8::from(i + 1 < chunks.len());
        if i == 0 {
            write!(out, "\x1b_Ga=T,f=100,i={image},p=1,q=2,C=1,m={more};").ok()?;
        } else {
            write!(out, "\x1b_Gq=2,m={more};").ok()?;
        }
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\x1b\\");
    }
    Some(out)
}

/// Deletes an image, its placement and its data.
pub(super) fn delete(image: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\x1b_Ga=d,d=I,i={image},q=2\x1b\\").as_bytes());
}

/// The picture as a PNG file.
pub(super) fn png(picture: &Picture) -> Option<Vec<u8>> {
    use image::ImageEncoder as _;
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    let mut out = Vec::new();
    PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Adaptive)
        .write_image(&picture.rgba, picture.width, picture.height, image::ExtendedColorType::Rgba8)
        .ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_marked_and_hold_the_png() {
        let noise: Vec<u8> = (0..64u32 * 64 * 4).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let picture = Picture { width: 64, height: 64, rgba: noise.into() };
        let bytes = encode(&picture, 7).expect("encodes");
        let text = String::from_utf8(bytes).expect("ascii");
        let chunks: Vec<_> = text.split("\x1b\\").filter(|c| !c.is_empty()).collect();
        assert!(chunks.len() > 2);
        assert!(chunks[0].starts_with("\x1b_Ga=T,f=100,i=7,p=1,q=2,C=1,m=1;"));
        assert!(chunks[1].starts_with("\x1b_Gq=2,m=1;"));
        assert!(chunks[chunks.len() - 1].starts_with("\x1b_Gq=2,m=0;"));
        let data: String = chunks.iter().map(|c| c.split_once(';').expect("payload").1).collect();
        assert!(chunks.iter().all(|c| c.split_once(';').expect("payload").1.len() <= CHUNK));
        let file = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        let back = image::load_from_memory(&file).expect("png").to_rgba8();
        assert_eq!(back.into_raw(), picture.rgba.to_vec());
    }
}
