//! The operations, and how they are read from bytes: so many for each, whatever they are.

/// How many lanes there are.
pub const LANES: usize = 4;

/// What a queue is opened with, and how it ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    pub ordered: bool,
    pub lane_span: LaneSpan,
    /// Fixed entries of [`ENTRY_LEN`] bytes, so many at once.
    pub fixed: Option<usize>,
    /// The last handle is dropped; nobody closes.
    pub ends_with_drop: bool,
}

/// The longest span of a lane, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub enum LaneSpan {
    #[default]
    AsItIs,
    Of(usize),
}

/// The length of the records of a fixed queue.
pub const ENTRY_LEN: usize = 24;

/// The capacity of a queue that is not fixed.
pub const CAPACITY: usize = 4096;

impl Settings {
    pub const LEN: usize = 2;

    pub fn decode([first, second]: [u8; Self::LEN]) -> Self {
        let span = usize::from(second);
        Self {
            ordered: first & 1 != 0,
            lane_span: match first >> 1 & 3 {
                0 => LaneSpan::Of(1 + span),
                1 => LaneSpan::Of(4 * (1 + span)),
                _ => LaneSpan::AsItIs,
            },
            fixed: (first >> 3 & 7 == 7).then_some(1 + usize::from(second & 63)),
            ends_with_drop: first >> 6 == 3,
        }
    }
}

/// One operation. `who` is the queue itself (0), or one of the lanes.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Tries without waiting, and then, if that can end, with waiting.
    Write {
        who: usize,
        len: usize,
        quiet: bool,
    },
    /// Reserves `len` and posts `used` of it; 0 drops it.
    Reserve {
        who: usize,
        len: usize,
        used: usize,
    },
    /// Reserves `len` of the queue, and goes on with other things.
    Hold {
        len: usize,
    },
    /// Posts so much of the oldest or the newest that is held; 0 drops it.
    Release {
        oldest: bool,
        used: usize,
    },
    /// Reserves `len` in a lane and forgets the entry.
    Forget {
        who: usize,
        len: usize,
    },
    /// Seals a lane.
    Seal {
        who: usize,
    },
    /// Drops a lane and makes another.
    Renew {
        who: usize,
    },
    /// Appends as much as the queue can hold at all.
    Full,
    Activate,
    Flush,
    /// Waits until one of the records is written.
    WaitFor {
        record: usize,
    },
    Sync {
        full: bool,
    },
    /// From now on the far end takes `room` bytes more, and then fails like that.
    Limit {
        room: usize,
        trouble: Trouble,
    },
    /// It takes everything again, unless the queue has failed.
    Unlimit,
    /// It takes so many bytes in each write, at most.
    Pieces {
        len: usize,
    },
    /// The next sync fails.
    FailSync,
    /// Another file takes over; or the same one, if it is a file already.
    Reopen {
        same: bool,
    },
}

/// What a far end says that takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    NotReady,
    NoSpace,
    Failed,
}

impl Op {
    pub const LEN: usize = 6;

    pub fn decode(bytes: [u8; Self::LEN]) -> Self {
        let [kind, who, short, long, used, flag] = bytes.map(usize::from);
        let who = who % (LANES + 1);
        let lane = 1 + who % LANES;
        let len = match flag % 10 {
            0..6 => 1 + short % 64,
            6..9 => 65 + (short | long << 8) % 1036,
            _ => 1 + (short | long << 8) % CAPACITY,
        };
        let used_of = |len: usize| if flag < 64 { 0 } else { 1 + used * len / 256 };
        match kind % 32 {
            0..8 => Self::Write {
                who,
                len,
                quiet: flag & 32 != 0,
            },
            8..13 => Self::Reserve {
                who,
                len,
                used: used_of(len),
            },
            13 => Self::Hold { len },
            14..16 => Self::Release {
                oldest: used & 1 != 0,
                used: used_of(len),
            },
            16 => Self::Forget { who: lane, len },
            17..19 => Self::Seal { who: lane },
            19 => Self::Renew { who: lane },
            20 => Self::Full,
            21 => Self::Activate,
            22..24 => Self::Flush,
            24 => Self::WaitFor { record: short },
            25 => Self::Sync {
                full: used & 1 != 0,
            },
            26 => Self::Limit {
                room: len,
                trouble: [Trouble::NotReady, Trouble::NoSpace, Trouble::Failed][used % 3],
            },
            27..29 => Self::Unlimit,
            29 => Self::Pieces { len: short },
            30 => Self::FailSync,
            _ => Self::Reopen {
                same: used & 1 != 0,
            },
        }
    }
}
