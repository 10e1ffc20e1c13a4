//! The drain's half of the hand-shake with lanes: it seals open spans that hold up what lies behind them.
//!
//! The protocol is at the head of `lane.rs`.

use super::Ring;
use super::lane::{self, Block};
use crate::memory::Memory;
use crate::primitives::sync::{Arc, is_mutant};
use crate::words::{Phase, next_seq};

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
    /// Whether the fence behind the last question could not be had yet.
    unfenced: bool,
}

#[derive(Debug)]
struct Asked {
    seq: u64,
    len: u32,
    block: Arc<Block>,
}

impl Asked {
    /// Whether nothing more will be committed to the span: its owner has gone on; or it was not at work after it was
    /// asked, if a fence came in between.
    fn is_final(&self, fenced: bool) -> bool {
        self.block.open() != Some((self.seq as u32, self.len)) || (fenced && !self.block.is_busy())
    }
}

impl Seals {
    /// Asks for the open span `seq`, which the drain has caught up with, and with the same fence for all that are
    /// `wanted` besides; makes the one final if its owner is not at work. Never waits for that.
    pub fn seal<M: Memory>(&mut self, ring: &Ring<M>, seq: u64, wanted: Wanted) {
        self.out = self.ask(ring, seq, wanted);
        if self.unfenced {
            // Pairs with the light fence in `Owner::begin`: whoever begins a record behind it sees what was asked;
            // of all others we see that they are busy, or what they have committed.
            self.unfenced = !is_mutant("lane_drain_fence") && !ring.lanes().fences.heavy();
        }
        let fenced = !self.unfenced;
        match self.out.take_if(|asked| asked.is_final(fenced)) {
            Some(Asked { len, block, .. }) => {
                if block.shut(seq as u32, len) {
                    ring.lanes().shut(len);
                }
                lane::seal(ring, seq, len);
            }
            None if self.out.is_some() => {}
            // Its owner has left it, since it was asked before, and has committed nothing to it since.
            None => _ = lane::seal(ring, seq, ring.len_if_newest(seq)),
        }
    }

    /// Whether the span `seq` was asked for and its owner is still at work in it.
    pub fn is_out(&self, seq: u64) -> bool {
        self.out.as_ref().is_some_and(|asked| asked.seq == seq)
    }

    /// Whether the span `seq`, which was asked for, can be made final now.
    pub fn is_due(&self, seq: u64) -> bool {
        let asked = self.out.as_ref().filter(|asked| asked.seq == seq);
        asked.is_some_and(|asked| asked.is_final(!self.unfenced))
    }

    /// Asks, and finds the lane of span `from`.
    fn ask<M: Memory>(&mut self, ring: &Ring<M>, from: u64, wanted: Wanted) -> Option<Asked> {
        let head = ring.head().seq;
        let behind = head.wrapping_sub(from as u32);
        let mut in_hand = None;
        for block in &ring.lanes().blocks.lock().list {
            let Some((seq, len)) = block.open() else {
                continue;
            };
            let ahead = seq.wrapping_sub(from as u32);
            let is_newest = next_seq(u64::from(seq), Phase::Open) as u32 == head;
            let is_wanted = wanted == Wanted::All || !is_newest;
            if ahead == 0 || (ahead < behind && is_wanted) {
                let seq = from + u64::from(ahead);
                self.unfenced |= block.ask(seq);
                if ahead == 0 {
                    let block = Arc::clone(block);
                    in_hand = Some(Asked { seq, len, block });
                }
            }
        }
        in_hand
    }
}
