//! The one data plane: every byte read or written goes through [`Stores`].
//!
//! | file of `store/` | what it knows |
//! |---|---|
//! | `environment`, `profiles`, `places`, `credentials` | who asks, and where |
//! | `check`, `s3/check` | whether a place works: who am I, which buckets, how far |
//! | `transport`, `pulse`, `clock` | the two HTTP stacks; how long is waited; clocks that differ |
//! | `log`, `redact` | the log of requests; addresses without secrets |
//! | `link` | URLs and signed links for others |
//! | `s3`, `s3/` | S3: bytes by `object_store`, listings by ourselves, everything else by the AWS SDK |
//! | `local`, `memory`, `http` | the disk, this process, web servers |
//! | `metered`, `throttle` | the decorator that counts, limits, refuses and explains; the limit on bandwidth |
//! | `rawkey` | keys that `object_store` cannot spell |
//! | `errors` | sentences |
//! | `listing`, `upload` | pages; puts and parts |
//! | `copy` | copies within a server, reads and deletions of what must still be the same |
//! | `ordered` | listings in the order of names, to be compared |
//! | `prune` | deleting many, uploads that nobody completed |
//! | `facts` | versions, changes to what is kept beside the bytes, facts of buckets |

use crate::config::Place;
use crate::entry::{Detail, Stat};
use crate::error::{Error, Kind, Result};
use crate::listing::Pages;
use crate::location::{Location, Scheme, StoreId};
use crate::meter::Meter;
use crate::task::Waker;
use bytes::Bytes;
use errors::Site;
use futures::stream::StreamExt as _;
use metered::{Lock, Metered, Traffic};
use object_store::path::Path;
use object_store::{Attribute, GetOptions, ObjectStore, ObjectStoreExt as _};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use throttle::Throttle;
use tokio::sync::Semaphore;

mod check;
mod clock;
mod copy;
pub mod credentials;
mod environment;
mod errors;
mod facts;
pub mod gdal;
mod http;
mod link;
mod listing;
mod local;
mod log;
mod memory;
mod metered;
mod ordered;
mod other;
mod places;
mod profiles;
mod prune;
mod pulse;
mod rawkey;
mod redact;
mod s3;
mod throttle;
mod transport;
mod upload;
pub(crate) mod zip;

pub use check::{Finding, Topic};
pub use copy::Pinned;
pub use credentials::{Origin, Profile};
pub use environment::Environment;
pub use errors::cause;
pub use facts::{Access, Aspect, Change, Fact, Grant, Told};
pub(crate) use http::{Several, is_single, is_whole};
pub use link::{Keyring, LONGEST_LINK, Link, Method, Reach, parse_expiry};
pub use log::{Exchange, LogFile, LogWatch};
pub(crate) use prune::refused;
pub use prune::{BATCH, Held, Unfinished, Victim, is_precious};
pub use redact::address as redacted;
pub(crate) use transport::NewLine;
pub use upload::{CANNED_ACLS, CLEAN_UP, Kept, PartSent, Sums, Taken, UploadMeta};

/// Requests under way at once, where nobody said a number.
const CONCURRENCY: usize = 16;

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
    /// Bytes per second over the network, received and sent together, for all stores; `None`: no limit.
    pub bandwidth: Option<u64>,
    /// Places of the configuration, by name.
    pub places: BTreeMap<String, Place>,
    /// A listing whose answer stops for so long is asked for again, and six times as long is waited where answers
    /// take longer; `None`: ten seconds.
    pub silence: Option<std::time::Duration>,
    /// Where variables and the home folder are read; the process's unless a test says otherwise.
    pub environment: Environment,
}

/// Opens locations, and counts what goes through them. Clones share everything.
#[derive(Clone)]
pub struct Stores(Arc<Inner>);

