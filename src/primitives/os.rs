//! System calls that the standard library and memmap2 do not offer, and all that differs between
//! platforms. Only this file and the files under `os/` make such calls, and only they ask which
//! platform this is.
//!
//! | module | what it has |
//! |---|---|
//! | `unix`, `file`, `process`, `thread` | what POSIX gives every platform, by subject |
//! | `linux`, `freebsd` | the same names on each platform, by calls of its own or by a stand-in. The target has one of them |
//! | `bsd` | what other systems of its family share with FreeBSD |
//! | `call` | what all of these calls share |
//!
//! docs/platforms.md lists the stand-ins.

mod call;
pub mod file;
pub mod process;
pub mod thread;
mod unix;

#[cfg(target_os = "freebsd")]
mod bsd;
#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "freebsd")]
use freebsd as platform;
#[cfg(target_os = "linux")]
use linux as platform;

#[cfg(not(all(
    any(target_os = "freebsd", target_os = "linux"),
    target_pointer_width = "64"
)))]
compile_error!("alq is written for 64-bit Linux and FreeBSD: see docs/platforms.md");

pub use platform::file::write_nowait;
pub use platform::random;
#[cfg(feature = "read")]
pub use platform::watch;
pub use platform::{
    futex_wait, futex_wake_all, is_signal, map_again, membarrier, membarrier_register, queue_signal,
};
pub use unix::{
    is_writable, map_view, now_ns, open_log, page_len, try_map, wait_writable,
    with_signals_blocked, write_runs, write_when_ready,
};
