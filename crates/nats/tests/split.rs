//! The network between the servers fails: the leader is cut off from the others, and so is the
//! client, which is connected to it; then no server reaches another one.

mod common;

use std::path::Path;

use alq::ring_file::inspect;
use alq::{Flags, Framing, Options, Queue};
use alq_nats::async_nats::jetstream::stream;
use alq_nats::{NatsSink, Target};
use common::{Cluster, DEADLINE, reader, writing};

const NAME: &str = "split";

/// Waits until the stream has a leader. Returns its number.
fn leader(cluster: &Cluster) -> usize {
    common::until("a leader", || {
        reader::run(async {
            let stream = reader::context(&cluster.urls())
                .await
                .get_stream(NAME)
                .await;
            let leader = stream
                .ok()?
                .cached_info()
                .cluster
                .as_ref()?
                .leader
                .clone()?;
            leader.strip_prefix('n')?.parse().ok()
        })
    })
}

fn wait_for_words(ring: &Path) {
    common::until("the words in the ring file, which `alq stat` shows", || {
        let reason = inspect(ring).unwrap().stall_reason?;
        assert!(reason.starts_with("no quorum: "), "{reason}");
        Some(())
    });
}

struct Log {
    queue: Queue,
    count: usize,
}

impl Log {
    fn append(&mut self) {
        for _ in 0..100 {
            let record = format!("{}", self.count);
            self.queue.writen(record.as_bytes(), Flags::NOWAIT).unwrap();
            self.count += 1;
        }
    }

    fn flush(&self) {
        common::until("the records in the stream", || self.queue.flush().ok());
    }
}

#[test]
fn records_of_a_split_cluster_arrive_once_and_in_order() {
    let Some(cluster) = common::cluster_of_links(3) else {
        return;
    };
    let config = stream::Config {
        num_replicas: 3,
        allow_atomic_publish: true,
        ..writing::config(NAME)
    };
    reader::create(&cluster.urls(), &config);
    let folder = tempfile::tempdir().unwrap();
    let ring = folder.path().join("ring");
    // The client is connected to the leader, and learns of the other servers.
    let alone = leader(&cluster);
    let target = Target::new(cluster.url(alone))
        .stream(NAME)
        .subject(writing::subject(NAME))
        .connect_timeout(DEADLINE);
    let sink = NatsSink::connect(target).unwrap();
    let queue = Options::new()
        .capacity(1 << 20)
        .framing(Framing::Lines)
        .ring_file(&ring)
        .ring_on_disk(true)
        .open_sink(sink)
        .unwrap();
    let mut log = Log { queue, count: 0 };
    log.append();
    log.flush();

    // The others agree on a new leader, and the client finds it.
    cluster.links_of(alone).for_each(|link| link.hold(true));
    log.append();
    wait_for_words(&ring);
    log.append();
    log.flush();
    assert_eq!(inspect(&ring).unwrap().stall_reason, None);
    // What was on the way to and from the old leader arrives late.
    log.append();
    cluster.links_of(alone).for_each(|link| link.hold(false));
    log.append();
    log.flush();

    let all = || (0..3).flat_map(|at| cluster.links_of(at));
    all().for_each(|link| link.hold(true));
    log.append();
    wait_for_words(&ring);
    log.append();
    all().for_each(|link| {
        link.cut();
        link.hold(false);
    });
    log.flush();
    log.queue.close(None).unwrap();
    let read = writing::texts(&reader::read(&cluster.urls(), NAME));
    assert_eq!(read.join("\n") + "\n", writing::numbers(0..log.count));
}