struct Inner {
    options: Options,
    meter: Meter,
    gate: Arc<Semaphore>,
    throttle: Arc<Throttle>,
    log: log::Log,
    /// The store behind `memory://`.
    memory: Arc<memory::Memory>,
    given: Mutex<BTreeMap<String, Given>>,
    /// What the configuration says now: it may be edited.
    places: Mutex<Arc<BTreeMap<String, Place>>>,
    /// Read-only places that the user has unlocked in this session.
    unlocked: Mutex<BTreeSet<StoreId>>,
    /// By profile: connections and credentials are shared by all its buckets.
    accounts: Mutex<HashMap<Option<String>, Arc<s3::Account>>>,
    opened: Mutex<HashMap<StoreId, Opened>>,
    /// What rasters were read of.
    pieces: Arc<gdal::Cache>,
}

/// A store without a meter: what is kept, so that connections are used again.
#[derive(Clone)]
struct Opened {
    store: Arc<dyn ObjectStore>,
    backend: Backend,
    site: Arc<Site>,
}

/// What a store can do besides [`ObjectStore`].
#[derive(Clone)]
enum Backend {
    S3(Arc<s3::S3>),
    Local,
    Memory(Arc<memory::Memory>),
    /// Web servers, Google, Azure.
    Other,
}

/// A server of the program itself, with its keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// Its region.
    pub region: String,
    /// The name of the key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// One open store.
