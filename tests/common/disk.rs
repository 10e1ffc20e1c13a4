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
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
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

/// A file system on a loop device. Only root can mount it.
pub struct LoopDisk {
    dir: tempfile::TempDir,
}

impl LoopDisk {
    /// Makes a file system of this kind with `mkfs`. Prints why a test is skipped.
    pub fn mount(test: &str, kind: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (image, place) = (dir.path().join("image"), dir.path().join("place"));
        fs::create_dir(&place).unwrap();
        File::create(&image).unwrap().set_len(320 << 20).unwrap();
        let is_done = |program: &str, args: &[&str], last: &[&Path]| {
            let mut command = Command::new(program);
            command.args(args).args(last).stdin(Stdio::null());
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        if is_done(&format!("mkfs.{kind}"), &["-q"], &[&image])
            && is_done("mount", &["-o", "loop"], &[&image, &place])
        {
            return Some(Self { dir });
        }
        println!("{test}: skipped, {kind} cannot be made or mounted here");
        None
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("place")
    }

    /// Makes every change of the file system wait. Returns whether that is possible.
    pub fn freeze(&self) -> bool {
        let status = Command::new("fsfreeze").arg("-f").arg(self.path()).status();
        status.is_ok_and(|status| status.success())
    }

    pub fn thaw(&self) {
        let _ = Command::new("fsfreeze")
            .arg("-u")
            .arg(self.path())
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        self.thaw();
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
