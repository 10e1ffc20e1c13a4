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
use crate::words::{State, extend};

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
    last_id: u32,
}

/// What the owner of a lane and the drain tell each other. It is never used for another lane.
#[derive(Debug)]
pub(super) struct Block {
    /// Its number among the lanes of the ring: what its spans are marked with.
    pub id: u32,
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

/// What was read of all lanes, one after the other.
#[derive(Debug)]
pub(super) struct LaneCounts {
    /// Records of lanes that are gone, and written.
    pub retired_records: u64,
    pub lanes: Vec<LaneCount>,
}

/// What was read of one lane.
#[derive(Debug)]
pub(super) struct LaneCount {
    pub id: u32,
    pub is_dropped: bool,
    /// Records posted in its spans.
    pub records: u64,
    /// The span in which its owner is at work.
    pub busy: Option<u32>,
    /// Those that are not written have been taken.
    pub is_taken: bool,
}

impl LaneCounts {
    /// How many lanes there are.
    pub fn present(&self) -> u64 {
        self.lanes.iter().filter(|lane| !lane.is_dropped).count() as u64
    }

    /// Records that were ever posted in spans of lanes.
    pub fn posted(&self) -> u64 {
        let records = self.lanes.iter().map(|lane| lane.records);
        self.retired_records + records.sum::<u64>()
    }

    /// Whether somebody is at work in span `seq`.
    pub fn is_busy(&self, seq: u32) -> bool {
        self.lanes.iter().any(|lane| lane.busy == Some(seq))
    }

    /// How many records the lane that a span's note names has posted beyond the `before` that the note says, modulo 2^32; the
    /// first time. The span may have been opened after the records were counted.
    pub fn take_records(&mut self, note: u64, before: u32) -> u64 {
        let is_it = |lane: &&mut LaneCount| State::is_note(note, lane.id) && !lane.is_taken;
        let lane = self.lanes.iter_mut().find(is_it);
        lane.map_or(0, |lane| {
            lane.is_taken = true;
            let beyond = (lane.records as u32).wrapping_sub(before);
            u64::from(if beyond < 1 << 31 { beyond } else { 0 })
        })
    }
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
        // [room.want] Release, pairs with [room.wanted]: the head that the caller has found is not newer than the one that
        // the drain reads next.
        self.wanted
            .store(true, unless_mutant("room.want", Ordering::Release));
    }

