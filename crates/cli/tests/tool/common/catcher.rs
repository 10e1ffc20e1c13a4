//! The tool as a log catcher, and the files that it leaves.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::{Running, name, pipe, wait_until};

/// The tool in line mode on a pipe. The test holds both ends of the pipe.
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

    /// Waits until the pipe is empty: the tool has read everything.
    pub fn wait_until_read(&self) {
        wait_until("an empty pipe", || {
            rustix::io::ioctl_fionread(&self.rest).unwrap() == 0
        });
    }

    /// Closes the input and waits for the end of the tool. Returns its messages, and the input that
    /// it did not read.
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

/// The rotated files of the log, oldest first.
pub fn rotated(log: &Path) -> Vec<PathBuf> {
    let start = format!("{}.2", log.file_name().unwrap().to_str().unwrap());
    let entries = fs::read_dir(log.parent().unwrap()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_rotated = |path: &PathBuf| name(path).contains(&start);
    let mut found: Vec<PathBuf> = paths.filter(is_rotated).collect();
    found.sort();
    found
}

/// The content of the rotated files and of the log, together.
pub fn all(log: &Path) -> Vec<u8> {
    let files = rotated(log).into_iter().chain([log.to_owned()]);
    files
        .flat_map(|path| fs::read(path).unwrap_or_default())
        .collect()
}
