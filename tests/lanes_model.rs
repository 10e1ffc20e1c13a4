//! Random sequences of operations on a queue and its lanes, on one thread, against what the promises of lanes say: every
//! record once, whole, in the order of its producer, and behind what a shared append or a seal puts it behind; every byte
//! counted.

mod common;

use std::mem;

use alq::{Error, Flags, Lane, Queue};
use common::{Log, TRY, WAIT, small, spawn};
use proptest::prelude::*;

/// Who appends: the queue itself, or one of so many lanes.
const LANES: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Op {
    Write {
        who: usize,
        len: usize,
        quiet: bool,
    },
    /// Reserves `len` and posts `used` of it; 0 drops it.
    Reserve {
        who: usize,
        len: usize,
        used: usize,
    },
    /// Reserves and forgets the entry (of a lane).
    Forget {
        who: usize,
        len: usize,
    },
    Seal {
        who: usize,
    },
    /// Drops the lane and makes another.
    Renew {
        who: usize,
    },
    Flush,
    Full,
}

fn ops() -> impl Strategy<Value = Op> {
    let who = 0..=LANES;
    let lens = || prop_oneof![6 => 1..=64_usize, 3 => 65..=1100_usize, 1 => 2000..=4096_usize];
    prop_oneof![
        8 => (who.clone(), lens(), any::<bool>())
            .prop_map(|(who, len, quiet)| Op::Write { who, len, quiet }),
        4 => (who.clone(), lens(), 0..=4096_usize)
            .prop_map(|(who, len, used)| Op::Reserve { who, len, used: used % (len + 1) }),
        1 => (who.clone(), lens()).prop_map(|(who, len)| Op::Forget { who, len }),
        2 => who.clone().prop_map(|who| Op::Seal { who }),
        1 => who.prop_map(|who| Op::Renew { who }),
        1 => Just(Op::Flush),
        1 => Just(Op::Full),
    ]
}

/// What was appended, in the order of the calls.
#[derive(Default)]
struct Appended {
    /// `(who, bytes)` of each record.
    records: Vec<(usize, Vec<u8>)>,
    /// How many records there were when `who` sealed.
    seals: Vec<(usize, usize)>,
}

impl Appended {
    fn bytes(&self) -> usize {
        self.records.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Whether record `first` must come before record `second`, of those that were appended in this order.
    fn is_ordered(&self, first: usize, second: usize) -> bool {
        let (one, two) = (self.records[first].0, self.records[second].0);
        let sealed_between = |&(who, at): &(usize, usize)| who == two && first < at && at <= second;
        one == two || two == 0 || self.seals.iter().any(sealed_between)
    }

    /// Fails unless `file` holds the records, each once and whole, in an order that the promises allow.
    fn check(&self, file: &[u8]) {
        assert_eq!(file.len(), self.bytes());
        let mut left: Vec<usize> = (0..self.records.len()).collect();
        let mut rest = file;
        while !rest.is_empty() {
            // What may come next is what nothing has to come before. Records are numbered, so at most one fits.
            let fits = |at: &usize| {
                let index = left[*at];
                rest.starts_with(&self.records[index].1)
                    && !left[..*at]
                        .iter()
                        .any(|&other| self.is_ordered(other, index))
            };
            let at = (0..left.len()).find(fits);
            let at = at.unwrap_or_else(|| {
                let text = String::from_utf8_lossy(&rest[..rest.len().min(40)]);
                let at = file.len() - rest.len();
                panic!("this must not come at byte {at}: {text}, left {left:?}")
            });
            let index = left.remove(at);
            rest = &rest[self.records[index].1.len()..];
        }
        assert!(left.is_empty());
    }
}

struct World<'l> {
    log: &'l Log,
    queue: Queue,
    lanes: Vec<Lane>,
    appended: Appended,
}

