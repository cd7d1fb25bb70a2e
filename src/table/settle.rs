//! Reading from end to end again where a column turned out to be wider than it was taken for.

use super::Rows;
use crate::error::{Kind, Result};
use std::future::Future;
use std::sync::Arc;

/// Times that columns may become wider while the same rows are read: each time one does, or several.
pub(crate) const MOST_TRIES: usize = 64;

/// Does what `read` does with all rows of a table; from the start again whenever it ends because a column of text
/// is of a wider type than was known when it began. What changed otherwise (the file was replaced) is an error.
pub(crate) async fn settled<T, F>(rows: &Arc<dyn Rows>, mut read: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut tries = 0;
    loop {
        let before = rows.about().schema.clone();
        let done = read().await;
        let changed = matches!(&done, Err(err) if err.kind() == Kind::Changed);
        if !changed || tries >= MOST_TRIES || rows.about().schema == before {
            return done;
        }
        tries += 1;
    }
}
