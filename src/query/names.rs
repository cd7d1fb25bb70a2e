//! Names in SQL: tables are locations, columns are found whatever their case.

use super::{Order, faults};
use crate::error::{Error, Result};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SetExpr, Statement as Sql, TableAlias, TableFactor, VisitMut as _, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

/// SQL longer than this is not what a person writes.
const LONGEST: usize = 1 << 20;
/// Levels of brackets.
const DEEPEST: usize = 64;

/// One statement that reads, and the tables that it names.
pub(super) struct Parsed {
    pub(super) statement: Statement,
    /// As they are written, without quotes.
    pub(super) tables: Vec<String>,
}

/// Reads one statement. Whatever would change something is refused.
pub(super) fn parse(sql: &str) -> Result<Parsed> {
    if sql.len() > LONGEST {
        return Err(Error::usage("the SQL is longer than 1 MiB"));
    }
    let explain = |err| faults::Faults::default().explain(err, sql);
    let dialect = GenericDialect {};
    let parser = DFParserBuilder::new(sql).with_dialect(&dialect).with_recursion_limit(DEEPEST).build();
    let mut statements = parser.and_then(|mut p| p.parse_statements()).map_err(explain)?;
    let statement = match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => statement,
        (None, _) => {
            return Err(Error::usage("there is no SQL to run").with_hint("SELECT * FROM 's3://bucket/file.parquet'"));
        }
        (Some(_), false) => {
            return Err(Error::usage("there is more than one statement").with_hint("run them one after the other"));
        }
    };
    let reads = match &statement {
        Statement::Statement(inner) => is_read(inner),
        Statement::Explain(inner) => matches!(&*inner.statement, Statement::Statement(inner) if is_read(inner)),
        _ => false,
    };
    if !reads {
        return Err(Error::usage("only statements that read are run: SELECT, WITH, VALUES, EXPLAIN")
            .with_hint("to write a result, name where it goes: --out LOCATION"));
    }
    let (tables, _) = resolve_table_references(&statement, false).map_err(explain)?;
    let tables: BTreeSet<String> = tables.iter().map(|t| t.table().to_owned()).collect();
    Ok(Parsed { statement, tables: tables.into_iter().collect() })
}

fn is_read(statement: &Sql) -> bool {
    match statement {
        Sql::Query(query) => !writes(&query.body),
        _ => false,
    }
}

fn writes(body: &SetExpr) -> bool {
    match body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => true,
        SetExpr::Query(query) => writes(&query.body),
        SetExpr::Select(select) => select.into.is_some(),
        _ => false,
    }
}

/// Spells unquoted names as the tables do: `H_MEAN` where there is only `h_mean`.
pub(super) fn respell(statement: &mut Statement, columns: impl Iterator<Item = String>) {
    let mut known = Known::default();
    columns.for_each(|name| known.add(&name));
    let inner = match statement {
        Statement::Statement(inner) => inner,
        Statement::Explain(explain) => match &mut *explain.statement {
            Statement::Statement(inner) => inner,
            _ => return,
        },
        _ => return,
    };
    // First what the statement itself names, then every use.
    let _ = inner.visit(&mut Names(&mut known));
    let _ = inner.visit(&mut Uses(&known));
}

/// Names by their lower case.
#[derive(Default)]
struct Known(HashMap<String, BTreeSet<String>>);

impl Known {
    fn add(&mut self, name: &str) {
        self.0.entry(name.to_lowercase()).or_default().insert(name.to_owned());
    }

    fn spell(&self, ident: &mut Ident) {
        if ident.quote_style.is_some() {
            return;
        }
        let Some(spellings) = self.0.get(&ident.value.to_lowercase()) else { return };
        if let (false, Some(only), 1) = (spellings.contains(&ident.value), spellings.first(), spellings.len()) {
            ident.value.clone_from(only);
        }
    }
}

/// Collects aliases of tables and columns.
struct Names<'a>(&'a mut Known);

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = &*query.body {
            for item in &select.projection {
                if let SelectItem::ExprWithAlias { alias, .. } = item {
                    self.0.add(&alias.value);
                }
            }
        }
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.alias(&cte.alias);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let alias = match factor {
            TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => alias.as_ref(),
            _ => None,
        };
        if let Some(alias) = alias {
            self.alias(&alias.clone());
        }
        ControlFlow::Continue(())
    }
}

impl Names<'_> {
    fn alias(&mut self, alias: &TableAlias) {
        self.0.add(&alias.name.value);
        alias.columns.iter().for_each(|c| self.0.add(&c.name.value));
    }
}

struct Uses<'a>(&'a Known);

impl VisitorMut for Uses<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.0.spell(ident),
            Expr::CompoundIdentifier(parts) => parts.iter_mut().for_each(|part| self.0.spell(part)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// A name as SQL quotes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The clause of an order, ` ORDER BY "depth" DESC NULLS LAST`; empty where there is none.
pub fn order_by(order: &[Order]) -> String {
    let by =
        |order: &Order| format!("{}{} NULLS LAST", quoted(&order.column), if order.descending { " DESC" } else { "" });
    let all: Vec<String> = order.iter().map(by).collect();
    if all.is_empty() { String::new() } else { format!(" ORDER BY {}", all.join(", ")) }
}

/// A location as a table's name in SQL: `'s3://bucket/x.parquet'`.
pub fn table(location: &str) -> String {
    format!("'{}'", location.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_found_and_writing_is_refused() {
        let parsed = parse("WITH t AS (SELECT * FROM 's3://b/k''s.parquet') SELECT * FROM t JOIN './x.csv' USING (id)");
        assert_eq!(parsed.expect("parses").tables, ["./x.csv", "s3://b/k's.parquet"]);
        for sql in [
            "DROP TABLE x",
            "COPY x TO 'y'",
            "INSERT INTO x VALUES (1)",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'x'",
            "SELECT 1; SELECT 2",
            "",
            "SET datafusion.execution.batch_size = 1",
        ] {
            assert!(parse(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn names_are_spelled_as_the_table_does() {
        let spelled = |sql: &str| {
            let mut parsed = parse(sql).expect(sql);
            let columns = ["h_mean", "G2Latitude", "a", "A"].map(str::to_owned);
            respell(&mut parsed.statement, columns.into_iter());
            parsed.statement.to_string()
        };
        assert_eq!(
            spelled("SELECT H_Mean, g2latitude AS Lat, \"H_MEAN\" FROM x AS T WHERE t.H_MEAN > A ORDER BY lat"),
            "SELECT h_mean, G2Latitude AS Lat, \"H_MEAN\" FROM x AS T WHERE T.h_mean > A ORDER BY Lat"
        );
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(table("s3://b/it's.csv"), "'s3://b/it''s.csv'");
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
