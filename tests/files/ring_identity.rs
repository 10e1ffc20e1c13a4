//! A ring file has an id that stays, and notes where its records go. A sink gets both.

use std::fs;
use std::io::{self, IoSlice};

use crate::common::child::end_of_child;
use crate::common::far::Far;
use crate::common::torture::damage::store_checked;
use crate::common::torture::label::die;
use crate::common::{DEADLINE, LATER};
use crate::ring_folder::{id, log, open, options};
use alq::ring_file::inspect;
use alq::{Error, Options, Queue, Recovery, RingFileProblem as Problem, RingId, Sink};
use rustix::process::{Resource, Rlimit, setrlimit};

#[track_caller]
fn problem(result: Result<Queue, Error>) -> Problem {
    match result.unwrap_err() {
        Error::RingFile { problem, .. } => *problem,
        other => panic!("{other}"),
    }
}

/// A sink that passes everything on.
struct Wrapper(Far);

impl Sink for Wrapper {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(runs)
    }

    fn inner(&self) -> Option<&dyn Sink> {
        Some(&self.0)
    }
}

#[test]
fn the_id_stays_for_one_log_and_is_new_for_another() {
    let test = "the_id_stays_for_one_log_and_is_new_for_another";
    let ended = end_of_child(test, "", |folder| {
        let queue = open(folder);
        fs::write(folder.join("id"), id(folder).to_bytes()).unwrap();
        queue.writen(b"left\n", LATER).unwrap();
        die();
    });
    let Some(ended) = ended else { return };
    let folder = ended.folder.path();
    let first = RingId::from_bytes(ended.file("id").try_into().unwrap());
    for capacity in [4096, 1 << 14, 4096] {
        let queue = options(folder).capacity(capacity);
        drop(queue.open(folder.join("log")).unwrap());
        assert_eq!(id(folder), first, "{capacity}");
    }
    fs::rename(folder.join("log"), folder.join("log.1")).unwrap();
    drop(open(folder));
    assert_eq!(id(folder), first, "a log at the same path");
    drop(options(folder).open(folder.join("other")).unwrap());
    let second = id(folder);
    assert_ne!(second, first);
    fs::remove_file(folder.join("ring")).unwrap();
    drop(options(folder).open(folder.join("other")).unwrap());
    assert_ne!(id(folder), second);
}

/// The ring does not exist for a moment while it gets another size. The id does.
#[test]
fn a_ring_that_could_not_be_made_anew_is_the_same_ring() {
    let test = "a_ring_that_could_not_be_made_anew_is_the_same_ring";
    let ended = end_of_child(test, "", |folder| {
        drop(open(folder));
        fs::write(folder.join("id"), id(folder).to_bytes()).unwrap();
        let limit = Rlimit {
            current: Some(1 << 16),
            maximum: Some(1 << 16),
        };
        setrlimit(Resource::Fsize, limit).unwrap();
        let queue = options(folder).capacity(1 << 20);
        let error = queue.open(folder.join("log")).unwrap_err();
        assert_eq!(error.errno(), libc::EFBIG, "{error}");
    });
    let Some(ended) = ended else { return };
    ended.assert_code(0);
    let folder = ended.folder.path();
    assert_eq!(fs::metadata(folder.join("ring")).unwrap().len(), 4096);
    let state = inspect(folder.join("ring")).unwrap();
    assert_eq!(
        (state.capacity_bytes, state.pending),
        (0, Recovery::default())
    );
    let first = Some(RingId::from_bytes(ended.file("id").try_into().unwrap()));
    assert_eq!(state.id, first);
    // A kill while the zeros are written leaves any length.
    let page = fs::read(folder.join("ring")).unwrap();
    for len in [4096, 5000, 1 << 20] {
        let mut left = page.clone();
        left.resize(len, 0);
        fs::write(folder.join("ring"), left).unwrap();
        let queue = open(folder);
        assert_eq!(queue.capacity(), 4096);
        assert_eq!(Some(id(folder)), first);
    }
}

