//! What one writes oneself: a bounded crossbeam channel of vectors, and a thread with a `BufWriter`
//! that it flushes whenever the channel is empty.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{BUFFER, RECORDS};
use crate::common::contestant::{Append, Log};
use crate::common::limits::append_to;

pub struct Channel {
    sender: Sender<Vec<u8>>,
    drain: JoinHandle<()>,
}

impl Log for Channel {
    const NAME: &'static str = "crossbeam + BufWriter";
    type Producer = Sender<Vec<u8>>;

    fn open(path: &Path) -> Self {
        let (sender, receiver) = bounded(RECORDS);
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

fn drain(receiver: &Receiver<Vec<u8>>, mut writer: impl Write) {
    while let Ok(record) = receiver.recv() {
        writer.write_all(&record).expect("it takes all");
        for record in receiver.try_iter() {
            writer.write_all(&record).expect("it takes all");
        }
        writer.flush().expect("it takes all");
    }
}

impl Append for Sender<Vec<u8>> {
    fn append(&mut self, record: &[u8]) {
        self.send(record.to_vec()).expect("the drain is there");
    }

    fn try_append(&mut self, record: &[u8]) -> bool {
        self.try_send(record.to_vec()).is_ok()
    }
}
