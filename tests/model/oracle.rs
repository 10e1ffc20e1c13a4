//! The result that each operation must have.
//!
//! Only one thread posts, so every count that posts determine is exact at every step. How much the
//! flusher has drained is not known, so the oracle keeps bounds: a flush has drained at least so
//! much, and an open entry keeps what comes after it from being drained.

use alq::{Error, Queue};

const CAPACITY: u64 = 4096;
const SLOTS: usize = 64;

/// A claim: its place in the stream, and what it has posted (nothing while it is open).
struct Span {
    start: u64,
    posted: Option<Vec<u8>>,
}

#[derive(Default)]
pub struct Oracle {
    spans: Vec<Span>,
    head: u64,
    /// Up to here all is known to be drained: a position, and how many spans lie before it.
    drained: (u64, usize),
    pub padding: u64,
    refused: (u64, u64),
}

impl Oracle {
    fn posted(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.spans
            .iter()
            .filter_map(|span| span.posted.as_ref())
            .filter(|bytes| !bytes.is_empty())
    }

    pub fn file(&self) -> Vec<u8> {
        self.posted().flatten().copied().collect()
    }

    /// The oldest open claim: the drain cannot have gone past it.
    fn oldest_open(&self) -> Option<(usize, u64)> {
        let index = self.spans.iter().position(|span| span.posted.is_none())?;
        Some((index, self.spans[index].start))
    }

    /// What is in use at least, and at most: bytes and slots.
    fn in_use(&self) -> [(u64, usize); 2] {
        let (index, start) = self.oldest_open().unwrap_or((self.spans.len(), self.head));
        let (position, count) = self.drained;
        [
            (self.head - start, self.spans.len() - index),
            (self.head - position, self.spans.len() - count),
        ]
    }

    /// A claim that was tried: whether its outcome is possible. Gives its index if it was granted.
    pub fn claim(&mut self, len: usize, refusal: Option<&Error>) -> Option<usize> {
        let len = len as u64;
        let fits = |(bytes, spans): (u64, usize)| bytes + len <= CAPACITY && spans < SLOTS;
        let [least, most] = self.in_use();
        if let Some(error) = refusal {
            assert_eq!(error, &Error::WouldBlock);
            assert!(
                !fits(most),
                "refused {len} bytes with at most {most:?} in use"
            );
            self.refused = (self.refused.0 + 1, self.refused.1 + len);
            return None;
        }
        assert!(fits(least), "granted {len} bytes with {least:?} in use");
        self.spans.push(Span {
            start: self.head,
            posted: None,
        });
        self.head += len;
        Some(self.spans.len() - 1)
    }

    /// A post of the first bytes of claim `index`, which reserved `len`; gives its position.
    pub fn post(&mut self, index: usize, len: usize, used: &[u8]) -> u64 {
        let end = self.spans[index].start + used.len() as u64;
        if index + 1 == self.spans.len() {
            self.head = end;
        } else {
            self.padding += (len - used.len()) as u64;
        }
        self.spans[index].posted = Some(used.to_vec());
        end
    }

    /// A claim of `len` bytes was granted, so what it needs must have been drained.
    pub fn made_room(&mut self, len: usize) {
        let (position, count) = self.drained;
        let free_bytes = (self.head + len as u64).saturating_sub(CAPACITY);
        let free_slots = (self.spans.len() + 1).saturating_sub(SLOTS);
        self.drained = (position.max(free_bytes), count.max(free_slots));
    }

    /// All that was posted has been written.
    pub fn flushed(&mut self) {
        let has_bytes = |span: &Span| span.posted.as_ref().is_some_and(|bytes| !bytes.is_empty());
        if let Some(index) = self.spans.iter().rposition(has_bytes) {
            let span = &self.spans[index];
            let len = span.posted.as_ref().unwrap().len() as u64;
            self.drained = (span.start + len, index + 1);
        }
    }

    pub fn check(&self, queue: &Queue) {
        let stats = queue.stats();
        let bytes: usize = self.posted().map(Vec::len).sum();
        assert_eq!(stats.posted_bytes, bytes as u64);
        assert_eq!(stats.posted_records, self.posted().count() as u64);
        let open = self.spans.iter().filter(|span| span.posted.is_none());
        assert_eq!(stats.held, open.count() as u64);
        assert_eq!((stats.refused_records, stats.refused_bytes), self.refused);
        let [least, most] = self.in_use();
        assert!((least.0..=most.0).contains(&stats.fill_bytes), "{stats:?}");
        assert!(stats.written_bytes <= stats.posted_bytes);
        assert!(stats.padding_bytes <= self.padding);
        if let Some((index, start)) = self.oldest_open() {
            let next = self.spans.get(index + 1);
            let end = next.map_or(self.head, |span| span.start);
            assert_eq!(stats.oldest_held_bytes, end - start);
        } else {
            assert_eq!(stats.oldest_held_bytes, 0);
        }
        assert_eq!((stats.abandoned, stats.last_error), (0, None));
    }
}
