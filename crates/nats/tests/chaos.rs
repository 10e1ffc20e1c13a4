//! Kills the client, servers, the leader and all servers at random moments, and stops them. Then a
//! reader checks that the stream holds every record once and in order.
//!
//! ```text
//! ALQ_NATS_KILLS=1000 ALQ_NATS_NODE_KILLS=100 cargo test --test chaos      the long form
//! ALQ_NATS_SEED=7 ALQ_NATS_PACKING=records|apart|runs cargo test --test chaos
//! ```
//!
//! The reader is `reader.py`, run by the Python in `ALQ_NATS_PYTHON`, which has nats-py: a client
//! that shares no code with this crate. Without it, the official client for Rust reads.
//!
//! The test runs itself as the client. Each client numbers its records from 0, so a record is
//! known by the number of the client, of its thread, and its own. A client notes in a file each
//! record that it has posted; the page cache outlives its kill.

mod common;

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use alq::{Flags, Framing, Options};
use alq_nats::async_nats::jetstream::stream;
use alq_nats::{NatsSink, Packing, Target};
use common::{Cluster, reader};
use rustix::process::Signal;

const STREAM: &str = "chaos";
const SUBJECT: &str = "chaos.log";
const THREADS: u64 = 2;

/// How many records the last client appends on each thread before it closes its queue.
const LAST: u64 = 500;

fn main() {
    if let Some(folder) = env::var_os("ALQ_NATS_CLIENT") {
        client(Path::new(&folder));
        return;
    }
    if env::args().any(|arg| arg == "--list") {
        return; // of cargo nextest
    }
    let Some(cluster) = common::cluster(3) else {
        return;
    };
    let packings = match env::var("ALQ_NATS_PACKING") {
        Ok(named) => vec![named],
        Err(_) => ["records", "runs"].map(str::to_owned).to_vec(),
    };
    let mut chaos = Chaos {
        random: number("ALQ_NATS_SEED").unwrap_or_else(|| u64::from(std::process::id())),
        cluster,
        counts: Counts::default(),
    };
    println!("seed {}", chaos.random);
    for packing in packings {
        chaos.run(&packing);
    }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable)
        .ok()
        .map(|text| text.parse().expect(variable))
}

/// Appends until it is killed, or, as the last client, until the stream has everything.
fn client(folder: &Path) {
    let of = |name: &str| env::var(name).unwrap();
    let number: u64 = of("ALQ_NATS_NUMBER").parse().unwrap();
    let is_last = env::var_os("ALQ_NATS_LAST").is_some();
    let packing = match &*of("ALQ_NATS_PACKING") {
        "runs" => Packing::Run {
            max_bytes: 64 << 10,
        },
        _ => Packing::Records,
    };
    let target = Target::new(of("ALQ_NATS_URLS"))
        .stream(STREAM)
        .subject(SUBJECT)
        .packing(packing)
        .offline(true)
        .connect_timeout(Duration::from_secs(1));
    let sink = NatsSink::connect(target).unwrap();
    let queue = Options::new()
        .capacity(256 << 10)
        .framing(Framing::Lines)
        .ring_file(folder.join("ring"))
        .ring_on_disk(true)
        .stall_limit(None)
        .open_sink(sink)
        .unwrap();
    let recovery = queue.recovery().unwrap();
    assert_eq!(
        (recovery.possibly_repeated_bytes, recovery.damaged_slots),
        (0, 0),
        "{recovery:?}"
    );
    thread::scope(|scope| {
        for at in 0..THREADS {
            let (queue, posted) = (&queue, File::create(posted(folder, number, at)).unwrap());
            scope.spawn(move || {
                let mut lane = queue.lane();
                for record in (0_u64..).take_while(|record| !is_last || *record < LAST) {
                    let line = format!("{number} {at} {record} {}", "-".repeat(80));
                    match at {
                        0 => drop(queue.writen(line.as_bytes(), Flags::WAITOK).unwrap()),
                        _ => drop(lane.writen(line.as_bytes(), Flags::WAITOK).unwrap()),
                    }
                    posted.write_all_at(&(record + 1).to_ne_bytes(), 0).unwrap();
                    if record % 8 == 7 {
                        thread::sleep(Duration::from_millis(1)); // a reader must get through it all
                    }
                }
            });
        }
    });
    queue.close(None).unwrap();
}

