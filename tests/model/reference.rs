//! What was appended, and what the file must hold for it.

use std::ops::Range;

use alq::{Position, SyncOp};

/// A moment: how many claims, posts and seals came before.
pub type Tick = usize;

/// A record that was posted.
#[derive(Debug)]
struct Posted {
    who: usize,
    bytes: Vec<u8>,
    position: Position,
    claimed: Tick,
    posted: Tick,
}

/// What was appended, in the order of the posts, and how far it is known to be durable.
#[derive(Debug, Default)]
pub struct Reference {
    now: Tick,
    records: Vec<Posted>,
    seals: Vec<(usize, Tick)>,
    /// How many records good syncs have covered, by `Data` and `Full`.
    synced: [usize; 2],
    /// What was written when a sync failed, and not covered by a good one: none ever will.
    lost: Vec<Range<usize>>,
    /// A sync has failed, and no other file has taken over since.
    is_sync_broken: bool,
}

/// What an fsync is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Durable,
    Never,
    /// No record depends on it: what it covers beyond a known one is padding.
    Either,
}

impl Reference {
    /// A moment behind all that came before.
    pub fn tick(&mut self) -> Tick {
        self.now += 1;
        self.now
    }

    pub fn post(&mut self, who: usize, bytes: Vec<u8>, position: Position, claimed: Tick) {
        let posted = self.tick();
        self.records.push(Posted {
            who,
            bytes,
            position,
            claimed,
            posted,
        });
    }

    pub fn seal(&mut self, who: usize) {
        let now = self.tick();
        self.seals.push((who, now));
    }

    pub fn count(&self) -> usize {
        self.records.len()
    }

    pub fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.bytes.len()).sum()
    }

    /// Where one of the records ends, and whether it will never be durable.
    pub fn any(&self, index: usize) -> Option<(Position, bool)> {
        let index = index.checked_rem(self.records.len())?;
        let is_lost = self.lost.iter().any(|lost| lost.contains(&index));
        Some((self.records[index].position, is_lost))
    }

    /// Whether something was posted through the queue itself that was claimed after `tick`.
    pub fn has_shared_behind(&self, tick: Tick) -> bool {
        let has_claims_ahead = |record: &Posted| record.who == 0 && record.claimed > tick;
        self.records.iter().any(has_claims_ahead)
    }

    /// Whether `first` must come before `second`.
    fn is_ordered(&self, first: &Posted, second: &Posted) -> bool {
        if second.who == 0 {
            // The queue goes by the claim.
            let is_claimed_before = first.who == 0 && first.claimed < second.claimed;
            return is_claimed_before || first.posted < second.claimed;
        }
        let is_sealed_between = |&(who, sealed): &(usize, Tick)| {
            who == second.who && first.posted < sealed && sealed < second.posted
        };
        let is_own = first.who == second.who && first.posted < second.posted;
        is_own || self.seals.iter().any(is_sealed_between)
    }

    /// The records in the order of their positions.
    ///
    /// # Panics
    ///
    /// If that is an order that the promises do not allow, or if two overlap.
    pub fn stream(&self) -> Vec<u8> {
        for first in &self.records {
            for second in &self.records {
                if self.is_ordered(first, second) {
                    assert!(
                        first.position < second.position,
                        "{first:?} comes before {second:?}"
                    );
                }
            }
        }
        let in_order = self.in_order();
        for pair in in_order.windows(2) {
            let begin = pair[1].position.bytes() - pair[1].bytes.len() as u64;
            assert!(
                pair[0].position.bytes() <= begin,
                "two records overlap: {pair:?}"
            );
        }
        let bytes = |record: &&Posted| record.bytes.clone();
        in_order.iter().flat_map(bytes).collect()
    }

    fn in_order(&self) -> Vec<&Posted> {
        let mut in_order: Vec<_> = self.records.iter().collect();
        in_order.sort_by_key(|record| record.position.bytes());
        in_order
    }

    /// Whether a record ends at byte `len` of the stream.
    pub fn is_end(&self, len: usize) -> bool {
        let mut end = 0;
        let mut ends = self.in_order().into_iter().map(|record| {
            end += record.bytes.len();
            end
        });
        len == 0 || ends.any(|end| end == len)
    }

    /// Returns the result that a sync of all posted records must have. `fails` says whether the
    /// next sync of the sink fails.
    pub fn sync(&mut self, op: SyncOp, fails: bool) -> Verdict {
        let count = self.records.len();
        let [data, full] = self.synced;
        let known = match op {
            SyncOp::Data => data.max(full),
            SyncOp::Full => full,
        };
        let lost = self.lost.last().map_or(0, |lost| lost.end);
        if count <= known || (count <= lost && !self.is_sync_broken) {
            return Verdict::Either;
        }
        if self.is_sync_broken {
            return Verdict::Never;
        }
        if fails {
            self.is_sync_broken = true;
            self.lost.push(data.max(full)..count);
            return Verdict::Never;
        }
        self.synced[usize::from(op == SyncOp::Full)] = count;
        Verdict::Durable
    }

    /// Another file has taken over.
    pub fn reopened(&mut self) {
        self.is_sync_broken = false;
    }
}
