//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ErrorKind};
use clap::{Args, Parser, Subcommand};

pub use crate::bench::args::Bench;
use crate::catch_args::LineOptions;
use crate::dump_args::Dump;
use crate::framing::FramingOptions;
use crate::help;
use crate::read_args::{Cat, Check, Follow};
use crate::recorder_args::RecorderOptions;
use crate::report::Failure;
use crate::rotate_args::RotateOptions;
use crate::stamp::Format;
use crate::stat_args::Stat;
use crate::sync_args::SyncOptions;
use crate::values::{Named, seconds};

/// The command line of `alq`.
#[derive(Debug, Parser)]
#[command(
    name = "alq",
    version,
    about = "An asynchronous append queue on the command line",
    disable_help_subcommand = true,
    after_help = help::ALL
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Append(Box<Append>),
    Cat(Cat),
    Follow(Follow),
    Check(Check),
    Recover(Recover),
    Dump(Dump),
    Stat(Stat),
    Bench(Bench),
}

/// Append standard input to FILE.
///
/// Input is read straight into a ring in memory, and a second thread writes the ring to FILE, so
/// that reading and writing overlap. FILE is created if it does not exist; it may also be a pipe or
/// a device.
///
/// With --ring the ring is a file: what was read survives a kill -9, and the next `alq append` with
/// the same ring, or `alq recover`, appends it. With --resume, a run that was killed can be started
/// again with the same input.
#[derive(Debug, Args)]
#[command(after_help = help::APPEND)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Append {
    /// Where to append; - is standard output
    pub file: PathBuf,

    /// Run this command and append its standard output and standard error instead of standard input
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "resume")]
    pub command: Vec<OsString>,

    /// Size of the ring: 1 byte to 2G; K, M and G are powers of 1024 [default: 1M, or the size of
    /// an existing RING]
    #[arg(
        long,
        value_name = "SIZE",
        allow_negative_numbers = true,
        value_parser = capacity
    )]
    pub capacity: Option<usize>,

    /// Keep the ring in this file, best in a folder in /run; what an earlier run left there is
    /// appended first
    #[arg(long, value_name = "RING")]
    pub ring: Option<PathBuf>,

    /// Accept a RING on a disk without a warning; reading input may then wait for that disk
    #[arg(long, requires = "ring")]
    pub ring_on_disk: bool,

    /// If RING cannot be used, say so and keep the ring in memory; a RING in use is still an error
    #[arg(long, requires = "ring")]
    pub ring_optional: bool,

    /// Skip the part of standard input that FILE already contains; both must be files, and FILE
    /// must hold nothing else
    #[arg(long)]
    pub resume: bool,

    #[command(flatten)]
    pub sync: SyncOptions,

    /// Follow FILE if it is a symbolic link (/dev/stdout is one)
    #[arg(long)]
    pub follow_links: bool,

    /// Permissions of a new file, less the umask
    #[arg(
        long,
        value_name = "OCTAL",
        default_value = "600",
        allow_negative_numbers = true,
        value_parser = mode
    )]
    pub mode: u32,

    /// Give up when the disk has been full for this long, or never: forever (a reader that pauses
    /// is always waited for) [default: 5; forever if input is lines]
    #[arg(
        long,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        value_parser = Named::new(&["forever"], stall_limit),
        hide_possible_values = true
    )]
    pub stall_limit: Option<StallLimit>,

    /// Ignore SIGINT and SIGTERM and continue to the end of input; SIGQUIT ends alq
    #[arg(long)]
    pub until_eof: bool,

    /// Print no summary and no progress line
    #[arg(long)]
    pub quiet: bool,

    #[command(flatten)]
    pub framing: FramingOptions,

    #[command(flatten)]
    pub lines: LineOptions,

    #[command(flatten)]
    pub recorder: RecorderOptions,

    #[command(flatten)]
    pub rotation: RotateOptions,
}

/// Write what a killed process left in RING.
///
/// Everything that was posted and not written is appended to its log, in order, and synced. The
/// ring is empty afterwards. RING may come from any program that uses the library.
#[derive(Debug, Args)]
#[command(after_help = help::RECOVER)]
pub struct Recover {
    /// The ring file
    pub ring: PathBuf,

    /// Append to FILE, created if it does not exist, instead of the log that RING names (which must
    /// still be the same file)
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub into: Option<PathBuf>,

    /// Change nothing, and print what would be done
    #[arg(long)]
    pub dry_run: bool,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The longest wait for a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallLimit {
    Time(Duration),
    Forever,
}

/// The default wait for a full disk if input is bytes. If input is lines, the default is to wait
/// without a limit, as other log catchers do: if alq ended, SIGPIPE would end the program that it
/// serves.
const STALL_LIMIT: Duration = Duration::from_secs(5);

impl Append {
    /// Returns true if input is a stream of lines.
    pub fn is_lines(&self) -> bool {
        let is_asked = self.lines.is_on() || self.rotation.is_on() || !self.command.is_empty();
        !self.framing.is_fixed() && (is_asked || self.framing.is_on())
    }

