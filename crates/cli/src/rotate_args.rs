//! The options of `alq append` that rotate FILE.

use std::path::PathBuf;
use std::time::Duration;

use alq::rotate::{Compression, Every, Rotation, Zone};
use clap::Args;
use jiff::{Span, SpanRelativeTo};

use crate::values::Named;

/// The default of `--rotate-size`, where it has one.
const DEFAULT_BYTES: u64 = 16 << 20;

/// When FILE is rotated, and what happens to the rotated files.
#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[command(next_help_heading = "Rotation (each of these implies --line; \
                         SIGUSR1 and SIGALRM rotate at once)")]
pub struct RotateOptions {
    /// Continue in a new file before FILE exceeds this size, 1K or more. With --keep or --compress
    /// and no other option that says when: 16M
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_parser = file_size)]
    pub rotate_size: Option<u64>,

    /// Continue in a new file at the end of each hour, day, week or month, or of so many minutes or
    /// hours, as in 10m or 6h
    #[arg(
        long,
        value_name = "PERIOD",
        value_parser = Named::new(&["hour", "day", "week", "month"], every),
        hide_possible_values = true
    )]
    pub rotate_every: Option<Every>,

    /// Continue in a new file if FILE is not empty at the start
    #[arg(long)]
    pub rotate_at_start: bool,

    /// Continue in a new file only on SIGUSR1 and SIGALRM
    #[arg(long)]
    pub rotate_on_signal: bool,

    /// Let periods follow UTC instead of the local time zone
    #[arg(long)]
    pub utc: bool,

    /// Keep at most N rotated files, in addition to FILE itself
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    pub keep: Option<usize>,

    /// Delete rotated files older than this, as in 12h, 30d or 2w
    #[arg(long, value_name = "AGE", allow_negative_numbers = true, value_parser = age)]
    pub keep_age: Option<Duration>,

    /// Keep at most this size of rotated files together, not counting FILE itself
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_parser = all_sizes)]
    pub keep_bytes: Option<u64>,

    /// Keep this much of the file system free: delete the oldest rotated files, at the start and
    /// after each rotation
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_parser = all_sizes)]
    pub keep_free: Option<u64>,

    /// Pack rotated files in the background: gzip or zstd
    #[arg(
        long,
        value_name = "FORM",
        value_parser = Named::new(&["gzip", "zstd"], compression),
        hide_possible_values = true
    )]
    pub compress: Option<Compression>,

    /// Keep a symbolic link to FILE at LINK
    #[arg(long, value_name = "LINK")]
    pub link: Option<PathBuf>,

    /// As root, rotate FILE even if other users may change a folder above it
    #[arg(long)]
    pub shared_folder: bool,
}

impl RotateOptions {
    /// Returns true if FILE is rotated or has a link; then input is lines. `--utc` and
    /// `--shared-folder` alone do not count.
    pub fn is_on(&self) -> bool {
        self.has_trigger() || self.link.is_some() || self.loses_bytes()
    }

    /// Returns true if an option says when to rotate FILE.
    fn has_trigger(&self) -> bool {
        self.rotate_size.is_some()
            || self.rotate_every.is_some()
            || self.rotate_at_start
            || self.rotate_on_signal
    }

    /// The size at which FILE is rotated. It has a default if there are options about rotated files
    /// and none that says when to rotate: as in other log catchers, FILE never grows without a
    /// bound then.
    fn size_bytes(&self) -> Option<u64> {
        let is_needed = self.loses_bytes() && !self.has_trigger();
        self.rotate_size
            .or_else(|| is_needed.then_some(DEFAULT_BYTES))
    }

