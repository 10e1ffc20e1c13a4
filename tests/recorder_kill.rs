//! After any number of kills of a recorder with a ring file, what it did last is in the ring or in a
//! dump: whole records, in order, up to the last one whose append returned.
//!
//! `ALQ_KILLS=10000` runs the long form.

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, hint, thread};

use alq::ring_file::{RingDump, dump};
use alq::{AfterKill, Options, Queue};
use common::child::in_child;
use common::torture::run::{kills, seed, start};
use common::{NEVER_STALLS, Numbers, Record, TRY, fork};

const WRITERS: usize = 3;

/// Memory that outlives the processes.
struct Memory {
    /// How many records of each writer were posted: every append up to here has returned.
    posted: [AtomicU32; WRITERS],
    /// How many appends of each writer have begun.
    begun: [AtomicU32; WRITERS],
}

impl Memory {
    fn of(counts: &[AtomicU32; WRITERS]) -> [u32; WRITERS] {
        counts.each_ref().map(|count| count.load(Ordering::Acquire))
    }

    fn work(&self) -> u32 {
        Self::of(&self.posted).iter().sum()
    }
}

/// One process.
#[derive(Clone, Copy)]
struct Life {
    capacity: usize,
    after_kill: AfterKill,
    writers: usize,
    /// A dump is asked for after this many records, if it is not 0.
    dump_every: usize,
    seed: usize,
}

impl Life {
    fn draw(numbers: &mut Numbers) -> Self {
        let policies = [AfterKill::Dump, AfterKill::Keep, AfterKill::Discard];
        Self {
            capacity: [4096, 1 << 14, 1 << 16][numbers.below(3)],
            after_kill: policies[numbers.below(3)],
            writers: 1 + numbers.below(WRITERS),
            dump_every: [0, 0, 50, 500][numbers.below(4)],
            seed: numbers.below(1 << 30),
        }
    }

    /// Appends until it is killed. `found` was in the ring before.
    fn live(self, folder: &Folder, memory: &'static Memory, found: &RingDump) {
        let queue = Options::new()
            .capacity(self.capacity)
            .recorder(true)
            .after_kill(self.after_kill)
            .stall_limit(Some(NEVER_STALLS))
            .end_torn_line(true)
            .ring_file(&folder.ring)
            .open(&folder.log)
            .unwrap();
        let recovery = queue.recovery().unwrap();
        assert_eq!(recovery.bytes, found.dump.bytes);
        assert_eq!(recovery.damaged_slots, 0);
        thread::scope(|scope| {
            for writer in 0..self.writers {
                let queue = &queue;
                scope.spawn(move || self.append(writer, queue, memory));
            }
        });
    }

    fn append(self, writer: usize, queue: &Queue, memory: &Memory) {
        let mut numbers = Numbers::new(self.seed + writer);
        let from = memory.begun[writer].load(Ordering::Acquire);
        for seq in from.. {
            let len = Record::MIN_LEN + numbers.below(150);
            let text = Record { writer, seq, len }.text();
            memory.begun[writer].store(seq + 1, Ordering::Release);
            while queue.writen(text.as_bytes(), TRY).is_err() {
                thread::yield_now(); // a dump copies, or another writer holds the oldest record
            }
            memory.posted[writer].store(seq + 1, Ordering::Release);
            if self.dump_every > 0 && numbers.below(self.dump_every) == 0 {
                queue.dump("a step").unwrap();
            }
        }
    }
}

struct Folder {
    ring: PathBuf,
    log: PathBuf,
}

/// The records of `lines` by writer. They are whole, and of each writer without a gap, except that
/// appends that a kill has cut short are not there.
fn numbers_of<'l>(
    lines: impl Iterator<Item = &'l str>,
    cut: &[Vec<u32>; WRITERS],
) -> [Vec<u32>; WRITERS] {
    let mut found: [Vec<u32>; WRITERS] = Default::default();
    for line in lines {
        let record = Record::of_line(line).unwrap_or_else(|| panic!("no record: {line:?}"));
        let of_writer = &mut found[record.writer];
        if let Some(last) = of_writer.last() {
            let between: Vec<u32> = (last + 1..record.seq).collect();
            let is_cut = between.iter().all(|seq| cut[record.writer].contains(seq));
            assert!(last < &record.seq && is_cut, "{record:?} after {last}");
        }
        of_writer.push(record.seq);
    }
    found
}

