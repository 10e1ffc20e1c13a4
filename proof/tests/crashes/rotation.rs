//! A log that is cut, packed and cleaned up, with a ring file: the flusher and the background
//! thread, with a kill between any two steps, also of the next process. A record is one unit here;
//! `ring_file.rs` has writes that end inside a record.
//!
//! | action | function |
//! |---|---|
//! | `Cut`, `Step`, `Fail` | `Log::cut`, one call by name after the other, under the lock of the state |
//! | `Look` | `Log::look`, when another file or none is at the path |
//! | `Room`, `Note`, `Write` | `Log::room`; `Log::end` and `Journal::intend`; `Log::write` |
//! | `Withdraw`, `Account` | `Journal::withdraw`; `Drain::take` and `set_tail` |
//! | `Pass`, `Pack` | `Log::go_through`: the list, the pins, the deletes; `Log::pack_into`, step by step |
//! | `Open`, `Recover` | `Log::open`: `redo_swap`, `finish_left`; `Log::holds` |
//!
//! `Cut` stands for a requested rotation, a full file and the end of a period, on either thread.

use std::collections::{BTreeMap, BTreeSet};

use alq_proof::{breaks, holds};
use stateright::{Model, Property};

/// What is wrong in a variant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// A file that a note may name is not pinned when it is cut off.
    NoPin,
    /// A file that is cut off before the queue is opened is not pinned.
    NoPinBefore,
    /// Nor are the rotated files that the process finds, except the one that a recovery has found.
    NoPinAtOpen,
    /// The background thread may see the new file before the pin.
    PinLate,
    /// The pins, or which file is the log, are read before the list of the folder.
    PinsFirst,
    LogFirst,
    /// The background thread cuts the log while a write is not accounted for.
    CutWritten,
    /// A file that a failed cut has renamed counts as renamed by another process: no pin.
    NoKey,
    /// A write whose note is stale is carried out.
    WriteStale,
    /// The plain file is removed before the packed one has its name.
    RemoveFirst,
    /// The next process removes each `.fresh` file.
    RemoveFresh,
    /// A recovery looks only in the log for what a note names.
    LogOnly,
}

struct Rotating {
    records: u8,
    kills: u8,
    /// How many times the log may be cut, and how many steps of a cut may fail.
    cuts: u8,
    fails: u8,
    /// `keep_files`
    keep: usize,
    /// Whether names can be swapped, and renamed in one step.
    has_renameat2: bool,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Log,
    Fresh(u8),
    Plain(u8),
    Packing(u8),
    Packed(u8),
}

use Name::{Fresh, Log, Packed, Packing, Plain};

