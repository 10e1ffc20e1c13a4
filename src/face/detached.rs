//! Entries without a lifetime, for an interface that knows none: the C library.

use super::aside::OwnMemory;
use super::entry::Entry;
use super::queue::Queue;
use crate::ring::Claim;

/// What an [`Entry`] is when nothing borrows its queue: the right to post it, and no way to its bytes.
///
/// [`Queue::attach`] makes it an entry again. Dropped, it stays open for ever, like an entry that was forgotten.
#[doc(hidden)]
#[derive(Debug)]
#[must_use = "a detached entry stays open until it is attached again, and posted or dropped"]
pub struct Detached {
    /// The number of its queue.
    queue: u64,
    part: Part,
}

#[derive(Debug)]
enum Part {
    Ring(Claim),
    Own(OwnMemory),
}

impl Entry<'_> {
    /// Ends the borrow of the queue, and keeps the reservation. What `set_bytes_used` and `write!` have done is forgotten.
    ///
    /// Pointers to the bytes, taken before, stay valid until the entry is posted or dropped, as long as a handle of the
    /// queue lives.
    #[doc(hidden)]
    #[inline]
    pub fn detach(self) -> Detached {
        let queue = self.queue_id();
        let part = match self.into_parts() {
            (Some(claim), _) => Part::Ring(claim),
            (None, own) => Part::Own(own.unwrap_or_default()),
        };
        Detached { queue, part }
    }
}

impl Queue {
    /// Makes an entry of a detached one again.
    ///
    /// # Panics
    ///
    /// If it is of another queue.
    #[doc(hidden)]
    #[inline]
    pub fn attach(&self, detached: Detached) -> Entry<'_> {
        let shared = self.shared();
        assert_eq!(
            detached.queue, shared.id,
            "an entry of queue {} attached to queue {}",
            detached.queue, shared.id
        );
        match detached.part {
            // It came from this ring, in `detach`, and nobody else has it.
            Part::Ring(claim) => Entry::new(shared, shared.ring.reservation(claim)),
            Part::Own(memory) => Entry::of_its_own(shared, memory),
        }
    }

    /// How many entries of the ring can be open at once, whatever their lengths: the number of descriptors.
    #[doc(hidden)]
    pub fn slots(&self) -> usize {
        self.shared().ring.geometry().slots() as usize
    }
}

impl Detached {
    /// A number below [`Queue::slots`] that no other open entry of the queue has. `None` for an entry that is none of the
    /// ring: in a child of fork(2), and once the process ends.
    #[doc(hidden)]
    #[inline]
    pub fn slot(&self, queue: &Queue) -> Option<usize> {
        match self.part {
            Part::Ring(claim) => Some(queue.shared().ring.geometry().slot(claim.seq() as u32)),
            Part::Own(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Flags, Options};

    #[test]
    fn entries_are_detached_and_attached_in_any_order() {
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
        assert_eq!(slots.len(), 3, "each has a slot of its own");
        assert!(slots.iter().all(|slot| slot.unwrap() < queue.slots()));

        drop(queue.attach(detached.remove(1))); // posts nothing
        queue.attach(detached.remove(1)).post();
        queue.attach(detached.remove(0)).post();
        queue.flush().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"a\nc\n");
    }

    #[test]
    #[should_panic(expected = "attached to queue")]
    fn an_entry_of_another_queue_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name| Options::new().open(dir.path().join(name)).unwrap();
        let (one, other) = (open("one.log"), open("other.log"));
        let detached = one.getn(1, Flags::NOWAIT).unwrap().detach();
        drop(other.attach(detached));
    }
}
