//! Every error message names the log, what failed, why, and what to do, both for a caller and for
//! `on_error`.

use std::error::Error as StdError;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use crate::common::sink::{Script, queue_to};
use crate::common::{DEADLINE, Log, STALLS_SOON, TRY, fill_up, pipe, small};
use alq::{Error, Options, Report};

const LOST: &str = "/no/such/directory/app.log";

pub fn reports_of(options: Options) -> (Options, Receiver<Report>) {
    let (sender, reports) = channel();
    let options = options.on_error(move |report| sender.send(report.clone()).unwrap());
    (options, reports)
}

#[test]
fn main_prints_which_log_cannot_be_opened_and_why() {
    let text = "cannot be opened: No such file or directory (os error 2); its folder must exist";
    let error = Options::new().open(LOST).unwrap_err();
    assert_eq!(error.to_string(), format!("{LOST}: {text}"));
    assert_eq!(error.target().unwrap().path(), Some(Path::new(LOST)));
    // `main` prints "Error: " and this.
    let returned: Box<dyn StdError> = error.into();
    assert_eq!(format!("{returned:?}"), format!("alq: {LOST}: {text}"));
}

#[test]
fn a_ring_file_that_cannot_be_had_is_named_rather_than_the_log() {
    let log = Log::new();
    let ring = "/no/such/directory/app.ring";
    let error = Options::new().ring_file(ring).open(log.path()).unwrap_err();
    assert_eq!(error.target().unwrap().path(), Some(Path::new(ring)));
}

#[test]
fn every_call_on_a_failed_queue_names_the_log() {
    let log = Log::new();
    let (reader, writer) = pipe().unwrap();
    let queue = Options::new().open(log.path()).unwrap();
    queue.reopen(&writer).unwrap().wait().unwrap();
    drop(reader);
    queue.writen(b"no reader\n", TRY).unwrap();
    let name = format!("descriptor {}", writer.as_raw_fd());
    let failed = queue.flush().unwrap_err();
    let refused = queue.writen(b"no reader\n", TRY).unwrap_err();
    let left = queue.close(None).unwrap_err();
    for error in [failed, refused, left.cause.clone()] {
        assert_eq!(
            error.target().unwrap().to_string(),
            name,
            "the one it went on in"
        );
    }
    assert!(
        format!("{left:?}").starts_with(&format!("alq: {name}: 10 bytes")),
        "{left:?}"
    );
}

#[test]
fn what_is_reported_names_its_queue() {
    let (options, reports) = reports_of(small());
    let script = Script::new();
    let queue = queue_to(&script, options.clone());
    script.fail_write(libc::EPIPE);
    queue.writen(b"record\n", TRY).unwrap();
    let report = reports.recv_timeout(DEADLINE).unwrap();
    let name = report.queue.to_string();
    assert!(
        name.strip_prefix("queue ").unwrap().parse::<u64>().is_ok(),
        "{name}"
    );
    let why = "cannot be written: Broken pipe (os error 32); reopen the queue to go on";
    assert_eq!(report.to_string(), format!("{name}: {why}"));
    assert_eq!(report.error.target().unwrap().to_string(), name);

    let (_reader, writer) = pipe().unwrap();
    fill_up(&writer);
    let stalling = options.clone().stall_limit(Some(STALLS_SOON));
    let queue = stalling.open_fd(&writer).unwrap();
    queue.writen(b"record\n", TRY).unwrap();
    let report = reports.recv_timeout(DEADLINE).unwrap();
    let name = format!("descriptor {}", writer.as_raw_fd());
    assert_eq!(report.queue.to_string(), name);
    assert!(matches!(report.error, Error::Stalled { .. }), "{report}");
    assert!(
        report
            .to_string()
            .starts_with(&format!("{name}: accepts no data: ")),
        "{report}"
    );

    let log = Log::new();
    let queue = options
        .stall_limit(Some(STALLS_SOON))
        .open(log.path())
        .unwrap();
    let held = queue.getn(10, TRY).unwrap();
    queue.writen(b"after it\n", TRY).unwrap();
    std::mem::forget(held);
    drop(queue);
    let report = reports.recv_timeout(DEADLINE).unwrap();
    assert_eq!(report.queue.path(), Some(&*log.path()));
    assert!(matches!(report.error, Error::Held { .. }), "{report}");
    // The queue has ended, so there is nothing to advise.
    let left = report.undrained.as_ref().unwrap();
    assert_eq!((left.bytes, left.abandoned), (0, 1));
    let start = format!(
        "{}: 0 bytes in 0 records not written, 1 open reservations stepped over: \
         an open reservation at byte 0 of queue ",
        log.path().display()
    );
    let text = report.to_string();
    assert!(text.starts_with(&start) && text.ends_with('s'), "{text}");
}
