//! Time stamps at the beginning of lines.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The format of a stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 3339 in UTC, with microseconds.
    Iso,
    /// RFC 3339 in the local time zone, with microseconds.
    Local,
    /// The external form of TAI64N, as multilog and svlogd write it and tai64nlocal reads it.
    Tai64n,
    /// A format of strftime(3), in the local time zone.
    Strftime(String),
}

/// The longest stamp in bytes, so that there is room for the line.
const LEN_MAX: usize = 200;

const ISO: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";
const LOCAL: &str = "%Y-%m-%dT%H:%M:%S%.6f%:z";

/// The offset that multilog and svlogd add to Unix time. They ignore the leap seconds since 1972.
const TAI64_OF_1970: i64 = (1 << 62) + 10;

impl Format {
    /// Parses a format of the command line.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const ALLOWED: &str =
            "iso, local, tai64n, or a strftime(3) format such as '%b %e %T' (at most 200 bytes)";
        match text {
            "iso" | "iso8601" | "rfc3339" | "utc" => Ok(Self::Iso),
            "local" => Ok(Self::Local),
            "tai64n" => Ok(Self::Tai64n),
            pattern if pattern.contains('%') => {
                let zoned = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
                let tried = jiff::fmt::strtime::format(pattern, &zoned);
                match tried {
                    Ok(sample) if sample.len() <= LEN_MAX && !sample.contains('\n') => {
                        Ok(Self::Strftime(pattern.to_owned()))
                    }
                    _ => Err(ALLOWED),
                }
            }
            _ => Err(ALLOWED),
        }
    }
}

/// Writes stamps.
#[derive(Debug)]
pub struct Stamp {
    format: Format,
    zone: TimeZone,
}

impl Stamp {
    /// Creates stamps of this format, in the time zone of this process (TZ, or else the system's).
    pub fn new(format: Format) -> Self {
        let zone = match format {
            Format::Iso | Format::Tai64n => TimeZone::UTC,
            Format::Local | Format::Strftime(_) => TimeZone::system(),
        };
        Self { format, zone }
    }

    /// Replaces `text` by the stamp of `now` and a space.
    pub fn write(&self, now: Timestamp, text: &mut String) {
        text.clear();
        // A `String` accepts every write, and the format was tried when it was parsed.
        let _ = match &self.format {
            Format::Iso => write!(text, "{} ", self.in_zone(now, ISO)),
            Format::Local => write!(text, "{} ", self.in_zone(now, LOCAL)),
            Format::Strftime(pattern) => write!(text, "{} ", self.in_zone(now, pattern)),
            Format::Tai64n => {
                // Nanoseconds count upwards from the full second, also before 1970.
                let ns = now.as_nanosecond();
                let seconds = ns.div_euclid(1_000_000_000) as i64;
                let ns = ns.rem_euclid(1_000_000_000);
                write!(text, "@{:016x}{ns:08x} ", TAI64_OF_1970 + seconds)
            }
        };
    }

    fn in_zone<'f>(&self, now: Timestamp, format: &'f str) -> jiff::fmt::strtime::Display<'f> {
        now.to_zoned_datetime(self.zone.clone()).strftime(format)
    }
}

/// How many bytes of a line fit into a message of at most `max` bytes, beside its stamp and its
/// framing.
pub fn room_of_line(max: usize, stamp: Option<&Stamp>) -> usize {
    /// A stamp may be that much longer later, and so long is a framing at most.
    const SPARE: usize = 8;
    let mut text = String::new();
    if let Some(stamp) = stamp {
        stamp.write(Timestamp::now(), &mut text);
    }
    max.saturating_sub(text.len() + SPARE).max(1)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::{Format, Stamp};

    fn stamp(format: &str, zone: &str) -> String {
        let now = Timestamp::new(1_785_000_000, 123_456_789).unwrap();
        let mut stamp = Stamp::new(Format::parse(format).unwrap());
        if stamp.zone != TimeZone::UTC || zone != "UTC" {
            stamp.zone = TimeZone::get(zone).unwrap();
        }
        let mut text = "stamp of the previous line".to_owned();
        stamp.write(now, &mut text);
        text
    }

    #[test]
    fn each_format_says_the_same_moment() {
        assert_eq!(stamp("iso", "UTC"), "2026-07-25T17:20:00.123456Z ");
        // Another test compares this with tai64nlocal.
        assert_eq!(stamp("tai64n", "UTC"), "@400000006a64f04a075bcd15 ");
        assert_eq!(stamp("%H:%M:%S", "UTC"), "17:20:00 ");
    }

    #[test]
    fn a_wrong_format_is_refused() {
        for text in ["", "ISO", "rfc5424", "%!", "%Y%n", "x", &"%A".repeat(60)] {
            assert!(Format::parse(text).is_err(), "{text}");
        }
    }
}
