//! Where geometry lies, row group by row group: from the bounds that `GeoParquet` 1.1 keeps beside it (its covering),
//! from the coordinates of native points, or from Parquet's own statistics of geometry. A filter that asks for an
//! area leaves out what cannot lie there before a byte of it is read.

use crate::table::{Encoding, GeoColumn};
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;
use geo::BoundingRect as _;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use serde_json::Value;
use std::ops::Range;

/// xmin, ymin, xmax, ymax.
pub(super) type Area = [f64; 4];

/// The leaf columns that hold the bounds of a geometry column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Covering {
    /// The geometry column.
    pub(super) column: String,
    /// Paths of the leaves of xmin, ymin, xmax, ymax; empty where only Parquet's own statistics may tell.
    leaves: Option<[String; 4]>,
}

/// What a file tells of where its geometry is.
pub(super) fn of(geo: &[GeoColumn], json: Option<&Value>) -> Vec<Covering> {
    geo.iter()
        .map(|column| {
            let name = &column.name;
            let told = json.and_then(|j| j.get("columns")?.get(name)?.get("covering")?.get("bbox"));
            let leaf = |side: &str| {
                let path = told?.get(side)?.as_array()?.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?;
                Some(path.join("."))
            };
            let leaves = match &column.encoding {
                Encoding::Native(kind) if kind == "point" => {
                    let (x, y) = (format!("{name}.x"), format!("{name}.y"));
                    Some([x.clone(), y.clone(), x, y])
                }
                _ => (|| Some([leaf("xmin")?, leaf("ymin")?, leaf("xmax")?, leaf("ymax")?]))(),
            };
            Covering { column: name.clone(), leaves }
        })
        .collect()
}

/// The areas that filters ask for, each with the number of its covering.
pub(super) fn boxes(filters: &[&Expr], coverings: &[Covering]) -> Vec<(usize, Area)> {
    let mut found = Vec::new();
    for filter in filters {
        gather(filter, coverings, &mut found);
    }
    found
}

fn gather(expr: &Expr, coverings: &[Covering], found: &mut Vec<(usize, Area)>) {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            gather(left, coverings, found);
            gather(right, coverings, found);
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Lt | Operator::LtEq, right }) => {
            if let (Expr::ScalarFunction(call), Some(far)) = (&**left, number(right))
                && call.func.name() == "st_distance"
                && let Some((column, area)) = column_and_shape(&call.args)
            {
                add(column, widened(area, far), coverings, found);
            }
        }
        Expr::ScalarFunction(call) => match (call.func.name(), call.args.as_slice()) {
            ("st_intersects_bbox", [Expr::Column(column), rest @ ..]) => {
                if let [Some(a), Some(b), Some(c), Some(d)] = rest.iter().map(number).collect::<Vec<_>>()[..] {
                    add(&column.name, [a, b, c, d], coverings, found);
                }
            }
            ("st_intersects" | "st_contains" | "st_within", args) => {
                if let Some((column, area)) = column_and_shape(args) {
                    add(column, area, coverings, found);
                }
            }
            ("st_dwithin", [a, b, far]) => {
                if let (Some((column, area)), Some(far)) = (column_and_shape([a, b]), number(far)) {
                    add(column, widened(area, far), coverings, found);
                }
            }
            _ => {}
        },
        _ => {}
    }
}

fn widened([a, b, c, d]: Area, far: f64) -> Area {
    [a - far, b - far, c + far, d + far]
}

fn add(column: &str, area: Area, coverings: &[Covering], found: &mut Vec<(usize, Area)>) {
    if let Some(at) = coverings.iter().position(|c| c.column == column) {
        found.push((at, area));
    }
}

fn number(expr: &Expr) -> Option<f64> {
    let Expr::Literal(value, _) = expr else { return None };
    match value.cast_to(&datafusion::arrow::datatypes::DataType::Float64).ok()? {
        ScalarValue::Float64(value) => value,
        _ => None,
    }
}

/// A column and the bounds of a shape that is written out, in either order.
fn column_and_shape<'a>(args: impl IntoIterator<Item = &'a Expr>) -> Option<(&'a str, Area)> {
    let args: Vec<&Expr> = args.into_iter().collect();
    let ([Expr::Column(column), Expr::Literal(literal, _)] | [Expr::Literal(literal, _), Expr::Column(column)]) =
        args.as_slice()
    else {
        return None;
    };
    let shape = super::shapes::shape_of(literal)?;
    let bounds = shape.bounding_rect()?;
    Some((&column.name, [bounds.min().x, bounds.min().y, bounds.max().x, bounds.max().y]))
}

/// Whether bounds from its first to its second number may hold something up to, or from, the third.
type Test = fn(f64, f64, f64) -> bool;

impl Covering {
    /// Leaves out of `plan` the row groups and pages that lie outside of `area`.
    pub(super) fn narrow(&self, plan: &mut ParquetAccessPlan, area: Area, metadata: &ParquetMetaData) {
        for (i, group) in metadata.row_groups().iter().enumerate() {
            if !plan.should_scan(i) {
                continue;
            }
            if self.is_outside(group, area) {
                plan.skip(i);
            } else if let Some(pages) = self.pages(metadata, i, area) {
                if pages.row_count() == 0 {
                    plan.skip(i);
                } else {
                    plan.scan_selection(i, pages);
                }
            }
        }
    }

