//! The owner's side of a lane: one producer appends many records to a span that it has claimed once.
//!
//! ```text
//! owner:  busy = 1 ; FENCE ; seal >= my span? then leave it ; copy ; commit (Release) ; busy = 0 (Release)
//! drain:  seal = span ; FENCE ; busy = 0? then what is committed is final
//! ```
//!
//! docs/ring.md explains the hand-shake; the drain's half is in `seal.rs`.
//!
//! # Safety
//!
//! A claim hands `[start, start + len)` to one owner until its span is sealed, by itself or by the drain. The drain
//! does that only when `busy` is 0, and what the owner has not committed by then it never touches again. The bytes
//! that it has committed are the drain's.
#![allow(unsafe_code)]

use core::ptr;
use core::slice;

use crossbeam_utils::CachePadded;

use super::reserve::Claim;
use super::{Posted, Refusal, Reservation, Ring};
use crate::memory::Memory;
use crate::primitives::fence::Fences;
use crate::primitives::sync::{
    Arc, AtomicBool, AtomicU64, Mutex, Ordering, is_mutant, unless_mutant,
};
use crate::words::{Phase, Place, State, Width, extend, next_seq};

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

/// The producer of a lane. One thread at a time, and it need not be the same.
#[derive(Debug)]
pub struct Owner {
    block: Arc<Block>,
    fences: Fences,
    span: Span,
    /// A claim of its own, for one record that fits no span.
    single: Option<Claim>,
    /// Records posted in spans of this lane.
    records: u64,
    /// How long the next span is to be.
    next_len: u32,
    max_len: u32,
    /// The position behind the last record.
    position: u64,
    /// The ring that it was made for.
    ring: usize,
}

/// The span that is open. Without one, `len` and `committed` are equal.
#[derive(Clone, Copy, Debug)]
struct Span {
    seq: u64,
    start: u64,
    len: u32,
    committed: u32,
    /// The state word of the open span, without what is committed.
    state: u64,
}

impl Span {
    const NONE: Self = Self {
        seq: 0,
        start: 0,
        len: 0,
        committed: 0,
        state: 0,
    };

    #[inline]
    const fn room(self) -> u32 {
        self.len - self.committed
    }

    /// Where the next record goes.
    #[inline]
    const fn pos(self) -> u32 {
        (self.start as u32).wrapping_add(self.committed)
    }
}

/// Records in the spans of lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneCounts {
    /// Lanes that are there.
    pub lanes: u64,
    pub posted: u64,
    /// Those of lanes of which everything is written.
    pub written: u64,
}

/// A span that its owner has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its sequence.
    pub seq: u32,
    /// Whether room is free again.
    pub gave_back: bool,
}

/// The first span of a lane, unless the bound is lower.
const FIRST_LEN: u32 = 1 << 10;

