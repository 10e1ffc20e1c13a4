//! Requests for dumps of a recorder, and the line that a dump begins with. One dump serves all
//! requests that came before it.

use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::primitives::sync::{AtomicU64, Mutex, Ordering, PlainArc};
use crate::words::{Dump, Error};

/// The requests for dumps of one queue.
#[derive(Debug)]
pub struct Dumps {
    /// The number of the last request that was made, and below it (`SIGNAL`) the last signal for
    /// which one was made since the last dump. One word, so that a signal handler needs no order of
    /// two stores.
    came: AtomicU64,
    line: Mutex<Line>,
    /// `None` if dumps begin without a line.
    format: Option<DumpLine>,
}

/// Makes the line that a dump begins with.
#[derive(Clone, Default)]
pub struct DumpLine(Option<PlainArc<Format>>);

type Format = dyn Fn(&Dump) -> Vec<u8> + Send + Sync;

impl DumpLine {
    pub fn with<B: Into<Vec<u8>>>(format: impl Fn(&Dump) -> B + Send + Sync + 'static) -> Self {
        Self(Some(PlainArc::new(move |dump: &Dump| format(dump).into())))
    }

    /// Returns the line. If the formatter of the program panics, it is the plain one.
    fn of(&self, dump: &Dump) -> Vec<u8> {
        let formatted = self.0.as_ref().and_then(|format| {
            let formatted = catch_unwind(AssertUnwindSafe(|| format(dump)));
            formatted.map_err(core::mem::forget).ok() // the drop of a payload might panic again
        });
        formatted.unwrap_or_else(|| format!("{dump}\n").into_bytes())
    }
}

impl fmt::Debug for DumpLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DumpLine").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Line {
    requests: Vec<PlainArc<Request>>,
    /// The number of the last request that was met.
    met: u64,
    /// What the dump in progress has not written yet: bytes and records.
    left: (u64, u64),
}

/// A request of a caller that waits.
#[derive(Debug)]
pub struct Request {
    reason: String,
    reply: Mutex<Option<Result<Dump, Error>>>,
}

/// What the flusher shall dump.
#[derive(Debug)]
pub(super) struct Order {
    /// The number of the last request that it meets.
    number: u64,
    requests: Vec<PlainArc<Request>>,
    /// The reasons of all requests.
    pub reason: String,
}

/// The bits of `came` with the number of a signal; 0 for none.
const SIGNAL: u64 = 0xff;

/// One request, in `came`.
const ONE: u64 = SIGNAL + 1;

impl Dumps {
    pub fn new(format: Option<DumpLine>) -> Self {
        Self {
            came: AtomicU64::new(0),
            line: Mutex::new(Line::default()),
            format,
        }
    }

    /// Returns the line that a dump begins with; empty if it has none.
    pub(super) fn line(&self, dump: &Dump) -> Vec<u8> {
        let format = self.format.as_ref();
        format.map_or(Vec::new(), |format| format.of(dump))
    }

    /// Requests a dump without waiting for it. The caller rings the bell next. Async-signal-safe.
    pub fn request(&self) {
        // Relaxed: the bell carries it.
        self.came.fetch_add(ONE, Ordering::Relaxed);
    }

    /// As [`request`](Self::request), for a signal that came: 1 to 255, or 0 for none.
    pub fn request_for(&self, signal: u8) {
        if signal == 0 {
            return self.request();
        }
        let count = |came| Some((came & !SIGNAL) + ONE + u64::from(signal));
        // Relaxed: the bell carries it. It always has a result.
        let _ = self
            .came
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
    }

    /// Requests a dump, and returns the number of the request. The caller rings the bell next.
    pub fn ask(&self, reason: &str) -> (u64, PlainArc<Request>) {
        let request = PlainArc::new(Request {
            reason: reason.to_owned(),
            reply: Mutex::new(None),
        });
        let mut line = self.line.lock();
        line.requests.push(PlainArc::clone(&request));
        // Relaxed: the lock carries it.
        let before = self.came.fetch_add(ONE, Ordering::Relaxed);
        (before / ONE + 1, request)
    }

    /// Returns the number of the last request.
    pub fn last(&self) -> u64 {
        // Relaxed: a request that is made at the same time counts as later.
        self.came.load(Ordering::Relaxed) / ONE
    }

