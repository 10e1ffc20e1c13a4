//! The points between two steps of a rotation: there a test has the system fail, or the process
//! end.

/// What happens here: nothing, but in tests.
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

    /// What is to happen on this thread.
    #[derive(Clone, Copy, Debug)]
    pub enum Script {
        /// The process ends at the point of this number: a panic, behind which no more steps are
        /// done.
        End(usize),
        /// The step behind the point of this name fails, so many times.
        Fail(&'static str, usize, i32),
        /// At the point of this name something happens.
        Call(&'static str, fn()),
    }

    thread_local! {
        static SCRIPT: RefCell<(Option<Script>, Vec<&'static str>)> =
            const { RefCell::new((None, Vec::new())) };
    }

    impl Script {
        /// Runs `body` with it; says which points were passed.
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
