//! A reader that does not read is a stall until it does: it gets every byte, and every wait ends as
//! documented.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::{
    DEADLINE, NEVER_STALLS, TRY, WAIT, fill_up, pipe, read_all, room_waits, small, spawn, wait_for,
};
use crate::stalls::{errors_of, fill, soon, stall_errno, stalled};
use alq::Error;

#[test]
fn a_reader_that_does_not_read_is_a_stall_until_it_does() {
    let (reader, writer) = pipe().unwrap();
    let filler = fill_up(&writer);
    let (options, errors) = errors_of(soon());
    let queue = options.open_fd(&writer).unwrap();
    drop(writer);
    queue.writen(b"patient\n", TRY).unwrap();
    wait_for("the stall", || stall_errno(&queue) == Some(libc::EAGAIN));
    assert_eq!(queue.flush(), Err(stalled(libc::EAGAIN)));
    assert_eq!(errors.recv_timeout(DEADLINE), Ok(stalled(libc::EAGAIN)));
    let reader = read_all(reader);
    let flushed = || queue.flush_timeout(DEADLINE);
    wait_for("the reader", || flushed().is_ok());
    assert_eq!(stall_errno(&queue), None);
    queue.close(None).unwrap();
    drop(queue);
    assert_eq!(&reader.join()[filler..], b"patient\n");
}

/// A process that reads one end of a socket, and can be stopped.
struct Reader {
    process: Child,
    bytes: crate::common::Watched<Vec<u8>>,
}

impl Reader {
    fn start(socket: UnixStream) -> Self {
        let input = Stdio::from(std::os::fd::OwnedFd::from(socket));
        let mut process = Command::new("cat")
            .stdin(input)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let bytes = read_all(process.stdout.take().unwrap());
        Self { process, bytes }
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(kill.unwrap().success());
    }

    fn stop(&self) {
        self.signal("STOP");
        let stat = format!("/proc/{}/stat", self.process.id());
        wait_for("it stops", || {
            let stat = fs::read_to_string(&stat).unwrap();
            stat.rsplit(") ").next().unwrap().starts_with('T')
        });
    }

    fn end(mut self) -> Vec<u8> {
        let bytes = self.bytes.join();
        self.process.wait().unwrap();
        bytes
    }
}

/// SIGSTOP of a real reader: `NOWAIT` is refused at once, `WAITOK` waits, `close` is bounded, and
/// the counts are exact.
#[test]
fn a_stopped_reader_process() {
    let (theirs, ours) = UnixStream::pair().unwrap();
    let reader = Reader::start(theirs);
    let queue = small()
        .stall_limit(Some(NEVER_STALLS))
        .open_fd(&ours)
        .unwrap();
    drop(ours);
    let line = b"0123456789abcdefghijklmnopqrstuvwxyz\n";
    queue.writen(line, WAIT).unwrap();
    queue.flush().unwrap();
    reader.stop();

    let mut posted = 1;
    wait_for("the socket and the ring are full", || {
        while queue.writen(line, TRY).is_ok() {
            posted += 1;
        }
        stall_errno(&queue) == Some(libc::EAGAIN)
    });
    let waiter = {
        let queue = queue.clone();
        spawn(move || queue.writen(line, WAIT))
    };
    wait_for("it sleeps", || room_waits(&queue.stats()) == 1);
    assert_eq!(queue.writen(line, TRY), Err(Error::WouldBlock));
    assert!(waiter.is_running());

    reader.signal("CONT");
    waiter.join().unwrap();
    queue.flush().unwrap();
    reader.stop();
    wait_for("the socket and the ring are full again", || {
        while queue.writen(line, TRY).is_ok() {
            posted += 1;
        }
        stall_errno(&queue) == Some(libc::EAGAIN)
    });
    let left = queue.close(Some(Duration::from_millis(50))).unwrap_err();
    assert_eq!(left.cause, Error::TimedOut);
    let all = line.repeat(posted + 1);
    reader.signal("CONT");
    wait_for("the flusher lets go", || queue.stats().lost_bytes > 0);
    drop(queue);
    let read = reader.end();
    assert!(all.starts_with(&read));
    assert_eq!(read.len() as u64 + left.bytes, all.len() as u64);
}

/// A reader that the queue had to wait for gets every byte.
#[test]
fn a_reader_that_starts_late_misses_nothing() {
    let (mut reader, writer) = pipe().unwrap();
    let filler = fill_up(&writer);
    let queue = small().open_fd(&writer).unwrap();
    drop(writer);
    let posted = fill(&queue);
    wait_for("the stall", || stall_errno(&queue) == Some(libc::EAGAIN));
    let mut bytes = vec![0; filler + posted as usize];
    let reader = spawn(move || {
        reader.read_exact(&mut bytes).unwrap();
        bytes
    });
    queue.close(None).unwrap();
    assert_eq!(
        reader.join()[filler..],
        b"0123456\n".repeat(posted as usize / 8)
    );
}
