//! An appender in a process that has reached its limit of descriptors, memory or threads appends
//! synchronously and loses nothing.
//!
//! The limits apply to a whole process, so each test runs in a separate process.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use crate::common::Log;
use crate::common::child::in_child;
use alq::async_append::enable;
use alq::{AsyncAppend, Error, Operation, Options};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn append_to(path: PathBuf) -> File {
    let mut options = OpenOptions::new();
    options.create(true).append(true).open(path).unwrap()
}

fn io_error(operation: Operation, errno: i32) -> Error {
    Error::Io {
        operation,
        errno,
        target: alq::Target::default(),
    }
}

/// Lowers or raises the soft limit on `resource`.
fn set_limit(resource: Resource, current: u64) {
    let limit = Rlimit {
        current: Some(current),
        ..getrlimit(resource)
    };
    setrlimit(resource, limit).unwrap();
}

/// Writes three pieces with a new appender. Returns whether it was asynchronous.
fn append_three(file: &File, expected: &mut Vec<u8>) -> bool {
    let mut appender = AsyncAppend::new(file);
    for piece in 0..3_u8 {
        let bytes = [b'a' + piece; 1000];
        appender.write(&bytes).unwrap();
        expected.extend_from_slice(&bytes);
    }
    appender.flush().unwrap();
    appender.is_async()
}

#[test]
fn without_descriptors_appenders_are_synchronous_and_lose_nothing() {
    in_child(
        "without_descriptors_appenders_are_synchronous_and_lose_nothing",
        || {
            enable();
            let log = Log::new();
            let file = append_to(log.path());
            let before = getrlimit(Resource::Nofile).current.unwrap();
            let next = File::open("/dev/null").unwrap();
            let free = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&next)).unwrap();
            drop(next);
            let mut expected = Vec::new();
            // No descriptor for a duplicate of the file; one, and the ring needs none.
            for (more, refused) in [(0, Some(Operation::Duplicate)), (1, None)] {
                set_limit(Resource::Nofile, free + more);
                let is_async = append_three(&file, &mut expected);
                assert_eq!(is_async, refused.is_none(), "{more} descriptors");
                let error = Options::new().open_fd(&file).err();
                assert_eq!(error, refused.map(|step| io_error(step, libc::EMFILE)));
            }
            set_limit(Resource::Nofile, before);
            assert!(log.bytes() == expected);
        },
    );
}

/// How much the limit on the address space is raised in total, in bytes.
const RANGE: usize = 16 << 20;

/// The size of one step: 256 KiB, or `ALQ_LIMIT_STEP_KIB` KiB.
fn step() -> usize {
    let step = std::env::var("ALQ_LIMIT_STEP_KIB").map(|text| text.parse().unwrap());
    step.unwrap_or(256) << 10
}

/// Kilobytes of address space in use.
fn address_space() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmSize:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

#[test]
#[cfg_attr(
    target_env = "musl",
    ignore = "its allocator has no memory in store: the test itself runs out of memory"
)]
fn without_memory_or_threads_appenders_are_synchronous_and_lose_nothing() {
    in_child(
        "without_memory_or_threads_appenders_are_synchronous_and_lose_nothing",
        || {
            enable();
            let (log, other) = (Log::new(), Log::new());
            let file = append_to(log.path());
            let path = other.path();
            let before = getrlimit(Resource::As);
            // The results are kept as numbers: there may be no memory for more.
            let mut expected = Vec::with_capacity(16 << 20);
            let (mut modes, mut refused) = ([0; 2], [0; 2]);
            let base = address_space() << 10;
            for more in (0..=RANGE).step_by(step()) {
                set_limit(Resource::As, base + more as u64);
                match Options::new().open(&path) {
                    Err(Error::Io {
                        operation: Operation::Map,
                        ..
                    }) => refused[0] += 1,
                    Err(Error::Io {
                        operation: Operation::Spawn,
                        ..
                    }) => refused[1] += 1,
                    other => drop(other.unwrap()),
                }
                modes[usize::from(append_three(&file, &mut expected))] += 1;
            }
            setrlimit(Resource::As, before).unwrap();
            assert!(log.bytes() == expected);
            assert!(modes.iter().all(|&count| count > 0), "{modes:?}");
            assert!(refused.iter().all(|&count| count > 0), "{refused:?}");
        },
    );
}

/// A ring in memory is not a file: it may be larger than the files that the process may make.
#[test]
fn a_small_file_size_limit_does_not_limit_a_ring_in_memory() {
    in_child(
        "a_small_file_size_limit_does_not_limit_a_ring_in_memory",
        || {
            enable();
            let log = Log::new();
            let file = append_to(log.path());
            set_limit(Resource::Fsize, 100 << 10);
            let mut expected = Vec::new();
            assert!(append_three(&file, &mut expected));
            assert_eq!(log.bytes(), expected);
            let large = Options::new().capacity(1 << 20).open_fd(&file).unwrap();
            large.close(None).unwrap();
        },
    );
}
