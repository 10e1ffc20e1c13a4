//! Seals: makes the open span of a lane final. The drain does so for spans that hold up later ones,
//! an owner for the span that it leaves.
//!
//! This file owns the drain's requests to lanes. The head of `lane.rs` shows the handshake.

use super::block::Block;
use super::core::Ring;
use crate::memory::Memory;
use crate::primitives::sync::{Arc, Ordering, unless_mutant};
use crate::words::{Head, Phase, Place, State, next_seq};

/// Which open spans are to be sealed, besides the one that the drain stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The open spans that a later span follows.
    Followed,
    /// All open spans.
    All,
}

/// The drain's request to a lane.
#[derive(Debug, Default)]
pub(super) struct Seals {
    /// The span at the drain's cursor, while its owner is at work.
    out: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    seq: u64,
    len: u32,
    block: Arc<Block>,
}

impl Asked {
    /// Returns whether nothing more will be committed to the span: its owner has continued in
    /// another span, or is not at work. Valid only after the fence: before it, an owner that seems
    /// idle may be about to commit.
    fn is_final(&self) -> bool {
        self.block.open() != Some((self.seq as u32, self.len)) || !self.block.is_busy()
    }
}

impl Seals {
    /// Asks for the open span `seq`, which the drain has caught up with, and with the same fence
    /// for all `wanted` spans. Makes `seq` final if its owner is not at work. Never waits for the
    /// owner.
    pub fn seal<M: Memory>(&mut self, ring: &Ring<M>, seq: u64, head: Head, wanted: Wanted) {
        self.out = ask(ring, seq, head, wanted);
        let Some(asked) = &self.out else {
            // The span was asked for before. Its owner has continued in another span, so it is not
            // the newest.
            make_final(ring, seq, 0);
            return;
        };
        if asked.is_final() {
            if asked.block.shut(seq as u32, asked.len) {
                ring.lanes().shut(asked.len);
            }
            make_final(ring, seq, asked.len);
            self.out = None;
        }
    }

    /// Returns whether the span `seq` was asked for and its owner is still at work in it.
    pub fn is_out(&self, seq: u64) -> bool {
        self.out.as_ref().is_some_and(|asked| asked.seq == seq)
    }

    /// Returns whether the span `seq`, which was asked for, can be made final now.
    pub fn is_due(&self, seq: u64) -> bool {
        let asked = self.out.as_ref().filter(|asked| asked.seq == seq);
        asked.is_some_and(Asked::is_final)
    }
}

/// Asks the lanes for the wanted spans. Returns the lane that has span `from` open.
fn ask<M: Memory>(ring: &Ring<M>, from: u64, head: Head, wanted: Wanted) -> Option<Asked> {
    let distance = head.seq.wrapping_sub(from as u32);
    let mut in_hand = None;
    let mut is_new = false;
    let blocks = ring.lanes().blocks.lock();
    for block in &blocks.list {
        let Some((seq, len)) = block.open() else {
            continue;
        };
        let ahead = seq.wrapping_sub(from as u32);
        let is_newest = next_seq(u64::from(seq), Phase::Open) as u32 == head.seq;
        if ahead == 0 {
            in_hand = Some(Asked {
                seq: from,
                len,
                block: Arc::clone(block),
            });
        }
        if ahead == 0 || (ahead < distance && (wanted == Wanted::All || !is_newest)) {
            is_new |= block.ask(from + u64::from(ahead));
        }
    }
    // [seal.ask] Heavy, pairs with [lane.begin]: an owner that begins a record after this fence
    // sees the request; of every other owner we see that it is busy, or what it has committed. If a
    // span was asked for before, the earlier requester has already issued the fence.
    if is_new {
        ring.lanes().fences.heavy_at("seal.ask");
    }
    in_hand
}

/// Makes the committed bytes of a lane's span of `len` bytes final, unless the span is final
/// already. Gives the rest back if the span is the newest, and returns whether it did. Only the
/// span's owner may call it, while it is busy and was not asked for the span; or the drain, once
/// the span is the drain's.
pub(super) fn make_final<M: Memory>(ring: &Ring<M>, seq: u64, len: u32) -> bool {
    let tag = ring.geometry.tag(seq as u32);
    let slot = ring.slot(seq as u32);
    // Relaxed on both: they are the owner's own stores, or the Acquire with which the drain found
    // them final orders them.
    let state = State::of_lap(slot.state.load(Ordering::Relaxed), tag);
    let place = Place::from_bits(slot.place.load(Ordering::Relaxed));
    let Some(state) = state.filter(|state| state.phase == Phase::Open) else {
        return false;
    };
    let next = next_seq(seq, Phase::Open) as u32;
    let gave_back = state.committed < len
        && ring
            .claims
            .give_back(next, place.start, len, state.committed);
    // [lane.seal] Release, pairs with [drain.state] and [survey.look]: a thread that sees this word
    // and not the commits before it still sees the bytes.
    slot.state.store(
        state.sealed().to_bits(),
        unless_mutant("lane.seal", Ordering::Release),
    );
    gave_back
}
