//! The busy process of [`Kind::Busy`](crate::work::Kind::Busy), and the cores that threads run on.

use std::hint::spin_loop;
use std::io;
use std::process::{Child, Command, exit};
use std::thread;

use rustix::thread::{CpuSet, sched_setaffinity};

/// The argument with which a program of benchmarks starts itself as the busy process of
/// [`Kind::Busy`](crate::work::Kind::Busy). The program must call [`spin`] then.
pub const SPIN: &str = "--spin";

/// A process on the last core that never sleeps, until this value is dropped.
pub(crate) struct Spinner(Child);

impl Spinner {
    pub(crate) fn start() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        Command::new(program).arg(SPIN).spawn().map(Self)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        // It ends by itself if this fails: its parent is gone soon.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Runs that process.
pub fn spin() -> ! {
    pin(thread::available_parallelism().map_or(1, usize::from) - 1);
    let parent = rustix::process::getppid();
    loop {
        (0..1_000_000).for_each(|_| spin_loop());
        if rustix::process::getppid() != parent {
            exit(1); // the parent has ended
        }
    }
}

/// Binds this thread, and the threads that it starts later, to one core.
pub(crate) fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    // If the machine does not allow it, the benchmark runs without.
    let _ = sched_setaffinity(None, &set);
}
