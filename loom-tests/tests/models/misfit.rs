//! A record that is too long for one message is lost alone: only the wait for it fails.

use std::io::{self, IoSlice};

use alq::model::{Pending, Reach};
use alq::{Error, Sink};
use alq_loom_tests::{explore, queue_with_sync, write};
use loom::sync::Arc;
use loom::thread;

/// Takes messages of one byte.
struct Messages;

impl Sink for Messages {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        match runs {
            [run] if run.len() == 1 => Ok(1),
            _ => Err(io::Error::from_raw_os_error(90)), // EMSGSIZE
        }
    }

    fn message_max(&self) -> Option<u64> {
        Some(u64::MAX)
    }
}

/// The waits come before, while and after the flusher moves past the record.
#[test]
fn a_wait_for_a_lost_record_fails_and_no_other() {
    let name = "a_wait_for_a_lost_record_fails_and_no_other";
    explore(name, [2, 3], || {
        let (shared, mut flusher) = queue_with_sync(8, std::sync::Arc::new(Messages));
        let lost = write(&shared, b'x', 2, true);
        let written = write(&shared, b'a', 1, true);
        let theirs = Arc::clone(&shared);
        let waiter = thread::spawn(move || {
            [lost, written].map(|end| {
                let pending = Arc::new(Pending::new(end, Reach::Written));
                theirs.watch(Arc::clone(&pending)).unwrap();
                pending
            })
        });
        for _ in 0..3 {
            flusher.step();
        }
        let [lost, written] = waiter.join().unwrap();
        let is_lost = matches!(lost.result(), Some(Err(Error::Io { errno: 90, .. })));
        assert!(is_lost, "{:?}", lost.result());
        assert_eq!(written.result(), Some(Ok(())));
        let done = shared.intake.ring.accounts();
        assert_eq!((done.bytes, done.lost_bytes, done.lost_records), (3, 2, 1));
    });
}
