//! The line that a program logs about its own panic is in the file when the process ends.
//!
//! Each test starts processes, because they must end.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;
use std::{fmt, panic, thread};

use crate::common::LATER;
use crate::common::child::end_of_child;
use crate::common::exit::{Way, log};
use crate::common::{STALLS_SOON, WAIT, small};
use alq::{Queue, flush_all, shutdown};

/// Panics when it is formatted.
struct Explodes;

impl fmt::Display for Explodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of it, ")?;
        panic!("this line explains it");
    }
}

fn panic_in_display(queue: &Queue) {
    let mut entry = queue.getn(100, WAIT).unwrap();
    write!(entry, "{Explodes}").unwrap();
    entry.post();
}

#[test]
fn the_line_of_a_panic_is_in_the_file_also_when_an_entry_is_open() {
    let test = "the_line_of_a_panic_is_in_the_file_also_when_an_entry_is_open";
    let queue = |folder: &Path| {
        let options = small().stall_limit(Some(STALLS_SOON));
        let queue: &'static Queue = Box::leak(Box::new(options.open(log(folder)).unwrap()));
        queue.writen(b"before\n", LATER).unwrap();
        queue
    };
    let log_panic = |queue: &Queue, info: &panic::PanicHookInfo<'_>| {
        let message = info.payload().downcast_ref::<&str>().unwrap();
        writeln!(queue, "panic: {message}").unwrap();
    };
    // The unwinding drops the entry after the hook; the records that wait for it are written then.
    let unwinding = |folder: &Path| {
        let queue = queue(folder);
        panic::set_hook(Box::new(move |info| {
            log_panic(queue, info);
            let _ = flush_all(Some(Duration::from_millis(50)));
        }));
        panic_in_display(queue);
    };
    // As under `panic = "abort"`: nothing runs after the hook.
    let aborting = |folder: &Path| {
        let queue = queue(folder);
        panic::set_hook(Box::new(move |info| {
            log_panic(queue, info);
            let left = shutdown(Some(Duration::from_millis(50))).unwrap_err();
            assert_eq!((left.bytes, left.abandoned), (0, 1));
            std::process::abort();
        }));
        panic_in_display(queue);
    };
    // In a thread: only flush_all, and the process does not end.
    let in_a_thread = |folder: &Path| {
        let queue = queue(folder);
        panic::set_hook(Box::new(move |info| {
            log_panic(queue, info);
            let _ = flush_all(Some(Duration::from_millis(50)));
        }));
        let panicked = thread::spawn(|| panic_in_display(queue)).join();
        let _ = panic::take_hook();
        panicked.unwrap_err();
        queue.flush().unwrap();
        std::process::abort();
    };
    let ways: [Way<'_>; 3] = [
        ("unwinding", 101, &unwinding),
        ("aborting", 134, &aborting),
        ("in a thread", 134, &in_a_thread),
    ];
    for (way, code, body) in ways {
        if let Some(ended) = end_of_child(test, way, body) {
            let text = "before\npanic: this line explains it\n";
            let said = format!("{way}: {}\n{}", ended.status, ended.stderr);
            let signal = ended.status.signal().map(|signo| 128 + signo);
            assert_eq!(ended.status.code().or(signal), Some(code), "{said}");
            assert_eq!(ended.file("log"), text.as_bytes(), "{said}");
        }
    }
}
