//! The sink, which a queue calls on its own threads, and the thread of the client.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::process;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use alq::{LogEnd, RingId, Sink, SyncOp};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use crate::contact::Contact;
use crate::mark::{log_number, random};
use crate::pack::beginning;
use crate::session::{Known, NO_CONNECTION, PAUSE, Session, Shared, Written};
use crate::{Error, Packing, Target};

/// A request to the thread of the client.
enum Command {
    /// The beginning of a write, and the length of all of it.
    Write(Bytes, usize, SyncSender<Written>),
    Holds(LogEnd, usize, SyncSender<Option<usize>>),
    WriteAs(String, SyncSender<Result<(), Error>>),
}

/// A JetStream subject as the log of a queue. Pass it to
/// [`Options::open_sink`](alq::Options::open_sink).
///
/// A write returns once a quorum of the stream's servers has stored the records, so
/// [`Level::Written`](alq::Level::Written) means that. [`Level::Durable`](alq::Level::Durable)
/// means the same, and survives a loss of power of all servers at once if they run with
/// `sync_interval: always`.
///
/// While no server answers, records wait in the ring. With a
/// [ring file](alq::Options::ring_file), they also survive the process, and each gets into the
/// stream once.
///
/// The sink has a thread of its own, so its queue may be used on any thread, also on one of an
/// asynchronous runtime.
///
/// ```no_run
/// use alq::{Flags, Framing, Options};
/// use alq_nats::{NatsSink, Target};
///
/// let target = Target::new("nats://10.0.0.1,nats://10.0.0.2").stream("logs").subject("logs.app");
/// let queue = Options::new()
///     .capacity(64 << 20)
///     .framing(Framing::Lines)
///     .ring_file("/run/app/ring")
///     .open_sink(NatsSink::connect(target.create(3))?)?;
/// queue.writen(b"a record", Flags::WAITOK)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NatsSink {
    commands: Option<UnboundedSender<Command>>,
    shared: Shared,
    log: u64,
    place: String,
    packing: Packing,
    process: u32,
}

impl fmt::Debug for NatsSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSink")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl NatsSink {
    /// Connects to the servers, and checks the stream. Blocks until there is an answer, at most for
    /// [`Target::connect_timeout`]. May be called on any thread.
    ///
    /// # Errors
    ///
    /// [`Error`] says which. With [`Target::offline`], only the errors of the target itself.
    pub fn connect(mut target: Target) -> Result<Self, Error> {
        let servers = target.check()?;
        let shared = Shared::default();
        let (commands, received) = unbounded_channel();
        let (report, ready) = sync_channel(1);
        let sink = Self {
            commands: Some(commands),
            shared: shared.clone(),
            log: log_number(&target.stream, &target.subject),
            // Without the servers, whose addresses may change.
            place: format!("nats:{}/{}", target.stream, target.subject),
            packing: target.packing,
            process: process::id(),
        };
        let options = options_of(&mut target, &servers, &shared);
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Err(error) => drop(report.send(Err(Error::Thread(error)))),
                Ok(runtime) => {
                    runtime.block_on(serve(options, servers, target, shared, received, report));
                }
            }
        };
        let spawned = thread::Builder::new().name("alq-nats".into()).spawn(body);
        spawned.map_err(Error::Thread)?;
        match ready.recv() {
            Ok(answer) => answer.map(|()| sink),
            Err(_) => Err(Error::Thread(io::Error::other("it has ended"))),
        }
    }

    /// Returns what a user should know about the stream: that it has one replica, or is in memory.
    /// Empty until the first answer of a server.
    pub fn warnings(&self) -> Vec<String> {
        self.shared.with(|known| known.warnings.clone())
    }

    /// Returns why records do not get to the stream at present; `None` if they do, as far as is
    /// known. May be called on any thread, and does not block.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble()
    }

    fn ask<T>(&self, command: impl FnOnce(SyncSender<T>) -> Command) -> io::Result<T> {
        let ended = || io::Error::other("the thread of the NATS client has ended");
        let (sender, answer) = sync_channel(1);
        let commands = self.commands.as_ref().ok_or_else(ended)?;
        commands.send(command(sender)).map_err(|_| ended())?;
        answer.recv().map_err(|_| ended())
    }
}

impl Drop for NatsSink {
    fn drop(&mut self) {
        if process::id() != self.process {
            mem::forget(self.commands.take()); // in a child of fork(2), no thread releases its locks
        }
    }
}

