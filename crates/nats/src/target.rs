//! Where the records go: the servers, the stream, the subject, and how messages are made.

use std::fmt;
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};

use crate::Error;

/// How records become messages.
///
/// ```
/// use alq_nats::{Packing, Target};
///
/// let target = Target::new("nats://localhost").stream("logs").subject("logs.app");
/// let target = target.packing(Packing::Run { max_bytes: 64 << 10 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packing {
    /// Each record, which is a line, is one message without its newline. The default.
    ///
    /// If the stream [allows it](crate::Target::create), up to 1000 messages are published as one
    /// atomic batch. Otherwise each message is published alone, and waits for the acknowledgement
    /// of the one before it: about the time of one write to disk each.
    ///
    /// A record that is too long for one message becomes several: each but the last has the header
    /// `Alq-More`.
    Records,
    /// All records of a write are one message, with their newlines: the fewest messages, and the
    /// least work for the servers.
    Run {
        /// The most bytes of one message: 1 to what the server accepts (1 MiB by default).
        max_bytes: usize,
    },
}

type Adjust = Box<dyn FnOnce(ConnectOptions) -> ConnectOptions + Send>;

/// Names the servers, the stream and the subject to which a [`NatsSink`](crate::NatsSink)
/// publishes, and sets how.
///
/// ```
/// use std::time::Duration;
///
/// use alq_nats::Target;
///
/// let target = Target::new("nats://10.0.0.1,nats://10.0.0.2,nats://10.0.0.3")
///     .stream("logs")
///     .subject("logs.app")
///     .create(3)
///     .connect_timeout(Duration::from_secs(30));
/// ```
pub struct Target {
    pub(crate) servers: String,
    pub(crate) stream: String,
    pub(crate) subject: String,
    pub(crate) packing: Packing,
    pub(crate) create: Option<usize>,
    pub(crate) take_over: bool,
    pub(crate) offline: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) ack_timeout: Duration,
    pub(crate) adjust: Option<Adjust>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("servers", &without_secrets(&self.servers))
            .field("stream", &self.stream)
            .field("subject", &self.subject)
            .field("packing", &self.packing)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// Names the servers, separated by commas: `nats://host:port`, `tls://host:port`, with the port
    /// 4222 by default, and `user:password@` or `token@` before the host if needed, with `%` before
    /// the hexadecimal code of a special character. All servers get the first of these. Name several
    /// servers of the cluster: the client connects to any of them, and learns of the others.
    pub fn new(servers: impl Into<String>) -> Self {
        Self {
            servers: servers.into(),
            stream: String::new(),
            subject: String::new(),
            packing: Packing::Records,
            create: None,
            take_over: false,
            offline: false,
            connect_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(3),
            adjust: None,
        }
    }

    /// Sets the name of the stream. It must exist, unless [`create`](Self::create) is set.
    #[must_use]
    pub fn stream(mut self, name: impl Into<String>) -> Self {
        self.stream = name.into();
        self
    }

    /// Sets the subject, which must be one of the stream's and have no wildcards. It belongs to this
    /// queue alone: a second writer is refused.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// Sets how records become messages: [`Packing::Records`] by default.
    #[must_use]
    pub fn packing(mut self, packing: Packing) -> Self {
        self.packing = packing;
        self
    }

    /// Creates the stream if it does not exist: with this number of replicas (1, 3 or 5), on disk,
    /// with this subject alone, and with atomic batches. By default, a stream that does not exist
    /// is an error.
    #[must_use]
    pub fn create(mut self, replicas: usize) -> Self {
        self.create = Some(replicas);
        self
    }

    /// Continues a subject whose last message is of another writer: of another ring file, or of a
    /// queue without one. That writer is refused from then on. By default this is
    /// [`Error::Fenced`].
    #[must_use]
    pub fn take_over(mut self, take_over: bool) -> Self {
        self.take_over = take_over;
        self
    }

    /// Lets the sink start while no server answers: [`NatsSink::connect`] makes one attempt, and
    /// does not wait. The checks of the stream then come with the first answer, and fail the queue
    /// if they fail. By default [`NatsSink::connect`] fails.
    ///
    /// [`NatsSink::connect`]: crate::NatsSink::connect
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// Sets how long [`NatsSink::connect`] waits for an answer: 10 seconds by default.
    ///
    /// [`NatsSink::connect`]: crate::NatsSink::connect
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets how long a publish waits for its acknowledgement before the sink asks what has arrived:
    /// 3 seconds by default.
    #[must_use]
    pub fn ack_timeout(mut self, limit: Duration) -> Self {
        self.ack_timeout = limit;
        self
    }

    /// Changes the options of the client: credentials, certificates, names, delays. `adjust` gets
    /// those of the sink, which reports what servers say through
    /// [`event_callback`](ConnectOptions::event_callback).
    ///
    /// ```
    /// use alq_nats::Target;
    ///
    /// let target = Target::new("tls://logs.example.com")
    ///     .options(|options| options.token("secret".into()).require_tls(true));
    /// ```
    #[must_use]
    pub fn options(
        mut self,
        adjust: impl FnOnce(ConnectOptions) -> ConnectOptions + Send + 'static,
    ) -> Self {
        self.adjust = Some(Box::new(adjust));
        self
    }

    /// Returns the addresses of the servers, if the names of this target are valid.
    pub(crate) fn check(&self) -> Result<Vec<ServerAddr>, Error> {
        let bad = |c: char| c.is_whitespace() || c.is_control();
        let is_subject = !self.subject.is_empty()
            && !self.subject.contains(bad)
            && self
                .subject
                .split('.')
                .all(|token| !token.is_empty() && token != "*" && token != ">");
        if !is_subject {
            return Err(Error::Subject {
                given: self.subject.clone(),
            });
        }
        let is_bad = |c: char| bad(c) || matches!(c, '.' | '*' | '>' | '/' | '\\');
        if self.stream.is_empty() || self.stream.contains(is_bad) {
            return Err(Error::Stream {
                given: self.stream.clone(),
            });
        }
        let addresses = self.servers.split(',').map(|server| {
            let server = server.trim();
            server
                .parse()
                .map_err(|error: std::io::Error| Error::Servers {
                    given: without_secrets(server),
                    reason: error.to_string(),
                })
        });
        addresses.collect()
    }
}

/// Returns the addresses without what stands before an `@`: passwords must not get into logs.
pub fn without_secrets(servers: &str) -> String {
    let shown = servers.split(',').map(|server| {
        let (scheme, rest) = server.split_once("://").unwrap_or(("nats", server));
        let host = rest.rsplit('@').next().unwrap_or(rest);
        format!("{}://{host}", scheme.trim())
    });
    shown.collect::<Vec<_>>().join(",")
}
