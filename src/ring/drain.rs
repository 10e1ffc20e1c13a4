//! The drain's side: collect what is posted as contiguous runs, hand it out, free it.
//!
//! # Safety
//!
//! The drain reads bytes between the tail and the committed end of a span. Their owner has published them and
//! will not touch them again; no claim gets them before the tail has moved over them, which only `commit` does.
#![allow(unsafe_code)]

use core::slice;
use std::io::IoSlice;

use super::torn::Torn;
use super::{Accounts, Ring};
use crate::memory::Memory;
use crate::primitives::sync::Ordering;
use crate::words::{Head, Phase, Place, State, Tail, extend};

/// What the drain does at a span that is not posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holes {
    /// Stops: its bytes come before all that is behind it.
    Wait,
    /// Goes on behind it. Only in a ring that has ended: no byte of it is handed out again, so its owner may
    /// write there for as long as it likes.
    StepOver,
}

/// What one look at the ring came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// The tail has moved.
    Moved {
        /// Bytes of records that were written.
        bytes: u32,
        /// Whether more was posted than was handed out or taken.
        more: bool,
    },
    /// The next span is claimed, and not posted.
    Blocked {
        /// Its sequence.
        seq: u32,
    },
    /// Nothing is claimed beyond the tail.
    Empty,
}

/// Where a walk ends.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// At a record's end, as near below as it can be; behind the first, if that alone is longer.
    About(u32),
    /// At this very byte: where a short write ended.
    Exactly(u32),
}

impl Limit {
    const fn bytes(self) -> u32 {
        match self {
            Self::About(bytes) | Self::Exactly(bytes) => bytes,
        }
    }
}

/// The runs handed out at once: a new run begins only behind padding, so more than one is rare.
const RUNS_MAX: usize = 16;

/// The one reader of a ring. It is made with the ring, and cannot be made again.
#[derive(Debug)]
pub struct Drain {
    ring: usize,
    cursor: Cursor,
    done: Accounts,
    torn: Torn,
}

/// Where the drain stands: in span `seq`, of which `taken` bytes are written, up to position `pos`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    seq: u64,
    pos: u64,
    taken: u32,
}

/// Contiguous bytes of records.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    pos: u64,
    len: u32,
}

/// What a walk from the cursor found, and where the cursor stands behind it.
#[derive(Debug)]
struct Batch {
    runs: [Run; RUNS_MAX],
    count: usize,
    end: Cursor,
    bytes: u32,
    records: u64,
    padding: u64,
    abandoned: u64,
    /// How many of the bytes lie before the last record end that was seen; `None` if none was.
    whole: Option<u32>,
    more: bool,
}

impl Batch {
    /// Adds `len` bytes at `pos`; `false` if that would take one run too many.
    fn push(&mut self, pos: u64, len: u32) -> bool {
        if let Some(last) = self.runs[..self.count].last_mut() {
            if last.pos + u64::from(last.len) == pos {
                last.len += len;
                self.bytes += len;
                return true;
            }
        }
        if self.count == RUNS_MAX {
            return false;
        }
        self.runs[self.count] = Run { pos, len };
        self.count += 1;
        self.bytes += len;
        true
    }
}

impl Drain {
    pub(super) fn new(ring: usize, origin: Tail) -> Self {
        Self {
            ring,
            cursor: Cursor {
                seq: origin.seq,
                pos: origin.pos,
                taken: 0,
            },
            done: Accounts {
                tail: origin,
                bytes: 0,
                records: 0,
                padding: 0,
                abandoned: 0,
            },
            torn: Torn::default(),
        }
    }

    /// The position up to which everything is written.
    pub fn position(&self) -> u64 {
        self.cursor.pos
    }

    /// What has been written of the record in hand: nothing, if the drain stands at a record's end.
    pub fn torn(&self) -> &[u8] {
        self.torn.bytes()
    }

    /// Hands some `limit` bytes of posted records to `write`, in order, and frees as many as it says it took. What it
    /// is handed ends where a record ends: one that is longer than `limit` comes alone. It is not called when there
    /// are none.
    ///
    /// # Errors
    ///
    /// Those of `write`; nothing is freed then.
    ///
    /// # Panics
    ///
    /// If `ring` is not the one that this drain was made with, or if `write` says that it took more than it
    /// was given.
    pub fn step<M: Memory, E>(
        &mut self,
        ring: &Ring<M>,
        limit: u32,
        holes: Holes,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, E>,
    ) -> Result<Drained, E> {
        assert_eq!(self.ring, ring.identity(), "a drain empties its own ring");
        let mut batch = self.walk(ring, Limit::About(limit), holes);
        if batch.bytes > 0 {
            let taken = write(&ring.slices(&batch)[..batch.count])?;
            assert!(
                taken <= batch.bytes as usize,
                "a sink took more than it got"
            );
            if taken < batch.bytes as usize {
                batch = self.walk(ring, Limit::Exactly(taken as u32), holes);
            }
        }
        if batch.whole == Some(batch.bytes) {
            self.torn.clear();
        } else {
            let written = &ring.slices(&batch)[..batch.count];
            self.torn.follow(written, batch.whole);
        }
        Ok(self.commit(ring, &batch))
    }