impl Sink for NatsSink {
    fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
        let known = |known: &mut Known| (known.fault.clone(), known.max_messages.max(1));
        let (fault, most) = self.shared.with(known);
        if let Some(fault) = fault {
            return Err(io::Error::other(fault));
        }
        let len = runs.iter().map(|run| run.len()).sum();
        let bytes = beginning(runs, self.packing, most);
        match self.ask(|answer| Command::Write(bytes, len, answer))? {
            Written::Taken(count) => Ok(count),
            Written::Moved => Err(ErrorKind::Interrupted.into()),
            Written::InDoubt => Err(ErrorKind::WouldBlock.into()),
            Written::Fenced(fault) => Err(io::Error::other(fault)),
        }
    }

    fn stall_reason(&self) -> Option<String> {
        self.trouble()
    }

    fn room(&self) -> u64 {
        match self.packing {
            Packing::Run { max_bytes } => max_bytes as u64,
            Packing::Records => u64::MAX,
        }
    }

    fn cuts_records(&self) -> bool {
        true // the length of the log says where, to the byte
    }

    fn sync(&self, _: SyncOp) -> io::Result<()> {
        Ok(()) // `write` returns once a quorum has stored the bytes
    }

    fn end(&self) -> Option<LogEnd> {
        let base = self.shared.with(|known| known.base)?;
        Some(base.to_log_end(self.log))
    }

    fn holds(&self, end: &LogEnd, runs: &[IoSlice<'_>]) -> Option<usize> {
        if *end == LogEnd::default() {
            return Some(0); // no server had answered yet, so nothing was published
        }
        let len = runs.iter().map(|run| run.len()).sum();
        self.ask(|answer| Command::Holds(*end, len, answer)).ok()?
    }

    /// Refuses a ring file if another writer has written to the subject last.
    fn opened(&self, ring: RingId) -> io::Result<()> {
        let writer = ring.to_string();
        self.ask(|answer| Command::WriteAs(writer, answer))?
            .map_err(io::Error::other)
    }

    /// `nats:STREAM/SUBJECT`.
    fn place(&self) -> Option<String> {
        Some(self.place.clone())
    }
}

/// Returns the options of the client.
fn options_of(target: &mut Target, servers: &[ServerAddr], shared: &Shared) -> ConnectOptions {
    let shared = shared.clone();
    let options = with_user(ConnectOptions::new(), servers)
        .name("alq")
        .connection_timeout(Duration::from_secs(2))
        .ping_interval(Duration::from_secs(2))
        .reconnect_delay_callback(|attempts| {
            Duration::from_millis((attempts as u64 * 50).min(1000))
        })
        .event_callback(move |event| {
            shared.with(|known| match event {
                Event::Connected => known.complaint = None,
                Event::ServerError(error) => known.complain(&error.to_string()),
                Event::ClientError(error) => known.complain(&error.to_string()),
                _ => {}
            });
            async {}
        });
    match target.adjust.take() {
        Some(adjust) => adjust(options),
        None => options,
    }
}

/// Adds the user or token of the first address that has one: the client itself ignores it.
fn with_user(options: ConnectOptions, servers: &[ServerAddr]) -> ConnectOptions {
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = |server: &ServerAddr| {
        let password = server.password().map(plain);
        Some((server.username().map(plain)?, password))
    };
    match servers.iter().find_map(user) {
        Some((user, Some(password))) => options.user_and_password(user, password),
        Some((token, None)) => options.token(token),
        None => options,
    }
}

/// Tries to connect, at least once, until `limit` has passed. Each attempt is one of its own: a client
/// that tries by itself says only of which kind an error is.
async fn connect(
    options: &ConnectOptions,
    servers: &[ServerAddr],
    limit: Duration,
    shared: &Shared,
) -> Option<Client> {
    let begun = Instant::now();
    loop {
        match options.clone().connect(servers).await {
            Ok(client) => return Some(client),
            Err(error) => shared.with(|known| known.complain(&error.to_string())),
        }
        if begun.elapsed() >= limit {
            shared.note(NO_CONNECTION);
            return None;
        }
        sleep(PAUSE).await;
    }
}

/// Connects, reports that, and then carries out commands until the sink is dropped.
async fn serve(
    options: ConnectOptions,
    servers: Vec<ServerAddr>,
    target: Target,
    shared: Shared,
    mut commands: UnboundedReceiver<Command>,
    report: SyncSender<Result<(), Error>>,
) {
    let begun = Instant::now();
    let limit = if target.offline {
        Duration::ZERO // one attempt: records are accepted at once
    } else {
        target.connect_timeout
    };
    let unreachable = |reason| Error::Unreachable {
        servers: crate::target::without_secrets(&target.servers),
        waited: target.connect_timeout,
        reason,
    };
    let connected = connect(&options, &servers, limit, &shared).await;
    let is_connected = connected.is_some();
    let client = match connected {
        Some(client) => client,
        None if target.offline => match options.retry_on_initial_connect().connect(servers).await {
            Ok(client) => client,
            Err(error) => {
                let _ = report.send(Err(unreachable(error.to_string())));
                return;
            }
        },
        None => {
            let reason = shared.trouble().unwrap_or_default();
            let _ = report.send(Err(unreachable(reason)));
            return;
        }
    };
    let contact = Contact::new(client, &target);
    let writer = format!("{:016x}{:016x}", random(), random());
    let mut session = Session::new(contact, writer, shared);
    let begun = match limit.saturating_sub(begun.elapsed()) {
        _ if !is_connected => Ok(()), // a request would wait for the connection
        left => match session.begin(left).await {
            Err(_) if target.offline => Ok(()),
            Err(Error::Unreachable { reason, .. }) => Err(unreachable(reason)),
            begun => begun,
        },
    };
    let is_begun = begun.is_ok();
    if report.send(begun).is_err() || !is_begun {
        return;
    }
    while let Some(command) = commands.recv().await {
        match command {
            Command::Write(bytes, len, answer) => {
                let written = session.write(&bytes, len).await;
                let _ = answer.send(written);
            }
            Command::Holds(end, len, answer) => {
                let held = session.holds(&end, len).await;
                let _ = answer.send(held);
            }
            Command::WriteAs(writer, answer) => {
                let _ = answer.send(session.write_as(writer));
            }
        }
    }
}
