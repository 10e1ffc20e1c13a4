//! thingbuf 0.1: a queue of vectors that are used again, so that no append allocates, and a thread
//! with a `BufWriter`.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};

use thingbuf::mpsc::blocking::{Receiver, Sender, with_recycle};
use thingbuf::recycling::WithCapacity;

use super::{BUFFER, RECORDS};
use crate::common::contestant::{Append, Log};
use crate::common::limits::append_to;

pub struct ThingBuf {
    sender: Sender<Vec<u8>, WithCapacity>,
    drain: JoinHandle<()>,
}

impl Log for ThingBuf {
    const NAME: &'static str = "thingbuf + BufWriter";
    type Producer = Sender<Vec<u8>, WithCapacity>;

    fn open(path: &Path) -> Self {
        let (sender, receiver) = with_recycle(RECORDS, WithCapacity::new());
        let writer = BufWriter::with_capacity(BUFFER, append_to(path));
        Self {
            sender,
            drain: thread::spawn(move || drain(&receiver, writer)),
        }
    }

    fn producer(&mut self) -> Self::Producer {
        self.sender.clone()
    }

    fn finish(self) -> u64 {
        drop(self.sender);
        self.drain.join().expect("it drains");
        0
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

impl Append for Sender<Vec<u8>, WithCapacity> {
    fn append(&mut self, record: &[u8]) {
        let mut place = self.send_ref().expect("the drain is there");
        place.extend_from_slice(record);
    }

    fn try_append(&mut self, record: &[u8]) -> bool {
        let Ok(mut place) = self.try_send_ref() else {
            return false;
        };
        place.extend_from_slice(record);
        true
    }
}
