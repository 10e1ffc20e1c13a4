//! A socket of packets or datagrams, a pipe in packet mode and /dev/kmsg get one record a message.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::channel;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::common::child::end_of_child;
use crate::common::fork::{End, fork};
use crate::common::torture::label::die;
use crate::common::{
    DEADLINE, LATER, Log, NEVER_STALLS, Record, STALLS_SOON, TRY, WAIT, append_to, assert_complete,
    parse, small, spawn, wait_for,
};
use alq::{Error, Framing, FramingProblem, Options, Queue, Stats};

/// Two ends: the first reads, the second writes.
pub type Ends = (File, OwnedFd);

pub fn sockets(kind: SocketType) -> Ends {
    let flags = SocketFlags::CLOEXEC;
    let (reader, writer) = socketpair(AddressFamily::UNIX, kind, flags, None).unwrap();
    (reader.into(), writer)
}

pub fn packet_pipe() -> Ends {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT).unwrap();
    (reader.into(), writer)
}

/// Each kind of target, by its name.
pub fn targets() -> [(&'static str, Ends); 3] {
    [
        ("packets", sockets(SocketType::SEQPACKET)),
        ("datagrams", sockets(SocketType::DGRAM)),
        ("a pipe", packet_pipe()),
    ]
}

/// Reads the next message.
pub fn message(mut reader: &File) -> Vec<u8> {
    let limit = rustix::event::Timespec::try_from(DEADLINE).unwrap();
    let mut fds = [PollFd::new(&reader, PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&limit)), Ok(1), "no message comes");
    let mut piece = vec![0; 1 << 17];
    let len = reader.read(&mut piece).unwrap();
    piece.truncate(len);
    piece
}

pub fn messages(reader: &File, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|_| message(reader)).collect()
}

fn texts(all: &[Vec<u8>]) -> Vec<&str> {
    let text = |one| std::str::from_utf8(one).unwrap();
    all.iter().map(|one| text(one)).collect()
}

/// Nothing that was posted together comes together.
#[test]
fn each_record_is_one_message() {
    for (name, (reader, writer)) in targets() {
        let queue = small().open_fd(&writer).unwrap();
        let held = queue.getn(1, TRY).unwrap(); // the records behind it wait together
        queue.writen(b"one", TRY).unwrap();
        queue.writen(b"two\n", TRY).unwrap();
        let mut lane = queue.lane();
        lane.writen(b"three", TRY).unwrap();
        lane.writen(b"four", TRY).unwrap();
        let mut entry = lane.getn(8, TRY).unwrap();
        entry[..4].copy_from_slice(b"five");
        entry.set_bytes_used(4);
        entry.post();
        drop(queue.getn(5, TRY).unwrap()); // nothing: no message
        queue.writen(b"six", TRY).unwrap();
        drop(held);
        queue.flush().unwrap();
        let all = messages(&reader, 6);
        let expected = ["one", "two\n", "three", "four", "five", "six"];
        assert_eq!(texts(&all), expected, "{name}");
        queue.writen(b"last", TRY).unwrap();
        drop(lane);
        queue.close(None).unwrap();
        assert_eq!(message(&reader), b"last", "{name}");
        let Stats {
            written_records,
            written_bytes,
            lost_records,
            ..
        } = queue.stats();
        assert_eq!((written_records, lost_records), (7, 0), "{name}");
        assert_eq!(written_bytes, 27, "{name}");
    }
}

/// The reader is slow, so the target is full again and again.
#[test]
fn records_of_several_threads_are_whole_and_in_order() {
    const COUNT: u32 = 2000;
    for (name, (reader, writer)) in targets() {
        let queue = small().open_fd(&writer).unwrap();
        drop(writer);
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let queue = queue.clone();
                spawn(move || {
                    let mut lane = queue.lane();
                    for seq in 0..COUNT {
                        let len = Record::MIN_LEN + (seq as usize * 7 + writer) % 300;
                        let text = Record { writer, seq, len }.text();
                        match writer % 2 {
                            0 => queue.writen(text.as_bytes(), WAIT).unwrap(),
                            _ => lane.writen(text.as_bytes(), WAIT).unwrap(),
                        };
                    }
                })
            })
            .collect();
        wait_for("the target is full", || queue.stats().stalled.is_some());
        let mut records = Vec::new();
        for _ in 0..4 * COUNT {
            let one = parse(&message(&reader));
            assert_eq!(one.len(), 1, "{name}");
            records.extend(one);
        }
        writers.into_iter().for_each(crate::common::Watched::join);
        queue.close(None).unwrap();
        assert_complete(&records, &[COUNT; 4]);
    }
}

/// The bytes are those that a file would get.
#[test]
fn a_message_has_the_framing_of_its_record() {
    for (framing, expected) in [
        (Framing::Lines, ["abc\n", "def\n"]),
        (Framing::Fixed(3), ["abc", "def"]),
        (Framing::Lengths, ["\u{3}\0\0\0abc", "\u{3}\0\0\0def"]),
    ] {
        for (name, (reader, writer)) in targets() {
            let queue = small().framing(framing).open_fd(&writer).unwrap();
            let held = queue.getn(3, TRY).unwrap();
            queue.lane().writen(b"abc", TRY).unwrap();
            queue.writen(b"def", TRY).unwrap();
            drop(held);
            queue.flush().unwrap();
            let all = messages(&reader, 2);
            assert_eq!(texts(&all), expected, "{name} {framing:?}");
        }
    }
}

