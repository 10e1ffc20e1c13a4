//! The entry: reserved bytes of the ring, filled in place.
//!
//! Owns the reservation from the claim to its post or drop. It may not touch other bytes of the
//! ring. [`Reserved`] says how an entry of the queue differs from one of a lane.

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

/// Holds a reservation: contiguous bytes of the ring, to be filled in place and posted. Source:
/// `struct ale` in alq(9), where `ae_data` is the slice and `ae_bytesused` is
/// [`bytes_used`](Entry::bytes_used).
///
/// [`Queue::getn`](crate::Queue::getn) returns an entry with its own span; any number of them may
/// be open. [`Lane::getn`](crate::Lane::getn) returns a [`LaneEntry`]; a lane has one at a time. An
/// entry may be sent to another thread.
///
/// There are two ways to fill it:
///
/// - As a slice. A post appends the first `bytes_used` bytes: the whole reservation, unless
///   [`set_bytes_used`](Entry::set_bytes_used) has set less. Until you fill it, the slice shows
///   bytes of an earlier record, so post only what you have filled.
/// - As a writer. The first `write!` sets `bytes_used` to 0, and each one appends.
///
/// An entry that is dropped without [`post`](Entry::post) posts nothing and blocks no other record.
/// If an entry of a queue is forgotten ([`core::mem::forget`]), it stays open until the queue is
/// closed: the drain stops in front of it, and `flush` and `close` return [`Error::Held`]. A lane
/// takes a forgotten entry back when it next appends, seals, or is dropped. An entry that is open
/// across a fork(2) belongs to the parent: its post and its drop do nothing in the child.
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
    /// Its reserved bytes of the ring.
    room: R,
    /// Its memory if it bypasses the ring: see `aside`.
    own: Option<OwnMemory>,
    fill: Fill,
    /// An entry may go to another thread, but two threads cannot share it.
    _not_sync: PhantomData<Cell<()>>,
}

/// Holds a reservation in the span of a lane: an [`Entry`] from [`Lane::getn`](crate::Lane::getn).
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

    /// Makes an entry of the bytes of a reservation between those that the framing adds.
    pub(super) fn framed(shared: &'q Shared<Mirror>, reservation: Reservation<'q, Mirror>) -> Self {
        let wrap = shared.wrap;
        let claim = reservation.into_claim().narrow(wrap.front(), wrap.back());
        let len = claim.len();
        Self::of(shared, claim, None, len)
    }

    /// Makes an entry without a reservation. Its post bypasses the ring.
    pub(super) fn of_its_own(shared: &'q Shared<Mirror>, memory: OwnMemory) -> Self {
        let len = memory.len();
        Self::of(shared, Claim::NONE, Some(memory), len)
    }

    pub(super) fn queue_id(&self) -> u64 {
        self.shared.intake.id
    }

    /// Splits the entry into its claim and the memory that replaces it. The caller must post one of
    /// them.
    #[inline]
    pub(super) fn into_parts(self) -> (Claim, Option<OwnMemory>) {
        let mut this = ManuallyDrop::new(self);
        (this.room.take(), this.own.take())
    }
}

impl<'l> Entry<'l, Begun<'l>> {
    /// Makes an entry of `len` bytes: a record that `owner` has begun, or the memory `own`.
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

    /// Returns how many bytes, from the first one, a post would append. It starts as the whole
    /// reservation.
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

    /// Sets how many bytes a post appends, and where the next `write!` continues; 0 posts nothing.
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

    /// Returns where the entry begins in the stream of the queue, with what its
    /// [framing](crate::Options::framing) puts before the record: known before it is posted, so a
    /// record can carry its own position. In a log of checked frames it is the position in the
    /// frame. `None` for an entry that bypasses the ring: in a child of fork(2), and at the end of
    /// the process.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = alq::Options::new().open(dir.path().join("app.log"))?;
    /// let mut entry = queue.getn(100, alq::Flags::NOWAIT)?;
    /// let position = entry.position().expect("it is in the ring");
    /// write!(entry, "my position is {}\n", position.bytes())?;
    /// entry.post();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        if self.own.is_some() {
            return None;
        }
        let start = self.room.start() - u64::from(self.shared.wrap.front());
        Some(self.shared.intake.position(start))
    }

    /// Publishes the used bytes, and wakes the flusher if it sleeps. Never blocks, never fails.
    /// Source: `alq_post` in alq(9).
    ///
    /// Returns the position at which the record ends in the stream of the queue. Unused room is
    /// given back at once if no later reservation exists; in a lane, the next record always gets
    /// it.
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

    /// Posts as [`post`](Entry::post) does, with flags: [`Flags::NOACTIVATE`] leaves the
    /// record in the ring until something activates the queue. Other flags have no effect here.
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
        let (shared, own) = (this.shared, this.own.take());
        end::<R>(shared, this.room.take(), own, used, flags)
    }

    /// Appends formatted text. `write!(entry, ..)` calls this method, so no trait need be in scope.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if the text does not fit; the entry keeps the part that fits, and `len`
    /// is the length that would have been needed so far. [`Error::Format`] if a `Display`
    /// implementation returned an error.
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

/// Ends an entry, which it gets in parts: see [`Reserved`].
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the hot path; only the code that makes an entry knows its parts"
)]
fn end<R: Reserved>(
    shared: &Shared<Mirror>,
    taken: R::Taken<'_>,
    own: Option<OwnMemory>,
    used: u32,
    flags: Flags,
) -> Position {
    // `own` is checked first: after inlining into the code that makes an entry, the compiler knows
    // that it is `None`.
    if own.is_none() {
        if let Some(intake) = shared.direct() {
            let posted = R::post(taken, &intake.ring, used, flags.activates());
            intake.posted(posted);
            return intake.position(posted.end);
        }
    }
    R::end_elsewhere(taken, shared, own, used, flags)
}

/// Ends an entry that is dropped. It wakes the flusher, because only the drain frees the slot.
#[cold]
fn give_up<R: Reserved>(shared: &Shared<Mirror>, taken: R::Taken<'_>, own: Option<OwnMemory>) {
    end::<R>(shared, taken, own, 0, Flags::empty());
}

impl<R: Reserved> Deref for Entry<'_, R> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.own {
            None => self.room.bytes(&self.shared.intake.ring),
            Some(own) => own,
        }
    }
}

impl<R: Reserved> DerefMut for Entry<'_, R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.own {
            None => self.room.bytes_mut(&self.shared.intake.ring),
            Some(own) => own,
        }
    }
}

impl<R: Reserved> io::Write for Entry<'_, R> {
    /// Appends what fits, and returns its length: 0 if the entry is full, which `write_all` turns
    /// into an error of kind `WriteZero`.
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
    /// Posts nothing, and unblocks the records after the entry.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a call would get the entry by its address: see `Reserved`"
    )]
    fn drop(&mut self) {
        give_up::<R>(self.shared, self.room.take(), self.own.take());
    }
}
