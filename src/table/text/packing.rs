//! How a text is packed: not at all, gzip (also several members in a row), or an entry of a zip archive.

use super::object::{Gate, Object, Pace, Stream, explain};
use super::zipped::Entry;
use crate::error::Result;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::sync::Arc;

/// How a text is packed.
#[derive(Clone)]
pub(super) enum Packing {
    /// As it is: any part can be read by itself.
    Plain,
    /// Gzip: read from its start only.
    Gzip,
    /// An entry of a zip archive: read from its start only.
    Zip(Arc<Entry>),
}

impl Packing {
    /// As it is called above a table; empty where it is not packed.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => "gzip",
            Self::Zip(_) => "zip",
        }
    }

    /// Unpacks `object` from its byte `start` (0 where it is packed). `there` are bytes from `start` on.
    pub(super) fn unpacked(
        &self,
        object: &Object,
        gate: &Arc<Gate>,
        start: u64,
        there: &Bytes,
        pace: Pace,
    ) -> Box<dyn Read + Send> {
        match self {
            Self::Plain => Box::new(Stream::new(object, gate, start..object.size, there, pace)),
            Self::Gzip => Box::new(MultiGzDecoder::new(Stream::new(object, gate, 0..object.size, there, pace))),
            Self::Zip(entry) => entry.unpacked(object, gate, pace),
        }
    }

    /// Says why unpacking failed.
    pub(super) fn explain(&self, err: std::io::Error) -> crate::error::Error {
        match self {
            Self::Plain => explain(err, "the bytes"),
            Self::Gzip => explain(err, "the gzip data"),
            Self::Zip(_) => explain(err, "the zip's data"),
        }
    }
}

/// Reads until `out` holds `n` bytes more or the text ends; whether it ended.
pub(super) fn read_up_to(reader: &mut dyn Read, n: usize, out: &mut Vec<u8>, packing: &Packing) -> Result<bool> {
    let had = out.len();
    out.resize(had + n, 0);
    let mut at = had;
    let outcome = loop {
        if at == out.len() {
            break Ok(false);
        }
        match reader.read(&mut out[at..]) {
            Ok(0) => break Ok(true),
            Ok(read) => at += read,
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
            Err(err) => break Err(packing.explain(err)),
        }
    };
    out.truncate(at);
    outcome
}

/// A name in lower case without what packs it and what an address puts behind it: `a.csv` of `A.CSV.gz?x`.
pub(crate) fn base_name(name: &str) -> String {
    let name = name.to_lowercase();
    let name = name.split('?').next().unwrap_or_default();
    name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zip")).unwrap_or(name).to_owned()
}
