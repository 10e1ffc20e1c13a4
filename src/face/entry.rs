//! The entry: a piece of the ring, filled in place.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
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
    /// `None` once it is posted, and where the queue goes on without its ring.
    reservation: Option<Reservation<'q, Mirror>>,
    /// Its memory there.
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
            reservation: Some(reservation),
            own: None,
            _not_sync: PhantomData,
        }
    }

    /// One that is no reservation: its post appends past the ring.
    pub(super) fn of_its_own(shared: &'q Shared<Mirror>, memory: OwnMemory) -> Self {
        Self {
            shared,
            fill: Fill::whole(memory.len()),
            reservation: None,
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
    pub fn post_flags(mut self, flags: Flags) -> Position {
        let used = self.fill.used() as u32;
        self.finish(used, flags.activates())
    }

    pub(super) fn queue_id(&self) -> u64 {
        self.shared.id
    }

    /// The two halves: a claim of the ring, or memory of its own. The caller has the duty to post them.
    #[inline]
    pub(super) fn into_parts(mut self) -> (Option<Claim>, Option<OwnMemory>) {
        let claim = self.reservation.take().map(Reservation::into_claim);
        (claim, self.own.take())
    }

    #[inline]
    fn finish(&mut self, used: u32, activate: bool) -> Position {
        match self.reservation.take() {
            Some(reservation) if self.shared.home.is_here() => {
                let posted = reservation.post(used);
                self.shared.posted(posted, activate);
                Position::new(self.shared.id, posted.end)
            }
            reservation => finish_aside(self.shared, reservation, self.own.take(), used),
        }
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

/// The end of an entry that is none of the ring. (It gets the parts, so that an entry itself need not be in memory.)
#[cold]
fn finish_aside(
    shared: &Shared<Mirror>,
    reservation: Option<Reservation<'_, Mirror>>,
    own: Option<OwnMemory>,
    used: u32,
) -> Position {
    let Some(reservation) = reservation else {
        let own = own.unwrap_or_default();
        return aside::post(shared, &own[..used as usize]);
    };
    aside::leave_to_the_parent(shared, reservation)
}

impl Deref for Entry<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.reservation {
            Some(reservation) => reservation.bytes(),
            None => self.own.as_deref().map_or(&[], |own| own),
        }
    }
}

impl DerefMut for Entry<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.reservation {
            Some(reservation) => reservation.bytes_mut(),
            None => self.own.as_deref_mut().map_or(&mut [], |own| own),
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
    fn drop(&mut self) {
        if self.reservation.is_some() {
            self.finish(0, true); // its descriptor, if not its bytes, is free only when the drain has been there
        }
    }
}
