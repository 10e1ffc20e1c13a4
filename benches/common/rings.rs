//! A plain drain for rings of bytes, and the ring that a lane is compared with.

use std::fs::File;
use std::hint::spin_loop;
use std::io::{self, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Of;
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Contestant, Log};
use alq_measure::limits::{CAPACITY, append_to};

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
    type Producer = Of<rtrb::Producer<u8>>;

    fn open(path: &Path) -> Outcome<Self> {
        let file = append_to(path)?;
        let (producer, consumer) = rtrb::RingBuffer::new(CAPACITY);
        Ok(Self {
            producer: Some(producer),
            drain: thread::spawn(|| drain(consumer, file)),
        })
    }

    fn producer(&mut self) -> Outcome<Self::Producer> {
        let producer = self
            .producer
            .take()
            .ok_or("there is one producer at most")?;
        Ok(Of(producer))
    }

    fn finish(self) -> Outcome<u64> {
        self.drain.join().expect("it drains");
        Ok(0)
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

impl Append for Of<rtrb::Producer<u8>> {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        wait_until(|| self.0.push_entire_slice(record).is_ok());
        Ok(())
    }

    #[inline]
    fn try_append(&mut self, record: &[u8]) -> bool {
        self.0.push_entire_slice(record).is_ok()
    }
}
