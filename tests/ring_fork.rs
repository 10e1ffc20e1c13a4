//! After fork(2) a ring file belongs to the parent alone, while the parent lives and after its
//! death.

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use alq::{Flags, Options, Queue, Recovery};
use common::child::end_of_child;
use common::fork::{End, fork};
use common::torture::label::die;
use common::{DEADLINE, LATER, NEVER_STALLS, TRY, WAIT, wait_for, wait_until_parked};

fn open(folder: &Path) -> Queue {
    let options = Options::new().capacity(4096).ring_file(folder.join("ring"));
    let options = options.stall_limit(Some(NEVER_STALLS));
    options.open(folder.join("log")).unwrap()
}

fn text(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap()
}

/// Takes the value that is there and was not taken before. In a child of fork(2), the parent's
/// value is still there.
fn take<T>(place: &Mutex<Option<T>>) -> T {
    place.lock().unwrap().take().unwrap()
}

#[test]
fn a_child_that_lives_on_does_not_keep_the_ring_file_of_a_parent_that_was_killed() {
    let test = "a_child_that_lives_on_does_not_keep_the_ring_file_of_a_parent_that_was_killed";
    let ended = end_of_child(test, "", |folder| {
        let queue = open(folder);
        wait_until_parked(&queue);
        let held = Mutex::new(queue.getn(100, TRY).ok());
        let _child = fork(End::AtOnce, || {
            // The parent's parent reads these two to their end.
            for fd in 1..=2 {
                let _ = nix::unistd::close(fd);
            }
            fs::write(folder.join("lives"), "").unwrap();
            let seconds = DEADLINE.as_secs();
            for _ in 0..seconds * 1000 {
                if folder.join("over").exists() || !folder.exists() {
                    break;
                }
                thread::sleep(Duration::from_millis(1));
            }
            take(&held).post(); // the parent's entry: this post does nothing
            queue.writen(b"of the child\n", TRY).unwrap();
            fs::write(folder.join("has ended"), "").unwrap();
        });
        wait_for("a child", || folder.join("lives").exists());
        queue.writen(b"posted\n", LATER).unwrap(); // after the fork, which would have written it
        die();
    });
    let Some(ended) = ended else { return };
    let folder = ended.folder.path();
    let queue = open(folder);
    let recovery = *queue.recovery().unwrap();
    assert_eq!((recovery.bytes, recovery.skipped_entries), (7, 1));
    queue.flush().unwrap();
    assert_eq!(text(folder), "posted\n");
    queue.writen(b"held back\n", LATER).unwrap();
    fs::write(folder.join("over"), "").unwrap();
    wait_for("the end of the child", || folder.join("has ended").exists());
    queue.close(None).unwrap();
    drop(queue);
    let mut lines: Vec<String> = text(folder).lines().map(str::to_owned).collect();
    lines[1..].sort();
    assert_eq!(lines, ["posted", "held back", "of the child"]);
    assert_eq!(open(folder).recovery(), Some(&Recovery::default()));
}

#[test]
fn children_that_drop_post_and_exit_change_nothing_of_the_parents() {
    let test = "children_that_drop_post_and_exit_change_nothing_of_the_parents";
    for end in ["close", "kill"] {
        let ended = end_of_child(test, end, |folder| {
            let queue = open(folder);
            let mut lane = queue.lane();
            for number in 0..20 {
                let record = format!("record {number}\n");
                queue.writen(record.as_bytes(), LATER).unwrap();
                let entry = Mutex::new(queue.getn(16, WAIT).ok());
                let how = if number % 2 == 0 {
                    End::AtOnce
                } else {
                    End::WithHandlers
                };
                let in_lane = Mutex::new(lane.getn(10, TRY).ok());
                let child = fork(how, || {
                    let (mut entry, in_lane) = (take(&entry), take(&in_lane));
                    match number % 4 {
                        0 => drop((entry, in_lane)),
                        1 => drop((entry.post(), in_lane.post())),
                        2 => drop(queue.close(None)),
                        _ => {
                            entry.fill(b'!'); // in the child's own memory
                            drop(queue.clone());
                        }
                    }
                });
                child.join();
                let mut entry = take(&entry);
                entry[..6].copy_from_slice(b"entry\n");
                entry.set_bytes_used(6);
                entry.post_flags(Flags::NOACTIVATE);
            }
            if end == "kill" {
                die();
            }
            queue.close(None).unwrap();
        });
        let Some(ended) = ended else { continue };
        let folder = ended.folder.path();
        let queue = open(folder);
        let recovery = *queue.recovery().unwrap();
        assert_eq!(
            (recovery.damaged_slots, recovery.possibly_repeated_bytes),
            (0, 0)
        );
        queue.close(None).unwrap();
        let expected = (0..20).map(|number| format!("record {number}\nentry\n"));
        let expected: String = expected.collect();
        assert_eq!(text(folder), expected, "{end}");
    }
}

/// Forks at any moment of an opening: no child keeps a copy of the descriptor that holds the lock.
#[test]
fn a_child_that_was_made_during_an_opening_does_not_keep_the_lock() {
    let test = "a_child_that_was_made_during_an_opening_does_not_keep_the_lock";
    let ended = end_of_child(test, "", |folder| {
        let is_enough = AtomicBool::new(false);
        let options = || {
            Options::new()
                .capacity(4 << 20)
                .ring_file(folder.join("ring"))
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_enough.load(Ordering::Relaxed) {
                    drop(options().open(folder.join("log")).unwrap());
                }
            });
            wait_for("the first opening", || folder.join("ring").exists());
            for n in 0..CHILDREN {
                let _child = fork(End::AtOnce, || {
                    for fd in 1..=2 {
                        let _ = nix::unistd::close(fd);
                    }
                    fs::write(folder.join(format!("{n} lives")), "").unwrap();
                    for _ in 0..DEADLINE.as_secs() * 1000 {
                        if folder.join("over").exists() || !folder.exists() {
                            break;
                        }
                        thread::sleep(Duration::from_millis(1));
                    }
                });
            }
            let lives = |n| folder.join(format!("{n} lives")).exists();
            wait_for("the children", || (0..CHILDREN).all(lives));
            is_enough.store(true, Ordering::Relaxed);
        });
        die();
    });
    let Some(ended) = ended else { return };
    assert_eq!(ended.status.signal(), Some(9), "{}", ended.stderr);
    let folder = ended.folder.path();
    let queue = Options::new()
        .capacity(4 << 20)
        .ring_file(folder.join("ring"));
    drop(queue.open(folder.join("log")).unwrap());
    fs::write(folder.join("over"), "").unwrap();
}

const CHILDREN: usize = 40;
