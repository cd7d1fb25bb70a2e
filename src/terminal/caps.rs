//! What a terminal can do, decided from the environment and from what it answered.

use super::clipboard::Clipboard;
use super::replies::{Ask, Replies};
use crate::error::{Error, Result};
use std::collections::HashMap;

/// The environment as far as terminals are concerned: given, so that tests can give another.
#[derive(Clone, Debug, Default)]
pub struct Env {
    vars: HashMap<String, String>,
}

/// The variables that are looked at. Nothing else of the environment is kept.
const VARIABLES: [&str; 13] = [
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "LC_ALL",
    "LC_CTYPE",
    "LANG",
    "TMUX",
    "STY",
    "SSH_TTY",
    "SSH_CONNECTION",
    "TERM_PROGRAM",
    "LC_TERMINAL",
    "KITTY_WINDOW_ID",
];

impl Env {
    /// This program's.
    pub fn from_process() -> Self {
        VARIABLES.iter().filter_map(|name| Some((*name, std::env::var(name).ok()?))).collect()
    }

    fn get(&self, name: &str) -> &str {
        self.vars.get(name).map_or("", String::as_str)
    }

    fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// Whether the terminal is at the other end of a network.
    pub fn is_remote(&self) -> bool {
        self.has("SSH_TTY") || self.has("SSH_CONNECTION")
    }

    fn is_tmux(&self) -> bool {
        self.has("TMUX") || self.get("TERM").starts_with("tmux")
    }

    /// GNU screen, which takes sequences that it does not know for text and mangles 24-bit colour.
    fn is_screen(&self) -> bool {
        !self.is_tmux() && (self.get("TERM").starts_with("screen") || self.has("STY"))
    }

    fn is_console(&self) -> bool {
        self.get("TERM") == "linux"
    }

    /// Fails with a sentence where a full-screen program cannot be shown.
    pub(super) fn check(&self) -> Result<()> {
        let why = match self.get("TERM") {
            "" => "the terminal does not say what it is (TERM is not set)",
            "dumb" | "unknown" => "this terminal cannot show a full-screen program (TERM=dumb)",
            _ => return Ok(()),
        };
        Err(Error::unsupported(why).with_hint(HEADLESS))
    }

    pub(super) fn ask(&self) -> Ask {
        if self.is_screen() || self.is_console() {
            Ask::Plain
        } else if self.get("TERM").contains("kitty") || self.has("KITTY_WINDOW_ID") {
            Ask::NoSixels
        } else {
            Ask::All
        }
    }
}

/// What to do instead where the screen cannot be shown.
pub(super) const HEADLESS: &str = "use the commands instead, such as `secchi ls LOCATION`: they need no screen";

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self { vars: pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect() }
    }
}

/// How pictures are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Graphics {
    /// Kitty's protocol.
    Kitty,
    /// DEC sixels.
    Sixel,
    /// iTerm2's inline images.
    Iterm2,
    /// Halves of character cells (or letters, where there is no Unicode or no colour).
    #[default]
    HalfBlocks,
    /// Sixths of character cells: sharper, where the font has them.
    Sextants,
    /// Eight dots to a character cell: finer still, but paler.
    Braille,
    /// Not at all.
    None,
}

impl Graphics {
    /// Whether pictures are made of characters.
    pub fn is_characters(self) -> bool {
        matches!(self, Self::HalfBlocks | Self::Sextants | Self::Braille)
    }

    /// From the words of `--graphics`; `Ok(None)` for `auto`.
    pub fn parse(word: &str) -> Result<Option<Self>> {
        Ok(Some(match word.trim().to_ascii_lowercase().as_str() {
            "auto" | "" => return Ok(None),
            "kitty" => Self::Kitty,
            "sixel" => Self::Sixel,
            "iterm2" | "iterm" => Self::Iterm2,
            "halfblocks" => Self::HalfBlocks,
            "sextants" => Self::Sextants,
            "braille" => Self::Braille,
            "none" => Self::None,
            _ => {
                return Err(Error::usage(format!("no graphics mode is called \"{word}\""))
                    .with_hint("it is one of auto, kitty, sixel, iterm2, halfblocks, sextants, braille, none"));
            }
        }))
    }
}

/// How many colours there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Colours {
    /// None, by the user's wish (`NO_COLOR`).
    None,
    /// The sixteen that the user's terminal has a palette for.
    Ansi16,
    /// xterm's cube and greys.
    #[default]
    Indexed256,
    /// 24 bits.
    TrueColour,
}

/// What the terminal can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// How pictures are shown.
    pub graphics: Graphics,
    /// How many colours there are.
    pub colours: Colours,
    /// Whether anything beyond ASCII may be drawn.
    pub unicode: bool,
    /// Width and height of a character cell in pixels, where the terminal tells.
    pub cell_pixels: Option<(u16, u16)>,
    /// Whether frames may be bracketed by synchronized output (mode 2026).
    pub sync_output: bool,
    /// Whether tmux stands between.
    pub tmux: bool,
    /// What the terminal calls itself.
    pub name: Option<String>,
    /// How text comes to the clipboard.
    pub clipboard: Clipboard,
    /// Colours that a sixel picture may have.
    pub sixel_colours: u16,
}

