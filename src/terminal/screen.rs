//! Frames: drawn into a buffer, made fit for the terminal, written at once or not at all.

use super::caps::Caps;
use super::encode::encode;
use super::graphics::Gallery;
use super::{colour, glyphs};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Rect, Size};
use ratatui::{Frame, Terminal};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Shows frames. Owns the output.
pub struct Screen {
    terminal: Terminal<FrameBackend>,
    frame: Pipe,
    out: Box<dyn Write + Send>,
    caps: watch::Receiver<Caps>,
    gallery: Gallery,
    area: Rect,
    bytes: u64,
}

impl Screen {
    /// Frames written to `out`, of a fixed size or of the terminal's. Encoded pictures wake `waker`.
    pub fn new(
        out: Box<dyn Write + Send>,
        size: Option<Size>,
        caps: watch::Receiver<Caps>,
        waker: crate::task::Waker,
    ) -> io::Result<Self> {
        let frame = Pipe::default();
        let terminal = Terminal::new(FrameBackend::new(frame.clone(), size))?;
        let gallery = Gallery::new(waker);
        Ok(Self { terminal, frame, out, caps, gallery, area: Rect::ZERO, bytes: 0 })
    }

    /// Where pictures are registered while a frame is drawn.
    pub fn gallery(&self) -> Gallery {
        self.gallery.clone()
    }

    /// Draws a frame. Returns whether anything was written: an unchanged frame costs no byte.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame)) -> io::Result<bool> {
        let caps = self.caps.borrow_and_update().clone();
        self.gallery.adapt(&caps);
        let (gallery, area) = (&self.gallery, &mut self.area);
        self.terminal.draw(|frame| {
            if *area != frame.area() {
                // The terminal was cleared, its pictures with it.
                *area = frame.area();
                gallery.invalidate();
            }
            draw(frame);
            let buffer = frame.buffer_mut();
            gallery.finish(buffer);
            if !caps.unicode {
                glyphs::to_ascii(buffer);
            }
            colour::adapt(buffer, caps.colours);
        })?;
        let mut bytes = self.frame.take();
        self.gallery.flush(&mut bytes);
        if bytes.is_empty() {
            return Ok(false);
        }
        if caps.sync_output {
            bytes.splice(0..0, *b"\x1b[?2026h");
            bytes.extend_from_slice(b"\x1b[?2026l");
        }
        self.out.write_all(&bytes)?;
        self.out.flush()?;
        self.bytes += bytes.len() as u64;
        Ok(true)
    }

    /// Draws everything anew with the next frame: after Ctrl-Z, or when the user says that the
    /// screen is garbled.
    pub fn invalidate(&mut self) -> io::Result<()> {
        self.gallery.invalidate();
        self.terminal.clear()
    }

    /// Bytes written so far.
    pub fn bytes_written(&self) -> u64 {
        self.bytes
    }

    /// Whether the terminal takes bytes now. Where it does not (a slow line), skip the frame and
    /// draw the newest one later.
    pub fn is_ready(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stdout = io::stdout();
        let mut fds = [PollFd::new(&stdout, PollFlags::OUT)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
    }

    /// Writes a sequence outside of frames, such as a copy to the clipboard.
    pub fn send(&mut self, sequence: &[u8]) -> io::Result<()> {
        self.bytes += sequence.len() as u64;
        self.out.write_all(sequence)?;
        self.out.flush()
    }

    /// The size in cells.
    pub fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }
}

/// Bytes of the frame that is being drawn. Clones share.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Pipe {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// ratatui's crossterm backend with fewer bytes: that names whole styles for each change, resets colours,
/// hides and moves the cursor in every frame, and asks the terminal where the cursor is when it clears.
pub struct FrameBackend {
    inner: CrosstermBackend<Pipe>,
    fixed: Option<Size>,
    /// `None`: nobody knows.
    cursor_shown: Option<bool>,
    cursor: Option<Position>,
}

impl FrameBackend {
    fn new(frame: Pipe, fixed: Option<Size>) -> Self {
        Self { inner: CrosstermBackend::new(frame), fixed, cursor_shown: Some(false), cursor: None }
    }
}

