//! How the bytes of a write become the payloads of messages.

use bytes::Bytes;
use memchr::{memchr, memrchr};

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

/// Returns the next messages for `bytes`, at most [`BATCH_MAX`], none longer than `max_bytes`.
///
/// The end of `bytes` may be the beginning of a line. If `is_first`, that becomes a message if
/// there is nothing else; otherwise it is left for the next write.
pub fn pieces(bytes: &Bytes, packing: Packing, max_bytes: usize, is_first: bool) -> Vec<Piece> {
    match packing {
        Packing::Records => records(bytes, max_bytes, is_first),
        Packing::Run { max_bytes: most } => vec![run(bytes, max_bytes.min(most).max(1))],
    }
}

fn records(bytes: &Bytes, max_bytes: usize, is_first: bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while from < bytes.len() && pieces.len() < BATCH_MAX {
        let rest = &bytes[from..];
        let line = memchr(b'\n', rest);
        let len = line.unwrap_or(rest.len());
        let is_alone = is_first && pieces.is_empty();
        let (len, takes, more) = match line {
            _ if len > max_bytes => (max_bytes, max_bytes, true),
            Some(len) => (len, len + 1, false),
            None if is_alone => (len, len, true),
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

    fn of(bytes: &'static [u8], max_bytes: usize, is_first: bool) -> Vec<(&'static str, bool)> {
        let bytes = Bytes::from_static(bytes);
        let pieces = pieces(&bytes, Packing::Records, max_bytes, is_first);
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
            of(b"a\n\nbc\n", 9, true),
            [("a", false), ("", false), ("bc", false)]
        );
    }

    #[test]
    fn the_beginning_of_a_line_waits_unless_it_is_all_there_is() {
        assert_eq!(of(b"a\nb", 9, true), [("a", false)]);
        assert_eq!(of(b"b", 9, true), [("b", true)]);
        assert_eq!(of(b"b", 9, false), []);
    }

    #[test]
    fn a_line_that_is_too_long_becomes_several_messages() {
        let expected = [("abcd", true), ("e", false), ("f", false)];
        assert_eq!(of(b"abcde\nf\n", 4, true), expected);
        assert_eq!(of(b"abcd\n", 4, true), [("abcd", false)]);
        assert_eq!(of(b"abcde", 4, false), [("abcd", true)]);
    }

    #[test]
    fn a_batch_has_at_most_a_thousand_messages() {
        let bytes = Bytes::from(b"x\n".repeat(1500));
        let pieces = pieces(&bytes, Packing::Records, 9, true);
        assert_eq!(pieces.len(), BATCH_MAX);
        assert_eq!(pieces.iter().map(|piece| piece.takes).sum::<usize>(), 2000);
    }

    #[test]
    fn a_run_ends_at_the_last_line_that_fits() {
        let of = |bytes: &'static [u8], most| {
            let packing = Packing::Run { max_bytes: most };
            let pieces = pieces(&Bytes::from_static(bytes), packing, 100, true);
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
