//! Tests the handshake of lanes in the form with membarrier(2), which no model explores. An owner
//! and a drain run on two cores, in a ring so small that bytes and slots change hands all the
//! time.
//!
//! The test makes 200,000 seals by default; `ALQ_SEALS` sets the number.

use std::thread;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::lane_tests::append_in_lane;
use super::tests::ring;
use super::{Drained, Holes};
use crate::primitives::sync::{Arc, AtomicBool, Ordering};

/// Pins the calling thread to the `index`-th of the processors that it may use, if there are so
/// many.
fn pin(index: usize) {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).expect("the mask of this thread");
    let mut usable = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true));
    if let Some(cpu) = usable.nth(index) {
        let mut one = CpuSet::new();
        one.set(cpu).expect("it was in the mask");
        sched_setaffinity(this, &one).expect("it is allowed");
    }
}

/// The records of the lane are its numbers, in order; the records of the shared path are all ones.
/// If a record is copied into bytes that have changed hands, or a slot is stored too late, a
/// record is lost, doubled or changed.
#[test]
fn an_owner_and_a_drain_on_two_cores() {
    const SHARED: [u8; 4] = [0xff; 4];
    let seals = std::env::var("ALQ_SEALS").map_or(200_000, |n| n.parse().expect("a number"));
    let (ring, mut drain) = ring(64, 32);
    let ring = Arc::new(ring);
    let is_over = Arc::new(AtomicBool::new(false));
    let (theirs, stop) = (Arc::clone(&ring), Arc::clone(&is_over));
    let owner = thread::spawn(move || {
        pin(0);
        let mut owner = theirs.enter_lane(16);
        let mut number = 0_u32;
        // Relaxed: only the end of the test.
        while !stop.load(Ordering::Relaxed) {
            if append_in_lane(&theirs, &mut owner, &number.to_le_bytes()) {
                number += 1;
            }
        }
        number
    });
    pin(1);
    let (mut next, mut sealed) = (0_u32, 0_u64);
    let mut rest = Vec::new();
    let mut last = false;
    loop {
        // A record after the open span, so that the drain must seal that span.
        if sealed < seals {
            if let Ok(mut reservation) = ring.reserve(4) {
                reservation.fill(&SHARED);
                reservation.post(4);
                sealed += 1;
            }
        }
        let drained = drain.step(&ring, u32::MAX, Holes::Wait, |runs| {
            runs.iter().for_each(|run| rest.extend_from_slice(run));
            Ok::<_, ()>(runs.iter().map(|run| run.len()).sum())
        });
        for record in rest.chunks_exact(4) {
            if record != SHARED {
                assert_eq!(
                    record,
                    next.to_le_bytes(),
                    "record {next} after {sealed} seals"
                );
                next += 1;
            }
        }
        assert_eq!(rest.len() % 4, 0, "records are whole");
        rest.clear();
        if sealed == seals && !last {
            is_over.store(true, Ordering::Relaxed); // Relaxed: it orders nothing
            last = owner.is_finished();
        } else if last && drained == Ok(Drained::Empty) {
            break;
        }
    }
    assert_eq!(owner.join().unwrap(), next);
}
