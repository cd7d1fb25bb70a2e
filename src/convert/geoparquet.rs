//! Geometry of any encoding as `GeoParquet` 1.1 holds it: WKB, a covering of bounds beside it, and the `geo` metadata.
//! <https://geoparquet.org/releases/v1.1.0/>

use crate::error::{Error, Result};
use crate::store::gdal::{load, quietly};
use crate::table::geo::is_crs_code;
use crate::table::{Encoding, Geo, GeoColumn, shape};
use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BinaryArray, BinaryBuilder, Float64Builder, NullBufferBuilder, RecordBatch,
    StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use gdal::spatial_ref::SpatialRef;
use geo::{BoundingRect as _, Geometry};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// xmin, ymin, xmax, ymax.
type Area = [f64; 4];

/// The geometry columns of rows that are written.
pub(super) struct Shapes {
    schema: SchemaRef,
    columns: Vec<Shape>,
}

struct Shape {
    column: GeoColumn,
    /// Name of the column of its bounds.
    covering: String,
    crs: Value,
    bounds: Option<Area>,
    types: BTreeSet<String>,
}

fn corners() -> Fields {
    ["xmin", "ymin", "xmax", "ymax"].map(|name| Field::new(name, DataType::Float64, false)).into_iter().collect()
}

impl Shapes {
    /// Of these columns. A column of bounds that stands there already is made anew.
    pub(super) fn new(schema: &SchemaRef, geo: &Geo) -> Result<Self> {
        let known = |name: &str| geo.column(name);
        let columns: Vec<Shape> = schema
            .fields()
            .iter()
            .filter_map(|field| Some((field, known(field.name())?.clone())))
            .enumerate()
            .map(|(i, (field, column))| {
                let covering = if i == 0 { "bbox".to_owned() } else { format!("{}_bbox", column.name) };
                Ok(Shape { crs: crs(field)?, column, covering, bounds: None, types: BTreeSet::new() })
            })
            .collect::<Result<_>>()?;
        let mut fields: Vec<FieldRef> = Vec::new();
        for field in schema.fields() {
            if columns.iter().any(|shape| shape.covering == *field.name()) {
                continue;
            }
            if columns.iter().any(|shape| shape.column.name == *field.name()) {
                fields.push(Arc::new(Field::new(field.name(), DataType::Binary, true)));
            } else {
                fields.push(field.clone());
            }
        }
        let bounds = columns.iter().map(|s| Arc::new(Field::new(&s.covering, DataType::Struct(corners()), true)));
        fields.extend(bounds);
        Ok(Self { schema: Arc::new(Schema::new(fields)), columns })
    }

    /// The columns as they are written.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Names of the geometry columns and of those of their bounds.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.columns.iter().map(|shape| (shape.column.name.as_str(), shape.covering.as_str()))
    }

    /// Bounds of the first geometry column so far.
    pub(super) fn bounds(&self) -> Option<Area> {
        self.columns.first()?.bounds
    }

    /// The batch as it is written.
    pub(super) fn dress(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut made: Vec<(String, ArrayRef)> = Vec::new();
        for shape in &mut self.columns {
            let array =
                batch.column_by_name(&shape.column.name).ok_or_else(|| Error::invalid("a geometry is missing"))?;
            let (wkb, bounds) = shape.dress(array)?;
            made.push((shape.column.name.clone(), wkb));
            made.push((shape.covering.clone(), bounds));
        }
        let columns = self.schema.fields().iter().map(|field| {
            let own = made.iter().find(|(name, _)| name == field.name()).map(|(_, array)| array.clone());
            own.or_else(|| batch.column_by_name(field.name()).cloned())
                .ok_or_else(|| Error::invalid("a column is missing"))
        });
        RecordBatch::try_new(self.schema.clone(), columns.collect::<Result<_>>()?)
            .map_err(|err| Error::invalid("the rows cannot be written").with_source(err))
    }

    /// The file's `geo` metadata; `None` without geometry.
    pub(super) fn metadata(&self) -> Option<Value> {
        let primary = self.columns.first()?;
        let columns: Map<String, Value> =
            self.columns.iter().map(|shape| (shape.column.name.clone(), shape.metadata())).collect();
        Some(json!({ "version": "1.1.0", "primary_column": primary.column.name, "columns": columns }))
    }
}

