//! The records in the runs that a sink gets.

use core::iter::FusedIterator;
use std::borrow::Cow;
use std::io::IoSlice;

use crate::words::Framing;

/// Finds the records in the runs of a [`Sink::write`](crate::Sink::write). For a sink that passes
/// records on one by one, as messages or rows. `framing` is that of the queue
/// ([`Options::framing`](crate::Options::framing)).
///
/// Nothing is copied, except a record that lies in several runs. That happens only with an append
/// that bypasses the ring, at the [end of the process](crate::Queue#exit).
///
/// The runs begin and end with a record, as long as the sink takes whole records: the number of
/// bytes that it returns must be a sum of [`framed_len`](FramedRecord::framed_len). It may take any
/// number of records of a write, and gets the others again. With [`Framing::Raw`] the ends of
/// records are not in the bytes, and with `Framing::Checked` they are not looked for: then each run
/// is one record.
///
/// ```
/// use std::io::{self, IoSlice};
/// use std::sync::mpsc::{Sender, channel};
///
/// use alq::{Flags, Framing, Options, Records, Sink};
///
/// /// Sends each record as a message.
/// struct Messages(Sender<Vec<u8>>);
///
/// impl Sink for Messages {
///     fn write(&self, runs: &[IoSlice<'_>]) -> io::Result<usize> {
///         let mut taken = 0;
///         for record in Records::new(Framing::Lines, runs) {
///             let sent = self.0.send(record.bytes.to_vec());
///             sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
///             taken += record.framed_len;
///         }
///         Ok(taken)
///     }
/// }
///
/// let (sender, messages) = channel();
/// let queue = Options::new().framing(Framing::Lines).open_sink(Messages(sender))?;
/// queue.writen(b"one", Flags::WAITOK)?;
/// queue.writen(b"two\n", Flags::WAITOK)?;
/// queue.close(None)?;
/// drop(queue);
/// assert_eq!(messages.iter().collect::<Vec<_>>(), [b"one", b"two"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Records<'a> {
    framing: Framing,
    runs: &'a [IoSlice<'a>],
    /// How many bytes of the first run lie before the next record.
    at: usize,
}

/// One record, from [`Records`].
///
/// ```
/// use std::io::IoSlice;
///
/// use alq::{Framing, Records};
///
/// let runs = [IoSlice::new(b"\x03\0\0\0abc")];
/// let record = Records::new(Framing::Lengths, &runs).next().unwrap();
/// assert_eq!((&*record.bytes, record.framed_len), (&b"abc"[..], 7));
/// assert!(record.is_whole);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FramedRecord<'a> {
    /// The record without its framing: a line has no newline.
    pub bytes: Cow<'a, [u8]>,
    /// How many bytes of the runs it takes, with its framing.
    pub framed_len: usize,
    /// Whether the runs hold all of it. If not, it is the last one, and this is what they hold.
    pub is_whole: bool,
}

impl<'a> Records<'a> {
    /// Begins at the first byte of `runs`.
    ///
    /// ```
    /// use std::io::IoSlice;
    ///
    /// use alq::{Framing, Records};
    ///
    /// let runs = [IoSlice::new(b"one\ntwo\n"), IoSlice::new(b"three\n")];
    /// assert_eq!(Records::new(Framing::Lines, &runs).count(), 3);
    /// ```
    #[must_use]
    pub const fn new(framing: Framing, runs: &'a [IoSlice<'a>]) -> Self {
        Self {
            framing,
            runs,
            at: 0,
        }
    }

    /// The rest of the current run, which is not empty; `None` at the end of all runs.
    fn run(&mut self) -> Option<&'a [u8]> {
        while let Some((first, rest)) = self.runs.split_first() {
            if self.at < first.len() {
                return Some(&first[self.at..]);
            }
            (self.runs, self.at) = (rest, 0);
        }
        None
    }

    /// How many bytes are left.
    fn left(&self) -> usize {
        self.runs.iter().map(|run| run.len()).sum::<usize>() - self.at
    }

    /// Takes the next `len` bytes, of which all are there.
    fn bytes(&mut self, len: usize) -> Cow<'a, [u8]> {
        let first = self.run().unwrap_or_default();
        if let Some(bytes) = first.get(..len) {
            self.at += len;
            return Cow::Borrowed(bytes);
        }
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let run = self.run().expect("all of them are there");
            let part = &run[..run.len().min(len - bytes.len())];
            bytes.extend_from_slice(part);
            self.at += part.len();
        }
        Cow::Owned(bytes)
    }

    /// The length of the next line, without its newline; `None` if it has none.
    fn line_len(&self) -> Option<usize> {
        let (mut at, mut len) = (self.at, 0);
        for run in self.runs {
            let rest = &run[at..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                return Some(len + end);
            }
            (at, len) = (0, len + rest.len());
        }
        None
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = FramedRecord<'a>;

    fn next(&mut self) -> Option<FramedRecord<'a>> {
        let run = self.run()?;
        let left = self.left();
        let (front, len, back): (usize, usize, usize) = match self.framing {
            Framing::Lines => match self.line_len() {
                Some(len) => (0, len, 1),
                None => (0, left, 1),
            },
            Framing::Fixed(len) => (0, len.max(1), 0),
            Framing::Lengths => {
                let head = self.clone().bytes(left.min(4));
                let head = head.first_chunk().copied().map(u32::from_le_bytes);
                (4, head.unwrap_or(0) as usize, 0)
            }
            _ => (0, run.len(), 0),
        };
        let is_whole = front.saturating_add(len).saturating_add(back) <= left;
        drop(self.bytes(front.min(left)));
        let bytes = self.bytes(len.min(left.saturating_sub(front)));
        if is_whole {
            drop(self.bytes(back));
        }
        Some(FramedRecord {
            framed_len: left - self.left(),
            bytes,
            is_whole,
        })
    }
}