impl World<'_> {
    /// A record that no other is a prefix of, if it is long enough for its number.
    fn record(&self, len: usize) -> Vec<u8> {
        let mut record = format!("<{}>", self.appended.records.len()).into_bytes();
        record.resize(record.len().max(len), b'.');
        record
    }

    fn lane(&mut self, who: usize) -> Option<&mut Lane> {
        who.checked_sub(1).map(|index| &mut self.lanes[index])
    }

    fn write(&mut self, who: usize, len: usize, flags: Flags) {
        let record = self.record(len);
        let queue = self.queue.clone();
        let result = match self.lane(who) {
            Some(lane) => lane.writen(&record, flags),
            None => queue.writen(&record, flags),
        };
        match result {
            Ok(_) => self.appended.records.push((who, record)),
            Err(error) => assert_eq!((error, flags.contains(TRY)), (Error::WouldBlock, true)),
        }
    }

    fn reserve(&mut self, who: usize, len: usize, used: usize) {
        let record = self.record(used);
        let len = len.max(record.len());
        let queue = self.queue.clone();
        let used = if used == 0 { 0 } else { record.len() };
        macro_rules! fill {
            ($entry:expr) => {{
                let mut entry = $entry;
                if used > 0 {
                    entry.fill(b'!');
                    entry[..used].copy_from_slice(&record);
                    entry.set_bytes_used(used);
                    entry.post();
                }
            }};
        }
        if let Some(lane) = self.lane(who) {
            fill!(lane.getn(len, WAIT).unwrap());
        } else {
            fill!(queue.getn(len, WAIT).unwrap());
        }
        if used > 0 {
            self.appended.records.push((who, record));
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Write { who, len, quiet } => {
                let flags = if quiet {
                    Flags::NOACTIVATE
                } else {
                    Flags::empty()
                };
                self.write(who, len, TRY | flags);
                self.write(who, len, WAIT | flags);
            }
            Op::Reserve { who, len, used } => self.reserve(who, len, used),
            Op::Forget { who, len } => {
                if let Some(lane) = self.lane(who) {
                    mem::forget(lane.getn(len, WAIT));
                    lane.seal(); // the next call takes it back, or others would wait for it
                    self.seal(who);
                }
            }
            Op::Seal { who } => {
                if let Some(lane) = self.lane(who) {
                    lane.seal();
                    self.seal(who);
                }
            }
            Op::Renew { who } => {
                let lane = self.queue.lane();
                if let Some(old) = self.lane(who) {
                    *old = lane;
                    self.seal(who);
                }
            }
            Op::Flush => {
                self.queue.flush().unwrap();
                self.appended.check(&self.log.bytes());
            }
            Op::Full => {
                // Whatever lanes have open, all of the queue can be had.
                self.write(0, self.queue.capacity(), WAIT);
            }
        }
        let stats = self.queue.stats();
        assert_eq!(stats.posted_bytes, self.appended.bytes() as u64);
        assert_eq!(stats.posted_records, self.appended.records.len() as u64);
        assert!(stats.written_bytes <= stats.posted_bytes);
        assert!(stats.written_records <= stats.posted_records);
        assert!(stats.fill_bytes <= stats.capacity_bytes);
        assert_eq!((stats.held, stats.lanes), (0, LANES as u64));
    }

    fn seal(&mut self, who: usize) {
        self.appended.seals.push((who, self.appended.records.len()));
    }
}

fn run(ops: Vec<Op>) {
    let log = Log::new();
    let queue = log.open(small());
    let lanes = (0..LANES).map(|_| queue.lane()).collect();
    let mut world = World {
        log: &log,
        queue: queue.clone(),
        lanes,
        appended: Appended::default(),
    };
    ops.into_iter().for_each(|op| world.step(op));
    queue.close(None).unwrap();
    world.appended.check(&log.bytes());
    let stats = queue.stats();
    assert_eq!(stats.written_bytes, stats.posted_bytes);
    assert_eq!(stats.written_records, stats.posted_records);
    assert_eq!((stats.fill_bytes, stats.lost_bytes), (0, 0));
    assert_eq!(
        queue.position().bytes(),
        stats.written_bytes + stats.padding_bytes
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_sequence_of_operations_keeps_the_promises_of_lanes(
        ops in prop::collection::vec(ops(), 1..120),
    ) {
        spawn(move || run(ops)).join();
    }
}
