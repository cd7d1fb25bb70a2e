//! Copying to the clipboard of the person at the terminal, over any number of hops: OSC 52.
//! <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html#h3-Operating-System-Commands>

use base64::Engine as _;

/// Longest text that is sent: terminals drop longer sequences (xterm stops near 100 kB).
pub const LIMIT: usize = 74_000;

/// How much of a string GNU screen passes on at once (its `MAXSTR` is 768).
const SCREEN_CHUNK: usize = 700;

/// What stands between the program and the clipboard. Whether it obeys cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clipboard {
    /// A terminal that obeys in its default settings.
    Works,
    /// Nobody knows: xterm and VTE refuse unless they are told otherwise, iTerm2 asks.
    #[default]
    Perhaps,
    /// tmux, which obeys with `set-clipboard on` and passes on with `allow-passthrough on`.
    Tmux,
    /// GNU screen, which passes on what is wrapped.
    Screen,
}

/// Terminals that obey OSC 52 in their default settings, as XTVERSION or TERM name them.
const OBEY: [&str; 7] = ["kitty", "foot", "wezterm", "ghostty", "alacritty", "contour", "rio"];

impl Clipboard {
    /// What follows from what the terminal is called: by itself (XTVERSION) and by the environment.
    pub(super) fn find(names: &[&str], is_tmux: bool, is_screen: bool) -> Self {
        if is_tmux {
            return Self::Tmux;
        }
        if is_screen {
            return Self::Screen;
        }
        let obeys = |name: &&str| {
            let name = name.to_ascii_lowercase();
            OBEY.iter().any(|known| name.trim_start_matches("xterm-").starts_with(known))
        };
        if names.iter().any(obeys) { Self::Works } else { Self::Perhaps }
    }

    /// Whether the text need not be shown as well.
    pub fn is_sure(self) -> bool {
        self == Self::Works
    }

    /// The bytes that copy `text`; `None` where it is too long. Whether the terminal obeys cannot be
    /// known: see [`Clipboard::is_sure`].
    pub fn copy(self, text: &str) -> Option<Vec<u8>> {
        if text.len() > LIMIT {
            return None;
        }
        let data = base64::engine::general_purpose::STANDARD.encode(text);
        let plain = format!("\x1b]52;c;{data}\x1b\\");
        Some(match self {
            Self::Works | Self::Perhaps => plain.into_bytes(),
            // Both ways: which of its two options is on is the user's; with none it ignores both.
            Self::Tmux => format!("{plain}\x1bPtmux;{}\x1b\\", plain.replace('\x1b', "\x1b\x1b")).into_bytes(),
            Self::Screen => {
                // Ended by BEL: an ST would end the wrapping.
                let whole = format!("\x1b]52;c;{data}\x07");
                whole.as_bytes().chunks(SCREEN_CHUNK).flat_map(|part| [b"\x1bP", part, b"\x1b\\"].concat()).collect()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_copied_as_base64_so_that_nothing_in_it_ends_the_sequence() {
        let plain = &b"\x1b]52;c;czM6Ly9iLxtc\x1b\\"[..];
        assert_eq!(Clipboard::Perhaps.copy("s3://b/\x1b\\").as_deref(), Some(plain));
        let tmux = Clipboard::Tmux.copy("s3://b/\x1b\\").expect("short");
        assert_eq!(tmux, [plain, b"\x1bPtmux;\x1b\x1b]52;c;czM6Ly9iLxtc\x1b\x1b\\\x1b\\"].concat());
        assert!(Clipboard::Works.copy(&"x".repeat(LIMIT + 1)).is_none());
        assert!(Clipboard::Works.copy(&"x".repeat(LIMIT)).is_some_and(|bytes| bytes.len() < 100_000));
    }

    #[test]
    fn screen_gets_it_in_pieces() {
        let bytes = Clipboard::Screen.copy(&"x".repeat(1500)).expect("short");
        let text = String::from_utf8(bytes).expect("ascii");
        let pieces: Vec<&str> = text.split("\x1bP").skip(1).map(|p| p.strip_suffix("\x1b\\").expect("ended")).collect();
        assert!(pieces.len() == 3 && pieces.iter().all(|p| p.len() <= SCREEN_CHUNK), "{}", pieces.len());
        assert_eq!(pieces.concat(), format!("\x1b]52;c;{}\x07", "eHh4".repeat(500)));
    }

    #[test]
    fn who_obeys_is_known_by_name() {
        let find = |names: &[&str]| Clipboard::find(names, false, false);
        assert_eq!(find(&["kitty(0.26.5)", "xterm-kitty"]), Clipboard::Works);
        assert_eq!(find(&["", "foot"]), Clipboard::Works);
        assert_eq!(find(&["", "xterm-256color", "WezTerm"]), Clipboard::Works);
        assert_eq!(find(&["XTerm(379)", "xterm-256color"]), Clipboard::Perhaps);
        assert_eq!(find(&[]), Clipboard::Perhaps);
        assert_eq!(Clipboard::find(&["xterm-kitty"], true, false), Clipboard::Tmux);
        assert_eq!(Clipboard::find(&[], false, true), Clipboard::Screen);
    }
}
