//! The command line of `alq stat`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::help;
use crate::values::seconds;

/// Show what RING holds and what its queue is doing.
///
/// RING may be in use, or left by a process that has ended. It is neither locked nor changed.
#[derive(Debug, Args)]
#[command(after_help = help::STAT)]
pub struct Stat {
    /// The ring file
    pub ring: PathBuf,

    /// Print one JSON object; with --watch, one per line
    #[arg(long)]
    pub json: bool,

    /// Read RING again and again: on a terminal one screen is redrawn, otherwise each reading is a
    /// line
    #[arg(long)]
    pub watch: bool,

    /// Time between two readings of --watch, 0.01 to 86400
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "1",
        requires = "watch",
        allow_negative_numbers = true,
        value_parser = interval
    )]
    pub interval: Duration,
}

fn interval(text: &str) -> Result<Duration, &'static str> {
    const ALLOWED: std::ops::RangeInclusive<Duration> =
        Duration::from_millis(10)..=Duration::from_secs(86400);
    seconds(text)
        .ok()
        .filter(|interval| ALLOWED.contains(interval))
        .ok_or("0.01 to 86400 seconds, such as 0.5")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::interval;

    #[test]
    fn intervals_have_a_lower_and_an_upper_limit() {
        assert_eq!(interval("0.01"), Ok(Duration::from_millis(10)));
        assert_eq!(interval("86400"), Ok(Duration::from_secs(86400)));
        for text in ["0", "0.001", "-1", "86401", "1e300", ""] {
            assert!(interval(text).is_err(), "{text}");
        }
    }
}
