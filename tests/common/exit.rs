//! The end of a process: handlers of atexit(3), and the records to post before it.
#![allow(unsafe_code, reason = "atexit(3) has no safe form")]

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use alq::Queue;

use super::LATER;

/// The log of a process that ends, in the folder of that process.
pub fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// A closure to run at exit. atexit(3) itself takes only a function.
type Handler = Box<dyn Fn() + Send + Sync>;

/// Registers `handler` to run at exit.
pub fn at_exit(handler: impl Fn() + Send + Sync + 'static) {
    static HANDLERS: Mutex<Vec<Handler>> = Mutex::new(Vec::new());
    extern "C" fn run_last() {
        let handler = HANDLERS.lock().unwrap().pop().unwrap();
        handler();
    }
    HANDLERS.lock().unwrap().push(Box::new(handler));
    // SAFETY: a function without arguments, that any thread may call.
    assert_eq!(unsafe { libc::atexit(run_last) }, 0);
}

/// The number of records of one writer: too many for the flusher to have written them by chance.
pub fn post_some(queue: &Queue) {
    for i in 0..50 {
        queue.writen(format!("{i}\n").as_bytes(), LATER).unwrap();
    }
}

/// The bytes of these records.
pub fn some() -> Vec<u8> {
    let lines: Vec<String> = (0..50).map(|i| format!("{i}\n")).collect();
    lines.concat().into()
}

/// A way to end: its name, the expected exit code, and what the process does.
pub type Way<'w> = (&'w str, i32, &'w dyn Fn(&Path));
