//! A sink that does not know whether its bytes arrived gets them again, and after a kill they count
//! as possibly repeated, whatever the errno said. A sink that knows repeats nothing.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind, IoSlice, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::child::end_of_child;
use crate::common::exit::at_exit;
use crate::common::torture::label::die;
use crate::common::{LATER, NEVER_STALLS, TRY, WAIT, append_to, fill_up, pipe, small, wait_for};
use alq::{Error, Operation, Options, Queue, Sink};

const RUN: &str = "one\ntwo\nthree\n";

fn options(folder: &Path) -> Options {
    Options::new()
        .capacity(16384)
        .stall_limit(Some(NEVER_STALLS))
        .ring_file(folder.join("ring"))
}

/// What the sink answers to one write.
#[derive(Clone, Copy)]
enum Says {
    Took(usize),
    Errno(i32),
    Kind(ErrorKind),
}

use Says::{Errno, Kind, Took};

/// One write: the room before it, the answer, and whether the sink is in doubt about it.
type Answer = (u64, Says, bool);

const ALL: u64 = u64::MAX;
const DOUBT: bool = true;
const SURE: bool = false;

/// A sink in front of a far end, the file `far`. In doubt, it stores all bytes there whatever it
/// answers. When the process has its last answer, it is killed.
struct Far {
    far: File,
    answers: Mutex<VecDeque<Answer>>,
    in_doubt: AtomicBool,
}

impl Sink for Far {
    fn room(&self) -> u64 {
        let answers = self.answers.lock().unwrap();
        answers.front().unwrap_or_else(|| die()).0
    }

    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let (_, says, in_doubt) = self.answers.lock().unwrap().pop_front().unwrap();
        self.in_doubt.store(in_doubt, Ordering::Relaxed);
        let bytes: Vec<u8> = runs.iter().flat_map(|run| run.to_vec()).collect();
        let stored = match says {
            Took(taken) if !in_doubt => taken,
            Errno(_) | Kind(_) if !in_doubt => 0,
            _ => bytes.len(),
        };
        (&self.far).write_all(&bytes[..stored])?;
        match says {
            Took(taken) => Ok(taken),
            Errno(errno) => Err(io::Error::from_raw_os_error(errno)),
            Kind(kind) => Err(kind.into()),
        }
    }

    fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Relaxed)
    }
}

/// What the next process appends to the far end with.
struct Next(File);

impl Sink for Next {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.0).write_vectored(runs)
    }
}

/// Returns what the next process finds, and then the text at the far end.
fn recover(folder: &Path) -> ((u64, u64), String) {
    let next = Next(append_to(folder.join("far")));
    let queue = options(folder).open_sink(next).unwrap();
    let found = *queue.recovery().unwrap();
    queue.close(None).unwrap();
    let far = fs::read_to_string(folder.join("far")).unwrap();
    ((found.bytes, found.possibly_repeated_bytes), far)
}

fn queue_to_far(folder: &Path, answers: &[Answer]) -> Queue {
    let far = Far {
        far: append_to(folder.join("far")),
        answers: Mutex::new(answers.iter().copied().collect()),
        in_doubt: AtomicBool::new(false),
    };
    options(folder).open_sink(far).unwrap()
}

/// The answers until the kill, and what the next process finds: bytes that are not written, and
/// those of them that are possibly repeated.
fn cases() -> Vec<(Vec<Answer>, (u64, u64))> {
    let mut cases = vec![
        // A later write with less room, or one that takes less, leaves the rest in doubt.
        (
            vec![(ALL, Errno(libc::EAGAIN), DOUBT), (4, Took(4), SURE)],
            (10, 10),
        ),
        (
            vec![(ALL, Errno(libc::EAGAIN), DOUBT), (ALL, Took(8), SURE)],
            (6, 6),
        ),
        // So does one that takes nothing and knows it.
        (
            vec![
                (ALL, Errno(libc::EAGAIN), DOUBT),
                (ALL, Errno(libc::ENOSPC), SURE),
            ],
            (14, 14),
        ),
        // So does a later doubt about less.
        (
            vec![
                (ALL, Errno(libc::EAGAIN), DOUBT),
                (4, Errno(libc::EAGAIN), DOUBT),
            ],
            (14, 14),
        ),
        // The doubt covers only what the write had, and ends when that is written.
        (
            vec![
                (8, Errno(libc::EAGAIN), DOUBT),
                (4, Took(4), SURE),
                (4, Took(4), SURE),
            ],
            (6, 0),
        ),
        (vec![(4, Errno(libc::EAGAIN), DOUBT)], (14, 4)),
        (
            vec![(4, Errno(libc::EAGAIN), DOUBT), (ALL, Took(4), SURE)],
            (10, 0),
        ),
        // A short write, at the end of a record and inside one. In a ring file, a part of a record
        // in a log without an end is always in doubt.
        (vec![(ALL, Took(4), DOUBT)], (10, 10)),
        (vec![(ALL, Took(4), SURE)], (10, 0)),
        (vec![(ALL, Took(6), DOUBT)], (10, 10)),
        (vec![(ALL, Took(4), DOUBT), (4, Took(4), SURE)], (6, 6)),
    ];
    let errnos = [libc::EAGAIN, libc::EINTR, libc::ENOSPC, libc::EDQUOT];
    let kinds = [ErrorKind::WouldBlock, ErrorKind::StorageFull];
    let errors = errnos.map(Errno).into_iter().chain(kinds.map(Kind));
    for says in errors.chain([Took(0)]) {
        cases.push((vec![(ALL, says, DOUBT)], (14, 14)));
        cases.push((vec![(ALL, says, SURE)], (14, 0)));
    }
    cases
}

