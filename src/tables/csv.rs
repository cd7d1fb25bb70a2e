//! Delimited text: CSV, TSV, plain, gzipped, or in a zip.

use crate::probe::Probe;
use crate::table::Format;
use crate::table::csv::{is_named, open_csv};

/// Text named `.csv` (`.tsv`, `.tab`, `.psv`), also with `.gz` or `.zip` behind it; an entry of a zip that is
/// named so; a zip whose first entry is.
pub(super) const FORMAT: Format =
    Format { name: "csv", matches, open: |stores, open| Box::pin(open_csv(stores, open)) };

/// Length of a zip's local file header without the name that follows it.
const LOCAL: usize = 30;

fn matches(probe: &Probe) -> bool {
    if probe.location.is_container() {
        return false;
    }
    let media = probe.media_type.as_deref().and_then(|m| m.split(';').next()).unwrap_or_default().trim();
    is_named(probe.location.name())
        || matches!(media, "text/csv" | "text/tab-separated-values")
        || first_entry(probe).is_some_and(|name| is_named(&name))
}

/// The name of the first entry of a zip of which the first bytes are known.
fn first_entry(probe: &Probe) -> Option<String> {
    let head = probe.head.as_ref().filter(|head| head.starts_with(b"PK\x03\x04"))?;
    let length = usize::from(u16::from_le_bytes([*head.get(26)?, *head.get(27)?]));
    Some(String::from_utf8_lossy(head.get(LOCAL..LOCAL + length)?).into_owned())
}