impl Shape {
    fn dress(&mut self, array: &ArrayRef) -> Result<(ArrayRef, ArrayRef)> {
        let wkb = match (&self.column.encoding, array.data_type()) {
            (Encoding::Wkb, DataType::Binary) => array.as_binary::<i32>().clone(),
            (Encoding::Wkb, _) => {
                let binary = cast(array, &DataType::Binary).map_err(|err| {
                    Error::invalid(format!("the geometry `{}` is not WKB", self.column.name)).with_source(err)
                })?;
                binary.as_binary::<i32>().clone()
            }
            (Encoding::Wkt, _) => {
                let text = cast(array, &DataType::Utf8)
                    .map_err(|err| Error::invalid("the geometry is no text").with_source(err))?;
                let text = text.as_string::<i32>();
                shapes(text.iter().map(|t| t.and_then(|t| shape::from_wkt(t).ok())))
            }
            (Encoding::Native(kind), _) => shapes((0..array.len()).map(|i| shape::from_native(array, i, kind))),
        };
        let mut valid = NullBufferBuilder::new(wkb.len());
        let mut sides: [Float64Builder; 4] = std::array::from_fn(|_| Float64Builder::with_capacity(wkb.len()));
        for bytes in &wkb {
            let shape = bytes.and_then(shape::from_wkb);
            let area = shape.as_ref().and_then(Geometry::bounding_rect);
            let area = area.map(|b| [b.min().x, b.min().y, b.max().x, b.max().y]);
            if let (Some(shape), Some(area)) = (&shape, area) {
                self.types.insert(type_of(shape, bytes.is_some_and(shape::has_z)));
                let [w, s, e, n] = self.bounds.unwrap_or(area);
                self.bounds = Some([w.min(area[0]), s.min(area[1]), e.max(area[2]), n.max(area[3])]);
            }
            valid.append(area.is_some());
            for (side, value) in sides.iter_mut().zip(area.unwrap_or_default()) {
                side.append_value(value);
            }
        }
        let sides = sides.into_iter().map(|mut s| Arc::new(s.finish()) as ArrayRef).collect();
        let bounds = StructArray::try_new(corners(), sides, valid.finish())
            .map_err(|err| Error::invalid("the bounds of geometry cannot be built").with_source(err))?;
        Ok((Arc::new(wkb), Arc::new(bounds)))
    }

    fn metadata(&self) -> Value {
        let corner = |name: &str| json!([self.covering, name]);
        let mut column = json!({
            "encoding": "WKB",
            "geometry_types": self.types,
            "covering": { "bbox": {
                "xmin": corner("xmin"), "ymin": corner("ymin"), "xmax": corner("xmax"), "ymax": corner("ymax"),
            } },
        });
        if self.crs != json!("OGC:CRS84") {
            column["crs"] = self.crs.clone();
        }
        if self.column.geography {
            column["edges"] = json!("spherical");
        }
        if let Some(bounds) = self.bounds {
            column["bbox"] = json!(bounds);
        }
        column
    }
}

/// The reference system of a column: PROJJSON, `OGC:CRS84` (which the standard leaves unsaid), or null where it is
/// not known, or known by a name that PROJ does not know. Fails where there is no PROJ to ask.
fn crs(field: &Field) -> Result<Value> {
    let told =
        field.metadata().get("ARROW:extension:metadata").and_then(|text| serde_json::from_str::<Value>(text).ok());
    Ok(match told.as_ref().and_then(|about| about.get("crs")) {
        Some(crs @ Value::Object(_)) => crs.clone(),
        Some(Value::String(name)) if name == "OGC:CRS84" || name == "EPSG:4326" => json!("OGC:CRS84"),
        Some(Value::String(name)) => {
            load()?;
            projjson(name).unwrap_or_default()
        }
        _ => Value::Null,
    })
}

/// A reference system known by its code (`EPSG:3067`, also with its name in brackets behind) or as WKT, as PROJJSON.
/// Never an address or a file, which PROJ would go and read. Blocks: PROJ reads its database.
fn projjson(definition: &str) -> Option<Value> {
    let code = definition.split(" (").next().unwrap_or_default().trim();
    let definition = if is_crs_code(code) { code } else { definition };
    if !is_crs_code(definition) && !definition.contains('[') {
        return None;
    }
    let (text, _) = quietly(|| SpatialRef::from_definition(definition)?.to_projjson());
    serde_json::from_str(&text.ok()?).ok().filter(Value::is_object)
}

fn shapes(all: impl Iterator<Item = Option<Geometry>>) -> BinaryArray {
    let mut built = BinaryBuilder::new();
    all.for_each(|one| built.append_option(one.as_ref().map(shape::to_wkb)));
    built.finish()
}

/// `Point`, `Polygon Z`.
fn type_of(shape: &Geometry, z: bool) -> String {
    let name = match shape {
        Geometry::Point(_) => "Point",
        Geometry::Line(_) | Geometry::LineString(_) => "LineString",
        Geometry::Polygon(_) | Geometry::Rect(_) | Geometry::Triangle(_) => "Polygon",
        Geometry::MultiPoint(_) => "MultiPoint",
        Geometry::MultiLineString(_) => "MultiLineString",
        Geometry::MultiPolygon(_) => "MultiPolygon",
        Geometry::GeometryCollection(_) => "GeometryCollection",
    };
    if z { format!("{name} Z") } else { name.to_owned() }
}
