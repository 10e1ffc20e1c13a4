//! A record on the common path of the integrations makes no allocation of ours. The test counts the
//! allocations of a logging thread, here and with tracing-appender; `--nocapture` prints them, and
//! docs/integrations.md has the figures.
#![allow(unsafe_code, reason = "an allocator is unsafe by its trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt;
use std::io;

use alq::{Options, Queue, Sink, SyncOp};
use log::{Level, Log, Record};
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

/// The system's allocator. It counts the calls of each thread.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

fn count(bytes: usize) {
    // Not when the thread-local is gone: nothing is measured then.
    let _ = ALLOCATED.try_with(|allocated| {
        let (calls, total) = allocated.get();
        allocated.set((calls + 1, total + bytes as u64));
    });
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller's.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        count(len);
        // SAFETY: as the caller's.
        unsafe { System.realloc(memory, layout, len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RECORDS: u64 = 1000;

/// Returns how often this thread allocates for a thousand records, after some records to warm up.
fn a_thousand(what: &str, mut append: impl FnMut(u64)) -> u64 {
    (0..100).for_each(&mut append);
    let (calls, bytes) = ALLOCATED.get();
    (0..RECORDS).for_each(&mut append);
    let (calls, bytes) = (ALLOCATED.get().0 - calls, ALLOCATED.get().1 - bytes);
    println!("{what}: {calls} allocations, {bytes} bytes, for {RECORDS} records");
    calls
}

/// Accepts every write.
struct Nowhere;

impl Sink for Nowhere {
    fn write(&self, runs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        Ok(runs.iter().map(|run| run.len()).sum())
    }

    fn sync(&self, _op: SyncOp) -> io::Result<()> {
        Ok(())
    }
}

/// A queue that never fills up here, because a wait may allocate.
fn queue() -> Queue {
    let options = Options::new().capacity(1 << 24);
    options.open_sink(Nowhere).unwrap()
}

fn plain<W: for<'w> MakeWriter<'w> + Send + Sync + 'static>(writer: W) -> Dispatch {
    tracing_subscriber::fmt().with_writer(writer).into()
}

fn json<W: for<'w> MakeWriter<'w> + Send + Sync + 'static>(writer: W) -> Dispatch {
    tracing_subscriber::fmt().json().with_writer(writer).into()
}

fn events(what: &str, dispatch: &Dispatch) -> u64 {
    tracing::dispatcher::with_default(dispatch, || {
        a_thousand(what, |n| tracing::warn!(n, half = n / 2, "an event"))
    })
}

/// Counts the length of the text: the cost of the formatting alone.
#[derive(Clone)]
struct Discard;

impl io::Write for Discard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_record_on_the_common_path_allocates_nothing_of_ours() {
    let queue = queue();
    let writer = || alq::tracing::Writer::new(&queue);
    let (non_blocking, _guard) = tracing_appender::non_blocking(io::sink());
    assert_eq!(events("plain, alq", &plain(writer())), 0);
    assert_eq!(events("plain, alq, lanes", &plain(writer().lanes(true))), 0);
    let theirs = events("plain, tracing-appender", &plain(non_blocking.clone()));
    assert!(theirs >= RECORDS, "{theirs}");

    // serde_json allocates by itself.
    let bare = events("json, written nowhere", &json(|| Discard));
    assert_eq!(events("json, alq", &json(writer())), bare);
    assert_eq!(
        events("json, alq, lanes", &json(writer().lanes(true))),
        bare
    );
    let theirs = events("json, tracing-appender", &json(non_blocking));
    assert!(theirs >= bare + RECORDS, "{theirs}");

    // In pieces, as a layer of another kind may write.
    let writer = writer();
    let pieces = a_thousand("an event in 50 pieces, alq", |_| {
        let mut event = writer.make_writer();
        (0..50).for_each(|_| io::Write::write_all(&mut event, b"a piece, ").unwrap());
    });
    assert_eq!(pieces, 0);

    let logger = alq::log::Logger::new(&queue);
    let log = |args: fmt::Arguments<'_>| {
        logger.log(&Record::builder().level(Level::Warn).args(args).build());
    };
    let short = a_thousand("log, alq", |n| log(format_args!("a record, {n}")));
    assert_eq!(short, 0);
    let long = a_thousand("log, a line of 1000 bytes, alq", |n| {
        log(format_args!("{n:1000}"));
    });
    assert!(long >= RECORDS, "{long}");
    queue.flush().unwrap();
    assert_eq!(queue.stats().refused_records, 0);
}
