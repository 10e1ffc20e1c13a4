//! All lanes of a ring, and what the owner of one and the drain tell each other.
//!
//! The protocol is at the head of `lane.rs`.

use crossbeam_utils::CachePadded;

use super::Ring;
use crate::memory::Memory;
use crate::primitives::fence::Fences;
use crate::primitives::sync::{
    Arc, AtomicBool, AtomicU64, Mutex, Ordering, is_mutant, unless_mutant,
};
use crate::words::{Place, State, extend};

/// All lanes of a ring.
#[derive(Debug)]
pub struct Lanes {
    pub(super) fences: Fences,
    /// Every lane that has not been dropped, or whose last span the drain has not gone past.
    pub(super) blocks: Mutex<Blocks>,
    /// Bytes of all spans that are open: `len` of each from claim to seal.
    open_bytes: AtomicU64,
    /// Somebody needs the room that open spans hold.
    wanted: AtomicBool,
}

/// The list of lanes, and what those have counted that are gone.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    pub list: Vec<Arc<Block>>,
    pub retired_records: u64,
}

/// What the owner of a lane and the drain tell each other. It is never used for another lane.
#[derive(Debug)]
pub(super) struct Block {
    /// `{ records 63, busy 1 }`, stored by the owner with every record; the drain reads it when it seals.
    owner: CachePadded<AtomicU64>,
    control: CachePadded<Control>,
}

/// The other line: read with every record, written once a span.
#[derive(Debug)]
struct Control {
    /// `{ seq 32, len 32 }` of the span that is open; a `len` of 0 says that none is.
    open: AtomicU64,
    /// The highest span that is to be sealed.
    seal: AtomicU64,
    /// The sequence of the newest span; 0 before the first.
    last: AtomicU64,
    /// The owner is gone.
    dropped: AtomicBool,
}

const BUSY: u64 = 1;

/// Records in the spans of lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneCounts {
    /// Lanes that are there.
    pub lanes: u64,
    pub posted: u64,
    /// Those of lanes of which everything is written.
    pub written: u64,
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self {
            fences: Fences::detect(),
            blocks: Mutex::new(Blocks::default()),
            open_bytes: AtomicU64::new(0),
            wanted: AtomicBool::new(false),
        }
    }

    /// Whether any lane holds room that it has not used, as far as this thread knows.
    pub fn hold_room(&self) -> bool {
        // Relaxed: a hint; who is refused for a span that was opened just now is told that the ring is full.
        self.open_bytes.load(Ordering::Relaxed) != 0
    }

    /// Asks the drain to seal all spans once it has caught up with them. Async-signal-safe; the caller rings.
    pub fn want_room(&self) {
        // Relaxed: carried by the bell that is rung after it.
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked since the last call. For the drain.
    pub(super) fn take_wanted(&self) -> bool {
        // Relaxed: as in `want_room`.
        self.wanted.load(Ordering::Relaxed) && self.wanted.swap(false, Ordering::Relaxed)
    }

    /// Counts `len` bytes as open, if all that are stay within `max`.
    pub(super) fn open(&self, len: u32, max: u64) -> bool {
        // Relaxed on both: a number, that orders nothing.
        let before = self.open_bytes.fetch_add(u64::from(len), Ordering::Relaxed);
        let fits = before + u64::from(len) <= max;
        if !fits {
            self.open_bytes.fetch_sub(u64::from(len), Ordering::Relaxed);
        }
        fits
    }

    pub(super) fn shut(&self, len: u32) {
        // Relaxed: as in `open`.
        self.open_bytes.fetch_sub(u64::from(len), Ordering::Relaxed);
    }
}

impl Block {
    pub(super) fn new() -> Self {
        Self {
            owner: CachePadded::new(AtomicU64::new(0)),
            control: CachePadded::new(Control {
                open: AtomicU64::new(0),
                seal: AtomicU64::new(0),
                last: AtomicU64::new(0),
                dropped: AtomicBool::new(false),
            }),
        }
    }

    /// The span that is open: the low half of its sequence, and its length.
    pub(super) fn open(&self) -> Option<(u32, u32)> {
        // Acquire, pairs with the Release in `set_open`: an owner that has gone on to another span has made its last
        // commit to the one before, and that is seen.
        let bits = self
            .control
            .open
            .load(unless_mutant("lane_open_acquire", Ordering::Acquire));
        let (seq, len) = ((bits >> 32) as u32, bits as u32);
        (len != 0).then_some((seq, len))
    }

    /// The owner's side. Gives the length of the span that was open until now, unless the drain has shut it.
    pub(super) fn set_open(&self, seq: u64, len: u32) -> u32 {
        // Release, pairs with the Acquire in `open`: what was committed before, and `busy`, are seen. An RMW: of the
        // owner and the drain, one shuts the span before.
        let bits = u64::from(seq as u32) << 32 | u64::from(len);
        self.control
            .open
            .swap(bits, unless_mutant("lane_open_release", Ordering::Release)) as u32
    }

