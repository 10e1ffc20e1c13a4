//! A ring file and its log, with a kill between any two steps, also of a recovery. Records have two
//! bytes, so a write may end inside one.
//!
//! | action | function |
//! |---|---|
//! | `Claim`, `Post` | `Ring::reserve`, `Ring::post` |
//! | `Clear`, `Note` | `Journal::intend` before a write: the first store (`check := 0`), the last |
//! | `Write`, `Refuse` | `Sink::write`; `Journal::withdraw` |
//! | `Account` | `Drain::take` and `commit`, up to the first store of `Journal::advance` |
//! | `NoteRest`, `MoveTail` | `Journal::advance`: the intent for the rest; `set_tail` |
//! | `Open` | `Inheritance::look`, `Ring::resume`, `Drain::pass_written` |
//!
//! The stores of one tail and of one intent are in src/words/ring_kills.rs.

use alq_proof::{breaks, holds};
use stateright::{Model, Property};

const CAPACITY: usize = 2; // records
const RECORD_LEN: usize = 2;

/// What is wrong in a variant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// No intent is noted.
    NoIntent,
    /// No intent is noted for the rest of a record.
    NoRest,
    /// The file has one place for intents.
    OnePlace,
    /// The newest intent counts, whatever its start.
    AnyStart,
    /// The tail moves before the write.
    TailFirst,
    /// The room is free before the tail is stored.
    RoomFirst,
}