/// The shortest span that is claimed for more than one record.
const MIN_LEN: u32 = 1 << 8;

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
    fn open(&self, len: u32, max: u64) -> bool {
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
    fn new() -> Self {
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

    /// The owner's side. Gives the length of the span that was open until now, and that the drain has not sealed.
    fn set_open(&self, seq: u64, len: u32) -> u32 {
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

    /// Asks for `seq` and all spans before. `false` if that was asked before.
    pub(super) fn ask(&self, seq: u64) -> bool {
        // Relaxed: the fence of the drain comes before it looks at `busy`. An RMW: the word only grows, whoever asks.
        self.control.seal.fetch_max(seq, Ordering::Relaxed) < seq
    }

    /// The newest span of this lane.
    pub(super) fn last(&self) -> u64 {
        // Relaxed: ordered by `records`, which is read before.
        self.control.last.load(Ordering::Relaxed)
    }

    /// Whether the owner is gone.
    pub(super) fn is_dropped(&self) -> bool {
        // Acquire, pairs with the Release in `drop_lane`: its last span is seen.
        self.control.dropped.load(Ordering::Acquire)
    }
}

impl<M: Memory> Ring<M> {
    /// The lanes.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// A new lane whose spans have at most `span_max` bytes, and no more than a quarter of the ring.
    pub fn enter_lane(&self, span_max: u32) -> Owner {
        let owner = self.lane_of_nobody(span_max);
        let mut blocks = self.lanes.blocks.lock();
        self.retire_lanes(&mut blocks);
        blocks.list.push(Arc::clone(&owner.block));
        owner
    }

    /// One that the drain does not know of: nothing may be claimed in it. It takes no lock, so a child of fork(2) may
    /// make it.
    pub fn lane_of_nobody(&self, span_max: u32) -> Owner {
        let block = Arc::new(Block::new());
        let max_len = span_max.min(self.geometry.capacity() / 4);
        Owner {
            block,
            fences: self.lanes.fences,
            span: Span::NONE,
            single: None,
            records: 0,
            next_len: FIRST_LEN.min(max_len),
            max_len,
            position: 0,
            ring: self.identity(),
        }
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

    /// How many bytes the span of a lane at `seq` has taken, if it is the newest; otherwise 0.
    pub(super) fn len_if_newest(&self, seq: u64) -> u32 {
        let head = self.head();
        if next_seq(seq, Phase::Open) as u32 != head.seq {
            return 0;
        }
        // Relaxed: the drain has seen the span with Acquire.
        let place = Place::from_bits(self.slot(seq as u32).place.load(Ordering::Relaxed));
        head.pos.wrapping_sub(place.start)
    }

    /// Forgets lanes that are gone and whose records are all written.
    pub(super) fn retire_lanes(&self, blocks: &mut Blocks) {
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

impl Owner {
    /// Begins a record of `len` bytes in the open span. `false` if there is none, or no room in it, or if it is to be
    /// sealed, and for no bytes: [`leave`](Owner::leave) it then, and go on in a [new one](Owner::open).
    #[inline]
    pub fn begins(&mut self, len: usize) -> bool {
        len.wrapping_sub(1) < self.span.room() as usize && self.begin()
    }

    /// Is at work from here on, until the next commit; `false` if the span is to be sealed.
    #[inline]
    fn begin(&mut self) -> bool {
        self.set_busy();
        // Pairs with the heavy fence of the drain in `seal.rs`: either it sees that we are busy, or we see its wish.
        if !is_mutant("lane_owner_fence") {
            self.fences.light();
        }
        // Relaxed: ordered by the fence; the word carries nothing but itself.
        self.block.control.seal.load(Ordering::Relaxed) < self.span.seq
    }

    /// The position behind the last record of this lane.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// A record of this lane that was posted another way ends at `position`.
    pub fn set_position(&mut self, position: u64) {
        self.position = position;
    }

    /// The `len` bytes of the record that was begun: what an earlier lap left there, until they are filled.
    #[inline]
    pub fn bytes<M: Memory>(&self, ring: &Ring<M>, len: u32) -> &[u8] {
        let first = self.at(ring, len);
        // SAFETY: `at` gives `len` valid bytes, all initialised (zeroed at first), that are this lane's alone until
        // they are committed; `&self` lets nobody write while the slice lives.
        unsafe { slice::from_raw_parts(first, len as usize) }
    }

    /// The same, to be filled in place.
    #[inline]
    pub fn bytes_mut<M: Memory>(&mut self, ring: &Ring<M>, len: u32) -> &mut [u8] {
        let first = self.at(ring, len);
        // SAFETY: as in `bytes`, and `&mut self` makes this the only slice.
        unsafe { slice::from_raw_parts_mut(first, len as usize) }
    }

    /// Copies a whole record to where the span goes on, and posts it. It has been begun.
    #[inline]
    pub fn append<M: Memory>(&mut self, ring: &Ring<M>, record: &[u8]) -> Posted {
        let len = record.len() as u32;
        debug_assert!(self.single.is_none());
        let first = self.checked(ring, len, self.span.pos(), self.span.room());
        // SAFETY: both are valid for that many bytes; the target is this lane's alone, and no safe code has a slice
        // into the ring that could be the source, but through another reservation.
        unsafe { ptr::copy_nonoverlapping(record.as_ptr(), first, record.len()) };
        self.commit(ring, len)
    }

    /// Where the `len` bytes are of the record that was begun.
    #[inline]
    fn at<M: Memory>(&self, ring: &Ring<M>, len: u32) -> *mut u8 {
        match self.single {
            None => self.checked(ring, len, self.span.pos(), self.span.room()),
            Some(single) => self.checked(ring, len, single.start as u32, single.len),
        }
    }

    /// The pointer to `pos`, where the lane may write `room` bytes.
    ///
    /// # Panics
    ///
    /// If `ring` is another one, or if `len` is more than that.
    #[inline]
    fn checked<M: Memory>(&self, ring: &Ring<M>, len: u32, pos: u32, room: u32) -> *mut u8 {
        assert!(
            self.ring == ring.identity() && len <= room,
            "a lane writes to what it has claimed"
        );
        ring.memory.at(pos)
    }

    /// Posts the first `used` bytes of the record that was begun; 0 posts nothing.
    #[inline]
    pub fn post<M: Memory>(&mut self, ring: &Ring<M>, used: u32) -> Posted {
        if self.single.is_some() {
            self.post_single(ring, used)
        } else {
            self.commit(ring, used)
        }
    }

    #[cold]
    fn post_single<M: Memory>(&mut self, ring: &Ring<M>, used: u32) -> Posted {
        let single = self.single.take().expect("the caller has looked");
        let posted = ring.reservation(single).post(used);
        if used > 0 {
            self.position = posted.end;
        }
        posted
    }

    #[inline]
    fn commit<M: Memory>(&mut self, ring: &Ring<M>, used: u32) -> Posted {
        debug_assert!(used <= self.span.room());
        let span = &mut self.span;
        let start = span.start + u64::from(span.committed);
        let end = start + u64::from(used);
        let seq = span.seq as u32;
        if used > 0 {
            ring.memory.end_write(start as u32, used);
            span.committed += used;
            // Release, pairs with the Acquire load of the state in the drain: the bytes are seen.
            ring.slot(seq).state.store(
                span.state | u64::from(span.committed),
                unless_mutant("lane_commit", Ordering::Release),
            );
            self.records += 1;
            self.position = end;
        }
        self.set_idle();
        Posted {
            seq,
            start,
            end,
            gave_back: false,
        }
    }

    /// Takes over a reservation for one record, which is begun. The span has been left.
    pub fn adopt<M: Memory>(&mut self, reservation: Reservation<'_, M>) {
        debug_assert!(self.span.len == 0 && self.single.is_none());
        self.single = Some(reservation.into_claim());
    }

    #[inline]
    fn set_busy(&self) {
        // Relaxed: the fence that follows orders it. Also before `set_open`, whose Release carries it.
        self.block
            .owner
            .store(self.records << 1 | BUSY, Ordering::Relaxed);
    }

    #[inline]
    fn set_idle(&self) {
        // Release, pairs with the Acquire in `is_busy`: who sees it sees the commit before.
        self.block.owner.store(
            self.records << 1,
            unless_mutant("lane_idle_release", Ordering::Release),
        );
    }

    /// Leaves the span, also with a record that was begun and is given up: it is sealed, by this call or by the drain
    /// that has asked for it. Whoever waits for that span is to be told.
    pub fn leave<M: Memory>(&mut self, ring: &Ring<M>) -> Option<Left> {
        if self.single.is_some() {
            let Posted { seq, gave_back, .. } = self.post_single(ring, 0);
            return Some(Left { seq, gave_back });
        }
        if self.span.len == 0 {
            self.set_idle(); // it may have been told to begin
            return None;
        }
        let is_ours = self.begin() || is_mutant("lane_late_store");
        let span = core::mem::replace(&mut self.span, Span::NONE);
        // Twice what was used: a full one is followed by a longer one, one that was sealed early by a shorter one.
        let next_len = span.committed.saturating_mul(2);
        self.next_len = next_len.clamp(MIN_LEN.min(self.max_len), self.max_len);
        let gave_back = is_ours && seal(ring, span.seq, span.len);
        ring.lanes.shut(self.block.set_open(span.seq, 0));
        self.set_idle();
        Some(Left {
            seq: span.seq as u32,
            gave_back,
        })
    }

    /// Opens a span for a record of `len` bytes, which is begun. The one before has been left.
    ///
    /// # Errors
    ///
    /// [`Refusal::Full`] also if the record is longer than a span may be, or if open spans hold a quarter of the
    /// ring: it may have a claim of its own then.
    pub fn open<M: Memory>(&mut self, ring: &Ring<M>, len: u32) -> Result<(), Refusal> {
        debug_assert!(self.span.len == 0);
        let span_len = self.next_len.max(len);
        let max = u64::from(ring.geometry.capacity() / 4);
        if len > self.max_len || !ring.lanes.open(span_len, max) {
            return Err(Refusal::Full);
        }
        let claim = ring.claim(span_len, Width::Line, 0).inspect_err(|_| {
            ring.lanes.shut(span_len);
        })?;
        let state = State::open(ring.geometry.tag(claim.seq as u32), 0).to_bits();
        self.span = Span {
            seq: claim.seq,
            start: claim.start,
            len: claim.len,
            committed: 0,
            state,
        };
        // In this order: whoever sees the span sees that its owner is busy in it, and has something to wait for.
        self.set_busy();
        // Relaxed: carried by the Release in `set_open`, and by that of every commit.
        self.block.control.last.store(claim.seq, Ordering::Relaxed);
        if !is_mutant("lane_open_late") {
            self.block.set_open(claim.seq, claim.len);
        }
        // Release, pairs with the Acquire load of the state in the drain: the place is seen, and `open`.
        ring.slot(claim.seq as u32)
            .state
            .store(state, Ordering::Release);
        if is_mutant("lane_open_late") {
            self.block.set_open(claim.seq, claim.len);
        }
        Ok(())
    }

    /// The owner goes away. Its span has been left.
    pub fn drop_lane(&mut self) {
        // Release, pairs with the Acquire in `is_dropped`.
        self.block.control.dropped.store(true, Ordering::Release);
    }
}

/// Makes what is committed of a lane's span of `len` bytes final, unless it is, and gives the rest back if it is the
/// newest. For its owner while it is busy and was not asked for the span, or for the drain once it is the drain's.
pub(super) fn seal<M: Memory>(ring: &Ring<M>, seq: u64, len: u32) -> bool {
    let tag = ring.geometry.tag(seq as u32);
    let slot = ring.slot(seq as u32);
    // Relaxed on both: the owner's own stores, or ordered by the Acquire with which the drain has found them final.
    let state = State::of_lap(slot.state.load(Ordering::Relaxed), tag);
    let place = Place::from_bits(slot.place.load(Ordering::Relaxed));
    let Some(state) = state.filter(|state| state.phase == Phase::Open) else {
        return false;
    };
    let next = next_seq(seq, Phase::Open) as u32;
    let gave_back =
        state.committed < len && ring.give_back(next, place.start, len, state.committed);
    // Release, pairs with the Acquire load of the state in the drain and in `survey.rs`.
    slot.state
        .store(state.sealed().to_bits(), Ordering::Release);
    gave_back
}
