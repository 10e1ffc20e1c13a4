//! A lane for each thread that appends.
//!
//! A thread finds its own in a thread-local list. The list must not keep a queue open that everybody else has dropped, nor may
//! a lane outlive its thread; so a lane is reached from both sides, and either takes it away: the thread when it ends, the
//! owner of all when that is dropped.

use core::cell::RefCell;

use super::policy::Patience;
use crate::face::{Lane, Queue};
use crate::primitives::sync::{Arc, Mutex, unique_number};
use crate::words::Error;

/// The longest text whose memory a thread keeps for the next.
const KEPT_BYTES: usize = 64 << 10;

/// The lanes of all threads into one queue.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Names it in the lists of the threads.
    key: u64,
    queue: Queue,
    all: Mutex<Vec<Arc<Own>>>,
}

/// The lane of one thread, and the event that it is collecting. Only the thread locks it, but for the drop of `Lanes`; and never
/// while code of others may run, which may log.
#[derive(Debug)]
pub(super) struct Own(Mutex<State>);

#[derive(Debug)]
struct State {
    /// `None` once either side has gone, and while an event is appended.
    lane: Option<Lane>,
    text: Vec<u8>,
    is_collecting: bool,
    /// An event within this one went through the queue itself.
    has_inner: bool,
}

/// An entry in the list of a thread; its drop is the end of the thread.
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

    /// Begins an event in the lane of the calling thread. `None` where there is none: within another event of the same
    /// thread, and once its thread-locals are gone.
    pub(super) fn begin(&self) -> Option<Arc<Own>> {
        let own = MINE.try_with(|mine| {
            let mut mine = mine.try_borrow_mut().ok()?;
            if let Some(found) = mine.iter().find(|mine| mine.key == self.key) {
                return Some(Arc::clone(&found.own));
            }
            mine.retain(|mine| Arc::strong_count(&mine.own) > 1); // the others' owners are gone, and have ended these
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

    /// A lane for a thread that has none; `None` if another thread, or in a child of fork(2) nobody, is making one.
    fn enter(&self) -> Option<Arc<Own>> {
        let mut all = self.all.try_lock()?;
        all.retain(|own| Arc::strong_count(own) > 1); // the threads of the others have ended
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

    /// Collects a piece of the event, of `max` bytes at most.
    pub(super) fn collect(&self, piece: &[u8], max: usize) -> Result<(), Error> {
        let text = &mut self.0.lock().text;
        let len = text.len() + piece.len();
        if len > max {
            return Err(Error::TooLarge { len, max });
        }
        text.extend_from_slice(piece);
        Ok(())
    }

    /// Ends the event: as one record of the lane, or, with no `patience`, as none.
    pub(super) fn finish(&self, patience: Option<Patience>) -> Result<(), Error> {
        let (mut lane, mut text, has_inner) = {
            let mut state = self.0.lock();
            let has_inner = core::mem::take(&mut state.has_inner);
            (
                state.lane.take(),
                core::mem::take(&mut state.text),
                has_inner,
            )
        };
        // Not under the lock: who has waited for room tells tasks, and a waker may log. That event is within this one.
        let appended = match (&mut lane, patience) {
            (Some(lane), Some(patience)) if !text.is_empty() => {
                if has_inner {
                    lane.seal(); // it was posted before this one, and comes before it
                }
                patience.append_in(lane, &text)
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
        drop(lane); // not under the lock: it may be the last handle of the queue, whose drop waits
    }
}
