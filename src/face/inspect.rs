//! Inspecting a ring file from outside, while any process may have it open. Nothing here takes a
//! lock or changes the file.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::actors::Inheritance;
use crate::ends::log_file;
use crate::memory::{Image, check_owner, noted_pid, read_title};
use crate::primitives::os::file::{disk_of, holder_of, is_locked, open_existing};
use crate::words::{
    Error, Framing, Intent, Layout, Live, LogEnd, Mode, Operation, Recovery, RingFileProblem,
    RingId,
};

/// Describes what a ring file holds, and what its queue is doing.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
/// let queue = alq::Options::new().capacity(1 << 16).ring_file(&ring).open(&log)?;
/// let state = alq::ring_file::inspect(&ring)?;
/// println!("{} of {} bytes in use", state.fill_bytes, state.capacity_bytes);
/// assert_eq!((state.log, state.capacity_bytes), (Some(log), 1 << 16));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct State {
    /// The capacity of the ring in bytes; 0 if the file is empty or all zeros, and so holds
    /// nothing.
    pub capacity_bytes: u64,
    /// The length and the number of the entries of a fixed queue; `None` on a variable queue.
    pub fixed: Option<(usize, usize)>,
    /// The path at which the log was opened; `None` for a pipe, a socket or a log with a `place`,
    /// and if it is not known.
    pub log: Option<PathBuf>,
    /// Where the log is, if it is no file: the [place](crate::Sink::place) that its sink has given.
    pub place: Option<String>,
    /// How the records are framed; `None` in a file of version 1, which does not say, and for a
    /// framing that this build does not have.
    pub framing: Option<Framing>,
    /// Which ring this is; `None` in a file of version 1, and in one that holds nothing.
    pub id: Option<RingId>,
    /// The identity of the log's file when it was opened, without its size; `None` for a pipe or a
    /// socket, and if it is not known. By now another file may have that path.
    pub log_end: Option<LogEnd>,
    /// Whether it is the ring of a [recorder](crate::Options::recorder). Its records are in
    /// `pending`: they are written when a dump is asked for, or when the next process opens the ring
    /// of a killed one.
    pub is_recorder: bool,
    /// Why a queue of this user would not open the file: another user can write to it. Its content
    /// must not be trusted then, and `inspect` opens no file that it names.
    pub untrusted: Option<RingFileProblem>,
    /// Whether a process has the file open, in this PID namespace or in another.
    pub in_use: bool,
    /// That process, if it is visible from here (`/proc/locks`).
    pub pid: Option<u32>,
    /// What a recovery would find. While the file is in use, `skipped_entries` counts the open
    /// reservations, and it is not known what is being written or damaged.
    pub pending: Recovery,
    /// How many bytes of the ring are in use, padding included, up to the last posted record.
    pub fill_bytes: u64,
    /// Bytes of records that a recorder has overwritten since its last dump. They are counted as it
    /// overwrites, unlike `live`.
    pub overwritten_bytes: u64,
    /// The number of those records.
    pub overwritten_records: u64,
    /// The counters that its queue has published. The flusher of a recorder publishes them at each
    /// dump, since appends do not wake it: `shown_ns` says when.
    pub live: Live,
    /// Why the log accepts no data, in the words of its sink
    /// ([`Sink::stall_reason`](crate::Sink::stall_reason)): of the stall in `live`, or of the write
    /// that has not returned. At most 488 bytes. `None` without a stall, if the sink has not said
    /// why, and in a file of version 1 or 2.
    ///
    /// The flusher publishes it with the counters. While a write does not return, the thread that
    /// runs callbacks does, after each [stall limit](crate::Options::stall_limit): the queue needs
    /// [`on_error`](crate::Options::on_error). The text may hold any character. Escape it for a
    /// terminal.
    pub stall_reason: Option<String>,
}

