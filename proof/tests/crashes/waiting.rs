//! Sleeping and waking: writers that wait for room in a line, and the flusher that sleeps on its
//! bell. Nothing has a time-out here, so a lost wake-up is a state in which nothing can move.
//!
//! | action | function |
//! |---|---|
//! | `Writer` | the next step of `Intake::wait_for_room`, of a post, and of `Intake::posted` |
//! | `Flusher` | the next step of `Flusher::step`, and of `Doorbell::park` |
//!
//! A step is one access to a word that others read, or what happens under one lock. The accesses
//! are in one order for all threads; loom and GenMC have the orderings.

use alq_proof::{breaks, holds};
use stateright::{Model, Property};

/// What is wrong in a variant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The flusher does not look once more before it sleeps: `park.look`.
    NoLastLook,
    /// It looks before it says what it waits for.
    LookFirst,
    /// A ring that comes before the sleep is not kept.
    RingNotKept,
    /// A flusher that waits for an open reservation waits for a later one.
    WrongSequence,
    /// A waiter tries once more and then joins the line.
    JoinLate,
    /// A waiter forgets the wake-ups that came during its try.
    ForgetWakeUp,
    /// A waiter that has got its room does not ring the bell: `line.bell`.
    NoBell,
    /// A writer that comes takes room while others wait.
    NoTurns,
    /// A quiet record is not activated by a post behind it: `quiet.ahead`.
    NoAhead,
    /// Or by one that the flusher has passed: `quiet.noted`.
    NoNoted,
    /// Or by a caller that waits for room: `quiet.awaited`.
    NoAwaited,
}

/// One append: how much it reserves, how much of it is used, and whether it is quiet.
type Append = (u8, u8, bool);

