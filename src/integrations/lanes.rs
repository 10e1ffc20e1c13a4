//! Gives each appending thread a lane.
//!
//! A thread finds its lane in a thread-local list. The list must not keep a queue open after all
//! its other handles are dropped, and a lane must not outlive its thread. So both sides can reach a
//! lane, and the first to end drops it: the thread, or the [`Lanes`].

use core::cell::RefCell;

use super::policy::Patience;
use crate::face::{Lane, Queue};
use crate::primitives::sync::{Arc, Mutex, unique_number};
use crate::words::Error;

/// The most memory, in bytes, that a thread keeps for its next event.
const KEPT_BYTES: usize = 64 << 10;

/// The lanes of all threads into one queue.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Identifies this value in the thread-local lists.
    key: u64,
    queue: Queue,
    all: Mutex<Vec<Arc<Own>>>,
}

/// The lane of one thread, and the event that it is collecting. Only that thread and the drop of
/// `Lanes` lock it. The lock is never held while foreign code may run, because that code may log.
#[derive(Debug)]
pub(super) struct Own(Mutex<State>);

#[derive(Debug)]
struct State {
    /// `None` once the thread or the `Lanes` has ended, and while an event is appended.
    lane: Option<Lane>,
    text: Vec<u8>,
    is_collecting: bool,
    /// Whether an event inside this one was appended through the queue instead of the lane.
    has_inner: bool,
}

/// An entry in the list of a thread. It is dropped when the thread ends.
struct Mine {
    key: u64,
    own: Arc<Own>,
}

thread_local! {
    static MINE: RefCell<Vec<Mine>> = const { RefCell::new(Vec::new()) };
}

impl Drop for Mine {
    fn drop(&mut self) {
        self.own.end();
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.all.lock().iter().for_each(|own| own.end());
    }
}

impl Lanes {
    pub(super) fn new(queue: &Queue) -> Self {
        Self {
            key: unique_number(),
            queue: queue.clone(),
            all: Mutex::new(Vec::new()),
        }
    }

    /// Begins an event in the lane of the calling thread. `None` if the lane cannot be used: inside
    /// another event of the same thread, and after its thread-locals were destroyed.
    pub(super) fn begin(&self) -> Option<Arc<Own>> {
        let own = MINE.try_with(|mine| {
            let mut mine = mine.try_borrow_mut().ok()?;
            if let Some(found) = mine.iter().find(|mine| mine.key == self.key) {
                return Some(Arc::clone(&found.own));
            }
            // Removes the lanes whose `Lanes` was dropped, which has ended them.
            mine.retain(|mine| Arc::strong_count(&mine.own) > 1);
            let own = self.enter()?;
            mine.push(Mine {
                key: self.key,
                own: Arc::clone(&own),
            });
            Some(own)
        });
        let own = own.ok().flatten()?;
        own.begin().then_some(own)
    }

    /// Makes the first lane of a thread. `None` if the list is locked: another thread is making a
    /// lane or, in a child of fork(2), a thread of the parent was.
    fn enter(&self) -> Option<Arc<Own>> {
        let mut all = self.all.try_lock()?;
        all.retain(|own| Arc::strong_count(own) > 1); // removes those of threads that have ended
        let own = Arc::new(Own(Mutex::new(State {
            lane: Some(self.queue.lane()),
            text: Vec::new(),
            is_collecting: false,
            has_inner: false,
        })));
        all.push(Arc::clone(&own));
        Some(own)
    }
}

impl Own {
    fn begin(&self) -> bool {
        let mut state = self.0.lock();
        if state.is_collecting {
            state.has_inner = true;
            return false;
        }
        state.is_collecting = state.lane.is_some();
        state.is_collecting
    }

    /// Adds a piece to the event, which `queue` must be able to hold.
    pub(super) fn collect(&self, piece: &[u8], queue: &Queue) -> Result<(), Error> {
        let text = &mut self.0.lock().text;
        let len = text.len() + piece.len();
        if len > queue.capacity() {
            return Err(queue.too_large(len));
        }
        text.extend_from_slice(piece);
        Ok(())
    }

    /// Ends the event. With `patience` it becomes one record of the lane of `queue`; without, it is
    /// discarded.
    pub(super) fn finish(
        &self,
        queue: &Queue,
        patience: Option<Patience<'_>>,
    ) -> Result<(), Error> {
        let (mut lane, mut text, has_inner) = {
            let mut state = self.0.lock();
            let has_inner = core::mem::take(&mut state.has_inner);
            (
                state.lane.take(),
                core::mem::take(&mut state.text),
                has_inner,
            )
        };
        // Not under the lock: a thread that has waited for room wakes tasks, and a waker may log.
        // That event is then inside this one.
        let appended = match (&mut lane, patience) {
            (Some(lane), Some(patience)) if !text.is_empty() => {
                if has_inner {
                    lane.seal(); // the inner event was posted first, and must come first
                }
                patience.append_in(queue, lane, &text)
            }
            (None, Some(_)) => Err(Error::Closed),
            _ => Ok(()),
        };
        text.clear();
        text.shrink_to(KEPT_BYTES);
        let mut state = self.0.lock();
        (state.lane, state.text, state.is_collecting) = (lane, text, false);
        appended
    }

    fn end(&self) {
        let lane = self.0.lock().lane.take();
        drop(lane); // not under the lock: the last handle of a queue waits in its drop
    }
}
