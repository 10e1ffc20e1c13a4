//! One way to append, a thousand times, for callgrind to count the instructions:
//! `ci/instructions.sh`.
//!
//!     instructions CASE
//!
//! The sink accepts nothing until the end, so the flusher stays in its write: no wake-up and no
//! seal comes in between, and the program executes the same instructions in every run.

use std::fs::File;
use std::hint::black_box;
use std::io::{IoSlice, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{io, thread};

use alq::{AsyncAppend, Flags, Framing, Options, Queue, Sink, SyncOp};

const RECORDS: usize = 1000;
const RECORD: [u8; 100] = [b'r'; 100];

/// The opening of a log of frames writes its header, which is shorter than a record.
const HEADER_LEN: usize = 64;

/// The function that callgrind counts in.
#[inline(never)]
fn measured(append: &mut dyn FnMut(&[u8])) {
    for _ in 0..RECORDS {
        append(black_box(&RECORD));
    }
}

/// A sink that reports its first call, and returns when it is allowed to.
struct Stuck {
    entered: Sender<()>,
    released: Arc<Mutex<()>>,
}

impl Sink for Stuck {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let len: usize = runs.iter().map(|run| run.len()).sum();
        if len > HEADER_LEN {
            let _ = self.entered.send(());
            drop(self.released.lock());
        }
        Ok(len)
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `append` with a queue whose flusher is stuck.
fn with_queue(options: Options, append: impl FnOnce(&Queue)) {
    let released = Arc::new(Mutex::new(()));
    let held = released.lock().expect("nobody panicked");
    let (entered, is_entered): (_, Receiver<()>) = channel();
    let sink = Stuck {
        entered,
        released: released.clone(),
    };
    let queue = options.capacity(1 << 20).open_sink(sink);
    let queue = queue.expect("a queue");
    queue.writen(&RECORD, Flags::WAITOK).expect("there is room");
    queue.activate();
    is_entered.recv().expect("the flusher comes");
    append(&queue);
    drop(held);
    queue.close(None).expect("drained");
}

fn writen(queue: &Queue) {
    measured(&mut |record| {
        queue.writen(record, Flags::NOWAIT).expect("room");
    });
}

fn getn(queue: &Queue) {
    measured(&mut |record| {
        let mut entry = queue.getn(record.len(), Flags::NOWAIT).expect("room");
        entry.copy_from_slice(record);
        entry.post();
    });
}

fn lane_writen(queue: &Queue) {
    let mut lane = queue.lane();
    measured(&mut |record| {
        lane.writen(record, Flags::NOWAIT).expect("room");
    });
}

/// In the lane of the thread.
fn thread_writen(queue: &Queue) {
    queue.writen(&RECORD, Flags::WAITOK).expect("room");
    assert_eq!(queue.stats().lanes, 1);
    writen(queue);
}

fn lane_getn(queue: &Queue) {
    let mut lane = queue.lane();
    measured(&mut |record| {
        let mut entry = lane.getn(record.len(), Flags::NOWAIT).expect("room");
        entry.copy_from_slice(record);
        entry.post();
    });
}

fn refused(queue: &Queue) {
    while queue.writen(&RECORD, Flags::NOWAIT).is_ok() {}
    measured(&mut |record| {
        queue.writen(record, Flags::NOWAIT).expect_err("full");
    });
}

/// To a recorder that is full: each record overwrites older ones.
fn recorder(_: &Queue) {
    let queue = Options::new().recorder(true).open_fd(io::stderr());
    let queue = queue.expect("a queue");
    for _ in 0..queue.capacity() / RECORD.len() {
        queue.writen(&RECORD, Flags::NOWAIT).expect("room");
    }
    // It begins after an overwrite. One comes with each 163 records, so 6 are counted.
    while queue.stats().overwritten_records == 0 {
        queue.writen(&RECORD, Flags::NOWAIT).expect("room");
    }
    writen(&queue);
}

/// To a full pipe: this face makes its own sink.
fn facade() {
    alq::async_append::enable();
    let (from, to) = rustix::pipe::pipe().expect("a pipe");
    let mut appender = AsyncAppend::new(&to);
    for _ in 0..RECORDS {
        appender.write(&RECORD).expect("room");
    }
    // The pipe holds less than that, so the flusher is stuck in its write.
    thread::sleep(Duration::from_secs(1));
    measured(&mut |record| appender.write(record).expect("room"));
    let reader = thread::spawn(|| io::copy(&mut File::from(from), &mut io::sink()));
    drop(appender);
    drop(to);
    let bytes = reader.join().expect("it reads").expect("it reads");
    assert_eq!(bytes as usize, 2 * RECORDS * RECORD.len());
}

type Case = (&'static str, fn(&Queue));

const CASES: [Case; 7] = [
    ("writen", writen),
    ("getn+post", getn),
    ("lane.writen", lane_writen),
    ("thread.writen", thread_writen),
    ("lane.getn+post", lane_getn),
    ("writen-refused", refused),
    ("writen-recorder", recorder),
];

fn main() {
    let case = std::env::args().nth(1).unwrap_or_default();
    if case == "AsyncAppend.write" {
        return facade();
    }
    let (case, framing) = match case.split_once('/') {
        None => (&*case, Framing::Raw),
        Some((case, "lines")) => (case, Framing::Lines),
        Some((case, "lengths")) => (case, Framing::Lengths),
        #[cfg(feature = "frames")]
        Some((case, "checked")) => (case, Framing::Checked),
        Some(_) => ("", Framing::Raw),
    };
    let found = CASES.iter().find(|(name, _)| *name == case);
    match found {
        Some((_, append)) => {
            let options = Options::new().framing(framing);
            with_queue(options.thread_lanes(case == "thread.writen"), append);
        }
        None => {
            let _ = writeln!(io::stdout(), "ci/instructions.sh runs this");
        }
    }
}
