//! The entry: a piece of the ring, filled in place.

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
use crate::ring::{Claim, Reservation};
use crate::words::{Error, Flags, Position};

/// A reservation: contiguous bytes of the ring itself, to be filled in place and posted. Source: `struct ale` in
/// alq(9), where `ae_data` is the slice and `ae_bytesused` is [`bytes_used`](Entry::bytes_used).
///
/// There are two ways to fill it. As a slice: the whole reservation, of which the first `bytes_used` are posted, all
/// of it unless [`set_bytes_used`](Entry::set_bytes_used) says less; it shows what an earlier record left there
/// until it is filled, so post only what you have filled. As a writer: the first `write!` sets `bytes_used` to 0,
/// and each one appends.
///
/// Dropped without [`post`](Entry::post) it posts nothing and holds up nobody. Forgotten ([`core::mem::forget`]) it
/// stays open for ever: the drain stops in front of it, `flush` and `close` say [`Error::Held`]. One that lives across a
/// fork(2) is the parent's: its post and its drop do nothing in the child.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// # let queue = alq::Options::new().open(&path)?;
/// use alq::Flags;
///
/// let mut entry = queue.getn(16, Flags::WAITOK)?;
/// entry[..6].copy_from_slice(b"abcde\n");
/// entry.set_bytes_used(6);
/// entry.post();
/// queue.flush()?;
/// assert_eq!(std::fs::read(&path)?, b"abcde\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an entry posts nothing until `post` is called"]
pub struct Entry<'q> {
    shared: &'q Shared<Mirror>,
    /// What it has of the ring; nothing, if it has memory of its own.
    claim: Claim,
    /// Its memory where the queue goes on without its ring.
    own: Option<OwnMemory>,
    fill: Fill,
    /// An entry may go to another thread, but two cannot share it.
    _not_sync: PhantomData<Cell<()>>,
}

impl<'q> Entry<'q> {
    #[inline]
    pub(super) fn new(shared: &'q Shared<Mirror>, reservation: Reservation<'q, Mirror>) -> Self {
        Self {
            shared,
            fill: Fill::whole(reservation.len()),
            claim: reservation.into_claim(),
            own: None,
            _not_sync: PhantomData,
        }
    }

    /// One that is no reservation: its post appends past the ring.
    pub(super) fn of_its_own(shared: &'q Shared<Mirror>, memory: OwnMemory) -> Self {
        Self {
            shared,
            fill: Fill::whole(memory.len()),
            claim: Claim::NONE,
            own: Some(memory),
            _not_sync: PhantomData,
        }
    }

    /// How many bytes, from the first on, a post would append: the whole reservation at first.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut entry = queue.getn(10, alq::Flags::NOWAIT)?;
    /// assert_eq!(entry.bytes_used(), 10);
    /// write!(entry, "four")?;
    /// assert_eq!(entry.bytes_used(), 4);
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
    /// let mut entry = queue.getn(10, alq::Flags::NOWAIT)?;
    /// entry.set_bytes_used(0);
    /// entry.post(); // appends nothing
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn set_bytes_used(&mut self, n: usize) {
        let len = self.len();
        self.fill.set(n, len);
    }

    /// Publishes the used bytes and wakes the drain if it sleeps. Never blocks, never fails. Source: `alq_post` in
    /// alq(9).
    ///
    /// Returns where the record ends in the stream of the queue. Room that was reserved and not used is given back
    /// at once if nothing has been reserved behind it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut entry = queue.getn(100, alq::Flags::NOWAIT)?;
    /// write!(entry, "short\n")?;
    /// assert_eq!(entry.post().bytes(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn post(self) -> Position {
        self.post_flags(Flags::empty())
    }

    /// [`post`](Entry::post) with flags: [`Flags::NOACTIVATE`] does not wake the drain. The others mean nothing here.
    /// Source: `alq_post_flags` in alq(9).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let entry = queue.getn(1, alq::Flags::NOWAIT)?;
    /// entry.post_flags(alq::Flags::NOACTIVATE);
    /// queue.activate();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn post_flags(self, flags: Flags) -> Position {
        let mut this = ManuallyDrop::new(self);
        let used = this.fill.used() as u32;
        end(this.shared, this.claim.take(), this.own.take(), used, flags)
    }

    pub(super) fn queue_id(&self) -> u64 {
        self.shared.id
    }

    /// The claim of the ring, or in its place memory of its own. The caller has the duty to post it.
    #[inline]
    pub(super) fn into_parts(self) -> (Claim, Option<OwnMemory>) {
        let mut this = ManuallyDrop::new(self);
        (this.claim.take(), this.own.take())
    }

    /// Appends formatted text, with neither trait in scope: what `write!(entry, ..)` calls.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if it does not fit; what fitted is kept. `len` is what would have been needed so far.
    /// [`Error::Format`] if a `Display` failed by itself.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut entry = queue.getn(4, alq::Flags::NOWAIT)?;
    /// assert_eq!(write!(entry, "123456"), Err(alq::Error::TooLarge { len: 6, max: 4 }));
    /// assert_eq!(&entry[..entry.bytes_used()], b"1234");
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

/// The end of an entry. It gets the parts, so that an entry itself need never be in memory: a copy of one, in pieces of another
/// size than those that it was stored in, waits for the stores.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the hot path; what its parts are is known only where it is made"
)]
fn end(
    shared: &Shared<Mirror>,
    claim: Claim,
    own: Option<OwnMemory>,
    used: u32,
    flags: Flags,
) -> Position {
    if own.is_some() || !shared.home.is_here() {
        return end_aside(shared, claim.start(), own, used);
    }
    let posted = shared.ring.post(claim, used);
    shared.posted(posted, flags.activates());
    Position::new(shared.id, posted.end)
}

/// The end of one that is none of the ring, or of another process.
#[cold]
fn end_aside(shared: &Shared<Mirror>, start: u64, own: Option<OwnMemory>, used: u32) -> Position {
    match own {
        Some(own) => aside::post(shared, &own[..used as usize]),
        None => aside::leave_to_the_parent(shared, start),
    }
}

/// The end of one that is dropped. It wakes the drain: the descriptor, if not the bytes, is free only when that has been there.
#[cold]
fn give_up(shared: &Shared<Mirror>, claim: Claim, own: Option<OwnMemory>) {
    end(shared, claim, own, 0, Flags::empty());
}

impl Deref for Entry<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.own {
            None => self.shared.ring.bytes(&self.claim),
            Some(own) => own,
        }
    }
}

impl DerefMut for Entry<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.own {
            None => self.shared.ring.bytes_mut(&mut self.claim),
            Some(own) => own,
        }
    }
}

impl io::Write for Entry<'_> {
    /// Appends what fits; 0 when the entry is full, which `write_all` makes an error of kind `WriteZero`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.append(bytes))
    }

    /// Does nothing: the bytes are in the ring, and [`post`](Entry::post) publishes them.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for Entry<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.append(text.as_bytes()) == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

impl Drop for Entry<'_> {
    /// Posts nothing; what waits behind the entry goes on.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "as a call it would get the entry by its address: see `end`"
    )]
    fn drop(&mut self) {
        give_up(self.shared, self.claim.take(), self.own.take());
    }
}
