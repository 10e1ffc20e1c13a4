//! A queue works as an `io::Write`: one call is one record, and a `Display` that panics, fails or
//! appends does no harm.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::{
    Log, Record, STALLS_SOON, TRY, WAIT, Watched, assert_complete, parse, small, spawn,
};
use alq::{Error, Queue};

/// A value to print that follows its instructions, each time anew.
struct Says<F>(F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Says<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

/// Counts one printing. Returns its number, from 1 on.
fn next_time(times: &Cell<usize>) -> usize {
    times.set(times.get() + 1);
    times.get()
}

/// The lengths of text that matter: on the stack up to 512 bytes, in the ring above.
const LENGTHS: [usize; 8] = [1, 20, 511, 512, 513, 514, 1000, 4096];

#[test]
fn lines_of_four_threads_stay_whole() {
    const COUNT: u32 = 1500;
    let log = Log::new();
    let queue = log.open(small());
    let writer = |writer| {
        let mut queue = queue.clone();
        spawn(move || {
            for seq in 0..COUNT {
                let len = if seq % 10 == 0 { 700 } else { 60 };
                let record = Record { writer, seq, len }.text();
                // Several pieces, through the trait and without it.
                let (head, rest) = record.trim_end().split_at(10);
                let (middle, tail) = rest.split_at(len / 3);
                match seq % 3 {
                    0 => writeln!(&queue, "{head}{middle}{tail}").unwrap(),
                    1 => Write::write_fmt(&mut queue, format_args!("{head}{middle}{tail}\n"))
                        .unwrap(),
                    _ => Write::write_fmt(&mut &queue, format_args!("{head}{middle}{tail}\n"))
                        .unwrap(),
                }
            }
        })
    };
    let writers: Vec<_> = (0..4).map(writer).collect();
    writers.into_iter().for_each(Watched::join);
    queue.close(None).unwrap();
    assert_complete(&parse(&log.bytes()), &[COUNT; 4]);
    assert_eq!(queue.stats().posted_records, 4 * u64::from(COUNT));
}

#[test]
fn a_format_of_many_pieces_is_one_record_of_any_length() {
    let log = Log::new();
    let queue = log.open(small());
    let mut expected = String::new();
    for (records, len) in (1..).zip(LENGTHS) {
        // Pieces of several sizes; at 511 to 514 bytes they end before, at and after the 512th.
        let pieces = |f: &mut fmt::Formatter<'_>| {
            let text: String = (0..len).map(|i| (b'a' + (i % 23) as u8) as char).collect();
            let (first, rest) = text.split_at(len / 2);
            f.write_str(first)?;
            for piece in rest.as_bytes().chunks(7) {
                f.write_str(std::str::from_utf8(piece).unwrap())?;
            }
            Ok(())
        };
        let position = queue.stats().posted_bytes;
        write!(queue, "{}", Says(pieces)).unwrap();
        expected += &Says(pieces).to_string();
        let stats = queue.stats();
        assert_eq!(stats.posted_records, records);
        assert_eq!(stats.posted_bytes - position, len as u64);
        queue.flush().unwrap();
    }
    assert_eq!(log.text(), expected);
}

#[test]
fn text_longer_than_the_queue_is_too_large() {
    let log = Log::new();
    let queue = log.open(small());
    let text = "x".repeat(4097);
    let too_large = Error::TooLarge {
        len: 4097,
        max: 4096,
    };
    assert_eq!(write!(queue, "{text}"), Err(too_large.clone()));
    let error = (&queue).write(text.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), io::Error::from(too_large.clone()).kind());
    let inside = error.get_ref().unwrap().downcast_ref::<Error>();
    assert_eq!(inside, Some(&too_large));
    queue.close(None).unwrap();
    assert_eq!(log.bytes(), b"");
}

#[test]
fn nothing_appends_nothing() {
    let log = Log::new();
    let mut queue = log.open(small());
    write!(queue, "").unwrap();
    let nothing = "";
    write!(queue, "{nothing}{nothing}").unwrap();
    assert_eq!((&queue).write(b"").unwrap(), 0);
    queue.write_all(b"").unwrap();
    Write::flush(&mut queue).unwrap();
    Write::flush(&mut &queue).unwrap();
    assert_eq!(queue.stats().posted_records, 0);
    let full = queue.getn(4096, TRY).unwrap();
    write!(queue, "").unwrap(); // needs no room
    drop(full);
}

