//! Code shared by the models: their bounds, small rings and queues. `sinks` has what they write to.
//!
//! Every model is explored completely within a bound on preemptions. It is never bounded by time or
//! by a number of permutations, because loom reports success when it reaches such a bound.

#[cfg(not(alq_loom))]
compile_error!(
    "the models need `--cfg alq_loom`: run `cargo test --release` in the loom-tests folder, whose \
     .cargo/config.toml sets it"
);

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alq::model::barrier::Patience;
use alq::model::{
    Config, Drain, Drained, Flusher, Geometry, Heap, Holes, Kind, LossLines, Order, Owner, Pace,
    Ring, Shared, Sink, Tail, WhenFull, drive,
};
use alq::{Idle, SyncPolicy};

mod sinks;

pub use sinks::{Cells, Dropped, Memory};

/// The bounds of a model on preemptions: one for CI, and one for the long form, which takes
/// minutes.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    short: usize,
    long: usize,
}

/// The same bound in both forms.
impl From<usize> for Bound {
    fn from(bound: usize) -> Self {
        [bound; 2].into()
    }
}

/// The bound for CI, then the one for the long form.
impl From<[usize; 2]> for Bound {
    fn from([short, long]: [usize; 2]) -> Self {
        Self { short, long }
    }
}

impl Bound {
    /// The variable `ALQ_LOOM_MORE_PREEMPTIONS` selects the long form, and adds to its bound.
    fn preemptions(self) -> usize {
        match std::env::var("ALQ_LOOM_MORE_PREEMPTIONS") {
            Ok(more) => self.long + more.parse::<usize>().expect("a number of preemptions"),
            Err(_) => self.short,
        }
    }
}

/// Explores `model` with at most as many preemptions as its bound allows, and prints the number of
/// executions.
pub fn explore(name: &str, bound: impl Into<Bound>, model: impl Fn() + Sync + Send + 'static) {
    let preemptions = bound.into().preemptions();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.max_duration = None;
    builder.max_permutations = None;
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let executions = executions.load(Ordering::Relaxed);
    println!("{name}: {executions} executions, preemption bound {preemptions}");
}

/// A ring of `capacity` bytes with slots for `lines` spans of lanes.
pub fn ring_for_lanes(capacity: u32, lines: u32) -> (Ring<Heap>, Drain) {
    Ring::new(Heap::new(Geometry::new(capacity, 4 * lines)))
}

/// A ring of `capacity` bytes and 4 slots.
pub fn ring(capacity: u32) -> (Ring<Heap>, Drain) {
    Ring::new(Heap::new(Geometry::new(capacity, 4)))
}

/// A ring of `capacity` bytes and 4 slots, just before both halves of the head word wrap.
pub fn ring_before_wrap(capacity: u32) -> (Ring<Heap>, Drain) {
    let origin = Tail {
        seq: u64::from(u32::MAX),
        pos: u64::from(u32::MAX),
    };
    Ring::starting_at(Heap::new(Geometry::new(capacity, 4)), origin)
}

/// Appends one record made of `letter`. Yields while there is no room.
pub fn append(ring: &Ring<Heap>, letter: u8, len: u32) -> u64 {
    loop {
        if let Ok(mut reservation) = ring.reserve(len) {
            reservation.fill(&vec![letter; len as usize]);
            return reservation.post(len).end;
        }
        loom::thread::yield_now();
    }
}

/// Appends one record made of `letter` in a lane. Returns `false` if there is no room.
pub fn try_append_in_lane(ring: &Ring<Heap>, owner: &mut Owner, letter: u8, len: u32) -> bool {
    if !owner.begins(len as usize) {
        owner.leave(ring);
        if owner.open(ring, len).is_err() {
            owner.leave(ring);
            return false;
        }
    }
    owner.append(ring, &vec![letter; len as usize], true);
    true
}