impl Caps {
    /// What follows from the environment alone.
    pub fn from_env(env: &Env, graphics: Option<Graphics>) -> Self {
        Self::decide(env, &Replies::default(), graphics)
    }

    /// What follows from the environment and the answers; `graphics` is the user's wish.
    pub(super) fn decide(env: &Env, replies: &Replies, graphics: Option<Graphics>) -> Self {
        Self {
            graphics: graphics.unwrap_or_else(|| find_graphics(env, replies)),
            colours: find_colours(env, replies),
            unicode: find_unicode(env, replies),
            cell_pixels: replies.cell_pixels,
            sync_output: replies.sync_output == Some(true),
            tmux: env.is_tmux(),
            name: replies.name.clone(),
            clipboard: Clipboard::find(
                &[replies.name.as_deref().unwrap_or_default(), env.get("TERM"), env.get("TERM_PROGRAM")],
                env.is_tmux(),
                env.is_screen(),
            ),
            sixel_colours: replies.sixel_colours.unwrap_or(256).clamp(2, 256),
        }
    }

    /// Width and height of a cell in pixels; 8 x 16 where nobody knows.
    pub fn cell(&self) -> (u16, u16) {
        self.cell_pixels.unwrap_or((8, 16))
    }
}

fn find_graphics(env: &Env, replies: &Replies) -> Graphics {
    // tmux would need its passthrough option, which is the user's; screen passes nothing.
    if env.is_tmux() || env.is_screen() {
        return Graphics::HalfBlocks;
    }
    let name = replies.name.as_deref().unwrap_or_default();
    if replies.kitty == Some(true) {
        Graphics::Kitty
    } else if name.starts_with("iTerm2") || env.get("TERM_PROGRAM") == "iTerm.app" || env.get("LC_TERMINAL") == "iTerm2"
    {
        Graphics::Iterm2
    } else if replies.sixel == Some(true) {
        Graphics::Sixel
    } else {
        Graphics::HalfBlocks
    }
}

fn find_colours(env: &Env, replies: &Replies) -> Colours {
    let term = env.get("TERM");
    if env.has("NO_COLOR") {
        return Colours::None;
    }
    if env.is_screen() {
        return Colours::Indexed256;
    }
    let announced = matches!(env.get("COLORTERM"), "truecolor" | "24bit");
    let known = ["kitty", "ghostty", "alacritty", "wezterm", "foot", "contour"].iter().any(|t| term.contains(t));
    if announced || known || term.ends_with("-direct") || replies.true_colour == Some(true) {
        Colours::TrueColour
    } else if term.contains("256")
        || term.starts_with("tmux")
        || replies.true_colour == Some(false) && !env.is_console()
    {
        Colours::Indexed256
    } else {
        Colours::Ansi16
    }
}

/// The first of `LC_ALL`, `LC_CTYPE`, `LANG` that is set decides. Where none is (a bare container,
/// a service), how far the cursor moved over a two-byte letter does.
fn find_unicode(env: &Env, replies: &Replies) -> bool {
    match ["LC_ALL", "LC_CTYPE", "LANG"].iter().map(|v| env.get(v)).find(|v| !v.is_empty()) {
        Some(locale) => {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        }
        None => replies.column == Some(2),
    }
}

#[cfg(test)]
mod tests {
    use super::super::replies::parse;
    use super::*;

    fn caps(env: &[(&str, &str)], reply: &str) -> Caps {
        Caps::decide(&env.iter().copied().collect(), &parse(reply.as_bytes()).replies, None)
    }

    const XTERM: [(&str, &str); 2] = [("TERM", "xterm-256color"), ("LANG", "en_GB.UTF-8")];

