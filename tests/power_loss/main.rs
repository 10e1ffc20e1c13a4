//! Checks that records which were acknowledged as durable survive a loss of power: the reader finds
//! all of them, in order, each once, and nothing that was never posted. The log has checked frames,
//! is rotated every few records, and packed.
//!
//! A process appends and syncs under strace. From its system calls, `disk.rs` makes folders as they
//! may be after a crash of the machine at any moment. Each is read, and then opened again and
//! appended to. The next process begins with one of them, so crashes also interrupt the repair of a
//! torn end. Without strace, the test prints that it is skipped.
//!
//! `ALQ_CRASHES=20000` is the long form, `ALQ_SEED=7` another history.

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod disk;

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use alq::read::{Item, ReadOptions};
use alq::rotate::{Compression, RotatingFile, Rotation};
use alq::{Error, Flags, Framing, Options, Queue, SyncOp};

use common::torture::run::seed;
use common::{Numbers, born_ns};
use disk::{Disk, Files};

/// In the process that appends: the folder, and the number of its first record.
const FOLDER: &str = "ALQ_POWER_LOSS_FOLDER";
const FIRST: &str = "ALQ_POWER_LOSS_FIRST";

/// The system calls that change files and descriptors.
const TRACED: &str = "trace=openat,open,close,fcntl,dup,dup2,dup3,write,writev,pwritev2,pwritev,\
                      pwrite64,lseek,ftruncate,fallocate,fsync,fdatasync,rename,renameat,renameat2,\
                      link,linkat,unlink,unlinkat,copy_file_range,sendfile";

/// How many processes append, one after the other.
const LIVES: usize = 6;

/// How many records each of them appends.
const RECORDS: usize = 240;

/// The number of crashes in all.
fn crashes() -> usize {
    let crashes = env::var("ALQ_CRASHES").map(|text| text.parse().unwrap());
    crashes.unwrap_or(240)
}

/// The record of a number: its length and bytes follow from the number.
fn record(number: usize) -> Vec<u8> {
    let mut bytes = format!("{number} ").into_bytes();
    let len = Numbers::new(number).below(400);
    bytes.extend((0..len).map(|at| b'a' + ((number + at) % 26) as u8));
    bytes
}

/// Opens the log as both the process that appends and the test do.
fn open(folder: &Path) -> Result<(Queue, RotatingFile), Error> {
    let rotation = Rotation::new().size_bytes(8192).compress(Compression::Gzip);
    let log = rotation.open(folder.join("app.log")).unwrap();
    let options = Options::new().framing(Framing::Checked);
    Ok((options.open_sink(log.clone())?, log))
}

fn sync(queue: &Queue) {
    queue.fsync(SyncOp::Data).unwrap().wait().unwrap();
}

/// Appends records, and says after each sync which ones are durable.
#[test]
#[ignore = "the process that `acknowledged_records_survive_a_loss_of_power` starts"]
fn appends() {
    let folder = PathBuf::from(env::var_os(FOLDER).expect("started by the other test"));
    let first: usize = env::var(FIRST).unwrap().parse().unwrap();
    let acknowledgements = folder.with_extension("acknowledged");
    let mut promises = OpenOptions::new()
        .append(true)
        .create(true)
        .open(acknowledgements)
        .unwrap();
    let (queue, log) = open(&folder).unwrap();
    let mut numbers = Numbers::new(first);
    let mut lane = queue.lane();
    for number in first..first + RECORDS {
        if numbers.below(3) == 0 {
            lane.seal();
            queue.writen(&record(number), Flags::WAITOK).unwrap();
        } else {
            lane.writen(&record(number), Flags::WAITOK).unwrap();
        }
        if numbers.below(8) == 0 {
            queue.flush().unwrap(); // written, but not acknowledged as durable
        }
        if numbers.below(12) == 0 {
            sync(&queue);
            promises
                .write_all(format!("{number}\n").as_bytes())
                .unwrap(); // in one call
        }
    }
    drop(lane);
    queue.close(None).unwrap();
    log.wait_background(None).unwrap();
}

/// Runs `appends` in `folder` under strace, and returns its history. `None` without strace.
fn live(folder: &Path, first: usize, before: &Files) -> Option<Disk> {
    let trace = folder.with_extension("trace");
    let acknowledgements = folder.with_extension("acknowledged");
    let _ = fs::remove_file(&acknowledgements);
    let run = Command::new("strace")
        .args(["-f", "-xx", "-s", "4000000", "-e", TRACED, "-o"])
        .arg(&trace)
        .arg(env::current_exe().unwrap())
        .args(["--exact", "appends", "--ignored", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stdout)
    );
    let calls = calls::calls(&fs::read_to_string(&trace).unwrap());
    let disk = Disk::new(before, &calls, folder, &acknowledgements);
    let mut files = disk.now();
    files.sort();
    let found = read_folder(folder);
    let sizes = |files: &Files| -> Vec<_> {
        let size = |(name, bytes): &(String, Vec<u8>)| (name.clone(), bytes.len());
        files.iter().map(size).collect()
    };
    assert!(
        files == found,
        "the model lacks a system call: it has {:?}, the folder {:?}",
        sizes(&files),
        sizes(&found)
    );
    Some(disk)
}

