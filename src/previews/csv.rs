//! The first rows of delimited text: one ranged read, also of a packed file.

use crate::error::{Error, Kind, Result};
use crate::preview::{Ask, Column, Facts, Preview, Previewer, Probe, Table};
use crate::store::Stores;
use crate::table::csv::{Columns, Hints, Layout, Records, Unpack, delimiter_name, inspect};
use crate::text;
use arrow::array::Array as _;
use bytes::{Bytes, BytesMut};

/// CSV and TSV, plain, gzipped or zipped.
pub(super) const PREVIEWER: Previewer =
    Previewer { name: "csv", matches, load: |stores, ask| Box::pin(async move { load(&stores, &ask).await }) };

/// Bytes of the first read.
const FIRST: u64 = 256 << 10;
/// Columns shown where none are named; the table tells how many there are.
const MOST_COLUMNS: usize = 500;
/// Unpacked text that is looked at.
const MOST_TEXT: usize = 64 << 20;

fn matches(probe: &Probe) -> bool {
    let name = probe.location.name().to_lowercase();
    let name = name.split('?').next().unwrap_or_default();
    let stem = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zip")).unwrap_or(name);
    let media = probe.media_type.as_deref().and_then(|m| m.split(';').next()).unwrap_or_default().trim();
    let named = [".csv", ".tsv", ".tab"].iter().any(|suffix| stem.ends_with(suffix));
    (named || matches!(media, "text/csv" | "text/tab-separated-values")) && !probe.location.is_container()
}

async fn load(stores: &Stores, ask: &Ask) -> Result<Preview> {
    let (location, control) = (&ask.probe.location, &ask.control);
    let handle = control.race(stores.open(location, &control.meter)).await?;
    let head = control.race(handle.read_head(location, FIRST.min(ask.max_bytes))).await?;
    let mut bytes = BytesMut::from(head.bytes.as_ref());
    loop {
        let (read, wanted) = (bytes.len() as u64, ask.clone());
        let whole = read >= head.size;
        let so_far = Bytes::copy_from_slice(&bytes);
        let size = head.size;
        let table = control.blocking(move |_| table(&so_far, whole, size, &wanted)).await?;
        match table {
            Found::TooFew(_) if read < ask.max_bytes && !whole => {
                let end = head.size.min(ask.max_bytes).min(read.saturating_mul(4));
                bytes.extend_from_slice(&control.race(handle.read_range(location, read..end)).await?);
            }
            // Some rows are better than none.
            Found::Rows(table) | Found::TooFew(Some(table)) => return Ok(Preview::Table(*table)),
            Found::TooFew(None) => {
                let limit = text::bytes(ask.max_bytes);
                return Err(Error::new(Kind::Limit, format!("row {} is not within the first {limit}", ask.offset)));
            }
        }
    }
}

enum Found {
    Rows(Box<Table>),
    /// More must be read; the rows that there are.
    TooFew(Option<Box<Table>>),
}

/// The rows in the first bytes of a file.
fn table(bytes: &[u8], whole: bool, size: u64, ask: &Ask) -> Result<Found> {
    let (unpack, body, complete) = unpacked(bytes, whole)?;
    let layout = match inspect(&body, complete, &Hints::default()) {
        Ok(layout) if layout.rows > 0 || complete => layout,
        // The first row does not end yet.
        Ok(_) | Err(_) if !complete && body.len() < MOST_TEXT => return Ok(Found::TooFew(None)),
        Ok(layout) => layout,
        Err(err) => return Err(err),
    };
    let chosen = chosen(&layout, ask)?;
    let mut columns = Columns::new(&chosen, Hints::default().missing);
    let mut skip = ask.offset + u64::from(layout.dialect.header);
    let mut records = Records::new(layout.dialect.delimiter);
    let text = body.get(layout.dialect.skip..).unwrap_or_default();
    let rows = ask.rows;
    let mut each = |record: crate::table::csv::Record<'_>| {
        if skip > 0 {
            skip -= 1;
        } else if columns.rows() < rows {
            let misfit = |m| Error::invalid(format!("a field does not fit its column: {m:?}"));
            columns.push(record).map_err(misfit)?;
        }
        Ok(columns.rows() < rows)
    };
    let go_on = records.feed(text, &mut each)?;
    if go_on && complete {
        records.finish(&mut each)?;
    }
    let enough = columns.rows() >= rows || complete || body.len() >= MOST_TEXT;
    let batch = columns.take().map_err(|err| Error::invalid("the rows cannot be shown").with_source(err))?;
    if batch.num_rows() == 0 && !complete && rows > 0 {
        return Ok(Found::TooFew(None));
    }
    let shown = chosen
        .iter()
        .zip(batch.columns())
        .map(|((_, name, kind), values)| Column {
            name: name.clone(),
            kind: kind.label().to_owned(),
            nulls: (complete && batch.num_rows() as u64 == layout.rows).then(|| values.null_count() as u64),
            numeric: kind.is_numeric(),
            unit: None,
        })
        .collect();
    let table = Box::new(Table {
        facts: facts(&layout, unpack.name(), complete, size),
        columns: shown,
        batch,
        offset: ask.offset,
        total_rows: complete.then_some(layout.rows),
        total_columns: layout.names.len(),
        rows: None,
    });
    Ok(if enough { Found::Rows(table) } else { Found::TooFew(Some(table)) })
}

