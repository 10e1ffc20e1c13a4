//! The first two pages of a ring file: how far the log has come, and what is being written to it.
//!
//! A process that is killed stops between two instructions, and what it has stored before is in the file. So every
//! store here leaves a file that can be recovered; docs/format.md goes through them one by one. The drain is the only one that
//! stores, and readers of a live file are other processes: Release and Acquire keep the order for them, and the
//! compiler from changing it.
//!
//! # Safety
//!
//! The header lies at the start of a mapping that outlives the journal, and is only ever accessed as atomics.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::primitives::sync::{AtomicU64, Ordering};
use crate::words::{Entries, Head, Intent, Layout, Live, LogNote};

/// A line of words.
type Line = [AtomicU64; 8];

/// The words of the two pages.
#[repr(C, align(64))]
pub struct Header {
    fixed: Line,
    tail: TailWords,
    intents: [Line; 2],
    live: [AtomicU64; Live::WORDS],
    _unused: [AtomicU64; 512 - 4 * 8 - Live::WORDS],
    log: [AtomicU64; LogNote::WORDS],
}

// The words of a model checker are more than their bits: no ring file there.
const _: () = assert!(cfg!(alq_model) || size_of::<Header>() == Layout::SLOTS_AT);
const _: () = assert!(cfg!(alq_model) || core::mem::offset_of!(Header, log) == Layout::PATH_AT);

/// The tail, three times over: `{ seq 32, pos 32 }`.
#[repr(C, align(64))]
struct TailWords {
    /// Where it was before.
    previous: AtomicU64,
    tail: AtomicU64,
    /// Its complement, so that a word that was damaged is told apart.
    check: AtomicU64,
}

/// The header of a mapped ring file.
#[derive(Debug)]
pub struct Journal {
    header: NonNull<Header>,
    opened_ns: u64,
}

// SAFETY: the header is nothing but atomics.
unsafe impl Send for Journal {}
// SAFETY: as above.
unsafe impl Sync for Journal {}

impl Journal {
    /// The journal whose header is at `header`.
    ///
    /// # Safety
    ///
    /// It must be mapped, readable and writable, for as long as the journal lives.
    pub(super) unsafe fn at(header: NonNull<Header>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            header,
            opened_ns: now.unwrap_or_default().as_nanos() as u64,
        }
    }

    fn header(&self) -> &Header {
        // SAFETY: mapped for as long as `self` (see `at`), page aligned, and all of it valid atomics.
        unsafe { self.header.as_ref() }
    }

    /// What the header says.
    pub fn read(&self) -> Entries {
        let header = self.header();
        let tail = &header.tail;
        Entries {
            tail: [&tail.previous, &tail.tail, &tail.check].map(load),
            intents: header
                .intents
                .each_ref()
                .map(|line| line.each_ref().map(load)),
        }
    }

    fn tail(&self) -> Option<Head> {
        self.read().tail()
    }

    /// Notes what is about to be written. `generation` is not the caller's to set.
    pub fn intend(&self, intent: Intent) {
        let entries = self.read();
        let generation = entries.newest().map_or(0, |last| last.generation) + 1;
        let line = &self.header().intents[entries.next_place()];
        let intent = Intent {
            generation,
            ..intent
        };
        for (word, value) in intent.stores() {
            line[word].store(value, Ordering::Release); // as in [journal.store]
        }
    }

    /// Takes the newest intent back: the write has taken nothing.
    pub fn withdraw(&self) {
        if let Some(newest) = self.read().newest() {
            self.clear(|words| Intent::from_words(words) == Some(newest));
        }
    }

    /// Clears what is damaged of the intents: it has been told.
    pub fn clear_damaged(&self) {
        self.clear(Intent::is_damaged);
    }

    fn clear(&self, is_it: impl Fn(&[u64; Intent::WORDS]) -> bool) {
        for line in &self.header().intents {
            if is_it(&line.each_ref().map(load)) {
                line[7].store(0, Ordering::Release); // as one that is not whole: [journal.store]
            }
        }
    }

    /// The tail moves to `tail`, over `whole` bytes of the records that were intended; `ahead` more of them are written
    /// behind it. To be stored before anybody may use the room again.
    pub fn advance(&self, tail: Head, whole: u32, ahead: u32) {
        if self.tail() == Some(tail) {
            return; // a part of a record more: the intent covers it
        }
        if ahead > 0 {
            if let Some(mut rest) = self.read().intent() {
                // Counts as soon as the tail is there; until then the one before does.
                rest.start = tail;
                rest.bytes = rest.bytes.saturating_sub(whole);
                rest.end.size_bytes += u64::from(whole);
                self.intend(rest);
            }
        }
        self.set_tail(tail);
    }

    /// Stores where the tail is.
    fn set_tail(&self, tail: Head) {
        let words = &self.header().tail;
        // Relaxed: this thread has stored it.
        let before = words.tail.load(Ordering::Relaxed);
        let words = [&words.previous, &words.tail, &words.check];
        for (word, value) in Entries::tail_stores(before, tail.to_bits()) {
            // [journal.tail] Release on all of them, pairs with [journal.load], in this order: from the tail on the intent for
            // what comes next counts.
            words[word].store(value, Ordering::Release);
        }
    }

    /// Notes which log the records are for.
    pub fn note_log(&self, note: &LogNote) {
        let log = &self.header().log;
        let words = note.to_words();
        // Relaxed: before the Releases of what follows. No note, until its check is there, which comes last.
        log[0].store(0, Ordering::Relaxed);
        store(&log[1..], &words[1..]);
        store(&log[..1], &words[..1]);
    }

    /// Which log the records are for; `None` if that was not noted to the end.
    pub fn log(&self) -> Option<LogNote> {
        let words: Vec<u64> = self.header().log.iter().map(load).collect();
        LogNote::from_words(&words)
    }

    /// Shows what the queue is doing; who and since when is known here.
    pub fn show(&self, live: &Live) {
        let live = Live {
            pid: process::id(),
            opened_ns: self.opened_ns,
            ..*live
        };
        store(&self.header().live, &live.to_words());
    }
}

/// Stores `words`, the last one last.
fn store(line: &[AtomicU64], words: &[u64]) {
    for (word, value) in line.iter().zip(words) {
        // [journal.store] Release, pairs with [journal.load]: in this order, also for another process.
        word.store(*value, Ordering::Release);
    }
}

fn load(word: &AtomicU64) -> u64 {
    // [journal.load] Acquire, pairs with [journal.store] and [journal.tail].
    word.load(Ordering::Acquire)
}
