//! Measures the cost of an append for a caller in C and for one in Rust: bursts of 64 records of
//! 100 bytes, with a pause of 100 us between them so that the rings never fill.
//!
//!     ci/bench-capi.sh            nanoseconds a record; the callers alternate, burst by burst
//!     ci/bench-capi.sh count      instructions a record: independent of the machine's load
//!
//! A row has the median burst divided by 64, with the 10th and the 90th percentile. Each caller has
//! its own queue of the same kind, in the same process. The caller in C uses the shared library.
#![allow(unsafe_code)]
#![allow(clippy::cast_possible_wrap)] // C counts in `int`
#![allow(clippy::no_mangle_with_rust_abi)] // names for callgrind; nothing links with them

use std::ffi::{CString, c_char, c_int, c_void};
use std::hint::black_box;
use std::mem::transmute_copy;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use alq::{Flags, Lane, Options, Queue};

const BURST: c_int = 64;
const RECORD: [u8; 100] = [b'r'; 100];
const PAUSE: Duration = Duration::from_micros(100);
const CAPACITY: usize = 1 << 20;

/// Appends a number of records of one length, and returns how many were refused.
type Burst = unsafe extern "C" fn(*const c_void, c_int, c_int) -> c_int;

/// The three bursts of `from_c.c`.
struct C {
    open: unsafe extern "C" fn(*const c_char, c_int) -> c_int,
    bursts: [Burst; 3],
}

impl C {
    fn load(library: &str) -> Self {
        let name = CString::new(library).unwrap();
        // SAFETY: a path; the library runs no code when it is loaded.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
        assert!(!handle.is_null(), "{library} cannot be loaded");
        let symbol = |name: &str| {
            let name = CString::new(name).unwrap();
            // SAFETY: the handle belongs to a library that stays loaded.
            let symbol = unsafe { libc::dlsym(handle, name.as_ptr()) };
            assert!(!symbol.is_null(), "{library} has no {name:?}");
            symbol
        };
        let burst = |name| {
            let symbol = symbol(name);
            // SAFETY: from_c.c defines the function with this type.
            unsafe { transmute_copy::<_, Burst>(&symbol) }
        };
        let open = symbol("c_open");
        Self {
            // SAFETY: from_c.c defines the function with this type.
            open: unsafe { transmute_copy(&open) },
            bursts: [burst("c_writen"), burst("c_getn"), burst("c_lane")],
        }
    }

    fn open(&self, path: &Path) {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: from_c.c requires a string and a size.
        assert_eq!(unsafe { (self.open)(path.as_ptr(), CAPACITY as c_int) }, 0);
    }

    fn run(&self, which: usize, records: c_int) {
        let record = black_box(&RECORD);
        // SAFETY: from_c.c requires a record and its length.
        unsafe { (self.bursts[which])(record.as_ptr().cast(), record.len() as c_int, records) };
    }
}

/// The three bursts in Rust.
struct Rust {
    queue: Queue,
    lane: Lane,
}

// Callgrind counts the instructions inside these functions, by their names.
#[unsafe(no_mangle)]
#[inline(never)]
fn rust_writen(queue: &Queue, record: &[u8], records: c_int) {
    for _ in 0..records {
        while queue.writen(record, Flags::NOWAIT).is_err() {}
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
fn rust_getn(queue: &Queue, record: &[u8], records: c_int) {
    for _ in 0..records {
        let mut entry = loop {
            if let Ok(entry) = queue.getn(record.len(), Flags::NOWAIT) {
                break entry;
            }
        };
        entry.copy_from_slice(record);
        entry.post();
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
fn rust_lane(lane: &mut Lane, record: &[u8], records: c_int) {
    for _ in 0..records {
        while lane.writen(record, Flags::NOWAIT).is_err() {}
    }
}

impl Rust {
    fn run(&mut self, which: usize, records: c_int) {
        let record = black_box(&RECORD);
        match which {
            0 => rust_writen(&self.queue, record, records),
            1 => rust_getn(&self.queue, record, records),
            _ => rust_lane(&mut self.lane, record, records),
        }
    }
}

fn timed(burst: impl FnOnce()) -> f64 {
    sleep(PAUSE);
    let start = Instant::now();
    burst();
    start.elapsed().as_nanos() as f64 / f64::from(BURST)
}

/// The median, the 10th percentile and the 90th.
fn percentiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [50, 10, 90].map(|percent| values[values.len() * percent / 100])
}

fn main() {
    // Cargo adds the argument `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let [library, more @ ..] = arguments.as_slice() else {
        // The script compiles the C part. `cargo test` also runs this program.
        println!("run ci/bench-capi.sh");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let c = C::load(library);
    c.open(&dir.path().join("c.log"));
    let queue = Options::new()
        .capacity(CAPACITY)
        .open(dir.path().join("rust.log"))
        .unwrap();
    let mut rust = Rust {
        lane: queue.lane(),
        queue,
    };

    if let [what] = more {
        // For callgrind: runs one caller, often enough that the first burst does not matter.
        let (language, which) = what.split_once('_').expect("c_writen, say");
        let which = ["writen", "getn", "lane"]
            .iter()
            .position(|name| *name == which)
            .unwrap();
        match language {
            "c" => c.run(which, 10_000),
            _ => rust.run(which, 10_000),
        }
        return;
    }
    let rounds = std::env::var("ALQ_BENCH_ROUNDS").map_or(2000, |n| n.parse().unwrap());
    println!("ns a record      Rust (10th, 90th)        C (10th, 90th)     C - Rust");
    for (which, name) in ["writen", "getn, post", "lane"].iter().enumerate() {
        let (mut in_rust, mut in_c) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            // The second caller finds a warmer cache, so the order alternates.
            for turn in [round % 2, (round + 1) % 2] {
                match turn {
                    0 => in_rust.push(timed(|| rust.run(which, BURST))),
                    _ => in_c.push(timed(|| c.run(which, BURST))),
                }
            }
        }
        let ([r, r10, r90], [c, c10, c90]) = (percentiles(&mut in_rust), percentiles(&mut in_c));
        println!(
            "{name:<12} {r:>8.1} ({r10:.1}, {r90:.1}) {c:>12.1} ({c10:.1}, {c90:.1}) {:>10.1}",
            c - r
        );
    }
}
