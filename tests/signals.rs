//! A signal handler may append with `writen` and `getn` with `NOWAIT`, and `post`, whatever call it
//! interrupts: they take no lock, allocate nothing, and leave errno unchanged.
//!
//! `ALQ_STRESS_SECONDS` sets the length of the storm; the default is one second.
#![allow(
    unsafe_code,
    reason = "signal handlers and allocators have no safe form"
)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{io, ptr};

use alq::{Error, Flags, Level, Options, Queue, SyncOp, flush_all};
use common::child::in_child;
use common::{
    Log, NEVER_STALLS, Numbers, Record, TRY, WAIT, fill_up, filled, parse, pipe, small, spawn,
    wait_for, wait_until_parked,
};

/// The system's allocator. It counts the calls of each thread.
struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // In a thread that is about to end there is nothing left to count.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: the system's allocator, call by call.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often the allocator is called by `body` on this thread.
fn calls_in<T>(body: impl FnOnce() -> T) -> (u64, T) {
    let before = CALLS.get();
    let result = body();
    (CALLS.get() - before, result)
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap()
}

fn set_errno(errno: i32) {
    // SAFETY: the address leads to this thread's errno.
    let address = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { address.write(errno) };
}

/// No call sets errno to this.
const SENTINEL: i32 = 7777;

/// Fails if `body` allocates, or changes errno.
#[track_caller]
fn safely<T>(body: impl FnOnce() -> T) -> T {
    set_errno(SENTINEL);
    let (calls, result) = calls_in(body);
    assert_eq!((calls, errno()), (0, SENTINEL));
    result
}

/// Every way of an append that does not wait.
fn appends(queue: &Queue) {
    safely(|| queue.writen(b"1\n", TRY)).unwrap();
    safely(|| queue.writen(b"1\n", TRY | Flags::NOACTIVATE)).unwrap();
    safely(|| {
        let mut entry = queue.getn(100, TRY).unwrap();
        writeln!(entry, "{} {:>5} {:?}", 1, 2.5, "three").unwrap();
        entry.post();
    });
    safely(|| drop(queue.getn(100, TRY).unwrap()));
    safely(|| filled(queue, 10, b'x').post());
    let too_large = queue.capacity() + 1;
    safely(|| queue.getn(too_large, TRY)).unwrap_err();
    safely(|| queue.writen(b"", TRY)).unwrap_err();
}

#[test]
fn no_append_that_does_not_wait_allocates_where_threads_have_lanes() {
    let log = Log::new();
    let queue = log.open(small().thread_lanes(true));
    let handle = queue.clone();
    let first_call = move || {
        appends(&handle);
        assert_eq!(handle.stats().lanes, 0);
        handle.writen(b"1\n", WAIT).unwrap();
        assert_eq!(handle.stats().lanes, 1);
        appends(&handle);
    };
    spawn(first_call).join();
    queue.close(None).unwrap();
}

#[test]
fn no_append_that_does_not_wait_allocates_or_changes_errno() {
    let log = Log::new();
    let queue = log.open(small());
    // Also the very first call, and the first call of a thread; the flusher is parked, so it must
    // be woken.
    for _ in 0..3 {
        wait_until_parked(&queue);
        appends(&queue);
        let handle = queue.clone();
        spawn(move || appends(&handle)).join();
    }
    queue.flush().unwrap();
    let fixed = Log::new().open(Options::new().fixed(8, 2));
    wait_until_parked(&fixed);
    safely(|| fixed.write_fixed(&[0; 8], TRY)).unwrap();
    safely(|| fixed.get(TRY).unwrap().post());
    fixed.close(None).unwrap();

    // Refused: full, while others wait, failed, closed.
    for ordered in [false, true] {
        let (reader, writer) = pipe().unwrap();
        fill_up(&writer);
        let full = small().ordered(ordered).open_fd(&writer).unwrap();
        let held = full.getn(64, TRY).unwrap();
        drop(writer);
        safely(|| filled(&full, 4096 - 64, b'f').post());
        assert_eq!(safely(|| full.writen(b"x", TRY)), Err(Error::WouldBlock));
        let sleeper = {
            let full = full.clone();
            spawn(move || full.writen(&[b's'; 64], WAIT).map(drop))
        };
        wait_for("it waits", || common::room_waits(&full.stats()) > 0);
        safely(|| full.getn(1, TRY)).unwrap_err();
        safely(|| held.post());
        drop(reader);
        sleeper.join().unwrap_err();
        wait_for("it fails", || full.stats().last_error.is_some());
        assert_eq!(
            safely(|| full.writen(b"x", TRY)).unwrap_err().errno(),
            libc::EPIPE
        );
    }
    queue.close(None).unwrap();
    assert_eq!(safely(|| queue.writen(b"x", TRY)), Err(Error::Closed));
}

