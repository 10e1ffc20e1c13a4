//! `--framing`: how the records of a log are separated.

use std::path::PathBuf;

use alq::Framing;
use clap::Args;
use clap::builder::ArgPredicate;

use crate::catch_args::{LineOptions, WhenFull};
use crate::report::Failure;

/// The longest record of a fixed length.
const FIXED_MAX: usize = 1 << 31;

/// How `alq append` separates records.
#[derive(Debug, Args)]
#[command(next_help_heading = "Framing")]
pub struct FramingOptions {
    /// How records are separated in FILE: raw (only the bytes of input), lines, fixed:BYTES,
    /// lengths, or checked (frames with checksums, for `alq check`). A record is a line of input
    /// with its newline, or BYTES bytes
    #[arg(
        long,
        value_name = "FRAMING",
        default_value = "raw",
        default_value_if("recorder", ArgPredicate::IsPresent, "lines"),
        value_parser = written
    )]
    pub framing: Framing,

    /// With --framing checked: each frame of a new FILE has the time at which it was appended
    #[arg(long)]
    pub stamps: bool,

    /// With --framing checked: make a chain over the frames with the key in KEYFILE, so that
    /// `alq check --chain KEYFILE` finds frames that were changed or removed
    #[arg(long, value_name = "KEYFILE")]
    pub chain: Option<PathBuf>,

    /// Keep a torn record that is removed from the end of FILE: append its bytes to FILE.torn
    #[arg(long)]
    pub keep_torn_record: bool,
}

impl FramingOptions {
    /// Returns true if FILE is more than the bytes of input.
    pub fn is_on(&self) -> bool {
        self.framing != Framing::Raw
    }

    /// Returns true if a record is so many bytes, and not a line.
    pub fn is_fixed(&self) -> bool {
        matches!(self.framing, Framing::Fixed(_))
    }

    /// Refuses options that contradict the framing.
    pub fn check(&self, lines: &LineOptions, has_command: bool) -> Result<(), Failure> {
        let refuse = |option: &str, problem: &str| Err(Failure::new(option, problem).or_code(2));
        if self.stamps && self.framing != Framing::Checked {
            return refuse(
                "--stamps",
                "only the frames of --framing checked have stamps",
            );
        }
        if self.chain.is_some() && self.framing != Framing::Checked {
            return refuse(
                "--chain",
                "only the frames of --framing checked have a chain",
            );
        }
        let cuts = !matches!(self.framing, Framing::Raw | Framing::Lines);
        if self.keep_torn_record && !cuts {
            let problem = "only --framing lengths, checked and fixed remove a torn record";
            return refuse("--keep-torn-record", problem);
        }
        if self.is_on() && lines.keep_torn_line {
            let problem = "with --framing, FILE consists of whole records; leave it out";
            return refuse("--keep-torn-line", problem);
        }
        if !self.is_fixed() {
            return Ok(());
        }
        let of_lines = [
            ("--line", lines.line),
            ("--line-max", lines.line_max.is_some()),
            ("--timestamp", lines.timestamp.is_some()),
            ("--when-full=drop", lines.when_full == WhenFull::Drop),
            ("--", has_command),
        ];
        match of_lines.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => refuse(
                option,
                "it is for lines, and --framing fixed takes input as records of one length: \
                 leave one of both out",
            ),
            None => Ok(()),
        }
    }
}

/// Parses the framing of a log that is written.
fn written(text: &str) -> Result<Framing, &'static str> {
    match text {
        "raw" => Ok(Framing::Raw),
        _ => named(text).ok_or("raw, lines, lengths, checked, or fixed:BYTES such as fixed:100"),
    }
}

/// Parses the framing of a log that is read.
pub fn read(text: &str) -> Result<Framing, &'static str> {
    match text {
        "auto" => Ok(Framing::Raw), // the reader looks at the file
        _ => named(text).ok_or("auto, lines, lengths, checked, or fixed:BYTES such as fixed:100"),
    }
}

fn named(text: &str) -> Option<Framing> {
    match text {
        "lines" => Some(Framing::Lines),
        "lengths" => Some(Framing::Lengths),
        "checked" => Some(Framing::Checked),
        _ => {
            let len = text.strip_prefix("fixed:")?.parse().ok()?;
            (1..=FIXED_MAX)
                .contains(&len)
                .then_some(Framing::Fixed(len))
        }
    }
}

#[cfg(test)]
mod tests {
    use alq::Framing;

    use super::{read, written};

    #[test]
    fn framings_have_names() {
        assert_eq!(read("auto"), Ok(Framing::Raw));
        assert_eq!(written("raw"), Ok(Framing::Raw));
        for parse in [read, written] {
            assert_eq!(parse("fixed:100"), Ok(Framing::Fixed(100)));
            assert_eq!(parse("checked"), Ok(Framing::Checked));
            for text in ["", "fixed", "fixed:0", "fixed:-1", "fixed:9999999999"] {
                assert!(parse(text).is_err(), "{text}");
            }
        }
        assert!(written("auto").is_err() && read("raw").is_err());
    }
}
