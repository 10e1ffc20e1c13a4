//! What a queue does with a torn record at the end of the log that it opens.
//!
//! This file decides; `ends::tail` reads the log and shortens it. All of it runs before the queue
//! has a flusher, so nothing else of this queue writes to the log.

use std::io::{self, IoSlice};

use super::opening::Opening;
#[cfg(any(feature = "log", feature = "tracing"))]
use super::queue::Queue;
use crate::ends::Sink;
use crate::ends::tail::{self, Tail};
#[cfg(any(feature = "log", feature = "tracing"))]
use crate::words::Flags;
use crate::words::{Error, Framing, FramingProblem, Operation};

/// The end of a log after it was put right.
#[derive(Debug, Default)]
pub(super) struct Mended {
    /// How many bytes the torn record had.
    pub torn_bytes: u64,
    /// What the flusher must write before the first record, since the log did not accept it yet.
    pub owed: &'static [u8],
}

#[cfg(any(feature = "log", feature = "tracing"))]
impl Queue {
    /// Ends a line that the log ends inside of, for a writer of lines on a queue without a framing.
    /// Does nothing if the options say what to do with such a line, or if the queue has appended
    /// something.
    pub(crate) fn begin_a_line(&self) {
        let Ok(here) = self.here() else { return };
        let opening = here.options().opening;
        let is_raw = opening.framing == Framing::Raw && here.entry_len().is_none();
        if !is_raw || opening.end_torn_line.is_some() || here.stats().posted_bytes > 0 {
            return;
        }
        let Some(sink) = here.shared().aside.sink() else {
            return;
        };
        // A log that cannot be read is left as it is, as it would be without this.
        if let Ok(Ok(Some(Tail {
            torn_bytes: 1.., ..
        }))) = tail::look(&*sink, Framing::Lines)
        {
            let _ = here.writen(b"\n", Flags::NOWAIT); // refused only by a queue that has ended
        }
    }
}

impl Opening {
    /// Looks at the end of the log; `None` if it has none, or none that matters.
    ///
    /// # Errors
    ///
    /// [`Error::Framing`] if the log cannot be continued; [`Error::Io`].
    pub(super) fn look(self, sink: &dyn Sink) -> Result<Option<Tail>, Error> {
        #[cfg(feature = "frames")]
        if self.framing == Framing::Checked {
            return Err(Error::InvalidOption {
                option: "framing",
                value: 4,
                allowed: "another one: Checked is not implemented yet",
            });
        }
        let is_cut_anywhere = !matches!(self.framing, Framing::Raw | Framing::Lines);
        if is_cut_anywhere && sink.cuts_records() {
            return Err(Error::framing(FramingProblem::CutsRecords));
        }
        let framing = match self.framing {
            Framing::Raw | Framing::Lines if self.ends_torn_line() => Framing::Lines,
            Framing::Raw | Framing::Lines => Framing::Raw,
            framing => framing,
        };
        let found =
            tail::look(sink, framing).map_err(|error| Error::io(Operation::Open, &error))?;
        found.map_err(Error::framing)
    }

    fn ends_torn_line(self) -> bool {
        self.end_torn_line.unwrap_or(self.framing == Framing::Lines)
    }

    /// Ends a torn line, or removes a torn record. If `is_continued`, the ring holds the rest of
    /// it, and the flusher goes on there.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub(super) fn mend(
        self,
        sink: &dyn Sink,
        tail: Option<Tail>,
        is_continued: bool,
    ) -> Result<Mended, Error> {
        let torn_bytes = tail.map_or(0, |tail| tail.torn_bytes);
        if torn_bytes == 0 || is_continued {
            return Ok(Mended::default());
        }
        let mut owed: &[u8] = &[];
        if matches!(self.framing, Framing::Raw | Framing::Lines) {
            // If the log has no room now, the queue opens in spite of that.
            if sink.write(&[IoSlice::new(b"\n")]).ok() != Some(1) {
                owed = b"\n";
            }
        } else if let Some(tail) = tail {
            let failed = |error: io::Error| Error::io(Operation::Open, &error);
            tail::cut(sink, tail.whole_bytes).map_err(failed)?;
        }
        Ok(Mended { torn_bytes, owed })
    }
}
