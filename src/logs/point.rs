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
        static SCRIPT: RefCell<(Option<Script>, Vec<&'static str>)> =
            const { RefCell::new((None, Vec::new())) };
    }

    impl Script {
        /// Runs `body` under this script. Also returns the points that were passed.
        pub fn run<T>(script: Option<Self>, body: impl FnOnce() -> T) -> (T, Vec<&'static str>) {
            SCRIPT.set((script, Vec::new()));
            let result = body();
            (result, SCRIPT.take().1)
        }
    }

    pub fn point(name: &'static str) -> io::Result<()> {
        SCRIPT.with_borrow_mut(|(script, passed)| {
            passed.push(name);
            match script {
                Some(Script::End(number)) if *number == passed.len() => {
                    std::panic::resume_unwind(Box::new(name)) // without a message
                }
                Some(Script::Fail(point, times, errno)) if *point == name && *times > 0 => {
                    *times -= 1;
                    Err(io::Error::from_raw_os_error(*errno))
                }
                Some(Script::Call(point, call)) if *point == name => {
                    call();
                    Ok(())
                }
                _ => Ok(()),
            }
        })
    }
}
