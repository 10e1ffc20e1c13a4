//! What a queue writes, the reader reads: checked frames with their positions, over rotation,
//! packing and another opening.

use std::fs;
use std::path::Path;

use alq::read::{Item, Reader};
use alq::rotate::{Compression, Rotation};
use alq::{Flags, Framing, Options};

/// The records of a log with their positions. Fails on a notice.
fn read(log: &Path) -> Vec<(u64, Vec<u8>)> {
    let mut reader = Reader::open(log).unwrap();
    let mut records = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::Record(record) => {
                assert!(record.stamp().is_some());
                records.push((record.position().unwrap(), record.bytes().to_vec()));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(reader.finish().is_none(), "a torn end");
    records
}

#[test]
fn checked_records_of_a_queue_have_their_positions_over_rotated_and_packed_files() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("app.log");
    let mut expected = Vec::new();
    for opening in 0..2 {
        let rotation = Rotation::new().size_bytes(4096);
        let file = rotation.compress(Compression::Gzip).open(&log).unwrap();
        let options = Options::new().framing(Framing::Checked).stamps(true);
        let queue = options.open_sink(file.clone()).unwrap();
        let mut lane = queue.lane();
        for number in 0..300 {
            let text = format!("record {number} of opening {opening}");
            // Longer than the record, so that the ring has room that no record takes.
            let position = if number % 3 == 0 {
                lane.seal();
                let mut entry = queue.getn(100, Flags::WAITOK).unwrap();
                write!(entry, "{text}").unwrap();
                let position = entry.position();
                entry.post();
                position
            } else {
                let mut entry = lane.getn(100, Flags::WAITOK).unwrap();
                write!(entry, "{text}").unwrap();
                let position = entry.position();
                entry.post();
                position
            };
            let position = position.unwrap().bytes();
            expected.push((position, text.into_bytes()));
        }
        drop(lane);
        queue.close(None).unwrap();
        file.wait_background(None).unwrap();
    }
    let is_packed = |name: &fs::DirEntry| name.path().extension().is_some_and(|end| end == "gz");
    let files = fs::read_dir(dir.path()).unwrap().map(Result::unwrap);
    assert!(files.filter(is_packed).count() > 5);
    expected.sort();
    assert_eq!(read(&log), expected);
}
