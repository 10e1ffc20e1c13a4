//! Takes over a ring that a process has left in a file: finds the posted spans, and creates a ring
//! that continues after them.
//!
//! This file trusts nothing that it reads: the slots may be from any process, or damaged.
//! Nothing here runs while another thread uses the ring.

use super::core::Ring;
use super::drain::Drain;
use crate::memory::{Memory, Slot};
use crate::primitives::sync::{Ordering, unless_mutant};
use crate::words::{Geometry, Head, Mode, Phase, Place, State, Tail, next_seq};

/// The content of a ring's slots from its tail on.
#[derive(Debug, Default)]
pub struct Found {
    /// The posted spans, in order. They do not overlap.
    pub spans: Vec<Span>,
    /// Reservations that were never posted.
    pub skipped: u64,
    /// Slots that contradict themselves or others.
    pub damaged: u64,
}

/// A posted span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The distance of its sequence from the tail's.
    pub ahead: u32,
    /// The distance of its start from the tail in bytes; negative if a part of it is written.
    pub start: i64,
    /// How many bytes of it are records.
    pub committed: u32,
    pub phase: Phase,
}

impl Span {
    pub fn end(self) -> i64 {
        self.start + i64::from(self.committed)
    }

    /// Returns whether a ring of this mode can have such a span.
    fn fits(self, mode: Mode) -> bool {
        mode == Mode::Queue || (self.phase == Phase::Closed && self.start >= 0)
    }

    /// Returns the distance from the tail to the first unwritten byte, in bytes.
    pub fn unwritten_from(self) -> u32 {
        self.start.max(0).unsigned_abs() as u32
    }

    /// Returns how many of its bytes are unwritten.
    pub fn unwritten(self) -> u64 {
        self.end()
            .clamp(0, i64::from(self.committed))
            .unsigned_abs()
    }
}

/// The kind of one slot.
enum Kind {
    Posted(Span),
    /// Claimed and not posted.
    Skipped,
    /// Looks posted, but cannot be.
    Damaged,
    /// Of an earlier lap, or empty.
    Unused,
}

/// Reads all slots of the ring, whose tail is `tail`. `words` returns the place and the state
/// of the slot with a given index. The spans of a recorder are all closed, and none begins before
/// the tail.
///
/// No word stores where the ring ends. A slot belongs to this lap if its own words say so.
pub fn find(
    geometry: Geometry,
    tail: Head,
    mode: Mode,
    words: impl Fn(usize) -> (u64, u64),
) -> Found {
    let mut found = Found::default();
    let mut posted = Vec::new();
    let mut ahead = 0;
    while ahead < geometry.slots() {
        let mut next = ahead + 1;
        match read(geometry, tail, ahead, &words) {
            Kind::Posted(span) if !span.fits(mode) => found.damaged += 1,
            Kind::Posted(span) => {
                let seq = u64::from(tail.seq.wrapping_add(ahead));
                next = ahead + (next_seq(seq, span.phase) - seq) as u32;
                posted.push(span);
            }
            Kind::Skipped => found.skipped += 1,
            Kind::Damaged => found.damaged += 1,
            Kind::Unused => {}
        }
        ahead = next;
    }
    let count = posted.len();
    found.spans = longest_chain(&posted);
    found.damaged += (count - found.spans.len()) as u64;
    found
}

fn read(geometry: Geometry, tail: Head, ahead: u32, words: impl Fn(usize) -> (u64, u64)) -> Kind {
    let seq = tail.seq.wrapping_add(ahead);
    let (place, state) = words(geometry.slot(seq));
    let place = Place::from_bits(place);
    let is_claimed = place.seq == seq;
    let Some(State {
        phase, committed, ..
    }) = State::of_lap(state, geometry.tag(seq))
    else {
        return if is_claimed {
            Kind::Skipped
        } else {
            Kind::Unused
        };
    };
    // A lane's span has the rest of its line to itself: no slot there is a span, and the
    // whole line is in the ring.
    let width = (next_seq(u64::from(seq), phase) - u64::from(seq)) as u32;
    let is_alone = ahead + width <= geometry.slots()
        && (1..width).all(|offset| {
            let next = seq.wrapping_add(offset);
            let (_, state) = words(geometry.slot(next));
            State::of_lap(state, geometry.tag(next)).is_none()
        });
    let capacity = i64::from(geometry.capacity());
    let start = match place.start.wrapping_sub(tail.pos) {
        ahead if ahead <= geometry.capacity() => i64::from(ahead),
        before => i64::from(before) - (1 << 32),
    };
    let span = Span {
        ahead,
        start,
        committed,
        phase,
    };
    // Only the first span may start before the tail: its bytes up to the tail are written.
    let is_inside = span.end() <= capacity && (start >= 0 || (ahead == 0 && span.end() >= 0));
    if is_claimed && is_alone && is_inside {
        Kind::Posted(span)
    } else {
        Kind::Damaged
    }
}

