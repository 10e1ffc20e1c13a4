//! bbqueue 0.7: a bip buffer of bytes for one producer, on the heap, with the same plain drain as
//! the other rings.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use bbqueue::nicknames::{GogiGui, YakiNiku};
use bbqueue::prod_cons::stream::{StreamConsumer, StreamProducer};
use bbqueue::traits::storage::BoxedSlice;

use crate::common::Of;
use crate::common::rings::{NAP, wait_until};
use alq_measure::Outcome;
use alq_measure::contestant::{Append, Log};
use alq_measure::limits::{CAPACITY, append_to};

pub struct BBQueue {
    queue: GogiGui,
    done: Arc<AtomicBool>,
    drain: JoinHandle<()>,
}

type Producer = StreamProducer<Arc<YakiNiku>>;

impl Log for BBQueue {
    const NAME: &'static str = "bbqueue + plain drain";
    const PRODUCERS: usize = 1;
    type Producer = Of<Producer>;

    fn open(path: &Path) -> Outcome<Self> {
        let queue = GogiGui::new_with_storage(BoxedSlice::new(CAPACITY));
        let done = Arc::new(AtomicBool::new(false));
        let (file, from, until) = (append_to(path)?, queue.stream_consumer(), done.clone());
        Ok(Self {
            queue,
            done,
            drain: thread::spawn(move || drain(&from, &until, file)),
        })
    }

    fn producer(&mut self) -> Outcome<Self::Producer> {
        Ok(Of(self.queue.stream_producer()))
    }

    fn finish(self) -> Outcome<u64> {
        self.done.store(true, Ordering::Release);
        self.drain.join().expect("it drains");
        Ok(0)
    }
}

fn drain(consumer: &StreamConsumer<Arc<YakiNiku>>, done: &AtomicBool, mut file: File) {
    loop {
        let done = done.load(Ordering::Acquire);
        match consumer.read() {
            Ok(bytes) => {
                file.write_all(&bytes).expect("it takes all");
                let len = bytes.len();
                bytes.release(len);
            }
            Err(_) if done => return,
            Err(_) => thread::sleep(NAP),
        }
    }
}

impl Append for Of<Producer> {
    #[inline]
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        wait_until(|| self.try_append(record));
        Ok(())
    }

    #[inline]
    fn try_append(&mut self, record: &[u8]) -> bool {
        let Ok(mut grant) = self.0.grant_exact(record.len()) else {
            return false;
        };
        grant.copy_from_slice(record);
        grant.commit(record.len());
        true
    }
}
