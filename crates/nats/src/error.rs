//! Why a stream cannot be the log of a queue.

use std::fmt;
use std::io;
use std::time::Duration;

/// Says why a [`NatsSink`](crate::NatsSink) cannot be made, or why it has stopped. Each message
/// says what to do.
///
/// ```
/// use alq_nats::{Error, NatsSink, Target};
///
/// let target = Target::new("nats://localhost").stream("logs").subject("logs.*");
/// assert!(matches!(NatsSink::connect(target), Err(Error::Subject { .. })));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The addresses of the servers cannot be read.
    Servers {
        /// The addresses as they were given.
        given: String,
        /// What is wrong with them.
        reason: String,
    },
    /// The name of the subject is empty, or has wildcards or white space.
    Subject {
        /// The subject as it was given.
        given: String,
    },
    /// The name of the stream is empty, or has characters that no stream may have.
    Stream {
        /// The name as it was given.
        given: String,
    },
    /// No answer came within the [time to connect](crate::Target::connect_timeout).
    Unreachable {
        /// The addresses of the servers.
        servers: String,
        /// How long the call has waited.
        waited: Duration,
        /// What the last attempt met.
        reason: String,
    },
    /// There is no such stream.
    NoStream {
        /// Its name.
        stream: String,
    },
    /// The stream would lose records, or the place where the log ends.
    Settings {
        /// The name of the stream.
        stream: String,
        /// The setting, and what to change.
        problem: String,
    },
    /// The server refuses to create the stream.
    Refused {
        /// The name of the stream.
        stream: String,
        /// The reason that the server gives.
        reason: String,
    },
    /// Another writer uses the subject.
    Fenced {
        /// The subject.
        subject: String,
        /// The identity of this writer.
        own: String,
        /// The identity of the writer of the last message; `None` if that is not a queue.
        other: Option<String>,
    },
    /// The thread of the client cannot be started.
    Thread(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Servers { given, reason } => write!(
                f,
                "{given:?} does not name NATS servers ({reason}): give addresses such as \
                 nats://host:4222, separated by commas"
            ),
            Self::Subject { given } => write!(
                f,
                "{given:?} is no subject for a log: give one without wildcards and spaces, such as \
                 logs.app"
            ),
            Self::Stream { given } => write!(
                f,
                "{given:?} is no name of a stream: it needs at least one character, and none of \
                 space, '.', '*', '>', '/' and '\\'"
            ),
            Self::Unreachable {
                servers,
                waited,
                reason,
            } => write!(
                f,
                "no answer from {servers} within {} s ({reason}): check the addresses, the \
                 credentials and the servers",
                waited.as_secs_f32()
            ),
            Self::NoStream { stream } => write!(
                f,
                "there is no stream {stream}: create it (`nats stream add`), or let the sink do so \
                 (Target::create)"
            ),
            Self::Settings { stream, problem } => write!(f, "stream {stream}: {problem}"),
            Self::Refused { stream, reason } => {
                write!(f, "the server does not create stream {stream}: {reason}")
            }
            Self::Fenced {
                subject,
                own,
                other: Some(other),
            } if own == other => write!(
                f,
                "subject {subject}: another process writes as writer {own}: it has a copy of this \
                 ring file. Stop one of them, and give it a new ring file and a subject of its own"
            ),
            Self::Fenced {
                subject,
                own,
                other: Some(other),
            } => write!(
                f,
                "subject {subject}: the last message is of writer {other}, and this is writer \
                 {own}: a subject has one writer. If the other one has ended for good, let this \
                 one take over (Target::take_over); else give this one a subject of its own"
            ),
            Self::Fenced {
                subject,
                own,
                other: None,
            } => write!(
                f,
                "subject {subject}: its last message is not of a queue, and this is writer {own}: \
                 give the log a subject of its own, or let it continue there (Target::take_over)"
            ),
            Self::Thread(error) => write!(f, "cannot start the thread of the client: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}
