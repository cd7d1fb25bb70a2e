//! The program: the command line, or the screen.

use clap::Parser as _;
use secchi::cli::{self, Cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
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
