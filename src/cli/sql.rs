//! `sql`: asks tables anywhere, prints the rows or writes them.

use super::out;
use crate::error::{Context as _, Error, Kind, Result};
use crate::job::JobSpec;
use crate::jobs;
use crate::location::Location;
use crate::query::{Engine, Reading, Running, Settings, parse_bytes};
use crate::store::Stores;
use crate::table::{Geo, format_cell, json_rows, with_wkt};
use crate::task::Control;
use crate::text;
use arrow::array::RecordBatch;
use serde_json::json;
use std::cell::Cell;
use std::io::Read as _;

/// Rows of a table that is printed, where nobody said a number.
const ROWS: usize = 100;
/// Characters of a printed cell.
const WIDEST: usize = 60;

/// Options of `sql`. Tables are locations in quotes: files, folders of files (`year=2024/` in their paths are
/// columns), patterns such as 's3://bucket/prefix/*.parquet'.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The SQL; `-` reads it from stdin
    pub sql: String,
    /// Rows at most; 0 for all [default: 100 for a table, all with --json]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Memory for sorting, grouping and joining, such as 512M; what needs more goes to disk [default: a quarter, at most 2G]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Write the result here instead: Parquet (GeoParquet where there is geometry), CSV or NDJSON
    #[arg(long, value_name = "LOCATION")]
    pub out: Option<String>,
    /// The format to write, instead of the one that the suffix tells: parquet, csv, ndjson
    #[arg(long, value_name = "FORMAT", requires = "out")]
    pub to: Option<String>,
    /// If something stands there: fail, skip, overwrite, rename, ask
    #[arg(long, value_name = "RULE", default_value = "fail", hide_possible_values = true, value_parser = ["fail", "skip", "overwrite", "rename", "ask"])]
    pub if_exists: String,
}

/// Runs it.
pub(super) async fn run(stores: Stores, args: Args, json: bool) -> Result<()> {
    let sql = if args.sql == "-" { from_stdin()? } else { args.sql.clone() };
    let memory = args.memory.as_deref().map(parse_bytes).transpose()?;
    if let Some(out) = &args.out {
        let params = json!({
            "sql": &sql,
            "destination": Location::parse(out)?,
            "to": args.to,
            "if_exists": args.if_exists.parse::<crate::transfer::IfExists>()?,
            "memory": memory,
        });
        return super::jobs::run(stores, jobs::from_spec(JobSpec { kind: "query".into(), params })?, json).await;
    }
    let engine = Engine::new(stores.clone(), Settings::here().with_memory(memory))?;
    let control = Control::new(stores.meter().child());
    let asked = engine.ask(&sql, &control).await?;
    let limit = match args.limit {
        Some(0) => usize::MAX,
        Some(limit) => limit,
        None if json => usize::MAX,
        None => ROWS,
    };
    if !json {
        return asked.settled(|running| print(running, limit)).await;
    }
    // Rows that were printed are not printed again where columns turn out to be wider.
    let printed = Cell::new(0);
    asked.settled(|running| print_json(running, limit, &printed)).await
}

fn from_stdin() -> Result<String> {
    let mut sql = String::new();
    std::io::stdin().take(1 << 20).read_to_string(&mut sql).context(|| "reading SQL from stdin".into())?;
    Ok(sql)
}

async fn print_json(mut running: Running, limit: usize, printed: &Cell<usize>) -> Result<()> {
    if printed.get() > 0 && !running.is_ordered() {
        return Err(Error::new(Kind::Changed, "a column turned out to be wider when rows had been printed already")
            .with_hint("write the result to a file: --out result.ndjson"));
    }
    let geo = running.geo();
    let mut seen = 0;
    while printed.get() < limit
        && let Some(batch) = running.next().await?
    {
        let skip = printed.get().saturating_sub(seen).min(batch.num_rows());
        seen += batch.num_rows();
        let batch = batch.slice(skip, (batch.num_rows() - skip).min(limit - printed.get()));
        printed.set(printed.get() + batch.num_rows());
        let mut lines = String::new();
        for row in json_rows(&with_wkt(&batch, &geo)) {
            lines.push_str(&out::harmless(&row.to_string()));
            lines.push('\n');
        }
        out::bytes(lines.as_bytes())?;
    }
    out::say_json(&json!({ "rows": printed.get(), "cost": running.reading() }));
    Ok(())
}

async fn print(mut running: Running, limit: usize) -> Result<()> {
    let geo = running.geo();
    let (mut batches, mut rows) = (Vec::new(), 0);
    let mut more = false;
    while let Some(batch) = running.next().await? {
        if rows == limit {
            more = batch.num_rows() > 0;
            break;
        }
        let taken = batch.num_rows().min(limit - rows);
        more = taken < batch.num_rows();
        rows += taken;
        batches.push(with_wkt(&batch.slice(0, taken), &geo));
        if more {
            break;
        }
    }
    table(&running, &geo, &batches)?;
    let what = if more { "more than " } else { "" };
    let s = if rows == 1 { "" } else { "s" };
    let hint = if more { "; --limit 0 shows all, --out writes them" } else { "" };
    out::say(&format!("{what}{} row{s}{hint}", text::count(rows as u64)));
    said(&running.reading());
    Ok(())
}

fn said(reading: &Reading) {
    out::say(&reading.to_string());
}

/// Columns side by side: names, then rows; numbers to the right.
fn table(running: &Running, geo: &Geo, batches: &[RecordBatch]) -> Result<()> {
    let fields = running.schema().fields();
    let is_plan = fields.first().is_some_and(|f| f.name() == "plan_type");
    let numeric: Vec<bool> =
        fields.iter().map(|f| f.data_type().is_numeric() && geo.column(f.name()).is_none()).collect();
    let mut lines: Vec<Vec<String>> = vec![fields.iter().map(|f| text::clean(f.name()).into_owned()).collect()];
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cell = |column| {
                let cell = format_cell(batch, row, column);
                if is_plan { cell } else { text::fit(&text::clean(&cell), WIDEST).into_owned() }
            };
            lines.push((0..batch.num_columns()).map(cell).collect());
        }
    }
    if is_plan {
        let steps = lines.iter().skip(1).flat_map(|cells| cells.iter().flat_map(|c| c.lines().map(str::to_owned)));
        return steps.collect::<Vec<_>>().iter().try_for_each(|line| out::line(&text::clean(line)));
    }
    let widths: Vec<usize> =
        (0..fields.len()).map(|c| lines.iter().map(|cells| text::width(&cells[c])).max().unwrap_or(0)).collect();
    for (i, cells) in lines.iter().enumerate() {
        let mut line = String::new();
        for (c, cell) in cells.iter().enumerate() {
            let pad = " ".repeat(widths[c].saturating_sub(text::width(cell)));
            let gap = if c + 1 == cells.len() { "" } else { "  " };
            if numeric[c] {
                line.extend([&pad, cell.as_str(), gap]);
            } else {
                line.extend([cell.as_str(), &pad, gap]);
            }
        }
        out::line(line.trim_end())?;
        if i == 0 {
            let rule = if out::is_unicode() { "─" } else { "-" };
            let rules: Vec<String> = widths.iter().map(|w| rule.repeat(*w)).collect();
            out::line(&rules.join("  "))?;
        }
    }
    if fields.is_empty() {
        return Err(Error::usage("the result has no columns"));
    }
    Ok(())
}
