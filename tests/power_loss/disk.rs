//! A disk that loses its power: what a folder may hold after a crash of the machine, according to
//! the system calls that a process has made.
//!
//! What the disk promises, and no more:
//! - A file's bytes, length and cuts are durable after an `fsync` or `fdatasync` of that file that
//!   began after they were made. Otherwise each sector of a write may have arrived or not, and the
//!   length of the file may be that after any of its writes; a missing sector reads as zeros.
//! - Names are durable after an `fsync` of the folder. Otherwise the changes of names arrive in
//!   their order, up to any of them: a file system with a journal does that. The sync of a file
//!   does not make its name durable.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::calls::Call;
use super::common::Numbers;

const SECTOR: usize = 512;

/// When a change was made, and when a sync has made it durable.
#[derive(Debug)]
struct Change<T> {
    made: usize,
    durable: Option<usize>,
    what: T,
}

#[derive(Debug)]
enum Bytes {
    Write(usize, Vec<u8>),
    Cut(usize),
}

#[derive(Clone, Debug)]
enum Name {
    Made(String, usize),
    Moved(String, String),
    Exchanged(String, String),
    Removed(String),
}

/// The files of a folder with their names, in the order in which they were created.
pub type Files = Vec<(String, Vec<u8>)>;

#[derive(Debug, Default)]
struct Inode {
    /// Durable from the start.
    before: Vec<u8>,
    len: usize,
    changes: Vec<Change<Bytes>>,
}

/// What an open descriptor leads to.
#[derive(Clone, Debug)]
enum Open {
    Folder(PathBuf),
    Acknowledgements,
    File { inode: usize, description: usize },
}

/// The history of a folder.
#[derive(Debug, Default)]
pub struct Disk {
    inodes: Vec<Inode>,
    at_start: BTreeMap<String, usize>,
    names: BTreeMap<String, usize>,
    changes: Vec<Change<Name>>,
    open: HashMap<i32, Open>,
    /// Where the next write of a description goes; `None` if it appends.
    offsets: Vec<Option<usize>>,
    /// When each acknowledgement was made, and what it says.
    pub acknowledged: Vec<(usize, String)>,
    /// The number of moments: one for each line of the trace.
    pub moments: usize,
}

impl Disk {
    /// A folder that holds `files`, in which a process makes `calls`. `folder` is its path, and
    /// `acknowledgements` the path of a file elsewhere, in which the process says what it was
    /// promised.
    pub fn new(files: &Files, calls: &[Call], folder: &Path, acknowledgements: &Path) -> Self {
        let mut disk = Self::default();
        for (name, bytes) in files {
            disk.at_start.insert(name.clone(), disk.inodes.len());
            disk.inodes.push(Inode {
                before: bytes.clone(),
                len: bytes.len(),
                changes: Vec::new(),
            });
        }
        disk.names.clone_from(&disk.at_start);
        // A descriptor that a call closes is free for the others when that call begins.
        let mut order: Vec<&Call> = calls.iter().collect();
        let is_close = |call: &Call| call.name == "close";
        order.sort_by_key(|call| {
            let at = if is_close(call) {
                call.began
            } else {
                call.ended
            };
            (at, is_close(call))
        });
        for call in order {
            disk.moments = disk.moments.max(call.ended + 1);
            if call.result >= 0 {
                disk.carry_out(call, folder, acknowledgements);
            }
        }
        disk
    }