#[derive(Clone)]
pub struct StoreHandle {
    store: Arc<dyn ObjectStore>,
    backend: Backend,
    site: Arc<Site>,
    id: StoreId,
    traffic: Traffic,
    lock: Lock,
    /// Key and version of the location that it was opened for, where that names a version.
    pinned: Option<(String, String)>,
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
        let places = options.concurrency.unwrap_or(CONCURRENCY).clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            places: Mutex::new(Arc::new(options.places.clone())),
            unlocked: Mutex::default(),
            throttle: Arc::new(Throttle::new(options.bandwidth)),
            options,
            meter: Meter::new(),
            gate: Arc::new(Semaphore::new(places)),
            log: log::Log::default(),
            memory: Arc::default(),
            given: Mutex::default(),
            accounts: Mutex::default(),
            opened: Mutex::default(),
            pieces: Arc::default(),
        }))
    }

    /// The options they were made with.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// How long is waited for answers.
    fn waits(&self) -> pulse::Waits {
        pulse::Waits::new(self.0.options.silence)
    }

    /// Requests that may be under way at once: the limit that adaptive work keeps below.
    pub fn concurrency(&self) -> usize {
        self.0.options.concurrency.unwrap_or(CONCURRENCY).max(1)
    }

    /// The profiles that a location may name: those given by the program, then those of the machine.
    pub fn profiles(&self) -> Vec<Profile> {
        let given = self.0.given.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = given.iter().map(|(name, g)| Profile {
            name: name.clone(),
            endpoint: Some(g.endpoint.clone()),
            region: Some(g.region.clone()),
            origin: Origin::Program,
            credentials: "its own".to_owned(),
        });
        ours.chain(places::profiles(&self.options_now())).collect()
    }

    /// Makes `s3://name@bucket/` lead to this server: the demo's.
    pub fn give(&self, name: impl Into<String>, given: Given) {
        self.0.given.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), given);
    }

    /// The limit on bandwidth over the network, in bytes per second.
    pub fn bandwidth(&self) -> Option<u64> {
        self.0.throttle.rate()
    }

    /// Sets another limit on bandwidth; what is under way keeps to it from its next piece on.
    pub fn set_bandwidth(&self, rate: Option<u64>) {
        self.0.throttle.set(rate);
    }

    /// Counts everything.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// The last requests, newest last.
    pub fn log(&self) -> Vec<Arc<Exchange>> {
        self.0.log.snapshot()
    }

    /// The number of the last request: whether the log has changed.
    pub fn last_request(&self) -> u64 {
        self.0.log.last()
    }

    /// Wakes `waker` for every request as long as what it gives lives.
    pub fn watch_log(&self, waker: &Waker) -> LogWatch {
        self.0.log.watch(waker)
    }

    /// Appends every request to a file of JSON lines, for its owner alone, until what it gives is dropped.
    pub fn log_to(&self, file: &std::path::Path) -> Result<LogFile> {
        self.0.log.write_to(file)
    }

    /// What a tool outside must know to reach a place; reads the user's small files, sends nothing.
    pub fn reach(&self, location: &Location) -> Result<Reach> {
        let id = location.store();
        if id.scheme != Scheme::S3 {
            return Ok(Reach::default());
        }
        let mut reach = self.account(id)?.reach();
        let is_given = id
            .profile
            .as_ref()
            .is_some_and(|name| self.0.given.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name));
        if is_given {
            (reach.origin, reach.profile) = (Keyring::Program, id.profile.clone());
        } else if let Some(profile) = &reach.profile
            && reach.origin == Keyring::Profile
            && !credentials::is_aws_profile(&self.0.options.environment, profile)
        {
            reach.origin = Keyring::S3cfg;
        }
        let opened = self.0.opened.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some(opened) = opened.filter(|o| !o.site.region.is_empty()) {
            // Where the bucket really is.
            reach.region = Some(opened.site.region.clone());
        }
        Ok(reach)
    }

    /// Opens the store of `location`; its traffic is counted by `meter`. Cheap but for the first
    /// time. No request for the object itself is sent.
    pub async fn open(&self, location: &Location, meter: &Meter) -> Result<StoreHandle> {
        let id = location.store();
        let kept = self.0.opened.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let opened = if let Some(opened) = kept {
            opened
        } else {
            let opened = self.connect(id).await?;
            let mut kept = self.0.opened.lock().unwrap_or_else(PoisonError::into_inner);
            kept.entry(id.clone()).or_insert(opened).clone()
        };
        let traffic = Traffic {
            meter: meter.clone(),
            gate: self.0.gate.clone(),
            throttle: if matches!(id.scheme, Scheme::File | Scheme::Memory) {
                Arc::default()
            } else {
                self.0.throttle.clone()
            },
            waits: self.waits(),
        };
        let lock = self.lock_now(id);
        let Opened { store, backend, site } = opened;
        let store = Arc::new(Metered::new(store, traffic.clone(), site.clone(), lock));
        let pinned = location.version().map(|version| (location.key().to_owned(), version.to_owned()));
        Ok(StoreHandle { store, backend, site, id: id.clone(), traffic, lock, pinned })
    }

    async fn connect(&self, id: &StoreId) -> Result<Opened> {
        let site = |host: &str| {
            Arc::new(Site {
                scheme: id.scheme,
                bucket: id.authority.clone(),
                host: host.to_owned(),
                region: String::new(),
                profile: id.profile.clone(),
                owner: None,
                anonymous: false,
                temporary: false,
            })
        };
        Ok(match id.scheme {
            Scheme::S3 => {
                let s3 = Arc::new(self.account(id)?.open(id).await?);
                let store = Arc::new(s3::keys::AnyKey(s3.clone()));
                Opened { store, site: s3.site.clone(), backend: Backend::S3(s3) }
            }
            Scheme::File => {
                Opened { store: Arc::new(local::Local), backend: Backend::Local, site: site("this computer") }
            }
            Scheme::Memory => {
                let memory = self.0.memory.clone();
                Opened { store: memory.store.clone(), backend: Backend::Memory(memory), site: site("memory") }
            }
            Scheme::Http | Scheme::Https => {
                let options = transport::client_options(self.0.options.ca_bundle.as_deref())?;
                let web =
                    http::Web::new(transport::client(&options, self.waits(), &self.0.log)?, id.scheme, &id.authority);
                Opened { store: Arc::new(web), backend: Backend::Other, site: site(&id.authority) }
            }
            Scheme::Gs | Scheme::Az => {
                let options = self.options_now();
                let store = other::open(&options, id, self.waits(), &self.0.log)?;
                let endpoint = other::endpoint(&options, id)?;
                Opened { store, backend: Backend::Other, site: site(s3::host_of(&endpoint)) }
            }
        })
    }

    fn account(&self, id: &StoreId) -> Result<Arc<s3::Account>> {
        let mut accounts = self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(&id.profile) {
            return Ok(account.clone());
        }
        let named = id.profile.as_deref();
        let given =
            named.and_then(|name| self.0.given.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned());
        let access = match given {
            Some(given) => credentials::Access::given(&given),
            None => credentials::access(&self.options_now(), named)?,
        };
        let again: credentials::Again = {
            let (options, named) = (self.0.options.clone(), id.profile.clone());
            Box::new(move || credentials::access(&options, named.as_deref()).ok()?.source)
        };
        let patience = s3::Patience::new(self.0.options.silence);
        let account = Arc::new(s3::Account::new(access, again, (patience, self.waits()), &self.0.log)?);
        accounts.insert(id.profile.clone(), account.clone());
        Ok(account)
    }

    /// Forgets clients and credentials, so that changed settings are read again.
    pub fn forget(&self) {
        self.0.opened.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The location as what it is: a local folder gets the slash that was not written. Everything else
    /// stays, because only a listing tells.
    pub async fn resolve(&self, location: &Location) -> Location {
        if location.scheme() == Scheme::File
            && tokio::fs::metadata(location.key()).await.is_ok_and(|about| about.is_dir())
        {
            return location.as_container();
        }
        location.clone()
    }

    /// Lists one level: prefixes (or buckets of an account) and objects, in pages.
    pub fn list(&self, location: &Location) -> Pages {
        self.pages(location, StoreHandle::list)
    }

    /// Lists all objects below `location`, names relative to it, in pages.
    pub fn list_all(&self, location: &Location) -> Pages {
        self.pages(location, StoreHandle::list_all)
    }

    fn pages(&self, location: &Location, list: fn(&StoreHandle, &Location) -> Pages) -> Pages {
        let (stores, location) = (self.clone(), location.clone());
        futures::stream::once(async move {
            match stores.open(&location, stores.meter()).await {
                Ok(handle) => list(&handle, &location),
                Err(err) => listing::failed(err),
            }
        })
        .flatten()
        .boxed()
    }

    /// What the server says of one object.
    pub async fn stat(&self, location: &Location, meter: &Meter) -> Result<Stat> {
        self.open(location, meter).await?.stat(location).await
    }
}

