//! What a framing adds to a record: bytes before it, and bytes after it.
//!
//! The claim of a record covers the added bytes too, so the ring, the lanes and the drain see one
//! record that is a little longer.

use std::borrow::Cow;

#[cfg(feature = "frames")]
use super::frame::{Frames, Kind};
use super::{Error, Framing};

/// Adds a framing to records, in place.
#[derive(Clone, Copy, Debug, Default)]
pub enum Wrap {
    /// Adds nothing.
    #[default]
    Raw,
    /// Ends each record with a newline.
    Lines,
    /// Records of this length.
    Fixed(u32),
    /// The length before each record.
    Lengths,
    /// A frame around each record.
    #[cfg(feature = "frames")]
    Checked(Frames),
}

/// The most bytes before a record.
pub const FRONT_MAX: usize = 24;

impl Wrap {
    /// The framing for a queue that opens no framed log.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for a length of 0, or above `u32::MAX`.
    pub fn plain(framing: Framing) -> Result<Self, Error> {
        Ok(match framing {
            Framing::Raw => Self::Raw,
            Framing::Lines => Self::Lines,
            Framing::Fixed(len) => match u32::try_from(len) {
                Ok(len @ 1..) => Self::Fixed(len),
                _ => {
                    return Err(Error::InvalidOption {
                        option: "framing",
                        value: len as u64,
                        allowed: "Fixed of 1 byte to the capacity",
                    });
                }
            },
            Framing::Lengths => Self::Lengths,
            #[cfg(feature = "frames")]
            Framing::Checked => Self::Checked(Frames::default()),
        })
    }

    /// Returns whether it adds nothing and refuses nothing.
    pub const fn is_raw(self) -> bool {
        matches!(self, Self::Raw)
    }

    /// The framing; of frames only that they are no simple one.
    pub const fn framing(self) -> Framing {
        match self {
            Self::Lines => Framing::Lines,
            Self::Fixed(len) => Framing::Fixed(len as usize),
            Self::Lengths => Framing::Lengths,
            Self::Raw => Framing::Raw,
            #[cfg(feature = "frames")]
            Self::Checked(_) => Framing::Raw,
        }
    }

    /// Returns whether records have frames.
    pub const fn is_checked(self) -> bool {
        match self {
            #[cfg(feature = "frames")]
            Self::Checked(_) => true,
            _ => false,
        }
    }

