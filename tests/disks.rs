//! Logs and ring files on real file systems of their own: one that is frozen, one that shuts down,
//! and Btrfs. If no loop device can be mounted, a test prints that it is skipped.

mod common;
mod rotated;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use alq::rotate::{Compression, Rotation};
use alq::{Error, Options, ring_file};

use common::child::in_child;
use common::disk::LoopDisk;
use common::fork::{End, fork};
use common::{Log, STALLS_SOON, TRY, WAIT, small, wait_for};
use rotated::BACKGROUND;

/// While the file system is frozen, the flusher is inside a call that does not return. All other
/// calls return, and after it nothing is missing.
#[test]
fn a_frozen_file_system_blocks_only_the_flusher() {
    let Some(disk) = LoopDisk::mount("a_frozen_file_system_blocks_only_the_flusher", "ext4") else {
        return;
    };
    let path = disk.path().join("log");
    let rotation = Rotation::new()
        .size_bytes(1 << 20)
        .compress(Compression::Gzip);
    let log = rotation.open(&path).unwrap();
    let options = small().stall_limit(Some(STALLS_SOON));
    let queue = options.open_sink(log.clone()).unwrap();
    let mut expected = String::new();
    let mut append = |text: &str| {
        queue
            .writen(text.as_bytes(), TRY)
            .map(|_| expected.push_str(text))
    };
    append("before\n").unwrap();
    queue.flush().unwrap();
    if !disk.freeze() {
        println!("a_frozen_file_system_blocks_only_the_flusher: skipped, it cannot be frozen");
        return;
    }
    append("meanwhile\n").unwrap();
    log.rotate(); // waits for the write, and returns
    assert!(matches!(
        queue.flush(),
        Err(Error::Stalled {
            errno: libc::EAGAIN,
            ..
        })
    ));
    wait_for("the stall in the statistics", || {
        queue.stats().stalled.is_some()
    });
    let full = loop {
        if let Err(error) = append("more\n") {
            break error;
        }
    };
    assert_eq!(full, Error::WouldBlock);
    assert_eq!(log.background().unwrap().files, 0);
    let limit = Some(Duration::from_millis(100));
    assert_eq!(log.wait_background(limit), Err(Error::TimedOut));
    disk.thaw();
    wait_for("the rest in the log", || queue.flush().is_ok());
    append("after\n").unwrap();
    queue.close(None).unwrap();
    log.wait_background(BACKGROUND).unwrap();
    assert!(rotated::content(&path) == expected.as_bytes());
    assert_eq!(rotated::rotated(&path).len(), 1);
}

/// The file system ends itself, as after an error of its disk. The queue says so and goes on
/// elsewhere.
#[test]
fn a_file_system_that_shuts_down_loses_nothing_that_is_not_written() {
    let test = "a_file_system_that_shuts_down_loses_nothing_that_is_not_written";
    for kind in ["ext4", "xfs"] {
        let Some(disk) = LoopDisk::mount(test, kind) else {
            continue;
        };
        let path = disk.path().join("log");
        let (says, errors) = std::sync::mpsc::channel();
        let rotation = Rotation::new().size_bytes(10);
        let rotation = rotation.on_error(move |error| says.send(error.to_string()).unwrap());
        let log = rotation.open(&path).unwrap();
        let queue = small().open_sink(log.clone()).unwrap();
        queue.writen(b"before\n", WAIT).unwrap();
        queue.flush().unwrap();
        if !shut_down(&disk) {
            println!("{test}: skipped, {kind} cannot be shut down");
            continue;
        }
        queue.writen(b"after it\n", WAIT).unwrap();
        let failed = queue.flush().unwrap_err();
        assert_eq!(failed.errno(), libc::EIO, "{failed}");
        let name = path.display().to_string();
        assert!(failed.to_string().starts_with(&name), "{failed}");
        let said = errors.recv_timeout(common::DEADLINE).unwrap();
        let place = disk.path().display().to_string(); // or the log in it
        assert!(
            said.starts_with(&place) && said.contains("os error 5"),
            "{said}"
        );
        let elsewhere = Log::new();
        queue.reopen_path(elsewhere.path()).unwrap().wait().unwrap();
        queue.writen(b"later\n", WAIT).unwrap();
        queue.close(None).unwrap();
        assert_eq!(elsewhere.text(), "after it\nlater\n");
    }
}

