//! Tests: a kill between any two stores to the header of a ring file, and damage of its tail.

use super::{Entries, Head, Intent, LogEnd};

/// The words of a tail after the first `stores` of the stores that move it.
fn moved(mut words: [u64; 3], to: u64, stores: usize) -> [u64; 3] {
    for (word, value) in &Entries::tail_stores(words[1], to)[..stores] {
        words[*word] = *value;
    }
    words
}

fn decoded(tail: [u64; 3]) -> Option<u64> {
    let intents = [[0; Intent::WORDS]; 2];
    Entries { tail, intents }.tail().map(Head::to_bits)
}

#[test]
fn a_kill_between_any_two_stores_of_a_tail_and_of_the_next_keeps_it_readable() {
    let fresh = [0, 10, !10];
    for (first, second) in (0..=4).flat_map(|first| (0..=4).map(move |second| (first, second))) {
        let left = moved(fresh, 20, first);
        let tail = if first < 3 { 10 } else { 20 };
        assert_eq!(decoded(left), Some(tail), "{first}");
        let left = moved(left, 30, second);
        let tail = if second < 3 { tail } else { 30 };
        assert_eq!(decoded(left), Some(tail), "{first}, {second}");
    }
}

/// Runs the stores of one process (the intent for the rest, then the tail), and after each of them
/// the stores of the next process.
fn kill(entries: Entries, rest: Intent, depth: u32, check: &dyn Fn(&Entries)) {
    let place = entries.next_place();
    let generation = entries.newest().map_or(0, |last| last.generation) + 1;
    let rest = Intent { generation, ..rest };
    let mut left = entries;
    let look = |left: &Entries| {
        check(left);
        if depth > 0 {
            kill(*left, rest, depth - 1, check);
        }
    };
    for (word, value) in rest.stores() {
        left.intents[place][word] = value;
        look(&left);
    }
    for (word, value) in Entries::tail_stores(left.tail[1], rest.start.to_bits()) {
        left.tail[word] = value;
        look(&left);
    }
}

/// A process moves the tail with an intent for the rest and is killed; the next processes repeat
/// the stores and are killed too. At every point the header says what is being written.
#[test]
fn a_kill_between_any_two_stores_of_an_intent_and_of_the_next_keeps_it_readable() {
    let [before, after] = [10, 20].map(Head::from_bits);
    let intent = |start, bytes| Intent {
        generation: 0,
        start,
        bytes,
        high: 0,
        end: LogEnd::default(),
    };
    let check = |entries: &Entries| {
        let tail = entries.tail().unwrap();
        let bytes = if tail == before { 100 } else { 40 };
        let noted = entries.intent().map(|noted| (noted.start, noted.bytes));
        assert_eq!(noted, Some((tail, bytes)));
    };
    for first in 0..2 {
        let mut intents = [[0; Intent::WORDS]; 2];
        intents[first] = intent(before, 100).to_words();
        let tail = [0, 10, !10];
        kill(Entries { tail, intents }, intent(after, 40), 2, &check);
    }
}

/// This does not hold between two stores, while the complement is that of the previous tail.
#[test]
fn every_flipped_bit_of_a_tail_is_seen() {
    let fresh = [0, 10, !10];
    for words in [fresh, moved(fresh, 20, 4)] {
        for bit in 0..64 {
            let flip = |word: usize| {
                let mut words = words;
                words[word] ^= 1 << bit;
                decoded(words)
            };
            assert_eq!((flip(1), flip(2)), (None, None), "{bit}");
            assert_eq!(flip(0), decoded(words), "{bit}");
        }
    }
}
