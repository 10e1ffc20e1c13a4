//! Ways to get records of 100 bytes into a stream with three replicas, in turns in one run, and
//! what an append costs its caller.
//!
//!     ALQ_NATS_SERVER=.. cargo bench --bench rates          5 rounds
//!     ALQ_NATS_SERVER=.. cargo bench --bench rates -- 1     1 round
//!
//! | line | how |
//! |---|---|
//! | one at a time | a publish with an id, whose acknowledgement is awaited before the next one |
//! | ids | the same, with up to 1000 on the way; kills of the leader reorder them |
//! | apart | the sink on a stream without batches, one message at a time |
//! | batches | the sink, one message a record, in atomic batches |
//! | runs | the sink, many records a message |
//!
//! The servers run on this machine, with `sync_interval: always`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::env;
use std::io;
use std::process;
use std::time::{Duration, Instant};

use alq::{Flags, Framing, Options, Queue};
use alq_nats::async_nats::HeaderMap;
use alq_nats::async_nats::jetstream::stream;
use alq_nats::{NatsSink, Packing, Target};
use common::{Cluster, reader};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;

const LEN: usize = 100;
const STREAM: &str = "rates";
const SUBJECT: &str = "rates.log";

#[derive(Clone, Copy)]
enum Way {
    OneAtATime,
    Ids,
    Apart,
    Batches,
    Runs,
}

/// Each way with its name, and how many records a round has.
const WAYS: [(Way, &str, usize); 5] = [
    (Way::OneAtATime, "one at a time", 1_000),
    (Way::Ids, "ids", 20_000),
    (Way::Apart, "apart", 1_000),
    (Way::Batches, "batches", 100_000),
    (Way::Runs, "runs", 400_000),
];

