//! Tables of every format: their first rows.

use crate::error::{Context as _, Result};
use crate::preview::{Ask, Preview, Previewer};
use crate::store::Stores;
use crate::table::{Open, Window, shown};
use crate::tables;

/// What a format of tables claims. What was loaded is named by that format: see [`super::load`].
pub(super) const PREVIEWER: Previewer =
    Previewer { name: "table", matches: tables::claims, load: |stores, ask| Box::pin(load(stores, ask)) };

async fn load(stores: Stores, ask: Ask) -> Result<Preview> {
    let Ask { probe, rows, offset, columns, max_bytes, control, .. } = ask;
    let location = probe.location.clone();
    let rows_of = tables::open(stores, Open { probe, control, max_bytes }).await?;
    let batch = rows_of.window(Window { rows, offset, columns }).await.context(|| format!("reading {location}"))?;
    Ok(Preview::Table(shown(&rows_of, &batch, offset)))
}
