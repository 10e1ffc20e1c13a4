//! The conversation with the servers: what is published, and what is known to have arrived.
//!
//! Every publish names the message that it must follow (a compare-and-swap by the stream's leader).
//! So of several attempts at one place only one can succeed, also if a server held one back for
//! minutes. After an attempt without an answer the session is *in doubt*. Before it publishes
//! again, it asks the leader for the last message of the subject, which says how much arrived.
//! An answer that is out of date is harmless: the next publish is refused.
//!
//! A write makes one attempt, a message or an atomic batch, and the queue notes each write first.
//! So if a part of what was noted has arrived, it was the whole attempt, and no rest of it can
//! follow: not after a kill either, when the part is accounted for and no intent names the rest.
//! Several messages on the way would not be safe even with a message that closes the place behind
//! the part: each names only the number of the one before it, which that message then has.

mod doubt;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alq::LogEnd;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageError, Stream};
use bytes::Bytes;
use doubt::Found;

use crate::Error;
use crate::contact::{Contact, refusal};
use crate::mark::{Base, Mark, Tail};
use crate::pack;

/// The pause between two questions, or two attempts to connect.
pub const PAUSE: Duration = Duration::from_millis(50);

/// How a reason begins if a server is connected and no leader answers through it.
pub const NO_QUORUM: &str = "no quorum";

/// How a reason begins that the last complaint of the client explains.
pub const NO_CONNECTION: &str = "no connection";

/// What the threads of the queue read.
#[derive(Debug, Default)]
pub struct Known {
    /// `None` until the first answer.
    pub base: Option<Base>,
    /// Why nothing gets to the servers.
    pub reason: Option<String>,
    /// The last complaint of a server or of the client, since there was a connection.
    pub complaint: Option<String>,
    pub warnings: Vec<String>,
    /// The most messages of one attempt; 0 until the first answer.
    pub max_messages: usize,
    /// Why nothing is published any more.
    pub fault: Option<String>,
}

impl Known {
    /// Notes a complaint of the client. Its first error names the cause, and later ones often only
    /// the kind, so a text that the last complaint begins with changes nothing.
    pub fn complain(&mut self, text: &str) {
        let mut parts: Vec<_> = text.split(": ").filter(|part| *part != "nats").collect();
        parts.dedup();
        let text = parts.join(": ");
        let last = self.complaint.as_deref();
        if last.is_none_or(|last| !last.starts_with(&text)) {
            self.complaint = Some(format!("{text}{}", advice(&text)));
        }
    }
}

/// How a server begins to say that a user may not do something.
const FORBIDDEN: &str = "Permissions Violation";

/// Returns what to do about a complaint.
fn advice(text: &str) -> &'static str {
    if text.contains("authorization violation") {
        ": the servers refuse the user, password, token or credentials"
    } else if text.contains("signing nonce") {
        ": the seed of the nkey or of the credentials cannot be read"
    } else if text.contains("peer certificate") {
        ": name the certificate of the authority that signed the servers' certificates, and the \
         servers by the names in theirs"
    } else if text.contains("fatal alert") {
        ": the servers refuse the certificate of this client, or it has sent none"
    } else if text.starts_with(FORBIDDEN) {
        ": allow the user the subject of the log, $JS.API.> and _INBOX.>"
    } else {
        ""
    }
}

/// [`Known`], shared with the session.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<Known>>);

impl Shared {
    pub fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes why nothing arrives.
    pub fn note(&self, reason: &str) {
        self.with(|known| known.reason = Some(reason.to_owned()));
    }

    /// Returns why nothing arrives, or why nothing is published any more.
    pub fn trouble(&self) -> Option<String> {
        self.with(|known| {
            let reason = known.fault.as_ref().or(known.reason.as_ref())?;
            Some(match &known.complaint {
                Some(complaint) if known.fault.is_none() && reason.starts_with(NO_CONNECTION) => {
                    format!("{reason} ({complaint})")
                }
                // A server does not answer a request that it does not allow.
                Some(complaint) if known.fault.is_none() && complaint.starts_with(FORBIDDEN) => {
                    complaint.clone()
                }
                _ => reason.clone(),
            })
        })
    }
}