    /// Collects what is posted from the cursor on, up to `limit`, without moving anything.
    fn walk<M: Memory>(&self, ring: &Ring<M>, limit: Limit, holes: Holes) -> Batch {
        let end = match holes {
            Holes::Wait => None,
            Holes::StepOver => ring.ended(),
        };
        let mut batch = Batch {
            runs: [Run::default(); RUNS_MAX],
            count: 0,
            end: self.cursor,
            bytes: 0,
            records: 0,
            padding: 0,
            abandoned: 0,
            whole: None,
            more: true,
        };
        while batch.bytes < limit.bytes() {
            let seq = batch.end.seq as u32;
            if let Some((start, state)) = ring.span(batch.end) {
                if batch.abandoned > 0 || !batch.take(start, state, limit) {
                    break;
                }
            } else if end.is_some_and(|end| end.seq != seq) {
                // A batch holds open reservations or bytes, never both: its owner may post at any moment, and a
                // second walk (after a short write) must not find bytes where the first found none.
                if batch.bytes > 0 {
                    break;
                }
                batch.abandoned += 1;
                batch.end.seq += 1;
                batch.end.taken = 0;
            } else {
                batch.more = false;
                break;
            }
        }
        batch
    }

    /// Moves the cursor and the tail to the end of `batch`.
    fn commit<M: Memory>(&mut self, ring: &Ring<M>, batch: &Batch) -> Drained {
        if batch.end == self.cursor {
            let seq = self.cursor.seq as u32;
            return if ring.head().seq == seq {
                Drained::Empty
            } else {
                Drained::Blocked { seq }
            };
        }
        if batch.abandoned > 0 {
            // Nothing but open reservations lies between the two: see `walk`.
            let seqs = self.cursor.seq..batch.end.seq;
            ring.stepped_over.lock().extend(seqs.map(|seq| seq as u32));
        }
        self.cursor = batch.end;
        self.done = Accounts {
            tail: Tail {
                seq: batch.end.seq,
                pos: batch.end.pos,
            },
            bytes: self.done.bytes + u64::from(batch.bytes),
            records: self.done.records + batch.records,
            padding: self.done.padding + batch.padding,
            abandoned: self.done.abandoned + batch.abandoned,
        };
        ring.drained.publish(&self.done);
        Drained::Moved {
            bytes: batch.bytes,
            more: batch.more,
        }
    }

    /// Whether there is something to take at the span that the drain waits for.
    pub fn is_posted<M: Memory>(&self, ring: &Ring<M>) -> bool {
        ring.span(self.cursor).is_some_and(|(_, state)| {
            state.phase == Phase::Closed || state.committed > self.cursor.taken
        })
    }

    /// Whether anything has been claimed beyond the cursor.
    pub fn is_behind<M: Memory>(&self, ring: &Ring<M>) -> bool {
        !self.has_reached(ring.head())
    }

    /// Whether everything before `end` has been taken or stepped over.
    pub fn has_reached(&self, end: Head) -> bool {
        self.cursor.seq as u32 == end.seq
    }
}

impl Batch {
    /// Takes what is committed of the span in hand, which starts at `start`; `false` when the walk ends here.
    fn take(&mut self, start: u64, state: State, limit: Limit) -> bool {
        let from = start + u64::from(self.end.taken);
        let ready = state.committed - self.end.taken;
        let free = limit.bytes() - self.bytes;
        let len = match limit {
            Limit::Exactly(_) => ready.min(free),
            Limit::About(_) if ready > free && self.bytes > 0 => return false,
            Limit::About(_) => ready,
        };
        if len > 0 && !self.push(from, len) {
            return false;
        }
        self.padding += from - self.end.pos;
        self.end.pos = from + u64::from(len);
        self.end.taken += len;
        if len == ready {
            self.whole = Some(self.bytes); // committed bytes end where a record ends
        }
        let whole = state.phase == Phase::Closed && len == ready;
        self.more = whole || len < ready;
        if whole {
            self.records += u64::from(state.committed > 0);
            self.end.seq += 1;
            self.end.taken = 0;
        }
        whole
    }
}

impl<M: Memory> Ring<M> {
    /// The start and state of the span at the cursor, if it exists.
    fn span(&self, cursor: Cursor) -> Option<(u64, State)> {
        let seq = cursor.seq as u32;
        let slot = self.slot(seq);
        // Acquire, pairs with the Release store in `publish`: the place and the bytes are seen too.
        let bits = slot.state.load(Ordering::Acquire);
        let state = State::of_lap(bits, self.geometry.tag(seq))?;
        if cursor.taken > 0 {
            return Some((cursor.pos - u64::from(cursor.taken), state));
        }
        // Relaxed: ordered by the state.
        let place = Place::from_bits(slot.place.load(Ordering::Relaxed));
        debug_assert_eq!(place.seq, seq);
        Some((extend(cursor.pos, place.start), state))
    }

    /// The bytes of `batch`.
    fn slices(&self, batch: &Batch) -> [IoSlice<'_>; RUNS_MAX] {
        let mut slices = [IoSlice::new(&[]); RUNS_MAX];
        for (slice, run) in slices.iter_mut().zip(&batch.runs[..batch.count]) {
            let pos = run.pos as u32;
            self.memory.begin_read(pos, run.len);
            // SAFETY: `at` gives capacity >= len valid, initialised bytes; their owners have published them
            // (`span` saw it with Acquire) and nobody writes them before `commit`, which needs `&mut Drain`
            // and comes after the slices are gone.
            let bytes = unsafe { slice::from_raw_parts(self.memory.at(pos), run.len as usize) };
            *slice = IoSlice::new(bytes);
        }
        slices
    }
}
