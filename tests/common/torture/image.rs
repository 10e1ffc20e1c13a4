//! Images of a ring file and its log: what a kill leaves at a given moment.

use std::fs;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use alq::{FileSink, LogEnd, Queue, Recovery, Sink};

use super::desk::put;
use super::life::Place;
use crate::common::{Numbers, Record, append_to, parse};

/// What a kill leaves.
#[derive(Clone, Debug)]
pub struct Image {
    pub ring: Vec<u8>,
    pub log: Vec<u8>,
    /// The posted records.
    pub posted: Vec<Record>,
    /// When it was taken.
    pub label: String,
}

impl Image {
    pub fn take(place: &Place, posted: &[Record], label: String) -> Self {
        Self {
            ring: fs::read(&place.ring).unwrap(),
            log: fs::read(&place.log).unwrap(),
            posted: posted.to_owned(),
            label,
        }
    }

    /// Writes both back into the same files, so that the log is still the noted one.
    pub fn restore(&self, place: &Place) {
        put(&place.ring, &self.ring);
        put(&place.log, &self.log);
    }

    /// Recovers it. Returns the records in the log, too.
    pub fn recover(&self, place: &Place) -> (Recovery, Vec<u8>) {
        self.restore(place);
        let queue = place.options().open(&place.log).unwrap();
        let recovery = *queue.recovery().unwrap();
        queue.close(None).unwrap();
        (recovery, place.content())
    }

    /// Panics unless `log` holds each posted record once, and the records of each writer in order.
    #[track_caller]
    pub fn assert_holds_all(&self, log: &[u8]) {
        let written = parse(log);
        let of = |records: &[Record], writer| -> Vec<u32> {
            let its = records.iter().filter(|record| record.writer == writer);
            its.map(|record| record.seq).collect()
        };
        for writer in 0..2 {
            let (found, posted) = (of(&written, writer), of(&self.posted, writer));
            assert_eq!(found, posted, "{}: of writer {writer}", self.label);
        }
    }
}

/// A queue on a sink that takes [`Image`]s. Its records are posted under a lock, so that every
/// image has the list.
#[derive(Clone, Default)]
pub struct Album(Arc<Mutex<Pages>>);

#[derive(Default)]
pub struct Pages {
    pub posted: Vec<Record>,
    pub images: Vec<Image>,
}

impl Album {
    pub fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap()
    }

    fn take(&self, place: &Place, label: &str) {
        let mut pages = self.lock();
        let label = format!("{} {label}", pages.images.len());
        let image = Image::take(place, &pages.posted, label);
        pages.images.push(image);
    }
}

/// A log that takes an image at every point where a kill makes a difference. It can be made to fail
/// and to write only a part.
pub struct Camera {
    file: FileSink,
    place: Place,
    album: Album,
    numbers: Mutex<Numbers>,
}

impl Camera {
    /// A queue on such a log.
    pub fn open(place: &Place, album: &Album, seed: usize) -> Queue {
        let camera = Self {
            file: FileSink::new(append_to(&place.log).into()).unwrap(),
            place: place.clone(),
            album: album.clone(),
            numbers: Mutex::new(Numbers::new(seed)),
        };
        place.options().open_sink(camera).unwrap()
    }

    fn take(&self, label: &str) {
        self.album.take(&self.place, label);
    }

    fn below(&self, limit: usize) -> usize {
        self.numbers.lock().unwrap().below(limit)
    }
}

impl Sink for Camera {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.take("after the intent");
        if let Some(errno) = match self.below(12) {
            0 => Some(libc::EINTR),
            1 => Some(libc::EAGAIN),
            2 => Some(libc::ENOSPC),
            _ => None,
        } {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let bytes: Vec<u8> = runs.iter().flat_map(|run| run.to_vec()).collect();
        let limit = match self.below(2) {
            0 => bytes.len(),
            _ => 1 + self.below(bytes.len()), // a short write
        };
        let mut taken = 0;
        while taken < limit {
            let part = 1 + self.below(limit - taken);
            taken += self
                .file
                .write(&[IoSlice::new(&bytes[taken..taken + part])])?;
            self.take("after a part of the write");
        }
        Ok(taken)
    }

    fn wait_ready(&self, _limit: Duration) -> io::Result<()> {
        Ok(())
    }

    fn inner(&self) -> Option<&dyn Sink> {
        Some(&self.file)
    }

    fn end(&self) -> Option<LogEnd> {
        self.take("before the intent");
        self.file.end()
    }

    fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        self.take("in a recovery, before the comparison");
        let held = self.file.holds(end, runs);
        self.take("in a recovery, after the comparison");
        held
    }
}
