//! A folder with a ring file and its log, for the tests of ring files.

use std::fs;
use std::path::Path;

use crate::common::NEVER_STALLS;
use alq::ring_file::inspect;
use alq::{Options, Queue, RingId};

pub fn options(folder: &Path) -> Options {
    Options::new()
        .capacity(4096)
        .stall_limit(Some(NEVER_STALLS))
        .ring_file(folder.join("ring"))
}

pub fn open(folder: &Path) -> Queue {
    options(folder).open(folder.join("log")).unwrap()
}

pub fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap()
}

pub fn id(folder: &Path) -> RingId {
    inspect(folder.join("ring")).unwrap().id.unwrap()
}
