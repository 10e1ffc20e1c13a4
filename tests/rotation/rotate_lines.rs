//! A log that keeps lines whole, wherever records end.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use alq::rotate::{Every, Rotation, Zone};
use alq::{Flags, Queue};

use crate::common::WAIT;
use crate::rotated::{Folder, rotated};

/// Returns a text with lines of 0 to 199 bytes.
fn text(lines: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for number in 0..lines {
        text.extend((0..number * 37 % 200).map(|k| b'a' + (number + k) as u8 % 26));
        text.push(b'\n');
    }
    text
}

/// Appends the text in pieces that ignore its lines, alternately by the queue and by a lane.
fn append(queue: &Queue, text: &[u8]) {
    let mut rest = text;
    let mut lane = queue.lane();
    for number in 0.. {
        let (piece, more) = rest.split_at((number * 7919 % 1500 + 1).min(rest.len()));
        if number % 2 == 0 {
            queue.writen(piece, WAIT).unwrap();
        } else {
            lane.seal(); // keeps the records of both in the order of the calls
            lane.writen(piece, WAIT).unwrap();
            lane.seal();
        }
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
}

#[test]
fn files_are_full_of_whole_lines_and_nothing_is_lost() {
    for size_bytes in [300, 4096, 50_000] {
        let folder = Folder::new();
        let rotation = Rotation::new().size_bytes(size_bytes).whole_lines(1000);
        let (_, queue) = folder.open(rotation);
        let text = text(3000);
        append(&queue, &text);
        queue.close(None).unwrap();
        assert!(folder.content() == text, "{size_bytes}");
        let (least, most) = (size_bytes.saturating_sub(200), size_bytes + 199);
        for file in folder.rotated() {
            let found = fs::read(file).unwrap();
            assert!(found.ends_with(b"\n"));
            let len = found.len() as u64;
            assert!(least <= len && len <= most, "{len}, not about {size_bytes}");
        }
        let stats = queue.stats();
        assert_eq!(stats.written_bytes, text.len() as u64);
        assert_eq!(stats.written_records, stats.posted_records);
        assert_eq!((stats.lost_bytes, stats.repeated_bytes), (0, 0));
    }
}

#[test]
fn a_rotation_that_is_requested_or_due_waits_for_the_end_of_the_line() {
    let folder = Folder::new();
    let now = Arc::new(AtomicU64::new(1_000_000_020));
    let clock = Arc::clone(&now);
    let rotation = Rotation::new()
        .every(Every::Minutes(1))
        .zone(Zone::Utc)
        .clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed)))
        .whole_lines(1000);
    let (log, queue) = folder.open(rotation);
    let append = |text: &str| {
        queue.writen(text.as_bytes(), Flags::WAITOK).unwrap();
        queue.flush().unwrap();
    };
    append("one\ntw");
    now.fetch_add(60, Ordering::Relaxed);
    append("o\nthree\nfo");
    log.rotate();
    append("u");
    append("r\nfive\n");
    queue.close(None).unwrap();
    let files: Vec<String> = rotated(&folder.log())
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    assert_eq!(files, ["one\ntwo\n", "three\nfour\n"]);
    assert_eq!(folder.text(), "five\n");
}

/// No write of this stream ends where a line ends.
#[test]
fn a_log_that_was_moved_away_is_left_at_the_end_of_a_line() {
    for is_asked in [true, false] {
        let folder = Folder::new();
        let now = Arc::new(AtomicU64::new(1_000_000_020));
        let clock = Arc::clone(&now);
        let rotation = Rotation::new()
            .clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed)))
            .whole_lines(1000);
        let (log, queue) = folder.open(rotation);
        let append = |text: &str| {
            queue.writen(text.as_bytes(), Flags::WAITOK).unwrap();
            queue.flush().unwrap();
        };
        append("one\ntw");
        let moved = folder.path().join("moved");
        fs::rename(folder.log(), &moved).unwrap();
        if is_asked {
            log.reopen();
        } else {
            now.fetch_add(1, Ordering::Relaxed);
        }
        append("o\nthr");
        append("ee\nfo");
        queue.close(None).unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(folder.text(), "three\nfo");
    }
}

#[test]
fn a_line_that_is_too_long_is_cut_at_the_bound() {
    let folder = Folder::new();
    let (_, queue) = folder.open(Rotation::new().size_bytes(10).whole_lines(20));
    let long = "x".repeat(50);
    queue
        .writen(format!("{long}\nshort\n").as_bytes(), Flags::WAITOK)
        .unwrap();
    queue.close(None).unwrap();
    let lens: Vec<u64> = rotated(&folder.log())
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .collect();
    assert_eq!(lens, [20, 20, 11]);
    assert_eq!(folder.text(), "short\n");
}

#[test]
fn a_line_that_an_earlier_process_has_begun_ends_in_its_file() {
    let folder = Folder::new();
    fs::write(folder.log(), "one\ntw").unwrap();
    let (log, queue) = folder.open(Rotation::new().whole_lines(1000));
    log.rotate();
    queue.writen(b"o\nthree\n", Flags::WAITOK).unwrap();
    queue.close(None).unwrap();
    let files = rotated(&folder.log());
    assert_eq!(fs::read_to_string(&files[0]).unwrap(), "one\ntwo\n");
    assert_eq!(folder.text(), "three\n");
}

#[test]
fn a_line_bound_of_zero_is_refused() {
    let folder = Folder::new();
    let refused = Rotation::new().whole_lines(0).open(folder.log());
    assert!(refused.unwrap_err().to_string().contains("whole_lines"));
}
