//! The ring of a queue that opens: in memory, or in its ring file, which may hold records that an
//! earlier process has posted.
//!
//! This file decides whether a queue may use the ring file, and what happens to the records in it.
//! It may not overwrite records before all checks have passed.

use std::io;
use std::path::Path;

#[cfg(feature = "frames")]
use super::align;
use super::mend::{Mended, Plan};
use super::opening::Opening;
use super::options::Options;
use crate::actors::{Inheritance, Reporter, note_of};
use crate::ends::Sink;
use crate::memory::{Memory, Mirror, RingFile, random_id};
use crate::ring::{Drain, Ring};
use crate::words::{
    AfterKill, Error, Framing, FramingProblem, Identity, Layout, LogNote, Mode, Operation,
    Recovery, RingFileProblem as Problem, RingFraming, RingId, Tail,
};

/// A ring, and the end of the log that it is drained to.
pub(super) struct Begun {
    pub ring: Ring<Mirror>,
    pub drain: Drain,
    /// What was found in the ring; `None` if it is in memory.
    pub recovery: Option<Recovery>,
    pub mended: Mended,
    /// Whether the ring has the sizes that the options ask for, and is where the log is. If not,
    /// its records come first.
    pub has_sizes: bool,
    /// Whether its records are framed as the options ask for. If not, its records come first.
    pub has_framing: bool,
    /// Whether a recorder shall dump what a killed process has left.
    pub is_dump_due: bool,
}

/// A ring file that the queue may use. Its records, if it holds any, are not changed yet.
struct Kept {
    opened: RingFile,
    /// The id that it has from now on: a new one if it becomes the ring of another log.
    id: RingId,
    /// Whether it was the ring of this log before, as far as it says.
    #[cfg_attr(not(feature = "frames"), expect(dead_code, reason = "for frames"))]
    is_same: bool,
    /// The log of this queue.
    note: LogNote,
    /// How the records in it are framed; if there are none, what the options ask for.
    framing: Framing,
    found: Inheritance,
    /// What was found in a ring that was made anew since.
    cleared: Recovery,
}

impl Options {
    /// Makes the ring that the options ask for. If its file holds records, it may have other sizes
    /// and another framing than asked for. `before` was found in the file earlier, and is in the
    /// log already.
    pub(super) fn begin(
        &self,
        layout: Layout,
        sink: &dyn Sink,
        reporter: &Reporter,
        before: Recovery,
    ) -> Result<Begun, Error> {
        if let Some(path) = &self.ring_file {
            match self.begin_in_file(path, layout, sink, reporter) {
                Err(error) if self.ring_optional && is_optional(&error) => reporter.report(error),
                begun => {
                    let begun = begun?;
                    let recovery = begun.recovery.map(|found| found.after(before));
                    return Ok(Begun { recovery, ..begun });
                }
            }
        }
        let opening = self.opening;
        let found = opening.look(sink)?;
        let memory =
            Mirror::map(layout.geometry).map_err(|error| Error::io(Operation::Map, &error))?;
        let origin = Tail {
            pos: found.end(),
            ..Ring::origin(&memory)
        };
        let (ring, mut drain) = Ring::starting_at(memory, origin);
        let wrap = opening.wrap(&found)?;
        if wrap.is_checked() {
            drain.follow(found.end());
        }
        let mended = opening.mend(sink, &found, (wrap, found.end()), false)?;
        Ok(Begun {
            ring,
            drain,
            recovery: None,
            mended,
            has_sizes: true,
            has_framing: true,
            is_dump_due: false,
        })
    }

    fn begin_in_file(
        &self,
        path: &Path,
        layout: Layout,
        sink: &dyn Sink,
        reporter: &Reporter,
    ) -> Result<Begun, Error> {
        let system = |error: io::Error| Error::io(Operation::RingFile, &error).about(&path.into());
        let kept = self.keep(path, layout, sink)?;
        let opening = Opening {
            framing: kept.framing,
            ..self.opening
        };
        let plan = kept.plan(path, opening, sink)?;
        let Kept {
            mut opened,
            id,
            note,
            framing,
            cleared,
            ..
        } = kept;
        let identity = Identity {
            id,
            mode: self.ring_mode(),
            framing: RingFraming::of(plan.wrap),
        };
        opened.identify(identity).map_err(system)?;
        sink.opened(id)
            .map_err(|error| Error::sink_refused(&error))?;
        let has_sizes = opened.layout == layout;
        let has_framing = framing == self.opening.framing;
        let (memory, inheritance) = self.map(path, opened, reporter)?;
        memory.journal().expect("it is mapped").note_log(&note);
        let (ring, mut drain, mut recovery) = if self.recorder {
            inheritance.take_over_recorder(memory)
        } else {
            inheritance.take_over(memory, sink, plan.standing)
        };
        let can_stay = has_sizes && has_framing && self.after_kill == AfterKill::Keep;
        let is_dump_due = self.recorder && recovery.bytes > 0 && !can_stay;
        if is_dump_due {
            recovery.dumped_bytes = recovery.bytes;
        }
        // A log of lines may end inside a record whose rest is in the ring.
        let may_continue = sink.cuts_records() && recovery.bytes > 0 && !self.recorder;
        let is_continued = (drain.ahead() > 0 && plan.is_end_ours) || may_continue;
        let end = plan.end.unwrap_or(drain.position());
        // If the log went on after the last record of the ring, the ring goes on there once it is
        // empty.
        let is_behind = plan.wrap.is_checked()
            && end > drain.position()
            && recovery.bytes > 0
            && recovery.already_written_bytes == recovery.bytes;
        if plan.wrap.is_checked() {
            drain.follow(end);
        }
        let mended = opening.mend(sink, &plan.found, (plan.wrap, end), is_continued)?;
        Ok(Begun {
            ring,
            drain,
            recovery: Some(recovery.after(cleared)),
            mended,
            has_sizes: has_sizes && !is_behind,
            has_framing,
            is_dump_due,
        })
    }