/// The spans of its lanes hold several records.
#[test]
fn a_queue_goes_on_in_messages_if_its_records_can_be_told_apart() {
    for (name, (reader, writer)) in targets() {
        let log = Log::new();
        let queue = log.open(small().framing(Framing::Lines));
        let mut lane = queue.lane();
        let held = queue.getn(9, TRY).unwrap();
        for line in ["one", "two", "three"] {
            lane.writen(line.as_bytes(), LATER).unwrap();
        }
        let cut = queue.position();
        let reopened = queue.reopen(&writer).unwrap();
        for line in ["four", "five", "six"] {
            lane.writen(line.as_bytes(), LATER).unwrap();
        }
        drop(held);
        reopened.wait().unwrap();
        queue.flush().unwrap();
        assert!(cut.bytes() > 0);
        assert_eq!(log.text(), "one\ntwo\nthree\n", "{name}");
        let all = messages(&reader, 3);
        assert_eq!(texts(&all), ["four\n", "five\n", "six\n"], "{name}");
        queue.reopen(append_to(log.path())).unwrap().wait().unwrap();
        lane.writen(b"seven", TRY).unwrap();
        queue.close(None).unwrap();
        assert!(log.text().ends_with("three\nseven\n"));

        let raw = log.open(small());
        let refused = raw.reopen(&writer).unwrap_err();
        assert!(is_refused(&refused), "{refused}");
        raw.writen(b"goes on", TRY).unwrap();
        raw.close(None).unwrap();
        assert!(log.text().ends_with("goes on"));
    }
}

fn is_refused(error: &Error) -> bool {
    let Error::Framing { problem, .. } = error else {
        return false;
    };
    **problem == FramingProblem::Messages && !error.to_string().contains("(unknown)")
}

#[test]
fn what_is_one_stream_is_refused() {
    for (name, (_reader, writer)) in targets() {
        let recorder = small().recorder(true).open_fd(&writer).unwrap_err();
        assert!(is_refused(&recorder), "{name} {recorder}");
        #[cfg(feature = "frames")]
        {
            let frames = small().framing(Framing::Checked).open_fd(&writer);
            assert!(is_refused(&frames.unwrap_err()), "{name}");
        }
    }
}

fn in_ring(folder: &Path) -> Options {
    Options::new()
        .capacity(1 << 14)
        .stall_limit(Some(NEVER_STALLS))
        .ring_file(folder.join("ring"))
        .other_log(true)
}

/// A process that was killed has left `framing` records of the queue and of a lane in its ring.
fn left_by_a_killed_process(test: &str, way: &str, framing: Framing) -> Option<tempfile::TempDir> {
    let ended = end_of_child(test, way, |folder| {
        let log = append_to(folder.join("log"));
        let queue = in_ring(folder).framing(framing).open_fd(&log).unwrap();
        let _held = queue.getn(9, TRY).unwrap();
        queue.writen(b"one", LATER).unwrap();
        let mut lane = queue.lane();
        lane.writen(b"two", LATER).unwrap();
        lane.writen(b"three", LATER).unwrap();
        die();
    })?;
    Some(ended.folder)
}

#[test]
fn what_a_killed_process_has_left_comes_in_messages() {
    let test = "what_a_killed_process_has_left_comes_in_messages";
    for (at, way) in ["packets", "datagrams", "a pipe"].into_iter().enumerate() {
        let left = left_by_a_killed_process(test, way, Framing::Lines);
        let Some(folder) = left else { continue };
        let (reader, writer) = targets().into_iter().nth(at).unwrap().1;
        let queue = in_ring(folder.path()).framing(Framing::Lines);
        let queue = queue.open_fd(&writer).unwrap();
        assert_eq!(queue.recovery().unwrap().bytes, 14);
        queue.writen(b"new", TRY).unwrap();
        queue.close(None).unwrap();
        let all = messages(&reader, 4);
        assert_eq!(texts(&all), ["one\n", "two\n", "three\n", "new\n"]);
    }
}

/// The records of its lane have no boundaries.
#[test]
fn raw_records_that_a_lane_has_left_are_not_merged_into_a_message() {
    let test = "raw_records_that_a_lane_has_left_are_not_merged_into_a_message";
    let Some(folder) = left_by_a_killed_process(test, "", Framing::Raw) else {
        return;
    };
    let (_reader, writer) = packet_pipe();
    let refused = in_ring(folder.path()).open_fd(&writer).unwrap_err();
    assert!(is_refused(&refused), "{refused}");
    let log = append_to(folder.path().join("other"));
    let queue = in_ring(folder.path()).open_fd(&log).unwrap();
    queue.close(None).unwrap();
    let text = std::fs::read_to_string(folder.path().join("other")).unwrap();
    assert_eq!(text, "onetwothree", "nothing is lost");
}

