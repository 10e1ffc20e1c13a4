//! Entries without a lifetime, for the C library: its interface cannot express one.

use super::aside::{self, OwnMemory};
use super::entry::Entry;
use super::framed;
use super::queue::Queue;
use crate::ring::Claim;
use crate::words::{Flags, Position};

/// Holds the right to post an [`Entry`], without a borrow of its queue and without access to its
/// bytes.
///
/// [`Queue::post_detached`] posts it. If it is dropped, the entry stays open until the queue is
/// closed, like an entry that was forgotten.
#[doc(hidden)]
#[derive(Debug)]
#[must_use = "a detached entry stays open until it is posted"]
pub struct Detached {
    /// The id of its queue.
    queue: u64,
    part: Part,
}

#[derive(Debug)]
enum Part {
    Ring(Claim),
    Own(OwnMemory),
}

impl Entry<'_> {
    /// Ends the borrow of the queue, and keeps the reservation. Discards what `set_bytes_used` and
    /// `write!` have set.
    ///
    /// Pointers to the bytes that were taken before stay valid until the entry is posted, as long
    /// as a handle of the queue lives.
    #[doc(hidden)]
    #[inline]
    pub fn detach(self) -> Detached {
        let queue = self.queue_id();
        let part = match self.into_parts() {
            (claim, None) => Part::Ring(claim),
            (_, Some(own)) => Part::Own(own),
        };
        Detached { queue, part }
    }
}

impl Queue {
    /// Posts the first `used` bytes of a detached entry; 0 posts nothing.
    ///
    /// # Panics
    ///
    /// If the entry belongs to another queue, or has fewer than `used` bytes.
    #[doc(hidden)]
    #[inline]
    pub fn post_detached(&self, detached: Detached, used: usize, flags: Flags) -> Position {
        let mut shared = self.shared();
        if detached.queue != self.id() {
            shared = self.current().shared(); // the queue that a reopen in a child has made
        }
        let id = shared.intake.id;
        assert!(
            detached.queue == id && used <= detached.len(),
            "a detached entry of {} bytes of queue {} was posted to queue {} with {used} bytes",
            detached.len(),
            detached.queue,
            id
        );
        match (detached.part, shared.direct()) {
            (Part::Ring(claim), Some(intake)) => {
                // `detach` took the claim from this ring, and it is the only one.
                let posted = intake.ring.post(claim, used as u32, flags.activates());
                intake.posted(posted);
                intake.position(posted.end)
            }
            (Part::Ring(claim), None) if shared.here().is_ok() => {
                framed::end(shared, claim, used as u32, flags.activates())
            }
            (Part::Ring(claim), None) => aside::leave_to_the_parent(shared, claim.start()),
            (Part::Own(memory), _) => aside::post(shared, &memory[..used]),
        }
    }

    /// Returns how many entries of the ring can be open at once, for any lengths: the number of
    /// descriptors.
    #[doc(hidden)]
    pub fn slots(&self) -> usize {
        self.geometry().slots() as usize
    }
}

impl Detached {
    /// Returns how many bytes were reserved.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "no entry is empty")]
    pub fn len(&self) -> usize {
        match &self.part {
            Part::Ring(claim) => claim.len(),
            Part::Own(memory) => memory.len(),
        }
    }

    /// Returns where the entry begins in the stream of `queue`, as [`Entry::position`] does.
    #[doc(hidden)]
    pub fn position(&self, queue: &Queue) -> Option<Position> {
        match &self.part {
            Part::Ring(claim) if self.queue == queue.id() => {
                let shared = queue.shared();
                let start = claim.start() - u64::from(shared.wrap.front());
                Some(shared.intake.position(start))
            }
            _ => None,
        }
    }

    /// Returns a number below [`Queue::slots`] that no other open entry of the queue has. `None`
    /// for an entry that is not in the ring: in a child of fork(2), and at the end of the process.
    #[doc(hidden)]
    #[inline]
    pub fn slot(&self, queue: &Queue) -> Option<usize> {
        match &self.part {
            Part::Ring(claim) if self.queue == queue.id() => {
                Some(queue.geometry().slot(claim.seq() as u32))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Flags, Options};

    #[test]
    fn detached_entries_are_posted_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        let queue = Options::new().open(&path).unwrap();
        let mut detached: Vec<_> = [b'a', b'b', b'c']
            .into_iter()
            .map(|letter| {
                let mut entry = queue.getn(2, Flags::NOWAIT).unwrap();
                entry.copy_from_slice(&[letter, b'\n']);
                entry.detach()
            })
            .collect();
        let mut slots: Vec<_> = detached.iter().map(|one| one.slot(&queue)).collect();
        slots.dedup();
        assert_eq!(slots.len(), 3, "each entry has another slot");
        assert!(slots.iter().all(|slot| slot.unwrap() < queue.slots()));

        queue.post_detached(detached.remove(1), 0, Flags::empty());
        queue.post_detached(detached.remove(1), 2, Flags::NOACTIVATE);
        queue.post_detached(detached.remove(0), 1, Flags::empty());
        queue.flush().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"ac\n");
    }

    #[test]
    #[should_panic(expected = "posted to queue")]
    fn an_entry_of_another_queue_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name| Options::new().open(dir.path().join(name)).unwrap();
        let (one, other) = (open("one.log"), open("other.log"));
        let detached = one.getn(1, Flags::NOWAIT).unwrap().detach();
        other.post_detached(detached, 1, Flags::empty());
    }

    #[test]
    #[should_panic(expected = "with 2")]
    fn more_than_was_reserved_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Options::new().open(dir.path().join("app.log")).unwrap();
        let detached = queue.getn(1, Flags::NOWAIT).unwrap().detach();
        queue.post_detached(detached, 2, Flags::empty());
    }
}
