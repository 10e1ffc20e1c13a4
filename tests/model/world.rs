//! A queue and its model, side by side.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use alq::{Entry, Error, Flags, Lane, Level, Operation, Options, Position, Queue, SyncOp};

use super::ending::{Ending, check};
use super::far_end::{EIO, Files, Memory};
use super::op::{CAPACITY, ENTRY_LEN, LANES, LaneSpan, Op, Settings, Trouble};
use super::reference::{Reference, Tick, Verdict};

const WAIT: Flags = Flags::WAITOK;
const TRY: Flags = Flags::NOWAIT;

/// How long something is waited for that must not come.
pub const IN_VAIN: Duration = Duration::from_millis(1);

/// The slots of a queue of [`CAPACITY`]; how many of them a claim of a lane may take, with the end
/// of its last span; and how many idle lanes may keep when everything is written.
const SLOTS: usize = CAPACITY / 64;
const SLOTS_OF_A_CLAIM: usize = 6;
const SLOTS_OF_IDLERS: usize = 16;

pub fn io_error(operation: Operation) -> Error {
    Error::Io {
        operation,
        errno: EIO,
        target: alq::Target::default(),
    }
}

struct World<'q> {
    queue: &'q Queue,
    is_fixed: bool,
    lanes: Vec<Lane>,
    /// Entries of the queue that are held, and when they were claimed.
    held: VecDeque<(Entry<'q>, Tick)>,
    memory: Memory,
    files: Files,
    reference: Reference,
    /// What the far end takes in all, and what comes then.
    limit: Option<(usize, Trouble)>,
    next_sync_fails: bool,
    has_failed: bool,
    /// How many may be in use, at most.
    slots: usize,
    /// Only this many bytes may be written: since then everything was posted quietly.
    activated: Option<usize>,
}

/// Runs the sequence on a queue of its own.
///
/// # Panics
///
/// If the queue does anything but what it promises.
pub fn run(settings: Settings, ops: &[Op]) {
    let memory = Memory::default();
    let queue = options(settings).open_sink(memory.clone()).unwrap();
    let mut world = World {
        queue: &queue,
        is_fixed: settings.fixed.is_some(),
        lanes: (0..LANES).map(|_| queue.lane()).collect(),
        held: VecDeque::new(),
        memory,
        files: Files::default(),
        reference: Reference::default(),
        limit: None,
        next_sync_fails: false,
        has_failed: false,
        slots: 0,
        activated: None,
    };
    for op in ops {
        world.step(*op);
        world.look();
    }
    world.into_ending().check(queue, settings.ends_with_drop);
}

/// Nothing ends by the clock here, but for the waits that the model makes.
fn options(settings: Settings) -> Options {
    let options = Options::new().ordered(settings.ordered).stall_limit(None);
    let options = match settings.fixed {
        Some(count) => options.fixed(ENTRY_LEN, count),
        None => options.capacity(CAPACITY),
    };
    match settings.lane_span {
        LaneSpan::Of(bytes) => options.lane_span(bytes),
        LaneSpan::AsItIs => options,
    }
}

