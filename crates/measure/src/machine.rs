//! The machine: what it is, how near its cores are to each other at the moment, and who else uses it.

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

/// What the figures are of.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The model of the processor.
    pub cpu: String,
    /// How many there are.
    pub cores: usize,
    /// Its release.
    pub kernel: String,
    /// What this process may use of it, as with taskset(1).
    pub cores_used: usize,
}

impl Machine {
    /// The machine that this runs on.
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

/// The type of the file system at `path`. Source: `proc_pid_mounts(5)`.
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

/// How long a cache line takes from one core to another, in ns: half of the fastest of some round trips, since whoever else runs
/// only adds to it. 0 where there is one core.
pub fn line_ns() -> f64 {
    const ROUND_TRIPS: u32 = 250;
    const TRIES: u32 = 16;
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return 0.0;
    }
    let line = AtomicU32::new(0);
    // Waits for a number and passes on the next: nothing but this line goes between the two.
    let pass_on = |number: u32| {
        while line.load(Ordering::Acquire) != number {
            spin_loop();
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

/// Whether two cores share a cache. Figures of near and far turns are not to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// They do.
    Near,
    /// They do not.
    Far,
    /// It changed during the turn.
    Moved,
}

/// A cache line that takes less, in ns, has not left the caches that the cores share.
pub const NEAR_NS: f64 = 50.0;

impl Distance {
    /// By the line before and after the turn.
    pub fn of(before_ns: f64, after_ns: f64) -> Self {
        match (before_ns < NEAR_NS, after_ns < NEAR_NS) {
            (true, true) => Self::Near,
            (false, false) => Self::Far,
            _ => Self::Moved,
        }
    }

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
            Self::Moved => "moved",
        }
    }
}

/// What the processors have done since the system started, in seconds. Source: `proc_stat(5)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// The time of all processors.
    pub all_s: f64,
    /// What of it was used.
    pub busy_s: f64,
    /// Taken by the host of a virtual machine.
    pub steal_s: f64,
}

impl Usage {
    /// Up to now.
    ///
    /// # Errors
    ///
    /// `/proc/stat` cannot be read, or has another form.
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
        let busy = user + nice + system + irq + softirq; // guests are in user and nice
        Some(Self {
            all_s: (busy + idle + wait + steal) / ticks_s,
            busy_s: busy / ticks_s,
            steal_s: steal / ticks_s,
        })
    }

    /// From `before` to this.
    pub fn since(self, before: Self) -> Self {
        Self {
            all_s: self.all_s - before.all_s,
            busy_s: self.busy_s - before.busy_s,
            steal_s: self.steal_s - before.steal_s,
        }
    }
}

/// What this process and those that it has waited for have used of the processors, in seconds.
///
/// # Errors
///
/// That of getrusage(2).
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
    fn usage_is_read_as_proc_stat_has_it() {
        let stat = "cpu  100 20 30 400 50 6 7 80 9 1\ncpu0 1 2 3 4 5 6 7 8 9 1\n";
        let usage = Usage::of(stat, 10.0).unwrap();
        assert!((usage.busy_s - 16.3).abs() < 1e-9, "{usage:?}");
        assert!((usage.steal_s - 8.0).abs() < 1e-9, "{usage:?}");
        assert!((usage.all_s - 69.3).abs() < 1e-9, "{usage:?}");
        assert!(Usage::of("cpu  1 2 3\n", 10.0).is_none());
    }
}
