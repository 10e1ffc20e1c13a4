//! The reserved bytes of an entry: its own span, or room in the span of a lane.
//!
//! [`Entry`](super::entry::Entry) is written once, over these two. An implementation may touch only
//! the bytes that were reserved for its entry.

use super::aside::{self, OwnMemory};
use super::framed;
use crate::actors::Shared;
use crate::memory::Mirror;
use crate::ring::{Claim, Owner, Posted, Ring};
use crate::words::{Flags, Position};

/// Gives access to the bytes of a ring that are reserved for one entry.
///
/// The code that ends an entry gets the right to post by value ([`take`](Reserved::take)), so that
/// the entry itself need never be in memory. If an entry were copied from memory in pieces of other
/// sizes than those in which it was stored, the copy would wait for the stores.
pub trait Reserved {
    /// The right to post the bytes.
    type Taken<'t>
    where
        Self: 't;

    /// Returns how many bytes are reserved; any number if the entry bypasses the ring.
    fn len(&self) -> usize;

    /// Returns the position of the first byte.
    fn start(&self) -> u64;

    /// Returns the bytes. Until they are filled, they hold data of an earlier lap.
    fn bytes<'t>(&'t self, ring: &'t Ring<Mirror>) -> &'t [u8];

    /// Returns the bytes, to be filled in place.
    fn bytes_mut<'t>(&'t mut self, ring: &'t Ring<Mirror>) -> &'t mut [u8];

    /// Takes the right to post out of an entry that ends.
    fn take(&mut self) -> Self::Taken<'_>;

    /// Publishes the first `used` bytes, quietly unless `activate` is set.
    fn post(taken: Self::Taken<'_>, ring: &Ring<Mirror>, used: u32, activate: bool) -> Posted;

    /// Ends an entry that needs more than a post: one with a framing, one with memory outside of
    /// the ring (`own`), or, in a child of fork(2), one that the parent opened.
    fn end_elsewhere(
        taken: Self::Taken<'_>,
        shared: &Shared<Mirror>,
        own: Option<OwnMemory>,
        used: u32,
        flags: Flags,
    ) -> Position;
}

/// The whole span of a claim. The claim is [`NONE`](Claim::NONE) if the entry has memory outside of
/// the ring.
#[expect(clippy::inline_always, reason = "as for `end` of an entry")]
impl Reserved for Claim {
    type Taken<'t> = Self;

    #[inline(always)]
    fn len(&self) -> usize {
        Claim::len(self)
    }

    fn start(&self) -> u64 {
        Claim::start(self)
    }

    #[inline(always)]
    fn bytes<'t>(&'t self, ring: &'t Ring<Mirror>) -> &'t [u8] {
        ring.bytes(self)
    }

    #[inline(always)]
    fn bytes_mut<'t>(&'t mut self, ring: &'t Ring<Mirror>) -> &'t mut [u8] {
        ring.bytes_mut(self)
    }

    #[inline(always)]
    fn take(&mut self) -> Self {
        Claim::take(self)
    }

    #[inline(always)]
    fn post(taken: Self, ring: &Ring<Mirror>, used: u32, activate: bool) -> Posted {
        ring.post(taken, used, activate)
    }

    /// Passes only values that a call passes in registers. A claim is passed in memory, so the hot
    /// path would store it first.
    #[inline(always)]
    fn end_elsewhere(
        taken: Self,
        shared: &Shared<Mirror>,
        own: Option<OwnMemory>,
        used: u32,
        flags: Flags,
    ) -> Position {
        let (seq, start, len) = taken.into_parts();
        let used_of_len = u64::from(used) << 32 | u64::from(len);
        end_claim_elsewhere(seq, start, used_of_len, shared, own, flags)
    }
}

#[cold]
fn end_claim_elsewhere(
    seq: u64,
    start: u64,
    used_of_len: u64,
    shared: &Shared<Mirror>,
    own: Option<OwnMemory>,
    flags: Flags,
) -> Position {
    let (used, len) = ((used_of_len >> 32) as u32, used_of_len as u32);
    match own {
        Some(own) => aside::post(shared, &own[..used as usize]),
        None if shared.here().is_err() => aside::leave_to_the_parent(shared, start),
        None => {
            let narrowed = Claim::from_parts((seq, start, len));
            framed::end(shared, narrowed, used, flags.activates())
        }
    }
}

/// A record that the owner of a lane has begun.
#[derive(Debug)]
pub struct Begun<'l> {
    pub(super) owner: &'l mut Owner,
    pub(super) len: usize, // a whole word: see `Fill`
}

#[expect(clippy::inline_always, reason = "as for `end` of an entry")]
impl Reserved for Begun<'_> {
    type Taken<'t>
        = &'t mut Owner
    where
        Self: 't;

    #[inline(always)]
    fn len(&self) -> usize {
        self.len
    }

    fn start(&self) -> u64 {
        self.owner.fills_at()
    }

    #[inline(always)]
    fn bytes<'t>(&'t self, ring: &'t Ring<Mirror>) -> &'t [u8] {
        self.owner.bytes(ring, self.len as u32)
    }

    #[inline(always)]
    fn bytes_mut<'t>(&'t mut self, ring: &'t Ring<Mirror>) -> &'t mut [u8] {
        self.owner.bytes_mut(ring, self.len as u32)
    }

    #[inline(always)]
    fn take(&mut self) -> &mut Owner {
        self.owner
    }

    #[inline(always)]
    fn post(owner: &mut Owner, ring: &Ring<Mirror>, used: u32, activate: bool) -> Posted {
        owner.post(ring, used, activate)
    }

    #[cold]
    fn end_elsewhere(
        owner: &mut Owner,
        shared: &Shared<Mirror>,
        own: Option<OwnMemory>,
        used: u32,
        flags: Flags,
    ) -> Position {
        if own.is_none() && shared.here().is_ok() {
            return framed::end_in_lane(shared, owner, used, flags.activates());
        }
        let Shared { intake, aside, .. } = shared;
        if let Some(own) = own {
            let position = aside::post(shared, &own[..used as usize]);
            if used > 0 {
                owner.set_position(position.bytes());
            }
        } else {
            aside.foreign.add(1); // only the parent posts it
        }
        intake.position(owner.position())
    }
}