    /// Maps the ring file, and finds what it holds.
    fn map(
        &self,
        path: &Path,
        opened: RingFile,
        reporter: &Reporter,
    ) -> Result<(Mirror, Inheritance), Error> {
        let wrong = |problem| Error::ring_file(path, problem);
        let disk = opened.disk().filter(|_| !self.ring_on_disk);
        let memory = Mirror::map_file(opened)
            .map_err(|error| Error::io(Operation::RingFile, &error).about(&path.into()))?;
        let journal = memory.journal().expect("a mapped file has one");
        let inheritance = Inheritance::look(&memory, journal, self.ring_mode()).map_err(wrong)?;
        if let Some(file_system) = disk {
            reporter.report(wrong(Problem::OnDisk { file_system }));
        }
        Ok((memory, inheritance))
    }

    /// Opens the ring file, and checks that its records may go to the log of `sink`. Makes it anew
    /// if it holds none and has other sizes.
    fn keep(&self, path: &Path, layout: Layout, sink: &dyn Sink) -> Result<Kept, Error> {
        let system = |error: io::Error| Error::io(Operation::RingFile, &error).about(&path.into());
        let wrong = |problem| Error::ring_file(path, problem);
        let (asked, mode) = (self.opening.framing, self.ring_mode());
        let mut opened = RingFile::open(path, layout, mode, sink.file_id())?;
        if opened.layout.entry_len != layout.entry_len {
            return Err(wrong(Problem::OtherGeometry {
                found: opened.layout.to_string(),
                asked: layout.to_string(),
            }));
        }
        let had = opened.identity.mode;
        let (image, found) =
            Inheritance::read(&opened.file, opened.layout, had, false).map_err(system)?;
        let found = found.map_err(wrong)?;
        let Recovery { bytes, .. } = found.summary();
        if bytes > 0 && had != mode {
            let is_recorder = had == Mode::Recorder;
            return Err(wrong(Problem::OtherUse { is_recorder, bytes }));
        }
        let note = note_of(sink);
        let is_same = image.log.as_ref().is_none_or(|log| log.is_same_log(&note));
        if !self.other_log {
            found.check_log(image.log, &note).map_err(wrong)?;
        }
        let is_discarded =
            bytes > 0 && mode == Mode::Recorder && self.after_kill == AfterKill::Discard;
        let noted = opened.identity.framing;
        let says_nothing = opened.version == 1; // of the framing
        let framing = if bytes == 0 || is_discarded || (says_nothing && !is_checked(asked)) {
            Some(asked)
        } else {
            noted.option()
        };
        let framing = framing.filter(|framing| is_same || *framing == asked);
        let framing = framing.ok_or_else(|| {
            wrong(Problem::OtherFraming {
                found: noted.to_string(),
                asked: format!("{asked:?}"),
                bytes,
            })
        })?;
        let id = match opened.identity.id {
            id if is_same => id,
            _ => random_id().map_err(system)?,
        };
        let mut cleared = Recovery::default();
        let is_other = opened.layout != layout || had != mode;
        if is_discarded || (bytes == 0 && is_other) {
            (opened.identity.id, opened.identity.mode) = (id, mode);
            opened.make_anew(layout).map_err(system)?;
            cleared = found.summary();
            cleared.discarded_bytes = bytes;
        }
        Ok(Kept {
            opened,
            id,
            is_same,
            note,
            framing,
            found,
            cleared,
        })
    }
}

impl Kept {
    /// Looks at the log, and finds out how it and the ring go together.
    #[cfg_attr(
        not(feature = "frames"),
        expect(unused_variables, reason = "for frames")
    )]
    fn plan(&self, path: &Path, opening: Opening, sink: &dyn Sink) -> Result<Plan, Error> {
        if sink.message_max().is_some() && self.framing == Framing::Raw && self.found.has_lanes() {
            return Err(Error::framing(FramingProblem::Messages));
        }
        #[cfg(feature = "frames")]
        if opening.framing == Framing::Checked {
            let ring = align::Ring {
                path,
                file: &self.opened,
                found: &self.found,
                is_of_log: self.is_same,
                note: &self.note,
            };
            return opening.align(&ring, sink);
        }
        let found = opening.look(sink)?;
        Ok(Plan {
            wrap: opening.wrap(&found)?,
            found,
            standing: None,
            end: None,
            is_end_ours: true,
        })
    }
}

#[cfg_attr(
    not(feature = "frames"),
    expect(unused_variables, reason = "for frames")
)]
fn is_checked(framing: Framing) -> bool {
    #[cfg(feature = "frames")]
    return framing == Framing::Checked;
    #[cfg(not(feature = "frames"))]
    return false;
}

/// Returns whether a queue with `ring_optional` opens in spite of `error`. It does not for a
/// mistake of the program, such as two queues on one ring file.
fn is_optional(error: &Error) -> bool {
    match error {
        Error::Io { operation, .. } => *operation == Operation::RingFile,
        Error::RingFile { problem, .. } => !matches!(
            **problem,
            Problem::InUse { .. } | Problem::IsTheLog | Problem::NotAppending
        ),
        _ => false,
    }
}