/// The text in the first bytes of a file, and whether that is all of it.
fn unpacked(bytes: &[u8], whole: bool) -> Result<(Unpack, Vec<u8>, bool)> {
    let mut unpack = Unpack::new();
    let (mut body, mut full) = (Vec::new(), false);
    for slice in bytes.chunks(64 << 10) {
        unpack.feed(slice, |piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
        full = body.len() >= MOST_TEXT;
        if full {
            break;
        }
    }
    if whole && !full {
        unpack.finish(|piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
    }
    Ok((unpack, body, whole && !full))
}

/// Index, name and type of the columns that are shown.
fn chosen(layout: &Layout, ask: &Ask) -> Result<Vec<(usize, String, crate::table::csv::Kind)>> {
    let all = layout.names.iter().cloned().zip(layout.kinds()).enumerate().map(|(i, (name, kind))| (i, name, kind));
    let all: Vec<_> = all.collect();
    let Some(wanted) = &ask.columns else { return Ok(all.into_iter().take(MOST_COLUMNS).collect()) };
    let find = |name: &String| {
        all.iter()
            .find(|(_, n, _)| n == name)
            .cloned()
            .ok_or_else(|| Error::usage(format!("there is no column `{name}`")).with_hint("see the first row"))
    };
    wanted.iter().map(find).collect()
}

fn facts(layout: &Layout, packing: &str, complete: bool, size: u64) -> Facts {
    let (columns, delimiter) = (layout.names.len(), delimiter_name(layout.dialect.delimiter));
    let format = if layout.dialect.delimiter == b'\t' { "TSV" } else { "CSV" };
    let s = if columns == 1 { "" } else { "s" };
    let mut title = format!("{format} {columns} column{s}");
    if complete {
        title.extend([" × ", &text::count(layout.rows), " rows"]);
    }
    if !packing.is_empty() {
        title.extend([", ", packing]);
    }
    let mut rows = vec![
        ("delimiter".to_owned(), delimiter),
        ("header".to_owned(), if layout.dialect.header { "yes" } else { "no" }.to_owned()),
        ("size".to_owned(), text::bytes(size)),
    ];
    if layout.ragged > 0 {
        let seen = text::count(layout.rows);
        rows.push(("uneven rows".to_owned(), format!("{} of the {seen} looked at", text::count(layout.ragged))));
    }
    if !complete {
        rows.push(("types".to_owned(), format!("by the first {} rows", text::count(layout.rows))));
    }
    Facts { title, rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;
    use crate::meter::Meter;
    use crate::store::{Options, UploadMeta};

    async fn preview(name: &str, body: Vec<u8>, set: impl FnOnce(&mut Ask)) -> (Result<Table>, u64) {
        let stores = Stores::new(Options::default());
        let location = Location::parse(&format!("memory:///{name}")).expect("location");
        let handle = stores.open(&location, stores.meter()).await.expect("opens");
        handle.put_object(location.key(), body.into(), &UploadMeta::default(), false).await.expect("put");
        let mut ask = Ask::new(Probe::new(location), Meter::new());
        set(&mut ask);
        assert!(matches(&ask.probe), "{name}");
        let meter = ask.control.meter.clone();
        let table = load(&stores, &ask).await.map(|preview| match preview {
            Preview::Table(table) => table,
            other => panic!("{other:?}"),
        });
        (table, meter.counts().requests)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("write");
        encoder.finish().expect("finish")
    }

    #[tokio::test]
    async fn first_rows_cost_one_request() {
        let rows = (0..100_000).map(|i| format!("{i},\"a, b\",{}.5\n", i % 90)).collect::<Vec<_>>().concat();
        let text = format!("id,name,lat\n{rows}").into_bytes();
        for (name, body) in [("a.csv", text.clone()), ("a.csv.gz", gzip(&text))] {
            let (table, requests) = preview(name, body, |ask| ask.rows = 10).await;
            let table = table.expect("rows");
            assert_eq!((table.batch.num_rows(), requests, table.total_rows), (10, 1, None), "{name}");
            let kinds: Vec<&str> = table.columns.iter().map(|c| c.kind.as_str()).collect();
            assert_eq!(kinds, ["i64", "text", "f64"]);
        }
        let (table, requests) = preview("b.csv", text.clone(), |ask| ask.offset = 60_000).await;
        let table = table.expect("later rows");
        assert_eq!((table.offset, table.batch.num_rows()), (60_000, 100));
        assert!(requests > 1);
        let (table, _) = preview("b.csv", text, |ask| ask.columns = Some(vec!["lat".into()])).await;
        let table = table.expect("one column");
        assert_eq!((table.columns.len(), table.total_columns), (1, 3));
    }

    #[tokio::test]
    async fn uneven_rows_and_no_rows_are_shown() {
        let (table, _) = preview("r.tsv", b"a\tb\tc\n1\t2\t3\n4\n5\t6\t7\t8\n".to_vec(), |_| {}).await;
        let table = table.expect("ragged");
        assert_eq!((table.batch.num_rows(), table.total_rows), (3, Some(3)));
        assert_eq!(table.columns[1].nulls, Some(1));
        let (table, _) = preview("h.csv", b"a,b\n".to_vec(), |_| {}).await;
        assert_eq!(table.expect("only a header").batch.num_rows(), 0);
        let (table, _) = preview("e.csv", Vec::new(), |_| {}).await;
        assert!(table.expect_err("empty").to_string().contains("empty"));
    }
}
