//! Latency histograms as text: `HdrHistogram`'s V2 format, deflated, in base64, which its tools
//! read in every language (<https://hdrhistogram.github.io/HdrHistogram/>).

use crate::error::{Error, Kind, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

/// As text.
pub(super) fn encode(histogram: &Histogram<u64>) -> Result<String> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .map_err(|err| Error::new(Kind::Failed, format!("a histogram cannot be written: {err}")).with_source(err))?;
    Ok(STANDARD.encode(bytes))
}

/// From text.
pub(super) fn decode(text: &str) -> Result<Histogram<u64>> {
    let bytes = STANDARD.decode(text).map_err(|err| Error::invalid("a histogram is not base64").with_source(err))?;
    Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .map_err(|err| Error::invalid(format!("a histogram cannot be read: {err}")).with_source(err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_survives_its_file() {
        let mut histogram = crate::meter::latency_histogram();
        for value in [1, 40, 40, 30_000, 3_000_000] {
            histogram.saturating_record(value);
        }
        let text = encode(&histogram).expect("written");
        assert!(text.starts_with("HISTF"), "the mark of the format: {text}");
        assert_eq!(decode(&text).expect("read"), histogram);
        assert!(decode("HISTF").is_err() && decode("!").is_err());
    }
}
