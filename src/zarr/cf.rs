//! What the attributes say about the numbers: packed values, missing ones, units, times.
//!
//! CF conventions 1.11 <https://cfconventions.org/cf-conventions/cf-conventions.html>: 8.1 (packed data),
//! 2.5.1 (missing data, valid range), 3.1 (units), 4.4 (time). In version 2 of Zarr the fill value is the
//! missing one, as xarray reads it.

use super::document::number;
use super::member::{About, DIMENSIONS, Member};
use crate::calendar::{Date, Times};
use crate::quantity;
use base64::Engine as _;
use serde_json::Value;

/// How stored numbers become what they mean.
#[derive(Clone, Debug, Default)]
pub struct Encoding {
    /// Factor and offset, where the values are packed.
    pub scale: Option<(f64, f64)>,
    /// Stored numbers that stand for nothing.
    pub missing: Vec<f64>,
    /// Smallest and largest stored number that is valid.
    pub valid: (Option<f64>, Option<f64>),
    /// The numbers as times.
    pub times: Option<Times>,
    /// The unit, as it is shown.
    pub unit: String,
    /// What the values are, in words: `long_name`, `standard_name`.
    pub about: String,
    /// Signed numbers that mean unsigned ones, with the number to add to negative ones.
    pub unsigned: Option<f64>,
}

impl Encoding {
    /// Of an array.
    pub(super) fn of(member: &Member, about: &About) -> Self {
        let get = |name: &str| member.attributes.get(name);
        let times = match about.dtype.strip_prefix("datetime64") {
            Some(unit) => Times::numpy(unit.trim_matches(['[', ']'])),
            None => member.words("units").and_then(|units| Times::parse(units, member.words("calendar"))),
        };
        let (factor, offset) = (get("scale_factor").and_then(number), get("add_offset").and_then(number));
        let scale = (factor.is_some() || offset.is_some()).then(|| (factor.unwrap_or(1.0), offset.unwrap_or(0.0)));
        let is_float = about.dtype.starts_with('f');
        let stored = |value: f64| if about.dtype == "f32" { f64::from(value as f32) } else { value };
        let mut missing: Vec<f64> = ["_FillValue", "missing_value"]
            .iter()
            .filter_map(|name| get(name))
            .flat_map(|value| match value {
                Value::Array(many) => many.iter().take(16).filter_map(|v| missing_of(v, about)).collect(),
                one => missing_of(one, about).into_iter().collect::<Vec<_>>(),
            })
            .collect();
        // Files of xarray alone: elsewhere a fill value is one like others.
        if about.version == 2 && member.attributes.contains_key(DIMENSIONS) && (is_float || scale.is_some()) {
            missing.extend(number(&about.fill));
        }
        missing.retain(|value| !value.is_nan());
        for value in &mut missing {
            *value = stored(*value);
        }
        let range = get("valid_range").and_then(Value::as_array).filter(|pair| pair.len() == 2);
        let bound = |at: usize, name: &str| {
            range.and_then(|pair| number(&pair[at])).or_else(|| get(name).and_then(number)).map(stored)
        };
        let unsigned = match (get("_Unsigned").and_then(Value::as_str), about.dtype.as_str()) {
            (Some("true"), "i8") => Some(256.0),
            (Some("true"), "i16") => Some(65_536.0),
            (Some("true"), "i32") => Some(4_294_967_296.0),
            _ => None,
        };
        let name = member.words("long_name").or_else(|| member.words("standard_name")).unwrap_or_default();
        Self {
            scale,
            missing,
            valid: (bound(0, "valid_min"), bound(1, "valid_max")),
            times,
            unit: member.words("units").map(quantity::shown).unwrap_or_default(),
            about: quantity::shown(name),
            unsigned,
        }
    }

    /// What a stored number means; NaN for nothing.
    pub fn decode(&self, stored: f64) -> f64 {
        // Bit for bit what the metadata say, so compared exactly.
        let is = |missing: &f64| missing.total_cmp(&stored).is_eq() || (*missing == 0.0 && stored == 0.0);
        if self.missing.iter().any(is)
            || self.valid.0.is_some_and(|low| stored < low)
            || self.valid.1.is_some_and(|high| stored > high)
        {
            return f64::NAN;
        }
        let value = match self.unsigned {
            Some(more) if stored < 0.0 => stored + more,
            _ => stored,
        };
        self.scale.map_or(value, |(factor, offset)| value * factor + offset)
    }

    /// Whether decoding changes anything.
    pub fn is_plain(&self) -> bool {
        self.scale.is_none() && self.missing.is_empty() && self.valid == (None, None) && self.unsigned.is_none()
    }

    /// The time that a decoded number stands for.
    pub fn date(&self, value: f64) -> Option<Date> {
        self.times.as_ref()?.date(value)
    }

    /// A decoded value in words: a date, or a number with its unit.
    pub fn words(&self, value: f64) -> String {
        quantity::words(value, &self.unit, self.times.as_ref())
    }
}

/// A number, or its bytes in base64 as xarray writes `_FillValue` into version 3.
pub(super) fn missing_of(value: &Value, about: &About) -> Option<f64> {
    if let Some(found) = number(value) {
        return Some(found);
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok()?;
    match (about.dtype.starts_with('f'), bytes.as_slice()) {
        (_, eight @ [_, _, _, _, _, _, _, _]) => eight.try_into().ok().map(f64::from_le_bytes),
        (true, four @ [_, _, _, _]) => four.try_into().ok().map(|b| f64::from(f32::from_le_bytes(b))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::member;
    use super::*;
    use serde_json::json;

    fn encoding(dtype: &str, fill: &Value, attributes: &Value) -> Encoding {
        let document = json!({ "zarr_format": 2, "shape": [3], "chunks": [2], "dtype": dtype, "compressor": null, "fill_value": fill });
        let attributes = attributes.as_object().expect("an object").clone();
        let member = member::of_v2(true, &document, attributes).expect("an array");
        Encoding::of(&member, member.array().expect("an array"))
    }

    #[test]
    fn packed_and_missing_values_are_decoded() {
        let packed = encoding(
            "<i2",
            &json!(null),
            &json!({ "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -32767, "valid_range": [-1000, 4000] }),
        );
        assert!((packed.decode(100.0) - 274.15).abs() < 1e-9);
        for none in [-32767.0, -1001.0, 4001.0] {
            assert!(packed.decode(none).is_nan(), "{none}");
        }
        let many = encoding("<f4", &json!("NaN"), &json!({ "missing_value": [1e20, -999], "units": "K" }));
        assert!(many.decode(f64::from(1e20_f32)).is_nan() && many.decode(-999.0).is_nan());
        assert!(!many.decode(1.0).is_nan());
        assert_eq!(many.words(1.5), "1.5 K");
        let fill = encoding("<f4", &json!(-1.0), &json!({ "_ARRAY_DIMENSIONS": ["x"] }));
        assert!(fill.decode(-1.0).is_nan());
        assert!(!encoding("<f4", &json!(-1.0), &json!({})).decode(-1.0).is_nan(), "not of xarray");
        let base64 = encoding("<f8", &json!(0), &json!({ "_FillValue": "AAAAAAAA8D8=" }));
        assert!(base64.decode(1.0).is_nan());
        let bytes = encoding("|i1", &json!(null), &json!({ "_Unsigned": "true" }));
        assert!((bytes.decode(-1.0) - 255.0).abs() < 1e-9);
        let odd = encoding("<i2", &json!(null), &json!({ "scale_factor": {}, "_FillValue": [[]], "valid_range": 3 }));
        assert!(odd.is_plain());
    }
}
