//! What one dump of a recorder has written, and what becomes of the records of a killed process.

use core::fmt::{self, Write};

/// What a dump of a [recorder](crate::Options::recorder) has written.
///
/// `Display` writes the line that a dump begins with, without its line end.
///
/// ```
/// use alq::{Flags, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let queue = Options::new().recorder(true).open(dir.path().join("app.log"))?;
/// queue.writen(b"step 1\n", Flags::NOWAIT)?;
/// let dump = queue.dump("a test")?;
/// assert_eq!((dump.records, dump.bytes, dump.overwritten_records), (1, 7, 0));
/// let line = "--- 1 record (7 bytes) follows; 0 older ones were overwritten; reason: a test ---";
/// assert_eq!(dump.to_string(), line);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dump {
    /// The records that the dump has written.
    pub records: u64,
    /// Their bytes, with what the [framing](crate::Options::framing) adds.
    pub bytes: u64,
    /// The records that were overwritten since the last dump.
    pub overwritten_records: u64,
    /// Their bytes.
    pub overwritten_bytes: u64,
    /// Entries that were open, and were stepped over. The records after the first of them stay in
    /// the ring: the next dump writes them again, unless they are overwritten before.
    pub held: u64,
    /// Why it was made. If one dump serves several requests, their reasons are joined with `, `.
    pub reason: String,
}

/// What a [recorder](crate::Options::recorder) does with the records that a killed process has left
/// in its [ring file](crate::Options::ring_file). See
/// [`Options::after_kill`](crate::Options::after_kill).
///
/// ```
/// assert_eq!(alq::AfterKill::default(), alq::AfterKill::Dump);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AfterKill {
    /// It writes them to the log first, after a line that counts them; its reason is `the process
    /// was killed`.
    #[default]
    Dump,
    /// It keeps them, as if it had appended them: they are in the next dump, unless they are
    /// overwritten. If the file has another capacity or framing than the options ask for, they are
    /// dumped.
    Keep,
    /// It discards them.
    Discard,
}

impl Dump {
    /// The reason of a dump of what a killed process has left.
    pub(crate) const KILLED: &str = "the process was killed";
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, verb) = match self.records {
            1 => ("record", "follows"),
            _ => ("records", "follow"),
        };
        let Self {
            records,
            overwritten_records,
            reason,
            ..
        } = self;
        let size = Size(self.bytes);
        write!(f, "--- {records} {unit} ({size}) {verb}; ")?;
        write!(f, "{overwritten_records} older ones were overwritten; ")?;
        if self.held > 0 {
            write!(f, "{} still open; ", self.held)?;
        }
        f.write_str("reason: ")?;
        for c in reason.trim().chars() {
            f.write_char(if c.is_control() { ' ' } else { c })?; // it stays one line
        }
        f.write_str(" ---")
    }
}

/// A number of bytes, for people.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths_of = |unit: u64| u128::from(self.0) * 10 / u128::from(unit);
        let (tenths, unit) = match self.0 {
            0..0x400 => return write!(f, "{} bytes", self.0),
            0x400..0x10_0000 => (tenths_of(1 << 10), "KiB"),
            0x10_0000..0x4000_0000 => (tenths_of(1 << 20), "MiB"),
            _ => (tenths_of(1 << 30), "GiB"),
        };
        write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::{Dump, Size};

    #[test]
    fn the_line_is_one_line_and_says_what_follows() {
        let dump = Dump {
            records: 17,
            bytes: 1234,
            overwritten_records: 48211,
            held: 1,
            reason: "panic at\nmain.rs:7\n".to_owned(),
            ..Dump::default()
        };
        let line = "--- 17 records (1.2 KiB) follow; 48211 older ones were overwritten; \
                    1 still open; reason: panic at main.rs:7 ---";
        assert_eq!(dump.to_string(), line);
    }

    #[test]
    fn sizes_have_one_digit_after_the_point() {
        let text = |bytes| Size(bytes).to_string();
        let sizes = [0, 1023, 1024, 1 << 20, (1 << 30) + (1 << 29)].map(text);
        assert_eq!(
            sizes,
            ["0 bytes", "1023 bytes", "1.0 KiB", "1.0 MiB", "1.5 GiB"]
        );
    }
}