/// What a write came to.
#[derive(Debug)]
pub enum Written {
    /// The stream holds this many of its bytes.
    Taken(usize),
    /// It is not known what the stream holds: the same bytes are to be written again.
    InDoubt,
    /// Nothing was published. The place of the next write has changed: it must be noted first.
    Moved,
    /// Another writer has the subject.
    Fenced(String),
}

/// One client's conversation about one subject.
#[derive(Debug)]
pub struct Session {
    pub(crate) contact: Contact,
    pub(crate) writer: String,
    pub(crate) shared: Shared,
    base: Option<Base>,
    /// The last message as the session found it first.
    first: Option<Tail>,
    /// Whether it is known that this writer may write.
    may_write: bool,
    /// Whether an attempt at `base` may have arrived.
    in_doubt: bool,
    /// Whether the leader has accepted something at a base of this session.
    is_confirmed: bool,
    /// Since when the last message has been older than `base`.
    older_since: Option<Instant>,
}

impl Session {
    pub fn new(contact: Contact, writer: String, shared: Shared) -> Self {
        Self {
            contact,
            writer,
            shared,
            base: None,
            first: None,
            may_write: false,
            in_doubt: false,
            is_confirmed: false,
            older_since: None,
        }
    }

    /// Asks for the stream and its end until there is an answer, at most for `limit`.
    pub async fn begin(&mut self, limit: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        let stream = self.contact.stream(limit, &self.shared).await?.clone();
        if self.base.is_some() {
            return Ok(()); // an intent has said where the log ends
        }
        loop {
            match self.ask(&stream).await {
                Ok(tail) => {
                    self.move_to(Base::after(tail.seq, tail.end()));
                    self.first = Some(tail);
                    return Ok(());
                }
                Err(reason) => {
                    self.shared.note(&reason);
                    if Instant::now() >= deadline {
                        let reason = self.shared.trouble().unwrap_or(reason);
                        return Err(self.contact.unreachable(&reason, limit));
                    }
                    self.contact.pause(&self.shared).await;
                }
            }
        }
    }

    /// Writes as `writer` from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Fenced`] if another one has written last.
    pub fn write_as(&mut self, writer: String) -> Result<(), Error> {
        self.writer = writer;
        self.may_write = false;
        self.check_writer()
    }

    fn check_writer(&mut self) -> Result<(), Error> {
        match &self.first {
            Some(tail) if tail.seq > 0 && !self.may_follow(tail) => Err(self.fenced(tail)),
            tail => {
                self.may_write = tail.is_some();
                Ok(())
            }
        }
    }

    /// Publishes the beginning of `bytes`, which are the beginning of the `len` bytes of the write.
    pub async fn write(&mut self, bytes: &Bytes, len: usize) -> Written {
        let (Some(stream), Some(_)) = (self.contact.known_stream(), self.base) else {
            return self.begin_late().await;
        };
        let deadline = Instant::now() + self.contact.ack_timeout;
        if !self.may_write
            && let Err(error) = self.check_writer()
        {
            return self.fail(&error);
        }
        loop {
            if self.in_doubt {
                match self.resolve(&stream, len).await {
                    Ok(Found::Nothing) => self.in_doubt = false,
                    Ok(Found::Bytes(count)) => return Written::Taken(count),
                    Ok(Found::Moved) => return Written::Moved,
                    Ok(Found::Other(error)) => return self.fail(&error),
                    Err(reason) => self.shared.note(&reason),
                }
            }
            if !self.in_doubt {
                match self.publish(bytes).await {
                    Ok(count) => return Written::Taken(count),
                    Err(reason) => {
                        self.in_doubt = true;
                        self.shared.note(&reason);
                    }
                }
            }
            self.contact.pause(&self.shared).await;
            if Instant::now() >= deadline {
                return Written::InDoubt;
            }
        }
    }

