//! `secchi demo`: a real S3 server in this process, filled with samples that are generated here.
//!
//! ```text
//! start ─┬─ server: answers at once, on 127.0.0.1 only, to keys made for this start
//!        └─ samples: words, STAC, pictures first; then rasters, tables, Zarr, SAFE in parallel
//! ```
//! Needs no network. The samples are seeded: every start shows the same.

mod ctd;
mod dem;
mod landscape;
mod noise;
mod pictures;
mod safe;
mod scenes;
mod server;
mod sink;
mod stac;
mod stations;
mod words;
mod zarr;

use crate::error::{Context, Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::Given;
use crate::task::Control;
use sink::Sink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// The profile under which the demo is known: `s3://demo@lake/`.
pub const PROFILE: &str = "demo";
/// The bucket that holds the samples.
pub const BUCKET: &str = "lake";
/// Marks a folder that was filled completely.
const COMPLETE: &str = ".secchi-demo-complete";
/// Longest wait for samples that are being written when the demo ends.
const STOP: std::time::Duration = std::time::Duration::from_secs(3);
/// What [`Control::advance`] is called for: seven scenes, Zarr, DEM, SAFE, CSV, `GeoParquet`,
/// pictures, words, many.
const STEPS: u64 = 15;

/// A running demo. Dropping it closes the server and removes its temporary folder.
pub struct Demo {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// Access key, new at each start.
    pub access_key: String,
    /// Secret key, new at each start.
    pub secret_key: String,
    /// The bucket with the samples.
    pub bucket: String,
    folder: PathBuf,
    control: Control,
    filled: watch::Receiver<Option<Result<(), Arc<Error>>>>,
    _server: server::Server,
    /// Shared with the threads that fill it: the last one to end removes it.
    temporary: Option<Arc<tempfile::TempDir>>,
}

impl std::fmt::Debug for Demo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Demo").field("endpoint", &self.endpoint).field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// Starts the server, at once, and the filling of its bucket, in the background. Everything lies in
/// `root` and stays there, or in a temporary folder. Must be called inside a Tokio runtime.
pub fn start(root: Option<PathBuf>) -> Result<Demo> {
    let (folder, temporary) = if let Some(root) = root {
        std::fs::create_dir_all(&root).context(|| format!("making the folder {}", root.display()))?;
        (root, None)
    } else {
        let made = tempfile::Builder::new().prefix("secchi-demo-").tempdir();
        let temporary = made.context(|| "making a temporary folder for the demo".to_owned())?;
        (temporary.path().to_owned(), Some(Arc::new(temporary)))
    };
    let complete = folder.join(COMPLETE).exists();
    if !complete && !is_empty(&folder.join(BUCKET))? {
        let what = format!("{} holds files that are not the demo's", folder.join(BUCKET).display());
        return Err(Error::new(Kind::Exists, what).with_hint("name an empty folder"));
    }
    std::fs::create_dir_all(folder.join(BUCKET))?;
    let (access_key, secret_key) = (random_key(20, true), random_key(40, false));
    let server = server::Server::start(&folder, &access_key, &secret_key).context(|| "starting the demo".to_owned())?;

    let control = Control::default();
    control.set_total(STEPS);
    let (done, filled) = watch::channel(None);
    if complete {
        control.set_done(STEPS);
        done.send_replace(Some(Ok(())));
    } else {
        let sink = Sink::new(&folder, BUCKET, control.clone())?;
        let held = temporary.clone();
        tokio::spawn(async move {
            let result = fill(sink, held).await;
            done.send_replace(Some(result.map_err(Arc::new)));
        });
    }
    Ok(Demo {
        endpoint: format!("http://{}", server.address),
        access_key,
        secret_key,
        bucket: BUCKET.to_owned(),
        folder,
        control,
        filled,
        _server: server,
        temporary,
    })
}

impl Demo {
    /// Where a tour begins: the bucket.
    pub fn location(&self) -> Location {
        Location::new(Scheme::S3, Some(PROFILE.to_owned()), &self.bucket, "")
    }

    /// What [`crate::store::Stores::give`] needs to reach it under the name [`PROFILE`].
    pub fn given(&self) -> Given {
        Given {
            endpoint: self.endpoint.clone(),
            region: "us-east-1".to_owned(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
        }
    }

    /// The folder on this disk whose folders are the server's buckets.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Samples made and samples in all.
    pub fn progress(&self) -> (u64, u64) {
        self.control.progress()
    }

    /// What is being generated now.
    pub fn step(&self) -> String {
        self.control.current_step()
    }

    /// A beat whenever there are more samples than at the last one; ends when all are there.
    pub fn changes(&self) -> impl futures::Stream<Item = ()> + Send + use<> {
        let state = (self.control.clone(), self.filled.clone(), 0, false);
        futures::stream::unfold(state, |(control, mut filled, seen, ended)| async move {
            if ended {
                return None;
            }
            loop {
                // The beat is for the eye: what is there is listed by the next one.
                let pause = tokio::time::sleep(std::time::Duration::from_millis(250));
                let ended = tokio::select! {
                    _ = filled.wait_for(Option::is_some) => true,
                    () = pause => false,
                };
                let (done, _) = control.progress();
                if ended || done != seen {
                    return Some(((), (control, filled, done, ended)));
                }
            }
        })
    }

    /// Waits until all samples are there. The small ones are much earlier.
    pub async fn ready(&self) -> Result<()> {
        let mut filled = self.filled.clone();
        let ended = filled.wait_for(Option::is_some).await;
        match ended.as_deref() {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(err))) => Err(Error::new(err.kind(), err.to_string()).with_source(err.clone())),
            Ok(None) | Err(_) => Err(Error::new(Kind::Failed, "generating the samples ended without a result")),
        }
    }

    /// Ends it, and waits a moment for the threads that still write, so that its temporary folder is
    /// gone when the program is.
    pub async fn stop(mut self) {
        self.control.cancel();
        let Some(temporary) = self.temporary.take() else { return };
        let deadline = tokio::time::Instant::now() + STOP;
        while Arc::strong_count(&temporary) > 1 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        if Arc::strong_count(&temporary) > 1 {
            // A thread is within one long call: what it has written so far goes.
            let _ = std::fs::remove_dir_all(temporary.path());
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.control.cancel();
        if self.temporary.is_some() {
            // Threads that still write may end with the program before they let go of the folder. It is
            // moved away from under them: what they write next fails, and nothing is left behind.
            let gone = self.folder.with_extension("gone");
            if std::fs::rename(&self.folder, &gone).is_ok() {
                let _ = std::fs::remove_dir_all(&gone);
            }
        }
    }
}

/// Generates everything: what is small first, so that a tour can begin, then the rest in parallel.
async fn fill(sink: Sink, folder: Option<Arc<tempfile::TempDir>>) -> Result<()> {
    let run = |work: fn(&Sink) -> Result<()>| {
        let (sink, folder) = (sink.clone(), folder.clone());
        let control = sink.control.clone();
        async move {
            control
                .blocking(move |_| {
                    let _folder = folder;
                    work(&sink)
                })
                .await
        }
    };
    run(|sink| words::write(sink).and_then(|()| stac::write(sink))).await?;
    tokio::try_join!(
        run(|sink| pictures::write(sink).and_then(|()| ctd::write(sink)).and_then(|()| dem::write(sink))),
        run(images),
        run(words::write_many),
    )?;
    // Once more, now that the sizes of its assets are known.
    run(stac::write).await?;
    run(|sink| {
        std::fs::remove_dir_all(sink.scratch(""))?;
        Ok(std::fs::write(sink.path(&format!("../{COMPLETE}")), "")?)
    })
    .await
}

/// All that shows the landscape.
fn images(sink: &Sink) -> Result<()> {
    let land = landscape::Landscape::new();
    sink.control.check()?;
    std::thread::scope(|scope| {
        let product = scope.spawn(|| safe::write(sink, &land));
        let result = scenes::write_whole(sink, &land).and_then(|()| scenes::write_series(sink, &land));
        let failed = |_| Err(Error::new(Kind::Failed, "a thread that generates samples failed"));
        result.and(product.join().unwrap_or_else(failed))
    })
}

fn is_empty(folder: &Path) -> Result<bool> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(err) => Err(err.into()),
    }
}

/// Letters and digits that nobody can guess.
fn random_key(length: usize, capitals: bool) -> String {
    use rand::Rng as _;
    use rand::distr::Alphanumeric;
    let letters = rand::rng().sample_iter(Alphanumeric).map(char::from);
    if capitals {
        letters.map(|c| c.to_ascii_uppercase()).take(length).collect()
    } else {
        letters.take(length).collect()
    }
}
