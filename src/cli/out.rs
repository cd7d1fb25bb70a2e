//! Writing to stdout and stderr: the only place that does.

use crate::error::{Error, Kind, Result};
use std::io::{IsTerminal as _, Write as _};

/// A line on stdout. A closed pipe (`| head`) ends the program's work quietly.
pub(super) fn line(text: &str) -> Result<()> {
    bytes(text.as_bytes())?;
    bytes(b"\n")
}

/// Bytes on stdout.
pub(super) fn bytes(data: &[u8]) -> Result<()> {
    std::io::stdout().lock().write_all(data).map_err(stdout_error)
}

/// One JSON object as a line on stdout.
pub(super) fn json(value: &impl serde::Serialize) -> Result<()> {
    line(&serde_json::to_string(value)?)
}

fn stdout_error(err: std::io::Error) -> Error {
    if err.kind() == std::io::ErrorKind::BrokenPipe {
        return Error::cancelled();
    }
    Error::new(Kind::Failed, "writing to stdout").with_source(err)
}

/// Whether stderr is a terminal: then a progress bar is drawn.
pub(super) fn is_progress_shown() -> bool {
    std::io::stderr().is_terminal()
}

/// Replaces the progress line on stderr.
pub(super) fn progress(text: &str) {
    // A progress line that cannot be written is not worth failing for.
    let _ = write!(std::io::stderr().lock(), "\r\x1b[K{text}");
    let _ = std::io::stderr().flush();
}

/// A line on stderr.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// An error on stderr: what failed, why, and what to do.
pub(super) fn error(err: &Error, json: bool) {
    if json {
        let object = serde_json::json!({
            "error": err.to_string(),
            "kind": format!("{:?}", err.kind()).to_lowercase(),
            "hint": err.hint(),
            "request_id": err.request_id(),
        });
        say(&object.to_string());
        return;
    }
    if err.kind() == Kind::Cancelled {
        return;
    }
    say(&format!("secchi: {err}"));
    if let Some(hint) = err.hint() {
        say(&format!("        {hint}"));
    }
    if let Some(id) = err.request_id() {
        say(&format!("        request id {}", crate::text::clean(id)));
    }
}
