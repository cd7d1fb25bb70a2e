//! Copying to the clipboard of the person at the terminal, over any number of hops.

use base64::Engine as _;

/// Longest text that is sent: terminals drop longer sequences (xterm stops near 100 kB).
pub const LIMIT: usize = 74_000;

/// The OSC 52 sequence that copies `text`; `None` where it is too long. Whether the terminal
/// obeys cannot be known: show the text as well.
pub fn copy(text: &str) -> Option<Vec<u8>> {
    if text.len() > LIMIT {
        return None;
    }
    let data = base64::engine::general_purpose::STANDARD.encode(text);
    Some(format!("\x1b]52;c;{data}\x1b\\").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_copied_as_base64_so_that_nothing_in_it_ends_the_sequence() {
        assert_eq!(copy("s3://b/\x1b\\").as_deref(), Some(&b"\x1b]52;c;czM6Ly9iLxtc\x1b\\"[..]));
        assert!(copy(&"x".repeat(LIMIT + 1)).is_none());
    }
}
