//! Copies the records of a recorder out of its ring file, from outside: of a process that is gone,
//! or of one that goes on appending. Nothing here takes a lock or changes the file.
//!
//! The copy is checked as with a seqlock. A claim stores where the oldest record is before it
//! overwrites one. So the records that are still kept after the copy were whole during the copy.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::inspect::{Owner, owner};
use crate::actors::Inheritance;
use crate::memory::{Image, read_title};
use crate::primitives::os::file::open_existing;
use crate::primitives::sync::{Ordering, fence, unless_mutant};
use crate::words::{
    Dump, Error, Framing, Geometry, Layout, Mode, Operation, RingFileProblem as Problem, Wrap,
};

/// The records in the ring file of a [recorder](crate::Options::recorder), copied by [`dump`].
///
/// ```
/// use alq::{Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
/// let queue = Options::new().recorder(true).ring_file(&ring).open(&log)?;
/// queue.writen(b"one\n", Flags::NOWAIT)?;
/// queue.writen(b"two\n", Flags::NOWAIT)?;
/// let found = alq::ring_file::dump(&ring, "a look")?;
/// assert_eq!(found.records().collect::<Vec<_>>(), [b"one\n", b"two\n"]);
/// assert_eq!((found.in_use, found.dump.records), (true, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RingDump {
    /// What was copied. Its `Display` is the line that a dump begins with.
    pub dump: Dump,
    /// How the records are framed.
    pub framing: Framing,
    /// The path of the log of the recorder, if it is known.
    pub log: Option<PathBuf>,
    /// Whether a process has the file open, in this PID namespace or in another.
    pub in_use: bool,
    /// That process, if it is visible from here.
    pub pid: Option<u32>,
    /// Slots with invalid words, whose records are left out. Always 0 while the file is in use:
    /// then words may be read while they change.
    pub damaged_slots: u64,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    has_line: bool,
}

impl RingDump {
    /// Returns the line that a dump begins with, framed as the records are; empty if all records
    /// have one length. It is the default one: the function of the recorder's
    /// [`dump_line_with`](crate::Options::dump_line_with) is in another process. A program that has
    /// the same function calls it with [`dump`](Self::dump).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
    /// let queue = alq::Options::new().recorder(true).ring_file(&ring).open(&log)?;
    /// let line = alq::ring_file::dump(&ring, "a look")?.line();
    /// let none = "--- 0 records (0 bytes) follow; 0 older ones were overwritten; reason: a look ---";
    /// assert_eq!(String::from_utf8(line)?, format!("{none}\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        match Wrap::plain(self.framing) {
            Ok(wrap) if self.has_line => wrap.around(format!("{}\n", self.dump).as_bytes()),
            _ => Vec::new(),
        }
    }

    /// Returns the bytes of all records, in order, with what the
    /// [framing](crate::Options::framing) adds.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
    /// let queue = alq::Options::new().recorder(true).ring_file(&ring).open(&log)?;
    /// queue.writen(b"one\n", alq::Flags::NOWAIT)?;
    /// assert_eq!(alq::ring_file::dump(&ring, "a look")?.bytes(), b"one\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the records, in order.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
    /// let queue = alq::Options::new().recorder(true).ring_file(&ring).open(&log)?;
    /// queue.writen(b"one\n", alq::Flags::NOWAIT)?;
    /// for record in alq::ring_file::dump(&ring, "a look")?.records() {
    ///     assert_eq!(record, b"one\n");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = core::iter::once(0).chain(self.ends.iter().copied());
        let records = starts.zip(&self.ends);
        records.map(|(from, to)| &self.bytes[from..*to])
    }
}

/// How often a ring that changes during the copy is copied.
const TRIES: usize = 100;

/// Copies the records out of the ring file of a [recorder](crate::Options::recorder), with `reason`
/// in its line. Changes nothing: the recorder keeps them.
///
/// The file may be in use. The copy is then one run of neighbouring records up to the last one that
/// was posted before the call, as a [`Queue::dump`](crate::Queue::dump) is; records that are
/// overwritten during the copy are left out. It takes no lock and does not stop the process. It
/// needs memory for the records, at most 1 GiB.
///
/// # Errors
///
/// [`Error::RingFile`] if it is not the ring file of a recorder, if it is damaged, or if its
/// process overwrote all records in each of 100 tries; [`Error::Io`] with the error of the system,
/// `ENOMEM` if there is no memory for the copy.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
/// let queue = alq::Options::new().ring_file(&ring).open(&log)?;
/// let error = alq::ring_file::dump(&ring, "a look").unwrap_err();
/// assert!(matches!(error, alq::Error::RingFile { .. })); // it is no recorder
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn dump(path: impl AsRef<Path>, reason: &str) -> Result<RingDump, Error> {
    let path = path.as_ref();
    let system = |error: io::Error| Error::io(Operation::RingFile, &error).about(&path.into());
    let wrong = |problem| Error::ring_file(path, problem);
    let file = open_existing(path, false).map_err(system)?;
    let title = read_title(&file).map_err(system)?.map_err(wrong)?;
    if title.identity.is_some() && title.mode() == Mode::Queue {
        return Err(wrong(Problem::NotARecorder));
    }
    for _ in 0..TRIES {
        let Owner { pid, in_use } = owner(&file);
        let copied = match title.layout {
            Some(layout) => copy(&file, layout, in_use).map_err(system)?,
            None => Ok(Some(RingDump::default())), // a process is creating it
        };
        if let Some(found) = copied.map_err(wrong)? {
            let framing = title.identity.and_then(|of| of.framing.option());
            let framing = framing.unwrap_or_default();
            let entry_len = title.layout.map_or(0, |layout| layout.entry_len);
            return Ok(RingDump {
                has_line: entry_len == 0 && !matches!(framing, Framing::Fixed(_)),
                framing,
                dump: Dump {
                    reason: reason.to_owned(),
                    ..found.dump
                },
                in_use,
                pid,
                ..found
            });
        }
    }
    Err(wrong(Problem::KeepsChanging))
}

