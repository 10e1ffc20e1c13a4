//! A plain drain for rings of bytes, and the ring that a lane is compared with.

use std::fs::File;
use std::hint::spin_loop;
use std::io::Write;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::contestant::{Append, Contestant, Log};
use super::limits::{CAPACITY, append_to};

pub const RTRB: Contestant = Contestant::of::<Rtrb>();

/// How long a plain drain sleeps when it has found nothing.
pub const NAP: Duration = Duration::from_micros(50);

/// Waits for room, which comes soon unless the drain has no core to run on.
#[inline]
pub fn wait_until(mut taken: impl FnMut() -> bool) {
    let mut tries = 0_u32;
    while !taken() {
        tries = (tries + 1) % 1024;
        if tries == 0 {
            thread::yield_now();
        } else {
            spin_loop();
        }
    }
}

/// A wait-free ring of bytes for one producer, with a thread that writes what it finds.
pub struct Rtrb {
    producer: Option<rtrb::Producer<u8>>,
    drain: JoinHandle<()>,
}

impl Log for Rtrb {
    const NAME: &'static str = "rtrb + plain drain";
    const PRODUCERS: usize = 1;
    type Producer = rtrb::Producer<u8>;

    fn open(path: &Path) -> Self {
        let file = append_to(path);
        let (producer, consumer) = rtrb::RingBuffer::new(CAPACITY);
        Self {
            producer: Some(producer),
            drain: thread::spawn(|| drain(consumer, file)),
        }
    }

    fn producer(&mut self) -> Self::Producer {
        self.producer.take().expect("one producer")
    }

    fn finish(self) -> u64 {
        self.drain.join().expect("it drains");
        0
    }
}

fn drain(mut consumer: rtrb::Consumer<u8>, mut file: File) {
    loop {
        let abandoned = consumer.is_abandoned(); // checked first, to see all earlier pushes
        let found = consumer.slots();
        if found == 0 {
            if abandoned {
                return;
            }
            thread::sleep(NAP);
            continue;
        }
        let chunk = consumer.read_chunk(found).expect("they are there");
        let (first, second) = chunk.as_slices();
        file.write_all(first).expect("it takes all");
        file.write_all(second).expect("it takes all");
        chunk.commit_all();
    }
}

impl Append for rtrb::Producer<u8> {
    #[inline]
    fn append(&mut self, record: &[u8]) {
        wait_until(|| self.push_entire_slice(record).is_ok());
    }

    #[inline]
    fn try_append(&mut self, record: &[u8]) -> bool {
        self.push_entire_slice(record).is_ok()
    }
}