/// The file in which a thread of a client notes how many records it has posted.
fn posted(folder: &Path, number: u64, thread: u64) -> std::path::PathBuf {
    folder.join(format!("posted-{number}-{thread}"))
}

#[derive(Debug, Default)]
struct Counts {
    client_kills: u64,
    client_stops: u64,
    node_kills: u64,
    leader_kills: u64,
    all_kills: u64,
    node_stops: u64,
}

struct Chaos {
    random: u64,
    cluster: Cluster,
    counts: Counts,
}

impl Chaos {
    fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15); // splitmix64
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.random(to - from))
    }

    fn run(&mut self, packing: &str) {
        let urls = self.cluster.urls();
        reader::create(
            &urls,
            &stream::Config {
                name: STREAM.into(),
                subjects: vec![SUBJECT.into()],
                num_replicas: self.cluster.len(),
                allow_atomic_publish: packing != "apart",
                ..stream::Config::default()
            },
        );
        let folder = self.cluster.folder().join(packing);
        fs::create_dir(&folder).unwrap();
        self.counts = Counts::default();
        let begun = Instant::now();
        let clients = self.harm(&folder, packing);
        let mut last = spawn(&folder, &urls, packing, clients - 1, true);
        common::until("the last client", || {
            last.try_wait().unwrap().map(|code| assert!(code.success()))
        });
        let lines = read(&urls, packing);
        let records = check(&folder, &lines, clients);
        let Self { counts, .. } = self;
        println!(
            "{packing}: {records} records, {counts:?} in {} s",
            begun.elapsed().as_secs()
        );
        reader::run(async {
            let context = reader::context(&urls).await;
            context.delete_stream(STREAM).await.unwrap();
        });
    }

    /// Runs clients and does harm to them and to the servers. Returns the number of clients, with
    /// the one that comes last. All servers run at the end.
    fn harm(&mut self, folder: &Path, packing: &str) -> u64 {
        let urls = self.cluster.urls();
        let kills = number("ALQ_NATS_KILLS").unwrap_or(25);
        let node_kills = number("ALQ_NATS_NODE_KILLS").unwrap_or(2);
        let mut clients = 1;
        let mut client = spawn(folder, &urls, packing, 0, false);
        let mut outage: Option<(Instant, Vec<usize>)> = None;
        let mut calm = Instant::now() + self.millis(500, 1500);
        while self.counts.client_kills < kills || self.counts.node_kills < node_kills {
            thread::sleep(self.millis(10, 400)); // a random moment
            if self.random(20) == 0 {
                common::signal_child(&client, Signal::STOP).unwrap();
                thread::sleep(self.millis(10, 2000));
                common::signal_child(&client, Signal::CONT).unwrap();
                self.counts.client_stops += 1;
            }
            if self.counts.client_kills < kills {
                client.kill().unwrap();
                client.wait().unwrap();
                self.counts.client_kills += 1;
                client = spawn(folder, &urls, packing, clients, false);
                clients += 1;
            }
            assert!(
                client.try_wait().unwrap().is_none(),
                "a client has ended by itself"
            );
            match &outage {
                Some((until, nodes)) if Instant::now() >= *until => {
                    for at in nodes.clone() {
                        self.cluster.signal_node(at, Signal::CONT);
                        self.cluster.start_node(at);
                    }
                    outage = None;
                    calm = Instant::now() + self.millis(500, 5000);
                }
                None if self.counts.node_kills < node_kills && Instant::now() >= calm => {
                    let nodes = self.harm_nodes(&urls);
                    outage = Some((Instant::now() + self.millis(200, 4000), nodes));
                }
                _ => {}
            }
        }
        client.kill().unwrap();
        client.wait().unwrap();
        for at in 0..self.cluster.len() {
            self.cluster.signal_node(at, Signal::CONT);
            self.cluster.start_node(at);
        }
        clients + 1
    }

    /// Kills or stops servers. Returns which ones.
    fn harm_nodes(&mut self, urls: &str) -> Vec<usize> {
        let all = 0..self.cluster.len();
        let any = self.random(all.end as u64) as usize;
        let leader = leader(urls);
        match self.random(8) {
            0 => {
                all.clone().for_each(|at| self.cluster.kill_node(at));
                self.counts.all_kills += 1;
                self.counts.node_kills += all.end as u64;
                return all.collect();
            }
            1 | 2 => {
                let at = leader.unwrap_or(any);
                self.cluster.signal_node(at, Signal::STOP);
                self.counts.node_stops += 1;
                return vec![at];
            }
            3 => self.cluster.kill_node(any),
            _ => {
                let at = leader.unwrap_or(any);
                self.cluster.kill_node(at);
                self.counts.leader_kills += u64::from(leader.is_some());
                self.counts.node_kills += 1;
                return vec![at];
            }
        }
        self.counts.node_kills += 1;
        vec![any]
    }
}

