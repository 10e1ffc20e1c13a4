//! With a wrong bit in the ring file of a recorder, nothing panics or is invented, and the records
//! that it does not describe are there.

use std::fs;
use std::ops::Range;
use std::path::Path;

use crate::common::TRY;
use crate::common::child::end_of_child;
use crate::common::torture::label::die;
use crate::ring_folder::options;
use alq::Queue;
use alq::ring_file::{RingDump, dump};

fn open(folder: &Path) -> Result<Queue, alq::Error> {
    options(folder).recorder(true).open(folder.join("log"))
}

/// Records of several lengths in all 64 slots, over the end of the ring, with a dropped entry.
fn killed(test: &str) -> Option<(tempfile::TempDir, Vec<u8>, RingDump)> {
    let ended = end_of_child(test, "", |folder| {
        let queue = open(folder).unwrap();
        for i in 0..150_usize {
            let record = format!("{i:0width$}\n", width = 5 + 11 * (i % 9));
            queue.writen(record.as_bytes(), TRY).unwrap();
            if i == 140 {
                drop(queue.getn(20, TRY).unwrap());
            }
        }
        die();
    })?;
    let ring = fs::read(ended.folder.path().join("ring")).unwrap();
    let found = dump(ended.folder.path().join("ring"), "").unwrap();
    assert!(found.dump.records > 40 && found.damaged_slots == 0);
    Some((ended.folder, ring, found))
}

const SLOTS: Range<usize> = 8192..8192 + 64 * 16;

/// Checks what is found with this bit flipped.
fn check(right: &RingDump, bit: usize, found: &RingDump) {
    let expected: Vec<&[u8]> = right.records().collect();
    let records: Vec<&[u8]> = found.records().collect();
    let is_damage = found.damaged_slots > 0;
    let what = format!(
        "bit {bit} (byte {}), {} damaged",
        bit / 8,
        found.damaged_slots
    );
    let same = expected.iter().filter(|one| records.contains(one)).count();
    match bit / 8 {
        64..88 | 104..384 | 448..SLOTS_START => assert_eq!(records, expected, "{what}"),
        88..96 => assert!(expected.ends_with(&records), "{what}"),
        96..104 => {
            assert_eq!(same, records.len(), "{what}");
            assert!(is_damage || records == expected, "{what}");
        }
        at if SLOTS.contains(&at) => {
            assert!(
                same + 2 >= expected.len() && records.len() <= expected.len() + 1,
                "{what}"
            );
            assert!(same + 1 >= expected.len() || is_damage, "{what}");
        }
        at if at >= SLOTS.end => assert!(same + 1 >= expected.len(), "{what}"),
        _ => panic!("{what}: it was accepted"),
    }
}

const SLOTS_START: usize = SLOTS.start;

#[test]
fn a_flipped_bit_costs_what_it_describes() {
    let Some((folder, ring, right)) = killed("a_flipped_bit_costs_what_it_describes") else {
        return;
    };
    let folder = folder.path();
    let every = |bytes: Range<usize>, step| (8 * bytes.start..8 * bytes.end).step_by(step);
    let bits = every(0..64, 7)
        .chain(every(64..128, 1))
        .chain(every(128..448, 13))
        .chain(every(448..SLOTS.start, 1999))
        .chain(every(SLOTS, 5))
        .chain(every(SLOTS.end..ring.len(), 499));
    let (mut refused, mut damaged) = (0, 0);
    for bit in bits {
        let mut ring = ring.clone();
        ring[bit / 8] ^= 1 << (bit % 8);
        fs::write(folder.join("ring"), &ring).unwrap();
        fs::write(folder.join("log"), "").unwrap();
        let outside = dump(folder.join("ring"), "the process was killed");
        let inside = open(folder).and_then(|queue| queue.flush().map(|()| queue));
        assert_eq!(
            outside.is_ok(),
            inside.is_ok(),
            "bit {bit}: {outside:?}, {inside:?}"
        );
        let (Ok(outside), Ok(inside)) = (outside, inside) else {
            refused += 1;
            continue;
        };
        check(&right, bit, &outside);
        damaged += usize::from(outside.damaged_slots > 0);
        let recovery = inside.recovery().unwrap();
        assert_eq!(recovery.damaged_slots, outside.damaged_slots);
        let log = fs::read(folder.join("log")).unwrap();
        assert!(log.ends_with(outside.bytes()), "bit {bit}");
        // It goes on as any other ring.
        inside.writen(b"after\n", TRY).unwrap();
        assert_eq!(inside.dump("").unwrap().records, 1, "bit {bit}");
    }
    assert!(
        refused > 100 && damaged > 100,
        "{refused} refused, {damaged} damaged"
    );
}
