//! The producers, and the check of what the file must hold afterwards.

use std::sync::{Arc, Mutex};

use alq::{Error, Flags, Lane, Queue};
use shuttle::thread::yield_now;

use crate::runner::{below, is_one_in};

/// The ways in which a producer appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through the queue.
    Shared,
    /// Through its own lane, which it sometimes seals or replaces.
    Lane,
}

/// All posted records.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Vec<Noted>>>);

/// A position, and the record that ends there.
type Noted = (u64, Vec<u8>);

impl Ledger {
    pub fn note(&self, position: u64, record: Vec<u8>) {
        self.0.lock().unwrap().push((position, record));
    }

    /// The expected file: each record once, whole, in the order of the positions. Checks that all
    /// positions differ.
    pub fn expected(&self) -> Vec<u8> {
        let mut records = self.0.lock().unwrap().clone();
        records.sort();
        for pair in records.windows(2) {
            let (before, after) = (pair[0].0, pair[1].0);
            assert!(before + pair[1].1.len() as u64 <= after, "they overlap");
        }
        records.into_iter().flat_map(|(_, record)| record).collect()
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The appends of one thread.
#[derive(Debug)]
pub struct Producer {
    name: char,
    queue: Queue,
    lane: Option<Lane>,
    ledger: Ledger,
    count: usize,
    /// The position at which its last record ended.
    last: u64,
}

/// The length of the longest record, in bytes. Three of them fill the ring.
const LEN_MAX: usize = 1400;

impl Producer {
    pub fn new(name: char, queue: &Queue, way: Way, ledger: &Ledger) -> Self {
        Self {
            name,
            queue: queue.clone(),
            lane: (way == Way::Lane).then(|| queue.lane()),
            ledger: ledger.clone(),
            count: 0,
            last: 0,
        }
    }

    /// Appends in random ways until it has posted `records`, or the queue is closed. If a failed
    /// queue refuses a record, it tries again until another sink has taken over.
    pub fn run(&mut self, records: usize) {
        while self.count < records {
            match self.act() {
                Ok(()) => {}
                Err(Error::WouldBlock | Error::Io { .. }) => yield_now(),
                Err(Error::Closed) => return,
                Err(error) => panic!("{} is told {error}", self.name),
            }
        }
    }

    fn act(&mut self) -> Result<(), Error> {
        match below(8) {
            0 => self.give_up_an_entry()?,
            1 => self.end_the_span(),
            _ => {}
        }
        let len = 16 + below(if is_one_in(3) { LEN_MAX } else { 200 });
        let record = self.record(len);
        let unused = if is_one_in(2) { 0 } else { below(LEN_MAX) };
        let (position, record) = if is_one_in(2) {
            (self.copy(&record)?, record)
        } else {
            (self.fill(&record, unused)?, record)
        };
        assert!(self.last < position, "positions grow");
        self.last = position;
        self.ledger.note(position, record);
        self.count += 1;
        Ok(())
    }

    /// A record that differs from every other.
    fn record(&self, len: usize) -> Vec<u8> {
        let mut record = format!("{}{}/{len}:", self.name, self.count).into_bytes();
        record.resize(len - 1, b'.');
        record.push(b'\n');
        record
    }

    fn flags() -> Flags {
        let wait = [Flags::WAITOK, Flags::NOWAIT][below(2)];
        let quiet = [Flags::empty(), Flags::NOACTIVATE][usize::from(is_one_in(3))];
        wait | quiet
    }

    fn copy(&mut self, record: &[u8]) -> Result<u64, Error> {
        let posted = match &mut self.lane {
            Some(lane) => lane.writen(record, Self::flags()),
            None => self.queue.writen(record, Self::flags()),
        };
        posted.map(|position| position.bytes())
    }

    /// Reserves more than it posts, and yields in between.
    fn fill(&mut self, record: &[u8], unused: usize) -> Result<u64, Error> {
        let (len, flags) = (record.len() + unused, Self::flags());
        macro_rules! fill {
            ($entry:expr) => {{
                let mut entry = $entry?;
                entry.fill(b'#');
                yield_now();
                entry[..record.len()].copy_from_slice(record);
                entry.set_bytes_used(record.len());
                entry.post().bytes()
            }};
        }
        Ok(match &mut self.lane {
            Some(lane) => fill!(lane.getn(len, flags)),
            None => fill!(self.queue.getn(len, flags)),
        })
    }

    fn give_up_an_entry(&mut self) -> Result<(), Error> {
        let len = 1 + below(LEN_MAX);
        match &mut self.lane {
            Some(lane) => drop(lane.getn(len, Self::flags())?),
            None => drop(self.queue.getn(len, Self::flags())?),
        }
        Ok(())
    }

    fn end_the_span(&mut self) {
        if let Some(lane) = &mut self.lane {
            if is_one_in(2) {
                lane.seal();
            } else {
                *lane = self.queue.lane();
            }
        }
    }

    /// Returns the record that was posted last.
    pub fn last_record(&self) -> Vec<u8> {
        let records = self.ledger.0.lock().unwrap();
        let mine = records.iter().find(|(position, _)| *position == self.last);
        mine.expect("it was noted").1.clone()
    }
}
