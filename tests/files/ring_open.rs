//! A ring file opens for one process at a time, only with matching options, and only if it is a
//! ring file; anything else is refused and left unchanged.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::child::{end_of_child, in_child};
use crate::common::fork::{End, fork, shared};
use crate::common::torture::label::die;
use crate::common::{LATER, NEVER_STALLS, TRY, append_to, wait_for, wait_until_parked};
use alq::{Error, Operation, Options, Queue, Recovery, RingFileProblem as Problem};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

fn options(ring: &Path) -> Options {
    Options::new()
        .capacity(4096)
        .stall_limit(Some(NEVER_STALLS))
        .ring_file(ring)
}

/// A folder, and the paths of a ring file and of a log in it.
fn places() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let [ring, log] = ["ring", "log"].map(|name| folder.path().join(name));
    (folder, ring, log)
}

#[track_caller]
fn problem(result: Result<Queue, Error>) -> Problem {
    match result.unwrap_err() {
        Error::RingFile { problem, .. } => *problem,
        other => panic!("{other}"),
    }
}

/// The values that two processes share while they race for a ring file.
#[derive(Default)]
struct Race {
    ready: AtomicU32,
    /// The process that has the file, and the process that the refused one was given.
    winner: AtomicU32,
    told: AtomicU32,
}

#[test]
#[allow(unsafe_code, reason = "memory that processes share")]
fn of_two_processes_one_gets_the_ring_file_and_the_other_learns_its_number() {
    let test = "of_two_processes_one_gets_the_ring_file_and_the_other_learns_its_number";
    in_child(test, || {
        for round in 0..60 {
            let (_folder, ring, log) = places();
            if round % 2 == 0 {
                drop(options(&ring).open(&log).unwrap()); // otherwise they race to create it
            }
            // SAFETY: it is made of atomics.
            let race: &Race = unsafe { shared() };
            let racer = || {
                race.ready.fetch_add(1, Ordering::SeqCst);
                while race.ready.load(Ordering::SeqCst) < 2 {
                    std::hint::spin_loop();
                }
                match options(&ring).open(&log) {
                    Ok(_queue) => {
                        let before = race.winner.swap(process::id(), Ordering::SeqCst);
                        assert_eq!(before, 0, "one wins");
                        wait_for("a loser", || race.told.load(Ordering::SeqCst) != 0);
                    }
                    lost => {
                        let Problem::InUse { pid: Some(pid) } = problem(lost) else {
                            panic!("in use, by somebody");
                        };
                        race.told.store(pid, Ordering::SeqCst);
                    }
                }
            };
            let racers = [(); 2].map(|()| fork(End::AtOnce, racer));
            racers
                .into_iter()
                .for_each(crate::common::fork::Child::join);
            let told = race.told.load(Ordering::SeqCst);
            assert_eq!(told, race.winner.load(Ordering::SeqCst));
            let queue = options(&ring).open(&log).unwrap();
            assert_eq!(queue.recovery(), Some(&Recovery::default()));
        }
    });
}

#[test]
fn one_process_cannot_open_it_twice_either() {
    let (_folder, ring, log) = places();
    let queue = options(&ring).open(&log).unwrap();
    for optional in [false, true] {
        let again = options(&ring).ring_optional(optional).open(&log);
        let pid = Some(process::id());
        assert_eq!(problem(again), Problem::InUse { pid }, "{optional}");
    }
    queue.writen(b"undisturbed\n", TRY).unwrap();
    queue.close(None).unwrap();
    assert_eq!(fs::read(log).unwrap(), b"undisturbed\n");
}

