//! What a session does in doubt: it asks what of an attempt has arrived.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};

use super::Session;
use crate::Error;
use crate::mark::{Base, Mark, Tail};
use crate::pack::BATCH_MAX;

/// How long the last message may be older than one that was acknowledged, before the session
/// believes that the stream was purged. A leader that was replaced may answer from memory until it
/// learns of that; servers allow 10 seconds.
const PURGED_AFTER: Duration = Duration::from_secs(30);

/// The answer to what has arrived.
#[derive(Debug)]
pub enum Found {
    Nothing,
    Bytes(usize),
    /// Nothing, and the log ends elsewhere than it was thought.
    Moved,
    Other(Error),
}

impl Session {
    /// Asks how much of what was published at the base has arrived, and moves the base past it, at
    /// most `len` bytes.
    pub(super) async fn resolve(&mut self, stream: &Stream, len: usize) -> Result<Found, String> {
        let Some(base) = self.base else {
            return Ok(Found::Moved);
        };
        let tail = self.ask(stream).await?;
        if tail.seq < base.seq {
            return self.look_at_older(&tail);
        }
        self.older_since = None;
        if tail.seq == base.seq {
            return Ok(Found::Nothing);
        }
        let is_ours = |mark: &Mark| mark.write == base.write && mark.writer == self.writer;
        let last = match &tail.mark {
            Some(mark) if is_ours(mark) => Some((tail.seq, mark.end)),
            _ => self.walk(stream, base, is_ours).await?,
        };
        let has_other = last.is_none_or(|(seq, _)| seq < tail.seq);
        if has_other && (self.is_confirmed || !self.may_follow(&tail)) {
            let error = self.fenced(&tail);
            if last.is_none() {
                return Ok(Found::Other(error));
            }
            let _ = self.fail(&error); // first, what has arrived is accounted for
        }
        let count = last.map_or(0, |(_, end)| end.saturating_sub(base.end)) as usize;
        if count > len {
            // An earlier attempt had more bytes than this one: the rest is asked for again.
            let end = base.end + len as u64;
            self.move_to(Base { end, ..base });
            return Ok(Found::Bytes(len));
        }
        self.in_doubt = false;
        if count > 0 {
            self.is_confirmed = true;
            self.shared.with(|known| known.reason = None);
        }
        self.move_to(Base::after(tail.seq, tail.end()));
        Ok(match count {
            0 => Found::Moved,
            count => Found::Bytes(count),
        })
    }

    /// Looks at the messages that follow `base` for the last one of its write. Returns its number,
    /// and the length of the log there.
    async fn walk(
        &self,
        stream: &Stream,
        base: Base,
        is_ours: impl Fn(&Mark) -> bool,
    ) -> Result<Option<(u64, u64)>, String> {
        let mut last = None;
        let mut seq = base.seq;
        let mut unmarked = 0;
        while unmarked < BATCH_MAX {
            let subject = &self.contact.subject;
            let next = stream
                .get_first_raw_message_by_subject(subject, seq + 1)
                .await;
            let message = match next {
                Ok(message) => message,
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => break,
                Err(error) => return Err(self.refused(&error)),
            };
            seq = message.sequence;
            match Mark::of(&message.headers) {
                Some(mark) if is_ours(&mark) => {
                    last = Some((seq, mark.end));
                    unmarked = 0;
                }
                Some(_) => break,
                None => unmarked += 1, // within a batch: the mark is in its last message
            }
        }
        Ok(last)
    }

    /// Decides about a last message that is older than one that was acknowledged.
    fn look_at_older(&mut self, tail: &Tail) -> Result<Found, String> {
        let since = *self.older_since.get_or_insert_with(Instant::now);
        if since.elapsed() < PURGED_AFTER {
            let seq = self.base.map_or(0, |base| base.seq);
            return Err(format!(
                "the last message of {} was number {seq}, and is number {} now: was it purged?",
                self.contact.subject, tail.seq
            ));
        }
        self.older_since = None;
        self.in_doubt = false;
        self.move_to(Base::after(tail.seq, tail.end()));
        Ok(Found::Moved)
    }
}
