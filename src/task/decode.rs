//! Decoders of foreign bytes, which may panic where the bytes are corrupt: what they panic about comes back as an
//! error, and is not printed too.
//!
//! The hook that prints panics is one for the whole process and knows only the thread that panicked; so decoders
//! work on threads of a name of their own.

use crate::error::{Error, Result};

/// The name of threads that decode.
const DECODER: &str = "decoder";
/// The name of threads that run SQL, which decode too.
pub(crate) const SQL: &str = "sql";

/// Runs what decodes foreign bytes. Bytes that are not what they should be give a sentence, also where they make
/// the decoder panic. Blocks: only on threads for such work.
pub(crate) fn caught<T: Send>(decode: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(DECODER.to_owned()).spawn_scoped(scope, decode)?;
        thread.join().unwrap_or_else(|_| Err(senseless()))
    })
}

/// What is said where a decoder panicked.
pub(crate) fn senseless() -> Error {
    Error::invalid("its bytes make no sense to the decoder: corrupt, or of a form that it does not know")
}

/// Whether this is a thread whose panics come back as errors.
pub(crate) fn is_caught() -> bool {
    matches!(std::thread::current().name(), Some(DECODER | SQL))
}

/// From now on panics that come back as errors are not printed. The hook that was there is called for all others.
pub fn hush_decoders() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !is_caught() {
            before(info);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_decoder_that_panics_gives_a_sentence() {
        let bytes = [1_u8, 2, 3];
        assert_eq!(caught(|| Ok(bytes.len())).expect("decoded"), 3);
        let err = caught(|| Ok(bytes[bytes.len()])).expect_err("out of bounds");
        assert!(err.kind() == Kind::Invalid && err.to_string().contains("no sense"), "{err}");
        assert!(caught(|| Ok(is_caught())).expect("asked") && !is_caught());
    }
}
