//! The machine: its model, the current distance between its cores, and its load.

use std::fs;
use std::hint::spin_loop;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use rustix::param::clock_ticks_per_second;
use serde::Serialize;

use crate::Outcome;

/// The machine that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The model of the processor.
    pub cpu: String,
    /// The number of processors that the kernel shows.
    pub cores: usize,
    /// The release of the kernel.
    pub kernel: String,
    /// The number of processors that this process may use: see taskset(1).
    pub cores_used: usize,
}

impl Machine {
    /// Reads the properties of this machine.
    pub fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let fields = || cpuinfo.lines().filter_map(|line| line.split_once(':'));
        let model = fields().find(|(name, _)| name.trim() == "model name");
        let cores = fields().filter(|(name, _)| name.trim() == "processor");
        Self {
            cpu: model
                .map_or("unknown", |(_, model)| model.trim())
                .to_owned(),
            cores: cores.count(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cores_used: thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Returns the type of the file system at `path`. Source: `proc_pid_mounts(5)`.
pub fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut nearest = (0, "unknown");
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        if let (Some(at), Some(kind)) = (fields.next(), fields.next()) {
            if path.starts_with(at) && at.len() >= nearest.0 {
                nearest = (at.len(), kind);
            }
        }
    }
    nearest.1.to_owned()
}

/// Measures how long a cache line takes from one core to another, in ns: half of the fastest round
/// trip, because other load only adds to it. Returns 0 if there is only one core.
pub fn line_ns() -> f64 {
    const ROUND_TRIPS: u32 = 250;
    const TRIES: u32 = 16;
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return 0.0;
    }
    let line = AtomicU32::new(0);
    // Waits for a number and stores the next. Only this cache line moves between the two threads.
    // If both share a core, which happens on a busy machine, a thread that only spins keeps the
    // other from running for as long as the scheduler allows.
    let pass_on = |number: u32| {
        let mut looks = 0_u32;
        while line.load(Ordering::Acquire) != number {
            looks += 1;
            if looks.trailing_zeros() >= 12 {
                thread::yield_now();
            } else {
                spin_loop();
            }
        }
        line.store(number + 1, Ordering::Release);
    };
    let mut fastest = f64::INFINITY;
    thread::scope(|scope| {
        scope.spawn(|| (0..TRIES * ROUND_TRIPS).for_each(|trip| pass_on(2 * trip + 1)));
        for attempt in 0..TRIES {
            let start = Instant::now();
            for trip in 0..ROUND_TRIPS {
                pass_on(2 * (attempt * ROUND_TRIPS + trip));
            }
            let ns = start.elapsed().as_nanos() as f64;
            fastest = fastest.min(ns / f64::from(2 * ROUND_TRIPS));
        }
    });
    fastest
}

/// Whether two cores share a cache. Do not compare figures of near and far turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// They share a cache.
    Near,
    /// They share no cache.
    Far,
    /// The distance changed during the turn.
    Moved,
}

/// A cache line that takes less than this, in ns, has not left the caches that the cores share.
pub const NEAR_NS: f64 = 50.0;

impl Distance {
    /// Classifies a turn by [`line_ns`] before and after it.
    pub fn of(before_ns: f64, after_ns: f64) -> Self {
        match (before_ns < NEAR_NS, after_ns < NEAR_NS) {
            (true, true) => Self::Near,
            (false, false) => Self::Far,
            _ => Self::Moved,
        }
    }

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
            Self::Moved => "moved",
        }
    }
}

/// The usage of the processors since the system started, in seconds. Source: `proc_stat(5)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// The time of all processors.
    pub all_s: f64,
    /// The part of it that processes and the kernel used.
    pub busy_s: f64,
    /// The part of it that the host of a virtual machine took.
    pub steal_s: f64,
}

impl Usage {
    /// Reads the usage up to now.
    ///
    /// # Errors
    ///
    /// If `/proc/stat` cannot be read or has an unexpected form.
    pub fn now() -> Outcome<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let ticks_s = clock_ticks_per_second() as f64;
        Self::of(&stat, ticks_s).ok_or_else(|| "/proc/stat has no times of the processors".into())
    }

    fn of(stat: &str, ticks_s: f64) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let fields = line.split_whitespace().map(|field| field.parse().ok());
        let fields: Vec<f64> = fields.collect::<Option<_>>()?;
        let &[user, nice, system, idle, wait, irq, softirq, steal, ..] = &fields[..] else {
            return None;
        };
        let busy = user + nice + system + irq + softirq; // user and nice include guests
        Some(Self {
            all_s: (busy + idle + wait + steal) / ticks_s,
            busy_s: busy / ticks_s,
            steal_s: steal / ticks_s,
        })
    }

    /// Returns the usage since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            all_s: self.all_s - before.all_s,
            busy_s: self.busy_s - before.busy_s,
            steal_s: self.steal_s - before.steal_s,
        }
    }
}

/// Returns the CPU time of this process and of the children that it has waited for, in seconds.
///
/// # Errors
///
/// If getrusage(2) fails.
pub fn own_s() -> Outcome<f64> {
    let mut seconds = 0.0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        for time in [usage.user_time(), usage.system_time()] {
            seconds += time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        }
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::Usage;

    #[test]
    fn usage_is_read_from_the_fields_of_proc_stat() {
        let stat = "cpu  100 20 30 400 50 6 7 80 9 1\ncpu0 1 2 3 4 5 6 7 8 9 1\n";
        let usage = Usage::of(stat, 10.0).unwrap();
        assert!((usage.busy_s - 16.3).abs() < 1e-9, "{usage:?}");
        assert!((usage.steal_s - 8.0).abs() < 1e-9, "{usage:?}");
        assert!((usage.all_s - 69.3).abs() < 1e-9, "{usage:?}");
        assert!(Usage::of("cpu  1 2 3\n", 10.0).is_none());
    }
}
