//! Ranges of the stream that are never durable, although later bytes are.

use crate::words::{Error, SyncOp};

/// The ranges that were written and not yet synced when a sync failed, or that went to a sink that
/// cannot be synced.
#[derive(Debug, Default)]
pub(super) struct Doubts(Vec<Doubt>);

#[derive(Debug)]
struct Doubt {
    /// The positions up to which fdatasync and fsync had returned before.
    data: u64,
    full: u64,
    end: u64,
    error: Error,
}

impl Doubts {
    /// Adds the range up to `end`, from the positions `data` and `full` up to which fdatasync and
    /// fsync have returned.
    pub fn add(&mut self, data: u64, full: u64, end: u64, error: Error) {
        match self.0.last_mut() {
            Some(last) if last.error == error && data.min(full) <= last.end => {
                last.end = last.end.max(end);
            }
            _ => self.0.push(Doubt {
                data,
                full,
                end,
                error,
            }),
        }
    }

    /// Returns why what ends at `target` never becomes durable by `op`, if it never does.
    pub fn error_at(&self, target: u64, op: SyncOp) -> Option<&Error> {
        let covers = |doubt: &&Doubt| {
            let durable = match op {
                SyncOp::Data => doubt.data,
                SyncOp::Full => doubt.full,
            };
            (durable + 1..=doubt.end).contains(&target)
        };
        self.0.iter().find(covers).map(|doubt| &doubt.error)
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::Doubts;
    use crate::words::{Error, SyncOp};

    #[test]
    fn ranges_that_touch_are_one_and_ranges_with_something_between_are_two() {
        let mut doubts = Doubts::default();
        doubts.add(0, 0, 10, Error::NotSyncable);
        doubts.add(0, 0, 20, Error::NotSyncable);
        assert_eq!(doubts.0.len(), 1);
        let at = |doubts: &Doubts, target| doubts.error_at(target, SyncOp::Data).cloned();
        assert_eq!(at(&doubts, 15), Some(Error::NotSyncable));
        doubts.add(30, 30, 40, Error::NotSyncable);
        assert_eq!(doubts.0.len(), 2);
        assert_eq!(at(&doubts, 25), None);
        assert_eq!(at(&doubts, 40), Some(Error::NotSyncable));
    }
}
