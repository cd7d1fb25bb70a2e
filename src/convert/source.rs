//! Reading an object from its start to its end.

use crate::error::{Context as _, Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::{StoreHandle, Stores};
use crate::task::Control;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::GetOptions;
use tokio::sync::mpsc;

/// Bytes of a request.
const PIECE: u64 = 8 << 20;
/// Requests under way at once.
const AHEAD: usize = 3;

/// What the reader says to the worker.
pub(super) enum Piece {
    /// The next bytes.
    Bytes(Bytes),
    /// That was all. A channel that ends without it was cut off.
    End,
}

/// An object to be read, once or several times, and every time the same.
pub(super) struct Source {
    handle: StoreHandle,
    location: Location,
    /// Bytes; 0 where the server does not tell.
    pub(super) size: u64,
    etag: Option<String>,
    /// The first bytes, which told the size. Empty for web servers, which may not know ranges.
    first: Bytes,
}

impl Source {
    /// Opens an object with one request.
    pub(super) async fn open(stores: &Stores, location: &Location, control: &Control) -> Result<Self> {
        let handle = control.race(stores.open(location, &control.meter)).await?;
        if matches!(location.scheme(), Scheme::Http | Scheme::Https) {
            let options = GetOptions { head: true, ..GetOptions::default() };
            let path = handle.path(location.key());
            // Some servers make the file as it is asked for and tell nothing beforehand.
            let size =
                control.race(handle.object_store().get_opts(&path, options)).await.map_or(0, |got| got.meta.size);
            return Ok(Self { handle, location: location.clone(), size, etag: None, first: Bytes::new() });
        }
        let head = control.race(handle.read_head(location, PIECE)).await.context(|| format!("reading {location}"))?;
        Ok(Self { handle, location: location.clone(), size: head.size, etag: head.etag, first: head.bytes })
    }

    /// Gives the object to a worker, piece by piece. Ends early where the worker listens no more.
    pub(super) async fn feed(&self, control: &Control, to: mpsc::Sender<Piece>) -> Result<()> {
        let mut pieces = self.pieces(control).await?;
        while let Some(piece) = control.race(async { Ok::<_, Error>(pieces.next().await) }).await? {
            let piece = piece.context(|| format!("reading {}", self.location))?;
            if to.send(Piece::Bytes(piece)).await.is_err() {
                return Ok(());
            }
        }
        // A worker that listens no more has its own reason.
        let _ = to.send(Piece::End).await;
        Ok(())
    }

    async fn pieces(&self, control: &Control) -> Result<BoxStream<'_, Result<Bytes>>> {
        if matches!(self.location.scheme(), Scheme::Http | Scheme::Https) {
            let path = self.handle.path(self.location.key());
            let got = control.race(self.handle.object_store().get_opts(&path, GetOptions::default())).await;
            let got = got.context(|| format!("reading {}", self.location))?;
            return Ok(got.into_stream().map(|bytes| bytes.map_err(Error::from)).boxed());
        }
        let first = stream::iter((!self.first.is_empty()).then(|| Ok(self.first.clone())));
        let size = self.size;
        let starts = std::iter::successors(Some(self.first.len() as u64), |at| at.checked_add(PIECE));
        let starts = starts.take_while(move |at| *at < size);
        let rest = stream::iter(starts.map(move |at| self.piece(at..size.min(at.saturating_add(PIECE)))));
        Ok(first.chain(rest.buffered(AHEAD)).boxed())
    }

    async fn piece(&self, range: std::ops::Range<u64>) -> Result<Bytes> {
        let path = self.handle.path(self.location.key());
        let length = range.end - range.start;
        let options = GetOptions::new().with_range(Some(range));
        let got = self.handle.object_store().get_opts(&path, options).await?;
        let same = got.meta.size == self.size && got.meta.e_tag == self.etag;
        let bytes = got.bytes().await?;
        if !same || bytes.len() as u64 != length {
            let why = format!("{} changed while it was read; nothing was written", self.location);
            return Err(Error::new(Kind::Changed, why).with_hint("wait until it is finished, then try again"));
        }
        Ok(bytes)
    }
}
