//! One process that appends to a queue with a ring file, until it is killed.

use std::path::{Path, PathBuf};
use std::{fs, mem, thread};

use alq::{Entry, Error, FileSink, Flags, Lane, Options, Queue};

use super::label::{Label, Labelled, arm, die, pass};
use super::oracle::{Fate, Oracle, WRITERS, Way};
use crate::common::{LATER, NEVER_STALLS, Numbers, Record, TRY, WAIT, append_to, frames};

/// The ring file and the log of several lives, and the size of the ring.
#[derive(Clone, Debug)]
pub struct Place {
    pub ring: PathBuf,
    pub log: PathBuf,
    pub capacity: usize,
    pub has_lanes: bool,
    /// Whether the log has checked frames.
    pub is_framed: bool,
    /// Whether the frames have a chain, with the key [`KEY`].
    pub is_chained: bool,
    pub ways: Ways,
}

/// The key of the chains.
pub const KEY: [u8; 32] = [7; 32];

/// How the queue of a life is opened, and how it sometimes continues in another file.
#[derive(Clone, Copy, Debug)]
pub struct Ways {
    /// Whether it passes the labels, and a seed.
    pub open: fn(&Place, bool, usize) -> Queue,
    pub cut: fn(&Place, &Queue),
}

impl Place {
    pub fn in_folder(folder: &Path, capacity: usize, has_lanes: bool) -> Self {
        Self {
            ring: folder.join("ring"),
            log: folder.join("log"),
            capacity,
            has_lanes,
            is_framed: false,
            is_chained: false,
            ways: Ways {
                open: Self::open_log,
                cut: |place, queue| drop(queue.reopen(append_to(&place.log))),
            },
        }
    }

    pub fn options(&self) -> Options {
        let options = Options::new()
            .capacity(self.capacity)
            .stall_limit(Some(NEVER_STALLS))
            .ring_file(&self.ring);
        #[cfg(feature = "chain")]
        if self.is_chained {
            return options.framing(alq::Framing::Checked).chain(KEY);
        }
        #[cfg(feature = "frames")]
        if self.is_framed {
            return options.framing(alq::Framing::Checked);
        }
        options
    }

    /// Returns the records in the log. Panics unless a log of frames is whole.
    pub fn content(&self) -> Vec<u8> {
        let bytes = fs::read(&self.log).unwrap();
        if !self.is_framed || bytes.is_empty() {
            return bytes;
        }
        frames::parse(&bytes).records().concat()
    }

    /// The most bytes that a record may have.
    fn len_max(&self) -> usize {
        self.capacity - if self.is_framed { 16 } else { 0 }
    }

    /// The queue, on its log as every program opens it, or on a sink that passes the labels.
    fn open_log(&self, is_labelled: bool, seed: usize) -> Queue {
        if is_labelled {
            let file = FileSink::new(append_to(&self.log).into()).unwrap();
            self.options().open_sink(Labelled::new(file, seed)).unwrap()
        } else {
            self.options().open(&self.log).unwrap()
        }
    }

    /// Writes the bytes that earlier lives have left.
    pub fn recover(&self, oracle: Oracle) {
        let queue = (self.ways.open)(self, false, 0);
        oracle.found(queue.recovery().unwrap());
        queue.close(None).unwrap();
        drop(queue);
        let queue = (self.ways.open)(self, false, 0);
        assert_eq!(queue.recovery(), Some(&alq::Recovery::default()), "once");
    }
}

/// The plan of one life.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub number: u32,
    pub seed: usize,
    pub writers: usize,
    /// The number of steps of each writer, unless the process is killed before.
    pub operations: usize,
    /// The label at which it kills itself, and the pass.
    pub end: Option<(Label, u32)>,
}

impl Life {
    /// Runs the life until the process ends or is killed.
    pub fn live(self, place: &Place, oracle: Oracle) -> ! {
        if let Some((label, nth)) = self.end {
            arm(label, nth);
        }
        let is_labelled = self.end.is_some() || self.seed % 2 == 0;
        let queue = (place.ways.open)(place, is_labelled, self.seed);
        oracle.found(queue.recovery().unwrap());
        thread::scope(|scope| {
            for writer in 0..self.writers {
                let queue = &queue;
                scope.spawn(move || {
                    let mut writer = Writer {
                        life: self,
                        oracle,
                        place,
                        queue,
                        number: writer,
                        numbers: Numbers::new(self.seed * WRITERS + writer),
                    };
                    writer.work();
                });
            }
        });
        if self.seed % 3 == 0 {
            drop(queue); // the kill may come in the last drain, too
        }
        die();
    }
}

/// One writer thread of a life.
struct Writer<'l> {
    life: Life,
    oracle: Oracle,
    place: &'l Place,
    queue: &'l Queue,
    number: usize,
    numbers: Numbers,
}

