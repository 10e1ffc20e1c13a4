//! A small disk that can be filled up.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// A file system of 1 MiB. Only root can mount it.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub fn mount(test: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "alq-test"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        println!("{test}: skipped, no file system can be mounted here");
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills all of the free room.
    pub fn fill(&self) {
        let mut filler = File::create(self.path().join("filler")).unwrap();
        let full = std::io::copy(&mut std::io::repeat(b'#'), &mut filler).unwrap_err();
        assert_eq!(full.raw_os_error(), Some(libc::ENOSPC));
    }

    pub fn make_room(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}
