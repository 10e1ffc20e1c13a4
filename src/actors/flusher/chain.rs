//! The chain of the flusher's log, if the queue has one (`chained.rs` makes it). Without the
//! feature there is none.

use std::io::{self, IoSlice};
use std::time::Duration;

#[cfg(feature = "chain")]
use super::chained::{ChainStart, Chained};
#[cfg(feature = "chain")]
use crate::words::frame::Frames;
#[cfg(feature = "frames")]
use crate::words::frame::HEADER_LEN;

/// The chain of the flusher's log.
#[derive(Debug, Default)]
pub(super) struct Chain {
    #[cfg(feature = "chain")]
    chained: Option<Box<Chained>>,
}

#[cfg_attr(
    not(feature = "chain"),
    expect(clippy::unused_self, unused_variables, reason = "for chains")
)]
impl Chain {
    #[cfg(feature = "chain")]
    pub fn start(&mut self, start: ChainStart, frames: Frames) {
        self.chained = Some(Box::new(Chained::new(start, frames)));
    }

    /// Passes on the result of a write of `runs`, and notes what was taken.
    pub fn took(&mut self, runs: &[IoSlice<'_>], taken: io::Result<usize>) -> io::Result<usize> {
        #[cfg(feature = "chain")]
        if let (Some(chained), Ok(taken)) = (&mut self.chained, &taken) {
            chained.took(runs, *taken);
        }
        taken
    }

    /// How many bytes may be written before the next checkpoint, at least 1.
    pub fn room(&self) -> u32 {
        #[cfg(feature = "chain")]
        if let Some(chained) = &self.chained {
            return chained.room();
        }
        u32::MAX
    }

    /// Whether a checkpoint comes next.
    pub fn is_due(&self) -> bool {
        #[cfg(feature = "chain")]
        if let Some(chained) = &self.chained {
            return chained.is_due();
        }
        false
    }

    /// Returns how long the last frames may wait for their checkpoint, if there are any.
    pub fn waits(&mut self) -> Option<Duration> {
        #[cfg(feature = "chain")]
        if let Some(chained) = &mut self.chained {
            return chained.waits();
        }
        None
    }

    /// Ends the chain with the queue. Returns whether a last checkpoint must be written.
    pub fn must_end(&mut self) -> bool {
        #[cfg(feature = "chain")]
        if let Some(chained) = &mut self.chained {
            return chained.must_end();
        }
        false
    }

    /// The frame that is partly written goes to another file, from its first byte on.
    pub fn restart(&mut self) {
        #[cfg(feature = "chain")]
        if let Some(chained) = &mut self.chained {
            chained.restart();
        }
    }

    /// Returns the checkpoint that is due; empty without a chain.
    #[cfg(feature = "frames")]
    pub fn checkpoint(&self) -> Vec<u8> {
        #[cfg(feature = "chain")]
        if let Some(chained) = &self.chained {
            return chained.checkpoint();
        }
        Vec::new()
    }

    /// Returns the checkpoint that follows `header` in a new file; empty without a chain.
    #[cfg(feature = "frames")]
    pub fn first_checkpoint(&self, header: &[u8; HEADER_LEN]) -> Vec<u8> {
        #[cfg(feature = "chain")]
        if let Some(chained) = &self.chained {
            return chained.first_checkpoint(header);
        }
        Vec::new()
    }
}