impl<'l> Writer<'l> {
    fn work(&mut self) {
        let mut lane = self.queue.lane();
        for _ in 0..self.life.operations {
            let kinds = if self.place.has_lanes { 13 } else { 8 };
            match self.numbers.below(kinds) {
                0..=2 => self.writen(None),
                3 | 4 => self.reserve(),
                5 => self.reserve_two(),
                6 => self.drop_entry(),
                7 => match self.numbers.below(8) {
                    0 => drop(self.queue.flush()),
                    1 => (self.place.ways.cut)(self.place, self.queue),
                    _ => self.queue.activate(),
                },
                8..=10 => self.writen(Some(&mut lane)),
                11 => self.reserve_in(&mut lane),
                _ => match self.numbers.below(4) {
                    0 => lane = self.queue.lane(),
                    _ => lane.seal(),
                },
            }
        }
    }

    fn flags(&mut self) -> Flags {
        [WAIT, WAIT | Flags::NOACTIVATE, TRY, LATER][self.numbers.below(4)]
    }

    fn begin(&mut self, way: Way) -> Option<Record> {
        let seq = self.oracle.begin(self.number, way, self.life.number)?;
        let capacity = self.place.len_max();
        let limit = match self.numbers.below(32) {
            0 => capacity + 1 - Record::MIN_LEN,
            1..=4 => capacity / 8,
            _ => 100,
        };
        Some(Record {
            writer: self.number,
            seq,
            len: Record::MIN_LEN + self.numbers.below(limit),
        })
    }

    fn claimed(&self, record: Record) {
        pass(Label::AfterReserve);
        self.oracle.claimed(record.writer, record.seq);
    }

    fn posted(&self, record: Record) {
        pass(Label::AfterPost);
        self.oracle.set(record.writer, record.seq, Fate::Posted);
        pass(Label::AfterAcknowledge);
    }

    fn never(&self, record: Record) {
        self.oracle.set(record.writer, record.seq, Fate::Never);
    }

    /// Checks that only appends that do not wait are refused, and only for want of room.
    fn refused(&self, record: Record, error: &Error, flags: Flags) {
        assert!(
            flags.contains(TRY) && *error == Error::WouldBlock,
            "{error}"
        );
        self.never(record);
    }

    fn writen(&mut self, lane: Option<&mut Lane>) {
        let flags = self.flags();
        let way = if lane.is_some() {
            Way::Lane
        } else {
            Way::Shared
        };
        let Some(record) = self.begin(way) else {
            return;
        };
        let text = record.text();
        let result = match lane {
            Some(lane) => lane.writen(text.as_bytes(), flags),
            None => self.queue.writen(text.as_bytes(), flags),
        };
        match result {
            Ok(_) => {
                self.oracle.claimed(record.writer, record.seq);
                self.posted(record);
            }
            Err(error) => self.refused(record, &error, flags),
        }
    }

    /// Reserves the length of the record, or more.
    fn entry(&mut self, flags: Flags) -> Option<(Record, Entry<'l>)> {
        let record = self.begin(Way::Shared)?;
        let len = (record.len + self.spare()).min(self.place.len_max());
        match self.queue.getn(len, flags) {
            Ok(entry) => {
                self.claimed(record);
                Some((record, entry))
            }
            Err(error) => {
                self.refused(record, &error, flags);
                None
            }
        }
    }

    /// The number of bytes that are reserved beyond the length.
    fn spare(&mut self) -> usize {
        [0, 0, 1, 50][self.numbers.below(4)]
    }

    fn post(&self, record: Record, mut entry: Entry<'_>, flags: Flags) {
        fill(&mut entry, record);
        entry.set_bytes_used(record.len);
        entry.post_flags(flags);
        self.posted(record);
    }

    fn reserve(&mut self) {
        let flags = self.flags();
        if let Some((record, entry)) = self.entry(flags) {
            self.post(record, entry, flags);
        }
    }

    /// Holds two entries at once, and posts the second first.
    fn reserve_two(&mut self) {
        let flags = self.flags();
        let first = self.entry(flags);
        let second = self.entry(TRY); // a thread that holds an entry must not wait
        for (record, entry) in [second, first].into_iter().flatten() {
            self.post(record, entry, flags);
        }
    }

    fn drop_entry(&mut self) {
        let flags = self.flags();
        if let Some((record, mut entry)) = self.entry(flags) {
            self.never(record);
            fill(&mut entry, record);
            drop(entry);
        }
    }

    /// In a lane: posted, dropped, or forgotten.
    fn reserve_in(&mut self, lane: &mut Lane) {
        let flags = self.flags();
        let Some(record) = self.begin(Way::Lane) else {
            return;
        };
        let len = (record.len + self.spare()).min(self.place.len_max());
        let mut entry = match lane.getn(len, flags) {
            Ok(entry) => entry,
            Err(error) => return self.refused(record, &error, flags),
        };
        self.claimed(record);
        let end = self.numbers.below(4);
        if end < 2 {
            self.never(record);
        }
        fill(&mut entry, record);
        if end == 0 {
            mem::forget(entry);
            lane.seal(); // takes it back: nobody waits while he holds an entry
        } else if end > 1 {
            entry.set_bytes_used(record.len);
            entry.post_flags(flags);
            self.posted(record);
        }
    }
}

fn fill(entry: &mut [u8], record: Record) {
    let text = record.text();
    let (first, rest) = text.as_bytes().split_at(record.len / 2);
    entry[..first.len()].copy_from_slice(first);
    pass(Label::InFill);
    entry[first.len()..record.len].copy_from_slice(rest);
}
