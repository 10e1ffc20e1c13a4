//! Reads a log and its rotated files as one.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alq::rotate::{RotatingFile, Rotation};
use alq::{Options, Queue};

/// How long a test waits at most for the work after a rotation.
pub const BACKGROUND: Option<Duration> = Some(Duration::from_secs(300));

/// A folder with a log in it, where a sync costs nothing.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir_in("/dev/shm").unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn log(&self) -> PathBuf {
        self.path().join("log")
    }

    pub fn open(&self, rotation: Rotation) -> (RotatingFile, Queue) {
        let log = rotation.open(self.log()).unwrap();
        let queue = Options::new().open_sink(log.clone()).unwrap();
        (log, queue)
    }

    pub fn rotated(&self) -> Vec<PathBuf> {
        rotated(&self.log())
    }

    /// The content of the log itself.
    pub fn text(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }

    pub fn content(&self) -> Vec<u8> {
        content(&self.log())
    }
}

/// The rotated files of the log at `path`, in order. Of a file in two forms, the plain one.
pub fn rotated(path: &Path) -> Vec<PathBuf> {
    let stem = format!("{}.2", path.file_name().unwrap().to_str().unwrap());
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with(&stem)).collect();
    names.sort();
    let key_len = stem.len() + 22;
    assert!(
        names.iter().all(|name| name.len() - key_len <= 4),
        "{names:?}"
    );
    names.dedup_by_key(|name| name[..key_len].to_owned());
    names.iter().map(|name| path.with_file_name(name)).collect()
}

/// The content of a plain or packed file.
pub fn unpacked(path: &Path) -> Vec<u8> {
    let file = File::open(path).unwrap();
    let mut bytes = Vec::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => flate2::read::GzDecoder::new(file).read_to_end(&mut bytes),
        Some("zst") => zstd::stream::read::Decoder::new(file)
            .unwrap()
            .read_to_end(&mut bytes),
        _ => (&file).read_to_end(&mut bytes),
    }
    .unwrap();
    bytes
}

/// The content of all rotated files and of the log, in order.
pub fn content(path: &Path) -> Vec<u8> {
    let mut bytes: Vec<u8> = rotated(path).iter().flat_map(|one| unpacked(one)).collect();
    bytes.extend(fs::read(path).unwrap_or_default());
    bytes
}
