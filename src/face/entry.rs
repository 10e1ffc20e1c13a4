//! The entry: a piece of the ring, filled in place.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use std::io;

use super::aside::OwnMemory;
use super::fill::Fill;
use super::reserved::{Begun, Reserved};
use crate::actors::Shared;
use crate::memory::Mirror;
use crate::ring::{Claim, Owner, Reservation};
use crate::words::{Error, Flags, Position};

/// A reservation: contiguous bytes of the ring itself, to be filled in place and posted. Source:
/// `struct ale` in alq(9), where `ae_data` is the slice and `ae_bytesused` is
/// [`bytes_used`](Entry::bytes_used).
///
/// [`Queue::getn`](crate::Queue::getn) gives one with a span of its own, of which any number may be
/// open. [`Lane::getn`](crate::Lane::getn) gives a [`LaneEntry`], of which a lane has one at a time.
///
/// There are two ways to fill it. As a slice: a post appends the first `bytes_used` bytes, which is
/// the whole reservation unless [`set_bytes_used`](Entry::set_bytes_used) says less. The slice shows
/// what an earlier record left there until it is filled, so post only what you have filled. As a
/// writer: the first `write!` sets `bytes_used` to 0, and each one appends.
///
/// Dropped without [`post`](Entry::post) it posts nothing and holds up no other record. Forgotten
/// ([`core::mem::forget`]), an entry of a queue stays open until the queue is closed: the drain stops
/// in front of it, and `flush` and `close` return [`Error::Held`]; an entry of a lane is taken back
/// when the lane next appends, seals, or is dropped. An entry that lives across a fork(2) is the
/// parent's: its post and its drop do nothing in the child.
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
pub struct Entry<'q, R: Reserved = Claim> {
    shared: &'q Shared<Mirror>,
    /// What it has of the ring.
    room: R,
    /// Its memory where the queue goes on without its ring.
    own: Option<OwnMemory>,
    fill: Fill,
    /// An entry may go to another thread, but two threads cannot share it.
    _not_sync: PhantomData<Cell<()>>,
}

/// An [`Entry`] in a [`Lane`](crate::Lane), from [`Lane::getn`](crate::Lane::getn).
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.log");
/// # let queue = alq::Options::new().open(&path)?;
/// let mut lane = queue.lane();
/// let mut entry: alq::LaneEntry<'_> = lane.getn(16, alq::Flags::WAITOK)?;
/// entry[..6].copy_from_slice(b"abcde\n");
/// entry.set_bytes_used(6);
/// entry.post();
/// queue.flush()?;
/// assert_eq!(std::fs::read(&path)?, b"abcde\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type LaneEntry<'l> = Entry<'l, Begun<'l>>;

impl<'q> Entry<'q> {
    #[inline]
    pub(super) fn new(shared: &'q Shared<Mirror>, reservation: Reservation<'q, Mirror>) -> Self {
        Self {
            shared,
            fill: Fill::whole(reservation.len()),
            room: reservation.into_claim(),
            own: None,
            _not_sync: PhantomData,
        }
    }

    /// An entry without a reservation: its post appends past the ring.
    pub(super) fn of_its_own(shared: &'q Shared<Mirror>, memory: OwnMemory) -> Self {
        let len = memory.len();
        Self::of(shared, Claim::NONE, Some(memory), len)
    }

    pub(super) fn queue_id(&self) -> u64 {
        self.shared.id
    }

    /// The claim of the ring, or memory of its own in its place. The caller must post it.
    #[inline]
    pub(super) fn into_parts(self) -> (Claim, Option<OwnMemory>) {
        let mut this = ManuallyDrop::new(self);
        (this.room.take(), this.own.take())
    }
}

impl<'l> Entry<'l, Begun<'l>> {
    /// A record of `len` bytes that `owner` has begun, or that has memory of its own.
    #[inline]
    pub(super) fn in_lane(
        shared: &'l Shared<Mirror>,
        owner: &'l mut Owner,
        own: Option<OwnMemory>,
        len: usize,
    ) -> Self {
        Self::of(shared, Begun { owner, len }, own, len)
    }
}

impl<'q, R: Reserved> Entry<'q, R> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for `end`")]
    fn of(shared: &'q Shared<Mirror>, room: R, own: Option<OwnMemory>, len: usize) -> Self {
        Self {
            shared,
            room,
            own,
            fill: Fill::whole(len),
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
        let len = match &self.own {
            None => self.room.len(),
            Some(own) => own.len(),
        };
        self.fill.set(n, len);
    }

    /// Publishes the used bytes and wakes the drain if it sleeps. Never blocks, never fails. Source:
    /// `alq_post` in alq(9).
    ///
    /// Returns where the record ends in the stream of the queue. Room that was reserved and not used
    /// is given back at once if nothing has been reserved after it; in a lane, always to its next
    /// record.
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

    /// [`post`](Entry::post) with flags: [`Flags::NOACTIVATE`] does not wake the drain. The others
    /// mean nothing here. Source: `alq_post_flags` in alq(9).
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
        let (shared, own) = (this.shared, this.own.take());
        end::<R>(shared, this.room.take(), own, used, flags)
    }

    /// Appends formatted text, with neither trait in scope: what `write!(entry, ..)` calls.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if it does not fit; what fitted is kept. `len` is what would have been
    /// needed so far. [`Error::Format`] if a `Display` failed by itself.
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

/// The end of an entry, which it gets in parts: see [`Reserved`].
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the hot path; only the place that makes an entry knows what its parts are"
)]
fn end<R: Reserved>(
    shared: &Shared<Mirror>,
    taken: R::Taken<'_>,
    own: Option<OwnMemory>,
    used: u32,
    flags: Flags,
) -> Position {
    // Looked at first: where an entry was just made, the compiler knows that it is `None`.
    if own.is_some() || shared.here().is_err() {
        return R::end_aside(taken, shared, own, used);
    }
    let posted = R::post(taken, &shared.ring, used);
    shared.posted(posted, flags.activates());
    Position::new(shared.id, posted.end)
}

/// The end of an entry that is dropped. It wakes the drain, which alone frees the slot.
#[cold]
fn give_up<R: Reserved>(shared: &Shared<Mirror>, taken: R::Taken<'_>, own: Option<OwnMemory>) {
    end::<R>(shared, taken, own, 0, Flags::empty());
}

impl<R: Reserved> Deref for Entry<'_, R> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.own {
            None => self.room.bytes(&self.shared.ring),
            Some(own) => own,
        }
    }
}

impl<R: Reserved> DerefMut for Entry<'_, R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.own {
            None => self.room.bytes_mut(&self.shared.ring),
            Some(own) => own,
        }
    }
}

impl<R: Reserved> io::Write for Entry<'_, R> {
    /// Appends what fits; 0 when the entry is full, which `write_all` makes an error of kind
    /// `WriteZero`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.append(bytes))
    }

    /// Does nothing: the bytes are in the ring, and [`post`](Entry::post) publishes them.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<R: Reserved> fmt::Write for Entry<'_, R> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.append(text.as_bytes()) == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

impl<R: Reserved> Drop for Entry<'_, R> {
    /// Posts nothing; what waits for the entry goes on.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "as a call it would get the entry by its address: see `Reserved`"
    )]
    fn drop(&mut self) {
        give_up::<R>(self.shared, self.room.take(), self.own.take());
    }
}
