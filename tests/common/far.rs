//! A log that has a place, and that a ring file may be refused for.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Mutex};

use alq::{FileSink, RingId, Sink};

use super::append_to;

/// A log in the file `log` of a folder. It keeps the ids of the rings that it was opened with.
#[derive(Clone)]
pub struct Far {
    file: Arc<FileSink>,
    pub place: Option<&'static str>,
    pub refusal: Option<&'static str>,
    pub rings: Arc<Mutex<Vec<RingId>>>,
}

impl Far {
    pub fn new(folder: &Path) -> Self {
        let file = FileSink::new(append_to(folder.join("log")).into()).unwrap();
        Self {
            file: Arc::new(file),
            place: None,
            refusal: None,
            rings: Arc::default(),
        }
    }

    pub fn at(folder: &Path, place: &'static str) -> Self {
        Self {
            place: Some(place),
            ..Self::new(folder)
        }
    }
}

impl Sink for Far {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.file.write(runs)
    }

    fn inner(&self) -> Option<&dyn Sink> {
        Some(&*self.file)
    }

    fn place(&self) -> Option<String> {
        self.place.map(str::to_owned)
    }

    fn opened(&self, ring: RingId) -> io::Result<()> {
        self.rings.lock().unwrap().push(ring);
        self.refusal
            .map_or(Ok(()), |why| Err(io::Error::other(why)))
    }
}
