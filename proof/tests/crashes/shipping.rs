//! A sink that publishes to a replicated log (crates/nats): lost acknowledgements, publishes that
//! arrive late, also after their process was killed, answers that are out of date, and a leader that
//! is replaced before a quorum has what it accepted. A record is one message. A write makes one
//! attempt, whose messages arrive together, and takes at most a batch of what is noted.
//!
//! | action | function |
//! |---|---|
//! | `Note` | `Journal::intend`, with `Sink::end`: the base and the number of the write |
//! | `Publish`, `Acknowledge`, `TimeOut` | `Session::publish` |
//! | `Ask` | `Session::resolve`; the answer may be any earlier end of the log |
//! | `Account` | `Drain::take` |
//! | `Open` | `Session::begin`, `Session::holds`; its question is `Ask` |
//! | `Arrive`, `Commit`, `Replace` | the servers |

use alq_proof::{breaks, holds};
use stateright::{Model, Property};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// A publish does not name the message that it follows.
    AnyPlace,
    /// The leader acknowledges before a quorum has the message.
    EarlyAcknowledgement,
    /// A time-out counts as an acknowledgement.
    NoQuestion,
    /// No intent is noted.
    NoIntent,
    /// A process continues an intent with a new number.
    NewNumber,
    /// The messages of a publish arrive one by one.
    Apart,
    /// A write makes several attempts, each after the acknowledgement of the one before it.
    Several,
}

