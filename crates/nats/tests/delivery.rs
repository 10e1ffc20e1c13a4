//! What gets into the stream, in which form, and what is refused.

mod common;

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use alq::{Flags, Framing, LogEnd, Options, Queue, RingId, Sink};
use alq_nats::async_nats::jetstream::stream;
use alq_nats::{Error, NatsSink, Packing, Target};

use common::reader::{self, Message};
use common::{Cluster, DEADLINE};

/// The subject of the log in the stream of this name.
fn subject(name: &str) -> String {
    format!("{name}.app")
}

fn target(cluster: &Cluster, name: &str) -> Target {
    Target::new(cluster.urls())
        .stream(name)
        .subject(subject(name))
        .connect_timeout(DEADLINE)
}

fn config(name: &str) -> stream::Config {
    stream::Config {
        name: name.to_owned(),
        subjects: vec![subject(name)],
        ..stream::Config::default()
    }
}

fn write(sink: &NatsSink, bytes: &str) -> io::Result<usize> {
    sink.write(&[IoSlice::new(bytes.as_bytes())])
}

/// Writes all of it, as the flusher does. Returns where the last write began, in `bytes` and in the
/// log: what a ring file notes before that write.
fn write_all(sink: &NatsSink, bytes: &str) -> (usize, LogEnd) {
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
fn connect_as(writer: u8, target: Target) -> NatsSink {
    let sink = NatsSink::connect(target).unwrap();
    sink.opened(RingId::from_bytes([writer; 16])).unwrap();
    sink
}

fn texts(messages: &[Message]) -> Vec<String> {
    let text = |message: &Message| String::from_utf8(message.payload.clone()).unwrap();
    messages.iter().map(text).collect()
}

fn numbers(range: std::ops::Range<usize>) -> String {
    let lines: Vec<_> = range.map(|number| format!("{number}\n")).collect();
    lines.concat()
}

/// Appends lines through a queue, and returns the messages.
fn ship(cluster: &Cluster, name: &str, packing: Packing, lines: usize) -> Vec<Message> {
    let sink = NatsSink::connect(target(cluster, name).packing(packing)).unwrap();
    let queue = Options::new()
        .framing(Framing::Lines)
        .open_sink(sink)
        .unwrap();
    append(&queue, 0..lines);
    queue.close(None).unwrap();
    reader::read(&cluster.urls(), name)
}

fn append(queue: &Queue, range: std::ops::Range<usize>) {
    for number in range {
        queue
            .writen(format!("{number}").as_bytes(), Flags::WAITOK)
            .unwrap();
    }
}

#[test]
fn each_form_of_packing_delivers_every_record_once_and_in_order() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    let urls = cluster.urls();
    let lines = 3_000;
    let expected: Vec<_> = (0..lines).map(|number| number.to_string()).collect();
    let batches = stream::Config {
        allow_atomic_publish: true,
        ..config("batches")
    };
    reader::create(&urls, &batches);
    let messages = ship(&cluster, "batches", Packing::Records, lines);
    assert_eq!(texts(&messages), expected);
    assert!(
        messages.iter().any(|message| message.batch),
        "none was in a batch"
    );
    check_ends(&messages, 1);

    reader::create(&urls, &config("apart"));
    let messages = ship(&cluster, "apart", Packing::Records, lines);
    assert_eq!(texts(&messages), expected);
    assert!(
        messages
            .iter()
            .all(|message| !message.batch && message.end.is_some())
    );
    check_ends(&messages, 1);

    let mut others = config("others");
    others.subjects.push("others.more".into());
    reader::create(&urls, &others);
    let messages = ship(&cluster, "others", Packing::Records, 200);
    assert_eq!(texts(&messages), expected[..200]);

    reader::create(&urls, &config("runs"));
    let messages = ship(&cluster, "runs", Packing::Run { max_bytes: 1000 }, lines);
    assert_eq!(texts(&messages).concat(), numbers(0..lines));
    assert!(
        messages
            .iter()
            .all(|message| message.payload.len() <= 1000 && !message.more)
    );
    check_ends(&messages, 0);
}

/// Checks that each mark says how many bytes there are up to its message. `newline` is the length of
/// what a payload leaves out.
fn check_ends(messages: &[Message], newline: u64) {
    let mut end = 0;
    for message in messages {
        end += message.payload.len() as u64 + newline;
        assert!(
            message.end.is_none_or(|marked| marked == end),
            "{message:?}"
        );
    }
    assert_eq!(messages.last().unwrap().end, Some(end));
}

