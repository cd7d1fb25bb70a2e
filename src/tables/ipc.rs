//! Arrow IPC: files (Feather 2) and streams.

use crate::probe::Probe;
use crate::table::Format;
use crate::table::ipc::open_ipc;

/// Files named `.arrow`, `.arrows`, `.feather`, `.ipc`, or that start with `ARROW1`.
pub(super) const FORMAT: Format =
    Format { name: "ipc", matches, open: |stores, open| Box::pin(open_ipc(stores, open)) };

fn matches(probe: &Probe) -> bool {
    let media = probe.media_type.as_deref().unwrap_or_default();
    !probe.location.is_container()
        && (probe.has_extension(&["arrow", "arrows", "feather", "ipc"])
            || media.contains("vnd.apache.arrow")
            || probe.starts_with(b"ARROW1"))
}
