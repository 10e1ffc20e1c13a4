//! What the flusher of a log of frames writes between the records: the header of an empty file, and
//! notes of positions without a record.
//!
//! None of it is part of the ring. It is written before the next record, as a line that reports a
//! loss is.

#[cfg(feature = "chain")]
use super::ChainStart;
use super::Flusher;
use crate::actors::gap::Loss;
use crate::actors::intake::Intake;
#[cfg(feature = "frames")]
use crate::ends::Amount;
use crate::memory::Memory;
#[cfg(feature = "frames")]
use crate::primitives::os;
#[cfg(feature = "frames")]
use crate::words::frame::{Frames, Gap, Kind};
use crate::words::{LogEnd, Wrap};

/// Whether the file has a header.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    /// The header is the next thing to write.
    pub is_due: bool,
    /// It was written, to a sink that has no file to look at.
    is_written: bool,
}

impl Head {
    /// Returns whether the sink gets a header before the next record. Its file ends at `end`.
    pub fn is_missing(self, wrap: Wrap, end: Option<&LogEnd>) -> bool {
        let is_empty = end.map_or(!self.is_written, |end| end.size_bytes == 0);
        wrap.is_checked() && is_empty
    }
}

impl<M: Memory> Flusher<M> {
    /// Sets what must be written before the next record. `has_head` says that the sink has a header
    /// of frames; if it has only a part, `bytes` is the header, and `head_taken` the length of the
    /// part.
    pub fn owe(&mut self, bytes: &[u8], head_taken: usize, has_head: bool) {
        self.gap_line.set(bytes);
        if head_taken > 0 {
            self.gap_line.continue_head(head_taken);
        }
        self.head.is_written = has_head;
    }

    /// Has the flusher make a chain of the log.
    #[cfg(feature = "chain")]
    pub fn chain(&mut self, start: ChainStart) {
        if let Wrap::Checked(frames) = self.shared.wrap {
            self.chain.start(start, frames);
        }
    }

    /// Puts the header before the note that is about to be written, if the file needs it. If there
    /// is no note, a checkpoint is one, if it is due.
    pub(super) fn put_head_first(&mut self) {
        if !self.shared.wrap.is_checked() || self.gap_line.is_torn() {
            return;
        }
        self.head.is_due = false;
        #[cfg(feature = "frames")]
        if let Wrap::Checked(frames) = self.shared.wrap {
            self.drop_checkpoint();
            let mut head = Vec::new();
            if self
                .head
                .is_missing(self.shared.wrap, self.sink.end().as_ref())
            {
                let header = frames.header(self.drain.follows(), os::now_ns()).to_bytes();
                head.extend_from_slice(&header);
                head.extend(self.chain.first_checkpoint(&header));
            } else if self.gap_line.rest().is_empty() && self.chain.is_due() {
                self.gap_line.set(&self.chain.checkpoint());
            }
            self.gap_line.put_first(&head);
            self.head.is_written = true;
        }
    }

    /// Drops a checkpoint that is not begun: a header, or a note, changes what it covers.
    #[cfg(feature = "frames")]
    pub(super) fn drop_checkpoint(&mut self) {
        if self.gap_line.note_kind() == Some(Kind::Checkpoint) {
            self.gap_line.set(&[]);
        }
    }

    /// Has a note written that no record stands before `position`.
    pub(super) fn note_gap(&mut self, position: u64) {
        #[cfg(feature = "frames")]
        if let Wrap::Checked(frames) = self.shared.wrap {
            let note = note(&frames, position, Gap::default());
            self.gap_line.set(&note);
        }
        self.drain.follow(position);
    }

    /// Has a note written that records of the stream before this position are discarded.
    #[cfg(feature = "frames")]
    pub(super) fn note_lost(&mut self, records: u64, bytes: u64) {
        if let Wrap::Checked(frames) = self.shared.wrap {
            let position = self.drain.position();
            let note = note(&frames, position, Gap { records, bytes });
            self.gap_line.add(&note);
            self.drain.follow(position);
        }
    }

    /// Begins the note of a loss.
    pub(super) fn begin_loss(&mut self) {
        let position = self.drain.position();
        let wrap = self.shared.wrap;
        if wrap.is_checked() {
            self.drain.follow(position);
        }
        let Intake { gaps, counts, .. } = &self.shared.intake;
        let framed = |lost| loss(wrap, position, &lost);
        self.gap_line.begin(gaps, &counts.refused, framed);
    }
}

#[cfg(feature = "frames")]
fn note(frames: &Frames, position: u64, gap: Gap) -> Vec<u8> {
    let mut note = Vec::new();
    frames.push(
        &mut note,
        Kind::Gap,
        position,
        os::now_ns(),
        &gap.to_bytes(),
    );
    note
}

/// Returns the note that records were refused, in the framing of the log: a frame of its own kind,
/// or the line as a record.
#[cfg_attr(
    not(feature = "frames"),
    expect(unused_variables, reason = "for frames")
)]
fn loss(wrap: Wrap, position: u64, loss: &Loss) -> Vec<u8> {
    #[cfg(feature = "frames")]
    if let Wrap::Checked(frames) = wrap {
        let Amount { records, bytes, .. } = loss.total;
        return note(&frames, position, Gap { records, bytes });
    }
    wrap.around(&loss.text)
}