struct Ring {
    records: u8,
    kills: u8,
    fault: Fault,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct State {
    // the ring file
    slots: Vec<Slot>,
    tail: usize,
    intents: [Option<Intent>; 2],
    // the log: each byte is a record and the place in it
    log: Vec<(u8, u8)>,
    // the process; `None` after a kill
    process: Option<Process>,
    // bounds
    kills: u8,
    refusals: u8,
}

/// One claim. Slots are numbered from the first record on.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Slot {
    record: u8,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Kind {
    Claimed,
    Posted,
    /// Claimed by a process that was killed: a dropped entry.
    Hole,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Intent {
    generation: u8,
    start: usize,
    bytes: usize,
    size: usize,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Process {
    step: Step,
    /// Bytes after the tail that are written.
    ahead: usize,
    /// Records before this one have left the room that claims see.
    free_up_to: usize,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Step {
    Idle,
    /// The place of the next intent is cleared.
    Cleared(Intent),
    /// This many bytes are handed to the log, counted from the tail.
    Noted(usize),
    /// This many bytes from the tail on are in the log.
    Written(usize),
    /// The same, and an intent for the rest is about to be stored.
    Rest(usize, Intent),
    /// The tail is about to move.
    Moving(usize),
    /// The tail has moved from here, and this many bytes are about to be written.
    Owed(usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Claim,
    Post(usize),
    Clear,
    Note,
    Write(usize),
    Refuse,
    Account,
    NoteRest,
    MoveTail,
    PassHole,
    Kill,
    Open,
}

impl State {
    /// The bytes that are posted from the tail on, up to the first open reservation.
    fn run(&self) -> Vec<(u8, u8)> {
        let slots = self.slots[self.tail..].iter();
        let run = slots.take_while(|slot| slot.kind != Kind::Claimed);
        let posted = run.filter(|slot| slot.kind == Kind::Posted);
        posted
            .flat_map(|slot| [(slot.record, 0), (slot.record, 1)])
            .collect()
    }

    /// The slot after `bytes` whole records from the tail on.
    fn slot_after(&self, bytes: usize) -> usize {
        let (mut at, mut left) = (self.tail, bytes / RECORD_LEN);
        while left > 0 {
            left -= usize::from(self.slots[at].kind == Kind::Posted);
            at += 1;
        }
        at
    }

    /// `Entries::intent`
    fn intent(&self, fault: Fault) -> Option<Intent> {
        let all = self.intents.iter().flatten();
        let counting = all.filter(|one| one.start == self.tail || fault == Fault::AnyStart);
        counting.max_by_key(|one| one.generation).copied()
    }

    fn newest(&self) -> Option<Intent> {
        let all = self.intents.iter().flatten();
        all.max_by_key(|one| one.generation).copied()
    }

    /// `Entries::next_place`
    fn next_place(&self, fault: Fault) -> usize {
        let kept = self.intent(fault).or_else(|| self.newest());
        let is_first = kept.is_some() && kept == self.intents[0];
        usize::from(is_first && fault != Fault::OnePlace)
    }

    fn clear(&mut self, next: Intent, fault: Fault) -> Intent {
        let generation = self.newest().map_or(0, |last| last.generation) + 1;
        self.intents[self.next_place(fault)] = None;
        Intent { generation, ..next }
    }

    fn store(&mut self, intent: Intent, fault: Fault) {
        // The place that was cleared is the one without an intent, or the first.
        let place = match self.intents {
            [None, _] => 0,
            [_, None] => 1,
            _ => self.next_place(fault),
        };
        self.intents[place] = Some(intent);
    }

    fn is_whole(&self, record: u8) -> bool {
        self.log
            .windows(2)
            .any(|two| two == [(record, 0), (record, 1)])
    }
}

impl Model for Ring {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            slots: Vec::new(),
            tail: 0,
            intents: [None; 2],
            log: Vec::new(),
            process: Some(Process {
                step: Step::Idle,
                ahead: 0,
                free_up_to: 0,
            }),
            kills: self.kills,
            refusals: 1,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let Some(process) = &state.process else {
            return actions.push(Action::Open);
        };
        let run = state.run().len();
        if state.slots.len() < usize::from(self.records)
            && state.slots.len() - process.free_up_to < CAPACITY
        {
            actions.push(Action::Claim);
        }
        let claimed = (0..state.slots.len()).filter(|at| state.slots[*at].kind == Kind::Claimed);
        actions.extend(claimed.map(Action::Post));
        match process.step {
            Step::Idle if run > process.ahead => actions.push(Action::Clear),
            Step::Idle => {
                let is_hole = |slot: &Slot| slot.kind == Kind::Hole;
                if run == 0 && state.slots.get(state.tail).is_some_and(is_hole) {
                    actions.push(Action::PassHole);
                }
            }
            Step::Cleared(_) => actions.push(Action::Note),
            Step::Noted(bytes) => {
                let ends = process.ahead + 1..=bytes;
                let is_whole = |end: &usize| end.is_multiple_of(RECORD_LEN);
                let is_any = self.fault != Fault::TailFirst;
                actions.extend(
                    ends.filter(|end| is_any || is_whole(end))
                        .map(Action::Write),
                );
                if state.refusals > 0 {
                    actions.push(Action::Refuse);
                }
            }
            Step::Written(_) => actions.push(Action::Account),
            Step::Rest(..) => actions.push(Action::NoteRest),
            Step::Moving(_) => actions.push(Action::MoveTail),
            Step::Owed(_, bytes) => actions.push(Action::Write(bytes)),
        }
        if state.kills > 0 {
            actions.push(Action::Kill);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Kill => {
                state.kills -= 1;
                state.process = None;
                return Some(state);
            }
            Action::Open => {
                self.open(&mut state);
                return Some(state);
            }
            _ => {}
        }
        let mut process = state.process.take()?;
        self.step(&mut state, &mut process, action);
        state.process = Some(process);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing twice, and whole", |_, state: &State| {
                // The last record may be half written, and only there.
                let mut seen = Vec::new();
                state.log.chunks(RECORD_LEN).all(|bytes| {
                    let record = bytes[0].0;
                    let is_new = !seen.contains(&record);
                    seen.push(record);
                    is_new
                        && bytes.iter().map(|byte| byte.1).eq(0..bytes.len() as u8)
                        && bytes.iter().all(|byte| byte.0 == record)
                })
            }),
            Property::always("only what is posted", |_, state: &State| {
                let is_posted = |record| {
                    let slot = state.slots.iter().find(|slot| slot.record == record);
                    slot.is_some_and(|slot| slot.kind == Kind::Posted)
                };
                state.log.iter().all(|byte| is_posted(byte.0))
            }),
            Property::always("nothing lost", |_, state: &State| {
                let passed = state.slots[..state.tail].iter();
                let mut posted = passed.filter(|slot| slot.kind == Kind::Posted);
                posted.all(|slot| state.is_whole(slot.record))
            }),
            Property::always(
                "no record in the ring is overwritten",
                |_, state: &State| {
                    // A claim takes the slot of the record that is `CAPACITY` before it.
                    state.slots.len() <= state.tail + CAPACITY
                },
            ),
            Property::always(
                "everything posted is written in the end",
                |model, state: &State| {
                    let mut actions = Vec::new();
                    model.actions(state, &mut actions);
                    let is_over = actions.iter().all(|action| *action == Action::Kill);
                    let posted = state.slots.iter().filter(|slot| slot.kind == Kind::Posted);
                    !is_over || posted.into_iter().all(|slot| state.is_whole(slot.record))
                },
            ),
            Property::sometimes("all kills, all records", |model, state: &State| {
                state.kills == 0 && state.log.len() == RECORD_LEN * usize::from(model.records)
            }),
        ]
    }
}

impl Ring {
    fn step(&self, state: &mut State, process: &mut Process, action: Action) {
        match (action, process.step) {
            (Action::Claim, _) => {
                let record = state.slots.len() as u8;
                state.slots.push(Slot {
                    record,
                    kind: Kind::Claimed,
                });
            }
            (Action::Post(at), _) => state.slots[at].kind = Kind::Posted,
            (Action::Clear, _) if self.fault == Fault::NoIntent => {
                process.step = Step::Noted(state.run().len());
            }
            (Action::Clear, _) => {
                let next = Intent {
                    generation: 0,
                    start: state.tail,
                    bytes: state.run().len(),
                    size: state.log.len() - process.ahead,
                };
                process.step = Step::Cleared(state.clear(next, self.fault));
            }
            (Action::Note, Step::Cleared(intent)) => {
                state.store(intent, self.fault);
                process.step = Step::Noted(intent.bytes);
            }
            (Action::Write(bytes), Step::Noted(_)) if self.fault == Fault::TailFirst => {
                process.step = Step::Owed(state.tail, bytes);
                state.tail = state.slot_after(bytes);
                process.free_up_to = state.tail;
            }
            (Action::Write(bytes), Step::Owed(tail, _)) => {
                let now = core::mem::replace(&mut state.tail, tail);
                let run = state.run();
                state.tail = now;
                state.log.extend(&run[..bytes]);
                process.step = Step::Idle;
            }
            (Action::Write(bytes), _) => {
                let run = state.run();
                state.log.extend(&run[process.ahead..bytes]);
                process.step = Step::Written(bytes);
            }
            (Action::Refuse, _) => {
                state.refusals -= 1;
                if process.ahead == 0 {
                    let newest = state.newest();
                    state
                        .intents
                        .iter_mut()
                        .filter(|one| **one == newest)
                        .for_each(|one| *one = None);
                }
                process.step = Step::Idle;
            }
            (Action::Account, Step::Written(bytes)) => self.account(state, process, bytes),
            (Action::NoteRest, Step::Rest(bytes, intent)) => {
                state.store(intent, self.fault);
                process.step = Step::Moving(bytes);
            }
            (Action::MoveTail, Step::Moving(bytes)) => {
                state.tail = state.slot_after(bytes);
                process.free_up_to = state.tail;
                process.ahead = bytes % RECORD_LEN;
                process.step = Step::Idle;
            }
            (Action::PassHole, _) => {
                state.tail += 1;
                process.free_up_to = state.tail;
            }
            _ => unreachable!(),
        }
    }

