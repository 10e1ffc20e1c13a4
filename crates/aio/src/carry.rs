//! Requests are submitted to a desk, carried out in order, and completed.
//!
//! A desk has a queue of `alq`. A record in it is a ticket: it means that the desk has requests.
//! The flusher drains the tickets into a sink, and that sink carries the requests out. So requests
//! have what records of a queue have: a flusher that sleeps while there is nothing to do, a drain
//! at the end of the process, and appends that bypass the ring after that. A thread in
//! `aio_suspend` does not have to wait for the flusher: if writes to the file are quick, it carries
//! out requests itself.

use std::ffi::c_int;
use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use alq::{Flags, Options, Sink, SyncOp};

use crate::batch::{Batch, account};
use crate::block::{Handle, Owner};
use crate::desk::{Desk, Desks, Part, Request, Station, Work, desks, find, try_desks};
use crate::event::Event;
use crate::group::Group;
use crate::kind::{Kind, NotHere, OpenFile};
use crate::quiet::{Quiet, last_errno};
use crate::{eager, fork, wait};

/// The longest time until the flusher carries out a request that the program neither waits for nor
/// is notified of.
const NAP_MAX: Duration = Duration::from_millis(1);

/// The sink of a queue: does one part of the work of the desk with this index.
struct Carrier(Part, usize);

impl Sink for Carrier {
    fn write(&self, tickets: &[IoSlice<'_>]) -> io::Result<usize> {
        let Self(part, index) = *self;
        if let Some(station) = &mut desks()[index].stations[part as usize] {
            station.is_expected = false; // before `carry`: later requests post a new ticket
        }
        carry(part, index);
        Ok(tickets.iter().map(|run| run.len()).sum())
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        Ok(()) // tickets are not data
    }
}

fn carry(part: Part, index: usize) {
    match part {
        Part::Writes => _ = carry_out(index, None),
        Part::Syncs => sync(index),
    }
}

/// Posts a ticket for the flusher of a desk. Creates the queue and its flusher if they do not
/// exist. If that fails, or the queue takes no tickets any more, this thread does the work.
fn summon(part: Part, index: usize) {
    let is_missing = desks()[index].stations[part as usize].is_none();
    if is_missing {
        let options = Options::new().capacity(4096).max_delay(NAP_MAX);
        let Ok(queue) = options.open_sink(Carrier(part, index)) else {
            return carry_here(part, index);
        };
        // Another thread may have made one at the same time: that queue is dropped without the
        // lock.
        let made = Station {
            queue,
            is_expected: false,
        };
        let before = desks()[index].stations[part as usize].replace(made);
        drop(before);
    }
    let mut desks = desks();
    let station = desks[index].stations[part as usize].as_mut();
    let ticket = station.and_then(Station::expect);
    drop(desks);
    // A queue holds at most one ticket, so this call does not wait for room.
    if ticket.is_some_and(|queue| queue.writen(b"!", Flags::WAITOK).is_err()) {
        carry_here(part, index);
    }
}

/// Does the work of a flusher on a thread of the program, which must not get the signals of a
/// write.
fn carry_here(part: Part, index: usize) {
    let quiet = Quiet::new();
    carry(part, index);
    for signo in [libc::SIGPIPE, libc::SIGXFSZ] {
        quiet.discard(signo);
    }
}

/// Finds the desk of a descriptor's open file, or sets up a free desk for it.
fn desk_for(desks: &mut Desks, number: c_int) -> Result<usize, NotHere> {
    if let Some(index) = find(desks, number) {
        return Ok(index);
    }
    let file = OpenFile::new(number)?;
    if file.kind == Kind::Memory {
        eager::note(number);
    }
    let free = desks.iter().position(Desk::is_free);
    let index = free.unwrap_or(desks.len());
    if free.is_none() {
        desks.push(Desk::default());
    }
    desks[index].file = Some(file);
    Ok(index)
}

/// Submits a request.
///
/// # Errors
///
/// `None` if the request is for the next implementation; otherwise `EAGAIN` or `EINVAL`.
pub fn submit(request: Request) -> Result<(), Option<c_int>> {
    fork::prepare();
    let handle = request.handle;
    let is_awaited = !matches!(request.event, Event::None) || request.group.is_some();
    let mut desks = desks();
    if is_outstanding(&desks, handle) {
        return Err(Some(libc::EINVAL));
    }
    let index = desk_for(&mut desks, request.number).map_err(|not_here| match not_here {
        NotHere::Next => None,
        NotHere::Again => Some(libc::EAGAIN),
    })?;
    let desk = &mut desks[index];
    let is_sync = matches!(request.work, Work::Sync(_));
    let file = desk.file.as_ref();
    let refused = if is_sync && file.is_none_or(|file| file.kind != Kind::Regular) {
        Some(libc::EINVAL)
    } else {
        let no_memory = desk.requests.try_reserve(1).is_err();
        no_memory.then_some(libc::EAGAIN)
    };
    if refused.is_some() {
        return_idle(desk);
        return Err(refused);
    }
    handle.begin(Owner::Here);
    eager::OUTSTANDING.fetch_add(1, Ordering::Relaxed); // Relaxed: see `eager::write`
    desk.requests.push_back(request);
    let writer = desk.stations[Part::Writes as usize].as_ref();
    let is_expected = writer.is_some_and(|writer| writer.is_expected);
    let awaited = writer.filter(|_| is_awaited || is_sync);
    let awaited = awaited.map(|writer| writer.queue.clone());
    drop(desks);
    if !is_expected {
        summon(Part::Writes, index);
    }
    if let Some(writer) = awaited {
        writer.activate();
    }
    Ok(())
}

/// Whether a block is submitted and not complete. (The mark alone does not prove it: reused memory
/// may hold an old block.)
fn is_outstanding(desks: &Desks, handle: Handle) -> bool {
    let looks_so = handle.owner() == Some(Owner::Here) && handle.error() == libc::EINPROGRESS;
    let mut all = desks.iter().flat_map(Desk::outstanding);
    looks_so && all.any(|one| one.handle == handle)
}

/// Frees a desk without requests, after a request for it was refused.
fn return_idle(desk: &mut Desk) {
    if desk.requests.is_empty() && desk.syncs.is_empty() {
        desk.file = None;
    }
}

/// What remains to do for a completed request, without the lock.
struct Notice {
    event: Event,
    group: Option<Arc<Group>>,
    failed: bool,
}

impl Notice {
    /// Completes a request, which then belongs to the program again. `None` if no notification is
    /// due.
    fn complete(request: Request, result: Result<usize, c_int>) -> Option<Self> {
        request.handle.complete(result);
        eager::OUTSTANDING.fetch_sub(1, Ordering::Relaxed); // Relaxed: as above
        let is_silent = matches!(request.event, Event::None) && request.group.is_none();
        (!is_silent).then_some(Self {
            event: request.event,
            group: request.group,
            failed: result.is_err(),
        })
    }

