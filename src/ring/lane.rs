//! The owner's half of a lane: one producer appends many records to a span that it has claimed
//! once.
//!
//! ```text
//! owner:  busy = 1 ; FENCE ; seal >= my span? then leave it ; copy
//!         commit (Release) ; busy = 0 (Release)
//! drain:  seal = span ; FENCE ; busy = 0? then what is committed is final
//! ```
//!
//! This file owns the lane's open span and writes its slots. docs/ring.md explains the handshake;
//! the drain's half is in `seal.rs`.
//!
//! # Safety
//!
//! A claim gives `[start, start + len)` to one owner until the owner or the drain seals the span.
//! The drain seals it only if `busy` is 0. From then on the owner never touches the bytes that it
//! has not committed. The committed bytes belong to the drain.
#![allow(unsafe_code)]

mod quiet;
mod shift;

use core::ptr;
use core::slice;

use super::block::Block;
use super::claims::Refusal;
use super::core::Ring;
use super::reservation::Reservation;
use super::reserve::{Claim, Posted};
use super::seal::make_final;
use crate::memory::Memory;
use crate::primitives::fence::Fences;
use crate::primitives::sync::{Arc, Ordering, is_mutant, unless_mutant};
use crate::words::{Phase, Place, State, Width, next_seq};

/// The producer of a lane. One thread at a time uses it, not always the same thread.
#[derive(Debug)]
pub struct Owner {
    block: Arc<Block>,
    fences: Fences,
    span: Span,
    /// A separate claim, for one record that fits in no span.
    single: Option<Claim>,
    /// Records posted in spans of this lane.
    records: u64,
    /// The length of the next span, in bytes.
    next_len: u32,
    max_len: u32,
    /// The position after the last record.
    position: u64,
    /// How far the record that was begun is shifted from both ends of its bytes; see `shift`.
    shifted: (u32, u32),
    /// The identity of the ring of this lane.
    ring: usize,
}

/// The open span. If no span is open, `len` and `committed` are equal.
#[derive(Clone, Copy, Debug)]
struct Span {
    seq: u64,
    start: u64,
    len: u32,
    committed: u32,
    /// The state word of the open span, with a committed length of 0.
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

    /// Returns where the next record starts.
    #[inline]
    const fn pos(self) -> u32 {
        (self.start as u32).wrapping_add(self.committed)
    }
}

/// A span that its owner has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The sequence of the span.
    pub seq: u32,
    /// Whether the seal gave room back to the ring.
    pub gave_back: bool,
}

/// The length of a lane's first span in bytes, unless the limit is lower.
const FIRST_LEN: u32 = 1 << 10;

/// The shortest span that is claimed for more than one record, in bytes.
const MIN_LEN: u32 = 1 << 8;

impl<M: Memory> Ring<M> {
    /// Creates a lane. Its spans have at most `span_max` bytes, and at most a quarter of the ring.
    pub fn enter_lane(&self, span_max: u32) -> Owner {
        self.owner_of(self.lanes.enter(&self.drained.tail), span_max)
    }

    /// Creates a lane that the drain does not know, so nothing may be claimed in it. Takes no lock,
    /// so a child of fork(2) may call it.
    pub fn unlisted_lane(&self, span_max: u32) -> Owner {
        self.owner_of(Arc::new(Block::new(0)), span_max)
    }

    fn owner_of(&self, block: Arc<Block>, span_max: u32) -> Owner {
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
            shifted: (0, 0),
            ring: self.identity(),
        }
    }
}

impl Owner {
    /// Begins a record of `len` bytes in the open span. Returns `false` if `len` is 0, if no span
    /// is open, if the span has no room, or if the span is to be sealed. The caller must then
    /// [`leave`](Owner::leave) the span and continue in a [new one](Owner::open).
    #[inline]
    pub fn begins(&mut self, len: usize) -> bool {
        len.wrapping_sub(1) < self.span.room() as usize && self.begin()
    }

    /// Declares the owner at work until the next commit. Returns `false` if the span is to be
    /// sealed.
    #[inline]
    fn begin(&mut self) -> bool {
        self.block.set_busy(self.records);
        // [lane.begin] Light, pairs with [seal.ask]: either the drain sees that we are busy, or we
        // see its request.
        self.fences.light_at("lane.begin");
        !self.block.is_asked(self.span.seq)
    }

