//! What a caller sees while the cluster has no quorum.

mod common;

use alq::{Error, Flags, Framing, Options};
use alq_nats::{NatsSink, Target};
use common::reader;

#[test]
fn without_a_quorum_appends_go_on_and_the_reason_is_said_in_words() {
    let Some(mut cluster) = common::cluster(3) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let ring = folder.path().join("ring");
    let target = Target::new(cluster.urls())
        .stream("outage")
        .subject("outage.log")
        .create(3)
        .connect_timeout(common::DEADLINE);
    let sink = std::sync::Arc::new(NatsSink::connect(target).unwrap());
    assert!(sink.warnings().is_empty(), "{:?}", sink.warnings());
    let queue = Options::new()
        .capacity(64 << 10)
        .framing(Framing::Lines)
        .ring_file(&ring)
        .ring_on_disk(true)
        .open_sink(sink.clone())
        .unwrap();
    let append = |number: usize| {
        let record = format!("{number} {}", "-".repeat(90));
        queue.writen(record.as_bytes(), Flags::NOWAIT)
    };
    append(0).unwrap();
    queue.flush().unwrap();
    assert_eq!(sink.trouble(), None);

    cluster.kill_node(1);
    cluster.kill_node(2);
    let mut taken = 1;
    while append(taken).is_ok() {
        taken += 1;
    }
    assert!(taken > 500, "{taken}"); // what was not written fills the ring
    // Which of two reasons it is depends on what the last server knew when it was asked.
    let no_quorum = |reason: &str| {
        let reasons = [
            "no quorum: stream outage has no leader (1 of 3 servers)",
            "no quorum: the servers have not agreed on a leader yet (JetStream error 10008)",
        ];
        reasons.contains(&reason).then_some(())
    };
    common::until("the reason", || no_quorum(&sink.trouble()?));
    common::until("a stall with the reason", || {
        no_quorum(&queue.stats().stalled?.reason)
    });
    common::until(
        "the reason in the ring file, which `alq stat` shows",
        || {
            let state = alq::ring_file::inspect(&ring).unwrap();
            no_quorum(&state.stall_reason?)
        },
    );
    let error = append(taken).unwrap_err();
    assert!(matches!(error, Error::WouldBlock), "{error}");

    cluster.start_node(1);
    cluster.start_node(2);
    common::until("a leader", || queue.flush().ok());
    assert_eq!(sink.trouble(), None);
    append(taken).unwrap();
    queue.close(None).unwrap();
    let messages = reader::read(&cluster.urls(), "outage");
    for (number, message) in messages.iter().enumerate() {
        assert!(message.payload.starts_with(format!("{number} ").as_bytes()));
    }
    assert_eq!(messages.len(), taken + 1);
}
