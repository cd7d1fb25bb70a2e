//! Delimited text as an open table.

use super::columns::Misfit;
use super::kind::{date, float, has_leading_zeros, is_lossy, time};
use super::{Columns, Ends, Hints, Kind, Layout, Missing, Record, Records, delimiter_name, inspect};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::store::Stores;
use crate::table::text::{Encoding, Fail, Form, Split as _, open};
use crate::table::written::{LOOKED_AT, written};
use crate::table::{Column, Geo, Open, Rows};
use crate::text;
use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Columns of a table that is one.
const MOST_COLUMNS: usize = 50_000;

/// Delimited text whose dialect was found.
pub(crate) struct Csv {
    delimiter: u8,
    encoding: Encoding,
    geo: Geo,
    types: Mutex<Arc<Types>>,
}

/// Names and types of the columns, as they are known now.
struct Types {
    names: Vec<String>,
    kinds: Vec<Kind>,
    schema: SchemaRef,
}

impl Types {
    fn new(names: Vec<String>, kinds: Vec<Kind>) -> Arc<Self> {
        let fields = names.iter().zip(&kinds).map(|(name, kind)| Field::new(name, kind.data_type(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Arc::new(Self { names, kinds, schema })
    }
}

/// Opens delimited text, however packed.
pub(crate) async fn open_csv(stores: Stores, asked: Open) -> Result<Arc<dyn Rows>> {
    let text = open(stores, asked, is_named, has_a_row).await?;
    let (sample, complete, encoding) = (text.sample.clone(), text.complete, text.encoding);
    let (layout, geo) = text
        .blocking(move || {
            let layout = look(&sample, complete, encoding)?;
            let geo = geometry(&sample, &layout, complete);
            Ok((layout, geo))
        })
        .await?;
    let mut facts = facts(&layout, text.complete, text.size, text.facts());
    facts.extend(geo.columns.iter().map(|column| (column.name.clone(), format!("geometry as text · {}", column.crs))));
    let delimiter = layout.dialect.delimiter;
    let title = if delimiter == b'\t' { "TSV" } else { "CSV" }.to_owned();
    let start = header_end(&text.sample, &layout) as u64;
    let kinds = layout.kinds();
    let form = Csv { delimiter, encoding: text.encoding, geo, types: Mutex::new(Types::new(layout.names, kinds)) };
    text.lines(form, Ends::new(delimiter), start, title, facts).await
}

/// Whether a name is one of delimited text.
pub(crate) fn is_named(name: &str) -> bool {
    let name = crate::table::text::base_name(name);
    [".csv", ".tsv", ".tab", ".psv"].iter().any(|suffix| name.ends_with(suffix))
}

/// Whether a header and a row end in it.
fn has_a_row(sample: &[u8]) -> bool {
    Ends::new(b',').feed(sample).0 >= 2
}

fn look(sample: &[u8], complete: bool, encoding: Encoding) -> Result<Layout> {
    let mut layout = inspect(sample, complete, &Hints::default())?;
    if layout.names.len() > MOST_COLUMNS {
        let (columns, limit) = (text::count(layout.names.len() as u64), text::count(MOST_COLUMNS as u64));
        return Err(Error::new(ErrorKind::Limit, format!("it has {columns} columns; {limit} are looked at")));
    }
    if encoding == Encoding::Windows1252 && layout.dialect.header {
        layout.rename(&super::sniff::header_names(sample, &layout, &super::windows_1252));
    }
    Ok(layout)
}

/// The columns whose first values are Well-Known Text.
fn geometry(sample: &[u8], layout: &Layout, complete: bool) -> Geo {
    let rows = super::sniff::first_rows(sample, layout, complete, LOOKED_AT);
    let column = |(at, (name, kind)): (usize, (&String, Kind))| {
        let values = rows.iter().filter_map(|row| row.get(at)).map(|field| std::str::from_utf8(field).unwrap_or("?"));
        (kind == Kind::Text).then(|| written(name, values)).flatten()
    };
    Geo::of_text("CSV with WKT", layout.names.iter().zip(layout.kinds()).enumerate().filter_map(column).collect())
}

/// Where the first row starts.
fn header_end(sample: &[u8], layout: &Layout) -> usize {
    let skip = layout.dialect.skip.min(sample.len());
    if !layout.dialect.header {
        return skip;
    }
    let mut ends = Ends::new(layout.dialect.delimiter);
    // Byte by byte: only the first end is wanted.
    for (at, byte) in sample.iter().enumerate().skip(skip) {
        if ends.feed(std::slice::from_ref(byte)).0 > 0 {
            return at + 1;
        }
    }
    sample.len()
}

fn facts(layout: &Layout, complete: bool, size: u64, more: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut rows = vec![
        ("delimiter".to_owned(), delimiter_name(layout.dialect.delimiter)),
        ("header".to_owned(), if layout.dialect.header { "yes" } else { "no" }.to_owned()),
        ("size".to_owned(), text::bytes(size)),
    ];
    rows.extend(more);
    if layout.ragged > 0 {
        let seen = text::count(layout.rows);
        rows.push(("uneven rows".to_owned(), format!("{} of the {seen} looked at", text::count(layout.ragged))));
    }
    if !complete {
        rows.push(("types".to_owned(), format!("by the first {} rows", text::count(layout.rows))));
    }
    rows
}

impl Csv {
    fn types(&self) -> Arc<Types> {
        self.types.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the column wide enough for a value; says what was found.
    fn widen(&self, names: &Types, misfit: &Misfit) -> Error {
        let mut types = self.types.lock().unwrap_or_else(PoisonError::into_inner);
        let was = types.kinds.get(misfit.column).copied().unwrap_or(Kind::Text);
        let known = names.kinds.get(misfit.column).copied().unwrap_or(Kind::Text);
        let wider = wider(was, misfit.field.trim().as_bytes());
        // Another thread may have made it wider already.
        if was == known {
            let mut kinds = types.kinds.clone();
            if let Some(kind) = kinds.get_mut(misfit.column) {
                *kind = wider;
            }
            *types = Types::new(types.names.clone(), kinds);
        }
        let name = names.names.get(misfit.column).map_or("", String::as_str);
        let field: String = misfit.field.chars().take(40).collect();
        Error::new(
            ErrorKind::Changed,
            format!("`{field}` in column `{name}` is not {}, as all were before", known.name()),
        )
        .with_hint(format!("try again: from now on the column is read as {}", wider.label()))
    }
}

/// The type that holds `field` too.
fn wider(kind: Kind, field: &[u8]) -> Kind {
    match kind {
        Kind::Int if !has_leading_zeros(field) && float(field).is_some_and(|v| !is_lossy(field, v)) => Kind::Float,
        Kind::Date if date(field).is_none() => match time(field) {
            Some((_, form)) if !form.zoned => Kind::Time { nanos: form.nanos, zoned: false },
            _ => Kind::Text,
        },
        Kind::Time { nanos: false, zoned } => match time(field) {
            Some((_, form)) if form.zoned == zoned && form.nanos => Kind::Time { nanos: true, zoned },
            _ => Kind::Text,
        },
        _ => Kind::Text,
    }
}

impl Form for Csv {
    type Split = Ends;

    fn schema(&self) -> SchemaRef {
        self.types().schema.clone()
    }

    fn columns(&self) -> Vec<Column> {
        let types = self.types();
        let column = |(name, kind): (&String, &Kind)| Column {
            name: name.clone(),
            kind: self.geo.column(name).map_or_else(|| kind.label().to_owned(), |g| g.kind().to_owned()),
            numeric: kind.is_numeric(),
            ..Column::default()
        };
        types.names.iter().zip(&types.kinds).map(column).collect()
    }

    fn geo(&self) -> Geo {
        self.geo.clone()
    }

    fn parse(
        &self,
        pieces: &[Bytes],
        _: u64,
        mut skip: usize,
        take: usize,
        columns: Option<&[usize]>,
    ) -> Result<RecordBatch, Fail> {
        let types = self.types();
        let all: Vec<usize>;
        let columns = if let Some(some) = columns {
            some
        } else {
            all = (0..types.names.len()).collect();
            &all
        };
        let of = |i: &usize| Some((*i, types.names.get(*i)?.clone(), *types.kinds.get(*i)?));
        let chosen: Vec<(usize, String, Kind)> = columns.iter().filter_map(of).collect();
        let mut made = Columns::new(&chosen, Missing::default());
        made.windows_1252 = self.encoding == Encoding::Windows1252;
        let mut records = Records::new(self.delimiter);
        let mut misfit = None;
        let mut each = |record: Record<'_>| {
            if skip > 0 {
                skip -= 1;
            } else if made.rows() < take {
                if let Err(err) = made.push(record) {
                    misfit = Some(err);
                    return Ok(false);
                }
                if made.text_bytes() > i32::MAX as usize {
                    return Err(Error::new(ErrorKind::Limit, "the rows asked for hold more than 2 GiB of text")
                        .with_hint("ask for fewer rows or columns"));
                }
            }
            Ok(made.rows() < take)
        };
        let mut go_on = take > 0;
        for piece in pieces {
            go_on = go_on && records.feed(piece, &mut each)?;
        }
        if go_on {
            records.finish(&mut each)?;
        }
        if let Some(misfit) = misfit {
            return Err(Fail::Widened(self.widen(&types, &misfit)));
        }
        let made = made.take().map_err(|err| Error::invalid("the rows cannot be shown").with_source(err))?;
        Ok(made)
    }
}
