//! The ring on one thread, where the result of each step is known: the claim, the bytes that the
//! drain offers, and the fill.

use std::io::IoSlice;

use alq::model::{Drain, Drained, Geometry, Heap, Holes, Owner, Refusal, Reservation, Ring, Tail};

use crate::bytes::Bytes;

struct World<'r> {
    ring: &'r Ring<Heap>,
    drain: Drain,
    held: Vec<Reservation<'r, Heap>>,
    lanes: Vec<Owner>,
    /// `(position, bytes)` of each posted record.
    posted: Vec<(u64, Vec<u8>)>,
    /// Where records start that were posted quietly.
    quiet: Vec<u64>,
    /// Up to here the drain may write. A record that is posted later in front of it is written,
    /// too.
    permitted: u64,
    /// Where the last record ends that has activated the queue, and how many were posted by then.
    activated: (u64, usize),
    file: Vec<u8>,
    is_closed: bool,
}

/// A small ring, near a point where its numbers wrap.
pub fn ring(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let geometry = Geometry::new(16 << bytes.below(3), 8 << bytes.below(3));
    // It starts in the last laps before both halves of the head wrap, or before the tags do.
    let lap = u64::from(geometry.slots());
    let seq = [lap, u64::from(u32::MAX), lap << 30][bytes.below(3)];
    let origin = Tail {
        seq: seq.max(lap + 64) - bytes.below(64) as u64,
        pos: [0, u64::from(u32::MAX)][bytes.below(2)] + bytes.below(64) as u64,
    };
    let (ring, drain) = Ring::starting_at(Heap::new(geometry), origin);
    let mut world = World {
        ring: &ring,
        drain,
        held: Vec::new(),
        lanes: (0..2).map(|_| ring.enter_lane(16)).collect(),
        posted: Vec::new(),
        quiet: Vec::new(),
        permitted: 0,
        activated: (0, 0),
        file: Vec::new(),
        is_closed: false,
    };
    while !bytes.is_empty() {
        world.step(&mut bytes);
        world.look(origin);
    }
    world.end(origin);
}

