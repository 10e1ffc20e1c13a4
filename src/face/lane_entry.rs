//! The entry of a lane: a piece of its span, filled in place.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use std::io;

use super::aside::{self, OwnMemory};
use super::fill::Fill;
use crate::actors::Shared;
use crate::memory::Mirror;
use crate::ring::Owner;
use crate::words::{Error, Flags, Position};

/// A reservation in a [`Lane`](crate::Lane), from [`Lane::getn`](crate::Lane::getn): as an [`Entry`](crate::Entry), but only one is open at a time.
///
/// As a slice it shows what an earlier record left there, and posted without having been written to, it appends all of that:
/// fill it, or say with [`set_bytes_used`](LaneEntry::set_bytes_used) how much you have filled; `write!` does so itself.
///
/// Dropped without [`post`](LaneEntry::post) it posts nothing and holds up nobody. Forgotten ([`core::mem::forget`]), it
/// is taken back when the lane next appends, seals, or is dropped.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// # let queue = alq::Options::new().open(&path)?;
/// let mut lane = queue.lane();
/// let mut entry = lane.getn(16, alq::Flags::WAITOK)?;
/// entry[..6].copy_from_slice(b"abcde\n");
/// entry.set_bytes_used(6);
/// entry.post();
/// queue.flush()?;
/// assert_eq!(std::fs::read(&path)?, b"abcde\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an entry posts nothing until `post` is called"]
pub struct LaneEntry<'l> {
    shared: &'l Shared<Mirror>,
    owner: &'l mut Owner,
    /// Its memory where the queue goes on without its ring.
    own: Option<OwnMemory>,
    len: usize, // a whole word: see `Fill`
    fill: Fill,
    /// As an entry of a queue: it may go to another thread, but two cannot share it.
    _not_sync: PhantomData<Cell<()>>,
}

impl<'l> LaneEntry<'l> {
    /// A record of `len` bytes that `owner` has begun, or that has memory of its own.
    #[inline]
    pub(super) fn new(
        shared: &'l Shared<Mirror>,
        owner: &'l mut Owner,
        own: Option<OwnMemory>,
        len: usize,
    ) -> Self {
        Self {
            shared,
            owner,
            own,
            len,
            fill: Fill::whole(len),
            _not_sync: PhantomData,
        }
    }

    /// How many bytes, from the first on, a post would append. As [`Entry::bytes_used`](crate::Entry::bytes_used).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut lane = queue.lane();
    /// let mut entry = lane.getn(10, alq::Flags::NOWAIT)?;
    /// write!(entry, "four")?;
    /// assert_eq!((entry.len(), entry.bytes_used()), (10, 4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn bytes_used(&self) -> usize {
        self.fill.used()
    }

    /// Sets how many bytes a post appends, and where the next `write!` goes on; 0 posts nothing.
    ///
    /// # Panics
    ///
    /// If `n` is more than was reserved.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut lane = queue.lane();
    /// let mut entry = lane.getn(10, alq::Flags::NOWAIT)?;
    /// entry.set_bytes_used(0);
    /// entry.post(); // appends nothing
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn set_bytes_used(&mut self, n: usize) {
        self.fill.set(n, self.len);
    }

    /// Publishes the used bytes and wakes the drain if it sleeps. Never blocks, never fails. As
    /// [`Entry::post`](crate::Entry::post).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut lane = queue.lane();
    /// let mut entry = lane.getn(100, alq::Flags::NOWAIT)?;
    /// write!(entry, "short\n")?;
    /// assert_eq!(entry.post().bytes(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn post(self) -> Position {
        self.post_flags(Flags::empty())
    }

    /// [`post`](LaneEntry::post) with flags, of which only [`Flags::NOACTIVATE`] means something here. As
    /// [`Entry::post_flags`](crate::Entry::post_flags).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut lane = queue.lane();
    /// lane.getn(1, alq::Flags::NOWAIT)?.post_flags(alq::Flags::NOACTIVATE);
    /// queue.activate();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn post_flags(self, flags: Flags) -> Position {
        let used = self.fill.used() as u32;
        let mut this = ManuallyDrop::new(self);
        let this = &mut *this;
        end(this.shared, this.owner, this.own.take(), used, flags)
    }

    /// Appends formatted text, with neither trait in scope: what `write!(entry, ..)` calls. As
    /// [`Entry::write_fmt`](crate::Entry::write_fmt).
    ///
    /// # Errors
    ///
    /// As [`Entry::write_fmt`](crate::Entry::write_fmt).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut lane = queue.lane();
    /// let mut entry = lane.getn(4, alq::Flags::NOWAIT)?;
    /// assert_eq!(write!(entry, "123456"), Err(alq::Error::TooLarge { len: 6, max: 4 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> Result<(), Error> {
        let mut fill = self.fill;
        let result = fill.append_fmt(self, args);
        self.fill = fill;
        result
    }

    fn append(&mut self, bytes: &[u8]) -> usize {
        let mut fill = self.fill;
        let len = fill.append(self, bytes);
        self.fill = fill;
        len
    }
}

/// The end of an entry, which it gets in parts: as for [`Entry`](crate::Entry).
#[inline(always)]
#[expect(clippy::inline_always, reason = "as for `Entry`")]
fn end(
    shared: &Shared<Mirror>,
    owner: &mut Owner,
    own: Option<OwnMemory>,
    used: u32,
    flags: Flags,
) -> Position {
    if own.is_some() || !shared.home.is_here() {
        return end_aside(shared, owner, own, used);
    }
    let posted = owner.post(&shared.ring, used);
    shared.posted(posted, flags.activates());
    Position::new(shared.id, posted.end)
}

/// The end of one that is none of the ring, or of another process.
#[cold]
fn end_aside(
    shared: &Shared<Mirror>,
    owner: &mut Owner,
    own: Option<OwnMemory>,
    used: u32,
) -> Position {
    if let Some(own) = own {
        let position = aside::post(shared, &own[..used as usize]);
        if used > 0 {
            owner.set_position(position.bytes());
        }
    } else {
        // In a child of fork(2): it is the parent's, who posts it or not.
        shared.aside.foreign.add(1);
    }
    Position::new(shared.id, owner.position())
}

/// The end of one that is dropped.
#[cold]
fn give_up(shared: &Shared<Mirror>, owner: &mut Owner, own: Option<OwnMemory>) {
    end(shared, owner, own, 0, Flags::empty());
}

impl Deref for LaneEntry<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.own {
            None => self.owner.bytes(&self.shared.ring, self.len as u32),
            Some(own) => &own[..self.len],
        }
    }
}

impl DerefMut for LaneEntry<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.own {
            None => self.owner.bytes_mut(&self.shared.ring, self.len as u32),
            Some(own) => &mut own[..self.len],
        }
    }
}

impl io::Write for LaneEntry<'_> {
    /// Appends what fits; 0 when the entry is full, which `write_all` makes an error of kind `WriteZero`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.append(bytes))
    }

    /// Does nothing: the bytes are in the ring, and [`post`](LaneEntry::post) publishes them.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for LaneEntry<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.append(text.as_bytes()) == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

impl Drop for LaneEntry<'_> {
    /// Posts nothing; what waits behind the entry goes on.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `Entry`")]
    fn drop(&mut self) {
        give_up(self.shared, self.owner, self.own.take());
    }
}