    /// A message about the default of `--rotate-size`, if it is in use.
    pub fn notice(&self) -> Option<&'static str> {
        let is_default = self.rotate_size.is_none() && self.size_bytes().is_some();
        is_default.then_some(
            "no option says when FILE is rotated: it is rotated before it exceeds 16M; choose with \
             --rotate-size, --rotate-every, --rotate-at-start or --rotate-on-signal",
        )
    }

    /// Returns true if rotated files are deleted or packed.
    pub fn loses_bytes(&self) -> bool {
        self.keep.is_some()
            || self.keep_age.is_some()
            || self.keep_bytes.is_some()
            || self.keep_free.is_some()
            || self.compress.is_some()
    }

    /// Converts the options to those of the library.
    pub fn rotation(&self) -> Rotation {
        let mut rotation = Rotation::new()
            .at_start(self.rotate_at_start)
            .shared_folder(self.shared_folder);
        if let Some(bytes) = self.size_bytes() {
            rotation = rotation.size_bytes(bytes);
        }
        if let Some(every) = self.rotate_every {
            rotation = rotation.every(every);
        }
        if self.utc {
            rotation = rotation.zone(Zone::Utc);
        }
        if let Some(count) = self.keep {
            rotation = rotation.keep_files(count);
        }
        if let Some(age) = self.keep_age {
            rotation = rotation.keep_age(age);
        }
        if let Some(bytes) = self.keep_bytes {
            rotation = rotation.keep_bytes(bytes);
        }
        if let Some(bytes) = self.keep_free {
            rotation = rotation.keep_free(bytes);
        }
        if let Some(link) = &self.link {
            rotation = rotation.link(link);
        }
        rotation.compress(self.compress.unwrap_or_default())
    }
}

fn file_size(text: &str) -> Result<u64, &'static str> {
    all_sizes(text)
        .ok()
        .filter(|bytes| *bytes >= 1 << 10)
        .ok_or("1K or more, such as 65536, 16M or 1G")
}

fn all_sizes(text: &str) -> Result<u64, &'static str> {
    let size = parse_size::Config::new().with_binary().parse_size(text);
    size.map_err(|_| "a size, such as 65536, 16M or 1G")
}

fn count(text: &str) -> Result<usize, &'static str> {
    text.parse().map_err(|_| "a number of files, such as 10")
}

fn every(text: &str) -> Result<Every, &'static str> {
    let name = match text {
        "hourly" => "hour",
        "daily" | "1d" => "day",
        "weekly" | "1w" | "7d" => "week",
        "monthly" => "month",
        other => other,
    };
    name.parse()
        .map_err(|_| "hour, day, week, month, or minutes or hours up to a day, such as 10m or 6h")
}

fn compression(text: &str) -> Result<Compression, &'static str> {
    let name = match text {
        "gz" => "gzip",
        "zst" => "zstd",
        other => other,
    };
    name.parse().map_err(|_| "gzip or zstd")
}

fn age(text: &str) -> Result<Duration, &'static str> {
    let age = || {
        let span: Span = text.parse().ok()?;
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        Duration::try_from(duration).ok()
    };
    age()
        .filter(|age| !age.is_zero())
        .ok_or("an age with a unit, such as 12h, 30d or 2w")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{age, compression, every, file_size};

    #[test]
    fn ages_have_units() {
        let day = Duration::from_secs(86_400);
        assert_eq!(age("12h"), Ok(day / 2));
        assert_eq!(age("30d"), Ok(day * 30));
        assert_eq!(age("2w"), Ok(day * 14));
        for text in ["", "0s", "-1d", "7", "1 fortnight"] {
            assert!(age(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_periods_have_bounds() {
        assert_eq!(file_size("1M"), Ok(1 << 20));
        for text in ["", "0", "1023", "-5", "much"] {
            assert!(file_size(text).is_err(), "{text}");
        }
        assert!(every("day").is_ok() && every("10m").is_ok());
        for (others, ours) in [
            ("hourly", "hour"),
            ("daily", "day"),
            ("1d", "day"),
            ("7d", "week"),
        ] {
            assert_eq!(every(others), every(ours));
        }
        assert_eq!(compression("gz"), compression("gzip"));
        assert_eq!(compression("zst"), compression("zstd"));
        assert!(every("0m").is_err() && every("year").is_err());
    }
}
