//! Every write to an appender reaches the descriptor, in order, whether or not a queue can be
//! opened for it.
//!
//! Appenders are enabled for a whole process and for good, so each test that enables them runs in a
//! separate process.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use crate::common::child::in_child;
use crate::common::task::Task;
use crate::common::{Log, Numbers, fill_up, nonblocking, pipe, spawn, wait_for};
use alq::async_append::enable;
use alq::{AsyncAppend, Error, Operation};

fn append_to(path: PathBuf) -> File {
    let mut options = OpenOptions::new();
    options.create(true).append(true).open(path).unwrap()
}

/// Bytes that differ from place to place.
fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251 + seed) as u8).collect()
}

fn io_error(operation: Operation, errno: i32) -> Error {
    Error::Io {
        operation,
        errno,
        target: alq::Target::default(),
    }
}

/// Writes of all sizes, by both ways of calling.
fn writes_of_all_sizes_land(is_async: bool) {
    const RING: usize = 1 << 20;
    let log = Log::new();
    let file = append_to(log.path());
    let mut appender = AsyncAppend::new(&file);
    let mut expected = Vec::new();
    for len in [1, 0, 7, 4096, RING - 1, RING, RING + 1, 5 * RING, 0, 1] {
        let bytes = pattern(len, expected.len());
        appender.write(&bytes).unwrap();
        Write::write_all(&mut appender, &bytes).unwrap();
        assert_eq!(Write::write(&mut appender, &bytes).unwrap(), len);
        (0..3).for_each(|_| expected.extend_from_slice(&bytes));
    }
    assert_eq!(appender.is_async(), is_async);
    appender.flush().unwrap();
    assert!(log.bytes() == expected, "the file differs after flush");
    let writer: &mut dyn Write = &mut appender;
    writeln!(writer, "{} {}", 1, 2).unwrap();
    writer.flush().unwrap();
    expected.extend_from_slice(b"1 2\n");
    assert!(log.bytes() == expected);
}

#[test]
fn before_it_is_enabled_every_write_is_there_at_once_and_no_thread_is_started() {
    in_child(
        "before_it_is_enabled_every_write_is_there_at_once_and_no_thread_is_started",
        || {
            let log = Log::new();
            let file = append_to(log.path());
            let mut appender = AsyncAppend::new(&file);
            for text in ["one\n", "", "two\n"] {
                let before = log.text();
                appender.write(text.as_bytes()).unwrap();
                assert_eq!(log.text(), before + text);
            }
            assert!(!appender.is_async());
            assert!(Task::named("alq-flusher").is_empty());
            writes_of_all_sizes_land(false);
        },
    );
}

#[test]
fn enabled_appenders_write_all_sizes_through_a_thread() {
    in_child("enabled_appenders_write_all_sizes_through_a_thread", || {
        enable();
        writes_of_all_sizes_land(true);
    });
}

#[test]
fn appenders_that_exist_switch_at_their_next_write_in_order() {
    in_child(
        "appenders_that_exist_switch_at_their_next_write_in_order",
        || {
            let logs: Vec<_> = (0..4).map(|_| Log::new()).collect();
            let (ready, all_ready) = std::sync::mpsc::channel();
            let threads: Vec<_> = logs
                .iter()
                .map(|log| {
                    let (path, ready) = (log.path(), ready.clone());
                    spawn(move || {
                        let file = append_to(path);
                        let mut appender = AsyncAppend::new(&file);
                        let mut after = 0;
                        for line in 0_u32.. {
                            writeln!(appender, "{line}").unwrap();
                            if line == 100 {
                                ready.send(()).unwrap();
                            }
                            after += u32::from(appender.is_async());
                            if after == 1000 {
                                return line + 1;
                            }
                        }
                        unreachable!()
                    })
                })
                .collect();
            (0..4).for_each(|_| all_ready.recv().unwrap());
            let (path, switches) = (Log::new(), enable);
            let file = append_to(path.path());
            let mut waiting = AsyncAppend::new(&file);
            waiting.write(b"before\n").unwrap();
            spawn(switches).join();
            enable();
            assert!(!waiting.is_async(), "not before its next write");
            waiting.flush().unwrap();
            waiting.write(b"after\n").unwrap();
            assert!(waiting.is_async() && AsyncAppend::new(&file).is_async());
            drop(waiting);
            assert_eq!(path.text(), "before\nafter\n");
            for (thread, log) in threads.into_iter().zip(&logs) {
                let lines: Vec<_> = (0..thread.join()).map(|line| line.to_string()).collect();
                assert!(log.text().lines().eq(lines.iter()), "the order has changed");
            }
        },
    );
}

