//! The state of each record, in memory that outlives the processes, and what the log must hold.
#![allow(unsafe_code, reason = "memory that is shared with children of fork(2)")]

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::common::fork::shared;
use crate::common::parse;

/// The most writers.
pub const WRITERS: usize = 4;

/// The most records that each writer may attempt.
pub const RECORDS_MAX: usize = 4096;

/// The state of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fate {
    /// No writer has begun it.
    Unused,
    /// It may be in the log.
    Attempted,
    /// Its post has returned: it must be in the log.
    Posted,
    /// It was refused, or dropped on purpose: it must not be in the log.
    Never,
}

impl Fate {
    fn of(number: u8) -> Self {
        let all = [Self::Unused, Self::Attempted, Self::Posted, Self::Never];
        all[usize::from(number)]
    }
}

/// The way in which it was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Shared,
    Lane,
}

/// One record. A zeroed value is a record that no writer has begun.
struct Note {
    fate: AtomicU8,
    is_of_lane: AtomicU8,
    life: AtomicU32,
    /// Before its claim, and after it.
    before: AtomicU64,
    after: AtomicU64,
}

/// All records.
#[repr(C)]
struct Table {
    clock: AtomicU64,
    /// The totals that the processes have found in their ring files: see [`Found`].
    found: [AtomicU64; 4],
    next: [AtomicU32; WRITERS],
    notes: [[Note; RECORDS_MAX]; WRITERS],
}

/// The totals of all recoveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub recoveries: u64,
    pub bytes: u64,
    pub already_written: u64,
    pub skipped: u64,
}

/// The memory that the processes share.
#[derive(Clone, Copy)]
pub struct Oracle(&'static Table);

impl Oracle {
    /// Makes memory that children of this process inherit, and that is never unmapped.
    pub fn new() -> Self {
        // SAFETY: a table is made of atomics.
        Self(unsafe { shared() })
    }

    /// Forgets all records, but keeps the totals of recoveries.
    pub fn clear(self) {
        for (next, notes) in self.0.next.iter().zip(&self.0.notes) {
            for note in &notes[..next.swap(0, Ordering::Relaxed) as usize] {
                note.fate.store(Fate::Unused as u8, Ordering::Relaxed);
            }
        }
    }

    pub fn clock(self) -> u64 {
        self.0.clock.load(Ordering::Relaxed)
    }

    fn tick(self) -> u64 {
        self.0.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Begins a record of `writer`. `None` if it has reached the limit.
    pub fn begin(self, writer: usize, way: Way, life: u32) -> Option<u32> {
        let seq = self.0.next[writer].load(Ordering::Relaxed);
        let note = self.0.notes[writer].get(seq as usize)?;
        let is_of_lane = u8::from(way == Way::Lane);
        note.is_of_lane.store(is_of_lane, Ordering::Relaxed);
        note.life.store(life, Ordering::Relaxed);
        note.after.store(u64::MAX, Ordering::Relaxed);
        note.before.store(self.tick(), Ordering::Relaxed);
        self.set(writer, seq, Fate::Attempted);
        self.0.next[writer].store(seq + 1, Ordering::Relaxed);
        Some(seq)
    }

    /// Notes that the claim of the record has returned.
    pub fn claimed(self, writer: usize, seq: u32) {
        let note = &self.0.notes[writer][seq as usize];
        note.after.store(self.tick(), Ordering::Relaxed);
    }

    pub fn set(self, writer: usize, seq: u32, fate: Fate) {
        let note = &self.0.notes[writer][seq as usize];
        note.fate.store(fate as u8, Ordering::SeqCst);
    }

    /// Notes what a process has found in its ring file. Only kills have happened, so nothing may be
    /// in doubt.
    pub fn found(self, recovery: &alq::Recovery) {
        assert_eq!(
            (recovery.damaged_slots, recovery.possibly_repeated_bytes),
            (0, 0)
        );
        let found = [
            1,
            recovery.bytes,
            recovery.already_written_bytes,
            recovery.skipped_entries,
        ];
        for (sum, more) in self.0.found.iter().zip(found) {
            sum.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub fn sums(self) -> Found {
        let [recoveries, bytes, already_written, skipped] = self
            .0
            .found
            .each_ref()
            .map(|sum| sum.load(Ordering::Relaxed));
        Found {
            recoveries,
            bytes,
            already_written,
            skipped,
        }
    }

    /// Panics unless `log` holds every posted record once, in order, and no record that was never
    /// posted. Returns the number of records.
    pub fn check(self, log: &[u8]) -> usize {
        let records = parse(log);
        let mut seen = vec![vec![false; RECORDS_MAX]; WRITERS];
        let mut last = [[None; 2]; WRITERS];
        let (mut life, mut latest) = (0, 0);
        for record in &records {
            let (writer, seq) = (record.writer, record.seq);
            let note = &self.0.notes[writer][seq as usize];
            let fate = Fate::of(note.fate.load(Ordering::Relaxed));
            let may_be = [Fate::Attempted, Fate::Posted].contains(&fate);
            assert!(may_be, "{record:?} is in the log: {fate:?}");
            let is_second = std::mem::replace(&mut seen[writer][seq as usize], true);
            assert!(!is_second, "{record:?} is in the log twice");
            let is_of_lane = note.is_of_lane.load(Ordering::Relaxed);
            let before = last[writer][usize::from(is_of_lane)].replace(seq);
            assert!(before < Some(seq), "{record:?} comes behind {before:?}");
            let its_life = note.life.load(Ordering::Relaxed);
            assert!(its_life >= life, "{record:?} of {its_life} behind {life}");
            life = its_life;
            if is_of_lane == 0 {
                // A record whose claim returned before another claim began comes first.
                let after = note.after.load(Ordering::Relaxed);
                assert!(after > latest, "{record:?} was claimed before the last");
                latest = latest.max(note.before.load(Ordering::Relaxed));
            }
        }
        for (writer, notes) in self.0.notes.iter().enumerate() {
            let count = self.0.next[writer].load(Ordering::Relaxed) as usize;
            for (seq, note) in notes[..count].iter().enumerate() {
                let is_posted = note.fate.load(Ordering::Relaxed) == Fate::Posted as u8;
                assert!(!is_posted || seen[writer][seq], "{writer}:{seq} is lost");
            }
        }
        records.len()
    }
}
