//! What the flusher does while no records come: every promise of a queue holds with each of the
//! choices.

use std::time::Duration;

use alq::{Idle, Options};

use crate::common::{LATER, Log, NEVER_STALLS, TRY, WAIT, wait_for};

const ALL: [Idle; 3] = [Idle::Park, Idle::Nap, Idle::Spin];

fn options(idle: Idle) -> Options {
    let options = Options::new().capacity(4096).idle(idle);
    options
        .max_delay(Duration::from_millis(1))
        .stall_limit(Some(NEVER_STALLS))
}

#[test]
fn a_record_is_written_without_another_call_also_after_a_pause() {
    for idle in ALL {
        let log = Log::new();
        let queue = log.open(options(idle));
        for round in 1..=3 {
            queue.writen(b"record\n", TRY).unwrap();
            let written = "record\n".repeat(round);
            wait_for("the record", || log.text() == written);
            std::thread::sleep(Duration::from_millis(10)); // more than 16 naps: the flusher parks
        }
    }
}

/// The flusher stops in front of an open entry, and at a quiet record, and is woken for both.
#[test]
fn entries_quiet_records_and_a_full_ring_are_served() {
    for idle in ALL {
        let log = Log::new();
        let queue = log.open(options(idle));
        let mut entry = queue.getn(1, TRY).unwrap();
        queue.writen(b"b", TRY).unwrap();
        entry.copy_from_slice(b"a");
        entry.post();
        wait_for("the entry", || log.text() == "ab");
        queue.writen(b"c", LATER).unwrap();
        queue.writen(&[b'd'; 4096], WAIT).unwrap(); // waits for the room of the quiet record
        queue.writen(b"e", WAIT).unwrap();
        queue.close(None).unwrap();
        assert_eq!(log.text(), format!("abc{}e", "d".repeat(4096)), "{idle:?}");
    }
}

/// Only a flusher that sleeps wakes up.
#[test]
fn an_idle_queue_wakes_up_as_often_as_it_says() {
    let wakeups = |idle| {
        let log = Log::new();
        let queue = log.open(options(idle));
        queue.writen(b"record\n", TRY).unwrap();
        wait_for("the record", || log.text() == "record\n");
        let other = Log::new();
        let clock = other.open(options(Idle::Nap));
        wait_for("a hundred naps", || clock.stats().wakeups >= 100);
        queue.stats().wakeups
    };
    assert_eq!(wakeups(Idle::Spin), 0);
    let parked = wakeups(Idle::Park);
    assert!(
        parked <= 18,
        "16 naps, the parking and one nap after the record: {parked}"
    );
    let napped = wakeups(Idle::Nap);
    assert!(napped > 18, "{napped}");
}