    /// The drain's side: shuts span `seq` of `len` bytes, unless its owner has.
    pub(super) fn shut(&self, seq: u32, len: u32) -> bool {
        let bits = u64::from(seq) << 32 | u64::from(len);
        // Relaxed: the drain has read what it needs with Acquire before, and the owner reads only the length.
        let open = &self.control.open;
        open.compare_exchange(bits, 0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// The owner's side: it is at work, and has posted `records` so far.
    #[inline]
    pub(super) fn set_busy(&self, records: u64) {
        // Relaxed: the fence that follows orders it. Before `set_open`, the Release there carries it.
        self.owner.store(records << 1 | BUSY, Ordering::Relaxed);
    }

    /// The owner's side: it is not at work any more.
    #[inline]
    pub(super) fn set_idle(&self, records: u64) {
        // Release, pairs with the Acquire in `is_busy`: who sees it sees the commit before.
        self.owner.store(
            records << 1,
            unless_mutant("lane_idle_release", Ordering::Release),
        );
    }

    /// The owner's side: whether it was asked for `seq`, its span.
    #[inline]
    pub(super) fn is_asked(&self, seq: u64) -> bool {
        // Relaxed: ordered by the fence before; the word carries nothing but itself.
        self.control.seal.load(Ordering::Relaxed) >= seq
    }

    /// The owner's side: its newest span is `seq`.
    pub(super) fn set_last(&self, seq: u64) {
        // Relaxed: carried by the Release in `set_open`, and by that of every commit.
        self.control.last.store(seq, Ordering::Relaxed);
    }

    /// The owner's side: it goes away. Its span has been left.
    pub(super) fn set_dropped(&self) {
        // Release, pairs with the Acquire in `is_dropped`.
        self.control.dropped.store(true, Ordering::Release);
    }

    /// Whether the owner is at work: it may be about to commit, or holds a reservation.
    #[inline]
    pub(super) fn is_busy(&self) -> bool {
        // Acquire, pairs with the Release that ends a record: who sees 0 sees all commits before.
        let bits = self
            .owner
            .load(unless_mutant("lane_busy_acquire", Ordering::Acquire));
        bits & BUSY != 0 && !is_mutant("lane_busy_ignored")
    }

    /// Records posted in spans of this lane so far.
    pub(super) fn records(&self) -> u64 {
        // Acquire, pairs as in `is_busy`: what is read of the ring next is not older than these records.
        self.owner.load(Ordering::Acquire) >> 1
    }

    /// Asks for `seq` and all spans before.
    pub(super) fn ask(&self, seq: u64) {
        // Relaxed: the fence of the drain comes before it looks at `busy`. An RMW: the word only grows, whoever asks.
        self.control.seal.fetch_max(seq, Ordering::Relaxed);
    }

    /// The newest span of this lane.
    pub(super) fn last(&self) -> u64 {
        // Relaxed: ordered by `records`, which is read before.
        self.control.last.load(Ordering::Relaxed)
    }

    /// Whether the owner is gone.
    pub(super) fn is_dropped(&self) -> bool {
        // Acquire, pairs with the Release in `set_dropped`: its last span is seen.
        self.control.dropped.load(Ordering::Acquire)
    }
}

impl<M: Memory> Ring<M> {
    /// The lanes.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The block of a new lane.
    pub(super) fn enter(&self) -> Arc<Block> {
        let block = Arc::new(Block::new());
        let mut blocks = self.lanes.blocks.lock();
        self.retire_lanes(&mut blocks);
        blocks.list.push(Arc::clone(&block));
        block
    }

    /// Has every lane leave its span before its next record, and so come to the gate. Nobody waits for that.
    pub fn ask_lanes(&self) {
        let tail = self.tail();
        for block in &self.lanes.blocks.lock().list {
            if let Some((seq, _)) = block.open() {
                block.ask(extend(tail.seq, seq));
            }
        }
    }

    /// Forgets lanes that are gone and whose records are all written.
    fn retire_lanes(&self, blocks: &mut Blocks) {
        let mut retired = 0;
        blocks.list.retain(|block| {
            let is_over = block.is_dropped() && block.last() < self.tail().seq;
            if is_over {
                retired += block.records();
            }
            !is_over
        });
        blocks.retired_records += retired;
    }

    /// What the lanes have counted.
    pub fn lane_counts(&self) -> LaneCounts {
        let mut blocks = self.lanes.blocks.lock();
        self.retire_lanes(&mut blocks);
        let mut counts = LaneCounts {
            lanes: 0,
            posted: blocks.retired_records,
            written: blocks.retired_records,
        };
        for block in &blocks.list {
            counts.lanes += u64::from(!block.is_dropped());
            let records = block.records();
            counts.posted += records;
            if self.has_written(block.last()) {
                counts.written += records;
            }
        }
        counts
    }

    /// Whether all is written that a lane whose newest span is `seq` has committed before the call.
    fn has_written(&self, seq: u64) -> bool {
        let slot = self.slot(seq as u32);
        // Acquire, pairs with the Release of a commit: the place is seen.
        let bits = slot.state.load(Ordering::Acquire);
        // Relaxed: ordered by the state.
        let place = Place::from_bits(slot.place.load(Ordering::Relaxed));
        // After the state: what it says must be written by then.
        let tail = self.tail();
        let Some(state) = State::of_lap(bits, self.geometry.tag(seq as u32)) else {
            return seq < tail.seq;
        };
        let behind = place.start.wrapping_add(state.committed);
        seq < tail.seq || (seq == tail.seq && tail.pos as u32 == behind)
    }
}
