//! This queue, with each of its ways to append.

use std::fs::{File, OpenOptions};
use std::path::Path;

use alq::{AsyncAppend, Flags, Lane, Options, Queue};

use super::contestant::{Append, Contestant, Log};
use super::limits::CAPACITY;

fn open(path: &Path) -> Queue {
    let options = Options::new().capacity(CAPACITY).follow_links(true);
    options.open(path).expect("a log")
}

/// `Queue::writen`.
pub struct Shared(Queue);

/// `Queue::getn`, filled in place, and `Entry::post`.
pub struct SharedInPlace(Queue);

/// `Lane::writen`.
pub struct Lanes(Queue);

/// `Lane::getn`, filled in place, and `LaneEntry::post`.
pub struct LanesInPlace(Queue);

pub const SHARED: Contestant = Contestant::of::<Shared>();
pub const SHARED_IN_PLACE: Contestant = Contestant::of::<SharedInPlace>();
pub const LANES: Contestant = Contestant::of::<Lanes>();
pub const LANES_IN_PLACE: Contestant = Contestant::of::<LanesInPlace>();
pub const FACADE: Contestant = Contestant::of::<Facade>();

/// All of them.
pub const ALL: [Contestant; 5] = [SHARED, SHARED_IN_PLACE, LANES, LANES_IN_PLACE, FACADE];

/// The log of one way to append to a queue.
macro_rules! log {
    ($log:ident, $name:literal, $producer:ty, $of:expr) => {
        impl Log for $log {
            const NAME: &'static str = $name;
            type Producer = $producer;

            fn open(path: &Path) -> Self {
                Self(open(path))
            }

            fn producer(&mut self) -> $producer {
                $of(&self.0)
            }

            fn finish(self) -> u64 {
                self.0.close(None).expect("drained");
                self.0.stats().lost_records
            }
        }
    };
}

log!(Shared, "queue: writen", Writen<Queue>, |queue: &Queue| {
    Writen(queue.clone())
});
log!(
    SharedInPlace,
    "queue: getn + post",
    Getn<Queue>,
    |queue: &Queue| Getn(queue.clone())
);
log!(Lanes, "lane: writen", Writen<Lane>, |queue: &Queue| Writen(
    queue.lane()
));
log!(
    LanesInPlace,
    "lane: getn + post",
    Getn<Lane>,
    |queue: &Queue| Getn(queue.lane())
);

pub struct Writen<End>(End);
pub struct Getn<End>(End);

/// The same calls on a queue and on a lane.
macro_rules! append {
    ($end:ty) => {
        impl Append for Writen<$end> {
            #[inline]
            fn append(&mut self, record: &[u8]) {
                self.0.writen(record, Flags::WAITOK).expect("appended");
            }

            #[inline]
            fn try_append(&mut self, record: &[u8]) -> bool {
                self.0.writen(record, Flags::NOWAIT).is_ok()
            }
        }

        impl Append for Getn<$end> {
            #[inline]
            fn append(&mut self, record: &[u8]) {
                let entry = self.0.getn(record.len(), Flags::WAITOK);
                let mut entry = entry.expect("reserved");
                entry.copy_from_slice(record);
                entry.post();
            }

            #[inline]
            fn try_append(&mut self, record: &[u8]) -> bool {
                let Ok(mut entry) = self.0.getn(record.len(), Flags::NOWAIT) else {
                    return false;
                };
                entry.copy_from_slice(record);
                entry.post();
                true
            }
        }
    };
}

append!(Queue);
append!(Lane);

/// `AsyncAppend`, with its fixed capacity.
pub struct Facade(&'static File);

impl Log for Facade {
    const NAME: &'static str = "AsyncAppend";
    const PRODUCERS: usize = 1;
    type Producer = AsyncAppend<'static>;

    fn open(path: &Path) -> Self {
        alq::async_append::enable();
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self(Box::leak(Box::new(file.expect("a log"))))
    }

    fn producer(&mut self) -> AsyncAppend<'static> {
        let appender = AsyncAppend::new(self.0);
        assert!(appender.is_async(), "it has a queue");
        appender
    }

    /// The drop of the appender has drained it.
    fn finish(self) -> u64 {
        0
    }
}

impl Append for AsyncAppend<'static> {
    #[inline]
    fn append(&mut self, record: &[u8]) {
        self.write(record).expect("appended");
    }
}
