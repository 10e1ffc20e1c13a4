//! glibc's aio, used as Open vSwitch does to append asynchronously: one control block for each
//! write, a ring of 64 KiB for the bytes, and a wait for the oldest write when either is full.
//! Source: `lib/async-append-aio.c` of Open vSwitch.
#![allow(unsafe_code, reason = "aio has no safe interface")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr;

use alq_measure::Outcome;
use alq_measure::contestant::{Append, Contestant, Log};
use alq_measure::limits::append_to;

pub const AIO: Contestant = Contestant::of::<Aio>();

const BUFFER: usize = 1 << 16;

/// The greatest power of two of control blocks that is no larger than the buffer.
const BLOCKS: usize = 1 << (BUFFER / size_of::<libc::aiocb>()).ilog2();

pub struct Aio(Option<File>);

impl Log for Aio {
    const NAME: &'static str = "glibc aio";
    const PRODUCERS: usize = 1;
    type Producer = Writer;

    fn open(path: &Path) -> Outcome<Self> {
        Ok(Self(Some(append_to(path)?)))
    }

    fn producer(&mut self) -> Outcome<Writer> {
        let file = self.0.take().ok_or("there is one producer at most")?;
        Ok(Writer::new(file))
    }

    /// The drop of the writer has waited for all writes.
    fn finish(self) -> Outcome<u64> {
        Ok(0)
    }
}

/// One `async_append`.
pub struct Writer {
    file: File,
    /// `BLOCKS` of them, from `Box::into_raw`: the kernel's side is threads of this process.
    blocks: *mut libc::aiocb,
    block_head: usize,
    block_tail: usize,
    /// `BUFFER` bytes, from `Box::into_raw`.
    buffer: *mut u8,
    byte_head: usize,
    byte_tail: usize,
}

// SAFETY: the pointers own what they point to, and nothing here depends on the thread that uses
// them.
unsafe impl Send for Writer {}

impl Writer {
    fn new(file: File) -> Self {
        // SAFETY: an aiocb is integers and pointers, for all of which zero is a value.
        let block = || unsafe { std::mem::zeroed::<libc::aiocb>() };
        let blocks: Box<[_]> = (0..BLOCKS).map(|_| block()).collect();
        Self {
            file,
            blocks: Box::into_raw(blocks).cast(),
            block_head: 0,
            block_tail: 0,
            buffer: Box::into_raw(vec![0; BUFFER].into_boxed_slice()).cast(),
            byte_head: 0,
            byte_tail: 0,
        }
    }

    /// The control block of the `n`th write.
    fn block(&self, n: usize) -> *mut libc::aiocb {
        // SAFETY: the index is less than BLOCKS, which is the length of the allocation.
        unsafe { self.blocks.add(n & (BLOCKS - 1)) }
    }

    fn is_full(&self) -> bool {
        self.block_head - self.block_tail >= BLOCKS || self.byte_head - self.byte_tail >= BUFFER
    }

    /// Frees the completed writes; waits for the oldest write if none is complete.
    fn wait(&mut self) {
        let mut done = 0;
        while self.block_tail != self.block_head {
            let block = self.block(self.block_tail);
            // SAFETY: the block was submitted, and not returned since.
            let error = unsafe { libc::aio_error(block) };
            if error == libc::EINPROGRESS {
                if done > 0 {
                    return;
                }
                let list = [block.cast_const()];
                // SAFETY: a list of one submitted block, and no time limit.
                unsafe { libc::aio_suspend(list.as_ptr(), 1, ptr::null()) };
                continue;
            }
            // SAFETY: the block is complete, and its result is requested only here.
            let written = unsafe { libc::aio_return(block) };
            // SAFETY: the block is complete, so the kernel side does not use it.
            let len = unsafe { (*block).aio_nbytes };
            // Open vSwitch ignores it.
            assert_eq!(usize::try_from(written), Ok(len), "errno {error}");
            self.block_tail += 1;
            self.byte_tail += len;
            done += 1;
        }
    }

    /// Submits the contiguous part of the bytes, and returns its length.
    fn submit(&mut self, bytes: &[u8]) -> usize {
        while self.is_full() {
            self.wait();
        }
        let start = self.byte_head & (BUFFER - 1);
        let free = BUFFER - (self.byte_head - self.byte_tail);
        let len = bytes.len().min(free).min(BUFFER - start);
        // SAFETY: start is less than BUFFER, the length of the allocation.
        let chunk = unsafe { self.buffer.add(start) };
        // SAFETY: start + len <= BUFFER, and these bytes are free: no write of them is under way.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), chunk, len) };
        // SAFETY: as in `new`.
        let mut block = unsafe { std::mem::zeroed::<libc::aiocb>() };
        block.aio_fildes = self.file.as_raw_fd();
        block.aio_buf = chunk.cast();
        block.aio_nbytes = len;
        block.aio_sigevent.sigev_notify = libc::SIGEV_NONE;
        let place = self.block(self.block_head);
        // SAFETY: fewer than BLOCKS are under way, so this one is not.
        unsafe { place.write(block) };
        // SAFETY: the block and its bytes stay where they are until its result was taken (`drop`
        // waits for all).
        let result = unsafe { libc::aio_write(place) };
        assert_eq!(result, 0, "aio_write takes it");
        self.block_head += 1;
        self.byte_head += len;
        len
    }
}

impl Append for Writer {
    fn append(&mut self, mut record: &[u8]) -> io::Result<()> {
        while !record.is_empty() {
            let len = self.submit(record);
            record = &record[len..];
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        while self.block_tail != self.block_head {
            self.wait();
        }
        let blocks = ptr::slice_from_raw_parts_mut(self.blocks, BLOCKS);
        // SAFETY: it came from `Box::into_raw` with this length, and no write is under way.
        drop(unsafe { Box::from_raw(blocks) });
        let buffer = ptr::slice_from_raw_parts_mut(self.buffer, BUFFER);
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(buffer) });
    }
}
