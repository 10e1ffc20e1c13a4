//! `struct sigevent`: how a program is notified of a completion.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use libc::pthread_attr_t;

use crate::block::SigEvent;

/// What a completion does, copied when the request is submitted.
#[derive(Clone, Copy)]
pub enum Event {
    None,
    Signal {
        signo: c_int,
        value: usize,
    },
    Thread {
        function: unsafe extern "C" fn(usize),
        value: usize,
        attributes: *const pthread_attr_t,
    },
}

// SAFETY: C keeps the attributes until the notification, on whichever thread that is.
unsafe impl Send for Event {}
// SAFETY: nothing writes to them.
unsafe impl Sync for Event {}

/// A `siginfo_t` of a queued signal, as the kernel reads it.
#[repr(C)]
struct QueuedSignal {
    signo: c_int,
    errno: c_int,
    code: c_int,
    _pad: c_int,
    pid: libc::pid_t,
    uid: libc::uid_t,
    value: usize,
    _rest: [u64; 12],
}

const _: () = assert!(size_of::<QueuedSignal>() == size_of::<libc::siginfo_t>());

impl Event {
    /// `EINVAL` for a kind of notification that does not exist, or a signal that does not.
    pub fn new(event: &SigEvent) -> Result<Self, c_int> {
        match event.notify {
            libc::SIGEV_NONE => Ok(Self::None),
            // The null signal: what an event of zeros asks for.
            libc::SIGEV_SIGNAL if event.signo == 0 => Ok(Self::None),
            libc::SIGEV_SIGNAL if (1..=libc::SIGRTMAX()).contains(&event.signo) => {
                Ok(Self::Signal {
                    signo: event.signo,
                    value: event.value,
                })
            }
            libc::SIGEV_THREAD => Ok(Self::Thread {
                function: event.function.ok_or(libc::EINVAL)?,
                value: event.value,
                attributes: event.attributes,
            }),
            _ => Err(libc::EINVAL),
        }
    }

    /// Notifies the program. The request's status says what came of it, also if the system has no
    /// room for a signal (`RLIMIT_SIGPENDING`) or for a thread.
    pub fn tell(self) {
        match self {
            Self::None => {}
            Self::Signal { signo, value } => queue_signal(signo, value),
            Self::Thread {
                function,
                value,
                attributes,
            } => start_thread(attributes, Box::new(Call { function, value })),
        }
    }
}

fn queue_signal(signo: c_int, value: usize) {
    // SAFETY: these two have no arguments and cannot fail.
    let (pid, uid) = (unsafe { libc::getpid() }, unsafe { libc::getuid() });
    let info = QueuedSignal {
        signo,
        errno: 0,
        code: libc::SI_ASYNCIO,
        _pad: 0,
        pid,
        uid,
        value,
        _rest: [0; 12],
    };
    // SAFETY: the pointer is to a live value of the size of a siginfo_t (asserted above), which the
    // kernel copies.
    unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signo, &raw const info) };
}

/// The call that a thread of `SIGEV_THREAD` makes.
struct Call {
    function: unsafe extern "C" fn(usize),
    value: usize,
}

/// Starts a thread with the attributes of the program, or a detached one.
fn start_thread(attributes: *const pthread_attr_t, call: Box<Call>) {
    let mut detached = MaybeUninit::<pthread_attr_t>::uninit();
    let mut attributes = attributes;
    if attributes.is_null() {
        // SAFETY: it fills the attributes in.
        unsafe { libc::pthread_attr_init(detached.as_mut_ptr()) };
        let state = libc::PTHREAD_CREATE_DETACHED;
        // SAFETY: they are filled in.
        unsafe { libc::pthread_attr_setdetachstate(detached.as_mut_ptr(), state) };
        attributes = detached.as_ptr();
    }
    let mut thread = 0;
    let argument = Box::into_raw(call).cast::<c_void>();
    // SAFETY: the attributes are valid; `run` takes what it is given.
    if unsafe { libc::pthread_create(&raw mut thread, attributes, run, argument) } != 0 {
        // SAFETY: no thread has it.
        drop(unsafe { Box::from_raw(argument.cast::<Call>()) });
    }
}

extern "C" fn run(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `start_thread` made it of a box.
    let Call { function, value } = *unsafe { Box::from_raw(argument.cast::<Call>()) };
    // The thread that completed the request blocks signals; a thread of the program does not.
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: it fills the set in.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: the set is filled in.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) };
    // SAFETY: C has given the function for this value.
    unsafe { function(value) };
    ptr::null_mut()
}
