//! What an entry has of the ring: a span of its own, or room in the span of a lane.
//!
//! An [`Entry`](super::entry::Entry) is written once, over these two.

use super::aside::{self, OwnMemory};
use crate::actors::Shared;
use crate::memory::Mirror;
use crate::ring::{Claim, Owner, Posted, Ring};
use crate::words::Position;

/// Bytes of a ring that are reserved for one entry.
///
/// The end of an entry gets them by value ([`take`](Reserved::take)), so that an entry itself need
/// never be in memory: to copy one in pieces of another size than those in which it was stored waits
/// for the stores.
pub trait Reserved {
    /// The right to post them.
    type Taken<'t>
    where
        Self: 't;

    /// How many bytes they are; any number if the entry has memory of its own.
    fn len(&self) -> usize;

    /// The bytes: what an earlier lap left there, until they are filled.
    fn bytes<'t>(&'t self, ring: &'t Ring<Mirror>) -> &'t [u8];

    /// [`bytes`](Reserved::bytes), to be filled in place.
    fn bytes_mut<'t>(&'t mut self, ring: &'t Ring<Mirror>) -> &'t mut [u8];

    /// Takes the right to post them out of an entry that ends.
    fn take(&mut self) -> Self::Taken<'_>;

    /// Publishes the first `used` bytes.
    fn post(taken: Self::Taken<'_>, ring: &Ring<Mirror>, used: u32) -> Posted;

    /// Ends an entry that is not posted in the ring: one that has memory of its own (`own`), or one
    /// that lives across a fork(2), in the child.
    fn end_aside(
        taken: Self::Taken<'_>,
        shared: &Shared<Mirror>,
        own: Option<OwnMemory>,
        used: u32,
    ) -> Position;
}

/// The whole span of a claim, which is [`NONE`](Claim::NONE) if the entry has memory of its own.
#[expect(clippy::inline_always, reason = "as for `end` of an entry")]
impl Reserved for Claim {
    type Taken<'t> = Self;

    #[inline(always)]
    fn len(&self) -> usize {
        Claim::len(self)
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
    fn post(taken: Self, ring: &Ring<Mirror>, used: u32) -> Posted {
        ring.post(taken, used)
    }

    /// Hands on what a call passes in registers: for a claim, which it passes in memory, the hot path
    /// would store it first.
    #[inline(always)]
    fn end_aside(
        taken: Self,
        shared: &Shared<Mirror>,
        own: Option<OwnMemory>,
        used: u32,
    ) -> Position {
        end_claim_aside(taken.start(), shared, own, used)
    }
}

#[cold]
fn end_claim_aside(
    start: u64,
    shared: &Shared<Mirror>,
    own: Option<OwnMemory>,
    used: u32,
) -> Position {
    match own {
        Some(own) => aside::post(shared, &own[..used as usize]),
        None => aside::leave_to_the_parent(shared, start),
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
    fn post(owner: &mut Owner, ring: &Ring<Mirror>, used: u32) -> Posted {
        owner.post(ring, used)
    }

    #[cold]
    fn end_aside(
        owner: &mut Owner,
        shared: &Shared<Mirror>,
        own: Option<OwnMemory>,
        used: u32,
    ) -> Position {
        if let Some(own) = own {
            let position = aside::post(shared, &own[..used as usize]);
            if used > 0 {
                owner.set_position(position.bytes());
            }
        } else {
            shared.aside.foreign.add(1); // only the parent posts it
        }
        Position::new(shared.id, owner.position())
    }
}
