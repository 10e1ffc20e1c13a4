//! System calls that the standard library and memmap2 do not offer, and all that differs between
//! platforms. Only this file and the files under `os/` make such calls, and only they ask which
//! platform this is.
//!
//! | module | what it has |
//! |---|---|
//! | `unix`, `file`, `process`, `thread` | what POSIX gives every platform, by subject |
//! | `linux`, `freebsd`, `apple` | the same names on each platform, by calls of its own or by a stand-in. The target has one of them |
//! | `bsd` | what FreeBSD and Apple's systems share |
//! | `names` | what Linux and Apple's systems share |
//! | `call`, `watch` | what all of them share |
//!
//! docs/platforms.md lists the stand-ins.

mod call;
pub mod file;
pub mod process;
pub mod thread;
mod unix;
#[cfg(feature = "read")]
pub mod watch;

#[cfg(target_vendor = "apple")]
mod apple;
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
mod bsd;
#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(feature = "rotate", any(target_vendor = "apple", target_os = "linux")))]
mod names;

#[cfg(target_vendor = "apple")]
use apple as platform;
#[cfg(target_os = "freebsd")]
use freebsd as platform;
#[cfg(target_os = "linux")]
use linux as platform;

#[cfg(not(any(target_vendor = "apple", target_os = "freebsd", target_os = "linux")))]
compile_error!("alq is written for Linux, FreeBSD and macOS: see docs/platforms.md");

pub use platform::file::write_nowait;
pub use platform::random;
#[cfg(feature = "read")]
pub use platform::watch::Events;
#[cfg_attr(alq_model, expect(unused_imports, reason = "a model has its own"))]
pub use platform::{
    futex_wait, futex_wake_all, is_signal, map_again, membarrier, membarrier_register, queue_signal,
};
#[cfg_attr(alq_model, expect(unused_imports, reason = "a model has its own"))]
pub use unix::{
    is_writable, map_view, now_ns, open_log, page_len, try_map, wait_writable,
    with_signals_blocked, write_runs, write_when_ready,
};