/// Appends one record made of `letter` in a lane. Yields while there is no room.
pub fn append_in_lane(ring: &Ring<Heap>, owner: &mut Owner, letter: u8, len: u32) {
    while !try_append_in_lane(ring, owner, letter, len) {
        loom::thread::yield_now();
    }
}

/// Runs one step of the drain, which appends posted bytes to `file`.
pub fn take(drain: &mut Drain, ring: &Ring<Heap>, file: &mut Vec<u8>) -> Drained {
    let write = |runs: &[IoSlice<'_>]| -> Result<usize, ()> {
        let before = file.len();
        runs.iter().for_each(|run| file.extend_from_slice(run));
        Ok(file.len() - before)
    };
    drain.step(ring, u32::MAX, Holes::Wait, write).unwrap()
}

/// Runs the drain until `file` has `len` bytes.
pub fn take_all(drain: &mut Drain, ring: &Ring<Heap>, file: &mut Vec<u8>, len: usize) {
    while file.len() < len {
        if !matches!(take(drain, ring, file), Drained::Moved { .. }) {
            loom::thread::yield_now();
        }
    }
    assert_eq!(file.len(), len);
}

/// A queue without a flusher thread on a [`Dropped`] sink: its shared part, its flusher, and the
/// cells of the sink.
pub fn queue_on_dropped(capacity: u32) -> (loom::sync::Arc<Shared<Heap>>, Flusher<Heap>, Cells) {
    let cells = Cells::new();
    let sink = Arc::new(Dropped {
        cells: cells.clone(),
    });
    let (shared, flusher) = build(Geometry::new(capacity, 4), Order::Any, sink, None);
    (shared, flusher, cells)
}

/// A queue without a flusher thread: its shared part, its flusher, and its file.
pub fn queue(
    capacity: u32,
    order: Order,
) -> (loom::sync::Arc<Shared<Heap>>, Flusher<Heap>, Memory) {
    queue_on(Geometry::new(capacity, 4), order)
}

/// As [`queue`], with any number of slots.
pub fn queue_on(
    geometry: Geometry,
    order: Order,
) -> (loom::sync::Arc<Shared<Heap>>, Flusher<Heap>, Memory) {
    let file = Memory::default();
    let (shared, flusher) = build(geometry, order, Arc::new(file.clone()), None);
    (shared, flusher, file)
}

/// The longest span of a lane in the models, in bytes.
pub const SPAN: u32 = 4;

/// A queue with room for the spans of several lanes.
pub fn queue_for_lanes() -> (loom::sync::Arc<Shared<Heap>>, Flusher<Heap>, Memory) {
    queue_on(Geometry::new(16, 16), Order::Any)
}

/// The patience of a call without a time limit: a model has no time.
pub const FOR_EVER: fn() -> Patience = || Patience::new(None, None);

/// Runs the shipping driver in a thread until the queue is closed and drained. It parks instead of
/// napping, because a nap ends without a wake-up.
pub fn start(
    flusher: Flusher<Heap>,
    shared: &loom::sync::Arc<Shared<Heap>>,
) -> loom::thread::JoinHandle<()> {
    start_at(flusher, shared, Pace::parking(8))
}

/// As [`start`], for a flusher that rests as `idle` says. No nap ends by itself.
pub fn start_idle(
    flusher: Flusher<Heap>,
    shared: &loom::sync::Arc<Shared<Heap>>,
    idle: Idle,
) -> loom::thread::JoinHandle<()> {
    start_at(
        flusher,
        shared,
        Pace::new(8, Duration::from_millis(1), idle),
    )
}

fn start_at(
    mut flusher: Flusher<Heap>,
    shared: &loom::sync::Arc<Shared<Heap>>,
    pace: Pace,
) -> loom::thread::JoinHandle<()> {
    let shared = loom::sync::Arc::clone(shared);
    loom::thread::spawn(move || {
        drive(&mut flusher, pace);
        shared.finish();
    })
}

