//! Kills processes with a ring file and a log that is rotated all the time, again and again. Each
//! acknowledged record must be in the files once.
//!
//! `ALQ_KILLS=20000` is the long form.

mod common;
mod rotated;

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, hint, thread};

use alq::rotate::{Compression, RotatingFile, Rotation};
use alq::{Flags, LogEnd, Options, Queue, Sink, SyncOp};

use common::Numbers;
use common::child::in_child;
use common::frames;
use common::torture::label::{Label, die, pass};
use common::torture::life::{Life, Place, Ways};
use common::torture::oracle::{Oracle, WRITERS};
use common::torture::run::{kills, seed, start};
use rotated::{BACKGROUND, Folder, content, rotated, unpacked};

/// The log of this process.
static LOG: Mutex<Option<RotatingFile>> = Mutex::new(None);

/// A log that passes a label before and after its calls.
struct Labelled(RotatingFile);

impl Sink for Labelled {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        pass(Label::AfterIntent);
        let taken = self.0.write(runs)?;
        pass(Label::AfterWrite);
        Ok(taken)
    }

    fn inner(&self) -> Option<&dyn Sink> {
        Some(&self.0)
    }

    fn end(&self) -> Option<LogEnd> {
        pass(Label::BeforeIntent);
        self.0.end()
    }

    fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        pass(Label::RecoveryCompares);
        let held = self.0.holds(end, runs);
        pass(Label::RecoveryCompared);
        held
    }

    fn path(&self) -> Option<PathBuf> {
        pass(Label::RecoveryBegins);
        self.0.path()
    }
}

fn open(place: &Place, _is_labelled: bool, seed: usize) -> Queue {
    if let Some(before) = LOG.lock().unwrap().take() {
        before.wait_background(BACKGROUND).unwrap();
    }
    let forms = [Compression::None, Compression::Gzip, Compression::Zstd];
    let log = Rotation::new()
        .size_bytes(100 + (seed % 13) as u64 * 300)
        .at_start(seed % 5 == 0)
        .compress(forms[seed % 3])
        .open(&place.log)
        .unwrap();
    *LOG.lock().unwrap() = Some(log.clone());
    place.options().open_sink(Labelled(log)).unwrap()
}

fn cut(_: &Place, _: &Queue) {
    let log = LOG.lock().unwrap();
    log.as_ref().unwrap().rotate();
}

/// Draws the label at which a process kills itself; `None` if the parent kills it.
fn draw_label(numbers: &mut Numbers) -> Option<(Label, u32)> {
    let labels = [
        Label::BeforeIntent,
        Label::AfterIntent,
        Label::AfterWrite,
        Label::AfterPost,
        Label::RecoveryCompares,
        Label::RecoveryCompared,
    ];
    let label = labels[numbers.below(labels.len())];
    let passes = if label.is_of_recovery() {
        1
    } else {
        1 << numbers.below(6)
    };
    let nth = 1 + numbers.below(passes) as u32;
    (numbers.below(2) == 0).then_some((label, nth))
}

/// Runs some lives on one ring file and one log, each killed. Returns the number of files and the
/// number of records.
fn chain(oracle: Oracle, numbers: &mut Numbers, kills: usize) -> (usize, usize) {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let capacity = [4096, 1 << 14][numbers.below(2)];
    let mut place = Place::in_folder(folder.path(), capacity, numbers.below(3) > 0);
    place.ways = Ways { open, cut };
    place.is_framed = cfg!(feature = "frames") && numbers.below(2) == 0;
    oracle.clear();
    for number in 0..kills {
        let end = draw_label(numbers);
        let life = Life {
            number: number as u32,
            seed: numbers.below(1 << 30),
            writers: 1 + numbers.below(WRITERS),
            operations: 150,
            end,
        };
        let (since, work) = (oracle.clock(), numbers.below(300) as u64);
        let child = start(|| life.live(&place, oracle));
        if end.is_none() {
            while oracle.clock() < since + work && !child.has_ended() {
                thread::yield_now();
            }
            let more = 1 << numbers.below(16);
            (0..numbers.below(more)).for_each(|_| hint::spin_loop());
            child.kill();
        }
        child.join_killed();
    }
    start(|| place.recover(oracle)).join();
    let content = if place.is_framed {
        frames_of(&place)
    } else {
        for file in rotated(&place.log) {
            common::parse(&unpacked(&file)); // each file holds whole records
        }
        content(&place.log)
    };
    (rotated(&place.log).len(), oracle.check(&content))
}

