//! Without membarrier(2), in an old kernel or in a sandbox that forbids it, a queue works as before
//! and only costs more.

use crate::common::child::in_child;
use crate::common::{
    Log, NEVER_STALLS, Record, TRY, WAIT, assert_complete, parse, small, spawn, wait_for,
};
use alq::{Flags, Options};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Forbids membarrier(2) to this thread and to the threads that it starts, for good.
fn forbid_membarrier() {
    let filter = SeccompFilter::new(
        [(libc::SYS_membarrier, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

/// Appends through lanes and the queue on several threads. The ring is always full, and the flusher
/// parks in between.
fn everything_goes_on() {
    let log = Log::new();
    let queue = log.open(small());
    let idle = queue.lane();
    let writers: Vec<_> = (0..3)
        .map(|pair| {
            let queue = queue.clone();
            spawn(move || {
                let mut lane = queue.lane();
                for seq in 0..2000 {
                    let record = |writer| {
                        Record {
                            writer,
                            seq,
                            len: 60,
                        }
                        .text()
                    };
                    let quiet = if seq % 3 == 0 {
                        Flags::NOACTIVATE
                    } else {
                        Flags::empty()
                    };
                    queue
                        .writen(record(2 * pair).as_bytes(), WAIT | quiet)
                        .unwrap();
                    lane.writen(record(2 * pair + 1).as_bytes(), WAIT | quiet)
                        .unwrap();
                }
            })
        })
        .collect();
    writers.into_iter().for_each(crate::common::Watched::join);
    queue.flush().unwrap();
    assert_complete(&parse(&log.bytes()), &[2000; 6]);
    drop(idle);

    // One record of a lane wakes a parked flusher. A flusher that waits for a lane is woken by that
    // lane.
    let mut lane = queue.lane();
    let before = queue.stats().written_records;
    for more in 1..=3 {
        crate::common::wait_until_parked(&queue);
        lane.writen(b"wake up\n", TRY).unwrap();
        wait_for("the record", || {
            queue.stats().written_records == before + more
        });
    }
    queue.close(None).unwrap();
}

#[test]
fn a_kernel_without_membarrier() {
    in_child("a_kernel_without_membarrier", || {
        forbid_membarrier();
        everything_goes_on();
    });
}

/// A sandbox forbids membarrier(2) after the queue was opened: the flusher does not rely on a
/// wake-up.
#[test]
fn a_sandbox_that_comes_later() {
    in_child("a_sandbox_that_comes_later", || {
        let log = Log::new();
        let options = Options::new().stall_limit(Some(NEVER_STALLS));
        let queue = log.open(options);
        queue.writen(b"before\n", WAIT).unwrap();
        queue.flush().unwrap();
        forbid_membarrier(); // for new queues' flushers, which inherit it
        everything_goes_on();
        queue.writen(b"after\n", WAIT).unwrap();
        queue.close(None).unwrap();
        assert_eq!(log.text(), "before\nafter\n");
    });
}