#[test]
fn what_is_no_ring_file_is_refused_and_left_as_it_is() {
    let (folder, _, log) = places();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text"), "some text\n".repeat(2000)).unwrap();
    mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
    fs::create_dir(path("folder")).unwrap();
    drop(options(&path("ring")).open(&log).unwrap());
    symlink(path("ring"), path("link")).unwrap();
    symlink(path("nowhere"), path("dangling")).unwrap();
    for optional in [false, true] {
        let begins_with = b"some tex".to_vec();
        let text = Problem::NotARingFile { begins_with };
        for (name, why) in [("text", text), ("fifo", Problem::NotAFile)] {
            let result = options(&path(name)).ring_optional(optional).open(&log);
            if optional {
                assert_eq!(result.unwrap().recovery(), None, "{name}");
            } else {
                assert_eq!(problem(result), why, "{name}");
            }
        }
        let unreachable = [
            ("folder", libc::EISDIR),
            ("link", libc::ELOOP),
            ("dangling", libc::ELOOP),
            ("text/ring", libc::ENOTDIR),
            ("missing/ring", libc::ENOENT),
        ];
        for (name, errno) in unreachable {
            let result = options(&path(name)).ring_optional(optional).open(&log);
            if optional {
                assert_eq!(result.unwrap().recovery(), None, "{name}");
            } else {
                let operation = Operation::RingFile;
                assert_eq!(
                    result.unwrap_err(),
                    Error::Io {
                        operation,
                        errno,
                        target: alq::Target::default(),
                    },
                    "{name}"
                );
            }
        }
    }
    assert_eq!(fs::read(path("text")).unwrap(), b"some text\n".repeat(2000));
    assert!(!path("nowhere").exists());
}

#[test]
fn the_log_is_not_its_own_ring_file() {
    let (_folder, ring, _) = places();
    assert_eq!(problem(options(&ring).open(&ring)), Problem::IsTheLog);
    fs::remove_file(&ring).unwrap();
    drop(options(&ring).open(ring.with_extension("log")).unwrap());
    assert_eq!(problem(options(&ring).open(&ring)), Problem::IsTheLog);
    let result = options(&ring).open_fd(append_to(&ring));
    assert_eq!(problem(result), Problem::IsTheLog);
}

#[test]
fn a_ring_file_keeps_the_length_of_its_entries() {
    let (_folder, ring, log) = places();
    let fixed = |len, count| options(&ring).fixed(len, count);
    drop(fixed(64, 60).open(&log).unwrap());
    for (other, asked) in [
        (fixed(32, 60), "fixed(32, 60)"),
        (options(&ring), "capacity(4096)"),
    ] {
        let found = "fixed(64, 60)".to_owned();
        let asked = asked.to_owned();
        assert_eq!(
            problem(other.open(&log)),
            Problem::OtherGeometry { found, asked }
        );
    }
    drop(fixed(64, 60).open(&log).unwrap());
}

#[test]
fn records_for_another_log_wait_for_that_unless_they_are_given_away() {
    let test = "records_for_another_log_wait_for_that_unless_they_are_given_away";
    for is_given in [false, true] {
        let ended = end_of_child(test, &is_given.to_string(), |folder| {
            let queue = options(&folder.join("ring"))
                .open(folder.join("log"))
                .unwrap();
            wait_until_parked(&queue);
            queue.writen(b"for the first\n", LATER).unwrap();
            die();
        });
        let Some(ended) = ended else { continue };
        let [ring, log, other] =
            ["ring", "log", "other"].map(|name| ended.folder.path().join(name));
        let refused = problem(options(&ring).open(&other));
        let bytes = 14;
        assert_eq!(
            refused,
            Problem::OtherLog {
                log: log.clone(),
                bytes
            }
        );
        let taker = if is_given { &other } else { &log };
        let queue = options(&ring).other_log(is_given).open(taker).unwrap();
        assert_eq!(queue.recovery().unwrap().bytes, 14);
        queue.close(None).unwrap();
        drop(queue);
        assert_eq!(fs::read(taker).unwrap(), b"for the first\n");
        // If no record waits, any log is accepted.
        drop(
            options(&ring)
                .open(ended.folder.path().join("a third"))
                .unwrap(),
        );
    }
}

