//! A packet logger like siftr(4). One thread gets the packets and formats a line for each in place,
//! in the ring. Another thread flushes from time to time and prints a summary at the end. The file
//! must have every packet.
//!
//!     cargo run --example packet_log -- packets.log [COUNT]

use std::fs;
use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use alq::{Flags, Options, Queue};

/// The longest line, in bytes. The post gives the unused part back.
const LINE_MAX: usize = 200;

/// The data of one packet.
struct Packet {
    number: u64,
    is_incoming: bool,
    port: u16,
    window: u32,
}

impl Packet {
    /// Makes the packets of an invented connection.
    fn nth(number: u64) -> Self {
        Self {
            number,
            is_incoming: number % 3 == 0,
            port: 1024 + (number % 7) as u16,
            window: 14_600 + (number * 1460 % 65_536) as u32,
        }
    }
}

/// The hot path. It needs no buffer for the line and frees nothing. It sleeps only while the ring
/// is full.
fn log(queue: &Queue, packet: &Packet) -> Result<(), alq::Error> {
    let Packet {
        number,
        is_incoming,
        port,
        window,
    } = packet;
    let way = if *is_incoming { 'i' } else { 'o' };
    let mut entry = queue.getn(LINE_MAX, Flags::WAITOK)?;
    writeln!(
        entry,
        "{way},{number},192.0.2.1,{port},198.51.100.2,443,{window}"
    )?; // on an error the entry is dropped, and nothing is appended
    entry.post();
    Ok(())
}

fn count_lines(path: &str) -> io::Result<u64> {
    Ok(fs::read_to_string(path)?.lines().count() as u64)
}

fn run(path: &str, count: u64) -> Result<(), Box<dyn std::error::Error>> {
    let queue = Options::new().open(path)?;
    let before = count_lines(path)?;
    let is_over = AtomicBool::new(false);
    let (seen, flushed) = thread::scope(|scope| {
        let flusher = scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                queue.flush()?; // a reader of the file sees whole lines, at most this late:
                thread::sleep(Duration::from_millis(5));
            }
            queue.flush()
        });
        let seen = (0..count).try_for_each(|number| log(&queue, &Packet::nth(number)));
        is_over.store(true, Ordering::Release);
        (seen, flusher.join())
    });
    seen?;
    flushed.map_err(|_| "the flushing thread panicked")??;

    let stats = queue.stats();
    let lines = count_lines(path)?.saturating_sub(before);
    println!(
        "{count} packets, {lines} lines, {} bytes in {} writes, {} waits for room",
        stats.written_bytes, stats.drains, stats.waits.getn_room
    );
    queue.close(None)?;
    if lines != count {
        return Err("lines and packets are not as many".into());
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let path = args.next();
    let count = args.next().map_or(Ok(100_000), |count| count.parse());
    let (Some(path), Ok(count), None) = (path, count, args.next()) else {
        eprintln!("usage: packet_log FILE [COUNT]");
        return ExitCode::from(2);
    };
    match run(&path, count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("packet_log: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
