//! The program: the command line, or the screen.

use clap::Parser as _;
use secchi::cli::{self, Cli};
use std::process::ExitCode;

/// With a screen, all that goes on behind it stands back by so much (`nice`): a key must not wait until
/// an upload's digests leave it a core. The loop itself runs on the first thread, as it was started.
const BEHIND: i32 = 10;

fn main() -> ExitCode {
    let cli = Cli::parse();
    secchi::task::hush_decoders();
    let nice = cli.has_screen().then(|| rustix::process::getpriority_process(None).unwrap_or(0).saturating_add(BEHIND));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .on_thread_start(move || {
            // Only Linux keeps it for each thread: this one, and those that it starts.
            if cfg!(target_os = "linux")
                && let Some(nice) = nice
            {
                // Where it is refused, all is only as it was.
                let _ = rustix::process::setpriority_process(None, nice);
            }
        })
        // A login node is shared: few threads, blocking ones come and go.
        .worker_threads(std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4)))
        .enable_all()
        .build();
    let json = cli.global.json;
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(cli::run(cli));
            // Blocking work that was told to stop may need a moment to notice.
            runtime.shutdown_timeout(std::time::Duration::from_millis(200));
            result
        }
        Err(err) => Err(err.into()),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(err) => ExitCode::from(cli::report(&err, json)),
    }
}