    fn carry_out(&mut self, call: &Call, folder: &Path, acknowledgements: &Path) {
        let result = call.result as i32;
        match call.name.as_str() {
            "open" | "openat" => {
                let path = self.path(call, 0);
                let is_folder = call.has("O_PATH") || call.has("O_DIRECTORY") || path == folder;
                let open = if is_folder {
                    Some(Open::Folder(path))
                } else if path == acknowledgements {
                    Some(Open::Acknowledgements)
                } else {
                    let name = name_in(folder, &path);
                    name.map(|name| self.open_file(call, &name))
                };
                self.set(result, open);
            }
            "fcntl" if call.has("F_DUPFD_CLOEXEC") || call.has("F_DUPFD") => {
                self.set(result, self.opened(call, 0));
            }
            "dup" | "dup2" | "dup3" => self.set(result, self.opened(call, 0)),
            "close" => self.set(call.fd(0).expect("a descriptor"), None),
            "write" | "writev" | "pwritev2" => self.write(call),
            "ftruncate" => {
                if let Some(Open::File { inode, .. }) = self.opened(call, 0) {
                    let len = call.args[1].parse().expect("a length");
                    self.inodes[inode].change(Bytes::Cut(len), call.ended);
                }
            }
            "fsync" | "fdatasync" => match self.opened(call, 0) {
                Some(Open::Folder(path)) if path == folder => sync(&mut self.changes, call),
                Some(Open::File { inode, .. }) => sync(&mut self.inodes[inode].changes, call),
                _ => {}
            },
            "renameat" | "renameat2" => {
                let [from, to] = [0, 1].map(|at| name_in(folder, &self.path(call, at)));
                if let (Some(from), Some(to)) = (from, to) {
                    let change = if call.has("RENAME_EXCHANGE") {
                        Name::Exchanged(from, to)
                    } else {
                        Name::Moved(from, to)
                    };
                    self.change(change, call.ended);
                }
            }
            "unlinkat" => {
                if let Some(name) = name_in(folder, &self.path(call, 0)) {
                    self.change(Name::Removed(name), call.ended);
                }
            }
            "rename" | "unlink" | "link" => panic!("not modelled yet: {call:?}"),
            "linkat" | "fallocate" | "copy_file_range" | "sendfile" | "pwrite64" | "pwritev"
            | "lseek" => {
                let is_ours = |at| matches!(self.opened(call, at), Some(Open::File { .. }));
                assert!(!is_ours(0) && !is_ours(1), "not modelled yet: {call:?}");
            }
            _ => {}
        }
    }

    fn set(&mut self, fd: i32, open: Option<Open>) {
        match open {
            Some(open) => self.open.insert(fd, open),
            None => self.open.remove(&fd),
        };
    }

    fn opened(&self, call: &Call, at: usize) -> Option<Open> {
        self.open.get(&call.fd(at)?).cloned()
    }

    /// The path `at` of a call whose paths follow the descriptor of a folder each.
    fn path(&self, call: &Call, at: usize) -> PathBuf {
        let path = Path::new(OsStr::from_bytes(&call.texts[at]));
        match self.opened(call, 2 * at) {
            Some(Open::Folder(folder)) if path == Path::new(".") => folder,
            Some(Open::Folder(folder)) => folder.join(path),
            _ => path.to_owned(),
        }
    }

    fn open_file(&mut self, call: &Call, name: &str) -> Open {
        let inode = self.names.get(name).copied().unwrap_or_else(|| {
            self.inodes.push(Inode::default());
            let inode = self.inodes.len() - 1;
            self.change(Name::Made(name.to_owned(), inode), call.ended);
            inode
        });
        if call.has("O_TRUNC") {
            self.inodes[inode].change(Bytes::Cut(0), call.ended);
        }
        self.offsets.push((!call.has("O_APPEND")).then_some(0));
        let description = self.offsets.len() - 1;
        Open::File { inode, description }
    }

    fn write(&mut self, call: &Call) {
        let mut bytes = call.texts.concat();
        bytes.truncate(usize::try_from(call.result).expect("it succeeded"));
        match self.opened(call, 0) {
            Some(Open::Acknowledgements) => {
                let text = String::from_utf8(bytes).expect("text");
                self.acknowledged.push((call.began, text.trim().to_owned()));
            }
            Some(Open::File { inode, description }) => {
                let offset = self.offsets[description].unwrap_or(self.inodes[inode].len);
                if let Some(next) = &mut self.offsets[description] {
                    *next += bytes.len();
                }
                self.inodes[inode].change(Bytes::Write(offset, bytes), call.ended);
            }
            _ => {}
        }
    }

    fn change(&mut self, what: Name, made: usize) {
        what.apply(&mut self.names);
        self.changes.push(Change {
            made,
            durable: None,
            what,
        });
    }

    /// What the folder holds if all changes arrive.
    pub fn now(&self) -> Files {
        let whole = |inode: &Inode| {
            let mut bytes = inode.before.clone();
            inode
                .changes
                .iter()
                .for_each(|one| one.what.apply(&mut bytes));
            bytes
        };
        self.files(&self.names, whole)
    }