/// What can be said of the queue at this moment.
impl World<'_> {
    /// Whether the far end will not take all that is posted.
    fn is_stuck(&self) -> bool {
        self.limit
            .is_some_and(|(limit, _)| self.reference.bytes() > limit)
    }

    /// Whether all that is posted will be written, and `len` bytes more if they are.
    fn can_take(&self, len: usize) -> bool {
        let fits = |(limit, _)| self.reference.bytes() + len <= limit;
        !self.has_failed && self.held.is_empty() && self.limit.is_none_or(fits)
    }

    /// Whether there is room for `len` bytes without waiting. The flusher can only make more room.
    fn must_fit(&self, len: usize) -> bool {
        let is_free = self.queue.stats().fill_bytes as usize + len <= CAPACITY;
        let is_described = self.slots + SLOTS_OF_A_CLAIM <= SLOTS;
        !self.is_fixed && !self.has_failed && is_free && is_described
    }

    /// Whether an append with `flags` may be refused with `error`.
    fn judge(&self, error: &Error, flags: Flags, must_fit: bool) {
        if self.has_failed {
            assert_eq!(*error, io_error(Operation::Write));
        } else {
            assert_eq!(*error, Error::WouldBlock);
            assert!(flags.contains(TRY) && !must_fit, "refused for no reason");
        }
    }

    fn look(&self) {
        let stats = self.queue.stats();
        assert_eq!(stats.posted_bytes, self.reference.bytes() as u64);
        assert_eq!(stats.posted_records, self.reference.count() as u64);
        assert!(stats.written_bytes <= stats.posted_bytes);
        assert!(stats.written_records <= stats.posted_records);
        if let Some(activated) = self.activated {
            assert_eq!(stats.written_bytes, activated as u64);
        }
        assert!(stats.fill_bytes <= stats.capacity_bytes);
        assert_eq!(
            (stats.held, stats.lanes),
            (self.held.len() as u64, LANES as u64)
        );
        assert_eq!((stats.lost_bytes, stats.abandoned), (0, 0));
        assert_eq!(stats.last_error.is_some(), self.has_failed);
    }

    /// Everything that was posted is in the file.
    fn check_file(&self) {
        let repeated = check(&self.reference, &self.memory.bytes(), &self.files.bytes());
        assert_eq!(self.queue.stats().repeated_bytes, repeated as u64);
    }
}

