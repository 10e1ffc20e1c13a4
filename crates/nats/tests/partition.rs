//! The network between the client and the server fails: bytes neither arrive nor are refused. It
//! recovers either with what was held back, or with new connections only.

mod common;

use std::sync::Arc;
use std::time::Duration;

use alq::{Flags, Framing, Options, Queue};
use alq_nats::async_nats::jetstream::stream;
use alq_nats::{NatsSink, Target};
use common::link::Link;
use common::{DEADLINE, reader, writing};

fn sink_to(url: &str, name: &str) -> Arc<NatsSink> {
    let target = Target::new(url)
        .stream(name)
        .subject(writing::subject(name))
        .connect_timeout(DEADLINE);
    Arc::new(NatsSink::connect(target).unwrap())
}

/// The records are the numbers from `count` on.
fn append(queue: &Queue, records: usize, count: &mut usize) {
    for _ in 0..records {
        let record = format!("{count}");
        queue.writen(record.as_bytes(), Flags::NOWAIT).unwrap();
        *count += 1;
    }
}

#[test]
fn records_of_a_partition_arrive_once_and_in_order() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    for (name, batches) in [("held", true), ("cut", false)] {
        let config = stream::Config {
            allow_atomic_publish: batches,
            ..writing::config(name)
        };
        reader::create(&cluster.urls(), &config);
        let (link, url) = Link::start(&cluster.urls());
        let sink = sink_to(&url, name);
        let queue = Options::new()
            .capacity(1 << 20)
            .framing(Framing::Lines)
            .open_sink(sink.clone())
            .unwrap();
        let mut count = 0;
        for _ in 0..2 {
            append(&queue, 100, &mut count); // some of them are on the way when the network fails
            link.hold(true);
            append(&queue, 100, &mut count);
            common::until("the reason", || {
                let reason = sink.trouble()?;
                reason.starts_with("no connection").then_some(())
            });
            append(&queue, 100, &mut count);
            if name == "cut" {
                link.cut();
            }
            link.hold(false);
            common::until("the network", || queue.flush().ok());
            assert_eq!(sink.trouble(), None);
        }
        queue.close(None).unwrap();
        let read = writing::texts(&reader::read(&cluster.urls(), name));
        assert_eq!(read.join("\n") + "\n", writing::numbers(0..count));
    }
}

/// A queue continues in another sink if it is closed, and opened again with the same ring file.
#[test]
fn another_sink_of_the_same_place_continues_where_the_first_one_was_in_doubt() {
    let Some(cluster) = common::cluster(1) else {
        return;
    };
    for (name, is_late) in [("before", false), ("late", true)] {
        let config = stream::Config {
            allow_atomic_publish: true,
            ..writing::config(name)
        };
        reader::create(&cluster.urls(), &config);
        let folder = tempfile::tempdir().unwrap();
        let ring = folder.path().join("ring");
        let open = |url: &str| {
            let sink = sink_to(url, name);
            let queue = Options::new()
                .capacity(1 << 20)
                .framing(Framing::Lines)
                .ring_file(&ring)
                .ring_on_disk(true)
                .open_sink(sink.clone())
                .unwrap();
            (queue, sink)
        };
        let mut count = 0;
        let (link, url) = Link::start(&cluster.urls());
        let (queue, sink) = open(&url);
        append(&queue, 100, &mut count);
        queue.flush().unwrap();
        link.hold(true);
        append(&queue, 100, &mut count); // on the way
        common::until("the reason", || sink.trouble());
        let left = queue.close(Some(Duration::ZERO)).unwrap_err();
        assert!(left.to_string().contains("stay in the ring file"), "{left}");
        drop((queue, sink));
        if !is_late {
            link.hold(false);
        }
        let (queue, _) = open(&cluster.urls());
        let recovery = queue.recovery().unwrap();
        assert_eq!(recovery.possibly_repeated_bytes, 0, "{recovery:?}");
        append(&queue, 100, &mut count);
        queue.flush().unwrap();
        link.hold(false);
        append(&queue, 100, &mut count);
        queue.close(None).unwrap();
        let read = writing::texts(&reader::read(&cluster.urls(), name));
        assert_eq!(read.join("\n") + "\n", writing::numbers(0..count));
    }
}