impl StoreHandle {
    /// The store as libraries want it, counted. Its errors hold one of ours: see [`cause`].
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// Which store it is.
    pub fn id(&self) -> &StoreId {
        &self.id
    }

    /// What counts its traffic.
    pub fn meter(&self) -> &Meter {
        &self.traffic.meter
    }

    /// The path under which [`StoreHandle::object_store`] knows `key`: any key, also one that
    /// `object_store` itself cannot spell (`a//b`, a leading `/`, `..`). A handle that was opened for
    /// one version of an object reads that version under its key, and so do all libraries with it.
    pub fn path(&self, key: &str) -> Path {
        match &self.pinned {
            Some((pinned, version)) if pinned == key => rawkey::to_version(key, version),
            _ => rawkey::to_path(self.id.scheme, key),
        }
    }

    /// The key that a path of [`StoreHandle::object_store`] stands for.
    pub fn key(&self, path: &Path) -> String {
        rawkey::to_key(self.id.scheme, path)
    }

    /// Lists one level, counted by this handle's meter; see [`Stores::list`].
    pub fn list(&self, location: &Location) -> Pages {
        self.pages(location.as_container(), false)
    }

    /// Lists everything below, counted by this handle's meter; see [`Stores::list_all`].
    pub fn list_all(&self, location: &Location) -> Pages {
        self.pages(location.as_container(), true)
    }

    fn pages(&self, base: Location, deep: bool) -> Pages {
        match &self.backend {
            Backend::S3(s3) => {
                let (s3, traffic) = (s3.clone(), self.traffic.clone());
                listing::feed(move |sender| async move {
                    match (base.is_account(), deep) {
                        (true, false) => s3.send_buckets(traffic, sender).await,
                        (true, true) => {
                            let err = Error::usage("all objects of all buckets are not listed: name a bucket");
                            sender.send(Err(err)).await;
                        }
                        (false, _) => s3::pages::send(s3, traffic, base, deep, sender).await,
                    }
                })
            }
            Backend::Local if deep => listing::folder_all(&base),
            Backend::Local => listing::folder(base),
            Backend::Other if matches!(self.id.scheme, Scheme::Http | Scheme::Https) => {
                let err = Error::unsupported(format!("{} cannot be listed: it is a web server", self.id.authority));
                listing::failed(err.with_hint("open a file or a catalog by its full address"))
            }
            Backend::Memory(_) | Backend::Other if deep => listing::all(&self.store, base),
            Backend::Memory(_) | Backend::Other => listing::level(self.store.clone(), base),
        }
    }

