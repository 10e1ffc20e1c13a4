//! A subject has one writer: what a second one meets, and what the first one finds afterwards.

mod common;

use std::io::IoSlice;

use alq::{RingId, Sink};
use alq_nats::NatsSink;
use alq_nats::async_nats::jetstream::stream;

use common::reader;
use common::writing::{config, connect_as, target, texts, write, write_all};

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
