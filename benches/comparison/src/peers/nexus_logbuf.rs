//! nexus-logbuf 2: a ring of bytes for several producers, with the channel that its documentation
//! advises and a thread that copies each record to a `BufWriter`.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};

use nexus_logbuf::channel::mpsc::{Receiver, Sender, channel};

use super::BUFFER;
use crate::common::Of;
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Log};
use alq_measure::limits::{CAPACITY, append_to};

pub struct NexusLogbuf {
    sender: Sender,
    drain: JoinHandle<()>,
}

impl Log for NexusLogbuf {
    const NAME: &'static str = "nexus-logbuf";
    type Producer = Of<Sender>;

    fn open(path: &Path) -> Outcome<Self> {
        let (sender, receiver) = channel(CAPACITY);
        let writer = BufWriter::with_capacity(BUFFER, append_to(path)?);
        Ok(Self {
            sender,
            drain: thread::spawn(|| drain(receiver, writer)),
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

fn drain(mut receiver: Receiver, mut writer: impl Write) {
    let mut open = true;
    loop {
        while let Some(record) = receiver.try_recv() {
            writer.write_all(&record).expect("it takes all");
        }
        writer.flush().expect("it takes all");
        if !open {
            return;
        }
        match receiver.recv(None) {
            Ok(record) => writer.write_all(&record).expect("it takes all"),
            Err(_) => open = false, // there may be some that it has not seen before it said so
        }
    }
}

impl Append for Of<Sender> {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let mut claim = self.0.send(record.len()).expect("the drain is there");
        claim.copy_from_slice(record);
        claim.commit();
        self.0.notify();
        Ok(())
    }

    fn try_append(&mut self, record: &[u8]) -> bool {
        let Ok(mut claim) = self.0.try_send(record.len()) else {
            return false;
        };
        claim.copy_from_slice(record);
        claim.commit();
        self.0.notify();
        true
    }
}
