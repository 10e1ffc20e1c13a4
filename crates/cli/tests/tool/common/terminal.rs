//! Pseudo-terminals, and tools that run on them.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::{Running, wait_until};

/// Opens a pseudo-terminal of 100 columns: the side of the screen, and the side of the programs.
///
/// Returns `None`, and prints so, if the system has no pseudo-terminal.
pub fn terminal(test: &str) -> Option<(File, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let open = || {
        let screen = openpt(flags)?;
        grantpt(&screen)?;
        unlockpt(&screen)?;
        let line = ioctl_tiocgptpeer(&screen, flags)?;
        let size = Winsize {
            ws_row: 25,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&screen, size)?;
        Ok((File::from(screen), line))
    };
    open()
        .map_err(|error: rustix::io::Errno| println!("skipped: {test}: no terminal: {error}"))
        .ok()
}

/// A tool that runs on a terminal; killed if the test fails.
pub struct OnTerminal {
    pub tool: Running,
    shown: Arc<Mutex<Vec<u8>>>,
    screen: JoinHandle<()>,
}

impl OnTerminal {
    /// The command that `on` makes with the terminal.
    pub fn start(test: &str, on: impl FnOnce(OwnedFd) -> Command) -> Option<Self> {
        let (mut screen, line) = terminal(test)?;
        let tool = Running(on(line).spawn().unwrap());
        let shown = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&shown);
        let screen = thread::spawn(move || {
            let mut piece = [0; 1000];
            // EIO when the last program has closed the terminal.
            while let Ok(len @ 1..) = screen.read(&mut piece) {
                seen.lock().unwrap().extend(&piece[..len]);
            }
        });
        Some(Self {
            tool,
            shown,
            screen,
        })
    }

    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    pub fn wait_for(&self, text: &str) {
        wait_until(text, || self.shown().contains(text));
    }

    /// Waits for the end. Returns the exit code and everything that was shown.
    pub fn end(mut self) -> (Option<i32>, String) {
        let code = self.tool.end().code();
        wait_until("the end of what is shown", || self.screen.is_finished());
        (code, self.shown())
    }
}
