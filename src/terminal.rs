//! The terminal: what it can do, entering and leaving it, what it sends, pictures on it.
//!
//! ```text
//! Session::enter   refuses what cannot be used, asks the terminal (30 ms), restores on every way out
//! session.screen   Screen::draw: one frame, one write; nothing changed, nothing written
//! session.events   keys, from the first one typed; answers that come late are taken out
//! session.signals  TERM, INT, HUP, QUIT as values; session.suspend for Ctrl-Z
//! Gallery          pictures by the terminal's own protocol, half-blocks until they are encoded
//! ```
//! Why it is done by hand: a reader thread that waits for answers eats what is typed, and crossterm
//! neither leaves the alternate screen on a signal nor lowers colours to what the terminal has.

mod caps;
pub mod clipboard;
pub mod colour;
mod encode;
pub mod glyphs;
pub mod graphics;
mod input;
mod probe;
mod replies;
mod screen;
mod session;

pub use caps::{Caps, Colours, Env, Graphics};
pub use graphics::Gallery;
pub use input::{Events, ReplyFilter};
pub use screen::{FrameBackend, Screen};
pub use session::{Options, Session, Signal, Signals};