    /// The header of a file of frames, whose first frame is at `position` or later.
    #[cfg_attr(
        not(feature = "frames"),
        expect(unused_variables, reason = "for frames")
    )]
    pub fn header(self, position: u64, now_ns: impl FnOnce() -> u64) -> Option<[u8; 64]> {
        match self {
            #[cfg(feature = "frames")]
            Self::Checked(frames) => Some(frames.header(position, now_ns()).to_bytes()),
            _ => None,
        }
    }

    /// How many bytes come before each record.
    pub const fn front(self) -> u32 {
        match self {
            Self::Lengths => 4,
            #[cfg(feature = "frames")]
            Self::Checked(frames) => frames.overhead() as u32,
            _ => 0,
        }
    }

    /// How many bytes a record of unknown content needs after it.
    pub const fn back(self) -> u32 {
        match self {
            Self::Lines => 1,
            _ => 0,
        }
    }

    /// How many bytes it adds to a record at most, with stamps.
    pub const fn added_max(self) -> u32 {
        match self {
            #[cfg(feature = "frames")]
            Self::Checked(_) => FRONT_MAX as u32,
            _ => self.front() + self.back(),
        }
    }

    /// How many bytes a record of `len` bytes takes at most, of which it fits into `max`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`] for an empty record, or another length than that of all records;
    /// [`Error::TooLarge`].
    #[inline]
    pub fn total(self, len: usize, max: u32) -> Result<u32, Error> {
        let added = self.front() + self.back();
        match self {
            _ if len == 0 => Err(Error::InvalidLength { len }),
            Self::Fixed(only) if len != only as usize => Err(Error::InvalidLength { len }),
            _ if len > max.saturating_sub(added) as usize => Err(Error::TooLarge {
                len,
                max: max.saturating_sub(added) as usize,
            }),
            _ => Ok(len as u32 + added),
        }
    }

    /// How many bytes of its claim a record of `used` bytes may fill, at least 1 byte.
    pub const fn len_of(self, used: u32) -> u32 {
        match self {
            Self::Fixed(len) => len,
            _ => self.front() + used + self.back(),
        }
    }

    /// How many bytes `record` takes, which [`total`](Wrap::total) has accepted.
    #[inline]
    pub fn exact(self, record: &[u8], total: u32) -> u32 {
        match self {
            Self::Lines if record.ends_with(b"\n") => total - 1,
            _ => total,
        }
    }

    /// Returns `record` with what it adds, for bytes that do not stand in the ring. No bytes are no
    /// record.
    pub fn around(self, record: &[u8]) -> Vec<u8> {
        let (front, back) = (self.front() as usize, self.back() as usize);
        let mut all = vec![0; front];
        all.extend_from_slice(record);
        all.resize(all.len() + back, 0);
        let len = self.finish(&mut all, record.len() as u32, 0, || 0);
        all.truncate(len as usize);
        all
    }

    /// Completes a claim, after the [`front`](Wrap::front) of which stand the first `used` bytes of
    /// a record. Returns how many bytes of the claim to post: 0 if nothing is used. `position` is
    /// where the claim starts; `now_ns` is called if the framing has time stamps.
    #[inline]
    #[cfg_attr(
        not(feature = "frames"),
        expect(unused_variables, reason = "for frames")
    )]
    pub fn finish(
        self,
        claim: &mut [u8],
        used: u32,
        position: u64,
        now_ns: impl FnOnce() -> u64,
    ) -> u32 {
        if used == 0 {
            return 0;
        }
        let end = self.front() + used;
        match self {
            Self::Raw => used,
            Self::Lines if claim[used as usize - 1] == b'\n' => used,
            Self::Lines => {
                claim[used as usize] = b'\n';
                used + 1
            }
            Self::Fixed(len) => {
                claim[used as usize..len as usize].fill(0);
                len
            }
            Self::Lengths => {
                claim[..4].copy_from_slice(&used.to_le_bytes());
                end
            }
            #[cfg(feature = "frames")]
            Self::Checked(frames) => {
                let stamp_ns = if frames.has_stamps() { now_ns() } else { 0 };
                frames.seal(&mut claim[..end as usize], Kind::Record, position, stamp_ns);
                end
            }
        }
    }

    /// Writes what comes before a record that bypasses the ring to `front`, and returns how many
    /// bytes that is, and what comes after the record.
    #[cfg_attr(
        not(feature = "frames"),
        expect(unused_variables, reason = "for frames")
    )]
    pub fn aside(
        self,
        record: &[u8],
        front: &mut [u8; FRONT_MAX],
        now_ns: impl FnOnce() -> u64,
    ) -> (usize, Cow<'static, [u8]>) {
        match self {
            Self::Lines if !record.ends_with(b"\n") => (0, Cow::Borrowed(b"\n")),
            Self::Fixed(len) => (
                0,
                vec![0; (len as usize).saturating_sub(record.len())].into(),
            ),
            Self::Lengths => {
                front[..4].copy_from_slice(&(record.len() as u32).to_le_bytes());
                (4, Cow::Borrowed(&[]))
            }
            #[cfg(feature = "frames")]
            Self::Checked(frames) => {
                let stamp_ns = if frames.has_stamps() { now_ns() } else { 0 };
                (
                    frames.head(front, Kind::Aside, 0, stamp_ns, record),
                    Cow::Borrowed(&[]),
                )
            }
            _ => (0, Cow::Borrowed(&[])),
        }
    }
}