/// Copies once. `None` if all records were overwritten meanwhile.
fn copy(
    file: &File,
    layout: Layout,
    in_use: bool,
) -> io::Result<Result<Option<RingDump>, Problem>> {
    let (image, found) = Inheritance::read(file, layout, Mode::Recorder, in_use)?;
    let mut found = match found {
        Ok(found) => found,
        Err(problem) => return Ok(Err(problem)),
    };
    let mut first = image.oldest.tail;
    let damaged_slots = found.summary().damaged_slots;
    if in_use {
        // Where the oldest record is after a look: what was seen before that is overwritten. And a
        // span that was posted during the first look may stand before one that the look has seen. So
        // the spans up to the last one that was seen are read again.
        let found_in = |image: &Image, oldest| {
            let slot = |at| image.slot(at);
            Inheritance::of(layout.geometry, image.entries, Some(oldest), slot)
        };
        let seen = Image::oldest(file)?;
        let last = found_in(&image, seen).map(|found| found.spans().last().map(|span| span.0));
        let image = Image::read(file, layout)?;
        let oldest = Image::oldest(file)?;
        let (last, again) = match (last, found_in(&image, oldest)) {
            (Ok(last), Ok(again)) => (last, again),
            (Err(problem), _) | (_, Err(problem)) => return Ok(Err(problem)),
        };
        let moved = oldest.tail.seq.saturating_sub(seen.tail.seq);
        let last = last.and_then(|last| u64::from(last).checked_sub(moved));
        found = again.up_to(last.map(|last| last as u32));
        first = oldest.tail;
    }
    let spans: Vec<_> = found.spans().collect();
    let bytes = read_spans(file, layout, first.pos as u32, &spans)?;
    // [journal.copied] Acquire, pairs with [journal.freed]: a byte of a later owner was copied only
    // if this look finds its record free.
    fence(unless_mutant("journal.copied", Ordering::Acquire));
    let now = Image::oldest(file)?;
    let free = now.tail.seq.saturating_sub(first.seq);
    let kept = spans.partition_point(|span| u64::from(span.0) < free);
    if kept == spans.len() && now.tail.seq != image.oldest.tail.seq {
        return Ok(Ok(None));
    }
    let mut copied = cut(bytes, &spans, kept, free);
    copied.log = image.log.and_then(|note| note.path);
    copied.damaged_slots = if in_use { 0 } else { damaged_slots };
    let [records, lost] = now.overwritten;
    (
        copied.dump.overwritten_records,
        copied.dump.overwritten_bytes,
    ) = (records, lost);
    Ok(Ok(Some(copied)))
}

/// Leaves out the first `kept` of `spans`, and counts the rest. `free` sequences are free.
fn cut(mut bytes: Vec<u8>, spans: &[(u32, u32, u32)], kept: usize, free: u64) -> RingDump {
    let before: usize = spans[..kept].iter().map(|span| span.2 as usize).sum();
    bytes.drain(..before);
    let spans = &spans[kept..];
    let mut end = 0;
    let records = spans.iter().filter(|span| span.2 > 0);
    let ends: Vec<usize> = records
        .map(|span| {
            end += span.2 as usize;
            end
        })
        .collect();
    let claimed = spans.last().map_or(0, |last| u64::from(last.0) + 1);
    RingDump {
        dump: Dump {
            records: ends.len() as u64,
            bytes: bytes.len() as u64,
            held: claimed
                .saturating_sub(free)
                .saturating_sub(spans.len() as u64),
            ..Dump::default()
        },
        bytes,
        ends,
        ..RingDump::default()
    }
}

/// Reads the bytes of `spans`, neighbours with one call. `base` is the position to which they are
/// relative.
fn read_spans(
    file: &File,
    layout: Layout,
    base: u32,
    spans: &[(u32, u32, u32)],
) -> io::Result<Vec<u8>> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for (_, start, len) in spans.iter().copied() {
        match runs.last_mut() {
            Some(last) if last.0 + last.1 == start => last.1 += len,
            _ => runs.push((start, len)),
        }
    }
    let total = runs.iter().map(|run| run.1 as usize).sum();
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(total)
        .map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    for (start, len) in runs {
        read_run(file, layout, base.wrapping_add(start), len, &mut bytes)?;
    }
    Ok(bytes)
}

/// Reads `len` bytes of the ring from `pos` on.
fn read_run(
    file: &File,
    layout: Layout,
    pos: u32,
    len: u32,
    bytes: &mut Vec<u8>,
) -> io::Result<()> {
    let geometry: Geometry = layout.geometry;
    let at = geometry.offset(pos);
    let to_end = (geometry.capacity() as usize - at).min(len as usize);
    for (at, len) in [(at, to_end), (0, len as usize - to_end)] {
        let from = bytes.len();
        bytes.resize(from + len, 0);
        file.read_exact_at(&mut bytes[from..], (layout.bytes_at() + at) as u64)?;
    }
    Ok(())
}
