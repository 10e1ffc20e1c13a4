//! The allowed results of a recovery after one bit of a ring file was changed. It reads the format
//! a second time, from its description alone.

/// A ring file, read by the description of its format.
pub struct Reading<'i> {
    image: &'i [u8],
    pub capacity: u32,
    pub slots: u32,
    pub bytes_at: usize,
    tail: (u32, u32),
}

/// The content of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    NotPosted,
    Impossible,
    /// Its start and end, counted from the tail, and the number of its slots.
    Posted {
        start: i64,
        end: i64,
        width: u32,
    },
}

impl<'i> Reading<'i> {
    pub fn new(image: &'i [u8]) -> Self {
        let word = |at: usize| word(image, at * 8);
        let slots = word(4) as u32;
        Self {
            image,
            capacity: word(3) as u32,
            slots,
            bytes_at: 8192 + (16 * slots as usize).next_multiple_of(4096),
            tail: ((word(9) >> 32) as u32, word(9) as u32),
        }
    }

    /// How many sequences after the tail the slot `slot` is.
    pub fn ahead(&self, slot: u32) -> u32 {
        slot.wrapping_sub(self.tail.0) & (self.slots - 1)
    }

    /// The offset of that slot in the file.
    pub fn slot_at(&self, ahead: u32) -> usize {
        8192 + 16 * (self.tail.0.wrapping_add(ahead) & (self.slots - 1)) as usize
    }

    fn words(&self, ahead: u32) -> (u32, u64, u64) {
        let seq = self.tail.0.wrapping_add(ahead);
        let at = self.slot_at(ahead);
        (seq, word(self.image, at), word(self.image, at + 8))
    }

    /// The phase of a slot; 0 unless it is of this lap.
    fn phase(&self, ahead: u32) -> u64 {
        let (seq, _, state) = self.words(ahead);
        let lap = u64::from(seq >> self.slots.trailing_zeros()) & ((1 << 30) - 1);
        if state >> 34 == lap {
            state >> 32 & 3
        } else {
            0
        }
    }

    pub fn said(&self, ahead: u32) -> Said {
        let (seq, place, state) = self.words(ahead);
        let phase = self.phase(ahead);
        if phase == 0 {
            return Said::NotPosted;
        }
        let width = if phase == 2 {
            1
        } else {
            ((seq + 1) | 3) + 1 - seq
        };
        let line_is_free =
            ahead + width <= self.slots && (1..width).all(|next| self.phase(ahead + next) == 0);
        let behind = (place as u32).wrapping_sub(self.tail.1);
        let start = if behind <= self.capacity {
            i64::from(behind)
        } else {
            i64::from(behind) - (1 << 32)
        };
        // The highest bit says that the span is quiet, unless no other one is set.
        let len = match state as u32 {
            0x8000_0000 => 1 << 31,
            bits => bits & 0x7fff_ffff,
        };
        let end = start + i64::from(len);
        let is_inside = end <= i64::from(self.capacity) && (start >= 0 || (ahead == 0 && end >= 0));
        if (place >> 32) as u32 == seq && line_is_free && is_inside {
            Said::Posted { start, end, width }
        } else {
            Said::Impossible
        }
    }

    /// The posted spans, in order, with their places.
    pub fn spans(&self) -> Vec<(u32, i64, i64)> {
        let mut spans = Vec::new();
        let mut ahead = 0;
        while ahead < self.slots {
            ahead += match self.said(ahead) {
                Said::Posted { start, end, width } => {
                    spans.push((ahead, start, end));
                    width
                }
                _ => 1,
            };
        }
        spans
    }

    /// The bytes of some spans.
    pub fn bytes(&self, spans: &[(u32, i64, i64)]) -> Vec<u8> {
        let positions = spans.iter().flat_map(|&(_, start, end)| start.max(0)..end);
        let byte = |ahead: i64| {
            let at = self.tail.1.wrapping_add(ahead.unsigned_abs() as u32) & (self.capacity - 1);
            self.image[self.bytes_at + at as usize]
        };
        positions.map(byte).collect()
    }

    /// The offset in the log at which the write in progress begins.
    pub fn under_way(&self) -> Option<usize> {
        let of = |at: usize| (at..at + 8).map(|at| word(self.image, 8 * at));
        let intents = [16, 24].map(|at| of(at).collect::<Vec<u64>>());
        let is_counting = |words: &&Vec<u64>| words[7] != 0 && words[1] == word(self.image, 72);
        let newest = intents
            .iter()
            .filter(is_counting)
            .max_by_key(|words| words[0])?;
        Some(newest[3] as usize)
    }
}

fn word(image: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(image[at..at + 8].try_into().unwrap())
}

/// The bytes that a recovery may append to the log after one bit in the slot `slot` of `before` was
/// changed, which gave `now`; and whether it must report damage.
pub fn outcomes(before: &Reading<'_>, now: &Reading<'_>, slot: u32) -> Vec<(Vec<u8>, bool)> {
    let ahead = now.ahead(slot);
    let spans = before.spans();
    let others = |also: &dyn Fn(i64, i64) -> bool| -> Vec<_> {
        let is_other = |span: &&(u32, i64, i64)| span.0 != ahead && also(span.1, span.2);
        spans.iter().filter(is_other).copied().collect()
    };
    let without = now.bytes(&others(&|_, _| true));
    // A changed bit in the line of a lane's span makes that span damaged, too.
    let owner = spans.iter().find(|span| {
        let Said::Posted { width, .. } = before.said(span.0) else {
            return false;
        };
        (span.0 + 1..span.0 + width).contains(&ahead)
    });
    match now.said(ahead) {
        Said::NotPosted => vec![(without, false)],
        _ if owner.is_some() => {
            let rest: Vec<_> = spans
                .iter()
                .filter(|span| Some(*span) != owner)
                .copied()
                .collect();
            vec![(without, true), (now.bytes(&rest), true)]
        }
        Said::Impossible => vec![(without, true)],
        Said::Posted { start, end, .. } => {
            let fits = |span: &(u32, i64, i64)| {
                if span.0 < ahead {
                    span.2 <= start.max(0)
                } else {
                    end <= span.1.max(0)
                }
            };
            let rest = others(&|_, _| true);
            let mut with: Vec<_> = rest.iter().filter(|span| fits(span)).copied().collect();
            let lost = rest.len() - with.len();
            with.push((ahead, start, end));
            with.sort_unstable();
            let with = now.bytes(&with);
            match lost {
                0 => vec![(with, false)],
                1 => vec![(with, true), (without, true)],
                _ => vec![(without, true)],
            }
        }
    }
}

/// Stores words in a ring file, and after them their check.
pub fn store_checked(ring: &mut [u8], at: usize, len: usize, words: &[(usize, u64)]) {
    for (word, value) in words {
        ring[at + 8 * word..][..8].copy_from_slice(&value.to_ne_bytes());
    }
    // The least significant byte of each word first: its order in memory, too.
    let hash = ring[at..at + len]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    ring[at + len..][..8].copy_from_slice(&hash.to_ne_bytes());
}
