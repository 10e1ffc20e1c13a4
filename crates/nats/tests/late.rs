//! A publish that arrives after its process was killed, and after the next process has asked what
//! had arrived. A proxy between the first process and the server holds it back.

mod common;

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use alq::{LogEnd, RingId, Sink};
use alq_nats::async_nats::jetstream::stream;
use alq_nats::{NatsSink, Packing, Target};
use common::{DEADLINE, reader};

/// The record whose publish is late.
const LATE: &str = "the late record";

/// Passes on one connection to the server, until its client sends [`LATE`]. It holds that and all
/// that follows until it is released, also if the client has gone.
struct Proxy {
    url: String,
    is_holding: Arc<Mutex<bool>>,
    release: Sender<()>,
    answers: Arc<AtomicUsize>,
}

impl Proxy {
    fn start(server: &str) -> Self {
        let server = server.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let is_holding = Arc::new(Mutex::new(false));
        let answers = Arc::new(AtomicUsize::new(0));
        let (release, released) = channel();
        let (holding, counted) = (is_holding.clone(), answers.clone());
        thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            drop(listener); // the client cannot connect again
            let server = common::until("the server", || TcpStream::connect(&server).ok());
            let ends = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || to_client(ends.0, ends.1, &counted));
            to_server(client, server, &holding, &released);
        });
        Self {
            url,
            is_holding,
            release,
            answers,
        }
    }

    fn is_holding(&self) -> bool {
        *self.is_holding.lock().unwrap()
    }

    /// Sends what was held to the server, and waits until the server has decided about it.
    fn release(&self) {
        let before = self.answers.load(Ordering::SeqCst);
        self.release.send(()).unwrap();
        common::until("the answer to the late publish", || {
            (self.answers.load(Ordering::SeqCst) > before).then_some(())
        });
    }
}

fn to_server(
    mut client: TcpStream,
    mut server: TcpStream,
    is_holding: &Mutex<bool>,
    released: &Receiver<()>,
) {
    let mut held = Vec::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let count = client.read(&mut block).unwrap_or(0);
        if count == 0 {
            break;
        }
        held.extend_from_slice(&block[..count]);
        let mut is_holding = is_holding.lock().unwrap();
        if *is_holding {
            continue;
        }
        let late = held
            .windows(LATE.len())
            .position(|text| text == LATE.as_bytes());
        *is_holding = late.is_some();
        // Otherwise what may be the beginning of the record stays here.
        let line = held.iter().rposition(|&byte| byte == b'\n');
        let sent = late.or(line.map(|at| at + 1)).unwrap_or(0);
        server.write_all(&held[..sent]).unwrap();
        held.drain(..sent);
    }
    if released.recv().is_ok() {
        server.write_all(&held).unwrap();
        let _ = released.recv(); // the connection lives as long as the proxy
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// Passes on what the server says, and counts the answers to publishes.
fn to_client(mut server: TcpStream, mut client: TcpStream, answers: &AtomicUsize) {
    let mut said = Vec::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let count = server.read(&mut block).unwrap_or(0);
        if count == 0 {
            return;
        }
        said.extend_from_slice(&block[..count]);
        let text = String::from_utf8_lossy(&said);
        answers.store(text.matches("\"stream\":\"").count(), Ordering::SeqCst);
        let _ = client.write_all(&block[..count]);
    }
}

/// A ring file as a flusher uses it: an intent before each write, which counts until the tail moves.
struct Ring {
    bytes: String,
    tail: usize,
    intent: Option<(usize, LogEnd)>,
}

impl Ring {
    fn rest(&self) -> IoSlice<'_> {
        IoSlice::new(&self.bytes.as_bytes()[self.tail..])
    }

    /// Opens the ring for a new process.
    fn open(&mut self, target: Target) -> NatsSink {
        let sink = NatsSink::connect(target).unwrap();
        sink.opened(RingId::from_bytes([1; 16])).unwrap();
        if let Some((_, end)) = self.intent.filter(|(start, _)| *start == self.tail) {
            self.tail += sink.holds(&end, &[self.rest()]).unwrap();
        }
        sink
    }

    fn note(&mut self, sink: &NatsSink) {
        self.intent = Some((self.tail, sink.end().unwrap()));
    }

    /// Writes until everything is written, or `is_killed` within a write.
    fn write(&mut self, sink: &NatsSink, is_killed: impl Fn() -> bool) {
        let begun = Instant::now();
        while self.tail < self.bytes.len() {
            assert!(begun.elapsed() < DEADLINE, "{:?}", sink.trouble());
            let written = sink.write(&[self.rest()]);
            if is_killed() {
                return;
            }
            match written {
                Ok(taken) => self.tail += taken,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            self.note(sink);
        }
    }
}

/// Runs one case, and returns the text in the stream. The first process is killed in the write of
/// [`LATE`], which arrives later: while the second process is about to publish, or after it was
/// killed in turn, before it noted its first write.
fn ship(config: &stream::Config, packing: Packing, kills: usize, text: &str) -> String {
    let cluster = common::cluster(1).unwrap();
    reader::create(&cluster.urls(), config);
    let target = |urls: &str| {
        Target::new(urls)
            .stream(&config.name)
            .subject(&config.subjects[0])
            .packing(packing)
            .connect_timeout(DEADLINE)
    };
    let proxy = Proxy::start(&cluster.urls());
    let mut ring = Ring {
        bytes: text.to_owned(),
        tail: 0,
        intent: None,
    };
    let first = ring.open(target(&proxy.url).ack_timeout(Duration::from_millis(300)));
    ring.note(&first);
    ring.write(&first, || proxy.is_holding());
    assert!(proxy.is_holding());
    drop(first);

    let mut sink = ring.open(target(&cluster.urls()));
    if kills == 1 {
        ring.note(&sink);
        proxy.release();
    } else {
        drop(sink);
        proxy.release();
        sink = ring.open(target(&cluster.urls()));
        ring.note(&sink);
    }
    ring.write(&sink, || false);
    let newline = if packing == Packing::Records {
        "\n"
    } else {
        ""
    };
    let messages = reader::read(&cluster.urls(), &config.name);
    let texts = messages.iter().map(|message| {
        let text = String::from_utf8(message.payload.clone()).unwrap();
        text + newline
    });
    texts.collect()
}

fn check(batches: bool, subjects: &[&str], packing: Packing, late: usize) {
    if common::server().is_none() {
        eprintln!("skipped: no nats-server in PATH or ALQ_NATS_SERVER (ci/nats.sh installs one)");
        return;
    }
    let line = |number| match number {
        number if number == late => format!("{LATE}\n"),
        number => format!("{number}\n"),
    };
    let text: String = (0..late + 3).map(line).collect();
    let config = stream::Config {
        name: "late".into(),
        subjects: subjects.iter().map(|&subject| subject.into()).collect(),
        allow_atomic_publish: batches,
        ..stream::Config::default()
    };
    for kills in [1, 2] {
        let read = ship(&config, packing, kills, &text);
        assert!(read == text, "{kills} kills: {read}");
    }
}

#[test]
fn of_messages_that_are_published_apart() {
    check(false, &["late.app"], Packing::Records, 1);
}

#[test]
fn of_messages_in_a_stream_with_other_subjects() {
    check(false, &["late.app", "late.more"], Packing::Records, 1);
}

#[test]
fn of_a_second_batch() {
    check(true, &["late.app"], Packing::Records, 1500);
}

#[test]
fn of_a_second_run() {
    check(false, &["late.app"], Packing::Run { max_bytes: 64 }, 20);
}
