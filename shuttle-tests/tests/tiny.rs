//! Rings of a few bytes and slots, as in loom-tests, but with four producers and more records than
//! fit. Every lap wraps, every producer waits for room, and slots are used again at once.

use std::io::IoSlice;
use std::sync::Arc;

use alq::Idle;
use alq::model::barrier::{self, Patience};
use alq::model::{
    Config, Drain, Flusher, Geometry, Heap, Holes, Kind, Order, Owner, Pace, Ring, Shared, Sink,
    Tail, WhenFull, drive,
};
use alq_shuttle_tests::{FarEnd, Ledger, Mood, below, explore, is_one_in};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread::{self, JoinHandle, yield_now};

const CAPACITY: u32 = 16;

/// Two lines of slots, or four.
fn geometry() -> Geometry {
    Geometry::new(CAPACITY, [8, 16][below(2)])
}

/// The record number `count` of a producer. No two records have a byte in common.
fn record(name: u8, count: usize) -> Vec<u8> {
    let len = 1 + below(if is_one_in(6) { CAPACITY as usize } else { 5 });
    vec![name << 5 | count as u8; len]
}

fn join(threads: Vec<JoinHandle<()>>) {
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// A queue with a running flusher.
fn queue(order: Order) -> (Arc<Shared<Heap>>, JoinHandle<()>, FarEnd) {
    let far_end = FarEnd::new(Mood::Awkward);
    let config = Config {
        order,
        lane_span: 4,
        stall_limit: None,
        outstanding_max: 8,
        refuse_when_stalled: false,
        loss_lines: None,
        recorder: false,
        dump_line: None,
        sync_policy: None,
    };
    let (shared, drain) = Shared::new(Heap::new(geometry()), &config, None);
    let shared = Arc::new(shared);
    let sink: Arc<dyn Sink> = Arc::new(far_end.clone());
    let mut flusher = Flusher::new(Arc::clone(&shared), drain, sink);
    let theirs = Arc::clone(&shared);
    let pace = if is_one_in(2) {
        Pace::parking(CAPACITY)
    } else {
        let idle = [Idle::Park, Idle::Nap, Idle::Spin][below(3)];
        Pace::new(CAPACITY, std::time::Duration::from_millis(1), idle)
    };
    let thread = thread::spawn(move || {
        drive(&mut flusher, pace);
        theirs.finish();
    });
    (shared, thread, far_end)
}

fn write(shared: &Shared<Heap>, record: &[u8]) -> u64 {
    let len = record.len() as u32;
    let mut reservation = shared.intake.wait_reserve(len, Kind::Writen, None).unwrap();
    reservation.fill(record);
    let posted = reservation.post_as(len, is_one_in(2));
    shared.intake.posted(posted);
    posted.end
}

fn write_in_lane(shared: &Shared<Heap>, owner: &mut Owner, record: &[u8]) -> u64 {
    let len = record.len() as u32;
    if !owner.begins(record.len()) {
        let begun = shared
            .intake
            .begin_elsewhere(owner, len, WhenFull::Wait, Kind::Writen, None);
        begun.unwrap();
    }
    owner
        .bytes_mut(&shared.intake.ring, len)
        .copy_from_slice(record);
    let posted = owner.post(&shared.intake.ring, len, is_one_in(2));
    shared.intake.posted(posted);
    posted.end
}

fn start(shared: &Arc<Shared<Heap>>, ledger: &Ledger, name: u8, in_lane: bool) -> JoinHandle<()> {
    let (shared, ledger) = (Arc::clone(shared), ledger.clone());
    thread::spawn(move || {
        let mut lane = in_lane.then(|| shared.intake.ring.enter_lane(4));
        for count in 0..1 + below(8) {
            let record = record(name, count);
            let end = match &mut lane {
                Some(owner) => write_in_lane(&shared, owner, &record),
                None => write(&shared, &record),
            };
            ledger.note(end, record);
            if is_one_in(5) {
                lane.iter_mut().for_each(|owner| {
                    shared.intake.leave_lane(owner);
                });
            }
        }
    })
}

fn everybody_waits_for_room(order: Order, lanes: usize) {
    let (shared, flusher, far_end) = queue(order);
    let ledger = Ledger::default();
    let producers = (0..4).map(|name| start(&shared, &ledger, name, usize::from(name) < lanes));
    join(producers.collect());
    barrier::close(&shared, Patience::new(None, None)).unwrap();
    flusher.join().unwrap();
    assert_eq!(far_end.bytes(), ledger.expected());
    let stats = shared.stats();
    assert_eq!(stats.written_records, ledger.len() as u64);
    assert_eq!((stats.fill_bytes, stats.held, stats.lost_bytes), (0, 0, 0));
}

#[test]
fn four_writers_wait_for_room() {
    explore("four_writers_wait_for_room", || {
        everybody_waits_for_room(Order::Any, 0);
    });
}

#[test]
fn four_writers_wait_in_turn() {
    explore("four_writers_wait_in_turn", || {
        everybody_waits_for_room(Order::Arrival, 0);
    });
}

/// Lanes that end with an open span, and writers that wait for its room.
#[test]
fn lanes_and_writers_wait_for_room() {
    explore("lanes_and_writers_wait_for_room", || {
        everybody_waits_for_room(Order::Any, 1 + below(3));
    });
}

/// Short posts, drops, and give-backs of the newest, by a thread that only tries.
fn claim(ring: &Ring<Heap>, ledger: &Ledger, name: u8) {
    for count in 0..10 {
        let record = record(name, count);
        let len = (record.len() as u32 + below(4) as u32).min(CAPACITY);
        let mut reservation = loop {
            match ring.reserve(len) {
                Ok(reservation) => break reservation,
                Err(_) => yield_now(),
            }
        };
        if is_one_in(4) {
            yield_now();
        }
        let mut bytes = vec![0xff; len as usize];
        bytes[..record.len()].copy_from_slice(&record);
        reservation.fill(&bytes);
        if is_one_in(5) {
            drop(reservation);
        } else {
            let posted = reservation.post(record.len() as u32);
            ledger.note(posted.end, record);
        }
    }
}

/// A sink that takes only a part of each write.
fn take(drain: &mut Drain, ring: &Ring<Heap>, file: &mut Vec<u8>) {
    let write = |runs: &[IoSlice<'_>]| -> Result<usize, ()> {
        let bytes: Vec<u8> = runs.iter().flat_map(|run| run.to_vec()).collect();
        yield_now();
        let taken = below(bytes.len() + 1);
        file.extend(&bytes[..taken]);
        Ok(taken)
    };
    let limit = 1 + below(CAPACITY as usize) as u32;
    drain.step(ring, limit, Holes::Wait, write).unwrap();
}

/// Positions and sequences pass 2^32: both halves of the head wrap, and so do the tags of the
/// slots.
#[test]
fn claims_over_the_wrap_of_the_head() {
    explore("claims_over_the_wrap_of_the_head", || {
        let origin = Tail {
            seq: u64::from(u32::MAX) - below(20) as u64,
            pos: u64::from(u32::MAX) - below(60) as u64,
        };
        let (ring, mut drain) = Ring::starting_at(Heap::new(geometry()), origin);
        let (ring, ledger) = (Arc::new(ring), Ledger::default());
        let producers = (0..3).map(|name| {
            let (ring, ledger) = (Arc::clone(&ring), ledger.clone());
            thread::spawn(move || claim(&ring, &ledger, name))
        });
        let producers = producers.collect();
        let is_over = Arc::new(AtomicBool::new(false));
        let (theirs, has_ended) = (Arc::clone(&ring), Arc::clone(&is_over));
        let drainer = thread::spawn(move || {
            let mut file = Vec::new();
            // Read first: the later look at the ring sees every record that was posted by then.
            while !has_ended.load(Ordering::SeqCst) || theirs.fill() > 0 {
                take(&mut drain, &theirs, &mut file);
                yield_now();
            }
            file
        });
        join(producers);
        is_over.store(true, Ordering::SeqCst);
        let file = drainer.join().unwrap();
        assert_eq!(file, ledger.expected());
        let accounts = ring.accounts();
        assert_eq!(accounts.bytes, file.len() as u64);
        assert_eq!(
            origin.pos + accounts.bytes + accounts.padding,
            accounts.tail.pos
        );
    });
}