/// The rest stays in the ring file, record by record.
#[test]
fn a_close_that_gives_up_leaves_whole_records() {
    for (name, (reader, writer)) in targets() {
        let folder = tempfile::tempdir().unwrap();
        let options = in_ring(folder.path()).stall_limit(Some(STALLS_SOON));
        let queue = options.open_fd(&writer).unwrap();
        let mut posted = 0;
        while queue.stats().stalled.is_none() {
            match queue.writen(format!("record {posted}").as_bytes(), TRY) {
                Ok(_) => posted += 1,
                Err(error) => assert_eq!(error, Error::WouldBlock),
            }
        }
        let left = queue.close(None).unwrap_err();
        drop(queue);
        let before = posted - left.records as usize;
        let all = messages(&reader, before);
        let next = in_ring(folder.path()).open_fd(&writer).unwrap();
        assert_eq!(next.recovery().unwrap().bytes, left.bytes);
        let (sender, rest) = channel();
        let count = left.records as usize;
        spawn(move || sender.send(messages(&reader, count)).unwrap());
        next.flush().unwrap();
        let all: Vec<_> = all.into_iter().chain(rest.recv().unwrap()).collect();
        let expected: Vec<_> = (0..posted).map(|at| format!("record {at}")).collect();
        assert_eq!(texts(&all), expected, "{name}");
    }
}

#[test]
fn a_child_of_fork_appends_messages() {
    for (name, (reader, writer)) in targets() {
        let queue = small().framing(Framing::Lines).open_fd(&writer).unwrap();
        let own = queue.clone();
        fork(End::AtOnce, move || {
            own.writen(b"try", TRY).unwrap();
            own.writen(b"wait", WAIT).unwrap();
        })
        .join();
        let all = messages(&reader, 2);
        assert_eq!(texts(&all), ["try\n", "wait\n"], "{name}");
    }
}

/// Once the ring is drained, at the end of the process.
#[test]
fn an_append_at_exit_is_one_message() {
    let test = "an_append_at_exit_is_one_message";
    for (at, way) in ["packets", "datagrams", "a pipe"].into_iter().enumerate() {
        let ended = end_of_child(test, way, |folder| {
            let (reader, writer) = targets().into_iter().nth(at).unwrap().1;
            let out = append_to(folder.join("out"));
            // The queue comes after the handler, which so runs after the drain.
            let queue: &'static std::sync::OnceLock<Queue> = Box::leak(Box::default());
            crate::common::exit::at_exit(move || {
                let queue = queue.get().unwrap();
                queue.writen(b"late", WAIT).unwrap();
                let all = messages(&reader, 2);
                std::io::Write::write_all(&mut &out, texts(&all).join("|").as_bytes()).unwrap();
            });
            let options = small().framing(Framing::Lines);
            let queue = queue.get_or_init(|| options.open_fd(&writer).unwrap());
            queue.writen(b"early", LATER).unwrap();
        });
        let Some(ended) = ended else { continue };
        ended.assert_code(0);
        assert_eq!(ended.file("out"), b"early\n|late\n", "{way}");
    }
}

/// Reads the records of the kernel's log after those that are there now.
fn kernel_log() -> Option<(File, File)> {
    let writer = File::options().append(true).open("/dev/kmsg").ok()?;
    let mut options = File::options();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let reader = options.read(true).open("/dev/kmsg").ok()?;
    let fd = reader.as_fd();
    rustix::fs::seek(fd, rustix::fs::SeekFrom::End(0)).ok()?;
    Some((reader, writer))
}

/// Its readers see a record without a newline only once the next one comes.
#[test]
fn the_log_of_the_kernel_gets_a_record_for_each_record() {
    let Some((mut reader, writer)) = kernel_log() else {
        eprintln!("skipped: /dev/kmsg is not open to this user");
        return;
    };
    let queue = small().framing(Framing::Lines).open_fd(&writer).unwrap();
    let mark = format!("alq test {}", std::process::id());
    let held = queue.getn(1, TRY).unwrap();
    queue.writen(format!("{mark} one").as_bytes(), TRY).unwrap();
    let two = format!("{mark} two\n");
    queue.writen(two.as_bytes(), TRY).unwrap();
    let too_long = queue.writen(&[b'x'; 1024], WAIT);
    let (len, max) = (1024, 1023);
    assert_eq!(too_long, Err(Error::TooLarge { len, max }));
    drop(held);
    queue.flush().unwrap();
    let own = queue.clone();
    let child = format!("{mark} child");
    fork(End::AtOnce, move || {
        own.writen(child.as_bytes(), TRY).unwrap();
    })
    .join();
    let mut found = Vec::new();
    let mut piece = [0; 8192];
    loop {
        match reader.read(&mut piece) {
            Ok(len) => {
                let text = String::from_utf8_lossy(&piece[..len]).into_owned();
                found.extend(text.lines().next().and_then(|line| {
                    let at = line.find(&mark)?;
                    Some(line[at + mark.len()..].to_owned())
                }));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPIPE)), // overwritten
        }
    }
    assert_eq!(found, [" one", " two", " child"]);
}
