//! The words of a ring that overwrites its oldest records. `overwrite.rs` moves them for claims,
//! and `drain/copy.rs` for the flusher.
//!
//! This file owns which span is the oldest, and whether the flusher is copying it. It moves by
//! compare-and-swap only, so a thread that stops anywhere stops no other one. The exception is a
//! copy: while the flusher copies a piece of a few KiB out of the ring, the oldest span stays where
//! it is.

use crossbeam_utils::Backoff;

use super::claims::Refusal;
use crate::primitives::sync::{AtomicU64, Ordering, is_mutant, or_mutant, unless_mutant};
use crate::words::Tail;

/// The words of a ring that overwrites.
#[derive(Debug)]
pub(super) struct Recorder {
    /// `{ seq 63, copying 1 }`: the oldest span that is kept. It has 63 bits, so it never has the
    /// same value twice.
    oldest: AtomicU64,
    /// Where the ring started.
    pub(super) origin: u64,
    overwritten: Counts,
    copied: Counts,
    /// The part of `overwritten` that is part of `copied` too.
    kept: Counts,
}

/// Records, and their bytes. They only inform, so every access is Relaxed.
#[derive(Debug, Default)]
struct Counts {
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Counts {
    fn add(&self, count: Count) {
        // Relaxed on both: see the type.
        self.records.fetch_add(count.records, Ordering::Relaxed);
        self.bytes.fetch_add(count.bytes, Ordering::Relaxed);
    }

    fn now(&self) -> Count {
        Count {
            // Relaxed on both: see the type.
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// Records, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub records: u64,
    pub bytes: u64,
}

impl Count {
    pub fn plus(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            bytes: self.bytes + other.bytes,
        }
    }

    /// Returns the two numbers, as a ring file has them.
    pub fn to_words(self) -> [u64; 2] {
        [self.records, self.bytes]
    }

    /// Returns the count of these two numbers.
    pub fn from_words([records, bytes]: [u64; 2]) -> Self {
        Self { records, bytes }
    }

    /// Returns the difference. It is never below 0: another thread may not have counted yet.
    pub fn minus(self, other: Self) -> Self {
        Self {
            records: self.records.saturating_sub(other.records),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

const COPYING: u64 = 1;

impl Recorder {
    pub(super) fn new(origin: Tail) -> Self {
        Self {
            oldest: AtomicU64::new(origin.seq << 1),
            origin: origin.pos,
            overwritten: Counts::default(),
            copied: Counts::default(),
            kept: Counts::default(),
        }
    }

    /// Returns the word, once no copy is under way. A copy of a piece takes less than a
    /// microsecond, unless the flusher is preempted in it.
    pub(super) fn settled(&self) -> Result<u64, Refusal> {
        let backoff = Backoff::new();
        loop {
            let word = self.look();
            if word & COPYING == 0 {
                return Ok(word);
            }
            if backoff.is_completed() {
                return Err(Refusal::Copying);
            }
            backoff.snooze();
        }
    }

    pub(super) fn look(&self) -> u64 {
        // [oldest.look] Acquire, pairs with [oldest.take] and [oldest.release]: every span before
        // the oldest was seen posted, and no thread reads its bytes any more.
        self.oldest
            .load(unless_mutant("oldest.look", Ordering::Acquire))
    }

    /// Returns whether the oldest span is still the one of `word`, which no longer looked posted.
    pub(super) fn is_still(&self, word: u64) -> bool {
        if is_mutant("oldest.again") {
            return self.look() == word;
        }
        // [oldest.again] An RMW, which sees the newest value: a load might miss the overwrite that
        // has freed the slot. Relaxed: only the value matters.
        self.oldest
            .compare_exchange(word, word, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Moves from the word `from` to the span `to`. Returns whether this thread did it.
    pub(super) fn take(&self, from: u64, to: u64) -> bool {
        // [oldest.take] Release, pairs with [oldest.look]: this thread has seen the spans in
        // between posted.
        // [oldest.taken] Acquire, pairs with [oldest.release]: a piece may have been copied since
        // the load that returned `from`, which leaves the same word.
        let order = or_mutant("oldest.take", Ordering::Acquire, Ordering::AcqRel);
        let order = or_mutant("oldest.taken", Ordering::Release, order);
        self.oldest
            .compare_exchange(from, to << 1, order, Ordering::Relaxed)
            .is_ok()
    }

    /// Keeps the oldest span where it is, and returns it. For the flusher.
    pub(super) fn begin_copy(&self) -> u64 {
        loop {
            let word = self.look();
            debug_assert!(word & COPYING == 0, "one thread copies");
            // Relaxed on both: the load that returned `word` has read the same store, with Acquire.
            let held = self.oldest.compare_exchange_weak(
                word,
                word | COPYING,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if held.is_ok() {
                return word >> 1;
            }
        }
    }

    /// Ends the copy of a piece. The oldest span is still `oldest`.
    pub(super) fn end_copy(&self, oldest: u64) {
        // [oldest.release] Release, pairs with [oldest.look]: the bytes of the piece are read.
        let order = unless_mutant("oldest.release", Ordering::Release);
        self.oldest.store(oldest << 1, order);
    }

    pub(super) fn count_overwritten(&self, count: Count) {
        self.overwritten.add(count);
    }

    pub(super) fn count_copied(&self, count: Count) {
        self.copied.add(count);
    }

    /// Counts what was copied before it was overwritten.
    pub(super) fn count_kept(&self, count: Count) {
        self.kept.add(count);
    }

    /// Returns what was overwritten and is in no copy, and what was copied.
    pub(super) fn counts(&self) -> (Count, Count) {
        let kept = self.kept.now();
        (self.overwritten.now().minus(kept), self.copied.now())
    }
}
