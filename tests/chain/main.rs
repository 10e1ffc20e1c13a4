//! The chain of a log of checked frames: `forged.rs` changes logs in every way, `files.rs` the files
//! of a rotated log, and `life.rs` has kills, restarts, rotations and forks.

#[path = "../common/mod.rs"]
mod common;

mod files;
mod forged;
mod life;

use std::path::Path;

use alq::read::{Item, Notice, Place, Proven, ReadOptions};
use alq::{Framing, Options};

const KEY: [u8; 32] = *b"the key of the tests: 32 bytes!!";

fn chained() -> Options {
    Options::new()
        .framing(Framing::Checked)
        .capacity(1 << 16)
        .chain(KEY)
}

/// What a reader with the key finds in the log at `path`.
struct Found {
    records: Vec<Vec<u8>>,
    notices: Vec<(Notice, Place)>,
    proven: Option<(u64, Proven)>,
}

impl Found {
    /// What is wrong with the log.
    fn faults(&self) -> Vec<&Notice> {
        let notices = self.notices.iter().map(|(notice, _)| notice);
        notices.filter(|notice| notice.is_fault()).collect()
    }

    /// How many frames are proved.
    fn frames(&self) -> u64 {
        self.proven.unwrap().1.frames()
    }

    #[track_caller]
    fn assert_sound(self) -> Self {
        assert_eq!(self.notices, []);
        self
    }
}

fn read(path: &Path) -> Found {
    read_with(ReadOptions::new().chain(KEY), path)
}

fn read_with(options: ReadOptions, path: &Path) -> Found {
    let mut reader = options.open(path).unwrap();
    let (mut records, mut notices) = (Vec::new(), Vec::new());
    let mut take = |item: Item<'_>| match item {
        Item::Record(record) => records.push(record.bytes().to_vec()),
        Item::Notice(notice, place) => notices.push((notice, place)),
        _ => {}
    };
    while let Some(item) = reader.next().unwrap() {
        take(item);
    }
    while let Some(item) = reader.finish() {
        take(item);
    }
    let proven = reader.proven();
    Found {
        records,
        notices,
        proven,
    }
}
