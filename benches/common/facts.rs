//! What the figures depend on: the machine, and how near its cores are to each other at the moment.

use std::hint::spin_loop;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// How long a cache line takes from one core to the other and back, halved: below some 50 ns the cores are near. The best of
/// some tries, since whoever else runs only adds to it.
pub fn line_ns() -> f64 {
    const TRIES: u64 = 20;
    const TRIPS: u64 = 200;
    let ball = AtomicU64::new(0);
    let turn = |first: u64, n: u64| {
        while ball.load(Ordering::Acquire) != 2 * n + first {
            spin_loop();
        }
        ball.store(2 * n + first + 1, Ordering::Release);
    };
    thread::scope(|scope| {
        scope.spawn(|| (0..TRIES * TRIPS).for_each(|n| turn(0, n)));
        let took = (0..TRIES).map(|attempt| {
            let start = Instant::now();
            (attempt * TRIPS..(attempt + 1) * TRIPS).for_each(|n| turn(1, n));
            start.elapsed().as_nanos() as f64 / (2 * TRIPS) as f64
        });
        took.reduce(f64::min).expect("some tries")
    })
}

/// Whether the cores share a cache. Figures of near and far turns are not to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    Near,
    Far,
    /// It changed during the turn.
    Moved,
}

impl Distance {
    pub fn of(before: f64, after: f64) -> Self {
        const NEAR: f64 = 50.0;
        match (before < NEAR, after < NEAR) {
            (true, true) => Self::Near,
            (false, false) => Self::Far,
            _ => Self::Moved,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
            Self::Moved => "moved",
        }
    }

    pub fn named(name: &str) -> Self {
        match name {
            "near" => Self::Near,
            "far" => Self::Far,
            _ => Self::Moved,
        }
    }
}

/// The processor and the kernel.
pub fn machine() -> [(&'static str, String); 3] {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": "));
    let cores = thread::available_parallelism().map_or(0, usize::from);
    [
        ("cpu", model.map_or("unknown", |(_, name)| name).to_owned()),
        ("cores", cores.to_string()),
        (
            "kernel",
            read("/proc/sys/kernel/osrelease").trim().to_owned(),
        ),
    ]
}

/// The type of the file system that `path` is on. Source: `proc_pid_mounts(5)`.
pub fn file_system(path: &Path) -> String {
    let path = path.canonicalize().expect("it exists");
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (at, kind) = (fields.next()?, fields.next()?);
        path.starts_with(at).then_some((at.len(), kind))
    });
    let nearest = mounts.max_by_key(|(len, _)| *len);
    nearest.map_or("unknown", |(_, kind)| kind).to_owned()
}
