//! The bytes of a chain were computed by another program, from docs/frames.md alone. Then each answer
//! of the verifier.

use super::super::tests::bytes_of;
use super::super::{FileHeader, Frames, HEADER_LEN, Kind, LogId};
use super::{Chain, ChainKey, Checkpoint, Fault, Remarks, TAGS_MAX, Verifier, header_of};

const OTHER_KEY: ChainKey = ChainKey([9; 32]);

fn key() -> ChainKey {
    ChainKey(core::array::from_fn(|at| at as u8))
}

fn header(id: u8) -> FileHeader {
    FileHeader {
        id: LogId(core::array::from_fn(|at| at as u8 + id)),
        stamps: false,
        first_position: 0x123,
        created_ns: 0x17,
    }
}

/// A log as a queue writes it.
struct Log {
    frames: Frames,
    chain: Chain,
    end: u64,
    units: Vec<Vec<u8>>,
}

impl Log {
    /// A log with its first header, and no checkpoint.
    fn new(key: ChainKey, header: FileHeader) -> Self {
        let mut log = Self {
            frames: header.frames(),
            chain: Chain::new(key, &header.to_bytes()),
            end: header.first_position,
            units: Vec::new(),
        };
        log.header(header);
        log
    }

    fn header(&mut self, header: FileHeader) {
        self.chain.add_header(&header.to_bytes());
        self.units.push(header.to_bytes().to_vec());
    }

    fn record(&mut self, payload: &[u8]) {
        let mut bytes = Vec::new();
        let position = self.end;
        self.frames
            .push(&mut bytes, Kind::Record, position, 0, payload);
        self.end += bytes.len() as u64;
        self.chain.add(&bytes);
        self.units.push(bytes);
    }

    fn checkpoint(&mut self, remarks: Remarks) {
        let mut bytes = Vec::new();
        self.chain
            .push_checkpoint(&mut bytes, &self.frames, 0, remarks);
        self.chain.covered();
        self.units.push(bytes);
    }

    /// A log of a header, a checkpoint, and `records` records, each with a checkpoint after it.
    fn of(records: usize) -> Self {
        let mut log = Self::new(key(), header(0));
        log.checkpoint(Remarks {
            is_first_of_file: true,
            ..Remarks::default()
        });
        for record in 0..records {
            log.record(&[record as u8; 10]);
            log.checkpoint(Remarks::default());
        }
        log
    }
}

/// Goes along `units`. The place of a frame is its index.
fn verify(units: &[Vec<u8>]) -> (Vec<Fault<usize>>, Verifier<usize>) {
    let mut verifier = Verifier::new(key());
    let faults = verify_with(&mut verifier, units);
    (faults, verifier)
}

fn verify_with(verifier: &mut Verifier<usize>, units: &[Vec<u8>]) -> Vec<Fault<usize>> {
    let each = units.iter().enumerate();
    each.filter_map(|(at, unit)| {
        if header_of(unit).is_none() && Kind::of_last(unit[15]) == Kind::Checkpoint {
            verifier.check(unit, &unit[16..], at)
        } else {
            verifier.add(unit, at)
        }
    })
    .collect()
}

fn broken(number: u64, place: usize, found: u64, written: u64) -> Fault<usize> {
    Fault::Broken {
        number,
        place,
        found,
        written,
    }
}

#[test]
fn a_chain_has_the_documented_values() {
    let mut log = Log::new(key(), header(0));
    let is = |log: &Log, hex: &str| assert_eq!(log.chain.value().to_vec(), bytes_of(hex));
    is(
        &log,
        "0e8493303db6f247013debf60e03d08d74c82ad18f9241fdaf77e1d338d379c8",
    );
    log.record(b"a record");
    is(
        &log,
        "84c0ca4aacdbb2f35ac5c5533bce1d6ea3ff4aa9e546f5770c9da1814e09f566",
    );
    log.record(&[b'x'; 48]); // a frame that is as long as a header
    is(
        &log,
        "45b44b54d1f1c879ec991cab52d282639aaa6eee3a22e2424cce8f31aa1be3dd",
    );
    log.checkpoint(Remarks {
        is_first_of_file: false,
        is_end: true,
        adopted: 1,
    });
    let checkpoint = bytes_of(
        "7400000055c2bcf10000000000000040000000000000000003000000000000000200000003000000\
         010000000000000038ec5b99615955b245b44b54d1f1c879ec991cab52d282639aaa6eee3a22e242\
         4cce8f31aa1be3dd0e84933084c0ca4a45b44b5484b978d5135f173a9fcd479e37cf7dd628dc09e1\
         6d33fb377be93d7bf99d9602",
    );
    assert_eq!(log.units[3], checkpoint);
    let (faults, verifier) = verify(&log.units);
    assert_eq!(faults, [Fault::Adopted { frames: 1 }]);
    assert_eq!(verifier.covered().unwrap().0, 3);
    assert!(verifier.is_ended());
    for len in 0..checkpoint.len() - 16 {
        assert_eq!(
            Checkpoint::from_bytes(&checkpoint[16..][..len]),
            None,
            "{len}"
        );
    }
}

