//! Ranges of the stream that a reopen has discarded: no file gets them, although later records are
//! written.

use core::ops::Range;

use crate::primitives::sync::{AtomicBool, Mutex, Ordering};
use crate::words::Error;

/// What the reopens of one queue have discarded.
#[derive(Debug)]
pub struct Discards {
    /// Whether the list has an entry.
    is_any: AtomicBool,
    list: Mutex<Vec<Discard>>,
}

#[derive(Debug)]
struct Discard {
    range: Range<u64>,
    error: Error,
}

impl Discards {
    pub fn new() -> Self {
        Self {
            is_any: AtomicBool::new(false),
            list: Mutex::new(Vec::new()),
        }
    }

    /// Notes that everything from `start` on is discarded because of `error`, until
    /// [`end`](Discards::end). For the flusher, before the tail moves past `start`.
    pub(super) fn begin(&self, start: u64, error: Error) {
        let range = start..u64::MAX;
        self.list.lock().push(Discard { range, error });
        // Relaxed: a thread asks about a position that the tail has passed. The load of the tail
        // orders its look after this store.
        self.is_any.store(true, Ordering::Relaxed);
    }

    /// Notes that what starts at `end` or after it is not discarded. For the flusher, before it can
    /// be written.
    pub(super) fn end(&self, end: u64) {
        if let Some(last) = self.list.lock().last_mut() {
            last.range.end = end;
        }
    }

    /// Returns why what ends at `target` is in no file, if it was discarded.
    pub fn error_at(&self, target: u64) -> Option<Error> {
        // Relaxed: see `begin`.
        if !self.is_any.load(Ordering::Relaxed) {
            return None;
        }
        let list = self.list.lock();
        // Both bounds are ends of records: the last record that is kept, and the last discarded
        // one.
        let covers = |one: &&Discard| one.range.start < target && target <= one.range.end;
        list.iter().find(covers).map(|one| one.error.clone())
    }

    /// Returns how many positions of `range` are discarded.
    pub(super) fn within(&self, range: &Range<u64>) -> u64 {
        // Relaxed: see `begin`.
        if !self.is_any.load(Ordering::Relaxed) {
            return 0;
        }
        let common = |one: &Discard| {
            let (start, end) = (
                range.start.max(one.range.start),
                range.end.min(one.range.end),
            );
            end.saturating_sub(start)
        };
        self.list.lock().iter().map(common).sum()
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::Discards;
    use crate::words::Error;

    #[test]
    fn a_range_ends_with_its_last_record_and_a_later_one_is_apart() {
        let discards = Discards::new();
        assert_eq!(discards.error_at(1), None);
        discards.begin(10, Error::Closed);
        assert_eq!(discards.error_at(10), None);
        assert_eq!(discards.error_at(u64::MAX), Some(Error::Closed));
        discards.end(20);
        discards.begin(30, Error::NotSyncable);
        discards.end(40);
        let at = |target| discards.error_at(target);
        assert_eq!((at(11), at(20)), (Some(Error::Closed), Some(Error::Closed)));
        assert_eq!((at(21), at(30)), (None, None));
        assert_eq!((at(31), at(41)), (Some(Error::NotSyncable), None));
        assert_eq!(discards.within(&(0..100)), 20);
        assert_eq!(discards.within(&(15..35)), 10);
        assert_eq!(discards.within(&(20..30)), 0);
    }
}