    /// The table of answers, as recorded from each terminal.
    #[test]
    fn each_terminal_is_known_by_its_answers() {
        let vt340 = caps(
            &XTERM,
            "\x1b[1;2R\x1bP>|XTerm(379)\x1b\\\x1bP1$r0;48:2::1:2:3m\x1b\\\x1b[?1;0;256S\x1b[?2026;0$y\x1b[?63;1;2;4;6;9;15;16;22;28c\x1b[0n",
        );
        assert_eq!((vt340.graphics, vt340.colours, vt340.sync_output), (Graphics::Sixel, Colours::TrueColour, false));
        assert_eq!(vt340.name.as_deref(), Some("XTerm(379)"));

        let xterm =
            caps(&XTERM, "\x1b[1;2R\x1bP>|XTerm(379)\x1b\\\x1b[?2026;0$y\x1b[?64;1;2;6;9;15;16;17;18;21;22;28c\x1b[0n");
        assert_eq!(
            (xterm.graphics, xterm.colours, xterm.cell_pixels),
            (Graphics::HalfBlocks, Colours::Indexed256, None)
        );

        let kitty = caps(
            &[("TERM", "xterm-kitty"), ("LANG", "C.UTF-8")],
            "\x1b[1;2R\x1bP>|kitty(0.26.5)\x1b\\\x1b_Gi=31;OK\x1b\\\x1b[6;17;8t\x1b[?2026;2$y\x1b[?62;c\x1b[0n",
        );
        assert_eq!(
            (kitty.graphics, kitty.colours, kitty.cell_pixels),
            (Graphics::Kitty, Colours::TrueColour, Some((8, 17)))
        );
        assert!(kitty.sync_output && kitty.unicode);

        let mlterm = caps(
            &[("TERM", "mlterm"), ("LANG", "C.UTF-8")],
            "\x1b[1;2R\x1b[6;16;8t\x1b[?2026;0$y\x1b[?63;1;2;3;4;7;29c\x1b[0n",
        );
        assert_eq!((mlterm.graphics, mlterm.cell_pixels), (Graphics::Sixel, Some((8, 16))));

        let tmux = caps(
            &[("TERM", "tmux-256color"), ("TMUX", "/tmp/t,1,0"), ("LANG", "C.UTF-8")],
            "\x1bP>|tmux 3.3a\x1b\\\x1b[?1;2;4c\x1b[0n",
        );
        assert_eq!((tmux.graphics, tmux.colours, tmux.tmux), (Graphics::HalfBlocks, Colours::Indexed256, true));

        let screen =
            caps(&[("TERM", "screen.xterm-256color"), ("COLORTERM", "truecolor")], "\x1b[1;2R\x1b[?1;2c\x1b[0n");
        assert_eq!((screen.graphics, screen.colours), (Graphics::HalfBlocks, Colours::Indexed256));

        let mosh = caps(&XTERM, "\x1b[?62c\x1b[0n");
        assert_eq!((mosh.graphics, mosh.colours, mosh.sync_output), (Graphics::HalfBlocks, Colours::Indexed256, false));
    }

    #[test]
    fn a_terminal_that_never_answers_gets_what_its_name_promises() {
        let silent = caps(&XTERM, "");
        assert_eq!(
            (silent.graphics, silent.colours, silent.unicode),
            (Graphics::HalfBlocks, Colours::Indexed256, true)
        );
        assert_eq!(caps(&[("TERM", "linux")], "").colours, Colours::Ansi16);
        assert_eq!(silent.cell(), (8, 16));
    }

    #[test]
    fn colour_is_what_the_environment_allows() {
        let truecolour = "\x1bP1$r0;48:2:1:2:3m\x1b\\";
        assert_eq!(caps(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")], truecolour).colours, Colours::None);
        assert_eq!(caps(&[("TERM", "xterm-256color")], truecolour).colours, Colours::TrueColour);
        assert_eq!(caps(&[("TERM", "screen-256color")], truecolour).colours, Colours::Indexed256);
        assert_eq!(caps(&[("TERM", "xterm"), ("COLORTERM", "truecolor")], "").colours, Colours::TrueColour);
        assert_eq!(caps(&[("TERM", "xterm")], "").colours, Colours::Ansi16);
    }

    #[test]
    fn ascii_without_utf8_in_the_locale() {
        assert!(!caps(&[("TERM", "xterm"), ("LANG", "C")], "\x1b[1;2R").unicode);
        assert!(!caps(&[("TERM", "xterm"), ("LANG", "C.UTF-8"), ("LC_ALL", "POSIX")], "").unicode);
        assert!(caps(&[("TERM", "xterm"), ("LANG", "de_DE.utf8")], "").unicode);
        assert!(caps(&[("TERM", "xterm")], "\x1b[1;2R").unicode, "no locale, but the letter was one column wide");
        assert!(!caps(&[("TERM", "xterm")], "\x1b[1;3R").unicode);
    }

    #[test]
    fn dumb_terminals_are_refused_in_a_sentence() {
        let env: Env = [("TERM", "dumb")].into_iter().collect();
        let err = env.check().expect_err("refused");
        assert_eq!(err.to_string(), "this terminal cannot show a full-screen program (TERM=dumb)");
        assert!(err.hint().is_some_and(|h| h.contains("secchi ls")));
        assert!(Env::default().check().is_err());
    }

    #[test]
    fn kitty_is_not_asked_what_it_logs_as_an_error() {
        let ask = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Env>().ask();
        assert_eq!(ask(&[("TERM", "xterm-kitty")]), Ask::NoSixels);
        assert_eq!(ask(&[("TERM", "xterm-256color"), ("KITTY_WINDOW_ID", "1")]), Ask::NoSixels);
        assert_eq!(ask(&XTERM), Ask::All);
        assert_eq!(ask(&[("TERM", "screen-256color"), ("KITTY_WINDOW_ID", "1")]), Ask::Plain);
        let has = |ask| super::super::replies::queries(ask).windows(4).any(|w| w == b"1;0S");
        assert!(has(Ask::All) && !has(Ask::NoSixels) && !has(Ask::Plain));
    }

    #[test]
    fn the_wish_of_the_user_wins() {
        assert_eq!(Graphics::parse("auto").expect("known"), None);
        assert!(Graphics::parse("ascii-art").is_err());
        let wish = Graphics::parse("none").expect("known");
        assert_eq!(Caps::from_env(&Env::default(), wish).graphics, Graphics::None);
    }
}
