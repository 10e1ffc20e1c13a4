//! The tool as a log catcher, and the files that it leaves.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::{Running, name, pipe, wait_until};

/// The tool in line mode on a pipe, of which the test keeps both ends.
pub struct Catcher {
    pub tool: Running,
    pub input: File,
    pub rest: File,
}

impl Catcher {
    pub fn start(args: &[&str], log: &Path) -> Self {
        let (reader, writer): (OwnedFd, OwnedFd) = pipe();
        let rest = File::from(reader.try_clone().unwrap());
        let args = args.iter().map(Path::new).chain([log]);
        Self {
            tool: Running::append(args, reader),
            input: writer.into(),
            rest,
        }
    }

    pub fn feed(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the pipe is empty: the tool has what was fed.
    pub fn wait_until_read(&self) {
        wait_until("an empty pipe", || {
            rustix::io::ioctl_fionread(&self.rest).unwrap() == 0
        });
    }

    /// What it said, and what it did not read; it must end by itself when its input does, or be ended.
    pub fn end(mut self) -> (String, String) {
        drop(self.input);
        self.tool.end();
        let said = std::io::read_to_string(self.tool.0.stderr.take().unwrap()).unwrap();
        let mut rest = String::new();
        self.rest.read_to_string(&mut rest).unwrap();
        (said, rest)
    }
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// The files that were cut off of the log, oldest first.
pub fn rotated(log: &Path) -> Vec<PathBuf> {
    let start = format!("{}.2", log.file_name().unwrap().to_str().unwrap());
    let entries = fs::read_dir(log.parent().unwrap()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_rotated = |path: &PathBuf| name(path).contains(&start);
    let mut found: Vec<PathBuf> = paths.filter(is_rotated).collect();
    found.sort();
    found
}

/// What all of them hold, and the log itself.
pub fn all(log: &Path) -> Vec<u8> {
    let files = rotated(log).into_iter().chain([log.to_owned()]);
    files
        .flat_map(|path| fs::read(path).unwrap_or_default())
        .collect()
}
