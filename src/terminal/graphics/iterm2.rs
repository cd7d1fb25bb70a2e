//! iTerm2's inline images (<https://iterm2.com/documentation-images.html>), also of `WezTerm`.

use super::kitty::png;
use crate::picture::Picture;
use base64::Engine as _;

/// Shows `picture` at the cursor, as large as its shape allows within so many columns and rows: a size in pixels would
/// be another one on screens of high resolution, where iTerm2 counts points. The cursor stays where it is:
/// `WezTerm`, which knows this too, would otherwise scroll below a picture in the last line.
pub(super) fn encode(picture: &Picture, (columns, rows): (u16, u16)) -> Option<Vec<u8>> {
    let file = png(picture)?;
    let head = format!(
        "\x1b]1337;File=inline=1;size={};width={columns};height={rows};preserveAspectRatio=1;doNotMoveCursor=1:",
        file.len()
    );
    let mut out = head.into_bytes();
    out.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(file).as_bytes());
    out.push(0x07);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A sequence as the specification has it: `ESC ] 1337 ; File = [arguments] : base64 BEL`, arguments being
    /// `key=value` with `;` between them.
    fn decode(bytes: &[u8]) -> (BTreeMap<String, String>, Vec<u8>) {
        let text = std::str::from_utf8(bytes).expect("ASCII");
        let body = text.strip_prefix("\x1b]1337;File=").and_then(|rest| rest.strip_suffix('\x07')).expect("a sequence");
        assert!(!body.contains(char::is_control), "nothing ends it early");
        let (arguments, data) = body.split_once(':').expect("data");
        let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let arguments: Option<BTreeMap<_, _>> = arguments.split(';').map(pair).collect();
        let data = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        (arguments.expect("keys with values"), data)
    }

    #[test]
    fn bytes_are_as_the_specification_has_them() {
        let rgba: Vec<u8> = (0..40_u32 * 30 * 4).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let picture = Picture { width: 40, height: 30, rgba: rgba.into() };
        let (arguments, file) = decode(&encode(&picture, (5, 2)).expect("encodes"));
        let wanted = [
            ("doNotMoveCursor", "1"),
            ("height", "2"),
            ("inline", "1"),
            ("preserveAspectRatio", "1"),
            ("size", &file.len().to_string()),
            ("width", "5"),
        ];
        // Numbers without a unit are cells.
        assert_eq!(arguments, wanted.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        let back = image::load_from_memory_with_format(&file, image::ImageFormat::Png).expect("a PNG").to_rgba8();
        assert_eq!((back.dimensions(), back.into_raw()), ((40, 30), picture.rgba.to_vec()));
    }
}