/// What the dumps in the log have, by writer. A dump may be cut where its process was killed.
fn dumped(log: &Path, cut: &[Vec<u32>; WRITERS]) -> [Option<u32>; WRITERS] {
    let text = fs::read_to_string(log).unwrap_or_default();
    let mut last = [None; WRITERS];
    let lines: Vec<&str> = text.lines().collect();
    let is_head = |line: &&str| line.starts_with("---");
    let mut rest = &lines[..];
    while let Some(head) = rest.first() {
        assert!(is_head(head), "{head}");
        let end = rest[1..].iter().position(is_head);
        let end = end.map_or(rest.len(), |end| end + 1);
        let mut records = &rest[1..end];
        rest = &rest[end..];
        let Some(count) = head.ends_with(" ---").then(|| head[4..].split(' ').next()) else {
            assert!(records.is_empty());
            continue;
        };
        if records
            .last()
            .is_some_and(|last| Record::of_line(last).is_none())
        {
            records = &records[..records.len() - 1]; // torn
        }
        let count: usize = count.unwrap().parse().unwrap();
        assert!(records.len() <= count, "{head}: {} records", records.len());
        let found = numbers_of(records.iter().copied(), cut);
        for (last, found) in last.iter_mut().zip(found) {
            *last = (*last).max(found.last().copied());
        }
    }
    last
}

/// Runs processes on one ring file and kills each. Returns how many records were found in the ring,
/// and how many of the kills left some.
fn chain(
    folder: &Folder,
    memory: &'static Memory,
    numbers: &mut Numbers,
    kills: usize,
) -> (usize, usize) {
    let mut cut: [Vec<u32>; WRITERS] = Default::default();
    let mut sums = (0, 0);
    let mut found = RingDump::default();
    for _ in 0..kills {
        let life = Life::draw(numbers);
        let (since, base) = (memory.work(), Memory::of(&memory.begun));
        let child = start(|| life.live(folder, memory, &found));
        if numbers.below(4) == 0 {
            let most = 64 << numbers.below(14);
            (0..numbers.below(most)).for_each(|_| hint::spin_loop()); // while it opens the ring
        } else {
            let work = numbers.below(1000) as u32;
            while memory.work() < since + work && !child.has_ended() {
                thread::yield_now();
            }
        }
        child.kill();
        child.join_killed();
        for writer in 0..WRITERS {
            let [posted, begun] = [&memory.posted, &memory.begun].map(|of| Memory::of(of)[writer]);
            if begun > posted {
                cut[writer].push(begun - 1); // it may be there, or not
            }
            memory.posted[writer].store(begun, Ordering::Release);
            assert!(begun >= base[writer]);
        }
        found = match dump(&folder.ring, "a look") {
            Ok(found) => found,
            Err(error) if error.errno() == libc::ENOENT => RingDump::default(), // killed early
            Err(error) => panic!("{error}"),
        };
        assert!(!found.in_use && found.damaged_slots == 0);
        let text = std::str::from_utf8(found.bytes()).unwrap();
        let in_ring = numbers_of(text.lines(), &cut);
        let in_log = dumped(&folder.log, &cut);
        if life.writers == 1 {
            // No other writer has overwritten its records.
            let last = in_ring[0].last().copied().max(in_log[0]);
            let begun = Memory::of(&memory.begun)[0];
            let expected = (base[0]..begun).rev().find(|seq| !cut[0].contains(seq));
            assert!(last >= expected, "the last is {last:?}, of {expected:?}");
        }
        sums.0 += found.dump.records as usize;
        sums.1 += usize::from(found.dump.records > 0);
    }
    sums
}

#[test]
#[allow(unsafe_code, reason = "memory that processes share")]
fn after_a_kill_the_last_records_are_there_and_in_order() {
    in_child(
        "after_a_kill_the_last_records_are_there_and_in_order",
        || {
            // SAFETY: they are atomics.
            let memory: &'static Memory = unsafe { fork::shared() };
            let (mut done, mut sums) = (0, (0, 0));
            let mut chain_number = seed();
            while done < kills() {
                let folder = tempfile::tempdir_in("/dev/shm").unwrap();
                let paths = Folder {
                    ring: folder.path().join("ring"),
                    log: folder.path().join("log"),
                };
                let mut numbers = Numbers::new(chain_number);
                let kills = 1 + numbers.below(12);
                let (records, with) = chain(&paths, memory, &mut numbers, kills);
                sums = (sums.0 + records, sums.1 + with);
                chain_number += 1;
                done += kills;
            }
            println!("{done} kills, {} of them left {} records", sums.1, sums.0);
            assert!(done < 100 || sums.1 > done / 4);
        },
    );
}
