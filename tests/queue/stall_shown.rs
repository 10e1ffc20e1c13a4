//! Another process reads in the ring file why the log accepts no data, in the words of the sink.

use std::collections::HashSet;
use std::io::{self, ErrorKind, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::sink::{Script, queue_to};
use crate::common::{TRY, small, wait_for};
use crate::errors::reports_of;
use crate::stalls::soon;
use alq::ring_file::inspect;
use alq::{Options, Sink};

fn shown(ring: &Path) -> Option<String> {
    inspect(ring).unwrap().stall_reason
}

const NO_QUORUM: &str = "no quorum: 1 of 3 nodes";

#[test]
fn the_words_of_the_sink_are_in_the_ring_file_as_long_as_it_stalls() {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("ring");
    let script = Script::new();
    let (options, _reports) = reports_of(soon().ring_file(&ring));
    let queue = queue_to(&script, options);
    let is_shown = || shown(&ring).as_deref() == Some(NO_QUORUM);
    for _ in 0..2 {
        // The flusher says why a write has taken nothing.
        script.explain_stalls(NO_QUORUM);
        script.fail_writes(Some(libc::ENOSPC));
        queue.writen(b"record\n", TRY).unwrap();
        wait_for("the words of the flusher", is_shown);
        script.explain_stalls(""); // it panics
        wait_for("no words of a sink that panics", || shown(&ring).is_none());
        assert_ne!(inspect(&ring).unwrap().live.stall_errno, 0);
        script.explain_stalls(NO_QUORUM);
        script.fail_writes(None);
        queue.flush().unwrap();
        wait_for("the end of the stall", || shown(&ring).is_none());
        // While the flusher is in a write, the thread that runs callbacks says why.
        script.shut_write();
        queue.writen(b"record\n", TRY).unwrap();
        wait_for("the words of the other thread", is_shown);
        assert_eq!(inspect(&ring).unwrap().live.stall_errno, 0);
        script.open_write();
        queue.flush().unwrap();
        wait_for("the end of the write", || shown(&ring).is_none());
    }
    queue.close(None).unwrap();
}

#[test]
fn what_the_last_process_said_is_gone_once_the_next_one_has_begun() {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("ring");
    let script = Script::new();
    script.explain_stalls(NO_QUORUM);
    script.fail_writes(Some(libc::EAGAIN));
    let queue = queue_to(&script, small().ring_file(&ring));
    queue.writen(b"record\n", TRY).unwrap();
    wait_for("the words", || shown(&ring).is_some());
    queue.close(Some(Duration::ZERO)).unwrap_err();
    drop(queue);
    let left = inspect(&ring).unwrap();
    assert_eq!((left.in_use, left.pending.bytes), (false, 7));
    assert_eq!(left.stall_reason.as_deref(), Some(NO_QUORUM));
    script.fail_writes(None);
    let queue = queue_to(&script, small().ring_file(&ring));
    queue.flush().unwrap();
    wait_for("the end of the stall", || shown(&ring).is_none());
}

/// Takes nothing, and gives another reason each time: one letter, 488 times.
#[derive(Default)]
struct Babbles(AtomicUsize);

impl Sink for Babbles {
    fn write(&self, _runs: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn wait_ready(&self, _limit: Duration) -> io::Result<()> {
        Ok(()) // at once: the next reason
    }

    fn stall_reason(&self) -> Option<String> {
        let letter = b'a' + (self.0.fetch_add(1, Ordering::Relaxed) % 26) as u8;
        Some(char::from(letter).to_string().repeat(488))
    }
}

#[test]
fn a_reader_never_sees_a_mixture_of_two_reasons() {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("ring");
    let options = Options::new().capacity(4096).ring_file(&ring);
    let queue = options.open_sink(Babbles::default()).unwrap();
    queue.writen(b"record\n", TRY).unwrap();
    let mut seen = HashSet::new();
    let mut looks = 0;
    wait_for("many reasons", || {
        if let Some(reason) = shown(&ring) {
            let first = reason.chars().next().unwrap();
            assert_eq!(reason, first.to_string().repeat(488));
            seen.insert(first);
        }
        looks += 1;
        looks >= 1000 && seen.len() > 5
    });
    let _ = queue.close(Some(Duration::ZERO));
}
