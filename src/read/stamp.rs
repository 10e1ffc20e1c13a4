//! The time stamp at the beginning of a line, as `alq append --timestamp` and many others write it.

use jiff::Timestamp;
use memchr::memchr;

/// How many bytes the longest stamp has: RFC 3339 with nanoseconds and an offset.
const LEN_MAX: usize = 40;

/// TAI64 of 1970, as multilog and svlogd count: without the leap seconds since 1972.
const TAI64_OF_1970: u64 = (1 << 62) + 10;

/// Returns the stamp at the beginning of `line`, in nanoseconds since 1970: RFC 3339
/// (`2026-12-01T06:00:00.000001Z`, also with an offset), or TAI64N (`@4000...`). `None` if the line
/// begins otherwise, or with a time before 1970.
pub(super) fn line_stamp_ns(line: &[u8]) -> Option<u64> {
    let head = &line[..line.len().min(LEN_MAX)];
    let word = &head[..memchr(b' ', head).unwrap_or(head.len())];
    if let Some(label) = word.strip_prefix(b"@") {
        return tai64n(label);
    }
    if !word.first()?.is_ascii_digit() || word.len() < 20 {
        return None;
    }
    let stamp: Timestamp = core::str::from_utf8(word).ok()?.parse().ok()?;
    u64::try_from(stamp.as_nanosecond()).ok()
}

fn tai64n(label: &[u8]) -> Option<u64> {
    if label.len() != 24 || !label.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let number = |digits: &[u8]| u64::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok();
    let seconds = number(&label[..16])?.checked_sub(TAI64_OF_1970)?;
    let ns = number(&label[16..])?;
    seconds.checked_mul(1_000_000_000)?.checked_add(ns)
}

#[cfg(all(test, not(alq_model)))]
mod tests {
    use super::line_stamp_ns;

    #[test]
    fn the_stamps_of_the_tool_are_understood() {
        let ns = Some(1_785_000_000_123_456_000);
        assert_eq!(line_stamp_ns(b"2026-07-25T17:20:00.123456Z text"), ns);
        assert_eq!(line_stamp_ns(b"2026-07-25T19:20:00.123456+02:00 text"), ns);
        assert_eq!(line_stamp_ns(b"2026-07-25T17:20:00.123456Z"), ns);
        let exact = Some(1_785_000_000_123_456_789);
        assert_eq!(line_stamp_ns(b"@400000006a64f04a075bcd15 text"), exact);
    }

    #[test]
    fn other_lines_have_no_stamp() {
        for line in [
            &b""[..],
            b" 2026-07-25T17:20:00Z",
            b"2026-07-25",
            b"17:20:00 text",
            b"@400000006a64f04a",
            b"@x00000006a64f04a075bcd15",
            b"@000000000000000000000000",
            b"1969-07-25T17:20:00.123456Z text",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(line_stamp_ns(line), None, "{}", line.escape_ascii());
        }
    }
}
