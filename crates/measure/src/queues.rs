//! This queue, with each of its ways to append.

use std::fs::File;
use std::io;
use std::path::Path;

use alq::{AsyncAppend, Flags, Lane, Options, Queue};

use crate::Outcome;
use crate::contestant::{Append, Contestant, Log};
use crate::limits::{CAPACITY, append_to};

fn options() -> Options {
    Options::new().capacity(CAPACITY).follow_links(true)
}

/// `Queue::writen`.
#[derive(Debug)]
pub struct Shared(Queue);

/// `Queue::getn`, filled in place, and `Entry::post`.
#[derive(Debug)]
pub struct SharedInPlace(Queue);

/// `Lane::writen`.
#[derive(Debug)]
pub struct Lanes(Queue);

/// `Queue::writen` of a queue with `Options::thread_lanes`.
#[derive(Debug)]
pub struct ThreadLanes(Queue);

/// `Lane::getn`, filled in place, and `LaneEntry::post`.
#[derive(Debug)]
pub struct LanesInPlace(Queue);

/// [`Shared`], as a value.
pub const SHARED: Contestant = Contestant::of::<Shared>();
/// [`SharedInPlace`], as a value.
pub const SHARED_IN_PLACE: Contestant = Contestant::of::<SharedInPlace>();
/// [`Lanes`], as a value.
pub const LANES: Contestant = Contestant::of::<Lanes>();
/// [`ThreadLanes`], as a value.
pub const THREAD_LANES: Contestant = Contestant::of::<ThreadLanes>();
/// [`LanesInPlace`], as a value.
pub const LANES_IN_PLACE: Contestant = Contestant::of::<LanesInPlace>();
/// [`Facade`], as a value.
pub const FACADE: Contestant = Contestant::of::<Facade>();

/// All of them.
pub const ALL: [Contestant; 6] = [
    SHARED,
    SHARED_IN_PLACE,
    LANES,
    THREAD_LANES,
    LANES_IN_PLACE,
    FACADE,
];

/// The log of one way to append to a queue.
macro_rules! log {
    ($log:ident, $name:literal, $options:expr, $producer:ty, $of:expr) => {
        impl Log for $log {
            const NAME: &'static str = $name;
            type Producer = $producer;

            fn open(path: &Path) -> Outcome<Self> {
                Ok(Self($options.open(path)?))
            }

            fn producer(&mut self) -> Outcome<$producer> {
                Ok($of(&self.0))
            }

            fn finish(self) -> Outcome<u64> {
                self.0.close(None)?;
                Ok(self.0.stats().lost_records)
            }
        }
    };
}

log!(
    Shared,
    "queue: writen",
    options(),
    Writen<Queue>,
    |queue: &Queue| Writen(queue.clone())
);
log!(
    SharedInPlace,
    "queue: getn + post",
    options(),
    Getn<Queue>,
    |queue: &Queue| Getn(queue.clone())
);
log!(
    Lanes,
    "lane: writen",
    options(),
    Writen<Lane>,
    |queue: &Queue| Writen(queue.lane())
);
log!(
    ThreadLanes,
    "thread lanes: writen",
    options().thread_lanes(true),
    Writen<Queue>,
    |queue: &Queue| Writen(queue.clone())
);
log!(
    LanesInPlace,
    "lane: getn + post",
    options(),
    Getn<Lane>,
    |queue: &Queue| Getn(queue.lane())
);

/// Appends with `writen`.
#[derive(Debug)]
pub struct Writen<End>(End);

/// Appends with `getn`, in place.
#[derive(Debug)]
pub struct Getn<End>(End);

/// The same calls on a queue and on a lane.
macro_rules! append {
    ($end:ty) => {
        impl Append for Writen<$end> {
            #[inline]
            fn append(&mut self, record: &[u8]) -> io::Result<()> {
                self.0.writen(record, Flags::WAITOK)?;
                Ok(())
            }

            #[inline]
            fn try_append(&mut self, record: &[u8]) -> bool {
                self.0.writen(record, Flags::NOWAIT).is_ok()
            }
        }

        impl Append for Getn<$end> {
            #[inline]
            fn append(&mut self, record: &[u8]) -> io::Result<()> {
                let mut entry = self.0.getn(record.len(), Flags::WAITOK)?;
                entry.copy_from_slice(record);
                entry.post();
                Ok(())
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
#[derive(Debug)]
pub struct Facade(&'static File);

impl Log for Facade {
    const NAME: &'static str = "AsyncAppend";
    const PRODUCERS: usize = 1;
    type Producer = AsyncAppend<'static>;

    fn open(path: &Path) -> Outcome<Self> {
        alq::async_append::enable();
        Ok(Self(Box::leak(Box::new(append_to(path)?))))
    }

    fn producer(&mut self) -> Outcome<AsyncAppend<'static>> {
        let appender = AsyncAppend::new(self.0);
        if !appender.is_async() {
            return Err("AsyncAppend has no queue".into());
        }
        Ok(appender)
    }

    /// The drop of the appender has drained it.
    fn finish(self) -> Outcome<u64> {
        Ok(0)
    }
}

impl Append for AsyncAppend<'static> {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.write(record)?;
        Ok(())
    }
}
