//! What gets into the stream, in which form, and what is refused.

mod common;

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use alq::{Flags, Framing, Options, Queue, Sink};
use alq_nats::async_nats::jetstream::stream;
use alq_nats::{Error, NatsSink, Packing, Target};

use common::reader::{self, Message};
use common::writing::{config, connect_as, numbers, target, texts, write, write_all};
use common::{Cluster, DEADLINE};

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

/// What a process without servers accepts survives it, and the next one delivers it.
#[test]
fn records_are_accepted_at_once_while_no_server_runs() {
    let Some(mut cluster) = common::cluster(1) else {
        return;
    };
    reader::create(&cluster.urls(), &config("away"));
    cluster.kill_node(0);
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let patient = target(&cluster, "away").connect_timeout(2 * DEADLINE);
    drop(NatsSink::connect(patient.ack_timeout(2 * DEADLINE).offline(true)).unwrap());
    assert!(begun.elapsed() < DEADLINE, "it waited for a server");
    let open = || {
        let sink = NatsSink::connect(target(&cluster, "away").offline(true)).unwrap();
        let options = Options::new().framing(Framing::Lines).stall_limit(None);
        let options = options.ring_file(folder.path().join("ring"));
        options.ring_on_disk(true).open_sink(sink).unwrap()
    };
    let queue = open();
    append(&queue, 0..10);
    let (ring, killed) = (folder.path().join("ring"), folder.path().join("killed"));
    common::until("the first write to be noted", || {
        std::fs::copy(&ring, &killed).unwrap(); // as a kill leaves it
        let left = alq::ring_file::inspect(&killed).ok()?;
        (left.pending.possibly_repeated_bytes > 0).then_some(())
    });
    queue.close(Some(Duration::from_millis(1))).unwrap_err();
    drop(queue);
    std::fs::rename(&killed, &ring).unwrap();
    let queue = open();
    let found = queue.recovery().unwrap();
    assert_eq!((found.bytes, found.possibly_repeated_bytes), (20, 0)); // nothing was published
    append(&queue, 10..20);
    cluster.start_node(0);
    common::until("the server", || queue.flush().ok());
    let messages = reader::read(&cluster.urls(), "away");
    assert_eq!(texts(&messages).join("\n") + "\n", numbers(0..20));
}
