//! What a queue promises when its process forks, ends, or forbids system calls. Each file says
//! which promise it holds.

#[path = "../common/mod.rs"]
mod common;

mod exit;
mod exit_aside;
mod exit_load;
mod exit_panic;
mod fences;
mod flush_all;
mod fork;
mod fork_again;
mod fork_busy;
mod fork_load;
mod fork_own;
mod fork_write;
mod recorder;
mod shutdown;