    /// What the server says of one object: exact metadata, and tags where it offers them.
    pub async fn stat(&self, location: &Location) -> Result<Stat> {
        match &self.backend {
            Backend::S3(s3) if location.key().is_empty() => {
                let _ = s3;
                Err(Error::usage(format!("{location} is not an object: name a key")))
            }
            Backend::S3(s3) => s3.stat(&self.traffic, location.key(), location.version()).await,
            Backend::Local => self.stat_file(location).await,
            Backend::Memory(_) | Backend::Other => self.stat_any(location).await,
        }
    }

    async fn stat_file(&self, location: &Location) -> Result<Stat> {
        let request = self.traffic.meter.request();
        let about =
            tokio::fs::metadata(location.key()).await.map_err(|err| Error::from(err).context(location.key()))?;
        request.done();
        Ok(Stat {
            location: location.clone(),
            size: if about.is_file() { about.len() } else { 0 },
            etag: about.is_file().then(|| local::etag(&about)),
            modified: Some(local::modified(&about)),
            content_type: about.is_dir().then(|| "inode/directory".to_owned()),
            storage_class: None,
            version: None,
            metadata: std::collections::BTreeMap::new(),
            tags: std::collections::BTreeMap::new(),
            detail: Detail::default(),
        })
    }

    async fn stat_any(&self, location: &Location) -> Result<Stat> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        let got = self.store.get_opts(&self.path(location.key()), options).await?;
        let text = |attribute| got.attributes.get(&attribute).map(|v| v.as_ref().to_owned());
        let detail = Detail {
            content_encoding: text(Attribute::ContentEncoding),
            content_language: text(Attribute::ContentLanguage),
            content_disposition: text(Attribute::ContentDisposition),
            cache_control: text(Attribute::CacheControl),
            ..Detail::default()
        };
        Ok(Stat {
            location: location.clone(),
            size: got.meta.size,
            etag: got.meta.e_tag.clone(),
            // A web server need not say; then it is the beginning of time.
            modified: Some(got.meta.last_modified).filter(|at| at.timestamp() != 0),
            content_type: text(Attribute::ContentType),
            storage_class: text(Attribute::StorageClass),
            version: got.meta.version.clone(),
            metadata: got
                .attributes
                .iter()
                .filter_map(|(name, value)| match name {
                    Attribute::Metadata(key) => Some((key.to_string(), value.as_ref().to_owned())),
                    _ => None,
                })
                .collect(),
            tags: std::collections::BTreeMap::new(),
            detail,
        })
    }

    /// Reads the first `n` bytes in one request that also tells size and `ETag`.
    pub async fn read_head(&self, location: &Location, n: u64) -> Result<Head> {
        let path = self.path(location.key());
        let options = GetOptions::new().with_range(Some(0..n.max(1)));
        let err = match self.store.get_opts(&path, options).await {
            Ok(got) => {
                let (size, etag) = (got.meta.size, got.meta.e_tag.clone());
                let bytes = got.bytes().await?;
                return Ok(Head { bytes: bytes.slice(..bytes.len().min(n as usize)), size, etag });
            }
            Err(err) => Error::from(err),
        };
        // No range fits into an empty object: servers answer 416.
        if matches!(err.kind(), Kind::Invalid | Kind::Failed)
            && let Ok(meta) = self.store.head(&path).await
            && meta.size == 0
        {
            return Ok(Head { bytes: Bytes::new(), size: 0, etag: meta.e_tag });
        }
        Err(err)
    }

    /// Reads a range of bytes. An empty range is empty, without a request.
    pub async fn read_range(&self, location: &Location, range: std::ops::Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let length = range.end - range.start;
        let bytes = self.store.get_range(&self.path(location.key()), range).await?;
        if bytes.len() as u64 != length {
            return Err(Error::invalid(format!("{location} ends before the bytes that were asked for")));
        }
        Ok(bytes)
    }
}
