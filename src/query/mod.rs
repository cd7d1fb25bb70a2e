//! SQL over tables anywhere, by `DataFusion`: an [`Engine`] that plans and runs it within a stated memory, and
//! results that are a table like any other ([`Answer`]).
//!
//! | file | what it knows |
//! |---|---|
//! | `names` | the SQL itself: what it reads, how its columns are spelled |
//! | `open` | from a location to a table: a file, a folder with partitions in its paths, a pattern |
//! | `parquet`, `file`, `covering` | Parquet: footers, ranges, statistics, what an area leaves out |
//! | `plain` | all other formats, through [`crate::table::Rows`] |
//! | `spatial`, `shapes` | functions over geometry; what they are given |
//! | `asked` | a statement with its tables, planned again where their columns turn out wider |
//! | `running`, `answer`, `tally` | rows as they come, kept for looking at; what they cost |
//! | `words` | functions and keywords for completion |
//! | `explain` | what would be read |
//! | `faults` | sentences |
//!
//! Work that needs a processor runs on threads of the engine's own, so that keys are answered meanwhile; requests
//! run where the engine was asked, as all others do.

use crate::error::{Context as _, Error, Kind, Result};
use crate::location::Location;
use crate::store::Stores;
use crate::table::Rows;
use crate::task::{Control, SQL};
use asked::Question;
use datafusion::catalog::TableProvider;
use datafusion::execution::TaskContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use faults::Faults;
use file::Footers;
use plain::Texts;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tally::Tally;
use tokio::runtime::Runtime;

mod answer;
mod asked;
mod covering;
mod explain;
mod faults;
mod file;
mod names;
mod open;
mod parquet;
mod plain;
mod running;
mod settings;
mod shapes;
mod spatial;
mod tally;
mod words;

pub use answer::Answer;
pub use asked::Asked;
pub use names::{order_by, table as table_name};
pub use running::Running;
pub use settings::{Settings, parse_bytes};
pub use tally::Reading;
pub use words::{Word, WordKind, completions, functions, mentioned};

/// Stack of a thread that plans: SQL may nest.
const STACK: usize = 32 << 20;
/// Rows of a batch.
const BATCH: usize = 8_192;

/// Runs SQL. Clones share memory, threads and what was learned of files.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    stores: Stores,
    settings: Settings,
    footers: Footers,
    pool: Arc<dyn MemoryPool>,
    /// `None` only while it is dropped.
    worker: Option<Runtime>,
    folder: OnceLock<tempfile::TempDir>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Waiting for threads is not allowed where other work runs.
        if let Some(worker) = self.worker.take() {
            worker.shutdown_background();
        }
    }
}

/// What SQL may be run over besides locations.
#[derive(Clone, Debug)]
pub enum Source {
    /// A table somewhere: read as SQL reads it, with all that is left out.
    At(Location),
    /// A table that is open already.
    Open(Arc<dyn Rows>),
}

/// A column to be sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its name, as the table spells it.
    pub column: String,
    /// Largest first.
    pub descending: bool,
}

/// The name of the table that [`Engine::filter`] asks.
const THIS: &str = "this table";