    fn send(self) {
        self.event.notify();
        if let Some(group) = self.group {
            group.complete(1, self.failed);
        }
    }
}

fn send_all(notices: Vec<Notice>) {
    wait::wake();
    notices.into_iter().for_each(Notice::send);
}

/// Completes a request that is on no desk any more.
pub fn complete(request: Request, result: Result<usize, c_int>) {
    send_all(Notice::complete(request, result).into_iter().collect());
}

/// Closes the file of a desk if all its requests are about to be complete.
///
/// Once the program sees the completion, it may close its descriptor, and expects that this is the
/// last descriptor of the file.
fn close_if_last(
    mut desks: MutexGuard<'_, Desks>,
    index: usize,
    complete: usize,
) -> MutexGuard<'_, Desks> {
    let desk = &mut desks[index];
    if complete == desk.requests.len() + desk.syncs.len() {
        let file = desk.file.take();
        drop(desks);
        drop(file);
        desks = self::desks();
    }
    desks
}

/// Carries out the requests of a desk: all of them, or until `wanted` is complete. Returns at once
/// if another thread is doing it. Returns whether a write met the limit on file sizes.
fn carry_out(index: usize, wanted: Option<Handle>) -> bool {
    let mut met_limit = false;
    loop {
        let (batch, are_due) = {
            let mut desks = desks();
            let are_due = set_syncs_apart(&mut desks[index]);
            (Batch::take(&mut desks[index]), are_due)
        };
        if are_due {
            summon(Part::Syncs, index);
        }
        let Some(batch) = batch else {
            return met_limit;
        };
        let outcome = batch.write();
        met_limit |= outcome == Err(libc::EFBIG);
        if write_done(index, outcome, wanted) {
            return met_limit;
        }
    }
}

