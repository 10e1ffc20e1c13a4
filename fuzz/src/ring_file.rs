//! Ring files that a process could have left, and others. Each must be recovered or refused.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

use alq::ring_file::dump;
use alq::{Error, Flags, Options};

use crate::bytes::Bytes;
use crate::desk::{Desk, put};

/// The record that is appended after a recovery. It is as long as the records of the fixed queues.
const AFTER: &[u8] = b"the record after";

/// The sizes of a ring.
struct Sizes {
    capacity: u64,
    slots: u64,
    /// The number of entries, for a fixed queue.
    count: Option<usize>,
}

impl Sizes {
    fn options(&self) -> Options {
        match self.count {
            None => Options::new().capacity(self.capacity as usize),
            Some(count) => Options::new().fixed(AFTER.len(), count),
        }
    }

    fn words(&self, version: u64) -> [u64; 8] {
        let spans_max = self.count.map_or(self.slots, |count| count as u64);
        let entry_len = self.count.map_or(0, |_| AFTER.len() as u64);
        let magic = u64::from_ne_bytes(*b"alq ring");
        let order = 0x0102_0304_0506_0708;
        checked([
            magic,
            order,
            version,
            self.capacity,
            self.slots,
            spans_max,
            entry_len,
            0,
        ])
    }
}