/// Returns the longest sequence of spans without an overlap. If slots contradict each other,
/// any of them may be the wrong one; the longest sequence gives up no more spans than are wrong.
fn longest_chain(spans: &[Span]) -> Vec<Span> {
    /// The last span of a chain, and the link before it.
    struct Link {
        span: usize,
        before: Option<usize>,
    }
    let mut links: Vec<Link> = Vec::with_capacity(spans.len());
    // best[n]: of all chains with n + 1 spans, the last link of the chain with the smallest end.
    let mut best: Vec<usize> = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        let start = span.start.max(0);
        let len = best.partition_point(|&link| spans[links[link].span].end() <= start);
        let link = links.len();
        links.push(Link {
            span: index,
            before: len.checked_sub(1).map(|before| best[before]),
        });
        match best.get_mut(len) {
            None => best.push(link),
            Some(other) if span.end() < spans[links[*other].span].end() => *other = link,
            Some(_) => {}
        }
    }
    let mut chain = Vec::with_capacity(best.len());
    let mut next = best.last().copied();
    while let Some(link) = next {
        chain.push(spans[links[link].span]);
        next = links[link].before;
    }
    chain.reverse();
    chain
}

impl<M: Memory> Ring<M> {
    /// Continues the ring that `memory` holds. Its tail is `origin`, and `spans` were [found](find)
    /// in it; the drain hands them out first.
    ///
    /// The process may be killed at any point of this and may repeat it: a span that was found
    /// stays a span, and nothing else becomes one.
    pub fn resume(memory: M, origin: Tail, spans: &[Span]) -> (Self, Drain) {
        let head = normalize(&memory, origin, spans);
        let in_hand = spans.first().filter(|first| first.ahead == 0);
        let taken = in_hand.map_or(0, |span| span.start.min(0).unsigned_abs() as u32);
        Self::between(memory, origin, taken, head)
    }
}

/// Makes `slot` that of a dropped entry.
fn fill_hole(slot: &Slot, place: Place, dropped: State) {
    // Relaxed: the Release below follows it.
    slot.place.store(place.to_bits(), Ordering::Relaxed);
    // [recover.hole] Release, pairs with [slot.words] of the next recovery, if this process is
    // killed: the place is there first.
    let order = unless_mutant("recover.hole", Ordering::Release);
    slot.state.store(dropped.to_bits(), order);
}

/// Makes every slot valid for the drain and returns where the ring ends. A claim that was not
/// posted becomes a dropped entry or is cleared. A lane's span is sealed; no lane counts its
/// records any more.
fn normalize<M: Memory>(memory: &M, origin: Tail, spans: &[Span]) -> Head {
    let geometry = memory.geometry();
    let slot = |seq: u64| &memory.slots()[geometry.slot(seq as u32)];
    // Relaxed on all: no other thread has the ring yet.
    let clear = |seq: u64| {
        let Slot { place, state } = slot(seq);
        if state.load(Ordering::Relaxed) != 0 {
            state.store(0, Ordering::Relaxed);
        }
        // The complement is a place that no lap has here.
        let bits = place.load(Ordering::Relaxed);
        if geometry.slot(Place::from_bits(bits).seq) == geometry.slot(seq as u32) {
            place.store(!bits, Ordering::Relaxed);
        }
    };
    let (mut seq, mut pos) = (origin.seq, origin.pos);
    for span in spans {
        for hole in seq..origin.seq + u64::from(span.ahead) {
            let (seq, start) = (hole as u32, pos as u32);
            let dropped = State::closed(geometry.tag(seq), 0);
            clear(hole); // if killed between the two stores, the slot is of no lap
            fill_hole(slot(hole), Place { seq, start }, dropped);
        }
        seq = origin.seq + u64::from(span.ahead);
        let next = next_seq(seq, span.phase);
        if span.phase.is_of_lane() {
            let open = State::open(geometry.tag(seq as u32), span.committed);
            slot(seq)
                .state
                .store(open.sealed().to_bits(), Ordering::Relaxed);
            // also the note, because the numbers of lanes start again
            (seq + 1..next).for_each(clear);
        }
        seq = next;
        pos = origin.pos.saturating_add_signed(span.end());
    }
    // A damaged slot could look like one of a later lap, and a claim that was never posted
    // would be counted again.
    (seq..origin.seq + u64::from(geometry.slots())).for_each(clear);
    Head {
        seq: seq as u32,
        pos: pos as u32,
    }
}
