//! Spatial functions: over WKB, native encodings and text, in the plane of the column's coordinates. Predicates are
//! those of OGC Simple Features (DE-9IM), as in `PostGIS`, `DuckDB` and shapely. What is null, or no geometry, is null.

use super::shapes::{Numbers, Shapes};
use crate::table::shape;
use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BinaryBuilder, BooleanBuilder, Float64Array, Float64Builder, StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result as Outcome;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use geo::relate::Relate as _;
use geo::{
    Area as _, BoundingRect as _, Centroid as _, Contains as _, Coord, Distance as _, Euclidean, Geometry, Haversine,
    Intersects as _, Length as _, Point, Rect,
};
use std::sync::Arc;

/// A function: its name, its arguments in words, what it gives.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Spatial {
    kind: Kind,
    signature: Signature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    IntersectsBbox,
    Intersects,
    Contains,
    Within,
    DWithin,
    Distance,
    DistanceSphere,
    X,
    Y,
    XMin,
    YMin,
    XMax,
    YMax,
    Area,
    Length,
    Point,
    MakeEnvelope,
    Centroid,
    SetCrs,
    GeomFromText,
    GeomFromWkb,
    AsText,
    GeometryType,
}

#[derive(Clone, Copy, PartialEq)]
enum Gives {
    Bool,
    Number,
    Text,
    Geometry,
}

/// One line a function: kind, name, arguments, what it gives, what it is for.
#[rustfmt::skip] // a line for each
const FUNCTIONS: &[(Kind, &str, &[&str], Gives, &str)] = &[
    (Kind::IntersectsBbox, "st_intersects_bbox", &["geometry", "xmin", "ymin", "xmax", "ymax"], Gives::Bool, "whether its bounds meet a box; leaves out row groups that lie elsewhere"),
    (Kind::Intersects, "st_intersects", &["geometry", "geometry"], Gives::Bool, "whether they have a point in common"),
    (Kind::Contains, "st_contains", &["geometry", "geometry"], Gives::Bool, "whether the second lies in the first"),
    (Kind::Within, "st_within", &["geometry", "geometry"], Gives::Bool, "whether the first lies in the second"),
    (Kind::DWithin, "st_dwithin", &["geometry", "geometry", "distance"], Gives::Bool, "whether they are no further apart"),
    (Kind::Distance, "st_distance", &["geometry", "geometry"], Gives::Number, "distance in units of the coordinates"),
    (Kind::DistanceSphere, "st_distance_sphere", &["point", "point"], Gives::Number, "metres between points of longitude, latitude"),
    (Kind::X, "st_x", &["point"], Gives::Number, "x of a point"),
    (Kind::Y, "st_y", &["point"], Gives::Number, "y of a point"),
    (Kind::XMin, "st_xmin", &["geometry"], Gives::Number, "smallest x"),
    (Kind::YMin, "st_ymin", &["geometry"], Gives::Number, "smallest y"),
    (Kind::XMax, "st_xmax", &["geometry"], Gives::Number, "largest x"),
    (Kind::YMax, "st_ymax", &["geometry"], Gives::Number, "largest y"),
    (Kind::Area, "st_area", &["geometry"], Gives::Number, "area in square units of the coordinates"),
    (Kind::Length, "st_length", &["geometry"], Gives::Number, "length of lines in units of the coordinates"),
    (Kind::Point, "st_point", &["x", "y"], Gives::Geometry, "a point"),
    (Kind::MakeEnvelope, "st_makeenvelope", &["xmin", "ymin", "xmax", "ymax"], Gives::Geometry, "a box"),
    (Kind::Centroid, "st_centroid", &["geometry"], Gives::Geometry, "the centre of mass"),
    (Kind::SetCrs, "st_setcrs", &["geometry", "name"], Gives::Geometry, "says in which reference system it lies; moves nothing"),
    (Kind::GeomFromText, "st_geomfromtext", &["wkt"], Gives::Geometry, "geometry from Well-Known Text"),
    (Kind::GeomFromWkb, "st_geomfromwkb", &["wkb"], Gives::Geometry, "geometry from Well-Known Binary"),
    (Kind::AsText, "st_astext", &["geometry"], Gives::Text, "Well-Known Text"),
    (Kind::GeometryType, "st_geometrytype", &["geometry"], Gives::Text, "POINT, POLYGON, …"),
];

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS
        .iter()
        .map(|(kind, _, args, ..)| {
            let signature = Signature::any(args.len(), Volatility::Immutable);
            ScalarUDF::from(Spatial { kind: *kind, signature })
        })
        .collect()
}

/// Name, call and purpose of each, for completion and help.
pub(super) fn described() -> impl Iterator<Item = (&'static str, String, &'static str)> {
    FUNCTIONS.iter().map(|(_, name, args, _, about)| (*name, format!("{name}({})", args.join(", ")), *about))
}

impl Spatial {
    fn line(&self) -> &'static (Kind, &'static str, &'static [&'static str], Gives, &'static str) {
        FUNCTIONS.iter().find(|(kind, ..)| *kind == self.kind).unwrap_or(&FUNCTIONS[0])
    }
}