    /// Whether that was asked since the last call. For the drain.
    pub(super) fn take_wanted(&self) -> bool {
        // [room.wanted] Acquire on the swap, pairs with [room.want]. Relaxed: the load only saves it.
        self.wanted.load(Ordering::Relaxed)
            && self
                .wanted
                .swap(false, unless_mutant("room.wanted", Ordering::Acquire))
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
    pub(super) fn new(id: u32) -> Self {
        Self {
            id,
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
        // [block.open] Acquire, pairs with [block.set_open]: an owner that has gone on to another span has made its last
        // commit to the one before, and that is seen.
        let bits = self
            .control
            .open
            .load(unless_mutant("block.open", Ordering::Acquire));
        let (seq, len) = ((bits >> 32) as u32, bits as u32);
        (len != 0).then_some((seq, len))
    }

    /// The owner's side. Gives the length of the span that was open until now, unless the drain has shut it.
    pub(super) fn set_open(&self, seq: u64, len: u32) -> u32 {
        // [block.set_open] Release, pairs with [block.open]: what was committed before, and `busy`, are seen. An RMW: of the
        // owner and the drain, one shuts the span before.
        let bits = u64::from(seq as u32) << 32 | u64::from(len);
        self.control
            .open
            .swap(bits, unless_mutant("block.set_open", Ordering::Release)) as u32
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
        // [block.begin] Release, pairs with [block.records]: who counts the records that it says finds them in the ring. For
        // the seal, the fence that follows orders it, or the Release in `set_open`.
        self.owner.store(
            records << 1 | BUSY,
            unless_mutant("block.begin", Ordering::Release),
        );
    }

    /// The owner's side: it is not at work any more.
    #[inline]
    pub(super) fn set_idle(&self, records: u64) {
        // [block.idle] Release, pairs with [block.busy] and [block.records]: who sees it sees the commit before.
        self.owner
            .store(records << 1, unless_mutant("block.idle", Ordering::Release));
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
        // [block.drop] Release, pairs with [block.is_dropped].
        let order = unless_mutant("block.drop", Ordering::Release);
        self.control.dropped.store(true, order);
    }

    /// Whether the owner is at work: it may be about to commit, or holds a reservation.
    #[inline]
    pub(super) fn is_busy(&self) -> bool {
        // [block.busy] Acquire, pairs with [block.idle]: who sees 0 sees all commits before.
        let bits = self
            .owner
            .load(unless_mutant("block.busy", Ordering::Acquire));
        bits & BUSY != 0 && !is_mutant("block.busy:ignored")
    }

    /// Records posted in spans of this lane so far.
    pub(super) fn records(&self) -> u64 {
        // [block.records] Acquire, pairs with [block.idle] and [block.begin]: what is read of the ring next is not older than
        // these records.
        self.owner.load(Ordering::Acquire) >> 1
    }

    /// Asks for `seq` and all spans before; `false` if that was asked before. Whoever asks holds the lock of the list, and,
    /// if it is not the owner, lets a heavy fence follow before it lets go of that.
    pub(super) fn ask(&self, seq: u64) -> bool {
        // Relaxed on both: the lock keeps those apart who ask, and the fence orders the store. Looked at first: a store
        // would take the line from the owner.
        let is_new = self.control.seal.load(Ordering::Relaxed) < seq;
        if is_new {
            self.control.seal.store(seq, Ordering::Relaxed);
        }
        is_new
    }

    /// The newest span of this lane.
    pub(super) fn last(&self) -> u64 {
        // Relaxed: ordered by `is_dropped`, which is read before.
        self.control.last.load(Ordering::Relaxed)
    }

    /// Whether the owner is gone.
    pub(super) fn is_dropped(&self) -> bool {
        // [block.is_dropped] Acquire, pairs with [block.drop]: its last span is seen, and its last record.
        let order = unless_mutant("block.is_dropped", Ordering::Acquire);
        self.control.dropped.load(order)
    }
}

impl<M: Memory> Ring<M> {
    /// The lanes.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The block of a new lane.
    pub(super) fn enter(&self) -> Arc<Block> {
        let mut blocks = self.lanes.blocks.lock();
        self.retire_lanes(&mut blocks);
        blocks.last_id = blocks.last_id.wrapping_add(1);
        let block = Arc::new(Block::new(blocks.last_id));
        blocks.list.push(Arc::clone(&block));
        block
    }

    /// Has every lane leave its span before its next record, and so come to the gate. Nobody waits for that.
    pub fn ask_lanes(&self) {
        let blocks = self.lanes.blocks.lock();
        // [lanes.gate] Heavy, pairs with [lane.gate]: of a lane that opens a span we see it, or it sees the gate.
        self.lanes.fences.heavy_at("lanes.gate");
        let tail = self.tail();
        for block in &blocks.list {
            if let Some((seq, _)) = block.open() {
                block.ask(extend(tail.seq, seq));
            }
        }
        // [lanes.asked] Heavy, pairs with [lane.begin], under the lock: see `Block::ask`.
        self.lanes.fences.heavy_at("lanes.asked");
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

    /// What the lanes have counted, and what they are doing.
    pub(super) fn lane_counts(&self) -> LaneCounts {
        let mut blocks = self.lanes.blocks.lock();
        self.retire_lanes(&mut blocks);
        let counts = blocks.list.iter().map(|block| LaneCount {
            id: block.id,
            is_dropped: block.is_dropped(),
            records: block.records(),
            busy: block.open().filter(|_| block.is_busy()).map(|(seq, _)| seq),
            is_taken: false,
        });
        LaneCounts {
            retired_records: blocks.retired_records,
            lanes: counts.collect(),
        }
    }
}