/// The queue to which the handler appends.
static QUEUE: AtomicPtr<Queue> = AtomicPtr::new(ptr::null_mut());
/// The number of accepted records of the handler.
static TAKEN: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);
/// Bits that name what went wrong.
static WRONG: AtomicU32 = AtomicU32::new(0);

const HANDLER: usize = 1;
const LEN: usize = 40;

/// A record of the handler, made without the allocator.
fn record(seq: u32) -> [u8; LEN] {
    let mut text = [0; LEN];
    let mut rest = &mut text[..];
    io::Write::write_fmt(&mut rest, format_args!("{HANDLER}:{seq}:{LEN}:")).unwrap();
    let start = LEN - rest.len();
    for (i, byte) in text.iter_mut().enumerate().skip(start) {
        *byte = b'a' + ((HANDLER * 7 + seq as usize * 13 + i * 3) % 26) as u8;
    }
    text[LEN - 1] = b'\n';
    text
}

extern "C" fn on_signal(_: libc::c_int) {
    let before = errno();
    set_errno(SENTINEL);
    let (calls, ()) = calls_in(append_in_handler);
    if calls != 0 {
        WRONG.fetch_or(1, Ordering::Relaxed);
    }
    if errno() != SENTINEL {
        WRONG.fetch_or(2, Ordering::Relaxed);
    }
    set_errno(before);
}

fn append_in_handler() {
    // SAFETY: it is null, or a queue that is never dropped.
    let Some(queue) = (unsafe { QUEUE.load(Ordering::Acquire).as_ref() }) else {
        return;
    };
    let seq = TAKEN.load(Ordering::Relaxed);
    let text = record(seq);
    let taken = match seq % 3 {
        0 => queue.writen(&text, TRY).map(drop),
        1 => queue.getn(LEN + 20, TRY).map(|mut entry| {
            entry[..LEN].copy_from_slice(&text);
            entry.set_bytes_used(LEN);
            entry.post_flags(Flags::NOACTIVATE);
        }),
        _ => queue.getn(LEN, TRY).map(|mut entry| {
            entry.copy_from_slice(&text);
            entry.post();
        }),
    };
    match taken {
        Ok(()) => TAKEN.store(seq + 1, Ordering::Relaxed),
        Err(Error::WouldBlock) => _ = REFUSED.fetch_add(1, Ordering::Relaxed),
        Err(_) => _ = WRONG.fetch_or(4, Ordering::Relaxed),
    }
}

fn install_handler() {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all-zero bytes are an action.
    let action = unsafe { action.assume_init_mut() };
    action.sa_sigaction = on_signal as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the action is one, the handler is async-signal-safe: that is what is tested.
    let done = unsafe { libc::sigaction(libc::SIGPROF, action, ptr::null_mut()) };
    assert_eq!(done, 0);
}