#[test]
fn a_log_that_is_not_appended_to_is_refused() {
    let (_folder, ring, log) = places();
    let file = fs::File::create(&log).unwrap();
    for optional in [false, true] {
        let result = options(&ring).ring_optional(optional).open_fd(&file);
        assert_eq!(problem(result), Problem::NotAppending);
    }
    let queue = options(&ring).open(&log).unwrap();
    let Error::RingFile { problem, .. } = queue.reopen(&file).unwrap_err() else {
        panic!("another error");
    };
    assert_eq!(*problem, Problem::NotAppending);
}

#[test]
fn a_queue_whose_ring_file_is_deleted_goes_on_and_the_next_makes_one() {
    let (_folder, ring, log) = places();
    let queue = options(&ring).open(&log).unwrap();
    queue.writen(b"one\n", LATER).unwrap();
    fs::remove_file(&ring).unwrap();
    queue.writen(b"two\n", LATER).unwrap();
    let other = options(&ring).open(log.with_extension("2")).unwrap();
    assert_eq!(other.recovery(), Some(&Recovery::default()));
    other.writen(b"three\n", TRY).unwrap();
    queue.close(None).unwrap();
    other.close(None).unwrap();
    assert_eq!(fs::read(&log).unwrap(), b"one\ntwo\n");
    assert_eq!(fs::read(log.with_extension("2")).unwrap(), b"three\n");
}

/// This holds for every mapped file. The rest of the file is refused afterwards.
#[test]
fn cutting_a_ring_file_in_use_kills_its_process() {
    let test = "cutting_a_ring_file_in_use_kills_its_process";
    let ended = end_of_child(test, "", |folder| {
        let queue = options(&folder.join("ring"))
            .open(folder.join("log"))
            .unwrap();
        let file = fs::File::options().write(true).open(folder.join("ring"));
        file.unwrap().set_len(4096).unwrap();
        queue.writen(b"into nothing\n", TRY).unwrap();
        drop(std::io::stdout().write_all(b"it lives\n"));
    });
    let Some(ended) = ended else { return };
    assert_eq!(
        ended.status.signal(),
        Some(libc::SIGBUS),
        "{}",
        ended.stdout
    );
    let [ring, log] = ["ring", "log"].map(|name| ended.folder.path().join(name));
    let wrong = Problem::WrongLength {
        len: 4096,
        expected: 8192 + 4096 + 4096,
    };
    assert_eq!(problem(options(&ring).open(&log)), wrong);
}

/// A user who may write to a ring file could put anything into the log.
#[test]
fn a_ring_file_that_others_may_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (ring, log) = (dir.path().join("ring"), dir.path().join("log"));
    let open = || Options::new().ring_file(&ring).open(&log);
    drop(open().unwrap());
    let refused = |uid: u32, mode: u32| match open().unwrap_err() {
        Error::RingFile { problem, .. } => assert_eq!(*problem, Problem::NotOurs { uid, mode }),
        other => panic!("{other}"),
    };
    let me = fs::metadata(&ring).unwrap().uid();
    for mode in [0o620, 0o602, 0o666] {
        fs::set_permissions(&ring, Permissions::from_mode(mode)).unwrap();
        refused(me, mode);
    }
    fs::set_permissions(&ring, Permissions::from_mode(0o600)).unwrap();
    drop(open().unwrap());
    let other = dir.path().join("another name");
    fs::hard_link(&ring, &other).unwrap();
    match open().unwrap_err() {
        Error::RingFile { problem, .. } => assert_eq!(*problem, Problem::Linked { names: 2 }),
        other => panic!("{other}"),
    }
    fs::remove_file(&other).unwrap();
    drop(open().unwrap());
    // Only root can give a file away.
    if chown(&ring, Some(65534), None).is_ok() {
        refused(65534, 0o600);
        let (sender, errors) = std::sync::mpsc::channel();
        let optional = Options::new().ring_file(&ring).ring_optional(true);
        let optional = optional.on_error(move |report| sender.send(report.error.clone()).unwrap());
        let queue = optional.open(&log).unwrap();
        assert_eq!(queue.recovery(), None);
        queue.close(None).unwrap();
        assert_eq!(
            errors.recv().unwrap(),
            open().unwrap_err(),
            "why it does without"
        );
    }
}