#[test]
fn a_line_longer_than_a_message_becomes_several_that_say_so() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    reader::create(
        &cluster.urls(),
        &stream::Config {
            max_message_size: 4096,
            allow_atomic_publish: true,
            ..config("long")
        },
    );
    let sink = connect_as(1, target(&cluster, "long"));
    let long = "x".repeat(10_000);
    write_all(&sink, &format!("a\n{long}\nb\n"));
    let messages = reader::read(&cluster.urls(), "long");
    let mut lines = vec![String::new()];
    for (message, text) in messages.iter().zip(texts(&messages)) {
        lines.last_mut().unwrap().push_str(&text);
        if !message.more {
            lines.push(String::new());
        }
    }
    assert_eq!(lines, ["a", &*long, "b", ""]);
    assert!(messages.len() > 4);
}

/// Each case is a process that was killed at another point of a write: before it published, after,
/// or after a part of it.
#[test]
fn the_next_process_finds_what_a_killed_one_has_published() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    for (name, packing, batches) in [
        ("k1", Packing::Records, true),
        ("k2", Packing::Records, false),
        ("k3", Packing::Run { max_bytes: 64 }, false),
    ] {
        reader::create(
            &cluster.urls(),
            &stream::Config {
                allow_atomic_publish: batches,
                ..config(name)
            },
        );
        let connect = || connect_as(1, target(&cluster, name).packing(packing));
        write_all(&connect(), &numbers(0..10));
        let mut from = 10;
        for published in [0, 1, 5, 10] {
            let killed = connect();
            let all = numbers(from..from + 10);
            let (began, noted) = write_all(&killed, &numbers(from..from + published));
            drop(killed);
            let next = connect();
            let rest = IoSlice::new(&all.as_bytes()[began..]);
            let stored = began + next.holds(&noted, &[rest]).unwrap();
            assert_eq!(
                stored,
                numbers(from..from + published).len(),
                "{name} {published}"
            );
            write_all(&next, &all[stored..]);
            from += 10;
        }
        let messages = reader::read(&cluster.urls(), name);
        let ends = if packing == Packing::Records {
            "\n"
        } else {
            ""
        };
        let text: String = texts(&messages)
            .iter()
            .map(|text| text.clone() + ends)
            .collect();
        assert_eq!(text, numbers(0..from), "{name}");
    }
}

#[test]
fn an_attempt_that_was_longer_than_the_next_write_is_accounted_for_in_parts() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    let batches = stream::Config {
        allow_atomic_publish: true,
        ..config("parts")
    };
    reader::create(&cluster.urls(), &batches);
    let connect = || connect_as(1, target(&cluster, "parts"));
    let killed = connect();
    write_all(&killed, "a\n");
    let (_, noted) = write_all(&killed, "b\nc\nd\n");
    let next = connect();
    assert_eq!(next.holds(&noted, &[IoSlice::new(b"b\n")]), Some(2));
    let noted = next.end().unwrap();
    assert_eq!(write(&next, "c\n").unwrap(), 2);
    // Killed here: the intent of that write says where it began.
    let last = connect();
    assert_eq!(last.holds(&noted, &[IoSlice::new(b"c\nd\ne\n")]), Some(4));
    write_all(&last, "e\n");
    let messages = reader::read(&cluster.urls(), "parts");
    assert_eq!(texts(&messages), ["a", "b", "c", "d", "e"]);
}

/// The answer of a leader that was replaced may be out of date.
#[test]
fn a_write_at_an_end_that_is_out_of_date_is_refused_and_repeated_at_the_right_one() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    reader::create(&cluster.urls(), &config("stale"));
    let first = connect_as(1, target(&cluster, "stale"));
    let stale = connect_as(1, target(&cluster, "stale"));
    let long_ago = stale.end().unwrap();
    write_all(&first, "same\n");
    let error = write(&stale, "same\n").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted, "{error}");
    assert_ne!(stale.end().unwrap(), long_ago);
    write_all(&stale, "same\n");
    assert_eq!(
        texts(&reader::read(&cluster.urls(), "stale")),
        ["same", "same"]
    );
}

