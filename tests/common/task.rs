//! Reads the threads of the process from procfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::wait_for;

/// One thread of this process.
#[derive(Clone, Debug)]
pub struct Task(PathBuf);

/// The activity of a thread. It stays the same while the thread sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The nanoseconds on a processor.
    pub cpu_ns: u64,
    /// How often it went to sleep.
    pub sleeps: u64,
}

impl Task {
    /// The calling thread.
    pub fn current() -> Self {
        Self(Path::new("/proc").join(fs::read_link("/proc/thread-self").unwrap()))
    }

    /// The threads of the process with this name.
    pub fn named(name: &str) -> Vec<Self> {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let tasks = tasks.map(|task| Self(task.unwrap().path()));
        tasks.filter(|task| task.name() == name).collect()
    }

    pub fn name(&self) -> String {
        let name = fs::read_to_string(self.0.join("comm"));
        name.unwrap_or_default().trim_end().to_owned()
    }

    /// A field of its status file.
    fn status(&self, field: &str) -> String {
        let text = fs::read_to_string(self.0.join("status")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        line.unwrap().trim_start_matches(':').trim().to_owned()
    }

    pub fn is_asleep(&self) -> bool {
        self.status("State").starts_with('S')
    }

    pub fn sleeps(&self) -> u64 {
        self.status("voluntary_ctxt_switches").parse().unwrap()
    }

    pub fn activity(&self) -> Activity {
        let times = fs::read_to_string(self.0.join("schedstat")).unwrap();
        Activity {
            cpu_ns: times.split(' ').next().unwrap().parse().unwrap(),
            sleeps: self.sleeps(),
        }
    }
}

/// Panics unless all of `tasks` become idle for a while.
pub fn assert_quiet(tasks: &[Task]) {
    let activity = || -> Vec<_> { tasks.iter().map(Task::activity).collect() };
    let (mut last, mut since) = (activity(), Instant::now());
    wait_for("the threads do nothing", || {
        let now = activity();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() >= Duration::from_millis(400)
    });
}
