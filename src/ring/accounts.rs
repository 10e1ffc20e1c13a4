//! The drain's progress and counts, published as one consistent set of numbers.
//!
//! Invariant: only the drain writes them, and the tail's position is always `bytes - ahead +
//! padding` after the position where the ring started.

use super::progress::Progress;
use crate::primitives::sync::{AtomicU64, Ordering, fence, is_mutant, spin_loop, unless_mutant};
use crate::words::Tail;

/// How far the drain has come, and what it did with the bytes on the way. The bytes of an abandoned
/// reservation count as padding once the drain has moved past it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// The tail.
    pub tail: Tail,
    /// Bytes of records taken, with those that are lost.
    pub bytes: u64,
    /// Records taken to their last byte, with those that are lost.
    pub records: u64,
    /// Bytes of records that the sink cannot take.
    pub lost_bytes: u64,
    /// Records that the sink cannot take.
    pub lost_records: u64,
    /// Bytes stepped over.
    pub padding: u64,
    /// Open reservations stepped over.
    pub abandoned: u64,
    /// Bytes taken of the next record, which stays after the tail until all of it is taken.
    pub ahead: u32,
}

/// The accounts as words that only the drain writes. A sequence lock gives each reader the numbers
/// of one moment.
///
/// Claims read the two words of the tail without the lock.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Odd while the drain writes.
    version: AtomicU64,
    pub(super) tail: Progress,
    bytes: AtomicU64,
    records: AtomicU64,
    lost_bytes: AtomicU64,
    lost_records: AtomicU64,
    padding: AtomicU64,
    abandoned: AtomicU64,
    ahead: AtomicU64,
}

impl Ledger {
    pub(super) fn new(origin: Tail) -> Self {
        Self {
            version: AtomicU64::new(0),
            tail: Progress::new(origin),
            bytes: AtomicU64::new(0),
            records: AtomicU64::new(0),
            lost_bytes: AtomicU64::new(0),
            lost_records: AtomicU64::new(0),
            padding: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            ahead: AtomicU64::new(0),
        }
    }

    /// Stores the accounts. Only the drain may call it.
    pub(super) fn publish(&self, accounts: &Accounts) {
        // Relaxed: this thread is the only writer.
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        // [ledger.odd] Release fence, with two partners. [ledger.again]: a reader that sees one of
        // the stores below sees the odd version, and reads again. [tail.pos]: a claimer that sees
        // bytes free also sees that this thread has finished reading them.
        if !is_mutant("ledger.odd") {
            fence(Ordering::Release);
        }
        // Relaxed: the version holds these words together.
        self.bytes.store(accounts.bytes, Ordering::Relaxed);
        self.records.store(accounts.records, Ordering::Relaxed);
        self.lost_bytes
            .store(accounts.lost_bytes, Ordering::Relaxed);
        self.lost_records
            .store(accounts.lost_records, Ordering::Relaxed);
        self.padding.store(accounts.padding, Ordering::Relaxed);
        self.abandoned.store(accounts.abandoned, Ordering::Relaxed);
        self.ahead
            .store(u64::from(accounts.ahead), Ordering::Relaxed);
        self.tail.publish(accounts.tail);
        // [ledger.even] Release, pairs with [ledger.version]: a reader that sees the even version
        // sees all of the stores.
        let order = unless_mutant("ledger.even", Ordering::Release);
        self.version.store(version + 2, order);
    }

    /// Returns the numbers of one moment. The drain writes for only a few nanoseconds, so a second
    /// try is rare.
    pub(super) fn read(&self) -> Accounts {
        loop {
            // [ledger.version] Acquire, pairs with [ledger.even].
            let order = unless_mutant("ledger.version", Ordering::Acquire);
            let version = self.version.load(order);
            // Relaxed: the version holds these words together.
            let accounts = Accounts {
                tail: self.tail.load(),
                bytes: self.bytes.load(Ordering::Relaxed),
                records: self.records.load(Ordering::Relaxed),
                lost_bytes: self.lost_bytes.load(Ordering::Relaxed),
                lost_records: self.lost_records.load(Ordering::Relaxed),
                padding: self.padding.load(Ordering::Relaxed),
                abandoned: self.abandoned.load(Ordering::Relaxed),
                ahead: self.ahead.load(Ordering::Relaxed) as u32,
            };
            // [ledger.again] Acquire fence, pairs with [ledger.odd].
            if !is_mutant("ledger.again") {
                fence(Ordering::Acquire);
            }
            // Relaxed: the fence orders it.
            if version % 2 == 0 && self.version.load(Ordering::Relaxed) == version {
                return accounts;
            }
            spin_loop();
        }
    }
}
