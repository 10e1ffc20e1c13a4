//! Writes to a subject through the sink alone, as the flusher of a queue does.

use std::io::{self, IoSlice};
use std::time::Instant;

use alq::{LogEnd, RingId, Sink};
use alq_nats::async_nats::jetstream::stream;
use alq_nats::{NatsSink, Target};

use super::reader::Message;
use super::{Cluster, DEADLINE};

/// The subject of the log in the stream of this name.
pub fn subject(name: &str) -> String {
    format!("{name}.app")
}

pub fn target(cluster: &Cluster, name: &str) -> Target {
    Target::new(cluster.urls())
        .stream(name)
        .subject(subject(name))
        .connect_timeout(DEADLINE)
}

pub fn config(name: &str) -> stream::Config {
    stream::Config {
        name: name.to_owned(),
        subjects: vec![subject(name)],
        ..stream::Config::default()
    }
}

pub fn write(sink: &NatsSink, bytes: &str) -> io::Result<usize> {
    sink.write(&[IoSlice::new(bytes.as_bytes())])
}

/// Writes all of it, as the flusher does. Returns where the last write began, in `bytes` and in the
/// log: what a ring file notes before that write.
pub fn write_all(sink: &NatsSink, bytes: &str) -> (usize, LogEnd) {
    let begun = Instant::now();
    let mut at = 0;
    let mut noted = (at, sink.end().unwrap());
    while at < bytes.len() {
        assert!(begun.elapsed() < DEADLINE, "{:?}", sink.trouble());
        noted = (at, sink.end().unwrap());
        match write(sink, &bytes[at..]) {
            Ok(taken) => at += taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
    noted
}

/// Connects as the writer with this number.
pub fn connect_as(writer: u8, target: Target) -> NatsSink {
    let sink = NatsSink::connect(target).unwrap();
    sink.opened(RingId::from_bytes([writer; 16])).unwrap();
    sink
}

pub fn texts(messages: &[Message]) -> Vec<String> {
    let text = |message: &Message| String::from_utf8(message.payload.clone()).unwrap();
    messages.iter().map(text).collect()
}

pub fn numbers(range: std::ops::Range<usize>) -> String {
    let lines: Vec<_> = range.map(|number| format!("{number}\n")).collect();
    lines.concat()
}