/// Returns the records in a log of frames. Panics unless each file is whole and continues the one
/// before.
fn frames_of(place: &Place) -> Vec<u8> {
    let mut files: Vec<_> = rotated(&place.log)
        .iter()
        .map(|file| unpacked(file))
        .collect();
    files.push(fs::read(&place.log).unwrap());
    files.retain(|file| !file.is_empty()); // the last one, before its first record
    let (mut id, mut position, mut records) = (None, 0, Vec::new());
    for file in files {
        let file = frames::parse(&file);
        assert_eq!(*id.get_or_insert(file.id), file.id, "one log");
        let first = file.frames.iter().find(|frame| frame.kind != 3);
        assert!(first.is_none_or(|first| first.position >= position));
        let (found, end) = file.records_from(file.first_position);
        position = end;
        records.extend(found);
    }
    #[cfg(feature = "read")]
    assert!(frames::found(&place.log) == records);
    records.concat()
}

#[test]
fn after_kills_during_rotations_each_acknowledged_record_is_there_once() {
    let test = "after_kills_during_rotations_each_acknowledged_record_is_there_once";
    in_child(test, || {
        let oracle = Oracle::new();
        let mut chain_number = seed();
        let (mut done, mut files, mut records) = (0, 0, 0);
        while done < kills() {
            let mut numbers = Numbers::new(chain_number);
            let kills = 1 + numbers.below(6);
            println!("ALQ_SEED={chain_number}");
            let (more_files, more) = chain(oracle, &mut numbers, kills);
            (files, records) = (files + more_files, records + more);
            chain_number += 1;
            done += kills;
        }
        println!(
            "{done} kills, {records} records in {files} files, {:?}",
            oracle.sums()
        );
        assert!(done < 100 || oracle.sums().already_written > 0 && files > done);
    });
}

/// A log that gets a request to rotate at the worst moment, and dies after the first write.
struct Cut {
    log: RotatingFile,
    /// Rotate after the note of where the write begins; otherwise after the write.
    is_early: bool,
    /// The queue is open and about to write.
    is_armed: AtomicBool,
    is_done: AtomicBool,
}

impl Cut {
    fn rotate(&self, is_early: bool) {
        if is_early == self.is_early && self.is_armed.swap(false, Ordering::Relaxed) {
            self.is_done.store(true, Ordering::Relaxed);
            self.log.rotate();
            // A rotation that must not happen now never happens; one that may happen, happens soon.
            let _ = self.log.wait_background(Some(Duration::from_millis(300)));
        }
    }
}

impl Sink for Cut {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.log.write(runs)?;
        self.rotate(false);
        die();
    }

    fn room(&self) -> u64 {
        if !self.is_done.load(Ordering::Relaxed) {
            self.is_armed.store(true, Ordering::Relaxed);
        }
        self.log.room()
    }

    fn sync(&self, op: SyncOp) -> io::Result<()> {
        self.log.sync(op)
    }

    fn end(&self) -> Option<LogEnd> {
        let end = self.log.end();
        self.rotate(true);
        end
    }

    fn path(&self) -> Option<PathBuf> {
        self.log.path()
    }
}

