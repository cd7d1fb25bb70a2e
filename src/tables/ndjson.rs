//! Lines of JSON, and `GeoJSON`: features in lines or in one document.

use crate::probe::Probe;
use crate::table::Format;
use crate::table::json::{is_named, open_json};

/// Text named `.ndjson`, `.jsonl`, `.geojsonl`, `.geojson`, also with `.gz` or `.zip` behind it.
pub(super) const FORMAT: Format =
    Format { name: "ndjson", matches, open: |stores, open| Box::pin(open_json(stores, open)) };

fn matches(probe: &Probe) -> bool {
    let media = probe.media_type.as_deref().and_then(|m| m.split(';').next()).unwrap_or_default().trim();
    let told = matches!(media, "application/x-ndjson" | "application/jsonl" | "application/geo+json-seq");
    !probe.location.is_container() && (told || is_named(probe.location.name()))
}
