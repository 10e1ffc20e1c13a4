//! The options of `alq cat`, `alq follow` and `alq check`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use alq::Framing;
use alq::read::Proven;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::framing;
use crate::help;

/// Print the records of LOG: of its rotated files, also packed ones, and then of LOG.
///
/// Records are lines, or the payloads of frames if the log is framed. What is wrong with the log is
/// reported on standard error, and the records after it are still printed.
#[derive(Debug, Args)]
#[command(after_help = help::CAT)]
pub struct Cat {
    /// The log, as the program that writes it names it; - is standard input
    pub log: PathBuf,

    /// Print only the last N records
    #[arg(short = 'n', long, value_name = "N", conflicts_with_all = ["from", "since"])]
    pub last: Option<u64>,

    /// Print records from this position on (framed logs only)
    #[arg(long, value_name = "POSITION", conflicts_with = "since")]
    pub from: Option<u64>,

    /// Stop at the first record at this position or after it
    #[arg(long, value_name = "POSITION")]
    pub to: Option<u64>,

    /// Print records from this time on: a date, a time such as 2026-12-01T06:00:00Z, or an age such
    /// as 10m (needs stamps)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<SystemTime>,

    /// Stop at the first record of this time or later
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<SystemTime>,

    #[command(flatten)]
    pub form: Form,
}

/// Print the records of LOG as they are written, over any number of rotations.
///
/// As `tail -F`, but no record is lost or printed twice when LOG is rotated. LOG need not exist
/// yet. alq sleeps until something is written, and ends on SIGINT or SIGTERM.
#[derive(Debug, Args)]
#[command(after_help = help::FOLLOW)]
pub struct Follow {
    /// The log, as the program that writes it names it
    pub log: PathBuf,

    /// Begin with the last N records [default: 10; with --cursor, all records]
    #[arg(short = 'n', long, value_name = "N")]
    pub last: Option<u64>,

    /// Save the place in FILE after each write to standard output, and continue there the next time
    #[arg(long, value_name = "FILE")]
    pub cursor: Option<PathBuf>,

    #[command(flatten)]
    pub form: Form,
}

/// Check LOG and its rotated files: frames, their order, gaps, torn ends, packed files.
///
/// A log that is being written may end inside a record.
#[derive(Debug, Args)]
#[command(after_help = help::CHECK)]
pub struct Check {
    /// The log, as the program that writes it names it; - is standard input
    pub log: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// How records are separated, if LOG does not say so itself: fixed:BYTES or lengths
    #[arg(long, value_name = "FRAMING", default_value = "auto", value_parser = framing::read)]
    pub framing: Framing,

    /// Prove with the key in KEYFILE that no frame was changed, removed, inserted or moved
    #[arg(long, value_name = "KEYFILE")]
    pub chain: Option<PathBuf>,

    /// With --chain: LOG must hold what an earlier check has proved: FRAMES, or FRAMES:VALUE as
    /// `alq check --chain` prints it
    #[arg(long, value_name = "PROVEN", requires = "chain")]
    pub least: Option<Proven>,

    /// With --chain: LOG is in use, so it need not end with a close
    #[arg(long, requires = "chain")]
    pub running: bool,
}

/// How records are printed.
#[derive(Debug, Args)]
pub struct Form {
    /// How to print the bytes of a record
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    pub format: Format,

    /// Print one JSON object per record, with its file, offset, position and stamp
    #[arg(long, conflicts_with = "format")]
    pub json: bool,

    /// How records are separated, if LOG does not say so itself: fixed:BYTES or lengths
    #[arg(long, value_name = "FRAMING", default_value = "auto", value_parser = framing::read)]
    pub framing: Framing,
}

/// The form of the bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The record and a newline, unless it ends with one
    Text,
    /// The bytes of all records, without anything between them; lines keep their newlines
    Raw,
    /// Two hexadecimal digits for each byte, and a newline
    Hex,
}

fn time(text: &str) -> Result<SystemTime, &'static str> {
    const ALLOWED: &str = "a time such as 2026-12-01T06:00:00Z, a local one such as '2026-12-01 06:00', or an age \
         such as 90s, 10m or 2days";
    if let Ok(age) = humantime::parse_duration(text) {
        let now = SystemTime::now();
        return Ok(now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH));
    }
    let moment = text.parse::<Timestamp>().or_else(|_| {
        let local: DateTime = text.parse()?;
        TimeZone::system().to_timestamp(local)
    });
    let moment: Result<_, jiff::Error> = moment;
    let since = moment.map_err(|_| ALLOWED)?.as_nanosecond();
    let since = u64::try_from(since).map_err(|_| ALLOWED)?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_nanos(since))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::time;

    #[test]
    fn times_are_moments_or_ages() {
        let moment = UNIX_EPOCH + Duration::from_secs(1_796_104_800);
        assert_eq!(time("2026-12-01T06:00:00Z"), Ok(moment));
        assert_eq!(time("2026-12-01T07:00:00+01:00"), Ok(moment));
        let hour = time("1h").unwrap();
        assert!(hour <= SystemTime::now() - Duration::from_secs(3600));
        assert!(time("2026-12-01").is_ok() && time("2026-12-01 06:00").is_ok());
        for text in ["", "yesterday", "2026-13-01", "-5m"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
