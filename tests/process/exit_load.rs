//! A process that ends at any moment, while its threads append, loses no record that it accepted.
//!
//! `ALQ_EXIT_ROUNDS` sets the number of rounds; the default is 20.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::exit;
use std::sync::Arc;
use std::thread;

use crate::common::child::end_of_child;
use crate::common::exit::log;
use crate::common::load::append;
use crate::common::{NEVER_STALLS, Numbers, Record, parse, wait_for};
use alq::{Options, Queue};

const WRITERS: usize = 4;

/// Appends as fast as it can. After each accepted record it stores the number of accepted records.
fn write_and_note(queue: &Queue, writer: usize, noted: &File) {
    let mut numbers = Numbers::new(writer);
    let mut lane = queue.lane();
    for seq in 0_u32.. {
        let len = Record::MIN_LEN + numbers.below(300);
        let lane = (writer == WRITERS - 1).then_some(&mut lane);
        append(queue, lane, &mut numbers, Record { writer, seq, len });
        noted
            .write_at(&(seq + 1).to_le_bytes(), 4 * writer as u64)
            .unwrap();
    }
}

/// Checks that every accepted record is in `log` once, whole and in order. Each writer may have one
/// more record there, whose append was in progress. The last of these may be cut, because the
/// process ended in the middle of its write(2).
fn assert_noted(log: &[u8], noted: &[u8]) {
    let mut next = [0; WRITERS];
    let whole = log
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    assert!(
        log.len() - whole < Record::MIN_LEN + 300,
        "that is no record"
    );
    for record in parse(&log[..whole]) {
        assert_eq!(
            record.seq, next[record.writer],
            "of writer {}",
            record.writer
        );
        next[record.writer] += 1;
    }
    for (writer, noted) in noted.chunks(4).enumerate() {
        let noted = u32::from_le_bytes(noted.try_into().unwrap());
        let written = next[writer];
        assert!(
            written == noted || written == noted + 1,
            "writer {writer}: {noted} were taken, {written} are in the log"
        );
    }
}

fn rounds() -> u32 {
    let rounds = std::env::var("ALQ_EXIT_ROUNDS").map(|text| text.parse().unwrap());
    rounds.unwrap_or(20)
}

#[test]
fn an_end_at_any_moment_under_load_loses_nothing_that_was_taken() {
    let test = "an_end_at_any_moment_under_load_loses_nothing_that_was_taken";
    for round in 0..rounds() {
        let way = format!("round {round}");
        let ended = end_of_child(test, &way, |folder| {
            let options = Options::new().capacity(4096 << (round % 5));
            let options = options
                .stall_limit(Some(NEVER_STALLS))
                .ordered(round % 2 == 0);
            let queue = options.open(log(folder)).unwrap();
            let noted = Arc::new(File::create(folder.join("noted")).unwrap());
            for writer in 0..WRITERS {
                let (queue, noted) = (queue.clone(), Arc::clone(&noted));
                thread::spawn(move || write_and_note(&queue, writer, &noted));
            }
            let posted = Numbers::new(round as usize).below(3000) as u64;
            wait_for("load", || queue.stats().posted_records >= posted);
            exit(6);
        });
        let Some(ended) = ended else { continue };
        ended.assert_code(6);
        assert!(!ended.stderr.contains("alq:"), "{}", ended.stderr);
        assert_noted(&ended.file("log"), &ended.file("noted"));
    }
}