fn spawn(folder: &Path, urls: &str, packing: &str, number: u64, is_last: bool) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .env("ALQ_NATS_CLIENT", folder)
        .env("ALQ_NATS_URLS", urls)
        .env("ALQ_NATS_PACKING", packing)
        .env("ALQ_NATS_NUMBER", number.to_string());
    if is_last {
        command.env("ALQ_NATS_LAST", "1");
    }
    command.spawn().unwrap()
}

/// The server that leads the stream, if it is known within a second.
fn leader(urls: &str) -> Option<usize> {
    reader::run(async {
        let ask = async {
            let stream = reader::context(urls).await.get_stream(STREAM).await.ok()?;
            let leader = stream.cached_info().cluster.as_ref()?.leader.clone()?;
            leader.strip_prefix('n')?.parse().ok()
        };
        let answer = tokio::time::timeout(Duration::from_secs(1), ask).await;
        answer.ok().flatten()
    })
}

/// The lines of all records, in the order of the stream.
fn read(urls: &str, packing: &str) -> String {
    let Some(python) = env::var_os("ALQ_NATS_PYTHON") else {
        println!("ALQ_NATS_PYTHON is not set: the client for Rust reads (ci/nats.sh sets it)");
        let messages = reader::read(urls, STREAM);
        let text = messages.iter().map(|message| {
            let mut text = String::from_utf8(message.payload.clone()).unwrap();
            if packing != "runs" && !message.more {
                text.push('\n');
            }
            text
        });
        return text.collect();
    };
    let kind = if packing == "runs" { "runs" } else { "records" };
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reader.py"))
        .args([urls, STREAM, SUBJECT, kind])
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "reader.py: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Checks that each client's records are there once, in order, and as many as it had posted.
fn check(folder: &Path, lines: &str, clients: u64) -> usize {
    let mut next = vec![[0_u64; THREADS as usize]; clients as usize];
    let mut client = 0;
    for (at, line) in lines.lines().enumerate() {
        let mut fields = line.split(' ').map(str::parse::<u64>);
        let mut field = || {
            fields
                .next()
                .and_then(Result::ok)
                .unwrap_or_else(|| panic!("{line}"))
        };
        let (number, thread, record) = (field(), field() as usize, field());
        assert!(
            number >= client,
            "line {at}: client {number} after {client}"
        );
        client = number;
        let expected = &mut next[number as usize][thread];
        assert_eq!(record, *expected, "line {at}: {line}");
        *expected += 1;
    }
    for (number, next) in (0..clients).zip(&next) {
        for (thread, next) in (0..).zip(next) {
            let noted = fs::read(posted(folder, number, thread)).unwrap_or_default();
            let posted = noted.try_into().map_or(0, u64::from_ne_bytes);
            let is_complete = (posted..=posted + 1).contains(next);
            assert!(
                is_complete,
                "client {number}, thread {thread}: {next} of {posted}"
            );
        }
    }
    lines.lines().count()
}
