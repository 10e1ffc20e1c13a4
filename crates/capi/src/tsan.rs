//! What a program with ThreadSanitizer cannot see by itself: that this library, which is compiled without it, orders what
//! one thread does before it hands something over behind what another does that gets it.
//!
//! Without the sanitizer each function here is a load and a branch.

use std::ffi::{CStr, c_void};
use std::mem::transmute;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// `__tsan_acquire` and `__tsan_release`, if the program has them.
static ACQUIRE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
static RELEASE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Everything is handed over here: that sees fewer races than there may be, and none that there is not.
static PLACE: u8 = 0;

/// Looks for the sanitizer. Before `main` runs.
pub fn look() {
    let find = |name: &CStr| {
        // SAFETY: the name is a string.
        unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
    };
    // Relaxed on both: this thread starts all others.
    ACQUIRE.store(find(c"__tsan_acquire"), Ordering::Relaxed);
    RELEASE.store(find(c"__tsan_release"), Ordering::Relaxed);
}

/// The caller gets something that was handed over.
#[inline]
pub fn got() {
    call(&ACQUIRE);
}

/// The caller hands something over.
#[inline]
pub fn gave() {
    call(&RELEASE);
}

#[inline]
fn call(function: &AtomicPtr<c_void>) {
    // Relaxed: as above.
    let function = function.load(Ordering::Relaxed);
    if !function.is_null() {
        // SAFETY: both are `void (void *)`.
        let function = unsafe { transmute::<*mut c_void, extern "C" fn(*const u8)>(function) };
        function(&raw const PLACE);
    }
}