    async fn begin_late(&mut self) -> Written {
        match self.begin(self.contact.ack_timeout).await {
            Ok(()) => Written::Moved,
            Err(error) => {
                self.contact.pause(&self.shared).await; // looks at the reason of the last attempt
                self.shared
                    .with(|known| known.reason = Some(error.to_string()));
                Written::InDoubt
            }
        }
    }

    /// Publishes the beginning of `bytes` at the base, in one attempt, and moves the base past it.
    /// Returns how many bytes that was.
    async fn publish(&mut self, bytes: &Bytes) -> Result<usize, String> {
        let mut base = self.base.unwrap_or_else(|| Base::after(0, 0));
        let (packing, most) = (self.contact.packing, self.contact.max_messages());
        let pieces = pack::pieces(bytes, packing, self.contact.max_bytes(), most);
        let takes: usize = pieces.iter().map(|piece| piece.takes).sum();
        base.end += takes as u64;
        let mark = self.mark(base);
        base.seq = match &pieces[..] {
            [piece] => self.contact.publish(piece, base.seq, &mark).await?,
            pieces => self.contact.publish_batch(pieces, base.seq, &mark).await?,
        };
        self.is_confirmed = true;
        self.move_to(Base::after(base.seq, base.end)); // the next attempt has its own number
        self.shared.with(|known| known.reason = None);
        Ok(takes)
    }

    /// Takes over the intent of an earlier process, which may have published after `end`. Returns
    /// how many bytes arrived, as far as an answer comes in time; the rest of the question is
    /// answered by the first write. `None` if the intent is for another log.
    pub async fn holds(&mut self, end: &LogEnd, len: usize) -> Option<usize> {
        self.move_to(Base::from_log_end(end, self.contact.log)?);
        self.in_doubt = true;
        let deadline = Instant::now() + self.contact.ack_timeout;
        let Some(stream) = self.contact.known_stream() else {
            return Some(0);
        };
        loop {
            match self.resolve(&stream, len).await {
                Ok(Found::Bytes(count)) => return Some(count),
                Ok(Found::Nothing) => self.in_doubt = false,
                Ok(Found::Moved) => {}
                Ok(Found::Other(error)) => {
                    let _ = self.fail(&error);
                }
                Err(reason) => {
                    self.shared.note(&reason);
                    if Instant::now() < deadline {
                        self.contact.pause(&self.shared).await;
                        continue;
                    }
                }
            }
            return Some(0);
        }
    }

    /// Asks the stream's leader for the last message of the subject.
    async fn ask(&self, stream: &Stream) -> Result<Tail, String> {
        match stream
            .get_last_raw_message_by_subject(&self.contact.subject)
            .await
        {
            Ok(message) => Ok(Tail {
                seq: message.sequence,
                mark: Mark::of(&message.headers),
            }),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                Ok(Tail::default())
            }
            Err(error) => Err(self.refused(&error)),
        }
    }

    /// Says in words why a question about a message was not answered.
    fn refused(&self, error: &RawMessageError) -> String {
        match error.kind() {
            LastRawMessageErrorKind::JetStream(said) => refusal(&said),
            _ => self.contact.no_answer(error),
        }
    }

    fn mark(&self, base: Base) -> Mark {
        Mark {
            end: base.end,
            write: base.write,
            writer: self.writer.clone(),
        }
    }

    fn is_own(&self, tail: &Tail) -> bool {
        tail.writer() == Some(&self.writer)
    }

    /// Returns whether this writer may continue after a message that it did not expect: its own
    /// from before, or that of a writer from which it takes over.
    fn may_follow(&self, tail: &Tail) -> bool {
        self.contact.take_over || self.is_own(tail)
    }

    fn fenced(&self, tail: &Tail) -> Error {
        Error::Fenced {
            subject: self.contact.subject.clone(),
            own: self.writer.clone(),
            other: tail.writer().map(str::to_owned),
        }
    }

    fn fail(&self, error: &Error) -> Written {
        let error = error.to_string();
        self.shared.with(|known| known.fault = Some(error.clone()));
        Written::Fenced(error)
    }

    fn move_to(&mut self, base: Base) {
        self.base = Some(base);
        self.shared.with(|known| known.base = Some(base));
    }
}
