//! Batches: the requests that one write(2) carries out.

use std::ffi::c_int;

use crate::desk::{Bytes, Desk, Work};
use crate::kind::Kind;
use crate::quiet::last_errno;

/// The requests that a thread takes off a desk at once.
pub struct Batch {
    vectors: [libc::iovec; Batch::MAX],
    len: usize,
    fd: c_int,
    kind: Kind,
    offset: i64,
}

impl Batch {
    const MAX: usize = 64;

    /// Takes the next requests of a desk; they count as running from then on. `None` if the desk
    /// has no write to do next, or if requests are running.
    pub fn take(desk: &mut Desk) -> Option<Self> {
        if desk.running > 0 {
            return None;
        }
        let file = desk.file.as_ref()?;
        let none = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        let mut batch = Self {
            vectors: [none; Self::MAX],
            len: 0,
            fd: file.raw(),
            kind: file.kind,
            offset: 0,
        };
        let mut bytes = 0_usize;
        for request in desk.requests.iter().take(Self::MAX) {
            let Work::Write(write) = &request.work else {
                break;
            };
            let left = write.len - write.written;
            bytes = bytes.saturating_add(left);
            if batch.len == 0 {
                batch.offset = write.offset.saturating_add_unsigned(write.written as u64);
            } else if bytes > file.kind.batch_bytes() {
                break;
            }
            batch.vectors[batch.len] = libc::iovec {
                iov_base: write.start.wrapping_add(write.written).cast_mut().cast(),
                iov_len: left,
            };
            batch.len += 1;
        }
        desk.running = batch.len;
        (batch.len > 0).then_some(batch)
    }

    /// Writes the batch or its first part. Returns the number of bytes written.
    pub fn write(&self) -> Result<usize, c_int> {
        loop {
            match self.try_write() {
                Err(libc::EINTR) => {}
                Err(libc::EAGAIN) => wait_ready(self.fd),
                result => return result,
            }
        }
    }

    fn try_write(&self) -> Result<usize, c_int> {
        let mut len = self.len as c_int;
        let seeks = self.kind.is_quick();
        if seeks && len > 1 {
            // SAFETY: the call takes no pointer.
            let flags = unsafe { libc::fcntl(self.fd, libc::F_GETFL) };
            if flags & libc::O_APPEND == 0 {
                len = 1; // the program has left append mode: each request has an offset
            }
        }
        let vectors = self.vectors.as_ptr();
        let written = if seeks {
            // In append mode the kernel ignores the offset and appends.
            // SAFETY: the vectors point to buffers of requests that are not complete.
            unsafe { libc::pwritev(self.fd, vectors, len, self.offset.max(0)) }
        } else {
            // SAFETY: as above.
            unsafe { libc::writev(self.fd, vectors, len) }
        };
        usize::try_from(written).map_err(|_| last_errno())
    }
}

/// Waits until a non-blocking descriptor accepts bytes, or has failed.
fn wait_ready(fd: c_int) {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: the pointer is to a live value.
    unsafe { libc::poll(&raw mut poll, 1, -1) };
}

/// Credits the written bytes of a batch to its requests. Returns how many requests, from the first,
/// are complete.
pub fn account(desk: &mut Desk, outcome: Result<usize, c_int>) -> usize {
    let Ok(mut bytes) = outcome else {
        return 1;
    };
    let is_single = desk
        .file
        .as_ref()
        .is_some_and(|file| file.kind == Kind::Single);
    let ends_short = is_single || bytes == 0;
    let mut complete = 0;
    for request in desk.requests.iter_mut().take(desk.running) {
        let Work::Write(Bytes { len, written, .. }) = &mut request.work else {
            break;
        };
        let taken = bytes.min(*len - *written);
        *written += taken;
        bytes -= taken;
        if written < len && !(ends_short && complete == 0) {
            break;
        }
        complete += 1;
    }
    complete
}