impl Backend for FrameBackend {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let cells: Vec<_> = content.collect();
        if cells.is_empty() {
            return Ok(());
        }
        self.cursor = None;
        let columns = self.size()?.width;
        self.inner.write_all(&encode(&cells, columns))
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if self.cursor_shown == Some(false) {
            return Ok(());
        }
        self.cursor_shown = Some(false);
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        if self.cursor_shown == Some(true) {
            return Ok(());
        }
        self.cursor_shown = Some(true);
        self.inner.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        // Never asks the terminal: the answer would arrive among the keys.
        Ok(self.cursor.unwrap_or_default())
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let position = position.into();
        if self.cursor == Some(position) {
            return Ok(());
        }
        self.cursor = Some(position);
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.cursor = None;
        self.inner.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.cursor = None;
        self.inner.clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        self.fixed.map_or_else(|| self.inner.size(), Ok)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::caps::Colours;
    use super::*;
    use ratatui::style::{Color, Style};

    fn screen(caps: Caps) -> (Screen, Pipe, watch::Sender<Caps>) {
        let out = Pipe::default();
        let (tx, rx) = watch::channel(caps);
        let size = Some(Size::new(20, 4));
        (Screen::new(Box::new(out.clone()), size, rx, crate::task::Waker::new()).expect("opens"), out, tx)
    }

    fn text(out: &Pipe) -> String {
        String::from_utf8(out.take()).expect("text")
    }

    #[test]
    fn an_unchanged_frame_writes_nothing() {
        let (mut screen, out, _caps) = screen(Caps { unicode: true, ..Caps::default() });
        let draw = |frame: &mut Frame| frame.render_widget("lake", frame.area());
        assert!(screen.draw(draw).expect("drawn"));
        assert!(text(&out).contains("lake"));
        let before = screen.bytes_written();
        assert!(!screen.draw(draw).expect("drawn"));
        assert_eq!((text(&out).as_str(), screen.bytes_written()), ("", before));
    }

    #[test]
    fn a_cursor_that_stays_writes_nothing() {
        let (mut screen, out, _caps) = screen(Caps::default());
        let draw = |frame: &mut Frame| {
            frame.render_widget("lake", frame.area());
            frame.set_cursor_position((2, 0));
        };
        screen.draw(draw).expect("drawn");
        assert!(text(&out).contains("\x1b[?25h"));
        assert!(!screen.draw(draw).expect("drawn"));
        screen.draw(|frame| frame.render_widget("lake", frame.area())).expect("drawn");
        assert_eq!(text(&out), "\x1b[?25l");
    }

    #[test]
    fn frames_are_bracketed_only_where_the_terminal_said_so() {
        let (mut screen, out, caps) = screen(Caps { sync_output: true, unicode: true, ..Caps::default() });
        screen.draw(|frame| frame.render_widget("a", frame.area())).expect("drawn");
        let first = text(&out);
        assert!(first.starts_with("\x1b[?2026h") && first.ends_with("\x1b[?2026l"));
        caps.send_replace(Caps::default());
        screen.draw(|frame| frame.render_widget("b", frame.area())).expect("drawn");
        assert!(!text(&out).contains("2026"));
    }

    #[test]
    fn colours_and_glyphs_are_those_that_the_terminal_has() {
        let (mut screen, out, caps) = screen(Caps { colours: Colours::Indexed256, ..Caps::default() });
        let style = Style::new().fg(Color::Rgb(255, 0, 0));
        let draw = |frame: &mut Frame| frame.render_widget(ratatui::text::Span::styled("┌─", style), frame.area());
        screen.draw(draw).expect("drawn");
        let ascii = text(&out);
        assert!(ascii.contains("38;5;196") && ascii.contains("+-") && ascii.is_ascii(), "{ascii:?}");
        caps.send_replace(Caps { colours: Colours::TrueColour, unicode: true, ..Caps::default() });
        screen.draw(draw).expect("drawn");
        let full = text(&out);
        assert!(full.contains("38;2;255;0;0") && full.contains("┌─"), "{full:?}");
    }

    #[test]
    fn everything_is_drawn_anew_after_invalidate() {
        let (mut screen, out, _caps) = screen(Caps::default());
        let draw = |frame: &mut Frame| frame.render_widget("lake", frame.area());
        screen.draw(draw).expect("drawn");
        out.take();
        screen.invalidate().expect("cleared");
        assert!(screen.draw(draw).expect("drawn"));
        assert!(text(&out).contains("lake"));
    }
}