/// A file is its number, in the order of creation.
type File = u8;

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct State {
    names: BTreeMap<Name, File>,
    /// The records in each file; those of a file without a name are gone.
    files: Vec<Vec<u8>>,
    // the ring file, in which all records are posted
    tail: u8,
    intent: Option<Intent>,
    process: Option<Process>,
    /// Records that `keep_files` has deleted.
    deleted: BTreeSet<u8>,
    /// A recovery did not find the file that a note names.
    is_in_doubt: bool,
    // bounds
    kills: u8,
    cuts: u8,
    fails: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Intent {
    start: u8,
    file: File,
    size: usize,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Process {
    /// `State::file` and `Durable::id`, which the background thread reads.
    file: File,
    durable: File,
    /// The newest key.
    last: u8,
    account: Account,
    pinned: BTreeSet<u8>,
    queue: Queue,
    /// A cut in progress, which has the lock of the state.
    cut: Option<Cut>,
    pass: Pass,
}

/// As in src/logs/state.rs.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Account {
    Opened,
    Unsure,
    Stale,
    Settled,
    Noted,
    Written,
}

impl Account {
    /// Whether a note of this process may name the current file.
    fn is_noted(self) -> bool {
        matches!(self, Self::Unsure | Self::Stale | Self::Noted)
    }
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Queue {
    Unopened,
    Idle,
    Ready,
    Noted,
    /// The log was cut after the note.
    Refused,
    /// This many records are in the log; the tail is about to move.
    Written(u8),
}

/// A cut in progress: its next step, the key of the new file, and that of the old one.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct Cut {
    step: Step,
    fresh: u8,
    key: u8,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Step {
    Make,
    Swap,
    MoveAside,
    SwapBack,
    // without renameat2: two links and two removals, and the way back
    LinkAside,
    UnlinkLog,
    LinkLog,
    UnlinkFresh,
    LinkBack,
    UnlinkAside,
    // both
    Remove,
    Pin,
    Switch,
}

impl Step {
    /// What follows if this step fails; `None` if it cannot.
    fn after_failure(self) -> Option<Option<Self>> {
        match self {
            Self::Make | Self::Pin => Some(None),
            Self::Swap | Self::SwapBack | Self::LinkAside | Self::LinkBack => {
                Some(Some(Self::Remove))
            }
            Self::MoveAside => Some(Some(Self::SwapBack)),
            Self::LinkLog => Some(Some(Self::LinkBack)),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
enum Pass {
    None,
    Looking(Looks),
    /// Files to delete.
    Deleting(Vec<Name>, Vec<(u8, File)>),
    /// Files to pack, and the step of the first one.
    Packing(Vec<(u8, File)>, Pack),
}

/// What a pass has read so far: the folder, `Durable::id` and the pins, one after the other.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq)]
struct Looks {
    /// The rotated files by key, with their plain form.
    files: Option<BTreeMap<u8, Option<File>>>,
    log: Option<File>,
    pinned: Option<BTreeSet<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Files,
    Log,
    Pins,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Pack {
    Make,
    Fill,
    Name,
    Remove,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Cut,
    Step,
    Fail,
    Look,
    Room,
    Note,
    Write(u8),
    Withdraw,
    Account,
    Pass,
    Kill,
    Open,
    Recover,
}

impl State {
    fn create(&mut self, name: Name) -> File {
        self.files.push(Vec::new());
        let file = self.files.len() as File - 1;
        self.names.insert(name, file);
        file
    }

    fn remove(&mut self, name: Name) {
        let Some(file) = self.names.remove(&name) else {
            return;
        };
        if !self.names.values().any(|other| *other == file) {
            self.files[usize::from(file)].clear();
        }
    }

    fn rename(&mut self, from: Name, to: Name) {
        let file = self.names.remove(&from).expect("it is there");
        self.remove(to);
        self.names.insert(to, file);
    }

    fn content(&self, name: Name) -> &[u8] {
        self.names
            .get(&name)
            .map_or(&[], |file| &self.files[usize::from(*file)])
    }

    fn keys(&self) -> BTreeSet<u8> {
        let key = |name: &Name| match *name {
            Log => None,
            Fresh(key) | Plain(key) | Packing(key) | Packed(key) => Some(key),
        };
        self.names.keys().filter_map(key).collect()
    }

    /// What a reader of all files gets, as docs/rotation.md says.
    fn read(&self) -> Vec<u8> {
        let log = self.names.get(&Log);
        let mut records = Vec::new();
        for key in self.keys() {
            let forms = [Plain(key), Fresh(key), Packed(key)];
            // A second link to the log, of a rename in two steps, is not a rotated file.
            let is_there = |name: &Name| self.names.contains_key(name);
            let is_log = |name: &Name| self.names.get(name) == log;
            let found = forms.iter().find(|name| is_there(name) && !is_log(name));
            records.extend(found.map_or(&[][..], |name| self.content(*name)));
        }
        records.extend(self.content(Log));
        records
    }

    /// `found::list`: the rotated files with one link.
    fn rotated(&self) -> BTreeMap<u8, Option<File>> {
        let mut rotated = BTreeMap::new();
        for (name, file) in &self.names {
            match *name {
                Plain(key) if self.has_one_name(*file) => {
                    rotated.insert(key, Some(*file));
                }
                Packed(key) => drop(rotated.entry(key).or_insert(None)),
                _ => {}
            }
        }
        rotated
    }

    /// The first free name from `key` on.
    fn free(&self, key: u8) -> u8 {
        let is_free = |key: &u8| !self.names.contains_key(&Plain(*key));
        (key..).find(is_free).expect("no end")
    }

    fn has_one_name(&self, file: File) -> bool {
        self.names.values().filter(|other| **other == file).count() == 1
    }
}

impl Model for Rotating {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State {
            names: BTreeMap::new(),
            files: Vec::new(),
            tail: 0,
            intent: None,
            process: None,
            deleted: BTreeSet::new(),
            is_in_doubt: false,
            kills: self.kills,
            cuts: self.cuts,
            fails: self.fails,
        };
        self.open(&mut state);
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let Some(process) = &state.process else {
            return actions.push(Action::Open);
        };
        if state.kills > 0 {
            actions.push(Action::Kill);
        }
        if process.pass != Pass::None || self.has_work(state, process) {
            actions.push(Action::Pass);
        }
        if let Queue::Written(_) = process.queue {
            actions.push(Action::Account); // it takes no lock
        }
        if process.queue == Queue::Refused {
            actions.push(Action::Withdraw);
        }
        if let Some(cut) = &process.cut {
            actions.push(Action::Step);
            if state.fails > 0 && cut.step.after_failure().is_some() {
                actions.push(Action::Fail);
            }
            return;
        }
        let is_at_rest = process.account != Account::Written || self.fault == Fault::CutWritten;
        let is_here = state.names.get(&Log) == Some(&process.file);
        let is_empty = state.files[usize::from(process.file)].is_empty();
        if is_at_rest && !is_here {
            actions.push(Action::Look);
        } else if is_at_rest && !is_empty && state.cuts > 0 {
            actions.push(Action::Cut);
        }
        match process.queue {
            Queue::Unopened => actions.push(Action::Recover),
            Queue::Idle if state.tail < self.records => actions.push(Action::Room),
            // `room` is asked for before each step, also if there is nothing to write.
            Queue::Idle if process.account == Account::Written => actions.push(Action::Room),
            Queue::Ready if state.tail < self.records => actions.push(Action::Note),
            Queue::Noted => actions.extend((1..=self.records - state.tail).map(Action::Write)),
            _ => {}
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
        match action {
            Action::Cut => {
                state.cuts -= 1;
                process.cut = Some(Cut {
                    step: Step::Make,
                    fresh: 0,
                    key: 0,
                });
            }
            Action::Step => self.step(&mut state, &mut process),
            Action::Fail => {
                state.fails -= 1;
                let mut cut = process.cut.expect("it has failed");
                let next = cut.step.after_failure().expect("it can fail");
                process.cut = next.map(|step| {
                    cut.step = step;
                    cut
                });
            }
            Action::Look => self.look(&mut state, &mut process),
            Action::Pass => self.pass(&mut state, &mut process),
            _ => self.queue(&mut state, &mut process, action),
        }
        state.process = Some(process);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing twice, in order", |_, state: &State| {
                let read = state.read();
                let is_deleted = |record| state.deleted.contains(record);
                read.is_sorted_by(|one, next| one < next) && !read.iter().any(is_deleted)
            }),
            Property::always("nothing lost", |_, state: &State| {
                let read = state.read();
                (0..state.tail)
                    .all(|record| read.contains(&record) || state.deleted.contains(&record))
            }),
            Property::always("the file of a note is found", |_, state: &State| {
                !state.is_in_doubt
            }),
            Property::always("there is a log at every moment", |model, state: &State| {
                !model.has_renameat2 || state.names.contains_key(&Log)
            }),
            Property::always("all work is done in the end", |model, state: &State| {
                let mut actions = Vec::new();
                model.actions(state, &mut actions);
                let is_over = actions.iter().all(|action| *action == Action::Kill);
                !is_over || state.tail == model.records && model.is_clean(state)
            }),
            Property::sometimes(
                "all kills, all cuts, all records",
                |model, state: &State| {
                    let is_all = state.kills + state.cuts + state.fails == 0;
                    is_all && state.tail == model.records && !state.keys().is_empty()
                },
            ),
        ]
    }
}

impl Rotating {
    fn has_work(&self, state: &State, process: &Process) -> bool {
        let mut files = state.rotated();
        files.retain(|key, file| !process.pinned.contains(key) && *file != Some(process.file));
        files.len() > self.keep || files.values().any(Option::is_some)
    }

    /// Whether everything is packed and cleaned up, apart from what a failed cut has left, which
    /// the next process names, and from files that a note may name.
    fn is_clean(&self, state: &State) -> bool {
        let process = state.process.as_ref().expect("it was not killed");
        let is_clean = |name: &Name| match name {
            Log | Packed(_) => true,
            Plain(key) => process.pinned.contains(key),
            Fresh(_) => state.fails < self.fails,
            Packing(_) => false,
        };
        state.names.keys().all(is_clean)
    }

    /// `Account::cut`, and the pin of the file that is now at `key` if a note may name it.
    fn cut_off(&self, process: &mut Process, key: u8) {
        let is_first = process.account == Account::Opened;
        if process.account.is_noted() {
            process.account = Account::Stale;
        } else if !is_first || self.fault == Fault::NoPinBefore {
            return;
        }
        if self.fault != Fault::NoPin {
            process.pinned.insert(key);
        }
    }

    /// One step of `Log::cut`, which succeeds.
    fn step(&self, state: &mut State, process: &mut Process) {
        let mut cut = process.cut.take().expect("there is one");
        let (fresh, key) = (cut.fresh, cut.key);
        cut.step = match cut.step {
            Step::Make => {
                let taken = |key: &u8| state.names.contains_key(&Fresh(*key));
                cut.fresh = (process.last + 1..)
                    .find(|key| !taken(key))
                    .expect("no end");
                state.create(Fresh(cut.fresh));
                cut.key = state.free(cut.fresh); // as `move_aside` finds it
                if self.has_renameat2 {
                    Step::Swap
                } else {
                    Step::LinkAside
                }
            }
            Step::Swap | Step::SwapBack => {
                let (log, other) = (state.names[&Log], state.names[&Fresh(fresh)]);
                state.names.extend([(Log, other), (Fresh(fresh), log)]);
                if cut.step == Step::Swap {
                    Step::MoveAside
                } else {
                    Step::Remove
                }
            }
            Step::MoveAside => {
                state.rename(Fresh(fresh), Plain(key));
                process.last = key;
                Step::Pin
            }
            Step::LinkAside => {
                state.names.insert(Plain(key), state.names[&Log]);
                Step::UnlinkLog
            }
            Step::UnlinkLog => {
                state.remove(Log);
                Step::LinkLog
            }
            Step::LinkLog => {
                state.names.insert(Log, state.names[&Fresh(fresh)]);
                Step::UnlinkFresh
            }
            Step::UnlinkFresh => {
                state.remove(Fresh(fresh));
                process.last = key;
                Step::Pin
            }
            Step::LinkBack => {
                state.names.insert(Log, state.names[&Plain(key)]);
                Step::UnlinkAside
            }
            Step::UnlinkAside => {
                state.remove(Plain(key));
                Step::Remove
            }
            Step::Remove => {
                if state.content(Fresh(fresh)).is_empty() {
                    state.remove(Fresh(fresh));
                }
                return;
            }
            Step::Pin => {
                if self.fault == Fault::PinLate {
                    process.durable = state.names[&Log];
                } else {
                    self.cut_off(process, key);
                }
                Step::Switch
            }
            Step::Switch => {
                if self.fault == Fault::PinLate {
                    self.cut_off(process, key);
                }
                process.file = state.names[&Log];
                process.durable = process.file;
                return;
            }
        };
        process.cut = Some(cut);
    }

    /// `Log::look`: continues in the file at the path.
    fn look(&self, state: &mut State, process: &mut Process) {
        let there = state.names.get(&Log).copied();
        let file = there.unwrap_or_else(|| state.create(Log));
        let key = state.names.iter().find_map(|(name, old)| match name {
            Plain(key) if *old == process.file => Some(*key),
            _ => None,
        });
        match key.filter(|_| self.fault != Fault::NoKey) {
            Some(key) => {
                process.last = process.last.max(key);
                self.cut_off(process, key);
            }
            None if process.account.is_noted() => process.account = Account::Stale,
            None => {}
        }
        (process.file, process.durable) = (file, file);
    }

    fn pass(&self, state: &mut State, process: &mut Process) {
        process.pass = match core::mem::replace(&mut process.pass, Pass::None) {
            Pass::None => self.look_for_pass(state, process, Looks::default()),
            Pass::Looking(looks) => self.look_for_pass(state, process, looks),
            Pass::Deleting(mut delete, pack) => {
                let name = delete.remove(0);
                // The last form of a file takes its records with it.
                if !delete.iter().any(|other| key_of(*other) == key_of(name)) {
                    state.deleted.extend(state.content(name).to_vec());
                }
                state.remove(name);
                next_delete(delete, pack)
            }
            Pass::Packing(files, step) => self.pack(state, files, step),
        };
    }

    /// The next look of a pass; after the last one, what there is to delete and to pack.
    fn look_for_pass(&self, state: &State, process: &Process, mut looks: Looks) -> Pass {
        let order = match self.fault {
            Fault::PinsFirst => [Look::Pins, Look::Files, Look::Log],
            Fault::LogFirst => [Look::Log, Look::Files, Look::Pins],
            _ => [Look::Files, Look::Log, Look::Pins],
        };
        let is_open = |look: &Look| match look {
            Look::Files => looks.files.is_none(),
            Look::Log => looks.log.is_none(),
            Look::Pins => looks.pinned.is_none(),
        };
        match order
            .into_iter()
            .find(is_open)
            .expect("a pass looks thrice")
        {
            Look::Files => looks.files = Some(state.rotated()),
            Look::Log => looks.log = Some(process.durable),
            Look::Pins => looks.pinned = Some(process.pinned.clone()),
        }
        let (Some(files), Some(log), Some(pinned)) = (&looks.files, looks.log, &looks.pinned)
        else {
            return Pass::Looking(looks);
        };
        let mut files = files.clone();
        files.retain(|key, file| *file != Some(log) && !pinned.contains(key));
        let many = files.len().saturating_sub(self.keep);
        let delete = files.keys().take(many);
        let delete = delete.flat_map(|key| [Plain(*key), Packed(*key)]);
        let delete = delete
            .filter(|name| state.names.contains_key(name))
            .collect();
        let plain = |(key, file): (&u8, &Option<File>)| Some((*key, (*file)?));
        let pack = files.iter().skip(many).filter_map(plain).collect();
        next_delete(delete, pack)
    }

    /// One step of `Log::pack_into` for the first of `files`.
    fn pack(&self, state: &mut State, mut files: Vec<(u8, File)>, step: Pack) -> Pass {
        let (key, file) = files[0];
        match step {
            Pack::Make => {
                state.remove(Packing(key));
                state.create(Packing(key));
                Pass::Packing(files, Pack::Fill)
            }
            Pack::Fill => {
                let to = state.names[&Packing(key)];
                state.files[usize::from(to)] = state.files[usize::from(file)].clone();
                if self.fault == Fault::RemoveFirst {
                    state.remove(Plain(key));
                }
                Pass::Packing(files, Pack::Name)
            }
            Pack::Name => {
                state.rename(Packing(key), Packed(key));
                Pass::Packing(files, Pack::Remove)
            }
            Pack::Remove => {
                if state.content(Packed(key)) == state.content(Plain(key)) {
                    state.remove(Plain(key));
                }
                files.remove(0);
                next_pack(files)
            }
        }
    }

    fn queue(&self, state: &mut State, process: &mut Process, action: Action) {
        use Account::{Noted, Opened, Settled, Stale, Unsure, Written};
        match (action, process.queue) {
            (Action::Room, _) => {
                if matches!(process.account, Settled | Noted | Written) {
                    process.account = Settled;
                    process.pinned.clear();
                }
                let is_left = state.tail < self.records;
                process.queue = if is_left { Queue::Ready } else { Queue::Idle };
            }
            (Action::Note, _) => {
                process.account = match process.account {
                    Opened => unreachable!("the queue has a ring file"),
                    Unsure | Stale => Unsure,
                    Settled | Noted | Written => Noted,
                };
                state.intent = Some(Intent {
                    start: state.tail,
                    file: process.file,
                    size: state.files[usize::from(process.file)].len(),
                });
                process.queue = Queue::Noted;
            }
            (Action::Write(_), _)
                if process.account == Stale && self.fault != Fault::WriteStale =>
            {
                process.account = Unsure;
                process.queue = Queue::Refused;
            }
            (Action::Write(count), _) => {
                let records = state.tail..state.tail + count;
                state.files[usize::from(process.file)].extend(records);
                process.account = Written;
                process.queue = Queue::Written(count);
            }
            (Action::Withdraw, _) => {
                state.intent = None;
                process.queue = Queue::Idle;
            }
            (Action::Account, Queue::Written(count)) => {
                state.tail += count;
                process.queue = Queue::Idle;
            }
            (Action::Recover, _) => self.recover(state, process),
            _ => unreachable!(),
        }
    }

    /// `Log::holds`, for the write that was in progress.
    fn recover(&self, state: &mut State, process: &mut Process) {
        process.queue = Queue::Idle;
        if process.account == Account::Opened {
            process.account = Account::Unsure;
        }
        let Some(intent) = state.intent.filter(|intent| intent.start == state.tail) else {
            return;
        };
        let mut names = state.names.iter();
        let name = names.find(|(name, file)| {
            **file == intent.file && (self.fault != Fault::LogOnly || **name == Log)
        });
        match name {
            Some((Plain(key), _)) if self.fault == Fault::NoPinAtOpen => {
                process.pinned.insert(*key);
            }
            Some(_) => {}
            None => {
                state.is_in_doubt = true;
                return;
            }
        }
        let file = &state.files[usize::from(intent.file)];
        let held = file.len().saturating_sub(intent.size);
        if held > 0 {
            process.queue = Queue::Written(held as u8);
        }
    }

    /// `Log::open`
    fn open(&self, state: &mut State) {
        let last_fresh = state.keys().into_iter().rev().map(Fresh);
        let last_fresh = last_fresh
            .into_iter()
            .find(|name| state.names.contains_key(name));
        // `redo_swap`: only a loss of power leaves this.
        let is_next = |name: &Name| {
            let log = state.names.get(&Log);
            !state.content(*name).is_empty() && log.is_some_and(|log| state.names[name] > *log)
        };
        assert!(
            last_fresh.filter(is_next).is_none(),
            "a swap is never undone here"
        );
        let mut last = state.keys().last().copied().unwrap_or(0);
        let log = state.names.get(&Log).copied();
        let log = log.unwrap_or_else(|| state.create(Log));
        for (name, file) in state.names.clone() {
            match name {
                Packing(_) => state.remove(name),
                Plain(_) | Fresh(_) if file == log => state.remove(name),
                Fresh(_) if state.content(name).is_empty() => state.remove(name),
                Fresh(_) if self.fault == Fault::RemoveFresh => state.remove(name),
                Fresh(key) => {
                    let free = state.free(key);
                    state.rename(name, Plain(free));
                    last = last.max(free);
                }
                _ => {}
            }
        }
        let is_pinned = self.fault != Fault::NoPinAtOpen;
        state.process = Some(Process {
            file: log,
            durable: log,
            last,
            account: Account::Opened,
            pinned: state.keys().into_iter().filter(|_| is_pinned).collect(),
            queue: Queue::Unopened,
            cut: None,
            pass: Pass::None,
        });
    }
}

fn key_of(name: Name) -> Option<u8> {
    match name {
        Log => None,
        Fresh(key) | Plain(key) | Packing(key) | Packed(key) => Some(key),
    }
}

fn next_delete(delete: Vec<Name>, pack: Vec<(u8, File)>) -> Pass {
    if delete.is_empty() {
        next_pack(pack)
    } else {
        Pass::Deleting(delete, pack)
    }
}

fn next_pack(files: Vec<(u8, File)>) -> Pass {
    if files.is_empty() {
        Pass::None
    } else {
        Pass::Packing(files, Pack::Make)
    }
}

fn rotating(fault: Fault) -> Rotating {
    Rotating {
        records: 3,
        kills: 2,
        cuts: 3,
        fails: 0,
        keep: 1,
        has_renameat2: true,
        fault,
    }
}

#[test]
fn each_record_is_in_the_files_once_whatever_is_killed() {
    holds("rotation", rotating(Fault::None));
}

#[test]
fn each_record_is_in_the_files_once_where_names_cannot_be_swapped() {
    let model = Rotating {
        has_renameat2: false,
        ..rotating(Fault::None)
    };
    holds("rotation, without renameat2", model);
}

#[test]
fn each_record_is_in_the_files_once_if_a_step_of_a_cut_fails() {
    for has_renameat2 in [true, false] {
        let model = Rotating {
            fails: 2,
            has_renameat2,
            ..rotating(Fault::None)
        };
        holds("rotation, steps that fail", model);
    }
}

#[test]
fn without_the_key_of_a_file_that_a_failed_cut_has_renamed_a_recovery_does_not_find_it() {
    let model = Rotating {
        fails: 1,
        ..rotating(Fault::NoKey)
    };
    breaks("rotation", model, "the file of a note is found");
}

#[test]
fn without_a_pin_a_recovery_does_not_find_the_file() {
    let model = rotating(Fault::NoPin);
    breaks("rotation", model, "the file of a note is found");
}

#[test]
fn without_a_pin_before_the_queue_is_opened_a_record_is_written_twice() {
    let model = rotating(Fault::NoPinBefore);
    breaks("rotation", model, "nothing twice, in order");
}

#[test]
fn without_pins_of_what_a_process_finds_a_record_is_written_twice() {
    let model = rotating(Fault::NoPinAtOpen);
    breaks("rotation", model, "nothing twice, in order");
}

#[test]
fn if_the_new_file_is_seen_before_the_pin_a_recovery_does_not_find_the_old_one() {
    let model = rotating(Fault::PinLate);
    breaks("rotation", model, "the file of a note is found");
}

#[test]
fn if_the_pins_are_read_before_the_list_a_recovery_does_not_find_the_file() {
    let model = rotating(Fault::PinsFirst);
    breaks("rotation", model, "the file of a note is found");
}

#[test]
fn if_the_log_is_looked_up_before_the_list_a_recovery_does_not_find_the_file() {
    let model = Rotating {
        records: 4,
        kills: 1,
        ..rotating(Fault::LogFirst)
    };
    breaks("rotation", model, "the file of a note is found");
}

#[test]
fn if_the_log_is_cut_before_a_write_is_accounted_for_a_record_is_written_twice() {
    let model = rotating(Fault::CutWritten);
    breaks("rotation", model, "nothing twice, in order");
}

#[test]
fn if_a_write_with_a_stale_note_is_carried_out_a_record_is_written_twice() {
    let model = rotating(Fault::WriteStale);
    breaks("rotation", model, "nothing twice, in order");
}

#[test]
fn if_the_plain_file_is_removed_before_the_packed_one_has_its_name_a_record_is_lost() {
    let model = rotating(Fault::RemoveFirst);
    breaks("rotation", model, "nothing lost");
}

#[test]
fn if_the_next_process_removes_the_file_that_was_being_cut_off_a_record_is_lost() {
    let model = rotating(Fault::RemoveFresh);
    breaks("rotation", model, "nothing lost");
}

#[test]
fn if_a_recovery_looks_only_in_the_log_a_record_is_written_twice() {
    let model = rotating(Fault::LogOnly);
    breaks("rotation", model, "nothing twice, in order");
}
