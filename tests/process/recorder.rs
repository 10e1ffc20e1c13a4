//! A recorder when its process ends, panics, forks, or gets a signal.
//!
//! Each test starts processes, because they must end.
#![allow(unsafe_code, reason = "signal handlers have no safe form")]

use std::path::Path;
use std::process::exit;
use std::sync::OnceLock;
use std::{mem, thread};

use crate::common::child::{end_of_child, in_child};
use crate::common::exit::{Way, log};
use crate::common::fork::{End, fork};
use crate::common::{Log, TRY, append_to, small};
use alq::{Error, Queue};

fn open(folder: &Path) -> Queue {
    let queue = small().recorder(true).open(log(folder)).unwrap();
    queue.writen(b"debug\n", TRY).unwrap();
    queue
}

#[test]
fn an_end_without_a_dump_writes_nothing_and_reports_nothing() {
    let test = "an_end_without_a_dump_writes_nothing_and_reports_nothing";
    let ways: [Way<'_>; 3] = [
        ("return from main, leaked", 0, &|folder| {
            mem::forget(open(folder));
        }),
        ("exit, with an open entry", 7, &|folder| {
            let queue: &'static Queue = Box::leak(Box::new(open(folder)));
            mem::forget(queue.getn(8, TRY).unwrap());
            exit(7);
        }),
        ("a dump that was asked for", 8, &|folder| {
            let queue = open(folder);
            queue.request_dump();
            exit(8);
        }),
    ];
    for (way, code, body) in ways {
        if let Some(ended) = end_of_child(test, way, body) {
            ended.assert_code(code);
            let text = String::from_utf8(ended.file("log")).unwrap();
            let is_dumped = text.ends_with("reason: requested ---\ndebug\n");
            assert_eq!(
                (is_dumped, text.is_empty()),
                (code == 8, code != 8),
                "{way}: {text}"
            );
            assert!(!ended.stderr.contains("alq:"), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_panic_dumps_what_led_to_it_also_with_an_entry_open() {
    let test = "a_panic_dumps_what_led_to_it_also_with_an_entry_open";
    let ways: [Way<'_>; 2] = [
        ("main panics", 101, &|folder| {
            alq::dump_on_panic();
            alq::dump_on_panic(); // once is enough
            let queue = open(folder);
            let _held = queue.getn(8, TRY).unwrap();
            queue.writen(b"after it\n", TRY).unwrap();
            panic!("out of\nluck");
        }),
        ("another thread panics", 0, &|folder| {
            alq::dump_on_panic();
            let queue = open(folder);
            let panics = thread::spawn(move || {
                queue.writen(b"after it\n", TRY).unwrap();
                panic!("out of\nluck");
            });
            assert!(panics.join().is_err());
        }),
    ];
    for (way, code, body) in ways {
        if let Some(ended) = end_of_child(test, way, body) {
            ended.assert_code(code);
            let text = String::from_utf8(ended.file("log")).unwrap();
            assert!(
                text.ends_with(": out of luck ---\ndebug\nafter it\n"),
                "{way}: {text}"
            );
            let held = text.contains("; 1 still open; reason: panic at tests/process/recorder.rs:");
            assert_eq!(held, code == 101, "{text}");
            assert!(
                ended.stderr.contains("out of\nluck"),
                "the hook before it runs"
            );
        }
    }
}

#[test]
fn a_child_records_nothing_until_it_reopens() {
    in_child("a_child_records_nothing_until_it_reopens", || {
        let log = Log::new();
        let own = log.path().with_extension("child");
        let queue = log.open(small().recorder(true));
        queue.writen(b"parent\n", TRY).unwrap();
        fork(End::WithHandlers, || {
            assert_eq!(queue.writen(b"child\n", TRY), Err(Error::Forked));
            assert_eq!(queue.dump("in the child"), Err(Error::Forked));
            queue.request_dump();
            queue.flush().unwrap();
            assert_eq!(queue.stats().refused.forked.records, 1);
            queue.reopen(append_to(&own)).unwrap().wait().unwrap();
            queue.writen(b"child\n", TRY).unwrap();
            assert_eq!(queue.dump("in the child").unwrap().records, 1);
        })
        .join();
        assert!(
            std::fs::read(&own)
                .unwrap()
                .ends_with(b"in the child ---\nchild\n")
        );
        assert_eq!(log.bytes(), b"");
        assert_eq!(queue.dump("in the parent").unwrap().records, 1);
        assert!(log.bytes().ends_with(b"in the parent ---\nparent\n"));
    });
}

static IN_HANDLER: OnceLock<Queue> = OnceLock::new();

extern "C" fn handler(signal: libc::c_int) {
    let queue = IN_HANDLER.get().unwrap();
    // Whatever this has interrupted, it is no dump, so there is room.
    let _ = queue.writen(b"handler\n", TRY);
    queue.request_dump_for(signal);
}

/// A handler appends to a full recorder and asks for dumps, in the middle of appends that
/// overwrite.
#[test]
fn a_signal_handler_may_append_and_ask_for_a_dump() {
    in_child("a_signal_handler_may_append_and_ask_for_a_dump", || {
        let log = Log::new();
        let queue = log.open(small().recorder(true));
        IN_HANDLER.set(queue.clone()).unwrap();
        // SAFETY: the handler does nothing but what is async-signal-safe.
        unsafe { libc::signal(libc::SIGUSR1, handler as *const () as libc::sighandler_t) };
        // SAFETY: no memory is involved.
        let target = unsafe { libc::pthread_self() } as usize;
        let sender = thread::spawn(move || {
            for _ in 0..2000 {
                // SAFETY: that thread waits for this one.
                unsafe { libc::pthread_kill(target as libc::pthread_t, libc::SIGUSR1) };
                thread::yield_now();
            }
        });
        let mut posted = 0;
        while !sender.is_finished() || posted < 10_000 {
            posted += u64::from(queue.writen(b"appends\n", TRY).is_ok());
        }
        sender.join().unwrap();
        queue.flush().unwrap();
        queue.dump("the last").unwrap();
        let stats = queue.stats();
        assert_eq!(
            stats.posted_records,
            stats.written_records + stats.overwritten_records
        );
        assert!(stats.posted_records > posted && stats.held == 0);
        let text = log.text();
        assert!(text.contains("; reason: SIGUSR1 ---\n"), "{text}");
        assert!(
            text.lines()
                .all(|line| { ["handler", "appends"].contains(&line) || line.starts_with("--- ") })
        );
    });
}
