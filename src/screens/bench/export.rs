//! Saves a benchmark's report beside itself in three formats.

use crate::bench::Report;
use crate::error::{Context as _, Error, Kind, Result};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Numbers tried for a free name.
const NUMBERS: u32 = 1_000;

/// Writes `bench-<time>.json`, `.csv` and `.md` into `folder`, nothing over anything; returns the names.
pub(super) async fn write(report: Report, folder: PathBuf) -> Result<Vec<String>> {
    tokio::task::spawn_blocking(move || save(&report, &folder))
        .await
        .map_err(|err| Error::new(Kind::Failed, "saving failed").with_source(err))?
}

fn save(report: &Report, folder: &Path) -> Result<Vec<String>> {
    let parts = [("json", report.to_json()?), ("csv", report.csv()), ("md", report.markdown())];
    let began = report.environment.started.format("%Y%m%d-%H%M%S");
    for n in 1..=NUMBERS {
        let stem = if n == 1 { format!("bench-{began}") } else { format!("bench-{began} ({n})") };
        let paths: Vec<PathBuf> = parts.iter().map(|(ext, _)| folder.join(format!("{stem}.{ext}"))).collect();
        if paths.iter().any(|p| p.exists()) {
            continue;
        }
        for (path, (_, text)) in paths.iter().zip(&parts) {
            put(path, folder, text).context(|| format!("saving {}", path.display()))?;
        }
        return Ok(parts.iter().map(|(ext, _)| format!("{stem}.{ext}")).collect());
    }
    Err(Error::new(Kind::Exists, "there are too many reports of this name in this folder"))
}

/// Whole or not at all, and never over another file.
fn put(path: &Path, folder: &Path, text: &str) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist_noclobber(path).map_err(|err| Error::from(err.error))?;
    Ok(())
}