impl World<'_> {
    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let (kind, len) = (bytes.u8() % 16, 1 + bytes.below(64));
        match kind {
            0..4 => self.reserve(len),
            4..6 => {
                let choice = bytes.u8();
                self.post(choice & 1 == 0, len, choice & 2 == 0);
            }
            6..10 => self.append(usize::from(kind & 1), len, kind < 8),
            10 => {
                self.lanes[len & 1].leave(self.ring);
            }
            11 => self.ring.lanes().want_room(),
            12..15 => {
                self.take(len as u32, bytes.below(80));
            }
            _ if bytes.u8() > 250 => self.is_closed |= self.ring.close(),
            _ => {}
        }
    }

    fn reserve(&mut self, len: usize) {
        let len = len.min(self.ring.geometry().capacity() as usize) as u32;
        let room = self.ring.room();
        match self.ring.reserve(len) {
            Ok(mut reservation) => {
                assert!(!self.is_closed && room.bytes >= len && room.spans > 0);
                reservation.fill(&vec![b'?'; len as usize]);
                self.held.push(reservation);
            }
            Err(Refusal::Closed) => assert!(self.is_closed),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Full);
                assert!(room.bytes < len || room.spans == 0, "{room:?}, {len}");
            }
        }
    }

    /// A record that has no byte in common with any other, as long as there are at most 256.
    fn record(&self, len: usize) -> Vec<u8> {
        vec![self.posted.len() as u8; len]
    }

    fn note(&mut self, end: u64, record: Vec<u8>, activate: bool) {
        if !activate {
            self.quiet.push(end - record.len() as u64);
        }
        self.posted.push((end, record));
        if activate {
            self.activated = (end.max(self.activated.0), self.posted.len());
        }
    }

    fn post(&mut self, oldest: bool, used: usize, activate: bool) {
        if self.held.is_empty() {
            return;
        }
        let index = if oldest { 0 } else { self.held.len() - 1 };
        let mut reservation = self.held.remove(index);
        let used = used.saturating_sub(1).min(reservation.len());
        let record = self.record(used);
        reservation.bytes_mut()[..used].copy_from_slice(&record);
        let end = reservation.post_as(used as u32, activate).end;
        if used > 0 {
            self.note(end, record, activate);
        }
    }

    fn append(&mut self, lane: usize, len: usize, activate: bool) {
        let record = self.record(len.min(16));
        let owner = &mut self.lanes[lane];
        if !owner.begins(record.len()) {
            owner.leave(self.ring);
            if owner.open(self.ring, record.len() as u32).is_err() {
                owner.leave(self.ring);
                return;
            }
        }
        let end = owner.append(self.ring, &record, activate).end;
        self.note(end, record, activate);
    }

    /// Runs a step of the drain that offers at most `limit` bytes, of which the sink takes at most
    /// `take`. Returns whether the step did anything.
    fn take(&mut self, limit: u32, take: usize) -> bool {
        if self.is_closed || self.activated.0 > self.ring.tail().pos {
            let ends = self.posted.iter().map(|(end, _)| *end);
            self.permitted = ends.max().unwrap_or(0); // it may take all that it finds
        }
        let file = &mut self.file;
        let write = |runs: &[IoSlice<'_>]| -> Result<usize, ()> {
            let offered: Vec<u8> = runs.iter().flat_map(|run| run.to_vec()).collect();
            assert!(!offered.is_empty());
            let taken = take.min(offered.len());
            file.extend(&offered[..taken]);
            Ok(taken)
        };
        let drained = self.drain.step(self.ring, limit, Holes::Wait, write);
        matches!(drained, Ok(Drained::Moved { .. }))
    }

    fn stream(&self) -> Vec<u8> {
        let mut in_order = self.posted.clone();
        in_order.sort();
        for pair in in_order.windows(2) {
            assert!(pair[0].0 + pair[1].1.len() as u64 <= pair[1].0);
        }
        in_order
            .into_iter()
            .flat_map(|(_, record)| record)
            .collect()
    }

    fn look(&self, origin: Tail) {
        let (done, outstanding) = self.ring.outstanding();
        let posted: usize = self.posted.iter().map(|(_, record)| record.len()).sum();
        assert_eq!(done.bytes, self.file.len() as u64);
        assert_eq!(done.bytes + outstanding.bytes, posted as u64);
        let written_to = done.tail.pos + u64::from(done.ahead);
        assert_eq!(origin.pos + done.bytes + done.padding, written_to);
        let mut quiet = self.quiet.iter();
        assert!(quiet.all(|start| *start < self.permitted || *start >= written_to));
        assert_eq!(outstanding.held, self.held.len() as u64);
        assert!(self.ring.fill() <= self.ring.geometry().capacity());
        if let Some(last) = self.posted.iter().map(|(end, _)| *end).max() {
            assert!(self.ring.posted_end() >= last);
        }
    }

    /// Drops all handles, drains the ring, and checks that every record arrived.
    fn end(mut self, origin: Tail) {
        while !self.held.is_empty() {
            self.post(false, 9, false);
        }
        let ring = self.ring;
        for lane in &mut self.lanes {
            lane.leave(ring);
        }
        while self.take(7, 5) {}
        for (end, _) in &self.posted[..self.activated.1] {
            assert!(*end <= ring.tail().pos, "it was activated");
        }
        ring.activate_until(ring.posted_end());
        self.quiet.clear();
        while self.take(7, 5) {}
        assert_eq!(self.file, self.stream());
        self.look(origin);
        assert_eq!(self.ring.fill(), 0);
        assert!(self.is_closed || self.ring.reserve(self.ring.geometry().capacity()).is_ok());
    }
}