#[test]
fn a_sink_learns_which_ring_its_queue_has_and_may_refuse_it() {
    let test = "a_sink_learns_which_ring_its_queue_has_and_may_refuse_it";
    let ended = end_of_child(test, "", |folder| {
        let queue = open(folder);
        queue.writen(b"left\n", LATER).unwrap();
        die();
    });
    let Some(ended) = ended else { return };
    let folder = ended.folder.path();
    let mut sink = Far::new(folder);
    sink.refusal = Some("0a0b writes here");
    for optional in [false, true] {
        let options = options(folder).ring_optional(optional);
        let error = options.open_sink(Wrapper(sink.clone())).unwrap_err();
        let log = folder.join("log");
        let text = "refuses the ring file of this queue: 0a0b writes here";
        assert_eq!(error.to_string(), format!("{}: {text}", log.display()));
        assert_eq!(error.errno(), libc::EIO);
    }
    assert_eq!(log(folder), "", "nothing is written, and nothing is lost");
    sink.refusal = None;
    let queue = options(folder).open_sink(Wrapper(sink.clone())).unwrap();
    assert_eq!(queue.recovery().unwrap().bytes, 5);
    queue.close(None).unwrap();
    assert_eq!(log(folder), "left\n");
    assert_eq!(*sink.rings.lock().unwrap(), [id(folder); 3]);
    drop(Options::new().open_sink(sink.clone()).unwrap());
    assert_eq!(sink.rings.lock().unwrap().len(), 3, "only with a ring file");
}

#[test]
fn records_for_a_place_wait_for_that_place_and_never_go_to_a_path() {
    const PLACE: &str = "far://host#stream/subject";
    let test = "records_for_a_place_wait_for_that_place_and_never_go_to_a_path";
    let ended = end_of_child(test, "", |folder| {
        let queue = options(folder).open_sink(Far::at(folder, PLACE)).unwrap();
        queue.writen(b"left\n", LATER).unwrap();
        die();
    });
    let Some(ended) = ended else { return };
    let folder = ended.folder.path();
    let state = inspect(folder.join("ring")).unwrap();
    assert_eq!(state.place.as_deref(), Some(PLACE));
    assert_eq!(state.log, None);
    let elsewhere = [
        problem(options(folder).open(folder.join("log"))),
        problem(options(folder).open_sink(Far::at(folder, "far://host#other"))),
    ];
    for problem in elsewhere {
        let log = PLACE.into();
        assert_eq!(problem, Problem::OtherLog { log, bytes: 5 });
    }
    let queue = options(folder).open_sink(Far::at(folder, PLACE)).unwrap();
    assert_eq!(queue.recovery().unwrap().bytes, 5);
    queue.close(None).unwrap();
    assert_eq!(log(folder), "left\n");
}

/// The errors of a queue name the place of its log.
#[test]
fn the_place_is_in_the_errors() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = Far::at(folder.path(), "far://host/\u{1b}[2J");
    sink.refusal = Some("no");
    let error = options(folder.path()).open_sink(sink).unwrap_err();
    let text = "far://host/\\u{1b}[2J: refuses the ring file of this queue: no";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.target().unwrap().path(), None);
}

#[test]
fn a_ring_of_an_unknown_mode_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let ring = folder.path().join("ring");
    drop(open(folder.path()));
    let mut bytes = fs::read(&ring).unwrap();
    store_checked(&mut bytes, 384, 56, &[(2, 7)]);
    fs::write(&ring, &bytes).unwrap();
    let refused = problem(options(folder.path()).open(folder.path().join("log")));
    assert_eq!(refused, Problem::OtherMode { mode: 7 });
    assert!(refused.to_string().contains("mode 7"));
    assert!(inspect(&ring).is_err());
    assert!(fs::read(&ring).unwrap() == bytes);
}

/// Keeps the trait's defaults: such a sink has a log that is not known, and accepts every ring.
#[test]
fn a_sink_without_these_methods_is_the_log_of_any_ring() {
    struct Nowhere;
    impl Sink for Nowhere {
        fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
            Ok(runs.iter().map(|run| run.len()).sum())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let queue = options(folder.path()).open_sink(Nowhere).unwrap();
        let state = inspect(folder.path().join("ring")).unwrap();
        assert_eq!((state.log, state.place, state.log_end), (None, None, None));
        queue.close(Some(DEADLINE)).unwrap();
    }
}
