//! All lanes of a ring: their list, the room that their spans hold, and their counts.
//!
//! This file owns the list and its lock. It knows neither the head nor the bytes of the ring. If it
//! must know how far the drain has come, the caller passes the drain's tail.

use super::block::Block;
use super::progress::Progress;
use crate::primitives::fence::Fences;
use crate::primitives::sync::{
    Arc, AtomicBool, AtomicU64, Mutex, Ordering, is_mutant, unless_mutant,
};
use crate::words::{State, extend};

/// All lanes of a ring.
#[derive(Debug)]
pub struct Lanes {
    pub(super) fences: Fences,
    /// Every lane that is not dropped, or whose last span the drain has not yet passed.
    pub(super) blocks: Mutex<Blocks>,
    /// Bytes of all open spans: `len` of each, from claim to seal.
    open_bytes: AtomicU64,
    /// A producer needs the room that open spans hold.
    wanted: AtomicBool,
}

/// The list of lanes, and the records of lanes that are gone.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    pub list: Vec<Arc<Block>>,
    pub retired_records: u64,
    last_id: u32,
}

/// The counts of all lanes, read one lane after the other.
#[derive(Debug)]
pub(super) struct LaneCounts {
    /// Records of lanes that are gone and whose records are all written.
    pub retired_records: u64,
    pub lanes: Vec<LaneCount>,
}

/// The counts of one lane.
#[derive(Debug)]
pub(super) struct LaneCount {
    pub id: u32,
    pub is_dropped: bool,
    /// Records posted in its spans.
    pub records: u64,
    /// The span in which its owner is at work.
    pub busy: Option<u32>,
    /// Whether `take_records` has counted its unwritten records.
    pub is_taken: bool,
}

impl LaneCounts {
    /// Returns how many lanes exist.
    pub fn present(&self) -> u64 {
        self.lanes.iter().filter(|lane| !lane.is_dropped).count() as u64
    }

    /// Returns how many records were ever posted in spans of lanes.
    pub fn posted(&self) -> u64 {
        let records = self.lanes.iter().map(|lane| lane.records);
        self.retired_records + records.sum::<u64>()
    }

    /// Returns whether an owner is at work in span `seq`.
    pub fn is_busy(&self, seq: u32) -> bool {
        self.lanes.iter().any(|lane| lane.busy == Some(seq))
    }

    /// Returns how many records the lane that `note` names has posted since `before` (modulo 2^32).
    /// Returns 0 on a second call for the same lane, or if the span was opened after the records
    /// were counted.
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

    /// Returns whether any lane holds room that it has not used, as far as this thread knows.
    pub fn hold_room(&self) -> bool {
        // Relaxed: a hint. An append that misses a span opened just now is refused as for a full
        // ring.
        self.open_bytes.load(Ordering::Relaxed) != 0
    }

    /// Asks the drain to seal all spans once it has caught up with them. Async-signal-safe. The
    /// caller must ring the flusher.
    pub fn want_room(&self) {
        // [room.want] Release, pairs with [room.wanted]: the head that the caller has found is not
        // newer than the head that the drain reads next.
        self.wanted
            .store(true, unless_mutant("room.want", Ordering::Release));
    }

    /// For the drain: returns whether room was wanted since the last call.
    pub(super) fn take_wanted(&self) -> bool {
        // [room.wanted] Acquire on the swap, pairs with [room.want]. Relaxed: the load only saves
        // the swap.
        self.wanted.load(Ordering::Relaxed)
            && self
                .wanted
                .swap(false, unless_mutant("room.wanted", Ordering::Acquire))
    }

    /// Counts `len` bytes as open, if all open bytes together stay within `max`. Returns whether
    /// they do.
    pub(super) fn open(&self, len: u32, max: u64) -> bool {
        // Relaxed on both: the number orders nothing.
        let before = self.open_bytes.fetch_add(u64::from(len), Ordering::Relaxed);
        let fits = before + u64::from(len) <= max;
        if !fits {
            self.open_bytes.fetch_sub(u64::from(len), Ordering::Relaxed);
        }
        fits
    }

    /// Counts `len` bytes as no longer open.
    pub(super) fn shut(&self, len: u32) {
        // Relaxed: as in `open`.
        self.open_bytes.fetch_sub(u64::from(len), Ordering::Relaxed);
    }
}

/// The list of lanes.
impl Lanes {
    /// Adds a lane and returns its block.
    pub(super) fn enter(&self, drained: &Progress) -> Arc<Block> {
        let mut blocks = self.blocks.lock();
        blocks.retire(drained);
        blocks.last_id = blocks.last_id.wrapping_add(1);
        let block = Arc::new(Block::new(blocks.last_id));
        blocks.list.push(Arc::clone(&block));
        block
    }

    /// Asks every lane to leave its span before its next record, so that it comes to the gate. Does
    /// not wait for that.
    pub(super) fn ask_all(&self, drained: &Progress) {
        let blocks = self.blocks.lock();
        // [lanes.gate] Heavy, pairs with [lane.gate]: if a lane opens a span now, either we see the
        // span, or the lane sees the gate.
        self.fences.heavy_at("lanes.gate");
        let tail = drained.load();
        for block in &blocks.list {
            if let Some((seq, _)) = block.open() {
                block.ask(extend(tail.seq, seq));
            }
        }
        // [lanes.asked] Heavy, pairs with [lane.begin], under the lock: see `Block::ask`.
        self.fences.heavy_at("lanes.asked");
    }

    /// Returns what the lanes have counted, and what they are doing.
    pub(super) fn counts(&self, drained: &Progress) -> LaneCounts {
        let mut blocks = self.blocks.lock();
        blocks.retire(drained);
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

impl Blocks {
    /// Removes lanes that are gone and whose records are all written.
    fn retire(&mut self, drained: &Progress) {
        let mut retired = 0;
        self.list.retain(|block| {
            let is_early = is_mutant("block.drop:early");
            let is_over = block.is_dropped() && (is_early || block.last() < drained.load().seq);
            if is_over {
                retired += block.records();
            }
            !is_over
        });
        self.retired_records += retired;
    }
}