fn main() {
    let Some(mut cluster) = common::cluster(3) else {
        return;
    };
    let rounds = env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(5);
    println!("records of {LEN} bytes, median of {rounds} rounds");
    println!(
        "{:<14} {:>12} {:>22} {:>22}",
        "", "records/s", "client CPU s/million", "servers CPU s/million"
    );
    let mut found = WAYS.map(|_| Vec::new());
    for _ in 0..rounds {
        for ((way, _, count), found) in WAYS.iter().zip(&mut found) {
            found.push(round(&cluster, *way, *count));
        }
    }
    for ((_, name, _), found) in WAYS.iter().zip(&found) {
        let of = |figure: usize| median(found.iter().map(|figures| figures[figure]).collect());
        println!("{name:<14} {:>12.0} {:>22.2} {:>22.1}", of(0), of(1), of(2));
    }
    callers(&mut cluster);
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Returns records a second, and the CPU seconds a million records of client and servers.
fn round(cluster: &Cluster, way: Way, count: usize) -> [f64; 3] {
    create(cluster, matches!(way, Way::Batches));
    let servers = cluster.cpu_seconds();
    let client = common::cpu_seconds_of(process::id());
    let begun = Instant::now();
    match way {
        Way::OneAtATime => reader::run(publish(cluster, count, 1)),
        Way::Ids => reader::run(publish(cluster, count, 1000)),
        Way::Apart | Way::Batches => ship(cluster, Packing::Records, count),
        Way::Runs => ship(
            cluster,
            Packing::Run {
                max_bytes: 512 << 10,
            },
            count,
        ),
    }
    let seconds = begun.elapsed().as_secs_f64();
    let per_million = 1e6 / count as f64;
    let client = (common::cpu_seconds_of(process::id()) - client) * per_million;
    let servers = (cluster.cpu_seconds() - servers) * per_million;
    let stored: usize = stored(cluster);
    assert_eq!(stored, count * LEN, "bytes");
    [count as f64 / seconds, client, servers]
}

fn create(cluster: &Cluster, has_batches: bool) {
    reader::run(async {
        let context = reader::context(&cluster.urls()).await;
        let _ = context.delete_stream(STREAM).await;
    });
    let config = stream::Config {
        name: STREAM.into(),
        subjects: vec![SUBJECT.into()],
        num_replicas: cluster.len(),
        allow_atomic_publish: has_batches,
        ..stream::Config::default()
    };
    reader::create(&cluster.urls(), &config);
}

/// The bytes of all records in the stream, with the newlines that messages leave out.
fn stored(cluster: &Cluster) -> usize {
    let messages = reader::read(&cluster.urls(), STREAM);
    let len = |message: &reader::Message| match message.payload.last() {
        Some(b'\n') => message.payload.len(),
        _ => message.payload.len() + 1,
    };
    messages.iter().map(len).sum()
}

fn record(number: usize) -> String {
    format!("{number:>width$}", width = LEN - 1)
}

async fn publish(cluster: &Cluster, count: usize, window: usize) {
    let context = reader::context(&cluster.urls()).await;
    let mut answers = FuturesOrdered::new();
    for number in 0..count {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", number.to_string());
        let payload = record(number).into();
        let answer = context
            .publish_with_headers(SUBJECT, headers, payload)
            .await
            .unwrap();
        answers.push_back(answer.into_future());
        if answers.len() >= window {
            answers.next().await.unwrap().unwrap();
        }
    }
    while let Some(answer) = answers.next().await {
        answer.unwrap();
    }
}

fn connect(cluster: &Cluster, packing: Packing) -> NatsSink {
    let target = Target::new(cluster.urls()).stream(STREAM).subject(SUBJECT);
    NatsSink::connect(target.packing(packing)).unwrap()
}

fn queue(cluster: &Cluster, packing: Packing) -> Queue {
    let options = Options::new().capacity(16 << 20).framing(Framing::Lines);
    options.open_sink(connect(cluster, packing)).unwrap()
}

fn ship(cluster: &Cluster, packing: Packing, count: usize) {
    let queue = queue(cluster, packing);
    for number in 0..count {
        queue
            .writen(record(number).as_bytes(), Flags::WAITOK)
            .unwrap();
    }
    queue.flush().unwrap();
}

/// What `writen` costs its caller: with a file, with the sink, and with the sink while there is no
/// quorum; and what a full ring costs, beside that of a pipe that nobody reads. Bursts of 64 records
/// without waiting, and a pause of 200 us after each.
fn callers(cluster: &mut Cluster) {
    println!("\nan append without waiting, in ns (with the clock), in bursts of 64");
    println!(
        "{:<24} {:>8} {:>8} {:>8} {:>9}",
        "", "median", "p99", "p99.9", "refused"
    );
    create(cluster, true);
    let file = tempfile::NamedTempFile::new().unwrap();
    let options = Options::new().capacity(16 << 20).framing(Framing::Lines);
    let to_file = options.clone().open(file.path()).unwrap();
    let to_nats = queue(cluster, Packing::Records);
    for _ in 0..3 {
        append("file", &to_file);
        append("nats", &to_nats);
    }
    to_nats.flush().unwrap();
    cluster.kill_node(1);
    cluster.kill_node(2);
    for _ in 0..3 {
        append("file", &to_file);
        append("nats, no quorum", &to_nats);
    }
    let (reader, writer) = io::pipe().unwrap();
    let to_pipe = options.open_fd(&writer).unwrap();
    for queue in [&to_pipe, &to_nats] {
        while queue.writen(&[b'x'; LEN], Flags::NOWAIT).is_ok() {}
    }
    for _ in 0..3 {
        append("pipe, full", &to_pipe);
        append("nats, no quorum, full", &to_nats);
    }
    drop(reader); // otherwise the close waits for a reader
    to_pipe.close(None).unwrap_err(); // the rest of its records has no reader
    cluster.start_node(1);
    cluster.start_node(2);
    common::until("a leader", || to_nats.flush().ok());
}

fn append(name: &str, queue: &Queue) {
    let record = [b'x'; LEN - 1];
    let mut nanos = Vec::new();
    let mut refused = 0;
    for _ in 0..500 {
        for _ in 0..64 {
            let begun = Instant::now();
            let appended = queue.writen(&record, Flags::NOWAIT);
            nanos.push(begun.elapsed().as_nanos());
            refused += u32::from(appended.is_err());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    nanos.sort_unstable();
    let at = |part: f64| nanos[(nanos.len() as f64 * part) as usize];
    let (median, p99, p999) = (at(0.5), at(0.99), at(0.999));
    println!("{name:<24} {median:>8} {p99:>8} {p999:>8} {refused:>9}");
}
