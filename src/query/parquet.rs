//! A table of one or many Parquet files, as `DataFusion` plans it: statistics from the footers, hive partitions from
//! the paths, and row groups left out by where their geometry lies.

use super::covering::{self, Covering};
use super::file::{File, Opener};
use super::plain::limited;
use super::tally::Tally;
use crate::error::{Error, Result};
use crate::table::{Rows, wider};
use async_trait::async_trait;
use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, ScalarValue, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result as Outcome};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::ParquetMetaData;
use std::sync::Arc;

/// What every file is registered under: `DataFusion` wants to know of a store, which is never asked.
pub(super) const NOWHERE: &str = "secchi://files/";
/// Footers read at once.
const ABREAST: usize = 16;

/// Opens the table otherwise: as rows that read only the first of them.
pub(super) type AsRows = Arc<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn Rows>>> + Send + Sync>;

/// See the top of this file.
pub(super) struct ParquetTable {
    /// In the order of their names.
    pub(super) files: Vec<Arc<File>>,
    /// Values of the partition columns, for each file.
    pub(super) values: Vec<Vec<ScalarValue>>,
    /// Columns of the files, with what is known of geometry in their metadata.
    pub(super) schema: SchemaRef,
    /// Columns of the paths.
    pub(super) partitions: Vec<FieldRef>,
    /// Files' columns, then those of the paths.
    pub(super) whole: SchemaRef,
    /// Where bounds of geometry are kept.
    pub(super) coverings: Vec<Covering>,
    /// For the first rows of a file without a page index.
    pub(super) as_rows: Option<AsRows>,
    /// Times of 96 bits are read as microseconds.
    pub(super) in_micros: bool,
    pub(super) tally: Tally,
}

impl std::fmt::Debug for ParquetTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetTable").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for ParquetTable {
    fn schema(&self) -> SchemaRef {
        self.whole.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Outcome<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| {
                if self.is_of_paths(filter) {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Inexact
                }
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Outcome<Arc<dyn ExecutionPlan>> {
        let (of_paths, of_rows): (Vec<&Expr>, Vec<&Expr>) = filters.iter().partition(|f| self.is_of_paths(f));
        let mut chosen = self.of_paths(state, &of_paths)?;
        let first = limit.filter(|_| of_rows.is_empty());
        if let Some(first) = first {
            chosen = self.first_files(chosen, first as u64).await?;
            if let ([(only, Some(_))], Some(as_rows), true) =
                (chosen.as_slice(), &self.as_rows, self.partitions.is_empty())
                && !has_page_index(&self.files[*only].footer().await.map_err(outer)?.metadata)
            {
                self.files[*only].touch_first(first as u64);
                let rows = as_rows().await.map_err(outer)?;
                return limited(rows, &self.whole, projection, first, &self.tally);
            }
        }
        let boxes = covering::boxes(&of_rows, &self.coverings);
        let mut files = Vec::with_capacity(chosen.len());
        let mut is_whole = true;
        for (at, rows) in &chosen {
            let (file, plan) = (&self.files[*at], self.plan(*at, *rows, &boxes).await?);
            let mut part = PartitionedFile::new(file.location.to_string(), file.footer().await.map_err(outer)?.size)
                .with_partition_values(self.values[*at].clone())
                .with_extension(file.clone());
            let metadata = &file.footer().await.map_err(outer)?.metadata;
            if let Some(plan) = plan {
                part = part.with_extension(plan);
                is_whole = false;
            } else {
                let known = DFParquetMetadata::statistics_from_parquet_metadata(metadata, &self.schema)?;
                part = part.with_statistics(Arc::new(known));
            }
            files.push(part);
        }
        self.exec(state, projection, limit, files, is_whole)
    }
}

fn outer(err: Error) -> DataFusionError {
    DataFusionError::External(Box::new(err))
}

fn has_page_index(metadata: &ParquetMetaData) -> bool {
    metadata.row_groups().iter().any(|group| group.columns().iter().any(|c| c.offset_index_offset().is_some()))
}

impl ParquetTable {
    /// Whether a filter asks for nothing but columns of the paths.
    fn is_of_paths(&self, filter: &Expr) -> bool {
        let mut columns = filter.column_refs().into_iter().peekable();
        columns.peek().is_some() && columns.all(|c| self.partitions.iter().any(|p| *p.name() == c.name))
    }

    /// The files whose paths fit.
    fn of_paths(&self, state: &dyn Session, filters: &[&Expr]) -> Outcome<Vec<(usize, Option<u64>)>> {
        let mut keep = vec![true; self.files.len()];
        if !filters.is_empty() {
            let schema = Arc::new(Schema::new(self.partitions.clone()));
            let columns = (0..self.partitions.len())
                .map(|c| ScalarValue::iter_to_array(self.values.iter().map(|v| v[c].clone())))
                .collect::<Outcome<Vec<_>>>()?;
            let batch = RecordBatch::try_new(schema.clone(), columns)?;
            let df_schema = DFSchema::try_from(schema)?;
            for filter in filters {
                let bare = bare(filter)?;
                let verdicts = state.create_physical_expr(bare, &df_schema)?.evaluate(&batch)?;
                let verdicts = verdicts.into_array(batch.num_rows())?;
                let verdicts = verdicts.as_any().downcast_ref::<BooleanArray>();
                for (keep, verdict) in keep.iter_mut().zip(verdicts.into_iter().flatten()) {
                    *keep &= verdict == Some(true);
                }
            }
        }
        Ok(keep.into_iter().enumerate().filter(|(_, keep)| *keep).map(|(at, _)| (at, None)).collect())
    }

    /// As many files as hold the first `rows`, the last of them with how many of its own are needed.
    async fn first_files(
        &self,
        chosen: Vec<(usize, Option<u64>)>,
        mut rows: u64,
    ) -> Outcome<Vec<(usize, Option<u64>)>> {
        let mut out = Vec::new();
        for (at, _) in chosen {
            let in_file = self.files[at].footer().await.map_err(outer)?.metadata.file_metadata().num_rows();
            let in_file = in_file.max(0).unsigned_abs();
            out.push((at, (rows < in_file).then_some(rows)));
            rows = rows.saturating_sub(in_file);
            if rows == 0 {
                break;
            }
        }
        Ok(out)
    }

    /// Which row groups and rows of a file are read; `None` for all.
    async fn plan(
        &self,
        at: usize,
        first: Option<u64>,
        boxes: &[(usize, covering::Area)],
    ) -> Outcome<Option<ParquetAccessPlan>> {
        let file = &self.files[at];
        if let Some(rows) = first {
            return Ok(Some(first_rows(&file.footer().await.map_err(outer)?.metadata, rows)));
        }
        if boxes.is_empty() {
            return Ok(None);
        }
        let metadata = file.indexed().await.map_err(outer)?;
        let mut plan = ParquetAccessPlan::new_all(metadata.num_row_groups());
        for (covering, area) in boxes {
            self.coverings[*covering].narrow(&mut plan, *area, &metadata);
        }
        Ok(Some(plan))
    }

    fn exec(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
        files: Vec<PartitionedFile>,
        is_whole: bool,
    ) -> Outcome<Arc<dyn ExecutionPlan>> {
        let known: Vec<&Statistics> = files.iter().filter_map(|f| f.statistics.as_deref()).collect();
        let mut statistics = if is_whole && known.len() == files.len() && !files.is_empty() {
            Statistics::try_merge_iter(known, &self.whole)?
        } else {
            Statistics::new_unknown(&self.whole)
        };
        if files.is_empty() {
            statistics.num_rows = Precision::Exact(0);
        }
        let mut options =
            TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..Default::default() };
        if self.in_micros {
            options.global.coerce_int96 = Some("us".to_owned());
        }
        let schema = TableSchema::new(self.schema.clone(), self.partitions.clone());
        let source = ParquetSource::new(schema)
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(Opener));
        let abreast = state.config().target_partitions().max(1);
        let groups = FileGroup::new(files).split_files(abreast);
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(NOWHERE)?, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// A filter whose columns name no table: those of the paths are asked on their own.
fn bare(filter: &Expr) -> Outcome<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode as _};
    let bare = filter.clone().transform(|expr| {
        Ok(match expr {
            Expr::Column(mut column) if column.relation.is_some() => {
                column.relation = None;
                Transformed::yes(Expr::Column(column))
            }
            other => Transformed::no(other),
        })
    });
    Ok(bare?.data)
}