fn read_folder(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    let mut files: Files = entries.map(file).collect();
    files.sort();
    files
}

/// The numbers of the records that the reader finds, in its order.
fn numbers_of(log: &Path) -> Vec<usize> {
    let options = ReadOptions::new().framing(Framing::Checked);
    let mut reader = options.open(log).unwrap();
    let mut found = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        if let Item::Record(bytes) = item {
            let text = String::from_utf8_lossy(bytes.bytes()).into_owned();
            let number = text.split(' ').next().unwrap().parse().expect("a number");
            assert_eq!(
                bytes.bytes(),
                record(number),
                "a record that was never posted"
            );
            found.push(number);
        }
    }
    found
}

#[test]
fn acknowledged_records_survive_a_loss_of_power() {
    let each = crashes().div_ceil(LIVES);
    let mut numbers = Numbers::new(seed());
    let place = tempfile::tempdir().unwrap();
    let mut before = Files::new();
    let mut kept: Vec<usize> = Vec::new();
    for life in 0..LIVES {
        let folder = place.path().join(format!("life-{life}"));
        store(&before, &folder);
        let first = (life + 1) * 1_000_000;
        let Some(disk) = live(&folder, first, &before) else {
            println!("skipped: strace is not installed");
            return;
        };
        assert!(disk.acknowledged.len() > RECORDS / 40, "there are syncs");
        let posted: BTreeSet<usize> = (first..first + RECORDS).collect();
        let mut next = None;
        for crash in 0..each {
            let moment = numbers.below(disk.moments);
            let files = disk.crash(moment, &mut numbers);
            let promised = disk.acknowledged.iter().rev().find(|(at, _)| *at <= moment);
            let last = promised.map(|(_, text)| text.parse::<usize>().unwrap());
            let durable = last.map_or(0, |last| last + 1 - first);
            let after = place.path().join("after");
            let _ = fs::remove_dir_all(&after);
            store(&files, &after);
            let what = format!(
                "life {life}, crash {crash} at line {moment}, seed {}",
                seed()
            );
            let found = if files.iter().any(|(name, _)| name == "app.log")
                || !kept.is_empty()
                || durable > 0
            {
                numbers_of(&after.join("app.log"))
            } else {
                Vec::new()
            };
            let mut expected = kept.clone();
            expected.extend(first..first + durable);
            assert_eq!(found.get(..expected.len()), Some(&*expected), "{what}");
            let others = &found[expected.len()..];
            assert!(
                others.is_sorted_by(|one, other| one < other),
                "{what}: {others:?}"
            );
            assert!(
                others.iter().all(|number| posted.contains(number)),
                "{what}: {others:?}"
            );
            if goes_on(&after, &found, &what) && crash >= each / 2 {
                next.get_or_insert((files, found));
            }
        }
        (before, kept) = next.expect("a crash");
    }
}

/// Checks that the log can be opened after the crash, and loses nothing then. Returns `false` if it
/// is refused because it lacks the header, but not what follows: then nothing of the file was ever
/// made durable.
fn goes_on(folder: &Path, found: &[usize], what: &str) -> bool {
    let path = folder.join("app.log");
    let (queue, log) = match open(folder) {
        Ok(opened) => opened,
        Err(error) => {
            let bytes = fs::read(&path).unwrap();
            let is_unknown = bytes[..64] == [0; 64];
            assert!(is_unknown, "{what}: {error}");
            return false;
        }
    };
    queue.writen(&record(7), Flags::WAITOK).unwrap();
    queue.close(None).unwrap();
    log.wait_background(None).unwrap();
    let mut expected = found.to_vec();
    expected.push(7);
    assert_eq!(numbers_of(&path), expected, "opened again: {what}");
    true
}

/// Makes `folder` with these files. If the order in which they were created matters, because a cut
/// was not finished, each is younger than the one before.
fn store(files: &Files, folder: &Path) {
    fs::create_dir(folder).unwrap();
    let is_fresh = |name: &str| Path::new(name).extension() == Some("fresh".as_ref());
    let is_within_cut = files.iter().any(|(name, _)| is_fresh(name));
    let mut last_ns = 0;
    for (name, bytes) in files {
        let path = folder.join(name);
        loop {
            fs::write(&path, bytes).unwrap();
            if !is_within_cut || last_ns == 0 || born_ns(&path) > last_ns {
                break;
            }
            fs::remove_file(&path).unwrap();
        }
        last_ns = born_ns(&path);
    }
}