#[test]
fn a_rotation_between_the_note_of_a_write_and_its_account_repeats_nothing() {
    let test = "a_rotation_between_the_note_of_a_write_and_its_account_repeats_nothing";
    in_child(test, || {
        for is_early in [true, false] {
            let folder = Folder::new();
            let ring = folder.path().join("ring");
            let open = || {
                let rotation = Rotation::new().compress(Compression::Gzip);
                rotation.open(folder.log()).unwrap()
            };
            fs::write(folder.log(), "before\n").unwrap();
            let child = start(|| {
                let cut = Cut {
                    log: open(),
                    is_early,
                    is_armed: AtomicBool::new(false),
                    is_done: AtomicBool::new(false),
                };
                let queue = Options::new().ring_file(&ring).open_sink(cut).unwrap();
                queue.writen(b"once\n", Flags::WAITOK).unwrap();
                drop(queue); // waits for the write
                thread::sleep(common::DEADLINE); // ended by the kill
            });
            child.join_killed();
            let log = open();
            let queue = Options::new().ring_file(&ring);
            let queue = queue.open_sink(log.clone()).unwrap();
            let recovery = *queue.recovery().unwrap();
            assert_eq!(
                (
                    recovery.already_written_bytes,
                    recovery.possibly_repeated_bytes
                ),
                (5, 0)
            );
            queue.close(None).unwrap();
            log.wait_background(BACKGROUND).unwrap(); // otherwise a file may be half packed
            assert_eq!(folder.content(), b"before\nonce\n", "{is_early}");
        }
    });
}

/// A log that takes a part of the first records, and then kills the process.
#[cfg(feature = "frames")]
struct Torn {
    log: RotatingFile,
    taken: usize,
}

#[cfg(feature = "frames")]
impl Sink for Torn {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes = runs.iter().flat_map(|run| run.to_vec()).collect::<Vec<_>>();
        let is_head = bytes.starts_with(b"\x89alqlog");
        let taken = if is_head { bytes.len() } else { self.taken };
        let taken = self.log.write(&[IoSlice::new(&bytes[..taken])])?;
        if is_head {
            return Ok(taken);
        }
        die();
    }

    fn inner(&self) -> Option<&dyn Sink> {
        Some(&self.log)
    }
}

/// Frames of 21 bytes: in one span of a lane, or in a span each. The next process must begin a new
/// file as soon as it may.
#[test]
#[cfg(feature = "frames")]
fn a_frame_that_a_kill_has_torn_ends_in_its_file() {
    let test = "a_frame_that_a_kill_has_torn_ends_in_its_file";
    in_child(test, || {
        for (taken, in_lane) in (1..=63).flat_map(|taken| [(taken, true), (taken, false)]) {
            let folder = Folder::new();
            let mut place = Place::in_folder(folder.path(), 4096, in_lane);
            place.is_framed = true;
            let records = [&b"frst\n"[..], b"secd\n", b"thrd\n"];
            start(|| {
                let log = Rotation::new().open(&place.log).unwrap();
                let queue = place.options().open_sink(Torn { log, taken }).unwrap();
                let mut lane = queue.lane();
                for record in records {
                    if in_lane {
                        lane.writen(record, Flags::WAITOK | Flags::NOACTIVATE)
                            .unwrap();
                    } else {
                        queue
                            .writen(record, Flags::WAITOK | Flags::NOACTIVATE)
                            .unwrap();
                    }
                }
                queue.flush().unwrap();
            })
            .join_killed();
            let log = Rotation::new().size_bytes(1).open(&place.log).unwrap();
            let queue = place.options().open_sink(log.clone()).unwrap();
            queue.writen(b"last\n", Flags::WAITOK).unwrap();
            queue.close(None).unwrap();
            log.wait_background(BACKGROUND).unwrap();
            let files = rotated(&place.log).len();
            assert!(files > 0, "{taken} {in_lane}: {files}");
            let expected = [&records.concat()[..], b"last\n"].concat();
            assert_eq!(frames_of(&place), expected, "{taken} {in_lane}");
        }
    });
}
