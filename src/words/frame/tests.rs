//! The bytes of headers and frames were computed by another program, so that a wrong polynomial, a
//! wrong order of bytes or a wrong place is seen.

use super::{
    Cut, FileHeader, Frame, FrameProblem, Frames, Gap, HEADER_LEN, HeaderProblem, Kind, LogId,
};

const ID: LogId = LogId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

const HEADER: FileHeader = FileHeader {
    id: ID,
    stamps: false,
    first_position: 0x123,
    created_ns: 0x17,
};

pub(super) fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = (0..hex.len()).step_by(2);
    digits
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn a_header_has_the_documented_bytes() {
    let bytes = bytes_of(
        "89616c716c6f670a0100000000000000000102030405060708090a0b0c0d0e0f\
         23010000000000001700000000000000000000000000000000000000f8ad8188",
    );
    assert_eq!(HEADER.to_bytes().to_vec(), bytes);
    assert_eq!(FileHeader::from_bytes(&bytes), Ok(HEADER));
    assert_eq!(ID.to_string(), "000102030405060708090a0b0c0d0e0f");
}

#[test]
fn frames_have_the_documented_bytes() {
    let mut out = Vec::new();
    Frames::new(ID, false).push(&mut out, Kind::Record, 0x123, 9, b"abc");
    assert_eq!(
        out,
        bytes_of("03000000ae71ee612301000000000000616263"),
        "the stamp 9 is not used"
    );
    let frame = HEADER.frames().read(&out).unwrap();
    assert_eq!(
        frame,
        Frame {
            kind: Kind::Record,
            position: 0x123,
            stamp_ns: None,
            payload: b"abc",
            len: 19,
        }
    );
    assert_eq!(frame.end_after(0x123), Some(0x123 + 19));
    assert_eq!(frame.end_after(0x124), None);

    out.clear();
    let gap = Gap {
        records: 2,
        bytes: 300,
    };
    let stamped = Frames::new(ID, true);
    stamped.push(&mut out, Kind::Gap, 0x1000, 5, &gap.to_bytes());
    let bytes = "10000000145def780010000000000010050000000000000002000000000000002c01000000000000";
    assert_eq!(out, bytes_of(bytes));
    let frame = stamped.read(&out).unwrap();
    assert_eq!((frame.kind, frame.end_after(0)), (Kind::Gap, Some(0x1000)));
    assert_eq!(frame.stamp_ns, Some(5));
    assert_eq!(Gap::from_bytes(frame.payload), Some(gap));
    assert_eq!(Gap::from_bytes(&frame.payload[1..]), None);
}

#[test]
fn a_header_says_what_is_wrong_with_it() {
    let bytes = HEADER.to_bytes();
    for len in 0..HEADER_LEN {
        let result = FileHeader::from_bytes(&bytes[..len]);
        assert_eq!(result, Err(HeaderProblem::Incomplete), "{len} bytes");
    }
    let text = FileHeader::from_bytes(b"a");
    assert_eq!(text, Err(HeaderProblem::NotFramed));
    let with = |at: usize, value: u8| {
        let mut bytes = HEADER.to_bytes();
        bytes[at] = value;
        let check = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&check.to_le_bytes());
        FileHeader::from_bytes(&bytes)
    };
    assert_eq!(with(8, 2), Err(HeaderProblem::OtherVersion(2)));
    assert_eq!(with(12, 3), Err(HeaderProblem::UnknownFlags(2)));
    assert!(with(12, 1).unwrap().stamps);
}

#[test]
fn every_flipped_bit_and_every_cut_is_seen() {
    for stamps in [false, true] {
        let frames = Frames::new(ID, stamps);
        let mut whole = Vec::new();
        frames.push(&mut whole, Kind::Aside, 7, 8, b"some bytes");
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(frames.read(&bytes).is_err(), "bit {bit}");
        }
        for len in 0..whole.len() {
            let result = frames.read(&whole[..len]);
            let needed = if len < frames.overhead() {
                frames.overhead()
            } else {
                whole.len()
            };
            assert_eq!(result, Err(FrameProblem::Incomplete { needed }));
        }
    }
    for bit in 0..HEADER_LEN * 8 {
        let mut bytes = HEADER.to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(FileHeader::from_bytes(&bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn a_frame_of_another_log_is_none_of_this_one() {
    let mut bytes = Vec::new();
    Frames::new(LogId([7; 16]), false).push(&mut bytes, Kind::Record, 0, 0, b"copied");
    let result = Frames::new(ID, false).read(&bytes);
    assert_eq!(result, Err(FrameProblem::Damaged));
}

#[test]
fn all_kinds_and_the_largest_position_come_back() {
    let frames = Frames::new(ID, false);
    for number in 0..16 {
        let kind = Kind::of(number);
        let mut bytes = Vec::new();
        frames.push(&mut bytes, kind, super::POSITION_END - 1, 0, b"");
        let frame = frames.read(&bytes).unwrap();
        assert_eq!(frame.kind, kind);
        assert_eq!(frame.position, super::POSITION_END - 1);
        assert_eq!(kind.is_record(), number == 0 || number == 3);
        let end = frame.end_after(u64::MAX);
        assert_eq!(end, (number > 2).then_some(u64::MAX), "kind {number}");
    }
    assert_eq!(
        (Kind::of(4), Kind::of(5)),
        (Kind::Checkpoint, Kind::Other(5))
    );
    let cut = Cut { bytes: 77 };
    assert_eq!(Cut::from_bytes(&cut.to_bytes()), Some(cut));
}
