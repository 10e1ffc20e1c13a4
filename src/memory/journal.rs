//! The header of a mapped ring file, its first two pages: how far the log has come, what is being
//! written to it, and what the queue shows of itself.
//!
//! A killed process stops between two instructions, and everything that it has stored before is in
//! the file. So after each single store here the file can be recovered; docs/format.md goes through
//! the stores one by one. One thread at a time stores: first the thread that opens the file, then
//! the flusher. (In a recorder, any thread moves the oldest record.) Readers of a live file are other
//! processes: Release and Acquire keep the order for them, and keep the compiler from changing it.
//!
//! # Safety
//!
//! The header is at the start of a mapping that outlives the journal. It is only ever accessed as
//! atomics.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::primitives::sync::{AtomicU32, AtomicU64, Ordering, fence, unless_mutant};
use crate::words::{Entries, Head, Intent, Layout, Live, LogNote, Oldest, Reason, Tail};

/// One cache line of words.
type Line = [AtomicU64; 8];

/// The words of the first two pages.
#[repr(C, align(64))]
pub struct Header {
    fixed: Line,
    tail: TailWords,
    intents: [Line; 2],
    live: [AtomicU64; Live::WORDS],
    /// Stored before the file is mapped.
    _identity: Line,
    /// When the write that is in progress began.
    writing: AtomicU64,
    _unused: [AtomicU64; 7],
    /// Why the log accepts no data.
    reason: [AtomicU64; Reason::WORDS],
    _unused_too: [AtomicU64; 512 - 6 * 8 - Live::WORDS - Reason::WORDS],
    log: [AtomicU64; LogNote::WORDS],
}

// The atomics of a model checker are larger than their bits, so models have no ring file.
const _: () = assert!(cfg!(alq_model) || size_of::<Header>() == Layout::SLOTS_AT);
const _: () = assert!(cfg!(alq_model) || core::mem::offset_of!(Header, log) == Layout::PATH_AT);

/// The three words of the tail. A tail is `{ seq 32, pos 32 }`.
#[repr(C, align(64))]
struct TailWords {
    /// The tail before this one.
    previous: AtomicU64,
    tail: AtomicU64,
    /// The complement of the tail, so that a damaged word is detected.
    check: AtomicU64,
    /// Where the oldest record of a recorder is.
    oldest: [AtomicU64; Oldest::WORDS],
}

/// The header of a mapped ring file.
#[derive(Debug)]
pub struct Journal {
    header: NonNull<Header>,
    opened_ns: u64,
    /// How many bytes after the tail may be in the log although no write has reported them. Only
    /// the thread that stores uses it, so every access is Relaxed.
    doubt: AtomicU32,
}

// SAFETY: the header is nothing but atomics.
unsafe impl Send for Journal {}
// SAFETY: as above.
unsafe impl Sync for Journal {}

