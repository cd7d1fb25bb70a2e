//! The last resort: bytes as they are.

use crate::preview::{Ask, Hex, Preview, Previewer};

/// Anything whose first bytes were read.
pub(super) const PREVIEWER: Previewer = Previewer {
    name: "hex",
    matches: |probe| probe.head.is_some(),
    load: |_, ask: Ask| {
        Box::pin(async move {
            Ok(Preview::Hex(Hex { offset: 0, bytes: ask.probe.head.unwrap_or_default(), size: ask.probe.size }))
        })
    },
};