impl FusedIterator for Records<'_> {}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use std::borrow::Cow;
    use std::io::IoSlice;

    use super::{FramedRecord, Records};
    use crate::words::{Framing, Wrap};

    const FRAMINGS: [Framing; 4] = [
        Framing::Lines,
        Framing::Fixed(3),
        Framing::Lengths,
        Framing::Raw,
    ];

    fn all<'a>(framing: Framing, runs: &'a [IoSlice<'a>]) -> Vec<FramedRecord<'a>> {
        Records::new(framing, runs).collect()
    }

    #[test]
    fn records_are_found_as_they_were_framed_and_not_copied() {
        for framing in FRAMINGS.into_iter().filter(|one| *one != Framing::Raw) {
            let wrap = Wrap::plain(framing).unwrap();
            let bytes: Vec<u8> = ["abc", "d e", "xyz"]
                .iter()
                .flat_map(|record| wrap.around(record.as_bytes()))
                .collect();
            let runs = [IoSlice::new(&bytes)];
            let found = all(framing, &runs);
            let is_borrowed = |one: &FramedRecord<'_>| matches!(one.bytes, Cow::Borrowed(_));
            assert!(found.iter().all(|one| one.is_whole && is_borrowed(one)));
            let texts: Vec<&[u8]> = found.iter().map(|one| &*one.bytes).collect();
            assert_eq!(texts, [b"abc", b"d e", b"xyz"], "{framing:?}");
            let framed = wrap.around(b"abc").len();
            assert!(found.iter().all(|one| one.framed_len == framed));
        }
        let runs = [IoSlice::new(b"one run\n"), IoSlice::new(b"another")];
        let lens = all(Framing::Raw, &runs);
        assert_eq!(lens.len(), 2);
        assert_eq!(&*lens[1].bytes, b"another");
    }

    /// Where the runs are cut makes no difference, and every byte is in one record.
    #[test]
    fn any_cut_of_any_bytes_into_runs_gives_the_same_records() {
        let bytes = b"ab\n\n\x02\0\0\0hi\x00\0\0\0c\n\xff\xff\xff\xffd\nend";
        for framing in FRAMINGS.into_iter().filter(|one| *one != Framing::Raw) {
            for len in 0..=bytes.len() {
                let whole = [IoSlice::new(&bytes[..len])];
                let expected = all(framing, &whole);
                let sum: usize = expected.iter().map(|one| one.framed_len).sum();
                assert_eq!(sum, len, "{framing:?}");
                let (last, before) = expected
                    .split_last()
                    .map_or((None, &[][..]), |(last, all)| (Some(last), all));
                assert!(
                    before.iter().all(|one| one.is_whole),
                    "{framing:?} {last:?}"
                );
                for cut in 0..=len {
                    let (front, back) = bytes[..len].split_at(cut);
                    let runs = [front, b"", back, b""].map(IoSlice::new);
                    assert_eq!(all(framing, &runs), expected, "{framing:?} {len} {cut}");
                }
            }
        }
    }

    #[test]
    fn a_record_that_the_runs_do_not_end_is_not_whole() {
        let rest = |framing, bytes: &[u8]| {
            let runs = [IoSlice::new(bytes)];
            let one = Records::new(framing, &runs).last().unwrap();
            (one.bytes.to_vec(), one.framed_len, one.is_whole)
        };
        assert_eq!(rest(Framing::Lines, b"a\nbc"), (b"bc".to_vec(), 2, false));
        assert_eq!(rest(Framing::Fixed(3), b"abcd"), (b"d".to_vec(), 1, false));
        assert_eq!(rest(Framing::Lengths, b"\x02\0"), (Vec::new(), 2, false));
        let huge = b"\xff\xff\xff\xffab";
        assert_eq!(rest(Framing::Lengths, huge), (b"ab".to_vec(), 6, false));
        assert_eq!(rest(Framing::Fixed(0), b"ab"), (b"b".to_vec(), 1, true));
    }
}
