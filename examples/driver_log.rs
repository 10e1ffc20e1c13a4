//! The trace of a driver, like `ath_alq`: binary records with a fixed header and a short payload,
//! from contexts that must not sleep. A record without room is lost; the caller and the queue count
//! it. At the end, the program reads the file back.
//!
//!     cargo run --example driver_log -- trace.bin

use std::fs;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use alq::{Error, Flags, Options, Queue};

const THREADS: u32 = 4;
const RECORDS: u64 = 20_000;

/// Small, so that some records are lost.
const CAPACITY: usize = 1 << 16;

const PAYLOAD_MAX: usize = 112;

/// The header of each record: 4, 8, 2 and 2 bytes, little endian.
#[derive(Clone, Copy)]
struct Header {
    thread: u32,
    nanoseconds: u64,
    op: u16,
    len: u16,
}

impl Header {
    const LEN: usize = 16;

    fn store(&self, bytes: &mut [u8]) {
        bytes[..4].copy_from_slice(&self.thread.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.nanoseconds.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.op.to_le_bytes());
        bytes[14..16].copy_from_slice(&self.len.to_le_bytes());
    }

    /// Splits `bytes` into the header and the payload of its first record, and the rest.
    fn split(bytes: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let (head, rest) = bytes.split_at_checked(Self::LEN)?;
        let header = Self {
            thread: u32::from_le_bytes(head[..4].try_into().ok()?),
            nanoseconds: u64::from_le_bytes(head[4..12].try_into().ok()?),
            op: u16::from_le_bytes(head[12..14].try_into().ok()?),
            len: u16::from_le_bytes(head[14..].try_into().ok()?),
        };
        let (payload, rest) = rest.split_at_checked(header.len.into())?;
        Some((header, payload, rest))
    }
}

/// The payload of an operation.
fn payload(thread: u32, op: u16) -> (u8, usize) {
    (thread as u8 ^ op as u8, usize::from(op) % (PAYLOAD_MAX + 1))
}

/// Runs one thread of the driver. Returns how many records it lost.
fn trace(queue: &Queue, thread: u32, born: Instant) -> Result<u64, Error> {
    let mut lost = 0;
    for number in 0..RECORDS {
        let op = number as u16;
        let mut entry = match queue.getn(Header::LEN + PAYLOAD_MAX, Flags::NOWAIT) {
            Ok(entry) => entry,
            Err(Error::WouldBlock) => {
                lost += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        let (byte, len) = payload(thread, op);
        let header = Header {
            thread,
            nanoseconds: born.elapsed().as_nanos() as u64,
            op,
            len: len as u16,
        };
        header.store(&mut entry);
        entry[Header::LEN..Header::LEN + len].fill(byte);
        // A short post: the rest of the reservation is given back.
        entry.set_bytes_used(Header::LEN + len);
        entry.post();
    }
    Ok(lost)
}

/// Reads all records and counts them. The records of each thread must be whole and in order.
fn check(mut bytes: &[u8]) -> Result<u64, String> {
    let mut last = [0; THREADS as usize];
    let mut count = 0;
    while !bytes.is_empty() {
        let (header, found, rest) = Header::split(bytes).ok_or("the last record is cut off")?;
        let last = last
            .get_mut(header.thread as usize)
            .ok_or_else(|| format!("record {count} is of no thread"))?;
        let (byte, len) = payload(header.thread, header.op);
        if header.nanoseconds < *last || found.len() != len || found.iter().any(|&b| b != byte) {
            return Err(format!("record {count} is not what was posted"));
        }
        *last = header.nanoseconds;
        bytes = rest;
        count += 1;
    }
    Ok(count)
}

fn run(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let queue = Options::new().capacity(CAPACITY).open(path)?;
    let before = fs::read(path)?.len();
    let born = Instant::now();
    let lost = thread::scope(|scope| {
        let trace = |thread| trace(&queue, thread, born);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || trace(thread)))
            .collect();
        let mut lost = 0;
        for thread in threads {
            lost += thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok::<u64, Box<dyn std::error::Error>>(lost)
    })?;
    queue.close(None)?;

    let tried = u64::from(THREADS) * RECORDS;
    let refused = queue.stats().refused_records;
    let bytes = fs::read(path)?;
    let found = check(bytes.get(before..).ok_or("the file has shrunk")?)?;
    println!("{tried} records: {found} in the file, {lost} lost, {refused} refused by the queue");
    if lost != refused || found + lost != tried {
        return Err("the numbers do not add up".into());
    }
    println!("all accounted for");
    Ok(())
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(path), None) = (args.next(), args.next()) else {
        eprintln!("usage: driver_log FILE");
        return ExitCode::from(2);
    };
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("driver_log: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
