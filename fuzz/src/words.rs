//! Compares the words of the ring, and the arithmetic of its sizes, with the same in numbers that
//! do not wrap.

use std::io::IoSlice;

use alq::model::{Geometry, Head, Phase, Place, State, Tail, Width, extend, next_seq};
use alq::{Framing, Records};

use crate::bytes::Bytes;

/// Reads any bits as words, and checks the arithmetic on possible sizes, heads and tails.
pub fn words(bytes: &[u8]) {
    records(bytes);
    let mut bytes = Bytes(bytes);
    let geometry = geometry(&mut bytes);
    slots(geometry, bytes.u64(), bytes.u32());
    let tail = Tail {
        seq: u64::from(geometry.slots()) + bytes.u64() % (1 << 62),
        pos: bytes.u64() % (1 << 62),
    };
    let used = u64::from(bytes.u32()) % (u64::from(geometry.capacity()) + 1);
    let spans = u64::from(bytes.u32()) % (u64::from(geometry.spans_max()) + 1);
    room(geometry, tail, used, spans, bytes.u32());
    sequences(geometry, tail.seq, bytes.u32());
}

/// Checks that each byte of any runs is in one record, wherever the runs are cut.
fn records(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else {
        return;
    };
    let (front, back) = bytes.split_at(usize::from(first).min(bytes.len()));
    let (one, two) = ([bytes].map(IoSlice::new), [front, back].map(IoSlice::new));
    let fixed = Framing::Fixed(1 + usize::from(first >> 2));
    for framing in [Framing::Lines, Framing::Lengths, fixed] {
        let found = Records::new(framing, &one);
        assert!(found.clone().eq(Records::new(framing, &two)));
        assert_eq!(
            found.map(|record| record.framed_len).sum::<usize>(),
            bytes.len()
        );
    }
}

fn geometry(bytes: &mut Bytes<'_>) -> Geometry {
    let geometry = Geometry::new(1 << bytes.below(32), 4 << bytes.below(29));
    match bytes.u32() {
        0 => geometry,
        max => geometry.with_spans_max(1 + max % geometry.slots()),
    }
}

/// Checks that any value of a slot is exactly a span of the given lap, or is not a span.
fn slots(geometry: Geometry, bits: u64, seq: u32) {
    let tag = geometry.tag(seq);
    match State::of_lap(bits, tag) {
        Some(state) => {
            assert_eq!(state.to_bits(), bits);
            assert_eq!(state.tag, tag);
            let sealed = state.sealed();
            assert_eq!(State::of_lap(sealed.to_bits(), tag), Some(sealed));
            assert_eq!(sealed.committed, state.committed);
            assert!(!state.is_quiet || (1..1 << 31).contains(&state.committed));
            assert!(sealed.phase.is_final() && sealed.phase.is_of_lane());
        }
        None => {
            let same_tag = State::closed(tag, bits as u32);
            assert_ne!(same_tag.to_bits(), bits);
        }
    }
    let lap_later = seq.wrapping_add(geometry.slots());
    assert_eq!(geometry.slot(lap_later), geometry.slot(seq));
    let closed = State::closed(tag, bits as u32);
    assert_eq!(
        State::of_lap(closed.to_bits(), geometry.tag(lap_later)),
        None
    );
    let note = State::note(bits as u32, seq);
    assert!(State::is_note(note, bits as u32) && State::of_lap(note, tag).is_none());
    assert_eq!(Place::from_bits(bits).to_bits(), bits);
    assert_eq!(Head::from_bits(bits).to_bits(), bits);
}

/// Checks a head that is `used` bytes and `spans` spans ahead of `tail`, and a head older than a
/// tail.
fn room(geometry: Geometry, tail: Tail, used: u64, spans: u64, len: u32) {
    let (seq, pos) = (tail.seq + spans, tail.pos + used);
    let head = Head {
        seq: seq as u32,
        pos: pos as u32,
    };
    assert_eq!(u64::from(tail.bytes_to(head)), used);
    assert_eq!(extend(tail.pos, head.pos), pos);
    assert_eq!(extend(tail.seq, head.seq), seq);
    let room = geometry.room(head, tail);
    assert_eq!(u64::from(room.bytes), u64::from(geometry.capacity()) - used);
    assert_eq!(
        u64::from(room.spans),
        u64::from(geometry.spans_max()) - spans
    );
    for width in [Width::Slot, Width::Line] {
        let count = after(width, seq) - seq;
        let fits = used + u64::from(len) <= u64::from(geometry.capacity())
            && spans + count <= u64::from(geometry.spans_max());
        assert_eq!(geometry.has_room(head, tail, len, width), fits);
        if fits {
            let next = head.claimed(width, len);
            assert_eq!(extend(tail.pos, next.pos), pos + u64::from(len));
            assert_eq!(extend(tail.seq, next.seq), seq + count);
        }
    }
    assert!(!geometry.has_room(head.closed(geometry.slots()), tail, 0, Width::Slot));
    // The reverse: a head that is older than the tail by at least one byte.
    if used > 0 && used < u64::from(geometry.capacity()) {
        let late = Tail { seq, pos };
        let old = Head {
            seq: tail.seq as u32,
            pos: tail.pos as u32,
        };
        assert!(!geometry.has_room(old, late, 1, Width::Slot));
        assert_eq!(geometry.room(old, late).bytes, geometry.capacity());
    }
}

/// The sequence after a claim, as docs/ring.md describes it: the next one, or the first one of the
/// next line that is at least two later.
fn after(width: Width, seq: u64) -> u64 {
    match width {
        Width::Slot => seq + 1,
        Width::Line => (seq + 2).div_ceil(4) * 4,
    }
}

fn sequences(geometry: Geometry, seq: u64, pos: u32) {
    for phase in [Phase::Open, Phase::Closed, Phase::Sealed] {
        let width = if phase.is_of_lane() {
            Width::Line
        } else {
            Width::Slot
        };
        assert_eq!(next_seq(seq, phase), after(width, seq));
        assert_eq!(width.after(seq as u32), next_seq(seq, phase) as u32);
    }
    let offset = geometry.offset(pos);
    assert!(offset < geometry.capacity() as usize);
    assert_eq!(
        geometry.offset(pos.wrapping_add(geometry.capacity())),
        offset
    );
    // The post of a span over the whole ring always checks the fill.
    let start = u64::from(pos);
    assert!(geometry.is_at_mark(1, start, start + u64::from(geometry.capacity())));
}
