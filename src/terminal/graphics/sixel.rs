//! DEC sixels.

use crate::picture::Picture;
use icy_sixel::{EncodeOptions, SixelImage};

/// Shows `picture` at the cursor, with at most `colours` colours; transparent pixels are left out.
pub(super) fn encode(picture: &Picture, colours: u16) -> Option<Vec<u8>> {
    let image =
        SixelImage::try_from_rgba(picture.rgba.to_vec(), picture.width as usize, picture.height as usize).ok()?;
    let options = EncodeOptions { max_colors: colours.clamp(2, 256), ..EncodeOptions::default() };
    Some(image.encode_with(&options).ok()?.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_can_be_read_back() {
        let rgba: Vec<u8> = (0..24 * 12).flat_map(|i| [if i % 24 < 12 { 255 } else { 0 }, 0, 128, 255]).collect();
        let picture = Picture { width: 24, height: 12, rgba: rgba.into() };
        for colours in [16, 256] {
            let bytes = encode(&picture, colours).expect("encodes");
            assert!(bytes.starts_with(b"\x1bP") && bytes.ends_with(b"\x1b\\"));
            let back = SixelImage::decode(&bytes).expect("decodes");
            assert_eq!((back.width, back.height), (24, 12));
            assert!(back.pixels[0] > 250 && back.pixels[20 * 4] < 5, "left is red, right is not");
        }
    }
}
