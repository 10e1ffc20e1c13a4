//! The network between the client and the server fails: bytes neither arrive nor are refused. It
//! recovers either with what was held back, or with new connections only.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use alq::{Flags, Framing, Options};
use alq_nats::async_nats::jetstream::stream;
use alq_nats::{NatsSink, Target};
use common::{DEADLINE, reader, writing};

/// Between a client and its server.
#[derive(Clone, Default)]
struct Link(Arc<(Mutex<Wire>, Condvar)>);

#[derive(Default)]
struct Wire {
    /// Whether bytes are held back.
    is_held: bool,
    ends: Vec<TcpStream>,
}

impl Link {
    /// Starts to listen. Returns the address, too.
    fn start(server: &str) -> (Self, String) {
        let server = server.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let link = Self::default();
        let accepting = link.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(&server).unwrap();
                accepting.pass(client.try_clone().unwrap(), server.try_clone().unwrap());
                accepting.pass(server, client);
            }
        });
        (link, url)
    }

    /// Passes bytes on, while they are not held.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let known = from.try_clone().unwrap();
        self.0.0.lock().unwrap().ends.push(known);
        let link = self.clone();
        thread::spawn(move || {
            let mut block = vec![0; 1 << 16];
            while let Ok(count @ 1..) = from.read(&mut block) {
                let (wire, changed) = &*link.0;
                let is_held = |wire: &mut Wire| wire.is_held;
                drop(changed.wait_while(wire.lock().unwrap(), is_held).unwrap());
                if to.write_all(&block[..count]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
    }

    fn hold(&self, is_held: bool) {
        self.0.0.lock().unwrap().is_held = is_held;
        self.0.1.notify_all();
    }

    /// Ends all connections, also those with bytes on the way.
    fn cut(&self) {
        for end in self.0.0.lock().unwrap().ends.drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
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
        let target = Target::new(url)
            .stream(name)
            .subject(writing::subject(name))
            .connect_timeout(DEADLINE);
        let sink = Arc::new(NatsSink::connect(target).unwrap());
        let queue = Options::new()
            .capacity(1 << 20)
            .framing(Framing::Lines)
            .stall_limit(None)
            .open_sink(sink.clone())
            .unwrap();
        let mut count = 0;
        let mut append = |records: usize| {
            for _ in 0..records {
                let record = format!("{count}");
                queue.writen(record.as_bytes(), Flags::NOWAIT).unwrap();
                count += 1;
            }
        };
        for _ in 0..2 {
            append(100); // some of them are on the way when the network fails
            link.hold(true);
            append(100);
            common::until("the reason", || {
                let reason = sink.trouble()?;
                reason.starts_with("no connection").then_some(())
            });
            append(100);
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
