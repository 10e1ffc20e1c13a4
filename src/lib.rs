#![doc = include_str!("links.md")]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The models have no descriptors and no membarrier, so some code is unused there. Models and fuzz
// targets also make private items visible, without documentation.
#![cfg_attr(any(alq_model, fuzzing), allow(dead_code, missing_docs))]

mod actors;
mod ends;
mod face;
mod integrations;
#[cfg(feature = "rotate")]
mod logs;
mod memory;
mod primitives;
#[cfg(feature = "read")]
#[cfg_attr(docsrs, doc(cfg(feature = "read")))]
pub mod read;
mod ring;
mod words;

pub use ends::{
    Amount, FileSink, FramedRecord, Records, Refusals, Sink, Stall, Stats, Syncs, Waits,
};
#[doc(hidden)] // for the C library, where an entry has no lifetime
pub use face::Detached;
pub use face::{
    AsyncAppend, Completion, Entry, Lane, LaneEntry, Notify, Options, Queue, Reserve, dump_all,
    dump_on_panic, flush_all, shutdown, suspend,
};
pub use words::{
    AfterKill, Dump, Error, Flags, Framing, FramingProblem, Idle, Level, LogEnd, Operation,
    Position, Recovery, Report, RingFileProblem, RingId, RotationProblem, Status, SyncOp,
    SyncPolicy, Target, Undrained,
};

#[cfg(feature = "log")]
#[cfg_attr(docsrs, doc(cfg(feature = "log")))]
pub use integrations::log;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use integrations::metrics;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use integrations::tokio;
#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub use integrations::tracing;

/// Turns on asynchronous appends for every [`AsyncAppend`] of the process.
pub mod async_append {
    pub use crate::face::async_append::enable;
}

/// Inspects a [ring file](Options::ring_file) from outside, also while a process uses it.
pub mod ring_file {
    pub use crate::face::inspect::{State, inspect, on_disk};
    pub use crate::face::ring_dump::{RingDump, dump};
    pub use crate::words::Live;
}

/// Cuts a log into files: by size, by time, or on request. docs/rotation.md explains it step by
/// step.
#[cfg(feature = "rotate")]
#[cfg_attr(docsrs, doc(cfg(feature = "rotate")))]
pub mod rotate {
    pub use crate::logs::{
        Background, Compression, Every, RotateError, RotatingFile, Rotation, Zone,
    };
}

#[cfg(any(doc, doctest))]
pub mod guide;

/// Private items, for the model checkers and the fuzz targets only.
#[cfg(any(alq_model, fuzzing))]
#[doc(hidden)]
pub mod model {
    pub use crate::actors::flusher::{Flusher, Step};
    pub use crate::actors::pace::Pace;
    pub use crate::actors::thread::drive;
    pub use crate::actors::{Asker, Config, Last, LossLines, Shared, syncer};
    #[cfg(all(fuzzing, feature = "frames"))]
    pub use crate::ends::{FileSink, stream};
    pub use crate::ends::{Kind, Pending, Reach, Sink, Subscriber, WOKEN, Watch};
    pub use crate::face::{barrier, registry::Registry, sleep};
    pub use crate::memory::{Memory, heap::Heap};
    pub use crate::primitives::{Doorbell, Event, Interest, sync};
    pub use crate::ring::{
        Copied, CopyStep, Drain, Drained, Holes, Missed, Owner, Posted, Refusal, Reservation, Ring,
    };
    #[cfg(all(fuzzing, feature = "frames"))]
    pub use crate::words::frame;
    pub use crate::words::{
        Geometry, Head, Order, Phase, Place, Room, State, Tag, Tail, WhenFull, Width, extend,
        next_seq,
    };
}
