//! `struct sigevent`: how a program is notified of a completion.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use libc::pthread_attr_t;

use crate::block::SigEvent;

/// The notification of a request, copied when the request is submitted.
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

// SAFETY: C keeps the attributes valid until the notification, which any thread may make.
unsafe impl Send for Event {}
// SAFETY: no thread writes to the attributes.
unsafe impl Sync for Event {}

/// The `siginfo_t` of a queued signal, in the kernel's layout.
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
    /// Converts a sigevent. `EINVAL` for an unknown kind of notification or an invalid signal.
    pub fn new(event: &SigEvent) -> Result<Self, c_int> {
        match event.notify {
            libc::SIGEV_NONE => Ok(Self::None),
            // An event of all zeros asks for signal 0, which means no signal.
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

    /// Notifies the program. If the system refuses the signal (`RLIMIT_SIGPENDING`) or the thread,
    /// the notification is lost; the status of the request is valid in any case.
    pub fn notify(self) {
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
    // SAFETY: these calls have no arguments and cannot fail.
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
    // SAFETY: the pointer is to a live value of the size of a siginfo_t (asserted above); the
    // kernel copies it.
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
        // SAFETY: the call initialises the attributes.
        unsafe { libc::pthread_attr_init(detached.as_mut_ptr()) };
        let state = libc::PTHREAD_CREATE_DETACHED;
        // SAFETY: they are initialised.
        unsafe { libc::pthread_attr_setdetachstate(detached.as_mut_ptr(), state) };
        attributes = detached.as_ptr();
    }
    let mut thread = 0;
    let argument = Box::into_raw(call).cast::<c_void>();
    // SAFETY: the attributes are valid, and `run` takes ownership of the argument.
    if unsafe { libc::pthread_create(&raw mut thread, attributes, run, argument) } != 0 {
        // SAFETY: no thread was started, so this thread still owns the box.
        drop(unsafe { Box::from_raw(argument.cast::<Call>()) });
    }
}

extern "C" fn run(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `start_thread` made the argument from a box.
    let Call { function, value } = *unsafe { Box::from_raw(argument.cast::<Call>()) };
    // The new thread inherits the signal mask of the thread that completed the request, which
    // blocks all signals. A thread of the program does not.
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call initialises the set.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: the set is initialised.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) };
    // SAFETY: C has passed the function for this value.
    unsafe { function(value) };
    ptr::null_mut()
}