/// Only the first `rows` of a file.
fn first_rows(metadata: &ParquetMetaData, mut rows: u64) -> ParquetAccessPlan {
    let mut plan = ParquetAccessPlan::new_all(metadata.num_row_groups());
    for (i, group) in metadata.row_groups().iter().enumerate() {
        let in_group = group.num_rows().max(0).unsigned_abs();
        if rows == 0 {
            plan.skip(i);
        } else if rows < in_group {
            let selectors = vec![RowSelector::select(rows as usize), RowSelector::skip((in_group - rows) as usize)];
            plan.scan_selection(i, RowSelection::from(selectors));
        }
        rows = rows.saturating_sub(in_group);
    }
    plan
}

/// Reads the footers of files, many at once.
pub(super) async fn read_footers(files: &[Arc<File>]) -> Result<()> {
    let mut all = futures::stream::iter(files.iter().cloned())
        .map(|file| async move { file.footer().await.map(|_| ()) })
        .buffer_unordered(ABREAST);
    while let Some(read) = all.next().await {
        read?;
    }
    Ok(())
}

/// Columns of all files together: types must agree, or be numbers of different width.
pub(super) fn merged(schemas: &[SchemaRef], files: &[Arc<File>]) -> Result<SchemaRef> {
    let Some((first, rest)) = schemas.split_first() else { return Ok(Arc::new(Schema::empty())) };
    let mut fields: Vec<FieldRef> = first.fields().iter().cloned().collect();
    for (schema, file) in rest.iter().zip(files.iter().skip(1)) {
        for field in schema.fields() {
            match fields.iter_mut().find(|f| f.name() == field.name()) {
                None => fields.push(Arc::new(field.as_ref().clone().with_nullable(true))),
                Some(known) if known.data_type() == field.data_type() => {}
                Some(known) => {
                    let wide = wider(known.data_type(), field.data_type()).ok_or_else(|| {
                        Error::invalid(format!(
                            "the column `{}` is {} in {} and {} in {}",
                            field.name(),
                            crate::table::type_name(known.data_type()),
                            files[0].location.name(),
                            crate::table::type_name(field.data_type()),
                            file.location.name(),
                        ))
                        .with_hint("name the files that belong together, with * for a part of their names")
                    })?;
                    *known = Arc::new(known.as_ref().clone().with_data_type(wide));
                }
            }
        }
        for field in &mut fields {
            if schema.field_with_name(field.name()).is_err() && !field.is_nullable() {
                *field = Arc::new(field.as_ref().clone().with_nullable(true));
            }
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}
