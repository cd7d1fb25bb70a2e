//! Arguments of spatial functions: numbers of any type, geometry of any encoding.

use crate::table::{shape, wkt};
use datafusion::arrow::array::{Array, ArrayRef, AsArray as _, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result as Outcome;
use datafusion::logical_expr::ColumnarValue;
use geo::{BoundingRect as _, Geometry, Point};

/// A literal as a shape: WKB or WKT.
pub(super) fn shape_of(literal: &ScalarValue) -> Option<Geometry> {
    match literal {
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes))
        | ScalarValue::FixedSizeBinary(_, Some(bytes)) => shape::from_wkb(bytes),
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            shape::from_wkt(text).ok()
        }
        _ => None,
    }
}

/// Numbers of any type.
pub(super) enum Numbers {
    One(Option<f64>),
    Each(Float64Array),
}

impl Numbers {
    pub(super) fn of(value: &ColumnarValue, rows: usize) -> Outcome<Self> {
        Ok(match value {
            ColumnarValue::Scalar(value) => match value.cast_to(&DataType::Float64)? {
                ScalarValue::Float64(value) => Self::One(value),
                _ => Self::One(None),
            },
            ColumnarValue::Array(array) => {
                debug_assert_eq!(array.len(), rows);
                Self::Each(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
        })
    }

    pub(super) fn at(&self, i: usize) -> Option<f64> {
        match self {
            Self::One(value) => *value,
            Self::Each(values) => values.is_valid(i).then(|| values.value(i)),
        }
    }
}

/// Geometry of any encoding, read as it is asked for; a literal is read once.
pub(super) enum Shapes {
    /// A literal, and the same as it is written.
    One(Option<Geometry>, Option<Box<Shapes>>),
    Wkb(ArrayRef),
    Wkt(ArrayRef),
    Native(ArrayRef, String),
}

impl Shapes {
    pub(super) fn of(value: &ColumnarValue, field: &FieldRef) -> Outcome<Self> {
        let array = match value {
            ColumnarValue::Scalar(value) if value.is_null() => return Ok(Self::One(None, None)),
            ColumnarValue::Scalar(value) => {
                if let ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) = value
                    && let Err(why) = shape::from_wkt(text)
                {
                    return exec_err!("{why}");
                }
                let written = Self::of(&ColumnarValue::Array(value.to_array()?), field)?;
                return Ok(Self::One(written.with(0, Clone::clone), Some(Box::new(written))));
            }
            ColumnarValue::Array(array) => array,
        };
        Ok(match array.data_type() {
            DataType::Null => Self::One(None, None),
            DataType::Binary => Self::Wkb(array.clone()),
            DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Wkb(cast(array, &DataType::Binary)?)
            }
            DataType::Utf8 => Self::Wkt(array.clone()),
            DataType::LargeUtf8 | DataType::Utf8View => Self::Wkt(cast(array, &DataType::Utf8)?),
            other => {
                let told = field.metadata().get("ARROW:extension:name").and_then(|n| n.strip_prefix("geoarrow."));
                let kind = told.unwrap_or_else(|| encoding(other)).to_owned();
                Self::Native(array.clone(), kind)
            }
        })
    }

    /// What `f` makes of it; `None` where it is null, or no geometry.
    pub(super) fn with<T>(&self, i: usize, f: impl FnOnce(&Geometry) -> T) -> Option<T> {
        match self {
            Self::One(shape, _) => shape.as_ref().map(f),
            Self::Wkb(array) => shape::from_wkb(bytes(array, i)?).as_ref().map(f),
            Self::Wkt(array) => shape::from_wkt(text(array, i)?).ok().as_ref().map(f),
            Self::Native(array, kind) => shape::from_native(array, i, kind).as_ref().map(f),
        }
    }

    /// Bounds of what is there; `Some(None)` of an empty geometry.
    #[allow(clippy::option_option)] // null and empty differ
    pub(super) fn bounds(&self, i: usize) -> Option<Option<[f64; 4]>> {
        self.with(i, |g| g.bounding_rect().map(|b| [b.min().x, b.min().y, b.max().x, b.max().y]))
    }

    /// The whole text, with z and m where they are.
    pub(super) fn wkt(&self, i: usize) -> Option<String> {
        match self {
            Self::One(_, written) => written.as_ref()?.wkt(0),
            Self::Wkb(array) => wkt::from_wkb(bytes(array, i)?, usize::MAX),
            Self::Wkt(array) => self.with(i, |_| ()).and_then(|()| text(array, i)).map(str::to_owned),
            Self::Native(array, kind) => wkt::native_column(&array.slice(i, 1), kind, usize::MAX)
                .filter(|text| text.is_valid(0))
                .map(|text| text.value(0).to_owned()),
        }
    }

    /// As WKB: what is WKB as it is, with z and m; of others x and y.
    pub(super) fn wkb(&self, i: usize) -> Option<Vec<u8>> {
        match self {
            Self::One(_, written) => written.as_ref()?.wkb(0),
            Self::Wkb(array) => self.with(i, |_| ()).and_then(|()| bytes(array, i)).map(<[u8]>::to_vec),
            _ => {
                let is_point = || self.name(i).is_some_and(|name| name == "POINT");
                self.with(i, |g| match g {
                    // An empty point is read as no points.
                    Geometry::MultiPoint(none) if none.0.is_empty() && is_point() => {
                        shape::to_wkb(&Geometry::Point(Point::new(f64::NAN, f64::NAN)))
                    }
                    g => shape::to_wkb(g),
                })
            }
        }
    }

    /// `POINT`, `MULTIPOLYGON`, also where it is empty.
    pub(super) fn name(&self, i: usize) -> Option<String> {
        if let Self::One(_, written) = self {
            return written.as_ref()?.name(0);
        }
        let text = match self {
            // Its first word is enough.
            Self::Wkb(array) => self.with(i, |_| ()).and_then(|()| wkt::from_wkb(bytes(array, i)?, 64))?,
            _ => self.wkt(i)?,
        };
        let body = text.split_once(';').map_or(text.as_str(), |(_, body)| body).trim_start();
        let word: String = body.chars().take_while(char::is_ascii_alphabetic).collect();
        let word = word.to_ascii_uppercase();
        Some(word.trim_end_matches(['Z', 'M']).to_owned())
    }
}

fn bytes(array: &ArrayRef, i: usize) -> Option<&[u8]> {
    array.is_valid(i).then(|| array.as_binary::<i32>().value(i))
}

fn text(array: &ArrayRef, i: usize) -> Option<&str> {
    array.is_valid(i).then(|| array.as_string::<i32>().value(i))
}

/// The native encoding that a type is most likely meant as.
fn encoding(kind: &DataType) -> &'static str {
    let inner = |kind: &DataType| match kind {
        DataType::List(field) | DataType::LargeList(field) => Some(field.data_type().clone()),
        _ => None,
    };
    let mut levels = 0;
    let mut at = kind.clone();
    while let Some(next) = inner(&at) {
        (levels, at) = (levels + 1, next);
    }
    ["point", "linestring", "polygon", "multipolygon"].get(levels).copied().unwrap_or("point")
}
