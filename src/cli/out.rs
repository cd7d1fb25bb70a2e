//! Writing to stdout and stderr: the only place that does.

use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::text;
use std::borrow::Cow;
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
    line(&harmless(&serde_json::to_string(value)?))
}

/// JSON leaves C1 and bidirectional controls as they are, which a terminal obeys: they are escaped too.
pub(super) fn harmless(json: &str) -> Cow<'_, str> {
    let is_hostile = |c: char| matches!(text::clean(c.encode_utf8(&mut [0; 4])), Cow::Owned(_));
    if !json.contains(is_hostile) {
        return Cow::Borrowed(json);
    }
    // Where JSON is well formed, such characters stand within strings alone.
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_hostile(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped.push_str("\\u");
                escaped.extend(
                    [12, 8, 4, 0].map(|shift| char::from_digit(u32::from(*unit) >> shift & 15, 16).unwrap_or('0')),
                );
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

fn stdout_error(err: std::io::Error) -> Error {
    if err.kind() == std::io::ErrorKind::BrokenPipe {
        return Error::cancelled().with_source(err);
    }
    Error::new(Kind::Failed, "writing to stdout").with_source(err)
}

/// Whether it says that nobody reads our output any more: `secchi ls … | head` is done, and has not failed.
pub(super) fn is_closed_pipe(err: &Error) -> bool {
    let io = std::error::Error::source(err).and_then(|source| source.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Puts what was being done in front, unless the error names the location itself.
pub(super) fn about<T>(result: Result<T>, doing: &str, location: &Location) -> Result<T> {
    let name = location.to_string();
    result.map_err(|err| {
        if err.to_string().contains(&*text::clean(&name)) { err } else { err.context(format!("{doing} {name}")) }
    })
}

/// Whether stderr is a terminal: then a progress bar is drawn.
pub(super) fn is_progress_shown() -> bool {
    std::io::stderr().is_terminal()
}

/// Columns of the terminal that stderr is, or 80.
pub(super) fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80)
}

/// Whether the locale has more than ASCII.
pub(super) fn is_unicode() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Whether somebody can be asked: what is asked is seen, and what is typed is read.
pub(super) fn can_ask() -> bool {
    std::io::stderr().is_terminal() && std::io::stdin().is_terminal()
}

/// The beginning of a line on stderr at whose end something is typed.
pub(super) fn prompt(text: &str) {
    let _ = write!(std::io::stderr().lock(), "{text}");
    let _ = std::io::stderr().flush();
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

/// One JSON object as a line on stderr.
pub(super) fn say_json(value: &serde_json::Value) {
    say(&harmless(&value.to_string()));
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
        say_json(&object);
        return;
    }
    if err.kind() == Kind::Cancelled {
        return;
    }
    say(&format!("secchi: {err}"));
    if let Some(hint) = err.hint() {
        say(&format!("        {}", text::clean(hint)));
    }
    if let Some(id) = err.request_id() {
        say(&format!("        request id {}", text::clean(id)));
    }
}
