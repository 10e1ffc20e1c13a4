//! thingbuf 0.1: a queue of vectors that are used again, so that no append allocates, and a thread
//! with a `BufWriter`.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};

use thingbuf::mpsc::blocking::{Receiver, Sender, with_recycle};
use thingbuf::recycling::WithCapacity;

use super::{BUFFER, RECORDS};
use crate::common::Of;
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Log};
use alq_measure::limits::append_to;

pub struct ThingBuf {
    sender: Sender<Vec<u8>, WithCapacity>,
    drain: JoinHandle<()>,
}

impl Log for ThingBuf {
    const NAME: &'static str = "thingbuf + BufWriter";
    type Producer = Of<Sender<Vec<u8>, WithCapacity>>;

    fn open(path: &Path) -> Outcome<Self> {
        let (sender, receiver) = with_recycle(RECORDS, WithCapacity::new());
        let writer = BufWriter::with_capacity(BUFFER, append_to(path)?);
        Ok(Self {
            sender,
            drain: thread::spawn(move || drain(&receiver, writer)),
        })
    }

    fn producer(&mut self) -> Outcome<Self::Producer> {
        Ok(Of(self.sender.clone()))
    }

    fn finish(self) -> Outcome<u64> {
        drop(self.sender);
        self.drain.join().expect("it drains");
        Ok(0)
    }
}

fn drain(receiver: &Receiver<Vec<u8>, WithCapacity>, mut writer: impl Write) {
    while let Some(record) = receiver.recv_ref() {
        writer.write_all(&record).expect("it takes all");
        drop(record);
        while let Ok(record) = receiver.try_recv_ref() {
            writer.write_all(&record).expect("it takes all");
        }
        writer.flush().expect("it takes all");
    }
}

impl Append for Of<Sender<Vec<u8>, WithCapacity>> {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let mut place = self.0.send_ref().expect("the drain is there");
        place.extend_from_slice(record);
        Ok(())
    }

    fn try_append(&mut self, record: &[u8]) -> bool {
        let Ok(mut place) = self.0.try_send_ref() else {
            return false;
        };
        place.extend_from_slice(record);
        true
    }
}
