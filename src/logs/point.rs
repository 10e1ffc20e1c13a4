//! Named points between two steps of a rotation. A test can make the step after a point fail, or
//! end the process there. Outside tests a point does nothing.

/// Does nothing outside tests.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests it fails")]
pub(super) const fn point(_: &'static str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use script::{Script, point};

#[cfg(test)]
mod script {
    use std::cell::RefCell;
    use std::io;

    /// What happens at the points that this thread passes.
    #[derive(Clone, Copy, Debug)]
    pub enum Script {
        /// Ends the process at the point with this number. A panic stands for the end: no step
        /// after it is done.
        End(usize),
        /// Makes the step after the point of this name fail: how many times, and with which error.
        Fail(&'static str, usize, i32),
        /// Calls a function at the point of this name.
        Call(&'static str, fn()),
    }

    thread_local! {
        static SCRIPTS: RefCell<(Vec<Script>, Vec<&'static str>)> =
            const { RefCell::new((Vec::new(), Vec::new())) };
    }

    impl Script {
        /// Runs `body` under these scripts. Also returns the points that were passed.
        pub fn run<T>(
            scripts: impl IntoIterator<Item = Self>,
            body: impl FnOnce() -> T,
        ) -> (T, Vec<&'static str>) {
            SCRIPTS.set((scripts.into_iter().collect(), Vec::new()));
            let result = body();
            (result, SCRIPTS.take().1)
        }
    }

    pub fn point(name: &'static str) -> io::Result<()> {
        SCRIPTS.with_borrow_mut(|(scripts, passed)| {
            passed.push(name);
            for script in scripts {
                match script {
                    Script::End(number) if *number == passed.len() => {
                        std::panic::resume_unwind(Box::new(name)) // without a message
                    }
                    Script::Fail(point, times, errno) if *point == name && *times > 0 => {
                        *times -= 1;
                        return Err(io::Error::from_raw_os_error(*errno));
                    }
                    Script::Call(point, call) if *point == name => call(),
                    _ => {}
                }
            }
            Ok(())
        })
    }
}