struct Shipping {
    records: usize,
    /// The most records of one attempt.
    batch: usize,
    kills: u8,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Message {
    record: usize,
    write: u8,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Attempt {
    follows: usize,
    messages: Vec<Message>,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Intent {
    start: usize,
    base: usize,
    write: u8,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Session {
    base: usize,
    write: u8,
    /// How many records of this write are acknowledged; not 0 only with [`Fault::Several`].
    stored: usize,
    step: Step,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Step {
    Idle,
    /// This many records are handed to the sink.
    Noted(usize),
    /// So many are handed to the sink, and so many are published.
    Waiting(usize, usize),
    InDoubt(usize),
    /// The log is known to have this many records after the tail.
    Taken(usize),
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct State {
    // the ring file
    posted: usize,
    tail: usize,
    intent: Option<Intent>,
    // the servers: what a quorum has, and what only the leader has
    log: Vec<Message>,
    ahead: Vec<Message>,
    on_the_way: Vec<Attempt>,
    session: Option<Session>,
    writes: u8,
    is_fenced: bool,
    // bounds
    kills: u8,
    attempts: u8,
    replacements: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Post,
    Note,
    Publish,
    Acknowledge,
    TimeOut,
    Ask(usize),
    Account,
    Kill,
    Open,
    Arrive(usize),
    Commit,
    Replace,
}

impl Shipping {
    fn is_acknowledged(&self, state: &State, session: &Session, count: usize) -> bool {
        let mut all = state.log.clone();
        if self.fault == Fault::EarlyAcknowledgement {
            all.extend(&state.ahead);
        }
        let from = all.get(session.base..session.base + count);
        self.fault == Fault::AnyPlace && all.iter().any(|one| one.write == session.write)
            || from.is_some_and(|all| all.iter().all(|one| one.write == session.write))
    }

    /// `Session::resolve`: the log seems to end at `end`.
    fn resolve(&self, state: &mut State, end: usize, count: usize) -> Step {
        let session = state.session.as_mut().expect("it asks");
        if end == session.base {
            // Nothing has arrived: the same is published again.
            return if session.stored > 0 {
                Step::Noted(count)
            } else {
                Step::Idle
            };
        }
        let last = state.log[end - 1];
        if last.write != session.write {
            state.is_fenced = true;
            return Step::Idle;
        }
        let found = (end - session.base).min(count);
        session.base += found;
        Step::Taken(session.stored + found)
    }
}

impl Model for Shipping {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            posted: 0,
            tail: 0,
            intent: None,
            log: Vec::new(),
            ahead: Vec::new(),
            on_the_way: Vec::new(),
            session: Some(Session {
                base: 0,
                write: 1,
                stored: 0,
                step: Step::Idle,
            }),
            writes: 1,
            is_fenced: false,
            kills: self.kills,
            attempts: 4,
            replacements: 1,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.is_fenced {
            return;
        }
        actions.extend((0..state.on_the_way.len()).map(Action::Arrive));
        if !state.ahead.is_empty() {
            actions.push(Action::Commit);
            if state.replacements > 0 {
                actions.push(Action::Replace);
            }
        }
        let Some(session) = &state.session else {
            return actions.push(Action::Open);
        };
        if state.posted < self.records {
            actions.push(Action::Post);
        }
        match session.step {
            Step::Idle if state.posted > state.tail => actions.push(Action::Note),
            Step::Idle => {}
            Step::Noted(_) if state.attempts > 0 => actions.push(Action::Publish),
            Step::Noted(_) => {}
            Step::Waiting(_, sent) => {
                if self.is_acknowledged(state, session, sent) {
                    actions.push(Action::Acknowledge);
                }
                actions.push(Action::TimeOut);
            }
            Step::InDoubt(_) => {
                let log = &state.log;
                let is_end = |end: &usize| {
                    matches!(self.fault, Fault::Apart | Fault::Several)
                        || *end == 0
                        || *end == log.len()
                        || log[*end - 1].write != log[*end].write
                };
                let ends = session.base..=log.len();
                actions.extend(ends.filter(is_end).map(Action::Ask));
            }
            Step::Taken(_) => actions.push(Action::Account),
        }
        if state.kills > 0 {
            actions.push(Action::Kill);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Post => state.posted += 1,
            Action::Arrive(which) => {
                let mut attempt = state.on_the_way.remove(which);
                let end = state.log.len() + state.ahead.len();
                if attempt.follows == end || self.fault == Fault::AnyPlace {
                    let count = attempt.messages.len();
                    let count = if self.fault == Fault::Apart { 1 } else { count };
                    state.ahead.extend(attempt.messages.drain(..count));
                    attempt.follows += count;
                    if !attempt.messages.is_empty() {
                        state.on_the_way.push(attempt);
                    }
                }
            }
            Action::Commit => {
                let ahead = core::mem::take(&mut state.ahead);
                state.log.extend(ahead);
            }
            Action::Replace => {
                state.replacements -= 1;
                state.ahead.clear();
            }
            Action::Kill => {
                state.kills -= 1;
                state.session = None;
            }
            Action::Open => self.open(&mut state),
            _ => self.step(&mut state, action),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing twice, in order", |_, state: &State| {
                let records = state.log.iter().map(|message| message.record);
                records.eq(0..state.log.len())
            }),
            Property::always("nothing lost", |_, state: &State| {
                let has = |record| state.log.iter().any(|message| message.record == record);
                (0..state.tail).all(has)
            }),
            Property::always("no writer is fenced by itself", |_, state: &State| {
                !state.is_fenced
            }),
            Property::always(
                "everything posted is shipped in the end",
                |model, state: &State| {
                    let mut actions = Vec::new();
                    model.actions(state, &mut actions);
                    let is_over = actions.iter().all(|action| *action == Action::Kill);
                    !is_over || state.attempts == 0 || state.tail == state.posted
                },
            ),
            Property::sometimes(
                "everything, after a kill and a new leader",
                |model, state| {
                    let State {
                        tail,
                        kills,
                        replacements,
                        ..
                    } = state;
                    *tail == model.records && *kills == 0 && *replacements == 0
                },
            ),
        ]
    }
}

impl Shipping {
    fn step(&self, state: &mut State, action: Action) {
        let run = state.posted - state.tail;
        let tail = state.tail;
        let session = state.session.as_mut().expect("a process acts");
        match (action, session.step) {
            (Action::Note, _) => {
                if self.fault != Fault::NoIntent {
                    let Session { base, write, .. } = *session;
                    state.intent = Some(Intent {
                        start: tail,
                        base,
                        write,
                    });
                }
                session.step = Step::Noted(run);
            }
            (Action::Publish, Step::Noted(count)) => {
                let write = session.write;
                let from = tail + session.stored;
                let sent = (count - session.stored).min(self.batch);
                let messages = (from..from + sent).map(|record| Message { record, write });
                let messages = messages.collect();
                state.on_the_way.push(Attempt {
                    follows: session.base,
                    messages,
                });
                state.attempts -= 1;
                session.step = Step::Waiting(count, sent);
            }
            (Action::Acknowledge, Step::Waiting(count, sent)) => {
                session.base += sent;
                let stored = session.stored + sent;
                if self.fault == Fault::Several && stored < count {
                    session.stored = stored;
                    session.step = Step::Noted(count);
                } else {
                    session.step = Step::Taken(stored);
                }
            }
            (Action::TimeOut, Step::Waiting(count, sent)) => {
                session.step = Step::InDoubt(count);
                if self.fault == Fault::NoQuestion {
                    session.base += sent;
                    session.step = Step::Taken(sent);
                }
            }
            (Action::Ask(end), Step::InDoubt(count)) => {
                let step = self.resolve(state, end, count);
                state.session.as_mut().expect("it has asked").step = step;
            }
            (Action::Account, Step::Taken(count)) => {
                state.tail += count;
                state.writes += 1;
                session.write = state.writes;
                session.stored = 0;
                session.step = Step::Idle;
            }
            _ => unreachable!(),
        }
    }

    /// The next process: with an intent that counts, it asks what has arrived after its base.
    fn open(&self, state: &mut State) {
        let counting = state.intent.filter(|intent| intent.start == state.tail);
        state.writes += 1;
        let fresh = state.writes;
        state.session = Some(match counting {
            Some(Intent { base, write, .. }) => Session {
                base,
                write: if self.fault == Fault::NewNumber {
                    fresh
                } else {
                    write
                },
                stored: 0,
                step: Step::InDoubt(state.posted - state.tail),
            },
            None => Session {
                base: state.log.len(),
                write: fresh,
                stored: 0,
                step: Step::Idle,
            },
        });
    }
}

fn shipping(fault: Fault) -> Shipping {
    Shipping {
        records: 3,
        batch: if fault == Fault::Several { 1 } else { 2 },
        kills: 2,
        fault,
    }
}

#[test]
fn each_record_is_shipped_once_whatever_is_killed() {
    holds("shipping", shipping(Fault::None));
}

#[test]
fn without_the_expected_place_a_late_publish_is_there_twice() {
    breaks(
        "shipping",
        shipping(Fault::AnyPlace),
        "nothing twice, in order",
    );
}

#[test]
fn if_a_leader_acknowledges_before_a_quorum_a_record_is_lost() {
    breaks(
        "shipping",
        shipping(Fault::EarlyAcknowledgement),
        "nothing lost",
    );
}

#[test]
fn if_a_time_out_counts_as_an_answer_a_record_is_lost() {
    breaks("shipping", shipping(Fault::NoQuestion), "nothing lost");
}

#[test]
fn without_the_intent_a_record_is_shipped_twice() {
    breaks(
        "shipping",
        shipping(Fault::NoIntent),
        "nothing twice, in order",
    );
}

/// The process finds a part of its write, accounts for it and is killed before it notes the next
/// write. Then the rest arrives. So a write to a stream without atomic batches is one message.
#[test]
fn the_rest_of_a_write_whose_messages_arrive_one_by_one_can_be_there_twice() {
    breaks(
        "shipping",
        shipping(Fault::Apart),
        "nothing twice, in order",
    );
}

/// The second attempt of a write arrives after the next process has found the first one, and has
/// begun another write.
#[test]
fn a_late_second_attempt_of_a_write_is_taken_for_a_message_of_another() {
    breaks(
        "shipping",
        shipping(Fault::Several),
        "no writer is fenced by itself",
    );
}

/// The same, with a kill before the next process notes its first write.
#[test]
fn a_late_second_attempt_of_a_write_can_be_there_twice() {
    breaks(
        "shipping",
        shipping(Fault::Several),
        "nothing twice, in order",
    );
}

#[test]
fn with_a_new_number_a_process_takes_its_own_messages_for_those_of_another() {
    breaks(
        "shipping",
        shipping(Fault::NewNumber),
        "no writer is fenced by itself",
    );
}