    /// `Drain::take` and `Journal::advance`, before its stores.
    fn account(&self, state: &mut State, process: &mut Process, bytes: usize) {
        let whole = bytes / RECORD_LEN * RECORD_LEN;
        process.step = if whole == 0 {
            process.ahead = bytes; // the intent covers it
            Step::Idle
        } else if bytes > whole && self.fault != Fault::NoRest {
            match state.intent(self.fault) {
                Some(intent) => {
                    let rest = Intent {
                        generation: 0,
                        start: state.slot_after(bytes),
                        bytes: intent.bytes - whole,
                        size: intent.size + whole,
                    };
                    Step::Rest(bytes, state.clear(rest, self.fault))
                }
                None => Step::Moving(bytes),
            }
        } else {
            Step::Moving(bytes)
        };
        if self.fault == Fault::RoomFirst {
            process.free_up_to = state.slot_after(bytes);
        }
    }

    /// The next process: repairs the slots, and compares the log with what the intent says.
    fn open(&self, state: &mut State) {
        for slot in &mut state.slots[state.tail..] {
            if slot.kind == Kind::Claimed {
                slot.kind = Kind::Hole;
            }
        }
        let run = state.run();
        let held = state.intent(self.fault).map_or(0, |intent| {
            let held = &state.log[intent.size.min(state.log.len())..];
            let len = held.len().min(intent.bytes).min(run.len());
            if held[..len] == run[..len] { len } else { 0 }
        });
        let step = if held > 0 {
            Step::Written(held)
        } else {
            Step::Idle
        };
        state.process = Some(Process {
            step,
            ahead: 0,
            free_up_to: state.tail,
        });
    }
}

fn ring(fault: Fault) -> Ring {
    Ring {
        records: 3,
        kills: 2,
        fault,
    }
}

#[test]
fn each_posted_record_is_in_the_log_once_whenever_the_process_is_killed() {
    holds("ring_file", ring(Fault::None));
}

#[test]
fn without_the_intent_a_record_is_written_twice() {
    breaks(
        "ring_file",
        ring(Fault::NoIntent),
        "nothing twice, and whole",
    );
}

#[test]
fn without_the_intent_for_the_rest_a_record_is_written_twice() {
    breaks("ring_file", ring(Fault::NoRest), "nothing twice, and whole");
}

#[test]
fn with_one_place_for_intents_a_record_is_written_twice() {
    breaks(
        "ring_file",
        ring(Fault::OnePlace),
        "nothing twice, and whole",
    );
}

#[test]
fn if_the_newest_intent_counts_whatever_its_start_a_record_is_written_twice() {
    breaks(
        "ring_file",
        ring(Fault::AnyStart),
        "nothing twice, and whole",
    );
}

#[test]
fn if_the_tail_moves_before_the_write_a_record_is_lost() {
    breaks("ring_file", ring(Fault::TailFirst), "nothing lost");
}

#[test]
fn if_room_is_given_before_the_tail_is_stored_a_record_is_overwritten() {
    breaks(
        "ring_file",
        ring(Fault::RoomFirst),
        "no record in the ring is overwritten",
    );
}
