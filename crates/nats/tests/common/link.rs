//! A connection that can be held up, so that bytes neither arrive nor are refused, and can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Between a client and its server, or between two servers.
#[derive(Clone, Debug, Default)]
pub struct Link(Arc<(Mutex<Wire>, Condvar)>);

#[derive(Debug, Default)]
struct Wire {
    /// Whether bytes are held back.
    is_held: bool,
    ends: Vec<TcpStream>,
}

impl Link {
    /// Starts to listen for connections to `server`. Returns its own address, too.
    pub fn start(server: &str) -> (Self, String) {
        let server = server.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let link = Self::default();
        let accepting = link.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(&server) else {
                    continue; // it does not run: the client finds its connection closed
                };
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

    pub fn hold(&self, is_held: bool) {
        self.0.0.lock().unwrap().is_held = is_held;
        self.0.1.notify_all();
    }

    /// Ends all connections, also those with bytes on the way.
    pub fn cut(&self) {
        for end in self.0.0.lock().unwrap().ends.drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}