struct Waiting {
    capacity: u8,
    /// What each writer appends, one after the other.
    writers: Vec<Vec<Append>>,
    /// `Order::Arrival`
    is_ordered: bool,
    fault: Fault,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct State {
    // the ring
    spans: Vec<Span>,
    head: u8,
    tail: u8,
    /// Spans before this one are written.
    drained: usize,
    /// `Drain::activated`, and `Ring::activate_until`, as the number of a span.
    noted: usize,
    activated: usize,
    // the bell
    interest: Interest,
    signal: Signal,
    room_given: bool,
    // the line: the writers in it; and the bit of the gate
    line: Vec<usize>,
    woken: Vec<bool>,
    has_turns: bool,
    // the threads
    flusher: Flusher,
    writers: Vec<Writer>,
    /// A writer has got room before one that waits.
    is_out_of_turn: bool,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Span {
    len: u8,
    kind: Kind,
    /// A post that activates has come since this record was posted.
    is_due: bool,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Kind {
    Open,
    Posted,
    Quiet,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Interest {
    Nothing,
    Any,
    Sequence(usize),
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Signal {
    Silent,
    Asleep,
    Rung,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Flusher {
    TakeGiven,
    /// `room_came`: whether a writer waits, and the wake-up. Then the ring, or the next step.
    Came(bool),
    Wake(bool),
    Drain,
    Quiet,
    /// `park`
    Announce(Interest),
    AnnounceLate(Interest),
    Look(Interest),
    Doze,
    Asleep,
    Awake,
    Forget,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Writer {
    /// The number of its append.
    at: usize,
    step: Step,
    /// The span that it holds.
    span: usize,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Step {
    Try,
    /// `wait_for_room`
    Join,
    Look,
    Turn,
    RingToWait,
    Sleep,
    Leave,
    Next,
    WakeNext,
    Bell,
    RingForNext,
    /// `post`, `posted`
    GiveBack,
    Post,
    Interest,
    RingFor(Interest),
    Ring,
    Gave,
    RingForRoom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Flusher,
    Writer(usize),
}

enum Found {
    Moved,
    Empty,
    Blocked(usize),
    Quiet,
}

impl State {
    fn room(&self, capacity: u8) -> u8 {
        capacity - (self.head - self.tail)
    }

    fn ring(&mut self, fault: Fault) {
        if self.signal == Signal::Asleep || fault != Fault::RingNotKept {
            self.signal = Signal::Rung;
        }
    }
}

impl Model for Waiting {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let writer = Writer {
            at: 0,
            step: Step::Try,
            span: 0,
        };
        vec![State {
            spans: Vec::new(),
            head: 0,
            tail: 0,
            drained: 0,
            noted: 0,
            activated: 0,
            interest: Interest::Nothing,
            signal: Signal::Silent,
            room_given: false,
            line: Vec::new(),
            woken: vec![false; self.writers.len()],
            has_turns: false,
            flusher: Flusher::TakeGiven,
            writers: vec![writer; self.writers.len()],
            is_out_of_turn: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.flusher != Flusher::Asleep || state.signal != Signal::Asleep {
            actions.push(Action::Flusher);
        }
        for (number, writer) in state.writers.iter().enumerate() {
            let is_done = writer.at == self.writers[number].len();
            if !is_done && (writer.step != Step::Sleep || state.woken[number]) {
                actions.push(Action::Writer(number));
            }
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Flusher => state.flusher = self.flush(&mut state),
            Action::Writer(number) => self.write(&mut state, number),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no writer sleeps in the end", |model, state: &State| {
                let mut each = state.writers.iter().zip(&model.writers);
                !model.is_over(state) || each.all(|(writer, all)| writer.at == all.len())
            }),
            Property::always(
                "what is due is written in the end",
                |model, state: &State| {
                    let left = &state.spans[state.drained..];
                    !model.is_over(state) || !left.iter().any(|span| span.is_due)
                },
            ),
            Property::always("writers get room in turn", |_, state: &State| {
                !state.is_out_of_turn
            }),
            Property::sometimes("everything is written", |model, state: &State| {
                let mut each = state.writers.iter().zip(&model.writers);
                let is_done = each.all(|(writer, all)| writer.at == all.len());
                is_done && state.drained == state.spans.len()
            }),
        ]
    }
}

/// The flusher.
impl Waiting {
    fn is_over(&self, state: &State) -> bool {
        let mut actions = Vec::new();
        self.actions(state, &mut actions);
        actions.is_empty()
    }

    fn flush(&self, state: &mut State) -> Flusher {
        match state.flusher {
            Flusher::TakeGiven if core::mem::take(&mut state.room_given) => Flusher::Came(false),
            Flusher::TakeGiven => Flusher::Drain,
            Flusher::Came(has_moved) if !state.line.is_empty() => Flusher::Wake(has_moved),
            Flusher::Came(true) => Flusher::TakeGiven,
            Flusher::Came(false) => Flusher::Drain,
            Flusher::Wake(has_moved) => {
                self.wake(state);
                if has_moved {
                    Flusher::TakeGiven
                } else {
                    Flusher::Drain
                }
            }
            Flusher::Drain => match self.drain(state) {
                Found::Moved => Flusher::Came(true),
                Found::Quiet => Flusher::Quiet,
                Found::Empty => Flusher::Announce(Interest::Any),
                Found::Blocked(seq) if self.fault == Fault::WrongSequence => {
                    Flusher::Announce(Interest::Sequence(seq + 1))
                }
                Found::Blocked(seq) => Flusher::Announce(Interest::Sequence(seq)),
            },
            Flusher::Quiet if !state.line.is_empty() && self.fault != Fault::NoAwaited => {
                state.activated = state.spans.len();
                Flusher::TakeGiven
            }
            Flusher::Quiet => Flusher::Announce(Interest::Any),
            Flusher::Announce(interest) if self.fault == Fault::LookFirst => {
                if self.is_due(state, interest) {
                    Flusher::Awake
                } else {
                    Flusher::AnnounceLate(interest)
                }
            }
            Flusher::AnnounceLate(interest) => {
                state.interest = interest;
                Flusher::Doze
            }
            Flusher::Announce(interest) => {
                state.interest = interest;
                if self.fault == Fault::NoLastLook {
                    Flusher::Doze
                } else {
                    Flusher::Look(interest)
                }
            }
            Flusher::Look(interest) if self.is_due(state, interest) => Flusher::Awake,
            Flusher::Look(_) => Flusher::Doze,
            Flusher::Doze if state.signal == Signal::Silent => {
                state.signal = Signal::Asleep;
                Flusher::Asleep
            }
            Flusher::Doze | Flusher::Asleep => Flusher::Awake,
            Flusher::Awake => {
                state.signal = Signal::Silent;
                Flusher::Forget
            }
            Flusher::Forget => {
                state.interest = Interest::Nothing;
                Flusher::TakeGiven
            }
        }
    }

    /// `Drain::step`, with a sink that takes everything.
    fn drain(&self, state: &mut State) -> Found {
        let from = state.drained;
        while state.drained < state.spans.len() {
            let span = state.spans[state.drained];
            let is_stuck = span.kind == Kind::Open || self.is_quiet(state, state.drained);
            if is_stuck {
                break;
            }
            // `note_activated`: the drain passes the records that activate others.
            let behind = &state.spans[state.drained..];
            if behind.iter().any(|span| span.kind == Kind::Posted) && self.fault != Fault::NoNoted {
                let last = behind.iter().rposition(|span| span.kind != Kind::Open);
                let end = last.map_or(0, |last| state.drained + last + 1);
                state.noted = state.noted.max(end);
            }
            state.tail += span.len;
            state.drained += 1;
        }
        if state.drained > from {
            Found::Moved
        } else {
            self.standstill(state)
        }
    }

    fn standstill(&self, state: &State) -> Found {
        if state.drained == state.spans.len() {
            Found::Empty
        } else if self.is_quiet(state, state.drained) {
            Found::Quiet
        } else {
            Found::Blocked(state.drained)
        }
    }

    /// `Drain::is_quiet`: whether the record stays in the ring.
    fn is_quiet(&self, state: &State, at: usize) -> bool {
        let behind = &state.spans[at..];
        let is_ahead = behind.iter().any(|span| span.kind == Kind::Posted);
        state.spans[at].kind == Kind::Quiet
            && at >= state.noted.max(state.activated)
            && (!is_ahead || self.fault == Fault::NoAhead)
    }

    fn is_due(&self, state: &State, interest: Interest) -> bool {
        match interest {
            Interest::Sequence(_) => state.spans[state.drained].kind != Kind::Open,
            Interest::Any => matches!(self.standstill(state), Found::Blocked(_)),
            Interest::Nothing => false,
        }
    }

    /// Wakes the writers in the line that fit.
    fn wake(&self, state: &mut State) {
        let mut room = state.room(self.capacity);
        let line = state.line.iter();
        let line = line.take(if self.is_ordered { 1 } else { usize::MAX });
        for number in line {
            let need = self.writers[*number][state.writers[*number].at].0;
            if need <= room {
                room -= need;
                state.woken[*number] = true;
            }
        }
    }
}

/// A writer.
impl Waiting {
    fn write(&self, state: &mut State, number: usize) {
        let mut writer = state.writers[number].clone();
        let (len, used, is_quiet) = self.writers[number][writer.at];
        writer.step = match writer.step {
            Step::Try => {
                let is_refused = state.has_turns && self.fault != Fault::NoTurns;
                if !is_refused && self.claim(state, number, &mut writer, len) {
                    Step::GiveBack
                } else {
                    Step::Join
                }
            }
            Step::Join => {
                state.has_turns |= self.is_ordered;
                state.line.push(number);
                match self.fault {
                    Fault::JoinLate => Step::RingToWait,
                    Fault::ForgetWakeUp => Step::Turn,
                    _ => Step::Look,
                }
            }
            Step::Look => {
                state.woken[number] = false;
                match self.fault {
                    Fault::ForgetWakeUp => Step::RingToWait,
                    _ => Step::Turn,
                }
            }
            Step::Turn => {
                let is_turn = !self.is_ordered || state.line[0] == number;
                if is_turn && self.claim(state, number, &mut writer, len) {
                    Step::Leave
                } else if self.fault == Fault::ForgetWakeUp {
                    Step::Look
                } else if is_turn {
                    Step::RingToWait
                } else {
                    Step::Sleep
                }
            }
            Step::RingToWait => {
                state.ring(self.fault);
                Step::Sleep
            }
            Step::Sleep => Step::Look,
            Step::Leave => {
                state.line.retain(|other| *other != number);
                state.has_turns &= !state.line.is_empty();
                Step::Next
            }
            Step::Next if state.line.is_empty() => Step::Bell,
            Step::Next => Step::WakeNext,
            Step::WakeNext => {
                self.wake(state);
                Step::Bell
            }
            Step::Bell if state.line.is_empty() || self.fault == Fault::NoBell => Step::GiveBack,
            Step::Bell => Step::RingForNext,
            Step::RingForNext => {
                state.ring(self.fault);
                Step::GiveBack
            }
            Step::GiveBack => {
                if writer.span + 1 == state.spans.len() {
                    state.head -= len - used;
                    state.spans[writer.span].len = used;
                }
                Step::Post
            }
            Step::Post => {
                state.spans[writer.span].kind = if is_quiet { Kind::Quiet } else { Kind::Posted };
                if !is_quiet {
                    let posted = state
                        .spans
                        .iter_mut()
                        .filter(|span| span.kind != Kind::Open);
                    posted.for_each(|span| span.is_due = true);
                }
                Step::Interest
            }
            Step::Interest => match state.interest {
                Interest::Any if !is_quiet => Step::RingFor(Interest::Any),
                Interest::Sequence(seq) if seq == writer.span => Step::RingFor(state.interest),
                _ => Step::Gave,
            },
            Step::RingFor(interest) if state.interest == interest => {
                state.interest = Interest::Nothing;
                Step::Ring
            }
            Step::RingFor(_) => Step::Gave,
            Step::Ring => {
                state.ring(self.fault);
                Step::Gave
            }
            Step::Gave => {
                let gave_back = state.spans[writer.span].len < len;
                if gave_back && !state.line.is_empty() {
                    state.room_given = true;
                    Step::RingForRoom
                } else {
                    writer.at += 1;
                    Step::Try
                }
            }
            Step::RingForRoom => {
                state.ring(self.fault);
                writer.at += 1;
                Step::Try
            }
        };
        state.writers[number] = writer;
    }

    fn claim(&self, state: &mut State, number: usize, writer: &mut Writer, len: u8) -> bool {
        if len > state.room(self.capacity) {
            return false;
        }
        writer.span = state.spans.len();
        state.head += len;
        state.spans.push(Span {
            len,
            kind: Kind::Open,
            is_due: false,
        });
        let is_first = state.line.first().is_none_or(|first| *first == number);
        state.is_out_of_turn |= self.is_ordered && !is_first;
        true
    }
}

const POST: bool = false;
const QUIET: bool = true;

/// Two writers reserve the whole ring, one of them too much; the third needs little.
fn posts(fault: Fault) -> Waiting {
    Waiting {
        capacity: 2,
        writers: vec![vec![(2, 1, POST)], vec![(2, 2, POST)], vec![(1, 1, POST)]],
        is_ordered: false,
        fault,
    }
}

/// The same with quiet records.
fn quiet(fault: Fault) -> Waiting {
    Waiting {
        writers: vec![vec![(2, 1, QUIET)], vec![(2, 2, QUIET)], vec![(1, 1, POST)]],
        ..posts(fault)
    }
}

/// A ring with room for all: one record, and two quiet ones that it may activate.
fn activating(fault: Fault) -> Waiting {
    Waiting {
        capacity: 3,
        writers: vec![vec![(1, 1, POST)], vec![(1, 1, QUIET)], vec![(1, 1, QUIET)]],
        ..posts(fault)
    }
}

fn ordered(model: Waiting) -> Waiting {
    Waiting {
        is_ordered: true,
        ..model
    }
}

const SLEEPS: &str = "no writer sleeps in the end";
const LEFT: &str = "what is due is written in the end";

#[test]
fn each_record_is_written_and_each_writer_gets_room() {
    holds("waiting", posts(Fault::None));
    holds("waiting, in turn", ordered(posts(Fault::None)));
}

#[test]
fn each_record_is_written_and_each_writer_gets_room_with_quiet_records() {
    holds("waiting, activating", activating(Fault::None));
    holds("waiting, quiet", quiet(Fault::None));
    holds("waiting, quiet, in turn", ordered(quiet(Fault::None)));
}

#[test]
fn without_the_last_look_a_record_stays_in_the_ring() {
    breaks("waiting", posts(Fault::NoLastLook), LEFT);
}

#[test]
fn if_the_last_look_comes_before_the_interest_a_record_stays_in_the_ring() {
    breaks("waiting", posts(Fault::LookFirst), LEFT);
}

#[test]
fn if_a_ring_before_the_sleep_is_not_kept_a_record_stays_in_the_ring() {
    breaks("waiting", posts(Fault::RingNotKept), LEFT);
}

#[test]
fn if_the_flusher_waits_for_another_reservation_a_record_stays_in_the_ring() {
    breaks("waiting", posts(Fault::WrongSequence), LEFT);
}

#[test]
fn a_writer_that_joins_the_line_after_its_last_try_sleeps_on() {
    breaks("waiting", posts(Fault::JoinLate), SLEEPS);
}

#[test]
fn a_writer_that_forgets_a_wake_up_during_its_try_sleeps_on() {
    breaks("waiting", posts(Fault::ForgetWakeUp), SLEEPS);
}

#[test]
fn if_a_writer_that_leaves_does_not_ring_one_that_waits_for_quiet_records_sleeps_on() {
    breaks("waiting", quiet(Fault::NoBell), SLEEPS);
}

#[test]
fn without_the_bit_of_the_gate_a_writer_that_comes_overtakes_one_that_waits() {
    breaks(
        "waiting",
        ordered(posts(Fault::NoTurns)),
        "writers get room in turn",
    );
}

#[test]
fn if_a_post_does_not_activate_a_quiet_record_before_it_that_one_stays_in_the_ring() {
    breaks("waiting", quiet(Fault::NoAhead), LEFT);
}

#[test]
fn if_the_drain_does_not_note_what_is_activated_a_quiet_record_stays_in_the_ring() {
    breaks("waiting", activating(Fault::NoNoted), LEFT);
}

#[test]
fn if_a_waiting_writer_does_not_activate_quiet_records_it_sleeps_on() {
    breaks("waiting", quiet(Fault::NoAwaited), SLEEPS);
}