/// Waits until everything up to `end` is written. It makes no call that would wake the flusher.
pub fn wait_written(shared: &Shared<Heap>, end: u64) {
    let written = || (shared.intake.ring.tail().pos >= end).then_some(());
    shared.outcome.progress.wait_until(None, written).unwrap();
}

/// A recorder without a flusher thread.
pub fn recorder(capacity: u32) -> (loom::sync::Arc<Shared<Heap>>, Flusher<Heap>, Memory) {
    let file = Memory::default();
    let config = Config {
        recorder: true,
        ..config(Order::Any)
    };
    let geometry = Geometry::new(capacity, 4);
    let (shared, flusher) = build_with(geometry, config, Arc::new(file.clone()), None);
    (shared, flusher, file)
}

/// A queue without a flusher thread on `sink`, which is also synced.
pub fn queue_with_sync(
    capacity: u32,
    sink: Arc<dyn Sink>,
) -> (loom::sync::Arc<Shared<Heap>>, Flusher<Heap>) {
    let geometry = Geometry::new(capacity, 4);
    build(geometry, Order::Any, Arc::clone(&sink), Some(sink))
}

/// A queue as [`queue_with_sync`] makes it, which syncs whenever this number of bytes is written.
pub fn queue_that_syncs(
    capacity: u32,
    sink: Arc<dyn Sink>,
    bytes: u64,
) -> (loom::sync::Arc<Shared<Heap>>, Flusher<Heap>) {
    let config = Config {
        sync_policy: Some(SyncPolicy::new().bytes(bytes)),
        ..config(Order::Any)
    };
    let geometry = Geometry::new(capacity, 4);
    build_with(geometry, config, Arc::clone(&sink), Some(sink))
}

fn config(order: Order) -> Config {
    Config {
        order,
        lane_span: SPAN,
        stall_limit: None,
        outstanding_max: 8,
        refuse_when_stalled: false,
        loss_lines: Some(LossLines::plain(Duration::ZERO)),
        recorder: false,
        dump_line: None,
        sync_policy: None,
    }
}

fn build(
    geometry: Geometry,
    order: Order,
    sink: Arc<dyn Sink>,
    synced: Option<Arc<dyn Sink>>,
) -> (loom::sync::Arc<Shared<Heap>>, Flusher<Heap>) {
    build_with(geometry, config(order), sink, synced)
}

fn build_with(
    geometry: Geometry,
    config: Config,
    sink: Arc<dyn Sink>,
    synced: Option<Arc<dyn Sink>>,
) -> (loom::sync::Arc<Shared<Heap>>, Flusher<Heap>) {
    let (shared, drain) = Shared::new(Heap::new(geometry), &config, synced);
    let shared = loom::sync::Arc::new(shared);
    let flusher = Flusher::new(loom::sync::Arc::clone(&shared), drain, sink);
    (shared, flusher)
}

/// Appends one record as `Queue::writen` does. Panics if there is no room.
pub fn write(shared: &Shared<Heap>, letter: u8, len: u32, activate: bool) -> u64 {
    let mut reservation = shared.intake.try_reserve(len).expect("there is room");
    reservation.fill(&vec![letter; len as usize]);
    let posted = reservation.post_as(len, activate);
    shared.intake.posted(posted);
    posted.end
}

/// Appends one record as `Lane::writen` does, waiting for room.
///
/// # Errors
///
/// If the queue is closed or has failed.
pub fn write_in_lane(
    shared: &Shared<Heap>,
    owner: &mut Owner,
    letter: u8,
    len: u32,
) -> Result<(), alq::Error> {
    let record = vec![letter; len as usize];
    if !owner.begins(record.len()) {
        shared
            .intake
            .begin_elsewhere(owner, len, WhenFull::Wait, Kind::Writen, None)?;
    }
    owner
        .bytes_mut(&shared.intake.ring, len)
        .copy_from_slice(&record);
    let posted = owner.post(&shared.intake.ring, len, true);
    shared.intake.posted(posted);
    Ok(())
}
