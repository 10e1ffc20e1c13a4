//! The drain's half of the hand-shake with lanes: it seals open spans that hold up what lies behind them.
//!
//! The protocol is at the head of `lane.rs`.

use super::Ring;
use super::lane;
use super::lanes::Block;
use crate::memory::Memory;
use crate::primitives::sync::Arc;
use crate::words::{Head, Phase, next_seq};

/// Which open spans are to be sealed, besides the one that the drain stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Those that something lies behind.
    Behind,
    /// All of them.
    All,
}

/// What the drain has asked of lanes.
#[derive(Debug, Default)]
pub(super) struct Seals {
    /// The span that the drain stands in, while its owner is at work.
    out: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    seq: u64,
    len: u32,
    block: Arc<Block>,
}

impl Asked {
    /// Whether nothing more will be committed to the span: its owner has gone on, or is not at work. Only behind the
    /// fence: before it, an owner that seems to be idle may be about to commit.
    fn is_final(&self) -> bool {
        self.block.open() != Some((self.seq as u32, self.len)) || !self.block.is_busy()
    }
}

impl Seals {
    /// Asks for the open span `seq`, which the drain has caught up with, and with the same fence for all that are
    /// `wanted` besides; makes the one final if its owner is not at work. Never waits for that.
    pub fn seal<M: Memory>(&mut self, ring: &Ring<M>, seq: u64, head: Head, wanted: Wanted) {
        self.out = ask(ring, seq, head, wanted);
        let Some(asked) = &self.out else {
            // It was asked for before, and its owner has gone on to another, so it is not the newest.
            lane::seal(ring, seq, 0);
            return;
        };
        if asked.is_final() {
            if asked.block.shut(seq as u32, asked.len) {
                ring.lanes().shut(asked.len);
            }
            lane::seal(ring, seq, asked.len);
            self.out = None;
        }
    }

    /// Whether the span `seq` was asked for and its owner is still at work in it.
    pub fn is_out(&self, seq: u64) -> bool {
        self.out.as_ref().is_some_and(|asked| asked.seq == seq)
    }

    /// Whether the span `seq`, which was asked for, can be made final now.
    pub fn is_due(&self, seq: u64) -> bool {
        let asked = self.out.as_ref().filter(|asked| asked.seq == seq);
        asked.is_some_and(Asked::is_final)
    }
}

/// Asks, and finds the lane that has span `from` open.
fn ask<M: Memory>(ring: &Ring<M>, from: u64, head: Head, wanted: Wanted) -> Option<Asked> {
    let behind = head.seq.wrapping_sub(from as u32);
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
        if ahead == 0 || (ahead < behind && (wanted == Wanted::All || !is_newest)) {
            is_new |= block.ask(from + u64::from(ahead));
        }
    }
    // [seal.ask] Heavy, pairs with [lane.begin]: whoever begins a record behind it sees what was asked; of all others we see
    // that they are busy, or what they have committed. Whoever has asked before has fenced before.
    if is_new {
        ring.lanes().fences.heavy_at("seal.ask");
    }
    in_hand
}
