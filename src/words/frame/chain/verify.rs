//! Compares the frames of a log with its checkpoints, and names the first frame that is not the one
//! that was written.

use super::super::HEADER_LEN;
use super::{Chain, ChainKey, Checkpoint, Value, header_of};

/// What does not fit, or must be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault<P> {
    /// The frame with this number is not the one that was written there.
    Broken {
        number: u64,
        place: P,
        /// How many frames stand between the two checkpoints, and how many were written there.
        found: u64,
        written: u64,
    },
    /// A killed process has left so many frames without a checkpoint, and the next one has taken
    /// them into the chain.
    Adopted { frames: u64 },
    /// The first checkpoint was made with another key.
    OtherKey,
    /// The chain does not go through the value that is known of it.
    OtherValue,
}

/// Goes along a log. `P` is the place of a frame.
#[derive(Clone, Debug)]
pub struct Verifier<P> {
    key: ChainKey,
    /// `None` before the first header.
    chain: Option<Chain>,
    /// The places of the frames since the last checkpoint.
    places: Vec<P>,
    /// How many of these frames come before the newest header.
    before_header: usize,
    /// Number and value after the last good checkpoint.
    covered: Option<(u64, Value)>,
    begins_at: u64,
    has_other_key: bool,
    is_ended: bool,
    known: Option<Known>,
}

/// The value that the chain must have after so many frames.
#[derive(Clone, Copy, Debug)]
struct Known {
    frames: u64,
    value: [u8; 16],
    /// Whether it had another value there, before any checkpoint.
    is_other: Option<bool>,
}

impl<P: Clone> Verifier<P> {
    pub const fn new(key: ChainKey) -> Self {
        Self {
            key,
            chain: None,
            places: Vec::new(),
            before_header: 0,
            covered: None,
            begins_at: 0,
            has_other_key: false,
            is_ended: false,
            known: None,
        }
    }

    /// Sets the value that the chain must have after `frames` frames.
    pub const fn know(&mut self, frames: u64, value: [u8; 16]) {
        self.known = Some(Known {
            frames,
            value,
            is_other: None,
        });
    }

    /// Whether the chain has not come to that place.
    pub const fn knows_more(&self) -> bool {
        self.known.is_some()
    }

    /// Number and value of the chain after the last good checkpoint; `None` if there is none.
    pub const fn covered(&self) -> Option<(u64, Value)> {
        self.covered
    }

    /// The number of the first frame that is there.
    pub const fn begins_at(&self) -> u64 {
        self.begins_at
    }

    /// How many frames follow the last good checkpoint.
    pub fn uncovered(&self) -> u64 {
        self.places.len() as u64
    }

    /// Whether the log ends with the checkpoint of a close.
    pub const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Whether all checkpoints so far were made with another key.
    pub const fn has_other_key(&self) -> bool {
        self.has_other_key
    }

    /// The chain up to here.
    pub fn into_chain(self) -> Option<Chain> {
        self.chain
    }

    /// Takes a header of the log, or a frame that is no checkpoint.
    pub fn add(&mut self, bytes: &[u8], place: P) -> Option<Fault<P>> {
        self.is_ended = false;
        if let Some(header) = header_of(bytes) {
            self.chain_of(header).add_header(header);
            self.before_header = self.places.len();
        } else {
            self.chain.as_mut()?.add(bytes);
        }
        self.places.push(place);
        self.compare()
    }

    /// Compares the value of the chain with the known one, if it is known here.
    fn compare(&mut self) -> Option<Fault<P>> {
        let (chain, known) = (self.chain.as_ref()?, self.known.as_mut()?);
        if chain.number() == known.frames {
            known.is_other = Some(!chain.value().starts_with(&known.value));
        }
        let is_other = known.is_other?;
        self.covered?; // before a checkpoint, the number and the value are a guess
        self.known = None;
        is_other.then_some(Fault::OtherValue)
    }

    /// The chain that the header belongs to: a new one, if it begins another log.
    fn chain_of(&mut self, header: &[u8; HEADER_LEN]) -> &mut Chain {
        if self
            .chain
            .as_ref()
            .is_some_and(|chain| !chain.is_of(header))
        {
            self.chain = None;
            self.places.clear();
            (self.covered, self.begins_at) = (None, 0);
        }
        let key = self.key;
        self.chain.get_or_insert_with(|| Chain::new(key, header))
    }

    /// Takes a checkpoint: `frame` is all of it, and `payload` what it says.
    pub fn check(&mut self, frame: &[u8], payload: &[u8], place: P) -> Option<Fault<P>> {
        let chain = self.chain.as_ref()?;
        let (first, found) = (chain.first, self.places.len() as u64);
        let checkpoint = Checkpoint::from_bytes(payload);
        let is_ours = |checkpoint: &Checkpoint<'_>| chain.has_key_of(checkpoint);
        if !checkpoint.as_ref().is_none_or(is_ours) && self.covered.is_none() {
            let is_first = !self.has_other_key;
            self.has_other_key = true;
            return is_first.then_some(Fault::OtherKey);
        }
        let broken = |at: u64, place: P, written: u64| Fault::Broken {
            number: first.saturating_add(at),
            place,
            found,
            written,
        };
        let checkpoint = match checkpoint {
            Some(checkpoint) if chain.proves(frame) => checkpoint,
            // Made without the key, or for a file with another header.
            _ => return Some(broken(found, place, found)),
        };
        let nearest = |at: usize| self.places.get(at).cloned().unwrap_or(place.clone());
        let fault = if self.covered.is_none() && checkpoint.first > 0 {
            // Older files are gone. It covers their last frames, and the header of this one.
            let here = u64::from(checkpoint.is_first_of_file);
            self.begins_at = checkpoint.end().saturating_sub(here);
            // The header is the first frame here, or all others are not from this log.
            let at = if self.before_header == 0 { here } else { 0 };
            (found != here).then(|| Fault::Broken {
                number: self.begins_at.saturating_add(at),
                place: nearest(at as usize),
                found,
                written: here,
            })
        } else if checkpoint.first < first {
            // A copy of an earlier one. What follows is compared with the next one.
            return Some(broken(found, place, found));
        } else if checkpoint.first > first {
            // The checkpoint with the tags of these frames is missing.
            let written = checkpoint.end().saturating_sub(first);
            Some(broken(0, nearest(0), written))
        } else if checkpoint.count == found && checkpoint.value == *chain.value() {
            let frames = checkpoint.adopted;
            (frames > 0).then_some(Fault::Adopted { frames })
        } else {
            let at = chain.agreeing(&checkpoint);
            Some(broken(at as u64, nearest(at), checkpoint.count))
        };
        self.places.clear();
        self.has_other_key = false;
        self.is_ended = checkpoint.is_end;
        let covered = (checkpoint.end(), checkpoint.value);
        self.covered = Some(covered);
        if let Some(chain) = &mut self.chain {
            chain.go_on(covered.0, covered.1);
        }
        fault.or(self.compare())
    }
}
