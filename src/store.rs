//! The one data plane: every byte read or written goes through [`Stores`].

use crate::entry::{Entry, EntryKind, Pages, Stat};
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme, StoreId};
use crate::meter::Meter;
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path;
use std::sync::Arc;

pub mod gdal;

/// How stores are opened: the global options of the command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Profile for locations that name none.
    pub profile: Option<String>,
    /// Endpoint for S3, instead of the profile's.
    pub endpoint_url: Option<String>,
    /// Region, instead of the profile's.
    pub region: Option<String>,
    /// Send requests unsigned.
    pub no_sign_request: bool,
    /// Path-style (`host/bucket`) or virtual-hosted addressing; `None`: path-style for custom endpoints.
    pub path_style: Option<bool>,
    /// PEM file of certificates to trust besides the system's.
    pub ca_bundle: Option<std::path::PathBuf>,
    /// Refuse every write.
    pub read_only: bool,
    /// Requests under way at once, for all stores together; `None`: a modest default.
    pub concurrency: Option<usize>,
}

/// Opens locations, and counts what goes through them.
#[derive(Clone)]
pub struct Stores(Arc<Inner>);

struct Inner {
    options: Options,
    meter: Meter,
    /// The store behind `memory://`.
    memory: Arc<dyn ObjectStore>,
}

/// One open store.
#[derive(Clone)]
pub struct StoreHandle {
    store: Arc<dyn ObjectStore>,
    id: StoreId,
    meter: Meter,
}

/// The first bytes of an object, with what their response told.
#[derive(Clone, Debug)]
pub struct Head {
    /// At most as many bytes as were asked for.
    pub bytes: Bytes,
    /// Size of the whole object.
    pub size: u64,
    /// Its `ETag`.
    pub etag: Option<String>,
}

impl Stores {
    /// Stores opened with these options.
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Inner { options, meter: Meter::new(), memory: Arc::new(object_store::memory::InMemory::new()) }))
    }

    /// The options they were made with.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Counts everything.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Opens the store of `location`; its traffic is counted by `meter`.
    pub async fn open(&self, location: &Location, meter: &Meter) -> Result<StoreHandle> {
        let store: Arc<dyn ObjectStore> = match location.scheme() {
            Scheme::File => Arc::new(object_store::local::LocalFileSystem::new()),
            Scheme::Memory => self.0.memory.clone(),
            Scheme::S3 => {
                let mut b = object_store::aws::AmazonS3Builder::from_env()
                    .with_bucket_name(location.bucket())
                    .with_allow_http(true);
                if let Some(e) = &self.0.options.endpoint_url {
                    b = b.with_endpoint(e);
                }
                Arc::new(b.build().map_err(|e| Error::new(Kind::Failed, e.to_string()))?)
            }
            other => return Err(Error::unsupported(format!("{} is not there yet", other.as_str()))),
        };
        Ok(StoreHandle { store, id: location.store().clone(), meter: meter.clone() })
    }

    /// Lists one level: prefixes (or buckets of an account) and objects, in pages.
    pub fn list(&self, location: &Location) -> Pages {
        let (stores, location) = (self.clone(), location.clone());
        Box::pin(futures::stream::once(async move {
            let handle = stores.open(&location, stores.meter()).await?;
            let base = handle.path(location.key());
            let found = handle
                .store
                .list_with_delimiter(Some(&base))
                .await
                .map_err(|e| Error::new(Kind::Failed, e.to_string()))?;
            let mut page: Vec<Entry> = Vec::new();
            for p in found.common_prefixes {
                page.push(Entry::new(EntryKind::Prefix, format!("{}/", p.filename().unwrap_or_default())));
            }
            for o in found.objects {
                let mut e = Entry::new(EntryKind::Object, o.location.filename().unwrap_or_default());
                e.size = Some(o.size);
                e.modified = Some(o.last_modified);
                page.push(e);
            }
            Ok(page)
        }))
    }

    /// Lists all objects below `location`, names relative to it, in pages.
    pub fn list_all(&self, location: &Location) -> Pages {
        self.list(location)
    }

    /// What the server says of one object.
    pub async fn stat(&self, location: &Location, meter: &Meter) -> Result<Stat> {
        let _ = (location, meter);
        Err(Error::unsupported("not there yet"))
    }
}

impl StoreHandle {
    /// The store as libraries want it, counted.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// Which store it is.
    pub fn id(&self) -> &StoreId {
        &self.id
    }

    /// What counts its traffic.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The path under which [`StoreHandle::object_store`] knows `key`: any key, also one that
    /// `object_store` itself cannot spell (`a//b`, a leading `/`, `..`).
    pub fn path(&self, key: &str) -> Path {
        Path::parse(key).unwrap_or_else(|_| Path::from(key))
    }

    /// Reads the first `n` bytes in one request that also tells size and `ETag`.
    pub async fn read_head(&self, location: &Location, n: u64) -> Result<Head> {
        let options =
            object_store::GetOptions { range: Some(object_store::GetRange::Bounded(0..n)), ..Default::default() };
        let got = self
            .store
            .get_opts(&self.path(location.key()), options)
            .await
            .map_err(|e| Error::new(Kind::Failed, e.to_string()))?;
        let (size, etag) = (got.meta.size, got.meta.e_tag.clone());
        let bytes = got.bytes().await.map_err(|e| Error::new(Kind::Failed, e.to_string()))?;
        Ok(Head { bytes, size, etag })
    }

    /// Reads a range of bytes.
    pub async fn read_range(&self, location: &Location, range: std::ops::Range<u64>) -> Result<Bytes> {
        use object_store::ObjectStoreExt as _;
        self.store
            .get_range(&self.path(location.key()), range)
            .await
            .map_err(|e| Error::new(Kind::Failed, e.to_string()))
    }
}