/// The tags of a checkpoint are bounded, and the frames after the last tag are proved as all others.
#[test]
fn many_frames_have_one_checkpoint() {
    let mut log = Log::new(key(), header(0));
    for _ in 0..TAGS_MAX + 100 {
        log.record(b"");
    }
    log.checkpoint(Remarks::default());
    let last = log.units.last().unwrap();
    let checkpoint = Checkpoint::from_bytes(&last[16..]).unwrap();
    assert_eq!(checkpoint.tags().len(), TAGS_MAX);
    assert_eq!(verify(&log.units).0, []);
    let changed = TAGS_MAX + 50;
    log.units[changed][3] = 1;
    let count = (TAGS_MAX + 101) as u64;
    let first = TAGS_MAX; // all before it have a tag, and the tags fit
    assert_eq!(
        verify(&log.units).0,
        [broken(first as u64, first, count, count)]
    );
}

#[test]
fn a_checkpoint_that_stands_again_is_named_alone() {
    let mut log = Log::of(3);
    log.units.insert(6, log.units[3].clone());
    // Before it stand the header and two records; the one after it is not missing.
    assert_eq!(verify(&log.units).0, [broken(3, 6, 0, 0)]);
}

#[test]
fn a_missing_checkpoint_and_its_frames_are_counted() {
    let mut log = Log::of(3);
    log.units.drain(2..4); // the first record, with its checkpoint
    assert_eq!(verify(&log.units).0, [broken(1, 2, 1, 2)]);
    let mut log = Log::of(3);
    log.units.remove(3);
    assert_eq!(verify(&log.units).0, [broken(1, 2, 2, 2)]);
}

#[test]
fn a_checkpoint_of_another_key_says_so_only_before_a_good_one() {
    let log = Log::of(2);
    let mut other = Log::new(OTHER_KEY, header(0));
    other.checkpoint(Remarks::default());
    let other = &other.units[1];
    let mut units = log.units.clone();
    units.insert(1, other.clone());
    let (faults, verifier) = verify(&units);
    assert_eq!(faults, [Fault::OtherKey]);
    assert!(!verifier.has_other_key(), "a good one follows");
    let mut units = log.units.clone();
    units.insert(4, other.clone());
    let (faults, verifier) = verify(&units);
    assert_eq!(faults, [broken(2, 4, 0, 0)]);
    assert!(!verifier.has_other_key());
}

/// The log was made anew: nothing of the one before it counts.
#[test]
fn another_log_begins_with_nothing() {
    let mut units = Log::of(3).units;
    units.push(Log::of(1).units.remove(2)); // a frame without a checkpoint
    let mut next = Log::new(key(), header(1));
    next.record(b"a record");
    next.checkpoint(Remarks::default());
    units.extend(next.units);
    let (faults, verifier) = verify(&units[..units.len() - 1]);
    assert_eq!(faults, []);
    assert_eq!((verifier.covered(), verifier.uncovered()), (None, 2));
    let (faults, verifier) = verify(&units);
    assert_eq!(faults, []);
    assert_eq!(verifier.covered().unwrap().0, 2);
    assert_eq!(verifier.into_chain().unwrap().number(), 2);
    assert!(!Chain::new(key(), &header(0).to_bytes()).is_of(&header(1).to_bytes()));
}

/// Only the number of the checkpoint says where the chain is.
#[test]
fn what_stands_before_the_oldest_checkpoint_is_named() {
    let mut log = Log::of(2);
    log.record(b"the last of its file");
    let from = log.units.len();
    log.header(FileHeader {
        first_position: log.end,
        ..header(0)
    });
    log.checkpoint(Remarks {
        is_first_of_file: true,
        ..Remarks::default()
    });
    let file: [Vec<u8>; 2] = log.units[from..].to_vec().try_into().unwrap();
    let [first, second] = &file;
    let (faults, verifier) = verify(&file);
    assert_eq!((faults, verifier.begins_at()), (vec![], 4));
    assert_eq!(verifier.covered().unwrap().0, 5);
    let (record, header_len) = (log.units[2].clone(), HEADER_LEN);
    let after = [first.clone(), record.clone(), second.clone()];
    assert_eq!(verify(&after).0, [broken(5, 1, 2, 1)]);
    let mut other = first.clone();
    other[header_len - 1] ^= 1;
    let before = [other, record, first.clone(), second.clone()];
    assert_eq!(verify(&before).0, [broken(4, 0, 3, 1)]);
}

#[test]
fn a_known_value_is_compared_where_it_belongs() {
    let log = Log::of(3);
    let known = |frames: u64, value: [u8; 16]| {
        let mut verifier = Verifier::new(key());
        verifier.know(frames, value);
        let faults = verify_with(&mut verifier, &log.units);
        (faults, verifier.knows_more())
    };
    let value = |records| *Log::of(records).chain.value().first_chunk().unwrap();
    for records in 0..=3 {
        assert_eq!(known(records as u64 + 1, value(records)), (vec![], false));
        let other = [1; 16];
        let faults = vec![Fault::OtherValue];
        assert_eq!(known(records as u64 + 1, other), (faults, false));
    }
    assert_eq!(known(5, [1; 16]), (vec![], true));
}
