//! Small disks, which are full soon, and a computer on which root may not read everything.
#![allow(dead_code, unreachable_pub, clippy::print_stderr, reason = "each test binary uses its part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory on a folder. It goes when it is dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// One of so many KiB on `folder`, which is made; `None`, with a word, where nothing may be mounted.
    pub fn mount(folder: &Path, kib: usize) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let size = format!("size={kib}k");
        if !runs(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder)) {
            eprintln!("skipped: no tmpfs may be mounted here");
            return None;
        }
        Some(Self(folder.to_owned()))
    }

    /// Writes a file until nothing is left but so many KiB.
    pub fn fill(folder: &Path, leave: usize) {
        use std::io::Write as _;
        let path = folder.join("filler");
        let mut file = std::fs::File::create(&path).expect("a file");
        let mut length = 0;
        while let Ok(n) = file.write(&[1; 4096]) {
            length += n as u64;
        }
        file.set_len(length.saturating_sub(leave as u64 * 1024)).expect("gives room back");
    }

    /// Makes room.
    pub fn empty(folder: &Path) {
        std::fs::remove_file(folder.join("filler")).expect("is there");
    }

    /// Makes it read-only, or not.
    pub fn protect(&self, is_read_only: bool) {
        let how = if is_read_only { "remount,ro" } else { "remount,rw" };
        assert!(runs(Command::new("mount").args(["-o", how]).arg(&self.0)), "{how}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        runs(Command::new("umount").arg("-l").arg(&self.0));
    }
}

fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|done| done.status.success())
}

/// What to run a program under so that permissions hold for root too; `None`, with a word, where that cannot be.
pub fn as_anybody() -> Option<Vec<&'static str>> {
    let words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
    if !rustix::process::geteuid().is_root() {
        return Some(Vec::new());
    }
    if runs(Command::new(words[0]).args([words[1], "true"])) {
        return Some(words.into());
    }
    eprintln!("skipped: root may read everything here");
    None
}

/// Whether a program is there, with a word where it is not.
pub fn has(program: &str) -> bool {
    let found = runs(Command::new(program).arg("--version"));
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}
