//! After a kill at any point of a write or of a recovery, each record is in the log once.
//!
//! The points are images of the ring file and the log. The sink of a run that is not killed takes
//! them. `ALQ_POINTS=1000` runs the long form.

mod common;

use std::env;
use std::mem;

use alq::{Flags, Lane, Queue};
use common::torture::image::{Album, Camera, Image};
use common::torture::life::Place;
use common::{LATER, Numbers, Record, TRY};

/// Returns the number of runs.
fn runs() -> usize {
    let runs = env::var("ALQ_POINTS").map(|text| text.parse().unwrap());
    runs.unwrap_or(2)
}

/// One run: two writers, on the shared path and in a lane, on one thread.
struct Run<'r> {
    queue: &'r Queue,
    album: &'r Album,
    numbers: Numbers,
    next: [u32; 2],
}

impl Run<'_> {
    fn record(&self, writer: usize, len: usize) -> Record {
        let seq = self.next[writer];
        let len = Record::MIN_LEN + len;
        Record { writer, seq, len }
    }

    /// Posts a record while no image is taken. `post` returns whether there was room.
    fn post(&mut self, writer: usize, len: usize, post: impl FnOnce(&[u8]) -> bool) {
        let record = self.record(writer, len);
        let mut pages = self.album.lock();
        if post(record.text().as_bytes()) {
            pages.posted.push(record);
            self.next[writer] += 1;
        }
    }

    fn operation(&mut self, lane: &mut Lane) {
        let queue = self.queue;
        let len = self.numbers.below(120);
        match self.numbers.below(10) {
            0..=2 => self.post(0, len, |text| queue.writen(text, LATER).is_ok()),
            3 => self.post(0, len, |text| {
                let entry = queue.getn(text.len() + 30, TRY);
                let Ok(mut entry) = entry else { return false };
                entry[..text.len()].copy_from_slice(text);
                let behind = queue.getn(7, TRY); // so that nothing can be given back
                entry.set_bytes_used(text.len());
                entry.post_flags(Flags::NOACTIVATE);
                drop(behind);
                true
            }),
            4 => drop(queue.getn(len, TRY)),
            5..=7 => self.post(1, len, |text| lane.writen(text, LATER).is_ok()),
            8 => lane.seal(),
            _ => queue.flush().unwrap(),
        }
    }
}

/// Recovers every image. While `depth` lasts, the sink of a recovery takes images itself, and these
/// are recovered too.
fn check_all(place: &Place, images: &[Image], depth: usize, seed: usize) -> usize {
    let mut checked = 0;
    for (number, image) in images.iter().enumerate() {
        let (recovery, log) = image.recover(place);
        assert_eq!(
            (recovery.damaged_slots, recovery.possibly_repeated_bytes),
            (0, 0),
            "{}",
            image.label
        );
        image.assert_holds_all(&log);
        checked += 1;
        if depth > 0 && number % 4 == 0 {
            image.restore(place);
            let album = Album::default();
            album.lock().posted.clone_from(&image.posted);
            let queue = Camera::open(place, &album, seed + number);
            queue.close(None).unwrap();
            drop(queue);
            let images = mem::take(&mut album.lock().images);
            checked += check_all(place, &images, depth - 1, seed + number);
        }
    }
    checked
}

#[test]
fn a_kill_at_any_point_of_a_write_or_a_recovery_loses_and_repeats_nothing() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut checked = 0;
    for seed in 0..runs() {
        let mut place = Place::in_folder(folder.path(), 4096, true);
        place.is_framed = cfg!(feature = "frames") && seed % 2 == 1;
        let album = Album::default();
        let queue = Camera::open(&place, &album, seed);
        let mut lane = queue.lane();
        let mut run = Run {
            queue: &queue,
            album: &album,
            numbers: Numbers::new(seed),
            next: [0; 2],
        };
        for _ in 0..60 {
            run.operation(&mut lane);
        }
        drop(lane);
        queue.close(None).unwrap();
        drop(queue);
        let images = mem::take(&mut album.lock().images);
        assert!(!images.is_empty());
        // Each write to a log of frames has one run, and a look for the header: many more images.
        let depth = if place.is_framed { 1 } else { 2 };
        checked += check_all(&place, &images, depth, seed);
        std::fs::remove_file(&place.ring).unwrap();
        std::fs::remove_file(&place.log).unwrap();
    }
    println!("{checked} images recovered");
}
