//! Every wrong call returns an error with its cause. It causes neither an undocumented panic nor a
//! stuck queue.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::{Log, TRY, WAIT, pipe, small, spawn};
use alq::{Error, Flags, Operation, Options};

fn open_error(errno: i32) -> Error {
    Error::Io {
        operation: Operation::Open,
        errno,
        target: alq::Target::default(),
    }
}

#[test]
fn a_path_that_cannot_be_opened_gives_the_errno_of_open() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none").join("test.log");
    assert_eq!(
        small().open(&missing).unwrap_err(),
        open_error(libc::ENOENT)
    );
    assert_eq!(
        small().open(dir.path()).unwrap_err(),
        open_error(libc::EISDIR)
    );
    assert_eq!(small().open("").unwrap_err(), open_error(libc::ENOENT));
    let under_a_file = dir.path().join("file").join("test.log");
    fs::write(dir.path().join("file"), b"").unwrap();
    assert_eq!(
        small().open(under_a_file).unwrap_err(),
        open_error(libc::ENOTDIR)
    );
}

#[test]
fn a_path_with_a_nul_byte_is_an_error_and_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a\0b");
    let error = small().open(path).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Io {
                operation: Operation::Open,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_symbolic_link_is_refused_unless_links_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target.log");
    let link = dir.path().join("link.log");
    symlink(&target, &link).unwrap();

    let error = small().open(&link).unwrap_err();
    assert_eq!(error, open_error(libc::ELOOP));
    assert!(!target.exists(), "nothing was created through the link");

    let queue = small().follow_links(true).open(&link).unwrap();
    queue.writen(b"through\n", TRY).unwrap();
    queue.close(None).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"through\n");
}

/// The largest capacity: a ring is mapped twice, so 32 bits of addresses allow less.
const CAPACITY_MAX: usize = 1 << if usize::BITS == 32 { 29 } else { 31 };

#[test]
#[cfg(target_pointer_width = "32")]
fn the_largest_ring_of_32_bits_takes_its_capacity() {
    let log = Log::new();
    let queue = log.open(Options::new().capacity(CAPACITY_MAX));
    assert_eq!(queue.capacity(), CAPACITY_MAX);
    let record = vec![b'x'; CAPACITY_MAX / 4 + 1]; // the fourth one is over the end of the ring
    for _ in 0..4 {
        queue.writen(&record, Flags::WAITOK).unwrap();
    }
    queue.close(None).unwrap();
    let written = fs::metadata(log.path()).unwrap().len();
    assert_eq!(written, 4 * record.len() as u64);
}

#[test]
fn the_capacity_is_checked_and_rounded_up() {
    let log = Log::new();
    for bytes in [0, CAPACITY_MAX + 1, usize::MAX] {
        let error = Options::new().capacity(bytes).open(log.path()).unwrap_err();
        match error {
            Error::InvalidOption { option, value, .. } => {
                assert_eq!((option, value), ("capacity", bytes as u64));
            }
            other => panic!("{other:?}"),
        }
        let sink = OpenOptions::new().write(true).open("/dev/null").unwrap();
        let error = Options::new().capacity(bytes).open_fd(&sink).unwrap_err();
        assert_eq!(error.errno(), libc::EINVAL);
    }
    assert!(!log.path().exists(), "options are checked before the file");
    for (bytes, rounded) in [(1, 4096), (4096, 4096), (4097, 8192), (5000, 8192)] {
        let queue = log.open(small().capacity(bytes));
        assert_eq!(queue.capacity(), rounded);
        assert_eq!(queue.stats().capacity_bytes, rounded as u64);
    }
}

#[test]
fn the_mode_is_checked_and_used() {
    let log = Log::new();
    let error = small().mode(0o10_000).open(log.path()).unwrap_err();
    match error {
        Error::InvalidOption { option, value, .. } => {
            assert_eq!((option, value), ("mode", 0o10_000));
        }
        other => panic!("{other:?}"),
    }
    assert!(!log.path().exists());
    drop(log.open(small()));
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(log.path()), 0o600);
    let other = Log::new();
    drop(other.open(small().mode(0o400)));
    assert_eq!(mode(other.path()), 0o400);
}

