//! Which columns of a Parquet file are geometry, and what is known of them: from the `geo` metadata
//! (`GeoParquet` 1.0, 1.1 and the drafts before them), from Parquet's own GEOMETRY and GEOGRAPHY types,
//! and from `GeoArrow` extension names.

use ::parquet::basic::LogicalType;
use ::parquet::file::metadata::FileMetaData;
use arrow::datatypes::Schema;
use serde_json::Value;

/// How a geometry column is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Encoding {
    /// Well-Known Binary.
    Wkb,
    /// Well-Known Text: shown as it is.
    Wkt,
    /// A native `GeoArrow` encoding: `point` … `multipolygon`.
    Native(String),
}

/// A geometry column.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoColumn {
    /// Name of the root column.
    pub name: String,
    /// How it is stored.
    pub encoding: Encoding,
    /// Whether edges are geodesics.
    pub geography: bool,
    /// Reference system in words: `OGC:CRS84`, `EPSG:3067 (ETRS89 / TM35FIN)`, `unknown`.
    pub crs: String,
    /// Its definition as the file gives it: PROJJSON, WKT2, `EPSG:3067`. `None` where the file gives none, which
    /// in `GeoParquet` means longitude and latitude on WGS 84 (`crs` is `OGC:CRS84` then), or where it is
    /// unknown (`crs` is `unknown`).
    pub definition: Option<String>,
    /// Columns that hold the bounds of each row's geometry (`GeoParquet` 1.1).
    pub covering: Option<Covering>,
    /// Types as the metadata tell: `Point`, `MultiPolygon Z`. Empty: not told.
    pub types: Vec<String>,
    /// Bounds as the metadata tell: `xmin, ymin, [zmin,] xmax, ymax[, zmax]`.
    pub bbox: Vec<f64>,
}

/// Where the bounds of each row's geometry are: paths of leaf columns, `["bbox", "xmin"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covering {
    /// West.
    pub xmin: Vec<String>,
    /// South.
    pub ymin: Vec<String>,
    /// East.
    pub xmax: Vec<String>,
    /// North.
    pub ymax: Vec<String>,
}

/// What is known of a file's geometry.
#[derive(Clone, Debug, Default)]
pub struct Geo {
    /// `GeoParquet 1.1.0`, `Parquet GEOMETRY`; empty where there is none.
    pub standard: String,
    /// The geometry columns, the primary first.
    pub columns: Vec<GeoColumn>,
}

impl GeoColumn {
    /// What its type is called: `geometry`, or `geography` where edges are geodesics.
    pub fn kind(&self) -> &'static str {
        if self.geography { "geography" } else { "geometry" }
    }
}

impl Geo {
    /// The geometry column of this name.
    pub fn column(&self, name: &str) -> Option<&GeoColumn> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Reads what a file tells of its geometry.
    pub(crate) fn read(file: &FileMetaData, schema: &Schema) -> Self {
        let mut geo = Self::from_key(file).unwrap_or_default();
        geo.add_native(file);
        geo.add_extensions(schema);
        geo
    }

    /// What the fields of a schema tell by their extension names: the columns of a result.
    pub(crate) fn of_schema(schema: &Schema) -> Self {
        let mut geo = Self::default();
        geo.add_extensions(schema);
        geo
    }

    /// Columns that were found to be geometry though nothing tells so.
    pub(crate) fn of_text(standard: &str, mut columns: Vec<GeoColumn>) -> Self {
        super::written::sort(&mut columns);
        let standard = if columns.is_empty() { String::new() } else { standard.to_owned() };
        Self { standard, columns }
    }

    /// What the schema of an Arrow file tells: the key `geo` as in `GeoParquet`, and extension names.
    pub(crate) fn of_file(schema: &Schema) -> Self {
        let mut geo = schema.metadata().get("geo").and_then(|text| Self::from_text(text)).unwrap_or_default();
        geo.columns.retain(|column| schema.field_with_name(&column.name).is_ok());
        geo.add_extensions(schema);
        geo
    }