/// The operations.
impl World<'_> {
    fn step(&mut self, op: Op) {
        if !matches!(op, Op::Write { .. } | Op::Seal { .. }) {
            self.activated = None;
        }
        match op {
            Op::Write { who, len, quiet } => self.write(who, len, quiet),
            Op::Reserve { who, len, used } => self.reserve(who, len, used),
            Op::Hold { len } => self.hold(len),
            Op::Release { oldest, used } => self.release(oldest, used),
            Op::Forget { who, len } => self.forget(who, len),
            Op::Seal { who } => {
                self.lanes[who - 1].seal();
                self.reference.seal(who);
            }
            Op::Renew { who } => {
                self.lanes[who - 1] = self.queue.lane();
                self.reference.seal(who);
            }
            Op::Full => self.fill_up(),
            Op::Activate => self.queue.activate(),
            Op::Flush => self.flush(),
            Op::WaitFor { record } => self.wait_for(record),
            Op::Sync { full } => self.sync(if full { SyncOp::Full } else { SyncOp::Data }),
            Op::Limit { room, trouble } => self.limit(room, trouble),
            Op::Unlimit => self.unlimit(),
            Op::Pieces { len } => self.memory.take_in_pieces(len),
            Op::FailSync => {
                self.next_sync_fails = self.files.is_empty();
                self.memory.fail_next_sync(self.next_sync_fails);
            }
            Op::Reopen { same } => self.reopen(same),
        }
        self.fail_if_due();
    }

    /// A record that no other is like, of `len` bytes if its number fits.
    fn record(&self, len: usize) -> Vec<u8> {
        let mut record = format!("<{}>", self.reference.count()).into_bytes();
        record.resize(record.len().max(len), b'.');
        record
    }

    fn write(&mut self, who: usize, len: usize, quiet: bool) {
        let len = if self.is_fixed { ENTRY_LEN } else { len };
        let quiet = [Flags::empty(), Flags::NOACTIVATE][usize::from(quiet)];
        self.append(who, len, TRY | quiet);
        if self.can_take(self.record(len).len()) {
            self.append(who, len, WAIT | quiet);
        }
    }

    fn append(&mut self, who: usize, len: usize, flags: Flags) {
        let record = self.record(len);
        let must_fit = self.must_fit(record.len());
        let claimed = self.reference.tick();
        self.slots += SLOTS_OF_A_CLAIM;
        if !must_fit || !flags.contains(Flags::NOACTIVATE) {
            self.activated = None; // a caller that finds no room activates, too
        }
        let result = match (who.checked_sub(1), self.is_fixed) {
            (None, false) => self.queue.writen(&record, flags),
            (None, true) => self.queue.write_fixed(&record, flags),
            (Some(lane), false) => self.lanes[lane].writen(&record, flags),
            (Some(lane), true) => self.lanes[lane].write_fixed(&record, flags),
        };
        match result {
            Ok(position) => self.reference.post(who, record, position, claimed),
            Err(error) => self.judge(&error, flags, must_fit),
        }
    }

    fn fill_up(&mut self) {
        if !self.is_fixed {
            // Whatever lanes have open, all of the queue can be had.
            let flags = if self.can_take(CAPACITY) { WAIT } else { TRY };
            self.append(0, CAPACITY, flags);
        }
    }

    fn reserve(&mut self, who: usize, len: usize, used: usize) {
        let record = self.record(used);
        let len = if self.is_fixed {
            ENTRY_LEN
        } else {
            len.max(record.len())
        };
        let record = &record[..record.len().min(len)];
        let flags = if self.can_take(len) { WAIT } else { TRY };
        let must_fit = self.must_fit(len);
        let claimed = self.reference.tick();
        self.slots += SLOTS_OF_A_CLAIM;
        /// The position, if it is posted.
        macro_rules! fill {
            ($entry:expr) => {
                $entry.map(|mut entry| {
                    entry.fill(b'!');
                    entry[..record.len()].copy_from_slice(record);
                    entry.set_bytes_used(record.len());
                    (used > 0).then(|| entry.post())
                })
            };
        }
        let posted: Result<Option<Position>, Error> = match (who.checked_sub(1), self.is_fixed) {
            (None, false) => fill!(self.queue.getn(len, flags)),
            (None, true) => fill!(self.queue.get(flags)),
            (Some(lane), false) => fill!(self.lanes[lane].getn(len, flags)),
            (Some(lane), true) => fill!(self.lanes[lane].get(flags)),
        };
        match posted {
            Ok(Some(position)) => self.reference.post(who, record.to_vec(), position, claimed),
            Ok(None) => {}
            Err(error) => self.judge(&error, flags, must_fit),
        }
    }

    fn hold(&mut self, len: usize) {
        let may_fail = self
            .limit
            .is_some_and(|(_, trouble)| trouble == Trouble::Failed);
        if self.held.len() >= 3 || may_fail {
            return;
        }
        let must_fit = self.must_fit(len);
        let claimed = self.reference.tick();
        self.slots += SLOTS_OF_A_CLAIM;
        let entry = if self.is_fixed {
            self.queue.get(TRY)
        } else {
            self.queue.getn(len, TRY)
        };
        match entry {
            Ok(mut entry) => {
                entry.fill(b'?');
                self.held.push_back((entry, claimed));
            }
            Err(error) => self.judge(&error, TRY, must_fit),
        }
    }

    fn release(&mut self, oldest: bool, used: usize) {
        let held = if oldest {
            self.held.pop_front()
        } else {
            self.held.pop_back()
        };
        let Some((mut entry, claimed)) = held else {
            return;
        };
        assert!(
            entry.iter().all(|&byte| byte == b'?'),
            "somebody else wrote there"
        );
        let record = self.record(used.min(entry.len()));
        if used > 0 && record.len() <= entry.len() {
            entry[..record.len()].copy_from_slice(&record);
            entry.set_bytes_used(record.len());
            let position = entry.post();
            self.reference.post(0, record, position, claimed);
        }
    }

    fn forget(&mut self, who: usize, len: usize) {
        let must_fit = self.must_fit(len);
        self.slots += SLOTS_OF_A_CLAIM;
        let lane = &mut self.lanes[who - 1];
        let entry = if self.is_fixed {
            lane.get(TRY)
        } else {
            lane.getn(len, TRY)
        };
        let refused = entry.map(mem::forget).err();
        lane.seal(); // the next call takes it back, or others would wait for it
        self.reference.seal(who);
        if let Some(error) = refused {
            self.judge(&error, TRY, must_fit);
        }
    }

    fn flush(&mut self) {
        if self.has_failed {
            assert_eq!(self.queue.flush(), Err(io_error(Operation::Write)));
        } else if self.can_take(0) {
            self.queue.flush().unwrap();
            self.check_file();
            self.slots = SLOTS_OF_IDLERS;
            self.activated = Some(self.reference.bytes());
        } else {
            let has_claims_ahead =
                |(_, claimed): &(Entry<'_>, Tick)| self.reference.has_shared_behind(*claimed);
            let must_wait = self.is_stuck() || self.held.front().is_some_and(has_claims_ahead);
            let result = self.queue.flush_timeout(IN_VAIN);
            // What lanes have posted may lie before the entry that is held.
            assert!(
                result == Err(Error::TimedOut) || (result == Ok(()) && !must_wait),
                "{result:?}"
            );
        }
    }

    fn wait_for(&self, record: usize) {
        let record = self.reference.any(record).filter(|_| self.can_take(0));
        if let Some((position, is_lost)) = record {
            let written = self.queue.completion(position, Level::Written);
            written.wait().unwrap();
            if is_lost {
                // Whatever was synced since, and to whatever file.
                let durable = self.queue.completion(position, Level::Durable);
                assert_eq!(durable.wait(), Err(io_error(Operation::Sync)));
            }
        }
    }

    fn sync(&mut self, op: SyncOp) {
        if !self.can_take(0) {
            return;
        }
        let verdict = self.reference.sync(op, self.next_sync_fails);
        if verdict == Verdict::Never || verdict == Verdict::Either {
            self.next_sync_fails = false; // it has had its turn, or nothing depends on it
        }
        if verdict == Verdict::Either {
            self.memory.fail_next_sync(false);
        }
        let result = self.queue.fsync(op).unwrap().wait();
        match verdict {
            Verdict::Durable => assert_eq!(result, Ok(())),
            Verdict::Never => assert_eq!(result, Err(io_error(Operation::Sync))),
            Verdict::Either => {}
        }
        if verdict == Verdict::Durable && self.files.is_empty() {
            assert_eq!(self.memory.synced(), self.reference.bytes());
        }
    }

    fn limit(&mut self, room: usize, trouble: Trouble) {
        let may_fail = self.held.is_empty() || trouble != Trouble::Failed;
        if self.files.is_empty() && !self.has_failed && may_fail {
            self.limit = Some((self.memory.limit(room, trouble), trouble));
        }
    }

    fn unlimit(&mut self) {
        if !self.has_failed {
            self.limit = None;
            self.memory.unlimit();
            self.queue.activate();
        }
    }

    /// A queue whose far end fails on the way is told so by a flush; from then on it must refuse.
    fn fail_if_due(&mut self) {
        let fails = self
            .limit
            .is_some_and(|(_, trouble)| trouble == Trouble::Failed);
        if fails && self.is_stuck() && !self.has_failed {
            assert_eq!(self.queue.flush(), Err(io_error(Operation::Write)));
            self.activated = None;
            self.has_failed = true;
        }
    }

    fn reopen(&mut self, same: bool) {
        if !self.held.is_empty() {
            return; // it would wait for them
        }
        if self
            .limit
            .is_some_and(|(_, trouble)| trouble == Trouble::NotReady)
        {
            self.unlimit(); // for this too
        }
        self.memory.fail_next_sync(false);
        self.next_sync_fails = false;
        let is_whole = !self.has_failed && !self.is_stuck();
        let next = self.files.next(same);
        self.queue.reopen(&next).unwrap().wait().unwrap();
        if is_whole {
            self.check_file(); // what was posted before is in the old one
        }
        (self.limit, self.has_failed) = (None, false);
        self.reference.reopened();
    }

    /// Lets go of what is held, and of the borrow of the queue.
    fn into_ending(mut self) -> Ending {
        while !self.held.is_empty() {
            self.release(true, 8);
        }
        self.fail_if_due();
        self.look();
        let is_stuck = self.has_failed || self.is_stuck();
        Ending {
            stuck_at: self.limit.filter(|_| is_stuck),
            lanes: self.lanes,
            reference: self.reference,
            memory: self.memory,
            files: self.files,
        }
    }
}