/// Completes the requests that a batch has written. Returns whether `wanted` was among them; if so,
/// leaves the remaining requests to the flusher.
fn write_done(index: usize, outcome: Result<usize, c_int>, wanted: Option<Handle>) -> bool {
    let mut desks = desks();
    let complete = account(&mut desks[index], outcome);
    desks = close_if_last(desks, index, complete);
    let desk = &mut desks[index];
    desk.running = 0;
    let mut notices = Vec::new();
    let mut is_wanted = false;
    for request in desk.requests.drain(..complete) {
        let written = request.written();
        let result = match outcome {
            Err(errno) if written == 0 => Err(errno),
            _ => Ok(written),
        };
        is_wanted |= wanted == Some(request.handle);
        notices.extend(Notice::complete(request, result));
    }
    let is_left = is_wanted && !desk.requests.is_empty();
    drop(desks);
    send_all(notices);
    if is_left {
        summon(Part::Writes, index);
    }
    is_wanted
}

/// Moves syncs whose turn has come to `syncs`: another thread does them, while the writes after
/// them continue. Returns whether there are any.
fn set_syncs_apart(desk: &mut Desk) -> bool {
    if desk.running > 0 {
        return false;
    }
    let is_sync = |request: &&Request| matches!(request.work, Work::Sync(_));
    let due = desk.requests.iter().take_while(is_sync).count();
    desk.syncs.extend(desk.requests.drain(..due));
    due > 0
}

/// Does the syncs of a desk, with one call for all that wait.
fn sync(index: usize) {
    loop {
        let mut desks = desks();
        let desk = &mut desks[index];
        let Some(fd) = desk.file.as_ref().map(OpenFile::raw) else {
            return;
        };
        if desk.syncs.is_empty() || desk.syncing > 0 {
            return;
        }
        desk.syncing = desk.syncs.len();
        let full = desk
            .syncs
            .iter()
            .any(|one| matches!(one.work, Work::Sync(libc::O_SYNC)));
        drop(desks);
        let result = sync_file(fd, full);
        desks = self::desks();
        let complete = desks[index].syncing;
        desks = close_if_last(desks, index, complete);
        let desk = &mut desks[index];
        desk.syncing = 0;
        let complete = desk.syncs.drain(..complete);
        let notices = complete
            .filter_map(|one| Notice::complete(one, result))
            .collect();
        drop(desks);
        send_all(notices);
    }
}

fn sync_file(fd: c_int, full: bool) -> Result<usize, c_int> {
    loop {
        let sync = if full { libc::fsync } else { libc::fdatasync };
        // SAFETY: neither call takes a pointer.
        match unsafe { sync(fd) } {
            0 => return Ok(0),
            _ if last_errno() == libc::EINTR => {}
            _ => return Err(last_errno()),
        }
    }
}

/// Carries out `wanted` and the requests before it on this thread, if `may_carry` and writes to its
/// file are quick. Otherwise wakes the flusher. The caller then sleeps if `wanted` is not complete.
pub fn hasten(wanted: Handle, may_carry: bool) {
    let quiet = Quiet::new();
    let Some(desks) = try_desks() else {
        return; // this thread may hold the lock: `aio_suspend` in a signal handler
    };
    let has = |desk: &Desk| desk.requests.iter().any(|one| one.handle == wanted);
    let Some(index) = desks.iter().position(has) else {
        return;
    };
    let desk = &desks[index];
    let is_quick = desk.file.as_ref().is_some_and(|file| file.kind.is_quick());
    let writer = desk.stations[Part::Writes as usize].as_ref();
    let writer = writer.map(|writer| writer.queue.clone());
    drop(desks);
    if may_carry && is_quick {
        if carry_out(index, Some(wanted)) {
            quiet.discard(libc::SIGXFSZ);
        }
    } else if let Some(writer) = writer {
        writer.activate();
    }
}