    fn files(
        &self,
        names: &BTreeMap<String, usize>,
        mut bytes: impl FnMut(&Inode) -> Vec<u8>,
    ) -> Files {
        let mut files: Vec<_> = names.iter().collect();
        files.sort_by_key(|(_, inode)| **inode);
        let named = files.into_iter();
        named
            .map(|(name, inode)| (name.clone(), bytes(&self.inodes[*inode])))
            .collect()
    }

    /// What the folder may hold after a crash at `moment`.
    pub fn crash(&self, moment: usize, numbers: &mut Numbers) -> Files {
        let made = self.changes.iter().take_while(|one| one.made <= moment);
        let durable = made.clone().filter(|one| one.is_durable(moment)).count();
        let arrived = durable + numbers.below(made.clone().count() - durable + 1);
        let mut names = self.at_start.clone();
        made.take(arrived)
            .for_each(|one| one.what.apply(&mut names));
        // Some crashes lose all that is not durable, some nothing.
        let odds = numbers.below(5);
        self.files(&names, |inode| inode.crash(moment, odds, numbers))
    }
}

impl<T> Change<T> {
    fn is_durable(&self, moment: usize) -> bool {
        self.durable.is_some_and(|durable| durable <= moment)
    }
}

/// The name in `folder` that `path` leads to.
fn name_in(folder: &Path, path: &Path) -> Option<String> {
    let name = path.strip_prefix(folder).ok()?.to_str()?;
    (!name.contains('/')).then(|| name.to_owned())
}

/// Makes durable what was made before `call` began.
fn sync<T>(changes: &mut [Change<T>], call: &Call) {
    let covered = changes.iter_mut().filter(|one| one.made < call.began);
    for change in covered {
        change.durable.get_or_insert(call.ended);
    }
}

impl Name {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Made(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Moved(from, to) => {
                let inode = names.remove(from).expect("it was there");
                names.insert(to.clone(), inode);
            }
            Self::Exchanged(one, other) => {
                let inodes = [one, other].map(|name| names[name]);
                names.insert(one.clone(), inodes[1]);
                names.insert(other.clone(), inodes[0]);
            }
            Self::Removed(name) => {
                names.remove(name);
            }
        }
    }
}

impl Inode {
    fn change(&mut self, what: Bytes, made: usize) {
        self.len = what.len_after(self.len);
        self.changes.push(Change {
            made,
            durable: None,
            what,
        });
    }

    /// The bytes of this file after a crash. Of what is not durable, each sector arrives with
    /// `odds` in 4.
    fn crash(&self, moment: usize, odds: usize, numbers: &mut Numbers) -> Vec<u8> {
        let mut bytes = self.before.clone();
        let made = self.changes.iter().take_while(|one| one.made <= moment);
        let loose = made.clone().filter(|one| !one.is_durable(moment)).count();
        // The length is that after so many of the changes that are not durable.
        let mut lengths = if odds == 4 {
            loose
        } else {
            numbers.below(loose + 1)
        };
        for change in made {
            let is_durable = change.is_durable(moment);
            if !is_durable && lengths == 0 {
                break;
            }
            lengths -= usize::from(!is_durable);
            bytes.resize(change.what.len_after(bytes.len()), 0);
            if let Bytes::Write(offset, written) = &change.what {
                for (at, piece) in sectors(*offset, written) {
                    if is_durable || numbers.below(4) < odds {
                        bytes[at..at + piece.len()].copy_from_slice(piece);
                    }
                }
            }
        }
        bytes
    }
}

impl Bytes {
    fn apply(&self, bytes: &mut Vec<u8>) {
        bytes.resize(self.len_after(bytes.len()), 0);
        if let Self::Write(offset, written) = self {
            bytes[*offset..offset + written.len()].copy_from_slice(written);
        }
    }

    fn len_after(&self, len: usize) -> usize {
        match self {
            Self::Write(offset, bytes) => len.max(offset + bytes.len()),
            Self::Cut(len) => *len,
        }
    }
}

/// The parts of a write that lie in one sector each.
fn sectors(offset: usize, mut bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut pieces = Vec::new();
    let mut at = offset;
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at((SECTOR - at % SECTOR).min(bytes.len()));
        pieces.push((at, piece));
        at += piece.len();
        bytes = rest;
    }
    pieces
}
