//! Moves input into the ring: unchanged, or line by line.
//!
//! [`Straight`] reads into the ring itself. [`Copied`] reads into a buffer, because it adds stamps,
//! drops lines, or keeps lines or records whole.

use std::io;

use crate::args::Append;
use crate::copied::Copied;
use crate::input::Input;
use crate::report::Failure;
use crate::straight::{Straight, Taken, Tally};
use crate::target::Target;

/// Moves input into the ring.
#[derive(Debug)]
pub enum Intake<'a> {
    Straight(Straight<'a>),
    Copied(Box<Copied<'a>>),
}

impl<'a> Intake<'a> {
    /// Creates an intake for `streams` inputs.
    pub fn new(options: &Append, target: &'a Target<'a>, streams: usize) -> Result<Self, Failure> {
        // Several processes may write lines to one pipe. A message is one line.
        let is_single = target.kind().is_pipe() || target.queue().message_max().is_some();
        let is_shared = options.is_lines() && is_single;
        let is_plain = options.lines.is_plain() && !options.framing.is_on();
        if is_plain && streams == 1 && !is_shared {
            let straight = Straight::new(target.queue(), !options.quiet);
            return Ok(Self::Straight(straight));
        }
        let copied = Copied::new(options, target, streams, is_shared)?;
        Ok(Self::Copied(Box::new(copied)))
    }

    /// Reads the input at index `at` once: at most `len` bytes, by default
    /// [`chunk`](crate::straight::chunk).
    pub fn read_once(
        &mut self,
        (input, at): (&Input, usize),
        len: Option<usize>,
    ) -> io::Result<Taken> {
        match self {
            Self::Straight(straight) => straight.read_once(input, len),
            Self::Copied(copied) => copied.read_once(input, at, len),
        }
    }

    pub fn tally(&self) -> &Tally {
        match self {
            Self::Straight(straight) => straight.tally(),
            Self::Copied(copied) => copied.tally(),
        }
    }

    /// The number of bytes of the current line, or record, that were read; 0 for several inputs, of
    /// which only whole lines reach the ring.
    pub fn open_bytes(&self) -> usize {
        match self {
            Self::Straight(straight) => straight.open_bytes(),
            Self::Copied(copied) => copied.open_bytes(),
        }
    }

    /// The number of bytes that were read and are not in the ring.
    pub fn unsent_bytes(&self) -> usize {
        match self {
            Self::Straight(_) => 0,
            Self::Copied(copied) => copied.unsent_bytes(),
        }
    }

    /// Returns true if lines are dropped when there is no room.
    pub fn drops(&self) -> bool {
        matches!(self, Self::Copied(copied) if copied.drops())
    }

    /// Moves the rest of an input into the ring: the beginning of a line that will not end.
    pub fn finish(&mut self, at: usize) {
        if let Self::Copied(copied) = self {
            copied.finish(at);
        }
    }
}