    fn from_key(file: &FileMetaData) -> Option<Self> {
        let pairs = file.key_value_metadata()?;
        Self::from_text(pairs.iter().find(|kv| kv.key == "geo")?.value.as_deref()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let primary = value.get("primary_column").and_then(Value::as_str).unwrap_or_default();
        let mut columns: Vec<GeoColumn> =
            value.get("columns")?.as_object()?.iter().map(|(name, column)| from_json(name, column)).collect();
        columns.sort_by_key(|c| c.name != primary);
        let version = value.get("version").or_else(|| value.get("schema_version")).and_then(Value::as_str);
        Some(Self { standard: format!("GeoParquet {}", version.unwrap_or("without version")), columns })
    }

    fn add_native(&mut self, file: &FileMetaData) {
        let schema = file.schema_descr();
        for i in 0..schema.num_columns() {
            let column = schema.column(i);
            let (crs, geography) = match column.logical_type_ref() {
                Some(LogicalType::Geometry { crs }) => (crs, false),
                Some(LogicalType::Geography { crs, .. }) => (crs, true),
                _ => continue,
            };
            let [name] = column.path().parts() else { continue };
            if self.standard.is_empty() {
                self.standard = format!("Parquet {}", if geography { "GEOGRAPHY" } else { "GEOMETRY" });
            }
            if self.column(name).is_none() {
                self.columns.push(GeoColumn {
                    name: name.clone(),
                    encoding: Encoding::Wkb,
                    geography,
                    crs: native_crs(crs.as_deref(), file).0,
                    definition: native_crs(crs.as_deref(), file).1,
                    covering: None,
                    types: Vec::new(),
                    bbox: Vec::new(),
                });
            }
        }
    }

    fn add_extensions(&mut self, schema: &Schema) {
        for field in schema.fields() {
            let Some(extension) = field.metadata().get("ARROW:extension:name") else { continue };
            let Some(kind) = extension.strip_prefix("geoarrow.").or((extension == "ogc.wkb").then_some("wkb")) else {
                continue;
            };
            if self.column(field.name()).is_some() {
                continue;
            }
            if self.standard.is_empty() {
                "GeoArrow".clone_into(&mut self.standard);
            }
            let meta = field.metadata().get("ARROW:extension:metadata");
            let meta: Value = meta.and_then(|m| serde_json::from_str(m).ok()).unwrap_or_default();
            self.columns.push(GeoColumn {
                name: field.name().clone(),
                encoding: encoding(kind),
                geography: meta.get("edges").is_some_and(|e| e != "planar"),
                crs: meta.get("crs").map_or_else(|| "unknown".to_owned(), crs_in_words),
                definition: meta.get("crs").and_then(definition),
                covering: None,
                types: Vec::new(),
                bbox: Vec::new(),
            });
        }
    }
}

fn encoding(name: &str) -> Encoding {
    match name.to_ascii_lowercase().as_str() {
        "wkb" => Encoding::Wkb,
        "wkt" => Encoding::Wkt,
        native => Encoding::Native(native.trim_start_matches("geoarrow.").to_owned()),
    }
}

fn from_json(name: &str, column: &Value) -> GeoColumn {
    let list = |key: &str| column.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    // Before 1.0 the key was `geometry_type`, one name or several.
    let mut types: Vec<String> = list("geometry_types").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    match column.get("geometry_type") {
        Some(Value::String(one)) if one != "Unknown" => types.push(one.clone()),
        Some(Value::Array(many)) => types.extend(many.iter().filter_map(Value::as_str).map(str::to_owned)),
        _ => {}
    }
    GeoColumn {
        name: name.to_owned(),
        encoding: encoding(column.get("encoding").and_then(Value::as_str).unwrap_or("WKB")),
        geography: column.get("edges").and_then(Value::as_str) == Some("spherical"),
        crs: column.get("crs").map_or_else(|| "OGC:CRS84".to_owned(), crs_in_words),
        definition: column.get("crs").and_then(definition),
        covering: column.get("covering").and_then(covering),
        types,
        bbox: list("bbox").iter().filter_map(Value::as_f64).collect(),
    }
}

/// A reference system as the file gives it; null and `""` are none.
fn definition(crs: &Value) -> Option<String> {
    match crs {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        other => Some(other.to_string()),
    }
}

/// Whether this is the code of a reference system, `EPSG:3067`, and nothing that could be an address or a file,
/// which PROJ would go and read.
pub(crate) fn is_crs_code(text: &str) -> bool {
    text.split_once(':').is_some_and(|(authority, code)| {
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !authority.is_empty() && authority.chars().all(name) && !code.is_empty() && code.chars().all(name)
    })
}

/// `{"bbox": {"xmin": ["bbox", "xmin"], …}}`.
fn covering(value: &Value) -> Option<Covering> {
    let bbox = value.get("bbox")?;
    let path = |key: &str| -> Option<Vec<String>> {
        let parts = bbox.get(key)?.as_array()?;
        let parts: Option<Vec<String>> = parts.iter().map(|p| p.as_str().map(str::to_owned)).collect();
        parts.filter(|p| !p.is_empty())
    };
    Some(Covering { xmin: path("xmin")?, ymin: path("ymin")?, xmax: path("xmax")?, ymax: path("ymax")? })
}

/// A reference system of Parquet's own types, in words and as it is defined: absent, `srid:…`,
/// `projjson:key`, PROJJSON, or a name.
fn native_crs(crs: Option<&str>, file: &FileMetaData) -> (String, Option<String>) {
    let Some(crs) = crs.filter(|c| !c.is_empty()) else { return ("OGC:CRS84".to_owned(), None) };
    if let Some(key) = crs.strip_prefix("projjson:") {
        let pairs = file.key_value_metadata().map_or(&[][..], Vec::as_slice);
        let text = pairs.iter().find(|kv| kv.key == key).and_then(|kv| kv.value.as_deref());
        if let Some(value) = text.and_then(|t| serde_json::from_str(t).ok()) {
            return (crs_in_words(&value), definition(&value));
        }
    }
    let words = match serde_json::from_str::<Value>(crs) {
        Ok(value @ Value::Object(_)) => crs_in_words(&value),
        _ => crs.to_owned(),
    };
    (words, Some(crs.to_owned()))
}

/// PROJJSON (or a string of the drafts: WKT2, `EPSG:4326`) in a few words; null is unknown.
pub(crate) fn crs_in_words(crs: &Value) -> String {
    match crs {
        Value::Object(_) => {
            let name = crs.get("name").and_then(Value::as_str).unwrap_or_default();
            let id = crs.get("id").and_then(|id| {
                let code = id.get("code")?;
                let code = code.as_str().map_or_else(|| code.to_string(), str::to_owned);
                Some(format!("{}:{code}", id.get("authority")?.as_str()?))
            });
            match id {
                Some(id) if name.is_empty() => id,
                Some(id) => format!("{id} ({name})"),
                None if name.is_empty() => "unnamed".to_owned(),
                None => name.to_owned(),
            }
        }
        // WKT: its first quoted word is the name.
        Value::String(text) if text.contains('[') => text.split('"').nth(1).unwrap_or(text).to_owned(),
        Value::String(text) => text.clone(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reference_systems_in_words() {
        assert_eq!(crs_in_words(&Value::Null), "unknown");
        let epsg = json!({"name": "ETRS89 / TM35FIN(E,N)", "id": {"authority": "EPSG", "code": 3067}});
        let told = from_json("g", &json!({"encoding": "WKB", "crs": epsg}));
        assert_eq!(told.definition.and_then(|d| serde_json::from_str(&d).ok()), Some(epsg.clone()));
        assert_eq!(from_json("g", &json!({"encoding": "WKB", "crs": null})).definition, None);
        assert_eq!(crs_in_words(&epsg), "EPSG:3067 (ETRS89 / TM35FIN(E,N))");
        assert_eq!(crs_in_words(&json!("GEOGCRS[\"WGS 84\",ENSEMBLE[]]")), "WGS 84");
        assert_eq!(from_json("g", &json!({"encoding": "WKB"})).crs, "OGC:CRS84");
    }

    #[test]
    fn the_columns_of_bounds_are_found() {
        let side = |key: &str| json!(["bbox", key]);
        let bbox = json!({"xmin": side("xmin"), "ymin": side("ymin"), "xmax": side("xmax"), "ymax": side("ymax")});
        let column = from_json("g", &json!({"encoding": "WKB", "covering": {"bbox": bbox}}));
        assert_eq!(column.covering.map(|c| c.ymax), Some(vec!["bbox".to_owned(), "ymax".to_owned()]));
        assert_eq!(from_json("g", &json!({"covering": {"bbox": {"xmin": []}}})).covering, None);
    }

    #[test]
    fn drafts_name_their_types_otherwise() {
        assert_eq!(from_json("g", &json!({"geometry_type": ["Polygon", "MultiPolygon"]})).types.len(), 2);
        assert_eq!(from_json("g", &json!({"encoding": "multipoint"})).encoding, Encoding::Native("multipoint".into()));
    }
}