/// Shuts the file system down without writing its log. Source: `EXT4_IOC_SHUTDOWN`, which has the
/// number of `XFS_IOC_GOINGDOWN`.
#[allow(unsafe_code, reason = "this request of ioctl(2) has no safe form")]
fn shut_down(disk: &LoopDisk) -> bool {
    const SHUTDOWN: libc::Ioctl = 0x8004_587d_u32 as _; // _IOR('X', 125, u32)
    let without_log = 2_u32;
    let folder = File::open(disk.path()).unwrap();
    // SAFETY: the kernel reads one `u32`, which lives over the call.
    unsafe { libc::ioctl(folder.as_raw_fd(), SHUTDOWN, &raw const without_log) == 0 }
}

/// A container gets a volume that is one file.
#[test]
fn a_log_that_is_a_mount_point_is_not_rotated_and_the_message_says_why() {
    let test = "a_log_that_is_a_mount_point_is_not_rotated_and_the_message_says_why";
    let folder = rotated::Folder::new();
    let volume = folder.path().join("volume");
    std::fs::write(&volume, "").unwrap();
    std::fs::write(folder.log(), "").unwrap();
    let mount = |program: &str, args: &[&std::path::Path]| {
        let mut command = std::process::Command::new(program);
        let status = command
            .args(args)
            .stderr(std::process::Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    if !mount("mount", &["--bind".as_ref(), &volume, &folder.log()]) {
        println!("{test}: skipped, nothing can be mounted here");
        return;
    }
    let (says, errors) = std::sync::mpsc::channel();
    let rotation = Rotation::new().size_bytes(4);
    let rotation = rotation.on_error(move |error| says.send(error.to_string()).unwrap());
    let (log, queue) = folder.open(rotation);
    for record in ["one\n", "two\n", "six\n"] {
        queue.writen(record.as_bytes(), WAIT).unwrap();
        queue.flush().unwrap();
    }
    queue.close(None).unwrap();
    log.wait_background(BACKGROUND).unwrap();
    let error = errors.recv_timeout(common::DEADLINE).unwrap();
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    drop((log, queue));
    assert!(mount("umount", &["-l".as_ref(), &folder.log()]));
    assert!(
        error.ends_with("it is a mount point: mount the folder instead of the file"),
        "{error}"
    );
    assert_eq!(std::fs::read(&volume).unwrap(), b"one\ntwo\nsix\n");
    assert_eq!(names, 3, "the log, its lock and the volume");
}

/// On Btrfs, /proc/locks names another device than stat(2), and rotation swaps names as elsewhere.
#[test]
fn btrfs_has_the_log_the_ring_and_the_rotated_files() {
    let test = "btrfs_has_the_log_the_ring_and_the_rotated_files";
    in_child(test, || {
        let Some(disk) = LoopDisk::mount(test, "btrfs") else {
            return;
        };
        let (path, ring) = (disk.path().join("log"), disk.path().join("ring"));
        let rotation = || Rotation::new().size_bytes(40).compress(Compression::Gzip);
        let options = || Options::new().ring_file(&ring).ring_on_disk(true);
        let record = |number: u32| format!("record {number:04}\n");
        fork(End::AtOnce, || {
            let queue = options()
                .open_sink(rotation().open(&path).unwrap())
                .unwrap();
            (0..100).for_each(|number| {
                queue.writen(record(number).as_bytes(), WAIT).unwrap();
            });
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                .unwrap();
        })
        .join_killed();
        let left = ring_file::inspect(&ring).unwrap();
        assert!(!left.in_use);
        let log = rotation().open(&path).unwrap();
        let queue = options().open_sink(log.clone()).unwrap();
        assert!(ring_file::inspect(&ring).unwrap().in_use);
        assert!(matches!(options().open(&path), Err(Error::RingFile { .. })));
        let recovery = *queue.recovery().unwrap();
        assert_eq!(
            (recovery.possibly_repeated_bytes, recovery.skipped_entries),
            (0, 0)
        );
        queue.writen(record(100).as_bytes(), WAIT).unwrap();
        queue.close(None).unwrap();
        log.wait_background(BACKGROUND).unwrap();
        let expected: String = (0..=100).map(record).collect();
        assert!(rotated::content(&path) == expected.as_bytes());
        assert!(rotated::rotated(&path).len() > 30);
        drop((log, queue));
        thread::yield_now();
    });
}
