//! Looking at a ring file from outside, whoever has it open. Nothing is changed.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::actors::Inheritance;
use crate::ends::log_file;
use crate::memory::{Image, read_layout};
use crate::primitives::os::file::{lock_holder, open_existing};
use crate::words::{Error, Intent, Layout, Live, Operation, Recovery, RingFileProblem};

/// What a ring file holds, and what its queue is doing.
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
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct State {
    /// The bytes of the ring.
    pub capacity_bytes: u64,
    /// The length and the number of the entries of a fixed queue.
    pub fixed: Option<(usize, usize)>,
    /// The log that its records are for, where it was opened; `None` for a pipe or a socket, and if it is not known.
    pub log: Option<PathBuf>,
    /// The process that has it open, as far as the system tells (`/proc/locks`).
    pub pid: Option<u32>,
    /// What a recovery would find. While the file is in use, `skipped` are the reservations that are open, and nothing is
    /// known of what is being written, or damaged.
    pub pending: Recovery,
    /// Bytes of the ring in use, padding included, up to the last posted record.
    pub fill_bytes: u64,
    /// What its queue has shown of itself.
    pub live: Live,
}

/// Looks at the ring file at `path`, without its lock. Of one that is in use it shows a moment, or nearly: what was read first
/// may be older than what was read last.
///
/// # Errors
///
/// [`Error::RingFile`] if it is none, or cannot be read by this version; [`Error::Io`] with what the system said.
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
    let len = file.metadata().map_err(system)?.len();
    let layout = read_layout(&file, len).map_err(system)?.map_err(wrong)?;
    let pid_before = lock_holder(&file);
    let (image, inheritance) = look(&file, layout).map_err(system)?;
    let inheritance = inheritance.map_err(wrong)?;
    let pid = pid_before.or_else(|| lock_holder(&file));
    let log = image.log.and_then(|note| note.path);
    let mut pending = inheritance.summary();
    if pid.is_some() {
        pending.damaged = 0; // words that contradict each other were read while they changed
    } else {
        let outcome = inheritance.under_way().map(|(intent, runs)| {
            let held = held(&file, layout, log.as_deref(), &intent, &runs);
            let bytes = runs.iter().map(|run| run.1).sum();
            (bytes, held.ok().flatten())
        });
        inheritance.account(&mut pending, outcome);
    }
    let entry_len = layout.entry_len as usize;
    Ok(State {
        capacity_bytes: u64::from(layout.geometry.capacity()),
        fixed: (entry_len > 0).then_some((entry_len, layout.geometry.spans_max() as usize)),
        log,
        pid,
        pending,
        fill_bytes: inheritance.fill_bytes(),
        live: image.live,
    })
}

/// How often a file is looked at that seems damaged.
const LOOKS: usize = 10;

/// Reads the words of the ring. Those that contradict each other may have been read while they changed, so they are read again.
fn look(file: &File, layout: Layout) -> io::Result<(Image, Result<Inheritance, RingFileProblem>)> {
    let mut looks = 0;
    loop {
        let image = Image::read(file, layout)?;
        let found = Inheritance::of(layout.geometry, image.entries, |at| image.slot(at));
        let is_sound = |found: &Inheritance| found.summary().damaged == 0;
        looks += 1;
        if found.as_ref().is_ok_and(is_sound) || looks == LOOKS {
            return Ok((image, found));
        }
    }
}

/// How much of the write that was under way the log holds.
fn held(
    file: &File,
    layout: Layout,
    log: Option<&Path>,
    intent: &Intent,
    runs: &[(u32, u32)],
) -> io::Result<Option<u32>> {
    // Whatever the path leads to by now: it is not waited for, and read only if it is a regular file.
    let log = open_existing(log.ok_or(io::ErrorKind::NotFound)?, false)?;
    if !log.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    for &(pos, len) in runs {
        let offset = layout.geometry.offset(pos);
        let first = (len as usize).min(layout.geometry.capacity() as usize - offset);
        for (at, len) in [(offset, first), (0, len as usize - first)] {
            let start = bytes.len();
            bytes.resize(start + len, 0);
            file.read_exact_at(&mut bytes[start..], (layout.bytes_at() + at) as u64)?;
        }
    }
    let held = log_file::held(&log, &intent.end, &[IoSlice::new(&bytes)])?;
    Ok(held.map(|held| held as u32))
}