#[test]
fn two_writers_are_refused_and_not_mixed() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    let name = "fence";
    reader::create(&cluster.urls(), &config(name));
    // Both begin on an empty subject, as two services with a copied configuration do.
    let one = connect_as(1, target(&cluster, name));
    let two = connect_as(2, target(&cluster, name));
    write_all(&one, "of one\n");
    let error = write(&two, "of two\n").unwrap_err().to_string();
    assert!(error.contains(&"01".repeat(16)), "{error}");
    assert!(error.contains(&"02".repeat(16)), "{error}");
    let again = write(&two, "of two\n").unwrap_err().to_string();
    assert_eq!(again, error);
    write_all(&one, "of one again\n");

    let late = NatsSink::connect(target(&cluster, name)).unwrap();
    let error = late.opened(RingId::from_bytes([3; 16])).unwrap_err();
    assert!(error.to_string().contains("take_over"), "{error}");
    write(&late, "of three\n").unwrap_err();

    let three = connect_as(3, target(&cluster, name).take_over(true));
    write_all(&three, "of three\n");
    let error = write(&one, "lost\n").unwrap_err().to_string();
    assert!(error.contains("take_over"), "{error}");
    let read = texts(&reader::read(&cluster.urls(), name));
    assert_eq!(read, ["of one", "of one again", "of three"]);
}

#[test]
fn a_copy_of_a_ring_file_is_refused_once_both_write() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    reader::create(&cluster.urls(), &config("copy"));
    let one = connect_as(1, target(&cluster, "copy"));
    let copy = connect_as(1, target(&cluster, "copy"));
    write_all(&one, "of one\n");
    write_all(&copy, "of the copy\n"); // as a restart would
    let error = write(&one, "again\n").unwrap_err().to_string();
    assert!(error.contains("copy of this ring file"), "{error}");
}

/// The process that was taken over comes back, and takes over in turn: it must know what of its
/// last write arrived, although messages of another writer follow.
#[test]
fn a_writer_that_was_taken_over_finds_what_had_arrived() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    for (name, batches) in [("turns", true), ("turns2", false)] {
        reader::create(
            &cluster.urls(),
            &stream::Config {
                allow_atomic_publish: batches,
                ..config(name)
            },
        );
        let connect = |writer| connect_as(writer, target(&cluster, name).take_over(true));
        let killed = connect(1);
        let (began, noted) = write_all(&killed, "a\nb\n");
        write_all(&connect(2), "x\n");
        let back = connect(1);
        let held = back.holds(&noted, &[IoSlice::new(&b"a\nb\nc\n"[began..])]);
        assert_eq!(held, Some(4 - began));
        write_all(&back, "c\n");
        let read = texts(&reader::read(&cluster.urls(), name));
        assert_eq!(read, ["a", "b", "x", "c"]);
    }
}

#[test]
fn a_stream_that_cannot_hold_a_log_is_refused_with_the_setting() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    reader::create(
        &cluster.urls(),
        &stream::Config {
            retention: stream::RetentionPolicy::WorkQueue,
            ..config("work")
        },
    );
    let error = NatsSink::connect(target(&cluster, "work")).unwrap_err();
    assert!(error.to_string().contains("retention"), "{error}");
    let error = NatsSink::connect(target(&cluster, "none")).unwrap_err();
    assert!(matches!(error, Error::NoStream { .. }), "{error}");
    let sink = NatsSink::connect(target(&cluster, "made").create(1)).unwrap();
    assert_eq!(sink.warnings().len(), 1);
    assert!(
        sink.warnings()[0].contains("1 replica"),
        "{:?}",
        sink.warnings()
    );
}

#[test]
fn servers_that_do_not_answer_are_named_without_passwords() {
    let target = Target::new("nats://user:secret@127.0.0.1:1")
        .stream("logs")
        .subject("logs.app")
        .connect_timeout(Duration::from_millis(200));
    let error = NatsSink::connect(target).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("nats://127.0.0.1:1 within 0.2 s (no connection"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_queue_may_be_used_on_a_thread_of_a_runtime() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    reader::create(&cluster.urls(), &config("within"));
    reader::run(async {
        let sink = NatsSink::connect(target(&cluster, "within")).unwrap();
        write_all(&sink, "a record\n");
    });
    assert_eq!(
        texts(&reader::read(&cluster.urls(), "within")),
        ["a record"]
    );
}
