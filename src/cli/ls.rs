//! `ls`, `cat`, `mb`.

use super::out;
use super::rows::Rows;
use crate::entry::{Entry, EntryKind, More};
use crate::error::{Context as _, Error, Kind, Result};
use crate::listing::{Block, Page};
use crate::location::{Location, Scheme};
use crate::sources;
use crate::store::Stores;
use crate::text;
use futures::StreamExt as _;
use object_store::{GetOptions, GetRange, ObjectStore as _};
use serde_json::json;

/// Lists a location.
pub(super) async fn ls(
    stores: &Stores,
    location: &str,
    recursive: bool,
    limit: Option<usize>,
    json: bool,
) -> Result<()> {
    let mut location = Location::parse(location)?;
    if let Some(path) = location.to_path() {
        if path.is_dir() {
            location = location.as_container();
        } else if !recursive && sources::of(&location).is_ok_and(|source| source.name == "store") {
            return one(stores, &location, json).await;
        }
    }
    let mut pages = if recursive {
        stores.list_all(&location)
    } else {
        (sources::of(&location)?.list)(stores.clone(), location.clone())
    };
    let mut left = limit.unwrap_or(usize::MAX);
    let mut rows = Rows::new(&location, json);
    let mut is_empty = true;
    while left > 0
        && let Some(page) = pages.next().await
    {
        match out::about(page, "listing", &location)? {
            Page::Entries(page) => {
                is_empty &= page.is_empty();
                rows.page(&page, left)?;
                left = left.saturating_sub(page.len());
            }
            Page::Note(note) if json => out::say_json(&json!({ "note": note })),
            Page::Note(note) => out::say(&format!("secchi: {}", text::clean(&note))),
        }
    }
    // Object stores know no folders: below a prefix that nobody uses there is nothing, and no error.
    if is_empty && left > 0 && location.scheme() == Scheme::S3 && !location.key().is_empty() {
        return one(stores, &location, json).await;
    }
    Ok(())
}

/// The one object at a location, as a listing shows it.
async fn one(stores: &Stores, location: &Location, json: bool) -> Result<()> {
    let stat = stores.stat(location, stores.meter()).await;
    let stat = stat.map_err(|err| match err.kind() {
        Kind::NotFound if location.is_container() => {
            Error::new(Kind::NotFound, format!("there is nothing below {location}"))
        }
        _ => err,
    });
    let stat = out::about(stat, "listing", location)?;
    let mut entry = Entry::new(EntryKind::Object, location.name());
    (entry.size, entry.modified, entry.etag) = (Some(stat.size), stat.modified, stat.etag.map(Into::into));
    let more = More { target: Some(location.clone()), storage_class: stat.storage_class, ..More::default() };
    entry.more = Some(Box::new(more));
    Rows::new(location, json).page(&Block::from(vec![entry]), 1)
}

/// Makes a bucket.
pub(super) async fn mb(stores: &Stores, location: &str, json: bool) -> Result<()> {
    let location = Location::parse(location)?;
    let handle = stores.open(&location, stores.meter()).await?;
    handle.create_bucket().await.context(|| format!("making the bucket {location}"))?;
    if json { out::json(&json!({ "location": location })) } else { out::line(&text::clean(&location.to_string())) }
}

/// Reads a range as HTTP writes it: `0-99`, `100-`, `-100`.
pub(super) fn parse_range(text: &str) -> Result<GetRange> {
    let bad = || {
        Error::usage(format!("`{}` is not a range of bytes", text::clean(text)))
            .with_hint("write it as 0-99, 100- or -100")
    };
    let number = |part: &str| part.parse::<u64>().map_err(|_| bad());
    match text.trim().split_once('-').ok_or_else(bad)? {
        ("", "") => Err(bad()),
        ("", last) => Ok(GetRange::Suffix(number(last)?)),
        (first, "") => Ok(GetRange::Offset(number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            let end = last.checked_add(1).filter(|_| first <= last).ok_or_else(bad)?;
            Ok(GetRange::Bounded(first..end))
        }
    }
}

/// The bytes of an object, or a range of them, streamed. A range beyond the end holds what there is.
pub(super) async fn cat(stores: &Stores, location: &str, range: Option<GetRange>) -> Result<()> {
    let location = Location::parse(location)?;
    let handle = stores.open(&location, stores.meter()).await?;
    if matches!(range, Some(GetRange::Bounded(ref r)) if r.is_empty()) || matches!(range, Some(GetRange::Suffix(0))) {
        return Ok(());
    }
    let path = handle.path(location.key());
    let got = handle.object_store().get_opts(&path, GetOptions::new().with_range(range)).await;
    let mut stream = out::about(got.map_err(Error::from), "reading", &location)?.into_stream();
    while let Some(chunk) = stream.next().await {
        out::bytes(&out::about(chunk.map_err(Error::from), "reading", &location)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        let range = |text: &str| parse_range(text).map(|r| r.to_string()).map_err(|err| err.exit_code());
        assert_eq!(range("0-99").as_deref(), Ok("bytes=0-99"));
        assert_eq!(range("100-").as_deref(), Ok("bytes=100-"));
        assert_eq!(range("-100").as_deref(), Ok("bytes=-100"));
        for text in ["", "-", "5", "9-3", "a-b", "--5", "0-18446744073709551615", "99999999999999999999-"] {
            assert_eq!(range(text), Err(2), "{text}");
        }
    }
}