#[test]
fn a_display_that_panics_appends_nothing_and_leaves_the_queue_as_it_was() {
    for len in LENGTHS {
        for panics_at in [1, 2] {
            let log = Log::new();
            let queue = log.open(small());
            let times = Cell::new(0);
            let told = catch_unwind(AssertUnwindSafe(|| {
                let text = Says(|f: &mut fmt::Formatter<'_>| {
                    f.write_str(&"x".repeat(len))?;
                    assert!(next_time(&times) < panics_at, "as it was told");
                    Ok(())
                });
                write!(queue, "before {text} behind")
            }));
            // Short text is printed once only.
            assert_eq!(told.is_err(), times.get() == panics_at);
            if told.is_err() {
                let stats = queue.stats();
                assert_eq!((stats.posted_bytes, stats.held), (0, 0));
                queue.flush().unwrap();
                assert_eq!(log.bytes(), b"");
            }
            queue.writen(b"after\n", WAIT).unwrap();
            queue.close(None).unwrap();
            assert!(log.text().ends_with("after\n"));
        }
    }
}

#[test]
fn a_display_that_fails_appends_nothing() {
    for len in LENGTHS {
        for fails_at in [1, 2] {
            let log = Log::new();
            let queue = log.open(small());
            let times = Cell::new(0);
            let text = Says(|f: &mut fmt::Formatter<'_>| {
                f.write_str(&"x".repeat(len))?;
                if next_time(&times) == fails_at {
                    return Err(fmt::Error);
                }
                Ok(())
            });
            let told = write!(queue, "{text}");
            if times.get() == fails_at {
                assert_eq!(told, Err(Error::Format));
                queue.close(None).unwrap();
                assert_eq!(log.bytes(), b"");
            } else {
                told.unwrap();
            }
        }
    }
}

#[test]
fn a_display_may_append_to_the_queue_that_it_is_printed_to() {
    for len in LENGTHS {
        let log = Log::new();
        // Too little room for two: the record that the Display appends must be written first.
        let queue = log.open(small().stall_limit(Some(STALLS_SOON)));
        let handle = queue.clone();
        let told = spawn(move || {
            let inner = [b'i'; 4000];
            let text = Says(|f: &mut fmt::Formatter<'_>| {
                handle.writen(&inner, WAIT).expect("room for the inner one");
                handle.flush().expect("a flush from inside");
                f.write_str(&"o".repeat(len))
            });
            write!(handle, "{text}")
        })
        .join();
        assert_eq!(told, Ok(()), "{len} bytes");
        queue.close(None).unwrap();
        let (mut text, outer) = (log.text(), "o".repeat(len));
        assert!(text.contains(&outer), "{len} bytes are whole");
        text = text.replace('o', "");
        assert!(!text.is_empty() && text.len() % 4000 == 0);
    }
}

#[test]
fn a_display_that_says_more_the_second_time_is_refused_and_one_that_says_less_is_taken() {
    for (second, expected) in [(600, 600), (599, 599), (1, 1), (0, 0)] {
        let log = Log::new();
        let queue = log.open(small());
        let times = Cell::new(0);
        let text = Says(|f: &mut fmt::Formatter<'_>| {
            let len = [600, second][next_time(&times).min(2) - 1];
            f.write_str(&"x".repeat(len))
        });
        write!(queue, "{text}").unwrap();
        queue.writen(b"|", TRY).unwrap();
        queue.close(None).unwrap();
        // It may be printed once or twice; either way what is in the file is one of its answers.
        let expected = if times.get() == 1 { 600 } else { expected };
        assert_eq!(log.text(), "x".repeat(expected) + "|");
    }
    let log = Log::new();
    let queue = log.open(small());
    let times = Cell::new(0);
    let text = Says(|f: &mut fmt::Formatter<'_>| f.write_str(&"x".repeat(600 + next_time(&times))));
    let told = write!(queue, "{text}");
    queue.writen(b"|", TRY).unwrap();
    queue.close(None).unwrap();
    if times.get() == 2 {
        let refused = Error::TooLarge { len: 602, max: 601 };
        assert_eq!(told, Err(refused));
        assert_eq!(log.text(), "|");
    } else {
        assert_eq!(log.text(), "x".repeat(601) + "|");
    }
}

#[test]
fn boxed_and_buffered_writers_append_what_they_are_given() {
    let log = Log::new();
    let queue = log.open(small());
    let mut boxed: Box<dyn Write + Send> = Box::new(queue.clone());
    boxed.write_all(b"boxed\n").unwrap();
    writeln!(boxed, "{} {}", 1, 2).unwrap();
    boxed.flush().unwrap();
    assert_eq!(log.text(), "boxed\n1 2\n");
    assert_eq!(queue.stats().posted_records, 2);
    drop(boxed);

    let mut buffered = BufWriter::with_capacity(100, queue);
    for i in 0..100 {
        writeln!(buffered, "line {i}").unwrap();
    }
    buffered.flush().unwrap();
    let queue: Queue = buffered.into_inner().unwrap();
    let lines: Vec<_> = (0..100).map(|i| format!("line {i}\n")).collect();
    let lines = "boxed\n1 2\n".to_owned() + &lines.concat();
    assert_eq!(log.text(), lines);
    assert!(queue.stats().posted_records < 50, "in pieces of 100 bytes");
    queue.close(None).unwrap();
    let error = (&queue).write(b"late").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}
