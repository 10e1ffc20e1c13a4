//! How the bytes of a write become the payloads of messages.

use std::io::IoSlice;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr_iter, memrchr};

use crate::Packing;

/// The most messages of one atomic batch, a limit of the server.
pub const BATCH_MAX: usize = 1000;

/// One message to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub payload: Bytes,
    /// How many bytes of the write it stands for. A newline is not part of the payload of a record.
    pub takes: usize,
    /// Whether the record continues in the next message.
    pub more: bool,
}

/// Returns the next messages for `bytes`: at least one and at most `most`, none longer than
/// `max_bytes`.
///
/// The end of `bytes` may be the beginning of a line. That becomes a message if there is nothing
/// else; otherwise it is left for the next write.
pub fn pieces(bytes: &Bytes, packing: Packing, max_bytes: usize, most: usize) -> Vec<Piece> {
    match packing {
        Packing::Records => records(bytes, max_bytes, most),
        Packing::Run { max_bytes: most } => vec![run(bytes, max_bytes.min(most).max(1))],
    }
}

/// Copies the beginning of `runs` that has all of the next `most` messages, also if some lines are
/// longer than a message.
pub fn beginning(runs: &[IoSlice<'_>], packing: Packing, most: usize) -> Bytes {
    let mut bytes = BytesMut::new();
    let mut missing = match packing {
        Packing::Records => most,
        Packing::Run { .. } => usize::MAX,
    };
    for run in runs {
        let last = memchr_iter(b'\n', run).nth(missing.saturating_sub(1));
        let len = last.map_or(run.len(), |at| at + 1);
        bytes.extend_from_slice(&run[..len]);
        missing -= memchr_iter(b'\n', &run[..len]).count();
        if missing == 0 {
            break;
        }
    }
    bytes.freeze()
}

fn records(bytes: &Bytes, max_bytes: usize, most: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while from < bytes.len() && pieces.len() < most {
        let rest = &bytes[from..];
        let line = memchr(b'\n', rest);
        let len = line.unwrap_or(rest.len());
        let (len, takes, more) = match line {
            _ if len > max_bytes => (max_bytes, max_bytes, true),
            Some(len) => (len, len + 1, false),
            None if pieces.is_empty() => (len, len, true),
            None => break,
        };
        pieces.push(Piece {
            payload: bytes.slice(from..from + len),
            takes,
            more,
        });
        from += takes;
    }
    pieces
}

fn run(bytes: &Bytes, max_bytes: usize) -> Piece {
    let len = if bytes.len() <= max_bytes {
        bytes.len()
    } else {
        memrchr(b'\n', &bytes[..max_bytes]).map_or(max_bytes, |end| end + 1)
    };
    Piece {
        payload: bytes.slice(..len),
        takes: len,
        more: !bytes[..len].ends_with(b"\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &'static [u8], max_bytes: usize) -> Vec<(&'static str, bool)> {
        let bytes = Bytes::from_static(bytes);
        let pieces = pieces(&bytes, Packing::Records, max_bytes, BATCH_MAX);
        let mut taken = 0;
        let shown = pieces.iter().map(|piece| {
            taken += piece.takes;
            let text = String::from_utf8(piece.payload.to_vec()).unwrap();
            (&*text.leak(), piece.more)
        });
        shown.collect()
    }

    #[test]
    fn a_line_is_a_message_without_its_newline() {
        assert_eq!(
            of(b"a\n\nbc\n", 9),
            [("a", false), ("", false), ("bc", false)]
        );
    }

    #[test]
    fn the_beginning_of_a_line_waits_unless_it_is_all_there_is() {
        assert_eq!(of(b"a\nb", 9), [("a", false)]);
        assert_eq!(of(b"b", 9), [("b", true)]);
    }

    #[test]
    fn a_line_that_is_too_long_becomes_several_messages() {
        let expected = [("abcd", true), ("e", false), ("f", false)];
        assert_eq!(of(b"abcde\nf\n", 4), expected);
        assert_eq!(of(b"abcd\n", 4), [("abcd", false)]);
        assert_eq!(of(b"abcde", 4), [("abcd", true)]);
    }

    #[test]
    fn an_attempt_has_at_most_so_many_messages() {
        let bytes = Bytes::from(b"x\n".repeat(1500));
        for most in [1, BATCH_MAX] {
            let pieces = pieces(&bytes, Packing::Records, 9, most);
            assert_eq!(pieces.len(), most);
            let takes = pieces.iter().map(|piece| piece.takes);
            assert_eq!(takes.sum::<usize>(), 2 * most);
        }
    }

    #[test]
    fn no_more_is_copied_than_an_attempt_takes() {
        let runs = [&b"a\nb"[..], b"b\n", b"c\nd"].map(IoSlice::new);
        let of = |packing, most| beginning(&runs, packing, most);
        assert_eq!(of(Packing::Records, 1), "a\n");
        assert_eq!(of(Packing::Records, 2), "a\nbb\n");
        assert_eq!(of(Packing::Records, 3), "a\nbb\nc\n");
        assert_eq!(of(Packing::Records, 4), "a\nbb\nc\nd");
        assert_eq!(of(Packing::Run { max_bytes: 9 }, 1), "a\nbb\nc\nd");
    }

    #[test]
    fn a_run_ends_at_the_last_line_that_fits() {
        let of = |bytes: &'static [u8], most| {
            let packing = Packing::Run { max_bytes: most };
            let pieces = pieces(&Bytes::from_static(bytes), packing, 100, 1);
            let [piece] = &pieces[..] else {
                panic!("{pieces:?}")
            };
            assert_eq!(piece.takes, piece.payload.len());
            (piece.takes, piece.more)
        };
        assert_eq!(of(b"ab\ncd\n", 100), (6, false));
        assert_eq!(of(b"ab\ncd\n", 5), (3, false));
        assert_eq!(of(b"abcdef\n", 5), (5, true));
        assert_eq!(of(b"ab", 5), (2, true));
    }
}