    /// Returns true if input is a stream of lines or of records, between which requests are served.
    pub fn has_units(&self) -> bool {
        self.is_lines() || self.framing.is_on()
    }

    /// The length from which a line may be split, with a ring of `capacity` bytes. A record of a
    /// fixed length is never split.
    pub fn line_max(&self, capacity: usize) -> Result<usize, Failure> {
        if self.framing.is_fixed() {
            return Ok(usize::MAX);
        }
        self.lines.line_max(capacity, self.framing.is_on())
    }

    /// Returns true if a line that FILE ends inside of is ended first. With --resume it is not:
    /// what follows in standard input is its rest.
    pub fn ends_torn_line(&self) -> bool {
        self.is_lines() && !self.resume && !self.lines.keep_torn_line
    }

    /// The longest wait for a full disk; `None` means no limit.
    pub fn stall_limit(&self) -> Option<Duration> {
        match self.stall_limit {
            Some(StallLimit::Time(limit)) => Some(limit),
            Some(StallLimit::Forever) => None,
            None => (!self.is_lines()).then_some(STALL_LIMIT),
        }
    }
}

impl Cli {
    /// Parses the command line of this process.
    pub fn read() -> Result<Self, clap::Error> {
        Self::try_parse()
    }
}

/// Describes an option with a wrong value in one line. `None` for other errors, which clap prints
/// better.
pub fn complaint(error: &clap::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::UnknownArgument => return stamp_without_sign(),
        ErrorKind::ValueValidation => {}
        _ => return None,
    }
    let context = |kind| error.get(kind).map(ToString::to_string);
    let option = context(ContextKind::InvalidArg)?;
    let option = option.split([' ', '[']).next()?;
    let value = context(ContextKind::InvalidValue)?;
    let allowed = std::error::Error::source(error)?;
    Some(format!("{option} {value}: it must be {allowed}"))
}

/// The message for `--timestamp FORMAT FILE`: FORMAT was taken for FILE, so FILE is one argument
/// too many.
fn stamp_without_sign() -> Option<String> {
    let words: Vec<_> = std::env::args_os().collect();
    let option = words.iter().position(|word| word == "--timestamp")?;
    let format = words.get(option + 1)?.to_str()?;
    Format::parse(format).ok()?;
    Some(format!(
        "--timestamp {format}: write --timestamp={format}; \
         without the =, {format} is taken for FILE"
    ))
}

const CAPACITY_MAX: u64 = 2 << 30;

fn capacity(text: &str) -> Result<usize, &'static str> {
    parse_size::Config::new()
        .with_binary()
        .parse_size(text)
        .ok()
        .filter(|bytes| (1..=CAPACITY_MAX).contains(bytes))
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or("1 byte to 2G, such as 65536, 64K or 1M")
}

fn mode(text: &str) -> Result<u32, &'static str> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    // `from_str_radix` alone would also accept a sign.
    Some(digits)
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
        .and_then(|digits| u32::from_str_radix(digits, 8).ok())
        .filter(|&mode| mode <= 0o7777)
        .ok_or("an octal number from 0 to 7777, such as 640")
}

fn stall_limit(text: &str) -> Result<StallLimit, &'static str> {
    if text == "forever" {
        return Ok(StallLimit::Forever);
    }
    let limit = seconds(text).map_err(|_| "a number of seconds, such as 0.5 or 60, or forever")?;
    Ok(StallLimit::Time(limit))
}

#[cfg(test)]
mod tests {
    use super::{Cli, capacity, mode};
    use clap::CommandFactory;

    #[test]
    fn the_definition_passes_the_checks_of_clap() {
        Cli::command().debug_assert();
    }

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in [
            ("1", 1),
            ("4096", 4096),
            ("64K", 1 << 16),
            ("64k", 1 << 16),
            ("64KiB", 1 << 16),
            ("1M", 1 << 20),
            ("2G", 2 << 30),
        ] {
            assert_eq!(capacity(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        for text in [
            "0",
            "",
            "K",
            "ten",
            "-1",
            "2147483649",
            "3G",
            "99999999999999999999G",
        ] {
            assert!(capacity(text).is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode("640"), Ok(0o640));
        assert_eq!(mode("0600"), Ok(0o600));
        assert_eq!(mode("0o7777"), Ok(0o7777));
        for text in ["", "8", "rw", "10000", "+600", "-600"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }
}