#[test]
fn impossible_lengths_are_distinguished_from_a_full_ring() {
    let log = Log::new();
    let queue = log.open(small());
    // The queue is full: only a length that could fit may wait or be refused.
    let held = queue.getn(4096, TRY).unwrap();
    for flags in [TRY, WAIT, WAIT | Flags::NOACTIVATE] {
        assert_eq!(
            queue.writen(b"", flags),
            Err(Error::InvalidLength { len: 0 })
        );
        assert_eq!(
            queue.getn(0, flags).unwrap_err(),
            Error::InvalidLength { len: 0 }
        );
        for len in [4097, 1 << 20] {
            let too_large = Error::TooLarge { len, max: 4096 };
            let waiter = queue.clone();
            let record = vec![b'x'; len];
            // It returns at once, also with WAITOK.
            let result = spawn(move || waiter.writen(&record, flags)).join();
            assert_eq!(result, Err(too_large.clone()));
            let waiter = queue.clone();
            let result = spawn(move || waiter.getn(len, flags).map(drop)).join();
            assert_eq!(result, Err(too_large));
        }
    }
    assert_eq!(
        queue.getn(usize::MAX, TRY).unwrap_err().errno(),
        libc::EMSGSIZE
    );
    assert_eq!(queue.writen(b"x", TRY), Err(Error::WouldBlock));
    drop(held);
    let refused = queue.stats().refused;
    assert_eq!(refused.too_large.records, 13);
    assert_eq!(
        refused.total().records - refused.too_large.records,
        1,
        "only the last is a refusal"
    );
}

#[test]
fn a_descriptor_that_is_not_open_for_writing_is_bad() {
    let log = Log::new();
    fs::write(log.path(), b"kept").unwrap();
    let read_only = File::open(log.path()).unwrap();
    let path_only = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(log.path())
        .unwrap();
    let (pipe_reader, _pipe_writer) = pipe().unwrap();
    assert_eq!(
        small().open_fd(&read_only).unwrap_err(),
        Error::BadDescriptor
    );
    assert_eq!(
        small().open_fd(&path_only).unwrap_err(),
        Error::BadDescriptor
    );
    assert_eq!(
        small().open_fd(&pipe_reader).unwrap_err(),
        Error::BadDescriptor
    );
    assert_eq!(Error::BadDescriptor.errno(), libc::EBADF);
    assert_eq!(log.bytes(), b"kept");
}

#[test]
fn flags_must_say_exactly_whether_to_wait() {
    let log = Log::new();
    let queue = log.open(small());
    for bits in [0, 0x3, 0x4, 0x7, 0x8 | 0x1, 0x8000_0002] {
        let flags = Flags::from_bits_retain(bits);
        let refused = Error::InvalidFlags { flags };
        assert_eq!(queue.writen(b"x", flags), Err(refused.clone()), "{bits:#x}");
        assert_eq!(queue.getn(1, flags).unwrap_err(), refused, "{bits:#x}");
    }
    for bits in [0x1, 0x2, 0x5, 0x6] {
        let flags = Flags::from_bits_retain(bits);
        queue.writen(format!("{bits}\n").as_bytes(), flags).unwrap();
    }
    queue.close(None).unwrap();
    assert_eq!(log.text(), "1\n2\n5\n6\n");
}

#[test]
fn a_panic_over_set_bytes_used_leaves_the_queue_usable() {
    let log = Log::new();
    let queue = log.open(small());
    queue.writen(b"before\n", TRY).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let mut entry = queue.getn(8, TRY).unwrap();
        entry.copy_from_slice(b"garbage\n");
        entry.set_bytes_used(8); // exactly the length of the entry: no panic
        queue.writen(b"behind\n", TRY).unwrap();
        entry.set_bytes_used(9);
        entry.post();
    }));
    let message = *panic.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains('9') && message.contains('8'), "{message}");
    assert_eq!(queue.stats().held, 0);
    queue.writen(b"after\n", TRY).unwrap();
    queue.flush().unwrap();
    assert_eq!(log.text(), "before\nbehind\nafter\n");
}

#[test]
fn text_that_does_not_fit_an_entry_is_an_error_that_keeps_what_fitted() {
    let log = Log::new();
    let queue = log.open(small());
    let mut entry = queue.getn(6, TRY).unwrap();
    write!(entry, "{}-", 123).unwrap();
    let error = write!(entry, "{}", 45678).unwrap_err();
    assert_eq!(error, Error::TooLarge { len: 9, max: 6 });
    assert_eq!(entry.bytes_used(), 6);
    assert_eq!(&entry[..], b"123-45");
    let full = std::io::Write::write_all(&mut entry, b"x").unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::WriteZero);
    assert!(std::fmt::Write::write_str(&mut entry, "x").is_err());
    entry.post();
    queue.close(None).unwrap();
    assert_eq!(log.text(), "123-45");
}
