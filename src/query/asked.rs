//! A statement whose tables are open: it is planned and run, once more where columns of text turned out to be wider
//! than they were taken for.

use super::faults::Faults;
use super::plain::Texts;
use super::running::Running;
use super::tally::Tally;
use super::{Engine, Steps, is_mixing, lost};
use crate::error::{Error, Kind, Result};
use crate::table::MOST_TRIES;
use crate::task::Control;
use datafusion::catalog::TableProvider;
use datafusion::sql::TableReference;
use datafusion::sql::parser::Statement;
use std::sync::Arc;

/// A statement that can be run. Clones share its tables.
#[derive(Clone)]
pub struct Asked {
    pub(super) engine: Engine,
    pub(super) question: Arc<Question>,
    pub(super) control: Control,
}

/// What is asked, and of what.
pub(super) struct Question {
    pub(super) sql: String,
    pub(super) statement: Statement,
    pub(super) tables: Vec<(String, Arc<dyn TableProvider>)>,
    pub(super) texts: Texts,
    pub(super) faults: Faults,
    pub(super) tally: Tally,
}

impl Question {
    /// Names of its tables, as they stand in it.
    pub(super) fn names(&self) -> Vec<String> {
        self.tables.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("sql", &self.question.sql).finish_non_exhaustive()
    }
}

impl Asked {
    /// Begins to run it; nothing is read further than the first rows until they are asked for.
    pub async fn run(&self) -> Result<Running> {
        let (logical, physical, tasks) = self.plan().await?;
        Running::start(self.clone(), physical, tasks, !is_mixing(&logical))
    }

    /// Runs it and has `each` take its rows; from the first row again whenever that ends because a column of text
    /// is wider than was known.
    pub async fn settled<T, F>(&self, mut each: impl FnMut(Running) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut tries = 0;
        loop {
            match each(self.run().await?).await {
                Err(err) if tries < MOST_TRIES && self.is_wider(&err)? => tries += 1,
                done => return done,
            }
        }
    }

    /// Whether it failed because columns of its tables are wider than when it was planned: then it can be run again.
    pub(super) fn is_wider(&self, err: &Error) -> Result<bool> {
        // A wider value that another reader met first is one that does not fit.
        let may_be = matches!(err.kind(), Kind::Changed | Kind::Invalid);
        Ok(may_be && self.question.texts.settle()?)
    }

    pub(super) async fn plan(&self) -> Result<Steps> {
        let Self { engine, question, control } = self;
        let context = engine.context()?;
        for (name, table) in &question.tables {
            context
                .register_table(TableReference::bare(name.as_str()), table.clone())
                .map_err(|err| question.faults.explain(err, &question.sql))?;
        }
        control.step("planning");
        let task = {
            let question = question.clone();
            engine.spawn(async move {
                let planned = super::plan(&context, question.statement.clone()).await;
                planned.map_err(|err| question.faults.explain(err, &question.sql))
            })
        };
        let steps = control.race(async { task.await.map_err(lost)? }).await?;
        control.step("");
        Ok(steps)
    }
}
