//! Load: producers that append in all ways, and a slow reader.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alq::{Flags, Lane, Queue};

use super::{Numbers, Record, TRY, WAIT};

/// Appends records until `stop`, in all ways and with all flags: through the queue as `writer`, and
/// through a lane as `writer + 1`. Returns the number of records of each.
pub fn produce(queue: &Queue, writer: usize, stop: &AtomicBool) -> [u32; 2] {
    let mut numbers = Numbers::new(writer + 900);
    let mut lane = queue.lane();
    let mut seqs = [0; 2];
    while !stop.load(Ordering::Relaxed) {
        let longest = if numbers.below(50) == 0 { 4000 } else { 150 };
        let len = Record::MIN_LEN + numbers.below(longest);
        let way = numbers.below(2);
        let record = Record {
            writer: writer + way,
            seq: seqs[way],
            len,
        };
        let (text, room) = (record.text(), (len + numbers.below(300)).min(4096));
        let quiet = if numbers.below(3) == 0 {
            Flags::NOACTIVATE
        } else {
            Flags::empty()
        };
        let flags = [TRY, WAIT][numbers.below(2)] | quiet;
        let drops = numbers.below(4) == 0;
        let appended = match (way, numbers.below(2)) {
            (0, 0) => queue.writen(text.as_bytes(), flags),
            (0, _) => queue.getn(room, flags).map(|mut entry| {
                write!(entry, "{text}").unwrap();
                entry.post_flags(quiet)
            }),
            (_, 0) => lane.writen(text.as_bytes(), flags),
            (_, _) => lane.getn(room, flags).map(|mut entry| {
                write!(entry, "{text}").unwrap();
                entry.post_flags(quiet)
            }),
        };
        match appended {
            Ok(_) => seqs[way] += 1,
            // Refused: the next try has the same number.
            Err(error) => assert_eq!((error, flags.contains(TRY)), (alq::Error::WouldBlock, true)),
        }
        if drops {
            let len = 1 + numbers.below(4096);
            drop(queue.getn(len, WAIT).unwrap());
            drop(lane.getn(len, WAIT).unwrap());
        }
        if numbers.below(100) == 0 {
            lane = queue.lane();
        }
    }
    seqs
}

/// Appends a record in one of all ways that wait for room. A `lane` has a separate order.
pub fn append(queue: &Queue, lane: Option<&mut Lane>, numbers: &mut Numbers, record: Record) {
    let text = record.text();
    if let Some(lane) = lane {
        lane.writen(text.as_bytes(), WAIT).unwrap();
    } else if numbers.below(2) == 0 {
        queue.writen(text.as_bytes(), WAIT).unwrap();
    } else {
        let room = record.len + numbers.below(100);
        let mut entry = queue.getn(room, WAIT).unwrap();
        write!(entry, "{text}").unwrap();
        entry.post();
    }
}

/// Reads in bursts, with pauses.
pub fn consume(mut reader: impl Read) -> Vec<u8> {
    let mut numbers = Numbers::new(1);
    let mut bytes = Vec::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match numbers.below(400) {
            // Stops: everything before it fills up.
            0 => std::thread::sleep(Duration::from_millis(30)),
            1..40 => std::thread::yield_now(),
            _ => {}
        }
        let longest = if numbers.below(10) == 0 {
            piece.len()
        } else {
            300
        };
        let len = 1 + numbers.below(longest);
        match reader.read(&mut piece[..len]).unwrap() {
            0 => return bytes,
            len => bytes.extend_from_slice(&piece[..len]),
        }
    }
}
