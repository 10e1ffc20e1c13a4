//! What a queue finds at the end of the log that it opens.

#[cfg(feature = "chain")]
use crate::actors::ChainStart;
#[cfg(feature = "frames")]
use crate::ends::stream::Stream;
use crate::ends::tail::Tail;
#[cfg(feature = "read")]
use crate::read;
#[cfg(feature = "frames")]
use crate::words::frame::Frames;

/// What a look at the end of a log has found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub tail: Option<Tail>,
    #[cfg(feature = "frames")]
    pub stream: Option<Stream>,
    /// What older files of the log end with, if this one has no header.
    #[cfg(feature = "frames")]
    pub earlier: Option<Earlier>,
    /// Where the chain of the log continues.
    #[cfg(feature = "chain")]
    pub chain: Option<ChainStart>,
}

impl Found {
    /// What is found in a log without frames.
    pub const fn of_tail(tail: Option<Tail>) -> Self {
        Self {
            tail,
            #[cfg(feature = "frames")]
            stream: None,
            #[cfg(feature = "frames")]
            earlier: None,
            #[cfg(feature = "chain")]
            chain: None,
        }
    }

    /// What is found in a log of frames.
    #[cfg(feature = "frames")]
    pub fn of(stream: Option<Stream>) -> Self {
        Self {
            stream,
            ..Self::default()
        }
    }

    /// Returns what a log of frames holds; `None` if it is not a regular file.
    #[cfg(feature = "frames")]
    pub const fn stream(&self) -> Option<Stream> {
        self.stream
    }

    /// Returns where the stream of the log continues: 0, unless it has frames.
    #[cfg_attr(
        not(feature = "frames"),
        expect(clippy::unused_self, reason = "for frames")
    )]
    pub fn end(&self) -> u64 {
        #[cfg(feature = "frames")]
        if let Some(earlier) = self.earlier {
            return earlier.end;
        } else if let Some(stream) = self.stream {
            return stream.end;
        }
        0
    }
}

/// The end of an older file, after which an empty one continues.
#[cfg(feature = "frames")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Earlier {
    pub frames: Frames,
    pub end: u64,
}

#[cfg(feature = "read")]
impl Earlier {
    pub const fn of(last: &read::Last) -> Self {
        Self {
            frames: last.frames,
            end: last.end,
        }
    }
}
