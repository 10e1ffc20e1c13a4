//! If there is no room or no permission for a ring file, `open` fails, or uses a ring in memory if
//! the options allow that.
//!
//! The tests run in a separate mount namespace, and are skipped if there cannot be one.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::common::child::end_of_child;
use crate::common::{NEVER_STALLS, WAIT};
use alq::{Error, Operation, Options, Recovery, RingFileProblem as Problem, ring_file};
use nix::sched::{CloneFlags, unshare};

fn mount(arguments: &[&str], on: &Path) -> bool {
    let status = Command::new("mount").args(arguments).arg(on).status();
    status.is_ok_and(|status| status.success())
}

/// Mounts a small tmpfs and runs `body` with it and with a folder outside it.
fn on_small_disk(test: &str, size: &str, body: impl Fn(&Path, &Path)) {
    let ended = end_of_child(test, "", |folder| {
        let disk = folder.join("disk");
        fs::create_dir(&disk).unwrap();
        let is_alone = unshare(CloneFlags::CLONE_NEWNS).is_ok()
            && mount(&["--make-rprivate"], Path::new("/"))
            && mount(&["-t", "tmpfs", "-o", size, "none"], &disk);
        if is_alone {
            body(&disk, folder);
        } else {
            println!("{test}: skipped, no file system can be mounted here");
        }
    });
    if let Some(ended) = ended {
        print!(
            "{}",
            ended
                .stdout
                .lines()
                .find(|line| line.contains("skipped"))
                .unwrap_or("")
        );
        ended.assert_code(0);
    }
}

fn options(ring: &Path, optional: bool) -> (Options, Arc<Mutex<Vec<Error>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let errors = Arc::clone(&told);
    let options = Options::new().capacity(1 << 16).ring_file(ring);
    let options = options
        .stall_limit(Some(NEVER_STALLS))
        .ring_optional(optional);
    let options = options.on_error(move |report| errors.lock().unwrap().push(report.error.clone()));
    (options, told)
}

/// Checks that a ring file at `ring` is refused with `errno` and leaves nothing, or that the queue
/// works without it, as the options say.
fn assert_refused(ring: &Path, log: &Path, errno: i32) {
    let why = Error::Io {
        operation: Operation::RingFile,
        errno,
        target: alq::Target::default(),
    };
    let (must, _) = options(ring, false);
    assert_eq!(must.open(log).unwrap_err(), why);
    let (may, told) = options(ring, true);
    let queue = may.open(log).unwrap();
    assert_eq!(queue.recovery(), None);
    queue.writen(b"all the same\n", WAIT).unwrap();
    queue.close(None).unwrap();
    drop(queue);
    assert_eq!(fs::read(log).unwrap(), b"all the same\n");
    crate::common::wait_for("the callback", || !told.lock().unwrap().is_empty());
    assert_eq!(*told.lock().unwrap(), [why]);
    assert_eq!(fs::read_dir(ring.parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn a_full_disk_has_no_room_for_a_ring_file() {
    let test = "a_full_disk_has_no_room_for_a_ring_file";
    on_small_disk(test, "size=32k", |disk, folder| {
        assert_refused(&disk.join("ring"), &folder.join("log"), libc::ENOSPC);
    });
}

#[test]
fn a_disk_that_is_read_only_takes_none() {
    let test = "a_disk_that_is_read_only_takes_none";
    on_small_disk(test, "size=1m", |disk, folder| {
        assert!(mount(&["-o", "remount,ro"], disk));
        assert_refused(&disk.join("ring"), &folder.join("log"), libc::EROFS);
    });
}

/// All disk space of the file is allocated when it is created, so a disk that fills up later does
/// not kill the process.
#[test]
fn a_disk_that_fills_up_later_does_no_harm() {
    let test = "a_disk_that_fills_up_later_does_no_harm";
    on_small_disk(test, "size=256k", |disk, folder| {
        let ring = disk.join("ring");
        let log = folder.join("log");
        let queue = options(&ring, false).0.open(&log).unwrap();
        assert!(fs::write(disk.join("filler"), vec![0; 1 << 20]).is_err());
        let record = [b'x'; 1000];
        for _ in 0..200 {
            queue.writen(&record, WAIT).unwrap();
        }
        queue.close(None).unwrap();
        drop(queue);
        assert_eq!(fs::metadata(&log).unwrap().len(), 200_000);
        let queue = options(&ring, false).0.open(&log).unwrap();
        assert_eq!(queue.recovery(), Some(&Recovery::default()));
    });
}

/// An overlay may be on anything; a tmpfs is memory.
#[test]
fn a_ring_that_is_not_in_memory_is_warned_of() {
    let test = "a_ring_that_is_not_in_memory_is_warned_of";
    on_small_disk(test, "size=4m", |disk, _| {
        let [lower, upper, work, overlay] =
            ["lower", "upper", "work", "overlay"].map(|name| disk.join(name));
        for folder in [&lower, &upper, &work, &overlay] {
            fs::create_dir(folder).unwrap();
        }
        let folders = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            upper.display(),
            work.display()
        );
        if !mount(&["-t", "overlay", "-o", &folders, "none"], &overlay) {
            return println!("{test}: skipped, there is no overlay to be had");
        }
        let warnings = |ring: &Path, accepted: bool| {
            let (options, told) = options(ring, false);
            let queue = options.ring_on_disk(accepted);
            let queue = queue.open(disk.join("log")).unwrap();
            assert_eq!(queue.recovery(), Some(&Recovery::default()));
            queue.writen(b"as ever\n", WAIT).unwrap();
            queue.close(None).unwrap();
            drop(queue);
            (ring_file::on_disk(ring).unwrap(), told)
        };
        let (on_disk, told) = warnings(&disk.join("ring"), false);
        assert_eq!(on_disk, None);
        assert_eq!(*told.lock().unwrap(), []);
        let ring = overlay.join("ring");
        let (on_disk, told) = warnings(&ring, false);
        let file_system = 0x794c_7630;
        assert_eq!(on_disk, Some(Problem::OnDisk { file_system }));
        crate::common::wait_for("the warning", || !told.lock().unwrap().is_empty());
        let problem = Box::new(Problem::OnDisk { file_system });
        let path = ring.clone();
        assert_eq!(*told.lock().unwrap(), [Error::RingFile { path, problem }]);
        let (_, told) = warnings(&ring, true);
        assert_eq!(*told.lock().unwrap(), []);
    });
}
