//! Ranges of the stream that a reopen has discarded, or that were too long for the sink: no file gets
//! them, although later records are written.

use core::ops::Range;

use crate::primitives::sync::{AtomicBool, Mutex, Ordering};
use crate::words::Error;

/// How many ranges are known one by one. Of more, the oldest two become one, so that a wait for a
/// record between them fails too.
const RANGES_MAX: usize = 1024;

/// What the reopens of one queue have discarded, and records that were too long for the sink.
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
        let mut list = self.list.lock();
        match list.last_mut() {
            Some(last) if last.range.end == start && last.error == error => {
                last.range.end = u64::MAX;
            }
            _ => {
                let range = start..u64::MAX;
                list.push(Discard { range, error });
            }
        }
        if list.len() > RANGES_MAX {
            let oldest = list.remove(0);
            list[0].range.start = oldest.range.start;
        }
        drop(list);
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
    use super::{Discards, RANGES_MAX};
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

    #[test]
    fn neighbours_are_one_range_and_of_many_ranges_the_oldest_become_one() {
        let discards = Discards::new();
        for start in [10, 20] {
            discards.begin(start, Error::Closed);
            discards.end(start + 10);
        }
        assert_eq!(discards.list.lock().len(), 1);
        let discards = Discards::new();
        let count = RANGES_MAX as u64 + 2;
        for at in 0..count {
            discards.begin(at * 10, Error::Closed);
            discards.end(at * 10 + 5);
        }
        assert_eq!(discards.list.lock().len(), RANGES_MAX);
        let is_lost = |position| discards.error_at(position).is_some();
        assert!(is_lost(3) && is_lost(8) && is_lost(23) && !is_lost(28));
        assert!(is_lost(count * 10 - 5) && !is_lost(count * 10));
    }
}
