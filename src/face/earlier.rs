//! What a queue must know of a log of frames before it goes on: its end, the end of the older files
//! if this one is empty, and its chain.
//!
//! This file reads and decides; `mend.rs` changes the log.

#[cfg(feature = "read")]
use super::found::Earlier;
use super::found::Found;
use super::opening::Opening;
#[cfg(feature = "chain")]
use crate::actors::ChainStart;
use crate::ends::Sink;
use crate::ends::stream;
#[cfg(feature = "chain")]
use crate::ends::stream::Stream;
#[cfg(feature = "read")]
use crate::read;
#[cfg(feature = "chain")]
use crate::words::frame::HEADER_LEN;
#[cfg(feature = "chain")]
use crate::words::frame::chain::{ChainKey, Verifier};
#[cfg(feature = "chain")]
use crate::words::frame::{Kind, Next};
use crate::words::{Error, FramingProblem, Operation};

impl Opening {
    /// Looks at the end of a log of frames, and for the position `mark`.
    ///
    /// # Errors
    ///
    /// [`Error::Framing`] if the log cannot be continued; [`Error::Io`].
    #[cfg_attr(
        not(feature = "read"),
        expect(clippy::unused_self, reason = "for older files")
    )]
    pub(super) fn look_at_frames(self, sink: &dyn Sink, mark: u64) -> Result<Found, Error> {
        #[cfg(feature = "chain")]
        let mut verifier = self.chain.map(Verifier::new);
        let stream = stream::look(sink, mark, &mut |bytes, next| {
            #[cfg(feature = "chain")]
            if let Some(verifier) = &mut verifier {
                // What is wrong is for a reader to say, except for the key.
                let _ = match next {
                    Next::Frame(frame, _) if frame.kind == Kind::Checkpoint => {
                        verifier.check(bytes, frame.payload, ())
                    }
                    _ => verifier.add(bytes, ()),
                };
            }
            let _ = (bytes, next);
        });
        let stream = stream.map_err(|error| Error::io(Operation::Open, &error))?;
        let stream = stream.map_err(Error::framing)?;
        #[cfg(feature = "chain")]
        if let (Some(key), Some(verifier)) = (self.chain, verifier) {
            return self.look_at_chain(sink, stream, key, verifier);
        }
        let found = Found::of(stream);
        let is_chained = stream.is_some_and(|stream| stream.is_chained);
        #[cfg(feature = "read")]
        let (found, is_chained) = match stream {
            Some(stream) if stream.header.is_none() => self.look_at_last(found, sink),
            _ => (found, is_chained),
        };
        if is_chained {
            return Err(Error::framing(FramingProblem::Chained));
        }
        Ok(found)
    }

    /// Adds what the newest older file says. Without one, or with an unreadable one, the log begins
    /// anew. Returns whether the log has a chain.
    #[cfg(feature = "read")]
    fn look_at_last(self, mut found: Found, sink: &dyn Sink) -> (Found, bool) {
        let last = self.last(sink).ok().flatten();
        found.earlier = last.as_ref().map(Earlier::of);
        (found, last.is_some_and(|last| last.is_chained))
    }

    /// Finds where the chain of the log continues. A file that has no more than its header begins
    /// anew: its process was killed before the first checkpoint.
    #[cfg(feature = "chain")]
    fn look_at_chain(
        self,
        sink: &dyn Sink,
        stream: Option<Stream>,
        key: ChainKey,
        verifier: Verifier<()>,
    ) -> Result<Found, Error> {
        let header = stream.and_then(|stream| stream.header);
        let has_frames = stream.is_some_and(|stream| stream.whole_bytes > HEADER_LEN as u64);
        let start = |chain, is_ended| ChainStart {
            key,
            chain,
            is_ended,
            torn: Vec::new(),
        };
        if has_frames {
            let mut found = Found::of(stream);
            check(&verifier)?;
            let is_ended = verifier.is_ended();
            found.chain = Some(start(verifier.into_chain(), is_ended));
            return Ok(found);
        }
        let mut found = Found::of(stream.map(Stream::anew));
        found.chain = Some(start(None, false));
        found.earlier = header.map(|header| Earlier {
            frames: header.frames(),
            end: header.first_position,
        });
        let last = match stream {
            Some(_) => self.last(sink)?,
            None => None,
        };
        if let Some(last) = last.filter(|last| last.is_chained) {
            found.earlier = Some(Earlier::of(&last));
            if let Some(verifier) = last.verifier {
                check(&verifier)?;
                let is_ended = verifier.is_ended();
                found.chain = Some(start(verifier.into_chain(), is_ended));
            }
        }
        Ok(found)
    }

    /// Reads the newest older file of the log of `sink`.
    #[cfg(feature = "read")]
    #[cfg_attr(
        not(feature = "chain"),
        expect(clippy::unused_self, reason = "for chains")
    )]
    fn last(self, sink: &dyn Sink) -> Result<Option<read::Last>, Error> {
        let Some(path) = sink.path() else {
            return Ok(None);
        };
        let last = read::last(
            &path,
            #[cfg(feature = "chain")]
            self.chain,
        );
        last.map_err(|error| {
            let about = error.path().into();
            Error::io(Operation::Open, error.io_error()).about(&about)
        })
    }
}

/// Checks that the chain can be continued with this key.
#[cfg(feature = "chain")]
fn check<P: Clone>(verifier: &Verifier<P>) -> Result<(), Error> {
    match verifier.covered() {
        _ if verifier.has_other_key() => Err(Error::framing(FramingProblem::OtherKey)),
        None => Err(Error::framing(FramingProblem::NotChained)),
        Some(_) => Ok(()),
    }
}