/// Has the kernel send SIGPROF to this thread, with the time that it takes. (A test is not on the
/// main thread.)
fn start_timer() {
    let mut event = MaybeUninit::<libc::sigevent>::zeroed();
    // SAFETY: all-zero bytes are an event.
    let event = unsafe { event.assume_init_mut() };
    event.sigev_notify = libc::SIGEV_THREAD_ID;
    event.sigev_signo = libc::SIGPROF;
    // SAFETY: the call has no arguments.
    event.sigev_notify_thread_id = unsafe { libc::gettid() };
    let mut timer = MaybeUninit::uninit();
    // SAFETY: the event is one, and there is room for the number of a timer.
    let done =
        unsafe { libc::timer_create(libc::CLOCK_THREAD_CPUTIME_ID, event, timer.as_mut_ptr()) };
    assert_eq!(done, 0);
    let every = libc::timespec {
        tv_sec: 0,
        tv_nsec: 100_000,
    };
    let times = libc::itimerspec {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: timer_create succeeded.
    let timer = unsafe { timer.assume_init() };
    // SAFETY: the pointer is to one pair of times.
    let done = unsafe { libc::timer_settime(timer, 0, &raw const times, ptr::null_mut()) };
    assert_eq!(done, 0);
}

/// Runs every call that a signal may interrupt.
fn call_everything(queue: &Queue, numbers: &mut Numbers, seq: &mut u32) {
    let len = Record::MIN_LEN + numbers.below(300);
    let record = Record {
        writer: 0,
        seq: *seq,
        len,
    };
    let text = record.text();
    match numbers.below(3) {
        0 => drop(queue.writen(text.as_bytes(), WAIT).unwrap()),
        1 => {
            let mut entry = queue.getn(len + numbers.below(200), WAIT).unwrap();
            write!(entry, "{text}").unwrap();
            entry.post();
        }
        _ => writeln!(queue, "{}", text.trim_end()).unwrap(),
    }
    *seq += 1;
    match numbers.below(64) {
        0 => queue.flush().unwrap(),
        1 => queue.fsync(SyncOp::Data).unwrap().wait().unwrap(),
        2 => drop(queue.stats()),
        3 => flush_all(None).unwrap(),
        4 => queue
            .completion(queue.position(), Level::Written)
            .wait()
            .unwrap(),
        5 => {
            let other = small().open("/dev/null").unwrap();
            other.writen(b"x", WAIT).unwrap();
            other.lane().writen(b"x", WAIT).unwrap();
            other.close(None).unwrap();
        }
        6 => drop(queue.clone()),
        _ => {}
    }
}

/// Appends mostly with `writen`: other appends leave the span of a thread's lane.
fn call_in_lane(queue: &Queue, numbers: &mut Numbers, seq: &mut u32) {
    if numbers.below(256) == 0 {
        return call_everything(queue, numbers, seq);
    }
    let record = Record {
        writer: 0,
        seq: *seq,
        len: Record::MIN_LEN,
    };
    queue.writen(record.text().as_bytes(), WAIT).unwrap();
    *seq += 1;
}

#[test]
fn a_storm_of_signals_appends_while_the_same_thread_does() {
    storm(
        "a_storm_of_signals_appends_while_the_same_thread_does",
        &small(),
        call_everything,
    );
}

#[test]
fn a_storm_of_signals_appends_while_the_same_thread_does_in_its_lane() {
    storm(
        "a_storm_of_signals_appends_while_the_same_thread_does_in_its_lane",
        // A large ring: the drain seals spans less often.
        &Options::new()
            .thread_lanes(true)
            .stall_limit(Some(NEVER_STALLS)),
        call_in_lane,
    );
}

fn storm(name: &str, options: &Options, call: fn(&Queue, &mut Numbers, &mut u32)) {
    in_child(name, || {
        let seconds = std::env::var("ALQ_STRESS_SECONDS").map(|text| text.parse().unwrap());
        let lasts = Duration::from_secs(seconds.unwrap_or(1));
        let log = Log::new();
        let queue: &'static Queue = Box::leak(Box::new(log.open(options.clone())));
        install_handler();
        QUEUE.store(ptr::from_ref(queue).cast_mut(), Ordering::Release);
        // SAFETY: the call has no arguments.
        let this = unsafe { libc::pthread_self() };
        let stop = Arc::new(AtomicBool::new(false));
        let sender = {
            let (stop, this) = (Arc::clone(&stop), this as usize);
            spawn(move || {
                let mut numbers = Numbers::new(7);
                while !stop.load(Ordering::Relaxed) {
                    // SAFETY: the thread lives until this one has ended.
                    unsafe { libc::pthread_kill(this as libc::pthread_t, libc::SIGPROF) };
                    (0..numbers.below(2000)).for_each(|_| std::hint::spin_loop());
                }
            })
        };
        start_timer();
        let (mut numbers, mut seq) = (Numbers::new(8), 0);
        let end = Instant::now() + lasts;
        let is_enough = |seq| seq > 100 && TAKEN.load(Ordering::Relaxed) > 100;
        while Instant::now() < end || !is_enough(seq) {
            call(queue, &mut numbers, &mut seq);
        }
        stop.store(true, Ordering::Relaxed);
        sender.join();
        QUEUE.store(ptr::null_mut(), Ordering::Release);
        queue.close(None).unwrap();
        let wrong = WRONG.load(Ordering::Relaxed);
        assert_eq!(wrong, 0, "1: allocated, 2: changed errno, 4: another error");
        let taken = TAKEN.load(Ordering::Relaxed);
        common::assert_complete(&parse(&log.bytes()), &[seq, taken]);
        let refused = queue.stats().refused_records;
        assert_eq!(refused, REFUSED.load(Ordering::Relaxed));
    });
}
