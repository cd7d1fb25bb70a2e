//! The S3 server of the demo: `s3s-fs` over a folder, in this process, on the loopback interface.

use crate::error::{Context, Error, Kind, Result};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use tokio::task::{AbortHandle, JoinSet};

/// A running server; dropping it closes its port and its connections.
pub(super) struct Server {
    /// Where it listens.
    pub(super) address: SocketAddr,
    task: AbortHandle,
}

impl Server {
    /// Serves `root`, whose folders are the buckets, to who signs with these keys.
    pub(super) fn start(root: &Path, access_key: &str, secret_key: &str) -> Result<Self> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|err| Error::new(Kind::Failed, "the demo needs a running Tokio runtime").with_source(err))?;
        let files = s3s_fs::FileSystem::new(root)
            .map_err(|err| Error::new(Kind::Failed, format!("serving a folder failed: {err:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        let service = builder.build();

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context(|| "opening a local port".to_owned())?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let _entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        Ok(Self { address, task: runtime.spawn(accept(listener, service)).abort_handle() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers until aborted; its connections are aborted with it.
async fn accept(listener: tokio::net::TcpListener, service: S3Service) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A failed accept (too many open files) concerns one client; a short rest lets files close.
                let Ok((socket, _)) = accepted else {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                };
                // Without it small answers wait for the client's acknowledgement.
                let _ = socket.set_nodelay(true);
                let service = service.clone();
                connections.spawn(async move {
                    // A client that goes away is no failure of the server's.
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
