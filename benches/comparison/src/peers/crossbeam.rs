//! What one writes oneself: a bounded crossbeam channel of vectors, and a thread with a `BufWriter`
//! that it flushes whenever the channel is empty.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{BUFFER, RECORDS};
use crate::common::Of;
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Log};
use alq_measure::limits::append_to;

pub struct Channel {
    sender: Sender<Vec<u8>>,
    drain: JoinHandle<()>,
}

impl Log for Channel {
    const NAME: &'static str = "crossbeam + BufWriter";
    type Producer = Of<Sender<Vec<u8>>>;

    fn open(path: &Path) -> Outcome<Self> {
        let (sender, receiver) = bounded(RECORDS);
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

fn drain(receiver: &Receiver<Vec<u8>>, mut writer: impl Write) {
    while let Ok(record) = receiver.recv() {
        writer.write_all(&record).expect("it takes all");
        for record in receiver.try_iter() {
            writer.write_all(&record).expect("it takes all");
        }
        writer.flush().expect("it takes all");
    }
}

impl Append for Of<Sender<Vec<u8>>> {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.0.send(record.to_vec()).expect("the drain is there");
        Ok(())
    }

    fn try_append(&mut self, record: &[u8]) -> bool {
        self.0.try_send(record.to_vec()).is_ok()
    }
}
