//! How a queue ends, and what is to be found then.

use std::thread;

use alq::{Error, Flags, Lane, Operation, Queue};

use super::far_end::{Files, Memory};
use super::op::Trouble;
use super::reference::Reference;
use super::world::{IN_VAIN, io_error};

pub struct Ending {
    pub lanes: Vec<Lane>,
    pub reference: Reference,
    /// What the far end takes, and why no more, if that is not all.
    pub stuck_at: Option<(usize, Trouble)>,
    pub memory: Memory,
    pub files: Files,
}

/// Fails unless the files hold what was posted. Returns how many bytes at the end of the first file
/// are in the next one too. They begin with a record: the one that was torn is whole in the next
/// file, perhaps with others before it.
pub fn check(reference: &Reference, first: &[u8], rest: &[u8]) -> usize {
    let stream = reference.stream();
    let len = first.len() + rest.len();
    assert!(
        len >= stream.len(),
        "{} bytes are missing",
        stream.len() - len
    );
    let repeated = len - stream.len();
    let cut = first.len() - repeated;
    assert!(
        rest.is_empty() || reference.is_end(cut),
        "the next file does not begin with a record"
    );
    let is_whole = first[..] == stream[..first.len()] && *rest == stream[cut..];
    assert!(is_whole, "the files are not what was posted");
    repeated
}

impl Ending {
    /// Ends the queue, and accounts for every byte.
    pub fn check(mut self, queue: Queue, with_drop: bool) {
        match self.stuck_at {
            Some((limit, trouble)) => self.close_stuck(&queue, limit, trouble),
            None if with_drop => {
                self.lanes.clear();
                drop(queue);
                self.check_files();
            }
            None => self.close(&queue),
        }
    }

    /// Says how many bytes are in two files.
    fn check_files(&self) -> usize {
        check(&self.reference, &self.memory.bytes(), &self.files.bytes())
    }

    fn close(&mut self, queue: &Queue) {
        queue.close(None).unwrap();
        let stats = queue.stats();
        assert_eq!(stats.written_bytes, self.reference.bytes() as u64);
        assert_eq!(stats.written_records, stats.posted_records);
        assert_eq!(
            (stats.fill_bytes, stats.lost_bytes, stats.abandoned),
            (0, 0, 0)
        );
        let claimed = queue.position().bytes();
        assert_eq!(claimed, stats.written_bytes + stats.padding_bytes);
        assert_eq!(stats.repeated_bytes, self.check_files() as u64);
        self.check_refusals(queue, &Error::Closed);
        queue.close(None).unwrap();
    }

    fn close_stuck(&mut self, queue: &Queue, limit: usize, trouble: Trouble) {
        queue.activate();
        // What is counted as left must not be on its way.
        while queue.stats().written_bytes < limit as u64 {
            thread::yield_now();
        }
        let (timeout, cause) = match trouble {
            Trouble::Failed => (None, io_error(Operation::Write)),
            Trouble::NotReady | Trouble::NoSpace => (Some(IN_VAIN), Error::TimedOut),
        };
        let left = (self.reference.bytes() - limit) as u64;
        for _ in 0..2 {
            let undrained = queue.close(timeout).unwrap_err();
            assert_eq!((undrained.bytes, undrained.abandoned), (left, 0));
            assert_eq!(undrained.cause, cause);
            assert!(undrained.records > 0);
        }
        assert!(self.memory.bytes() == self.reference.stream()[..limit]);
        assert_eq!(queue.stats().written_bytes, limit as u64);
        if trouble != Trouble::Failed {
            self.check_refusals(queue, &Error::Closed);
        }
    }

    fn check_refusals(&mut self, queue: &Queue, error: &Error) {
        for flags in [Flags::NOWAIT, Flags::WAITOK] {
            let is_fixed = queue.get(flags).err() != Some(Error::WrongMode);
            if !is_fixed {
                assert_eq!(queue.writen(b"late", flags).as_ref(), Err(error));
                assert_eq!(queue.getn(4, flags).err().as_ref(), Some(error));
            }
            for lane in &mut self.lanes {
                let refused = if is_fixed {
                    lane.get(flags).err()
                } else {
                    lane.getn(4, flags).err()
                };
                assert_eq!(refused.as_ref(), Some(error));
            }
        }
    }
}
