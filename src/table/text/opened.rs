//! The start of a text: how it is packed and written, and enough of it to find out what it is.

use super::Encoding;
use super::object::{Gate, Object, Pace, blocking};
use super::packing::{Packing, read_up_to};
use super::zipped;
use crate::error::{Error, Kind, Result};
use crate::store::Stores;
use crate::table::Open;
use crate::task::Control;
use crate::text;
use bytes::Bytes;
use std::io::Read;
use std::sync::{Arc, Mutex};

/// Bytes of the first read, and of a piece of text between two marks.
pub(super) const PIECE: usize = 256 << 10;
/// The first record must end within this.
const MOST_SAMPLE: usize = 16 << 20;

/// Reads a text, unpacked and in UTF-8.
pub(super) type Text = Box<dyn Read + Send>;

/// A text whose first bytes were read: what a form needs to find out what it is.
pub(crate) struct Opened {
    pub(super) stores: Stores,
    pub(super) object: Object,
    pub(super) packing: Packing,
    pub(super) control: Control,
    pub(super) max_bytes: u64,
    /// How it is written.
    pub(crate) encoding: Encoding,
    /// The first text, in UTF-8 where it was UTF-16.
    pub(crate) sample: Bytes,
    /// Whether that is all of it.
    pub(crate) complete: bool,
    /// Bytes of the object.
    pub(crate) size: u64,
    /// The first bytes of the object, where it is read from its start.
    pub(super) head: Bytes,
    /// Reads on behind the sample, and for whom.
    pub(super) reader: Mutex<Option<(Text, Arc<Gate>)>>,
}

/// Opens the text that `open` names; of a zip the entry named behind `#`, else the largest that `suits`. Reads
/// until the first text `is_enough`.
pub(crate) async fn open(
    stores: Stores,
    open: Open,
    suits: fn(&str) -> bool,
    is_enough: fn(&[u8]) -> bool,
) -> Result<Opened> {
    let Open { probe, control, max_bytes } = open;
    let key = probe.location.key();
    // `archive.zip#folder/entry.csv` names an entry.
    let cut = key.to_ascii_lowercase().rfind(".zip#").map(|at| at + ".zip".len());
    let (location, wanted) = match cut.and_then(|at| Some((key.get(..at)?, key.get(at + 1..)?))) {
        Some((archive, entry)) => (probe.location.with_key(archive), Some(entry.to_owned())),
        None => (probe.location.clone(), None),
    };
    let first = (PIECE as u64).min(max_bytes);
    let by_name = is_zip(location.name());
    let (object, head, tail) = if by_name {
        let size = probe.size.filter(|_| wanted.is_none());
        let (object, tail) = Object::open_tail(&stores, &location, size, zipped::TAIL, &control).await?;
        (object, Bytes::new(), Some(tail))
    } else {
        let (object, head) = Object::open_head(&stores, &location, first, &control).await?;
        let tail = if head.starts_with(b"PK\x03\x04") {
            let size = Some(object.size);
            Some(Object::open_tail(&stores, &location, size, zipped::TAIL, &control).await?.1)
        } else {
            None
        };
        (object, head, tail)
    };
    let for_control = control.clone();
    blocking(&for_control, move |stop| {
        let packing = match tail {
            Some(tail) => Packing::Zip(Arc::new(zipped::choose(&object, &tail, wanted.as_deref(), &suits, &stop)?)),
            None if head.starts_with(&[0x1f, 0x8b]) => Packing::Gzip,
            None => Packing::Plain,
        };
        let head = if matches!(packing, Packing::Zip(_)) { Bytes::new() } else { head };
        let gate = Gate::new(stop);
        let mut reader = packing.unpacked(&object, &gate, 0, &head, Pace::LOOK);
        let mut sample = Vec::new();
        let mut complete = read_up_to(reader.as_mut(), PIECE, &mut sample, &packing)?;
        let encoding = Encoding::of(&sample);
        if matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be) {
            let raw = std::io::Cursor::new(std::mem::take(&mut sample));
            reader = encoding.decoded(Box::new(raw.chain(reader)));
            complete = read_up_to(reader.as_mut(), PIECE, &mut sample, &packing)?;
        }
        while !complete && !is_enough(&sample) {
            if sample.len() >= MOST_SAMPLE {
                let limit = text::bytes(MOST_SAMPLE as u64);
                return Err(Error::new(Kind::Limit, format!("its first record does not end within {limit}"))
                    .with_hint("it is no table, or a quote is not closed"));
            }
            complete = read_up_to(reader.as_mut(), sample.len(), &mut sample, &packing)?;
        }
        let size = object.size;
        Ok(Opened {
            stores,
            object,
            packing,
            control,
            max_bytes,
            encoding,
            sample: sample.into(),
            complete,
            size,
            head,
            reader: Mutex::new(Some((reader, gate))),
        })
    })
    .await
}

/// Whether a name is one of a zip archive.
fn is_zip(name: &str) -> bool {
    let name = name.split('?').next().unwrap_or_default();
    name.rsplit_once('.').is_some_and(|(_, suffix)| suffix.eq_ignore_ascii_case("zip"))
}

impl Opened {
    /// How it is packed, in a word; empty where it is not.
    pub(crate) fn packing(&self) -> &'static str {
        self.packing.name()
    }

    /// Runs blocking code that is needed to open it.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        blocking(&self.control, move |_| f()).await
    }

    /// What is to be told of its packing and encoding.
    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        if let Packing::Zip(entry) = &self.packing {
            rows.push(("entry".to_owned(), format!("{} ({})", entry.name, text::bytes(entry.size))));
            let mut others: Vec<String> =
                entry.others.iter().take(5).map(|(name, size)| format!("{name} ({})", text::bytes(*size))).collect();
            if entry.others.len() > others.len() {
                others.push(format!("{} more", entry.others.len() - others.len()));
            }
            if !others.is_empty() {
                rows.push(("other entries".to_owned(), others.join(", ")));
                rows.push(("to see another".to_owned(), "put # and its name behind the address".to_owned()));
            }
        }
        if self.encoding != Encoding::Utf8 {
            rows.push(("encoding".to_owned(), self.encoding.name().to_owned()));
        }
        if !matches!(self.packing, Packing::Plain) && !self.complete {
            let words = "unpacked from the start again where rows are gone back to that are kept no more";
            rows.push(("going back".to_owned(), words.to_owned()));
        }
        rows
    }
}
