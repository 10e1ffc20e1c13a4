//! A torn record that is removed from a log is kept, if asked for, and only in a file of this user.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode};

use crate::common::{Log, WAIT};
use alq::{Error, Framing, Options, Target};

fn keeping() -> Options {
    let options = Options::new().capacity(1 << 16);
    options.framing(Framing::Lengths).keep_torn(true)
}

const WHOLE: &[u8] = b"\x03\0\0\0abc";
const TORN: &[u8] = b"\x09\0\0\0torn";

/// A log with a torn end, and where that end is kept.
fn torn() -> (Log, PathBuf) {
    let log = Log::new();
    fs::write(log.path(), [WHOLE, TORN].concat()).unwrap();
    let aside = log.path().with_extension("log.torn");
    (log, aside)
}

#[test]
fn a_removed_end_is_kept_after_those_before_it() {
    let (log, aside) = torn();
    for opening in 1..=3 {
        let queue = log.open(keeping());
        assert_eq!(queue.recovery().unwrap().torn_bytes, TORN.len() as u64);
        queue.close(None).unwrap();
        assert_eq!(log.bytes(), WHOLE);
        assert_eq!(fs::read(&aside).unwrap(), TORN.repeat(opening));
        fs::write(log.path(), [WHOLE, TORN].concat()).unwrap();
    }
    let mode = fs::metadata(&aside).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn nothing_is_kept_of_a_whole_log_or_without_the_option() {
    let (log, aside) = torn();
    log.open(keeping().keep_torn(false)).close(None).unwrap();
    assert_eq!(log.bytes(), WHOLE);
    let queue = log.open(keeping());
    queue.writen(b"x", WAIT).unwrap();
    queue.close(None).unwrap();
    assert!(!aside.exists());
}

#[cfg(feature = "frames")]
#[test]
fn a_torn_frame_and_a_torn_header_are_kept() {
    let (log, aside) = torn();
    let checked = || keeping().framing(Framing::Checked);
    fs::write(log.path(), b"\x89alqlog\n\x01\0").unwrap();
    let queue = log.open(checked());
    queue.writen(b"a record", WAIT).unwrap();
    queue.close(None).unwrap();
    assert_eq!(fs::read(&aside).unwrap(), b"\x89alqlog\n\x01\0");
    let whole = log.bytes();
    // After the header and the note of the cut.
    let frame = &whole[whole.len() - 24..];
    fs::write(log.path(), &whole[..whole.len() - 1]).unwrap();
    fs::remove_file(&aside).unwrap();
    let queue = log.open(checked());
    assert_eq!(queue.recovery().unwrap().torn_bytes, 23);
    queue.close(None).unwrap();
    assert_eq!(fs::read(&aside).unwrap(), frame[..23]);
}

#[test]
fn a_file_that_cannot_keep_it_leaves_the_log_as_it_is() {
    let refused = |make: &dyn Fn(&PathBuf), errno: i32| {
        let (log, aside) = torn();
        make(&aside);
        let before = log.bytes();
        let error = keeping().open(log.path()).unwrap_err();
        assert_eq!(error.target(), Some(&Target::from(&*aside)), "{error}");
        assert_eq!(error.raw_os_error(), Some(errno), "{error}");
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert_eq!(log.bytes(), before);
        drop(log);
    };
    // Each of them by another user could lead the bytes elsewhere, or stop the opening.
    refused(&|aside| symlink("/dev/null", aside).unwrap(), libc::ELOOP);
    refused(&|aside| fs::create_dir(aside).unwrap(), libc::EISDIR);
    let fifo = |aside: &PathBuf| {
        rustix::fs::mknodat(CWD, aside, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    };
    refused(&fifo, libc::ENXIO);
    let linked = |aside: &PathBuf| {
        let other = aside.with_extension("other");
        fs::write(&other, "kept").unwrap();
        fs::hard_link(other, aside).unwrap();
    };
    refused(&linked, libc::EPERM);
    if rustix::process::geteuid().is_root() {
        let strange = |aside: &PathBuf| {
            fs::write(aside, "of another user").unwrap();
            std::os::unix::fs::chown(aside, Some(65_534), None).unwrap();
            assert_eq!(fs::metadata(aside).unwrap().uid(), 65_534);
        };
        refused(&strange, libc::EPERM);
    }
}
