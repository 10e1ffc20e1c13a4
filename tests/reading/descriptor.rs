//! A reader of a descriptor reads what comes, once.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::thread;

use alq::read::{Cursor, End, Item, ReadOptions, Reader};
use rustix::pipe::{PipeFlags, pipe_with};

fn bytes(item: Option<Item<'_>>) -> Vec<u8> {
    match item {
        Some(Item::Record(record)) => record.bytes().to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pipe_is_read_as_it_comes_also_in_non_blocking_mode() {
    for flags in [PipeFlags::CLOEXEC, PipeFlags::CLOEXEC | PipeFlags::NONBLOCK] {
        let (from, to) = pipe_with(flags).unwrap();
        rustix::fs::fcntl_setfl(&to, rustix::fs::OFlags::empty()).unwrap();
        let mut reader = ReadOptions::new().open_fd(&from).unwrap();
        drop(from); // the reader has its own
        let mut to = File::from(to);
        to.write_all(b"one\ntw").unwrap();
        assert_eq!(bytes(reader.next().unwrap()), b"one"); // with the other end still open
        let writer = thread::spawn(move || to.write_all(b"o\nthree").unwrap());
        assert_eq!(bytes(reader.next().unwrap()), b"two");
        writer.join().unwrap();
        assert!(reader.next().unwrap().is_none());
        let Some(Item::Record(last)) = reader.finish() else {
            panic!("no record");
        };
        assert_eq!((last.bytes(), last.end()), (&b"three"[..], End::Torn));
    }
}

#[test]
fn a_descriptor_is_read_from_its_offset_and_not_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    std::fs::write(&path, "one\ntwo\n").unwrap();
    let file = File::open(&path).unwrap();
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(4)).unwrap();
    let mut reader = ReadOptions::new().open_fd(&file).unwrap();
    let cursor: Cursor = {
        let mut other = Reader::open(&path).unwrap();
        other.next().unwrap();
        other.cursor()
    };
    let refused = [
        reader.seek_last(1),
        reader.seek_position(0),
        reader.seek_time(std::time::SystemTime::now()).map(drop),
        reader.resume(&cursor),
    ];
    for error in refused {
        assert_eq!(error.unwrap_err().io_error().kind(), ErrorKind::Unsupported);
    }
    assert_eq!(bytes(reader.next().unwrap()), b"two");
    assert!(reader.next().unwrap().is_none());
    assert!(reader.follow().is_err());
    let write_only = File::create(dir.path().join("other")).unwrap();
    let mut reader = ReadOptions::new().open_fd(&write_only).unwrap();
    let error = reader.next().unwrap_err();
    assert_eq!(error.io_error().raw_os_error(), Some(9)); // EBADF
    assert!(error.to_string().starts_with("/dev/fd/"), "{error}");
}