impl ScalarUDFImpl for Spatial {
    fn name(&self) -> &str {
        self.line().1
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Outcome<DataType> {
        let (_, name, wanted, gives, _) = self.line();
        for (at, (kind, want)) in args.iter().zip(*wanted).enumerate() {
            let is_shape = matches!(*want, "geometry" | "point" | "wkb");
            let fits = match kind {
                DataType::Null => true,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                    is_shape || matches!(*want, "wkt" | "name")
                }
                DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
                | DataType::FixedSizeBinary(_)
                | DataType::Struct(_)
                | DataType::List(_)
                | DataType::LargeList(_)
                | DataType::FixedSizeList(..) => is_shape,
                other => other.is_numeric() && !is_shape && !matches!(*want, "wkt" | "name"),
            };
            if !fits {
                let kind = crate::table::type_name(kind);
                return plan_err!("{name}({}): argument {} is {kind}, not a {want}", wanted.join(", "), at + 1);
            }
        }
        Ok(match gives {
            Gives::Bool => DataType::Boolean,
            Gives::Number => DataType::Float64,
            Gives::Text => DataType::Utf8,
            Gives::Geometry => DataType::Binary,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Outcome<FieldRef> {
        let kinds: Vec<DataType> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let field = Field::new(self.name(), self.return_type(&kinds)?, true);
        if self.line().3 != Gives::Geometry {
            return Ok(Arc::new(field));
        }
        // What is made of a geometry lies in its reference system.
        let kept = || args.arg_fields.iter().find_map(|f| f.metadata().get("ARROW:extension:metadata").cloned());
        let about = match args.scalar_arguments {
            [_, Some(ScalarValue::Utf8(Some(name)) | ScalarValue::Utf8View(Some(name)))]
                if self.kind == Kind::SetCrs =>
            {
                Some(serde_json::json!({ "crs": name }).to_string())
            }
            _ => kept(),
        };
        let metadata = [("ARROW:extension:name", "geoarrow.wkb".to_owned())]
            .into_iter()
            .chain([("ARROW:extension:metadata", about.unwrap_or_else(|| "{}".to_owned()))])
            .map(|(key, value)| (key.to_owned(), value));
        Ok(Arc::new(field.with_metadata(metadata.collect())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Outcome<ColumnarValue> {
        let all_scalar = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if all_scalar { 1 } else { args.number_rows };
        let array = self.run(&args, rows)?;
        if all_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

impl Spatial {
    fn run(&self, args: &ScalarFunctionArgs, rows: usize) -> Outcome<ArrayRef> {
        let number = |at: usize| Numbers::of(&args.args[at], rows);
        let shapes = |at: usize| Shapes::of(&args.args[at], &args.arg_fields[at]);
        match self.kind {
            Kind::Point => {
                let (x, y) = (number(0)?, number(1)?);
                let made = (0..rows).map(|i| Some(Geometry::Point(Point::new(x.at(i)?, y.at(i)?))));
                Ok(geometries(made))
            }
            Kind::MakeEnvelope => {
                let sides = [number(0)?, number(1)?, number(2)?, number(3)?];
                Ok(geometries((0..rows).map(|i| Some(Geometry::Polygon(area(&sides, i)?.to_polygon())))))
            }
            Kind::IntersectsBbox => {
                let sides = [number(1)?, number(2)?, number(3)?, number(4)?];
                let shapes = shapes(0)?;
                let mut out = BooleanBuilder::with_capacity(rows);
                for i in 0..rows {
                    let meets = (|| Some(shapes.bounds(i)?.is_some_and(|b| meets(b, &sides, i).unwrap_or(false))))();
                    out.append_option(meets.filter(|_| sides.iter().all(|s| s.at(i).is_some())));
                }
                Ok(Arc::new(out.finish()))
            }
            Kind::Intersects | Kind::Contains | Kind::Within | Kind::DWithin => {
                let (a, b) = (shapes(0)?, shapes(1)?);
                let far = if self.kind == Kind::DWithin { Some(number(2)?) } else { None };
                let mut out = BooleanBuilder::with_capacity(rows);
                for i in 0..rows {
                    let far = far.as_ref().map(|f| f.at(i));
                    let said =
                        a.with(i, |a| b.with(i, |b| predicate(self.kind, a, b, far.flatten()))).flatten().flatten();
                    out.append_option(said);
                }
                Ok(Arc::new(out.finish()))
            }
            Kind::Distance | Kind::DistanceSphere => {
                let (a, b) = (shapes(0)?, shapes(1)?);
                let mut out = Float64Builder::with_capacity(rows);
                for i in 0..rows {
                    let said = a.with(i, |a| b.with(i, |b| distance(self.kind, a, b))).flatten();
                    out.append_option(said.transpose()?.flatten());
                }
                Ok(Arc::new(out.finish()))
            }
            Kind::GeomFromText | Kind::GeomFromWkb | Kind::SetCrs => {
                let shapes = shapes(0)?;
                let made: BinaryArray = (0..rows).map(|i| shapes.wkb(i)).collect();
                Ok(Arc::new(made))
            }
            Kind::Centroid => {
                let shapes = shapes(0)?;
                // Of nothing it is an empty point, which has NaN for coordinates.
                let centre = |g: &Geometry| Geometry::Point(g.centroid().unwrap_or(Point::new(f64::NAN, f64::NAN)));
                Ok(geometries((0..rows).map(|i| shapes.with(i, centre))))
            }
            Kind::AsText | Kind::GeometryType => {
                let shapes = shapes(0)?;
                let mut out = StringBuilder::new();
                for i in 0..rows {
                    let text = if self.kind == Kind::AsText { shapes.wkt(i) } else { shapes.name(i) };
                    out.append_option(text);
                }
                Ok(Arc::new(out.finish()))
            }
            kind => {
                let shapes = shapes(0)?;
                let measured: Float64Array =
                    (0..rows).map(|i| shapes.with(i, |g| measure(kind, g)).flatten()).collect();
                Ok(Arc::new(measured))
            }
        }
    }
}

fn area(sides: &[Numbers; 4], i: usize) -> Option<Rect> {
    let corner = |x: f64, y: f64| Coord { x, y };
    Some(Rect::new(corner(sides[0].at(i)?, sides[1].at(i)?), corner(sides[2].at(i)?, sides[3].at(i)?)))
}

/// Whether bounds and a box have a point in common. A box whose west is east of its east crosses the antimeridian.
fn meets(bounds: [f64; 4], sides: &[Numbers; 4], i: usize) -> Option<bool> {
    let [xmin, ymin, xmax, ymax] = [sides[0].at(i)?, sides[1].at(i)?, sides[2].at(i)?, sides[3].at(i)?];
    Some(bounds[0] <= xmax && bounds[2] >= xmin && bounds[1] <= ymax && bounds[3] >= ymin)
}

fn predicate(kind: Kind, a: &Geometry, b: &Geometry, far: Option<f64>) -> Option<bool> {
    let far = if kind == Kind::DWithin { Some(far?) } else { None };
    // What is empty is nowhere.
    let (Some(left), Some(right)) = (a.bounding_rect(), b.bounding_rect()) else { return Some(false) };
    if let Some(far) = far {
        return Some(Euclidean.distance(a, b) <= far);
    }
    if !left.intersects(&right) {
        return Some(false);
    }
    Some(match kind {
        Kind::Intersects => a.intersects(b),
        Kind::Contains => contains(a, b),
        _ => contains(b, a),
    })
}

/// The boundary alone is not within: DE-9IM, as everywhere.
fn contains(a: &Geometry, b: &Geometry) -> bool {
    match (a, b) {
        (Geometry::Polygon(a), Geometry::Point(b)) => a.contains(b),
        (Geometry::MultiPolygon(a), Geometry::Point(b)) => a.contains(b),
        _ => a.relate(b).is_contains(),
    }
}

fn distance(kind: Kind, a: &Geometry, b: &Geometry) -> Outcome<Option<f64>> {
    if a.bounding_rect().is_none() || b.bounding_rect().is_none() {
        return Ok(None);
    }
    match (kind, a, b) {
        (Kind::DistanceSphere, Geometry::Point(a), Geometry::Point(b)) => Ok(Some(Haversine.distance(*a, *b))),
        (Kind::DistanceSphere, ..) => {
            exec_err!("st_distance_sphere is for points; st_centroid makes one of other geometry")
        }
        _ => Ok(Some(Euclidean.distance(a, b))),
    }
}

fn measure(kind: Kind, shape: &Geometry) -> Option<f64> {
    match (kind, shape) {
        (Kind::X, Geometry::Point(p)) => Some(p.x()),
        (Kind::Y, Geometry::Point(p)) => Some(p.y()),
        (Kind::X | Kind::Y, _) => None,
        (Kind::Area, _) => Some(shape.unsigned_area()),
        (Kind::Length, _) => Some(length(shape)),
        _ => {
            let bounds = shape.bounding_rect()?;
            Some(match kind {
                Kind::XMin => bounds.min().x,
                Kind::YMin => bounds.min().y,
                Kind::XMax => bounds.max().x,
                _ => bounds.max().y,
            })
        }
    }
}

/// Of lines; areas and points have none, as in `PostGIS` and `DuckDB`.
fn length(shape: &Geometry) -> f64 {
    match shape {
        Geometry::Line(l) => Euclidean.length(l),
        Geometry::LineString(l) => Euclidean.length(l),
        Geometry::MultiLineString(l) => Euclidean.length(l),
        Geometry::GeometryCollection(all) => all.iter().map(length).sum(),
        _ => 0.0,
    }
}

fn geometries(shapes: impl Iterator<Item = Option<Geometry>>) -> ArrayRef {
    let mut out = BinaryBuilder::new();
    shapes.for_each(|shape| out.append_option(shape.as_ref().map(shape::to_wkb)));
    Arc::new(out.finish())
}
