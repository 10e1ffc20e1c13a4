//! With a wrong bit or a missing end in a ring file, nothing panics, hangs or is invented, and the
//! damage that the format can detect is reported.
//!
//! `ALQ_FLIPS=all` flips every bit, `ALQ_FLIPS=words` every bit with a meaning; the default is a
//! part of these.

mod common;

use std::path::Path;
use std::rc::Rc;
use std::{env, fs};

use alq::{FileSink, Options, Queue, Recovery, RingFileProblem};
use common::child::end_of_child;
use common::torture::damage::{Reading, outcomes};
use common::torture::desk::Desk;
use common::torture::label::{Label, Labelled, arm, die};
use common::{LATER, TRY, WAIT, append_to, wait_until_parked};

/// A ring file and its log.
struct Recorded {
    name: &'static str,
    desk: Desk,
    ring: Vec<u8>,
    log: Vec<u8>,
    folder: Rc<tempfile::TempDir>,
}

/// A record that is appended after a recovery, as long as the fixed queue's records.
const AFTER: &[u8] = b"the record after";

type Script = fn(&Path);

fn variable() -> Options {
    Options::new().capacity(4096)
}

/// Few slots: a record that looks like a lane's span would take the whole ring.
fn fixed() -> Options {
    Options::new().fixed(16, 3)
}

fn open(folder: &Path, options: fn() -> Options) -> Queue {
    let desk = Desk::new(folder, options);
    let queue = (desk.options)().open(&desk.log).unwrap();
    wait_until_parked(&queue);
    queue
}

/// A queue that has written this many records, and whose flusher sleeps.
fn after(folder: &Path, records: usize) -> Queue {
    let queue = open(folder, variable);
    for number in 0..records {
        let record = format!("{number:0width$}\n", width = 9 + 7 * (number % 20));
        queue.writen(record.as_bytes(), WAIT).unwrap();
    }
    queue.flush().unwrap();
    wait_until_parked(&queue);
    queue
}

fn post(queue: &Queue, records: &[&str]) {
    for record in records {
        queue.writen(record.as_bytes(), LATER).unwrap();
    }
}

/// The work of a process before it is killed.
const SCRIPTS: [(&str, Script); 8] = [
    ("nothing", |folder| drop(after(folder, 0).getn(1, TRY))),
    ("a few", |folder| {
        let queue = after(folder, 0);
        post(&queue, &["one\n", "two\n", "three\n"]);
        die();
    }),
    ("over the end", |folder| {
        let long = "x".repeat(1500) + "\n";
        let records = ["one\n", &long, "two\n", &long, "three\n"];
        let queue = after(folder, 203);
        post(&queue, &records);
        die();
    }),
    ("full", |folder| {
        let queue = after(folder, 70);
        post(&queue, &["a record\n"; 64]); // one more would wake the flusher
        die();
    }),
    ("holes", |folder| {
        let queue = after(folder, 67);
        post(&queue, &["one\n"]);
        let _held = queue.getn(100, TRY).unwrap();
        post(&queue, &["two\n"]);
        let dropped = queue.getn(30, TRY).unwrap();
        post(&queue, &["three\n"]);
        drop(dropped);
        let _last = queue.getn(100, TRY).unwrap();
        die();
    }),
    ("lanes", |folder| {
        let queue = after(folder, 67);
        let mut lanes = [queue.lane(), queue.lane()];
        for (number, lane) in lanes.iter_mut().enumerate() {
            let record = format!("lane {number} first\n");
            lane.writen(record.as_bytes(), LATER).unwrap();
        }
        post(&queue, &["between\n"]);
        for lane in &mut lanes {
            lane.writen(b"second\n", LATER).unwrap();
        }
        die();
    }),
    ("fixed", |folder| {
        let queue = open(folder, fixed);
        for _ in 0..3 {
            queue.write_fixed(b"16 bytes of text", WAIT).unwrap();
        }
        queue.flush().unwrap();
        wait_until_parked(&queue);
        queue.write_fixed(b"the record ahead", LATER).unwrap();
        die();
    }),
    ("half a write", |folder| {
        drop(after(folder, 71));
        let desk = Desk::new(folder, variable);
        let file = FileSink::new(append_to(&desk.log).into()).unwrap();
        let queue = (desk.options)().open_sink(Labelled::new(file, 3)).unwrap();
        post(&queue, &["one\n", "two, longer\n", "three\n"]);
        let mut lane = queue.lane();
        lane.writen(b"in a lane\n", LATER).unwrap();
        lane.writen(b"once more\n", LATER).unwrap();
        arm(Label::InWrite, 1);
        let _ = queue.flush();
    }),
];