    fn is_outside(&self, group: &RowGroupMetaData, [xmin, ymin, xmax, ymax]: Area) -> bool {
        let Some(leaves) = &self.leaves else { return self.is_outside_natively(group, [xmin, ymin, xmax, ymax]) };
        let range = |leaf: &str| {
            let chunk = group.columns().iter().find(|c| c.column_path().string() == leaf)?;
            extremes(chunk.statistics()?)
        };
        let low = |leaf: &str, limit: f64| range(leaf).is_some_and(|(min, _)| min > limit);
        let high = |leaf: &str, limit: f64| range(leaf).is_some_and(|(_, max)| max < limit);
        low(&leaves[0], xmax) || low(&leaves[1], ymax) || high(&leaves[2], xmin) || high(&leaves[3], ymin)
    }

    fn is_outside_natively(&self, group: &RowGroupMetaData, [xmin, ymin, xmax, ymax]: Area) -> bool {
        let chunk = group.columns().iter().find(|c| c.column_path().string() == self.column);
        let Some(bounds) = chunk.and_then(|c| c.geo_statistics()?.bounding_box()) else { return false };
        // A box that crosses the antimeridian has its west east of its east.
        let crosses = bounds.get_xmin() > bounds.get_xmax();
        (!crosses && (bounds.get_xmin() > xmax || bounds.get_xmax() < xmin))
            || bounds.get_ymin() > ymax
            || bounds.get_ymax() < ymin
    }

    /// The rows of a group whose pages may hold something of the area; `None` where no index tells.
    fn pages(&self, metadata: &ParquetMetaData, group: usize, [xmin, ymin, xmax, ymax]: Area) -> Option<RowSelection> {
        let leaves = self.leaves.as_ref()?;
        let below = |min: f64, _: f64, limit: f64| min <= limit;
        let above = |_: f64, max: f64, limit: f64| max >= limit;
        let tests: [(&str, f64, Test); 4] = [
            (&leaves[0], xmax, below),
            (&leaves[1], ymax, below),
            (&leaves[2], xmin, above),
            (&leaves[3], ymin, above),
        ];
        let mut selection: Option<RowSelection> = None;
        for (leaf, limit, may) in tests {
            let Some(rows) = rows_of_pages(metadata, group, leaf, |min, max| may(min, max, limit)) else { continue };
            selection = Some(selection.map_or_else(|| rows.clone(), |before| before.intersection(&rows)));
        }
        selection
    }
}

/// Smallest and largest value of floats; `None` where they are not told or are not numbers.
fn extremes(statistics: &Statistics) -> Option<(f64, f64)> {
    let (min, max) = match statistics {
        Statistics::Double(s) => (*s.min_opt()?, *s.max_opt()?),
        Statistics::Float(s) => (f64::from(*s.min_opt()?), f64::from(*s.max_opt()?)),
        _ => return None,
    };
    (!min.is_nan() && !max.is_nan()).then_some((min, max))
}

fn rows_of_pages(
    metadata: &ParquetMetaData,
    group: usize,
    leaf: &str,
    may: impl Fn(f64, f64) -> bool,
) -> Option<RowSelection> {
    let column = metadata.row_group(group).columns().iter().position(|c| c.column_path().string() == leaf)?;
    let index = metadata.column_index()?.get(group)?.get(column)?;
    let offsets = metadata.offset_index()?.get(group)?.get(column)?.page_locations();
    let total = metadata.row_group(group).num_rows().max(0).unsigned_abs() as usize;
    let bounds = |page: usize| -> Option<(f64, f64)> {
        match index {
            ColumnIndexMetaData::DOUBLE(i) => Some((*i.min_value(page)?, *i.max_value(page)?)),
            ColumnIndexMetaData::FLOAT(i) => Some((f64::from(*i.min_value(page)?), f64::from(*i.max_value(page)?))),
            _ => None,
        }
    };
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (page, at) in offsets.iter().enumerate() {
        let start = at.first_row_index.max(0).unsigned_abs() as usize;
        let end = offsets.get(page + 1).map_or(total, |next| next.first_row_index.max(0).unsigned_abs() as usize);
        if bounds(page).is_none_or(|(min, max)| min.is_nan() || max.is_nan() || may(min, max)) && start < end {
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => ranges.push(start..end),
            }
        }
    }
    Some(RowSelection::from_consecutive_ranges(ranges.into_iter(), total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_leaves_of_a_covering_are_found() {
        let column = |encoding| GeoColumn {
            name: "geometry".into(),
            encoding,
            geography: false,
            crs: String::new(),
            types: Vec::new(),
            bbox: Vec::new(),
            definition: None,
            covering: None,
        };
        let json = json!({"columns": {"geometry": {"covering": {"bbox": {
            "xmin": ["b", "x1"], "ymin": ["b", "y1"], "xmax": ["b", "x2"], "ymax": ["b", "y2"]}}}}});
        let found = of(&[column(Encoding::Wkb)], Some(&json));
        assert_eq!(found[0].leaves, Some(["b.x1", "b.y1", "b.x2", "b.y2"].map(str::to_owned)));
        assert_eq!(of(&[column(Encoding::Wkb)], None)[0].leaves, None);
        let native = of(&[column(Encoding::Native("point".into()))], None);
        assert_eq!(native[0].leaves.as_ref().map(|l| l[0].as_str()), Some("geometry.x"));
    }
}