    /// Returns the position after the last record of this lane.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Records that a record of this lane, which was posted outside its spans, ends at `position`.
    pub fn set_position(&mut self, position: u64) {
        self.position = position;
    }

    /// Returns the `len` bytes of the record that was begun. Until they are filled they hold bytes
    /// of an earlier lap.
    #[inline]
    pub fn bytes<M: Memory>(&self, ring: &Ring<M>, len: u32) -> &[u8] {
        let first = self.at(ring, len);
        // SAFETY: `at` gives `len` valid bytes, all initialised (zeroed at first). They belong to
        // this lane alone until they are committed; `&self` lets no code write while the slice
        // lives.
        unsafe { slice::from_raw_parts(first, len as usize) }
    }

    /// Returns the [`bytes`](Owner::bytes), to be filled in place.
    #[inline]
    pub fn bytes_mut<M: Memory>(&mut self, ring: &Ring<M>, len: u32) -> &mut [u8] {
        let first = self.at(ring, len);
        // SAFETY: as in `bytes`, and `&mut self` makes this the only slice.
        unsafe { slice::from_raw_parts_mut(first, len as usize) }
    }

    /// Copies a whole record to the end of the span and posts it. The record must have been begun.
    #[inline]
    pub fn append<M: Memory>(&mut self, ring: &Ring<M>, record: &[u8], activate: bool) -> Posted {
        let len = record.len() as u32;
        debug_assert!(self.single.is_none());
        let first = self.checked(ring, len, self.span.pos(), self.span.room());
        // SAFETY: both are valid for that many bytes. The target belongs to this lane alone. Safe
        // code can have a slice into the ring as the source only through another reservation, which
        // does not overlap this one.
        unsafe { ptr::copy_nonoverlapping(record.as_ptr(), first, record.len()) };
        self.commit(ring, len, activate)
    }

    /// Returns the pointer to the `len` bytes of the record that was begun.
    #[inline]
    fn at<M: Memory>(&self, ring: &Ring<M>, len: u32) -> *mut u8 {
        match &self.single {
            None => self.checked(ring, len, self.span.pos(), self.span.room()),
            Some(single) => self.checked(ring, len, single.start as u32, single.len),
        }
    }

    /// Returns the pointer to `pos`, where the lane may write `room` bytes.
    ///
    /// # Panics
    ///
    /// If `ring` is another ring, or if `len` is more than `room`.
    #[inline]
    fn checked<M: Memory>(&self, ring: &Ring<M>, len: u32, pos: u32, room: u32) -> *mut u8 {
        assert!(
            self.ring == ring.identity() && len <= room,
            "a lane writes to what it has claimed"
        );
        ring.memory.begin_write(pos, len);
        ring.memory.at(pos)
    }

    /// Posts the first `used` bytes of the record that was begun, quietly unless `activate` is set;
    /// 0 posts nothing.
    #[inline]
    pub fn post<M: Memory>(&mut self, ring: &Ring<M>, used: u32, activate: bool) -> Posted {
        if self.single.is_some() {
            self.post_single(ring, used, activate)
        } else {
            self.commit(ring, used, activate)
        }
    }

    #[cold]
    fn post_single<M: Memory>(&mut self, ring: &Ring<M>, used: u32, activate: bool) -> Posted {
        let single = self.single.take().expect("the caller has looked");
        let posted = ring.post(single, used, activate);
        if used > 0 {
            self.position = posted.end;
        }
        posted
    }

    #[inline]
    fn commit<M: Memory>(&mut self, ring: &Ring<M>, used: u32, activate: bool) -> Posted {
        debug_assert!(used <= self.span.room() && self.shifted == (0, 0));
        let span = &mut self.span;
        let start = span.start + u64::from(span.committed);
        let end = start + u64::from(used);
        let seq = span.seq as u32;
        if used > 0 {
            ring.memory.end_write(start as u32, used);
            span.committed += used;
            let mut state = span.state | u64::from(span.committed);
            if !activate {
                state |= self.quiet(ring, used);
            }
            // [lane.commit] Release, pairs with [drain.state]: the bytes are seen.
            ring.slot(seq)
                .state
                .store(state, unless_mutant("lane.commit", Ordering::Release));
            self.records += 1;
            self.position = end;
        }
        self.block.set_idle(self.records);
        Posted {
            seq,
            start,
            end,
            claimed_end: end,
            gave_back: false,
            activates: activate,
        }
    }