/// The ring files that the scripts leave, and two that need a kill between two stores.
fn recorded(test: &str) -> Option<Vec<Recorded>> {
    let mut all = Vec::new();
    for (name, script) in SCRIPTS {
        let Some(ended) = end_of_child(test, name, script) else {
            continue;
        };
        let options = if name == "fixed" { fixed } else { variable };
        let desk = Desk::new(ended.folder.path(), options);
        let (ring, log) = (read(&desk.ring), read(&desk.log));
        let reading = Reading::new(&ring);
        assert_eq!(reading.spans().is_empty(), name == "nothing", "{name}");
        all.push(Recorded {
            name,
            ring,
            log,
            desk,
            folder: Rc::new(ended.folder),
        });
    }
    let of = |name| all.iter().find(|recorded| recorded.name == name);
    let mut between = of("over the end")?.again("between two stores");
    let previous = word(&between.ring, 64);
    between.ring[80..88].copy_from_slice(&(!previous).to_ne_bytes());
    let mut half = of("half a write")?.again("half an intent");
    half.log
        .truncate(Reading::new(&half.ring).under_way().unwrap());
    let at = if word(&half.ring, 128) > word(&half.ring, 192) {
        128
    } else {
        192
    };
    half.ring[at + 24..at + 64].fill(0);
    all.extend([between, half]);
    Some(all)
}

