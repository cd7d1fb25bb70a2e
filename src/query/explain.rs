//! How a query would be done, and what it would read at most: nothing is read for it but footers.

use super::file::File;
use super::parquet::ParquetTable;
use crate::text;
use datafusion::catalog::TableProvider;
use datafusion::datasource::DefaultTableSource;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Lines of it: first what is read of each table, then the steps, the last first.
pub(super) fn lines(plan: &LogicalPlan, steps: &dyn ExecutionPlan) -> Vec<String> {
    let mut lines = Vec::new();
    reads(plan, &mut lines);
    if lines.is_empty() {
        lines.push("nothing is read".to_owned());
    }
    lines.push(String::new());
    lines.extend(displayable(steps).indent(false).to_string().lines().map(str::to_owned));
    lines
}

fn reads(plan: &LogicalPlan, lines: &mut Vec<String>) {
    if let LogicalPlan::TableScan(scan) = plan {
        let source = (scan.source.as_ref() as &dyn std::any::Any).downcast_ref::<DefaultTableSource>();
        let table: Option<&ParquetTable> =
            source.and_then(|s| (s.table_provider.as_ref() as &dyn std::any::Any).downcast_ref());
        let mut columns: BTreeSet<String> = scan.projected_schema.fields().iter().map(|f| f.name().clone()).collect();
        columns.extend(scan.filters.iter().flat_map(|f| f.column_refs().into_iter().map(|c| c.name.clone())));
        let name = scan.table_name.table();
        if let Some(table) = table {
            lines.push(parquet(name, table, &columns))
        } else {
            let listed = some(&columns);
            lines.push(format!("{name}: read from end to end, {} of its columns: {listed}", columns.len()));
        }
        for filter in &scan.filters {
            lines.push(format!("  only where {filter}").replace(&format!("{name}."), ""));
        }
        if let Some(limit) = scan.fetch {
            lines.push(format!("  no more than the first {} rows", text::count(limit as u64)));
        }
    }
    for input in plan.inputs() {
        reads(input, lines);
    }
}

fn some(columns: &BTreeSet<String>) -> String {
    let names: Vec<&str> = columns.iter().take(8).map(String::as_str).collect();
    let more = if columns.len() > 8 { ", …" } else { "" };
    if names.is_empty() { "none".to_owned() } else { format!("{}{more}", names.join(", ")) }
}

fn parquet(name: &str, table: &ParquetTable, columns: &BTreeSet<String>) -> String {
    let files = &table.files;
    let known: Vec<&Arc<File>> = files.iter().filter(|file| file.footer_now().is_some()).collect();
    let (mut bytes, mut whole, mut groups, mut rows) = (0, 0, 0, 0);
    for footer in known.iter().filter_map(|file| file.footer_now()) {
        whole += footer.size;
        for group in footer.metadata.row_groups() {
            groups += 1;
            rows += group.num_rows().max(0).unsigned_abs();
            for chunk in group.columns() {
                let root = chunk.column_path().parts().first();
                if root.is_some_and(|root| columns.contains(root)) {
                    bytes += chunk.compressed_size().max(0).unsigned_abs();
                }
            }
        }
    }
    let of = if files.len() == 1 { String::new() } else { format!("{} files, ", text::count(files.len() as u64)) };
    let all = table.schema().fields().len();
    let groups = format!("{} row group{}", text::count(groups), if groups == 1 { "" } else { "s" });
    format!(
        "{name}: {of}{} rows in {groups}; of {all} columns {} ({}): at most {} of {}",
        text::count(rows),
        columns.len(),
        some(columns),
        text::bytes(bytes),
        text::bytes(whole),
    )
}