    /// Takes over a reservation for one record, which counts as begun. The caller has left the
    /// span.
    pub fn adopt<M: Memory>(&mut self, reservation: Reservation<'_, M>) {
        debug_assert!(self.span.len == 0 && self.single.is_none());
        self.single = Some(reservation.into_claim());
    }

    /// Leaves the span, also if a record was begun and is given up. This call seals the span; if
    /// the drain has asked for the span, the drain seals it instead. The caller must wake a flusher
    /// that waits for that span.
    pub fn leave<M: Memory>(&mut self, ring: &Ring<M>) -> Option<Left> {
        self.unshift();
        if self.single.is_some() {
            let Posted { seq, gave_back, .. } = self.post_single(ring, 0, true);
            return Some(Left { seq, gave_back });
        }
        if self.span.len == 0 {
            return None;
        }
        // [lane.leave] An owner that was asked must not touch the slot: the slot may serve another
        // span by now.
        let is_ours = self.begin() || is_mutant("lane.leave");
        let span = core::mem::replace(&mut self.span, Span::NONE);
        // Twice the used length: a longer span follows a full one, and a shorter span follows one
        // that was sealed early.
        let next_len = span.committed.saturating_mul(2);
        self.next_len = next_len.clamp(MIN_LEN.min(self.max_len), self.max_len);
        let mut gave_back = false;
        if is_ours {
            gave_back = make_final(ring, span.seq, span.len);
            ring.lanes.shut(self.block.set_open(span.seq, 0));
        } // otherwise the span is the drain's, as soon as we are idle
        self.block.set_idle(self.records);
        Some(Left {
            seq: span.seq as u32,
            gave_back,
        })
    }

    /// Opens a span and begins a record of `len` bytes in it. The caller has left the previous
    /// span. Takes no lock.
    ///
    /// # Errors
    ///
    /// The ring's refusal. It is [`Refusal::Full`] also if the record is longer than a span may be,
    /// or if open spans hold a quarter of the ring: the record may then have a separate claim. If
    /// the gate has closed meanwhile, the span is open: the caller must [`leave`](Owner::leave) it.
    pub fn open<M: Memory>(&mut self, ring: &Ring<M>, len: u32) -> Result<(), Refusal> {
        debug_assert!(self.span.len == 0);
        let span_len = self.next_len.max(len);
        // The previous span does not count, even if the drain has yet to shut it.
        let left_len = self.block.open().map_or(0, |(_, len)| len);
        let max = u64::from(ring.geometry.capacity() / 4) + u64::from(left_len);
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
        self.mark(ring);
        // In this order, so that a thread that sees the span also sees its owner busy in it, and
        // has something to wait for.
        self.block.set_busy(self.records);
        self.block.set_last(claim.seq);
        if !is_mutant("lane.opened:early") {
            ring.lanes.shut(self.block.set_open(claim.seq, claim.len));
        }
        // [lane.opened] Release, pairs with [drain.state]: the place is seen, and `open`.
        let order = unless_mutant("lane.opened", Ordering::Release);
        ring.slot(claim.seq as u32).state.store(state, order);
        if is_mutant("lane.opened:early") {
            ring.lanes.shut(self.block.set_open(claim.seq, claim.len));
        }
        // [lane.gate] Light, pairs with [lanes.gate]: either that finds this span, or we find the
        // gate shut.
        self.fences.light_at("lane.gate");
        ring.refusal().map_or(Ok(()), Err)
    }

    /// Writes the other slots of the span's line. The second slot gets the note: which lane the
    /// span belongs to, and how many records the lane posted before. The content of these slots
    /// never looks like a span, in this lap or in another lap with the same tag.
    fn mark<M: Memory>(&self, ring: &Ring<M>) {
        let seq = self.span.seq;
        // Relaxed on all: the slots belong to this lane, and the Release of the state carries them.
        for unused in seq + 1..next_seq(seq, Phase::Open) {
            let slot = ring.slot(unused as u32);
            let (before, state) = if unused == seq + 1 {
                (self.records as u32, State::note(self.block.id, 0))
            } else {
                (0, 0)
            };
            let place = Place::of_none(unused as u32, before);
            slot.place.store(place, Ordering::Relaxed);
            slot.state.store(state, Ordering::Relaxed);
        }
    }

    /// Declares the owner gone. It has left its span.
    pub fn drop_lane(&mut self) {
        self.block.set_dropped();
    }
}