impl Journal {
    /// Creates the journal for the header at `header`.
    ///
    /// # Safety
    ///
    /// The header must be mapped, readable and writable, for as long as the journal lives.
    pub(super) unsafe fn at(header: NonNull<Header>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            header,
            opened_ns: now.unwrap_or_default().as_nanos() as u64,
            doubt: AtomicU32::new(0),
        }
    }

    fn header(&self) -> &Header {
        // SAFETY: the header is mapped for as long as `self` lives (see `at`), it is page aligned,
        // and all of it is valid as atomics.
        unsafe { self.header.as_ref() }
    }

    /// Reads the tail and the intents.
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

    /// Reads where the oldest record of a recorder is.
    pub fn oldest(&self) -> Oldest {
        Oldest::from_words(self.header().tail.oldest.each_ref().map(load))
    }

    /// Moves the oldest record of a recorder to `tail`, never back. Any thread may call it, before
    /// the room in front of `tail` is used again.
    ///
    /// The sequence comes first. A kill between the two leaves a position that is too early by what
    /// has just become free, and no claim has used that yet.
    pub fn free_to(&self, tail: Tail) {
        let [seq, pos, ..] = &self.header().tail.oldest;
        // [journal.oldest] Release on both, pairs with [journal.load]: in this order, also for the
        // compiler.
        let order = unless_mutant("journal.oldest", Ordering::Release);
        seq.fetch_max(tail.seq, order);
        pos.fetch_max(tail.pos, order);
        // [journal.freed] Release, pairs with [journal.copied]: a reader in another process that
        // copies a byte of a later owner sees, when it looks again, that it was free.
        fence(unless_mutant("journal.freed", Ordering::Release));
    }

    /// Counts records that a recorder has overwritten, and their bytes. Any thread may call it.
    pub fn count_overwritten(&self, counts: [u64; 2]) {
        for (word, count) in self.header().tail.oldest[2..].iter().zip(counts) {
            // Relaxed: they only inform.
            word.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Takes records out of that count, because a dump has counted them.
    pub fn report_overwritten(&self, counts: [u64; 2]) {
        for (word, count) in self.header().tail.oldest[2..].iter().zip(counts) {
            // Relaxed on both: as above.
            let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                Some(now.saturating_sub(count))
            });
        }
    }

    fn tail(&self) -> Option<Head> {
        self.read().tail()
    }

    /// Stores what the next write will append, and what earlier ones may have appended. The journal
    /// sets `generation`; the value in `intent` is ignored.
    pub fn intend(&self, intent: Intent) {
        let entries = self.read();
        let generation = entries.newest().map_or(0, |last| last.generation) + 1;
        let line = &self.header().intents[entries.next_place()];
        let intent = Intent {
            generation,
            bytes: intent.bytes.max(self.doubted()),
            ..intent
        };
        for (word, value) in intent.stores() {
            put(&line[word], value);
        }
    }

    /// Withdraws the newest intent, because the write has written nothing. If an earlier write is
    /// in doubt, its intent counts again.
    pub fn withdraw(&self) {
        if let Some(newest) = self.read().newest() {
            self.clear(|words| Intent::from_words(words) == Some(newest));
        }
    }

    /// Notes that the first `bytes` after the tail may be in the log, whatever the write reports.
    /// They stay intended until a later write has reported them.
    pub fn doubt(&self, bytes: u32) {
        // Relaxed: see the field.
        self.doubt.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Ends all doubt, because the queue continues in another log.
    pub fn forget_doubt(&self) {
        // Relaxed: see the field.
        self.doubt.store(0, Ordering::Relaxed);
    }

    fn doubted(&self) -> u32 {
        // Relaxed: see the field.
        self.doubt.load(Ordering::Relaxed)
    }

    /// Clears damaged intents, once they have been reported.
    pub fn clear_damaged(&self) {
        self.clear(Intent::is_damaged);
    }

    fn clear(&self, is_it: impl Fn(&[u64; Intent::WORDS]) -> bool) {
        for line in &self.header().intents {
            if is_it(&line.each_ref().map(load)) {
                put(&line[7], 0); // an intent without its check does not count
            }
        }
    }

    /// Moves the tail to `tail`. `whole` bytes of the intended records are before it, and `ahead`
    /// more bytes after it are already written. Must be called before the room is used again.
    pub fn advance(&self, tail: Head, whole: u32, ahead: u32) {
        if self.tail() == Some(tail) {
            return; // only a further part of a record: the intent covers it
        }
        let doubted = self.doubted().saturating_sub(whole);
        // Relaxed: see the field.
        self.doubt.store(doubted, Ordering::Relaxed);
        if ahead > 0 || doubted > 0 {
            if let Some(mut rest) = self.read().intent() {
                // This intent counts as soon as the tail is stored. Until then the previous one
                // counts.
                rest.high += u32::from(tail.pos < rest.start.pos); // the low half has wrapped
                rest.start = tail;
                rest.bytes = if ahead > 0 {
                    rest.bytes.saturating_sub(whole)
                } else {
                    doubted
                };
                rest.end.size_bytes += u64::from(whole);
                self.intend(rest);
            }
        }
        self.set_tail(tail);
    }

    /// Stores the three words of the tail.
    fn set_tail(&self, tail: Head) {
        let words = &self.header().tail;
        // Relaxed: this thread has stored it.
        let before = words.tail.load(Ordering::Relaxed);
        let words = [&words.previous, &words.tail, &words.check];
        for (word, value) in Entries::tail_stores(before, tail.to_bits()) {
            // [journal.tail] Release on all of them, pairs with [journal.load], in this order: from
            // the store of the tail on, the intent for the bytes after it counts.
            let order = unless_mutant("journal.tail", Ordering::Release);
            words[word].store(value, order);
        }
    }

    /// Stores which log the records are for.
    pub fn note_log(&self, note: &LogNote) {
        let log = &self.header().log;
        let words = note.to_words();
        // Relaxed: the Releases below follow it. Without its check the note does not count, and the
        // check is stored last.
        log[0].store(0, Ordering::Relaxed);
        store(&log[1..], &words[1..]);
        store(&log[..1], &words[..1]);
    }

    /// Returns which log the records are for; `None` if there is no complete note.
    pub fn log(&self) -> Option<LogNote> {
        let words: Vec<u64> = self.header().log.iter().map(load).collect();
        LogNote::from_words(&words)
    }

    /// Stores when the write begins that follows. The next [`show`](Journal::show) clears it, so a
    /// reader sees for how long a write has not returned.
    pub fn write_begins(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ns = now.unwrap_or_default().as_nanos() as u64;
        self.set_writing(now_ns);
    }

    /// Returns when the write began that is in progress; 0 if none is.
    pub fn write_began_ns(&self) -> u64 {
        load(&self.header().writing)
    }

    fn set_writing(&self, ns: u64) {
        store(core::slice::from_ref(&self.header().writing), &[ns]);
    }

    /// Stores why the log accepts no data. Any thread may call it, also at the same time as another
    /// one: a mixture of two reasons does not pass the check.
    pub fn note_reason(&self, reason: &Reason) {
        let words = reason.to_words();
        self.forget_reason();
        store(&self.header().reason[1..], &words[1..]);
        store(&self.header().reason[..1], &words[..1]);
    }

    /// Stores that there is no reason.
    pub fn forget_reason(&self) {
        let check = &self.header().reason[0];
        // Look first: every step of the flusher calls this. Relaxed: a reason that another thread
        // stores meanwhile is of a write that has returned.
        if check.load(Ordering::Relaxed) != 0 {
            check.store(0, Ordering::Release); // as in [journal.store]
        }
    }

    /// Stores the statistics of the queue. The journal fills in the process and the time of
    /// opening.
    pub fn show(&self, live: &Live) {
        let live = Live {
            pid: process::id(),
            opened_ns: self.opened_ns,
            ..*live
        };
        store(&self.header().live, &live.to_words());
        self.set_writing(0);
    }
}

/// Stores `words` in order.
fn store(line: &[AtomicU64], words: &[u64]) {
    for (word, value) in line.iter().zip(words) {
        put(word, *value);
    }
}

fn put(word: &AtomicU64, value: u64) {
    // [journal.store] Release, pairs with [journal.load]: after the stores before it, also for
    // another process.
    word.store(value, unless_mutant("journal.store", Ordering::Release));
}

fn load(word: &AtomicU64) -> u64 {
    // [journal.load] Acquire, pairs with [journal.store], [journal.tail] and [journal.oldest].
    word.load(unless_mutant("journal.load", Ordering::Acquire))
}
