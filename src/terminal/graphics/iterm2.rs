//! iTerm2's inline images (<https://iterm2.com/documentation-images.html>), also of `WezTerm`.

use super::kitty::png;
use crate::picture::Picture;
use base64::Engine as _;

/// Shows `picture` at the cursor in its own size.
pub(super) fn encode(picture: &Picture) -> Option<Vec<u8>> {
    let file = png(picture)?;
    let (size, width, height) = (file.len(), picture.width, picture.height);
    let head = format!("\x1b]1337;File=inline=1;size={size};width={width}px;height={height}px;doNotMoveCursor=1:");
    let mut out = head.into_bytes();
    out.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(file).as_bytes());
    out.push(0x07);
    Some(out)
}
