//! How a queue ends, and what is to be found then.

use alq::{Error, Flags, Lane, Operation, Queue};

use super::far_end::{Files, Memory};
use super::op::Trouble;
use super::world::{IN_VAIN, io_error};

pub struct Ending {
    pub lanes: Vec<Lane>,
    /// What was posted, in order.
    pub stream: Vec<u8>,
    /// What the far end takes, and why no more, if that is not all.
    pub stuck_at: Option<(usize, Trouble)>,
    pub memory: Memory,
    pub files: Files,
}

impl Ending {
    /// Ends the queue, and accounts for every byte.
    pub fn check(mut self, queue: Queue, with_drop: bool) {
        match self.stuck_at {
            Some((limit, trouble)) => self.close_stuck(&queue, limit, trouble),
            None if with_drop => {
                let repeated = queue.stats().repeated as usize;
                self.lanes.clear();
                drop(queue);
                self.check_file(repeated, self.stream.len());
            }
            None => self.close(&queue),
        }
    }

    /// What is in the file, and is no torn head that the next one has whole.
    fn check_file(&self, repeated: usize, written: usize) {
        let mut file = self.memory.bytes();
        file.truncate(file.len() - repeated);
        file.extend(self.files.bytes());
        assert!(
            file == self.stream[..written],
            "the file is not what was posted"
        );
    }

    fn close(&mut self, queue: &Queue) {
        queue.close(None).unwrap();
        let stats = queue.stats();
        assert_eq!(stats.written_bytes, self.stream.len() as u64);
        assert_eq!(stats.written_records, stats.posted_records);
        assert_eq!(
            (stats.fill_bytes, stats.lost_bytes, stats.abandoned),
            (0, 0, 0)
        );
        let claimed = queue.position().bytes();
        assert_eq!(claimed, stats.written_bytes + stats.padding_bytes);
        self.check_file(stats.repeated as usize, self.stream.len());
        self.check_refusals(queue, &Error::Closed);
        queue.close(None).unwrap();
    }

    fn close_stuck(&mut self, queue: &Queue, limit: usize, trouble: Trouble) {
        queue.activate();
        self.memory.wait_for(limit); // what is counted as left must not be on its way
        let (timeout, cause) = match trouble {
            Trouble::Failed => (None, io_error(Operation::Write)),
            Trouble::NotReady | Trouble::NoSpace => (Some(IN_VAIN), Error::TimedOut),
        };
        let left = (self.stream.len() - limit) as u64;
        for _ in 0..2 {
            let undrained = queue.close(timeout).unwrap_err();
            assert_eq!((undrained.bytes, undrained.abandoned), (left, 0));
            assert_eq!(undrained.cause, cause);
            assert!(undrained.records > 0);
        }
        self.check_file(0, limit);
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