impl Engine {
    /// An engine with these limits.
    pub fn new(stores: Stores, settings: Settings) -> Result<Self> {
        let worker = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.threads.max(1))
            .max_blocking_threads(64)
            .thread_name(SQL)
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .context(|| "starting threads for SQL".into())?;
        let pool = FairSpillPool::new(usize::try_from(settings.memory).unwrap_or(usize::MAX));
        let pool = TrackConsumersPool::new(pool, NonZeroUsize::MIN);
        Ok(Self(Arc::new(Inner {
            stores,
            settings,
            footers: Footers::default(),
            pool: Arc::new(pool),
            worker: Some(worker),
            folder: OnceLock::new(),
        })))
    }

    /// Its limits.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Forgets what was learned of files.
    pub fn forget(&self) {
        self.0.footers.clear();
    }

    /// Plans one statement and begins to run it; nothing is read further than the first rows until they are asked
    /// for. `control` counts, and stops it.
    pub async fn run(&self, sql: &str, control: &Control) -> Result<Running> {
        self.ask(sql, control).await?.run().await
    }

    /// Rows of a table that fulfil a condition (all, where it is empty), in an order. Rows that are not sorted come
    /// as they stand in the table.
    pub async fn filter(
        &self,
        source: &Source,
        condition: &str,
        order: &[Order],
        control: &Control,
    ) -> Result<Running> {
        let condition = condition.trim();
        let mut sql = format!("SELECT * FROM {}", names::quoted(THIS));
        if !condition.is_empty() {
            sql.push_str(faults::FILTER);
            sql.push_str(condition);
            sql.push_str("\n)");
        }
        sql.push_str(&order_by(order));
        self.ask_over(&sql, &[(THIS, source)], control).await?.run().await
    }

    /// What one statement would read at most, and its steps; reads no more than footers and first lines.
    pub async fn explain(&self, sql: &str, control: &Control) -> Result<Vec<String>> {
        let asked = self.ask(sql, control).await?;
        let (logical, physical, _) = asked.plan().await?;
        let lines = explain::lines(&logical, physical.as_ref());
        Ok(lines.into_iter().map(|line| bare(&line, &asked.question.names())).collect())
    }

    /// Columns of a table that SQL names, with their types in words.
    pub async fn columns(&self, table: &str, control: &Control) -> Result<Vec<(String, String)>> {
        let asked = self.ask(&format!("SELECT * FROM {}", names::quoted(table)), control).await?;
        let Some((_, table)) = asked.question.tables.first() else { return Ok(Vec::new()) };
        let schema = table.schema();
        let geo = crate::table::Geo::of_schema(&schema);
        let kind = |field: &datafusion::arrow::datatypes::Field| match geo.column(field.name()) {
            Some(shape) => shape.kind().to_owned(),
            None => crate::table::type_name(field.data_type()),
        };
        Ok(schema.fields().iter().map(|field| (field.name().clone(), kind(field))).collect())
    }

    /// Opens what one statement reads, to be run once or several times.
    pub async fn ask(&self, sql: &str, control: &Control) -> Result<Asked> {
        self.ask_over(sql, &[], control).await
    }

    async fn ask_over(&self, sql: &str, given: &[(&str, &Source)], control: &Control) -> Result<Asked> {
        let mut parsed = names::parse(sql)?;
        let (faults, tally, texts) = (Faults::default(), Tally::default(), Texts::default());
        let opening = open::Opening {
            stores: self.0.stores.clone(),
            control: control.clone(),
            footers: self.0.footers.clone(),
            faults: faults.clone(),
            tally: tally.clone(),
            texts: texts.clone(),
            folder: self.0.settings.folder.clone(),
        };
        control.step("opening tables");
        let mut tables: Vec<(String, Arc<dyn TableProvider>)> = Vec::new();
        for name in &parsed.tables {
            let table = match given.iter().find(|(given, _)| given == name) {
                Some((_, Source::Open(rows))) => opening.given(rows.clone())?,
                Some((_, Source::At(location))) => opening.at(location).await?,
                None => opening.table(name).await?,
            };
            tables.push((name.clone(), table));
        }
        let columns = tables.iter().flat_map(|(_, table)| columns_of(table.as_ref()));
        names::respell(&mut parsed.statement, columns.collect::<Vec<_>>().into_iter());
        let question = Question { sql: sql.to_owned(), statement: parsed.statement, tables, texts, faults, tally };
        Ok(Asked { engine: self.clone(), question: Arc::new(question), control: control.clone() })
    }

    fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> tokio_util::task::AbortOnDropHandle<T> {
        // The runtime is there as long as the engine is.
        let handle = self.0.worker.as_ref().map_or_else(tokio::runtime::Handle::current, |w| w.handle().clone());
        tokio_util::task::AbortOnDropHandle::new(handle.spawn(future))
    }

    /// A folder of its own for what does not fit into memory; gone with the engine.
    fn folder(&self) -> Result<&Path> {
        if let Some(folder) = self.0.folder.get() {
            return Ok(folder.path());
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix("secchi-sql-");
        let made = match &self.0.settings.temporary {
            Some(folder) => builder.tempdir_in(folder),
            None => builder.tempdir(),
        };
        let made = made.context(|| "making a temporary folder for SQL".into())?;
        Ok(self.0.folder.get_or_init(|| made).path())
    }

    fn context(&self) -> Result<SessionContext> {
        let settings = &self.0.settings;
        let mut config = SessionConfig::new()
            .with_target_partitions(settings.threads.max(1))
            .with_batch_size(BATCH)
            .with_information_schema(false);
        let options = config.options_mut();
        options.sql_parser.enable_ident_normalization = false;
        options.sql_parser.collect_spans = true;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        options.execution.parquet.bloom_filter_on_read = true;
        // What a sort keeps for merging what it wrote to disk must leave it room to sort.
        let kept = usize::try_from(settings.memory / 16).unwrap_or(usize::MAX);
        options.execution.sort_spill_reservation_bytes = kept.min(10 << 20);
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![self.folder()?.to_owned()]))
            .with_max_temp_directory_size(settings.disk);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(self.0.pool.clone())
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|err| Faults::default().explain(err, ""))?;
        let nowhere = url::Url::parse(parquet::NOWHERE).map_err(|err| Error::new(Kind::Failed, err.to_string()))?;
        runtime.register_object_store(&nowhere, Arc::new(object_store::memory::InMemory::new()));
        let state =
            SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
        let context = SessionContext::new_with_state(state);
        for function in spatial::functions() {
            context.register_udf(function);
        }
        Ok(context)
    }
}

fn lost(err: tokio::task::JoinError) -> Error {
    Error::new(Kind::Failed, "a worker of the query failed").with_source(err)
}

/// Columns and their fields, as they are spelled.
fn columns_of(table: &dyn TableProvider) -> Vec<String> {
    use datafusion::arrow::datatypes::DataType;
    let mut names = Vec::new();
    for field in table.schema().fields() {
        names.push(field.name().clone());
        if let DataType::Struct(inner) = field.data_type() {
            names.extend(inner.iter().map(|f| f.name().clone()));
        }
    }
    names
}

/// A name or a step without the addresses of its tables.
fn bare(text: &str, tables: &[String]) -> String {
    tables.iter().fold(text.to_owned(), |text, table| text.replace(&format!("{table}."), ""))
}

type Steps = (LogicalPlan, Arc<dyn ExecutionPlan>, Arc<TaskContext>);

async fn plan(
    context: &SessionContext,
    statement: datafusion::sql::parser::Statement,
) -> datafusion::error::Result<Steps> {
    let mut state = context.state();
    let logical = state.statement_to_plan(statement).await?;
    // Rows come in the order of their files where one after the other is read; what mixes them anyway goes abreast.
    if !is_mixing(&logical) {
        state.config_mut().options_mut().execution.target_partitions = 1;
    }
    let logical = state.optimize(&logical)?;
    let physical = state.query_planner().create_physical_plan(&logical, &state).await?;
    Ok((logical, physical, state.task_ctx()))
}

/// Whether a plan groups, sorts or joins.
fn is_mixing(plan: &LogicalPlan) -> bool {
    let here = matches!(
        plan,
        LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Distinct(_)
    );
    here || plan.inputs().into_iter().any(is_mixing)
}