#[test]
fn what_a_sink_is_in_doubt_about_is_possibly_repeated_after_a_kill() {
    let test = "what_a_sink_is_in_doubt_about_is_possibly_repeated_after_a_kill";
    for (number, (answers, expected)) in cases().into_iter().enumerate() {
        let ended = end_of_child(test, &number.to_string(), |folder| {
            let queue = queue_to_far(folder, &answers);
            for record in RUN.split_inclusive('\n') {
                queue.writen(record.as_bytes(), LATER).unwrap();
            }
            let _ = queue.flush();
        });
        let Some(ended) = ended else { continue };
        let (found, far) = recover(ended.folder.path());
        assert_eq!(found, expected, "case {number}");
        assert!(far.ends_with(&RUN[RUN.len() - found.0 as usize..]), "{far}");
        // Sure or not, this process itself repeats what it was in doubt about: at most 8 bytes
        // here.
        assert!(found.1 > 0 || far.len() <= RUN.len() + 8, "{far}");
    }
}

/// A sink with little room. Its first write keeps the ring file as a kill would leave it then.
struct Narrow(PathBuf);

impl Sink for Narrow {
    fn room(&self) -> u64 {
        4
    }

    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let killed = self.0.join("killed");
        if !killed.exists() {
            fs::copy(self.0.join("ring"), killed)?;
        }
        Ok(runs.iter().map(|run| run.len()).sum())
    }
}

/// What a killed process has sent may arrive until a later write has reported it, also if the next
/// process sends less at a time and is killed, too.
#[test]
fn a_restart_with_less_room_keeps_the_doubt() {
    let test = "a_restart_with_less_room_keeps_the_doubt";
    let ended = end_of_child(test, "", |folder| {
        let queue = queue_to_far(folder, &[(ALL, Errno(libc::EAGAIN), DOUBT)]);
        for record in RUN.split_inclusive('\n') {
            queue.writen(record.as_bytes(), LATER).unwrap();
        }
        let _ = queue.flush();
    });
    let Some(ended) = ended else { return };
    let folder = ended.folder.path();
    let queue = options(folder).open_sink(Narrow(folder.into())).unwrap();
    queue.close(None).unwrap();
    fs::rename(folder.join("killed"), folder.join("ring")).unwrap();
    assert_eq!(recover(folder).0, (14, 14));
}

/// The bytes in doubt are not in the next log.
#[test]
fn after_a_reopen_elsewhere_there_is_no_doubt() {
    let test = "after_a_reopen_elsewhere_there_is_no_doubt";
    let ended = end_of_child(test, "", |folder| {
        let answers = [
            (ALL, Errno(libc::EAGAIN), DOUBT),
            (ALL, Errno(libc::EAGAIN), DOUBT),
            (ALL, Errno(libc::ENOSPC), DOUBT),
        ];
        let queue = queue_to_far(folder, &answers);
        for _ in 0..2 {
            queue.writen(&[b'r'; 3000], LATER).unwrap();
        }
        queue.activate();
        let (reader, writer) = pipe().unwrap();
        let filled = fill_up(&writer);
        let mut rest = vec![0; 4096];
        io::Read::read_exact(&mut &reader, &mut rest).unwrap(); // room for one record
        queue.reopen(writer.as_fd()).unwrap().wait().unwrap();
        wait_for("one record is in the pipe", || {
            let stats = queue.stats();
            stats.written_bytes == 3000 && stats.stalled.is_some()
        });
        assert!(filled > 4096);
        die();
    });
    let Some(ended) = ended else { return };
    assert_eq!(recover(ended.folder.path()).0, (3000, 0));
}

/// A sink that stores everything, and says that it would block.
struct Mute(&'static Mutex<Vec<u8>>, &'static AtomicBool);

impl Sink for Mute {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = runs.iter().flat_map(|run| run.to_vec()).collect();
        self.0.lock().unwrap().extend(&bytes);
        if self.1.load(Ordering::Relaxed) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(bytes.len())
    }
}

/// `WouldBlock` means that nothing was appended. In doubt, the caller learns that it is unknown.
#[test]
fn an_append_past_the_ring_that_is_in_doubt_is_not_said_to_be_refused() {
    let test = "an_append_past_the_ring_that_is_in_doubt_is_not_said_to_be_refused";
    let ended = end_of_child(test, "", |_| {
        let far: &'static Mutex<Vec<u8>> = Box::leak(Box::default());
        let is_mute: &'static AtomicBool = Box::leak(Box::default());
        let queue: &'static Mutex<Option<Queue>> = Box::leak(Box::default());
        at_exit(move || {
            is_mute.store(true, Ordering::Relaxed);
            let late = queue.lock().unwrap().as_ref().unwrap().writen(b"b", TRY);
            let unknown = Error::Io {
                operation: Operation::Write,
                errno: libc::EAGAIN,
                target: alq::Target::default(),
            };
            assert_eq!(late, Err(unknown));
            assert_eq!(*far.lock().unwrap(), b"ab");
            println!("unknown");
        });
        let sink = Mute(far, is_mute);
        let made = queue
            .lock()
            .unwrap()
            .insert(small().open_sink(sink).unwrap())
            .clone();
        made.writen(b"a", WAIT).unwrap();
    });
    let Some(ended) = ended else { return };
    ended.assert_code(0);
    assert!(ended.stdout.contains("unknown"), "{}", ended.stderr);
}