    /// Returns whether the request with this number, and all before it, are met.
    pub fn has_met(&self, number: u64) -> bool {
        self.line.lock().met >= number
    }

    /// Returns the bytes and the records that the dump in progress has not written yet.
    pub fn left(&self) -> (u64, u64) {
        self.line.lock().left
    }

    /// Takes all requests that have come. For the flusher.
    pub(super) fn take(&self) -> Option<Order> {
        let mut line = self.line.lock();
        if self.last() == line.met {
            return None;
        }
        // Relaxed: as in `last`. The signal goes to one dump.
        let came = self.came.fetch_and(!SIGNAL, Ordering::Relaxed);
        let number = came / ONE;
        let requests = core::mem::take(&mut line.requests);
        let without = number - line.met - requests.len() as u64;
        let other = (without > 0).then(|| reason_of((came & SIGNAL) as u8));
        let reasons = requests.iter().map(|one| one.reason.clone());
        let mut reasons: Vec<String> = reasons.chain(other).collect();
        reasons.dedup();
        let reason = reasons.join(", ");
        Some(Order {
            number,
            requests,
            reason,
        })
    }

    /// Sets what the dump in progress has not written yet. For the flusher.
    pub(super) fn set_left(&self, bytes: u64, records: u64) {
        self.line.lock().left = (bytes, records);
    }

    /// Answers the requests of `order`. For the flusher.
    pub(super) fn meet(&self, order: &Order, result: &Result<Dump, Error>) {
        for request in &order.requests {
            *request.reply.lock() = Some(result.clone());
        }
        let mut line = self.line.lock();
        line.met = order.number;
        line.left = (0, 0);
    }
}

/// The reason of a request that a caller made who does not wait: `signal` is 0 or the last signal.
fn reason_of(signal: u8) -> String {
    match i32::from(signal) {
        0 => "requested".to_owned(),
        libc::SIGHUP => "SIGHUP".to_owned(),
        libc::SIGINT => "SIGINT".to_owned(),
        libc::SIGQUIT => "SIGQUIT".to_owned(),
        libc::SIGUSR1 => "SIGUSR1".to_owned(),
        libc::SIGUSR2 => "SIGUSR2".to_owned(),
        libc::SIGALRM => "SIGALRM".to_owned(),
        libc::SIGTERM => "SIGTERM".to_owned(),
        number => format!("signal {number}"),
    }
}

impl Request {
    /// Returns the result, once the request is met.
    pub fn result(&self) -> Option<Result<Dump, Error>> {
        self.reply.lock().clone()
    }
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::Dumps;
    use crate::words::Dump;

    #[test]
    fn one_dump_meets_all_requests_before_it_and_no_later_one() {
        let dumps = Dumps::new(None);
        assert!(dumps.take().is_none() && dumps.has_met(0));
        let (first, request) = dumps.ask("panic");
        dumps.request();
        let (last, _) = dumps.ask("panic");
        let order = dumps.take().unwrap();
        assert_eq!(order.reason, "panic, requested");
        let (later, _) = dumps.ask("later");
        assert!(!dumps.has_met(first) && request.result().is_none());
        dumps.meet(&order, &Ok(Dump::default()));
        assert!(dumps.has_met(last) && !dumps.has_met(later));
        assert_eq!(request.result(), Some(Ok(Dump::default())));
        assert_eq!(dumps.take().unwrap().reason, "later");
    }

    #[test]
    fn the_last_signal_is_the_reason_of_one_dump() {
        let dumps = Dumps::new(None);
        let reason = |dumps: &Dumps| {
            let order = dumps.take().unwrap();
            dumps.meet(&order, &Ok(Dump::default()));
            (order.number, order.reason)
        };
        dumps.request_for(libc::SIGUSR1 as u8);
        dumps.request();
        assert_eq!(reason(&dumps), (2, "SIGUSR1".to_owned()));
        dumps.request();
        assert_eq!(reason(&dumps), (3, "requested".to_owned()));
        dumps.request_for(libc::SIGUSR1 as u8);
        let _ = dumps.ask("asked");
        dumps.request_for(255);
        assert_eq!(reason(&dumps), (6, "asked, signal 255".to_owned()));
        dumps.request_for(0);
        assert_eq!(reason(&dumps), (7, "requested".to_owned()));
        assert!(dumps.take().is_none());
    }
}