impl Recorded {
    fn again(&self, name: &'static str) -> Self {
        let desk = Desk::new(self.folder.path(), variable);
        Self {
            name,
            desk,
            ring: self.ring.clone(),
            log: self.log.clone(),
            folder: Rc::clone(&self.folder),
        }
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

fn word(image: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(image[at..at + 8].try_into().unwrap())
}

/// Recovers `recorded` with this bit of its ring file flipped.
fn flip(recorded: &Recorded, bit: usize) {
    let mut ring = recorded.ring.clone();
    ring[bit / 8] ^= 1 << (bit % 8);
    let result = recorded.desk.recover(&ring, &recorded.log, AFTER);
    let (before, now) = (Reading::new(&recorded.ring), Reading::new(&ring));
    let is_between = recorded.name == "between two stores";
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let what = || {
        let result = result.as_ref().map(|(recovery, log)| (recovery, text(log)));
        format!(
            "{}, bit {bit} (byte {}): {result:?}",
            recorded.name,
            bit / 8
        )
    };
    // Between two stores the complement belongs to the previous tail and proves nothing about this
    // tail.
    let is_checked = match bit / 8 {
        0..64 | 384..448 => true,
        64..72 => is_between,
        72..80 => !is_between,
        _ => false,
    };
    if is_checked {
        return assert!(result.is_err(), "{}", what());
    }
    let may_be = match bit / 8 {
        72..80 => return,
        // The flip may have made it the complement of the previous tail; then the tail is right.
        80..88 if result.is_err() => return,
        at if (8192..before.bytes_at).contains(&at) && (at - 8192) / 16 < before.slots as usize => {
            outcomes(&before, &now, ((at - 8192) / 16) as u32)
        }
        _ => vec![(now.bytes(&now.spans()), false)],
    };
    let (recovery, log) = result.clone().unwrap_or_else(|_| panic!("{}", what()));
    let is_right = |(bytes, is_damage): &(Vec<u8>, bool)| {
        let size = before.under_way();
        let held = size.map(|size| &recorded.log[size..]);
        // Bytes of a write in progress that are found are not repeated; bytes in doubt are, and
        // that is reported.
        let is_once = log == [&recorded.log[..size.unwrap_or(recorded.log.len())], bytes].concat();
        let is_again = log == [&recorded.log[..], bytes].concat();
        let is_in_doubt = recovery.possibly_repeated_bytes > 0 || recovery.damaged_slots > 0;
        let is_there = match held {
            None => is_again,
            Some(held) if bytes.starts_with(held) => is_once || (is_again && is_in_doubt),
            // The damaged record had been written, so it is not missing.
            Some(held) if held.starts_with(bytes) => log == recorded.log,
            Some(_) => is_again && is_in_doubt,
        };
        is_there && (recovery.damaged_slots > 0 || !is_damage)
    };
    assert!(
        may_be.iter().any(is_right),
        "{}\nand not one of {:?}",
        what(),
        may_be
            .iter()
            .map(|(bytes, told)| (text(bytes), told))
            .collect::<Vec<_>>()
    );
}

/// Returns the bits to flip: all of them, or most bits with a meaning.
fn bits(recorded: &Recorded) -> Vec<usize> {
    let every =
        |range: std::ops::Range<usize>, step| (range.start * 8..range.end * 8).step_by(step);
    let reading = Reading::new(&recorded.ring);
    let rest = 8192 + 16 * reading.slots as usize..recorded.ring.len();
    match env::var("ALQ_FLIPS").as_deref() {
        Ok("all") => return every(0..recorded.ring.len(), 1).collect(),
        Ok("words") => {
            let words = every(0..512, 1).chain(every(512..4096, 101));
            let note = every(4096..4224, 1).chain(every(4224..8192, 101));
            let bytes = every(rest.clone(), 101);
            return words
                .chain(note)
                .chain(every(8192..rest.start, 1))
                .chain(bytes)
                .collect();
        }
        _ => {}
    }
    let mut bits: Vec<usize> = every(0..64, 17).chain(every(64..88, 5)).collect();
    bits.extend(every(128..256, 17).chain(every(384..448, 17)));
    bits.extend(every(256..8192, 1999));
    let spans = reading.spans();
    let step = if spans.len() > 20 { 61 } else { 7 };
    for ahead in 0..spans.last().map_or(0, |span| span.0) + 4 {
        let at = reading.slot_at(ahead);
        bits.extend(every(at..at + 16, step));
        let phase = 8 * at + 64 + 32;
        bits.extend(phase - 1..phase + 4); // with the quiet bit and the lowest bits of the lap
    }
    bits.extend(every(rest, 1999));
    bits
}

#[test]
fn a_flipped_bit_is_reported_or_costs_what_it_describes() {
    let test = "a_flipped_bit_is_reported_or_costs_what_it_describes";
    let Some(all) = recorded(test) else { return };
    let mut flips = 0;
    for recorded in &all {
        recorded
            .desk
            .recover(&recorded.ring, &recorded.log, AFTER)
            .unwrap();
        let bits = bits(recorded);
        flips += bits.len();
        bits.into_iter().for_each(|bit| flip(recorded, bit));
    }
    println!("{flips} flips of {} ring files", all.len());
}

#[test]
fn a_ring_file_that_is_cut_or_longer_is_refused() {
    let test = "a_ring_file_that_is_cut_or_longer_is_refused";
    let Some(all) = recorded(test) else { return };
    let is_long = env::var("ALQ_FLIPS").is_ok_and(|which| which == "all");
    for recorded in all.iter().take(if is_long { all.len() } else { 3 }) {
        let whole = recorded.ring.len();
        let lens =
            (0..whole + 2).filter(|len| is_long || *len < 200 || len % 97 == 0 || len + 2 > whole);
        for len in lens.filter(|len| *len != whole) {
            let mut ring = recorded.ring.clone();
            ring.resize(len, 0);
            let outcome = recorded.desk.recover(&ring, &recorded.log, AFTER);
            if len == 0 {
                let found = outcome.unwrap();
                assert_eq!(found, (Recovery::default(), recorded.log.clone()));
                continue;
            }
            let problem = outcome.unwrap_err();
            let expected = if len < 64 {
                let begins_with = ring[..len.min(8)].to_vec();
                RingFileProblem::NotARingFile { begins_with }
            } else {
                RingFileProblem::WrongLength {
                    len: len as u64,
                    expected: whole as u64,
                }
            };
            assert_eq!(problem, expected);
        }
    }
}
