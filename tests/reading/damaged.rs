//! Files of every form and framing, each also with damage that is the same in every run.
//! `ALQ_FUZZ_RUNS` is the number of damaged inputs for each.

use std::fs;
use std::path::Path;

use alq::Framing;
use alq::read::{End, Item, ReadOptions};

/// The longest record: small, so that inputs reach it.
const RECORD_MAX: usize = 300;

/// Reads a log of one rotated file, whose form and framing the first byte says, and whose bytes are
/// the others. No reader panics, goes back, or returns bytes that the file does not have.
fn reader(bytes: &[u8]) {
    let Some((choice, content)) = bytes.split_first() else {
        return;
    };
    let dir = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let log = dir.path().join("log");
    let suffix = ["", ".gz", ".zst"][usize::from(choice & 3) % 3];
    let rotated = dir
        .path()
        .join(format!("log.20261201T060000Z-000000{suffix}"));
    fs::write(rotated, content).expect("a file");
    fs::write(&log, b"the last line\n").expect("a file");
    let framing = match choice >> 2 & 3 {
        0 => Framing::Raw,
        1 => Framing::Checked,
        2 => Framing::Lengths,
        _ => Framing::Fixed(7),
    };
    let options = ReadOptions::new().framing(framing).record_max(RECORD_MAX);
    let mut reader = options.open(&log).expect("a log");
    let mut end = 0;
    let mut check = |item: &Item<'_>| {
        let Item::Record(record) = item else {
            return;
        };
        if record.file() == log {
            return;
        }
        assert!(record.offset() >= end, "it goes back");
        end = record.offset() + record.raw().len() as u64;
        assert!(record.bytes().len() <= RECORD_MAX);
        assert!(!suffix.is_empty() || end <= content.len() as u64);
        if suffix.is_empty() {
            let at = usize::try_from(record.offset()).expect("a short file");
            assert_eq!(record.raw(), &content[at..at + record.raw().len()]);
        }
        assert!(framing != Framing::Checked || record.end() == End::Whole);
    };
    let mut count = 0;
    while let Some(item) = reader.next().expect("no error of the system") {
        check(&item);
        count += 1;
        assert!(count <= content.len() * 1100 + 10, "it does not end");
    }
    while let Some(item) = reader.finish() {
        check(&item);
    }
    let cursor = reader.cursor();
    let mut again = options.open(&log).expect("a log");
    again.resume(&cursor).expect("no error of the system");
    assert!(
        again.next().expect("no error").is_none(),
        "a cursor at the end stays there"
    );
}

#[test]
fn arbitrary_files_are_read_without_a_panic_and_nothing_is_invented() {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reading/damaged.hex");
    let runs = std::env::var("ALQ_FUZZ_RUNS").map_or(40, |runs| runs.parse().unwrap());
    let mut seed = 11_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    let text = fs::read_to_string(inputs).unwrap();
    assert!(text.lines().count() > 10);
    for line in text.lines() {
        let digits = (0..line.len()).step_by(2).map(|at| &line[at..at + 2]);
        let input: Vec<u8> = digits
            .map(|two| u8::from_str_radix(two, 16).unwrap())
            .collect();
        reader(&input);
        for _ in 0..runs {
            let mut damaged = input.clone();
            for _ in 0..=random(3) {
                let at = random(damaged.len());
                match random(4) {
                    0 => damaged.truncate(at + 1),
                    1 => damaged[at] = random(256) as u8,
                    2 => damaged[at] ^= 1 << random(8),
                    _ => damaged.insert(at, random(256) as u8),
                }
            }
            reader(&damaged);
        }
    }
}
