//! Random sequences of operations on one thread, against an oracle.

#[path = "../common/mod.rs"]
mod common;
mod oracle;

use alq::{Entry, Error, Flags, Queue};
use common::{Log, TRY, WAIT, small, spawn};
use oracle::Oracle;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Op {
    Write {
        len: usize,
        quiet: bool,
    },
    Get {
        len: usize,
    },
    /// `set_bytes_used` to so many 256ths of the entry.
    SetUsed {
        which: usize,
        part: usize,
    },
    /// `write!` of so many letters.
    Text {
        which: usize,
        len: usize,
    },
    Post {
        which: usize,
        quiet: bool,
    },
    Drop {
        which: usize,
    },
    Flush,
    Activate,
}

fn lens() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1..=64_usize, 3 => 65..=1000_usize, 1 => 4000..=4096_usize]
}

fn ops() -> impl Strategy<Value = Op> {
    let which = 0..8_usize;
    prop_oneof![
        6 => (lens(), any::<bool>()).prop_map(|(len, quiet)| Op::Write { len, quiet }),
        5 => lens().prop_map(|len| Op::Get { len }),
        3 => (which.clone(), 0..=256_usize).prop_map(|(which, part)| Op::SetUsed { which, part }),
        3 => (which.clone(), 1..=600_usize).prop_map(|(which, len)| Op::Text { which, len }),
        4 => (which.clone(), any::<bool>()).prop_map(|(which, quiet)| Op::Post { which, quiet }),
        1 => which.prop_map(|which| Op::Drop { which }),
        1 => Just(Op::Flush),
        1 => Just(Op::Activate),
    ]
}

/// An open entry and what it must hold.
struct Open<'q> {
    entry: Entry<'q>,
    index: usize,
    bytes: Vec<u8>,
    used: usize,
    written: bool,
}

impl Open<'_> {
    fn set_used(&mut self, part: usize) {
        let used = self.bytes.len() * part / 256;
        self.entry.set_bytes_used(used);
        (self.used, self.written) = (used, true);
    }

    fn text(&mut self, len: usize) {
        let text = "T".repeat(len);
        let result = write!(self.entry, "{text}");
        if !self.written {
            (self.used, self.written) = (0, true);
        }
        let (from, room) = (self.used, self.bytes.len() - self.used);
        self.used += len.min(room);
        self.bytes[from..self.used].fill(b'T');
        let expected = (len > room).then_some(Error::TooLarge {
            len: from + len,
            max: self.bytes.len(),
        });
        assert_eq!(result.err(), expected);
    }

    /// Nobody else has written into it.
    fn check(&self) {
        assert!(
            self.entry[..] == self.bytes[..],
            "the entry's bytes changed"
        );
        assert_eq!(self.entry.bytes_used(), self.used);
    }
}

/// A queue under test and what is known about it.
struct World<'q> {
    log: &'q Log,
    queue: &'q Queue,
    oracle: Oracle,
    open: Vec<Open<'q>>,
}

fn flags(quiet: bool) -> Flags {
    if quiet {
        Flags::NOACTIVATE
    } else {
        Flags::empty()
    }
}

impl World<'_> {
    fn write(&mut self, bytes: &[u8], flags: Flags) {
        let len = bytes.len();
        let mut result = self.queue.writen(bytes, TRY | flags);
        let mut claim = self.oracle.claim(len, result.as_ref().err());
        if claim.is_none() && self.open.is_empty() {
            result = self.queue.writen(bytes, WAIT | flags); // no open entry: room comes
            self.oracle.made_room(len);
            claim = self.oracle.claim(len, result.as_ref().err());
        }
        if let Some(index) = claim {
            let position = self.oracle.post(index, len, bytes);
            assert_eq!(result.unwrap().bytes(), position);
        }
    }

    fn get(&mut self, len: usize, letter: u8) {
        let result = self.queue.getn(len, TRY);
        if let Some(index) = self.oracle.claim(len, result.as_ref().err()) {
            let mut entry = result.unwrap();
            assert_eq!((entry.len(), entry.bytes_used()), (len, len));
            entry.fill(letter);
            self.open.push(Open {
                entry,
                index,
                bytes: vec![letter; len],
                used: len,
                written: false,
            });
        }
    }

    fn post(&mut self, which: usize, flags: Flags) {
        let open = self.open.remove(which);
        let position = open.entry.post_flags(flags);
        let used = &open.bytes[..open.used];
        let expected = self.oracle.post(open.index, open.bytes.len(), used);
        assert_eq!(position.bytes(), expected);
    }

    fn drop(&mut self, which: usize) {
        let open = self.open.remove(which);
        drop(open.entry);
        self.oracle.post(open.index, open.bytes.len(), &[]);
    }

    fn step(&mut self, op: Op, letter: u8) {
        match op {
            Op::Write { len, quiet } => self.write(&vec![letter; len], flags(quiet)),
            Op::Get { len } => self.get(len, letter),
            Op::Activate => self.queue.activate(),
            Op::Flush if self.open.is_empty() => {
                self.queue.flush().unwrap();
                self.oracle.flushed();
                assert!(self.log.bytes() == self.oracle.file(), "after a flush");
            }
            Op::Flush => {} // it would wait for an open entry
            Op::SetUsed { which, .. }
            | Op::Text { which, .. }
            | Op::Post { which, .. }
            | Op::Drop { which }
                if which >= self.open.len() => {}
            Op::SetUsed { which, part } => self.open[which].set_used(part),
            Op::Text { which, len } => self.open[which].text(len),
            Op::Post { which, quiet } => self.post(which, flags(quiet)),
            Op::Drop { which } => self.drop(which),
        }
        self.open.iter().for_each(Open::check);
        self.oracle.check(self.queue);
    }

    fn finish(mut self) {
        while !self.open.is_empty() {
            self.drop(0);
        }
        self.queue.close(None).unwrap();
        self.oracle.check(self.queue);
        assert!(self.log.bytes() == self.oracle.file(), "at the end");
        let stats = self.queue.stats();
        assert_eq!(stats.written_bytes, stats.posted_bytes);
        assert_eq!(stats.written_records, stats.posted_records);
        assert_eq!(stats.padding_bytes, self.oracle.padding);
        assert_eq!(stats.fill_bytes, 0);
    }
}

fn run(ops: Vec<Op>) {
    let log = Log::new();
    let queue = log.open(small());
    let mut world = World {
        log: &log,
        queue: &queue,
        oracle: Oracle::default(),
        open: Vec::new(),
    };
    for (letter, op) in (b'a'..=b'z').cycle().zip(ops) {
        world.step(op, letter);
    }
    world.finish();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_sequence_of_operations_does_what_the_oracle_says(
        ops in prop::collection::vec(ops(), 1..150),
    ) {
        spawn(move || run(ops)).join();
    }
}