#[test]
fn the_drop_drains_and_leaves_the_descriptor_usable() {
    in_child("the_drop_drains_and_leaves_the_descriptor_usable", || {
        enable();
        let log = Log::new();
        let mut file = append_to(log.path());
        let mut expected = Vec::new();
        for round in 0..20 {
            let bytes = pattern(100_000, round);
            let mut appender = AsyncAppend::new(&file);
            appender.write(&bytes).unwrap();
            drop(appender);
            expected.extend_from_slice(&bytes);
            assert!(log.bytes() == expected, "the drop has drained");
            file.write_all(b"by hand\n").unwrap();
            expected.extend_from_slice(b"by hand\n");
        }
        assert!(log.bytes() == expected);
        wait_for("the threads end", || Task::named("alq-flusher").is_empty());
    });
}

#[test]
fn a_descriptor_that_is_not_open_for_writing_is_an_error_at_the_first_write() {
    in_child(
        "a_descriptor_that_is_not_open_for_writing_is_an_error_at_the_first_write",
        || {
            let null = File::open("/dev/null").unwrap();
            for enabled in [false, true] {
                if enabled {
                    enable();
                }
                let mut appender = AsyncAppend::new(&null);
                assert!(!appender.is_async());
                appender.write(b"").unwrap();
                appender.flush().unwrap();
                let told = appender.write(b"x").unwrap_err();
                assert_eq!(told, io_error(Operation::Write, libc::EBADF));
                let told = Write::write_all(&mut appender, b"x").unwrap_err();
                let inside = told.get_ref().unwrap().downcast_ref::<Error>();
                assert_eq!(inside.unwrap().errno(), libc::EBADF);
                assert!(!appender.is_async());
            }
        },
    );
}

#[test]
fn an_error_of_the_descriptor_reaches_the_caller() {
    in_child("an_error_of_the_descriptor_reaches_the_caller", || {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let told = io_error(Operation::Write, libc::ENOSPC);
        let mut appender = AsyncAppend::new(&full);
        assert_eq!(appender.write(b"x"), Err(told), "synchronously");
        enable();
        let (reader, broken) = pipe().unwrap();
        drop(reader);
        let told = io_error(Operation::Write, libc::EPIPE);
        let mut appender = AsyncAppend::new(&broken);
        assert!(appender.is_async());
        assert_eq!(
            appender.write(b"x").and(appender.flush()),
            Err(told.clone())
        );
        assert_eq!(appender.write(b"x"), Err(told.clone()));
        // More than the ring holds: the write itself must return the error, and not hang.
        let long = spawn(move || AsyncAppend::new(&broken).write(&pattern(3 << 20, 0)));
        assert_eq!(long.join(), Err(told));
    });
}

#[test]
fn a_slow_reader_is_waited_for_and_misses_nothing() {
    in_child("a_slow_reader_is_waited_for_and_misses_nothing", || {
        for enabled in [false, true] {
            if enabled {
                enable();
            }
            for is_nonblocking in [false, true] {
                let (mut reader, writer) = pipe().unwrap();
                let filler = fill_up(&writer);
                let bytes = pattern(3 << 20, 1);
                let input = bytes.clone();
                let thread = spawn(move || {
                    let file = if is_nonblocking {
                        nonblocking(&writer)
                    } else {
                        File::from(std::os::fd::OwnedFd::from(writer))
                    };
                    let mut appender = AsyncAppend::new(&file);
                    input
                        .chunks(300_007)
                        .for_each(|piece| appender.write(piece).unwrap());
                    assert_eq!(appender.is_async(), enabled);
                });
                let (mut read, mut numbers) = (Vec::new(), Numbers::new(2));
                let mut piece = vec![0; 1 << 16];
                loop {
                    let most = 1 + numbers.below(piece.len());
                    match std::io::Read::read(&mut reader, &mut piece[..most]).unwrap() {
                        0 => break,
                        len => read.extend_from_slice(&piece[..len]),
                    }
                    if numbers.below(8) == 0 {
                        std::thread::sleep(std::time::Duration::from_millis(2));
                    }
                }
                thread.join();
                assert!(read[filler..] == bytes, "the bytes differ");
            }
        }
    });
}