/// Inspects the ring file at `path`, without taking its lock. If the file is in use, the result is
/// not an exact snapshot: what was read first may be older than what was read last.
///
/// # Errors
///
/// [`Error::RingFile`] if it is not a ring file, or if this version cannot read it; [`Error::Io`]
/// with the error of the system.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
/// let queue = alq::Options::new().ring_file(&ring).open(&log)?;
/// let state = alq::ring_file::inspect(&ring)?;
/// assert_eq!(state.pid, Some(std::process::id()));
/// assert_eq!(state.pending.bytes, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn inspect(path: impl AsRef<Path>) -> Result<State, Error> {
    let path = path.as_ref();
    let system = |error: io::Error| Error::io(Operation::RingFile, &error).about(&path.into());
    let wrong = |problem| Error::ring_file(path, problem);
    let file = open_existing(path, false).map_err(system)?;
    let title = read_title(&file).map_err(system)?.map_err(wrong)?;
    let Some(layout) = title.layout else {
        return Ok(State {
            untrusted: check_owner(&file).map_err(system)?.err(),
            in_use: is_locked(&file), // a process is creating it
            id: title.identity.map(|identity| identity.id),
            ..State::default()
        });
    };
    let untrusted = check_owner(&file).map_err(system)?.err();
    let Owner { pid, in_use } = owner(&file);
    let (image, inheritance) = look(&file, layout, title.mode(), in_use).map_err(system)?;
    let inheritance = inheritance.map_err(wrong)?;
    let pid = pid.or_else(|| holder_of(&file, noted_pid(&file)));
    let in_use = in_use || pid.is_some() || is_locked(&file);
    let mut pending = inheritance.summary();
    if in_use {
        pending.damaged_slots = 0; // contradicting words were read while they changed
    } else {
        let outcome = inheritance.under_way().map(|(intent, runs)| {
            let log = image.log.as_ref().and_then(|note| note.path.as_deref());
            // A file that is named by a ring of another user is not opened.
            let log = log.filter(|_| untrusted.is_none());
            let held = log.and_then(|log| held(&file, layout, log, &intent, &runs).ok()?);
            (runs.iter().map(|run| run.1).sum(), held)
        });
        inheritance.account(&mut pending, outcome);
    }
    let entry_len = layout.entry_len as usize;
    let note = image.log.unwrap_or_default();
    let reason = image.reason.filter(|reason| reason.is_of(&image.live));
    let [overwritten_records, overwritten_bytes] = image.oldest.overwritten;
    Ok(State {
        capacity_bytes: u64::from(layout.geometry.capacity()),
        fixed: (entry_len > 0).then_some((entry_len, layout.geometry.spans_max() as usize)),
        log_end: Some(note.end).filter(|end| end.inode != 0),
        log: note.path,
        place: note.place,
        framing: title.identity.and_then(|of| of.framing.option()),
        id: title.identity.map(|identity| identity.id),
        is_recorder: title.mode() == Mode::Recorder,
        untrusted,
        in_use,
        pid,
        pending,
        fill_bytes: inheritance.fill_bytes(),
        stall_reason: reason.map(|reason| reason.text),
        overwritten_bytes,
        overwritten_records,
        live: image.live,
    })
}

/// Which process uses a ring file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    /// The process, if it is visible from here.
    pub pid: Option<u32>,
    pub in_use: bool,
}

pub(super) fn owner(file: &File) -> Owner {
    // When a process ends, it loses the lock that `is_locked` sees before the one that `holder_of`
    // sees. With `holder_of` asked first, it is never mistaken for a process of another namespace.
    let pid = holder_of(file, noted_pid(file));
    let in_use = pid.is_some() || is_locked(file);
    Owner { pid, in_use }
}

/// Returns the warning that [`on_error`](crate::Options::on_error) gets if the ring file at `path`
/// is on a file system that may make an append wait; `None` if it is not.
///
/// # Errors
///
/// [`Error::Io`] with the error of the system.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, ring) = (dir.path().join("app.log"), dir.path().join("app.ring"));
/// let queue = alq::Options::new().ring_file(&ring).open(&log)?;
/// if let Some(warning) = alq::ring_file::on_disk(&ring)? {
///     eprintln!("{}: {warning}", ring.display());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn on_disk(path: impl AsRef<Path>) -> Result<Option<RingFileProblem>, Error> {
    let path = path.as_ref();
    let file = open_existing(path, false);
    let disk = file.and_then(|file| disk_of(&file));
    let system = |error| Error::io(Operation::RingFile, &error).about(&path.into());
    let disk = disk.map_err(system)?;
    Ok(disk.map(|file_system| RingFileProblem::OnDisk { file_system }))
}

/// How often a file that seems damaged is read.
const LOOKS: usize = 10;

/// Reads the words of the ring. While the file is in use, contradicting words may have been read
/// while they changed, so they are read again.
fn look(
    file: &File,
    layout: Layout,
    mode: Mode,
    in_use: bool,
) -> io::Result<(Image, Result<Inheritance, RingFileProblem>)> {
    let mut looks = 0;
    loop {
        let (image, found) = Inheritance::read(file, layout, mode, in_use)?;
        let is_sound = |found: &Inheritance| found.summary().damaged_slots == 0;
        looks += 1;
        if !in_use || found.as_ref().is_ok_and(is_sound) || looks == LOOKS {
            return Ok((image, found));
        }
    }
}

/// How many bytes are compared at once.
const COMPARED_LEN: usize = 1 << 16;

/// Returns how many bytes of the write that was in progress the log holds; `None` if that cannot be
/// determined.
fn held(
    file: &File,
    layout: Layout,
    log: &Path,
    intent: &Intent,
    runs: &[(u32, u32)],
) -> io::Result<Option<u32>> {
    // The path may lead to any file by now: do not wait for it, and read it only if it is a regular
    // file.
    let log = open_existing(log, false)?;
    if !log.metadata()?.is_file() {
        return Ok(None);
    }
    let mut end = intent.end;
    let mut total = 0;
    let mut part = vec![0; COMPARED_LEN];
    for &(mut pos, mut left) in runs {
        while left > 0 {
            let offset = layout.geometry.offset(pos);
            let to_end = layout.geometry.capacity() as usize - offset;
            let part = &mut part[..(left as usize).min(to_end).min(COMPARED_LEN)];
            file.read_exact_at(part, (layout.bytes_at() + offset) as u64)?;
            let Some(held) = log_file::held(&log, &end, &[IoSlice::new(part)])? else {
                return Ok(None);
            };
            total += held as u32;
            if held < part.len() {
                return Ok(Some(total));
            }
            end.size_bytes += held as u64;
            pos = pos.wrapping_add(held as u32);
            left -= held as u32;
        }
    }
    Ok(Some(total))
}