/// Adds the checksum to the words, as docs/format.md describes it.
fn checked(mut words: [u64; 8]) -> [u64; 8] {
    let bytes = words[..7].iter().flat_map(|word| word.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    words[7] = hash.max(1);
    words
}

struct Image {
    bytes: Vec<u8>,
    slots: u64,
    tail: (u32, u32),
}

impl Image {
    fn set(&mut self, at: usize, words: &[u64]) {
        for (number, word) in words.iter().enumerate() {
            let at = at + 8 * number;
            self.bytes[at..at + 8].copy_from_slice(&word.to_ne_bytes());
        }
    }

    fn set_slot(&mut self, seq: u32, place: u64, state: u64) {
        let slot = u64::from(seq) & (self.slots - 1);
        self.set(8192 + 16 * slot as usize, &[place, state]);
    }

    fn state(&self, seq: u32, phase: u64, committed: u32) -> u64 {
        let lap = u64::from(seq >> self.slots.trailing_zeros());
        lap << 34 | phase << 32 | u64::from(committed)
    }

    /// Writes spans from the tail on. Most are valid, some are not. Returns where the last one
    /// ends.
    fn describe(&mut self, input: &mut Bytes<'_>) -> u32 {
        let (mut seq, mut pos) = self.tail;
        for _ in 0..input.below(self.slots as usize + 1) {
            let kind = input.u8();
            let len = u32::from(input.u8());
            let (mut start, mut committed) = (pos, len);
            if kind & 0x40 != 0 {
                start = start.wrapping_add_signed(i32::from(input.u8() as i8));
                committed = committed.wrapping_add_signed(i32::from(input.u8() as i8));
            }
            let place = u64::from(seq) << 32 | u64::from(start);
            match kind % 8 {
                0 => self.set_slot(seq, place, 0), // never posted
                1 => {}
                2 => {
                    let (place, state) = (input.u64(), input.u64());
                    self.set_slot(seq, place, state);
                }
                phase @ (3 | 4) => {
                    // A span of a lane, with the rest of its line.
                    let phase = if phase == 3 { 1 } else { 3 };
                    self.set_slot(seq, place, self.state(seq, phase, committed));
                    let next = seq.wrapping_add(1);
                    self.set_slot(next, u64::from(input.u8()), 7 << 34);
                    seq = next | 3;
                }
                _ => self.set_slot(seq, place, self.state(seq, 2, committed)),
            }
            seq = seq.wrapping_add(1);
            pos = start.wrapping_add(committed);
            if kind & 0x20 != 0 {
                pos = pos.wrapping_add(u32::from(input.u8())); // padding
            }
        }
        pos
    }
}

fn born(log: &Metadata) -> u64 {
    let born = log.created().ok();
    let born = born.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    born.map_or(0, |born| born.as_nanos() as u64)
}

pub fn ring_file(input: &[u8]) {
    let version = match input.last().map_or(1, |last| last % 4) {
        0 => 1,
        3 => 2,
        _ => 3,
    };
    let is_recorder = input.last().is_some_and(|last| last % 8 == 5);
    let mut input = Bytes(input);
    let (slots, count) = [(64, None), (64, None), (4, Some(3)), (8, Some(5))][input.below(4)];
    let sizes = Sizes {
        capacity: 4096,
        slots,
        count,
    };
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let desk = {
        let sizes = Sizes { ..sizes };
        Desk::new(folder.path(), move || sizes.options())
    };
    let tail = match input.below(4) {
        0 => (input.u32(), input.u32()),
        _ => (
            slots as u32 + u32::from(input.u8()),
            u32::from(input.u8()) * 31,
        ),
    };
    let mut image = Image {
        bytes: vec![0; 8192 + 4096 + 4096],
        slots,
        tail,
    };
    // Bytes that differ from each other, so that the log shows which of them were written.
    for (at, byte) in image.bytes[12288..].iter_mut().enumerate() {
        *byte = b'A' + (at % 53) as u8;
    }
    image.set(0, &sizes.words(version));
    if version > 1 {
        // An id, the mode, and the framing `Raw`.
        image.set(384, &checked([7, 7, u64::from(is_recorder), 0, 0, 0, 0, 0]));
    }
    let word = u64::from(tail.0) << 32 | u64::from(tail.1);
    image.set(64, &[u64::from(input.u8()), word, !word]);
    if is_recorder {
        let [seq, pos] = [tail.0, tail.1].map(u64::from);
        image.set(88, &[seq, pos, u64::from(input.u8()), 0]);
    }
    let end = image.describe(&mut input);

    // The log: some bytes of earlier writes, and a part of the run.
    let before = input.below(64);
    let mut log = vec![b'.'; before];
    let run = u32::from(input.u8()) << input.below(5);
    let held = run.min(u32::from(input.u8()) << input.below(5));
    let ring = |at: u32| image.bytes[12288 + (tail.1.wrapping_add(at) & 4095) as usize];
    log.extend((0..held).map(ring));
    put(&desk.log, &log);
    let of = fs::metadata(&desk.log).unwrap();
    for at in [128, 192] {
        let kind = input.u8();
        if kind & 1 != 0 {
            let start = if kind & 2 != 0 { word } else { input.u64() };
            let bytes = if kind & 4 != 0 {
                run
            } else {
                end.wrapping_sub(tail.1)
            };
            let generation = u64::from(kind >> 3);
            let size = before as u64;
            let intent = [
                generation,
                start,
                u64::from(bytes),
                size,
                of.dev(),
                of.ino(),
                born(&of),
                0,
            ];
            image.set(at, &checked(intent));
        }
    }
    // Other words get any value, without a check.
    while !input.is_empty() {
        let at = input.u32() as usize % image.bytes.len();
        image.bytes[at] ^= input.u8();
    }
    if is_recorder {
        recorder(&desk, &image.bytes, sizes.options());
    } else {
        let _ = desk.recover(&image.bytes, &log, AFTER);
    }
}

/// Copies the records of a recorder from outside, and opens it. Both find the same, or refuse the
/// file.
fn recorder(desk: &Desk, ring: &[u8], options: Options) {
    put(&desk.ring, ring);
    put(&desk.log, b"");
    let outside = dump(&desk.ring, "");
    let queue = options.recorder(true).ring_file(&desk.ring).open(&desk.log);
    let (Ok(outside), Ok(queue)) = (&outside, &queue) else {
        assert!(outside.is_err() && queue.is_err(), "{outside:?}, {queue:?}");
        assert_eq!(fs::read(&desk.ring).unwrap(), ring);
        return;
    };
    queue.flush().unwrap();
    let log = fs::read(&desk.log).unwrap();
    assert!(log.ends_with(outside.bytes()));
    let found = queue.recovery().unwrap();
    assert_eq!(
        (found.bytes, found.damaged_slots),
        (outside.dump.bytes, outside.damaged_slots)
    );
    let posted = match queue.writen(AFTER, Flags::NOWAIT) {
        Err(Error::WrongMode) => queue.write_fixed(AFTER, Flags::NOWAIT),
        posted => posted,
    };
    posted.unwrap();
    assert_eq!(queue.dump("").unwrap().records, 1);
}
